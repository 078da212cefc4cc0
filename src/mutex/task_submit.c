/* SPDX-License-Identifier: MIT */
/*
 * task_submit, the mutex twin: submission, search, listing, counts.
 *
 * What can fail is done before the lock is taken, or first of all under it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "task_internal.h"

/* ---- the tables: with the lock ---- */

static uint64_t hash_name(const struct fh_tasks *tasks, const char *name)
{
	return fh_hash_bytes(&tasks->hash, fh_key_string(name));
}

static uint64_t hash_id(const struct fh_tasks *tasks, uint64_t id)
{
	return fh_hash_u64(&tasks->hash, fh_key_u64(id));
}

static struct fh_task *by_name(const struct fh_tasks *tasks, const char *name)
{
	uint64_t hash = hash_name(tasks, name);
	struct fh_slot *slot = fh_table_home(&tasks->by_name, hash);

	for (; (slot = fh_slot_find(slot, hash)); slot++)
		if (!strcmp(((struct fh_task *)slot->item)->name, name))
			return slot->item;
	return NULL;
}

static struct fh_task *by_id(const struct fh_tasks *tasks, uint64_t id)
{
	uint64_t hash = hash_id(tasks, id);
	struct fh_slot *slot = fh_table_home(&tasks->by_id, hash);

	for (; (slot = fh_slot_find(slot, hash)); slot++)
		if (((struct fh_task *)slot->item)->id == id)
			return slot->item;
	return NULL;
}

static void remove_item(struct fh_table *table, uint64_t hash,
			const struct fh_task *task)
{
	struct fh_slot *slot = fh_table_home(table, hash);

	while (slot->item != task)
		slot++;
	fh_table_remove(table, slot);
}

void fh_task_unlist(struct fh_task *task)
{
	struct fh_tasks *tasks = task->tasks;

	remove_item(&tasks->by_id, task->id_hash, task);
	if (task->name)
		remove_item(&tasks->by_name, task->name_hash, task);
}

static int enlist(struct fh_tasks *tasks, struct fh_task *task)
{
	int rc;

	if (task->name && by_name(tasks, task->name))
		return -EEXIST;
	task->id = tasks->last_id + 1;
	task->id_hash = hash_id(tasks, task->id);
	rc = fh_table_insert(&tasks->by_id, task->id_hash, task);
	if (rc || !task->name)
		return rc;
	task->name_hash = hash_name(tasks, task->name);
	rc = fh_table_insert(&tasks->by_name, task->name_hash, task);
	if (rc)
		remove_item(&tasks->by_id, task->id_hash, task);
	return rc;
}

/* ---- submission ---- */

static struct fh_task *task_new(struct fh_tasks *tasks,
				const struct fh_task_request *request)
{
	size_t length = request->name ? strlen(request->name) + 1 : 0;
	struct fh_task *task = malloc(sizeof(*task) + length);

	if (!task)
		return NULL;
	memset(task, 0, sizeof(*task));
	task->tasks = tasks;
	task->run = request->run;
	task->arg = request->arg;
	task->release = request->release;
	task->queue = request->queue;
	task->submitted = fh_now();
	task->changes = 1;
	pthread_cond_init(&task->changed.cond, NULL);
	if (length)
		task->name = memcpy(task + 1, request->name, length);
	return task;
}

static void task_free(struct fh_task *task)
{
	pthread_cond_destroy(&task->changed.cond);
	free(task);
}

/* With the lock: all that can refuse a task. */
static int admit(struct fh_tasks *tasks, struct fh_task *task)
{
	int rc;

	if (tasks->closed)
		return -ESHUTDOWN;
	if (tasks->places >= tasks->options.limit) {
		tasks->stats.refused++;
		return -EBUSY;
	}
	rc = enlist(tasks, task);
	if (rc)
		return rc == -EEXIST ? rc : -ENOMEM;
	tasks->last_id++;
	tasks->places++;
	tasks->live++;
	tasks->refs++;
	tasks->stats.submitted++;
	return 0;
}

static void push(struct task_queue *queue, struct fh_task *task)
{
	task->link = queue->end;
	*queue->end = task;
	queue->end = &task->next;
	queue->count++;
}

/* Without the lock: a thread for this task alone; @thread is used up. */
static void start_alone(struct fh_task *task, struct task_thread *thread)
{
	pthread_mutex_t *lock = &task->tasks->lock;
	int rc;

	thread->task = task;
	rc = fh_task_thread_start(thread);
	if (rc == 0)
		return;
	free(thread);
	pthread_mutex_lock(lock);
	fh_task_refuse(task, rc);
	pthread_mutex_unlock(lock);
	fh_task_release(task);
}

/* With the lock: to its queue; true: it is launched, for its own thread. */
static bool hand_on(struct fh_task *task)
{
	struct fh_tasks *tasks = task->tasks;

	if (task->queue == FH_TASK_MAIN) {
		push(&tasks->mained, task);
		event_tell(&tasks->main_work);
		return false;
	}
	if (tasks->options.threads) {
		push(&tasks->pooled, task);
		fh_pool_staff(tasks);
		return false;
	}
	fh_task_launch(task);
	return true;
}

