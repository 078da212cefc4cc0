/* SPDX-License-Identifier: MIT */
/*
 * map: what a lookup finds in buckets of every length, after every kind of
 * removal from them.
 *
 * A table of a few buckets that may not grow takes up to SOME numbers, so
 * that there are buckets of none, one, two and many entries, and entries of
 * a block that are dead.  Before each change all keys are looked for, one by
 * one and as a batch.  A lookup that took the word of a bucket for something
 * else would miss a key that is there, or touch an entry that was removed
 * and freed.
 */
#include <freehold/map.h>

#include "items.h"
#include "tap.h"

#include <string.h>

#define SOME 96
#define ROUNDS 40
#define STEPS 400
#define LONGEST 14u

static struct item *present[SOME];
static uint64_t random_state = 7;

static uint64_t draw(uint64_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1;
	return (random_state >> 33) % below;
}

/* Apart, as identifiers are, and close by, as counters are. */
static struct fh_key key_of(unsigned i)
{
	return fh_key_u64(i & 1 ? i : i * UINT64_C(0x9e3779b97f4a7c15));
}

static struct fh_map_entry *expected(unsigned i)
{
	return present[i] ? &present[i]->entry : NULL;
}

static unsigned look_at_all(struct fh_map *map)
{
	struct fh_map_entry *found[SOME];
	struct fh_key keys[SOME];
	unsigned i, wrong = 0;

	for (i = 0; i < SOME; i++)
		keys[i] = key_of(i);
	fh_rcu_read_lock();
	fh_map_lookup_batch(map, keys, SOME, found);
	for (i = 0; i < SOME; i++) {
		wrong += fh_map_lookup(map, keys[i]) != expected(i);
		wrong += found[i] != expected(i);
	}
	fh_rcu_read_unlock();
	return wrong;
}

static void insert_one(struct fh_map *map, unsigned i)
{
	struct item *item = item_u64(0, i);

	item->entry.key = key_of(i);
	if (fh_map_insert(map, &item->entry, NULL))
		bail_out("an insertion failed");
	present[i] = item;
}

static void remove_one(struct fh_map *map, unsigned i)
{
	struct fh_map_entry *removed;

	if (fh_map_remove(map, key_of(i), &removed) ||
	    removed != &present[i]->entry)
		bail_out("a removal failed");
	free(present[i]);
	present[i] = NULL;
}

/* How many keys may be there at once decides how long the blocks are. */
static unsigned round_of(unsigned most)
{
	struct fh_map_options options = { .fixed = 1 };
	unsigned step, wrong = 0;
	struct fh_map *map;

	memset(present, 0, sizeof(present));
	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	for (step = 0; step < scaled(STEPS, 100); step++) {
		unsigned i = (unsigned)draw(most);

		if (present[i])
			remove_one(map, i);
		else
			insert_one(map, i);
		wrong += look_at_all(map);
	}
	fh_map_destroy(map, item_release, NULL);
	return wrong;
}

static uint64_t one_bucket(struct fh_key key)
{
	(void)key;
	return 1;
}

/* Removes two of @n in one bucket, the @i-th and then the @j-th. */
static unsigned two_of(unsigned n, unsigned i, unsigned j)
{
	struct fh_map_options options = { .fixed = 1, .hash = one_bucket };
	unsigned k, wrong = 0;
	struct fh_map *map;

	memset(present, 0, sizeof(present));
	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	for (k = 0; k < n; k++)
		insert_one(map, k);
	remove_one(map, i);
	wrong += look_at_all(map) + (fh_map_count(map) != n - 1);
	if (j != i) {
		remove_one(map, j);
		wrong += look_at_all(map) + (fh_map_count(map) != n - 2);
	}
	insert_one(map, i);
	wrong += look_at_all(map);
	fh_map_destroy(map, item_release, NULL);
	return wrong;
}

/* Where the length of a block changes what its word means, too. */
static void test_every_place(void)
{
	unsigned n, i, j, wrong = 0;

	for (n = 1; n <= LONGEST; n++)
		for (i = 0; i < n; i++)
			for (j = 0; j < n; j++)
				wrong += two_of(n, i, j);
	is(wrong, 0, "up to %u in one bucket, without any one or two of them",
	   LONGEST);
}

/* One in 65 536 absent keys has the tag that an empty word seems to have. */
static void test_nothing_there(void)
{
	struct fh_map_options options = { .fixed = 1 };
	unsigned long i, found = 0;
	struct fh_map *map;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	fh_rcu_read_lock();
	for (i = 0; i < 1000000; i++)
		found += fh_map_lookup(map, fh_key_u64(i)) != NULL;
	fh_rcu_read_unlock();
	is(found, 0, "an empty table has none of a million keys");
	fh_map_destroy(map, NULL, NULL);
}

int main(void)
{
	unsigned most, wrong, round;

	for (most = 8; most <= SOME; most *= 2) {
		for (wrong = 0, round = 0; round < ROUNDS; round++)
			wrong += round_of(most);
		is(wrong, 0, "up to %u keys in 8 buckets: each lookup finds "
		   "what is there", most);
	}
	for (wrong = 0, round = 0; round < ROUNDS; round++)
		wrong += round_of(SOME);
	is(wrong, 0, "up to %u keys", SOME);
	test_every_place();
	test_nothing_there();
	return done_testing();
}
