/* SPDX-License-Identifier: MIT */
/*
 * map_table: allocation of tables and blocks, and what frees them.
 *
 * Ownership.  A block belongs to the one word that names it.  Whoever
 * replaces an unfrozen word retires the block that it named.  A block, or a
 * plan, named by a frozen word belongs to the frozen word's table and goes
 * with it; the blocks that a plan has prepared belong to the successor.
 *
 * The tag lies where growing can read the bit by which it divides a bucket
 * from the tag, without touching the entry: the slice starts right below the
 * bits that choose the bucket and stays for eight doublings, while it still
 * tells at least 255 of 256 strangers apart; then it moves.
 */
#include "map_table.h"

#include <stdlib.h>
#include <string.h>

#define TAG_BITS 16u
#define TAG_BITS_LEAST 8u

_Static_assert(sizeof(struct table) == 112, "words begin a cache line");

static unsigned fresh_tag_shift(unsigned log2)
{
	return 64 - log2 - TAG_BITS;
}

/* How many bits of the slice still tell entries of one bucket apart. */
static bool tag_worn(const struct table *table, unsigned log2)
{
	return 64 - log2 < table->tag_shift + TAG_BITS_LEAST;
}

static struct table *table_alloc(unsigned log2)
{
	struct table *table;

	if (log2 > TABLE_LOG2_MAX)
		return NULL;
	table = calloc(1, sizeof(*table) + (sizeof(word) << log2));
	if (!table)
		return NULL;
	table->log2 = log2;
	table->shift = 64 - log2;
	table->goal_log2 = log2;
	table->tag_shift = fresh_tag_shift(log2);
	return table;
}

struct table *fh_table_new(unsigned log2)
{
	struct table *table = table_alloc(log2);
	size_t i;

	if (!table)
		return NULL;
	for (i = 0; i < table_buckets(table); i++)
		store_relaxed(&table->word[i], EMPTY);
	store_relaxed(&table->done, table_buckets(table));
	return table;
}

struct table *fh_table_after(struct table *prev, unsigned log2)
{
	struct table *table = table_alloc(log2);

	if (!table)
		return NULL;
	if (!tag_worn(prev, log2))
		table->tag_shift = prev->tag_shift;
	table->prev = prev;
	return table;
}

static void plan_free(word w)
{
	struct plan *plan = plan_of(w);

	if (plan->source & BLOCK)
		free(block_of(plan->source));
	if (is_join(w) && load_relaxed(&plan->spare))
		free(plan->reserve);
	free(plan);
}

void fh_table_free(struct fh_rcu_head *head)
{
	struct table *table = (struct table *)head;
	size_t i;

	for (i = 0; i < table_buckets(table); i++) {
		word w = load_relaxed(&table->word[i]);

		if (is_plan(w))
			plan_free(w);
		else if (w & BLOCK)
			free(block_of(w));
	}
	free(table);
}

size_t fh_block_size(unsigned n)
{
	if (n <= SHORT_ENTRIES)
		return sizeof(struct block) + n * sizeof(word);
	return sizeof(struct long_block) +
	       n * (sizeof(word) + 2 * sizeof(uint16_t));
}

/*
 * From malloc: calloc passes by the lists that the C library keeps for each
 * thread.  The log of a long block begins empty, wherever n will put it.
 */
struct block *fh_block_room(unsigned n)
{
	size_t size = fh_block_size(n);
	struct block *block = malloc(size);

	if (block && ((word)(uintptr_t)block & ~BLOCK_MASK)) {
		free(block); /* an address that a word cannot hold */
		return NULL;
	}
	if (block && n > SHORT_ENTRIES)
		memset(block, 0, size);
	return block;
}

word fh_block_word(struct block *block, unsigned n)
{
	word w = block_word(block, n);

	if (w & LONG)
		store_relaxed(&long_of(w)->n, n);
	return w;
}

word fh_block_new(unsigned n)
{
	struct block *block = fh_block_room(n);

	return block ? fh_block_word(block, n) : UNINIT;
}
