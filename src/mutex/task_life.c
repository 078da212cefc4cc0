/* SPDX-License-Identifier: MIT */
/*
 * task_life, the mutex twin: creation, shutdown, the last moment, fork.
 *
 * A supervisor is freed with its last reference; its owner, each of its
 * threads and each of its tasks has one, so that a reference to a task can
 * be used, and takes the lock, for as long as there is one.
 *
 * fork happens while its thread holds the locks of all supervisors: the
 * child finds them free.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "task_internal.h"

/* ---- all supervisors ---- */

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fh_tasks *all;

static void before_fork(void)
{
	struct fh_tasks *tasks;

	pthread_mutex_lock(&all_lock);
	for (tasks = all; tasks; tasks = tasks->next)
		pthread_mutex_lock(&tasks->lock);
	fh_watch_lock();
}

static void after_fork(void)
{
	struct fh_tasks *tasks;

	fh_watch_unlock();
	for (tasks = all; tasks; tasks = tasks->next)
		pthread_mutex_unlock(&tasks->lock);
	pthread_mutex_unlock(&all_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

static void enlist(struct fh_tasks *tasks)
{
	pthread_mutex_lock(&all_lock);
	tasks->next = all;
	tasks->link = &all;
	if (all)
		all->link = &tasks->next;
	all = tasks;
	pthread_mutex_unlock(&all_lock);
}

static void unlist(struct fh_tasks *tasks)
{
	pthread_mutex_lock(&all_lock);
	*tasks->link = tasks->next;
	if (tasks->next)
		tasks->next->link = tasks->link;
	pthread_mutex_unlock(&all_lock);
}

/* ---- creation ---- */

static void make_events(struct fh_tasks *tasks)
{
	pthread_mutex_init(&tasks->lock, NULL);
	pthread_cond_init(&tasks->work.cond, NULL);
	pthread_cond_init(&tasks->main_work.cond, NULL);
	pthread_cond_init(&tasks->changed.cond, NULL);
	tasks->pooled.end = &tasks->pooled.first;
	tasks->mained.end = &tasks->mained.first;
}

static int start_sweeper(struct fh_tasks *tasks)
{
	return tasks->options.sweep_every ? fh_task_hire(tasks, false) : 0;
}

static int fill(struct fh_tasks *tasks)
{
	int rc = fh_task_attributes(&tasks->options, &tasks->attr);

	make_events(tasks);
	if (rc == 0 && fh_hash_seed(&tasks->hash))
		rc = -ENOMEM;
	if (rc == 0)
		rc = fh_table_init(&tasks->by_id, 0, false);
	if (rc == 0)
		rc = fh_table_init(&tasks->by_name, 0, false);
	if (rc)
		return rc;
	tasks->main = pthread_self();
	tasks->main_thread.tasks = tasks;
	tasks->forks = fh_task_forks();
	tasks->refs = 1;
	return start_sweeper(tasks);
}

static void empty(struct fh_tasks *tasks)
{
	fh_table_free(&tasks->by_id);
	fh_table_free(&tasks->by_name);
	pthread_attr_destroy(&tasks->attr);
	pthread_cond_destroy(&tasks->work.cond);
	pthread_cond_destroy(&tasks->main_work.cond);
	pthread_cond_destroy(&tasks->changed.cond);
	pthread_mutex_destroy(&tasks->lock);
	free(tasks);
}

int fh_tasks_create(struct fh_tasks **tasks,
		    const struct fh_tasks_options *options)
{
	struct fh_tasks_options complete;
	struct fh_tasks *fresh;
	int rc = fh_task_check_options(options, &complete);

	if (rc)
		return rc;
	fresh = aligned_alloc(_Alignof(struct fh_tasks), sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	memset(fresh, 0, sizeof(*fresh));
	fresh->options = complete;
	rc = fill(fresh);
	if (rc) {
		empty(fresh);
		return rc;
	}
	enlist(fresh);
	*tasks = fresh;
	return 0;
}

void fh_tasks_drop(struct fh_tasks *tasks)
{
	void (*release)(void *) = tasks->options.release;
	void *arg = tasks->options.observer_arg;
	bool last;

	pthread_mutex_lock(&tasks->lock);
	last = --tasks->refs == 0;
	pthread_mutex_unlock(&tasks->lock);
	if (!last)
		return;
	unlist(tasks);
	empty(tasks);
	if (release)
		release(arg);
}

/* ---- shutdown ---- */

/* With the lock. */
static void close_now(struct fh_tasks *tasks)
{
	tasks->closed = true;
	if (!is_drained(tasks))
		return;
	event_tell(&tasks->changed);
	event_tell(&tasks->work);
	event_tell(&tasks->main_work);
}

void fh_tasks_close(struct fh_tasks *tasks)
{
	if (is_forked(tasks))
		return;
	pthread_mutex_lock(&tasks->lock);
	close_now(tasks);
	pthread_mutex_unlock(&tasks->lock);
}

/* With the lock, which it lets go of: each asking may call an observer. */
static void cancel_all(struct fh_tasks *tasks)
{
	struct fh_table_place place = { .hash = 0 };
	struct fh_task *task;
	void *item;

	tasks->stopping = true;
	while (!place.end) {
		if (!fh_table_page(&tasks->by_id, &place, UINT64_MAX, &item,
				   1))
			continue;
		task = item;
		fh_task_hold(task);
		fh_task_ask(task);
		pthread_mutex_unlock(&tasks->lock);
		fh_task_release(task);
		pthread_mutex_lock(&tasks->lock);
	}
}

/* With the lock. */
static int wait_drained(struct fh_tasks *tasks, int64_t deadline)
{
	bool here = pthread_equal(pthread_self(), tasks->main);
	int64_t until;
	int rc;

	while (!is_drained(tasks)) {
		until = fh_task_patience(deadline);
		if (here)
			rc = fh_main_run(tasks, until);
		else
			rc = event_wait(&tasks->changed, &tasks->lock, until);
		if (rc && until == deadline && !is_drained(tasks))
			return rc;
		if (rc)
			fh_task_sweep(tasks);
	}
	return 0;
}

/* With the lock. */
static int wait_threads(struct fh_tasks *tasks, int64_t deadline)
{
	for (;;) {
		fh_task_reap(tasks, deadline);
		if (tasks->stats.threads == 0)
			return 0;
		if (fh_now() >= deadline)
			return -ETIMEDOUT;
		if (!tasks->gone && event_wait(&tasks->changed, &tasks->lock,
					       fh_task_patience(deadline)))
			fh_task_sweep(tasks);
	}
}

int fh_tasks_shutdown_wait(struct fh_tasks *tasks, enum fh_tasks_shutdown how,
			   int64_t deadline,
			   int (*left)(const struct fh_task_info *info,
				       void *arg),
			   void *arg)
{
	struct fh_task *self = fh_task_self();
	int rc;

	if (how != FH_TASKS_DRAIN && how != FH_TASKS_CANCEL)
		return -EINVAL;
	if (is_forked(tasks))
		return -ECHILD;
	if (self && self->tasks == tasks)
		return -EDEADLK;
	pthread_mutex_lock(&tasks->lock);
	close_now(tasks);
	if (how == FH_TASKS_CANCEL)
		cancel_all(tasks);
	rc = wait_drained(tasks, deadline);
	if (rc == 0)
		rc = wait_threads(tasks, deadline);
	pthread_mutex_unlock(&tasks->lock);
	if (rc == -ETIMEDOUT && left)
		fh_tasks_for_each(tasks, left, arg);
	return rc;
}

/* In a forked child nobody else is there to give anything back. */
static void destroy_alone(struct fh_tasks *tasks)
{
	pthread_mutex_lock(&tasks->lock);
	tasks->refs -= tasks->stats.threads;
	pthread_mutex_unlock(&tasks->lock);
	fh_tasks_drop(tasks);
}

void fh_tasks_destroy(struct fh_tasks *tasks)
{
	if (!tasks)
		return;
	if (is_forked(tasks)) {
		destroy_alone(tasks);
		return;
	}
	pthread_mutex_lock(&tasks->lock);
	close_now(tasks);
	cancel_all(tasks);
	tasks->abandoned = true;
	fh_task_reap(tasks, 0);
	pthread_mutex_unlock(&tasks->lock);
	fh_tasks_drop(tasks);
}
