/* SPDX-License-Identifier: MIT */
/*
 * rcu: parent and child go on after a fork, although other threads of the
 * parent were reading, retiring and draining at that moment.
 */
#include <freehold/base.h>
#include <freehold/rcu.h>

#include <errno.h>
#include <sys/wait.h>

#include "tap.h"
#include "threads.h"

#define SECONDS INT64_C(1000000000)

#ifdef FH_TSAN
const char *__tsan_default_options(void);

/* The child starts threads, which the sanitizer refuses unless told so. */
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

/* Of the parent, at the most, at a fork. */
#define THREADS 6

static tally stop, reclaimed;

static void count_and_free(struct fh_rcu_head *head)
{
	add_seq_cst(&reclaimed, 1);
	free(head);
}

static void retire_one(void)
{
	struct fh_rcu_head *head = malloc(sizeof(*head));

	if (!head)
		_exit(9);
	fh_rcu_retire(head, count_and_free);
}

/* One reads, one retires, one drains, one comes and goes. */
static void short_life(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	retire_one();
}

static void bustle(unsigned index, void *arg)
{
	(void)arg;
	while (!load_seq_cst(&stop)) {
		if (index == 0) {
			fh_rcu_read_lock();
			sched_yield();
			fh_rcu_read_unlock();
		} else if (index == 1) {
			retire_one();
			sched_yield();
		} else if (index == 2) {
			fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS));
		} else {
			run_crew(2, short_life, NULL);
		}
	}
}

/* The number of the first step that failed, as the child's exit status. */
static int use_rcu(void)
{
	struct fh_rcu_stats stats;
	uint64_t before;
	int i;

	if (fh_rcu_reading())
		return 1;
	fh_rcu_read_lock();
	if (!fh_rcu_reading())
		return 2;
	fh_rcu_read_unlock();
	if (fh_rcu_drain_wait(fh_deadline_in(20 * SECONDS)))
		return 3;
	before = load_seq_cst(&reclaimed);
	for (i = 0; i < 500; i++)
		retire_one();
	if (fh_rcu_drain_wait(fh_deadline_in(20 * SECONDS)))
		return 4;
	if (load_seq_cst(&reclaimed) < before + 500)
		return 5;
	fh_rcu_get_stats(&stats);
	return stats.retired < 500 ? 6 : 0;
}

/*
 * A reader of the parent that the child still waits for, or a lock that was
 * held at the fork, keeps the child from draining: step 3 or 4, or the alarm.
 */
static void live_as_child(void)
{
	struct fh_rcu_stats stats;
	int step;

	watchdog(60);
	step = use_rcu();
	if (step)
		_exit(step);
	run_crew(3, short_life, NULL);
	if (fh_rcu_drain_wait(fh_deadline_in(20 * SECONDS)))
		_exit(20);
	fh_rcu_get_stats(&stats);
	/* A thread that is not in the child may have been retiring. */
	if (stats.pending > THREADS)
		_exit(21);
	if (stats.oldest_reader)
		_exit(22);
	_exit(0);
}

static int child_status(void (*live)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child < 0)
		bail_out("cannot fork");
	if (child == 0)
		live();
	waitpid(child, &status, 0);
	return status;
}

static void live_with_grandchild(void)
{
	int status;

	watchdog(60);
	if (use_rcu())
		_exit(30);
	status = child_status(live_as_child);
	_exit(status ? 31 : use_rcu());
}

static void test_quiet(void)
{
	is(child_status(live_as_child), 0, "a child before any use");
	is(use_rcu(), 0, "the parent after it");
	is(child_status(live_as_child), 0, "a child of a single thread");
	retire_one();
	is(child_status(live_as_child), 0, "with a half-full batch");
	is(child_status(live_with_grandchild), 0, "a child and a grandchild");
	is(use_rcu(), 0, "the parent after these");
}

static void test_bustle(void)
{
	size_t i, forks = scaled(30, 5);
	unsigned bad = 0, lame = 0;
	struct crew crew;
	int status;

	crew_start(&crew, 4, bustle, NULL);
	for (i = 0; i < forks; i++) {
		status = child_status(i % 4 ? live_as_child :
					      live_with_grandchild);
		if (status)
			diag("fork %zu: status %#x", i, status);
		bad += status != 0;
		lame += use_rcu() != 0;
	}
	store_seq_cst(&stop, 1);
	crew_join(&crew);
	is(bad, 0, "%zu children in the middle of it all", forks);
	is(lame, 0, "and their parent");
	is(fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS)), 0, "drain");
}

int main(void)
{
	watchdog(120);
	test_quiet();
	/* Locks of theirs can be held by a thread that the child lacks. */
	if (SANITIZED)
		skip("sanitizers do not survive a fork of many threads");
	else
		test_bustle();
	return done_testing();
}
