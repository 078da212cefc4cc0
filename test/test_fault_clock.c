/* SPDX-License-Identifier: MIT */
/*
 * faults: somebody sets the clock.  The linker puts clocks of ours under the
 * library: what tells the time of day jumps by years at every look, in both
 * directions, and every sleep is looked at on its way to the system.
 *
 * What would be seen if the library were wrong: it would have asked for the
 * time of day at all, or slept by it; a deadline would not reach the system
 * as the very point of CLOCK_MONOTONIC that the caller named, which is how a
 * length that was computed before a step, or a relative sleep, would show;
 * waits would end years early or late, and arcs expire.
 */
#include <freehold/arc.h>
#include <freehold/map.h>
#include <freehold/record.h>
#include <freehold/status.h>

#include <sys/time.h>

#include "retire.h"
#include "sleeps.h"
#include "tap.h"
#include "waits.h"

#define YEAR_S (365 * 24 * 3600L)
#define HOUR (3600 * SECONDS)

static tally of_day, monotonic, boot, steps;
static tally sleeps, bad_sleeps, endless, exact;

/* What the present wait of this thread was asked for; 0: no wait of ours. */
static _Thread_local int64_t wanted;

/* It looks at something now and then: its sleeps may end before. */
static _Thread_local int in_steps;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_gettimeofday(struct timeval *now, void *zone);
time_t __wrap_time(time_t *now);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *until);
int __real_pthread_clockjoin_np(pthread_t thread, void **result,
				clockid_t clock, const struct timespec *until);
int __wrap_pthread_clockjoin_np(pthread_t thread, void **result,
				clockid_t clock, const struct timespec *until);

static long stepped(long seconds)
{
	uint64_t step = add_seq_cst(&steps, 1);

	return seconds + (step % 2 ? -1 : 1) * (long)(step % 30 + 2) * YEAR_S;
}

/* ---- the clocks ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc = __real_clock_gettime(clock, now);

	if (clock == CLOCK_MONOTONIC) {
		add_relaxed(&monotonic, 1);
	} else if (clock == CLOCK_BOOTTIME) {
		add_relaxed(&boot, 1);
	} else {
		add_relaxed(&of_day, 1);
		now->tv_sec = stepped(now->tv_sec);
	}
	return rc;
}

time_t __wrap_time(time_t *now)
{
	struct timespec real;

	__wrap_clock_gettime(CLOCK_REALTIME, &real);
	if (now)
		*now = real.tv_sec;
	return real.tv_sec;
}

int __wrap_gettimeofday(struct timeval *now, void *zone)
{
	(void)zone;
	now->tv_usec = 0;
	now->tv_sec = __wrap_time(NULL);
	return 0;
}

/* ---- the sleeps ---- */

static enum sleep_end before_sleep(clockid_t clock, int64_t until)
{
	add_relaxed(&sleeps, 1);
	if (until != FH_FOREVER && clock != CLOCK_MONOTONIC)
		add_relaxed(&bad_sleeps, 1);
	if (!wanted)
		return UNDISTURBED;
	add_relaxed(until != FH_FOREVER ? &exact : &endless, 1);
	if (in_steps ? until > wanted : until != wanted)
		add_relaxed(&bad_sleeps, 1);
	return UNDISTURBED;
}

static void before_wake(const void *at)
{
	(void)at;
}

/* Its clock is the time of day, unless the condition says otherwise. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *until)
{
	before_sleep(CLOCK_REALTIME, point_of(until));
	return __real_pthread_cond_timedwait(cond, lock, until);
}

static tally joins;

int __wrap_pthread_clockjoin_np(pthread_t thread, void **result,
				clockid_t clock, const struct timespec *until)
{
	add_relaxed(&joins, 1);
	before_sleep(clock, point_of(until));
	return __real_pthread_clockjoin_np(thread, result, clock, until);
}

/* ---- waits ---- */

static int64_t truly_now(void)
{
	struct timespec now;

	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECONDS + now.tv_nsec;
}

/* A wait for what never comes lasts as long as it was told to. */
static void check_wait(int (*wait)(int64_t deadline), const char *name)
{
	int64_t until = fh_deadline_in(100 * MS);
	int rc;

	wanted = until;
	rc = wait(until);
	wanted = 0;
	is(rc, -ETIMEDOUT, "%s: the deadline passes", name);
	ok(truly_now() >= until && truly_now() < until + 20 * SECONDS,
	   "%s: when the clock that nobody sets says so", name);
}

static struct fh_status cell;

static int wait_state(int64_t deadline)
{
	return fh_status_wait(&cell, FH_STATE(1), deadline, NULL);
}

static int wait_change(int64_t deadline)
{
	return fh_status_wait_change(&cell, 0, deadline, NULL);
}

static struct fh_arcs *arcs;
static const struct fh_arc_request request = { .first = "ada",
					       .second = "bob" };

static int wait_start(int64_t deadline)
{
	return fh_arc_start_wait(arcs, &request, deadline, NULL);
}

static void leave_late(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	sleep_ns(30 * MS);
	fh_status_set(&cell, 1);
}

