/* SPDX-License-Identifier: MIT */
/*
 * gate: going in and out, being refused, looking, and requests on threads.
 *
 *  - visit: enter and leave where there is always a place.
 *  - visit-one: the same with one place for all; an operation is an attempt.
 *  - visit-wait: the same, and who finds no place waits for it.
 *  - stats: the counts, while two more threads go in and out.
 *  - run-stay: an empty request on a thread that stays.  Each thread sends
 *    the next one when there is a place, of 64; the clock runs until all are
 *    done.
 *  - run-fresh: the same, on a thread of its own for each request.
 */
#include <freehold/freehold.h>

#include "bench.h"

#define PLACES 64

static struct fh_gate *gate;
static int64_t idle;

/* The size is how many places there are. */
static void prepare(unsigned threads, size_t size)
{
	struct fh_gate_options options = { .limit = size, .idle = idle };

	(void)threads;
	if (fh_gate_create(&gate, &options))
		bench_die("no gate");
}

static void prepare_to_stay(unsigned threads, size_t size)
{
	idle = FH_FOREVER;
	prepare(threads, size);
	idle = 0;
}

static void cleanup(void)
{
	if (fh_gate_drain_wait(gate, FH_FOREVER, NULL))
		bench_die("it does not drain");
	fh_gate_destroy(gate);
}

static void visit(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			if (fh_gate_enter(gate) == 0)
				fh_gate_leave(gate);
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

static void visit_wait(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			if (fh_gate_enter_wait(gate, FH_FOREVER))
				bench_die("a wait failed");
			fh_gate_leave(gate);
		}
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

static void stats(struct bench_thread *self)
{
	struct fh_gate_stats found;
	uint64_t sum = 0;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			fh_gate_get_stats(gate, &found);
			sum += found.inside;
		}
		self->operations += BENCH_BATCH;
	} while (bench_running());
	self->sum = sum;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void run(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			if (fh_gate_run_wait(gate, nothing, NULL, FH_FOREVER))
				bench_die("a request failed");
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

/* All requests are done before the clock stops, by the last to send. */
static void run_all(struct bench_thread *self)
{
	struct fh_gate_stats found;

	run(self);
	do {
		bench_sleep(20000);
		fh_gate_get_stats(gate, &found);
	} while (found.inside);
}

static const size_t places[] = { PLACES, 0 };

static const struct bench_case cases[] = {
	{ .name = "visit", .setup = prepare, .cleanup = cleanup,
	  .body = visit, .threads = bench_threads, .sizes = places },
	{ .name = "visit-one", .setup = prepare, .cleanup = cleanup,
	  .body = visit, .threads = bench_threads, .sizes = bench_one },
	{ .name = "visit-wait", .setup = prepare, .cleanup = cleanup,
	  .body = visit_wait, .threads = bench_threads, .sizes = bench_one },
	{ .name = "stats", .setup = prepare, .cleanup = cleanup,
	  .body = stats, .disturb = visit, .disturbers = 2,
	  .threads = bench_threads, .sizes = places },
	{ .name = "run-stay", .setup = prepare_to_stay, .cleanup = cleanup,
	  .body = run_all, .threads = bench_threads, .sizes = places },
	{ .name = "run-fresh", .setup = prepare, .cleanup = cleanup,
	  .body = run_all, .threads = bench_threads, .sizes = places },
};

int main(int argc, char **argv)
{
	return bench_main("gate", cases, ARRAY_LENGTH(cases), argc, argv);
}
