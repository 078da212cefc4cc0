/* SPDX-License-Identifier: MIT */
/*
 * exports: see exports.h.
 *
 * The record holds a pointer.  A reader takes a reference to what it points
 * to within a read section; the record's own reference is given back after
 * one grace period.
 */
#include "exports.h"

#include <freehold/rcu.h>

#include <errno.h>
#include <stdlib.h>

/* What gives the record's reference back. */
struct outdated {
	struct fh_rcu_head rcu;
	json_t *object;
};

static void let_go(struct fh_rcu_head *head)
{
	struct outdated *outdated = (struct outdated *)(void *)head;

	json_decref(outdated->object);
	free(outdated);
}

static json_t *get(struct exports *exports, uint64_t *version)
{
	json_t *const *current;
	json_t *object;

	fh_rcu_read_lock();
	current = fh_record_get(&exports->current, NULL, version);
	object = current ? json_incref(*current) : NULL;
	fh_rcu_read_unlock();
	return object;
}

json_t *exports_get(struct exports *exports)
{
	return get(exports, NULL);
}

/* The object that has both, or NULL: no memory. */
static json_t *united(json_t *old, json_t *values)
{
	json_t *object = old ? json_copy(old) : json_object(), *value;
	const char *name;
	void *next;

	if (!object || json_object_update(object, values) < 0) {
		json_decref(object);
		return NULL;
	}
	json_object_foreach_safe(object, next, name, value)
		if (json_is_null(value))
			json_object_del(object, name);
	return object;
}

/* One attempt; -ESTALE: somebody was faster. */
static int try_add(struct exports *exports, json_t *values)
{
	struct outdated *outdated = malloc(sizeof(*outdated));
	uint64_t version = 0;
	json_t *old = get(exports, &version);
	json_t *object = united(old, values);
	int rc = -ENOMEM;

	if (outdated && object)
		rc = fh_record_publish_if(&exports->current, version, &object,
					  sizeof(object));
	if (rc == 0 && old) {
		outdated->object = old;
		fh_rcu_retire(&outdated->rcu, let_go);
		outdated = NULL;
	} else if (rc) {
		json_decref(object);
	}
	json_decref(old);
	free(outdated);
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
	json_t *object = exports_get(exports);

	/* Ours, and the record's. */
	json_decref(object);
	json_decref(object);
	fh_record_destroy(&exports->current);
}
