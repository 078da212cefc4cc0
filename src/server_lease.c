/* SPDX-License-Identifier: MIT */
/*
 * server_lease: clients, and the leases on them.  The laws and invariants are
 * those of server.c.
 *
 * The word of leases
 *
 *     bits    meaning                    set by              cleared by
 *     0       STALE: no more leases      the owner, to end   nobody
 *     1       OWNED: not ended yet       making it           the owner, when
 *                                                            it has ended
 *     2..63   leases that are out        get                 return
 *
 * The word comes to STALE alone once: whoever brings it there releases the
 * handle (law 7).
 *
 * A lease is the address of its client: what it may be asked is in there.
 */
#include "server_internal.h"
#include "rcu_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Two references: that of the face, and that of the unit of leases. */
int fh_client_new(struct fh_servers *servers, struct client **client)
{
	struct client *fresh;
	struct fh_room room;

	if (fh_room_take(&room, 1))
		return -EDQUOT;
	fh_room_leave(&room, 0);
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	fresh->base.generation =
		add_relaxed(&base_of(servers)->generation, 1u) + 1;
	fresh->base.watch = -1;
	store_relaxed(&fresh->leases, OWNED);
	store_relaxed(&fresh->refs, 2u);
	*client = fresh;
	return 0;
}

void fh_client_discard(struct client *client)
{
	free(client);
}

static void free_client(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct client, rcu));
}

void fh_client_hold(struct client *client)
{
	add_relaxed(&client->refs, 1u);
}

void fh_client_drop(struct client *client)
{
	/* pairs with: server.refs */
	if (sub_acq_rel(&client->refs, 1u) == 1)
		fh_rcu_retire(&client->rcu, free_client);
}

struct client *fh_server_newest(struct server *server)
{
	struct client *client;

	fh_rcu_read_lock();
	/* pairs with: server.face */
	client = load_acquire(&server->face)->home;
	if (!fh_ref_unless_zero(&client->refs))
		client = NULL;
	fh_rcu_read_unlock();
	return client;
}

/* ---- leases ---- */

/* Law 6. */
bool fh_client_take_lease(struct client *client)
{
	/* pairs with: server.lease */
	uint64_t leases = load_acquire(&client->leases);

	do {
		if (leases & STALE)
			return false;
		/* pairs with: server.lease */
	} while (!cas_acq_rel_acquire(&client->leases, &leases,
				      leases + LEASE));
	return true;
}

struct fh_server_lease *fh_client_lease(struct client *client)
{
	add_relaxed(&client->leases, LEASE);
	return (struct fh_server_lease *)client;
}

uint64_t fh_client_leases(const struct client *client)
{
	return load_relaxed(&client->leases) / LEASE;
}

/* Law 7: what is left of the word, within a read section. */
static void look_after(struct client *client, uint64_t left)
{
	if (left == (STALE | OWNED)) {
		fh_point("lease.last");
		fh_status_set(&client->returned, LEASES_RETURNED);
	}
}

void fh_lease_return(struct fh_server_lease *lease)
{
	struct client *client = (struct client *)lease;
	uint64_t left;

	fh_rcu_read_lock();
	/* pairs with: server.lease */
	left = sub_acq_rel(&client->leases, LEASE) - LEASE;
	look_after(client, left);
	fh_rcu_read_unlock();
	if (left == STALE)
		fh_client_release(client);
}

void fh_client_expire(struct client *client)
{
	/* pairs with: server.lease */
	uint64_t left = or_acq_rel(&client->leases, STALE) | STALE;

	look_after(client, left);
}

int fh_client_wait_returned(struct client *client, int64_t deadline)
{
	return fh_status_wait(&client->returned, FH_STATE(LEASES_RETURNED),
			      deadline, NULL);
}

void fh_client_end(struct client *client)
{
	/* pairs with: server.lease */
	if (sub_acq_rel(&client->leases, OWNED) == (STALE | OWNED))
		fh_client_release(client);
}

void fh_client_unmade(struct client *client)
{
	struct server *server = client->base.server;

	fh_client_drop(client);
	fh_server_drop(server);
}

static void drop_server(void *server)
{
	fh_server_drop(server);
}

/* The server goes last, with its arg, even if release ends the thread. */
void fh_client_release(struct client *client)
{
	struct server *server = client->base.server;
	void (*release)(void *, void *) = server->base.ops->release;
	void *handle = client->base.handle;

	fh_client_drop(client);
	pthread_cleanup_push(drop_server, server);
	if (release)
		release(handle, server->base.arg);
	pthread_cleanup_pop(1);
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
	/* pairs with: server.lease */
	return (int)(load_acquire(&((const struct client *)lease)->leases) &
		     STALE);
}
