/* SPDX-License-Identifier: MIT */
/*
 * gate: what fails around it.  Threads that the system does not start, once,
 * now and then, and for ever; memory that is refused; and forks, also out of
 * a request, where the child has the counts of the parent and one thread.
 *
 * What would be seen if the gate were wrong: a place, a seat or a reference
 * that is not given back when a thread does not start, so that the gate is
 * full with nobody inside, or never freed; a request that is said to have
 * failed and runs all the same; a child that waits for threads which it does
 * not have; threads whose stacks pile up, because nobody joins them.
 */
#include <freehold/log.h>

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "gates.h"
#include "oom.h"
#include "tap.h"

#ifdef FH_TSAN
const char *__tsan_default_options(void);

/* A child starts threads, which the sanitizer refuses unless told so. */
const char *__tsan_default_options(void)
{
	return "die_after_fork=0 atexit_sleep_ms=0";
}
#endif

static tally runs;

static void count_run(void *arg)
{
	(void)arg;
	add_seq_cst(&runs, 1);
}

/* ---- threads that do not start ---- */

static void test_no_threads(int64_t idle)
{
	struct fh_gate *gate = gate_of(3, idle);
	unsigned i, wrong = 0;

	store_seq_cst(&runs, 0);
	store_seq_cst(&no_threads, 1);
	for (i = 0; i < 10; i++) {
		wrong += fh_gate_run(gate, count_run, NULL) != -EAGAIN;
		wrong += fh_gate_run_wait(gate, count_run, NULL,
					  FH_FOREVER) != -EAGAIN;
	}
	is(wrong, 0, "a thread that does not start is an error, each time");
	is(stats_of(gate).failed, 20, "which is counted");
	is(stats_of(gate).inside, 0, "and takes no place");
	is(stats_of(gate).threads, 0, "nor says that there is a thread");
	for (i = 0; i < 3; i++)
		wrong += fh_gate_enter(gate) != 0;
	is(wrong, 0, "all places are free");
	for (i = 0; i < 3; i++)
		fh_gate_leave(gate);
	is(drained(gate), 0, "it drains");
	fh_gate_open(gate);
	store_seq_cst(&no_threads, 0);
	for (i = 0; i < 12; i++)
		wrong += fh_gate_run_wait(gate, count_run, NULL,
					  FH_FOREVER) != 0;
	is(drained(gate), 0, "with threads again, it drains");
	is(wrong, 0, "nothing was refused");
	is(runs, 12, "and what ran is what was let in");
	fh_gate_destroy(gate);
}

/* With a thread that is parked no other one is needed. */
static void test_parked_is_enough(void)
{
	struct fh_gate *gate = gate_of(3, FH_FOREVER);
	unsigned i, wrong = 0;

	store_seq_cst(&runs, 0);
	fh_gate_run(gate, count_run, NULL);
	await(&runs, 1);
	while (stats_of(gate).inside)
		sched_yield();
	store_seq_cst(&no_threads, 1);
	for (i = 2; i <= 10; i++) {
		wrong += fh_gate_run(gate, count_run, NULL) != 0;
		await(&runs, i);
		while (stats_of(gate).inside)
			sched_yield();
	}
	store_seq_cst(&no_threads, 0);
	is(wrong, 0, "a parked thread serves when no other can be started");
	fh_gate_destroy(gate);
}

/* ---- now and then, under many callers ---- */

struct weather {
	struct fh_gate *gate;
	uint64_t rounds;
	tally sent, failed, wrong;
};

static void send_or_fail(unsigned index, void *arg)
{
	struct weather *weather = arg;
	uint64_t i;
	int rc;

	for (i = 0; i < weather->rounds; i++) {
		if (index == 0)
			store_seq_cst(&no_threads, (int)(i % 2));
		rc = fh_gate_run_wait(weather->gate, count_run, NULL,
				      FH_FOREVER);
		if (rc && rc != -EAGAIN)
			add_relaxed(&weather->wrong, 1);
		add_relaxed(rc ? &weather->failed : &weather->sent, 1);
	}
}

