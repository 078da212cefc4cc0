/* SPDX-License-Identifier: MIT */
/*
 * rcu_cases: retiring, of whatever kind.
 *
 * A program includes this behind its adapter, which defines the type
 * rcu_link, to embed, with retire(link, reclaim), begin_section() and
 * end_section().
 *
 *  - read-section: enter and leave.
 *  - retire: of objects of 64 bytes, with their allocation, their share of
 *    grace periods and their reclamation: the clock stops when all that was
 *    retired is freed.
 *  - retire-only: the same without malloc and free.  The threads share
 *    ROUND_OBJECTS that were allocated before; each retires its part, waits
 *    until all of it was reclaimed, and begins again.  The reclaim function
 *    only counts, by which each object tells that none was left out.
 */
#ifndef FH_BENCH_RCU_CASES_H
#define FH_BENCH_RCU_CASES_H

#include "subject.h"

#include <stdlib.h>

#define ROUND_OBJECTS (1u << 18)

struct object {
	rcu_link link;
	uint64_t reclaimed;
	uint64_t payload[5];
};

_Static_assert(sizeof(struct object) == 64, "as the table's");

static struct object *objects;
static unsigned objects_each;

static inline struct object *object_of(rcu_link *link)
{
	return (struct object *)((char *)link -
				 offsetof(struct object, link));
}

static void read_section(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			begin_section();
			end_section();
		}
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

static void free_object(rcu_link *link)
{
	free(object_of(link));
}

static inline void retire_one(void)
{
	struct object *object = bench_alloc(sizeof(*object));

	object->payload[0] = 1;
	retire(&object->link, free_object);
}

static void retire_many(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			retire_one();
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

static void count_object(rcu_link *link)
{
	object_of(link)->reclaimed++;
}

static void prepare_objects(unsigned threads, size_t size)
{
	(void)size;
	objects = bench_alloc(sizeof(*objects) * ROUND_OBJECTS);
	objects_each = ROUND_OBJECTS / threads;
}

static void free_objects(void)
{
	free(objects);
}

static void begin_rounds(unsigned threads, size_t size)
{
	size_t i;

	(void)size;
	for (i = 0; i < threads * (size_t)objects_each; i++)
		objects[i].reclaimed = 0;
}

static void retire_rounds(struct bench_thread *self)
{
	struct object *mine = objects + self->index * (size_t)objects_each;
	unsigned i;

	do {
		for (i = 0; i < objects_each; i++)
			retire(&mine[i].link, count_object);
		self->operations += objects_each;
		self->sum++;
		subject_drain();
	} while (bench_running());
}

static void check_rounds(const struct bench_thread *pool, unsigned threads)
{
	const struct object *object = objects;
	unsigned t, i;

	for (t = 0; t < threads; t++)
		for (i = 0; i < objects_each; i++, object++)
			if (object->reclaimed != pool[t].sum)
				bench_die("an object was reclaimed too "
					  "seldom or too often");
}

#define RCU_CASES                                                         \
	{ .name = "read-section", .threads = bench_threads,               \
	  .sizes = bench_one, .body = read_section },                     \
	{ .name = "retire", .threads = bench_threads, .sizes = bench_one, \
	  .retires = true, .body = retire_many },                         \
	{ .name = "retire-only", .threads = bench_threads,                \
	  .sizes = bench_one, .retires = true,                            \
	  .setup = prepare_objects, .cleanup = free_objects,              \
	  .before = begin_rounds, .body = retire_rounds,                  \
	  .after = check_rounds }

#endif
