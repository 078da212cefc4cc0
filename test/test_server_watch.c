/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: a client's end is seen from its descriptor, and the policy
 * is applied: with events of the test's own first, because they come when
 * they should, then with processes that are really killed.
 */
#include "descriptors.h"
#include "watched.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NAME "clangd"

static int await(struct fh_servers *servers, enum fh_server_state state,
		 struct fh_server_info *info)
{
	return fh_server_wait(servers, NAME, FH_SERVER_STATE(state),
			      fh_deadline_in(LONG), info);
}

static void test_manual(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);

	is(fh_server_start(servers, &request, NULL), 0, "it is watched");
	end_one(&site);
	is(await(servers, FH_SERVER_FAILED, &info), 0, "its end is seen");
	ok(info.crashes == 1 && info.error == -ECHILD && info.users == 1,
	   "as a crash");
	ok(site.calls[AT_EXITED] == 1 && site.calls[AT_RELEASE] == 1 &&
	   site.cause == FH_SERVER_CRASH, "what it had is released");
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, NULL), 0,
	   "it can be restarted");
	is(fh_server_stop(servers, NAME, NULL), 0, "and stopped");
	site_close(servers, &site);
}

static void test_automatic(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);
	uint64_t restarts;

	request.policy.most = FH_SERVER_RESTARTS_MOST;
	fh_server_start(servers, &request, &info);
	for (restarts = 0; restarts < 8; restarts++) {
		end_one(&site);
		while (info.restarts == restarts &&
		       fh_server_wait(servers, NAME, ~UINT64_C(0) >> 55,
				      FH_FOREVER, &info) == 0)
			sleep_ns(MS / 10);
	}
	await(servers, FH_SERVER_RUNNING, &info);
	comes_to(&site.calls[AT_RESTARTED], 8);
	ok(info.restarts == 8 && info.crashes == 8 && info.users == 1,
	   "eight crashes, eight restarts");
	is(site.cause, FH_SERVER_RECOVERY, "which were recoveries");
	is(stats_of(servers).recovered, 8, "and are counted");
	is(site.calls[AT_RESTARTED], 8, "the hook ran after each");
	site_close(servers, &site);
}

/* ---- how often, and when ---- */

#define MOST 5

struct diary {
	tally count, recoveries;
	int64_t delay[2 * MOST], due[2 * MOST], begun[2 * MOST];
	_Atomic(int) failed;
};

/* Of a backoff, by its epoch: 4, 6, ...; what ends it has the next. */
static uint64_t number_of(const struct fh_server_event *event)
{
	uint64_t i = event->info.epoch / 2 - 2;

	return i < 2 * MOST ? i : 2 * MOST - 1;
}

static void write_diary(const struct fh_server_event *event, void *arg)
{
	struct diary *diary = arg;

	/* Who settled one may tell of it after the next. */
	uint64_t i = number_of(event);

	if (event->to == FH_SERVER_BACKOFF) {
		diary->due[i] = event->info.retry_at;
		diary->delay[i] = event->info.retry_at - event->info.since;
		add_seq_cst(&diary->count, 1);
	}
	if (event->from == FH_SERVER_BACKOFF) {
		diary->begun[i] = event->info.since;
		add_seq_cst(&diary->recoveries, 1);
	}
	if (event->to == FH_SERVER_FAILED)
		store_release(&diary->failed, event->info.error);
}

/* One that cannot be restarted any more: as often as allowed, then failed. */
static void test_limit(void)
{
	struct diary diary = { 0 };
	struct fh_servers *servers = registry_with(write_diary, &diary);
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);
	int i, within = 0, awaited = 0;

	request.policy = (struct fh_server_policy){
		.most = MOST, .jitter = 20, .delay = MS, .longest = 6 * MS };
	fh_server_start(servers, &request, NULL);
	go_wrong(&site, AT_HANDSHAKE, FAIL, -EPROTO, MOST);
	end_one(&site);
	is(await(servers, FH_SERVER_FAILED, &info), 0, "it gives up");
	is(info.error, -EPROTO, "with the last error");
	comes_to(&diary.count, MOST);
	comes_to(&diary.recoveries, MOST);
	for (i = 0; i < MOST; i++) {
		awaited += diary.begun[i] >= diary.due[i];
		int64_t delay = i < 3 ? MS << i : 6 * MS;

		within += diary.delay[i] >= delay * 80 / 100 &&
			  diary.delay[i] <= delay * 120 / 100;
	}
	is(awaited, MOST, "each restart waits until it is due");
	is(within, MOST, "each delay doubles, up to the longest, with jitter");
	is(site.calls[AT_KILL], MOST, "what was half started was killed");
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), 0,
	   "by hand it can be restarted");
	end_one(&site);
	is(await(servers, FH_SERVER_FAILED, &info), 0,
	   "the window has not passed: no more automatic restarts");
	site_close(servers, &site);
	is(diary.count, MOST, "as many as are allowed");
}

