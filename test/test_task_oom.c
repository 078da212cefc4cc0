/* SPDX-License-Identifier: MIT */
/*
 * task: no memory, no threads, no room under the hard bound.
 *
 * Each allocation of each operation fails in turn: what is refused has left
 * nothing behind, and what cannot be refused happens.
 */
#include <freehold/rcu.h>

#include "oom.h"
#include "reader.h"
#include "tasks.h"

/* ---- memory ---- */

static void test_create(unsigned threads)
{
	const struct fh_tasks_options options = { .threads = threads };
	struct fh_tasks *tasks = NULL;
	unsigned n = 0, wrong = 0;
	int rc;

	do {
		oom_arm(OOM_ONCE, ++n);
		rc = fh_tasks_create(&tasks, &options);
		oom_disarm();
		wrong += rc != 0 && (rc != -ENOMEM || tasks);
	} while (rc && n < 100);
	is(wrong, 0, "%s: creation fails cleanly", kind_name(threads));
	ok(rc == 0 && n > 1, "%u allocations were refused", n - 1);
	put_away(tasks);
}

/* The n-th allocation fails, for each n, until one submission succeeds. */
static void test_submit(unsigned threads, const char *name)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	tally releases = 0;
	const struct fh_task_request request = {
		.run = nothing, .name = name, .arg = &releases,
		.release = count_release };
	struct fh_task *task = NULL;
	unsigned n = 0, wrong = 0;
	uint64_t refused;
	int rc;

	await(submit(tasks, nothing, NULL)); /* a pool has its thread now */
	do {
		oom_arm(OOM_ONCE, ++n);
		rc = fh_task_submit(tasks, &request, &task);
		refused = oom_disarm();
		if (rc)
			wrong += rc != -ENOMEM || task || !refused ||
				 load_seq_cst(&releases) ||
				 stats_of(tasks).submitted != 1;
	} while (rc && n < 100);
	is(rc, 0, "%s: in the end there is enough", kind_name(threads));
	ok(n > 1, "%u submissions were refused", n - 1);
	is(wrong, 0, "which left nothing behind");
	is(await(task).state, FH_TASK_COMPLETED, "the last one runs");
	put_away(tasks);
	is(diary.told, 2 * 4, "nobody was told of the others");
	is(load_seq_cst(&releases), 1, "and their arguments are the caller's");
}

static int speak_without_memory(struct fh_task *task, void *arg)
{
	int *rc = arg;

	oom_arm(OOM_FROM, 1);
	rc[0] = fh_task_set_cause(task, "first");
	rc[1] = fh_task_end(task, &(struct fh_task_report){
		.state = FH_TASK_COMPLETED });
	oom_disarm();
	rc[2] = fh_task_set_cause(task, "second");
	oom_arm(OOM_FROM, 1);
	rc[3] = fh_task_set_cause(task, "third");
	oom_disarm();
	return -EIO;
}

static void test_speech(void)
{
	struct fh_tasks *tasks = supervisor(0);
	int rc[4] = { 0, 0, 0, 0 };
	struct fh_task *task = submit(tasks, speak_without_memory, rc);
	struct fh_task_info info;

	fh_task_wait(task, SOON, &info);
	is(rc[0], -ENOMEM, "no memory for a cause");
	is(rc[1], -ENOMEM, "nor for a report");
	is(rc[2], 0, "later there is");
	is(rc[3], -ENOMEM, "and not for another");
	is(info.error, -EIO, "the function returns");
	ok(info.cause && !strcmp(info.cause, "second"),
	   "and the cause that was set stands");
	fh_task_release(task);
	put_away(tasks);
}

/* A task ends, is cancelled, crashes, without memory. */
static int end_without_memory(struct fh_task *task, void *arg)
{
	oom_arm(OOM_FROM, 1);
	if (arg)
		pthread_exit(task);
	return 0;
}

