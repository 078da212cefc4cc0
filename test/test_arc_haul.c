/* SPDX-License-Identifier: MIT */
/*
 * arc: walks that have to leave a part of a bucket for later.  The walks are
 * compiled once more, with next to no room, and stand in for the library's;
 * for the lock-free build alone.
 */
#define HAUL 2
#define HAUL_BUDGET 3
#include "../src/arc_walk.c"

#include "arcs.h"
#include "threads.h"

#define CROWD 3000

static unsigned char seen[CROWD];
static size_t cuts;

static int tick_off(const struct fh_arc_names *names,
		    const struct fh_arc_info *info, void *arg)
{
	unsigned number = CROWD;

	(void)info;
	(void)arg;
	if (sscanf(names->first, "agent-%u", &number) == 1 && number < CROWD)
		seen[number]++;
	return 0;
}

/* The walk itself, so that the test knows that it was cut at all. */
static size_t count_cuts(struct fh_arcs *arcs)
{
	struct fh_map_cursor cursor = { 0 };
	struct haul haul;
	size_t total = 0;

	while (next_haul(arcs, &cursor, &haul)) {
		cuts += haul.cut;
		for (size_t i = 0; i < haul.count; i++)
			fh_arc_drop(haul.arc[i]);
		total += haul.count;
	}
	return total;
}

static void test_walk(struct fh_arcs *arcs)
{
	unsigned wrong = 0;

	is(count_cuts(arcs), CROWD, "hauls of 2 bring home all");
	ok(cuts > 0, "%zu were cut", cuts);
	is(fh_arc_for_each(arcs, tick_off, NULL), CROWD, "all are visited");
	for (unsigned i = 0; i < CROWD; i++)
		wrong += seen[i] != 1;
	is(wrong, 0, "each once");
}

/* Starts and ends beside the walks, so that the table grows and shrinks. */
struct change {
	struct fh_arcs *arcs;
	_Atomic(int) walking;
	size_t missed;
};

static void change_or_walk(unsigned number, void *shared)
{
	struct change *change = shared;
	char name[32];

	for (int i = 0; number == 0 && i < 50; i++)
		change->missed += fh_arc_for_each(change->arcs, tick_off,
						  NULL) < CROWD;
	if (number == 0)
		store_relaxed(&change->walking, 0);
	for (unsigned i = 0; load_relaxed(&change->walking); i++) {
		snprintf(name, sizeof(name), "guest-%u", i % 8192);
		if (i / 8192 % 2 == 0)
			start(change->arcs, name, "host", BEEF, NULL);
		else
			fh_arc_end(change->arcs, name, "host", FH_ARC_ANY,
				   FH_ARC_COMPLETED, NULL, NULL);
	}
}

static void test_walk_beside_changes(struct fh_arcs *arcs)
{
	struct change change = { .arcs = arcs, .walking = 1 };
	unsigned wrong = 0;

	memset(seen, 0, sizeof(seen));
	run_crew(3, change_or_walk, &change);
	for (unsigned i = 0; i < CROWD; i++)
		wrong += seen[i] != 50;
	is(wrong, 0, "50 walks beside changes meet each that stays 50 times");
	is(change.missed, 0, "and never fewer");
}

int main(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_tally sum;
	char name[32];

	watchdog(120);
	for (unsigned i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "agent-%u", i);
		start(arcs, name, "host", BEEF, NULL);
	}
	test_walk(arcs);
	fh_arc_process_all(arcs, NULL, NULL, &sum);
	is(sum.progressed, CROWD, "process_all progresses all");
	is(sum.processed, CROWD, "each once");
	test_walk_beside_changes(arcs);
	fh_arcs_destroy(arcs);
	drain();
	return done_testing();
}
