/* SPDX-License-Identifier: MIT */
/*
 * faults: the sleep of those who wait at a log or a gate.  Under it the
 * linker puts one that counts its calls, and that returns at once with EINTR,
 * with EAGAIN, or as if woken, all of which a futex may do at any time.  The
 * mutex build waits on condition variables, which may wake without a cause.
 *
 * What would be seen if the library were wrong: a wait that takes such a
 * return for the event ends early, and what it waited for is not there; one
 * that gives up returns an error; a wake that is lost leaves a thread asleep,
 * and the watchdog ends the test.  A log or a gate that calls the system
 * although nobody waits shows in the counts; so does one that goes on calling
 * it for somebody who has left; and a deadline that does not reach the
 * system as the very point in time that the caller named.
 */
#include <freehold/log.h>
#include <freehold/rcu.h>

#include <string.h>

#include "gates.h"
#include "logs.h"
#include "sleeps.h"
#include "tap.h"

static int lock_free(void)
{
	return !strcmp(fh_build(), "lock-free");
}

static _Atomic(int) faults;	/* on or off */
static tally injected;
static _Thread_local uint64_t dice;

/* Of this thread: the calls it made, and the deadline it named. */
static _Thread_local unsigned sleeps, wakes;
static _Thread_local int64_t named;
static tally misnamed;

/* A system that fails for ever would still tell that the time is over. */
static enum sleep_end disturbance(int64_t until)
{
	if (!load_seq_cst(&faults) || until <= fh_now())
		return UNDISTURBED;
	if (!dice)
		dice = random_seed((unsigned)__real_syscall(SYS_gettid));
	return (enum sleep_end)random_below(&dice, 4);
}

static enum sleep_end before_sleep(clockid_t clock, int64_t until)
{
	enum sleep_end end = disturbance(until);

	(void)clock;
	sleeps++;
	if (named && named != until)
		add_relaxed(&misnamed, 1);
	if (end == UNDISTURBED)
		return end;
	add_relaxed(&injected, 1);
	sched_yield();
	return end;
}

/* The bounds of what a program has of its own. */
extern char __data_start[], _end[];

/*
 * Who retires something may wake the library's thread, which sleeps on a
 * word of the program; logs and gates are on the heap.
 */
static void before_wake(const void *at)
{
	uintptr_t word = (uintptr_t)at;

	if (word < (uintptr_t)__data_start || word >= (uintptr_t)_end)
		wakes++;
}

/* ---- how often the system is called ---- */

static void use_log(struct fh_log *log, int64_t deadline)
{
	struct fh_log_range range;
	uint64_t seen;
	char text[4];
	int i;

	for (i = 0; i < 100; i++) {
		fh_log_get_range(log, &range);
		seen = range.last;
		fh_log_wait(log, seen, deadline);
		fh_log_append(log, "abc", 4, NULL);
		fh_log_wait(log, seen, FH_FOREVER);
		fh_log_read(log, &seen, text, 4, NULL);
	}
}

static void use_gate(struct fh_gate *gate, int64_t deadline)
{
	int i;

	for (i = 0; i < 100; i++) {
		fh_gate_enter(gate);
		fh_gate_enter(gate);
		fh_gate_enter_wait(gate, deadline);
		fh_gate_drain_wait(gate, deadline, NULL);
		fh_gate_leave(gate);
		fh_gate_open(gate);
		fh_gate_close(gate);
		fh_gate_drain_wait(gate, FH_FOREVER, NULL);
		fh_gate_open(gate);
	}
}

static void test_calls(void)
{
	struct fh_gate *gate = gate_of(1, 0);
	struct fh_log *log = log_of(10);

	use_log(log, 0);	/* whatever is set up lazily */
	sleeps = wakes = 0;
	use_log(log, 0);
	use_gate(gate, 0);
	use_log(log, fh_now());
	use_gate(gate, fh_now());
	is(sleeps, 0, "polls do not sleep");
	is(wakes, 0, "and nobody is woken where nobody waits");

	is(fh_log_wait(log, 1 << 20, fh_deadline_in(MS)), -ETIMEDOUT,
	   "a wait in vain");
	sleeps = wakes = 0;
	use_log(log, 0);
	ok(wakes <= 1, "is forgotten after one message");
	fh_gate_enter(gate);
	is(fh_gate_enter_wait(gate, fh_deadline_in(MS)), -ETIMEDOUT,
	   "another");
	fh_gate_leave(gate);
	sleeps = wakes = 0;
	use_gate(gate, 0);
	is(wakes, 0, "is forgotten at once");
	fh_gate_destroy(gate);
	fh_log_destroy(log);
}

/* What waits until `named`. */
static struct fh_gate *full_gate;
static struct fh_log *empty_log;

