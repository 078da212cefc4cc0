/* SPDX-License-Identifier: MIT */
/*
 * What the servers of these examples have in common: an HTTP server over
 * libmicrohttpd that accepts by itself, so that it can refuse; that takes
 * leave of clients who dawdle; and that can let a request lie, without a
 * thread, until there is something to say.
 *
 *     static void serve(struct http_request *request, void *arg)
 *     {
 *             http_text(request, 200, "hello");
 *     }
 *
 *     struct http_options options = { .serve = serve };
 *
 *     if (http_start(&http, &options, why, sizeof(why)) < 0) ...
 *
 * Threads: each of `loops` threads serves many connections by turns, so what
 * serve() does must be short and must not wait.  What takes long it does
 * elsewhere, between http_suspend and http_resume; what has to come first,
 * it waits for with http_park.  Either way serve() is called again, and sees
 * by `woken` why.  One more thread, the keeper, accepts, refuses, wakes what
 * is parked, and ends what takes too long.
 */
#ifndef HTTP_H
#define HTTP_H

#include <freehold/freehold.h>

#include <microhttpd.h>
#include <stdbool.h>

#define HTTP_MS INT64_C(1000000)

struct http;

/* Private: a descriptor that the keeper watches, and what it does then. */
struct http_watched {
	int fd;
	void (*act)(struct http *http, struct http_watched *watched);
};

/** Why serve() is called. */
enum http_woken {
	HTTP_FIRST,	/* the request has come, whole */
	HTTP_RESUMED,	/* http_resume */
	HTTP_READY,	/* what was waited for is there */
	HTTP_LATE,	/* its deadline passed first */
	HTTP_GONE,	/* the client has hung up, or will send no more; what
			   it is answered now may not reach it */
	HTTP_CLOSING	/* the server is about to end */
};

/**
 * struct http_lot - where requests wait for the same thing
 *
 * All-zero bytes are an empty one.  It must outlive its requests.
 */
struct http_lot {
	uint64_t parked, dirty;
	struct http_request *first;
	struct http_lot *next, **link;
};

/** A request; the members above the line are for serve() to read. */
struct http_request {
	struct http *http;
	struct MHD_Connection *connection;
	const char *method;
	const char *path;	/* decoded, without the query */
	char *body;		/* NUL behind it; NULL if there is none */
	size_t size;
	bool oversize;		/* the body was longer than allowed: dropped */
	void *arg;		/* of the options */
	enum http_woken woken;
	void *mine;		/* serve()'s own; NULL at first */
	uint64_t number;	/* likewise */
	void (*over)(struct http_request *request); /* if serve() sets it:
				   called when the request is over */

	/* ------------------------------------------------------------- */
	bool answered, suspended, refused;
	size_t room;
	struct http_lot *lot;
	bool (*ready)(struct http_request *request);
	int64_t deadline;
	size_t place;
	struct http_watched watched;
	struct http_request *arrived, *next, **link;
};

/** How to start a server; zero bytes are the defaults. */
struct http_options {
	const char *address;	/* NULL: loopback alone */
	const char *port;	/* NULL or "0": any that is free */
	unsigned loops;		/* threads that serve: 2 */
	unsigned connections;	/* at once; as many as descriptors allow */
	unsigned spare;		/* descriptors to leave to others: 32 */
	unsigned patience_ms;	/* for a request to come whole, for its answer
				   to be taken, and between the two: 15 s */
	size_t body;		/* bytes of a request's body: 64 KiB */
	void (*serve)(struct http_request *request, void *arg);
	/* If not NULL: the request is over, its answer delivered or not. */
	void (*finished)(struct http_request *request, bool delivered,
			 void *arg);
	void *arg;
};

/** What a server did so far. */
struct http_stats {
	uint64_t open;		/* connections, now */
	uint64_t accepted;
	uint64_t refused;	/* told 503 at the door */
	uint64_t dropped;	/* ended because they took too long */
	uint64_t parked;	/* requests that wait, now */
};

/**
 * http_start - bind, listen, and be ready to serve; accepts nothing yet
 * @why: on failure, what went wrong, in words, with the cause
 *
 * Errors: negative errno values.
 */
int http_start(struct http **http, const struct http_options *options,
	       char *why, size_t size);

/** http_open - begin to accept: -EAGAIN, the thread cannot be had. */
int http_open(struct http *http);

/** http_port - the port that is listened on */
unsigned http_port(const struct http *http);

/**
 * http_close - accept no more, wake all that is parked, refuse what comes on
 * connections that are open; returns at once
 */
void http_close(struct http *http);

/**
 * http_drain_wait - after http_close: wait until every answer is delivered
 *
 * Errors: -ETIMEDOUT: the deadline passed first.
 */
int http_drain_wait(struct http *http, int64_t deadline);

/**
 * http_stop - end what is left, join all threads, free all
 *
 * Errors: -EBUSY: a suspended request was never resumed: its owner may still
 * come, so that nothing was freed.
 */
int http_stop(struct http *http);

void http_get_stats(struct http *http, struct http_stats *stats);

/** http_raise_descriptors - lift the soft limit to the hard one */
void http_raise_descriptors(void);

/* ---- in serve(): one of these, once; the response stays the caller's ---- */

/** http_answer - send a response */
void http_answer(struct http_request *request, unsigned code,
		 struct MHD_Response *response);

/** http_text - send a short text and a newline, for people to read */
void http_text(struct http_request *request, unsigned code, const char *text);

/** http_park - let it lie until @ready or @deadline; the keeper asks @ready
 *  after each http_notify of the lot, and once before.  While http_stop is at
 *  work it does nothing, and the connection ends. */
void http_park(struct http_request *request, struct http_lot *lot,
	       bool (*ready)(struct http_request *request), int64_t deadline);

/** http_suspend - let it lie until http_resume; call nothing after it */
void http_suspend(struct http_request *request);

/* ---- anywhere ---- */

/** http_resume - on any thread, once for each http_suspend */
void http_resume(struct http_request *request, enum http_woken woken);

/** http_notify - what waits in the lot should look again */
void http_notify(struct http *http, struct http_lot *lot);

/** http_response - a response from a copy of @text; NULL: no memory */
struct MHD_Response *http_response(const char *text, size_t length,
				   const char *type);

/** http_argument - a number of the query, @otherwise if there is none
 *
 * Errors: -EINVAL: it is there and no number, or above @most. */
int http_argument(struct http_request *request, const char *name,
		  uint64_t most, uint64_t otherwise, uint64_t *value);

/**
 * http_foreign - was it sent by the page of another site, on its own?
 *
 * Any page may have a browser POST to whatever the browser reaches, this
 * machine's loopback too; it cannot read the answer, but the deed is done.
 * Browsers say so, and what is no browser says nothing.
 */
bool http_foreign(const struct http_request *request);

/** http_body_limit - bytes that a body may have */
size_t http_body_limit(const struct http_request *request);

#endif
