/* SPDX-License-Identifier: MIT */
/*
 * log_message: messages, and reading by copy, for the log of either build.
 *
 * Copying out is looking in place inside a read section: the message cannot
 * go meanwhile, so a copy is never torn, however long it is.
 */
#include "log_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fh_log_options fh_log_complete(const struct fh_log_options *options)
{
	struct fh_log_options complete = { 0 };

	if (options)
		complete = *options;
	if (!complete.capacity)
		complete.capacity = FH_LOG_CAPACITY;
	if (!complete.max_size)
		complete.max_size = FH_LOG_MAX_SIZE;
	return complete;
}

struct message *fh_message_new(const void *data, size_t size)
{
	struct message *message;

	if (size > PTRDIFF_MAX - sizeof(*message))
		return NULL;
	message = malloc(sizeof(*message) + size);
	if (!message)
		return NULL;
	message->size = size;
	if (size)
		memcpy(message->data, data, size);
	return message;
}

void fh_message_reclaim(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct message, rcu));
}

void fh_message_tell(const struct message *message, uint64_t *cursor,
		     struct fh_log_message *told)
{
	told->number = message->number;
	told->missed = message->number - *cursor - 1;
	told->data = message->data;
	told->size = message->size;
	*cursor = message->number;
}

/* What fh_log_get found, copied; in the read section. */
static int copy(const struct fh_log_message *found, void *buffer, size_t size)
{
	if (found->size > size)
		return -ENOSPC;
	if (found->size)
		memcpy(buffer, found->data, found->size);
	return 0;
}

int fh_log_read(const struct fh_log *log, uint64_t *cursor, void *buffer,
		size_t size, struct fh_log_message *message)
{
	struct fh_log_message found;
	uint64_t reached = *cursor;
	int rc;

	fh_rcu_read_lock();
	rc = fh_log_get(log, &reached, &found);
	if (rc == 0) {
		rc = copy(&found, buffer, size);
		found.data = NULL;
		if (message)
			*message = found;
	}
	fh_rcu_read_unlock();
	if (rc == 0)
		*cursor = reached;
	return rc;
}

int fh_log_read_wait(struct fh_log *log, uint64_t *cursor, void *buffer,
		     size_t size, struct fh_log_message *message,
		     int64_t deadline)
{
	int rc = fh_log_wait(log, *cursor, deadline);

	/* What is after the cursor stays after it: this finds something. */
	return rc < 0 ? rc : fh_log_read(log, cursor, buffer, size, message);
}
