/* SPDX-License-Identifier: MIT */
/*
 * log, as histories: appends, reads, ranges, polls and closing have one order
 * in which numbers count up by one, every read gives the message that comes
 * next, or the oldest, and every range is that of a moment.
 *
 * If the log were wrong: a number that is given twice or left out makes the
 * second append an impossible one; a reader that is behind and gets a message
 * which was not the oldest in any moment of its call, or an old one that it
 * could know to be gone, finds no place in the order; a message that is mixed
 * from two, or read after it was freed, has words that differ and matches no
 * append.
 */
#include <freehold/log.h>
#include <freehold/rcu.h>

#include <errno.h>

#include "history.h"
#include "logs.h"
#include "values.h"

enum { APPEND, READ, GET, POLL, RANGE, CLOSE, KINDS };

#define WORDS 7
#define IDS 0xffff		/* each fits into sixteen bits */
#define KEPT_MOST 3

static struct fh_log *logs[HISTORY_OBJECTS];
static size_t capacity;	/* of all of them, in the present form */

/*
 * ---- the sequential log ----
 *
 * word 0 is the last number, word 1 the ids of the last four messages, each
 * in the sixteen bits that its number says, word 2 whether it is closed.
 */

static uint64_t id_of(const struct linear_state *state, uint64_t number)
{
	return state->word[1] >> number % 4 * 16 & 0xffff;
}

static bool append(struct linear_state *state, uint64_t id)
{
	unsigned shift = (unsigned)(++state->word[0] % 4 * 16);

	state->word[1] &= ~(UINT64_C(0xffff) << shift);
	state->word[1] |= id << shift;
	return true;
}

static uint64_t first_of(const struct linear_state *state)
{
	return state->word[0] > capacity ? state->word[0] - capacity + 1 : 1;
}

/* in: the cursor; out: number, id */
static bool step_read(const struct linear_state *state,
		      const struct operation *op)
{
	uint64_t next = op->in[0] + 1;

	if (op->in[0] >= state->word[0])
		return op->rc == (state->word[2] ? -ESHUTDOWN : -ENODATA);
	if (next < first_of(state))
		next = first_of(state);
	return op->rc == 0 && op->out[0] == next &&
	       op->out[1] == id_of(state, next);
}

static bool step_poll(const struct linear_state *state,
		      const struct operation *op)
{
	if (op->in[0] < state->word[0])
		return op->rc == 0;
	return op->rc == (state->word[2] ? -ESHUTDOWN : -ETIMEDOUT);
}

