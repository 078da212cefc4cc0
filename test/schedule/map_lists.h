/* SPDX-License-Identifier: MIT */
/*
 * Lists of the scenarios of the table: see map_scenes.h.
 */
#ifndef FH_MAP_LISTS_H
#define FH_MAP_LISTS_H

#include "map_operations.h"

static void name_scene(struct scenario *scenario, enum content content,
		       enum stage stage)
{
	static const char *const part[] = {
		"a", "b", "c", "d", "(c dead)", "(long)", "(upper)",
	};
	unsigned i;

	for (i = 0; i <= KEYS + 2; i++)
		if (content >> i & 1)
			name_scenario(scenario, "%s ", part[i]);
	name_scenario(scenario, "%s%s:", content ? "" : "empty ",
		      stage_name[stage]);
}

static struct scenario *add_scene(enum content content, enum stage stage,
				  const enum operation *operation)
{
	static const struct scenario frame = { .setup = setup,
					       .finish = finish };
	struct setting setting = { .content = content, .stage = stage };
	struct scenario *scenario;
	unsigned i, threads = 0;

	while (threads < ACTORS && operation[threads])
		threads++;
	memcpy(setting.operation, operation, threads * sizeof(*operation));
	scenario = add_scenario(&frame, &setting, sizeof(setting));
	name_scene(scenario, content, stage);
	for (i = 0; i < threads; i++)
		add_actor(scenario, "%s%s",
			  operation[i] & BEGIN_AND ? "begin, " : "",
			  operation_name[operation[i] & ~BEGIN_AND]);
	return scenario;
}

/*
 * One for which a pair and one switch are not enough.  Where @failures are
 * allowed a removal may find that it cannot move its bucket, and so acts on
 * the old word.
 */
static inline void add_special(enum content content, enum stage stage,
			       const enum operation *operation,
			       int preemptions, int stale, int failures)
{
	struct scenario *scenario = add_scene(content, stage, operation);

	scenario->preemptions = preemptions;
	scenario->stale = stale ? stale : -1; /* 0 is the usual bound */
	if (failures)
		without_memory(scenario);
	scenario->failures = failures;
}

#define OPERATIONS(...) \
	((const enum operation[ACTORS + 1]){ __VA_ARGS__ })

static bool writes(enum operation operation)
{
	return operation < LOOKUP_A || operation >= MIGRATE;
}

static bool in_long_form(void)
{
	return getenv("FH_PROVE") != NULL;
}

/*
 * One switch and one older value in the short form.  The long form has two of
 * either; of both where the bucket is at rest.
 */
static void set_bounds(struct scenario *scenario, enum stage stage,
		       enum operation third)
{
	bool wide = third || stage == GROWING || stage == SHRINKING;

	scenario->preemptions = in_long_form() && !wide ? 2 : 1;
	scenario->stale = in_long_form() && (wide || stage == AT_REST) ? 2 : 1;
}

/*
 * Every two of the operations, at least one of which writes, and in threes
 * with @third.
 */
static void add_scenes(const enum operation *some, enum content content,
		       enum stage stage, enum operation third)
{
	enum operation of[ACTORS] = { NONE, NONE, third };
	const enum operation *x, *y;

	for (x = some; *x; x++)
		for (y = x; *y; y++) {
			of[0] = *x;
			of[1] = *y;
			if (!writes(of[0]) && !writes(of[1]))
				continue;
			set_bounds(add_scene(content, stage, of), stage,
				   third);
		}
}

static const enum operation every_operation[] = {
	INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, REPLACE_A, PUT_A,
	REMOVE_THIS_A, REPLACE_THIS_A, LOOKUP_A, LOOKUP_B, BATCH, MIGRATE,
	NONE
};

static const enum operation at_rest[] = {
	INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, REPLACE_A, PUT_A,
	REMOVE_THIS_A, REPLACE_THIS_A, LOOKUP_A, LOOKUP_B, BATCH, NONE
};

static const enum operation few[] = {
	INSERT_A, REMOVE_A, REPLACE_THIS_A, LOOKUP_A, NONE
};

/*
 * Pairs in a migration of which the neighbours have moved or not, and threes
 * with who moves the bucket: a few of them in the short form.
 */
static inline void add_stages(const enum operation *some, enum content content,
			      enum stage first, enum stage last, bool most)
{
	add_scenes(some, content, last, NONE);
	if (!most)
		return;
	add_scenes(in_long_form() ? some : few, content, first, NONE);
	add_scenes(few, content, last, MIGRATE);
}

#endif
