/* SPDX-License-Identifier: MIT */
/*
 * The bridge's state: users with their sessions, rooms with their logs, and
 * who is where.
 *
 * A user is in one room at most, because there is one cell that says so: the
 * record `room` of the session.  Who asks for the members of a room looks at
 * all cells; nothing is counted anywhere else, so a move is one publication,
 * and nobody sees the user twice, or not at all.
 *
 * The cell holds the room: a room with members does not end.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include "../http/http.h"
#include "backend.h"
#include "mailbox.h"
#include "rate.h"
#include "registry.h"

/** Names of users and rooms, in bytes. */
#define BRIDGE_NAME 64

struct bridge_options {
	size_t sessions, rooms;		/* at most */
	size_t history;			/* messages that a room keeps */
	size_t message;			/* bytes of a message at most */
	size_t letters;			/* events that a mailbox keeps */
	size_t threads;			/* requests at the back end at once */
	struct rate_limit rate;
	int64_t idle;			/* until a session or a room ends */
	struct backend backend;
	bool alone;			/* call the back end in the loop */
};

struct bridge {
	struct bridge_options options;
	struct registry users, rooms;
	struct registry_kind user_kind;
	struct fh_gate *gate;
	struct fh_map *calls;		/* at the back end, by number */
	uint64_t call_number;
	struct http *http;
	int64_t started;
	struct fh_counter messages, replies, failures, limited, abandoned;
};

struct room {
	struct item item;		/* first: its name is the room's */
	struct fh_log *log;
	struct http_lot lot;		/* who waits for more */
};

struct session {
	struct item item;		/* first: its name is the user's id */
	struct fh_record room;		/* a struct room *, or NULL */
	struct fh_record name;		/* what the user is called */
	struct mailbox mailbox;
	uint64_t messages;
	struct rate rate;		/* last: its slots follow */
};

int bridge_create(struct bridge *bridge, const struct bridge_options *options);

/** bridge_destroy - nobody uses it any more */
void bridge_destroy(struct bridge *bridge);

/* ---- sessions and rooms; errors as registry_take ---- */

int session_take(struct bridge *bridge, const char *id, size_t length,
		 bool create, struct session **session);
void session_give(struct bridge *bridge, struct session *session);

int room_take(struct bridge *bridge, const char *name, size_t length,
	      bool create, struct room **room);
void room_give(struct bridge *bridge, struct room *room);

/** session_call - set what the user is called; -ENOMEM */
int session_call(struct session *session, const char *name);

/** session_name - what it is called; inside a read section */
const char *session_name(const struct session *session);

/** session_room - where it is, or NULL; inside a read section */
struct room *session_room(const struct session *session);

/**
 * session_move - go to @room, or nowhere if that is NULL
 *
 * Whoever is in either room finds that in the mailbox.
 * Errors: -ENOMEM: no memory; nothing was changed.
 */
int session_move(struct bridge *bridge, struct session *session,
		 struct room *room);

/**
 * room_say - append to the room's log, and wake who waits for it
 * @kind: "message" or "reply"
 *
 * Errors: -ENOMEM; -EILSEQ: the text is no UTF-8.
 */
int room_say(struct bridge *bridge, struct room *room,
	     const struct session *session, const char *kind,
	     const char *text, size_t length, uint64_t *seq);

/** bridge_wall - milliseconds since 1970 */
int64_t bridge_wall(void);

/* ---- chat.c: requests that go to the back end ---- */

/** What serve() needs of one. */
struct call {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	struct bridge *bridge;
	struct http_request *request;
	struct session *session;
	struct room *room;
	struct fh_status go;		/* the loop is done with it */
	uint64_t claimed, holders;
	uint64_t seq, reply_seq;
	int rc;				/* of the back end */
	char *message, *line;
	struct rate_answer rate;
	char user[BRIDGE_NAME + 1], room_name[BRIDGE_NAME + 1];
	struct backend_call backend;
};

/**
 * chat - let a message into its room, and take it to the back end
 *
 * The session and the room are the call's from here on, also on failure.
 * On success the request is suspended, or with `alone` set answered on the
 * next visit at once; its `mine` is the call.
 *
 * Errors: -EBUSY: too many are at the back end; -ESHUTDOWN: the end is near;
 * -EAGAIN: no thread can be had; -ENOMEM; and what room_say gives.
 */
int chat(struct bridge *bridge, struct http_request *request,
	 struct session *session, struct room *room, const char *message,
	 const struct rate_answer *rate, struct call **call);

/** chat_abandon - resume all requests that are at the back end, without a
 *  reply, and kill its processes; how many */
size_t chat_abandon(struct bridge *bridge);

/* ---- serve.c and views.c ---- */

void bridge_serve(struct http_request *request, void *bridge);

/** json_response - takes @text; NULL: there is no memory, or no text */
struct MHD_Response *json_response(char *text);

struct json_t;
void reply(struct http_request *request, unsigned code, struct json_t *json,
	   const struct rate_answer *rate, const struct rate_limit *limit);
void reply_error(struct http_request *request, unsigned code,
		 const char *text);

void view_health(struct bridge *bridge, struct http_request *request);
void view_sessions(struct bridge *bridge, struct http_request *request);
void view_rooms(struct bridge *bridge, struct http_request *request);
void view_log(struct bridge *bridge, struct http_request *request,
	      const char *name, size_t length);
void view_events(struct bridge *bridge, struct http_request *request,
		 const char *user);

#endif
