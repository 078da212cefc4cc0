/* SPDX-License-Identifier: MIT */
/*
 * server: a few names that everybody starts, restarts, uses, reports crashed
 * and stops, and one that has a user for good and is never found missing.
 * Starts, handshakes and stops fail now and then; a policy restarts what has
 * crashed.  A server knows whether another one of its name is alive, and a
 * client whether it is used after its end.  At rest, what the callers were
 * told, what the observer was told and what the registry counts must agree.
 */
#include "soak.h"

#define NAMES 5

enum { START, START_WAIT, RESTART, RESTART_WAIT, STOP, GET, GET_WAIT, CRASH,
       HEALTH, LIST };
static const char *const operations[] = {
	"start", "start_wait", "restart", "restart_wait", "stop",
	"get and return", "get_wait and return", "crashed", "health",
	"for_each", NULL,
};

struct site {
	tally alive;
	uint64_t dice;		/* one job at a time throws them */
};

struct client {
	uint64_t magic;
	struct site *site;
	uint64_t generation;
	_Atomic(bool) alive;
};

static struct fh_servers *servers;
static const char *const names[NAMES] = {
	"always", "clangd", "gopls", "pylsp", "rust-analyzer",
};
static struct site sites[NAMES];
static tally started, joined, stopped_users, restarted, crashed, clients;
static tally entered[FH_SERVER_STATES], left[FH_SERVER_STATES];

/* ---- a server ---- */

/* The first name's never fails to start, so that it is always there. */
static int mishap(struct site *site, unsigned one_in)
{
	if (site == &sites[0])
		return 0;
	return random_below(&site->dice, one_in) ? 0 : -EIO;
}

static int start_client(struct fh_server_job *job, void **made)
{
	struct site *site = job->arg;
	struct client *client;
	int rc = mishap(site, 40);

	if (rc)
		return rc;
	client = soak_alloc(sizeof(*client));
	client->magic = SOAK_ALIVE;
	client->site = site;
	client->generation = job->generation;
	store_relaxed(&client->alive, true);
	add_relaxed(&clients, 1);
	soak_expect(add_seq_cst(&site->alive, 1) == 0,
		    "two servers of %s at once", job->name);
	*made = client;
	return 0;
}

static int shake_hands(struct fh_server_job *job, void *client)
{
	soak_expect(((struct client *)client)->generation == job->generation,
		    "a handshake with another client");
	return mishap(job->arg, 40);
}

static void is_gone(struct client *client)
{
	soak_expect(client->magic == SOAK_ALIVE, "an end after the release");
	soak_expect(load_relaxed(&client->alive), "a client ended twice");
	store_relaxed(&client->alive, false);
	soak_expect(add_seq_cst(&client->site->alive, UINT64_MAX) == 1,
		    "a server that was not there has ended");
}

static int stop_client(struct fh_server_job *job, void *client)
{
	int rc = mishap(job->arg, 20);

	if (rc == 0)
		is_gone(client);
	return rc;
}

static int kill_client(struct fh_server_job *job, void *client)
{
	(void)job;
	is_gone(client);
	return 0;
}

static int reap_client(struct fh_server_job *job, void *client)
{
	(void)job;
	is_gone(client);
	return -ECHILD;
}

static void release_client(void *arg, void *site)
{
	struct client *client = arg;

	soak_expect(client->magic == SOAK_ALIVE && client->site == site &&
		    !load_relaxed(&client->alive), "a release too early");
	client->magic = 0;
	free(client);
	add_relaxed(&clients, UINT64_MAX);
}

static void open_again(struct fh_server_job *job, void *client)
{
	soak_expect(((struct client *)client)->magic == SOAK_ALIVE &&
		    ((struct client *)client)->generation == job->generation,
		    "the hook of %s got another client", job->name);
}

static const struct fh_server_ops ops = {
	.start = start_client, .handshake = shake_hands, .stop = stop_client,
	.kill = kill_client, .exited = reap_client,
	.release = release_client, .restarted = open_again,
};

static void note(const struct fh_server_event *event, void *arg)
{
	(void)arg;
	soak_expect(event->info.state == event->to, "another state is told");
	add_relaxed(&left[event->from], 1);
	add_relaxed(&entered[event->to], 1);
}

/* ---- operations ---- */

static struct fh_server_request request(unsigned which)
{
	struct fh_server_request wanted = {
		.name = names[which], .ops = &ops, .arg = &sites[which],
		.limits = { .lease = 20 * SECONDS },
		.policy = { .most = FH_SERVER_RESTARTS_MOST, .window = 1 },
	};

	return wanted;
}

