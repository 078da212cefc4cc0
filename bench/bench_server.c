/* SPDX-License-Identifier: MIT */
/*
 * server: health and leases, while nothing happens and while servers restart.
 *
 *  - health, get: SIZE servers run.  A thread asks for the health of one that
 *    is drawn at random, or takes a lease on it and returns it.
 *  - health-restarting, get-restarting: the same, while one more thread
 *    restarts one server after another.  A restart takes RESTART_TAKES, in
 *    which it sleeps as a server does that reads its files; there is a short
 *    pause between two.  A get of the one that restarts is told so.
 *  - health-paced: one call each INTERVAL while servers restart; how long
 *    it takes.
 *  - health-of-it: the server that is asked for is the one that restarts, and
 *    its restart takes as long as the measurement.
 *  - restart: of a server that starts and stops in no time: what the registry
 *    itself adds to a restart.
 *
 * The subject `one-lock` is what a registry is that holds one mutex over
 * whatever it does: no race either, but nobody gets an answer meanwhile.
 */
#include <freehold/freehold.h>

#include "bench.h"
#include "histogram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 32
#define RESTART_TAKES INT64_C(20000000)
#define PAUSE INT64_C(1000000)
#define INTERVAL INT64_C(100000)

static struct fh_servers *servers;
static char (*names)[NAME_BYTES];
static size_t name_count;
static struct histogram times[BENCH_MOST];
static int64_t restart_takes;
static uint64_t ticks_apart;		/* by INTERVAL */

/* ---- a server ---- */

static int start(struct fh_server_job *job, void **client)
{
	if (job->cause == FH_SERVER_RESTART && restart_takes)
		bench_sleep(restart_takes);
	*client = names;
	return 0;
}

/* Until the measurement is over. */
static int start_at_length(struct fh_server_job *job, void **client)
{
	while (job->cause == FH_SERVER_RESTART && bench_running())
		bench_sleep(PAUSE);
	*client = names;
	return 0;
}

static const struct fh_server_ops ops = { .start = start };
static const struct fh_server_ops long_ops = { .start = start_at_length };

/* ---- one lock over everything ---- */

static struct {
	pthread_mutex_t lock;
	struct fh_map *map;
	uint64_t generation;
} locked = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct locked_server {
	struct fh_map_entry entry;
	struct fh_server_info info;
	uint64_t leases;
};

static struct locked_server *locked_find(const char *name)
{
	struct fh_map_entry *entry;

	fh_rcu_read_lock();
	entry = fh_map_lookup(locked.map, fh_key_string(name));
	fh_rcu_read_unlock();
	if (!entry)
		bench_die("%s is not there", name);
	return (struct locked_server *)entry;
}

static void locked_health(const char *name, struct fh_server_info *info)
{
	pthread_mutex_lock(&locked.lock);
	*info = locked_find(name)->info;
	pthread_mutex_unlock(&locked.lock);
}

static void locked_get_and_return(const char *name)
{
	struct locked_server *server;

	pthread_mutex_lock(&locked.lock);
	server = locked_find(name);
	server->leases++;
	pthread_mutex_unlock(&locked.lock);
	pthread_mutex_lock(&locked.lock);
	server->leases--;
	pthread_mutex_unlock(&locked.lock);
}

static void locked_restart(const char *name)
{
	pthread_mutex_lock(&locked.lock);
	locked_find(name)->info.generation = ++locked.generation;
	if (restart_takes)
		bench_sleep(restart_takes);
	pthread_mutex_unlock(&locked.lock);
}

/* ---- operations ---- */

static uint64_t health(const char *name)
{
	struct fh_server_info info;

	if (fh_server_health(servers, name, &info))
		bench_die("%s is not found", name);
	return info.generation;
}

static uint64_t health_locked(const char *name)
{
	struct fh_server_info info;

	locked_health(name, &info);
	return info.generation;
}

static uint64_t get(const char *name)
{
	struct fh_server_lease *lease;
	int rc = fh_server_get(servers, name, &lease, NULL);

	if (rc == 0)
		fh_lease_return(lease);
	else if (rc != -EINPROGRESS)
		bench_die("a get of %s says %d", name, rc);
	return rc == 0;
}

static uint64_t get_locked(const char *name)
{
	locked_get_and_return(name);
	return 1;
}

static void restart_one(const char *name)
{
	int rc = fh_server_restart(servers, name, FH_SERVER_ANY, NULL);

	if (rc && rc != -EINPROGRESS)
		bench_die("a restart of %s says %d", name, rc);
}

/* ---- bodies ---- */

static void repeat(struct bench_thread *self, uint64_t (*once)(const char *))
{
	uint64_t sum = 0;
	unsigned i, at = 0;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			sum += once(names[self->draws[at + i]]);
		self->operations += BENCH_BATCH;
		at = (at + BENCH_BATCH) % BENCH_DRAWS;
	} while (bench_running());
	self->sum = sum;
}

