/* SPDX-License-Identifier: MIT */
/*
 * map: memory that fails at every single point.  For each operation on each
 * kind of table the n-th allocation fails, alone or with all after it, for
 * n = 1, 2, ... until the operation gets through without asking so often.
 * Each time the table must be what it was, or what success makes of it, and
 * go on as if nothing had been; and a removal must never fail.
 */
#include <freehold/map.h>

#include "items.h"
#include "oom.h"
#include "tap.h"

#define KEYS 2048
#define MANY 300

/* A table, and what should be in it. */
struct world {
	struct fh_map *map;
	struct item *present[KEYS];
	struct item *spare[MANY];
	unsigned char visited[KEYS];
	size_t count, wrong, next, many;
};

/* ---- tables to begin with ---- */

static void add(struct world *world)
{
	struct item *item = item_u64(world->next, world->next + 1);

	if (fh_map_insert(world->map, &item->entry, NULL))
		bail_out("cannot insert");
	world->present[world->next++] = item;
	world->count++;
}

static void took_out(struct world *world, struct fh_map_entry *entry)
{
	uint64_t key = entry->key.word[0];

	world->wrong += world->present[key] != item_of(entry);
	world->present[key] = NULL;
	world->count--;
	item_retire(entry);
}

static void drop(struct world *world, uint64_t key)
{
	struct fh_map_entry *removed = NULL;

	if (fh_map_remove(world->map, fh_key_u64(key), &removed))
		world->wrong++;
	else
		took_out(world, removed);
}

static void add_many(struct world *world, size_t count)
{
	while (count--)
		add(world);
}

static int migrating(struct world *world)
{
	return map_stats(world->map).migrating;
}

/* The mutex build migrates at once: it is then a table of 600. */
static void add_until_growing(struct world *world, size_t unused)
{
	(void)unused;
	while (world->count < 600 && (world->count % 4 || !migrating(world)))
		add(world);
}

/* Towards the end of it, so that both tables hold something. */
static void add_beyond_growing(struct world *world, size_t unused)
{
	add_until_growing(world, unused);
	add(world);
	add(world);
}

static void remove_until_shrinking(struct world *world, size_t more)
{
	uint64_t key;

	add_many(world, 600);
	fh_map_settle(world->map);
	for (key = 0; key < 560 && (key % 4 || !migrating(world)); key++)
		drop(world, key);
	for (; key < 570 && more; key++, more--)
		drop(world, key);
}

/* One removal more and the table wants to shrink, or nearly so. */
static void remove_almost(struct world *world, size_t left)
{
	uint64_t key;

	add_many(world, 600);
	fh_map_settle(world->map);
	for (key = 0; key < 600 - left; key++)
		drop(world, key);
}

static const struct start {
	const char *name;
	uint64_t (*hash)(struct fh_key);
	void (*prepare)(struct world *world, size_t count);
	size_t count;
} starts[] = {
	{ "empty", NULL, add_many, 0 },
	{ "one entry", hash_equal, add_many, 1 },
	{ "two of one hash", hash_equal, add_many, 2 },
	{ "three of one hash", hash_equal, add_many, 3 },
	{ "40 of one hash", hash_equal, add_many, 40 },
	{ "30 entries", NULL, add_many, 30 },
	{ "61 hashes", hash_few, add_many, 200 },
	{ "growing", NULL, add_until_growing, 0 },
	{ "growing on", NULL, add_beyond_growing, 0 },
	{ "growing, 61 hashes", hash_few, add_until_growing, 0 },
	{ "shrinking", NULL, remove_until_shrinking, 0 },
	{ "shrinking on", NULL, remove_until_shrinking, 2 },
	{ "shrinking, 61 hashes", hash_few, remove_until_shrinking, 1 },
	{ "nearly empty", NULL, remove_almost, 12 },
};

static struct world *world_new(const struct start *start)
{
	struct fh_map_options options = { .expected = 16,
					  .hash = start->hash };
	struct world *world = calloc(1, sizeof(*world));
	size_t i;

