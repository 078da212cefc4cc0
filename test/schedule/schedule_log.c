/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the log: scripts of appends, reads, waits and closing on logs
 * of one, two and three messages, empty, full, and gone round.
 *
 * Thread t's n-th message says so in two words, and the thread writes a plain
 * note before it: whoever reads the message must find it whole and must be
 * able to read the note, or the machine reports a race.  A message that was
 * dropped is freed as soon as no section may hold it, so that a use of it is
 * seen; one that is lost is a leak.  A lost wake-up is a deadlock.  All calls
 * together must be linearizable: a reader that is behind gets the very oldest
 * message of a moment in its call, and a range is that of a moment.
 */
#include "script.h"

#include <freehold/log.h>
#include <freehold/rcu.h>

#include <errno.h>

#define IN_A_WHILE INT64_C(60000000000)
#define NUMBERS 15
#define IDS (ACTORS * ACTIONS)

enum operation {
	NONE, APPEND, READ, LAG, GET, WAIT, WAIT_TIMED, POLL, CLOSE, RANGE,
	READ_WAIT, READ_TIMED, READ_POLL, READ_SMALL
};

static const char *const operation_name[] = {
	"", "append", "read", "read from the first", "get", "wait",
	"wait a while", "poll", "close", "range", "read or wait",
	"read or wait a while", "read or poll", "read or wait, no room",
};

struct setting {
	struct script script[ACTORS];
	size_t capacity;
	unsigned filled;	/* messages that are there in the beginning */
	uint64_t from;		/* where cursors begin */
};

static const struct setting *set(void)
{
	return scenario_now()->data;
}

static struct fh_log *made;
static unsigned note[IDS + 1];

/* ---- the specification ---- */

struct model {
	unsigned char last, closed;
	unsigned char id[NUMBERS + 1];	/* by number */
};
static struct model initial;

static uint64_t packed(int rc, uint64_t number, uint64_t id)
{
	return (uint64_t)-rc << 32 | number << 8 | id;
}

static uint64_t oldest(const struct model *model)
{
	return model->last > set()->capacity ?
		       model->last - set()->capacity + 1 : 1;
}

static uint64_t next_after(const struct model *model, uint64_t cursor)
{
	uint64_t next = cursor + 1;

	if (cursor >= model->last)
		return packed(model->closed ? -ESHUTDOWN : -ENODATA, 0, 0);
	if (next < oldest(model))
		next = oldest(model);
	return packed(0, next, model->id[next]);
}

static bool append_step(struct model *model, const struct call *call)
{
	if (scenario_now()->failures &&
	    (call->result == packed(-ENOMEM, 0, 0) ||
	     call->result == packed(-EAGAIN, 0, 0)))
		return true;
	if (model->closed)
		return call->result == packed(-ESHUTDOWN, 0, 0);
	model->id[++model->last] = (unsigned char)call->argument;
	return call->result == packed(0, model->last, call->argument);
}

static bool wait_step(const struct model *model, const struct call *call)
{
	uint64_t next = next_after(model, call->argument);
	int rc = (int)(next >> 32);

	if (rc == ENODATA)
		return call->operation != WAIT &&
		       call->result == packed(-ETIMEDOUT, 0, 0);
	return call->result == packed(-rc, 0, 0);
}

/* For the longest: there is a message, or there will be none. */
static bool read_wait_step(const struct model *model, const struct call *call)
{
	uint64_t next = next_after(model, call->argument);
	int rc = (int)(next >> 32);

	if (rc == ENODATA)
		return (call->operation == READ_TIMED ||
			call->operation == READ_POLL) &&
		       call->result == packed(-ETIMEDOUT, 0, 0);
	if (call->operation == READ_SMALL && rc == 0)
		return call->result == packed(-ENOSPC, next >> 8 & 0xff, 0);
	return call->result == next;
}

static bool step(void *state, const struct call *call)
{
	struct model *model = state;

	switch ((enum operation)call->operation) {
	case APPEND:
		return append_step(model, call);
	case CLOSE:
		model->closed = 1;
		return true;
	case RANGE:
		return call->result == packed(0, (uint64_t)model->last << 8 |
						 oldest(model), model->closed);
	case WAIT:
	case WAIT_TIMED:
	case POLL:
		return wait_step(model, call);
	case READ_WAIT:
	case READ_TIMED:
	case READ_POLL:
	case READ_SMALL:
		return read_wait_step(model, call);
	default:
		return call->result == next_after(model, call->argument);
	}
}

/* ---- the operations ---- */

struct message {
	unsigned id, again;
};

