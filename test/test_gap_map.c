/* SPDX-License-Identifier: MIT */
/*
 * map: what mutants showed that no other test looked at.  For the lock-free
 * build alone: it is about blocks.
 */
#include <freehold/freehold.h>

#include "tap.h"
#include "threads.h"

#include <errno.h>
#include <string.h>

struct item {
	struct fh_map_entry entry;
	uint64_t number;
};

static uint64_t one_hash(struct fh_key key)
{
	(void)key;
	return UINT64_C(0x5555555555555555);
}

/*
 * Names of equal hash and equal length.  If equal hashes counted as equal
 * keys, the second insertion would be refused, or a lookup would find the
 * other one.
 */
static void test_equal_hashes(void)
{
	static const char *const name[] = { "anna", "bert", "carl", "dora" };
	struct fh_map_options options = { .keys = FH_KEYS_BYTES,
					  .hash = one_hash };
	struct fh_map_entry *entry;
	struct item item[4] = { 0 };
	struct fh_map *map;
	int i, in = 0, right = 0;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	for (i = 0; i < 3; i++) {
		item[i].entry.key = fh_key_bytes(name[i], 4);
		in += fh_map_insert(map, &item[i].entry, NULL) == 0;
	}
	is(in, 3, "three names of one hash are three keys");
	fh_rcu_read_lock();
	for (i = 0; i < 3; i++)
		right += fh_map_lookup(map, fh_key_bytes(name[i], 4)) ==
			 &item[i].entry;
	entry = fh_map_lookup(map, fh_key_bytes(name[3], 4));
	fh_rcu_read_unlock();
	is(right, 3, "each is found by its own name");
	ok(!entry, "a fourth name of this hash is not there");
	fh_map_destroy(map, NULL, NULL);
}

/* ---- crowds ---- */

#define CROWD 8300	/* beyond CROWDED of src/map_table.h */

/*
 * A block this long has been; joining such buckets again and again would
 * pass what a block can hold.  So the table does not shrink any more.
 */
static void test_crowd(void)
{
	static struct item item[CROWD];
	struct fh_map_options options = { .hash = one_hash };
	struct fh_map_entry *removed;
	struct fh_map_stats stats;
	struct fh_map *map;
	uint64_t i, failed = 0;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	for (i = 0; i < CROWD; i++) {
		item[i].entry.key = fh_key_u64(i);
		failed += fh_map_insert(map, &item[i].entry, NULL) != 0;
	}
	is(failed, 0, "%d entries of one hash", CROWD);
	fh_map_settle(map);
	for (i = 0; i < CROWD; i++)
		failed += fh_map_remove(map, fh_key_u64(i), &removed) != 0;
	is(failed, 0, "all of them removed");
	fh_map_settle(map);
	fh_map_get_stats(map, &stats);
	ok(stats.grown > 0, "the table had grown");
	is(stats.shrunk, 0, "and does not shrink: a crowd has been there");
	is(fh_rcu_drain_wait(FH_FOREVER), 0, "drain");
	fh_map_destroy(map, NULL, NULL);
}

/* ---- growing, one step at a time ---- */

static struct fh_map *map_new(void)
{
	struct fh_map *map;

	if (fh_map_create(&map, NULL))
		bail_out("cannot create a table");
	return map;
}

static struct item *put(struct fh_map *map, uint64_t number)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		bail_out("no memory for an entry");
	item->entry.key = fh_key_u64(number);
	if (fh_map_insert(map, &item->entry, NULL))
		bail_out("an insertion failed");
	return item;
}

static void release(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	free(entry);
}

static struct fh_map_stats stats_of(struct fh_map *map)
{
	struct fh_map_stats stats;

	fh_map_get_stats(map, &stats);
	return stats;
}

/* How many of the keys below @n does one batch find? */
static size_t found_by_batch(struct fh_map *map, size_t n)
{
	static struct fh_key key[4096];
	static struct fh_map_entry *found[4096];
	size_t i, right = 0;

	for (i = 0; i < n; i++)
		key[i] = fh_key_u64(i);
	fh_rcu_read_lock();
	fh_map_lookup_batch(map, key, n, found);
	for (i = 0; i < n; i++)
		right += found[i] && found[i]->key.word[0] == i;
	fh_rcu_read_unlock();
	return right;
}

/*
 * Everything that a step has retired is gone before the next one begins.  An
 * old table that was retired before its last bucket had moved would be
 * searched after it was freed.
 */
static void test_slowly(void)
{
	struct fh_map *map = map_new();
	size_t n, missed = 0;

	for (n = 0; n < 200; n++) {
		put(map, n);
		fh_rcu_drain_wait(FH_FOREVER);
		missed += found_by_batch(map, n + 1) != n + 1;
	}
	is(missed, 0, "all are found after every single step");
	fh_map_destroy(map, release, NULL);
}

/*
 * Tags move at 4096 buckets: a batch must use those of each content.  (A pair
 * of a number and 0 looks like the number; only numbers take a short way.)
 */
