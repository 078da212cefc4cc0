/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the server registry: the client, who is told and what is seen,
 * and the operations.  What must hold is said in schedule_server.h.
 */
#ifndef FH_SCHEDULE_SERVER_OPERATIONS_H
#define FH_SCHEDULE_SERVER_OPERATIONS_H

#include "script.h"

#include "server_core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum operation {
	NONE, START, START_WAIT, RESTART, RESTART_WAIT, RESTART_FIRST, STOP,
	STOP_WAIT, GET, GET_WAIT, HEALTH, LIST, CRASH, GONE, GONE_NEXT,
	RECOVER, AWAIT_RUNNING, STOP_ALL, LEASE, END
};

static const char *const operation_name[] = {
	"nothing", "start", "start or wait", "restart", "restart or wait",
	"restart the first", "stop", "stop and wait", "get", "get or wait",
	"health", "list", "crash", "the supervisor sees its end",
	"the supervisor sees the next one's end", "recover",
	"wait until it runs", "stop all", "hold", "stop all, destroy",
};

enum content {
	NOTHING,
	OVER,		/* stopped, and still in the map */
	RUNS,
	RUNS_FOR_TWO,
	RUNS_RUSHED,	/* leases are not waited for */
	BROKEN,		/* a restart has failed */
	STUBBORN,	/* a stop has failed */
	BACKING_OFF,
	RELUCTANT,	/* runs, and the next stop will fail */
	RELUCTANT_LEFT	/* the same; its user has left, nobody stopped it */
};

static const char *const content_name[] = {
	"nothing", "a stopped one", "one that runs", "one with two users",
	"one without patience", "a failed one",
	"one that would not stop", "one in backoff", "one that will not stop",
	"one that is left and will not stop",
};

#define THREADS_MOST 3
#define TOLD_MOST 40

/* Who is told: these, setup, and threads of the registry's own. */
#define WITNESSES (THREADS_MOST + 4)

struct setting {
	enum content content;
	enum operation operation[THREADS_MOST];
	bool failing;			/* start functions may fail */
};

struct handle {
	unsigned generation;		/* plain: written before it is given */
	unsigned ended;			/* plain: written by stop or kill */
};

static struct fh_servers *servers;
static unsigned alive, jobs_done;	/* plain: the jobs' */
static struct fh_server_info told[WITNESSES][TOLD_MOST];
static uint8_t told_count[WITNESSES];
static uint8_t entered[WITNESSES][FH_SERVER_STATES];
static uint8_t left[WITNESSES][FH_SERVER_STATES];
static struct fh_server_info seen[THREADS_MOST + 1][4];
static uint8_t seen_count[THREADS_MOST + 1];
static int8_t users[THREADS_MOST + 1];	/* won and lost by each thread */
static uint64_t backoff_epoch;
static bool end_seen;			/* of the second client */
static bool broken, stubborn;		/* setup: a start fails, or a stop */
static unsigned refusals;		/* plain: to end, that are to come */

static _Atomic(unsigned) own_threads;	/* of the registry */

static _Thread_local unsigned me;
static _Thread_local bool is_known;	/* who it is */

static void be(unsigned who)
{
	me = who;
	is_known = true;
}

#define NAME "s"

static const struct setting *setting(void)
{
	return scenario_now()->data;
}

static bool is_reluctant(void)
{
	return setting()->content == RELUCTANT ||
	       setting()->content == RELUCTANT_LEFT;
}

static bool may_refuse(void)
{
	return setting()->content == STUBBORN || is_reluctant();
}

static bool has_start(void)
{
	unsigned i;

	for (i = 0; i < THREADS_MOST; i++)
		if (setting()->operation[i] == START ||
		    setting()->operation[i] == START_WAIT)
			return true;
	return false;
}

/* ---- a server ---- */

static int start_handle(struct fh_server_job *job, void **client)
{
	struct handle *handle;

	expect(alive == 0, "two clients at once");
	jobs_done++;
	if (broken)
		return -ENOEXEC;
	handle = calloc(1, sizeof(*handle));
	if (!handle)
		return -ENOMEM;
	handle->generation = (unsigned)job->generation;
	alive++;
	*client = handle;
	return 0;
}

static int end_handle(struct fh_server_job *job, void *client)
{
	struct handle *handle = client;

	expect(handle->generation == job->generation, "another client");
	expect(!handle->ended, "a client is ended twice");
	if (stubborn || (refusals && refusals--))
		return -EBUSY;
	if (setting()->content != RUNS_RUSHED)
		handle->ended = 1;
	alive--;
	jobs_done++;
	return 0;
}

/* Leases may be out: they are not waited for after a crash. */
static int reap_handle(struct fh_server_job *job, void *client)
{
	expect(((struct handle *)client)->generation == job->generation,
	       "another client");
	alive--;
	jobs_done++;
	return 0;
}

static void free_handle(void *client, void *arg)
{
	(void)arg;
	free(client);
}

static void reopen(struct fh_server_job *job, void *client)
{
	expect(((struct handle *)client)->generation == job->generation,
	       "the hook gets another client");
}

