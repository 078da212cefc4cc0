/* SPDX-License-Identifier: MIT */
/*
 * faults: far more threads than processors, over every room at once.
 *
 * A thread loses its processor at any instruction of any operation, and comes
 * back when dozens of others have been through the same words.  What would be
 * seen if the library were wrong: see house.h; besides, an algorithm that
 * waits for a thread which is not scheduled would not finish in time.
 */
#include "house.h"

#define CROWD 32

static void crowd_in(struct house *house, const char *name)
{
	struct fh_rcu_stats stats;

	house->turns = scaled(15000, 1000);
	run_crew(CROWD, house_live, house);
	is(house_wrong(house), 0, "%s: %d threads, %" PRIu64
	   " operations, %" PRIu64 " refused: the books balance", name, CROWD,
	   (uint64_t)house->done, (uint64_t)house->refused);
	diag("the table grew %" PRIu64 " times and shrank %" PRIu64,
	     map_stats(house->map).grown, map_stats(house->map).shrunk);
	is(drain(), 0, "%s: drain", name);
	fh_rcu_get_stats(&stats);
	is(stats.pending, 0, "%s: nothing waits", name);
}

static void test_resizing(void)
{
	struct house house;

	house_open(&house, 200, 0);
	crowd_in(&house, "a table that resizes");
	ok(map_stats(house.map).grown > 0, "it has resized");
	house_close(&house);
}

static void test_fixed(void)
{
	struct house house;

	house_open(&house, 3, 1);
	crowd_in(&house, "a table that does not");
	house_close(&house);
}

/* So low that the threads are in each other's way. */
static void test_bound(void)
{
	struct house house;

	fh_rcu_set_bounds(0, 2 * CROWD);
	house_open(&house, 20, 1);
	crowd_in(&house, "under a hard bound");
	ok(house.refused > 0, "it was reached");
	house_close(&house);
	fh_rcu_set_bounds(0, 0);
}

int main(void)
{
	watchdog(120);
	test_resizing();
	test_fixed();
	test_bound();
	is(drain(), 0, "drain");
	return done_testing();
}
