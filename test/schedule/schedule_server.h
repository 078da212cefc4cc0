/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the server registry: operations on one name, what it is at the
 * beginning, and what must hold.
 *
 *  - Two clients of the name are never alive at the same time, and the jobs
 *    of the name are one after another: their functions share plain data.
 *  - A lease is on a client whose plain data its holder may read; stop ends a
 *    client, plainly, after every reader has returned its lease.
 *  - Each transition is told once: every state is entered as often as left.
 *  - What health says was told, or is told in the end; and for one thread it
 *    never goes back.
 *  - Who is told that a call succeeded is counted: users add up, and what one
 *    has started is not stopped by who was told to be no user.
 *  - Nobody waits for ever, and nothing leaks.
 */
#ifndef FH_SCHEDULE_SERVER_H
#define FH_SCHEDULE_SERVER_H

#include "script.h"

#include "server_core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum operation {
	NONE, START, START_WAIT, RESTART, RESTART_WAIT, RESTART_FIRST, STOP,
	STOP_WAIT, GET, GET_WAIT, HEALTH, LIST, CRASH, GONE, GONE_NEXT,
	RECOVER, AWAIT_RUNNING
};

static const char *const operation_name[] = {
	"nothing", "start", "start or wait", "restart", "restart or wait",
	"restart the first", "stop", "stop and wait", "get", "get or wait",
	"health", "list", "crash", "the supervisor sees its end",
	"the supervisor sees the next one's end", "recover",
	"wait until it runs",
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
static struct fh_server_info told[THREADS_MOST + 1][TOLD_MOST];
static uint8_t told_count[THREADS_MOST + 1];
static uint8_t entered[THREADS_MOST + 1][FH_SERVER_STATES];
static uint8_t left[THREADS_MOST + 1][FH_SERVER_STATES];
static struct fh_server_info seen[THREADS_MOST + 1][4];
static uint8_t seen_count[THREADS_MOST + 1];
static int8_t users[THREADS_MOST + 1];	/* won and lost by each thread */
static uint64_t backoff_epoch;
static bool end_seen;			/* of the second client */
static bool broken, stubborn;		/* setup: a start fails, or a stop */
static unsigned refusals;		/* plain: to end, that are to come */

static _Thread_local unsigned me;

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

	for (i = 0; i <= THREADS_MOST; i++)
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

static void do_get(bool waits)
{
	struct fh_server_lease *lease;
	int rc;

	rc = waits ? fh_server_get_wait(servers, NAME, FH_FOREVER, &lease,
					NULL) :
		     fh_server_get(servers, NAME, &lease, NULL);
	expect(rc == 0 || rc == -ENOENT || rc == -ESHUTDOWN ||
	       rc == -EHOSTDOWN || (!waits && rc == -EINPROGRESS),
	       "get says %d", rc);
	if (rc == 0)
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
	case RECOVER:
		do_recover();
		break;
	default:
		do_await();
	}
}

void act(unsigned thread)
{
	me = thread;
	operate(setting()->operation[thread]);
}

/* ---- the beginning ---- */

/* Its thread has no part here: one of the scenario's does what it would. */
static void pretend_supervisor(void)
{
	struct supervisor *supervisor = &base_of(servers)->supervisor;

	fh_status_set(&supervisor->state, 2);
}

static void make_stopped(void)
{
	struct server *server = fh_server_find(servers, NAME);
	struct server_claim claim = { .to = FH_SERVER_STOPPING };
	struct server_outcome outcome = { .to = FH_SERVER_STOPPED };
	struct fh_server_event event;
	struct client *client = of_server(server)->client;

	fh_server_close(server);
	expect(fh_server_claim(server, &claim, &event) == 0, "setup: claim");
	witness(&event, NULL);
	fh_client_expire(client);
	alive--;
	of_server(server)->client = NULL;
	fh_client_end(client);
	fh_server_settle(server, &outcome, &event);
	witness(&event, NULL);
	fh_server_drop(server);
	users[me]--;
}

/* As its last user does who is going to stop it. */
static void leave_it(void)
{
	struct server *server = fh_server_find(servers, NAME);

	expect(fh_server_leave(server) == 0, "setup: leave");
	fh_server_drop(server);
	users[me]--;
}

