/* SPDX-License-Identifier: MIT */
/*
 * arc: names, snapshots, progress, ends, generations and expiry, error by
 * error.  Starting, observing, walking and racing have tests of their own.
 */
#include "arcs.h"

static int create_with(struct fh_arc_type type)
{
	const struct fh_arcs_options options = { .types = &type,
						 .type_count = 1 };
	struct fh_arcs *arcs = NULL;
	int rc = fh_arcs_create(&arcs, &options);

	fh_arcs_destroy(arcs);
	return rc;
}

static void test_create(void)
{
	const struct fh_arc_event nowhere = { "lost", 1, PHASES };
	const struct fh_arc_event nameless = { NULL, 1, FH_ARC_STAY };
	struct fh_arc_type type = types[RIVALRY];

	is(create_with(type), 0, "a sound type is accepted");
	type.phases = 0;
	is(create_with(type), -EINVAL, "a type without phases is not");
	type.phases = FH_ARC_PHASES + 1;
	is(create_with(type), -EINVAL, "nor one with too many");
	type = types[RIVALRY];
	type.initial = PHASES;
	is(create_with(type), -EINVAL, "nor an initial phase out of range");
	type = types[BEEF];
	type.events = &nowhere;
	is(create_with(type), -EINVAL, "nor a next phase out of range");
	type.events = &nameless;
	is(create_with(type), -EINVAL, "nor an event without a name");
	fh_arcs_destroy(NULL);
	ok(1, "destroying nothing is allowed");
}

static void test_names(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_info one, two;

	is(start(arcs, "", "b", RIVALRY, NULL), -EINVAL, "an empty name");
	is(start(arcs, "a", "", RIVALRY, NULL), -EINVAL, "the other empty");
	is(start(arcs, "a", NULL, RIVALRY, NULL), -EINVAL, "no name");
	is(start(arcs, "a", "a", RIVALRY, NULL), -EINVAL, "twice the same");
	is(start(arcs, "a", "b", TYPES, NULL), -EINVAL, "no such type");
	is(fh_arc_get(arcs, "a", "a", &one), -EINVAL, "get: twice the same");
	is(fh_arc_get(arcs, "", "a", &one), -EINVAL, "get: an empty name");
	is(fh_arc_get(arcs, "a", "b", &one), -ENOENT, "get: nothing there");
	is(start(arcs, "a:b", "c", RIVALRY, &one), 0, "start a:b with c");
	is(start(arcs, "a", "b:c", RIVALRY, &two), 0, "a with b:c is another");
	ok(one.generation != two.generation, "their generations differ");
	is(start(arcs, "ab", "c", RIVALRY, &two), 0, "ab with c");
	is(start(arcs, "a", "bc", RIVALRY, &two), 0, "a with bc is another");
	is(start(arcs, "b:c", "a", RIVALRY, &two), -EEXIST,
	   "the pair is unordered");
	is(fh_arc_get(arcs, "c", "a:b", &two), 0, "also when it is read");
	is(two.generation, one.generation, "and it is the same arc");
	is(fh_arc_end(arcs, "c", "a:b", FH_ARC_ANY, FH_ARC_COMPLETED, NULL,
		      NULL), 0, "and when it is ended");
	is(stats_of(arcs).active, 3, "three are left, for destroy to free");
	fh_arcs_destroy(arcs);
}

