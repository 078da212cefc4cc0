/* SPDX-License-Identifier: MIT */
/*
 * task_thread: how threads begin, how their end is observed, who joins them,
 * and the sweep.
 *
 *     fate       meaning                         written by
 *     THERE      it runs, or has yet to          creation
 *     LEAVES     it reported its end             itself, in its last act
 *     VANISHED   the kernel does not know it     one sweep, from THERE alone
 *     BURIED     joined; nothing will touch it   who joined it
 *
 *       tid == 0 --> tid != 0 --> LEAVES --> in `gone` --> joined --> BURIED
 *                        \
 *                         `--> VANISHED
 *
 * Laws
 *
 *  1. A thread says that it is there by storing its kernel id, before it does
 *     anything else.  Before that no sweep looks at it, however long the
 *     system takes to run it: this is where the janitor went wrong whose
 *     tasks were "dead" before they had started.
 *  2. The end of a thread is observed on the thread, by a cleanup handler
 *     around all that it runs: it runs when the thread returns, when a
 *     function calls pthread_exit, and when the thread is cancelled.  It
 *     marks the thread first, then reports the task that it was in, if any.
 *  3. A sweep reports a thread only if the kernel does not know its id any
 *     more and it has not marked itself *after* that: a thread marks itself
 *     while it is alive, so one that is dead without a mark went by no hook.
 *     An id that the system has given to another thread meanwhile hides the
 *     death until that one is gone; it never makes up one.
 *  4. A thread that left is pushed to `gone`.  Whoever takes the list whole
 *     owns those in it, with their references to the supervisor, joins the
 *     ones that are dead by now, without waiting, and puts back the others.
 *     So a thread holds one more reference while it pushes itself and tells
 *     who waits.  Every thread that leaves does so for those before it, so
 *     their number does not grow.
 *  5. A thread that vanished is never joined: joining frees its stack with
 *     its thread-local variables, and what went by our hook went by the hooks
 *     of others too, who may still refer to them (liburcu's list of readers
 *     does).  That costs its stack.
 *  6. When the supervisor is destroyed the list ends: who leaves then is
 *     detached, and drops its reference to the supervisor itself.
 *
 * Progress: lock-free, but for what the system does in pthread_create and
 * pthread_tryjoin_np.  fh_task_reap waits if it is asked to.
 */
#include "task_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What `gone` points to when nobody will look at it any more. */
static struct task_thread nobody;
#define ABANDONED (&nobody)

/* ---- what is left of a thread ---- */

static void free_thread(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct task_thread, rcu));
}

/* It is gone for good: its memory, and what it held. */
static void bury(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;
	struct fh_task *own = thread->own;

	fh_rcu_read_lock(); /* a sweep may be faster at taking it out */
	/* pairs with: thread.fate */
	store_release(&thread->fate, THREAD_BURIED);
	if (own)
		fh_task_unlist(own);
	else if (!thread->sweeps)
		fh_rcu_retire(&thread->rcu, free_thread);
	fh_rcu_read_unlock();
	/* pairs with: tasks.threads */
	if (sub_acq_rel(&tasks->threads, 1) == 1)
		fh_status_set(&tasks->exits, 0);
	fh_tasks_drop(tasks);
}

/* Law 4; false: law 6. */
static bool put(struct fh_tasks *tasks, struct task_thread *thread)
{
	struct task_thread *first = load_relaxed(&tasks->gone);

	do {
		if (first == ABANDONED)
			return false;
		thread->next = first;
		/* pairs with: tasks.gone */
	} while (!cas_release_relaxed(&tasks->gone, &first, thread));
	fh_status_set(&tasks->exits, 0);
	return true;
}

static struct task_thread *take_all(struct fh_tasks *tasks,
				    struct task_thread *instead)
{
	struct task_thread *first = load_relaxed(&tasks->gone);

	do {
		if (first == ABANDONED || first == instead)
			return NULL;
		/* pairs with: tasks.gone */
	} while (!cas_acq_rel_relaxed(&tasks->gone, &first, instead));
	return first;
}

static void detach(struct task_thread *thread)
{
	pthread_detach(thread->id);
	bury(thread);
}

void fh_task_reap(struct fh_tasks *tasks, int64_t deadline)
{
	struct task_thread *thread = take_all(tasks, NULL), *next;

	for (; thread; thread = next) {
		next = thread->next;
		if (fh_task_join(thread->id, deadline))
			bury(thread);
		else if (!put(tasks, thread))
			detach(thread);
	}
}

void fh_task_abandon_threads(struct fh_tasks *tasks)
{
	struct task_thread *thread = take_all(tasks, ABANDONED), *next;

	for (; thread; thread = next) {
		next = thread->next;
		if (fh_task_join(thread->id, 0))
			bury(thread);
		else
			detach(thread);
	}
}

/* ---- how a thread ends ---- */

/* The function did not return; true: that is how the task ended. */
static bool crash(struct task_thread *thread)
{
	struct fh_task *task = thread->task;
	bool won;

	if (!task)
		return false;
	thread->task = NULL;
	won = fh_task_conclude(task, &fh_task_vanished);
	fh_task_release(task);
	return won;
}

