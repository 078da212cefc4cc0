/* SPDX-License-Identifier: MIT */
/*
 * Schedules of threads that die, and of sweeps: each death is reported once,
 * by the hook or by one sweep, and nobody who lives, or has yet to start, is
 * taken for dead.  And of waits for several tasks.
 */
#include "schedule_task.h"

static void submit_unharmed(void)
{
	struct fh_task *task = submit(work);

	if (task)
		expect(await(task) == FH_TASK_COMPLETED, "a spurious death");
	go_out();
}

static void submit_death(void)
{
	struct fh_task *task = submit(leave);

	if (task)
		expect(await(task) == FH_TASK_CRASHED, "no death");
	go_out();
}

/* Whoever ends it, the function may still run when the wait returns. */
static void submit_either(void)
{
	struct fh_task *task = submit(leave);
	struct fh_task_info info;

	expect(fh_task_wait(task, FH_FOREVER, &info) == 0, "no end");
	expect(info.state == FH_TASK_COMPLETED ||
	       info.state == FH_TASK_CRASHED, "another end");
	fh_task_release(task);
	go_out();
}

/* Nothing but a sweep will end it; a shutdown sweeps while it waits. */
static void submit_vanishing(void)
{
	fh_task_release(submit(vanish));
	go_out();
}

static void sweep(void)
{
	fh_tasks_sweep(tasks);
	go_out();
}

static void end_first(void)
{
	const struct fh_task_report report = { .state = FH_TASK_COMPLETED };
	struct fh_task *task = find_first();

	if (task) {
		fh_task_end(task, &report);
		fh_task_release(task);
	}
	go_out();
}

/* ---- waits for several ---- */

static void wait_for_any(void)
{
	struct fh_task *both[2] = { submit(work), submit(work) };
	struct fh_task_info info;
	size_t index;

	expect(fh_task_wait_any(both, 2, FH_FOREVER, &index) == 0, "none");
	fh_task_get_info(both[index], &info);
	look_at_end(&info);
	await(both[0]);
	await(both[1]);
	go_out();
}

static void watch_one(void)
{
	struct fh_task *task = submit(work);
	struct fh_task_info info;
	size_t index;

	expect(fh_task_wait_any(&task, 1, FH_FOREVER, &index) == 0, "none");
	fh_task_get_info(task, &info);
	look_at_end(&info);
	fh_task_release(task);
	go_out();
}

static void watch_a_while(void)
{
	struct fh_task *task;
	size_t index;
	int rc;

	store_relaxed(&patient, true);
	task = find_first();
	if (task) {
		rc = fh_task_wait_any(&task, 1, IN_A_WHILE, &index);
		expect(rc == 0 || rc == -ETIMEDOUT, "watch: %d", rc);
		fh_task_release(task);
	}
	go_out();
}

/* ---- destroyed with tasks in it ---- */

static _Atomic(unsigned) gone;

static void note_gone(void *arg)
{
	(void)arg;
	add_relaxed(&gone, 1);
}

static void open_to_leave(void)
{
	const struct fh_tasks_options options = { .release = note_gone };

	create(&options);
}

static void open_pool_to_leave(void)
{
	const struct fh_tasks_options options = { .threads = 1,
						  .release = note_gone };

	create(&options);
}

/* The house goes while the task is in it; its last thread clears it away. */
static void submit_and_destroy(void)
{
	fh_task_release(submit(work));
	fh_tasks_destroy(tasks);
	while (!load_acquire(&gone))
		cpu_relax();
}

static void finish_gone(void)
{
	expect(gone == 1, "it went %u times", gone);
	expect(released == 1, "its task's file was released %u times",
	       released);
}

#define ALONE(text, ...)                                                    \
	{ text, .setup = open_alone, .thread = { __VA_ARGS__ },             \
	  .finish = finish, .stale = NO_STALE }
#define POOL(text, ...)                                                     \
	{ "pool: " text, .setup = open_pool, .thread = { __VA_ARGS__ },     \
	  .finish = finish, .stale = NO_STALE }

/* Two switches: to who destroys it, and back to the thread that leaves. */
#define LEAVE(text, open)                                                   \
	{ text, .setup = open, .thread = { submit_and_destroy },            \
	  .finish = finish_gone, .preemptions = 2, .leaks = true }

static struct scenario scenarios[] = {
	{ "a death", .setup = open_alone, .thread = { submit_death },
	  .finish = finish },
	ALONE("sweep | submit", submit_unharmed, sweep),
	ALONE("sweep | death", submit_death, sweep),
	ALONE("sweep | sweep | vanishing", submit_vanishing, sweep, sweep),
	ALONE("end | death", submit_either, end_first),
	ALONE("end | vanishing", submit_vanishing, end_first),
	POOL("sweep | submit", submit_unharmed, sweep),
	POOL("sweep | death", submit_death, sweep),
	POOL("sweep | sweep | vanishing", submit_vanishing, sweep, sweep),
	POOL("end | vanishing", submit_vanishing, end_first),
	{ "watch one", .setup = open_alone, .thread = { watch_one },
	  .finish = finish },
	ALONE("watch two", wait_for_any),
	{ "watch one | watch a while", .setup = open_alone,
	  .thread = { watch_one, watch_a_while }, .finish = finish,
	  .stale = NO_STALE, .timeouts = 1 },
	LEAVE("destroy | task", open_to_leave),
	LEAVE("pool: destroy | task", open_pool_to_leave),
};

int main(int argc, char **argv)
{
	return explore_tasks(argc, argv, LIST(scenarios));
}
