/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the gate: scripts of entering, waiting, leaving, closing,
 * opening and draining, at gates of one place and of two.
 *
 * Who is inside a gate of one place, and who has drained it, has a plain
 * count to itself: two at once, or one that does not see what the other did,
 * are a race that the machine reports.  Somebody who waits though there is a
 * place, or nobody to wait for, is a deadlock.  All calls together must be
 * linearizable: a drain is a close, and later a moment in which nobody is
 * inside.
 */
#include "script.h"

#include <freehold/gate.h>

#include <errno.h>

#define IN_A_WHILE INT64_C(60000000000)

enum operation {
	NONE, VISIT, ENTER, WAIT, WAIT_TIMED, POLL, LEAVE, CLOSE, OPEN, DRAIN,
	DRAIN_TIMED, STATS, DRAINED
};

static const char *const operation_name[] = {
	"", "visit", "enter", "wait", "wait a while", "poll", "leave",
	"close", "open", "drain", "drain a while", "stats",
};

struct setting {
	struct script script[ACTORS];
	size_t limit;
	unsigned inside;	/* in the beginning */
	bool closed;		/* in the beginning */
};

static const struct setting *set(void)
{
	return scenario_now()->data;
}

static struct fh_gate *gate;
static unsigned count_of_one;	/* of who is inside a gate of one place */

/* ---- the specification ---- */

struct model {
	unsigned char inside, closed;
};
static struct model initial;

static uint64_t packed(int rc)
{
	return (uint64_t)-rc;
}

static bool enter_step(struct model *model, const struct call *call)
{
	int rc = model->closed ? -ESHUTDOWN :
		 model->inside < set()->limit ? 0 :
		 call->operation == ENTER ? -EBUSY : -ETIMEDOUT;

	if (rc == 0)
		model->inside++;
	if (rc == -ETIMEDOUT && call->operation == WAIT)
		return false;
	return call->result == packed(rc);
}

static bool drained_step(const struct model *model, const struct call *call)
{
	int rc = !model->closed ? -ECANCELED :
		 model->inside == 0 ? 0 : -ETIMEDOUT;

	if (rc == -ETIMEDOUT && call->argument == DRAIN)
		return false;
	return call->result == (packed(rc) << 8 | model->inside);
}

static bool step(void *state, const struct call *call)
{
	struct model *model = state;

	switch ((enum operation)call->operation) {
	case LEAVE:
		if (model->inside == 0)
			return call->result == packed(-EPERM);
		model->inside--;
		return call->result == 0;
	case CLOSE:
		model->closed = 1;
		return true;
	case OPEN:
		model->closed = 0;
		return true;
	case DRAINED:
		return drained_step(model, call);
	case STATS:
		return call->result ==
		       ((uint64_t)model->inside << 8 | model->closed);
	default:
		return enter_step(model, call);
	}
}

/* ---- the operations ---- */

static void count_alone(void)
{
	if (set()->limit == 1)
		count_of_one++;
}

static void leave(void)
{
	struct call *call = call_begin(LEAVE, 0);

	call_end(call, packed(fh_gate_leave(gate)));
}

static bool enter(enum operation operation)
{
	int64_t deadline = operation == WAIT ? FH_FOREVER :
			   operation == POLL ? 0 : IN_A_WHILE;
	struct call *call = call_begin(operation, 0);
	int rc = operation == ENTER ? fh_gate_enter(gate) :
				      fh_gate_enter_wait(gate, deadline);

	call_end(call, packed(rc));
	expect(rc != -ETIMEDOUT || operation == POLL ||
	       fh_now() >= IN_A_WHILE, "the deadline came early");
	if (rc == 0)
		count_alone();
	return rc == 0;
}

