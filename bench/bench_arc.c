/* SPDX-License-Identifier: MIT */
/*
 * arc: contended start of one arc, start and end over many pairs, and
 * snapshots while others write.
 *
 *  - start-contended: in each round every thread tries once to start the same
 *    pair; one wins, and the last one to try ends the arc.  An operation is an
 *    attempt, successful or refused.
 *  - churn: SIZE arcs are active.  A thread draws a pair, ends its arc and
 *    starts it again; an operation is one of the two.
 *  - get-under-writers: SIZE arcs are active.  While threads take snapshots
 *    of pairs drawn at random, two more threads let arcs progress.
 *
 * Rounds rather than a free fight for one pair: there, the longer the winner
 * takes the more of the others' attempts are refused cheaply, and the slower
 * build would look like the faster one.  Here the mix of work is the same
 * whatever the speed.  No barrier stands between rounds, which would cost more
 * than what is measured: a thread may be as many rounds ahead of the slowest
 * as there are pairs.  Winning costs more than being refused, so that those
 * behind catch up and meet at the front.
 */
#include <freehold/freehold.h>

#include "atomic.h"
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 24
#define PHASES 4
#define ROUNDS 1024

/* Both names of a pair lie together, as in one request. */
struct pair {
	char first[NAME_BYTES];
	char second[NAME_BYTES];
};

static const uint64_t allowed[PHASES] = { 0xf, 0xf, 0xf, 0xf };

static const struct fh_arc_event events[] = {
	{ .name = "step", .phases = 0xf, .next = FH_ARC_STAY },
};

static const struct fh_arc_type type = {
	.name = "rivalry", .phases = PHASES, .allowed = allowed,
	.events = events, .event_count = ARRAY_LENGTH(events),
};

/* Of start-contended: a pair's counts over all laps of the ring. */
struct round {
	_Atomic(uint64_t) attempts;
	_Atomic(uint64_t) won;
	_Atomic(uint64_t) ended;
} BENCH_APART;

static struct fh_arcs *arcs;
static struct pair *pairs;
static struct round rounds[ROUNDS];
static uint64_t next_round[BENCH_THREADS];
static unsigned rivals;

static int start(const struct pair *pair)
{
	struct fh_arc_request request = {
		.first = pair->first, .second = pair->second,
	};
	int rc = fh_arc_start(arcs, &request, NULL);

	if (rc && rc != -EEXIST && rc != -EINPROGRESS)
		bench_die("start failed: %s", strerror(-rc));
	return rc;
}

/* The other way round: the pair is unordered, and pays for it here. */
static void end(const struct pair *pair)
{
	int rc = fh_arc_end(arcs, pair->second, pair->first, FH_ARC_ANY,
			    FH_ARC_COMPLETED, NULL, NULL);

	if (rc && rc != -ENOENT)
		bench_die("end failed: %s", strerror(-rc));
}

/* The last to try: there was one winner, and the arc ends. */
static void end_round(struct round *round, const struct pair *pair,
		      uint64_t lap)
{
	uint64_t won = load_relaxed(&round->won) - lap;

	if (won != 1)
		bench_die("%" PRIu64 " of %u threads won", won, rivals);
	end(pair);
	store_release(&round->ended, lap + 1);
}

/* False: the time was over before the pair was free for its next round. */
static bool try_round(uint64_t number)
{
	const struct pair *pair = &pairs[number % ROUNDS];
	struct round *round = &rounds[number % ROUNDS];
	uint64_t lap = number / ROUNDS;

	while (load_acquire(&round->ended) != lap) {
		if (!bench_running())
			return false;
		sched_yield();
	}
	if (start(pair) == 0)
		add_relaxed(&round->won, 1);
	if (add_acq_rel(&round->attempts, 1) + 1 == (lap + 1) * rivals)
		end_round(round, pair, lap);
	return true;
}

/* Goes on where the thread was when the last repetition ended. */
static void contend(struct bench_thread *self)
{
	uint64_t number = next_round[self->index];
	uint64_t first = number;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH && try_round(number); i++)
			number++;
	} while (bench_running());
	self->operations = number - first;
	next_round[self->index] = number;
}

