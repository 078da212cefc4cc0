/* SPDX-License-Identifier: MIT */
/* map: cursors, batches of lookups, statistics; one thread. */
#include <freehold/map.h>

#include "items.h"
#include "tap.h"

#define MANY 5000

struct tour {
	struct fh_map *map;
	unsigned char visited[MANY + 1];
	size_t visits, stop_at;
	unsigned strange;
};

static int note_visit(struct fh_map_entry *entry, void *arg)
{
	struct tour *tour = arg;
	uint64_t id = item_of(entry)->id;

	if (id < 1 || id > MANY || item_of(entry)->alive != ITEM_ALIVE)
		tour->strange++;
	else
		tour->visited[id]++;
	return ++tour->visits == tour->stop_at;
}

/* How many of the ids 1 to @count were not visited exactly once. */
static size_t not_once(const struct tour *tour, size_t count)
{
	size_t id, wrong = tour->strange;

	for (id = 1; id <= count; id++)
		wrong += tour->visited[id] != 1;
	return wrong;
}

static struct fh_map *filled(const struct fh_map_options *options,
			     size_t count)
{
	struct fh_map *map = map_new(options);
	size_t id;

	for (id = 1; id <= count; id++)
		if (fh_map_insert(map, &item_u64(id - 1, id)->entry, NULL))
			bail_out("cannot insert");
	return map;
}

/* Walk from the beginning, @budget at a time. */
static void test_budget(struct fh_map *map, size_t count, size_t budget)
{
	struct fh_map_cursor cursor = { 0 };
	struct tour tour = { .map = map };
	size_t visited = 0, calls = 0, now, short_calls = 0;

	while (!cursor.done && calls++ < 2 * MANY) {
		now = fh_map_walk(map, &cursor, budget, note_visit, &tour);
		if (budget && now < budget && !cursor.done)
			short_calls++;
		visited += now;
	}
	is(visited, count, "%zu entries by %zu: all visited", count, budget);
	is(not_once(&tour, count), 0, "%zu by %zu: each once", count, budget);
	is(short_calls, 0, "%zu by %zu: the budget is used", count, budget);
	ok(budget || calls == 1, "%zu by %zu: in as many calls as needed",
	   count, budget);
	is(fh_map_walk(map, &cursor, 0, note_visit, &tour), 0,
	   "%zu by %zu: the cursor stays at the end", count, budget);
}

static void test_budgets(void)
{
	static const size_t counts[] = { 0, 1, 2, 3, 100, MANY };
	static const size_t budgets[] = { 0, 1, 7, 1000, 2 * MANY };
	struct fh_map *map;
	size_t i, j;

	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		map = filled(NULL, counts[i]);
		for (j = 0; j < sizeof(budgets) / sizeof(*budgets); j++)
			test_budget(map, counts[i], budgets[j]);
		fh_map_destroy(map, item_release, NULL);
	}
}

/* A visit that says stop ends the call, and the next goes on behind it. */
static void test_stopping(void)
{
	struct fh_map *map = filled(NULL, 1000);
	struct fh_map_cursor cursor = { 0 };
	struct tour tour = { .map = map, .stop_at = 300 };
	struct fh_map_stats stats = map_stats(map);
	size_t first = fh_map_walk(map, &cursor, 0, note_visit, &tour), rest;

	ok(first >= 300 && first < 300 + stats.longest,
	   "a visit ends the call after its bucket");
	ok(!cursor.done, "but not the walk");
	rest = fh_map_walk(map, &cursor, 0, note_visit, &tour);
	is(first + rest, 1000, "the next call goes on");
	is(not_once(&tour, 1000), 0, "and each was visited once");
	fh_map_destroy(map, item_release, NULL);
}

