/* SPDX-License-Identifier: MIT */
/*
 * log and gate: a thread that stops in the middle holds up nobody.
 *
 * Built with FH_HOOKS, which lets a test stop a thread at a named point of
 * the library, run others, and let it go, or leave it there.  What would be
 * seen if a rule were left out: a reader, a writer or a request that waits
 * for the one that is stopped, and the watchdog ends the test; a number that
 * is missing or given twice; a message that is reclaimed while the stopped
 * reader comes to it; two requests in one seat.
 *
 * test/run_mutants.py runs this program on libraries from which one rule is
 * left out.
 */
#include <freehold/gate.h>
#include <freehold/log.h>
#include <freehold/rcu.h>

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "gates.h"
#include "tap.h"

/* ---- a thread that does one thing, and stops at a point ---- */

struct stopper {
	const char *point;
	sem_t reached, go;
	void (*act)(void);
	struct crew crew;
};

static _Thread_local struct stopper *mine;

/* Threads of a gate are held where they begin. */
static tally hold;

void fh_hook(const char *what, const volatile void *address)
{
	struct stopper *stopper = mine;

	if (!address && strcmp(what, "gate.seated") == 0)
		while (atomic_load(&hold))
			sleep_ns(MS / 10);

	if (!stopper || address || strcmp(what, stopper->point) != 0)
		return;
	mine = NULL;
	sem_post(&stopper->reached);
	sem_wait(&stopper->go);
}

static void stopper_work(unsigned index, void *arg)
{
	struct stopper *stopper = arg;

	(void)index;
	mine = stopper;
	stopper->act();
	mine = NULL;
}

/* On return the thread stands at the point. */
static void stop_at(struct stopper *stopper, const char *point,
		    void (*act)(void))
{
	stopper->point = point;
	stopper->act = act;
	sem_init(&stopper->reached, 0, 0);
	sem_init(&stopper->go, 0, 0);
	crew_start(&stopper->crew, 1, stopper_work, stopper);
	sem_wait(&stopper->reached);
}

/* On return it has done what it does, and is gone. */
static void let_go(struct stopper *stopper)
{
	sem_post(&stopper->go);
	crew_join(&stopper->crew);
}

/* ---- the log ---- */

static struct fh_log *book;
static uint64_t number;		/* of the one that was stopped */
static int result;

static void open_book(size_t capacity)
{
	struct fh_log_options options = { .capacity = capacity };

	if (fh_log_create(&book, &options))
		bail_out("no memory for a log");
	number = 0;
	result = 1;
}

static void append_stopped(void)
{
	result = fh_log_append(book, "stopped", 8, &number);
}

static int append_more(unsigned count)
{
	unsigned wrong = 0;

	while (count--)
		wrong += fh_log_append(book, "more", 5, NULL) != 0;
	return wrong == 0;
}

/* The number of the next message, or minus the error. */
static int64_t read_after(uint64_t seen, char *text)
{
	int rc = fh_log_read(book, &seen, text, 8, NULL);

	return rc ? rc : (int64_t)seen;
}

static int64_t last(void)
{
	struct fh_log_range range;

	fh_log_get_range(book, &range);
	return (int64_t)range.last;
}

/* Its message is made, and the compare-exchange comes next. */
static void test_writer_before(void)
{
	struct stopper writer;
	char text[8];

	open_book(3);
	append_more(1);
	stop_at(&writer, "log.numbered", append_stopped);
	is(last(), 1, "a writer that stopped has taken no number");
	ok(append_more(10), "others write on");
	is(read_after(9, text), 10, "and readers read on");
	is(fh_log_wait(book, 10, FH_FOREVER), 0, "or wait for what is there");
	let_go(&writer);
	is(result, 0, "it goes on");
	is(number, 12, "and its number is the next");
	is(read_after(11, text), 12, "which is read");
	ok(!strcmp(text, "stopped"), "whole");
	fh_log_destroy(book);
}

