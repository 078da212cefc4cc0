/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the arc registry: progress and walks.  Every pair of steps,
 * last steps, walks and sweeps, with each other and with starts, ends and
 * looks, and the triples of those that interfere.  What must hold is said in
 * schedule_arc.h.
 */
#include "schedule_arc.h"

static const enum operation steps_of[] = {
	STEP, STEP_LAST, WALK, STEP_ALL, END_ALL, EXPIRE_ALL, NONE
};

static const enum operation others_of[] = { START, END, GET, NONE };

static void add_with_others(enum content content)
{
	const enum operation *a, *b;

	for (a = steps_of; *a; a++)
		for (b = others_of; *b; b++)
			add(content, *a, *b, NONE);
}

static void add_all_pairs(void)
{
	const enum operation *a;

	for (a = steps_of; *a; a++) {
		add(NOTHING, *a, START, NONE);
		add(NOTHING, *a, START_IN_VAIN, NONE);
		add(OVER, *a, START, NONE);
		add(CLAIMED, *a, PUBLISH, NONE);
		add(CLAIMED, *a, ABANDON, NONE);
	}
	add_pairs(ACTIVE, steps_of);
	add_pairs(STEPPED, steps_of);
	add_with_others(ACTIVE);
	add_with_others(STEPPED);
	add(OVER, WALK, WALK, NONE);
}

static void add_triples(enum content content)
{
	static const enum operation thirds[] = {
		STEP, STEP_LAST, END, GET, START, NONE
	};
	const enum operation *third;

	for (third = thirds; *third; third++) {
		add(content, STEP, STEP, *third);
		add(content, STEP_LAST, START, *third);
		add(content, WALK, STEP, *third);
	}
	add(content, WALK, END, START);
	add(content, END_ALL, STEP, START);
	add(content, EXPIRE_ALL, STEP, STEP);
	add(content, STEP_ALL, END, START);
}

static void add_failures(void)
{
	const enum operation *a;

	for (a = steps_of; *a; a++) {
		add_failing(STEPPED, *a, STEP, false);
		add_failing(STEPPED, *a, END, false);
		add_failing(OVER, *a, START, false);
	}
	add_failing(STEPPED, STEP, END, true);
	add_failing(STEPPED, STEP_LAST, END, true);
}

int main(int argc, char **argv)
{
	add_all_pairs();
	add_triples(ACTIVE);
	add_triples(STEPPED);
	add(NOTHING, START, STEP, GET);
	add(NOTHING, START, STEP, WALK);
	add(CLAIMED, PUBLISH, STEP, END);
	add_failures();
	return script_main(argc, argv);
}
