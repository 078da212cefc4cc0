/* SPDX-License-Identifier: MIT */
/*
 * arc_start, the mutex twin: claim, publish, abandon, and waiting for the
 * claims of others.
 *
 * The arc is allocated before the lock is taken: who loses has done that for
 * nothing, but nobody waits for it.  Those who wait share one condition
 * variable, which is signalled only while somebody does.
 */
#include <freehold/arc.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arc_internal.h"
#include "lock.h"

/* One attempt to start an arc. */
struct start {
	const struct fh_arc_request *request;
	bool waits;			/* for others, and joins them */
	int64_t deadline;
	bool publishes;			/* no initialiser comes between */
	struct pair pair;
	struct arc *arc;
	struct fh_arc_info info;	/* the new arc, or the one there */
	bool observed;
};

static struct arc *arc_new(struct fh_arcs *arcs, const struct pair *pair,
			   const struct fh_arc_request *request)
{
	size_t first = strlen(pair->names.first) + 1;
	size_t second = strlen(pair->names.second) + 1;
	struct arc *arc = malloc(sizeof(*arc) + first + second);

	if (!arc)
		return NULL;
	memset(arc, 0, sizeof(*arc));
	arc->claim.arcs = arcs;
	store_relaxed(&arc->refs, 1);
	arc->claimed = true;
	arc->hash = pair->hash;
	arc->names.first = memcpy(arc->text, pair->names.first, first);
	arc->names.second = memcpy(arc->text + first, pair->names.second,
				   second);
	arc->info.type = request->type;
	arc->info.phase = arcs->options.types[request->type].initial;
	arc->info.duration = request->duration ? request->duration :
			     arcs->options.types[request->type].duration;
	return arc;
}

/* With the lock held. */
static void wake_waiters(struct fh_arcs *arcs)
{
	if (arcs->waiters)
		pthread_cond_broadcast(&arcs->decided);
}

/* With the lock held. */
static void publish(struct fh_arcs *arcs, struct arc *arc)
{
	arc->claimed = false;
	arcs->stats.started++;
	arcs->stats.active++;
	wake_waiters(arcs);
}

/* With the lock held: the new arc goes in, claimed or published at once. */
static int enter(struct fh_arcs *arcs, struct start *start, int64_t now)
{
	struct arc *arc = start->arc;
	int rc = fh_table_insert(&arcs->table, arc->hash, arc);

	if (rc)
		return rc;
	arc->info.generation = ++arcs->generation;
	arc->info.start_time = now;
	arc->info.last_progress = now;
	start->info = fh_arc_snapshot(arc, now);
	if (!start->publishes)
		return 0;
	publish(arcs, arc);
	start->observed = fh_arc_is_observed(arcs, FH_ARC_STARTED);
	if (start->observed)
		fh_arc_hold(arc);
	return 0;
}

/* With the lock held. */
static int try_enter(struct fh_arcs *arcs, struct start *start, int64_t now)
{
	const struct arc *there = fh_arc_find(arcs, &start->pair);

	if (!there)
		return enter(arcs, start, now);
	if (!start->waits)
		arcs->stats.refused++;
	if (there->claimed)
		return -EINPROGRESS;
	start->info = fh_arc_snapshot(there, now);
	start->info.type_differs = start->info.type != start->request->type;
	return -EEXIST;
}

static int wait_decided(struct fh_arcs *arcs, int64_t deadline)
{
	int rc;

	arcs->waiters++;
	rc = fh_cond_wait_until(&arcs->decided, &arcs->lock, deadline);
	arcs->waiters--;
	return rc;
}

/* The clock is the caller's, so each round reads it without the lock. */
static int enter_or_wait(struct fh_arcs *arcs, struct start *start)
{
	int rc, timeout = start->waits ? 0 : -EINPROGRESS;
	int64_t now;

	for (;;) {
		now = fh_arc_clock(&arcs->options);
		pthread_mutex_lock(&arcs->lock);
		rc = try_enter(arcs, start, now);
		if (rc != -EINPROGRESS || timeout)
			break;
		timeout = wait_decided(arcs, start->deadline);
		pthread_mutex_unlock(&arcs->lock);
	}
	pthread_mutex_unlock(&arcs->lock);
	return rc == -EINPROGRESS ? timeout : rc;
}

