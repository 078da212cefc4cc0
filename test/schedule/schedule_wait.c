/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the futex calls alone: a gate that opens once, and threads
 * that come to it for ever, for a while, or not to wait at all.
 *
 * What lies behind the gate is plain: whoever passes must be able to read
 * it.  A sleeper that nobody wakes is a deadlock, which the machine finds.
 */
#include "schedule.h"

#include "wait.h"

#include <errno.h>

#define IN_A_WHILE INT64_C(60000000000)

static _Atomic(uint32_t) gate;
static unsigned behind;

static void open_gate(void)
{
	behind = 1;
	store_release(&gate, 1);
}

static void open_for_one(void)
{
	open_gate();
	fh_wake_one(&gate);
}

static void open_for_all(void)
{
	open_gate();
	fh_wake_all(&gate);
}

static void pass(void)
{
	while (!load_acquire(&gate))
		expect(fh_wait_on(&gate, 0, FH_FOREVER) == 0,
		       "for ever is over");
	expect(behind, "what is behind the gate is missing");
}

/* It looks again without a wake-up, and never sleeps past its deadline. */
static void pass_in_a_while(void)
{
	int rc = 0;

	while (!load_acquire(&gate) && rc == 0) {
		expect(fh_now() < IN_A_WHILE, "the deadline went unsaid");
		rc = fh_wait_on(&gate, 0, IN_A_WHILE);
	}
	expect(rc == 0 || rc == -ETIMEDOUT, "the wait says %d", rc);
	expect(rc == 0 || fh_now() >= IN_A_WHILE, "the deadline came early");
}

static void knock(void)
{
	expect(fh_wait_on(&gate, 0, 0) == -ETIMEDOUT, "a poll sleeps");
}

static const struct scenario scenarios[] = {
	{ "open for one | pass", .thread = { open_for_one, pass },
	  .wakeups = 1 },
	{ "open for all | pass | pass",
	  .thread = { open_for_all, pass, pass }, .wakeups = 1 },
	{ "open for all | pass | pass in a while",
	  .thread = { open_for_all, pass, pass_in_a_while }, .timeouts = 1 },
	{ "pass in a while", .thread = { pass_in_a_while } },
	{ "open for one | knock", .thread = { open_for_one, knock } },
};

int main(int argc, char **argv)
{
	return schedule_main(argc, argv, scenarios,
			     sizeof(scenarios) / sizeof(scenarios[0]));
}
