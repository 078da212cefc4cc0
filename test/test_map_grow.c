/* SPDX-License-Identifier: MIT */
/*
 * map: from 64 buckets to a million entries and back to a hundred, while
 * readers must always find 100 fixed keys, others insert and remove, one
 * replaces the entry of a fixed key, and a cursor walks.
 *
 * What would be seen if the table were wrong: an entry that a migration
 * loses or hides for a moment makes a reader miss a fixed key; one that it
 * copies twice, or skips, shows in the walk; one that is reclaimed while the
 * old table still leads to it (the sibling and licence rules) is not alive
 * when a reader looks, and the address sanitizer reports it.
 */
#include <freehold/map.h>

#include <errno.h>

#include "items.h"
#include "tap.h"

#define FIXED 100
#define REPLACED 100	/* the key behind the fixed ones */
#define CHURN_BASE (UINT64_C(1) << 40)
#define GROW_BASE (UINT64_C(1) << 41)
#define CHURN_KEYS 512

/* The thread sanitizer is so much slower. */
#ifdef FH_TSAN
#define LIGHTER 4
#else
#define LIGHTER 1
#endif

struct stage {
	struct fh_map *map;
	size_t most;
	tally growing;		/* cleared when it is small again */
	tally missed, dead, version_back, walk_wrong, churn_wrong;
	tally grow_wrong, walks, lookups, replaced;
};

static void count(tally *counter)
{
	add_relaxed(counter, 1);
}

static int over(struct stage *stage)
{
	return !load_seq_cst(&stage->growing);
}

static void insert_range(struct stage *stage, uint64_t from, uint64_t to)
{
	uint64_t key;

	for (key = from; key < to; key++)
		if (fh_map_insert(stage->map, &item_u64(GROW_BASE + key,
							key)->entry, NULL))
			count(&stage->grow_wrong);
}

static void remove_range(struct stage *stage, uint64_t from, uint64_t to)
{
	struct fh_map_entry *removed;
	uint64_t key;

	for (key = from; key < to; key++) {
		if (fh_map_remove(stage->map, fh_key_u64(GROW_BASE + key),
				  &removed)) {
			count(&stage->grow_wrong);
			continue;
		}
		if (item_of(removed)->id != key)
			count(&stage->grow_wrong);
		item_retire(removed);
	}
}

/* A tenth first, then all the way: directions change in the middle. */
static void grow_and_shrink(struct stage *stage)
{
	insert_range(stage, 0, stage->most / 10);
	remove_range(stage, 0, stage->most / 10);
	insert_range(stage, 0, stage->most);
	remove_range(stage, 0, stage->most);
	store_seq_cst(&stage->growing, 0);
}

static void check_fixed(struct stage *stage, struct fh_map_entry *entry,
			uint64_t key)
{
	if (!entry || entry->key.word[0] != key)
		count(&stage->missed);
	else if (item_of(entry)->alive != ITEM_ALIVE)
		count(&stage->dead);
}

/* One key at a time, then all in a batch, and the versions of one key. */
static void read_fixed(struct stage *stage)
{
	struct fh_map_entry *found[FIXED], *entry;
	struct fh_key keys[FIXED];
	uint64_t key, last = 0;

	for (key = 0; key < FIXED; key++)
		keys[key] = fh_key_u64(key);
	while (!over(stage)) {
		for (key = 0; key < FIXED; key++) {
			fh_rcu_read_lock();
			check_fixed(stage, fh_map_lookup(stage->map,
							 keys[key]), key);
			fh_rcu_read_unlock();
		}
		fh_rcu_read_lock();
		fh_map_lookup_batch(stage->map, keys, FIXED, found);
		for (key = 0; key < FIXED; key++)
			check_fixed(stage, found[key], key);
		entry = fh_map_lookup(stage->map, fh_key_u64(REPLACED));
		check_fixed(stage, entry, REPLACED);
		if (entry && item_of(entry)->id < last)
			count(&stage->version_back);
		if (entry)
			last = item_of(entry)->id;
		fh_rcu_read_unlock();
		add_relaxed(&stage->lookups, 2 * FIXED + 1);
	}
}

static void replace_one(struct stage *stage)
{
	struct fh_map_entry *old;
	uint64_t version = 1;

	while (!over(stage)) {
		if (fh_map_put(stage->map, &item_u64(REPLACED,
						     version + 1)->entry,
			       &old) || !old ||
		    item_of(old)->id != version) {
			count(&stage->version_back);
			return;
		}
		item_retire(old);
		version++;
		count(&stage->replaced);
	}
}

