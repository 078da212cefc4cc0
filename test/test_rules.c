/* SPDX-License-Identifier: MIT */
/*
 * The rules of the table, each in the one schedule that needs it.
 *
 * Built with FH_HOOKS, which lets a test stop a thread at a named point of
 * the library, run others, and let it go; and with the tags compiled out, so
 * that every search touches the entries that it passes.  Entries lie on pages
 * of their own that reclamation makes unreadable: touching one too late ends
 * the program with SIGSEGV.
 *
 * Hashes are the keys themselves: the upper bits choose the bucket.
 *
 * test/run_mutants.py runs the same program on libraries from which one rule
 * is left out, and wants every one of those to fail.
 */
#include <freehold/freehold.h>

#include "tap.h"
#include "threads.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>

/* ---- stopping a thread at a point ---- */

struct stop {
	const char *point;
	sem_t reached, go;
};

static _Thread_local struct stop *my_stop;

void fh_hook(const char *what, const volatile void *address)
{
	struct stop *stop = my_stop;

	if (!stop || address || strcmp(what, stop->point) != 0)
		return;
	my_stop = NULL;
	sem_post(&stop->reached);
	sem_wait(&stop->go);
}

static void stop_init(struct stop *stop, const char *point)
{
	stop->point = point;
	sem_init(&stop->reached, 0, 0);
	sem_init(&stop->go, 0, 0);
}

/* Has the thread come to its stop within @milliseconds? */
static int stopped(struct stop *stop, int milliseconds)
{
	for (; milliseconds > 0; milliseconds--) {
		if (sem_trywait(&stop->reached) == 0)
			return 1;
		sleep_ns(1000000);
	}
	return sem_trywait(&stop->reached) == 0;
}

/* ---- entries on pages of their own ---- */

struct item {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
};

static tally reclaimed;

static struct item *item_new(uint64_t key)
{
	struct item *item = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (item == MAP_FAILED)
		bail_out("no memory for an entry");
	item->entry.key = fh_key_u64(key);
	return item;
}

static void item_reclaim(struct fh_rcu_head *head)
{
	void *page = (char *)head - offsetof(struct item, rcu);

	mprotect(page, 4096, PROT_NONE);
	add_relaxed(&reclaimed, 1u);
}

static void retire(struct fh_map_entry *entry)
{
	struct item *item = (struct item *)entry;

	fh_rcu_retire(&item->rcu, item_reclaim);
	fh_rcu_flush();
}

static uint64_t identity(struct fh_key key)
{
	return key.word[0];
}

/* ---- tables in a known position ---- */

#define BUCKET(b, log2) ((uint64_t)(b) << (64 - (log2)))

static struct fh_map *map_new(size_t expected)
{
	struct fh_map_options options = { .expected = expected,
					  .hash = identity };
	struct fh_map *map;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	return map;
}

static int put(struct fh_map *map, uint64_t key)
{
	return fh_map_insert(map, &item_new(key)->entry, NULL);
}

static int has(struct fh_map *map, uint64_t key)
{
	int found;

	fh_rcu_read_lock();
	found = fh_map_lookup(map, fh_key_u64(key)) != NULL;
	fh_rcu_read_unlock();
	return found;
}

static struct fh_map_entry *take(struct fh_map *map, uint64_t key)
{
	struct fh_map_entry *entry = NULL;

	fh_map_remove(map, fh_key_u64(key), &entry);
	return entry;
}

/* Of 64 buckets; fill the lower ones until growth to 128 has begun. */
static struct fh_map *growing_map(uint64_t first, uint64_t second)
{
	struct fh_map *map = map_new(48);
	struct fh_map_stats stats = { .migrating = 0 };
	uint64_t b;

	put(map, first);
	if (second != first)
		put(map, second);
	for (b = 0; b < 64 && !stats.migrating; b++) {
		put(map, BUCKET(b, 6));
		fh_map_get_stats(map, &stats);
	}
	ok(stats.buckets == 128 && stats.migrating,
	   "a table of 64 buckets is growing to 128");
	return map;
}

/* A call on a thread of its own that stops at a point. */
struct actor {
	pthread_t thread;
	struct stop stop;
	struct fh_map *map;
	uint64_t key;
	int (*act)(struct fh_map *map, uint64_t key);
	int result;
};

static void *actor_main(void *arg)
{
	struct actor *actor = arg;

	my_stop = &actor->stop;
	actor->result = actor->act(actor->map, actor->key);
	return NULL;
}

