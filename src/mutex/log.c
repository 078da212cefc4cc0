/* SPDX-License-Identifier: MIT */
/*
 * log, the mutex twin: a ring of pointers to messages under one mutex, with
 * one condition variable for those who wait for more.
 *
 * Messages are allocated and copied before the lock is taken, and reclaimed
 * as in the lock-free build, so that nobody copies with the lock held: a
 * message may be long.  A wait holds the lock only to look.
 *
 * What a lock cannot promise: a thread that is stopped while it holds the
 * mutex stops all writers and all readers of the log.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../log_message.h"
#include "../rcu_internal.h"
#include "lock.h"

struct fh_log {
	struct fh_rcu_head rcu;
	size_t capacity;
	size_t max_size;
	struct message **ring;
	pthread_mutex_t lock;
	uint64_t last;		/* the number of the last message */
	unsigned waiters;
	bool closed;
	pthread_cond_t more;	/* a message came, or the log was closed */
};

/* ---- life ---- */

int fh_log_create(struct fh_log **log, const struct fh_log_options *options)
{
	struct fh_log_options wanted = fh_log_complete(options);
	struct fh_log *made = calloc(1, sizeof(*made));
	struct message **ring = calloc(wanted.capacity, sizeof(*ring));

	if (!made || !ring) {
		free(made);
		free(ring);
		return -ENOMEM;
	}
	made->ring = ring;
	made->capacity = wanted.capacity;
	made->max_size = wanted.max_size;
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->more, NULL);
	*log = made;
	return 0;
}

static void log_reclaim(struct fh_rcu_head *head)
{
	struct fh_log *log = (void *)((char *)head -
				      offsetof(struct fh_log, rcu));
	size_t i;

	for (i = 0; i < log->capacity; i++)
		free(log->ring[i]);
	pthread_cond_destroy(&log->more);
	pthread_mutex_destroy(&log->lock);
	free(log->ring);
	free(log);
}

void fh_log_destroy(struct fh_log *log)
{
	if (log)
		fh_rcu_retire_later(&log->rcu, log_reclaim);
}

/* ---- under the lock ---- */

static struct fh_log *lock(const struct fh_log *log)
{
	struct fh_log *mine = (struct fh_log *)(uintptr_t)log;

	pthread_mutex_lock(&mine->lock);
	return mine;
}

/* After the lock is released, so that who wakes up does not meet it. */
static void leave(struct fh_log *log, bool news)
{
	news = news && log->waiters;
	pthread_mutex_unlock(&log->lock);
	if (news)
		pthread_cond_broadcast(&log->more);
}

static uint64_t oldest(const struct fh_log *log)
{
	return log->last > log->capacity ? log->last - log->capacity + 1 : 1;
}

/* Is there a message after the cursor? */
static int look_for(const struct fh_log *log, uint64_t cursor)
{
	if (cursor < log->last)
		return 0;
	return log->closed ? -ESHUTDOWN : -ENODATA;
}

/* ---- writers ---- */

int fh_log_append(struct fh_log *log, const void *data, size_t size,
		  uint64_t *number)
{
	struct message *message, **slot, *old = NULL;
	struct fh_room room;
	int rc;

	if (size > log->max_size)
		return -EMSGSIZE;
	message = fh_message_new(data, size);
	if (!message)
		return -ENOMEM;
	rc = fh_room_take(&room, 1);
	if (rc == 0) {
		lock(log);
		if (log->closed) {
			rc = -ESHUTDOWN;
		} else {
			message->number = ++log->last;
			slot = &log->ring[log->last % log->capacity];
			old = *slot;
			*slot = message;
			if (number)
				*number = log->last;
		}
		leave(log, rc == 0);
	}
	if (rc)
		free(message);
	else if (old)
		fh_rcu_retire(&old->rcu, fh_message_reclaim);
	fh_room_leave(&room, 0);
	return rc;
}

void fh_log_close(struct fh_log *log)
{
	lock(log)->closed = true;
	leave(log, true);
}

/* ---- readers ---- */

int fh_log_get(const struct fh_log *log, uint64_t *cursor,
	       struct fh_log_message *message)
{
	struct fh_log *locked = lock(log);
	const struct message *found = NULL;
	int rc = look_for(log, *cursor);
	uint64_t wanted = *cursor + 1;

	if (rc == 0) {
		if (wanted < oldest(log))
			wanted = oldest(log);
		found = log->ring[wanted % log->capacity];
	}
	pthread_mutex_unlock(&locked->lock);
	if (found)
		fh_message_tell(found, cursor, message);
	return rc;
}

void fh_log_get_range(const struct fh_log *log, struct fh_log_range *range)
{
	struct fh_log *locked = lock(log);

	range->first = oldest(log);
	range->last = log->last;
	range->closed = log->closed;
	pthread_mutex_unlock(&locked->lock);
}

int fh_log_wait(struct fh_log *log, uint64_t cursor, int64_t deadline)
{
	int rc = 0, there;

	lock(log);
	while (there = look_for(log, cursor), there == -ENODATA && rc == 0) {
		log->waiters++;
		rc = fh_cond_wait_until(&log->more, &log->lock, deadline);
		log->waiters--;
	}
	pthread_mutex_unlock(&log->lock);
	return there == -ENODATA ? rc : there;
}
