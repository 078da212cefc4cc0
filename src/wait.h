/* SPDX-License-Identifier: MIT */
/*
 * wait: sleep on a 32-bit word until somebody wakes it.  Internal.
 *
 * The caller keeps the promise that no wake-up is lost: whoever changes the
 * word does so before it wakes, and whoever sleeps names the value that it
 * saw, which the kernel compares once more before it puts the thread to
 * sleep.  Interruptions by signals and wakes without a cause are returns of
 * 0: look again.
 */
#ifndef FH_WAIT_H
#define FH_WAIT_H

#include <freehold/base.h>

#include "atomic.h"

/* Sleep while *word == seen; 0: look again, -ETIMEDOUT: deadline passed. */
int fh_wait_on(const _Atomic(uint32_t) *word, uint32_t seen, int64_t deadline);

/* Wake all, or at most one, of those who sleep on the word. */
void fh_wake_all(const _Atomic(uint32_t) *word);
void fh_wake_one(const _Atomic(uint32_t) *word);

#endif