	if (!world)
		bail_out("no memory");
	world->map = map_new(&options);
	start->prepare(world, start->count);
	world->many = start->hash == hash_equal ? 40 :
		      scale_percent() < 100 ? MANY / 3 : MANY;
	for (i = 0; i < world->many; i++)
		world->spare[i] = item_u64(world->next + i, world->next + i +
					   1000000);
	return world;
}

static size_t world_end(struct world *world)
{
	size_t i, released = 0, wrong;

	fh_map_destroy(world->map, item_release, &released);
	wrong = world->wrong + (released != world->count);
	for (i = 0; i < world->many; i++)
		free(world->spare[i]);
	free(world);
	return wrong;
}

static int visit(struct fh_map_entry *entry, void *arg)
{
	struct world *world = arg;
	uint64_t key = entry->key.word[0];

	world->wrong += world->present[key] != item_of(entry);
	world->visited[key]++;
	return 0;
}

static int walk(struct world *world)
{
	struct fh_map_cursor cursor = { 0 };
	size_t visited = 0;

	memset(world->visited, 0, sizeof(world->visited));
	while (!cursor.done)
		visited += fh_map_walk(world->map, &cursor, 100, visit, world);
	world->wrong += visited != world->count;
	return 0;
}

/* All that should be there is, once, and nothing else. */
static void check(struct world *world)
{
	struct fh_map_entry *entry;
	struct item *item;
	size_t key;

	walk(world);
	world->wrong += fh_map_count(world->map) != world->count;
	fh_rcu_read_lock();
	for (key = 0; key < world->next + MANY; key++) {
		item = world->present[key];
		entry = fh_map_lookup(world->map, fh_key_u64(key));
		world->wrong += entry != (item ? &item->entry : NULL);
		world->wrong += world->visited[key] != (item != NULL);
	}
	fh_rcu_read_unlock();
}

/* ---- operations ---- */

/* Spare number @i is now in the table, in place of @old. */
static void went_in(struct world *world, size_t i, struct fh_map_entry *old)
{
	struct item *item = world->spare[i];

	if (old)
		took_out(world, old);
	world->present[item->entry.key.word[0]] = item;
	world->spare[i] = NULL;
	world->count++;
}

static int insert(struct world *world)
{
	int rc = fh_map_insert(world->map, &world->spare[0]->entry, NULL);

	if (rc == 0)
		went_in(world, 0, NULL);
	return rc;
}

static int put_new(struct world *world)
{
	struct fh_map_entry *old = NULL;
	int rc = fh_map_put(world->map, &world->spare[0]->entry, &old);

	if (rc == 0)
		went_in(world, 0, old);
	return rc;
}

/* A key that is there; the last one added always is. */
static struct item *somebody(struct world *world)
{
	return world->present[world->next - 1];
}

static int put_over(struct world *world)
{
	world->spare[0]->entry.key = somebody(world)->entry.key;
	return put_new(world);
}

static int replace(struct world *world)
{
	struct fh_map_entry *old = NULL;
	int rc;

	world->spare[0]->entry.key = somebody(world)->entry.key;
	rc = fh_map_replace(world->map, &world->spare[0]->entry, &old);
	if (rc == 0)
		went_in(world, 0, old);
	return rc;
}

static int replace_entry(struct world *world)
{
	struct fh_map_entry *old = &somebody(world)->entry;
	int rc;

	world->spare[0]->entry.key = old->key;
	rc = fh_map_replace_entry(world->map, old, &world->spare[0]->entry);
	if (rc == 0)
		went_in(world, 0, old);
	return rc;
}

static int remove_key(struct world *world)
{
	drop(world, world->next - 1);
	return 0;
}

static int remove_entry(struct world *world)
{
	struct fh_map_entry *entry = &somebody(world)->entry;
	int rc = fh_map_remove_entry(world->map, entry);

	if (rc == 0)
		took_out(world, entry);
	return rc;
}

/* Every other first, so that blocks shrink from all sides. */
static int remove_all(struct world *world)
{
	size_t first, key;

	for (first = 0; first < 2; first++)
		for (key = first; key < world->next + MANY; key += 2)
			if (world->present[key])
				drop(world, key);
	return 0;
}

