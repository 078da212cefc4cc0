/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the table: every pair of operations, and triples of those that
 * interfere, on one bucket in every form that it can have, at rest and at
 * each stage of a migration.
 *
 * Keys A and C go to the lower half when the bucket splits, B to the upper.
 * The operations must be linearizable, key by key and together; whatever was
 * removed is retired at once, so that a use of it is seen; at the end the
 * table holds what the history says, and nothing else was leaked.
 */
#include "schedule.h"

#include "map_migrate.h"
#include "map_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A, B, C, KEYS };
enum { BUCKET = 1, LONG = 18 };

enum operation {
	NONE, INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, REPLACE_A, PUT_A,
	REMOVE_THIS_A, REPLACE_THIS_A, LOOKUP_A, LOOKUP_B, BATCH, WALK,
	MIGRATE, SETTLE, OPERATIONS
};

static const char *const operation_name[] = {
	"nothing", "insert a", "insert b", "remove a", "remove b", "replace a",
	"put a", "remove this a", "replace this a", "look up a", "look up b",
	"look up both", "walk", "migrate", "settle",
};

/* What the bucket holds at first. */
enum content { EMPTY_BUCKET, ONE, TWO, THREE, ONE_DEAD, LOGGED, CONTENTS };

static const char *const content_name[] = {
	"empty", "a", "a b", "a b c", "a b, c dead", "a b in a long block",
};

/* Where a migration is. */
enum stage {
	AT_REST, GROWING, GROWING_LAST, SHRINKING, SHRINKING_LAST, STAGES
};

static const char *const stage_name[] = {
	"at rest", "growing", "growing, last bucket", "shrinking",
	"shrinking, last pair",
};

#define THREADS_MOST 3

struct setting {
	enum content content;
	enum stage stage;
	enum operation operation[THREADS_MOST];
	char name[120];
};

struct item {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	uint64_t id;
};

static struct fh_map *map;
static unsigned others;	/* entries of no interest, to make blocks long */

/* ---- the specification ---- */

struct model {
	uint64_t id[KEYS];
};
static struct model initial;

/* result: the error as it is, or for a success what was found. */
static bool step(void *state, const struct call *call)
{
	struct model *model = state;
	uint64_t id = call->argument, result = call->result;
	uint64_t *a = &model->id[A], *b = &model->id[B], was;

	switch ((enum operation)call->operation) {
	case INSERT_A:
	case INSERT_B:
		a = call->operation == INSERT_A ? a : b;
		if (result == (uint64_t)-ENOMEM || result == (uint64_t)-EAGAIN)
			return true;
		if (*a)
			return result == *a;
		*a = id;
		return result == 0;
	case REMOVE_A:
	case REMOVE_B:
		a = call->operation == REMOVE_A ? a : b;
		was = *a;
		if (result == (uint64_t)-EAGAIN)
			return true;
		*a = 0;
		return result == was;
	case REPLACE_A:
	case PUT_A:
		was = *a;
		if (result == (uint64_t)-ENOMEM || result == (uint64_t)-EAGAIN)
			return true;
		if (was || call->operation == PUT_A)
			*a = id;
		return result == was;
	case REMOVE_THIS_A:
	case REPLACE_THIS_A:
		if (result == (uint64_t)-ENOMEM || result == (uint64_t)-EAGAIN)
			return true;
		if (*a != 1)
			return result == (uint64_t)-ENOENT;
		*a = call->operation == REMOVE_THIS_A ? 0 : id;
		return result == 0;
	case LOOKUP_A:
		return result == *a;
	case LOOKUP_B:
		return result == *b;
	default:
		return true;
	}
}

/* ---- building ---- */

/* The hash is the key. */
static uint64_t identity(struct fh_key key)
{
	return key.word[0];
}

/* With 8 buckets, the upper three bits are the bucket; the next, the side. */
static struct fh_key key_of(unsigned which, unsigned log2)
{
	uint64_t bucket = (uint64_t)BUCKET << (64 - log2);
	uint64_t side = (uint64_t)(which == B) << (63 - log2);

