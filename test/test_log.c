/* SPDX-License-Identifier: MIT */
/* log: numbers, ranges, lengths, falling behind, waiting, closing. */
#include <freehold/log.h>
#include <freehold/rcu.h>

#include <errno.h>
#include <string.h>

#include "logs.h"
#include "tap.h"

#define MS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)

static int range_is(const struct fh_log *log, uint64_t first, uint64_t last,
		    int closed)
{
	struct fh_log_range range;

	fh_log_get_range(log, &range);
	return range.first == first && range.last == last &&
	       range.closed == closed;
}

static void test_first(void)
{
	struct fh_log *log = log_of(3);
	struct fh_log_message message;
	uint64_t seen = 0, number = 0;
	char text[8] = "";

	ok(range_is(log, 1, 0, 0), "a new log is empty");
	is(fh_log_read(log, &seen, text, sizeof(text), &message), -ENODATA,
	   "there is nothing to read");
	is(fh_log_append(log, "one", 4, &number), 0, "append a message");
	is(number, 1, "its number is 1");
	ok(range_is(log, 1, 1, 0), "the log has it");
	is(fh_log_read(log, &seen, text, sizeof(text), &message), 0, "read it");
	ok(!strcmp(text, "one"), "its text");
	ok(message.number == 1 && message.missed == 0 && message.size == 4 &&
	   !message.data, "what is told of it");
	is(seen, 1, "the cursor has moved");
	is(fh_log_read(log, &seen, text, sizeof(text), NULL), -ENODATA,
	   "no more");
	is(seen, 1, "the cursor stays");
	is(fh_log_append(log, "two", 4, NULL), 0, "append without a number");
	is(fh_log_read(log, &seen, text, sizeof(text), NULL), 0,
	   "read without being told");
	ok(!strcmp(text, "two") && seen == 2, "the second one");
	fh_log_destroy(log);
}

static void test_defaults(void)
{
	struct fh_log *log = NULL;
	static char large[FH_LOG_MAX_SIZE + 1];
	uint64_t i;

	is(fh_log_create(&log, NULL), 0, "a log without options");
	is(fh_log_append(log, large, FH_LOG_MAX_SIZE + 1, NULL), -EMSGSIZE,
	   "one byte more than the default limit is refused");
	ok(range_is(log, 1, 0, 0), "and uses up no number");
	is(fh_log_append(log, large, FH_LOG_MAX_SIZE, NULL), 0,
	   "the limit itself is not");
	for (i = 0; i < FH_LOG_CAPACITY; i++)
		fh_log_append(log, "", 0, NULL);
	ok(range_is(log, 2, FH_LOG_CAPACITY + 1, 0), "it keeps the default");
	fh_log_destroy(log);
	fh_log_destroy(NULL);
}

/* Append @count numbers as messages; then all that is kept is read. */
static unsigned wrong_after(size_t capacity, uint64_t count)
{
	struct fh_log *log = log_of(capacity);
	uint64_t i, seen = 0, value = 0, kept, number = 0;
	struct fh_log_message message;
	unsigned wrong = 0;

	for (i = 1; i <= count; i++) {
		wrong += fh_log_append(log, &i, sizeof(i), &number) != 0;
		wrong += number != i;
	}
	kept = count < capacity ? count : capacity;
	wrong += !range_is(log, count > capacity ? count - capacity + 1 : 1,
			   count, 0);
	for (i = count - kept + 1; i <= count; i++) {
		uint64_t before = seen;

		wrong += fh_log_read(log, &seen, &value, 8, &message) != 0;
		wrong += value != i || seen != i || message.number != i;
		wrong += message.missed != i - before - 1;
	}
	wrong += fh_log_read(log, &seen, &value, 8, NULL) != -ENODATA;
	fh_log_destroy(log);
	return wrong;
}

static void test_capacities(void)
{
	unsigned wrong = 0;
	size_t capacity;
	uint64_t count;

	for (capacity = 1; capacity <= 9; capacity++)
		for (count = 0; count <= 30; count++)
			wrong += wrong_after(capacity, count);
	is(wrong, 0, "every capacity to 9 after every count to 30");
	wrong += wrong_after(1000, 999) + wrong_after(1000, 1000) +
		 wrong_after(1000, 54321) + wrong_after(4096, 54321);
	is(wrong, 0, "and some large ones");
}

static void test_sizes(void)
{
	struct fh_log_options options = { 5, 1 << 20 };
	static unsigned char data[1 << 20], copy[1 << 20];
	struct fh_log_message message;
	uint64_t seen = 0;
	size_t i, size;
	unsigned wrong = 0;
	struct fh_log *log;

	if (fh_log_create(&log, &options))
		bail_out("no memory for a log");
	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 31 + i / 251);
	for (size = 1; size <= sizeof(data); size += size / 3 + 1) {
		memset(copy, 0, size);
		wrong += fh_log_append(log, data, size, NULL) != 0;
		wrong += fh_log_read(log, &seen, copy, size - 1, &message) !=
			 -ENOSPC;
		wrong += message.size != size || message.data || copy[0];
		wrong += message.number != seen + 1 || message.missed;
		wrong += fh_log_read(log, &seen, copy, size, NULL) != 0;
		wrong += memcmp(data, copy, size) != 0;
	}
	is(wrong, 0, "messages of up to 1 MiB, and buffers one byte short");
	is(fh_log_append(log, NULL, 0, NULL), 0, "no bytes at all");
	is(fh_log_read(log, &seen, NULL, 0, &message), 0, "are a message");
	is(message.size, 0, "of length 0");
	fh_log_destroy(log);
}

