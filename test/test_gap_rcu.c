/* SPDX-License-Identifier: MIT */
/*
 * rcu: what mutants showed that no other test looked at.  Each check says
 * what would be seen if the library were wrong.
 */
#include <freehold/freehold.h>

#include "tap.h"
#include "threads.h"

#include "retire.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* ---- grace periods ---- */

/* Turn this thread's batch again and again for a while. */
static void flush_for(int milliseconds)
{
	for (; milliseconds > 0; milliseconds--) {
		fh_rcu_flush();
		sleep_ns(MS);
	}
}

/*
 * One reader, and an owner that turns its batch without end.  If any turn
 * took what waits for ripe, or a grace period were said to be complete before
 * the reader has left, the object would be reclaimed.
 */
static void test_turns(void)
{
	struct reader reader;

	reader_enter(&reader, 1);
	retire_one();
	flush_for(60);
	is(load_seq_cst(&live), 1, "turns replace no grace period");
	reader_leave(&reader);
	is(drain(), 0, "the reader has left");
	is(load_seq_cst(&live), 0, "and now it is reclaimed");
}

static void await_running(void)
{
	int tries = 500;

	while (stats_now().oldest_reader_ns == 0 && --tries)
		sleep_ns(MS);
}

/*
 * A grace period runs and waits for reader A.  B enters, and then something
 * is retired that B may have seen.  The grace period that runs need not wait
 * for B: if it were taken for the one to wait for, then the object would go
 * when A leaves, under B's eyes.
 */
static void test_running(void)
{
	struct reader a, b;

	is(drain(), 0, "no grace period is running");
	reader_enter(&a, 1);
	retire_one();
	fh_rcu_flush();
	await_running();
	reader_enter(&b, 1);
	retire_one();
	flush_for(5);
	reader_leave(&a);
	flush_for(60);
	ok(load_seq_cst(&live) >= 1, "the second waits for the second reader");
	reader_leave(&b);
	is(drain(), 0, "both have left");
	is(load_seq_cst(&live), 0, "and both are reclaimed");
}

/* ---- the worker ---- */

/* Has everything gone within ten seconds, without any call of ours? */
static int gone(void)
{
	int tries = 10000;

	while (load_seq_cst(&live) && --tries)
		sleep_ns(MS);
	return tries > 0;
}

/* If the first retirement told nobody, a sleeping worker would sleep on. */
static void test_first(void)
{
	is(drain(), 0, "nothing is left anywhere");
	sleep_ns(100 * MS); /* the worker goes to sleep for good */
	retire_one();
	ok(gone(), "one retirement wakes the worker");
}

static tally caught;

static void catch(int number)
{
	(void)number;
	add_seq_cst(&caught, 1);
}

/* If the worker took signals, it would run this process's handlers. */
static void test_signals(void)
{
	struct sigaction action = { .sa_handler = catch };
	sigset_t usr, before;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&usr);
	sigaddset(&usr, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr, &before);
	kill(getpid(), SIGUSR1);
	sleep_ns(50 * MS);
	is(load_seq_cst(&caught), 0, "no thread of ours takes a signal");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	is(load_seq_cst(&caught), 1, "it waited for the program's own");
}

/* ---- who runs what ---- */

static pthread_t retirer;
static tally by_retirer;
static _Thread_local unsigned depth;
static unsigned deepest;

static void note_thread(struct fh_rcu_head *head)
{
	if (pthread_equal(pthread_self(), retirer))
		add_seq_cst(&by_retirer, 1);
	count_and_free(head);
}

/*
 * If flush, or a full batch, handed nothing on, the worker would come for it
 * all in the end, and this thread would never run a reclaim function.
 */
static void test_own(void)
{
	int tries, i;

	retirer = pthread_self();
	for (tries = 500; tries && !load_seq_cst(&by_retirer); tries--) {
		retire_with(note_thread);
		flush_for(2);
	}
	ok(load_seq_cst(&by_retirer), "who flushes runs what is ready");
	is(drain(), 0, "drain");
	store_seq_cst(&by_retirer, 0);
	fh_rcu_set_bounds(SIZE_MAX, 0); /* past it everybody helps */
	for (tries = 500; tries && !load_seq_cst(&by_retirer); tries--) {
		for (i = 0; i < 1100; i++)
			retire_with(note_thread);
		sleep_ns(MS);
	}
	ok(load_seq_cst(&by_retirer), "who retires much runs what is ready");
	fh_rcu_set_bounds(0, 0);
	is(drain(), 0, "drain");
}

static void retire_more(struct fh_rcu_head *head)
{
	if (++depth > deepest)
		deepest = depth;
	if (random_next(&(uint64_t){ (uintptr_t)head }) % 4)
		retire_one();
	fh_rcu_flush();
	depth--;
	count_and_free(head);
}

/* With so low a bound each retirement may run what is ready. */
static void test_depth(void)
{
	int i;

	fh_rcu_set_bounds(1, 0);
	for (i = 0; i < 3000; i++) {
		retire_with(retire_more);
		if (i % 50 == 0)
			sleep_ns(MS);
	}
	is(drain(), 0, "drain");
	is(deepest, 1, "no reclaim function runs inside another");
	fh_rcu_set_bounds(0, 0);
}

/* ---- fork ---- */

#ifdef FH_TSAN
const char *__tsan_default_options(void);

/* The child starts threads, which the sanitizer refuses unless told so. */
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

#define PARKED 20
static tally parked, unpark;

static void park(unsigned index, void *arg)
{
	int i;

	(void)index;
	(void)arg;
	for (i = 0; i < PARKED; i++)
		retire_one();
	store_seq_cst(&parked, 1);
	await(&unpark);
}

static int child(void)
{
	struct fh_rcu_stats stats;

	alarm(20);
	if (fh_rcu_drain_wait(fh_deadline_in(10 * SECONDS)))
		return 1;
	if (load_seq_cst(&live))
		return 2;
	stats = stats_now();
	return stats.pending ? 3 : stats.reclaimed == stats.retired ? 0 : 4;
}

static int status_of(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * What a thread had retired that the child does not have: if it were lost
 * there, the child would find its objects alive after a drain (2), and if
 * the counts were not made anew, something would seem to wait (3).
 */
static void test_fork(void)
{
	struct crew crew;
	struct reader reader;
	pid_t pid;

	is(drain(), 0, "nothing is left anywhere");
	reader_enter(&reader, 1); /* so that nothing goes before the fork */
	crew_start(&crew, 1, park, NULL);
	await(&parked);
	is(load_seq_cst(&live), PARKED, "a thread has retired and waits");
	pid = fork();
	if (pid == 0)
		_exit(child());
	is(status_of(pid), 0, "the child reclaims what it had retired");
	store_seq_cst(&unpark, 1);
	crew_join(&crew);
	reader_leave(&reader);
	is(drain(), 0, "and so does the parent");
	is(load_seq_cst(&live), 0, "all of it");
}

int main(void)
{
	watchdog(60);
	test_turns();
	test_running();
	test_first();
	test_signals();
	test_own();
	test_depth();
	test_fork();
	return done_testing();
}
