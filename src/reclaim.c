/* SPDX-License-Identifier: MIT */
/*
 * reclaim: what was retired, and the grace periods it waits for.
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
 * One worker thread of the library runs grace periods while somebody wants
 * one.  Every few milliseconds it also moves batches that were not sealed
 * since its last look to the common batch, and so does a thread that exits,
 * so that nothing waits for ever in a half-full batch.  The worker reclaims
 * the common batch.
 *
 * Laws
 *
 *  1. An object is on exactly one list, or in its reclaim function.  Lists
 *     move whole, under `busy` of their batch; `open` is pushed to without.
 *     Nobody waits for busy but a thread that exits or drains, and its
 *     holder runs a dozen instructions.
 *  2. The cookie is safe.  Sealing takes the list, then fences, then reads
 *     `started`; a grace period stores `started`, then fences, then looks
 *     for readers.  If sealing reads s, grace period s + 1 has not stored
 *     yet, so its fence comes later, and every reader that it does not wait
 *     for sees the objects unlinked.  (A newer value read only makes the
 *     cookie later.)
 *  3. No lost wake-up of the worker.  It announces its sleep, fences, and
 *     looks for work once more; whoever makes work fences and then looks for
 *     the announcement.
 *  4. pending counts an object from its retirement (each thread reports in
 *     small steps, or at once under a hard bound) or from the admission that
 *     made room for it, until its reclaim function has returned.
 *  5. Retiring never waits: past the soft bound it wakes the worker, runs
 *     what is ready and yields the processor once.
 *
 * Where the worker cannot be created, each request tries again; garbage
 * grows until the hard bound or a drain, which runs the grace period itself.
 */
#include "rcu_internal.h"

#include "rcu_flavour.h"
#include "wait.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define BATCH 256u
#define REPORT 64u
#define TICK_NS INT64_C(10000000)

static struct fh_batch common;
static _Atomic(uint32_t) common_done;	/* batches of it reclaimed; a futex */

static pthread_mutex_t gp_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(uint64_t) gp_started, gp_completed, gp_wanted;
static _Atomic(int64_t) gp_began;

enum { AWAKE, NAPPING, ASLEEP };
static pthread_mutex_t worker_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(bool) worker_runs;
static _Atomic(uint32_t) worker_sleeps;

static _Atomic(int64_t) pending;
static _Atomic(uint64_t) soft_bound = FH_RCU_SOFT_BOUND, hard_bound;
static _Atomic(uint64_t) retired_elsewhere, reclaimed;
static _Atomic(uint64_t) over_soft, refused, worker_failures;
static _Atomic(uint64_t) tickets;

static void worker_start(void);

/* ---- lists ---- */

static bool push(struct fh_batch *batch, struct fh_rcu_head *first,
		 struct fh_rcu_head *last)
{
	struct fh_rcu_head *top = load_relaxed(&batch->open);

	do
		last->next = top;
	/* pairs with: reclaim.take */
	while (!cas_acq_rel_relaxed(&batch->open, &top, first));
	return top == NULL;
}

/* Append a list that has left its batch to the common one. */
static void push_common(struct fh_rcu_head *first)
{
	struct fh_rcu_head *last = first;

	if (!first)
		return;
	while (last->next)
		last = last->next;
	push(&common, first, last);
}

static bool try_busy(struct fh_batch *batch)
{
	/* pairs with: reclaim.busy */
	return !swap_acquire(&batch->busy, true);
}

static void wait_busy(struct fh_batch *batch)
{
	while (!try_busy(batch))
		sched_yield();
}

static void end_busy(struct fh_batch *batch)
{
	/* pairs with: reclaim.busy */
	store_release(&batch->busy, false);
}

static bool is_over(uint64_t cookie)
{
	/* pairs with: reclaim.completed */
	return load_acquire(&gp_completed) >= cookie;
}

/* ---- waking the worker ---- */

static void kick(void)
{
	fence_seq_cst();
	if (load_relaxed(&worker_sleeps) != AWAKE &&
	    swap_acq_rel(&worker_sleeps, AWAKE) != AWAKE)
		fh_wake_one(&worker_sleeps);
}

/* There is something to look after, though nothing urgent. */
static void notice(void)
{
	fence_seq_cst();
	if (unlikely(!load_relaxed(&worker_runs)))
		worker_start();
	if (unlikely(load_relaxed(&worker_sleeps) == ASLEEP))
		kick();
}

