/* SPDX-License-Identifier: MIT */
/*
 * map_cases: what every table is measured by.
 *
 * A program includes this behind its adapter, so that the compiler sees both
 * and nobody pays for a pointer to a function.  The adapter, bench_map.c or
 * table_NAME, defines
 *
 *     TABLE_WATCH           1 if threads may watch the table from outside
 *     table_key             the type of a key
 *     struct object         64 bytes with a member `one`, which lookups read
 *     table_number(i)       the key that number i stands for
 *     table_object(key)     a new object with this key, its `one` set to 1
 *     table_create()        an empty table with default options
 *     table_destroy()       the table and the objects that are left in it
 *     table_look(key)       the `one` of the object with the key, or 0
 *     table_insert(object)  false: the key is there, the object the caller's
 *     table_discard(key)    remove and retire; false: the key is not there
 *     table_settle(count)   finish what the table does bit by bit; it has so
 *                           many objects
 *     table_nudge(count)    the same where a table might never do it
 *     table_garbage(&pending, &bound, &over)
 *                           objects that wait for reclamation, how many may,
 *                           and how often that was passed; false: cannot tell
 *
 * A lookup is a read section of its own, or a lock, or whatever else makes it
 * safe to read the object.  Written in what C and C++ have in common.
 */
#ifndef FH_BENCH_MAP_CASES_H
#define FH_BENCH_MAP_CASES_H

#include "bench.h"
#include "histogram.h"
#include "memory.h"
#include "subject.h"

#include <stdlib.h>
#include <string.h>

/* A draw: what to do, and with which key. */
enum { LOOK, INSERT, REMOVE };
#define KIND_SHIFT 30
#define INDEX_MASK ((UINT32_C(1) << KIND_SHIFT) - 1)

/* So many draws, from so many entries on, that they do not stay cached. */
#define MANY_ENTRIES 200000
#define MANY_DRAWS (4 * BENCH_DRAWS)

struct draw_plan {
	uint32_t count;		/* keys 0 to count - 1 */
	unsigned updates;	/* per cent */
	const struct bench_zipf *zipf;	/* NULL: all keys alike */
};

/* The loops are written once, and compiled for each kind of key. */
#define FOR_EACH_KIND static inline __attribute__((always_inline))

/* Added to each index: a lookup that misses looks past what is there. */
static uint32_t beyond;
static uint32_t entries;

FOR_EACH_KIND void look_loop(struct bench_thread *self, uint32_t first,
			     table_key (*key_of)(uint32_t index))
{
	const uint32_t *draw = self->draws;
	uint64_t sum = 0;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			sum += table_look(key_of(first + *draw++));
		self->operations += BENCH_BATCH;
		if (draw == self->draws_end)
			draw = self->draws;
	} while (bench_running());
	self->sum = sum;
}

static inline void insert_or_free(struct object *object)
{
	if (!table_insert(object))
		free(object);
}

FOR_EACH_KIND uint64_t mix_one(uint32_t draw,
			       table_key (*key_of)(uint32_t index),
			       struct object *(*make)(table_key key))
{
	table_key key = key_of(draw & INDEX_MASK);

	switch (draw >> KIND_SHIFT) {
	case INSERT:
		insert_or_free(make(key));
		return 0;
	case REMOVE:
		table_discard(key);
		return 0;
	default:
		return table_look(key);
	}
}

FOR_EACH_KIND void mix_loop(struct bench_thread *self,
			    table_key (*key_of)(uint32_t index),
			    struct object *(*make)(table_key key))
{
	const uint32_t *draw = self->draws;
	uint64_t sum = 0;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			sum += mix_one(*draw++, key_of, make);
		self->operations += BENCH_BATCH;
		if (draw == self->draws_end)
			draw = self->draws;
	} while (bench_running());
	self->sum = sum;
}

/* The sum proves that the case measures what its name says. */
static void hit(struct bench_thread *self)
{
	look_loop(self, 0, table_number);
	if (self->sum != self->operations)
		bench_die("an entry was not found");
}

static void miss(struct bench_thread *self)
{
	look_loop(self, beyond, table_number);
	if (self->sum)
		bench_die("an entry was found that was never inserted");
}

static void mix(struct bench_thread *self)
{
	mix_loop(self, table_number, table_object);
}

static uint32_t draw_one(uint64_t *state, void *arg)
{
	const struct draw_plan *plan = (const struct draw_plan *)arg;
	uint64_t random = bench_random(state);
	uint32_t index, kind = LOOK;

	if ((random & 0xffffffff) % 100 < plan->updates)
		kind = random >> 63 ? INSERT : REMOVE;
	if (plan->zipf)
		index = (uint32_t)bench_zipf_draw(plan->zipf, state);
	else
		index = (uint32_t)(bench_random(state) % plan->count);
	return kind << KIND_SHIFT | index;
}

/* At 768, 1536 and so on: well after a table that doubles should have. */
static inline void nudge_at(uint32_t count)
{
	uint32_t third = count / 3;

	if (third >= 256 && third * 3 == count && !(third & (third - 1)))
		table_nudge(count);
}

