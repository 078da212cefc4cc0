/* SPDX-License-Identifier: MIT */
/*
 * counter, as histories; of what it promises, and no more.
 *
 * Steps of one: while all add one, a read that lies between what was there
 * when it began and when it ended passes a moment at which it was exact.  So
 * these histories must be linearizable.
 *
 * Steps of any length, of one sign: the sum may jump over what a read gives.
 * The promise is that there was a moment within the read at which the sum was
 * no more than its result, and one at which it was no less.  Each read is
 * therefore written down as two operations, and the order must have a place
 * for both.
 *
 * Any signs: exact at rest, and nothing else.
 *
 * If the counter were wrong: an addition as load and store loses one when two
 * threads share a stripe, and the read at rest is too low.  So threads are
 * made to share: they take their stripes in turn, and as many short-lived
 * ones as there are stripes, less one, come between two of ours.
 */
#include <freehold/counter.h>

#include "history.h"

enum { ADD, READ, READ_LOW, READ_HIGH, REST, KINDS };
enum { ONES, POSITIVE, NEGATIVE, MIXED };

static struct fh_counter counter[HISTORY_OBJECTS];

static bool step(struct linear_state *state, const struct operation *op)
{
	int64_t sum = (int64_t)state->word[0];

	switch (op->kind) {
	case ADD:
		state->word[0] += op->in[0];
		return true;
	case READ_LOW:
		return sum <= (int64_t)op->out[0];
	case READ_HIGH:
		return sum >= (int64_t)op->out[0];
	default:
		return sum == (int64_t)op->out[0];
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const names[KINDS] = {
		"add", "read", "read, at least", "read, at most",
		"read at rest",
	};

	snprintf(text, size, "%s(%" PRId64 "): %" PRId64, names[op->kind],
		 (int64_t)op->in[0], (int64_t)op->out[0]);
}

static int64_t amount_of(struct history_thread *self)
{
	int64_t length = 1 + (int64_t)random_below(&self->random, 9);

	switch (self->history->form->how) {
	case ONES:
		return 1;
	case POSITIVE:
		return length;
	case NEGATIVE:
		return -length;
	default:
		return length - 5;
	}
}

static void do_add(struct history_thread *self)
{
	int64_t amount = amount_of(self);
	struct operation *op = history_call(self, ADD, 0, (uint64_t)amount, 0);

	fh_counter_add(&counter[self->object], amount);
	history_return(self, op, 0);
}

static void do_read(struct history_thread *self)
{
	unsigned kind = self->history->form->how == ONES ? READ : READ_LOW;
	struct operation *op = history_call(self, kind, 0, 0, 0);

	op->out[0] = (uint64_t)fh_counter_read(&counter[self->object]);
	history_return(self, op, 0);
	if (kind == READ_LOW)
		history_beside(self, READ_HIGH, 0, op)->out[0] = op->out[0];
}

static void act(struct history_thread *self)
{
	unsigned calls = 3 + (unsigned)random_below(&self->random, 4);

	while (calls--) {
		if (self->history->form->how != MIXED &&
		    random_below(&self->random, 3) == 0)
			do_read(self);
		else
			do_add(self);
		history_pause(self);
	}
}

static void look(struct history_thread *self)
{
	struct operation *op = history_call(self, REST, 0, 0, 0);

	op->out[0] = (uint64_t)fh_counter_read(&counter[self->object]);
	history_return(self, op, 0);
}

/* ---- threads that share stripes ---- */

static void take_stripe(unsigned index, void *arg)
{
	(void)index;
	fh_counter_add(arg, 1);
}

/* A thread's first addition; then pass over the stripes up to the same. */
static void enter(struct history_thread *self)
{
	static struct fh_counter taken;

	take_stripe(0, &taken);
	if (self->index % 2 == 0)
		run_crew(FH_COUNTER_STRIPES - 1, take_stripe, &taken);
}

static const struct history_room room = {
	.specification = { step, print }, .keys = 1, .enter = enter,
	.act = act, .look = look,
};

int main(void)
{
	static const struct history_form forms[] = {
		{ "ones", 2, 25, ONES }, { "ones", 4, 15, ONES },
		{ "positive", 2, 15, POSITIVE },
		{ "positive", 3, 15, POSITIVE },
		{ "negative", 3, 15, NEGATIVE },
		{ "mixed signs", 4, 15, MIXED },
	};
	const struct linear_state fresh = { { 0 } };
	size_t i;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		memset(counter, 0, sizeof(counter));
		history_run(&room, &forms[i], 60000, &fresh);
	}
	return done_testing();
}
