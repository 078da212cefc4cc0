/* SPDX-License-Identifier: MIT */
/*
 * server_view: waiting for servers, visiting them, and hearing that one has
 * crashed; and what a registry and a server begin with.  Shared by both
 * builds.
 */
#include "server_report.h"

#include "hash.h"

#include <string.h>

/* ---- beginnings ---- */

int fh_servers_base_init(struct servers_base *base,
			 const struct fh_servers_options *options)
{
	struct fh_hash random;
	int rc = fh_hash_seed(&random);

	if (rc)
		return rc;
	if (options)
		base->options = *options;
	base->random = random.seed[0];
	base->forks = load_relaxed(&fh_server_forks);
	base->supervisor.epoll = base->supervisor.bell = -1;
	return 0;
}

void fh_server_base_init(struct server_base *base, struct fh_servers *servers,
			 const struct fh_server_request *request,
			 const char *name)
{
	base->servers = servers;
	base->name = name;
	base->serial = add_relaxed(&base_of(servers)->serial, 1u) + 1;
	base->ops = request->ops;
	base->arg = request->arg;
	base->arg_release = request->arg_release;
	base->limits = fh_server_limits_of(&request->limits);
	base->policy = request->policy;
	base->recovery.random = fh_hash_spread(base_of(servers)->random ^
					       base->serial) | 1;
}

void fh_servers_base_stats(const struct servers_base *base,
			   struct fh_servers_stats *stats)
{
	uint64_t counts[SERVER_COUNTS];

	for (int i = 0; i < SERVER_COUNTS; i++)
		/* pairs with: none: counts publish nothing */
		counts[i] = load_acquire(&base->counts[i]);
	*stats = (struct fh_servers_stats){
		.started = counts[STARTED], .joined = counts[JOINED],
		.restarted = counts[RESTARTED],
		.recovered = counts[RECOVERED], .failed = counts[FAILED],
		.put_off = counts[PUT_OFF], .refused = counts[REFUSED],
		.crashed = counts[CRASHED], .stopped = counts[STOPPED],
		.killed = counts[KILLED], .overdue = counts[OVERDUE],
		.abandoned = counts[ABANDONED],
	};
}

/* ---- waiting ---- */

/* An entry that goes away wakes who waits on it, and they look by name. */
static int wait_by_name(struct fh_servers *servers, const char *name,
			const struct fh_server_info *seen, int64_t deadline)
{
	struct server *server = fh_server_find(servers, name);
	struct report report = { .info = *seen };
	int rc;

	if (!server)
		return 0;
	fh_server_view(server, &report.info);
	if (report.info.state != seen->state ||
	    report.info.epoch != seen->epoch)
		rc = AGAIN;
	else
		rc = wait_past(server, &report, deadline);
	fh_server_drop(server);
	return rc == AGAIN ? 0 : rc;
}

/* The look that comes after the deadline counts too. */
int fh_server_get_wait(struct fh_servers *servers, const char *name,
		       int64_t deadline, struct fh_server_lease **lease,
		       struct fh_server_info *info)
{
	int rc = fh_server_get(servers, name, lease, info), late = 0;
	struct fh_server_info seen;

	while (rc == -EINPROGRESS) {
		rc = fh_server_get(servers, name, lease, &seen);
		if (info)
			*info = seen;
		if (rc != -EINPROGRESS || late)
			break;
		late = wait_by_name(servers, name, &seen, deadline);
	}
	return rc == -EINPROGRESS ? late : rc;
}

#define ALL_STATES (FH_SERVER_STATE(FH_SERVER_STATES) - 1)

int fh_server_wait(struct fh_servers *servers, const char *name,
		   uint64_t states, int64_t deadline,
		   struct fh_server_info *info)
{
	struct fh_server_info seen;
	int rc, timeout = 0;

	if (!states || states & ~ALL_STATES)
		return -EINVAL;
	for (;;) {
		rc = fh_server_health(servers, name, &seen);
		if (rc || timeout || fh_server_is_in(seen.state, states))
			break;
		timeout = wait_by_name(servers, name, &seen, deadline);
	}
	if (info)
		*info = seen;
	if (fh_server_is_in(seen.state, states))
		return 0;
	return rc ? rc : timeout;
}

/* ---- visiting ---- */

struct round {
	int (*visit)(const char *name, const struct fh_server_info *info,
		     void *arg);
	void *arg;
	size_t visited;
};

static bool show(struct server *server, void *arg)
{
	struct round *round = arg;
	struct fh_server_info info;

	fh_server_view(server, &info);
	if (info.state == FH_SERVER_STOPPED)
		return true;
	round->visited++;
	return round->visit(of_server(server)->name, &info, round->arg) == 0;
}

size_t fh_server_for_each(struct fh_servers *servers,
			  int (*visit)(const char *name,
				       const struct fh_server_info *info,
				       void *arg),
			  void *arg)
{
	struct round round = { .visit = visit, .arg = arg };

	fh_server_each(servers, show, &round);
	return round.visited;
}

/* ---- crashes ---- */

int fh_server_crashed(struct fh_servers *servers, const char *name,
		      uint64_t generation, int error, const char *text,
		      struct fh_server_info *info)
{
	struct report report = { .known = false };
	struct server *server;
	struct job job;
	int rc = -ENOENT;

	if (!generation || error > 0)
		return -EINVAL;
	if (fh_servers_are_inherited(servers))
		return -ECHILD;
	server = fh_server_find(servers, name);
	if (server) {
		look(server, &report);
		rc = fh_job_claim_crash(&job, server, generation, error, text);
		if (rc == 0)
			run_job(&job, &server, &report, true);
		let_go(server);
	}
	give(&report, info);
	return rc == -EAGAIN ? -ESTALE : rc;
}
