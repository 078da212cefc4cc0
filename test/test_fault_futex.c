/* SPDX-License-Identifier: MIT */
/*
 * faults: sleeping that fails.  Under every wait of the library the linker
 * puts one that returns at once with EINTR, with EAGAIN, or as if woken, all
 * of which a futex may do at any time; and wakes come late.  The mutex build
 * waits on condition variables, which may wake without a cause.  The
 * supervisor of servers sleeps in epoll_wait, which may do the same.
 *
 * What would be seen if the library were wrong: a wait that takes such a
 * return for the event ends early, which its state, its clock or what was not
 * yet reclaimed shows; one that gives up returns an error; a wake that is
 * lost leaves a thread asleep, and the watchdog ends the test.
 */
#include <freehold/arc.h>
#include <freehold/status.h>

#include "retire.h"
#include "sleeps.h"
#include "tap.h"
#include "waits.h"

#include <sys/epoll.h>

enum { NONE = UNDISTURBED, LATE_WAKE = SPURIOUS + 1, ANY };

static const char *const fault_name[] = {
	"no fault", "EINTR", "EAGAIN", "no cause", "late wakes", "any of it",
};

static _Atomic(int) fault;
static tally injected;
static _Thread_local uint64_t dice;

/* What happens to this call; half of them come to no harm if it is ANY. */
static int chosen(void)
{
	int now = load_seq_cst(&fault);

	if (!dice)
		dice = random_seed((unsigned)__real_syscall(SYS_gettid));
	if (now == ANY)
		now = (int)random_below(&dice, 2 * ANY);
	return now < ANY ? now : NONE;
}

/* A system that fails for ever would still tell that the time is over. */
static enum sleep_end before_sleep(clockid_t clock, int64_t until)
{
	int what = chosen();

	(void)clock;
	if (what < INTERRUPTED || what > SPURIOUS || until <= fh_now())
		return UNDISTURBED;
	add_relaxed(&injected, 1);
	sched_yield();
	return (enum sleep_end)what;
}

static void before_wake(const void *at)
{
	(void)at;
	if (chosen() != LATE_WAKE)
		return;
	add_relaxed(&injected, 1);
	sleep_ns(MS / 10);
}

static tally epolls;

int __real_epoll_wait(int epoll, struct epoll_event *event, int count,
		      int milliseconds);
int __wrap_epoll_wait(int epoll, struct epoll_event *event, int count,
		      int milliseconds);

/* Each second one tells what there is, or it would never be told. */
int __wrap_epoll_wait(int epoll, struct epoll_event *event, int count,
		      int milliseconds)
{
	int what = chosen();

	if (what < INTERRUPTED || what > SPURIOUS ||
	    add_relaxed(&epolls, 1) % 2)
		return __real_epoll_wait(epoll, event, count, milliseconds);
	add_relaxed(&injected, 1);
	sched_yield();
	errno = EINTR;
	return what == SPURIOUS ? 0 : -1;
}

/* ---- cells ---- */

struct game {
	struct fh_status cell;
	uint64_t rounds, touches;	/* plain: whose turn it is owns them */
	tally wrong;
};

static void take_turns(unsigned index, void *arg)
{
	struct fh_status_snapshot seen;
	struct game *game = arg;
	uint64_t round;
	int rc;

	for (round = 0; round < game->rounds; round++) {
		if (round % 2)
			rc = fh_status_wait(&game->cell, FH_STATE(index),
					    FH_FOREVER, &seen);
		else
			rc = fh_status_wait_change(&game->cell,
						   2 * round + index - 1,
						   FH_FOREVER, &seen);
		if (rc || seen.state != index ||
		    seen.epoch != 2 * round + index)
			add_relaxed(&game->wrong, 1);
		game->touches++;
		fh_status_set(&game->cell, !index);
	}
}

static void test_turns(const char *name)
{
	struct game game = { .rounds = scaled(1500, 200) };

	run_crew(2, take_turns, &game);
	is(game.wrong, 0, "%s: each wait ends with what it waited for", name);
	is(game.touches, 2 * game.rounds, "%s: every turn was taken", name);
}

static void test_deadlines(const char *name)
{
	struct fh_status cell = FH_STATUS_INIT(3);
	int64_t until = fh_deadline_in(20 * MS);

	is(fh_status_wait(&cell, FH_STATE(1), until, NULL), -ETIMEDOUT,
	   "%s: the deadline passes", name);
	ok(fh_now() >= until, "%s: no wait ends before", name);
	until = fh_deadline_in(20 * MS);
	is(fh_status_wait_change(&cell, 0, until, NULL), -ETIMEDOUT,
	   "%s: that of a wait for change, too", name);
	ok(fh_now() >= until && fh_now() < until + 20 * SECONDS,
	   "%s: neither early nor late", name);
}

/* ---- draining, and the sleep of the library's own thread ---- */

