/* SPDX-License-Identifier: MIT */
/*
 * The server registry without memory or threads: each operation runs with
 * its n-th allocation failing, alone or with all after it, for n = 1, 2, ...
 * until it gets through without asking so often.  Each time it must have
 * happened or not have happened, and work the next time; what needs no memory
 * must not fail.  Then the supervisor, which tries again later.
 *
 * And without room under the hard bound of rcu, behind a reader: what makes a
 * client is refused, and would otherwise pass the bound, or leave half of
 * what it began; what makes none goes on; the refused work the next time.
 */
#include "watched.h"

#include "oom.h"
#include "retire.h"

#define NAME "clangd"

#ifdef FREEHOLD_MUTEX
#define LOCK_FREE 0
#else
#define LOCK_FREE 1
#endif

/* One server that runs with two users, one that has failed, and a name. */
struct scene {
	struct fh_servers *servers;
	struct site runs, fails, fresh;
	int rc;
	struct fh_server_info info;
	struct fh_server_lease *lease;
	size_t visited;
};

struct operation {
	const char *name;
	void (*act)(struct scene *scene);
	int (*check)(struct scene *scene);
	int frugal;			/* takes no memory at all */
};

static struct fh_server_request request_of(const char *name,
					   struct site *site)
{
	struct fh_server_request request = request_for(name, site);

	request.limits.lease = -1;
	return request;
}

static void set_scene(struct scene *scene)
{
	struct fh_server_request request;

	memset(scene, 0, sizeof(*scene));
	scene->servers = registry();
	request = request_of("runs", &scene->runs);
	fh_server_start(scene->servers, &request, NULL);
	fh_server_start(scene->servers, &request, NULL);
	request = request_of("fails", &scene->fails);
	go_wrong(&scene->fails, AT_HANDSHAKE, FAIL, -EPROTO, 1);
	fh_server_start(scene->servers, &request, NULL);
}

static enum fh_server_state state_of(struct scene *scene, const char *name)
{
	return health_of(scene->servers, name).state;
}

/* ---- operations ---- */

static void act_start(struct scene *scene)
{
	const struct fh_server_request request = request_of("fresh",
							    &scene->fresh);

	scene->rc = fh_server_start(scene->servers, &request, &scene->info);
}

/* No entry, or one that runs, or one that its own start function failed. */
static int check_start(struct scene *scene)
{
	enum fh_server_state state = state_of(scene, "fresh");
	enum fh_server_state want = FH_SERVER_ABSENT;

	if (scene->rc == 0)
		want = FH_SERVER_RUNNING;
	else if (scene->rc == -EHOSTDOWN)
		want = FH_SERVER_FAILED;
	else if (scene->rc != -ENOMEM)
		return 0;
	if (scene->rc == -EHOSTDOWN && scene->info.error != -ENOMEM)
		return 0;
	if (state != want)
		return 0;
	act_start(scene);
	return scene->rc == 0 && state_of(scene, "fresh") == FH_SERVER_RUNNING;
}

static void act_join(struct scene *scene)
{
	const struct fh_server_request request = request_of("runs",
							    &scene->runs);

	scene->rc = fh_server_start(scene->servers, &request, NULL);
}

static int check_join(struct scene *scene)
{
	return scene->rc == 0 && health_of(scene->servers, "runs").users == 3;
}

static void act_revive(struct scene *scene)
{
	const struct fh_server_request request = request_of("fails",
							    &scene->fails);

	scene->rc = fh_server_start_wait(scene->servers, &request,
					 fh_deadline_in(LONG), &scene->info);
}

static int check_revive(struct scene *scene)
{
	struct fh_server_info now = health_of(scene->servers, "fails");

	if (now.users != (scene->rc == 0))
		return 0;
	if (scene->rc && scene->rc != -ENOMEM &&
	    (scene->rc != -EHOSTDOWN || now.error != -ENOMEM))
		return 0;
	if (now.state != (scene->rc ? FH_SERVER_FAILED : FH_SERVER_RUNNING))
		return 0;
	return fh_server_restart(scene->servers, "fails", FH_SERVER_ANY,
				 NULL) == 0;
}

