/* SPDX-License-Identifier: MIT */
/*
 * Read sections and deferred reclamation.
 *
 * A reader brackets its work with fh_rcu_read_lock and fh_rcu_read_unlock.
 * What it reaches inside the bracket stays valid until it leaves.  A writer
 * first makes an object unreachable, then retires it: the object's reclaim
 * function runs once every reader that could have seen it has left.
 *
 *     struct job { struct fh_rcu_head rcu; int id; };
 *
 *     static void job_free(struct fh_rcu_head *head) { free(head); }
 *
 *     fh_rcu_retire(&job->rcu, job_free);
 *
 * Caveats, before the features:
 *
 *  - A reader that never leaves its section holds back all reclamation.  The
 *    statistics say which thread that is; a hard bound turns the growth of
 *    garbage into -EAGAIN.  Nothing ever blocks a writer on a reader.
 *  - Do not wait inside a read section, and fork neither inside one nor in a
 *    reclaim function.  fork waits for the grace period that is running.
 *  - A reclaim function runs on whichever thread finds the object ready: a
 *    thread that retires something, the library's own thread, or one that
 *    drains.  It may retire further objects; it must not wait, end its
 *    thread, or take a lock that some caller holds around a call of ours.
 *  - A program that also uses liburcu by itself must not register a thread
 *    with the same flavour by hand: one thread cannot be registered twice.
 *
 * Retired objects wait in per-thread batches.  A batch is handed on when it
 * is full, when its thread exits, and by the library's own thread when it
 * has lain for some milliseconds.  Threads register themselves at first use.
 *
 * Both builds of the library share this room: the mutex build defers its
 * frees in the same way, so that the comparison is one of locks alone.
 */
#ifndef FREEHOLD_RCU_H
#define FREEHOLD_RCU_H

#include <freehold/base.h>
#include <freehold/inline.h>

FH_BEGIN_DECLS

/**
 * struct fh_rcu_head - to embed in every object that will be retired
 *
 * The library writes it from fh_rcu_retire on; before that its content is of
 * no matter.
 */
struct fh_rcu_head {
	struct fh_rcu_head *next;
	void (*reclaim)(struct fh_rcu_head *head);
};

/*
 * The inline way into a section and out of it: private to this header.
 *
 * liburcu keeps one word for each thread: how deep in sections it is, in the
 * lower half, and in the upper half the phase of grace periods in which it
 * entered the outermost.  Where membarrier(2) spares readers their fences,
 * entering is one store to that word and leaving another, after which
 * somebody may have to be woken.  `count` is NULL where that is not so, and
 * before a thread's first call, and after its last: then a function does it.
 * Under FH_HOOKS, for our own tests, there is no inline way.
 */
struct fh_rcu_self_ {
	unsigned long *count;
	const unsigned long *phase;
	const volatile int32_t *sleeper; /* -1: a grace period sleeps */
};

extern __thread struct fh_rcu_self_ fh_rcu_self_;

#define FH_RCU_DEPTH_ ((1ul << (sizeof(unsigned long) * 4)) - 1)

void fh_rcu_enter_(void);
void fh_rcu_leave_(void);
void fh_rcu_wake_(void);

/**
 * fh_rcu_read_lock - enter a read section
 *
 * Sections nest.  The first call of a thread registers it.
 *
 * Threads:   any number at once.
 * Progress:  wait-free; a thread's first call takes a lock to register.
 * Ordering:  what the section loads is no older than the section itself.
 * Ownership: objects reached inside stay valid until the matching unlock.
 * Errors:    none.
 * Context:   anywhere but a signal handler; nests; do not wait or fork inside.
 */
static inline void fh_rcu_read_lock(void)
{
#ifdef FH_HOOKS
	fh_rcu_enter_();
#else
	unsigned long count;

	if (FH_INLINE_UNLIKELY(!fh_rcu_self_.count)) {
		fh_rcu_enter_();
		return;
	}
	count = *fh_rcu_self_.count;
	if (FH_INLINE_LIKELY(!(count & FH_RCU_DEPTH_)))
		count = FH_INLINE_LOAD_RELAXED(fh_rcu_self_.phase);
	else
		count++;
	FH_INLINE_STORE_RELAXED(fh_rcu_self_.count, count);
	FH_INLINE_BARRIER();
#endif
}

/**
 * fh_rcu_read_unlock - leave a read section
 *
 * Threads:   the thread that entered.
 * Progress:  wait-free; may make one system call to wake a grace period.
 * Ordering:  all that the section did comes before any reclamation that
 *            waited for it.
 * Ownership: what was reached inside may vanish from here on.
 * Errors:    none; a call without a matching lock is the caller's fault.
 * Context:   inside a read section.
 */
static inline void fh_rcu_read_unlock(void)
{
#ifdef FH_HOOKS
	fh_rcu_leave_();
#else
	if (FH_INLINE_UNLIKELY(!fh_rcu_self_.count)) {
		fh_rcu_leave_();
		return;
	}
	FH_INLINE_BARRIER();
	FH_INLINE_STORE_RELAXED(fh_rcu_self_.count, *fh_rcu_self_.count - 1);
	FH_INLINE_BARRIER();
	if (FH_INLINE_UNLIKELY(*fh_rcu_self_.sleeper == -1))
		fh_rcu_wake_();
#endif
}

