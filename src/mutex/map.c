/* SPDX-License-Identifier: MIT */
/*
 * map, the mutex twin: one lock around one open-addressing table (table.h).
 *
 * Keys are hashed before the lock is taken; what the table needs for growing
 * is allocated with the lock held, as one doubling costs less than a way to
 * do without.  Entries are reclaimed as in the lock-free build, so an entry
 * that a lookup has found outlives the lock by the caller's read section.
 *
 * What a lock cannot promise: no function may be called in a signal handler,
 * which might have interrupted the holder, and no progress is promised while
 * the holder is not scheduled.
 */
#include <freehold/map.h>

#include <errno.h>
#include <stdlib.h>

#include "map_internal.h"
#include "rcu_internal.h"

static uint64_t hash_of(const struct fh_map *map, struct fh_key key)
{
	if (map->custom)
		return map->custom(key);
	if (map->keys == FH_KEYS_U64)
		return fh_hash_u64_inline(&map->hash, key.word[0]);
	if (map->keys == FH_KEYS_PAIR)
		return fh_hash_pair(&map->hash, key);
	return fh_hash_bytes(&map->hash, key);
}

static bool is_known(enum fh_key_kind keys)
{
	return keys == FH_KEYS_U64 || keys == FH_KEYS_PAIR ||
	       keys == FH_KEYS_BYTES;
}

static int initialise(struct fh_map *map, const struct fh_map_options *options)
{
	int rc;

	map->keys = options->keys;
	map->custom = options->hash;
	rc = map->custom ? 0 : fh_hash_seed(&map->hash);
	if (rc)
		return rc;
	rc = fh_table_init(&map->table, options->expected, options->fixed);
	if (rc)
		return rc;
	pthread_mutex_init(&map->lock, NULL);
	return 0;
}