/* A table with the numbers 0, step, 2 * step and so on below @end. */
static void fill_numbers(uint32_t end, uint32_t step)
{
	uint32_t i;

	table_create();
	for (i = 0; i < end; i += step) {
		insert_or_free(table_object(table_number(i)));
		nudge_at(i / step + 1);
	}
	table_settle(end / step);
}

static void prepare_numbers(unsigned threads, size_t size, unsigned updates)
{
	uint32_t step = updates ? 2 : 1;
	struct draw_plan plan = {
		.count = (uint32_t)size * step, .updates = updates,
		.zipf = NULL,
	};

	if (size > INDEX_MASK / 2)
		bench_die("too large a table");
	fill_numbers(plan.count, step);
	bench_draw(threads, size < MANY_ENTRIES ? BENCH_DRAWS : MANY_DRAWS,
		   draw_one, &plan);
	bench_calibrate();
	beyond = plan.count;
}

static void prepare_present(unsigned threads, size_t size)
{
	prepare_numbers(threads, size, 0);
}

static void prepare_mix_10(unsigned threads, size_t size)
{
	prepare_numbers(threads, size, 10);
}

static void prepare_mix_50(unsigned threads, size_t size)
{
	prepare_numbers(threads, size, 50);
}

static void cleanup(void)
{
	table_destroy();
}

/* What a repetition begins with that makes its table itself. */
static void remember_size(unsigned threads, size_t size)
{
	(void)threads;
	bench_calibrate();
	entries = (uint32_t)size;
}

#include "map_contend.h"
#include "map_fill.h"
#include "map_latency.h"
#include "map_churn.h"

static const unsigned one_thread[] = { 1, 0 };
static const unsigned two_threads[] = { 1, 2, 0 };
static const unsigned eight_threads[] = { 8, 0 };
static const size_t million[] = { 1000000, 0 };
static const size_t four_million[] = { 4000000, 0 };
static const size_t from_million[] = { 1000000, 4000000, 0 };
static const size_t from_hundred[] = { 100000, 1000000, 4000000, 0 };
static const size_t to_million[] = { 100000, 1000000, 0 };
static const size_t thousand[] = { 1000, 0 };

#define LOOKUPS(what, who, cores, many, loop)                             \
	{ .name = what, .when = who, .threads = cores, .sizes = many,     \
	  .shared = true, .setup = prepare_present, .cleanup = cleanup,   \
	  .body = loop }
#define MIX(what, who, many, prepare)                                     \
	{ .name = what, .when = who, .threads = bench_threads,            \
	  .sizes = many, .shared = true, .retires = true,                 \
	  .setup = prepare, .cleanup = cleanup, .body = mix }
#define ONCE(what, cores, many, begin, work, end)                         \
	.name = what, .when = BENCH_LIMITS, .threads = cores,             \
	.sizes = many, .once = true, .retires = true, .before = begin,    \
	.body = work, .after = end

#define TABLE_CASES                                                       \
	LOOKUPS("hit", BENCH_ALWAYS, bench_threads, bench_sizes, hit),    \
	LOOKUPS("hit", BENCH_LONG, bench_threads, million, hit),          \
	LOOKUPS("hit", BENCH_LIMITS, bench_threads, four_million, hit),   \
	LOOKUPS("miss", BENCH_ALWAYS, bench_threads, bench_sizes, miss),  \
	LOOKUPS("miss", BENCH_LIMITS, two_threads, from_million, miss),   \
	MIX("mix-90-10", BENCH_ALWAYS, bench_sizes, prepare_mix_10),      \
	MIX("mix-90-10", BENCH_LIMITS, from_million, prepare_mix_10),     \
	MIX("mix-50-50", BENCH_ALWAYS, bench_sizes, prepare_mix_50),      \
	MIX("mix-50-50", BENCH_LIMITS, from_million, prepare_mix_50),     \
	{ .name = "insert-contended", .when = BENCH_LIMITS,               \
	  .threads = bench_threads, .sizes = bench_one, .shared = true,   \
	  .retires = true, .setup = prepare_contended,                    \
	  .cleanup = cleanup, .body = contend, .after = report_won },     \
	{ ONCE("fill", one_thread, from_hundred, begin_fill, fill,        \
	       end_fill) },                                               \
	{ ONCE("fill-longest", one_thread, from_hundred, begin_fill,      \
	       fill_timed, end_fill_timed) },                             \
	{ ONCE("fill-beside", one_thread, from_hundred, begin_fill,       \
	       fill_timed, end_fill_beside),                              \
	  .disturb = look_beside, .disturbers = 1 },                      \
	{ ONCE("memory", one_thread, to_million, begin_memory, memory,    \
	       end_memory) },                                             \
	{ ONCE("churn", two_threads, thousand, begin_churn, churn,        \
	       end_churn),                                                \
	  .disturb = watch_garbage, .disturbers = TABLE_WATCH },          \
	{ .name = "latency", .when = BENCH_LIMITS,                        \
	  .threads = eight_threads, .sizes = bench_sizes,                 \
	  .shared = true, .retires = true, .setup = prepare_mix_50,       \
	  .cleanup = cleanup, .before = begin_latency,                    \
	  .body = look_timed, .after = report_latency,                    \
	  .disturb = update, .disturbers = 1 }

#endif
