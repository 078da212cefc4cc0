/* SPDX-License-Identifier: MIT */
/*
 * The server registry: the life of a server, its users and its leases, what
 * is told and what is refused.  On one thread, but for those who wait.
 */
#include "servers.h"

static struct fh_server_request request_of(struct site *site)
{
	return request_for("clangd", site);
}

/* ---- a life ---- */

#define TOLD 32

struct story {
	unsigned length;
	enum fh_server_state from[TOLD], to[TOLD];
	uint64_t epoch[TOLD];
	int wrong;
};

static void listen(const struct fh_server_event *event, void *arg)
{
	struct story *story = arg;
	unsigned i = story->length++;

	if (i >= TOLD)
		return;
	story->from[i] = event->from;
	story->to[i] = event->to;
	story->epoch[i] = event->info.epoch;
	story->wrong += strcmp(event->name, "clangd") != 0 ||
			event->info.state != event->to;
}

static int is_story(const struct story *story,
		    const enum fh_server_state *states, unsigned length)
{
	unsigned i;

	if (story->length != length || story->wrong)
		return 0;
	for (i = 0; i < length; i++)
		if (story->to[i] != states[i] || story->epoch[i] != i + 1 ||
		    story->from[i] != (i ? states[i - 1] : FH_SERVER_ABSENT))
			return 0;
	return 1;
}

static void test_life(void)
{
	static const enum fh_server_state states[] = {
		FH_SERVER_STARTING, FH_SERVER_RUNNING, FH_SERVER_RESTARTING,
		FH_SERVER_RUNNING, FH_SERVER_STOPPING, FH_SERVER_STOPPED,
	};
	struct story story = { 0 };
	struct site site = { 0 };
	struct fh_servers *servers = registry_with(listen, &story);
	const struct fh_server_request request = request_of(&site);
	struct fh_server_info info;
	int64_t before = fh_now();
	uint64_t first;

	is(fh_server_health(servers, "clangd", &info), -ENOENT,
	   "nobody is registered");
	is(info.state, FH_SERVER_ABSENT, "health says absent");
	is(fh_server_start(servers, &request, &info), 0, "it starts");
	ok(info.state == FH_SERVER_RUNNING && !info.joined && info.users == 1 &&
	   info.generation != 0 && info.epoch == 2,
	   "and runs, with one user");
	first = info.generation;
	info = health_of(servers, "clangd");
	ok(info.generation == first && info.since >= before &&
	   info.since <= fh_now() && info.error == 0 && info.text[0] == 0 &&
	   info.restarts == 0, "health says the same");
	is(fh_server_restart(servers, "clangd", first, &info), 0,
	   "it restarts");
	ok(info.generation > first && info.restarts == 1 &&
	   info.state == FH_SERVER_RUNNING && info.users == 1 && !info.joined,
	   "with another client and the same user");
	is(site.cause, FH_SERVER_RESTART, "the last function was told why");
	is(fh_server_restart(servers, "clangd", first, &info), -ESTALE,
	   "who means the first client is late");
	is(fh_server_stop(servers, "clangd", &info), 0, "it stops");
	ok(info.state == FH_SERVER_STOPPED && info.users == 0, "at once");
	is(site.freed, 1, "what it was started with is released");
	is(fh_server_stop(servers, "clangd", NULL), -ENOENT, "it is gone");
	is(fh_server_restart(servers, "clangd", FH_SERVER_ANY, &info), -ENOENT,
	   "and cannot be restarted");
	ok(is_story(&story, states, 6), "each transition is told once");
	ok(site.calls[AT_START] == 2 && site.calls[AT_HANDSHAKE] == 2 &&
	   site.calls[AT_STOP] == 2 && site.calls[AT_KILL] == 0 &&
	   site.calls[AT_RELEASE] == 2 && site.calls[AT_RESTARTED] == 1,
	   "each function was called as often as it should");
	ok(is_clean(&site), "nothing is left");
	fh_servers_destroy(servers);
}

/* ---- users ---- */

