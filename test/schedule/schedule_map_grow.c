/* SPDX-License-Identifier: MIT */
/*
 * Schedules of a growing table: every pair of operations on a bucket that
 * splits, its neighbours moved or not; three at a time with the mover; and an
 * insert that begins the migration.
 */
#include "map_lists.h"

/* What takes more than a pair and a switch to show. */
static void add_specials(void)
{
	/* A removal without memory acts on the old word. */
	add_special(THREE, GROWING_LAST, OPERATIONS(REMOVE_A, MIGRATE), 1, 0,
		    1);
	/* And that word was changed meanwhile by who saw the old root. */
	add_special(THREE, AT_REST, OPERATIONS(BEGIN_AND | REMOVE_A, PUT_A), 2,
		    1, 1);
	/* The next migration begins as soon as one has ended. */
	add_special(SECOND, TURNING,
		    OPERATIONS(MIGRATE, REMOVE_OTHER, LOOKUP_B), 1, 1, 0);
	add_special(SECOND, TURNING, OPERATIONS(MIGRATE, REMOVE_OTHER, BATCH),
		    1, 1, 0);
}

int main(int argc, char **argv)
{
	static const enum content contents[] = {
		EMPTY_BUCKET, ONE, TWO, THREE, ONE_DEAD, APART,
	};
	static const enum operation due[] = {
		INSERT_A, REMOVE_B, LOOKUP_A, BATCH, STATS, SETTLE, NONE
	};
	size_t i;

	add_specials();
	add_scenes(due, UPPER, GROWTH_DUE, NONE);
	add_scenes(due, TWO, GROWTH_DUE, NONE);
	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		bool most = in_long_form() || contents[i] == THREE;

		add_stages(every_operation, contents[i], GROWING,
			   GROWING_LAST, most);
	}
	return script_main(argc, argv);
}
