/* SPDX-License-Identifier: MIT */
/*
 * status: get, set, get under a writer; and a plain acquire load beside get.
 *
 * The plain load is the floor: what a program pays that keeps its state in
 * an atomic variable of its own.  Its loop and that of get are the same but
 * for the one expression.  Atomic loads are neither hoisted nor merged, and
 * the sum of what was read is kept.
 */
#include <freehold/freehold.h>

#include "atomic.h"
#include "bench.h"

#define STATES 4

static BENCH_APART struct fh_status cell;

static void get(struct bench_thread *self)
{
	uint64_t sum = 0;
	unsigned i;

	do {
#pragma GCC unroll 8
		for (i = 0; i < BENCH_BATCH; i++)
			sum += fh_status_get(&cell);
		self->operations += BENCH_BATCH;
	} while (bench_running());
	self->sum = sum;
}

static void set(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			if (fh_status_set(&cell, i % STATES))
				bench_die("set failed");
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

#ifndef FREEHOLD_MUTEX
static BENCH_APART _Atomic(uint64_t) variable;

static void load(struct bench_thread *self)
{
	uint64_t sum = 0;
	unsigned i;

	do {
#pragma GCC unroll 8
		for (i = 0; i < BENCH_BATCH; i++)
			sum += load_acquire(&variable);
		self->operations += BENCH_BATCH;
	} while (bench_running());
	self->sum = sum;
}
#endif

static const struct bench_case cases[] = {
	{ .name = "get", .body = get,
	  .threads = bench_threads, .sizes = bench_one },
#ifndef FREEHOLD_MUTEX
	{ .name = "get", .subject = "plain", .body = load,
	  .threads = bench_threads, .sizes = bench_one },
#endif
	{ .name = "set", .threads = bench_threads, .sizes = bench_one,
	  .body = set },
	{ .name = "get-under-writer", .threads = bench_threads,
	  .sizes = bench_one, .body = get,
	  .disturb = set, .disturbers = 1 },
};

int main(int argc, char **argv)
{
	return bench_main("status", cases, ARRAY_LENGTH(cases), argc, argv);
}
