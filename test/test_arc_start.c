/* SPDX-License-Identifier: MIT */
/*
 * arc: the two steps of a start, joining, and the hard bound on garbage.
 */
#include "arcs.h"
#include "reader.h"

#include <freehold/status.h>

static void test_claims(void)
{
	const struct fh_arc_request request = { .first = "a", .second = "b",
						.type = BEEF };
	struct fh_arcs *arcs = registry();
	struct fh_arc_ticket *claim = NULL, *other = NULL;
	struct fh_arc_info info, seen;
	struct fh_arc_tally sum;

	is(fh_arc_claim(arcs, &request, &claim, &info), 0, "claim a pair");
	is(fh_arc_get(arcs, "a", "b", &seen), -ENOENT, "it is not active");
	is(fh_arc_progress(arcs, "a", "b", NULL, NULL), -ENOENT, "nor moves");
	is(fh_arc_end(arcs, "a", "b", FH_ARC_ANY, FH_ARC_CANCELLED, NULL,
		      NULL), -ENOENT, "nor ends");
	is(start(arcs, "b", "a", BEEF, NULL), -EINPROGRESS, "nor starts");
	is(fh_arc_claim(arcs, &request, &other, NULL), -EINPROGRESS,
	   "nor is claimed again");
	is(fh_arc_start_wait(arcs, &request, 0, NULL), -ETIMEDOUT,
	   "a wait with a deadline in the past is a poll");
	fh_arc_process_all(arcs, NULL, NULL, &sum);
	is(sum.processed, 0, "process_all leaves it alone");
	is(stats_of(arcs).active, 0, "it is not counted");
	fh_arc_abandon(claim);
	is(stats_of(arcs).abandoned, 1, "an abandoned claim is");
	is(stats_of(arcs).started, 0, "and never started");
	is(fh_arc_claim(arcs, &request, &claim, NULL), 0, "claim it again");
	fh_arc_publish(claim, &seen);
	is(seen.state, FH_ARC_ACTIVE, "published: active");
	ok(seen.generation != info.generation, "another generation");
	is(fh_arc_get(arcs, "a", "b", &info), 0, "and seen");
	is(info.generation, seen.generation, "as that very arc");
	is(fh_arc_claim(arcs, &request, &other, &info), -EEXIST,
	   "a claim beside an active arc");
	is(info.generation, seen.generation, "shows it");
	fh_arcs_destroy(arcs);
}

struct initialiser {
	struct fh_arcs *arcs;
	int result;
	int runs;
	int seen;
	struct fh_arc_info info;
};

static int initialise(const struct fh_arc_info *info, void *arg)
{
	struct initialiser *init = arg;
	struct fh_arc_info found;

	init->runs++;
	init->info = *info;
	init->seen = fh_arc_get(init->arcs, "a", "b", &found);
	return init->result;
}

static void test_initialiser(void)
{
	struct fh_arcs *arcs = registry();
	struct initialiser init = { .arcs = arcs, .result = -EUCLEAN };
	const struct fh_arc_request request = {
		.first = "a", .second = "b", .type = BEEF,
		.init = initialise, .init_arg = &init,
	};
	struct fh_arc_info info;

	is(fh_arc_start(arcs, &request, NULL), -EUCLEAN,
	   "what the initialiser returns");
	is(init.runs, 1, "it ran once");
	is(init.seen, -ENOENT, "and saw no active arc");
	is(init.info.duration, HOUR, "it is told of the arc");
	is(fh_arc_get(arcs, "a", "b", &info), -ENOENT, "nothing is left");
	is(stats_of(arcs).started, 0, "nothing started");
	is(stats_of(arcs).abandoned, 1, "one start was abandoned");
	init.result = 7;
	is(fh_arc_start(arcs, &request, &info), 0, "7 is no failure");
	is(init.info.generation, info.generation, "the same arc throughout");
	is(fh_arc_start(arcs, &request, NULL), -EEXIST, "a duplicate");
	is(init.runs, 2, "runs no initialiser");
	fh_arcs_destroy(arcs);
}