static void drain(enum operation operation)
{
	int64_t deadline = operation == DRAIN ? FH_FOREVER : IN_A_WHILE;
	struct call *close = call_begin(CLOSE, 0);
	struct call *end = call_begin(DRAINED, operation);
	size_t left;
	int rc = fh_gate_drain_wait(gate, deadline, &left);

	call_end(close, 0);
	call_end(end, packed(rc) << 8 | left);
	/* Nobody opens it without having drained it, or there is no count. */
	if (rc == 0)
		count_alone();
}

static void look_at_stats(void)
{
	struct call *call = call_begin(STATS, 0);
	struct fh_gate_stats stats;

	fh_gate_get_stats(gate, &stats);
	call_end(call, (uint64_t)stats.inside << 8 | (uint64_t)stats.closed);
}

static void open_or_close(enum operation operation)
{
	struct call *call = call_begin(operation, 0);

	if (operation == OPEN)
		fh_gate_open(gate);
	else
		fh_gate_close(gate);
	call_end(call, 0);
}

void act(unsigned me)
{
	bool in = true;
	unsigned i;

	for (i = 0; i < ACTIONS; i++) {
		int operation = set()->script[me].action[i];

		if (operation == VISIT) {
			if (enter(ENTER))
				leave();
		} else if (operation == LEAVE) {
			if (in)
				leave();
		} else if (operation == DRAIN || operation == DRAIN_TIMED) {
			drain(operation);
		} else if (operation == OPEN || operation == CLOSE) {
			open_or_close(operation);
		} else if (operation == STATS) {
			look_at_stats();
		} else if (operation != NONE) {
			in = enter(operation);
		}
	}
}

/* ---- the beginning and the end ---- */

static void setup(void)
{
	struct fh_gate_options options = { .limit = set()->limit };
	unsigned i;

	expect(fh_gate_create(&gate, &options) == 0, "setup");
	for (i = 0; i < set()->inside; i++)
		expect(fh_gate_enter(gate) == 0, "setup");
	if (set()->closed)
		fh_gate_close(gate);
	initial.inside = (unsigned char)set()->inside;
	initial.closed = set()->closed;
}

static void finish(void)
{
	struct fh_gate_stats stats;

	fh_gate_get_stats(gate, &stats);
	expect(stats.waiting == 0, "%zu are said to wait", stats.waiting);
	look_at_stats();
	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	while (fh_gate_leave(gate) == 0)
		;
	fh_gate_destroy(gate);
}

/* ---- the last one out frees ---- */

static void leave_the_destroyed(void)
{
	expect(fh_gate_leave(gate) == 0, "it was inside");
}

static void destroy(void)
{
	fh_gate_destroy(gate);
}

static void setup_with_two(void)
{
	struct fh_gate_options options = { .limit = 2 };

	expect(fh_gate_create(&gate, &options) == 0, "setup");
	expect(fh_gate_enter(gate) == 0, "setup");
	expect(fh_gate_enter(gate) == 0, "setup");
}

/* ---- which of them ---- */

static struct scenario *add(struct setting wanted)
{
	static const struct scenario frame = { .setup = setup,
					       .finish = finish };
	struct scenario *scenario = add_scenario(&frame, &wanted,
						 sizeof(wanted));

	name_scenario(scenario, "%u of %zu inside%s:", wanted.inside,
		      wanted.limit, wanted.closed ? ", closed" : "");
	add_scripts(scenario, wanted.script, operation_name);
	return scenario;
}

/* Small scripts, each beside each, at gates in every state. */
static void add_pairs(void)
{
	static const struct script scripts[] = {
		DO(VISIT), DO(ENTER), DO(LEAVE), DO(POLL, LEAVE),
		DO(STATS, STATS), DO(CLOSE, STATS), DO(OPEN, ENTER),
	};
	static const struct {
		size_t limit;
		unsigned inside;
		bool closed;
	} states[] = {
		{ 1, 0, false }, { 1, 1, false }, { 1, 0, true },
		{ 2, 1, false }, { 2, 2, true },
	};
	size_t i, j, k, all = sizeof(scripts) / sizeof(scripts[0]);

	for (k = 0; k < sizeof(states) / sizeof(states[0]); k++)
		for (i = 0; i < all; i++)
			for (j = i; j < all; j++)
				add((struct setting){
					.script = { scripts[i], scripts[j] },
					.limit = states[k].limit,
					.inside = states[k].inside,
					.closed = states[k].closed,
				});
}

