/* SPDX-License-Identifier: MIT */
/* A reader that stays in its section until it is told to leave. */
#ifndef FH_TEST_READER_H
#define FH_TEST_READER_H

#include <freehold/rcu.h>

#include "threads.h"

struct reader {
	struct crew crew;
	tally inside, leave;
	unsigned depth;
	pid_t tid;
};

static void reader_work(unsigned index, void *arg)
{
	struct reader *reader = arg;
	unsigned i;

	(void)index;
	reader->tid = gettid();
	for (i = 0; i < reader->depth; i++)
		fh_rcu_read_lock();
	store_seq_cst(&reader->inside, 1);
	while (!load_seq_cst(&reader->leave))
		sleep_ns(200000);
	for (i = 0; i < reader->depth; i++)
		fh_rcu_read_unlock();
}

/* On return a thread is inside a read section, entered @depth times. */
__attribute__((unused)) static void reader_enter(struct reader *reader,
						 unsigned depth)
{
	reader->inside = reader->leave = 0;
	reader->depth = depth;
	crew_start(&reader->crew, 1, reader_work, reader);
	while (!load_seq_cst(&reader->inside))
		sleep_ns(100000);
}

/* On return it has left, and its thread is gone. */
__attribute__((unused)) static void reader_leave(struct reader *reader)
{
	store_seq_cst(&reader->leave, 1);
	crew_join(&reader->crew);
}

#endif
