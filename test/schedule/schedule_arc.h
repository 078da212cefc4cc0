/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the arc registry: how one begins and ends, and how a program
 * lists them.  What must hold is said in schedule_arc_model.h.
 */
#ifndef FH_SCHEDULE_ARC_H
#define FH_SCHEDULE_ARC_H

#include "schedule_arc_operations.h"

/* ---- the beginning and the end ---- */

static void release_witness(void *arg)
{
	(void)arg;
	released++;
}

static bool sweeps(void)
{
	unsigned i;

	for (i = 0; i < THREADS_MOST; i++)
		if (setting()->operation[i] >= WALK)
			return true;
	return false;
}

static void begin_bystander(void)
{
	const struct fh_arc_request request = {
		.first = "c", .second = "d", .type = BYSTANDER_TYPE,
	};

	expect(fh_arc_start(arcs, &request, NULL) == 0, "setup: bystander");
}

static void write_names(void)
{
	memset(first_name, 0, sizeof(first_name));
	memset(first_name, 'a', setting()->long_names ? SHORT_KEY : 1);
	second_name[0] = 'b';
}

/* The pair's first arc: claimed, and more if the setting says so. */
static void begin_pair(enum content content)
{
	const struct fh_arc_request request = {
		.first = first_name, .second = second_name, .type = PAIR_TYPE,
	};
	const struct fh_arc_step how = { .event = "setup" };
	struct fh_arc_info info;
	struct arc *arc;

	expect(fh_arc_claim(arcs, &request, &ticket, &info) == 0, "setup");
	ticket_word = pack(&info);
	if (content == OVER) { /* what an abandonment left for others to do */
		arc = (struct arc *)ticket;
		store_release(&arc->word,
			      word_of(&arc->first, LIFE_ABANDONED));
		fh_arc_drop(arc);
	}
	if (content < ACTIVE)
		return;
	initialised[info.generation] = 1;
	fh_arc_publish(ticket, &info);
	if (content == STEPPED)
		expect(fh_arc_progress(arcs, first_name, second_name, &how,
				       &info) == 0, "setup: step");
	ticket_word = pack(&info);
}

static void setup(void)
{
	const struct fh_arcs_options options = {
		.types = types, .type_count = TYPES, .clock = clock_of_thread,
	};

	expect(fh_arcs_create(&arcs, &options) == 0, "setup: create");
	arcs->map->fixed = true; /* resizing has schedules of its own */
	write_names();
	if (setting()->content != NOTHING)
		begin_pair(setting()->content);
	if (sweeps())
		begin_bystander();
	expect(fh_arc_observe(arcs, FH_ARC_STARTED | FH_ARC_PROGRESSED |
			      FH_ARC_ENDED, witness, NULL, release_witness,
			      NULL) == 0, "setup: observe");
}

static struct model initially(void)
{
	enum content content = setting()->content;
	struct model model = { .generations = 1 };

	if (content >= CLAIMED) {
		model.life = content == CLAIMED ? BEING_STARTED : RUNNING;
		model.word = ticket_word;
	}
	if (content != NOTHING)
		model.generations |= 2;
	return model;
}

static unsigned sum(const uint8_t *of, size_t count)
{
	unsigned total = 0;

	while (count--)
		total += of[count];
	return total;
}

static void check_counts(void)
{
	unsigned begun = setting()->content >= ACTIVE;
	struct fh_arcs_stats stats;

	fh_arcs_get_stats(arcs, &stats);
	expect(stats.started == sum(done.started, GENERATIONS) + begun +
	       sweeps(), "%ju are counted as started",
	       (uintmax_t)stats.started);
	expect(stats.ended == sum(done.ended, GENERATIONS),
	       "%ju are counted as ended", (uintmax_t)stats.ended);
	expect(stats.progressed == sum(done.stepped[0], sizeof(done.stepped)) +
	       (setting()->content == STEPPED), "%ju steps are counted",
	       (uintmax_t)stats.progressed);
	expect(stats.refused == sum(refused, THREADS_MOST),
	       "%ju refusals are counted", (uintmax_t)stats.refused);
	expect(stats.abandoned == sum(abandoned, THREADS_MOST),
	       "%ju are counted as abandoned", (uintmax_t)stats.abandoned);
	/* Starts and walks help with what is over; nobody else does. */
	if (scenario_now()->failures ||
	    (setting()->content == OVER && !sweeps()))
		return;
	expect(fh_map_count(arcs->map) == stats.active,
	       "the table holds %zu arcs", fh_map_count(arcs->map));
}

static void finish(void)
{
	struct model initial = initially();

	get();
	expect(linearizable(step, &initial, sizeof(initial)),
	       "the history is not linearizable");
	expect(memcmp(&done, &heard, sizeof(done)) == 0,
	       "the observer heard of something else than what was done");
	check_counts();
	fh_arcs_destroy(arcs);
	expect(released == 1, "the observer is released %u times", released);
}

/* ---- lists of scenarios ---- */

static struct scenario *add_setting(const struct setting *its)
{
	const struct scenario frame = { .setup = setup, .finish = finish,
		.preemptions = its->operation[2] ? 1 : 0 }; /* large */
	struct scenario *scenario = add_scenario(&frame, its, sizeof(*its));
	unsigned i;

	name_scenario(scenario, "%s:", content_name[its->content]);
	for (i = 0; i < THREADS_MOST && its->operation[i]; i++)
		add_actor(scenario, "%s", operation_name[its->operation[i]]);
	return scenario;
}

static void add(enum content content, enum operation a, enum operation b,
		enum operation c)
{
	add_setting(&(struct setting){ .content = content,
				       .operation = { a, b, c } });
}

/* With one allocation, or one request for room, that fails. */
static void add_failing(enum content content, enum operation a,
			enum operation b, bool long_names)
{
	const struct setting its = { .content = content,
		.operation = { a, b }, .long_names = long_names };
	struct scenario *scenario = add_setting(&its);

	scenario->preemptions = scenario->failures = 1;
	name_scenario(scenario, ", no memory%s",
		      long_names ? " for names" : "");
}

/* Each list ends with NONE. */
static void add_pairs(enum content content, const enum operation *operations)
{
	const enum operation *a, *b;

	for (a = operations; *a; a++)
		for (b = a; *b; b++)
			if (*a != GET || *b != GET)
				add(content, *a, *b, NONE);
}

#endif
