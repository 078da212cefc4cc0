/* SPDX-License-Identifier: MIT */
/*
 * map: a hash table in which one word is the whole bucket.
 *
 *     root --> table of 2^k words          bucket of a hash: its top k bits
 *              +------+------+------+--
 *              | word | word | word | ...
 *              +--|---+--|---+------+--
 *                 |      +--> block [ e1 e2 e3 ]    two entries or more
 *                 +--> entry                        exactly one
 *
 * src/map_word.h says what a word can be, src/map_migrate.c how a table
 * becomes the next one.  The design owes the idea of growing bucket by bucket
 * from a frozen predecessor to the literature on split-ordered and freezing
 * hash tables (Shalev and Shavit, "Split-ordered lists", 2006; Liu, Zhang and
 * Spear, "Dynamic-sized nonblocking hash tables", 2014); that one word is the
 * bucket's whole state, to parlayhash (Anderson, Blelloch and others).
 *
 * Why there is no ABA.  The value of a word determines what its bucket holds.
 * A thread inside a read section knows that nothing it has seen is freed, so
 * that no address in a word can mean something new.  A compare-exchange that
 * finds the word as it was therefore proves that the content is what was
 * checked: "check, then act" is one step.
 *
 * Laws
 *
 *  1. An operation acts by one compare-exchange on one word, which was
 *     loaded (acquire) inside the same read section and was neither UNINIT,
 *     FROZEN nor CLOSED.  That is its linearization point.  Release on
 *     success publishes the entry and the block.  What is refused, because
 *     the key is there or is not, takes effect at the load of the word that
 *     says so.  Inserting and removing look for the key first, as readers
 *     do: those who lose a race, and most who are refused, need no more.
 *  2. UNINIT means: the predecessor decides.  A writer first moves the
 *     bucket; a reader looks at the predecessor.  The one exception is a
 *     removal without memory: it acts on the predecessor's word, provided
 *     that this is not frozen (it may be closed).  While it is not, no new
 *     word of the bucket is installed, and every reader comes to it.
 *  3. FROZEN and CLOSED mean: the root has moved on before; start again.
 *  4. The sibling rule (law 3 of map_migrate.c) is met before the
 *     compare-exchange that takes something out: a word that is not UNINIT
 *     never becomes so again, so before is as good as after.  It needs no
 *     memory, because the bucket is already frozen.
 *  5. Who replaces a word retires the block that it named, once.
 *  6. Removal from a block of more than 11 entries goes through the block's
 *     log; src/map_log.c has its laws.
 *
 * What a failing allocation can do: inserting and replacing give -ENOMEM
 * before they have changed anything.  Removing takes no memory for its own
 * sake (the word says who is dead), and where the bucket cannot be moved for
 * lack of memory, law 2 lets it act where the bucket still is.
 *
 * Progress.  Lookup: two loads, or four while the word is UNINIT, and one
 * content; wait-free.  Writers: a compare-exchange fails only because another
 * writer changed the word; root moves on only when a migration began, and
 * between two migrations lie as many changes as the table has buckets, over
 * eight.  So some writer always succeeds: lock-free.
 *
 * Memory orders: every word and root load acquires, every change of them
 * releases; the checks that only ask "is it still UNINIT" are relaxed, since
 * nothing is read through what they see.
 */
#include "map_log.h"
#include "map_migrate.h"

#include <errno.h>
#include <stdlib.h>

#define CHECK_EVERY 64		/* changes of a stripe between looks */
#define AGAIN 1

enum action { INSERT, PUT, REPLACE, REMOVE };

/* One operation on its way through the retries. */
struct change {
	enum action action;
	bool exact;			/* this very entry, not its key */
	struct fh_key key;
	uint64_t hash;
	struct fh_map_entry *entry;	/* what goes in */
	struct fh_map_entry *found;	/* what is there, what came out */
	struct fh_map_entry *target;	/* exact: what must be there */
	unsigned length;		/* of the block that was made */
};

