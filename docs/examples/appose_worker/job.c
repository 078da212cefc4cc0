/* SPDX-License-Identifier: MIT */
/*
 * job: see job.h.
 *
 *     EXECUTE -> job_submit -> fh_task_submit
 *                                   |            thread death, no thread,
 *                run: LAUNCH, script, return     CANCEL while queued, ...
 *                                   |                   |
 *                                   v                   v
 *                      the supervisor: the first report of an end wins
 *                                   |
 *                                   v
 *                      job_observe: one terminal response
 *
 * That each task gets exactly one terminal response is the supervisor's
 * doing: nothing but its observer sends one, and it sees one end.
 *
 * The last thing that can go wrong is that there is no memory for a response.
 * So each job brings two along from its beginning, one for the launch and one
 * for an end without memory; and a request that cannot even become a job is
 * refused as soon as there is memory to say so.
 */
#include "job.h"
#include "script.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * @launch:   what to say first; NULL: said
 * @last:     what to say if there is no memory for more; likewise
 * @ended:    the script has reported its end; its own thread's alone
 * @overdue:  when it must have ended; 0: it was not asked to; likewise
 */
struct job {
	struct worker *worker;
	struct request request;
	struct response *launch;
	struct response *last;
	struct fh_task *task;
	bool ended;
	int64_t overdue;
};

const char *job_id(const struct job *job)
{
	return job->request.task;
}

const struct request *job_request(const struct job *job)
{
	return &job->request;
}

struct worker *job_worker(const struct job *job)
{
	return job->worker;
}

bool job_is_asked(const struct job *job)
{
	return fh_task_is_cancelled(job->task);
}

bool job_is_overdue(struct job *job)
{
	if (fh_status_get(&job->worker->life) == WORKER_IS_ABANDONED)
		return true;
	if (!job_is_asked(job))
		return false;
	if (!job->overdue)
		job->overdue = fh_deadline_in(job->worker->options.grace);
	return fh_now() >= job->overdue;
}

void job_sleep(struct job *job, int64_t deadline)
{
	fh_task_cancel_wait(job->task, deadline);
}

void job_update(struct job *job, json_t *fields)
{
	if (job->ended)
		json_decref(fields);
	else
		outlet_put(job->worker->responses,
			   response_new(job_id(job), "UPDATE", fields),
			   OUTLET_WAIT);
}

int job_end(struct job *job, enum fh_task_state state, const char *cause)
{
	const struct fh_task_report report = {
		.state = state,
		.cause = cause,
	};
	int rc = fh_task_end(job->task, &report);

	if (rc != -ENOMEM)
		job->ended = true;
	return rc == -ENOMEM ? rc : 0;
}

bool job_has_ended(const struct job *job)
{
	return job->ended;
}

/* --------------------------------------------------------------- running */

static void release_json(void *json)
{
	json_decref(json);
}

/*
 * The script has ended its thread.  What there was of it is released, so the
 * thread may really end, and the supervisor will notice.  The main thread has
 * others to run: there the script has failed, in the same words.
 */
static int exit_thread(struct fh_task *task, const struct job *job)
{
	if (!job->request.main)
		pthread_exit(NULL);
	fh_task_set_cause(task, "thread death");
	return -EOWNERDEAD;
}

static int run(struct fh_task *task, void *arg)
{
	struct script_result result;
	struct job *job = arg;

	job->task = task;
	outlet_put(job->worker->responses, job->launch, OUTLET_WAIT);
	job->launch = NULL;
	script_run(job, &result);
	switch (result.how) {
	case SCRIPT_DONE:
		fh_task_set_output(task, result.outputs, release_json);
		return 0;
	case SCRIPT_FAILED:
		fh_task_set_cause(task, result.error ? result.error :
				  "not enough memory");
		free(result.error);
		return -EIO;
	case SCRIPT_OVERDUE:
		return -ECANCELED;
	case SCRIPT_EXITED:
		break;
	}
	return exit_thread(task, job);
}

