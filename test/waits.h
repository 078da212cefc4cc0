/* SPDX-License-Identifier: MIT */
/*
 * Every wait of the rooms in which threads wait for each other: logs, gates,
 * servers and tasks.  Each is a scene in which nothing comes, so that only a
 * deadline ends the wait, until somebody is told to let it come.
 *
 *     for (i = 0; i < WAITS; i++) {
 *             wait_for_deadline(&waits[i], 10 * MS, "no fault");
 *             wait_for_event(&waits[i], 10 * MS, "no fault");
 *     }
 *
 * What would be seen if the library were wrong: a wait that ends before its
 * deadline, or long after it; one that ends before its event, or is not told
 * of it, which the watchdog ends.  The program says what goes on meanwhile.
 *
 * Those who do the work meanwhile sleep in the system, and never in a call of
 * the library's that the program might disturb or count.
 */
#ifndef FH_TEST_WAITS_H
#define FH_TEST_WAITS_H

#include <freehold/gate.h>
#include <freehold/log.h>
#include <freehold/server.h>
#include <freehold/task.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "tap.h"
#include "threads.h"

#define WAITS_MS INT64_C(1000000)
#define WAITS_LATE INT64_C(20000000000)	/* no machine is so busy */

struct wait {
	const char *name;
	void (*open)(void);		/* on the thread that will wait */
	int (*wait)(int64_t deadline);
	void (*event)(void);		/* on another one */
	void (*close)(void);		/* on the first, when it has waited */
	int result;			/* what it says after the event */
	int in_steps;			/* its sleeps may end before */
};

/* The program's: around each wait, on the thread that waits. */
static void wait_begins(const struct wait *wait, int64_t deadline);
static void wait_ends(const struct wait *wait);

/* Others go on when it opens. */
static tally waits_door;

static void pass_waits_door(void)
{
	while (!load_seq_cst(&waits_door))
		sleep_ns(WAITS_MS / 4);
}

static void open_waits_door(void)
{
	store_seq_cst(&waits_door, 1);
}

/* ---- a log ---- */

static struct fh_log *waits_log;

static void open_log(void)
{
	if (fh_log_create(&waits_log, NULL))
		bail_out("no memory for a log");
}

static int wait_log(int64_t deadline)
{
	return fh_log_wait(waits_log, 0, deadline);
}

static int wait_read(int64_t deadline)
{
	uint64_t seen = 0;
	char text[4];

	return fh_log_read_wait(waits_log, &seen, text, 4, NULL, deadline);
}

static void append(void)
{
	fh_log_append(waits_log, "abc", 4, NULL);
}

static void end_log(void)
{
	fh_log_close(waits_log);
}

static void close_log(void)
{
	fh_log_destroy(waits_log);
}

/* ---- a gate, with somebody inside ---- */

static struct fh_gate *waits_gate;
static int waits_inside;

static void open_gate(void)
{
	const struct fh_gate_options options = { .limit = 1 };

	if (fh_gate_create(&waits_gate, &options))
		bail_out("no memory for a gate");
	fh_gate_enter(waits_gate);
	waits_inside = 1;
}

static int wait_enter(int64_t deadline)
{
	int rc = fh_gate_enter_wait(waits_gate, deadline);

	if (rc == 0)
		waits_inside = 1;
	return rc;
}

static void run_nothing(void *arg)
{
	(void)arg;
}

static int wait_run(int64_t deadline)
{
	return fh_gate_run_wait(waits_gate, run_nothing, NULL, deadline);
}

static int wait_drain(int64_t deadline)
{
	return fh_gate_drain_wait(waits_gate, deadline, NULL);
}

static void leave_gate(void)
{
	waits_inside = 0;
	fh_gate_leave(waits_gate);
}

static void end_gate(void)
{
	fh_gate_close(waits_gate);
}

static void close_gate(void)
{
	if (waits_inside)
		leave_gate();
	fh_gate_drain_wait(waits_gate, FH_FOREVER, NULL);
	fh_gate_destroy(waits_gate);
}

/* ---- servers: one whose start lasts until the door opens ---- */

static struct fh_servers *waits_servers;
static struct crew waits_starter;
static int waits_client, waits_watched = -1;

static int start_late(struct fh_server_job *job, void **client)
{
	(void)job;
	pass_waits_door();
	*client = &waits_client;
	return 0;
}

