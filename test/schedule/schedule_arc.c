/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the arc registry: beginnings and ends.  Every pair of starts,
 * claims, publications, abandonments, ends and looks, on a pair of names in
 * every condition, and the triples of those that interfere.  What must hold
 * is said in schedule_arc_model.h.
 */
#include "schedule_arc.h"

/* Of a claim that setup made, one thread makes something. */
static void add_claimed(enum operation settling)
{
	static const enum operation others[] = {
		START, START_IN_VAIN, START_OR_JOIN, POLL, END, GET, NONE
	};
	unsigned i;

	for (i = 0; others[i]; i++)
		add(CLAIMED, settling, others[i], NONE);
	add(CLAIMED, settling, START, END);
	add(CLAIMED, settling, START, START);
	add(CLAIMED, settling, START_OR_JOIN, START);
	add(CLAIMED, settling, START_OR_JOIN, END);
	add_failing(CLAIMED, settling, START, false);
	add_failing(CLAIMED, settling, START_OR_JOIN, false);
}

static void add_all_pairs(void)
{
	static const enum operation starts[] = {
		START, START_IN_VAIN, START_OR_JOIN, POLL, END, GET, NONE
	};
	static const enum operation ends[] = {
		START, START_OR_JOIN, END, END_FIRST, GET, NONE
	};

	add_pairs(NOTHING, starts);
	add_pairs(OVER, starts);
	add_pairs(ACTIVE, ends);
	add_pairs(STEPPED, ends);
	add_claimed(PUBLISH);
	add_claimed(ABANDON);
}

static void add_triples(void)
{
	add(NOTHING, START, START, END);
	add(NOTHING, START, END, GET);
	add(NOTHING, START, START, START);
	add(NOTHING, START_IN_VAIN, START_OR_JOIN, END);
	add(NOTHING, START_IN_VAIN, START_OR_JOIN,
	    START_OR_JOIN);
	add(OVER, START, START, END);
	add(OVER, START, START, GET);
	add(ACTIVE, START, START, END);
	add(ACTIVE, START, END, END_FIRST);
	add(ACTIVE, START, END_FIRST, GET);
	add(ACTIVE, START_IN_VAIN, START, END_FIRST);
	add(ACTIVE, END, END, GET);
}

static void add_failures(void)
{
	add_failing(NOTHING, START, START, false);
	add_failing(NOTHING, START, START_IN_VAIN, false);
	add_failing(OVER, START, START, false);
	add_failing(ACTIVE, START, END, false);
	add_failing(ACTIVE, END, END, false);
	add_failing(ACTIVE, START, END, true);
	add_failing(ACTIVE, END, GET, true);
}

int main(int argc, char **argv)
{
	add_all_pairs();
	add_triples();
	add_failures();
	return script_main(argc, argv);
}
