/* SPDX-License-Identifier: MIT */
/*
 * What the files of the lock-free supervisor share; the essay is in task.c.
 *
 *     task.c         memory, and looking at a task
 *     task_state.c   the word: launch, run, end, cancel; observers
 *     task_queue.c   queues of tasks
 *     task_thread.c  threads: their beginning, their end, joining, the sweep
 *     task_pool.c    seats of a pool: who sleeps, who is woken
 *     task_main.c    the main queue
 *     task_wait.c    waiting for tasks
 *     task_submit.c  submission, search, listing, counts
 *     task_life.c    the supervisor: creation, closure, shutdown
 */
#ifndef FH_TASK_INTERNAL_H
#define FH_TASK_INTERNAL_H

#include <freehold/counter.h>
#include <freehold/map.h>
#include <freehold/status.h>
#include <freehold/task.h>

#include "atomic.h"
#include "task_rules.h"

#include <pthread.h>

/* What a state's number has besides enum fh_task_state; see task_state.c. */
#define TASK_UNSEEN 7u		/* being submitted: nobody may know of it */
#define TASK_STATE 7u
#define TASK_ASKED 8u
#define TASK_WATCHED 16u
#define TASK_FLAGS (TASK_ASKED | TASK_WATCHED)

struct task_node {
	_Atomic(struct task_node *) next;
};

/* First in, first out; any number of threads at both ends. */
struct task_queue {
	_Atomic(struct task_node *) head;
	char pad_[120];
	_Atomic(struct task_node *) tail;
	struct task_node stub;	/* the node before the first task */
	char pad2_[112];
};

/* Who says what of a thread; see task_thread.c. */
enum { THREAD_THERE, THREAD_LEAVES, THREAD_VANISHED, THREAD_BURIED };

#define NO_SEAT (~0u)

struct task_thread {
	struct fh_tasks *tasks;
	struct fh_task *task;	/* whose function it runs */
	struct fh_task *own;	/* it is for this task alone, and lies in it */
	pthread_t id;
	_Atomic(int32_t) tid;	/* 0: it has not said that it is there */
	_Atomic(uint32_t) fate;
	unsigned seat;
	bool sweeps;		/* the thread of the supervisor */
	struct task_thread *next; /* of those that left, not yet joined */
	struct fh_rcu_head rcu;
};

struct fh_task {
	struct fh_map_entry by_id;
	struct fh_status cell;
	_Atomic(const struct task_result *) result;
	_Atomic(uint32_t) refs, holds;
	struct task_node node;
	struct fh_tasks *tasks;
	uint64_t forks;
	fh_task_function run;
	void *arg;
	int64_t submitted, started;
	_Atomic(int64_t) ended, taken_out;
	_Atomic(uint32_t) telling;
	unsigned told;		/* by who tells */
	_Atomic(bool) taken;
	bool alone;		/* it is to have a thread for itself */
	enum fh_task_queue queue;
	struct task_result own;	/* of the function's return */
	char *own_cause;
	void (*release)(void *arg);
	const char *name;
	struct fh_map_entry by_name;
	struct fh_rcu_head rcu;
	struct task_thread thread[]; /* none in a pool; the name behind it */
};

struct seat {
	_Atomic(uint32_t) park;	/* what its thread sleeps on */
	_Atomic(struct task_thread *) thread;
	char pad_[48];
};

/* The gate's word; see task_submit.c. */
#define GATE_CLOSED (UINT64_C(1) << 63)
#define GATE_PLACE (UINT64_C(1) << 32)
#define GATE_LIVE UINT64_C(1)

struct fh_tasks {
	struct fh_tasks_options options;
	struct fh_map *by_id, *by_name;
	pthread_attr_t attr;
	pthread_t main;
	uint64_t forks;
	unsigned seat_words;	/* of the two sets of seats */
	atomic_u64 *idle, *vacant;
	struct seat *seat;
	struct task_thread main_thread, sweeper;
	struct task_queue pooled, mained;
	struct fh_status phase;	/* drained? */
	struct fh_status exits;	/* changes when a thread leaves */
	_Atomic(uint64_t) refs;
	_Atomic(uint64_t) threads;
	_Atomic(struct task_thread *) gone;
	_Atomic(uint32_t) main_park;
	_Atomic(bool) stopping;	/* new tasks are asked to end at once */
	char pad_[128];
	_Atomic(uint64_t) gate;
	_Atomic(uint64_t) last_id;
	char pad2_[112];
	struct fh_counter submitted, launched, taken_out, ended[4];
	struct fh_counter dropped, refused, swept, created;
};

enum { PHASE_OPEN, PHASE_DRAINED };

static inline unsigned state_of(struct fh_status_snapshot seen)
{
	return seen.state & TASK_STATE;
}

