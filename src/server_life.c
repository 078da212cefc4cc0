/* SPDX-License-Identifier: MIT */
/*
 * server_life: claims and settling, users, and the walk over all servers.
 * The laws and invariants are those of server.c.
 */
#include "server_internal.h"

#include <errno.h>

/* ---- claims ---- */

/* Which faces of its home a claim uses. */
static int faces_of(enum fh_server_state to)
{
	switch (to) {
	case FH_SERVER_CRASHED:
		return FACES_CRASH;
	case FH_SERVER_STOPPING:
		return FACES_STOP;
	default:
		return FACES_START;
	}
}

/*
 * The faces of a stop are used if that stop has failed.  Those of a crash
 * are not: it follows a start, with faces of its own.  (After a stop that
 * succeeded nobody needs any.)
 */
static bool is_used(const struct face *face, int faces)
{
	return faces == FACES_STOP && face->info.state == FH_SERVER_FAILED &&
	       face == &face->home->face[FACES_STOP + 1];
}

/*
 * I3; what was published before may go.  From here on a claim may help, and
 * what is in the face is no longer the owner's to look at.
 */
static void publish(struct server *server, struct face *face)
{
	struct client *before = load_relaxed(&server->face)->home;
	struct client *home = face->home;

	/* pairs with: server.face */
	store_release(&server->face, face);
	if (before != home)
		fh_client_drop(before);
}

/* The owner's, while the face cannot be anybody else's. */
static void tell(struct server *server, const struct face *face,
		 unsigned from, struct fh_server_event *event)
{
	event->name = server->name;
	event->from = (enum fh_server_state)from;
	event->to = face->info.state;
	event->info = face->info;
	event->info.users = load_relaxed(&server->users) / USER;
	event->info.leases = fh_client_leases(face->home);
}

/* The owner's: the face of the transition that made it the owner. */
static void put_on(struct server *server, const struct server_claim *claim,
		   struct fh_status_snapshot from,
		   struct fh_server_event *event)
{
	const struct face *before = load_relaxed(&server->face);
	struct client *home = claim->fresh ? claim->fresh : before->home;
	struct face *face = &home->face[faces_of(claim->to)];

	face->info = before->info;
	face->info.state = claim->to;
	face->info.epoch = from.epoch + 2;
	face->info.since = fh_now();
	face->info.retry_at = 0;
	face->home = home;
	if (claim->fresh) {
		home->base.server = server;
		fh_server_hold(server);
	}
	tell(server, face, from.state, event);
	publish(server, face);
}

/*
 * The cell, within a read section; where its owner has published how it is
 * settled, and no more, the cell is made to follow.
 */
static struct fh_status_snapshot catch_up(struct server *server)
{
	struct fh_status_snapshot seen = fh_status_read(&server->cell);
	const struct face *face;

	for (;;) {
		/* pairs with: server.face */
		face = load_acquire(&server->face);
		if (face->info.epoch != seen.epoch + 2)
			return seen;
		fh_point("server.helping");
		if (fh_status_compare_exchange(&server->cell, &seen,
					       face->info.state) == 0)
			seen = fh_status_read(&server->cell);
	}
}

/* Why not, within a read section; @seen is what the cell has to be. */
static int object(const struct server *server,
		  const struct server_claim *claim,
		  struct fh_status_snapshot seen)
{
	const struct face *face;

	if (!fh_server_may_follow((enum fh_server_state)seen.state, claim->to))
		return -EAGAIN;
	if (claim->epoch && claim->epoch != seen.epoch + 1)
		return -EAGAIN;
	/* pairs with: server.face */
	face = load_acquire(&server->face);
	if (claim->generation && claim->generation != face->info.generation)
		return -ESTALE;
	if (!claim->fresh && is_used(face, faces_of(claim->to)))
		return -ENOBUFS;
	return 0;
}

/*
 * The compare-exchange of the cell proves that the objections, if any, were
 * looked for in the face of the very epoch that is left: at rest nobody
 * publishes another.  (An objection that was found in a newer face is one.)
 */
static int own(struct server *server, const struct server_claim *claim,
	       struct fh_status_snapshot *from)
{
	int rc;

	do {
		*from = catch_up(server);
		rc = object(server, claim, *from);
	} while (rc == 0 && fh_status_compare_exchange(&server->cell, from,
						       claim->to));
	return rc;
}

int fh_server_claim(struct server *server, const struct server_claim *claim,
		    struct fh_server_event *event)
{
	struct fh_status_snapshot from;
	int rc;

	fh_rcu_read_lock();
	rc = own(server, claim, &from);
	fh_rcu_read_unlock();
	if (rc)
		return rc;
	fh_point("server.claimed");
	put_on(server, claim, from, event);
	return 0;
}

/* I3; if the cell has changed when it comes to that, a claim was helping. */
void fh_server_settle(struct server *server,
		      const struct server_outcome *outcome,
		      struct fh_server_event *event)
{
	const struct face *before = load_relaxed(&server->face);
	struct client *home = before->home;
	struct face *face = &home->face[before - home->face + 1];
	struct fh_status_snapshot busy = {
		.state = before->info.state, .epoch = before->info.epoch - 1,
	};

