/* SPDX-License-Identifier: MIT */
/*
 * Schedules of read sections and retired objects: a reader must never see an
 * object that was reclaimed, on whatever thread and by whatever way it came
 * there, and what is retired is reclaimed without anybody asking for it.
 */
#include "schedule_rcu.h"

/* ---- a reader, and one who unlinks, retires and reclaims ---- */

static void nested_reader(void)
{
	fh_rcu_read_lock();
	read_shared();
	read_shared();
	expect(fh_rcu_reading(), "an inner section ended the outer one");
	fh_rcu_read_unlock();
	expect(!fh_rcu_reading(), "a section did not end");
}

/* It holds the object while the inner section comes and goes. */
static void reader_around(void)
{
	struct object *object;

	fh_rcu_read_lock();
	object = load_acquire(&shared);
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	if (object)
		expect(object->value == ALIVE, "a reader sees no object");
	fh_rcu_read_unlock();
}

/* Its second section finds its exit hooked. */
static void reader_who_registers(void)
{
	reader_around();
	read_shared();
}

/* It holds up a grace period until the object is retired and sealed. */
static _Atomic(uint32_t) sealed;

static void holder(void)
{
	fh_rcu_read_lock();
	fh_wait_on(&sealed, 0, FH_FOREVER);
	fh_rcu_read_unlock();
}

static void retirer(void)
{
	struct object *object = publish(0);

	unlink_shared();
	object_retire(object);
}

static void flusher(void)
{
	retirer();
	fh_rcu_flush();
}

/* It reclaims what it retired, as soon as that is ripe. */
static void reclaimer(void)
{
	retirer();
	flush_all();
}

static void ask_for_grace(void)
{
	fh_gp_want(1);
}

/* What is published before the threads is theirs to unlink. */
static struct object *published;

static void publish_and_ask(void)
{
	published = publish(0);
	ask_for_grace();
}

/*
 * The first retirement of a batch fences for the worker's sake, so that the
 * second tells whether sealing does.  The grace period begins in between.
 */
static void retire_published(void)
{
	retire_new(1);
	sched_yield();
	unlink_shared();
	object_retire(published);
	fh_rcu_flush();
	store_relaxed(&sealed, 1);
	fh_wake_all(&sealed);
	await_grace_periods(1);
	fh_rcu_flush();
}

/* ---- and one who lives on, and does nothing more ---- */

static void idle_retirer(void)
{
	retirer();
	rest_until_reclaimed(1);
}

/* Two objects, another thread's among them. */
static void idle_two(void)
{
	retirer();
	rest_until_reclaimed(2);
}

static void idle_flusher(void)
{
	flusher();
	rest_until_reclaimed(1);
}

static void second_retirer(void)
{
	retire_new(1);
	flush_all();
}

static void later(void)
{
	struct object *object = object_new(0);

	add_relaxed(&live, 1);
	fh_rcu_retire_later(&object->rcu, object_free);
	rest_until_reclaimed(1);
}

static void wisher(void)
{
	int64_t start = fh_now();

	fh_gp_want(1);
	await_grace_periods(1);
	expect(fh_now() == start, "the worker was not woken");
}

static void second_wisher(void)
{
	fh_gp_want(2);
	await_grace_periods(2);
}

static void refuse_threads(void)
{
	model_refuses_threads = true;
}

static void refuse_and_ask(void)
{
	refuse_hooks();
	fh_gp_want(1);
}

/* A request that comes when threads can be had is not lost to one before. */
static void allow_and_ask(void)
{
	model_lets_threads();
	fh_worker_notice();
}

static void worker_is_there(void)
{
	expect(fh_worker_runs() && model_registered() == 1,
	       "nobody has created the worker");
}

static const struct scenario scenarios[] = {
	{ "reader | retire, flush, reclaim",
	  .thread = { read_shared, reclaimer }, .preemptions = 1,
	  .leaks = true },
	{ "reader | retire, flush, reclaim beside a grace period",
	  .setup = ask_for_grace, .thread = { read_shared, reclaimer },
	  .preemptions = 1, .leaks = true },
	{ "reader that comes later | retire beside a grace period held up",
	  .setup = publish_and_ask,
	  .thread = { holder, reader_around, retire_published },
	  .preemptions = 1, .leaks = true },
	{ "two sections | retire, flush",
	  .thread = { read_twice, flusher }, .preemptions = 1,
	  .leaks = true },
	{ "nested sections | retire, flush",
	  .thread = { nested_reader, flusher }, .preemptions = 1,
	  .leaks = true },
	{ "reader around a section | retire, flush",
	  .thread = { reader_around, flusher }, .preemptions = 1,
	  .leaks = true },
	{ "readers whose first sections are unhooked | retire, flush",
	  .thread = { reader_who_registers, flusher }, .preemptions = 1,
	  .failures = 1, .leaks = true },
	{ "worker falls asleep | retire, and no more",
	  .setup = start_worker, .thread = { idle_retirer, settle },
	  .finish = all_is_reclaimed },
	{ "worker falls asleep | retire, flush, and no more",
	  .setup = start_worker, .thread = { idle_flusher, settle },
	  .finish = all_is_reclaimed },
	{ "worker falls asleep | work for itself",
	  .setup = start_worker, .thread = { later, settle },
	  .finish = all_is_reclaimed },
	{ "worker falls asleep | a wish for a grace period",
	  .setup = start_worker, .thread = { wisher } },
	{ "no thread can be had: ask | now one can, ask",
	  .setup = refuse_threads,
	  .thread = { start_worker, allow_and_ask, settle },
	  .finish = worker_is_there },
	{ "two wishes for grace periods",
	  .setup = start_worker, .thread = { wisher, second_wisher },
	  .preemptions = 1 },
	{ "retire, and no more | retire, flush, reclaim, exit",
	  .setup = start_worker,
	  .thread = { idle_two, second_retirer, settle },
	  .preemptions = 1, .finish = all_is_reclaimed },
	{ "reader | sweeps of what was retired",
	  .thread = { read_shared, idle_retirer, settle }, .preemptions = 1,
	  .finish = all_is_reclaimed },
	{ "unhooked reader | retire",
	  .setup = refuse_hooks,
	  .thread = { read_shared, idle_flusher, settle },
	  .preemptions = 1, .finish = all_is_reclaimed },
	{ "unhooked reader | retire beside a grace period",
	  .setup = refuse_and_ask, .thread = { read_shared, flusher },
	  .preemptions = 1, .leaks = true },
	{ "unhooked retire | unhooked retire",
	  .setup = refuse_hooks, .thread = { retire_0, retire_1, settle },
	  .preemptions = 1, .finish = all_is_reclaimed },
	{ "two unhooked readers | retire",
	  .setup = refuse_hooks,
	  .thread = { read_shared, read_shared, idle_flusher, settle },
	  .preemptions = 1, .finish = all_is_reclaimed },
	{ "unhooked reader around a section | retire",
	  .setup = refuse_hooks, .thread = { reader_around, flusher },
	  .preemptions = 1, .leaks = true },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(*scenarios));
}
