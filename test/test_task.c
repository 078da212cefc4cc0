/* SPDX-License-Identifier: MIT */
/*
 * task: submission, states, ends, names, limits, listing, counts, one after
 * the other; on threads of their own and in pools.
 */
#include "tasks.h"

static int fail(struct fh_task *task, void *arg)
{
	(void)task;
	return *(int *)arg;
}

static void test_states(unsigned threads)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	struct door door = { .before = 0 };
	struct fh_task *task = submit(tasks, pass_door, &door);
	struct fh_task_info info;

	await_tally(&door.before, 1);
	info = info_of(task);
	is(info.state, FH_TASK_RUNNING, "%s: it runs", kind_name(threads));
	ok(info.submitted > 0 && info.started >= info.submitted, "since when");
	is(info.ended, 0, "it has not ended");
	is(info.error, 0, "nor failed");
	is(info.id, 1, "the first has number 1");
	ok(info.arg == &door, "it has its argument");
	is(stats_of(tasks).running, 1, "one is running");
	is(fh_task_wait(task, fh_deadline_in(MS), &info), -ETIMEDOUT,
	   "a deadline that passes");
	is(info.state, FH_TASK_RUNNING, "tells the state");
	is(fh_task_wait(task, 0, NULL), -ETIMEDOUT, "and so does a poll");
	open_door(&door);
	is(fh_task_wait(task, SOON, &info), 0, "it ends");
	is(info.state, FH_TASK_COMPLETED, "completed");
	ok(info.ended >= info.started, "after its beginning");
	ok(!info.cause && !info.error, "without an error");
	is(fh_task_wait(task, 0, NULL), 0, "a poll finds it over");
	fh_task_release(task);
	put_away(tasks);
	is(diary.path[1], WENT_WELL, "the observer was told of each state");
	is(diary.released, 1, "and nothing is left");
}

static void test_results(unsigned threads)
{
	static int results[] = { 0, -ENOENT, -ECANCELED, 7 };
	static const enum fh_task_state states[] = {
		FH_TASK_COMPLETED, FH_TASK_FAILED, FH_TASK_CANCELLED,
		FH_TASK_FAILED,
	};
	static const int errors[] = { 0, -ENOENT, -ECANCELED, -EPROTO };
	struct fh_tasks *tasks = supervisor(threads);
	struct fh_tasks_stats stats;
	unsigned i;

	for (i = 0; i < 4; i++) {
		struct fh_task *task = submit(tasks, fail, &results[i]);
		struct fh_task_info info;

		fh_task_wait(task, SOON, &info);
		is(info.state, states[i], "%d returned", results[i]);
		is(info.error, errors[i], "is this error");
		ok(!info.error == !info.cause, "with a cause");
		fh_task_release(task);
	}
	stats = stats_of(tasks);
	is(stats.submitted, 4, "four were submitted");
	is(stats.completed, 1, "one completed");
	is(stats.failed, 2, "two failed");
	is(stats.cancelled, 1, "one was cancelled");
	is(stats.live, 0, "none is there");
	put_away(tasks);
}

static void test_refusals(void)
{
	struct fh_tasks *tasks = supervisor(1);
	struct fh_task_request request = { .run = NULL };
	const struct fh_tasks_options bad[] = {
		{ .threads = FH_TASKS_THREADS + 1 },
		{ .limit = (size_t)INT32_MAX + 1 },
		{ .stack_size = 1 },
		{ .sweep_every = -1 },
	};
	struct fh_tasks *none = NULL;
	struct fh_task *task = NULL;
	unsigned i;

	is(fh_task_submit(tasks, NULL, NULL), -EINVAL, "no request");
	is(fh_task_submit(tasks, &request, &task), -EINVAL, "no function");
	request.run = nothing;
	request.queue = (enum fh_task_queue)2;
	is(fh_task_submit(tasks, &request, &task), -EINVAL, "no such queue");
	ok(!task, "nobody has a handle");
	for (i = 0; i < 4; i++)
		is(fh_tasks_create(&none, &bad[i]), -EINVAL, "options %u", i);
	ok(!none, "no supervisor");
	fh_tasks_close(tasks);
	fh_tasks_close(tasks);
	request.queue = FH_TASK_MAIN;
	is(fh_task_submit(tasks, &request, NULL), -ESHUTDOWN, "it is closed");
	is(stats_of(tasks).submitted, 0, "none was submitted");
	put_away(tasks);
	fh_tasks_destroy(NULL);
	fh_task_release(NULL);
}

/* One place: it is free again as soon as anybody can know of the end. */
static void test_limit(unsigned threads)
{
	const struct fh_tasks_options options = { .threads = threads,
						  .limit = 1 };
	struct fh_tasks *tasks = supervisor_with(&options);
	struct door door = { .before = 0 };
	struct fh_task *task = submit(tasks, pass_door, &door);
	unsigned i, refused = 0;

	is(fh_task_submit(tasks, &(struct fh_task_request){
		.run = nothing }, NULL), -EBUSY, "one too many");
	is(stats_of(tasks).refused, 1, "is counted");
	is(stats_of(tasks).submitted, 1, "and not submitted");
	open_door(&door);
	await(task);
	for (i = 0; i < 200; i++) {
		const struct fh_task_request request = { .run = nothing };
		int rc = fh_task_submit(tasks, &request, &task);

		refused += rc != 0;
		if (rc == 0)
			await(task);
	}
	is(refused, 0, "%s: after a wait there is room", kind_name(threads));
	put_away(tasks);
}