/*
 * All spares but the first: enough to grow on the way, and one that fails
 * must leave the rest alone.
 */
static int insert_many(struct world *world)
{
	size_t i;
	int rc, failed = 0;

	for (i = 1; i < world->many; i++) {
		if (!world->spare[i])
			continue;
		rc = fh_map_insert(world->map, &world->spare[i]->entry, NULL);
		if (rc == 0)
			went_in(world, i, NULL);
		else if (rc == -ENOMEM)
			failed = rc;
		else
			world->wrong++;
	}
	return failed;
}

static int settle(struct world *world)
{
	return fh_map_settle(world->map);
}

static int insert_and_remove_all(struct world *world)
{
	int rc = insert_many(world);

	remove_all(world);
	world->wrong += world->count != 0;
	return rc;
}

static const struct operation {
	const char *name;
	int (*run)(struct world *world);
	int on_empty, never_fails;
} operations[] = {
	{ "insert", insert, 1, 0 },
	{ "put a new key", put_new, 1, 0 },
	{ "put over", put_over, 0, 0 },
	{ "replace", replace, 0, 0 },
	{ "replace this entry", replace_entry, 0, 0 },
	{ "remove", remove_key, 0, 1 },
	{ "remove this entry", remove_entry, 0, 1 },
	{ "remove all", remove_all, 1, 1 },
	{ "insert many", insert_many, 1, 0 },
	{ "insert many, remove all", insert_and_remove_all, 1, 0 },
	{ "settle", settle, 1, 0 },
	{ "walk", walk, 1, 1 },
};

/* One attempt with the n-th allocation failing; returns how many failed. */
static uint64_t attempt(const struct start *start,
			const struct operation *operation,
			enum oom_mode mode, uint64_t n, size_t *wrong)
{
	struct world *world = world_new(start);
	uint64_t refused;
	int rc;

	oom_arm(mode, n);
	rc = operation->run(world);
	refused = oom_disarm();
	if (rc != 0 && (rc != -ENOMEM || !refused || operation->never_fails))
		world->wrong++;
	check(world);
	/* With memory again, all goes on. */
	world->wrong += insert_many(world) != 0;
	check(world);
	remove_all(world);
	world->wrong += fh_map_settle(world->map) != 0;
	check(world);
	*wrong += world_end(world);
	return refused;
}

/* Every one; shortened, the first and then ever fewer of those alike. */
static uint64_t step_after(uint64_t n)
{
	uint64_t first = scale_percent() > 10 ? 12 : 4;
	int all = scale_percent() >= 100 && !RACES_ONLY;

	return all || n < first ? 1 : n;
}

static uint64_t test_operation(const struct start *start,
			       const struct operation *operation)
{
	enum oom_mode mode;
	uint64_t n, points = 0;
	size_t wrong = 0;

	if (!start->count && start->prepare == add_many &&
	    !operation->on_empty)
		return 0;
	for (mode = OOM_ONCE; mode <= OOM_FROM; mode++)
		for (n = 1; attempt(start, operation, mode, n, &wrong);
		     n += step_after(n))
			points++;
	is(wrong, 0, "%s: %s, %" PRIu64 " failures", start->name,
	   operation->name, points);
	return points;
}

