/* SPDX-License-Identifier: MIT */
/*
 * task_main: the queue of the main thread, which runs it when it likes.
 *
 * There is one main thread, the one that created the supervisor, so tasks
 * run in the order in which they were queued, one after the other.  The
 * thread sleeps as those of a pool do (law 1 of task_pool.c), on `main_park`:
 * it announces, fences and looks again; who queues a task, or drains the
 * supervisor, does so, fences and looks for the announcement.
 *
 * If a function ends the main thread, its task crashes as any other does.
 */
#include "task_internal.h"
#include "wait.h"

#include <errno.h>

enum { AWAKE, ASLEEP };

bool fh_main_is_here(struct fh_tasks *tasks)
{
	return pthread_equal(pthread_self(), tasks->main);
}

void fh_main_wake(struct fh_tasks *tasks)
{
	fence_seq_cst();
	if (load_relaxed(&tasks->main_park) == ASLEEP &&
	    swap_relaxed(&tasks->main_park, AWAKE) == ASLEEP)
		fh_wake_one(&tasks->main_park);
}

/* The thread ends in a function of the main queue. */
static void main_ends(void *arg)
{
	struct fh_tasks *tasks = arg;
	struct fh_task *task = tasks->main_thread.task;
	int state;

	if (!task)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	tasks->main_thread.task = NULL;
	fh_task_set_self(NULL);
	fh_task_conclude(task, &fh_task_vanished);
	fh_task_release(task);
}

static void run(struct fh_tasks *tasks, struct fh_task *task)
{
	pthread_cleanup_push(main_ends, tasks);
	fh_task_run(&tasks->main_thread, task);
	pthread_cleanup_pop(0);
}

/*
 * Run what is there, and what comes, until there is nothing; past the
 * deadline no more than what was there at first.
 */
static void run_queue(struct fh_tasks *tasks, int64_t deadline)
{
	uint64_t newest = load_relaxed(&tasks->last_id), id;
	struct fh_task *task;

	while ((task = fh_task_queue_next(&tasks->mained))) {
		id = task->by_id.key.word[0];
		run(tasks, task);
		if (id >= newest && fh_now() >= deadline)
			break;
	}
}

static int rest(struct fh_tasks *tasks, int64_t deadline)
{
	int rc = 0;

	store_relaxed(&tasks->main_park, ASLEEP);
	fence_seq_cst();
	fh_point("main.idle");
	if (fh_task_queue_is_empty(&tasks->mained) &&
	    !fh_tasks_are_drained(tasks))
		rc = fh_wait_on(&tasks->main_park, ASLEEP, deadline);
	store_relaxed(&tasks->main_park, AWAKE);
	return rc;
}

int fh_main_run(struct fh_tasks *tasks, int64_t deadline)
{
	int rc = 0, state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	while (!fh_tasks_are_drained(tasks) && rc == 0) {
		run_queue(tasks, deadline);
		rc = fh_now() < deadline ? rest(tasks, deadline) : -ETIMEDOUT;
	}
	pthread_setcancelstate(state, NULL);
	return fh_tasks_are_drained(tasks) ? 0 : rc;
}

int fh_tasks_run_main_wait(struct fh_tasks *tasks, int64_t deadline)
{
	if (is_forked(tasks->forks))
		return -ECHILD;
	if (!fh_main_is_here(tasks))
		return -EPERM;
	if (fh_task_self())
		return -EDEADLK;
	return fh_main_run(tasks, deadline);
}
