/* SPDX-License-Identifier: MIT */
/* counter: zero bytes are 0, signs, and exact at rest after many threads. */
#include <freehold/counter.h>

#include <string.h>

#include "tap.h"
#include "threads.h"

static struct fh_counter static_counter;

static void test_single(void)
{
	struct fh_counter counter;
	int i;

	is(fh_counter_read(&static_counter), 0, "a static counter is 0");
	fh_counter_add(&static_counter, 3);
	is(fh_counter_read(&static_counter), 3, "and counts");

	memset(&counter, 0, sizeof(counter));
	is(fh_counter_read(&counter), 0, "a cleared counter is 0");
	is(fh_counter_add(&counter, 5), 5, "the first add tells its stripe");
	is(fh_counter_add(&counter, -7), -2, "adding a negative amount");
	is(fh_counter_read(&counter), -2, "a counter may be negative");
	is(fh_counter_add(&counter, 0), -2, "adding nothing");
	fh_counter_add(&counter, INT64_MAX);
	is(fh_counter_read(&counter), INT64_MAX - 2, "large amounts");
	for (i = 0; i < 4; i++)
		fh_counter_add(&counter, INT64_MAX);
	is(fh_counter_read(&counter),
	   (int64_t)((uint64_t)INT64_MAX * 5 - 2),
	   "the sum wraps around like an integer");
	ok(sizeof(struct fh_counter_stripe) == 64,
	   "a stripe fills a cache line");
}

struct shared {
	struct fh_counter up, mixed;
	size_t rounds;
	tally reads_back, reads_beyond;
	tally begun, ended;
};

static void add_many(unsigned index, struct shared *shared)
{
	uint64_t random = random_seed(index);
	int64_t amount, sum = 0;
	size_t i;

	for (i = 0; i < shared->rounds; i++) {
		add_seq_cst(&shared->begun, 1);
		fence_seq_cst();	/* adding orders nothing by itself */
		fh_counter_add(&shared->up, 1);
		add_seq_cst(&shared->ended, 1);
		amount = (int64_t)random_below(&random, 2001) - 1000;
		fh_counter_add(&shared->mixed, amount);
		sum += amount;
	}
	fh_counter_add(&shared->mixed, (int64_t)index - sum);
}

static void read_many(struct shared *shared, uint64_t all)
{
	uint64_t low, high, seen, last = 0;

	do {
		low = load_seq_cst(&shared->ended);
		seen = (uint64_t)fh_counter_read(&shared->up);
		high = load_seq_cst(&shared->begun);
		if (seen < last)
			add_relaxed(&shared->reads_back, 1);
		if (seen < low || seen > high)
			add_relaxed(&shared->reads_beyond, 1);
		last = seen;
	} while (low < all);
}

/*
 * A lost update (two threads loading one stripe and both storing) leaves the
 * sum short of the additions.  A read that misses a stripe, or counts one
 * twice, falls outside what had ended before it and had begun after it.
 */
static void hammer(unsigned index, void *arg)
{
	struct shared *shared = arg;

	if (index == 0)
		read_many(shared, 8 * shared->rounds);
	else
		add_many(index - 1, shared);
}

static void test_many(void)
{
	static struct shared shared;

	shared.rounds = scaled(200000, 1000);
	run_crew(9, hammer, &shared);
	is(fh_counter_read(&shared.up), 8 * shared.rounds,
	   "8 threads: every addition counts");
	is(fh_counter_read(&shared.mixed), 28,
	   "8 threads: mixed signs add up");
	is(shared.reads_back, 0, "reads never go back while all count up");
	is(shared.reads_beyond, 0,
	   "reads lie between what was there before and after");
}

/* A stripe that dies with its thread would lose what the thread had added. */
static void add_once(unsigned index, void *arg)
{
	fh_counter_add(arg, (int64_t)index);
}

static void test_short_lived(void)
{
	static struct fh_counter counter;
	size_t round, rounds = scaled(50, 5);

	for (round = 0; round < rounds; round++)
		run_crew(20, add_once, &counter);
	is(fh_counter_read(&counter), rounds * 190,
	   "what threads added survives them");
}

int main(void)
{
	watchdog(120);
	test_single();
	test_many();
	test_short_lived();
	return done_testing();
}
