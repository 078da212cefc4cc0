/* SPDX-License-Identifier: MIT */
/*
 * status, as histories: whatever threads do to a cell, there is one order of
 * their calls that a cell used by one thread would have followed, epoch by
 * epoch.
 *
 * If the cell were wrong: a lost change leaves a later epoch too low; a
 * change that is not one step gives one epoch to two winners, or a state
 * with an epoch that never belonged together; a read that is late shows an
 * epoch that was gone before the read began.
 */
#include <freehold/status.h>

#include <errno.h>

#include "history.h"

enum { SET, GET, READ, EXCHANGE, TRANSITION, WAIT, WAIT_CHANGE, KINDS };

#define STATES 5
#define WAIT_NS 3000

static struct fh_status cell[HISTORY_OBJECTS];

/* From each state to the two that follow, and from 4 to nothing. */
static const uint64_t allowed[STATES] = {
	FH_STATE(1) | FH_STATE(2), FH_STATE(2) | FH_STATE(3),
	FH_STATE(3) | FH_STATE(4), FH_STATE(4) | FH_STATE(0), 0,
};
static const struct fh_status_table table = { STATES, allowed };

/* ---- the sequential cell: word 0 is the state, word 1 the epoch ---- */

static bool is_state(const struct linear_state *cell_is, const uint64_t *out)
{
	return cell_is->word[0] == out[0] && cell_is->word[1] == out[1];
}

static bool change_to(struct linear_state *cell_is, uint64_t state)
{
	cell_is->word[0] = state;
	cell_is->word[1]++;
	return true;
}

/* in[1] and in[2] are what was expected, out what it became on failure. */
static bool step_exchange(struct linear_state *cell_is,
			  const struct operation *op)
{
	bool same = is_state(cell_is, &op->in[1]);

	if (op->rc == 0)
		return same && change_to(cell_is, op->in[0]);
	return op->rc == -EAGAIN && !same && is_state(cell_is, op->out);
}

static bool step_transition(struct linear_state *cell_is,
			    const struct operation *op)
{
	bool legal = allowed[cell_is->word[0]] & FH_STATE(op->in[0]);

	if (!is_state(cell_is, op->out))
		return false;
	if (op->rc == 0)
		return legal && change_to(cell_is, op->in[0]);
	return op->rc == -EPERM && !legal;
}

static bool step(struct linear_state *cell_is, const struct operation *op)
{
	bool reached;

	switch (op->kind) {
	case SET:
		return op->rc == 0 && change_to(cell_is, op->in[0]);
	case GET:
		return cell_is->word[0] == op->out[0];
	case READ:
		return is_state(cell_is, op->out);
	case EXCHANGE:
		return step_exchange(cell_is, op);
	case TRANSITION:
		return step_transition(cell_is, op);
	case WAIT:
		reached = op->in[0] & FH_STATE(op->out[0]);
		break;
	default:
		reached = op->in[0] != op->out[1];
	}
	return is_state(cell_is, op->out) &&
	       op->rc == (reached ? 0 : -ETIMEDOUT);
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const names[KINDS] = {
		"set", "get", "read", "compare_exchange", "transition",
		"wait", "wait_change",
	};

	snprintf(text, size, "%s(%" PRIu64 ") expected %" PRIu64 "@%" PRIu64
		 ": %d, saw %" PRIu64 "@%" PRIu64, names[op->kind], op->in[0],
		 op->in[1], op->in[2], op->rc, op->out[0], op->out[1]);
}

/* ---- the real one ---- */

static void note(struct operation *op, struct fh_status_snapshot seen)
{
	op->out[0] = seen.state;
	op->out[1] = seen.epoch;
}

static void do_read(struct history_thread *self,
		    struct fh_status_snapshot *last)
{
	struct operation *op = history_call(self, READ, 0, 0, 0);

	*last = fh_status_read(&cell[self->object]);
	history_return(self, op, 0);
	note(op, *last);
}

static void do_get(struct history_thread *self)
{
	struct operation *op = history_call(self, GET, 0, 0, 0);

	op->out[0] = fh_status_get(&cell[self->object]);
	history_return(self, op, 0);
}

static void do_set(struct history_thread *self, unsigned state)
{
	struct operation *op = history_call(self, SET, 0, state, 0);

	history_return(self, op, fh_status_set(&cell[self->object], state));
}

/* With what this thread saw last, which may be long out of date. */
static void do_exchange(struct history_thread *self, unsigned state,
			struct fh_status_snapshot *last)
{
	struct operation *op = history_call(self, EXCHANGE, 0, state,
					    last->state);

	op->in[2] = last->epoch;
	history_return(self, op, fh_status_compare_exchange(
					 &cell[self->object], last, state));
	note(op, *last);
	if (op->rc == 0)
		last->epoch++, last->state = state;
}

static void do_transition(struct history_thread *self, unsigned state)
{
	struct operation *op = history_call(self, TRANSITION, 0, state, 0);
	struct fh_status_snapshot from = { 0, 0 };

	history_return(self, op, fh_status_transition(
					 &cell[self->object], &table, state,
					 &from));
	note(op, from);
}

/* A poll mostly; now and then it really sleeps. */
static void do_wait(struct history_thread *self, uint64_t states,
		    struct fh_status_snapshot *last, int64_t deadline)
{
	struct operation *op = history_call(self, WAIT, 0, states, 0);

	history_return(self, op, fh_status_wait(&cell[self->object], states,
						deadline, last));
	note(op, *last);
}

static void do_wait_change(struct history_thread *self,
			   struct fh_status_snapshot *last, int64_t deadline)
{
	struct operation *op = history_call(self, WAIT_CHANGE, 0, last->epoch,
					    0);

	history_return(self, op,
		       fh_status_wait_change(&cell[self->object], last->epoch,
					     deadline, last));
	note(op, *last);
}

static void do_some_wait(struct history_thread *self, unsigned state,
			 struct fh_status_snapshot *last)
{
	int64_t deadline = 0;

	if (random_below(&self->random, 32) == 0)
		deadline = fh_deadline_in(WAIT_NS);
	if (random_below(&self->random, 2))
		do_wait_change(self, last, deadline);
	else
		do_wait(self, FH_STATE(state) | FH_STATE(0), last, deadline);
}

static void act(struct history_thread *self)
{
	struct fh_status_snapshot last = { 0, 0 };
	unsigned calls = 3 + (unsigned)random_below(&self->random, 5);

	while (calls--) {
		unsigned state = (unsigned)random_below(&self->random, STATES);
		uint64_t choice = random_below(&self->random, 16);

		if (choice < 3)
			do_read(self, &last);
		else if (choice < 4)
			do_get(self);
		else if (choice < 7)
			do_set(self, state);
		else if (choice < 11)
			do_exchange(self, state, &last);
		else if (choice < 14)
			do_transition(self, state);
		else
			do_some_wait(self, state, &last);
		history_pause(self);
	}
}

static void look(struct history_thread *self)
{
	struct fh_status_snapshot last;

	do_read(self, &last);
}

static const struct history_room room = {
	.specification = { step, print }, .keys = 1, .act = act, .look = look,
};

int main(void)
{
	static const struct history_form forms[] = {
		{ "a cell", 2, 40, 0 }, { "a cell", 3, 30, 0 },
		{ "a cell", 5, 30, 0 },
	};
	const struct linear_state fresh = { { 0 } };
	size_t i;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		memset(cell, 0, sizeof(cell));
		history_run(&room, &forms[i], 60000, &fresh);
	}
	return done_testing();
}
