/* SPDX-License-Identifier: MIT */
/*
 * Schedules of blocks of more than 11 entries, whose removals go through a
 * log: at rest and in a migration; two removers and whoever takes the block
 * out of the word.
 */
#include "map_lists.h"

/* What takes more than a pair and a switch to show. */
static void add_specials(void)
{
	/* A removal without memory enters the log of an old block. */
	add_special(LOGGED, GROWING_LAST, OPERATIONS(REMOVE_A, MIGRATE), 1, 0,
		    1);
	add_special(SECOND_LOGGED, SHRINKING_LAST,
		    OPERATIONS(REMOVE_B, MIGRATE), 2, 1, 1);
	/* A mover counts a block that was made after the table it goes to. */
	add_special(LONG_UPPER | LONG_BLOCK, LARGE,
		    OPERATIONS(INSERT_B, BEGIN_AND | MIGRATE), 1, 1, 0);
	/* Two who take the block out of its word commit different counts. */
	add_special(LOGGED_DEAD, AT_REST,
		    OPERATIONS(REMOVE_A, REPLACE_A, RENEW_B), 2, 0, 0);
}

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

	add_specials();
	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		add_scenes(in_long_form() ? every_operation : logged, LOGGED,
			   stages[i], NONE);
		if (in_long_form() || stages[i] != SHRINKING_LAST)
			add_scenes(removers, LOGGED, stages[i],
				   stages[i] == AT_REST ? REPLACE_A : MIGRATE);
	}
	return script_main(argc, argv);
}
