/* SPDX-License-Identifier: MIT */
/*
 * arc_start: claim, publish, abandon, and starting in one go.  The laws and
 * invariants are those of arc.c.
 */
#include "arc_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Returned inside this file alone: the pair's entry changed, look again. */
#define AGAIN 1

static uintptr_t claimed_word(const struct arc *arc)
{
	return word_of(&arc->first, LIFE_CLAIMED);
}

/* Two references: the map's and the claim's. */
static struct arc *arc_new(struct fh_arcs *arcs,
			   const struct fh_arc_request *request,
			   const struct key *key)
{
	size_t length = (size_t)key->bytes.word[1];
	struct arc *arc = calloc(1, sizeof(*arc) + length);

	if (!arc)
		return NULL;
	memcpy(arc->key, key->joined, length);
	arc->entry.key = fh_key_bytes(arc->key, length);
	arc->names.first = arc->key;
	arc->names.second = arc->key + key->second;
	arc->arcs = arcs;
	arc->generation = add_relaxed(&arcs->generation, 1) + 1;
	arc->type = request->type;
	arc->duration = request->duration;
	if (!arc->duration)
		arc->duration = arcs->options.types[arc->type].duration;
	arc->start_time = fh_arc_clock(&arcs->options);
	arc->first.last = arc->start_time;
	arc->first.phase = arcs->options.types[arc->type].initial;
	store_relaxed(&arc->word, claimed_word(arc));
	store_relaxed(&arc->refs, 2);
	return arc;
}

/*
 * What is in the way of a claim: an arc that runs is described, one that is
 * being started is referred to if the caller wants to wait for it.
 */
struct obstacle {
	struct fh_arc_info *info;
	struct arc **starting;
};

static int meet(struct arc *arc, const struct obstacle *obstacle)
{
	/* pairs with: arc.word */
	uintptr_t word = load_acquire(&arc->word);

	if (is_over(life_of(word)))
		return 0;
	if (life_of(word) == LIFE_ACTIVE) {
		fh_arc_describe(arc, word, obstacle->info);
		return -EEXIST;
	}
	if (obstacle->starting) {
		arc_hold(arc);
		*obstacle->starting = arc;
	}
	return -EINPROGRESS;
}

/* One attempt to enter @fresh, within a read section; NULL only looks. */
static int try_enter(struct fh_arcs *arcs, const struct key *key,
		     struct arc *fresh, const struct obstacle *obstacle)
{
	struct fh_map_entry *entry = fh_map_lookup(arcs->map, key->bytes);
	int rc = entry ? meet(arc_of(entry), obstacle) : 0;

	if (rc)
		return rc;
	if (!fresh)
		return AGAIN;
	if (entry)
		rc = fh_map_replace_entry(arcs->map, entry, &fresh->entry);
	else
		rc = fh_map_insert(arcs->map, &fresh->entry, NULL);
	if (rc == -EEXIST || rc == -ENOENT)
		return AGAIN;
	if (rc == 0 && entry)
		fh_rcu_retire(&arc_of(entry)->rcu, fh_arc_reclaim);
	return rc == -E2BIG ? -ENOMEM : rc;
}

/* Looks first: who loses should not pay for the memory of a winner. */
static int enter(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 const struct key *key, const struct obstacle *obstacle,
		 struct arc **claimed)
{
	struct arc *fresh = NULL;
	int rc;

	do {
		fh_rcu_read_lock();
		rc = try_enter(arcs, key, fresh, obstacle);
		fh_rcu_read_unlock();
		if (rc != AGAIN || fresh)
			continue;
		fresh = arc_new(arcs, request, key);
		if (!fresh)
			rc = -ENOMEM;
	} while (rc == AGAIN);
	if (rc == 0)
		*claimed = fresh;
	else if (fresh)
		fh_arc_free(fresh);
	return rc;
}

/* On success @info is the claimed arc, on -EEXIST the one in the way. */
static int claim(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 struct arc **claimed, struct fh_arc_info *info,
		 struct arc **starting)
{
	const struct obstacle obstacle = { info, starting };
	struct key key;
	int rc;

