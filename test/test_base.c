/* SPDX-License-Identifier: MIT */
/* base: time goes forward, deadlines saturate, the build has a name. */
#include <freehold/base.h>

#include <string.h>

#include "tap.h"
#include "threads.h"

#define SECOND INT64_C(1000000000)

static tally went_back;

/* If fh_now used a clock that is stepped, or mixed clocks, it would go back. */
static void watch_the_clock(unsigned index, void *arg)
{
	int64_t last = fh_now(), now;
	size_t i, rounds = scaled(200000, 1000);

	(void)index;
	(void)arg;
	for (i = 0; i < rounds; i++) {
		now = fh_now();
		if (now < last)
			add_relaxed(&went_back, 1);
		last = now;
	}
}

static void test_now(void)
{
	struct timespec clock;
	int64_t before, after, now;

	run_crew(2, watch_the_clock, NULL);
	is(went_back, 0, "fh_now never goes back");

	before = fh_now();
	clock_gettime(CLOCK_MONOTONIC, &clock);
	after = fh_now();
	now = clock.tv_sec * SECOND + clock.tv_nsec;
	ok(before <= now && now <= after, "fh_now is CLOCK_MONOTONIC");

	before = fh_now();
	sleep_ns(2000000);
	ok(fh_now() - before >= 2000000, "fh_now counts nanoseconds");
}

static void test_deadlines(void)
{
	int64_t before = fh_now(), deadline = fh_deadline_in(SECOND);
	int64_t after = fh_now();

	ok(deadline >= before + SECOND && deadline <= after + SECOND,
	   "a deadline lies as far ahead as asked");
	before = fh_now();
	deadline = fh_deadline_in(0);
	ok(deadline >= before && deadline <= fh_now(), "nothing ahead is now");
	deadline = fh_deadline_in(-SECOND);
	ok(deadline < fh_now(), "a negative length has passed");
	is(fh_deadline_in(INT64_MAX), FH_FOREVER, "too far ahead is forever");
	is(fh_deadline_in(INT64_MAX - 1), FH_FOREVER, "nearly as far as well");
	ok(fh_deadline_in(INT64_MIN) < fh_now(),
	   "the longest negative length has passed");
	ok(fh_deadline_in(INT64_MAX / 4) < FH_FOREVER,
	   "a deadline of 70 years is not forever");
}

static void test_build(void)
{
#ifdef FREEHOLD_MUTEX
	const char *want = "mutex";
#else
	const char *want = "lock-free";
#endif
	ok(!strcmp(fh_build(), want), "this is the %s build", want);
	ok(fh_build() == fh_build(), "its name is one constant string");
	ok(!strcmp(FH_VERSION, "0.1.0") && FH_VERSION_MAJOR == 0 &&
	   FH_VERSION_MINOR == 1 && FH_VERSION_PATCH == 0,
	   "the parts of the version agree");
}

int main(void)
{
	watchdog(120);
	test_now();
	test_deadlines();
	test_build();
	return done_testing();
}