/* The same, one at a time: some take as long as a restart. */
static void repeat_singly(struct bench_thread *self,
			  uint64_t (*once)(const char *))
{
	uint64_t sum = 0;
	unsigned at = 0;

	do {
		sum += once(names[self->draws[at]]);
		self->operations++;
		at = (at + 1) % BENCH_DRAWS;
	} while (bench_running());
	self->sum = sum;
}

/*
 * One call each INTERVAL, as by somebody who watches.  A call that takes
 * longer stands for those that would have been made meanwhile too.
 */
static void repeat_paced(struct bench_thread *self,
			 uint64_t (*once)(const char *))
{
	struct histogram *mine = &times[self->index];
	uint64_t sum = 0, took, began;
	unsigned at = 0;

	do {
		began = bench_ticks();
		sum += once(names[self->draws[at]]);
		took = bench_ticks() - began;
		histogram_add(mine, took);
		for (; bench_ns(took) > INTERVAL; took -= ticks_apart)
			histogram_add(mine, took - ticks_apart);
		self->operations++;
		at = (at + 1) % BENCH_DRAWS;
		bench_sleep(INTERVAL);
	} while (bench_running());
	self->sum = sum;
}

static void all_health(struct bench_thread *self)
{
	repeat(self, health);
}

static void all_health_locked(struct bench_thread *self)
{
	repeat(self, health_locked);
}

static void all_get(struct bench_thread *self)
{
	repeat(self, get);
}

static void all_get_locked(struct bench_thread *self)
{
	repeat(self, get_locked);
}

static void health_singly(struct bench_thread *self)
{
	repeat_singly(self, health);
}

static void health_locked_singly(struct bench_thread *self)
{
	repeat_singly(self, health_locked);
}

static void get_singly(struct bench_thread *self)
{
	repeat_singly(self, get);
}

static void get_locked_singly(struct bench_thread *self)
{
	repeat_singly(self, get_locked);
}

static void health_paced(struct bench_thread *self)
{
	repeat_paced(self, health);
}

static void health_locked_paced(struct bench_thread *self)
{
	repeat_paced(self, health_locked);
}

