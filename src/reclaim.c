/* SPDX-License-Identifier: MIT */
/*
 * reclaim: retiring, and the bounds on what waits.
 *
 * The soft bound.  Past it a retiring thread helps and never waits: it wakes
 * the worker, yields the processor once and runs what is ready.  The excess
 * is counted.
 *
 * The hard bound is kept by making room before anything changes.  Room is
 * added to the pending count by compare-exchange, if the sum allows it, and
 * is held for the thread as credit; its retirements use the credit up, so
 * that they add nothing.  If everybody makes room first, pending, and with
 * it the number of objects, is never above the bound.  Operations give back
 * what they did not use, so that idle threads hold none.
 *
 * An unhooked thread (see rcu.c) holds no credit, since nothing could take it
 * back when it ends: its room is only looked for.
 */
#include "rcu_internal.h"

#include "rcu_flavour.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#define BATCH 1024u
#define REPORT 64u
#define BOUND_MOST ((uint64_t)INT64_MAX / 2)

static _Atomic(uint64_t) soft_bound = FH_RCU_SOFT_BOUND, hard_bound;
static _Atomic(uint64_t) over_soft, refused;
static _Atomic(unsigned) seal_at = BATCH; /* a long enough open list */

/* ---- the soft bound ---- */

/* How many retirements a thread may keep to itself. */
static uint64_t report_step(void)
{
	uint64_t soft = load_relaxed(&soft_bound);

	if (load_relaxed(&hard_bound) || soft < 16)
		return 1;
	return soft / 16 < REPORT ? soft / 16 : REPORT;
}

static void help(struct fh_thread *thread)
{
	fh_worker_kick();
	sched_yield();
	if (!thread->reclaiming)
		fh_batch_turn(&thread->batch);
}

static void look_at_soft_bound(struct fh_thread *thread, int64_t sum,
			       uint64_t more)
{
	if (likely(sum <= (int64_t)load_relaxed(&soft_bound)))
		return;
	add_relaxed(&over_soft, more);
	help(thread);
}

/* One more retirement of this thread. */
static void account(struct fh_thread *thread)
{
	uint64_t more;

	bool covered = thread->credit != 0;

	if (unlikely(covered)) {
		thread->credit--;
		store_relaxed(&thread->covered,
			      load_relaxed(&thread->covered) + 1);
	}
	/* pairs with: rcu.retired (what is covered was counted before) */
	store_release(&thread->retired, load_relaxed(&thread->retired) + 1);
	if (unlikely(covered)) {
		look_at_soft_bound(thread, load_relaxed(&fh_counts.pending),
				   1);
		return;
	}
	more = load_relaxed(&thread->retired) -
	       load_relaxed(&thread->covered) -
	       load_relaxed(&thread->reported);
	if (unlikely(more >= REPORT || more >= report_step()))
		look_at_soft_bound(thread, fh_thread_report(thread), more);
}

/* ---- retiring ---- */

/* Is the open list long enough, and the waiting one out of the way? */
static bool due(const struct fh_thread *thread)
{
	uint64_t cookie;

	if (likely(thread->unsealed < load_relaxed(&seal_at)))
		return false;
	cookie = load_relaxed(&thread->batch.cookie);
	return cookie == 0 || load_relaxed(&fh_gp_completed) >= cookie;
}

static void retire_common(struct fh_rcu_head *head)
{
	add_relaxed(&fh_counts.retired, 1u);
	add_relaxed(&fh_counts.pending, 1);
	fh_batch_push(&fh_common, head, head);
	fh_worker_notice();
}

void fh_rcu_retire_later(struct fh_rcu_head *head,
			 void (*reclaim)(struct fh_rcu_head *head))
{
	head->reclaim = reclaim;
	retire_common(head);
}

static void retire(struct fh_rcu_head *head)
{
	struct fh_thread *thread = fh_thread_self();
	bool first;

	fh_point("rcu.retire");
	if (unlikely(thread->mode != FH_THREAD_REGISTERED)) {
		retire_common(head);
		return;
	}
	first = fh_batch_push(&thread->batch, head, head);
	if (first || unlikely(!fh_worker_runs()))
		fh_worker_notice();
	thread->unsealed++;
	account(thread);
	if (unlikely(due(thread)) && !thread->reclaiming) {
		thread->unsealed = 0;
		fh_batch_turn(&thread->batch);
	}
}

void fh_rcu_retire(struct fh_rcu_head *head,
		   void (*reclaim)(struct fh_rcu_head *head))
{
	head->reclaim = reclaim;
	retire(head);
}

void fh_rcu_retire_free(struct fh_rcu_link *link)
{
	retire((struct fh_rcu_head *)((uintptr_t)link | FH_RCU_FREE));
}

void fh_rcu_flush(void)
{
	struct fh_thread *thread = fh_thread_self();

	if (thread->reclaiming || thread->mode != FH_THREAD_REGISTERED)
		return;
	fh_thread_report(thread);
	thread->unsealed = 0;
	fh_batch_turn(&thread->batch);
}

/* ---- the hard bound ---- */

