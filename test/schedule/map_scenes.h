/* SPDX-License-Identifier: MIT */
/*
 * What the scenarios of the table share: one bucket in every form that it can
 * have, at rest and at each stage of a migration; operations on it; what must
 * hold in the end.
 *
 * Keys A and C go to the lower half when the bucket splits, B and D to the
 * upper.  The operations must be linearizable; whatever was removed is
 * retired at once, so that a use of it is seen; entries are made by the
 * thread that inserts them and read by those that find them, so that an order
 * that is too weak is a data race.
 */
#ifndef FH_MAP_SCENES_H
#define FH_MAP_SCENES_H

#include "schedule.h"

#include "map_migrate.h"
#include "map_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A, B, C, D, KEYS };
enum { BUCKET = 1, LONG = 18 };

enum operation {
	NONE, INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, REPLACE_A, PUT_A,
	REMOVE_THIS_A, REPLACE_THIS_A, LOOKUP_A, LOOKUP_B, BATCH, WALK,
	MIGRATE, SETTLE
};

static const char *const operation_name[] = {
	"nothing", "insert a", "insert b", "remove a", "remove b", "replace a",
	"put a", "remove this a", "replace this a", "look up a", "look up b",
	"look up both", "walk", "migrate", "settle",
};

/* What the bucket holds at first: keys as bits, and more. */
enum content {
	EMPTY_BUCKET = 0, ONE = 1 << A, TWO = ONE | 1 << B,
	THREE = TWO | 1 << C, APART = ONE | 1 << D, UPPER = 1 << D,
	ONE_DEAD = 1 << KEYS | TWO, LOGGED = 2 << KEYS | TWO,
};

/* Where a migration is.  DUE: the next insert, or removal, begins one. */
enum stage {
	AT_REST, GROWING, GROWING_LAST, GROWTH_DUE,
	SHRINKING, SHRINKING_LAST, SHRINKING_DUE
};

