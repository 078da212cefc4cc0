/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd's side: its daemon, and a request from its first line to the
 * last byte of its answer.
 *
 * A place's deadline says who has to hurry: it is set when a connection comes,
 * with a request's first line, and when its answer is queued and has gone; it
 * is taken away while the server itself is at work.
 */
#include "internal.h"
#include "number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#define BODY ((size_t)64 << 10)
#define FIRST_BODY ((size_t)1 << 10)
#define MOST_DESCRIPTORS 65536

/* For a request's line and headers; it is cleared after each request, so that
 * what is not needed costs time. */
#define MEMORY ((size_t)8 << 10)

/* What is too long is read and thrown away, so that the client comes to read
 * the answer; but not if it announces more than this. */
#define FAR_TOO_LONG ((uint64_t)64 << 20)

/* ---- a request's life, on its loop's thread ---- */

static struct http_place *place_of(struct MHD_Connection *connection)
{
	return *(struct http_place **)MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
}

static void hurry(struct http *http, struct http_place *place)
{
	int64_t now = __atomic_load_n(&http->time, __ATOMIC_RELAXED);

	http_set_deadline(place, now + http->options.patience_ms * HTTP_MS +
			  HTTP_SWEEP);
}

/* The first line is there; what is returned becomes the request's `mine`. */
static void *first_line(void *arg, const char *line,
			struct MHD_Connection *connection)
{
	(void)line;
	hurry(arg, place_of(connection));
	return NULL;
}

static int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) % 16 : -1;
}