static void test_names(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct door door = { .before = 0 };
	const struct fh_task_request request = {
		.run = pass_door, .arg = &door, .name = "ada" };
	struct fh_task_request brief = { .run = nothing, .name = "ada" };
	struct fh_task *task = submit_as(tasks, &request), *found = NULL;
	unsigned i, refused = 0;

	is(fh_task_submit(tasks, &brief, NULL), -EEXIST, "the name is taken");
	is(fh_tasks_find(tasks, "ada", &found), 0, "it is found");
	ok(found == task, "and is the one");
	is(strcmp(info_of(found).name, "ada"), 0, "it knows its name");
	fh_task_release(found);
	is(fh_tasks_find(tasks, "bob", &found), -ENOENT, "another is not");
	is(fh_tasks_get(tasks, info_of(task).id, &found), 0, "by number");
	ok(found == task, "it is the same");
	fh_task_release(found);
	is(fh_tasks_get(tasks, 77, &found), -ENOENT, "no such number");
	open_door(&door);
	fh_task_wait(task, SOON, NULL);
	is(fh_tasks_find(tasks, "ada", &found), -ENOENT, "it has ended");
	is(fh_tasks_get(tasks, 1, &found), -ENOENT, "for the number too");
	ok(!strcmp(info_of(task).name, "ada"), "who holds it sees the name");
	fh_task_release(task);
	for (i = 0; i < 200; i++) {
		int rc = fh_task_submit(tasks, &brief, &task);

		refused += rc != 0;
		if (rc == 0)
			await(task);
	}
	is(refused, 0, "%s: after a wait the name is free",
	   kind_name(threads));
	put_away(tasks);
}

struct walk {
	unsigned visited, most;
	uint64_t sum;
};

static int visit(const struct fh_task_info *info, void *arg)
{
	struct walk *walk = arg;

	walk->sum += info->id;
	return ++walk->visited == walk->most;
}

static void test_listing(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct door door = { .before = 0 };
	struct walk all = { .visited = 0 }, some = { .most = 3 };
	unsigned i;

	for (i = 0; i < 10; i++)
		fh_task_release(submit(tasks, pass_door, &door));
	is(fh_tasks_for_each(tasks, visit, &all), 10, "ten are there");
	is(all.visited, 10, "and visited");
	is(all.sum, 55, "each once");
	is(fh_tasks_for_each(tasks, visit, &some), 3, "a visit ends the walk");
	is(stats_of(tasks).live, 10, "the counts agree");
	open_door(&door);
	put_away(tasks);
	is(door.behind, 10, "%s: all ran", kind_name(threads));
}

static int look_at_self(struct fh_task *task, void *arg)
{
	*(int *)arg = fh_task_self() == task &&
		      info_of(task).state == FH_TASK_RUNNING;
	return 0;
}

static void test_self(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	int same = 0;

	ok(!fh_task_self(), "no task is here");
	await(submit(tasks, look_at_self, &same));
	ok(same, "a task knows itself");
	put_away(tasks);
}

static int submit_more(struct fh_task *task, void *arg)
{
	struct fh_tasks *tasks = arg;
	struct fh_task *child;

	(void)task;
	if (fh_task_submit(tasks, &(struct fh_task_request){
			.run = nothing }, &child))
		return -EIO;
	fh_task_release(child);
	return 0;
}

static void test_from_within(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);

	is(await(submit(tasks, submit_more, tasks)).state, FH_TASK_COMPLETED,
	   "a task submits another");
	put_away(tasks);
	ok(1, "%s: which ran", kind_name(threads));
}

/* References outlive the supervisor. */
static void test_references(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	tally releases = 0;
	const struct fh_task_request request = {
		.run = nothing, .arg = &releases, .release = count_release,
		.name = "x" };
	struct fh_task *task = submit_as(tasks, &request);
	struct fh_task_report report;

	fh_task_hold(task);
	fh_task_wait(task, SOON, NULL);
	put_away(tasks);
	is(load_seq_cst(&releases), 0, "held: not released");
	is(info_of(task).state, FH_TASK_COMPLETED, "and still there");
	is(fh_task_cancel(task), -ESRCH, "too late to cancel");
	is(fh_task_wait(task, 0, NULL), 0, "a wait returns");
	is(fh_task_take(task, &report), 0, "and it can be taken");
	fh_task_release(task);
	is(load_seq_cst(&releases), 0, "one of two references");
	fh_task_release(task);
	is(load_seq_cst(&releases), 1, "the last one releases, once");
}

int main(void)
{
	unsigned i;

	watchdog(240);
	test_refusals();
	for (i = 0; i < KINDS; i++) {
		test_states(kinds[i]);
		test_results(kinds[i]);
		test_limit(kinds[i]);
		test_names(kinds[i]);
		test_listing(kinds[i]);
		test_self(kinds[i]);
		test_from_within(kinds[i]);
		test_references(kinds[i]);
	}
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
