/* SPDX-License-Identifier: MIT */
/*
 * The judge before the court: linear.h itself.
 *
 * Histories written by hand, of which one knows the answer, both ways; then
 * random ones, for which every order is tried by brute force and must give
 * the same answer.  If the checker accepted what it should not, the tests of
 * histories would show nothing; if it refused what is right, they would
 * accuse the library.
 */
#include <freehold/base.h>

#include "linear.h"
#include "tap.h"

enum { WRITE, READ, ADD, TAKE, PUT, GET };

/*
 * A register (word 0), and a queue of at most three numbers (0: free).
 * ADD gives what was there before; TAKE empties the register, and fails
 * (rc -1) if it is 0.
 */
static bool step(struct linear_state *state, const struct operation *op)
{
	uint64_t *word = state->word;
	unsigned i;

	switch (op->kind) {
	case WRITE:
		word[0] = op->in[0];
		return true;
	case READ:
		return word[0] == op->out[0];
	case ADD:
		word[0] += op->in[0];
		return word[0] - op->in[0] == op->out[0];
	case TAKE:
		if (op->rc)
			return word[0] == 0;
		if (!word[0] || word[0] != op->out[0])
			return false;
		word[0] = 0;
		return true;
	case PUT:
		for (i = 0; i < 3; i++)
			if (!word[i])
				break;
		if (i == 3)
			return false;
		word[i] = op->in[0];
		return true;
	default:
		if (word[0] != op->out[0])
			return false;
		memmove(word, word + 1, 3 * sizeof(*word));
		return true;
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	snprintf(text, size, "%u(%" PRIu64 "): %" PRIu64, op->kind, op->in[0],
		 op->out[0]);
}

static const struct specification specification = { step, print };
static struct linear linear;

static bool decide(const struct operation *given, unsigned count)
{
	struct operation op[LINEAR_MOST];
	struct linear_state state = { { 0 } };

	memcpy(op, given, count * sizeof(*op));
	return linearizable(&linear, &specification, op, count, &state);
}

/* invoked, returned, kind, in, out */
#define OP(from, to, what, given, got) \
	{ .invoked = from, .returned = to, .kind = what, \
	  .in = { given }, .out = { got } }
#define FAILED(from, to, what) \
	{ .invoked = from, .returned = to, .kind = what, .rc = -1 }

struct by_hand {
	const char *name;
	bool right;
	struct operation op[6];
};

static const struct by_hand by_hand[] = {
	{ "nothing happened", true, { { 0 } } },
	{ "a write, then its read", true,
	  { OP(1, 2, WRITE, 5, 0), OP(3, 4, READ, 0, 5) } },
	{ "a write, then an old read", false,
	  { OP(1, 2, WRITE, 5, 0), OP(3, 4, READ, 0, 0) } },
	{ "an old read beside the write", true,
	  { OP(1, 4, WRITE, 5, 0), OP(2, 3, READ, 0, 0) } },
	{ "a new read beside the write", true,
	  { OP(1, 4, WRITE, 5, 0), OP(2, 3, READ, 0, 5) } },
	{ "the very tick of the return is still beside it", true,
	  { OP(1, 3, WRITE, 5, 0), OP(3, 4, READ, 0, 0) } },
	{ "a read of what nobody wrote", false,
	  { OP(1, 4, WRITE, 5, 0), OP(2, 3, READ, 0, 6) } },
	{ "a read before the write began", false,
	  { OP(1, 2, READ, 0, 5), OP(3, 4, WRITE, 5, 0) } },
	{ "new, then old, beside one write", false,
	  { OP(1, 9, WRITE, 5, 0), OP(2, 3, READ, 0, 5),
	    OP(4, 5, READ, 0, 0) } },
	{ "old, then new, beside one write", true,
	  { OP(1, 9, WRITE, 5, 0), OP(2, 3, READ, 0, 0),
	    OP(4, 5, READ, 0, 5) } },
	{ "two readers agree on the order of two writes", true,
	  { OP(1, 9, WRITE, 1, 0), OP(1, 9, WRITE, 2, 0),
	    OP(2, 3, READ, 0, 2), OP(2, 3, READ, 0, 2),
	    OP(4, 5, READ, 0, 1), OP(4, 5, READ, 0, 1) } },
	{ "two readers see two writes in opposite orders", false,
	  { OP(1, 9, WRITE, 1, 0), OP(1, 9, WRITE, 2, 0),
	    OP(2, 3, READ, 0, 1), OP(2, 3, READ, 0, 2),
	    OP(4, 5, READ, 0, 2), OP(4, 5, READ, 0, 1) } },
	{ "two additions, one after the other in effect", true,
	  { OP(1, 4, ADD, 1, 1), OP(1, 4, ADD, 1, 0),
	    OP(5, 6, READ, 0, 2) } },
	{ "a lost addition: both saw the same", false,
	  { OP(1, 4, ADD, 1, 0), OP(1, 4, ADD, 1, 0) } },
	{ "a lost addition, seen only at rest", false,
	  { OP(1, 4, ADD, 1, 0), OP(1, 4, ADD, 1, 1),
	    OP(5, 6, READ, 0, 1) } },
	{ "one of two takers wins", true,
	  { OP(1, 2, WRITE, 5, 0), OP(3, 6, TAKE, 0, 5),
	    FAILED(3, 6, TAKE) } },
	{ "two takers win", false,
	  { OP(1, 2, WRITE, 5, 0), OP(3, 6, TAKE, 0, 5),
	    OP(3, 6, TAKE, 0, 5) } },
	{ "a taker finds nothing though something is there", false,
	  { OP(1, 2, WRITE, 5, 0), FAILED(3, 6, TAKE) } },
	{ "replaced by removing and inserting: a reader saw the hole", false,
	  { OP(1, 2, WRITE, 5, 0), OP(3, 9, WRITE, 6, 0),
	    OP(4, 5, READ, 0, 0), OP(6, 7, READ, 0, 6) } },
	{ "a queue, first in first out", true,
	  { OP(1, 4, PUT, 7, 0), OP(2, 5, PUT, 8, 0), OP(6, 9, GET, 0, 8),
	    OP(7, 8, GET, 0, 7) } },
	{ "a queue, the second put came out first", false,
	  { OP(1, 2, PUT, 7, 0), OP(3, 4, PUT, 8, 0), OP(5, 6, GET, 0, 8),
	    OP(7, 8, GET, 0, 7) } },
	{ "a chain of overlaps orders nothing", true,
	  { OP(1, 3, WRITE, 1, 0), OP(2, 5, READ, 0, 0),
	    OP(4, 7, WRITE, 2, 0), OP(6, 9, READ, 0, 1) } },
	{ "but a gap in the chain does", false,
	  { OP(1, 2, WRITE, 1, 0), OP(3, 5, READ, 0, 0),
	    OP(4, 7, WRITE, 2, 0), OP(6, 9, READ, 0, 1) } },
};

static void test_by_hand(void)
{
	size_t i;

	for (i = 0; i < sizeof(by_hand) / sizeof(*by_hand); i++) {
		const struct by_hand *history = &by_hand[i];
		unsigned count = 0;

		while (count < 6 && history->op[count].returned)
			count++;
		is(decide(history->op, count), history->right, "%s: %s",
		   history->right ? "accepted" : "refused", history->name);
	}
}

/* ---- every order, without memory and without wit ---- */

static bool brute(const struct operation *op, unsigned count, unsigned done,
		  struct linear_state state)
{
	unsigned i, j;

	if (done + 1 == 1u << count)
		return true;
	for (i = 0; i < count; i++) {
		struct linear_state next = state;

		if (done >> i & 1)
			continue;
		for (j = 0; j < count; j++)
			if (!(done >> j & 1) &&
			    op[j].returned < op[i].invoked)
				break;
		if (j == count && step(&next, &op[i]) &&
		    brute(op, count, done | 1u << i, next))
			return true;
	}
	return false;
}

/* Small numbers, so that about as many are right as wrong. */
static void random_operation(struct operation *op, uint64_t *random,
			     bool queue)
{
	static const unsigned kinds[] = { WRITE, READ, ADD, TAKE, READ, TAKE };

	memset(op, 0, sizeof(*op));
	op->kind = kinds[random_below(random, 6)];
	if (queue)
		op->kind = random_below(random, 2) ? PUT : GET;
	op->invoked = random_below(random, 20);
	op->returned = op->invoked + random_below(random, 12);
	op->in[0] = 1 + random_below(random, 2);
	op->out[0] = random_below(random, 3);
	if (op->kind == TAKE && op->out[0] == 0)
		op->rc = -1;
	if (queue)
		op->out[0] = 1 + random_below(random, 2);
}

static void test_random(void)
{
	size_t i, histories = scaled(150000, 2000), right = 0, differ = 0;
	uint64_t random = random_seed(0);

	for (i = 0; i < histories; i++) {
		unsigned k, count = 3 + (unsigned)random_below(&random, 4);
		const struct linear_state fresh = { { 0 } };
		struct operation op[8];
		bool answer;

		for (k = 0; k < count; k++)
			random_operation(&op[k], &random, i & 1);
		answer = brute(op, count, 0, fresh);
		right += answer;
		differ += answer != decide(op, count);
	}
	diag("%zu random histories, %zu of them linearizable", histories,
	     right);
	is(differ, 0, "the checker agrees with trying every order");
	ok(right > histories / 20 && right < histories * 19 / 20,
	   "and there were many of both");
}

/* Longer than brute force can go: made from an order, then spoilt. */
static void made_history(struct operation *op, unsigned count,
			 uint64_t *random)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < count; i++) {
		memset(&op[i], 0, sizeof(op[i]));
		op[i].kind = random_below(random, 2) ? ADD : READ;
		op[i].in[0] = op[i].kind == ADD;
		op[i].out[0] = value;
		value += op[i].in[0];
		op[i].invoked = 10 * i + 40 - random_below(random, 40);
		op[i].returned = 10 * i + 40 + random_below(random, 40);
	}
}

