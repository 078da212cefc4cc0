/* SPDX-License-Identifier: MIT */
/*
 * Each step of each job fails: the caller's function says so, or ends its
 * thread, by pthread_exit or by being cancelled.  Whatever it was, the entry
 * is in a state of rest, with the error; those who waited are awake; nothing
 * is left behind; and a restart works.
 */
#include "servers.h"

#include <stdio.h>

#define NAME "clangd"

enum operation { OP_START, OP_RESTART, OP_STOP, OP_CRASH, OPERATIONS };

static const char *const operation_name[] = {
	"start", "restart", "stop", "crash",
};

/* What goes wrong where, and what comes of it. */
struct accident {
	enum operation operation;
	enum act act;
	bool late;
	enum fh_server_state after;	/* if it fails */
	enum fh_server_state after_death;
	int kills;			/* that are made */
};

#define NEVER FH_SERVER_ABSENT		/* it cannot fail, only die */

static const struct accident accidents[] = {
	{ OP_START, AT_START, false, FH_SERVER_FAILED, FH_SERVER_FAILED, 0 },
	{ OP_START, AT_START, true, FH_SERVER_FAILED, FH_SERVER_FAILED, 1 },
	{ OP_START, AT_HANDSHAKE, false, FH_SERVER_FAILED, FH_SERVER_FAILED,
	  1 },
	{ OP_RESTART, AT_START, false, FH_SERVER_FAILED, FH_SERVER_FAILED, 0 },
	{ OP_RESTART, AT_START, true, FH_SERVER_FAILED, FH_SERVER_FAILED, 1 },
	{ OP_RESTART, AT_HANDSHAKE, false, FH_SERVER_FAILED, FH_SERVER_FAILED,
	  1 },
	/* a stop that fails is made good by a kill */
	{ OP_RESTART, AT_STOP, false, FH_SERVER_RUNNING, FH_SERVER_FAILED, 1 },
	{ OP_RESTART, AT_RELEASE, false, NEVER, FH_SERVER_FAILED, 0 },
	{ OP_RESTART, AT_RESTARTED, false, NEVER, FH_SERVER_RUNNING, 0 },
	{ OP_STOP, AT_STOP, false, FH_SERVER_ABSENT, FH_SERVER_ABSENT, 1 },
	{ OP_STOP, AT_RELEASE, false, NEVER, FH_SERVER_ABSENT, 0 },
	{ OP_CRASH, AT_EXITED, false, FH_SERVER_FAILED, FH_SERVER_FAILED, 0 },
	{ OP_CRASH, AT_RELEASE, false, NEVER, FH_SERVER_FAILED, 0 },
};

struct trial {
	const struct accident *accident;
	enum manner manner;
	struct fh_servers *servers;
	struct site site;
	uint64_t generation;
	int rc;
	_Atomic(bool) returned;
	struct fh_server_info info;
	/* the one that waits */
	int waited;
	struct fh_server_info seen;
	tally events, wrong_events, last_epoch;
};

/* Each epoch exactly once: on one server there is one job at a time. */
static void listen(const struct fh_server_event *event, void *arg)
{
	struct trial *trial = arg;

	add_relaxed(&trial->events, 1);
	if (event->from == FH_SERVER_ABSENT)
		store_relaxed(&trial->last_epoch, 0);
	if (add_relaxed(&trial->last_epoch, 1) + 1 != event->info.epoch)
		add_relaxed(&trial->wrong_events, 1);
}

static void operate(struct trial *trial)
{
	const struct fh_server_request request = request_for(NAME,
							     &trial->site);

	switch (trial->accident->operation) {
	case OP_START:
		trial->rc = fh_server_start(trial->servers, &request,
					    &trial->info);
		break;
	case OP_RESTART:
		trial->rc = fh_server_restart(trial->servers, NAME,
					      FH_SERVER_ANY, &trial->info);
		break;
	case OP_STOP:
		trial->rc = fh_server_stop(trial->servers, NAME, &trial->info);
		break;
	default:
		trial->rc = fh_server_crashed(trial->servers, NAME,
					      trial->generation, 0, NULL,
					      &trial->info);
	}
	store_release(&trial->returned, true);
}

