/* SPDX-License-Identifier: MIT */
/*
 * Is this history linearizable?  A history is a set of operations, each with
 * its result and the time from invocation to return; it is linearizable if
 * all of them, put into one order that keeps "returned before the other was
 * invoked", give a sequential program these very results.
 *
 * The search is that of Wing and Gong ("Testing and verifying concurrent
 * objects", 1993): take any operation that no other one precedes, let the
 * sequential specification try it, go on with the rest, go back if stuck.
 * With Lowe's addition ("Testing for linearizability", 2017): a pair of
 * "which operations are done" and "the state they lead to" that was once
 * found to be a dead end is remembered and not entered again.
 *
 * A history of several objects is linearizable if that of each one is
 * (Herlihy and Wing's locality), so the caller splits it: by key, by cell.
 *
 * Only complete operations are known here: the recorder waits for all.
 */
#ifndef FH_TEST_LINEAR_H
#define FH_TEST_LINEAR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "threads.h"

#define LINEAR_MOST 64		/* operations: one bit each */

struct operation {
	uint64_t invoked, returned; /* a precedes b: a.returned < b.invoked */
	uint64_t in[3], out[4];
	int rc;
	unsigned kind, thread, key;
};

/* What the object is between two operations; unused words stay 0. */
struct linear_state {
	uint64_t word[4];
};

struct specification {
	/* Could this operation, with its results, happen now?  Then do it. */
	bool (*step)(struct linear_state *state, const struct operation *op);
	/* The operation and its results as text. */
	void (*print)(const struct operation *op, char *text, size_t size);
};

struct dead_end {
	uint64_t stamp, done;
	struct linear_state state;
};

/* What one thread that checks keeps between its checks; zero bytes begin. */
struct linear {
	const struct specification *specification;
	const struct operation *op;	/* by invocation */
	uint64_t all;			/* one bit for each operation */
	uint64_t furthest;		/* the most that could be explained */
	struct linear_state last;	/* after the order that was found */
	struct dead_end *dead;		/* a hash table: stamp says whose */
	size_t room, used;
	uint64_t stamp, steps;
};

/* The place of a dead end in the table, or the free one where it belongs. */
static struct dead_end *dead_end_at(const struct linear *linear, uint64_t done,
				    const struct linear_state *state)
{
	uint64_t hash = done * UINT64_C(0x9e3779b97f4a7c15);
	size_t i;

	for (i = 0; i < 4; i++)
		hash = (hash ^ hash >> 29 ^ state->word[i]) *
		       UINT64_C(0xbf58476d1ce4e5b9);
	for (i = hash >> 32;; i++) {
		struct dead_end *dead = &linear->dead[i & (linear->room - 1)];

		if (dead->stamp != linear->stamp ||
		    (dead->done == done &&
		     !memcmp(&dead->state, state, sizeof(*state))))
			return dead;
	}
}

static void make_room(struct linear *linear)
{
	struct linear larger = *linear;
	size_t i;

	larger.room = linear->room ? 2 * linear->room : 256;
	larger.dead = calloc(larger.room, sizeof(*larger.dead));
	if (!larger.dead)
		bail_out("no memory to check a history");
	for (i = 0; i < linear->room; i++) {
		const struct dead_end *dead = &linear->dead[i];

		if (dead->stamp == linear->stamp)
			*dead_end_at(&larger, dead->done, &dead->state) = *dead;
	}
	free(linear->dead);
	*linear = larger;
}

static void remember(struct linear *linear, uint64_t done,
		     const struct linear_state *state)
{
	if (2 * linear->used >= linear->room)
		make_room(linear);
	*dead_end_at(linear, done, state) =
		(struct dead_end){ linear->stamp, done, *state };
	linear->used++;
}

static bool is_dead_end(const struct linear *linear, uint64_t done,
			const struct linear_state *state)
{
	return linear->used &&
	       dead_end_at(linear, done, state)->stamp == linear->stamp;
}

/* None of the rest may come before an operation that returned by then. */
static uint64_t first_return(const struct linear *linear, uint64_t rest)
{
	uint64_t first = UINT64_MAX;

	for (; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctzll(rest);

		if (linear->op[i].returned < first)
			first = linear->op[i].returned;
	}
	return first;
}

/* As deep as there are operations. */
static bool search(struct linear *linear, uint64_t done,
		   const struct linear_state *state)
{
	uint64_t rest = linear->all & ~done, first, bit;
	struct linear_state next;

	if (__builtin_popcountll(done) >
	    __builtin_popcountll(linear->furthest))
		linear->furthest = done;
	if (!rest)
		linear->last = *state;
	if (!rest || is_dead_end(linear, done, state))
		return !rest;
	first = first_return(linear, rest);
	for (; rest; rest &= rest - 1) {
		const struct operation *op =
			&linear->op[__builtin_ctzll(rest)];

		if (op->invoked > first)
			break;
		bit = rest & -rest;
		next = *state;
		linear->steps++;
		if (linear->specification->step(&next, op) &&
		    search(linear, done | bit, &next))
			return true;
	}
	remember(linear, done, state);
	return false;
}

/* By invocation; the histories are short and nearly in order. */
static void sort_by_invocation(struct operation *op, unsigned count)
{
	unsigned i, j;

	for (i = 1; i < count; i++) {
		struct operation moving = op[i];

		for (j = i; j && op[j - 1].invoked > moving.invoked; j--)
			op[j] = op[j - 1];
		op[j] = moving;
	}
}

/*
 * Sorts the operations, and decides.  If linearizable, *@state becomes the
 * state after the order that was found.
 */
static bool linearizable(struct linear *linear,
			 const struct specification *specification,
			 struct operation *op, unsigned count,
			 struct linear_state *state)
{
	if (count > LINEAR_MOST)
		bail_out("a history is longer than the checker can take");
	sort_by_invocation(op, count);
	linear->specification = specification;
	linear->op = op;
	linear->all = count ? ~UINT64_C(0) >> (LINEAR_MOST - count) : 0;
	linear->furthest = 0;
	linear->stamp++;
	linear->used = 0;
	if (!search(linear, 0, state))
		return false;
	*state = linear->last;
	return true;
}

#endif