static int kill_nothing(struct fh_server_job *job, void *client)
{
	(void)job;
	(void)client;
	return 0;
}

static int exit_quietly(struct fh_server_job *job, void *client)
{
	uint64_t rings;

	(void)job;
	(void)client;
	return read(waits_watched, &rings, sizeof(rings)) < 0 ? -errno : 0;
}

static int watch_late(void *client, void *arg)
{
	(void)client;
	(void)arg;
	return waits_watched;
}

static const struct fh_server_ops late_ops = { .start = start_late,
						.kill = kill_nothing };
static const struct fh_server_request late_request = {
	.name = "late", .ops = &late_ops,
};

static void start_it(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	fh_server_start(waits_servers, &late_request, NULL);
}

static void open_servers(void)
{
	struct fh_server_info info;

	waits_door = 0;
	if (fh_servers_create(&waits_servers, NULL))
		bail_out("no registry");
	crew_start(&waits_starter, 1, start_it, NULL);
	while (fh_server_health(waits_servers, "late", &info))
		sleep_ns(WAITS_MS / 4);
}

static int wait_get(int64_t deadline)
{
	struct fh_server_lease *lease;
	int rc = fh_server_get_wait(waits_servers, "late", deadline, &lease,
				    NULL);

	if (rc == 0)
		fh_lease_return(lease);
	return rc;
}

static int wait_started(int64_t deadline)
{
	return fh_server_start_wait(waits_servers, &late_request, deadline,
				    NULL);
}

static int wait_restarted(int64_t deadline)
{
	return fh_server_restart_wait(waits_servers, "late", FH_SERVER_ANY,
				      deadline, NULL);
}

static int wait_stopped(int64_t deadline)
{
	return fh_server_stop_wait(waits_servers, "late", deadline, NULL);
}

static int wait_all_stopped(int64_t deadline)
{
	return fh_servers_stop_all_wait(waits_servers, deadline);
}

static int wait_running(int64_t deadline)
{
	return fh_server_wait(waits_servers, "late",
			      FH_SERVER_STATE(FH_SERVER_RUNNING), deadline,
			      NULL);
}

static void close_servers(void)
{
	open_waits_door();
	crew_join(&waits_starter);
	fh_servers_destroy(waits_servers);
}

/* ---- tasks: two that last until the door opens ---- */

static struct fh_tasks *waits_tasks;
static struct fh_task *waits_task[2];
static pthread_key_t late_end;

static int run_late(struct fh_task *task, void *arg)
{
	(void)task;
	(void)arg;
	pass_waits_door();
	return 0;
}

/* The task is over at once, and its thread ends when the door opens. */
static int end_late(struct fh_task *task, void *arg)
{
	(void)task;
	pthread_setspecific(late_end, arg);
	return 0;
}

static void ends_late(void *value)
{
	(void)value;
	pass_waits_door();
}

static void make_tasks(unsigned index, void *arg)
{
	(void)index;
	(void)arg;
	if (fh_tasks_create(&waits_tasks, NULL))
		bail_out("no supervisor");
}

static void submit_both(fh_task_function run)
{
	const struct fh_task_request request = { .run = run,
						 .arg = &waits_tasks };
	int i;

	waits_door = 0;
	for (i = 0; i < 2; i++)
		if (fh_task_submit(waits_tasks, &request, &waits_task[i]))
			bail_out("a task is refused");
}

static void open_tasks(void)
{
	make_tasks(0, NULL);
	submit_both(run_late);
}

/* Another thread is the main one. */
static void open_tasks_of_another(void)
{
	run_crew(1, make_tasks, NULL);
	submit_both(run_late);
}

static void open_ending(void)
{
	if (pthread_key_create(&late_end, ends_late))
		bail_out("no key");
	make_tasks(0, NULL);
	submit_both(end_late);
	fh_task_wait(waits_task[0], FH_FOREVER, NULL);
	fh_task_wait(waits_task[1], FH_FOREVER, NULL);
}

static int wait_task(int64_t deadline)
{
	return fh_task_wait(waits_task[0], deadline, NULL);
}

static int wait_any_task(int64_t deadline)
{
	size_t index;

	return fh_task_wait_any(waits_task, 2, deadline, &index);
}

static int wait_all_tasks(int64_t deadline)
{
	return fh_task_wait_all(waits_task, 2, deadline, NULL);
}

static int wait_asked(int64_t deadline)
{
	return fh_task_cancel_wait(waits_task[0], deadline);
}

