/* SPDX-License-Identifier: MIT */
/*
 * The rules of the server registry: which state may follow which, limits,
 * and when a policy restarts.  Pure functions, and every case of them.
 */
#include "server_rules.h"
#include "tap.h"

#include <errno.h>
#include <string.h>

#define S INT64_C(1000000000)
#define TO(state) FH_SERVER_STATE(FH_SERVER_##state)

/* Written down a second time, from the specification. */
static const uint64_t life[FH_SERVER_STATES] = {
	TO(STARTING),
	TO(RUNNING) | TO(FAILED),
	TO(RESTARTING) | TO(CRASHED) | TO(STOPPING),
	TO(RUNNING) | TO(BACKOFF) | TO(FAILED),
	TO(BACKOFF) | TO(FAILED),
	TO(RESTARTING) | TO(STOPPING),
	TO(RESTARTING) | TO(STOPPING),
	TO(STOPPED) | TO(FAILED),
	0,
};

static void test_life(void)
{
	int from, to, wrong = 0, busy = 0;

	for (from = 0; from < FH_SERVER_STATES; from++)
		for (to = 0; to < FH_SERVER_STATES; to++)
			wrong += fh_server_may_follow(
					 (enum fh_server_state)from,
					 (enum fh_server_state)to) !=
				 (int)(life[from] >> to & 1);
	is(wrong, 0, "each state may be followed by those that it should");
	for (from = FH_SERVER_STARTING; from < FH_SERVER_STATES; from++)
		busy += fh_server_is_in((enum fh_server_state)from,
					FH_SERVER_BUSY) !=
			fh_server_is_in((enum fh_server_state)from,
					FH_SERVER_REST);
	is(busy, FH_SERVER_STATES - 1, "each is one of rest, or a busy one");
	for (wrong = 0, from = FH_SERVER_STARTING; from < FH_SERVER_STATES;
	     from++)
		if (fh_server_is_in((enum fh_server_state)from,
				    FH_SERVER_BUSY))
			wrong += (life[from] & FH_SERVER_BUSY) != 0;
	is(wrong, 0, "a busy state leads to states of rest alone");
	is(fh_server_verdict(FH_SERVER_RUNNING), 0, "one that runs is given");
	is(fh_server_verdict(FH_SERVER_BACKOFF), -EINPROGRESS, "one is coming");
	is(fh_server_verdict(FH_SERVER_FAILED), -EHOSTDOWN, "one has failed");
	is(fh_server_verdict(FH_SERVER_STOPPING), -ESHUTDOWN, "one is going");
	is(fh_server_verdict(FH_SERVER_STOPPED), -ENOENT, "one has gone");
}

static void test_limits(void)
{
	const struct fh_server_limits none = { 0 }, own = { 1, 2, -1 };
	struct fh_server_limits limits = fh_server_limits_of(&none);

	ok(limits.start == FH_SERVER_START_LIMIT &&
	   limits.stop == FH_SERVER_STOP_LIMIT &&
	   limits.lease == FH_SERVER_LEASE_LIMIT, "limits have defaults");
	limits = fh_server_limits_of(&own);
	ok(!memcmp(&limits, &own, sizeof(own)), "or are what was asked for");
	is(fh_server_until(5, 3, 100), 8, "a length ends");
	is(fh_server_until(5, 300, 100), 100, "no later than the deadline");
	is(fh_server_until(5, INT64_MAX, 100), 100, "however long it is");
}

/* ---- policies ---- */

static struct fh_recovery recovery(void)
{
	return (struct fh_recovery){ .random = 1 };
}

static void test_manual(void)
{
	const struct fh_server_policy manual = { .delay = S };
	struct fh_recovery none = recovery();

	is(fh_recovery_due(&manual, &none, S), 0, "manual: never");
}

static void test_growth(void)
{
	const struct fh_server_policy policy = {
		.most = 6, .window = 1000 * S, .delay = S, .longest = 5 * S };
	static const int64_t delays[] = { 1, 2, 4, 5, 5, 5 };
	struct fh_recovery kept = recovery();
	int64_t now = 100 * S, due;
	int i, right = 0;

	for (i = 0; i < 6; i++) {
		due = fh_recovery_due(&policy, &kept, now);
		right += due == now + delays[i] * S;
		now = due + S;
	}
	is(right, 6, "delays double up to the longest");
	is(fh_recovery_due(&policy, &kept, now), 0, "and end");
	is(fh_recovery_due(&policy, &kept, 101 * S + 1000 * S - 1), 0,
	   "before the window has passed");
	due = fh_recovery_due(&policy, &kept, 101 * S + 1000 * S);
	is(due - (101 * S + 1000 * S), 5 * S,
	   "then there is one more, still slowly");
	due = fh_recovery_due(&policy, &kept, 9000 * S);
	is(due, 9001 * S, "and all is forgotten after a quiet window");
}

static void test_for_ever(void)
{
	const struct fh_server_policy policy = { .most = 2 };
	struct fh_recovery kept = recovery();

	is(fh_recovery_due(&policy, &kept, S), S, "no delay: at once");
	is(fh_recovery_due(&policy, &kept, S), S, "twice");
	is(fh_recovery_due(&policy, &kept, INT64_MAX / 2), 0,
	   "no window: never again");
}

static void test_huge(void)
{
	const struct fh_server_policy policy = {
		.most = FH_SERVER_RESTARTS_MOST, .delay = INT64_MAX / 3,
		.longest = INT64_MAX, .jitter = 100 };
	struct fh_recovery kept = recovery();
	int i, wrong = 0;

	for (i = 0; i < FH_SERVER_RESTARTS_MOST; i++) {
		int64_t due = fh_recovery_due(&policy, &kept, S);

		wrong += due <= 0 || due == FH_FOREVER;
	}
	is(wrong, 0, "delays beyond measure end at the end of time");
}

#define DRAWS 2000

static void test_jitter(void)
{
	const struct fh_server_policy policy = {
		.most = 1, .window = 1, .delay = 1000, .jitter = 30 };
	struct fh_recovery kept = recovery();
	int64_t low = INT64_MAX, high = 0, sum = 0, now = 0;
	int i;

	for (i = 0; i < DRAWS; i++) {
		int64_t delay;

		now += 1000000;
		delay = fh_recovery_due(&policy, &kept, now) - now;
		low = delay < low ? delay : low;
		high = delay > high ? delay : high;
		sum += delay;
	}
	ok(low >= 700 && low < 710, "jitter: %d at the least", (int)low);
	ok(high <= 1300 && high > 1290, "%d at the most", (int)high);
	ok(sum / DRAWS > 980 && sum / DRAWS < 1020, "%d in the mean",
	   (int)(sum / DRAWS));
}

int main(void)
{
	test_life();
	test_limits();
	test_manual();
	test_growth();
	test_for_ever();
	test_huge();
	test_jitter();
	return done_testing();
}
