/* SPDX-License-Identifier: MIT */
/*
 * counter_model: counters that cost no step, for scenarios of rooms that
 * only count with them.  The room itself is explored in schedule_counter.c.
 *
 * What a thread has added is a function of what it did, so nothing of it has
 * to be part of the state.
 */
#include "machine.h"

#include <freehold/counter.h>

int64_t fh_counter_add(struct fh_counter *counter, int64_t amount)
{
	return counter->stripe[m->running].value += amount;
}

int64_t fh_counter_read(const struct fh_counter *counter)
{
	int64_t sum = 0;
	unsigned i;

	for (i = 0; i < THREADS; i++)
		sum += counter->stripe[i].value;
	return sum;
}
