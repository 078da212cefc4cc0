/* SPDX-License-Identifier: MIT */
/*
 * log: messages of all lengths, each word of which follows from the first,
 * which names its writer and that writer's count.  So a mixture of two shows,
 * and messages of one writer that changed places.  Numbers and what was
 * missed must add up for every reader, and for all writers at rest.
 */
#include "soak.h"

#define LOGS 4
#define WORDS 120

static const size_t capacity[LOGS] = { 1, 7, 64, 1000 };

enum { APPEND, READ, GET, WAIT, LAG, RANGE, LIFE };
static const char *const operations[] = {
	"append", "read", "get", "wait", "read from the first", "range",
	"a log's life", NULL,
};

static struct fh_log *logs[LOGS];
static tally appended[LOGS], counts[LOGS][SOAK_THREADS];
static tally missed, refused, lives;

/* A life's own: where it is in each log, and whom it has heard. */
static _Thread_local uint64_t seen[LOGS], heard[LOGS][SOAK_THREADS];

static size_t fill(uint64_t *words, uint64_t first, size_t count)
{
	words[0] = first;
	for (size_t i = 1; i < count; i++)
		words[i] = soak_mix(first, i ^ count << 32);
	return count * sizeof(*words);
}

static void look_at(const uint64_t *words, size_t size)
{
	size_t count = size / sizeof(*words);

	soak_expect(count && size % sizeof(*words) == 0 && count <= WORDS,
		    "a message of %zu bytes", size);
	for (size_t i = 1; i < count; i++)
		if (words[i] != soak_mix(words[0], i ^ count << 32))
			soak_fail("a torn message: word %zu of %zu", i,
				  count);
	soak_checked();
}

/* The message after @before, in the order of its writer. */
static void follow(size_t i, uint64_t before,
		   const struct fh_log_message *message,
		   const uint64_t *words)
{
	uint64_t writer = words[0] >> 48, count = words[0] & 0xffffffffffff;

	look_at(words, message->size);
	soak_expect(message->number == before + message->missed + 1 &&
		    message->number == seen[i],
		    "number %llu after %llu, and %llu missed",
		    (unsigned long long)message->number,
		    (unsigned long long)before,
		    (unsigned long long)message->missed);
	soak_expect(writer < SOAK_THREADS && count > heard[i][writer],
		    "message %llu of a writer after its %llu",
		    (unsigned long long)count,
		    (unsigned long long)heard[i][writer]);
	heard[i][writer] = count;
	add_relaxed(&missed, message->missed);
}

static void append(struct soak_worker *worker)
{
	size_t i = soak_random(worker, LOGS), size;
	tally *count = &counts[i][worker->index];
	uint64_t words[WORDS], number = 0;
	int rc;

	soak_begin(worker, APPEND);
	size = fill(words, (uint64_t)worker->index << 48 |
			   (load_relaxed(count) + 1),
		    1 + soak_random(worker, WORDS));
	rc = fh_log_append(logs[i], words, size, &number);
	soak_expect((rc == 0 && number > seen[i]) || rc == -EAGAIN,
		    "an append gave %d, and number %llu after %llu", rc,
		    (unsigned long long)number, (unsigned long long)seen[i]);
	add_relaxed(rc ? &refused : &appended[i], 1);
	add_relaxed(count, rc == 0);
}

static void read_copy(struct soak_worker *worker)
{
	size_t i = soak_random(worker, LOGS);
	uint64_t words[WORDS], before = seen[i];
	struct fh_log_message message;
	int rc;

	soak_begin(worker, READ);
	rc = fh_log_read(logs[i], &seen[i], words, sizeof(words), &message);
	soak_expect(rc == 0 || rc == -ENODATA, "a read gave %d", rc);
	if (rc == 0)
		follow(i, before, &message, words);
}

/* In place, several, and the first one twice: it must not change. */
static void get(struct soak_worker *worker)
{
	size_t i = soak_random(worker, LOGS);
	struct fh_log_message message, first = { 0 };
	uint64_t before;
	unsigned many = 1 + (unsigned)soak_random(worker, 8);

	soak_begin(worker, GET);
	fh_rcu_read_lock();
	while (before = seen[i], many-- &&
	       fh_log_get(logs[i], &seen[i], &message) == 0) {
		follow(i, before, &message, message.data);
		if (!first.data)
			first = message;
		soak_dawdle(worker);
	}
	if (first.data)
		look_at(first.data, first.size);
	fh_rcu_read_unlock();
}

static void wait_for_more(struct soak_worker *worker)
{
	size_t i = soak_random(worker, LOGS);
	int64_t deadline = fh_deadline_in((int64_t)soak_random(worker, 4) *
					  MILLISECONDS);
	int rc;

	soak_begin(worker, WAIT);
	rc = fh_log_wait(logs[i], seen[i], deadline);
	soak_expect(rc == 0 || (rc == -ETIMEDOUT && fh_now() >= deadline),
		    "a wait gave %d", rc);
}

