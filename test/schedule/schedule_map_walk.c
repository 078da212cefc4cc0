/* SPDX-License-Identifier: MIT */
/*
 * Schedules of a walk beside every writer and two of them: what stays is
 * visited exactly once, what comes or goes at most once, while the table grows
 * and shrinks.
 */
#include "map_lists.h"

int main(int argc, char **argv)
{
	static const enum stage stages[] = {
		AT_REST, GROWING_LAST, GROWTH_DUE, SHRINKING_LAST,
		SHRINKING_DUE,
	};
	static const enum content contents[] = { TWO, THREE, APART, LOGGED };
	static const enum operation beside[] = {
		WALK, INSERT_A, REMOVE_A, REMOVE_B, REPLACE_THIS_A, MIGRATE,
		NONE
	};
	static const enum operation two[] = { REMOVE_A, INSERT_A, NONE };
	size_t i, j;

	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		for (j = 0; j < sizeof(contents) / sizeof(contents[0]); j++) {
			if (contents[j] == LOGGED && stages[i] != AT_REST)
				continue;
			add_scenes(beside, contents[j], stages[i], NONE);
			if (in_long_form() || contents[j] == THREE)
				add_scenes(two, contents[j], stages[i], WALK);
		}
	return script_main(argc, argv);
}
