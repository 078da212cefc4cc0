/* SPDX-License-Identifier: MIT */
/* What can be looked at: health, sessions, rooms, logs and mailboxes. */
#include "bridge.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000
#define LONGEST_WAIT 60000
#define MOST_SHOWN 10000
#define SHOWN 1000

static json_int_t sum(const struct fh_counter *counter)
{
	return (json_int_t)fh_counter_read(counter);
}

void view_health(struct bridge *bridge, struct http_request *request)
{
	struct fh_gate_stats gate;
	struct http_stats http;
	json_t *json;

	fh_gate_get_stats(bridge->gate, &gate);
	http_get_stats(bridge->http, &http);
	json = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"status", gate.closed ? "closing" : "ok",
		"build", fh_build(),
		"uptime_ms", (json_int_t)((fh_now() - bridge->started) / MS),
		"active_sessions", (json_int_t)registry_count(&bridge->users),
		"active_rooms", (json_int_t)registry_count(&bridge->rooms),
		"messages", sum(&bridge->messages),
		"replies", sum(&bridge->replies),
		"failures", sum(&bridge->failures),
		"limited", sum(&bridge->limited),
		"sessions_expired", sum(&bridge->users.expired),
		"sessions_evicted", sum(&bridge->users.evicted));
	json_object_set_new(json, "calls", json_pack(
		"{s:I, s:I, s:I, s:I, s:I}",
		"inside", (json_int_t)gate.inside,
		"peak", (json_int_t)gate.peak,
		"limit", (json_int_t)gate.limit,
		"admitted", (json_int_t)gate.admitted,
		"refused", (json_int_t)gate.refused));
	json_object_set_new(json, "connections", json_pack(
		"{s:I, s:I, s:I, s:I, s:I}", "open", (json_int_t)http.open,
		"accepted", (json_int_t)http.accepted,
		"refused", (json_int_t)http.refused,
		"dropped", (json_int_t)http.dropped,
		"waiting", (json_int_t)http.parked));
	reply(request, 200, json, NULL, NULL);
}

/* ---- sessions ---- */

struct listing {
	json_t *list;
	uint64_t count, most;
};

static void list_session(struct item *item, void *arg)
{
	struct session *session = (struct session *)item;
	struct listing *listing = arg;
	struct room *room = session_room(session);

	if (listing->count++ >= listing->most)
		return;
	json_array_append_new(listing->list, json_pack(
		"{s:s, s:s, s:s?, s:I, s:I}",
		"user_id", item->name, "username", session_name(session),
		"room", room ? room->item.name : NULL,
		"idle_ms", (json_int_t)(item_idle(item) / MS),
		"messages", (json_int_t)__atomic_load_n(&session->messages,
							__ATOMIC_RELAXED)));
}

void view_sessions(struct bridge *bridge, struct http_request *request)
{
	struct listing listing = { .list = json_array() };

	if (http_argument(request, "limit", MOST_SHOWN, SHOWN,
			  &listing.most) < 0) {
		json_decref(listing.list);
		reply_error(request, 400, "limit is a number up to 10000");
		return;
	}
	fh_rcu_read_lock();
	registry_each(&bridge->users, list_session, &listing);
	fh_rcu_read_unlock();
	reply(request, 200, json_pack("{s:I, s:o}", "count",
				      (json_int_t)listing.count, "sessions",
				      listing.list), NULL, NULL);
}

/* ---- rooms ---- */

/* How many cells point at each room, by its address. */
struct tally {
	struct fh_map_entry entry;
	struct room *room;
	uint64_t members;
};

struct census {
	struct fh_map *map;
	json_t *list;
	bool failed;
};

/* The room's row, made at need.  The map is the caller's alone. */
static struct tally *row_of(struct census *census, struct room *room)
{
	struct fh_key key = fh_key_u64((uint64_t)(uintptr_t)room);
	struct fh_map_entry *entry = fh_map_lookup(census->map, key);
	struct tally *row = (struct tally *)entry;

	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (row) {
		row->entry.key = key;
		row->room = room;
	}
	if (row && fh_map_insert(census->map, &row->entry, NULL) < 0) {
		free(row);
		row = NULL;
	}
	census->failed |= !row;
	return row;
}

static void count_member(struct item *item, void *arg)
{
	struct room *room = session_room((struct session *)item);
	struct tally *row = room ? row_of(arg, room) : NULL;

	if (row)
		row->members++;
}

static void count_room(struct item *item, void *arg)
{
	row_of(arg, (struct room *)item);
}

static int list_room(struct fh_map_entry *entry, void *arg)
{
	struct tally *row = (struct tally *)entry;
	struct census *census = arg;
	struct fh_log_range range;

	fh_log_get_range(row->room->log, &range);
	json_array_append_new(census->list, json_pack(
		"{s:s, s:I, s:I, s:I, s:I}", "room", row->room->item.name,
		"members", (json_int_t)row->members,
		"first", (json_int_t)range.first,
		"last", (json_int_t)range.last,
		"idle_ms", (json_int_t)(item_idle(&row->room->item) / MS)));
	return 0;
}

