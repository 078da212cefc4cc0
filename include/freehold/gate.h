/* SPDX-License-Identifier: MIT */
/*
 * A gate: lets a bounded number of requests in, refuses the rest at once,
 * runs them on threads, and can be closed and drained.
 *
 *     fh_gate_create(&gate, &(struct fh_gate_options){ .limit = 1000 });
 *
 *     if (fh_gate_run(gate, answer, request) < 0)
 *             refuse(request);                        // 503, at once
 *
 *     fh_gate_drain_wait(gate, fh_deadline_in(5000000000), &left);
 *     fh_gate_destroy(gate);
 *
 * Two ways in, which may be mixed:
 *
 *  - fh_gate_run runs a function on a thread of the gate's.  What is let in
 *    runs now: there is no queue, and no thread serves two requests at once.
 *  - fh_gate_enter and fh_gate_leave bracket a request that the caller runs,
 *    on whatever threads.  It may be entered on one thread and left on
 *    another.
 *
 * Being let in is one compare-exchange on a word that holds both how many are
 * inside and whether the gate is closed.  So never more than the limit are
 * inside, and none gets in after fh_gate_close has returned.
 *
 * Caveats:
 *
 *  - Places are not given out in the order of coming: who waits may be
 *    overtaken by who comes.
 *  - A thread that dies in its request (pthread_exit, cancellation) gives the
 *    place back.  What the request owned is the request's matter: it has
 *    pthread_cleanup_push for that.
 *  - A forked child has the counts and not the threads; see
 *    fh_gate_after_fork.
 */
#ifndef FREEHOLD_GATE_H
#define FREEHOLD_GATE_H

#include <freehold/base.h>

FH_BEGIN_DECLS

struct fh_gate;

/** The highest limit that a gate can have. */
#define FH_GATE_LIMIT ((size_t)1 << 20)

/**
 * struct fh_gate_options - how to create a gate
 * @limit:      how many may be inside at once: 1 to FH_GATE_LIMIT; this is
 *              also how many threads the gate has at most
 * @idle:       nanoseconds for which a thread waits for its next request
 *              before it ends; 0: each request has a thread of its own;
 *              FH_FOREVER: threads stay until fh_gate_destroy
 * @stack_size: of the threads, in bytes; 0: the system's default
 */
struct fh_gate_options {
	size_t limit;
	int64_t idle;
	size_t stack_size;
};

/**
 * fh_gate_create - an open gate with nobody inside
 *
 * Threads:   any number at once.
 * Progress:  as malloc; no thread is started.
 * Ordering:  none; publish the pointer with release.
 * Ownership: the gate is the caller's, to end with fh_gate_destroy.
 * Errors:    -ENOMEM: no memory; -EINVAL: the limit is 0 or too high, idle is
 *            negative, or the system refuses such a stack size.
 * Context:   anywhere but a signal handler.
 */
int fh_gate_create(struct fh_gate **gate,
		   const struct fh_gate_options *options);

/**
 * fh_gate_destroy - end of life
 * @gate: NULL is allowed and does nothing
 *
 * Threads that wait for a request end.  Requests that are still inside, after
 * a drain that timed out, say, run on undisturbed, and leave as always; the
 * last one frees the gate.
 *
 * Threads:   the only one to call anything on the gate from now on, but for
 *            fh_gate_leave of those inside; nobody waits in it.  If a request
 *            calls it, the fh_gate_run that gave it may still be on its way
 *            back.
 * Progress:  never blocks; wakes each thread that waits for a request.
 * Ordering:  acquire and release.
 * Ownership: the gate is gone for the caller.
 * Errors:    none.
 * Context:   anywhere but a signal handler; a request may call it.
 */
void fh_gate_destroy(struct fh_gate *gate);

/**
 * fh_gate_enter - go in if there is a place
 *
 * Threads:   any number at once.
 * Progress:  lock-free: a retry means that another one came or went.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: a place is the caller's until fh_gate_leave.
 * Errors:    -EBUSY: no place is free; -ESHUTDOWN: the gate is closed.
 * Context:   anywhere, a signal handler included (in the mutex build, not in
 *            a signal handler); not blocking.
 */
int fh_gate_enter(struct fh_gate *gate);

/**
 * fh_gate_enter_wait - go in, and wait for a place if need be
 * @deadline: when to give up
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if there is a place.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: a place is the caller's until fh_gate_leave.
 * Errors:    -ETIMEDOUT: the deadline passed first; -ESHUTDOWN: the gate is
 *            closed, or was while the call waited.
 * Context:   outside read sections and signal handlers.
 */
int fh_gate_enter_wait(struct fh_gate *gate, int64_t deadline);

