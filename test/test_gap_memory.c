/* SPDX-License-Identifier: MIT */
/*
 * map: a migration that runs out of memory, and what mutants showed that no
 * other test looked at there.  Two entries have each hash, so that no bucket
 * can move without memory for a block; for the lock-free build alone.
 */
#include <freehold/freehold.h>

#include "oom.h"
#include "tap.h"

#include <errno.h>

#define ENTRIES 2000

static struct fh_map_entry entries[ENTRIES];
static size_t released, inserted;

static uint64_t two_alike(struct fh_key key)
{
	return (key.word[0] >> 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void release(struct fh_map_entry *entry, void *arg)
{
	(void)entry;
	(void)arg;
	released++;
}

static struct fh_map_stats stats_of(struct fh_map *map)
{
	struct fh_map_stats stats;

	fh_map_get_stats(map, &stats);
	return stats;
}

static void insert(struct fh_map *map)
{
	entries[inserted].key = fh_key_u64(inserted);
	if (fh_map_insert(map, &entries[inserted], NULL) == 0)
		inserted++;
}

static struct fh_map *map_new(void)
{
	struct fh_map_options options = { .hash = two_alike };
	struct fh_map *map;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	inserted = released = 0;
	return map;
}

static struct fh_map *migrating_map(void)
{
	struct fh_map *map = map_new();

	do
		insert(map);
	while (inserted < ENTRIES &&
	       (inserted < 500 || !stats_of(map).migrating));
	ok(stats_of(map).migrating, "a migration has begun");
	return map;
}

/*
 * Buckets that could not be moved are found in the old table.  If destroy
 * forgot them, entries would not be released; if it forgot the table itself,
 * the address sanitizer would say so.
 */
static void test_destroy(void)
{
	struct fh_map *map = migrating_map();

	oom_arm(OOM_FROM, 1);
	is(fh_map_settle(map), -ENOMEM, "settle says that memory is short");
	ok(stats_of(map).migrating, "the migration is not complete");
	fh_map_destroy(map, release, NULL);
	ok(oom_disarm() > 0, "memory was asked for");
	is(released, inserted, "destroy releases what could not be moved");
	is(fh_rcu_drain_wait(FH_FOREVER), 0, "drain");
}

/* Growing is put off while there is no table to be had, and counted. */
static void test_deferred(void)
{
	struct fh_map *map = map_new();
	struct fh_map_stats stats;
	int i;

	for (i = 0; i < 6; i++)
		insert(map);
	fh_map_settle(map);
	oom_arm(OOM_FROM, 1);
	for (i = 0; i < 64; i++)
		insert(map);
	is(fh_map_settle(map), -ENOMEM, "it should have grown");
	oom_disarm();
	stats = stats_of(map);
	ok(stats.deferred > 0, "growth was put off, and that was counted");
	is(fh_map_settle(map), 0, "with memory it grows");
	fh_map_destroy(map, release, NULL);
	is(released, inserted, "all are released");
	is(fh_rcu_drain_wait(FH_FOREVER), 0, "drain");
}

int main(void)
{
	watchdog(60);
	test_destroy();
	test_deferred();
	return done_testing();
}
