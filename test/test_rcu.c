/* SPDX-License-Identifier: MIT */
/*
 * rcu: reclamation waits for readers, happens once for each object, and in
 * bounded time whoever is idle.  Bounds are in test_rcu_bounds.c, statistics
 * in test_rcu_stats.c, fork in test_rcu_fork.c.
 */
#include <freehold/base.h>
#include <freehold/rcu.h>

#include <errno.h>
#include <string.h>

#include "reader.h"
#include "tap.h"
#include "threads.h"

#define MS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)

struct object {
	struct fh_rcu_head rcu;
	tally reclaimed;
};

static void object_reclaim(struct fh_rcu_head *head)
{
	add_seq_cst(&((struct object *)head)->reclaimed, 1);
}

static int drain(void)
{
	return fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS));
}

/* Wait up to 30 s for @count to be reached, calling nothing of the library. */
static int comes_by_itself(tally *counter, uint64_t count)
{
	return comes_to(counter, count) && load_seq_cst(counter) == count;
}

static void test_reading(void)
{
	is(fh_rcu_reading(), 0, "a thread begins outside of sections");
	fh_rcu_read_lock();
	is(fh_rcu_reading() != 0, 1, "inside");
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	is(fh_rcu_reading() != 0, 1, "inside until the outermost unlock");
	fh_rcu_read_unlock();
	is(fh_rcu_reading(), 0, "outside again");
}

/*
 * An object that is reclaimed while the reader is inside, or never, breaks
 * the promise; nested sections must count as one.
 */
static void test_reader_holds(unsigned depth)
{
	struct object object = { 0 };
	struct reader reader;

	reader_enter(&reader, depth);
	fh_rcu_retire(&object.rcu, object_reclaim);
	fh_rcu_flush();
	is(fh_rcu_drain_wait(fh_deadline_in(50 * MS)), -ETIMEDOUT,
	   "depth %u: a drain times out behind a reader", depth);
	is(fh_rcu_drain_wait(0), -ETIMEDOUT, "depth %u: a polling drain too",
	   depth);
	sleep_ns(50 * MS);
	is(load_seq_cst(&object.reclaimed), 0,
	   "depth %u: nothing is reclaimed under the reader", depth);
	reader_leave(&reader);
	is(drain(), 0, "depth %u: a drain after it has left", depth);
	is(load_seq_cst(&object.reclaimed), 1,
	   "depth %u: the object is reclaimed", depth);
}

static void test_own_section(void)
{
	struct object object = { 0 };

	fh_rcu_read_lock();
	fh_rcu_retire(&object.rcu, object_reclaim);
	fh_rcu_flush();
	is(fh_rcu_drain_wait(FH_FOREVER), -EDEADLK,
	   "no drain inside a read section");
	sleep_ns(50 * MS);
	is(load_seq_cst(&object.reclaimed), 0,
	   "the retiring thread's own section holds it too");
	fh_rcu_read_unlock();
	is(drain(), 0, "drained");
	is(load_seq_cst(&object.reclaimed), 1, "and reclaimed");
}

static int drain_result;

static void drain_and_reclaim(struct fh_rcu_head *head)
{
	drain_result = fh_rcu_drain_wait(FH_FOREVER);
	object_reclaim(head);
}

static void test_drain_in_reclaim(void)
{
	struct object object = { 0 };

	fh_rcu_retire(&object.rcu, drain_and_reclaim);
	is(drain(), 0, "drain");
	is(load_seq_cst(&object.reclaimed), 1, "the function has run");
	is(drain_result, -EDEADLK, "no drain inside a reclaim function");
}

/* A drain with nothing retired must return and not wait for something. */
static void test_empty_drain(void)
{
	is(drain(), 0, "a drain of nothing");
	is(drain(), 0, "and again");
}

#define CHAIN 20

static struct object chain[CHAIN];

static void reclaim_and_retire_next(struct fh_rcu_head *head)
{
	struct object *object = (struct object *)head;

	add_seq_cst(&object->reclaimed, 1);
	if (object + 1 < chain + CHAIN)
		fh_rcu_retire(&object[1].rcu, reclaim_and_retire_next);
}