static void test_operations(void)
{
	size_t i, j;
	uint64_t points = 0;

	for (i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		for (j = 0; j < sizeof(operations) / sizeof(*operations); j++)
			points += test_operation(&starts[i], &operations[j]);
	ok(points > 20, "%" PRIu64 " failures in all", points);
}

static void test_create(void)
{
	struct fh_map *map = NULL;
	uint64_t n, wrong = 0;
	int rc;

	for (n = 1;; n++) {
		oom_arm(OOM_ONCE, n);
		rc = fh_map_create(&map, NULL);
		if (!oom_disarm())
			break;
		wrong += rc != -ENOMEM;
	}
	is(wrong, 0, "create: -ENOMEM at each of its allocations");
	ok(n > 1, "it has %" PRIu64, n - 1);
	is(rc, 0, "then it succeeds");
	fh_map_destroy(map, NULL, NULL);
}

/* ---- many threads whose memory fails at random ---- */

struct famine {
	struct fh_map *map;
	uint64_t keys;
	size_t rounds;
	tally inserts[KEYS], removes[KEYS];
	tally wrong, refused;
};

static int starved(struct famine *famine, int rc, int other)
{
	if (rc != 0 && rc != other && rc != -ENOMEM)
		add_relaxed(&famine->wrong, 1);
	add_relaxed(&famine->refused, oom_disarm());
	return rc;
}

static void hunger_insert(struct famine *famine, uint64_t key, int put)
{
	struct item *item = item_u64(key, 1);
	struct fh_map_entry *old = NULL;
	int rc;

	oom_arm(OOM_RANDOM, 40);
	if (put)
		rc = fh_map_put(famine->map, &item->entry, &old);
	else
		rc = fh_map_insert(famine->map, &item->entry, NULL);
	starved(famine, rc, -EEXIST);
	if (rc)
		free(item);
	else if (old)
		item_retire(old);
	else
		add_relaxed(&famine->inserts[key], 1);
}

static void hunger_remove(struct famine *famine, uint64_t key)
{
	struct fh_map_entry *removed = NULL;
	int rc;

	oom_arm(OOM_RANDOM, 40);
	rc = fh_map_remove(famine->map, fh_key_u64(key), &removed);
	if (starved(famine, rc, -ENOENT) == -ENOMEM)
		add_relaxed(&famine->wrong, 1);
	if (rc)
		return;
	if (removed->key.word[0] != key ||
	    item_of(removed)->alive != ITEM_ALIVE)
		add_relaxed(&famine->wrong, 1);
	add_relaxed(&famine->removes[key], 1);
	item_retire(removed);
}

/* Fills and empties the table in waves, so that it grows and shrinks. */
static void hunger(unsigned index, void *arg)
{
	struct famine *famine = arg;
	uint64_t random = random_seed(index), key;
	size_t i;

	for (i = 0; i < famine->rounds; i++) {
		key = random_below(&random, famine->keys);
		if (random_below(&random, 10) < (i / 4096 % 2 ? 1 : 8))
			hunger_insert(famine, key,
				      random_below(&random, 3) == 0);
		else
			hunger_remove(famine, key);
		if (id_at(famine->map, fh_key_u64(key)) > 1)
			add_relaxed(&famine->wrong, 1);
	}
}

/* As in test_map_race.c: inserts and removes of a key must alternate. */
static void test_famine(uint64_t (*hash)(struct fh_key), uint64_t keys,
			const char *name)
{
	struct fh_map_options options = { .hash = hash, .expected = 16 };
	struct famine *famine = calloc(1, sizeof(*famine));
	uint64_t key, wrong = 0, present = 0;

	if (!famine)
		bail_out("no memory");
	famine->map = map_new(&options);
	famine->keys = keys;
	famine->rounds = scaled(60000, 10000);
	run_crew(4, hunger, famine);
	for (key = 0; key < keys; key++) {
		int there = id_at(famine->map, fh_key_u64(key)) != 0;

		wrong += famine->inserts[key] - famine->removes[key] !=
			 (uint64_t)there;
		present += (uint64_t)there;
	}
	is(wrong, 0, "%s: inserts and removes alternate (%" PRIu64
	   " failures)", name, (uint64_t)famine->refused);
	is(famine->wrong, 0, "%s: and no removal fails", name);
	is(fh_map_count(famine->map), present, "%s: count", name);
	is(fh_map_settle(famine->map), 0, "%s: settles with memory", name);
	fh_map_destroy(famine->map, item_release, NULL);
	free(famine);
}

int main(void)
{
	watchdog(240);
	test_create();
	if (RACES_ONLY && scale_percent() < 100)
		skip("one thread alone: nothing for this sanitizer");
	else
		test_operations();
	test_famine(NULL, KEYS, "famine");
	test_famine(hash_few, 700, "famine, 61 hashes");
	test_famine(hash_equal, 30, "famine, one hash");
	is(drain(), 0, "drain");
	return done_testing();
}
