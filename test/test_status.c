/* SPDX-License-Identifier: MIT */
/*
 * status: one thread first, then readers and winners.  Waits are in
 * test_status_wait.c, what makes no system call in test_status_calls.c.
 */
#include <freehold/base.h>
#include <freehold/status.h>

#include <errno.h>
#include <string.h>

#include "tap.h"
#include "threads.h"

static struct fh_status static_cell;

static void is_at(const struct fh_status *cell, unsigned state,
		  uint64_t epoch, const char *what)
{
	struct fh_status_snapshot now = fh_status_read(cell);

	ok(now.state == state && now.epoch == epoch &&
	   fh_status_get(cell) == state,
	   "%s: state %u, epoch %" PRIu64, what, state, epoch);
}

static void test_zero(void)
{
	static struct fh_status initialised = FH_STATUS_INIT(63);
	struct fh_status cleared;

	is_at(&static_cell, 0, 0, "a static cell");
	memset(&cleared, 0, sizeof(cleared));
	is_at(&cleared, 0, 0, "a cleared cell");
	is(fh_status_set(&cleared, 0), 0, "setting the state that is there");
	is_at(&cleared, 0, 1, "is a change");
	is_at(&initialised, 63, 0, "FH_STATUS_INIT");
	is(fh_status_set(&initialised, 1), 0, "set an initialised cell");
	is_at(&initialised, 1, 1, "after it");
	is(sizeof(struct fh_status), 8, "a cell is one word");
}

static void test_all_states(void)
{
	struct fh_status cell = FH_STATUS_INIT(7);
	struct fh_status_snapshot seen;
	unsigned state, wrong = 0;

	for (state = 0; state < FH_STATUS_STATES; state++) {
		wrong += fh_status_set(&cell, state) != 0;
		seen = fh_status_read(&cell);
		wrong += seen.state != state || seen.epoch != state + 1;
		wrong += fh_status_get(&cell) != state;
	}
	is(wrong, 0, "64 states set and read back");
	is(fh_status_set(&cell, 64), -EINVAL, "there is no state 64");
	is(fh_status_set(&cell, ~0u), -EINVAL, "nor any beyond");
	is_at(&cell, 63, 64, "a refused set changes nothing");
}

static void test_compare_exchange(void)
{
	struct fh_status cell = FH_STATUS_INIT(2);
	struct fh_status_snapshot seen = { 2, 0 };

	is(fh_status_compare_exchange(&cell, &seen, 3), 0, "as expected");
	is_at(&cell, 3, 1, "changed");
	is(fh_status_compare_exchange(&cell, &seen, 4), -EAGAIN, "stale");
	ok(seen.state == 3 && seen.epoch == 1, "expected is up to date");
	is_at(&cell, 3, 1, "a failure changes nothing");
	seen.state = 9;
	is(fh_status_compare_exchange(&cell, &seen, 4), -EAGAIN,
	   "the epoch alone is not enough");
	is(fh_status_compare_exchange(&cell, &seen, 64), -EINVAL,
	   "there is no state 64");
	is_at(&cell, 3, 1, "still nothing changed");
	is(fh_status_compare_exchange(&cell, &seen, 3), 0, "to itself");
	is_at(&cell, 3, 2, "counts as a change");
}

/* One try of the step @from -> @to; returns how many promises it broke. */
static unsigned try_step(const struct fh_status_table *table, unsigned from,
			 unsigned to)
{
	struct fh_status cell = FH_STATUS_INIT(from);
	struct fh_status_snapshot left = { 99, 99 }, now;
	int legal = from < table->states &&
		    (table->allowed[from] & FH_STATE(to));
	int rc = fh_status_transition(&cell, table, to, &left);
	unsigned wrong = 0;

	now = fh_status_read(&cell);
	wrong += rc != (legal ? 0 : -EPERM);
	wrong += left.state != from || left.epoch != 0;
	wrong += now.state != (legal ? to : from);
	wrong += now.epoch != (legal ? 1 : 0);
	return wrong;
}

