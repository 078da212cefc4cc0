/* SPDX-License-Identifier: MIT */
/*
 * The one door to every atomic access.
 *
 * No other file includes <stdatomic.h>.  Each access names its order in its
 * own name, so that a reader sees it without following an argument, and a
 * test build can put something under every one of them:
 *
 *  - With FH_HOOKS defined, every access first calls fh_hook(what, address),
 *    and fh_point("name") calls fh_hook("name", NULL): a test stops a thread
 *    there, lets another run, and goes on.
 *  - Under the thread sanitizer, happens_before and happens_after tell it of
 *    the ordering that comes from liburcu, which it cannot see.
 *
 * A release names its partner in a comment, `pairs with: ROOM.PLACE`, and so
 * does the acquire; test/check_sources.py looks for both ends.
 *
 * Public structs hold plain integers, because C++ programs include them;
 * atomic_word() gives the atomic view of one.
 */
#ifndef FH_ATOMIC_H
#define FH_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#ifdef FH_HOOKS
void fh_hook(const char *what, const volatile void *address);

static inline void *fh_hooked_(const char *what, const volatile void *address)
{
	fh_hook(what, address);
	return (void *)(uintptr_t)address;
}

/* p, evaluated once, after the hook was called with it */
#define FH_AT_(what, p) ((__typeof__(p))fh_hooked_(what, p))
#define FH_STEP_(what, address) fh_hook(what, address)
#define fh_point(name) fh_hook(name, NULL)
#else
#define FH_AT_(what, p) (p)
#define FH_STEP_(what, address) ((void)0)
#define fh_point(name) ((void)0)
#endif

#define load_relaxed(p) \
	atomic_load_explicit(FH_AT_("load", p), memory_order_relaxed)
#define load_acquire(p) \
	atomic_load_explicit(FH_AT_("load", p), memory_order_acquire)
#define load_seq_cst(p) \
	atomic_load_explicit(FH_AT_("load", p), memory_order_seq_cst)

#define store_relaxed(p, v) \
	atomic_store_explicit(FH_AT_("store", p), v, memory_order_relaxed)
#define store_release(p, v) \
	atomic_store_explicit(FH_AT_("store", p), v, memory_order_release)
#define store_seq_cst(p, v) \
	atomic_store_explicit(FH_AT_("store", p), v, memory_order_seq_cst)

#define swap_relaxed(p, v) \
	atomic_exchange_explicit(FH_AT_("swap", p), v, memory_order_relaxed)
#define swap_acquire(p, v) \
	atomic_exchange_explicit(FH_AT_("swap", p), v, memory_order_acquire)
#define swap_acq_rel(p, v) \
	atomic_exchange_explicit(FH_AT_("swap", p), v, memory_order_acq_rel)
#define swap_seq_cst(p, v) \
	atomic_exchange_explicit(FH_AT_("swap", p), v, memory_order_seq_cst)

/*
 * Compare-exchanges: the name says the order on success, then on failure;
 * expected is updated on failure.
 */
#define FH_CAS_(p, expected, v, success, failure) \
	atomic_compare_exchange_strong_explicit(FH_AT_("cas", p), expected, \
						v, success, failure)
#define cas_relaxed(p, expected, v) \
	FH_CAS_(p, expected, v, memory_order_relaxed, memory_order_relaxed)
#define cas_release_relaxed(p, expected, v) \
	FH_CAS_(p, expected, v, memory_order_release, memory_order_relaxed)
#define cas_acq_rel_relaxed(p, expected, v) \
	FH_CAS_(p, expected, v, memory_order_acq_rel, memory_order_relaxed)
#define cas_acq_rel_acquire(p, expected, v) \
	FH_CAS_(p, expected, v, memory_order_acq_rel, memory_order_acquire)

#define add_relaxed(p, v) \
	atomic_fetch_add_explicit(FH_AT_("add", p), v, memory_order_relaxed)
#define add_acq_rel(p, v) \
	atomic_fetch_add_explicit(FH_AT_("add", p), v, memory_order_acq_rel)
#define add_seq_cst(p, v) \
	atomic_fetch_add_explicit(FH_AT_("add", p), v, memory_order_seq_cst)
#define sub_acq_rel(p, v) \
	atomic_fetch_sub_explicit(FH_AT_("sub", p), v, memory_order_acq_rel)
#define or_acq_rel(p, v) \
	atomic_fetch_or_explicit(FH_AT_("or", p), v, memory_order_acq_rel)
#define and_acq_rel(p, v) \
	atomic_fetch_and_explicit(FH_AT_("and", p), v, memory_order_acq_rel)

#define fence_seq_cst() \
	(FH_STEP_("fence", NULL), atomic_thread_fence(memory_order_seq_cst))

/** The atomic view of a word of a public struct. */
typedef _Atomic(uint64_t) atomic_u64;

static inline atomic_u64 *atomic_word(const uint64_t *word)
{
	_Static_assert(sizeof(atomic_u64) == sizeof(uint64_t), "same layout");
	return (atomic_u64 *)(uintptr_t)word;
}

/** A spin-wait hint; never the only way forward. */
static inline void cpu_relax(void)
{
	FH_STEP_("relax", NULL);
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield" ::: "memory");
#endif
}

#if defined(__SANITIZE_THREAD__)
#define FH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FH_TSAN 1
#endif
#endif

#ifdef FH_TSAN
#if !defined(__clang__)
/* It does not model fences; none of ours orders more than it already sees. */
#pragma GCC diagnostic ignored "-Wtsan"
#endif
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define happens_before(address) __tsan_release(address)
#define happens_after(address) __tsan_acquire(address)
#define FH_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define happens_before(address) ((void)0)
#define happens_after(address) ((void)0)
#define FH_NO_TSAN
#endif

#endif
