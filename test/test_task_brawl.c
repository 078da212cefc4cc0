/* SPDX-License-Identifier: MIT */
/*
 * task: everybody does everything, and the books must balance; and a long
 * march that must not grow.
 *
 * Each task has a file of its own, in which the observer notes what it is
 * told.  What would be seen if the library were wrong: a state that does not
 * follow the one before, two ends, a function that runs twice or after the
 * task was taken out, a release that is missing or doubled, two tasks of one
 * name at a time, counts that differ from the sums of the files.
 */
#include "tasks.h"

#define BRAWLERS 6
#define NAMES 4

/* What is known of one task. */
struct file {
	struct brawl *brawl;
	tally state, ran, ended, released;
	unsigned how;
	int name;		/* its index, or -1 */
};

struct brawl {
	struct fh_tasks *tasks;
	size_t turns;
	pthread_barrier_t over;
	tally accepted, wrong, line, released, brawling;
	tally ends[7], bearers[NAMES];
};

#define EXPECT(brawl, holds)                                                \
	do {                                                                \
		if (!(holds) && add_relaxed(&(brawl)->wrong, 1) == 0)       \
			store_relaxed(&(brawl)->line, __LINE__);            \
	} while (0)

/* As a set: the states that may follow each, counted from QUEUED + 1. */
static const uint64_t next_states[] = {
	[0] = 1u << FH_TASK_QUEUED,
	[FH_TASK_QUEUED + 1] = 1u << FH_TASK_LAUNCHED |
			       1u << FH_TASK_CANCELLED,
	[FH_TASK_LAUNCHED + 1] = 1u << FH_TASK_RUNNING |
				 1u << FH_TASK_CANCELLED,
	[FH_TASK_RUNNING + 1] = 1u << FH_TASK_COMPLETED |
				1u << FH_TASK_FAILED |
				1u << FH_TASK_CANCELLED |
				1u << FH_TASK_CRASHED,
	[FH_TASK_CRASHED + 1] = 0,
};

/*
 * What has run has started.  The converse holds of each end that only the
 * function or its thread can bring about; but brawlers report failures, and a
 * report is welcome from the moment at which the task is said to run, which
 * comes before the first step of its function.  One that was asked to end
 * before that moment is cancelled without having started.
 */
static bool is_possible(const struct fh_task_info *info, bool ran)
{
	if (ran)
		return info->started != 0;
	return info->state == FH_TASK_FAILED ||
	       (info->state == FH_TASK_CANCELLED && !info->started);
}

static void note_down(struct fh_task *task, const struct fh_task_info *info,
		      void *arg)
{
	struct file *file = info->arg;
	struct brawl *brawl = arg;
	uint64_t before = swap_seq_cst(&file->state, info->state + 1u);

	(void)task;
	EXPECT(brawl, next_states[before] >> info->state & 1);
	if (!FH_TASK_IS_OVER(info->state))
		return;
	add_relaxed(&brawl->ends[info->state], 1);
	EXPECT(brawl, add_relaxed(&file->ended, 1) == 0);
	EXPECT(brawl, (info->state == FH_TASK_COMPLETED) == !info->error);
	EXPECT(brawl, is_possible(info, load_relaxed(&file->ran)));
}

static void put_down(void *arg)
{
	struct file *file = arg;

	EXPECT(file->brawl, load_relaxed(&file->ended) == 1);
	EXPECT(file->brawl, add_relaxed(&file->released, 1) == 0);
	add_relaxed(&file->brawl->released, 1);
	free(file);
}

enum { RETURN, FAIL, EXIT, SLEEP, SPEAK, WAYS };

static int fight(struct fh_task *task, void *arg)
{
	struct file *file = arg;
	struct brawl *brawl = file->brawl;

	EXPECT(brawl, add_relaxed(&file->ran, 1) == 0);
	EXPECT(brawl, fh_task_self() == task);
	switch (file->how) {
	case FAIL:
		return -EIO;
	case EXIT:
		pthread_exit(NULL);
	case SLEEP:
		fh_task_cancel_wait(task, fh_deadline_in(MS / 5));
		return fh_task_is_cancelled(task) ? -ECANCELED : 0;
	case SPEAK:
		fh_task_end(task, &(struct fh_task_report){
			.state = FH_TASK_COMPLETED });
		return -EIO;
	default:
		return 0;
	}
}

