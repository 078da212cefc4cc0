/* SPDX-License-Identifier: MIT */
/*
 * The machine itself: what may fail, and what nobody may do.
 *
 * What fails is a choice that is made as often as the bounds allow, and never
 * where they do not: each is met once by who is not prepared for it, once by
 * who is, and once where it must not happen.
 */
#include "schedule.h"

#include "atomic.h"
#include "wait.h"

#include <freehold/rcu.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define IN_A_WHILE INT64_C(60000000000)

static _Atomic(uint32_t) flag, x, y;
static int plain;

/* ---- allocations ---- */

static void allocate_unprepared(void)
{
	int *number = malloc(sizeof(*number));

	*number = 1;
	free(number);
}

static void allocate(void)
{
	int *number = malloc(sizeof(*number));

	if (number)
		*number = 1;
	free(number);
}

static void allocate_again(void)
{
	int *number = malloc(sizeof(*number));

	if (!number)
		number = malloc(sizeof(*number));
	expect(number, "both allocations fail");
	free(number);
}

/* ---- threads ---- */

static void *started(void *arg)
{
	store_release(&flag, 1);
	return arg;
}

static void start_unprepared(void)
{
	pthread_t id;

	expect(pthread_create(&id, NULL, started, NULL) == 0,
	       "no thread was started");
	while (!load_acquire(&flag))
		fh_wait_on(&flag, 0, fh_now() + 1);
}

static void start(void)
{
	pthread_t id;

	if (pthread_create(&id, NULL, started, NULL) != 0)
		return;
	while (!load_acquire(&flag))
		fh_wait_on(&flag, 0, fh_now() + 1);
}

/* ---- deadlines ---- */

static void sleep_for_a_while(void)
{
	while (!load_acquire(&flag))
		if (fh_wait_on(&flag, 0, IN_A_WHILE) == -ETIMEDOUT)
			return;
}

static void sleep_in_time(void)
{
	while (!load_acquire(&flag))
		expect(fh_wait_on(&flag, 0, IN_A_WHILE) == 0,
		       "the deadline has passed");
}

static void wake(void)
{
	store_release(&flag, 1);
	fh_wake_all(&flag);
}

static void wake_nobody(void)
{
	store_release(&flag, 1);
}

/* ---- wake-ups ---- */

static void look_again(void)
{
	while (!load_acquire(&flag))
		fh_wait_on(&flag, 0, FH_FOREVER);
}

static void look_once(void)
{
	fh_wait_on(&flag, 0, FH_FOREVER);
	expect(load_acquire(&flag), "woken for nothing");
}

static void look_twice(void)
{
	if (!load_acquire(&flag))
		fh_wait_on(&flag, 0, FH_FOREVER);
	look_once();
}

/* ---- all of these ---- */

static void write_thrice(void)
{
	store_relaxed(&y, 1);
	store_relaxed(&y, 2);
	store_relaxed(&x, 1);
	store_relaxed(&x, 0);
}

/* Not a load, which might be told what is over. */
static bool is_interrupted(void)
{
	uint32_t last = 1;

	return cas_relaxed(&x, &last, 1u);
}

/*
 * It comes to the end if the other one is interrupted before its last store,
 * and then an allocation fails, a sleeper wakes for nothing, a deadline passes
 * early, as the other one has not gone on, and a load returns what is over.
 */
static void meet_all(void)
{
	void *bytes;

	if (!is_interrupted())
		return;
	bytes = malloc(8);
	free(bytes);
	if (bytes || fh_wait_on(&flag, 0, IN_A_WHILE) != 0)
		return;
	if (fh_wait_on(&flag, 0, IN_A_WHILE) == 0 || !is_interrupted())
		return;
	expect(load_relaxed(&y) != 1, "all of it has come");
}

/* ---- locks ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_and_unlock(void)
{
	pthread_mutex_lock(&lock);
	plain++;
	pthread_mutex_unlock(&lock);
}

static void lock_or_leave(void)
{
	if (pthread_mutex_trylock(&lock) != 0)
		return;
	plain++;
	pthread_mutex_unlock(&lock);
}

static void lock_always(void)
{
	expect(pthread_mutex_trylock(&lock) == 0, "it is locked");
	pthread_mutex_unlock(&lock);
}

static void lock_twice(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_lock(&lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static void hold(void)
{
	pthread_mutex_lock(&lock);
}

static void destroy_lock(void)
{
	pthread_mutex_destroy(&lock);
}

/* ---- a walk without an end ---- */

struct link {
	struct link *next;
};

static struct link ring = { &ring };
static struct link *volatile here;

static void walk_round(void)
{
	for (here = &ring; here; here = here->next)
		;
}

/* ---- memory ---- */

static void free_a_variable(void)
{
	free(&plain);
}

static void free_the_middle(void)
{
	char *bytes = malloc(64);

	free(bytes + 16);
}

static void read_beyond(void)
{
	volatile char *bytes = malloc(64);

	plain = bytes[4096];
}

static void load_a_half(void)
{
	store_relaxed(&flag, 1);
	__atomic_load_n((uint16_t *)&flag, __ATOMIC_RELAXED);
}