/* Decode %XX in place, but for %00: what stands behind it would be cut off. */
static size_t decode(void *arg, struct MHD_Connection *connection, char *text)
{
	char *to = text;

	(void)arg, (void)connection;
	for (const char *from = text; *from; from++) {
		int high = *from == '%' ? digit_of(from[1]) : -1;
		int low = high < 0 ? -1 : digit_of(from[2]);

		*to++ = *from;
		if (low < 0 || high + low == 0)
			continue;
		to[-1] = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return (size_t)(to - text);
}

/*
 * It counts before it asks whether the server is about to end, and fall_quiet
 * looks at the count after it was told so: either this request is refused, or
 * the end waits for it.
 */
static struct http_request *begin(struct http *http,
				  struct MHD_Connection *connection,
				  const char *path, const char *method)
{
	struct http_request *request = &place_of(connection)->request;

	*request = (struct http_request){
		.http = http,
		.connection = connection,
		.method = method,
		.path = path,
		.arg = http->options.arg,
	};
	fh_counter_add(&http->busy, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with: fall_quiet */
	request->refused = fh_status_get(&http->phase) != SERVING;
	return request;
}

static const char *header(struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection,
					   MHD_HEADER_KIND, name);
}

/* Is a body announced that need not, or should not, even be sent? */
static bool not_wanted(struct http_request *request)
{
	const char *text = header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t length;

	if (!text)
		return false;
	if (http_number(text, UINT64_MAX, &length) < 0)
		return true;
	return length > FAR_TOO_LONG ||
		(length > request->http->options.body &&
		 header(request, MHD_HTTP_HEADER_EXPECT));
}

/* Make room for @size bytes and a NUL. */
static bool widen(struct http_request *request, size_t size)
{
	size_t room = request->room ? request->room : FIRST_BODY;
	char *body;

	if (size < request->room)
		return true;
	while (room <= size)
		room *= 2;
	body = realloc(request->body, room);
	if (!body)
		return false;
	request->body = body;
	request->room = room;
	return true;
}

/* A piece of the body; false: no memory, end the connection. */
static bool take(struct http_request *request, const char *data, size_t size)
{
	if (request->oversize)
		return true;
	if (size > request->http->options.body - request->size) {
		request->oversize = true;
		return true;
	}
	if (!widen(request, request->size + size))
		return false;
	memcpy(request->body + request->size, data, size);
	request->size += size;
	request->body[request->size] = '\0';
	return true;
}

static void refuse(struct http_request *request)
{
	struct MHD_Response *response =
		http_response("shutting down\n", 14, "text/plain");

	if (!response)
		return;
	MHD_add_response_header(response, "Connection", "close");
	http_answer(request, 503, response);
	MHD_destroy_response(response);
}

static enum MHD_Result visit(struct http_request *request)
{
	struct http *http = request->http;
	struct http_place *place = place_of(request->connection);

	http_set_deadline(place, FH_FOREVER);
	request->suspended = false;
	if (request->refused)
		refuse(request);
	else
		http->options.serve(request, http->options.arg);
	if (request->suspended)
		return MHD_YES;
	hurry(http, place);
	return request->answered ? MHD_YES : MHD_NO;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection,
			      const char *path, const char *method,
			      const char *version, const char *data,
			      size_t *size, void **mine)
{
	struct http_request *request = *mine;

	(void)version;
	if (!request) {
		request = *mine = begin(arg, connection, path, method);
		if (!not_wanted(request))
			return MHD_YES;
		request->oversize = true;
		return visit(request);
	}
	if (*size) {
		bool taken = take(request, data, *size);

		*size = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	__atomic_store_n(&place_of(connection)->heard, true, __ATOMIC_RELAXED);
	return visit(request);
}

static void completed(void *arg, struct MHD_Connection *connection,
		      void **mine, enum MHD_RequestTerminationCode code)
{
	struct http_request *request = *mine;
	struct http *http = arg;

	if (!request)
		return;
	if (request->over)
		request->over(request);
	if (http->options.finished)
		http->options.finished(request,
			code == MHD_REQUEST_TERMINATED_COMPLETED_OK,
			http->options.arg);
	free(request->body);
	hurry(http, place_of(connection));
	fh_counter_add(&http->busy, -1);
	if (fh_status_get(&http->phase) != SERVING)
		http_kick(http);
}

static void connected(void *arg, struct MHD_Connection *connection,
		      void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;
	int fd;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		http_closed(http, *context);
		return;
	}
	fd = MHD_get_connection_info(connection,
				     MHD_CONNECTION_INFO_CONNECTION_FD)
		->connect_fd;
	*context = &http->places[fd];
}

/* ---- what serve() calls ---- */

void http_answer(struct http_request *request, unsigned code,
		 struct MHD_Response *response)
{
	if (response && !request->answered)
		request->answered = MHD_queue_response(
			request->connection, code, response) == MHD_YES;
}

void http_suspend(struct http_request *request)
{
	request->suspended = true;
	add(&request->http->suspended, 1);
	MHD_suspend_connection(request->connection);
}

void http_resume(struct http_request *request, enum http_woken woken)
{
	struct http *http = request->http;

	request->woken = woken;
	MHD_resume_connection(request->connection);
	add(&http->suspended, -1);
}

/* ---- a server's life ---- */

static void options_complete(struct http_options *options)
{
	struct rlimit limit = { .rlim_cur = MOST_DESCRIPTORS };
	unsigned descriptors;

	getrlimit(RLIMIT_NOFILE, &limit);
	descriptors = limit.rlim_cur < MOST_DESCRIPTORS ?
		(unsigned)limit.rlim_cur : MOST_DESCRIPTORS;
	if (!options->loops)
		options->loops = 2;
	if (!options->spare)
		options->spare = 32;
	if (!options->connections)
		options->connections = descriptors > options->spare + 48 ?
			descriptors - options->spare - 32 : 16;
	if (!options->patience_ms)
		options->patience_ms = 15000;
	if (!options->body)
		options->body = BODY;
}

void http_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < MOST_DESCRIPTORS ?
		limit.rlim_max : MOST_DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int reserve_places(struct http *http)
{
	struct rlimit limit = { .rlim_cur = MOST_DESCRIPTORS };

	getrlimit(RLIMIT_NOFILE, &limit);
	http->place_count = limit.rlim_cur < MOST_DESCRIPTORS ?
		limit.rlim_cur : MOST_DESCRIPTORS;
	http->places = calloc(http->place_count, sizeof(*http->places));
	http->heap = calloc(http->place_count, sizeof(*http->heap));
	return http->places && http->heap ? 0 : -ENOMEM;
}

/* What each of its threads would take must not be less than what we admit. */
static int start_daemon(struct http *http)
{
	unsigned loops = http->options.loops;
	struct MHD_OptionItem more[] = {
		{ MHD_OPTION_THREAD_POOL_SIZE, loops, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};

	http->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
		MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, http,
		MHD_OPTION_UNESCAPE_CALLBACK, decode, NULL,
		MHD_OPTION_URI_LOG_CALLBACK, first_line, http,
		MHD_OPTION_NOTIFY_COMPLETED, completed, http,
		MHD_OPTION_NOTIFY_CONNECTION, connected, http,
		MHD_OPTION_CONNECTION_LIMIT,
		(http->options.connections + 16) * loops,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY,
		MHD_OPTION_ARRAY, loops > 1 ? more : more + 1,
		MHD_OPTION_END);
	return http->daemon ? 0 : -EAGAIN;
}

static void release(struct http *http)
{
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	http_keeper_release(http);
	free(http->places);
	free(http->heap);
	free(http);
}

int http_start(struct http **to, const struct http_options *options,
	       char *why, size_t size)
{
	struct http *http = calloc(1, sizeof(*http));
	int rc;

	if (!http) {
		snprintf(why, size, "no memory");
		return -ENOMEM;
	}
	http->options = *options;
	http->epoll = http->event.fd = http->listener.fd = -1;
	options_complete(&http->options);
	rc = http_listen(http, why, size);
	if (rc < 0)
		goto failed;
	rc = reserve_places(http);
	if (rc == 0)
		rc = http_keeper_prepare(http);
	if (rc == 0)
		rc = start_daemon(http);
	if (rc == 0) {
		*to = http;
		return 0;
	}
	snprintf(why, size, "cannot serve: %s", strerror(-rc));
failed:
	release(http);
	return rc;
}

int http_open(struct http *http)
{
	fh_status_set(&http->phase, SERVING);
	if (pthread_create(&http->keeper, NULL, http_keep, http))
		return -EAGAIN;
	http->kept = true;
	return 0;
}

unsigned http_port(const struct http *http)
{
	return http->port;
}

void http_close(struct http *http)
{
	fh_status_set(&http->phase, CLOSING);
	http_kick(http);
}

int http_drain_wait(struct http *http, int64_t deadline)
{
	return fh_status_wait(&http->phase, FH_STATE(QUIET), deadline, NULL);
}

int http_stop(struct http *http)
{
	fh_status_set(&http->phase, ENDED);
	http_kick(http);
	if (http->kept)
		pthread_join(http->keeper, NULL);
	http->kept = false;
	http_parked_shut(http);
	if (load(&http->suspended))
		return -EBUSY;
	release(http);
	return 0;
}

void http_get_stats(struct http *http, struct http_stats *stats)
{
	*stats = (struct http_stats){
		.open = load(&http->open),
		.accepted = load(&http->accepted),
		.refused = load(&http->turned_away),
		.dropped = load(&http->dropped),
		.parked = load(&http->parked),
	};
}