/* The observer may have cancelled it, so it may not come that far. */
static void publish(struct fh_task *task, struct task_thread *thread)
{
	struct fh_tasks *tasks = task->tasks;
	bool taken_out, launched = false;

	fh_task_tell(task);
	if (tasks->stopping)
		fh_task_ask(task);
	taken_out = FH_TASK_IS_OVER(task->state);
	if (!taken_out) {
		if (thread)
			fh_task_reap(tasks, 0);
		launched = hand_on(task);
	}
	pthread_mutex_unlock(&tasks->lock);
	if (launched)
		start_alone(task, thread);
	else
		free(thread);
	if (taken_out)
		fh_task_release(task);
}

static int submit(struct fh_tasks *tasks, struct fh_task *task,
		  struct task_thread *thread)
{
	int rc;

	pthread_mutex_lock(&tasks->lock);
	rc = admit(tasks, task);
	if (rc == 0) {
		publish(task, thread);
		return 0;
	}
	pthread_mutex_unlock(&tasks->lock);
	free(thread);
	task_free(task);
	return rc;
}

int fh_task_submit(struct fh_tasks *tasks,
		   const struct fh_task_request *request,
		   struct fh_task **handle)
{
	struct task_thread *thread = NULL;
	struct fh_task *task;
	bool alone;
	int rc = fh_task_check_request(request);

	if (rc)
		return rc;
	if (is_forked(tasks))
		return -ECHILD;
	alone = request->queue == FH_TASK_THREAD && !tasks->options.threads;
	if (alone) {
		thread = calloc(1, sizeof(*thread));
		if (!thread)
			return -ENOMEM;
		thread->tasks = tasks;
	}
	task = task_new(tasks, request);
	if (!task) {
		free(thread);
		return -ENOMEM;
	}
	store_relaxed(&task->refs, 1u + (handle != NULL));
	rc = submit(tasks, task, thread);
	if (rc == 0 && handle)
		*handle = task;
	return rc;
}

/* ---- search ---- */

/* With the lock; what is in a table is not over. */
static int hold_found(struct fh_task *found, struct fh_task **task)
{
	if (!found)
		return -ENOENT;
	fh_task_hold(found);
	*task = found;
	return 0;
}

int fh_tasks_find(struct fh_tasks *tasks, const char *name,
		  struct fh_task **task)
{
	int rc;

	pthread_mutex_lock(&tasks->lock);
	rc = hold_found(by_name(tasks, name), task);
	pthread_mutex_unlock(&tasks->lock);
	return rc;
}

int fh_tasks_get(struct fh_tasks *tasks, uint64_t id, struct fh_task **task)
{
	int rc;

	pthread_mutex_lock(&tasks->lock);
	rc = hold_found(by_id(tasks, id), task);
	pthread_mutex_unlock(&tasks->lock);
	return rc;
}

#define PAGE 64

/* With the lock: some tasks, with a reference each. */
static size_t next_page(struct fh_tasks *tasks, struct fh_table_place *place,
			void **page)
{
	size_t i, count = fh_table_page(&tasks->by_id, place, UINT64_MAX, page,
					PAGE);

	for (i = 0; i < count; i++)
		fh_task_hold(page[i]);
	return count;
}

/* A task that ended since its page was taken is left out. */
static bool look(struct fh_task *task, struct fh_task_info *info)
{
	fh_task_get_info(task, info);
	return !FH_TASK_IS_OVER(info->state);
}

size_t fh_tasks_for_each(struct fh_tasks *tasks,
			 int (*visit)(const struct fh_task_info *info,
				      void *arg),
			 void *arg)
{
	struct fh_table_place place = { .hash = 0 };
	struct fh_task_info info;
	void *page[PAGE];
	size_t i, count, visited = 0;
	bool stop = false;

	while (!place.end && !stop) {
		pthread_mutex_lock(&tasks->lock);
		count = next_page(tasks, &place, page);
		pthread_mutex_unlock(&tasks->lock);
		for (i = 0; i < count; i++) {
			if (!stop && look(page[i], &info)) {
				visited++;
				stop = visit(&info, arg) != 0;
			}
			fh_task_release(page[i]);
		}
	}
	return visited;
}

/* ---- counts ---- */

void fh_tasks_get_stats(struct fh_tasks *tasks, struct fh_tasks_stats *stats)
{
	uint64_t over;

	pthread_mutex_lock(&tasks->lock);
	*stats = tasks->stats;
	over = stats->completed + stats->failed + stats->cancelled +
	       stats->crashed;
	stats->live = stats->submitted - over;
	stats->queued = stats->submitted - tasks->launched;
	stats->running = tasks->launched - over;
	pthread_mutex_unlock(&tasks->lock);
}
