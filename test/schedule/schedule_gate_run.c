/* SPDX-License-Identifier: MIT */
/*
 * Schedules of requests: threads that run them, park, time out, end, die in
 * them, cannot be started, and outlive the gate.
 *
 * A request finds what its caller brought, and leaves what it did, in plain
 * memory: a thread that gets a request too early, two that get one, and a
 * drain that ends before what it waits for, are races, or wrong counts.  A
 * request that is given to a thread that has gone is never done, and the
 * drain a deadlock.  Nothing of the gate may be left when all threads have
 * ended, nor be touched after that.
 */
#include "schedule.h"

#include <freehold/gate.h>

#include "atomic.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* The machine's: what is allocated now, but for what belongs to threads. */
size_t heap_leaks(void);

#define ERRANDS 4

struct errand {
	unsigned brought, done;
};

static struct fh_gate *gate;
static struct errand errand[ERRANDS];
static _Atomic(unsigned) sent, busy, leavers;

/* What differs from scenario to scenario. */
struct setting {
	size_t limit;
	int64_t idle;
};

static void setup(void)
{
	const struct setting *setting = scenario_now()->data;
	struct fh_gate_options options = { .limit = setting->limit,
					   .idle = setting->idle };

	expect(fh_gate_create(&gate, &options) == 0, "setup");
}

/* ---- requests ---- */

static void do_it(void *arg)
{
	struct errand *mine = arg;
	const struct setting *setting = scenario_now()->data;

	expect(add_relaxed(&busy, 1u) < setting->limit, "too many at once");
	expect(mine->brought, "what was brought is missing");
	mine->done++;
	add_relaxed(&busy, -1u);
}

static void do_it_and_die(void *arg)
{
	do_it(arg);
	pthread_exit(NULL);
}

static void do_it_and_destroy(void *arg)
{
	do_it(arg);
	fh_gate_destroy(gate);
}

/* ---- who sends them ---- */

static int send(unsigned number, void (*request)(void *arg))
{
	int rc;

	errand[number].brought = 1;
	rc = fh_gate_run(gate, request, &errand[number]);
	if (rc == 0)
		add_relaxed(&sent, 1u);
	else
		expect(rc == -EBUSY || rc == -ESHUTDOWN ||
		       (rc == -EAGAIN && scenario_now()->failures),
		       "a request is answered by %d", rc);
	return rc;
}

static void send_mortal(void)
{
	send(2, do_it_and_die);
}

static void send_two(void)
{
	send(0, do_it);
	send(1, do_it);
}

/* The second one after the first has left: to the same thread, perhaps. */
static void send_after(void)
{
	unsigned i;
	int rc;

	for (i = 2; i < 4; i++) {
		errand[i].brought = 1;
		rc = fh_gate_run_wait(gate, do_it, &errand[i], FH_FOREVER);
		if (rc == 0)
			add_relaxed(&sent, 1u);
		else
			expect(rc == -EAGAIN && scenario_now()->failures,
			       "a place is awaited, and the answer is %d", rc);
	}
}

/* ---- the end ---- */

static unsigned all_done(void)
{
	return errand[0].done + errand[1].done + errand[2].done +
	       errand[3].done;
}

/* Until no thread is in the gate's memory any more, which is gone then. */
static void await_the_end(void)
{
	while (heap_leaks())
		sched_yield();
}

static void drain(void)
{
	size_t left;

	expect(fh_gate_drain_wait(gate, FH_FOREVER, &left) == 0 && left == 0,
	       "it does not drain");
	expect(all_done() == load_relaxed(&sent), "it drains too early");
}

/* The last one of those who send destroys. */
static void be_one_of(unsigned senders)
{
	if (add_acq_rel(&leavers, 1u) + 1 < senders)
		return;
	fh_gate_destroy(gate);
	await_the_end();
}

static void two_and_drain(void)
{
	send_two();
	drain();
	be_one_of(1);
}

static void mortal_and_drain(void)
{
	send_mortal();
	drain();
	be_one_of(1);
}

static void after_and_drain(void)
{
	send_after();
	drain();
	be_one_of(1);
}

static void two_and_destroy(void)
{
	send_two();
	be_one_of(1);
}

