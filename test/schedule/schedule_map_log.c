/* SPDX-License-Identifier: MIT */
/*
 * Schedules of blocks of more than 16 entries, whose removals go through a
 * log: at rest and in a migration; two removers and whoever takes the block
 * out of the word.
 */
#include "map_scenes.h"

int main(int argc, char **argv)
{
	static const enum operation logged[] = {
		INSERT_A, REMOVE_A, REMOVE_B, REMOVE_THIS_A, REPLACE_THIS_A,
		LOOKUP_A, NONE
	};
	static const enum stage stages[] = {
		AT_REST, GROWING_LAST, SHRINKING_LAST,
	};
	static const enum operation removers[] = { REMOVE_A, REMOVE_B, NONE };
	size_t i;

	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		add_scenes(in_long_form() ? every_operation : logged, LOGGED,
			   stages[i], NONE);
		add_scenes(removers, LOGGED, stages[i],
			   stages[i] == AT_REST ? REPLACE_A : MIGRATE);
	}
	return schedule_main(argc, argv, scenarios, scenes);
}
