/* SPDX-License-Identifier: MIT */
/*
 * The soak: all rooms run against each other for as long as one likes.
 *
 * A room joins with one file and one line.  It fills in a struct soak_room,
 * and soak.c lists it.  From then on each worker thread calls its work() by
 * turns with those of the others; every few seconds all workers come to rest
 * and check() looks at what must be exact then.
 *
 *     static void gate_work(struct soak_worker *worker)
 *     {
 *             soak_begin(worker, PASS);
 *             rc = fh_gate_pass(&gate);
 *             soak_expect(rc == 0 || rc == -EAGAIN, "a pass gave %d", rc);
 *     }
 *
 * Rules for a room:
 *  - work() does one operation, or a few that belong together, announced
 *    with soak_begin; whatever waits has a deadline well below a minute,
 *    because the sentinel takes a minute without progress for a fault.
 *  - -EAGAIN is no fault: the rcu room sets a hard bound now and then.
 *  - What must hold is said with soak_expect.  It counts, and it ends the
 *    run when it does not hold.
 */
#ifndef FH_SOAK_H
#define FH_SOAK_H

#include <freehold/freehold.h>

#include "../test/threads.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define SECONDS INT64_C(1000000000)
#define MILLISECONDS INT64_C(1000000)

/*
 * How far the bytes in use may differ from one deep rest to another: what the
 * allocator keeps for the threads that outlive a rest.
 */
#define SOAK_BAND (UINT64_C(160) << 10)

#define SOAK_ROOMS 16		/* at most */
#define SOAK_OPERATIONS 24	/* of a room, at most */
#define SOAK_THREADS 128	/* at most */

#ifdef FREEHOLD_MUTEX
#define SOAK_MUTEX 1		/* nothing of ours in a signal handler */
#else
#define SOAK_MUTEX 0
#endif

struct soak_room;

/* What one thread has done, in its room's rows; others may read it. */
struct soak_counts {
	tally operations[SOAK_ROOMS][SOAK_OPERATIONS];
	tally checks[SOAK_ROOMS];
};

/* A place for one thread; many threads live in it, one after another. */
struct soak_worker {
	unsigned index;
	uint64_t random;
	const struct soak_room *_Atomic room;
	_Atomic(unsigned) operation;
	tally turns;		/* moves on while the worker is well */
	_Atomic(bool) waiting;	/* for others: it need not move on */
	struct soak_counts counts;
	pthread_t keeper, life;
	pthread_mutex_t lock;	/* of @alive: @life is a thread */
	bool alive;
	tally lives;
};

/**
 * struct soak_room - how a room takes part
 * @name:       as in the report
 * @operations: names of the kinds of operations, ended by NULL
 * @weight:     how often it has its turn, compared with others
 * @setup:      before any worker starts
 * @work:       one turn, on any worker, beside all others
 * @tick:       may be NULL: called about every 10 ms by the sentinel
 * @settle:     may be NULL: all workers at rest; wait for what threads of
 *              the room's own still have in hand
 * @check:      these at rest too, and nothing pending: what is exact now
 * @clear:      may be NULL: at a deep rest, back to what setup left; the
 *              memory in use must then be what it was at the last deep rest
 * @report:     may be NULL: a few lines of Markdown
 * @teardown:   after the last worker
 * @id:         the runner's
 */
struct soak_room {
	const char *name;
	const char *const *operations;
	unsigned weight;
	void (*setup)(void);
	void (*work)(struct soak_worker *worker);
	void (*tick)(void);
	void (*settle)(void);
	void (*check)(void);
	void (*clear)(void);
	void (*report)(FILE *out);
	void (*teardown)(void);
	unsigned id;
};

extern struct soak_room soak_rcu, soak_status, soak_record, soak_counter,
	soak_map, soak_arc, soak_log, soak_gate, soak_server, soak_task,
	soak_signal, soak_fork;

/* For the child of a fork: keys that are always there, in the map room. */
void soak_map_inherited(void);

/* ---- soak.c: the rooms and the options ---- */

struct soak_options {
	double seconds, rest;
	unsigned threads;
	uint64_t seed;
	const char *report;
	uint64_t allow_kb;	/* growth of resident memory, floor */
};

extern struct soak_options soak_options;
extern struct soak_room *const soak_rooms[];	/* ended by NULL */
extern struct soak_worker *soak_workers;	/* options.threads of them */
extern struct soak_worker soak_conductor;	/* the main thread */
extern int64_t soak_started;			/* fh_now() of the beginning */

double soak_elapsed(void);
bool soak_over(void);				/* time is up, or a signal */

/* Rests that were passed; those that also compared the memory in use. */
extern tally soak_rests, soak_deep_rests;

/* ---- invariants: verdict.c ---- */

/* The worker that this thread is; NULL on threads of the library. */
extern _Thread_local struct soak_worker *soak_me;
extern _Thread_local const struct soak_room *soak_my_room;

/* What threads other than workers did. */
extern struct soak_counts soak_others;

/* A child of a fork: it has nobody to report to but its exit status. */
extern bool soak_is_child;

void soak_begin(struct soak_worker *worker, unsigned operation);
void soak_checked(void);
void soak_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

#define soak_expect(holds, ...) \
	((holds) ? soak_checked() : soak_fail(__VA_ARGS__))

/* At rest: what threads of a room's own will have made true in a moment. */
void soak_expect_soon(bool (*holds)(void), const char *otherwise);

/* ---- crew.c: the workers' lives ---- */

void soak_crew_start(void);
void soak_crew_rest(bool deep);	/* returns when all are at rest */
void soak_crew_resume(void);
void soak_crew_end(void);
void soak_sentinel_start(void);
void soak_sentinel_end(void);

/* The sentinel sends them, the signal room handles them. */
extern tally soak_signals_sent, soak_signals_handled;

/* ---- report.c ---- */

void soak_sample(void);		/* resident memory, once a second */
uint64_t soak_operations(const struct soak_room *room, unsigned operation);
uint64_t soak_checks(const struct soak_room *room);
uint64_t soak_all_operations(void);
uint64_t soak_all_checks(void);
uint64_t soak_rss_kb(void);
bool soak_rss_verdict(char *why, size_t size);	/* false: it grew */
void soak_note_garbage(uint64_t pending);
void soak_note_in_use(uint64_t bytes);
void soak_report(bool passed, const char *why);

/* ---- objects that rooms retire ---- */

#define SOAK_ALIVE UINT64_C(0x11fe11fe11fe11fe)

/* A number that depends on all bits of @a and @b. */
static inline uint64_t soak_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + 0x51ed27f1);

	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static inline void *soak_alloc(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		soak_fail("there is no memory for %zu bytes", size);
	return memory;
}

static inline uint64_t soak_random(struct soak_worker *worker, uint64_t limit)
{
	return random_below(&worker->random, limit);
}

/* Now and then, so that others run inside of what this thread does. */
static inline void soak_dawdle(struct soak_worker *worker)
{
	if (soak_random(worker, 64) == 0)
		sched_yield();
}

#endif