/* Its message is in its slot, and the tail has not moved. */
static void test_writer_after(void)
{
	struct stopper writer;
	char text[8];

	open_book(2);
	append_more(2);
	stop_at(&writer, "log.published", append_stopped);
	is(last(), 3, "a message is there when its writer stopped after it");
	is(read_after(2, text), 3, "it can be read");
	is(read_after(0, text), 2, "who is behind gets the oldest");
	is(fh_log_wait(book, 2, FH_FOREVER), 0, "who waits for it has it");
	is(fh_log_wait(book, 3, 0), -ETIMEDOUT, "there is no more");
	ok(append_more(5), "others write on");
	is(last(), 8, "without a gap");
	let_go(&writer);
	is(number, 3, "it has its number");
	is(last(), 8, "and has undone nothing");
	ok(append_more(1), "write on");
	is(last(), 9, "without a gap");
	fh_log_destroy(book);
}

static void wait_for_more(unsigned index, void *arg)
{
	(void)index;
	result = fh_log_wait(book, 0, FH_FOREVER);
	store_seq_cst((tally *)arg, 1);
}

/* Who slept before it is woken by the next one. */
static void test_writer_asleep(void)
{
	struct stopper writer;
	struct crew waiter;
	tally woken = 0;

	open_book(2);
	crew_start(&waiter, 1, wait_for_more, &woken);
	sleep_ns(20 * MS);	/* it may be asleep */
	stop_at(&writer, "log.published", append_stopped);
	ok(append_more(1), "another message");
	crew_join(&waiter);
	is(result, 0, "wakes who slept through the one that stopped");
	let_go(&writer);
	fh_log_destroy(book);
}

static void close_stopped(void)
{
	fh_log_close(book);
}

/* The slot is closed, and the tail not sealed. */
static void test_closer(void)
{
	struct stopper closer;
	char text[8];

	open_book(2);
	append_more(2);
	stop_at(&closer, "log.closed", close_stopped);
	is(fh_log_append(book, "more", 5, NULL), -ESHUTDOWN,
	   "behind a closer that stopped nothing gets in");
	is(read_after(2, text), -ESHUTDOWN, "and readers are told");
	is(fh_log_wait(book, 2, FH_FOREVER), -ESHUTDOWN, "as are waiters");
	is(read_after(0, text), 1, "nothing is lost");
	let_go(&closer);
	is(last(), 2, "nothing was added");
	fh_log_destroy(book);
}

static int64_t found_at;
static char found_text[8];

static void read_stopped(void)
{
	found_at = read_after(0, found_text);
}

/*
 * A reader that is behind stops, when it has looked where the oldest should
 * be, and others go round for a while.
 */
static void test_reader(size_t capacity, unsigned laps)
{
	struct stopper reader;
	int64_t first, end = (int64_t)capacity + 2;

	open_book(capacity);
	append_more((unsigned)end);
	first = end - (int64_t)capacity + 1;
	stop_at(&reader, "log.behind", read_stopped);
	append_more(laps);
	fh_rcu_drain_wait(fh_deadline_in(5 * MS));
	append_more(1);
	let_go(&reader);
	ok(found_at >= first && found_at <= last() - (int64_t)capacity + 1,
	   "capacity %zu, %u more: it was the oldest in a moment", capacity,
	   laps);
	ok(!strcmp(found_text, "more"), "and whole");
	fh_log_destroy(book);
}

static void wait_stopped(void)
{
	result = fh_log_wait(book, 0, FH_FOREVER);
}

/* It has announced itself, and is about to sleep. */
static void test_waiter(void (*event)(void), int wanted)
{
	struct stopper waiter;

	open_book(2);
	stop_at(&waiter, "log.announced", wait_stopped);
	event();
	let_go(&waiter);
	is(result, wanted, "what comes before the sleep ends it");
	fh_log_destroy(book);
}

static void append_one(void)
{
	append_more(1);
}

/* ---- the gate ---- */

static struct fh_gate *gate;
static struct errand quick, slow, stopped;

static void run_stopped(void)
{
	result = fh_gate_run(gate, run_errand, &stopped);
}

