/* SPDX-License-Identifier: MIT */
/*
 * server_job: the steps of a job, in which the caller's functions run.
 * Shared by both builds.
 *
 * A job begins when its thread has claimed a server, and ends some time after
 * it has settled it.  Between, it goes from step to step:
 *
 *     START           tell               make shake watch  settle tell decide
 *     RESTART,        tell  drain stop   make shake watch  settle tell decide
 *     RECOVER                 |    |      |     |     |
 *                             |  kill <---+-----+-----+  what failed is
 *                             |    |                     killed, parted with,
 *                             +--> part ---------------> and settled
 *     STOP            tell  drain stop (kill) part         settle tell decide
 *     CRASH           tell  reap              part         settle tell decide
 *
 * Each step says which one follows.  Before it runs, the job notes the step
 * that follows if the caller's function ends the thread: then a cleanup
 * handler, on the same thread, goes on from there with the error -EOWNERDEAD.
 * So all that was acquired is released, waiters are woken, and the server
 * can be restarted, however the thread ended.  The note moves on before each
 * of the caller's functions, so one that ends the thread again, within the
 * handler, does not come a second time.
 *
 * The thread can be cancelled within the caller's functions, as they choose,
 * and nowhere else.
 *
 * After settling, the server is anybody's.  The job looks once more whether
 * its last user has left, or its client is gone, since it was claimed: who
 * did that found it busy and left the consequences to the job (law 5 of
 * server.c).  They are a job of their own, on the same thread.
 */
#include "server_step.h"

#include <errno.h>
#include <stdio.h>

/* The jobs of this thread, the innermost first. */
static _Thread_local struct job *jobs;

/* ---- settling ---- */

static enum step tell_claim(struct job *job)
{
	fh_job_tell(job);
	return fh_job_after_telling(job);
}

/* What was never made need not be ended. */
static void forget_unmade(struct job *job)
{
	struct server_base *server = of_server(job->server);
	struct client *fresh = job->fresh;

	job->fresh = NULL;
	if (!fresh || job->made)
		return;
	if (server->client == fresh)
		server->client = NULL;
	fh_client_unmade(fresh);
}

static void decide_failed(const struct job *job, struct server_outcome *outcome)
{
	struct server_base *server = of_server(job->server);

	outcome->to = FH_SERVER_FAILED;
	if (job->kind == JOB_START || job->kind == JOB_STOP)
		return;
	if (!server->policy.most)
		return;
	outcome->retry_at = fh_recovery_due(&server->policy,
					    &server->recovery, outcome->at);
	if (outcome->retry_at)
		outcome->to = FH_SERVER_BACKOFF;
}

static struct server_outcome outcome_of(const struct job *job)
{
	struct server_outcome outcome = { .error = job->error,
					  .text = job->why, .at = fh_now() };

	if (job->kind == JOB_STOP && !client_of(job))
		outcome.to = FH_SERVER_STOPPED;
	else if (job->error)
		decide_failed(job, &outcome);
	else
		outcome.to = FH_SERVER_RUNNING;
	return outcome;
}

static void count_outcome(const struct job *job, enum fh_server_state to)
{
	bool running = to == FH_SERVER_RUNNING;

	if (job->kind == JOB_CRASH)
		count(job, CRASHED);
	else if (job->kind == JOB_START && running)
		count(job, STARTED);
	else if (job->kind != JOB_STOP)
		count(job, running ? RESTARTED : FAILED);
	else if (to == FH_SERVER_STOPPED)
		count(job, STOPPED);
	if (job->kind == JOB_RECOVER && running)
		count(job, RECOVERED);
}

/* What must be done while nobody else can do anything to the server. */
static void prepare(struct job *job, enum fh_server_state to)
{
	if (to == FH_SERVER_RUNNING) {
		job->running = client_of(job);
		fh_client_hold(job->running);
		if (job->kind != JOB_START && ops_of(job)->restarted)
			job->lease = fh_client_lease(job->running);
	}
	if (job->error && job->guest)
		fh_server_unjoin(job->server);
	if (job->kind == JOB_STOP && to == FH_SERVER_FAILED)
		fh_server_reopen(job->server);
}

static enum step settle(struct job *job)
{
	struct server_outcome outcome;

