/* SPDX-License-Identifier: MIT */
/*
 * faults: the library's own thread cannot be created: the first n times, now
 * and then, in a child, and really, for want of address space for its stack.
 * (test_oom.c has the case that it never can.)
 *
 * What would be seen if the library were wrong: one that gives up after a
 * failure, or believes in a thread that does not run, never reclaims what is
 * only retired; one that waits for the thread ends no drain, and the watchdog
 * ends the test; one that forgets the failure does not count it; one that
 * reclaims by itself too early takes what a reader holds.
 */
#include <freehold/arc.h>

#include <errno.h>
#include <sys/resource.h>

#include "faults.h"
#include "retire.h"

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);

/* The library's thread has attributes, and those of the tests have none. */
static tally to_fail, failed, percent;
static uint64_t dice = 1;	/* the library starts one at a time */

/* An attempt that lasts until it is let go, and then fails. */
static tally hold, held;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg)
{
	if (attr && load_seq_cst(&hold)) {
		store_seq_cst(&held, 1);
		while (load_seq_cst(&hold))
			sleep_ns(MS);
		return EAGAIN;
	}
	if (attr && (load_seq_cst(&to_fail) ||
		     random_below(&dice, 100) < load_seq_cst(&percent))) {
		if (load_seq_cst(&to_fail))
			sub_acq_rel(&to_fail, 1);
		add_seq_cst(&failed, 1);
		return EAGAIN;
	}
	return __real_pthread_create(thread, attr, run, arg);
}

/* Retiring and nothing else: each retirement asks for the thread. */
static int all_goes_by_itself(void)
{
	int64_t until = fh_deadline_in(30 * SECONDS);

	retire_one();
	while (load_seq_cst(&live) && fh_now() < until)
		sleep_ns(MS / 5);
	return load_seq_cst(&live) == 0;
}

/* ---- the first n attempts fail ---- */

/* In a child, whose thread has yet to be created. */
static uint64_t attempts;

static int fail_first(void)
{
	uint64_t i;

	store_seq_cst(&to_fail, attempts);
	for (i = 0; i < attempts; i++)
		retire_one();
	if (load_seq_cst(&live) != attempts || load_seq_cst(&to_fail))
		return 1;	/* it did not try each time */
	if (stats_now().worker_failures < attempts)
		return 2;	/* it did not count */
	if (!all_goes_by_itself())
		return 3;	/* it gave up */
	return stats_now().pending ? 4 : 0;
}

static void test_first_fail(void)
{
	for (attempts = 1; attempts <= 64; attempts *= 4)
		is(in_child(fail_first), 0, "%" PRIu64 " failures, then it is "
		   "created", attempts);
}

/* ---- a drain, the bounds and statistics without it ---- */

static int without_worker(void)
{
	struct reader reader;
	int64_t until;
	tally admitted = 0;

	store_seq_cst(&percent, 100);
	reader_enter(&reader, 1);
	fh_rcu_set_bounds(0, HARD);
	fill(0, &admitted);
	if (admitted != HARD || stats_now().pending != HARD)
		return 1;	/* the bound does not hold */
	if (fh_rcu_admit(1) != -EAGAIN)
		return 2;
	if (stats_now().oldest_reader != reader.tid)
		return 3;
	until = fh_deadline_in(30 * MS);
	if (fh_rcu_drain_wait(until) != -ETIMEDOUT || fh_now() < until)
		return 4;	/* the reader did not hold it up */
	if (load_seq_cst(&live) != HARD)
		return 5;
	reader_leave(&reader);
	if (drain() || load_seq_cst(&live))
		return 6;	/* a drain did not do the work itself */
	return fh_rcu_admit(1) ? 7 : 0;
}

/* ---- now and then, with threads that all want it ---- */

static _Thread_local int of_the_test;

/* The contract forbids it; that is the only way to get rid of the thread. */
static void end_library_thread(struct fh_rcu_head *head)
{
	count_and_free(head);
	if (!of_the_test)
		pthread_exit(NULL);
}

/* It ends again and again, so that it must be created again and again. */
static void retire_and_drain(unsigned index, void *arg)
{
	tally *wrong = arg;
	size_t i, rounds = scaled(60, 10);

	of_the_test = 1;
	for (i = 0; i < rounds; i++) {
		retire_one();
		if (index == 0)
			fh_rcu_flush();
		else if (drain())
			add_relaxed(wrong, 1);
	}
}

