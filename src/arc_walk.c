/* SPDX-License-Identifier: MIT */
/*
 * arc_walk: visiting all arcs, and processing them.  Arcs are collected under
 * references within a read section, and visited outside.  The laws and
 * invariants are those of arc.c.
 */
#include "arc_internal.h"

#include <errno.h>

/*
 * What a walk brings home from one read section.  A bucket may hold more
 * than there is room for; then those with the highest hashes are left, and
 * the cursor is set back to the lowest of them.  (So many equal hashes, of 64
 * bits under a seed, that they alone do not fit, are not to be expected.)
 * test_arc_haul.c makes do with less room.
 */
#ifndef HAUL
#define HAUL 48
#define HAUL_BUDGET 16
#endif

struct haul {
	struct arc *arc[HAUL];
	size_t count;
	bool cut;
	uint64_t rest;			/* if cut: where the next one begins */
};

/* Equal hashes stay together: give back all that have the highest. */
static void cut_haul(struct haul *haul)
{
	uint64_t highest = 0;
	size_t kept = 0;

	for (size_t i = 0; i < haul->count; i++)
		if (haul->arc[i]->entry.hash > highest)
			highest = haul->arc[i]->entry.hash;
	for (size_t i = 0; i < haul->count; i++) {
		if (haul->arc[i]->entry.hash < highest)
			haul->arc[kept++] = haul->arc[i];
		else
			fh_arc_drop(haul->arc[i]);
	}
	haul->count = kept;
	haul->cut = true;
	haul->rest = highest;
}

static int gather(struct fh_map_entry *entry, void *arg)
{
	struct arc *arc = arc_of(entry);
	enum life life = arc_life(arc);
	struct haul *haul = arg;

	if (is_over(life))
		fh_arc_detach(arc);
	if (life != LIFE_ACTIVE || (haul->cut && entry->hash >= haul->rest))
		return 0;
	if (haul->count == HAUL)
		cut_haul(haul);
	if (haul->cut && entry->hash >= haul->rest)
		return 0;
	arc_hold(arc);
	haul->arc[haul->count++] = arc;
	return 0;
}

static bool next_haul(struct fh_arcs *arcs, struct fh_map_cursor *cursor,
		      struct haul *haul)
{
	if (cursor->done)
		return false;
	haul->count = 0;
	haul->cut = false;
	fh_map_walk(arcs->map, cursor, HAUL_BUDGET, gather, haul);
	if (haul->cut) {
		cursor->next = haul->rest;
		cursor->done = 0;
	}
	return true;
}

size_t fh_arc_for_each(struct fh_arcs *arcs,
		       int (*visit)(const struct fh_arc_names *names,
				    const struct fh_arc_info *info, void *arg),
		       void *arg)
{
	struct fh_map_cursor cursor = { 0 };
	struct fh_arc_info info;
	size_t visited = 0;
	struct haul haul;
	int stop = 0;

	while (!stop && next_haul(arcs, &cursor, &haul)) {
		for (size_t i = 0; i < haul.count; i++) {
			struct arc *arc = haul.arc[i];

			if (!stop && fh_arc_look(arc, &info) == LIFE_ACTIVE) {
				visited++;
				stop = visit(&arc->names, &info, arg);
			}
			fh_arc_drop(arc);
		}
	}
	return visited;
}

/* Count the end of an arc; one that somebody else ended is not counted. */
static void tally_end(struct arc *arc, enum life how,
		      struct fh_arc_tally *tally)
{
	struct fh_arc_info info;
	int rc = fh_arc_finish(arc, how, NULL, &info);

	if (rc == -ENOENT)
		return;
	tally->processed++;
	if (rc)
		tally->failed++;
	else if (how == LIFE_EXPIRED)
		tally->expired++;
	else if (how == LIFE_CANCELLED)
		tally->cancelled++;
	else
		tally->completed++;
}

static void tally_progress(struct arc *arc, const struct fh_arc_step *step,
			   struct fh_arc_tally *tally)
{
	struct fh_arc_info info;
	int rc = fh_arc_advance(arc, step, &info);

	if (rc == -ENOENT)
		return;
	if (rc == -ETIME) {
		tally_end(arc, LIFE_EXPIRED, tally);
		return;
	}
	tally->processed++;
	if (rc)
		tally->failed++;
	else if (info.state == FH_ARC_ACTIVE)
		tally->progressed++;
	else
		tally->completed++;
}

static void process(struct arc *arc, fh_arc_policy policy, void *arg,
		    struct fh_arc_tally *tally)
{
	enum fh_arc_decision decision = FH_ARC_DO_PROGRESS;
	struct fh_arc_step step = { 0 };
	struct fh_arc_info info;

	if (fh_arc_look(arc, &info) != LIFE_ACTIVE)
		return;
	if (info.expired) {
		tally_end(arc, LIFE_EXPIRED, tally);
		return;
	}
	if (policy)
		decision = policy(&arc->names, &info, &step, arg);
	if (decision == FH_ARC_DO_PROGRESS)
		tally_progress(arc, &step, tally);
	else if (decision == FH_ARC_DO_COMPLETE)
		tally_end(arc, LIFE_COMPLETED, tally);
	else if (decision == FH_ARC_DO_CANCEL)
		tally_end(arc, LIFE_CANCELLED, tally);
	else
		tally->processed++;
}

void fh_arc_process_all(struct fh_arcs *arcs, fh_arc_policy policy, void *arg,
			struct fh_arc_tally *tally)
{
	struct fh_map_cursor cursor = { 0 };
	struct fh_arc_tally sum = { 0 };
	struct haul haul;

	while (next_haul(arcs, &cursor, &haul)) {
		for (size_t i = 0; i < haul.count; i++) {
			process(haul.arc[i], policy, arg, &sum);
			fh_arc_drop(haul.arc[i]);
		}
	}
	if (tally)
		*tally = sum;
}
