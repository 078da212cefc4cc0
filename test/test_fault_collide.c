/* SPDX-License-Identifier: MIT */
/*
 * faults: thousands of keys with one hash, which no growth can part.  Only a
 * hash function of the caller's makes that possible; the library's own are
 * seeded (hash.c says why nobody can choose such keys for those).
 *
 * What would be seen if the library were wrong: a long block that loses or
 * doubles an entry when it is copied, joined or divided makes a key missing,
 * or visited twice; a removal that is entered in the log and not counted, or
 * the reverse, makes its entry come out twice or never, or be seen dead.
 */
#include <freehold/map.h>

#include <errno.h>
#include <string.h>

#include "items.h"
#include "tap.h"

#define THREADS 4u

struct heap {
	struct fh_map *map;
	uint64_t keys;		/* those of one hash */
	_Atomic(unsigned char) *seen;
	tally wrong, in, out, stop;
};

/* Keys with a set bit at the top lie elsewhere, and make the table grow. */
#define ELSEWHERE (UINT64_C(1) << 63)

static uint64_t hash_one(struct fh_key key)
{
	uint64_t spread = key.word[0] * UINT64_C(0x9e3779b97f4a7c15);

	return key.word[0] & ELSEWHERE ? spread | 1 : hash_equal(key);
}

static void put_in(struct heap *heap, uint64_t key)
{
	struct item *item = item_u64(key, key);

	if (fh_map_insert(heap->map, &item->entry, NULL) == 0) {
		add_relaxed(&heap->in, 1);
		return;
	}
	add_relaxed(&heap->wrong, 1);
	free(item);
}

static void take_out(struct heap *heap, uint64_t key)
{
	struct fh_map_entry *out;

	if (fh_map_remove(heap->map, fh_key_u64(key), &out) ||
	    item_of(out)->id != key || item_of(out)->alive != ITEM_ALIVE) {
		add_relaxed(&heap->wrong, 1);
		return;
	}
	add_relaxed(&heap->out, 1);
	item_retire(out);
}

static uint64_t not_found(struct heap *heap, uint64_t from, uint64_t step)
{
	uint64_t key, missing = 0;

	for (key = from; key < heap->keys; key += step)
		missing += id_at(heap->map, fh_key_u64(key)) != key;
	return missing;
}

/* ---- at rest ---- */

static int mark(struct fh_map_entry *entry, void *arg)
{
	struct heap *heap = arg;
	uint64_t key = entry->key.word[0];

	if (item_of(entry)->alive != ITEM_ALIVE)
		add_relaxed(&heap->wrong, 1);
	if (key < heap->keys)
		add_relaxed(&heap->seen[key], 1);
	return 0;
}

/* How many of the one hash a walk in small steps does not visit once. */
static uint64_t not_once(struct heap *heap)
{
	struct fh_map_cursor cursor = { 0 };
	uint64_t key, wrong = 0;

	for (key = 0; key < heap->keys; key++)
		heap->seen[key] = 0;
	while (!cursor.done)
		fh_map_walk(heap->map, &cursor, 10, mark, heap);
	for (key = 1; key < heap->keys; key++)
		wrong += heap->seen[key] != 1;
	return wrong;
}

static void grow_and_shrink(struct heap *heap)
{
	uint64_t key, more = heap->keys;

	for (key = 0; key < more; key++)
		put_in(heap, ELSEWHERE | key);
	is(not_found(heap, 1, 1), 0, "all are found in the larger table");
	is(not_once(heap), 0, "and visited");
	for (key = 0; key < more; key++)
		take_out(heap, ELSEWHERE | key);
	is(fh_map_settle(heap->map), 0, "it settles");
	is(not_found(heap, 1, 1), 0, "and still they are found");
	is(not_once(heap), 0, "and visited");
}

static void test_alone(struct heap *heap)
{
	struct item twin = { .entry.key = fh_key_u64(1) };
	uint64_t key;

	for (key = 1; key < heap->keys; key++)
		put_in(heap, key);
	is(fh_map_count(heap->map), heap->keys - 1, "%" PRIu64
	   " entries of one hash", heap->keys - 1);
	is(map_stats(heap->map).longest, heap->keys - 1, "in one bucket");
	is(not_found(heap, 1, 1), 0, "all are found");
	is(not_once(heap), 0, "all are visited");
	is(fh_map_insert(heap->map, &twin.entry, NULL), -EEXIST,
	   "none goes in twice");
	is(id_at(heap->map, fh_key_u64(heap->keys)), 0, "no other is found");
	grow_and_shrink(heap);
	for (key = 1; key < heap->keys; key += 2)
		take_out(heap, key);
	is(not_found(heap, 2, 2), 0, "with every second gone, the others stay");
	is(not_found(heap, 1, 2), heap->keys / 2, "and those are gone");
	for (key = 1; key < heap->keys; key += 2)
		put_in(heap, key);
	is(not_once(heap), 0, "and come back");
	is(heap->wrong, 0, "no operation went wrong");
}