static void row_free(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	free(entry);
}

/*
 * One look at each cell decides where its user is: so the members of all
 * rooms add up to the users that are in one, whatever moves meanwhile.  A
 * room that comes up after its time is listed too: the cells know it.
 */
void view_rooms(struct bridge *bridge, struct http_request *request)
{
	struct census census = { .list = json_array() };

	if (fh_map_create(&census.map, NULL) < 0) {
		json_decref(census.list);
		return;
	}
	fh_rcu_read_lock();
	registry_each(&bridge->users, count_member, &census);
	registry_each(&bridge->rooms, count_room, &census);
	fh_map_walk(census.map, &(struct fh_map_cursor){ 0 }, 0, list_room,
		    &census);
	fh_rcu_read_unlock();
	fh_map_destroy(census.map, row_free, NULL);
	if (census.failed) {
		json_decref(census.list);
		reply_error(request, 503, "no memory");
		return;
	}
	reply(request, 200, json_pack("{s:o}", "rooms", census.list), NULL,
	      NULL);
}

/* ---- a room's log ---- */

static bool has_more(struct http_request *request)
{
	struct room *room = request->mine;
	struct fh_log_range range;

	fh_log_get_range(room->log, &range);
	return range.last > request->number || range.closed;
}

/* What follows @since, as far as it is kept: each message once, whole. */
static char *log_text(const struct room *room, uint64_t since, uint64_t most)
{
	struct fh_log_message message;
	uint64_t cursor = since, missed = 0;
	const char *comma = "";
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "{\"messages\":[");
	fh_rcu_read_lock();
	while (most-- && fh_log_get(room->log, &cursor, &message) == 0) {
		/* What was appended is an object: its first member is new. */
		fprintf(out, "%s{\"seq\":%" PRIu64 ",%.*s", comma,
			message.number, (int)message.size - 1,
			(const char *)message.data + 1);
		missed += message.missed;
		comma = ",";
	}
	fh_rcu_read_unlock();
	fprintf(out, "],\"next\":%" PRIu64 ",\"missed\":%" PRIu64 "}", cursor,
		missed);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void say_log(struct http_request *request, const struct room *room,
		    uint64_t since, uint64_t most)
{
	struct MHD_Response *response =
		json_response(log_text(room, since, most));

	if (!response)
		return;
	http_answer(request, 200, response);
	MHD_destroy_response(response);
}

static void leave_room(struct http_request *request)
{
	struct bridge *bridge = request->arg;

	room_give(bridge, request->mine);
}

/* A cursor beyond the last message is from another life of the room. */
static uint64_t plausible(const struct room *room, uint64_t since)
{
	struct fh_log_range range;

	fh_log_get_range(room->log, &range);
	return since > range.last ? range.last : since;
}

void view_log(struct bridge *bridge, struct http_request *request,
	      const char *name, size_t length)
{
	uint64_t since, wait, most;
	struct room *room = request->mine;

	if (http_argument(request, "since", UINT64_MAX, 0, &since) < 0 ||
	    http_argument(request, "wait", LONGEST_WAIT, 0, &wait) < 0 ||
	    http_argument(request, "limit", MOST_SHOWN, SHOWN, &most) < 0) {
		reply_error(request, 400, "since, wait and limit are numbers; "
			    "wait is in milliseconds, at most 60000, and "
			    "limit at most 10000");
		return;
	}
	if (!room) {
		if (room_take(bridge, name, length, false, &room) < 0) {
			reply_error(request, 404, "there is no such room");
			return;
		}
		request->mine = room;
		request->over = leave_room;
		request->number = plausible(room, since);
	}
	if (request->woken == HTTP_FIRST && wait && since == request->number &&
	    !has_more(request))
		http_park(request, &room->lot, has_more,
			  fh_deadline_in((int64_t)wait * HTTP_MS));
	else
		say_log(request, room, request->number, most);
}

/* ---- a mailbox ---- */

static json_t *take_letters(struct session *session, json_int_t *missed)
{
	json_t *list = json_array();
	uint64_t dropped;
	struct letter *letters = mailbox_empty(&session->mailbox, &dropped);

	for (struct letter *at = letters; at; at = at->next)
		json_array_append_new(list, json_loads(at->news->text, 0,
						       NULL));
	letters_free(letters);
	*missed = (json_int_t)dropped;
	return list;
}

void view_events(struct bridge *bridge, struct http_request *request,
		 const char *user)
{
	struct session *session;
	json_int_t missed;
	json_t *list;
	int rc;

	rc = session_take(bridge, user, strlen(user), false, &session);
	if (rc < 0) {
		reply_error(request, rc == -ENOENT ? 404 : 503,
			    rc == -ENOENT ? "there is no such user" :
			    "the session is about to end");
		return;
	}
	list = take_letters(session, &missed);
	reply(request, 200, json_pack("{s:s, s:o, s:I}", "user_id", user,
				      "events", list, "missed", missed),
	      NULL, NULL);
	session_give(bridge, session);
}
