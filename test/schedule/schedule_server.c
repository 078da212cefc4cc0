/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the server registry: every pair of operations on a name in
 * every condition.  What must hold is said in schedule_server.h.
 */
#include "schedule_server.h"

/*
 * Who settles a start may miss that it was closed meanwhile: twice.  Who finds
 * a lease stale may miss that its client has ended: in the cell, and in the
 * face.
 */
static void add_stale(enum content content, enum operation a, enum operation b)
{
	struct scenario *scenario = add(content, a, b, NONE);

	name_scenario(scenario, ", two older values");
	scenario->stale = 2;
}

/* What changes a server that runs, and what must not see it half changed. */
static void add_running(void)
{
	static const enum operation all[] = {
		START, START_WAIT, RESTART, RESTART_WAIT, STOP, STOP_WAIT,
		CRASH, GET, GET_WAIT, LEASE, HEALTH, LIST, NONE
	};
	static const enum operation changes[] = {
		RESTART, STOP, CRASH, NONE
	};
	static const enum operation lease[] = { LEASE, NONE };

	add_pairs(RUNS, all);
	add_beside(RUNS_RUSHED, lease, changes);
	add(RUNS, RESTART_FIRST, RESTART_FIRST, NONE);
	add(RUNS, RESTART_FIRST, CRASH, NONE);
	add(RUNS, GONE, RESTART, NONE);
	add(RUNS, GONE, STOP, NONE);
	add(RUNS, GONE, CRASH, NONE);
	add(RUNS, GONE, GET, NONE);
	add(RUNS, GONE_NEXT, RESTART, NONE);
	add(RUNS_RUSHED, GET, RESTART, NONE);
	add(RUNS_RUSHED, GET, STOP, NONE)->preemptions = 3;
	add(RUNS_RUSHED, GET, CRASH, NONE);
	add_stale(RUNS, LEASE, RESTART);
	add_stale(RUNS, LEASE, STOP);
	add_stale(RUNS, LEASE, CRASH);
	add(RUNS_FOR_TWO, STOP, STOP, NONE);
	add(RUNS_FOR_TWO, STOP, STOP_WAIT, NONE);
}

/* What brings one back, or ends it, that does not run. */
static void add_broken(void)
{
	static const enum operation changes[] = {
		START, START_WAIT, RESTART, RESTART_WAIT, STOP, STOP_WAIT,
		NONE
	};
	static const enum operation recovery[] = { RECOVER, STOP, NONE };
	static const enum operation patient[] = {
		GET, GET_WAIT, AWAIT_RUNNING, HEALTH, LIST, NONE
	};

	add_pairs(BROKEN, changes);
	add_beside(BROKEN, changes, patient);
	add(BACKING_OFF, RECOVER, RECOVER, NONE);
	add_beside(BACKING_OFF, changes, recovery);
	add_beside(BACKING_OFF, recovery, patient);
	add(STUBBORN, STOP, HEALTH, NONE);
	add(STUBBORN, STOP, STOP, NONE);
	add(STUBBORN, STOP, START, NONE);
	add(STUBBORN, RESTART, STOP, NONE);
}

int main(int argc, char **argv)
{
	static const enum operation nothing[] = {
		START, START_WAIT, RESTART, RESTART_WAIT, STOP, STOP_WAIT,
		GET, GET_WAIT, HEALTH, LIST, NONE
	};
	static const enum operation over[] = { START, START_WAIT, NONE };
	static const enum operation beside[] = {
		RESTART, STOP, GET, HEALTH, LIST, NONE
	};

	add_pairs(NOTHING, nothing);
	add_pairs(OVER, over);
	add_beside(OVER, over, beside);
	add_running();
	add_broken();
	add_stale(NOTHING, START, STOP);
	add_failing(NOTHING, START, START);
	add_failing(NOTHING, START, START_WAIT);
	add_failing(RUNS, RESTART, RESTART);
	add_failing(RUNS, RESTART, STOP);
	add_failing(RUNS, RESTART, GET);
	add_failing(BROKEN, START, RESTART);
	return script_main(argc, argv);
}