/* Where an operation acts, and on what. */
struct spot {
	struct table *table;
	atomic_u64 *at;
	word seen;
};

/* ---- finding the place to act ---- */

/* Law 4: what comes out must not be reachable through the sibling. */
static void settle_sibling(struct fh_map *map, struct table *table, size_t i)
{
	if (table_migrating(table) && table->log2 > table->prev->log2 &&
	    load_relaxed(&table->word[i ^ 1]) == UNINIT)
		fh_migrate(map, table, i);
}

static bool moved_on(word w)
{
	return (w & (FROZEN | CLOSED)) != 0;
}

/* A removal without memory: law 2. */
static int find_old_spot(uint64_t hash, struct spot *spot)
{
	spot->table = spot->table->prev;
	spot->at = word_at(spot->table, hash);
	/* pairs with: map.word */
	spot->seen = load_acquire(spot->at);
	return spot->seen & FROZEN ? AGAIN : 0;
}

/* 0, AGAIN or -ENOMEM. */
static int find_spot(struct fh_map *map, const struct change *change,
		     struct spot *spot)
{
	int rc;

	/* pairs with: map.root */
	spot->table = load_acquire(&map->root);
	fh_point("map.located");
	spot->at = word_at(spot->table, change->hash);
	/* pairs with: map.word */
	spot->seen = load_acquire(spot->at);
	if (unlikely(spot->seen == UNINIT)) {
		size_t bucket = change->hash >> spot->table->shift;

		rc = fh_migrate(map, spot->table, bucket);
		if (rc == 0)
			return AGAIN;
		if (change->action != REMOVE)
			return rc;
		return find_old_spot(change->hash, spot);
	}
	if (unlikely(moved_on(spot->seen)))
		return AGAIN;
	if (change->action != INSERT)
		settle_sibling(map, spot->table,
			       change->hash >> spot->table->shift);
	return 0;
}

/* Position of the entry that the change is about, or -1. */
static int find_entry(const struct fh_map *map, struct change *change,
		      const struct spot *spot)
{
	struct wanted wanted = { map->keys, change->key, change->hash };
	word tag = tag_of(change->hash, spot->table->tag_shift);
	struct live live = live_begin(spot->seen);

	while (live_next(&live)) {
		struct fh_map_entry *entry = entry_of(live.slot);

		if (change->exact ? entry != change->target :
				    !slot_is(live.slot, tag, &wanted))
			continue;
		change->found = entry;
		return (int)live.at;
	}
	change->found = NULL;
	return -1;
}

/* ---- what the word becomes ---- */

/*
 * The live entries of @seen, that at position @skip left out, then @slot if
 * it is not 0, in a new block of @n.  UNINIT: no memory.
 */
static word copy_block(word seen, int skip, word slot, unsigned n)
{
	word made = fh_block_new(n);
	struct live live = live_begin(seen);
	unsigned i = 0;

	if (made == UNINIT)
		return UNINIT;
	while (live_next(&live))
		if ((int)live.at != skip)
			store_relaxed(slots_of(made) + i++, live.slot);
	if (slot)
		store_relaxed(slots_of(made) + i, slot);
	return made;
}

/* The content with @slot in addition; UNINIT: no memory. */
static word with(word seen, word slot, unsigned length)
{
	return is_empty(seen) ? slot : copy_block(seen, -1, slot, length);
}

/* The content with @slot instead of position @i; UNINIT: no memory. */
static word swapped(word seen, int i, word slot)
{
	return seen & BLOCK ? copy_block(seen, i, slot, live_count(seen)) :
			      slot;
}

/*
 * The content without position @i, as a word that takes no memory.  UNINIT:
 * the block is long, and the removal goes through its log.
 */
