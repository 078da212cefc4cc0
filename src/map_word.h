/* SPDX-License-Identifier: MIT */
/*
 * map_word: what a word of the table can be, and how to look inside.
 *
 *      63           48 47                                  3  2  1  0
 *     +---------------+--------------------------------------+--+--+--+
 *     | tag           | entry                                |C |F |0 |
 *     |0| n   | dead  | block, 16-aligned                  |0|C |F |B |
 *     |1| removals    | long block, 16-aligned             |0|C |F |B |
 *     | 0           |J| plan, 16-aligned                   |P|0 |F |B |
 *     +---------------+--------------------------------------+--+--+--+
 *
 *     UNINIT = 0    only in a table being filled: ask the predecessor
 *     EMPTY  = 8    no entry (nothing lives at address 8)
 *     B BLOCK       two or more entries, in an immutable block
 *     F FROZEN      the content is final: it moves to the successor
 *     C CLOSED      the odd half of a pair that shrinking will join: may
 *                   lose entries, never gains any
 *     P PLAN        frozen, and the memory for what comes next is prepared
 *     J JOIN        the plan is that of a union
 *
 *     n, dead       how many entries the block lists, 2 to 11, and which of
 *                   them were removed.  In the word, so that a reader knows
 *                   what it will find before the block has come from memory;
 *                   and so that a block of two takes 24 bytes.
 *     removals      from a longer block: how many, see below
 *     tag           a slice of the entry's hash, which lies where the table
 *                   says; so that other entries are hardly ever touched
 *
 * The value of a word determines the content of its bucket.  A block never
 * changes what it lists; removing an entry from it changes the word alone,
 * and so takes no memory.  In a block of more than 11 entries, removal number
 * v is entered in the block's log, log[v] = position + 1, by compare-exchange
 * and once only, the entry is marked died = v + 1, and then the word counts
 * one more: an entry is dead for a word that counts at least its mark.
 */
#ifndef FH_MAP_WORD_H
#define FH_MAP_WORD_H

#include <freehold/map.h>

#include "rcu_internal.h"

#include <stddef.h>

#ifndef FH_MAP_TAGS
#define FH_MAP_TAGS 1
#endif

typedef uint64_t word;

#define UNINIT ((word)0)
#define EMPTY ((word)8)
#define BLOCK ((word)1)
#define FROZEN ((word)2)
#define CLOSED ((word)4)
#define PLAN ((word)8)
#define FLAGS (BLOCK | FROZEN | CLOSED)

#define UPPER_SHIFT 48
#define UPPER_ONE ((word)1 << UPPER_SHIFT)
#define LOWER_MASK (UPPER_ONE - 1)

#if FH_MAP_TAGS
#define ENTRY_MASK (LOWER_MASK & ~(word)7)
#else
#define ENTRY_MASK (~(word)7)
#endif
#define BLOCK_MASK (LOWER_MASK & ~(word)15)

/* What stands above the address of a block, or of a plan. */
#define LONG ((word)1 << 63)
#define LENGTH_SHIFT 59
#define SHORT_ENTRIES 11u	/* up to so many, dead is one bit each */
#define DEAD_MASK (((word)1 << LENGTH_SHIFT) - UPPER_ONE)
#define BLOCK_ENTRIES 32767u	/* removals are counted in 15 bits */
#define JOIN UPPER_ONE

struct block {
	struct fh_rcu_link rcu;
	atomic_u64 slot[];
};

struct long_block {
	struct fh_rcu_link rcu;
	_Atomic(uint32_t) n;
	_Atomic(uint32_t) committed; /* removals known to stand */
	atomic_u64 slot[];
	/* _Atomic(uint16_t) log[n], died[n] */
};

_Static_assert(offsetof(struct long_block, slot) ==
	       offsetof(struct block, slot) + sizeof(word),
	       "slots_of reckons with it");

/*
 * What a frozen word needs to go on without taking memory.
 * Growing: source splits into child[0] and child[1], both complete.
 * Shrinking (JOIN): source is the even half; the union goes to reserve, which
 * then belongs to the successor, or is spare if less than two entries came.
 */
struct plan {
	word source;
	union {
		word child[2];
		struct {
			struct block *reserve;
			_Atomic(bool) spare;
		};
	};
};

static inline struct fh_map_entry *entry_of(word w)
{
	return (struct fh_map_entry *)(uintptr_t)(w & ENTRY_MASK);
}

