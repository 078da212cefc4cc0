/* SPDX-License-Identifier: MIT */
/*
 * arc: observers, also those that meddle, fail, leave or multiply; and one
 * for whom there is no room under the hard bound of rcu.
 */
#include "arcs.h"
#include "reader.h"

/* An observer that writes down what it was told. */
struct record {
	struct fh_arcs *arcs;
	uint64_t id;
	int calls[FH_ARC_ENDED + 1];
	int released, result;
	char order[16], first[16], second[16], event[16], reason[16];
	struct fh_arc_info last;
};

static void copy(char to[16], const char *from)
{
	snprintf(to, 16, "%s", from ? from : "(none)");
}

static int take_down(const struct fh_arc_notice *notice, void *arg)
{
	static const char letter[] = { [FH_ARC_STARTED] = 'S',
				       [FH_ARC_PROGRESSED] = 'P',
				       [FH_ARC_ENDED] = 'E' };
	struct record *record = arg;
	size_t told = strlen(record->order);

	record->calls[notice->change]++;
	record->last = notice->info;
	if (told + 1 < sizeof(record->order))
		record->order[told] = letter[notice->change];
	copy(record->first, notice->names.first);
	copy(record->second, notice->names.second);
	copy(record->event, notice->event);
	copy(record->reason, notice->reason);
	return record->result;
}

static void count_release(void *arg)
{
	((struct record *)arg)->released++;
}

static int observe(struct fh_arcs *arcs, unsigned changes,
		   fh_arc_observer observer, struct record *record)
{
	record->arcs = arcs;
	return fh_arc_observe(arcs, changes, observer, record, count_release,
			      &record->id);
}

#define EVERYTHING (FH_ARC_STARTED | FH_ARC_PROGRESSED | FH_ARC_ENDED)

static void test_observers(void)
{
	struct fh_arcs *arcs = registry();
	struct record all = { 0 }, ends = { 0 };

	is(observe(arcs, 0, take_down, &all), -EINVAL, "observing no changes");
	is(observe(arcs, EVERYTHING, NULL, &all), -EINVAL, "no observer");
	is(all.released, 0, "a refused one is not released");
	is(observe(arcs, EVERYTHING, take_down, &all), 0, "observe all");
	is(observe(arcs, FH_ARC_ENDED, take_down, &ends), 0, "observe ends");
	ok(all.id != ends.id, "their ids differ");
	start(arcs, "zoe", "ada", BEEF, NULL);
	is(all.calls[FH_ARC_STARTED], 1, "told of the start");
	ok(!strcmp(all.first, "ada") && !strcmp(all.second, "zoe"),
	   "with the names in byte order");
	ok(!strcmp(all.event, "(none)"), "a start has no event");
	start(arcs, "zoe", "ada", BEEF, NULL);
	is(all.calls[FH_ARC_STARTED], 1, "a refused start is none");
	fh_arc_progress(arcs, "zoe", "ada", NULL, NULL);
	is(all.calls[FH_ARC_PROGRESSED], 1, "told of the progress");
	ok(!strcmp(all.event, "jab"), "and of the event");
	is(all.last.events, 1, "the arc as the transition left it");
	force(arcs, "jab", NULL);
	is(all.calls[FH_ARC_PROGRESSED], 1, "not of one that failed");
	fh_arc_end(arcs, "zoe", "ada", FH_ARC_ANY, FH_ARC_CANCELLED, "bored",
		   NULL);
	is(all.calls[FH_ARC_ENDED], 1, "told of the end");
	ok(!strcmp(all.reason, "bored"), "with the reason");
	is(all.last.state, FH_ARC_CANCELLED, "and the ending");
	fh_arc_end(arcs, "zoe", "ada", FH_ARC_ANY, FH_ARC_CANCELLED, NULL,
		   NULL);
	is(all.calls[FH_ARC_ENDED], 1, "once");
	ok(!strcmp(ends.order, "E"), "a mask keeps the rest away");
	is(fh_arc_unobserve(arcs, all.id), 0, "unobserve");
	is(all.released, 1, "releases");
	is(fh_arc_unobserve(arcs, all.id), -ENOENT, "but once");
	is(fh_arc_unobserve(arcs, 0), -ENOENT, "0 is nobody's id");
	start(arcs, "a", "b", BEEF, NULL);
	is(all.calls[FH_ARC_STARTED], 1, "nothing is told any more");
	fh_arcs_destroy(arcs);
	is(all.released, 1, "destroy does not release again");
	is(ends.released, 1, "but those that are left");
	is(ends.calls[FH_ARC_ENDED], 1, "arcs that run end unobserved");
}

