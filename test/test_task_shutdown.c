/* SPDX-License-Identifier: MIT */
/*
 * task: shutdown that drains, cancels or gives up; supervisors that are
 * destroyed while tasks run; forks.
 */
#include "faults.h"
#include "tasks.h"

struct list {
	uint64_t ids;		/* as bits */
	unsigned running, queued;
};

static int note(const struct fh_task_info *info, void *arg)
{
	struct list *list = arg;

	list->ids |= UINT64_C(1) << info->id;
	list->running += info->state == FH_TASK_RUNNING;
	list->queued += info->state == FH_TASK_QUEUED;
	return 0;
}

/* It gives up, says what is left, and can be called again. */
static void test_give_up(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct door door = { .before = 0 };
	struct list list = { .ids = 0 };
	unsigned i;

	for (i = 0; i < 4; i++)
		fh_task_release(submit(tasks, pass_door, &door));
	await_tally(&door.before, threads ? threads : 4);
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, 0, note, &list),
	   -ETIMEDOUT, "a shutdown that only looks");
	is(list.ids, 036, "%s: says which four are left",
	   kind_name(threads));
	is(list.running, threads ? threads : 4, "those that run");
	is(list.queued, threads ? 4 - threads : 0, "and those that wait");
	is(fh_task_submit(tasks, &(struct fh_task_request){
		.run = nothing }, NULL), -ESHUTDOWN, "it has closed");
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, fh_deadline_in(MS),
				  NULL, NULL), -ETIMEDOUT, "give up again");
	open_door(&door);
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, SOON, note, &list),
	   0, "in the end it is done");
	is(door.behind, 4, "all ran");
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, 0, NULL, NULL), 0,
	   "once more is nothing");
	is(fh_tasks_shutdown_wait(tasks, (enum fh_tasks_shutdown)2, 0, NULL,
				  NULL), -EINVAL, "no such way");
	fh_tasks_destroy(tasks);
}

static void test_cancel_all(unsigned threads)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	tally there = 0, released = 0;
	const struct fh_task_request request = {
		.run = until_asked, .arg = &there, };
	const struct fh_task_request main_request = {
		.run = nothing, .queue = FH_TASK_MAIN, .arg = &released,
		.release = count_release };
	struct fh_tasks_stats stats;
	unsigned i, odd = 0;

	for (i = 0; i < 100; i++)
		fh_task_submit(tasks, &request, NULL);
	fh_task_submit(tasks, &main_request, NULL);
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_CANCEL, SOON, NULL, NULL),
	   0, "%s: all are cancelled", kind_name(threads));
	stats = stats_of(tasks);
	is(stats.cancelled, 101, "each counted");
	is(load_seq_cst(&released), 1, "what never ran is released");
	fh_tasks_destroy(tasks);
	for (i = 1; i <= DIARY; i++)
		odd += diary.path[i] != TAKEN_OUT &&
		       diary.path[i] != NOT_STARTED &&
		       diary.path[i] != WAS_ASKED;
	is(odd, 0, "and told of in order");
	is(diary.released, 1, "nothing is left");
}

/* ---- destroyed while tasks run ---- */

static void test_abandon(unsigned threads)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	struct door door = { .before = 0 };
	struct fh_task *task = submit(tasks, pass_door, &door), *queued;
	struct fh_task *asked = NULL;
	tally there = 0;

	await_tally(&door.before, 1);
	if (threads != 1) {
		asked = submit(tasks, until_asked, &there);
		await_tally(&there, 1);
	}
	queued = submit_as(tasks, &(struct fh_task_request){
		.run = nothing, .queue = FH_TASK_MAIN });
	fh_tasks_destroy(tasks);
	is(await(queued).state, FH_TASK_CANCELLED, "queued: cancelled");
	if (asked)
		is(await(asked).state, FH_TASK_CANCELLED, "running: asked");
	is(info_of(task).state, FH_TASK_RUNNING, "one runs on");
	ok(fh_task_is_cancelled(task), "although it was asked");
	is(fh_task_wait(task, fh_deadline_in(MS), NULL), -ETIMEDOUT,
	   "one can wait for it");
	open_door(&door);
	is(await(task).state, FH_TASK_COMPLETED, "it completes");
	await_tally(&diary.released, 1);
	is(diary.path[1], WENT_WELL, "%s: observed to the end",
	   kind_name(threads));
}

/* A task may end its own house, when nobody else is in it. */
struct house {
	struct door door;
	struct fh_tasks *tasks;
};

static int destroy_house(struct fh_task *task, void *arg)
{
	struct house *house = arg;

	pass_door(task, &house->door);
	fh_tasks_destroy(house->tasks);
	return 0;
}

static void test_destroy_within(unsigned threads)
{
	struct diary diary;
	struct house house = { .tasks = observed(threads, &diary) };
	struct fh_task *task = submit(house.tasks, destroy_house, &house);

	open_door(&house.door);
	is(await(task).state, FH_TASK_COMPLETED, "a task destroys its house");
	await_tally(&diary.released, 1);
	is(diary.path[1], WENT_WELL, "%s: and ends", kind_name(threads));
}

