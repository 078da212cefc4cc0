/* SPDX-License-Identifier: MIT */
/*
 * arc: start, progress and end, each with exactly one winner.
 *
 * The registry is in five files: this one (keys, lifetime, looking),
 * arc_start.c (claims), arc_step.c (progress and end), arc_walk.c (all arcs)
 * and observers.c (callbacks).
 *
 *     map --> entry of the arc --+-- names, type, generation: constant
 *                                +-- word --> progress {phase, events, last}
 *                                +-- claim: what starters wait on
 *
 * An arc's changing part is one word: the address of an immutable progress
 * record, with the arc's life in its low bits.
 *
 *     life       means                  follows    written by
 *     CLAIMED    being initialised      creation   who claimed it
 *     ACTIVE     runs                   CLAIMED    who claimed it; progress
 *     ABANDONED  never ran              CLAIMED    who claimed it
 *     COMPLETED  over                   ACTIVE     end, progress
 *     CANCELLED  over                   ACTIVE     end
 *     EXPIRED    over                   ACTIVE     process_all
 *
 * Invariants
 *
 *  I1. While CLAIMED, only the claim's holder changes the word, so a store
 *      is enough.  From ACTIVE on, it changes by compare-exchange from an
 *      ACTIVE value alone, so nothing follows a word that is over: one ender
 *      wins, and progress never revives.
 *  I2. Phase, count and time belong together, because they lie in one record
 *      that was complete before the word pointed to it.
 *  I3. Within one arc the record's event count grows by one with each record:
 *      equal counts in two ACTIVE values mean the same record.
 *  I4. At most one entry of a pair is in the map, and it may be over: its
 *      ender removes it, but a starter that finds it first replaces it.  One
 *      of the two succeeds on this very entry, and that one retires it.
 *
 * Laws of memory and order
 *
 *  1. The map's reference to an arc is dropped one grace period after the
 *     entry left the map.  Whoever finds the entry within a read section may
 *     therefore add a reference without looking: the count is not zero.
 *  2. All other references are dropped directly.  That frees the arc only
 *     when the map's is gone, hence after every reader that found it.
 *  3. A superseded record is retired by the one that superseded it.  The
 *     record in a word that is over stays until the arc is freed: an end
 *     changes bits alone, and takes no memory and frees none.  The step that
 *     ends an arc leaves the record before it to the arc too, so that no
 *     operation here retires more than two objects: a block and an entry of
 *     the map, or one record.
 *  4. A compare-exchange that installs a record runs in the read section
 *     that loaded the old word and compared its count (I3).  The caller's
 *     functions run before that, outside any section; no address can come
 *     back as a different record in between.
 *     An end needs no such care: whichever record it keeps is the one there.
 *  5. The order of an end is: word, map, observers.  A starter that comes
 *     between word and map finds an entry that is over (I4), and so does a
 *     walk; both help.  An end has asked for room under the hard bound
 *     before it begins.  An abandoned claim may not fail and asks for none:
 *     if the map refuses the removal, the entry stays until somebody helps,
 *     and is over all the same.
 *  6. The order of publication is: word, claim cell, observers.  A starter
 *     that waited on the cell finds the word settled when it looks again.
 *
 * Progress: readers load a root, a bucket, an entry, a word and a record; no
 * store, no retry.  A compare-exchange on the word fails only because another
 * event was counted or the arc ended; a start retries because the pair's
 * entry was inserted, removed or replaced by another.  Pairs share nothing
 * but the map, the generation number and the striped counts.
 *
 * The two names of a pair, in byte order and each with its zero byte, are
 * the key in the map: a name holds no zero byte, so different pairs have
 * different keys.
 *
 * Marking an object as dead before it is unlinked, and letting others help
 * with that: "A Pragmatic Implementation of Non-Blocking Linked-Lists", DISC
 * 2001.
 */
#include "arc_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fh_arc_key_make(struct key *key, const char *first, const char *second)
{
	size_t before, length;

	if (fh_arc_order(&first, &second))
		return -EINVAL;
	before = strlen(first) + 1;
	length = before + strlen(second) + 1;
	key->joined = length <= SHORT_KEY ? key->room : malloc(length);
	if (!key->joined)
		return -ENOMEM;
	memcpy(key->joined, first, before);
	memcpy(key->joined + before, second, length - before);
	key->bytes = fh_key_bytes(key->joined, length);
	key->second = before;
	return 0;
}

void fh_arc_key_free(struct key *key)
{
	if (key->joined != key->room)
		free(key->joined);
}

void fh_arc_free(struct arc *arc)
{
	struct progress *last = progress_of(load_relaxed(&arc->word));

	if (last != &arc->first)
		free(last);
	if (arc->superseded != &arc->first)
		free(arc->superseded);
	free(arc);
}

void fh_arc_drop(struct arc *arc)
{
	/* pairs with: arc.refs (releases to the last holder) */
	if (sub_acq_rel(&arc->refs, 1) == 1)
		/* pairs with: arc.refs (acquired from the others) */
		fh_arc_free(arc);
}