static void want(uint64_t cookie)
{
	uint64_t wanted = load_relaxed(&gp_wanted);

	while (wanted < cookie &&
	       !cas_acq_rel_relaxed(&gp_wanted, &wanted, cookie))
		;
	if (unlikely(!load_relaxed(&worker_runs)))
		worker_start();
	kick();
}

/* ---- the life of a batch ---- */

/* Law 2; returns the cookie of what was sealed, or 0.  Under busy. */
static uint64_t seal(struct fh_batch *batch)
{
	struct fh_rcu_head *list;
	uint64_t cookie;

	if (load_relaxed(&batch->waiting) || !load_relaxed(&batch->open))
		return 0;
	/* pairs with: reclaim.take */
	list = swap_acq_rel(&batch->open, NULL);
	fence_seq_cst();
	cookie = load_seq_cst(&gp_started) + 1;
	store_relaxed(&batch->waiting, list);
	store_relaxed(&batch->cookie, cookie);
	store_relaxed(&batch->sealed, load_relaxed(&batch->sealed) + 1);
	return cookie;
}

/* Move what has waited long enough to ready.  Under busy. */
static bool ripen(struct fh_batch *batch)
{
	uint64_t cookie = load_relaxed(&batch->cookie);

	if (cookie == 0 || load_relaxed(&batch->ticket) || !is_over(cookie))
		return false;
	store_relaxed(&batch->ticket, add_relaxed(&tickets, 1u) + 1);
	store_relaxed(&batch->ready, load_relaxed(&batch->waiting));
	store_relaxed(&batch->waiting, NULL);
	store_relaxed(&batch->cookie, 0u);
	return true;
}

static void account_ran(struct fh_thread *thread)
{
	add_relaxed(&reclaimed, thread->ran);
	add_relaxed(&pending, -(int64_t)thread->ran);
	thread->ran = 0;
}

/* Call the reclaim functions of what is ready; the caller made it so. */
static void run(struct fh_batch *batch)
{
	struct fh_thread *thread = fh_thread_self();
	struct fh_rcu_head *head = load_relaxed(&batch->ready);
	bool outer = thread->reclaiming;

	thread->reclaiming = true;
	while (head) {
		struct fh_rcu_head *next = head->next;

		store_relaxed(&batch->ready, next);
		thread->ran++;
		head->reclaim(head);
		head = next;
	}
	thread->reclaiming = outer;
	account_ran(thread);
	/* pairs with: reclaim.ran */
	store_release(&batch->ticket, 0u);
}

/* Move a batch on as far as it goes. */
static void turn(struct fh_batch *batch)
{
	bool ripe;
	uint64_t cookie;

	if (!try_busy(batch))
		return;
	ripe = ripen(batch);
	cookie = seal(batch);
	end_busy(batch);
	if (cookie)
		want(cookie);
	if (ripe)
		run(batch);
	if (ripe && batch == &common) {
		/* pairs with: reclaim.common_done */
		add_acq_rel(&common_done, 1u);
		fh_wake_all(&common_done);
	}
}

/* Move all but what is being run to the common batch. */
static void give_away(struct fh_batch *batch)
{
	struct fh_rcu_head *open, *waiting;

	wait_busy(batch);
	/* pairs with: reclaim.take */
	open = swap_acq_rel(&batch->open, NULL);
	waiting = load_relaxed(&batch->waiting);
	push_common(waiting);
	store_relaxed(&batch->waiting, NULL);
	store_relaxed(&batch->cookie, 0u);
	end_busy(batch);
	push_common(open);
}

/* ---- retiring ---- */

static unsigned report_step(void)
{
	uint64_t soft = load_relaxed(&soft_bound);

	if (load_relaxed(&hard_bound) || soft < 16)
		return 1;
	return soft / 16 < REPORT ? (unsigned)(soft / 16) : REPORT;
}

static void help(struct fh_thread *thread)
{
	kick();
	sched_yield();
	if (!thread->reclaiming)
		turn(&thread->batch);
}

