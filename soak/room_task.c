/* SPDX-License-Identifier: MIT */
/*
 * task: a pool and a supervisor of single threads, to which everybody
 * submits, and whose tasks return, fail, end their threads, sleep until they
 * are asked, or are ended from outside.  An observer keeps a clerk's books.
 *
 * Every task has a file.  It counts the beginnings and ends that the clerk is
 * told of, and goes with the task's last reference: at rest as many files
 * are gone as there were submissions, and the counts of the supervisor, of
 * the clerk and of the submitters agree.
 */
#include "soak.h"

#include <stdlib.h>

#define HOUSES 2
#define LIMIT 64
#define POOL 4

enum { SUBMIT, WAIT, CANCEL, END, LIST, SWEEP };
static const char *const operations[] = {
	"submit", "wait", "cancel", "end", "list", "sweep", NULL,
};

enum { RETURN, FAIL, EXIT, SLEEP, WAYS };

struct file {
	unsigned way;
	tally begun, ended;
};

static struct fh_tasks *house[HOUSES];
static tally submitted[HOUSES], refused, released, crashes, told_begun,
	told_ended;

static int live(struct fh_task *task, void *arg)
{
	struct file *file = arg;

	switch (file->way) {
	case FAIL:
		return -EIO;
	case EXIT:
		pthread_exit(NULL);
	case SLEEP:
		return fh_task_cancel_wait(task, fh_deadline_in(MILLISECONDS))
			       ? 0 : -ECANCELED;
	default:
		return 0;
	}
}

static void put_down(void *arg)
{
	struct file *file = arg;

	if (load_relaxed(&file->begun) != 1 || load_relaxed(&file->ended) != 1)
		soak_fail("a task had %llu beginnings and %llu ends",
			  (unsigned long long)file->begun,
			  (unsigned long long)file->ended);
	free(file);
	add_relaxed(&released, 1);
}

static void keep_books(struct fh_task *task, const struct fh_task_info *info,
		       void *arg)
{
	struct file *file = info->arg;

	(void)task;
	(void)arg;
	if (info->state == FH_TASK_QUEUED) {
		add_relaxed(&file->begun, 1);
		add_relaxed(&told_begun, 1);
	}
	if (!FH_TASK_IS_OVER(info->state))
		return;
	add_relaxed(&file->ended, 1);
	add_relaxed(&told_ended, 1);
	if (info->state == FH_TASK_CRASHED)
		add_relaxed(&crashes, 1);
}

/* ---- turns ---- */

static struct fh_task *submit(struct soak_worker *worker, unsigned where)
{
	static const char *const names[] = { "ada", "bob", "cy" };
	struct file *file = calloc(1, sizeof(*file));
	struct fh_task_request request = {
		.run = live, .arg = file, .release = put_down };
	struct fh_task *task = NULL;
	int rc;

	soak_begin(worker, SUBMIT);
	file->way = (unsigned)soak_random(worker, WAYS);
	if (soak_random(worker, 4) == 0)
		request.name = names[soak_random(worker, 3)];
	rc = fh_task_submit(house[where], &request, &task);
	soak_expect(rc == 0 || rc == -EBUSY || rc == -EAGAIN ||
		    (rc == -EEXIST && request.name), "a submission gave %d",
		    rc);
	if (rc) {
		add_relaxed(&refused, 1);
		free(file);
	} else {
		add_relaxed(&submitted[where], 1);
	}
	return task;
}

static void await(struct soak_worker *worker, struct fh_task *task)
{
	struct fh_task_info info;
	int rc;

	soak_begin(worker, WAIT);
	rc = fh_task_wait(task, fh_deadline_in(20 * SECONDS), &info);
	soak_expect(rc == 0 && FH_TASK_IS_OVER(info.state),
		    "a wait gave %d in state %d", rc, (int)info.state);
}

static void cancel(struct soak_worker *worker, struct fh_task *task)
{
	int rc;

	soak_begin(worker, CANCEL);
	rc = fh_task_cancel(task);
	soak_expect(rc == 0 || rc == -ESRCH, "a cancellation gave %d", rc);
}

static void end(struct soak_worker *worker, struct fh_task *task)
{
	const struct fh_task_report report = { .state = FH_TASK_COMPLETED };
	int rc;

	soak_begin(worker, END);
	rc = fh_task_end(task, &report);
	soak_expect(rc == 0 || rc == -EALREADY || rc == -EBUSY,
		    "an end gave %d", rc);
}

