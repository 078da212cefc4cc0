/* SPDX-License-Identifier: MIT */
/*
 * The supervisor that went wrong, as it was: a task's thread is published
 * before it is started, and a janitor on a clock fails every task whose
 * thread is set and not alive.  One lock guards it all; the fault is none of
 * locking.
 */
#ifndef FH_TEST_TASK_ORIGINAL_H
#define FH_TEST_TASK_ORIGINAL_H

#include "threads.h"

#define JANITOR_NS INT64_C(50000000)	/* it looks every 0.05 s */

enum { ORIGINAL_OPEN, ORIGINAL_COMPLETED, ORIGINAL_DEAD };

struct original_task {
	struct original_task *next;
	struct original *all;
	bool thread_set;	/* self.thread = Thread(...) */
	tally alive;		/* thread.is_alive() */
	pthread_t thread;
	int state;
};

struct original {
	pthread_mutex_t lock;
	struct original_task *first;
	tally stop;
	pthread_t janitor;
};

static void *original_run(void *arg)
{
	struct original_task *task = arg;

	store_seq_cst(&task->alive, 1);
	pthread_mutex_lock(&task->all->lock);
	if (task->state == ORIGINAL_OPEN)
		task->state = ORIGINAL_COMPLETED;
	pthread_mutex_unlock(&task->all->lock);
	return NULL;
}

static void original_look(struct original *all)
{
	struct original_task *task;

	pthread_mutex_lock(&all->lock);
	for (task = all->first; task; task = task->next)
		if (task->state == ORIGINAL_OPEN && task->thread_set &&
		    !load_seq_cst(&task->alive))
			task->state = ORIGINAL_DEAD; /* "thread death" */
	pthread_mutex_unlock(&all->lock);
}

static void *original_janitor(void *arg)
{
	struct original *all = arg;

	while (!load_seq_cst(&all->stop)) {
		sleep_ns(JANITOR_NS);
		original_look(all);
	}
	return NULL;
}

__attribute__((unused)) static void original_open(struct original *all)
{
	*all = (struct original){ .first = NULL };
	pthread_mutex_init(&all->lock, NULL);
	if (pthread_create(&all->janitor, NULL, original_janitor, all))
		bail_out("no janitor");
}

__attribute__((unused)) static void original_close(struct original *all)
{
	store_seq_cst(&all->stop, 1);
	pthread_join(all->janitor, NULL);
	pthread_mutex_destroy(&all->lock);
}

static void original_unlist(struct original_task *task)
{
	struct original_task **link = &task->all->first;

	pthread_mutex_lock(&task->all->lock);
	while (*link != task)
		link = &(*link)->next;
	*link = task->next;
	pthread_mutex_unlock(&task->all->lock);
}

/* Launch one, wait for its thread; true: the janitor called it dead. */
__attribute__((unused)) static bool original_task(struct original *all)
{
	struct original_task task = { .all = all };

	pthread_mutex_lock(&all->lock);
	task.next = all->first;
	all->first = &task;
	task.thread_set = true;	/* published ... */
	pthread_mutex_unlock(&all->lock);
	if (pthread_create(&task.thread, NULL, original_run, &task))
		bail_out("no thread");	/* ... before it is started */
	pthread_join(task.thread, NULL);
	original_unlist(&task);
	return task.state == ORIGINAL_DEAD;
}

#endif
