/* SPDX-License-Identifier: MIT */
/*
 * rcu: threads whose exit cannot be hooked, since pthread_setspecific fails.
 * They are protected and bounded all the same, and leave nothing behind.
 */
#include <errno.h>

#include "retire.h"
#include "tap.h"

/* Set, this thread's exit cannot be hooked: the linker puts this between. */
static _Thread_local int no_keys;

int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	return no_keys ? ENOMEM : __real_pthread_setspecific(key, value);
}

static void fill_unhooked(unsigned index, void *arg)
{
	no_keys = 1;
	fill(index, arg);
}

/* Nothing could take back the room that it held when it ends. */
static void take_room_unhooked(unsigned index, void *arg)
{
	(void)index;
	no_keys = 1;
	if (fh_rcu_admit(HARD / 3) == 0)
		add_seq_cst((tally *)arg, 1);
}

static void test_unhooked_room(void)
{
	tally admitted = 0;
	int i;

	fh_rcu_set_bounds(0, HARD);
	is(filled(fill_unhooked), HARD, "an unhooked thread is bounded");
	is(drain(), 0, "drain");
	for (i = 0; i < 5; i++)
		run_crew(1, take_room_unhooked, &admitted);
	is(admitted, 5, "five took room in turn, and ended");
	is(filled(fill), HARD, "all the room is there");
	is(drain(), 0, "drain");
	fh_rcu_set_bounds(0, 0);
}

struct turncoat {
	tally inside, leave;
	uint64_t before, unhooked, nested, after;
};

/* Each call tries to register again, but not in the middle of a section. */
static void read_unhooked(unsigned index, void *arg)
{
	struct turncoat *coat = arg;

	(void)index;
	coat->before = stats_now().threads;
	no_keys = 1;
	fh_rcu_read_lock();
	coat->unhooked = stats_now().threads;
	no_keys = 0;
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	coat->nested = stats_now().threads;
	store_seq_cst(&coat->inside, 1);
	await(&coat->leave);
	fh_rcu_read_unlock();
	fh_rcu_read_lock();
	coat->after = stats_now().threads;
	fh_rcu_read_unlock();
}

static void test_unhooked_reader(void)
{
	struct turncoat coat = { 0 };
	struct crew crew;

	crew_start(&crew, 1, read_unhooked, &coat);
	await(&coat.inside);
	retire_one();
	is(fh_rcu_drain_wait(fh_deadline_in(100 * MS)), -ETIMEDOUT,
	   "an unhooked reader is waited for");
	is(load_seq_cst(&live), 1, "what it may see lives");
	is(stats_now().oldest_reader, -1, "the statistics tell of it");
	store_seq_cst(&coat.leave, 1);
	crew_join(&crew);
	is(drain(), 0, "drained when it has left");
	is(load_seq_cst(&live), 0, "all is reclaimed");
	is(coat.unhooked, coat.before, "it was not in the list");
	is(coat.nested, coat.before, "nor in the middle of its section");
	is(coat.after, coat.before + 1, "but when that was over");
	is(stats_now().threads, coat.before, "until its end");
}

int main(void)
{
	watchdog(120);
	retire_one();
	is(drain(), 0, "this thread and the library's are registered");
	test_unhooked_room();
	test_unhooked_reader();
	return done_testing();
}
