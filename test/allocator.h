/* SPDX-License-Identifier: MIT */
/*
 * An allocator that can refuse: the linker puts it under malloc and its kin
 * with --wrap.  The program decides, call by call.
 */
#ifndef FH_TEST_ALLOCATOR_H
#define FH_TEST_ALLOCATOR_H

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

enum allocation { BY_MALLOC, BY_CALLOC, ALIGNED, MAPPED };

/* The program's: is this one to fail? */
static int allocation_fails(enum allocation how, size_t size);

void *__real_mmap(void *address, size_t size, int protection, int flags,
		  int file, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags,
		  int file, off_t offset);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);

static int refuse(enum allocation how, size_t size)
{
	if (!allocation_fails(how, size))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags,
		  int file, off_t offset)
{
	return refuse(MAPPED, size) ? MAP_FAILED :
				      __real_mmap(address, size, protection,
						  flags, file, offset);
}

void *__wrap_malloc(size_t size)
{
	return refuse(BY_MALLOC, size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return refuse(BY_CALLOC, count * size) ? NULL :
						 __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return refuse(ALIGNED, size) ? NULL :
				       __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	return refuse(ALIGNED, size) ?
		       ENOMEM : __real_posix_memalign(memory, alignment, size);
}

#endif
