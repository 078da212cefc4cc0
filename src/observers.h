/* SPDX-License-Identifier: MIT */
/*
 * observers: the callbacks of an arc registry.  Internal.
 *
 * All-zero bytes are a valid list without observers.
 */
#ifndef FH_OBSERVERS_H
#define FH_OBSERVERS_H

#include <freehold/arc.h>
#include <freehold/counter.h>

#include "atomic.h"

struct observer_list;

struct fh_observers {
	_Atomic(struct observer_list *) list;
	struct fh_counter failures;
};

/* As fh_arc_observe and fh_arc_unobserve. */
int fh_observers_add(struct fh_observers *observers, unsigned changes,
		     fh_arc_observer call, void *arg,
		     void (*release)(void *arg), uint64_t *id);
int fh_observers_remove(struct fh_observers *observers, uint64_t id);

/* Call each observer of this change once; outside read sections. */
void fh_observers_notify(struct fh_observers *observers,
			 const struct fh_arc_notice *notice);

/* Release and free all; nobody else may touch the list any more. */
void fh_observers_destroy(struct fh_observers *observers);

#endif
