/* SPDX-License-Identifier: MIT */
/*
 * At most so many in any window of time, for one user.
 *
 * A user has as many slots as requests are allowed, and a request takes one
 * by a compare-exchange: it stays taken for the length of the window.  So no
 * window, wherever it begins, has more requests than there are slots; and a
 * request is refused only when it has found them all taken.
 */
#ifndef RATE_H
#define RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The largest number of slots. */
#define RATE_MOST 10000

/** All-zero slots are free. */
struct rate {
	uint64_t hint;		/* where to look first */
	int64_t slots[];	/* taken until then */
};

struct rate_limit {
	size_t count;		/* 0: no limit */
	int64_t window;		/* nanoseconds */
};

/** How a request fared. */
struct rate_answer {
	bool admitted;
	size_t remaining;	/* free slots, after it */
	int64_t next;		/* nanoseconds until one more is free; 0: all
				   are */
	size_t slot;		/* which one it took, */
	int64_t until;		/* and until when: for rate_return */
};

/** rate_take - take a slot, if one is free at @now; any number at once */
struct rate_answer rate_take(struct rate *rate, const struct rate_limit *limit,
			     int64_t now);

/** rate_return - give it back: nothing came of the request */
void rate_return(struct rate *rate, const struct rate_answer *answer);

#endif