static void act_restart(struct scene *scene)
{
	scene->rc = fh_server_restart(scene->servers, "runs", FH_SERVER_ANY,
				      &scene->info);
}

/* -ENOMEM: nothing was touched; -EHOSTDOWN: the start function had none. */
static int check_restart(struct scene *scene)
{
	struct fh_server_info now = health_of(scene->servers, "runs");

	if (now.users != 2)
		return 0;
	if (scene->rc == -ENOMEM && (now.state != FH_SERVER_RUNNING ||
				     now.restarts || now.epoch != 2))
		return 0;
	if (scene->rc == -EHOSTDOWN && (now.state != FH_SERVER_FAILED ||
					now.error != -ENOMEM))
		return 0;
	if (scene->rc && scene->rc != -ENOMEM && scene->rc != -EHOSTDOWN)
		return 0;
	return fh_server_restart(scene->servers, "runs", FH_SERVER_ANY,
				 NULL) == 0;
}

static void act_stop(struct scene *scene)
{
	fh_server_stop(scene->servers, "runs", NULL);
	scene->rc = fh_server_stop(scene->servers, "runs", &scene->info);
}

static int check_stop(struct scene *scene)
{
	return scene->rc == 0 && state_of(scene, "runs") == FH_SERVER_ABSENT;
}

static void act_stop_again(struct scene *scene)
{
	fh_server_stop(scene->servers, "runs", NULL);
	go_wrong(&scene->runs, AT_STOP, FAIL, -EIO, 1);
	go_wrong(&scene->runs, AT_KILL, FAIL, -EIO, 1);
	if (fh_server_stop(scene->servers, "runs", NULL) != -EHOSTDOWN)
		return;
	scene->rc = fh_server_stop(scene->servers, "runs", &scene->info);
}

/* The one stop that may take memory: it can be tried again. */
static int check_stop_again(struct scene *scene)
{
	struct fh_server_lease *lease;

	if (scene->rc == -ENOMEM) {
		if (state_of(scene, "runs") != FH_SERVER_FAILED ||
		    fh_server_get(scene->servers, "runs", &lease, NULL) !=
			    -EHOSTDOWN)
			return 0;
		if (fh_server_stop(scene->servers, "runs", &scene->info) !=
			    -ESHUTDOWN ||
		    scene->info.state != FH_SERVER_STOPPED)
			return 0;
		scene->rc = 0;
	}
	return scene->rc == 0 && state_of(scene, "runs") == FH_SERVER_ABSENT;
}

static void act_crash(struct scene *scene)
{
	scene->info = health_of(scene->servers, "runs");
	scene->rc = fh_server_crashed(scene->servers, "runs",
				      scene->info.generation, 0, NULL, NULL);
}

static int check_crash(struct scene *scene)
{
	return scene->rc == 0 && state_of(scene, "runs") == FH_SERVER_FAILED;
}

static int see(const char *name, const struct fh_server_info *info, void *arg)
{
	(void)name;
	(void)info;
	(void)arg;
	return 0;
}

static void act_look(struct scene *scene)
{
	scene->rc = fh_server_get(scene->servers, "runs", &scene->lease, NULL);
	fh_lease_return(scene->lease);
	scene->rc |= fh_server_get_wait(scene->servers, "runs", FH_FOREVER,
					&scene->lease, NULL);
	fh_lease_return(scene->lease);
	scene->rc |= fh_server_health(scene->servers, "fails", &scene->info);
	scene->visited = fh_server_for_each(scene->servers, see, NULL);
}

static int check_look(struct scene *scene)
{
	return scene->rc == 0 && scene->visited == 2;
}

static void act_stop_all(struct scene *scene)
{
	scene->rc = fh_servers_stop_all_wait(scene->servers,
					     fh_deadline_in(LONG));
}

static int check_stop_all(struct scene *scene)
{
	return scene->rc == 0 && stats_of(scene->servers).registered == 0;
}

static const struct operation operations[] = {
	{ "start", act_start, check_start, 0 },
	{ "join", act_join, check_join, 1 },
	{ "start of one that failed", act_revive, check_revive, 0 },
	{ "restart", act_restart, check_restart, 0 },
	{ "stop", act_stop, check_stop, 1 },
	{ "stop of one that would not", act_stop_again, check_stop_again,
	  !LOCK_FREE },
	{ "crash", act_crash, check_crash, 1 },
	{ "get, health and list", act_look, check_look, 1 },
	{ "stop all", act_stop_all, check_stop_all, 0 },
};