static void test_ends(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	const struct fh_task_request request = {
		.run = nothing, .queue = FH_TASK_MAIN, .name = "m" };
	struct fh_task *task;
	struct fh_task_info info;

	is(await(submit(tasks, end_without_memory, NULL)).state,
	   FH_TASK_COMPLETED, "an end needs no memory");
	fh_task_submit(tasks, &request, &task);
	oom_arm(OOM_FROM, 1);
	is(fh_task_cancel(task), 0, "nor does a cancellation");
	is(fh_tasks_find(tasks, "m", &task), -ENOENT, "a search");
	fh_task_get_info(task, &info);
	oom_disarm();
	is(info.state, FH_TASK_CANCELLED, "it is cancelled");
	fh_task_release(task);
	is(await(submit(tasks, end_without_memory, tasks)).state,
	   FH_TASK_CRASHED, "nor does a death");
	put_away(tasks);
}

/* ---- threads ---- */

static void test_no_thread(unsigned threads)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	struct fh_task_info info;

	store_seq_cst(&no_threads, 1);
	info = await(submit(tasks, nothing, NULL));
	is(info.state, FH_TASK_FAILED, "%s: no thread", kind_name(threads));
	is(info.error, -EAGAIN, "the task fails with what the system said");
	ok(info.cause && !info.started, "and never ran");
	is(await(submit_as(tasks, &(struct fh_task_request){
		.run = nothing, .name = "a" })).error, -EAGAIN, "again");
	store_seq_cst(&no_threads, 0);
	is(await(submit_as(tasks, &(struct fh_task_request){
		.run = nothing, .name = "a" })).error, 0, "then one is there");
	put_away(tasks);
	is(diary.path[1], NOT_CREATED, "the observer was told");
	is(diary.path[3], WENT_WELL, "of that one, too");
}

/* With one thread there, the pool goes on with it. */
static void test_small_pool(void)
{
	struct fh_tasks *tasks = supervisor(3);
	struct door door = { .before = 0 };
	struct fh_task *first = submit(tasks, pass_door, &door), *second;

	await_tally(&door.before, 1);
	store_seq_cst(&no_threads, 1);
	second = submit(tasks, nothing, NULL);
	is(fh_task_wait(second, fh_deadline_in(MS), NULL), -ETIMEDOUT,
	   "no second thread: it waits for the first");
	open_door(&door);
	is(await(second).state, FH_TASK_COMPLETED, "and then runs");
	store_seq_cst(&no_threads, 0);
	await(first);
	is(stats_of(tasks).created, 1, "one thread did it all");
	put_away(tasks);
}

static int leave(struct fh_task *task, void *arg)
{
	(void)task;
	store_seq_cst(&no_threads, 1);
	pthread_exit(arg);
}

/* The last thread ends, and cannot be replaced: nobody waits for ever. */
static void test_no_replacement(void)
{
	struct fh_tasks *tasks = supervisor(1);
	struct door door = { .before = 0 };
	struct fh_task *task[4];
	unsigned i, failed = 0;

	task[0] = submit(tasks, pass_door, &door);
	task[1] = submit(tasks, leave, NULL);
	task[2] = submit(tasks, nothing, NULL);
	task[3] = submit(tasks, nothing, NULL);
	open_door(&door);
	is(await(task[0]).state, FH_TASK_COMPLETED, "the first one runs");
	is(await(task[1]).state, FH_TASK_CRASHED, "the second ends its thread");
	for (i = 2; i < 4; i++)
		failed += await(task[i]).error == -EAGAIN;
	is(failed, 2, "the others fail, because there can be no thread");
	store_seq_cst(&no_threads, 0);
	put_away(tasks);
}

static void test_no_sweeper(void)
{
	const struct fh_tasks_options options = { .sweep_every = MS };
	struct fh_tasks *tasks = NULL;

	store_seq_cst(&no_threads, 1);
	is(fh_tasks_create(&tasks, &options), -EAGAIN, "no thread that sweeps");
	store_seq_cst(&no_threads, 0);
	ok(!tasks, "no supervisor");
}

/* ---- the hard bound ---- */

