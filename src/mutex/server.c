/* SPDX-License-Identifier: MIT */
/*
 * server, the mutex twin: one lock around one table of servers (table.h),
 * held for moments only.
 *
 * What is read is copied under the lock, and so are states and counts
 * changed.  A server stays in the table from its start to the end of its
 * shutdown.  Clients and leases are in server_lease.c; what is built on this
 * core is the same in both builds (server_core.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "server_internal.h"

int fh_servers_create(struct fh_servers **servers,
		      const struct fh_servers_options *options)
{
	struct fh_servers *fresh;
	int rc;

	fresh = aligned_alloc(_Alignof(struct fh_servers), sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	memset(fresh, 0, sizeof(*fresh));
	rc = fh_servers_base_init(&fresh->base, options);
	if (!rc)
		rc = fh_hash_seed(&fresh->hash);
	if (!rc)
		rc = fh_table_init(&fresh->table, 0, false);
	if (rc) {
		free(fresh);
		return rc;
	}
	pthread_mutex_init(&fresh->lock, NULL);
	*servers = fresh;
	return 0;
}

void fh_servers_destroy(struct fh_servers *servers)
{
	if (!servers)
		return;
	fh_servers_base_end(servers);
	for (size_t i = 0; i < servers->table.length; i++)
		if (servers->table.slots[i].item)
			fh_server_drop(servers->table.slots[i].item);
	fh_table_free(&servers->table);
	pthread_mutex_destroy(&servers->lock);
	free(servers);
}

/* ---- references ---- */

void fh_server_hold(struct server *server)
{
	add_relaxed(&server->refs, 1u);
}

void fh_server_drop(struct server *server)
{
	void (*release)(void *arg) = server->base.arg_release;
	void *arg = server->base.arg;

	/* pairs with: server.refs */
	if (sub_acq_rel(&server->refs, 1u) != 1)
		return;
	fh_client_drop(server->newest);
	pthread_cond_destroy(&server->changed);
	free(server);
	if (release)
		release(arg);
}

/* ---- the table ---- */

static uint64_t hash_name(const struct fh_servers *servers, const char *name)
{
	return fh_hash_bytes(&servers->hash, fh_key_string(name));
}

struct server *fh_server_lookup(const struct fh_servers *servers,
				const char *name, uint64_t hash)
{
	struct fh_slot *slot = fh_table_home(&servers->table, hash);
	struct server *server;

	while ((slot = fh_slot_find(slot, hash))) {
		server = slot->item;
		if (strcmp(server->name, name) == 0)
			return server;
		slot++;
	}
	return NULL;
}

/* With the registry's lock: one that stopped is not found. */
static struct server *find_present(struct fh_servers *servers,
				   const char *name, uint64_t hash)
{
	struct server *server = fh_server_lookup(servers, name, hash);

	if (server && server->info.state == FH_SERVER_STOPPED)
		return NULL;
	return server;
}

struct server *fh_server_find(struct fh_servers *servers, const char *name)
{
	uint64_t hash = hash_name(servers, name);
	struct server *server;

	pthread_mutex_lock(&servers->lock);
	server = find_present(servers, name, hash);
	if (server)
		fh_server_hold(server);
	pthread_mutex_unlock(&servers->lock);
	return server;
}

/* Three references: the table's, the caller's, and its first client's. */
static struct server *server_new(struct fh_servers *servers,
				 const struct fh_server_request *request,
				 struct client *first)
{
	size_t length = strlen(request->name) + 1;
	struct server *server = calloc(1, sizeof(*server) + length);

	if (!server)
		return NULL;
	memcpy(server->name, request->name, length);
	fh_server_base_init(&server->base, servers, request, server->name);
	server->hash = hash_name(servers, server->name);
	server->info.state = FH_SERVER_STARTING;
	server->info.epoch = 1;
	server->info.users = 1;
	server->info.since = fh_now();
	server->newest = first;
	store_relaxed(&server->refs, 3u);
	pthread_cond_init(&server->changed, NULL);
	return server;
}

/* With the lock held: take it out; the table's reference is the caller's. */
static void unlist(struct fh_servers *servers, struct server *server)
{
	struct fh_slot *slot = fh_table_home(&servers->table, server->hash);

	while (slot->item != server)
		slot++;
	fh_table_remove(&servers->table, slot);
}

/* With the lock held; one that is stopped gives way, and is to be dropped. */
static int enter(struct fh_servers *servers, struct server *fresh,
		 struct server **present, struct server **replaced)
{
	*present = fh_server_lookup(servers, fresh->name, fresh->hash);
	if (*present && (*present)->info.state != FH_SERVER_STOPPED) {
		fh_server_hold(*present);
		return -EEXIST;
	}
	if (*present) {
		*replaced = *present;
		unlist(servers, *present);
	}
	return fh_table_insert(&servers->table, fresh->hash, fresh);
}

