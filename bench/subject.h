/* SPDX-License-Identifier: MIT */
/*
 * What a benchmark program says of its subject.  subject.c does it for both
 * builds of the library; every other subject brings its own.
 */
#ifndef FH_BENCH_SUBJECT_H
#define FH_BENCH_SUBJECT_H

#include "bench.h"

FH_BEGIN_DECLS

/** How many threads may use it at once. */
extern const unsigned subject_threads;

const char *subject_name(void);

/** Print what is worth knowing of it: members of JSON, each with a comma. */
void subject_describe(void);

/** Every thread calls these around all that it does, outside of the clock. */
void subject_enter(void);
void subject_leave(void);

/** Wait until all that was retired is reclaimed; within the clock. */
void subject_drain(void);

FH_END_DECLS

#endif