/* With the n-th allocation failing; false when there was none to fail. */
static int run(const struct operation *operation, enum oom_mode mode,
	       uint64_t n, int *good)
{
	struct scene scene;
	uint64_t refused;

	set_scene(&scene);
	oom_arm(mode, n);
	operation->act(&scene);
	refused = oom_disarm();
	*good = operation->check(&scene);
	fh_servers_destroy(scene.servers);
	*good = *good && is_clean(&scene.runs) && is_clean(&scene.fails) &&
		is_clean(&scene.fresh);
	return refused != 0;
}

static void test_each(const struct operation *operation)
{
	enum oom_mode mode;
	int good, failing = 0, bad = 0;
	uint64_t n;

	for (mode = OOM_ONCE; mode <= OOM_FROM; mode++)
		for (n = 1; run(operation, mode, n, &good); n++) {
			failing++;
			bad += !good;
			if (!good)
				diag("allocation %u fails%s", (unsigned)n,
				     mode == OOM_FROM ? ", and all after" : "");
		}
	ok(bad == 0 && good, "%s: %d times without memory", operation->name,
	   failing);
	ok(operation->frugal ? failing == 0 : failing > 0,
	   operation->frugal ? "it takes none" : "it takes some");
}

static void test_create(void)
{
	struct fh_servers *servers;
	uint64_t n;
	int rc, bad = 0;

	for (n = 1;; n++) {
		servers = NULL;
		oom_arm(OOM_ONCE, n);
		rc = fh_servers_create(&servers, NULL);
		if (oom_disarm() == 0)
			break;
		bad += rc != -ENOMEM || servers;
	}
	is(rc, 0, "a registry is made when there is memory");
	ok(bad == 0 && n > 1, "and not when there is none");
	fh_servers_destroy(servers);
}

/* ---- threads ---- */

/* Leases are not waited for; a crash is made good, four times. */
static struct fh_server_request watch_with(struct site *site)
{
	struct fh_server_request request = site_open(site, NAME);

	request.limits.lease = -1;
	request.policy.most = 4;
	return request;
}

static void test_no_supervisor(void)
{
	struct fh_servers *servers = registry();
	struct site site;
	struct fh_server_request request = watch_with(&site);

	store_seq_cst(&no_threads, 1);
	is(fh_server_start(servers, &request, NULL), -ENOBUFS,
	   "a start without a thread for the supervisor");
	is(health_of(servers, NAME).state, FH_SERVER_ABSENT,
	   "leaves nothing behind");
	store_seq_cst(&no_threads, 0);
	oom_arm(OOM_ONCE, 1);
	is(fh_server_start(servers, &request, NULL), -ENOBUFS,
	   "nor without memory for it");
	oom_disarm();
	is(fh_server_start(servers, &request, NULL), 0, "the next one works");
	site_close(servers, &site);
}

/* A recovery finds no thread, or no memory; it is put off, and then works. */
static void test_recovery(int threads, uint64_t refusals)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = watch_with(&site);

	request.policy.delay = MS;
	fh_server_start(servers, &request, NULL);
	store_seq_cst(&no_threads, !threads);
	store_seq_cst(&oom_elsewhere, refusals);
	end_one(&site);
	while (stats_of(servers).put_off < 3)
		sleep_ns(MS / 4);
	info = health_of(servers, NAME);
	ok(info.state == FH_SERVER_BACKOFF && info.restarts == 0,
	   "a recovery without %s is put off",
	   threads ? "memory" : "a thread");
	store_seq_cst(&no_threads, 0);
	store_seq_cst(&oom_elsewhere, 0);
	is(fh_server_wait(servers, NAME, FH_SERVER_STATE(FH_SERVER_RUNNING),
			  fh_deadline_in(LONG), &info), 0,
	   "and made later");
	is(info.restarts, 1, "once");
	site_close(servers, &site);
}