static void actor_start(struct actor *actor, const char *point,
			struct fh_map *map,
			int (*act)(struct fh_map *map, uint64_t key),
			uint64_t key)
{
	stop_init(&actor->stop, point);
	actor->map = map;
	actor->act = act;
	actor->key = key;
	if (pthread_create(&actor->thread, NULL, actor_main, actor))
		bail_out("cannot create a thread");
}

static int actor_finish(struct actor *actor)
{
	sem_post(&actor->stop.go);
	pthread_join(actor->thread, NULL);
	return actor->result;
}

static int take_away(struct fh_map *map, uint64_t key)
{
	struct fh_map_entry *entry;

	return fh_map_remove(map, fh_key_u64(key), &entry);
}

/* ---- the sibling rule ---- */

/* Wait until a grace period has begun that waits for who reads now. */
static void await_grace_period(void)
{
	struct fh_rcu_stats stats;
	int tries = 30000;

	do {
		sleep_ns(1000000);
		fh_rcu_get_stats(&stats);
	} while (stats.oldest_reader_ns == 0 && --tries);
}

/*
 * Bucket 63 of the old table holds a and c; a goes to new bucket 126, c to
 * 127.  A mover has installed 126 and stops.  We remove and retire a.  A
 * reader that starts after the grace period began looks for c.
 *
 * Without the rule the reader finds 127 UNINIT and searches the old content;
 * meanwhile the mover leaves, the grace period ends, a's page goes, and the
 * reader touches it.
 */
static void test_sibling(void)
{
	uint64_t a = BUCKET(126, 7), c = BUCKET(127, 7);
	struct fh_map *map = growing_map(a, c);
	uint64_t before = load_relaxed(&reclaimed);
	struct actor mover, reader;
	int waited = 30000;

	fh_rcu_drain_wait(FH_FOREVER); /* so that no grace period is running */
	actor_start(&mover, "map.half_installed", map, put, a + 1);
	ok(stopped(&mover.stop, 30000), "a mover stops between two installs");
	retire(take(map, a));
	await_grace_period();
	actor_start(&reader, "map.uninit", map, has, c);
	stopped(&reader.stop, 200);
	is(actor_finish(&mover), 0, "the mover goes on and inserts");
	while (load_relaxed(&reclaimed) == before && --waited) {
		sleep_ns(1000000);
		fh_rcu_flush(); /* runs what is ready */
	}
	ok(waited > 0, "what was removed is reclaimed");
	ok(actor_finish(&reader), "the reader finds the sibling's entry");
}

/* ---- the licence rule ---- */

/*
 * Bucket 63 holds a alone and moves; a is removed, retired and gone.  The
 * migration goes on elsewhere, and later its helpers come to bucket 63.
 *
 * Without the rule they ask a, through the old word, where it belongs.
 */
static void test_licence(void)
{
	uint64_t a = BUCKET(126, 7), b;
	struct fh_map *map = growing_map(a, a);
	struct fh_map_stats stats;

	retire(take(map, a));
	is(fh_rcu_drain_wait(FH_FOREVER), 0, "the entry is gone");
	fh_map_get_stats(map, &stats);
	ok(stats.migrating, "the migration is not complete");
	for (b = 0; b < 12; b++)
		put(map, BUCKET(b, 7) + 5);
	fh_map_get_stats(map, &stats);
	ok(!stats.migrating && stats.grown == 1, "now it is");
	ok(!has(map, a), "the entry stays gone");
}

/* ---- frozen words ---- */

/*
 * An inserter has loaded the root and stops; the table grows and every
 * bucket moves.  Without the check it inserts into the old table, where
 * nobody will find it.
 */
static void test_frozen(void)
{
	struct fh_map *map = map_new(48);
	uint64_t key = BUCKET(63, 6) + 7, b;
	struct fh_map_stats stats;
	struct actor inserter;

	actor_start(&inserter, "map.located", map, put, key);
	ok(stopped(&inserter.stop, 30000), "an inserter stops at the old root");
	for (b = 0; b < 60; b++)
		put(map, BUCKET(b, 6));
	fh_map_settle(map);
	fh_map_get_stats(map, &stats);
	ok(stats.grown == 1 && !stats.migrating, "the table has grown");
	is(actor_finish(&inserter), 0, "the inserter succeeds");
	ok(has(map, key), "and its entry is found");
	is(fh_map_count(map), 61, "with all the others");
}

/* ---- closing the odd half ---- */

/* Grow a table to 128 buckets and empty it to one entry less than shrinks. */
static struct fh_map *sparse_map(void)
{
	struct fh_map *map = map_new(1);
	uint64_t b;

	for (b = 0; b < 64; b++)
		put(map, BUCKET(2 * b, 7));
	fh_map_settle(map);
	for (b = 0; b < 48; b++)
		retire(take(map, BUCKET(2 * b, 7)));
	return map;
}

