/* SPDX-License-Identifier: MIT */
/*
 * A hash table for registries: check-then-insert is one compare-exchange,
 * lookups never wait, and it grows and shrinks while everything runs.
 *
 * The table holds pointers to entries that the caller embeds in objects of
 * its own:
 *
 *     struct session {
 *             struct fh_map_entry entry;        // its key, its place
 *             struct fh_rcu_head rcu;           // to retire it later
 *             ...
 *     };
 *
 *     session->entry.key = fh_key_u64(user_id);
 *     if (fh_map_insert(sessions, &session->entry, NULL) == -EEXIST)
 *             ...                               // somebody was first
 *
 *     fh_rcu_read_lock();
 *     entry = fh_map_lookup(sessions, fh_key_u64(user_id));
 *     ...                                       // valid until:
 *     fh_rcu_read_unlock();
 *
 * Whoever removes an entry owns it and retires it with fh_rcu_retire; it must
 * not be freed, changed or inserted again before its reclaim function runs.
 *
 * Consistency, in plain words.  Operations on one key are linearizable:
 * there is one order of them that every thread agrees with.  Operations on
 * different keys are ordered by acquire and release alone: a thread that has
 * seen an entry sees all that its inserter did before, but two threads that
 * each insert one key and then look for the other's may both find nothing.
 *
 * What may run beside what: everything beside everything, on any number of
 * threads, but for fh_map_destroy.
 */
#ifndef FREEHOLD_MAP_H
#define FREEHOLD_MAP_H

#include <freehold/base.h>
#include <freehold/rcu.h>

#include <string.h>

FH_BEGIN_DECLS

struct fh_map;

/** What the keys of a table are; chosen when it is created. */
enum fh_key_kind {
	FH_KEYS_U64,	/* a 64-bit number */
	FH_KEYS_PAIR,	/* two 64-bit numbers, in this order */
	FH_KEYS_BYTES	/* a string of bytes of any length */
};

/**
 * struct fh_key - a key of any of the three kinds
 *
 * Make one with fh_key_u64, fh_key_pair, fh_key_bytes or fh_key_string.  A
 * byte string is pointed to and not copied: an entry's must live as long as
 * the entry.
 */
struct fh_key {
	uint64_t word[2];
};

static inline struct fh_key fh_key_u64(uint64_t number)
{
	struct fh_key key;

	key.word[0] = number;
	key.word[1] = 0;
	return key;
}

static inline struct fh_key fh_key_pair(uint64_t first, uint64_t second)
{
	struct fh_key key;

	key.word[0] = first;
	key.word[1] = second;
	return key;
}

static inline struct fh_key fh_key_bytes(const void *bytes, size_t length)
{
	struct fh_key key;

	key.word[0] = (uint64_t)(uintptr_t)bytes;
	key.word[1] = (uint64_t)length;
	return key;
}

static inline struct fh_key fh_key_string(const char *string)
{
	return fh_key_bytes(string, strlen(string));
}

/**
 * struct fh_map_entry - to embed in what the table holds
 * @hash: the table's; of no matter before insertion
 * @key:  set by the caller before insertion, constant while readers may see
 *        the entry
 *
 * Must lie at an address divisible by 8 whose upper 16 bits are zero, as all
 * user memory does on x86-64 and AArch64 unless asked for otherwise.
 */
struct fh_map_entry {
	uint64_t hash;
	struct fh_key key;
};

/**
 * struct fh_map_options - how to create a table; zero bytes are the defaults
 * @keys:     their kind; FH_KEYS_U64 is the default
 * @expected: how many entries to make room for at once; the table never
 *            shrinks below that
 * @fixed:    not 0: neither grow nor shrink
 * @hash:     if not NULL: the hash function to use instead of the seeded
 *            ones of the library.  Nobody then keeps chosen keys from
 *            colliding.  Bucket and tag are taken from the upper bits.
 */
struct fh_map_options {
	enum fh_key_kind keys;
	int fixed;
	size_t expected;
	uint64_t (*hash)(struct fh_key key);
};

/**
 * fh_map_create - an empty table
 * @map:     receives it
 * @options: NULL for the defaults
 *
 * Threads:   any number at once.
 * Progress:  as malloc.
 * Ordering:  none; publish the pointer with release.
 * Ownership: the table is the caller's, to end with fh_map_destroy.
 * Errors:    -ENOMEM: no memory; -EINVAL: no such kind of keys;
 *            -EOVERFLOW: @expected is beyond the largest table; -EIO: the
 *            operating system gives no randomness for the seed.
 * Context:   anywhere but a signal handler.
 */
