/* SPDX-License-Identifier: MIT */
/*
 * map_migrate: from one table to the next, bucket by bucket.
 *
 *     growing                             shrinking
 *
 *     old  | b        |                   old  | 2c     | 2c + 1 |
 *            freeze: F, or a plan                1 close  (C): no inserts
 *            /          \                        2 freeze, with a plan
 *     new  | 2b | 2b + 1 |                       |        3 freeze (F)
 *            install each, from UNINIT           v
 *                                         new  | c      |  4 install
 *
 * A bucket has moved when its new words are installed.  Freezing makes the
 * old content final; from then on every thread computes the same new words,
 * so that helpers are idempotent and a late one changes nothing.
 *
 * Memory comes first.  What the new words need is allocated before the
 * freeze and published by the very compare-exchange that freezes, as a plan.
 * It follows that whoever meets a frozen bucket can finish it without memory,
 * and whoever has no memory leaves the bucket unfrozen, where a removal may
 * act on it: no new word of an unfrozen bucket is installed, so every reader
 * still comes to the old one.  This is what lets a removal never fail.
 *
 * Shrinking joins two words, and no instruction freezes both.  Closing the
 * odd half first means that from then on it only loses entries, so a plan
 * that has room for both halves as they are now will have room for ever; the
 * even half is frozen with that plan, then the odd one.  The union is written
 * into the plan's reserve by every helper alike, word by word the same, and
 * before its install.
 *
 * Laws
 *
 *  1. Only a UNINIT word is installed, by compare-exchange, and it never
 *     becomes UNINIT again.
 *  2. Licence: a thread touches what an old bucket refers to only after it
 *     has seen, in its present read section, that a new word of it is UNINIT.
 *     Otherwise entries that were in the old content may be long gone.
 *  3. Siblings: a growing bucket's two words are both installed before
 *     anything that came out of one of them is handed to who will retire it
 *     (map.c sees to it).  Otherwise a reader that comes later, and finds the
 *     other one UNINIT, would search the old content and touch it.
 *  4. `done` counts installs, acquire and release; the one who counts the
 *     last sees all of them and retires the old table.  A next migration
 *     starts only when an acquire load of done shows completion, so that a
 *     predecessor is never itself being filled.
 *
 * Progress: lock-free.  A freeze fails only because the old word changed,
 * which was somebody's success.
 */
#include "map_migrate.h"

#include <errno.h>
#include <stdlib.h>

#define HELP_GROWING 8u
#define HELP_SHRINKING 16u

/* Grow above 3/4 of an entry per bucket, shrink below 1/8. */
#define GROW_ABOVE(buckets) ((buckets) / 4 * 3)
#define SHRINK_BELOW(buckets) ((buckets) / 8)

static bool grows(const struct table *table)
{
	return table->log2 > table->prev->log2;
}

/* ---- contents of the new table ---- */

/* Into which half of a growing bucket does this entry go? */
static unsigned side_of(const struct table *old, word slot)
{
	unsigned bit = 63 - old->log2;

#if FH_MAP_TAGS
	if (bit >= old->tag_shift && bit < old->tag_shift + 16)
		return slot >> (UPPER_SHIFT + bit - old->tag_shift) & 1;
#endif
	return entry_of(slot)->hash >> bit & 1;
}

static word retag(const struct table *new, word slot)
{
	if (FH_MAP_TAGS && new->tag_shift != new->prev->tag_shift)
		return entry_word(entry_of(slot), new->tag_shift);
	return slot;
}

static void count_sides(const struct table *old, word content,
			unsigned count[2])
{
	struct live live = live_begin(content);

	count[0] = count[1] = 0;
	while (live_next(&live))
		count[side_of(old, live.slot)]++;
}

/* The two new words of a content of which no side needs a block. */
static void split_simple(const struct table *new, word content, word child[2])
{
	struct live live = live_begin(content);

	child[0] = child[1] = EMPTY;
	while (live_next(&live))
		child[side_of(new->prev, live.slot)] = retag(new, live.slot);
}

/* The same into blocks, where a child is one already. */
static void split_into(const struct table *new, word content, word child[2])
{
	struct live live = live_begin(content);
	unsigned filled[2] = { 0, 0 };

	while (live_next(&live)) {
		unsigned side = side_of(new->prev, live.slot);
		word slot = retag(new, live.slot);

		if (child[side] & BLOCK)
			store_relaxed(slots_of(child[side]) + filled[side]++,
				      slot);
		else
			child[side] = slot;
	}
}

/* ---- plans ---- */

