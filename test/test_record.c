/* SPDX-License-Identifier: MIT */
/* record: versions, lengths, one winner, and values that are never torn. */
#include <freehold/rcu.h>
#include <freehold/record.h>

#include <errno.h>
#include <string.h>

#include "tap.h"
#include "threads.h"

#define SECONDS INT64_C(1000000000)

static struct fh_record static_record;

static void test_empty(void)
{
	struct fh_record record;
	uint64_t version = 99;
	char buffer[8];

	is(fh_record_read(&static_record, buffer, sizeof(buffer), NULL,
			  &version), -ENODATA, "a static record is empty");
	is(version, 0, "and of version 0");
	memset(&record, 0, sizeof(record));
	fh_rcu_read_lock();
	ok(!fh_record_get(&record, NULL, NULL), "a cleared record too");
	fh_rcu_read_unlock();
	is(fh_record_publish_if(&record, 1, "x", 1), -ESTALE,
	   "nothing has version 1 yet");
	is(fh_record_read(&record, buffer, 8, NULL, NULL), -ENODATA,
	   "so nothing was published");
	is(fh_record_publish_if(&record, 0, "x", 1), 0, "version 0 it is");
	is(fh_record_publish_if(&record, 0, "y", 1), -ESTALE, "not any more");
	is(fh_record_read(&record, buffer, 8, NULL, &version), 0, "read it");
	ok(version == 1 && buffer[0] == 'x', "the first value stands");
	is(fh_record_publish_if(&record, FH_RECORD_ANY, "z", 1), 0,
	   "whatever the version");
	fh_record_destroy(&record);
	fh_record_destroy(&static_record);
}

/* Publish @size bytes and read them back; returns broken promises. */
static unsigned round_trip(struct fh_record *record, size_t size,
			   uint64_t want)
{
	unsigned char *data = calloc(2, size + 1), *copy = data + size + 1;
	size_t i, length = 0;
	uint64_t version = 0;
	unsigned wrong = 0;

	if (!data)
		bail_out("no memory");
	for (i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 7 + size);
	memset(copy, 0xee, size + 1);
	wrong += fh_record_publish(record, data, size) != 0;
	if (size) {
		wrong += fh_record_read(record, copy, size - 1, &length,
					&version) != -ENOSPC;
		wrong += length != size || version != want || *copy != 0xee;
		length = version = 0;
	}
	wrong += fh_record_read(record, copy, size + 1, &length, &version);
	wrong += length != size || version != want;
	wrong += memcmp(copy, data, size) != 0 || copy[size] != 0xee;
	wrong += fh_record_read(record, copy, size, NULL, NULL) != 0;
	free(data);
	return wrong;
}

static void test_sizes(void)
{
	struct fh_record record = { 0 };
	uint64_t version = 0;
	unsigned wrong = 0;
	size_t size;

	for (size = 0; size <= 300; size++)
		wrong += round_trip(&record, size, ++version);
	is(wrong, 0, "values of 0 to 300 bytes");
	for (size = 512; size <= 4 << 20; size *= 2)
		wrong += round_trip(&record, size + size / 3, ++version);
	is(wrong, 0, "values of up to 5 MiB");

	is(fh_record_publish(&record, NULL, 0), 0, "no bytes at all");
	is(fh_record_read(&record, NULL, 0, &size, NULL), 0, "are a value");
	is(size, 0, "of length 0");
	fh_rcu_read_lock();
	ok(fh_record_get(&record, &size, &version) != NULL,
	   "that can be looked at");
	fh_rcu_read_unlock();
	fh_record_destroy(&record);
}

/* If a publication freed or changed the old value at once, this would show. */
static void test_in_place(void)
{
	struct fh_record record = { 0 };
	const char *first, *second;
	uint64_t version;
	size_t size;

	fh_record_publish(&record, "first", 6);
	fh_rcu_read_lock();
	first = fh_record_get(&record, &size, &version);
	ok(size == 6 && version == 1 && !strcmp(first, "first"),
	   "look at the value in place");
	is((uintptr_t)first % _Alignof(max_align_t), 0,
	   "it is aligned for any type");
	is(fh_record_publish(&record, "second", 7), 0,
	   "publish inside the read section");
	second = fh_record_get(&record, NULL, &version);
	ok(version == 2 && !strcmp(second, "second"), "the new value is there");
	ok(!strcmp(first, "first"), "the old one is still what it was");
	fh_record_destroy(&record);
	ok(!strcmp(second, "second"), "destroying leaves it to its readers");
	fh_rcu_read_unlock();
}

static void test_destroy(void)
{
	struct fh_record record = { 0 };
	struct fh_rcu_stats before, after;

	is(fh_rcu_drain_wait(fh_deadline_in(20 * SECONDS)), 0, "drain");
	fh_rcu_get_stats(&before);
	fh_record_publish(&record, "one", 4);
	fh_record_publish(&record, "two", 4);
	fh_record_destroy(&record);
	is(fh_rcu_drain_wait(fh_deadline_in(20 * SECONDS)), 0, "drain again");
	fh_rcu_get_stats(&after);
	is(after.reclaimed - before.reclaimed, 2,
	   "both values were reclaimed");
	is(after.pending, 0, "and nothing is left");
}