int fh_map_create(struct fh_map **map, const struct fh_map_options *options);

/**
 * fh_map_destroy - end of life
 * @map:     NULL is allowed and does nothing
 * @release: if not NULL: called for each entry that is left, with @arg
 *
 * Threads:   the only one to touch the table from now on, readers included.
 * Progress:  as free, plus @release for each entry.
 * Ordering:  none.
 * Ownership: the entries that are left are the caller's again.
 * Errors:    none.
 * Context:   outside read sections that used the table; not in a signal
 *            handler.
 */
void fh_map_destroy(struct fh_map *map,
		    void (*release)(struct fh_map_entry *entry, void *arg),
		    void *arg);

/**
 * fh_map_lookup - the entry with this key, or NULL
 *
 * Threads:   any number at once, beside any writer.
 * Progress:  wait-free: two loads and the entries of one bucket; no store,
 *            no retry.
 * Ordering:  acquire: all that the inserter did before is visible.
 * Ownership: the entry stays valid until the caller leaves its read section.
 * Errors:    none; a key of another kind than the table's finds nothing
 *            sensible.
 * Context:   inside a read section; in a signal handler if the interrupted
 *            thread has used the library before, and then within a section
 *            that the interrupted code holds.
 */
struct fh_map_entry *fh_map_lookup(const struct fh_map *map,
				   struct fh_key key);

/**
 * fh_map_lookup_batch - many lookups whose cache misses overlap
 * @keys:  @count of them
 * @found: receives @count entries, NULL where there is none
 *
 * Threads:   any number at once, beside any writer.
 * Progress:  wait-free.
 * Ordering:  each lookup by itself as fh_map_lookup; among each other none.
 * Ownership: the entries stay valid until the caller leaves its section.
 * Errors:    none.
 * Context:   inside a read section.
 */
void fh_map_lookup_batch(const struct fh_map *map, const struct fh_key *keys,
			 size_t count, struct fh_map_entry **found);

/**
 * fh_map_insert - insert unless the key is there
 * @entry:   with its key set
 * @present: if not NULL: on -EEXIST receives the entry that is there, which
 *           is valid if the caller is inside a read section; else NULL
 *
 * Threads:   any number at once: of those with one key, one wins.
 * Progress:  lock-free: a retry means that another change succeeded.  An
 *            insert into an empty bucket allocates nothing.
 * Ordering:  release on success; acquire on failure.
 * Ownership: on success the entry passes to the table; otherwise it stays
 *            the caller's, untouched but for its hash.
 * Errors:    -EEXIST: the key is there; -ENOMEM: no memory; -EAGAIN: the
 *            hard bound of fh_rcu is reached; -E2BIG: 32767 entries share
 *            one bucket that growth cannot divide; -EFAULT: the entry's
 *            address cannot be held in a word.  Nothing was changed.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_map_insert(struct fh_map *map, struct fh_map_entry *entry,
		  struct fh_map_entry **present);

/**
 * fh_map_put - insert, or replace the entry that has the key
 * @old: if not NULL: receives the entry that was replaced, or NULL
 *
 * Threads:   any number at once.
 * Progress:  lock-free, but for malloc.
 * Ordering:  acquire and release on success.
 * Ownership: @entry passes to the table; *@old is the caller's to retire.
 * Errors:    -ENOMEM, -EAGAIN, -E2BIG, -EFAULT: as fh_map_insert.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_map_put(struct fh_map *map, struct fh_map_entry *entry,
	       struct fh_map_entry **old);

/**
 * fh_map_replace - replace the entry that has the key
 * @entry: the new one
 * @old:   if not NULL: receives the one that was replaced
 *
 * Threads:   any number at once.
 * Progress:  lock-free, but for malloc.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: @entry passes to the table; *@old is the caller's to retire.
 * Errors:    -ENOENT: no entry has the key; -ENOMEM, -EAGAIN, -EFAULT: as
 *            fh_map_insert.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_map_replace(struct fh_map *map, struct fh_map_entry *entry,
		   struct fh_map_entry **old);

/**
 * fh_map_replace_entry - replace this very entry by another of the same key
 * @old:   must be one that the caller may touch: inside the read section in
 *         which it was found, or under a reference of the caller's own
 * @entry: the new one; its key equals that of @old
 *
 * Threads:   any number at once: of those that replace or remove @old, one
 *            wins.
 * Progress:  lock-free, but for malloc.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: @entry passes to the table; @old is the caller's to retire.
 * Errors:    -ENOENT: @old is not in the table; -EINVAL: the keys differ, or
 *            the entries do not; -ENOMEM, -EAGAIN, -EFAULT: as fh_map_insert.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_map_replace_entry(struct fh_map *map, struct fh_map_entry *old,
			 struct fh_map_entry *entry);

/**
 * fh_map_remove - remove the entry that has the key
 * @removed: receives it
 *
 * Threads:   any number at once: one wins.
 * Progress:  lock-free; allocates nothing that it depends on.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: *@removed is the caller's to retire.
 * Errors:    -ENOENT: no entry has the key; -EAGAIN: the hard bound of
 *            fh_rcu is reached.  Never fails for lack of memory.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_map_remove(struct fh_map *map, struct fh_key key,
		  struct fh_map_entry **removed);

/**
 * fh_map_remove_entry - remove this very entry
 * @entry: must be one that the caller may touch: inside the read section in
 *         which it was found, or under a reference of the caller's own
 *
 * Threads:   any number at once: one wins.
 * Progress:  lock-free; allocates nothing that it depends on.
 * Ordering:  acquire and release on success; acquire on failure.
 * Ownership: @entry is the caller's to retire.
 * Errors:    -ENOENT: @entry is not in the table (another of its key may
 *            be); -EAGAIN: the hard bound of fh_rcu is reached.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_map_remove_entry(struct fh_map *map, struct fh_map_entry *entry);

/**
 * struct fh_map_cursor - a place in a walk; zero bytes are the beginning
 * @next: the lowest hash that was not visited
 * @done: not 0: the walk is over
 */
