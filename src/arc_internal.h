/* SPDX-License-Identifier: MIT */
/*
 * arc_internal: what the files of the lock-free arc registry share; the
 * essay is in arc.c.  Internal.
 */
#ifndef FH_ARC_INTERNAL_H
#define FH_ARC_INTERNAL_H

#include <freehold/arc.h>
#include <freehold/counter.h>
#include <freehold/status.h>

#include "arc_rules.h"
#include "atomic.h"
#include "observers.h"

enum life {
	LIFE_CLAIMED,
	LIFE_ACTIVE,
	LIFE_ABANDONED,
	LIFE_COMPLETED,
	LIFE_CANCELLED,
	LIFE_EXPIRED
};

#define LIFE_BITS ((uintptr_t)7)

/* The states of the claim cell. */
enum { CLAIM_OPEN, CLAIM_SETTLED };

struct progress {
	struct fh_rcu_head rcu;
	int64_t last;
	uint64_t events;
	unsigned phase;
};

struct arc {
	struct fh_map_entry entry;
	_Atomic(uintptr_t) word;
	_Atomic(uint64_t) refs;
	struct fh_arcs *arcs;
	struct fh_arc_names names;	/* both within key */
	uint64_t generation;
	int64_t start_time, duration;
	unsigned type;
	struct fh_status claim;
	struct fh_rcu_head rcu;
	struct progress first;		/* the record of the beginning */
	struct progress *superseded;	/* law 3: by the step that ended it */
	char key[];
};

struct fh_arcs {
	struct fh_map *map;
	struct fh_arcs_options options;
	struct fh_observers observers;
	struct fh_counter started, refused, abandoned, progressed, ended;
	_Atomic(uint64_t) generation;
};

/* Names up to this length together are joined on the stack. */
#define SHORT_KEY 256

struct key {
	struct fh_key bytes;
	size_t second;			/* where the second name begins */
	char *joined;
	char room[SHORT_KEY];
};

static inline enum life life_of(uintptr_t word)
{
	return (enum life)(word & LIFE_BITS);
}

static inline struct progress *progress_of(uintptr_t word)
{
	return (struct progress *)(word & ~LIFE_BITS);
}

static inline uintptr_t word_of(const struct progress *progress, enum life life)
{
	return (uintptr_t)progress | life;
}

static inline bool is_over(enum life life)
{
	return life >= LIFE_ABANDONED;
}

static inline struct arc *arc_of(struct fh_map_entry *entry)
{
	return (struct arc *)((char *)entry - offsetof(struct arc, entry));
}

static inline enum life arc_life(struct arc *arc)
{
	/* pairs with: arc.word */
	return life_of(load_acquire(&arc->word));
}

/* Law 1: within the read section that found it, or beside a reference. */
static inline void arc_hold(struct arc *arc)
{
	add_relaxed(&arc->refs, 1);
}

/* Give a reference back; the last one frees. */
void fh_arc_drop(struct arc *arc);

/* To retire an arc that left the map: drops the map's reference. */
void fh_arc_reclaim(struct fh_rcu_head *head);

/* Free an arc that nobody else has seen. */
void fh_arc_free(struct arc *arc);

/* I4, law 5: take an arc that is over out of the map, unless that is done. */
void fh_arc_detach(struct arc *arc);

/* The names in byte order, joined; -EINVAL, -ENOMEM. */
int fh_arc_key_make(struct key *key, const char *first, const char *second);
void fh_arc_key_free(struct key *key);

/*
 * The arc as the word has it, but for its age.  The record must not go: call
 * it in the read section that loaded the word, or with one that is over.
 */
void fh_arc_describe(const struct arc *arc, uintptr_t word,
		     struct fh_arc_info *info);

/* Is it expired?  Outside read sections: the clock may be the caller's. */
void fh_arc_look_at_age(struct fh_arcs *arcs, struct fh_arc_info *info);

/* Both of these, of this moment, under a reference. */
enum life fh_arc_look(struct arc *arc, struct fh_arc_info *info);

void fh_arc_notify(struct arc *arc, enum fh_arc_change change,
		   const struct fh_arc_info *info, const char *event,
		   const char *reason);

/* As fh_arc_end and fh_arc_progress, for this very arc. */
int fh_arc_finish(struct arc *arc, enum life how, const char *reason,
		  struct fh_arc_info *info);
int fh_arc_advance(struct arc *arc, const struct fh_arc_step *step,
		   struct fh_arc_info *info);

#endif
