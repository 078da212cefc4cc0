/* SPDX-License-Identifier: MIT */
/*
 * status: state, epoch and a waiters bit in one word.
 *
 *      63    58 57                                            1   0
 *     +--------+-----------------------------------------------+---+
 *     | state  |                    epoch                      | W |
 *     +--------+-----------------------------------------------+---+
 *                               |<- the word that waiters sleep on ->|
 *                                 (the low 32 bits of the whole)
 *
 *     field   written by               may lie?
 *     state   change                   no
 *     epoch   change, always + 1       no
 *     W       set by who will sleep,   may be set although nobody sleeps any
 *             cleared by change        more (a deadline passed): the next
 *                                      change then makes one system call for
 *                                      nothing.  Never clear while somebody
 *                                      sleeps who saw the present epoch.
 *
 * Laws
 *
 *  1. The word changes in two ways only: change (state and epoch, W cleared)
 *     and announce (W set).  Both are compare-exchanges on the whole word.
 *     So the history of the cell is the sequence of successful changes, each
 *     with an epoch of its own.
 *  2. change is acquire and release: whoever reads an epoch sees all that
 *     its setter did before, and, through the chain of changes, all that the
 *     earlier ones did.
 *  3. No lost wake-up.  A waiter announces with a compare-exchange that
 *     succeeds only on the very word it judged, and sleeps only if the low
 *     half is still what it announced.  A change after the announcement finds
 *     W set, hence wakes; a change before it makes the announcement fail.  A
 *     change between announcement and sleep has moved the low half, so that
 *     the kernel refuses to sleep: it holds 31 bits of the epoch and W.  (To
 *     be fooled, a thread would have to lie between two instructions for
 *     exactly a multiple of 2^31 changes, and find W set again.)
 *  4. A change that cleared W wakes all, and each waiter looks again.
 *
 * Progress: reads are one load.  A compare-exchange of change fails only if
 * another change or an announcement succeeded; a thread announces at most
 * once for each epoch.  So changes are lock-free.
 */
#include <freehold/status.h>

#include "atomic.h"
#include "wait.h"

#include <errno.h>

#define WAITERS ((uint64_t)1)
#define EPOCH_ONE ((uint64_t)2)
#define STATE_MASK (~(uint64_t)0 << FH_STATUS_STATE_SHIFT_)

_Static_assert(FH_STATUS_STATES == 64, "six bits of state");

static const _Atomic(uint32_t) *low_half(const struct fh_status *cell)
{
	const char *bytes = (const char *)&cell->word;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	bytes += 4;
#endif
	return (const _Atomic(uint32_t) *)(const void *)bytes;
}

/* The word after a change of @seen to @state; the epoch wraps in its field. */
static uint64_t changed(uint64_t seen, unsigned state)
{
	uint64_t epoch = (seen + EPOCH_ONE) & ~STATE_MASK & ~WAITERS;

	return (uint64_t)state << FH_STATUS_STATE_SHIFT_ | epoch;
}

/* One attempt at a change; on failure *seen is what the word holds. */
static bool change(struct fh_status *cell, uint64_t *seen, unsigned state)
{
	/* pairs with: status.change */
	if (!cas_acq_rel_acquire(atomic_word(&cell->word), seen,
				 changed(*seen, state)))
		return false;
	if (*seen & WAITERS)
		fh_wake_all(low_half(cell));
	return true;
}

static uint64_t word_of(const struct fh_status *cell)
{
	/* pairs with: status.change */
	return load_acquire(atomic_word(&cell->word));
}

int fh_status_set(struct fh_status *cell, unsigned state)
{
	uint64_t seen = load_relaxed(atomic_word(&cell->word));

	if (state >= FH_STATUS_STATES)
		return -EINVAL;
	while (!change(cell, &seen, state))
		;
	return 0;
}

int fh_status_compare_exchange(struct fh_status *cell,
			       struct fh_status_snapshot *expected,
			       unsigned state)
{
	uint64_t seen = word_of(cell);
	struct fh_status_snapshot now;

	if (state >= FH_STATUS_STATES)
		return -EINVAL;
	for (;;) {
		now = fh_status_unpack_(seen);
		if (now.state != expected->state ||
		    now.epoch != expected->epoch) {
			*expected = now;
			return -EAGAIN;
		}
		if (change(cell, &seen, state))
			return 0;
	}
}

int fh_status_transition(struct fh_status *cell,
			 const struct fh_status_table *table, unsigned state,
			 struct fh_status_snapshot *from)
{
	uint64_t seen = word_of(cell);
	struct fh_status_snapshot now;
	bool legal;

	if (state >= table->states || state >= FH_STATUS_STATES)
		return -EINVAL;
	do {
		now = fh_status_unpack_(seen);
		legal = now.state < table->states &&
			(table->allowed[now.state] & FH_STATE(state));
	} while (legal && !change(cell, &seen, state));
	if (from)
		*from = now;
	return legal ? 0 : -EPERM;
}

/*
 * Sleep until the word is no longer what was @seen.  Returns -ETIMEDOUT, or 0
 * for "look again".
 */
static int sleep_on(struct fh_status *cell, uint64_t seen, int64_t deadline)
{
	if (deadline != FH_FOREVER && fh_now() >= deadline)
		return -ETIMEDOUT; /* a poll leaves no trace in the cell */
	/* pairs with: status.change (which reads W and the epoch below it) */
	if (!(seen & WAITERS) &&
	    !cas_acq_rel_acquire(atomic_word(&cell->word), &seen,
				 seen | WAITERS))
		return 0;
	fh_point("status.announced");
	return fh_wait_on(low_half(cell), (uint32_t)(seen | WAITERS), deadline);
}

/* What ends a wait: a state of a set, or an epoch that is not the one seen. */
struct goal {
	uint64_t states;
	uint64_t epoch;
	bool change;
};

static bool reached(const struct goal *goal, struct fh_status_snapshot now)
{
	return goal->change ? now.epoch != goal->epoch :
			      (goal->states & FH_STATE(now.state)) != 0;
}

static int wait_for(struct fh_status *cell, const struct goal *goal,
		    int64_t deadline, struct fh_status_snapshot *seen)
{
	struct fh_status_snapshot now;
	int rc = 0;

	for (;;) {
		uint64_t word = word_of(cell);

		now = fh_status_unpack_(word);
		if (reached(goal, now)) {
			rc = 0;
			break;
		}
		if (rc < 0)
			break;
		rc = sleep_on(cell, word, deadline);
	}
	if (seen)
		*seen = now;
	return rc;
}

int fh_status_wait(struct fh_status *cell, uint64_t states, int64_t deadline,
		   struct fh_status_snapshot *seen)
{
	struct goal goal = { .states = states };

	return states ? wait_for(cell, &goal, deadline, seen) : -EINVAL;
}

int fh_status_wait_change(struct fh_status *cell, uint64_t epoch,
			  int64_t deadline, struct fh_status_snapshot *seen)
{
	struct goal goal = { .epoch = epoch, .change = true };

	return wait_for(cell, &goal, deadline, seen);
}
