/* SPDX-License-Identifier: MIT */
/*
 * server_life, the mutex twin: claims and settling, users, waiting.  Each is
 * one critical section.
 */
#include <errno.h>

#include "lock.h"
#include "server_internal.h"

void fh_server_changed(struct server *server)
{
	if (server->waiters)
		pthread_cond_broadcast(&server->changed);
}

/* Not a place to be cancelled at: the lock is held. */
int fh_server_sleep(struct server *server, int64_t deadline)
{
	int cancel, rc;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	server->waiters++;
	rc = fh_cond_wait_until(&server->changed, lock_of(server), deadline);
	server->waiters--;
	pthread_setcancelstate(cancel, NULL);
	return rc;
}

int fh_server_wait_past(struct server *server, uint64_t epoch,
			int64_t deadline)
{
	bool past;
	int rc = 0;

	pthread_mutex_lock(lock_of(server));
	while (!(past = server->info.epoch > epoch) && rc == 0)
		rc = fh_server_sleep(server, deadline);
	pthread_mutex_unlock(lock_of(server));
	return past ? 0 : rc;
}

/* ---- claims: with the lock held ---- */

static int object(const struct server *server,
		  const struct server_claim *claim)
{
	if (!fh_server_may_follow(server->info.state, claim->to))
		return -EAGAIN;
	if (claim->epoch && claim->epoch != server->info.epoch)
		return -EAGAIN;
	if (claim->generation && claim->generation != server->info.generation)
		return -ESTALE;
	return 0;
}

static void tell(struct server *server, enum fh_server_state from,
		 struct fh_server_event *event)
{
	event->name = server->name;
	event->from = from;
	event->to = server->info.state;
	event->info = fh_server_snapshot(server);
	fh_server_changed(server);
}

/* Returns the client that was the newest, to be dropped. */
static struct client *renew(struct server *server, struct client *fresh)
{
	struct client *before = server->newest;

	if (!fresh)
		return NULL;
	fresh->base.server = server;
	fh_server_hold(server);
	server->newest = fresh;
	return before;
}

static struct client *own(struct server *server,
			  const struct server_claim *claim,
			  struct fh_server_event *event)
{
	enum fh_server_state from = server->info.state;
	struct client *before = renew(server, claim->fresh);

	server->info.state = claim->to;
	server->info.epoch++;
	server->info.since = fh_now();
	server->info.retry_at = 0;
	tell(server, from, event);
	return before;
}

int fh_server_claim(struct server *server, const struct server_claim *claim,
		    struct fh_server_event *event)
{
	struct client *before = NULL;
	int rc;

	pthread_mutex_lock(lock_of(server));
	rc = object(server, claim);
	if (rc == 0)
		before = own(server, claim, event);
	pthread_mutex_unlock(lock_of(server));
	if (before)
		fh_client_drop(before);
	return rc;
}

void fh_server_settle(struct server *server,
		      const struct server_outcome *outcome,
		      struct fh_server_event *event)
{
	enum fh_server_state from;

	pthread_mutex_lock(lock_of(server));
	from = server->info.state;
	fh_server_write_outcome(&server->info, outcome,
				server->newest->base.generation);
	tell(server, from, event);
	pthread_mutex_unlock(lock_of(server));
}

/* ---- users ---- */

int fh_server_join(struct server *server)
{
	bool closed;

	pthread_mutex_lock(lock_of(server));
	closed = server->closed;
	if (!closed)
		server->info.users++;
	pthread_mutex_unlock(lock_of(server));
	return closed ? -ESHUTDOWN : 0;
}

void fh_server_unjoin(struct server *server)
{
	pthread_mutex_lock(lock_of(server));
	if (server->info.users)
		server->info.users--;
	pthread_mutex_unlock(lock_of(server));
}

int64_t fh_server_leave(struct server *server)
{
	int64_t left = -ESHUTDOWN;

	pthread_mutex_lock(lock_of(server));
	if (!server->closed) {
		if (server->info.users)
			server->info.users--;
		left = (int64_t)server->info.users;
		server->closed = left == 0;
	}
	pthread_mutex_unlock(lock_of(server));
	return left;
}

bool fh_server_close(struct server *server)
{
	bool first;

	pthread_mutex_lock(lock_of(server));
	first = !server->closed;
	server->closed = true;
	server->info.users = 0;
	pthread_mutex_unlock(lock_of(server));
	return first;
}

bool fh_server_is_closed(struct server *server)
{
	bool closed;

	pthread_mutex_lock(lock_of(server));
	closed = server->closed;
	pthread_mutex_unlock(lock_of(server));
	return closed;
}

void fh_server_reopen(struct server *server)
{
	pthread_mutex_lock(lock_of(server));
	server->closed = false;
	pthread_mutex_unlock(lock_of(server));
}
