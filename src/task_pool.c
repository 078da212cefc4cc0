/* SPDX-License-Identifier: MIT */
/*
 * task_pool: at most so many threads, created as they are needed.
 *
 * A pool has a fixed number of seats, and a thread of the pool sits on one.
 * Two sets of bits say which seats are vacant, and on which somebody sleeps:
 *
 *     vacant   1 1 1 1 0 0 0 0      idle   0 0 0 0 0 1 0 1
 *                      ^ four threads             ^   ^ two of them asleep
 *
 *     set      a bit is set by               and cleared by
 *     vacant   who leaves the seat, who      who takes the seat, to create a
 *              could not create a thread     thread for it
 *     idle     who sits there, before it     who wakes it; itself, when it is
 *              sleeps                        awake
 *
 * Clearing a bit is one atomic step that shows what was there: so a seat is
 * taken once, which bounds the pool, and a sleeper is woken by one waker.  A
 * bit has no history, so nothing can be mistaken for what it was before.
 *
 * Laws
 *
 *  1. No task is forgotten.  Who queues one fences, then looks for a sleeper
 *     to wake, then for a seat to fill.  If it finds neither, each seat's
 *     thread is awake, or is being created, or leaves.  Each of these looks
 *     at the queue later: a thread before it sleeps, after it has set its
 *     bit and fenced; who leaves, or failed to create one, after it has set
 *     the bit of the vacant seat and fenced.
 *  2. A thread that cannot be created is a failure of tasks only if no seat
 *     is taken: then nobody else will look, and what is in the queue fails
 *     with what pthread_create said.  Otherwise the task waits for its turn.
 *  3. A waker clears the bit first and sets `park` afterwards.  It may come
 *     late, when the thread has woken by itself and sleeps again: that wakes
 *     it in vain, and it finds its own bit set, and clears it.  Whoever finds
 *     a bit cleared by another knows that its owner looks at the queue after
 *     that, because it looks after each of its own sleeps and before each.
 *
 * The lowest bit is taken first, so that few threads run and the others
 * sleep on.
 */
#include "task_internal.h"
#include "wait.h"

#include <errno.h>
#include <stdlib.h>

enum { AWAKE, ASLEEP };

/* ---- sets of seats ---- */

static uint64_t bit_of(unsigned seat)
{
	return UINT64_C(1) << seat % 64;
}

static void set_bit(atomic_u64 *set, unsigned seat)
{
	/* pairs with: pool.bits */
	or_acq_rel(&set[seat / 64], bit_of(seat));
}

/* True: the caller cleared it. */
static bool clear_bit(atomic_u64 *set, unsigned seat)
{
	/* pairs with: pool.bits */
	return (and_acq_rel(&set[seat / 64], ~bit_of(seat)) & bit_of(seat)) !=
	       0;
}

/* Clear the lowest bit that is set, and say which. */
static unsigned take_bit(struct fh_tasks *tasks, atomic_u64 *set)
{
	unsigned i, seat;
	uint64_t bits;

	for (i = 0; i < tasks->seat_words; i++)
		while ((bits = load_relaxed(&set[i]))) {
			seat = i * 64 + (unsigned)__builtin_ctzll(bits);
			if (clear_bit(set, seat))
				return seat;
		}
	return NO_SEAT;
}

static bool all_vacant(struct fh_tasks *tasks)
{
	unsigned i, seats = 0;

	for (i = 0; i < tasks->seat_words; i++)
		seats += (unsigned)__builtin_popcountll(
			load_relaxed(&tasks->vacant[i]));
	return seats == tasks->options.threads;
}

/* ---- creation ---- */

int fh_pool_create(struct fh_tasks *tasks)
{
	unsigned i, seats = tasks->options.threads;

	if (seats == 0)
		return 0;
	tasks->seat_words = (seats + 63) / 64;
	tasks->idle = calloc(2 * tasks->seat_words, sizeof(*tasks->idle));
	tasks->seat = calloc(seats, sizeof(*tasks->seat));
	if (!tasks->idle || !tasks->seat)
		return -ENOMEM;
	tasks->vacant = tasks->idle + tasks->seat_words;
	for (i = 0; i < seats; i++)
		set_bit(tasks->vacant, i);
	return 0;
}

