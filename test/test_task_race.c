/* SPDX-License-Identifier: MIT */
/*
 * task: the race that there was, and the one that is asked for.
 *
 * 16 threads with 200 tiny tasks each, one after the other: in the original
 * supervisor (task_original.h) a janitor calls some of them dead before they
 * have started.  The same stress goes over ours, with a janitor on the same
 * clock, and with one that never pauses.
 *
 * Then a task's completion against its cancellation and against reports from
 * two other threads: whatever wins, there is one end, and all agree on it.
 */
#include "task_original.h"
#include "tasks.h"

#define CLIENTS 16
#define TASKS 200
#define RUNS 20

/* ---- the stress ---- */

struct stress {
	bool (*one)(struct stress *stress);	/* true: a spurious death */
	struct original original;
	struct fh_tasks *tasks;
	size_t each;		/* tasks, of each client */
	tally completions, deaths, ended;
};

static bool run_original(struct stress *stress)
{
	return original_task(&stress->original);
}

static bool run_ours(struct stress *stress)
{
	return await(submit(stress->tasks, nothing, NULL)).state !=
	       FH_TASK_COMPLETED;
}

static void be_client(unsigned index, void *arg)
{
	struct stress *stress = arg;
	size_t i;

	(void)index;
	for (i = 0; i < stress->each; i++)
		if (stress->one(stress))
			add_relaxed(&stress->deaths, 1);
		else
			add_relaxed(&stress->completions, 1);
}

/* The original, until it fails as it did: some runs, with luck one. */
static void test_original(void)
{
	struct stress stress = { .one = run_original, .each = TASKS };
	int64_t until = SOON;
	unsigned runs = 0;

	original_open(&stress.original);
	while (!load_seq_cst(&stress.deaths) && fh_now() < until) {
		run_crew(CLIENTS, be_client, &stress);
		runs++;
	}
	original_close(&stress.original);
	ok(load_seq_cst(&stress.deaths) > 0,
	   "the original calls tasks dead that have not started");
	diag("%u runs of %u: %" PRIu64 " completions, %" PRIu64
	     " spurious deaths", runs, CLIENTS * TASKS,
	     (uint64_t)stress.completions, (uint64_t)stress.deaths);
}

static void test_stress(unsigned threads, size_t runs)
{
	const struct fh_tasks_options options = {
		.threads = threads, .sweep_every = JANITOR_NS };
	struct stress stress = { .one = run_ours,
				 .each = long_or_short(TASKS, TASKS) };
	struct fh_tasks_stats stats;
	size_t i;

	stress.tasks = supervisor_with(&options);
	for (i = 0; i < runs; i++)
		run_crew(CLIENTS, be_client, &stress);
	is(stress.deaths, 0, "%s: no spurious death", kind_name(threads));
	is(stress.completions, runs * CLIENTS * stress.each,
	   "all completed");
	stats = stats_of(stress.tasks);
	is(stats.crashed + stats.swept + stats.failed + stats.dropped, 0,
	   "nothing else was counted");
	diag("%zu runs of %zu: %" PRIu64 " completions", runs,
	     CLIENTS * stress.each, (uint64_t)stress.completions);
	put_away(stress.tasks);
}

/* A janitor that never pauses, on another thread. */
static void sweep_on(unsigned index, void *arg)
{
	struct stress *stress = arg;
	size_t found = 0;

	if (index) {
		be_client(index, arg);
		add_seq_cst(&stress->ended, 1);
		return;
	}
	while (load_seq_cst(&stress->ended) < 4)
		found += fh_tasks_sweep(stress->tasks);
	add_relaxed(&stress->deaths, found);
}

static void test_eager_janitor(unsigned threads)
{
	struct stress stress = { .one = run_ours,
				 .each = long_or_short(TASKS, TASKS) };

	stress.tasks = supervisor(threads);
	run_crew(5, sweep_on, &stress);
	is(stress.deaths, 0, "%s: a sweep without a pause finds none",
	   kind_name(threads));
	is(stress.completions, 4 * stress.each, "all completed");
	put_away(stress.tasks);
}

/* ---- the end ---- */

/* What observers are told of all rounds; the task's argument counts ends. */
struct duel {
	struct fh_tasks *tasks;
	struct fh_task *task;
	pthread_barrier_t begun, over;
	size_t rounds;
	tally told[7], wrong, late, won[3], taken;
};

static void note_end(struct fh_task *task, const struct fh_task_info *info,
		     void *arg)
{
	struct duel *duel = arg;

	(void)task;
	add_relaxed(&duel->told[info->state], 1);
	if (FH_TASK_IS_OVER(info->state) && info->arg)
		add_seq_cst((tally *)info->arg, 1);
}

/* Asked to end, it does; otherwise it completes. */
static int duel_on(struct fh_task *task, void *arg)
{
	(void)arg;
	return fh_task_is_cancelled(task) ? -ECANCELED : 0;
}

static void attack(struct duel *duel, unsigned index)
{
	const struct fh_task_report report = {
		.state = FH_TASK_FAILED, .error = -(int)index - 1 };
	struct fh_task_report got;
	int rc;

	rc = index ? fh_task_end(duel->task, &report) :
		     fh_task_cancel(duel->task);
	if (rc == 0)
		add_relaxed(&duel->won[index], 1);
	if (index && rc == -EALREADY)
		add_relaxed(&duel->late, 1);
	if (rc && rc != -EALREADY && rc != -ESRCH && rc != -EBUSY)
		add_relaxed(&duel->wrong, 1);
	if (fh_task_wait(duel->task, SOON, NULL))
		add_relaxed(&duel->wrong, 1);
	if (fh_task_take(duel->task, &got) == 0)
		add_relaxed(&duel->taken, 1);
}

