/* SPDX-License-Identifier: MIT */
/*
 * server_stop: the last user leaves, all are stopped, the registry ends.
 * Shared by both builds.
 *
 * Who closes a server then claims its shutdown.  If a job owns it, that job
 * finds it closed when it has settled, and goes on with the shutdown itself:
 * so nobody has to stay for it.  What nobody claimed after all, for lack of
 * memory, the next stop claims.
 */
#include "server_report.h"

/* ---- one server ---- */

/* Claim and run the shutdown, if it is there to be claimed. */
static int shut_down(struct server **held, int64_t deadline,
		     struct report *report)
{
	struct job job;
	int rc = fh_job_claim_stop(&job, *held, deadline);

	return rc ? rc : run_job(&job, held, report, true);
}

/*
 * Until it is over: stopped, and then also out of the registry, or open again
 * because it could not be.
 */
static int wait_stopped(struct server *server, int64_t deadline,
			struct report *report)
{
	int rc = AGAIN;

	while (rc == AGAIN) {
		look(server, report);
		if (report->info.state == FH_SERVER_STOPPED) {
			fh_server_remove(server);
			return 0;
		}
		if (!fh_server_is_closed(server))
			return -EHOSTDOWN;
		rc = wait_past(server, report, deadline);
	}
	return rc;
}

/*
 * Also one that comes after the last user helps with the shutdown; but it was
 * not its user that left.
 */
static int stop_server(struct server **held, int64_t deadline, bool waits,
		       struct report *report)
{
	int64_t left = fh_server_leave(*held);
	int rc;

	look(*held, report);
	if (left > 0)
		return 0;
	fh_point("server.closed");
	rc = shut_down(held, deadline, report);
	if (rc == 0 && left < 0 && !waits)
		return -ESHUTDOWN;
	if (rc != -EAGAIN)
		return rc == -EDQUOT ? -ENOMEM : rc;
	if (waits)
		return wait_stopped(*held, deadline, report);
	look(*held, report);
	return left == 0 ? 0 : -ESHUTDOWN;
}

static int stop_named(struct fh_servers *servers, const char *name,
		      int64_t deadline, bool waits,
		      struct fh_server_info *info)
{
	struct report report = { .known = false };
	struct server *server;
	int rc = -ENOENT;

	if (fh_servers_are_inherited(servers))
		return -ECHILD;
	server = fh_server_find(servers, name);
	if (server && waits && fh_server_is_mine(server))
		rc = -EDEADLK;
	else if (server)
		rc = stop_server(&server, deadline, waits, &report);
	let_go(server);
	give(&report, info);
	return rc;
}

int fh_server_stop(struct fh_servers *servers, const char *name,
		   struct fh_server_info *info)
{
	return stop_named(servers, name, FH_FOREVER, false, info);
}

int fh_server_stop_wait(struct fh_servers *servers, const char *name,
			int64_t deadline, struct fh_server_info *info)
{
	return stop_named(servers, name, deadline, true, info);
}

/* ---- all of them ---- */

/*
 * Those that were registered when this began, and are to stop together.  One
 * has its serial number before it is in the map, so a later walk may meet it
 * and an earlier one not.  Hence the mark of those that were closed: no other
 * is waited for, and one that is open and bears it could not be stopped.
 */
struct sweep {
	uint64_t last;			/* serial numbers up to this */
	uint64_t number;		/* of this sweep; rises */
	int64_t deadline;
	struct fh_server_thread *without; /* threads that did not start */
	bool skipped;			/* there was no memory for a thread */
	bool claimed;
	struct job job;
	int rc;
};

static void stop_work(struct fh_server_thread *thread)
{
	fh_job_run(&thread->job);
}

/* After it was closed.  The last sweep's mark is one for those before it. */
static void mark(struct server_base *base, uint64_t number)
{
	uint64_t seen = load_relaxed(&base->swept);

	while (seen < number)
		/* pairs with: server.swept */
		if (cas_release_relaxed(&base->swept, &seen, number))
			return;
}