	return fh_key_u64(bucket | side | which);
}

static unsigned base_log2(void)
{
	const struct setting *setting = scenario_now()->data;

	return setting->stage >= SHRINKING ? 3 : TABLE_LOG2_MIN;
}

static struct fh_key key(unsigned which)
{
	return key_of(which, base_log2());
}

static struct item *item(struct fh_key k, uint64_t id)
{
	struct item *made = calloc(1, sizeof(*made));

	made->entry.key = k;
	made->id = id;
	return made;
}

static void item_free(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct item, rcu));
}

static void retire(struct fh_map_entry *entry)
{
	fh_rcu_retire(&((struct item *)entry)->rcu, item_free);
}

static uint64_t id_of(const struct fh_map_entry *entry)
{
	return entry ? ((const struct item *)entry)->id : 0;
}

static void add(unsigned which)
{
	struct item *made = item(key(which), which + 1);

	expect(fh_map_insert(map, &made->entry, NULL) == 0, "setup: insert");
	if (which < KEYS)
		initial.id[which] = made->id;
}

static void take_away(unsigned which)
{
	struct fh_map_entry *entry;

	expect(fh_map_remove(map, key(which), &entry) == 0, "setup: remove");
	free(entry);
	initial.id[which] = 0;
}

static void fill(enum content content)
{
	unsigned i;

	if (content >= ONE)
		add(A);
	if (content >= TWO)
		add(B);
	if (content == THREE || content == ONE_DEAD)
		add(C);
	if (content == ONE_DEAD)
		take_away(C);
	for (i = KEYS; content == LOGGED && i < LONG; i++, others++)
		add(i);
}

static struct table *root(void)
{
	return load_acquire(&map->root);
}

/* A successor; all but the bucket in question may be moved at once. */
static void begin_migration(unsigned log2, bool last)
{
	struct table *next = fh_table_after(root(), log2);
	unsigned grows = log2 > next->prev->log2;
	size_t i;

	store_release(&map->root, next);
	for (i = 0; last && i < table_buckets(next); i++)
		if (i >> grows != BUCKET)
			expect(fh_migrate(map, next, i) == 0, "setup: move");
}

static void setup(void)
{
	const struct setting *setting = scenario_now()->data;
	struct fh_map_options options = { .hash = identity };
	bool shrinks = setting->stage >= SHRINKING;

	memset(&initial, 0, sizeof(initial));
	others = 0;
	expect(fh_map_create(&map, &options) == 0, "setup: create");
	map->fixed = true; /* nothing begins but what is begun here */
	if (shrinks) {
		fh_table_free(&root()->rcu);
		store_relaxed(&map->root, fh_table_new(4));
	}
	fill(setting->content);
	if (setting->stage == GROWING || setting->stage == GROWING_LAST)
		begin_migration(4, setting->stage == GROWING_LAST);
	if (shrinks)
		begin_migration(3, setting->stage == SHRINKING_LAST);
}

/* ---- the operations ---- */

/* The entry that thread @me inserts. */
static struct item *fresh(unsigned me, unsigned which)
{
	return item(key(which), 10 + me);
}

static void insert(unsigned me, enum operation operation)
{
	struct item *mine = fresh(me, operation == INSERT_B);
	struct fh_map_entry *present;
	struct call *call;
	int rc;

	fh_rcu_read_lock();
	call = call_begin(operation, mine->id);
	rc = fh_map_insert(map, &mine->entry, &present);
	call_end(call, rc == -EEXIST ? id_of(present) : (uint64_t)rc);
	fh_rcu_read_unlock();
	if (rc < 0)
		free(mine);
}

static void removal(enum operation operation)
{
	struct call *call = call_begin(operation, 0);
	struct fh_map_entry *entry = NULL;
	int rc = fh_map_remove(map, key(operation == REMOVE_B), &entry);

	call_end(call, rc == 0 ? id_of(entry) : rc == -ENOENT ? 0 :
		       (uint64_t)rc);
	if (rc == 0)
		retire(entry);
}

