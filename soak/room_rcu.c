/* SPDX-License-Identifier: MIT */
/*
 * rcu: a shelf of things that are replaced and retired while others look at
 * them, reclaim functions that retire more, drains, bounds, and now and then
 * a reader that stays for long while a hard bound is set.
 */
#include "soak.h"

/* Its worker, a pool of four for tasks, those that watch servers and end. */
#define LIBRARY_THREADS 8
#define SHELF 64
#define HARD 3000
#define EVERY (2 * SECONDS)	/* a long reader, on average */

enum { READ, NEST, PUBLISH, CHAIN, FLUSH, DRAIN, DEADLOCK, BOUND, SOFT };
static const char *const operations[] = {
	"read", "nested read", "replace and retire",
	"retire what retires another", "flush", "drain",
	"drain inside a section", "long reader under a hard bound",
	"small soft bound", NULL,
};

struct thing {
	struct fh_rcu_head rcu;
	uint64_t alive, stamp, check;
	struct thing *then;	/* to be retired by the reclaim function */
	tally *told;		/* if not NULL: counts that it is reclaimed */
};

static _Atomic(struct thing *) shelf[SHELF];
static tally born, died, refused, hard_rounds, most_before, most_more;
static tally drained[SOAK_THREADS];
static uint64_t retired[SOAK_THREADS];
static _Atomic(int64_t) next_bound;
static _Atomic(bool) bound_is_mine;

static _Thread_local uint64_t grace_periods_seen;

static struct thing *thing_new(uint64_t stamp)
{
	struct thing *thing = soak_alloc(sizeof(*thing));

	thing->alive = SOAK_ALIVE;
	thing->stamp = stamp;
	thing->check = soak_mix(stamp, 1);
	thing->then = NULL;
	thing->told = NULL;
	add_relaxed(&born, 1);
	return thing;
}

static void reclaim(struct fh_rcu_head *head)
{
	struct thing *thing = (struct thing *)head;

	soak_expect(thing->alive == SOAK_ALIVE, "a thing was reclaimed twice");
	thing->alive = 0;
	if (thing->then)
		fh_rcu_retire(&thing->then->rcu, reclaim);
	if (thing->told)
		add_seq_cst(thing->told, 1);
	add_relaxed(&died, 1);
	free(thing);
}

static void look_at(const struct thing *thing)
{
	soak_expect(thing->alive == SOAK_ALIVE &&
		    thing->check == soak_mix(thing->stamp, 1),
		    "a reader sees a thing that was reclaimed");
}

static void look(struct soak_worker *worker)
{
	struct thing *thing;

	soak_begin(worker, READ);
	fh_rcu_read_lock();
	thing = load_acquire(&shelf[soak_random(worker, SHELF)]);
	look_at(thing);
	soak_dawdle(worker);
	look_at(thing);
	fh_rcu_read_unlock();
}

static void nest(struct soak_worker *worker)
{
	struct thing *thing;

	soak_begin(worker, NEST);
	soak_expect(!fh_rcu_reading(), "reading outside of any section");
	fh_rcu_read_lock();
	thing = load_acquire(&shelf[soak_random(worker, SHELF)]);
	for (int i = 0; i < 3; i++)
		fh_rcu_read_lock();
	look_at(thing);
	for (int i = 0; i < 3; i++)
		fh_rcu_read_unlock();
	soak_dawdle(worker);
	soak_expect(fh_rcu_reading(), "an inner unlock left the section");
	look_at(thing);
	fh_rcu_read_unlock();
}

/* False at the hard bound. */
static bool admitted(size_t objects)
{
	int rc = fh_rcu_admit(objects);

	soak_expect(rc == 0 || rc == -EAGAIN, "an admission gave %d", rc);
	if (rc)
		add_relaxed(&refused, 1);
	return rc == 0;
}

