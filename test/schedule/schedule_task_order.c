/* SPDX-License-Identifier: MIT */
/*
 * Schedules of orders that the other programs of this room do not show: law 7
 * of task.c with loads of older values, each scenario as small as it can be;
 * what a shutdown promises of releases, which write plainly here; and a look
 * at a queue whose node came from elsewhere.
 */
#include "schedule_task.h"

#include <string.h>

/* ---- law 7 ---- */

static void submit_until_asked(void)
{
	struct fh_task *task = submit(until_asked);

	if (task)
		expect(await(task) == FH_TASK_CANCELLED, "not cancelled");
}

static void cancel_all(void)
{
	expect(fh_tasks_shutdown_wait(tasks, FH_TASKS_CANCEL, FH_FOREVER, NULL,
				      NULL) == 0, "a shutdown gives up");
}

static void submit_and_go(void)
{
	fh_task_release(submit(work));
	go_out();
}

static void submit_death(void)
{
	struct fh_task *task = submit(leave);

	if (task)
		await(task);
	go_out();
}

/* ---- what a shutdown has seen ---- */

static unsigned let_go;	/* plain: nothing but the order guards it */

static void let_go_plainly(void *arg)
{
	put_down(arg);
	let_go++;
}

static void submit_to_let_go(void)
{
	struct file *file = calloc(1, sizeof(*file));
	const struct fh_task_request request = {
		.run = work, .arg = file, .release = let_go_plainly };

	file->given = 7;
	if (fh_task_submit(tasks, &request, NULL))
		free(file);
}

static void shut_down_and_count(void)
{
	shut_down();
	expect(let_go <= 1, "one task was let go %u times", let_go);
}

/* ---- a look at a queue ---- */

static struct task_queue queue;

static void setup_queue(void)
{
	fh_task_queue_init(&queue);
}

/* The node is cleared plainly, as in a submission. */
static void push(void)
{
	struct fh_task *task = malloc(sizeof(*task));

	memset(task, 0, sizeof(*task));
	store_relaxed(&task->holds, 2);
	fh_task_queue_push(&queue, task);
}

static void pop(void)
{
	struct fh_task *task = fh_task_queue_pop(&queue);

	if (task)
		fh_task_unhold(task);
}

static void look(void)
{
	fh_task_queue_is_empty(&queue);
}

static void finish_queue(void)
{
	pop();
	expect(fh_task_queue_is_empty(&queue), "something is left");
	if (queue.head != &queue.stub)
		fh_task_unhold(task_of_node(queue.head));
}

/* One switch, in the long form too. */
#define ORDER(text, open, ...)                                              \
	{ text, .setup = open, .thread = { __VA_ARGS__ },                   \
	  .finish = finish, .preemptions = 1 }

static struct scenario scenarios[] = {
	ORDER("until asked | shutdown", open_alone, submit_until_asked,
	      cancel_all),
	ORDER("let go | shutdown | shutdown", open_alone, submit_to_let_go,
	      shut_down_and_count, shut_down_and_count),
	{ "push | pop | look", .setup = setup_queue,
	  .thread = { push, pop, look }, .finish = finish_queue },
	{ "pool: submit | submit, no thread", .setup = open_pool,
	  .thread = { submit_and_wait, submit_and_go }, .finish = finish,
	  .preemptions = 1, .failures = 1 },
	ORDER("pool: death | submit", open_pool, submit_death, submit_and_go),
};

int main(int argc, char **argv)
{
	return explore_tasks(argc, argv, LIST(scenarios));
}
