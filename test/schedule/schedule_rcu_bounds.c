/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the bounds on garbage, of a worker that cannot be created, and
 * of the statistics.  A hard bound holds in every schedule, for the count and
 * for the objects themselves.
 */
#include "schedule_rcu.h"

static int bound;

static void set_hard_bound(int objects)
{
	bound = most_live = objects;
	fh_rcu_set_bounds(0, (size_t)objects);
}

static void bound_of_two(void)
{
	set_hard_bound(2);
}

static void bound_of_three(void)
{
	set_hard_bound(3);
}

static void within_bound(void)
{
	int pending = (int)load_relaxed(&fh_counts.pending);

	expect(pending <= bound, "%d objects under a bound of %d", pending,
	       bound);
}

static void admit_and_retire(unsigned first, unsigned count)
{
	unsigned i;

	if (fh_rcu_admit(count) != 0)
		return;
	within_bound();
	for (i = first; i < first + count; i++)
		retire_new(i);
	expect(fh_thread_self()->credit == 0, "room was not used up");
}

static void one(void)
{
	admit_and_retire(0, 1);
}

static void two(void)
{
	admit_and_retire(2, 2);
}

static void one_reclaimed(void)
{
	admit_and_retire(1, 1);
	flush_all();
	admit_and_retire(4, 1);
}

/* Room that is not used goes back at once, or with its thread. */
static void give_back(void)
{
	if (fh_rcu_admit(2) == 0)
		within_bound();
	if (fh_rcu_admit(1) == 0)
		within_bound();
	fh_rcu_admit(0);
}

static void keep_room(void)
{
	if (fh_rcu_admit(1) == 0)
		within_bound();
}

/* The second part is room that an inner operation leaves to the outer. */
static void nested_rooms(void)
{
	struct fh_room outer, inner;

	if (fh_room_take(&outer, 2) != 0)
		return;
	within_bound();
	if (fh_room_take(&inner, 1) == 0)
		retire_new(0);
	fh_room_leave(&inner, 0);
	expect(fh_thread_self()->credit == 1, "the outer room is %zu",
	       fh_thread_self()->credit);
	within_bound();
	fh_room_leave(&outer, 1);
	expect(fh_thread_self()->credit == 1, "room was not kept");
	retire_new(1);
}

static void free_and_retire(struct fh_rcu_head *head)
{
	object_free(head);
	retire_new(1);
}

/* Law 5 of batch.c. */
static void room_beside_reclaim(void)
{
	struct object *object = object_new(0);

	expect(fh_rcu_admit(1) == 0, "no room at first");
	add_relaxed(&live, 1);
	fh_rcu_retire(&object->rcu, free_and_retire);
	fh_rcu_flush();
	await_grace_periods(1);
	if (fh_rcu_admit(1) != 0)
		return;
	fh_rcu_flush();
	expect(fh_thread_self()->credit == 1, "a reclaim function took room");
}

/* ---- soft bound, and bounds that change ---- */

static void soft_bound_of_one(void)
{
	fh_rcu_set_bounds(1, 0);
}

static void soft_retirer(void)
{
	struct object *object = publish(0);

	unlink_shared();
	object_retire(object);
	retire_new(1);
	retire_new(2);
	rest_until_reclaimed(3);
}

static void change_bounds(void)
{
	fh_rcu_set_bounds(0, 4);
}

static void change_and_flush(void)
{
	fh_rcu_set_bounds(0, 4);
	retire_new(2);
	fh_rcu_flush();
}

/* What was retired before there was a bound counts under it. */
static void expect_full(void)
{
	if (fh_rcu_admit(2) == 0 && fh_thread_self()->credit == 2) {
		/* An update reads the last value. */
		expect(add_relaxed(&live, 1) == 0,
		       "room for two, where one is retired");
		add_relaxed(&live, -1);
	}
	fh_rcu_admit(0);
}

static void retire_admit(void)
{
	retire_new(0);
	expect_full();
}

static void retire_and_stay(void)
{
	retire_new(0);
	rest_for(SECOND);
}

static void bound_of_two_later(void)
{
	fh_rcu_set_bounds(0, 2);
}

static void one_and_stay(void)
{
	admit_and_retire(0, 1);
	rest_for(SECOND);
}

/* Room that is used up counts once, for others too. */
static void two_and_stay(void)
{
	admit_and_retire(0, 2);
	rest_for(SECOND);
}

static void report_for_others(void)
{
	bound_of_two_later();
	within_bound();
}

static void bound_and_admit(void)
{
	while (!load_acquire(&retired[0]))
		sched_yield();
	bound_of_two_later();
	expect_full();
}

/* ---- no worker ---- */

static void refuse_threads(void)
{
	model_refuses_threads = true;
}

static void refuse_all(void)
{
	model_refuses_threads = model_refuses_hooks = true;
}

static void drain_alone(void)
{
	retire_new(0);
	drain();
}

static void drain_other(void)
{
	retire_new(1);
	drain();
}

static void unlink_and_drain(void)
{
	struct object *object = publish(0);

	unlink_shared();
	object_retire(object);
	expect(fh_rcu_drain_wait(FH_FOREVER) == 0, "a drain fails");
	expect(reclaimed[0], "a drain left an object");
}

static void drain_too(void)
{
	expect(fh_rcu_drain_wait(FH_FOREVER) == 0, "a drain fails");
}

static void deadline_without_worker(void)
{
	int64_t deadline;

	await_reader();
	retire_new(0);
	deadline = fh_deadline_in(SECOND / 10);
	expect(fh_rcu_drain_wait(deadline) == -ETIMEDOUT,
	       "a drain did not wait for a reader");
	expect(fh_now() < deadline + SECOND / 10,
	       "a drain waited beyond its deadline");
	expect(fh_rcu_drain_wait(FH_FOREVER) == 0, "a drain fails");
}

