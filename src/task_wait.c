/* SPDX-License-Identifier: MIT */
/*
 * task_wait: sleeping until tasks end, or until one is asked to.
 *
 * One task has a cell to sleep on.  For several there is one cell of the
 * process: who wants to sleep for several sets WATCHED in each of their
 * cells, and the end of a task that has it set changes the common cell.
 *
 * No lost wake-up: the watcher reads the common epoch first, then sets the
 * flag by a compare-exchange that fails if the task has ended.  So an end
 * either comes before, and is seen, or finds the flag, and changes the epoch
 * after it was read.  Several watchers wake each other up in vain; tasks that
 * nobody watches wake nobody.
 */
#include "task_internal.h"

#include <errno.h>

/* Every number of a state that is over, whatever its flags. */
#define OVER_AT(flags) (UINT64_C(0x78) << (flags))
#define OVER (OVER_AT(0) | OVER_AT(8) | OVER_AT(16) | OVER_AT(24))
#define ASKED (UINT64_C(0xff00) | UINT64_C(0xff000000))

_Static_assert(FH_TASK_COMPLETED == 3 && FH_TASK_CRASHED == 6 &&
	       TASK_ASKED == 8 && TASK_WATCHED == 16, "as the sets have it");

static struct fh_status watched;

void fh_watch_wake(void)
{
	fh_status_set(&watched, 0);
}

/* May the calling thread wait for the end of this task? */
static int may_wait(struct fh_task *task, struct fh_status_snapshot seen)
{
	if (task_is_over(seen))
		return 0;
	if (is_forked(task->forks))
		return -ECHILD;
	return fh_task_self() == task ? -EDEADLK : 0;
}

int fh_task_wait(struct fh_task *task, int64_t deadline,
		 struct fh_task_info *info)
{
	struct fh_status_snapshot seen = fh_status_read(&task->cell);
	int rc = may_wait(task, seen);

	if (rc == 0)
		rc = fh_status_wait(&task->cell, OVER, deadline, &seen);
	if (info)
		fh_task_describe(task, seen, info);
	return rc;
}

int fh_task_cancel_wait(struct fh_task *task, int64_t deadline)
{
	struct fh_status_snapshot seen;
	int rc;

	if (is_forked(task->forks) && fh_task_self() != task)
		return -ECHILD;
	rc = fh_status_wait(&task->cell, OVER | ASKED, deadline, &seen);
	if (rc)
		return rc;
	return seen.state & TASK_ASKED ? 0 : -ESRCH;
}

/* Set the flag, unless the task has ended: then true. */
static bool watch(struct fh_task *task)
{
	struct fh_status_snapshot seen = fh_status_read(&task->cell);

	while (!task_is_over(seen) && !(seen.state & TASK_WATCHED))
		if (fh_status_compare_exchange(&task->cell, &seen,
					       seen.state | TASK_WATCHED) == 0)
			return false;
	return task_is_over(seen);
}

/* 0: one has ended; -EAGAIN: none, and all are watched; or why not. */
static int look_at_all(struct fh_task *const *task, size_t count,
		       size_t *index)
{
	int rc, none = -EDEADLK;

	for (*index = 0; *index < count; ++*index) {
		struct fh_task *one = task[*index];

		rc = may_wait(one, fh_status_read(&one->cell));
		if (rc == -ECHILD)
			none = rc;
		if (rc)
			continue;
		if (watch(one))
			return 0;
		none = -EAGAIN;
	}
	return none;
}

int fh_task_wait_any(struct fh_task *const *task, size_t count,
		     int64_t deadline, size_t *index)
{
	struct fh_status_snapshot seen;
	int rc, timeout = 0;
	size_t first;

	if (count == 0)
		return -EINVAL;
	for (;;) {
		seen = fh_status_read(&watched);
		rc = look_at_all(task, count, &first);
		if (rc != -EAGAIN || timeout)
			break;
		fh_point("task.watching");
		timeout = fh_status_wait_change(&watched, seen.epoch, deadline,
						NULL);
	}
	if (rc == 0)
		*index = first;
	return rc == -EAGAIN ? timeout : rc;
}
