/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the arc registry, on one pair of names: what must hold however
 * the threads are interleaved.
 *
 *  - The operations are linearizable.  The specification is a pair that has
 *    no arc, a claimed or an active one; a start is two operations, a claim
 *    and a publication (or an abandonment), between which its initialiser
 *    runs.  A walk is a look at the pair.
 *  - An observer of all changes hears of each success exactly once, with the
 *    arc as that success left it; the statistics count each once.
 *  - Who sees an arc sees what its initialiser did, and what its last step's
 *    thread did before the step; who finds that it is gone, what its ender
 *    did before.  These are plain variables: an order that is too weak is a
 *    data race.
 *  - At rest the table holds the arcs that run and no other; nothing leaks.
 *
 * A step leads to a phase of its thread's own, so that an arc tells who
 * stepped last.
 */
#ifndef FH_SCHEDULE_ARC_MODEL_H
#define FH_SCHEDULE_ARC_MODEL_H

#include "script.h"

#include "arc_internal.h"
#include "map_table.h"

#include <freehold/rcu.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum operation {
	NONE, START, START_IN_VAIN, START_OR_JOIN, POLL, PUBLISH, ABANDON, END,
	END_FIRST, STEP, STEP_LAST, GET, WALK, STEP_ALL, END_ALL, EXPIRE_ALL,
	OPERATIONS
};

static const char *const operation_name[] = {
	"nothing", "start", "start in vain", "start or join", "join at once",
	"publish", "abandon", "end", "end the first", "step", "last step",
	"get", "walk", "step all", "end all", "expire all",
};

/* What the pair has at first: STEPPED is active with a record of its own. */
enum content { NOTHING, OVER, CLAIMED, ACTIVE, STEPPED, CONTENTS };

static const char *const content_name[] = {
	"no arc", "one that is over", "claimed", "active", "stepped",
};

#define THREADS_MOST 3
#define GENERATIONS 16
#define EVENTS 8

struct setting {
	enum content content;
	enum operation operation[THREADS_MOST];
	bool long_names;	/* too long to be joined without memory */
};

/* The phases: of the beginning, of each thread's step, of the end, setup's. */
enum { PHASE_FIRST, PHASE_OF_THREAD, PHASE_LAST = 4, PHASE_SETUP, PHASES };
#define ALL_PHASES ((UINT64_C(1) << PHASES) - 1)

static const struct fh_arc_event events[] = {
	{ "one", 0, PHASE_OF_THREAD },
	{ "two", 0, PHASE_OF_THREAD + 1 },
	{ "three", 0, PHASE_OF_THREAD + 2 },
	{ "last", 0, PHASE_LAST },
	{ "setup", 0, PHASE_SETUP },
};

static const uint64_t allowed[PHASES] = {
	ALL_PHASES, ALL_PHASES, ALL_PHASES, ALL_PHASES, ALL_PHASES, ALL_PHASES,
};

enum { PAIR_TYPE, BYSTANDER_TYPE, TYPES };

#define TYPE								\
	.final = FH_ARC_PHASE(PHASE_LAST), .phases = PHASES,		\
	.allowed = allowed, .events = events, .event_count = 5

static const struct fh_arc_type types[TYPES] = {
	[PAIR_TYPE] = { .name = "pair", .duration = 10, TYPE },
	[BYSTANDER_TYPE] = { .name = "bystander", TYPE },
};

/* How often each thing happened, or was heard of; one cell, one writer. */
struct deeds {
	uint8_t started[GENERATIONS];
	uint8_t stepped[GENERATIONS][EVENTS];
	uint8_t ended[GENERATIONS];
};

static struct fh_arcs *arcs;
static char first_name[300], second_name[8];
static struct fh_arc_ticket *ticket;	/* CLAIMED: setup's claim */
static uint64_t ticket_word;
static struct deeds done, heard;
static uint8_t refused[THREADS_MOST], abandoned[THREADS_MOST];
static unsigned released;

/* Plain: what a thread did before, and others may then know. */
static uint8_t initialised[GENERATIONS];
static uint8_t before_step[THREADS_MOST], before_end[THREADS_MOST];

static _Thread_local unsigned me;
static _Thread_local bool late;		/* its clock has run on */
static _Thread_local uint64_t told;	/* by the last notice */

static const struct setting *setting(void)
{
	return scenario_now()->data;
}

