/* SPDX-License-Identifier: MIT */
/*
 * Schedules of tasks in pools and in the main queue: who is woken, who is
 * created, who dies, and that nobody is forgotten.
 *
 * A task that is forgotten is a wait for ever, which the machine finds.
 */
#include "schedule_task.h"

static void submit_and_go(void)
{
	fh_task_release(submit(work));
	go_out();
}

/* The pool's thread is idle, or on its way to be, when the next one comes. */
static void submit_twice(void)
{
	submit_and_await(work);
	submit_and_await(work);
	go_out();
}

static void submit_death(void)
{
	submit_and_await(leave);
	go_out();
}

static void submit_death_and_work(void)
{
	struct fh_task *first = submit(leave), *second = submit(work);

	if (first)
		await(first);
	if (second)
		await(second);
	go_out();
}

static void cancel_first(void)
{
	struct fh_task *task = find_first();

	if (task) {
		fh_task_cancel(task);
		fh_task_release(task);
	}
}

static void find_and_cancel(void)
{
	cancel_first();
	go_out();
}

static void cancel_all(void)
{
	expect(fh_tasks_shutdown_wait(tasks, FH_TASKS_CANCEL, FH_FOREVER, NULL,
				      NULL) == 0, "a shutdown gives up");
	go_out();
}

/* ---- the main queue ---- */

static unsigned turns;

static int take_turn(struct fh_task *task, void *arg)
{
	turns++;		/* plain: the main thread alone does so */
	return work(task, arg);
}

/* The machine's setup is thread 0; here the first thread is the main one. */
static void be_main(void)
{
	tasks->main = pthread_self();
	expect(fh_tasks_run_main_wait(tasks, FH_FOREVER) == 0, "it gives up");
	go_out();
}

static void be_main_for_a_while(void)
{
	int rc;

	tasks->main = pthread_self();
	rc = fh_tasks_run_main_wait(tasks, IN_A_WHILE);
	expect(rc == 0 || rc == -ETIMEDOUT, "main: %d", rc);
	shut_down();
}

static void submit_main(void)
{
	fh_task_release(try_submit(take_turn, NULL, FH_TASK_MAIN));
}

static void submit_main_and_close(void)
{
	submit_main();
	fh_tasks_close(tasks);
	go_out();
}

static void submit_main_and_wait(void)
{
	struct fh_task *task = try_submit(take_turn, NULL, FH_TASK_MAIN);

	if (task)
		await(task);
	fh_tasks_close(tasks);
	go_out();
}

static void cancel_main(void)
{
	cancel_first();
	fh_tasks_close(tasks);
	go_out();
}

static void open_with_main_task(void)
{
	open_alone();
	submit_main();
}

static void open_pool_with_task(void)
{
	open_pool();
	fh_task_release(submit(work));
}

#define POOL(text, ...)                                                     \
	{ "pool: " text, .setup = open_pool, .thread = { __VA_ARGS__ },     \
	  .finish = finish, .stale = NO_STALE }
#define TWO(text, ...)                                                      \
	{ "pool of two: " text, .setup = open_pool_of_two,                  \
	  .thread = { __VA_ARGS__ }, .finish = finish, .stale = NO_STALE }
#define MAIN(text, ...)                                                     \
	{ "main: " text, .setup = open_alone, .thread = { __VA_ARGS__ },    \
	  .finish = finish }

static struct scenario scenarios[] = {
	{ "pool: submit", .setup = open_pool,
	  .thread = { submit_and_wait }, .finish = finish },
	POOL("submit, submit", submit_twice),
	POOL("submit | submit", submit_and_wait, submit_and_go),
	POOL("death | submit", submit_death, submit_and_go),
	POOL("death and submit", submit_death_and_work),
	POOL("submit | cancel", submit_and_wait, find_and_cancel),
	{ "pool: submit | close", .setup = open_pool,
	  .thread = { submit_and_wait, close_it }, .finish = finish },
	POOL("submit | cancel all", submit_and_wait, cancel_all),
	TWO("submit | submit", submit_and_wait, submit_and_go),
	{ "pool of two: death | submit", .setup = open_pool_of_two,
	  .thread = { submit_death, submit_and_go }, .finish = finish,
	  .stale = NO_STALE, .data = LONG_ONLY },
	{ "pool: submit | submit, no thread or memory", .setup = open_pool,
	  .thread = { submit_and_wait, submit_and_go }, .finish = finish,
	  .failures = 1, .stale = NO_STALE },
	{ "pool of two: submit | submit, no thread or memory",
	  .setup = open_pool_of_two,
	  .thread = { submit_and_wait, submit_and_go }, .finish = finish,
	  .failures = 2, .stale = NO_STALE,
	  .data = LONG_ONLY },
	{ "pool: death and submit, no thread or memory", .setup = open_pool,
	  .thread = { submit_death_and_work }, .finish = finish,
	  .failures = 1, .stale = NO_STALE },
	{ "a pool with a task | submit", .setup = open_pool_with_task,
	  .thread = { submit_and_wait }, .finish = finish },
	MAIN("run | submit, close", be_main, submit_main_and_close),
	MAIN("run | submit, wait, close", be_main, submit_main_and_wait),
	MAIN("run for a while | submit, close", be_main_for_a_while,
	     submit_main_and_close),
	{ "main: run | cancel", .setup = open_with_main_task,
	  .thread = { be_main, cancel_main }, .finish = finish },
};

int main(int argc, char **argv)
{
	return explore_tasks(argc, argv, LIST(scenarios));
}