static void setup(void)
{
	const struct fh_servers_options options = { .event = witness };
	enum content content = setting()->content;
	struct fh_server_info info;

	me = THREADS_MOST;
	expect(fh_servers_create(&servers, &options) == 0, "setup: create");
	pretend_supervisor();
	if (content == NOTHING)
		return;
	operate(START);
	if (content == RUNS_FOR_TWO)
		operate(START);
	if (content == OVER)
		make_stopped();
	if (content == RELUCTANT_LEFT)
		leave_it();
	refusals = is_reluctant() ? 2 : 0; /* of stop, and of kill */
	stubborn = content == STUBBORN;
	if (stubborn)
		expect(fh_server_stop(servers, NAME, &info) == -EHOSTDOWN,
		       "setup: fail to stop");
	users[me] -= stubborn;
	stubborn = false;
	if (content != BROKEN && content != BACKING_OFF)
		return;
	broken = true;
	expect(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info) ==
	       -EHOSTDOWN, "setup: break");
	broken = false;
	backoff_epoch = info.epoch;
}

/* ---- the end ---- */

static void check_told(void)
{
	unsigned i, j;
	int sum;

	for (j = FH_SERVER_STARTING; j < FH_SERVER_STOPPED; j++) {
		for (sum = 0, i = 0; i <= THREADS_MOST; i++)
			sum += entered[i][j] - left[i][j];
		expect(sum == 0, "%s is entered and left: off by %d",
		       fh_server_state_name((enum fh_server_state)j), sum);
	}
	for (i = 0; i <= THREADS_MOST; i++)
		for (j = 0; j < seen_count[i]; j++)
			expect(was_told(&seen[i][j]),
			       "health: %s, epoch %u, is not told",
			       fh_server_state_name(seen[i][j].state),
			       (unsigned)seen[i][j].epoch);
}

static bool may_refuse(void)
{
	return setting()->content == STUBBORN || is_reluctant();
}

static bool is_balanced(void)
{
	unsigned i;

	for (i = 0; i < THREADS_MOST; i++)
		if (setting()->operation[i] == STOP_WAIT)
			return false;
	return !setting()->failing && !may_refuse();
}

static bool was_kept(int rc)
{
	bool started = false, stopped = false;
	unsigned i;

	for (i = 0; i < THREADS_MOST; i++) {
		started |= users[i] > 0;
		stopped |= users[i] < 0;
	}
	return rc == 0 || !started || stopped;
}

static void finish(void)
{
	struct fh_server_info info;
	int rc, sum = 0;
	unsigned i;

	me = THREADS_MOST;
	rc = fh_server_health(servers, NAME, &info);
	expect(rc == 0 || rc == -ENOENT, "health says %d", rc);
	if (rc == 0)
		expect(fh_server_is_in(info.state, FH_SERVER_REST),
		       "it ends up %s", fh_server_state_name(info.state));
	expect(alive == (rc == 0 && info.state == FH_SERVER_RUNNING) ||
	       (may_refuse() && rc == 0),
	       "%u alive, but it is %s", alive,
	       fh_server_state_name(info.state));
	expect(!end_seen || info.crashes, "an end was seen and not heard");
	for (i = 0; i <= THREADS_MOST; i++)
		sum += users[i];
	if (is_balanced())
		expect(sum == (int)info.users, "%d users, not %d",
		       (int)info.users, sum);
	expect(rc || info.users || setting()->failing || may_refuse(),
	       "nobody stopped it");
	expect(!is_reluctant() || was_kept(rc),
	       "somebody stopped what another has started");
	refusals = 0;
	fh_servers_destroy(servers);
	expect(alive == 0, "destroy leaves one alive");
	check_told();
}

/* ---- which of them ---- */

static struct scenario *add_setting(const struct setting *its)
{
	static const struct scenario frame = { .setup = setup,
		.finish = finish, .preemptions = 1 };
	struct scenario *scenario = add_scenario(&frame, its, sizeof(*its));
	unsigned i;

	name_scenario(scenario, "%s:", content_name[its->content]);
	for (i = 0; i < THREADS_MOST && its->operation[i]; i++)
		add_actor(scenario, "%s", operation_name[its->operation[i]]);
	return scenario;
}

static struct scenario *add(enum content content, enum operation a,
			    enum operation b, enum operation c)
{
	return add_setting(&(struct setting){ .content = content,
					      .operation = { a, b, c } });
}

/* The same, where memory may be refused. */
__attribute__((unused)) static void
add_failing(enum content content, enum operation a, enum operation b)
{
	const struct setting its = { .content = content,
		.operation = { a, b }, .failing = true };
	struct scenario *scenario = add_setting(&its);

	name_scenario(scenario, ", no memory");
	scenario->failures = 1;
}

#endif