/* Add what this thread retired to the common count; look at the bound. */
static void report(struct fh_thread *thread)
{
	int64_t count = thread->unreported;
	int64_t sum = add_relaxed(&pending, count) + count;

	thread->unreported = 0;
	if (likely(sum <= (int64_t)load_relaxed(&soft_bound)))
		return;
	add_relaxed(&over_soft, (uint64_t)count);
	help(thread);
}

static void account(struct fh_thread *thread)
{
	if (unlikely(thread->credit)) {
		thread->credit--;
		return;
	}
	if (unlikely(++thread->unreported >= REPORT ||
		     thread->unreported >= report_step()))
		report(thread);
}

static bool due(const struct fh_thread *thread)
{
	uint64_t cookie = load_relaxed(&thread->batch.cookie);

	return thread->unsealed >= BATCH && (cookie == 0 || is_over(cookie));
}

static void retire_common(struct fh_rcu_head *head)
{
	add_relaxed(&retired_elsewhere, 1u);
	add_relaxed(&pending, 1);
	push(&common, head, head);
	notice();
}

void fh_rcu_retire_later(struct fh_rcu_head *head,
			 void (*reclaim)(struct fh_rcu_head *head))
{
	head->reclaim = reclaim;
	retire_common(head);
}

void fh_rcu_retire(struct fh_rcu_head *head,
		   void (*reclaim)(struct fh_rcu_head *head))
{
	struct fh_thread *thread = fh_thread_self();

	head->reclaim = reclaim;
	fh_point("rcu.retire");
	if (unlikely(thread->mode != FH_THREAD_REGISTERED)) {
		retire_common(head);
		return;
	}
	store_relaxed(&thread->retired,
		      load_relaxed(&thread->retired) + 1);
	if (push(&thread->batch, head, head))
		notice();
	thread->unsealed++;
	account(thread);
	if (unlikely(due(thread)) && !thread->reclaiming) {
		thread->unsealed = 0;
		turn(&thread->batch);
	}
}

void fh_rcu_flush(void)
{
	struct fh_thread *thread = fh_thread_self();

	if (thread->reclaiming)
		return;
	if (thread->unreported)
		report(thread);
	thread->unsealed = 0;
	turn(&thread->batch);
}

static bool make_room(size_t objects, uint64_t bound)
{
	int64_t sum = add_relaxed(&pending, (int64_t)objects);

	if (sum + (int64_t)objects <= (int64_t)bound)
		return true;
	add_relaxed(&pending, -(int64_t)objects);
	return false;
}

int fh_rcu_admit(size_t objects)
{
	uint64_t bound = load_relaxed(&hard_bound);
	struct fh_thread *thread;
	size_t missing;

	if (likely(bound == 0))
		return 0;
	thread = fh_thread_self();
	if (thread->credit >= objects)
		return 0;
	missing = objects - thread->credit;
	if (thread->unreported)
		report(thread);
	if (!make_room(missing, bound)) {
		help(thread);
		if (!make_room(missing, bound)) {
			add_relaxed(&refused, 1u);
			return -EAGAIN;
		}
	}
	thread->credit = objects;
	return 0;
}

int fh_rcu_set_bounds(size_t soft, size_t hard)
{
	if (hard == 1)
		return -EINVAL;
	store_relaxed(&soft_bound, soft ? soft : FH_RCU_SOFT_BOUND);
	store_relaxed(&hard_bound, hard);
	return 0;
}

/* ---- grace periods and the worker ---- */

static void grace_period(void)
{
	uint64_t number;

	pthread_mutex_lock(&gp_lock);
	number = load_relaxed(&gp_started) + 1;
	store_relaxed(&gp_began, fh_now());
	store_seq_cst(&gp_started, number);
	fence_seq_cst();
	fh_point("gp.started");
	fh_rcu_synchronize();
	/* pairs with: reclaim.completed */
	store_release(&gp_completed, number);
	pthread_mutex_unlock(&gp_lock);
}

/* Take what was not sealed since the last look; true: something is left. */
static bool sweep(void)
{
	struct fh_thread *thread;
	bool left = false;

	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread; thread = thread->next) {
		struct fh_batch *batch = &thread->batch;
		struct fh_rcu_head *open = load_relaxed(&batch->open);
		struct fh_rcu_head *waiting = load_relaxed(&batch->waiting);

		if (!open && !waiting)
			thread->swept = false;
		else if (!thread->swept || thread->swept_at !=
			 load_relaxed(&batch->sealed))
			thread->swept = left = true;
		else
			give_away(batch);
		thread->swept_at = load_relaxed(&batch->sealed);
	}
	pthread_mutex_unlock(&fh_threads_lock);
	turn(&common);
	return left || load_relaxed(&common.open) ||
	       load_relaxed(&common.waiting);
}

