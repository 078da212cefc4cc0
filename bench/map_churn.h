/* SPDX-License-Identifier: MIT */
/*
 * map_churn: bench_pairs times, insert a new key and remove the oldest.
 *
 * The table holds SIZE entries all the time.  Every thread has numbers of its
 * own, in the order in which it inserted them, and no number comes back
 * before 2^28 others.  An operation is a pair.  One more thread looks each
 * millisecond at what waits for reclamation.
 */
#ifndef FH_BENCH_MAP_CHURN_H
#define FH_BENCH_MAP_CHURN_H

#define OWN_SHIFT 28
#define WATCH_NS INT64_C(1000000)

struct garbage {
	uint64_t pending;	/* objects that wait now */
	uint64_t bound;		/* how many may */
	uint64_t over;		/* how often one came past the bound */
};

static bool get_garbage(struct garbage *garbage)
{
	return table_garbage(&garbage->pending, &garbage->bound,
			     &garbage->over);
}

static struct garbage at_first, most_garbage;
static double tenth_ns[2][BENCH_MOST];	/* of the first and last tenth */
static unsigned churners;

static inline table_key own_key(unsigned thread, uint64_t number)
{
	uint32_t low = (uint32_t)number & ((UINT32_C(1) << OWN_SHIFT) - 1);

	return table_number((uint32_t)thread << OWN_SHIFT | low);
}

static void begin_churn(unsigned threads, size_t size)
{
	unsigned t, i;

	remember_size(threads, size);
	churners = threads;
	entries /= threads;
	table_create();
	for (t = 0; t < threads; t++)
		for (i = 0; i < entries; i++)
			insert_new(table_object(own_key(t, i)));
	memset(&at_first, 0, sizeof(at_first));
	get_garbage(&at_first);
	most_garbage = at_first;
}

static void look_at_garbage(void)
{
	struct garbage now;

	if (!get_garbage(&now))
		return;
	if (now.pending > most_garbage.pending)
		most_garbage.pending = now.pending;
	most_garbage.over = now.over;
}

static void churn_pairs(unsigned thread, uint64_t from, uint64_t to)
{
	for (; from < to; from++) {
		insert_new(table_object(own_key(thread, from + entries)));
		if (!table_discard(own_key(thread, from)))
			bench_die("an entry was not found");
	}
}

static void churn(struct bench_thread *self)
{
	uint64_t all = bench_pairs / churners, tenth = all / 10;
	int64_t began = fh_now(), ended;

	if (!tenth)
		bench_die("too few pairs");
	churn_pairs(self->index, 0, tenth);
	ended = fh_now();
	tenth_ns[0][self->index] = (double)(ended - began) / (double)tenth;
	churn_pairs(self->index, tenth, all - tenth);
	began = fh_now();
	churn_pairs(self->index, all - tenth, all);
	ended = fh_now();
	tenth_ns[1][self->index] = (double)(ended - began) / (double)tenth;
	self->operations = all;
}

static void watch_garbage(struct bench_thread *self)
{
	(void)self;
	for (; bench_running(); bench_sleep(WATCH_NS))
		look_at_garbage();
	look_at_garbage();
}

static void end_churn(const struct bench_thread *pool, unsigned threads)
{
	double first = 0, last = 0;
	unsigned i;

	for (i = 0; i < threads; i++) {
		first += tenth_ns[0][i] / threads / threads;
		last += tenth_ns[1][i] / threads / threads;
	}
	bench_field("first_tenth_ns", first);
	bench_field("last_tenth_ns", last);
	if (most_garbage.bound) {
		bench_field("pending_max", (double)most_garbage.pending);
		bench_field("bound", (double)most_garbage.bound);
		bench_field("times_over_bound", (double)(most_garbage.over -
							 at_first.over));
	}
	end_fill(pool, threads);
}

#endif