/*
 * As many at once as there are places.  Their threads do not look for their
 * requests until all are given: in a seat that two share, one would find the
 * other's.
 */
static unsigned not_served_once(void)
{
	struct errand each[4] = { { .go = 1 }, { .go = 1 }, { .go = 1 },
				  { .go = 1 } };
	unsigned i, wrong = 0;

	atomic_store(&hold, 1);
	for (i = 0; i < 4; i++)
		wrong += fh_gate_run(gate, run_errand, &each[i]) != 0;
	atomic_store(&hold, 0);
	wrong += drained(gate) != 0;
	for (i = 0; i < 4; i++)
		wrong += each[i].done != 1;
	return wrong;
}

/*
 * The stopped one has seen seat 0 on the top of the stack, and seat 1 below.
 * Both are taken; seat 0 comes back to the top, and seat 1 does not.  If the
 * stopped one believed that nothing has changed, it would put seat 1 on top,
 * and two would sit there.
 */
static void test_seat_that_came_back(void)
{
	struct stopper taker;

	gate = gate_of(4, 0);
	quick = slow = stopped = (struct errand){ 0 };
	stop_at(&taker, "gate.taking", run_stopped);
	fh_gate_run(gate, run_errand, &quick);
	await(&quick.begun, 1);
	fh_gate_run(gate, run_errand, &slow);
	await(&slow.begun, 1);
	store_seq_cst(&quick.go, 1);
	while (stats_of(gate).inside > 2)
		sleep_ns(MS / 10);
	let_go(&taker);
	is(result, 0, "it gets a seat");
	await(&stopped.begun, 1);
	store_seq_cst(&slow.go, 1);
	store_seq_cst(&stopped.go, 1);
	is(drained(gate), 0, "drain");
	is(quick.done + slow.done + stopped.done, 3, "each ran once");
	fh_gate_open(gate);
	is(not_served_once(), 0, "no two share a seat");
	fh_gate_destroy(gate);
}

static void leave_stopped(void)
{
	result = fh_gate_leave(gate);
}

static void test_leaver(void)
{
	struct stopper leaver;

	gate = gate_of(1, 0);
	fh_gate_enter(gate);
	stop_at(&leaver, "gate.left", leave_stopped);
	is(fh_gate_enter(gate), 0, "a place is free though its leaver stopped");
	is(fh_gate_leave(gate), 0, "and given back");
	is(fh_gate_drain_wait(gate, FH_FOREVER, NULL), 0, "the drain ends");
	let_go(&leaver);
	fh_gate_destroy(gate);
}

static void enter_stopped(void)
{
	result = fh_gate_enter_wait(gate, FH_FOREVER);
}

static void leave_it(void)
{
	fh_gate_leave(gate);
}

static void close_it(void)
{
	fh_gate_close(gate);
}

static void leave_close_open(void)
{
	fh_gate_leave(gate);
	fh_gate_close(gate);
	fh_gate_open(gate);
}

static void test_enterer(void (*event)(void), int wanted)
{
	struct stopper waiter;

	gate = gate_of(1, 0);
	fh_gate_enter(gate);
	stop_at(&waiter, "gate.announced", enter_stopped);
	event();
	let_go(&waiter);
	is(result, wanted, "what comes before the sleep ends it");
	is(stats_of(gate).waiting, 0, "nobody waits any more");
	fh_gate_destroy(gate);
	fh_gate_leave(gate);	/* the last one, in each case */
}

int main(void)
{
	size_t capacity;
	unsigned laps;

	watchdog(120);
	test_writer_before();
	test_writer_after();
	test_writer_asleep();
	test_closer();
	for (capacity = 1; capacity <= 3; capacity++)
		for (laps = 0; laps <= 7; laps++)
			test_reader(capacity, laps);
	test_waiter(append_one, 0);
	test_waiter(close_stopped, -ESHUTDOWN);
	test_seat_that_came_back();
	test_leaver();
	test_enterer(leave_it, 0);
	test_enterer(close_it, -ESHUTDOWN);
	test_enterer(leave_close_open, 0);
	return done_testing();
}
