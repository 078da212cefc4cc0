/* SPDX-License-Identifier: MIT */
/*
 * table: the hash table under the map and the arcs of the mutex build.
 * Internal; the caller holds a lock.
 *
 * Open addressing with linear probing, the 64-bit hash beside the item.  An
 * item's home is the slot that the top bits of its hash name, and the items
 * stand in the order of their hashes (equal ones by address):
 *
 *     home      0    1    2    3   ...  2^bits - 1 | margin
 *             [0a] [0f] [1c] [--]       [..]         [..] [--]
 *
 * So a search ends at the first larger hash and looks at one cache line in
 * the common case, growing is one pass from the left, and a walk in the order
 * of hashes is a scan.  Nothing wraps around: what is displaced from the last
 * homes stands in a margin behind them, which grows when it is full, and the
 * last slot is always empty so that no search needs a bound.
 */
#ifndef FH_MUTEX_TABLE_H
#define FH_MUTEX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fh_slot {
	uint64_t hash;
	void *item;		/* NULL: the slot is empty */
};

struct fh_table {
	struct fh_slot *slots;
	unsigned bits;		/* 2^bits homes */
	unsigned least_bits;	/* it never shrinks below */
	bool fixed;
	size_t length;		/* slots, the margin included */
	size_t count;
	uint64_t grown;
	uint64_t shrunk;
	uint64_t deferred;	/* growths that found no memory */
};

/* An empty table with room for so many; 0, -ENOMEM, -EOVERFLOW. */
int fh_table_init(struct fh_table *table, size_t expected, bool fixed);

/* Free the slots; the items are the caller's. */
void fh_table_free(struct fh_table *table);

/* Insert, grow if needed; 0 or -ENOMEM, and then nothing has changed. */
int fh_table_insert(struct fh_table *table, uint64_t hash, void *item);

/* Empty this slot, and shrink if there is reason and memory. */
void fh_table_remove(struct fh_table *table, struct fh_slot *slot);

/* Put another item with the same hash in the place of this one. */
void fh_table_replace(struct fh_table *table, struct fh_slot *slot,
		      void *item);

/* Shrink as far as the count permits; 0 or -ENOMEM. */
int fh_table_settle(struct fh_table *table);

/* The slot where the search for a hash begins. */
static inline struct fh_slot *fh_table_home(const struct fh_table *table,
					    uint64_t hash)
{
	return &table->slots[hash >> (64 - table->bits)];
}

/*
 * The first slot from @slot on with exactly this hash, or NULL.  To look at
 * all that share the hash, go on from the next slot.
 */
static inline struct fh_slot *fh_slot_find(struct fh_slot *slot,
					   uint64_t hash)
{
	while (slot->item && slot->hash < hash)
		slot++;
	return slot->item && slot->hash == hash ? slot : NULL;
}

/* A place between items that survives any change of the table. */
struct fh_table_place {
	uint64_t hash;		/* what comes next is beyond this hash, */
	uintptr_t after;	/* or equal to it and at a higher address */
	bool end;
};

/*
 * Move the place on past up to @most items with hashes up to @last.  Returns
 * how many; fewer, even none, do not mean the end: place->end does.
 */
size_t fh_table_page(const struct fh_table *table,
		     struct fh_table_place *place, uint64_t last,
		     void **items, size_t most);

#endif
