/* SPDX-License-Identifier: MIT */
/*
 * server: who is registered, and what can be seen of it; lock-free.
 *
 * The core of the registry is in three files: this one (the registry and its
 * readers), server_life.c (claims, settling, users) and server_lease.c
 * (clients and their leases).  What is built on it is listed in
 * server_core.h.
 *
 *     map --> server --+-- cell: state and epoch        what jobs change
 *                      +-- users: count and CLOSED      one word
 *                      +-- face ----> { info, home }    what readers see
 *                                            |
 *                                            v
 *                                  client { leases and STALE, handle,
 *                                           six faces }
 *
 * Invariants
 *
 *  I1. A server's state changes by compare-exchange of its cell alone, from
 *      a state that lets it follow (fh_server_life).  From a state of rest
 *      anybody may make the change, and then owns the server; from a busy
 *      one only the owner does.  So there is one job at a time, and of those
 *      who want to start the next one wins.
 *  I2. Each transition has a face: immutable, complete before it is
 *      published.  info.epoch in a face is the cell's epoch plus one, that
 *      is, the number of transitions so far, the registration included.
 *      Faces are published by the owner alone, in the order of epochs.
 *  I3. A claim changes the cell first and then publishes its face; settling
 *      publishes its face first and then changes the cell.  So the face is
 *      at most one transition ahead of the cell or one behind it: ahead
 *      only into a state of rest, behind only in a busy state.  A claim that
 *      finds it ahead changes the cell in the owner's place.
 *  I4. At most one entry of a name is in the map.  It stays from the start to
 *      the end of the shutdown, whatever happens between; nothing removes
 *      it but the owner of one that is stopped, or who finds it stopped.
 *  I5. Users are counted in one word with CLOSED: the last one to leave sets
 *      it in the same step.  Nobody joins after that, and one leaves last.
 *  I6. At most one client of a server is made and not ended: base.client,
 *      which is the owner's.  A job starts the next one only when the last
 *      one is ended.
 *
 * Laws
 *
 *  1. Servers and clients are counted.  Who finds one within a read section
 *     takes a reference by compare-exchange unless the count is zero, and
 *     memory is freed a grace period after it came to zero.  In the map is
 *     one reference, in a face that is published one to its home, and from
 *     its claim to its release a client has one to its server.
 *  2. Nothing of the caller's is called in a read section.
 *  3. A reader loads the cell, then the face.  Let c and f be the numbers of
 *     transitions that they tell.  If f >= c, then f's face was the truth at
 *     some moment of the call: at the load of the cell (f = c), or when it
 *     was published after that.  If f = c - 1, the cell was loaded between a
 *     claim and its face: the claimed state, with all else as before.  Less
 *     it cannot be: the owner published face c - 1 before it made
 *     transition c possible, and the load of the cell acquired that.  So
 *     two loads give a state that was, and nobody retries.
 *  4. Waiters sleep on the cell, for the transition after the one that they
 *     saw.  The cell changes after the face of a state of rest, so who wakes
 *     finds it.
 *  5. (users) Who closes a server looks for a state of rest to claim after
 *     that; who settles one looks for CLOSED after that.  Both looks are
 *     preceded by a read-modify-write of the word of users, so one of the
 *     two comes second and acquires what the first one did: one of them, or
 *     both, try to claim the shutdown, and I1 picks one.  The same holds of
 *     the word by which the supervisor says that a client is gone.
 *     A stop that fails clears CLOSED before it settles; so a shutdown is
 *     claimed at the epoch at which CLOSED was seen, and at no later one.
 *  6. (leases) A lease is taken by a compare-exchange that finds STALE clear;
 *     the owner sets STALE after its claim.  Who finds it set therefore
 *     finds the claim when it looks at the cell again.
 *  7. (leases) The owner has one unit of the count of leases.  It waits for
 *     the others on a cell of the client's: the one that returns the last of
 *     them sets it, within a read section, so that the client's memory is
 *     there.  Whoever brings the count to zero releases the handle: the
 *     owner when it has ended the client, or the last lease after that.
 *  8. STOPPED comes before the removal from the map.  A starter that meets it
 *     replaces the entry (I4), a walk removes it: both help, because the map
 *     may refuse the owner at the hard bound of rcu.
 *
 * Progress: readers load a root, a bucket, an entry, a cell and a face: no
 * store, no retry.  A lease is a compare-exchange that fails because another
 * lease was taken or returned, or because the client became stale.  Claims
 * fail because another transition was made.  Only what says `wait` waits.
 */
