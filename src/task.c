/* SPDX-License-Identifier: MIT */
/*
 * task: functions on threads, each with exactly one end.
 *
 * This file has the essay, the memory of tasks, and what looks at one; the
 * list of the others is in task_internal.h.
 *
 *     by_id ----> task --+-- cell: state, who was asked, who watches
 *     by_name --/   ^    +-- result: NULL, then how it ended; constant
 *                   |    +-- node: its place in a queue
 *     queue --------/    +-- thread[]: the one that it has for itself
 *
 * The life of a task is one status cell.  A state's number has two flags
 * above the state, so that asking a task to end, and its end, are changes of
 * one word, and have one order:
 *
 *     bits  field    set by                      cleared
 *     0-2   state    see below                   -
 *     3     ASKED    cancel, before the end      never
 *     4     WATCHED  wait_any, before the end    never; may be set although
 *                                                nobody watches any more: the
 *                                                end then wakes for nothing
 *
 *     state      means                  follows            changed by
 *     UNSEEN     being submitted        creation           submit
 *     QUEUED     has its turn to come   UNSEEN             submit
 *     LAUNCHED   somebody took it       QUEUED             who runs it, or
 *                                                          creates its thread
 *     RUNNING    its thread says so     LAUNCHED           its thread
 *     CANCELLED  taken out              QUEUED             cancel
 *     the four   over                   LAUNCHED, RUNNING  whose result is in
 *
 * Invariants
 *
 *  I1. What a QUEUED task becomes is decided by one compare-exchange of the
 *      cell: launch against cancel.  A launched task never becomes QUEUED.
 *  I2. How a launched task ends is decided by one compare-exchange of
 *      `result`, from NULL.  The winner alone moves the cell on, to the state
 *      that the result names; nobody else moves it then, but for the flags.
 *      Who loses was too late, even if the cell does not say so yet.
 *  I3. So a result is in place before the state that announces it, and a
 *      state that is over never changes.
 *  I4. A thread is named in no place that a sweep or a hook reads before the
 *      thread itself has entered itself there.  It reports its own end as its
 *      last act; what a sweep finds is a thread that the kernel does not know
 *      any more and that has not reported.  A thread that has yet to start
 *      has said nothing, and nobody can say it for it.
 *
 * Laws of memory
 *
 *  1. A task has references and holds.  References keep its content: the
 *      argument, the output.  Holds keep its memory: one for all references
 *      together, one for by_id, one for the queue that it was pushed to.
 *  2. The last reference releases the content on the spot, the last hold
 *      retires the memory.  So who finds a task in a read section may look at
 *      its memory, and may take a reference only while there is one.
 *  3. A task that is submitted has one reference for whoever will run it.  It
 *      is handed on: submitter, queue, thread.
 *  4. A supervisor lives as long as its owner, its gate and its threads: the
 *      gate gives its reference back when it is closed and the last task is
 *      no longer live, which happens once.
 *
 * Laws of order
 *
 *  5. An end is, in this order: result, place in the limit, cell, maps,
 *      observer, gate.  So who was woken by the cell can submit again at
 *      once: the place is free, and the name is taken over from one that is
 *      over.  The gate comes last, so that a shutdown waits for observers.
 *  6. Observers are told by one thread at a time and in order: each change
 *      adds one to `telling`, who finds 0 there tells until it is 0 again,
 *      on behalf of the others.  Which change is next follows from the
 *      number of those told and from the cell.
 *  7. No lost wake-up, four times in the same way: who sleeps announces it,
 *      fences, and looks again; who brings work fences, and then looks for
 *      the announcement.  Pool, main thread, shutdown's request against a
 *      submission, and the seats that are vacant (see task_pool.c).
 *
 * Progress: launch, run, end and cancel retry only because another change of
 * the same word succeeded, and each flag is set once.  Looking is one load of
 * the cell and plain loads.  Creating and joining threads is the system's.
 */
#include "task_internal.h"

#include <errno.h>
#include <stdlib.h>

/* ---- memory ---- */

void fh_task_hold(struct fh_task *task)
{
	add_relaxed(&task->refs, 1);
}

bool fh_task_try_hold(struct fh_task *task)
{
	uint32_t refs = load_relaxed(&task->refs);

	do {
		if (refs == 0)
			return false;
	} while (!cas_relaxed(&task->refs, &refs, refs + 1));
	return true;
}