static bool step(struct linear_state *state, const struct operation *op)
{
	switch (op->kind) {
	case APPEND:
		if (state->word[2])
			return op->rc == -ESHUTDOWN;
		return op->rc == 0 && append(state, op->in[0]) &&
		       op->out[0] == state->word[0];
	case CLOSE:
		state->word[2] = 1;
		return true;
	case RANGE:
		return op->out[0] == first_of(state) &&
		       op->out[1] == state->word[0] &&
		       op->out[2] == state->word[2];
	case POLL:
		return step_poll(state, op);
	default:
		return step_read(state, op);
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const names[KINDS] = {
		"append", "read", "get", "poll", "range", "close",
	};

	snprintf(text, size, "%s(%" PRIu64 "): %d, %" PRIu64 ", %" PRIu64
		 ", %" PRIu64, names[op->kind], op->in[0], op->rc,
		 op->out[0], op->out[1], op->out[2]);
}

/* ---- the real one ---- */

static void do_append(struct history_thread *self)
{
	uint64_t id = random_below(&self->random, IDS), number = 0;
	uint64_t words[WORDS];
	struct operation *op;

	value_make(words, id, WORDS);
	op = history_call(self, APPEND, 0, id, 0);
	history_return(self, op, fh_log_append(logs[self->object], words,
					       value_size(id, WORDS),
					       &number));
	op->out[0] = number;
}

static void do_read(struct history_thread *self, uint64_t *seen)
{
	struct operation *op = history_call(self, READ, 0, *seen, 0);
	struct fh_log_message message = { 0 };
	uint64_t words[WORDS] = { 0 };

	history_return(self, op, fh_log_read(logs[self->object], seen, words,
					     sizeof(words), &message));
	op->out[0] = message.number;
	op->out[1] = op->rc ? 0 : value_in(words, message.size, WORDS);
}

/* The message is looked at for as long as the section lasts. */
static void do_get(struct history_thread *self, uint64_t *seen)
{
	struct fh_log_message message = { 0 };
	struct operation *op;

	fh_rcu_read_lock();
	op = history_call(self, GET, 0, *seen, 0);
	history_return(self, op, fh_log_get(logs[self->object], seen,
					    &message));
	history_pause(self);
	op->out[0] = message.number;
	op->out[1] = op->rc ? 0 : value_in(message.data, message.size, WORDS);
	fh_rcu_read_unlock();
}

static void do_poll(struct history_thread *self, uint64_t seen)
{
	struct operation *op = history_call(self, POLL, 0, seen, 0);

	history_return(self, op, fh_log_wait(logs[self->object], seen, 0));
}

static uint64_t do_range(struct history_thread *self)
{
	struct operation *op = history_call(self, RANGE, 0, 0, 0);
	struct fh_log_range range;

	fh_log_get_range(logs[self->object], &range);
	history_return(self, op, 0);
	op->out[0] = range.first;
	op->out[1] = range.last;
	op->out[2] = (uint64_t)range.closed;
	return range.last;
}

static void do_close(struct history_thread *self)
{
	struct operation *op = history_call(self, CLOSE, 0, 0, 0);

	fh_log_close(logs[self->object]);
	history_return(self, op, 0);
}

static void act(struct history_thread *self)
{
	unsigned calls = 3 + (unsigned)random_below(&self->random, 5);
	uint64_t seen = 0;

	while (calls--) {
		uint64_t choice = random_below(&self->random, 64);

		if (choice < 26)
			do_append(self);
		else if (choice < 38)
			do_read(self, &seen);
		else if (choice < 48)
			do_get(self, &seen);
		else if (choice < 54)
			seen = do_range(self);
		else if (choice < 58)
			do_poll(self, seen);
		else if (choice < 63)
			seen = 0;
		else
			do_close(self);
		history_pause(self);
	}
}

static void look(struct history_thread *self)
{
	uint64_t seen = 0;

	do_range(self);
	do_read(self, &seen);
}

/* One that is closed is over. */
static void reset(unsigned object, struct linear_state *state)
{
	if (!state->word[2])
		return;
	fh_log_destroy(logs[object]);
	logs[object] = log_of(capacity);
	memset(state, 0, sizeof(*state));
}

static const struct history_room room = {
	.specification = { step, print }, .keys = 1, .act = act, .look = look,
	.reset = reset,
};

int main(void)
{
	static const struct history_form forms[] = {
		{ "a log of one", 2, 20, 1 }, { "a log of one", 3, 20, 1 },
		{ "a log of two", 2, 20, 2 }, { "a log of two", 5, 20, 2 },
		{ "a log of three", 3, 20, KEPT_MOST },
	};
	const struct linear_state fresh = { { 0 } };
	size_t i;
	unsigned k;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		capacity = (size_t)forms[i].how;
		for (k = 0; k < HISTORY_OBJECTS; k++)
			logs[k] = log_of(capacity);
		history_run(&room, &forms[i], 15000, &fresh);
		for (k = 0; k < HISTORY_OBJECTS; k++)
			fh_log_destroy(logs[k]);
	}
	is(fh_rcu_drain_wait(fh_deadline_in(INT64_C(30000000000))), 0,
	   "all garbage is reclaimed");
	return done_testing();
}
