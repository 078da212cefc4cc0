/* SPDX-License-Identifier: MIT */
/*
 * script: lists of scenarios whose threads all run the program's act(); see
 * script.h.
 */
#include "script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCENARIOS_MOST 2048

struct name {
	char text[200];
};

static struct scenario *scenarios;
static struct name *names;	/* of each */
static size_t *sizes;		/* of its data */
static size_t count;

static void give_up(const char *why)
{
	fprintf(stderr, "schedule: the list of scenarios: %s\n", why);
	exit(99);
}

static void *allocate(size_t number, size_t size)
{
	void *made = calloc(number, size);

	if (!made)
		give_up("no memory");
	return made;
}

static void go_on(struct scenario *scenario, const char *format, va_list args)
{
	char *text = names[scenario - scenarios].text;
	size_t used = strlen(text), room = sizeof(struct name) - used;
	int length = vsnprintf(text + used, room, format, args);

	if (length < 0 || (size_t)length >= room)
		give_up("a name is too long");
}

void name_scenario(struct scenario *scenario, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	go_on(scenario, format, args);
	va_end(args);
}

struct scenario *add_scenario(const struct scenario *frame,
			      const void *setting, size_t size)
{
	struct scenario *scenario;

	if (!scenarios) {
		scenarios = allocate(SCENARIOS_MOST, sizeof(*scenarios));
		names = allocate(SCENARIOS_MOST, sizeof(*names));
		sizes = allocate(SCENARIOS_MOST, sizeof(*sizes));
	}
	if (count == SCENARIOS_MOST)
		give_up("it is full");
	scenario = &scenarios[count];
	*scenario = *frame;
	scenario->name = names[count].text;
	sizes[count++] = setting ? size : 0;
	if (frame->name)
		name_scenario(scenario, "%s", frame->name);
	if (setting)
		scenario->data = memcpy(allocate(1, size), setting, size);
	return scenario;
}

/* ---- the threads ---- */

static void act_0(void)
{
	act(0);
}

static void act_1(void)
{
	act(1);
}

static void act_2(void)
{
	act(2);
}

static void act_3(void)
{
	act(3);
}

static void (*const acts[ACTORS])(void) = { act_0, act_1, act_2, act_3 };

void add_actor(struct scenario *scenario, const char *format, ...)
{
	unsigned me = 0;
	va_list args;

	while (scenario->thread[me])
		me++;
	if (me == ACTORS)
		give_up("too many threads");
	scenario->thread[me] = acts[me];
	name_scenario(scenario, "%s", me ? " | " : *scenario->name ? " " : "");
	va_start(args, format);
	go_on(scenario, format, args);
	va_end(args);
}

void add_scripts(struct scenario *scenario, const struct script *scripts,
		 const char *const *operation_name)
{
	unsigned me, i;

	for (me = 0; me < ACTORS && scripts[me].action[0]; me++) {
		const int *action = scripts[me].action;

		add_actor(scenario, "%s", operation_name[action[0]]);
		for (i = 1; i < ACTIONS && action[i]; i++)
			name_scenario(scenario, ", %s",
				      operation_name[action[i]]);
	}
}

struct scenario *small(struct scenario *scenario)
{
	scenario->preemptions = scenario->thread[2] ? 1 : 2;
	return scenario;
}

void restless(struct scenario *scenario)
{
	scenario->wakeups = 1;
	name_scenario(scenario, ", woken for nothing");
}

void without_memory(struct scenario *scenario)
{
	scenario->failures = 1;
	name_scenario(scenario, ", no memory");
}

/* ---- the list as a whole ---- */

/* The same in all, and not in name alone. */
static bool repeats(size_t one, size_t other)
{
	struct scenario a = scenarios[one];
	const struct scenario *b = &scenarios[other];

	if (strcmp(a.name, b->name) != 0 || sizes[one] != sizes[other])
		return false;
	if (sizes[one] && memcmp(a.data, b->data, sizes[one]) != 0)
		return false;
	a.name = b->name;
	a.data = b->data;
	return memcmp(&a, b, sizeof(a)) == 0;
}

static bool is_repeated(size_t one)
{
	size_t other;

	for (other = 0; other < one; other++)
		if (repeats(one, other))
			return true;
	return false;
}

static void drop_repeated(void)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++) {
		if (is_repeated(i))
			continue;
		scenarios[kept] = scenarios[i];
		sizes[kept++] = sizes[i];
	}
	count = kept;
}

int script_main(int argc, char **argv)
{
	drop_repeated();
	return schedule_main(argc, argv, scenarios, count);
}
