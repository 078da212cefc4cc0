/* SPDX-License-Identifier: MIT */
/*
 * A bounded log of messages: any number of writers append, any number of
 * readers follow, each at its own pace, and nobody waits for anybody.
 *
 *     fh_log_create(&log, &(struct fh_log_options){ .capacity = 1000 });
 *     fh_log_append(log, "hello", 5, NULL);
 *
 *     uint64_t seen = 0;                 // from the oldest that is kept
 *     while (fh_log_read(log, &seen, text, sizeof(text), &message) == 0)
 *             printf("%llu: %.*s\n", (unsigned long long)message.number,
 *                    (int)message.size, text);
 *
 * Caveats, before the features:
 *
 *  - The log keeps the last `capacity` messages.  A reader that falls behind
 *    loses the oldest, and is told how many.  Writers never wait for it.
 *  - A message is a block of memory of its own, and its memory is reclaimed
 *    through fh_rcu: a reader that never leaves its read section holds back
 *    what was dropped since.
 *
 * Messages are numbered from 1, without gap and without duplicate, in one
 * order that all readers see.  A message is there whole or not at all.  A
 * cursor is the number of the last message that a reader has seen: 0 is
 * valid, and means none.  So "what is there since S" and "wait for more than
 * S" take the S of a reader as it is.
 *
 * A writer that stops in the middle of an append, for whatever reason, holds
 * up no writer and no reader.
 */
#ifndef FREEHOLD_LOG_H
#define FREEHOLD_LOG_H

#include <freehold/base.h>

FH_BEGIN_DECLS

struct fh_log;

/** How many messages a log keeps if its options do not say. */
#define FH_LOG_CAPACITY 1024

/** The longest message, in bytes, if the options do not say. */
#define FH_LOG_MAX_SIZE 65536

/**
 * struct fh_log_options - how to create a log
 * @capacity: how many messages are kept; 0: FH_LOG_CAPACITY
 * @max_size: the longest message, in bytes; 0: FH_LOG_MAX_SIZE
 */
struct fh_log_options {
	size_t capacity;
	size_t max_size;
};

/**
 * struct fh_log_message - what a reader gets
 * @number: the message's
 * @missed: how many messages between the reader's cursor and this one are
 *          gone
 * @data:   fh_log_get: the message in place, aligned for any type; else NULL
 * @size:   its length in bytes; may be 0
 */
struct fh_log_message {
	uint64_t number;
	uint64_t missed;
	const void *data;
	size_t size;
};

/**
 * fh_log_create - an empty log
 * @options: NULL: all defaults
 *
 * Threads:   any number at once.
 * Progress:  as malloc.
 * Ordering:  none; publish the pointer with release.
 * Ownership: the log is the caller's, to end with fh_log_destroy.
 * Errors:    -ENOMEM: no memory.
 * Context:   anywhere but a signal handler.
 */
int fh_log_create(struct fh_log **log, const struct fh_log_options *options);

/**
 * fh_log_destroy - end of life
 * @log: NULL is allowed and does nothing
 *
 * Threads:   the only one to touch the log from now on, but for readers that
 *            still look, inside a read section, at messages they have got.
 * Progress:  lock-free.
 * Ordering:  as fh_rcu_retire.
 * Ownership: the log and its messages are retired.
 * Errors:    none.
 * Context:   inside or outside a read section; not in a signal handler.
 */
void fh_log_destroy(struct fh_log *log);