static void test_drain(const char *name)
{
	struct reader reader;
	int64_t until;
	int i;

	reader_enter(&reader, 1);
	for (i = 0; i < 100; i++)
		retire_one();
	until = fh_deadline_in(20 * MS);
	is(fh_rcu_drain_wait(until), -ETIMEDOUT,
	   "%s: a drain behind a reader", name);
	ok(fh_now() >= until && fh_now() < until + 20 * SECONDS,
	   "%s: gives up neither early nor late", name);
	is(load_seq_cst(&live), 100, "%s: all are still there", name);
	reader_leave(&reader);
	is(drain(), 0, "%s: a drain", name);
	is(load_seq_cst(&live), 0, "%s: waited for all", name);
	retire_one();
	while (load_seq_cst(&live))
		sleep_ns(MS);
}

static void retire_and_drain(unsigned index, void *arg)
{
	tally *wrong = arg;
	int i;

	for (i = 0; i < 50; i++) {
		retire_one();
		if (index % 2 && drain())
			add_relaxed(wrong, 1);
	}
}

static void test_many_drains(const char *name)
{
	tally wrong = 0;

	run_crew(4, retire_and_drain, &wrong);
	is(wrong, 0, "%s: drains beside each other", name);
	is(drain() + (int)load_seq_cst(&live), 0, "%s: nothing is left", name);
}

/* ---- starts of arcs that wait for each other ---- */

struct party {
	struct fh_arcs *arcs;
	tally inits, joined, won, failed, wrong;
};

/* Every second initialiser fails, so that a waiter has to take over. */
static int begin_slowly(const struct fh_arc_info *info, void *arg)
{
	struct party *party = arg;

	(void)info;
	sleep_ns(MS);
	return add_seq_cst(&party->inits, 1) % 2 ? 0 : -EIO;
}

static void start_or_join(unsigned index, void *arg)
{
	struct party *party = arg;
	const struct fh_arc_request request = {
		.first = "ada", .second = "bob", .init = begin_slowly,
		.init_arg = party,
	};
	struct fh_arc_info info;
	int rc = fh_arc_start_wait(party->arcs, &request, FH_FOREVER, &info);

	(void)index;
	if (rc == -EIO)
		add_relaxed(&party->failed, 1);
	else if (rc || info.state != FH_ARC_ACTIVE)
		add_relaxed(&party->wrong, 1);
	else
		add_relaxed(info.joined ? &party->joined : &party->won, 1);
}

static void test_joins(const char *name)
{
	static const uint64_t allowed[1];
	static const struct fh_arc_type type = { .name = "plain", .phases = 1,
						 .allowed = allowed };
	const struct fh_arcs_options options = { .types = &type,
						 .type_count = 1 };
	struct party party = { .won = 0 };
	uint64_t i, rounds = scaled(20, 5);

	if (fh_arcs_create(&party.arcs, &options))
		bail_out("no registry");
	for (i = 0; i < rounds; i++) {
		run_crew(5, start_or_join, &party);
		fh_arc_end(party.arcs, "ada", "bob", FH_ARC_ANY,
			   FH_ARC_CANCELLED, NULL, NULL);
	}
	is(party.wrong, 0, "%s: starts succeed or join", name);
	is(party.failed, rounds, "%s: one initialiser fails", name);
	is(party.won, rounds, "%s: the next one wins", name);
	is(party.joined, 3 * rounds, "%s: and all others join", name);
	fh_arcs_destroy(party.arcs);
}

/* ---- logs, gates, servers, tasks ---- */

static void wait_begins(const struct wait *wait, int64_t deadline)
{
	(void)wait;
	(void)deadline;
}

static void wait_ends(const struct wait *wait)
{
	(void)wait;
}

static void test_rooms(const char *name)
{
	size_t i;

	for (i = 0; i < WAITS; i++) {
		wait_for_deadline(&waits[i], 3 * MS, name);
		wait_for_event(&waits[i], 3 * MS, name);
	}
	wait_for_recovery(10 * MS, name);
	wait_for_lease(10 * MS, name);
}

int main(void)
{
	int kind;

	watchdog(120);
	for (kind = INTERRUPTED; kind <= ANY; kind++) {
		injected = 0;
		store_seq_cst(&fault, kind);
		test_turns(fault_name[kind]);
		test_deadlines(fault_name[kind]);
		test_drain(fault_name[kind]);
		test_many_drains(fault_name[kind]);
		test_joins(fault_name[kind]);
		test_rooms(fault_name[kind]);
		store_seq_cst(&fault, NONE);
		ok(injected > 10, "%s: %" PRIu64 " times", fault_name[kind],
		   (uint64_t)injected);
	}
	ok(epolls > 1, "%" PRIu64 " times in epoll_wait", (uint64_t)epolls);
	is(drain(), 0, "drain");
	return done_testing();
}
