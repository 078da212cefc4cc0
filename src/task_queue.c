/* SPDX-License-Identifier: MIT */
/*
 * task_queue: first in, first out, with a compare-exchange at each end.
 *
 *      head                         tail
 *       |                            |
 *       v                            v
 *     [node] --> [node] --> ... --> [node] --> NULL
 *       ^          ^
 *       passed     the first task
 *
 * The list always has one node that was passed already; at first it is the
 * queue's own stub.  Nodes lie in tasks.  Whoever moves the head takes the
 * task behind the node that he leaves, and gives back the queue's hold on the
 * memory of the one he left.  So the memory of the last task that was taken
 * stays until the next one is, but for its content, which has a count of its
 * own.
 *
 * Laws
 *
 *  1. A node's `next` is set once, from NULL, by the compare-exchange that
 *     enters the following node.  That is the moment of a push; of a pop it
 *     is the move of the head.
 *  2. Both run in a read section.  A node that a thread has met in its
 *     section is not freed before the section ends, so no address comes back
 *     as another node meanwhile: a compare-exchange that succeeds has met the
 *     node that it read.
 *  3. The tail is never before the head.  Who is about to move the head off a
 *     node first moves the tail off it, if it is there; what the mover has
 *     seen of the tail is handed on with the head, hence the release and
 *     the acquire of `queue.head`.
 *  4. The tail may lag behind the last node; anybody moves it on.
 *
 * Progress: lock-free.  A push retries because another one entered a node or
 * moved the tail, a pop because another one moved the head.
 *
 * Source: M. Michael and M. Scott, "Simple, Fast, and Practical Non-Blocking
 * and Blocking Concurrent Queue Algorithms", PODC 1996.  Grace periods take
 * the place of its counted pointers.
 */
#include "task_internal.h"

void fh_task_queue_init(struct task_queue *queue)
{
	store_relaxed(&queue->stub.next, NULL);
	store_relaxed(&queue->head, &queue->stub);
	store_relaxed(&queue->tail, &queue->stub);
}

/* One attempt, in a read section. */
static bool enter(struct task_queue *queue, struct task_node *node)
{
	/* pairs with: queue.tail */
	struct task_node *last = load_acquire(&queue->tail);
	struct task_node *next = NULL;

	/* pairs with: queue.next */
	if (!cas_acq_rel_acquire(&last->next, &next, node)) {
		/* pairs with: queue.tail */
		cas_release_relaxed(&queue->tail, &last, next);
		return false;
	}
	fh_point("queue.entered");
	/* pairs with: queue.tail */
	cas_release_relaxed(&queue->tail, &last, node);
	return true;
}

void fh_task_queue_push(struct task_queue *queue, struct fh_task *task)
{
	store_relaxed(&task->node.next, NULL);
	fh_rcu_read_lock();
	while (!enter(queue, &task->node))
		;
	fh_rcu_read_unlock();
}

/* Law 3, in a read section. */
static void pull_tail(struct task_queue *queue, struct task_node *from,
		      struct task_node *to)
{
	struct task_node *tail = load_relaxed(&queue->tail);

	if (tail == from)
		/* pairs with: queue.tail */
		cas_release_relaxed(&queue->tail, &tail, to);
}

static void pass(struct task_queue *queue, struct task_node *node)
{
	if (node != &queue->stub)
		fh_task_unhold(task_of_node(node));
}

struct fh_task *fh_task_queue_pop(struct task_queue *queue)
{
	struct task_node *first, *next;

	fh_rcu_read_lock();
	/* pairs with: queue.head */
	first = load_acquire(&queue->head);
	do {
		/* pairs with: queue.next */
		next = load_acquire(&first->next);
		if (!next)
			break;
		pull_tail(queue, first, next);
		/* pairs with: queue.head */
	} while (!cas_acq_rel_acquire(&queue->head, &first, next));
	fh_rcu_read_unlock();
	if (!next)
		return NULL;
	pass(queue, first);
	return task_of_node(next);
}

bool fh_task_queue_is_empty(struct task_queue *queue)
{
	bool empty;

	fh_rcu_read_lock();
	/* pairs with: queue.head */
	empty = !load_relaxed(&load_acquire(&queue->head)->next);
	fh_rcu_read_unlock();
	return empty;
}

struct fh_task *fh_task_queue_next(struct task_queue *queue)
{
	struct fh_task *task;

	while ((task = fh_task_queue_pop(queue)) && !fh_task_launch(task)) {
		fh_task_give_back(task->tasks, GATE_PLACE);
		fh_task_release(task);
	}
	return task;
}

void fh_task_queue_destroy(struct task_queue *queue)
{
	struct fh_task *task;

	while ((task = fh_task_queue_pop(queue)))
		fh_task_release(task);
	pass(queue, load_relaxed(&queue->head));
}