struct fh_map_cursor {
	uint64_t next;
	int done;
};

/**
 * fh_map_walk - visit some entries and move the cursor on
 * @cursor: keep it between calls for as long as you like
 * @budget: stop after the bucket in which so many were visited; 0 visits all
 * @visit:  called for each entry; a result other than 0 ends the call after
 *          the present bucket was visited to its end
 *
 * Returns how many entries were visited.  Over the calls of one cursor, an
 * entry that is present from the first call to the last is visited exactly
 * once, and one that comes or goes meanwhile at most once; growing and
 * shrinking do not change that.
 *
 * Threads:   any number of cursors; one call at a time for each.
 * Progress:  wait-free but for @visit.
 * Ordering:  acquire on each entry.
 * Ownership: an entry is valid within @visit, or until the caller leaves the
 *            read section that it holds around the call.
 * Errors:    none.
 * Context:   inside or outside a read section; @visit runs inside one and
 *            may call the table.
 */
size_t fh_map_walk(const struct fh_map *map, struct fh_map_cursor *cursor,
		   size_t budget,
		   int (*visit)(struct fh_map_entry *entry, void *arg),
		   void *arg);

/**
 * fh_map_count - how many entries there are; exact at rest
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
size_t fh_map_count(const struct fh_map *map);

/**
 * fh_map_settle - finish the growing or shrinking that is due
 *
 * Writers do this bit by bit; a program that has just emptied a table and
 * goes idle can give the memory back with one call.
 *
 * Threads:   any number at once.
 * Progress:  lock-free; takes time in proportion to the buckets.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    -ENOMEM: there was no memory to go on; the table is whole.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_map_settle(struct fh_map *map);

/** Entries in one block beyond which the statistics report it. */
#define FH_MAP_LONG_BLOCK 11

/** How many block lengths the statistics tell apart. */
#define FH_MAP_LENGTHS 17

/** What a table consists of.  Counts are exact at rest. */
struct fh_map_stats {
	uint64_t count;		/* entries */
	uint64_t buckets;
	uint64_t bytes;		/* of words and blocks, entries not included */
	uint64_t lengths[FH_MAP_LENGTHS]; /* buckets by entries; last: + */
	uint64_t longest;	/* entries in the fullest bucket */
	uint64_t long_blocks;	/* with more than FH_MAP_LONG_BLOCK entries */
	uint64_t grown;		/* migrations to a larger table, completed */
	uint64_t shrunk;	/* migrations to a smaller one, completed */
	uint64_t deferred;	/* growths put off for lack of memory */
	int migrating;		/* not 0: a migration is running */
	uint64_t migrated;	/* buckets of it that are done */
	uint64_t pending;	/* objects of the whole program that await
				   reclamation, as fh_rcu_get_stats */
};

/**
 * fh_map_get_stats - look at the whole table
 * @stats: filled in
 *
 * Threads:   any number at once.
 * Progress:  wait-free; takes time in proportion to the buckets.
 * Ordering:  acquire on each bucket.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_map_get_stats(const struct fh_map *map, struct fh_map_stats *stats);

FH_END_DECLS

#endif