#include "server_internal.h"
#include "rcu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- references ---- */

bool fh_ref_unless_zero(_Atomic(uint64_t) *refs)
{
	uint64_t seen = load_relaxed(refs);

	do {
		if (seen == 0)
			return false;
		/* pairs with: server.refs */
	} while (!cas_acq_rel_relaxed(refs, &seen, seen + 1));
	return true;
}

static void free_server(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct server, rcu));
}

void fh_server_hold(struct server *server)
{
	add_relaxed(&server->refs, 1u);
}

void fh_server_drop(struct server *server)
{
	struct server_base *base = &server->base;
	void (*release)(void *arg) = base->arg_release;
	void *arg = base->arg;

	/* pairs with: server.refs */
	if (sub_acq_rel(&server->refs, 1u) != 1)
		return;
	fh_client_drop(load_relaxed(&server->face)->home);
	fh_rcu_retire(&server->rcu, free_server);
	if (release)
		release(arg);
}

/* ---- the registry ---- */

int fh_servers_create(struct fh_servers **servers,
		      const struct fh_servers_options *options)
{
	const struct fh_map_options keys = { .keys = FH_KEYS_BYTES };
	struct fh_servers *fresh = calloc(1, sizeof(*fresh));
	int rc;

	if (!fresh)
		return -ENOMEM;
	rc = fh_servers_base_init(&fresh->base, options);
	if (!rc)
		rc = fh_map_create(&fresh->map, &keys);
	if (rc) {
		free(fresh);
		return rc;
	}
	*servers = fresh;
	return 0;
}

static void drop_entry(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	fh_server_drop(server_of(entry));
}

void fh_servers_destroy(struct fh_servers *servers)
{
	if (!servers)
		return;
	fh_servers_base_end(servers);
	fh_map_destroy(servers->map, drop_entry, NULL);
	free(servers);
}

/* One that is stopped is on its way out: I4, law 8. */
struct server *fh_server_find(struct fh_servers *servers, const char *name)
{
	struct server *found = NULL;
	struct fh_map_entry *entry;

	fh_rcu_read_lock();
	entry = fh_map_lookup(servers->map, fh_key_string(name));
	if (entry && fh_server_look(server_of(entry)).state !=
			     FH_SERVER_STOPPED &&
	    fh_ref_unless_zero(&server_of(entry)->refs))
		found = server_of(entry);
	fh_rcu_read_unlock();
	return found;
}

/* Two references: the map's and the caller's. */
static struct server *server_new(struct fh_servers *servers,
				 const struct fh_server_request *request,
				 struct client *first)
{
	size_t length = strlen(request->name) + 1;
	struct server *server = calloc(1, sizeof(*server) + length);
	struct face *face = &first->face[FACES_START];

	if (!server)
		return NULL;
	memcpy(server->name, request->name, length);
	fh_server_base_init(&server->base, servers, request, server->name);
	server->entry.key = fh_key_string(server->name);
	server->cell = (struct fh_status)FH_STATUS_INIT(FH_SERVER_STARTING);
	face->home = first;
	face->info = (struct fh_server_info){ .state = FH_SERVER_STARTING,
					      .epoch = 1, .since = fh_now() };
	store_relaxed(&server->face, face);
	store_relaxed(&server->users, USER);
	store_relaxed(&server->refs, 2u);
	return server;
}

/* One attempt, within a read section; 1: look again. */
static int try_enter(struct fh_servers *servers, struct server *fresh,
		     struct server **present, struct server **replaced)
{
	struct fh_map_entry *entry;
	int rc;

	*replaced = NULL;
	entry = fh_map_lookup(servers->map, fresh->entry.key);
	if (!entry) {
		rc = fh_map_insert(servers->map, &fresh->entry, NULL);
		return rc == -EEXIST ? 1 : rc;
	}
	if (fh_server_look(server_of(entry)).state != FH_SERVER_STOPPED) {
		*present = server_of(entry);
		return fh_ref_unless_zero(&(*present)->refs) ? -EEXIST : 1;
	}
	fh_point("server.replacing");
	rc = fh_map_replace_entry(servers->map, entry, &fresh->entry);
	if (rc == 0)
		*replaced = server_of(entry);
	return rc == -ENOENT ? 1 : rc;
}

