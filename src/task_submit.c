/* SPDX-License-Identifier: MIT */
/*
 * task_submit: how a task comes into being and how it is found; counts.
 *
 * The gate of a supervisor is one word:
 *
 *      63       62           32 31           0
 *     +--------+---------------+--------------+
 *     | CLOSED |    places     |     live     |
 *     +--------+---------------+--------------+
 *
 *     CLOSED  by close, never cleared; then neither of the others rises
 *     places  tasks that count for the limit: from submission to the end, or
 *             to the turn in the queue of one that was taken out
 *     live    from submission until the observer was told of the end
 *
 * Whoever makes the word "closed, none live" drains the supervisor; since
 * live does not rise any more, that is one thread, once.
 *
 * A task enters two maps, of which the second may refuse it.  So it begins as
 * UNSEEN: whoever finds it then keeps quiet about it, but for one: a second
 * submission under its name is refused already.  When it is in both maps it
 * becomes QUEUED, by one change of its cell, and from then on exists for all.
 * A submission that fails on the way has been seen by nobody.
 *
 * A name whose task is over is free, also while the task is still in the map:
 * who wants it takes the old one out.
 */
#include "rcu_internal.h"
#include "task_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES(gate) ((gate) >> 32 & INT32_MAX)
#define LIVE(gate) ((gate) & UINT32_MAX)

static int gate_enter(struct fh_tasks *tasks)
{
	uint64_t gate = load_relaxed(&tasks->gate);

	do {
		if (gate & GATE_CLOSED)
			return -ESHUTDOWN;
		if (PLACES(gate) >= tasks->options.limit) {
			fh_counter_add(&tasks->refused, 1);
			return -EBUSY;
		}
		/* pairs with: tasks.gate */
	} while (!cas_acq_rel_relaxed(&tasks->gate, &gate,
				      gate + GATE_PLACE + GATE_LIVE));
	return 0;
}

void fh_task_give_back(struct fh_tasks *tasks, uint64_t what)
{
	/* pairs with: tasks.gate */
	uint64_t gate = sub_acq_rel(&tasks->gate, what) - what;

	if ((what & GATE_LIVE) && (gate & GATE_CLOSED) && LIVE(gate) == 0)
		fh_tasks_drained(tasks);
}

void fh_tasks_close(struct fh_tasks *tasks)
{
	uint64_t gate;

	if (is_forked(tasks->forks))
		return;
	/* pairs with: tasks.gate */
	gate = or_acq_rel(&tasks->gate, GATE_CLOSED);
	if (!(gate & GATE_CLOSED) && LIVE(gate) == 0)
		fh_tasks_drained(tasks);
}

/* ---- a new task ---- */

/* Has it a thread for itself, or a turn in a queue? */
static bool is_alone(const struct fh_tasks *tasks,
		     const struct fh_task_request *request)
{
	return tasks->options.threads == 0 &&
	       request->queue == FH_TASK_THREAD;
}

static struct fh_task *task_new(struct fh_tasks *tasks,
				const struct fh_task_request *request)
{
	bool alone = is_alone(tasks, request);
	size_t length = request->name ? strlen(request->name) + 1 : 0;
	struct fh_task *task = malloc(sizeof(*task) + length +
				      alone * sizeof(task->thread[0]));
	char *name;

	if (!task)
		return NULL;
	memset(task, 0, sizeof(*task));
	task->cell = (struct fh_status)FH_STATUS_INIT(TASK_UNSEEN);
	task->tasks = tasks;
	task->forks = tasks->forks;
	task->run = request->run;
	task->arg = request->arg;
	task->release = request->release;
	task->queue = request->queue;
	task->submitted = fh_now();
	task->alone = alone;
	if (alone)
		task->thread[0] = (struct task_thread){
			.tasks = tasks, .own = task, .seat = NO_SEAT };
	if (!length)
		return task;
	name = memcpy(&task->thread[alone], request->name, length);
	task->name = name;
	task->by_name.key = fh_key_string(name);
	return task;
}

/* References: for who runs it, for the caller; holds: see task.c. */
static void count_first(struct fh_task *task, bool wanted)
{
	store_relaxed(&task->refs, 1u + wanted);
	store_relaxed(&task->holds, 2u + !task->alone);
}

