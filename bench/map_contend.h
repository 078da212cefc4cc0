/* SPDX-License-Identifier: MIT */
/*
 * map_contend: check-then-insert, all threads for one key.
 *
 * Whoever wins removes the object and retires it, so that there is something
 * to win again.  An operation is an attempt, successful or not; how many of
 * them won stands beside it.
 */
#ifndef FH_BENCH_MAP_CONTEND_H
#define FH_BENCH_MAP_CONTEND_H

static void prepare_contended(unsigned threads, size_t size)
{
	(void)threads;
	(void)size;
	table_create();
}

/* What lost stays the caller's, and is tried again. */
static void contend(struct bench_thread *self)
{
	table_key key = table_number(1);
	struct object *object = NULL;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			if (!object)
				object = table_object(key);
			if (!table_insert(object))
				continue;
			object = NULL;
			self->sum++;
			if (!table_discard(key))
				bench_die("somebody else removed it");
		}
		self->operations += BENCH_BATCH;
	} while (bench_running());
	free(object);
}

static void report_won(const struct bench_thread *pool, unsigned threads)
{
	uint64_t won = 0, tried = 0;
	unsigned i;

	for (i = 0; i < threads; i++) {
		won += pool[i].sum;
		tried += pool[i].operations;
	}
	bench_field("won_of_100", 100.0 * (double)won / (double)tried);
}

#endif
