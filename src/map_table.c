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
 *
 * A large table is a map of its own, past malloc, so that no insertion pays
 * for its size.  malloc keeps large pieces in its heap once one was freed; a
 * next one it would clear in the insertion that begins to grow (13 ms for
 * 2 M words), and freeing one makes it join all small pieces that are free,
 * with its lock held (80 ms).  Before a map is given back its pages are: that
 * takes long, and lets other threads have theirs meanwhile.
 */
#include "map_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

#define MAPPED_LOG2 15u		/* a map of 256 KiB, and larger */
#define MAPPED_OFFSET 16u	/* as malloc has it: see struct table */

static size_t table_size(unsigned log2)
{
	return sizeof(struct table) + (sizeof(word) << log2);
}

static struct table *table_map(unsigned log2)
{
	char *map = mmap(NULL, MAPPED_OFFSET + table_size(log2),
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	return map == MAP_FAILED ? NULL :
		(struct table *)(void *)(map + MAPPED_OFFSET);
}

static void table_unmap(struct table *table)
{
	size_t size = MAPPED_OFFSET + table_size(table->log2);
	char *map = (char *)table - MAPPED_OFFSET;

	madvise(map, size, MADV_DONTNEED);
	munmap(map, size);
}

void fh_table_discard(struct table *table)
{
	if (table->log2 < MAPPED_LOG2)
		free(table);
	else
		table_unmap(table);
}

static struct table *table_alloc(unsigned log2)
{
	struct table *table;

	if (log2 > TABLE_LOG2_MAX)
		return NULL;
	table = log2 < MAPPED_LOG2 ? calloc(1, table_size(log2)) :
				     table_map(log2);
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
	fh_table_discard(table);
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
