/* SPDX-License-Identifier: MIT */
/*
 * A record: a value of any length that is replaced whole.  Readers see one
 * published value, never a mixture; writers copy theirs in and swap a
 * pointer.  For what does not fit into a status cell.
 *
 *     static struct fh_record limits;            // zero bytes: nothing yet
 *
 *     fh_record_publish(&limits, &wanted, sizeof(wanted));
 *     fh_record_read(&limits, &mine, sizeof(mine), NULL, NULL);
 *
 * Versions count from 1 and never go back.  All-zero bytes are a record of
 * version 0 that nothing was published to.
 */
#ifndef FREEHOLD_RECORD_H
#define FREEHOLD_RECORD_H

#include <freehold/base.h>

FH_BEGIN_DECLS

/** A record; to be touched through the functions only. */
struct fh_record {
	void *current;
};

/** For fh_record_publish_if: publish whatever the version is. */
#define FH_RECORD_ANY UINT64_MAX

/**
 * fh_record_publish - replace the value by a copy of @data
 * @size: bytes; 0 is a valid value
 *
 * Threads:   any number at once; the swaps are in one order.
 * Progress:  lock-free, but for malloc.
 * Ordering:  release: a reader of the value sees what came before.
 * Ownership: @data stays the caller's; the old value is retired.
 * Errors:    -ENOMEM: no memory; -EAGAIN: the hard bound of fh_rcu is
 *            reached.  Either way the old value stands.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_record_publish(struct fh_record *record, const void *data, size_t size);

/**
 * fh_record_publish_if - publish if the version is still @version
 * @version: from an earlier read, 0 for "nothing was published yet"
 *
 * Threads:   any number at once: of those that saw one version, one wins.
 * Progress:  lock-free, but for malloc.
 * Ordering:  release on success; acquire on failure.
 * Ownership: @data stays the caller's; the old value is retired.
 * Errors:    -ESTALE: another value came first; -ENOMEM and -EAGAIN as
 *            fh_record_publish.
 * Context:   inside or outside a read section; not in a signal handler.
 */
int fh_record_publish_if(struct fh_record *record, uint64_t version,
			 const void *data, size_t size);

/**
 * fh_record_read - copy the value out
 * @buffer:  receives at most @size bytes
 * @length:  if not NULL: the value's length, also on -ENOSPC
 * @version: if not NULL: the value's version
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: the copy is the caller's.
 * Errors:    -ENODATA: nothing was published; -ENOSPC: @buffer is too small,
 *            and nothing was copied.
 * Context:   anywhere but a signal handler.
 */
int fh_record_read(const struct fh_record *record, void *buffer, size_t size,
		   size_t *length, uint64_t *version);

/**
 * fh_record_get - look at the value in place
 * @size:    if not NULL: the value's length
 * @version: if not NULL: the value's version
 *
 * Returns the value, aligned for any type, or NULL if nothing was published.
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  acquire.
 * Ownership: valid, and constant, until the caller leaves its read section.
 * Errors:    none.
 * Context:   inside a read section.
 */
const void *fh_record_get(const struct fh_record *record, size_t *size,
			  uint64_t *version);

/**
 * fh_record_destroy - end of life: retire the value
 *
 * Threads:   the only one to touch the record from now on, but for readers
 *            that are still inside a read section.
 * Progress:  lock-free.
 * Ordering:  as fh_rcu_retire.
 * Ownership: the record's memory is the caller's again.
 * Errors:    none.
 * Context:   inside or outside a read section; not in a signal handler.
 */
void fh_record_destroy(struct fh_record *record);

FH_END_DECLS

#endif
