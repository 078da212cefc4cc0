/* SPDX-License-Identifier: MIT */
/*
 * gate, as histories: entering, leaving, closing, opening and looking have
 * one order in which nobody enters a full gate or a closed one, and nobody is
 * refused by one that has a place.
 *
 * If the gate were wrong: an entry that is lost or doubled makes a later
 * refusal, or a later look, an impossible one; so does a refusal in a moment
 * in which there was a place, and an entry after a close.
 */
#include <freehold/gate.h>

#include <errno.h>

#include "history.h"

enum { ENTER, POLL, LEAVE, CLOSE, OPEN, DRAIN, STATS, KINDS };

static struct fh_gate *gates[HISTORY_OBJECTS];
static size_t limit;	/* of all of them, in the present form */

/* ---- the sequential gate: word 0 is inside, word 1 closed ---- */

static bool enter(struct linear_state *state, const struct operation *op)
{
	int full = op->kind == ENTER ? -EBUSY : -ETIMEDOUT;
	int rc = state->word[1] ? -ESHUTDOWN :
		 state->word[0] < limit ? 0 : full;

	state->word[0] += rc == 0;
	return op->rc == rc;
}

static bool step(struct linear_state *state, const struct operation *op)
{
	switch (op->kind) {
	case LEAVE:
		if (state->word[0] == 0)
			return op->rc == -EPERM;
		state->word[0]--;
		return op->rc == 0;
	case CLOSE:
	case OPEN:
		state->word[1] = op->kind == CLOSE;
		return true;
	case DRAIN:
		return op->rc == (!state->word[1] ? -ECANCELED :
				  state->word[0] ? -ETIMEDOUT : 0) &&
		       op->out[0] == state->word[0];
	case STATS:
		return op->out[0] == state->word[0] &&
		       op->out[1] == state->word[1];
	default:
		return enter(state, op);
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const names[KINDS] = {
		"enter", "poll", "leave", "close", "open", "drained?",
		"stats",
	};

	snprintf(text, size, "%s: %d, %" PRIu64 " inside, closed %" PRIu64,
		 names[op->kind], op->rc, op->out[0], op->out[1]);
}

/* ---- the real one ---- */

static void do_simply(struct history_thread *self, unsigned kind)
{
	struct fh_gate *gate = gates[self->object];
	struct operation *op = history_call(self, kind, 0, 0, 0);
	int rc = 0;

	if (kind == ENTER)
		rc = fh_gate_enter(gate);
	else if (kind == POLL)
		rc = fh_gate_enter_wait(gate, 0);
	else if (kind == LEAVE)
		rc = fh_gate_leave(gate);
	else if (kind == CLOSE)
		fh_gate_close(gate);
	else
		fh_gate_open(gate);
	history_return(self, op, rc);
}

static void do_stats(struct history_thread *self)
{
	struct operation *op = history_call(self, STATS, 0, 0, 0);
	struct fh_gate_stats stats;

	fh_gate_get_stats(gates[self->object], &stats);
	history_return(self, op, 0);
	op->out[0] = stats.inside;
	op->out[1] = (uint64_t)stats.closed;
}

/* Two operations in one call: a close, and a look at what is left. */
static void do_drain(struct history_thread *self)
{
	struct operation *op = history_call(self, CLOSE, 0, 0, 0), *end;
	size_t left = 0;
	int rc = fh_gate_drain_wait(gates[self->object], 0, &left);

	history_return(self, op, 0);
	end = history_beside(self, DRAIN, 0, op);
	end->rc = rc;
	end->out[0] = left;
}

static void act(struct history_thread *self)
{
	static const unsigned kinds[16] = {
		ENTER, ENTER, ENTER, ENTER, POLL, POLL, LEAVE, LEAVE, LEAVE,
		LEAVE, CLOSE, OPEN, OPEN, DRAIN, STATS, STATS,
	};
	unsigned calls = 3 + (unsigned)random_below(&self->random, 5);

	while (calls--) {
		unsigned kind = kinds[random_below(&self->random, 16)];

		if (kind == STATS)
			do_stats(self);
		else if (kind == DRAIN)
			do_drain(self);
		else
			do_simply(self, kind);
		history_pause(self);
	}
}

static const struct history_room room = {
	.specification = { step, print }, .keys = 1, .act = act,
	.look = do_stats,
};

static void gate_end(struct fh_gate *gate)
{
	while (fh_gate_leave(gate) == 0)
		;
	fh_gate_destroy(gate);
}

int main(void)
{
	static const struct history_form forms[] = {
		{ "a gate of one", 2, 30, 1 }, { "a gate of two", 3, 40, 2 },
		{ "a gate of three", 5, 30, 3 },
	};
	const struct linear_state fresh = { { 0 } };
	struct fh_gate_options options = { 0 };
	size_t i;
	unsigned k;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		options.limit = limit = (size_t)forms[i].how;
		for (k = 0; k < HISTORY_OBJECTS; k++)
			if (fh_gate_create(&gates[k], &options))
				bail_out("no memory for a gate");
		history_run(&room, &forms[i], 15000, &fresh);
		for (k = 0; k < HISTORY_OBJECTS; k++)
			gate_end(gates[k]);
	}
	return done_testing();
}
