/* SPDX-License-Identifier: MIT */
/*
 * status and counter: what mutants showed that no other test looked at.
 * Some of it looks into the cell, so it is for the lock-free build alone.
 */
#include <freehold/freehold.h>

#include "tap.h"
#include "threads.h"

#include <errno.h>

#define MS INT64_C(1000000)
#define WAITERS 1u	/* the bit that src/status.c calls W */

/*
 * The state came back, the epoch did not.  A compare-exchange that compared
 * states alone would take the one for the other.
 */
static void test_epoch(void)
{
	struct fh_status cell = FH_STATUS_INIT(3);
	struct fh_status_snapshot seen = fh_status_read(&cell);

	is(fh_status_set(&cell, 5), 0, "away");
	is(fh_status_set(&cell, 3), 0, "and back");
	is(fh_status_compare_exchange(&cell, &seen, 7), -EAGAIN,
	   "the same state of another epoch is not the same");
	is(seen.epoch, 2, "the present epoch is told");
	is(fh_status_compare_exchange(&cell, &seen, 7), 0, "now it is");
}

static struct fh_status awaited;

static void wait_for_five(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	fh_status_wait(&awaited, FH_STATE(5), FH_FOREVER, NULL);
}

/* A bit that stays would make every later change call the system. */
static void test_bit(void)
{
	struct crew crew;
	int tries = 30000;

	crew_start(&crew, 1, wait_for_five, NULL);
	while (!(load_seq_cst(atomic_word(&awaited.word)) & WAITERS) && --tries)
		sleep_ns(MS);
	ok(tries, "who waits says so in the cell");
	fh_status_set(&awaited, 5);
	crew_join(&crew);
	ok(!(awaited.word & WAITERS), "a change that woke all says so too");
}

static void test_poll(void)
{
	struct fh_status cell = FH_STATUS_INIT(0);

	is(fh_status_wait(&cell, FH_STATE(1), 0, NULL), -ETIMEDOUT, "a poll");
	is(fh_status_wait(&cell, FH_STATE(1), fh_now(), NULL), -ETIMEDOUT,
	   "another");
	is(cell.word, 0, "a poll leaves no trace in the cell");
}

/* ---- counter ---- */

#define ADDERS (2 * FH_COUNTER_STRIPES + 2)
static struct fh_counter counter;

static void add(unsigned index, void *arg)
{
	size_t i, rounds = *(size_t *)arg;

	(void)index;
	for (i = 0; i < rounds; i++)
		fh_counter_add(&counter, 1);
}

/* Stripes are shared: an addition in two steps would lose some. */
static void test_shared_stripes(void)
{
	size_t rounds = scaled(20000, 500);

	run_crew(ADDERS, add, &rounds);
	is(fh_counter_read(&counter), (int64_t)(ADDERS * rounds),
	   "%d threads on %d stripes lose nothing", ADDERS,
	   FH_COUNTER_STRIPES);
}

/* A thread's additions go to one stripe, so what they return goes up by 1. */
static void test_own_stripe(void)
{
	struct fh_counter fresh = { 0 };
	int i, right = 0;

	for (i = 1; i <= 100; i++)
		right += fh_counter_add(&fresh, 1) == i;
	is(right, 100, "a thread keeps its stripe");
}

int main(void)
{
	watchdog(60);
	test_epoch();
	test_bit();
	test_poll();
	test_shared_stripes();
	test_own_stripe();
	return done_testing();
}