/**
 * fh_log_append - add a copy of @data
 * @size:   at most the log's max_size; 0 is a valid message
 * @number: if not NULL: receives the message's number
 *
 * Drops the oldest message if the log is full.  Messages of one thread are
 * numbered in the order of its calls.  Makes a system call only if somebody
 * waits.
 *
 * Threads:   any number at once.
 * Progress:  lock-free, but for malloc: a retry means that another message
 *            came in.
 * Ordering:  release: a reader of the message sees what came before.
 * Ownership: @data stays the caller's; the message that is dropped is
 *            retired.
 * Errors:    -EMSGSIZE: longer than the log's max_size; -ENOMEM: no memory;
 *            -EAGAIN: the hard bound of fh_rcu is reached; -ESHUTDOWN: the
 *            log is closed.  Nothing was changed, and no number is used up.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_log_append(struct fh_log *log, const void *data, size_t size,
		  uint64_t *number);

/**
 * fh_log_get - look at the next message in place
 * @cursor:  the number of the last message that the caller has seen; on
 *           success, the number of this one
 * @message: filled in on success
 *
 * If the message after the cursor is gone, the one found is the oldest that
 * the log kept at some moment during the call.
 *
 * Threads:   any number at once, each with a cursor of its own.
 * Progress:  wait-free: at most four loads of the log, and no store to it.
 * Ordering:  acquire.
 * Ownership: the data is valid, and constant, until the caller leaves its
 *            read section.
 * Errors:    -ENODATA: no message after the cursor yet; -ESHUTDOWN: none,
 *            and the log is closed.  The cursor stays.
 * Context:   inside a read section.
 */
int fh_log_get(const struct fh_log *log, uint64_t *cursor,
	       struct fh_log_message *message);

/**
 * fh_log_read - copy the next message out
 * @cursor:  as fh_log_get
 * @buffer:  receives at most @size bytes
 * @message: if not NULL: filled in, also on -ENOSPC; its data is NULL
 *
 * Threads:   any number at once, each with a cursor of its own.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: the copy is the caller's.
 * Errors:    -ENODATA and -ESHUTDOWN as fh_log_get; -ENOSPC: @buffer is too
 *            small, and nothing was copied.  The cursor stays.
 * Context:   anywhere but a signal handler.
 */
int fh_log_read(const struct fh_log *log, uint64_t *cursor, void *buffer,
		size_t size, struct fh_log_message *message);

/**
 * fh_log_wait - wait until there is a message after @cursor
 * @cursor:   the number of the last message that the caller has seen
 * @deadline: when to give up
 *
 * Returns at once if there is one.  A writer that stops after its message is
 * in the log, and before it has woken those who wait, leaves that to the next
 * writer; nobody else is held up, and a new call finds the message.
 *
 * Threads:   any number at once.
 * Progress:  blocking, by design.
 * Ordering:  acquire.
 * Ownership: the log must outlive the call.
 * Errors:    -ETIMEDOUT: the deadline passed first; -ESHUTDOWN: there is
 *            none, and the log is closed.
 * Context:   outside read sections and signal handlers.
 */
int fh_log_wait(struct fh_log *log, uint64_t cursor, int64_t deadline);

/**
 * fh_log_read_wait - copy the next message out, and wait for it if need be
 * @deadline: when to give up
 *
 * Threads:   any number at once, each with a cursor of its own.
 * Progress:  blocking, by design.
 * Ordering:  acquire.
 * Ownership: the copy is the caller's; the log must outlive the call.
 * Errors:    -ETIMEDOUT: the deadline passed first; -ESHUTDOWN and -ENOSPC as
 *            fh_log_read.  The cursor stays.
 * Context:   outside read sections and signal handlers.
 */
int fh_log_read_wait(struct fh_log *log, uint64_t *cursor, void *buffer,
		     size_t size, struct fh_log_message *message,
		     int64_t deadline);

/** What a log keeps: messages first to last, which belong together. */
struct fh_log_range {
	uint64_t first;		/* 1 when nothing has been appended */
	uint64_t last;		/* 0 when nothing has been appended */
	int closed;
};

/**
 * fh_log_get_range - which messages are kept, and how many ever came
 * @range: filled in with what held at one moment during the call
 *
 * A cursor of range.last follows what comes from now on.
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere but a signal handler.
 */
void fh_log_get_range(const struct fh_log *log, struct fh_log_range *range);

/**
 * fh_log_close - no more messages
 *
 * What is in the log stays, and can be read.  Who waits for more is told.
 * Closing twice is once.
 *
 * Threads:   any number at once, beside appends: each append comes before, or
 *            is refused.
 * Progress:  lock-free.
 * Ordering:  acquire and release.
 * Ownership: none.
 * Errors:    none: closing takes no memory and cannot fail.
 * Context:   inside or outside a read section; not in a signal handler.
 */
void fh_log_close(struct fh_log *log);

FH_END_DECLS

#endif
