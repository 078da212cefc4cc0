/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the supervisor: operations on one task, how far the task has
 * come when they begin, and what must hold.
 *
 *  - It ends once: all who have seen it over have seen the same end, one call
 *    of fh_task_end at most has won, and each report that came too late is
 *    counted.
 *  - It is asked once, and whoever was told so sees that it was.
 *  - Its output is given once, whole, to who takes it or to its release
 *    function: it is plain memory, which a second one would free again, and
 *    which is a leak if nobody does.
 *  - While it lives, name and number lead to it, and a list has it once.
 *    Then its name is free.
 *  - When a shutdown returns 0, no task and no thread is left.
 *  - Nobody waits for ever.
 */
#ifndef FH_SCHEDULE_TASK_PAIRS_H
#define FH_SCHEDULE_TASK_PAIRS_H

#include "schedule_task.h"
#include "script.h"

#include <string.h>

enum operation {
	NONE, SUBMIT, CANCEL, AWAIT_CANCEL, END, TAKE, OUTPUT, WAIT, WAIT_ANY,
	WAIT_ALL, FIND, GET, LIST, SWEEP, CLOSE, DRAIN, CANCEL_ALL, RUN_MAIN
};

static const char *const operation_name[] = {
	"", "submit", "cancel", "wait until asked", "end", "take",
	"set its output", "wait", "wait for any", "wait for all", "find",
	"get", "list", "sweep", "close", "shut down", "cancel all",
	"run the main queue",
};

/* How far the task has come. */
enum content {
	QUEUED,		/* for the first thread, which is the main one */
	RUNNING,	/* there, and the others wait until it is */
	ENDED,
	POOLED,		/* queued; the pool's thread comes */
	LAUNCHED,	/* its own thread comes */
	VANISHING	/* the same, and goes past every hook */
};

static const char *const content_name[] = {
	"queued", "running", "ended", "in a pool", "launched", "vanishing",
};

#define THREADS_MOST ACTORS
#define NAME "ada"

struct setting {
	enum content content;
	enum operation operation[THREADS_MOST];
	bool of_two;		/* who waits for all waits for a second one */
};

static struct fh_task *first, *second;
static struct fh_status begun;

/* Plain: what each thread was told. */
static struct fh_task_info last[THREADS_MOST];
static bool has_last[THREADS_MOST];
static uint8_t asked[THREADS_MOST], ended[THREADS_MOST];
static uint8_t late[THREADS_MOST], taken[THREADS_MOST];
static uint8_t found_gone[THREADS_MOST];

static _Thread_local unsigned me;

static const struct setting *setting(void)
{
	return scenario_now()->data;
}

static unsigned has(enum operation operation)
{
	unsigned i, number = 0;

	for (i = 0; i < THREADS_MOST; i++)
		number += setting()->operation[i] == operation;
	return number;
}

/* By the main thread, which is one of the scenario's. */
static bool is_mained(void)
{
	return setting()->content <= ENDED;
}

static bool is_shut_down(void)
{
	return has(DRAIN) || has(CANCEL_ALL);
}

/* ---- outputs ---- */

enum giver { FUNCTION = 1, DRAFT, MEDDLER };

struct output {
	unsigned giver, again;
};

static struct output *make_output(enum giver giver)
{
	struct output *output = malloc(sizeof(*output));

	if (output)
		*output = (struct output){ giver, ~(unsigned)giver };
	return output;
}

static enum giver drop_output(struct output *output)
{
	enum giver giver = output->giver;

	expect(output->again == ~(unsigned)giver, "the output is torn");
	output->giver = 0;
	free(output);
	return giver;
}

static void release_output(void *output)
{
	drop_output(output);
}

/* ---- the first task's function ---- */

static void set_output(struct fh_task *task, enum giver giver)
{
	struct output *output = make_output(giver);

	expect(fh_task_set_output(task, output, release_output) == 0,
	       "it may not set its output");
}

static int run_first(struct fh_task *task, void *arg)
{
	set_output(task, DRAFT);
	work(task, arg);
	if (setting()->content == RUNNING)
		fh_status_set(&begun, 1);
	set_output(task, FUNCTION);
	if (setting()->content == VANISHING)
		syscall(SYS_exit, 0);
	return fh_task_is_cancelled(task) ? -ECANCELED : 0;
}

/* ---- what must hold of one who looks ---- */

static bool is_first_over(void)
{
	struct fh_task_info info;

	fh_task_get_info(first, &info);
	return FH_TASK_IS_OVER(info.state);
}

static void check_info(const struct fh_task_info *info)
{
	const struct file *file = info->arg;

	expect(info->id && info->submitted, "one that is not whole is seen");
	expect(file->given == 7, "the argument is not there");
	if (info->state >= FH_TASK_RUNNING && !info->asked)
		expect(info->started, "it runs, and was not started");
	if (!FH_TASK_IS_OVER(info->state))
		return;
	look_at_end(info);
	expect(info->ended >= info->started, "it ended before it began");
}

