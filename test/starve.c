/* SPDX-License-Identifier: MIT */
/*
 * To be preloaded into a program: one in FH_STARVE of its allocations fails,
 * after the first FH_STARVE_AFTER.  Which ones, no other than their number
 * decides.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static uint64_t number, rate, after;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("FH_STARVE");
	const char *text_after = getenv("FH_STARVE_AFTER");

	after = text_after ? strtoull(text_after, NULL, 10) : 0;
	rate = text ? strtoull(text, NULL, 10) : 0;
}

static int fails(void)
{
	uint64_t mine = __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED);

	if (!rate || mine < after)
		return 0;
	mine = (mine ^ mine >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	if ((mine >> 32) % rate)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
	return fails() ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
	*block = fails() ? NULL : __libc_memalign(alignment, size);
	return *block ? 0 : ENOMEM;
}
