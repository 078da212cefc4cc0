/* SPDX-License-Identifier: MIT */
/*
 * task: how a task ends: reports from within and from outside, of which the
 * first wins; outputs and causes, handed over once; cancellation.
 */
#include "tasks.h"

struct output {
	tally released;
};

static void release_output(void *output)
{
	add_seq_cst(&((struct output *)output)->released, 1);
}

/* A function that says something and then returns something. */
struct speech {
	struct door door;
	struct output first, second;
	int sets;
	int result;
	const char *cause;
};

static int speak(struct fh_task *task, void *arg)
{
	struct speech *speech = arg;
	struct output *output[] = { &speech->first, &speech->second };
	int i;

	for (i = 0; i < speech->sets; i++)
		if (fh_task_set_output(task, output[i], release_output))
			return -EBADMSG;
	if (speech->cause && fh_task_set_cause(task, speech->cause))
		return -EBADMSG;
	pass_door(task, &speech->door);
	return speech->result;
}

static void test_output(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct speech speech = { .sets = 2 };
	struct fh_task *task = submit(tasks, speak, &speech);
	struct fh_task_report report;

	await_tally(&speech.door.before, 1);
	is(fh_task_take(task, &report), -EBUSY, "nothing to take yet");
	is(fh_task_set_output(task, NULL, NULL), -EPERM,
	   "only the task itself sets its output");
	is(fh_task_set_cause(task, "no"), -EPERM, "or its cause");
	is(speech.first.released, 1, "the second output replaced the first");
	open_door(&speech.door);
	fh_task_wait(task, SOON, NULL);
	is(fh_task_take(task, &report), 0, "take it");
	is(report.state, FH_TASK_COMPLETED, "with how it ended");
	ok(report.output == &speech.second, "and the output");
	is(fh_task_take(task, &report), -EALREADY, "but once");
	fh_task_release(task);
	put_away(tasks);
	is(speech.second.released, 0, "what was taken is not released");
}

static void test_output_left(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct speech speech = { .sets = 1 };

	open_door(&speech.door);
	await(submit(tasks, speak, &speech));
	put_away(tasks);
	is(speech.first.released, 1, "%s: an output that nobody takes",
	   kind_name(threads));
}

static void test_cause(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	char cause[] = "the reactor is hot";
	struct speech speech = { .sets = 1, .result = -EIO, .cause = cause };
	struct fh_task *task = submit(tasks, speak, &speech);
	struct fh_task_report report;
	struct fh_task_info info;

	await_tally(&speech.door.before, 1);
	memset(cause, 'x', sizeof(cause) - 1);
	open_door(&speech.door);
	fh_task_wait(task, SOON, &info);
	is(info.error, -EIO, "it failed");
	ok(!strcmp(info.cause, "the reactor is hot"), "its cause was copied");
	is(fh_task_take(task, &report), 0, "take the failure");
	ok(report.cause == info.cause, "with its cause");
	ok(report.output == &speech.first, "and what it gave nevertheless");
	fh_task_release(task);
	put_away(tasks);
}

/* Another thread is faster than the function. */
static void test_end(unsigned threads)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(threads, &diary);
	struct speech speech = { .sets = 1, .result = -EIO, .cause = "late" };
	struct fh_task *task = submit(tasks, speak, &speech);
	struct fh_task_report report = { .state = FH_TASK_COMPLETED };
	struct output output = { 0 };
	struct fh_task_info info;

	report.output = &output;
	report.release = release_output;
	await_tally(&speech.door.before, 1);
	is(fh_task_end(task, &report), 0, "end it from outside");
	is(fh_task_wait(task, 0, &info), 0, "it is over at once");
	is(info.state, FH_TASK_COMPLETED, "as was said");
	is(fh_task_end(task, &report), -EALREADY, "a second report is late");
	is(stats_of(tasks).dropped, 1, "and dropped");
	open_door(&speech.door);
	fh_task_release(task);
	put_away(tasks);
	is(diary.path[1], WENT_WELL, "one end was told");
	is(output.released, 1, "the output is released");
	is(speech.first.released, 1, "that of the function too");
}

static void test_reports(void)
{
	const struct fh_task_report bad[] = {
		{ .state = FH_TASK_RUNNING },
		{ .state = FH_TASK_CRASHED },
		{ .state = FH_TASK_FAILED, .error = 5 },
		{ .state = FH_TASK_COMPLETED, .error = -EIO },
	};
	const struct fh_task_report good[] = {
		{ .state = FH_TASK_FAILED },
		{ .state = FH_TASK_FAILED, .error = -ENOSPC,
		  .cause = "full" },
		{ .state = FH_TASK_CANCELLED },
	};
	static const int errors[] = { -EIO, -ENOSPC, -ECANCELED };
	struct fh_tasks *tasks = supervisor(0);
	unsigned i;

	for (i = 0; i < 3; i++) {
		struct door door = { .before = 0 };
		struct fh_task *task = submit(tasks, pass_door, &door);
		unsigned j;

		await_tally(&door.before, 1);
		for (j = 0; j < 4; j++)
			is(fh_task_end(task, &bad[j]), -EINVAL,
			   "no such ending: %u", j);
		is(fh_task_end(task, NULL), -EINVAL, "no report");
		is(fh_task_end(task, &good[i]), 0, "an ending");
		is(info_of(task).state, good[i].state, "it has this state");
		is(info_of(task).error, errors[i], "and this error");
		ok(info_of(task).cause != NULL, "and a cause");
		ok(!good[i].cause || !strcmp(info_of(task).cause, "full"),
		   "the one that was given");
		open_door(&door);
		/* It returns before the door is gone. */
		await_tally(&door.behind, 1);
		fh_task_release(task);
	}
	put_away(tasks);
}