static void health_of_it(struct bench_thread *self)
{
	struct fh_server_info info;
	unsigned i;

	do
		fh_server_health(servers, names[0], &info);
	while (info.state != FH_SERVER_RESTARTING && bench_running());
	do {
		for (i = 0; i < BENCH_BATCH; i++)
			self->sum += health(names[0]);
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

static void restarts(struct bench_thread *self)
{
	do {
		restart_one(names[self->draws[self->operations %
					      BENCH_DRAWS]]);
		self->operations++;
	} while (bench_running());
}

static void restarts_locked(struct bench_thread *self)
{
	do {
		locked_restart(names[self->draws[self->operations %
						 BENCH_DRAWS]]);
		self->operations++;
	} while (bench_running());
}

/* ---- what goes on beside them ---- */

static void keep_restarting(struct bench_thread *self)
{
	unsigned at = 0;

	do {
		restart_one(names[self->draws[at]]);
		at = (at + 1) % BENCH_DRAWS;
		bench_sleep(PAUSE);
	} while (bench_running());
}

static void keep_restarting_locked(struct bench_thread *self)
{
	unsigned at = 0;

	do {
		locked_restart(names[self->draws[at]]);
		at = (at + 1) % BENCH_DRAWS;
		bench_sleep(PAUSE);
	} while (bench_running());
}

static void restart_first(struct bench_thread *self)
{
	(void)self;
	restart_one(names[0]);
}

/* ---- setting up ---- */

static uint32_t draw_name(uint64_t *state, void *arg)
{
	return (uint32_t)(bench_random(state) % *(size_t *)arg);
}

static void prepare_names(unsigned threads, size_t size, int64_t takes)
{
	size_t i;

	names = bench_alloc(sizeof(*names) * size);
	for (i = 0; i < size; i++)
		snprintf(names[i], NAME_BYTES, "server-%zu", i);
	name_count = size;
	restart_takes = takes;
	bench_draw(threads, BENCH_DRAWS, draw_name, &size);
}

static void prepare_ours(unsigned threads, size_t size, int64_t takes,
			 const struct fh_server_ops *with)
{
	struct fh_server_request request = { .ops = with };
	size_t i;

	prepare_names(threads, size, takes);
	if (fh_servers_create(&servers, NULL))
		bench_die("no registry");
	for (i = 0; i < size; i++) {
		request.name = names[i];
		if (fh_server_start(servers, &request, NULL))
			bench_die("%s does not start", names[i]);
	}
}

static void prepare(unsigned threads, size_t size)
{
	prepare_ours(threads, size, RESTART_TAKES, &ops);
}

static void prepare_quick(unsigned threads, size_t size)
{
	prepare_ours(threads, size, 0, &ops);
}

static void prepare_long(unsigned threads, size_t size)
{
	prepare_ours(threads, size, 0, &long_ops);
}

static void prepare_one_lock(unsigned threads, size_t size, int64_t takes)
{
	const struct fh_map_options keys = { .keys = FH_KEYS_BYTES };
	struct locked_server *server;
	size_t i;

	prepare_names(threads, size, takes);
	if (fh_map_create(&locked.map, &keys))
		bench_die("no map");
	for (i = 0; i < size; i++) {
		server = bench_alloc(sizeof(*server));
		memset(server, 0, sizeof(*server));
		server->entry.key = fh_key_string(names[i]);
		if (fh_map_insert(locked.map, &server->entry, NULL))
			bench_die("no memory");
	}
}

static void prepare_locked(unsigned threads, size_t size)
{
	prepare_one_lock(threads, size, RESTART_TAKES);
}

static void prepare_locked_quick(unsigned threads, size_t size)
{
	prepare_one_lock(threads, size, 0);
}

static void cleanup(void)
{
	fh_servers_destroy(servers);
	free(names);
}

static void release_locked(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	free(entry);
}

static void cleanup_locked(void)
{
	fh_map_destroy(locked.map, release_locked, NULL);
	free(names);
}

static void clear_times(unsigned threads, size_t size)
{
	(void)threads;
	(void)size;
	histogram_clear(times, BENCH_MOST);
}

static void report_times(const struct bench_thread *pool, unsigned threads)
{
	static const char *const fields[6] = {
		"p50", "p99", "p99_9", "p99_99", "max", "clock",
	};

	(void)pool;
	bench_report(fields, times, threads);
}

/* ---- the table ---- */

static const size_t few[] = { 8, 0 };
static const size_t sizes[] = { 8, 1000, 0 };
static const unsigned one_thread[] = { 1, 0 };

#define OURS .setup = prepare, .cleanup = cleanup
#define ONE_LOCK                                                              \
	.subject = "one-lock", .setup = prepare_locked,                       \
	.cleanup = cleanup_locked
#define TIMED .before = clear_times, .after = report_times

static const struct bench_case cases[] = {
	{ .name = "health", OURS, .body = all_health,
	  .threads = bench_threads, .sizes = few },
	{ .name = "health", ONE_LOCK, .body = all_health_locked,
	  .threads = bench_threads, .sizes = few },
	{ .name = "health-restarting", OURS, .body = health_singly,
	  .disturb = keep_restarting, .disturbers = 1,
	  .threads = bench_threads, .sizes = few },
	{ .name = "health-restarting", ONE_LOCK, .body = health_locked_singly,
	  .disturb = keep_restarting_locked, .disturbers = 1,
	  .threads = bench_threads, .sizes = few },
	{ .name = "health-of-it", .setup = prepare_long, .cleanup = cleanup,
	  .body = health_of_it, .disturb = restart_first, .disturbers = 1,
	  .threads = bench_threads, .sizes = bench_one },
	{ .name = "get-restarting", OURS, .body = get_singly,
	  .disturb = keep_restarting, .disturbers = 1,
	  .threads = bench_threads, .sizes = few },
	{ .name = "get-restarting", ONE_LOCK, .body = get_locked_singly,
	  .disturb = keep_restarting_locked, .disturbers = 1,
	  .threads = bench_threads, .sizes = few },
	{ .name = "get", .when = BENCH_LONG, OURS, .body = all_get,
	  .threads = bench_threads, .sizes = sizes },
	{ .name = "get", .when = BENCH_LONG, ONE_LOCK, .body = all_get_locked,
	  .threads = bench_threads, .sizes = sizes },
	{ .name = "health-paced", .when = BENCH_LONG, OURS, TIMED,
	  .body = health_paced, .disturb = keep_restarting, .disturbers = 1,
	  .threads = one_thread, .sizes = sizes },
	{ .name = "health-paced", .when = BENCH_LONG, ONE_LOCK, TIMED,
	  .body = health_locked_paced, .disturb = keep_restarting_locked,
	  .disturbers = 1, .threads = one_thread, .sizes = sizes },
	{ .name = "restart", .when = BENCH_LONG, .setup = prepare_quick,
	  .cleanup = cleanup, .body = restarts, .retires = true,
	  .threads = one_thread, .sizes = sizes },
	{ .name = "restart", .subject = "one-lock", .when = BENCH_LONG,
	  .setup = prepare_locked_quick, .cleanup = cleanup_locked,
	  .body = restarts_locked, .threads = one_thread, .sizes = sizes },
};

int main(int argc, char **argv)
{
	bench_calibrate();
	ticks_apart = (uint64_t)((double)INTERVAL / bench_ns(1));
	return bench_main("server", cases, ARRAY_LENGTH(cases), argc, argv);
}