/* Law 2. */
static void thread_ends(void *arg)
{
	struct task_thread *thread = arg;
	struct fh_tasks *tasks = thread->tasks;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	/* pairs with: thread.fate */
	store_release(&thread->fate, THREAD_LEAVES);
	fh_point("thread.leaves");
	crash(thread);
	fh_task_set_self(NULL);
	if (thread->seat != NO_SEAT)
		fh_pool_leave(thread);
	fh_task_reap(tasks, 0);
	add_relaxed(&tasks->refs, 1); /* law 4 */
	if (!put(tasks, thread))
		detach(thread);
	fh_tasks_drop(tasks);
}

/* The thread that sweeps, if somebody wants one. */
static void sweep_now_and_then(struct fh_tasks *tasks)
{
	int rc;

	do {
		rc = fh_status_wait(&tasks->phase, FH_STATE(PHASE_DRAINED),
				    fh_deadline_in(tasks->options.sweep_every),
				    NULL);
		if (rc)
			fh_tasks_sweep(tasks);
	} while (rc);
}

static void live(struct task_thread *thread)
{
	if (thread->own)
		fh_task_run(thread, thread->own);
	else if (thread->sweeps)
		sweep_now_and_then(thread->tasks);
	else
		fh_pool_serve(thread);
}

static void *thread_main(void *arg)
{
	struct task_thread *thread = arg;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cleanup_push(thread_ends, thread);
	thread->id = pthread_self();
	/* pairs with: thread.tid */
	store_release(&thread->tid, (int32_t)syscall(SYS_gettid));
	live(thread);
	pthread_cleanup_pop(1);
	return NULL;
}

int fh_task_thread_start(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;
	pthread_t id;
	int rc;

	add_relaxed(&tasks->refs, 1);
	add_relaxed(&tasks->threads, 1);
	fh_counter_add(&tasks->created, 1);
	rc = pthread_create(&id, &tasks->attr, thread_main, thread);
	if (rc == 0)
		return 0; /* it may have ended, and the supervisor with it */
	fh_counter_add(&tasks->created, -1);
	/* pairs with: tasks.threads */
	if (sub_acq_rel(&tasks->threads, 1) == 1)
		fh_status_set(&tasks->exits, 0);
	fh_tasks_drop(tasks);
	return -rc;
}

/* ---- the sweep ---- */

/* Laws 1 and 3. */
static bool has_vanished(struct task_thread *thread)
{
	uint32_t there = THREAD_THERE;
	/* pairs with: thread.tid */
	int32_t tid = load_acquire(&thread->tid);

	if (!tid || load_relaxed(&thread->fate) != THREAD_THERE)
		return false;
	if (syscall(SYS_tgkill, getpid(), tid, 0) == 0 || errno != ESRCH)
		return false;
	/* pairs with: thread.fate */
	return cas_acq_rel_relaxed(&thread->fate, &there, THREAD_VANISHED);
}

/* What the hook would have done, but for law 5. */
static size_t clear_away(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;
	bool crashed = crash(thread);

	fh_counter_add(&tasks->swept, crashed);
	if (thread->seat != NO_SEAT)
		fh_pool_leave(thread);
	bury(thread);
	return crashed;
}

static size_t sweep_seats(struct fh_tasks *tasks)
{
	size_t found = 0;
	unsigned i;

	for (i = 0; i < tasks->options.threads; i++) {
		struct task_thread *thread;
		bool vanished;

		fh_rcu_read_lock();
		/* pairs with: seat.thread */
		thread = load_acquire(&tasks->seat[i].thread);
		vanished = thread && has_vanished(thread);
		fh_rcu_read_unlock();
		if (vanished)
			found += clear_away(thread);
	}
	return found;
}

/*
 * In a walk over the tasks: stop at one whose thread vanished, and take out
 * what is over and has no thread, if the hard bound of fh_rcu was in the way
 * when it ended.
 */
static int look_closer(struct fh_map_entry *entry, void *arg)
{
	struct fh_task *task = task_by_id(entry);
	bool over = task_is_over(fh_status_read(&task->cell));
	struct task_thread **vanished = arg;
	bool buried = true;

	if (*vanished)
		return 1;
	if (task_has_thread(task)) {
		if (has_vanished(task->thread))
			*vanished = task->thread;
		/* pairs with: thread.fate */
		buried = load_acquire(&task->thread->fate) == THREAD_BURIED;
	}
	if (over && buried)
		fh_task_unlist(task);
	return *vanished != NULL;
}

static size_t sweep_tasks(struct fh_tasks *tasks)
{
	struct fh_map_cursor cursor = { 0 };
	struct task_thread *vanished;
	size_t found = 0;

	do {
		vanished = NULL;
		fh_map_walk(tasks->by_id, &cursor, 0, look_closer, &vanished);
		if (vanished) {
			found += clear_away(vanished);
			cursor = (struct fh_map_cursor){ 0 };
		}
	} while (vanished);
	return found;
}

size_t fh_tasks_sweep(struct fh_tasks *tasks)
{
	size_t found;

	if (is_forked(tasks->forks))
		return 0;
	found = sweep_tasks(tasks) + sweep_seats(tasks);
	fh_task_reap(tasks, 0);
	return found;
}
