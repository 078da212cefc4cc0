/* SPDX-License-Identifier: MIT */
/*
 * map: lookups that hit and that miss, and mixes of lookups and updates.
 *
 * Every lookup stands in a read section of its own and reads a field of the
 * entry that it finds, in both builds.  In a mix, half of the updates insert
 * and half remove a key drawn at random from twice as many keys as there are
 * entries, so that half of the keys are there at any time; an update pays
 * for the allocation of an entry, its retirement and its reclamation.
 *
 * The words are real input: byte strings of many lengths, where few are
 * asked for often and most seldom, by Zipf's law with an exponent of 0.99.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of an object with a number for its key. */
#define OBJECT_BYTES 64

/* How many lookups of a batch share one read section. */
#define BATCH_KEYS 16

struct object {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	uint64_t one;		/* so that the sum of the hits counts them */
	char text[];		/* the entry's own copy of a word */
};

_Static_assert(sizeof(struct object) <= OBJECT_BYTES, "fits");

/* A draw: what to do, and with which key. */
enum { LOOK, INSERT, REMOVE };
#define KIND_SHIFT 30
#define INDEX_MASK ((UINT32_C(1) << KIND_SHIFT) - 1)

struct plan {
	uint32_t first;		/* keys first to first + count - 1 */
	uint32_t count;
	unsigned updates;	/* per cent */
	const struct bench_zipf *zipf;	/* NULL: all keys alike */
};

static struct fh_map *map;
static const struct fh_key *words;

/* Odd, so that no two numbers share a key; far apart, as identifiers are. */
static inline struct fh_key number_key(uint32_t index)
{
	return fh_key_u64(index * UINT64_C(0x9e3779b97f4a7c15));
}

static inline struct fh_key word_key(uint32_t index)
{
	return words[index];
}

static struct object *number_object(struct fh_key key)
{
	struct object *object = bench_alloc(OBJECT_BYTES);

	object->entry.key = key;
	object->one = 1;
	return object;
}

static struct object *word_object(struct fh_key key)
{
	size_t length = key.word[1];
	struct object *object = bench_alloc(sizeof(*object) + length);

	memcpy(object->text, (const char *)(uintptr_t)key.word[0], length);
	object->entry.key = fh_key_bytes(object->text, length);
	object->one = 1;
	return object;
}

static inline struct object *object_of(struct fh_map_entry *entry)
{
	return (struct object *)((char *)entry -
				 offsetof(struct object, entry));
}

static void reclaim(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct object, rcu));
}

static void release(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	free(object_of(entry));
}

static inline uint64_t look(struct fh_key key)
{
	struct fh_map_entry *entry;
	uint64_t one = 0;

	fh_rcu_read_lock();
	entry = fh_map_lookup(map, key);
	if (entry)
		one = object_of(entry)->one;
	fh_rcu_read_unlock();
	return one;
}

static void insert(struct object *object)
{
	int rc = fh_map_insert(map, &object->entry, NULL);

	if (rc == -EEXIST)
		free(object);
	else if (rc)
		bench_die("insert failed: %s", strerror(-rc));
}

static void discard(struct fh_key key)
{
	struct fh_map_entry *entry;
	int rc = fh_map_remove(map, key, &entry);

	if (rc == 0)
		fh_rcu_retire(&object_of(entry)->rcu, reclaim);
	else if (rc != -ENOENT)
		bench_die("remove failed: %s", strerror(-rc));
}

/* The loops are written once, and compiled for each kind of key. */
#define FOR_EACH_KIND static inline __attribute__((always_inline))

FOR_EACH_KIND void look_loop(struct bench_thread *self,
			     struct fh_key (*key_of)(uint32_t index))
{
	const uint32_t *draw = self->draws, *end = draw + BENCH_DRAWS;
	uint64_t sum = 0;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			sum += look(key_of(*draw++));
		self->operations += BENCH_BATCH;
		if (draw == end)
			draw = self->draws;
	} while (bench_running());
	self->sum = sum;
}

FOR_EACH_KIND uint64_t mix_one(uint32_t draw,
			       struct fh_key (*key_of)(uint32_t index),
			       struct object *(*make)(struct fh_key key))
{
	struct fh_key key = key_of(draw & INDEX_MASK);

	switch (draw >> KIND_SHIFT) {
	case INSERT:
		insert(make(key));
		return 0;
	case REMOVE:
		discard(key);
		return 0;
	default:
		return look(key);
	}
}

FOR_EACH_KIND void mix_loop(struct bench_thread *self,
			    struct fh_key (*key_of)(uint32_t index),
			    struct object *(*make)(struct fh_key key))
{
	const uint32_t *draw = self->draws, *end = draw + BENCH_DRAWS;
	uint64_t sum = 0;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			sum += mix_one(*draw++, key_of, make);
		self->operations += BENCH_BATCH;
		if (draw == end)
			draw = self->draws;
	} while (bench_running());
	self->sum = sum;
}

/* The sum proves that the case measures what its name says. */
static void hit(struct bench_thread *self)
{
	look_loop(self, number_key);
	if (self->sum != self->operations)
		bench_die("an entry was not found");
}

static void miss(struct bench_thread *self)
{
	look_loop(self, number_key);
	if (self->sum)
		bench_die("an entry was found that was never inserted");
}

static void mix(struct bench_thread *self)
{
	mix_loop(self, number_key, number_object);
}

static void words_hit(struct bench_thread *self)
{
	look_loop(self, word_key);
	if (self->sum != self->operations)
		bench_die("a word was not found");
}

static void words_mix(struct bench_thread *self)
{
	mix_loop(self, word_key, word_object);
}

