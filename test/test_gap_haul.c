/* SPDX-License-Identifier: MIT */
/*
 * arc: a walk that is cut in the very last bucket is not done.  Where the
 * last bucket is crowded depends on the seed, so many small registries are
 * walked; for the lock-free build alone.
 */
#define HAUL 2
#define HAUL_BUDGET 3
#include "../src/arc_walk.c"

#include "arcs.h"
#include "threads.h"

#include <stdio.h>

#define ARCS 60
#define REGISTRIES 60

static int visited_of_a_new_one(void)
{
	const struct fh_arcs_options options = { .types = types,
						 .type_count = TYPES };
	struct fh_arcs *arcs;
	int visited = 0, i;
	char name[32];

	if (fh_arcs_create(&arcs, &options))
		bail_out("cannot create a registry");
	for (i = 0; i < ARCS; i++) {
		snprintf(name, sizeof(name), "agent-%d", i);
		start(arcs, name, "b", SILENT, NULL);
	}
	fh_arc_for_each(arcs, count_arc, &visited);
	fh_arcs_destroy(arcs);
	return visited;
}

int main(void)
{
	int i, right = 0;

	watchdog(60);
	for (i = 0; i < REGISTRIES; i++)
		right += visited_of_a_new_one() == ARCS;
	is(right, REGISTRIES, "every walk visits all");
	drain();
	return done_testing();
}
