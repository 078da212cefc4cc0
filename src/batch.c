/* SPDX-License-Identifier: MIT */
/*
 * batch: lists of retired objects on their way to reclamation.
 *
 *      thread A            thread B            common
 *      open  waiting       open  waiting       open  waiting
 *        \      |            \      |            ^      |
 *         seal  | cookie      seal  | cookie     |      | run by the worker
 *          \--->|              \--->|            |      v
 *               v run by A          v run by B   +-- exits, idle batches
 *
 * Each thread pushes what it retires on a list of its own, `open`.  When the
 * list is long enough it is sealed: moved to `waiting`, with a cookie that
 * names the first grace period to begin after that moment.  When this grace
 * period is over, the thread reclaims the list in passing, at a later
 * retirement: memory goes back to the allocator on the thread that took it,
 * and two lists per thread are all there is to administer.
 *
 * Laws
 *
 *  1. An object is on exactly one list, or in its reclaim function.  Lists
 *     move whole, under `busy` of their batch; `open` is pushed to without.
 *     Nobody waits for busy but a thread that exits, drains or forks, and
 *     its holder runs a dozen instructions.
 *  2. The cookie is safe.  Sealing takes the list, then fences, then reads
 *     `started`; a grace period stores `started`, then fences, then looks
 *     for readers.  If sealing reads s, grace period s + 1 has not stored
 *     yet, so its fence comes later, and every reader that it does not wait
 *     for sees the objects unlinked.  (A newer value read only makes the
 *     cookie later.)
 *  3. pending counts an object from its retirement (each thread reports in
 *     small steps, or at once under a hard bound) or from the moment that
 *     room was made for it, until its reclaim function has returned.
 *  4. Reports telescope: whoever reports for a thread adds the difference
 *     between its count now and the count last reported, which it swaps.
 *     So the worker and a change of the bounds may report for others.
 *  5. What a reclaim function retires does not use up the room of the
 *     operation that happened to run it: the room is put aside meanwhile.
 */
#include "rcu_internal.h"

#include "wait.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct fh_batch fh_common;
struct fh_reclaim_counts fh_counts;

/* ---- lists ---- */

bool fh_batch_push(struct fh_batch *batch, struct fh_rcu_head *first,
		   struct fh_rcu_head *last)
{
	struct fh_rcu_head *top = load_relaxed(&batch->open);

	do
		*fh_rcu_next(last) = top;
	/* pairs with: batch.take */
	while (!cas_acq_rel_relaxed(&batch->open, &top, first));
	return top == NULL;
}

/* Append a list that has left its batch to the common one. */
static void push_common(struct fh_rcu_head *first)
{
	struct fh_rcu_head *last = first;

	if (!first)
		return;
	while (*fh_rcu_next(last))
		last = *fh_rcu_next(last);
	fh_batch_push(&fh_common, first, last);
}

static bool try_busy(struct fh_batch *batch)
{
	/* pairs with: batch.busy */
	return !swap_acquire(&batch->busy, true);
}

void fh_batch_wait_busy(struct fh_batch *batch)
{
	while (!try_busy(batch))
		sched_yield();
}

void fh_batch_end_busy(struct fh_batch *batch)
{
	/* pairs with: batch.busy */
	store_release(&batch->busy, false);
}

/* ---- accounts ---- */

int64_t fh_thread_report(struct fh_thread *thread)
{
	uint64_t now = load_relaxed(&thread->retired) -
		       load_relaxed(&thread->covered);
	int64_t more = (int64_t)(now - swap_acq_rel(&thread->reported, now));

	return add_relaxed(&fh_counts.pending, more) + more;
}

/*
 * The owner counts what it covers before what it retires, so that another
 * thread, which looks in the other order, may see too little and never too
 * much.  It only adds, before it claims to have: a bound is never passed for
 * a report, and what it missed the next one finds.
 */
void fh_thread_report_other(struct fh_thread *thread)
{
	uint64_t seen = load_relaxed(&thread->reported);
	/* pairs with: rcu.retired */
	uint64_t retired = load_acquire(&thread->retired);
	uint64_t now = retired - load_relaxed(&thread->covered);
	int64_t more = (int64_t)(now - seen);

	if (more <= 0)
		return;
	add_relaxed(&fh_counts.pending, more);
	if (!cas_acq_rel_relaxed(&thread->reported, &seen, now))
		add_relaxed(&fh_counts.pending, -more);
}

static void account_ran(struct fh_thread *thread)
{
	add_relaxed(&fh_counts.reclaimed, thread->ran);
	add_relaxed(&fh_counts.pending, -(int64_t)thread->ran);
	thread->ran = 0;
}

/* Hand the thread's part of the counts to those of the program. */
static void close_accounts(struct fh_thread *thread)
{
	fh_thread_report(thread);
	account_ran(thread);
	add_relaxed(&fh_counts.retired, load_relaxed(&thread->retired));
	add_relaxed(&fh_counts.pending,
		    -(int64_t)(thread->credit + thread->held));
	store_relaxed(&thread->retired, 0u);
	store_relaxed(&thread->covered, 0u);
	store_relaxed(&thread->reported, 0u);
	thread->credit = thread->held = 0;
}

/* ---- the life of a batch ---- */

