/* SPDX-License-Identifier: MIT */
/*
 * server_step: the steps of a job that end a client, and those that make one.
 * The essay is in server_job.c.  Shared by both builds.
 */
#include "server_step.h"

#include <errno.h>
#include <stdio.h>

/* ---- calling the caller's functions ---- */

static enum fh_server_cause cause_of(enum job_kind kind)
{
	static const enum fh_server_cause causes[] = {
		[JOB_START] = FH_SERVER_START,
		[JOB_RESTART] = FH_SERVER_RESTART,
		[JOB_RECOVER] = FH_SERVER_RECOVERY,
		[JOB_STOP] = FH_SERVER_STOP,
		[JOB_CRASH] = FH_SERVER_CRASH,
	};

	return causes[kind];
}

/* What a function is told about this client. */
struct fh_server_job fh_job_brief(struct job *job, const struct client *client,
				  int64_t deadline, char *text)
{
	struct server_base *server = of_server(job->server);
	struct fh_server_job told = {
		.name = server->name,
		.arg = server->arg,
		.cause = cause_of(job->kind),
		.generation = ((const struct client_base *)client)->generation,
		.deadline = deadline,
		.text = text,
	};

	text[0] = '\0';
	return told;
}

/* The first thing that failed is what is kept. */
void fh_job_note(struct job *job, int error, const char *text)
{
	if (job->error)
		return;
	job->error = error;
	snprintf(job->why, sizeof(job->why), "%s", text);
}

void fh_job_tell(struct job *job)
{
	const struct fh_servers_options *options =
		&base_of(of_server(job->server)->servers)->options;

	if (!options->event)
		return;
	enter_callers(job);
	options->event(&job->event, options->event_arg);
	leave_callers(job);
}

typedef int (*client_function)(struct fh_server_job *job, void *client);

static int call(struct job *job, client_function function, int64_t deadline,
		char *text)
{
	struct client *client = client_of(job);
	struct fh_server_job told = fh_job_brief(job, client, deadline, text);
	int rc;

	if (job->error && job->kind != JOB_CRASH)
		told.cause = FH_SERVER_CLEANUP;
	enter_callers(job);
	rc = function(&told, of_client(client)->handle);
	leave_callers(job);
	return rc;
}

/* ---- ending a client ---- */

enum step fh_job_after_telling(const struct job *job)
{
	if (job->kind == JOB_CRASH)
		return REAP;
	if (client_of(job))
		return DRAIN;
	return job->error || job->kind == JOB_STOP ? SETTLE : MAKE;
}

enum step fh_job_harshest(const struct job *job)
{
	if (ops_of(job)->kill)
		return KILL;
	return ops_of(job)->stop ? STOP : PART;
}

enum step fh_step_drain(struct job *job)
{
	const struct fh_server_limits *limits =
		&of_server(job->server)->limits;
	int64_t until = 0;

	if (limits->lease > 0 && !job->brutal)
		until = fh_server_until(fh_now(), limits->lease,
					job->deadline);
	fh_client_unwatch(client_of(job));
	fh_client_expire(client_of(job));
	if (fh_client_wait_returned(client_of(job), until))
		count(job, OVERDUE);
	return ops_of(job)->stop && !job->brutal ? STOP : fh_job_harshest(job);
}

static int64_t stop_limit(const struct job *job, int64_t deadline)
{
	return fh_server_until(fh_now(), of_server(job->server)->limits.stop,
			       deadline);
}

/* Neither way: the client stays with the server, for the next job. */
static enum step keep(struct job *job)
{
	fh_job_note(job, job->unstopped, job->unstopped_why);
	return SETTLE;
}

enum step fh_job_not_ended(struct job *job, int error, const char *text)
{
	if (!job->unstopped) {
		job->unstopped = error;
		snprintf(job->unstopped_why, sizeof(job->unstopped_why),
			 "%s", text);
	}
	return job->step == STOP && ops_of(job)->kill ? KILL : keep(job);
}

enum step fh_step_stop(struct job *job)
{
	char text[FH_SERVER_TEXT];
	int rc = call(job, ops_of(job)->stop,
		      stop_limit(job, job->deadline), text);

	return rc < 0 ? fh_job_not_ended(job, rc, text) : PART;
}

/* It has as long again, even past the deadline: somebody has to. */
enum step fh_step_kill(struct job *job)
{
	char text[FH_SERVER_TEXT];
	int rc;

	count(job, KILLED);
	rc = call(job, ops_of(job)->kill, stop_limit(job, FH_FOREVER), text);
	return rc < 0 ? fh_job_not_ended(job, rc, text) : PART;
}

enum step fh_step_reap(struct job *job)
{
	char text[FH_SERVER_TEXT] = "";
	int rc = 0;

	fh_client_unwatch(client_of(job));
	fh_client_expire(client_of(job));
	if (ops_of(job)->exited)
		rc = call(job, ops_of(job)->exited, job->deadline, text);
	fh_job_note(job, rc < 0 ? rc : -ECHILD, text);
	if (!job->why[0])
		snprintf(job->why, sizeof(job->why), "%s", text);
	return PART;
}

/* If release ends the thread, the client is no longer the server's. */
enum step fh_job_after_parting(const struct job *job)
{
	return job->error || job->kind == JOB_STOP ? SETTLE : MAKE;
}

enum step fh_step_part(struct job *job)
{
	struct client *client = client_of(job);

	fh_client_unwatch(client);
	fh_client_expire(client);
	of_server(job->server)->client = NULL;
	if (client == job->fresh)
		job->fresh = NULL;
	job->unstopped = 0;
	enter_callers(job);
	fh_client_end(client);
	leave_callers(job);
	return fh_job_after_parting(job);
}

/* ---- making one ---- */

enum step fh_step_make(struct job *job)
{
	struct server_base *server = of_server(job->server);
	struct client_base *fresh = of_client(job->fresh);
	char text[FH_SERVER_TEXT];
	struct fh_server_job told;
	int rc;

	job->limit = fh_server_until(fh_now(), server->limits.start,
				     job->deadline);
	told = fh_job_brief(job, job->fresh, job->limit, text);
	server->client = job->fresh;
	enter_callers(job);
	rc = server->ops->start(&told, &fresh->handle);
	leave_callers(job);
	job->made = rc >= 0 || fresh->handle;
	if (rc >= 0)
		return SHAKE;
	fh_job_note(job, rc, text);
	return job->made ? fh_job_harshest(job) : SETTLE;
}

enum step fh_step_shake(struct job *job)
{
	char text[FH_SERVER_TEXT];
	int rc = 0;

	if (ops_of(job)->handshake)
		rc = call(job, ops_of(job)->handshake, job->limit, text);
	if (rc >= 0)
		return WATCH;
	fh_job_note(job, rc, text);
	return fh_job_harshest(job);
}

enum step fh_step_watch(struct job *job)
{
	struct client *client = client_of(job);
	int descriptor, rc;

	if (!ops_of(job)->watch)
		return SETTLE;
	enter_callers(job);
	descriptor = ops_of(job)->watch(of_client(client)->handle,
					of_server(job->server)->arg);
	leave_callers(job);
	rc = descriptor < 0 ? descriptor :
			      fh_client_watch(client, descriptor);
	if (rc >= 0)
		return SETTLE;
	fh_job_note(job, rc, "it cannot be watched");
	return fh_job_harshest(job);
}
