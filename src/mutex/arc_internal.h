/* SPDX-License-Identifier: MIT */
/*
 * arc_internal: what the files of the arc registry's mutex twin share.
 * Internal.
 *
 * One lock guards the table, every arc in it, the observers and the counts.
 * The callers' functions (clock, initialiser, derive, policy, observers) run
 * without it.  Who needs an arc beyond the lock holds a reference; the table
 * has one for as long as the arc is claimed or active.
 */
#ifndef FH_MUTEX_ARC_INTERNAL_H
#define FH_MUTEX_ARC_INTERNAL_H

#include <freehold/arc.h>

#include <pthread.h>

#include "../arc_rules.h"
#include "../atomic.h"
#include "../hash.h"
#include "table.h"

struct fh_arc_observers {
	struct observer *first;
	struct observer **end;
	uint64_t last_id;
	unsigned changes;	/* those that anybody observes */
};

/* The lock has a cache line apart from what is read without it. */
struct fh_arcs {
	struct fh_arcs_options options;
	struct fh_hash hash;
	pthread_mutex_t lock __attribute__((aligned(64)));
	unsigned waiters;	/* on `decided` */
	struct fh_table table;
	uint64_t generation;	/* the last one given */
	struct fh_arcs_stats stats;
	struct fh_arc_observers observers;
	pthread_cond_t decided;	/* a claim was published or abandoned */
};

/* What the holder of a claim has in hand: the first member of its arc. */
struct fh_arc_ticket {
	struct fh_arcs *arcs;
};

struct arc {
	struct fh_arc_ticket claim;
	_Atomic(unsigned) refs;
	bool claimed;		/* neither published nor abandoned yet */
	uint64_t hash;
	struct fh_arc_names names;
	struct fh_arc_info info;
	char text[];		/* both names */
};

/* A pair of names in byte order, and its hash. */
struct pair {
	struct fh_arc_names names;
	uint64_t hash;
};

/* 0 or -EINVAL; the names stay the caller's. */
int fh_arc_pair(const struct fh_arcs *arcs, const char *first,
		const char *second, struct pair *pair);

/* With the lock held: the arc of the pair, claimed or active, or NULL. */
struct arc *fh_arc_find(const struct fh_arcs *arcs, const struct pair *pair);

/* With the lock held: take it out; the table's reference is the caller's. */
void fh_arc_unlist(struct fh_arcs *arcs, struct arc *arc);

static inline bool fh_arc_is_active(const struct arc *arc)
{
	return !arc->claimed && arc->info.state == FH_ARC_ACTIVE;
}

/* With the lock held. */
static inline struct fh_arc_info fh_arc_snapshot(const struct arc *arc,
						 int64_t now)
{
	struct fh_arc_info info = arc->info;

	info.expired = fh_arc_is_expired(&info, now);
	return info;
}

struct arc *fh_arc_hold(struct arc *arc);
void fh_arc_drop(struct arc *arc);

/* As fh_arc_end, for any ending. */
int fh_arc_finish(struct fh_arcs *arcs, const struct pair *pair,
		  uint64_t generation, enum fh_arc_state how,
		  const char *reason, struct fh_arc_info *info);

/* With the lock held: would anybody be told? */
static inline bool fh_arc_is_observed(const struct fh_arcs *arcs,
				      unsigned changes)
{
	return arcs->observers.changes & changes;
}

/* Without the lock: call each observer of the change once. */
void fh_arc_notify(struct fh_arcs *arcs, const struct fh_arc_notice *notice);

void fh_arc_observers_init(struct fh_arc_observers *observers);
void fh_arc_observers_destroy(struct fh_arc_observers *observers);

#endif
