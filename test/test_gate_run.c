/* SPDX-License-Identifier: MIT */
/*
 * gate: requests on threads.  They run at once, each on a thread of its own;
 * idle threads serve again, and end when they should; drains, deadlines and
 * destruction leave running requests alone; threads that die give back what
 * they had.
 */
#include <freehold/gate.h>

#include <errno.h>
#include <signal.h>

#include "gates.h"
#include "tap.h"

static void test_one(int64_t idle)
{
	struct fh_gate *gate = gate_of(1, idle);
	struct errand errand = { .brought = 42 };
	struct fh_gate_stats stats;

	is(fh_gate_run(gate, run_errand, &errand), 0, "run a request");
	await(&errand.begun, 1);
	ok(!pthread_equal(errand.thread, pthread_self()),
	   "it runs on another thread");
	stats = stats_of(gate);
	ok(stats.inside == 1 && stats.threads == 1, "which is the gate's");
	is(fh_gate_run(gate, run_errand, &errand), -EBUSY, "one is enough");
	is(fh_gate_run_wait(gate, run_errand, &errand, fh_deadline_in(MS)),
	   -ETIMEDOUT, "however one waits");
	store_seq_cst(&errand.go, 1);
	is(drained(gate), 0, "drain");
	is(errand.took, 42, "it found what was brought");
	is(errand.done, 1, "it ran once");
	is(fh_gate_run(gate, run_errand, &errand), -ESHUTDOWN, "closed");
	fh_gate_open(gate);
	is(fh_gate_run(gate, run_errand, &errand), 0, "reopened");
	is(drained(gate), 0, "drain again");
	is(errand.done, 2, "it ran again");
	fh_gate_destroy(gate);
}

/* If requests waited for each other, they would not meet, and hang here. */
struct meeting {
	pthread_barrier_t barrier;
	tally met;
};

static void meet(void *arg)
{
	struct meeting *meeting = arg;

	pthread_barrier_wait(&meeting->barrier);
	add_seq_cst(&meeting->met, 1);
}

static void test_all_at_once(int64_t idle)
{
	size_t count = scaled(200, 50), i;
	struct fh_gate *gate = gate_of(count, idle);
	struct meeting meeting = { .met = 0 };
	unsigned refused = 0, round;

	for (round = 1; round <= 3; round++) {
		pthread_barrier_init(&meeting.barrier, NULL, (unsigned)count);
		for (i = 0; i < count; i++)
			refused += fh_gate_run(gate, meet, &meeting) != 0;
		is(drained(gate), 0, "round %u is drained", round);
		pthread_barrier_destroy(&meeting.barrier);
		fh_gate_open(gate);
	}
	is(refused, 0, "none was refused");
	is(meeting.met, 3 * count, "all met");
	is(stats_of(gate).peak, count, "all were inside at once");
	ok(stats_of(gate).threads <= count, "on %zu threads at most", count);
	fh_gate_destroy(gate);
}

static void test_reuse(void)
{
	struct fh_gate *gate = gate_of(4, FH_FOREVER);
	struct errand errand = { .go = 1 };
	pthread_t first = pthread_self();
	unsigned i, others = 0;

	for (i = 1; i <= 50; i++) {
		is(fh_gate_run_wait(gate, run_errand, &errand, FH_FOREVER), 0,
		   "request %u", i);
		await(&errand.done, i);
		while (stats_of(gate).inside)
			sched_yield();
		if (i == 1)
			first = errand.thread;
		others += !pthread_equal(first, errand.thread);
	}
	is(others, 0, "one thread served them all");
	is(stats_of(gate).threads, 1, "and is still there");
	fh_gate_destroy(gate);
}

/* Threads that idle too long end; the gate goes on without them. */
static void test_idle_end(void)
{
	struct fh_gate *gate = gate_of(3, 2 * MS);
	struct errand errand = { .go = 1 };
	unsigned i;

	for (i = 1; i <= 3; i++) {
		fh_gate_run_wait(gate, run_errand, &errand, FH_FOREVER);
		await(&errand.done, i);
	}
	ok(threads_become(gate, 0), "idle threads have ended");
	is(fh_gate_run(gate, run_errand, &errand), 0, "another request");
	is(drained(gate), 0, "drain");
	is(errand.done, 4, "was served");
	fh_gate_destroy(gate);
}

static void test_abandon(int64_t idle)
{
	struct fh_gate *gate = gate_of(3, idle);
	struct errand errand[3] = { { .begun = 0 } };
	size_t left = 0;
	unsigned i;

	for (i = 0; i < 3; i++) {
		fh_gate_run(gate, run_errand, &errand[i]);
		await(&errand[i].begun, 1);
	}
	is(fh_gate_drain_wait(gate, fh_deadline_in(5 * MS), &left),
	   -ETIMEDOUT, "requests that do not end");
	is(left, 3, "are counted");
	fh_gate_destroy(gate);
	for (i = 0; i < 3; i++) {
		is(errand[i].done, 0, "they run on without the gate");
		store_seq_cst(&errand[i].go, 1);
		await(&errand[i].done, 1);
		is(errand[i].done, 1, "and end by themselves");
	}
}

