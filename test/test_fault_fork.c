/* SPDX-License-Identifier: MIT */
/*
 * faults: fork while other threads are in the midst of every room, the table
 * among them resizing.  Parent and child both go on.  (test_rcu_fork.c does
 * the same for reclamation alone.)
 *
 * The child has one thread; whatever the others were doing stays half done.
 * In the lock-free build everything can still be used: the child finds what
 * is whole, finishes or passes by what is not, and drains.  If the library
 * were wrong, the child would wait for a thread that is not there, and its
 * alarm would end it; or find what is dead or torn, or miss its own numbers.
 * In the mutex build a lock may stay locked in the child for ever, as said in
 * docs/guide.md.  There it builds a new house; and since cells and records
 * share their locks with those of others, the parent leaves them alone.
 *
 * What the child may not rely on is that the parent's books balance: a count
 * may be off by what was under way.
 */
#include "faults.h"
#include "house.h"

#define THREADS 4

static struct house parents;

/* A house of the child's own, whose books must balance. */
static int build_anew(void)
{
	struct house house;

	house_open(&house, 60, 0);
	house.turns = 500;
	run_crew(2, house_live, &house);
	if (house_wrong(&house))
		return 0;
	house_close(&house);
	return drain() == 0;
}

/* The rooms as they were when the others vanished. */
static int move_in(void)
{
	uint64_t wrong = load_relaxed(&parents.wrong);

	parents.turns = 500;
	run_crew(2, house_live, &parents);
	return load_relaxed(&parents.wrong) == wrong && drain() == 0;
}

static int as_child(void)
{
	struct fh_rcu_stats stats;

	if (drain())
		return 1;	/* waits for a reader that is not there */
	if (!build_anew())
		return 2;
	if (LOCK_FREE && !move_in())
		return 3;	/* what was left half done is in the way */
	fh_rcu_get_stats(&stats);
	if (stats.oldest_reader)
		return 4;
	/* An object that was just being retired belongs to nobody. */
	return stats.pending > THREADS + HANDS ? 5 : 0;
}

static int as_child_twice(void)
{
	int rc = as_child();

	if (rc)
		return rc;
	return in_child(as_child) ? 6 : 0;
}

/* With pauses, which leave the child a processor. */
static void live_on(unsigned index, void *arg)
{
	struct house *house = arg;
	struct dweller self;
	int i;

	(void)index;
	house_enter(&self, house);
	while (!load_relaxed(&house->stop)) {
		for (i = 0; i < 200; i++)
			house_turn(&self);
		sleep_ns(MS / 4);
	}
	house_leave(&self);
}

static void test_forks(void)
{
	size_t i, forks = scaled(120, 8), bad = 0;
	struct crew crew;
	int rc;

	house_open(&parents, 400, 0);
	parents.closed = LOCK_FREE ? 0 : CELL | RECORD;
	crew_start(&crew, THREADS, live_on, &parents);
	for (i = 0; i < forks && bad < 3; i++) {
		rc = in_child(i % 5 ? as_child : as_child_twice);
		if (rc)
			diag("fork %zu: %d", i, rc);
		bad += rc != 0;
	}
	store_seq_cst(&parents.stop, 1);
	crew_join(&crew);
	is(bad, 0, "%zu children go on in the middle of it all", i);
	is(house_wrong(&parents), 0, "and so does the parent: its books "
	   "balance, %" PRIu64 " operations", (uint64_t)parents.done);
	ok(map_stats(parents.map).grown > 0, "the table was resizing: it grew "
	   "%" PRIu64 " times and shrank %" PRIu64,
	   map_stats(parents.map).grown, map_stats(parents.map).shrunk);
	house_close(&parents);
	is(drain(), 0, "drain");
}

int main(void)
{
	/* The thread sanitizer takes a grandchild's threads for the child's. */
	int (*child)(void) = SANITIZED ? as_child : as_child_twice;

	watchdog(120);
	house_open(&parents, 100, 0);
	is(in_child(child), 0, "a child before any use");
	parents.closed = TASKS;		/* which would be more threads */
	parents.turns = 500;
	house_live(0, &parents);
	is(in_child(child), 0, "a child of one thread");
	house_close(&parents);
	if (SANITIZED)
		skip("sanitizers do not survive a fork of many threads");
	else
		test_forks();
	return done_testing();
}