static void test_users(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	struct fh_server_request request = request_of(&site);
	struct fh_server_info info;

	fh_server_start(servers, &request, NULL);
	is(fh_server_start(servers, &request, &info), 0, "a second start");
	ok(info.joined && info.users == 2, "joins the one that is there");
	is(site.calls[AT_START], 1, "and starts nothing");
	request.exclusive = 1;
	is(fh_server_start(servers, &request, &info), -EEXIST,
	   "an exclusive one is refused");
	ok(info.joined && info.users == 2, "and told what is there");
	is(fh_server_restart(servers, "clangd", FH_SERVER_ANY, &info), 0,
	   "a restart");
	is(info.users, 2, "keeps the count");
	is(fh_server_stop(servers, "clangd", &info), 0, "one user leaves");
	ok(info.users == 1 && info.state == FH_SERVER_RUNNING,
	   "and it runs on");
	is(fh_server_stop(servers, "clangd", &info), 0, "the last one leaves");
	is(info.state, FH_SERVER_STOPPED, "that ends it");
	is(site.calls[AT_STOP], 2, "once");
	request.exclusive = 0;
	is(fh_server_start(servers, &request, &info), 0, "the name is free");
	ok(!info.joined && info.users == 1 && info.epoch == 2 &&
	   info.restarts == 0, "and what starts there is new");
	fh_servers_destroy(servers);
	is(site.calls[AT_KILL], 1, "destroy kills what runs");
	is(site.freed, 2, "and releases what it ran with");
	ok(is_clean(&site), "nothing is left");
}

static void test_users_of_a_failed_one(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	const struct fh_server_request request = request_of(&site);
	struct fh_server_info info;

	fh_server_start(servers, &request, NULL);
	fh_server_start(servers, &request, NULL);
	go_wrong(&site, AT_START, FAIL, -ENOEXEC, 2);
	is(fh_server_restart(servers, "clangd", FH_SERVER_ANY, &info),
	   -EHOSTDOWN, "a restart that fails");
	ok(info.users == 2 && info.state == FH_SERVER_FAILED,
	   "keeps the count");
	is(fh_server_start(servers, &request, &info), -EHOSTDOWN,
	   "a start that fails to restart it");
	ok(info.joined && health_of(servers, "clangd").users == 2,
	   "adds no user");
	is(fh_server_start(servers, &request, &info), 0, "one that succeeds");
	ok(info.joined && health_of(servers, "clangd").users == 3,
	   "adds one");
	is(fh_server_stop(servers, "clangd", &info), 0, "one leaves");
	is(fh_server_stop(servers, "clangd", &info), 0, "two leave");
	is(fh_server_stop(servers, "clangd", &info), 0, "three leave");
	is(info.state, FH_SERVER_STOPPED, "that ends it");
	fh_servers_destroy(servers);
	ok(is_clean(&site) && site.freed == 1, "nothing is left");
}

static void test_failed_first_start(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	const struct fh_server_request request = request_of(&site);
	struct fh_server_lease *lease;
	struct fh_server_info info;

	go_wrong(&site, AT_START, FAIL, -ENOEXEC, 1);
	is(fh_server_start(servers, &request, &info), -EHOSTDOWN,
	   "a first start that fails");
	ok(info.state == FH_SERVER_FAILED && info.error == -ENOEXEC &&
	   !strcmp(info.text, "start said so") && !info.joined &&
	   info.generation == 0, "leaves its error");
	info = health_of(servers, "clangd");
	ok(info.users == 0 && info.error == -ENOEXEC && info.error_at > 0,
	   "and no users");
	is(fh_server_get(servers, "clangd", &lease, &info), -EHOSTDOWN,
	   "a get says so");
	is(info.error, -ENOEXEC, "with the error");
	is(fh_server_get_wait(servers, "clangd", FH_FOREVER, &lease, &info),
	   -EHOSTDOWN, "and does not wait");
	is(fh_server_restart(servers, "clangd", FH_SERVER_ANY, &info), 0,
	   "a restart can be tried");
	ok(info.error == -ENOEXEC && info.restarts == 1 && info.users == 0,
	   "the last error stays");
	is(fh_server_stop(servers, "clangd", &info), 0,
	   "one without users can be stopped");
	go_wrong(&site, AT_START, FAIL, -ENOEXEC, 1);
	fh_server_start(servers, &request, NULL);
	is(fh_server_stop(servers, "clangd", &info), 0,
	   "and so can one that never ran");
	is(info.state, FH_SERVER_STOPPED, "it is gone");
	fh_servers_destroy(servers);
	ok(is_clean(&site) && site.freed == 2, "nothing is left");
}

