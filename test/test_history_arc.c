/* SPDX-License-Identifier: MIT */
/*
 * arc, as histories of each pair: what threads do to it has one order, in
 * which the pair is free, being started, or has one arc with a generation, a
 * phase and a count of events.
 *
 * A start is two operations, a claim and a publication (or its abandonment).
 * Where an initialiser runs, it marks the moment between them; where none
 * does, both may take effect at any time of the call, in this order.  A walk
 * looks at every pair, at some time of its own for each: an arc that it does
 * not visit was not active throughout, so there was a moment without one.
 *
 * If the registry were wrong: two starters win; two end one arc; progress
 * touches an arc that is over, or one of another generation; a snapshot mixes
 * two states of an arc; an arc is seen before it is published or after its
 * end.
 */
#include <freehold/base.h>

#include <errno.h>

#include "history.h"
#include "arcs.h"

enum { CLAIM, PUBLISH, ABANDON, PROGRESS, LEAP, MURMUR, END, GET, KINDS };

/* What an operation found: of an arc, the first four words of the state. */
enum { FREE, CLAIMED, ACTIVE };

#define KEYS 2
#define WAIT_NS 3000

static struct fh_arcs *arcs_of[HISTORY_OBJECTS];

static const char *const names[KEYS][2] = { { "a", "b" }, { "c", "b" } };

/* A thread has at most one claim, and ends it in the same round. */
static struct share {
	struct fh_arc_ticket *claim;
	uint64_t claimed, generation;	/* its arc, and one it saw last */
	unsigned key;
} share[HISTORY_THREADS];

/*
 * ---- the sequential pair ----
 *
 * Word 0: FREE, CLAIMED, ACTIVE; 1: the generation; 2: the phase; 3: events.
 * out has generation, phase, events and state as the call gave them.
 */

static bool is_free(struct linear_state *state)
{
	memset(state, 0, sizeof(*state));
	return true;
}

static bool is_told(const struct linear_state *state,
		    const struct operation *op, enum fh_arc_state how)
{
	return op->out[0] == state->word[1] && op->out[1] == state->word[2] &&
	       op->out[2] == state->word[3] && op->out[3] == (uint64_t)how;
}

static bool step_claim(struct linear_state *state, const struct operation *op)
{
	switch (op->rc) {
	case 0:
		if (state->word[0] != FREE)
			return false;
		state->word[0] = CLAIMED;
		state->word[1] = op->out[0];
		state->word[2] = INITIATION;
		return true;
	case -EEXIST:
		return state->word[0] == ACTIVE &&
		       is_told(state, op, FH_ARC_ACTIVE);
	default:
		return op->rc == -EINPROGRESS && state->word[0] == CLAIMED;
	}
}

/* in[0]: the generation that was claimed */
static bool step_second(struct linear_state *state, const struct operation *op)
{
	if (state->word[0] != CLAIMED || state->word[1] != op->in[0])
		return false;
	if (op->kind == ABANDON)
		return is_free(state);
	state->word[0] = ACTIVE;
	return is_told(state, op, FH_ARC_ACTIVE);
}

/* in[0]: the generation that is meant.  True: one is there, and is meant. */
static bool is_meant(const struct linear_state *state,
		     const struct operation *op, int *rc)
{
	*rc = 0;
	if (state->word[0] != ACTIVE)
		*rc = -ENOENT;
	else if (op->in[0] != FH_ARC_ANY && op->in[0] != state->word[1])
		*rc = -ESTALE;
	return *rc == 0;
}

/* The events of a rivalry: the next phase, or a leap to the end, or none. */
static bool step_progress(struct linear_state *state,
			  const struct operation *op)
{
	int rc;

	if (!is_meant(state, op, &rc))
		return op->rc == rc;
	if (op->kind == LEAP && state->word[2] != RESOLUTION)
		return op->rc == -EPERM && is_told(state, op, FH_ARC_ACTIVE);
	state->word[2] += op->kind != MURMUR;
	state->word[3]++;
	if (op->rc || state->word[2] != DONE)
		return !op->rc && is_told(state, op, FH_ARC_ACTIVE);
	return is_told(state, op, FH_ARC_COMPLETED) && is_free(state);
}

static bool step(struct linear_state *state, const struct operation *op)
{
	int rc;

	switch (op->kind) {
	case CLAIM:
		return step_claim(state, op);
	case PUBLISH:
	case ABANDON:
		return step_second(state, op);
	case END:
		if (!is_meant(state, op, &rc))
			return op->rc == rc;
		return !op->rc && is_told(state, op, FH_ARC_CANCELLED) &&
		       is_free(state);
	case GET:
		if (op->rc)
			return op->rc == -ENOENT && state->word[0] != ACTIVE;
		return state->word[0] == ACTIVE &&
		       is_told(state, op, FH_ARC_ACTIVE);
	default:
		return step_progress(state, op);
	}
}