/*
 * One that has a name is the only one of it, until it has ended; its function
 * may return later, where somebody else has ended it.
 */
static bool only_it_ends(size_t name)
{
	return name % 2 == 0;
}

static int fight_for_name(struct fh_task *task, void *arg)
{
	struct file *file = arg;
	tally *bearers = &file->brawl->bearers[file->name];
	int rc;

	EXPECT(file->brawl, add_seq_cst(bearers, 1) == 0 ||
			    !only_it_ends((size_t)file->name));
	file->how = RETURN;
	rc = fight(task, arg);
	sub_acq_rel(bearers, 1);
	return rc;
}

/* ---- what a brawler does ---- */

static const char *const names[NAMES] = { "ada", "bob", "cy", "dee" };

static size_t number_of(const char *name)
{
	size_t i = 0;

	while (strcmp(names[i], name) != 0)
		i++;
	return i;
}

static struct fh_task *send(struct brawl *brawl, uint64_t *random)
{
	struct file *file = calloc(1, sizeof(*file));
	struct fh_task_request request = {
		.run = fight, .arg = file, .release = put_down };
	struct fh_task *task = NULL;
	int rc;

	file->brawl = brawl;
	file->how = (unsigned)random_below(random, WAYS);
	file->name = (int)random_below(random, 4 * NAMES) - 3 * NAMES;
	if (file->name >= 0) {
		request.name = names[file->name];
		request.run = fight_for_name;
	}
	/* The main thread is to live. */
	if (random_below(random, 4) == 0 && file->how != EXIT)
		request.queue = FH_TASK_MAIN;
	rc = fh_task_submit(brawl->tasks, &request, &task);
	EXPECT(brawl, rc == 0 || rc == -EBUSY ||
		      (rc == -EEXIST && request.name));
	if (rc)
		free(file);
	else
		add_relaxed(&brawl->accepted, 1);
	return task;
}

static int count_one(const struct fh_task_info *info, void *arg)
{
	struct brawl *brawl = arg;

	EXPECT(brawl, !FH_TASK_IS_OVER(info->state) && !info->ended);
	return 0;
}

static void do_something(struct brawl *brawl, struct fh_task *task,
			 uint64_t *random)
{
	struct fh_task_info before, after;
	struct fh_task *found;
	size_t index;
	int rc;

	fh_task_get_info(task, &before);
	switch (random_below(random, 6)) {
	case 0:
		rc = fh_task_cancel(task);
		EXPECT(brawl, rc == 0 || rc == -ESRCH || rc == -EALREADY);
		break;
	case 1:
		if (before.name && only_it_ends(number_of(before.name)))
			break;
		rc = fh_task_end(task, &(struct fh_task_report){
			.state = FH_TASK_FAILED });
		EXPECT(brawl, rc == 0 || rc == -EALREADY || rc == -EBUSY);
		break;
	case 2:
		fh_task_wait(task, fh_deadline_in(MS / 10), NULL);
		break;
	case 3:
		fh_task_wait_any(&task, 1, fh_deadline_in(MS / 10), &index);
		break;
	case 4:
		fh_tasks_for_each(brawl->tasks, count_one, brawl);
		break;
	default:
		if (fh_tasks_get(brawl->tasks, before.id, &found) == 0) {
			EXPECT(brawl, found == task);
			fh_task_release(found);
		}
	}
	fh_task_get_info(task, &after);
	EXPECT(brawl, after.state >= before.state);
	EXPECT(brawl, !FH_TASK_IS_OVER(before.state) ||
		      after.state == before.state);
}

