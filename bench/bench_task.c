/* SPDX-License-Identifier: MIT */
/*
 * task: how many tasks in a second, how long from submission to start, and
 * how long until a death is known.
 *
 *  - pool: THREADS threads submit tiny tasks to a pool of as many; an
 *    operation is a task that was submitted and has run.  At most WINDOW of
 *    each thread's are under way.
 *  - start: as before, but each thread waits for its task before it submits
 *    the next, so that the pool's threads are asleep as often as not.  The
 *    percentiles are of the time from before the submission to the first
 *    instruction of the function.
 *  - own-threads: the same with a thread for each task.
 *  - death: each task ends its thread with pthread_exit; the percentiles are
 *    of the time from before that call until a wait for the task returned.
 */
#include <freehold/task.h>

#include "atomic.h"
#include "bench.h"
#include "histogram.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#define WINDOW 256

/* One submitting thread's own. */
struct lane {
	_Atomic(uint64_t) done;
	uint64_t submitted;
	_Atomic(uint64_t) begun;	/* ticks */
} BENCH_APART;

static const unsigned numbers[] = { 1, 2, 8, 64, 0 };

static struct fh_tasks *tasks;
static struct lane lanes[BENCH_THREADS];
static struct histogram times[BENCH_THREADS];

static void create(unsigned pool)
{
	const struct fh_tasks_options options = { .threads = pool };

	if (fh_tasks_create(&tasks, &options))
		bench_die("no supervisor");
}

static void open_pool(unsigned threads, size_t size)
{
	(void)size;
	create(threads);
}

static void open_alone(unsigned threads, size_t size)
{
	(void)threads;
	(void)size;
	create(0);
}

static void put_away(void)
{
	if (fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, FH_FOREVER, NULL,
				   NULL))
		bench_die("the supervisor does not end");
	fh_tasks_destroy(tasks);
}

static struct fh_task *submit(fh_task_function run, struct lane *lane,
			      bool wanted)
{
	const struct fh_task_request request = { .run = run, .arg = lane };
	struct fh_task *task = NULL;
	int rc = fh_task_submit(tasks, &request, wanted ? &task : NULL);

	if (rc)
		bench_die("a submission failed: %s", strerror(-rc));
	return task;
}

/* ---- tasks per second ---- */

static int count(struct fh_task *task, void *arg)
{
	struct lane *lane = arg;

	(void)task;
	add_acq_rel(&lane->done, 1);
	return 0;
}

static void await_lane(struct lane *lane, uint64_t under_way)
{
	while (lane->submitted - load_acquire(&lane->done) > under_way)
		sched_yield();
}

static void stream(struct bench_thread *self)
{
	struct lane *lane = &lanes[self->index];
	uint64_t first = lane->submitted;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			await_lane(lane, WINDOW - 1);
			submit(count, lane, false);
			lane->submitted++;
		}
	} while (bench_running());
	await_lane(lane, 0);
	self->operations = lane->submitted - first;
}

/* ---- one after the other, timed ---- */

static int note_start(struct fh_task *task, void *arg)
{
	struct lane *lane = arg;

	(void)task;
	store_relaxed(&lane->begun, bench_ticks());
	return 0;
}

static void clear_times(unsigned threads, size_t size)
{
	(void)size;
	histogram_clear(times, threads);
}

/* False: the task ended otherwise than it should. */
static bool wait_and_release(struct fh_task *task, enum fh_task_state wanted)
{
	struct fh_task_info info;

	if (fh_task_wait(task, FH_FOREVER, &info))
		return false;
	fh_task_release(task);
	return info.state == wanted;
}

static void start_timed(struct bench_thread *self)
{
	struct lane *lane = &lanes[self->index];
	uint64_t began;

	do {
		began = bench_ticks();
		if (!wait_and_release(submit(note_start, lane, true),
				      FH_TASK_COMPLETED))
			bench_die("a task did not complete");
		histogram_add(&times[self->index],
			      load_relaxed(&lane->begun) - began);
		self->operations++;
	} while (bench_running());
}

static int leave(struct fh_task *task, void *arg)
{
	note_start(task, arg);
	pthread_exit(NULL);
}

static void die_timed(struct bench_thread *self)
{
	struct lane *lane = &lanes[self->index];
	struct fh_task *task;

	do {
		task = submit(leave, lane, true);
		if (!wait_and_release(task, FH_TASK_CRASHED))
			bench_die("a task did not crash");
		histogram_add(&times[self->index],
			      bench_ticks() - load_relaxed(&lane->begun));
		self->operations++;
	} while (bench_running());
}

static void report_times(const struct bench_thread *pool, unsigned threads)
{
	static const char *const names[6] = {
		"p50", "p99", "p99_9", "p99_99", "max", "clock",
	};

	(void)pool;
	bench_report(names, times, threads);
}

static const struct bench_case cases[] = {
	{ .name = "pool", .setup = open_pool, .cleanup = put_away,
	  .body = stream, .retires = true,
	  .threads = numbers, .sizes = bench_one },
	{ .name = "start", .setup = open_pool, .cleanup = put_away,
	  .before = clear_times, .body = start_timed, .after = report_times,
	  .retires = true, .threads = numbers, .sizes = bench_one },
	{ .name = "own-threads", .setup = open_alone, .cleanup = put_away,
	  .before = clear_times, .body = start_timed, .after = report_times,
	  .retires = true, .threads = numbers, .sizes = bench_one },
	{ .name = "death", .setup = open_alone, .cleanup = put_away,
	  .before = clear_times, .body = die_timed, .after = report_times,
	  .retires = true, .threads = numbers, .sizes = bench_one },
	{ .name = "death-in-pool", .setup = open_pool, .cleanup = put_away,
	  .before = clear_times, .body = die_timed, .after = report_times,
	  .retires = true, .threads = numbers, .sizes = bench_one },
};

int main(int argc, char **argv)
{
	bench_calibrate();
	return bench_main("task", cases, ARRAY_LENGTH(cases), argc, argv);
}