/* Law 2; returns the cookie of what was sealed, or 0.  Under busy. */
static uint64_t seal(struct fh_batch *batch)
{
	struct fh_rcu_head *list;
	uint64_t cookie;

	if (load_relaxed(&batch->waiting) || !load_relaxed(&batch->open))
		return 0;
	/* pairs with: batch.take */
	list = swap_acq_rel(&batch->open, NULL);
	fence_seq_cst();
	cookie = load_seq_cst(&fh_gp_started) + 1;
	store_relaxed(&batch->waiting, list);
	store_relaxed(&batch->cookie, cookie);
	store_relaxed(&batch->sealed, load_relaxed(&batch->sealed) + 1);
	return cookie;
}

/* Move what has waited long enough to ready.  Under busy. */
static bool ripen(struct fh_batch *batch)
{
	uint64_t cookie = load_relaxed(&batch->cookie);

	/* pairs with: gp.completed */
	if (cookie == 0 || load_relaxed(&batch->ticket) ||
	    load_acquire(&fh_gp_completed) < cookie)
		return false;
	store_relaxed(&batch->ticket,
		      add_relaxed(&fh_counts.tickets, 1u) + 1);
	store_relaxed(&batch->ready, load_relaxed(&batch->waiting));
	store_relaxed(&batch->waiting, NULL);
	store_relaxed(&batch->cookie, 0u);
	return true;
}

static void end_run(struct fh_batch *batch)
{
	/* pairs with: batch.ran */
	store_release(&batch->ticket, 0u);
	if (batch != &fh_common)
		return;
	/* pairs with: batch.common_done */
	add_acq_rel(&fh_counts.common_done, 1u);
	fh_wake_all(&fh_counts.common_done);
}

/* Call the reclaim functions of what is ready; the caller made it so. */
static void run(struct fh_batch *batch)
{
	struct fh_thread *thread = fh_thread_self();
	struct fh_rcu_head *head = load_relaxed(&batch->ready);

	thread->held = thread->credit; /* law 5 */
	thread->credit = 0;
	thread->reclaiming = true;
	while (head) {
		struct fh_rcu_head *next = *fh_rcu_next(head);

		store_relaxed(&batch->ready, next);
		thread->ran++;
		if (fh_rcu_only_free(head))
			free(fh_rcu_next(head));
		else
			head->reclaim(head);
		head = next;
	}
	thread->reclaiming = false;
	thread->credit += thread->held;
	thread->held = 0;
	account_ran(thread);
	fh_point("batch.ran");
	end_run(batch);
}

void fh_batch_turn(struct fh_batch *batch)
{
	uint64_t cookie;
	bool ripe;

	if (!try_busy(batch))
		return;
	ripe = ripen(batch);
	cookie = seal(batch);
	fh_batch_end_busy(batch);
	if (cookie)
		fh_gp_want(cookie);
	if (ripe)
		run(batch);
}

void fh_batch_give_away(struct fh_batch *batch)
{
	struct fh_rcu_head *open;

	fh_batch_wait_busy(batch);
	/* pairs with: batch.take */
	open = swap_acq_rel(&batch->open, NULL);
	push_common(load_relaxed(&batch->waiting));
	store_relaxed(&batch->waiting, NULL);
	store_relaxed(&batch->cookie, 0u);
	fh_batch_end_busy(batch);
	push_common(open);
}

/* ---- threads that end, and fork ---- */

/* What a reclaim function that ended its own thread left behind. */
static void take_over_run(struct fh_batch *batch)
{
	struct fh_rcu_head *rest = load_relaxed(&batch->ready);

	if (!load_relaxed(&batch->ticket))
		return;
	add_relaxed(&fh_counts.strays, 1u);
	store_relaxed(&batch->ready, NULL);
	push_common(rest);
	end_run(batch);
}

void fh_thread_leaves(struct fh_thread *thread)
{
	close_accounts(thread);
	fh_batch_give_away(&thread->batch);
	take_over_run(&thread->batch);
	if (thread->worker)
		take_over_run(&fh_common);
	memset(&thread->batch, 0, sizeof(thread->batch));
	thread->reclaiming = false;
	thread->unsealed = 0;
}

void fh_thread_vanished(struct fh_thread *thread)
{
	close_accounts(thread);
	fh_batch_end_busy(&thread->batch);
	fh_batch_give_away(&thread->batch);
	take_over_run(&thread->batch);
}

static uint64_t length(_Atomic(struct fh_rcu_head *) *list)
{
	struct fh_rcu_head *head = load_relaxed(list);
	uint64_t n = 0;

	for (; head; head = *fh_rcu_next(head))
		n++;
	return n;
}

/*
 * The fork may have come between any two steps of the others' accounts, so
 * count what is there.
 */
void fh_reclaim_recount(struct fh_thread *self)
{
	uint64_t left, retired;

	take_over_run(&fh_common);
	store_relaxed(&fh_counts.common_done,
		      (uint32_t)load_relaxed(&fh_common.sealed) -
			      (load_relaxed(&fh_common.waiting) != NULL));
	left = length(&fh_common.open) + length(&fh_common.waiting) +
	       length(&self->batch.open) + length(&self->batch.waiting) +
	       length(&self->batch.ready);
	fh_thread_report(self);
	retired = load_relaxed(&fh_counts.retired) +
		  load_relaxed(&self->retired);
	store_relaxed(&fh_counts.reclaimed,
		      retired > left ? retired - left : 0);
	store_relaxed(&fh_counts.pending,
		      (int64_t)(left + self->credit + self->held));
}