static void test_chain(void)
{
	unsigned i, wrong = 0;

	fh_rcu_retire(&chain[0].rcu, reclaim_and_retire_next);
	for (i = 0; i < CHAIN; i++)
		wrong += drain() != 0;
	is(wrong, 0, "drains");
	for (i = 0; i < CHAIN; i++)
		wrong += chain[i].reclaimed != 1;
	is(wrong, 0, "%u objects, each retired by the one before", CHAIN);
}

/* ---- many threads ---- */

struct yard {
	size_t rounds;
	struct object *objects;
	tally retiring, bad, reclaimed;
	_Atomic(struct page *) current;
};

/* An object that is lost keeps 0, one that is reclaimed twice shows 2. */
static void retire_each(unsigned index, void *arg)
{
	struct yard *yard = arg;
	size_t i, from = index * yard->rounds;

	for (i = 0; i < yard->rounds; i++) {
		fh_rcu_read_lock();
		fh_rcu_read_unlock();
		fh_rcu_retire(&yard->objects[from + i].rcu, object_reclaim);
	}
}

static void test_each_once(void)
{
	struct yard yard = { .rounds = scaled(200000, 2000) };
	size_t i, wrong = 0;

	yard.objects = calloc(8 * yard.rounds, sizeof(*yard.objects));
	if (!yard.objects)
		bail_out("no memory");
	run_crew(8, retire_each, &yard);
	is(drain(), 0, "drain after 8 threads");
	for (i = 0; i < 8 * yard.rounds; i++)
		wrong += yard.objects[i].reclaimed != 1;
	is(wrong, 0, "%zu objects reclaimed once each", 8 * yard.rounds);
	free(yard.objects);
}

/* What readers look at: reclaiming spoils it before freeing. */
struct page {
	struct fh_rcu_head rcu;
	uint64_t text[4];
};

static void page_spoil(struct fh_rcu_head *head)
{
	struct page *page = (struct page *)head;

	page->text[0] = page->text[3] = 0;
	free(page);
}

static struct page *page_new(uint64_t text)
{
	struct page *page = malloc(sizeof(*page));

	if (!page)
		bail_out("no memory");
	page->text[0] = page->text[1] = page->text[2] = page->text[3] = text;
	return page;
}

static void write_pages(struct yard *yard)
{
	struct page *old;
	size_t i;

	for (i = 1; i <= yard->rounds; i++) {
		old = swap_acq_rel(&yard->current, page_new(i));
		fh_rcu_retire(&old->rcu, page_spoil);
	}
	sub_acq_rel(&yard->retiring, 1);
}

/* A grace period that ends too early lets a reader see a spoilt page. */
static void read_pages(struct yard *yard)
{
	struct page *page;
	uint64_t text;

	while (load_seq_cst(&yard->retiring)) {
		fh_rcu_read_lock();
		page = load_acquire(&yard->current);
		text = page->text[0];
		if (!text || page->text[1] != text || page->text[3] != text)
			add_relaxed(&yard->bad, 1);
		if (text % 64 == 0)
			sched_yield();
		if (page->text[0] != text || page->text[3] != text)
			add_relaxed(&yard->bad, 1);
		fh_rcu_read_unlock();
	}
}

static void page_work(unsigned index, void *arg)
{
	if (index < 2)
		write_pages(arg);
	else
		read_pages(arg);
}

static void test_pages(void)
{
	struct yard yard = { .rounds = scaled(300000, 2000), .retiring = 2 };

	store_seq_cst(&yard.current, page_new(1));
	run_crew(5, page_work, &yard);
	is(yard.bad, 0, "no reader sees a page that was reclaimed");
	fh_rcu_retire(&yard.current->rcu, page_spoil);
	is(drain(), 0, "and all are reclaimed");
}

/* ---- idle and short-lived threads ---- */

struct idle {
	struct object object[3];
	tally retired, leave, reclaimed;
};

static struct idle idle;

static void idle_reclaim(struct fh_rcu_head *head)
{
	(void)head;
	add_seq_cst(&idle.reclaimed, 1);
}

static void retire_and_sleep(unsigned index, void *arg)
{
	unsigned i;

	(void)index;
	(void)arg;
	for (i = 0; i < 3; i++)
		fh_rcu_retire(&idle.object[i].rcu, idle_reclaim);
	store_seq_cst(&idle.retired, 1);
	while (!load_seq_cst(&idle.leave))
		sleep_ns(MS);
}

