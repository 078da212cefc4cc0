/* SPDX-License-Identifier: MIT */
/*
 * rcu: the account of room under the hard bound is exact.  It neither lets
 * an object too many wait, nor loses room: at rest, all of it can be had.
 */
#include <freehold/map.h>
#include <freehold/record.h>

#include <errno.h>

#include "retire.h"
#include "tap.h"

/* Twice: a reclaim function of the first round may have retired something. */
static int settle(void)
{
	int rc = drain();

	return rc ? rc : drain();
}

static void check_room(const char *what)
{
	is(settle(), 0, "%s: drain", what);
	is(stats_now().pending, 0, "%s: nothing waits", what);
	is(load_seq_cst(&live), 0, "%s: nothing lives", what);
	is(filled(fill), HARD, "%s: all the room is there", what);
	is(settle(), 0, "%s: and drained again", what);
}

/* ---- reclaim functions that retire ---- */

struct mill {
	tally stop, refused;
	void (*reclaim)(struct fh_rcu_head *head);
	int leave_over;
};

static void admit_one_more(struct fh_rcu_head *head)
{
	if (fh_rcu_admit(1) == 0)
		retire_one();
	count_and_free(head);
}

/* Unasked, so that for a moment more than the bound may wait. */
static void one_more(struct fh_rcu_head *head)
{
	retire_one();
	count_and_free(head);
}

/*
 * The reclaim functions run in the middle of the admissions of the threads
 * that call them.  Some retire less than they were admitted for.
 */
static void turn_mill(unsigned index, void *arg)
{
	uint64_t random = random_seed(index);
	struct mill *mill = arg;
	uint64_t n, used;

	while (!load_seq_cst(&mill->stop)) {
		n = 1 + random_below(&random, 3);
		used = mill->leave_over ? random_below(&random, n + 1) : n;
		if (fh_rcu_admit(n)) {
			add_relaxed(&mill->refused, 1);
			sched_yield();
			continue;
		}
		while (used--)
			retire_with(mill->reclaim);
	}
}

static void run_mill(struct mill *mill)
{
	struct crew crew;

	most = 0;
	fh_rcu_set_bounds(HARD / 2, HARD);
	crew_start(&crew, 4, turn_mill, mill);
	sleep_ns(300 * MS);
	comes_to(&most, 3);
	store_seq_cst(&mill->stop, 1);
	crew_join(&crew);
}

static void test_reclaim_admits(void)
{
	struct mill exact = { .reclaim = admit_one_more };
	struct mill over = { .reclaim = admit_one_more, .leave_over = 1 };

	run_mill(&exact);
	ok(most > 2 && most <= HARD, "at most %" PRIu64 " lived, %" PRIu64
	   " refused", (uint64_t)most, (uint64_t)exact.refused);
	check_room("after nested admissions");
	run_mill(&over);
	ok(most > 2 && most <= HARD, "at most %" PRIu64 " lived, %" PRIu64
	   " refused, room left over", (uint64_t)most,
	   (uint64_t)over.refused);
	check_room("after nested admissions with rests");
	fh_rcu_set_bounds(0, 0);
}

static void test_reclaim_retires(void)
{
	struct mill mill = { .reclaim = one_more, .leave_over = 1 };

	run_mill(&mill);
	ok(most > 2, "at most %" PRIu64 " lived", (uint64_t)most);
	check_room("after reclaim functions that did not ask");
	fh_rcu_set_bounds(0, 0);
}

/* ---- bounds ---- */

