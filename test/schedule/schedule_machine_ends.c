/* SPDX-License-Identifier: MIT */
/*
 * The machine itself: how threads end, and what fork leaves, on the model of
 * liburcu and threads.
 */
#include "schedule.h"

#include "atomic.h"
#include "urcu_model.h"
#include "wait.h"

#include <urcu/urcu-memb.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic(uint32_t) flag, order;
static int plain;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_and_unlock(void)
{
	pthread_mutex_lock(&lock);
	plain++;
	pthread_mutex_unlock(&lock);
}

/* ---- handlers ---- */

static void unlock(void *arg)
{
	(void)arg;
	pthread_mutex_unlock(&lock);
}

static void end_locked(void)
{
	pthread_mutex_lock(&lock);
	plain++;
	pthread_exit(NULL);
}

static void end_unlocking(void)
{
	pthread_cleanup_push(unlock, NULL);
	end_locked();
	pthread_cleanup_pop(0);
}

static void end_without(void)
{
	pthread_cleanup_push(unlock, NULL);
	pthread_cleanup_pop(0);
	end_locked();
}

static void vanish(void)
{
	pthread_cleanup_push(unlock, NULL);
	pthread_mutex_lock(&lock);
	syscall(SYS_exit, 0);
	pthread_cleanup_pop(0);
}

static void digit(void *arg)
{
	store_relaxed(&order, load_relaxed(&order) * 10 + *(uint32_t *)arg);
}

static uint32_t one = 1, two = 2;

static void end_in_order(void)
{
	pthread_cleanup_push(digit, &one);
	pthread_cleanup_push(digit, &two);
	pthread_exit(NULL);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
}

static void inner_came_first(void)
{
	expect(load_relaxed(&order) == 21, "the inner handler was not first");
}

static void outer_came_first(void)
{
	expect(load_relaxed(&order) == 12, "the outer handler was not first");
}

/* ---- values that a thread leaves ---- */

static pthread_key_t key;

static void make_key(void)
{
	pthread_key_create(&key, free);
}

static void make_bare_key(void)
{
	pthread_key_create(&key, NULL);
}

static void leave_value(void)
{
	void *value = model_alloc(8);

	if (pthread_setspecific(key, value) != 0)
		free(value);
}

static void leave_value_unprepared(void)
{
	expect(pthread_setspecific(key, model_alloc(8)) == 0,
	       "the value is refused");
}

static void leave_value_and_vanish(void)
{
	leave_value();
	syscall(SYS_exit, 0);
}

static _Thread_local int own;
static _Atomic(int *) published;

static void publish_own(void)
{
	own = 1;
	store_release(&published, &own);
}

static void publish_own_and_wait(void)
{
	publish_own();
	while (!load_acquire(&flag))
		fh_wait_on(&flag, 0, FH_FOREVER);
}

static void read_published(void)
{
	int *value = load_acquire(&published);

	expect(!value || *value == 1, "what is published is missing");
	store_release(&flag, 1);
	fh_wake_all(&flag);
}

/* ---- joining ---- */

static void *write_plain(void *arg)
{
	plain = 1;
	return arg;
}

static void start_and_join(void)
{
	pthread_t id;

	pthread_create(&id, NULL, write_plain, NULL);
	pthread_join(id, NULL);
	expect(plain == 1, "it has not ended");
}

static void start_and_read(void)
{
	pthread_t id;

	pthread_create(&id, NULL, write_plain, NULL);
	sched_yield();
	pthread_detach(id);
	expect(plain <= 1, "that was not written");
}

static void join_twice(void)
{
	pthread_t id;

	pthread_create(&id, NULL, write_plain, NULL);
	pthread_join(id, NULL);
	pthread_join(id, NULL);
}

static void join_detached(void)
{
	pthread_t id;

	pthread_create(&id, NULL, write_plain, NULL);
	pthread_detach(id);
	pthread_join(id, NULL);
}

static void join_nobody(void)
{
	pthread_join(6, NULL);
}

static void try_to_join(void)
{
	pthread_t id;
	int rc;

	pthread_create(&id, NULL, write_plain, NULL);
	rc = pthread_tryjoin_np(id, NULL);
	expect(rc == 0 || rc == EBUSY, "joining says %d", rc);
	if (rc == 0)
		expect(plain == 1, "it has not ended");
	else
		pthread_join(id, NULL);
}

static void try_to_join_once(void)
{
	pthread_t id;

	pthread_create(&id, NULL, write_plain, NULL);
	expect(pthread_tryjoin_np(id, NULL) == 0, "it has not ended");
}

/* ---- fork ---- */

static void fork_as_parent(void)
{
	expect(fork() != 0, "this is the child");
}

static void fork_as_child(void)
{
	expect(fork() == 0, "this is the parent");
}

static void fork_with_memory(void)
{
	plain = 5;
	fork();
	expect(plain == 5, "memory is lost");
}

static void fork_and_lock(void)
{
	fork();
	lock_and_unlock();
}

static void take_lock(void)
{
	pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
	pthread_mutex_unlock(&lock);
}

static void hook_fork(void)
{
	pthread_atfork(take_lock, give_lock, give_lock);
}

static void fork_and_unlock_as_parent(void)
{
	pthread_mutex_lock(&lock);
	if (fork() != 0)
		pthread_mutex_unlock(&lock);
	lock_and_unlock();
}

static void open(void)
{
	store_release(&flag, 1);
	fh_wake_all(&flag);
}

static void wait_until_open(void)
{
	while (!load_acquire(&flag))
		fh_wait_on(&flag, 0, FH_FOREVER);
}