	forget_unmade(job);
	outcome = outcome_of(job);
	prepare(job, outcome.to);
	count_outcome(job, outcome.to);
	job->owns = false;
	fh_server_settle(job->server, &outcome, &job->event);
	if (outcome.to == FH_SERVER_STOPPED)
		fh_server_remove(job->server);
	if (outcome.to == FH_SERVER_BACKOFF)
		fh_supervisor_kick(of_server(job->server)->servers);
	if (job->settled)
		return TELL_SETTLED;
	job->settled = true;
	job->result = fh_server_verdict(outcome.to) == 0 ||
		      outcome.to == FH_SERVER_STOPPED ? 0 : -EHOSTDOWN;
	job->info = job->event.info;
	return TELL_SETTLED;
}

static enum step tell_settled(struct job *job)
{
	fh_job_tell(job);
	return DECIDE;
}

/* ---- what came up meanwhile ---- */

/* The hook's lease is not needed, or no longer. */
static void return_lease(struct job *job)
{
	struct fh_server_lease *lease = job->lease;

	job->lease = NULL;
	if (lease)
		fh_lease_return(lease);
}

/* The next job of the same thread; there is nothing left to open again. */
static enum step again(struct job *job, enum job_kind kind)
{
	return_lease(job);
	job->kind = kind;
	job->owns = true;
	job->error = job->unstopped = 0;
	job->made = job->guest = false;
	job->why[0] = '\0';
	return TELL_CLAIM;
}

/* Has the client gone between its start and now, unheard? */
static bool claim_crash(struct job *job)
{
	struct client *running = job->running;
	struct server_claim claim = { .to = FH_SERVER_CRASHED };
	bool gone;

	if (!running)
		return false;
	job->running = NULL;
	gone = fh_client_is_gone(running);
	claim.generation = of_client(running)->generation;
	fh_client_drop(running);
	return gone && fh_server_claim(job->server, &claim, &job->event) == 0;
}

/* One that could not be stopped before takes memory to stop again. */
static int claim_stop_at(struct job *job, uint64_t epoch)
{
	struct server_claim claim = { .to = FH_SERVER_STOPPING,
				      .epoch = epoch };
	int rc = fh_server_claim(job->server, &claim, &job->event);

	if (rc != -ENOBUFS)
		return rc;
	rc = fh_client_new(of_server(job->server)->servers, &claim.fresh);
	if (rc)
		return rc;
	rc = fh_server_claim(job->server, &claim, &job->event);
	if (rc)
		fh_client_discard(claim.fresh);
	else
		job->fresh = claim.fresh;
	return rc;
}

/*
 * Of one whose last user has left, at the epoch at which that was so: a stop
 * that fails opens it again, and who comes late must neither stop what others
 * have started since, nor leave it open when it is stopped.
 */
static int claim_stop(struct job *job)
{
	struct fh_server_info info;
	int rc;

	do {
		fh_server_view(job->server, &info);
		if (!fh_server_may_follow(info.state, FH_SERVER_STOPPING) ||
		    !fh_server_is_closed(job->server))
			return -EAGAIN;
		rc = claim_stop_at(job, info.epoch);
	} while (rc == -EAGAIN);
	return rc;
}

static enum step decide(struct job *job)
{
	if (claim_crash(job))
		return again(job, JOB_CRASH);
	if (claim_stop(job) == 0)
		return again(job, JOB_STOP);
	return job->lease ? HOOK : LEAVE;
}

static enum step hook(struct job *job)
{
	char text[FH_SERVER_TEXT];
	struct fh_server_job told;
	struct client_base *client = (struct client_base *)job->lease;

	told = fh_job_brief(job, (struct client *)client, FH_FOREVER, text);
	enter_callers(job);
	ops_of(job)->restarted(&told, client->handle);
	leave_callers(job);
	return LEAVE;
}

/* Each of the two at most once: letting go may call a release function. */
static enum step leave(struct job *job)
{
	struct server *server;

	jobs = job->outer;
	return_lease(job);
	server = job->server;
	job->server = NULL;
	if (server)
		fh_server_drop(server);
	return OVER;
}

/* ---- going from step to step ---- */

