/* SPDX-License-Identifier: MIT */
/*
 * map_log: removal from a block of more than 11 entries.
 *
 * The word of such a block counts its removals, and has no room to say which
 * entries they were.  So removal number v first enters its entry in the
 * block, log[v] = position + 1, by a compare-exchange that one remover wins;
 * the entry is marked with died = v + 1; then the word goes from v to v + 1,
 * and from there on readers take the entry for dead.
 *
 *     log    [ 5 | 12 | . | . ]      word: block, 1   entry 4 is dead
 *     died   [ . . . . 1 . . . . . . 2 ... ]          entry 11 is logged only
 *
 * Laws
 *
 *  1. log[v] is written once, and only while the word counts v.  Whoever
 *     finds it taken finishes that removal before starting one of its own.
 *  2. A mark above the word's count means nothing: the word may still leave
 *     the block without it, and then the entry went along alive.
 *  3. So the remover must learn what became of its entry if the block is in
 *     the word no more.  Whoever takes a block out of a word first raises the
 *     block's `committed` to the count in the word: that is final, because
 *     the compare-exchange that follows succeeds only on that count.
 *
 * Progress: lock-free.  A remover repeats because the word changed; it waits
 * for nobody, since it can finish another's removal by itself.
 */
#include "map_log.h"

void fh_log_commit(word seen)
{
	struct long_block *block = long_of(seen);
	uint32_t count = removals(seen), stands;

	if (!is_long(seen))
		return;
	stands = load_relaxed(&block->committed);
	/* pairs with: map.committed */
	while (stands < count &&
	       !cas_acq_rel_relaxed(&block->committed, &stands, count))
		;
}

/*
 * Removal number @v of @block is in the log and it is ours.  Does it count?
 * 1: yes.  0: no, and never will.  -1: the word has not moved on, try again.
 */
static int counts(word now, struct long_block *block, uint32_t v)
{
	word content = content_of(now);

	if (!is_long(content) || long_of(content) != block)
		/* pairs with: map.committed (raised before the word moved) */
		return load_acquire(&block->committed) > v;
	if (removals(content) > v)
		return 1;
	return now & FROZEN ? 0 : -1;
}

bool fh_log_remove(atomic_u64 *at, word seen, unsigned i)
{
	struct long_block *block = long_of(seen);
	unsigned n = load_relaxed(&block->n);
	uint32_t v = removals(seen);
	uint16_t mine = (uint16_t)(i + 1), logged = 0;
	int verdict = -1;
	bool ours;

	ours = cas_acq_rel_acquire(log_of(block, n) + v, &logged, mine);
	fh_point("map.logged");
	if (ours)
		logged = mine;
	store_relaxed(died_of(block, n) + logged - 1, (uint16_t)(v + 1));
	while (verdict < 0) {
		/* pairs with: map.word */
		if (cas_acq_rel_acquire(at, &seen, seen + UPPER_ONE))
			return ours;
		verdict = ours ? counts(seen, block, v) : 0;
	}
	return verdict == 1;
}
