/* SPDX-License-Identifier: MIT */
/*
 * Who comes while another is busy with a server: is told so at once, or waits
 * for what comes of it.  A gate in the start function holds the job up for as
 * long as a test likes; no check depends on how long anything takes.
 */
#include "servers.h"

#define NAME "clangd"

/* One registry, one server, one thread that is busy with it. */
struct scene {
	struct fh_servers *servers;
	struct site site;
	struct fh_server_request request;
	void (*begin)(struct scene *scene);
	int rc;
	struct fh_server_info info;
	struct crew crew;
};

static void begin_start(struct scene *scene)
{
	scene->rc = fh_server_start(scene->servers, &scene->request,
				    &scene->info);
}

static void begin_restart(struct scene *scene)
{
	scene->rc = fh_server_restart(scene->servers, NAME, FH_SERVER_ANY,
				      &scene->info);
}

static void begin_stop(struct scene *scene)
{
	scene->rc = fh_server_stop(scene->servers, NAME, &scene->info);
}

static void be_busy(unsigned index, void *arg)
{
	struct scene *scene = arg;

	(void)index;
	scene->begin(scene);
}

static struct scene *scene_new(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene)
		bail_out("no memory");
	scene->servers = registry();
	scene->request = request_for(NAME, &scene->site);
	return scene;
}

static void scene_end(struct scene *scene)
{
	fh_servers_destroy(scene->servers);
	ok(is_clean(&scene->site), "nothing is left");
	free(scene);
}

static void await(struct scene *scene, enum fh_server_state state)
{
	while (health_of(scene->servers, NAME).state != state)
		sleep_ns(MS / 10);
}

/* Another thread is in its start function, and stays there. */
static void get_busy(struct scene *scene, void (*begin)(struct scene *scene),
		     enum fh_server_state state)
{
	store_release(&scene->site.gate, 1u);
	scene->begin = begin;
	crew_start(&scene->crew, 1, be_busy, scene);
	await(scene, state);
}

static void be_done(struct scene *scene)
{
	store_release(&scene->site.gate, 0u);
	crew_join(&scene->crew);
}

/* ---- while it is being started ---- */

static void test_while_starting(void)
{
	struct scene *scene = scene_new();
	struct fh_server_lease *lease;
	struct fh_server_info info;

	get_busy(scene, begin_start, FH_SERVER_STARTING);
	is(fh_server_start(scene->servers, &scene->request, &info),
	   -EINPROGRESS, "a second start is told");
	ok(info.state == FH_SERVER_STARTING && info.joined, "what goes on");
	is(fh_server_restart(scene->servers, NAME, FH_SERVER_ANY, NULL),
	   -EINPROGRESS, "and so is a restart");
	is(stats_of(scene->servers).refused, 2, "both are counted");
	is(fh_server_get(scene->servers, NAME, &lease, &info), -EINPROGRESS,
	   "and a get");
	is(fh_server_get_wait(scene->servers, NAME, 0, &lease, NULL),
	   -ETIMEDOUT, "one with a deadline has waited for it");
	is(fh_server_start_wait(scene->servers, &scene->request,
				fh_deadline_in(MS), NULL), -ETIMEDOUT,
	   "and so has a start");
	is(fh_server_restart_wait(scene->servers, NAME, FH_SERVER_ANY,
				  fh_deadline_in(MS), NULL), -ETIMEDOUT,
	   "and a restart");
	be_done(scene);
	ok(scene->rc == 0 && scene->info.users == 1,
	   "the start had no other users");
	scene_end(scene);
}

struct joiner {
	struct scene *scene;
	tally joined, started, failed, wrong;
};

static void join(unsigned index, void *arg)
{
	struct joiner *joiner = arg;
	struct fh_server_info info;
	int rc = fh_server_start_wait(joiner->scene->servers,
				      &joiner->scene->request,
				      fh_deadline_in(LONG), &info);

	(void)index;
	if (rc == 0)
		add_relaxed(info.joined ? &joiner->joined : &joiner->started,
			    1);
	else if (rc == -EHOSTDOWN && info.error == -ENOEXEC)
		add_relaxed(&joiner->failed, 1);
	else
		add_relaxed(&joiner->wrong, 1);
}