/**
 * fh_gate_leave - give a place back
 *
 * Makes a system call only if somebody waits.
 *
 * Threads:   any number at once; not only the one that entered.
 * Progress:  lock-free.
 * Ordering:  release: who enters next, or drains, sees what the request did.
 * Ownership: the place is gone.
 * Errors:    -EPERM: nobody is inside; nothing was changed.
 * Context:   anywhere, a signal handler included (in the mutex build, not in
 *            a signal handler); not blocking.
 */
int fh_gate_leave(struct fh_gate *gate);

/**
 * fh_gate_run - run @request(@arg) on a thread of the gate's, if there is a
 *               place
 * @request: called once, on a thread that serves nothing else meanwhile, with
 *           cancellation enabled and deferred; may call anything of the
 *           gate's but fh_gate_leave for itself
 *
 * A new thread has the signal mask of the caller.  The place is given back
 * when @request returns, or its thread dies in it.
 *
 * Threads:   any number at once.
 * Progress:  lock-free, but for starting a thread.
 * Ordering:  what came before the call is visible to @request.
 * Ownership: on success @arg is the request's.
 * Errors:    -EBUSY: no place is free; -ESHUTDOWN: the gate is closed;
 *            -EAGAIN: the system would not start a thread.  @request was not
 *            and will not be called, and no place is taken.
 * Context:   outside read sections; not in a signal handler.
 */
int fh_gate_run(struct fh_gate *gate, void (*request)(void *arg), void *arg);

/**
 * fh_gate_run_wait - as fh_gate_run, and wait for a place if need be
 * @deadline: when to give up
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if there is a place.
 * Ordering:  what came before the call is visible to @request.
 * Ownership: on success @arg is the request's.
 * Errors:    -ETIMEDOUT: the deadline passed first; -ESHUTDOWN: the gate is
 *            closed, or was while the call waited; -EAGAIN: the system would
 *            not start a thread.
 * Context:   outside read sections and signal handlers.
 */
int fh_gate_run_wait(struct fh_gate *gate, void (*request)(void *arg),
		     void *arg, int64_t deadline);

/**
 * fh_gate_close - let nobody in any more
 *
 * Those inside stay inside.  Those who wait for a place are told.  Closing
 * twice is once.
 *
 * Threads:   any number at once.
 * Progress:  lock-free.
 * Ordering:  acquire and release: none gets in after the return.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included (in the mutex build, not in
 *            a signal handler); not blocking.
 */
void fh_gate_close(struct fh_gate *gate);

/**
 * fh_gate_open - let requests in again, after fh_gate_close or a drain
 *
 * Places that are still taken stay taken.  Opening an open gate does nothing.
 *
 * Threads:   any number at once.
 * Progress:  lock-free.
 * Ordering:  acquire and release.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included (in the mutex build, not in
 *            a signal handler); not blocking.
 */
void fh_gate_open(struct fh_gate *gate);

/**
 * fh_gate_drain_wait - close, and wait until nobody is inside
 * @deadline: when to give up
 * @left:     if not NULL: how many are still inside; 0 on success.  After
 *            -ETIMEDOUT these are abandoned: they run on, and leave as
 *            always.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design.
 * Ordering:  acquire: what the requests did is visible.
 * Ownership: none; the gate must outlive the call.
 * Errors:    -ETIMEDOUT: the deadline passed first; the gate stays closed.
 *            -ECANCELED: somebody opened the gate meanwhile.
 *            -EDEADLK: called by a request that runs on a thread of this
 *            gate's, which it would wait for; nothing was changed.
 * Context:   outside read sections and signal handlers.
 */
int fh_gate_drain_wait(struct fh_gate *gate, int64_t deadline, size_t *left);

/** What a gate has seen.  The totals are exact at rest. */
struct fh_gate_stats {
	size_t limit;
	size_t inside;		/* now; never above the limit */
	size_t peak;		/* the most that were ever inside at once */
	size_t waiting;		/* for a place, or for a drain */
	size_t threads;		/* of the gate's, now: busy or idle */
	int closed;
	uint64_t admitted;	/* ever */
	uint64_t refused;	/* -EBUSY, and -ETIMEDOUT for want of a place */
	uint64_t turned_away;	/* -ESHUTDOWN */
	uint64_t failed;	/* -EAGAIN: admitted, but no thread started */
	uint64_t died;		/* requests that did not return */
};

/**
 * fh_gate_get_stats - what the gate has seen
 * @stats: filled in; inside, waiting and closed belong together
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_gate_get_stats(const struct fh_gate *gate,
		       struct fh_gate_stats *stats);

/**
 * fh_gate_after_fork - in a forked child: forget what the parent does
 *
 * A child has the memory of its parent but only one of its threads.  This
 * makes the gate as fh_gate_create made it: open, nobody inside, no thread,
 * totals zero.  A request that forks, and whose child returns from it, finds
 * its place given back already.
 *
 * Threads:   the only thread of the child, before any other call on the gate.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere in a child that was forked after fh_gate_create.
 */
void fh_gate_after_fork(struct fh_gate *gate);

FH_END_DECLS

#endif
