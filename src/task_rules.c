/* SPDX-License-Identifier: MIT */
/* task_rules: requests, reports, threads, the same for both builds. */
#include "task_rules.h"

#include "atomic.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIMIT_MOST INT32_MAX
#define NS_PER_S INT64_C(1000000000)

static _Atomic(uint64_t) forks;

static void count_fork(void)
{
	add_relaxed(&forks, 1);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

uint64_t fh_task_forks(void)
{
	return load_relaxed(&forks);
}

const struct task_result fh_task_vanished = {
	.report = { .state = FH_TASK_CRASHED, .error = -EOWNERDEAD,
		    .cause = "thread death" },
};

const struct task_result fh_task_unstarted = {
	.report = { .state = FH_TASK_CANCELLED, .error = -ECANCELED,
		    .cause = "cancelled before it ran" },
};

int fh_task_check_options(const struct fh_tasks_options *options,
			  struct fh_tasks_options *complete)
{
	static const struct fh_tasks_options none;

	*complete = options ? *options : none;
	if (complete->limit == 0)
		complete->limit = FH_TASKS_LIMIT;
	if (complete->threads > FH_TASKS_THREADS ||
	    complete->limit > LIMIT_MOST || complete->sweep_every < 0)
		return -EINVAL;
	return 0;
}

int fh_task_check_request(const struct fh_task_request *request)
{
	if (!request || !request->run)
		return -EINVAL;
	if (request->queue != FH_TASK_THREAD && request->queue != FH_TASK_MAIN)
		return -EINVAL;
	return 0;
}

int fh_task_check_report(const struct fh_task_report *report)
{
	if (!report || report->error > 0)
		return -EINVAL;
	switch (report->state) {
	case FH_TASK_COMPLETED:
		return report->error ? -EINVAL : 0;
	case FH_TASK_FAILED:
	case FH_TASK_CANCELLED:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Static, and the same in every language. */
static const char *describe(int error)
{
	const char *text = strerrordesc_np(-error);

	return text ? text : "unknown error";
}

static void complete(struct fh_task_report *report, const char *cause)
{
	if (report->state == FH_TASK_CANCELLED && !report->error)
		report->error = -ECANCELED;
	if (report->state == FH_TASK_FAILED && !report->error)
		report->error = -EIO;
	if (report->state != FH_TASK_COMPLETED && !cause)
		cause = describe(report->error);
	report->cause = report->state == FH_TASK_COMPLETED ? NULL : cause;
}

void fh_task_by_return(struct fh_task_report *report, int rc,
		       const char *cause)
{
	if (rc > 0)
		rc = -EPROTO;
	report->state = rc == 0 ? FH_TASK_COMPLETED :
			rc == -ECANCELED ? FH_TASK_CANCELLED : FH_TASK_FAILED;
	report->error = rc;
	complete(report, cause);
}

void fh_task_by_errno(struct fh_task_report *report, int error)
{
	report->state = FH_TASK_FAILED;
	report->error = error;
	complete(report, NULL);
}

struct task_result *fh_task_copy_report(const struct fh_task_report *report)
{
	size_t length = report->cause ? strlen(report->cause) + 1 : 0;
	struct task_result *copy = malloc(sizeof(*copy) + length);

	if (!copy)
		return NULL;
	copy->report = *report;
	copy->allocated = true;
	if (length)
		copy->report.cause = memcpy(copy + 1, report->cause, length);
	complete(&copy->report, copy->report.cause);
	return copy;
}

char *fh_task_copy_text(const char *text)
{
	size_t length = strlen(text) + 1;
	char *copy = malloc(length);

	return copy ? memcpy(copy, text, length) : NULL;
}

void fh_task_release_output(const struct fh_task_report *report)
{
	if (report->output && report->release)
		report->release(report->output);
}

/* ---- threads ---- */

static _Thread_local struct fh_task *self;

struct fh_task *fh_task_self(void)
{
	return self;
}

void fh_task_set_self(struct fh_task *task)
{
	self = task;
}

int fh_task_attributes(const struct fh_tasks_options *options,
		       pthread_attr_t *attributes)
{
	sigset_t mask;

	if (pthread_attr_init(attributes))
		return -ENOMEM;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	if (pthread_attr_setsigmask_np(attributes, &mask))
		return -ENOMEM;
	if (options->stack_size &&
	    pthread_attr_setstacksize(attributes, options->stack_size))
		return -EINVAL;
	return 0;
}

int fh_task_call(struct fh_task *task, fh_task_function run, void *arg)
{
	int rc, state;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	rc = run(task, arg);
	pthread_setcancelstate(state, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
	return rc;
}

#ifdef FH_TSAN
/* It does not know the call below, and would miss the thread. */
static bool join_until(pthread_t thread, int64_t deadline)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	while (pthread_tryjoin_np(thread, NULL)) {
		if (fh_now() >= deadline)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}
#else
static bool join_until(pthread_t thread, int64_t deadline)
{
	const struct timespec until = { deadline / NS_PER_S,
					deadline % NS_PER_S };

	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) ==
	       0;
}
#endif

bool fh_task_join(pthread_t thread, int64_t deadline)
{
	if (deadline <= 0)
		return pthread_tryjoin_np(thread, NULL) == 0;
	if (deadline == FH_FOREVER)
		return pthread_join(thread, NULL) == 0;
	return join_until(thread, deadline);
}

int64_t fh_task_patience(int64_t deadline)
{
	int64_t soon = fh_deadline_in(TASK_PATIENCE_NS);

	return deadline < soon ? deadline : soon;
}

/* One after the other: the last one of them to end is waited for anyway. */
int fh_task_wait_all(struct fh_task *const *task, size_t count,
		     int64_t deadline, size_t *ended)
{
	struct fh_task_info info;
	size_t i, done = 0;
	int rc, failed = 0;

	for (i = 0; i < count; i++) {
		rc = failed ? 0 : fh_task_wait(task[i], deadline, NULL);
		if (rc)
			failed = rc;
		fh_task_get_info(task[i], &info);
		done += FH_TASK_IS_OVER(info.state);
	}
	if (ended)
		*ended = done;
	return failed;
}