#define JOINERS 6

/* The first of them fails: the others try again, one after the other. */
static void test_joining(uint64_t failures)
{
	struct scene *scene = scene_new();
	struct joiner joiner = { .scene = scene };
	struct crew crew;

	go_wrong(&scene->site, AT_HANDSHAKE, FAIL, -ENOEXEC, failures);
	get_busy(scene, begin_start, FH_SERVER_STARTING);
	crew_start(&crew, JOINERS, join, &joiner);
	sleep_ns(MS);
	be_done(scene);
	crew_join(&crew);
	is(scene->rc, failures ? -EHOSTDOWN : 0, "the first start");
	ok(joiner.wrong == 0 && joiner.started == 0 &&
	   joiner.failed == (failures ? failures - 1 : 0),
	   "of those who waited, some failed too (%u)",
	   (unsigned)joiner.failed);
	is(joiner.joined, JOINERS - joiner.failed, "the others joined");
	is(health_of(scene->servers, NAME).users,
	   joiner.joined + (failures == 0), "and are counted");
	is(scene->site.calls[AT_START], failures + 1, "starts");
	scene_end(scene);
}

/* ---- while it is being restarted ---- */

struct sharer {
	struct scene *scene;
	tally shared, own, failed, leases, wrong;
};

static void share(unsigned index, void *arg)
{
	struct sharer *sharer = arg;
	struct fh_servers *servers = sharer->scene->servers;
	struct fh_server_lease *lease;
	struct fh_server_info info;
	int rc;

	if (index % 2) {
		rc = fh_server_restart_wait(servers, NAME, FH_SERVER_ANY,
					    fh_deadline_in(LONG), &info);
		if (rc == 0)
			add_relaxed(info.joined ? &sharer->shared :
						  &sharer->own, 1);
	} else {
		rc = fh_server_get_wait(servers, NAME, fh_deadline_in(LONG),
					&lease, &info);
		if (rc == 0) {
			add_relaxed(&sharer->leases, 1);
			fh_lease_return(lease);
		}
	}
	if (rc == -EHOSTDOWN && info.error == -ENOEXEC)
		add_relaxed(&sharer->failed, 1);
	else if (rc)
		add_relaxed(&sharer->wrong, 1);
}

static void test_sharing(uint64_t failures)
{
	struct scene *scene = scene_new();
	struct sharer sharer = { .scene = scene };
	struct crew crew;

	fh_server_start(scene->servers, &scene->request, NULL);
	go_wrong(&scene->site, AT_HANDSHAKE, FAIL, -ENOEXEC, failures);
	get_busy(scene, begin_restart, FH_SERVER_RESTARTING);
	crew_start(&crew, JOINERS, share, &sharer);
	sleep_ns(20 * MS);
	is(health_of(scene->servers, NAME).state, FH_SERVER_RESTARTING,
	   "it restarts");
	be_done(scene);
	crew_join(&crew);
	ok(sharer.wrong == 0, "nobody was told anything else");
	ok(sharer.own + (sharer.failed != 0) <= JOINERS,
	   "%u shared the result, %u came late and restarted again, %u got "
	   "leases, %u failed", (unsigned)sharer.shared, (unsigned)sharer.own,
	   (unsigned)sharer.leases, (unsigned)sharer.failed);
	is(scene->site.calls[AT_START], 2 + sharer.own,
	   "starts: the first, the restart, and those who were late");
	is(scene->site.twice, 0, "never two at once");
	scene_end(scene);
}

/*
 * The last user leaves: the thread that restarts it shuts it down.  What who
 * waits for the end is told: -ENOENT if it had come before that.
 */
