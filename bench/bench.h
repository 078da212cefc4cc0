/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark programs share.  C and C++ read this alike.
 *
 * One program measures one subject: build/release/bench_X the lock-free
 * library, build/mutex/bench_X the mutex one, and those of build/peers what
 * a program could use instead.  subject.h says what each of them provides.
 *
 *     bench_X [--json] [--ms N] [--pairs N] [CASE...]
 *     bench_X --serve
 *
 * runs its own cases once each, as a table or as lines of JSON; or serves
 * them: it takes one command from each line of its standard input, and
 * answers each with one line of JSON,
 *
 *     list
 *     pairs NUMBER
 *     run CASE SUBJECT THREADS SIZE MILLISECONDS
 *
 * so that compare.py and limits.py keep all programs alive with their tables
 * filled, and let them take turns within one case.
 *
 * What a repetition measures: THREADS threads meet at a barrier, repeat the
 * case's operation until the time is over, and look at the stop flag once in
 * BENCH_BATCH operations; or do what the case says once, however long that
 * takes.  The clock runs from the first thread's start to the last thread's
 * end, and where the operation itself retires objects until all of them are
 * reclaimed, so that no subject gains by leaving work behind.
 *
 *     ops_per_s   operations of all threads, divided by that time
 *     ns_per_op   that time divided by the operations of all threads: what
 *                 the machine needs for one operation, not how long one
 *                 thread waits for it
 *
 * and what the case adds of its own.
 *
 * Nothing is pinned to a processor; the 8 threads share whatever there is.
 * Keys, names and random draws are made before the clock starts, from fixed
 * seeds: all subjects do the same work in the same order.
 */
#ifndef FH_BENCH_H
#define FH_BENCH_H

#include <freehold/map.h>

#include <pthread.h>
#include <stdbool.h>

/* How many operations lie between two looks at the stop flag. */
#define BENCH_BATCH 128

#define BENCH_THREADS 64

/* The most that any case has, with those that disturb. */
#define BENCH_MOST 10

/* A thread's random draws; a multiple of BENCH_BATCH, used in a ring. */
#define BENCH_DRAWS (1u << 18)

/* Apart from its neighbours, prefetched ones included. */
#define BENCH_APART __attribute__((aligned(128)))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

FH_BEGIN_DECLS

/** One thread of one repetition. */
struct bench_thread {
	unsigned index;
	const uint32_t *draws, *draws_end; /* its own; see bench_draw */
	uint64_t operations;	/* the body counts them */
	uint64_t sum;		/* of the results, so that they are needed */
	void (*body)(struct bench_thread *self);
	int64_t began, ended;
	pthread_t id;
} BENCH_APART;

/** Who wants a case to be measured. */
enum bench_when {
	BENCH_ALWAYS,
	BENCH_LONG,		/* compare.py --long */
	BENCH_LIMITS		/* limits.py alone, besides who names it */
};

/**
 * struct bench_case - one row of a program's table
 * @subject:    NULL: the program's; or what else is measured beside it
 * @threads:    for which numbers of threads; 0 ends the list
 * @sizes:      for which sizes; 0 ends the list
 * @shared:     what @setup makes serves any number of threads up to
 *              BENCH_MOST, and every other case with the same @setup
 * @once:       @body ends by itself; there are no milliseconds
 * @retires:    the clock runs until all that was retired is reclaimed
 * @setup:      makes what @body needs; kept while THREADS and SIZE stay
 * @cleanup:    its opposite
 * @before:     before each repetition, outside of the clock
 * @body:       runs until bench_running() ends
 * @after:      after each repetition, with its threads: adds fields
 * @disturb:    if not NULL: runs in @disturbers further threads, uncounted,
 *              which stand behind the others in what @after is given
 */
struct bench_case {
	const char *name;
	const char *subject;
	enum bench_when when;
	const unsigned *threads;
	const size_t *sizes;
	bool shared;
	bool once;
	bool retires;
	void (*setup)(unsigned threads, size_t size);
	void (*cleanup)(void);
	void (*before)(unsigned threads, size_t size);
	void (*body)(struct bench_thread *self);
	void (*after)(const struct bench_thread *pool, unsigned threads);
	void (*disturb)(struct bench_thread *self);
	unsigned disturbers;
};

/** What one repetition gave. */
struct bench_answer {
	const struct bench_case *row;
	unsigned threads;
	size_t size;
	double ns_per_op, ops_per_s;
};

extern const unsigned bench_threads[];	/* 1, 2 and 8 */
extern const size_t bench_sizes[];	/* 1 000 and 100 000 */
extern const size_t bench_one[];	/* 1: for a case that has no size */

/** How many insertions and removals a churn does. */
extern uint64_t bench_pairs;

extern bool bench_stop;

/** Ask after a batch: no thread ends without having done one. */
static inline bool bench_running(void)
{
	return !__atomic_load_n(&bench_stop, __ATOMIC_RELAXED);
}

/** Say why on standard error, and end the program with status 1. */
__attribute__((noreturn, format(printf, 1, 2)))
void bench_die(const char *format, ...);

/** Memory or death. */
void *bench_alloc(size_t bytes);

void bench_sleep(int64_t ns);

/** One repetition, set up if need be. */
struct bench_answer bench_run(const struct bench_case *row, unsigned threads,
			      size_t size, unsigned milliseconds);

/** From @after: a number, or a list of them, to stand in the answer. */
void bench_field(const char *name, double value);
void bench_field_list(const char *name, const double *values, size_t count);

/** The fields of the last repetition, in JSON, each after a comma. */
void bench_print_fields(void);

/** The next of a sequence of random numbers; any state begins one. */
uint64_t bench_random(uint64_t *state);

/**
 * Give every thread its draws: @count times draw(random state, arg), where
 * @count is a multiple of BENCH_DRAWS.  A setup calls it; the draws stay
 * until the next call.
 */
void bench_draw(unsigned threads, size_t count,
		uint32_t (*draw)(uint64_t *state, void *arg), void *arg);

/** Point a thread to its own. */
void bench_draws_of(struct bench_thread *thread);

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

/** The whole program. */
int bench_main(const char *name, const struct bench_case *cases, size_t count,
	       int argc, char **argv);

FH_END_DECLS

#endif