/* One operates; the other waits for what comes of it, having seen it begin. */
static void take_part(unsigned index, void *arg)
{
	const uint64_t over = FH_SERVER_STATE(FH_SERVER_RUNNING) |
			      FH_SERVER_STATE(FH_SERVER_FAILED);
	struct trial *trial = arg;

	if (index == 0) {
		operate(trial);
		return;
	}
	while (!load_relaxed(&trial->site.calls[trial->accident->act]))
		sleep_ns(MS / 10);
	trial->waited = fh_server_wait(trial->servers, NAME, over,
				       fh_deadline_in(LONG), &trial->seen);
}

static void have_started(struct trial *trial)
{
	const struct fh_server_request request = request_for(NAME,
							     &trial->site);
	struct fh_server_info info;

	if (trial->accident->operation == OP_START)
		return;
	if (fh_server_start(trial->servers, &request, &info))
		bail_out("a server does not start");
	trial->generation = info.generation;
}

static enum fh_server_state wanted(const struct trial *trial)
{
	return trial->manner == FAIL ? trial->accident->after :
				       trial->accident->after_death;
}

/* Of a crash, the first thing that is known is that it is gone. */
static int error_of(const struct trial *trial)
{
	if (trial->accident->operation == OP_CRASH &&
	    trial->accident->act == AT_RELEASE)
		return -ECHILD;
	return trial->manner == FAIL ? -ENOEXEC : -EOWNERDEAD;
}

/* The state that it was left in; the error that is kept. */
static void check_state(struct trial *trial)
{
	struct fh_server_info now = health_of(trial->servers, NAME);
	int error = error_of(trial);

	is(now.state, wanted(trial), "it is %s",
	   fh_server_state_name(wanted(trial)));
	if (wanted(trial) == FH_SERVER_FAILED)
		ok(now.error == error && now.text[0], "for this error (%s)",
		   now.text);
	ok(load_relaxed(&trial->returned) == (trial->manner == FAIL),
	   "the thread %s", trial->manner == FAIL ? "returned" : "ended");
	is(trial->waited, wanted(trial) == FH_SERVER_ABSENT ? -ENOENT : 0,
	   "who waited is awake");
	if (wanted(trial) == FH_SERVER_FAILED)
		is(trial->seen.error, error, "and knows the error");
	is(trial->site.calls[AT_KILL], trial->accident->kills, "kills");
	is(stats_of(trial->servers).abandoned, trial->manner != FAIL,
	   "abandoned jobs");
}

static void check_after(struct trial *trial)
{
	const struct fh_server_request request = request_for(NAME,
							     &trial->site);
	struct fh_server_info info;
	int rc;

	ok(load_relaxed(&trial->site.alive) <= 1 &&
	   load_relaxed(&trial->site.alive) ==
		   (wanted(trial) == FH_SERVER_RUNNING),
	   "nothing is left alive that should not be");
	if (wanted(trial) == FH_SERVER_ABSENT)
		rc = fh_server_start(trial->servers, &request, &info);
	else
		rc = fh_server_restart(trial->servers, NAME, FH_SERVER_ANY,
				       &info);
	ok(rc == 0 && info.state == FH_SERVER_RUNNING, "the next one works");
	is(fh_server_stop(trial->servers, NAME, &info), 0, "and stops");
	is(info.state, FH_SERVER_STOPPED, "for good");
	ok(trial->wrong_events == 0, "%u transitions, each told once",
	   (unsigned)trial->events);
}

static void try(const struct accident *accident, enum manner manner)
{
	static const char *const manners[] = { "fails", "exits",
					       "is cancelled" };
	struct trial *trial = calloc(1, sizeof(*trial));

	if (!trial)
		bail_out("no memory");
	diag("%s: %s %s%s", operation_name[accident->operation],
	     act_name[accident->act], manners[manner],
	     accident->late ? ", late" : "");
	trial->accident = accident;
	trial->manner = manner;
	trial->servers = registry_with(listen, trial);
	have_started(trial);
	memset(trial->site.calls, 0, sizeof(trial->site.calls));
	trial->site.mishap[AT_START].late = accident->late;
	trial->site.nap[accident->act] = MS;
	go_wrong(&trial->site, accident->act, manner, -ENOEXEC, 1);
	run_crew(2, take_part, trial);
	check_state(trial);
	check_after(trial);
	fh_servers_destroy(trial->servers);
	ok(is_clean(&trial->site), "nothing is left");
	free(trial);
}

static void test_accidents(void)
{
	size_t i;
	int manner;

	for (i = 0; i < sizeof(accidents) / sizeof(accidents[0]); i++)
		for (manner = FAIL; manner <= CANCEL; manner++)
			if (manner != FAIL || accidents[i].after != NEVER ||
			    accidents[i].operation == OP_STOP)
				try(&accidents[i], (enum manner)manner);
}

