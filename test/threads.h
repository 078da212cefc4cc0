/* SPDX-License-Identifier: MIT */
/*
 * What tests with threads share: crews that start together, a scale for
 * iteration counts, random numbers that cost little, and a watchdog.
 *
 *     static void work(unsigned index, void *arg) { ... }
 *
 *     run_crew(8, work, &shared);         // 8 threads, joined on return
 *
 * FH_TEST_SCALE in the environment is a percentage that scaled() applies;
 * without it sanitizer builds run a fifth of what the others run.
 */
#ifndef FH_TEST_THREADS_H
#define FH_TEST_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"

#if defined(__SANITIZE_ADDRESS__) || defined(FH_TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* The thread sanitizer has nothing to see in what one thread does alone. */
#ifdef FH_TSAN
#define RACES_ONLY 1
#else
#define RACES_ONLY 0
#endif

typedef _Atomic(uint64_t) tally;

typedef void (*crew_work)(unsigned index, void *arg);

struct crew {
	unsigned count;
	crew_work work;
	void *arg;
	pthread_barrier_t barrier;
	struct crew_member *member;
};

struct crew_member {
	pthread_t thread;
	unsigned index;
	struct crew *crew;
};

/* The test cannot go on: this is the machine's fault, not the library's. */
__attribute__((unused, noreturn)) static void bail_out(const char *why)
{
	printf("Bail out! %s\n", why);
	fflush(stdout);
	_exit(99);
}

__attribute__((unused)) static unsigned scale_percent(void)
{
	const char *text = getenv("FH_TEST_SCALE");
	long percent = text ? strtol(text, NULL, 10) : 0;

	return percent > 0 ? (unsigned)percent : SANITIZED ? 20 : 100;
}

/* @full scaled by FH_TEST_SCALE, and never less than @least. */
__attribute__((unused)) static size_t scaled(size_t full, size_t least)
{
	size_t count = full * scale_percent() / 100;

	return count < least ? least : count;
}

/*
 * A wait that never ends kills the test instead of holding up the run.
 * FH_PATIENCE in the environment says how many times as long that may take.
 */
__attribute__((unused)) static void watchdog(unsigned seconds)
{
	const char *text = getenv("FH_PATIENCE");
	unsigned times = text ? (unsigned)strtoul(text, NULL, 10) : 1;

	alarm(seconds * (times ? times : 1));
}

__attribute__((unused)) static void sleep_ns(int64_t nanoseconds)
{
	struct timespec length = { nanoseconds / 1000000000,
				   nanoseconds % 1000000000 };

	nanosleep(&length, NULL);
}

/* Waits until it is @least; false: not within half a minute. */
__attribute__((unused)) static bool comes_to(const tally *count,
					     uint64_t least)
{
	unsigned i;

	for (i = 0; load_seq_cst(count) < least && i < 600000; i++)
		sleep_ns(50000);
	return load_seq_cst(count) >= least;
}

/* A random start that differs from thread to thread; never 0. */
__attribute__((unused)) static uint64_t random_seed(unsigned index)
{
	return UINT64_C(0x9e3779b97f4a7c15) * (index + 1);
}

/* xorshift64*: *state must not be 0. */
__attribute__((unused)) static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

__attribute__((unused)) static uint64_t random_below(uint64_t *state,
						     uint64_t limit)
{
	return (random_next(state) >> 16) % limit;
}

static void *crew_main(void *arg)
{
	struct crew_member *member = arg;
	struct crew *crew = member->crew;

	pthread_barrier_wait(&crew->barrier);
	crew->work(member->index, crew->arg);
	return NULL;
}

/* Start @count threads; they meet at a barrier and then all call @work. */
__attribute__((unused)) static void crew_start(struct crew *crew,
					       unsigned count, crew_work work,
					       void *arg)
{
	unsigned i;

	crew->count = count;
	crew->work = work;
	crew->arg = arg;
	crew->member = calloc(count, sizeof(*crew->member));
	if (!crew->member)
		bail_out("no memory for a crew");
	pthread_barrier_init(&crew->barrier, NULL, count);
	for (i = 0; i < count; i++) {
		crew->member[i].index = i;
		crew->member[i].crew = crew;
		if (pthread_create(&crew->member[i].thread, NULL, crew_main,
				   &crew->member[i]))
			bail_out("cannot create a thread");
	}
}

__attribute__((unused)) static void crew_join(struct crew *crew)
{
	unsigned i;

	for (i = 0; i < crew->count; i++)
		pthread_join(crew->member[i].thread, NULL);
	pthread_barrier_destroy(&crew->barrier);
	free(crew->member);
}

__attribute__((unused)) static void run_crew(unsigned count, crew_work work,
					     void *arg)
{
	struct crew crew;

	crew_start(&crew, count, work, arg);
	crew_join(&crew);
}

#endif