static void test_now_and_then(int64_t idle)
{
	struct weather weather = { .rounds = scaled(300, 50) };
	struct fh_gate_stats stats;

	weather.gate = gate_of(2, idle);
	store_seq_cst(&runs, 0);
	run_crew(3, send_or_fail, &weather);
	store_seq_cst(&no_threads, 0);
	is(drained(weather.gate), 0, "drain");
	stats = stats_of(weather.gate);
	is(weather.wrong, 0, "requests run, or their thread does not start");
	is(runs, weather.sent, "what was let in ran");
	is(stats.failed, weather.failed, "what failed is counted");
	is(stats.admitted, weather.sent + weather.failed, "with the others");
	fh_gate_destroy(weather.gate);
}

/* A thread that has ended may take a while to give its stack back. */
static int run_in_the_end(struct fh_gate *gate)
{
	int64_t until = fh_deadline_in(10 * SECONDS);
	int rc;

	while (rc = fh_gate_run_wait(gate, count_run, NULL, FH_FOREVER),
	       rc == -EAGAIN && fh_now() < until)
		sleep_ns(MS);
	return rc;
}

/* How much of it this process has now. */
static rlim_t address_space(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (!statm || fscanf(statm, "%lu", &pages) != 1)
		bail_out("cannot read /proc/self/statm");
	fclose(statm);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Were they not detached, their stacks would stay, and fill what there is. */
static void test_many(void)
{
	struct fh_gate_options options = { 1, 0, 64 << 20 };
	struct rlimit before, small;
	struct fh_gate *gate = NULL;
	unsigned i, wrong = 0;

	if (SANITIZED) {
		skip("sanitizers have memory of their own");
		return;
	}
	if (fh_gate_create(&gate, &options) || getrlimit(RLIMIT_AS, &before))
		bail_out("no memory for a gate");
	small = before;
	small.rlim_cur = address_space() + ((rlim_t)4 << 30);
	setrlimit(RLIMIT_AS, &small);
	for (i = 0; i < 150 && !wrong; i++)
		wrong += run_in_the_end(gate) != 0;
	is(wrong, 0, "9 GB of stacks, one after the other, in 4");
	is(drained(gate), 0, "drain");
	setrlimit(RLIMIT_AS, &before);
	fh_gate_destroy(gate);
}

/* ---- memory ---- */

static void test_memory(void)
{
	struct fh_gate_options options = { .limit = 4 };
	struct fh_log *log = NULL;
	struct fh_gate *gate = NULL;
	uint64_t n, number = 0, seen = 0;
	struct fh_log_range range;
	char text[4];
	int rc;

	for (n = 1, rc = -1; rc; n++) {
		oom_arm(OOM_ONCE, n);
		rc = fh_gate_create(&gate, &options);
		if (oom_disarm() && rc != -ENOMEM)
			bail_out("a failed allocation was overlooked");
		if (rc && gate)
			bail_out("a gate was made without memory");
	}
	ok(n > 2, "a gate takes memory, %" PRIu64 " times", n - 2);
	oom_arm(OOM_FROM, 1);
	is(fh_gate_enter(gate), 0, "entering takes none");
	is(fh_gate_leave(gate), 0, "nor leaving");
	is(oom_disarm(), 0, "and asks for none");
	fh_gate_destroy(gate);

	for (n = 1, rc = -1; rc; n++) {
		oom_arm(OOM_ONCE, n);
		rc = fh_log_create(&log, NULL);
		if (oom_disarm() && rc != -ENOMEM)
			bail_out("a failed allocation was overlooked");
		if (rc && log)
			bail_out("a log was made without memory");
	}
	ok(n > 2, "a log takes memory, %" PRIu64 " times", n - 2);
	is(fh_log_append(log, "one", 4, NULL), 0, "a message");
	oom_arm(OOM_FROM, 1);
	is(fh_log_append(log, "two", 4, &number), -ENOMEM,
	   "another one takes memory");
	fh_log_get_range(log, &range);
	ok(range.last == 1 && number == 0, "no number is used up without");
	is(fh_log_read(log, &seen, text, 4, NULL), 0, "reading takes none");
	is(fh_log_wait(log, 1, fh_deadline_in(MS)), -ETIMEDOUT,
	   "nor waiting");
	fh_log_close(log);
	is(oom_disarm(), 1, "nor closing");
	is(fh_log_wait(log, 1, FH_FOREVER), -ESHUTDOWN, "it is closed");
	fh_log_destroy(log);
}

/* ---- forks ---- */

static int status_of(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int is_fresh(const struct fh_gate *gate)
{
	struct fh_gate_stats stats = stats_of(gate);

	return !stats.inside && !stats.peak && !stats.threads &&
	       !stats.waiting && !stats.closed && !stats.admitted &&
	       !stats.refused && !stats.failed && !stats.died;
}

/* In the child: the gate of the parent as if it were new. */
static int start_over(struct fh_gate *gate)
{
	unsigned i;

	fh_gate_after_fork(gate);
	if (!is_fresh(gate))
		return 1;
	store_seq_cst(&runs, 0);
	for (i = 0; i < 20; i++)
		if (fh_gate_run_wait(gate, count_run, NULL, FH_FOREVER))
			return 2;
	if (drained(gate) || runs != 20)
		return 3;
	fh_gate_destroy(gate);
	return 0;
}

static void test_fork(int64_t idle)
{
	struct fh_gate *gate = gate_of(3, idle);
	struct errand errand[2] = { { .begun = 0 } };
	pid_t child;
	unsigned i;

	for (i = 0; i < 2; i++) {
		fh_gate_run(gate, run_errand, &errand[i]);
		await(&errand[i].begun, 1);
	}
	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(60);
		_exit(start_over(gate));
	}
	is(status_of(child), 0, "a child starts over with the parent's gate");
	is(stats_of(gate).inside, 2, "which the parent does not notice");
	for (i = 0; i < 2; i++)
		store_seq_cst(&errand[i].go, 1);
	is(drained(gate), 0, "drain");
	fh_gate_destroy(gate);
}

struct spore {
	struct fh_gate *gate;
	tally child, done;
	int says[2];
};

/* The child's only thread returns from the request that forked it. */
static void fork_inside(void *arg)
{
	struct spore *spore = arg;
	pid_t child = fork();
	int rc;

	if (child == 0) {
		alarm(60);
		rc = start_over(spore->gate);
		if (write(spore->says[1], &rc, sizeof(rc)) != sizeof(rc))
			_exit(1);
		return;
	}
	store_seq_cst(&spore->child, (uint64_t)child);
	store_seq_cst(&spore->done, 1);
}

static void test_fork_inside(int64_t idle)
{
	struct spore spore = { .gate = gate_of(2, idle) };
	int rc = -1;

	if (pipe(spore.says))
		bail_out("no pipe");
	fflush(stdout);
	is(fh_gate_run(spore.gate, fork_inside, &spore), 0,
	   "a request that forks");
	await(&spore.done, 1);
	is(read(spore.says[0], &rc, sizeof(rc)), (int64_t)sizeof(rc),
	   "its child says something");
	is(rc, 0, "it has started over");
	is(status_of((pid_t)spore.child), 0,
	   "and ends when the request returns in it");
	is(drained(spore.gate), 0, "drain");
	fh_gate_destroy(spore.gate);
	close(spore.says[0]);
	close(spore.says[1]);
}

int main(void)
{
	static const int64_t idles[] = { 0, 50 * 1000, FH_FOREVER };
	unsigned i;

	watchdog(300);
	for (i = 0; i < 3; i++) {
		test_no_threads(idles[i]);
		test_now_and_then(idles[i]);
		if (SANITIZED) {
			skip("sanitizers do not survive a fork of threads");
			continue;
		}
		test_fork(idles[i]);
		test_fork_inside(idles[i]);
	}
	test_parked_is_enough();
	test_many();
	test_memory();
	return done_testing();
}
