/* SPDX-License-Identifier: MIT */
/*
 * The allocator of allocator.h, refusing on demand: each thread arms it for
 * itself, so that a test counts the allocations of one operation and of
 * nothing else.
 */
#ifndef FH_TEST_OOM_H
#define FH_TEST_OOM_H

#include "allocator.h"
#include "threads.h"

enum oom_mode {
	OOM_OFF,
	OOM_ONCE,	/* the n-th allocation alone fails */
	OOM_FROM,	/* the n-th and all after it */
	OOM_RANDOM	/* n in a hundred */
};

static _Thread_local struct {
	enum oom_mode mode;
	uint64_t n, refused, random;
} oom;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);

/* So many callocs fail on whichever thread is not marked as at home. */
static _Atomic(uint64_t) oom_elsewhere;
static _Thread_local int oom_at_home;

static int oom_refuses_elsewhere(void)
{
	uint64_t left = load_relaxed(&oom_elsewhere);

	while (left && !oom_at_home)
		if (cas_acq_rel_relaxed(&oom_elsewhere, &left, left - 1))
			return 1;
	return 0;
}

static int oom_chooses(void)
{
	switch (oom.mode) {
	case OOM_ONCE:
		return oom.n && --oom.n == 0;
	case OOM_FROM:
		return oom.n <= 1 || --oom.n == 0;
	case OOM_RANDOM:
		return random_below(&oom.random, 100) < oom.n;
	default:
		return 0;
	}
}

static int allocation_fails(enum allocation how, size_t size)
{
	(void)size;
	if (how == BY_CALLOC && oom_refuses_elsewhere())
		return 1;
	if (!oom_chooses())
		return 0;
	oom.refused++;
	return 1;
}

/* Of the whole program: no thread can be created while this is set. */
static _Atomic(int) no_threads;

/*
 * What the C library allocates for a thread is not counted: only in a static
 * program it comes by here, and not if the stack of one that ended is there.
 */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg)
{
	enum oom_mode mode = oom.mode;
	int rc;

	if (load_seq_cst(&no_threads))
		return EAGAIN;
	oom.mode = OOM_OFF;
	rc = __real_pthread_create(thread, attr, run, arg);
	oom.mode = mode;
	return rc;
}

/* From here on this thread's allocations fail as @mode and @n say. */
__attribute__((unused)) static void oom_arm(enum oom_mode mode, uint64_t n)
{
	if (!oom.random)
		oom.random = random_seed((unsigned)gettid());
	oom.n = n;
	oom.refused = 0;
	oom.mode = mode;
}

/* Back to normal; returns how many were refused. */
__attribute__((unused)) static uint64_t oom_disarm(void)
{
	oom.mode = OOM_OFF;
	return oom.refused;
}

#endif