/* If an append freed or changed what it drops at once, this would show. */
static void test_in_place(void)
{
	struct fh_log *log = log_of(2);
	struct fh_log_message first, second;
	uint64_t seen = 0;
	int i;

	fh_log_append(log, "first", 6, NULL);
	fh_log_append(log, "second", 7, NULL);
	fh_rcu_read_lock();
	is(fh_log_get(log, &seen, &first), 0, "look at one in place");
	is(fh_log_get(log, &seen, &second), 0, "and at the next");
	is(fh_log_get(log, &seen, &second), -ENODATA, "there are two");
	ok((uintptr_t)first.data % _Alignof(max_align_t) == 0 &&
	   (uintptr_t)second.data % _Alignof(max_align_t) == 0,
	   "they are aligned for any type");
	for (i = 0; i < 100; i++)
		fh_log_append(log, "more", 5, NULL);
	fh_log_destroy(log);
	ok(!strcmp(first.data, "first") && !strcmp(second.data, "second"),
	   "they stay what they were, dropped and destroyed");
	fh_rcu_read_unlock();
}

static void test_behind(void)
{
	struct fh_log *log = log_of(4);
	struct fh_log_message message = { 0 };
	uint64_t seen = 0;
	char text[4];
	int i;

	for (i = 0; i < 10; i++)
		fh_log_append(log, "abc", 4, NULL);
	seen = 3;
	is(fh_log_read(log, &seen, text, 2, &message), -ENOSPC,
	   "far behind, and short of room");
	ok(seen == 3 && message.missed == 3, "it will have missed three");
	is(fh_log_read(log, &seen, text, 4, &message), 0, "far behind");
	ok(message.number == 7 && message.missed == 3 && seen == 7,
	   "it goes on at the oldest, and is told what it missed");
	is(fh_log_read(log, &seen, text, 4, &message), 0, "once more");
	ok(message.number == 8 && message.missed == 0, "nothing missed");
	seen = 10;
	is(fh_log_read(log, &seen, text, 4, &message), -ENODATA, "at the end");
	seen = 11;
	is(fh_log_read(log, &seen, text, 4, &message), -ENODATA, "beyond it");
	seen = 14;
	is(fh_log_read(log, &seen, text, 4, &message), -ENODATA,
	   "beyond it by the capacity");
	seen = UINT64_MAX;
	is(fh_log_read(log, &seen, text, 4, &message), -ENODATA,
	   "a cursor that no number follows");
	is(fh_log_wait(log, UINT64_MAX, 0), -ETIMEDOUT, "nor comes");
	is(fh_log_wait(log, UINT64_MAX - 1, 0), -ETIMEDOUT, "or nearly so");
	fh_log_destroy(log);
}

static void test_poll(void)
{
	struct fh_log *log = log_of(4);
	uint64_t seen = 0;
	int64_t deadline;
	char text[4];

	is(fh_log_wait(log, 0, 0), -ETIMEDOUT, "a poll of an empty log");
	is(fh_log_wait(log, 0, -5), -ETIMEDOUT, "a deadline before all time");
	deadline = fh_deadline_in(20 * MS);
	is(fh_log_wait(log, 0, deadline), -ETIMEDOUT, "a wait for nothing");
	ok(fh_now() >= deadline, "does not end early");
	is(fh_log_read_wait(log, &seen, text, 4, NULL, fh_deadline_in(MS)),
	   -ETIMEDOUT, "a read that waits for nothing");
	fh_log_append(log, "abc", 4, NULL);
	is(fh_log_wait(log, 0, 0), 0, "a poll of something");
	is(fh_log_wait(log, 0, FH_FOREVER), 0, "so long one need not wait");
	is(fh_log_wait(log, 1, 0), -ETIMEDOUT, "nothing after it");
	is(fh_log_read_wait(log, &seen, text, 2, NULL, FH_FOREVER), -ENOSPC,
	   "a read that need not wait, into too little");
	is(fh_log_read_wait(log, &seen, text, 4, NULL, FH_FOREVER), 0,
	   "and into enough");
	ok(seen == 1 && !strcmp(text, "abc"), "it is the message");
	fh_log_destroy(log);
}