static void start(unsigned which, bool waits)
{
	const struct fh_server_request wanted = request(which);
	struct fh_server_info info;
	int rc;

	rc = waits ? fh_server_start_wait(servers, &wanted,
					  fh_deadline_in(20 * SECONDS),
					  &info) :
		     fh_server_start(servers, &wanted, &info);
	soak_expect(rc == 0 || rc == -EAGAIN || (rc == -EHOSTDOWN && which) ||
		    (!waits && (rc == -EINPROGRESS || rc == -ESHUTDOWN)),
		    "a start gave %d", rc);
	if (rc == 0)
		add_relaxed(info.joined ? &joined : &started, 1);
	if (rc == 0 && which == 0)
		soak_expect(fh_server_stop(servers, names[0], NULL) == 0,
			    "what was joined cannot be left");
}

static void restart(unsigned which, bool waits)
{
	struct fh_server_info info;
	int rc;

	rc = waits ? fh_server_restart_wait(servers, names[which],
					    FH_SERVER_ANY,
					    fh_deadline_in(20 * SECONDS),
					    &info) :
		     fh_server_restart(servers, names[which], FH_SERVER_ANY,
				       &info);
	soak_expect(rc == 0 || rc == -EAGAIN ||
		    (which && (rc == -ENOENT || rc == -ESHUTDOWN ||
			       rc == -EHOSTDOWN)) ||
		    (!waits && rc == -EINPROGRESS), "a restart gave %d", rc);
	if (rc == 0 && !info.joined)
		add_relaxed(&restarted, 1);
}

static void stop(unsigned which)
{
	int rc;

	if (which == 0)
		return;
	rc = fh_server_stop(servers, names[which], NULL);
	soak_expect(rc == 0 || rc == -ENOENT || rc == -ESHUTDOWN,
		    "a stop gave %d", rc);
	if (rc == 0)
		add_relaxed(&stopped_users, 1);
}

/* What is not stale is alive; what is stale is memory all the same. */
static void use(struct soak_worker *worker, struct fh_server_lease *lease,
		unsigned which)
{
	const struct client *client = fh_lease_client(lease);
	bool alive;

	soak_expect(client->magic == SOAK_ALIVE &&
		    client->site == &sites[which] &&
		    client->generation == fh_lease_generation(lease),
		    "a lease on another client");
	soak_dawdle(worker);
	alive = load_seq_cst(&client->alive);
	soak_expect(alive || fh_lease_is_stale(lease),
		    "a client that has ended is not stale");
	fh_lease_return(lease);
}

static void get(struct soak_worker *worker, unsigned which, bool waits)
{
	struct fh_server_lease *lease;
	int rc;

	rc = waits ? fh_server_get_wait(servers, names[which],
					fh_deadline_in(20 * SECONDS), &lease,
					NULL) :
		     fh_server_get(servers, names[which], &lease, NULL);
	soak_expect(rc == 0 || (!waits && rc == -EINPROGRESS) ||
		    (which && (rc == -ENOENT || rc == -ESHUTDOWN ||
			       rc == -EHOSTDOWN)),
		    "a get of %s gave %d", names[which], rc);
	if (rc == 0)
		use(worker, lease, which);
}

static void crash(unsigned which)
{
	struct fh_server_info info;
	int rc;

	if (fh_server_health(servers, names[which], &info) ||
	    !info.generation)
		return;
	rc = fh_server_crashed(servers, names[which], info.generation, 0,
			       "soaked", &info);
	soak_expect(rc == 0 || rc == -ESTALE || (which && rc == -ENOENT),
		    "a crash gave %d", rc);
	if (rc == 0)
		add_relaxed(&crashed, 1);
}

static void health(unsigned which)
{
	struct fh_server_info info;
	int rc = fh_server_health(servers, names[which], &info);

	soak_expect(rc == 0 || (which && rc == -ENOENT),
		    "health of %s gave %d", names[which], rc);
	soak_expect(rc || (info.epoch && info.state > FH_SERVER_ABSENT &&
			   info.state < FH_SERVER_STOPPED),
		    "a torn snapshot of %s", names[which]);
}

static int count_always(const char *name, const struct fh_server_info *info,
			void *arg)
{
	(void)info;
	*(unsigned *)arg += name == names[0] || strcmp(name, names[0]) == 0;
	return 0;
}

static void list(void)
{
	unsigned seen = 0;

	fh_server_for_each(servers, count_always, &seen);
	soak_expect(seen == 1, "one that is always there was listed %u times",
		    seen);
}

static void work(struct soak_worker *worker)
{
	static const unsigned weight[] = {
		[START] = 5, [START_WAIT] = 4, [RESTART] = 2,
		[RESTART_WAIT] = 1, [STOP] = 14, [GET] = 23, [GET_WAIT] = 24,
		[CRASH] = 1, [HEALTH] = 24, [LIST] = 2,
	};
	unsigned which = (unsigned)soak_random(worker, NAMES);
	unsigned draw = (unsigned)soak_random(worker, 100), what = 0;

	while (draw >= weight[what])
		draw -= weight[what++];
	soak_begin(worker, what);
	switch (what) {
	case START:
	case START_WAIT:
		start(which, what == START_WAIT);
		break;
	case RESTART:
	case RESTART_WAIT:
		restart(which, what == RESTART_WAIT);
		break;
	case STOP:
		stop(which);
		break;
	case GET:
	case GET_WAIT:
		get(worker, which, what == GET_WAIT);
		break;
	case CRASH:
		crash(which);
		break;
	case HEALTH:
		health(which);
		break;
	default:
		list();
	}
}