/* ---------------------------------------------------------------- ending */

static struct response *completion(struct fh_task *task, const char *id)
{
	struct fh_task_report report;
	json_t *fields;

	if (fh_task_take(task, &report))
		return NULL;
	fields = json_object();
	if (report.output && json_object_set_new(fields, "outputs",
						 report.output) == 0)
		return response_new(id, "COMPLETION", fields);
	json_decref(fields);
	return NULL;
}

static struct response *terminal(struct fh_task *task,
				 const struct fh_task_info *info,
				 const char *id)
{
	if (info->state == FH_TASK_COMPLETED)
		return completion(task, id);
	if (info->state == FH_TASK_CANCELLED)
		return response_new(id, "CANCELATION", NULL);
	return response_failure(id, info->cause);
}

void job_observe(struct fh_task *task, const struct fh_task_info *info,
		 void *arg)
{
	struct worker *worker = arg;
	struct job *job = info->arg;
	struct response *response;

	if (!FH_TASK_IS_OVER(info->state))
		return;
	response = terminal(task, info, job_id(job));
	if (!response) {
		response = job->last;
		job->last = NULL;
	}
	outlet_put(worker->responses, response, OUTLET_WAIT);
}

static void release(void *arg)
{
	struct job *job = arg;

	request_release(&job->request);
	free(job->launch);
	free(job->last);
	free(job);
}

/* ------------------------------------------------------------ submitting */

void job_refuse(struct worker *worker, const char *id, const char *why)
{
	const struct timespec nap = { .tv_nsec = 1000 * 1000 };
	struct response *response;

	while (!(response = response_failure(id, why)))
		nanosleep(&nap, NULL);
	outlet_put(worker->responses, response, OUTLET_WAIT);
}

/* The supervisor did not take it. */
static void not_submitted(struct worker *worker, const char *id, int rc)
{
	char why[128];

	switch (rc) {
	case -EEXIST:
		/* A response would end the task that has the id. */
		worker_log(worker, "Task already exists: %s", id);
		return;
	case -EBUSY:
		snprintf(why, sizeof(why), "Too many tasks: the limit is %zu",
			 worker->options.max_tasks);
		break;
	default:
		snprintf(why, sizeof(why), "Cannot start the task: %s",
			 strerror(-rc));
	}
	job_refuse(worker, id, why);
}

static struct job *job_new(struct worker *worker, struct request *request)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->launch = response_new(request->task, "LAUNCH", NULL);
	job->last = response_failure(request->task, "not enough memory");
	if (!job->launch || !job->last) {
		release(job);
		return NULL;
	}
	job->worker = worker;
	job->request = *request;
	return job;
}

void job_submit(struct worker *worker, struct request *request)
{
	struct job *job = job_new(worker, request);
	int rc;

	if (!job) {
		not_submitted(worker, request->task, -ENOMEM);
		request_release(request);
		return;
	}
	rc = fh_task_submit(worker->tasks, &(struct fh_task_request){
		.run = run,
		.arg = job,
		.release = release,
		.name = request->task,
		.queue = request->main ? FH_TASK_MAIN : FH_TASK_THREAD,
	}, NULL);
	request->root = NULL;
	if (!rc)
		return;
	not_submitted(worker, request->task, rc);
	release(job);
}

bool job_is_live(struct worker *worker, const char *id)
{
	struct fh_task *task;

	if (fh_tasks_find(worker->tasks, id, &task))
		return false;
	fh_task_release(task);
	return true;
}

int job_ask(struct worker *worker, const char *id)
{
	struct fh_task *task;
	int rc = fh_tasks_find(worker->tasks, id, &task);

	if (rc)
		return rc;
	rc = fh_task_cancel(task);
	fh_task_release(task);
	return rc == -ESRCH ? -ENOENT : 0;
}