static void mortal_and_destroy(void)
{
	send_mortal();
	be_one_of(1);
}

/* The request destroys; nobody else touches the gate any more. */
static void destroyed_from_inside(void)
{
	if (send(0, do_it_and_destroy))
		fh_gate_destroy(gate);
	await_the_end();
}

static void second_destroys(void)
{
	send(2, do_it);
	if (send(0, do_it_and_destroy))
		fh_gate_destroy(gate);
	await_the_end();
}

static void one_of_two(void)
{
	send(0, do_it);
	be_one_of(2);
}

static void other_of_two(void)
{
	send(1, do_it);
	be_one_of(2);
}

static void mortal_of_two(void)
{
	send_mortal();
	be_one_of(2);
}

static void finish(void)
{
	expect(all_done() == load_relaxed(&sent),
	       "%u requests were done, of %u", all_done(),
	       load_relaxed(&sent));
}

/* ---- which of them ---- */

#define ONE_NS 1
static const struct setting fresh_1 = { 1, 0 }, fresh_2 = { 2, 0 },
	brief_1 = { 1, ONE_NS }, brief_2 = { 2, ONE_NS },
	stay_1 = { 1, FH_FOREVER }, stay_2 = { 2, FH_FOREVER };

#define SCENE(name_, setting_, ...)                                         \
	{ .name = name_, .setup = setup, .data = &setting_,                 \
	  .thread = { __VA_ARGS__ }, .finish = finish }

static const struct scenario scenarios[] = {
	SCENE("fresh: two, drain", fresh_2, two_and_drain),
	SCENE("brief: two, drain", brief_2, two_and_drain),
	SCENE("stay: two, drain", stay_2, two_and_drain),
	SCENE("fresh: one place, one after the other", fresh_1,
	      after_and_drain),
	SCENE("brief: one place, one after the other", brief_1,
	      after_and_drain),
	SCENE("stay: one place, one after the other", stay_1,
	      after_and_drain),
	SCENE("stay: two places, one after the other", stay_2,
	      after_and_drain),
	SCENE("fresh: two, destroy", fresh_2, two_and_destroy),
	SCENE("brief: two, destroy", brief_2, two_and_destroy),
	SCENE("stay: two, destroy", stay_2, two_and_destroy),
	SCENE("fresh: a mortal, drain", fresh_1, mortal_and_drain),
	SCENE("stay: a mortal, drain", stay_1, mortal_and_drain),
	SCENE("fresh: a mortal, destroy", fresh_1, mortal_and_destroy),
	SCENE("stay: a mortal, destroy", stay_1, mortal_and_destroy),
	SCENE("fresh: destroyed from inside", fresh_1, destroyed_from_inside),
	SCENE("stay: destroyed from inside", stay_1, destroyed_from_inside),
	SCENE("fresh: two, destroyed from inside", fresh_2, second_destroys),
	SCENE("stay: two, destroyed from inside", stay_2, second_destroys),
	SCENE("fresh: one | one", fresh_1, one_of_two, other_of_two),
	SCENE("fresh: one | one, two places", fresh_2, one_of_two,
	      other_of_two),
	SCENE("brief: one | one", brief_1, one_of_two, other_of_two),
	SCENE("stay: one | one, two places", stay_2, one_of_two,
	      other_of_two),
	SCENE("brief: one | mortal", brief_1, one_of_two, mortal_of_two),
	SCENE("fresh: one | mortal, two places", fresh_2, one_of_two,
	      mortal_of_two),
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

int main(int argc, char **argv)
{
	static struct scenario all[2 * SCENARIOS];
	static char name[SCENARIOS][64];
	size_t i, count = 0;

	for (i = 0; i < SCENARIOS; i++) {
		const struct setting *setting = scenarios[i].data;

		all[count] = scenarios[i];
		all[count].preemptions = 1;
		if (setting->idle == ONE_NS)
			all[count].timeouts = 1;
		count++;
		if (setting->idle == 0) {
			all[count] = scenarios[i];
			snprintf(name[i], sizeof(name[i]), "%s, no memory",
				 scenarios[i].name);
			all[count].name = name[i];
			all[count].preemptions = 1;
			all[count++].failures = 1;
		}
	}
	return schedule_main(argc, argv, all, count);
}
