/* SPDX-License-Identifier: MIT */
/*
 * task_thread, the mutex twin: threads of tasks and of the pool, their ends,
 * the main queue, the sweep.
 *
 * A thread is in one of two lists: `there`, from before it is created until
 * it leaves, and `gone`, until it is joined.  It leaves in a cleanup handler
 * around all that it runs, so that pthread_exit and cancellation take the
 * same way as a return.  A sweep looks at those in `there` that have stored
 * their kernel id, which each does first of all.  One that the kernel does
 * not know any more has gone by the handler; it is not joined, because others
 * may still refer to its thread-local variables.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "task_internal.h"

/* ---- the lists: with the lock ---- */

static void enlist(struct task_thread **list, struct task_thread *thread)
{
	thread->next = *list;
	thread->link = list;
	if (thread->next)
		thread->next->link = &thread->next;
	*list = thread;
}

static void unlist(struct task_thread *thread)
{
	*thread->link = thread->next;
	if (thread->next)
		thread->next->link = thread->link;
}

static void count_out(struct fh_tasks *tasks)
{
	if (--tasks->stats.threads == 0)
		event_tell(&tasks->changed);
}

/* ---- joining ---- */

/* Without the lock. */
static void forget(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;

	free(thread);
	fh_tasks_drop(tasks);
}

/*
 * With the lock, which it lets go of for each thread: try all that are gone
 * now; what is still on its way out is put back.
 */
void fh_task_reap(struct fh_tasks *tasks, int64_t deadline)
{
	struct task_thread *thread, *late = NULL;
	bool dead;

	while ((thread = tasks->gone)) {
		unlist(thread);
		pthread_mutex_unlock(&tasks->lock);
		dead = fh_task_join(thread->id, deadline);
		if (!dead && tasks->abandoned)
			pthread_detach(thread->id);
		pthread_mutex_lock(&tasks->lock);
		if (!dead && !tasks->abandoned) {
			enlist(&late, thread);
			continue;
		}
		count_out(tasks);
		pthread_mutex_unlock(&tasks->lock);
		forget(thread);
		pthread_mutex_lock(&tasks->lock);
	}
	while ((thread = late)) {
		unlist(thread);
		enlist(&tasks->gone, thread);
	}
}

/* ---- how a thread ends ---- */

/* With the lock: the function did not return.  The task to release, if any. */
static struct fh_task *crash(struct task_thread *thread, bool *won)
{
	struct fh_task *task = thread->task;

	thread->task = NULL;
	*won = task && fh_task_conclude(task, &fh_task_vanished);
	return task;
}

/* With the lock: its seat is free, and somebody may be needed. */
static void leave_pool(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;

	if (!thread->pooled)
		return;
	tasks->seated--;
	if (tasks->pooled.count)
		fh_pool_staff(tasks);
}

static void thread_ends(void *arg)
{
	struct task_thread *thread = arg;
	struct fh_tasks *tasks = thread->tasks;
	struct fh_task *task;
	bool won, abandoned;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&tasks->lock);
	unlist(thread);
	task = crash(thread, &won);
	leave_pool(thread);
	pthread_mutex_unlock(&tasks->lock);
	fh_task_set_self(NULL);
	fh_task_release(task);
	pthread_mutex_lock(&tasks->lock);
	fh_task_reap(tasks, 0);
	abandoned = tasks->abandoned;
	if (abandoned)
		count_out(tasks);
	else
		enlist(&tasks->gone, thread);
	event_tell(&tasks->changed);
	pthread_mutex_unlock(&tasks->lock);
	if (!abandoned)
		return;
	pthread_detach(pthread_self());
	forget(thread);
}

/* ---- what threads do ---- */

static void be_cancelled_here(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	pthread_testcancel();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
}

static void serve(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;
	struct fh_task *task;

	pthread_mutex_lock(&tasks->lock);
	for (;;) {
		task = fh_task_next(&tasks->pooled);
		if (!task && is_drained(tasks))
			break;
		if (!task) {
			event_wait(&tasks->work, &tasks->lock, FH_FOREVER);
			continue;
		}
		pthread_mutex_unlock(&tasks->lock);
		fh_task_run(thread, task);
		be_cancelled_here();
		pthread_mutex_lock(&tasks->lock);
	}
	pthread_mutex_unlock(&tasks->lock);
}

static void sweep_now_and_then(struct fh_tasks *tasks)
{
	int rc;

	pthread_mutex_lock(&tasks->lock);
	while (!is_drained(tasks)) {
		rc = event_wait(&tasks->changed, &tasks->lock,
				fh_deadline_in(tasks->options.sweep_every));
		if (rc)
			fh_task_sweep(tasks);
	}
	pthread_mutex_unlock(&tasks->lock);
}

static void *thread_main(void *arg)
{
	struct task_thread *thread = arg;
	struct fh_tasks *tasks = thread->tasks;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cleanup_push(thread_ends, thread);
	pthread_mutex_lock(&tasks->lock);
	thread->id = pthread_self();
	thread->tid = (int)syscall(SYS_gettid);
	pthread_mutex_unlock(&tasks->lock);
	if (thread->pooled)
		serve(thread);
	else if (thread->sweeps)
		sweep_now_and_then(tasks);
	else
		fh_task_run(thread, thread->task);
	pthread_cleanup_pop(1);
	return NULL;
}