static const struct fh_server_ops ops = {
	.start = start_handle, .stop = end_handle, .kill = end_handle,
	.exited = reap_handle, .release = free_handle, .restarted = reopen,
};

/* ---- what is told, and what is seen ---- */

static void witness(const struct fh_server_event *event, void *arg)
{
	(void)arg;
	if (!is_known)
		be(THREADS_MOST + 1 + add_relaxed(&own_threads, 1));
	expect(me < WITNESSES, "too many threads");
	expect(told_count[me] < TOLD_MOST, "too much is told");
	expect(event->info.state == event->to, "another state is told");
	told[me][told_count[me]++] = event->info;
	entered[me][event->to]++;
	left[me][event->from]++;
}

static void witness_seen(const struct fh_server_info *info)
{
	if (info->state == FH_SERVER_ABSENT || seen_count[me] == 4)
		return;
	seen[me][seen_count[me]++] = *info;
}

static bool is_same(const struct fh_server_info *a,
		    const struct fh_server_info *b)
{
	return a->state == b->state && a->epoch == b->epoch &&
	       a->generation == b->generation && a->error == b->error &&
	       a->restarts == b->restarts && a->crashes == b->crashes;
}

static bool was_told(const struct fh_server_info *info)
{
	unsigned i, j;

	for (i = 0; i < WITNESSES; i++)
		for (j = 0; j < told_count[i]; j++)
			if (is_same(&told[i][j], info))
				return true;
	return false;
}

/* ---- operations ---- */

static struct fh_server_request request(void)
{
	struct fh_server_request wanted = {
		.name = NAME, .ops = &ops,
		.limits = { .lease = FH_FOREVER },
	};

	if (setting()->content == BACKING_OFF)
		wanted.policy.most = 4;
	if (setting()->content == RUNS_RUSHED)
		wanted.limits.lease = -1;
	return wanted;
}

static void do_start(bool waits)
{
	const struct fh_server_request wanted = request();
	struct fh_server_info info = { 0 };
	int rc;

	rc = waits ? fh_server_start_wait(servers, &wanted, FH_FOREVER,
					  &info) :
		     fh_server_start(servers, &wanted, &info);
	expect(rc == 0 || rc == -ENOMEM || rc == -EAGAIN || rc == -EHOSTDOWN ||
	       (!waits && (rc == -EINPROGRESS || rc == -ESHUTDOWN)),
	       "start says %d", rc);
	expect(rc != -EHOSTDOWN || setting()->failing || is_reluctant(),
	       "a start fails");
	users[me] += rc == 0;
}

static void do_restart(bool waits, uint64_t generation)
{
	struct fh_server_info info;
	int rc;

	rc = waits ? fh_server_restart_wait(servers, NAME, generation,
					    FH_FOREVER, &info) :
		     fh_server_restart(servers, NAME, generation, &info);
	expect(rc == 0 || rc == -ENOENT || rc == -ESHUTDOWN ||
	       rc == -ENOMEM || rc == -EAGAIN || rc == -EHOSTDOWN ||
	       (!waits && rc == -EINPROGRESS) ||
	       (generation && rc == -ESTALE), "restart says %d", rc);
	if (rc == 0)
		expect(info.generation > 1 ||
		       setting()->content <= OVER, "restarted, and the same");
	if (rc == 0 && generation && !info.joined)
		expect(info.restarts == 1 || setting()->content > RUNS_FOR_TWO,
		       "not the first");
}

static void do_stop(bool waits)
{
	struct fh_server_info info;
	int rc;

	rc = waits ? fh_server_stop_wait(servers, NAME, FH_FOREVER, &info) :
		     fh_server_stop(servers, NAME, &info);
	expect(rc == 0 || rc == -ENOENT || (!waits && rc == -ESHUTDOWN) ||
	       (is_reluctant() && rc == -EHOSTDOWN),
	       "stop says %d", rc);
	if (rc == 0 && !waits)
		users[me]--;
}

static void use(struct fh_server_lease *lease)
{
	const struct handle *handle = fh_lease_client(lease);

	expect(handle->generation == fh_lease_generation(lease),
	       "the client of another generation");
	if (setting()->content != RUNS_RUSHED)
		expect(!handle->ended, "a client that has ended is leased");
	fh_lease_return(lease);
}

static struct fh_server_lease *get(bool waits)
{
	struct fh_server_lease *lease;
	int rc;

	rc = waits ? fh_server_get_wait(servers, NAME, FH_FOREVER, &lease,
					NULL) :
		     fh_server_get(servers, NAME, &lease, NULL);
	expect(rc == 0 || rc == -ENOENT || rc == -ESHUTDOWN ||
	       rc == -EHOSTDOWN || (!waits && rc == -EINPROGRESS),
	       "get says %d", rc);
	return rc ? NULL : lease;
}

static void do_get(bool waits)
{
	struct fh_server_lease *lease = get(waits);

	if (lease)
		use(lease);
}

