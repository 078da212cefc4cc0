/* SPDX-License-Identifier: MIT */
/*
 * The status server: a board behind HTTP.
 *
 *     GET  /          the text, exactly; its epoch in X-Status-Epoch
 *     GET  /wait      the same once the epoch is not ?epoch=E any more;
 *                     204 if that takes longer than ?timeout=MS
 *     GET  /metrics   for Prometheus
 *     POST /WORD      put up WORD, which must be one of the server's words
 *
 * 404 for other paths, 405 for other methods, 401 for a POST without the
 * token if there is one.
 */
#ifndef STATUS_SERVER_H
#define STATUS_SERVER_H

#include "board.h"

#define STATUS_WORDS 16

struct status_server;

/** Zero bytes are the defaults: loopback, any port, RUN, STOP and PAUSE. */
struct status_options {
	struct http_options http;	/* `serve` and the like are ours */
	const char *words[STATUS_WORDS];	/* ended by NULL */
	const char *token;		/* NULL: whoever reaches us may POST */
	const char *text;		/* to begin with, unless some is up */
	size_t length;
};

/**
 * status_server_new - a server that does not listen yet, but has a board
 *
 * Errors: -ENOMEM; -EINVAL: a word that cannot be a path.
 */
int status_server_new(struct status_server **server,
		      const struct status_options *options);

/**
 * status_server_start - bind, start, put up the first text, accept
 * @why: on failure, what went wrong and its cause
 *
 * In this order, and the first text only where none is: so no reader finds
 * an empty board, and what was published before stands.
 */
int status_server_start(struct status_server *server, char *why, size_t size);

unsigned status_server_port(const struct status_server *server);
struct board *status_server_board(struct status_server *server);

/** status_server_publish - put up a text of any length, on any thread */
int status_server_publish(struct status_server *server, const char *text,
			  size_t length, uint64_t *epoch);

/** status_server_served - requests that were answered, whatever the answer */
uint64_t status_server_served(struct status_server *server);

/**
 * status_server_stop - answer what has come, join all threads, free all
 * @served: if not NULL: how many requests were answered in all
 *
 * Errors: -ETIMEDOUT: some answers were not taken by the deadline, and cut.
 */
int status_server_stop(struct status_server *server, int64_t deadline,
		       uint64_t *served);

/* ---- for /metrics; see metrics.c ---- */

/** Codes and paths that are counted by themselves. */
enum { ROOT, WAIT, METRICS, OTHER, WORD, ROUTES = WORD + STATUS_WORDS };
enum { CODES = 11 };

extern const unsigned status_codes[CODES];

struct status_counts {
	struct fh_counter served[ROUTES][CODES];
	struct fh_counter undelivered;
};

/** A further figure that a program wants to show. */
struct status_figure {
	const char *name, *help;
	uint64_t (*value)(void *arg);
	void *arg;
};

/** status_server_show - show this too; before the start, at most four */
int status_server_show(struct status_server *server,
		       const struct status_figure *figure);

/** The whole page; NULL: no memory. */
char *status_metrics(struct status_server *server, size_t *length);

#endif
