/* SPDX-License-Identifier: MIT */
/*
 * arc: visiting all arcs and processing them.
 */
#include "arcs.h"

#define CROWD 500

static void crowd(struct fh_arcs *arcs, unsigned type)
{
	char name[32];

	for (int i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "agent-%d", i);
		start(arcs, name, "host", type, NULL);
	}
}

struct visits {
	struct fh_arcs *arcs;
	int seen[CROWD], total, stop_after, end;
};

static int visit(const struct fh_arc_names *names,
		 const struct fh_arc_info *info, void *arg)
{
	struct visits *visits = arg;
	int number = -1;

	if (sscanf(names->first, "agent-%d", &number) == 1 &&
	    strcmp(names->second, "host") == 0)
		visits->seen[number]++;
	visits->total++;
	if (visits->end)
		fh_arc_end(visits->arcs, names->second, names->first,
			   info->generation, FH_ARC_CANCELLED, NULL, NULL);
	return visits->total == visits->stop_after;
}

static void test_for_each(void)
{
	struct fh_arcs *arcs = registry();
	struct visits visits = { .arcs = arcs };
	int once = 1;

	is(fh_arc_for_each(arcs, visit, &visits), 0, "nothing to visit");
	crowd(arcs, BEEF);
	is(fh_arc_for_each(arcs, visit, &visits), CROWD, "all are visited");
	for (int i = 0; i < CROWD; i++)
		once &= visits.seen[i] == 1;
	ok(once, "each once, with its names");
	visits = (struct visits){ .arcs = arcs, .stop_after = 7 };
	is(fh_arc_for_each(arcs, visit, &visits), 7, "a visitor can stop");
	is(visits.total, 7, "and is not called again");
	visits = (struct visits){ .arcs = arcs, .end = 1 };
	is(fh_arc_for_each(arcs, visit, &visits), CROWD,
	   "a visitor can end what it visits");
	is(stats_of(arcs).active, 0, "nothing is left");
	is(fh_arc_for_each(arcs, visit, &visits), 0, "or visited");
	fh_arcs_destroy(arcs);
}

static void test_process_story(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_tally sum;

	crowd(arcs, RIVALRY);
	for (int i = 0; i < 3; i++)
		fh_arc_process_all(arcs, NULL, NULL, &sum);
	is(sum.progressed, CROWD, "all progress");
	is(sum.processed, CROWD, "each is processed once");
	fh_arc_process_all(arcs, NULL, NULL, &sum);
	is(sum.completed, CROWD, "the fourth step completes all");
	is(sum.progressed, 0, "which is not progress of running arcs");
	is(sum.processed, CROWD, "each once");
	is(stats_of(arcs).progressed, 4 * CROWD, "each step counted");
	fh_arc_process_all(arcs, NULL, NULL, NULL);
	is(stats_of(arcs).active, 0, "and none is left");
	fh_arcs_destroy(arcs);
}

/* agent-N: N mod 6 says what is to be done. */
static enum fh_arc_decision decide(const struct fh_arc_names *names,
				   const struct fh_arc_info *info,
				   struct fh_arc_step *step, void *arg)
{
	int number = -1;

	sscanf(names->first, "agent-%d", &number);
	(*(int *)arg)++;
	switch (number % 6) {
	case 0:
		return FH_ARC_DO_NOTHING;
	case 1:
		return FH_ARC_DO_COMPLETE;
	case 2:
		return FH_ARC_DO_CANCEL;
	case 3:
		step->event = "no such thing";
		return FH_ARC_DO_PROGRESS;
	case 4:
		step->generation = info->generation;
		return FH_ARC_DO_PROGRESS;
	default:
		return FH_ARC_DO_PROGRESS;
	}
}

static void test_process_policy(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_tally sum;
	int asked = 0;

	crowd(arcs, BEEF);
	fh_arc_process_all(arcs, decide, &asked, &sum);
	is(asked, CROWD, "the policy is asked for each");
	is(sum.processed, CROWD, "each is processed");
	is(sum.completed, 84, "84 completed");
	is(sum.cancelled, 83, "83 cancelled");
	is(sum.failed, 83, "83 failed");
	is(sum.progressed, 166, "166 progressed");
	is(sum.expired, 0, "none expired");
	is(stats_of(arcs).active, CROWD - 84 - 83, "the rest runs");
	store_relaxed(&fake_time, 3 * HOUR);
	fh_arc_process_all(arcs, decide, &asked, &sum);
	is(sum.expired, CROWD - 84 - 83, "until all expire");
	is(sum.processed, sum.expired, "and nothing else happens");
	is(asked, CROWD, "the policy is not asked about those");
	fh_arcs_destroy(arcs);
}

int main(void)
{
	diag("build: %s", fh_build());
	test_for_each();
	test_process_story();
	test_process_policy();
	drain();
	return done_testing();
}