/* Stale: its client does not run any more.  Fresh: nothing else has come. */
static void do_hold(void)
{
	struct fh_server_lease *lease = get(false);
	struct fh_server_info info;
	bool stale, still;
	int rc;

	if (!lease)
		return;
	stale = fh_lease_is_stale(lease);
	rc = fh_server_health(servers, NAME, &info);
	still = fh_lease_is_stale(lease);
	expect(!stale || still, "a lease is fresh again");
	expect(!stale || rc || info.state != FH_SERVER_RUNNING ||
	       info.generation != fh_lease_generation(lease),
	       "a lease on what runs is stale");
	expect(still || (rc == 0 && info.state != FH_SERVER_STOPPED &&
			 info.state != FH_SERVER_FAILED &&
			 info.generation == fh_lease_generation(lease)),
	       "a lease is fresh, but its client is gone");
	use(lease);
}

static void do_health(void)
{
	struct fh_server_info first, second;
	int rc = fh_server_health(servers, NAME, &first);

	witness_seen(&first);
	if (fh_server_health(servers, NAME, &second))
		return;
	witness_seen(&second);
	expect(rc || second.epoch >= first.epoch || second.epoch <= 3,
	       "health goes back");
}

static int visit(const char *name, const struct fh_server_info *info,
		 void *arg)
{
	(void)arg;
	expect(strcmp(name, NAME) == 0, "another name");
	witness_seen(info);
	return 0;
}

static void do_crash(void)
{
	struct fh_server_info info;
	int rc = fh_server_crashed(servers, NAME, 1, 0, NULL, &info);

	expect(rc == 0 || rc == -ENOENT || rc == -ESTALE, "crash says %d", rc);
	if (rc == 0)
		expect(info.crashes == 1, "a crash is not counted");
}

/* As a thread of the supervisor's does, which saw the backoff of setup. */
static void do_recover(void)
{
	struct server *server = fh_server_find(servers, NAME);
	struct job job;

	if (!server)
		return;
	if (fh_job_claim_restart(&job, server, JOB_RECOVER, FH_SERVER_ANY,
				 backoff_epoch, FH_FOREVER)) {
		fh_server_drop(server);
		return;
	}
	expect(job.event.from == FH_SERVER_BACKOFF &&
	       job.event.info.epoch == backoff_epoch + 1,
	       "another backoff is recovered from");
	fh_job_run(&job);
}

/* Once the second client is there, its end is not to be lost. */
static void see_next_end(void)
{
	struct server *server = fh_server_find(servers, NAME);
	struct client *newest = fh_server_newest(server);

	if (newest) {
		end_seen = of_client(newest)->generation == 2;
		fh_client_drop(newest);
	}
	fh_server_drop(server);
	fh_client_has_gone(servers, 2);
}

/* What is there when it begins is not there when it says so. */
static void do_stop_all(void)
{
	struct fh_server_info before, after;
	bool there = fh_server_health(servers, NAME, &before) == 0;
	int rc = fh_servers_stop_all_wait(servers, FH_FOREVER);

	expect(rc == 0 || (may_refuse() && rc == -EHOSTDOWN),
	       "stop all says %d", rc);
	if (rc == 0 && there && fh_server_health(servers, NAME, &after) == 0)
		expect(has_start() && (!after.generation ||
				       after.generation > before.generation),
		       "it is %s, generation %u, after all",
		       fh_server_state_name(after.state),
		       (unsigned)after.generation);
}

/* The threads that stopped them may still run. */
static void do_end(void)
{
	do_stop_all();
	fh_servers_destroy(servers);
	servers = NULL;
}

static void do_await(void)
{
	struct fh_server_info info;
	int rc = fh_server_wait(servers, NAME,
				FH_SERVER_STATE(FH_SERVER_RUNNING) |
				FH_SERVER_STATE(FH_SERVER_FAILED),
				FH_FOREVER, &info);

	expect(rc == 0 || rc == -ENOENT, "wait says %d", rc);
	witness_seen(&info);
}

static void operate(enum operation operation)
{
	switch (operation) {
	case START:
	case START_WAIT:
		do_start(operation == START_WAIT);
		break;
	case RESTART:
	case RESTART_WAIT:
		do_restart(operation == RESTART_WAIT, FH_SERVER_ANY);
		break;
	case RESTART_FIRST:
		do_restart(false, 1);
		break;
	case STOP:
	case STOP_WAIT:
		do_stop(operation == STOP_WAIT);
		break;
	case GET:
	case GET_WAIT:
		do_get(operation == GET_WAIT);
		break;
	case HEALTH:
		do_health();
		break;
	case LIST:
		fh_server_for_each(servers, visit, NULL);
		break;
	case CRASH:
		do_crash();
		break;
	case GONE:
		fh_client_has_gone(servers, 1);
		break;
	case GONE_NEXT:
		see_next_end();
		break;
	case STOP_ALL:
		do_stop_all();
		fh_servers_wait_threads(servers); /* finish cannot */
		break;
	case END:
		do_end();
		break;
	case LEASE:
		do_hold();
		break;
	case RECOVER:
		do_recover();
		break;
	default:
		do_await();
	}
}

void act(unsigned thread)
{
	be(thread);
	operate(setting()->operation[thread]);
}

#endif
