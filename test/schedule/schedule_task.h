/* SPDX-License-Identifier: MIT */
/*
 * What the schedules of the supervisor share: one supervisor, tasks whose
 * file is plain memory, an observer, and an end that checks everything.
 *
 * A file is made by the thread that submits, read by the function, written by
 * it, and read by whoever has seen the end: where an order is missing, that
 * is a race.
 */
#ifndef FH_SCHEDULE_TASK_H
#define FH_SCHEDULE_TASK_H

#include "schedule.h"

#include "task_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IN_A_WHILE INT64_C(60000000000)

struct file {
	unsigned given;		/* by who submits */
	unsigned done;		/* by the function */
	unsigned refused;	/* by who cannot submit */
};

static struct fh_tasks *tasks;
static _Atomic(bool) patient;	/* only time ends what is waited for */
static _Atomic(unsigned) ran, released, out;

/* ---- functions ---- */

static int work(struct fh_task *task, void *arg)
{
	struct file *file = arg;

	(void)task;
	expect(file->given == 7, "the argument is not there");
	file->done++;
	add_relaxed(&ran, 1);
	return 0;
}

__attribute__((unused)) static int leave(struct fh_task *task, void *arg)
{
	work(task, arg);
	pthread_exit(NULL);
}

__attribute__((unused)) static int vanish(struct fh_task *task, void *arg)
{
	work(task, arg);
	store_relaxed(&patient, true);
	syscall(SYS_exit, 0);
	return 0;
}

__attribute__((unused)) static int until_asked(struct fh_task *task, void *arg)
{
	work(task, arg);
	return fh_task_cancel_wait(task, FH_FOREVER) ? -EIO : -ECANCELED;
}

__attribute__((unused)) static int until_asked_a_while(struct fh_task *task,
						       void *arg)
{
	work(task, arg);
	return fh_task_cancel_wait(task, IN_A_WHILE) ? 0 : -ECANCELED;
}

static void put_down(void *arg)
{
	free(arg);
	add_relaxed(&released, 1);
}

/* ---- submission ---- */

/* With what can be refused: -ENOMEM, -EAGAIN. */
static struct fh_task *try_submit(fh_task_function run, const char *name,
				  enum fh_task_queue queue)
{
	struct file *file = calloc(1, sizeof(*file));
	struct fh_task_request request = {
		.run = run, .arg = file, .release = put_down,
		.name = name, .queue = queue };
	struct fh_task *task = NULL;
	int rc;

	if (!file)
		return NULL;
	file->given = 7;
	rc = fh_task_submit(tasks, &request, &task);
	expect(rc == 0 || rc == -ESHUTDOWN || rc == -EEXIST || rc == -EBUSY ||
	       rc == -ENOMEM || rc == -EAGAIN, "submission: %d", rc);
	if (rc)
		free(file);
	return task;
}

__attribute__((unused)) static struct fh_task *submit(fh_task_function run)
{
	return try_submit(run, NULL, FH_TASK_THREAD);
}

/* Who has waited may read what the function wrote, unless it is running. */
static void look_at_end(const struct fh_task_info *info)
{
	const struct file *file = info->arg;

	expect(FH_TASK_IS_OVER(info->state), "it has not ended");
	expect((info->state == FH_TASK_COMPLETED) == !info->error,
	       "an error %d of %d", info->error, info->state);
	expect(!info->error == !info->cause, "a cause is missing");
	if (info->state == FH_TASK_COMPLETED ||
	    info->state == FH_TASK_CRASHED)
		expect(file->done == 1, "ended, and not done");
}

__attribute__((unused)) static enum fh_task_state await(struct fh_task *task)
{
	struct fh_task_info info;

	expect(fh_task_wait(task, FH_FOREVER, &info) == 0, "no end");
	look_at_end(&info);
	fh_task_release(task);
	return info.state;
}

/* ---- the supervisor ---- */

/* What the observer was told, of one task or of all. */
static _Atomic(unsigned) told_begun, told_ended;
static _Atomic(unsigned) told_last;

__attribute__((unused)) static void
observe_all(struct fh_task *task, const struct fh_task_info *info, void *arg)
{
	(void)task;
	(void)arg;
	if (info->state == FH_TASK_QUEUED)
		add_relaxed(&told_begun, 1);
	if (FH_TASK_IS_OVER(info->state))
		add_relaxed(&told_ended, 1);
}

