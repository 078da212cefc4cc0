/* SPDX-License-Identifier: MIT */
/*
 * An allocator that refuses on demand.  The linker puts it under malloc and
 * its kin with --wrap; each thread arms it for itself, so that a test counts
 * the allocations of one operation and of nothing else.
 */
#ifndef FH_TEST_OOM_H
#define FH_TEST_OOM_H

#include <errno.h>
#include <sys/mman.h>

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

void *__real_mmap(void *address, size_t size, int protection, int flags,
		  int file, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags,
		  int file, off_t offset);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
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

static int oom_refuses(void)
{
	if (!oom_chooses())
		return 0;
	oom.refused++;
	errno = ENOMEM;
	return 1;
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags,
		  int file, off_t offset)
{
	return oom_refuses() ? MAP_FAILED :
			       __real_mmap(address, size, protection, flags,
					   file, offset);
}

void *__wrap_malloc(size_t size)
{
	return oom_refuses() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return oom_refuses_elsewhere() || oom_refuses() ?
		       NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return oom_refuses() ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	return oom_refuses() ? ENOMEM :
			       __real_posix_memalign(memory, alignment, size);
}

/* Of the whole program: no thread can be created while this is set. */
static _Atomic(int) no_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg)
{
	return load_seq_cst(&no_threads) ?
		       EAGAIN : __real_pthread_create(thread, attr, run, arg);
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