static void replace(struct soak_worker *worker, bool chain)
{
	struct thing *old;

	soak_begin(worker, chain ? CHAIN : PUBLISH);
	if (!admitted(1))
		return;
	old = swap_acq_rel(&shelf[soak_random(worker, SHELF)],
			   thing_new(random_next(&worker->random)));
	look_at(old);
	if (chain)
		old->then = thing_new(7);
	fh_rcu_retire(&old->rcu, reclaim);
	fh_rcu_admit(0);
}

/* What was retired before a drain is reclaimed when it returns. */
static void drain(struct soak_worker *worker)
{
	unsigned i = worker->index;
	struct thing *thing;
	int rc;

	soak_begin(worker, DRAIN);
	if (!admitted(1))
		return;
	thing = thing_new(8);
	thing->told = &drained[i];
	fh_rcu_retire(&thing->rcu, reclaim);
	retired[i]++;
	rc = fh_rcu_drain_wait(fh_deadline_in(50 * SECONDS));
	soak_expect(rc == 0, "a drain gave %d", rc);
	soak_expect(load_seq_cst(&drained[i]) == retired[i],
		    "a drain returned before a thing of its own was "
		    "reclaimed: %llu of %llu",
		    (unsigned long long)load_seq_cst(&drained[i]),
		    (unsigned long long)retired[i]);
}

static void drain_inside(struct soak_worker *worker)
{
	int rc;

	soak_begin(worker, DEADLOCK);
	fh_rcu_read_lock();
	rc = fh_rcu_drain_wait(FH_FOREVER);
	fh_rcu_read_unlock();
	soak_expect(rc == -EDEADLK, "a drain inside a section gave %d", rc);
}

static void watch_counts(void)
{
	struct fh_rcu_stats stats;

	fh_rcu_get_stats(&stats);
	soak_note_garbage(stats.pending);
	soak_expect(stats.grace_periods >= grace_periods_seen,
		    "grace periods went back to %llu",
		    (unsigned long long)stats.grace_periods);
	soak_expect(stats.worker_failures == 0,
		    "the library's thread did not start");
	grace_periods_seen = stats.grace_periods;
}

static void note_most(tally *most, uint64_t now)
{
	if (now > load_relaxed(most))
		store_relaxed(most, now);
}

/*
 * Two looks: what was retired at the first, without what was reclaimed at
 * the second, was pending in between.  So a false alarm cannot be, although
 * the counts move while they are read.
 */
static void look_at_bound(uint64_t full, uint64_t more)
{
	struct fh_rcu_stats first, second;
	uint64_t pending;

	fh_rcu_get_stats(&first);
	fh_rcu_get_stats(&second);
	soak_expect(first.oldest_reader != 0,
		    "nobody is named, but this thread is reading");
	pending = first.retired > second.reclaimed ?
			  first.retired - second.reclaimed : 0;
	soak_expect(pending <= full + more, "%llu objects are pending, past a "
		    "hard bound of %d with %llu already there or %llu",
		    (unsigned long long)pending, HARD,
		    (unsigned long long)full, (unsigned long long)more);
	if (pending > full)
		note_most(&most_more, pending - full);
}

/*
 * From the moment on that the bound is set, nothing is admitted while there
 * is as much as it says, or was already.  More may come of what looked for
 * the bound before it was set, and of what needs no admission: a table
 * outgrown, the memory of a task, a server or a record that ended, and what a
 * reclaim function retires.
 */
static void stay(struct soak_worker *worker)
{
	uint64_t full = HARD, more = 64 + 16 * soak_options.threads;
	int64_t until = fh_deadline_in(20 * MILLISECONDS);
	struct fh_rcu_stats stats;

	soak_begin(worker, BOUND);
	fh_rcu_set_bounds(0, HARD);
	fh_rcu_read_lock();
	fh_rcu_get_stats(&stats);
	note_most(&most_before, stats.pending);
	if (stats.pending > full)
		full = stats.pending;
	while (fh_now() < until) {
		look_at_bound(full, more);
		sleep_ns(MILLISECONDS);
	}
	fh_rcu_read_unlock();
	fh_rcu_set_bounds(0, 0);
	add_relaxed(&hard_rounds, 1);
}

