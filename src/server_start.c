/* SPDX-License-Identifier: MIT */
/*
 * server_start: starting and restarting, in terms of claims and jobs.  Shared
 * by both builds.
 *
 * Each function looks at the server, tries to claim what it needs, and runs
 * the job itself; or, in its waiting form, waits for the transition after the
 * one it saw, and looks again.  Nothing is decided by a look: a claim that
 * comes too late fails.
 */
#include "server_report.h"

#include <errno.h>
#include <string.h>

/* ---- start ---- */

struct start {
	const struct fh_server_request *request;
	int64_t deadline;
	bool waits;
	struct report report;
};

/* A name that nobody has: -EEXIST, and *server, if somebody does. */
static int start_new(struct fh_servers *servers, struct start *start,
		     struct server **server)
{
	struct client *first;
	struct job job;
	int rc = fh_client_new(servers, &first);

	if (rc)
		return rc;
	rc = fh_server_enter(servers, start->request, first, server);
	if (rc) {
		fh_client_discard(first);
		return rc;
	}
	fh_job_begin_start(&job, *server, first, start->deadline);
	return run_job(&job, server, &start->report, false);
}

static int join(struct server *server, struct start *start)
{
	int rc = fh_server_join(server);

	if (rc)
		return rc;
	fh_server_count(of_server(server)->servers, JOINED);
	start->report.info.users++;
	return 0;
}

/*
 * One that does not run is restarted, and joined by who owns the restart: a
 * claim that comes too late must not have counted a user, for whom the stop
 * of the last one would leave the server there.  If the last one has left in
 * between, the job shuts down what it starts, and this looks again.
 */
static int revive(struct server **held, struct start *start)
{
	struct job job;
	bool joined;
	int rc;

	if (fh_server_is_closed(*held))
		return -ESHUTDOWN;
	rc = fh_job_claim_restart(&job, *held, JOB_RESTART, FH_SERVER_ANY,
				  start->report.info.epoch, start->deadline);
	if (rc)
		return rc == -EAGAIN ? AGAIN : rc;
	joined = job.guest = fh_server_join(*held) == 0;
	rc = run_job(&job, held, &start->report, true);
	if (rc == 0 && joined)
		fh_server_count(job.servers, JOINED);
	return joined ? rc : AGAIN;
}

static int start_there(struct server **held, struct start *start)
{
	look(*held, &start->report);
	if (start->report.info.state == FH_SERVER_STOPPED)
		return AGAIN;
	if (start->request->exclusive)
		return -EEXIST;
	switch (start->report.info.state) {
	case FH_SERVER_RUNNING:
		return join(*held, start);
	case FH_SERVER_FAILED:
	case FH_SERVER_BACKOFF:
		return revive(held, start);
	case FH_SERVER_STOPPING:
		return -ESHUTDOWN;
	default:
		return -EINPROGRESS;
	}
}

/* One attempt; a server that is busy is waited for, if that is wanted. */
static int try_start(struct fh_servers *servers, struct start *start)
{
	struct server *server = fh_server_find(servers, start->request->name);
	int rc = -EEXIST;

	start->report.known = false;
	if (!server)
		rc = start_new(servers, start, &server);
	if (rc != -EEXIST)
		return rc;
	rc = start_there(&server, start);
	if (start->waits && (rc == -EINPROGRESS || rc == -ESHUTDOWN))
		rc = wait_past(server, &start->report, start->deadline);
	let_go(server);
	return rc;
}

/* A supervisor is needed for what it may have to see. */
static int prepare(struct fh_servers *servers,
		   const struct fh_server_request *request)
{
	int rc = fh_server_check_request(request);

	if (rc)
		return rc;
	if (fh_servers_are_inherited(servers))
		return -ECHILD;
	if (request->policy.most || request->ops->watch)
		return fh_supervisor_need(servers);
	return 0;
}

static int start_server(struct fh_servers *servers, struct start *start,
			struct fh_server_info *info)
{
	int rc = prepare(servers, start->request);

