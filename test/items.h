/* SPDX-License-Identifier: MIT */
/* What the tests of the table put into it, and some hash functions. */
#ifndef FH_TEST_ITEMS_H
#define FH_TEST_ITEMS_H

#include <freehold/base.h>
#include <freehold/map.h>
#include <freehold/rcu.h>

#include "threads.h"

#define SECONDS INT64_C(1000000000)

struct item {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	uint64_t id;		/* a token, a version: the test's */
	uint64_t alive;		/* ITEM_ALIVE until it is reclaimed */
};

#define ITEM_ALIVE UINT64_C(0x11fe11fe11fe11fe)

__attribute__((unused)) static struct item *item_of(struct fh_map_entry *entry)
{
	return (struct item *)entry;
}

__attribute__((unused)) static struct item *item_new(struct fh_key key,
						     uint64_t id)
{
	struct item *item = malloc(sizeof(*item));

	if (!item)
		bail_out("no memory");
	item->entry.key = key;
	item->id = id;
	item->alive = ITEM_ALIVE;
	return item;
}

__attribute__((unused)) static struct item *item_u64(uint64_t key, uint64_t id)
{
	return item_new(fh_key_u64(key), id);
}

static void item_reclaim(struct fh_rcu_head *head)
{
	struct item *item = (struct item *)((char *)head -
					    offsetof(struct item, rcu));

	item->alive = 0;
	free(item);
}

__attribute__((unused)) static void item_retire(struct fh_map_entry *entry)
{
	fh_rcu_retire(&item_of(entry)->rcu, item_reclaim);
}

/* For fh_map_destroy. */
__attribute__((unused)) static void item_release(struct fh_map_entry *entry,
						 void *arg)
{
	if (arg)
		++*(size_t *)arg;
	free(item_of(entry));
}

__attribute__((unused)) static struct fh_map *
map_new(const struct fh_map_options *options)
{
	struct fh_map *map;

	if (fh_map_create(&map, options))
		bail_out("cannot create a table");
	return map;
}

__attribute__((unused)) static struct fh_map_stats
map_stats(const struct fh_map *map)
{
	struct fh_map_stats stats;

	fh_map_get_stats(map, &stats);
	return stats;
}

/* The entry's id, or 0 if the key is not there. */
__attribute__((unused)) static uint64_t id_at(const struct fh_map *map,
					      struct fh_key key)
{
	struct fh_map_entry *entry;
	uint64_t id;

	fh_rcu_read_lock();
	entry = fh_map_lookup(map, key);
	id = entry ? item_of(entry)->id : 0;
	fh_rcu_read_unlock();
	return id;
}

__attribute__((unused)) static int drain(void)
{
	return fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS));
}

/* ---- hash functions for tables of numbers ---- */

__attribute__((unused)) static uint64_t hash_equal(struct fh_key key)
{
	(void)key;
	return UINT64_C(0x123456789abcdef0);
}

__attribute__((unused)) static uint64_t hash_ones(struct fh_key key)
{
	(void)key;
	return UINT64_MAX;
}

/* Some dozens of values, spread over the buckets. */
__attribute__((unused)) static uint64_t hash_few(struct fh_key key)
{
	return key.word[0] % 61 * UINT64_C(0x0433333333333333);
}

/* The bits that choose buckets and tags are the same for all. */
__attribute__((unused)) static uint64_t hash_low(struct fh_key key)
{
	return UINT64_C(0xabcdef) << 40 | (key.word[0] & 0xffffffff);
}

/* Neighbours differ in their last bit alone: no bucket divides them. */
__attribute__((unused)) static uint64_t hash_plain(struct fh_key key)
{
	return key.word[0];
}

#endif
