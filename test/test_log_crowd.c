/* SPDX-License-Identifier: MIT */
/*
 * log: 64 writers and 64 readers on one log, for a while; with FH_PROVE=1 in
 * the environment, for a minute.
 *
 * A message is a sequence of equal words, as many as the word says: its
 * writer, and that writer's count.  What would be seen if the log were wrong:
 * a number that is given twice, or never, shows in the map of numbers; a
 * message that is not whole, or reclaimed while it is read, has words that
 * differ or a wrong length; a reader that is told wrongly what it missed does
 * not come out at the total; a writer's messages that changed places make its
 * count go back; a wake-up that is lost makes a reader wait for ever.
 */
#include <freehold/log.h>
#include <freehold/rcu.h>

#include <errno.h>

#include "tap.h"
#include "threads.h"

#define MS INT64_C(1000000)
#define WRITERS 64u
#define READERS 64u
#define WORDS 29u
#define NUMBERS (UINT64_C(1) << 28)	/* that the map has room for */

struct crowd {
	struct fh_log *log;
	int64_t until;
	size_t capacity;
	unsigned char *given;	/* a bit for each number */
	tally writing, appended, failed;
	tally twice, torn, back, misled, astray, read, missed;
};

static uint64_t length_of(uint64_t word)
{
	return (word % WORDS + 1) * sizeof(word);
}

/* true: for the first time */
static bool take_number(struct crowd *crowd, uint64_t number)
{
	unsigned char bit = (unsigned char)(1u << number % 8);
	_Atomic(unsigned char) *byte =
		(_Atomic(unsigned char) *)&crowd->given[number / 8];

	return !(or_acq_rel(byte, bit) & bit);
}

static void write_some(struct crowd *crowd, unsigned writer)
{
	uint64_t words[WORDS], count, number = 0, before = 0, i;

	for (count = 1; before < NUMBERS - 2 * WRITERS; count++) {
		if (count % 16 == 0 && fh_now() > crowd->until)
			break;
		for (i = 0; i < WORDS; i++)
			words[i] = count << 8 | writer;
		if (fh_log_append(crowd->log, words, length_of(words[0]),
				  &number)) {
			add_relaxed(&crowd->failed, 1);
			continue;
		}
		if (number <= before || !take_number(crowd, number))
			add_relaxed(&crowd->twice, 1);
		before = number;
		add_relaxed(&crowd->appended, 1);
	}
	/* The last one to stop sends the readers home. */
	if (sub_acq_rel(&crowd->writing, 1) == 1)
		fh_log_close(crowd->log);
}

struct reading {
	struct crowd *crowd;
	uint64_t seen, read, missed;
	uint64_t counts[WRITERS];
};

static void check_words(struct reading *reading, const uint64_t *words,
			size_t size)
{
	struct crowd *crowd = reading->crowd;
	uint64_t writer = words[0] & 0xff, count = words[0] >> 8, i;
	bool torn = writer >= WRITERS || size != length_of(words[0]);

	for (i = 0; !torn && i < size / sizeof(words[0]); i++)
		torn = words[i] != words[0];
	if (torn) {
		add_relaxed(&crowd->torn, 1);
		return;
	}
	if (count <= reading->counts[writer])
		add_relaxed(&crowd->back, 1);
	reading->counts[writer] = count;
}

/* What is told of a message that was read after one with number @before. */
static void check_message(struct reading *reading, uint64_t before,
			  const struct fh_log_message *message,
			  const uint64_t *words)
{
	if (message->number != before + message->missed + 1 ||
	    reading->seen != message->number)
		add_relaxed(&reading->crowd->misled, 1);
	reading->read++;
	reading->missed += message->missed;
	check_words(reading, words, message->size);
}

/*
 * The number found was the oldest at some moment of the call; or next.  Where
 * nothing was missed it is next.
 */
static void check_place(struct reading *reading, uint64_t number,
			uint64_t wanted, uint64_t first_before)
{
	struct fh_log_range range;

	fh_log_get_range(reading->crowd->log, &range);
	if (number != wanted &&
	    (number < first_before || number > range.first))
		add_relaxed(&reading->crowd->astray, 1);
}

