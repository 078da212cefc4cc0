/* SPDX-License-Identifier: MIT */
/*
 * arc_walk, the mutex twin: visiting all arcs.
 *
 * A page of arcs is taken with the lock held, with a reference to each.  An
 * arc's place in the table is its hash and its address, which do not change
 * while it runs, so no change of the table makes a walk miss it or meet it
 * twice.  Each is looked at once more just before its visit: one that has
 * ended since is left out.
 */
#include <freehold/arc.h>

#include <errno.h>

#include "arc_internal.h"

#define PAGE 64

static size_t next_page(struct fh_arcs *arcs, struct fh_table_place *place,
			void **page)
{
	size_t count;

	pthread_mutex_lock(&arcs->lock);
	count = fh_table_page(&arcs->table, place, UINT64_MAX, page, PAGE);
	for (size_t i = 0; i < count; i++)
		fh_arc_hold(page[i]);
	pthread_mutex_unlock(&arcs->lock);
	return count;
}

static bool look(struct fh_arcs *arcs, const struct arc *arc,
		 struct fh_arc_info *info)
{
	int64_t now = fh_arc_clock(&arcs->options);
	bool active;

	pthread_mutex_lock(&arcs->lock);
	active = fh_arc_is_active(arc);
	if (active)
		*info = fh_arc_snapshot(arc, now);
	pthread_mutex_unlock(&arcs->lock);
	return active;
}

size_t fh_arc_for_each(struct fh_arcs *arcs,
		       int (*visit)(const struct fh_arc_names *names,
				    const struct fh_arc_info *info, void *arg),
		       void *arg)
{
	struct fh_table_place place = { .hash = 0 };
	struct fh_arc_info info;
	void *page[PAGE];
	size_t visited = 0;
	bool stop = false;

	while (!place.end && !stop) {
		size_t count = next_page(arcs, &place, page);

		for (size_t i = 0; i < count; i++) {
			struct arc *arc = page[i];

			if (!stop && look(arcs, arc, &info)) {
				visited++;
				stop = visit(&arc->names, &info, arg);
			}
			fh_arc_drop(arc);
		}
	}
	return visited;
}

/* One call of fh_arc_process_all. */
struct process {
	struct fh_arcs *arcs;
	fh_arc_policy policy;
	void *arg;
	struct fh_arc_tally tally;
};

static bool somebody_was_first(int rc)
{
	return rc == -ENOENT || rc == -ESTALE;
}

/* Counts the ending in @counter; whose arc was ended before is not counted. */
static void finish(struct process *process, const struct fh_arc_names *names,
		   const struct fh_arc_info *info, enum fh_arc_state how,
		   uint64_t *counter)
{
	struct pair pair;

	fh_arc_pair(process->arcs, names->first, names->second, &pair);
	if (fh_arc_finish(process->arcs, &pair, info->generation, how, NULL,
			  NULL))
		return;
	process->tally.processed++;
	++*counter;
}

static void progress(struct process *process,
		     const struct fh_arc_names *names,
		     const struct fh_arc_info *info, struct fh_arc_step *step)
{
	struct fh_arc_tally *tally = &process->tally;
	struct fh_arc_info after;
	int rc;

	step->generation = info->generation;
	rc = fh_arc_progress(process->arcs, names->first, names->second, step,
			     &after);
	if (somebody_was_first(rc))
		return;
	if (rc == -ETIME) {
		finish(process, names, info, FH_ARC_EXPIRED, &tally->expired);
		return;
	}
	tally->processed++;
	if (rc)
		tally->failed++;
	else if (after.state == FH_ARC_ACTIVE)
		tally->progressed++;
	else
		tally->completed++;
}

static int process_one(const struct fh_arc_names *names,
		       const struct fh_arc_info *info, void *arg)
{
	struct process *process = arg;
	struct fh_arc_tally *tally = &process->tally;
	enum fh_arc_decision decision = FH_ARC_DO_PROGRESS;
	struct fh_arc_step step = { .generation = 0 };

	if (info->expired) {
		finish(process, names, info, FH_ARC_EXPIRED, &tally->expired);
		return 0;
	}
	if (process->policy)
		decision = process->policy(names, info, &step, process->arg);
	if (decision == FH_ARC_DO_PROGRESS)
		progress(process, names, info, &step);
	else if (decision == FH_ARC_DO_COMPLETE)
		finish(process, names, info, FH_ARC_COMPLETED,
		       &tally->completed);
	else if (decision == FH_ARC_DO_CANCEL)
		finish(process, names, info, FH_ARC_CANCELLED,
		       &tally->cancelled);
	else
		tally->processed++;
	return 0;
}

void fh_arc_process_all(struct fh_arcs *arcs, fh_arc_policy policy, void *arg,
			struct fh_arc_tally *tally)
{
	struct process process = {
		.arcs = arcs, .policy = policy, .arg = arg,
	};

	fh_arc_for_each(arcs, process_one, &process);
	if (tally)
		*tally = process.tally;
}