/* One that is put off is stopped: nobody restarts it any more. */
static void test_put_off_and_stopped(void)
{
	struct fh_servers *servers = registry();
	struct site site;
	struct fh_server_request request = watch_with(&site);

	request.policy.delay = MS;
	fh_server_start(servers, &request, NULL);
	store_seq_cst(&oom_elsewhere, UINT64_MAX);
	end_one(&site);
	while (stats_of(servers).put_off < 3)
		sleep_ns(MS / 4);
	is(fh_server_stop(servers, NAME, NULL), 0, "what is put off can stop");
	store_seq_cst(&oom_elsewhere, 0);
	sleep_ns(5 * MS);
	is(site.calls[AT_START], 1, "and is not started any more");
	site_close(servers, &site);
	is(site.freed, 1, "what its start was given is released");
}

static void test_stop_all_alone(int memory)
{
	struct scene scene;

	set_scene(&scene);
	store_seq_cst(&no_threads, 1);
	if (!memory)
		oom_arm(OOM_FROM, 1);
	is(fh_servers_stop_all_wait(scene.servers, fh_deadline_in(LONG)), 0,
	   "all are stopped without threads%s", memory ? "" : " or memory");
	oom_disarm();
	store_seq_cst(&no_threads, 0);
	is(stats_of(scene.servers).stopped, 2, "one after the other");
	fh_servers_destroy(scene.servers);
	ok(is_clean(&scene.runs) && is_clean(&scene.fails),
	   "nothing is left");
}

/* ---- no room ---- */

/* From here on nothing is reclaimed, and there is as much as may be. */
static void bound_enter(struct reader *reader)
{
	tally admitted = 0;

	fh_rcu_drain_wait(FH_FOREVER);
	fh_rcu_set_bounds(0, HARD);
	reader_enter(reader, 1);
	fill(0, &admitted);
}

static void bound_leave(struct reader *reader)
{
	reader_leave(reader);
	is(drain(), 0, "the reader leaves, and the garbage goes");
}

static void check_refused(struct fh_servers *servers, const char *name,
			  int start, int restart,
			  const struct fh_server_info *before,
			  struct site *site)
{
	const struct fh_server_request request = request_of(name, site);
	struct fh_server_info info;
	uint64_t starts = site->calls[AT_START];

	is(fh_server_start(servers, &request, NULL), start,
	   "%s: a start without room", name);
	is(fh_server_start_wait(servers, &request, fh_deadline_in(LONG), NULL),
	   start, "%s: which it does not wait for", name);
	is(fh_server_restart(servers, name, FH_SERVER_ANY, NULL), restart,
	   "%s: a restart", name);
	is(fh_server_restart_wait(servers, name, FH_SERVER_ANY,
				  fh_deadline_in(LONG), NULL), restart,
	   "%s: which does not wait either", name);
	info = health_of(servers, name);
	ok(info.state == before->state && info.epoch == before->epoch &&
	   info.generation == before->generation &&
	   info.restarts == before->restarts && info.error == before->error,
	   "%s: is as it was", name);
	is(info.users, before->users + (start ? 0 : 2), "%s: and its users",
	   name);
	is(site->calls[AT_START], starts, "%s: and nothing was started", name);
}

static void test_no_room(void)
{
	struct fh_server_info runs, fails, fresh;
	struct fh_servers_stats before, after;
	struct reader reader;
	struct scene scene;

	set_scene(&scene);
	runs = health_of(scene.servers, "runs");
	fails = health_of(scene.servers, "fails");
	fresh = health_of(scene.servers, "fresh");
	before = stats_of(scene.servers);
	bound_enter(&reader);
	check_refused(scene.servers, "fresh", -EAGAIN, -ENOENT, &fresh,
		      &scene.fresh);
	check_refused(scene.servers, "fails", -EAGAIN, -EAGAIN, &fails,
		      &scene.fails);
	check_refused(scene.servers, "runs", 0, -EAGAIN, &runs, &scene.runs);
	act_look(&scene);
	ok(check_look(&scene), "who needs no room gets on");
	after = stats_of(scene.servers);
	ok(after.registered == before.registered &&
	   after.failed == before.failed && after.refused == before.refused &&
	   after.restarted == before.restarted, "the counts are as they were");
	bound_leave(&reader);
	act_start(&scene);
	is(scene.rc, 0, "then a start works");
	act_revive(&scene);
	is(scene.rc, 0, "and that of one that failed");
	act_restart(&scene);
	is(scene.rc, 0, "and a restart");
	fh_rcu_set_bounds(0, 0);
	fh_servers_destroy(scene.servers);
	ok(is_clean(&scene.runs) && is_clean(&scene.fails) &&
	   is_clean(&scene.fresh), "nothing is left");
}