static void attack_all(unsigned index, void *arg)
{
	struct duel *duel = arg;
	size_t i;

	for (i = 0; i < duel->rounds; i++) {
		pthread_barrier_wait(&duel->begun);
		attack(duel, index);
		pthread_barrier_wait(&duel->over);
	}
}

/* One round: three others act while the task is on its way. */
static void one_round(struct duel *duel)
{
	tally ends = 0;
	struct fh_task_info first, second;

	duel->task = submit(duel->tasks, duel_on, &ends);
	pthread_barrier_wait(&duel->begun);
	fh_task_wait(duel->task, SOON, &first);
	pthread_barrier_wait(&duel->over);
	second = info_of(duel->task);
	if (first.state != second.state || first.error != second.error ||
	    first.cause != second.cause || first.ended != second.ended)
		add_relaxed(&duel->wrong, 1);
	while (load_seq_cst(&ends) == 0)
		sched_yield();
	fh_task_release(duel->task);
}

static void check_duel(struct duel *duel, uint64_t submitted)
{
	struct fh_tasks_stats stats = stats_of(duel->tasks);
	uint64_t told = duel->told[FH_TASK_COMPLETED] +
			duel->told[FH_TASK_FAILED] +
			duel->told[FH_TASK_CANCELLED] +
			duel->told[FH_TASK_CRASHED];

	is(told, submitted, "one end was told of each");
	is(duel->told[FH_TASK_QUEUED], submitted, "and one beginning");
	is(stats.completed, duel->told[FH_TASK_COMPLETED], "the counts agree");
	is(stats.failed, duel->told[FH_TASK_FAILED], "on all");
	is(stats.cancelled, duel->told[FH_TASK_CANCELLED], "three");
	is(duel->wrong, 0, "nothing else was seen");
	diag("%" PRIu64 " completed, %" PRIu64 " failed, %" PRIu64
	     " cancelled, %" PRIu64 " reports dropped", stats.completed,
	     stats.failed, stats.cancelled, stats.dropped);
}

static void test_duel(unsigned threads)
{
	struct duel duel = { .rounds = long_or_short(5000, 300) };
	const struct fh_tasks_options options = {
		.threads = threads, .observer = note_end,
		.observer_arg = &duel };
	struct crew crew;
	size_t i;

	duel.tasks = supervisor_with(&options);
	pthread_barrier_init(&duel.begun, NULL, 4);
	pthread_barrier_init(&duel.over, NULL, 4);
	crew_start(&crew, 3, attack_all, &duel);
	for (i = 0; i < duel.rounds; i++)
		one_round(&duel);
	crew_join(&crew);
	is(fh_tasks_shutdown_wait(duel.tasks, FH_TASKS_DRAIN, SOON, NULL,
				  NULL), 0, "%s", kind_name(threads));
	check_duel(&duel, duel.rounds);
	is(duel.taken, duel.rounds, "each was taken once");
	is(duel.won[1] + duel.won[2], duel.told[FH_TASK_FAILED],
	   "who was told to have won did");
	fh_tasks_destroy(duel.tasks);
}

/*
 * The same without rounds, for many tries: a stream of tasks, each cancelled
 * by the thread that submitted it while it starts, runs and ends.
 */
struct stream {
	struct duel duel;
	size_t tries;
};

static void cancel_stream(unsigned index, void *arg)
{
	struct stream *stream = arg;
	struct duel *duel = &stream->duel;
	uint64_t random = random_seed(index);
	size_t i, spin;

	for (i = 0; i < stream->tries; i++) {
		struct fh_task *task = submit(duel->tasks, duel_on, NULL);
		struct fh_task_info info;
		int rc;

		for (spin = random_below(&random, 4096); spin; spin--)
			cpu_relax();
		rc = fh_task_cancel(task);
		if (fh_task_wait(task, SOON, &info) ||
		    (rc && rc != -ESRCH) ||
		    (info.state == FH_TASK_CANCELLED && rc) ||
		    (rc == 0 && !info.asked))
			add_relaxed(&duel->wrong, 1);
		fh_task_release(task);
	}
}

static void test_stream(unsigned threads, size_t tries)
{
	struct stream stream = { .tries = tries / 4 };
	const struct fh_tasks_options options = {
		.threads = threads, .observer = note_end,
		.observer_arg = &stream.duel };

	stream.duel.tasks = supervisor_with(&options);
	run_crew(4, cancel_stream, &stream);
	is(fh_tasks_shutdown_wait(stream.duel.tasks, FH_TASKS_DRAIN, SOON,
				  NULL, NULL), 0,
	   "%s: %zu cancellations against completions",
	   kind_name(threads), 4 * stream.tries);
	check_duel(&stream.duel, 4 * stream.tries);
	fh_tasks_destroy(stream.duel.tasks);
}

int main(void)
{
	task_watchdog();
	test_original();
	test_stress(0, long_or_short(RUNS, 1));
	test_stress(3, long_or_short(RUNS, 1));
	test_eager_janitor(0);
	test_eager_janitor(3);
	test_duel(0);
	test_duel(3);
	test_stream(3, long_or_short(100000, 3000));
	test_stream(0, long_or_short(10000, 400));
	fh_rcu_drain_wait(FH_FOREVER);
	return done_testing();
}