static uint64_t look_batch(const uint32_t *draws)
{
	struct fh_map_entry *found[BATCH_KEYS];
	struct fh_key keys[BATCH_KEYS];
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < BATCH_KEYS; i++)
		keys[i] = number_key(draws[i]);
	fh_rcu_read_lock();
	fh_map_lookup_batch(map, keys, BATCH_KEYS, found);
	for (i = 0; i < BATCH_KEYS; i++)
		sum += found[i] ? object_of(found[i])->one : 0;
	fh_rcu_read_unlock();
	return sum;
}

static void hit_batch(struct bench_thread *self)
{
	unsigned i, at = 0;
	uint64_t sum = 0;

	do {
		for (i = 0; i < BENCH_BATCH; i += BATCH_KEYS)
			sum += look_batch(self->draws + at + i);
		self->operations += BENCH_BATCH;
		at = (at + BENCH_BATCH) % BENCH_DRAWS;
	} while (bench_running());
	self->sum = sum;
	if (self->sum != self->operations)
		bench_die("an entry was not found");
}

static uint32_t draw_one(uint64_t *state, void *arg)
{
	const struct plan *plan = arg;
	uint64_t random = bench_random(state);
	uint32_t index, kind = LOOK;

	if ((random & 0xffffffff) % 100 < plan->updates)
		kind = random >> 63 ? INSERT : REMOVE;
	if (plan->zipf)
		index = (uint32_t)bench_zipf_draw(plan->zipf, state);
	else
		index = (uint32_t)(bench_random(state) % plan->count);
	return kind << KIND_SHIFT | (plan->first + index);
}

/* A table with the keys 0, step, 2 * step and so on below @end. */
static void fill_numbers(uint32_t end, uint32_t step)
{
	struct fh_map_options options = { .keys = FH_KEYS_U64 };
	uint32_t i;

	if (fh_map_create(&map, &options))
		bench_die("no table");
	for (i = 0; i < end; i += step)
		insert(number_object(number_key(i)));
}

static void prepare_numbers(unsigned threads, size_t size, struct plan plan,
			    uint32_t step)
{
	if (size > INDEX_MASK / 2)
		bench_die("too large a table");
	fill_numbers((uint32_t)size * step, step);
	bench_draw(threads, draw_one, &plan);
}

static void prepare_hit(unsigned threads, size_t size)
{
	prepare_numbers(threads, size, (struct plan){
		.count = (uint32_t)size }, 1);
}

static void prepare_miss(unsigned threads, size_t size)
{
	prepare_numbers(threads, size, (struct plan){
		.first = (uint32_t)size, .count = (uint32_t)size }, 1);
}

static void prepare_mix_10(unsigned threads, size_t size)
{
	prepare_numbers(threads, size, (struct plan){
		.count = (uint32_t)size * 2, .updates = 10 }, 2);
}

static void prepare_mix_50(unsigned threads, size_t size)
{
	prepare_numbers(threads, size, (struct plan){
		.count = (uint32_t)size * 2, .updates = 50 }, 2);
}

static void prepare_words(unsigned threads, size_t size, unsigned updates)
{
	struct fh_map_options options = { .keys = FH_KEYS_BYTES };
	struct bench_zipf zipf;
	struct plan plan = {
		.count = (uint32_t)size, .updates = updates, .zipf = &zipf,
	};
	uint32_t i;

	words = bench_words()->keys;
	if (size > bench_words()->count)
		bench_die("there are only %zu words", bench_words()->count);
	if (fh_map_create(&map, &options))
		bench_die("no table");
	for (i = 0; i < size; i++)
		insert(word_object(word_key(i)));
	bench_zipf_init(&zipf, size);
	bench_draw(threads, draw_one, &plan);
	bench_zipf_free(&zipf);
}

static void prepare_words_hit(unsigned threads, size_t size)
{
	prepare_words(threads, size, 0);
}

static void prepare_words_mix(unsigned threads, size_t size)
{
	prepare_words(threads, size, 10);
}

static void cleanup(void)
{
	fh_map_destroy(map, release, NULL);
	map = NULL;
}

static const size_t large[] = { 1000000, 0 };
static size_t all_words[2];

#define NUMBERS(what, prepare, loop, change, how_many)               \
	{ .name = what, .setup = prepare, .cleanup = cleanup,        \
	  .body = loop, .retires = change, .threads = bench_threads, \
	  .sizes = how_many }

static const struct bench_case cases[] = {
	NUMBERS("hit", prepare_hit, hit, false, bench_sizes),
	NUMBERS("miss", prepare_miss, miss, false, bench_sizes),
	NUMBERS("mix-90-10", prepare_mix_10, mix, true, bench_sizes),
	NUMBERS("mix-50-50", prepare_mix_50, mix, true, bench_sizes),
	NUMBERS("words-hit", prepare_words_hit, words_hit, false, all_words),
	NUMBERS("words-90-10", prepare_words_mix, words_mix, true, all_words),
	{ .name = "hit", .extra = true, .setup = prepare_hit,
	  .cleanup = cleanup, .body = hit,
	  .threads = bench_threads, .sizes = large },
	{ .name = "hit-batch", .extra = true, .setup = prepare_hit,
	  .cleanup = cleanup, .body = hit_batch,
	  .threads = bench_threads, .sizes = bench_sizes },
	{ .name = "hit-batch", .extra = true, .setup = prepare_hit,
	  .cleanup = cleanup, .body = hit_batch,
	  .threads = bench_threads, .sizes = large },
};

int main(int argc, char **argv)
{
	all_words[0] = bench_words()->count;
	return bench_main("map", cases, ARRAY_LENGTH(cases), argc, argv);
}