static inline bool task_is_over(struct fh_status_snapshot seen)
{
	return FH_TASK_IS_OVER(state_of(seen)) && state_of(seen) != TASK_UNSEEN;
}

static inline struct fh_task *task_by_id(struct fh_map_entry *entry)
{
	return (struct fh_task *)((char *)entry -
				  offsetof(struct fh_task, by_id));
}

static inline struct fh_task *task_by_name(struct fh_map_entry *entry)
{
	return (struct fh_task *)((char *)entry -
				  offsetof(struct fh_task, by_name));
}

static inline struct fh_task *task_of_node(struct task_node *node)
{
	return (struct fh_task *)((char *)node -
				  offsetof(struct fh_task, node));
}

/*
 * Has it a thread of its own that has said so?  Who has seen that the task is
 * running, or over, and finds none will find none later.
 */
static inline bool task_has_thread(struct fh_task *task)
{
	return task->alone &&
	       /* pairs with: thread.tid */
	       load_acquire(&task->thread->tid) != 0;
}

/* Was what began at this count of forks left behind in the parent? */
static inline bool is_forked(uint64_t forks)
{
	return forks != fh_task_forks();
}

/* ---- task.c ---- */

/* One more reference, unless there is none; in the section that found it. */
bool fh_task_try_hold(struct fh_task *task);

/* Its memory is needed no more by one of those who hold it. */
void fh_task_unhold(struct fh_task *task);
void fh_task_reclaim(struct fh_rcu_head *head);

/* The task as this snapshot of its cell has it. */
void fh_task_describe(struct fh_task *task, struct fh_status_snapshot seen,
		      struct fh_task_info *info);

/* ---- task_state.c ---- */

/* QUEUED to LAUNCHED, by who takes it; false: it was taken out. */
bool fh_task_launch(struct fh_task *task);

/* On its thread, launched: its whole life from there on. */
void fh_task_run(struct task_thread *thread, struct fh_task *task);

/* Launched or running: the first result ends it; false: there was one. */
bool fh_task_conclude(struct fh_task *task, const struct task_result *result);

/* Thread or no thread: it cannot run, because of @error. */
void fh_task_refuse(struct fh_task *task, int error);

/* The caller has changed the state to this: the observer is told, in order. */
void fh_task_tell(struct fh_task *task, unsigned state);

/* Out of the maps, if it is over; what the hard bound refuses is for later. */
void fh_task_unlist(struct fh_task *task);

/* ---- task_queue.c ---- */

void fh_task_queue_init(struct task_queue *queue);
void fh_task_queue_push(struct task_queue *queue, struct fh_task *task);
struct fh_task *fh_task_queue_pop(struct task_queue *queue);
bool fh_task_queue_is_empty(struct task_queue *queue);

/* The next one to run, launched; those that were taken out are dropped. */
struct fh_task *fh_task_queue_next(struct task_queue *queue);

/* The end: the node that is left. */
void fh_task_queue_destroy(struct task_queue *queue);

/* ---- task_thread.c ---- */

/* Start it; 0 or what pthread_create said, negative. */
int fh_task_thread_start(struct task_thread *thread);

/* Join those that left; waits for them until the deadline, if it is not 0. */
void fh_task_reap(struct fh_tasks *tasks, int64_t deadline);

/* From now on threads leave without being joined. */
void fh_task_abandon_threads(struct fh_tasks *tasks);

/* ---- task_pool.c ---- */

int fh_pool_create(struct fh_tasks *tasks);
void fh_pool_destroy(struct fh_tasks *tasks);

/* A task was queued: somebody will look, or it fails. */
void fh_pool_staff(struct fh_tasks *tasks);

/* The life of a thread of the pool. */
void fh_pool_serve(struct task_thread *thread);

/* It leaves its seat; somebody else may sit down. */
void fh_pool_leave(struct task_thread *thread);
void fh_pool_wake_all(struct fh_tasks *tasks);

/* ---- task_main.c ---- */

void fh_main_wake(struct fh_tasks *tasks);
bool fh_main_is_here(struct fh_tasks *tasks);

/* Run and sleep until drained; -ETIMEDOUT. */
int fh_main_run(struct fh_tasks *tasks, int64_t deadline);

/* ---- task_wait.c ---- */

/* A task that somebody watches has ended. */
void fh_watch_wake(void);

/* ---- task_submit.c ---- */

/* The task's place is free; the task is no longer there. */
void fh_task_give_back(struct fh_tasks *tasks, uint64_t what);

/* ---- task_life.c ---- */

bool fh_tasks_are_drained(struct fh_tasks *tasks);
void fh_tasks_drained(struct fh_tasks *tasks);
void fh_tasks_drop(struct fh_tasks *tasks);

#endif
