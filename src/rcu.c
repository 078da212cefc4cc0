/* SPDX-License-Identifier: MIT */
/*
 * rcu: threads and their read sections, on liburcu.
 *
 * A thread is registered by its first call and unregistered by a
 * thread-specific-data destructor.  The record lies in thread-local storage,
 * so registration takes no memory.  Hooking the exit may, in a program with
 * many keys: a thread whose exit cannot be hooked must not enter a list that
 * it could not leave.  Such an unhooked thread counts itself in one shared
 * word while it reads, grace periods also wait for that word to be zero, and
 * each later call tries to register again.  A thread whose hook has run stays
 * unhooked to its end: other destructors may still call the library.
 *
 * Laws
 *
 *  1. A section begins before its loads and ends after them with respect to
 *     every grace period: liburcu's promise.  For unhooked readers: they
 *     count themselves, then fence; the grace period fences, then loads the
 *     count.  So either it sees the reader, or the reader sees what was
 *     unlinked before.
 *  2. The list of threads changes under fh_threads_lock alone.  No read
 *     section takes it, but the one that registers.
 *  3. fork happens with no grace period running, the list of threads at rest
 *     and no batch busy: the handlers hold all three.  The child drops every
 *     thread but its own, from our list and from liburcu's.  What those had
 *     retired goes to the common batch.
 *
 * liburcu has no annotations for the thread sanitizer: the end of a section
 * is told as a release of one address, the end of a grace period as its
 * acquire.
 */
#include "rcu_internal.h"

#include "rcu_flavour.h"
#include "wait.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

pthread_mutex_t fh_threads_lock = PTHREAD_MUTEX_INITIALIZER;
struct fh_thread *fh_threads;

_Thread_local struct fh_rcu_self_ fh_rcu_self_;
static _Thread_local struct fh_thread self;
static pthread_key_t exit_key;
static bool exit_key_made;
static _Atomic(uint64_t) unhooked_readers;

#ifdef FH_TSAN
static char grace_period_tag;
#endif

static void thread_exits(void *arg)
{
	struct fh_thread *thread = arg;

	/* A section that the end of the thread cut short: who waits is told. */
	happens_before(&grace_period_tag);
	fh_rcu_self_.count = NULL;
	while (flavour_reading(&thread->nest))
		flavour_read_unlock(&thread->nest);
	pthread_mutex_lock(&fh_threads_lock);
	fh_thread_leaves(thread);
	flavour_unregister();
	*thread->link = thread->next;
	if (thread->next)
		thread->next->link = thread->link;
	thread->mode = FH_THREAD_UNHOOKED;
	thread->exited = true;
	thread->nest = 0;
	pthread_mutex_unlock(&fh_threads_lock);
	fh_worker_notice();
}

/* A constructor, because the first keys of a process need no memory. */
__attribute__((constructor)) static void make_exit_key(void)
{
	pthread_mutex_lock(&fh_threads_lock);
	if (!exit_key_made)
		exit_key_made =
			pthread_key_create(&exit_key, thread_exits) == 0;
	pthread_mutex_unlock(&fh_threads_lock);
}

static void before_fork(void)
{
	struct fh_thread *thread;

	fh_worker_before_fork();
	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread; thread = thread->next)
		fh_batch_wait_busy(&thread->batch);
	flavour_before_fork();
}

static void after_fork_parent(void)
{
	struct fh_thread *thread;

	flavour_after_fork_parent();
	for (thread = fh_threads; thread; thread = thread->next)
		fh_batch_end_busy(&thread->batch);
	pthread_mutex_unlock(&fh_threads_lock);
	fh_worker_after_fork(false);
}

static void after_fork_child(void)
{
	struct fh_thread *thread, *next;

	flavour_after_fork_child();
	for (thread = fh_threads; thread; thread = next) {
		next = thread->next;
		if (thread == &self)
			continue;
		flavour_forget(thread->reader);
		fh_thread_vanished(thread);
	}
	fh_threads = NULL;
	if (self.mode == FH_THREAD_REGISTERED) {
		fh_threads = &self;
		self.next = NULL;
		self.link = &fh_threads;
		self.tid = syscall(SYS_gettid);
		fh_batch_end_busy(&self.batch);
	}
	store_relaxed(&unhooked_readers, 0u);
	fh_reclaim_recount(&self);
	pthread_mutex_unlock(&fh_threads_lock);
	fh_worker_after_fork(true);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void enlist(struct fh_thread *thread)
{
	pthread_mutex_lock(&fh_threads_lock);
	thread->reader = flavour_register();
	thread->tid = syscall(SYS_gettid);
	thread->next = fh_threads;
	thread->link = &fh_threads;
	if (thread->next)
		thread->next->link = &thread->next;
	fh_threads = thread;
	thread->mode = FH_THREAD_REGISTERED;
	pthread_mutex_unlock(&fh_threads_lock);
	flavour_inline(thread->reader, &fh_rcu_self_);
}

static __attribute__((noinline)) void enrol(struct fh_thread *thread)
{
	if (thread->nest || thread->exited)
		return; /* an unhooked reader stays one until it has left */
	if (!exit_key_made)
		make_exit_key();
	if (exit_key_made && pthread_setspecific(exit_key, thread) == 0)
		enlist(thread);
	else
		thread->mode = FH_THREAD_UNHOOKED;
}

struct fh_thread *fh_thread_self(void)
{
	if (unlikely(self.mode != FH_THREAD_REGISTERED))
		enrol(&self);
	return &self;
}

static __attribute__((noinline)) void unhooked_lock(struct fh_thread *thread)
{
	if (thread->nest++ == 0)
		add_seq_cst(&unhooked_readers, 1u);
	fence_seq_cst();
}

static __attribute__((noinline)) void unhooked_unlock(struct fh_thread *thread)
{
	/* pairs with: rcu.unhooked (none: a section that an exit ended) */
	if (thread->nest && --thread->nest == 0)
		sub_acq_rel(&unhooked_readers, 1u);
}

void fh_rcu_enter_(void)
{
	struct fh_thread *thread = fh_thread_self();

	if (unlikely(thread->mode != FH_THREAD_REGISTERED))
		unhooked_lock(thread);
	else
		flavour_read_lock(&thread->nest);
	fh_point("rcu.locked");
}

void fh_rcu_leave_(void)
{
	fh_point("rcu.unlocking");
	happens_before(&grace_period_tag);
	if (unlikely(self.mode != FH_THREAD_REGISTERED))
		unhooked_unlock(&self);
	else
		flavour_read_unlock(&self.nest);
}

void fh_rcu_wake_(void)
{
	if (!fh_rcu_reading())
		flavour_wake();
}

int fh_rcu_reading(void)
{
	if (self.mode == FH_THREAD_REGISTERED)
		return flavour_reading(&self.nest);
	return self.nest != 0;
}

bool fh_rcu_unhooked_reading(void)
{
	return load_relaxed(&unhooked_readers) != 0;
}

bool fh_thread_reading(const struct fh_thread *thread)
{
	return flavour_is_reading(thread->reader);
}

bool fh_thread_holds_back(const struct fh_thread *thread)
{
	return flavour_holds_back(thread->reader);
}

void fh_rcu_synchronize(void)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	flavour_synchronize();
	fence_seq_cst();
	/* pairs with: rcu.unhooked */
	while (unlikely(load_seq_cst(&unhooked_readers)))
		nanosleep(&pause, NULL);
	happens_after(&grace_period_tag);
}