/* The thread's hold on the server is the job's from the claim on. */
static bool begin_stop(struct server *server, void *arg)
{
	struct sweep *sweep = arg;
	struct fh_server_thread *thread;

	if (of_server(server)->serial > sweep->last)
		return true;
	fh_server_close(server);
	mark(of_server(server), sweep->number);
	thread = fh_server_thread_new(of_server(server)->servers, server,
				      stop_work);
	if (!thread) {
		sweep->skipped = true;
	} else if (fh_job_claim_stop(&thread->job, server, sweep->deadline)) {
		fh_server_thread_free(thread);
	} else {
		thread->server = NULL;
		if (fh_server_thread_start(thread)) {
			thread->next = sweep->without;
			sweep->without = thread;
		}
	}
	return true;
}

static bool claim_one(struct server *server, void *arg)
{
	struct sweep *sweep = arg;

	if (of_server(server)->serial > sweep->last ||
	    !fh_server_is_closed(server))
		return true;
	fh_server_hold(server);
	sweep->claimed = fh_job_claim_stop(&sweep->job, server,
					   sweep->deadline) == 0;
	if (!sweep->claimed)
		fh_server_drop(server);
	return !sweep->claimed;
}

/* What could not be given to a thread is done by this one. */
static void stop_here(struct fh_servers *servers, struct sweep *sweep)
{
	struct fh_server_thread *thread;

	while ((thread = sweep->without)) {
		sweep->without = thread->next;
		sweep->job = thread->job;
		fh_server_thread_free(thread);
		fh_job_run(&sweep->job);
	}
	while (sweep->skipped) {
		sweep->claimed = false;
		fh_server_each(servers, claim_one, sweep);
		sweep->skipped = sweep->claimed;
		if (sweep->claimed)
			fh_job_run(&sweep->job);
	}
}

static bool await_stop(struct server *server, void *arg)
{
	struct sweep *sweep = arg;
	struct report report;
	int rc;

	/* pairs with: server.swept */
	if (load_acquire(&of_server(server)->swept) < sweep->number)
		return true;
	rc = wait_stopped(server, sweep->deadline, &report);
	if (rc && sweep->rc != -ETIMEDOUT)
		sweep->rc = rc;
	return true;
}

int fh_servers_stop_all_wait(struct fh_servers *servers, int64_t deadline)
{
	struct sweep sweep = { .deadline = deadline };

	if (fh_servers_are_inherited(servers))
		return -ECHILD;
	if (fh_servers_any_mine(servers))
		return -EDEADLK;
	sweep.last = load_relaxed(&base_of(servers)->serial);
	sweep.number = add_relaxed(&base_of(servers)->sweeps, 1) + 1;
	fh_server_each(servers, begin_stop, &sweep);
	stop_here(servers, &sweep);
	fh_server_each(servers, await_stop, &sweep);
	fh_servers_reap(servers);
	return sweep.rc;
}

/* ---- the end of the registry ---- */

/* Whatever it takes; a job that runs on another thread ends first. */
static bool kill_server(struct server *server, void *arg)
{
	struct report report;
	struct job job;
	int rc;

	(void)arg;
	do {
		fh_server_close(server);
		look(server, &report);
		rc = fh_job_claim_stop(&job, server, FH_FOREVER);
		if (rc == -EAGAIN &&
		    fh_server_is_in(report.info.state, FH_SERVER_BUSY))
			fh_server_wait_past(server, report.info.epoch,
					    FH_FOREVER);
	} while (rc == -EAGAIN && report.info.state != FH_SERVER_STOPPED);
	if (rc)
		return true;
	fh_server_hold(server);
	job.brutal = true;
	fh_job_run(&job);
	return true;
}

/* What kill could not end, or what belongs to the parent of this child. */
static bool give_up(struct server *server, void *arg)
{
	struct client *client = of_server(server)->client;

	(void)arg;
	of_server(server)->client = NULL;
	if (!client)
		return true;
	fh_client_expire(client);
	fh_client_end(client);
	return true;
}

void fh_servers_base_end(struct fh_servers *servers)
{
	bool inherited = fh_servers_are_inherited(servers);

	store_relaxed(&base_of(servers)->closing, true);
	if (!inherited) {
		fh_supervisor_kick(servers);
		fh_server_each(servers, kill_server, NULL);
		fh_servers_wait_threads(servers);
	}
	fh_server_each(servers, give_up, NULL);
	fh_supervisor_close(servers);
}
