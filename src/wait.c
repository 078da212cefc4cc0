/* SPDX-License-Identifier: MIT */
/*
 * wait: one futex call each, with absolute deadlines.
 *
 * FUTEX_WAIT_BITSET takes a point of CLOCK_MONOTONIC where FUTEX_WAIT takes a
 * length; that is the only reason for it.  The futex is private: the word
 * lies in one address space.
 */
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

int fh_wait_on(const _Atomic(uint32_t) *word, uint32_t seen, int64_t deadline)
{
	struct timespec until, *timeout = NULL;
	long rc;

	FH_STEP_("futex_wait", word);
	if (deadline <= 0)
		return -ETIMEDOUT;
	if (deadline != FH_FOREVER) {
		until.tv_sec = (time_t)(deadline / NS_PER_S);
		until.tv_nsec = (long)(deadline % NS_PER_S);
		timeout = &until;
	}
	rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
		     seen, timeout, NULL, FUTEX_BITSET_MATCH_ANY);
	return rc == -1 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

static void wake(const _Atomic(uint32_t) *word, int most)
{
	FH_STEP_("futex_wake", word);
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, most, NULL,
		NULL, 0);
}

void fh_wake_all(const _Atomic(uint32_t) *word)
{
	wake(word, INT_MAX);
}

void fh_wake_one(const _Atomic(uint32_t) *word)
{
	wake(word, 1);
}
