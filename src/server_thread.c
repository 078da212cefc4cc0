/* SPDX-License-Identifier: MIT */
/*
 * server_thread: threads of the library's own that run jobs, and forks.
 * Shared by both builds.
 *
 *     running --> ended, in a stack --> joined by the supervisor, by who
 *                                       stops all, or by destroy
 *
 * A thread pushes itself on the stack as the last thing that it does to the
 * registry's memory, and then counts itself out, which destroy waits for
 * before it takes the stack a last time: nothing outlives the registry.
 */
#include "server_core.h"
#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

_Atomic(unsigned) fh_server_forks;

static void forked(void)
{
	add_relaxed(&fh_server_forks, 1u);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forked);
}

struct fh_server_thread *
fh_server_thread_new(struct fh_servers *servers, struct server *server,
		     void (*work)(struct fh_server_thread *thread))
{
	struct fh_server_thread *thread = malloc(sizeof(*thread));

	if (!thread)
		return NULL;
	thread->servers = servers;
	thread->server = server;
	thread->work = work;
	thread->epoch = 0;
	if (server)
		fh_server_hold(server);
	return thread;
}

void fh_server_thread_free(struct fh_server_thread *thread)
{
	if (thread->server)
		fh_server_drop(thread->server);
	free(thread);
}

static void count_out(struct servers_base *base)
{
	/* pairs with: servers.threads */
	if (sub_acq_rel(&base->threads, 1u) == 1)
		fh_wake_all(&base->threads);
}

/*
 * However it ends.  Its own memory is there until it is joined, and the
 * server, whose last holder it may be, is no part of the registry by then.
 */
static void ends(void *arg)
{
	struct fh_server_thread *thread = arg, *first;
	struct servers_base *base = base_of(thread->servers);
	struct server *server = thread->server;

	first = load_relaxed(&base->ended);
	do
		thread->next = first;
	/* pairs with: servers.ended */
	while (!cas_acq_rel_relaxed(&base->ended, &first, thread));
	fh_supervisor_kick(thread->servers);
	count_out(base);
	if (server)
		fh_server_drop(server);
}

static void *thread_main(void *arg)
{
	struct fh_server_thread *thread = arg;

	thread->id = pthread_self();
	pthread_cleanup_push(ends, thread);
	thread->work(thread);
	pthread_cleanup_pop(1);
	return NULL;
}

/* No signal of the program reaches it. */
static int create(struct fh_server_thread *thread)
{
	sigset_t all, before;
	pthread_t id;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&id, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc ? -ENOBUFS : 0;
}

int fh_server_thread_start(struct fh_server_thread *thread)
{
	struct servers_base *base = base_of(thread->servers);
	int rc;

	add_relaxed(&base->threads, 1u);
	rc = create(thread);
	if (rc)
		count_out(base);
	return rc;
}

void fh_servers_reap(struct fh_servers *servers)
{
	struct fh_server_thread *thread, *next;

	/* pairs with: servers.ended */
	thread = swap_acquire(&base_of(servers)->ended, NULL);
	for (; thread; thread = next) {
		next = thread->next;
		pthread_join(thread->id, NULL);
		free(thread);
	}
}

void fh_servers_wait_threads(struct fh_servers *servers)
{
	_Atomic(uint32_t) *threads = &base_of(servers)->threads;
	uint32_t running;

	/* pairs with: servers.threads */
	while ((running = load_acquire(threads)))
		fh_wait_on(threads, running, FH_FOREVER);
	fh_servers_reap(servers);
}