static int visit(const struct fh_task_info *info, void *arg)
{
	(void)arg;
	soak_expect(!FH_TASK_IS_OVER(info->state), "one that ended is listed");
	return 0;
}

static void work(struct soak_worker *worker)
{
	unsigned where = (unsigned)soak_random(worker, HOUSES);
	struct fh_task *task = submit(worker, where);

	switch (soak_random(worker, 5)) {
	case 0:
		if (task)
			cancel(worker, task);
		break;
	case 1:
		if (task)
			end(worker, task);
		break;
	case 2:
		soak_begin(worker, LIST);
		fh_tasks_for_each(house[where], visit, NULL);
		break;
	case 3:
		soak_begin(worker, SWEEP);
		soak_expect(fh_tasks_sweep(house[where]) == 0,
			    "a sweep called the living dead");
		break;
	default:
		break;
	}
	if (task)
		await(worker, task);
	fh_task_release(task);
}

/* ---- at rest ---- */

/* Threads that have ended are buried by whoever comes next. */
static bool only_the_pool_is_there(void)
{
	struct fh_tasks_stats stats;
	bool rest = true;

	for (unsigned i = 0; i < HOUSES; i++) {
		fh_tasks_sweep(house[i]);
		fh_tasks_get_stats(house[i], &stats);
		rest = rest && stats.threads <= (i ? POOL : 0);
	}
	return rest;
}

/* What nobody waits for any more: the observer, then the last reference. */
static bool every_file_is_gone(void)
{
	return load_relaxed(&released) == load_relaxed(&submitted[0]) +
					  load_relaxed(&submitted[1]);
}

static void settle(void)
{
	soak_expect_soon(every_file_is_gone, "files are left over");
	soak_expect_soon(only_the_pool_is_there, "threads are left over");
}

static void check_house(unsigned where)
{
	struct fh_tasks_stats stats;

	fh_tasks_get_stats(house[where], &stats);
	soak_expect(stats.submitted == load_relaxed(&submitted[where]),
		    "house %u counts %llu submissions, not %llu", where,
		    (unsigned long long)stats.submitted,
		    (unsigned long long)load_relaxed(&submitted[where]));
	soak_expect(stats.live == 0 && stats.swept == 0, "house %u has %llu "
		    "tasks at rest", where, (unsigned long long)stats.live);
	soak_expect(stats.submitted == stats.completed + stats.failed +
				       stats.cancelled + stats.crashed,
		    "ends and beginnings of house %u differ", where);
}

static void check(void)
{
	for (unsigned i = 0; i < HOUSES; i++)
		check_house(i);
	soak_expect(load_relaxed(&told_begun) == load_relaxed(&released) &&
		    load_relaxed(&told_ended) == load_relaxed(&released),
		    "the clerk was told of %llu beginnings and %llu ends",
		    (unsigned long long)load_relaxed(&told_begun),
		    (unsigned long long)load_relaxed(&told_ended));
}

/* New houses: the old ones' threads and memory must all come back. */
static void open_houses(void)
{
	for (unsigned i = 0; i < HOUSES; i++) {
		const struct fh_tasks_options options = {
			.threads = i ? POOL : 0, .limit = LIMIT,
			.observer = keep_books };

		if (fh_tasks_create(&house[i], &options))
			bail_out("no supervisor");
		store_relaxed(&submitted[i], 0);
	}
	store_relaxed(&released, 0);
	store_relaxed(&told_begun, 0);
	store_relaxed(&told_ended, 0);
}

static void close_houses(void)
{
	for (unsigned i = 0; i < HOUSES; i++) {
		int rc = fh_tasks_shutdown_wait(house[i], FH_TASKS_DRAIN,
						fh_deadline_in(20 * SECONDS),
						NULL, NULL);

		soak_expect(rc == 0, "a shutdown gave %d", rc);
		fh_tasks_destroy(house[i]);
	}
}

static void clear(void)
{
	close_houses();
	open_houses();
}

static void report(FILE *out)
{
	fprintf(out, "- %llu tasks crashed, %llu submissions were refused\n",
		(unsigned long long)load_relaxed(&crashes),
		(unsigned long long)load_relaxed(&refused));
}

struct soak_room soak_task = {
	.name = "task", .operations = operations, .weight = 2,
	.setup = open_houses, .work = work, .settle = settle, .check = check,
	.clear = clear, .report = report, .teardown = close_houses,
};