static void free_block(word w)
{
	if (w & BLOCK)
		free(block_of(w));
}

/* A plan that nobody has seen. */
static void discard(word frozen)
{
	struct plan *plan;

	if (!is_plan(frozen))
		return;
	plan = plan_of(frozen);
	if (is_join(frozen)) {
		free(plan->reserve);
	} else {
		free_block(plan->child[0]);
		free_block(plan->child[1]);
	}
	free(plan);
}

static word plan_word(const struct plan *plan)
{
	return (word)(uintptr_t)plan | BLOCK | PLAN | FROZEN;
}

static struct plan *plan_new(word source)
{
	struct plan *plan = malloc(sizeof(*plan));

	if (plan && ((word)(uintptr_t)plan & ~BLOCK_MASK)) {
		free(plan);
		return NULL;
	}
	if (plan)
		*plan = (struct plan){ .source = source };
	return plan;
}

/* What a side with so many entries begins as; UNINIT: no memory. */
static word child_for(unsigned count)
{
	return count > 1 ? fh_block_new(count) : EMPTY;
}

/* The frozen form of a growing bucket's word; 0: no memory. */
static word plan_split(const struct table *new, word w)
{
	struct plan *plan;
	unsigned count[2];

	if (!(w & BLOCK))
		return w | FROZEN;
	count_sides(new->prev, w, count);
	if (count[0] < 2 && count[1] < 2)
		return w | FROZEN;
	plan = plan_new(w);
	if (!plan)
		return 0;
	plan->child[0] = child_for(count[0]);
	plan->child[1] = child_for(count[1]);
	if (plan->child[0] == UNINIT || plan->child[1] == UNINIT) {
		discard(plan_word(plan));
		return 0;
	}
	split_into(new, w, plan->child);
	return plan_word(plan);
}

/* The frozen form of the even half, with room for both; 0: no memory. */
static word plan_join(word even, word odd)
{
	unsigned total = live_count(even) + live_count(odd);
	struct plan *plan;

	if (total < 2)
		return even | FROZEN;
	plan = plan_new(even);
	if (!plan)
		return 0;
	plan->reserve = fh_block_room(total);
	if (!plan->reserve) {
		free(plan);
		return 0;
	}
	return plan_word(plan) | JOIN;
}

/* ---- installing ---- */

static size_t install(atomic_u64 *at, word child)
{
	word expected = UNINIT;

	/* pairs with: map.word */
	return cas_release_relaxed(at, &expected, child) ? 1 : 0;
}

/* The one who counts the last install retires the old table. */
static void count_installed(struct fh_map *map, struct table *table, size_t n)
{
	size_t goal = (size_t)1 << table->goal_log2;

	/* pairs with: map.complete */
	if (n == 0 || add_acq_rel(&table->done, n) + n != goal)
		return;
	add_relaxed(grows(table) ? &map->grown : &map->shrunk, 1u);
	fh_rcu_retire_later(&table->prev->rcu, fh_table_free);
}

/* ---- growing ---- */

/* Freeze the old word; *frozen is its final value. */
static int freeze_split(const struct table *new, atomic_u64 *old, word *frozen)
{
	/* pairs with: map.word */
	word w = load_acquire(old), f;

	while (!(w & FROZEN)) {
		f = plan_split(new, w);
		if (!f)
			return -ENOMEM;
		/* pairs with: map.word */
		if (cas_acq_rel_acquire(old, &w, f))
			w = f;
		else
			discard(f);
	}
	*frozen = w;
	return 0;
}

static int migrate_growing(struct fh_map *map, struct table *table, size_t b)
{
	atomic_u64 *low = &table->word[2 * b], *high = low + 1;
	word frozen, child[2];
	size_t installed;
	int rc;

	if (load_relaxed(low) != UNINIT && load_relaxed(high) != UNINIT)
		return 0; /* law 2 */
	rc = freeze_split(table, &table->prev->word[b], &frozen);
	if (rc < 0)
		return rc;
	if (is_plan(frozen)) {
		child[0] = plan_of(frozen)->child[0];
		child[1] = plan_of(frozen)->child[1];
	} else {
		split_simple(table, frozen, child);
	}
	installed = install(low, child[0]);
	fh_point("map.half_installed");
	installed += install(high, child[1]);
	count_installed(map, table, installed);
	return 0;
}

/* ---- shrinking ---- */

