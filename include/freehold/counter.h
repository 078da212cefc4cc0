/* SPDX-License-Identifier: MIT */
/*
 * A striped counter: adding touches a cache line that few threads share,
 * reading adds the stripes up.  Exact when read at rest; while others add, a
 * read gives a value between what the counter had when the read began and
 * what it has when the read ends, if all additions have one sign.
 *
 * All-zero bytes are a valid counter of value 0.
 */
#ifndef FREEHOLD_COUNTER_H
#define FREEHOLD_COUNTER_H

#include <freehold/base.h>

FH_BEGIN_DECLS

#define FH_COUNTER_STRIPES 16

/** One cache line of a counter. */
struct fh_counter_stripe {
	int64_t value;
	char pad[56];
};

/** A counter; all-zero bytes are 0. */
struct fh_counter {
	struct fh_counter_stripe stripe[FH_COUNTER_STRIPES];
};

/**
 * fh_counter_add - add @amount, which may be negative
 *
 * Returns the new value of the caller's stripe alone: callers that want to
 * look at the sum only now and then can decide by it.
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  relaxed: a counter publishes nothing but itself.
 * Ownership: none.
 * Errors:    none; the sum wraps around like any 64-bit integer.
 * Context:   anywhere, a signal handler included.
 */
int64_t fh_counter_add(struct fh_counter *counter, int64_t amount);

/**
 * fh_counter_read - the sum of all stripes
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire on each stripe.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
int64_t fh_counter_read(const struct fh_counter *counter);

FH_END_DECLS

#endif
