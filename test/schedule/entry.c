/* SPDX-License-Identifier: MIT */
/*
 * entry: what instrumented code calls.
 *
 * Compilers put a call before each access of code that is built for the
 * thread sanitizer.  Here the machine answers them.  Calls to the C library
 * that matter are renamed in the object files: NAME becomes schedule_NAME.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define PC __builtin_return_address(0)

/* Called by the compiler: there is no header that declares them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void)
{
}

/* The machine models what these are told for. */
void __tsan_acquire(void *address)
{
	(void)address;
}

void __tsan_release(void *address)
{
	(void)address;
}

/* Before the first scenario, a program that builds its list is on its own. */
static void plain(const void *p, size_t size, bool write, const void *pc)
{
	if (m)
		plain_access((uintptr_t)p, size, write, pc);
}

#define PLAIN(size)							\
	void __tsan_read##size(void *p)					\
	{								\
		plain(p, size, false, PC);				\
	}								\
	void __tsan_write##size(void *p)				\
	{								\
		plain(p, size, true, PC);				\
	}								\
	void __tsan_read_write##size(void *p)				\
	{								\
		plain(p, size, true, PC);				\
	}								\
	void __tsan_unaligned_read##size(void *p)			\
	{								\
		plain(p, size, false, PC);				\
	}								\
	void __tsan_unaligned_write##size(void *p)			\
	{								\
		plain(p, size, true, PC);				\
	}								\
	void __tsan_unaligned_read_write##size(void *p)			\
	{								\
		plain(p, size, true, PC);				\
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

static uint64_t do_swap(uint64_t old, uint64_t v)
{
	(void)old;
	return v;
}

static uint64_t do_add(uint64_t old, uint64_t v)
{
	return old + v;
}

static uint64_t do_sub(uint64_t old, uint64_t v)
{
	return old - v;
}

static uint64_t do_and(uint64_t old, uint64_t v)
{
	return old & v;
}

static uint64_t do_or(uint64_t old, uint64_t v)
{
	return old | v;
}

static uint64_t do_xor(uint64_t old, uint64_t v)
{
	return old ^ v;
}

#define UPDATE(bits, name, how)						\
	uint##bits##_t __tsan_atomic##bits##_##name(			\
		volatile void *p, uint##bits##_t v, int order)		\
	{								\
		return (uint##bits##_t)atomic_update_at(		\
			(uintptr_t)p, bits / 8, how, v, order, PC);	\
	}

#define ATOMIC(bits)							\
	uint##bits##_t __tsan_atomic##bits##_load(			\
		const volatile void *p, int order)			\
	{								\
		return (uint##bits##_t)atomic_load_at(			\
			(uintptr_t)p, bits / 8, order, PC);		\
	}								\
	void __tsan_atomic##bits##_store(volatile void *p,		\
					 uint##bits##_t v, int order)	\
	{								\
		atomic_store_at((uintptr_t)p, bits / 8, v, order, PC);	\
	}								\
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(	\
		volatile void *p, uint##bits##_t expected,		\
		uint##bits##_t v, int order, int failure)		\
	{								\
		return (uint##bits##_t)atomic_cas_at(			\
			(uintptr_t)p, bits / 8, expected, v, order,	\
			failure, PC);					\
	}								\
	UPDATE(bits, exchange, do_swap)					\
	UPDATE(bits, fetch_add, do_add)					\
	UPDATE(bits, fetch_sub, do_sub)					\
	UPDATE(bits, fetch_and, do_and)					\
	UPDATE(bits, fetch_or, do_or)					\
	UPDATE(bits, fetch_xor, do_xor)
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
	atomic_fence(order, PC);
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* ---- memory ---- */

void *schedule_malloc(size_t size)
{
	void *p = m ? heap_alloc(size, 0, PC) : malloc(size);

	if (p)
		memset(p, 0xa5, size);
	return p;
}

void *schedule_calloc(size_t count, size_t size)
{
	void *p = m ? heap_alloc(count * size, 0, PC) : calloc(count, size);

	if (p && m)
		plain(p, count * size, true, PC);
	return p;
}

void *schedule_aligned_alloc(size_t alignment, size_t size)
{
	return heap_alloc(size, alignment, PC);
}

void schedule_free(void *p)
{
	heap_free(p, PC);
}

static void written(void *to, size_t size, const void *pc)
{
	if (!m)
		return;
	plain_access((uintptr_t)to, size, true, pc);
	overwrite((uintptr_t)to, size);
}

void *schedule_memcpy(void *to, const void *from, size_t size)
{
	if (size) {
		plain(from, size, false, PC);
		written(to, size, PC);
	}
	return memcpy(to, from, size);
}

void *schedule_memmove(void *to, const void *from, size_t size)
{
	if (size) {
		plain(from, size, false, PC);
		written(to, size, PC);
	}
	return memmove(to, from, size);
}

void *schedule_memset(void *to, int c, size_t size)
{
	if (size)
		written(to, size, PC);
	return memset(to, c, size);
}

int schedule_memcmp(const void *a, const void *b, size_t size)
{
	if (size) {
		plain(a, size, false, PC);
		plain(b, size, false, PC);
	}
	return memcmp(a, b, size);
}

/* The same in every execution. */
ssize_t schedule_getrandom(void *to, size_t size, unsigned flags)
{
	(void)flags;
	memset(to, 0x5c, size);
	return (ssize_t)size;
}