static void test_long_names(void)
{
	static const size_t lengths[] = { 1, 99, 126, 127, 128, 254, 5000 };
	struct fh_arcs *arcs = registry();
	char *first = calloc(1, 5002), *second = calloc(1, 5002);
	struct fh_arc_info info;
	int good = 1;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(first, 'x', lengths[i]);
		memset(second, 'x', lengths[i]);
		second[lengths[i] - 1] = 'y';
		first[lengths[i]] = second[lengths[i]] = 0;
		good &= start(arcs, first, second, RIVALRY, NULL) == 0;
		good &= start(arcs, second, first, RIVALRY, NULL) == -EEXIST;
		good &= fh_arc_get(arcs, second, first, &info) == 0;
		good &= fh_arc_progress(arcs, first, second, NULL, &info) == 0;
		second[lengths[i] - 1] = 'z';
		good &= fh_arc_get(arcs, second, first, &info) == -ENOENT;
		second[lengths[i] - 1] = 'y';
		good &= fh_arc_end(arcs, second, first, FH_ARC_ANY,
				   FH_ARC_CANCELLED, NULL, NULL) == 0;
	}
	ok(good, "names of 1 to 5000 bytes start, progress and end");
	is(stats_of(arcs).started, 7, "each once");
	is(stats_of(arcs).active, 0, "and none is left");
	free(first);
	free(second);
	fh_arcs_destroy(arcs);
}

static void test_snapshot(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_request request = { .first = "ada", .second = "bob",
					  .type = BEEF, .duration = 77 };
	struct fh_arc_info info;

	is(fh_arc_start(arcs, &request, &info), 0, "an arc of 77 ns starts");
	is(info.duration, 77, "the duration asked for");
	is(info.start_time, 1000, "the clock is the caller's");
	is(info.last_progress, 1000, "last progress is the start");
	is(info.events, 0, "no event yet");
	is(info.phase, INITIATION, "in the initial phase");
	is(info.state, FH_ARC_ACTIVE, "active");
	ok(!info.expired && !info.joined && !info.type_differs, "no marks");
	ok(info.generation != FH_ARC_ANY, "with a generation");
	store_relaxed(&fake_time, 50);
	is(fh_arc_progress(arcs, "bob", "ada", NULL, &info), 0, "progress");
	is(info.events, 1, "counts one event");
	is(info.last_progress, 1050, "at its time");
	is(info.start_time, 1000, "and the start stays");
	is(start(arcs, "ada", "bob", BEEF, &info), -EEXIST, "a duplicate");
	is(info.events, 1, "shows the arc that is there");
	is(info.type_differs, 0, "of the same type");
	is(start(arcs, "ada", "bob", SILENT, &info), -EEXIST, "another type");
	is(info.type_differs, 1, "is marked");
	is(info.type, BEEF, "the arc's own type is told");
	is(info.joined, 0, "nobody joined");
	is(start(arcs, "ada", "cyd", BEEF, &info), 0, "duration 0");
	is(info.duration, HOUR, "is the type's");
	is(start(arcs, "ada", "dan", SILENT, &info), 0, "another type");
	is(info.phase, CLIMAX, "begins in its own phase");
	is(info.type, SILENT, "and is of that type");
	is(stats_of(arcs).refused, 2, "two starts were refused");
	is(stats_of(arcs).active, 3, "three arcs run");
	fh_arcs_destroy(arcs);
}

static void test_default_clock(void)
{
	const struct fh_arcs_options options = { .types = types,
						 .type_count = TYPES };
	struct fh_arcs *arcs = NULL;
	struct fh_arc_info info, later;

	is(fh_arcs_create(&arcs, &options), 0, "a registry without a clock");
	is(start(arcs, "a", "b", BEEF, &info), 0, "starts an arc");
	ok(info.start_time > 0, "at a time of the machine's");
	is(fh_arc_progress(arcs, "a", "b", NULL, &later), 0, "progress");
	ok(later.last_progress >= info.start_time, "is not earlier");
	fh_arcs_destroy(arcs);
}

