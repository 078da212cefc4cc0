/* SPDX-License-Identifier: MIT */
/*
 * faults: signal handlers that use the library in the midst of what they
 * interrupted: lookups, where the interrupted code holds a read section;
 * cells, counters, counts, gates and the time, anywhere.
 *
 * What would be seen if the library were wrong: a lookup that meets a table
 * half changed misses a key that is always there, or finds an entry that is
 * dead; a change of the handler's that the interrupted change overwrites makes
 * epochs and sums differ from the number of changes, or leaves somebody in
 * the gate who is not there; anything that takes a
 * lock which the interrupted code holds never returns, and the watchdog ends
 * the test; a change that the handler makes between a waiter's last look and
 * its sleep is slept through.
 *
 * The mutex build promises none of this but for the time.
 */
#include <freehold/counter.h>
#include <freehold/record.h>

#include "faults.h"
#include "house.h"

#define FIXED 50u		/* keys that are always there */
#define OTHER 400u		/* that come and go */

static struct fh_map *map;
static struct fh_status cell;
static struct fh_counter counter;
static struct fh_gate *gate;
static tally sets, adds, lookups, missed, dead, wrong;

/* This thread's, for its handler: inside a section, and on which key. */
static _Thread_local volatile sig_atomic_t inside;
static _Thread_local volatile uint64_t at_work;
static _Thread_local uint64_t dice;

static void look_up(uint64_t key)
{
	struct fh_map_entry *entry = fh_map_lookup(map, fh_key_u64(key));

	add_relaxed(&lookups, 1);
	if (!entry && key < FIXED)
		add_relaxed(&missed, 1);
	if (entry && (item_of(entry)->alive != ITEM_ALIVE ||
		      item_of(entry)->id != key + 1))
		add_relaxed(&dead, 1);
}

static void pass_gate(void)
{
	int rc = fh_gate_enter(gate);

	if (rc && rc != -EBUSY && rc != -ESHUTDOWN)
		add_relaxed(&wrong, 1);
	if (rc == 0 && fh_gate_leave(gate))
		add_relaxed(&wrong, 1);
}

static void look_around(void)
{
	static const uint64_t allowed[2] = { 3, 3 };
	static const struct fh_status_table table = { 2, allowed };
	struct fh_status_snapshot seen = fh_status_read(&cell);
	int64_t before = fh_now();
	int i;

	if (inside)
		look_up(at_work);
	for (i = 0; inside && i < 4; i++)
		look_up((at_work + (uint64_t)i * 7 + 1) % (FIXED + OTHER));
	fh_status_set(&cell, (unsigned)(seen.epoch & 1));
	add_relaxed(&sets, 1);
	if (fh_status_transition(&cell, &table, 1, NULL) == 0)
		add_relaxed(&sets, 1);
	fh_counter_add(&counter, 3);
	add_relaxed(&adds, 3);
	pass_gate();
	fh_gate_close(gate);
	fh_gate_open(gate);
	if (fh_counter_read(&counter) < 3 || fh_map_count(map) + 8 < FIXED ||
	    fh_status_read(&cell).epoch <= seen.epoch ||
	    fh_deadline_in(1) <= before || !fh_build())
		add_relaxed(&wrong, 1);
}

/* ---- every operation, interrupted within a section ---- */

static void change_table(int fixed)
{
	uint64_t key = fixed ? random_below(&dice, FIXED) :
			       FIXED + random_below(&dice, OTHER);
	struct fh_map_entry *out = NULL;
	struct item *item;
	int rc;

	at_work = key;
	if (!fixed && random_below(&dice, 2)) {
		if (fh_map_remove(map, fh_key_u64(key), &out) == 0)
			item_retire(out);
		return;
	}
	item = item_u64(key, key + 1);
	rc = fixed ? fh_map_replace(map, &item->entry, &out) :
		     fh_map_put(map, &item->entry, &out);
	if (rc)
		add_relaxed(&wrong, 1);
	if (out)
		item_retire(out);
}

static int pass_by(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	if (item_of(entry)->alive != ITEM_ALIVE)
		add_relaxed(&dead, 1);
	return 0;
}