	if (rc)
		return rc;
	do
		rc = try_start(servers, start);
	while (rc == AGAIN);
	if (rc == -EINPROGRESS)
		fh_server_count(servers, REFUSED);
	give(&start->report, info);
	return rc == -EDQUOT ? -EAGAIN : rc;
}

int fh_server_start(struct fh_servers *servers,
		    const struct fh_server_request *request,
		    struct fh_server_info *info)
{
	struct start start = { .request = request, .deadline = FH_FOREVER };

	return start_server(servers, &start, info);
}

int fh_server_start_wait(struct fh_servers *servers,
			 const struct fh_server_request *request,
			 int64_t deadline, struct fh_server_info *info)
{
	struct start start = { .request = request, .deadline = deadline,
			       .waits = true };

	return start_server(servers, &start, info);
}

/* ---- restart ---- */

struct restart {
	uint64_t generation;
	int64_t deadline;
	bool waits;
	struct report report;
};

/* What the job said that another thread ran, once it is done. */
static int share(struct server *server, struct restart *restart)
{
	bool crashed = restart->report.info.state == FH_SERVER_CRASHED;
	int rc;

	do {
		rc = wait_past(server, &restart->report, restart->deadline);
		if (rc != AGAIN)
			return rc;
		look(server, &restart->report);
		if (crashed)
			return AGAIN;
	} while (fh_server_is_in(restart->report.info.state, FH_SERVER_BUSY) &&
		 restart->report.info.state != FH_SERVER_STOPPING);
	rc = fh_server_verdict(restart->report.info.state);
	return rc == -EINPROGRESS ? -EHOSTDOWN : rc;
}

static int try_restart(struct server **held, struct restart *restart)
{
	struct server *server = *held;
	struct job job;
	int rc;

	look(server, &restart->report);
	if (restart->generation &&
	    restart->generation != restart->report.info.generation)
		return -ESTALE;
	if (fh_server_is_closed(server))
		return restart->report.info.state == FH_SERVER_STOPPED ?
			       -ENOENT : -ESHUTDOWN;
	rc = fh_job_claim_restart(&job, server, JOB_RESTART,
				  restart->generation, 0, restart->deadline);
	if (rc == 0)
		return run_job(&job, held, &restart->report, false);
	if (rc != -EAGAIN)
		return rc;
	look(server, &restart->report);
	if (restart->report.info.state == FH_SERVER_STOPPING)
		return -ESHUTDOWN;
	if (!fh_server_is_in(restart->report.info.state, FH_SERVER_BUSY))
		return AGAIN;
	return restart->waits ? share(server, restart) : -EINPROGRESS;
}

static int restart_server(struct fh_servers *servers, const char *name,
			  struct restart *restart, struct fh_server_info *info)
{
	struct server *server;
	int rc = -ENOENT;

	if (fh_servers_are_inherited(servers))
		return -ECHILD;
	server = fh_server_find(servers, name);
	if (server) {
		do
			rc = try_restart(&server, restart);
		while (rc == AGAIN);
		let_go(server);
	}
	if (rc == -EINPROGRESS)
		fh_server_count(servers, REFUSED);
	if (rc == -ENOENT)
		restart->report.known = false;
	give(&restart->report, info);
	return rc == -EDQUOT ? -EAGAIN : rc;
}

int fh_server_restart(struct fh_servers *servers, const char *name,
		      uint64_t generation, struct fh_server_info *info)
{
	struct restart restart = { .generation = generation,
				   .deadline = FH_FOREVER };

	return restart_server(servers, name, &restart, info);
}

int fh_server_restart_wait(struct fh_servers *servers, const char *name,
			   uint64_t generation, int64_t deadline,
			   struct fh_server_info *info)
{
	struct restart restart = { .generation = generation,
				   .deadline = deadline, .waits = true };

	return restart_server(servers, name, &restart, info);
}