int fh_server_enter(struct fh_servers *servers,
		    const struct fh_server_request *request,
		    struct client *first, struct server **server)
{
	struct server *fresh = server_new(servers, request, first);
	struct server *replaced;
	int rc;

	if (!fresh)
		return -ENOMEM;
	first->base.server = fresh;
	add_relaxed(&fresh->refs, 1u); /* law 1: the client's */
	do {
		fh_rcu_read_lock();
		rc = try_enter(servers, fresh, server, &replaced);
		fh_rcu_read_unlock();
	} while (rc == 1);
	if (replaced)
		fh_server_drop(replaced);
	if (rc == 0)
		*server = fresh;
	else
		free(fresh);
	return rc == -E2BIG ? -ENOMEM : rc;
}

/* Law 8.  Outside of read sections: the last reference may be the map's. */
void fh_server_remove(struct server *server)
{
	struct fh_servers *servers = server->base.servers;

	if (fh_map_remove_entry(servers->map, &server->entry) == 0)
		fh_server_drop(server);
}

/* ---- looking ---- */

/* Law 3. */
struct look fh_server_look(const struct server *server)
{
	struct fh_status_snapshot seen = fh_status_read(&server->cell);
	struct look look;

	/* pairs with: server.face */
	look.face = load_acquire(&server->face);
	look.state = look.face->info.state;
	look.epoch = look.face->info.epoch;
	if (look.epoch == seen.epoch) {
		look.state = (enum fh_server_state)seen.state;
		look.epoch++;
	}
	return look;
}

/* Within a read section. */
static void describe(const struct server *server, struct look look,
		     struct fh_server_info *info)
{
	*info = look.face->info;
	if (info->epoch != look.epoch) {
		info->epoch = look.epoch;
		info->state = look.state;
		info->since = fh_now();
		info->retry_at = 0;
	}
	info->users = load_relaxed(&server->users) / USER;
	info->leases = fh_client_leases(look.face->home);
}

void fh_server_view(struct server *server, struct fh_server_info *info)
{
	fh_rcu_read_lock();
	describe(server, fh_server_look(server), info);
	fh_rcu_read_unlock();
}

int fh_server_health(struct fh_servers *servers, const char *name,
		     struct fh_server_info *info)
{
	struct fh_map_entry *entry;
	struct look look = { .state = FH_SERVER_STOPPED };

	fh_rcu_read_lock();
	entry = fh_map_lookup(servers->map, fh_key_string(name));
	if (entry)
		look = fh_server_look(server_of(entry));
	if (look.state != FH_SERVER_STOPPED)
		describe(server_of(entry), look, info);
	fh_rcu_read_unlock();
	if (look.state != FH_SERVER_STOPPED)
		return 0;
	*info = (struct fh_server_info){ .state = FH_SERVER_ABSENT };
	return -ENOENT;
}

/* One attempt, within a read section; 1: the server changed, look again. */
static int try_get(struct fh_servers *servers, const char *name,
		   struct fh_server_lease **lease, struct fh_server_info *info)
{
	struct fh_map_entry *entry;
	struct client *client;
	struct look look;

	entry = fh_map_lookup(servers->map, fh_key_string(name));
	if (!entry)
		return -ENOENT;
	look = fh_server_look(server_of(entry));
	if (info)
		describe(server_of(entry), look, info);
	if (look.state != FH_SERVER_RUNNING)
		return fh_server_verdict(look.state);
	fh_point("lease.taking");
	client = look.face->home;
	if (!fh_client_take_lease(client))
		return 1;
	*lease = (struct fh_server_lease *)client;
	return 0;
}

int fh_server_get(struct fh_servers *servers, const char *name,
		  struct fh_server_lease **lease, struct fh_server_info *info)
{
	int rc;

	if (fh_servers_are_inherited(servers))
		return -ECHILD;
	do {
		fh_rcu_read_lock();
		rc = try_get(servers, name, lease, info);
		fh_rcu_read_unlock();
	} while (rc == 1);
	if (rc == -ENOENT && info)
		*info = (struct fh_server_info){ .state = FH_SERVER_ABSENT };
	return rc;
}

void fh_servers_get_stats(struct fh_servers *servers,
			  struct fh_servers_stats *stats)
{
	fh_servers_base_stats(&servers->base, stats);
	stats->registered = fh_map_count(servers->map);
}