/* A starter on a thread of its own, whose initialiser waits for the gate. */
enum { SHUT, OPEN };

struct starter {
	struct fh_arcs *arcs;
	pthread_t thread;
	struct fh_status entered;	/* OPEN: within the initialiser */
	struct fh_status *gate;
	unsigned type;
	int init_result, runs, rc;
	struct fh_arc_info info;
};

static int slow_init(const struct fh_arc_info *info, void *arg)
{
	struct starter *starter = arg;

	(void)info;
	starter->runs++;
	fh_status_set(&starter->entered, OPEN);
	fh_status_wait(starter->gate, FH_STATE(OPEN), FH_FOREVER, NULL);
	return starter->init_result;
}

static void *run_starter(void *arg)
{
	struct starter *starter = arg;
	const struct fh_arc_request request = {
		.first = "a", .second = "b", .type = starter->type,
		.init = slow_init, .init_arg = starter,
	};

	starter->rc = fh_arc_start_wait(starter->arcs, &request, FH_FOREVER,
					&starter->info);
	return NULL;
}

static void launch(struct starter *starter)
{
	pthread_create(&starter->thread, NULL, run_starter, starter);
}

static void test_join(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_status gate = FH_STATUS_INIT(SHUT);
	struct starter slow = { .arcs = arcs, .gate = &gate, .type = BEEF };
	struct starter waiter = { .arcs = arcs, .gate = &gate,
				  .type = SILENT };
	const struct fh_arc_request request = { .first = "b", .second = "a",
						.type = BEEF };
	struct fh_arc_info info;

	launch(&slow);
	fh_status_wait(&slow.entered, FH_STATE(OPEN), FH_FOREVER, NULL);
	is(start(arcs, "a", "b", BEEF, NULL), -EINPROGRESS,
	   "while an initialiser runs, a start is told so");
	is(start(arcs, "a", "c", BEEF, NULL), 0, "other pairs do not wait");
	is(fh_arc_start_wait(arcs, &request, fh_deadline_in(10000000), NULL),
	   -ETIMEDOUT, "a waiter's deadline passes");
	launch(&waiter);
	is(fh_arc_get(arcs, "a", "b", &info), -ENOENT, "not active yet");
	fh_status_set(&gate, OPEN);
	pthread_join(slow.thread, NULL);
	pthread_join(waiter.thread, NULL);
	is(slow.rc, 0, "the winner won");
	is(slow.info.joined, 0, "and did not join");
	is(waiter.rc, 0, "the waiter succeeds too");
	is(waiter.info.joined, 1, "by joining");
	is(waiter.info.type_differs, 1, "an arc of another type");
	is(waiter.info.generation, slow.info.generation, "the winner's");
	is(waiter.runs, 0, "its initialiser did not run");
	is(fh_arc_start_wait(arcs, &request, FH_FOREVER, &info), 0,
	   "joining an active arc does not wait");
	is(info.joined, 1, "and is marked");
	is(info.type_differs, 0, "the type is the same");
	is(stats_of(arcs).started, 2, "each pair started once");
	fh_arcs_destroy(arcs);
}

static void test_next_waiter(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_status gate = FH_STATUS_INIT(SHUT);
	struct starter first = { .arcs = arcs, .gate = &gate, .type = BEEF,
				 .init_result = -EIO };
	struct starter waiters[3];
	int won = 0, joined = 0, runs = 0;

	launch(&first);
	fh_status_wait(&first.entered, FH_STATE(OPEN), FH_FOREVER, NULL);
	for (int i = 0; i < 3; i++) {
		waiters[i] = (struct starter){ .arcs = arcs, .gate = &gate,
					       .type = BEEF };
		launch(&waiters[i]);
	}
	fh_status_set(&gate, OPEN);
	pthread_join(first.thread, NULL);
	for (int i = 0; i < 3; i++) {
		pthread_join(waiters[i].thread, NULL);
		won += waiters[i].rc == 0 && !waiters[i].info.joined;
		joined += waiters[i].rc == 0 && waiters[i].info.joined;
		runs += waiters[i].runs;
	}
	is(first.rc, -EIO, "the first starter gets its own error");
	is(won, 1, "one of the waiters wins next");
	is(joined, 2, "the others join it");
	is(runs, 1, "only the winner's initialiser ran");
	is(stats_of(arcs).started, 1, "one arc started");
	is(stats_of(arcs).abandoned, 1, "after one was abandoned");
	fh_arcs_destroy(arcs);
}

