/* SPDX-License-Identifier: MIT */
/*
 * rcu: a read section, a retirement, a grace period.  Both builds share this
 * room; the flavours of liburcu are what to compare here.  The command
 * `list` says which one is in use.
 *
 * A retirement is measured with the allocation of its object and with its
 * share of grace periods and reclamation: the clock stops when all that was
 * retired is freed.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

struct object {
	struct fh_rcu_head rcu;
	uint64_t payload[6];
};

static void read_section(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			fh_rcu_read_lock();
			fh_rcu_read_unlock();
		}
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

static void reclaim(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct object, rcu));
}

static void retire_one(void)
{
	struct object *object = bench_alloc(sizeof(*object));

	object->payload[0] = 1;
	fh_rcu_retire(&object->rcu, reclaim);
}

static void retire(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			retire_one();
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

static void grace_period(struct bench_thread *self)
{
	int rc;

	do {
		retire_one();
		rc = fh_rcu_drain_wait(FH_FOREVER);
		if (rc)
			bench_die("drain failed: %s", strerror(-rc));
		self->operations++;
	} while (bench_running());
}

static const struct bench_case cases[] = {
	{ .name = "read-section", .body = read_section,
	  .threads = bench_threads, .sizes = bench_one },
	{ .name = "retire", .body = retire, .retires = true,
	  .threads = bench_threads, .sizes = bench_one },
	{ .name = "grace-period", .body = grace_period,
	  .threads = bench_threads, .sizes = bench_one },
	{ .name = "grace-period-under-readers", .body = grace_period,
	  .disturb = read_section, .disturbers = 2,
	  .threads = bench_threads, .sizes = bench_one },
};

int main(int argc, char **argv)
{
	return bench_main("rcu", cases, ARRAY_LENGTH(cases), argc, argv);
}
