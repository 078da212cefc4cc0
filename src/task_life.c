/* SPDX-License-Identifier: MIT */
/*
 * task_life: the supervisor itself: creation, shutdown, its last moment.
 *
 *     open --close--> closed --last task told--> drained --> threads leave,
 *                                                            are joined
 *
 * A shutdown waits for two things, one after the other: the phase, which
 * whoever drains the supervisor changes, and the threads, each of which
 * changes `exits` as it leaves.  While it waits it wakes up now and then for
 * a sweep, because a thread that vanished past its hook tells nobody.
 *
 * Law 7 of task.c for a shutdown that cancels: it says so, fences, and then
 * asks all tasks that it finds in the map; a submission that came through the
 * gate before it was closed enters its task into the map, fences, and looks
 * whether somebody said so.
 */
#include "task_internal.h"

#include <errno.h>
#include <stdlib.h>

/* ---- creation ---- */

static int make_maps(struct fh_tasks *tasks)
{
	const struct fh_map_options by_name = { .keys = FH_KEYS_BYTES };
	int rc = fh_map_create(&tasks->by_id, NULL);

	if (rc == 0)
		rc = fh_map_create(&tasks->by_name, &by_name);
	return rc == -EIO ? -ENOMEM : rc;
}

static int start_sweeper(struct fh_tasks *tasks)
{
	struct task_thread *thread = &tasks->sweeper;

	*thread = (struct task_thread){ .tasks = tasks, .seat = NO_SEAT,
					.sweeps = true };
	return tasks->options.sweep_every ? fh_task_thread_start(thread) : 0;
}

/* Two references: the owner's and the gate's. */
static int fill(struct fh_tasks *tasks)
{
	int rc = fh_task_attributes(&tasks->options, &tasks->attr);

	if (rc == 0)
		rc = make_maps(tasks);
	if (rc == 0)
		rc = fh_pool_create(tasks);
	if (rc)
		return rc;
	tasks->main = pthread_self();
	tasks->main_thread.tasks = tasks;
	tasks->main_thread.seat = NO_SEAT;
	tasks->forks = fh_task_forks();
	fh_task_queue_init(&tasks->pooled);
	fh_task_queue_init(&tasks->mained);
	store_relaxed(&tasks->refs, 2);
	return start_sweeper(tasks);
}

static void unhold_entry(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	fh_task_unhold(task_by_id(entry));
}

static void empty(struct fh_tasks *tasks)
{
	fh_map_destroy(tasks->by_name, NULL, NULL);
	fh_map_destroy(tasks->by_id, unhold_entry, NULL);
	fh_pool_destroy(tasks);
	pthread_attr_destroy(&tasks->attr);
	free(tasks);
}

int fh_tasks_create(struct fh_tasks **tasks,
		    const struct fh_tasks_options *options)
{
	struct fh_tasks_options complete;
	struct fh_tasks *fresh;
	int rc = fh_task_check_options(options, &complete);

	if (rc)
		return rc;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	fresh->options = complete;
	rc = fill(fresh);
	if (rc)
		empty(fresh);
	else
		*tasks = fresh;
	return rc;
}

/* ---- the last moment ---- */

static void empty_and_release(struct fh_tasks *tasks)
{
	void (*release)(void *) = tasks->options.release;
	void *arg = tasks->options.observer_arg;

	empty(tasks);
	if (release)
		release(arg);
}

/* Nobody uses it any more: what is in the queues was taken out before. */
static void finish(struct fh_tasks *tasks)
{
	fh_task_queue_destroy(&tasks->pooled);
	fh_task_queue_destroy(&tasks->mained);
	empty_and_release(tasks);
}

void fh_tasks_drop(struct fh_tasks *tasks)
{
	/* pairs with: tasks.refs (releases to the last one) */
	if (sub_acq_rel(&tasks->refs, 1) == 1)
		/* pairs with: tasks.refs (acquired from the others) */
		finish(tasks);
}

bool fh_tasks_are_drained(struct fh_tasks *tasks)
{
	return fh_status_get(&tasks->phase) == PHASE_DRAINED;
}

/* Called once: the pool goes home, and who waits for it is told. */
void fh_tasks_drained(struct fh_tasks *tasks)
{
	fh_status_set(&tasks->phase, PHASE_DRAINED);
	fh_point("tasks.drained");
	fh_pool_wake_all(tasks);
	fh_main_wake(tasks);
	fh_tasks_drop(tasks);
}

