/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the server registry: all are stopped, on threads of the
 * registry's own, while somebody does something with one of them.  What must
 * hold is said in schedule_server.h.
 */
#include "schedule_server.h"

/* Older values are for the long form, where something is there to stop. */
static void add_one(enum content content, enum operation operation)
{
	struct scenario *scenario = add(content, STOP_ALL, operation, NONE);
	bool large = content != NOTHING && content != OVER;

	scenario->stale = large && !getenv("FH_PROVE") ? -1 : 1;
}

static void add_each(enum content content, const enum operation *of)
{
	while (*of)
		add_one(content, *of++);
}

/*
 * For the long form.  A sweep that marks late, behind a later one; and one
 * that closes a server whose start is settled unseen: the cell has changed,
 * and the face.
 */
static void add_late(void)
{
	struct scenario *scenario = add(RUNS, STOP_ALL, STOP_ALL, NONE);

	name_scenario(scenario, ", at length");
	scenario->preemptions = 2;
	scenario->stale = -1;
	scenario = add(NOTHING, STOP_ALL, START, NONE);
	name_scenario(scenario, ", two older values");
	scenario->preemptions = 2;
	scenario->stale = 2;
}

/* The registry goes while its own threads end. */
static void add_ends(void)
{
	static const enum content contents[] = {
		RUNS, RUNS_FOR_TWO, OVER, BROKEN, STUBBORN
	};
	size_t i;

	for (i = 0; i < sizeof(contents) / sizeof(*contents); i++)
		add(contents[i], END, NONE, NONE)->preemptions = 2;
}

int main(int argc, char **argv)
{
	static const enum operation all[] = {
		START, START_WAIT, RESTART, RESTART_WAIT, STOP, STOP_WAIT,
		CRASH, GET, GET_WAIT, LEASE, HEALTH, LIST, STOP_ALL, NONE
	};
	static const enum operation changes[] = {
		START, START_WAIT, RESTART, STOP, STOP_WAIT, GET_WAIT,
		AWAIT_RUNNING, NONE
	};

	add_each(NOTHING, all);
	add_each(RUNS, all);
	add_each(OVER, changes);
	add_each(BROKEN, changes);
	add_one(BACKING_OFF, RECOVER);
	add_one(RUNS_RUSHED, LEASE);
	add_one(RUNS_FOR_TWO, STOP);
	add_one(STUBBORN, STOP);
	add_ends();
	add_failing(RUNS, STOP_ALL, HEALTH);
	if (getenv("FH_PROVE"))
		add_late();
	return script_main(argc, argv);
}