static bool is_wanted(void)
{
	return load_seq_cst(&gp_wanted) > load_relaxed(&gp_completed);
}

static bool anything_retired(void)
{
	struct fh_thread *thread;
	bool any = load_seq_cst(&common.open) || load_relaxed(&common.waiting);

	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread && !any; thread = thread->next)
		any = load_seq_cst(&thread->batch.open) ||
		      load_relaxed(&thread->batch.waiting);
	pthread_mutex_unlock(&fh_threads_lock);
	return any;
}

/* Law 3: announce, fence, look again, sleep. */
static void nap(bool something_left)
{
	uint32_t how = something_left ? NAPPING : ASLEEP;

	store_seq_cst(&worker_sleeps, how);
	fence_seq_cst();
	if (!is_wanted() && (something_left || !anything_retired()))
		fh_wait_on(&worker_sleeps, how, something_left ?
			   fh_deadline_in(TICK_NS) : FH_FOREVER);
	store_relaxed(&worker_sleeps, AWAKE);
}

static void *worker(void *arg)
{
	int64_t looked = 0;
	bool left = true;

	for (;;) {
		int64_t now;

		if (is_wanted())
			grace_period();
		turn(&common);
		now = fh_now();
		if (now - looked >= TICK_NS) {
			left = sweep();
			looked = now;
		}
		if (!is_wanted())
			nap(left);
	}
	return arg;
}

/* A detached thread that no signal of the program reaches. */
static __attribute__((noinline)) void worker_start(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t id;
	int rc;

	if (pthread_mutex_trylock(&worker_lock) != 0)
		return; /* somebody is at it */
	if (!load_relaxed(&worker_runs) && pthread_attr_init(&attr) == 0) {
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		rc = pthread_create(&id, &attr, worker, NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		pthread_attr_destroy(&attr);
		if (rc == 0)
			store_relaxed(&worker_runs, true);
		else
			add_relaxed(&worker_failures, 1u);
	}
	pthread_mutex_unlock(&worker_lock);
}

/* ---- draining ---- */

/* Which batch of the common list will be the last to hold present garbage? */
static uint32_t gather(void)
{
	struct fh_thread *thread;
	uint32_t target;

	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread; thread = thread->next)
		give_away(&thread->batch);
	pthread_mutex_unlock(&fh_threads_lock);
	wait_busy(&common);
	target = (uint32_t)load_relaxed(&common.sealed) +
		 (load_relaxed(&common.open) != NULL);
	end_busy(&common);
	return target;
}

static bool drained(uint32_t target)
{
	/* pairs with: reclaim.common_done */
	return (int32_t)(load_acquire(&common_done) - target) >= 0;
}

static int wait_common(uint32_t target, int64_t deadline)
{
	while (!drained(target)) {
		uint32_t seen = load_acquire(&common_done);

		notice();
		kick();
		if (!load_relaxed(&worker_runs)) {
			turn(&common);
			grace_period();
			turn(&common);
		} else if (!drained(target) &&
			   fh_wait_on(&common_done, seen, deadline) < 0) {
			return drained(target) ? 0 : -ETIMEDOUT;
		}
	}
	return 0;
}

/* Is any thread still in reclaim functions that it began up to @ticket? */
static bool still_running(uint64_t ticket)
{
	struct fh_thread *thread;
	bool runs = false;

	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread && !runs; thread = thread->next) {
		/* pairs with: reclaim.ran */
		uint64_t its = load_acquire(&thread->batch.ticket);

		runs = its && its <= ticket;
	}
	pthread_mutex_unlock(&fh_threads_lock);
	return runs;
}

