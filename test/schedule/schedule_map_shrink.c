/* SPDX-License-Identifier: MIT */
/*
 * Schedules of a shrinking table: every pair of operations on two buckets that
 * are joined, their neighbours joined or not; three at a time with the joiner;
 * and a removal that begins the migration.
 */
#include "map_scenes.h"

int main(int argc, char **argv)
{
	static const enum content contents[] = {
		EMPTY_BUCKET, ONE, UPPER, TWO, THREE, ONE_DEAD, APART,
	};
	static const enum operation due[] = {
		REMOVE_A, INSERT_B, LOOKUP_A, SETTLE, NONE
	};
	static const enum operation upper[] = {
		INSERT_B, REMOVE_B, LOOKUP_B, NONE
	};
	size_t i;

	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		bool most = in_long_form() || contents[i] == APART;

		add_scenes(every_operation, contents[i], SHRINKING_LAST, NONE);
		if (most)
			add_scenes(every_operation, contents[i], SHRINKING,
				   NONE);
		if (most)
			add_scenes(few, contents[i], SHRINKING, MIGRATE);
		if (most)
			add_scenes(upper, contents[i], SHRINKING, MIGRATE);
	}
	add_scenes(due, ONE, SHRINKING_DUE, NONE);
	add_scenes(due, TWO, SHRINKING_DUE, NONE);
	return schedule_main(argc, argv, scenarios, scenes);
}
