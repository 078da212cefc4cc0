/* SPDX-License-Identifier: MIT */
#include "bridge.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void user_over(struct item *item, void *arg);

/* A text may become six times as long in JSON; names and the rest, 4 KiB. */
#define LONGER 6
#define AROUND 4096

int64_t bridge_wall(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- rooms ---- */

static int room_begin(struct item *item, void *arg)
{
	struct room *room = (struct room *)item;
	struct bridge *bridge = arg;
	size_t text = bridge->options.message;
	struct fh_log_options options = { bridge->options.history, 0 };

	text = text > BACKEND_REPLY ? text : BACKEND_REPLY;
	options.max_size = text * LONGER + AROUND;
	return fh_log_create(&room->log, &options);
}

static void room_over(struct item *item, void *arg)
{
	(void)arg;
	fh_log_close(((struct room *)item)->log);
}

static void room_release(struct item *item)
{
	fh_log_destroy(((struct room *)item)->log);
}

static const struct registry_kind room_kind = {
	sizeof(struct room), room_begin, room_over, room_release
};

int room_take(struct bridge *bridge, const char *name, size_t length,
	      bool create, struct room **room)
{
	struct item *item;
	int rc = registry_take(&bridge->rooms, name, length, create, &item);

	*room = (struct room *)item;
	return rc;
}

void room_give(struct bridge *bridge, struct room *room)
{
	if (room)
		registry_give(&bridge->rooms, &room->item);
}

static json_t *said(const struct session *session, const char *kind,
		    const char *text, size_t length)
{
	json_t *json;

	fh_rcu_read_lock();
	json = json_pack("{s:s, s:s, s:s, s:s%, s:I}", "kind", kind,
			 "user_id", session->item.name,
			 "username", session_name(session),
			 "message", text, length,
			 "at", (json_int_t)bridge_wall());
	fh_rcu_read_unlock();
	return json;
}

int room_say(struct bridge *bridge, struct room *room,
	     const struct session *session, const char *kind,
	     const char *text, size_t length, uint64_t *seq)
{
	json_t *json = said(session, kind, text, length);
	char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int rc = json ? -ENOMEM : -EILSEQ;

	json_decref(json);
	if (line)
		rc = fh_log_append(room->log, line, strlen(line), seq);
	free(line);
	if (rc == 0)
		http_notify(bridge->http, &room->lot);
	return rc;
}

/* ---- sessions ---- */

static int user_begin(struct item *item, void *arg)
{
	(void)item, (void)arg;	/* zero bytes are all it needs */
	return 0;
}

static void user_release(struct item *item)
{
	struct session *session = (struct session *)item;
	uint64_t missed;

	letters_free(mailbox_empty(&session->mailbox, &missed));
	fh_record_destroy(&session->room);
	fh_record_destroy(&session->name);
}

int session_take(struct bridge *bridge, const char *id, size_t length,
		 bool create, struct session **session)
{
	struct item *item;
	int rc = registry_take(&bridge->users, id, length, create, &item);

	*session = (struct session *)item;
	return rc;
}

void session_give(struct bridge *bridge, struct session *session)
{
	if (session)
		registry_give(&bridge->users, &session->item);
}

int session_call(struct session *session, const char *name)
{
	bool same;

	fh_rcu_read_lock();
	same = !strcmp(session_name(session), name);
	fh_rcu_read_unlock();
	return same ? 0 : fh_record_publish(&session->name, name,
					    strlen(name) + 1);
}

const char *session_name(const struct session *session)
{
	const char *name = fh_record_get(&session->name, NULL, NULL);

	return name ? name : session->item.name;
}

static struct room *room_in(const struct session *session, uint64_t *version)
{
	struct room *const *cell = fh_record_get(&session->room, NULL,
						 version);

	return cell ? *cell : NULL;
}

struct room *session_room(const struct session *session)
{
	return room_in(session, NULL);
}

/* ---- who goes where, and who hears of it ---- */

struct move {
	struct bridge *bridge;
	const struct session *who;
	struct room *from, *to;
	struct news *left, *joined;
};

static struct news *news_of(const struct move *move, const char *event,
			    const struct room *room)
{
	struct news *news = NULL;
	json_t *json;
	char *text;

	if (!room)
		return NULL;
	json = json_pack("{s:s, s:s, s:s, s:s, s:I}", "event", event,
			 "user_id", move->who->item.name,
			 "username", session_name(move->who),
			 "room", room->item.name,
			 "at", (json_int_t)bridge_wall());
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (text)
		news = news_new(text);
	free(text);
	json_decref(json);
	return news;
}

static void tell_one(struct item *item, void *arg)
{
	struct session *session = (struct session *)item;
	struct move *move = arg;
	size_t limit = move->bridge->options.letters;
	struct room *room = session_room(session);

	if (session == move->who || !room)
		return;
	if (room == move->from && move->left)
		mailbox_put(&session->mailbox, move->left, limit);
	if (room == move->to && move->joined)
		mailbox_put(&session->mailbox, move->joined, limit);
}

/* Who has no memory to tell others has moved all the same. */
static void tell_all(struct move *move)
{
	fh_rcu_read_lock();
	move->left = news_of(move, "left", move->from);
	move->joined = news_of(move, "joined", move->to);
	registry_each(&move->bridge->users, tell_one, move);
	fh_rcu_read_unlock();
	if (move->left)
		news_release(move->left);
	if (move->joined)
		news_release(move->joined);
}

/* One attempt; -ESTALE: the user was moved meanwhile. */
static int try_move(struct move *move, struct session *session)
{
	uint64_t version;
	int rc = 0;

	fh_rcu_read_lock();
	move->from = room_in(session, &version);
	if (move->from != move->to)
		rc = fh_record_publish_if(&session->room, version, &move->to,
					  sizeof(move->to));
	fh_rcu_read_unlock();
	return rc;
}

int session_move(struct bridge *bridge, struct session *session,
		 struct room *room)
{
	struct move move = { .bridge = bridge, .who = session, .to = room };
	int rc;

	if (room)
		registry_hold(&room->item);	/* for the cell */
	do
		rc = try_move(&move, session);
	while (rc == -ESTALE);
	if (rc < 0 || move.from == room) {
		room_give(bridge, room);
		return rc;
	}
	tell_all(&move);
	room_give(bridge, move.from);
	return 0;
}

/*
 * The session has ended where it was.  Its cell stays as it is: who looks at
 * all members passes by what has ended.
 */
static void user_over(struct item *item, void *arg)
{
	struct session *session = (struct session *)item;
	struct move move = { .bridge = arg, .who = session };

	fh_rcu_read_lock();
	move.from = session_room(session);
	fh_rcu_read_unlock();
	if (!move.from)
		return;
	tell_all(&move);
	room_give(arg, move.from);
}

/* ---- all of it ---- */

int bridge_create(struct bridge *bridge, const struct bridge_options *options)
{
	struct fh_gate_options gate = {
		.limit = options->threads,
		.idle = INT64_C(1000000000),
		.stack_size = (size_t)512 << 10,
	};
	int rc;

	*bridge = (struct bridge){
		.options = *options,
		.started = fh_now(),
		.user_kind = {
			sizeof(struct session) +
				options->rate.count * sizeof(int64_t),
			user_begin, user_over, user_release,
		},
	};
	rc = registry_create(&bridge->rooms, &room_kind, bridge,
			     options->rooms);
	if (rc == 0)
		rc = registry_create(&bridge->users, &bridge->user_kind,
				     bridge, options->sessions);
	if (rc == 0)
		rc = fh_map_create(&bridge->calls, NULL);
	if (rc == 0)
		rc = fh_gate_create(&bridge->gate, &gate);
	if (rc < 0)
		bridge_destroy(bridge);
	return rc;
}

void bridge_destroy(struct bridge *bridge)
{
	fh_gate_destroy(bridge->gate);
	fh_map_destroy(bridge->calls, NULL, NULL);
	registry_destroy(&bridge->users);
	registry_destroy(&bridge->rooms);
}