/* ---- the maps ---- */

/* In a read section: 1: the one there is over, and out of the way now. */
static int meet(struct fh_tasks *tasks, struct fh_map_entry *present)
{
	if (!task_is_over(fh_status_read(&task_by_name(present)->cell)))
		return -EEXIST;
	return fh_map_remove_entry(tasks->by_name, present) == -EAGAIN ?
		       -EAGAIN : 1;
}

static int enter_name(struct fh_tasks *tasks, struct fh_task *task)
{
	struct fh_map_entry *present;
	int rc;

	if (!task->name)
		return 0;
	do {
		fh_rcu_read_lock();
		rc = fh_map_insert(tasks->by_name, &task->by_name, &present);
		if (rc == -EEXIST)
			rc = meet(tasks, present);
		fh_rcu_read_unlock();
	} while (rc > 0);
	return rc;
}

/* -EFAULT and -E2BIG: there is no such place for it, as without memory. */
static int as_told(int rc)
{
	return rc == 0 || rc == -EEXIST || rc == -EAGAIN ? rc : -ENOMEM;
}

static int enter_maps(struct fh_tasks *tasks, struct fh_task *task,
		      bool *seen)
{
	int rc = enter_name(tasks, task);

	if (rc)
		return rc;
	*seen = task->name;
	task->by_id.key = fh_key_u64(add_relaxed(&tasks->last_id, 1) + 1);
	rc = fh_map_insert(tasks->by_id, &task->by_id, NULL);
	if (rc && task->name)
		fh_map_remove_entry(tasks->by_name, &task->by_name);
	return rc;
}

/*
 * With room for all that it may have to take out again, itself included: it
 * is retired if a map had it, and otherwise freed at once, so that refusals
 * are no garbage.
 */
static int enlist(struct fh_tasks *tasks, struct fh_task *task)
{
	struct fh_room room;
	bool seen = false;
	int rc = fh_room_take(&room, 7);

	if (rc == 0)
		rc = as_told(enter_maps(tasks, task, &seen));
	if (seen && rc)
		fh_rcu_retire(&task->rcu, fh_task_reclaim);
	else if (rc)
		fh_task_reclaim(&task->rcu);
	fh_room_leave(&room, 0);
	return rc;
}

/* ---- submission ---- */

static void launch_alone(struct fh_task *task)
{
	int rc;

	if (!fh_task_launch(task)) {
		fh_task_give_back(task->tasks, GATE_PLACE);
		fh_task_release(task);
		return;
	}
	rc = fh_task_thread_start(task->thread);
	if (rc == 0)
		return;
	fh_task_refuse(task, rc);
	fh_task_release(task);
}

/* The reference for who runs it is handed on. */
static void hand_on(struct fh_task *task)
{
	struct fh_tasks *tasks = task->tasks;

	if (task->queue == FH_TASK_MAIN) {
		fh_task_queue_push(&tasks->mained, task);
		fh_main_wake(tasks);
	} else if (tasks->options.threads) {
		fh_task_queue_push(&tasks->pooled, task);
		fh_pool_staff(tasks);
	} else {
		fh_task_reap(tasks, 0);
		launch_alone(task);
	}
}

/* From here on it is a task for all, and cannot fail to be one. */
static void publish(struct fh_task *task)
{
	struct fh_tasks *tasks = task->tasks;

	fh_counter_add(&tasks->submitted, 1);
	fh_status_set(&task->cell, FH_TASK_QUEUED);
	fh_task_tell(task, FH_TASK_QUEUED);
	fence_seq_cst(); /* law 7 of task.c */
	if (load_relaxed(&tasks->stopping))
		fh_task_cancel(task);
	hand_on(task);
}

static int submit(struct fh_tasks *tasks, struct fh_task *task)
{
	int rc = gate_enter(tasks);

	if (rc) {
		fh_task_reclaim(&task->rcu);
		return rc;
	}
	rc = enlist(tasks, task);
	if (rc)
		fh_task_give_back(tasks, GATE_PLACE + GATE_LIVE);
	else
		publish(task);
	return rc;
}