/* A reader holds all garbage back: submissions are refused, ends are not. */
static void test_bound(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	const struct fh_task_request request = { .run = nothing,
						 .name = "n" };
	unsigned accepted = 0, refused = 0, over = 0;
	struct fh_task *task = NULL;
	struct fh_tasks_stats stats;
	struct reader reader;

	fh_rcu_drain_wait(FH_FOREVER);
	fh_rcu_set_bounds(0, 64);
	reader_enter(&reader, 1);
	while (accepted < 1000 && refused < 10) {
		int rc = fh_task_submit(tasks, &request, &task);

		if (rc == -EAGAIN) {
			refused++;
			continue;
		}
		if (rc)
			break;
		accepted++;
		over += fh_task_wait(task, SOON, NULL) == 0;
		fh_task_release(task);
	}
	is(over, accepted, "%s: all that was accepted ended",
	   kind_name(threads));
	stats = stats_of(tasks);
	is(stats.completed, accepted, "and completed");
	is(fh_tasks_for_each(tasks, NULL, NULL), 0, "none is listed");
	reader_leave(&reader);
	fh_rcu_set_bounds(0, 0);
	fh_tasks_sweep(tasks);
	is(await(submit_as(tasks, &request)).state, FH_TASK_COMPLETED,
	   "when there is room, the name is free");
	put_away(tasks);
	diag("%u accepted, %u refused", accepted, refused);
}

struct garbage {
	struct fh_rcu_head rcu;
};

static void free_garbage(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct garbage, rcu));
}

static void fill_up(void)
{
	while (fh_rcu_admit(1) == 0) {
		struct garbage *garbage = malloc(sizeof(*garbage));

		fh_rcu_retire(&garbage->rcu, free_garbage);
	}
}

#define DOORS 8

/* The maps refuse to let them go: they end all the same, and are unlisted. */
static void test_bound_ends(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct door door = { .before = 0 };
	struct fh_task *task[DOORS], *found;
	struct reader reader;
	unsigned i, wrong = 0;
	char name[] = "0";

	for (i = 0; i < DOORS; i++, name[0]++)
		task[i] = submit_as(tasks, &(struct fh_task_request){
			.run = pass_door, .arg = &door, .name = name });
	fh_rcu_drain_wait(FH_FOREVER);
	reader_enter(&reader, 1);
	fh_rcu_set_bounds(0, 16);
	fill_up();
	is(fh_task_submit(tasks, &(struct fh_task_request){
		.run = nothing }, NULL), LOCK_FREE ? -EAGAIN : 0,
	   "%s: no room for garbage", kind_name(threads));
	open_door(&door);
	is(fh_task_wait_all(task, DOORS, SOON, NULL), 0, "but they end");
	for (i = 0, name[0] = '0'; i < DOORS; i++, name[0]++)
		wrong += fh_tasks_find(tasks, name, &found) != -ENOENT ||
			 fh_tasks_get(tasks, i + 1, &found) != -ENOENT;
	is(wrong, 0, "and are not found");
	reader_leave(&reader);
	fh_rcu_set_bounds(0, 0);
	fh_rcu_drain_wait(FH_FOREVER);
	for (i = 0, name[0] = '0'; i < DOORS; i++, name[0]++) {
		fh_task_release(task[i]);
		if (i % 2)
			fh_tasks_sweep(tasks);
		wrong += await(submit_as(tasks, &(struct fh_task_request){
				.run = nothing, .name = name })).state !=
			 FH_TASK_COMPLETED;
	}
	is(wrong, 0, "later their names are free");
	put_away(tasks);
}

int main(void)
{
	unsigned i;

	watchdog(240);
	for (i = 0; i < KINDS; i++) {
		test_create(kinds[i]);
		test_submit(kinds[i], NULL);
		test_submit(kinds[i], "name");
		test_ends(kinds[i]);
		test_no_thread(kinds[i]);
		test_bound(kinds[i]);
		test_bound_ends(kinds[i]);
	}
	test_speech();
	test_small_pool();
	test_no_replacement();
	test_no_sweeper();
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
