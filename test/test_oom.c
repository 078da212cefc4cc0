/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails at every single point, for records and arcs; and threads
 * that cannot be created, for reclamation.  The table is in test_map_oom.c.
 */
#include <freehold/arc.h>
#include <freehold/base.h>
#include <freehold/rcu.h>
#include <freehold/record.h>

#include <string.h>

#include "oom.h"
#include "retire.h"
#include "tap.h"

/* ---- no thread for reclamation ---- */

/* The first use of reclamation in this program, so that no worker runs. */
static void test_no_worker(void)
{
	struct fh_rcu_stats stats;
	struct reader reader;
	int64_t deadline;

	reader_enter(&reader, 1);
	store_seq_cst(&no_threads, 1);
	retire_some(1000);
	fh_rcu_get_stats(&stats);
	is(stats.pending, 1000, "without a worker objects are retired");
	ok(stats.worker_failures > 0, "its absence is counted: %" PRIu64,
	   stats.worker_failures);
	is(fh_rcu_drain_wait(0), -ETIMEDOUT, "a polling drain");
	deadline = fh_deadline_in(50 * MS);
	is(fh_rcu_drain_wait(deadline), -ETIMEDOUT,
	   "a drain behind a reader keeps its deadline");
	ok(fh_now() >= deadline && fh_now() < deadline + 30 * SECONDS,
	   "neither early nor late");
	is(load_seq_cst(&reclaimed), 0, "nothing is reclaimed too early");
	reader_leave(&reader);
	is(drain(), 0, "a drain does the work itself");
	is(load_seq_cst(&reclaimed), 1000, "all are reclaimed");
	retire_some(5000);
	is(drain(), 0, "and again");
	is(load_seq_cst(&reclaimed), 6000, "all are reclaimed");

	store_seq_cst(&no_threads, 0);
	retire_some(10);
	comes_to(&reclaimed, 6010);
	is(load_seq_cst(&reclaimed), 6010,
	   "as soon as threads can be created all goes by itself");
}

/* ---- records ---- */

static void test_record(void)
{
	struct fh_record record = { 0 };
	uint64_t version = 0, n;
	char value[8] = "";
	int rc;

	oom_arm(OOM_FROM, 1);
	rc = fh_record_publish(&record, "one", 4);
	ok(oom_disarm() > 0, "publishing takes memory");
	is(rc, -ENOMEM, "and fails without");
	is(fh_record_read(&record, value, 8, NULL, NULL), -ENODATA,
	   "nothing was published");
	for (n = 1, rc = -1; rc; n++) {
		oom_arm(OOM_ONCE, n);
		rc = fh_record_publish(&record, "one", 4);
		if (oom_disarm() && rc != -ENOMEM)
			bail_out("a failed allocation was overlooked");
	}
	is(fh_record_read(&record, value, 8, NULL, &version), 0, "published");
	oom_arm(OOM_FROM, 1);
	is(fh_record_publish_if(&record, 1, "two", 4), -ENOMEM,
	   "replacing fails as well");
	is(fh_record_read(&record, value, 8, NULL, &version), 0,
	   "reading takes no memory");
	ok(version == 1 && !strcmp(value, "one"), "the old value stands");
	fh_record_destroy(&record);
	oom_disarm();
	is(drain(), 0, "drain");
}

/* ---- arcs ---- */

enum { OPENING, MIDDLE, CLOSE, PHASES };

static const uint64_t allowed[PHASES] = {
	UINT64_C(1) << MIDDLE, UINT64_C(1) << CLOSE, 0,
};
static const struct fh_arc_event events[] = {
	{ "go on", 1 << OPENING, MIDDLE },
	{ "finish", 1 << MIDDLE, CLOSE },
};
static const struct fh_arc_type type = {
	.name = "plot", .initial = OPENING, .final = 1 << CLOSE,
	.phases = PHASES, .allowed = allowed, .events = events,
	.event_count = 2,
};
static const struct fh_arcs_options options = { .types = &type,
						.type_count = 1 };

/* A registry with some arcs, and what has been observed. */
struct scene {
	struct fh_arcs *arcs;
	unsigned notices, released;
	size_t wrong;
};

static int observe(const struct fh_arc_notice *notice, void *arg)
{
	(void)notice;
	((struct scene *)arg)->notices++;
	return 0;
}

static void release(void *arg)
{
	((struct scene *)arg)->released++;
}

static int start(struct scene *scene, const char *first, const char *second)
{
	return fh_arc_start(scene->arcs, &(struct fh_arc_request){
		.first = first, .second = second }, NULL);
}

