/* SPDX-License-Identifier: MIT */
/*
 * status: waits end when they should, and not before: no lost wake-up, no
 * early end by a signal, deadlines kept.
 */
#include <freehold/base.h>
#include <freehold/status.h>

#include <errno.h>

#include "faults.h"
#include "tap.h"
#include "threads.h"

static void test_wait_single(void)
{
	struct fh_status cell = FH_STATUS_INIT(3);
	struct fh_status_snapshot seen = { 0, 99 };
	int64_t deadline;

	is(fh_status_wait(&cell, FH_STATE(3), FH_FOREVER, &seen), 0,
	   "the state is there: the wait returns at once");
	ok(seen.state == 3 && seen.epoch == 0, "and says what it saw");
	is(fh_status_wait(&cell, FH_STATE(1) | FH_STATE(3), 0, NULL), 0,
	   "a poll that finds the state");
	is(fh_status_wait(&cell, ~FH_STATE(3), 0, &seen), -ETIMEDOUT,
	   "a poll that does not");
	is(fh_status_wait(&cell, ~FH_STATE(3), -5, &seen), -ETIMEDOUT,
	   "a negative deadline has passed");
	is(fh_status_wait(&cell, 0, FH_FOREVER, &seen), -EINVAL,
	   "nobody can wait for no state");
	is(fh_status_wait_change(&cell, 7, FH_FOREVER, &seen), 0,
	   "the epoch differs: the wait returns at once");
	is(fh_status_wait_change(&cell, 0, 0, &seen), -ETIMEDOUT,
	   "a poll for change");

	seen.state = 99;
	deadline = fh_deadline_in(30 * MS);
	is(fh_status_wait(&cell, FH_STATE(0), deadline, &seen), -ETIMEDOUT,
	   "the deadline passes");
	ok(fh_now() >= deadline, "and had passed when the wait ended");
	ok(seen.state == 3 && seen.epoch == 0, "which says what it saw");
	deadline = fh_deadline_in(30 * MS);
	is(fh_status_wait_change(&cell, 0, deadline, &seen), -ETIMEDOUT,
	   "the deadline of a wait for change passes");
	ok(fh_now() >= deadline, "and not earlier");
	fh_status_set(&cell, 4);
	seen = fh_status_read(&cell);
	ok(seen.state == 4 && seen.epoch == 1,
	   "waits that timed out leave the cell usable");
	is(fh_status_wait(&cell, FH_STATE(4), FH_FOREVER, NULL), 0,
	   "the next wait");
}

/*
 * A poll never sleeps.  Announced as a sleeper it would cost the next change
 * a system call for nothing, so on the lock-free build it must not be.
 */
static void test_poll_leaves_no_trace(void)
{
	struct fh_status cell = FH_STATUS_INIT(3);
	struct fh_status_snapshot seen;
	int i;

	for (i = 0; i < 3; i++)
		if (fh_status_wait(&cell, FH_STATE(4), 0, NULL) != -ETIMEDOUT ||
		    fh_status_wait_change(&cell, 0, -1, NULL) != -ETIMEDOUT)
			ok(0, "poll %d", i);
	seen = fh_status_read(&cell);
	ok(seen.state == 3 && seen.epoch == 0, "polls change nothing");
#ifdef FREEHOLD_MUTEX
	skip("the waiters bit of the mutex build is its own affair");
#else
	is(cell.word & 1, 0, "and leave no waiters bit");
#endif
}

struct game {
	struct fh_status cell;
	uint64_t rounds;
	uint64_t touches;	/* plain: whose turn it is owns it */
	tally wrong;
};

/*
 * Each round needs two wake-ups.  A wake-up that is lost leaves both threads
 * asleep for ever, and the watchdog kills the test.  A wait that ends early
 * shows in the state that it saw, and as a race on touches.
 */
static void ping_pong_states(unsigned index, void *arg)
{
	struct game *game = arg;
	struct fh_status_snapshot seen;
	uint64_t round;

	for (round = 0; round < game->rounds; round++) {
		if (fh_status_wait(&game->cell, FH_STATE(index), FH_FOREVER,
				   &seen) || seen.state != index)
			add_relaxed(&game->wrong, 1);
		game->touches++;
		fh_status_set(&game->cell, !index);
	}
}

/* The same by epochs: even ones are the first thread's turn. */
static void ping_pong_epochs(unsigned index, void *arg)
{
	struct game *game = arg;
	struct fh_status_snapshot seen = fh_status_read(&game->cell);
	uint64_t turn;

	for (turn = index; turn < 2 * game->rounds; turn += 2) {
		while (seen.epoch != turn)
			if (fh_status_wait_change(&game->cell, seen.epoch,
						  FH_FOREVER, &seen))
				add_relaxed(&game->wrong, 1);
		game->touches++;
		fh_status_set(&game->cell, 0);
	}
}

static void test_ping_pong(crew_work work, const char *what)
{
	struct game game = { .rounds = scaled(20000, 2000) };

	run_crew(2, work, &game);
	is(game.touches, 2 * game.rounds, "%s: every turn was taken", what);
	is(game.wrong, 0, "%s: no wait ended early", what);
	is(fh_status_read(&game.cell).epoch, 2 * game.rounds,
	   "%s: one epoch a turn", what);
}