static void fork_and_wait(void)
{
	fork();
	wait_until_open();
}

static void fork_and_wait_as_parent(void)
{
	if (fork() != 0)
		wait_until_open();
}

/* ---- liburcu's list ---- */

static _Atomic(struct urcu_reader *) reader;

static void read_once(void)
{
	store_release(&reader, urcu_memb_reader());
	urcu_memb_register_thread();
	urcu_memb_read_lock();
	urcu_memb_read_unlock();
	urcu_memb_unregister_thread();
}

static void read_unregistered(void)
{
	urcu_memb_read_lock();
}

static void register_twice(void)
{
	urcu_memb_register_thread();
	urcu_memb_register_thread();
}

static void unregister(void)
{
	urcu_memb_unregister_thread();
}

static void read_and_end(void)
{
	urcu_memb_register_thread();
	urcu_memb_read_lock();
}

static void leave_unentered(void)
{
	urcu_memb_register_thread();
	urcu_memb_read_unlock();
}

static void wait_inside(void)
{
	urcu_memb_register_thread();
	urcu_memb_read_lock();
	urcu_memb_synchronize_rcu();
}

static void fork_and_wait_for_readers(void)
{
	fork();
	urcu_memb_synchronize_rcu();
}

/* The child's first duty. */
static void fork_and_forget_readers(void)
{
	if (fork() == 0 && model_registered())
		cds_list_del(&load_acquire(&reader)->node);
	urcu_memb_synchronize_rcu();
}

static const struct scenario scenarios[] = {
	{ "a handler unlocks", .thread = { end_unlocking, lock_and_unlock } },
	{ "no handler unlocks", .thread = { end_locked, lock_and_unlock },
	  .fails = "deadlock" },
	{ "a handler that was taken back",
	  .thread = { end_without, lock_and_unlock }, .fails = "deadlock" },
	{ "a thread vanishes, and no handler runs",
	  .thread = { vanish, lock_and_unlock }, .fails = "deadlock" },
	{ "the inner handler is first", .thread = { end_in_order },
	  .finish = inner_came_first },
	{ "the outer handler is not", .thread = { end_in_order },
	  .finish = outer_came_first, .fails = "outer handler" },
	{ "a value is freed by its key", .setup = make_key,
	  .thread = { leave_value } },
	{ "a value's key frees nothing", .setup = make_bare_key,
	  .thread = { leave_value }, .fails = "never freed" },
	{ "a thread vanishes, and no key frees", .setup = make_key,
	  .thread = { leave_value_and_vanish }, .fails = "never freed" },
	{ "no value is refused unasked", .setup = make_key,
	  .thread = { leave_value_unprepared } },
	{ "a value is refused", .setup = make_key, .failures = 1,
	  .thread = { leave_value_unprepared }, .fails = "is refused" },
	{ "a value is refused, which is seen", .setup = make_key,
	  .thread = { leave_value, leave_value }, .failures = 1 },
	{ "a thread's own variable is read",
	  .thread = { publish_own_and_wait, read_published } },
	{ "a thread's own variable is gone",
	  .thread = { publish_own, read_published }, .fails = "reclaimed" },
	{ "who joins knows", .thread = { start_and_join } },
	{ "who does not join does not", .thread = { start_and_read },
	  .fails = "data race" },
	{ "joined twice", .thread = { join_twice },
	  .fails = "joined or detached before" },
	{ "detached and joined", .thread = { join_detached },
	  .fails = "joined or detached before" },
	{ "joined and never there", .thread = { join_nobody },
	  .fails = "there is no thread" },
	{ "joined if it has ended", .thread = { try_to_join } },
	{ "joined when it has not", .thread = { try_to_join_once },
	  .fails = "has not ended" },
	{ "fork returns in the child", .thread = { fork_as_parent },
	  .fails = "this is the child" },
	{ "fork returns in the parent", .thread = { fork_as_child },
	  .fails = "this is the parent" },
	{ "fork keeps memory", .thread = { fork_with_memory } },
	{ "fork keeps a lock that is held",
	  .thread = { lock_and_unlock, fork_and_lock }, .fails = "deadlock" },
	{ "fork is hooked, and the lock is free", .setup = hook_fork,
	  .thread = { lock_and_unlock, fork_and_lock } },
	{ "fork is not hooked in the child",
	  .thread = { lock_and_unlock, fork_and_unlock_as_parent },
	  .fails = "locks its own mutex again" },
	{ "fork leaves others behind", .thread = { open, fork_and_wait },
	  .fails = "deadlock" },
	{ "fork leaves them in the parent",
	  .thread = { open, fork_and_wait_as_parent } },
	{ "fork leaves their sections open",
	  .thread = { read_once, fork_and_wait_for_readers },
	  .fails = "has a thread that is gone" },
	{ "fork, and they are forgotten",
	  .thread = { read_once, fork_and_forget_readers } },
	{ "a thread ends in its section",
	  .thread = { read_and_end, urcu_memb_synchronize_rcu },
	  .fails = "has a thread that is gone" },
	{ "a thread reads unregistered", .thread = { read_unregistered },
	  .fails = "liburcu does not know" },
	{ "a thread is registered twice", .thread = { register_twice },
	  .fails = "has this thread already" },
	{ "a thread is not registered, and is taken out",
	  .thread = { unregister }, .fails = "does not have this thread" },
	{ "a section ends that did not begin", .thread = { leave_unentered },
	  .fails = "did not begin" },
	{ "a reader waits for itself", .thread = { wait_inside },
	  .fails = "a reader waits" },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(scenarios[0]));
}
