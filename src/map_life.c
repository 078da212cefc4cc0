/* SPDX-License-Identifier: MIT */
/*
 * map_life: a table as a whole: its beginning and end, walks, statistics.
 *
 * A walk goes by hash, not by bucket.  Buckets are ranges of hashes, and a
 * cursor is the lowest hash not yet visited, so it means the same in every
 * table, larger or smaller.  One step takes the content that readers would
 * search for that hash, visits the entries between the cursor and the end of
 * the content's range, and moves the cursor past that end.  An entry that
 * stays has one hash, which the cursor passes once, and the step that passes
 * it sees one content in which the entry is.
 */
#include "map_migrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- beginning ---- */

static int log2_for(size_t expected, unsigned *log2)
{
	unsigned k = TABLE_LOG2_MIN;

	while (k <= TABLE_LOG2_MAX && ((size_t)1 << k) / 4 * 3 < expected)
		k++;
	*log2 = k;
	return k <= TABLE_LOG2_MAX ? 0 : -EOVERFLOW;
}

static int choose_hash(struct fh_map *map, const struct fh_map_options *options)
{
	map->keys = options->keys;
	map->custom = options->hash;
	switch (options->keys) {
	case FH_KEYS_U64:
		map->hasher = HASH_U64;
		break;
	case FH_KEYS_PAIR:
		map->hasher = HASH_PAIR;
		break;
	case FH_KEYS_BYTES:
		map->hasher = HASH_BYTES;
		break;
	default:
		return -EINVAL;
	}
	if (options->hash)
		map->hasher = HASH_CUSTOM;
	return fh_hash_seed(&map->hash);
}

static int init(struct fh_map *map, const struct fh_map_options *options)
{
	struct table *table;
	int rc = choose_hash(map, options);

	if (rc == 0)
		rc = log2_for(options->expected, &map->min_log2);
	if (rc < 0)
		return rc;
	map->fixed = options->fixed != 0;
	table = fh_table_new(map->min_log2);
	if (!table)
		return -ENOMEM;
	store_relaxed(&map->root, table);
	return 0;
}

int fh_map_create(struct fh_map **map, const struct fh_map_options *options)
{
	const struct fh_map_options defaults = { .keys = FH_KEYS_U64 };
	struct fh_map *made = calloc(1, sizeof(*made));
	int rc;

	*map = NULL;
	if (!made)
		return -ENOMEM;
	rc = init(made, options ? options : &defaults);
	if (rc < 0) {
		free(made);
		return rc;
	}
	*map = made;
	return 0;
}

/* ---- walking ---- */

/* What one step of a walk stands on. */
struct range {
	word content;
	uint64_t first, last;
};

static struct range range_at(const struct fh_map *map, uint64_t first)
{
	struct range range = { .first = first };
	struct table *table;

	range.content = fh_content(map, first, &table, &range.last);
	return range;
}

/* The next live entry of the content that lies in the range, or NULL. */
static struct fh_map_entry *next_in(const struct range *range,
				    struct live *live)
{
	while (live_next(live)) {
		struct fh_map_entry *entry = entry_of(live->slot);

		if (entry->hash >= range->first && entry->hash <= range->last)
			return entry;
	}
	return NULL;
}

static size_t visit_range(const struct range *range,
			  int (*visit)(struct fh_map_entry *entry, void *arg),
			  void *arg, int *stop)
{
	struct live live = live_begin(range->content);
	struct fh_map_entry *entry;
	size_t n = 0;

	while ((entry = next_in(range, &live))) {
		n++;
		if (visit(entry, arg))
			*stop = 1;
	}
	return n;
}

size_t fh_map_walk(const struct fh_map *map, struct fh_map_cursor *cursor,
		   size_t budget,
		   int (*visit)(struct fh_map_entry *entry, void *arg),
		   void *arg)
{
	size_t visited = 0;
	int stop = 0;

	while (!cursor->done && !stop && (budget == 0 || visited < budget)) {
		struct range range;

		fh_rcu_read_lock();
		range = range_at(map, cursor->next);
		visited += visit_range(&range, visit, arg, &stop);
		fh_rcu_read_unlock();
		cursor->next = range.last + 1;
		cursor->done = range.last == UINT64_MAX;
	}
	return visited;
}

/* ---- statistics ---- */

static void add_content(struct fh_map_stats *stats, const struct range *range)
{
	struct live live = live_begin(range->content);
	uint64_t length = 0;

	while (next_in(range, &live))
		length++;
	stats->lengths[length < FH_MAP_LENGTHS ? length :
						 FH_MAP_LENGTHS - 1]++;
	if (length > stats->longest)
		stats->longest = length;
	if (length > FH_MAP_LONG_BLOCK)
		stats->long_blocks++;
	if (range->content & BLOCK)
		stats->bytes += fh_block_size(block_length(range->content));
}

