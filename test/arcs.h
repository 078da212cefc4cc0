/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the arc registry share: three types of arcs, a clock
 * that stands still until it is told otherwise, and calls with few arguments.
 */
#ifndef FH_TEST_ARCS_H
#define FH_TEST_ARCS_H

#include <freehold/arc.h>
#include <freehold/rcu.h>

#include "atomic.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SET(phase) ((uint64_t)1 << (phase))

enum { INITIATION, ESCALATION, CLIMAX, RESOLUTION, DONE, PHASES };
enum { RIVALRY, BEEF, SILENT, TYPES };

#define HOUR INT64_C(3600000000000)

static const uint64_t story[PHASES] = {
	[INITIATION] = SET(ESCALATION),
	[ESCALATION] = SET(INITIATION) | SET(CLIMAX),
	[CLIMAX] = SET(RESOLUTION),
	[RESOLUTION] = SET(DONE),
};

static const struct fh_arc_event rivalry_events[] = {
	{ "spark", SET(INITIATION), ESCALATION },
	{ "clash", SET(ESCALATION), CLIMAX },
	{ "cooldown", SET(CLIMAX), RESOLUTION },
	{ "make_up", SET(RESOLUTION), DONE },
	{ "murmur", 0, FH_ARC_STAY },
	{ "leap", 0, DONE },
};

static const struct fh_arc_event beef_events[] = {
	{ "jab", SET(INITIATION), FH_ARC_STAY },
};

static const struct fh_arc_type types[TYPES] = {
	[RIVALRY] = {
		.name = "friendly_rivalry", .initial = INITIATION,
		.final = SET(DONE), .phases = PHASES, .allowed = story,
		.events = rivalry_events, .event_count = 6,
	},
	[BEEF] = {
		.name = "hot_take_beef", .initial = INITIATION,
		.final = SET(DONE), .phases = PHASES, .allowed = story,
		.events = beef_events, .event_count = 1, .duration = HOUR,
	},
	[SILENT] = {
		.name = "redemption_arc", .initial = CLIMAX,
		.phases = PHASES, .allowed = story,
	},
};

static _Atomic(int64_t) fake_time;

static int64_t fake_clock(void *arg)
{
	return load_relaxed(&fake_time) + *(const int64_t *)arg;
}

static int64_t clock_offset = 1000;

__attribute__((unused)) static struct fh_arcs *registry(void)
{
	const struct fh_arcs_options options = {
		.types = types, .type_count = TYPES,
		.clock = fake_clock, .clock_arg = &clock_offset,
	};
	struct fh_arcs *arcs = NULL;

	store_relaxed(&fake_time, 0);
	is(fh_arcs_create(&arcs, &options), 0, "a registry is created");
	return arcs;
}

__attribute__((unused)) static int start(struct fh_arcs *arcs,
					 const char *first,
					 const char *second, unsigned type,
					 struct fh_arc_info *info)
{
	const struct fh_arc_request request = {
		.first = first, .second = second, .type = type,
	};

	return fh_arc_start(arcs, &request, info);
}

__attribute__((unused)) static struct fh_arcs_stats
stats_of(struct fh_arcs *arcs)
{
	struct fh_arcs_stats stats;

	fh_arcs_get_stats(arcs, &stats);
	return stats;
}

/* Force an event by its name on the arc of a and b. */
__attribute__((unused)) static int
force(struct fh_arcs *arcs, const char *event, struct fh_arc_info *info)
{
	const struct fh_arc_step step = { .event = event };

	return fh_arc_progress(arcs, "a", "b", &step, info);
}

/* For a walk: one more. */
__attribute__((unused)) static int
count_arc(const struct fh_arc_names *names, const struct fh_arc_info *info,
	  void *arg)
{
	(void)names;
	(void)info;
	++*(int *)arg;
	return 0;
}

/* To end a test: what it retired can all be reclaimed. */
__attribute__((unused)) static void drain(void)
{
	is(fh_rcu_drain_wait(fh_deadline_in(INT64_C(30000000000))), 0,
	   "all garbage is reclaimed");
}

#endif
