/* SPDX-License-Identifier: MIT */
/*
 * counter: additions of both signs, exact at rest; and counters that only
 * grow, where each read must lie between what was finished when it began and
 * what was begun when it ended.
 */
#include "soak.h"

#define MIXED 4
#define GROWING 2

enum { ADD, GROW, READ };
static const char *const operations[] = { "add", "grow", "read", NULL };

static struct fh_counter mixed[MIXED], growing[GROWING];
static _Atomic(int64_t) mixed_sum[MIXED];
static _Atomic(int64_t) begun[GROWING], finished[GROWING];

static void add(struct soak_worker *worker)
{
	size_t i = soak_random(worker, MIXED);
	int64_t amount = (int64_t)soak_random(worker, 2001) - 1000;

	soak_begin(worker, ADD);
	fh_counter_add(&mixed[i], amount);
	add_relaxed(&mixed_sum[i], amount);
}

static void grow(struct soak_worker *worker)
{
	size_t i = soak_random(worker, GROWING);
	int64_t amount = 1 + (int64_t)soak_random(worker, 5);

	soak_begin(worker, GROW);
	add_seq_cst(&begun[i], amount);
	fence_seq_cst();
	fh_counter_add(&growing[i], amount);
	fence_seq_cst();
	add_seq_cst(&finished[i], amount);
}

static void look(struct soak_worker *worker)
{
	size_t i = soak_random(worker, GROWING);
	int64_t low, value, high;

	soak_begin(worker, READ);
	low = load_seq_cst(&finished[i]);
	value = fh_counter_read(&growing[i]);
	fence_seq_cst();
	high = load_seq_cst(&begun[i]);
	soak_expect(low <= value && value <= high, "a read gave %lld; %lld "
		    "had been added and %lld been begun", (long long)value,
		    (long long)low, (long long)high);
}

static void work(struct soak_worker *worker)
{
	switch (soak_random(worker, 4)) {
	case 0:
		look(worker);
		break;
	case 1:
		grow(worker);
		break;
	default:
		add(worker);
	}
}

static void check(void)
{
	for (size_t i = 0; i < MIXED; i++)
		soak_expect(fh_counter_read(&mixed[i]) ==
			    load_relaxed(&mixed_sum[i]),
			    "counter %zu has %lld at rest, not %lld", i,
			    (long long)fh_counter_read(&mixed[i]),
			    (long long)load_relaxed(&mixed_sum[i]));
	for (size_t i = 0; i < GROWING; i++)
		soak_expect(fh_counter_read(&growing[i]) ==
			    load_relaxed(&finished[i]),
			    "counter %zu that grows has %lld at rest, not %lld",
			    i, (long long)fh_counter_read(&growing[i]),
			    (long long)load_relaxed(&finished[i]));
}

static void nothing(void)
{
}

struct soak_room soak_counter = {
	.name = "counter", .operations = operations, .weight = 10,
	.setup = nothing, .work = work, .check = check, .teardown = nothing,
};