static void ask(void)
{
	fh_task_cancel(waits_task[0]);
}

static int wait_main(int64_t deadline)
{
	return fh_tasks_run_main_wait(waits_tasks, deadline);
}

static void close_late(void)
{
	fh_tasks_close(waits_tasks);
	open_waits_door();
}

static int wait_shutdown(int64_t deadline)
{
	return fh_tasks_shutdown_wait(waits_tasks, FH_TASKS_DRAIN, deadline,
				      NULL, NULL);
}

static void close_tasks(void)
{
	int i;

	open_waits_door();
	for (i = 0; i < 2; i++)
		fh_task_release(waits_task[i]);
	fh_tasks_shutdown_wait(waits_tasks, FH_TASKS_DRAIN, FH_FOREVER, NULL,
			       NULL);
	fh_tasks_destroy(waits_tasks);
}

static void close_ending(void)
{
	close_tasks();
	pthread_key_delete(late_end);
}

/* ---- all of them ---- */

static const struct wait waits[] = {
	{ "a log", open_log, wait_log, append, close_log, 0, 0 },
	{ "a log that ends", open_log, wait_log, end_log, close_log,
	  -ESHUTDOWN, 0 },
	{ "a reader of a log", open_log, wait_read, append, close_log, 0, 0 },
	{ "a reader of a log that ends", open_log, wait_read, end_log,
	  close_log, -ESHUTDOWN, 0 },
	{ "a gate", open_gate, wait_enter, leave_gate, close_gate, 0, 0 },
	{ "a gate that closes", open_gate, wait_enter, end_gate, close_gate,
	  -ESHUTDOWN, 0 },
	{ "a request", open_gate, wait_run, leave_gate, close_gate, 0, 0 },
	{ "a request at a gate that closes", open_gate, wait_run, end_gate,
	  close_gate, -ESHUTDOWN, 0 },
	{ "a drain of a gate", open_gate, wait_drain, leave_gate, close_gate,
	  0, 0 },
	{ "a lease", open_servers, wait_get, open_waits_door, close_servers,
	  0, 0 },
	{ "a start of a server", open_servers, wait_started, open_waits_door,
	  close_servers, 0, 0 },
	{ "a restart", open_servers, wait_restarted, open_waits_door,
	  close_servers, 0, 0 },
	{ "a stop", open_servers, wait_stopped, open_waits_door,
	  close_servers, 0, 0 },
	{ "a stop of all", open_servers, wait_all_stopped, open_waits_door,
	  close_servers, 0, 0 },
	{ "a state of a server", open_servers, wait_running, open_waits_door,
	  close_servers, 0, 0 },
	{ "a task", open_tasks, wait_task, open_waits_door, close_tasks,
	  0, 0 },
	{ "any task", open_tasks, wait_any_task, open_waits_door, close_tasks,
	  0, 0 },
	{ "all tasks", open_tasks, wait_all_tasks, open_waits_door,
	  close_tasks, 0, 0 },
	{ "a task's sleep", open_tasks, wait_asked, ask, close_tasks, 0, 0 },
	{ "the main queue", open_tasks, wait_main, close_late, close_tasks,
	  0, 0 },
	{ "a shutdown", open_tasks, wait_shutdown, open_waits_door,
	  close_tasks, 0, 1 },
	{ "a shutdown by another", open_tasks_of_another, wait_shutdown,
	  open_waits_door, close_tasks, 0, 1 },
	{ "a shutdown behind a thread", open_ending, wait_shutdown,
	  open_waits_door, close_ending, 0, 1 },
};

#define WAITS (sizeof(waits) / sizeof(waits[0]))

__attribute__((unused)) static void
wait_for_deadline(const struct wait *wait, int64_t length, const char *what)
{
	int64_t until, now;
	int rc;

	wait->open();
	until = fh_deadline_in(length);
	wait_begins(wait, until);
	rc = wait->wait(until);
	now = fh_now();
	wait_ends(wait);
	wait->close();
	is(rc, -ETIMEDOUT, "%s, %s: the deadline passes", what, wait->name);
	ok(now >= until && now < until + WAITS_LATE,
	   "%s, %s: neither early nor late", what, wait->name);
}

struct waiter {
	const struct wait *wait;
	tally waits, done, told;
	int rc;
};