/* In a pool of one, behind a task that waits. */
static void test_queued(void)
{
	struct diary diary;
	struct fh_tasks *tasks = observed(1, &diary);
	struct door door = { .before = 0 };
	tally ran = 0;
	const struct fh_task_request request = {
		.run = until_asked, .arg = &ran, .release = count_release,
		.name = "behind" };
	const struct fh_task_report report = { .state = FH_TASK_COMPLETED };
	struct fh_task *first = submit(tasks, pass_door, &door);
	struct fh_task *task = submit_as(tasks, &request);
	struct fh_task_info info;

	await_tally(&door.before, 1);
	info = info_of(task);
	is(info.state, FH_TASK_QUEUED, "it waits for its turn");
	is(stats_of(tasks).queued, 1, "and is counted as queued");
	is(fh_task_end(task, &report), -EBUSY, "too early to report");
	ok(!fh_task_is_cancelled(task), "nobody asked it to end");
	is(fh_task_cancel(task), 0, "cancel it");
	is(fh_task_wait(task, 0, &info), 0, "it is over at once");
	is(info.state, FH_TASK_CANCELLED, "cancelled");
	is(info.error, -ECANCELED, "with this error");
	ok(info.asked && info.ended && !info.started, "and never ran");
	is(fh_task_cancel(task), -ESRCH, "it is over");
	is(stats_of(tasks).queued, 0, "it is not queued");
	open_door(&door);
	await(first);
	fh_task_release(task);
	put_away(tasks);
	is(load_seq_cst(&ran), 1, "the function did not run, it was released");
	is(diary.path[2], TAKEN_OUT, "the observer knows");
	is(diary.path[1], WENT_WELL, "of both");
}

static void test_cancel(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	tally there = 0;
	struct fh_task *task = submit(tasks, until_asked, &there);
	struct fh_task_info info;

	await_tally(&there, 1);
	is(fh_task_cancel_wait(task, fh_deadline_in(MS)), -ETIMEDOUT,
	   "nobody asked it");
	is(fh_task_cancel(task), 0, "ask it");
	is(fh_task_wait(task, SOON, &info), 0, "it wakes up and ends");
	is(info.state, FH_TASK_CANCELLED, "cancelled");
	ok(info.asked && fh_task_is_cancelled(task), "as asked");
	is(fh_task_cancel_wait(task, 0), 0, "it was asked");
	fh_task_release(task);
	put_away(tasks);
}

/* It is asked, and does as it likes. */
static void test_cancel_ignored(void)
{
	struct fh_tasks *tasks = supervisor(0);
	struct door door = { .before = 0 };
	struct fh_task *task = submit(tasks, pass_door, &door);
	struct fh_task_info info;

	await_tally(&door.before, 1);
	is(fh_task_cancel(task), 0, "ask it");
	is(fh_task_cancel(task), -EALREADY, "ask it twice");
	is(info_of(task).state, FH_TASK_RUNNING, "it still runs");
	open_door(&door);
	info = await(task);
	is(info.state, FH_TASK_COMPLETED, "and completes");
	ok(info.asked, "although it was asked");
	put_away(tasks);
}

/* One that sleeps until it is asked is woken when others end it. */
static void test_end_wakes(void)
{
	struct fh_tasks *tasks = supervisor(0);
	const struct fh_task_report report = { .state = FH_TASK_COMPLETED };
	tally there = 0;
	struct fh_task *task = submit(tasks, until_asked, &there);

	await_tally(&there, 1);
	is(fh_task_end(task, &report), 0, "end a task that sleeps");
	is(fh_task_cancel_wait(task, FH_FOREVER), -ESRCH, "it is over");
	fh_task_release(task);
	put_away(tasks);
}

/* An observer that cancels what it hears of, before it is in any queue. */
static void cancel_at_once(struct fh_task *task,
			   const struct fh_task_info *info, void *arg)
{
	if (info->state == FH_TASK_QUEUED)
		fh_task_cancel(task);
	keep_diary(task, info, arg);
}

static void test_cancel_from_observer(unsigned threads)
{
	struct diary diary;
	const struct fh_tasks_options options = {
		.threads = threads, .observer = cancel_at_once,
		.observer_arg = &diary };
	struct fh_tasks *tasks;

	memset(&diary, 0, sizeof(diary));
	tasks = supervisor_with(&options);
	is(await(submit(tasks, nothing, NULL)).state, FH_TASK_CANCELLED,
	   "the observer cancels it");
	put_away(tasks);
	is(diary.path[1], TAKEN_OUT, "%s: told in order", kind_name(threads));
	is(diary.told, 2, "and once each");
}

int main(void)
{
	unsigned i;

	watchdog(240);
	for (i = 0; i < KINDS; i++) {
		test_output(kinds[i]);
		test_output_left(kinds[i]);
		test_cause(kinds[i]);
		test_end(kinds[i]);
		test_cancel(kinds[i]);
		test_cancel_from_observer(kinds[i]);
	}
	test_reports();
	test_queued();
	test_cancel_ignored();
	test_end_wakes();
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
