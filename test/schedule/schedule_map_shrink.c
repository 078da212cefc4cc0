/* SPDX-License-Identifier: MIT */
/*
 * Schedules of a shrinking table: every pair of operations on two buckets that
 * are joined, their neighbours joined or not; three at a time with the joiner;
 * and a removal that begins the migration.
 */
#include "map_lists.h"

/* What takes more than a pair and a switch to show. */
static void add_specials(void)
{
	static const enum content contents[] = { TWO, WIDE };
	size_t i;

	/* A removal without memory acts on a half that is closed. */
	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++)
		add_special(contents[i], SHRINKING_LAST,
			    OPERATIONS(REMOVE_B, MIGRATE), 2, 0, 1);
	/* Who saw the old root inserts into a half that is to be joined. */
	add_special(UPPER, LARGE, OPERATIONS(INSERT_B, BEGIN_AND | MIGRATE),
		    1, 1, 0);
	/* ... and the removal must not have opened it again. */
	add_special(TWO, SHRINKING_LAST, OPERATIONS(REMOVE_B, WATCH), 1, 1, 1);
	if (in_long_form())
		add_special(TWO, LARGE,
			    OPERATIONS(BEGIN_AND | REMOVE_B, MIGRATE,
				       INSERT_B), 2, 2, 1);
}

int main(int argc, char **argv)
{
	static const enum content contents[] = {
		EMPTY_BUCKET, ONE, UPPER, TWO, THREE, ONE_DEAD, APART,
	};
	static const enum operation fewer[] = {
		INSERT_A, INSERT_B, REMOVE_A, REMOVE_B, PUT_A, LOOKUP_B,
		MIGRATE, NONE
	};
	static const enum operation due[] = {
		REMOVE_A, INSERT_B, LOOKUP_A, SETTLE, NONE
	};
	static const enum operation upper[] = {
		INSERT_B, REMOVE_B, LOOKUP_B, NONE
	};
	size_t i;

	add_specials();
	add_scenes(due, ONE, SHRINKING_DUE, NONE);
	add_scenes(due, TWO, SHRINKING_DUE, NONE);
	for (i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		bool most = in_long_form() || contents[i] == APART;
		bool all = most || contents[i] == TWO;

		add_stages(all ? every_operation : fewer, contents[i],
			   SHRINKING, SHRINKING_LAST, most);
		if (most)
			add_scenes(upper, contents[i], SHRINKING_LAST,
				   MIGRATE);
	}
	return script_main(argc, argv);
}