static inline bool is_empty(word w)
{
	return (w & (ENTRY_MASK | BLOCK)) == EMPTY;
}

static inline struct block *block_of(word w)
{
	return (struct block *)(uintptr_t)(w & BLOCK_MASK);
}

static inline struct plan *plan_of(word w)
{
	return (struct plan *)(uintptr_t)(w & BLOCK_MASK);
}

static inline bool is_plan(word w)
{
	return (w & (BLOCK | PLAN)) == (BLOCK | PLAN);
}

static inline bool is_join(word w)
{
	return (w & JOIN) != 0;
}

static inline bool is_long(word w)
{
	return (w & BLOCK) && (w & LONG);
}

static inline struct long_block *long_of(word w)
{
	return (struct long_block *)(void *)block_of(w);
}

/* The word of a block that lists @n entries, which are alive. */
static inline word block_word(const struct block *block, unsigned n)
{
	return (word)(uintptr_t)block | BLOCK |
	       (n > SHORT_ENTRIES ? LONG : (word)n << LENGTH_SHIFT);
}

/* How many entries the block lists, dead or alive. */
static inline unsigned block_length(word w)
{
	return likely(!(w & LONG)) ? (unsigned)(w >> LENGTH_SHIFT) :
				     load_relaxed(&long_of(w)->n);
}

static inline atomic_u64 *slots_of(word w)
{
	return &block_of(w)->slot[w / LONG];
}

/* How many removals the word of a long block counts. */
static inline unsigned removals(word w)
{
	return (unsigned)((w & ~LONG) >> UPPER_SHIFT);
}

/* A word without its prepared future: what a reader searches. */
static inline word content_of(word w)
{
	return unlikely(is_plan(w)) ? plan_of(w)->source : w;
}

/* The slice of a hash that a table keeps in the upper bits of its entries. */
static inline word tag_of(uint64_t hash, unsigned tag_shift)
{
#if FH_MAP_TAGS
	return hash >> tag_shift << UPPER_SHIFT;
#else
	(void)hash;
	(void)tag_shift;
	return 0;
#endif
}

static inline word entry_word(const struct fh_map_entry *entry,
			      unsigned tag_shift)
{
	return (word)(uintptr_t)entry | tag_of(entry->hash, tag_shift);
}

static inline bool same_tag(word slot, word tag)
{
#if FH_MAP_TAGS
	return (slot ^ tag) >> UPPER_SHIFT == 0;
#else
	(void)slot;
	(void)tag;
	return true;
#endif
}

static inline _Atomic(uint16_t) *log_of(struct long_block *block, unsigned n)
{
	return (_Atomic(uint16_t) *)(void *)&block->slot[n];
}

static inline _Atomic(uint16_t) *died_of(struct long_block *block, unsigned n)
{
	return log_of(block, n) + n;
}

/* Is entry i of a block of n dead, as far as the word says? */
static inline bool is_dead(word w, unsigned n, unsigned i)
{
	unsigned died;

	if (likely(!(w & LONG)))
		return w >> (UPPER_SHIFT + i) & 1;
	died = load_relaxed(died_of(long_of(w), n) + i);
	return died && died <= removals(w);
}

/*
 * The live entries of a content, one after the other:
 *
 *     struct live live = live_begin(w);
 *     while (live_next(&live)) ... live.slot, live.at ...
 */
struct live {
	word content;
	word slot;	/* entry and tag, no flags */
	unsigned at;	/* its position */
	unsigned n, next;
};

static inline struct live live_begin(word w)
{
	struct live live = { .content = content_of(w) };

	if (live.content & BLOCK)
		live.n = block_length(live.content);
	else
		live.n = is_empty(live.content) ? 0 : 1;
	return live;
}

static inline bool live_next(struct live *live)
{
	if (!(live->content & BLOCK)) {
		live->slot = live->content & ~FLAGS;
		return live->next++ < live->n;
	}
	while (live->next < live->n) {
		live->at = live->next++;
		if (is_dead(live->content, live->n, live->at))
			continue;
		live->slot = load_relaxed(slots_of(live->content) + live->at);
		return true;
	}
	return false;
}

static inline unsigned live_count(word w)
{
	word content = content_of(w);

	if (!(content & BLOCK))
		return is_empty(content) ? 0 : 1;
	return block_length(content) -
	       (content & LONG ? removals(content) :
		(unsigned)__builtin_popcountll(content & DEAD_MASK));
}

#endif
