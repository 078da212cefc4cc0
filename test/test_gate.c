/* SPDX-License-Identifier: MIT */
/* gate: limits, running, closing, draining, deadlines, counts. */
#include <freehold/gate.h>

#include <errno.h>

#include "gates.h"
#include "tap.h"

static void test_options(void)
{
	struct fh_gate_options options = { 0 };
	struct fh_gate *gate = NULL;

	is(fh_gate_create(&gate, NULL), -EINVAL, "a gate has options");
	is(fh_gate_create(&gate, &options), -EINVAL, "and a limit");
	options.limit = FH_GATE_LIMIT + 1;
	is(fh_gate_create(&gate, &options), -EINVAL, "which has a limit");
	options.limit = 1;
	options.idle = -1;
	is(fh_gate_create(&gate, &options), -EINVAL, "no thread idles so");
	options.idle = 0;
	options.stack_size = 1;
	is(fh_gate_create(&gate, &options), -EINVAL, "or has such a stack");
	ok(!gate, "nothing was made");
	options.stack_size = 0;
	options.limit = FH_GATE_LIMIT;
	is(fh_gate_create(&gate, &options), 0, "the highest limit");
	is(fh_gate_enter(gate), 0, "can be entered");
	is(fh_gate_leave(gate), 0, "and left");
	fh_gate_destroy(gate);
	fh_gate_destroy(NULL);
}

static void test_enter(void)
{
	struct fh_gate *gate = gate_of(2, 0);
	struct fh_gate_stats stats = stats_of(gate);

	ok(stats.limit == 2 && !stats.inside && !stats.peak &&
	   !stats.waiting && !stats.threads && !stats.closed &&
	   !stats.admitted && !stats.refused && !stats.turned_away &&
	   !stats.failed && !stats.died, "a new gate");
	is(fh_gate_leave(gate), -EPERM, "nobody can leave it");
	is(fh_gate_enter(gate), 0, "one in");
	is(fh_gate_enter(gate), 0, "two in");
	is(fh_gate_enter(gate), -EBUSY, "no place for a third");
	is(fh_gate_enter_wait(gate, 0), -ETIMEDOUT, "nor by polling");
	is(stats_of(gate).inside, 2, "two are inside");
	is(fh_gate_leave(gate), 0, "one out");
	is(fh_gate_enter_wait(gate, 0), 0, "now there is a place");
	fh_gate_close(gate);
	fh_gate_close(gate);
	is(fh_gate_enter(gate), -ESHUTDOWN, "closed");
	is(fh_gate_enter_wait(gate, FH_FOREVER), -ESHUTDOWN, "for ever");
	is(fh_gate_leave(gate), 0, "those inside leave");
	is(fh_gate_enter(gate), -ESHUTDOWN, "closed all the same");
	fh_gate_open(gate);
	fh_gate_open(gate);
	is(fh_gate_enter(gate), 0, "open again");
	fh_gate_leave(gate);
	fh_gate_leave(gate);
	is(fh_gate_leave(gate), -EPERM, "nobody is left");
	stats = stats_of(gate);
	ok(stats.admitted == 4 && stats.refused == 2 &&
	   stats.turned_away == 3 && stats.peak == 2 && !stats.inside,
	   "all was counted");
	fh_gate_destroy(gate);
}

/* ---- waiting ---- */

struct visit {
	struct fh_gate *gate;
	int64_t deadline;
	int rc;
	size_t left;
	tally done;
};

static void come_in(unsigned index, void *arg)
{
	struct visit *visit = arg;

	(void)index;
	visit->rc = fh_gate_enter_wait(visit->gate, visit->deadline);
	store_seq_cst(&visit->done, 1);
}

static void drain_it(unsigned index, void *arg)
{
	struct visit *visit = arg;

	(void)index;
	visit->rc = fh_gate_drain_wait(visit->gate, visit->deadline,
				       &visit->left);
	store_seq_cst(&visit->done, 1);
}