static void test_long(void)
{
	size_t i, rounds = scaled(4000, 100), accepted = 0, refused = 0;
	struct operation op[LINEAR_MOST];
	uint64_t random = random_seed(1);

	for (i = 0; i < rounds; i++) {
		made_history(op, LINEAR_MOST, &random);
		accepted += decide(op, LINEAR_MOST);
		/* An addition whose result no order can give. */
		op[20].kind = op[21].kind = ADD;
		op[20].in[0] = op[21].in[0] = 1;
		op[20].out[0] = op[21].out[0];
		refused += !decide(op, LINEAR_MOST);
	}
	is(accepted, rounds, "64 operations made from an order: accepted");
	is(refused, rounds, "two of them with one result: refused");
}

/* Without remembering dead ends this would take 2^20 orders and more. */
static void test_dead_ends(void)
{
	struct operation op[LINEAR_MOST] = { { 0 } };
	uint64_t before = linear.steps;
	unsigned i, count = 24;

	for (i = 0; i < count; i++) {
		op[i].kind = i < 12 ? ADD : READ;
		op[i].in[0] = i < 12;
		op[i].returned = 100;
		op[i].out[0] = i < 12 ? i : 12;
	}
	op[count - 1].out[0] = 13;
	ok(!decide(op, count), "all beside each other, one impossible read");
	diag("%" PRIu64 " steps", linear.steps - before);
	ok(linear.steps - before < 1000000, "is refused without trying all");
}

int main(void)
{
	watchdog(120);
	test_by_hand();
	test_random();
	test_long();
	test_dead_ends();
	free(linear.dead);
	return done_testing();
}
