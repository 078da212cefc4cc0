/* SPDX-License-Identifier: MIT */
/*
 * What every other header stands on: C and C++ linkage, version, time.
 *
 * Conventions of the whole library
 *
 *  - A function that can fail returns 0 or a negative errno value, and each
 *    function documents one meaning per value.  Nothing aborts, exits or
 *    prints.
 *  - Time is an int64_t: nanoseconds of CLOCK_MONOTONIC.  A deadline is a
 *    point in time and not a length, so that a caller who loops does not
 *    have to subtract.  FH_FOREVER never comes; 0 has always passed, which
 *    turns a wait into a poll.
 *  - Only a function with `wait` in its name blocks.
 *  - Every function says the same six things in the same order: Threads,
 *    Progress, Ordering, Ownership, Errors, Context.
 */
#ifndef FREEHOLD_BASE_H
#define FREEHOLD_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define FH_BEGIN_DECLS extern "C" {
#define FH_END_DECLS }
#else
#define FH_BEGIN_DECLS
#define FH_END_DECLS
#endif

#define FH_VERSION_MAJOR 0
#define FH_VERSION_MINOR 1
#define FH_VERSION_PATCH 0
#define FH_VERSION "0.1.0"

/** The deadline that never comes. */
#define FH_FOREVER INT64_MAX

FH_BEGIN_DECLS

/**
 * fh_now - the present time, to compute a deadline from
 *
 * Returns nanoseconds of CLOCK_MONOTONIC, which no clock adjustment steps.
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
int64_t fh_now(void);

/**
 * fh_deadline_in - the deadline that lies @nanoseconds ahead
 * @nanoseconds: how far ahead; a negative length gives a deadline that has
 *               passed, and a sum too large to hold gives FH_FOREVER.
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: none.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
int64_t fh_deadline_in(int64_t nanoseconds);

/**
 * fh_build - which of the two libraries is linked
 *
 * Returns "lock-free" or "mutex".
 *
 * Threads:   any number at once.
 * Progress:  wait-free.
 * Ordering:  none.
 * Ownership: the string is constant and lives as long as the program.
 * Errors:    none.
 * Context:   anywhere, a signal handler included.
 */
const char *fh_build(void);

FH_END_DECLS

#endif