int fh_task_thread_start(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;
	pthread_t id;
	int rc;

	pthread_mutex_lock(&tasks->lock);
	enlist(&tasks->there, thread);
	tasks->refs++;
	tasks->stats.threads++;
	tasks->stats.created++;
	pthread_mutex_unlock(&tasks->lock);
	rc = pthread_create(&id, &tasks->attr, thread_main, thread);
	if (rc == 0)
		return 0;
	pthread_mutex_lock(&tasks->lock);
	unlist(thread);
	tasks->stats.created--;
	count_out(tasks);
	pthread_mutex_unlock(&tasks->lock);
	fh_tasks_drop(tasks);
	return -rc;
}

/* ---- the pool: with the lock ---- */

int fh_task_hire(struct fh_tasks *tasks, bool pooled)
{
	struct task_thread *thread = calloc(1, sizeof(*thread));
	int rc;

	if (!thread)
		return -ENOMEM;
	thread->tasks = tasks;
	thread->pooled = pooled;
	thread->sweeps = !pooled;
	rc = fh_task_thread_start(thread);
	if (rc)
		free(thread);
	return rc;
}

/* Nobody is there to run what is in the queue. */
static void refuse_all(struct fh_tasks *tasks, int error)
{
	struct fh_task *task;

	while ((task = fh_task_next(&tasks->pooled))) {
		fh_task_refuse(task, error);
		pthread_mutex_unlock(&tasks->lock);
		fh_task_release(task);
		pthread_mutex_lock(&tasks->lock);
	}
}

/* A task was queued: wake a thread, or create one while there may be more. */
void fh_pool_staff(struct fh_tasks *tasks)
{
	int rc;

	if (tasks->work.waiters)
		pthread_cond_signal(&tasks->work.cond);
	if (tasks->pooled.count <= tasks->work.waiters ||
	    tasks->seated == tasks->options.threads)
		return;
	tasks->seated++;
	pthread_mutex_unlock(&tasks->lock);
	rc = fh_task_hire(tasks, true);
	pthread_mutex_lock(&tasks->lock);
	if (rc == 0)
		return;
	if (--tasks->seated == 0)
		refuse_all(tasks, rc);
}

/* ---- the main queue ---- */

/* The thread ends in a function of the main queue. */
static void main_ends(void *arg)
{
	struct fh_tasks *tasks = arg;
	struct fh_task *task;
	bool won;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	fh_task_set_self(NULL);
	pthread_mutex_lock(&tasks->lock);
	task = crash(&tasks->main_thread, &won);
	pthread_mutex_unlock(&tasks->lock);
	fh_task_release(task);
}

/* Without the lock. */
static void run_main(struct fh_tasks *tasks, struct fh_task *task)
{
	pthread_cleanup_push(main_ends, tasks);
	fh_task_run(&tasks->main_thread, task);
	pthread_cleanup_pop(0);
}

/* Past the deadline, no more than what was there at first. */
static int run_main_queue(struct fh_tasks *tasks, int64_t deadline)
{
	uint64_t newest = tasks->last_id, id;
	struct fh_task *task;

	while ((task = fh_task_next(&tasks->mained))) {
		id = task->id;
		pthread_mutex_unlock(&tasks->lock);
		run_main(tasks, task);
		pthread_mutex_lock(&tasks->lock);
		if (id >= newest && fh_now() >= deadline)
			break;
	}
	return fh_now() >= deadline ? -ETIMEDOUT : 0;
}

/* With the lock. */
int fh_main_run(struct fh_tasks *tasks, int64_t deadline)
{
	int rc = 0, state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	while (!is_drained(tasks) && rc == 0) {
		rc = run_main_queue(tasks, deadline);
		if (rc == 0 && !is_drained(tasks) && !tasks->mained.first)
			event_wait(&tasks->main_work, &tasks->lock, deadline);
	}
	pthread_setcancelstate(state, NULL);
	return is_drained(tasks) ? 0 : rc;
}

int fh_tasks_run_main_wait(struct fh_tasks *tasks, int64_t deadline)
{
	int rc;

	if (is_forked(tasks))
		return -ECHILD;
	if (!pthread_equal(pthread_self(), tasks->main))
		return -EPERM;
	if (fh_task_self())
		return -EDEADLK;
	pthread_mutex_lock(&tasks->lock);
	rc = fh_main_run(tasks, deadline);
	pthread_mutex_unlock(&tasks->lock);
	return rc;
}

/* ---- the sweep: with the lock ---- */

static struct task_thread *find_vanished(struct fh_tasks *tasks)
{
	struct task_thread *thread;

	for (thread = tasks->there; thread; thread = thread->next)
		if (thread->tid &&
		    syscall(SYS_tgkill, getpid(), thread->tid, 0) &&
		    errno == ESRCH)
			break;
	return thread;
}

size_t fh_task_sweep(struct fh_tasks *tasks)
{
	struct task_thread *thread;
	struct fh_task *task;
	size_t found = 0;
	bool won;

	while ((thread = find_vanished(tasks))) {
		unlist(thread);
		task = crash(thread, &won);
		found += won;
		tasks->stats.swept += won;
		leave_pool(thread);
		count_out(tasks);
		pthread_mutex_unlock(&tasks->lock);
		fh_task_release(task);
		forget(thread);
		pthread_mutex_lock(&tasks->lock);
	}
	fh_task_reap(tasks, 0);
	return found;
}

size_t fh_tasks_sweep(struct fh_tasks *tasks)
{
	size_t found;

	if (is_forked(tasks))
		return 0;
	pthread_mutex_lock(&tasks->lock);
	found = fh_task_sweep(tasks);
	pthread_mutex_unlock(&tasks->lock);
	return found;
}
