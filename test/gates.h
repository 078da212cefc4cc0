/* SPDX-License-Identifier: MIT */
/* What the tests of gates share: gates, and requests that can be held. */
#ifndef FH_TEST_GATES_H
#define FH_TEST_GATES_H

#include <freehold/gate.h>

#include "threads.h"

#define MS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)

__attribute__((unused)) static struct fh_gate *gate_of(size_t limit,
							int64_t idle)
{
	struct fh_gate_options options = { .limit = limit, .idle = idle };
	struct fh_gate *gate = NULL;

	if (fh_gate_create(&gate, &options))
		bail_out("no memory for a gate");
	return gate;
}

__attribute__((unused)) static struct fh_gate_stats
stats_of(const struct fh_gate *gate)
{
	struct fh_gate_stats stats;

	fh_gate_get_stats(gate, &stats);
	return stats;
}

__attribute__((unused)) static int drained(struct fh_gate *gate)
{
	return fh_gate_drain_wait(gate, fh_deadline_in(90 * SECONDS), NULL);
}

__attribute__((unused)) static void await(tally *flag, uint64_t value)
{
	while (load_seq_cst(flag) < value)
		sleep_ns(MS / 10);
}

/* Threads of a gate that is done with end by themselves, soon. */
__attribute__((unused)) static int threads_become(struct fh_gate *gate,
						  size_t count)
{
	int64_t until = fh_deadline_in(60 * SECONDS);

	while (stats_of(gate).threads != count && fh_now() < until)
		sleep_ns(MS / 5);
	return stats_of(gate).threads == count;
}

/* A request that counts itself, and stays until it is let go. */
struct errand {
	tally begun, go, done;
	pthread_t thread;
	uint64_t brought, took;	/* plain: what came before, and after */
};

__attribute__((unused)) static void run_errand(void *arg)
{
	struct errand *errand = arg;

	errand->thread = pthread_self();
	errand->took = errand->brought;
	add_seq_cst(&errand->begun, 1);
	await(&errand->go, 1);
	add_seq_cst(&errand->done, 1);
}

#endif
