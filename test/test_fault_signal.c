/* SPDX-License-Identifier: MIT */
/*
 * faults: storms of signals without SA_RESTART, in every call that blocks and
 * through every room.  (test_status_wait.c has the simplest case.)
 *
 * What would be seen if the library were wrong: a wait that takes EINTR for
 * its event ends before its deadline, or without what it waited for; one that
 * sleeps anew for the length that it was given at first, instead of until its
 * deadline, never ends in a storm; a wake that meets an interrupted sleeper
 * and is lost leaves it asleep, and the watchdog ends the test.
 */
#include "faults.h"
#include "house.h"
#include "reader.h"
#include "waits.h"

#define PERIOD (MS / 10)

/* Calls @wait in a storm: it must last until its deadline, and end then. */
static void check_deadline(int (*wait)(int64_t deadline), const char *name)
{
	uint64_t before = load_seq_cst(&storm_signals);
	timer_t storm = storm_start(PERIOD);
	int64_t until = fh_deadline_in(60 * MS), now;
	int rc = wait(until);

	now = fh_now();
	timer_delete(storm);
	is(rc, -ETIMEDOUT, "%s: the deadline passes", name);
	ok(now >= until && now < until + 20 * SECONDS,
	   "%s: neither early nor late", name);
	ok(load_seq_cst(&storm_signals) > before, "%s: %" PRIu64
	   " signals came", name, load_seq_cst(&storm_signals) - before);
}

static struct fh_status cell;
static struct fh_arcs *arcs;
static const struct fh_arc_request request = { .first = "ada",
					       .second = "bob" };

static int wait_state(int64_t deadline)
{
	return fh_status_wait(&cell, FH_STATE(1), deadline, NULL);
}

static int wait_change(int64_t deadline)
{
	return fh_status_wait_change(&cell, 0, deadline, NULL);
}

static int wait_start(int64_t deadline)
{
	return fh_arc_start_wait(arcs, &request, deadline, NULL);
}

/* ---- waits that end by their event ---- */

struct sleeper {
	int (*wait)(int64_t deadline);
	tally sleeps, done;
	int rc;
};

static void sleep_in_storm(unsigned index, void *arg)
{
	struct sleeper *sleeper = arg;
	timer_t storm = storm_start(PERIOD);

	(void)index;
	store_seq_cst(&sleeper->sleeps, 1);
	sleeper->rc = sleeper->wait(FH_FOREVER);
	store_seq_cst(&sleeper->done, 1);
	timer_delete(storm);
}

/* It must sleep on until @event, which only this thread can bring about. */
static void check_event(int (*wait)(int64_t deadline), void (*event)(void *),
			void *arg, const char *name)
{
	struct sleeper sleeper = { .wait = wait, .rc = 1 };
	struct crew crew;

	crew_start(&crew, 1, sleep_in_storm, &sleeper);
	while (!load_seq_cst(&sleeper.sleeps))
		sleep_ns(MS);
	sleep_ns(30 * MS);
	is(load_seq_cst(&sleeper.done), 0, "%s: no signal ends it", name);
	event(arg);
	crew_join(&crew);
	is(sleeper.rc, 0, "%s: its event does", name);
}

static void set_cell(void *arg)
{
	(void)arg;
	fh_status_set(&cell, 1);
}

static void publish(void *arg)
{
	fh_arc_publish(arg, NULL);
}

static void leave(void *arg)
{
	reader_leave(arg);
}

static void test_waits(void)
{
	check_deadline(wait_state, "a wait for a state");
	check_deadline(wait_change, "a wait for change");
	check_event(wait_change, set_cell, NULL, "a wait for change");
	fh_status_set(&cell, 0);
	check_event(wait_state, set_cell, NULL, "a wait for a state");
}

