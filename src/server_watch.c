/* SPDX-License-Identifier: MIT */
/*
 * server_watch: the supervisor.  Shared by both builds.
 *
 * A thread for each registry that has something to supervise sleeps on an
 * epoll instance until a client's descriptor becomes readable, the bell rings,
 * or the next restart is due.  It polls for nothing.
 *
 *     descriptor of a client ---+
 *     bell (an eventfd) --------+--> epoll_wait --> claim the crash
 *     the earliest retry_at ----+               --> a thread for what is due
 *                                               --> join threads that ended
 *
 * Laws
 *
 *  1. A client is watched by its owner before it settles the server as
 *     running, and no longer by the next owner after its claim.  It is known
 *     to epoll by its generation, not by an address: an event that comes late
 *     finds no server with that generation, and is nothing.  (A forked child
 *     shares the instance with its parent and leaves it alone.)
 *  2. Each descriptor gives one event (EPOLLONESHOT).  It may come before the
 *     server is settled: then the claim fails.  So the supervisor first says
 *     in the client that it is gone, and then claims; the owner first
 *     settles, and then asks.  Both by a read-modify-write of one word: one
 *     of them comes second and sees what the other did.
 *  3. The bell rings after a server went to backoff, so the supervisor sees
 *     it when it looks again.  It gives each backoff, known by its epoch, to
 *     one thread.  Where there is none, or no memory, it puts that off.
 *  4. A function of the caller's that ends the supervisor's thread is
 *     survived: a cleanup handler starts another thread in its place, or
 *     else the next start does.  Events are taken one at a time, so none is
 *     lost with the thread.
 */
#include "server_core.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BELL UINT64_C(0)	/* no generation */
#define NS_PER_MS 1000000

enum { NOBODY, BEGINS, AT_WORK };

static struct supervisor *supervisor_of(struct fh_servers *servers)
{
	return &base_of(servers)->supervisor;
}

/* ---- descriptors ---- */

/* Blocks for no longer than a system call does; never a cancellation point. */
static void close_quietly(int *descriptor)
{
	int cancel;

	if (*descriptor < 0)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	close(*descriptor);
	pthread_setcancelstate(cancel, NULL);
	*descriptor = -1;
}

static int add(int epoll, int descriptor, uint32_t events, uint64_t what)
{
	struct epoll_event event = { .events = events, .data.u64 = what };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) ? -errno : 0;
}

static int open_both(struct supervisor *supervisor)
{
	if (supervisor->epoll >= 0)
		return 0;
	supervisor->epoll = epoll_create1(EPOLL_CLOEXEC);
	supervisor->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (supervisor->epoll >= 0 && supervisor->bell >= 0 &&
	    add(supervisor->epoll, supervisor->bell, EPOLLIN, BELL) == 0)
		return 0;
	close_quietly(&supervisor->bell);
	close_quietly(&supervisor->epoll);
	return -ENOBUFS;
}

/* Law 1. */
int fh_client_watch(struct client *client, int descriptor)
{
	struct client_base *base = of_client(client);
	struct fh_servers *servers = of_server(base->server)->servers;
	int rc;

	base->watch = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
	if (base->watch < 0)
		return -errno;
	rc = add(supervisor_of(servers)->epoll, base->watch,
		 EPOLLIN | EPOLLONESHOT, base->generation);
	if (rc)
		close_quietly(&base->watch);
	return rc;
}

void fh_client_unwatch(struct client *client)
{
	struct client_base *base = of_client(client);
	struct fh_servers *servers = of_server(base->server)->servers;

	if (base->watch < 0)
		return;
	if (!fh_servers_are_inherited(servers))
		epoll_ctl(supervisor_of(servers)->epoll, EPOLL_CTL_DEL,
			  base->watch, NULL);
	close_quietly(&base->watch);
}

/* Law 2. */
bool fh_client_is_gone(struct client *client)
{
	/* pairs with: server.gone */
	return or_acq_rel(&of_client(client)->gone, 0u) != 0;
}

void fh_supervisor_kick(struct fh_servers *servers)
{
	const uint64_t one = 1;
	ssize_t rc;
	int cancel;

	if (fh_status_get(&supervisor_of(servers)->state) != AT_WORK)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	do
		rc = write(supervisor_of(servers)->bell, &one, sizeof(one));
	while (rc < 0 && errno == EINTR);
	pthread_setcancelstate(cancel, NULL);
}

/* ---- what has ended ---- */

struct search {
	uint64_t generation;
	bool claimed;
	struct job job;
};

static bool is_of(struct server *server, uint64_t generation)
{
	struct client *client = fh_server_newest(server);
	bool found;

	if (!client)
		return false;
	found = of_client(client)->generation == generation;
	if (found)
		/* pairs with: server.gone */
		or_acq_rel(&of_client(client)->gone, 1u);
	fh_client_drop(client);
	return found;
}

/* Law 2. */
static bool find_and_claim(struct server *server, void *arg)
{
	struct search *search = arg;

	if (!is_of(server, search->generation))
		return true;
	fh_point("server.gone");
	fh_server_hold(server);
	search->claimed = fh_job_claim_crash(&search->job, server,
					     search->generation, 0, NULL) == 0;
	if (!search->claimed)
		fh_server_drop(server);
	return false;
}

void fh_client_has_gone(struct fh_servers *servers, uint64_t generation)
{
	struct search search = { .generation = generation };

	fh_server_each(servers, find_and_claim, &search);
	if (search.claimed)
		fh_job_run(&search.job);
}

