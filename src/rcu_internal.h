/* SPDX-License-Identifier: MIT */
/*
 * What the files of the rcu room share.
 *
 *     rcu.c      threads and their read sections
 *     batch.c    lists of retired objects, and when they may be reclaimed
 *     reclaim.c  retiring, bounds, statistics
 *     worker.c   grace periods, the library's own thread, draining
 */
#ifndef FH_RCU_INTERNAL_H
#define FH_RCU_INTERNAL_H

#include <freehold/rcu.h>

#include "atomic.h"

#include <pthread.h>
#include <stddef.h>

/*
 * An object of which nothing is left to do but free(): it needs no reclaim
 * function, and so its head is the first word of the usual one.  On a list it
 * is told by bit 0 of what points to it.
 */
struct fh_rcu_link {
	struct fh_rcu_head *next;
};

_Static_assert(offsetof(struct fh_rcu_head, next) == 0, "a link is a head");

#define FH_RCU_FREE ((uintptr_t)1)

static inline bool fh_rcu_only_free(const struct fh_rcu_head *marked)
{
	return (uintptr_t)marked & FH_RCU_FREE;
}

/* The next pointer of an object on a list. */
static inline struct fh_rcu_head **fh_rcu_next(struct fh_rcu_head *marked)
{
	return &((struct fh_rcu_link *)((uintptr_t)marked & ~FH_RCU_FREE))
			->next;
}

/*
 * Lists of retired objects.  `open` takes what is retired now; `waiting`
 * awaits the grace period `cookie`; `ready` is being reclaimed.  An object
 * moves in that order, and a list moves as a whole.
 *
 *     field     written by
 *     open      pushed by whoever retires, taken whole by who holds busy
 *     waiting   who holds busy
 *     cookie    who holds busy; 0: nothing waits; read by anybody as a hint
 *     ready     who holds busy sets it; the one who runs it moves it on
 *     ticket    the same; 0: nothing is being run
 *     sealed    who holds busy: how often open became waiting
 */
struct fh_batch {
	_Atomic(struct fh_rcu_head *) open;
	_Atomic(struct fh_rcu_head *) waiting;
	_Atomic(struct fh_rcu_head *) ready;
	_Atomic(uint64_t) cookie;
	_Atomic(uint64_t) ticket;
	_Atomic(uint64_t) sealed;
	_Atomic(bool) busy;
};

enum fh_thread_mode {
	FH_THREAD_NEW,
	FH_THREAD_REGISTERED,
	FH_THREAD_UNHOOKED	/* its exit cannot be hooked: slow paths */
};

/* One for each thread, in its own storage. */
struct fh_thread {
	enum fh_thread_mode mode;
	unsigned nest;		/* qsbr and unhooked: depth of sections */
	bool exited;		/* the hook has run: unhooked for good */
	bool reclaiming;	/* inside a reclaim function */
	bool worker;		/* the library's own */
	unsigned unsealed;	/* retirements since the batch was handed on */
	size_t credit;		/* room held for retirements to come */
	size_t held;		/* the same, put aside while others retire */
	uint64_t ran;		/* reclaim functions not yet in the counts */
	_Atomic(uint64_t) retired;  /* ever, by this thread */
	_Atomic(uint64_t) covered;  /* of these, into room held before */
	_Atomic(uint64_t) reported; /* of the others, in the pending count */
	struct fh_batch batch;
	void *reader;		/* liburcu's record of the thread */
	int64_t tid;
	struct fh_thread *next, **link;
	bool swept;		/* the worker saw a batch here ... */
	uint64_t swept_at;	/* ... sealed so many times by then */
	uint64_t idle_at;	/* the last look that found it not reading */
};

/* ---- rcu.c ---- */

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

/* Readers that are not in the list. */
bool fh_rcu_unhooked_reading(void);

/* ---- batch.c ---- */

/* What no registered thread owns: the worker reclaims it. */
extern struct fh_batch fh_common;

struct fh_reclaim_counts {
	_Atomic(int64_t) pending;  /* objects, and room held for more */
	_Atomic(uint64_t) retired; /* by threads that are gone, or unhooked */
	_Atomic(uint64_t) reclaimed;
	_Atomic(uint64_t) tickets; /* runs of reclaim functions ever begun */
	_Atomic(uint64_t) strays;  /* runs that a thread's exit cut short */
	_Atomic(uint32_t) common_done; /* batches of fh_common; a futex */
} __attribute__((aligned(128)));
extern struct fh_reclaim_counts fh_counts;

/* Add a list to open; true: it was empty. */
bool fh_batch_push(struct fh_batch *batch, struct fh_rcu_head *first,
		   struct fh_rcu_head *last);
void fh_batch_wait_busy(struct fh_batch *batch);
void fh_batch_end_busy(struct fh_batch *batch);

/* Move a batch on as far as it goes; runs reclaim functions. */
void fh_batch_turn(struct fh_batch *batch);

/* Move all but what is being run to the common batch. */
void fh_batch_give_away(struct fh_batch *batch);

/*
 * Add to the pending count what the thread retired since the last time: for
 * the thread itself; and for others, under fh_threads_lock.
 */
int64_t fh_thread_report(struct fh_thread *thread);
void fh_thread_report_other(struct fh_thread *thread);

/*
 * A thread exits; a thread of the parent is not in this child.  Both under
 * fh_threads_lock, so that a drain, which takes it too, finds every batch
 * either with its thread or in common.
 */
void fh_thread_leaves(struct fh_thread *thread);
void fh_thread_vanished(struct fh_thread *thread);

/* In a forked child, when all others have vanished: what is left? */
void fh_reclaim_recount(struct fh_thread *self);

/* ---- worker.c ---- */

extern _Atomic(uint64_t) fh_gp_started, fh_gp_completed;
extern _Atomic(int64_t) fh_gp_began;
extern _Atomic(uint64_t) fh_worker_failures;

/* Ask for this grace period. */
void fh_gp_want(uint64_t cookie);

/* Wake the worker now, or see that it will look after something new. */
void fh_worker_kick(void);
void fh_worker_notice(void);
bool fh_worker_runs(void);

/* Around fork, outside of the threads lock: no grace period runs. */
void fh_worker_before_fork(void);
void fh_worker_after_fork(bool child);

/* ---- reclaim.c ---- */

/*
 * As fh_rcu_retire, but the library's own thread runs @reclaim: for what
 * takes long, so that no caller pays for it.  Not subject to the hard bound.
 */
void fh_rcu_retire_later(struct fh_rcu_head *head,
			 void (*reclaim)(struct fh_rcu_head *head));

/* As fh_rcu_retire, with free() for @reclaim. */
void fh_rcu_retire_free(struct fh_rcu_link *link);

/*
 * Room under the hard bound for one operation of the library.  Operations
 * nest: an inner one uses the room of the outer, and gives back only what it
 * added itself, less what it keeps for an object that it hands to the caller.
 */
struct fh_room {
	size_t before, total;
	bool bounded;
};

int fh_room_take(struct fh_room *room, size_t objects); /* 0 or -EAGAIN */
void fh_room_leave(const struct fh_room *room, size_t keep);

#endif