static void test_final_notices(void)
{
	struct fh_arcs *arcs = registry();
	struct record all = { 0 };

	observe(arcs, EVERYTHING, take_down, &all);
	start(arcs, "a", "b", RIVALRY, NULL);
	for (int i = 0; i < 4; i++)
		fh_arc_progress(arcs, "a", "b", NULL, NULL);
	ok(!strcmp(all.order, "SPPPPE"), "progress, then the end: %s",
	   all.order);
	is(all.last.state, FH_ARC_COMPLETED, "completed");
	is(all.last.events, 4, "with its last event");
	ok(!strcmp(all.reason, "(none)"), "without a reason");
	fh_arcs_destroy(arcs);
}

static int fail(const struct fh_arc_notice *notice, void *arg)
{
	take_down(notice, arg);
	return -EIO;
}

/* Ends the arc that starts, starts another pair, and looks around. */
static int meddle(const struct fh_arc_notice *notice, void *arg)
{
	struct record *record = arg;
	struct fh_arc_info info;

	take_down(notice, record);
	if (notice->change != FH_ARC_STARTED ||
	    strcmp(notice->names.first, "a") != 0)
		return 0;
	record->result = fh_arc_get(record->arcs, "a", "b", &info);
	record->result |= fh_arc_progress(record->arcs, "a", "b", NULL, NULL);
	record->result |= fh_arc_end(record->arcs, "a", "b",
				     notice->info.generation,
				     FH_ARC_COMPLETED, "meddler", NULL);
	record->result |= start(record->arcs, "c", "d", BEEF, NULL);
	return 0;
}

static int leave(const struct fh_arc_notice *notice, void *arg)
{
	struct record *record = arg;

	take_down(notice, record);
	record->result = fh_arc_unobserve(record->arcs, record->id);
	record->result |= record->released ? -EBUSY : 0;
	return 0;
}

/* Adds an observer in every call: it must not be called by the same notice. */
static int breed(const struct fh_arc_notice *notice, void *arg)
{
	struct record *record = arg;

	take_down(notice, record);
	return fh_arc_observe(record->arcs, FH_ARC_STARTED, breed, record,
			      count_release, NULL);
}

static void test_meddling_observers(void)
{
	struct fh_arcs *arcs = registry();
	struct record failing = { 0 }, meddler = { 0 }, leaver = { 0 };
	struct record last = { 0 };
	struct fh_arc_info info;

	observe(arcs, EVERYTHING, fail, &failing);
	observe(arcs, EVERYTHING, leave, &leaver);
	observe(arcs, EVERYTHING, meddle, &meddler);
	observe(arcs, EVERYTHING, take_down, &last);
	is(start(arcs, "a", "b", BEEF, &info), 0, "observers call back");
	is(info.state, FH_ARC_ACTIVE, "the start itself is not disturbed");
	is(meddler.result, 0, "all of their calls succeeded");
	is(fh_arc_get(arcs, "a", "b", &info), -ENOENT, "one ended the arc");
	is(fh_arc_get(arcs, "c", "d", &info), 0, "and started another");
	is(last.calls[FH_ARC_STARTED], 2, "the last is told of both starts");
	is(last.calls[FH_ARC_PROGRESSED], 1, "of the progress");
	is(last.calls[FH_ARC_ENDED], 1, "and of the end");
	is(failing.calls[FH_ARC_STARTED], 2, "one that fails is still called");
	is(stats_of(arcs).observer_failures, 4, "and its failures counted");
	is(leaver.calls[FH_ARC_STARTED], 1, "one removed itself");
	is(leaver.result, 0, "from within, released only afterwards");
	is(leaver.released, 1, "once");
	fh_arcs_destroy(arcs);
	is(leaver.released, 1, "not again by destroy");
	is(meddler.released + failing.released + last.released, 3,
	   "as the others are");
}

