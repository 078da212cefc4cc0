/* SPDX-License-Identifier: MIT */
/*
 * task_state, the mutex twin: what changes a task, and who hears of it.
 *
 * Everything happens with the lock held, but for the observer: one thread
 * tells of a task at a time, and goes on until it has told of every change,
 * on behalf of those who made one meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include "task_internal.h"

/* ---- observers ---- */

static void tell_one(struct fh_task *task)
{
	struct fh_tasks *tasks = task->tasks;
	struct fh_task_info info;
	enum fh_task_state state;

	state = ++task->told == task->changes ? task->state :
			(enum fh_task_state)(FH_TASK_QUEUED + task->told - 1);
	if (tasks->options.observer) {
		fh_task_describe(task, state, &info);
		pthread_mutex_unlock(&tasks->lock);
		tasks->options.observer(task, &info,
					tasks->options.observer_arg);
		pthread_mutex_lock(&tasks->lock);
	}
	if (!FH_TASK_IS_OVER(state))
		return;
	tasks->live--;
	if (is_drained(tasks)) {
		event_tell(&tasks->changed);
		event_tell(&tasks->work);
		event_tell(&tasks->main_work);
	}
}

void fh_task_tell(struct fh_task *task)
{
	if (task->telling)
		return;
	task->telling = true;
	while (task->told < task->changes)
		tell_one(task);
	task->telling = false;
}

/* ---- ends ---- */

static void count_end(struct fh_tasks_stats *stats, enum fh_task_state state)
{
	switch (state) {
	case FH_TASK_COMPLETED:
		stats->completed++;
		break;
	case FH_TASK_FAILED:
		stats->failed++;
		break;
	case FH_TASK_CANCELLED:
		stats->cancelled++;
		break;
	default:
		stats->crashed++;
	}
}

/* One that is already over drops the report. */
bool fh_task_conclude(struct fh_task *task, const struct task_result *result)
{
	struct fh_tasks *tasks = task->tasks;

	if (task->result) {
		tasks->stats.dropped++;
		return false;
	}
	task->result = result;
	task->state = result->report.state;
	task->ended = fh_now();
	task->changes++;
	tasks->places--;
	count_end(&tasks->stats, task->state);
	fh_task_unlist(task);
	event_tell(&task->changed);
	if (task->watched)
		fh_watch_wake();
	fh_task_tell(task);
	return true;
}

void fh_task_refuse(struct fh_task *task, int error)
{
	fh_task_by_errno(&task->own.report, error);
	fh_task_conclude(task, &task->own);
}

static int end_running(struct fh_task *task, struct task_result *result)
{
	if (task->state < FH_TASK_RUNNING)
		return -EBUSY;
	if (!FH_TASK_IS_OVER(task->state) && is_forked(task->tasks))
		return -ECHILD;
	return fh_task_conclude(task, result) ? 0 : -EALREADY;
}

int fh_task_end(struct fh_task *task, const struct fh_task_report *report)
{
	struct task_result *result;
	int rc;

	if (fh_task_check_report(report))
		return -EINVAL;
	result = fh_task_copy_report(report);
	if (!result)
		return -ENOMEM;
	pthread_mutex_lock(&task->tasks->lock);
	rc = end_running(task, result);
	pthread_mutex_unlock(&task->tasks->lock);
	if (rc)
		free(result);
	return rc;
}

/* ---- the queues ---- */

static void unlink_task(struct fh_task *task, struct task_queue *queue)
{
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	else
		queue->end = task->link;
	task->link = NULL;
	queue->count--;
}

void fh_task_launch(struct fh_task *task)
{
	task->state = FH_TASK_LAUNCHED;
	task->changes++;
	task->tasks->launched++;
	fh_task_tell(task);
}

struct fh_task *fh_task_next(struct task_queue *queue)
{
	struct fh_task *task = queue->first;

	if (!task)
		return NULL;
	unlink_task(task, queue);
	fh_task_launch(task);
	return task;
}

/* ---- cancellation ---- */

static void take_out(struct fh_task *task)
{
	struct fh_tasks *tasks = task->tasks;
	bool queued = task->link != NULL;

	if (queued)
		unlink_task(task, task->queue == FH_TASK_MAIN ?
				  &tasks->mained : &tasks->pooled);
	tasks->launched++;
	fh_task_conclude(task, &fh_task_unstarted);
	if (!queued)
		return; /* who submits it still has the reference */
	pthread_mutex_unlock(&tasks->lock);
	fh_task_release(task);
	pthread_mutex_lock(&tasks->lock);
}

int fh_task_ask(struct fh_task *task)
{
	if (FH_TASK_IS_OVER(task->state))
		return -ESRCH;
	if (task->asked)
		return -EALREADY;
	if (is_forked(task->tasks))
		return -ECHILD;
	task->asked = true;
	if (task->state == FH_TASK_QUEUED)
		take_out(task);
	else
		event_tell(&task->changed);
	return 0;
}

int fh_task_cancel(struct fh_task *task)
{
	int rc;

	pthread_mutex_lock(&task->tasks->lock);
	rc = fh_task_ask(task);
	pthread_mutex_unlock(&task->tasks->lock);
	return rc;
}

/* ---- a run ---- */

/* With the lock; false: it was asked to end and does not run. */
static bool begin(struct fh_task *task)
{
	if (task->asked) {
		fh_task_conclude(task, &fh_task_unstarted);
		return false;
	}
	task->started = fh_now();
	task->state = FH_TASK_RUNNING;
	task->changes++;
	fh_task_tell(task);
	return true;
}

static void run_and_report(struct fh_task *task)
{
	pthread_mutex_t *lock = &task->tasks->lock;
	bool runs;
	int rc;

	pthread_mutex_lock(lock);
	runs = begin(task);
	pthread_mutex_unlock(lock);
	if (!runs)
		return;
	rc = fh_task_call(task, task->run, task->arg);
	fh_task_by_return(&task->own.report, rc, task->own_cause);
	pthread_mutex_lock(lock);
	fh_task_conclude(task, &task->own);
	pthread_mutex_unlock(lock);
}

void fh_task_run(struct task_thread *thread, struct fh_task *task)
{
	struct fh_task *outer = fh_task_self();

	thread->task = task;
	fh_task_set_self(task);
	run_and_report(task);
	fh_task_set_self(outer);
	thread->task = NULL;
	fh_task_release(task);
}
