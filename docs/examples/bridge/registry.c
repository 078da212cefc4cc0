/* SPDX-License-Identifier: MIT */
/*
 * The word `lease`
 *
 *      63     62      61        42 41                     0
 *     +------+-------+------------+------------------------+
 *     | OVER | DOOMED|  holders   |  last held, in 33 us   |
 *     +------+-------+------------+------------------------+
 *
 *     field     written by                        may lie?
 *     OVER      who ends it; stays                no
 *     DOOMED    who made it and found no place    no
 *     holders   take + 1, give - 1                no
 *     last held take and give                     no
 *
 * Laws
 *
 *  1. Holding is a compare-exchange that finds OVER clear; ending one that
 *     finds no holders.  Both are of the whole word.  So nothing ends while
 *     it is held, and nothing that has ended is held again.
 *  2. Who ends an item for idleness or to make room has judged the word that
 *     it exchanges: time and holders at once.  An item that was held for a
 *     moment in between has another word.
 *  3. Who set OVER cleans up, once.  Somebody who needs the name may replace
 *     the item in the table before that; the one who cleans up then finds
 *     that it need not take it out, and retires it all the same.
 *  4. A place is taken after the item was made, by the one who made it: of
 *     many who race for one name, one looks for a place, and one item at
 *     most has to end for it.  Without a place the item is doomed: no more
 *     holders, and the last one to let go ends it.
 *  5. Of the idle, the least recently held ends first.  To find it, all are
 *     looked at, and the 64 oldest kept, with their words.  One of these whose
 *     word is still the same is older than all that are not among them: times
 *     only grow.  So one look serves for 64 evictions.
 */
#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OVER ((uint64_t)1 << 63)
#define DOOMED ((uint64_t)1 << 62)
#define HOLDER ((uint64_t)1 << 42)
#define HOLDERS (DOOMED - HOLDER)
#define TIME (HOLDER - 1)
#define TICK 15			/* 2^15 ns; 42 bits of it are four years */

#define OLDEST 64

/* ---- the word ---- */

static uint64_t ticks(void)
{
	return (uint64_t)fh_now() >> TICK & TIME;
}

static uint64_t word_of(const struct item *item)
{
	return __atomic_load_n(&item->lease, __ATOMIC_ACQUIRE);
}