static void test_breeding_observers(void)
{
	struct fh_arcs *arcs = registry();
	struct record record = { 0 };

	observe(arcs, FH_ARC_STARTED, breed, &record);
	start(arcs, "a", "b", BEEF, NULL);
	is(record.calls[FH_ARC_STARTED], 1, "a new observer waits its turn");
	start(arcs, "a", "c", BEEF, NULL);
	is(record.calls[FH_ARC_STARTED], 3, "and is called the next time");
	fh_arcs_destroy(arcs);
	is(record.released, 4, "each observer is released");
}

static void test_many_observers(void)
{
	struct fh_arcs *arcs = registry();
	struct record record = { 0 };
	uint64_t ids[100];
	int good = 1;

	for (int i = 0; i < 100; i++) {
		good &= observe(arcs, FH_ARC_STARTED, take_down, &record) == 0;
		ids[i] = record.id;
	}
	for (int i = 0; i < 100; i += 2)
		good &= fh_arc_unobserve(arcs, ids[i]) == 0;
	ok(good, "100 observers come, 50 go");
	is(record.released, 50, "50 are released");
	start(arcs, "a", "b", BEEF, NULL);
	is(record.calls[FH_ARC_STARTED], 50, "50 are called");
	good = observe(arcs, FH_ARC_STARTED, take_down, &record) == 0;
	for (int i = 1; i < 100; i += 2)
		good &= fh_arc_unobserve(arcs, ids[i]) == 0;
	for (int i = 0; i < 100; i++)
		good &= fh_arc_unobserve(arcs, ids[i]) == -ENOENT;
	ok(good, "one comes, all the old ones go, once");
	start(arcs, "a", "c", BEEF, NULL);
	is(record.calls[FH_ARC_STARTED], 51, "the new one is called");
	fh_arcs_destroy(arcs);
	is(record.released, 101, "and released at the end");
}

static void free_head(struct fh_rcu_head *head)
{
	free(head);
}

/* Retire as much as is admitted. */
static void fill_up(void)
{
	while (fh_rcu_admit(1) == 0)
		fh_rcu_retire(malloc(sizeof(struct fh_rcu_head)), free_head);
}

/* The list that it would replace is garbage: it is refused before that. */
static void test_no_room(void)
{
	struct fh_arcs *arcs = registry();
	struct record one = { 0 }, other = { 0 };
	struct reader reader;

	observe(arcs, EVERYTHING, take_down, &one);
	fh_rcu_drain_wait(FH_FOREVER);
	is(fh_rcu_set_bounds(0, 8), 0, "a hard bound");
	reader_enter(&reader, 1);
	fill_up();
	is(observe(arcs, EVERYTHING, take_down, &other), -EAGAIN,
	   "no room for another observer");
	is(other.released, 0, "who is not released");
	is(fh_arc_unobserve(arcs, one.id), 0, "one who leaves needs none");
	is(one.released, 1, "and is released");
	is(observe(arcs, EVERYTHING, take_down, &one), -EAGAIN,
	   "but does not come back");
	reader_leave(&reader);
	drain();
	is(observe(arcs, EVERYTHING, take_down, &other), 0, "now there is");
	fh_rcu_set_bounds(0, 0);
	start(arcs, "a", "b", BEEF, NULL);
	ok(!strcmp(other.order, "S") && !strcmp(one.order, ""),
	   "and who came is told");
	fh_arcs_destroy(arcs);
	is(one.released, 1, "each is released once");
	is(other.released, 1, "at the end");
}

int main(void)
{
	diag("build: %s", fh_build());
	test_observers();
	test_final_notices();
	test_meddling_observers();
	test_breeding_observers();
	test_many_observers();
	if (!strcmp(fh_build(), "lock-free"))
		test_no_room();
	else
		skip("the mutex build of arcs retires nothing");
	drain();
	return done_testing();
}
