/* SPDX-License-Identifier: MIT */
/*
 * task: threads that end where they should not: by pthread_exit, by
 * cancellation, by a raw system call that no hook sees; and what threads
 * have from their supervisor.
 *
 * What would be seen if the library were wrong: a death that nobody reports
 * leaves its task running, and the wait for it fails; one that is reported
 * twice is told twice, or counted; a thread of the pool that is not replaced
 * leaves what is queued behind it for ever.
 */
#include "tasks.h"

#include <signal.h>
#include <sys/syscall.h>

static int leave(struct fh_task *task, void *arg)
{
	(void)task;
	pthread_exit(arg);
}

static int leave_deeply(struct fh_task *task, void *arg)
{
	pthread_cleanup_push(count_release, arg);
	if (fh_task_set_output(task, arg, count_release) == 0)
		leave(task, arg);
	pthread_cleanup_pop(0);
	return 0;
}

static void is_crash(const struct fh_task_info *info, const char *how)
{
	is(info->state, FH_TASK_CRASHED, "%s: crashed", how);
	is(info->error, -EOWNERDEAD, "with this error");
	ok(!strcmp(info->cause, "thread death"), "and its cause");
}

static void test_exit(unsigned threads)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	tally left = 0;
	struct fh_task_info info = await(submit(tasks, leave_deeply, &left));
	unsigned i, crashed = 0;

	is_crash(&info, kind_name(threads));
	ok(info.started && info.ended >= info.started, "it did run");
	is(await(submit(tasks, nothing, NULL)).state, FH_TASK_COMPLETED,
	   "the next one runs");
	for (i = 0; i < 20; i++)
		crashed += await(submit(tasks, leave, NULL)).state ==
			   FH_TASK_CRASHED;
	is(crashed, 20, "one after the other crashes");
	is(stats_of(tasks).crashed, 21, "and is counted");
	is(stats_of(tasks).dropped, 0, "once");
	put_away(tasks);
	is(diary.path[1], WENT_DOWN, "the observer was told");
	is(diary.told, 22 * 4, "of all, once each");
	is(load_seq_cst(&left), 2, "its own handler ran, its output went");
}

/* Many are queued behind those that end their threads. */
static void test_replacement(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	unsigned i, count = (unsigned)scaled(60, 30);
	struct fh_tasks_stats stats;

	for (i = 0; i < count; i++)
		fh_task_release(submit(tasks, i % 3 ? nothing : leave, NULL));
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, SOON, NULL, NULL), 0,
	   "%s: all are served", kind_name(threads));
	stats = stats_of(tasks);
	is(stats.crashed, (count + 2) / 3, "a third crashed");
	is(stats.completed, count - (count + 2) / 3, "the others completed");
	ok(stats.created >= stats.crashed, "threads were replaced");
	is(stats.threads, 0, "and are gone");
	fh_tasks_destroy(tasks);
}

/* ---- cancellation of the thread ---- */

struct victim {
	struct door door;
	pthread_t thread;
	int waits;		/* at a cancellation point */
};

static int offer_thread(struct fh_task *task, void *arg)
{
	struct victim *victim = arg;

	victim->thread = pthread_self();
	pass_door(task, &victim->door);
	while (victim->waits)
		pthread_testcancel(); /* no sanitizer stands in it */
	return 0;
}

static void test_cancelled(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct victim victim = { .waits = 1 };
	struct fh_task *task = submit(tasks, offer_thread, &victim);
	struct fh_task_info info;

	await_tally(&victim.door.before, 1);
	pthread_cancel(victim.thread);
	open_door(&victim.door);
	info = await(task);
	is_crash(&info, "cancelled");
	is(await(submit(tasks, nothing, NULL)).state, FH_TASK_COMPLETED,
	   "%s: the next one runs", kind_name(threads));
	put_away(tasks);
}

/* An observer is no place to be cancelled at, whatever it calls. */
static void look_for_cancellation(struct fh_task *task,
				  const struct fh_task_info *info, void *arg)
{
	(void)task;
	pthread_testcancel();
	if (FH_TASK_IS_OVER(info->state))
		add_seq_cst((tally *)arg, 1);
}

/* The function returns before it comes to a cancellation point. */
static void test_cancelled_late(void)
{
	tally ends = 0;
	const struct fh_tasks_options options = {
		.threads = 1, .observer = look_for_cancellation,
		.observer_arg = &ends };
	struct fh_tasks *tasks = supervisor_with(&options);
	unsigned i, completed = 0, rounds = (unsigned)scaled(50, 10);

	for (i = 0; i < rounds; i++) {
		struct victim victim = { .waits = 0 };
		struct fh_task *task = submit(tasks, offer_thread, &victim);

		await_tally(&victim.door.before, 1);
		pthread_cancel(victim.thread);
		open_door(&victim.door);
		completed += await(task).state == FH_TASK_COMPLETED;
		victim.waits = 0;
		completed += await(submit(tasks, nothing, NULL)).state ==
			     FH_TASK_COMPLETED;
	}
	is(completed, 2 * rounds, "a late cancellation hits no task");
	is(stats_of(tasks).crashed, 0, "none crashed");
	is(stats_of(tasks).created, rounds + 1, "the thread was replaced");
	put_away(tasks);
	is(load_seq_cst(&ends), 2 * rounds, "the observer heard of all");
}

