/* SPDX-License-Identifier: MIT */
/*
 * arc, the mutex twin: one lock around one table of arcs (table.h).
 *
 * An arc is in the table from its claim to its end, and whoever ends it takes
 * it out in the same critical section: finding one that is not claimed means
 * that it is active.  Starting is in arc_start.c, walking in arc_walk.c,
 * observers in arc_observers.c.
 */
#include <freehold/arc.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arc_internal.h"

int fh_arcs_create(struct fh_arcs **arcs,
		   const struct fh_arcs_options *options)
{
	struct fh_arcs *fresh;
	int rc = fh_arc_check_types(options);

	if (rc)
		return rc;
	fresh = aligned_alloc(_Alignof(struct fh_arcs), sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	memset(fresh, 0, sizeof(*fresh));
	fresh->options = *options;
	rc = fh_hash_seed(&fresh->hash);
	if (!rc)
		rc = fh_table_init(&fresh->table, 0, false);
	if (rc) {
		free(fresh);
		return rc;
	}
	fh_arc_observers_init(&fresh->observers);
	pthread_mutex_init(&fresh->lock, NULL);
	pthread_cond_init(&fresh->decided, NULL);
	*arcs = fresh;
	return 0;
}

void fh_arcs_destroy(struct fh_arcs *arcs)
{
	if (!arcs)
		return;
	for (size_t i = 0; i < arcs->table.length; i++)
		if (arcs->table.slots[i].item)
			fh_arc_drop(arcs->table.slots[i].item);
	fh_table_free(&arcs->table);
	fh_arc_observers_destroy(&arcs->observers);
	pthread_cond_destroy(&arcs->decided);
	pthread_mutex_destroy(&arcs->lock);
	free(arcs);
}

static uint64_t hash_name(const struct fh_arcs *arcs, const char *name)
{
	return fh_hash_bytes(&arcs->hash, fh_key_string(name));
}

int fh_arc_pair(const struct fh_arcs *arcs, const char *first,
		const char *second, struct pair *pair)
{
	int rc = fh_arc_order(&first, &second);

	if (rc)
		return rc;
	pair->names.first = first;
	pair->names.second = second;
	pair->hash = fh_hash_pair(&arcs->hash,
				  fh_key_pair(hash_name(arcs, first),
					      hash_name(arcs, second)));
	return 0;
}

static bool is_of(const struct arc *arc, const struct pair *pair)
{
	return !strcmp(arc->names.first, pair->names.first) &&
	       !strcmp(arc->names.second, pair->names.second);
}

struct arc *fh_arc_find(const struct fh_arcs *arcs, const struct pair *pair)
{
	struct fh_slot *slot = fh_table_home(&arcs->table, pair->hash);

	while ((slot = fh_slot_find(slot, pair->hash))) {
		if (is_of(slot->item, pair))
			return slot->item;
		slot++;
	}
	return NULL;
}

void fh_arc_unlist(struct fh_arcs *arcs, struct arc *arc)
{
	struct fh_slot *slot = fh_table_home(&arcs->table, arc->hash);

	while (slot->item != arc)
		slot++;
	fh_table_remove(&arcs->table, slot);
}

struct arc *fh_arc_hold(struct arc *arc)
{
	add_relaxed(&arc->refs, 1);
	return arc;
}

void fh_arc_drop(struct arc *arc)
{
	/* pairs with: arc.refs */
	if (sub_acq_rel(&arc->refs, 1) == 1)
		free(arc);
}

static struct arc *find_active(const struct fh_arcs *arcs,
			       const struct pair *pair)
{
	struct arc *arc = fh_arc_find(arcs, pair);

	return arc && fh_arc_is_active(arc) ? arc : NULL;
}

int fh_arc_get(struct fh_arcs *arcs, const char *first, const char *second,
	       struct fh_arc_info *info)
{
	struct pair pair;
	struct arc *arc;
	int64_t now;
	int rc = fh_arc_pair(arcs, first, second, &pair);

	if (rc)
		return rc;
	now = fh_arc_clock(&arcs->options);
	pthread_mutex_lock(&arcs->lock);
	arc = find_active(arcs, &pair);
	if (arc)
		*info = fh_arc_snapshot(arc, now);
	pthread_mutex_unlock(&arcs->lock);
	return arc ? 0 : -ENOENT;
}

/* With the lock held; the table's reference becomes the caller's. */
static void end(struct fh_arcs *arcs, struct arc *arc, enum fh_arc_state how)
{
	arc->info.state = how;
	fh_arc_unlist(arcs, arc);
	arcs->stats.active--;
	arcs->stats.ended++;
}

static void notify_end(struct fh_arcs *arcs, const struct arc *arc,
		       const struct fh_arc_info *info, const char *reason)
{
	struct fh_arc_notice notice = {
		.change = FH_ARC_ENDED, .names = arc->names, .info = *info,
		.reason = reason,
	};

	fh_arc_notify(arcs, &notice);
}

int fh_arc_finish(struct fh_arcs *arcs, const struct pair *pair,
		  uint64_t generation, enum fh_arc_state how,
		  const char *reason, struct fh_arc_info *info)
{
	int64_t now = fh_arc_clock(&arcs->options);
	struct fh_arc_info last;
	struct arc *arc;
	bool observed;
	int rc = -ENOENT;

	pthread_mutex_lock(&arcs->lock);
	arc = find_active(arcs, pair);
	if (arc && generation && generation != arc->info.generation)
		rc = -ESTALE;
	else if (arc)
		rc = 0;
	if (rc) {
		pthread_mutex_unlock(&arcs->lock);
		return rc;
	}
	end(arcs, arc, how);
	last = fh_arc_snapshot(arc, now);
	observed = fh_arc_is_observed(arcs, FH_ARC_ENDED);
	pthread_mutex_unlock(&arcs->lock);
	if (info)
		*info = last;
	if (observed)
		notify_end(arcs, arc, &last, reason);
	fh_arc_drop(arc);
	return 0;
}

int fh_arc_end(struct fh_arcs *arcs, const char *first, const char *second,
	       uint64_t generation, enum fh_arc_state how, const char *reason,
	       struct fh_arc_info *info)
{
	struct pair pair;
	int rc = fh_arc_pair(arcs, first, second, &pair);

	if (rc)
		return rc;
	if (how != FH_ARC_COMPLETED && how != FH_ARC_CANCELLED)
		return -EINVAL;
	return fh_arc_finish(arcs, &pair, generation, how, reason, info);
}

/* One call of fh_arc_progress. */
struct progress {
	const struct pair *pair;
	const struct fh_arc_step *step;
	int64_t now;
	struct arc *arc;		/* to be dropped, unless NULL */
	struct fh_arc_info info;	/* the arc as seen, then as changed */
	const struct fh_arc_event *event;
	unsigned next;
	bool observed;
};

/* With the lock held; fills in the snapshot if there is an arc to look at. */
static int look(struct fh_arcs *arcs, struct progress *progress,
		struct arc **arc)
{
	uint64_t generation = progress->step->generation;

	*arc = find_active(arcs, progress->pair);
	if (!*arc)
		return -ENOENT;
	if (generation && generation != (*arc)->info.generation)
		return -ESTALE;
	progress->info = fh_arc_snapshot(*arc, progress->now);
	return progress->info.expired ? -ETIME : 0;
}

static int choose(struct fh_arcs *arcs, struct progress *progress)
{
	const struct fh_arc_info *info = &progress->info;

	return fh_arc_choose(&arcs->options.types[info->type], info,
			     progress->step, &progress->event,
			     &progress->next);
}

/*
 * With the lock held, but for the caller's derive function.  So the arc may
 * have changed meanwhile: 1 says so.  Every change but the last counts an
 * event.
 */
static int choose_unlocked(struct fh_arcs *arcs, struct progress *progress,
			   struct arc **arc)
{
	const struct fh_arc_info *info = &progress->info;
	int rc;

	pthread_mutex_unlock(&arcs->lock);
	rc = choose(arcs, progress);
	pthread_mutex_lock(&arcs->lock);
	if (rc)
		return rc;
	*arc = find_active(arcs, progress->pair);
	return !*arc || (*arc)->info.generation != info->generation ||
	       (*arc)->info.events != info->events;
}

/* With the lock held: make the step, and keep the arc for the observers. */
static void apply(struct fh_arcs *arcs, struct progress *progress,
		  struct arc *arc)
{
	struct fh_arc_info *info = &arc->info;
	bool final;

	info->phase = progress->next;
	info->events++;
	if (progress->now > info->last_progress)
		info->last_progress = progress->now;
	arcs->stats.progressed++;
	progress->observed = fh_arc_is_observed(arcs, FH_ARC_PROGRESSED |
						      FH_ARC_ENDED);
	final = fh_arc_is_final(&arcs->options.types[info->type],
				info->phase);
	if (final)
		end(arcs, arc, FH_ARC_COMPLETED);
	else if (progress->observed)
		fh_arc_hold(arc);
	progress->arc = final || progress->observed ? arc : NULL;
	progress->info = fh_arc_snapshot(arc, progress->now);
}

static int try_progress(struct fh_arcs *arcs, struct progress *progress)
{
	struct arc *arc;
	int rc;

	progress->now = fh_arc_clock(&arcs->options);
	pthread_mutex_lock(&arcs->lock);
	rc = look(arcs, progress, &arc);
	if (!rc && progress->step->derive)
		rc = choose_unlocked(arcs, progress, &arc);
	else if (!rc)
		rc = choose(arcs, progress);
	if (!rc)
		apply(arcs, progress, arc);
	pthread_mutex_unlock(&arcs->lock);
	return rc;
}

static void tell_progress(struct fh_arcs *arcs,
			  const struct progress *progress)
{
	struct fh_arc_notice notice = {
		.change = FH_ARC_PROGRESSED, .names = progress->arc->names,
		.info = progress->info, .event = progress->event->name,
	};

	fh_arc_notify(arcs, &notice);
	if (progress->info.state != FH_ARC_ACTIVE)
		notify_end(arcs, progress->arc, &progress->info, NULL);
}

static bool tells_the_arc(int rc)
{
	return rc == 0 || rc == -EPERM || rc == -ENOMSG || rc == -ETIME;
}

int fh_arc_progress(struct fh_arcs *arcs, const char *first,
		    const char *second, const struct fh_arc_step *step,
		    struct fh_arc_info *info)
{
	static const struct fh_arc_step available;
	struct pair pair;
	struct progress progress = {
		.pair = &pair, .step = step ? step : &available,
	};
	int rc = fh_arc_pair(arcs, first, second, &pair);

	if (rc)
		return rc;
	do
		rc = try_progress(arcs, &progress);
	while (rc > 0);
	if (info && tells_the_arc(rc))
		*info = progress.info;
	if (progress.observed)
		tell_progress(arcs, &progress);
	if (progress.arc)
		fh_arc_drop(progress.arc);
	return rc;
}

void fh_arcs_get_stats(struct fh_arcs *arcs, struct fh_arcs_stats *stats)
{
	pthread_mutex_lock(&arcs->lock);
	*stats = arcs->stats;
	pthread_mutex_unlock(&arcs->lock);
}
