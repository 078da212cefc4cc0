/* SPDX-License-Identifier: MIT */
/*
 * exports: see exports.h.
 *
 * The record holds a pointer.  A reader adds a reference to what it points to
 * within a read section; the record's own reference is given back after one
 * grace period, so that the reader finds at least that one.
 *
 * The JSON library counts references too, but reads its counts without regard
 * for other threads.  So nothing in an object that threads share is ever
 * referred to from outside: values are copied in, and read in place.
 */
#include "exports.h"
#include "memory.h"

#include <freehold/rcu.h>

#include "atomic.h"

#include <errno.h>
#include <stdlib.h>

struct exported {
	struct fh_rcu_head rcu;
	atomic_u64 references;
	json_t *values;
};

void exported_release(struct exported *exported)
{
	/* pairs with: exported.references (what others did comes before) */
	if (!exported || sub_acq_rel(&exported->references, 1) != 1)
		return;
	json_decref(exported->values);
	free(exported);
}

json_t *exported_values(const struct exported *exported)
{
	return exported ? exported->values : NULL;
}

static struct exported *get(struct exports *exports, uint64_t *version)
{
	struct exported *const *current, *exported;

	fh_rcu_read_lock();
	current = fh_record_get(&exports->current, NULL, version);
	exported = current ? *current : NULL;
	if (exported)
		add_relaxed(&exported->references, 1);
	fh_rcu_read_unlock();
	return exported;
}

struct exported *exports_get(struct exports *exports)
{
	return get(exports, NULL);
}

/* ---------------------------------------------------------------- adding */

static bool unite(json_t *object, json_t *values)
{
	const char *name;
	json_t *value;
	size_t length;

	json_object_keylen_foreach(values, name, length, value) {
		json_object_deln(object, name, length);
		if (json_is_null(value))
			continue;
		value = json_deep_copy(value);
		if (json_object_setn_new_nocheck(object, name, length, value))
			return false;
	}
	return true;
}

/*
 * The old ones and these; the one reference is the caller's.  NULL: no
 * memory.  A copy leaves out in silence what there is no memory for, so ask.
 */
static struct exported *united(const struct exported *old, json_t *values)
{
	struct exported *exported = malloc(sizeof(*exported));

	if (!exported)
		return NULL;
	memory_allow(SIZE_MAX);
	store_relaxed(&exported->references, 1);
	exported->values = old ? json_deep_copy(old->values) : json_object();
	if (exported->values && unite(exported->values, values) &&
	    memory_answer() == MEMORY_GRANTED)
		return exported;
	exported_release(exported);
	return NULL;
}

static void let_go(struct fh_rcu_head *head)
{
	exported_release((struct exported *)(void *)head);
}

/* One attempt; -ESTALE: somebody was faster. */
static int try_add(struct exports *exports, json_t *values)
{
	uint64_t version = 0;
	struct exported *old = get(exports, &version);
	struct exported *fresh = united(old, values);
	int rc = -ENOMEM;

	if (fresh)
		rc = fh_record_publish_if(&exports->current, version, &fresh,
					  sizeof(fresh));
	if (rc)
		exported_release(fresh);
	else if (old)
		fh_rcu_retire(&old->rcu, let_go);
	exported_release(old);
	return rc;
}

int exports_add(struct exports *exports, json_t *values)
{
	int rc;

	do
		rc = try_add(exports, values);
	while (rc == -ESTALE);
	return rc;
}

void exports_destroy(struct exports *exports)
{
	struct exported *exported = exports_get(exports);

	/* Ours, and the record's. */
	exported_release(exported);
	exported_release(exported);
	fh_record_destroy(&exports->current);
}
