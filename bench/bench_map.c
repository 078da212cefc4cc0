/* SPDX-License-Identifier: MIT */
/*
 * map: this library's table, in either build; map_cases.h has the cases that
 * it shares with every other table.
 *
 * Every lookup stands in a read section of its own and reads a field of the
 * entry that it finds, in both builds.  In a mix, half of the updates insert
 * and half remove a key drawn at random from twice as many keys as there are
 * entries, so that half of the keys are there at any time; an update pays
 * for the allocation of an entry, its retirement and its reclamation.
 *
 * Words as keys are a case of this library alone.  In its mix all of them
 * are there at first; they are asked for and updated, those that come first
 * most often and the last ones most seldom, by Zipf's law with an exponent of
 * 0.99.
 */
#include <freehold/freehold.h>

#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Of an object with a number for its key. */
#define OBJECT_BYTES 64

/* How many lookups of a batch share one read section. */
#define BATCH_KEYS 32

#define TABLE_WATCH 1

typedef struct fh_key table_key;

struct object {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	uint64_t one;		/* so that the sum of the hits counts them */
	char text[];		/* the entry's own copy of a word */
};

_Static_assert(sizeof(struct object) <= OBJECT_BYTES, "fits");

static struct fh_map *map;
static const struct fh_key *words;

/* Odd, so that no two numbers share a key; far apart, as identifiers are. */
static inline table_key table_number(uint32_t index)
{
	return fh_key_u64(index * UINT64_C(0x9e3779b97f4a7c15));
}

static inline table_key word_key(uint32_t index)
{
	return words[index];
}

static inline struct object *table_object(table_key key)
{
	struct object *object = bench_alloc(OBJECT_BYTES);

	object->entry.key = key;
	object->one = 1;
	return object;
}

static struct object *word_object(table_key key)
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

static void create(enum fh_key_kind kind)
{
	struct fh_map_options options = { .keys = kind };

	if (fh_map_create(&map, &options))
		bench_die("no table");
}

static void table_create(void)
{
	create(FH_KEYS_U64);
}

static void table_destroy(void)
{
	fh_map_destroy(map, release, NULL);
	map = NULL;
}

static inline uint64_t table_look(table_key key)
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

/* Refused at the hard bound; others may run, and then again. */
static bool again(int rc)
{
	if (rc != -EAGAIN)
		return false;
	sched_yield();
	return true;
}

static inline bool table_insert(struct object *object)
{
	int rc;

	do
		rc = fh_map_insert(map, &object->entry, NULL);
	while (again(rc));
	if (rc && rc != -EEXIST)
		bench_die("insert failed: %s", strerror(-rc));
	return rc == 0;
}

static inline bool table_discard(table_key key)
{
	struct fh_map_entry *entry;
	int rc;

	do
		rc = fh_map_remove(map, key, &entry);
	while (again(rc));
	if (rc && rc != -ENOENT)
		bench_die("remove failed: %s", strerror(-rc));
	if (rc == 0)
		fh_rcu_retire(&object_of(entry)->rcu, reclaim);
	return rc == 0;
}

/* It grows by itself. */
static inline void table_nudge(size_t count)
{
	(void)count;
}

static void table_settle(size_t count)
{
	int rc = fh_map_settle(map);

	(void)count;
	if (rc)
		bench_die("settle failed: %s", strerror(-rc));
}

static bool table_garbage(uint64_t *pending, uint64_t *bound, uint64_t *over)
{
	struct fh_rcu_stats stats;

	fh_rcu_get_stats(&stats);
	*pending = stats.pending;
	*bound = stats.hard_bound ? stats.hard_bound : stats.soft_bound;
	*over = stats.hard_bound ? stats.refused : stats.over_soft;
	return true;
}

#include "map_cases.h"

static void words_hit(struct bench_thread *self)
{
	look_loop(self, 0, word_key);
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
		keys[i] = table_number(draws[i]);
	fh_rcu_read_lock();
	fh_map_lookup_batch(map, keys, BATCH_KEYS, found);
	for (i = 0; i < BATCH_KEYS; i++)
		sum += found[i] ? object_of(found[i])->one : 0;
	fh_rcu_read_unlock();
	return sum;
}

static void hit_batch(struct bench_thread *self)
{
	const uint32_t *draw = self->draws;
	uint64_t sum = 0;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i += BATCH_KEYS)
			sum += look_batch(draw + i);
		self->operations += BENCH_BATCH;
		draw += BENCH_BATCH;
		if (draw == self->draws_end)
			draw = self->draws;
	} while (bench_running());
	self->sum = sum;
	if (self->sum != self->operations)
		bench_die("an entry was not found");
}

static void prepare_words(unsigned threads, size_t size, unsigned updates)
{
	struct bench_zipf zipf;
	struct draw_plan plan = {
		.count = (uint32_t)size, .updates = updates, .zipf = &zipf,
	};
	uint32_t i;

	words = bench_words()->keys;
	if (size > bench_words()->count)
		bench_die("there are only %zu words", bench_words()->count);
	create(FH_KEYS_BYTES);
	for (i = 0; i < size; i++)
		insert_or_free(word_object(word_key(i)));
	bench_zipf_init(&zipf, size);
	bench_draw(threads, BENCH_DRAWS, draw_one, &plan);
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

/* Under a hard bound what is refused is tried again, until it is done. */
static void set_hard_bound(size_t bound)
{
	if (fh_rcu_set_bounds(0, bound))
		bench_die("no bound");
}

static void begin_bounded(unsigned threads, size_t size)
{
	set_hard_bound(FH_RCU_SOFT_BOUND);
	begin_churn(threads, size);
}

static void end_bounded(const struct bench_thread *pool, unsigned threads)
{
	end_churn(pool, threads);
	set_hard_bound(0);
}

static size_t all_words[2];

#define WORDS(what, prepare, loop, change)                           \
	{ .name = what, .threads = bench_threads, .sizes = all_words, \
	  .retires = change, .setup = prepare, .cleanup = cleanup,   \
	  .body = loop }

static const struct bench_case cases[] = {
	TABLE_CASES,
	WORDS("words-hit", prepare_words_hit, words_hit, false),
	WORDS("words-90-10", prepare_words_mix, words_mix, true),
	{ ONCE("churn-bounded", two_threads, thousand, begin_bounded, churn,
	       end_bounded),
	  .disturb = watch_garbage, .disturbers = TABLE_WATCH },
	LOOKUPS("hit-batch", BENCH_LONG, one_thread, bench_sizes, hit_batch),
	LOOKUPS("hit-batch", BENCH_LONG, one_thread, million, hit_batch),
	LOOKUPS("hit-batch", BENCH_LIMITS, one_thread, four_million,
		hit_batch),
};

int main(int argc, char **argv)
{
	all_words[0] = bench_words()->count;
	return bench_main("map", cases, ARRAY_LENGTH(cases), argc, argv);
}