static void test_story(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_info info;
	unsigned phase;
	int good = 1;

	is(fh_arc_progress(arcs, "a", "b", NULL, &info), -ENOENT,
	   "progress without an arc");
	start(arcs, "a", "b", RIVALRY, NULL);
	for (phase = ESCALATION; phase < DONE; phase++) {
		good &= fh_arc_progress(arcs, "a", "b", NULL, &info) == 0;
		good &= info.phase == phase && info.events == phase;
		good &= info.state == FH_ARC_ACTIVE;
	}
	ok(good, "each event leads to the next phase");
	is(fh_arc_progress(arcs, "a", "b", NULL, &info), 0, "the last step");
	is(info.phase, DONE, "reaches the final phase");
	is(info.state, FH_ARC_COMPLETED, "and completes the arc");
	is(info.events, 4, "as its fourth event");
	is(fh_arc_get(arcs, "a", "b", &info), -ENOENT, "which is gone");
	is(fh_arc_progress(arcs, "a", "b", NULL, NULL), -ENOENT,
	   "and does not progress");
	is(stats_of(arcs).progressed, 4, "four steps were counted");
	is(stats_of(arcs).ended, 1, "and one end");
	is(start(arcs, "b", "a", RIVALRY, NULL), 0, "the pair starts again");
	fh_arcs_destroy(arcs);
}

static unsigned to_phase(const struct fh_arc_info *info,
			 const struct fh_arc_event *event, void *arg)
{
	(void)info;
	(void)event;
	return *(const unsigned *)arg;
}

static int derive(struct fh_arcs *arcs, unsigned phase,
		  struct fh_arc_info *info)
{
	const struct fh_arc_step step = { .derive = to_phase,
					  .derive_arg = &phase };

	return fh_arc_progress(arcs, "a", "b", &step, info);
}

static void test_derive(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_info info;

	start(arcs, "a", "b", RIVALRY, NULL);
	is(derive(arcs, ESCALATION, &info), 0, "a derived phase");
	is(info.phase, ESCALATION, "is taken");
	is(derive(arcs, INITIATION, &info), 0, "it may go backwards");
	is(info.phase, INITIATION, "where the table allows it");
	is(derive(arcs, CLIMAX, &info), -EPERM, "and nowhere else");
	is(info.phase, INITIATION, "the arc is shown as it is");
	is(info.events, 2, "and did not count");
	is(derive(arcs, PHASES, NULL), -EPERM, "a phase out of range");
	is(derive(arcs, FH_ARC_STAY, &info), 0, "staying is legal");
	is(info.phase, INITIATION, "and stays");
	is(derive(arcs, INITIATION, &info), 0, "by its own name too");
	is(info.events, 4, "both are events");
	fh_arcs_destroy(arcs);
}

static void test_force(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_info info;

	start(arcs, "a", "b", RIVALRY, NULL);
	is(force(arcs, "murmur", &info), 0, "a forced event in no phase");
	is(info.phase, INITIATION, "stays where it says");
	is(force(arcs, "shout", &info), -EINVAL, "an unknown event");
	is(force(arcs, "leap", &info), -EPERM, "the table still rules");
	is(info.events, 1, "one event so far");
	is(force(arcs, "spark", &info), 0, "the available one by name");
	is(info.phase, ESCALATION, "moves on");
	is(force(arcs, "spark", &info), 0, "staying by a forced event");
	is(info.events, 3, "counts");
	fh_arc_end(arcs, "a", "b", FH_ARC_ANY, FH_ARC_CANCELLED, NULL, NULL);
	start(arcs, "a", "b", SILENT, NULL);
	is(fh_arc_progress(arcs, "a", "b", NULL, &info), -ENOMSG,
	   "no event in this phase is an error of its own");
	is(info.phase, CLIMAX, "the arc is shown as it is");
	is(info.events, 0, "without an event");
	is(force(arcs, "jab", &info), -EINVAL, "no such event of the type");
	fh_arcs_destroy(arcs);
}