/* The message's id: it must be whole, and its note there. */
static unsigned examine(const struct message *message, size_t size)
{
	expect(size == sizeof(*message), "%zu bytes are not a message", size);
	expect(message->again == ~message->id && message->id <= IDS + NUMBERS,
	       "the message is torn");
	if (message->id <= IDS)
		expect(note[message->id] == message->id,
		       "the note of %u is missing", message->id);
	return message->id;
}

static void append(unsigned id)
{
	struct message message = { id, ~id };
	struct call *call;
	uint64_t number = 0;
	int rc;

	if (id <= IDS)
		note[id] = id;
	call = call_begin(APPEND, id);
	rc = fh_log_append(made, &message, sizeof(message), &number);
	call_end(call, rc ? packed(rc, 0, 0) : packed(0, number, id));
}

static void read_one(uint64_t *seen)
{
	struct call *call = call_begin(READ, *seen);
	struct fh_log_message told;
	struct message copy = { 0, 0 };
	uint64_t before = *seen, result;
	int rc = fh_log_read(made, seen, &copy, sizeof(copy), &told);

	if (rc == 0) {
		result = packed(0, told.number, examine(&copy, told.size));
		expect(told.number == before + told.missed + 1 &&
		       *seen == told.number, "it is misled");
	} else {
		result = packed(rc, 0, 0);
		expect(*seen == before, "the cursor of a failure moves");
	}
	call_end(call, result);
}

/* A message stays as it is until the section ends. */
static void get_two(uint64_t *seen)
{
	const struct message *first = NULL;
	struct fh_log_message told;
	unsigned i, id, first_id = 0;
	struct call *call;
	int rc;

	fh_rcu_read_lock();
	for (i = 0; i < 2; i++) {
		call = call_begin(GET, *seen);
		rc = fh_log_get(made, seen, &told);
		id = rc ? 0 : examine(told.data, told.size);
		call_end(call, packed(rc, rc ? 0 : told.number, id));
		if (i == 0 && rc == 0) {
			first = told.data;
			first_id = id;
		}
	}
	expect(!first || examine(first, sizeof(*first)) == first_id,
	       "the message changed in place");
	fh_rcu_read_unlock();
}

static void wait_for(enum operation operation, uint64_t seen)
{
	int64_t deadline = operation == WAIT ? FH_FOREVER :
			   operation == POLL ? 0 : IN_A_WHILE;
	struct call *call = call_begin(operation, seen);
	int rc = fh_log_wait(made, seen, deadline);

	call_end(call, packed(rc, 0, 0));
	expect(rc != -ETIMEDOUT || operation == POLL ||
	       fh_now() >= IN_A_WHILE, "the deadline came early");
}

static int64_t deadline_of(enum operation operation)
{
	if (operation == READ_POLL)
		return 0;
	return operation == READ_TIMED ? IN_A_WHILE : FH_FOREVER;
}

/* What was appended, or what was missed before it; never nothing. */
static void read_wait(enum operation operation, uint64_t *seen)
{
	size_t room = operation == READ_SMALL ? 1 : sizeof(struct message);
	struct call *call = call_begin((int)operation, *seen);
	struct fh_log_message told = { 0 };
	struct message copy = { 0, 0 };
	uint64_t before = *seen, result;
	int rc = fh_log_read_wait(made, seen, &copy, room, &told,
				  deadline_of(operation));

	result = packed(rc, 0, 0);
	if (rc == 0)
		result = packed(0, told.number, examine(&copy, told.size));
	else
		expect(*seen == before && !copy.id, "a failure leaves traces");
	if (rc == -ENOSPC)
		result = packed(rc, told.number, 0);
	call_end(call, result);
	expect(rc || *seen == told.number, "the cursor is misled");
	expect((rc && rc != -ENOSPC) ||
	       told.number == before + told.missed + 1, "it is misled");
	expect(rc != -ETIMEDOUT || operation == READ_POLL ||
	       fh_now() >= IN_A_WHILE, "the deadline came early");
}

static void look_at_range(void)
{
	struct call *call = call_begin(RANGE, 0);
	struct fh_log_range range;

	fh_log_get_range(made, &range);
	call_end(call, packed(0, range.last << 8 | range.first,
			      (uint64_t)range.closed));
}

void act(unsigned me)
{
	uint64_t seen = set()->from;
	unsigned i;

	for (i = 0; i < ACTIONS; i++) {
		int operation = set()->script[me].action[i];
		struct call *call;

		if (operation == APPEND) {
			append(me * ACTIONS + i + 1);
		} else if (operation == READ) {
			read_one(&seen);
		} else if (operation == LAG) {
			read_one(&(uint64_t){ 0 });
		} else if (operation == GET) {
			get_two(&seen);
		} else if (operation == RANGE) {
			look_at_range();
		} else if (operation == CLOSE) {
			call = call_begin(CLOSE, 0);
			fh_log_close(made);
			call_end(call, 0);
		} else if (operation >= READ_WAIT) {
			read_wait((enum operation)operation, &seen);
		} else if (operation != NONE) {
			wait_for(operation, seen);
			seen += operation == WAIT;
		}
	}
}

