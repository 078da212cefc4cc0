/* SPDX-License-Identifier: MIT */
/*
 * histogram: how long single operations take.
 *
 * A thread times each operation with the processor's time stamp counter and
 * counts it in a histogram of its own: 64 classes to each power of two, so
 * that a class is at most 1.6 per cent wide; what lies below 64 is exact.
 * The threads' histograms are summed up when the clock has stopped.
 *
 * The two readings are part of each time.  bench_report says what they cost,
 * beside the percentiles, and subtracts nothing.
 */
#ifndef FH_BENCH_HISTOGRAM_H
#define FH_BENCH_HISTOGRAM_H

#include "bench.h"

#include <freehold/base.h>

#define CLASS_BITS 6
#define CLASSES ((64 - CLASS_BITS + 1) << CLASS_BITS)

struct histogram {
	uint64_t count[CLASSES];
	uint64_t longest;
} BENCH_APART;

FH_BEGIN_DECLS

/* Neither what comes before nor what comes after moves across a reading. */
static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
	uint64_t ticks;

	__builtin_ia32_lfence();
	ticks = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return ticks;
#else
	return (uint64_t)fh_now();
#endif
}

static inline unsigned histogram_class(uint64_t ticks)
{
	unsigned power;

	if (ticks < 1u << CLASS_BITS)
		return (unsigned)ticks;
	power = 63u - (unsigned)__builtin_clzll(ticks) - CLASS_BITS;
	return (power << CLASS_BITS) + (unsigned)(ticks >> power);
}

static inline void histogram_add(struct histogram *histogram, uint64_t ticks)
{
	histogram->count[histogram_class(ticks)]++;
	if (ticks > histogram->longest)
		histogram->longest = ticks;
}

/** Measure how long a tick is, and what two readings cost; takes 20 ms. */
void bench_calibrate(void);

double bench_ns(uint64_t ticks);

/** All zero again. */
void histogram_clear(struct histogram *histograms, unsigned count);

/**
 * From @after: fields of @count histograms together, in nanoseconds:
 * PREFIXp50, p99, p99_9, p99_99, max, and clock for the two readings.
 */
void bench_report(const char *const names[6],
		  const struct histogram *histograms, unsigned count);

FH_END_DECLS

#endif