static void test_extremes(void)
{
	uint64_t over;
	int i, rc = 0;

	fh_rcu_set_bounds(0, SIZE_MAX);
	is(fh_rcu_admit(1), 0, "one under the greatest bound");
	is(fh_rcu_admit(SIZE_MAX), -EAGAIN, "not what no number can hold");
	is(fh_rcu_admit(0), 0, "given back");
	fh_rcu_set_bounds(SIZE_MAX, 0);
	over = stats_now().over_soft;
	for (i = 0; i < 200; i++)
		retire_one();
	is(stats_now().over_soft, over, "nothing is past the greatest one");
	is(settle(), 0, "drain");
	fh_rcu_set_bounds(1, 2);
	is(fh_rcu_admit(SIZE_MAX), -EAGAIN, "nor under the least bound");
	for (i = 0; i < 20 && rc == 0; i++) {
		rc = fh_rcu_admit(2);
		retire_one();
		retire_one();
		rc = rc ? rc : settle();
	}
	is(rc, 0, "under which one can live");
	fh_rcu_set_bounds(0, HARD);
	check_room("after extremes");
	fh_rcu_set_bounds(0, 0);
}

static void test_soft_counts_admitted(void)
{
	struct reader reader;
	uint64_t over;
	int i, rc = 0;

	fh_rcu_set_bounds(10, 100);
	reader_enter(&reader, 1);
	over = stats_now().over_soft;
	for (i = 0; i < 50; i++) {
		rc |= fh_rcu_admit(1);
		retire_one();
	}
	is(rc, 0, "50 of 100 are admitted");
	is(stats_now().over_soft - over, 40, "40 are past a soft bound of 10");
	reader_leave(&reader);
	is(settle(), 0, "drain");
	fh_rcu_set_bounds(0, 0);
}

/* Too few to have been reported: a change of the bounds has to ask. */
static void test_retired_before(void)
{
	struct reader reader;
	tally admitted = 0;
	int i;

	for (i = 0; i < HARD - 1; i++)
		retire_one();
	is(settle(), 0, "what was reclaimed before ...");
	fh_rcu_set_bounds(0, HARD);
	check_room("... makes no room that is not there");
	fh_rcu_set_bounds(0, 0);

	reader_enter(&reader, 1);
	for (i = 0; i < HARD - 1; i++)
		retire_one();
	fh_rcu_set_bounds(0, HARD);
	run_crew(1, fill, &admitted);
	is(admitted, 1, "what waits from before takes its room");
	reader_leave(&reader);
	check_room("when it has gone");
	fh_rcu_set_bounds(0, 0);
}

/* ---- idle threads ---- */

#define IDLERS 16

struct idlers {
	tally done, refused, stop;
	struct fh_map *map;
	struct fh_record record[IDLERS];
	struct fh_map_entry entry[IDLERS];
};

/* Each operation asks for room, and none of these retires anything. */
static void work_and_idle(unsigned index, void *arg)
{
	struct idlers *idlers = arg;
	int rc = fh_record_publish(&idlers->record[index], "x", 1);

	idlers->entry[index].key = fh_key_u64(index);
	rc |= fh_map_insert(idlers->map, &idlers->entry[index], NULL);
	rc |= fh_rcu_admit(1);
	rc |= fh_rcu_admit(0);
	if (rc)
		add_seq_cst(&idlers->refused, 1);
	add_seq_cst(&idlers->done, 1);
	while (!load_seq_cst(&idlers->stop))
		sleep_ns(MS);
}

static void test_idlers(void)
{
	static struct idlers idlers;
	struct crew crew;
	unsigned i;

	if (fh_map_create(&idlers.map, NULL))
		bail_out("no map");
	fh_rcu_set_bounds(0, HARD);
	crew_start(&crew, IDLERS, work_and_idle, &idlers);
	while (load_seq_cst(&idlers.done) < IDLERS)
		sleep_ns(MS);
	is(idlers.refused, 0, "%d threads were served", IDLERS);
	check_room("while they idle");
	store_seq_cst(&idlers.stop, 1);
	crew_join(&crew);
	fh_rcu_set_bounds(0, 0);
	fh_map_destroy(idlers.map, NULL, NULL);
	for (i = 0; i < IDLERS; i++)
		fh_record_destroy(&idlers.record[i]);
	is(settle(), 0, "drain");
}

int main(void)
{
	watchdog(120);
	retire_one();
	is(settle(), 0, "this thread and the library's are registered");
	test_reclaim_admits();
	test_reclaim_retires();
	test_extremes();
	test_soft_counts_admitted();
	test_retired_before();
	test_idlers();
	return done_testing();
}
