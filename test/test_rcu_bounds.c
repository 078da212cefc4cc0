/* SPDX-License-Identifier: MIT */
/*
 * rcu: the bounds on what waits for reclamation.  The soft one is counted
 * and helps; the hard one refuses before anything has changed.
 */
#include <freehold/base.h>
#include <freehold/map.h>
#include <freehold/rcu.h>
#include <freehold/record.h>

#include <dirent.h>
#include <errno.h>

#include "reader.h"
#include "tap.h"
#include "threads.h"

#define MS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)

static void head_free(struct fh_rcu_head *head)
{
	free(head);
}

static void retire_one(void)
{
	struct fh_rcu_head *head = malloc(sizeof(*head));

	if (!head)
		bail_out("no memory");
	fh_rcu_retire(head, head_free);
}

static struct fh_rcu_stats stats_now(void)
{
	struct fh_rcu_stats stats;

	fh_rcu_get_stats(&stats);
	return stats;
}

static int drain(void)
{
	return fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS));
}

static void test_errors(void)
{
	is(fh_rcu_set_bounds(0, 1), -EINVAL, "a removal retires two");
	is(stats_now().hard_bound, 0, "a refused bound changes nothing");
	is(fh_rcu_set_bounds(7, 2), 0, "two is enough");
	is(stats_now().soft_bound, 7, "the soft bound");
	is(stats_now().hard_bound, 2, "the hard bound");
	is(fh_rcu_set_bounds(0, 0), 0, "back to the defaults");
	is(stats_now().soft_bound, FH_RCU_SOFT_BOUND, "the default soft one");
	is(stats_now().hard_bound, 0, "no hard one");
	is(fh_rcu_admit(1000000), 0, "and then any number is admitted");
}

/* Retiring past the soft bound must neither fail nor wait for the reader. */
static void test_soft(void)
{
	struct fh_rcu_stats before = stats_now(), after;
	struct reader reader;
	int i;

	fh_rcu_set_bounds(100, 0);
	reader_enter(&reader, 1);
	for (i = 0; i < 3000; i++)
		retire_one();
	after = stats_now();
	is(after.pending, 3000, "3000 wait behind a reader");
	ok(after.over_soft > before.over_soft, "the excess is counted: %"
	   PRIu64, after.over_soft - before.over_soft);
	/* Threads report what they retire in steps of 64 at the most. */
	ok(after.over_soft - before.over_soft <= 2900 + 64,
	   "and only the excess");
	reader_leave(&reader);
	is(drain(), 0, "drain");
	is(stats_now().pending, 0, "nothing waits");
	fh_rcu_set_bounds(0, 0);
}

/* All threads of the program, the library's own too, get these processors. */
static void move_to(const cpu_set_t *processors)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *thread;

	if (!threads)
		return;
	while ((thread = readdir(threads)))
		if (thread->d_name[0] != '.')
			sched_setaffinity((pid_t)atoi(thread->d_name),
					  sizeof(*processors), processors);
	closedir(threads);
}

#define SOFT 1000
#define LOW (4 * SOFT)
#define TRIES 20

/* The most that waited, of so many. */
static uint64_t most_waiting(size_t rounds)
{
	uint64_t most = 0, pending;
	size_t i;

	for (i = 0; i < rounds; i++) {
		retire_one();
		if (i % 500)
			continue;
		pending = stats_now().pending;
		if (pending > most)
			most = pending;
	}
	return most;
}

/*
 * With nobody in the way the retiring threads keep the garbage low.  Past the
 * bound each sixteenth of it has its thread yield, for the grace period to
 * run, and reclaim what waited for one: in the open list and in the sealed
 * one there is no more than was retired during a grace period or two.  All on
 * one processor, so that it is the yielding that makes room for the grace
 * period: a thread that did not would retire for its whole slice of time,
 * many thousands.  The system may still let others run first; not each time.
 */
static void test_soft_helps(void)
{
	size_t rounds = scaled(200000, 20000);
	uint64_t most = UINT64_MAX;
	cpu_set_t all, one;
	int cpu = sched_getcpu(), moved, i;

	retire_one();	/* the library's thread is there */
	is(drain(), 0, "drain");
	moved = cpu >= 0 && !sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	if (moved) {
		CPU_SET(cpu, &one);
		move_to(&one);
	}
	fh_rcu_set_bounds(SOFT, 0);
	for (i = 0; i < TRIES && most > LOW; i++)
		most = most_waiting(rounds);
	ok(most <= LOW, "%zu retired, at most %" PRIu64 " waited, at the %d. "
	   "try", rounds, most, i);
	if (moved)
		move_to(&all);
	is(drain(), 0, "drain");
	fh_rcu_set_bounds(0, 0);
}