/* A batch that waited to become full would wait for ever. */
static void test_idle_batch(void)
{
	struct crew crew;

	crew_start(&crew, 1, retire_and_sleep, NULL);
	ok(comes_by_itself(&idle.reclaimed, 3),
	   "an idle thread's batch is reclaimed without anybody's help");
	store_seq_cst(&idle.leave, 1);
	crew_join(&crew);
}

/* The same when the thread is gone: its batch must not go with it. */
static void test_batch_of_the_dead(void)
{
	struct crew crew;

	idle.reclaimed = 0;
	idle.leave = 1;
	crew_start(&crew, 1, retire_and_sleep, NULL);
	crew_join(&crew);
	ok(comes_by_itself(&idle.reclaimed, 3),
	   "so is the batch of a thread that has ended");
}

static void retire_one(unsigned index, void *arg)
{
	struct object *objects = arg;

	if (index % 2) {
		fh_rcu_read_lock();
		fh_rcu_read_unlock();
	}
	fh_rcu_retire(&objects[index].rcu, object_reclaim);
}

static void test_short_lived(void)
{
	size_t i, crews = scaled(100, 10), wrong = 0;
	struct object *objects = calloc(crews * 20, sizeof(*objects));

	if (!objects)
		bail_out("no memory");
	for (i = 0; i < crews; i++)
		run_crew(20, retire_one, objects + i * 20);
	is(drain(), 0, "drain after %zu threads", crews * 20);
	for (i = 0; i < crews * 20; i++)
		wrong += objects[i].reclaimed != 1;
	is(wrong, 0, "what each of them retired is reclaimed once");
	free(objects);
}

#define LAST_WORDS 250

struct farewell {
	struct object object[LAST_WORDS];
	tally said;
};

static void retire_and_exit(unsigned index, void *arg)
{
	struct farewell *farewell = arg;
	unsigned i;

	(void)index;
	for (i = 0; i < LAST_WORDS; i++)
		fh_rcu_retire(&farewell->object[i].rcu, object_reclaim);
	store_seq_cst(&farewell->said, 1);
}

/*
 * Between two lists the batch of a thread that ends must not be overlooked:
 * a drain that begins just then would return too early.
 */
static void test_drain_beside_exit(void)
{
	size_t i, j, rounds = scaled(400, 50), early = 0;
	struct farewell farewell;
	struct crew crew;

	for (i = 0; i < rounds; i++) {
		memset(&farewell, 0, sizeof(farewell));
		crew_start(&crew, 1, retire_and_exit, &farewell);
		while (!load_seq_cst(&farewell.said))
			cpu_relax();
		if (drain())
			bail_out("a drain fails");
		for (j = 0; j < LAST_WORDS; j++)
			early += farewell.object[j].reclaimed != 1;
		crew_join(&crew);
		drain();
	}
	is(early, 0, "a drain beside a thread's exit misses nothing of it");
}

/* Drains beside each other, while others retire: each keeps its promise. */
static void retire_and_drain(unsigned index, void *arg)
{
	struct yard *yard = arg;
	struct object object;
	size_t i;

	(void)index;
	for (i = 0; i < yard->rounds; i++) {
		object.reclaimed = 0;
		fh_rcu_retire(&object.rcu, object_reclaim);
		if (drain() || load_seq_cst(&object.reclaimed) != 1)
			add_relaxed(&yard->bad, 1);
	}
}

static void test_drains(void)
{
	struct yard yard = { .rounds = scaled(50, 5) };

	run_crew(4, retire_and_drain, &yard);
	is(yard.bad, 0, "a drain covers what was retired before it");
}

int main(void)
{
	watchdog(120);
	test_reading();
	test_empty_drain();
	test_reader_holds(1);
	test_reader_holds(3);
	test_own_section();
	test_drain_in_reclaim();
	test_chain();
	test_each_once();
	test_pages();
	test_idle_batch();
	test_batch_of_the_dead();
	test_short_lived();
	test_drain_beside_exit();
	test_drains();
	return done_testing();
}
