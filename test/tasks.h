/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the supervisor share: supervisors of each kind, tasks
 * that wait until they are let go, an observer that keeps a diary.
 */
#ifndef FH_TEST_TASKS_H
#define FH_TEST_TASKS_H

#include <freehold/status.h>
#include <freehold/rcu.h>
#include <freehold/task.h>

#include <errno.h>
#include <string.h>

#include "tap.h"
#include "threads.h"

#ifndef LOCK_FREE
#ifdef FREEHOLD_MUTEX
#define LOCK_FREE 0
#else
#define LOCK_FREE 1
#endif
#endif

#define SECOND INT64_C(1000000000)
#ifndef MS
#define MS INT64_C(1000000)
#endif

/* A deadline that is a failure if it passes. */
#define SOON fh_deadline_in(60 * SECOND)

/* With FH_PROVE=1 what the acceptance asks for; else much less, scaled. */
__attribute__((unused)) static size_t long_or_short(size_t full, size_t brief)
{
	return getenv("FH_PROVE") ? full : scaled(brief, (brief + 4) / 5);
}

__attribute__((unused)) static void task_watchdog(void)
{
	watchdog(getenv("FH_PROVE") ? 3600 : 240);
}

/* The kinds of supervisors, by the size of their pools. */
static const unsigned kinds[] = { 0, 1, 3 };
#define KINDS 3

__attribute__((unused)) static const char *kind_name(unsigned threads)
{
	static const char *const name[] = { "own threads", "a pool of one",
					    "", "a pool of three" };

	return name[threads];
}

__attribute__((unused)) static struct fh_tasks *
supervisor_with(const struct fh_tasks_options *options)
{
	struct fh_tasks *tasks;

	if (fh_tasks_create(&tasks, options))
		bail_out("no supervisor");
	return tasks;
}

__attribute__((unused)) static struct fh_tasks *supervisor(unsigned threads)
{
	const struct fh_tasks_options options = { .threads = threads };

	return supervisor_with(&options);
}

/* The handle of a task that must be accepted. */
__attribute__((unused)) static struct fh_task *
submit_as(struct fh_tasks *tasks, const struct fh_task_request *request)
{
	struct fh_task *task = NULL;
	int rc = fh_task_submit(tasks, request, &task);

	if (rc) {
		diag("submission: %d", rc);
		bail_out("a task is refused");
	}
	return task;
}

__attribute__((unused)) static struct fh_task *
submit(struct fh_tasks *tasks, fh_task_function run, void *arg)
{
	const struct fh_task_request request = { .run = run, .arg = arg };

	return submit_as(tasks, &request);
}

__attribute__((unused)) static struct fh_task_info
info_of(struct fh_task *task)
{
	struct fh_task_info info;

	fh_task_get_info(task, &info);
	return info;
}

/* How it ended, once it has; the handle is given back. */
__attribute__((unused)) static struct fh_task_info
await(struct fh_task *task)
{
	struct fh_task_info info;

	if (fh_task_wait(task, SOON, &info))
		bail_out("a task does not end");
	fh_task_release(task);
	return info;
}

__attribute__((unused)) static struct fh_tasks_stats
stats_of(struct fh_tasks *tasks)
{
	struct fh_tasks_stats stats;

	fh_tasks_get_stats(tasks, &stats);
	return stats;
}

/* Drain, join, destroy: what each test ends with. */
__attribute__((unused)) static void put_away(struct fh_tasks *tasks)
{
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, SOON, NULL, NULL), 0,
	   "everything ends and is joined");
	is(stats_of(tasks).threads, 0, "no thread is left");
	is(stats_of(tasks).live, 0, "nor a task");
	fh_tasks_destroy(tasks);
}

/* ---- tasks ---- */

__attribute__((unused)) static int nothing(struct fh_task *task, void *arg)
{
	(void)task;
	(void)arg;
	return 0;
}

/* A door that tasks wait at, and count themselves before it. */
struct door {
	struct fh_status open;
	tally before, behind;
};

__attribute__((unused)) static int pass_door(struct fh_task *task, void *arg)
{
	struct door *door = arg;

	(void)task;
	add_seq_cst(&door->before, 1);
	fh_status_wait(&door->open, FH_STATE(1), FH_FOREVER, NULL);
	add_seq_cst(&door->behind, 1);
	return 0;
}

__attribute__((unused)) static void open_door(struct door *door)
{
	fh_status_set(&door->open, 1);
}

__attribute__((unused)) static void await_tally(const tally *count,
						uint64_t least)
{
	if (!comes_to(count, least))
		bail_out("a count is not reached");
}

/* Runs until it is asked to end. */
__attribute__((unused)) static int until_asked(struct fh_task *task, void *arg)
{
	if (arg)
		add_seq_cst((tally *)arg, 1);
	return fh_task_cancel_wait(task, FH_FOREVER) ? -EIO : -ECANCELED;
}

/* For requests whose argument is a tally of releases. */
__attribute__((unused)) static void count_release(void *arg)
{
	add_seq_cst((tally *)arg, 1);
}

/* ---- an observer ---- */

#define DIARY 64

/* What each task, by its number, went through: its states in octal, last. */
struct diary {
	tally path[DIARY + 1];
	tally told, released;
};

__attribute__((unused)) static void
keep_diary(struct fh_task *task, const struct fh_task_info *info, void *arg)
{
	struct diary *diary = arg;
	uint64_t before;

	(void)task;
	add_seq_cst(&diary->told, 1);
	if (info->id > DIARY)
		return;
	before = load_seq_cst(&diary->path[info->id]);
	store_seq_cst(&diary->path[info->id],
		      before << 3 | (info->state + 1u));
}

/* As keep_diary writes them: each state plus one. */
enum {
	WENT_WELL = 01234,
	WENT_WRONG = 01235,
	WAS_ASKED = 01236,
	WENT_DOWN = 01237,
	TAKEN_OUT = 016,
	NOT_STARTED = 0126,
	NOT_CREATED = 0125,
};

__attribute__((unused)) static void close_diary(void *arg)
{
	struct diary *diary = arg;

	add_seq_cst(&diary->released, 1);
}

__attribute__((unused)) static struct fh_tasks *
observed(unsigned threads, struct diary *diary)
{
	const struct fh_tasks_options options = {
		.threads = threads, .observer = keep_diary,
		.observer_arg = diary, .release = close_diary,
	};

	memset(diary, 0, sizeof(*diary));
	return supervisor_with(&options);
}

#endif
