/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the record: every pair and every triple of operations, with
 * and without memory that fails, and the end of its life beside readers.
 *
 * Thread t publishes values that carry an id of their own, in one length or
 * another, after a plain note: whoever reads the value must find it whole
 * and must be able to read the note, or the machine reports a race.  A value
 * that was replaced is freed as soon as no section may hold it, so that a
 * use of it is seen; one that is lost is a leak.  All calls together must be
 * linearizable, versions included.
 */
#include "script.h"

#include <freehold/rcu.h>
#include <freehold/record.h>

#include <errno.h>
#include <stdlib.h>

#define THREADS_MOST 3
#define WORDS_MOST 4

enum operation {
	NONE, PUBLISH, PUBLISH_EMPTY, PUBLISH_IF, READ, READ_SHORT, GET,
	GET_TWICE, DESTROY, OPERATIONS
};

static const char *const operation_name[] = {
	"nothing", "publish", "publish nothing", "publish if unchanged",
	"read", "read into two words", "get", "get twice", "destroy",
};

struct setting {
	enum operation operation[THREADS_MOST];
	bool filled;
};

static struct fh_record record;
static uint64_t note[THREADS_MOST];

/* ---- values: an id, then as many multiples of it as the length says ---- */

static uint64_t id_of(unsigned me)
{
	return me + 1;
}

/* Odd threads publish what does not fit into two words; 9 is setup's. */
static size_t words_of(uint64_t id)
{
	return id % 2 ? 2 : WORDS_MOST;
}

static size_t size_of(uint64_t id)
{
	return id ? words_of(id) * sizeof(uint64_t) : 0;
}

static void compose(uint64_t *words, uint64_t id)
{
	size_t i;

	for (i = 0; i < words_of(id); i++)
		words[i] = id * (i + 1);
}

/* The value's id: it must be whole, and its note there. */
static uint64_t examine(const uint64_t *words, size_t size)
{
	uint64_t id = size ? words[0] : 0;
	size_t i;

	expect(size == size_of(id), "%zu bytes are not the length of %ju",
	       size, (uintmax_t)id);
	for (i = 0; id && i < words_of(id); i++)
		expect(words[i] == id * (i + 1), "the value is torn");
	if (id && id <= THREADS_MOST)
		expect(note[id - 1] == id, "the note of %ju is missing",
		       (uintmax_t)id);
	return id;
}

/* ---- the specification ---- */

struct model {
	uint64_t version, id;
	bool empty;		/* there is a value: no bytes */
};
static struct model initial;

/* What a look found, in a word. */
static uint64_t found(int rc, uint64_t version, uint64_t id)
{
	return (uint64_t)-rc << 32 | version << 8 | id;
}

static uint64_t wanted(uint64_t version, uint64_t id)
{
	return version << 8 | id;
}

static uint64_t seen_in(const struct model *model, bool short_buffer)
{
	int rc = 0;

	if (!model->version)
		rc = -ENODATA;
	else if (short_buffer && size_of(model->id) > 2 * sizeof(uint64_t))
		rc = -ENOSPC;
	return found(rc, model->version, rc ? 0 : model->id);
}

static bool may_fail(uint64_t result)
{
	return scenario_now()->failures && (result == (uint64_t)-ENOMEM ||
					    result == (uint64_t)-EAGAIN);
}

static bool step(void *state, const struct call *call)
{
	struct model *model = state;
	uint64_t id = call->argument & 0xff, result = call->result;

	switch ((enum operation)call->operation) {
	case PUBLISH:
	case PUBLISH_EMPTY:
	case PUBLISH_IF:
		if (may_fail(result))
			return true;
		if (call->operation == PUBLISH_IF &&
		    call->argument != wanted(model->version, id))
			return result == (uint64_t)-ESTALE;
		model->version++;
		model->id = id;
		return result == 0;
	case DESTROY:
		*model = (struct model){ 0 };
		return true;
	case GET:
		return result == found(0, model->version, model->id);
	default:
		return result == seen_in(model,
					 call->operation == READ_SHORT);
	}
}

/* ---- the operations ---- */

static void publish(unsigned me, enum operation operation)
{
	uint64_t *words = calloc(WORDS_MOST, sizeof(*words));
	uint64_t id = operation == PUBLISH_EMPTY ? 0 : id_of(me);
	uint64_t version = initial.version;
	struct call *call;
	int rc;

	if (!words)
		return;
	compose(words, id_of(me));
	note[me] = id_of(me);
	call = call_begin(operation, wanted(version, id));
	if (operation == PUBLISH_IF)
		rc = fh_record_publish_if(&record, version, words,
					  size_of(id));
	else
		rc = fh_record_publish(&record, words, size_of(id));
	call_end(call, (uint64_t)rc);
	free(words); /* it is the caller's, and was copied */
}

static void read_out(enum operation operation)
{
	size_t room = (operation == READ ? WORDS_MOST : 2) * sizeof(uint64_t);
	uint64_t version, id = 0, *words = malloc(room);
	struct call *call;
	size_t size;
	int rc;

	if (!words)
		return;
	call = call_begin(operation, 0);
	rc = fh_record_read(&record, words, room, &size, &version);
	if (rc == 0)
		id = examine(words, size);
	else
		expect(rc == -ENOSPC ? size > room : size == 0,
		       "%d tells of %zu bytes", rc, size);
	call_end(call, found(rc, version, id));
	free(words);
}