	if (request->type >= arcs->options.type_count)
		return -EINVAL;
	rc = fh_arc_key_make(&key, request->first, request->second);
	if (rc)
		return rc;
	rc = enter(arcs, request, &key, &obstacle, claimed);
	fh_arc_key_free(&key);
	if (rc == 0)
		fh_arc_describe(*claimed, claimed_word(*claimed), info);
	if (rc == -EEXIST) {
		fh_arc_look_at_age(arcs, info);
		info->type_differs = info->type != request->type;
	}
	return rc;
}

static int refuse(struct fh_arcs *arcs, int rc)
{
	if (rc == -EEXIST || rc == -EINPROGRESS)
		fh_counter_add(&arcs->refused, 1);
	return rc;
}

int fh_arc_claim(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 struct fh_arc_ticket **claimed, struct fh_arc_info *info)
{
	struct fh_arc_info found;
	struct arc *arc;
	int rc = claim(arcs, request, &arc, &found, NULL);

	if (rc == 0)
		*claimed = (struct fh_arc_ticket *)arc;
	if (info && (rc == 0 || rc == -EEXIST))
		*info = found;
	return refuse(arcs, rc);
}

/* Law 6. */
void fh_arc_publish(struct fh_arc_ticket *claimed, struct fh_arc_info *info)
{
	struct arc *arc = (struct arc *)claimed;
	uintptr_t word = word_of(&arc->first, LIFE_ACTIVE);
	struct fh_arc_info active;

	fh_arc_describe(arc, word, &active);
	fh_arc_look_at_age(arc->arcs, &active);
	fh_counter_add(&arc->arcs->started, 1);
	fh_point("arc_publish");
	/* pairs with: arc.word */
	store_release(&arc->word, word);
	fh_status_set(&arc->claim, CLAIM_SETTLED);
	fh_arc_notify(arc, FH_ARC_STARTED, &active, NULL, NULL);
	if (info)
		*info = active;
	fh_arc_drop(arc);
}

void fh_arc_abandon(struct fh_arc_ticket *claimed)
{
	struct arc *arc = (struct arc *)claimed;

	/* pairs with: arc.word */
	store_release(&arc->word, word_of(&arc->first, LIFE_ABANDONED));
	fh_point("arc_abandon");
	fh_arc_detach(arc);
	fh_status_set(&arc->claim, CLAIM_SETTLED);
	fh_counter_add(&arc->arcs->abandoned, 1);
	fh_arc_drop(arc);
}

/* Between the two steps; @info is the claimed arc, then the published one. */
static int initialise(struct arc *arc, const struct fh_arc_request *request,
		      struct fh_arc_info *info)
{
	struct fh_arc_ticket *claimed = (struct fh_arc_ticket *)arc;
	int rc = 0;

	if (request->init)
		rc = request->init(info, request->init_arg);
	if (rc < 0) {
		fh_arc_abandon(claimed);
		return rc;
	}
	fh_arc_publish(claimed, info);
	return 0;
}

int fh_arc_start(struct fh_arcs *arcs, const struct fh_arc_request *request,
		 struct fh_arc_info *info)
{
	struct fh_arc_info found;
	struct arc *arc;
	int rc = claim(arcs, request, &arc, &found, NULL);

	if (rc) {
		if (rc == -EEXIST && info)
			*info = found;
		return refuse(arcs, rc);
	}
	rc = initialise(arc, request, &found);
	if (rc == 0 && info)
		*info = found;
	return rc;
}

static int wait_settled(struct arc *starting, int64_t deadline)
{
	int rc = fh_status_wait(&starting->claim, FH_STATE(CLAIM_SETTLED),
				deadline, NULL);

	fh_arc_drop(starting);
	return rc;
}

int fh_arc_start_wait(struct fh_arcs *arcs,
		      const struct fh_arc_request *request, int64_t deadline,
		      struct fh_arc_info *info)
{
	struct arc *arc, *starting;
	struct fh_arc_info found;
	int rc;

	do {
		rc = claim(arcs, request, &arc, &found, &starting);
		if (rc != -EINPROGRESS)
			break;
		rc = wait_settled(starting, deadline);
	} while (rc == 0);
	if (rc == 0) {
		rc = initialise(arc, request, &found);
	} else if (rc == -EEXIST) {
		found.joined = 1;
		rc = 0;
	}
	if (rc == 0 && info)
		*info = found;
	return rc;
}
