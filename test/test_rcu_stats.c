/* SPDX-License-Identifier: MIT */
/* rcu: the statistics count, and name the reader that is in the way. */
#include <freehold/base.h>
#include <freehold/rcu.h>

#include "retire.h"
#include "tap.h"
#include "threads.h"

static void is_drained(void)
{
	is(drain(), 0, "drain");
}

static void test_beginning(void)
{
	struct fh_rcu_stats stats = stats_now();

	ok(stats.flavour && *stats.flavour, "flavour %s", stats.flavour);
	ok(stats.expedited == 0 || stats.expedited == 1, "expedited: %d",
	   stats.expedited);
	is(stats.retired, 0, "nothing was retired");
	is(stats.reclaimed, 0, "nothing reclaimed");
	is(stats.pending, 0, "nothing waits");
	is(stats.soft_bound, FH_RCU_SOFT_BOUND, "the default soft bound");
	is(stats.hard_bound, 0, "no hard bound");
	is(stats.over_soft, 0, "never passed");
	is(stats.refused, 0, "nothing refused");
	is(stats.oldest_reader, 0, "nobody reads");
	is(stats.oldest_reader_ns, 0, "for no time");
}

static void test_counts(void)
{
	struct fh_rcu_stats before = stats_now(), held, after;
	struct reader reader;

	reader_enter(&reader, 1);
	retire_some(1000);
	held = stats_now();
	is(held.retired - before.retired, 1000, "1000 retired");
	is(held.pending, 1000, "1000 wait behind a reader");
	is(held.reclaimed, before.reclaimed, "none is reclaimed");
	reader_leave(&reader);
	is_drained();
	after = stats_now();
	is(after.pending, 0, "none waits after the drain");
	is(after.reclaimed - before.reclaimed, 1000, "all are reclaimed");
	is(load_seq_cst(&reclaimed), 1000, "their functions have run");
	ok(after.grace_periods > before.grace_periods,
	   "that took a grace period");
}

static void retire_in_thread(unsigned index, void *arg)
{
	(void)arg;
	retire_some(100 + index);
}

/* Threads that are gone must still be in the counts. */
static void test_counts_of_the_dead(void)
{
	struct fh_rcu_stats before = stats_now(), after;

	run_crew(10, retire_in_thread, NULL);
	after = stats_now();
	is(after.retired - before.retired, 1045,
	   "what ended threads retired is counted");
	is_drained();
	after = stats_now();
	is(after.reclaimed, after.retired, "and reclaimed");
	is(after.pending, 0, "nothing waits");
}

/* Its age as soon as it holds up a grace period; 0: it never does. */
static int64_t await_age(void)
{
	int64_t until = fh_deadline_in(20 * SECONDS), age;

	while ((age = stats_now().oldest_reader_ns) == 0 && fh_now() < until)
		sleep_ns(MS);
	return age;
}

/*
 * A reader whose age counted from any other moment than one at which it was
 * seen reading would show as an age longer than it held its section.
 */
static void test_oldest_reader(void)
{
	struct fh_rcu_stats stats;
	struct reader reader;
	int64_t entered = fh_now(), first;
	int i;

	reader_enter(&reader, 1);
	first = await_age();
	is(stats_now().oldest_reader, reader.tid, "the reader is named");
	sleep_ns(300 * MS);
	stats = stats_now();
	is(stats.oldest_reader, reader.tid, "still the same");
	ok(first > 0 && stats.oldest_reader_ns >= first + 300 * MS,
	   "its age has grown: %" PRId64 " ms", stats.oldest_reader_ns / MS);
	ok(stats.oldest_reader_ns <= fh_now() - entered,
	   "it is not older than its section");
	reader_leave(&reader);
	stats = stats_now();
	for (i = 0; i < 2000 && stats.oldest_reader; i++) {
		sleep_ns(MS);
		stats = stats_now();
	}
	is(stats.oldest_reader, 0, "it has left");
	is(stats.oldest_reader_ns, 0, "and has no age");
}

/* A newer reader must not hide the older one. */
static void test_two_readers(void)
{
	struct fh_rcu_stats stats;
	struct reader old, young;

	reader_enter(&old, 1);
	ok(await_age() > 0, "one holds up a grace period");
	reader_enter(&young, 1);
	stats_now();
	sleep_ns(100 * MS);
	stats = stats_now();
	is(stats.oldest_reader, old.tid, "of two readers the older is named");
	reader_leave(&old);
	stats_now();
	sleep_ns(100 * MS);
	stats = stats_now();
	is(stats.oldest_reader, young.tid, "then the younger");
	ok(stats.oldest_reader_ns < 10 * SECONDS, "with an age of its own");
	reader_leave(&young);
}

static void test_threads(void)
{
	struct fh_rcu_stats before = stats_now(), during, after;
	struct reader reader[5];
	int i;

	for (i = 0; i < 5; i++)
		reader_enter(&reader[i], 1);
	during = stats_now();
	for (i = 0; i < 5; i++)
		reader_leave(&reader[i]);
	after = stats_now();
	is(during.threads - before.threads, 5, "five more are registered");
	is(after.threads, before.threads, "none of them after they ended");
	is(after.worker_failures, 0, "the library's thread did start");
}

int main(void)
{
	watchdog(120);
	test_beginning();
	test_counts();
	test_counts_of_the_dead();
	test_oldest_reader();
	test_two_readers();
	test_threads();
	return done_testing();
}
