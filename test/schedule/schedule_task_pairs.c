/* SPDX-License-Identifier: MIT */
/*
 * Schedules of tasks: every pair of operations on a task that is queued, is
 * launched, runs, or has ended, and the triples of those that interfere.
 * What must hold is said in schedule_task_pairs.h.
 */
#include "schedule_task_pairs.h"

static const enum operation changes[] = {
	SUBMIT, CANCEL, END, TAKE, SWEEP, CLOSE, DRAIN, CANCEL_ALL, NONE
};
static const enum operation looks[] = {
	AWAIT_CANCEL, OUTPUT, WAIT, WAIT_ANY, WAIT_ALL, FIND, GET, LIST, NONE
};

/* The others leave to the main thread what it costs to have more of them. */
static bool is_long(void)
{
	return getenv("FH_PROVE") != NULL;
}

/* Beside the main thread, unless the task is through with it. */
static void add_beside_main(enum content content, enum operation a,
			    enum operation b)
{
	if (content == ENDED)
		add(content, a, b, NONE);
	else
		add(content, RUN_MAIN, a, b);
}

static void add_pair(enum content content, enum operation a, enum operation b)
{
	if (content <= ENDED)
		add_beside_main(content, a, b);
	else
		add(content, a, b, NONE);
}

/* Every pair of these, one with itself too.  Each list ends with NONE. */
static void add_pairs(enum content content, const enum operation *of)
{
	const enum operation *a, *b;

	for (a = of; *a; a++)
		for (b = a; *b; b++)
			add_pair(content, *a, *b);
}

/* One of these beside each of those. */
static void add_beside(enum content content, const enum operation *these,
		       const enum operation *those)
{
	const enum operation *a, *b;

	for (a = these; *a; a++)
		for (b = those; *b; b++)
			add_pair(content, *a, *b);
}

static void add_changes(enum content content)
{
	add_pairs(content, changes);
	add_beside(content, changes, looks);
}

static void add_all_pairs(enum content content)
{
	add_changes(content);
	add_pairs(content, looks);
}

/* For the short form: what has to do with a function that runs. */
static void add_running(void)
{
	static const enum operation its_changes[] = {
		SUBMIT, CANCEL, END, TAKE, DRAIN, CANCEL_ALL, NONE
	};
	static const enum operation ends[] = { CANCEL, END, NONE };

	add_pairs(RUNNING, its_changes);
	add_beside(RUNNING, ends, looks);
}

/* One switch more, where the task is at rest. */
static void add_ended(enum operation a, enum operation b, enum operation c)
{
	struct scenario *scenario = add(ENDED, a, b, c);

	scenario->preemptions = 2;
	scenario->stale = 1;
	name_scenario(scenario, ", at length");
}

/* The end itself, and two beside it. */
static void add_long_running(enum operation a, enum operation b)
{
	struct scenario *scenario = add(RUNNING, RUN_MAIN, a, b);

	scenario->preemptions = 2;
	name_scenario(scenario, ", at length");
}

/* Threads of the library's own have part in these. */
static void add_threads(void)
{
	static const enum operation sweep[] = { SWEEP, NONE };
	static const enum operation beside[] = {
		SWEEP, CANCEL, END, TAKE, CLOSE, DRAIN, CANCEL_ALL, NONE
	};
	static const enum operation cancel[] = { CANCEL, NONE };
	static const enum operation ends[] = {
		CANCEL, END, DRAIN, CANCEL_ALL, NONE
	};

	add_beside(LAUNCHED, sweep, beside);
	add_beside(LAUNCHED, cancel, ends);
	add_beside(POOLED, cancel, ends);
	add_beside(VANISHING, sweep, beside);
	add(VANISHING, END, DRAIN, NONE);
	add(VANISHING, END, CANCEL_ALL, NONE);
	add(VANISHING, TAKE, DRAIN, NONE);
}

static void add_triples(void)
{
	add_ended(TAKE, TAKE, NONE);
	add_ended(TAKE, TAKE, TAKE);
	add_ended(TAKE, END, CANCEL);
	add(ENDED, SUBMIT, SUBMIT, FIND);
	add_long_running(TAKE, TAKE);
	add_long_running(END, END);
}

/* Three beside the main thread. */
static void add_crowd(enum content content, enum operation a, enum operation b,
		      enum operation c)
{
	add_setting(&(struct setting){ .content = content,
				       .operation = { RUN_MAIN, a, b, c } });
}

/* A second task is behind the first. */
static struct scenario *add_two(enum operation a)
{
	return add_setting(&(struct setting){
		.content = QUEUED, .of_two = true,
		.operation = { RUN_MAIN, WAIT_ALL, a } });
}

static void add_two_timed(enum operation a)
{
	struct scenario *scenario = add_two(a);

	name_scenario(scenario, ", a while");
	scenario->timeouts = 1;
}

static void add_long(void)
{
	static const enum operation gone[] = {
		SUBMIT, CANCEL, END, TAKE, FIND, GET, LIST, SWEEP, CLOSE,
		DRAIN, CANCEL_ALL, NONE
	};

	add_crowd(RUNNING, WAIT, WAIT_ANY, END);
	add_pairs(QUEUED, looks);
	add_all_pairs(RUNNING);
	add_pairs(VANISHING, gone);
	add_all_pairs(POOLED);
	add_all_pairs(LAUNCHED);
}

int main(int argc, char **argv)
{
	add_changes(QUEUED);
	if (!is_long())
		add_running();
	add_all_pairs(ENDED);
	add_triples();
	add_crowd(QUEUED, CANCEL, END, TAKE);
	add_crowd(QUEUED, CANCEL, CANCEL, CANCEL_ALL);
	add_crowd(QUEUED, SUBMIT, CANCEL, FIND);
	add_crowd(RUNNING, END, END, TAKE);
	add_two(CANCEL);
	add_two(END);
	add_two(WAIT_ALL);
	add_two(CANCEL_ALL);
	add_two_timed(NONE);
	add_two_timed(CANCEL);
	if (is_long())
		add_long();
	else
		add_threads();
	return script_main(argc, argv);
}
