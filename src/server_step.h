/* SPDX-License-Identifier: MIT */
/*
 * server_step: what the two files of a job share.  The essay is in
 * server_job.c.  Internal.
 */
#ifndef FH_SERVER_STEP_H
#define FH_SERVER_STEP_H

#include "server_core.h"

enum step {
	TELL_CLAIM, DRAIN, STOP, KILL, REAP, PART, MAKE, SHAKE, WATCH, SETTLE,
	TELL_SETTLED, DECIDE, HOOK, LEAVE, OVER
};

static inline const struct fh_server_ops *ops_of(const struct job *job)
{
	return of_server(job->server)->ops;
}

/* The client that the job is to end, or has made. */
static inline struct client *client_of(const struct job *job)
{
	return of_server(job->server)->client;
}

static inline void count(const struct job *job, enum server_count what)
{
	fh_server_count(job->servers, what);
}

/* Around each of the caller's functions: cancellation as the thread has it. */
static inline void enter_callers(struct job *job)
{
	pthread_setcancelstate(job->cancel, NULL);
}

static inline void leave_callers(struct job *job)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &job->cancel);
}

/* The first thing that failed is what is kept. */
void fh_job_note(struct job *job, int error, const char *text);

/* What a function is told about this client; @text is what it writes to. */
struct fh_server_job fh_job_brief(struct job *job,
				  const struct client *client,
				  int64_t deadline, char *text);

/* The observer is told of the last transition. */
void fh_job_tell(struct job *job);

/* Which step follows on the first one, and on parting. */
enum step fh_job_after_telling(const struct job *job);
enum step fh_job_after_parting(const struct job *job);

/* The surest way to end a client that there is. */
enum step fh_job_harshest(const struct job *job);

/* Stop or kill, whichever the step is, could not end the client. */
enum step fh_job_not_ended(struct job *job, int error, const char *text);

/* The steps that end a client. */
enum step fh_step_drain(struct job *job);
enum step fh_step_stop(struct job *job);
enum step fh_step_kill(struct job *job);
enum step fh_step_reap(struct job *job);
enum step fh_step_part(struct job *job);

/* The steps that make one. */
enum step fh_step_make(struct job *job);
enum step fh_step_shake(struct job *job);
enum step fh_step_watch(struct job *job);

#endif
