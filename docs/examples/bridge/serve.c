/* SPDX-License-Identifier: MIT */
/*
 * Requests and their answers, all of JSON but for the page.
 *
 *     GET  /                                a page to chat with
 *     POST /bridge/chat                     user_id, username, room, message
 *     POST /bridge/join                     user_id, username, room
 *     POST /bridge/leave                    user_id
 *     GET  /bridge/health
 *     GET  /bridge/sessions                 ?limit=N
 *     GET  /bridge/rooms
 *     GET  /bridge/rooms/ROOM/log           ?since=S&wait=MS&limit=N
 *     GET  /bridge/room_events/USER
 *
 * An error is {"error": "..."}: 400 what is not understood, 403 another
 * site's page posts it, 404, 405, 413 too long, 429 too often, 502 the back
 * end failed, 503 too much at once or about to end, 504 the back end took too
 * long.
 */
#include "bridge.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ROOMS "/bridge/rooms/"
#define EVENTS "/bridge/room_events/"

/* The page, which the linker has put into the program. */
extern const char _binary_docs_examples_bridge_page_html_start[];
extern const char _binary_docs_examples_bridge_page_html_end[];

/* ---- answers ---- */

static void add_number(struct MHD_Response *response, const char *name,
		       int64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)number);
	MHD_add_response_header(response, name, digits);
}

static void add_rate(struct MHD_Response *response,
		     const struct rate_answer *rate,
		     const struct rate_limit *limit)
{
	int64_t seconds = (rate->next + 999999999) / 1000000000;

	if (!limit->count)
		return;
	add_number(response, "X-RateLimit-Limit", (int64_t)limit->count);
	add_number(response, "X-RateLimit-Remaining",
		   (int64_t)rate->remaining);
	add_number(response, "X-RateLimit-Reset", seconds);
	if (!rate->admitted)
		add_number(response, "Retry-After", seconds);
}

struct MHD_Response *json_response(char *text)
{
	struct MHD_Response *response = NULL;

	if (text)
		response = http_response(text, strlen(text),
					 "application/json");
	free(text);
	if (response)
		MHD_add_response_header(response, "Cache-Control",
					"no-store");
	return response;
}

/* Takes @json; NULL, for want of memory, ends the connection. */
void reply(struct http_request *request, unsigned code, json_t *json,
	   const struct rate_answer *rate, const struct rate_limit *limit)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct MHD_Response *response = json_response(text);

	json_decref(json);
	if (!response)
		return;
	if (rate)
		add_rate(response, rate, limit);
	if (code == 503)
		add_number(response, "Retry-After", 1);
	http_answer(request, code, response);
	MHD_destroy_response(response);
}

void reply_error(struct http_request *request, unsigned code, const char *text)
{
	reply(request, code, json_pack("{s:s}", "error", text), NULL, NULL);
}

/* A negative errno value, as an answer. */
static void reply_errno(struct http_request *request, int rc,
			const char *busy)
{
	switch (rc) {
	case -EBUSY:
		reply_error(request, 503, busy);
		break;
	case -ESHUTDOWN:
		reply_error(request, 503, "the bridge is about to end");
		break;
	case -EAGAIN:
		reply_error(request, 503, "no thread can be had");
		break;
	case -EILSEQ:
		reply_error(request, 400, "the text is no UTF-8");
		break;
	default:
		reply_error(request, 503, "no memory");
	}
}

/* ---- what POST brings ---- */

struct post {
	json_t *json;
	const char *user, *name, *room, *message;
	char why[200];
	unsigned code;		/* 0: all is well */
};

/* The first complaint counts. */
__attribute__((format(printf, 3, 4))) static void
complain(struct post *post, unsigned code, const char *what, ...)
{
	va_list values;

	if (post->code)
		return;
	post->code = code;
	va_start(values, what);
	vsnprintf(post->why, sizeof(post->why), what, values);
	va_end(values);
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			return true;
	return false;
}

/* A member of the object; @otherwise if it is not there, or null. */
static const char *member(struct post *post, const char *field,
			  const char *otherwise)
{
	json_t *value = json_object_get(post->json, field);

	if (value && !json_is_null(value) && !json_is_string(value))
		complain(post, 400, "%s must be a string", field);
	if (json_is_string(value))
		return json_string_value(value);
	if (!otherwise)
		complain(post, 400, "%s is missing", field);
	return otherwise;
}

static const char *name_member(struct post *post, const char *field,
			       const char *otherwise)
{
	const char *name = member(post, field, otherwise);

	if (name && !*name)
		complain(post, 400, "%s is empty", field);
	else if (name && strlen(name) > BRIDGE_NAME)
		complain(post, 400, "%s is longer than %d bytes", field,
			 BRIDGE_NAME);
	else if (name && has_control(name))
		complain(post, 400, "%s has a control character", field);
	return name;
}

static void text_member(struct post *post, const char *field, size_t most)
{
	post->message = member(post, field, NULL);
	if (post->message && !*post->message)
		complain(post, 400, "%s is empty", field);
	else if (post->message && strlen(post->message) > most)
		complain(post, 413, "%s is longer than %zu bytes", field,
			 most);
}

