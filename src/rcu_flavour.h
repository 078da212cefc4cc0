/* SPDX-License-Identifier: MIT */
/*
 * The liburcu flavour that was chosen when the build was configured, behind
 * one set of names.  The only file that includes a liburcu header.
 *
 *     flavour   read section               who registers      grace period
 *     memb      no fence (membarrier(2))   we, at first use   2 system calls
 *     bp        as memb                    liburcu itself     2 system calls
 *     mb        two fences                 we, at first use   no system call
 *     qsbr      two fences: a thread is    we, at first use   no system call
 *               online only in a section
 *
 * liburcu's qsbr reads for free in programs whose threads announce quiescent
 * states by hand.  A user's thread never has to here, so a section goes
 * online and offline; the flavour is there for comparison.
 *
 * Each flavour keeps, per thread, a word that says whether the thread reads
 * and since which grace period: flavour_holds_back tells from it who is in
 * the way.
 */
#ifndef FH_RCU_FLAVOUR_H
#define FH_RCU_FLAVOUR_H

#include <freehold/rcu.h>

#include "atomic.h"

/*
 * _LGPL_SOURCE lets liburcu's small functions be inlined; README.md says what
 * that means, and FH_RCU_NO_INLINE calls them instead.  The thread sanitizer
 * must not look into them: it does not know their barriers.
 */
#if !defined(FH_TSAN) && !defined(FH_RCU_NO_INLINE)
#define _LGPL_SOURCE
#endif
#define URCU_API_MAP

#if !defined(FH_RCU_FLAVOUR_bp) && !defined(FH_RCU_FLAVOUR_mb) && \
	!defined(FH_RCU_FLAVOUR_qsbr)
#define FH_RCU_FLAVOUR_memb 1
#endif

#if defined(FH_RCU_FLAVOUR_memb)
#include <urcu/urcu-memb.h>
#define FLAVOUR(name) urcu_memb_##name
#define FLAVOUR_NAME "memb"
#define flavour_expedited() (urcu_memb_has_sys_membarrier != 0)
#elif defined(FH_RCU_FLAVOUR_bp)
#include <urcu/urcu-bp.h>
#define FLAVOUR(name) urcu_bp_##name
#define FLAVOUR_NAME "bp"
#define flavour_expedited() (urcu_bp_has_sys_membarrier != 0)
#elif defined(FH_RCU_FLAVOUR_mb)
#include <urcu/urcu-mb.h>
#define FLAVOUR(name) urcu_mb_##name
#define FLAVOUR_NAME "mb"
#define flavour_expedited() 0
#else
#include <urcu/urcu-qsbr.h>
#define FLAVOUR(name) urcu_qsbr_##name
#define FLAVOUR_NAME "qsbr"
#define flavour_expedited() 0
#endif

#ifndef _LGPL_SOURCE
#include <urcu/static/urcu-common.h>
#if defined(FH_RCU_FLAVOUR_bp)
#include <urcu/static/urcu-bp.h>
#elif defined(FH_RCU_FLAVOUR_qsbr)
#include <urcu/static/urcu-qsbr.h>
#elif defined(FH_RCU_FLAVOUR_mb)
#include <urcu/static/urcu-mb.h>
#else
#include <urcu/static/urcu-memb.h>
#endif
#endif

#define flavour_synchronize() FLAVOUR(synchronize_rcu)()

#if defined(FH_RCU_FLAVOUR_bp)
typedef struct urcu_bp_reader flavour_reader;

static inline flavour_reader *flavour_register(void)
{
	if (!URCU_TLS(urcu_bp_reader))
		urcu_bp_register();
	return URCU_TLS(urcu_bp_reader);
}

static inline void flavour_unregister(void)
{
	/* liburcu's own thread-exit hook does it. */
}

static inline void flavour_before_fork(void)
{
	urcu_bp_before_fork();
}

static inline void flavour_after_fork_parent(void)
{
	urcu_bp_after_fork_parent();
}

static inline void flavour_after_fork_child(void)
{
	urcu_bp_after_fork_child();
}

static inline void flavour_forget(flavour_reader *reader)
{
	(void)reader; /* flavour_after_fork_child pruned its own list. */
}

#else /* memb, mb, qsbr: the reader is a thread-local variable */

#if defined(FH_RCU_FLAVOUR_qsbr)
typedef struct urcu_qsbr_reader flavour_reader;
#else
typedef struct urcu_reader flavour_reader;
#endif

static inline flavour_reader *flavour_register(void)
{
	FLAVOUR(register_thread)();
#if defined(FH_RCU_FLAVOUR_qsbr)
	urcu_qsbr_thread_offline();
#endif
	return &URCU_TLS(FLAVOUR(reader));
}

