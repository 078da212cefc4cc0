/* SPDX-License-Identifier: MIT */
/*
 * log: races.  Threads that wait for each other's messages, closing beside
 * appends, readers that are always behind, and one that sees all.
 *
 * What would be seen if the log were wrong: a wake-up that is lost is a wait
 * without end; an append that comes after the close is counted by its writer
 * and not by the log; a reader that is behind gets a message that was not the
 * oldest in any moment of its call; one that sees all does not come to the
 * sum that the writers know.
 */
#include <freehold/log.h>
#include <freehold/rcu.h>

#include <errno.h>

#include "logs.h"
#include "tap.h"

#define MS INT64_C(1000000)

/* ---- each waits for what the other one says ---- */

#define TALKERS 3u

struct talk {
	struct fh_log *log;
	uint64_t rounds;
	tally wrong;
};

/* Message n is said by talker n mod TALKERS, when message n - 1 is there. */
static void talk_in_turn(unsigned index, void *arg)
{
	struct talk *talk = arg;
	uint64_t n, said = 0, seen, number = 0;

	for (n = 1; n <= talk->rounds; n++) {
		if (n % TALKERS != index)
			continue;
		if (n > 1 && fh_log_wait(talk->log, n - 2, FH_FOREVER))
			add_relaxed(&talk->wrong, 1);
		seen = n - 2;
		if (n > 1 && (fh_log_read(talk->log, &seen, &said,
					  sizeof(said), NULL) ||
			      said != n - 1))
			add_relaxed(&talk->wrong, 1);
		if (fh_log_append(talk->log, &n, sizeof(n), &number) ||
		    number != n)
			add_relaxed(&talk->wrong, 1);
	}
}

static void test_talk(void)
{
	struct talk talk = { log_of(4), scaled(3000, 300), 0 };

	run_crew(TALKERS, talk_in_turn, &talk);
	is(talk.wrong, 0, "each one waited for the one before");
	fh_log_destroy(talk.log);
}

/* ---- closing beside appends ---- */

struct closing {
	struct fh_log *log;
	tally appended, wrong;
};

static void append_until_closed(struct closing *closing)
{
	uint64_t number, highest = 0;
	struct fh_log_range range;
	int rc;

	while (rc = fh_log_append(closing->log, "x", 1, &number), rc == 0) {
		highest = number;
		add_relaxed(&closing->appended, 1);
	}
	fh_log_get_range(closing->log, &range);
	if (rc != -ESHUTDOWN || highest > range.last || !range.closed)
		add_relaxed(&closing->wrong, 1);
}

static void close_it(struct closing *closing, unsigned turns)
{
	struct fh_log_range range, later;

	while (turns--)
		sched_yield();
	fh_log_close(closing->log);
	fh_log_get_range(closing->log, &range);
	sched_yield();
	fh_log_get_range(closing->log, &later);
	if (!range.closed || range.last != later.last ||
	    range.first != later.first)
		add_relaxed(&closing->wrong, 1);
}

/* Waits for what will never come, at several distances. */
static void wait_for_end(struct closing *closing, uint64_t ahead)
{
	uint64_t seen = 0;
	int rc;

	while (rc = fh_log_wait(closing->log, seen + ahead, FH_FOREVER),
	       rc == 0)
		seen++;
	if (rc != -ESHUTDOWN)
		add_relaxed(&closing->wrong, 1);
}

static void closing_work(unsigned index, void *arg)
{
	if (index < 2)
		append_until_closed(arg);
	else if (index < 4)
		wait_for_end(arg, index == 2 ? 0 : UINT64_C(1) << 40);
	else
		close_it(arg, index - 4);
}

static void test_closing(void)
{
	size_t rounds = scaled(150, 20), round;
	uint64_t wrong = 0, lost = 0;

	for (round = 0; round < rounds; round++) {
		struct closing closing = { .log = log_of(1 + round % 5) };
		struct fh_log_range range;

		run_crew(6, closing_work, &closing);
		fh_log_get_range(closing.log, &range);
		lost += range.last != closing.appended;
		wrong += closing.wrong;
		fh_log_destroy(closing.log);
	}
	is(lost, 0, "every append came before the close, or was refused");
	is(wrong, 0, "who waited was told, and nothing moved after it");
}

