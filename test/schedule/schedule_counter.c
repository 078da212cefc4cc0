/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the counter.  The source is compiled into this program with
 * two stripes, so that three threads are enough to share one.
 *
 * Additions of one, and reads by threads that do not add, must be
 * linearizable: a sum of stripes that are read at different moments is then
 * one that the counter had.  Of threads that add and then read, two may each
 * miss the other's addition, as with any store before a load: these are held
 * to what one read promises.  Other amounts are exact at rest.
 */
#include "schedule.h"

#include <freehold/counter.h>

#undef FH_COUNTER_STRIPES
#define FH_COUNTER_STRIPES 2
#include "counter.c"

#include <stdlib.h>

enum operation { ADD, READ };

static struct fh_counter counter;

/* ---- the specification ---- */

static bool step(void *state, const struct call *call)
{
	int64_t *sum = state;

	if (call->operation == READ)
		return call->result == (uint64_t)*sum;
	*sum += (int64_t)call->argument;
	return true;
}

/* ---- the operations ---- */

static int64_t add(int64_t amount)
{
	struct call *call = call_begin(ADD, (uint64_t)amount);
	int64_t stripe = fh_counter_add(&counter, amount);

	call_end(call, 0);
	return stripe;
}

static int64_t sum(void)
{
	struct call *call = call_begin(READ, 0);
	int64_t value = fh_counter_read(&counter);

	call_end(call, (uint64_t)value);
	return value;
}

/* Others may add to the stripe too, but never take away. */
static void add_twice(void)
{
	int64_t first = add(1), second = add(1);

	expect(first >= 1, "the stripe is %jd after an addition",
	       (intmax_t)first);
	expect(second > first, "the stripe went from %jd to %jd",
	       (intmax_t)first, (intmax_t)second);
}

static void add_one(void)
{
	expect(add(1) >= 1, "the addition is not in the stripe");
}

static void read_twice(void)
{
	int64_t first = sum(), second = sum();

	expect(second >= first, "the sum went from %jd to %jd",
	       (intmax_t)first, (intmax_t)second);
}

static void read_once(void)
{
	sum();
}

/* What one has added it finds, and no more than all have. */
static void add_and_read(void)
{
	int64_t value;

	add(1);
	value = sum();
	expect(value >= 1 && value <= 3, "the sum is %jd", (intmax_t)value);
}

static void sum_is_three(void)
{
	expect(sum() == 3, "additions were lost");
}

static void finish(void)
{
	static const int64_t nothing;

	sum();
	expect(linearizable(step, &nothing, sizeof(nothing)),
	       "the history is not linearizable");
}

/* ---- amounts of either sign: exact at rest ---- */

static void up(void)
{
	fh_counter_add(&counter, INT64_MAX);
}

static void down(void)
{
	fh_counter_add(&counter, -3);
}

static void around(void)
{
	fh_counter_add(&counter, INT64_MAX);
	fh_counter_add(&counter, 5);
}

/* Wraps around as any word does: twice the largest is -2. */
static void sum_is_zero(void)
{
	expect(fh_counter_read(&counter) == 0, "the sum is %jd, not 0",
	       (intmax_t)fh_counter_read(&counter));
}

/* ---- a read acquires what a fence before an addition released ---- */

static int before;

static void write_and_count(void)
{
	before = 1;
	atomic_thread_fence(memory_order_release);
	fh_counter_add(&counter, 1);
}

static void count_and_look(void)
{
	if (fh_counter_read(&counter))
		expect(before, "what came before the addition is missing");
}

/* The first thread's stripe is the third one's too. */
static void add_nothing_and_look(void)
{
	fh_counter_add(&counter, 0);
	count_and_look();
}

static const struct scenario scenarios[] = {
	{ "add | add | add", .thread = { add_one, add_one, add_one },
	  .finish = finish },
	{ "add twice | add twice | add twice",
	  .thread = { add_twice, add_twice, add_twice }, .finish = finish },
	{ "add twice | add | add | add twice",
	  .thread = { add_twice, add_one, add_one, add_twice },
	  .finish = finish },
	{ "add | read", .thread = { add_one, read_once }, .finish = finish },
	{ "add twice | read twice", .thread = { add_twice, read_twice },
	  .finish = finish },
	{ "add twice | add twice | read twice",
	  .thread = { add_twice, add_twice, read_twice }, .finish = finish },
	{ "add | add | add | read twice",
	  .thread = { add_one, add_one, add_one, read_twice },
	  .finish = finish },
	{ "add | add | read | read twice",
	  .thread = { add_one, add_one, read_once, read_twice },
	  .finish = finish },
	{ "add and read | add and read | add and read",
	  .thread = { add_and_read, add_and_read, add_and_read },
	  .finish = sum_is_three },
	{ "up | down | around", .thread = { up, down, around },
	  .finish = sum_is_zero },
	{ "write and count | count and look",
	  .thread = { write_and_count, count_and_look } },
	{ "write and count | count and look | add nothing and look",
	  .thread = { write_and_count, count_and_look,
		      add_nothing_and_look } },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(scenarios[0]));
}