static void test_start(void)
{
	const struct fh_arcs_options options = { .types = &plot,
						 .type_count = 1 };
	struct fh_arc_ticket *claim;

	if (fh_arcs_create(&arcs, &options) ||
	    fh_arc_claim(arcs, &request, &claim, NULL))
		bail_out("no claim");
	check_deadline(wait_start, "a start behind a claim");
	check_event(wait_start, publish, claim, "a start behind a claim");
	fh_arcs_destroy(arcs);
}

static void retire_some(void)
{
	struct item *item;
	int i;

	for (i = 0; i < 100; i++) {
		item = item_u64(0, 0);
		fh_rcu_retire(&item->rcu, item_reclaim);
	}
}

static void test_drain(void)
{
	struct reader reader;

	reader_enter(&reader, 1);
	retire_some();
	check_deadline(fh_rcu_drain_wait, "a drain behind a reader");
	check_event(fh_rcu_drain_wait, leave, &reader,
		    "a drain behind a reader");
}

/* ---- logs, gates, servers, tasks ---- */

static _Thread_local timer_t storm_of_wait;
static tally storms, calm;
static _Thread_local uint64_t signals_before;

static void wait_begins(const struct wait *wait, int64_t deadline)
{
	(void)wait;
	(void)deadline;
	signals_before = load_seq_cst(&storm_signals);
	storm_of_wait = storm_start(PERIOD);
}

static void wait_ends(const struct wait *wait)
{
	(void)wait;
	timer_delete(storm_of_wait);
	add_relaxed(&storms, 1);
	if (load_seq_cst(&storm_signals) == signals_before)
		add_relaxed(&calm, 1);
}

static void test_rooms(void)
{
	size_t i;

	for (i = 0; i < WAITS; i++) {
		wait_for_deadline(&waits[i], 10 * MS, "storm");
		wait_for_event(&waits[i], 10 * MS, "storm");
	}
	ok(calm < storms / 2, "signals came in %" PRIu64 " of %" PRIu64
	   " waits", (uint64_t)(storms - calm), (uint64_t)storms);
}

/* ---- many sleeps and wakes ---- */

struct game {
	struct fh_status cell;
	uint64_t rounds, touches;	/* plain: whose turn it is owns them */
	tally wrong;
};

static void take_turns(unsigned index, void *arg)
{
	timer_t storm = storm_start(PERIOD / 2);
	struct fh_status_snapshot seen;
	struct game *game = arg;
	uint64_t round;

	for (round = 0; round < game->rounds; round++) {
		if (fh_status_wait(&game->cell, FH_STATE(index), FH_FOREVER,
				   &seen) || seen.state != index)
			add_relaxed(&game->wrong, 1);
		game->touches++;
		fh_status_set(&game->cell, !index);
	}
	timer_delete(storm);
}

static void test_turns(void)
{
	struct game game = { .rounds = scaled(10000, 1000) };

	run_crew(2, take_turns, &game);
	is(game.touches, 2 * game.rounds, "no wake is lost in %" PRIu64
	   " turns", 2 * game.rounds);
	is(game.wrong, 0, "and no wait ends early");
}

/* ---- everything else ---- */

static void live_in_storm(unsigned index, void *arg)
{
	timer_t storm = storm_start(PERIOD / 2);

	house_live(index, arg);
	timer_delete(storm);
}

static void test_house(void)
{
	uint64_t before = load_seq_cst(&storm_signals);
	struct house house;

	house_open(&house, 100, 0);
	house.turns = scaled(40000, 4000);
	run_crew(4, live_in_storm, &house);
	is(house_wrong(&house), 0, "the books balance, %" PRIu64
	   " operations, %" PRIu64 " signals", (uint64_t)house.done,
	   load_seq_cst(&storm_signals) - before);
	house_close(&house);
}

int main(void)
{
	watchdog(120);
	test_waits();
	test_start();
	test_drain();
	test_rooms();
	test_turns();
	test_house();
	is(drain(), 0, "drain");
	return done_testing();
}
