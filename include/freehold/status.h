/* SPDX-License-Identifier: MIT */
/*
 * A status cell: a state and the number of changes it has seen, in one
 * 64-bit word that changes by one compare-exchange.
 *
 *     static struct fh_status run;            // zero bytes: state 0, epoch 0
 *
 *     fh_status_set(&run, RUNNING);
 *     if (fh_status_get(&run) == PAUSED)
 *             fh_status_wait(&run, FH_STATE(RUNNING) | FH_STATE(STOPPED),
 *                            FH_FOREVER, NULL);
 *
 * The word, from its top: state (6 bits), epoch (57 bits, in two parts),
 * waiters (1 bit).  Every successful change adds one to the epoch, also a
 * change to the state that was there; it never goes back.  At one change a
 * nanosecond it lasts four and a half years.
 *
 * All-zero bytes are a valid cell in state 0 that nobody has set.
 */
#ifndef FREEHOLD_STATUS_H
#define FREEHOLD_STATUS_H

#include <freehold/base.h>
#include <freehold/inline.h>

FH_BEGIN_DECLS

/** How many states a cell can tell apart: 0 to 63. */
#define FH_STATUS_STATES 64

/** The set of states that holds @state alone; combine sets with |. */
#define FH_STATE(state) ((uint64_t)1 << (state))

/** A cell; to be touched through the functions only. */
struct fh_status {
	uint64_t word;
};

/** Initialises a static cell to @state with epoch 0. */
#define FH_STATUS_INIT(state) { (uint64_t)(state) << 58 }

/** What a cell held at one moment. */
struct fh_status_snapshot {
	unsigned state;
	uint64_t epoch;
};

/**
 * struct fh_status_table - which state may follow which
 * @states:  how many rows there are
 * @allowed: row s is the set of states that may follow s
 */
struct fh_status_table {
	unsigned states;
	const uint64_t *allowed;
};

/* The layout of the word; see src/status.c for who writes what. */
#define FH_STATUS_STATE_SHIFT_ 58
#define FH_STATUS_EPOCH_MASK_ (((uint64_t)1 << 57) - 1)

static inline struct fh_status_snapshot fh_status_unpack_(uint64_t word)
{
	struct fh_status_snapshot snapshot;

	snapshot.state = (unsigned)(word >> FH_STATUS_STATE_SHIFT_);
	snapshot.epoch = (word >> 1) & FH_STATUS_EPOCH_MASK_;
	return snapshot;
}

/**
 * fh_status_read - the state and its epoch, which belong together
 *
 * Threads:   any number at once.
 * Progress:  wait-free: one load.
 * Ordering:  acquire: what the setter did before is visible.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
#ifdef FREEHOLD_MUTEX
struct fh_status_snapshot fh_status_read(const struct fh_status *cell);
#else
static inline struct fh_status_snapshot
fh_status_read(const struct fh_status *cell)
{
	/* pairs with: status.change */
	return fh_status_unpack_(FH_INLINE_LOAD_ACQUIRE(&cell->word));
}
#endif

/**
 * fh_status_get - the state alone
 *
 * Threads:   any number at once.
 * Progress:  wait-free: one load.
 * Ordering:  acquire: what the setter did before is visible.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
#ifdef FREEHOLD_MUTEX
unsigned fh_status_get(const struct fh_status *cell);
#else
static inline unsigned fh_status_get(const struct fh_status *cell)
{
	/* pairs with: status.change */
	return (unsigned)(FH_INLINE_LOAD_ACQUIRE(&cell->word) >>
			  FH_STATUS_STATE_SHIFT_);
}
#endif

/**
 * fh_status_set - change to @state, whatever the state was
 *
 * Makes a system call only if somebody waits.
 *
 * Threads:   any number at once.
 * Progress:  lock-free: a retry means that another change succeeded.
 * Ordering:  acquire and release on success.
 * Ownership: none.
 * Errors:    -EINVAL: @state is not below FH_STATUS_STATES.
 * Context:   anywhere, a signal handler included; not blocking.
 */
int fh_status_set(struct fh_status *cell, unsigned state);

/**
 * fh_status_compare_exchange - change to @state if nothing changed since
 * @expected: what the caller has seen: state and epoch; on failure, what the
 *            cell holds now
 *
 * Threads:   any number at once: of those that saw one epoch, one wins.
 * Progress:  lock-free.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: none.
 * Errors:    -EAGAIN: the cell has changed; @expected is up to date.
 *            -EINVAL: @state is not below FH_STATUS_STATES.
 * Context:   anywhere, a signal handler included; not blocking.
 */
int fh_status_compare_exchange(struct fh_status *cell,
			       struct fh_status_snapshot *expected,
			       unsigned state);

/**
 * fh_status_transition - change to @state if the table lets it follow
 * @table: the caller's; read only, must outlive the call
 * @from:  if not NULL: on success the state and epoch that were left; on
 *         -EPERM the ones that forbid it
 *
 * Threads:   any number at once.
 * Progress:  lock-free: a retry means that another change succeeded.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: none.
 * Errors:    -EPERM: the table has no such step from the present state.
 *            -EINVAL: @state is no state of the table.
 * Context:   anywhere, a signal handler included; not blocking.
 */
int fh_status_transition(struct fh_status *cell,
			 const struct fh_status_table *table, unsigned state,
			 struct fh_status_snapshot *from);

/**
 * fh_status_wait - wait until the cell is in one of @states
 * @states:   a set, built with FH_STATE
 * @deadline: when to give up
 * @seen:     if not NULL: the snapshot that ended the wait, also on timeout
 *
 * A state that comes and goes while the caller is not scheduled may be
 * missed; to miss nothing, wait for change and read what came.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if the state is there.
 * Ordering:  acquire.
 * Ownership: the cell must outlive the call.
 * Errors:    -ETIMEDOUT: the deadline passed first.
 *            -EINVAL: the set is empty.
 * Context:   outside read sections and signal handlers.
 */
int fh_status_wait(struct fh_status *cell, uint64_t states, int64_t deadline,
		   struct fh_status_snapshot *seen);

/**
 * fh_status_wait_change - wait until the epoch is no longer @epoch
 * @epoch:    from an earlier snapshot
 * @deadline: when to give up
 * @seen:     if not NULL: the snapshot that ended the wait, also on timeout
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design; returns at once if the epoch differs.
 * Ordering:  acquire.
 * Ownership: the cell must outlive the call.
 * Errors:    -ETIMEDOUT: the deadline passed first.
 * Context:   outside read sections and signal handlers.
 */
int fh_status_wait_change(struct fh_status *cell, uint64_t epoch,
			  int64_t deadline, struct fh_status_snapshot *seen);

FH_END_DECLS

#endif
