/* SPDX-License-Identifier: MIT */
/*
 * memory: malloc says itself what is in use.  What a library maps past it is
 * seen by standing in for mmap and munmap: the program's own functions come
 * before those of the C library for every library that it links, while
 * malloc's maps do not pass here and are not counted twice.
 *
 * A map without access is a reservation: it counts once it is mapped again
 * with access.
 */
#include "memory.h"

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RANGES 4096

static struct {
	uintptr_t begin, end;
} ranges[RANGES];
static size_t range_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void add(uintptr_t begin, uintptr_t end)
{
	if (begin >= end)
		return;
	if (range_count == RANGES)
		bench_die("too many maps to account for");
	ranges[range_count].begin = begin;
	ranges[range_count].end = end;
	range_count++;
}

/* What is left of a range goes to the end of the list, if it overlapped. */
static void subtract(uintptr_t begin, uintptr_t end)
{
	size_t i = 0;

	while (i < range_count) {
		uintptr_t from = ranges[i].begin, to = ranges[i].end;

		if (from >= end || to <= begin) {
			i++;
			continue;
		}
		ranges[i] = ranges[--range_count];
		add(from, begin < to ? begin : to);
		add(end > from ? end : from, to);
	}
}

static void account(void *address, size_t length, bool counts)
{
	uintptr_t begin = (uintptr_t)address;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t end = (begin + length + page - 1) / page * page;

	pthread_mutex_lock(&lock);
	subtract(begin, end);
	if (counts)
		add(begin, end);
	pthread_mutex_unlock(&lock);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd,
	   off_t offset)
{
	void *got = (void *)syscall(SYS_mmap, address, length, protection,
				    flags, fd, offset);

	if (got != MAP_FAILED)
		account(got, length, protection != PROT_NONE);
	return got;
}

int munmap(void *address, size_t length)
{
	int rc = (int)syscall(SYS_munmap, address, length);

	if (rc == 0)
		account(address, length, false);
	return rc;
}

size_t bench_memory(void)
{
	struct mallinfo2 info = mallinfo2();
	size_t mapped = 0, i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < range_count; i++)
		mapped += ranges[i].end - ranges[i].begin;
	pthread_mutex_unlock(&lock);
	return info.uordblks + info.hblkhd + mapped;
}

size_t bench_chunk(void *chunk)
{
	return malloc_usable_size(chunk) + sizeof(size_t);
}
