/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark programs share.
 *
 * One source, two programs: build/release/bench_X is linked with the
 * lock-free library and build/mutex/bench_X with the mutex one; fh_build()
 * says which.  A program is a server of cases.  It takes one command from
 * its arguments, or one from each line of its standard input, and answers
 * each with one line of JSON:
 *
 *     list
 *     run CASE SUBJECT THREADS SIZE MILLISECONDS
 *
 * so that compare.py keeps both programs alive with their tables filled, and
 * lets them take turns within one case.
 *
 * What a repetition measures: THREADS threads meet at a barrier, repeat the
 * case's operation until the time is over, and look at the stop flag once in
 * BENCH_BATCH operations.  The clock runs from the first thread's start to
 * the last thread's end, and where the operation itself retires objects until
 * all of them are reclaimed, so that no build gains by leaving work behind.
 *
 *     ops_per_s   operations of all threads, divided by that time
 *     ns_per_op   that time divided by the operations of all threads: what
 *                 the machine needs for one operation, not how long one
 *                 thread waits for it
 *
 * Nothing is pinned to a processor; the 8 threads share whatever there is.
 * Keys, names and random draws are made before the clock starts, from fixed
 * seeds: both builds do the same work in the same order.
 */
#ifndef FH_BENCH_H
#define FH_BENCH_H

#include <freehold/freehold.h>

#include <pthread.h>
#include <stdbool.h>

#include "atomic.h"

/* How many operations lie between two looks at the stop flag. */
#define BENCH_BATCH 128

#define BENCH_THREADS 64

/* Random draws of each thread; a multiple of BENCH_BATCH, used in a ring. */
#define BENCH_DRAWS (1u << 18)

/* Apart from its neighbours, prefetched ones included. */
#define BENCH_APART __attribute__((aligned(128)))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/** One thread of one repetition. */
struct bench_thread {
	unsigned index;
	const uint32_t *draws;	/* its own; see bench_draw */
	uint64_t operations;	/* the body counts them */
	uint64_t sum;		/* of the results, so that they are needed */
	void (*body)(struct bench_thread *self);
	int64_t began, ended;
	pthread_t id;
} BENCH_APART;

/**
 * struct bench_case - one row of a program's table
 * @subject:    NULL: the build; or what else is measured beside it
 * @threads:    for which numbers of threads; 0 ends the list
 * @sizes:      for which sizes; 0 ends the list
 * @extra:      measured only when asked for at length
 * @retires:    the clock runs until all that was retired is reclaimed
 * @setup:      makes what @body needs; kept while THREADS and SIZE stay
 * @cleanup:    its opposite
 * @body:       runs until bench_running() ends
 * @disturb:    if not NULL: runs in @disturbers further threads, uncounted
 */
struct bench_case {
	const char *name;
	const char *subject;
	const unsigned *threads;
	const size_t *sizes;
	bool extra;
	bool retires;
	void (*setup)(unsigned threads, size_t size);
	void (*cleanup)(void);
	void (*body)(struct bench_thread *self);
	void (*disturb)(struct bench_thread *self);
	unsigned disturbers;
};

/** 1, 2 and 8 threads. */
extern const unsigned bench_threads[];

/** 1 000 and 100 000. */
extern const size_t bench_sizes[];

/** 1: for a case that has no size. */
extern const size_t bench_one[];

extern _Atomic(bool) bench_stop;

/** Ask after a batch: no thread ends without having done one. */
static inline bool bench_running(void)
{
	return !load_relaxed(&bench_stop);
}

/** Say why on standard error, and end the program with status 1. */
__attribute__((noreturn, format(printf, 1, 2)))
void bench_die(const char *format, ...);

/** Memory or death. */
void *bench_alloc(size_t bytes);

/** The next of a sequence of random numbers; any state begins one. */
uint64_t bench_random(uint64_t *state);

/**
 * Give every thread its draws: BENCH_DRAWS times draw(random state, arg).
 * A setup calls it; the draws stay until the next call.
 */
void bench_draw(unsigned threads, uint32_t (*draw)(uint64_t *state, void *arg),
		void *arg);

/** Ranks 0 to count - 1, rank r with a weight of 1 / (r + 1)^0.99. */
struct bench_zipf {
	size_t count;
	double *upto;		/* the weights' sums */
};

void bench_zipf_init(struct bench_zipf *zipf, size_t count);
void bench_zipf_free(struct bench_zipf *zipf);
size_t bench_zipf_draw(const struct bench_zipf *zipf, uint64_t *state);

/** The words of the system's dictionary, in an order without meaning. */
struct bench_words {
	size_t count;
	struct fh_key *keys;
};

/** Load them once; where there are none, say which package has them. */
const struct bench_words *bench_words(void);

/** The whole program: serve @cases. */
int bench_main(const char *name, const struct bench_case *cases, size_t count,
	       int argc, char **argv);

#endif
