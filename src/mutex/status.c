/* SPDX-License-Identifier: MIT */
/*
 * status, the mutex twin: the word changes under the cell's monitor, and who
 * waits sleeps on the monitor's condition variable.
 *
 * The word has the layout that freehold/status.h describes.  The waiters bit
 * says that somebody may be asleep: a waiter sets it before each sleep, a
 * change clears it and broadcasts if it was set.  It may be set when nobody
 * waits, after a timeout; that costs one broadcast.  It may not be clear when
 * somebody sleeps.
 *
 * Every store of the word is an atomic release although the monitor is held:
 * a program that was compiled without FREEHOLD_MUTEX has the one-load inline
 * functions of the lock-free build in it, and they stay correct beside these.
 *
 * What a lock cannot promise: these functions must not be called in a signal
 * handler, which might have interrupted the holder.
 */
#ifndef FREEHOLD_MUTEX
#define FREEHOLD_MUTEX
#endif
#include <freehold/status.h>

#include <errno.h>

#include "../atomic.h"
#include "lock.h"

#define WAITERS UINT64_C(1)

static uint64_t word_of(const struct fh_status *cell)
{
	return load_relaxed(atomic_word(&cell->word));
}

static struct fh_status_snapshot look(const struct fh_status *cell)
{
	return fh_status_unpack_(word_of(cell));
}

static void store(struct fh_status *cell, uint64_t word)
{
	/* pairs with: status.change */
	store_release(atomic_word(&cell->word), word);
}

/* With the monitor held; says whether somebody may be asleep. */
static bool change(struct fh_status *cell, unsigned state)
{
	uint64_t word = word_of(cell);
	uint64_t epoch = fh_status_unpack_(word).epoch + 1;

	store(cell, (uint64_t)state << FH_STATUS_STATE_SHIFT_ |
		    (epoch & FH_STATUS_EPOCH_MASK_) << 1);
	return word & WAITERS;
}

/* After the lock is released, so that who wakes up does not meet it. */
static void leave(struct fh_monitor *monitor, bool wake)
{
	pthread_mutex_unlock(&monitor->lock);
	if (wake)
		pthread_cond_broadcast(&monitor->changed);
}

struct fh_status_snapshot fh_status_read(const struct fh_status *cell)
{
	struct fh_monitor *monitor = fh_monitor_of(cell);
	struct fh_status_snapshot snapshot;

	pthread_mutex_lock(&monitor->lock);
	snapshot = look(cell);
	pthread_mutex_unlock(&monitor->lock);
	return snapshot;
}

unsigned fh_status_get(const struct fh_status *cell)
{
	return fh_status_read(cell).state;
}

int fh_status_set(struct fh_status *cell, unsigned state)
{
	struct fh_monitor *monitor = fh_monitor_of(cell);

	if (state >= FH_STATUS_STATES)
		return -EINVAL;
	pthread_mutex_lock(&monitor->lock);
	leave(monitor, change(cell, state));
	return 0;
}

int fh_status_compare_exchange(struct fh_status *cell,
			       struct fh_status_snapshot *expected,
			       unsigned state)
{
	struct fh_monitor *monitor = fh_monitor_of(cell);
	struct fh_status_snapshot now;
	bool same, wake = false;

	if (state >= FH_STATUS_STATES)
		return -EINVAL;
	pthread_mutex_lock(&monitor->lock);
	now = look(cell);
	same = now.state == expected->state && now.epoch == expected->epoch;
	if (same)
		wake = change(cell, state);
	else
		*expected = now;
	leave(monitor, wake);
	return same ? 0 : -EAGAIN;
}

static bool may_follow(const struct fh_status_table *table, unsigned present,
		       unsigned state)
{
	return present < table->states &&
	       table->allowed[present] & FH_STATE(state);
}

int fh_status_transition(struct fh_status *cell,
			 const struct fh_status_table *table, unsigned state,
			 struct fh_status_snapshot *from)
{
	struct fh_monitor *monitor = fh_monitor_of(cell);
	struct fh_status_snapshot now;
	bool legal, wake = false;

	if (state >= table->states || state >= FH_STATUS_STATES)
		return -EINVAL;
	pthread_mutex_lock(&monitor->lock);
	now = look(cell);
	legal = may_follow(table, now.state, state);
	if (legal)
		wake = change(cell, state);
	leave(monitor, wake);
	if (from)
		*from = now;
	return legal ? 0 : -EPERM;
}

typedef bool (*condition)(struct fh_status_snapshot now, uint64_t argument);

static bool is_in(struct fh_status_snapshot now, uint64_t states)
{
	return FH_STATE(now.state) & states;
}

static bool is_past(struct fh_status_snapshot now, uint64_t epoch)
{
	return now.epoch != epoch;
}

static int wait_for(struct fh_status *cell, condition met, uint64_t argument,
		    int64_t deadline, struct fh_status_snapshot *seen)
{
	struct fh_monitor *monitor = fh_monitor_of(cell);
	struct fh_status_snapshot now;
	int rc = 0;

	pthread_mutex_lock(&monitor->lock);
	while (now = look(cell), !met(now, argument) && !rc) {
		store(cell, word_of(cell) | WAITERS);
		rc = fh_cond_wait_until(&monitor->changed, &monitor->lock,
					deadline);
	}
	pthread_mutex_unlock(&monitor->lock);
	if (seen)
		*seen = now;
	return met(now, argument) ? 0 : rc;
}

int fh_status_wait(struct fh_status *cell, uint64_t states, int64_t deadline,
		   struct fh_status_snapshot *seen)
{
	if (!states)
		return -EINVAL;
	return wait_for(cell, is_in, states, deadline, seen);
}

int fh_status_wait_change(struct fh_status *cell, uint64_t epoch,
			  int64_t deadline, struct fh_status_snapshot *seen)
{
	return wait_for(cell, is_past, epoch, deadline, seen);
}
