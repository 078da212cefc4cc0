/* SPDX-License-Identifier: MIT */
/*
 * server_internal: what the files of the server registry's mutex twin share.
 * Internal.
 *
 * One lock guards the table and every server in it: state, users, clients'
 * leases.  It is held for a look or a change and never around a function of
 * the caller's.  Who needs a server or a client beyond that holds a
 * reference.  Each server has a condition variable, which is signalled at a
 * transition and when a last lease is returned, if somebody waits.
 */
#ifndef FH_MUTEX_SERVER_INTERNAL_H
#define FH_MUTEX_SERVER_INTERNAL_H

#include "../server_core.h"

#include "../hash.h"
#include "table.h"

/* The lock has a cache line apart from what is read without it. */
struct fh_servers {
	struct servers_base base;
	struct fh_hash hash;
	pthread_mutex_t lock __attribute__((aligned(64)));
	struct fh_table table;
};

struct server {
	struct server_base base;
	_Atomic(unsigned) refs;
	uint64_t hash;
	struct fh_server_info info;
	bool closed;			/* the last user has left */
	struct client *newest;		/* a reference */
	pthread_cond_t changed;
	unsigned waiters;
	char name[];
};

struct client {
	struct client_base base;
	_Atomic(unsigned) refs;		/* one is for it to be ended */
	uint64_t leases;
	bool stale, ended;
};

static inline pthread_mutex_t *lock_of(const struct server *server)
{
	return &server->base.servers->lock;
}

/* With the lock held. */
struct server *fh_server_lookup(const struct fh_servers *servers,
				const char *name, uint64_t hash);
struct fh_server_info fh_server_snapshot(const struct server *server);
void fh_server_changed(struct server *server);
int fh_server_sleep(struct server *server, int64_t deadline);

#endif
