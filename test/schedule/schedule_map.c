/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the table at rest: every pair of operations on one bucket, and
 * three at a time where it may matter.
 */
#include "map_lists.h"

int main(int argc, char **argv)
{
	static const enum content contents[] = {
		EMPTY_BUCKET, ONE, TWO, THREE, ONE_DEAD, APART,
	};
	size_t i;

	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		add_scenes(at_rest, contents[i], AT_REST, NONE);
		if (in_long_form() || contents[i] == TWO)
			add_scenes(few, contents[i], AT_REST, REMOVE_A);
	}
	return script_main(argc, argv);
}
