/* SPDX-License-Identifier: MIT */
/*
 * What the tests of faults share: children, a timer that pesters a thread,
 * and a process that stops threads of this one.
 */
#ifndef FH_TEST_FAULTS_H
#define FH_TEST_FAULTS_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tap.h"
#include "threads.h"

#define MS INT64_C(1000000)

#ifdef FREEHOLD_MUTEX
#define LOCK_FREE 0
#else
#define LOCK_FREE 1
#endif

#ifdef FH_TSAN
const char *__tsan_default_options(void);

/* A child starts threads, which the sanitizer refuses unless told so. */
const char *__tsan_default_options(void)
{
	return "die_after_fork=0 atexit_sleep_ms=0";
}
#endif

/* What @live returns in a child, or minus the signal that ended the child. */
__attribute__((unused)) static int in_child(int (*live)(void))
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		bail_out("cannot fork");
	if (child == 0) {
		watchdog(60);
		_exit(live());
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- a timer that pesters the calling thread ---- */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void (*storm_handler)(void);
static tally storm_signals;

static void storm_breaks(int number)
{
	int error = errno;

	(void)number;
	add_relaxed(&storm_signals, 1);
	if (storm_handler)
		storm_handler();
	errno = error;
}

/* Every @period nanoseconds, without SA_RESTART; 0: it only stands ready. */
__attribute__((unused)) static timer_t storm_start(int64_t period)
{
	struct sigaction action = { .sa_handler = storm_breaks };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = SIGUSR1 };
	struct itimerspec every = { { 0, period }, { 0, period } };
	timer_t timer;

	sigaction(SIGUSR1, &action, NULL);
	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		bail_out("no interval timer");
	return timer;
}

/*
 * ---- a process that stops threads of this one ----
 *
 * One thread alone cannot be sent SIGSTOP: another process attaches to it as
 * a debugger does.  Start it before any thread.
 */

struct order {
	pid_t tid;
	int stop;
};

static int to_tracer;

static int obey(const struct order *order)
{
	int status;

	if (!order->stop)
		return ptrace(PTRACE_DETACH, order->tid, NULL, NULL) ? errno :
								       0;
	if (ptrace(PTRACE_SEIZE, order->tid, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, order->tid, NULL, NULL) ||
	    waitpid(order->tid, &status, __WALL) != order->tid)
		return errno;
	return WIFSTOPPED(status) ? 0 : ESRCH;
}

static void trace(int from)
{
	struct order order;
	int result;

	while (read(from, &order, sizeof(order)) == sizeof(order)) {
		result = obey(&order);
		if (write(from, &result, sizeof(result)) != sizeof(result))
			break;
	}
	_exit(0);
}

__attribute__((unused)) static pid_t tracer_start(void)
{
	int end[2];
	pid_t tracer;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, end))
		bail_out("no pair of sockets");
	tracer = fork();
	if (tracer < 0)
		bail_out("cannot fork");
	if (tracer == 0) {
		close(end[0]);
		trace(end[1]);
	}
	close(end[1]);
	to_tracer = end[0];
	prctl(PR_SET_PTRACER, tracer, 0, 0, 0);
	return tracer;
}

/* 0, or why this thread cannot be stopped. */
__attribute__((unused)) static int tracer_command(pid_t tid,
						      int stop)
{
	const struct order order = { .tid = tid, .stop = stop };
	int result = EPIPE;

	if (write(to_tracer, &order, sizeof(order)) != sizeof(order) ||
	    read(to_tracer, &result, sizeof(result)) != sizeof(result))
		bail_out("the tracer is gone");
	return result;
}

struct idler {
	tally tid, leave;
};

static void idle(unsigned index, void *arg)
{
	struct idler *idler = arg;

	(void)index;
	store_seq_cst(&idler->tid, (uint64_t)gettid());
	while (!load_seq_cst(&idler->leave))
		sleep_ns(MS);
}

/*
 * Is this process allowed to stop threads of its own?  Under the thread
 * sanitizer one that is stopped may hold a lock of the sanitizer's.
 */
__attribute__((unused)) static int tracer_may(void)
{
	struct idler idler = { 0, 0 };
	struct crew crew;
	int rc;

#ifdef FH_TSAN
	diag("the thread sanitizer has locks of its own");
	return 0;
#endif
	crew_start(&crew, 1, idle, &idler);
	while (!load_seq_cst(&idler.tid))
		sleep_ns(MS);
	rc = tracer_command((pid_t)idler.tid, 1);
	if (rc == 0)
		tracer_command((pid_t)idler.tid, 0);
	store_seq_cst(&idler.leave, 1);
	crew_join(&crew);
	if (rc)
		diag("ptrace: %s", strerror(rc));
	return rc == 0;
}

#endif