/* ---- leases ---- */

static void test_leases(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	const struct fh_server_request request = request_of(&site);
	struct fh_server_lease *old, *lease;
	struct fh_server_info info;
	const struct fake *fake;

	is(fh_server_get(servers, "clangd", &old, &info), -ENOENT,
	   "a get of a name that is not registered");
	is(info.state, FH_SERVER_ABSENT, "says absent");
	fh_server_start(servers, &request, &info);
	is(fh_server_get(servers, "clangd", &old, NULL), 0, "a lease");
	fake = fh_lease_client(old);
	ok(fake->generation == info.generation &&
	   fh_lease_generation(old) == info.generation, "is on the client");
	is(health_of(servers, "clangd").leases, 1, "and is counted");
	ok(!fh_lease_is_stale(old), "and fresh");
	is(fh_server_restart(servers, "clangd", FH_SERVER_ANY, &info), 0,
	   "a restart does not wait for ever");
	is(stats_of(servers).overdue, 1, "but for a while");
	ok(fh_lease_is_stale(old), "the old lease is stale");
	ok(fake->magic == FAKE_ALIVE && !load_relaxed(&fake->alive),
	   "and on a client that has ended, but is there");
	is(site.calls[AT_RELEASE], 0, "not released");
	is(fh_server_get_wait(servers, "clangd", 0, &lease, NULL), 0,
	   "a new lease");
	ok(fh_lease_generation(lease) == info.generation &&
	   !fh_lease_is_stale(lease), "is on the new client");
	fh_lease_return(old);
	is(site.calls[AT_RELEASE], 1, "the last lease releases the old one");
	fh_lease_return(lease);
	is(site.calls[AT_RELEASE], 1, "and not the one that runs");
	is(health_of(servers, "clangd").leases, 0, "none is out");
	is(fh_server_restart(servers, "clangd", FH_SERVER_ANY, NULL), 0,
	   "without leases a restart");
	is(stats_of(servers).overdue, 1, "does not wait");
	fh_server_stop(servers, "clangd", NULL);
	fh_servers_destroy(servers);
	ok(is_clean(&site), "nothing is left");
}

struct returner {
	struct fh_server_lease *lease;
	int64_t returned;
};

static void return_late(unsigned index, void *arg)
{
	struct returner *returner = arg;

	(void)index;
	while (!fh_lease_is_stale(returner->lease))
		sleep_ns(MS / 10);
	sleep_ns(2 * MS);
	returner->returned = fh_now();
	fh_lease_return(returner->lease);
}

/* The restart goes on when the last lease is back, not at the deadline. */
static void test_last_lease(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	struct fh_server_request request = request_of(&site);
	struct returner returner;
	struct crew crew;

	request.limits.lease = LONG;
	fh_server_start(servers, &request, NULL);
	fh_server_get(servers, "clangd", &returner.lease, NULL);
	crew_start(&crew, 1, return_late, &returner);
	is(fh_server_restart(servers, "clangd", FH_SERVER_ANY, NULL), 0,
	   "a restart waits for a lease");
	crew_join(&crew);
	ok(health_of(servers, "clangd").since >= returner.returned,
	   "until it is returned");
	is(stats_of(servers).overdue, 0, "and nothing was overdue");
	fh_servers_destroy(servers);
	ok(is_clean(&site), "nothing is left");
}