static bool is_meddled(const struct fh_task_info *info)
{
	return info->state == FH_TASK_FAILED && info->error == -EIO &&
	       strcmp(info->cause, "meddled") == 0;
}

static void note_end(void)
{
	struct fh_task_info info;

	fh_task_get_info(first, &info);
	check_info(&info);
	expect(setting()->content != ENDED || FH_TASK_IS_OVER(info.state),
	       "an end is taken back");
	last[me] = info;
	has_last[me] = FH_TASK_IS_OVER(info.state);
}

/* ---- operations ---- */

/* The name is free when the first one is over, and until then it is not. */
static void do_submit(void)
{
	struct file *file = calloc(1, sizeof(*file));
	const struct fh_task_request request = {
		.run = work, .arg = file, .release = put_down, .name = NAME,
		.queue = is_mained() ? FH_TASK_MAIN : FH_TASK_THREAD };
	struct fh_task *task;
	int rc;

	file->given = 7;
	rc = fh_task_submit(tasks, &request, &task);
	expect(rc == 0 || rc == -EEXIST || rc == -ESHUTDOWN, "submission: %d",
	       rc);
	expect(rc != -ESHUTDOWN || has(CLOSE) || is_shut_down(),
	       "nobody closed it");
	expect(rc != -EEXIST || setting()->content != ENDED || has(SUBMIT) > 1,
	       "the name is free");
	if (rc) {
		free(file);
		return;
	}
	expect(is_first_over(), "two of one name");
	if (is_mained())
		fh_task_release(task); /* finish runs it at the latest */
	else
		await(task);
}

static void do_cancel(void)
{
	struct fh_task_info info;
	int rc = fh_task_cancel(first);

	expect(rc == 0 || rc == -ESRCH || rc == -EALREADY, "cancel: %d", rc);
	fh_task_get_info(first, &info);
	expect(rc == -ESRCH || info.asked, "it was asked, and does not know");
	expect(rc != -ESRCH || FH_TASK_IS_OVER(info.state),
	       "it has not ended");
	expect(rc == -ESRCH || setting()->content != ENDED,
	       "one that ended is asked");
	expect(rc != -EALREADY || has(CANCEL_ALL) || has(CANCEL) > 1,
	       "nobody else asked it");
	asked[me] += rc == 0;
}

static void await_cancel(void)
{
	struct fh_task_info info;
	int rc = fh_task_cancel_wait(first, FH_FOREVER);

	expect(rc == 0 || rc == -ESRCH, "wait until asked: %d", rc);
	fh_task_get_info(first, &info);
	expect(!rc == !!info.asked, "told %d, and asked: %d", rc, info.asked);
	expect(!rc || FH_TASK_IS_OVER(info.state), "it has not ended");
}

static void do_end(void)
{
	struct output *output = make_output(MEDDLER);
	const struct fh_task_report report = {
		.state = FH_TASK_FAILED, .error = -EIO, .cause = "meddled",
		.output = output, .release = release_output };
	struct fh_task_info info;
	int rc = fh_task_end(first, &report);

	expect(rc == 0 || rc == -EBUSY || rc == -EALREADY, "end: %d", rc);
	expect(rc != -EBUSY || setting()->content != RUNNING, "it runs");
	expect(rc == -EALREADY || setting()->content != ENDED,
	       "one that ended is ended");
	fh_task_get_info(first, &info);
	expect(rc || is_meddled(&info), "it was ended as failed, and is %d",
	       info.state);
	ended[me] += rc == 0;
	late[me] += rc == -EALREADY;
	if (rc)
		drop_output(output);
}

/* Of a function that ran, unless its report came too late or never. */
static void check_report(const struct fh_task_report *report)
{
	enum giver giver = 0;

	if (report->output)
		giver = drop_output(report->output);
	if (report->state == FH_TASK_COMPLETED)
		expect(giver == FUNCTION, "%d gave it", giver);
	if (report->state == FH_TASK_FAILED)
		expect(giver == MEDDLER, "%d gave it", giver);
	if (report->state == FH_TASK_CRASHED)
		expect(!giver, "a crash gave it");
	if (report->state == FH_TASK_CANCELLED)
		expect(!giver || giver == FUNCTION, "%d gave it", giver);
}

static void do_take(void)
{
	struct fh_task_report report;
	struct fh_task_info info;
	int rc = fh_task_take(first, &report);

	expect(rc == 0 || rc == -EBUSY || rc == -EALREADY, "take: %d", rc);
	expect(rc != -EBUSY || setting()->content != ENDED, "it has ended");
	taken[me] += rc == 0;
	expect(rc != -EALREADY || has(TAKE) > 1, "nobody else took it");
	if (rc)
		return;
	fh_task_get_info(first, &info);
	expect(info.state == report.state && info.error == report.error &&
	       info.cause == report.cause, "another end is taken");
	check_report(&report);
}