/**
 * fh_rcu_reading - is the calling thread inside a read section?
 *
 * Threads:   any number at once; answers for the caller alone.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
int fh_rcu_reading(void);

/**
 * fh_rcu_retire - have @reclaim(@head) called when no reader can see it
 * @head:    embedded in the object, which no new reader can reach any more
 * @reclaim: called once, with @head
 *
 * Past the soft bound the call first helps: it asks for a grace period and
 * runs what is ready.  It never waits.
 *
 * Threads:   any number at once, one call per object.
 * Progress:  lock-free, plus the reclaim functions that it runs.
 * Ordering:  what came before the call is visible to @reclaim.
 * Ownership: the object passes to the library, then to @reclaim.
 * Errors:    none: retiring takes no memory and cannot fail.
 * Context:   inside or outside a read section, and in a reclaim function;
 *            not in a signal handler.
 */
void fh_rcu_retire(struct fh_rcu_head *head,
		   void (*reclaim)(struct fh_rcu_head *head));

/**
 * fh_rcu_admit - make room under the hard bound before changing anything
 * @objects: how many objects the caller may be about to retire
 *
 * Where no hard bound is set, this costs one load and always succeeds.
 * Otherwise the room that is held for the calling thread becomes @objects:
 * its next retirements use it up, and 0 gives back what is left over.  The
 * library's own operations make room for what they retire themselves and for
 * the entry that they hand back; they do not need this call.
 *
 * Threads:   any number at once.
 * Progress:  lock-free.
 * Ordering:  none.
 * Ownership: the room is the thread's until used, given back, or its exit.
 * Errors:    -EAGAIN: the hard bound is reached; nothing was changed.
 * Context:   as fh_rcu_retire.
 */
int fh_rcu_admit(size_t objects);

/**
 * fh_rcu_flush - hand on this thread's half-full batch now
 *
 * For a thread that is about to sleep for long.  Not needed for progress.
 *
 * Threads:   any number at once; acts for the caller alone.
 * Progress:  lock-free, plus the reclaim functions that it runs.
 * Ordering:  as fh_rcu_retire.
 * Ownership: none changes.
 * Errors:    none.
 * Context:   as fh_rcu_retire.
 */
void fh_rcu_flush(void);

/**
 * fh_rcu_drain_wait - wait until all that was retired so far is reclaimed
 * @deadline: when to give up
 *
 * "So far" means: every fh_rcu_retire that returned before this call began,
 * on whatever thread, and its reclaim function has returned.  If the library
 * could not start its own thread, the call runs grace periods itself, and a
 * reader that comes during the last of them may hold it past the deadline.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design.
 * Ordering:  the reclaim functions come before the return.
 * Ownership: none changes.
 * Errors:    -ETIMEDOUT: the deadline passed first.
 *            -EDEADLK: called inside a read section or a reclaim function,
 *            which it would wait for.
 * Context:   outside read sections and reclaim functions.
 */
int fh_rcu_drain_wait(int64_t deadline);

/**
 * fh_rcu_set_bounds - bound the objects that wait for reclamation
 * @soft: past this many a retiring thread helps, and the excess is counted;
 *        0 restores the default, FH_RCU_SOFT_BOUND
 * @hard: fh_rcu_admit refuses past this many; 0, the default, means none
 *
 * What was retired before the call counts.  The bound is on objects: blocks
 * and entries of tables, values of records.  Nothing that makes room first
 * brings what waits above @hard.  On top of it comes what nobody may refuse:
 * a table that was outgrown, a log or a record that is destroyed, a client
 * whose last lease came back, one each; at most two for a task or a server
 * that ends; what is retired without fh_rcu_admit, or by a reclaim function;
 * and what was under way when the bound was set.
 *
 * Threads:   any number at once; the last call holds.
 * Progress:  takes a lock that registration and statistics take.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    -EINVAL: @hard is less than 2 and not 0: a removal retires two.
 * Context:   anywhere but a signal handler.
 */
int fh_rcu_set_bounds(size_t soft, size_t hard);

/** The soft bound of a program that never called fh_rcu_set_bounds. */
#define FH_RCU_SOFT_BOUND 65536

/** Where reclamation stands.  Counts are exact when read at rest. */
struct fh_rcu_stats {
	const char *flavour;	/* liburcu's: memb, bp, mb or qsbr */
	int expedited;		/* readers run without fences: membarrier(2) */
	uint64_t retired;	/* objects ever retired */
	uint64_t reclaimed;	/* objects whose reclaim function returned */
	uint64_t pending;	/* the difference: garbage */
	uint64_t grace_periods;	/* ever completed */
	uint64_t soft_bound;
	uint64_t hard_bound;	/* 0: none */
	uint64_t over_soft;	/* retirements past the soft bound */
	uint64_t refused;	/* admissions refused at the hard bound */
	uint64_t threads;	/* registered now */
	uint64_t worker_failures; /* times the library's thread did not start */
	int64_t oldest_reader;	/* its kernel thread id; 0: nobody reads; -1:
				   one that the library could not register */
	int64_t oldest_reader_ns; /* age of the grace period it holds back */
};

/**
 * fh_rcu_get_stats - where reclamation stands, and who holds it up
 * @stats: filled in
 *
 * The age of the oldest reader is that of the grace period which it holds
 * back, so that readers pay nothing for it.  When somebody is reading and no
 * grace period runs, the call asks for one: a later call then tells the age.
 *
 * Threads:   any number at once.
 * Progress:  takes a lock that only registration and this call take.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_rcu_get_stats(struct fh_rcu_stats *stats);

FH_END_DECLS

#endif