static void replace(unsigned me, enum operation operation)
{
	struct item *mine = fresh(me, A);
	struct call *call = call_begin(operation, mine->id);
	struct fh_map_entry *old = NULL;
	int rc;

	if (operation == REPLACE_A)
		rc = fh_map_replace(map, &mine->entry, &old);
	else
		rc = fh_map_put(map, &mine->entry, &old);
	call_end(call, rc == 0 ? id_of(old) : rc == -ENOENT ? 0 :
		       (uint64_t)rc);
	if (rc < 0)
		free(mine);
	else if (old)
		retire(old);
}

/* The entry that setup inserted, held by a section while it is used. */
static void this_one(unsigned me, enum operation operation)
{
	struct fh_map_entry *old;
	struct item *mine;
	struct call *call;
	int rc;

	fh_rcu_read_lock();
	old = fh_map_lookup(map, key(A));
	if (!old || id_of(old) != 1) {
		fh_rcu_read_unlock();
		return;
	}
	mine = operation == REPLACE_THIS_A ? fresh(me, A) : NULL;
	call = call_begin(operation, 10 + me);
	rc = mine ? fh_map_replace_entry(map, old, &mine->entry) :
		    fh_map_remove_entry(map, old);
	call_end(call, (uint64_t)rc);
	if (rc == 0)
		retire(old);
	else
		free(mine);
	fh_rcu_read_unlock();
}

static void lookup(enum operation operation)
{
	struct call *call;

	fh_rcu_read_lock();
	call = call_begin(operation, 0);
	call_end(call, id_of(fh_map_lookup(map, key(operation == LOOKUP_B))));
	fh_rcu_read_unlock();
}

static void batch(void)
{
	struct fh_key keys[2] = { key(A), key(B) };
	struct fh_map_entry *found[2];
	struct call *a, *b;

	fh_rcu_read_lock();
	a = call_begin(LOOKUP_A, 0);
	b = call_begin(LOOKUP_B, 0);
	fh_map_lookup_batch(map, keys, 2, found);
	call_end(a, id_of(found[0]));
	call_end(b, id_of(found[1]));
	fh_rcu_read_unlock();
}

struct visits {
	unsigned of[KEYS], others;
};

static int visit(struct fh_map_entry *entry, void *arg)
{
	struct visits *visits = arg;
	unsigned which = entry->key.word[0] & 0xff;

	expect(id_of(entry) != 0, "an entry without an id");
	if (which < KEYS)
		visits->of[which]++;
	else
		visits->others++;
	return 0;
}

/* Nobody touches C and the others: each exactly once. */
static void walk(void)
{
	struct fh_map_cursor cursor = { 0 };
	struct visits visits = { { 0 }, 0 };

	while (!cursor.done)
		fh_map_walk(map, &cursor, 1, visit, &visits);
	expect(visits.of[C] == (initial.id[C] != 0),
	       "the walk visited c %u times", visits.of[C]);
	expect(visits.others == others, "the walk visited %u of %u",
	       visits.others, others);
	expect(visits.of[A] <= 2 && visits.of[B] <= 1,
	       "the walk visited a %u times, b %u times", visits.of[A],
	       visits.of[B]);
}

static void migrate(void)
{
	struct table *table;
	int rc = 0;

	fh_rcu_read_lock();
	table = root();
	if (table_migrating(table))
		rc = fh_migrate(map, table, table->log2 > table->prev->log2 ?
				2 * BUCKET : BUCKET);
	expect(rc == 0 || rc == -ENOMEM, "migration says %d", rc);
	fh_rcu_read_unlock();
}