/* ---- many threads ---- */

struct contest {
	struct fh_record record;
	uint64_t rounds;
	tally wins, wrong;
	_Atomic(unsigned char) *winners; /* by version that was replaced */
};

/* Two that replace one version would be counted in winners. */
static void compete(unsigned index, void *arg)
{
	struct contest *contest = arg;
	uint64_t version = 0, value = 0, next;
	int rc;

	while (version < contest->rounds) {
		next = value + 1;
		rc = fh_record_publish_if(&contest->record, version, &next, 8);
		if (!rc) {
			add_relaxed(&contest->wins, 1);
			add_relaxed(&contest->winners[version], 1);
		} else if (rc != -ESTALE) {
			add_relaxed(&contest->wrong, 1);
		}
		if (fh_record_read(&contest->record, &value, 8, NULL,
				   &version) || value != version)
			add_relaxed(&contest->wrong, 1);
	}
	(void)index;
}

static void test_contest(void)
{
	static struct contest contest;
	uint64_t version, shared = 0, value, final;

	contest.rounds = scaled(50000, 500);
	contest.winners = calloc(contest.rounds, 1);
	if (!contest.winners)
		bail_out("no memory");
	run_crew(6, compete, &contest);
	fh_record_read(&contest.record, &value, 8, NULL, &final);
	for (version = 0; version < contest.rounds; version++)
		shared += contest.winners[version] != 1;
	is(shared, 0, "each version was replaced by one winner");
	is(contest.wins, final, "as many winners as versions");
	is(value, final, "a count kept by read and publish_if is exact");
	is(contest.wrong, 0, "results fit");
	fh_record_destroy(&contest.record);
	free((void *)contest.winners);
}

#define WRITERS 2
#define WORDS 67

struct press {
	struct fh_record record;
	uint64_t rounds;
	tally writing, torn, back, reordered, failed;
};

/* Words of one value: all equal; from them follow writer, number, length. */
static size_t length_of(uint64_t word)
{
	return (word % WORDS + 1) * sizeof(uint64_t);
}

static void write_values(unsigned writer, struct press *press)
{
	uint64_t words[WORDS], number, i;

	for (number = 1; number <= press->rounds; number++) {
		for (i = 0; i < WORDS; i++)
			words[i] = (uint64_t)writer << 48 | number;
		if (fh_record_publish(&press->record, words,
				      length_of(words[0])))
			add_relaxed(&press->failed, 1);
	}
	sub_acq_rel(&press->writing, 1);
}

static void check_value(struct press *press, const uint64_t *words,
			size_t length, uint64_t *numbers)
{
	uint64_t number = words[0] & 0xffffffffffff, i;
	unsigned writer = (unsigned)(words[0] >> 48);
	int torn = writer >= WRITERS || length != length_of(words[0]);

	for (i = 0; !torn && i < length / sizeof(uint64_t); i++)
		torn = words[i] != words[0];
	if (torn) {
		add_relaxed(&press->torn, 1);
		return;
	}
	if (number < numbers[writer])
		add_relaxed(&press->reordered, 1);
	numbers[writer] = number;
}

/*
 * A value that is written where readers look, or freed under them, shows as
 * words that differ, a wrong length, or a version that goes back.
 */
static void read_values(struct press *press)
{
	uint64_t copy[WORDS], numbers[WRITERS] = { 0 };
	uint64_t version, last = 0;
	const uint64_t *words;
	size_t length;

	while (load_seq_cst(&press->writing)) {
		if (!fh_record_read(&press->record, copy, sizeof(copy),
				    &length, &version)) {
			check_value(press, copy, length, numbers);
			if (version < last)
				add_relaxed(&press->back, 1);
			last = version;
		}
		fh_rcu_read_lock();
		words = fh_record_get(&press->record, &length, &version);
		if (words) {
			check_value(press, words, length, numbers);
			if (version < last)
				add_relaxed(&press->back, 1);
			last = version;
		}
		fh_rcu_read_unlock();
	}
}

static void press_work(unsigned index, void *arg)
{
	if (index < WRITERS)
		write_values(index, arg);
	else
		read_values(arg);
}

static void test_torn(void)
{
	static struct press press;
	uint64_t copy[WORDS], version = 0;

	press.rounds = scaled(200000, 1000);
	press.writing = WRITERS;
	run_crew(WRITERS + 3, press_work, &press);
	fh_record_read(&press.record, copy, sizeof(copy), NULL, &version);
	is(version, WRITERS * press.rounds, "every publication has a version");
	is(press.failed, 0, "none failed");
	is(press.torn, 0, "no reader sees part of a value");
	is(press.back, 0, "for no reader the version goes back");
	is(press.reordered, 0, "each writer's values come in order");
	fh_record_destroy(&press.record);
}

int main(void)
{
	watchdog(120);
	test_empty();
	test_sizes();
	test_in_place();
	test_destroy();
	test_contest();
	test_torn();
	return done_testing();
}
