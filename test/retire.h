/* SPDX-License-Identifier: MIT */
/* Objects that are counted while they live, and what to do with them. */
#ifndef FH_TEST_RETIRE_H
#define FH_TEST_RETIRE_H

#include <freehold/base.h>
#include <freehold/rcu.h>

#include "reader.h"

#define MS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)
#define HARD 64

/* Counted by the test itself: from retirement into the reclaim function. */
static tally live, most;

/* The reclaim functions that have run to their end. */
static tally reclaimed;

__attribute__((unused)) static void count_and_free(struct fh_rcu_head *head)
{
	sub_acq_rel(&live, 1);
	free(head);
	add_seq_cst(&reclaimed, 1);
}

__attribute__((unused)) static void
retire_with(void (*reclaim)(struct fh_rcu_head *head))
{
	struct fh_rcu_head *head = malloc(sizeof(*head));
	uint64_t now = add_seq_cst(&live, 1) + 1;
	uint64_t seen = load_relaxed(&most);

	if (!head)
		bail_out("no memory");
	while (seen < now && !cas_relaxed(&most, &seen, now))
		;
	fh_rcu_retire(head, reclaim);
}

__attribute__((unused)) static void retire_one(void)
{
	retire_with(count_and_free);
}

__attribute__((unused)) static void retire_some(size_t count)
{
	while (count--)
		retire_one();
}

__attribute__((unused)) static struct fh_rcu_stats stats_now(void)
{
	struct fh_rcu_stats stats;

	fh_rcu_get_stats(&stats);
	return stats;
}

__attribute__((unused)) static int drain(void)
{
	return fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS));
}

__attribute__((unused)) static void await(tally *flag)
{
	while (!load_seq_cst(flag))
		sleep_ns(MS / 5);
}

/* Retire what is admitted, until something is refused. */
__attribute__((unused)) static void fill(unsigned index, void *arg)
{
	tally *admitted = arg;

	(void)index;
	while (load_relaxed(admitted) < 10 * HARD && fh_rcu_admit(1) == 0) {
		retire_one();
		add_seq_cst(admitted, 1);
	}
}

/* How many does a fresh thread get admitted behind a reader? */
__attribute__((unused)) static uint64_t filled(crew_work filler)
{
	struct reader reader;
	tally admitted = 0;

	reader_enter(&reader, 1);
	run_crew(1, filler, &admitted);
	reader_leave(&reader);
	return admitted;
}

#endif