/* ---- always behind ---- */

struct chase {
	struct fh_log *log;
	uint64_t rounds;
	tally writing, wrong, found;
};

static void run_ahead(struct chase *chase)
{
	uint64_t i;

	for (i = 0; i < chase->rounds; i++)
		if (fh_log_append(chase->log, &i, sizeof(i), NULL))
			add_relaxed(&chase->wrong, 1);
	sub_acq_rel(&chase->writing, 1);
}

/* From the very beginning, each time. */
static void lag(struct chase *chase)
{
	struct fh_log_range before, after;
	struct fh_log_message message;

	while (load_seq_cst(&chase->writing)) {
		uint64_t seen = 0, value;
		int rc;

		fh_log_get_range(chase->log, &before);
		rc = fh_log_read(chase->log, &seen, &value, sizeof(value),
				 &message);
		fh_log_get_range(chase->log, &after);
		if (rc == -ENODATA && before.last == 0)
			continue;
		add_relaxed(&chase->found, 1);
		if (rc || message.number < before.first ||
		    message.number > after.first ||
		    message.missed != message.number - 1)
			add_relaxed(&chase->wrong, 1);
	}
}

static void chase_work(unsigned index, void *arg)
{
	if (index < 2)
		run_ahead(arg);
	else
		lag(arg);
}

static void test_behind(void)
{
	size_t capacity;

	for (capacity = 1; capacity <= 4; capacity++) {
		struct chase chase = {
			.log = log_of(capacity), .rounds = scaled(10000, 400),
			.writing = 2,
		};

		run_crew(4, chase_work, &chase);
		is(chase.wrong, 0, "capacity %zu: the oldest, %" PRIu64
		   " times", capacity, (uint64_t)chase.found);
		fh_log_destroy(chase.log);
	}
}

/* ---- one that sees all ---- */

#define WRITERS 3u

struct ledger {
	struct fh_log *log;
	uint64_t each;
	tally written, read, wrong;
};

static uint64_t entry_of(uint64_t number, uint64_t value)
{
	return (number ^ value << 20) * UINT64_C(0x9e3779b97f4a7c15);
}

static void enter_values(struct ledger *ledger, unsigned index)
{
	uint64_t i, number = 0, value;

	for (i = 0; i < ledger->each; i++) {
		value = i * WRITERS + index;
		if (fh_log_append(ledger->log, &value, sizeof(value),
				  &number))
			add_relaxed(&ledger->wrong, 1);
		add_relaxed(&ledger->written, entry_of(number, value));
	}
}

static void add_up(struct ledger *ledger)
{
	uint64_t seen = 0, value, sum = 0;
	struct fh_log_message message;

	while (seen < ledger->each * WRITERS) {
		if (fh_log_read_wait(ledger->log, &seen, &value, sizeof(value),
				     &message, FH_FOREVER) || message.missed)
			add_relaxed(&ledger->wrong, 1);
		sum += entry_of(seen, value);
	}
	add_relaxed(&ledger->read, sum);
}

static void ledger_work(unsigned index, void *arg)
{
	if (index < WRITERS)
		enter_values(arg, index);
	else
		add_up(arg);
}

static void test_ledger(void)
{
	struct ledger ledger = { .each = scaled(6000, 200) };

	ledger.log = log_of(ledger.each * WRITERS);
	run_crew(WRITERS + 2, ledger_work, &ledger);
	is(ledger.wrong, 0, "nothing is missed where all is kept");
	ok(ledger.read == 2 * ledger.written,
	   "each number stands for the message that its writer sent");
	fh_log_destroy(ledger.log);
}

int main(void)
{
	watchdog(300);
	test_talk();
	test_closing();
	test_behind();
	test_ledger();
	is(fh_rcu_drain_wait(fh_deadline_in(60000 * MS)), 0, "drain");
	return done_testing();
}
