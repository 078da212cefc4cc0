/* SPDX-License-Identifier: MIT */
/*
 * counter, the mutex twin: one number behind one lock.
 *
 * Stripes would need sixteen locks, and a reader would have to take them all;
 * under a mutex one number is faster to read and simpler.  It lives in the
 * first stripe, and its mutex in that stripe's padding: all-zero bytes are a
 * valid mutex with the C library that this is for.
 *
 * What a lock cannot promise: these functions must not be called in a signal
 * handler, which might have interrupted the holder.
 */
#include <freehold/counter.h>

#include <pthread.h>

_Static_assert(sizeof(pthread_mutex_t) <=
	       sizeof(((struct fh_counter_stripe *)NULL)->pad),
	       "a mutex fits into the padding");
_Static_assert(offsetof(struct fh_counter_stripe, pad) %
	       _Alignof(pthread_mutex_t) == 0, "and is aligned there");

static pthread_mutex_t *lock_of(const struct fh_counter *counter)
{
	return (pthread_mutex_t *)(uintptr_t)counter->stripe[0].pad;
}

int64_t fh_counter_add(struct fh_counter *counter, int64_t amount)
{
	pthread_mutex_t *lock = lock_of(counter);
	int64_t sum;

	pthread_mutex_lock(lock);
	/* in unsigned arithmetic, which wraps around */
	sum = (int64_t)((uint64_t)counter->stripe[0].value + (uint64_t)amount);
	counter->stripe[0].value = sum;
	pthread_mutex_unlock(lock);
	return sum;
}

int64_t fh_counter_read(const struct fh_counter *counter)
{
	pthread_mutex_t *lock = lock_of(counter);
	int64_t sum;

	pthread_mutex_lock(lock);
	sum = counter->stripe[0].value;
	pthread_mutex_unlock(lock);
	return sum;
}