static word without(word seen, int i)
{
	struct live live = live_begin(seen);
	word other = EMPTY;

	if (live_count(seen) > 2)
		return seen & LONG ? UNINIT : seen | UPPER_ONE << i;
	while (live_next(&live))
		if ((int)live.at != i)
			other = live.slot;
	return other | (seen & CLOSED);
}

/* ---- one attempt ---- */

/* What the word shall be; 0, AGAIN or an error. */
static int next_word(struct change *change, const struct spot *spot, int i,
		     word *next)
{
	word slot;

	if (i >= 0 && change->action == INSERT)
		return -EEXIST;
	if (i < 0 && change->action != INSERT && change->action != PUT)
		return -ENOENT;
	if (change->action == REMOVE) {
		*next = without(spot->seen, i);
		return 0;
	}
	slot = entry_word(change->entry, spot->table->tag_shift);
	if (i >= 0) {
		*next = swapped(spot->seen, i, slot);
	} else {
		change->length = live_count(spot->seen) + 1;
		if (change->length > BLOCK_ENTRIES)
			return -E2BIG;
		*next = with(spot->seen, slot, change->length);
	}
	return *next == UNINIT ? -ENOMEM : 0;
}

static int attempt(struct fh_map *map, struct change *change,
		   struct spot *spot)
{
	word next = UNINIT, seen;
	int i, rc = find_spot(map, change, spot);

	if (rc)
		return rc;
	i = find_entry(map, change, spot);
	rc = next_word(change, spot, i, &next);
	if (rc)
		return rc;
	if (next == UNINIT)
		return fh_log_remove(spot->at, spot->seen, (unsigned)i) ?
			       0 : AGAIN;
	fh_log_commit(spot->seen);
	seen = spot->seen;
	fh_point("map.deciding");
	/* pairs with: map.word */
	if (!cas_release_relaxed(spot->at, &seen, next)) {
		if ((next & BLOCK) && change->action != REMOVE)
			free(block_of(next));
		return AGAIN;
	}
	if ((spot->seen & BLOCK) && !((next & BLOCK) &&
				      block_of(next) == block_of(spot->seen)))
		fh_rcu_retire_free(&block_of(spot->seen)->rcu);
	return 0;
}

/* How often one stripe of the counter asks whether to resize. */
static int64_t check_mask(const struct table *table)
{
	size_t every = table_buckets(table) / 16;

	return every >= CHECK_EVERY ? CHECK_EVERY - 1 : (int64_t)every - 1;
}

/*
 * Is it worth while to add all stripes up?  In a small table only a bucket
 * that is shared, or a removal that may let it shrink, is reason enough.
 */
static bool worth_a_look(const struct fh_map *map, const struct table *table,
			 const struct change *change, int64_t mine)
{
	if (change->length > 3 || !(mine & check_mask(table)))
		return true;
	if (table->log2 >= 5)
		return false;
	return change->action == REMOVE ? table->log2 > map->min_log2 :
					  change->length > 1;
}

/* After a success: count, help, resize. */
static void follow_up(struct fh_map *map, const struct change *change)
{
	/* pairs with: map.root */
	struct table *table = load_acquire(&map->root);
	int step = change->action == REMOVE ? -1 : !change->found;
	int64_t mine = fh_counter_add(&map->count, step);

	if (change->length > CROWDED)
		store_relaxed(&map->crowded, true);
	if (table_migrating(table))
		fh_migrate_help(map, table);
	else if (step && worth_a_look(map, table, change, mine))
		fh_resize_if_due(map, table);
}

static int carry_out(struct fh_map *map, struct change *change)
{
	struct fh_room room;
	struct spot spot;
	int rc = fh_room_take(&room, change->action == INSERT ? 1 : 2);

	if (rc < 0)
		return rc;
	fh_rcu_read_lock();
	do
		rc = attempt(map, change, &spot);
	while (rc == AGAIN);
	if (rc == 0)
		follow_up(map, change);
	fh_rcu_read_unlock();
	fh_room_leave(&room, rc == 0 && change->found);
	return rc;
}