/* What lies before the window is forgotten. */
static void test_window(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);

	request.policy = (struct fh_server_policy){ .most = 1, .window = 1 };
	fh_server_start(servers, &request, &info);
	while (info.restarts < 3) {
		uint64_t before = info.restarts;

		end_one(&site);
		while (info.restarts == before) {
			sleep_ns(MS / 10);
			info = health_of(servers, NAME);
			if (info.state == FH_SERVER_FAILED)
				break;
		}
		if (info.state == FH_SERVER_FAILED)
			break;
	}
	is(info.restarts, 3, "one restart in each window");
	site_close(servers, &site);
}

/* ---- in backoff ---- */

static void test_backoff(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_lease *lease;
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);

	request.policy = (struct fh_server_policy){
		.most = 4, .delay = 1000 * LONG, .longest = 2000 * LONG };
	fh_server_start(servers, &request, NULL);
	end_one(&site);
	is(await(servers, FH_SERVER_BACKOFF, &info), 0, "it backs off");
	ok(info.retry_at > fh_now() + LONG, "for very long");
	is(fh_server_get(servers, NAME, &lease, NULL), -EINPROGRESS,
	   "a get is told to wait");
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), 0,
	   "a restart does not wait for its time");
	ok(info.state == FH_SERVER_RUNNING && info.retry_at == 0, "it runs");
	end_one(&site);
	await(servers, FH_SERVER_BACKOFF, NULL);
	is(fh_server_start(servers, &request, &info), 0, "nor does a start");
	ok(info.joined && health_of(servers, NAME).users == 2, "which joins");
	go_wrong(&site, AT_START, FAIL, -ENOEXEC, 1);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), -EHOSTDOWN,
	   "a restart by hand that fails");
	is(info.state, FH_SERVER_BACKOFF, "is tried again by the policy");
	fh_server_stop(servers, NAME, NULL);
	is(fh_server_stop(servers, NAME, &info), 0, "a stop");
	is(info.state, FH_SERVER_STOPPED, "ends it at once");
	site_close(servers, &site);
	is(site.freed, 1, "what its start was given is released");
}

/* A restart by hand that fails: the supervisor is told, and tries again. */
static void test_failed_by_hand(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);

	request.policy = (struct fh_server_policy){ .most = 4, .delay = MS };
	fh_server_start(servers, &request, NULL);
	sleep_ns(20 * MS); /* the supervisor sleeps by now */
	go_wrong(&site, AT_START, FAIL, -ENOEXEC, 1);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), -EHOSTDOWN,
	   "a restart by hand fails");
	is(await(servers, FH_SERVER_RUNNING, &info), 0,
	   "the policy makes it good");
	is(info.restarts, 1, "once");
	site_close(servers, &site);
}

/* ---- an end that comes too early ---- */

/* Between its start and its being watched, or before it is running. */
static void test_early_end(void)
{
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);

	end_one(&site);
	is(fh_server_start(servers, &request, &info), 0,
	   "a client that is gone when it is watched");
	is(await(servers, FH_SERVER_FAILED, NULL), 0, "is seen to be gone");
	go_wrong(&site, AT_WATCH, FAIL, -EMFILE, 1);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), -EHOSTDOWN,
	   "one that cannot be watched");
	ok(info.error == -EMFILE && site.calls[AT_KILL] == 1,
	   "does not run unwatched");
	store_relaxed(&site.watched, 9999);
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, &info), -EHOSTDOWN,
	   "nor one with a bad descriptor");
	is(info.error, -EBADF, "for that reason");
	fh_servers_destroy(servers);
	ok(is_clean(&site), "nothing is left");
}

/* A closed server whose client ends: whoever comes last shuts it down. */
static void end_by_turns(unsigned index, void *arg)
{
	struct site *site = ((void **)arg)[1];

	if (index == 0)
		end_one(site);
	else
		fh_server_stop_wait(((void **)arg)[0], NAME,
				    fh_deadline_in(LONG), NULL);
}

static void test_end_and_stop(void)
{
	struct fh_servers *servers = registry();
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);
	void *both[2] = { servers, &site };
	size_t i, rounds = scaled(60, 10), gone = 0;

	request.policy.most = FH_SERVER_RESTARTS_MOST;
	for (i = 0; i < rounds; i++) {
		uint64_t rings;

		fh_server_start_wait(servers, &request, fh_deadline_in(LONG),
				     NULL);
		run_crew(2, end_by_turns, both);
		gone += health_of(servers, NAME).state == FH_SERVER_ABSENT;
		if (read(site.watched, &rings, sizeof(rings)) < 0)
			gone += 0; /* exited has read it */
	}
	is(gone, rounds, "an end beside a stop: it is stopped");
	fh_servers_destroy(servers);
	ok(site.alive == 0 && site.twice == 0, "nothing is left");
	close(site.watched);
}

/* ---- a supervisor whose thread ends ---- */

static tally victims;

static void end_supervisor(const struct fh_server_event *event, void *arg)
{
	(void)arg;
	if (event->to == FH_SERVER_CRASHED) {
		add_relaxed(&victims, 1);
		pthread_exit(NULL);
	}
}