/* ---- with many threads ---- */

/* Even keys stay; odd ones belong to the threads in turn. */
static void fight(unsigned index, void *arg)
{
	struct heap *heap = arg;
	uint64_t key, first = 2 * index + 1, round;

	for (round = 0; round < 2; round++) {
		for (key = first; key < heap->keys; key += 2 * THREADS) {
			take_out(heap, key);
			if (id_at(heap->map, fh_key_u64(key)))
				add_relaxed(&heap->wrong, 1);
		}
		for (key = first; key < heap->keys; key += 2 * THREADS)
			put_in(heap, key);
	}
}

/* The table resizes under the heap of equals. */
static void disturb(unsigned index, void *arg)
{
	struct heap *heap = arg;
	uint64_t key;

	(void)index;
	while (!load_relaxed(&heap->stop)) {
		for (key = 0; key < 3000; key++)
			put_in(heap, ELSEWHERE | key);
		for (key = 0; key < 3000; key++)
			take_out(heap, ELSEWHERE | key);
	}
}

static void look_on(unsigned index, void *arg)
{
	uint64_t random = random_seed(index), key;
	struct heap *heap = arg;
	struct fh_map_entry *entry;

	while (!load_relaxed(&heap->stop)) {
		key = 2 + 2 * random_below(&random, heap->keys / 2 - 1);
		fh_rcu_read_lock();
		entry = fh_map_lookup(heap->map, fh_key_u64(key));
		if (!entry || item_of(entry)->id != key ||
		    item_of(entry)->alive != ITEM_ALIVE)
			add_relaxed(&heap->wrong, 1);
		fh_rcu_read_unlock();
	}
}

static void test_together(struct heap *heap)
{
	struct crew readers, disturber;

	crew_start(&readers, 2, look_on, heap);
	crew_start(&disturber, 1, disturb, heap);
	run_crew(THREADS, fight, heap);
	store_seq_cst(&heap->stop, 1);
	crew_join(&disturber);
	crew_join(&readers);
	is(heap->wrong, 0, "%u threads take out and put in their own, others "
	   "look on", THREADS);
	is(not_once(heap), 0, "all are there once");
	is(fh_map_count(heap->map), heap->keys - 1, "so says the count");
	is(heap->in - heap->out, heap->keys - 1, "and the books");
}

/* ---- everything goes, each to one of the threads ---- */

static void grab(unsigned index, void *arg)
{
	struct heap *heap = arg;
	struct fh_map_entry *out;
	uint64_t i, key;

	for (i = 1; i < heap->keys; i++) {
		key = index % 2 ? i : heap->keys - i;
		if (fh_map_remove(heap->map, fh_key_u64(key), &out))
			continue;
		add_relaxed(&heap->seen[item_of(out)->id], 1);
		item_retire(out);
	}
}

/* How many of them did not go to one thread alone. */
static uint64_t grab_all(struct heap *heap)
{
	uint64_t key, wrong = 0;

	for (key = 0; key < heap->keys; key++)
		heap->seen[key] = 0;
	run_crew(THREADS, grab, heap);
	for (key = 1; key < heap->keys; key++)
		wrong += heap->seen[key] != 1;
	return wrong;
}

static void test_grab(struct heap *heap)
{
	is(grab_all(heap), 0, "of those who take all, one gets each");
	is(fh_map_count(heap->map), 0, "nothing is left");
	is(drain(), 0, "drain");
}

/* Few enough that the threads meet on one entry, and still a long block. */
static void test_small_grabs(struct heap *heap)
{
	uint64_t key, wrong = 0;
	size_t i, rounds = scaled(1000, 100);

	heap->keys = 40;
	for (i = 0; i < rounds; i++) {
		for (key = 1; key < heap->keys; key++)
			put_in(heap, key);
		wrong += grab_all(heap);
	}
	is(wrong, 0, "nor in %zu heaps of 39", rounds);
	is(fh_map_count(heap->map) + heap->wrong, 0, "nothing is left");
}

int main(void)
{
	const struct fh_map_options options = { .hash = hash_one };
	struct heap heap = { .keys = scaled(4400, 1000) & ~UINT64_C(1) };

	watchdog(120);
	heap.map = map_new(&options);
	heap.seen = calloc(heap.keys, 1);
	if (!heap.seen)
		bail_out("no memory");
	test_alone(&heap);
	test_together(&heap);
	test_grab(&heap);
	test_small_grabs(&heap);
	is(drain(), 0, "drain");
	fh_map_destroy(heap.map, NULL, NULL);
	free((void *)heap.seen);
	return done_testing();
}