#define HARD 64

/* Admit and retire until refused; returns how many were admitted. */
static unsigned fill_up(void)
{
	unsigned admitted = 0;

	while (admitted < 10 * HARD && fh_rcu_admit(1) == 0) {
		retire_one();
		admitted++;
	}
	return admitted;
}

/* Admissions come back by themselves once the reader has left. */
static int admits_again(size_t objects)
{
	int i, rc = -EAGAIN;

	for (i = 0; i < 30000 && rc == -EAGAIN; i++) {
		rc = fh_rcu_admit(objects);
		if (rc)
			sleep_ns(MS);
	}
	return rc;
}

static void test_hard(void)
{
	struct fh_rcu_stats before, full;
	struct reader reader;
	unsigned admitted;

	is(drain(), 0, "drain");
	before = stats_now();
	is(fh_rcu_set_bounds(32, HARD), 0, "set a hard bound");
	reader_enter(&reader, 1);
	admitted = fill_up();
	full = stats_now();
	is(admitted, HARD, "as many are admitted as the bound says");
	is(full.pending, HARD, "and wait");
	is(fh_rcu_admit(1), -EAGAIN, "no more");
	is(fh_rcu_admit(2), -EAGAIN, "in no number");
	ok(stats_now().refused >= before.refused + 3, "that is counted");
	is(stats_now().pending, HARD, "a refusal changes nothing");
	reader_leave(&reader);
	is(admits_again(1), 0, "admitted again once the reader has left");
	retire_one();
	is(fh_rcu_admit(HARD + 1), -EAGAIN, "never more than the bound");
	is(drain(), 0, "drain");
	fh_rcu_set_bounds(0, 0);
}

/* Counts what waits by itself: from admission to the reclaim function. */
static tally waiting;

static void leave_and_free(struct fh_rcu_head *head)
{
	sub_acq_rel(&waiting, 1);
	free(head);
}

struct crowd {
	tally retired, refused, stop, beyond, most;
};

static void note_waiting(struct crowd *crowd, uint64_t now)
{
	uint64_t most = load_relaxed(&crowd->most);

	while (most < now && !cas_relaxed(&crowd->most, &most, now))
		;
	if (now > HARD)
		add_relaxed(&crowd->beyond, 1);
}

/* If two threads were given the same room, more than HARD would wait. */
static void admit_and_retire(unsigned index, void *arg)
{
	struct crowd *crowd = arg;
	struct fh_rcu_head *head;

	(void)index;
	while (!load_seq_cst(&crowd->stop)) {
		if (fh_rcu_admit(1)) {
			add_relaxed(&crowd->refused, 1);
			sched_yield();
			continue;
		}
		head = malloc(sizeof(*head));
		if (!head)
			bail_out("no memory");
		note_waiting(crowd, add_seq_cst(&waiting, 1) + 1);
		fh_rcu_retire(head, leave_and_free);
		add_seq_cst(&crowd->retired, 1);
	}
}

/* Behind a reader it comes to a standstill, with HARD that wait. */
static void await_standstill(struct crowd *crowd)
{
	int64_t until = fh_deadline_in(30 * SECONDS);
	uint64_t before, now, there;

	do {
		before = load_seq_cst(&crowd->retired);
		sleep_ns(100 * MS);
		now = load_seq_cst(&crowd->retired);
		there = load_seq_cst(&waiting);
	} while ((now != before || there != HARD) && fh_now() < until);
	is(now, before, "behind a reader the crowd is stopped");
	is(there, HARD, "at the bound");
}

static void test_hard_crowd(void)
{
	struct crowd crowd = { 0 };
	struct reader reader;
	uint64_t held;
	struct crew crew;

	is(drain(), 0, "drain");
	fh_rcu_set_bounds(32, HARD);
	crew_start(&crew, 4, admit_and_retire, &crowd);
	ok(comes_to(&crowd.retired, 1), "a crowd begins");
	sleep_ns(200 * MS);
	reader_enter(&reader, 1);
	await_standstill(&crowd);
	held = load_seq_cst(&crowd.retired);
	reader_leave(&reader);
	ok(comes_to(&crowd.retired, held + 1), "then it goes on");
	sleep_ns(200 * MS);
	store_seq_cst(&crowd.stop, 1);
	crew_join(&crew);
	is(crowd.beyond, 0, "never more than the bound waited");
	ok(crowd.refused > 0, "%" PRIu64 " retired, %" PRIu64
	   " refused, at most %" PRIu64 " waited", (uint64_t)crowd.retired,
	   (uint64_t)crowd.refused, (uint64_t)crowd.most);
	is(drain(), 0, "drain");
	is(admits_again(HARD / 2), 0,
	   "room that ended threads held has come back");
	fh_rcu_set_bounds(0, 0);
}