void fh_pool_destroy(struct fh_tasks *tasks)
{
	free(tasks->idle);
	free(tasks->seat);
}

/* ---- waking ---- */

static void wake_seat(struct seat *seat)
{
	fh_point("pool.claimed");
	if (swap_relaxed(&seat->park, AWAKE) == ASLEEP)
		fh_wake_one(&seat->park);
}

static bool wake_one(struct fh_tasks *tasks)
{
	unsigned seat = take_bit(tasks, tasks->idle);

	if (seat == NO_SEAT)
		return false;
	wake_seat(&tasks->seat[seat]);
	return true;
}

void fh_pool_wake_all(struct fh_tasks *tasks)
{
	fence_seq_cst();
	while (wake_one(tasks))
		;
}

/* ---- staff ---- */

static int hire(struct fh_tasks *tasks, unsigned seat)
{
	struct task_thread *thread = malloc(sizeof(*thread));
	int rc;

	if (!thread)
		return -ENOMEM;
	*thread = (struct task_thread){ .tasks = tasks, .seat = seat };
	rc = fh_task_thread_start(thread);
	if (rc)
		free(thread);
	return rc;
}

/* Law 2. */
static void refuse_all(struct fh_tasks *tasks, int error)
{
	struct fh_task *task;

	while ((task = fh_task_queue_next(&tasks->pooled))) {
		fh_task_refuse(task, error);
		fh_task_release(task);
	}
}

/* Law 1. */
void fh_pool_staff(struct fh_tasks *tasks)
{
	unsigned seat;
	int rc;

	fence_seq_cst();
	if (wake_one(tasks))
		return;
	seat = take_bit(tasks, tasks->vacant);
	if (seat == NO_SEAT)
		return;
	rc = hire(tasks, seat);
	if (rc == 0)
		return;
	set_bit(tasks->vacant, seat);
	fence_seq_cst();
	if (all_vacant(tasks))
		refuse_all(tasks, rc);
}

/* ---- the life of a thread ---- */

/* Nothing to do: false when there never will be. */
static bool rest(struct fh_tasks *tasks, unsigned number)
{
	struct seat *seat = &tasks->seat[number];
	bool drained;

	store_relaxed(&seat->park, ASLEEP);
	set_bit(tasks->idle, number);
	fence_seq_cst();
	drained = fh_tasks_are_drained(tasks);
	fh_point("pool.idle");
	if (!drained && fh_task_queue_is_empty(&tasks->pooled))
		while (load_relaxed(&seat->park) == ASLEEP)
			fh_wait_on(&seat->park, ASLEEP, FH_FOREVER);
	clear_bit(tasks->idle, number);
	return !drained;
}

/* A cancellation that came when the function had returned hits nobody. */
static void be_cancelled_here(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	pthread_testcancel();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
}

void fh_pool_serve(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;
	struct fh_task *task;

	/* pairs with: seat.thread */
	store_release(&tasks->seat[thread->seat].thread, thread);
	do {
		while ((task = fh_task_queue_next(&tasks->pooled))) {
			fh_task_run(thread, task);
			be_cancelled_here();
		}
	} while (rest(tasks, thread->seat));
}

void fh_pool_leave(struct task_thread *thread)
{
	struct fh_tasks *tasks = thread->tasks;
	unsigned seat = thread->seat;

	store_relaxed(&tasks->seat[seat].thread, NULL);
	thread->seat = NO_SEAT;
	clear_bit(tasks->idle, seat);
	set_bit(tasks->vacant, seat);
	fence_seq_cst();
	if (!fh_task_queue_is_empty(&tasks->pooled))
		fh_pool_staff(tasks);
}