static bool exchange(struct item *item, uint64_t *seen, uint64_t word)
{
	return __atomic_compare_exchange_n(&item->lease, seen, word, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* The word as of now, with other bits; time never goes back. */
static uint64_t at_present(uint64_t word)
{
	uint64_t now = ticks();

	return (word & TIME) < now ? (word & ~TIME) | now : word;
}

static int hold(struct item *item)
{
	uint64_t word = word_of(item);

	do {
		if (word & OVER)
			return -ENOENT;
		if (word & DOOMED || (word & HOLDERS) == HOLDERS)
			return -EBUSY;
	} while (!exchange(item, &word, at_present(word) + HOLDER));
	return 0;
}

bool item_over(const struct item *item)
{
	return word_of(item) & OVER;
}

int64_t item_idle(const struct item *item)
{
	uint64_t word = word_of(item), now = ticks();

	if (word & HOLDERS || now < (word & TIME))
		return 0;
	return (int64_t)((now - (word & TIME)) << TICK);
}

/* ---- beginning and end ---- */

static struct item *item_of(struct fh_map_entry *entry)
{
	return (struct item *)entry;
}

/* Nobody sees it, or ever did. */
static void item_free(struct item *item)
{
	item->kind->release(item);
	free(item);
}

static void reclaim(struct fh_rcu_head *head)
{
	item_free((struct item *)((char *)head - offsetof(struct item, rcu)));
}

/* Law 3: the caller has set OVER. */
static void clean_up(struct registry *registry, struct item *item)
{
	registry->kind->over(item, registry->arg);
	fh_map_remove_entry(registry->map, &item->entry);
	if (item->placed)
		__atomic_sub_fetch(&registry->count, 1, __ATOMIC_ACQ_REL);
	fh_rcu_retire(&item->rcu, reclaim);
}

static struct item *item_new(struct registry *registry, const char *name,
			     size_t length)
{
	struct item *item = calloc(1, registry->kind->size);

	if (!item)
		return NULL;
	item->kind = registry->kind;
	item->length = length;
	memcpy(item->name, name, length);
	item->entry.key = fh_key_bytes(item->name, length);
	item->lease = ticks() + HOLDER;
	return item;
}

/*
 * Put a new item into the table, held by the caller.  One that has ended and
 * has its name gives way; one that has not is -EEXIST.
 */
static int enter(struct registry *registry, struct item *item)
{
	struct fh_map_entry *present;
	int rc;

	fh_rcu_read_lock();
	rc = fh_map_insert(registry->map, &item->entry, &present);
	if (rc == -EEXIST && item_over(item_of(present))) {
		rc = fh_map_replace_entry(registry->map, present,
					  &item->entry);
		rc = rc == -ENOENT ? -EEXIST : rc;
	}
	fh_rcu_read_unlock();
	return rc;
}

static int make(struct registry *registry, const char *name, size_t length,
		struct item **made)
{
	struct item *item = item_new(registry, name, length);
	int rc;

	if (!item)
		return -ENOMEM;
	rc = registry->kind->begin(item, registry->arg);
	if (rc == 0)
		rc = enter(registry, item);
	if (rc == 0)
		*made = item;
	else
		item_free(item);
	return rc;
}

void registry_give(struct registry *registry, struct item *item)
{
	uint64_t word = word_of(item), then;

	do {
		then = at_present(word) - HOLDER;
		if (then & DOOMED && !(then & HOLDERS))
			then |= OVER;
	} while (!exchange(item, &word, then));
	if (then & OVER)
		clean_up(registry, item);
}

void registry_hold(struct item *item)
{
	__atomic_add_fetch(&item->lease, HOLDER, __ATOMIC_ACQ_REL);
}

/* ---- the limit ---- */

struct candidate {
	uint64_t word;
	size_t length;
	char name[REGISTRY_NAME];
};

struct oldest {
	size_t count;
	struct candidate of[OLDEST];	/* the oldest first */
};

static void consider(struct item *item, void *arg)
{
	struct oldest *oldest = arg;
	uint64_t word = word_of(item);
	size_t at = oldest->count;

	if (word & (OVER | HOLDERS))
		return;
	if (at == OLDEST && oldest->of[at - 1].word <= word)
		return;
	if (at < OLDEST)
		oldest->count++;
	else
		at--;
	for (; at > 0 && oldest->of[at - 1].word > word; at--)
		oldest->of[at] = oldest->of[at - 1];
	oldest->of[at].word = word;
	oldest->of[at].length = item->length;
	memcpy(oldest->of[at].name, item->name, item->length);
}

/* Look at all; false if there is nobody to end, or no memory to look. */
static bool look_around(struct registry *registry)
{
	struct oldest *oldest = calloc(1, sizeof(*oldest));
	bool found = false;

	if (!oldest)
		return false;
	registry_each(registry, consider, oldest);
	if (oldest->count)
		found = fh_record_publish(&registry->oldest, oldest,
					  sizeof(*oldest)) == 0;
	free(oldest);
	return found;
}

/* End this one if it is as it was. */
static struct item *end_if(struct registry *registry,
			   const struct candidate *candidate)
{
	struct fh_map_entry *entry = fh_map_lookup(registry->map,
		fh_key_bytes(candidate->name, candidate->length));
	uint64_t word = candidate->word;

	if (entry && exchange(item_of(entry), &word, word | OVER))
		return item_of(entry);
	return NULL;
}

/* End the least recently held; its place is the caller's. */
static bool evict_known(struct registry *registry)
{
	const struct oldest *oldest;
	struct item *ended = NULL;

	fh_rcu_read_lock();
	oldest = fh_record_get(&registry->oldest, NULL, NULL);
	for (size_t i = 0; oldest && i < oldest->count && !ended; i++)
		ended = end_if(registry, &oldest->of[i]);
	fh_rcu_read_unlock();
	if (!ended)
		return false;
	ended->placed = false;
	clean_up(registry, ended);
	fh_counter_add(&registry->evicted, 1);
	return true;
}

static bool take_place(struct registry *registry)
{
	uint64_t count = __atomic_load_n(&registry->count, __ATOMIC_ACQUIRE);

	while (count < registry->limit)
		if (__atomic_compare_exchange_n(&registry->count, &count,
						count + 1, false,
						__ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return true;
	while (!evict_known(registry))
		if (!look_around(registry))
			return false;
	return true;
}

/* Law 4. */
static int place(struct registry *registry, struct item *item)
{
	item->placed = take_place(registry);
	if (item->placed) {
		fh_counter_add(&registry->made, 1);
		return 0;
	}
	fh_counter_add(&registry->refused, 1);
	__atomic_or_fetch(&item->lease, DOOMED, __ATOMIC_ACQ_REL);
	registry_give(registry, item);
	return -EBUSY;
}

/* ---- what others call ---- */

int registry_take(struct registry *registry, const char *name, size_t length,
		  bool create, struct item **item)
{
	struct fh_map_entry *entry;
	int rc;

	for (;;) {
		fh_rcu_read_lock();
		entry = fh_map_lookup(registry->map,
				      fh_key_bytes(name, length));
		*item = entry ? item_of(entry) : NULL;
		rc = entry ? hold(*item) : -ENOENT;
		fh_rcu_read_unlock();
		if (rc != -ENOENT || !create)
			return rc;
		rc = make(registry, name, length, item);
		if (rc == 0)
			return place(registry, *item);
		if (rc != -EEXIST)
			return rc;
	}
}

/* One visit of a walk. */
struct visit {
	struct registry *registry;
	void (*call)(struct item *item, void *arg);
	void *arg;
	uint64_t before;
	size_t ended;
};

static int visit_one(struct fh_map_entry *entry, void *arg)
{
	struct visit *visit = arg;

	if (!item_over(item_of(entry)))
		visit->call(item_of(entry), visit->arg);
	return 0;
}

void registry_each(struct registry *registry,
		   void (*call)(struct item *item, void *arg), void *arg)
{
	struct visit visit = { .call = call, .arg = arg };

	fh_map_walk(registry->map, &(struct fh_map_cursor){ 0 }, 0, visit_one,
		    &visit);
}

static int expire_one(struct fh_map_entry *entry, void *arg)
{
	struct item *item = item_of(entry);
	struct visit *visit = arg;
	uint64_t word = word_of(item);

	if (word & (OVER | HOLDERS) || (word & TIME) > visit->before ||
	    !exchange(item, &word, word | OVER))
		return 0;
	visit->ended++;
	fh_counter_add(&visit->registry->expired, 1);
	clean_up(visit->registry, item);
	return 0;
}

size_t registry_expire(struct registry *registry, int64_t nanoseconds)
{
	uint64_t now = ticks(), idle = (uint64_t)nanoseconds >> TICK;
	struct visit visit = { .registry = registry };

	if (idle > now)
		return 0;
	visit.before = now - idle;
	fh_map_walk(registry->map, &(struct fh_map_cursor){ 0 }, 0, expire_one,
		    &visit);
	return visit.ended;
}

uint64_t registry_count(const struct registry *registry)
{
	return __atomic_load_n(&registry->count, __ATOMIC_RELAXED);
}

int registry_create(struct registry *registry,
		    const struct registry_kind *kind, void *arg, size_t limit)
{
	*registry = (struct registry){
		.kind = kind, .arg = arg, .limit = limit
	};
	return fh_map_create(&registry->map,
			     &(struct fh_map_options){ FH_KEYS_BYTES, 0, 0,
						       NULL });
}

static void release_left(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	item_free(item_of(entry));
}

void registry_destroy(struct registry *registry)
{
	fh_map_destroy(registry->map, release_left, NULL);
	fh_record_destroy(&registry->oldest);
}
