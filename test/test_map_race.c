/* SPDX-License-Identifier: MIT */
/*
 * map: many threads on the same keys.  First the race that the table is
 * made against, on a plain table without a lock; then the same on ours.
 */
#include <freehold/map.h>

#include <errno.h>

#include "items.h"
#include "tap.h"

#define THREADS 8
#define MOST_KEYS 10000

struct race {
	struct fh_map *map;
	size_t keys, rounds;
	tally winners[MOST_KEYS], losers[MOST_KEYS];
	tally wrong, inserts[64], removes[64];
	pthread_barrier_t barrier;
	void *_Atomic plain[MOST_KEYS];
};

static struct race *race_new(size_t keys,
			     const struct fh_map_options *options)
{
	struct race *race = calloc(1, sizeof(*race));

	if (!race)
		bail_out("no memory");
	race->map = map_new(options);
	race->keys = keys;
	pthread_barrier_init(&race->barrier, NULL, THREADS);
	return race;
}

static void race_end(struct race *race)
{
	fh_map_destroy(race->map, item_release, NULL);
	pthread_barrier_destroy(&race->barrier);
	free(race);
}

/* How many keys did not have exactly one winner. */
static size_t not_one_winner(const struct race *race)
{
	size_t key, wrong = 0;

	for (key = 0; key < race->keys; key++)
		wrong += race->winners[key] != 1;
	return wrong;
}

/*
 * The original fault: look, find nothing, insert.  Between the two another
 * thread does the same, and both believe that they have won.
 */
static void check_then_insert(unsigned index, void *arg)
{
	struct race *race = arg;
	size_t key;

	(void)index;
	for (key = 0; key < race->keys; key++) {
		pthread_barrier_wait(&race->barrier);
		if (load_seq_cst(&race->plain[key]))
			continue;
		sched_yield();
		store_seq_cst(&race->plain[key], race);
		add_relaxed(&race->winners[key], 1);
	}
}

static size_t race_without_table(void)
{
	struct race *race = race_new(200, NULL);
	size_t wrong;

	run_crew(THREADS, check_then_insert, race);
	wrong = not_one_winner(race);
	race_end(race);
	return wrong;
}

static void test_original_race(void)
{
	int64_t until = fh_deadline_in(60 * SECONDS);
	size_t wrong;

	do
		wrong = race_without_table();
	while (!wrong && fh_now() < until);
	ok(wrong > 0,
	   "check, then insert, without the table: %zu of 200 keys have more "
	   "than one winner", wrong);
}

/* The same steps on ours: look, find nothing, yield, insert. */
static void insert_together(unsigned index, void *arg)
{
	struct race *race = arg;
	struct item *item;
	size_t key;
	int rc;

	for (key = 0; key < race->keys; key++) {
		if (race->keys <= 200)
			pthread_barrier_wait(&race->barrier);
		if (race->keys <= 200 && !id_at(race->map, fh_key_u64(key)))
			sched_yield();
		item = item_u64(key, index + 1);
		rc = fh_map_insert(race->map, &item->entry, NULL);
		if (rc == 0)
			add_relaxed(&race->winners[key], 1);
		else
			free(item);
		if (rc == -EEXIST)
			add_relaxed(&race->losers[key], 1);
		if (!id_at(race->map, fh_key_u64(key)))
			add_relaxed(&race->wrong, 1);
	}
}

static void remove_together(unsigned index, void *arg)
{
	struct race *race = arg;
	struct fh_map_entry *removed;
	size_t key;
	int rc;

	(void)index;
	for (key = 0; key < race->keys; key++) {
		rc = fh_map_remove(race->map, fh_key_u64(key), &removed);
		if (rc == 0) {
			add_relaxed(&race->winners[key], 1);
			item_retire(removed);
		} else if (rc != -ENOENT) {
			add_relaxed(&race->wrong, 1);
		}
		if (id_at(race->map, fh_key_u64(key)))
			add_relaxed(&race->wrong, 1);
	}
}

/* Two winners of a key, or none, would be a broken compare-exchange. */
static void test_one_winner(size_t keys, const struct fh_map_options *options,
			    const char *name)
{
	struct race *race = race_new(keys, options);
	size_t key, losers = 0;

	run_crew(THREADS, insert_together, race);
	is(not_one_winner(race), 0, "%s: %zu keys, one winner each", name,
	   keys);
	for (key = 0; key < keys; key++)
		losers += race->losers[key];
	is(losers, keys * (THREADS - 1), "%s: all others are told", name);
	is(race->wrong, 0, "%s: and find who has won", name);
	is(fh_map_count(race->map), keys, "%s: count", name);
	for (key = 0; key < keys; key++)
		race->winners[key] = 0;
	run_crew(THREADS, remove_together, race);
	is(not_one_winner(race), 0, "%s: one removes each", name);
	is(race->wrong, 0, "%s: and nobody finds it afterwards", name);
	is(fh_map_count(race->map), 0, "%s: the table is empty", name);
	race_end(race);
}