static void test_close(void)
{
	size_t capacity;

	for (capacity = 1; capacity <= 3; capacity++) {
		struct fh_log *log = log_of(capacity);
		struct fh_log_message message;
		uint64_t seen = 0;
		unsigned count = 0;
		char text[4];
		int rc;

		fh_log_append(log, "abc", 4, NULL);
		fh_log_append(log, "def", 4, NULL);
		fh_log_close(log);
		fh_log_close(log);
		is(fh_log_append(log, "ghi", 4, NULL), -ESHUTDOWN,
		   "a closed log of %zu takes nothing", capacity);
		ok(range_is(log, capacity == 1 ? 2 : 1, 2, 1),
		   "and drops nothing");
		while (rc = fh_log_read(log, &seen, text, 4, NULL), !rc)
			count++;
		is(rc, -ESHUTDOWN, "its end can be told from a pause");
		fh_rcu_read_lock();
		rc = fh_log_get(log, &seen, &message);
		fh_rcu_read_unlock();
		is(rc, -ESHUTDOWN, "in place too");
		is(fh_log_read_wait(log, &seen, text, 4, NULL, FH_FOREVER),
		   -ESHUTDOWN, "and by who would wait");
		is(seen, 2, "and the cursor stays");
		is(count, capacity == 1 ? 1 : 2, "all was read");
		is(fh_log_wait(log, 2, FH_FOREVER), -ESHUTDOWN,
		   "as in waiting");
		is(fh_log_wait(log, 77, FH_FOREVER), -ESHUTDOWN, "beyond too");
		is(fh_log_wait(log, UINT64_MAX, FH_FOREVER), -ESHUTDOWN,
		   "as far as can be");
		is(fh_log_wait(log, 1, FH_FOREVER), 0, "what is there is");
		fh_log_destroy(log);
	}
}

static void test_close_empty(void)
{
	struct fh_log *log = log_of(8);
	uint64_t seen = 0;

	fh_log_close(log);
	ok(range_is(log, 1, 0, 1), "an empty log can be closed");
	is(fh_log_append(log, "x", 1, NULL), -ESHUTDOWN, "and stays empty");
	is(fh_log_read(log, &seen, NULL, 0, NULL), -ESHUTDOWN,
	   "which its readers are told");
	fh_log_destroy(log);
}

static void test_memory(void)
{
	struct fh_log *log = log_of(16);
	struct fh_rcu_stats before, after;
	uint64_t i;

	is(fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS)), 0, "drain");
	fh_rcu_get_stats(&before);
	for (i = 0; i < 1000; i++)
		fh_log_append(log, &i, sizeof(i), NULL);
	is(fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS)), 0, "drain again");
	fh_rcu_get_stats(&after);
	is(after.reclaimed - before.reclaimed, 1000 - 16,
	   "what was dropped is reclaimed, and no more");
	fh_log_destroy(log);
	is(fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS)), 0, "and again");
	fh_rcu_get_stats(&after);
	is(after.reclaimed - before.reclaimed, 1000 - 16 + 1,
	   "the log is one object more");
	is(after.pending, 0, "nothing is left");
}

/* The log refuses before it changes anything; readers never notice. */
static void test_hard_bound(void)
{
	struct fh_log *log = log_of(2);
	uint64_t number = 0, seen = 0;
	unsigned taken = 0;
	int rc = 0;

	fh_rcu_set_bounds(0, 8);
	fh_rcu_read_lock();
	while (taken < 100 && (rc = fh_log_append(log, "x", 1, &number)) == 0)
		taken++;
	is(rc, -EAGAIN, "behind a reader the hard bound is reached");
	ok(taken >= 8 && taken <= 12, "after %u messages", taken);
	ok(number == taken && range_is(log, taken - 1, taken, 0),
	   "the refused one used up no number");
	is(fh_log_read(log, &seen, NULL, 0, NULL), -ENOSPC, "reading goes on");
	fh_log_close(log);
	fh_rcu_read_unlock();
	is(fh_rcu_drain_wait(fh_deadline_in(30 * SECONDS)), 0, "drain");
	is(fh_log_append(log, "x", 1, NULL), -ESHUTDOWN, "closed all the same");
	fh_rcu_set_bounds(0, 0);
	fh_log_destroy(log);
}

static void test_too_large(void)
{
	struct fh_log_options options = { SIZE_MAX / 2, SIZE_MAX };
	struct fh_log *log = NULL;

	if (SANITIZED) {
		skip("the sanitizer's allocator ends the program instead");
		return;
	}
	is(fh_log_create(&log, &options), -ENOMEM,
	   "a log that no memory can hold");
	ok(!log, "is not made");
	options.capacity = 1;
	is(fh_log_create(&log, &options), 0, "messages without a limit");
	is(fh_log_append(log, "", SIZE_MAX, NULL), -ENOMEM,
	   "a message that no memory can hold");
	is(fh_log_append(log, "", SIZE_MAX / 2, NULL), -ENOMEM, "nor one half");
	ok(range_is(log, 1, 0, 0), "uses up no number");
	fh_log_destroy(log);
}

int main(void)
{
	watchdog(120);
	test_first();
	test_defaults();
	test_capacities();
	test_sizes();
	test_in_place();
	test_behind();
	test_poll();
	test_close();
	test_close_empty();
	test_memory();
	test_hard_bound();
	test_too_large();
	return done_testing();
}
