/* SPDX-License-Identifier: MIT */
/*
 * record: one pointer to an immutable, versioned copy.
 *
 * Laws
 *
 *  1. A value is written whole before the compare-exchange that publishes
 *     its pointer (release), and read through an acquire load: no reader
 *     sees part of one.
 *  2. The version of a value is that of the value it replaced, plus one; the
 *     compare-exchange proves that it replaced just that one.  So versions
 *     count without gap, and the pointer needs no counter of its own: inside
 *     a read section no value is freed, hence no address comes back.
 *  3. Who replaced a value retires it, once.
 *
 * Progress: a read is one load.  A compare-exchange fails only if another
 * publication succeeded.
 */
#include <freehold/rcu.h>
#include <freehold/record.h>

#include "rcu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct value {
	struct fh_rcu_head rcu;
	uint64_t version;
	size_t size;
	_Alignas(max_align_t) unsigned char data[];
};

typedef _Atomic(struct value *) value_pointer;

static value_pointer *current_of(const struct fh_record *record)
{
	return (value_pointer *)(uintptr_t)&record->current;
}

static void value_free(struct fh_rcu_head *head)
{
	free(head);
}

static struct value *value_new(const void *data, size_t size)
{
	struct value *value;

	if (size > SIZE_MAX - sizeof(*value))
		return NULL;
	value = malloc(sizeof(*value) + size);
	if (!value)
		return NULL;
	value->size = size;
	if (size)
		memcpy(value->data, data, size);
	return value;
}

/* Swap @value in if the version allows it; retires what it replaced. */
static int swap_in(struct fh_record *record, uint64_t version,
		   struct value *value)
{
	/* pairs with: record.publish */
	struct value *old = load_acquire(current_of(record));

	do {
		uint64_t found = old ? old->version : 0;

		if (version != FH_RECORD_ANY && version != found)
			return -ESTALE;
		value->version = found + 1;
		/* pairs with: record.publish */
	} while (!cas_acq_rel_acquire(current_of(record), &old, value));
	if (old)
		fh_rcu_retire(&old->rcu, value_free);
	return 0;
}

int fh_record_publish_if(struct fh_record *record, uint64_t version,
			 const void *data, size_t size)
{
	struct value *value = value_new(data, size);
	struct fh_room room;
	int rc;

	if (!value)
		return -ENOMEM;
	rc = fh_room_take(&room, 1);
	if (rc == 0) {
		fh_rcu_read_lock();
		rc = swap_in(record, version, value);
		fh_rcu_read_unlock();
	}
	fh_room_leave(&room, 0);
	if (rc < 0)
		free(value);
	return rc;
}

int fh_record_publish(struct fh_record *record, const void *data, size_t size)
{
	return fh_record_publish_if(record, FH_RECORD_ANY, data, size);
}

const void *fh_record_get(const struct fh_record *record, size_t *size,
			  uint64_t *version)
{
	/* pairs with: record.publish */
	const struct value *value = load_acquire(current_of(record));

	if (size)
		*size = value ? value->size : 0;
	if (version)
		*version = value ? value->version : 0;
	return value ? value->data : NULL;
}

int fh_record_read(const struct fh_record *record, void *buffer, size_t size,
		   size_t *length, uint64_t *version)
{
	size_t found;
	const void *data;
	int rc = 0;

	fh_rcu_read_lock();
	data = fh_record_get(record, &found, version);
	if (!data)
		rc = -ENODATA;
	else if (found > size)
		rc = -ENOSPC;
	else if (found)
		memcpy(buffer, data, found);
	fh_rcu_read_unlock();
	if (length)
		*length = found;
	return rc;
}

void fh_record_destroy(struct fh_record *record)
{
	struct value *old = swap_acq_rel(current_of(record), NULL);

	if (old)
		fh_rcu_retire(&old->rcu, value_free);
}