/*
 * The hard bound: an operation is refused before it changes anything, and an
 * abandoned claim, which cannot be refused, is gone all the same.
 */
static int progress_until_refused(struct fh_arcs *arcs, uint64_t *steps)
{
	int rc = 0;

	for (*steps = 0; *steps < 1000; ++*steps) {
		rc = fh_arc_progress(arcs, "a", "b", NULL, NULL);
		if (rc)
			break;
	}
	return rc;
}

static enum fh_arc_decision cancel(const struct fh_arc_names *names,
				   const struct fh_arc_info *info,
				   struct fh_arc_step *step, void *arg)
{
	(void)names;
	(void)info;
	(void)step;
	(void)arg;
	return FH_ARC_DO_CANCEL;
}

static void check_refusals(struct fh_arcs *arcs, struct fh_arc_ticket *claim)
{
	struct fh_arc_tally sum;
	struct fh_arc_info info;
	uint64_t steps;

	is(progress_until_refused(arcs, &steps), -EAGAIN, "progress refused");
	is(fh_arc_get(arcs, "a", "b", &info), 0, "the arc runs");
	is(info.events, steps, "and counts what succeeded");
	is(fh_arc_end(arcs, "a", "b", FH_ARC_ANY, FH_ARC_CANCELLED, NULL,
		      NULL), -EAGAIN, "its end is refused");
	fh_arc_process_all(arcs, cancel, NULL, &sum);
	is(sum.failed, 1, "to process_all too");
	is(sum.processed, 1, "which counts it as processed");
	fh_arc_abandon(claim);
	is(fh_arc_get(arcs, "c", "d", &info), -ENOENT, "abandoned");
	is(start(arcs, "c", "d", BEEF, NULL), -EAGAIN,
	   "a start that would retire it is refused");
	is(stats_of(arcs).active, 1, "nothing changed");
	is(stats_of(arcs).abandoned, 1, "but for the abandoned claim");
}

static void test_hard_bound(void)
{
	const struct fh_arc_request request = { .first = "c", .second = "d",
						.type = BEEF };
	static struct reader reader;
	struct fh_arc_ticket *claim;
	struct fh_arcs *arcs;

	if (strcmp(fh_build(), "lock-free") != 0) {
		skip("the mutex build of arcs retires nothing");
		return;
	}
	arcs = registry();
	start(arcs, "a", "b", BEEF, NULL);
	is(fh_arc_claim(arcs, &request, &claim, NULL), 0, "a claim");
	fh_rcu_drain_wait(FH_FOREVER);
	is(fh_rcu_set_bounds(4, 8), 0, "a hard bound");
	reader_enter(&reader, 1);
	check_refusals(arcs, claim);
	reader_leave(&reader);
	is(fh_rcu_drain_wait(fh_deadline_in(INT64_C(10000000000))), 0,
	   "the reader leaves, garbage goes");
	is(start(arcs, "c", "d", BEEF, NULL), 0, "the start succeeds");
	is(fh_arc_end(arcs, "a", "b", FH_ARC_ANY, FH_ARC_CANCELLED, NULL,
		      NULL), 0, "and the end");
	fh_rcu_set_bounds(0, 0);
	fh_arcs_destroy(arcs);
}

int main(void)
{
	diag("build: %s", fh_build());
	test_claims();
	test_initialiser();
	test_join();
	test_next_waiter();
	test_hard_bound();
	drain();
	return done_testing();
}
