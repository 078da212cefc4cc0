/* SPDX-License-Identifier: MIT */
/*
 * counter: one word per stripe, threads dealt out to the stripes in turn.
 *
 * A thread keeps its stripe for life, so that up to FH_COUNTER_STRIPES
 * threads add without sharing a cache line.  More threads share, and that is
 * why each addition is an atomic one.
 *
 * Exact at rest: additions are atomic and each lands in one stripe, so the
 * sum of the stripes is the sum of all additions.  While others add, each
 * stripe is read at some moment between the read's begin and end.
 */
#include <freehold/counter.h>

#include "atomic.h"

_Static_assert(sizeof(struct fh_counter_stripe) == 64, "one cache line");

static unsigned stripe_of_this_thread(void)
{
	static _Atomic(unsigned) dealt;
	static _Thread_local unsigned mine; /* 0: none yet, else index + 1 */

	if (unlikely(mine == 0))
		mine = add_relaxed(&dealt, 1u) % FH_COUNTER_STRIPES + 1;
	return mine - 1;
}

static _Atomic(int64_t) *value_of(const struct fh_counter *counter, unsigned i)
{
	return (_Atomic(int64_t) *)(uintptr_t)&counter->stripe[i].value;
}

int64_t fh_counter_add(struct fh_counter *counter, int64_t amount)
{
	_Atomic(int64_t) *value = value_of(counter, stripe_of_this_thread());

	return (int64_t)((uint64_t)add_relaxed(value, amount) +
			 (uint64_t)amount);
}

int64_t fh_counter_read(const struct fh_counter *counter)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < FH_COUNTER_STRIPES; i++)
		sum += (uint64_t)load_acquire(value_of(counter, i));
	return (int64_t)sum;
}
