/* SPDX-License-Identifier: MIT */
/*
 * arc_step: what changes an active arc, its end included.  The laws and
 * invariants are those of arc.c.
 */
#include "arc_internal.h"
#include "rcu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The arc of this entry with a reference, if it is active; else NULL. */
static struct arc *hold_active(struct fh_map_entry *entry)
{
	struct arc *arc = entry ? arc_of(entry) : NULL;

	if (!arc || arc_life(arc) != LIFE_ACTIVE)
		return NULL;
	arc_hold(arc);
	return arc;
}

/* A search without memory for a key that there was no memory to join. */
struct search {
	struct fh_arc_names names;
	struct arc *found;
};

static int match(struct fh_map_entry *entry, void *arg)
{
	const struct arc *arc = arc_of(entry);
	struct search *search = arg;

	if (search->found || strcmp(arc->names.first, search->names.first) ||
	    strcmp(arc->names.second, search->names.second))
		return 0;
	search->found = hold_active(entry);
	return 1;
}

static struct arc *find_by_names(struct fh_arcs *arcs, const char *first,
				 const char *second)
{
	struct search search = { .found = NULL };
	struct fh_map_cursor cursor = { 0 };

	fh_arc_order(&first, &second);
	search.names.first = first;
	search.names.second = second;
	while (!search.found && !cursor.done)
		fh_map_walk(arcs->map, &cursor, 0, match, &search);
	return search.found;
}

/* The active arc of a pair, with a reference. */
static int find(struct fh_arcs *arcs, const char *first, const char *second,
		struct arc **arc)
{
	struct key key;
	int rc = fh_arc_key_make(&key, first, second);

	if (rc)
		return rc;
	fh_rcu_read_lock();
	*arc = hold_active(fh_map_lookup(arcs->map, key.bytes));
	fh_rcu_read_unlock();
	fh_arc_key_free(&key);
	return *arc ? 0 : -ENOENT;
}

static void reclaim_progress(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct progress, rcu));
}

static bool is_meant(const struct arc *arc, uint64_t generation)
{
	return generation == FH_ARC_ANY || generation == arc->generation;
}

/* By whoever made the word over; the observers come last, law 5. */
static void tell_end(struct arc *arc, const struct fh_arc_info *info,
		     const char *reason)
{
	fh_counter_add(&arc->arcs->ended, 1);
	fh_arc_notify(arc, FH_ARC_ENDED, info, NULL, reason);
}

/* I1; @word is what the arc was when it ended. */
static int mark_over(struct arc *arc, enum life how, uintptr_t *word)
{
	/* pairs with: arc.word */
	*word = load_acquire(&arc->word);
	do {
		if (life_of(*word) != LIFE_ACTIVE)
			return -ENOENT;
		/* pairs with: arc.word */
	} while (!cas_acq_rel_acquire(&arc->word, word,
				      (*word & ~LIFE_BITS) | how));
	return 0;
}

int fh_arc_finish(struct arc *arc, enum life how, const char *reason,
		  struct fh_arc_info *info)
{
	struct fh_room room;
	uintptr_t word;
	int rc = fh_room_take(&room, 2);

	if (rc)
		return rc;
	rc = mark_over(arc, how, &word);
	fh_point("arc_ended");
	if (rc == 0)
		fh_arc_detach(arc);
	fh_room_leave(&room, 0);
	if (rc)
		return rc;
	fh_arc_describe(arc, (word & ~LIFE_BITS) | how, info);
	fh_arc_look_at_age(arc->arcs, info);
	tell_end(arc, info, reason);
	return 0;
}

int fh_arc_end(struct fh_arcs *arcs, const char *first, const char *second,
	       uint64_t generation, enum fh_arc_state how, const char *reason,
	       struct fh_arc_info *info)
{
	enum life life = how == FH_ARC_COMPLETED ? LIFE_COMPLETED :
						   LIFE_CANCELLED;
	struct fh_arc_info over;
	struct arc *arc;
	int rc;

	if (how != FH_ARC_COMPLETED && how != FH_ARC_CANCELLED)
		return -EINVAL;
	rc = find(arcs, first, second, &arc);
	if (rc == -ENOMEM) {
		arc = find_by_names(arcs, first, second);
		rc = arc ? 0 : -ENOENT;
	}
	if (rc)
		return rc;
	rc = -ESTALE;
	if (is_meant(arc, generation))
		rc = fh_arc_finish(arc, life, reason, &over);
	fh_arc_drop(arc);
	if (rc == 0 && info)
		*info = over;
	return rc;
}