/* ---- the beginning and the end ---- */

static void setup(void)
{
	struct fh_log_options options = { .capacity = set()->capacity };
	unsigned i;

	expect(fh_log_create(&made, &options) == 0, "setup");
	for (i = 1; i <= set()->filled; i++) {
		struct message message = { IDS + i, ~(IDS + i) };

		expect(fh_log_append(made, &message, sizeof(message), NULL) ==
		       0, "setup");
		initial.id[i] = (unsigned char)(IDS + i);
	}
	initial.last = (unsigned char)set()->filled;
}

static void finish(void)
{
	uint64_t seen = 0;

	look_at_range();
	read_one(&seen);
	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	fh_log_destroy(made);
	expect(retired_and_not_reclaimed() == 0, "something is left");
}

/* ---- which of them ---- */

static struct scenario *add(struct setting wanted)
{
	static const struct scenario frame = { .setup = setup,
					       .finish = finish };
	struct scenario *scenario = add_scenario(&frame, &wanted,
						 sizeof(wanted));

	name_scenario(scenario, "%u in %zu, from %u:", wanted.filled,
		      wanted.capacity, (unsigned)wanted.from);
	add_scripts(scenario, wanted.script, operation_name);
	return scenario;
}

/* Small scripts, each beside each, on logs in every state. */
static void add_pairs(void)
{
	static const struct script scripts[] = {
		DO(APPEND), DO(APPEND, APPEND), DO(READ, READ), DO(GET),
		DO(RANGE, LAG), DO(CLOSE, RANGE), DO(POLL, APPEND, READ),
		DO(READ, LAG),
	};
	static const struct {
		size_t capacity;
		unsigned filled;
		uint64_t from;
	} states[] = {
		{ 1, 0, 0 }, { 1, 2, 0 }, { 2, 1, 1 }, { 2, 3, 0 },
		{ 3, 5, 0 },
	};
	size_t i, j, k, all = sizeof(scripts) / sizeof(scripts[0]);

	for (k = 0; k < sizeof(states) / sizeof(states[0]); k++)
		for (i = 0; i < all; i++)
			for (j = i; j < all; j++) {
				struct setting setting = {
					.script = { scripts[i], scripts[j] },
					.capacity = states[k].capacity,
					.filled = states[k].filled,
					.from = states[k].from,
				};

				add(setting);
				if (k == 3 && i == 0)
					without_memory(add(setting));
			}
}

/* Where a third one could tell, or is in the way. */
static void add_triples(void)
{
	static const struct setting triples[] = {
		{ { DO(APPEND), DO(APPEND), DO(APPEND) }, 1, 1, 0 },
		{ { DO(APPEND), DO(APPEND), DO(READ, READ) }, 1, 0, 0 },
		{ { DO(APPEND), DO(APPEND), DO(READ) }, 1, 2, 0 },
		{ { DO(APPEND, APPEND), DO(APPEND), DO(READ) }, 1, 2, 0 },
		{ { DO(APPEND, APPEND), DO(APPEND), DO(GET) }, 1, 2, 0 },
		{ { DO(APPEND), DO(APPEND), DO(READ) }, 2, 3, 0 },
		{ { DO(APPEND, APPEND), DO(APPEND), DO(READ) }, 2, 3, 0 },
		{ { DO(APPEND), DO(APPEND), DO(GET) }, 2, 3, 0 },
		{ { DO(APPEND), DO(APPEND), DO(RANGE, RANGE) }, 2, 1, 0 },
		{ { DO(APPEND), DO(READ), DO(READ) }, 1, 2, 1 },
		{ { DO(APPEND), DO(READ, RANGE), DO(RANGE, READ) }, 2, 0, 0 },
		{ { DO(APPEND), DO(APPEND), DO(CLOSE) }, 1, 1, 0 },
		{ { DO(APPEND), DO(APPEND), DO(CLOSE) }, 2, 0, 0 },
		{ { DO(APPEND), DO(CLOSE), DO(CLOSE) }, 1, 1, 1 },
		{ { DO(APPEND), DO(CLOSE), DO(READ, READ) }, 1, 0, 0 },
		{ { DO(APPEND), DO(APPEND), DO(READ, LAG) }, 2, 3, 3 },
		{ { DO(APPEND), DO(CLOSE), DO(READ, READ) }, 2, 0, 1 },
		{ { DO(APPEND), DO(CLOSE), DO(RANGE, READ) }, 2, 2, 2 },
		{ { DO(APPEND), DO(READ, APPEND), DO(READ) }, 2, 0, 1 },
	};
	size_t i;

	for (i = 0; i < sizeof(triples) / sizeof(triples[0]); i++)
		small(add(triples[i]));
}