/* A negative limit: leases are not waited for at all. */
static void test_no_patience(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	struct fh_server_request request = request_of(&site);
	struct fh_server_lease *lease;

	request.limits.lease = -1;
	fh_server_start(servers, &request, NULL);
	fh_server_get(servers, "clangd", &lease, NULL);
	is(fh_server_stop(servers, "clangd", NULL), 0, "a stop");
	is(stats_of(servers).overdue, 1, "without patience");
	is(site.freed, 0, "the lease keeps what it needs");
	fh_lease_return(lease);
	is(site.freed, 1, "and no longer");
	fh_servers_destroy(servers);
	ok(is_clean(&site), "nothing is left");
}

/* ---- crashes that are reported ---- */

static struct fh_server_lease *on_crashed;
static int stale_when_reaped;

static int reap(struct fh_server_job *job, void *client)
{
	stale_when_reaped = fh_lease_is_stale(on_crashed);
	return fake_exited(job, client);
}

/* Whoever looks at a lease knows of the crash before the client is reaped. */
static void test_stale_when_reaped(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_ops ops = fake_ops;
	struct site site = { 0 };
	struct fh_server_request request = request_of(&site);
	struct fh_server_info info;

	ops.exited = reap;
	request.ops = &ops;
	fh_server_start(servers, &request, &info);
	fh_server_get(servers, "clangd", &on_crashed, NULL);
	fh_server_crashed(servers, "clangd", info.generation, 0, NULL, NULL);
	ok(stale_when_reaped, "leases are stale before the client is reaped");
	fh_lease_return(on_crashed);
	fh_servers_destroy(servers);
	ok(is_clean(&site), "nothing is left");
}

static void test_crash(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	const struct fh_server_request request = request_of(&site);
	struct fh_server_lease *lease;
	struct fh_server_info info;
	uint64_t first;

	fh_server_start(servers, &request, &info);
	first = info.generation;
	fh_server_get(servers, "clangd", &lease, NULL);
	is(fh_server_crashed(servers, "clangd", FH_SERVER_ANY, 0, NULL, NULL),
	   -EINVAL, "a report must say which client");
	is(fh_server_crashed(servers, "clangd", first, 1, NULL, NULL), -EINVAL,
	   "and no errors that are none");
	is(fh_server_crashed(servers, "nobody", first, 0, NULL, &info),
	   -ENOENT, "nor of whom");
	is(fh_server_crashed(servers, "clangd", first + 1, 0, NULL, NULL),
	   -ESTALE, "it is checked");
	is(fh_server_crashed(servers, "clangd", first, -EPIPE, "pipe", &info),
	   0, "a report is heard");
	ok(info.state == FH_SERVER_FAILED && info.error == -EPIPE &&
	   !strcmp(info.text, "pipe") && info.crashes == 1 && info.users == 1,
	   "the policy is manual: it has failed");
	ok(fh_lease_is_stale(lease), "leases are stale");
	ok(site.calls[AT_EXITED] == 1 && site.calls[AT_RELEASE] == 0,
	   "the client is reaped, and kept for them");
	is(fh_server_crashed(servers, "clangd", first, 0, NULL, NULL), -ESTALE,
	   "a second report is not");
	fh_lease_return(lease);
	is(site.calls[AT_RELEASE], 1, "the last lease releases it");
	is(fh_server_restart(servers, "clangd", first, &info), 0,
	   "it can be restarted");
	is(site.calls[AT_STOP], 0, "there was nothing to stop");
	first = info.generation;
	go_wrong(&site, AT_EXITED, FAIL, -EIO, 1);
	fh_server_crashed(servers, "clangd", first, 0, NULL, &info);
	ok(info.error == -EIO && !strcmp(info.text, "exited said so"),
	   "or exited says why");
	fh_server_restart(servers, "clangd", first, &info);
	fh_server_crashed(servers, "clangd", info.generation, 0, NULL, &info);
	is(info.error, -ECHILD, "or nobody does");
	is(fh_server_stop(servers, "clangd", &info), 0,
	   "one that has crashed can be stopped");
	fh_servers_destroy(servers);
	ok(is_clean(&site) && site.freed == 1, "nothing is left");
}

/* ---- what is refused ---- */