int fh_server_enter(struct fh_servers *servers,
		    const struct fh_server_request *request,
		    struct client *first, struct server **server)
{
	struct server *fresh = server_new(servers, request, first);
	struct server *replaced = NULL;
	int rc;

	if (!fresh)
		return -ENOMEM;
	first->base.server = fresh;
	pthread_mutex_lock(&servers->lock);
	rc = enter(servers, fresh, server, &replaced);
	pthread_mutex_unlock(&servers->lock);
	if (replaced)
		fh_server_drop(replaced);
	if (rc == 0) {
		*server = fresh;
		return 0;
	}
	pthread_cond_destroy(&fresh->changed);
	free(fresh);
	return rc;
}

/* Unless a starter has replaced it already. */
void fh_server_remove(struct server *server)
{
	struct fh_servers *servers = server->base.servers;
	bool listed;

	pthread_mutex_lock(&servers->lock);
	listed = fh_server_lookup(servers, server->name, server->hash) ==
		 server;
	if (listed)
		unlist(servers, server);
	pthread_mutex_unlock(&servers->lock);
	if (listed)
		fh_server_drop(server);
}

/* ---- looking ---- */

struct fh_server_info fh_server_snapshot(const struct server *server)
{
	struct fh_server_info info = server->info;

	info.leases = server->newest->leases;
	return info;
}

void fh_server_view(struct server *server, struct fh_server_info *info)
{
	pthread_mutex_lock(lock_of(server));
	*info = fh_server_snapshot(server);
	pthread_mutex_unlock(lock_of(server));
}

int fh_server_health(struct fh_servers *servers, const char *name,
		     struct fh_server_info *info)
{
	uint64_t hash = hash_name(servers, name);
	struct server *server;

	pthread_mutex_lock(&servers->lock);
	server = find_present(servers, name, hash);
	if (server)
		*info = fh_server_snapshot(server);
	pthread_mutex_unlock(&servers->lock);
	if (server)
		return 0;
	*info = (struct fh_server_info){ .state = FH_SERVER_ABSENT };
	return -ENOENT;
}

/* With the lock held. */
static int get(struct fh_servers *servers, const char *name, uint64_t hash,
	       struct fh_server_lease **lease, struct fh_server_info *info)
{
	struct server *server = fh_server_lookup(servers, name, hash);

	if (!server)
		return -ENOENT;
	if (info)
		*info = fh_server_snapshot(server);
	if (server->info.state != FH_SERVER_RUNNING)
		return fh_server_verdict(server->info.state);
	server->newest->leases++;
	*lease = (struct fh_server_lease *)server->newest;
	return 0;
}

int fh_server_get(struct fh_servers *servers, const char *name,
		  struct fh_server_lease **lease, struct fh_server_info *info)
{
	uint64_t hash;
	int rc;

	if (fh_servers_are_inherited(servers))
		return -ECHILD;
	hash = hash_name(servers, name);
	pthread_mutex_lock(&servers->lock);
	rc = get(servers, name, hash, lease, info);
	pthread_mutex_unlock(&servers->lock);
	if (rc == -ENOENT && info)
		*info = (struct fh_server_info){ .state = FH_SERVER_ABSENT };
	return rc;
}

void fh_servers_get_stats(struct fh_servers *servers,
			  struct fh_servers_stats *stats)
{
	fh_servers_base_stats(&servers->base, stats);
	pthread_mutex_lock(&servers->lock);
	stats->registered = servers->table.count;
	pthread_mutex_unlock(&servers->lock);
}

/* ---- walking ---- */

#define PAGE 16

/* A page of servers, held. */
static size_t next_page(struct fh_servers *servers,
			struct fh_table_place *place, struct server **page)
{
	void *items[PAGE];
	size_t count;

	pthread_mutex_lock(&servers->lock);
	count = fh_table_page(&servers->table, place, UINT64_MAX, items, PAGE);
	for (size_t i = 0; i < count; i++) {
		page[i] = items[i];
		fh_server_hold(page[i]);
	}
	pthread_mutex_unlock(&servers->lock);
	return count;
}

size_t fh_server_each(struct fh_servers *servers,
		      bool (*visit)(struct server *server, void *arg),
		      void *arg)
{
	struct fh_table_place place = { 0 };
	struct server *page[PAGE];
	size_t visited = 0, count;
	bool go_on = true;

	while (go_on && !place.end) {
		count = next_page(servers, &place, page);
		for (size_t i = 0; i < count; i++) {
			if (go_on) {
				visited++;
				go_on = visit(page[i], arg);
			}
			fh_server_drop(page[i]);
		}
	}
	return visited;
}
