/* SPDX-License-Identifier: MIT */
/*
 * What a scenario is written with: a few threads, each a plain function, over
 * the real library, run in every order that the bounds allow.
 *
 *     static struct fh_status cell;
 *
 *     static void setter(void) { fh_status_set(&cell, 1); }
 *     static void getter(void) { expect(fh_status_get(&cell) < 2, "torn"); }
 *
 *     static const struct scenario scenarios[] = {
 *             { "set | get", .thread = { setter, getter } },
 *     };
 *
 *     int main(int argc, char **argv)
 *     {
 *             return schedule_main(argc, argv, scenarios, 1);
 *     }
 *
 * The scenario and the library are compiled with the thread sanitizer's
 * instrumentation and linked with the machine of this directory in place of
 * the sanitizer: it sees every access, atomic or not.  docs/proving.md says
 * what is explored, and how to add a scenario.
 */
#ifndef FH_SCHEDULE_H
#define FH_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENARIO_THREADS 5

struct scenario {
	const char *name;
	void (*setup)(void);	/* alone, before the threads; may be NULL */
	void (*thread[SCENARIO_THREADS])(void);
	void (*finish)(void);	/* alone, after all of them; may be NULL */
	/* How far to go; 0: the program's default, see explore.c; -1: 0 */
	int preemptions;	/* switches away from who could go on */
	int stale;		/* loads that return an older value */
	int failures;		/* allocations that fail */
	int timeouts;		/* deadlines that pass early */
	int wakeups;		/* futex waits that end without a cause */
	bool leaks;		/* finish does not free everything */
	const char *fails;	/* it must fail, with this in its message */
	const void *data;	/* for scenarios that share their functions */
};

/* The one that is running. */
extern const struct scenario *scenario_now(void);

int schedule_main(int argc, char **argv, const struct scenario *scenarios,
		  size_t count);

/* What must hold; printed with the schedule that broke it. */
#define expect(condition, ...) \
	((condition) ? (void)0 : schedule_fail(__VA_ARGS__))
__attribute__((format(printf, 1, 2), noreturn))
void schedule_fail(const char *format, ...);

/*
 * Operations that must be linearizable.  call_begin before and call_end after
 * each, in threads and in setup; then linearizable() in finish.  @step is the
 * sequential specification: does the operation, in @state, return what it
 * returned?  It changes the state as the operation does.
 */
struct call {
	int operation;
	uint64_t argument, result;
	/* The machine's: */
	unsigned thread, ended;	/* by the thread's clock; 0: not yet */
	unsigned after, known_after; /* calls that came before it: bits */
	uint64_t id;
};
#define CALLS_MOST 16

struct call *call_begin(int operation, uint64_t argument);
void call_end(struct call *call, uint64_t result);
bool linearizable(bool (*step)(void *state, const struct call *call),
		  const void *initial, size_t state_size);

/* All that was retired so far is reclaimed: true in finish, if it is right. */
size_t retired_and_not_reclaimed(void);

#endif