static void test_unused(void)
{
	struct diary diary;

	fh_tasks_destroy(observed(3, &diary));
	is(diary.released, 1, "a house that nobody lived in");
}

/* ---- submissions against closure ---- */

struct rush {
	struct fh_tasks *tasks;
	tally accepted, refused, ran, wrong;
};

static int count_run(struct fh_task *task, void *arg)
{
	(void)task;
	add_relaxed((tally *)arg, 1);
	return 0;
}

static void rush_in(unsigned index, void *arg)
{
	struct rush *rush = arg;
	int rc = 0;

	if (index == 0) {
		sleep_ns(MS / 2);
		rc = fh_tasks_shutdown_wait(rush->tasks, FH_TASKS_DRAIN, SOON,
					    NULL, NULL);
		add_relaxed(&rush->wrong, rc != 0);
		return;
	}
	while (rc == 0) {
		rc = fh_task_submit(rush->tasks, &(struct fh_task_request){
			.run = count_run, .arg = &rush->ran }, NULL);
		if (rc == 0)
			add_relaxed(&rush->accepted, 1);
	}
	add_relaxed(&rush->wrong, rc != -ESHUTDOWN);
}

static void test_rush(unsigned threads)
{
	size_t round, rounds = scaled(20, 4);
	uint64_t lost = 0, wrong = 0;

	for (round = 0; round < rounds; round++) {
		struct rush rush = { .tasks = supervisor(threads) };

		run_crew(4, rush_in, &rush);
		lost += rush.accepted - rush.ran;
		wrong += rush.wrong;
		fh_tasks_destroy(rush.tasks);
	}
	is(lost, 0, "%s: what was accepted ran", kind_name(threads));
	is(wrong, 0, "what was refused was told so");
}

/* ---- fork ---- */

static struct fh_tasks *before;
static struct fh_task *running;

static int live_in_child(void)
{
	struct fh_task_info info;
	struct fh_tasks *own;
	struct fh_task *task;
	size_t index;

	if (fh_task_submit(before, &(struct fh_task_request){
			.run = nothing }, NULL) != -ECHILD ||
	    fh_task_wait(running, FH_FOREVER, &info) != -ECHILD ||
	    fh_task_wait_any(&running, 1, FH_FOREVER, &index) != -ECHILD ||
	    fh_task_wait_all(&running, 1, FH_FOREVER, NULL) != -ECHILD ||
	    fh_task_cancel(running) != -ECHILD ||
	    fh_task_cancel_wait(running, FH_FOREVER) != -ECHILD ||
	    fh_task_end(running, &(struct fh_task_report){
			.state = FH_TASK_COMPLETED }) != -ECHILD ||
	    fh_tasks_run_main_wait(before, FH_FOREVER) != -ECHILD ||
	    fh_tasks_shutdown_wait(before, FH_TASKS_DRAIN, FH_FOREVER, NULL,
				   NULL) != -ECHILD)
		return 1;
	if (info.state != FH_TASK_RUNNING || stats_of(before).live != 1 ||
	    fh_tasks_sweep(before) != 0)
		return 2;	/* the past */
	fh_task_release(running);
	fh_tasks_destroy(before);
#ifdef FH_TSAN
	return 0;		/* it takes new threads for the parent's */
#endif
	if (fh_tasks_create(&own, NULL))
		return 3;
	task = submit(own, nothing, NULL);
	if (await(task).state != FH_TASK_COMPLETED)
		return 4;
	if (fh_tasks_shutdown_wait(own, FH_TASKS_DRAIN, SOON, NULL, NULL))
		return 5;
	fh_tasks_destroy(own);
	return 0;
}

static void test_fork(unsigned threads)
{
	struct door door = { .before = 0 };

	before = supervisor(threads);
	running = submit(before, pass_door, &door);
	await_tally(&door.before, 1);
	is(in_child(live_in_child), 0, "%s: a child has no threads",
	   kind_name(threads));
	is(info_of(running).state, FH_TASK_RUNNING, "the parent does");
	open_door(&door);
	is(await(running).state, FH_TASK_COMPLETED, "and goes on");
	put_away(before);
}

/* A task that forks. */
static int fork_within(struct fh_task *task, void *arg)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(fh_task_self() == task && info_of(task).state ==
						FH_TASK_RUNNING ? 0 : 1);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -EIO;
	*(int *)arg = status;
	return 0;
}

static void test_fork_within(unsigned threads)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	int status = -1;

	is(await(submit(tasks, fork_within, &status)).state,
	   FH_TASK_COMPLETED, "a task forks");
	is(status, 0, "%s: the child knows where it is", kind_name(threads));
	put_away(tasks);
	is(diary.told, 4, "and reports nothing here");
}

int main(void)
{
	unsigned i;

	watchdog(240);
	for (i = 0; i < KINDS; i++) {
		test_give_up(kinds[i]);
		test_cancel_all(kinds[i]);
		test_abandon(kinds[i]);
		test_destroy_within(kinds[i]);
		test_rush(kinds[i]);
		test_fork(kinds[i]);
		if (!SANITIZED)
			test_fork_within(kinds[i]);
	}
	test_unused();
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
