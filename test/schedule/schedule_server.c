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

int main(int argc, char **argv)
{
	static const enum operation nothing[] = {
		START, START_WAIT, RESTART, STOP, GET, HEALTH, NONE
	};
	static const enum operation runs[] = {
		START, RESTART, RESTART_WAIT, RESTART_FIRST, STOP, STOP_WAIT,
		GET, GET_WAIT, HEALTH, CRASH, GONE, LIST, NONE
	};
	static const enum operation broken_ones[] = {
		START, START_WAIT, RESTART, RESTART_WAIT, STOP, GET_WAIT,
		HEALTH, NONE
	};
	static const enum operation revivers[] = {
		START, RESTART, RESTART_WAIT, STOP, RECOVER, NONE
	};
	const enum operation *a;

	begin_list();
	add_pairs(NOTHING, nothing);
	add_pairs(OVER, nothing);
	add_pairs(RUNS, runs);
	add_pairs(BROKEN, broken_ones);
	add_pairs(BACKING_OFF, revivers);
	for (a = revivers; *a; a++) {
		add(BACKING_OFF, *a, GET_WAIT, NONE);
		add(BACKING_OFF, *a, AWAIT_RUNNING, NONE);
		add(BACKING_OFF, *a, HEALTH, NONE);
	}
	add(RUNS_FOR_TWO, STOP, STOP, NONE);
	add(RUNS_FOR_TWO, STOP, STOP_WAIT, NONE);
	add_failing(NOTHING, START, START);
	add_failing(NOTHING, START, START_WAIT);
	add_failing(RUNS, RESTART, RESTART);
	add_failing(RUNS, RESTART, STOP);
	add_failing(RUNS, RESTART, GET);
	add_failing(BROKEN, START, RESTART);
	return schedule_main(argc, argv, scenarios, scenario_count);
}
