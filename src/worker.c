/* SPDX-License-Identifier: MIT */
/*
 * worker: grace periods, the thread that runs them, and draining.
 *
 * One detached thread of the library runs grace periods while somebody wants
 * one, and reclaims the common batch.  Every few milliseconds it moves to
 * common what has lain in a thread's batch without being sealed since its
 * last look, so that nothing waits for ever in a half-full batch.  When
 * nothing is retired anywhere it sleeps until somebody retires something.
 *
 * Laws
 *
 *  1. Grace periods are numbered, and run one at a time under gp_lock.
 *     `started` is stored before the readers are looked for (law 2 of
 *     batch.c), `completed` after the last of them has left.
 *  2. No lost wake-up of the worker.  It announces its sleep, fences, and
 *     looks once more for work and for a call; whoever makes work or calls
 *     fences and then looks for the announcement.  The worker takes a call
 *     before it does what the call may be about.
 *  3. A drain first moves every batch to common, under the lock that an
 *     exiting thread takes too, and then waits for the batch of common that
 *     can be the last to hold any of it.  Reclaim functions that were running
 *     by then on other threads it waits for by their tickets.  If an exit cut
 *     such a run short meanwhile, the rest went to common, and it starts
 *     over.
 *
 * Where the worker cannot be created, each request tries again; garbage
 * grows until the hard bound or a drain, which runs the grace period itself.
 */
#include "rcu_internal.h"

#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#define TICK_NS INT64_C(10000000)

_Atomic(uint64_t) fh_gp_started, fh_gp_completed;
_Atomic(int64_t) fh_gp_began;
_Atomic(uint64_t) fh_worker_failures;

static pthread_mutex_t gp_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(uint64_t) gp_wanted;

/*
 * A worker that is STARTING may fail to: only one that is RUNNING will wake
 * whoever sleeps for it.
 */
enum { ABSENT, STARTING, RUNNING };
enum { AWAKE, NAPPING, ASLEEP };
static pthread_mutex_t worker_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(uint32_t) worker_state;
static _Atomic(uint32_t) worker_sleeps;
static _Atomic(bool) worker_called;

static void worker_start(void);

/* ---- grace periods ---- */

static void grace_period(void)
{
	uint64_t number;

	pthread_mutex_lock(&gp_lock);
	number = load_relaxed(&fh_gp_started) + 1;
	store_relaxed(&fh_gp_began, fh_now());
	store_seq_cst(&fh_gp_started, number);
	fence_seq_cst();
	fh_point("gp.started");
	fh_rcu_synchronize();
	/* pairs with: gp.completed */
	store_release(&fh_gp_completed, number);
	pthread_mutex_unlock(&gp_lock);
}

static bool is_wanted(void)
{
	return load_seq_cst(&gp_wanted) > load_relaxed(&fh_gp_completed);
}

static void want(uint64_t cookie)
{
	uint64_t wanted = load_relaxed(&gp_wanted);

	while (wanted < cookie &&
	       !cas_acq_rel_relaxed(&gp_wanted, &wanted, cookie))
		;
}

void fh_gp_want(uint64_t cookie)
{
	want(cookie);
	if (unlikely(!fh_worker_runs()))
		worker_start();
	fh_worker_kick();
}

/* ---- waking the worker ---- */

bool fh_worker_runs(void)
{
	return load_relaxed(&worker_state) == RUNNING;
}

void fh_worker_kick(void)
{
	store_relaxed(&worker_called, true);
	fence_seq_cst();
	if (load_relaxed(&worker_sleeps) != AWAKE &&
	    swap_acq_rel(&worker_sleeps, AWAKE) != AWAKE)
		fh_wake_one(&worker_sleeps);
}

void fh_worker_notice(void)
{
	fence_seq_cst();
	if (unlikely(!fh_worker_runs()))
		worker_start();
	if (unlikely(load_relaxed(&worker_sleeps) == ASLEEP))
		fh_worker_kick();
}

/* ---- what the worker does ---- */