static void parse(struct http_request *request, struct post *post)
{
	json_error_t error;

	*post = (struct post){ .code = 0 };
	if (request->oversize) {
		complain(post, 413, "the body is longer than %zu bytes",
			 http_body_limit(request));
		return;
	}
	post->json = json_loadb(request->body ? request->body : "",
				request->size, JSON_REJECT_DUPLICATES, &error);
	if (!post->json)
		complain(post, 400, "no JSON: %.150s", error.text);
	else if (!json_is_object(post->json))
		complain(post, 400, "the JSON must be an object");
	else
		post->user = name_member(post, "user_id", NULL);
}

/* The session of the one who posts, if the limit of his requests allows. */
static struct session *admit(struct bridge *bridge,
			     struct http_request *request, struct post *post,
			     bool create, struct rate_answer *rate)
{
	struct session *session;
	int rc = session_take(bridge, post->user, strlen(post->user), create,
			      &session);

	if (rc == -ENOENT) {
		reply_error(request, 404, "there is no such user");
		return NULL;
	}
	if (rc < 0) {
		reply_errno(request, rc, "every session is in use");
		return NULL;
	}
	*rate = rate_take(&session->rate, &bridge->options.rate, fh_now());
	if (rate->admitted)
		return session;
	fh_counter_add(&bridge->limited, 1);
	reply(request, 429, json_pack("{s:s}", "error", "too many requests"),
	      rate, &bridge->options.rate);
	session_give(bridge, session);
	return NULL;
}

/* The room that is named, and the user called as said. */
static struct room *prepare(struct bridge *bridge,
			    struct http_request *request, struct post *post,
			    struct session *session, struct rate_answer *rate)
{
	struct room *room = NULL;
	int rc = 0;

	if (post->name)
		rc = session_call(session, post->name);
	if (rc == 0)
		rc = room_take(bridge, post->room, strlen(post->room), true,
			       &room);
	if (rc == 0)
		return room;
	rate_return(&session->rate, rate);
	reply_errno(request, rc, "every room is in use");
	session_give(bridge, session);
	return NULL;
}

/* Both of these; NULL: that has been answered. */
static struct session *enter(struct bridge *bridge,
			     struct http_request *request, struct post *post,
			     struct rate_answer *rate, struct room **room)
{
	struct session *session = admit(bridge, request, post, true, rate);

	*room = session ? prepare(bridge, request, post, session, rate) : NULL;
	return *room ? session : NULL;
}

/* ---- POST ---- */

static void answer_chat(struct bridge *bridge, struct http_request *request,
			struct call *call)
{
	const struct rate_limit *limit = &bridge->options.rate;
	json_t *json;

	if (request->woken == HTTP_CLOSING)
		json = json_pack("{s:s}", "error", "the bridge ended before "
				 "the back end replied");
	else if (call->rc == 0)
		json = json_pack("{s:s%, s:I}", "response",
				 call->backend.reply, call->backend.length,
				 "reply_seq", (json_int_t)call->reply_seq);
	else
		json = json_pack("{s:s}", "error", call->rc == -ETIMEDOUT ?
				 "the back end took too long" :
				 call->rc == -EMFILE || call->rc == -EAGAIN ?
				 "no process can be had" :
				 "the back end failed");
	if (!json)
		return;
	json_object_set_new(json, "user_id", json_string(call->user));
	json_object_set_new(json, "room", json_string(call->room_name));
	json_object_set_new(json, "seq", json_integer((json_int_t)call->seq));
	reply(request, request->woken == HTTP_CLOSING ? 503 :
	      call->rc == 0 ? 200 : call->rc == -ETIMEDOUT ? 504 :
	      call->rc == -EMFILE || call->rc == -EAGAIN ? 503 : 502,
	      json, &call->rate, limit);
}

static void serve_chat(struct bridge *bridge, struct http_request *request,
		       struct post *post)
{
	struct rate_answer rate;
	struct session *session;
	struct call *call;
	struct room *room;
	int rc;

	session = enter(bridge, request, post, &rate, &room);
	if (!session)
		return;
	registry_hold(&session->item);
	rc = chat(bridge, request, session, room, post->message, &rate, &call);
	if (rc < 0) {
		rate_return(&session->rate, &rate);
		reply_errno(request, rc, "too many requests are at the back "
			    "end; please come again");
	} else if (bridge->options.alone) {
		answer_chat(bridge, request, call);
	}
	session_give(bridge, session);
}

static void serve_join(struct bridge *bridge, struct http_request *request,
		       struct post *post)
{
	struct rate_answer rate;
	struct session *session;
	struct room *room;
	int rc;

	session = enter(bridge, request, post, &rate, &room);
	if (!session)
		return;
	rc = session_move(bridge, session, room);
	if (rc < 0)
		reply_errno(request, rc, "");
	else
		reply(request, 200, json_pack("{s:s, s:s}", "user_id",
					      post->user, "room", post->room),
		      &rate, &bridge->options.rate);
	room_give(bridge, room);
	session_give(bridge, session);
}