static int wait_for_log(void)
{
	return fh_log_wait(empty_log, 0, named);
}

static int wait_for_line(void)
{
	uint64_t seen = 0;
	char text[4];

	return fh_log_read_wait(empty_log, &seen, text, 4, NULL, named);
}

static int wait_for_place(void)
{
	return fh_gate_enter_wait(full_gate, named);
}

static int wait_for_run(void)
{
	struct errand errand = { 0 };

	return fh_gate_run_wait(full_gate, run_errand, &errand, named);
}

static int wait_for_drain(void)
{
	return fh_gate_drain_wait(full_gate, named, NULL);
}

/* Once more, if its deadline had passed before it came to sleep. */
static void expect_sleep(int (*wait)(void), const char *whose)
{
	int64_t until = fh_deadline_in(20 * SECONDS);
	int rc;

	sleeps = 0;
	do {
		named = fh_deadline_in(2 * MS);
		rc = wait();
	} while (rc == -ETIMEDOUT && !sleeps && fh_now() < until);
	is(rc, -ETIMEDOUT, "%s deadline", whose);
	ok(sleeps > 0, "it slept");
}

static void test_deadlines(void)
{
	full_gate = gate_of(1, 0);
	empty_log = log_of(10);
	fh_gate_enter(full_gate);
	expect_sleep(wait_for_log, "a log's");
	expect_sleep(wait_for_line, "a reader's");
	expect_sleep(wait_for_place, "a gate's");
	expect_sleep(wait_for_run, "a request's");
	expect_sleep(wait_for_drain, "a drain's");
	named = 0;
	is(misnamed, 0, "until the very points that were named");
	fh_gate_destroy(full_gate);
	fh_gate_leave(full_gate);
	fh_log_destroy(empty_log);
}

/* ---- sleep that is disturbed ---- */

#define WORKERS 3u

struct bustle {
	struct fh_log *log;
	struct fh_gate *gate;
	uint64_t rounds;
	tally wrong, served;
	uint64_t plain;		/* of who is in the gate */
};

static void serve_one(void *arg)
{
	struct bustle *bustle = arg;

	bustle->plain++;
	add_relaxed(&bustle->served, 1);
}

/* Message n is worker n mod WORKERS's, after message n - 1. */
static void bustle_about(unsigned index, void *arg)
{
	struct bustle *bustle = arg;
	uint64_t n, seen;

	for (n = index + 1; n <= bustle->rounds; n += WORKERS) {
		seen = n - 2;
		if (n > 1 && (fh_log_wait(bustle->log, seen, FH_FOREVER) ||
			      fh_log_read(bustle->log, &seen, NULL, 0, NULL)))
			add_relaxed(&bustle->wrong, 1);
		if (fh_gate_enter_wait(bustle->gate, FH_FOREVER))
			add_relaxed(&bustle->wrong, 1);
		bustle->plain++;
		fh_gate_leave(bustle->gate);
		if (n % 4 == 0 &&
		    fh_gate_run_wait(bustle->gate, serve_one, bustle,
				     FH_FOREVER))
			add_relaxed(&bustle->wrong, 1);
		if (fh_log_append(bustle->log, NULL, 0, &seen) || seen != n)
			add_relaxed(&bustle->wrong, 1);
	}
}

static void test_disturbed(int64_t idle)
{
	struct bustle bustle = { .rounds = scaled(1200, 240) };
	int64_t deadline;

	bustle.log = log_of(5);
	bustle.gate = gate_of(1, idle);
	store_seq_cst(&faults, 1);
	store_seq_cst(&injected, 0);
	run_crew(WORKERS, bustle_about, &bustle);
	is(fh_gate_drain_wait(bustle.gate, FH_FOREVER, NULL), 0, "drain");
	is(bustle.wrong, 0, "each waited for what it asked for");
	is(bustle.served, bustle.rounds / 4, "every request was served");
	is(bustle.plain, bustle.rounds + bustle.served, "one at a time");
	ok(injected > 0, "%" PRIu64 " sleeps were disturbed",
	   (uint64_t)injected);
	deadline = fh_deadline_in(5 * MS);
	is(fh_log_wait(bustle.log, bustle.rounds, deadline), -ETIMEDOUT,
	   "who is woken without a cause waits on");
	ok(fh_now() >= deadline, "until the deadline");
	store_seq_cst(&faults, 0);
	fh_gate_destroy(bustle.gate);
	fh_log_destroy(bustle.log);
}

int main(void)
{
	watchdog(300);
	if (lock_free())
		test_calls();
	else
		skip("a mutex may call the system");
	test_deadlines();
	test_disturbed(0);
	test_disturbed(1);
	test_disturbed(FH_FOREVER);
	return done_testing();
}
