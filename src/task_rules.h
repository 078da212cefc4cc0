/* SPDX-License-Identifier: MIT */
/*
 * task_rules: what both builds of the supervisor agree on.  Internal.
 *
 * Besides what the functions decide, both builds keep to this:
 *
 *  - A submission looks at its request, then at fork, then at closure and
 *    limit, then at memory, then at the name.
 *  - A function that returns makes a report like any other: where another
 *    came first it is dropped, and counted.  So is the end of its thread.
 *  - A task that was asked to end before its thread runs it is cancelled and
 *    does not run.
 *  - What a crashed or overruled function had set as output is released.
 *  - A task that ended is in no listing and is not found.
 */
#ifndef FH_TASK_RULES_H
#define FH_TASK_RULES_H

#include <freehold/task.h>

#include <pthread.h>
#include <stdbool.h>

/* A pause after which who waits for threads looks for vanished ones. */
#define TASK_PATIENCE_NS INT64_C(100000000)

/* How a task ended; constant from its publication on. */
struct task_result {
	struct fh_task_report report;
	bool allocated;		/* it is freed with the task */
};

/* What nobody has to allocate. */
extern const struct task_result fh_task_vanished;	/* thread death */
extern const struct task_result fh_task_unstarted;	/* cancelled */

/* Copies with the defaults filled in; @options may be NULL.  0 or -EINVAL. */
int fh_task_check_options(const struct fh_tasks_options *options,
			  struct fh_tasks_options *complete);

/* 0 or -EINVAL. */
int fh_task_check_request(const struct fh_task_request *request);
int fh_task_check_report(const struct fh_task_report *report);

/* What a function says by returning @rc; @cause: what it set, or NULL. */
void fh_task_by_return(struct fh_task_report *report, int rc,
		       const char *cause);

/* What pthread_create says; @error is negative. */
void fh_task_by_errno(struct fh_task_report *report, int error);

/* A copy of the report on the heap, its cause with it; NULL: no memory. */
struct task_result *fh_task_copy_report(const struct fh_task_report *report);

/* A copy of a text, for free; NULL: no memory. */
char *fh_task_copy_text(const char *text);

/* The output goes to its release function, if there are both. */
void fh_task_release_output(const struct fh_task_report *report);

/* How many forks lie between this process and the first one. */
uint64_t fh_task_forks(void);

/* Which task the calling thread is in, from now on. */
void fh_task_set_self(struct fh_task *task);

/*
 * What threads are started with: the stack that the options ask for, and the
 * caller's mask of signals.  0, -ENOMEM or -EINVAL.
 */
int fh_task_attributes(const struct fh_tasks_options *options,
		       pthread_attr_t *attributes);

/* The function: the only place where its thread may be cancelled. */
int fh_task_call(struct fh_task *task, fh_task_function run, void *arg);

/* Join the thread, if it is dead by the deadline; 0 only looks. */
bool fh_task_join(pthread_t thread, int64_t deadline);

/* The earlier one of @deadline and a short while from now. */
int64_t fh_task_patience(int64_t deadline);

#endif