/* ---- statistics ---- */

static _Atomic(int64_t) reader_id;

static void named_reader(void)
{
	store_relaxed(&reader_id, (int64_t)syscall(SYS_gettid));
	stay_inside();
}

static void statistics_of_reader(void)
{
	struct fh_rcu_stats stats;

	await_reader();
	fh_rcu_get_stats(&stats);
	expect(stats.oldest_reader == load_relaxed(&reader_id),
	       "the reader is not named");
	rest_for(SECOND / 10);
	fh_rcu_read_lock(); /* one that came later */
	fh_rcu_get_stats(&stats);
	fh_rcu_read_unlock();
	expect(stats.oldest_reader == load_relaxed(&reader_id),
	       "a reader is blamed that is not in the way");
	expect(stats.oldest_reader_ns >= SECOND / 10,
	       "the reader in the way is %jd ns old",
	       (intmax_t)stats.oldest_reader_ns);
}

static void retire_and_read(void)
{
	retire_new(0);
	read_shared();
}

static void statistics(void)
{
	struct fh_rcu_stats stats;
	bool before = load_acquire(&retired[0]);

	fh_rcu_get_stats(&stats);
	expect(stats.retired == 1 || !before, "a retirement is not counted");
	expect(stats.pending <= 1 && stats.retired <= 1 && stats.threads <= 2,
	       "%ju retired, %ju threads", (uintmax_t)stats.retired,
	       (uintmax_t)stats.threads);
}

static const struct scenario scenarios[] = {
	{ "admit 1, retire | admit 2, retire",
	  .setup = bound_of_two, .thread = { one, two, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "admit, retire, reclaim, admit | admit 2, retire",
	  .setup = bound_of_two,
	  .thread = { one_reclaimed, two, settle },
	  .preemptions = 1, .stale = -1, .finish = counts_are_exact },
	{ "admit, give back | admit 2, retire",
	  .setup = bound_of_two, .thread = { give_back, two, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "admit, give back | admit 1, retire",
	  .setup = bound_of_three, .thread = { give_back, one, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "admit, exit with it | admit 2, retire",
	  .setup = bound_of_two, .thread = { keep_room, two, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "room in room | admit 1, retire",
	  .setup = bound_of_three,
	  .thread = { nested_rooms, two, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "room beside a reclaim function that retires",
	  .setup = bound_of_three,
	  .thread = { room_beside_reclaim, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "reader | retire three over a soft bound of one",
	  .setup = soft_bound_of_one,
	  .thread = { read_shared, soft_retirer, settle },
	  .preemptions = 1, .stale = -1, .finish = all_is_reclaimed },
	{ "retire two | change the bounds",
	  .thread = { retire_both, change_bounds, settle }, .preemptions = 2,
	  .finish = counts_are_exact, .leaks = true },
	{ "retire two | change the bounds, retire",
	  .thread = { retire_both, change_and_flush, settle }, .preemptions = 1,
	  .finish = counts_are_exact, .leaks = true },
	{ "retire, admit 2 | set a bound of two",
	  .thread = { retire_admit, bound_of_two_later, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "admit 1, retire, live on | admit 2, retire | report for others",
	  .setup = bound_of_two,
	  .thread = { one_and_stay, two, bound_of_two_later },
	  .preemptions = 1, .leaks = true },
	{ "admit 2, retire, live on | report for others",
	  .setup = bound_of_two,
	  .thread = { two_and_stay, report_for_others },
	  .preemptions = 1, .leaks = true },
	{ "retire, live on | set a bound of two, admit 2",
	  .thread = { retire_and_stay, bound_and_admit, settle },
	  .preemptions = 1, .finish = counts_are_exact },
	{ "no worker: drain",
	  .setup = refuse_threads, .thread = { drain_alone, settle },
	  .finish = all_is_reclaimed },
	{ "no worker: reader | unlink, drain",
	  .setup = refuse_threads,
	  .thread = { read_shared, unlink_and_drain, settle }, .preemptions = 1,
	  .finish = all_is_reclaimed },
	{ "no worker: drain | drain",
	  .setup = refuse_threads,
	  .thread = { unlink_and_drain, drain_too, settle },
	  .preemptions = 1, .finish = all_is_reclaimed },
	{ "no worker: retire, drain | retire, drain",
	  .setup = refuse_threads,
	  .thread = { drain_alone, drain_other, settle },
	  .preemptions = 2, .stale = -1, .finish = all_is_reclaimed },
	{ "no worker: reader that stays | drain with a deadline",
	  .setup = refuse_threads,
	  .thread = { stay_inside, deadline_without_worker },
	  .preemptions = 1 },
	{ "no worker, no hooks: reader that stays | drain with a deadline",
	  .setup = refuse_all,
	  .thread = { stay_inside, deadline_without_worker },
	  .preemptions = 1 },
	{ "a worker that does not start at once | drain",
	  .thread = { unlink_and_drain, drain_too, settle },
	  .preemptions = 1, .failures = 1, .stale = -1,
	  .finish = all_is_reclaimed },
	/*
	 * The phase of grace periods is liburcu's, and no order ties it to
	 * what we number: two late looks at it may blame the wrong reader.
	 */
	{ "reader in the way | statistics",
	  .thread = { named_reader, statistics_of_reader },
	  .preemptions = 1, .stale = 1 },
	{ "retire, read, exit | statistics",
	  .thread = { retire_and_read, statistics, settle }, .preemptions = 1,
	  .finish = all_is_reclaimed },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(*scenarios));
}