/* A thread in @work, which has announced that it waits. */
static void start_waiting(struct visit *visit, struct crew *crew,
			  crew_work work, struct fh_gate *gate,
			  int64_t deadline)
{
	size_t before = stats_of(gate).waiting;

	*visit = (struct visit){ .gate = gate, .deadline = deadline,
				 .rc = 1 };
	crew_start(crew, 1, work, visit);
	while (stats_of(gate).waiting == before &&
	       !load_seq_cst(&visit->done))
		sleep_ns(MS / 5);
}

static void test_wait_for_a_place(void)
{
	struct fh_gate *gate = gate_of(1, 0);
	struct visit visit;
	struct crew crew;
	int64_t deadline;

	fh_gate_enter(gate);
	start_waiting(&visit, &crew, come_in, gate, FH_FOREVER);
	is(stats_of(gate).waiting, 1, "one waits for a place");
	ok(!load_seq_cst(&visit.done), "there is none");
	fh_gate_leave(gate);
	crew_join(&crew);
	is(visit.rc, 0, "it gets the place that is given back");
	is(stats_of(gate).waiting, 0, "and waits no more");
	is(fh_gate_enter(gate), -EBUSY, "it has the only one");

	deadline = fh_deadline_in(20 * MS);
	is(fh_gate_enter_wait(gate, deadline), -ETIMEDOUT, "waiting in vain");
	ok(fh_now() >= deadline, "does not end early");
	is(stats_of(gate).waiting, 0, "and leaves nothing behind");

	start_waiting(&visit, &crew, come_in, gate, FH_FOREVER);
	fh_gate_close(gate);
	crew_join(&crew);
	is(visit.rc, -ESHUTDOWN, "who waits is told of the closing");
	is(stats_of(gate).waiting, 0, "and goes away");
	fh_gate_leave(gate);
	fh_gate_destroy(gate);
}

static void test_drain(void)
{
	struct fh_gate *gate = gate_of(3, 0);
	struct visit visit;
	struct crew crew;
	int64_t deadline;
	size_t left = 99;

	is(fh_gate_drain_wait(gate, 0, &left), 0, "nobody is inside");
	is(left, 0, "nobody is left");
	ok(stats_of(gate).closed, "it is closed now");
	fh_gate_open(gate);
	fh_gate_enter(gate);
	fh_gate_enter(gate);
	is(fh_gate_drain_wait(gate, 0, &left), -ETIMEDOUT, "two are inside");
	is(left, 2, "which is said");
	deadline = fh_deadline_in(20 * MS);
	is(fh_gate_drain_wait(gate, deadline, NULL), -ETIMEDOUT,
	   "and they stay");
	ok(fh_now() >= deadline, "it did not give up early");
	is(fh_gate_enter(gate), -ESHUTDOWN, "it stays closed");

	start_waiting(&visit, &crew, drain_it, gate, FH_FOREVER);
	is(fh_gate_leave(gate), 0, "one leaves");
	sleep_ns(2 * MS);
	ok(!load_seq_cst(&visit.done), "that is not all");
	is(fh_gate_leave(gate), 0, "the other one leaves");
	crew_join(&crew);
	ok(visit.rc == 0 && visit.left == 0, "drained");

	fh_gate_open(gate);
	is(fh_gate_enter(gate), 0, "open again");
	start_waiting(&visit, &crew, drain_it, gate, FH_FOREVER);
	fh_gate_open(gate);
	crew_join(&crew);
	ok(visit.rc == -ECANCELED && visit.left == 1,
	   "who opens it calls a drain off");
	is(fh_gate_enter(gate), 0, "it is open");
	is(stats_of(gate).waiting, 0, "nobody waits");
	fh_gate_destroy(gate);
	is(fh_gate_leave(gate), 0, "who is inside may leave a destroyed gate");
	is(fh_gate_leave(gate), 0, "the last one, too");
}

int main(void)
{
	watchdog(120);
	test_options();
	test_enter();
	test_wait_for_a_place();
	test_drain();
	return done_testing();
}