static void hear_bell(struct fh_servers *servers)
{
	uint64_t rings;
	ssize_t rc;

	do
		rc = read(supervisor_of(servers)->bell, &rings, sizeof(rings));
	while (rc < 0 && errno == EINTR);
}

/* ---- what is due ---- */

/*
 * A restart for which there is no memory has not been tried: it is put off,
 * and waits in vain if the server leaves its backoff meanwhile.
 */
static void recover(struct fh_server_thread *thread)
{
	struct server *server = thread->server;
	int64_t pause = fh_recovery_pause(&of_server(server)->policy);
	int rc;

	for (;;) {
		rc = fh_job_claim_restart(&thread->job, server, JOB_RECOVER,
					  FH_SERVER_ANY, thread->epoch,
					  FH_FOREVER);
		if (rc != -ENOMEM && rc != -EDQUOT)
			break;
		fh_server_count(thread->servers, PUT_OFF);
		if (fh_server_wait_past(server, thread->epoch,
					fh_deadline_in(pause)) == 0)
			return;
	}
	if (rc)
		return;
	thread->server = NULL;
	fh_job_run(&thread->job);
}

static void put_off(struct server_base *base)
{
	base->put_off = fh_deadline_in(fh_recovery_pause(&base->policy));
	fh_server_count(base->servers, PUT_OFF);
}

/* Law 3. */
static void begin_recovery(struct server *server, uint64_t epoch)
{
	struct server_base *base = of_server(server);
	struct fh_server_thread *thread =
		fh_server_thread_new(base->servers, server, recover);

	if (!thread) {
		put_off(base);
		return;
	}
	thread->epoch = epoch;
	if (fh_server_thread_start(thread) == 0) {
		base->taken = epoch;
	} else {
		fh_server_thread_free(thread);
		put_off(base);
	}
}

struct agenda {
	int64_t now, next;
};

static bool look_at(struct server *server, void *arg)
{
	struct server_base *base = of_server(server);
	struct agenda *agenda = arg;
	struct fh_server_info info;
	int64_t due;

	fh_server_view(server, &info);
	if (info.state != FH_SERVER_BACKOFF || base->taken == info.epoch)
		return true;
	due = info.retry_at > base->put_off ? info.retry_at : base->put_off;
	if (due <= agenda->now) {
		begin_recovery(server, info.epoch);
		due = base->taken == info.epoch ? FH_FOREVER : base->put_off;
	}
	if (due < agenda->next)
		agenda->next = due;
	return true;
}

/* ---- the thread ---- */

/* Rounded up, so that what it waits for is due when it wakes. */
static int milliseconds_until(int64_t next)
{
	int64_t left = next - fh_now();

	if (next == FH_FOREVER)
		return -1;
	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left < INT32_MAX ? (int)left : INT32_MAX;
}

static void answer(struct fh_servers *servers, uint64_t what)
{
	if (what == BELL)
		hear_bell(servers);
	else
		fh_client_has_gone(servers, what);
}

static void supervise(struct fh_servers *servers)
{
	struct epoll_event event;
	struct agenda agenda;

	while (!load_relaxed(&base_of(servers)->closing)) {
		agenda.now = fh_now();
		agenda.next = FH_FOREVER;
		fh_server_each(servers, look_at, &agenda);
		if (epoll_wait(supervisor_of(servers)->epoll, &event, 1,
			       milliseconds_until(agenda.next)) == 1)
			answer(servers, event.data.u64);
		fh_servers_reap(servers);
	}
}

static int create(struct fh_servers *servers);

/* Law 4. */
static void has_ended(void *arg)
{
	struct fh_servers *servers = arg;

	if (create(servers))
		fh_status_set(&supervisor_of(servers)->state, NOBODY);
}

static void supervisor_work(struct fh_server_thread *thread)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cleanup_push(has_ended, thread->servers);
	supervise(thread->servers);
	pthread_cleanup_pop(0);
}

static int create(struct fh_servers *servers)
{
	struct fh_server_thread *thread =
		fh_server_thread_new(servers, NULL, supervisor_work);
	int rc;

	if (!thread)
		return -ENOBUFS;
	rc = fh_server_thread_start(thread);
	if (rc)
		fh_server_thread_free(thread);
	return rc;
}

static int begin(struct fh_servers *servers)
{
	struct supervisor *supervisor = supervisor_of(servers);
	int rc = open_both(supervisor);

	if (!rc)
		rc = create(servers);
	fh_status_set(&supervisor->state, rc ? NOBODY : AT_WORK);
	return rc;
}

int fh_supervisor_need(struct fh_servers *servers)
{
	struct supervisor *supervisor = supervisor_of(servers);
	struct fh_status_snapshot seen = fh_status_read(&supervisor->state);

	while (seen.state != AT_WORK) {
		if (seen.state == BEGINS)
			fh_status_wait_change(&supervisor->state, seen.epoch,
					      FH_FOREVER, &seen);
		else if (fh_status_compare_exchange(&supervisor->state, &seen,
						    BEGINS) == 0)
			return begin(servers);
	}
	return 0;
}

void fh_supervisor_close(struct fh_servers *servers)
{
	struct supervisor *supervisor = supervisor_of(servers);

	close_quietly(&supervisor->bell);
	close_quietly(&supervisor->epoll);
}
