/* SPDX-License-Identifier: MIT */
/*
 * Schedules of the server registry: operations on one name, what it is at the
 * beginning, and what must hold.
 *
 *  - Two clients of the name are never alive at the same time, and the jobs
 *    of the name are one after another: their functions share plain data.
 *  - A lease is on a client whose plain data its holder may read; stop ends a
 *    client, plainly, after every reader has returned its lease.
 *  - Each transition is told once: every state is entered as often as left.
 *  - What health says was told, or is told in the end; and for one thread it
 *    never goes back.
 *  - Who is told that a call succeeded is counted: users add up, and what one
 *    has started is not stopped by who was told to be no user.
 *  - A lease says that it is stale as soon as another client is there, or
 *    none, and not while its own one runs.
 *  - What was registered when all are stopped is not there afterwards.
 *  - Nobody waits for ever, and nothing leaks.
 */
#ifndef FH_SCHEDULE_SERVER_H
#define FH_SCHEDULE_SERVER_H

#include "schedule_server_operations.h"

/* ---- the beginning ---- */

/* Its thread has no part here: one of the scenario's does what it would. */
static void pretend_supervisor(void)
{
	struct supervisor *supervisor = &base_of(servers)->supervisor;

	fh_status_set(&supervisor->state, 2);
}

static void make_stopped(void)
{
	struct server *server = fh_server_find(servers, NAME);
	struct server_claim claim = { .to = FH_SERVER_STOPPING };
	struct server_outcome outcome = { .to = FH_SERVER_STOPPED };
	struct fh_server_event event;
	struct client *client = of_server(server)->client;

	fh_server_close(server);
	expect(fh_server_claim(server, &claim, &event) == 0, "setup: claim");
	witness(&event, NULL);
	fh_client_expire(client);
	alive--;
	of_server(server)->client = NULL;
	fh_client_end(client);
	fh_server_settle(server, &outcome, &event);
	witness(&event, NULL);
	fh_server_drop(server);
	users[me]--;
}

/* As its last user does who is going to stop it. */
static void leave_it(void)
{
	struct server *server = fh_server_find(servers, NAME);

	expect(fh_server_leave(server) == 0, "setup: leave");
	fh_server_drop(server);
	users[me]--;
}

static void setup(void)
{
	const struct fh_servers_options options = { .event = witness };
	enum content content = setting()->content;
	struct fh_server_info info;

	be(THREADS_MOST);
	expect(fh_servers_create(&servers, &options) == 0, "setup: create");
	pretend_supervisor();
	if (content == NOTHING)
		return;
	operate(START);
	if (content == RUNS_FOR_TWO)
		operate(START);
	if (content == OVER)
		make_stopped();
	if (content == RELUCTANT_LEFT)
		leave_it();
	refusals = is_reluctant() ? 2 : 0; /* of stop, and of kill */
	stubborn = content == STUBBORN;
	if (stubborn)
		expect(fh_server_stop(servers, NAME, &info) == -EHOSTDOWN,
		       "setup: fail to stop");
	users[me] -= stubborn;
	stubborn = false;
	if (content != BROKEN && content != BACKING_OFF)
		return;
	broken = true;
	expect(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info) ==
	       -EHOSTDOWN, "setup: break");
	broken = false;
	backoff_epoch = info.epoch;
}

/* ---- the end ---- */

static void check_told(void)
{
	unsigned i, j;
	int sum;

	for (j = FH_SERVER_STARTING; j < FH_SERVER_STOPPED; j++) {
		for (sum = 0, i = 0; i < WITNESSES; i++)
			sum += entered[i][j] - left[i][j];
		expect(sum == 0, "%s is entered and left: off by %d",
		       fh_server_state_name((enum fh_server_state)j), sum);
	}
	for (i = 0; i <= THREADS_MOST; i++)
		for (j = 0; j < seen_count[i]; j++)
			expect(was_told(&seen[i][j]),
			       "health: %s, epoch %u, is not told",
			       fh_server_state_name(seen[i][j].state),
			       (unsigned)seen[i][j].epoch);
}

static void check_over(void)
{
	expect(alive == 0, "destroy leaves one alive");
	check_told();
}

static bool is_balanced(void)
{
	unsigned i;

	for (i = 0; i < THREADS_MOST; i++)
		if (setting()->operation[i] == STOP_WAIT ||
		    setting()->operation[i] == STOP_ALL)
			return false;
	return !setting()->failing && !may_refuse();
}

static bool was_kept(int rc)
{
	bool started = false, stopped = false;
	unsigned i;

	for (i = 0; i < THREADS_MOST; i++) {
		started |= users[i] > 0;
		stopped |= users[i] < 0;
	}
	return rc == 0 || !started || stopped;
}

static void finish(void)
{
	struct fh_server_info info;
	int rc, sum = 0;
	unsigned i;

	be(THREADS_MOST);
	if (!servers) {
		check_over();
		return;
	}
	rc = fh_server_health(servers, NAME, &info);
	expect(rc == 0 || rc == -ENOENT, "health says %d", rc);
	if (rc == 0)
		expect(fh_server_is_in(info.state, FH_SERVER_REST),
		       "it ends up %s", fh_server_state_name(info.state));
	expect(alive == (rc == 0 && info.state == FH_SERVER_RUNNING) ||
	       (may_refuse() && rc == 0),
	       "%u alive, but it is %s", alive,
	       fh_server_state_name(info.state));
	expect(!end_seen || info.crashes, "an end was seen and not heard");
	for (i = 0; i <= THREADS_MOST; i++)
		sum += users[i];
	if (is_balanced())
		expect(sum == (int)info.users, "%d users, not %d",
		       (int)info.users, sum);
	expect(rc || info.users || setting()->failing || may_refuse(),
	       "nobody stopped it");
	expect(!is_reluctant() || was_kept(rc),
	       "somebody stopped what another has started");
	refusals = 0;
	fh_servers_destroy(servers);
	check_over();
}

/* ---- which of them ---- */

static struct scenario *add_setting(const struct setting *its)
{
	static const struct scenario frame = { .setup = setup,
		.finish = finish, .preemptions = 1 };
	struct scenario *scenario = add_scenario(&frame, its, sizeof(*its));
	unsigned i;

	name_scenario(scenario, "%s:", content_name[its->content]);
	for (i = 0; i < THREADS_MOST && its->operation[i]; i++)
		add_actor(scenario, "%s", operation_name[its->operation[i]]);
	return scenario;
}

static struct scenario *add(enum content content, enum operation a,
			    enum operation b, enum operation c)
{
	return add_setting(&(struct setting){ .content = content,
					      .operation = { a, b, c } });
}

/* Every pair of these, one with itself too. */
__attribute__((unused)) static void
add_pairs(enum content content, const enum operation *of)
{
	const enum operation *a, *b;

	for (a = of; *a; a++)
		for (b = a; *b; b++)
			add(content, *a, *b, NONE);
}

/* One of these beside each of those. */
__attribute__((unused)) static void
add_beside(enum content content, const enum operation *these,
	   const enum operation *those)
{
	const enum operation *a, *b;

	for (a = these; *a; a++)
		for (b = those; *b; b++)
			add(content, *a, *b, NONE);
}

/* The same, where memory may be refused. */
__attribute__((unused)) static void
add_failing(enum content content, enum operation a, enum operation b)
{
	const struct setting its = { .content = content,
		.operation = { a, b }, .failing = true };
	struct scenario *scenario = add_setting(&its);

	name_scenario(scenario, ", no memory");
	scenario->failures = 1;
}

#endif