static inline void flavour_unregister(void)
{
	FLAVOUR(unregister_thread)();
}

/*
 * Only this library uses the flavour's list, under locks that it holds while
 * it forks, so the list is whole in the child.
 */
static inline void flavour_before_fork(void)
{
}

static inline void flavour_after_fork_parent(void)
{
}

static inline void flavour_after_fork_child(void)
{
}

/* In a forked child: a thread of the parent that does not exist here. */
static inline void flavour_forget(flavour_reader *reader)
{
	cds_list_del(&reader->node);
}
#endif

#if defined(FH_RCU_FLAVOUR_qsbr)
/* *nest is the caller's nesting depth, which qsbr itself does not count. */
static inline void flavour_read_lock(unsigned *nest)
{
	if ((*nest)++ == 0)
		urcu_qsbr_thread_online();
}

static inline void flavour_read_unlock(unsigned *nest)
{
	if (--*nest == 0)
		urcu_qsbr_thread_offline();
}

static inline bool flavour_reading(const unsigned *nest)
{
	return *nest != 0;
}

static inline unsigned long flavour_phase_mask(void)
{
	return ~0ul;
}
#define flavour_gp_ctr() CMM_LOAD_SHARED(urcu_qsbr_gp.ctr)
#define FLAVOUR_NEST_MASK (~0ul)

#else
static inline void flavour_read_lock(unsigned *nest)
{
	(void)nest;
	FLAVOUR(read_lock)();
}

static inline void flavour_read_unlock(unsigned *nest)
{
	(void)nest;
	FLAVOUR(read_unlock)();
}

static inline bool flavour_reading(const unsigned *nest)
{
	(void)nest;
	return FLAVOUR(read_ongoing)() != 0;
}

#if defined(FH_RCU_FLAVOUR_bp)
#define FLAVOUR_NEST_MASK URCU_BP_GP_CTR_NEST_MASK
#define FLAVOUR_PHASE URCU_BP_GP_CTR_PHASE
#else
#define FLAVOUR_NEST_MASK URCU_GP_CTR_NEST_MASK
#define FLAVOUR_PHASE URCU_GP_CTR_PHASE
#endif

static inline unsigned long flavour_phase_mask(void)
{
	return FLAVOUR_PHASE;
}
#define flavour_gp_ctr() CMM_LOAD_SHARED(FLAVOUR(gp).ctr)
#endif

/*
 * What the inline read side of rcu.h needs, where it may be used: it is
 * liburcu's of these flavours, without fences, and tells no sanitizer and no
 * hook.
 */
#if (defined(FH_RCU_FLAVOUR_memb) || defined(FH_RCU_FLAVOUR_bp)) && \
	defined(_LGPL_SOURCE) && !defined(FH_HOOKS)
_Static_assert(FH_RCU_DEPTH_ == FLAVOUR_NEST_MASK, "counted alike");

static inline void flavour_inline(flavour_reader *reader,
				  struct fh_rcu_self_ *self)
{
	static const int32_t nobody;

	if (!flavour_expedited())
		return;
#if defined(FH_RCU_FLAVOUR_bp)
	self->sleeper = &nobody;
#else
	(void)nobody;
	self->sleeper = &urcu_memb_gp.futex;
#endif
	self->phase = &FLAVOUR(gp).ctr;
	self->count = &reader->ctr;
}
#else
static inline void flavour_inline(void *reader, struct fh_rcu_self_ *self)
{
	(void)reader;
	(void)self;
}
#endif

/* Wake the grace period that sleeps for readers. */
static inline void flavour_wake(void)
{
#if defined(FH_RCU_FLAVOUR_memb) && defined(_LGPL_SOURCE)
	urcu_common_wake_up_gp(&urcu_memb_gp);
#endif
}

/*
 * Is this reader inside a section, and does it hold back the present grace
 * period?  It writes the word without telling the thread sanitizer, hence
 * the exemption; the word is one aligned load.
 */
FH_NO_TSAN static inline bool flavour_is_reading(flavour_reader *reader)
{
	return (CMM_LOAD_SHARED(reader->ctr) & FLAVOUR_NEST_MASK) != 0;
}

FH_NO_TSAN static inline bool flavour_holds_back(flavour_reader *reader)
{
	unsigned long ctr = CMM_LOAD_SHARED(reader->ctr);

	return (ctr & FLAVOUR_NEST_MASK) &&
	       ((ctr ^ flavour_gp_ctr()) & flavour_phase_mask());
}

#endif