/* For a while, where a scenario lets time pass. */
static void wait_for_all(void)
{
	struct fh_task *const both[2] = { first, second ? second : first };
	bool timed = scenario_now()->timeouts;
	struct fh_task_info info;
	size_t done = 7;
	int rc = fh_task_wait_all(both, 2, timed ? IN_A_WHILE : FH_FOREVER,
				  &done);

	if (timed && rc == -ETIMEDOUT) {
		expect(fh_now() >= IN_A_WHILE, "the deadline came early");
		expect(done <= 2 && (done < 2 || is_first_over()),
		       "%zu of 2 have ended", done);
		return;
	}
	expect(rc == 0 && done == 2, "%d: %zu of 2 have ended", rc, done);
	fh_task_get_info(both[1], &info);
	look_at_end(&info);
	expect(is_first_over(), "the first has not ended");
}

static void wait_for_any(void)
{
	size_t index = 7;

	expect(fh_task_wait_any(&first, 1, FH_FOREVER, &index) == 0 &&
	       index == 0, "no end");
	expect(is_first_over(), "it has not ended");
}

static void do_wait(void)
{
	struct fh_task_info info;

	expect(fh_task_wait(first, FH_FOREVER, &info) == 0, "no end");
	look_at_end(&info);
}

/* What was found is a reference: it can be read when the first is gone. */
static void use_found(struct fh_task *task, bool named, bool was_over)
{
	struct fh_task_info info;

	fh_task_get_info(task, &info);
	check_info(&info);
	expect(!named || strcmp(info.name, NAME) == 0, "another name");
	expect(task == first || (named && has(SUBMIT) && is_first_over()),
	       "another task is found");
	expect(task != first || !was_over, "one that ended is found");
	fh_task_release(task);
}

static void do_find(bool named)
{
	bool was_over = is_first_over();
	struct fh_task *task = NULL;
	int rc;

	rc = named ? fh_tasks_find(tasks, NAME, &task) :
		     fh_tasks_get(tasks, 1, &task);
	expect(rc == 0 || rc == -ENOENT, "search: %d", rc);
	if (rc == 0)
		use_found(task, named, was_over);
	else
		expect(is_first_over(), "it lives, and is not found");
}

struct visits {
	unsigned first;
};

static int visit(const struct fh_task_info *info, void *arg)
{
	struct visits *visits = arg;

	expect(info->state <= FH_TASK_RUNNING, "one that ended is listed");
	if (info->id == 1) { /* the others' arguments are their own */
		check_info(info);
		visits->first++;
	}
	return 0;
}

static void do_list(void)
{
	struct visits visits = { 0 };

	fh_tasks_for_each(tasks, visit, &visits);
	expect(visits.first == 1 || (!visits.first && is_first_over()),
	       "it is listed %u times", visits.first);
}

static int refuse_visit(const struct fh_task_info *info, void *arg)
{
	(void)arg;
	expect(false, "task %u is left", (unsigned)info->id);
	return 0;
}

static void do_shutdown(enum fh_tasks_shutdown how)
{
	int rc = fh_tasks_shutdown_wait(tasks, how, FH_FOREVER, NULL, NULL);

	expect(rc == 0, "shutdown: %d", rc);
	expect(load_relaxed(&tasks->threads) == 0, "threads are left");
	expect(is_first_over(), "a task is left");
	fh_tasks_for_each(tasks, refuse_visit, NULL);
}

/* What is there; whoever shuts down has it run what comes, too. */
static void run_main(void)
{
	int rc = fh_tasks_run_main_wait(tasks, is_shut_down() ? FH_FOREVER : 0);

	expect(rc == 0 || (!is_shut_down() && rc == -ETIMEDOUT), "main: %d",
	       rc);
	/* Whose report was first may have yet to change the state. */
	expect(is_first_over() || has(END), "it was there, and has not run");
}

static void operate(enum operation operation)
{
	switch (operation) {
	case SUBMIT:
		do_submit();
		break;
	case CANCEL:
		do_cancel();
		break;
	case AWAIT_CANCEL:
		await_cancel();
		break;
	case END:
		do_end();
		break;
	case TAKE:
		do_take();
		break;
	case OUTPUT:
		expect(fh_task_set_output(first, NULL, NULL) == -EPERM,
		       "somebody else sets its output");
		break;
	case WAIT:
		do_wait();
		break;
	case WAIT_ANY:
		wait_for_any();
		break;
	case WAIT_ALL:
		wait_for_all();
		break;
	case FIND:
	case GET:
		do_find(operation == FIND);
		break;
	case LIST:
		do_list();
		break;
	case SWEEP:
		found_gone[me] = (uint8_t)fh_tasks_sweep(tasks);
		break;
	case CLOSE:
		fh_tasks_close(tasks);
		break;
	case RUN_MAIN:
		run_main();
		break;
	default:
		do_shutdown(operation == DRAIN ? FH_TASKS_DRAIN :
						 FH_TASKS_CANCEL);
	}
}

