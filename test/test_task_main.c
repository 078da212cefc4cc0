/* SPDX-License-Identifier: MIT */
/*
 * task: the main queue: on the main thread alone, one after the other, in
 * order, until the supervisor is drained.
 */
#include "tasks.h"

struct row {
	tally next;
	pthread_t main;
	tally wrong;
	struct fh_tasks *tasks;
	size_t more;
};

struct place {
	struct row *row;
	uint64_t number;
};

static int take_turn(struct fh_task *task, void *arg)
{
	struct place *place = arg;

	(void)task;
	if (load_seq_cst(&place->row->next) != place->number ||
	    !pthread_equal(pthread_self(), place->row->main))
		add_seq_cst(&place->row->wrong, 1);
	add_seq_cst(&place->row->next, 1);
	return 0;
}

#define PLACES 50

static struct fh_task *submit_main(struct fh_tasks *tasks,
				   fh_task_function run, void *arg)
{
	const struct fh_task_request request = {
		.run = run, .arg = arg, .queue = FH_TASK_MAIN };

	return submit_as(tasks, &request);
}

static void test_order(unsigned threads)
{
	struct fh_tasks *tasks = supervisor(threads);
	struct row row = { .main = pthread_self() };
	struct place place[PLACES];
	struct fh_task *last = NULL;
	unsigned i;

	for (i = 0; i < PLACES; i++) {
		place[i] = (struct place){ &row, i };
		fh_task_release(last);
		last = submit_main(tasks, take_turn, &place[i]);
	}
	is(stats_of(tasks).queued, PLACES, "they wait for the main thread");
	is(info_of(last).queue, FH_TASK_MAIN, "the last one too");
	is(fh_tasks_run_main_wait(tasks, 0), -ETIMEDOUT, "run what is there");
	is(row.next, PLACES, "%s: all have run", kind_name(threads));
	is(row.wrong, 0, "in order, on the main thread");
	is(await(last).state, FH_TASK_COMPLETED, "and completed");
	is(fh_tasks_run_main_wait(tasks, fh_deadline_in(MS)), -ETIMEDOUT,
	   "nothing to run");
	put_away(tasks);
}

/* A task that queues another one each time is no endless poll. */
static int queue_more(struct fh_task *task, void *arg)
{
	struct row *row = arg;

	(void)task;
	add_seq_cst(&row->next, 1);
	if (row->more-- > 0)
		fh_task_submit(row->tasks, &(struct fh_task_request){
			.run = queue_more, .arg = row,
			.queue = FH_TASK_MAIN }, NULL);
	return 0;
}

static void test_poll_ends(void)
{
	struct fh_tasks *tasks = supervisor(0);
	struct row row = { .tasks = tasks, .more = 1000 };

	fh_task_release(submit_main(tasks, queue_more, &row));
	is(fh_tasks_run_main_wait(tasks, 0), -ETIMEDOUT, "poll");
	ok(row.next >= 1 && row.next < 5, "it does not go on for ever");
	put_away(tasks);
	ok(row.next < 10, "what comes after the closure is refused");
}

/* ---- who may ---- */

static void run_elsewhere(unsigned index, void *arg)
{
	(void)index;
	is(fh_tasks_run_main_wait(arg, 0), -EPERM, "another thread may not");
}

static int run_within(struct fh_task *task, void *arg)
{
	(void)task;
	return fh_tasks_run_main_wait(arg, 0) == -EDEADLK &&
	       fh_tasks_shutdown_wait(arg, FH_TASKS_DRAIN, FH_FOREVER, NULL,
				      NULL) == -EDEADLK ? 0 : -EIO;
}

static void test_permission(void)
{
	struct fh_tasks *tasks = supervisor(0);
	struct fh_task *task = submit_main(tasks, run_within, tasks);

	run_crew(1, run_elsewhere, tasks);
	fh_tasks_run_main_wait(tasks, 0);
	is(await(task).state, FH_TASK_COMPLETED, "a task cannot run others");
	put_away(tasks);
}

/* ---- from other threads ---- */

struct feed {
	struct fh_tasks *tasks;
	tally ran, refused;
	size_t each;
	pthread_t main;
};

