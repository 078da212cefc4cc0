/* SPDX-License-Identifier: MIT */
/*
 * Requests and their answers.
 *
 * An answer is counted just before it is queued.  So whoever holds an answer
 * finds it counted, wherever he looks; what a client did not stay to take is
 * counted once more, as undelivered.
 */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TIMEOUT 30000
#define LONGEST 300000

const unsigned status_codes[CODES] = {
	200, 204, 400, 401, 403, 404, 405, 413, 500, 503, 0
};

static const char *const usual[] = { "RUN", "STOP", "PAUSE" };

/* ---- answers ---- */

static unsigned route_of(struct status_server *server, const char *path)
{
	if (path[0] != '/')
		return OTHER;
	if (!path[1])
		return ROOT;
	if (!strcmp(path, "/wait"))
		return WAIT;
	if (!strcmp(path, "/metrics"))
		return METRICS;
	for (unsigned i = 0; i < STATUS_WORDS && server->options.words[i]; i++)
		if (!strcmp(path + 1, server->options.words[i]))
			return WORD + i;
	return OTHER;
}

static void count(struct status_server *server, unsigned route, unsigned code)
{
	unsigned i = 0;

	while (status_codes[i] && status_codes[i] != code)
		i++;
	fh_counter_add(&server->counts.served[route][i], 1);
}

static void answer(struct status_server *server, struct http_request *request,
		   unsigned route, unsigned code, struct MHD_Response *response)
{
	count(server, route, code);
	http_answer(request, code, response);
}

/* A few words, and up to one header. */
static void say(struct status_server *server, struct http_request *request,
		unsigned route, unsigned code, const char *text,
		const char *header, const char *value)
{
	struct MHD_Response *response =
		http_response(text, strlen(text), "text/plain; charset=utf-8");

	if (!response)
		return;
	if (!header || MHD_add_response_header(response, header, value))
		answer(server, request, route, code, response);
	MHD_destroy_response(response);
}

/* The text itself, in place: no copy is made, and nothing is locked. */
static void say_status(struct status_server *server,
		       struct http_request *request, unsigned route)
{
	fh_rcu_read_lock();
	answer(server, request, route, 200,
	       board_read(&server->board)->response);
	fh_rcu_read_unlock();
}

static void say_epoch(struct status_server *server,
		      struct http_request *request, unsigned route,
		      unsigned code, uint64_t epoch)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, epoch);
	say(server, request, route, code, "", "X-Status-Epoch", digits);
}

/* ---- GET ---- */

static bool has_changed(struct http_request *request)
{
	struct status_server *server = request->mine;

	return board_epoch(&server->board) != request->number;
}

static void serve_wait(struct status_server *server,
		       struct http_request *request)
{
	uint64_t epoch, timeout;

	if (request->woken != HTTP_FIRST) {
		if (has_changed(request))
			say_status(server, request, WAIT);
		else
			say_epoch(server, request, WAIT, 204, request->number);
		return;
	}
	if (http_argument(request, "epoch", UINT64_MAX,
			  board_epoch(&server->board), &epoch) < 0 ||
	    http_argument(request, "timeout", LONGEST, TIMEOUT, &timeout) < 0) {
		say(server, request, WAIT, 400,
		    "epoch and timeout are numbers; timeout is in "
		    "milliseconds, at most 300000\n", NULL, NULL);
		return;
	}
	request->mine = server;
	request->number = epoch;
	if (has_changed(request))
		say_status(server, request, WAIT);
	else
		http_park(request, &server->board.lot, has_changed,
			  fh_deadline_in((int64_t)timeout * HTTP_MS));
}

static void serve_metrics(struct status_server *server,
			  struct http_request *request)
{
	struct MHD_Response *response = NULL;
	size_t length;
	char *text = status_metrics(server, &length);

	if (text)
		response = http_response(text, length,
					 "text/plain; version=0.0.4");
	free(text);
	if (!response)
		return;
	answer(server, request, METRICS, 200, response);
	MHD_destroy_response(response);
}

/* ---- POST ---- */

/* Takes as long for any text of the same length. */
static bool same(const char *given, const char *wanted)
{
	size_t length = strlen(wanted), given_length = strlen(given);
	volatile unsigned char differ = given_length != length;

	for (size_t i = 0; i < length; i++)
		differ |= (unsigned char)wanted[i] ^
			(unsigned char)given[given_length ?
					     i % given_length : 0];
	return !differ;
}