static void test_transitions(void)
{
	static const uint64_t small[] = {
		FH_STATE(1), FH_STATE(2) | FH_STATE(3), FH_STATE(1) |
		FH_STATE(2), 0,
	};
	struct fh_status_table table = { 4, small };
	uint64_t rows[64], random = random_seed(1);
	struct fh_status cell = FH_STATUS_INIT(5);
	unsigned from, to, wrong = 0;

	for (from = 0; from < 64; from++)
		for (to = 0; to < 4; to++)
			wrong += try_step(&table, from, to);
	is(wrong, 0, "a table of 4: all steps, from all 64 states");

	for (from = 0; from < 64; from++)
		rows[from] = random_next(&random);
	table.states = 64;
	table.allowed = rows;
	for (from = 0; from < 64; from++)
		for (to = 0; to < 64; to++)
			wrong += try_step(&table, from, to);
	is(wrong, 0, "a table of 64: all 4096 steps");

	table.states = 4;
	is(fh_status_transition(&cell, &table, 4, NULL), -EINVAL,
	   "the target is no state of the table");
	is(fh_status_transition(&cell, &table, 64, NULL), -EINVAL,
	   "nor of any table");
	is(fh_status_transition(&cell, &table, 1, NULL), -EPERM,
	   "from may be NULL");
	is_at(&cell, 5, 0, "all refused");
}

/* ---- many threads ---- */

struct contest {
	struct fh_status cell;
	uint64_t rounds;
	tally wins, wrong;
	_Atomic(unsigned char) *winners; /* by epoch that was left */
};

/*
 * Two winners of one epoch would be counted in winners; an epoch that was
 * skipped or given out twice would make wins differ from the final epoch.
 */
static void compete(unsigned index, void *arg)
{
	struct contest *contest = arg;
	struct fh_status_snapshot seen, before;
	uint64_t random = random_seed(index);
	int rc;

	seen = fh_status_read(&contest->cell);
	while (seen.epoch < contest->rounds) {
		before = seen;
		rc = fh_status_compare_exchange(
			&contest->cell, &seen,
			(unsigned)random_below(&random, 64));
		if (!rc) {
			add_relaxed(&contest->wins, 1);
			add_relaxed(&contest->winners[before.epoch], 1);
			seen = fh_status_read(&contest->cell);
		} else if (rc != -EAGAIN || seen.epoch <= before.epoch) {
			add_relaxed(&contest->wrong, 1);
		}
	}
}

/* The ring 0 -> 1 -> 2 -> 0: each step of it has one winner. */
static void step_round(unsigned index, void *arg)
{
	static const uint64_t ring[] = { FH_STATE(1), FH_STATE(2),
					 FH_STATE(0) };
	static const struct fh_status_table table = { 3, ring };
	struct contest *contest = arg;
	struct fh_status_snapshot from = { 0, 0 };
	unsigned to = index % 3;
	int rc;

	do {
		rc = fh_status_transition(&contest->cell, &table, to, &from);
		if (from.epoch >= contest->rounds)
			break;
		if (!rc) {
			add_relaxed(&contest->wins, 1);
			add_relaxed(&contest->winners[from.epoch], 1);
		}
		if (!rc && (from.state + 1) % 3 != to)
			add_relaxed(&contest->wrong, 1);
		if (rc && (rc != -EPERM || (from.state + 1) % 3 == to))
			add_relaxed(&contest->wrong, 1);
		if (rc)
			to = (from.state + 1) % 3;
	} while (from.epoch < contest->rounds);
}

static void test_contest(crew_work work, const char *what)
{
	struct contest contest = { .rounds = scaled(200000, 1000) };
	uint64_t epoch, shared = 0, final;

	contest.winners = calloc(contest.rounds, 1);
	if (!contest.winners)
		bail_out("no memory");
	run_crew(8, work, &contest);
	final = fh_status_read(&contest.cell).epoch;
	for (epoch = 0; epoch < contest.rounds; epoch++)
		shared += contest.winners[epoch] != 1;
	ok(final >= contest.rounds, "%s: ran to the end", what);
	is(shared, 0, "%s: each epoch has one winner", what);
	is(contest.wrong, 0, "%s: results fit", what);
	if (work == compete)
		is(contest.wins, final, "%s: wins make the epoch", what);
	free((void *)contest.winners);
}