/* ---- sections and what is retired ---- */

struct object {
	struct fh_rcu_head rcu;
};

static void object_free(struct fh_rcu_head *head)
{
	free(head);
}

static void retire_one(void)
{
	struct object *object = calloc(1, sizeof(*object));

	fh_rcu_retire(&object->rcu, object_free);
}

static void retire_two(void)
{
	fh_rcu_read_lock();
	retire_one();
	retire_one();
	fh_rcu_read_unlock();
}

static void retire_twice(void)
{
	struct object *object = calloc(1, sizeof(*object));

	fh_rcu_retire(&object->rcu, object_free);
	fh_rcu_retire(&object->rcu, object_free);
}

static void retire_twice_inside(void)
{
	fh_rcu_read_lock();
	retire_twice();
	fh_rcu_read_unlock();
}

static void read_nothing(void)
{
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
}

static void read_for_ever(void)
{
	fh_rcu_read_lock();
}

static void leave_unentered(void)
{
	fh_rcu_read_unlock();
}

static const struct scenario scenarios[] = {
	{ "no allocation fails unasked", .thread = { allocate_unprepared } },
	{ "one fails", .thread = { allocate_unprepared }, .failures = 1,
	  .fails = "access to address 0" },
	{ "one fails, which is seen", .thread = { allocate, allocate },
	  .failures = 1 },
	{ "one fails, and no other", .thread = { allocate_again },
	  .failures = 1 },
	{ "two fail", .thread = { allocate_again }, .failures = 2,
	  .fails = "both allocations fail" },
	{ "no thread fails unasked", .thread = { start_unprepared } },
	{ "a thread is not started", .thread = { start_unprepared },
	  .failures = 1, .fails = "no thread was started" },
	{ "a thread is not started, which is seen", .thread = { start },
	  .failures = 1 },
	{ "no deadline comes early", .thread = { sleep_in_time, wake } },
	{ "one comes early", .thread = { sleep_in_time, wake },
	  .timeouts = 1, .fails = "the deadline has passed" },
	{ "one comes early, which is seen",
	  .thread = { sleep_for_a_while, sleep_for_a_while, wake },
	  .timeouts = 1 },
	{ "one comes at last", .thread = { sleep_in_time, wake_nobody },
	  .fails = "the deadline has passed" },
	{ "one comes at last, which is seen",
	  .thread = { sleep_for_a_while, wake_nobody } },
	{ "nobody is woken unasked", .thread = { look_once, wake },
	  .stale = -1 },
	{ "one is woken", .thread = { look_once, wake }, .stale = -1,
	  .wakeups = 1, .fails = "woken for nothing" },
	{ "one is woken, which is seen",
	  .thread = { look_again, look_again, wake }, .wakeups = 1 },
	{ "one is woken once", .thread = { look_twice, wake }, .stale = -1,
	  .wakeups = 1 },
	{ "one is woken twice", .thread = { look_twice, wake }, .stale = -1,
	  .wakeups = 2, .fails = "woken for nothing" },
	{ "nearly all of it at once", .thread = { write_thrice, meet_all },
	  .failures = 1, .timeouts = 1 },
	{ "all of it at once", .thread = { write_thrice, meet_all },
	  .failures = 1, .timeouts = 1, .wakeups = 1,
	  .fails = "all of it has come" },
	{ "nobody is left to wake it", .finish = look_again,
	  .fails = "setup or finish waits" },
	{ "who may not wait, leaves",
	  .thread = { lock_or_leave, lock_or_leave, lock_and_unlock } },
	{ "a lock may be taken", .thread = { lock_always, lock_and_unlock },
	  .fails = "it is locked" },
	{ "a lock is taken by its owner", .thread = { lock_twice },
	  .fails = "locks its own mutex again" },
	{ "a lock is not held", .thread = { unlock },
	  .fails = "not held" },
	{ "a lock is held by another", .thread = { hold, unlock },
	  .fails = "not held" },
	{ "a lock is held and destroyed", .thread = { hold, destroy_lock },
	  .fails = "destroyed while it is held" },
	{ "a lock is free and destroyed", .thread = { lock_and_unlock },
	  .finish = destroy_lock },
	{ "a variable is freed", .thread = { free_a_variable },
	  .fails = "free of what was not allocated" },
	{ "a part is freed", .thread = { free_the_middle },
	  .fails = "free of what was not allocated" },
	{ "what nobody allocated is read", .thread = { read_beyond },
	  .fails = "read of what nobody allocated" },
	{ "half a location is read", .thread = { load_a_half },
	  .fails = "two sizes" },
	{ "two are retired", .thread = { retire_two, read_nothing } },
	{ "one is retired twice", .thread = { retire_twice_inside },
	  .fails = "retired twice" },
	{ "one is retired and reclaimed, and retired",
	  .thread = { retire_twice }, .fails = "which is reclaimed" },
	{ "a list has no end", .thread = { walk_round },
	  .fails = "no end after" },
	{ "a section has no end", .thread = { read_for_ever, retire_one },
	  .fails = "never reclaimed" },
	{ "a section has no beginning", .thread = { leave_unentered },
	  .fails = "did not begin" },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(scenarios[0]));
}