static int begin(struct fh_arcs *arcs, struct start *start)
{
	const struct fh_arc_request *request = start->request;
	int rc = fh_arc_pair(arcs, request->first, request->second,
			     &start->pair);

	if (rc)
		return rc;
	if (request->type >= arcs->options.type_count)
		return -EINVAL;
	start->arc = arc_new(arcs, &start->pair, request);
	if (!start->arc)
		return -ENOMEM;
	rc = enter_or_wait(arcs, start);
	if (rc)
		fh_arc_drop(start->arc);
	return rc;
}

/* The arc may have ended by now; the reference of the observers keeps it. */
static void notify_start(struct fh_arcs *arcs, struct arc *arc,
			 const struct fh_arc_info *info)
{
	struct fh_arc_notice notice = {
		.change = FH_ARC_STARTED, .names = arc->names, .info = *info,
	};

	fh_arc_notify(arcs, &notice);
	fh_arc_drop(arc);
}

int fh_arc_claim(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 struct fh_arc_ticket **claim, struct fh_arc_info *info)
{
	struct start start = { .request = request };
	int rc = begin(arcs, &start);

	if (info && (rc == 0 || rc == -EEXIST))
		*info = start.info;
	if (rc == 0)
		*claim = &start.arc->claim;
	return rc;
}

void fh_arc_publish(struct fh_arc_ticket *claim, struct fh_arc_info *info)
{
	struct fh_arcs *arcs = claim->arcs;
	struct arc *arc = (struct arc *)claim;
	int64_t now = fh_arc_clock(&arcs->options);
	struct fh_arc_info published;
	bool observed;

	pthread_mutex_lock(&arcs->lock);
	publish(arcs, arc);
	published = fh_arc_snapshot(arc, now);
	observed = fh_arc_is_observed(arcs, FH_ARC_STARTED);
	if (observed)
		fh_arc_hold(arc);
	pthread_mutex_unlock(&arcs->lock);
	if (info)
		*info = published;
	if (observed)
		notify_start(arcs, arc, &published);
}

void fh_arc_abandon(struct fh_arc_ticket *claim)
{
	struct fh_arcs *arcs = claim->arcs;
	struct arc *arc = (struct arc *)claim;

	pthread_mutex_lock(&arcs->lock);
	arc->info.state = FH_ARC_CANCELLED;
	fh_arc_unlist(arcs, arc);
	arcs->stats.abandoned++;
	wake_waiters(arcs);
	pthread_mutex_unlock(&arcs->lock);
	fh_arc_drop(arc);
}

/* The claim is won: let the initialiser decide. */
static int initialise(struct start *start)
{
	const struct fh_arc_request *request = start->request;
	int rc = request->init(&start->info, request->init_arg);

	if (rc < 0) {
		fh_arc_abandon(&start->arc->claim);
		return rc;
	}
	fh_arc_publish(&start->arc->claim, &start->info);
	return 0;
}

/* A result of -EEXIST has filled in start->info too. */
static int run(struct fh_arcs *arcs, struct start *start)
{
	int rc;

	start->publishes = !start->request->init;
	rc = begin(arcs, start);
	if (rc)
		return rc;
	if (!start->publishes)
		return initialise(start);
	if (start->observed)
		notify_start(arcs, start->arc, &start->info);
	return 0;
}

int fh_arc_start(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 struct fh_arc_info *info)
{
	struct start start = { .request = request };
	int rc = run(arcs, &start);

	if (info && (rc == 0 || rc == -EEXIST))
		*info = start.info;
	return rc;
}

int fh_arc_start_wait(struct fh_arcs *arcs,
		      const struct fh_arc_request *request, int64_t deadline,
		      struct fh_arc_info *info)
{
	struct start start = {
		.request = request, .waits = true, .deadline = deadline,
	};
	int rc = run(arcs, &start);

	if (rc == -EEXIST) {
		start.info.joined = 1;
		rc = 0;
	}
	if (info && rc == 0)
		*info = start.info;
	return rc;
}
