/* SPDX-License-Identifier: MIT */
/*
 * map_lookup: what readers do.  No store, no retry, no loop but over one
 * content; the laws are those of map.c.
 *
 * The common case is a number for a key, in a bucket of one entry or of two.
 * It takes few instructions on purpose: while one lookup waits for memory, a
 * processor works ahead on the next ones, as far as so many instructions
 * reach.  Of a block's two first entries, the right one is chosen without a
 * branch, since a guess would be wrong every other time.
 */
#include "map_table.h"

/* ---- lookup ---- */

/* Out of line and by value, so that the common case needs no stack. */
static __attribute__((noinline)) struct fh_map_entry *
search_block(word content, word tag, struct wanted wanted)
{
	unsigned n = block_length(content), i;

	for (i = 0; i < n; i++) {
		word slot = load_relaxed(slots_of(content) + i);

		/* An entry that is dead may be gone: not to be touched. */
		if (same_tag(slot, tag) && !is_dead(content, n, i) &&
		    slot_is(slot, tag, &wanted))
			return entry_of(slot);
	}
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
find_u64(const struct fh_map *map, struct fh_key key, uint64_t hash)
{
	struct wanted wanted = { FH_KEYS_U64, key, hash };

	return find(map, &wanted);
}

static __attribute__((noinline)) struct fh_map_entry *
find_any(const struct fh_map *map, struct fh_key key, uint64_t hash)
{
	struct wanted wanted = { map->keys, key, hash };

	return find(map, &wanted);
}

#if FH_MAP_TAGS
/* The first slot of a block if its tag is right, or else the second. */
static inline word likely_slot(word w, word tag)
{
	struct block *block = block_of(w);
	word first = load_relaxed(&block->slot[0]);
	word second = load_relaxed(&block->slot[1]);

	return first ^ ((first ^ second) & -(word)!same_tag(first, tag));
}

/* Neither a plan nor long, and nobody in it is dead. */
static inline bool is_plain_block(word w)
{
	return !(w & (LONG | DEAD_MASK | PLAN));
}

static inline bool slot_has(word slot, word tag, uint64_t number)
{
	struct fh_map_entry *entry = entry_of(slot);

	return same_tag(slot, tag) && (uintptr_t)entry > EMPTY &&
	       entry->key.word[0] == number;
}

static inline struct fh_map_entry *
lookup_u64(const struct fh_map *map, struct fh_key key, uint64_t hash)
{
	/* pairs with: map.root */
	struct table *table = load_acquire(&map->root);
	/* pairs with: map.word */
	word w = load_acquire(word_at(table, hash));
	word tag = tag_of(hash, table->tag_shift), slot;

	if (!(w & BLOCK)) {
		if (likely(slot_has(w, tag, key.word[0])))
			return entry_of(w);
		if (likely(w != UNINIT))
			return NULL;
	} else if (likely(is_plain_block(w))) {
		slot = likely_slot(w, tag);
		if (likely(slot_has(slot, tag, key.word[0])))
			return entry_of(slot);
	}
	return find_u64(map, key, hash);
}
#else
static inline struct fh_map_entry *
lookup_u64(const struct fh_map *map, struct fh_key key, uint64_t hash)
{
	return find_u64(map, key, hash);
}
#endif

struct fh_map_entry *fh_map_lookup(const struct fh_map *map, struct fh_key key)
{
	if (likely(map->hasher == HASH_U64))
		return lookup_u64(map, key, fh_hash_u64_inline(&map->hash,
							       key.word[0]));
	return find_any(map, key, hash_key(map, key));
}

struct fh_map_entry *fh_map_find(const struct fh_map *map, struct fh_key key,
				 uint64_t hash)
{
	if (likely(map->keys == FH_KEYS_U64))
		return lookup_u64(map, key, hash);
	return find_any(map, key, hash);
}

/* ---- batch lookup: the misses of a group overlap ---- */

#define GROUP 32

/* What is looked for lies behind the entry, often on the next cache line. */
#define BEYOND 48

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

static void group_any(const struct fh_map *map, const struct fh_key *keys,
		      size_t n, struct fh_map_entry **found)
{
	struct probe probe[GROUP];
	size_t i;

	batch_words(map, keys, probe, n);
	batch_contents(map, probe, n);
	batch_entries(probe, n);
	for (i = 0; i < n; i++)
		found[i] = search(probe[i].content, probe_tag(&probe[i]),
				  &probe[i].wanted);
}

#if FH_MAP_TAGS
/*
 * Numbers again take a short way: what is left of a word is the slot of the
 * entry that its tag points at, with BLOCK if there may be others; UNINIT is
 * what the usual way has to decide.
 */
static inline word slot_to_try(word w, word tag)
{
	if (!(w & BLOCK))
		return w;
	return is_plain_block(w) ? likely_slot(w, tag) | BLOCK : UNINIT;
}

static void group_u64(const struct fh_map *map, const struct fh_key *keys,
		      size_t n, struct fh_map_entry **found)
{
	/* pairs with: map.root */
	struct table *table = load_acquire(&map->root);
	uint64_t hash[GROUP];
	word w[GROUP];
	size_t i;

	for (i = 0; i < n; i++) {
		hash[i] = fh_hash_u64_inline(&map->hash, keys[i].word[0]);
		__builtin_prefetch(word_at(table, hash[i]));
	}
	for (i = 0; i < n; i++) {
		/* pairs with: map.word */
		w[i] = load_acquire(word_at(table, hash[i]));
		__builtin_prefetch(entry_of(w[i]));
	}
	for (i = 0; i < n; i++) {
		w[i] = slot_to_try(w[i], tag_of(hash[i], table->tag_shift));
		__builtin_prefetch(entry_of(w[i]));
		__builtin_prefetch((char *)entry_of(w[i]) + BEYOND);
	}
	for (i = 0; i < n; i++) {
		word tag = tag_of(hash[i], table->tag_shift);

		if (slot_has(w[i], tag, keys[i].word[0]))
			found[i] = entry_of(w[i]);
		else if (w[i] != UNINIT && !(w[i] & BLOCK))
			found[i] = NULL;
		else
			found[i] = find_u64(map, keys[i], hash[i]);
	}
}
#else
#define group_u64 group_any
#endif

void fh_map_lookup_batch(const struct fh_map *map, const struct fh_key *keys,
			 size_t count, struct fh_map_entry **found)
{
	size_t n;

	for (; count; count -= n, keys += n, found += n) {
		n = count < GROUP ? count : GROUP;
		if (map->hasher == HASH_U64)
			group_u64(map, keys, n, found);
		else
			group_any(map, keys, n, found);
	}
}
