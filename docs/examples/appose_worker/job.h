/* SPDX-License-Identifier: MIT */
/*
 * job: one EXECUTE, from its request to its terminal response, and what its
 * script can ask of the worker.
 */
#ifndef JOB_H
#define JOB_H

#include "request.h"
#include "worker.h"

#include <freehold/task.h>

struct job;

/*
 * Have the request executed, and answered; what it holds passes to the job.
 * Whatever goes wrong becomes a response.
 */
void job_submit(struct worker *worker, struct request *request);

/* A task that is none fails.  Waits for memory if there is none. */
void job_refuse(struct worker *worker, const char *id, const char *why);

/* Ask the task of this id to end.  -ENOENT: there is none. */
int job_ask(struct worker *worker, const char *id);

/* Is there a task of this id that has not ended? */
bool job_is_live(struct worker *worker, const char *id);

/* What fh_tasks_create is to be given, with the worker as its argument. */
void job_observe(struct fh_task *task, const struct fh_task_info *info,
		 void *worker);

/* ------------------------------------------------- for the job's script */

const char *job_id(const struct job *job);
const struct request *job_request(const struct job *job);
struct worker *job_worker(const struct job *job);

/* Was it asked to end? */
bool job_is_asked(const struct job *job);

/* Has it gone on for too long since, or is the service gone? */
bool job_is_overdue(struct job *job);

/* Sleep until then, or until it is asked to end. */
void job_sleep(struct job *job, int64_t deadline);

/* Report progress; @fields is released.  Nothing is sent after the end. */
void job_update(struct job *job, json_t *fields);

/*
 * Report the end, once; the script runs on.  A later report is dropped.
 * -ENOMEM: no memory.
 */
int job_end(struct job *job, enum fh_task_state state, const char *cause);

/* Has the script reported its end? */
bool job_has_ended(const struct job *job);

#endif