void fh_arc_reclaim(struct fh_rcu_head *head)
{
	fh_arc_drop((struct arc *)((char *)head - offsetof(struct arc, rcu)));
}

void fh_arc_detach(struct arc *arc)
{
	if (fh_map_remove_entry(arc->arcs->map, &arc->entry) == 0)
		fh_rcu_retire(&arc->rcu, fh_arc_reclaim);
}

static enum fh_arc_state state_of(enum life life)
{
	switch (life) {
	case LIFE_COMPLETED:
		return FH_ARC_COMPLETED;
	case LIFE_CANCELLED:
		return FH_ARC_CANCELLED;
	case LIFE_EXPIRED:
		return FH_ARC_EXPIRED;
	default:
		return FH_ARC_ACTIVE;
	}
}

/* I2. */
void fh_arc_describe(const struct arc *arc, uintptr_t word,
		     struct fh_arc_info *info)
{
	const struct progress *progress = progress_of(word);

	*info = (struct fh_arc_info){
		.generation = arc->generation,
		.type = arc->type,
		.phase = progress->phase,
		.state = state_of(life_of(word)),
		.start_time = arc->start_time,
		.last_progress = progress->last,
		.duration = arc->duration,
		.events = progress->events,
	};
}

void fh_arc_look_at_age(struct fh_arcs *arcs, struct fh_arc_info *info)
{
	if (info->duration)
		info->expired = fh_arc_is_expired(info,
						  fh_arc_clock(&arcs->options));
}

enum life fh_arc_look(struct arc *arc, struct fh_arc_info *info)
{
	uintptr_t word;

	fh_rcu_read_lock();
	/* pairs with: arc.word */
	word = load_acquire(&arc->word);
	fh_arc_describe(arc, word, info);
	fh_rcu_read_unlock();
	fh_arc_look_at_age(arc->arcs, info);
	return life_of(word);
}

void fh_arc_notify(struct arc *arc, enum fh_arc_change change,
		   const struct fh_arc_info *info, const char *event,
		   const char *reason)
{
	struct fh_arc_notice notice = {
		.change = change,
		.names = arc->names,
		.info = *info,
		.event = event,
		.reason = reason,
	};

	fh_observers_notify(&arc->arcs->observers, &notice);
}

int fh_arcs_create(struct fh_arcs **arcs, const struct fh_arcs_options *options)
{
	const struct fh_map_options keys = { .keys = FH_KEYS_BYTES };
	struct fh_arcs *fresh;
	int rc = fh_arc_check_types(options);

	if (rc)
		return rc;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	fresh->options = *options;
	rc = fh_map_create(&fresh->map, &keys);
	if (rc) {
		free(fresh);
		return rc;
	}
	*arcs = fresh;
	return 0;
}

static void drop_entry(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	fh_arc_drop(arc_of(entry));
}

void fh_arcs_destroy(struct fh_arcs *arcs)
{
	if (!arcs)
		return;
	fh_map_destroy(arcs->map, drop_entry, NULL);
	fh_observers_destroy(&arcs->observers);
	free(arcs);
}

int fh_arc_get(struct fh_arcs *arcs, const char *first, const char *second,
	       struct fh_arc_info *info)
{
	struct fh_map_entry *entry;
	uintptr_t word = LIFE_ABANDONED;
	struct key key;
	int rc = fh_arc_key_make(&key, first, second);

	if (rc)
		return rc;
	fh_rcu_read_lock();
	entry = fh_map_lookup(arcs->map, key.bytes);
	if (entry)
		/* pairs with: arc.word */
		word = load_acquire(&arc_of(entry)->word);
	if (life_of(word) == LIFE_ACTIVE)
		fh_arc_describe(arc_of(entry), word, info);
	fh_rcu_read_unlock();
	fh_arc_key_free(&key);
	if (life_of(word) != LIFE_ACTIVE)
		return -ENOENT;
	fh_arc_look_at_age(arcs, info);
	return 0;
}

int fh_arc_observe(struct fh_arcs *arcs, unsigned changes,
		   fh_arc_observer observer, void *arg,
		   void (*release)(void *arg), uint64_t *id)
{
	return fh_observers_add(&arcs->observers, changes, observer, arg,
				release, id);
}

int fh_arc_unobserve(struct fh_arcs *arcs, uint64_t id)
{
	return fh_observers_remove(&arcs->observers, id);
}

void fh_arcs_get_stats(struct fh_arcs *arcs, struct fh_arcs_stats *stats)
{
	/* Ends first: none is counted whose start is not. */
	stats->ended = (uint64_t)fh_counter_read(&arcs->ended);
	stats->started = (uint64_t)fh_counter_read(&arcs->started);
	stats->active = 0;
	if (stats->started > stats->ended)
		stats->active = stats->started - stats->ended;
	stats->refused = (uint64_t)fh_counter_read(&arcs->refused);
	stats->abandoned = (uint64_t)fh_counter_read(&arcs->abandoned);
	stats->progressed = (uint64_t)fh_counter_read(&arcs->progressed);
	stats->observer_failures =
		(uint64_t)fh_counter_read(&arcs->observers.failures);
}