static void brawl_on(unsigned index, void *arg)
{
	uint64_t random = random_seed(index);
	struct brawl *brawl = arg;
	struct fh_task *task;
	size_t i;

	for (i = 0; i < brawl->turns; i++) {
		task = send(brawl, &random);
		if (task)
			do_something(brawl, task, &random);
		fh_task_release(task);
	}
	if (sub_acq_rel(&brawl->brawling, 1) == 1)
		fh_tasks_close(brawl->tasks);
}

static void balance(struct brawl *brawl)
{
	struct fh_tasks_stats stats = stats_of(brawl->tasks);

	is(stats.submitted, brawl->accepted, "all are counted");
	is(stats.completed, brawl->ends[FH_TASK_COMPLETED], "completed");
	is(stats.failed, brawl->ends[FH_TASK_FAILED], "failed");
	is(stats.cancelled, brawl->ends[FH_TASK_CANCELLED], "cancelled");
	is(stats.crashed, brawl->ends[FH_TASK_CRASHED], "crashed");
	is(stats.completed + stats.failed + stats.cancelled + stats.crashed,
	   brawl->accepted, "each ended once");
	is(brawl->released, brawl->accepted, "and was released");
	is(brawl->wrong, 0, "nothing else was wrong");
	if (brawl->wrong)
		diag("line %" PRIu64 " first", (uint64_t)brawl->line);
	diag("%" PRIu64 " completed, %" PRIu64 " failed, %" PRIu64
	     " cancelled, %" PRIu64 " crashed, %" PRIu64 " dropped",
	     stats.completed, stats.failed, stats.cancelled, stats.crashed,
	     stats.dropped);
}

static void test_brawl(unsigned threads)
{
	struct brawl brawl = { .turns = long_or_short(1500, 250),
			       .brawling = BRAWLERS };
	const struct fh_tasks_options options = {
		.threads = threads, .limit = 200, .observer = note_down,
		.observer_arg = &brawl, .sweep_every = MS };
	struct crew crew;

	brawl.tasks = supervisor_with(&options);
	crew_start(&crew, BRAWLERS, brawl_on, &brawl);
	is(fh_tasks_run_main_wait(brawl.tasks, SOON), 0, "%s: a brawl",
	   kind_name(threads));
	crew_join(&crew);
	is(fh_tasks_shutdown_wait(brawl.tasks, FH_TASKS_DRAIN, SOON, NULL,
				  NULL), 0, "and its end");
	balance(&brawl);
	fh_tasks_destroy(brawl.tasks);
}

/* ---- a long march ---- */

static size_t resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long size, resident = 0;

	if (!file || fscanf(file, "%lu %lu", &size, &resident) != 2)
		bail_out("no /proc/self/statm");
	fclose(file);
	return resident;
}

static void march(struct fh_tasks *tasks, size_t count)
{
	const struct fh_task_request request = { .run = nothing };
	size_t i;
	int rc;

	for (i = 0; i < count; i++)
		while ((rc = fh_task_submit(tasks, &request, NULL))) {
			if (rc != -EBUSY)
				bail_out("a march is stopped");
			sched_yield();
		}
}

/* After a tenth of the way it needs no more memory than at the end. */
static void test_march(unsigned threads, size_t count)
{
	const struct fh_tasks_options options = { .threads = threads,
						  .limit = 512 };
	struct fh_tasks *tasks = supervisor_with(&options);
	const char *kind = kind_name(threads);
	size_t before, after;

	march(tasks, count / 10);
	before = resident_pages();
	march(tasks, count - count / 10);
	after = resident_pages();
	is(fh_tasks_shutdown_wait(tasks, FH_TASKS_DRAIN, SOON, NULL, NULL), 0,
	   "%s: %zu tasks", kind, count);
	is(stats_of(tasks).completed, count, "all completed");
	ok(SANITIZED || after < before + 4096, "%s: without growing", kind);
	diag("%zu pages, then %zu", before, after);
	fh_tasks_destroy(tasks);
}

int main(void)
{
	unsigned i;

	task_watchdog();
	for (i = 0; i < KINDS; i++)
		test_brawl(kinds[i]);
	test_march(0, long_or_short(100000, 1500));
	test_march(3, long_or_short(1000000, 15000));
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