static void test_requests(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	char name[FH_SERVER_NAME + 1];
	const struct fh_server_request good = request_of(&site);
	struct fh_server_request bad[8];
	static const struct fh_server_ops no_start;
	int i;

	memset(name, 'n', sizeof(name));
	name[FH_SERVER_NAME] = '\0';
	for (i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].name = NULL;
	bad[1].name = "";
	bad[2].name = name;
	bad[3].ops = &no_start;
	bad[4].limits.start = -1;
	bad[5].limits.stop = -1;
	bad[6].policy.most = FH_SERVER_RESTARTS_MOST + 1;
	bad[7].policy.jitter = 101;
	for (i = 0; i < 8; i++)
		is(fh_server_start(servers, &bad[i], NULL), -EINVAL,
		   "bad request %d", i);
	name[FH_SERVER_NAME - 1] = '\0';
	bad[2].name = name;
	is(fh_server_start(servers, &bad[2], NULL), 0, "the longest name");
	is(fh_server_wait(servers, name, 0, 0, NULL), -EINVAL,
	   "a wait for nothing");
	fh_servers_destroy(servers);
	ok(!strcmp(fh_server_state_name(FH_SERVER_BACKOFF), "backoff") &&
	   !strcmp(fh_server_state_name((enum fh_server_state)99), "unknown"),
	   "states have names");
}

/* ---- waiting ---- */

static void test_wait(void)
{
	struct fh_servers *servers = registry();
	struct site site = { 0 };
	const struct fh_server_request request = request_of(&site);
	struct fh_server_info info;
	int64_t deadline;

	is(fh_server_wait(servers, "clangd",
			  FH_SERVER_STATE(FH_SERVER_ABSENT), FH_FOREVER,
			  NULL), 0, "absent is a state");
	is(fh_server_wait(servers, "clangd",
			  FH_SERVER_STATE(FH_SERVER_RUNNING), FH_FOREVER,
			  &info), -ENOENT, "no other is waited for");
	fh_server_start(servers, &request, NULL);
	is(fh_server_wait(servers, "clangd",
			  FH_SERVER_STATE(FH_SERVER_RUNNING), 0, &info), 0,
	   "running is there");
	deadline = fh_deadline_in(3 * MS);
	is(fh_server_wait(servers, "clangd",
			  FH_SERVER_STATE(FH_SERVER_FAILED), deadline, &info),
	   -ETIMEDOUT, "failed is not");
	ok(fh_now() >= deadline && info.state == FH_SERVER_RUNNING,
	   "not before the deadline");
	fh_servers_destroy(servers);
}

/* ---- visiting ---- */

#define MANY 300

struct census {
	unsigned seen[MANY];
	unsigned wrong, limit;
};

static int take(const char *name, const struct fh_server_info *info, void *arg)
{
	struct census *census = arg;
	unsigned number = (unsigned)strtoul(name + 1, NULL, 10);

	if (number >= MANY || info->state != FH_SERVER_RUNNING)
		census->wrong++;
	else
		census->seen[number]++;
	return census->limit && --census->limit == 0;
}

static void test_list(void)
{
	struct fh_servers *servers = registry();
	struct census census = { .limit = 0 };
	struct site site = { 0 };
	struct fh_server_request request = request_of(&site);
	unsigned i, once = 0;
	char name[16];

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		request.name = name;
		store_relaxed(&site.alive, 0);
		fh_server_start(servers, &request, NULL);
	}
	is(fh_server_for_each(servers, take, &census), MANY, "all are listed");
	for (i = 0; i < MANY; i++)
		once += census.seen[i] == 1;
	ok(once == MANY && !census.wrong, "each of them once");
	is(stats_of(servers).registered, MANY, "and counted");
	census.limit = 5;
	is(fh_server_for_each(servers, take, &census), 5, "until it suffices");
	fh_servers_destroy(servers);
	is(site.freed, MANY, "all are gone");
}

int main(void)
{
	watchdog(240);
	test_life();
	test_users();
	test_users_of_a_failed_one();
	test_failed_first_start();
	test_leases();
	test_last_lease();
	test_no_patience();
	test_crash();
	test_stale_when_reaped();
	test_requests();
	test_wait();
	test_list();
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
