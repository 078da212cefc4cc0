/* SPDX-License-Identifier: MIT */
/*
 * task_state: what changes a task's word, and who hears of it.  The
 * invariants and laws are those of task.c.
 */
#include "task_internal.h"

#include <errno.h>
#include <stdlib.h>

/* From one state to another, flags and all; false: it is in a third. */
static bool move(struct fh_task *task, unsigned from, unsigned to)
{
	struct fh_status_snapshot seen = fh_status_read(&task->cell);

	do {
		if (state_of(seen) != from)
			return false;
	} while (fh_status_compare_exchange(&task->cell, &seen,
					    to | (seen.state & TASK_FLAGS)));
	return true;
}

/* ---- observers ---- */

/* Was it cancelled by one change, flag and state? */
static bool was_taken_out(struct fh_task *task,
			  struct fh_status_snapshot seen)
{
	return state_of(seen) == FH_TASK_CANCELLED &&
	       !load_relaxed(&task->result);
}

/* Law 6: the state that change number @number, from 1 on, led to. */
static unsigned state_after(struct fh_task *task, unsigned number,
			    struct fh_status_snapshot *seen)
{
	unsigned changes;

	*seen = fh_status_read(&task->cell);
	changes = (unsigned)seen->epoch;
	changes -= (seen->state & TASK_WATCHED) != 0;
	changes -= (seen->state & TASK_ASKED) && !was_taken_out(task, *seen);
	if (number == changes)
		return state_of(*seen);
	return FH_TASK_QUEUED + number - 1;
}

static void tell_one(struct fh_task *task, unsigned state,
		     struct fh_status_snapshot seen)
{
	struct fh_tasks *tasks = task->tasks;
	struct fh_task_info info;

	seen.state = state | (seen.state & TASK_ASKED);
	fh_task_describe(task, seen, &info);
	tasks->options.observer(task, &info, tasks->options.observer_arg);
	if (FH_TASK_IS_OVER(state))
		fh_task_give_back(tasks, GATE_LIVE);
}

static void tell_in_order(struct fh_task *task)
{
	struct fh_status_snapshot seen;
	unsigned state;

	/* pairs with: task.telling */
	if (add_acq_rel(&task->telling, 1))
		return;
	do {
		state = state_after(task, ++task->told, &seen);
		tell_one(task, state, seen);
		/* pairs with: task.telling */
	} while (sub_acq_rel(&task->telling, 1) != 1);
}

void fh_task_tell(struct fh_task *task, unsigned state)
{
	if (task->tasks->options.observer)
		tell_in_order(task);
	else if (FH_TASK_IS_OVER(state))
		fh_task_give_back(task->tasks, GATE_LIVE);
}

/* ---- maps ---- */

static bool unname(struct fh_task *task)
{
	return !task->name || fh_map_remove_entry(task->tasks->by_name,
						  &task->by_name) != -EAGAIN;
}

void fh_task_unlist(struct fh_task *task)
{
	if (unname(task) &&
	    fh_map_remove_entry(task->tasks->by_id, &task->by_id) == 0)
		fh_task_unhold(task);
}

/* ---- ends ---- */

/* Law 5, behind the change of the cell; @seen: what it was before. */
static void ended(struct fh_task *task, struct fh_status_snapshot seen,
		  unsigned state)
{
	fh_point("task.ended");
	if (seen.state & TASK_WATCHED)
		fh_watch_wake();
	if (!task_has_thread(task))
		fh_task_unlist(task); /* or who joins the thread does */
	fh_task_tell(task, state);
}

bool fh_task_conclude(struct fh_task *task, const struct task_result *result)
{
	struct fh_tasks *tasks = task->tasks;
	const struct task_result *none = NULL;
	struct fh_status_snapshot seen;
	unsigned state = result->report.state;

	/* pairs with: task.result */
	if (!cas_acq_rel_acquire(&task->result, &none, result)) {
		fh_counter_add(&tasks->dropped, 1);
		return false;
	}
	fh_point("task.result");
	store_relaxed(&task->ended, fh_now());
	fh_counter_add(&tasks->ended[state - FH_TASK_COMPLETED], 1);
	fh_task_give_back(tasks, GATE_PLACE);
	seen = fh_status_read(&task->cell);
	while (fh_status_compare_exchange(&task->cell, &seen, state |
					  (seen.state & TASK_FLAGS)))
		;
	ended(task, seen, state);
	return true;
}

void fh_task_refuse(struct fh_task *task, int error)
{
	fh_task_by_errno(&task->own.report, error);
	fh_task_conclude(task, &task->own);
}

int fh_task_end(struct fh_task *task, const struct fh_task_report *report)
{
	unsigned state = state_of(fh_status_read(&task->cell));
	struct task_result *result;

	if (fh_task_check_report(report))
		return -EINVAL;
	if (state < FH_TASK_RUNNING)
		return -EBUSY;
	if (FH_TASK_IS_OVER(state)) {
		fh_counter_add(&task->tasks->dropped, 1);
		return -EALREADY;
	}
	if (is_forked(task->forks))
		return -ECHILD;
	result = fh_task_copy_report(report);
	if (!result)
		return -ENOMEM;
	if (fh_task_conclude(task, result))
		return 0;
	free(result);
	return -EALREADY;
}

/* I1. */
int fh_task_cancel(struct fh_task *task)
{
	struct fh_status_snapshot seen = fh_status_read(&task->cell);
	unsigned state, next;

	do {
		state = state_of(seen);
		if (FH_TASK_IS_OVER(state))
			return -ESRCH;
		if (seen.state & TASK_ASKED)
			return -EALREADY;
		if (is_forked(task->forks))
			return -ECHILD;
		next = seen.state | TASK_ASKED;
		if (state == FH_TASK_QUEUED) {
			store_relaxed(&task->taken_out, fh_now());
			next = FH_TASK_CANCELLED | (next & TASK_FLAGS);
		}
	} while (fh_status_compare_exchange(&task->cell, &seen, next));
	if (state != FH_TASK_QUEUED)
		return 0;
	fh_counter_add(&task->tasks->taken_out, 1);
	ended(task, seen, FH_TASK_CANCELLED);
	return 0;
}

/* ---- launch, run ---- */

bool fh_task_launch(struct fh_task *task)
{
	if (!move(task, FH_TASK_QUEUED, FH_TASK_LAUNCHED))
		return false;
	fh_counter_add(&task->tasks->launched, 1);
	fh_task_tell(task, FH_TASK_LAUNCHED);
	return true;
}

static void run_and_report(struct fh_task *task)
{
	int rc;

	task->started = fh_now();
	move(task, FH_TASK_LAUNCHED, FH_TASK_RUNNING);
	fh_task_tell(task, FH_TASK_RUNNING);
	rc = fh_task_call(task, task->run, task->arg);
	fh_task_by_return(&task->own.report, rc, task->own_cause);
	fh_task_conclude(task, &task->own);
}

void fh_task_run(struct task_thread *thread, struct fh_task *task)
{
	struct fh_task *outer = fh_task_self();

	thread->task = task;
	fh_task_set_self(task);
	fh_point("task.there");
	if (fh_task_is_cancelled(task))
		fh_task_conclude(task, &fh_task_unstarted);
	else
		run_and_report(task);
	fh_task_set_self(outer);
	thread->task = NULL;
	fh_task_release(task);
}