/* It needs a client to write down that it failed again. */
static void test_stop_without_room(void)
{
	struct reader reader;
	struct scene scene;

	set_scene(&scene);
	fh_server_stop(scene.servers, "runs", NULL);
	go_wrong(&scene.runs, AT_STOP, FAIL, -EIO, 1);
	go_wrong(&scene.runs, AT_KILL, FAIL, -EIO, 1);
	is(fh_server_stop(scene.servers, "runs", NULL), -EHOSTDOWN,
	   "one that would not stop");
	bound_enter(&reader);
	is(fh_server_stop(scene.servers, "runs", NULL), -ENOMEM,
	   "another stop without room");
	is(state_of(&scene, "runs"), FH_SERVER_FAILED, "changes nothing");
	is(fh_server_stop(scene.servers, "fails", NULL), 0,
	   "the first stop of another one");
	is(state_of(&scene, "fails"), FH_SERVER_ABSENT, "needs none");
	bound_leave(&reader);
	fh_server_stop(scene.servers, "runs", NULL);
	is(state_of(&scene, "runs"), FH_SERVER_ABSENT,
	   "then it works");
	fh_rcu_set_bounds(0, 0);
	fh_servers_destroy(scene.servers);
	ok(is_clean(&scene.runs), "nothing is left");
}

/* Whoever returns the last lease cannot be refused: its memory comes on top. */
static void test_lease_without_room(void)
{
	struct reader reader;
	struct scene scene;

	set_scene(&scene);
	fh_server_get(scene.servers, "runs", &scene.lease, NULL);
	is(fh_server_restart(scene.servers, "runs", FH_SERVER_ANY, NULL), 0,
	   "a restart with a lease out");
	bound_enter(&reader);
	is(stats_now().pending, HARD, "garbage is at the bound");
	fh_lease_return(scene.lease);
	is(stats_now().pending, HARD + 1, "and the old client comes on top");
	bound_leave(&reader);
	fh_rcu_set_bounds(0, 0);
	fh_servers_destroy(scene.servers);
	ok(is_clean(&scene.runs), "nothing is left");
}

static void test_recovery_without_room(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct reader reader;
	struct site site;
	struct fh_server_request request = watch_with(&site);
	int64_t until;

	request.policy.delay = MS;
	fh_server_start(servers, &request, NULL);
	bound_enter(&reader);
	end_one(&site);
	until = fh_deadline_in(20 * SECONDS);
	while (stats_of(servers).put_off < 3 && fh_now() < until)
		sleep_ns(MS / 4);
	info = health_of(servers, NAME);
	ok(info.state == FH_SERVER_BACKOFF && info.restarts == 0,
	   "a recovery without room is put off");
	is(site.calls[AT_START], 1, "and starts nothing");
	bound_leave(&reader);
	is(fh_server_wait(servers, NAME, FH_SERVER_STATE(FH_SERVER_RUNNING),
			  fh_deadline_in(LONG / 3), &info), 0,
	   "and made later");
	is(info.restarts, 1, "once");
	fh_rcu_set_bounds(0, 0);
	site_close(servers, &site);
}

int main(void)
{
	size_t i;

	watchdog(240);
	oom_at_home = 1;
	test_create();
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		test_each(&operations[i]);
	test_no_supervisor();
	test_recovery(0, 0);
	test_recovery(1, UINT64_MAX);
	test_put_off_and_stopped();
	test_stop_all_alone(1);
	test_stop_all_alone(0);
	if (LOCK_FREE) {
		test_no_room();
		test_stop_without_room();
		test_lease_without_room();
		test_recovery_without_room();
	} else {
		skip("the mutex build of servers retires nothing");
	}
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