static void test_generations(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_info old, info;
	struct fh_arc_step step = { 0 };

	start(arcs, "a", "b", BEEF, &old);
	step.generation = old.generation;
	is(fh_arc_progress(arcs, "a", "b", &step, NULL), 0, "the arc meant");
	is(fh_arc_end(arcs, "a", "b", old.generation + 1, FH_ARC_CANCELLED,
		      NULL, NULL), -ESTALE, "not another generation");
	is(fh_arc_end(arcs, "a", "b", old.generation, FH_ARC_CANCELLED,
		      "tired", &info), 0, "end this very arc");
	is(info.state, FH_ARC_CANCELLED, "as cancelled");
	is(info.events, 1, "with its count");
	is(fh_arc_end(arcs, "a", "b", old.generation, FH_ARC_CANCELLED, NULL,
		      NULL), -ENOENT, "once");
	start(arcs, "a", "b", BEEF, &info);
	ok(info.generation != old.generation, "the next is another");
	is(fh_arc_progress(arcs, "a", "b", &step, NULL), -ESTALE,
	   "progress of the old one does not touch the new one");
	is(fh_arc_end(arcs, "a", "b", old.generation, FH_ARC_CANCELLED, NULL,
		      NULL), -ESTALE, "nor does its end");
	is(fh_arc_get(arcs, "a", "b", &info), 0, "it still runs");
	is(info.events, 0, "untouched");
	is(fh_arc_end(arcs, "a", "b", FH_ARC_ANY, FH_ARC_ACTIVE, NULL, NULL),
	   -EINVAL, "active is no ending");
	is(fh_arc_end(arcs, "a", "b", FH_ARC_ANY, FH_ARC_EXPIRED, NULL, NULL),
	   -EINVAL, "nor can one declare it expired");
	is(fh_arc_end(arcs, "a", "c", FH_ARC_ANY, FH_ARC_COMPLETED, NULL,
		      NULL), -ENOENT, "no arc, no end");
	is(fh_arc_end(arcs, "a", "b", FH_ARC_ANY, FH_ARC_COMPLETED, NULL,
		      &info), 0, "any generation");
	is(info.state, FH_ARC_COMPLETED, "completes");
	fh_arcs_destroy(arcs);
}

static void test_expiry(void)
{
	struct fh_arcs *arcs = registry();
	struct fh_arc_tally sum;
	struct fh_arc_info info;

	start(arcs, "a", "b", BEEF, NULL);
	start(arcs, "a", "c", RIVALRY, NULL);
	store_relaxed(&fake_time, 2 * HOUR);
	is(fh_arc_get(arcs, "a", "b", &info), 0, "at twice the duration");
	is(info.expired, 0, "an arc is not expired");
	is(fh_arc_progress(arcs, "a", "b", NULL, NULL), 0, "and progresses");
	store_relaxed(&fake_time, 2 * HOUR + 1);
	is(fh_arc_get(arcs, "a", "b", &info), 0, "a moment later");
	is(info.expired, 1, "it is, progress or not");
	is(info.state, FH_ARC_ACTIVE, "but still there");
	is(fh_arc_progress(arcs, "a", "b", NULL, &info), -ETIME,
	   "progress is refused");
	is(info.expired, 1, "the arc is shown expired");
	is(info.events, 1, "as it is");
	is(start(arcs, "a", "b", BEEF, &info), -EEXIST, "it keeps its pair");
	is(info.expired, 1, "as the loser can see");
	store_relaxed(&fake_time, INT64_MAX / 2);
	is(fh_arc_get(arcs, "a", "c", &info), 0, "without a duration");
	is(info.expired, 0, "an arc never expires");
	fh_arc_process_all(arcs, NULL, NULL, &sum);
	is(sum.expired, 1, "process_all ends the expired one");
	is(sum.progressed, 1, "and progresses the other");
	is(sum.processed, 2, "both are processed");
	is(fh_arc_get(arcs, "a", "b", &info), -ENOENT, "it is gone");
	is(start(arcs, "a", "b", BEEF, NULL), 0, "the pair is free");
	fh_arcs_destroy(arcs);
}

int main(void)
{
	diag("build: %s", fh_build());
	test_create();
	test_names();
	test_long_names();
	test_snapshot();
	test_default_clock();
	test_story();
	test_derive();
	test_force();
	test_generations();
	test_expiry();
	drain();
	return done_testing();
}