static void add_table(struct fh_map_stats *stats, struct table *table)
{
	stats->buckets = table_buckets(table);
	stats->bytes = sizeof(*table) + table_buckets(table) * sizeof(word);
	if (!table_migrating(table))
		return;
	stats->migrating = 1;
	stats->migrated = load_relaxed(&table->done);
	stats->bytes += sizeof(*table) +
			table_buckets(table->prev) * sizeof(word);
}

void fh_map_get_stats(const struct fh_map *map, struct fh_map_stats *stats)
{
	struct fh_rcu_stats rcu;
	struct range range = { .last = UINT64_MAX };

	memset(stats, 0, sizeof(*stats));
	stats->count = fh_map_count(map);
	stats->grown = load_relaxed(&map->grown);
	stats->shrunk = load_relaxed(&map->shrunk);
	stats->deferred = load_relaxed(&map->deferred);
	fh_rcu_read_lock();
	/* pairs with: map.root */
	add_table(stats, load_acquire(&map->root));
	fh_rcu_read_unlock();
	do {
		fh_rcu_read_lock();
		range = range_at(map, range.last + 1);
		add_content(stats, &range);
		fh_rcu_read_unlock();
	} while (range.last != UINT64_MAX);
	fh_rcu_get_stats(&rcu);
	stats->pending = rcu.pending;
}

/* ---- settling ---- */

/*
 * One step.  1: go on, -ENOMEM, 0: nothing is left to do.  @helped is how
 * often the present migration was helped: when that was enough for two rounds
 * and it is still not complete, then another thread has installed a word and
 * not yet counted it, and will complete it.
 */
static int settle_step(struct fh_map *map, size_t *helped)
{
	/* pairs with: map.root */
	struct table *table = load_acquire(&map->root);
	int rc;

	if (table_migrating(table)) {
		if (*helped > table_buckets(table) / 8 + 2)
			return 0;
		*helped += 1;
		rc = fh_migrate_help(map, table);
		return rc < 0 ? rc : 1;
	}
	*helped = 0;
	rc = fh_resize_if_due(map, table);
	if (rc < 0)
		return rc;
	return load_relaxed(&map->root) != table;
}

int fh_map_settle(struct fh_map *map)
{
	size_t helped = 0;
	int rc;

	do {
		fh_rcu_read_lock();
		rc = settle_step(map, &helped);
		fh_rcu_read_unlock();
	} while (rc > 0);
	return rc;
}

/* ---- end ---- */

static void release_content(word content,
			    void (*release)(struct fh_map_entry *, void *),
			    void *arg)
{
	struct live live = live_begin(content);

	while (live_next(&live))
		release(entry_of(live.slot), arg);
}

/*
 * Nobody else is here.  Where a migration is under way, move what can be
 * moved; what cannot, for lack of memory, is not frozen, and its entries are
 * found in the old words.
 */
static void finish_migration(struct fh_map *map, struct table *table)
{
	size_t i;

	for (i = 0; i < table_buckets(table); i++)
		if (load_relaxed(&table->word[i]) == UNINIT)
			fh_migrate(map, table, i);
}

static bool is_moved(struct table *table, size_t i, struct table *old)
{
	uint64_t hash = (uint64_t)i << old->shift;

	return load_relaxed(word_at(table, hash)) != UNINIT;
}

static void release_table(struct table *table,
			  void (*release)(struct fh_map_entry *, void *),
			  void *arg)
{
	size_t i;

	for (i = 0; i < table_buckets(table); i++)
		if (load_relaxed(&table->word[i]) != UNINIT)
			release_content(load_relaxed(&table->word[i]), release,
					arg);
}

static void release_unmoved(struct table *table, struct table *old,
			    void (*release)(struct fh_map_entry *, void *),
			    void *arg)
{
	size_t i;

	for (i = 0; i < table_buckets(old); i++)
		if (!is_moved(table, i, old))
			release_content(load_relaxed(&old->word[i]), release,
					arg);
}

void fh_map_destroy(struct fh_map *map,
		    void (*release)(struct fh_map_entry *entry, void *arg),
		    void *arg)
{
	struct table *table, *old = NULL;

	if (!map)
		return;
	table = load_relaxed(&map->root);
	if (table_migrating(table))
		finish_migration(map, table);
	if (table_migrating(table))
		old = table->prev;
	if (release)
		release_table(table, release, arg);
	if (release && old)
		release_unmoved(table, old, release, arg);
	if (old)
		fh_table_free(&old->rcu);
	fh_table_free(&table->rcu);
	free(map);
}
