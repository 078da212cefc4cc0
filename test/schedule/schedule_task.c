/* SPDX-License-Identifier: MIT */
/*
 * Schedules of tasks that have threads of their own: submission, ends,
 * cancellation, reports from outside, names, the limit, shutdown.
 */
#include "schedule_task.h"

/* ---- who submits ---- */

static void submit_named(void)
{
	struct fh_task *task = try_submit(work, "ada", FH_TASK_THREAD);

	if (task)
		await(task);
	go_out();
}

/* The second time too: who has seen the end may use the name again. */
static void submit_named_twice(void)
{
	struct fh_task *task = try_submit(work, "ada", FH_TASK_THREAD);

	expect(task, "a free name is refused");
	await(task);
	task = try_submit(work, "ada", FH_TASK_THREAD);
	expect(task, "the name of a task that ended is refused");
	await(task);
	go_out();
}

static void submit_twice(void)
{
	struct fh_task *task = submit(work);

	expect(task, "there is a place");
	await(task);
	task = submit(work);
	expect(task, "the place of a task that ended is refused");
	await(task);
	go_out();
}

static void submit_until_asked(void)
{
	struct fh_task *task = submit(until_asked);

	if (task)
		expect(await(task) == FH_TASK_CANCELLED, "not cancelled");
	go_out();
}

static void submit_and_leave(void)
{
	fh_task_release(submit(work));
}

static void submit_output(void)
{
	struct fh_task_report report;
	struct fh_task *task = submit(work);

	if (!task)
		{ go_out(); return; }
	expect(fh_task_wait(task, FH_FOREVER, NULL) == 0, "no end");
	expect(fh_task_take(task, &report) == 0, "somebody else took it");
	expect(fh_task_take(task, &report) == -EALREADY, "it is given twice");
	fh_task_release(task);
	go_out();
}

/* ---- who meddles with the first task ---- */

static void cancel_first(void)
{
	struct fh_task *task = find_first();
	struct fh_task_info info;
	int rc;

	if (!task)
		{ go_out(); return; }
	rc = fh_task_cancel(task);
	expect(rc == 0 || rc == -ESRCH || rc == -EALREADY, "cancel: %d", rc);
	fh_task_get_info(task, &info);
	expect(rc || info.asked, "it was asked, and does not know it");
	if (FH_TASK_IS_OVER(info.state))
		look_at_end(&info);
	fh_task_release(task);
	go_out();
}

static void end_first(void)
{
	const struct fh_task_report report = {
		.state = FH_TASK_FAILED, .error = -EIO, .cause = "meddled" };
	struct fh_task *task = find_first();
	struct fh_task_info info;
	int rc;

	if (!task)
		{ go_out(); return; }
	rc = fh_task_end(task, &report);
	expect(rc == 0 || rc == -EBUSY || rc == -EALREADY || rc == -ENOMEM,
	       "end: %d", rc);
	fh_task_get_info(task, &info);
	expect(rc || (info.state == FH_TASK_FAILED && info.error == -EIO),
	       "it was ended as failed, and is %d", info.state);
	expect(rc || info.cause[0] == 'm', "the cause is another");
	fh_task_release(task);
	go_out();
}

static void wait_for_first(void)
{
	struct fh_task *task = find_first();

	if (task)
		await(task);
	go_out();
}

static void take_first(void)
{
	struct fh_task *task = find_first();
	struct fh_task_report report;

	if (!task)
		{ go_out(); return; }
	if (fh_task_take(task, &report) == 0)
		expect(FH_TASK_IS_OVER(report.state), "taken before its end");
	fh_task_release(task);
	go_out();
}

static int visit(const struct fh_task_info *info, void *arg)
{
	(void)arg;
	expect(info->state <= FH_TASK_RUNNING, "one that ended is listed");
	expect(info->id && info->submitted, "one that is not whole is listed");
	return 0;
}

static void list(void)
{
	fh_tasks_for_each(tasks, visit, NULL);
	go_out();
}

/* ---- the end of it all ---- */

static void cancel_all(void)
{
	expect(fh_tasks_shutdown_wait(tasks, FH_TASKS_CANCEL, FH_FOREVER, NULL,
				      NULL) == 0, "a shutdown gives up");
}

static void give_up_and_shut_down(void)
{
	int rc;

	patient = true;
	submit_and_leave();
	rc = fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, IN_A_WHILE, NULL,
				    NULL);
	expect(rc == 0 || rc == -ETIMEDOUT, "shutdown: %d", rc);
	shut_down();
}

static void open_observed(void)
{
	const struct fh_tasks_options options = { .observer = observe_one };

	create(&options);
}

static void open_observed_many(void)
{
	const struct fh_tasks_options options = { .observer = observe_all };

	create(&options);
}

static void open_for_one(void)
{
	const struct fh_tasks_options options = { .limit = 1 };

	create(&options);
}

#define ALONE(text, ...)                                                    \
	{ text, .setup = open_alone, .thread = { __VA_ARGS__ },             \
	  .finish = finish }
#define SEEN(text, ...)                                                     \
	{ "observed: " text, .setup = open_observed,                        \
	  .thread = { __VA_ARGS__ }, .finish = finish, .stale = NO_STALE }
#define LARGE(text, ...)                                                    \
	{ text, .setup = open_alone, .thread = { __VA_ARGS__ },             \
	  .finish = finish, .stale = NO_STALE }

static struct scenario scenarios[] = {
	LARGE("submit | submit", submit_and_wait, submit_and_wait),
	ALONE("submit | wait", submit_and_wait, wait_for_first),
	ALONE("submit | list", submit_and_wait, list),
	ALONE("submit | take", submit_output, list),
	ALONE("submit and wait | take", submit_and_wait, take_first),
	SEEN("submit | cancel", submit_and_wait, cancel_first),
	SEEN("submit | end", submit_and_wait, end_first),
	SEEN("submit | cancel | end", submit_and_wait, cancel_first,
	     end_first),
	SEEN("submit | end | end", submit_and_wait, end_first, end_first),
	SEEN("until asked | shutdown", submit_until_asked, cancel_all),
	LARGE("ada | ada", submit_named, submit_named),
	LARGE("ada, ada | cancel", submit_named_twice, cancel_first),
	{ "a place, twice | end", .setup = open_for_one,
	  .thread = { submit_twice, end_first }, .finish = finish,
	  .stale = NO_STALE },
	{ "one place | submit", .setup = open_for_one,
	  .thread = { submit_and_wait, submit_and_wait }, .finish = finish,
	  .stale = NO_STALE },
	ALONE("submit", submit_and_wait),
	ALONE("submit, give up, shut down", give_up_and_shut_down),
	ALONE("submit | shutdown", submit_and_leave, shut_down),
	LARGE("submit | shutdown, twice", submit_and_leave, shut_down,
	      shut_down),
	ALONE("submit | close", submit_and_wait, close_it),
	{ "submit, no memory", .setup = open_observed_many,
	  .thread = { submit_and_wait }, .finish = finish, .failures = 1 },
	{ "ada | ada, no memory", .setup = open_observed_many,
	  .thread = { submit_named, submit_named }, .finish = finish,
	  .failures = 1, .stale = NO_STALE },
};

int main(int argc, char **argv)
{
	return explore_tasks(argc, argv, LIST(scenarios));
}
