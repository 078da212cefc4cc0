/* SPDX-License-Identifier: MIT */
/* lock: the monitors, and waiting with a deadline. */
#include "lock.h"

#include <errno.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

struct fh_monitor fh_monitors[1 << FH_MONITOR_BITS] = {
	[0 ... (1 << FH_MONITOR_BITS) - 1] = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	},
};

static int wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
		      int64_t deadline)
{
	struct timespec until;

	if (deadline == FH_FOREVER) {
		pthread_cond_wait(cond, lock);
		return 0;
	}
	until.tv_sec = (time_t)(deadline / NS_PER_S);
	until.tv_nsec = (long)(deadline % NS_PER_S);
	if (pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &until))
		return -ETIMEDOUT;
	return 0;
}

/*
 * A thread that is cancelled in a condition variable's wait has the lock, and
 * would take it to its end.  So a wait is no place to be cancelled at, as it
 * is none in the lock-free build.
 */
int fh_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock,
		       int64_t deadline)
{
	int rc, state;

	if (deadline <= 0)
		return -ETIMEDOUT;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	rc = wait_until(cond, lock, deadline);
	pthread_setcancelstate(state, NULL);
	return rc;
}