static void churn(struct bench_thread *self)
{
	unsigned i, at = 0;

	do {
		for (i = 0; i < BENCH_BATCH / 2; i++) {
			const struct pair *pair = &pairs[self->draws[at + i]];

			end(pair);
			start(pair);
		}
		self->operations += BENCH_BATCH;
		at = (at + BENCH_BATCH / 2) % BENCH_DRAWS;
	} while (bench_running());
}

static uint64_t get_one(const struct pair *pair)
{
	struct fh_arc_info info;
	int rc = fh_arc_get(arcs, pair->first, pair->second, &info);

	if (rc)
		bench_die("get failed: %s", strerror(-rc));
	return info.events;
}

static void get(struct bench_thread *self)
{
	unsigned i, at = 0;
	uint64_t sum = 0;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			sum += get_one(&pairs[self->draws[at + i]]);
		self->operations += BENCH_BATCH;
		at = (at + BENCH_BATCH) % BENCH_DRAWS;
	} while (bench_running());
	self->sum = sum;
}

static void progress(struct bench_thread *self)
{
	const struct pair *pair;
	unsigned at = 0;
	int rc;

	do {
		pair = &pairs[self->draws[at]];
		rc = fh_arc_progress(arcs, pair->first, pair->second, NULL,
				     NULL);
		if (rc)
			bench_die("progress failed: %s", strerror(-rc));
		at = (at + 1) % BENCH_DRAWS;
	} while (bench_running());
}

static uint32_t draw_pair(uint64_t *state, void *arg)
{
	const size_t *size = arg;

	return (uint32_t)(bench_random(state) % *size);
}

static void prepare_pairs(unsigned threads, size_t size)
{
	struct fh_arcs_options options = { .types = &type, .type_count = 1 };
	size_t i;

	if (fh_arcs_create(&arcs, &options))
		bench_die("no registry");
	pairs = bench_alloc(sizeof(*pairs) * size);
	for (i = 0; i < size; i++) {
		snprintf(pairs[i].first, NAME_BYTES, "agent-%zu", 2 * i);
		snprintf(pairs[i].second, NAME_BYTES, "agent-%zu", 2 * i + 1);
	}
	bench_draw(threads, BENCH_DRAWS, draw_pair, &size);
}

/* The size is that of the race, one pair, whatever the ring's is. */
static void prepare_rounds(unsigned threads, size_t size)
{
	(void)size;
	prepare_pairs(threads, ROUNDS);
	memset(rounds, 0, sizeof(rounds));
	memset(next_round, 0, sizeof(next_round));
	rivals = threads;
}

static void prepare_active(unsigned threads, size_t size)
{
	size_t i;

	prepare_pairs(threads, size);
	for (i = 0; i < size; i++)
		if (start(&pairs[i]))
			bench_die("a pair was there before it was started");
}

static void cleanup(void)
{
	fh_arcs_destroy(arcs);
	free(pairs);
}

static const struct bench_case cases[] = {
	{ .name = "start-contended", .setup = prepare_rounds,
	  .cleanup = cleanup, .body = contend, .retires = true,
	  .threads = bench_threads, .sizes = bench_one },
	{ .name = "churn", .setup = prepare_active,
	  .cleanup = cleanup, .body = churn, .retires = true,
	  .threads = bench_threads, .sizes = bench_sizes },
	{ .name = "get-under-writers", .setup = prepare_active,
	  .cleanup = cleanup, .body = get, .disturb = progress,
	  .disturbers = 2,
	  .threads = bench_threads, .sizes = bench_sizes },
	{ .name = "get", .when = BENCH_LONG, .setup = prepare_active,
	  .cleanup = cleanup, .body = get,
	  .threads = bench_threads, .sizes = bench_sizes },
};

int main(int argc, char **argv)
{
	return bench_main("arc", cases, ARRAY_LENGTH(cases), argc, argv);
}