/* ---- from inside ---- */

struct inside {
	struct fh_gate *gate;
	tally rc, more, done;
};

static void run_another(void *arg)
{
	struct inside *inside = arg;

	add_seq_cst(&inside->more, 1);
	if (load_seq_cst(&inside->more) < 10)
		fh_gate_run(inside->gate, run_another, inside);
	add_seq_cst(&inside->done, 1);
}

static void drain_from_inside(void *arg)
{
	struct inside *inside = arg;

	store_seq_cst(&inside->rc, (uint64_t)(int64_t)fh_gate_drain_wait(
					   inside->gate, FH_FOREVER, NULL));
	add_seq_cst(&inside->done, 1);
}

static void destroy_from_inside(void *arg)
{
	struct inside *inside = arg;

	fh_gate_destroy(inside->gate);
	add_seq_cst(&inside->done, 1);
}

static void test_from_inside(int64_t idle)
{
	struct inside inside = { .gate = gate_of(10, idle) };

	fh_gate_run(inside.gate, run_another, &inside);
	await(&inside.done, 10);
	is(inside.done, 10, "requests start requests");
	fh_gate_run_wait(inside.gate, drain_from_inside, &inside, FH_FOREVER);
	await(&inside.done, 11);
	is((int64_t)inside.rc, -EDEADLK, "but do not wait for themselves");
	ok(!stats_of(inside.gate).closed, "and close nothing by it");
	fh_gate_run_wait(inside.gate, destroy_from_inside, &inside, FH_FOREVER);
	await(&inside.done, 12);
	is(inside.done, 12, "a request may destroy the gate");
}

/* ---- death ---- */

static void exit_thread(void *arg)
{
	add_seq_cst((tally *)arg, 1);
	pthread_exit(NULL);
}

static void sleep_for_ever(void *arg)
{
	struct errand *errand = arg;

	errand->thread = pthread_self();
	add_seq_cst(&errand->begun, 1);
	/* Not in a call that waits: a sanitizer loses its way there. */
	for (;;) {
		pthread_testcancel();
		sched_yield();
	}
}

static void leave_uncancelable(void *arg)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	run_errand(arg);
}

static void test_death(int64_t idle)
{
	struct fh_gate *gate = gate_of(2, idle);
	struct errand errand = { .go = 1 };
	unsigned i, refused = 0;
	tally exits = 0;

	for (i = 0; i < 20; i++)
		refused += fh_gate_run_wait(gate, exit_thread, &exits,
					    FH_FOREVER) != 0;
	is(drained(gate), 0, "threads that exit leave nothing behind");
	is(refused, 0, "nor are any refused");
	is(exits, 20, "all of them ran");
	ok(threads_become(gate, 0), "no thread is left");
	is(stats_of(gate).died, 20, "their death is counted");

	fh_gate_open(gate);
	fh_gate_run(gate, leave_uncancelable, &errand);
	await(&errand.done, 1);
	while (stats_of(gate).inside)
		sched_yield();
	fh_gate_run(gate, sleep_for_ever, &errand);
	await(&errand.begun, 2);
	pthread_cancel(errand.thread);
	is(drained(gate), 0, "a request can be cancelled, whatever was before");
	is(stats_of(gate).died, 21, "which is a death too");
	fh_gate_destroy(gate);
}

/* ---- what a thread inherits ---- */

static void look_at_mask(void *arg)
{
	sigset_t *mask = arg;

	pthread_sigmask(SIG_SETMASK, NULL, mask);
}

static void look_at_stack(void *arg)
{
	pthread_attr_t attr;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, arg);
	pthread_attr_destroy(&attr);
}

static void test_attributes(void)
{
	struct fh_gate_options options = { 1, 0, 1 << 20 };
	struct fh_gate *gate;
	sigset_t mask, seen;
	size_t stack = 0;

	if (fh_gate_create(&gate, &options))
		bail_out("no memory for a gate");
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	sigemptyset(&seen);
	fh_gate_run(gate, look_at_mask, &seen);
	is(drained(gate), 0, "drain");
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	ok(sigismember(&seen, SIGUSR1),
	   "a thread has its caller's signal mask");
	fh_gate_open(gate);
	fh_gate_run(gate, look_at_stack, &stack);
	is(drained(gate), 0, "drain");
	ok(stack >= 1 << 20 && stack < 2 << 20, "and the stack asked for: %zu",
	   stack);
	fh_gate_destroy(gate);
}

int main(void)
{
	static const int64_t idles[] = { 0, 100 * 1000, FH_FOREVER };
	unsigned i;

	watchdog(300);
	for (i = 0; i < 3; i++) {
		test_one(idles[i]);
		test_all_at_once(idles[i]);
		test_abandon(idles[i]);
		test_from_inside(idles[i]);
		test_death(idles[i]);
	}
	test_reuse();
	test_idle_end();
	test_attributes();
	return done_testing();
}