static void add_waits(void)
{
	static const struct setting waits[] = {
		{ { DO(APPEND), DO(WAIT, READ) }, 1, 0, 0 },
		{ { DO(APPEND), DO(WAIT, READ) }, 2, 3, 3 },
		{ { DO(APPEND, APPEND), DO(WAIT, READ) }, 2, 0, 1 },
		{ { DO(APPEND), DO(APPEND), DO(WAIT, READ) }, 1, 0, 1 },
		{ { DO(APPEND), DO(APPEND), DO(WAIT) }, 2, 0, 1 },
		{ { DO(APPEND), DO(WAIT, READ), DO(WAIT) }, 2, 0, 0 },
		{ { DO(APPEND), DO(WAIT), DO(APPEND) }, 1, 1, 1 },
		{ { DO(CLOSE), DO(WAIT) }, 1, 0, 0 },
		{ { DO(CLOSE), DO(WAIT), DO(WAIT) }, 2, 3, 3 },
		{ { DO(APPEND), DO(CLOSE), DO(WAIT, READ) }, 2, 0, 0 },
		{ { DO(APPEND), DO(CLOSE), DO(WAIT) }, 2, 0, 1 },
		{ { DO(CLOSE), DO(CLOSE), DO(WAIT) }, 1, 0, 0 },
		{ { DO(CLOSE), DO(WAIT) }, 2, 0, 7 },
		{ { DO(APPEND), DO(WAIT, APPEND), DO(WAIT, WAIT, READ) }, 2,
		  0, 0 },
	};
	static const struct setting timed[] = {
		{ { DO(APPEND), DO(WAIT_TIMED) }, 1, 0, 0 },
		{ { DO(APPEND), DO(WAIT), DO(WAIT_TIMED) }, 2, 0, 0 },
		{ { DO(APPEND), DO(APPEND), DO(WAIT_TIMED) }, 2, 0, 1 },
		{ { DO(CLOSE), DO(WAIT_TIMED), DO(WAIT) }, 2, 0, 0 },
		{ { DO(WAIT_TIMED) }, 1, 0, 0 },
		{ { DO(POLL, POLL), DO(APPEND) }, 1, 1, 1 },
	};
	size_t i;

	for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		small(add(waits[i]));
		restless(small(add(waits[i])));
	}
	for (i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
		small(add(timed[i]))->timeouts = 1;
}

/* Messages go round while somebody waits for the next one, and reads it. */
static void add_read_waits(void)
{
	static const struct script others[] = {
		DO(APPEND), DO(APPEND, APPEND), DO(APPEND, CLOSE),
		DO(CLOSE), DO(READ_WAIT),
	};
	static const struct script readers[] = {
		DO(READ_WAIT), DO(READ_TIMED), DO(READ_POLL),
		DO(READ_SMALL, LAG),
	};
	static const struct setting triples[] = {
		{ { DO(APPEND), DO(READ_WAIT), DO(READ_WAIT) }, 1, 0, 0 },
		{ { DO(APPEND), DO(APPEND), DO(READ_WAIT) }, 1, 2, 2 },
		{ { DO(APPEND), DO(APPEND), DO(READ_WAIT, READ_WAIT) }, 2, 0,
		  0 },
		{ { DO(APPEND), DO(CLOSE), DO(READ_WAIT, RANGE) }, 1, 1, 1 },
		{ { DO(APPEND), DO(CLOSE), DO(READ_WAIT) }, 2, 2, 2 },
		{ { DO(CLOSE), DO(READ_WAIT), DO(READ_TIMED) }, 1, 0, 0 },
		{ { DO(APPEND), DO(READ_WAIT, APPEND),
		    DO(READ_WAIT, READ_WAIT) }, 2, 0, 0 },
	};
	size_t i, j, k;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		for (j = 0; j < sizeof(readers) / sizeof(readers[0]); j++)
			for (k = 1; k <= 2; k++)
				add((struct setting){
					.script = { others[i], readers[j] },
					.capacity = k, .filled = 1,
					.from = others[i].action[0] !=
						READ_WAIT })->timeouts = 1;
	for (i = 0; i < sizeof(triples) / sizeof(triples[0]); i++)
		restless(small(add(triples[i])));
}

int main(int argc, char **argv)
{
	add_pairs();
	add_triples();
	add_waits();
	add_read_waits();
	return script_main(argc, argv);
}
