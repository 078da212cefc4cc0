/* SPDX-License-Identifier: MIT */
/*
 * The atomic accesses of the inline fast paths, on plain integers, so that a
 * C++ program can include what uses them.  Internal: include the primitives.
 */
#ifndef FREEHOLD_INLINE_H
#define FREEHOLD_INLINE_H

#define FH_INLINE_LIKELY(x) __builtin_expect(!!(x), 1)
#define FH_INLINE_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define FH_INLINE_LOAD_RELAXED(address) \
	__atomic_load_n(address, __ATOMIC_RELAXED)
#define FH_INLINE_LOAD_ACQUIRE(address) \
	__atomic_load_n(address, __ATOMIC_ACQUIRE)
#define FH_INLINE_STORE_RELAXED(address, value) \
	__atomic_store_n(address, value, __ATOMIC_RELAXED)

/* The compiler moves no access across; the processor may. */
#define FH_INLINE_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
