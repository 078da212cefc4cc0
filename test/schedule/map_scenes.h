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

#include "script.h"

#include "map_migrate.h"
#include "map_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { A, B, C, D, KEYS };
enum { BUCKET = 1, MANY = 12 }; /* more than 11 entries: a log */

enum operation {
	NONE, INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, REPLACE_A, PUT_A,
	REMOVE_THIS_A, REPLACE_THIS_A, LOOKUP_A, LOOKUP_B, BATCH, WALK,
	STATS, MIGRATE, SETTLE, REMOVE_OTHER, RENEW_B, WATCH,
	BEGIN_AND = 32 /* first of all, a migration begins */
};

static const char *const operation_name[] = {
	"nothing", "insert a", "insert b", "remove a", "remove b", "replace a",
	"put a", "remove this a", "replace this a", "look up a", "look up b",
	"look up both", "walk", "statistics", "migrate", "settle",
	"remove another", "remove and insert b", "watch",
};

/* What the bucket holds at first: keys as bits, and more. */
enum content {
	EMPTY_BUCKET = 0, ONE = 1 << A, TWO = ONE | 1 << B,
	THREE = TWO | 1 << C, APART = ONE | 1 << D, UPPER = 1 << D,
	WIDE = TWO | 1 << D, SECOND = 1 << B,
	DEAD = 1 << KEYS, LONG_BLOCK = 2 << KEYS, LONG_UPPER = 4 << KEYS,
	ONE_DEAD = DEAD | TWO, LOGGED = LONG_BLOCK | TWO,
	LOGGED_DEAD = DEAD | LOGGED,
	SECOND_LOGGED = LONG_UPPER | LONG_BLOCK | SECOND,
};

/*
 * Where a migration is.  DUE: the next insert, or removal, begins one.
 * TURNING: the last bucket is growing, and then one removal begins to shrink.
 */
enum stage {
	AT_REST, GROWING, GROWING_LAST, GROWTH_DUE, TURNING,
	SHRINKING, SHRINKING_LAST, SHRINKING_DUE, LARGE
};

static const char *const stage_name[] = {
	"at rest", "growing", "growing, last bucket", "growth due",
	"growing, last bucket, shrinking due",
	"shrinking", "shrinking, last pair", "shrinking due",
	"at rest, large",
};

struct setting {
	enum content content;
	enum stage stage;
	enum operation operation[ACTORS];
};

struct item {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	uint64_t id;
};

static struct fh_map *map;
static unsigned others;	/* entries of no interest, to make blocks long */
static unsigned others_removed;
static struct item *fresh[ACTORS]; /* what each thread may insert */
static struct table *successor;	/* what BEGIN_AND publishes */

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

/*
 * The key whose hash is @hash.  Without tags, with a function of the
 * caller's, that is the number itself.  With tags readers take the short way,
 * which is for numbers and the table's own hash: its last step, undone here,
 * is all that is left of it when the seed is 1.
 */
#define PHI_INVERSE UINT64_C(0xf1de83e19937733d)

_Static_assert(UINT64_C(0x9e3779b97f4a7c15) * PHI_INVERSE == 1, "inverse");

static uint64_t hash_of(struct fh_key key)
{
	return FH_MAP_TAGS ? fh_hash_spread(key.word[0]) : key.word[0];
}

static struct fh_key hashed(uint64_t hash)
{
	uint64_t x = hash * PHI_INVERSE;

	return fh_key_u64(FH_MAP_TAGS ? x ^ x >> 32 : hash);
}

static void create(void)
{
	struct fh_map_options options = { .hash = FH_MAP_TAGS ? NULL :
							       hash_of };

	expect(fh_map_create(&map, &options) == 0, "setup: create");
	map->hash = (struct fh_hash){ .seed = { [1] = 1 } };
}

/*
 * Of 8 buckets, the upper three bits are the bucket; the next, the side.  Tags
 * are cut from that one on: A and C have the same, B and D one each.
 */
static struct fh_key key_of_side(unsigned which, bool upper)
{
	return hashed((uint64_t)BUCKET << 61 | (uint64_t)upper << 60 |
		      (uint64_t)(which == B) << 50 | which);
}

static struct fh_key key(unsigned which)
{
	return key_of_side(which, which == B || which == D);
}

/* In the last bucket, which no operation but REMOVE_OTHER touches. */
static struct fh_key key_elsewhere(unsigned i)
{
	return hashed((uint64_t)7 << 61 | (KEYS + i));
}

static struct item *item_fill(struct item *made, struct fh_key k, uint64_t id)
{
	made->entry.key = k;
	made->id = id;
	return made;
}