static int freeze_join(atomic_u64 *even, atomic_u64 *odd, word frozen[2])
{
	/* pairs with: map.word */
	word e = load_acquire(even), f;

	/* pairs with: map.word */
	if (!(load_acquire(odd) & (CLOSED | FROZEN)))
		or_acq_rel(odd, CLOSED);
	fh_point("map.closed");
	while (!(e & FROZEN)) {
		/* pairs with: map.word */
		f = plan_join(e, load_acquire(odd));
		if (!f)
			return -ENOMEM;
		/* pairs with: map.word */
		if (cas_acq_rel_acquire(even, &e, f))
			e = f;
		else
			discard(f);
	}
	fh_point("map.even_frozen");
	frozen[0] = e;
	/* pairs with: map.word */
	frozen[1] = or_acq_rel(odd, FROZEN) | FROZEN;
	return 0;
}

/* Write the live entries of a half to the union; returns how many. */
static unsigned append(const struct table *new, word half, word to, unsigned n)
{
	struct live live = live_begin(half);

	for (; live_next(&live); n++)
		store_relaxed(slots_of(to) + n, retag(new, live.slot));
	return n;
}

/* The only entry of two halves, or EMPTY. */
static word single(const struct table *new, const word frozen[2])
{
	struct live live = live_begin(frozen[0]);

	if (live_next(&live))
		return retag(new, live.slot);
	live = live_begin(frozen[1]);
	return live_next(&live) ? retag(new, live.slot) : EMPTY;
}

/* The one new word of two halves that are final. */
static word join(const struct table *new, const word frozen[2])
{
	struct plan *plan = is_plan(frozen[0]) ? plan_of(frozen[0]) : NULL;
	unsigned n = live_count(frozen[0]) + live_count(frozen[1]);
	word to;

	if (n < 2) {
		if (plan)
			store_relaxed(&plan->spare, true);
		return single(new, frozen);
	}
	to = fh_block_word(plan->reserve, n);
	n = append(new, frozen[0], to, 0);
	append(new, frozen[1], to, n);
	return to;
}

static int migrate_shrinking(struct fh_map *map, struct table *table, size_t c)
{
	atomic_u64 *even = &table->prev->word[2 * c];
	word frozen[2], child;
	int rc;

	if (load_relaxed(&table->word[c]) != UNINIT)
		return 0; /* law 2 */
	rc = freeze_join(even, even + 1, frozen);
	if (rc < 0)
		return rc;
	child = join(table, frozen);
	if (live_count(child) > CROWDED)
		store_relaxed(&map->crowded, true);
	count_installed(map, table, install(&table->word[c], child));
	return 0;
}

int fh_migrate(struct fh_map *map, struct table *table, size_t bucket)
{
	if (grows(table))
		return migrate_growing(map, table, bucket >> 1);
	return migrate_shrinking(map, table, bucket);
}

/* ---- who does it, and when ---- */

/*
 * Helpers take units in turn from a shared cursor, and go round again while
 * the migration is not complete: a unit that failed for lack of memory, or
 * whose taker was stopped, comes up once more.
 */
int fh_migrate_help(struct fh_map *map, struct table *table)
{
	unsigned growing = grows(table);
	unsigned share = growing ? HELP_GROWING : HELP_SHRINKING;
	size_t units = table_buckets(table) >> growing;
	size_t first = add_relaxed(&table->cursor, share), i;
	int rc, failed = 0;

	for (i = first; i < first + share; i++) {
		size_t unit = i & (units - 1);

		rc = growing ? migrate_growing(map, table, unit) :
			       migrate_shrinking(map, table, unit);
		if (rc < 0)
			failed = rc;
	}
	return failed;
}

/* Publish an empty successor; whoever comes second throws theirs away. */
static int start(struct fh_map *map, struct table *table, unsigned log2)
{
	struct table *next = fh_table_after(table, log2);

	if (!next) {
		add_relaxed(&map->deferred, 1u);
		return -ENOMEM;
	}
	/* pairs with: map.root */
	if (!cas_release_relaxed(&map->root, &table, next))
		fh_table_discard(next);
	return 0;
}

int fh_resize_if_due(struct fh_map *map, struct table *table)
{
	size_t buckets = table_buckets(table);
	int64_t count;

	if (map->fixed || !table_complete(table))
		return 0;
	count = fh_counter_read(&map->count);
	if (count > (int64_t)GROW_ABOVE(buckets) &&
	    table->log2 < TABLE_LOG2_MAX)
		return start(map, table, table->log2 + 1);
	if (count < (int64_t)SHRINK_BELOW(buckets) &&
	    table->log2 > map->min_log2 && !load_relaxed(&map->crowded))
		return start(map, table, table->log2 - 1);
	return 0;
}
