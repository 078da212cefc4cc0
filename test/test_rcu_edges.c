/* SPDX-License-Identifier: MIT */
/*
 * rcu: threads that end in unusual ways, and children that are forked beside
 * busy threads.  Nothing is lost, nothing is reclaimed too early, and no wait
 * lasts for ever.
 */
#include <errno.h>
#include <limits.h>
#include <sys/wait.h>

#include "retire.h"
#include "tap.h"

#ifdef FH_TSAN
const char *__tsan_default_options(void);

/* The child starts a thread, which the sanitizer refuses unless told so. */
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

/* ---- destructors that run after the library's own ---- */

/*
 * The library made its key before main began, so in each round of destructors
 * its own comes first: by our first call the thread has been unregistered.
 */
static pthread_key_t late_key;

/* In the last round the thread sanitizer itself has left the thread. */
#ifdef FH_TSAN
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define ROUNDS PTHREAD_DESTRUCTOR_ITERATIONS
#endif

struct visit {
	void (*call)(struct visit *visit);
	unsigned round;
	tally inside, leave;
	int reading;
};

static void late_destructor(void *arg)
{
	struct visit *visit = arg;

	visit->round++;
	if (visit->round < ROUNDS)
		pthread_setspecific(late_key, visit);
	visit->call(visit);
}

static void end_outside(unsigned index, void *arg)
{
	(void)index;
	pthread_setspecific(late_key, arg);
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	retire_one();
}

static void end_inside(unsigned index, void *arg)
{
	(void)index;
	pthread_setspecific(late_key, arg);
	fh_rcu_read_lock();
}

static void call_everything(struct visit *visit)
{
	fh_rcu_read_lock();
	visit->reading += fh_rcu_reading();
	fh_rcu_read_unlock();
	retire_one();
	fh_rcu_flush();
	visit->reading -= fh_rcu_admit(1) == 0 && !fh_rcu_reading();
}

/* A thread that stayed in the list would be storage that is unmapped. */
static void test_all_rounds(crew_work work, const char *what)
{
	uint64_t threads = stats_now().threads;
	int i;

	for (i = 0; i < 5; i++) {
		struct visit visit = { .call = call_everything };

		run_crew(1, work, &visit);
		if (visit.round != ROUNDS || visit.reading != 0)
			ok(0, "%s: round %u, %d", what, visit.round,
			   visit.reading);
	}
	is(stats_now().threads, threads, "%s: no thread stays behind", what);
	is(drain(), 0, "%s: it holds nothing back", what);
	is(load_seq_cst(&live), 0, "%s: what it retired is reclaimed", what);
}

/* Leave what the exit has already ended; in the next round read again. */
static void leave_and_read_again(struct visit *visit)
{
	if (visit->round == 1)
		fh_rcu_read_unlock();
	if (visit->round != 2)
		return;
	fh_rcu_read_lock();
	store_seq_cst(&visit->inside, 1);
	await(&visit->leave);
	fh_rcu_read_unlock();
	visit->reading = fh_rcu_reading();
}

/* If the surplus unlock counted, the later section would protect nothing. */
static void test_section_after_exit(void)
{
	struct visit visit = { .call = leave_and_read_again };
	struct crew crew;

	is(drain(), 0, "drain");
	crew_start(&crew, 1, end_inside, &visit);
	await(&visit.inside);
	retire_one();
	is(fh_rcu_drain_wait(fh_deadline_in(100 * MS)), -ETIMEDOUT,
	   "a section in a late destructor is a section");
	is(load_seq_cst(&live), 1, "which keeps what was retired meanwhile");
	is(stats_now().oldest_reader, -1, "the statistics tell of it");
	store_seq_cst(&visit.leave, 1);
	crew_join(&crew);
	is(visit.reading, 0, "left once, it is left");
	is(drain(), 0, "then the drain ends");
	is(load_seq_cst(&live), 0, "and all is reclaimed");
	is(stats_now().oldest_reader, 0, "nobody reads");
}

/* ---- a thread that ends inside a reclaim function ---- */

#define OTHERS 300

static tally entered, draining;

/* The contract forbids it; still nobody else must suffer from it. */
static void end_thread(struct fh_rcu_head *head)
{
	count_and_free(head);
	store_seq_cst(&entered, 1);
	await(&draining);
	sleep_ns(20 * MS);
	pthread_exit(NULL);
}

