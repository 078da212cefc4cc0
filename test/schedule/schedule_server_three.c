/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the server registry: three threads, of which one learns from
 * the second what that has from the first.  What must hold is said in
 * schedule_server.h.
 */
#include "schedule_server.h"

/* What goes wrong takes so many switches: too many for the short form. */
static void add_deep(enum content content, enum operation a, enum operation b,
		     enum operation c, int switches)
{
	struct scenario *scenario = add(content, a, b, c);

	scenario->stale = -1;
	if (getenv("FH_PROVE"))
		scenario->preemptions = switches;
}

int main(int argc, char **argv)
{
	add(NOTHING, START, START, GET);
	add(NOTHING, START, GET, STOP);
	add(NOTHING, START, STOP, START_WAIT);
	add(RUNS, RESTART, GET, GET);
	add(RUNS, RESTART, STOP, HEALTH);
	add(RUNS, RESTART, STOP, GET_WAIT);
	add(RUNS, RESTART, RESTART_WAIT, STOP);
	add(RUNS, CRASH, RESTART, GET);
	add(RUNS, STOP, START, GET);
	add(RUNS, STOP, START_WAIT, HEALTH);
	add(RUNS, STOP, GET, HEALTH);
	add(RUNS, GONE, STOP, GET);
	add(BROKEN, RESTART, STOP, GET_WAIT);
	add(BACKING_OFF, RECOVER, STOP, GET_WAIT);
	/* A user is lost in three switches: all of them take too long. */
	add_deep(BROKEN, START, RESTART, STOP, 2);
	add_deep(RELUCTANT, STOP, STOP, START, 2);
	/* One stop sees it closed; another opens it, and it is started. */
	add(RELUCTANT_LEFT, STOP, STOP, START);
	return script_main(argc, argv);
}
