/* SPDX-License-Identifier: MIT */
/*
 * rcu: what mutants of the unhooked threads' paths showed that no other test
 * looked at.  test_rcu_unhooked.c says what such a thread is.
 */
#include <errno.h>

#include "retire.h"
#include "tap.h"

#include <sys/wait.h>

static _Thread_local int no_keys;

#ifdef FH_TSAN
const char *__tsan_default_options(void);

/* The child starts threads, which the sanitizer refuses unless told so. */
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	return no_keys ? ENOMEM : __real_pthread_setspecific(key, value);
}

static tally inside, leave;

static void read_unhooked(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	no_keys = 1;
	fh_rcu_read_lock();
	store_seq_cst(&inside, 1);
	await(&leave);
	fh_rcu_read_unlock();
}

/*
 * The child has no unhooked thread.  If it took over the count of those that
 * read in the parent, its grace periods would wait for them for ever.
 */
static void test_fork(void)
{
	struct crew crew;
	int status = 0;
	pid_t pid;

	is(drain(), 0, "this thread is registered");
	crew_start(&crew, 1, read_unhooked, NULL);
	await(&inside);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		retire_one();
		_exit(fh_rcu_drain_wait(fh_deadline_in(10 * SECONDS)) != 0);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "the child waits for no reader of the parent");
	store_seq_cst(&leave, 1);
	crew_join(&crew);
	is(drain(), 0, "the parent too, when the reader has left");
}

static void retire_unhooked(unsigned index, void *arg)
{
	int tries = 10000;

	(void)index;
	no_keys = 1;
	retire_one();
	while (load_seq_cst(&live) && --tries)
		sleep_ns(MS);
	*(int *)arg = tries > 0;
}

/* If the worker were not told, it would sleep on. */
static void test_notice(void)
{
	int gone = 0;

	is(drain(), 0, "nothing is left anywhere");
	sleep_ns(100 * MS); /* the worker goes to sleep for good */
	run_crew(1, retire_unhooked, &gone);
	ok(gone, "what an unhooked thread retires wakes the worker");
}

int main(void)
{
	watchdog(60);
	test_fork();
	test_notice();
	return done_testing();
}