/* The newest is reclaimed first: all the others come after the exit. */
static void retire_and_end(unsigned index, void *arg)
{
	unsigned i;

	(void)index;
	(void)arg;
	for (i = 0; i < OTHERS; i++)
		retire_one();
	retire_with(end_thread);
	while (!load_seq_cst(&entered)) {
		fh_rcu_flush();
		sleep_ns(MS / 5);
	}
}

static void test_end_in_reclaim(void)
{
	struct crew crew;
	int i;

	for (i = 0; i < 5; i++) {
		entered = draining = 0;
		crew_start(&crew, 1, retire_and_end, NULL);
		await(&entered);
		store_seq_cst(&draining, 1);
		is(drain(), 0, "a drain beside a thread that ends");
		is(load_seq_cst(&live), 0,
		   "waited for all that it left behind");
		crew_join(&crew);
	}
	is(stats_now().pending, 0, "and it was counted");
}

static void test_end_of_worker(void)
{
	int i, j;

	for (i = 0; i < 5; i++) {
		draining = 1;
		for (j = 0; j < OTHERS; j++)
			retire_one();
		retire_with(end_thread);
		is(drain(), 0, "a drain while the library's thread ends");
		is(load_seq_cst(&live), 0, "waited for all the same");
	}
	retire_one();
	while (load_seq_cst(&live))
		sleep_ns(MS);
	is(stats_now().worker_failures, 0, "its successor works by itself");
}

/* ---- children ---- */

static int child_status(void (*child_main)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child < 0)
		bail_out("cannot fork");
	if (child == 0)
		child_main();
	waitpid(child, &status, 0);
	return status;
}

/* No drain, no flush, no full batch: the child's own worker has to come. */
static void wait_as_child(void)
{
	int i;

	watchdog(60);
	retire_one();
	for (i = 0; i < 20000 && load_seq_cst(&live); i++)
		sleep_ns(MS);
	_exit(load_seq_cst(&live) != 0);
}

static void test_half_full_batch(void)
{
	int i, j;

	for (i = 1; i <= 100; i *= 10) {
		is(drain(), 0, "drain");
		for (j = 0; j < i; j++)
			retire_one();
		is(child_status(wait_as_child), 0,
		   "a child reclaims the %d that lay there, by itself", i);
	}
	is(drain(), 0, "and so does the parent");
	is(load_seq_cst(&live), 0, "all of them");
}

static tally stop;

static void retire_and_drain(unsigned index, void *arg)
{
	(void)arg;
	while (!load_seq_cst(&stop)) {
		if (index < 2)
			retire_one();
		else
			drain();
	}
}

/* The number of the step that failed, as the exit status. */
static void drain_as_child(void)
{
	watchdog(60);
	fh_rcu_flush();
	retire_one();
	if (fh_rcu_drain_wait(fh_deadline_in(20 * SECONDS)))
		_exit(1);
	_exit(stats_now().pending ? 2 : 0);
}

/* A fork between two steps of another thread must not strand an object. */
static void test_busy_forks(void)
{
	size_t i, forks = scaled(60, 10);
	unsigned bad = 0;
	struct crew crew;

	crew_start(&crew, 3, retire_and_drain, NULL);
	for (i = 0; i < forks; i++) {
		int status;

		sleep_ns(2 * MS);
		status = child_status(drain_as_child);
		if (status)
			diag("fork %zu: status %#x", i, status);
		bad += status != 0;
	}
	store_seq_cst(&stop, 1);
	crew_join(&crew);
	is(bad, 0, "%zu children beside threads that retire and drain", forks);
	is(drain(), 0, "their parent drains, too");
	is(load_seq_cst(&live), 0, "and lost nothing");
}

int main(void)
{
	watchdog(120);
	if (pthread_key_create(&late_key, late_destructor))
		bail_out("no key");
	retire_one();
	is(drain(), 0, "this thread and the library's are registered");
	test_all_rounds(end_outside, "destructors");
	test_all_rounds(end_inside, "destructors of a reader");
	test_section_after_exit();
	test_end_in_reclaim();
	test_end_of_worker();
	test_half_full_batch();
	/* Locks of theirs can be held by a thread that the child lacks. */
	if (SANITIZED)
		skip("sanitizers do not survive a fork of many threads");
	else
		test_busy_forks();
	return done_testing();
}