static void soften(struct soak_worker *worker)
{
	soak_begin(worker, SOFT);
	fh_rcu_set_bounds(1 + soak_random(worker, 1000), 0);
	sleep_ns(MILLISECONDS);
	fh_rcu_set_bounds(0, 0);
}

/* Bounds are the program's: one thread at a time plays with them. */
static void bound(struct soak_worker *worker)
{
	bool theirs = false;

	if (fh_now() < load_relaxed(&next_bound) ||
	    !atomic_compare_exchange_strong(&bound_is_mine, &theirs, true))
		return;
	store_relaxed(&next_bound,
		      fh_deadline_in((int64_t)soak_random(worker, 2 * EVERY)));
	if (soak_random(worker, 2))
		stay(worker);
	else
		soften(worker);
	store_seq_cst(&bound_is_mine, false);
}

static void seldom(struct soak_worker *worker)
{
	switch (soak_random(worker, 8)) {
	case 0:
		drain(worker);
		break;
	case 1:
		drain_inside(worker);
		break;
	case 2:
		soak_begin(worker, FLUSH);
		fh_rcu_flush();
		break;
	case 3:
		watch_counts();
		break;
	default:
		bound(worker);
	}
}

static void work(struct soak_worker *worker)
{
	uint64_t what = soak_random(worker, 512);

	if (what == 0)
		seldom(worker);
	else if (what < 250)
		look(worker);
	else if (what < 350)
		nest(worker);
	else
		replace(worker, what % 8 == 0);
}

static void setup(void)
{
	for (size_t i = 0; i < SHELF; i++)
		store_release(&shelf[i], thing_new(i));
}

static bool nobody_else_is_there(void)
{
	struct fh_rcu_stats stats;

	fh_rcu_get_stats(&stats);
	return stats.threads <= soak_options.threads + LIBRARY_THREADS;
}

/* Detached threads are done before they are gone: nobody can wait for that. */
static void settle(void)
{
	soak_expect_soon(nobody_else_is_there, "threads are left over");
}

static void check(void)
{
	struct fh_rcu_stats stats;
	uint64_t live = load_relaxed(&born) - load_relaxed(&died);

	fh_rcu_get_stats(&stats);
	soak_expect(stats.pending == 0 && stats.retired == stats.reclaimed,
		    "at rest %llu objects are pending: %llu retired, %llu "
		    "reclaimed", (unsigned long long)stats.pending,
		    (unsigned long long)stats.retired,
		    (unsigned long long)stats.reclaimed);
	soak_expect(live == SHELF, "at rest %llu things live, not %d",
		    (unsigned long long)live, SHELF);
	soak_expect(stats.oldest_reader == 0, "at rest thread %lld reads",
		    (long long)stats.oldest_reader);
	for (size_t i = 0; i < SHELF; i++)
		look_at(load_acquire(&shelf[i]));
}

static void report(FILE *out)
{
	fprintf(out, "In %llu rounds a reader stayed for 20 ms under a hard "
		"bound of %d. It is set in\nfull swing: up to %llu objects "
		"waited already. From then on operations are refused\nwhile "
		"there are as many as the bound says or were there; at most "
		"%llu more came, of\nwhat was on its way and of what needs "
		"no admission. %llu retirements of this room\nwere "
		"refused.\n",
		(unsigned long long)load_relaxed(&hard_rounds), HARD,
		(unsigned long long)load_relaxed(&most_before),
		(unsigned long long)load_relaxed(&most_more),
		(unsigned long long)load_relaxed(&refused));
}

static void teardown(void)
{
	for (size_t i = 0; i < SHELF; i++)
		reclaim(&load_acquire(&shelf[i])->rcu);
}

struct soak_room soak_rcu = {
	.name = "rcu", .operations = operations, .weight = 15,
	.setup = setup, .work = work, .settle = settle,
	.check = check, .report = report,
	.teardown = teardown,
};
