/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the queue of tasks: pushes and pops in every order are those
 * of some order of single steps, and what was written before a push is seen
 * after the pop that takes it.
 *
 * The tasks are made by who pushes them, and hold nothing but what a queue
 * touches.  What a pop leaves behind is given back, and must not be touched
 * any more.
 */
#include "schedule.h"

#include "task_internal.h"

#include <stdlib.h>

enum { PUSH, POP };
#define NOTHING UINT64_MAX

static struct task_queue queue;

/* Stands for the rest of the supervisor: held by the queue, and who pops. */
void fh_task_unhold(struct fh_task *task)
{
	if (sub_acq_rel(&task->holds, 1) == 1)
		fh_rcu_retire(&task->rcu, fh_task_reclaim);
}

void fh_task_reclaim(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct fh_task, rcu));
}

bool fh_task_launch(struct fh_task *task)
{
	return task->told != 0;
}

void fh_task_release(struct fh_task *task)
{
	expect(task->told == 0, "a task that was launched is let go");
	fh_task_unhold(task);
}

void fh_task_give_back(struct fh_tasks *tasks, uint64_t what)
{
	expect(!tasks && what == GATE_PLACE, "another gate");
}

static struct fh_task *task_new(unsigned number)
{
	struct fh_task *task = calloc(1, sizeof(*task));

	store_relaxed(&task->holds, 2);
	task->told = number;
	return task;
}

static void push(unsigned number)
{
	struct fh_task *task = task_new(number);
	struct call *call = call_begin(PUSH, number);

	fh_task_queue_push(&queue, task);
	call_end(call, 0);
}

static void pop(void)
{
	struct call *call = call_begin(POP, 0);
	struct fh_task *task = fh_task_queue_pop(&queue);

	call_end(call, task ? task->told : NOTHING);
	if (task)
		fh_task_unhold(task);
}

static void push_1(void)
{
	push(1);
}

static void push_2(void)
{
	push(2);
}

static void push_3_4(void)
{
	push(3);
	push(4);
}

static void push_5_pop(void)
{
	push(5);
	pop();
}

static void pop_twice(void)
{
	pop();
	pop();
}

/* "Not empty" is never said of a queue that never had anything in it. */
static void look(void)
{
	if (!fh_task_queue_is_empty(&queue))
		pop();
}

/* In a queue a task has one place, so the specification is a short list. */
struct list {
	unsigned count;
	uint64_t number[8];
};

static bool step(void *state, const struct call *call)
{
	struct list *list = state;
	unsigned i;

	if (call->operation == PUSH) {
		list->number[list->count++] = call->argument;
		return true;
	}
	if (list->count == 0)
		return call->result == NOTHING;
	if (call->result != list->number[0])
		return false;
	list->count--;
	for (i = 0; i < list->count; i++)
		list->number[i] = list->number[i + 1];
	list->number[list->count] = 0;
	return true;
}

static void setup(void)
{
	fh_task_queue_init(&queue);
}

static void setup_with_two(void)
{
	setup();
	push(6);
	push(7);
}

static void finish(void)
{
	static const struct list empty;

	while (!fh_task_queue_is_empty(&queue))
		pop();
	pop();
	expect(linearizable(step, &empty, sizeof(empty)),
	       "no order of the calls explains what they returned");
	fh_task_queue_destroy(&queue);
}

/* ---- those that were taken out ---- */

static void push_taken_out(void)
{
	fh_task_queue_push(&queue, task_new(0));
}

static void push_launched(void)
{
	fh_task_queue_push(&queue, task_new(1));
}

static void next(void)
{
	struct fh_task *task = fh_task_queue_next(&queue);

	expect(!task || task->told, "a task runs that was taken out");
	if (task)
		fh_task_unhold(task);
}

static void finish_next(void)
{
	next();
	next();
	expect(fh_task_queue_is_empty(&queue), "something is left");
	fh_task_queue_destroy(&queue);
}

#define SCENE(text, ...)                                                    \
	{ text, .setup = setup, .thread = { __VA_ARGS__ }, .finish = finish }
#define FULL(text, ...)                                                     \
	{ text, .setup = setup_with_two, .thread = { __VA_ARGS__ },         \
	  .finish = finish }

static const struct scenario scenarios[] = {
	SCENE("push | pop", push_1, pop),
	SCENE("push | push", push_1, push_2),
	SCENE("push | push | pop", push_1, push_2, pop),
	SCENE("push | pop | pop", push_1, pop, pop),
	SCENE("push 3, 4 | push | pop, pop", push_3_4, push_1, pop_twice),
	SCENE("push 3, 4 | pop | pop", push_3_4, pop, pop),
	SCENE("push 5, pop | push 3, 4", push_5_pop, push_3_4),
	SCENE("push 5, pop | push 5, pop | push", push_5_pop, push_5_pop,
	      push_1),
	SCENE("push | look", push_1, look),
	FULL("6, 7 and pop | pop", pop, pop),
	FULL("6, 7 and pop | pop | push", pop, pop, push_1),
	FULL("6, 7 and pop, pop | push | pop", pop_twice, push_1, pop),
	FULL("6, 7 and pop | push 3, 4 | look", pop, push_3_4, look),
	{ "taken out | launched | next", .setup = setup,
	  .thread = { push_taken_out, push_launched, next },
	  .finish = finish_next },
	{ "taken out | next | next", .setup = setup,
	  .thread = { push_taken_out, next, next }, .finish = finish_next },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(scenarios[0]));
}