/* ---- the structures under a hard bound ---- */

struct item {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
};

static struct item items[10], spare[4];

static void no_reclaim(struct fh_rcu_head *head)
{
	(void)head;
}

/* How many of the ten items are found in their places. */
static unsigned items_found(struct fh_map *map)
{
	unsigned i, found = 0;

	fh_rcu_read_lock();
	for (i = 0; i < 10; i++)
		found += fh_map_lookup(map, fh_key_u64(i)) == &items[i].entry;
	fh_rcu_read_unlock();
	return found;
}

static void refuse_changes(struct fh_map *map)
{
	struct fh_map_entry *out;
	int rc;

	is(fh_map_remove(map, fh_key_u64(3), &out), -EAGAIN, "remove");
	is(items_found(map), 10, "removed nothing");
	is(fh_map_remove_entry(map, &items[4].entry), -EAGAIN,
	   "remove this entry");
	is(items_found(map), 10, "removed nothing");
	spare[0].entry.key = fh_key_u64(5);
	is(fh_map_put(map, &spare[0].entry, &out), -EAGAIN, "put");
	is(fh_map_replace(map, &spare[0].entry, &out), -EAGAIN, "replace");
	is(fh_map_replace_entry(map, &items[5].entry, &spare[0].entry),
	   -EAGAIN, "replace this entry");
	is(items_found(map), 10, "replaced nothing");
	spare[1].entry.key = fh_key_u64(99);
	rc = fh_map_insert(map, &spare[1].entry, NULL);
	ok(rc == -EAGAIN || rc == 0, "insert: done or refused");
	is(fh_map_count(map), 10 + (rc == 0), "and not half");
	fh_rcu_read_lock();
	ok(fh_map_lookup(map, fh_key_u64(99)) ==
	   (rc ? NULL : &spare[1].entry), "as the lookup says");
	fh_rcu_read_unlock();
	if (rc)
		fh_map_insert(map, &spare[1].entry, NULL);
}

static void test_hard_map(void)
{
	struct fh_map_entry *out = NULL;
	struct reader reader;
	struct fh_map *map;
	unsigned i;

	is(fh_map_create(&map, NULL), 0, "create");
	for (i = 0; i < 10; i++) {
		items[i].entry.key = fh_key_u64(i);
		if (fh_map_insert(map, &items[i].entry, NULL))
			bail_out("cannot insert");
	}
	is(drain(), 0, "drain");
	fh_rcu_set_bounds(32, HARD);
	reader_enter(&reader, 1);
	fill_up();
	refuse_changes(map);
	reader_leave(&reader);
	is(admits_again(2), 0, "room again");
	is(fh_map_remove(map, fh_key_u64(3), &out), 0, "now it is removed");
	ok(out == &items[3].entry, "and handed over");
	fh_rcu_retire(&items[3].rcu, no_reclaim);
	is(drain(), 0, "drain");
	fh_rcu_set_bounds(0, 0);
	fh_map_destroy(map, NULL, NULL);
}

static void test_hard_record(void)
{
	struct fh_record record = { 0 };
	struct reader reader;
	uint64_t version;
	char value = 0;

	is(drain(), 0, "drain");
	fh_record_publish(&record, "a", 1);
	fh_rcu_set_bounds(32, HARD);
	reader_enter(&reader, 1);
	fill_up();
	is(fh_record_publish(&record, "b", 1), -EAGAIN, "publish");
	is(fh_record_publish_if(&record, 1, "b", 1), -EAGAIN, "publish if");
	fh_record_read(&record, &value, 1, NULL, &version);
	ok(value == 'a' && version == 1, "the old value stands");
	reader_leave(&reader);
	is(admits_again(1), 0, "room again");
	is(fh_record_publish(&record, "b", 1), 0, "published");
	fh_record_destroy(&record);
	is(drain(), 0, "drain");
	fh_rcu_set_bounds(0, 0);
}

int main(void)
{
	watchdog(120);
	test_errors();
	test_soft();
	test_soft_helps();
	test_hard();
	test_hard_crowd();
	test_hard_map();
	test_hard_record();
	return done_testing();
}