static bool make_room(uint64_t objects, uint64_t bound, bool hold)
{
	int64_t sum = load_relaxed(&fh_counts.pending);

	do
		if (sum + (int64_t)objects > (int64_t)bound)
			return false;
	while (hold && !cas_acq_rel_relaxed(&fh_counts.pending, &sum,
					    sum + (int64_t)objects));
	return true;
}

/* One attempt to bring the thread's credit up to @objects. */
static bool raise_credit(struct fh_thread *thread, size_t objects,
			 uint64_t bound)
{
	bool hold = thread->mode == FH_THREAD_REGISTERED;

	if (thread->credit >= objects)
		return true;
	if (!make_room(objects - thread->credit, bound, hold))
		return false;
	if (hold)
		thread->credit = objects;
	return true;
}

static int admit(struct fh_thread *thread, size_t objects, uint64_t bound)
{
	if (objects > bound)
		return -EAGAIN;
	fh_thread_report(thread);
	if (raise_credit(thread, objects, bound))
		return 0;
	help(thread);
	if (raise_credit(thread, objects, bound))
		return 0;
	add_relaxed(&refused, 1u);
	return -EAGAIN;
}

static void lower_credit(struct fh_thread *thread, size_t objects)
{
	if (thread->credit <= objects)
		return;
	add_relaxed(&fh_counts.pending,
		    (int64_t)objects - (int64_t)thread->credit);
	thread->credit = objects;
}

int fh_rcu_admit(size_t objects)
{
	uint64_t bound = load_relaxed(&hard_bound);
	struct fh_thread *thread;

	if (likely(bound == 0))
		return 0;
	thread = fh_thread_self();
	lower_credit(thread, objects);
	return admit(thread, objects, bound);
}

int fh_room_take(struct fh_room *room, size_t objects)
{
	uint64_t bound = load_relaxed(&hard_bound);
	struct fh_thread *thread;
	int rc;

	room->bounded = bound != 0;
	if (likely(bound == 0))
		return 0;
	thread = fh_thread_self();
	room->before = thread->credit;
	rc = admit(thread, objects, bound);
	room->total = thread->credit;
	return rc;
}

void fh_room_leave(const struct fh_room *room, size_t keep)
{
	struct fh_thread *thread;
	size_t used, rest;

	if (likely(!room->bounded))
		return;
	thread = fh_thread_self();
	used = room->total > thread->credit ? room->total - thread->credit : 0;
	rest = room->before > used ? room->before - used : 0;
	lower_credit(thread, rest > keep ? rest : keep);
}

int fh_rcu_set_bounds(size_t soft, size_t hard)
{
	struct fh_thread *thread;

	if (hard == 1)
		return -EINVAL;
	if (soft == 0)
		soft = FH_RCU_SOFT_BOUND;
	store_relaxed(&seal_at, soft / 16 < BATCH ? (unsigned)(soft / 16) :
						   BATCH);
	store_relaxed(&soft_bound, soft < BOUND_MOST ? soft : BOUND_MOST);
	store_relaxed(&hard_bound, hard < BOUND_MOST ? hard : BOUND_MOST);
	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread; thread = thread->next)
		fh_thread_report_other(thread);
	pthread_mutex_unlock(&fh_threads_lock);
	return 0;
}

/* ---- statistics ---- */

static void find_oldest(struct fh_rcu_stats *stats)
{
	bool runs = load_relaxed(&fh_gp_started) !=
		    load_relaxed(&fh_gp_completed);
	struct fh_thread *thread;

	if (fh_rcu_unhooked_reading())
		stats->oldest_reader = -1;
	for (thread = fh_threads; thread; thread = thread->next) {
		stats->threads++;
		stats->retired += load_relaxed(&thread->retired);
		if (stats->oldest_reader_ns || !fh_thread_reading(thread))
			continue;
		stats->oldest_reader = thread->tid;
		if (runs && fh_thread_holds_back(thread))
			stats->oldest_reader_ns =
				fh_now() - load_relaxed(&fh_gp_began);
	}
}

void fh_rcu_get_stats(struct fh_rcu_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->flavour = FLAVOUR_NAME;
	stats->expedited = flavour_expedited();
	stats->reclaimed = load_relaxed(&fh_counts.reclaimed);
	pthread_mutex_lock(&fh_threads_lock);
	stats->retired = load_relaxed(&fh_counts.retired);
	find_oldest(stats);
	pthread_mutex_unlock(&fh_threads_lock);
	stats->pending = stats->retired > stats->reclaimed ?
				 stats->retired - stats->reclaimed : 0;
	stats->grace_periods = load_relaxed(&fh_gp_completed);
	stats->soft_bound = load_relaxed(&soft_bound);
	stats->hard_bound = load_relaxed(&hard_bound);
	stats->over_soft = load_relaxed(&over_soft);
	stats->refused = load_relaxed(&refused);
	stats->worker_failures = load_relaxed(&fh_worker_failures);
	if (stats->oldest_reader && !stats->oldest_reader_ns)
		fh_gp_want(load_seq_cst(&fh_gp_started) + 1);
}
