/* SPDX-License-Identifier: MIT */
/*
 * machine: what runs a scenario, one execution after the other.  Internal.
 *
 *     explore.c   the executions of a scenario, the program
 *     search.c    which choice is taken next
 *     account.c   what is told of a failure
 *     threads.c   coroutines, blocking, time; mutexes and futexes
 *     ends.c      how threads end, and who learns of it
 *     memory.c    atomic accesses under a weak memory model
 *     races.c     accesses that are not ordered
 *     history.c   are the calls of an execution linearizable?
 *     heap.c      allocations, and the use of freed ones; thread locals
 *     grace.c     read sections and grace periods
 *     entry.c     what instrumented code calls
 *
 * An execution is determined by its choices.  Everything that changes during
 * one lies behind `m`, in memory of its own: the globals of the program, the
 * library's among them, are put back before each execution.
 *
 * The state of an execution is hashed, so that what two orders of independent
 * steps lead to is explored once.  A thread's local state is a function of
 * what it observed: its hash mixes in each message that it read.  A message
 * mixes in its writer's hash.  The hash of a location is the chain of its
 * messages.
 */
#ifndef FH_MACHINE_H
#define FH_MACHINE_H

#include "schedule.h"

#include <setjmp.h>
#include <stdio.h>
#include <ucontext.h>

#define THREADS 8		/* 0: setup and finish; the last: reclaimer */
#define RECLAIMER (THREADS - 1)
#define LOCATIONS 1536		/* atomic ones, in one execution */
#define STACK_SIZE (256u << 10)
#define ARENA_SIZE (1u << 20)	/* for each thread */
#define GRAIN 16u		/* alignment of allocations */
#define STEPS 20000u		/* more in one execution: it does not end */
#define ACCESSES 1000000u

struct clock {
	uint32_t at[THREADS];
};

/*
 * What a thread knows, and what a release hands over: how far each thread had
 * come, and for each location the oldest message that may still be read.
 */
struct knowledge {
	struct clock clock;
	unsigned locations;	/* as many as view has; the rest is 0 */
	uint16_t view[];
};

struct message {
	struct message *older;
	uint64_t value, hash;
	unsigned stamp;		/* its place in the modification order */
	const struct knowledge *released; /* NULL: relaxed, after no fence */
};

struct location {
	uintptr_t address;
	unsigned size, index;
	struct message *newest;
	uint64_t chain;
	unsigned users;		/* threads, as bits */
	bool written;		/* by any of them */
};

enum state {
	ABSENT,
	RUNNABLE,
	YIELDED,	/* until another thread writes, or nobody can run */
	SLEEPING,	/* in a futex */
	LOCKED_OUT,	/* before a mutex */
	AWAITING,	/* a grace period */
	FINISHED,
};

struct thread {
	enum state state;
	bool daemon;		/* the library's own: need not end */
	bool started;
	void (*body)(void);
	void *(*main)(void *);
	void *arg;
	uint64_t hash;
	struct knowledge *now;
	struct knowledge *unfenced;	/* read relaxed: for a fence to come */
	const struct knowledge *fenced; /* at the last releasing fence */
	uintptr_t wants;	/* futex or mutex that it waits for */
	int64_t deadline;	/* INT64_MAX: none */
	bool timed_out;
	uint64_t saw_writes;	/* when it yielded */
	unsigned depth;		/* of its read section */
	unsigned section;	/* which one, counted from 1 */
	size_t used;		/* of its arena */
	jmp_buf where;
	ucontext_t context;
	char *stack;
};

struct mutex {
	uintptr_t at;
	unsigned owner;		/* 0: free; else thread + 1 */
	uint64_t turns;
	struct knowledge *released;
};
#define MUTEXES 32

/* An object that waits for sections to end; see grace.c. */
struct retired {
	void *head;
	void (*reclaim)(void *head);
	const struct knowledge *then;
	unsigned awaits[THREADS]; /* the section of that thread; 0: none */
};
#define RETIRED 512

enum limit { PREEMPTIONS, STALE, FAILURES, TIMEOUTS, WAKEUPS, LIMITS };

struct machine {
	const struct scenario *scenario;
	int limit[LIMITS], spent[LIMITS];
	bool quiet;		/* setup or finish: nothing to schedule */
	bool tracing;
	struct thread thread[THREADS];
	unsigned running, threads;
	unsigned steps, accesses;
	unsigned plain;		/* accesses since the last step */
	uint64_t writes;
	int64_t time;
	struct knowledge *sequential;	/* what seq_cst steps agree on */
	uint64_t sequential_chain;
	struct location location[LOCATIONS];
	unsigned locations;
	uint64_t memory_hash;	/* the sum of all chains, mixed */
	struct call call[CALLS_MOST];
	unsigned calls;
	uint64_t calls_hash;
	struct mutex mutex[MUTEXES];
	unsigned mutexes;
	struct retired retired[RETIRED];
	unsigned retirements;
	struct knowledge *past;	/* what finished grace periods began after */
	uint64_t grace_hash;
	jmp_buf over;		/* where an execution ends */
};
extern struct machine *m;