static void print(const struct operation *op, char *text, size_t size)
{
	static const char *const kinds[KINDS] = {
		"claim", "publish", "abandon", "progress", "leap", "murmur",
		"end", "get",
	};

	snprintf(text, size, "%s(%" PRIu64 "): %d, generation %" PRIu64
		 " phase %" PRIu64 " events %" PRIu64 " state %" PRIu64,
		 kinds[op->kind], op->in[0], op->rc, op->out[0], op->out[1],
		 op->out[2], op->out[3]);
}

/* ---- the real one ---- */

static void note(struct history_thread *self, struct operation *op,
		 const struct fh_arc_info *info)
{
	op->out[0] = info->generation;
	op->out[1] = info->phase;
	op->out[2] = info->events;
	op->out[3] = info->state;
	if (info->generation)
		share[self->index].generation = info->generation;
}

static struct fh_arc_request request_for(unsigned key)
{
	return (struct fh_arc_request){
		.first = names[key][0], .second = names[key][1],
		.type = RIVALRY,
	};
}

static void do_claim(struct history_thread *self, unsigned key)
{
	struct fh_arc_request request = request_for(key);
	struct share *mine = &share[self->index];
	struct operation *op = history_call(self, CLAIM, key, 0, 0);
	struct fh_arc_info info = { 0 };

	history_return(self, op, fh_arc_claim(arcs_of[self->object], &request,
					      &mine->claim, &info));
	note(self, op, &info);
	mine->claimed = info.generation;
	mine->key = key;
	if (op->rc)
		mine->claim = NULL;
}

static void do_second(struct history_thread *self)
{
	struct share *mine = &share[self->index];
	unsigned kind = random_below(&self->random, 4) ? PUBLISH : ABANDON;
	struct operation *op = history_call(self, kind, mine->key,
					    mine->claimed, 0);
	struct fh_arc_info info = { 0 };

	if (kind == PUBLISH)
		fh_arc_publish(mine->claim, &info);
	else
		fh_arc_abandon(mine->claim);
	history_return(self, op, 0);
	note(self, op, &info);
	mine->claim = NULL;
}

/* A start that runs an initialiser. */
struct starting {
	struct history_thread *self;
	struct operation *claim, *second;
	bool fails;
};

static int initialise(const struct fh_arc_info *info, void *arg)
{
	struct starting *starting = arg;
	struct history_thread *self = starting->self;
	struct operation *claim = starting->claim;

	history_return(self, claim, 0);
	note(self, claim, info);
	history_pause(self);
	starting->second = history_call(self,
					starting->fails ? ABANDON : PUBLISH,
					claim->key, info->generation, 0);
	return starting->fails ? -ECANCELED : 0;
}

/* With a marked middle, if the start gets that far. */
static void do_start(struct history_thread *self, unsigned key)
{
	struct fh_arc_request request = request_for(key);
	struct fh_arc_info info = { 0 };
	struct starting starting = {
		.self = self, .fails = !random_below(&self->random, 4),
		.claim = history_call(self, CLAIM, key, 0, 0),
	};
	struct operation *op = starting.claim;
	int rc;

	request.init = initialise;
	request.init_arg = &starting;
	rc = fh_arc_start(arcs_of[self->object], &request, &info);
	if (starting.second)
		op = starting.second;
	else if (rc == 0)
		bail_out("a start has forgotten its initialiser");
	history_return(self, op, rc == -ECANCELED ? 0 : rc);
	note(self, op, &info);
}

/* Both steps at any time of the call; or it joins, or gives up waiting. */
static void do_start_wait(struct history_thread *self, unsigned key,
			  int64_t deadline)
{
	struct fh_arc_request request = request_for(key);
	struct operation *op = history_call(self, CLAIM, key, 0, 0), *second;
	struct fh_arc_info info = { 0 };
	int rc = fh_arc_start_wait(arcs_of[self->object], &request, deadline,
				   &info);

	if (rc == -ETIMEDOUT)
		rc = -EINPROGRESS;
	else if (rc == 0 && info.joined)
		rc = -EEXIST;
	history_return(self, op, rc);
	note(self, op, &info);
	if (rc)
		return;
	second = history_beside(self, PUBLISH, key, op);
	second->in[0] = info.generation;
	note(self, second, &info);
}

static uint64_t some_generation(struct history_thread *self)
{
	return random_below(&self->random, 3) ?
		       share[self->index].generation : FH_ARC_ANY;
}

static void do_progress(struct history_thread *self, unsigned kind,
			unsigned key)
{
	struct fh_arc_step how = {
		.generation = some_generation(self),
		.event = kind == LEAP ? "leap" :
			 kind == MURMUR ? "murmur" : NULL,
	};
	struct operation *op = history_call(self, kind, key, how.generation,
					    0);
	struct fh_arc_info info = { 0 };

	history_return(self, op,
		       fh_arc_progress(arcs_of[self->object], names[key][1],
				       names[key][0], &how, &info));
	note(self, op, &info);
}

