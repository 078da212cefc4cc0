/* SPDX-License-Identifier: MIT */
/*
 * log_message: what the log of either build is made of.  Internal.
 *
 * A message is a block of its own, immutable from the moment in which it is
 * in the log, and reclaimed when no reader can see it any more.  The builds
 * differ in how it comes into the log.
 */
#ifndef FH_LOG_MESSAGE_H
#define FH_LOG_MESSAGE_H

#include <freehold/log.h>
#include <freehold/rcu.h>

struct message {
	struct fh_rcu_head rcu;
	uint64_t number;
	struct message *before;	/* lock-free: what it replaced; see log.c */
	size_t size;
	_Alignas(max_align_t) unsigned char data[];
};

/* A copy of the data; NULL: no memory. */
struct message *fh_message_new(const void *data, size_t size);

void fh_message_reclaim(struct fh_rcu_head *head);

/* The options with what they leave out filled in. */
struct fh_log_options fh_log_complete(const struct fh_log_options *options);

/* Tell a reader who has seen @cursor of the message that comes next. */
void fh_message_tell(const struct message *message, uint64_t *cursor,
		     struct fh_log_message *told);

#endif