/* Who begins with the first is told the oldest of a moment in its call. */
static void lag(struct soak_worker *worker)
{
	size_t i = soak_random(worker, LOGS);
	struct fh_log_range before, after;
	struct fh_log_message message = { 0 };
	uint64_t words[WORDS], from = 0;
	int rc;

	soak_begin(worker, LAG);
	fh_log_get_range(logs[i], &before);
	rc = fh_log_read(logs[i], &from, words, sizeof(words), &message);
	fh_log_get_range(logs[i], &after);
	soak_expect(rc == 0 && message.number >= before.first &&
		    message.number <= after.first,
		    "the oldest gave %d, and number %llu", rc,
		    (unsigned long long)message.number);
	look_at(words, message.size);
}

static void look_at_range(struct soak_worker *worker)
{
	size_t i = soak_random(worker, LOGS);
	struct fh_log_range range;

	soak_begin(worker, RANGE);
	fh_log_get_range(logs[i], &range);
	soak_expect(range.last >= seen[i] && !range.closed &&
		    range.first == (range.last > capacity[i] ?
				    range.last - capacity[i] + 1 : 1),
		    "messages %llu to %llu", (unsigned long long)range.first,
		    (unsigned long long)range.last);
}

/* From creation to the end, closed on the way. */
static void live(struct soak_worker *worker)
{
	struct fh_log_options options = { .capacity = 5 };
	uint64_t from = 0, i, many = soak_random(worker, 12);
	uint64_t words[WORDS], sent = 0;
	struct fh_log *log;
	int rc;

	soak_begin(worker, LIFE);
	rc = fh_log_create(&log, &options);
	soak_expect(rc == 0, "creation gave %d", rc);
	for (i = 0; i < many; i++)
		sent += fh_log_append(log, words, fill(words, i, 3),
				      NULL) == 0;
	fh_log_close(log);
	rc = fh_log_append(log, words, 8, NULL);
	soak_expect(rc == -ESHUTDOWN || rc == -EAGAIN,
		    "a closed log gave %d", rc);
	while (rc = fh_log_read(log, &from, words, sizeof(words), NULL),
	       rc == 0)
		look_at(words, 24);
	soak_expect(rc == -ESHUTDOWN && from == sent,
		    "the end gave %d, after %llu of %llu", rc,
		    (unsigned long long)from, (unsigned long long)sent);
	fh_log_destroy(log);
	add_relaxed(&lives, 1);
}

static void work(struct soak_worker *worker)
{
	static void (*const what[])(struct soak_worker *) = {
		append, append, append, append, append, read_copy, read_copy,
		read_copy, get, get, get, wait_for_more, lag, look_at_range,
		append, live,
	};

	what[soak_random(worker, 16)](worker);
}

/* Messages of one length: a deep rest compares the memory in use. */
static void clear(void)
{
	uint64_t words[9];

	for (size_t i = 0; i < LOGS; i++)
		for (size_t n = 0; n < capacity[i]; n++) {
			uint64_t count = add_relaxed(
				&counts[i][SOAK_THREADS - 1], 1) + 1;
			uint64_t first = (uint64_t)(SOAK_THREADS - 1) << 48;

			if (fh_log_append(logs[i], words,
					  fill(words, first | count, 9),
					  NULL))
				soak_fail("cannot append");
			add_relaxed(&appended[i], 1);
		}
}

static void setup(void)
{
	for (size_t i = 0; i < LOGS; i++) {
		struct fh_log_options options = { .capacity = capacity[i] };

		if (fh_log_create(&logs[i], &options))
			soak_fail("there is no memory for a log");
	}
	clear();
}

static void check(void)
{
	for (size_t i = 0; i < LOGS; i++) {
		uint64_t words[WORDS], from = 0, next;
		struct fh_log_message message;
		struct fh_log_range range;

		fh_log_get_range(logs[i], &range);
		soak_expect(range.last == load_relaxed(&appended[i]),
			    "at rest the last is %llu, after %llu appends",
			    (unsigned long long)range.last,
			    (unsigned long long)load_relaxed(&appended[i]));
		for (next = range.first; next <= range.last; next++) {
			int rc = fh_log_read(logs[i], &from, words,
					     sizeof(words), &message);

			soak_expect(rc == 0 && message.number == next,
				    "at rest number %llu gave %d",
				    (unsigned long long)next, rc);
			look_at(words, message.size);
		}
	}
}

static void report(FILE *out)
{
	fprintf(out, "Readers missed %llu messages, as they were told; %llu "
		"appends were refused at the hard bound; %llu logs came and "
		"went.\n", (unsigned long long)load_relaxed(&missed),
		(unsigned long long)load_relaxed(&refused),
		(unsigned long long)load_relaxed(&lives));
}

static void teardown(void)
{
	for (size_t i = 0; i < LOGS; i++)
		fh_log_destroy(logs[i]);
}

struct soak_room soak_log = {
	.name = "log", .operations = operations, .weight = 10,
	.setup = setup, .work = work, .check = check, .clear = clear,
	.report = report, .teardown = teardown,
};