/* ---- asking everybody to end ---- */

#define PAGE 64

/* A page of a walk: tasks that were not asked yet, with a reference each. */
struct page {
	struct fh_task *task[PAGE];
	size_t count;
	bool full;		/* there were more than it holds */
};

static int add_to_page(struct fh_map_entry *entry, void *arg)
{
	struct fh_task *task = task_by_id(entry);
	struct fh_status_snapshot seen = fh_status_read(&task->cell);
	struct page *page = arg;

	if (state_of(seen) > FH_TASK_RUNNING || seen.state & TASK_ASKED)
		return 0;
	if (page->count == PAGE)
		page->full = true;
	else if (fh_task_try_hold(task))
		page->task[page->count++] = task;
	return page->count == PAGE;
}

static void cancel_page(struct page *page)
{
	size_t i;

	for (i = 0; i < page->count; i++) {
		fh_task_cancel(page->task[i]);
		fh_task_release(page->task[i]);
	}
}

/* A bucket may have more than a page: then the walk begins again. */
static void cancel_all(struct fh_tasks *tasks)
{
	struct fh_map_cursor cursor = { 0 };

	store_relaxed(&tasks->stopping, true);
	fence_seq_cst();
	while (!cursor.done) {
		struct page page = { .count = 0 };

		fh_map_walk(tasks->by_id, &cursor, 0, add_to_page, &page);
		cancel_page(&page);
		if (page.full)
			cursor = (struct fh_map_cursor){ 0 };
	}
}

/* ---- shutdown ---- */

/* What is in the queues was taken out; let it go now and not at the end. */
static void empty_queues(struct fh_tasks *tasks)
{
	fh_task_queue_next(&tasks->pooled);
	fh_task_queue_next(&tasks->mained);
}

static int wait_drained(struct fh_tasks *tasks, int64_t deadline)
{
	bool here = fh_main_is_here(tasks);
	int64_t until;
	int rc;

	for (;;) {
		until = fh_task_patience(deadline);
		if (here)
			rc = fh_main_run(tasks, until);
		else
			rc = fh_status_wait(&tasks->phase,
					    FH_STATE(PHASE_DRAINED), until,
					    NULL);
		if (rc != -ETIMEDOUT || until == deadline)
			return rc;
		fh_tasks_sweep(tasks);
	}
}

static int wait_threads(struct fh_tasks *tasks, int64_t deadline)
{
	struct fh_status_snapshot seen;
	int rc;

	for (;;) {
		seen = fh_status_read(&tasks->exits);
		fh_task_reap(tasks, deadline);
		/* pairs with: tasks.threads */
		if (load_acquire(&tasks->threads) == 0)
			return 0;
		if (fh_now() >= deadline)
			return -ETIMEDOUT;
		rc = fh_status_wait_change(&tasks->exits, seen.epoch,
					   fh_task_patience(deadline), NULL);
		if (rc)
			fh_tasks_sweep(tasks);
	}
}

int fh_tasks_shutdown_wait(struct fh_tasks *tasks, enum fh_tasks_shutdown how,
			   int64_t deadline,
			   int (*left)(const struct fh_task_info *info,
				       void *arg),
			   void *arg)
{
	struct fh_task *self = fh_task_self();
	int rc;

	if (how != FH_TASKS_DRAIN && how != FH_TASKS_CANCEL)
		return -EINVAL;
	if (is_forked(tasks->forks))
		return -ECHILD;
	if (self && self->tasks == tasks)
		return -EDEADLK;
	fh_tasks_close(tasks);
	if (how == FH_TASKS_CANCEL)
		cancel_all(tasks);
	rc = wait_drained(tasks, deadline);
	if (rc == 0) {
		empty_queues(tasks);
		rc = wait_threads(tasks, deadline);
	}
	if (rc == -ETIMEDOUT && left)
		fh_tasks_for_each(tasks, left, arg);
	return rc;
}

void fh_tasks_destroy(struct fh_tasks *tasks)
{
	if (!tasks)
		return;
	if (is_forked(tasks->forks)) {
		/* Nobody else is there to give anything back. */
		empty_and_release(tasks);
		return;
	}
	fh_tasks_close(tasks);
	cancel_all(tasks);
	fh_task_abandon_threads(tasks);
	fh_tasks_drop(tasks);
}