/* After a grace period: texts and all. */
void fh_task_reclaim(struct fh_rcu_head *head)
{
	struct fh_task *task = (struct fh_task *)((char *)head -
				offsetof(struct fh_task, rcu));
	const struct task_result *result = load_relaxed(&task->result);

	if (result && result->allocated)
		free((void *)(uintptr_t)result);
	free(task->own_cause);
	free(task);
}

void fh_task_unhold(struct fh_task *task)
{
	/* pairs with: task.holds (releases to the last holder) */
	if (sub_acq_rel(&task->holds, 1) == 1)
		/* pairs with: task.holds (acquired from the others) */
		fh_rcu_retire(&task->rcu, fh_task_reclaim);
}

/* The function's own output too, if its report came too late. */
static void release_content(struct fh_task *task)
{
	const struct task_result *result = load_relaxed(&task->result);

	if (result && !load_relaxed(&task->taken))
		fh_task_release_output(&result->report);
	if (result != &task->own)
		fh_task_release_output(&task->own.report);
	if (task->release)
		task->release(task->arg);
}

void fh_task_release(struct fh_task *task)
{
	if (!task)
		return;
	/* pairs with: task.refs (releases to the last one) */
	if (sub_acq_rel(&task->refs, 1) != 1)
		return;
	/* pairs with: task.refs (acquired from the others) */
	release_content(task);
	fh_task_unhold(task);
}

/* ---- looking ---- */

/* I3: who has seen it over sees the result; NULL: it was taken out. */
static const struct fh_task_report *report_of(struct fh_task *task)
{
	/* pairs with: task.result */
	const struct task_result *result = load_acquire(&task->result);

	return result ? &result->report : &fh_task_unstarted.report;
}

static void describe_end(struct fh_task *task, struct fh_task_info *info)
{
	const struct fh_task_report *report = report_of(task);

	info->error = report->error;
	info->cause = report->cause;
	info->ended = report == &fh_task_unstarted.report ?
			      load_relaxed(&task->taken_out) : 0;
	if (!info->ended)
		info->ended = load_relaxed(&task->ended);
}

void fh_task_describe(struct fh_task *task, struct fh_status_snapshot seen,
		      struct fh_task_info *info)
{
	*info = (struct fh_task_info){
		.id = task->by_id.key.word[0],
		.name = task->name,
		.arg = task->arg,
		.state = (enum fh_task_state)state_of(seen),
		.queue = task->queue,
		.asked = (seen.state & TASK_ASKED) != 0,
		.submitted = task->submitted,
	};
	if (info->state >= FH_TASK_RUNNING)
		info->started = task->started;
	if (FH_TASK_IS_OVER(info->state))
		describe_end(task, info);
}

void fh_task_get_info(struct fh_task *task, struct fh_task_info *info)
{
	fh_task_describe(task, fh_status_read(&task->cell), info);
}

int fh_task_is_cancelled(struct fh_task *task)
{
	return (fh_status_get(&task->cell) & TASK_ASKED) != 0;
}

int fh_task_take(struct fh_task *task, struct fh_task_report *report)
{
	if (!FH_TASK_IS_OVER(state_of(fh_status_read(&task->cell))))
		return -EBUSY;
	if (swap_relaxed(&task->taken, true))
		return -EALREADY;
	*report = *report_of(task);
	return 0;
}

/* ---- what the function says before it returns ---- */

static bool is_inside(struct fh_task *task)
{
	return fh_task_self() == task &&
	       state_of(fh_status_read(&task->cell)) >= FH_TASK_RUNNING;
}

int fh_task_set_output(struct fh_task *task, void *output,
		       void (*release)(void *output))
{
	struct fh_task_report *own = &task->own.report, before;

	if (!is_inside(task))
		return -EPERM;
	before = *own;
	own->output = output;
	own->release = release;
	fh_task_release_output(&before);
	return 0;
}

int fh_task_set_cause(struct fh_task *task, const char *cause)
{
	char *copy;

	if (!is_inside(task))
		return -EPERM;
	copy = fh_task_copy_text(cause);
	if (!copy)
		return -ENOMEM;
	free(task->own_cause);
	task->own_cause = copy;
	return 0;
}