static void set_up(struct scene *scene)
{
	char name[16];
	uint64_t id;
	int i;

	memset(scene, 0, sizeof(*scene));
	if (fh_arcs_create(&scene->arcs, &options) ||
	    fh_arc_observe(scene->arcs, FH_ARC_STARTED | FH_ARC_PROGRESSED |
			   FH_ARC_ENDED, observe, scene, release, &id))
		bail_out("no registry");
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "agent %d", i % 100);
		scene->wrong += start(scene, "ada", name) != 0;
	}
	scene->notices = 0;
}

static uint64_t active(struct scene *scene)
{
	struct fh_arcs_stats stats;

	fh_arcs_get_stats(scene->arcs, &stats);
	return stats.active;
}

static void expect(struct scene *scene, int holds)
{
	scene->wrong += !holds;
}

static int is_there(struct scene *scene, const char *with)
{
	struct fh_arc_info info;

	return fh_arc_get(scene->arcs, "bob", with, &info);
}

static char long_name[400];

/* Nothing of a start that failed is left; with memory it can be repeated. */
static int try_start(struct scene *scene, uint64_t n, enum oom_mode mode,
		     const char *with)
{
	uint64_t refused;
	int rc;

	oom_arm(mode, n);
	rc = start(scene, "bob", with);
	refused = oom_disarm();
	expect(scene, rc == 0 || (rc == -ENOMEM && refused));
	expect(scene, scene->notices == (rc == 0));
	expect(scene, active(scene) == 20u + (rc == 0));
	if (rc) {
		expect(scene, is_there(scene, with) == -ENOENT);
		expect(scene, start(scene, with, "bob") == 0);
	}
	expect(scene, is_there(scene, with) == 0);
	return refused != 0;
}

static int start_short(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	return try_start(scene, n, mode, "cleo");
}

static int start_long(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	return try_start(scene, n, mode, long_name);
}

/* Once claimed, publishing and abandoning succeed without memory. */
static int claim(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	struct fh_arc_request request = { .first = "bob", .second = "cleo" };
	struct fh_arc_ticket *claimed = NULL;
	uint64_t refused;
	int rc;

	oom_arm(mode, n);
	rc = fh_arc_claim(scene->arcs, &request, &claimed, NULL);
	refused = oom_disarm();
	expect(scene, rc == 0 || (rc == -ENOMEM && refused));
	if (rc)
		rc = fh_arc_claim(scene->arcs, &request, &claimed, NULL);
	expect(scene, rc == 0);
	oom_arm(OOM_FROM, 1);
	if (n % 2)
		fh_arc_abandon(claimed);
	else
		fh_arc_publish(claimed, NULL);
	oom_disarm();
	expect(scene, is_there(scene, "cleo") == (n % 2 ? -ENOENT : 0));
	expect(scene, active(scene) == 20u + !(n % 2));
	return refused != 0;
}

static int progress(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	struct fh_arc_info info;
	uint64_t refused;
	int rc;

	oom_arm(mode, n);
	rc = fh_arc_progress(scene->arcs, "ada", "agent 7", NULL, NULL);
	refused = oom_disarm();
	expect(scene, rc == 0 || (rc == -ENOMEM && refused));
	expect(scene, fh_arc_get(scene->arcs, "ada", "agent 7", &info) == 0);
	expect(scene, info.events == (rc == 0));
	expect(scene, info.phase == (rc == 0 ? MIDDLE : OPENING));
	expect(scene, scene->notices == (rc == 0));
	if (rc)
		expect(scene, fh_arc_progress(scene->arcs, "ada", "agent 7",
					      NULL, NULL) == 0);
	return refused != 0;
}

/* The step into a final phase: it ends the arc, or changes nothing. */
static int finish(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	uint64_t refused;
	int rc;

	fh_arc_progress(scene->arcs, "ada", "agent 7", NULL, NULL);
	oom_arm(mode, n);
	rc = fh_arc_progress(scene->arcs, "ada", "agent 7", NULL, NULL);
	refused = oom_disarm();
	expect(scene, rc == 0 || (rc == -ENOMEM && refused));
	expect(scene, active(scene) == 20u - (rc == 0));
	if (rc)
		expect(scene, fh_arc_progress(scene->arcs, "ada", "agent 7",
					      NULL, NULL) == 0);
	expect(scene, active(scene) == 19);
	return refused != 0;
}