/* ---- the operations ---- */

/* Law 1: it takes a third of the time of an attempt that is refused. */
static struct fh_map_entry *look_first(const struct fh_map *map,
				       struct fh_key key, uint64_t hash)
{
	struct fh_map_entry *entry;

	fh_rcu_read_lock();
	entry = fh_map_find(map, key, hash);
	fh_rcu_read_unlock();
	return entry;
}

static int answer(struct fh_map_entry **found, struct fh_map_entry *entry,
		  int rc)
{
	if (found)
		*found = entry;
	return rc;
}

/* No word can hold its address. */
static bool is_out_of_reach(const struct fh_map_entry *entry)
{
	return ((word)(uintptr_t)entry & ~ENTRY_MASK) != 0;
}

static int hash_entry(const struct fh_map *map, struct fh_map_entry *entry)
{
	if (is_out_of_reach(entry))
		return -EFAULT;
	entry->hash = hash_key(map, entry->key);
	return 0;
}

/* The entry's hash is there. */
static int bring_hashed(struct fh_map *map, enum action action,
			struct fh_map_entry *entry,
			struct fh_map_entry *target,
			struct fh_map_entry **found)
{
	struct change change = {
		.action = action,
		.exact = target != NULL,
		.key = entry->key,
		.hash = entry->hash,
		.entry = entry,
		.target = target,
	};
	int rc = carry_out(map, &change);

	return answer(found, rc == 0 || rc == -EEXIST ? change.found : NULL,
		      rc);
}

static int bring_in(struct fh_map *map, enum action action,
		    struct fh_map_entry *entry, struct fh_map_entry *target,
		    struct fh_map_entry **found)
{
	int rc = hash_entry(map, entry);

	return rc ? answer(found, NULL, rc) :
		    bring_hashed(map, action, entry, target, found);
}

int fh_map_insert(struct fh_map *map, struct fh_map_entry *entry,
		  struct fh_map_entry **present)
{
	int rc = hash_entry(map, entry);
	struct fh_map_entry *there;

	if (rc)
		return answer(present, NULL, rc);
	there = look_first(map, entry->key, entry->hash);
	if (there)
		return answer(present, there, -EEXIST);
	return bring_hashed(map, INSERT, entry, NULL, present);
}

int fh_map_put(struct fh_map *map, struct fh_map_entry *entry,
	       struct fh_map_entry **old)
{
	return bring_in(map, PUT, entry, NULL, old);
}

int fh_map_replace(struct fh_map *map, struct fh_map_entry *entry,
		   struct fh_map_entry **old)
{
	return bring_in(map, REPLACE, entry, NULL, old);
}

int fh_map_replace_entry(struct fh_map *map, struct fh_map_entry *old,
			 struct fh_map_entry *entry)
{
	if (is_out_of_reach(entry))
		return -EFAULT;
	if (old == entry || !fh_key_equal(map->keys, old->key, entry->key))
		return -EINVAL;
	return bring_in(map, REPLACE, entry, old, NULL);
}

int fh_map_remove(struct fh_map *map, struct fh_key key,
		  struct fh_map_entry **removed)
{
	struct change change = {
		.action = REMOVE,
		.key = key,
		.hash = hash_key(map, key),
	};
	int rc = look_first(map, key, change.hash) ?
			 carry_out(map, &change) : -ENOENT;

	*removed = rc == 0 ? change.found : NULL;
	return rc;
}

int fh_map_remove_entry(struct fh_map *map, struct fh_map_entry *entry)
{
	/* One that was never inserted has no hash, and is not found. */
	struct change change = {
		.action = REMOVE,
		.exact = true,
		.hash = entry->hash,
		.target = entry,
	};

	return carry_out(map, &change);
}

size_t fh_map_count(const struct fh_map *map)
{
	int64_t count = fh_counter_read(&map->count);

	return count > 0 ? (size_t)count : 0;
}
