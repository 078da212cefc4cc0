/* SPDX-License-Identifier: MIT */
/* map_table: tables, blocks, and the map that holds them.  Internal. */
#ifndef FH_MAP_TABLE_H
#define FH_MAP_TABLE_H

#include <freehold/counter.h>
#include <freehold/map.h>

#include "hash.h"
#include "map_word.h"
#include "rcu_internal.h"

/*
 * A block so long forbids shrinking: joining such buckets again and again
 * would pass BLOCK_ENTRIES.
 */
#define CROWDED 8192u

#define TABLE_LOG2_MIN 3u
#define TABLE_LOG2_MAX 40u

/*
 * One array of words.  Bucket of a hash = its upper log2 bits.  What readers
 * need does not share a cache line with what migration counts: malloc gives
 * large arrays at 16 bytes past a line, and the layout reckons with it.
 */
struct table {
	struct fh_rcu_head rcu;
	unsigned log2;
	unsigned shift;		/* 64 - log2 */
	unsigned tag_shift;	/* where the 16 bits of the tag begin */
	unsigned goal_log2;	/* 2^goal_log2 words to install */
	struct table *prev;	/* set once, never cleared: see UNINIT */
	char pad_[8];
	_Atomic(size_t) cursor;	/* next unit that a helper takes */
	_Atomic(size_t) done;	/* words installed; all: complete */
	char pad2_[48];
	atomic_u64 word[];
};

enum hasher { HASH_U64, HASH_PAIR, HASH_BYTES, HASH_CUSTOM };

struct fh_map {
	_Atomic(struct table *) root;
	enum hasher hasher;
	enum fh_key_kind keys;
	bool fixed;
	unsigned min_log2;
	uint64_t (*custom)(struct fh_key key);
	struct fh_hash hash;
	char pad_[128];		/* writers below, readers above */
	struct fh_counter count;
	_Atomic(uint64_t) grown, shrunk, deferred;
	_Atomic(bool) crowded;	/* there was a block beyond CROWDED */
};

static inline uint64_t hash_key(const struct fh_map *map, struct fh_key key)
{
	switch (map->hasher) {
	case HASH_U64:
		return fh_hash_u64_inline(&map->hash, key.word[0]);
	case HASH_PAIR:
		return fh_hash_pair(&map->hash, key);
	case HASH_BYTES:
		return fh_hash_bytes(&map->hash, key);
	default:
		return map->custom(key);
	}
}

static inline bool key_matches(enum fh_key_kind kind,
			       const struct fh_map_entry *entry, uint64_t hash,
			       struct fh_key key)
{
	if (kind == FH_KEYS_U64)
		return entry->key.word[0] == key.word[0];
	return entry->hash == hash && fh_key_equal(kind, entry->key, key);
}

/* What is looked for; the kind is a constant where it matters. */
struct wanted {
	enum fh_key_kind kind;
	struct fh_key key;
	uint64_t hash;
};

static inline bool slot_is(word slot, word tag, const struct wanted *wanted)
{
	return same_tag(slot, tag) &&
	       key_matches(wanted->kind, entry_of(slot), wanted->hash,
			   wanted->key);
}

static inline atomic_u64 *word_at(struct table *table, uint64_t hash)
{
	return &table->word[hash >> table->shift];
}

static inline size_t table_buckets(const struct table *table)
{
	return (size_t)1 << table->log2;
}

static inline bool table_complete(const struct table *table)
{
	/* pairs with: map.complete */
	return load_acquire(&table->done) == (size_t)1 << table->goal_log2;
}

static inline bool table_migrating(const struct table *table)
{
	return table->prev && !table_complete(table);
}

/* A table without predecessor, all EMPTY; NULL: no memory. */
struct table *fh_table_new(unsigned log2);

/* The successor of @prev, all UNINIT, not yet published; NULL: no memory. */
struct table *fh_table_after(struct table *prev, unsigned log2);

/* A table that nobody has seen, with nothing in it. */
void fh_table_discard(struct table *table);

/* Reclaim function: a table with its blocks and plans, not its entries. */
void fh_table_free(struct fh_rcu_head *head);

size_t fh_block_size(unsigned n);

/*
 * Room for a block of up to @n entries, NULL: no memory; its word, when it is
 * known that there are so many; and both at once, UNINIT: no memory.
 */
struct block *fh_block_room(unsigned n);
word fh_block_word(struct block *block, unsigned n);
word fh_block_new(unsigned n);

/* fh_map_lookup of a key whose hash is known. */
struct fh_map_entry *fh_map_find(const struct fh_map *map, struct fh_key key,
				 uint64_t hash);

/*
 * What readers search for @hash: the word of the root table, or while that is
 * UNINIT the predecessor's.  @table receives the one whose tags hold, @last
 * the highest hash that the content covers together with @hash.
 */
static inline word fh_content(const struct fh_map *map, uint64_t hash,
			      struct table **table, uint64_t *last)
{
	/* pairs with: map.root */
	struct table *t = load_acquire(&map->root);
	/* pairs with: map.word */
	word w = load_acquire(word_at(t, hash));

	*last = hash | (UINT64_MAX >> t->log2);
	if (unlikely(w == UNINIT)) {
		fh_point("map.uninit");
		t = t->prev;
		w = load_acquire(word_at(t, hash));
		if (*last > (hash | (UINT64_MAX >> t->log2)))
			*last = hash | (UINT64_MAX >> t->log2);
	}
	*table = t;
	return content_of(w);
}

#endif
