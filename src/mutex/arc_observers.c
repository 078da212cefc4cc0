/* SPDX-License-Identifier: MIT */
/*
 * arc_observers, the mutex twin: a list of callbacks in the order of their
 * ids, under the registry's lock.
 *
 * A notification takes the lock between two calls and never during one.  An
 * observer that is removed while it is being called stays in the list, dead,
 * so that the caller finds its place again; who ends the last call takes it
 * out and releases its argument.
 */
#include <freehold/arc.h>

#include <errno.h>
#include <stdlib.h>

#include "arc_internal.h"

#define ALL_CHANGES (FH_ARC_STARTED | FH_ARC_PROGRESSED | FH_ARC_ENDED)

struct observer {
	struct observer *next;
	uint64_t id;
	unsigned changes;	/* 0: it is dead */
	unsigned calls;		/* running now */
	fh_arc_observer call;
	void *arg;
	void (*release)(void *arg);
};

void fh_arc_observers_init(struct fh_arc_observers *observers)
{
	observers->end = &observers->first;
}

/* Without the lock. */
static void release(struct observer *observer)
{
	if (observer->release)
		observer->release(observer->arg);
	free(observer);
}

void fh_arc_observers_destroy(struct fh_arc_observers *observers)
{
	struct observer *observer;

	while ((observer = observers->first)) {
		observers->first = observer->next;
		release(observer);
	}
}

int fh_arc_observe(struct fh_arcs *arcs, unsigned changes,
		   fh_arc_observer call, void *arg,
		   void (*done)(void *arg), uint64_t *id)
{
	struct fh_arc_observers *all = &arcs->observers;
	struct observer *observer;

	if (!call || !changes || changes & ~(unsigned)ALL_CHANGES)
		return -EINVAL;
	observer = calloc(1, sizeof(*observer));
	if (!observer)
		return -ENOMEM;
	observer->changes = changes;
	observer->call = call;
	observer->arg = arg;
	observer->release = done;
	pthread_mutex_lock(&arcs->lock);
	observer->id = ++all->last_id;
	/* before anybody can call it: it may want to remove itself */
	if (id)
		*id = observer->id;
	*all->end = observer;
	all->end = &observer->next;
	all->changes |= changes;
	pthread_mutex_unlock(&arcs->lock);
	return 0;
}

static struct observer *by_id(const struct fh_arc_observers *all, uint64_t id)
{
	struct observer *observer = all->first;

	while (observer && observer->id != id)
		observer = observer->next;
	return observer;
}

static void unlist(struct fh_arc_observers *all, struct observer *observer)
{
	struct observer **link = &all->first;

	while (*link != observer)
		link = &(*link)->next;
	*link = observer->next;
	if (!*link)
		all->end = link;
}

static void sum_changes(struct fh_arc_observers *all)
{
	const struct observer *observer;

	all->changes = 0;
	for (observer = all->first; observer; observer = observer->next)
		all->changes |= observer->changes;
}

int fh_arc_unobserve(struct fh_arcs *arcs, uint64_t id)
{
	struct fh_arc_observers *all = &arcs->observers;
	struct observer *observer;
	bool alive, idle = false;

	pthread_mutex_lock(&arcs->lock);
	observer = by_id(all, id);
	alive = observer && observer->changes;
	if (alive) {
		observer->changes = 0;
		sum_changes(all);
		idle = observer->calls == 0;
		if (idle)
			unlist(all, observer);
	}
	pthread_mutex_unlock(&arcs->lock);
	if (idle)
		release(observer);
	return alive ? 0 : -ENOENT;
}

/* With the lock held: the next one to call, up to this id. */
static struct observer *begin_call(struct observer *observer, unsigned change,
				   uint64_t last)
{
	while (observer && !(observer->changes & change))
		observer = observer->next;
	if (!observer || observer->id > last)
		return NULL;
	observer->calls++;
	return observer;
}

/* With the lock held: was that the last call of one that is dead? */
static bool end_call(struct fh_arc_observers *all, struct observer *observer)
{
	if (--observer->calls || observer->changes)
		return false;
	unlist(all, observer);
	return true;
}

/*
 * Up to the last id that was there at the beginning: an observer that adds
 * observers is no endless loop.
 */
void fh_arc_notify(struct fh_arcs *arcs, const struct fh_arc_notice *notice)
{
	struct fh_arc_observers *all = &arcs->observers;
	struct observer *observer, *called;
	uint64_t last;
	bool failed, over;

	pthread_mutex_lock(&arcs->lock);
	last = all->last_id;
	observer = begin_call(all->first, notice->change, last);
	pthread_mutex_unlock(&arcs->lock);
	while ((called = observer)) {
		failed = called->call(notice, called->arg) < 0;
		pthread_mutex_lock(&arcs->lock);
		arcs->stats.observer_failures += failed;
		observer = begin_call(called->next, notice->change, last);
		over = end_call(all, called);
		pthread_mutex_unlock(&arcs->lock);
		if (over)
			release(called);
	}
}
