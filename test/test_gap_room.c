/* SPDX-License-Identifier: MIT */
/*
 * rcu: room under the hard bound, as the operations of other rooms take it:
 * what mutants showed that no other test looked at.  Each time somebody holds
 * room, others take all the rest, and then the room is used: if the account
 * were wrong, more objects would wait than the bound allows.
 */
#include <freehold/freehold.h>

#include "tap.h"
#include "threads.h"

#include "retire.h"

#include <errno.h>

#define BOUND 10

struct item {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
};

static struct item items[8];
static struct fh_map *map;

static uint64_t one_hash(struct fh_key key)
{
	(void)key;
	return 1;
}

static int put(unsigned i, uint64_t key, struct fh_map_entry **old)
{
	items[i].entry.key = fh_key_u64(key);
	return fh_map_put(map, &items[i].entry, old);
}

/* What others get, while a reader sees to it that nothing is reclaimed. */
static uint64_t others_get(void)
{
	return filled(fill);
}

/* Between two checks: nothing waits, and no room is held. */
static void settle(const char *what)
{
	fh_rcu_admit(0);
	is(drain(), 0, "%s: drain", what);
}

static tally holding, let_go;

static void hold_three(unsigned index, void *arg)
{
	(void)index;
	is(fh_rcu_admit(3), 0, "another thread is admitted");
	store_seq_cst(&holding, 1);
	await(arg);
}

static void insert_and_idle(unsigned index, void *arg)
{
	struct fh_map_entry *old;

	(void)index;
	is(put(0, 1, &old), 0, "a thread inserts, and is idle then");
	store_seq_cst(&holding, 1);
	await(arg);
}

static void test_held(void)
{
	struct crew crew;

	crew_start(&crew, 1, hold_three, &let_go);
	await(&holding);
	is(fh_rcu_admit(BOUND - 2), -EAGAIN, "room that it holds is not ours");
	is(fh_rcu_admit(BOUND - 3), 0, "but all the rest is");
	settle("held");
	store_seq_cst(&let_go, 1);
	crew_join(&crew);
	store_seq_cst(&holding, 0);
	store_seq_cst(&let_go, 0);
}

static void test_returned(void)
{
	struct crew crew;

	crew_start(&crew, 1, insert_and_idle, &let_go);
	await(&holding);
	is(fh_rcu_admit(BOUND), 0, "it holds no room");
	settle("returned");
	store_seq_cst(&let_go, 1);
	crew_join(&crew);
}

static void forget(struct fh_rcu_head *head)
{
	(void)head;
	sub_acq_rel(&live, 1);
}

/* What a removal hands out has room: ours, whatever others take. */
static void test_kept(void)
{
	struct fh_map_entry *entry;
	uint64_t got;

	is(fh_map_remove(map, fh_key_u64(1), &entry), 0, "a removal");
	got = others_get();
	add_seq_cst(&live, 1);
	fh_rcu_retire(&((struct item *)entry)->rcu, forget);
	ok(got + 1 <= BOUND, "%d others and this one", (int)got);
	settle("kept");
}

/* An operation within room that its caller holds leaves that room alone. */
static void test_inner(void)
{
	struct fh_map_entry *old;
	uint64_t got;
	int i;

	is(fh_rcu_admit(3), 0, "room for three");
	is(put(1, 1, &old), 0, "an insertion in between");
	got = others_get();
	for (i = 0; i < 3; i++)
		retire_one();
	ok(got + 3 <= BOUND, "%d others and these three", (int)got);
	settle("inner");
}

/* To replace in a block retires the block, and hands out the entry. */
static void test_two(void)
{
	struct fh_map_entry *old;
	struct reader reader;
	int i;

	is(put(2, 2, &old), 0, "a second entry makes a block");
	reader_enter(&reader, 1);
	is(fh_rcu_admit(BOUND - 1), 0, "room for all but one");
	for (i = 0; i < BOUND - 1; i++)
		retire_one();
	is(put(3, 2, &old), -EAGAIN, "room for one is not enough for two");
	reader_leave(&reader);
	settle("two");
	is(put(3, 2, &old), 0, "now there is enough");
	settle("after it");
}

static pthread_t owner;
static tally by_owner;

static void retire_two(struct fh_rcu_head *head)
{
	if (pthread_equal(owner, pthread_self()))
		add_seq_cst(&by_owner, 1);
	retire_one();
	retire_one();
	count_and_free(head);
}

/* Others take what they get, then we use our room: how many are alive? */
static uint64_t crowded(void)
{
	tally admitted = 0;
	int i;

	run_crew(1, fill, &admitted);
	for (i = 0; i < 4; i++)
		retire_one();
	return load_seq_cst(&live);
}

/*
 * Room for four is ours, then flush runs a function that retires two.  If
 * the worker was faster, the round shows nothing: then the result is 0.
 */
static uint64_t nested_round(void)
{
	uint64_t before = load_seq_cst(&by_owner), lived = 0;
	struct reader reader;

	retire_with(retire_two);
	fh_rcu_flush();
	sleep_ns(4 * MS);
	if (fh_rcu_admit(4) == 0) {
		reader_enter(&reader, 1);
		fh_rcu_flush();
		if (load_seq_cst(&by_owner) > before)
			lived = crowded();
		reader_leave(&reader);
	}
	settle("a round");
	return lived;
}

/* What reclaim functions retire takes nothing of the room that we hold. */
static void test_nested(void)
{
	int64_t until = fh_deadline_in(20 * SECONDS);
	uint64_t lived = 0;

	owner = pthread_self();
	while (lived == 0 && fh_now() < until)
		lived = nested_round();
	ok(lived <= BOUND, "%d were alive", (int)lived);
	ok(lived > 0, "this thread ran the reclaim function itself");
}

int main(void)
{
	struct fh_map_options options = { .hash = one_hash };

	watchdog(60);
	if (fh_map_create(&map, &options))
		bail_out("cannot create a table");
	fh_rcu_set_bounds(0, BOUND);
	test_held();
	test_returned();
	test_kept();
	test_inner();
	test_two();
	test_nested();
	fh_rcu_set_bounds(0, 0);
	fh_map_destroy(map, NULL, NULL);
	return done_testing();
}
