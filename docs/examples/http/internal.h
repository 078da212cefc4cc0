/* SPDX-License-Identifier: MIT */
/* What the files of the HTTP server share. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include "http.h"

#include <pthread.h>
#include <sys/epoll.h>

/* What a server is about; see http_close and http_stop. */
enum { STARTING, SERVING, CLOSING, QUIET, ENDED };

/*
 * A connection's place, found by its descriptor; places are never freed, so
 * that the keeper may look at any at any time.  `use` says who may touch the
 * descriptor: the keeper, while it ends a connection, holds up its closing,
 * lest the number belongs to somebody else by then.
 */
struct http_place {
	struct fh_status use;
	int64_t deadline;	/* FH_FOREVER while the request is served */
	bool heard;		/* a request came whole */
	struct http_request request;
};

enum { FREE, OPEN, ENDING };

/* A connection that was refused, until the client has read that. */
#define LINGERING 16

struct refused {
	struct http_watched watched;	/* first; fd -1: free */
	int reserve;		/* a descriptor to do this with */
	int64_t until;
};

struct http {
	struct http_options options;
	struct MHD_Daemon *daemon;
	struct fh_status phase;
	pthread_t keeper;
	unsigned port;
	bool kept;		/* the keeper's thread was started */

	int epoll;
	struct http_watched listener, event;
	uint64_t kicked;	/* the event is set, or about to be */

	struct http_place *places;
	size_t place_count;
	struct fh_counter busy;	/* requests between arrival and end */
	uint64_t open, suspended;
	uint64_t accepted, turned_away, dropped;

	/* The keeper's own: what is parked, by deadline and by lot. */
	struct http_request *arrivals;	/* pushed by all */
	uint64_t parking;		/* by so many, now; see park.c */
	struct http_request **heap;
	size_t parked;
	struct http_lot *lots;

	struct refused refused[LINGERING];
	int64_t rested;		/* do not accept before; 0: do */
	int64_t swept;
	int64_t time;		/* by the keeper, at its last round */
};

/* How often the keeper looks at all connections, if there are any. */
#define HTTP_SWEEP (500 * HTTP_MS)

/* By when a client must be done with what it does.  It is judged twice a
 * second, and by the time of the keeper's last round, which costs nothing to
 * read and is so much older than the present at most. */
static inline void http_set_deadline(struct http_place *place,
				     int64_t deadline)
{
	__atomic_store_n(&place->deadline, deadline, __ATOMIC_RELAXED);
}

static inline int64_t http_deadline(const struct http_place *place)
{
	return __atomic_load_n(&place->deadline, __ATOMIC_RELAXED);
}

#define load(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define store(p, value) __atomic_store_n(p, value, __ATOMIC_SEQ_CST)
#define add(p, value) __atomic_add_fetch(p, value, __ATOMIC_SEQ_CST)
#define swap(p, value) __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST)

/* keeper.c */
int http_keeper_prepare(struct http *http);
void http_keeper_release(struct http *http);
void *http_keep(void *http);
void http_kick(struct http *http);
void http_closed(struct http *http, struct http_place *place);

/* listen.c */
int http_listen(struct http *http, char *why, size_t size);

/* refuse.c: all on the keeper's thread, but for prepare and release */
int http_refuse_prepare(struct http *http);
void http_refuse_release(struct http *http);
void http_refuse(struct http *http, int fd);
int http_refuse_one(struct http *http);	/* without a descriptor to spare */
int64_t http_refused_sweep(struct http *http, int64_t now);

/* park.c: all on the keeper's thread */
void http_parked_arrive(struct http *http);
void http_parked_look(struct http *http);
void http_parked_expire(struct http *http, int64_t now);
void http_parked_close(struct http *http);
void http_parked_shut(struct http *http);	/* once its thread has ended */
int64_t http_parked_next(struct http *http);

#endif