static const struct setting waits[] = {
	{ { DO(LEAVE), DO(WAIT, LEAVE) }, 1, 1, false },
	{ { DO(LEAVE), DO(WAIT, LEAVE), DO(WAIT, LEAVE) }, 1, 1, false },
	{ { DO(LEAVE), DO(WAIT, LEAVE), DO(VISIT) }, 1, 1, false },
	{ { DO(LEAVE), DO(WAIT), DO(WAIT) }, 2, 1, false },
	{ { DO(LEAVE), DO(LEAVE), DO(WAIT), DO(WAIT) }, 2, 2, false },
	{ { DO(LEAVE), DO(CLOSE), DO(WAIT, LEAVE) }, 1, 1, false },
	{ { DO(CLOSE), DO(WAIT), DO(WAIT) }, 1, 1, false },
	{ { DO(OPEN), DO(LEAVE), DO(WAIT, LEAVE) }, 1, 1, true },
	{ { DO(CLOSE, OPEN), DO(LEAVE), DO(WAIT, LEAVE) }, 1, 1, false },
	{ { DO(LEAVE), DO(DRAIN) }, 1, 1, false },
	{ { DO(LEAVE), DO(LEAVE), DO(DRAIN) }, 2, 2, false },
	{ { DO(LEAVE), DO(DRAIN), DO(DRAIN) }, 2, 1, false },
	{ { DO(LEAVE), DO(DRAIN), DO(WAIT, LEAVE) }, 1, 1, false },
	{ { DO(VISIT), DO(DRAIN, OPEN), DO(VISIT) }, 1, 0, false },
	{ { DO(WAIT, LEAVE), DO(DRAIN, OPEN), DO(VISIT) }, 1, 0, false },
	{ { DO(LEAVE), DO(DRAIN, OPEN), DO(WAIT, LEAVE) }, 1, 1, false },
	{ { DO(OPEN), DO(DRAIN), DO(LEAVE) }, 2, 1, false },
	{ { DO(OPEN, WAIT, LEAVE), DO(DRAIN), DO(LEAVE, LEAVE) }, 2, 2, false },
	{ { DO(OPEN, LEAVE, LEAVE), DO(DRAIN), DO(WAIT, LEAVE) }, 2, 2, true },
};

static const struct setting timed[] = {
	{ { DO(WAIT_TIMED, LEAVE), DO(LEAVE) }, 1, 1, false },
	{ { DO(WAIT_TIMED, LEAVE), DO(LEAVE), DO(WAIT, LEAVE) }, 1, 1, false },
	{ { DO(WAIT_TIMED), DO(CLOSE) }, 1, 1, false },
	{ { DO(DRAIN_TIMED), DO(LEAVE) }, 1, 1, false },
	{ { DO(DRAIN_TIMED), DO(LEAVE), DO(DRAIN) }, 2, 1, false },
	{ { DO(DRAIN_TIMED), DO(OPEN) }, 2, 1, false },
};

static void add_waits(void)
{
	size_t i;

	for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		small(add(waits[i]));
		restless(small(add(waits[i])));
	}
	for (i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
		small(add(timed[i]))->timeouts = 1;
}

int main(int argc, char **argv)
{
	static const struct scenario last_one_out = {
		.name = "destroy | leave | leave",
		.setup = setup_with_two,
		.thread = { destroy, leave_the_destroyed,
			    leave_the_destroyed },
	};

	add_pairs();
	add_waits();
	add_scenario(&last_one_out, NULL, 0);
	return script_main(argc, argv);
}