static struct item *item(struct fh_key k, uint64_t id)
{
	return item_fill(calloc(1, sizeof(struct item)), k, id);
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

static struct table *root(void)
{
	return load_acquire(&map->root);
}

static void add_item(struct fh_key k, uint64_t id)
{
	struct item *made = item(k, id);

	expect(fh_map_insert(map, &made->entry, NULL) == 0, "setup: insert");
}

static void take_away(unsigned which)
{
	struct fh_map_entry *entry;

	expect(fh_map_remove(map, key(which), &entry) == 0, "setup: remove");
	free(entry);
	initial.id[which] = 0;
}

/* The word that a long block is for: of one half, where there are two. */
static atomic_u64 *long_word(bool upper)
{
	return word_at(root(), hash_of(key_of_side(0, upper)));
}

/* The block at once: each insert would copy what is there. */
static void fill_long(unsigned keys, bool upper)
{
	word block = fh_block_new(MANY);
	atomic_u64 *at = long_word(upper);
	unsigned i, n = 0;

	for (i = A; n < MANY; i++) {
		struct fh_key k = i < KEYS ? key(i) : key_of_side(i, upper);
		struct item *made;

		if (i < KEYS && !(keys >> i & 1 &&
				  word_at(root(), hash_of(k)) == at))
			continue;
		made = item(k, i + 1);
		made->entry.hash = hash_of(k);
		store_relaxed(slots_of(block) + n++,
			      entry_word(&made->entry, root()->tag_shift));
		others += i >= KEYS;
	}
	store_release(at, block);
	fh_counter_add(&map->count, MANY);
}

static void fill(enum content content)
{
	unsigned i, keys = content & ((1 << KEYS) - 1);
	atomic_u64 *full = NULL;

	if (content & DEAD)
		keys |= 1 << C;
	if (content & LONG_BLOCK) {
		full = long_word(content & LONG_UPPER);
		fill_long(keys, content & LONG_UPPER);
	}
	for (i = A; i < KEYS; i++) {
		if (!(keys >> i & 1))
			continue;
		if (word_at(root(), hash_of(key(i))) != full)
			add_item(key(i), i + 1);
		initial.id[i] = i + 1;
	}
	if (content & DEAD)
		take_away(C);
}

/* As many in other buckets that one more, or less, is one too many. */
static void fill_others(unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++, others++)
		add_item(key_elsewhere(i), 50 + i);
}

/* The other size's table is the next. */
static struct table *table_after(void)
{
	return fh_table_after(root(), root()->log2 == 3 ? 4 : 3);
}

/* All but the bucket in question. */
static void move_others(struct table *next)
{
	unsigned grows = next->log2 > next->prev->log2;
	size_t i;

	for (i = 0; i < table_buckets(next); i++)
		if (i >> grows != BUCKET)
			expect(fh_migrate(map, next, i) == 0, "setup: move");
}

static void begin_migration(bool last)
{
	struct table *next = table_after();

	if (last)
		move_others(next);
	store_release(&map->root, next);
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
	if (stage == TURNING)
		fill_others(2 - held_at_first());
	if (stage == GROWING || stage == SHRINKING)
		begin_migration(false);
	if (stage == GROWING_LAST || stage == SHRINKING_LAST ||
	    stage == TURNING)
		begin_migration(true);
	if (stage == GROWTH_DUE)
		fill_others(6 - held_at_first());
	if (stage == SHRINKING_DUE && held_at_first() < 2)
		fill_others(2 - held_at_first());
	map->fixed = stage != GROWTH_DUE && stage != SHRINKING_DUE &&
		     stage != TURNING;
}

/*
 * Where allocations fail, those of the scenario itself must not: its memory
 * is had beforehand, and filled by the thread that uses it.
 */
static void provide(const struct setting *setting)
{
	unsigned i;

	for (i = 0; i < ACTORS; i++) {
		fresh[i] = calloc(1, sizeof(*fresh[i]));
		if (!(setting->operation[i] & BEGIN_AND))
			continue;
		successor = table_after();
		move_others(successor); /* nobody else goes there */
	}
}

static void setup(void)
{
	const struct setting *setting = scenario_now()->data;

	memset(&initial, 0, sizeof(initial));
	others = others_removed = 0;
	create();
	map->fixed = true; /* nothing begins but what is begun here */
	if (setting->stage >= SHRINKING) {
		fh_table_free(&root()->rcu);
		store_relaxed(&map->root, fh_table_new(4));
	}
	fill(setting->content);
	prepare(setting->stage);
	provide(setting);
}

#endif
