/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of the rcu room share: rcu.c knows threads and read
 * sections, reclaim.c knows retired objects and grace periods.
 */
#ifndef FH_RCU_INTERNAL_H
#define FH_RCU_INTERNAL_H

#include <freehold/rcu.h>

#include "atomic.h"

#include <pthread.h>

/*
 * Two lists of retired objects.  `open` takes what is retired now; `waiting`
 * awaits the grace period `cookie`; `ready` is being reclaimed.  An object
 * moves in that order, and a list moves as a whole.
 *
 *     field     written by
 *     open      pushed by whoever retires, taken whole by who holds busy
 *     waiting   who holds busy
 *     cookie    who holds busy; 0: nothing waits; read by anybody as a hint
 *     ready     who holds busy sets it; the one who runs it moves it on
 *     ticket    the same; 0: nothing is being run
 */
struct fh_batch {
	_Atomic(struct fh_rcu_head *) open;
	_Atomic(struct fh_rcu_head *) waiting;
	_Atomic(struct fh_rcu_head *) ready;
	_Atomic(uint64_t) cookie;
	_Atomic(uint64_t) ticket;
	_Atomic(uint64_t) sealed; /* how often, ever */
	_Atomic(bool) busy;
};

enum fh_thread_mode {
	FH_THREAD_NEW,		/* or has exited */
	FH_THREAD_REGISTERED,
	FH_THREAD_UNHOOKED	/* its exit could not be hooked: slow paths */
};

/* One for each thread, in its own storage. */
struct fh_thread {
	enum fh_thread_mode mode;
	unsigned nest;		/* qsbr and unhooked: depth of sections */
	bool reclaiming;	/* inside a reclaim function */
	unsigned unsealed;	/* retirements since the batch was handed on */
	unsigned unreported;	/* retirements not yet in the pending count */
	size_t credit;		/* room held by fh_rcu_admit */
	uint64_t ran;		/* reclaim functions not yet in the counts */
	_Atomic(uint64_t) retired; /* ever, by this thread */
	struct fh_batch batch;
	void *reader;		/* liburcu's record of the thread */
	int64_t tid;
	struct fh_thread *next, **link;
	bool swept;		/* the worker saw a batch here ... */
	uint64_t swept_at;	/* ... sealed so many times by then */
};

/* The calling thread, registered if that is possible. */
struct fh_thread *fh_thread_self(void);

/* The list of registered threads, and the lock that guards it. */
extern pthread_mutex_t fh_threads_lock;
extern struct fh_thread *fh_threads;

/* One grace period; the caller holds nothing and is in no section. */
void fh_rcu_synchronize(void);

/* Is the thread with this record reading; is it in the way? */
bool fh_thread_reading(const struct fh_thread *thread);
bool fh_thread_holds_back(const struct fh_thread *thread);

/*
 * reclaim.c: a thread exits; a thread of the parent is not in this child.
 * Both under fh_threads_lock, so that a drain, which takes it too, finds
 * every batch either with its thread or in common.
 */
void fh_reclaim_thread_exits(struct fh_thread *thread);
void fh_reclaim_thread_vanished(struct fh_thread *thread);

/* Tell the worker that the common batch may have got something. */
void fh_reclaim_notice(void);

/* reclaim.c around fork: stop grace periods; the child has no worker. */
void fh_reclaim_before_fork(void);
void fh_reclaim_after_fork_parent(void);
void fh_reclaim_after_fork_child(void);

/*
 * As fh_rcu_retire, but the library's own thread runs @reclaim: for what
 * takes long, so that no caller pays for it.
 */
void fh_rcu_retire_later(struct fh_rcu_head *head,
			 void (*reclaim)(struct fh_rcu_head *head));

#endif