/* Look at one thread's batch; true: something is left in it. */
static bool sweep_thread(struct fh_thread *thread)
{
	struct fh_batch *batch = &thread->batch;
	uint64_t sealed = load_relaxed(&batch->sealed);
	bool any = load_relaxed(&batch->open) || load_relaxed(&batch->waiting);
	bool idle = any && thread->swept && thread->swept_at == sealed;

	thread->swept = any && !idle;
	thread->swept_at = sealed;
	if (idle) {
		fh_thread_report_other(thread);
		fh_batch_give_away(batch);
	}
	return any && !idle;
}

/* Take what was not sealed since the last look; true: something is left. */
static bool sweep(void)
{
	struct fh_thread *thread;
	bool left = false;

	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread; thread = thread->next)
		left |= sweep_thread(thread);
	pthread_mutex_unlock(&fh_threads_lock);
	fh_batch_turn(&fh_common);
	return left || load_relaxed(&fh_common.open) ||
	       load_relaxed(&fh_common.waiting);
}

static bool anything_retired(void)
{
	struct fh_thread *thread;
	bool any = load_seq_cst(&fh_common.open) ||
		   load_relaxed(&fh_common.waiting);

	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread && !any; thread = thread->next)
		any = load_seq_cst(&thread->batch.open) ||
		      load_relaxed(&thread->batch.waiting);
	pthread_mutex_unlock(&fh_threads_lock);
	return any;
}

/* Law 2: announce, fence, look again, sleep.  False: there was work. */
static bool sleep_as(uint32_t how)
{
	int64_t deadline = how == ASLEEP ? FH_FOREVER :
					   fh_deadline_in(TICK_NS);
	bool work;

	store_seq_cst(&worker_sleeps, how);
	fence_seq_cst();
	work = load_relaxed(&worker_called) || is_wanted() ||
	       (how == ASLEEP && anything_retired());
	if (!work)
		fh_wait_on(&worker_sleeps, how, deadline);
	store_relaxed(&worker_sleeps, AWAKE);
	return !work;
}

static void *worker(void *arg)
{
	int64_t looked = 0;
	bool left = true;

	fh_thread_self()->worker = true;
	for (;;) {
		int64_t now;

		swap_seq_cst(&worker_called, false);
		if (is_wanted())
			grace_period();
		fh_batch_turn(&fh_common);
		now = fh_now();
		if (now - looked >= TICK_NS) {
			left = sweep();
			looked = now;
		}
		if (!is_wanted())
			left = !sleep_as(left ? NAPPING : ASLEEP) || left;
	}
	return arg;
}

/* A reclaim function ended it: the next request starts another. */
static void worker_ended(void *arg)
{
	(void)arg;
	store_relaxed(&worker_state, ABSENT);
}

static void *worker_main(void *arg)
{
	pthread_cleanup_push(worker_ended, NULL);
	arg = worker(arg);
	pthread_cleanup_pop(1);
	return arg;
}