/* Entries of one hash come in one chunk, or a cursor could not part them. */
static void test_equal_hashes(uint64_t (*hash)(struct fh_key), const char *name)
{
	struct fh_map_options options = { .hash = hash };
	struct fh_map *map = filled(&options, 200);
	struct fh_map_cursor cursor = { 0 };
	struct tour tour = { .map = map };

	is(fh_map_walk(map, &cursor, 1, note_visit, &tour), 200,
	   "%s: 200 entries of one hash are one chunk", name);
	is(not_once(&tour, 200), 0, "%s: each once", name);
	is(fh_map_walk(map, &cursor, 1, note_visit, &tour), 0,
	   "%s: and then no more", name);
	ok(cursor.done, "%s: the walk is over", name);
	fh_map_destroy(map, item_release, NULL);
}

static int remove_visited(struct fh_map_entry *entry, void *arg)
{
	struct tour *tour = arg;

	note_visit(entry, arg);
	if (item_of(entry)->id % 2 == 0) {
		if (fh_map_remove_entry(tour->map, entry))
			tour->strange++;
		else
			item_retire(entry);
	}
	return 0;
}

static int insert_beside(struct fh_map_entry *entry, void *arg)
{
	struct tour *tour = arg;
	uint64_t id = item_of(entry)->id;

	if (id <= MANY)
		note_visit(entry, arg);
	if (id <= 1000 &&
	    fh_map_insert(tour->map, &item_u64(id + 100000, MANY + id)->entry,
			  NULL))
		tour->strange++;
	return 0;
}

/* Growing and shrinking below a walk must neither repeat nor skip. */
static void test_calls_within(void)
{
	struct fh_map *map = filled(NULL, 2000);
	struct fh_map_cursor cursor = { 0 };
	struct tour tour = { .map = map };

	fh_map_walk(map, &cursor, 0, remove_visited, &tour);
	is(not_once(&tour, 2000), 0, "a visit may remove its entry");
	is(fh_map_count(map), 1000, "half are left");
	fh_map_destroy(map, item_release, NULL);

	map = filled(NULL, 1000);
	tour = (struct tour){ .map = map };
	cursor = (struct fh_map_cursor){ 0 };
	fh_map_walk(map, &cursor, 0, insert_beside, &tour);
	is(not_once(&tour, 1000), 0, "a visit may insert others");
	is(fh_map_count(map), 2000, "which are there afterwards");
	fh_map_destroy(map, item_release, NULL);
}

/* One cursor over a table that grows 100-fold, and one that empties. */
static void test_resizing(void)
{
	struct fh_map *map = filled(NULL, 50);
	struct fh_map_cursor cursor = { 0 };
	struct tour tour = { .map = map };
	struct fh_map_entry *removed;
	uint64_t key = 1000000;
	unsigned i;

	while (!cursor.done) {
		for (i = 0; i < 200 && key < 1005000; i++)
			fh_map_insert(map, &item_u64(key++, MANY)->entry,
				      NULL);
		fh_map_walk(map, &cursor, 5, note_visit, &tour);
	}
	tour.strange = 0;
	is(not_once(&tour, 50), 0,
	   "the first 50 are visited once while the table grows");

	cursor = (struct fh_map_cursor){ 0 };
	tour = (struct tour){ .map = map };
	while (!cursor.done) {
		for (i = 0; i < 200 && key > 1000000; i++)
			if (!fh_map_remove(map, fh_key_u64(--key), &removed))
				item_retire(removed);
		fh_map_walk(map, &cursor, 5, note_visit, &tour);
	}
	is(not_once(&tour, 50), 0, "and while it shrinks");
	fh_map_destroy(map, item_release, NULL);
}

static void test_batch_of(struct fh_map *map, size_t size)
{
	struct fh_map_entry *found[101];
	struct fh_key keys[101];
	size_t i, wrong = 0;
	uint64_t random = random_seed((unsigned)size);

	for (i = 0; i < size; i++)
		keys[i] = fh_key_u64(random_below(&random, 2 * MANY));
	for (i = 0; i < 101; i++)
		found[i] = (void *)found;
	fh_rcu_read_lock();
	fh_map_lookup_batch(map, keys, size, found);
	for (i = 0; i < size; i++) {
		wrong += found[i] != fh_map_lookup(map, keys[i]);
		wrong += !found[i] != (keys[i].word[0] >= MANY);
	}
	fh_rcu_read_unlock();
	wrong += found[size] != (void *)found;
	is(wrong, 0, "a batch of %zu hits and misses", size);
}

