/* SPDX-License-Identifier: MIT */
/*
 * Schedules of draining, of threads that end, and of fork: when a drain
 * returns, whatever was retired before it is reclaimed, wherever it was.
 */
#include "schedule_rcu.h"

/* ---- drains beside one who retires, reclaims, exits ---- */

static void retire_flush(void)
{
	retire_new(0);
	fh_rcu_flush();
}

static void reclaim_own(void)
{
	retire_new(0);
	flush_all();
}

static void reclaim_two(void)
{
	retire_both();
	flush_all();
}

static void retire_and_drain(void)
{
	retire_new(1);
	drain();
}

static void unlinker(void)
{
	struct object *object = publish(0);

	unlink_shared();
	object_retire(object);
	drain();
	expect(reclaimed[0], "a drain forgot its own thread's object");
}

static void drain_twice(void)
{
	drain();
	drain();
}

/* ---- sections ---- */

static void reader_that_exits(void)
{
	fh_rcu_read_lock();
}

/* The reader leaves a second later. */
static void drain_with_deadline(void)
{
	int64_t deadline;

	await_reader();
	retire_new(0);
	deadline = fh_deadline_in(SECOND / 10);
	expect(fh_rcu_drain_wait(deadline) == -ETIMEDOUT,
	       "a drain did not wait for a reader");
	expect(fh_now() >= deadline && fh_now() < deadline + SECOND / 10,
	       "a drain ended at another time than its deadline");
	expect(!reclaimed[0], "an object was reclaimed beside a reader");
	expect(fh_rcu_drain_wait(FH_FOREVER) == 0, "a drain fails");
	expect(reclaimed[0], "a drain left an object");
}

static void drain_within(void)
{
	fh_rcu_read_lock();
	expect(fh_rcu_drain_wait(FH_FOREVER) == -EDEADLK,
	       "a drain inside a section waits for itself");
	fh_rcu_read_unlock();
	drain();
}

/* ---- reclaim functions that retire, or end their thread ---- */

static void free_and_retire(struct fh_rcu_head *head)
{
	object_free(head);
	expect(fh_rcu_drain_wait(FH_FOREVER) == -EDEADLK,
	       "a drain inside a reclaim function waits for itself");
	retire_new(1);
	fh_rcu_flush();
}

static void chain(void)
{
	struct object *object = object_new(0);

	add_relaxed(&live, 1);
	fh_rcu_retire(&object->rcu, free_and_retire);
	store_release(&retired[0], true);
	flush_all();
	rest_until_reclaimed(2);
}

static void free_and_exit(struct fh_rcu_head *head)
{
	object_free(head);
	pthread_exit(NULL);
}

static void retire_exiting(void)
{
	struct object *object = object_new(0);

	add_relaxed(&live, 1);
	fh_rcu_retire(&object->rcu, free_and_exit);
	store_release(&retired[0], true);
}

/* The last one retired is the first to be run. */
static void exit_while_reclaiming(void)
{
	retire_new(1);
	retire_exiting();
	flush_all();
}

static void exiting_work_for_worker(void)
{
	retire_new(1);
	retire_exiting();
	drain();
}

/* ---- fork ---- */

/* In the child nobody else is left, and nothing is lost. */
static void fork_and_drain(void)
{
	pid_t child = fork();

	retire_new(2);
	drain();
	if (child == 0) {
		struct fh_rcu_stats stats;

		fh_rcu_get_stats(&stats);
		expect(load_relaxed(&fh_counts.pending) == 0,
		       "the child counts %d objects that are not there",
		       (int)load_relaxed(&fh_counts.pending));
		expect(stats.pending == 0 && stats.threads == 2 &&
		       stats.threads == model_registered(),
		       "the child's statistics are wrong");
	}
}

static void work_then_fork(void)
{
	retire_new(3);
	fork_and_drain();
}

static void fork_unhooked(void)
{
	fork();
	retire_new(2);
	drain();
}

static const struct scenario scenarios[] = {
	{ "retire, exit | drain",
	  .thread = { retire_0, drain }, .preemptions = 1, .leaks = true },
	{ "retire, flush, exit | drain",
	  .thread = { retire_flush, drain }, .preemptions = 1,
	  .leaks = true },
	{ "retire two | drain",
	  .thread = { retire_both, drain, settle }, .preemptions = 1,
	  .finish = all_is_reclaimed },
	{ "reader | unlink, retire, drain",
	  .thread = { read_shared, unlinker, settle }, .preemptions = 1,
	  .finish = all_is_reclaimed },
	{ "reader that stays | drain with a deadline",
	  .thread = { stay_inside, drain_with_deadline, settle },
	  .preemptions = 1, .finish = all_is_reclaimed },
	{ "drain inside a section",
	  .thread = { retire_0, drain_within }, .preemptions = 1,
	  .leaks = true },
	{ "reclaim function that ends the worker",
	  .thread = { exiting_work_for_worker }, .leaks = true,
	  .preemptions = 1 },
	{ "unhooked retire | drain",
	  .setup = refuse_hooks, .thread = { retire_both, drain },
	  .preemptions = 1, .leaks = true },
	{ "retire | fork, drain",
	  .thread = { retire_0, fork_and_drain }, .preemptions = 1,
	  .leaks = true },
	{ "sections | fork, drain",
	  .thread = { read_twice, fork_and_drain },
	  .preemptions = 1, .leaks = true },
	{ "unhooked sections | fork, drain",
	  .setup = refuse_hooks,
	  .thread = { read_twice, fork_unhooked },
	  .preemptions = 1, .leaks = true },
	{ "worker falls asleep | retire, drain",
	  .setup = start_worker, .thread = { retire_and_drain, settle },
	  .finish = all_is_reclaimed },
	{ "retire, flush, reclaim | drain",
	  .thread = { reclaim_own, drain }, .preemptions = 1,
	  .leaks = true },
	{ "retire | retire | drain",
	  .thread = { retire_0, retire_1, drain },
	  .preemptions = 1, .stale = -1, .leaks = true },
	{ "retire, drain | drain, drain",
	  .thread = { retire_and_drain, drain_twice, settle },
	  .preemptions = 1, .stale = -1, .finish = all_is_reclaimed },
	{ "a thread exits inside a section | retire, drain",
	  .thread = { reader_that_exits, retire_and_drain, settle },
	  .preemptions = 1, .finish = all_is_reclaimed },
	{ "reclaim function that retires | drain",
	  .thread = { chain, drain, settle },
	  .preemptions = 1, .stale = -1, .finish = all_is_reclaimed },
	{ "reclaim function that ends its thread | drain",
	  .thread = { exit_while_reclaiming, drain },
	  .preemptions = 1, .stale = -1, .leaks = true },
	{ "retire, flush, reclaim two | fork, drain",
	  .thread = { reclaim_two, work_then_fork },
	  .preemptions = 1, .stale = -1, .leaks = true },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(*scenarios));
}
