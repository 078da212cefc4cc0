/* SPDX-License-Identifier: MIT */
/*
 * faults: threads that end in the middle: in each function that the library
 * calls on their behalf, with a claim, with room, with a half-full batch, or
 * with a cancellation pending.
 *
 * Callbacks of arcs run "with nothing held", so nobody else may suffer.  What
 * would be seen if the library held a lock, a section or room meanwhile: the
 * others stop for ever and the alarm ends the child, a drain times out, or
 * room under the hard bound is missing.  What the thread itself held it takes
 * along: an arc that it had claimed stays claimed, and some memory is lost.
 * Therefore each case has a child of its own.
 *
 * A reclaim function must not end its thread (rcu.h; test_rcu_edges.c shows
 * that the others survive even that).  A thread should leave its sections
 * before it ends, as one that ends in the visit of a walk does not; and one
 * that waits must not be cancelled (docs/guide.md), because the mutex build
 * waits on a condition variable.  Nothing else is a cancellation point.
 */
#include "faults.h"
#include "house.h"

#define HARD 64

enum place {
	IN_INIT, IN_CLOCK, IN_STARTED, IN_PROGRESSED, IN_ENDED, IN_DERIVE,
	IN_VISIT, IN_POLICY, IN_RELEASE, IN_MAP_VISIT, IN_MAP_HASH, PLACES
};

static const char *const place_name[PLACES] = {
	"an initialiser", "the clock", "an observer of a start",
	"an observer of a step", "an observer of an end", "a derivation",
	"a visit", "a policy", "the release of an observer",
	"a visit of a table", "a hash function",
};

/* Where this thread will end. */
static _Thread_local int leaves_in = -1;
static enum place tried;
static tally left;

static void maybe_leave(int place)
{
	if (leaves_in != place)
		return;
	add_seq_cst(&left, 1);
	pthread_exit(NULL);
}

static int on_init(const struct fh_arc_info *info, void *arg)
{
	(void)info;
	(void)arg;
	maybe_leave(IN_INIT);
	return 0;
}

static int64_t on_clock(void *arg)
{
	(void)arg;
	maybe_leave(IN_CLOCK);
	return fh_now();
}

static int on_notice(const struct fh_arc_notice *notice, void *arg)
{
	(void)arg;
	maybe_leave(notice->change == FH_ARC_STARTED ? IN_STARTED :
		    notice->change == FH_ARC_ENDED ? IN_ENDED :
						     IN_PROGRESSED);
	return 0;
}

static void on_release(void *arg)
{
	(void)arg;
	maybe_leave(IN_RELEASE);
}

static unsigned on_derive(const struct fh_arc_info *info,
			  const struct fh_arc_event *event, void *arg)
{
	(void)info;
	(void)arg;
	maybe_leave(IN_DERIVE);
	return event->next;
}

static int on_visit(const struct fh_arc_names *names,
		    const struct fh_arc_info *info, void *arg)
{
	(void)names;
	(void)info;
	(void)arg;
	maybe_leave(IN_VISIT);
	return 0;
}

static enum fh_arc_decision on_policy(const struct fh_arc_names *names,
				      const struct fh_arc_info *info,
				      struct fh_arc_step *step, void *arg)
{
	(void)names;
	(void)info;
	(void)step;
	(void)arg;
	maybe_leave(IN_POLICY);
	return FH_ARC_DO_NOTHING;
}

static int on_map_visit(struct fh_map_entry *entry, void *arg)
{
	(void)entry;
	(void)arg;
	maybe_leave(IN_MAP_VISIT);
	return 0;
}