static void change_more(struct fh_record *record)
{
	struct fh_map_cursor cursor = { 0 };
	struct fh_status_snapshot seen;

	fh_record_publish(record, "abc", 3);
	fh_counter_add(&counter, 1);
	add_relaxed(&adds, 1);
	pass_gate();
	seen = fh_status_read(&cell);
	if (fh_status_compare_exchange(&cell, &seen, 0) == 0)
		add_relaxed(&sets, 1);
	fh_status_set(&cell, 1);
	add_relaxed(&sets, 1);
	look_up(random_below(&dice, FIXED + OTHER));
	if (random_below(&dice, 100) == 0)
		fh_map_settle(map);
	cursor.next = random_next(&dice);
	fh_map_walk(map, &cursor, 1, pass_by, NULL);
}

static void work(unsigned index, void *arg)
{
	int64_t until = fh_deadline_in((int64_t)scaled(600, 100) * MS);
	struct fh_record record = { 0 };
	timer_t storm;
	int i;

	(void)arg;
	dice = random_seed(index);
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	storm = storm_start(MS / 20);
	while (fh_now() < until) {
		fh_rcu_read_lock();
		inside = 1;
		for (i = 0; i < 50; i++) {
			change_table(i % 4 != 0);
			change_more(&record);
		}
		inside = 0;
		fh_rcu_read_unlock();
	}
	timer_delete(storm);
	fh_record_destroy(&record);
}

static void test_midst(unsigned threads)
{
	const struct fh_gate_options places = { .limit = 2 };
	uint64_t key;

	if (fh_gate_create(&gate, &places))
		bail_out("no memory for a gate");
	map = map_new(NULL);
	for (key = 0; key < FIXED; key++)
		fh_map_insert(map, &item_u64(key, key + 1)->entry, NULL);
	storm_handler = look_around;
	run_crew(threads, work, NULL);
	storm_handler = NULL;
	is(missed, 0, "%u threads, %" PRIu64 " signals, %" PRIu64 " lookups: "
	   "what is always there is always found", threads,
	   (uint64_t)storm_signals, (uint64_t)lookups);
	is(dead, 0, "and what is found is alive");
	is(fh_status_read(&cell).epoch, sets, "one epoch a change");
	is(fh_counter_read(&counter), adds, "no addition is lost");
	is(wrong, 0, "nothing else was wrong");
	is(fh_gate_leave(gate), -EPERM, "nobody is left in the gate");
	fh_gate_destroy(gate);
	ok(storm_signals > 0, "there were handlers");
	fh_map_destroy(map, item_release, NULL);
	is(drain(), 0, "drain");
}

/* ---- a handler that ends its own thread's wait ---- */

#ifndef FH_TSAN

static struct fh_status alarm_cell;

static void ring(void)
{
	fh_status_set(&alarm_cell, 1);
}

/* A one-shot that comes anywhere from before the wait to within the sleep. */
static void arm(timer_t timer, int64_t delay)
{
	const struct itimerspec once = { { 0, 0 }, { 0, delay } };

	timer_settime(timer, 0, &once, NULL);
}

static void test_own_wait(void)
{
	size_t i, rounds = scaled(5000, 500), lost = 0;
	timer_t timer = storm_start(0);
	uint64_t random = 1;

	storm_handler = ring;
	for (i = 0; i < rounds && !lost; i++) {
		fh_status_set(&alarm_cell, 0);
		arm(timer, 1 + (int64_t)random_below(&random, 20000));
		lost += fh_status_wait(&alarm_cell, FH_STATE(1),
				       fh_deadline_in(20 * SECONDS), NULL) != 0;
	}
	timer_delete(timer);
	storm_handler = NULL;
	is(lost, 0, "a handler ends the wait that it interrupts: %zu times", i);
}

#endif

int main(void)
{
	watchdog(120);
	if (!LOCK_FREE) {
		skip("the mutex build does not promise it");
		return done_testing();
	}
	test_midst(1);
	test_midst(4);
#ifdef FH_TSAN
	/* It puts a handler off until the thread calls something it knows. */
	skip("the thread sanitizer runs no handler within a futex call");
#else
	test_own_wait();
#endif
	return done_testing();
}