int fh_rcu_drain_wait(int64_t deadline)
{
	struct timespec pause = { .tv_nsec = 50000 };
	struct fh_thread *thread = fh_thread_self();
	uint32_t target;
	uint64_t ticket;
	int rc;

	if (fh_rcu_reading() || thread->reclaiming)
		return -EDEADLK;
	if (thread->unreported)
		report(thread);
	thread->unsealed = 0;
	target = gather();
	ticket = load_relaxed(&tickets);
	rc = wait_common(target, deadline);
	while (rc == 0 && still_running(ticket)) {
		if (fh_now() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return rc;
}

/* ---- threads that end, and fork ---- */

static void settle_accounts(struct fh_thread *thread)
{
	add_relaxed(&retired_elsewhere, load_relaxed(&thread->retired));
	store_relaxed(&thread->retired, 0u);
	account_ran(thread);
	add_relaxed(&pending, (int64_t)thread->unreported -
				      (int64_t)thread->credit);
	thread->unreported = 0;
	thread->credit = 0;
}

void fh_reclaim_thread_exits(struct fh_thread *thread)
{
	settle_accounts(thread);
	give_away(&thread->batch);
	/* What a reclaim function that ended its own thread left behind. */
	push_common(load_relaxed(&thread->batch.ready));
	memset(&thread->batch, 0, sizeof(thread->batch));
	thread->reclaiming = false;
	thread->unsealed = 0;
}

void fh_reclaim_notice(void)
{
	notice();
}

/*
 * In a forked child.  Whoever held busy is not here to end it, and may have
 * been between two stores of ripen or seal: a list can stand in two fields.
 */
void fh_reclaim_thread_vanished(struct fh_thread *thread)
{
	struct fh_batch *batch = &thread->batch;
	struct fh_rcu_head *waiting = load_relaxed(&batch->waiting);
	struct fh_rcu_head *ready = load_relaxed(&batch->ready);

	settle_accounts(thread);
	push_common(load_relaxed(&batch->open));
	push_common(waiting);
	if (ready != waiting)
		push_common(ready);
}

void fh_reclaim_before_fork(void)
{
	pthread_mutex_lock(&worker_lock);
	wait_busy(&common);
	pthread_mutex_lock(&gp_lock);
}

void fh_reclaim_after_fork_parent(void)
{
	pthread_mutex_unlock(&gp_lock);
	end_busy(&common);
	pthread_mutex_unlock(&worker_lock);
}

void fh_reclaim_after_fork_child(void)
{
	struct fh_rcu_head *rest = load_relaxed(&common.ready);

	store_relaxed(&worker_runs, false);
	store_relaxed(&worker_sleeps, AWAKE);
	if (load_relaxed(&common.ticket)) {
		store_relaxed(&common.ready, NULL);
		store_relaxed(&common.ticket, 0u);
		add_relaxed(&common_done, 1u);
		push_common(rest);
	}
	fh_reclaim_after_fork_parent();
}

/* ---- statistics ---- */

static void find_oldest(struct fh_rcu_stats *stats)
{
	struct fh_thread *thread;
	bool runs = load_relaxed(&gp_started) != load_relaxed(&gp_completed);

	for (thread = fh_threads; thread; thread = thread->next) {
		stats->threads++;
		stats->retired += load_relaxed(&thread->retired);
		if (stats->oldest_reader_ns || !fh_thread_reading(thread))
			continue;
		stats->oldest_reader = thread->tid;
		if (runs && fh_thread_holds_back(thread))
			stats->oldest_reader_ns =
				fh_now() - load_relaxed(&gp_began);
	}
}

void fh_rcu_get_stats(struct fh_rcu_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->flavour = FLAVOUR_NAME;
	stats->expedited = flavour_expedited();
	stats->reclaimed = load_relaxed(&reclaimed);
	stats->retired = load_relaxed(&retired_elsewhere);
	pthread_mutex_lock(&fh_threads_lock);
	find_oldest(stats);
	pthread_mutex_unlock(&fh_threads_lock);
	stats->pending = stats->retired > stats->reclaimed ?
				 stats->retired - stats->reclaimed : 0;
	stats->grace_periods = load_relaxed(&gp_completed);
	stats->soft_bound = load_relaxed(&soft_bound);
	stats->hard_bound = load_relaxed(&hard_bound);
	stats->over_soft = load_relaxed(&over_soft);
	stats->refused = load_relaxed(&refused);
	stats->worker_failures = load_relaxed(&worker_failures);
	if (stats->oldest_reader && !stats->oldest_reader_ns)
		want(load_seq_cst(&gp_started) + 1);
}