/* Ending needs no memory, whatever fails. */
static int end(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	struct fh_arc_info info;
	uint64_t refused;
	int rc;

	oom_arm(mode, n);
	rc = fh_arc_end(scene->arcs, "ada", "agent 7", FH_ARC_ANY,
			FH_ARC_CANCELLED, "hunger", &info);
	refused = oom_disarm();
	expect(scene, rc == 0);
	expect(scene, info.state == FH_ARC_CANCELLED);
	expect(scene, scene->notices == 1);
	expect(scene, active(scene) == 19);
	expect(scene, fh_arc_get(scene->arcs, "ada", "agent 7", &info) ==
			      -ENOENT);
	return refused != 0;
}

static int count_visit(const struct fh_arc_names *names,
		       const struct fh_arc_info *info, void *arg)
{
	(void)names;
	(void)info;
	++*(unsigned *)arg;
	return 0;
}

static int visit_all(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	unsigned visited = 0;
	size_t told;

	oom_arm(mode, n);
	told = fh_arc_for_each(scene->arcs, count_visit, &visited);
	expect(scene, visited == 20 && told == 20);
	return oom_disarm() != 0;
}

/* Each arc is counted once, whether its progress found memory or not. */
static int process_all(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	struct fh_arc_tally tallied;
	uint64_t refused;

	oom_arm(mode, n);
	fh_arc_process_all(scene->arcs, NULL, NULL, &tallied);
	refused = oom_disarm();
	expect(scene, tallied.processed == 20);
	expect(scene, tallied.progressed + tallied.failed == 20);
	expect(scene, scene->notices == tallied.progressed);
	expect(scene, refused || !tallied.failed);
	expect(scene, active(scene) == 20);
	return refused != 0;
}

static int observe_more(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	uint64_t id = 0, refused;
	unsigned released;
	int rc;

	oom_arm(mode, n);
	rc = fh_arc_observe(scene->arcs, FH_ARC_ENDED, observe, scene, release,
			    &id);
	refused = oom_disarm();
	expect(scene, rc == (refused ? -ENOMEM : 0));
	expect(scene, scene->released == 0);
	fh_arc_end(scene->arcs, "ada", "agent 3", FH_ARC_ANY,
		   FH_ARC_COMPLETED, NULL, NULL);
	expect(scene, scene->notices == 1u + (rc == 0));
	if (rc == 0) {
		oom_arm(OOM_FROM, 1);
		rc = fh_arc_unobserve(scene->arcs, id);
		oom_disarm();
		expect(scene, rc == 0);
		released = scene->released;
		drain();
		expect(scene, released == 1 || scene->released == 1);
	}
	return refused != 0;
}

static int get_long(struct scene *scene, uint64_t n, enum oom_mode mode)
{
	uint64_t refused;
	int rc;

	expect(scene, start(scene, "bob", long_name) == 0);
	oom_arm(mode, n);
	rc = is_there(scene, long_name);
	refused = oom_disarm();
	expect(scene, rc == (refused ? -ENOMEM : 0));
	return refused != 0;
}

static void test_arc(const char *name,
		     int (*run)(struct scene *, uint64_t, enum oom_mode))
{
	enum oom_mode mode;
	struct scene scene;
	uint64_t n, points = 0;
	size_t wrong = 0;
	int hit;

	for (mode = OOM_ONCE; mode <= OOM_FROM; mode++)
		for (n = 1, hit = 1; hit; n++) {
			set_up(&scene);
			hit = run(&scene, n, mode);
			fh_arcs_destroy(scene.arcs);
			wrong += scene.wrong + (scene.released == 0);
			points += hit != 0;
		}
	is(wrong, 0, "arc: %s, %" PRIu64 " failures", name, points);
}

static void test_arcs_create(void)
{
	struct fh_arcs *arcs = NULL;
	uint64_t n, wrong = 0;
	int rc;

	for (n = 1;; n++) {
		oom_arm(OOM_ONCE, n);
		rc = fh_arcs_create(&arcs, &options);
		if (!oom_disarm())
			break;
		wrong += rc != -ENOMEM;
	}
	is(wrong, 0, "create: -ENOMEM at each of its allocations");
	ok(n > 1 && rc == 0, "which are %" PRIu64, n - 1);
	fh_arcs_destroy(arcs);
}

int main(void)
{
	watchdog(120);
	memset(long_name, 'z', sizeof(long_name) - 1);
	test_no_worker();
	test_record();
	test_arcs_create();
	test_arc("start", start_short);
	test_arc("start with a long name", start_long);
	test_arc("claim", claim);
	test_arc("progress", progress);
	test_arc("finish", finish);
	test_arc("end", end);
	test_arc("for each", visit_all);
	test_arc("process all", process_all);
	test_arc("observe", observe_more);
	test_arc("get with a long name", get_long);
	is(drain(), 0, "drain");
	return done_testing();
}
