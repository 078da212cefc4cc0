/* SPDX-License-Identifier: MIT */
/*
 * task, the mutex twin: references to tasks, looking at them, waiting.
 *
 * Each task has a condition variable for those who wait for its end or for
 * its cancellation; those who wait for several share one of the process.
 */
#include <errno.h>
#include <stdlib.h>

#include "task_internal.h"

void fh_task_hold(struct fh_task *task)
{
	add_relaxed(&task->refs, 1);
}

static void release_content(struct fh_task *task)
{
	if (task->result && !task->taken)
		fh_task_release_output(&task->result->report);
	if (task->result != &task->own)
		fh_task_release_output(&task->own.report);
	if (task->release)
		task->release(task->arg);
	if (task->result && task->result->allocated)
		free((void *)(uintptr_t)task->result);
	free(task->own_cause);
}

void fh_task_release(struct fh_task *task)
{
	struct fh_tasks *tasks;

	/* pairs with: task.refs */
	if (!task || sub_acq_rel(&task->refs, 1) != 1)
		return;
	tasks = task->tasks;
	release_content(task);
	pthread_cond_destroy(&task->changed.cond);
	free(task);
	fh_tasks_drop(tasks);
}

void fh_task_describe(const struct fh_task *task, enum fh_task_state state,
		      struct fh_task_info *info)
{
	*info = (struct fh_task_info){
		.id = task->id,
		.name = task->name,
		.arg = task->arg,
		.state = state,
		.queue = task->queue,
		.asked = task->asked,
		.submitted = task->submitted,
	};
	if (state >= FH_TASK_RUNNING)
		info->started = task->started;
	if (!FH_TASK_IS_OVER(state))
		return;
	info->error = task->result->report.error;
	info->cause = task->result->report.cause;
	info->ended = task->ended;
}

void fh_task_get_info(struct fh_task *task, struct fh_task_info *info)
{
	pthread_mutex_lock(&task->tasks->lock);
	fh_task_describe(task, task->state, info);
	pthread_mutex_unlock(&task->tasks->lock);
}

int fh_task_is_cancelled(struct fh_task *task)
{
	bool asked;

	pthread_mutex_lock(&task->tasks->lock);
	asked = task->asked;
	pthread_mutex_unlock(&task->tasks->lock);
	return asked;
}

int fh_task_take(struct fh_task *task, struct fh_task_report *report)
{
	int rc = 0;

	pthread_mutex_lock(&task->tasks->lock);
	if (!FH_TASK_IS_OVER(task->state))
		rc = -EBUSY;
	else if (task->taken)
		rc = -EALREADY;
	if (rc == 0) {
		task->taken = true;
		*report = task->result->report;
	}
	pthread_mutex_unlock(&task->tasks->lock);
	return rc;
}

/* ---- what the function says before it returns ---- */

int fh_task_set_output(struct fh_task *task, void *output,
		       void (*release)(void *output))
{
	struct fh_task_report before;

	if (fh_task_self() != task)
		return -EPERM;
	before = task->own.report;
	task->own.report.output = output;
	task->own.report.release = release;
	fh_task_release_output(&before);
	return 0;
}

int fh_task_set_cause(struct fh_task *task, const char *cause)
{
	char *copy;

	if (fh_task_self() != task)
		return -EPERM;
	copy = fh_task_copy_text(cause);
	if (!copy)
		return -ENOMEM;
	free(task->own_cause);
	task->own_cause = copy;
	return 0;
}

/* ---- waiting ---- */

/* With the lock: may the calling thread wait for its end? */
static int may_wait(const struct fh_task *task)
{
	if (FH_TASK_IS_OVER(task->state))
		return 0;
	if (is_forked(task->tasks))
		return -ECHILD;
	return fh_task_self() == task ? -EDEADLK : 0;
}

int fh_task_wait(struct fh_task *task, int64_t deadline,
		 struct fh_task_info *info)
{
	pthread_mutex_t *lock = &task->tasks->lock;
	int rc;

	pthread_mutex_lock(lock);
	rc = may_wait(task);
	while (rc == 0 && !FH_TASK_IS_OVER(task->state))
		rc = event_wait(&task->changed, lock, deadline);
	if (FH_TASK_IS_OVER(task->state))
		rc = 0;
	if (info)
		fh_task_describe(task, task->state, info);
	pthread_mutex_unlock(lock);
	return rc;
}

int fh_task_cancel_wait(struct fh_task *task, int64_t deadline)
{
	pthread_mutex_t *lock = &task->tasks->lock;
	int rc = 0;

	if (is_forked(task->tasks) && fh_task_self() != task)
		return -ECHILD;
	pthread_mutex_lock(lock);
	while (rc == 0 && !task->asked && !FH_TASK_IS_OVER(task->state))
		rc = event_wait(&task->changed, lock, deadline);
	if (task->asked)
		rc = 0;
	else if (FH_TASK_IS_OVER(task->state))
		rc = -ESRCH;
	pthread_mutex_unlock(lock);
	return rc;
}

static pthread_mutex_t watch_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct event watch_event = { .cond = PTHREAD_COND_INITIALIZER };
static uint64_t watched_ends;

void fh_watch_lock(void)
{
	pthread_mutex_lock(&watch_mutex);
}

void fh_watch_unlock(void)
{
	pthread_mutex_unlock(&watch_mutex);
}

void fh_watch_wake(void)
{
	fh_watch_lock();
	watched_ends++;
	event_tell(&watch_event);
	fh_watch_unlock();
}

static uint64_t watch_look(void)
{
	uint64_t ends;

	fh_watch_lock();
	ends = watched_ends;
	fh_watch_unlock();
	return ends;
}

static int watch_wait(uint64_t seen, int64_t deadline)
{
	int rc = 0;

	fh_watch_lock();
	while (rc == 0 && watched_ends == seen)
		rc = event_wait(&watch_event, &watch_mutex, deadline);
	fh_watch_unlock();
	return rc;
}

/* 0: it has ended; -EAGAIN: not yet, it is watched; or why not. */
static int watch(struct fh_task *task)
{
	int rc;

	pthread_mutex_lock(&task->tasks->lock);
	rc = may_wait(task);
	if (rc == 0 && !FH_TASK_IS_OVER(task->state)) {
		task->watched = true;
		rc = -EAGAIN;
	}
	pthread_mutex_unlock(&task->tasks->lock);
	return rc;
}

static int look_at_all(struct fh_task *const *task, size_t count,
		       size_t *index)
{
	int rc, none = -EDEADLK;

	for (*index = 0; *index < count; ++*index) {
		rc = watch(task[*index]);
		if (rc == 0)
			return 0;
		if (rc == -EAGAIN || none == -EDEADLK)
			none = rc;
	}
	return none;
}

int fh_task_wait_any(struct fh_task *const *task, size_t count,
		     int64_t deadline, size_t *index)
{
	int rc, timeout = 0;
	uint64_t seen;
	size_t first;

	if (count == 0)
		return -EINVAL;
	for (;;) {
		seen = watch_look();
		rc = look_at_all(task, count, &first);
		if (rc != -EAGAIN || timeout)
			break;
		timeout = watch_wait(seen, deadline);
	}
	if (rc == 0)
		*index = first;
	return rc == -EAGAIN ? timeout : rc;
}