/*
 * Shrinking joins buckets 126 and 127.  An inserter that knows the old root
 * is about to add to the odd one.  The mover has frozen the even half, with
 * room for what both held then, when the inserter acts.
 *
 * Without closing, the odd half gains an entry for which there is no room.
 */
static void test_closed(void)
{
	struct fh_map *map = sparse_map();
	uint64_t key = BUCKET(127, 7) + 3;
	struct fh_map_stats stats;
	struct actor inserter, mover;
	uint64_t b;

	actor_start(&inserter, "map.deciding", map, put, key);
	ok(stopped(&inserter.stop, 30000), "an inserter is about to decide");
	for (b = 48; b < 56; b++)
		retire(take(map, BUCKET(2 * b, 7)));
	fh_map_get_stats(map, &stats);
	ok(stats.migrating && stats.buckets == 64, "the table is shrinking");
	actor_start(&mover, "map.even_frozen", map, put, BUCKET(126, 7) + 9);
	ok(stopped(&mover.stop, 30000), "a mover has frozen the even half");
	is(actor_finish(&inserter), 0, "the inserter succeeds");
	is(actor_finish(&mover), 0, "the mover goes on and inserts");
	ok(has(map, key), "the inserter's entry is found");
	ok(has(map, BUCKET(126, 7) + 9), "the mover's too");
	fh_map_settle(map);
	ok(has(map, key) && has(map, BUCKET(126, 7) + 9), "both stay");
}

/*
 * The same, but the inserter has not yet looked at the word when the odd half
 * is closed.  It must not take the closed word for one that it may change.
 */
static void test_closed_seen(void)
{
	struct fh_map *map = sparse_map();
	uint64_t key = BUCKET(127, 7) + 3;
	struct actor inserter, mover;
	uint64_t b;

	actor_start(&inserter, "map.located", map, put, key);
	ok(stopped(&inserter.stop, 30000), "an inserter has seen the old root");
	for (b = 48; b < 56; b++)
		retire(take(map, BUCKET(2 * b, 7)));
	actor_start(&mover, "map.even_frozen", map, put, BUCKET(126, 7) + 9);
	ok(stopped(&mover.stop, 30000), "a mover has frozen the even half");
	is(actor_finish(&inserter), 0, "the inserter succeeds");
	is(actor_finish(&mover), 0, "the mover goes on and inserts");
	ok(has(map, key), "the inserter's entry is found");
	ok(has(map, BUCKET(126, 7) + 9), "the mover's too");
}

/* ---- the log of a long block ---- */

/*
 * A remover has entered its entry in the log and stops.  Another removal
 * carries it out, an insertion then replaces the block.  The first remover
 * has to learn that its removal counted: else it would report that there was
 * nothing to remove, and the entry would belong to nobody.
 */
static void test_committed(void)
{
	struct fh_map_options options = { .expected = 48, .fixed = 1,
					  .hash = identity };
	struct fh_map *map;
	struct actor remover;
	uint64_t i;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	for (i = 0; i < 20; i++)
		put(map, i);
	actor_start(&remover, "map.logged", map, take_away, 4);
	ok(stopped(&remover.stop, 30000), "a remover stops after the log");
	ok(take(map, 11) != NULL, "another removal succeeds");
	ok(!has(map, 4) && !has(map, 11), "both entries are gone");
	is(put(map, 100), 0, "an insertion replaces the block");
	is(actor_finish(&remover), 0, "the first remover learns that it won");
	is(fh_map_count(map), 19, "and the count is right");
}

/*
 * The same, but nobody helps, and the block is replaced: the entry in the
 * log means nothing, and the remover has to remove once more.
 */
static void test_not_committed(void)
{
	struct fh_map_options options = { .expected = 48, .fixed = 1,
					  .hash = identity };
	struct fh_map *map;
	struct actor remover;
	uint64_t i;

	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	for (i = 0; i < 20; i++)
		put(map, i);
	actor_start(&remover, "map.logged", map, take_away, 4);
	ok(stopped(&remover.stop, 30000), "a remover stops after the log");
	is(put(map, 100), 0, "an insertion replaces the block");
	ok(has(map, 4), "the entry is still there");
	is(actor_finish(&remover), 0, "the remover tries again and wins");
	ok(!has(map, 4), "the entry is gone");
	is(fh_map_count(map), 20, "and the count is right");
}

int main(void)
{
	watchdog(60);
	test_frozen();
	test_closed();
	test_closed_seen();
	test_committed();
	test_not_committed();
	test_licence();
	test_sibling();
	return done_testing();
}