	face->info = before->info;
	face->home = home;
	fh_server_write_outcome(&face->info, outcome, home->base.generation);
	tell(server, face, busy.state, event);
	publish(server, face);
	fh_point("server.settling");
	fh_status_compare_exchange(&server->cell, &busy, outcome->to);
}

/* Law 4. */
int fh_server_wait_past(struct server *server, uint64_t epoch,
			int64_t deadline)
{
	struct fh_status_snapshot seen = fh_status_read(&server->cell);
	int rc = 0;

	while (rc == 0 && seen.epoch + 1 <= epoch)
		rc = fh_status_wait_change(&server->cell, seen.epoch, deadline,
					   &seen);
	return rc;
}

/* ---- users: I5, law 5 ---- */

int fh_server_join(struct server *server)
{
	uint64_t users = load_relaxed(&server->users);

	do {
		if (users & CLOSED)
			return -ESHUTDOWN;
		/* pairs with: server.users */
	} while (!cas_acq_rel_relaxed(&server->users, &users, users + USER));
	return 0;
}

/*
 * Who joined on the way to a restart that failed; those who were forced out
 * meanwhile are not counted any more.
 */
void fh_server_unjoin(struct server *server)
{
	uint64_t users = load_relaxed(&server->users);

	do {
		if (users < USER)
			return;
		/* pairs with: server.users */
	} while (!cas_acq_rel_relaxed(&server->users, &users, users - USER));
}

int64_t fh_server_leave(struct server *server)
{
	uint64_t users = load_relaxed(&server->users), left;

	do {
		if (users & CLOSED)
			return -ESHUTDOWN;
		left = users < 2 * USER ? CLOSED : users - USER;
		/* pairs with: server.users */
	} while (!cas_acq_rel_relaxed(&server->users, &users, left));
	return (int64_t)(left / USER);
}

bool fh_server_close(struct server *server)
{
	uint64_t users = load_relaxed(&server->users);

	do {
		if (users & CLOSED)
			return false;
		/* pairs with: server.users */
	} while (!cas_acq_rel_relaxed(&server->users, &users, CLOSED));
	return true;
}

bool fh_server_is_closed(struct server *server)
{
	/* pairs with: server.users */
	return add_acq_rel(&server->users, 0u) & CLOSED;
}

void fh_server_reopen(struct server *server)
{
	store_relaxed(&server->users, 0u);
}

/* ---- walking ---- */

/*
 * What a walk brings home from one read section: as many as there is room
 * for, in the order of their hashes; the cursor is set back to the first one
 * that is left.  test_server_haul.c makes do with less room.
 */
#ifndef HAUL
#define HAUL 32
#endif

struct haul {
	struct server *server[HAUL];
	size_t count;
	bool cut;
	uint64_t rest;
};

static void keep_below(struct haul *haul, uint64_t limit)
{
	size_t kept = 0;

	for (size_t i = 0; i < haul->count; i++)
		if (haul->server[i]->entry.hash < limit)
			haul->server[kept++] = haul->server[i];
	haul->count = kept;
	haul->cut = true;
	haul->rest = limit;
}

static uint64_t highest(const struct haul *haul)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < haul->count; i++)
		if (haul->server[i]->entry.hash > hash)
			hash = haul->server[i]->entry.hash;
	return hash;
}

static int gather(struct fh_map_entry *entry, void *arg)
{
	struct haul *haul = arg;

	if (haul->count == HAUL)
		keep_below(haul, highest(haul));
	if (!haul->cut || entry->hash < haul->rest)
		haul->server[haul->count++] = server_of(entry);
	return 0;
}

/* Within a read section, so that all of them are there; then those held. */
static void next_haul(struct fh_servers *servers, struct fh_map_cursor *cursor,
		      struct haul *haul)
{
	size_t held = 0;

	haul->count = 0;
	haul->cut = false;
	fh_rcu_read_lock();
	fh_map_walk(servers->map, cursor, HAUL / 2, gather, haul);
	for (size_t i = 0; i < haul->count; i++)
		if (fh_ref_unless_zero(&haul->server[i]->refs))
			haul->server[held++] = haul->server[i];
	fh_rcu_read_unlock();
	haul->count = held;
	if (haul->cut) {
		cursor->next = haul->rest;
		cursor->done = 0;
	}
}

/* Law 8. */
static bool is_over(struct server *server)
{
	if (fh_status_get(&server->cell) != FH_SERVER_STOPPED)
		return false;
	fh_server_remove(server);
	return true;
}

size_t fh_server_each(struct fh_servers *servers,
		      bool (*visit)(struct server *server, void *arg),
		      void *arg)
{
	struct fh_map_cursor cursor = { 0 };
	struct haul haul;
	size_t visited = 0;
	bool go_on = true;

	while (go_on && !cursor.done) {
		next_haul(servers, &cursor, &haul);
		for (size_t i = 0; i < haul.count; i++) {
			if (go_on && !is_over(haul.server[i])) {
				visited++;
				go_on = visit(haul.server[i], arg);
			}
			fh_server_drop(haul.server[i]);
		}
	}
	return visited;
}
