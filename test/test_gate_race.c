/* SPDX-License-Identifier: MIT */
/*
 * gate: races.
 *
 * What would be seen if the gate were wrong: more inside than there are
 * places, by a count of the test's own, or, where there is one place, a plain
 * sum that two added to at once (and the thread sanitizer says so); a place
 * or a wake-up that is lost leaves somebody waiting for ever; a request that
 * is lost, run twice, or given to a thread that had gone makes the count of
 * requests differ; one that gets in while the gate is drained is seen by the
 * drainer.
 */
#include <freehold/gate.h>

#include <errno.h>

#include "gates.h"
#include "tap.h"

struct yard {
	struct fh_gate *gate;
	uint64_t rounds;
	uint64_t limit;
	tally inside, most, wrong, entered, refused, gone;
	uint64_t plain;		/* changed by who is inside */
};

static void yard_open(struct yard *yard, size_t limit, int64_t idle,
		      uint64_t rounds)
{
	*yard = (struct yard){ .limit = limit, .rounds = rounds };
	yard->gate = gate_of(limit, idle);
}

/* The books of the gate agree with those of the test. */
static void yard_close(struct yard *yard, const char *what)
{
	struct fh_gate_stats stats = stats_of(yard->gate);

	is(yard->wrong, 0, "%s: nothing went wrong", what);
	is(stats.admitted, yard->entered, "%s: admissions", what);
	is(stats.refused, yard->refused, "%s: refusals", what);
	ok(stats.inside == 0 && stats.waiting == 0, "%s: nobody is left",
	   what);
	ok(yard->most <= stats.peak && stats.peak <= yard->limit,
	   "%s: at most %zu at once", what, stats.peak);
	fh_gate_destroy(yard->gate);
}

static void be_inside(struct yard *yard)
{
	uint64_t inside = add_seq_cst(&yard->inside, 1) + 1;
	uint64_t most = load_relaxed(&yard->most);

	if (inside > yard->limit)
		add_relaxed(&yard->wrong, 1);
	while (most < inside && !cas_relaxed(&yard->most, &most, inside))
		;
	if (yard->limit == 1)
		yard->plain++;
	sub_acq_rel(&yard->inside, 1);
}

/* ---- entering and leaving ---- */

static void come_and_go(unsigned index, void *arg)
{
	struct yard *yard = arg;
	uint64_t i;
	int rc;

	for (i = 0; i < yard->rounds; i++) {
		rc = fh_gate_enter(yard->gate);
		if (rc == 0) {
			be_inside(yard);
			if (fh_gate_leave(yard->gate))
				add_relaxed(&yard->wrong, 1);
		} else if (rc != -EBUSY) {
			add_relaxed(&yard->wrong, 1);
		}
		add_relaxed(rc ? &yard->refused : &yard->entered, 1);
		if (i % 64 == index)
			sched_yield();
	}
}

/* Some wait for ever, and some for so short a time that they may miss it. */
static void wait_and_go(unsigned index, void *arg)
{
	struct yard *yard = arg;
	uint64_t i;
	int rc;

	for (i = 0; i < yard->rounds; i++) {
		rc = fh_gate_enter_wait(yard->gate, index % 3 == 2 ?
				fh_deadline_in((int64_t)i % 5 * 10000) :
				FH_FOREVER);
		if (rc == 0) {
			be_inside(yard);
			if (i % 8 == 0)
				sched_yield();
			fh_gate_leave(yard->gate);
		} else if (rc != -ETIMEDOUT) {
			add_relaxed(&yard->wrong, 1);
		}
		add_relaxed(rc ? &yard->refused : &yard->entered, 1);
	}
}

static void test_places(size_t limit)
{
	struct yard yard;

	yard_open(&yard, limit, 0, scaled(6000, 600));
	run_crew(4, come_and_go, &yard);
	if (limit == 1)
		is(yard.plain, yard.entered, "one at a time");
	yard_close(&yard, "come and go");
	yard_open(&yard, limit, 0, scaled(500, 100));
	run_crew(6, wait_and_go, &yard);
	if (limit == 1)
		is(yard.plain, yard.entered, "one at a time");
	yard_close(&yard, "wait and go");
}

/* ---- requests ---- */

static void request(void *arg)
{
	struct yard *yard = arg;

	be_inside(yard);
	add_seq_cst(&yard->gone, 1);
}

/* Now and then one dies. */
static void mortal_request(void *arg)
{
	struct yard *yard = arg;
	uint64_t number;

	be_inside(yard);
	number = add_seq_cst(&yard->gone, 1);
	if (number % 5 == 0)
		pthread_exit(NULL);
}

static void send_requests(struct yard *yard, void (*what)(void *arg))
{
	uint64_t i;
	int rc;

	for (i = 0; i < yard->rounds; i++) {
		rc = i % 4 ? fh_gate_run_wait(yard->gate, what, yard,
					      FH_FOREVER) :
			     fh_gate_run(yard->gate, what, yard);
		if (rc && rc != -EBUSY)
			add_relaxed(&yard->wrong, 1);
		add_relaxed(rc ? &yard->refused : &yard->entered, 1);
	}
}

static void send(unsigned index, void *arg)
{
	(void)index;
	send_requests(arg, request);
}

