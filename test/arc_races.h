/* SPDX-License-Identifier: MIT */
/*
 * What the races of the arc registry share: types whose snapshots can be
 * checked, names by number, and a clock that counts its readings.
 */
#ifndef FH_TEST_ARC_RACES_H
#define FH_TEST_ARC_RACES_H

#include <freehold/arc.h>
#include <freehold/rcu.h>

#include "atomic.h"
#include "tap.h"
#include "threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SET(phase) ((uint64_t)1 << (phase))
#define EVERYTHING (FH_ARC_STARTED | FH_ARC_PROGRESSED | FH_ARC_ENDED)

/* Four phases in a ring: the phase is the number of events, modulo 4. */
enum { RING, SHORT, TYPES };

static const uint64_t ring[4] = { SET(1), SET(2), SET(3), SET(0) };

static const struct fh_arc_event ring_events[] = {
	{ "north", SET(0), 1 },
	{ "east", SET(1), 2 },
	{ "south", SET(2), 3 },
	{ "west", SET(3), 0 },
};

static const struct fh_arc_type types[TYPES] = {
	[RING] = { .name = "ring", .phases = 4, .allowed = ring,
		   .events = ring_events, .event_count = 4 },
	[SHORT] = { .name = "short", .phases = 4, .allowed = ring,
		    .final = SET(3), .events = ring_events, .event_count = 4,
		    .duration = 40 },
};

/* A clock that counts its readings: no two are the same. */
static _Atomic(int64_t) ticks;

static int64_t tick(void *arg)
{
	(void)arg;
	return add_relaxed(&ticks, 1);
}

__attribute__((unused)) static struct fh_arcs *registry(void)
{
	const struct fh_arcs_options options = {
		.types = types, .type_count = TYPES, .clock = tick,
	};
	struct fh_arcs *arcs = NULL;

	is(fh_arcs_create(&arcs, &options), 0, "a registry is created");
	return arcs;
}

__attribute__((unused)) static void name_pair(size_t pair, char *first,
					      char *second, size_t size)
{
	snprintf(first, size, "agent-%zu", pair);
	snprintf(second, size, "rival-%zu", pair);
}

__attribute__((unused)) static int
count_call(const struct fh_arc_notice *notice, void *arg)
{
	(void)notice;
	add_relaxed((tally *)arg, 1);
	return 0;
}

/* To end a test: what it retired can all be reclaimed. */
__attribute__((unused)) static void drain(void)
{
	is(fh_rcu_drain_wait(fh_deadline_in(INT64_C(30000000000))), 0,
	   "all garbage is reclaimed");
}

#endif