static void test_batches(void)
{
	struct fh_map *map = filled(NULL, MANY);
	struct fh_map_options few = { .hash = hash_few };
	size_t size;

	for (size = 0; size <= 100; size++)
		test_batch_of(map, size);
	fh_map_destroy(map, item_release, NULL);
	map = filled(&few, MANY);
	test_batch_of(map, 100);
	fh_map_destroy(map, item_release, NULL);
}

/* What holds of any statistics at rest. */
static void check_stats(const struct fh_map *map, uint64_t count,
			const char *when)
{
	struct fh_map_stats stats = map_stats(map);
	uint64_t i, buckets = 0, entries = 0;

	for (i = 0; i < FH_MAP_LENGTHS; i++) {
		buckets += stats.lengths[i];
		entries += i * stats.lengths[i];
	}
	is(stats.count, count, "%s: count", when);
	is(buckets, stats.buckets, "%s: the lengths are of all buckets", when);
	ok(entries <= count && (stats.longest >= FH_MAP_LENGTHS ||
				entries == count),
	   "%s: and of all entries", when);
	ok(stats.longest <= count && (!count || stats.longest),
	   "%s: the longest bucket", when);
	ok((stats.long_blocks > 0) == (stats.longest > FH_MAP_LONG_BLOCK),
	   "%s: long blocks", when);
	ok(stats.bytes > 0, "%s: bytes", when);
	is(stats.migrating, 0, "%s: nothing is migrating", when);
	is(stats.deferred, 0, "%s: no growth was put off", when);
}

static void test_stats(void)
{
	struct fh_map_options equal = { .hash = hash_equal };
	struct fh_map_entry *removed;
	struct fh_map_stats full, empty;
	struct fh_map *map = map_new(NULL);
	uint64_t key;

	check_stats(map, 0, "empty");
	fh_map_destroy(map, NULL, NULL);
	map = filled(NULL, MANY);
	is(fh_map_settle(map), 0, "settle");
	check_stats(map, MANY, "full");
	full = map_stats(map);
	ok(full.grown >= 1, "it has grown");
	is(full.shrunk, 0, "and not shrunk");
	ok(full.bytes < MANY * 200, "%" PRIu64 " bytes for %d entries",
	   full.bytes, MANY);
	for (key = 10; key < MANY; key++)
		if (!fh_map_remove(map, fh_key_u64(key), &removed))
			item_retire(removed);
	is(fh_map_settle(map), 0, "settle");
	check_stats(map, 10, "emptied");
	empty = map_stats(map);
	ok(empty.shrunk >= 1, "it has shrunk");
	ok(empty.buckets < full.buckets / 4, "from %" PRIu64 " to %" PRIu64
	   " buckets", full.buckets, empty.buckets);
	ok(empty.bytes < full.bytes / 4, "and gives its memory back");
	fh_map_destroy(map, item_release, NULL);

	map = filled(&equal, 100);
	is(fh_map_settle(map), 0, "settle");
	check_stats(map, 100, "one bucket");
	is(map_stats(map).longest, 100, "its length is told");
	is(map_stats(map).long_blocks, 1, "as a long one");
	fh_map_destroy(map, item_release, NULL);
	drain();
	map = map_new(NULL);
	is(map_stats(map).pending, 0, "nothing awaits reclamation");
	fh_map_destroy(map, NULL, NULL);
}

int main(void)
{
	watchdog(120);
	test_budgets();
	test_stopping();
	test_equal_hashes(hash_equal, "some hash");
	test_equal_hashes(hash_ones, "the last hash");
	test_calls_within();
	test_resizing();
	test_batches();
	test_stats();
	is(drain(), 0, "drain");
	return done_testing();
}
