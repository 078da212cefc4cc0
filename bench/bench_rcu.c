/* SPDX-License-Identifier: MIT */
/*
 * rcu: a read section, a retirement, a grace period.  Both builds share this
 * room; the flavours of liburcu are what to compare here, and its call_rcu.
 * The command `list` says which flavour is in use.
 */
#include <freehold/freehold.h>

#include <string.h>

typedef struct fh_rcu_head rcu_link;

static inline void retire(rcu_link *link, void (*reclaim)(rcu_link *link))
{
	fh_rcu_retire(link, reclaim);
}

static inline void begin_section(void)
{
	fh_rcu_read_lock();
}

static inline void end_section(void)
{
	fh_rcu_read_unlock();
}

#include "rcu_cases.h"

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
	RCU_CASES,
	{ .name = "grace-period", .threads = bench_threads,
	  .sizes = bench_one, .body = grace_period },
	{ .name = "grace-period-under-readers", .threads = bench_threads,
	  .sizes = bench_one, .body = grace_period,
	  .disturb = read_section, .disturbers = 2 },
};

int main(int argc, char **argv)
{
	return bench_main("rcu", cases, ARRAY_LENGTH(cases), argc, argv);
}