int fh_task_submit(struct fh_tasks *tasks,
		   const struct fh_task_request *request,
		   struct fh_task **handle)
{
	struct fh_task *task;
	int rc = fh_task_check_request(request);

	if (rc)
		return rc;
	if (is_forked(tasks->forks))
		return -ECHILD;
	task = task_new(tasks, request);
	if (!task)
		return -ENOMEM;
	count_first(task, handle != NULL);
	rc = submit(tasks, task);
	if (rc == 0 && handle)
		*handle = task;
	return rc;
}

/* ---- search ---- */

static int hold_found(struct fh_task *task, struct fh_task **found)
{
	unsigned state = state_of(fh_status_read(&task->cell));

	if (state > FH_TASK_RUNNING || !fh_task_try_hold(task))
		return -ENOENT;
	*found = task;
	return 0;
}

int fh_tasks_find(struct fh_tasks *tasks, const char *name,
		  struct fh_task **task)
{
	struct fh_map_entry *entry;
	int rc = -ENOENT;

	fh_rcu_read_lock();
	entry = fh_map_lookup(tasks->by_name, fh_key_string(name));
	if (entry)
		rc = hold_found(task_by_name(entry), task);
	fh_rcu_read_unlock();
	return rc;
}

int fh_tasks_get(struct fh_tasks *tasks, uint64_t id, struct fh_task **task)
{
	struct fh_map_entry *entry;
	int rc = -ENOENT;

	fh_rcu_read_lock();
	entry = fh_map_lookup(tasks->by_id, fh_key_u64(id));
	if (entry)
		rc = hold_found(task_by_id(entry), task);
	fh_rcu_read_unlock();
	return rc;
}

struct listing {
	int (*visit)(const struct fh_task_info *info, void *arg);
	void *arg;
	size_t visited;
	bool stop;
};

static int list_one(struct fh_map_entry *entry, void *arg)
{
	struct fh_task *task = task_by_id(entry);
	struct fh_status_snapshot seen = fh_status_read(&task->cell);
	struct listing *listing = arg;
	struct fh_task_info info;

	if (listing->stop || state_of(seen) > FH_TASK_RUNNING)
		return listing->stop;
	fh_task_describe(task, seen, &info);
	listing->visited++;
	listing->stop = listing->visit(&info, listing->arg) != 0;
	return listing->stop;
}

size_t fh_tasks_for_each(struct fh_tasks *tasks,
			 int (*visit)(const struct fh_task_info *info,
				      void *arg),
			 void *arg)
{
	struct listing listing = { .visit = visit, .arg = arg };
	struct fh_map_cursor cursor = { 0 };

	fh_map_walk(tasks->by_id, &cursor, 0, list_one, &listing);
	return listing.visited;
}

/* ---- counts ---- */

static uint64_t at_least_0(uint64_t all, uint64_t gone)
{
	return all > gone ? all - gone : 0;
}

/* What is taken off is read first, so that no difference is negative. */
void fh_tasks_get_stats(struct fh_tasks *tasks, struct fh_tasks_stats *stats)
{
	uint64_t ended[4], over = 0, taken_out, launched;
	unsigned i;

	for (i = 0; i < 4; i++) {
		ended[i] = (uint64_t)fh_counter_read(&tasks->ended[i]);
		over += ended[i];
	}
	taken_out = (uint64_t)fh_counter_read(&tasks->taken_out);
	launched = (uint64_t)fh_counter_read(&tasks->launched);
	*stats = (struct fh_tasks_stats){
		.submitted = (uint64_t)fh_counter_read(&tasks->submitted),
		.completed = ended[0],
		.failed = ended[1],
		.cancelled = ended[2] + taken_out,
		.crashed = ended[3],
		.dropped = (uint64_t)fh_counter_read(&tasks->dropped),
		.refused = (uint64_t)fh_counter_read(&tasks->refused),
		.swept = (uint64_t)fh_counter_read(&tasks->swept),
		.threads = load_relaxed(&tasks->threads),
		.created = (uint64_t)fh_counter_read(&tasks->created),
	};
	stats->live = at_least_0(stats->submitted, over + taken_out);
	stats->queued = at_least_0(stats->submitted, launched + taken_out);
	stats->running = at_least_0(launched, over);
}
