/* SPDX-License-Identifier: MIT */
/* subject: this library, in either build. */
#include "subject.h"

#include <freehold/freehold.h>

#include <stdio.h>
#include <string.h>

#define DRAIN_LIMIT INT64_C(60000000000)

const unsigned subject_threads = BENCH_THREADS;

const char *subject_name(void)
{
	return fh_build();
}

void subject_describe(void)
{
	struct fh_rcu_stats stats;

	fh_rcu_get_stats(&stats);
	printf("\"flavour\": \"%s\", \"expedited\": %s, ", stats.flavour,
	       stats.expedited ? "true" : "false");
}

/* An empty section registers the thread. */
void subject_enter(void)
{
	fh_rcu_read_lock();
	fh_rcu_read_unlock();
}

void subject_leave(void)
{
}

void subject_drain(void)
{
	int rc = fh_rcu_drain_wait(fh_deadline_in(DRAIN_LIMIT));

	if (rc)
		bench_die("reclamation does not end: %s", strerror(-rc));
}