static int stop_while_restarting(bool waits)
{
	struct scene *scene = scene_new();
	struct fh_server_info info;
	int rc;

	scene->site.nap[AT_STOP] = 5 * MS;
	fh_server_start(scene->servers, &scene->request, NULL);
	get_busy(scene, begin_restart, FH_SERVER_RESTARTING);
	is(fh_server_stop(scene->servers, NAME, &info), 0,
	   "the last user leaves during a restart");
	ok(info.state == FH_SERVER_RESTARTING && info.users == 0,
	   "and does not stay for it");
	is(fh_server_stop(scene->servers, NAME, NULL), -ESHUTDOWN,
	   "nobody is left to leave");
	is(fh_server_restart(scene->servers, NAME, FH_SERVER_ANY, NULL),
	   -ESHUTDOWN, "nor can it be restarted");
	is(fh_server_stop_wait(scene->servers, NAME, fh_deadline_in(MS), NULL),
	   -ETIMEDOUT, "a wait for its end has a deadline");
	if (!waits)
		be_done(scene);
	else
		store_release(&scene->site.gate, 0u);
	rc = fh_server_stop_wait(scene->servers, NAME, fh_deadline_in(LONG),
				 NULL);
	ok(rc == -ENOENT || (waits && rc == 0), "it has ended: %d", rc);
	if (waits)
		crew_join(&scene->crew);
	is(scene->rc, 0, "the restart itself succeeded");
	ok(scene->site.calls[AT_STOP] == 2 && scene->site.freed == 1,
	   "both clients were stopped");
	is(scene->site.calls[AT_RESTARTED], 0, "nothing was opened again");
	scene_end(scene);
	return rc;
}

/* Nobody sees that a wait has begun; if it came too late, once more. */
static void test_stop_while_restarting(void)
{
	int64_t until = fh_deadline_in(LONG);
	int rc;

	stop_while_restarting(false);
	do
		rc = stop_while_restarting(true);
	while (rc == -ENOENT && fh_now() < until);
	is(rc, 0, "who waits for its end is told of it");
}

/* Who revives it is a user when the restart is its own, a little later. */
static void await_users(struct scene *scene, uint64_t users)
{
	int64_t until = fh_deadline_in(LONG);

	while (health_of(scene->servers, NAME).users < users &&
	       fh_now() < until)
		sleep_ns(MS / 10);
}

/* The others leave while one more joins by a restart that will fail. */
static void test_stop_while_reviving(void)
{
	struct scene *scene = scene_new();

	fh_server_start(scene->servers, &scene->request, NULL);
	go_wrong(&scene->site, AT_HANDSHAKE, FAIL, -ENOEXEC, 2);
	fh_server_restart(scene->servers, NAME, FH_SERVER_ANY, NULL);
	get_busy(scene, begin_start, FH_SERVER_RESTARTING);
	await_users(scene, 2);
	is(fh_server_stop(scene->servers, NAME, NULL), 0, "one user leaves");
	is(fh_server_stop(scene->servers, NAME, NULL), 0, "and the guest");
	be_done(scene);
	ok(scene->rc == -EHOSTDOWN && scene->info.users == 0,
	   "the guest is not taken away twice");
	is(health_of(scene->servers, NAME).state, FH_SERVER_ABSENT,
	   "and it is shut down");
	scene_end(scene);
}

/* ---- while it is being stopped ---- */

static void test_while_stopping(void)
{
	struct scene *scene = scene_new();
	struct fh_server_lease *held, *lease;
	struct fh_server_info info;

	scene->request.limits.lease = LONG;
	fh_server_start(scene->servers, &scene->request, NULL);
	fh_server_get(scene->servers, NAME, &held, NULL);
	scene->begin = begin_stop;
	crew_start(&scene->crew, 1, be_busy, scene);
	await(scene, FH_SERVER_STOPPING);
	is(fh_server_start(scene->servers, &scene->request, &info),
	   -ESHUTDOWN, "a start is told that it is being stopped");
	is(fh_server_get_wait(scene->servers, NAME, FH_FOREVER, &lease, NULL),
	   -ESHUTDOWN, "a get does not wait for that");
	is(fh_server_restart_wait(scene->servers, NAME, FH_SERVER_ANY,
				  FH_FOREVER, NULL), -ESHUTDOWN,
	   "nor does a restart");
	is(fh_server_stop(scene->servers, NAME, NULL), -ESHUTDOWN,
	   "nor a stop");
	is(fh_server_start_wait(scene->servers, &scene->request,
				fh_deadline_in(MS), NULL), -ETIMEDOUT,
	   "a start may wait");
	fh_lease_return(held);
	is(fh_server_start_wait(scene->servers, &scene->request,
				fh_deadline_in(LONG), &info), 0,
	   "until it is gone");
	ok(!info.joined && info.users == 1, "and starts a new one");
	crew_join(&scene->crew);
	is(scene->info.state, FH_SERVER_STOPPED, "the stop has ended");
	scene_end(scene);
}

