/* SPDX-License-Identifier: MIT */
/*
 * Schedules of a growing table: every pair of operations on a bucket that
 * splits, its neighbours moved or not; three at a time with the mover; and an
 * insert that begins the migration.
 */
#include "map_scenes.h"

int main(int argc, char **argv)
{
	static const enum content contents[] = {
		EMPTY_BUCKET, ONE, TWO, THREE, ONE_DEAD, APART,
	};
	static const enum operation due[] = {
		INSERT_A, REMOVE_B, LOOKUP_A, SETTLE, NONE
	};
	size_t i;

	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		bool most = in_long_form() || contents[i] == THREE;

		add_scenes(every_operation, contents[i], GROWING_LAST, NONE);
		if (most)
			add_scenes(every_operation, contents[i], GROWING,
				   NONE);
		if (most)
			add_scenes(few, contents[i], GROWING, MIGRATE);
	}
	add_scenes(due, UPPER, GROWTH_DUE, NONE);
	add_scenes(due, TWO, GROWTH_DUE, NONE);
	return schedule_main(argc, argv, scenarios, scenes);
}
