/* SPDX-License-Identifier: MIT */
/*
 * Between the library and the system's sleep: the linker puts these under
 * every futex call of the library, and under the waits for condition variables
 * of the mutex build, with --wrap.  Before each sleep the program is asked,
 * and may have it end without a cause; before each wake it is told of which
 * word.
 */
#ifndef FH_TEST_SLEEPS_H
#define FH_TEST_SLEEPS_H

#include <freehold/base.h>

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "threads.h"

/* What becomes of a sleep; the last three at once, instead of it. */
enum sleep_end { UNDISTURBED, INTERRUPTED, CHANGED, SPURIOUS };

/*
 * The program's.  @clock: by which the sleep is measured; @until: when it is
 * over, FH_FOREVER if the system was not told a time.
 */
static enum sleep_end before_sleep(clockid_t clock, int64_t until);
static void before_wake(const void *at);

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);
int __real_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  clockid_t clock,
				  const struct timespec *until);
int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  clockid_t clock,
				  const struct timespec *until);

static int64_t point_of(const struct timespec *until)
{
	return until ? (int64_t)until->tv_sec * INT64_C(1000000000) +
			       until->tv_nsec : FH_FOREVER;
}

/* Of a call of futex; a plain wait is told a length, by no clock of ours. */
static enum sleep_end before_futex(const void *at, int operation,
				   const struct timespec *until)
{
	int command = operation & FUTEX_CMD_MASK;

	if (command == FUTEX_WAKE) {
		before_wake(at);
		return UNDISTURBED;
	}
	return before_sleep(command == FUTEX_WAIT_BITSET &&
			    !(operation & FUTEX_CLOCK_REALTIME) ?
			    CLOCK_MONOTONIC : CLOCK_REALTIME, point_of(until));
}

long __wrap_syscall(long number, ...)
{
	enum sleep_end end = UNDISTURBED;
	va_list args;
	long a[6];
	int i;

	va_start(args, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_futex)
		end = before_futex((const void *)a[0], (int)a[1],
				   (const struct timespec *)a[3]);
	if (end == UNDISTURBED)
		return __real_syscall(number, a[0], a[1], a[2], a[3], a[4],
				      a[5]);
	errno = end == INTERRUPTED ? EINTR : EAGAIN;
	return end == SPURIOUS ? 0 : -1;
}

/* Who wakes without a cause has been without the lock for a while. */
static int wakes_alone(pthread_mutex_t *lock, clockid_t clock,
		       const struct timespec *until)
{
	if (before_sleep(clock, point_of(until)) == UNDISTURBED)
		return 0;
	pthread_mutex_unlock(lock);
	sched_yield();
	pthread_mutex_lock(lock);
	return 1;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
	return wakes_alone(lock, CLOCK_MONOTONIC, NULL) ?
		       0 : __real_pthread_cond_wait(cond, lock);
}

int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  clockid_t clock, const struct timespec *until)
{
	return wakes_alone(lock, clock, until) ?
		       0 : __real_pthread_cond_clockwait(cond, lock, clock,
							 until);
}

#endif