static void serve_leave(struct bridge *bridge, struct http_request *request,
			struct post *post)
{
	struct rate_answer rate;
	struct session *session = admit(bridge, request, post, false, &rate);
	int rc;

	if (!session)
		return;
	rc = session_move(bridge, session, NULL);
	if (rc < 0)
		reply_errno(request, rc, "");
	else
		reply(request, 200, json_pack("{s:s, s:n}", "user_id",
					      post->user, "room"),
		      &rate, &bridge->options.rate);
	session_give(bridge, session);
}

static void serve_post(struct bridge *bridge, struct http_request *request)
{
	const char *path = request->path;
	bool chats = !strcmp(path, "/bridge/chat");
	bool leaves = !strcmp(path, "/bridge/leave");
	struct post post;

	parse(request, &post);
	if (!post.code && !leaves) {
		post.name = name_member(&post, "username", post.user);
		post.room = name_member(&post, "room", "lobby");
	}
	if (!post.code && chats)
		text_member(&post, "message", bridge->options.message);
	if (post.code)
		reply_error(request, post.code, post.why);
	else if (chats)
		serve_chat(bridge, request, &post);
	else if (leaves)
		serve_leave(bridge, request, &post);
	else
		serve_join(bridge, request, &post);
	json_decref(post.json);
}

/* ---- GET ---- */

static void serve_page(struct http_request *request)
{
	const char *page = _binary_docs_examples_bridge_page_html_start;
	size_t size = (size_t)(_binary_docs_examples_bridge_page_html_end -
			       page);
	struct MHD_Response *response = MHD_create_response_from_buffer(
		size, (void *)(uintptr_t)page, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return;
	MHD_add_response_header(response, "Content-Type",
				"text/html; charset=utf-8");
	MHD_add_response_header(response, "Content-Security-Policy",
				"default-src 'none'; connect-src 'self'; "
				"script-src 'unsafe-inline'; "
				"style-src 'unsafe-inline'; "
				"img-src data:; base-uri 'none'; "
				"form-action 'none'; frame-ancestors 'none'");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	http_answer(request, 200, response);
	MHD_destroy_response(response);
}

/* ROOM of /bridge/rooms/ROOM/log, which may hold slashes; 0: not that path. */
static size_t room_of(const char *path, const char **room)
{
	size_t length = strlen(path), before = strlen(ROOMS);

	if (strncmp(path, ROOMS, before) || length <= before + 4 ||
	    strcmp(path + length - 4, "/log"))
		return 0;
	*room = path + before;
	return length - before - 4;
}

static bool serve_get(struct bridge *bridge, struct http_request *request)
{
	const char *path = request->path, *room;
	size_t length = room_of(path, &room);

	if (!strcmp(path, "/"))
		serve_page(request);
	else if (!strcmp(path, "/bridge/health"))
		view_health(bridge, request);
	else if (!strcmp(path, "/bridge/sessions"))
		view_sessions(bridge, request);
	else if (!strcmp(path, "/bridge/rooms"))
		view_rooms(bridge, request);
	else if (length)
		view_log(bridge, request, room, length);
	else if (!strncmp(path, EVENTS, strlen(EVENTS)))
		view_events(bridge, request, path + strlen(EVENTS));
	else
		return false;
	return true;
}

/* ---- all of them ---- */

static bool is_post_path(const char *path)
{
	return !strcmp(path, "/bridge/chat") || !strcmp(path, "/bridge/join") ||
		!strcmp(path, "/bridge/leave");
}

/* Only who also gets the letters may empty a mailbox. */
static bool empties(const char *path)
{
	return !strncmp(path, EVENTS, strlen(EVENTS));
}

static bool is_get_path(const char *path)
{
	const char *room;

	return !strcmp(path, "/") || !strcmp(path, "/bridge/health") ||
		!strcmp(path, "/bridge/sessions") ||
		!strcmp(path, "/bridge/rooms") || room_of(path, &room) ||
		empties(path);
}

static void refuse_method(struct http_request *request, const char *allowed)
{
	static const char text[] = "{\"error\":\"not with this method\"}";
	struct MHD_Response *response =
		http_response(text, sizeof(text) - 1, "application/json");

	if (!response)
		return;
	MHD_add_response_header(response, "Allow", allowed);
	http_answer(request, 405, response);
	MHD_destroy_response(response);
}

void bridge_serve(struct http_request *request, void *arg)
{
	struct bridge *bridge = arg;
	bool posts = is_post_path(request->path);

	if (posts && request->mine)
		answer_chat(bridge, request, request->mine);
	else if ((posts || empties(request->path)) && http_foreign(request))
		reply_error(request, 403, "not from the page of another site");
	else if (posts && !strcmp(request->method, "POST"))
		serve_post(bridge, request);
	else if (posts)
		refuse_method(request, "POST");
	else if (!is_get_path(request->path))
		reply_error(request, 404, "there is nothing here");
	else if (empties(request->path) && strcmp(request->method, "GET"))
		refuse_method(request, "GET");
	else if (strcmp(request->method, "GET") &&
		 strcmp(request->method, "HEAD"))
		refuse_method(request, "GET, HEAD");
	else
		serve_get(bridge, request);
}