/* ---- few keys, many changes ---- */

static void insert_one(struct race *race, uint64_t key, uint64_t token)
{
	struct item *item = item_u64(key, token);
	int rc = fh_map_insert(race->map, &item->entry, NULL);

	if (rc == 0)
		add_relaxed(&race->inserts[key], 1);
	else
		free(item);
	if (rc != 0 && rc != -EEXIST)
		add_relaxed(&race->wrong, 1);
}

static void remove_one(struct race *race, uint64_t key)
{
	struct fh_map_entry *removed;
	int rc = fh_map_remove(race->map, fh_key_u64(key), &removed);

	if (rc == 0) {
		add_relaxed(&race->removes[key], 1);
		if (removed->key.word[0] != key ||
		    item_of(removed)->alive != ITEM_ALIVE)
			add_relaxed(&race->wrong, 1);
		item_retire(removed);
	} else if (rc != -ENOENT) {
		add_relaxed(&race->wrong, 1);
	}
}

/* Of those that aim at one entry, one wins; a newer one is never hit. */
static void remove_what_was_seen(struct race *race, uint64_t key)
{
	struct fh_map_entry *entry;
	int rc;

	fh_rcu_read_lock();
	entry = fh_map_lookup(race->map, fh_key_u64(key));
	if (entry && item_of(entry)->id % 4 == 0)
		sched_yield();
	rc = entry ? fh_map_remove_entry(race->map, entry) : -ENOENT;
	if (rc == 0)
		add_relaxed(&race->removes[key], 1);
	else if (rc != -ENOENT)
		add_relaxed(&race->wrong, 1);
	fh_rcu_read_unlock();
	if (rc == 0)
		item_retire(entry);
}

static void replace_one(struct race *race, uint64_t key, uint64_t token)
{
	struct item *item = item_u64(key, token);
	struct fh_map_entry *old;
	int rc;

	if (token % 2) {
		rc = fh_map_replace(race->map, &item->entry, &old);
	} else {
		fh_rcu_read_lock();
		old = fh_map_lookup(race->map, fh_key_u64(key));
		rc = old ? fh_map_replace_entry(race->map, old, &item->entry) :
			   -ENOENT;
		fh_rcu_read_unlock();
	}
	if (rc == 0)
		item_retire(old);
	else
		free(item);
	if (rc != 0 && rc != -ENOENT)
		add_relaxed(&race->wrong, 1);
}

static void look(struct race *race, uint64_t key)
{
	struct fh_map_entry *entry;

	fh_rcu_read_lock();
	entry = fh_map_lookup(race->map, fh_key_u64(key));
	if (entry && (entry->key.word[0] != key ||
		      item_of(entry)->alive != ITEM_ALIVE))
		add_relaxed(&race->wrong, 1);
	fh_rcu_read_unlock();
}

static void hustle(unsigned index, void *arg)
{
	struct race *race = arg;
	uint64_t random = random_seed(index), key;
	size_t i;

	for (i = 0; i < race->rounds; i++) {
		key = random_below(&random, race->keys);
		switch (random_below(&random, 6)) {
		case 0:
		case 1:
			insert_one(race, key, i + 1);
			break;
		case 2:
			remove_one(race, key);
			break;
		case 3:
			remove_what_was_seen(race, key);
			break;
		case 4:
			replace_one(race, key, i + 1);
			break;
		default:
			look(race, key);
		}
	}
}

/*
 * Per key, successful inserts and removes must alternate: their difference
 * is 1 where the key is there at the end, and 0 where it is not.  A lost or
 * a doubled success makes it something else; an entry that is retired twice
 * breaks the allocator.
 */
static void test_few_keys(size_t keys, const struct fh_map_options *options,
			  const char *name)
{
	struct race *race = race_new(keys, options);
	size_t key, wrong = 0, present = 0;
	int64_t difference;

	race->rounds = scaled(40000, 3000);
	run_crew(THREADS, hustle, race);
	for (key = 0; key < keys; key++) {
		difference = (int64_t)(race->inserts[key] -
				       race->removes[key]);
		wrong += difference != (id_at(race->map, fh_key_u64(key)) != 0);
		present += (size_t)difference;
	}
	is(wrong, 0, "%s: inserts and removes of %zu keys alternate", name,
	   keys);
	is(race->wrong, 0, "%s: all that was seen was alive and right", name);
	is(fh_map_count(race->map), present, "%s: count", name);
	race_end(race);
}

/* ---- an old entry and a newer one of its key ---- */

struct exact {
	struct fh_map *map;
	size_t rounds;
	struct item **items;	/* of key 7; none is freed before the end */
	tally *out;		/* how often each came out of the table */
	tally begun, held, wrong, stop;
};

