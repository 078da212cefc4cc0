/* SPDX-License-Identifier: MIT */
/*
 * lock: what the mutex twins share.  Internal.
 *
 * A public cell is one word and has no room for a mutex, so the cells share a
 * fixed table of monitors: an address picks one.  Two cells with one monitor
 * disturb each other, and are still correct: a sleeper that is woken for
 * another's sake looks and sleeps again.
 */
#ifndef FH_MUTEX_LOCK_H
#define FH_MUTEX_LOCK_H

#include <freehold/base.h>

#include <pthread.h>

#define FH_MONITOR_BITS 8

/* Two cache lines, because the prefetcher of x86-64 fetches pairs of them. */
struct fh_monitor {
	pthread_mutex_t lock;
	pthread_cond_t changed;
} __attribute__((aligned(128)));

extern struct fh_monitor fh_monitors[1 << FH_MONITOR_BITS];

static inline struct fh_monitor *fh_monitor_of(const void *address)
{
	uint64_t mixed = (uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15);

	return &fh_monitors[mixed >> (64 - FH_MONITOR_BITS)];
}

/* Wait for a signal; 0: look again, -ETIMEDOUT: the deadline has passed. */
int fh_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
		       int64_t deadline);

#endif