static enum step (*const steps[])(struct job *job) = {
	[TELL_CLAIM] = tell_claim,
	[DRAIN] = fh_step_drain,
	[STOP] = fh_step_stop,
	[KILL] = fh_step_kill,
	[REAP] = fh_step_reap,
	[PART] = fh_step_part,
	[MAKE] = fh_step_make,
	[SHAKE] = fh_step_shake,
	[WATCH] = fh_step_watch,
	[SETTLE] = settle,
	[TELL_SETTLED] = tell_settled,
	[DECIDE] = decide,
	[HOOK] = hook,
	[LEAVE] = leave,
};

/* What follows on a step in which the thread ended. */
static enum step after_death(struct job *job)
{
	static const char why[] = "the thread of the job ended";

	fh_job_note(job, -EOWNERDEAD, why);
	switch (job->step) {
	case TELL_CLAIM:
		return fh_job_after_telling(job);
	case STOP:
	case KILL:
		return fh_job_not_ended(job, -EOWNERDEAD, why);
	case REAP:
		return PART;
	case PART:
		return fh_job_after_parting(job);
	case MAKE:
		job->made = of_client(job->fresh)->handle;
		return job->made ? fh_job_harshest(job) : SETTLE;
	case SHAKE:
	case WATCH:
		return fh_job_harshest(job);
	case TELL_SETTLED:
		return DECIDE;
	default:
		return LEAVE;
	}
}

static void carry_on(struct job *job)
{
	while (job->step != OVER)
		job->step = (int)steps[job->step](job);
}

static void thread_ended(void *arg)
{
	struct job *job = arg;

	leave_callers(job);
	fh_server_count(job->servers, ABANDONED);
	job->step = (int)after_death(job);
	carry_on(job);
}

void fh_job_run(struct job *job)
{
	leave_callers(job);
	job->outer = jobs;
	jobs = job;
	pthread_cleanup_push(thread_ended, job);
	carry_on(job);
	pthread_cleanup_pop(0);
	enter_callers(job);
}

bool fh_server_is_mine(const struct server *server)
{
	const struct job *job;

	for (job = jobs; job; job = job->outer)
		if (job->owns && job->server == server)
			return true;
	return false;
}

bool fh_servers_any_mine(const struct fh_servers *servers)
{
	const struct job *job;

	for (job = jobs; job; job = job->outer)
		if (job->servers == servers)
			return true;
	return false;
}

/* ---- claims ---- */

static void prime(struct job *job, struct server *server, enum job_kind kind,
		  int64_t deadline)
{
	*job = (struct job){
		.servers = of_server(server)->servers,
		.server = server, .kind = kind, .step = TELL_CLAIM,
		.owns = true, .deadline = deadline,
	};
}

void fh_job_begin_start(struct job *job, struct server *server,
			struct client *fresh, int64_t deadline)
{
	prime(job, server, JOB_START, deadline);
	job->fresh = fresh;
	job->guest = true;
	job->event.name = of_server(server)->name;
	job->event.to = FH_SERVER_STARTING;
	fh_server_view(server, &job->event.info);
}

int fh_job_claim_stop(struct job *job, struct server *server, int64_t deadline)
{
	prime(job, server, JOB_STOP, deadline);
	return claim_stop(job);
}

int fh_job_claim_restart(struct job *job, struct server *server,
			 enum job_kind kind, uint64_t generation,
			 uint64_t epoch, int64_t deadline)
{
	struct server_claim claim = { .to = FH_SERVER_RESTARTING,
				      .generation = generation,
				      .epoch = epoch };
	int rc;

	prime(job, server, kind, deadline);
	rc = fh_client_new(job->servers, &job->fresh);
	if (rc)
		return rc;
	claim.fresh = job->fresh;
	rc = fh_server_claim(server, &claim, &job->event);
	if (rc)
		fh_client_discard(job->fresh);
	return rc;
}

int fh_job_claim_crash(struct job *job, struct server *server,
		       uint64_t generation, int error, const char *text)
{
	struct server_claim claim = { .to = FH_SERVER_CRASHED,
				      .generation = generation };

	prime(job, server, JOB_CRASH, FH_FOREVER);
	job->error = error;
	snprintf(job->why, sizeof(job->why), "%s", text ? text : "");
	return fh_server_claim(server, &claim, &job->event);
}