static const uint64_t *look(uint64_t *version)
{
	struct call *call = call_begin(GET, 0);
	size_t size;
	const uint64_t *words = fh_record_get(&record, &size, version);

	call_end(call, found(0, *version, examine(words, size)));
	return words;
}

/* The value stays as it is until the section ends. */
static void get(bool twice)
{
	uint64_t version, later, id = 0;
	const uint64_t *words;

	fh_rcu_read_lock();
	words = look(&version);
	if (words && version == 1 && initial.version)
		id = words[0];
	if (twice) {
		look(&later);
		expect(later >= version || !later, "the version goes back");
	}
	expect(!id || words[0] == id, "the value changed in place");
	fh_rcu_read_unlock();
}

void act(unsigned me)
{
	const struct setting *setting = scenario_now()->data;
	enum operation operation = setting->operation[me];
	struct call *call;

	if (operation == READ || operation == READ_SHORT) {
		read_out(operation);
	} else if (operation == GET || operation == GET_TWICE) {
		get(operation == GET_TWICE);
	} else if (operation == DESTROY) {
		call = call_begin(operation, 0);
		fh_record_destroy(&record);
		call_end(call, 0);
	} else {
		publish(me, operation);
	}
}

/* ---- the beginning and the end ---- */

static void setup(void)
{
	const struct setting *setting = scenario_now()->data;
	uint64_t words[WORDS_MOST];

	initial = (struct model){ 0 };
	if (!setting->filled)
		return;
	compose(words, 9);
	expect(fh_record_publish(&record, words, size_of(9)) == 0, "setup");
	initial = (struct model){ .version = 1, .id = 9 };
}

static void finish(void)
{
	uint64_t version;

	fh_rcu_read_lock();
	look(&version);
	fh_rcu_read_unlock();
	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	fh_record_destroy(&record);
	expect(!record.current, "a record is left");
}

/* ---- who fails knows what came first ---- */

static void publish_first(void)
{
	uint64_t words[WORDS_MOST];

	compose(words, 1);
	note[0] = 1;
	expect(fh_record_publish_if(&record, 0, words, size_of(1)) == 0 ||
	       note[1] == 2, "it came second and does not know");
}

static void publish_too(void)
{
	uint64_t words[WORDS_MOST];

	compose(words, 2);
	note[1] = 2;
	expect(fh_record_publish_if(&record, 0, words, size_of(2)) == 0 ||
	       note[0] == 1, "it came second and does not know");
}

static void destroy(void)
{
	fh_record_destroy(&record);
}

/* ---- a record is over when the value that was awaited is there ---- */

static void publish_last(void)
{
	uint64_t words[WORDS_MOST];

	compose(words, 1);
	note[0] = 1;
	expect(fh_record_publish(&record, words, size_of(1)) == 0,
	       "the last value is refused");
}

static void destroy_after_last(void)
{
	uint64_t words[WORDS_MOST], version;
	size_t size;

	if (fh_record_read(&record, words, sizeof(words), &size, &version))
		return;
	expect(version == 1 && examine(words, size) == 1,
	       "version %ju is not the last", (uintmax_t)version);
	destroy();
}

static void look_on(void)
{
	const uint64_t *words;
	size_t size;

	fh_rcu_read_lock();
	words = fh_record_get(&record, &size, NULL);
	expect(!words || examine(words, size) == 1, "another value");
	fh_rcu_read_unlock();
}

/* ---- which of them ---- */

static void add(bool filled, unsigned threads,
		const enum operation *operation, int failures)
{
	const struct scenario frame = { .setup = setup, .finish = finish,
					.failures = failures };
	struct setting setting = { .filled = filled };
	struct scenario *scenario;
	unsigned i;

	for (i = 0; i < threads; i++)
		setting.operation[i] = operation[i];
	scenario = add_scenario(&frame, &setting, sizeof(setting));
	name_scenario(scenario, "%s%s:", filled ? "a value" : "none yet",
		      failures ? ", no memory" : "");
	for (i = 0; i < threads; i++)
		add_actor(scenario, "%s", operation_name[operation[i]]);
}

static bool writes(enum operation operation)
{
	return operation <= PUBLISH_IF || operation == DESTROY;
}

/* One at least writes; who destroys is beside readers alone. */
static bool sensible(unsigned threads, const enum operation *operation)
{
	unsigned i, writers = 0, destroyers = 0;

	for (i = 0; i < threads; i++) {
		writers += writes(operation[i]);
		destroyers += operation[i] == DESTROY;
	}
	return writers && (!destroyers || writers == 1);
}

static void add_groups(bool filled, unsigned threads, unsigned thread,
		       enum operation from)
{
	static enum operation operation[THREADS_MOST];

	if (thread < threads) {
		for (; from < OPERATIONS; from++) {
			operation[thread] = from;
			add_groups(filled, threads, thread + 1, from);
		}
		return;
	}
	if (!sensible(threads, operation))
		return;
	add(filled, threads, operation, 0);
	if (threads == 2)
		add(filled, threads, operation, 1);
}

static const struct scenario own[] = {
	{ "who fails knows what came first",
	  .thread = { publish_first, publish_too }, .finish = destroy },
	{ "publish | destroy what came | look on",
	  .thread = { publish_last, destroy_after_last, look_on },
	  .finish = destroy },
};

int main(int argc, char **argv)
{
	unsigned i;

	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		add_scenario(&own[i], NULL, 0);
	for (i = 0; i < 4; i++)
		add_groups(i % 2, i < 2 ? 2 : 3, 0, PUBLISH);
	return script_main(argc, argv);
}
