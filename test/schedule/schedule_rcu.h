/* SPDX-License-Identifier: MIT */
/*
 * What the scenarios of the rcu room share: objects that say when they were
 * reclaimed, and checks of what stands still at the end.
 *
 * The library's own thread runs beside the threads of each scenario.  Time
 * passes only when nobody can run: so what waits for a wake-up that was lost
 * is seen by the clock, which then moves, or by the machine, which finds that
 * nobody can ever run again.
 */
#ifndef FH_SCHEDULE_RCU_H
#define FH_SCHEDULE_RCU_H

#include "schedule.h"
#include "urcu_model.h"

#include "rcu_internal.h"
#include "wait.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OBJECTS 8
#define ALIVE 77
#define SECOND INT64_C(1000000000)
#define TICK INT64_C(10000000)	/* the worker looks around that often */

struct object {
	struct fh_rcu_head rcu;
	int value;
	unsigned index;
};

/* What readers find. */
static _Atomic(struct object *) shared;

/* Plain: who reads it must be ordered after the reclaim function. */
static bool reclaimed[OBJECTS];

/* Which objects have been retired, for who must not be told too much. */
static _Atomic(bool) retired[OBJECTS];

/* Retired and not reclaimed, and how many were reclaimed. */
static _Atomic(int) live, ended;
static int most_live = OBJECTS;

static inline void object_free(struct fh_rcu_head *head)
{
	struct object *object = (struct object *)head;

	/* No other thread runs in between: fork must not cut this in two. */
	expect(object->value == ALIVE, "this is no object");
	object->value = 0;
	reclaimed[object->index] = true;
	add_relaxed(&live, -1);
	add_relaxed(&ended, 1);
	free(object);
}

static inline struct object *object_new(unsigned index)
{
	struct object *object = model_alloc(sizeof(*object));

	object->value = ALIVE;
	object->index = index;
	return object;
}

static inline void object_retire(struct object *object)
{
	unsigned index = object->index;

	expect(add_relaxed(&live, 1) < most_live, "more than the hard bound");
	fh_rcu_retire(&object->rcu, object_free);
	store_release(&retired[index], true);
}

static inline void retire_new(unsigned index)
{
	object_retire(object_new(index));
}

/* Whoever reads must not see it reclaimed, whatever else it sees. */
static inline void read_shared(void)
{
	struct object *object;

	fh_rcu_read_lock();
	object = load_acquire(&shared);
	if (object)
		expect(object->value == ALIVE, "a reader sees no object");
	fh_rcu_read_unlock();
}

static inline struct object *publish(unsigned index)
{
	struct object *object = object_new(index);

	store_release(&shared, object);
	return object;
}

static inline void unlink_shared(void)
{
	store_relaxed(&shared, NULL);
}

/* Until nothing of the calling thread's waits; it learns nothing else. */
static inline void flush_all(void)
{
	struct fh_batch *batch = &fh_thread_self()->batch;

	while (load_relaxed(&batch->open) || load_relaxed(&batch->waiting)) {
		fh_rcu_flush();
		sched_yield();
	}
}

/* It is the worker who runs them. */
static inline void await_grace_periods(uint64_t number)
{
	while (load_relaxed(&fh_gp_completed) < number)
		sched_yield();
}

/* Until nobody has had anything to do for so long. */
static inline void rest_for(int64_t nanoseconds)
{
	static _Atomic(uint32_t) never;

	fh_wait_on(&never, 0, fh_deadline_in(nanoseconds));
}

/* What was retired must be gone then, though nobody asks for it. */
static inline void rest_until_reclaimed(int objects)
{
	rest_for(SECOND);
	/* An update reads the last value. */
	expect(add_relaxed(&ended, OBJECTS) == objects,
	       "nobody reclaims garbage");
	add_relaxed(&ended, -OBJECTS);
}

/* The last thread of a scenario that is checked when all is at rest. */
static inline void settle(void)
{
	rest_for(60 * SECOND);
}

/*
 * A drain must reclaim what was retired before it.  It needs no time, but for
 * short naps while it runs grace periods itself.
 */
static inline void drain(void)
{
	bool before[OBJECTS];
	int64_t start = fh_now();
	unsigned i;

	for (i = 0; i < OBJECTS; i++)
		before[i] = load_acquire(&retired[i]);
	expect(fh_rcu_drain_wait(FH_FOREVER) == 0, "a drain fails");
	for (i = 0; i < OBJECTS; i++)
		expect(!before[i] || reclaimed[i],
		       "a drain left object %u", i);
	expect(fh_now() - start < TICK, "a drain waited for the next tick");
}

/* ---- threads, and beginnings, of several programs ---- */

static inline void read_twice(void)
{
	read_shared();
	read_shared();
}

static _Atomic(bool) inside;

/* A reader who stays a second, and who waits for it to be there. */
static inline void stay_inside(void)
{
	fh_rcu_read_lock();
	store_release(&inside, true);
	rest_for(SECOND);
	fh_rcu_read_unlock();
}

static inline void await_reader(void)
{
	while (!load_acquire(&inside))
		sched_yield();
}

static inline void retire_0(void)
{
	retire_new(0);
}

static inline void retire_1(void)
{
	retire_new(1);
}

static inline void retire_both(void)
{
	retire_new(0);
	retire_new(1);
}

/* Threads whose exits cannot be hooked. */
static inline void refuse_hooks(void)
{
	model_refuses_hooks = true;
}

/* The worker is about to fall asleep. */
static inline void start_worker(void)
{
	fh_worker_notice();
}

/* ---- what must hold in the end ---- */

/* At rest, when all threads of the scenario are gone. */
static inline void counts_are_exact(void)
{
	struct fh_rcu_stats stats;
	int alive = load_relaxed(&live);

	fh_rcu_get_stats(&stats);
	expect(load_relaxed(&fh_counts.pending) == alive,
	       "%d objects wait, and %d are counted", alive,
	       (int)load_relaxed(&fh_counts.pending));
	expect((int)stats.pending == alive,
	       "%d objects wait, and the statistics say %d", alive,
	       (int)stats.pending);
	expect((int)stats.retired == alive + load_relaxed(&ended),
	       "the statistics count %d objects", (int)stats.retired);
	expect(model_registered() <= 1, "there are two workers");
	expect(stats.threads == model_registered(),
	       "the statistics count %u threads", (unsigned)stats.threads);
}

/* The same, and nothing is left. */
static inline void all_is_reclaimed(void)
{
	expect(load_relaxed(&live) == 0, "%d objects were left behind",
	       load_relaxed(&live));
	counts_are_exact();
}

#endif