/* ---- neither stop nor kill ---- */

static void test_unstoppable(void)
{
	struct site site = { 0 };
	struct fh_servers *servers = registry();
	const struct fh_server_request request = request_for(NAME, &site);
	struct fh_server_info info;

	fh_server_start(servers, &request, NULL);
	go_wrong(&site, AT_STOP, FAIL, -ETIMEDOUT, 1);
	go_wrong(&site, AT_KILL, FAIL, -EBUSY, 1);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), -EHOSTDOWN,
	   "a restart of one that will not end");
	ok(info.state == FH_SERVER_FAILED && info.error == -ETIMEDOUT &&
	   !strcmp(info.text, "stop said so"), "fails as stop did");
	ok(site.calls[AT_START] == 1 && site.alive == 1,
	   "and starts no second one");
	go_wrong(&site, AT_STOP, FAIL, -ETIMEDOUT, 3);
	go_wrong(&site, AT_KILL, FAIL, -EBUSY, 3);
	is(fh_server_stop(servers, NAME, &info), -EHOSTDOWN, "nor does a stop");
	ok(info.state == FH_SERVER_FAILED && info.error == -ETIMEDOUT,
	   "it has failed");
	is(fh_server_stop(servers, NAME, &info), -EHOSTDOWN, "nor another");
	is(fh_server_stop_wait(servers, NAME, fh_deadline_in(LONG), &info),
	   -EHOSTDOWN, "nor one that waits");
	ok(site.alive == 1 && site.calls[AT_RELEASE] == 0, "it is still there");
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), 0,
	   "until it does end: then a restart works");
	ok(site.alive == 1 && site.calls[AT_START] == 2 &&
	   site.calls[AT_RELEASE] == 1, "one ended, one started");
	is(fh_server_stop(servers, NAME, NULL), 0, "and so does a stop");
	fh_servers_destroy(servers);
	ok(is_clean(&site) && site.freed == 1, "nothing is left");
}

/* A thread that ends in kill as well, within the cleanup of the first end. */
static void exit_twice(unsigned index, void *arg)
{
	struct trial *trial = arg;

	(void)index;
	fh_server_restart(trial->servers, NAME, FH_SERVER_ANY, NULL);
	store_release(&trial->returned, true);
}

static void test_death_in_cleanup(void)
{
	struct trial *trial = calloc(1, sizeof(*trial));
	const struct fh_server_request request = request_for(NAME,
							     &trial->site);
	struct fh_server_info info;

	trial->servers = registry_with(listen, trial);
	fh_server_start(trial->servers, &request, NULL);
	go_wrong(&trial->site, AT_HANDSHAKE, EXIT, 0, 1);
	go_wrong(&trial->site, AT_KILL, EXIT, 0, 1);
	run_crew(1, exit_twice, trial);
	info = health_of(trial->servers, NAME);
	ok(!trial->returned && info.state == FH_SERVER_FAILED &&
	   info.error == -EOWNERDEAD, "a thread that ends twice fails once");
	is(stats_of(trial->servers).abandoned, 2, "though it was seen twice");
	is(trial->site.alive, 1, "what could not be killed is kept");
	is(fh_server_restart(trial->servers, NAME, FH_SERVER_ANY, NULL), 0,
	   "and ended by the next restart");
	fh_servers_destroy(trial->servers);
	ok(is_clean(&trial->site) && !trial->wrong_events, "nothing is left");
	free(trial);
}

/* ---- an observer that ends the thread ---- */

struct assassin {
	struct fh_servers *servers;
	enum fh_server_state at;
	tally told, times;
};

static void murder(const struct fh_server_event *event, void *arg)
{
	struct assassin *assassin = arg;

	add_relaxed(&assassin->told, 1);
	if (event->to == assassin->at && load_relaxed(&assassin->times)) {
		add_relaxed(&assassin->times, UINT64_MAX);
		pthread_exit(NULL);
	}
}

static void be_restarted(unsigned index, void *arg)
{
	struct assassin *assassin = arg;

	(void)index;
	fh_server_restart(assassin->servers, NAME, FH_SERVER_ANY, NULL);
}

static void test_death_in_event(enum fh_server_state at,
				enum fh_server_state after)
{
	struct assassin assassin = { .at = at };
	struct site site = { 0 };
	const struct fh_server_request request = request_for(NAME, &site);