struct watch {
	struct fh_status cell;
	uint64_t rounds;
	uint64_t payload;	/* plain: written before, read after */
	tally back, torn, stale, missed;
};

/* Keeps the rule that the state is the epoch's remainder. */
static void write_pairs(struct watch *watch)
{
	struct fh_status_snapshot now = fh_status_read(&watch->cell);

	while (now.epoch < watch->rounds) {
		if (fh_status_compare_exchange(&watch->cell, &now,
					       (unsigned)((now.epoch + 1) %
							  64)))
			add_relaxed(&watch->missed, 1);
		now = fh_status_read(&watch->cell);
	}
}

/* A word in two halves, or a stale load, would break one of these. */
static void read_pairs(struct watch *watch)
{
	struct fh_status_snapshot now;
	uint64_t last = 0;

	do {
		now = fh_status_read(&watch->cell);
		if (now.epoch < last)
			add_relaxed(&watch->back, 1);
		if (now.state != now.epoch % 64)
			add_relaxed(&watch->torn, 1);
		last = now.epoch;
	} while (last < watch->rounds);
}

static void pairs(unsigned index, void *arg)
{
	if (index == 0)
		write_pairs(arg);
	else
		read_pairs(arg);
}

static void test_pairs(void)
{
	static struct watch watch;

	watch.rounds = scaled(500000, 1000);
	run_crew(5, pairs, &watch);
	is(watch.back, 0, "one writer: the epoch never goes back");
	is(watch.torn, 0, "one writer: state and epoch belong together");
	is(watch.missed, 0, "one writer: nobody else changes the cell");
}

/* Writers that only set: 4 x rounds changes, none lost. */
static void set_and_watch(unsigned index, void *arg)
{
	struct watch *watch = arg;
	uint64_t i, last = 0, now;

	for (i = 0; index < 4 && i < watch->rounds; i++)
		if (fh_status_set(&watch->cell, (unsigned)(i % 64)))
			add_relaxed(&watch->missed, 1);
	while (last < 4 * watch->rounds) {
		now = fh_status_read(&watch->cell).epoch;
		if (now < last)
			add_relaxed(&watch->back, 1);
		last = now;
	}
}

static void test_set_many(void)
{
	static struct watch watch;

	watch.rounds = scaled(100000, 1000);
	run_crew(6, set_and_watch, &watch);
	is(fh_status_read(&watch.cell).epoch, 4 * watch.rounds,
	   "4 threads set: every set counts one epoch");
	is(watch.back, 0, "for no reader it goes back");
	is(watch.missed, 0, "no set fails");
}

/*
 * What was written before the set must be there after the get: without
 * release or acquire the reader sees an old payload (on weak machines), and
 * the thread sanitizer reports the plain accesses.
 */
static void pass_message(unsigned index, void *arg)
{
	struct watch *watch = arg;
	uint64_t round;

	for (round = 1; round <= watch->rounds; round++) {
		unsigned mine = index, other = !index;

		while (fh_status_get(&watch->cell) != mine)
			sched_yield();
		if (index && watch->payload != round)
			add_relaxed(&watch->stale, 1);
		if (!index)
			watch->payload = round;
		fh_status_set(&watch->cell, other);
	}
}

static void test_publication(void)
{
	static struct watch watch;

	watch.rounds = scaled(20000, 500);
	run_crew(2, pass_message, &watch);
	is(watch.stale, 0, "a reader of the state sees what came before it");
}

int main(void)
{
	watchdog(120);
	test_zero();
	test_all_states();
	test_compare_exchange();
	test_transitions();
	test_contest(compete, "compare-exchange");
	test_contest(step_round, "transition");
	test_pairs();
	test_set_many();
	test_publication();
	return done_testing();
}