int fh_map_create(struct fh_map **map, const struct fh_map_options *options)
{
	static const struct fh_map_options defaults;
	struct fh_map *fresh;
	int rc;

	if (!options)
		options = &defaults;
	if (!is_known(options->keys))
		return -EINVAL;
	fresh = aligned_alloc(_Alignof(struct fh_map), sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	rc = initialise(fresh, options);
	if (rc) {
		free(fresh);
		return rc;
	}
	*map = fresh;
	return 0;
}

void fh_map_destroy(struct fh_map *map,
		    void (*release)(struct fh_map_entry *entry, void *arg),
		    void *arg)
{
	if (!map)
		return;
	for (size_t i = 0; release && i < map->table.length; i++)
		if (map->table.slots[i].item)
			release(map->table.slots[i].item, arg);
	fh_table_free(&map->table);
	pthread_mutex_destroy(&map->lock);
	free(map);
}

static bool has_key(const struct fh_map *map,
		    const struct fh_map_entry *entry, struct fh_key key)
{
	if (map->keys == FH_KEYS_U64)
		return entry->key.word[0] == key.word[0];
	return fh_key_equal(map->keys, entry->key, key);
}

static struct fh_slot *find(const struct fh_map *map, uint64_t hash,
			    struct fh_key key)
{
	struct fh_slot *slot = fh_table_home(&map->table, hash);

	while ((slot = fh_slot_find(slot, hash))) {
		if (has_key(map, slot->item, key))
			return slot;
		slot++;
	}
	return NULL;
}

static struct fh_slot *find_entry(const struct fh_map *map,
				  const struct fh_map_entry *entry)
{
	struct fh_slot *slot = fh_table_home(&map->table, entry->hash);

	while ((slot = fh_slot_find(slot, entry->hash)))
		if (slot++->item == entry)
			return slot - 1;
	return NULL;
}

struct fh_map_entry *fh_map_lookup(const struct fh_map *map, struct fh_key key)
{
	uint64_t hash = hash_of(map, key);
	struct fh_map *held = fh_map_lock(map);
	struct fh_slot *slot = find(held, hash, key);
	struct fh_map_entry *entry = slot ? slot->item : NULL;

	fh_map_unlock(held);
	return entry;
}

#define BATCH 32

/* Have the cache misses on slots overlap, then those on entries. */
static void fetch(const struct fh_map *map, const struct fh_key *keys,
		  size_t count, uint64_t *hashes)
{
	struct fh_slot *slot;

	for (size_t i = 0; i < count; i++) {
		hashes[i] = hash_of(map, keys[i]);
		__builtin_prefetch(fh_table_home(&map->table, hashes[i]));
	}
	for (size_t i = 0; i < count; i++) {
		slot = fh_table_home(&map->table, hashes[i]);
		slot = fh_slot_find(slot, hashes[i]);
		if (slot)
			__builtin_prefetch(slot->item);
	}
}

static void lookup_some(const struct fh_map *map, const struct fh_key *keys,
			size_t count, struct fh_map_entry **found)
{
	uint64_t hashes[BATCH];
	struct fh_slot *slot;

	fetch(map, keys, count, hashes);
	for (size_t i = 0; i < count; i++) {
		slot = find(map, hashes[i], keys[i]);
		found[i] = slot ? slot->item : NULL;
	}
}

void fh_map_lookup_batch(const struct fh_map *map, const struct fh_key *keys,
			 size_t count, struct fh_map_entry **found)
{
	struct fh_map *held = fh_map_lock(map);
	size_t some;

	for (; count; count -= some, keys += some, found += some) {
		some = count < BATCH ? count : BATCH;
		lookup_some(held, keys, some, found);
	}
	fh_map_unlock(held);
}

/* The lock-free build packs a tag into the address; keep to what it takes. */
static int prepare(const struct fh_map *map, struct fh_map_entry *entry)
{
	uintptr_t address = (uintptr_t)entry;

	if (address % 8 || (uint64_t)address >> 48)
		return -EFAULT;
	entry->hash = hash_of(map, entry->key);
	return 0;
}

int fh_map_insert(struct fh_map *map, struct fh_map_entry *entry,
		  struct fh_map_entry **present)
{
	struct fh_map_entry *there = NULL;
	struct fh_slot *slot;
	int rc = prepare(map, entry);

	if (!rc) {
		fh_map_lock(map);
		slot = find(map, entry->hash, entry->key);
		if (slot) {
			there = slot->item;
			rc = -EEXIST;
		} else {
			rc = fh_table_insert(&map->table, entry->hash, entry);
		}
		fh_map_unlock(map);
	}
	if (present)
		*present = there;
	return rc;
}

/* What comes before a change that may hand an entry back for retirement. */
static int prepare_change(const struct fh_map *map, struct fh_map_entry *entry,
			  struct fh_room *room)
{
	int rc = prepare(map, entry);

	return rc ? rc : fh_room_take(room, 1);
}

static struct fh_map_entry *swap(struct fh_map *map, struct fh_slot *slot,
				 struct fh_map_entry *entry)
{
	struct fh_map_entry *old = slot->item;

	fh_table_replace(&map->table, slot, entry);
	return old;
}

/* Put in the place of what has its key; if nothing has, insert, or fail. */
static int exchange(struct fh_map *map, struct fh_map_entry *entry,
		    struct fh_map_entry **old, bool insert)
{
	struct fh_map_entry *was = NULL;
	struct fh_slot *slot;
	struct fh_room room;
	int rc = prepare_change(map, entry, &room);

	if (old)
		*old = NULL;
	if (rc)
		return rc;
	fh_map_lock(map);
	slot = find(map, entry->hash, entry->key);
	if (slot)
		was = swap(map, slot, entry);
	else
		rc = insert ? fh_table_insert(&map->table, entry->hash, entry) :
			      -ENOENT;
	fh_map_unlock(map);
	fh_room_leave(&room, was != NULL);
	if (old)
		*old = was;
	return rc;
}

int fh_map_put(struct fh_map *map, struct fh_map_entry *entry,
	       struct fh_map_entry **old)
{
	return exchange(map, entry, old, true);
}

int fh_map_replace(struct fh_map *map, struct fh_map_entry *entry,
		   struct fh_map_entry **old)
{
	return exchange(map, entry, old, false);
}

int fh_map_replace_entry(struct fh_map *map, struct fh_map_entry *old,
			 struct fh_map_entry *entry)
{
	struct fh_slot *slot;
	struct fh_room room;
	int rc = prepare(map, entry);

	if (!rc && (old == entry ||
		    !fh_key_equal(map->keys, old->key, entry->key)))
		rc = -EINVAL;
	if (!rc)
		rc = fh_room_take(&room, 1);
	if (rc)
		return rc;
	fh_map_lock(map);
	slot = find_entry(map, old);
	if (slot)
		swap(map, slot, entry);
	fh_map_unlock(map);
	fh_room_leave(&room, slot != NULL);
	return slot ? 0 : -ENOENT;
}

int fh_map_remove(struct fh_map *map, struct fh_key key,
		  struct fh_map_entry **removed)
{
	uint64_t hash = hash_of(map, key);
	struct fh_slot *slot;
	struct fh_room room;
	int rc = fh_room_take(&room, 1);

	*removed = NULL;
	if (rc)
		return rc;
	fh_map_lock(map);
	slot = find(map, hash, key);
	if (slot) {
		*removed = slot->item;
		fh_table_remove(&map->table, slot);
	}
	fh_map_unlock(map);
	fh_room_leave(&room, *removed != NULL);
	return *removed ? 0 : -ENOENT;
}

int fh_map_remove_entry(struct fh_map *map, struct fh_map_entry *entry)
{
	struct fh_slot *slot;
	struct fh_room room;
	int rc = fh_room_take(&room, 1);

	if (rc)
		return rc;
	fh_map_lock(map);
	slot = find_entry(map, entry);
	if (slot)
		fh_table_remove(&map->table, slot);
	fh_map_unlock(map);
	fh_room_leave(&room, slot != NULL);
	return slot ? 0 : -ENOENT;
}

size_t fh_map_count(const struct fh_map *map)
{
	struct fh_map *held = fh_map_lock(map);
	size_t count = held->table.count;

	fh_map_unlock(held);
	return count;
}

int fh_map_settle(struct fh_map *map)
{
	int rc;

	fh_map_lock(map);
	rc = fh_table_settle(&map->table);
	fh_map_unlock(map);
	return rc;
}