/* ---- stopping all ---- */

#define SERVERS 12

struct herd {
	struct fh_servers *servers;
	struct site site[SERVERS];
	char name[SERVERS][16];
};

static tally stopping;			/* stop functions that have begun */

/* All at once, or never: each waits for all. */
static int stop_together(struct fh_server_job *job, void *client)
{
	add_seq_cst(&stopping, 1);
	while (load_seq_cst(&stopping) < SERVERS)
		sleep_ns(MS / 10);
	return fake_stop(job, client);
}

static void herd_start(struct herd *herd, const struct fh_server_ops *ops)
{
	struct fh_server_request request;
	int i;

	memset(herd, 0, sizeof(*herd));
	herd->servers = registry();
	for (i = 0; i < SERVERS; i++) {
		snprintf(herd->name[i], sizeof(herd->name[i]), "s%d", i);
		request = request_for(herd->name[i], &herd->site[i]);
		request.ops = ops;
		fh_server_start(herd->servers, &request, NULL);
		fh_server_start(herd->servers, &request, NULL);
	}
}

static int herd_is_clean(struct herd *herd)
{
	int i, clean = 0;

	for (i = 0; i < SERVERS; i++)
		clean += is_clean(&herd->site[i]) && herd->site[i].freed == 1;
	return clean == SERVERS;
}

static int meet_none(const char *name, const struct fh_server_info *info,
		     void *arg)
{
	(void)info;
	(void)arg;
	diag("%s is left", name);
	return 0;
}

/* A thread that took one out of the table may count that a little later. */
static void await_none(struct fh_servers *servers)
{
	int64_t until = fh_deadline_in(LONG);

	while (stats_of(servers).registered && fh_now() < until)
		sleep_ns(MS / 10);
	is(stats_of(servers).registered, 0, "and none is counted");
}

static void test_stop_all(void)
{
	struct fh_server_ops together = fake_ops;
	struct herd *herd = malloc(sizeof(*herd));

	together.stop = stop_together;
	herd_start(herd, &together);
	is(fh_servers_stop_all_wait(herd->servers, fh_deadline_in(LONG)), 0,
	   "all are stopped at the same time");
	is(stats_of(herd->servers).stopped, SERVERS, "whatever users they had");
	is(fh_server_for_each(herd->servers, meet_none, NULL), 0,
	   "none is left");
	await_none(herd->servers);
	is(fh_servers_stop_all_wait(herd->servers, 0), 0, "none is none");
	fh_servers_destroy(herd->servers);
	ok(herd_is_clean(herd), "nothing is left");
	free(herd);
}

static _Atomic(bool) hangs;

static int stop_late(struct fh_server_job *job, void *client)
{
	if (strcmp(job->name, "s3") == 0)
		while (load_acquire(&hangs))
			sleep_ns(MS / 10);
	return fake_stop(job, client);
}

