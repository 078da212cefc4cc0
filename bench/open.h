/* SPDX-License-Identifier: MIT */
/*
 * open: a table for one thread, the limit that this library's is measured
 * against: open addressing with linear probing.
 *
 *      63           48 47                                           0
 *     +---------------+----------------------------------------------+
 *     | tag           | object; the whole word 0: nobody             |
 *     +---------------+----------------------------------------------+
 *
 * An object's home is made of the upper bits of its hash, its tag of the
 * lower ones, so that another object is hardly ever touched.  Above three
 * quarters the array is doubled at once.  Removal shifts back what was pushed
 * past the gap, so that there are no tombstones to step over.
 */
#ifndef FH_BENCH_OPEN_H
#define FH_BENCH_OPEN_H

#define PEER_NODE uint64_t hash; table_key key; uint64_t unused_node;
#define PEER_RETIRED uint64_t unused_head[2];

#include "peer.h"

#define OPEN_LOG2_MIN 3u
#define OPEN_TAG_SHIFT 48
#define OPEN_AHEAD 16		/* how far growing looks ahead */

struct open {
	uint64_t *words;
	size_t mask;
	unsigned shift;
	size_t count, most;
};

static void open_init(struct open *open, unsigned log2)
{
	size_t length = (size_t)1 << log2;

	open->words = (uint64_t *)calloc(length, sizeof(*open->words));
	if (!open->words)
		bench_die("no memory for the table");
	open->mask = length - 1;
	open->shift = 64 - log2;
	open->count = 0;
	open->most = length / 4 * 3;
}

static inline struct object *open_object(uint64_t word)
{
	return (struct object *)(uintptr_t)
		(word & ((UINT64_C(1) << OPEN_TAG_SHIFT) - 1));
}

static inline uint64_t open_word(const struct object *object)
{
	return (uintptr_t)object | object->hash << OPEN_TAG_SHIFT;
}

/* Where the key is, or the empty word where its search ends. */
static inline size_t open_find(const struct open *open, uint64_t hash,
			       table_key key)
{
	uint64_t tag = hash << OPEN_TAG_SHIFT;
	size_t at = hash >> open->shift;

	for (;; at = (at + 1) & open->mask) {
		uint64_t word = open->words[at];

		if (!word)
			return at;
		if ((word ^ tag) >> OPEN_TAG_SHIFT == 0 &&
		    open_object(word)->key == key)
			return at;
	}
}

static inline struct object *open_lookup(const struct open *open,
					 table_key key)
{
	return open_object(open->words[open_find(open, peer_hash(key), key)]);
}

static inline void open_place(struct open *open, uint64_t word)
{
	size_t at = open_object(word)->hash >> open->shift;

	while (open->words[at])
		at = (at + 1) & open->mask;
	open->words[at] = word;
}

static void open_grow(struct open *open)
{
	struct open old = *open;
	size_t i;

	open_init(open, 64 - old.shift + 1);
	open->count = old.count;
	for (i = 0; i <= old.mask; i++) {
		__builtin_prefetch(open_object(
			old.words[(i + OPEN_AHEAD) & old.mask]));
		if (old.words[i])
			open_place(open, old.words[i]);
	}
	free(old.words);
}

static inline bool open_insert(struct open *open, struct object *object)
{
	size_t at;

	object->hash = peer_hash(object->key);
	at = open_find(open, object->hash, object->key);
	if (open->words[at])
		return false;
	if (open->count == open->most) {
		open_grow(open);
		at = open_find(open, object->hash, object->key);
	}
	open->words[at] = open_word(object);
	open->count++;
	return true;
}

/* A word may fill the gap if its home does not lie behind the gap. */
static void open_close_gap(struct open *open, size_t gap)
{
	size_t at = gap, home;
	uint64_t word;

	for (;;) {
		at = (at + 1) & open->mask;
		word = open->words[at];
		if (!word)
			break;
		home = open_object(word)->hash >> open->shift;
		if (((at - home) & open->mask) < ((at - gap) & open->mask))
			continue;
		open->words[gap] = word;
		gap = at;
	}
	open->words[gap] = 0;
}

/* The object is the caller's; NULL: the key is not there. */
static inline struct object *open_remove(struct open *open, table_key key)
{
	size_t at = open_find(open, peer_hash(key), key);
	struct object *object = open_object(open->words[at]);

	if (object) {
		open_close_gap(open, at);
		open->count--;
	}
	return object;
}

static void open_destroy(struct open *open)
{
	size_t i;

	for (i = 0; i <= open->mask; i++)
		free(open_object(open->words[i]));
	free(open->words);
}

#endif
