/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the server registry: every pair of operations on a name in
 * every condition.  What must hold is said in schedule_server.h.
 */
#include "schedule_server.h"

/* Every pair of these, one with itself too. */
static void add_pairs(enum content content, const enum operation *of)
{
	const enum operation *a, *b;

	for (a = of; *a; a++)
		for (b = a; *b; b++)
			add(content, *a, *b, NONE);
}

/* Who settles a start may miss that it was closed meanwhile: twice. */
static void add_stale(enum content content, enum operation a, enum operation b)
{
	struct scenario *scenario = add(content, a, b, NONE);

	name_scenario(scenario, ", two older values");
	scenario->stale = 2;
}

/* One of these beside each of those. */
static void add_beside(enum content content, const enum operation *these,
		       const enum operation *those)
{
	const enum operation *a, *b;

	for (a = these; *a; a++)
		for (b = those; *b; b++)
			add(content, *a, *b, NONE);
}

/* What changes a server that runs, and what must not see it half changed. */
static void add_running(void)
{
	static const enum operation changes[] = {
		START, RESTART, STOP, CRASH, NONE
	};
	static const enum operation others[] = {
		RESTART_WAIT, STOP_WAIT, GET, GET_WAIT, HEALTH, NONE
	};

	add_pairs(RUNS, changes);
	add_beside(RUNS, changes, others);
	add(RUNS, RESTART_FIRST, RESTART_FIRST, NONE);
	add(RUNS, RESTART_FIRST, CRASH, NONE);
	add(RUNS, RESTART_WAIT, RESTART_WAIT, NONE);
	add(RUNS, STOP_WAIT, STOP_WAIT, NONE);
	add(RUNS, RESTART, LIST, NONE);
	add(RUNS, STOP, LIST, NONE);
	add(RUNS, GONE, RESTART, NONE);
	add(RUNS, GONE, STOP, NONE);
	add(RUNS, GONE, CRASH, NONE);
	add(RUNS, GONE, GET, NONE);
	add(RUNS, GONE_NEXT, RESTART, NONE);
	add(RUNS_RUSHED, GET, RESTART, NONE);
	add(RUNS_RUSHED, GET, STOP, NONE)->preemptions = 3;
	add(RUNS_RUSHED, GET, CRASH, NONE);
	add(RUNS_FOR_TWO, STOP, STOP, NONE);
	add(RUNS_FOR_TWO, STOP, STOP_WAIT, NONE);
}

/* What brings one back, or ends it, that does not run. */
static void add_broken(void)
{
	static const enum operation changes[] = { START, RESTART, STOP, NONE };
	static const enum operation recovery[] = { RECOVER, STOP, NONE };
	static const enum operation patient[] = {
		GET_WAIT, AWAIT_RUNNING, HEALTH, NONE
	};

	add_pairs(BROKEN, changes);
	add_beside(BROKEN, changes, patient);
	add_pairs(BACKING_OFF, recovery);
	add_beside(BACKING_OFF, changes, recovery);
	add_beside(BACKING_OFF, recovery, patient);
	add(BACKING_OFF, RECOVER, RESTART_WAIT, NONE);
	add(STUBBORN, STOP, HEALTH, NONE);
	add(STUBBORN, STOP, STOP, NONE);
	add(STUBBORN, STOP, START, NONE);
	add(STUBBORN, RESTART, STOP, NONE);
}

int main(int argc, char **argv)
{
	static const enum operation nothing[] = {
		START, START_WAIT, RESTART, STOP, GET, HEALTH, NONE
	};
	static const enum operation over[] = { START, START_WAIT, NONE };
	static const enum operation beside[] = {
		START_WAIT, STOP, GET, LIST, NONE
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