static int eat(struct fh_task *task, void *arg)
{
	struct feed *feed = arg;

	(void)task;
	if (pthread_equal(pthread_self(), feed->main))
		add_seq_cst(&feed->ran, 1);
	return 0;
}

static void feed_main(unsigned index, void *arg)
{
	struct feed *feed = arg;
	size_t i;

	(void)index;
	for (i = 0; i < feed->each; i++)
		fh_task_release(submit_main(feed->tasks, eat, feed));
}

static void close_later(unsigned index, void *arg)
{
	struct feed *feed = arg;
	struct crew crew;

	(void)index;
	crew_start(&crew, 3, feed_main, feed);
	crew_join(&crew);
	fh_tasks_close(feed->tasks);
}

/* The main thread sleeps between tasks, and returns when all is over. */
static void test_feed(void)
{
	struct feed feed = { .each = scaled(300, 30),
			     .main = pthread_self() };
	struct crew crew;

	feed.tasks = supervisor(2);
	crew_start(&crew, 1, close_later, &feed);
	is(fh_tasks_run_main_wait(feed.tasks, SOON), 0, "until it is closed");
	is(feed.ran, 3 * feed.each, "all ran on the main thread");
	crew_join(&crew);
	put_away(feed.tasks);
}

struct closer {
	struct fh_tasks *tasks;
	tally in_vain;
};

/* A shutdown elsewhere waits for the main thread to run them. */
static void shut_down(unsigned index, void *arg)
{
	struct closer *closer = arg;

	(void)index;
	is(fh_tasks_shutdown_wait(closer->tasks, FH_TASKS_DRAIN,
				  fh_deadline_in(MS), NULL, NULL), -ETIMEDOUT,
	   "a task waits for the main thread");
	add_seq_cst(&closer->in_vain, 1);
	is(fh_tasks_shutdown_wait(closer->tasks, FH_TASKS_DRAIN, SOON, NULL,
				  NULL), 0, "which runs it");
}

static void test_shutdown_elsewhere(void)
{
	struct closer closer = { .tasks = supervisor(0) };
	struct fh_tasks *tasks = closer.tasks;
	struct row row = { .main = pthread_self() };
	struct place place = { &row, 0 };
	struct crew crew;

	fh_task_release(submit_main(tasks, take_turn, &place));
	crew_start(&crew, 1, shut_down, &closer);
	await_tally(&closer.in_vain, 1);
	is(fh_task_submit(tasks, &(struct fh_task_request){ .run = nothing },
			  NULL), -ESHUTDOWN, "nothing more is taken");
	sleep_ns(5 * MS);
	is(row.next, 0, "nobody else runs it");
	is(fh_tasks_run_main_wait(tasks, SOON), 0, "run it");
	is(row.next, 1, "it has run");
	crew_join(&crew);
	fh_tasks_destroy(tasks);
}

/* ---- the main thread ends ---- */

static int leave(struct fh_task *task, void *arg)
{
	(void)task;
	pthread_exit(arg);
}

static void live_as_main(unsigned index, void *arg)
{
	struct fh_tasks **tasks = arg;

	(void)index;
	*tasks = supervisor(0);
	fh_task_release(submit_main(*tasks, leave, NULL));
	fh_task_release(submit_main(*tasks, nothing, NULL));
	fh_tasks_run_main_wait(*tasks, SOON);
	ok(0, "it has ended its thread");
}

static void test_main_ends(void)
{
	struct fh_tasks *tasks = NULL;
	struct fh_tasks_stats stats;

	run_crew(1, live_as_main, &tasks);
	stats = stats_of(tasks);
	is(stats.crashed, 1, "its task crashed");
	is(stats.queued, 1, "the next one is still queued");
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_CANCEL, SOON, NULL, NULL), 0,
	   "and can be cancelled");
	fh_tasks_destroy(tasks);
}

int main(void)
{
	unsigned i;

	watchdog(240);
	for (i = 0; i < KINDS; i++)
		test_order(kinds[i]);
	test_poll_ends();
	test_permission();
	test_feed();
	test_shutdown_elsewhere();
	test_main_ends();
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