/* ---- a thread that vanishes ---- */

static int vanish(struct fh_task *task, void *arg)
{
	(void)task;
	store_seq_cst((tally *)arg, 1);
	syscall(SYS_exit, 0);
	return 0;
}

/* The sanitizers keep books of threads, and this one is not crossed out. */
static void test_vanished(unsigned threads, int64_t every)
{
	const struct fh_tasks_options options = { .threads = threads,
						  .sweep_every = every };
	struct fh_tasks *tasks = supervisor_with(&options);
	tally there = 0;
	struct fh_task *task = submit(tasks, vanish, &there), *next;
	size_t found = 0;
	struct fh_task_info info;

	next = submit(tasks, nothing, NULL);
	await_tally(&there, 1);
	while (!every && fh_task_wait(task, fh_deadline_in(MS), &info))
		found += fh_tasks_sweep(tasks);
	info = await(task);
	is_crash(&info, "vanished");
	is(found, every ? 0 : 1, "one sweep found it");
	while (!stats_of(tasks).swept) /* said after the end is told */
		sleep_ns(MS);
	is(stats_of(tasks).swept, 1, "and it is counted");
	is(await(next).state, FH_TASK_COMPLETED, "%s: the next one runs",
	   kind_name(threads));
	put_away(tasks);
}

/* Ended from outside before: nobody waits, but the thread must be missed. */
static void test_vanished_late(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	const struct fh_task_report report = { .state = FH_TASK_COMPLETED };
	struct victim victim = { .waits = 0 };
	struct fh_task *task = submit(tasks, offer_thread, &victim);
	tally there = 0;

	await_tally(&victim.door.before, 1);
	fh_task_end(task, &report);
	fh_task_release(task);
	open_door(&victim.door);
	task = submit(tasks, vanish, &there);
	await_tally(&there, 1);
	fh_task_end(task, &report);
	fh_task_release(task);
	put_away(tasks);
	ok(1, "%s: a shutdown sweeps", kind_name(threads));
}

/* None that is there, or has yet to come, is taken for dead. */
static void test_sweep_alive(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct door door = { .before = 0 };
	size_t i, found = 0;

	for (i = 0; i < 20; i++) {
		fh_task_release(submit(tasks, pass_door, &door));
		found += fh_tasks_sweep(tasks);
	}
	for (i = 0; i < 50; i++)
		found += fh_tasks_sweep(tasks);
	is(found, 0, "%s: a sweep finds nobody", kind_name(threads));
	open_door(&door);
	put_away(tasks);
	is(door.behind, 20, "all ran");
}

/* ---- what threads have ---- */

static int look_at_mask(struct fh_task *task, void *arg)
{
	sigset_t mask;

	(void)task;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	*(int *)arg = sigismember(&mask, SIGUSR2);
	return 0;
}

/* Whoever causes a thread to be created, it has the creator's mask. */
static void test_mask(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	sigset_t mask;
	int blocked = 7;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	await(submit(tasks, look_at_mask, &blocked));
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	is(blocked, 0, "the mask is that of the supervisor's creator");
	put_away(tasks);
}

static int look_at_stack(struct fh_task *task, void *arg)
{
	pthread_attr_t attr;

	(void)task;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, (size_t *)arg);
	pthread_attr_destroy(&attr);
	return 0;
}

static void test_stack(void)
{
	const struct fh_tasks_options options = { .stack_size = 1 << 20 };
	struct fh_tasks *tasks = supervisor_with(&options);
	size_t size = 0;

	await(submit(tasks, look_at_stack, &size));
	ok(size >= 1 << 19 && size <= 2 << 20, "a stack of %zu", size);
	put_away(tasks);
}

int main(void)
{
	unsigned i;

	watchdog(240);
	for (i = 0; i < KINDS; i++) {
		test_exit(kinds[i]);
		test_replacement(kinds[i]);
		test_cancelled(kinds[i]);
		test_sweep_alive(kinds[i]);
		test_mask(kinds[i]);
		if (SANITIZED)
			continue;
		test_vanished(kinds[i], 0);
		test_vanished(kinds[i], 5 * MS);
		test_vanished_late(kinds[i]);
	}
	test_cancelled_late();
	test_stack();
	if (SANITIZED)
		skip("threads that vanish, under a sanitizer");
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