/* Inserts the key anew, and removes whatever has the key, in turn. */
static void renew(struct exact *exact)
{
	struct fh_map_entry *removed;
	size_t i;

	for (i = 0; i < exact->rounds; i++) {
		if (fh_map_insert(exact->map, &exact->items[i]->entry, NULL))
			add_relaxed(&exact->wrong, 1);
		store_seq_cst(&exact->begun, i + 1);
		if (i % 2)
			sched_yield();
		if (fh_map_remove(exact->map, fh_key_u64(7), &removed) == 0) {
			if (removed != &exact->items[i]->entry)
				add_relaxed(&exact->wrong, 1);
			add_relaxed(&exact->out[item_of(removed)->id], 1);
		}
	}
	store_seq_cst(&exact->stop, 1);
}

/* Aims at the present entry and at older ones. */
static void shoot(struct exact *exact, uint64_t random)
{
	uint64_t begun, aim;

	while (!load_seq_cst(&exact->stop)) {
		begun = load_seq_cst(&exact->begun);
		aim = 1 + random_below(&random, 3);
		if (aim > begun)
			continue;
		aim = begun - aim;
		if (aim + 1 == begun && aim % 3)
			sched_yield();
		if (!fh_map_remove_entry(exact->map,
					 &exact->items[aim]->entry)) {
			add_relaxed(&exact->out[aim], 1);
			add_relaxed(&exact->held, 1);
		}
	}
}

static void exact_work(unsigned index, void *arg)
{
	if (index == 0)
		renew(arg);
	else
		shoot(arg, random_seed(index));
}

/*
 * Every entry comes out once: by its key, or by a shot at itself.  A shot at
 * an old entry that took the newer one of the key would leave an entry that
 * came out twice, and one that never did.
 */
static void test_exact(void)
{
	struct exact exact = { .rounds = scaled(40000, 2000) };
	size_t i, wrong = 0;

	exact.map = map_new(NULL);
	exact.items = calloc(exact.rounds, sizeof(*exact.items));
	exact.out = calloc(exact.rounds, sizeof(*exact.out));
	if (!exact.items || !exact.out)
		bail_out("no memory");
	for (i = 0; i < exact.rounds; i++)
		exact.items[i] = item_u64(7, i);
	run_crew(4, exact_work, &exact);
	for (i = 0; i < exact.rounds; i++)
		wrong += exact.out[i] != 1;
	is(wrong, 0, "every entry of a key comes out once (%" PRIu64
	   " by shots)", (uint64_t)exact.held);
	is(exact.wrong, 0, "and nothing is there that was removed");
	is(fh_map_count(exact.map), 0, "the table is empty");
	fh_map_destroy(exact.map, NULL, NULL);
	for (i = 0; i < exact.rounds; i++)
		free(exact.items[i]);
	free(exact.items);
	free((void *)exact.out);
}

/* ---- threads that end at once ---- */

/* What a thread leaves in batches and reserves must survive its end. */
static void come_and_go(unsigned index, void *arg)
{
	struct race *race = arg;

	insert_one(race, index % race->keys, index + 1);
	remove_one(race, (index + 1) % race->keys);
	insert_one(race, (index + 2) % race->keys, index + 1);
	remove_what_was_seen(race, index % race->keys);
}

static void test_short_lived(void)
{
	struct race *race = race_new(5, NULL);
	size_t i, crews = scaled(100, 20), key, wrong = 0;

	for (i = 0; i < crews; i++)
		run_crew(10, come_and_go, race);
	for (key = 0; key < race->keys; key++)
		wrong += race->inserts[key] - race->removes[key] !=
			 (id_at(race->map, fh_key_u64(key)) != 0);
	is(wrong, 0, "%zu threads that end at once: all adds up", crews * 10);
	is(race->wrong, 0, "and all was as it should be");
	race_end(race);
}

int main(void)
{
	static const struct fh_map_options small = { .expected = 64 };
	static const struct fh_map_options equal = { .hash = hash_equal };
	static const struct fh_map_options fixed = { .fixed = 1,
						     .expected = 8 };
	size_t many = scaled(MOST_KEYS, 2000);

	watchdog(120);
	if (many > MOST_KEYS)
		many = MOST_KEYS;
	test_original_race();
	test_one_winner(200, NULL, "the same steps on the table");
	test_one_winner(many, &small, "a table that grows meanwhile");
	test_one_winner(300, &equal, "one hash for all");
	test_few_keys(1, NULL, "one key");
	test_few_keys(4, NULL, "few keys");
	test_few_keys(50, NULL, "more keys");
	test_few_keys(16, &equal, "one hash");
	test_few_keys(40, &fixed, "a fixed table");
	test_exact();
	test_short_lived();
	is(drain(), 0, "drain");
	return done_testing();
}
