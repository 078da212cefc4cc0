/* SPDX-License-Identifier: MIT */
/*
 * faults: a writer that is stopped in the midst of an operation, at an
 * instruction of nobody's choosing, and for as long as it takes the others
 * to do a thousand operations on the same words.
 *
 * That they can is what lock-free means.  If any of these operations took a
 * lock, the count of what the others do would sooner or later stand still.
 * Nothing here allocates, because malloc has locks; so the arcs, which
 * cannot do without, are missing.
 */
#include <freehold/counter.h>
#include <freehold/status.h>

#include "faults.h"
#include "items.h"

#define PATIENCE (20 * SECONDS)
#define KEYS 64u
#define POOL 4096u
#define OTHERS 3

struct place {
	struct item item;
	tally used;
};

static struct place pool[OTHERS + 1][POOL];

static struct {
	struct fh_map *map;
	struct fh_status cell;
	struct fh_counter counter;
	tally stop, done, sets, in, out, dead, ready;
	pid_t victim;
} shop;

/* Each key in a bucket of its own, so that no block is ever needed. */
static uint64_t hash_apart(struct fh_key key)
{
	return key.word[0] << 56;
}

static void give_back(struct fh_rcu_head *head)
{
	struct place *place = (struct place *)((char *)head -
				offsetof(struct place, item.rcu));

	place->item.alive = 0;
	store_seq_cst(&place->used, 0);
}

static struct place *take_place(unsigned index, uint64_t *random)
{
	struct place *place = &pool[index][random_below(random, POOL)];

	if (load_seq_cst(&place->used))
		return NULL;
	store_seq_cst(&place->used, 1);
	place->item.alive = ITEM_ALIVE;
	return place;
}

static void change_table(unsigned index, uint64_t *random)
{
	struct fh_key key = fh_key_u64(random_below(random, KEYS));
	struct place *place = take_place(index, random);
	struct fh_map_entry *out = NULL;
	int rc;

	if (place) {
		place->item.entry.key = key;
		rc = random_below(random, 2) ?
			fh_map_put(shop.map, &place->item.entry, &out) :
			fh_map_insert(shop.map, &place->item.entry, NULL);
		if (rc)
			store_seq_cst(&place->used, 0);
		else
			add_relaxed(&shop.in, 1);
	} else {
		fh_map_remove(shop.map, key, &out);
	}
	if (out) {
		add_relaxed(&shop.out, 1);
		fh_rcu_retire(&item_of(out)->rcu, give_back);
	}
}

static void look_and_set(uint64_t *random)
{
	struct fh_key key = fh_key_u64(random_below(random, KEYS));
	struct fh_map_entry *entry;

	fh_rcu_read_lock();
	entry = fh_map_lookup(shop.map, key);
	if (entry && item_of(entry)->alive != ITEM_ALIVE)
		add_relaxed(&shop.dead, 1);
	fh_rcu_read_unlock();
	fh_status_set(&shop.cell, (unsigned)random_below(random, 64));
	add_relaxed(&shop.sets, 1);
	fh_counter_add(&shop.counter, 1);
}

static void work(unsigned index, void *arg)
{
	uint64_t random = random_seed(index);

	(void)arg;
	if (index == OTHERS)
		shop.victim = gettid();
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	add_seq_cst(&shop.ready, 1);
	while (!load_seq_cst(&shop.stop)) {
		change_table(index, &random);
		look_and_set(&random);
		if (index < OTHERS)
			add_relaxed(&shop.done, 1);
	}
}

static int others_go_on(void)
{
	uint64_t since = load_relaxed(&shop.done);
	int64_t until = fh_deadline_in(PATIENCE);

	while (load_relaxed(&shop.done) < since + 1000) {
		if (fh_now() >= until)
			return 0;
		sleep_ns(MS / 10);
	}
	return 1;
}

static void test_writer(void)
{
	static const struct fh_map_options options = {
		.fixed = 1, .expected = 200, .hash = hash_apart };
	size_t i, stops = scaled(100, 10), lame = 0;
	uint64_t random = 1;
	struct crew crew;

	shop.map = map_new(&options);
	crew_start(&crew, OTHERS + 1, work, NULL);
	while (load_seq_cst(&shop.ready) < OTHERS + 1)
		sleep_ns(MS);
	for (i = 0; i < stops && !lame; i++) {
		if (tracer_command(shop.victim, 1))
			bail_out("cannot stop the thread again");
		lame += !others_go_on();
		tracer_command(shop.victim, 0);
		sleep_ns((int64_t)random_below(&random, 300000));
	}
	is(lame, 0, "a writer is stopped %zu times: the others go on", i);
	store_seq_cst(&shop.stop, 1);
	crew_join(&crew);
	is(fh_status_read(&shop.cell).epoch, shop.sets, "one epoch a set");
	is(fh_counter_read(&shop.counter), shop.sets, "no addition is lost");
	is(fh_map_count(shop.map), shop.in - shop.out, "nor an entry");
	is(shop.dead, 0, "and none is seen that was reclaimed");
	fh_map_destroy(shop.map, NULL, NULL);
	is(drain(), 0, "drain");
}

int main(void)
{
	pid_t tracer = tracer_start();

	watchdog(120);
	if (!LOCK_FREE)
		skip("who is stopped in the mutex build may hold a mutex");
	else if (!tracer_may())
		skip("no thread can be stopped here");
	else
		test_writer();
	is(drain(), 0, "drain");
	close(to_tracer);
	waitpid(tracer, NULL, 0);
	return done_testing();
}