static int now_and_then(void)
{
	struct crew crew;
	tally wrong = 0;
	int i;

	of_the_test = 1;
	store_seq_cst(&percent, 70);
	crew_start(&crew, 4, retire_and_drain, &wrong);
	for (i = 0; i < 20; i++) {
		retire_with(end_library_thread);
		if (drain())
			return 1;
	}
	crew_join(&crew);
	if (wrong || drain() || load_seq_cst(&live))
		return 2;
	store_seq_cst(&percent, 0);
	if (!all_goes_by_itself())
		return 3;
	return load_seq_cst(&failed) ? 0 : 4;
}

/* ---- a drain that begins while another thread's attempt is failing ---- */

struct meeting {
	tally over;
	int rc;
};

/* Then it does nothing that would try once more; nor does its end. */
static void retire_and_fail(unsigned index, void *arg)
{
	struct meeting *meeting = arg;

	(void)index;
	retire_one();
	await(&meeting->over);
}

static void drain_meanwhile(unsigned index, void *arg)
{
	struct meeting *meeting = arg;

	(void)index;
	await(&held);
	meeting->rc = fh_rcu_drain_wait(fh_deadline_in(10 * SECONDS));
	store_seq_cst(&meeting->over, 1);
}

/*
 * The drain must not rely on a thread that is only being created: when that
 * fails nobody would wake it, and it would sleep until its deadline.
 */
static int failing_beside_drain(void)
{
	struct crew retirer, drainer;
	struct meeting meeting = { .rc = 1 };

	store_seq_cst(&hold, 1);
	crew_start(&drainer, 1, drain_meanwhile, &meeting);
	crew_start(&retirer, 1, retire_and_fail, &meeting);
	await(&held);
	sleep_ns(100 * MS);
	store_seq_cst(&hold, 0);
	crew_join(&retirer);
	crew_join(&drainer);
	if (meeting.rc)
		return 1;	/* it slept until its deadline */
	return load_seq_cst(&live) ? 2 : 0;
}

/* ---- a request that meets another thread's failing attempt ---- */

/* Whoever is at it must try again for those who came meanwhile. */
static int request_beside_failure(void)
{
	struct crew retirer;
	struct meeting meeting = { .rc = 1 };
	int64_t until = fh_deadline_in(20 * SECONDS);

	store_seq_cst(&hold, 1);
	crew_start(&retirer, 1, retire_and_fail, &meeting);
	await(&held);
	retire_one();
	store_seq_cst(&hold, 0);
	while (load_seq_cst(&live) && fh_now() < until)
		sleep_ns(MS);
	store_seq_cst(&meeting.over, 1);
	crew_join(&retirer);
	return load_seq_cst(&live) ? 1 : 0;
}

/* ---- really: no room for a stack ---- */

static int no_stack(void)
{
	struct rlimit limit;
	struct reader reader;

	reader_enter(&reader, 1);
	if (getrlimit(RLIMIT_AS, &limit))
		return 9;
	limit.rlim_cur = 1; /* what is there stays; nothing new */
	if (setrlimit(RLIMIT_AS, &limit))
		return 9;
	retire_one();
	if (stats_now().worker_failures == 0)
		return 1;
	if (fh_rcu_drain_wait(fh_deadline_in(10 * MS)) != -ETIMEDOUT)
		return 2;
	reader_leave(&reader);
	if (drain() || load_seq_cst(&live))
		return 3;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_AS, &limit))
		return 9;
	return all_goes_by_itself() ? 0 : 4;
}

int main(void)
{
	watchdog(120);
	test_first_fail();
	is(in_child(without_worker), 0, "without it: bounds, names, drains");
	is(in_child(failing_beside_drain), 0, "a drain beside an attempt that "
	   "fails");
	is(in_child(request_beside_failure), 0, "a request beside an attempt "
	   "that fails");
	is(in_child(now_and_then), 0, "seven times in ten it is not created, "
	   "and then it ends");
	if (SANITIZED)
		skip("a sanitizer needs all the address space there is");
	else
		is(in_child(no_stack), 0, "no address space for its stack");
	is(stats_now().worker_failures, 0, "none of it touched the parent");
	ok(all_goes_by_itself(), "where all goes by itself");
	return done_testing();
}