static void test_dead_supervisor(void)
{
	struct fh_servers *servers = registry_with(end_supervisor, NULL);
	struct fh_server_info info;
	struct site site;
	struct fh_server_request request = site_open(&site, NAME);

	request.policy.most = FH_SERVER_RESTARTS_MOST;
	fh_server_start(servers, &request, &info);
	while (info.restarts < 5) {
		uint64_t before = info.restarts;

		end_one(&site);
		do
			sleep_ns(MS / 10);
		while ((info = health_of(servers, NAME)).restarts == before);
	}
	is(victims, 5, "its thread was ended five times");
	ok(info.restarts == 5, "and what it looks after restarted each time");
	is(stats_of(servers).abandoned, 5, "jobs were abandoned");
	site_close(servers, &site);
}

/* ---- processes ---- */

struct process {
	pid_t pid;
	int pidfd;
};

static tally processes;
extern char **environ;

static int process_start(struct fh_server_job *job, void **client)
{
	char *const args[] = { "sleep", "1000", NULL };
	struct process *process = calloc(1, sizeof(*process));
	int rc;

	(void)job;
	if (!process)
		return -ENOMEM;
	rc = posix_spawnp(&process->pid, "sleep", NULL, NULL, args, environ);
	if (rc) {
		free(process);
		return -rc;
	}
	add_relaxed(&processes, 1);
	process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	*client = process;
	return process->pidfd < 0 ? -errno : 0;
}

static int process_exited(struct fh_server_job *job, void *client)
{
	struct process *process = client;
	int status;

	if (waitpid(process->pid, &status, WNOHANG) != process->pid)
		return -EBUSY;
	snprintf(job->text, FH_SERVER_TEXT, "signal %d", WTERMSIG(status));
	add_relaxed(&processes, UINT64_MAX);
	return -ECHILD;
}

static int process_kill(struct fh_server_job *job, void *client)
{
	struct process *process = client;
	int status;

	(void)job;
	kill(process->pid, SIGKILL);
	if (waitpid(process->pid, &status, 0) != process->pid)
		return -errno;
	add_relaxed(&processes, UINT64_MAX);
	return 0;
}

static void process_release(void *client, void *arg)
{
	struct process *process = client;

	(void)arg;
	if (process->pidfd >= 0)
		close(process->pidfd);
	free(process);
}

static int process_watch(void *client, void *arg)
{
	(void)arg;
	return ((struct process *)client)->pidfd;
}

static const struct fh_server_ops process_ops = {
	.start = process_start, .kill = process_kill,
	.exited = process_exited, .release = process_release,
	.watch = process_watch,
};

static pid_t pid_of(struct fh_servers *servers)
{
	struct fh_server_lease *lease;
	pid_t pid;

	if (fh_server_get_wait(servers, NAME, fh_deadline_in(LONG), &lease,
			       NULL))
		return -1;
	pid = ((struct process *)fh_lease_client(lease))->pid;
	fh_lease_return(lease);
	return pid;
}

static int may_have_pidfd(void)
{
	int descriptor = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (descriptor < 0)
		return 0;
	close(descriptor);
	return 1;
}

static void test_processes(void)
{
	const struct fh_server_request request = {
		.name = NAME, .ops = &process_ops,
		.policy = { .most = 2 },
	};
	struct fh_servers *servers = registry();
	struct fh_server_info info;
	unsigned before;
	int i;
	pid_t pid[3];

	if (!may_have_pidfd()) {
		skip("this kernel has no pidfd");
		fh_servers_destroy(servers);
		return;
	}
	before = count_descriptors();
	is(fh_server_start(servers, &request, NULL), 0, "a process starts");
	for (i = 0; i < 3; i++) {
		int64_t killed = fh_now();

		pid[i] = pid_of(servers);
		kill(pid[i], SIGKILL);
		do
			fh_server_health(servers, NAME, &info);
		while (info.crashes <= (uint64_t)i);
		diag("noticed after %.3f ms",
		     (double)(info.error_at - killed) / 1e6);
	}
	is(await(servers, FH_SERVER_FAILED, &info), 0,
	   "it is killed three times, and restarted twice");
	is(strcmp(info.text, "signal 9"), 0, "the last cause is known");
	ok(pid[0] != pid[1] && pid[1] != pid[2], "each was another process");
	ok(kill(pid[2], 0) == -1 && errno == ESRCH, "and no zombie");
	is(fh_server_restart(servers, NAME, FH_SERVER_ANY, NULL), 0,
	   "by hand once more");
	is(fh_server_stop(servers, NAME, NULL), 0, "it is stopped");
	fh_servers_destroy(servers);
	is(processes, 0, "no process is left");
	is(count_descriptors(), before, "nor a descriptor");
}

int main(void)
{
	watchdog(240);
	test_manual();
	test_automatic();
	test_limit();
	test_window();
	test_backoff();
	test_failed_by_hand();
	test_early_end();
	test_end_and_stop();
	test_dead_supervisor();
	test_processes();
	fh_rcu_drain_wait(FH_FOREVER);
	is(fakes, 0, "no client is left");
	return done_testing();
}