static int read_copy(struct reading *reading)
{
	uint64_t words[WORDS], before = reading->seen;
	struct fh_log_message message;
	struct fh_log_range range;
	int rc;

	fh_log_get_range(reading->crowd->log, &range);
	rc = fh_log_read_wait(reading->crowd->log, &reading->seen, words,
			      sizeof(words), &message, FH_FOREVER);
	if (rc == 0) {
		check_message(reading, before, &message, words);
		check_place(reading, message.number, before + 1, range.first);
	}
	return rc;
}

/* As long as there are some, and then one wait. */
static int read_in_place(struct reading *reading)
{
	struct fh_log *log = reading->crowd->log;
	struct fh_log_message message;
	uint64_t before = reading->seen;
	int rc, some;

	fh_rcu_read_lock();
	for (some = 0; some < 32; some++) {
		rc = fh_log_get(log, &reading->seen, &message);
		if (rc)
			break;
		check_message(reading, before, &message, message.data);
		before = reading->seen;
	}
	fh_rcu_read_unlock();
	if (rc == -ENODATA)
		rc = fh_log_wait(log, reading->seen, FH_FOREVER);
	return rc;
}

static void read_all(struct crowd *crowd, unsigned index)
{
	struct reading reading = { .crowd = crowd };
	struct fh_log_range range;
	unsigned turn = index;
	int rc;

	do
		rc = turn++ % 4 ? read_in_place(&reading) :
				  read_copy(&reading);
	while (rc == 0);
	fh_log_get_range(crowd->log, &range);
	if (rc != -ESHUTDOWN || !range.closed || reading.seen != range.last ||
	    reading.read + reading.missed != range.last)
		add_relaxed(&crowd->misled, 1);
	add_relaxed(&crowd->read, reading.read);
	add_relaxed(&crowd->missed, reading.missed);
}

static void crowd_work(unsigned index, void *arg)
{
	struct crowd *crowd = arg;

	if (index < WRITERS)
		write_some(crowd, index);
	else
		read_all(crowd, index);
}

static uint64_t never_given(const struct crowd *crowd, uint64_t last)
{
	uint64_t number, never = 0;

	for (number = 1; number <= last; number++)
		never += !(crowd->given[number / 8] >> number % 8 & 1);
	return never;
}

static void test_crowd(size_t capacity, int64_t length)
{
	struct fh_log_options options = { .capacity = capacity };
	struct crowd crowd = { .capacity = capacity, .writing = WRITERS };
	struct fh_log_range range;

	crowd.given = calloc(NUMBERS / 8, 1);
	if (!crowd.given || fh_log_create(&crowd.log, &options))
		bail_out("no memory for a crowd");
	crowd.until = fh_deadline_in(length);
	run_crew(WRITERS + READERS, crowd_work, &crowd);
	fh_log_get_range(crowd.log, &range);

	diag("capacity %zu: %" PRIu64 " messages, read %" PRIu64
	     " times, missed %" PRIu64 " times", capacity,
	     (uint64_t)crowd.appended, (uint64_t)crowd.read,
	     (uint64_t)crowd.missed);
	ok(crowd.appended > 0 && crowd.read > 0, "something happened");
	is(crowd.failed, 0, "no append failed");
	is(range.last, crowd.appended, "as many numbers as messages");
	is(crowd.twice, 0, "no number twice, each writer's in order");
	is(never_given(&crowd, range.last), 0, "no number left out");
	is(crowd.torn, 0, "no message torn");
	is(crowd.back, 0, "each writer's messages in order, for each reader");
	is(crowd.misled, 0, "all was read, or told to be missed");
	is(crowd.astray, 0, "who is behind gets the oldest");
	is(crowd.read + crowd.missed, READERS * range.last,
	   "for all readers together");
	fh_log_destroy(crowd.log);
	free(crowd.given);
}

int main(void)
{
	int64_t length = getenv("FH_PROVE") ? 60000 * MS : 150 * MS;

	watchdog(600);
	test_crowd(100, length);
	test_crowd(3, length / 3);
	is(fh_rcu_drain_wait(fh_deadline_in(60000 * MS)), 0, "drain");
	return done_testing();
}
