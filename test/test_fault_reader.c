/* SPDX-License-Identifier: MIT */
/*
 * faults: a reader that stays in its section for long, asleep, or stopped by
 * the system at an instruction of nobody's choosing.
 *
 * Garbage must pile up to the hard bound and not beyond, with every operation
 * done or refused and none that waits; the statistics must tell of the
 * garbage, name the reader and say for how long; when it goes on, what it
 * held is as it was, and then all is reclaimed.  If the library were wrong,
 * pending would pass the bound, the writers would come to a stop, or the
 * reader would find what it holds dead.
 *
 * A task that was accepted below the bound ends whatever the bound says: its
 * memory may come on top, and that of a thread that it ended, for each task
 * that there was; but no refusal may leave anything.
 */
#include "faults.h"
#include "house.h"

#define HARD 200
#define MOST (HARD + 2 * CHORES)
#define PATIENCE (20 * SECONDS)

struct scene {
	struct house house;
	struct crew reader, writers;
	tally inside, leave, dead;
	pid_t tid;
	int sleeps;
	uint64_t most;		/* that was seen pending */
};

static void look_on(struct scene *scene, const struct item *item,
		    const uint64_t *value)
{
	if (item->alive != ITEM_ALIVE || item->id != 1 ||
	    value[0] != ~value[1])
		add_relaxed(&scene->dead, 1);
}

/* One section from beginning to end, whatever happens meanwhile. */
static void read_on(unsigned index, void *arg)
{
	const struct item *item;
	const uint64_t *value;
	struct scene *scene = arg;

	(void)index;
	scene->tid = gettid();
	fh_rcu_read_lock();
	item = item_of(fh_map_lookup(scene->house.map, fh_key_u64(1)));
	value = fh_record_get(&scene->house.record, NULL, NULL);
	store_seq_cst(&scene->inside, 1);
	while (!load_seq_cst(&scene->leave)) {
		look_on(scene, item, value);
		if (scene->sleeps)
			sleep_ns(200 * MS);
	}
	look_on(scene, item, value);
	fh_rcu_read_unlock();
}

static void sample(struct scene *scene, struct fh_rcu_stats *stats)
{
	fh_rcu_get_stats(stats);
	if (stats->pending > scene->most)
		scene->most = stats->pending;
}

/* Until the bound was reached, and then a thousand operations more. */
static int writers_go_on(struct scene *scene)
{
	int64_t until = fh_deadline_in(PATIENCE);
	struct fh_rcu_stats stats;
	uint64_t since = 0;

	while (fh_now() < until) {
		sample(scene, &stats);
		if (!since && load_relaxed(&scene->house.refused))
			since = load_relaxed(&scene->house.done);
		if (since && load_relaxed(&scene->house.done) > since + 1000)
			return 1;
		sleep_ns(MS);
	}
	return 0;
}

/* The statistics tell the age from the second look on. */
static void check_statistics(struct scene *scene, int64_t entered,
			     const char *name)
{
	int64_t until = fh_deadline_in(PATIENCE);
	struct fh_rcu_stats stats;

	do {
		sleep_ns(MS);
		sample(scene, &stats);
	} while (stats.oldest_reader_ns < 50 * MS && fh_now() < until);
	is(stats.oldest_reader, scene->tid, "%s: it is named", name);
	ok(stats.oldest_reader_ns >= 50 * MS &&
	   stats.oldest_reader_ns <= fh_now() - entered,
	   "%s: and for how long: %" PRId64 " ms", name,
	   stats.oldest_reader_ns / MS);
	ok(stats.pending > HARD / 2, "%s: %" PRIu64 " objects wait", name,
	   stats.pending);
	ok(stats.refused > 0, "%s: %" PRIu64 " were refused", name,
	   stats.refused);
}

static void scene_open(struct scene *scene, int sleeps)
{
	uint64_t value[2] = { 1, ~UINT64_C(1) };

	memset(scene, 0, sizeof(*scene));
	house_open(&scene->house, 50, 1);
	scene->sleeps = sleeps;
	fh_record_publish(&scene->house.record, value, sizeof(value));
	fh_map_insert(scene->house.map, &item_u64(1, 1)->entry, NULL);
	scene->house.published = scene->house.in[1] = 1;
	if (drain() || fh_rcu_set_bounds(0, HARD))
		bail_out("no clean beginning");
}

static void scene_close(struct scene *scene, const char *name)
{
	struct fh_rcu_stats stats;

	is(house_wrong(&scene->house), 0, "%s: the books balance, %" PRIu64
	   " operations", name, (uint64_t)scene->house.done);
	fh_rcu_set_bounds(0, 0);
	is(drain(), 0, "%s: drain", name);
	sample(scene, &stats);
	is(stats.pending, 0, "%s: all is reclaimed", name);
	is(stats.oldest_reader, 0, "%s: and nobody reads", name);
	house_close(&scene->house);
}

static void test_reader(int sleeps, const char *name)
{
	struct scene scene;
	int64_t until, entered = fh_now();

	scene_open(&scene, sleeps);
	crew_start(&scene.reader, 1, read_on, &scene);
	while (!load_seq_cst(&scene.inside))
		sleep_ns(MS);
	if (!sleeps)
		is(tracer_command(scene.tid, 1), 0, "%s: a reader", name);
	crew_start(&scene.writers, 3, house_live, &scene.house);
	ok(writers_go_on(&scene), "%s: no writer waits for it", name);
	check_statistics(&scene, entered, name);
	until = fh_deadline_in(30 * MS);
	is(fh_rcu_drain_wait(until), -ETIMEDOUT, "%s: a drain gives up", name);
	ok(fh_now() < until + PATIENCE, "%s: at its deadline", name);
	ok(writers_go_on(&scene), "%s: they still go on", name);
	ok(scene.most <= MOST, "%s: at most %" PRIu64 " of %u ever wait", name,
	   scene.most, MOST);
	store_seq_cst(&scene.leave, 1);
	store_seq_cst(&scene.house.stop, 1);
	if (!sleeps)
		tracer_command(scene.tid, 0);
	crew_join(&scene.reader);
	crew_join(&scene.writers);
	is(scene.dead, 0, "%s: what the reader holds stays alive", name);
	scene_close(&scene, name);
}

int main(void)
{
	pid_t tracer = tracer_start();

	watchdog(120);
	test_reader(1, "asleep");
	if (tracer_may())
		test_reader(0, "stopped");
	else
		skip("no thread can be stopped here");
	is(drain(), 0, "drain");
	close(to_tracer);
	waitpid(tracer, NULL, 0);
	return done_testing();
}