/* Its own range of keys, whose presence it knows. */
static void churn(struct stage *stage)
{
	unsigned char present[CHURN_KEYS] = { 0 };
	uint64_t random = random_seed(5), key;
	struct fh_map_entry *removed;
	struct item *item;
	int rc;

	while (!over(stage)) {
		key = random_below(&random, CHURN_KEYS);
		if ((id_at(stage->map, fh_key_u64(CHURN_BASE + key)) != 0) !=
		    present[key])
			count(&stage->churn_wrong);
		if (present[key]) {
			rc = fh_map_remove(stage->map,
					   fh_key_u64(CHURN_BASE + key),
					   &removed);
			if (!rc)
				item_retire(removed);
		} else {
			item = item_u64(CHURN_BASE + key, 1);
			rc = fh_map_insert(stage->map, &item->entry, NULL);
		}
		if (rc)
			count(&stage->churn_wrong);
		present[key] = !present[key];
	}
	for (key = 0; key < CHURN_KEYS; key++)
		if (present[key] &&
		    !fh_map_remove(stage->map, fh_key_u64(CHURN_BASE + key),
				   &removed))
			item_retire(removed);
}

struct walk {
	struct stage *stage;
	unsigned char visited[FIXED + 1];
};

static int visit(struct fh_map_entry *entry, void *arg)
{
	struct walk *walk = arg;

	if (item_of(entry)->alive != ITEM_ALIVE)
		count(&walk->stage->dead);
	if (entry->key.word[0] < FIXED)
		walk->visited[entry->key.word[0]]++;
	return 0;
}

static void walk_all(struct stage *stage)
{
	uint64_t random = random_seed(9);
	size_t key;

	while (!over(stage)) {
		struct walk walk = { .stage = stage };
		struct fh_map_cursor cursor = { 0 };

		while (!cursor.done)
			fh_map_walk(stage->map, &cursor,
				    1 + random_below(&random, 2000), visit,
				    &walk);
		for (key = 0; key < FIXED; key++)
			if (walk.visited[key] != 1)
				count(&stage->walk_wrong);
		count(&stage->walks);
	}
}

static void act(unsigned index, void *arg)
{
	switch (index) {
	case 0:
		grow_and_shrink(arg);
		break;
	case 1:
		replace_one(arg);
		break;
	case 2:
		churn(arg);
		break;
	case 3:
		walk_all(arg);
		break;
	default:
		read_fixed(arg);
	}
}

static void set_up(struct stage *stage)
{
	struct fh_map_options options = { .expected = 64 };
	uint64_t key;

	stage->map = map_new(&options);
	stage->most = scaled(1000000, 20000) / LIGHTER;
	stage->growing = 1;
	for (key = 0; key <= REPLACED; key++)
		if (fh_map_insert(stage->map, &item_u64(key, 1)->entry, NULL))
			bail_out("cannot insert");
}

static void check_afterwards(struct stage *stage, uint64_t buckets)
{
	struct fh_map_stats stats;
	size_t released = 0;

	is(fh_map_settle(stage->map), 0, "settle");
	stats = map_stats(stage->map);
	is(fh_map_count(stage->map), FIXED + 1, "the count is exact");
	is(stats.count, FIXED + 1, "in the statistics too");
	ok(stats.grown >= 2, "the table grew: %" PRIu64 " times", stats.grown);
	ok(stats.shrunk >= 1, "and shrank: %" PRIu64 " times", stats.shrunk);
	is(stats.migrating, 0, "it is at rest");
	ok(stats.buckets <= 4 * buckets, "and small: %" PRIu64 " buckets",
	   stats.buckets);
	is(stats.deferred, 0, "no growth was put off");
	is(drain(), 0, "drain");
	is(map_stats(stage->map).pending, 0, "nothing awaits reclamation");
	fh_map_destroy(stage->map, item_release, &released);
	is(released, FIXED + 1, "the fixed entries come back");
}

int main(void)
{
	static struct stage stage;
	uint64_t buckets;

	watchdog(240);
	set_up(&stage);
	fh_map_settle(stage.map);
	buckets = map_stats(stage.map).buckets;
	run_crew(6, act, &stage);
	diag("%zu entries; %" PRIu64 " lookups, %" PRIu64 " walks, %" PRIu64
	     " replacements", stage.most, (uint64_t)stage.lookups,
	     (uint64_t)stage.walks, (uint64_t)stage.replaced);
	is(stage.missed, 0, "fixed keys are always found");
	is(stage.dead, 0, "nobody sees an entry that was reclaimed");
	is(stage.version_back, 0, "versions of one key never go back");
	is(stage.walk_wrong, 0, "each walk visits each fixed key once");
	is(stage.churn_wrong, 0, "a thread's own keys are as it left them");
	is(stage.grow_wrong, 0, "all that went in came out");
	check_afterwards(&stage, buckets);
	return done_testing();
}