static inline struct thread *self(void)
{
	return &m->thread[m->running];
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) *
		     0xbf58476d1ce4e5b9u;

	x = (x ^ (x >> 29)) * 0x94d049bb133111ebu;
	return x ^ (x >> 32);
}

/* The thread observed something that is not in the memory. */
static inline void observe(uint64_t what)
{
	self()->hash = mix(self()->hash, what);
}

/* ---- explore.c ---- */

enum ending { DONE, PRUNED, FAILED };
__attribute__((noreturn)) void end_execution(enum ending how);

/* ---- search.c ---- */

void search_init(void);
void search_new_scenario(void);
void search_new_round(void);
void search_rewind(bool replaying);
void search_check_replay(void);	/* ends the program if it did not fit */
bool search_advance(void);	/* the next trail; false: all were tried */
bool search_found_more(void);	/* contended locations: start over */
size_t search_states(void);

/* The choices as text: 0 where nothing special happened, *N for a run. */
void trail_print(FILE *out);
bool trail_read(const char *text);

/* One of @count; all are tried in time.  0 is what a quiet machine does. */
unsigned choose(unsigned count);

/* May this be done once more?  If so and it is chosen, it is spent. */
bool choose_to(enum limit what);

/* The state is one that was explored: give this execution up. */
void prune_if_known(void);

/* Do two threads use this location, one of them writing? */
bool is_contended(uintptr_t address);
void contended(uintptr_t address);

/* ---- account.c ---- */

void account_init(void);
void account_clear(void);
void account_print(void);
bool account_is_of(const char *text);	/* the failure's message has it */

/* A step, if somebody wants to know. */
__attribute__((format(printf, 2, 3)))
void trace(const void *pc, const char *format, ...);

/* ---- threads.c ---- */

void threads_reset(void);
unsigned thread_add(void (*body)(void), void *(*main)(void *), void *arg);
void threads_run(void);		/* until all have finished */

/*
 * The calling thread ends; what a model does then, if it wants to, unless the
 * thread left by the system call.
 */
__attribute__((noreturn)) void thread_exit(void);
void thread_ends(void);
bool thread_refused(void);	/* pthread_create must fail */

/* Has this thread ended?  If so, the caller knows what it knew. */
bool thread_is_gone(unsigned id);

/* Another thread may run here. */
void point(void);
void block(enum state state);

/* ---- memory.c ---- */

void memory_reset(void);
struct knowledge *knowledge_new(void);
const struct knowledge *knowledge_copy(const struct knowledge *from);
void knowledge_join(struct knowledge *into, const struct knowledge *from);
void overwrite(uintptr_t address, size_t size);
uint64_t atomic_load_at(uintptr_t address, unsigned size, int order,
			const void *pc);
void atomic_store_at(uintptr_t address, unsigned size, uint64_t value,
		     int order, const void *pc);
typedef uint64_t (*updater)(uint64_t old, uint64_t operand);
uint64_t atomic_update_at(uintptr_t address, unsigned size, updater update,
			  uint64_t operand, int order, const void *pc);
uint64_t atomic_cas_at(uintptr_t address, unsigned size, uint64_t expected,
		       uint64_t value, int order, int failure, const void *pc);
void atomic_fence(int order, const void *pc);
uint64_t memory_peek(uintptr_t address, unsigned size);

/* ---- races.c ---- */

void races_reset(void);
void plain_access(uintptr_t address, size_t size, bool write, const void *pc);
void check_race(uintptr_t address, size_t size, bool write, bool atomic,
		const void *pc);

/* ---- heap.c ---- */

void heap_init(void);
void heap_reset(void);
void heap_check(uintptr_t address, size_t size, bool write, const void *pc);
size_t heap_leaks(void);	/* prints each */
void *heap_alloc(size_t size, size_t alignment, const void *pc);
void heap_free(void *address, const void *pc);
void heap_free_locals(void);	/* of the running thread */
const char *heap_describe(uintptr_t address, char *text, size_t size);

/* ---- grace.c ---- */

void grace_reset(void);
void grace_section_begins(void);
void grace_section_ends(void);
bool grace_reading(void);
void grace_retire(void *head, void (*reclaim)(void *head));
void grace_wait(void);		/* a whole grace period */
void grace_forget(unsigned thread);	/* it is gone, its section with it */

#endif
