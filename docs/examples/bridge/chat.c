/* SPDX-License-Identifier: MIT */
/*
 * A message on its way to the back end and back.
 *
 *     the loop                              a thread of the gate's
 *     asks the gate for a place   ------->  waits for `go`
 *     appends the message to the log
 *     lets the request lie
 *     go                          ------->  asks the back end, seconds
 *                                           appends the reply
 *     answers                     <-------  resumes the request
 *
 * The message gets its number in the loop, in the order in which requests
 * came, and not on threads that overtake each other: so one user's messages
 * stand in the order in which they were sent.  It gets it after the gate has
 * let it in: so what is refused leaves no message behind.
 *
 * A call has two holders, the request and the thread.  Who resumes the request
 * claims that first, because at the end of the program somebody else may.
 */
#include "bridge.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_YET, GO, NEVER_MIND };

static void call_free(struct fh_rcu_head *head)
{
	struct call *call = (struct call *)((char *)head -
					    offsetof(struct call, rcu));

	free(call->message);
	free(call->line);
	free(call);
}

static void release(struct call *call)
{
	struct bridge *bridge = call->bridge;

	if (__atomic_sub_fetch(&call->holders, 1, __ATOMIC_ACQ_REL))
		return;
	fh_map_remove_entry(bridge->calls, &call->entry);
	session_give(bridge, call->session);
	room_give(bridge, call->room);
	fh_rcu_retire(&call->rcu, call_free);
}

static void request_over(struct http_request *request)
{
	release(request->mine);
}

static bool claim(struct call *call)
{
	return !__atomic_exchange_n(&call->claimed, 1, __ATOMIC_ACQ_REL);
}

/* ---- on a thread of the gate's ---- */

static void ask_back_end(struct call *call)
{
	struct bridge *bridge = call->bridge;
	struct backend_call *backend = &call->backend;

	call->rc = backend_ask(&bridge->options.backend, backend,
			       call->message, call->line);
	if (call->rc == 0)
		call->rc = room_say(bridge, call->room, call->session, "reply",
				    backend->reply, backend->length,
				    &call->reply_seq);
	fh_counter_add(call->rc < 0 ? &bridge->failures : &bridge->replies, 1);
}

static void run(void *arg)
{
	struct fh_status_snapshot seen;
	struct call *call = arg;

	fh_status_wait(&call->go, FH_STATE(GO) | FH_STATE(NEVER_MIND),
		       FH_FOREVER, &seen);
	if (seen.state == GO) {
		ask_back_end(call);
		if (claim(call))
			http_resume(call->request, HTTP_RESUMED);
	}
	release(call);
}

/* ---- in the loop ---- */

/* What a command gets to read. */
static char *line_of(const struct call *call)
{
	char *text, *line = NULL;
	json_t *json;

	fh_rcu_read_lock();
	json = json_pack("{s:s, s:s, s:s, s:s}", "user_id", call->user,
			 "username", session_name(call->session),
			 "room", call->room_name, "message", call->message);
	fh_rcu_read_unlock();
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

static struct call *call_new(struct bridge *bridge, struct session *session,
			     struct room *room, const char *message)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		session_give(bridge, session);
		room_give(bridge, room);
		return NULL;
	}
	call->bridge = bridge;
	call->session = session;
	call->room = room;
	call->holders = 1;
	strcpy(call->user, session->item.name);
	strcpy(call->room_name, room->item.name);
	call->entry.key = fh_key_u64(__atomic_add_fetch(
		&bridge->call_number, 1, __ATOMIC_RELAXED));
	call->message = strdup(message);
	call->line = call->message ? line_of(call) : NULL;
	if (call->line &&
	    fh_map_insert(bridge->calls, &call->entry, NULL) == 0)
		return call;
	release(call);
	return NULL;
}

static int enter_gate(struct bridge *bridge, struct call *call)
{
	int rc;

	if (bridge->options.alone)
		return 0;
	__atomic_add_fetch(&call->holders, 1, __ATOMIC_ACQ_REL);
	rc = fh_gate_run(bridge->gate, run, call);
	if (rc < 0)
		release(call);
	return rc;
}

static int say(struct call *call)
{
	struct bridge *bridge = call->bridge;
	int rc = session_move(bridge, call->session, call->room);

	if (rc == 0)
		rc = room_say(bridge, call->room, call->session, "message",
			      call->message, strlen(call->message),
			      &call->seq);
	if (rc < 0)
		return rc;
	fh_counter_add(&bridge->messages, 1);
	__atomic_add_fetch(&call->session->messages, 1, __ATOMIC_RELAXED);
	return 0;
}

int chat(struct bridge *bridge, struct http_request *request,
	 struct session *session, struct room *room, const char *message,
	 const struct rate_answer *rate, struct call **to)
{
	struct call *call = call_new(bridge, session, room, message);
	int rc;

	if (!call)
		return -ENOMEM;
	call->request = request;
	call->rate = *rate;
	rc = enter_gate(bridge, call);
	if (rc < 0) {
		release(call);
		return rc;
	}
	rc = say(call);
	if (rc < 0) {
		fh_status_set(&call->go, NEVER_MIND);
		release(call);
		return rc;
	}
	*to = request->mine = call;
	request->over = request_over;
	if (bridge->options.alone) {
		ask_back_end(call);
		return 0;
	}
	http_suspend(request);
	fh_status_set(&call->go, GO);
	return 0;
}

/* ---- at the end ---- */

static int abandon(struct fh_map_entry *entry, void *arg)
{
	struct call *call = (struct call *)entry;
	size_t *count = arg;

	if (fh_status_get(&call->go) != GO || !claim(call))
		return 0;
	backend_kill(&call->backend);
	fh_counter_add(&call->bridge->abandoned, 1);
	http_resume(call->request, HTTP_CLOSING);
	++*count;
	return 0;
}

size_t chat_abandon(struct bridge *bridge)
{
	size_t count = 0;

	fh_map_walk(bridge->calls, &(struct fh_map_cursor){ 0 }, 0, abandon,
		    &count);
	return count;
}