/* What the step would make of the arc; @info: before, on success after. */
static int plan(struct arc *arc, const struct fh_arc_step *step,
		struct fh_arc_info *info, const struct fh_arc_event **event)
{
	const struct fh_arc_type *type = &arc->arcs->options.types[arc->type];
	unsigned next;
	int rc;

	if (fh_arc_look(arc, info) != LIFE_ACTIVE)
		return -ENOENT;
	if (step && !is_meant(arc, step->generation))
		return -ESTALE;
	if (info->expired)
		return -ETIME;
	rc = fh_arc_choose(type, info, step, event, &next);
	if (rc)
		return rc;
	info->phase = next;
	info->events++;
	info->last_progress = fh_arc_clock(&arc->arcs->options);
	if (fh_arc_is_final(type, next))
		info->state = FH_ARC_COMPLETED;
	return 0;
}

/* Law 4: false if anything happened since the plan was made. */
static bool install(struct arc *arc, const struct progress *next,
		    enum life life, struct progress **old)
{
	uintptr_t word;
	bool won;

	fh_rcu_read_lock();
	/* pairs with: arc.word */
	word = load_acquire(&arc->word);
	*old = progress_of(word);
	won = life_of(word) == LIFE_ACTIVE &&
	      (*old)->events + 1 == next->events &&
	      /* pairs with: arc.word */
	      cas_acq_rel_relaxed(&arc->word, &word, word_of(next, life));
	fh_rcu_read_unlock();
	return won;
}

/* Law 3. */
static void supersede(struct arc *arc, struct progress *old, enum life life)
{
	if (old == &arc->first)
		return;
	if (life == LIFE_ACTIVE)
		fh_rcu_retire(&old->rcu, reclaim_progress);
	else
		arc->superseded = old;
}

/*
 * Plan and install @next, until both are of one moment.  Room is asked for
 * behind the plan, because a function of the caller's that the plan runs may
 * use up what this thread had.
 */
static int step_on(struct arc *arc, const struct fh_arc_step *step,
		   struct progress *next, struct fh_arc_info *info,
		   const char **event)
{
	const struct fh_arc_event *happens;
	struct progress *old;
	enum life life;
	int rc;

	do {
		rc = plan(arc, step, info, &happens);
		if (rc)
			return rc;
		next->phase = info->phase;
		next->events = info->events;
		next->last = info->last_progress;
		life = info->state == FH_ARC_ACTIVE ? LIFE_ACTIVE :
						      LIFE_COMPLETED;
		fh_point("arc_install");
	} while (!install(arc, next, life, &old));
	supersede(arc, old, life);
	if (life != LIFE_ACTIVE)
		fh_arc_detach(arc);
	*event = happens->name;
	return 0;
}

int fh_arc_advance(struct arc *arc, const struct fh_arc_step *step,
		   struct fh_arc_info *info)
{
	struct progress *next = malloc(sizeof(*next));
	const char *event = NULL;
	struct fh_room room;
	int rc;

	if (!next)
		return -ENOMEM;
	rc = fh_room_take(&room, 2);
	if (rc == 0)
		rc = step_on(arc, step, next, info, &event);
	fh_room_leave(&room, 0);
	if (rc) {
		free(next);
		return rc;
	}
	fh_counter_add(&arc->arcs->progressed, 1);
	fh_arc_notify(arc, FH_ARC_PROGRESSED, info, event, NULL);
	if (info->state != FH_ARC_ACTIVE)
		tell_end(arc, info, NULL);
	return 0;
}

int fh_arc_progress(struct fh_arcs *arcs, const char *first,
		    const char *second, const struct fh_arc_step *step,
		    struct fh_arc_info *info)
{
	struct fh_arc_info after;
	struct arc *arc;
	int rc = find(arcs, first, second, &arc);

	if (rc)
		return rc;
	rc = fh_arc_advance(arc, step, &after);
	fh_arc_drop(arc);
	if (info && (rc == 0 || rc == -EPERM || rc == -ENOMSG || rc == -ETIME))
		*info = after;
	return rc;
}