/* A wait that no deadline ends asks for no clock at all. */
static void test_forever(void)
{
	struct crew crew;
	int rc;

	crew_start(&crew, 1, leave_late, NULL);
	wanted = FH_FOREVER;
	rc = fh_status_wait(&cell, FH_STATE(1), FH_FOREVER, NULL);
	wanted = 0;
	is(rc, 0, "a wait without deadline");
	crew_join(&crew);
}

static void test_drain(void)
{
	struct reader reader;

	retire_one();
	is(drain(), 0, "a drain with a deadline far ahead");
	reader_enter(&reader, 1);
	retire_one();
	check_wait(fh_rcu_drain_wait, "drain");
	reader_leave(&reader);
	is(drain(), 0, "and again");
	sleep_ns(50 * MS);
}

/* ---- logs, gates, servers, tasks ---- */

static void wait_begins(const struct wait *wait, int64_t deadline)
{
	in_steps = wait->in_steps;
	wanted = deadline;
}

static void wait_ends(const struct wait *wait)
{
	(void)wait;
	wanted = 0;
	in_steps = 0;
}

static void test_rooms(void)
{
	size_t i;

	for (i = 0; i < WAITS; i++) {
		wait_for_deadline(&waits[i], 20 * MS, "steps");
		wait_for_event(&waits[i], 10 * MS, "steps");
	}
	wait_for_recovery(30 * MS, "steps");
	wait_for_lease(30 * MS, "steps");
}

/* A task's thread may be gone before its end is waited for: once more. */
static void test_joins(void)
{
	unsigned i;

	for (i = 0; !RACES_ONLY && !joins && i < 100; i++)
		wait_for_deadline(&waits[WAITS - 1], 20 * MS, "steps");
}

/* The first does not expire within the hour, and the other at once. */
static void test_arcs(void)
{
	static const uint64_t allowed[1];
	static const struct fh_arc_event go_on = { "go on", 1, FH_ARC_STAY };
	static const struct fh_arc_type type = {
		.name = "plain", .phases = 1, .allowed = allowed,
		.events = &go_on, .event_count = 1,
	};
	const struct fh_arcs_options options = { .types = &type,
						 .type_count = 1 };
	struct fh_arc_request slow = request;
	struct fh_arc_ticket *claim;
	struct fh_arc_info info;
	int i, expired = 0;

	if (fh_arcs_create(&arcs, &options))
		bail_out("no registry");
	slow.duration = HOUR;
	is(fh_arc_claim(arcs, &slow, &claim, NULL), 0, "a claim");
	check_wait(wait_start, "a start behind it");
	fh_arc_publish(claim, NULL);
	for (i = 0; i < 40; i++)
		if (fh_arc_get(arcs, "ada", "bob", &info) || info.expired ||
		    fh_arc_progress(arcs, "ada", "bob", NULL, NULL))
			expired++;
	is(expired, 0, "an arc of an hour does not expire");
	slow.second = "cleo";
	slow.duration = 1;
	is(fh_arc_start(arcs, &slow, &info), 0, "one of a nanosecond");
	sleep_ns(MS);
	is(fh_arc_progress(arcs, "ada", "cleo", NULL, NULL), -ETIME, "does");
	fh_arcs_destroy(arcs);
}

/* Nothing here sleeps or has a deadline; still nothing may ask. */
static void test_others(void)
{
	struct fh_record record = { 0 };
	struct fh_map_entry entry = { .key = fh_key_u64(1) }, *out;
	struct fh_map_stats stats;
	struct fh_map *map;

	if (fh_map_create(&map, NULL) || fh_map_insert(map, &entry, NULL) ||
	    fh_map_remove(map, entry.key, &out) || fh_map_settle(map) ||
	    fh_record_publish(&record, "a", 1))
		ok(0, "a table and a record work");
	fh_map_get_stats(map, &stats);
	fh_map_destroy(map, NULL, NULL);
	fh_record_destroy(&record);
	stats_now();
}

int main(void)
{
	time_t first, second;

	watchdog(120);
	first = time(NULL);
	second = time(NULL);
	ok(first - second > YEAR_S || second - first > YEAR_S,
	   "the time of day jumps");
	of_day = 0;
	check_wait(wait_state, "a wait for a state");
	check_wait(wait_change, "a wait for change");
	test_forever();
	test_drain();
	test_rooms();
	test_arcs();
	test_others();
	test_joins();
	is(drain(), 0, "drain");
	is(of_day, 0, "nobody asked for the time of day");
	ok(monotonic > 0 && boot > 0, "but %" PRIu64 " times for a clock that "
	   "is not set, and %" PRIu64 " for one that counts suspension",
	   (uint64_t)monotonic, (uint64_t)boot);
	is(bad_sleeps, 0, "%" PRIu64 " sleeps, none by the time of day",
	   (uint64_t)sleeps);
	ok(exact > 0 && endless > 0, "%" PRIu64 " to the very deadline, %"
	   PRIu64 " without", (uint64_t)exact, (uint64_t)endless);
	if (RACES_ONLY)
		skip("the thread sanitizer knows no join with a deadline");
	else
		ok(joins > 0, "%" PRIu64 " joins with a deadline",
		   (uint64_t)joins);
	return done_testing();
}
