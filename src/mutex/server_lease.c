/* SPDX-License-Identifier: MIT */
/*
 * server_lease, the mutex twin: clients and leases, counted under the lock of
 * their registry.  A lease is the address of its client.
 */
#include <errno.h>
#include <stdlib.h>

#include "server_internal.h"

/* Two references: to be the newest, and to be ended. */
int fh_client_new(struct fh_servers *servers, struct client **client)
{
	struct client *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	fresh->base.generation =
		add_relaxed(&base_of(servers)->generation, 1u) + 1;
	fresh->base.watch = -1;
	store_relaxed(&fresh->refs, 2u);
	*client = fresh;
	return 0;
}

void fh_client_discard(struct client *client)
{
	free(client);
}

void fh_client_hold(struct client *client)
{
	add_relaxed(&client->refs, 1u);
}

void fh_client_drop(struct client *client)
{
	/* pairs with: server.refs */
	if (sub_acq_rel(&client->refs, 1u) == 1)
		free(client);
}

struct client *fh_server_newest(struct server *server)
{
	struct client *client;

	pthread_mutex_lock(lock_of(server));
	client = server->newest;
	fh_client_hold(client);
	pthread_mutex_unlock(lock_of(server));
	return client;
}

/* ---- leases ---- */

struct fh_server_lease *fh_client_lease(struct client *client)
{
	pthread_mutex_t *lock = lock_of(client->base.server);

	pthread_mutex_lock(lock);
	client->leases++;
	pthread_mutex_unlock(lock);
	return (struct fh_server_lease *)client;
}

static void drop_server(void *server)
{
	fh_server_drop(server);
}

/*
 * It has ended, and nobody has a lease.  The server goes last, with its arg,
 * even if the caller's function ends the thread.
 */
static void release(struct client *client)
{
	struct server *server = client->base.server;
	void (*function)(void *, void *) = server->base.ops->release;
	void *handle = client->base.handle;

	fh_client_drop(client);
	pthread_cleanup_push(drop_server, server);
	if (function)
		function(handle, server->base.arg);
	pthread_cleanup_pop(1);
}

void fh_lease_return(struct fh_server_lease *lease)
{
	struct client *client = (struct client *)lease;
	struct server *server = client->base.server;
	bool last, over;

	pthread_mutex_lock(lock_of(server));
	last = --client->leases == 0 && client->stale;
	over = last && client->ended;
	if (last)
		fh_server_changed(server);
	pthread_mutex_unlock(lock_of(server));
	if (over)
		release(client);
}

void fh_client_expire(struct client *client)
{
	pthread_mutex_t *lock = lock_of(client->base.server);

	pthread_mutex_lock(lock);
	client->stale = true;
	pthread_mutex_unlock(lock);
}

int fh_client_wait_returned(struct client *client, int64_t deadline)
{
	struct server *server = client->base.server;
	bool out;
	int rc = 0;

	pthread_mutex_lock(lock_of(server));
	while ((out = client->leases != 0) && rc == 0)
		rc = fh_server_sleep(server, deadline);
	pthread_mutex_unlock(lock_of(server));
	return out ? rc : 0;
}

void fh_client_end(struct client *client)
{
	pthread_mutex_t *lock = lock_of(client->base.server);
	bool over;

	pthread_mutex_lock(lock);
	client->ended = true;
	over = client->leases == 0;
	pthread_mutex_unlock(lock);
	if (over)
		release(client);
}

void fh_client_unmade(struct client *client)
{
	struct server *server = client->base.server;

	fh_client_drop(client);
	fh_server_drop(server);
}

void *fh_lease_client(const struct fh_server_lease *lease)
{
	return ((const struct client *)lease)->base.handle;
}

uint64_t fh_lease_generation(const struct fh_server_lease *lease)
{
	return ((const struct client *)lease)->base.generation;
}

int fh_lease_is_stale(const struct fh_server_lease *lease)
{
	const struct client *client = (const struct client *)lease;
	int stale;

	pthread_mutex_lock(lock_of(client->base.server));
	stale = client->stale;
	pthread_mutex_unlock(lock_of(client->base.server));
	return stale;
}