#define SLEEPERS 24

struct dormitory {
	struct fh_status cell;
	tally asleep, awake, wrong;
	tally others;
};

/* Two in three wait for 5, the rest for 9: 5 wakes all of the former. */
static void sleep_in_turn(unsigned index, void *arg)
{
	struct dormitory *room = arg;
	unsigned want = index % 3 ? 5 : 9;
	struct fh_status_snapshot seen;
	int rc;

	add_seq_cst(&room->asleep, 1);
	rc = fh_status_wait(&room->cell, FH_STATE(want), FH_FOREVER, &seen);
	if (rc || seen.state != want)
		add_relaxed(&room->wrong, 1);
	add_seq_cst(want == 5 ? &room->awake : &room->others, 1);
}

/* If a set woke one waiter only, the others would sleep for ever. */
static void test_many_waiters(void)
{
	static struct dormitory room;
	struct crew crew;

	crew_start(&crew, SLEEPERS, sleep_in_turn, &room);
	while (load_seq_cst(&room.asleep) < SLEEPERS)
		sleep_ns(MS);
	sleep_ns(50 * MS);
	fh_status_set(&room.cell, 4);
	sleep_ns(10 * MS);
	is(load_seq_cst(&room.awake) + load_seq_cst(&room.others), 0,
	   "a state that nobody waits for ends no wait");
	fh_status_set(&room.cell, 5);
	while (load_seq_cst(&room.awake) < SLEEPERS - SLEEPERS / 3)
		sleep_ns(MS);
	is(load_seq_cst(&room.others), 0,
	   "one set wakes all who wait for it, and ends no other wait");
	fh_status_set(&room.cell, 9);
	crew_join(&crew);
	is(room.others, SLEEPERS / 3, "the others follow");
	is(room.wrong, 0, "all saw the state that they waited for");
}

/*
 * Timeouts and changes cross: a waiter that times out must not take another
 * waiter's wake-up with it, or the patient one sleeps for ever.
 */
static void wait_briefly(unsigned index, void *arg)
{
	struct game *game = arg;
	struct fh_status_snapshot seen = fh_status_read(&game->cell);
	int64_t patience;

	while (index && seen.epoch < game->rounds) {
		patience = index == 1 ? FH_FOREVER :
					fh_deadline_in(index * 2000);
		if (fh_status_wait_change(&game->cell, seen.epoch, patience,
					  &seen) && index == 1)
			add_relaxed(&game->wrong, 1);
	}
	while (!index && fh_status_read(&game->cell).epoch < game->rounds) {
		fh_status_set(&game->cell, 1);
		sleep_ns(20000);
	}
}

static void test_crossing_timeouts(void)
{
	struct game game = { .rounds = scaled(5000, 200) };

	run_crew(6, wait_briefly, &game);
	is(game.wrong, 0, "impatient waiters do not harm a patient one");
}

#define STORM (MS / 5)	/* from one signal to the next */

struct stormy {
	struct fh_status cell;
	tally waiting;
	int rc;
	struct fh_status_snapshot seen;
};

static void wait_in_storm(unsigned index, void *arg)
{
	struct stormy *stormy = arg;
	timer_t timer;

	(void)index;
	timer = storm_start(STORM);
	add_seq_cst(&stormy->waiting, 1);
	stormy->rc = fh_status_wait(&stormy->cell, FH_STATE(1), FH_FOREVER,
				    &stormy->seen);
	timer_delete(timer);
}

/* If EINTR ended a wait, these would return early or without the state. */
static void test_signals(void)
{
	struct fh_status cell = FH_STATUS_INIT(0);
	static struct stormy stormy;
	int64_t deadline;
	struct crew crew;
	timer_t timer;

	timer = storm_start(STORM);
	deadline = fh_deadline_in(100 * MS);
	is(fh_status_wait(&cell, FH_STATE(1), deadline, NULL), -ETIMEDOUT,
	   "in a storm of signals the deadline passes");
	ok(fh_now() >= deadline, "and no signal ends the wait before");
	timer_delete(timer);
	sleep_ns(MS);
	ok(storm_signals > 0, "%" PRIu64 " signals came", (uint64_t)
	   storm_signals);

	crew_start(&crew, 1, wait_in_storm, &stormy);
	while (!load_seq_cst(&stormy.waiting))
		sleep_ns(MS);
	sleep_ns(50 * MS);
	fh_status_set(&stormy.cell, 1);
	crew_join(&crew);
	is(stormy.rc, 0, "a wait without deadline ends by the set alone");
	is(stormy.seen.epoch, 1, "and saw it");
}

int main(void)
{
	watchdog(120);
	test_wait_single();
	test_poll_leaves_no_trace();
	test_ping_pong(ping_pong_states, "ping-pong of states");
	test_ping_pong(ping_pong_epochs, "ping-pong of epochs");
	test_many_waiters();
	test_crossing_timeouts();
	test_signals();
	return done_testing();
}