/* A detached thread that no signal of the program reaches. */
static int create_worker(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t id;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&id, &attr, worker_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

static void try_to_start(void)
{
	uint32_t starting = STARTING;

	if (load_relaxed(&worker_state) != ABSENT)
		return;
	store_relaxed(&worker_state, STARTING);
	if (create_worker() == 0) {
		cas_relaxed(&worker_state, &starting, RUNNING);
	} else {
		store_relaxed(&worker_state, ABSENT);
		add_relaxed(&fh_worker_failures, 1u);
	}
}

/*
 * Whoever finds somebody at it leaves the request to them: it is announced
 * before the lock is tried, and looked for after the lock is left.
 */
static __attribute__((noinline)) void worker_start(void)
{
	static _Atomic(bool) asked;

	store_relaxed(&asked, true);
	fence_seq_cst();
	while (load_relaxed(&asked) &&
	       pthread_mutex_trylock(&worker_lock) == 0) {
		store_relaxed(&asked, false);
		try_to_start();
		pthread_mutex_unlock(&worker_lock);
		fence_seq_cst();
	}
}

/* ---- draining ---- */

/* Which batch of the common list will be the last to hold present garbage? */
static uint32_t gather(uint64_t *strays)
{
	struct fh_thread *thread;
	uint32_t target;

	pthread_mutex_lock(&fh_threads_lock);
	*strays = load_relaxed(&fh_counts.strays);
	for (thread = fh_threads; thread; thread = thread->next) {
		fh_thread_report_other(thread);
		fh_batch_give_away(&thread->batch);
	}
	pthread_mutex_unlock(&fh_threads_lock);
	fh_batch_wait_busy(&fh_common);
	target = (uint32_t)load_relaxed(&fh_common.sealed) +
		 (load_relaxed(&fh_common.open) != NULL);
	fh_batch_end_busy(&fh_common);
	return target;
}

static bool drained(uint32_t target)
{
	/* pairs with: batch.common_done */
	uint32_t done = load_acquire(&fh_counts.common_done);

	return (int32_t)(done - target) >= 0;
}

/* Has every thread been found not reading since look number @look began? */
static bool all_were_idle(uint64_t look)
{
	bool all = !fh_rcu_unhooked_reading();
	struct fh_thread *thread;

	pthread_mutex_lock(&fh_threads_lock);
	for (thread = fh_threads; thread; thread = thread->next) {
		if (thread->idle_at != look && !fh_thread_reading(thread))
			thread->idle_at = look;
		all &= thread->idle_at == look;
	}
	pthread_mutex_unlock(&fh_threads_lock);
	return all;
}

/*
 * A grace period cannot be given up once it runs.  So wait, while the
 * deadline allows it, until every reader that might hold it up has left.
 */
static int drain_without_worker(int64_t deadline)
{
	static _Atomic(uint64_t) looks;
	uint64_t look = add_relaxed(&looks, 1u) + 1;
	struct timespec pause = { .tv_nsec = 500000 };

	fh_batch_turn(&fh_common);
	while (!all_were_idle(look)) {
		if (fh_now() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	grace_period();
	fh_batch_turn(&fh_common);
	return 0;
}

/* Another thread is creating the worker; nobody wakes us if that fails. */
static int look_again_soon(int64_t deadline)
{
	struct timespec pause = { .tv_nsec = 50000 };

	if (fh_now() >= deadline)
		return -ETIMEDOUT;
	nanosleep(&pause, NULL);
	return 0;
}

static int wait_common(uint32_t target, int64_t deadline)
{
	int rc;

	while (!drained(target)) {
		uint32_t seen = load_acquire(&fh_counts.common_done);

		fh_worker_notice();
		fh_worker_kick();
		if (drained(target))
			break;
		if (fh_worker_runs())
			rc = fh_wait_on(&fh_counts.common_done, seen,
					deadline);
		else if (load_relaxed(&worker_state) == STARTING)
			rc = look_again_soon(deadline);
		else
			rc = drain_without_worker(deadline);
		if (rc < 0)
			return drained(target) ? 0 : rc;
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
		/* pairs with: batch.ran */
		uint64_t its = load_acquire(&thread->batch.ticket);

		runs = its && its <= ticket;
	}
	pthread_mutex_unlock(&fh_threads_lock);
	return runs;
}

static int drain_once(int64_t deadline, uint64_t *strays)
{
	struct timespec pause = { .tv_nsec = 50000 };
	uint32_t target = gather(strays);
	uint64_t ticket = load_relaxed(&fh_counts.tickets);
	int rc = wait_common(target, deadline);

	while (rc == 0 && still_running(ticket)) {
		if (fh_now() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return rc;
}

int fh_rcu_drain_wait(int64_t deadline)
{
	struct fh_thread *thread = fh_thread_self();
	uint64_t strays;
	int rc;

	if (fh_rcu_reading() || thread->reclaiming)
		return -EDEADLK;
	thread->unsealed = 0;
	do
		rc = drain_once(deadline, &strays);
	while (rc == 0 && strays != load_relaxed(&fh_counts.strays));
	return rc;
}

/* ---- fork ---- */

void fh_worker_before_fork(void)
{
	pthread_mutex_lock(&worker_lock);
	pthread_mutex_lock(&gp_lock);
	fh_batch_wait_busy(&fh_common);
}

void fh_worker_after_fork(bool child)
{
	if (child) {
		store_relaxed(&worker_state, ABSENT);
		store_relaxed(&worker_sleeps, AWAKE);
		/* Who sealed the common batch may not have asked yet. */
		want(load_relaxed(&fh_common.cookie));
	}
	fh_batch_end_busy(&fh_common);
	pthread_mutex_unlock(&gp_lock);
	pthread_mutex_unlock(&worker_lock);
}