static uint64_t on_hash(struct fh_key key)
{
	maybe_leave(IN_MAP_HASH);
	return key.word[0] * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- one of each operation, by one thread ---- */

static struct fh_arcs *arcs;
static struct fh_map *map;

static int start(const char *first, const char *second)
{
	const struct fh_arc_request request = {
		.first = first, .second = second, .init = on_init };

	return fh_arc_start(arcs, &request, NULL);
}

/* The number of the operation that went wrong, or 0. */
static int do_everything(const char *first, const char *second)
{
	const struct fh_arc_step step = { .derive = on_derive };
	const uint64_t number = (uint64_t)second[0]; /* one's own */
	struct fh_map_cursor cursor = { 0 };
	struct item *item = item_u64(number, number);
	struct fh_map_entry *out = NULL;
	struct fh_arc_info info;
	uint64_t id;

	if (fh_arc_observe(arcs, FH_ARC_ENDED, on_notice, NULL, on_release,
			   &id) || start(first, second))
		return 1;
	if (fh_arc_progress(arcs, first, second, &step, &info) ||
	    info.phase != MIDDLE || fh_arc_get(arcs, first, second, &info))
		return 2;
	if (fh_arc_for_each(arcs, on_visit, NULL) == 0)
		return 3;
	fh_arc_process_all(arcs, on_policy, NULL, NULL);
	if (fh_arc_end(arcs, first, second, FH_ARC_ANY, FH_ARC_COMPLETED,
		       "enough", NULL))
		return 4;
	if (fh_arc_unobserve(arcs, id))
		return 5;
	if (fh_map_put(map, &item->entry, &out))
		return 6;
	if (out)
		item_retire(out);
	if (fh_map_walk(map, &cursor, 0, on_map_visit, NULL) == 0)
		return 7;
	if (fh_map_remove(map, fh_key_u64(number), &out))
		return 8;
	item_retire(out);
	return 0;
}

static void end_there(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	leaves_in = (int)tried;
	do_everything("ada", "bob");
}

/* With other pairs beside each other, and again on the very same one. */
static void go_on(unsigned index, void *arg)
{
	static const char *const name[] = { "cleo", "dan", "eve" };
	int i, rc = 0;

	for (i = 0; i < 100 && !rc; i++)
		rc = do_everything("zoe", name[index]);
	if (rc)
		store_seq_cst((tally *)arg, (uint64_t)rc);
}

static int again_on_the_pair(void)
{
	const struct fh_arc_request request = { .first = "ada",
						.second = "bob" };
	int rc;

	if (tried == IN_INIT) {
		rc = fh_arc_start_wait(arcs, &request, fh_deadline_in(10 * MS),
				       NULL);
		return rc != -ETIMEDOUT || start("ada", "bob") != -EINPROGRESS;
	}
	fh_arc_end(arcs, "ada", "bob", FH_ARC_ANY, FH_ARC_CANCELLED, NULL,
		   NULL);
	return do_everything("ada", "bob") != 0;
}

/* All room under the bound can be had again, once all is reclaimed. */
static int room_is_there(void)
{
	struct fh_rcu_stats stats;

	if (drain() || drain())
		return 0;
	fh_rcu_get_stats(&stats);
	return stats.pending == 0 && fh_rcu_admit(HARD) == 0 &&
	       fh_rcu_admit(0) == 0;
}

static int live_through_it(void)
{
	const struct fh_arcs_options options = {
		.types = &plot, .type_count = 1, .clock = on_clock };
	const struct fh_map_options table = { .hash = on_hash };
	tally wrong = 0;
	uint64_t id;

	map = map_new(&table);
	if (fh_arcs_create(&arcs, &options) ||
	    fh_arc_observe(arcs, FH_ARC_STARTED | FH_ARC_PROGRESSED |
			   FH_ARC_ENDED, on_notice, NULL, on_release, &id))
		return 10;
	fh_rcu_set_bounds(0, HARD);
	run_crew(1, end_there, NULL);
	if (load_seq_cst(&left) != 1)
		return 11;	/* it did not get there */
	if (!room_is_there())
		return 12;	/* it took a section or room along */
	fh_rcu_set_bounds(0, 0);
	run_crew(3, go_on, &wrong);
	if (wrong)
		return 20 + (int)wrong;
	if (again_on_the_pair())
		return 13;
	if (fh_arc_unobserve(arcs, id) || drain())
		return 14;
	if (tried != IN_INIT)
		fh_arcs_destroy(arcs); /* a claim forbids it */
	fh_map_destroy(map, item_release, NULL);
	return 0;
}

static void test_callbacks(void)
{
	for (tried = 0; tried < PLACES; tried++)
		is(in_child(live_through_it), 0, "a thread ends in %s",
		   place_name[tried]);
}

/* ---- with something in hand ---- */

static struct fh_arc_ticket *claim;

static void end_with_hands_full(unsigned index, void *arg)
{
	const struct fh_arc_request request = { .first = "ada",
						.second = "bob" };
	struct item *item;
	int i;

	(void)index;
	if (fh_arc_claim(((struct house *)arg)->arcs, &request, &claim, NULL))
		claim = NULL;
	for (i = 0; i < 10; i++) {
		item = item_u64(0, 0);
		fh_rcu_retire(&item->rcu, item_reclaim);
	}
	fh_rcu_admit(HARD / 2);
	pthread_exit(NULL);
}

static void test_hands_full(void)
{
	struct fh_arc_info info;
	struct house house;

	house_open(&house, 1, 1);
	is(drain(), 0, "drain");
	fh_rcu_set_bounds(0, HARD);
	run_crew(1, end_with_hands_full, &house);
	ok(claim != NULL, "a thread ends with a claim");
	fh_arc_publish(claim, &info);
	is(fh_arc_get(house.arcs, "bob", "ada", &info), 0,
	   "which another one publishes");
	ok(room_is_there(), "its garbage is reclaimed, its room given back");
	fh_rcu_set_bounds(0, 0);
	house_close(&house);
}

/* ---- with a cancellation pending ---- */

static void *live_cancelled(void *arg)
{
	struct house *house = arg;

	pthread_cancel(pthread_self());
	house_live(0, house);
	add_seq_cst(&left, 1);
	pthread_testcancel();
	return NULL;
}

/* Had any operation ended the thread, left would lack one, and the books. */
static void test_cancelled(void)
{
	pthread_t thread[4];
	unsigned i, cancelled = 0;
	struct house house;
	void *result;

	house_open(&house, 100, 0);
	house.turns = scaled(5000, 500);
	left = 0;
	for (i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, live_cancelled, &house))
			bail_out("cannot create a thread");
	for (i = 0; i < 4; i++) {
		pthread_join(thread[i], &result);
		cancelled += result == PTHREAD_CANCELED;
	}
	is(cancelled, 4, "4 threads are cancelled");
	is(left, 4, "and only where they want to be");
	is(house_wrong(&house), 0, "the books balance, %" PRIu64
	   " operations", (uint64_t)house.done);
	house_close(&house);
	is(drain(), 0, "drain");
}

/* ---- inside a section, while somebody waits for it ---- */

static void ends_inside(unsigned index, void *arg)
{
	(void)index;
	fh_rcu_read_lock();
	store_seq_cst((tally *)arg, 1);
	sleep_ns(300 * MS);
	pthread_exit(NULL);
}

static void nothing(struct fh_rcu_head *head)
{
	(void)head;
}

/* The grace period sleeps, and only who leaves a section wakes it. */
static void test_inside(void)
{
	static struct fh_rcu_head retired;
	struct crew crew;
	tally inside = 0;

	crew_start(&crew, 1, ends_inside, &inside);
	while (!load_seq_cst(&inside))
		sleep_ns(MS);
	fh_rcu_retire(&retired, nothing);
	is(fh_rcu_drain_wait(fh_deadline_in(20 * SECONDS)), 0,
	   "a thread that ends inside a section is waited for, and no longer");
	crew_join(&crew);
}

int main(void)
{
	watchdog(120);
	test_callbacks();
	test_hands_full();
	test_cancelled();
	test_inside();
	return done_testing();
}