/* Of one task: each state follows one that may come before it. */
__attribute__((unused)) static void
observe_one(struct fh_task *task, const struct fh_task_info *info, void *arg)
{
	unsigned before = load_relaxed(&told_last);

	observe_all(task, info, arg);
	expect(before <= 3, "state %u was told after the end", info->state);
	expect(FH_TASK_IS_OVER(info->state) ? before > 0 :
	       info->state == before, "state %u was told after %u",
	       info->state, before);
	store_relaxed(&told_last, info->state + 1);
}

static void create(const struct fh_tasks_options *options)
{
	expect(fh_tasks_create(&tasks, options) == 0, "no supervisor");
}

__attribute__((unused)) static void open_alone(void)
{
	create(NULL);
}

__attribute__((unused)) static void open_pool(void)
{
	const struct fh_tasks_options options = { .threads = 1 };

	create(&options);
}

__attribute__((unused)) static void open_pool_of_two(void)
{
	const struct fh_tasks_options options = { .threads = 2 };

	create(&options);
}

/* The machine's time passes only when nobody can go on. */
__attribute__((unused)) static void shut_down(void)
{
	int64_t before = fh_now();

	expect(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, FH_FOREVER, NULL,
				      NULL) == 0, "a shutdown gives up");
	expect(load_relaxed(&tasks->threads) == 0, "threads are left");
	expect(patient || fh_now() == before, "a shutdown waited for nothing");
}

/* Each thread of a scenario comes here last: the last one shuts down. */
__attribute__((unused)) static void go_out(void)
{
	const struct scenario *scenario = scenario_now();
	unsigned threads = 0;

	while (threads < SCENARIO_THREADS && scenario->thread[threads])
		threads++;
	if (add_acq_rel(&out, 1) + 1 == threads)
		shut_down();
}

/* ---- threads of several programs ---- */

/* One task, to its end, if it is not refused. */
__attribute__((unused)) static void submit_and_await(fh_task_function run)
{
	struct fh_task *task = submit(run);

	if (task)
		await(task);
}

__attribute__((unused)) static void submit_and_wait(void)
{
	submit_and_await(work);
	go_out();
}

/* NULL: it has not come yet, or has ended. */
__attribute__((unused)) static struct fh_task *find_first(void)
{
	struct fh_task *task;

	return fh_tasks_get(tasks, 1, &task) ? NULL : task;
}

__attribute__((unused)) static void close_it(void)
{
	fh_tasks_close(tasks);
	go_out();
}

/* ---- the end ---- */

/* When all threads are gone. */
__attribute__((unused)) static void finish(void)
{
	struct fh_tasks_stats stats;
	uint64_t over;

	fh_tasks_get_stats(tasks, &stats);
	over = stats.completed + stats.failed + stats.cancelled +
	       stats.crashed;
	expect(stats.live == 0 && stats.submitted == over,
	       "%ju of %ju tasks ended", (uintmax_t)over,
	       (uintmax_t)stats.submitted);
	expect(load_relaxed(&ran) == stats.completed + stats.crashed ||
	       stats.cancelled || stats.failed, "%u ran", ran);
	expect(!tasks->options.observer ||
	       (told_begun == over && told_ended == over),
	       "%u beginnings and %u ends were told of %ju", told_begun,
	       told_ended, (uintmax_t)over);
	fh_tasks_destroy(tasks);
	expect(released == over, "%u files of %ju were released", released,
	       (uintmax_t)over);
}

/* A bound of none; 0 would be the program's default. */
#define NO_STALE (-1)

/* As the data of a scenario that the short form leaves out. */
#define LONG_ONLY ((const void *)1)

/*
 * The short form has one switch, and for large scenarios no older values; the
 * long form has these, and for the others a second switch.
 */
__attribute__((unused)) static int
explore_tasks(int argc, char **argv, struct scenario *scenarios, size_t count)
{
	bool prove = getenv("FH_PROVE") != NULL;
	size_t i, used = 0;

	for (i = 0; i < count; i++) {
		struct scenario scenario = scenarios[i];
		bool large = scenario.stale == NO_STALE;

		if (scenario.data == LONG_ONLY && !prove)
			continue;
		if (!scenario.preemptions)
			scenario.preemptions = prove && !large ? 2 : 1;
		if (prove && large)
			scenario.stale = 1;
		scenarios[used++] = scenario;
	}
	return schedule_main(argc, argv, scenarios, used);
}

#define LIST(array) array, sizeof(array) / sizeof(array[0])

#endif