static void send_mortals(unsigned index, void *arg)
{
	(void)index;
	send_requests(arg, mortal_request);
}

static void test_requests(size_t limit, int64_t idle, crew_work sender,
			  const char *what)
{
	struct yard yard;

	yard_open(&yard, limit, idle, scaled(200, 40));
	run_crew(3, sender, &yard);
	is(drained(yard.gate), 0, "%s: drained", what);
	is(yard.gone, yard.entered, "%s: each request ran once", what);
	if (limit == 1)
		is(yard.plain, yard.entered, "%s: one at a time", what);
	ok(stats_of(yard.gate).threads <= limit + 3 || idle < FH_FOREVER,
	   "%s: no more threads than places", what);
	yard_close(&yard, what);
}

/* ---- draining ---- */

struct tide {
	struct yard yard;
	tally stop, drains;
};

static void swim(struct tide *tide)
{
	struct yard *yard = &tide->yard;
	int rc;

	while (!load_seq_cst(&tide->stop)) {
		rc = fh_gate_enter_wait(yard->gate, fh_deadline_in(MS));
		if (rc == 0) {
			add_seq_cst(&yard->inside, 1);
			yard->plain++;
			sub_acq_rel(&yard->inside, 1);
			fh_gate_leave(yard->gate);
		}
		if (rc && rc != -ESHUTDOWN && rc != -ETIMEDOUT)
			add_relaxed(&yard->wrong, 1);
		if (rc == -ESHUTDOWN)
			sched_yield();
	}
}

/* Between drain and opening, the place is the drainer's alone. */
static void drain_and_open(struct tide *tide)
{
	struct yard *yard = &tide->yard;
	uint64_t i;
	size_t left;
	int rc;

	for (i = 0; i < yard->rounds; i++) {
		rc = fh_gate_drain_wait(yard->gate, FH_FOREVER, &left);
		if (rc || left || load_seq_cst(&yard->inside) ||
		    fh_gate_enter(yard->gate) != -ESHUTDOWN)
			add_relaxed(&yard->wrong, 1);
		yard->plain++;
		fh_gate_open(yard->gate);
		add_relaxed(&tide->drains, 1);
	}
	store_seq_cst(&tide->stop, 1);
}

/* Its drains may be called off by the other one's opening. */
static void drain_now_and_then(struct tide *tide)
{
	int rc;

	while (!load_seq_cst(&tide->stop)) {
		rc = fh_gate_drain_wait(tide->yard.gate, fh_deadline_in(MS),
					NULL);
		if (rc && rc != -ETIMEDOUT && rc != -ECANCELED)
			add_relaxed(&tide->yard.wrong, 1);
		fh_gate_open(tide->yard.gate);
		sched_yield();
	}
}

static void tide_alone(unsigned index, void *arg)
{
	if (index == 0)
		drain_and_open(arg);
	else
		swim(arg);
}

static void tide_together(unsigned index, void *arg)
{
	if (index < 2)
		drain_now_and_then(arg);
	else
		swim(arg);
}

static void test_tides(void)
{
	struct tide tide = { .stop = 0 };
	struct crew crew;

	yard_open(&tide.yard, 1, 0, scaled(800, 100));
	run_crew(4, tide_alone, &tide);
	is(tide.yard.wrong, 0, "%" PRIu64 " drains, and nobody inside",
	   (uint64_t)tide.drains);
	fh_gate_destroy(tide.yard.gate);

	tide.stop = 0;
	yard_open(&tide.yard, 1, 0, 0);
	crew_start(&crew, 5, tide_together, &tide);
	sleep_ns((int64_t)scaled(100, 20) * MS);
	store_seq_cst(&tide.stop, 1);
	crew_join(&crew);
	is(tide.yard.wrong, 0, "drains that call each other off");
	fh_gate_open(tide.yard.gate);
	is(fh_gate_enter(tide.yard.gate), 0, "and no place was lost");
	is(fh_gate_leave(tide.yard.gate), 0, "nor one too many found");
	is(stats_of(tide.yard.gate).waiting, 0, "nobody waits any more");
	fh_gate_destroy(tide.yard.gate);
}

/* ---- destroying while requests end ---- */

static void test_destroy(int64_t idle)
{
	size_t rounds = scaled(60, 20), round;
	uint64_t wrong = 0;
	static struct yard yard;

	for (round = 0; round < rounds; round++) {
		unsigned i, sent = 0;

		yard_open(&yard, 4, idle, 0);
		for (i = 0; i < 4; i++)
			sent += fh_gate_run(yard.gate, request, &yard) == 0;
		fh_gate_destroy(yard.gate);
		await(&yard.gone, sent);
		wrong += sent != 4 || yard.wrong;
	}
	is(wrong, 0, "a gate is destroyed while its requests end");
}

int main(void)
{
	static const int64_t idles[] = { 0, 1, 30000, FH_FOREVER };
	unsigned i;

	watchdog(300);
	test_places(1);
	test_places(3);
	for (i = 0; i < 4; i++) {
		test_requests(1, idles[i], send, "one place");
		test_requests(3, idles[i], send, "three places");
		test_requests(2, idles[i], send_mortals, "mortals");
		test_destroy(idles[i]);
	}
	test_tides();
	return done_testing();
}