static bool may_post(struct status_server *server,
		     struct http_request *request)
{
	const char *given = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, "Authorization");

	if (!server->options.token)
		return true;
	if (!given || strncasecmp(given, "Bearer ", 7))
		return false;
	for (given += 7; *given == ' ';)
		given++;
	return same(given, server->options.token);
}

static void serve_word(struct status_server *server,
		       struct http_request *request, unsigned route)
{
	const char *word = server->options.words[route - WORD];
	uint64_t epoch;

	if (http_foreign(request))
		say(server, request, route, 403, "not from the page of "
		    "another site\n", NULL, NULL);
	else if (!may_post(server, request))
		say(server, request, route, 401, "the token is missing, or "
		    "it is another\n", "WWW-Authenticate",
		    "Bearer realm=\"status\"");
	else if (request->oversize)
		say(server, request, route, 413, "no body is wanted\n", NULL,
		    NULL);
	else if (board_publish(&server->board, word, strlen(word), &epoch) < 0)
		say(server, request, route, 500, "no memory\n", NULL, NULL);
	else
		say_epoch(server, request, route, 200, epoch);
}

/* ---- all of them ---- */

static void serve(struct http_request *request, void *arg)
{
	struct status_server *server = arg;
	unsigned route = route_of(server, request->path);
	bool reads = !strcmp(request->method, "GET") ||
		!strcmp(request->method, "HEAD");
	bool posts = !strcmp(request->method, "POST");

	if (route == OTHER)
		say(server, request, route, 404, "there is nothing here\n",
		    NULL, NULL);
	else if (route >= WORD ? !posts : !reads)
		say(server, request, route, 405, "not with this method\n",
		    "Allow", route >= WORD ? "POST" : "GET, HEAD");
	else if (route == ROOT)
		say_status(server, request, route);
	else if (route == WAIT)
		serve_wait(server, request);
	else if (route == METRICS)
		serve_metrics(server, request);
	else
		serve_word(server, request, route);
}

static void finished(struct http_request *request, bool delivered, void *arg)
{
	struct status_server *server = arg;

	(void)request;
	if (!delivered)
		fh_counter_add(&server->counts.undelivered, 1);
}

/* ---- a server's life ---- */

static bool is_word(const char *word)
{
	return *word && strcmp(word, "wait") && strcmp(word, "metrics") &&
		!word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")];
}

int status_server_new(struct status_server **to,
		      const struct status_options *options)
{
	struct status_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->options = *options;
	if (!server->options.words[0])
		memcpy(server->options.words, usual, sizeof(usual));
	if (!server->options.text) {
		server->options.text = server->options.words[0];
		server->options.length = strlen(server->options.text);
	}
	for (unsigned i = 0; i < STATUS_WORDS && server->options.words[i]; i++)
		if (!is_word(server->options.words[i])) {
			free(server);
			return -EINVAL;
		}
	*to = server;
	return 0;
}

int status_server_start(struct status_server *server, char *why, size_t size)
{
	int rc;

	server->options.http.serve = serve;
	server->options.http.finished = finished;
	server->options.http.arg = server;
	rc = http_start(&server->http, &server->options.http, why, size);
	if (rc < 0)
		return rc;
	server->board.http = server->http;
	rc = board_publish_first(&server->board, server->options.text,
				 server->options.length);
	if (rc == 0 || rc == -EEXIST)
		rc = http_open(server->http);
	if (rc < 0) {
		snprintf(why, size, "cannot serve: %s", strerror(-rc));
		http_stop(server->http);
		server->http = server->board.http = NULL;
	}
	return rc;
}

unsigned status_server_port(const struct status_server *server)
{
	return http_port(server->http);
}

struct board *status_server_board(struct status_server *server)
{
	return &server->board;
}

int status_server_publish(struct status_server *server, const char *text,
			  size_t length, uint64_t *epoch)
{
	return board_publish(&server->board, text, length, epoch);
}

uint64_t status_server_served(struct status_server *server)
{
	uint64_t sum = 0;

	for (unsigned route = 0; route < ROUTES; route++)
		for (unsigned i = 0; i < CODES; i++)
			sum += (uint64_t)fh_counter_read(
				&server->counts.served[route][i]);
	return sum;
}

int status_server_stop(struct status_server *server, int64_t deadline,
		       uint64_t *served)
{
	int rc = 0;

	if (server->http) {
		http_close(server->http);
		rc = http_drain_wait(server->http, deadline);
		http_stop(server->http);
	}
	if (served)
		*served = status_server_served(server);
	board_clear(&server->board);
	free(server);
	return rc;
}