static void test_batches(enum fh_key_kind kind)
{
	struct fh_map_options options = { .keys = kind };
	size_t n, missed = 0, between = 0;
	struct fh_map *map;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	for (n = 0; n < 2500; n++) {
		put(map, n);
		if (n < 1400 || !stats_of(map).migrating)
			continue;
		between++;
		missed += found_by_batch(map, n + 1) != n + 1;
	}
	ok(between > 10, "%zu batches during a migration", between);
	is(missed, 0, "every batch finds all");
	fh_map_destroy(map, release, NULL);
}

/* Insert until a migration has begun. */
static struct fh_map *migrating_map(size_t *n)
{
	struct fh_map *map = map_new();

	for (*n = 0; *n < 100000; (*n)++) {
		put(map, *n);
		if (*n > 500 && stats_of(map).migrating)
			return map;
	}
	bail_out("no migration");
}

/* Replacing changes no count; it must help all the same. */
static void test_help(void)
{
	struct item *spare = calloc(1, sizeof(*spare));
	struct fh_map_entry *entry = &spare->entry, *old;
	struct fh_map *map;
	size_t n;
	int i;

	map = migrating_map(&n);
	entry->key = fh_key_u64(0);
	for (i = 0; i < 500 && stats_of(map).migrating; i++) {
		fh_map_put(map, entry, &old);
		fh_rcu_drain_wait(FH_FOREVER); /* before it goes in again */
		entry = old;
	}
	ok(i < 500, "writers that add nothing complete a migration");
	release(entry, NULL);
	fh_map_destroy(map, release, NULL);
}

static void test_settle(void)
{
	struct fh_map *map;
	struct fh_map_stats stats;
	size_t n;

	map = migrating_map(&n);
	is(fh_map_settle(map), 0, "settle");
	stats = stats_of(map);
	ok(!stats.migrating, "no migration is left");
	ok(stats.buckets / 4 * 3 >= stats.count, "at most 3/4 to a bucket");
	fh_map_destroy(map, release, NULL);
}

/* ---- walks and seeds ---- */

static int note(struct fh_map_entry *entry, void *arg)
{
	uint64_t *to = arg;

	if (!fh_rcu_reading())
		to[0]++;
	if (to[1] < 32)
		to[2 + to[1]++] = entry->key.word[0];
	return 0;
}

/* The order of a walk is that of the hashes. */
static void walk(uint64_t seen[34])
{
	struct fh_map_cursor cursor = { 0 };
	struct fh_map *map = map_new();
	uint64_t n;

	memset(seen, 0, 34 * sizeof(seen[0]));
	for (n = 0; n < 32; n++)
		put(map, n);
	fh_map_walk(map, &cursor, 0, note, seen);
	is(seen[0], 0, "a visitor runs in a read section");
	is(seen[1], 32, "a walk visits all");
	fh_map_destroy(map, release, NULL);
}

static void test_seeds(void)
{
	uint64_t one[34], other[34];

	walk(one);
	walk(other);
	ok(memcmp(one, other, sizeof(one)) != 0,
	   "two tables do not hash alike");
}

/* ---- replacing ---- */

static struct fh_map *shared;
static tally over, missed;

static void look(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	while (!load_relaxed(&over)) {
		fh_rcu_read_lock();
		if (!fh_map_lookup(shared, fh_key_u64(7)))
			add_relaxed(&missed, 1);
		fh_rcu_read_unlock();
	}
}

/*
 * An entry is replaced by another one.  If that were a removal and an
 * insertion, a reader would miss the key between the two.
 */
static void test_replace(void)
{
	size_t i, rounds = scaled(1000000, 10000), failed = 0;
	struct item *item = calloc(rounds, sizeof(*item));
	struct crew crew;

	if (!item)
		bail_out("no memory for entries");
	shared = map_new();
	item[0].entry.key = fh_key_u64(7);
	failed += fh_map_insert(shared, &item[0].entry, NULL) != 0;
	crew_start(&crew, 2, look, NULL);
	for (i = 1; i < rounds && !load_relaxed(&missed); i++) {
		item[i].entry.key = fh_key_u64(7);
		failed += fh_map_replace_entry(shared, &item[i - 1].entry,
					       &item[i].entry) != 0;
	}
	store_relaxed(&over, 1);
	crew_join(&crew);
	is(failed, 0, "replaced again and again");
	is(load_relaxed(&missed), 0, "no reader misses the key");
	fh_map_destroy(shared, NULL, NULL);
	free(item);
}

int main(void)
{
	watchdog(60);
	test_equal_hashes();
	if (scale_percent() < (RACES_ONLY ? 100 : 20))
		skip("a crowd, alone: takes long");
	else
		test_crowd();
	test_slowly();
	test_batches(FH_KEYS_U64);
	test_batches(FH_KEYS_PAIR);
	test_help();
	test_settle();
	test_seeds();
	test_replace();
	return done_testing();
}