void act(unsigned thread)
{
	me = thread;
	if (setting()->content == RUNNING && me)
		fh_status_wait(&begun, FH_STATE(1), FH_FOREVER, NULL);
	operate(setting()->operation[me]);
	note_end();
	fh_task_release(first);
	if (second)
		fh_task_release(second);
	if (!is_mained())
		go_out();
}

/* ---- the beginning and the end ---- */

static struct fh_task *submit_to(enum fh_task_queue queue,
				 fh_task_function run, const char *name)
{
	struct fh_task *task = try_submit(run, name, queue);

	expect(task, "setup: submit");
	return task;
}

/* A reference for each thread, and none for finish. */
static void share(struct fh_task *task)
{
	unsigned i;

	for (i = 1; i < THREADS_MOST && setting()->operation[i]; i++)
		fh_task_hold(task);
}

/* By the machine's numbers: who shuts down also runs what is left. */
static void choose_main(void)
{
	const enum operation *operation = setting()->operation;
	unsigned shuts = 0;

	if (setting()->content == ENDED && is_shut_down())
		while (operation[shuts] != DRAIN &&
		       operation[shuts] != CANCEL_ALL)
			shuts++;
	tasks->main = 1 + shuts;
}

static void setup(void)
{
	const struct fh_tasks_options pool = { .threads = 1 };
	enum content content = setting()->content;
	enum fh_task_queue queue = is_mained() ? FH_TASK_MAIN :
						 FH_TASK_THREAD;

	create(content == POOLED ? &pool : NULL);
	patient = content == VANISHING;
	first = submit_to(queue, run_first, NAME);
	share(first);
	if (setting()->of_two) {
		second = submit_to(queue, work, NULL);
		share(second);
	}
	if (content == ENDED)
		expect(fh_tasks_run_main_wait(tasks, 0) == -ETIMEDOUT &&
		       is_first_over(), "setup: run");
	if (is_mained())
		choose_main();
}

static unsigned sum(const uint8_t *of)
{
	return (unsigned)of[0] + of[1] + of[2] + of[3];
}

static void check_ends(void)
{
	unsigned i, j;

	for (i = 0; i < THREADS_MOST; i++)
		for (j = 0; j < i; j++)
			expect(!has_last[i] || !has_last[j] ||
			       (last[i].state == last[j].state &&
				last[i].error == last[j].error &&
				last[i].cause == last[j].cause &&
				last[i].ended == last[j].ended),
			       "it ended as %d and as %d", last[i].state,
			       last[j].state);
}

static void finish_pair(void)
{
	struct fh_tasks_stats stats;

	check_ends();
	if (is_mained()) {
		tasks->main = pthread_self();
		shut_down();
	}
	fh_tasks_get_stats(tasks, &stats);
	expect(sum(asked) <= 1, "it was asked %u times", sum(asked));
	expect(sum(taken) <= 1, "it was taken %u times", sum(taken));
	expect(sum(ended) == stats.failed && stats.failed <= 1,
	       "%u calls ended it, and %ju ends are theirs", sum(ended),
	       (uintmax_t)stats.failed);
	expect(sum(ended) + sum(late) == stats.dropped,
	       "%ju reports were dropped", (uintmax_t)stats.dropped);
	expect(sum(found_gone) <= stats.swept && stats.swept <= stats.crashed,
	       "%u were found gone", sum(found_gone));
	expect(!stats.crashed || setting()->content == VANISHING,
	       "a spurious death");
	expect(stats.crashed == stats.swept, "who reported its death?");
	finish();
}

/* ---- which of them ---- */

static struct scenario *add_setting(const struct setting *its)
{
	static const struct scenario frame = { .setup = setup,
		.finish = finish_pair, .preemptions = 1, .stale = NO_STALE };
	struct scenario *scenario = add_scenario(&frame, its, sizeof(*its));
	unsigned i;

	name_scenario(scenario, "%s%s:", its->of_two ? "two, " : "",
		      content_name[its->content]);
	for (i = 0; i < THREADS_MOST && its->operation[i]; i++)
		add_actor(scenario, "%s", operation_name[its->operation[i]]);
	return scenario;
}

static struct scenario *add(enum content content, enum operation a,
			    enum operation b, enum operation c)
{
	return add_setting(&(struct setting){ .content = content,
					      .operation = { a, b, c } });
}

#endif