static void wait_until_told(unsigned index, void *arg)
{
	struct waiter *waiter = arg;

	(void)index;
	waiter->wait->open();
	wait_begins(waiter->wait, FH_FOREVER);
	store_seq_cst(&waiter->waits, 1);
	waiter->rc = waiter->wait->wait(FH_FOREVER);
	store_seq_cst(&waiter->done, 1);
	wait_ends(waiter->wait);
	while (!load_seq_cst(&waiter->told))
		sleep_ns(WAITS_MS / 4);
	waiter->wait->close();
}

/* Nothing but the event ends it, which comes @length later. */
__attribute__((unused)) static void
wait_for_event(const struct wait *wait, int64_t length, const char *what)
{
	struct waiter waiter = { .wait = wait };
	struct crew crew;

	crew_start(&crew, 1, wait_until_told, &waiter);
	while (!load_seq_cst(&waiter.waits))
		sleep_ns(WAITS_MS / 4);
	sleep_ns(length);
	is(load_seq_cst(&waiter.done), 0, "%s, %s: waits for its event", what,
	   wait->name);
	wait->event();
	store_seq_cst(&waiter.told, 1);
	crew_join(&crew);
	is(waiter.rc, wait->result, "%s, %s: and is told of it", what,
	   wait->name);
}

/* ---- what the library's own threads wait for ---- */

/* On a thread of the registry's, when all that one can see has happened. */
static tally waits_lingering, waits_lingers;

static void linger(struct fh_server_job *job, void *client)
{
	(void)job;
	(void)client;
	add_seq_cst(&waits_lingering, 1);
	sleep_ns(5 * WAITS_MS);
	add_seq_cst(&waits_lingers, 1);
}

/*
 * A restart after a crash comes when it is due, by the same clock; and the
 * end of the registry waits for the thread that makes it.
 */
__attribute__((unused)) static void wait_for_recovery(int64_t delay,
						      const char *what)
{
	static const struct fh_server_ops ops = {
		.start = start_late, .kill = kill_nothing,
		.exited = exit_quietly, .watch = watch_late,
		.restarted = linger,
	};
	struct fh_server_request request = late_request;
	struct fh_server_info info = { .state = FH_SERVER_ABSENT };
	const uint64_t one = 1;
	int64_t crashed;

	waits_door = 1;
	waits_lingering = waits_lingers = 0;
	waits_watched = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	request.ops = &ops;
	request.policy.most = 1;
	request.policy.delay = delay;
	request.limits.lease = -1;
	if (waits_watched < 0 || fh_servers_create(&waits_servers, NULL) ||
	    fh_server_start(waits_servers, &request, NULL))
		bail_out("no server");
	crashed = fh_now();
	if (write(waits_watched, &one, sizeof(one)) < 0)
		bail_out("no end");
	while (info.restarts == 0 && fh_now() < crashed + WAITS_LATE) {
		sleep_ns(WAITS_MS / 2);
		fh_server_health(waits_servers, "late", &info);
	}
	is(info.restarts, 1, "%s: one that crashed runs again", what);
	ok(info.since >= crashed + delay,
	   "%s: not before its time", what);
	comes_to(&waits_lingering, 1);
	fh_servers_destroy(waits_servers);
	is(load_seq_cst(&waits_lingers), 1, "%s: its thread is waited for",
	   what);
	close(waits_watched);
}

/* A restart waits for a lease as long as it was told to. */
__attribute__((unused)) static void wait_for_lease(int64_t limit,
						   const char *what)
{
	struct fh_server_request request = late_request;
	struct fh_server_lease *lease;
	struct fh_servers_stats stats;
	int64_t begun, took;
	int rc;

	waits_door = 1;
	request.limits.lease = limit;
	if (fh_servers_create(&waits_servers, NULL) ||
	    fh_server_start(waits_servers, &request, NULL) ||
	    fh_server_get(waits_servers, "late", &lease, NULL))
		bail_out("no lease");
	begun = fh_now();
	rc = fh_server_restart(waits_servers, "late", FH_SERVER_ANY, NULL);
	took = fh_now() - begun;
	fh_lease_return(lease);
	is(rc, 0, "%s: a restart with a lease out", what);
	ok(took >= limit && took < WAITS_LATE,
	   "%s: waits for it as long as it may", what);
	fh_servers_get_stats(waits_servers, &stats);
	is(stats.overdue, 1, "%s: and then no longer", what);
	fh_servers_destroy(waits_servers);
}

#endif