/* ---- the specification ---- */

enum { CLAIMS, PUBLISHES, ABANDONS, ENDS, STEPS_TO, LOOKS };

struct model {
	enum { GONE, BEING_STARTED, RUNNING } life;
	uint64_t word;
	uint32_t generations;	/* that there have been */
};

#define EXISTS (UINT64_C(1) << 62)

static uint64_t pack(const struct fh_arc_info *info)
{
	return info->generation << 16 | info->events << 8 | info->phase;
}

static bool is_refusal(uint64_t result)
{
	return result == (uint64_t)-ENOMEM || result == (uint64_t)-EAGAIN;
}

static bool claims(struct model *model, uint64_t result)
{
	uint32_t generation = UINT32_C(1) << (result >> 16 & 31);

	if (result == (uint64_t)-EINPROGRESS || result == (uint64_t)-ETIMEDOUT)
		return model->life == BEING_STARTED;
	if (result & EXISTS)
		return model->life == RUNNING &&
		       model->word == (result & ~EXISTS);
	if (model->life != GONE || model->generations & generation)
		return false;
	*model = (struct model){ BEING_STARTED, result,
				 model->generations | generation };
	return true;
}

static bool ends(struct model *model, uint64_t generation, uint64_t result)
{
	bool meant = !generation || generation == model->word >> 16;

	if (result == (uint64_t)-ENOENT)
		return model->life != RUNNING;
	if (result == (uint64_t)-ESTALE)
		return model->life == RUNNING && !meant;
	if (model->life != RUNNING || !meant || model->word != result)
		return false;
	model->life = GONE;
	return true;
}

static bool steps(struct model *model, uint64_t phase, uint64_t result)
{
	if (result == (uint64_t)-ENOENT)
		return model->life != RUNNING;
	if (model->life != RUNNING)
		return false;
	model->word = ((model->word + 0x100) & ~UINT64_C(0xff)) | phase;
	if (phase == PHASE_LAST)
		model->life = GONE;
	return model->word == result;
}

/* result: an error as it is, or the arc as the operation left it. */
static bool step(void *state, const struct call *call)
{
	struct model *model = state;
	uint64_t result = call->result;

	if (is_refusal(result))
		return true;
	switch (call->operation) {
	case CLAIMS:
		return claims(model, result);
	case PUBLISHES:
		result = model->life == BEING_STARTED && model->word == result;
		model->life = RUNNING;
		return result;
	case ABANDONS:
		result = model->life == BEING_STARTED && model->word == result;
		model->life = GONE;
		return result;
	case ENDS:
		return ends(model, call->argument, result);
	case STEPS_TO:
		return steps(model, call->argument, result);
	default:
		return result == (uint64_t)-ENOENT ? model->life != RUNNING :
		       model->life == RUNNING && model->word == result;
	}
}

/* ---- what must be visible ---- */

/* Whoever sees the arc. */
static void see(const struct fh_arc_info *info)
{
	unsigned by = info->phase - PHASE_OF_THREAD;

	expect(initialised[info->generation], "an arc before its initialiser");
	expect(by >= THREADS_MOST || before_step[by],
	       "a step before its cause");
}

static void see_running(const struct fh_arc_info *info)
{
	expect(info->state == FH_ARC_ACTIVE, "an arc that is over is shown");
	see(info);
}

static bool may_end(enum operation operation)
{
	return operation == START_IN_VAIN || operation == ABANDON ||
	       operation == END || operation == END_FIRST ||
	       operation == STEP_LAST || operation == END_ALL ||
	       operation == EXPIRE_ALL;
}

/* How many others can end an arc, and the last of them. */
static unsigned other_enders(unsigned *ender)
{
	unsigned i, enders = 0;

	for (i = 0; i < THREADS_MOST; i++)
		if (i != me && may_end(setting()->operation[i])) {
			enders++;
			*ender = i;
		}
	return enders;
}

/* Whoever finds that setup's arc is gone: if one other alone can end it. */
static void see_end(void)
{
	unsigned ender = 0;

	expect(other_enders(&ender) != 1 || before_end[ender],
	       "an end before its cause");
}

static void find_none(void)
{
	if (setting()->content >= ACTIVE)
		see_end();
}

static void win(void)
{
	if (setting()->content >= CLAIMED)
		see_end();
}

#endif
