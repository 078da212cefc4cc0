/* SPDX-License-Identifier: MIT */
/*
 * arc: what mutants showed that no other test looked at.
 */
#include "arcs.h"
#include "threads.h"

#include <malloc.h>
#include <stdio.h>

/* ---- what stays in memory ---- */

#define MANY 4000

static int refuse(const struct fh_arc_info *info, void *arg)
{
	(void)info;
	(void)arg;
	return -ECANCELED;
}

static void abandon_one(struct fh_arcs *arcs, const char *name)
{
	const struct fh_arc_request request = {
		.first = name, .second = "b", .type = SILENT, .init = refuse,
	};

	fh_arc_start(arcs, &request, NULL);
}

static void end_one(struct fh_arcs *arcs, const char *name)
{
	start(arcs, name, "b", SILENT, NULL);
	fh_arc_end(arcs, name, "b", FH_ARC_ANY, FH_ARC_COMPLETED, NULL, NULL);
}

static unsigned to_the_end(const struct fh_arc_info *info,
			   const struct fh_arc_event *event, void *arg)
{
	(void)event;
	(void)arg;
	return info->phase + 1;
}

static void finish_one(struct fh_arcs *arcs, const char *name)
{
	const struct fh_arc_step step = { .event = "murmur",
					  .derive = to_the_end };

	start(arcs, name, "b", RIVALRY, NULL);
	while (fh_arc_progress(arcs, name, "b", &step, NULL) == 0)
		;
}

/* Bytes that @each leaves behind for each of many pairs. */
static long bytes_left(void (*each)(struct fh_arcs *arcs, const char *name))
{
	struct fh_arcs *arcs = registry();
	struct mallinfo2 before, after;
	char name[32];
	int i;

	each(arcs, "warm up");
	drain();
	before = mallinfo2();
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "agent-%d", i);
		each(arcs, name);
		if (i % 500 == 0)
			fh_rcu_drain_wait(FH_FOREVER);
	}
	drain();
	after = mallinfo2();
	is(stats_of(arcs).active, 0, "nothing runs");
	fh_arcs_destroy(arcs);
	return ((long)after.uordblks - (long)before.uordblks) / MANY;
}

/*
 * An arc that is over leaves the map by itself.  If it stayed until somebody
 * met it, each pair that never meets again would keep its arc for ever.
 */
static void test_memory(void)
{
	long left;

	if (SANITIZED) {
		skip("a sanitizer has an allocator of its own");
		return;
	}
	left = bytes_left(abandon_one);
	ok(left < 64, "a start that failed leaves no arc (%ld bytes)", left);
	left = bytes_left(end_one);
	ok(left < 64, "an end leaves no arc (%ld bytes)", left);
	left = bytes_left(finish_one);
	ok(left < 64, "a final phase leaves no arc (%ld bytes)", left);
}

/* ---- who waits for a start ---- */

static struct fh_arcs *contested;
static int result, joined;

static void join(unsigned index, void *arg)
{
	const struct fh_arc_request request = { .first = "a", .second = "b",
						.type = SILENT };
	struct fh_arc_info info = { 0 };

	(void)index;
	(void)arg;
	result = fh_arc_start_wait(contested, &request,
				   fh_deadline_in(INT64_C(20000000000)),
				   &info);
	joined = info.joined;
}

/* If the waiter were not woken, it would sleep until its deadline. */
static void wait_for_another(int published)
{
	struct fh_arc_request request = { .first = "a", .second = "b",
					  .type = SILENT };
	struct fh_arc_ticket *ticket = NULL;
	struct crew crew;

	contested = registry();
	is(fh_arc_claim(contested, &request, &ticket, NULL), 0, "a claim");
	crew_start(&crew, 1, join, NULL);
	sleep_ns(200000000); /* it waits by then, or the check shows nothing */
	if (published)
		fh_arc_publish(ticket, NULL);
	else
		fh_arc_abandon(ticket);
	crew_join(&crew);
	is(result, 0, "who waits for the claim is woken");
	is(joined, published, "and %s", published ? "joins" : "starts itself");
	fh_arcs_destroy(contested);
	drain();
}

/* ---- what observers see ---- */

static struct fh_arcs *observed;
static uint64_t ended_then;
static int found_then;

static int look(const struct fh_arc_notice *notice, void *arg)
{
	struct fh_arc_info info;

	(void)arg;
	if (notice->change == FH_ARC_STARTED)
		found_then = fh_arc_get(observed, "a", "b", &info);
	else
		ended_then = stats_of(observed).ended;
	return 0;
}

/* If they were told before it happened, they would not find it so. */
static void test_observers(void)
{
	observed = registry();
	is(fh_arc_observe(observed, FH_ARC_STARTED | FH_ARC_ENDED, look, NULL,
			  NULL, NULL), 0, "an observer that looks");
	is(start(observed, "a", "b", SILENT, NULL), 0, "a start");
	is(found_then, 0, "was visible when it was told");
	is(fh_arc_end(observed, "a", "b", FH_ARC_ANY, FH_ARC_CANCELLED, NULL,
		      NULL), 0, "an end");
	is(ended_then, 1, "was counted when it was told");
	fh_arcs_destroy(observed);
	drain();
}

/* ---- walks ---- */

static enum fh_arc_decision end_it_myself(const struct fh_arc_names *names,
					  const struct fh_arc_info *info,
					  struct fh_arc_step *step, void *arg)
{
	(void)info;
	(void)step;
	fh_arc_end(arg, names->first, names->second, FH_ARC_ANY,
		   FH_ARC_COMPLETED, NULL, NULL);
	return FH_ARC_DO_CANCEL;
}

static void test_walks(void)
{
	struct fh_arc_request request = { .first = "a", .second = "b",
					  .type = SILENT };
	struct fh_arcs *arcs = registry();
	struct fh_arc_ticket *ticket = NULL;
	struct fh_arc_tally tally_of;
	int visits = 0;

	is(fh_arc_claim(arcs, &request, &ticket, NULL), 0, "a claim");
	is(fh_arc_for_each(arcs, count_arc, &visits), 0, "is not visited");
	is(visits, 0, "not at all");
	fh_arc_publish(ticket, NULL);
	fh_arc_process_all(arcs, end_it_myself, arcs, &tally_of);
	is(tally_of.processed, 0, "what another ended is not counted");
	is(tally_of.cancelled, 0, "as nothing");
	fh_arcs_destroy(arcs);
	drain();
}

int main(void)
{
	watchdog(60);
	test_memory();
	wait_for_another(1);
	wait_for_another(0);
	test_observers();
	test_walks();
	return done_testing();
}
