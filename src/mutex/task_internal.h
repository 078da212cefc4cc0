/* SPDX-License-Identifier: MIT */
/*
 * What the files of the supervisor's mutex twin share.  Internal.
 *
 *     task.c         references, looking, waiting
 *     task_state.c   launch, run, end, cancel; observers
 *     task_thread.c  threads, the pool, the main queue, the sweep
 *     task_submit.c  submission, search, listing
 *     task_life.c    creation, shutdown, fork
 *
 * One lock guards a supervisor, its tasks and its threads.  The callers'
 * functions run without it; so do creating and joining threads.  What is said
 * of a function here, "with the lock", means that it is held when the
 * function is called and when it returns; some let go of it meanwhile.
 *
 * A condition variable is signalled only while somebody waits for it.
 */
#ifndef FH_MUTEX_TASK_INTERNAL_H
#define FH_MUTEX_TASK_INTERNAL_H

#include <freehold/task.h>

#include <pthread.h>

#include "../atomic.h"
#include "../hash.h"
#include "../task_rules.h"
#include "lock.h"
#include "table.h"

/* A condition, and how many wait for it. */
struct event {
	pthread_cond_t cond;
	unsigned waiters;
};

struct task_thread {
	struct task_thread *next, **link;	/* of all, or of the gone */
	struct fh_tasks *tasks;
	struct fh_task *task;	/* whose function it runs */
	pthread_t id;
	int tid;		/* 0: it has not said that it is there */
	bool pooled, sweeps;
};

struct task_queue {
	struct fh_task *first, **end;
	size_t count;
};

struct fh_task {
	struct fh_tasks *tasks;
	_Atomic(unsigned) refs;
	enum fh_task_state state;
	bool asked, taken, watched, telling;
	unsigned changes, told;
	uint64_t id, id_hash, name_hash;
	const struct task_result *result;
	struct event changed;
	struct fh_task *next, **link;	/* in a queue; link: NULL if in none */
	fh_task_function run;
	void *arg;
	void (*release)(void *arg);
	enum fh_task_queue queue;
	int64_t submitted, started, ended;
	struct task_result own;
	char *own_cause;
	char *name;		/* NULL, or behind the struct */
};

struct fh_tasks {
	struct fh_tasks_options options;
	struct fh_hash hash;
	pthread_attr_t attr;
	pthread_t main;
	uint64_t forks;
	struct fh_tasks *next, **link;	/* of all, for fork */
	struct task_thread main_thread;
	pthread_mutex_t lock __attribute__((aligned(64)));
	struct fh_table by_id, by_name;
	struct task_queue pooled, mained;
	struct event work, main_work, changed;
	struct task_thread *there, *gone;
	unsigned seated;	/* threads of the pool */
	size_t live, places;
	uint64_t refs;		/* owner, tasks, threads */
	bool closed, stopping, abandoned;
	uint64_t last_id, launched;
	struct fh_tasks_stats stats;
};

static inline bool is_forked(const struct fh_tasks *tasks)
{
	return tasks->forks != fh_task_forks();
}

static inline bool is_drained(const struct fh_tasks *tasks)
{
	return tasks->closed && tasks->live == 0;
}

/* With the lock. */
static inline void event_tell(struct event *event)
{
	if (event->waiters)
		pthread_cond_broadcast(&event->cond);
}

static inline int event_wait(struct event *event, pthread_mutex_t *lock,
			     int64_t deadline)
{
	int rc;

	event->waiters++;
	rc = fh_cond_wait_until(&event->cond, lock, deadline);
	event->waiters--;
	return rc;
}

/* ---- task.c ---- */

/* With the lock. */
void fh_task_describe(const struct fh_task *task, enum fh_task_state state,
		      struct fh_task_info *info);

/* What all waits for several tasks share; wakes them. */
void fh_watch_wake(void);
void fh_watch_lock(void);
void fh_watch_unlock(void);

/* ---- task_state.c: with the lock ---- */

bool fh_task_conclude(struct fh_task *task, const struct task_result *result);
void fh_task_refuse(struct fh_task *task, int error);
int fh_task_ask(struct fh_task *task);

/* Take a task from the queue, launched; NULL: there is none. */
struct fh_task *fh_task_next(struct task_queue *queue);
void fh_task_launch(struct fh_task *task);
void fh_task_tell(struct fh_task *task);

/* Without the lock: the life of a launched task; uses up a reference. */
void fh_task_run(struct task_thread *thread, struct fh_task *task);

/* ---- task_thread.c ---- */

/* Without the lock; 0 or negative.  On success it owns the record. */
int fh_task_thread_start(struct task_thread *thread);

/* Without the lock: one more for the pool, or one that sweeps. */
int fh_task_hire(struct fh_tasks *tasks, bool pooled);

/* With the lock. */
void fh_pool_staff(struct fh_tasks *tasks);
void fh_task_reap(struct fh_tasks *tasks, int64_t deadline);
int fh_main_run(struct fh_tasks *tasks, int64_t deadline);
size_t fh_task_sweep(struct fh_tasks *tasks);

/* ---- task_submit.c: with the lock ---- */

void fh_task_unlist(struct fh_task *task);

/* ---- task_life.c: without the lock ---- */

void fh_tasks_drop(struct fh_tasks *tasks);

#endif
