/* SPDX-License-Identifier: MIT */
/* memory: what a program has allocated, asked of the allocator. */
#ifndef FH_BENCH_MEMORY_H
#define FH_BENCH_MEMORY_H

#include "bench.h"

FH_BEGIN_DECLS

/**
 * Bytes in use: chunks of malloc with their headers, and what a library maps
 * for itself.  Chunks that were freed and lie in a thread's cache count as in
 * use: seven of each size at most.
 */
size_t bench_memory(void);

/** What one chunk takes, its header included. */
size_t bench_chunk(void *chunk);

FH_END_DECLS

#endif
