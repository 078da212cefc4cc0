/* SPDX-License-Identifier: MIT */
/*
 * server_internal: what the files of the lock-free core share; the essay is
 * in server.c.  Internal.
 */
#ifndef FH_SERVER_INTERNAL_H
#define FH_SERVER_INTERNAL_H

#include "server_core.h"

#include <freehold/map.h>

/* What health shows: complete before it is published, constant from then. */
struct face {
	struct fh_server_info info;	/* but for users and leases */
	struct client *home;		/* whose memory this is in */
};

/*
 * A claim and its settling need a face each, and must not need memory: so
 * they lie in the client, a pair for each of the ways that it can go.
 */
enum { FACES_START = 0, FACES_CRASH = 2, FACES_STOP = 4, FACES = 6 };

/* The word of leases: see server_lease.c. */
#define STALE UINT64_C(1)
#define OWNED UINT64_C(2)
#define LEASE UINT64_C(4)

struct client {
	struct client_base base;
	_Atomic(uint64_t) leases;
	_Atomic(uint64_t) refs;
	struct fh_status returned;	/* law 7 */
	struct fh_rcu_head rcu;
	struct face face[FACES];
};

/* The states of client.returned. */
enum { LEASES_OUT, LEASES_RETURNED };

/* The word of users: the last one to leave sets CLOSED. */
#define CLOSED UINT64_C(1)
#define USER UINT64_C(2)

struct server {
	struct server_base base;
	struct fh_map_entry entry;
	struct fh_status cell;		/* state, and how many transitions */
	_Atomic(struct face *) face;
	_Atomic(uint64_t) users;
	_Atomic(uint64_t) refs;
	struct fh_rcu_head rcu;
	char name[];
};

struct fh_servers {
	struct servers_base base;
	struct fh_map *map;
};

static inline struct server *server_of(struct fh_map_entry *entry)
{
	return (struct server *)((char *)entry -
				 offsetof(struct server, entry));
}

/* What a server is at one moment; valid within the read section. */
struct look {
	const struct face *face;
	enum fh_server_state state;
	uint64_t epoch;			/* as info.epoch */
};

/* Law 3: within a read section. */
struct look fh_server_look(const struct server *server);

/* Law 1: within the read section that found it; false: it is on its way out. */
bool fh_ref_unless_zero(_Atomic(uint64_t) *refs);

/* Law 6: within a read section; false: stale. */
bool fh_client_take_lease(struct client *client);

/* Leases that are out. */
uint64_t fh_client_leases(const struct client *client);

/* The last lease of one that has ended is back. */
void fh_client_release(struct client *client);

#endif
