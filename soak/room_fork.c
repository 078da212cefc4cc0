/* SPDX-License-Identifier: MIT */
/*
 * fork: about once a second, in the middle of it all.  The child checks
 * itself and says so by its exit status: read sections, retiring and
 * draining, and things of its own of every kind.  In the lock-free build it
 * also looks for the keys that the parent's table always holds; in the mutex
 * build a lock of the parent's may be held by a thread that is not there.
 *
 * A sanitizer's own locks do not survive a fork of many threads, so there
 * only the conductor forks, at rest.
 */
#include "soak.h"

#include <sys/wait.h>

#define EVERY SECONDS
#define KEYS 300

enum { FORK };
static const char *const operations[] = { "fork", NULL };

static _Atomic(int64_t) next_fork;
static tally inherited;

#ifdef FH_TSAN
const char *__tsan_default_options(void);

/* The child starts the library's thread, which it refuses unless told so. */
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

struct number {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
};

static void reclaim(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct number, rcu));
}

static void use_map(void)
{
	struct fh_map_entry *entry;
	struct number *number;
	struct fh_map *map;

	soak_expect(fh_map_create(&map, NULL) == 0, "no table");
	for (uint64_t i = 0; i < KEYS; i++) {
		number = soak_alloc(sizeof(*number));
		number->entry.key = fh_key_u64(i);
		soak_expect(fh_map_insert(map, &number->entry, NULL) == 0,
			    "no insert");
	}
	soak_expect(fh_map_count(map) == KEYS, "no count");
	for (uint64_t i = 0; i < KEYS; i++) {
		soak_expect(fh_map_remove(map, fh_key_u64(i), &entry) == 0,
			    "no removal");
		fh_rcu_retire(&((struct number *)entry)->rcu, reclaim);
	}
	fh_map_destroy(map, NULL, NULL);
}

/* On its own stack: in the mutex build the addresses choose the locks. */
static void use_cells(void)
{
	struct fh_record record = { NULL };
	struct fh_status cell = { 0 };
	uint64_t value = 7, version = 0;

	if (SOAK_MUTEX)
		return;
	soak_expect(fh_status_set(&cell, 3) == 0, "no set");
	soak_expect(fh_status_read(&cell).epoch == 1, "no epoch");
	soak_expect(fh_record_publish(&record, &value, 8) == 0, "no record");
	soak_expect(fh_record_read(&record, &value, 8, NULL, &version) == 0 &&
		    version == 1, "no version");
	fh_record_destroy(&record);
}

/* A hard bound of the parent's moment is the child's as well. */
static void live(void)
{
	struct fh_rcu_stats stats;

	soak_is_child = true;
	signal(SIGUSR1, SIG_IGN);
	alarm(40);
	soak_expect(fh_rcu_set_bounds(0, 0) == 0, "no bounds");
	soak_expect(!fh_rcu_reading(), "a section came along");
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
	use_map();
	use_cells();
	if (!SOAK_MUTEX)
		soak_map_inherited();
	/* Twice: what was retired may retire something when reclaimed. */
	for (int i = 0; i < 2; i++)
		soak_expect(fh_rcu_drain_wait(fh_deadline_in(15 * SECONDS)) ==
			    0, "no drain");
	fh_rcu_get_stats(&stats);
	/* A thread that did not come along may have been retiring. */
	soak_expect(stats.pending <= soak_options.threads + 2, "%llu "
		    "objects stay pending",
		    (unsigned long long)stats.pending);
	soak_expect(stats.oldest_reader == 0, "a reader came along");
	_exit(0);
}

static void fork_once(void)
{
	int status = 0;
	pid_t child = fork();

	soak_expect(child >= 0, "cannot fork: errno %d", errno);
	if (child == 0)
		live();
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	soak_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		    "the self-check of a child ended with status %#x "
		    "(77 is an invariant, signal 14 a hang)", status);
}

static void work(struct soak_worker *worker)
{
	int64_t due = load_relaxed(&next_fork);

	if (SANITIZED || fh_now() < due ||
	    !atomic_compare_exchange_strong(&next_fork, &due,
					    fh_deadline_in(EVERY)))
		return;
	fork_once();
	soak_begin(worker, FORK);
}

/* At rest as well: the parent's tables are then exact in the child. */
static void check(void)
{
	fork_once();
	add_relaxed(&inherited, 1);
	add_relaxed(&soak_conductor.counts.operations[soak_fork.id][FORK], 1);
}

static void report(FILE *out)
{
	fprintf(out, "%llu of these at rest.\n",
		(unsigned long long)load_relaxed(&inherited));
}

static void nothing(void)
{
}

struct soak_room soak_fork = {
	.name = "fork", .operations = operations, .weight = 1,
	.setup = nothing, .work = work, .check = check, .report = report,
	.teardown = nothing,
};