static const char *const stage_name[] = {
	"at rest", "growing", "growing, last bucket", "growth due",
	"shrinking", "shrinking, last pair", "shrinking due",
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

/* Of 8 buckets, the upper three bits are the bucket; the next, the side. */
static struct fh_key key(unsigned which)
{
	uint64_t bucket = (uint64_t)BUCKET << 61;
	uint64_t side = (uint64_t)(which == B || which == D) << 60;

	return fh_key_u64(bucket | side | which);
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

	for (i = A; i < KEYS; i++)
		if (content >> i & 1)
			add(i);
	if (content == ONE_DEAD) {
		add(C);
		take_away(C);
	}
	for (i = KEYS; content == LOGGED && i < LONG; i++, others++)
		add(i);
}

/* As many in other buckets that one more, or less, is one too many. */
static void fill_others(unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++, others++) {
		struct item *made = item(fh_key_u64((uint64_t)7 << 61 |
						    (KEYS + i)), 50 + i);

		expect(fh_map_insert(map, &made->entry, NULL) == 0, "setup");
	}
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

static unsigned held_at_first(void)
{
	unsigned i, held = others;

	for (i = A; i < KEYS; i++)
		held += initial.id[i] != 0;
	return held;
}

/* 8 buckets grow beyond 6 entries, 16 shrink below 2. */
static void prepare(enum stage stage)
{
	if (stage == GROWING || stage == GROWING_LAST)
		begin_migration(4, stage == GROWING_LAST);
	if (stage == SHRINKING || stage == SHRINKING_LAST)
		begin_migration(3, stage == SHRINKING_LAST);
	if (stage == GROWTH_DUE)
		fill_others(6 - held_at_first());
	if (stage == SHRINKING_DUE && held_at_first() < 2)
		fill_others(2 - held_at_first());
	map->fixed = stage != GROWTH_DUE && stage != SHRINKING_DUE;
}

static void setup(void)
{
	const struct setting *setting = scenario_now()->data;
	struct fh_map_options options = { .hash = identity };

	memset(&initial, 0, sizeof(initial));
	others = 0;
	expect(fh_map_create(&map, &options) == 0, "setup: create");
	map->fixed = true; /* nothing begins but what is begun here */
	if (setting->stage >= SHRINKING) {
		fh_table_free(&root()->rcu);
		store_relaxed(&map->root, fh_table_new(4));
	}
	fill(setting->content);
	prepare(setting->stage);
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

/* Nobody touches C, D and the others: each exactly once. */
static void walk(void)
{
	struct fh_map_cursor cursor = { 0 };
	struct visits visits = { { 0 }, 0 };

	while (!cursor.done)
		fh_map_walk(map, &cursor, 1, visit, &visits);
	expect(visits.of[C] == (initial.id[C] != 0) &&
	       visits.of[D] == (initial.id[D] != 0),
	       "the walk visited c %u times, d %u times", visits.of[C],
	       visits.of[D]);
	expect(visits.others == others, "the walk visited %u of %u",
	       visits.others, others);
	expect(visits.of[A] <= 1 && visits.of[B] <= 1,
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

/* Calls that must agree with the history, as the last ones of it. */
static size_t look_up_all(void)
{
	size_t held = others;
	unsigned which;

	fh_rcu_read_lock();
	for (which = A; which < KEYS; which++)
		held += fh_map_lookup(map, key(which)) != NULL;
	fh_rcu_read_unlock();
	lookup(LOOKUP_A);
	lookup(LOOKUP_B);
	return held;
}

static void finish(void)
{
	size_t held = look_up_all(), released = 0;

	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	expect(fh_map_count(map) == held, "the count is %zu, not %zu",
	       fh_map_count(map), held);
	fh_map_destroy(map, count_and_free, &released);
	expect(released == held, "%zu entries were left, not %zu", released,
	       held);
}

/* ---- lists of scenarios ---- */

#define SCENES 2048

static struct scenario scenarios[SCENES];
static struct setting settings[SCENES];
static size_t scenes;

static void name_scene(struct setting *setting)
{
	char *at = setting->name, *end = at + sizeof(setting->name);
	unsigned i;

	for (i = 0; i <= KEYS + 1; i++)
		if (setting->content >> i & 1)
			at += snprintf(at, (size_t)(end - at), "%s ",
				       (const char *[]){ "a", "b", "c", "d",
					"(c dead)", "(long)" }[i]);
	at += snprintf(at, (size_t)(end - at), "%s%s:",
		       setting->content ? "" : "empty ",
		       stage_name[setting->stage]);
	for (i = 0; i < THREADS_MOST && setting->operation[i]; i++)
		at += snprintf(at, (size_t)(end - at), "%s %s",
			       i ? " |" : "",
			       operation_name[setting->operation[i]]);
}

static struct scenario *add_scene(enum content content, enum stage stage,
				  const enum operation *operation)
{
	static void (*const acts[])(void) = { act_0, act_1, act_2 };
	struct setting *setting = &settings[scenes];
	struct scenario *scenario = &scenarios[scenes];
	unsigned i;

	if (scenes++ == SCENES)
		exit(99);
	setting->content = content;
	setting->stage = stage;
	for (i = 0; i < THREADS_MOST && operation[i]; i++) {
		setting->operation[i] = operation[i];
		scenario->thread[i] = acts[i];
	}
	name_scene(setting);
	scenario->name = setting->name;
	scenario->setup = setup;
	scenario->finish = finish;
	scenario->data = setting;
	return scenario;
}

static bool writes(enum operation operation)
{
	return operation < LOOKUP_A || operation >= MIGRATE;
}

static bool in_long_form(void)
{
	return getenv("FH_PROVE") != NULL;
}

/*
 * Every two of the operations, at least one of which writes, and in threes
 * with @third.  One switch in the short form, more in the long one.
 */
static void add_scenes(const enum operation *some, enum content content,
		       enum stage stage, enum operation third)
{
	enum operation of[THREADS_MOST] = { NONE, NONE, third };
	struct scenario *scenario;
	const enum operation *x, *y;

	for (x = some; *x; x++)
		for (y = x; *y; y++) {
			of[0] = *x;
			of[1] = *y;
			if (!writes(of[0]) && !writes(of[1]))
				continue;
			scenario = add_scene(content, stage, of);
			scenario->preemptions = in_long_form() && !third ? 2 :
						1;
		}
}

static const enum operation every_operation[] = {
	INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, REPLACE_A, PUT_A,
	REMOVE_THIS_A, REPLACE_THIS_A, LOOKUP_A, LOOKUP_B, BATCH, MIGRATE,
	NONE
};

static const enum operation at_rest[] = {
	INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, REPLACE_A, PUT_A,
	REMOVE_THIS_A, REPLACE_THIS_A, LOOKUP_A, LOOKUP_B, BATCH, NONE
};

static const enum operation few[] = {
	INSERT_A, REMOVE_A, REPLACE_THIS_A, LOOKUP_A, NONE
};

#endif
