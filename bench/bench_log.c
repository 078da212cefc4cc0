/* SPDX-License-Identifier: MIT */
/*
 * log: appends, reads, and both at once, of messages of 64 bytes.
 *
 *  - append: SIZE messages are kept.  The clock runs until all that was
 *    dropped is reclaimed.
 *  - read: SIZE messages are kept.  A thread goes through them in place, 32 to
 *    a read section, and begins again; an operation is a message.  One word of
 *    each is read.
 *  - copy: the same by fh_log_read.
 *  - read-under-writers: as read, while two more threads append.  Threads
 *    that have read all begin again with the oldest, which is what a reader
 *    that is behind costs.
 *  - append-under-readers: as append, while two more threads read.
 *  - range: which messages are kept, while a thread appends.
 */
#include <freehold/freehold.h>

#include "bench.h"

#include <string.h>

#define MESSAGE 64
#define SECTION 32

static struct fh_log *book;
static const char text[MESSAGE] = "a message";
static const size_t sizes[] = { 1000, 0 };

static void prepare(unsigned threads, size_t size)
{
	struct fh_log_options options = { .capacity = size,
					  .max_size = MESSAGE };

	(void)threads;
	if (fh_log_create(&book, &options))
		bench_die("no log");
	while (size--)
		if (fh_log_append(book, text, MESSAGE, NULL))
			bench_die("no message");
}

static void cleanup(void)
{
	fh_log_destroy(book);
}

static void append(struct bench_thread *self)
{
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++)
			if (fh_log_append(book, text, MESSAGE, NULL))
				bench_die("append failed");
		self->operations += BENCH_BATCH;
	} while (bench_running());
}

/* Up to SECTION messages; returns how many, and adds to *sum. */
static unsigned read_section(uint64_t *seen, uint64_t *sum)
{
	struct fh_log_message message;
	unsigned count = 0;

	fh_rcu_read_lock();
	while (count < SECTION && fh_log_get(book, seen, &message) == 0) {
		*sum += *(const uint64_t *)message.data;
		count++;
	}
	fh_rcu_read_unlock();
	return count;
}

static void read_in_place(struct bench_thread *self)
{
	uint64_t seen = 0, sum = 0;
	unsigned count;

	do {
		count = read_section(&seen, &sum);
		self->operations += count;
		if (count < SECTION)
			seen = 0;
	} while (bench_running());
	self->sum = sum;
}

static void copy(struct bench_thread *self)
{
	uint64_t seen = 0, sum = 0, words[MESSAGE / sizeof(uint64_t)];
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			if (fh_log_read(book, &seen, words, sizeof(words),
					NULL))
				seen = 0;
			sum += words[0];
		}
		self->operations += BENCH_BATCH;
	} while (bench_running());
	self->sum = sum;
}

static void range(struct bench_thread *self)
{
	struct fh_log_range found;
	uint64_t sum = 0;
	unsigned i;

	do {
		for (i = 0; i < BENCH_BATCH; i++) {
			fh_log_get_range(book, &found);
			sum += found.last;
		}
		self->operations += BENCH_BATCH;
	} while (bench_running());
	self->sum = sum;
}

static const struct bench_case cases[] = {
	{ .name = "append", .setup = prepare, .cleanup = cleanup,
	  .body = append, .retires = true,
	  .threads = bench_threads, .sizes = sizes },
	{ .name = "read", .setup = prepare, .cleanup = cleanup,
	  .body = read_in_place,
	  .threads = bench_threads, .sizes = sizes },
	{ .name = "copy", .setup = prepare, .cleanup = cleanup,
	  .body = copy,
	  .threads = bench_threads, .sizes = sizes },
	{ .name = "read-under-writers", .setup = prepare, .cleanup = cleanup,
	  .body = read_in_place, .disturb = append, .disturbers = 2,
	  .threads = bench_threads, .sizes = sizes },
	{ .name = "append-under-readers", .setup = prepare,
	  .cleanup = cleanup, .body = append, .retires = true,
	  .disturb = read_in_place, .disturbers = 2,
	  .threads = bench_threads, .sizes = sizes },
	{ .name = "range", .setup = prepare, .cleanup = cleanup,
	  .body = range, .disturb = append, .disturbers = 1,
	  .threads = bench_threads, .sizes = sizes },
};

int main(int argc, char **argv)
{
	return bench_main("log", cases, ARRAY_LENGTH(cases), argc, argv);
}
