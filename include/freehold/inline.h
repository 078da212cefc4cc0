/* SPDX-License-Identifier: MIT */
/*
 * The atomic accesses of the inline fast paths, on plain integers, so that a
 * C++ program can include what uses them.  Internal: include the primitives.
 */
#ifndef FREEHOLD_INLINE_H
#define FREEHOLD_INLINE_H

#define FH_INLINE_LOAD_ACQUIRE(address) \
	__atomic_load_n(address, __ATOMIC_ACQUIRE)

#endif
