/* SPDX-License-Identifier: MIT */
/*
 * map_fill: an empty table with default options takes SIZE entries.
 *
 *  - fill: the time of an insertion, the allocation of the object and the
 *    table's growth included.
 *  - fill-longest: each insertion is timed by itself, without the allocation
 *    of its object.
 *  - fill-beside: so is each lookup of one more thread, of a key that is
 *    there: drawn from those whose insertion has returned.
 *  - memory: what the table itself takes, at rest, at sizes evenly spaced
 *    from SIZE to twice that: a whole cycle of a table that doubles.
 */
#ifndef FH_BENCH_MAP_FILL_H
#define FH_BENCH_MAP_FILL_H

#include <malloc.h>

#define SAMPLES 32

static struct histogram insertions, lookups;

static BENCH_APART uint32_t inserted;

/*
 * What an earlier table left in malloc's bins some later insertion would have
 * to join: a second for ten million pieces.
 */
static void begin_fill(unsigned threads, size_t size)
{
	malloc_trim(0);
	remember_size(threads, size);
	histogram_clear(&insertions, 1);
	histogram_clear(&lookups, 1);
	__atomic_store_n(&inserted, 0, __ATOMIC_RELAXED);
	table_create();
}

static void insert_new(struct object *object)
{
	if (!table_insert(object))
		bench_die("a new key was there");
}

static void fill(struct bench_thread *self)
{
	uint32_t i;

	for (i = 0; i < entries; i++) {
		insert_new(table_object(table_number(i)));
		nudge_at(i + 1);
	}
	self->operations = entries;
}

static void end_fill(const struct bench_thread *pool, unsigned threads)
{
	(void)pool;
	(void)threads;
	table_destroy();
}

static void fill_timed(struct bench_thread *self)
{
	uint32_t i;

	for (i = 0; i < entries; i++) {
		struct object *object = table_object(table_number(i));
		uint64_t began = bench_ticks();

		insert_new(object);
		histogram_add(&insertions, bench_ticks() - began);
		__atomic_store_n(&inserted, i + 1, __ATOMIC_RELEASE);
		nudge_at(i + 1);
	}
	self->operations = entries;
}

static void end_fill_timed(const struct bench_thread *pool, unsigned threads)
{
	static const char *const names[6] = {
		"insert_p50", "insert_p99", "insert_p99_9", "insert_p99_99",
		"insert_max", "insert_clock",
	};

	bench_report(names, &insertions, 1);
	end_fill(pool, threads);
}

static void look_present(uint64_t random)
{
	uint32_t present = __atomic_load_n(&inserted, __ATOMIC_ACQUIRE);
	uint64_t began, one;
	table_key key;

	if (!present)
		return;
	key = table_number((uint32_t)(random % present));
	began = bench_ticks();
	one = table_look(key);
	histogram_add(&lookups, bench_ticks() - began);
	if (!one)
		bench_die("an entry was not found while the table grew");
}

static void look_beside(struct bench_thread *self)
{
	uint64_t state = self->index;

	while (bench_running())
		look_present(bench_random(&state));
}

static void end_fill_beside(const struct bench_thread *pool, unsigned threads)
{
	static const char *const names[6] = {
		"lookup_p50", "lookup_p99", "lookup_p99_9", "lookup_p99_99",
		"lookup_max", "lookup_clock",
	};

	bench_report(names, &lookups, 1);
	end_fill_timed(pool, threads);
}

static double bytes_per_entry[SAMPLES];

static void begin_memory(unsigned threads, size_t size)
{
	remember_size(threads, size);
}

static size_t insert_up_to(uint32_t from, uint32_t to)
{
	struct object *object;
	size_t bytes = 0;

	for (; from < to; from++) {
		object = table_object(table_number(from));
		bytes += bench_chunk(object);
		insert_new(object);
		nudge_at(from + 1);
	}
	return bytes;
}

static void memory(struct bench_thread *self)
{
	size_t before = bench_memory(), objects = 0;
	uint32_t count = 0, next;
	unsigned i;

	table_create();
	for (i = 0; i < SAMPLES; i++) {
		next = entries + (uint32_t)((uint64_t)entries * i / SAMPLES);
		objects += insert_up_to(count, next);
		count = next;
		table_settle(count);
		subject_drain();
		bytes_per_entry[i] = (double)(bench_memory() - before -
					      objects) / count;
	}
	self->operations = count;
}

static void end_memory(const struct bench_thread *pool, unsigned threads)
{
	double sum = 0, most = 0;
	unsigned i;

	for (i = 0; i < SAMPLES; i++) {
		sum += bytes_per_entry[i];
		if (bytes_per_entry[i] > most)
			most = bytes_per_entry[i];
	}
	bench_field("bytes_per_entry", sum / SAMPLES);
	bench_field("bytes_per_entry_max", most);
	bench_field_list("bytes_per_entry_at", bytes_per_entry, SAMPLES);
	end_fill(pool, threads);
}

#endif
