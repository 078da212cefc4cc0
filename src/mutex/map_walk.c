/* SPDX-License-Identifier: MIT */
/*
 * map_walk, the mutex twin: looking at the whole table.
 *
 * A walk copies a page of entries with the lock held and visits them without
 * it, inside a read section that began before the copy.  Its place is a hash
 * and an address, in whose order the table stands whatever its size, so what
 * happens to the table between two pages moves nothing past the walk.
 */
#include <freehold/map.h>

#include "map_internal.h"

#define PAGE 64

/* How one call of fh_map_walk stands. */
struct walk {
	struct fh_table_place place;
	uint64_t last;		/* visit no hash beyond */
	uint64_t bucket;	/* low bits of a hash within its bucket */
	bool ending;		/* last is the end of the present bucket */
	size_t budget;
	size_t visited;
};

static size_t next_page(const struct fh_map *map, struct walk *walk,
			struct fh_map_entry **entries)
{
	size_t most = PAGE, count;
	void *items[PAGE];
	struct fh_map *held;

	/* a few more than asked for, to see where the bucket ends */
	if (walk->budget && !walk->ending &&
	    walk->budget - walk->visited + 4 < PAGE)
		most = walk->budget - walk->visited + 4;
	held = fh_map_lock(map);
	walk->bucket = UINT64_MAX >> held->table.bits;
	count = fh_table_page(&held->table, &walk->place, walk->last, items,
			      most);
	fh_map_unlock(held);
	memcpy(entries, items, count * sizeof(*items));
	return count;
}

/* Visit up to the end of the page, or of the bucket that ends the call. */
static void visit_page(struct walk *walk, struct fh_map_entry **entries,
		       size_t count,
		       int (*visit)(struct fh_map_entry *entry, void *arg),
		       void *arg)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t hash = entries[i]->hash;

		if (hash > walk->last) {
			walk->place.end = true;
			return;
		}
		walk->visited++;
		if (!visit(entries[i], arg) &&
		    (!walk->budget || walk->visited < walk->budget))
			continue;
		if (!walk->ending)
			walk->last = hash | walk->bucket;
		walk->ending = true;
	}
}

size_t fh_map_walk(const struct fh_map *map, struct fh_map_cursor *cursor,
		   size_t budget,
		   int (*visit)(struct fh_map_entry *entry, void *arg),
		   void *arg)
{
	struct walk walk = { .place.hash = cursor->next, .budget = budget,
			     .place.end = cursor->done, .last = UINT64_MAX };
	struct fh_map_entry *entries[PAGE];
	size_t count;

	while (!walk.place.end) {
		fh_rcu_read_lock();
		count = next_page(map, &walk, entries);
		visit_page(&walk, entries, count, visit, arg);
		fh_rcu_read_unlock();
	}
	cursor->done = walk.last == UINT64_MAX;
	cursor->next = cursor->done ? 0 : walk.last + 1;
	return walk.visited;
}

static void tell_run(struct fh_map_stats *stats, uint64_t length)
{
	if (length < FH_MAP_LENGTHS)
		stats->lengths[length]++;
	else
		stats->lengths[FH_MAP_LENGTHS - 1]++;
	stats->lengths[0]--;
	stats->long_blocks += length > FH_MAP_LONG_BLOCK;
	if (length > stats->longest)
		stats->longest = length;
}

/* A bucket is what has one home; its items stand side by side. */
static void tell_lengths(const struct fh_table *table,
			 struct fh_map_stats *stats)
{
	const struct fh_slot *home = NULL;
	uint64_t run = 0;

	stats->lengths[0] = stats->buckets;
	for (size_t i = 0; i < table->length; i++) {
		const struct fh_slot *slot = &table->slots[i];

		if (slot->item && run &&
		    fh_table_home(table, slot->hash) == home) {
			run++;
			continue;
		}
		if (run)
			tell_run(stats, run);
		run = slot->item != NULL;
		home = run ? fh_table_home(table, slot->hash) : NULL;
	}
}

static void tell(const struct fh_table *table, struct fh_map_stats *stats)
{
	stats->count = table->count;
	stats->buckets = UINT64_C(1) << table->bits;
	stats->bytes = table->length * sizeof(*table->slots);
	stats->grown = table->grown;
	stats->shrunk = table->shrunk;
	stats->deferred = table->deferred;
	tell_lengths(table, stats);
}

void fh_map_get_stats(const struct fh_map *map, struct fh_map_stats *stats)
{
	struct fh_rcu_stats reclamation;
	struct fh_map *held;

	memset(stats, 0, sizeof(*stats));
	held = fh_map_lock(map);
	tell(&held->table, stats);
	fh_map_unlock(held);
	fh_rcu_get_stats(&reclamation);
	stats->pending = reclamation.pending;
}
