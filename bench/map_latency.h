/* SPDX-License-Identifier: MIT */
/*
 * map_latency: how long single lookups take while one thread updates.
 *
 * As in a mix, half of the keys are there at any time.  More threads than
 * processors: what the table makes a lookup wait for is then a thread that
 * may not be running.
 */
#ifndef FH_BENCH_MAP_LATENCY_H
#define FH_BENCH_MAP_LATENCY_H

static struct histogram times[BENCH_MOST];

static void begin_latency(unsigned threads, size_t size)
{
	remember_size(threads, size);
	histogram_clear(times, BENCH_MOST);
}

static void look_timed(struct bench_thread *self)
{
	struct histogram *mine = &times[self->index];
	const uint32_t *draw = self->draws;
	uint64_t sum = 0, began;
	table_key key;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			key = table_number(*draw++ & INDEX_MASK);
			began = bench_ticks();
			sum += table_look(key);
			histogram_add(mine, bench_ticks() - began);
		}
		self->operations += BENCH_BATCH;
		if (draw == self->draws_end)
			draw = self->draws;
	} while (bench_running());
	self->sum = sum;
}

/* Inserts and removes in turn, without an end. */
static void update(struct bench_thread *self)
{
	const uint32_t *draw = self->draws;

	while (bench_running()) {
		insert_or_free(table_object(
			table_number(draw[0] & INDEX_MASK)));
		table_discard(table_number(draw[1] & INDEX_MASK));
		draw += 2;
		if (draw == self->draws_end)
			draw = self->draws;
	}
}

static void report_latency(const struct bench_thread *pool, unsigned threads)
{
	static const char *const names[6] = {
		"p50", "p99", "p99_9", "p99_99", "max", "clock",
	};

	(void)pool;
	bench_report(names, times, threads);
}

#endif