	assassin.servers = registry_with(murder, &assassin);
	fh_server_start(assassin.servers, &request, NULL);
	store_relaxed(&assassin.times, 1);
	run_crew(1, be_restarted, &assassin);
	is(health_of(assassin.servers, NAME).state, after,
	   "an observer ends the thread when it is %s",
	   fh_server_state_name(at));
	is(assassin.told, 4, "each transition is told once all the same");
	is(fh_server_restart(assassin.servers, NAME, FH_SERVER_ANY, NULL), 0,
	   "the next restart works");
	fh_servers_destroy(assassin.servers);
	ok(is_clean(&site), "nothing is left");
}

/* ---- calls that would wait for themselves ---- */

static struct {
	struct fh_servers *servers;
	int get, start, restart, stop, all, wait;
} within;

static int call_back(struct fh_server_job *job, void **client)
{
	const uint64_t running = FH_SERVER_STATE(FH_SERVER_RUNNING);
	struct fh_server_lease *lease;
	struct fh_server_request again = request_for(job->name, job->arg);

	within.get = fh_server_get_wait(within.servers, job->name, FH_FOREVER,
					&lease, NULL);
	within.start = fh_server_start_wait(within.servers, &again, FH_FOREVER,
					    NULL);
	within.restart = fh_server_restart_wait(within.servers, job->name,
						FH_SERVER_ANY, FH_FOREVER,
						NULL);
	within.stop = fh_server_stop_wait(within.servers, job->name,
					  FH_FOREVER, NULL);
	within.wait = fh_server_wait(within.servers, job->name, running,
				     FH_FOREVER, NULL);
	within.all = fh_servers_stop_all_wait(within.servers, FH_FOREVER);
	return fake_start(job, client);
}

static void test_deadlock(void)
{
	struct fh_server_ops ops = fake_ops;
	struct site site = { 0 };
	struct fh_server_request request = request_for(NAME, &site);

	ops.start = call_back;
	request.ops = &ops;
	within.servers = registry();
	is(fh_server_start(within.servers, &request, NULL), 0,
	   "a start function that calls the registry");
	is(within.get, -EDEADLK, "cannot wait for its own server to run");
	is(within.start, -EDEADLK, "nor start it");
	is(within.restart, -EDEADLK, "nor restart it");
	is(within.stop, -EDEADLK, "nor stop it");
	is(within.wait, -EDEADLK, "nor wait for a state");
	is(within.all, -EDEADLK, "nor stop all");
	is(health_of(within.servers, NAME).users, 1, "nothing came of that");
	fh_servers_destroy(within.servers);
	ok(is_clean(&site), "nothing is left");
}

/* ---- functions that are left out ---- */

static void test_bare(void)
{
	const struct fh_server_ops bare = { .start = fake_start };
	const struct fh_server_ops stop_alone = { .start = fake_start,
		.handshake = fake_handshake, .stop = fake_stop,
		.release = fake_release };
	struct site site = { 0 };
	struct fh_server_request request = request_for(NAME, &site);
	struct fh_servers *servers = registry();
	struct fh_server_lease *lease;
	struct fake *fake;

	request.ops = &bare;
	is(fh_server_start(servers, &request, NULL), 0, "start alone");
	fh_server_get(servers, NAME, &lease, NULL);
	fake = fh_lease_client(lease);
	fh_lease_return(lease);
	is(fh_server_stop(servers, NAME, NULL), 0, "is enough");
	end_fake(fake);
	fake_release(fake, &site);
	request.ops = &stop_alone;
	go_wrong(&site, AT_HANDSHAKE, FAIL, -EPROTO, 1);
	is(fh_server_start(servers, &request, NULL), -EHOSTDOWN,
	   "without kill");
	is(site.calls[AT_STOP], 1, "stop ends what does not shake hands");
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, NULL), 0,
	   "it restarts");
	go_wrong(&site, AT_STOP, FAIL, -ETIMEDOUT, 1);
	is(fh_server_stop(servers, NAME, NULL), -EHOSTDOWN,
	   "and a stop that fails is final");
	fh_servers_destroy(servers);
	ok(is_clean(&site), "destroy tries once more");
}

int main(void)
{
	watchdog(240);
	test_accidents();
	test_unstoppable();
	test_death_in_cleanup();
	test_death_in_event(FH_SERVER_RESTARTING, FH_SERVER_FAILED);
	test_death_in_event(FH_SERVER_RUNNING, FH_SERVER_RUNNING);
	test_deadlock();
	test_bare();
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
