/* SPDX-License-Identifier: MIT */
/*
 * record, as histories: publications and reads have one order in which
 * versions count up by one and every read gives the value of its version.
 *
 * If the record were wrong: a lost publication leaves a version short; two
 * winners of one version make the second an impossible one; a value that is
 * mixed from two, or read after it was freed, has words that differ and
 * matches no publication.
 */
#include <freehold/rcu.h>
#include <freehold/record.h>

#include <errno.h>

#include "history.h"
#include "values.h"

enum { PUBLISH, PUBLISH_IF, READ, READ_SHORT, GET, KINDS };

#define WORDS 9

static struct fh_record record[HISTORY_OBJECTS];

/* ---- the sequential record: word 0 is the version, word 1 the value ---- */

static bool publish(struct linear_state *state, uint64_t value)
{
	state->word[0]++;
	state->word[1] = value;
	return true;
}

/* out: version, value, length */
static bool step_read(const struct linear_state *state,
		      const struct operation *op)
{
	if (op->out[0] != state->word[0])
		return false;
	if (!state->word[0])
		return op->rc == -ENODATA && op->out[2] == 0;
	if (op->out[2] != value_size(state->word[1], WORDS))
		return false;
	if (op->rc == -ENOSPC)
		return op->kind == READ_SHORT && op->out[2] > sizeof(uint64_t);
	return op->rc == 0 && op->out[1] == state->word[1] &&
	       (op->kind != READ_SHORT || op->out[2] == sizeof(uint64_t));
}

static bool step(struct linear_state *state, const struct operation *op)
{
	switch (op->kind) {
	case PUBLISH:
		return op->rc == 0 && publish(state, op->in[0]);
	case PUBLISH_IF:
		if (op->rc == 0)
			return op->in[1] == state->word[0] &&
			       publish(state, op->in[0]);
		return op->rc == -ESTALE && op->in[1] != state->word[0];
	default:
		return step_read(state, op);
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const names[KINDS] = {
		"publish", "publish_if", "read", "read of 8 bytes", "get",
	};

	if (op->kind < READ)
		snprintf(text, size, "%s(%" PRIu64 ") at version %" PRIu64
			 ": %d", names[op->kind], op->in[0], op->in[1],
			 op->rc);
	else
		snprintf(text, size, "%s: %d, version %" PRIu64 ", value %"
			 PRIu64 ", %" PRIu64 " bytes", names[op->kind],
			 op->rc, op->out[0], op->out[1], op->out[2]);
}

/* ---- the real one ---- */

static uint64_t do_read(struct history_thread *self, unsigned kind)
{
	struct operation *op = history_call(self, kind, 0, 0, 0);
	size_t room = kind == READ ? WORDS * 8 : 8, length = 0;
	uint64_t words[WORDS] = { 0 }, version = 0;

	history_return(self, op, fh_record_read(&record[self->object], words,
						room, &length, &version));
	op->out[0] = version;
	op->out[1] = op->rc ? 0 : value_in(words, length, WORDS);
	op->out[2] = length;
	return version;
}

/* The value is looked at for as long as the section lasts. */
static uint64_t do_get(struct history_thread *self)
{
	struct operation *op;
	const uint64_t *words;
	uint64_t version = 0;
	size_t length = 0;

	fh_rcu_read_lock();
	op = history_call(self, GET, 0, 0, 0);
	words = fh_record_get(&record[self->object], &length, &version);
	history_return(self, op, words ? 0 : -ENODATA);
	history_pause(self);
	op->out[0] = version;
	op->out[1] = words ? value_in(words, length, WORDS) : 0;
	op->out[2] = length;
	fh_rcu_read_unlock();
	return version;
}

/* With @version as seen before, or FH_RECORD_ANY. */
static void do_publish(struct history_thread *self, uint64_t version)
{
	uint64_t value = random_next(&self->random) >> 40;
	uint64_t words[WORDS];
	struct operation *op;
	int rc;

	value_make(words, value, WORDS);
	op = history_call(self, version == FH_RECORD_ANY ? PUBLISH :
							   PUBLISH_IF, 0,
			  value, version);
	if (version == FH_RECORD_ANY)
		rc = fh_record_publish(&record[self->object], words,
				       value_size(value, WORDS));
	else
		rc = fh_record_publish_if(&record[self->object], version,
					  words, value_size(value, WORDS));
	history_return(self, op, rc);
}

static void act(struct history_thread *self)
{
	unsigned calls = 3 + (unsigned)random_below(&self->random, 5);
	uint64_t version = 0;

	while (calls--) {
		uint64_t choice = random_below(&self->random, 16);

		if (choice < 4)
			version = do_read(self, READ);
		else if (choice < 5)
			version = do_read(self, READ_SHORT);
		else if (choice < 8)
			version = do_get(self);
		else if (choice < 11)
			do_publish(self, FH_RECORD_ANY);
		else
			do_publish(self, version);
		history_pause(self);
	}
}

static void look(struct history_thread *self)
{
	do_read(self, READ);
}

/* Now and then the record begins again: version 0, nothing published. */
static void reset(unsigned object, struct linear_state *state)
{
	if (state->word[1] % 8)
		return;
	fh_record_destroy(&record[object]);
	memset(state, 0, sizeof(*state));
}

static const struct history_room room = {
	.specification = { step, print }, .keys = 1, .act = act, .look = look,
	.reset = reset,
};

int main(void)
{
	static const struct history_form forms[] = {
		{ "a record", 2, 40, 0 }, { "a record", 3, 30, 0 },
		{ "a record", 5, 30, 0 },
	};
	const struct linear_state fresh = { { 0 } };
	size_t i;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		memset(record, 0, sizeof(record));
		history_run(&room, &forms[i], 40000, &fresh);
		for (unsigned k = 0; k < HISTORY_OBJECTS; k++)
			fh_record_destroy(&record[k]);
	}
	is(fh_rcu_drain_wait(fh_deadline_in(INT64_C(30000000000))), 0,
	   "all garbage is reclaimed");
	return done_testing();
}