static void act(unsigned me)
{
	const struct setting *setting = scenario_now()->data;
	enum operation operation = setting->operation[me];

	if (operation == INSERT_A || operation == INSERT_B)
		insert(me, operation);
	else if (operation == REMOVE_A || operation == REMOVE_B)
		removal(operation);
	else if (operation == REPLACE_A || operation == PUT_A)
		replace(me, operation);
	else if (operation == REMOVE_THIS_A || operation == REPLACE_THIS_A)
		this_one(me, operation);
	else if (operation == LOOKUP_A || operation == LOOKUP_B)
		lookup(operation);
	else if (operation == BATCH)
		batch();
	else if (operation == WALK)
		walk();
	else if (operation == MIGRATE)
		migrate();
	else
		fh_map_settle(map);
}

static void act_0(void)
{
	act(0);
}

static void act_1(void)
{
	act(1);
}

static void act_2(void)
{
	act(2);
}

/* ---- the end ---- */

static void count_and_free(struct fh_map_entry *entry, void *arg)
{
	++*(size_t *)arg;
	free(entry);
}

static void finish(void)
{
	size_t held = others, released = 0;
	unsigned i;

	for (i = A; i <= C; i++) {
		struct call *call;

		fh_rcu_read_lock();
		call = call_begin(i == A ? LOOKUP_A : LOOKUP_B, 0);
		call_end(call, id_of(fh_map_lookup(map, key(i == C ? B : i))));
		held += fh_map_lookup(map, key(i)) != NULL;
		fh_rcu_read_unlock();
	}
	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	expect(fh_map_count(map) == held, "the count is %zu, not %zu",
	       fh_map_count(map), held);
	fh_map_destroy(map, count_and_free, &released);
	expect(released == held, "%zu entries were left, not %zu", released,
	       held);
}

/* ---- which of them ---- */

static struct scenario *scenarios;
static struct setting *settings;
static size_t count, room;

static void add_scenario(enum content content, enum stage stage,
			 const enum operation *operations, int failures)
{
	static void (*const acts[])(void) = { act_0, act_1, act_2 };
	struct setting *setting = &settings[count];
	struct scenario *scenario = &scenarios[count++];
	unsigned i;

	if (count > room)
		exit(99);
	setting->content = content;
	setting->stage = stage;
	snprintf(setting->name, sizeof(setting->name), "%s, %s:",
		 content_name[content], stage_name[stage]);
	scenario->name = setting->name;
	for (i = 0; i < THREADS_MOST && operations[i]; i++) {
		setting->operation[i] = operations[i];
		snprintf(setting->name + strlen(setting->name),
			 sizeof(setting->name) - strlen(setting->name),
			 "%s %s", i ? " |" : "", operation_name[operations[i]]);
		scenario->thread[i] = acts[i];
	}
	scenario->setup = setup;
	scenario->finish = finish;
	scenario->failures = failures;
	scenario->data = setting;
}

static bool writes(enum operation operation)
{
	return operation < LOOKUP_A || operation >= MIGRATE;
}

/* Of two operations on one bucket, one must write. */
static void add_pairs(enum content content, enum stage stage)
{
	enum operation of[THREADS_MOST] = { NONE };

	for (of[0] = INSERT_A; of[0] < OPERATIONS; of[0]++)
		for (of[1] = of[0]; of[1] < OPERATIONS; of[1]++) {
			if (!writes(of[0]) && !writes(of[1]))
				continue;
			if (of[0] == SETTLE || of[1] == SETTLE)
				continue;
			if (stage == AT_REST && (of[0] == MIGRATE ||
						 of[1] == MIGRATE))
				continue;
			add_scenario(content, stage, of, 0);
		}
}

int main(int argc, char **argv)
{
	enum content content;
	enum stage stage;

	room = 4096;
	scenarios = calloc(room, sizeof(*scenarios));
	settings = calloc(room, sizeof(*settings));
	for (stage = AT_REST; stage < STAGES; stage++)
		for (content = EMPTY_BUCKET; content < CONTENTS; content++)
			add_pairs(content, stage);
	return schedule_main(argc, argv, scenarios, count);
}