static void test_stop_all_in_time(void)
{
	struct fh_server_ops late = fake_ops;
	struct herd *herd = malloc(sizeof(*herd));
	int64_t deadline;

	late.stop = stop_late;
	herd_start(herd, &late);
	store_release(&hangs, true);
	deadline = fh_deadline_in(60 * MS);
	is(fh_servers_stop_all_wait(herd->servers, deadline), -ETIMEDOUT,
	   "one that hangs holds nobody past the deadline");
	ok(fh_now() >= deadline, "the deadline was waited for");
	is(health_of(herd->servers, "s3").state, FH_SERVER_STOPPING,
	   "it is being stopped");
	store_release(&hangs, false);
	is(fh_servers_stop_all_wait(herd->servers, fh_deadline_in(LONG)), 0,
	   "and ends in the background");
	fh_servers_destroy(herd->servers);
	ok(herd_is_clean(herd), "nothing is left");
	free(herd);
}

static void test_stop_all_fails(void)
{
	struct herd *herd = malloc(sizeof(*herd));

	herd_start(herd, &fake_ops);
	go_wrong(&herd->site[5], AT_STOP, FAIL, -EIO, 1);
	go_wrong(&herd->site[5], AT_KILL, FAIL, -EIO, 1);
	is(fh_servers_stop_all_wait(herd->servers, fh_deadline_in(LONG)),
	   -EHOSTDOWN, "one cannot be stopped");
	is(health_of(herd->servers, "s5").state, FH_SERVER_FAILED,
	   "it has failed");
	is(stats_of(herd->servers).registered, 1, "the others are gone");
	is(fh_servers_stop_all_wait(herd->servers, fh_deadline_in(LONG)), 0,
	   "it can be tried again");
	fh_servers_destroy(herd->servers);
	ok(herd_is_clean(herd), "nothing is left");
	free(herd);
}

/* ---- nothing to wait for ---- */

/* What no wait can change is told at once, as by those that do not wait. */
static void test_no_use_waiting(void)
{
	struct scene *scene = scene_new();
	struct fh_server_request request = scene->request;
	struct fh_server_lease *lease;
	struct fh_server_info info;

	is(fh_server_get_wait(scene->servers, NAME, FH_FOREVER, &lease, NULL),
	   -ENOENT, "a get of nobody's name");
	is(fh_server_restart_wait(scene->servers, NAME, FH_SERVER_ANY,
				  FH_FOREVER, NULL), -ENOENT, "a restart");
	is(fh_server_stop_wait(scene->servers, NAME, FH_FOREVER, NULL),
	   -ENOENT, "a stop");
	request.name = "";
	is(fh_server_start_wait(scene->servers, &request, FH_FOREVER, NULL),
	   -EINVAL, "a start without a name");
	request.name = NAME;
	is(fh_server_start_wait(scene->servers, &request, FH_FOREVER, &info),
	   0, "a start");
	request.exclusive = 1;
	is(fh_server_start_wait(scene->servers, &request, FH_FOREVER, NULL),
	   -EEXIST, "one that is to be the only one");
	is(fh_server_restart_wait(scene->servers, NAME, info.generation + 1,
				  FH_FOREVER, NULL), -ESTALE,
	   "a restart of another client");
	is(health_of(scene->servers, NAME).epoch, info.epoch,
	   "nothing has happened");
	go_wrong(&scene->site, AT_START, FAIL, -EIO, 2);
	is(fh_server_restart_wait(scene->servers, NAME, FH_SERVER_ANY,
				  FH_FOREVER, NULL), -EHOSTDOWN,
	   "a restart that fails");
	is(fh_server_get_wait(scene->servers, NAME, FH_FOREVER, &lease, NULL),
	   -EHOSTDOWN, "a get then");
	request.exclusive = 0;
	is(fh_server_start_wait(scene->servers, &request, FH_FOREVER, &info),
	   -EHOSTDOWN, "and a start that fails too");
	ok(info.state == FH_SERVER_FAILED && info.error == -EIO,
	   "which says why");
	scene_end(scene);
}

int main(void)
{
	watchdog(240);
	test_no_use_waiting();
	test_while_starting();
	test_joining(0);
	test_joining(1);
	test_joining(3);
	test_sharing(0);
	test_sharing(1);
	test_stop_while_restarting();
	test_stop_while_reviving();
	test_while_stopping();
	test_stop_all();
	test_stop_all_in_time();
	test_stop_all_fails();
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
