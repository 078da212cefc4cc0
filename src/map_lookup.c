/* SPDX-License-Identifier: MIT */
/*
 * map_lookup: what readers do.  No store, no retry, no loop but over one
 * content; the laws are those of map.c.
 *
 * The function is laid out for the common kind of key: its hash and its
 * comparison are inline, and a bucket of one entry is decided without a call.
 */
#include "map_table.h"

/* ---- lookup ---- */

/* Out of line and by value, so that the common case needs no stack. */
static __attribute__((noinline)) struct fh_map_entry *
search_block(word content, word tag, struct wanted wanted)
{
	struct live live = live_begin(content);

	while (live_next(&live))
		if (slot_is(live.slot, tag, &wanted))
			return entry_of(live.slot);
	return NULL;
}

static inline struct fh_map_entry *search(word content, word tag,
					  const struct wanted *wanted)
{
	if (content & BLOCK)
		return search_block(content, tag, *wanted);
	if (is_empty(content) || !slot_is(content, tag, wanted))
		return NULL;
	return entry_of(content);
}

static inline struct fh_map_entry *find(const struct fh_map *map,
					const struct wanted *wanted)
{
	struct table *table;
	uint64_t last;
	word content = fh_content(map, wanted->hash, &table, &last);

	return search(content, tag_of(wanted->hash, table->tag_shift), wanted);
}

static __attribute__((noinline)) struct fh_map_entry *
find_any(const struct fh_map *map, struct fh_key key)
{
	struct wanted wanted = { map->keys, key, hash_key(map, key) };

	return find(map, &wanted);
}

struct fh_map_entry *fh_map_lookup(const struct fh_map *map, struct fh_key key)
{
	if (likely(map->hasher == HASH_U64)) {
		struct wanted wanted = {
			FH_KEYS_U64, key,
			fh_hash_u64_inline(&map->hash, key.word[0]),
		};

		return find(map, &wanted);
	}
	return find_any(map, key);
}

/* ---- batch lookup: the misses of a group overlap ---- */

#define GROUP 32

struct probe {
	struct table *table;
	struct wanted wanted;
	word content;
};

static void batch_words(const struct fh_map *map, const struct fh_key *keys,
			struct probe *probe, size_t n)
{
	/* pairs with: map.root */
	struct table *table = load_acquire(&map->root);
	size_t i;

	for (i = 0; i < n; i++) {
		probe[i].wanted = (struct wanted){ map->keys, keys[i],
						   hash_key(map, keys[i]) };
		__builtin_prefetch(word_at(table, probe[i].wanted.hash));
	}
}

static void batch_contents(const struct fh_map *map, struct probe *probe,
			   size_t n)
{
	uint64_t last;
	size_t i;

	for (i = 0; i < n; i++) {
		word w = fh_content(map, probe[i].wanted.hash,
				    &probe[i].table, &last);

		probe[i].content = w;
		__builtin_prefetch(w & BLOCK ? (void *)block_of(w) :
					       (void *)entry_of(w));
	}
}

static word probe_tag(const struct probe *probe)
{
	return tag_of(probe->wanted.hash, probe->table->tag_shift);
}

/* Only blocks need this: the entry that the tag points at. */
static void batch_entries(struct probe *probe, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct live live;

		if (!(probe[i].content & BLOCK))
			continue;
		live = live_begin(probe[i].content);
		while (live_next(&live))
			if (same_tag(live.slot, probe_tag(&probe[i])))
				__builtin_prefetch(entry_of(live.slot));
	}
}

void fh_map_lookup_batch(const struct fh_map *map, const struct fh_key *keys,
			 size_t count, struct fh_map_entry **found)
{
	struct probe probe[GROUP];
	size_t n, i;

	for (; count; count -= n, keys += n, found += n) {
		n = count < GROUP ? count : GROUP;
		batch_words(map, keys, probe, n);
		batch_contents(map, probe, n);
		batch_entries(probe, n);
		for (i = 0; i < n; i++)
			found[i] = search(probe[i].content,
					  probe_tag(&probe[i]),
					  &probe[i].wanted);
	}
}
