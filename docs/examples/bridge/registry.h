/* SPDX-License-Identifier: MIT */
/*
 * A registry of things that come into being when they are first asked for,
 * are held while they are used, and end when nobody has used them for long,
 * or when others need the room.  Users' sessions and rooms are such things.
 *
 *     registry_take(&users, id, length, true, &item);     // there now
 *     ...                                                 // held: stays
 *     registry_give(&users, item);                        // may end later
 *
 * However many take one name at once, one item is made.  An item that is held
 * never ends.  There are never more items than the limit, but for those that
 * are about to be refused; to make room, the one that was held least recently
 * ends.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include <freehold/freehold.h>

#include <stdbool.h>

/** The longest name, in bytes. */
#define REGISTRY_NAME 256

struct registry_kind;

/** To embed in a thing, as its first member. */
struct item {
	struct fh_map_entry entry;	/* its key is the name below */
	struct fh_rcu_head rcu;
	const struct registry_kind *kind;
	uint64_t lease;			/* who holds it, since when nobody */
	bool placed;			/* counts for the limit */
	size_t length;
	char name[REGISTRY_NAME + 1];	/* a NUL behind it */
};

/** What the things are.  None of these may wait. */
struct registry_kind {
	size_t size;
	/* Make the rest of it: all zero bytes so far, and nobody sees it. */
	int (*begin)(struct item *item, void *arg);
	/* It has ended: nobody holds it, or ever will. */
	void (*over)(struct item *item, void *arg);
	/* Free what it has, but for itself: nobody sees it any more. */
	void (*release)(struct item *item);
};

struct registry {
	struct fh_map *map;
	const struct registry_kind *kind;
	void *arg;
	uint64_t limit, count;
	struct fh_record oldest;	/* some that may end first */
	struct fh_counter made, expired, evicted, refused;
};

int registry_create(struct registry *registry,
		    const struct registry_kind *kind, void *arg,
		    size_t limit);

/** registry_destroy - end all; nobody holds anything any more */
void registry_destroy(struct registry *registry);

/**
 * registry_take - the item of this name, held
 * @create: make it if it is not there
 *
 * Threads: any number at once, as all below.
 * Errors: -ENOENT: it is not there; -EBUSY: the limit is reached and every
 * item is held; -ENOMEM: no memory; and what begin() gave.
 */
int registry_take(struct registry *registry, const char *name, size_t length,
		  bool create, struct item **item);

/** registry_hold - hold it once more; the caller holds it already */
void registry_hold(struct item *item);

void registry_give(struct registry *registry, struct item *item);

/** registry_expire - end what nobody has held for so long; how many */
size_t registry_expire(struct registry *registry, int64_t nanoseconds);

/** registry_each - visit all that have not ended, in a read section */
void registry_each(struct registry *registry,
		   void (*visit)(struct item *item, void *arg), void *arg);

/** registry_count - how many count for the limit, now */
uint64_t registry_count(const struct registry *registry);

/** item_idle - nanoseconds since it was last held; 0: it is */
int64_t item_idle(const struct item *item);

bool item_over(const struct item *item);

#endif