/* ---- at rest ---- */

/* Threads of the registry's own may still have something to do. */
static void settle(void)
{
	const uint64_t rest = FH_SERVER_STATE(FH_SERVER_RUNNING) |
			      FH_SERVER_STATE(FH_SERVER_FAILED) |
			      FH_SERVER_STATE(FH_SERVER_ABSENT);
	unsigned i;

	for (i = 0; i < NAMES; i++)
		soak_expect(fh_server_wait(servers, names[i], rest,
					   fh_deadline_in(40 * SECONDS),
					   NULL) == 0,
			    "%s does not come to rest", names[i]);
	for (i = 0; i < 2000; i++) {
		uint64_t busy = 0;
		unsigned j;

		for (j = FH_SERVER_STARTING; j < FH_SERVER_STOPPED; j++)
			busy += load_seq_cst(&entered[j]) -
				load_seq_cst(&left[j]);
		if (busy == load_seq_cst(&left[FH_SERVER_ABSENT]) -
			    load_seq_cst(&entered[FH_SERVER_STOPPED]))
			break;
		sleep_ns(MILLISECONDS);
	}
}

static void check(void)
{
	struct fh_servers_stats stats;
	struct fh_server_info info;
	uint64_t in_state[FH_SERVER_STATES] = { 0 }, users = 0;
	unsigned i;

	fh_servers_get_stats(servers, &stats);
	for (i = 0; i < NAMES; i++) {
		fh_server_health(servers, names[i], &info);
		in_state[info.state]++;
		users += info.users;
		soak_expect(load_relaxed(&sites[i].alive) ==
			    (info.state == FH_SERVER_RUNNING),
			    "%s is %s, and %u are alive", names[i],
			    fh_server_state_name(info.state),
			    (unsigned)load_relaxed(&sites[i].alive));
	}
	for (i = FH_SERVER_STARTING; i < FH_SERVER_STOPPED; i++)
		soak_expect(entered[i] - left[i] == in_state[i],
			    "%s: entered %llu times, left %llu, %llu are it",
			    fh_server_state_name((enum fh_server_state)i),
			    (unsigned long long)entered[i],
			    (unsigned long long)left[i],
			    (unsigned long long)in_state[i]);
	soak_expect(stats.started == started && stats.joined == joined,
		    "starts: told %llu and %llu, counted %llu and %llu",
		    (unsigned long long)started, (unsigned long long)joined,
		    (unsigned long long)stats.started,
		    (unsigned long long)stats.joined);
	soak_expect(stats.crashed == crashed, "crashes: told %llu, counted "
		    "%llu", (unsigned long long)crashed,
		    (unsigned long long)stats.crashed);
	soak_expect(stats.stopped == entered[FH_SERVER_STOPPED],
		    "stops are miscounted");
	soak_expect(stats.overdue == 0, "a lease was given up");
	soak_expect(users <= started + joined, "users out of nowhere");
}

static void begin_always(void)
{
	const struct fh_server_request wanted = request(0);

	soak_expect(fh_server_start(servers, &wanted, NULL) == 0,
		    "the first one does not start");
	add_relaxed(&started, 1);
}

static void clear(void)
{
	soak_expect(fh_servers_stop_all_wait(servers, fh_deadline_in(
			    40 * SECONDS)) == 0, "all cannot be stopped");
	soak_expect(load_relaxed(&clients) == 0, "%llu clients are left",
		    (unsigned long long)clients);
	begin_always();
}

static void setup(void)
{
	const struct fh_servers_options options = { .event = note };
	unsigned i;

	soak_expect(fh_servers_create(&servers, &options) == 0,
		    "no registry");
	for (i = 0; i < NAMES; i++)
		sites[i].dice = random_seed(i);
	begin_always();
}

static void report(FILE *out)
{
	struct fh_servers_stats stats;

	fh_servers_get_stats(servers, &stats);
	fprintf(out, "%llu first starts, %llu joins, %llu restarts (%llu by a "
		"policy), %llu failures, %llu crashes, %llu shutdowns, %llu "
		"kills.\n", (unsigned long long)stats.started,
		(unsigned long long)stats.joined,
		(unsigned long long)stats.restarted,
		(unsigned long long)stats.recovered,
		(unsigned long long)stats.failed,
		(unsigned long long)stats.crashed,
		(unsigned long long)stats.stopped,
		(unsigned long long)stats.killed);
}

static void teardown(void)
{
	fh_servers_destroy(servers);
	soak_expect(load_relaxed(&clients) == 0, "destroy leaves clients");
}

struct soak_room soak_server = {
	.name = "server",
	.operations = operations,
	.weight = 2,
	.setup = setup,
	.work = work,
	.settle = settle,
	.check = check,
	.clear = clear,
	.report = report,
	.teardown = teardown,
};
