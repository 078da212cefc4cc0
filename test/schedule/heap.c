/* SPDX-License-Identifier: MIT */
/*
 * heap: allocations, the use of freed ones, and thread-local variables.
 *
 * Each thread allocates from an arena of its own, upwards, and nothing is
 * used twice in one execution: so an address is a function of what its
 * thread did, and a freed object stays freed for whoever touches it.  A gap
 * after each allocation catches what runs over its end.
 */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GAP GRAIN
#define GRAINS (ARENA_SIZE / GRAIN)
#define LOCALS 64

enum content { UNUSED, LIVE, FREED };

struct allocation {
	uintptr_t at;
	size_t size;
	unsigned thread;
	const void *pc;
	bool freed, local;
};
#define ALLOCATIONS 4096

/* What clang's emulated thread-local storage describes a variable with. */
struct local_variable {
	size_t size, alignment;
	uintptr_t index;
	const void *initial;
};

struct heap {
	char *arena;
	uint8_t content[THREADS][GRAINS];
	struct allocation allocation[ALLOCATIONS];
	unsigned allocations;
	struct { struct local_variable *variable; void *at; }
		local[THREADS][LOCALS];
	unsigned locals[THREADS];
};
static struct heap *heap;

void heap_init(void)
{
	heap = calloc(1, sizeof(*heap));
	heap->arena = mmap((void *)0x100000000000, THREADS * ARENA_SIZE,
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			   -1, 0);
	if (!heap || heap->arena == MAP_FAILED) {
		perror("the machine's heap");
		exit(99);
	}
}

void heap_reset(void)
{
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		size_t used = m->thread[i].used;

		memset(heap->arena + i * ARENA_SIZE, 0, used);
		memset(heap->content[i], UNUSED, used / GRAIN + 1);
		m->thread[i].used = 0;
		heap->locals[i] = 0;
	}
	heap->allocations = 0;
}

static struct allocation *allocation_of(uintptr_t address)
{
	unsigned i;

	for (i = heap->allocations; i-- > 0;) {
		struct allocation *a = &heap->allocation[i];

		if (address >= a->at && address < a->at + a->size + GAP)
			return a;
	}
	return NULL;
}

const char *heap_describe(uintptr_t address, char *text, size_t size)
{
	struct allocation *a = allocation_of(address);

	if (a)
		snprintf(text, size, "[%ld+%zu]", (long)(a -
			 heap->allocation), (size_t)(address - a->at));
	else
		snprintf(text, size, "%#zx", (size_t)address);
	return text;
}

static bool in_heap(uintptr_t address)
{
	return address - (uintptr_t)heap->arena < THREADS * ARENA_SIZE;
}

static enum content content_at(uintptr_t address)
{
	size_t offset = address - (uintptr_t)heap->arena;

	return heap->content[offset / ARENA_SIZE]
			    [offset % ARENA_SIZE / GRAIN];
}

static void refuse(uintptr_t address, bool write, const void *pc)
{
	struct allocation *a = allocation_of(address);

	trace(pc, "this access");
	if (!a)
		schedule_fail("%s of what nobody allocated",
			      write ? "write" : "read");
	schedule_fail("%s of [%ld+%zu], %s", write ? "write" : "read",
		      (long)(a - heap->allocation), (size_t)(address - a->at),
		      a->freed ? "which is reclaimed" : "past its end");
}

void heap_check(uintptr_t address, size_t size, bool write, const void *pc)
{
	uintptr_t at;

	if (address < 4096)
		schedule_fail("access to address %#zx", (size_t)address);
	if (!in_heap(address))
		return;
	for (at = address & ~(uintptr_t)(GRAIN - 1); at < address + size;
	     at += GRAIN)
		if (content_at(at) != LIVE)
			refuse(address, write, pc);
}

static void set_content(uintptr_t address, size_t size, enum content content)
{
	size_t offset = address - (uintptr_t)heap->arena;

	memset(&heap->content[offset / ARENA_SIZE][offset % ARENA_SIZE / GRAIN],
	       content, (size + GRAIN - 1) / GRAIN);
}

void *heap_alloc(size_t size, size_t alignment, const void *pc)
{
	struct thread *t = self();
	size_t at;

	if (choose_to(FAILURES)) {
		observe(0);
		trace(pc, "allocation of %zu bytes fails", size);
		errno = ENOMEM;
		return NULL;
	}
	if (alignment < GRAIN)
		alignment = GRAIN;
	at = (t->used + alignment - 1) & ~(alignment - 1);
	if (size > ARENA_SIZE || at + size + GAP + GRAIN > ARENA_SIZE ||
	    heap->allocations == ALLOCATIONS)
		schedule_fail("the machine's heap is full");
	t->used = (at + size + GRAIN - 1 + GAP) & ~(size_t)(GRAIN - 1);
	heap->allocation[heap->allocations++] = (struct allocation){
		.at = (uintptr_t)heap->arena + m->running * ARENA_SIZE + at,
		.size = size, .thread = m->running, .pc = pc };
	at = heap->allocation[heap->allocations - 1].at;
	set_content(at, size, LIVE);
	trace(pc, "allocate [%u], %zu bytes", heap->allocations - 1, size);
	return (void *)at;
}

void heap_free(void *address, const void *pc)
{
	struct allocation *a;

	if (!address)
		return;
	a = allocation_of((uintptr_t)address);
	if (!a || a->at != (uintptr_t)address)
		schedule_fail("free of what was not allocated");
	if (a->freed)
		schedule_fail("[%ld] is freed twice",
			      (long)(a - heap->allocation));
	/* Whoever still used it, unordered with this, shows as a race. */
	if (a->size)
		plain_access(a->at, a->size, true, pc);
	trace(pc, "free [%ld]", (long)(a - heap->allocation));
	a->freed = true;
	set_content(a->at, a->size, FREED);
}

size_t heap_leaks(void)
{
	size_t leaks = 0;
	unsigned i;

	for (i = 0; i < heap->allocations; i++) {
		struct allocation *a = &heap->allocation[i];

		if (a->freed || a->local)
			continue;
		leaks++;
		trace(a->pc, "never freed: [%u], %zu bytes", i, a->size);
	}
	return leaks;
}

/* ---- thread-local variables ---- */

static void *new_local(struct local_variable *variable)
{
	bool quiet = m->quiet;
	void *at;

	m->quiet = true;
	at = heap_alloc(variable->size, variable->alignment, NULL);
	m->quiet = quiet;
	heap->allocation[heap->allocations - 1].local = true;
	if (variable->initial)
		memcpy(at, variable->initial, variable->size);
	if (heap->locals[m->running] == LOCALS)
		schedule_fail("more thread-local variables than expected");
	heap->local[m->running][heap->locals[m->running]].variable = variable;
	heap->local[m->running][heap->locals[m->running]++].at = at;
	return at;
}

void *__emutls_get_address(struct local_variable *variable);
void *__emutls_get_address(struct local_variable *variable)
{
	unsigned i;

	for (i = 0; i < heap->locals[m->running]; i++)
		if (heap->local[m->running][i].variable == variable)
			return heap->local[m->running][i].at;
	return new_local(variable);
}

void heap_free_locals(void)
{
	while (heap->locals[m->running])
		heap_free(heap->local[m->running]
				     [--heap->locals[m->running]].at, NULL);
}