static void do_end(struct history_thread *self, unsigned key)
{
	uint64_t meant = some_generation(self);
	struct operation *op = history_call(self, END, key, meant, 0);
	struct fh_arc_info info = { 0 };

	history_return(self, op,
		       fh_arc_end(arcs_of[self->object], names[key][0],
				  names[key][1], meant, FH_ARC_CANCELLED,
				  NULL, &info));
	note(self, op, &info);
}

static void do_get(struct history_thread *self, unsigned key)
{
	struct operation *op = history_call(self, GET, key, 0, 0);
	struct fh_arc_info info = { 0 };

	history_return(self, op, fh_arc_get(arcs_of[self->object],
					    names[key][0], names[key][1],
					    &info));
	note(self, op, &info);
}

static int note_visit(const struct fh_arc_names *visited,
		      const struct fh_arc_info *info, void *arg)
{
	struct fh_arc_info *seen = arg;
	unsigned key = strcmp(visited->second, names[0][1]) != 0;

	/* Twice the same arc: no such generation, and so refused. */
	if (seen[key].generation == info->generation)
		seen[key].generation = UINT64_MAX;
	else
		seen[key] = *info;
	return 0;
}

static void do_walk(struct history_thread *self)
{
	struct operation *op = history_call(self, GET, 0, 0, 0), *second;
	struct fh_arc_info seen[KEYS] = { { 0 } };

	fh_arc_for_each(arcs_of[self->object], note_visit, seen);
	history_return(self, op, seen[0].generation ? 0 : -ENOENT);
	note(self, op, &seen[0]);
	second = history_beside(self, GET, 1, op);
	second->rc = seen[1].generation ? 0 : -ENOENT;
	note(self, second, &seen[1]);
}

/* ---- a round ---- */

static void do_some_start(struct history_thread *self, unsigned key)
{
	switch (random_below(&self->random, 8)) {
	case 0:
		do_start_wait(self, key, fh_deadline_in(WAIT_NS));
		break;
	case 1:
	case 2:
		do_start_wait(self, key, 0);
		break;
	case 3:
	case 4:
		if (!share[self->index].claim) {
			do_claim(self, key);
			break;
		}
		/* fall through */
	default:
		do_start(self, key);
	}
}

static void act_once(struct history_thread *self)
{
	unsigned key = (unsigned)random_below(&self->random, KEYS);
	uint64_t choice = random_below(&self->random, 32);

	if (choice < 11)
		do_some_start(self, key);
	else if (choice < 17)
		do_progress(self, PROGRESS, key);
	else if (choice < 19)
		do_progress(self, MURMUR, key);
	else if (choice < 20)
		do_progress(self, LEAP, key);
	else if (choice < 25)
		do_end(self, key);
	else if (choice < 30)
		do_get(self, key);
	else
		do_walk(self);
}

static void act(struct history_thread *self)
{
	unsigned calls = 3 + (unsigned)random_below(&self->random, 4);

	while (calls--) {
		if (share[self->index].claim &&
		    random_below(&self->random, 2))
			do_second(self);
		else
			act_once(self);
		history_pause(self);
	}
	if (share[self->index].claim)
		do_second(self);
}

static void look(struct history_thread *self)
{
	do_get(self, 0);
	do_get(self, 1);
}

static const struct history_room room = {
	.specification = { step, print }, .keys = KEYS, .act = act,
	.look = look,
};

static void run(const struct history_form *form)
{
	const struct fh_arcs_options options = {
		.types = types, .type_count = TYPES,
		.clock = fake_clock, .clock_arg = &clock_offset,
	};
	const struct linear_state fresh = { { 0 } };
	struct fh_arcs_stats stats;
	uint64_t started = 0;
	unsigned i;

	memset(share, 0, sizeof(share));
	for (i = 0; i < HISTORY_OBJECTS; i++)
		if (fh_arcs_create(&arcs_of[i], &options))
			bail_out("cannot create a registry");
	history_run(&room, form, 24000, &fresh);
	for (i = 0; i < HISTORY_OBJECTS; i++) {
		fh_arcs_get_stats(arcs_of[i], &stats);
		started += stats.started;
		fh_arcs_destroy(arcs_of[i]);
	}
	diag("%" PRIu64 " arcs were started", started);
}

int main(void)
{
	static const struct history_form forms[] = {
		{ "arcs", 2, 40, 0 }, { "arcs", 3, 30, 0 },
		{ "arcs", 5, 30, 0 },
	};
	size_t i;

	history_watchdog();
	for (i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		run(&forms[i]);
	drain();
	return done_testing();
}
