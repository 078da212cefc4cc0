/* SPDX-License-Identifier: MIT */
/*
 * What FH_HOOKS calls at every atomic step when mutants are hunted: now and
 * then the thread gives way there, so that windows of a few instructions,
 * which a compare-exchange taken apart leaves open, are met within seconds.
 */
#include "atomic.h"

#include <sched.h>
#include <time.h>

#define YIELD_ONE_IN 32
#define SLEEP_ONE_IN 1024

static _Atomic(uint64_t) threads;
static _Thread_local uint64_t state;

static uint64_t draw(void)
{
	if (state == 0)
		state = UINT64_C(0x9e3779b97f4a7c15) *
			(atomic_fetch_add(&threads, 1) + 1);
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(2685821657736338717) >> 32;
}

void fh_hook(const char *what, const volatile void *address)
{
	struct timespec pause = { .tv_nsec = 20000 };
	uint64_t drawn = draw();

	(void)what;
	(void)address;
	if (drawn % SLEEP_ONE_IN == 0)
		nanosleep(&pause, NULL);
	else if (drawn % YIELD_ONE_IN == 0)
		sched_yield();
}
