/* SPDX-License-Identifier: MIT */
/*
 * record, the mutex twin: the pointer to the value is read and swapped under
 * the record's monitor.
 *
 * The values themselves are immutable and reclaimed as in the lock-free
 * build, so that no copy is made with the monitor held: other cells share it,
 * and a value may be long.
 */
#include <freehold/record.h>

#include <freehold/rcu.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "rcu_internal.h"

struct value {
	struct fh_rcu_head rcu;
	uint64_t version;
	size_t size;
	_Alignas(max_align_t) unsigned char bytes[];
};

static void value_reclaim(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct value, rcu));
}

static struct value *value_new(const void *data, size_t size)
{
	struct value *value;

	if (size > PTRDIFF_MAX - sizeof(*value))
		return NULL;
	value = malloc(sizeof(*value) + size);
	if (!value)
		return NULL;
	value->size = size;
	if (size)
		memcpy(value->bytes, data, size);
	return value;
}

/* The swap; gives back the value that is to be retired, or to be freed. */
static bool swap(struct fh_record *record, uint64_t version,
		 struct value **value)
{
	struct fh_monitor *monitor = fh_monitor_of(record);
	struct value *old;
	uint64_t present;
	bool current;

	pthread_mutex_lock(&monitor->lock);
	old = record->current;
	present = old ? old->version : 0;
	current = version == FH_RECORD_ANY || version == present;
	if (current) {
		(*value)->version = present + 1;
		record->current = *value;
		*value = old;
	}
	pthread_mutex_unlock(&monitor->lock);
	return current;
}

int fh_record_publish(struct fh_record *record, const void *data, size_t size)
{
	return fh_record_publish_if(record, FH_RECORD_ANY, data, size);
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
	if (rc == 0 && !swap(record, version, &value))
		rc = -ESTALE;
	if (rc)
		free(value);
	else if (value)
		fh_rcu_retire(&value->rcu, value_reclaim);
	fh_room_leave(&room, 0);
	return rc;
}

static const struct value *current(const struct fh_record *record)
{
	struct fh_monitor *monitor = fh_monitor_of(record);
	const struct value *value;

	pthread_mutex_lock(&monitor->lock);
	value = record->current;
	pthread_mutex_unlock(&monitor->lock);
	return value;
}

const void *fh_record_get(const struct fh_record *record, size_t *size,
			  uint64_t *version)
{
	const struct value *value = current(record);

	if (size)
		*size = value ? value->size : 0;
	if (version)
		*version = value ? value->version : 0;
	return value ? value->bytes : NULL;
}

int fh_record_read(const struct fh_record *record, void *buffer, size_t size,
		   size_t *length, uint64_t *version)
{
	const void *bytes;
	size_t all;
	int rc = 0;

	fh_rcu_read_lock();
	bytes = fh_record_get(record, &all, version);
	if (length)
		*length = all;
	if (!bytes)
		rc = -ENODATA;
	else if (all > size)
		rc = -ENOSPC;
	else if (all)
		memcpy(buffer, bytes, all);
	fh_rcu_read_unlock();
	return rc;
}

void fh_record_destroy(struct fh_record *record)
{
	struct fh_monitor *monitor = fh_monitor_of(record);
	struct value *old;

	pthread_mutex_lock(&monitor->lock);
	old = record->current;
	record->current = NULL;
	pthread_mutex_unlock(&monitor->lock);
	if (old)
		fh_rcu_retire(&old->rcu, value_reclaim);
}
