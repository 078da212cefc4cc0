/* SPDX-License-Identifier: MIT */
/*
 * The keeper: one thread that accepts, refuses, wakes and ends.
 *
 *     epoll --- listener     accept, and hand over; or refuse, with 503
 *           --- event        somebody has something new: a kick
 *           --- parked       their clients hang up: answer now
 *           --- refused      wait until their clients have read that
 *
 * After each round of events it looks at what was parked, at deadlines and,
 * each half second, at all connections: one whose request, or whose taking of
 * the answer, takes longer than allowed is shut down.  That does not ask how
 * often a client sends a byte, so that sending slowly gains nothing.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define REST (20 * HTTP_MS)
#define AT_ONCE 64

/* Wakes the keeper unless somebody has just done so. */
void http_kick(struct http *http)
{
	uint64_t one = 1;

	if (!swap(&http->kicked, 1))
		while (write(http->event.fd, &one, sizeof(one)) < 0 &&
		       errno == EINTR)
			;
}

static void kicked(struct http *http, struct http_watched *watched)
{
	uint64_t count;

	while (read(watched->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	store(&http->kicked, 0);
}

/* ---- the door ---- */

/* The listener's events, on or off. */
static void listen_for(struct http *http, unsigned events)
{
	struct epoll_event event = {
		.events = events,
		.data.ptr = &http->listener,
	};

	epoll_ctl(http->epoll, EPOLL_CTL_MOD, http->listener.fd, &event);
}

static void admit(struct http *http, int fd, const struct sockaddr *from,
		  socklen_t length)
{
	struct http_place *place = &http->places[fd];

	http_set_deadline(place, fh_deadline_in(http->options.patience_ms *
						HTTP_MS));
	/* Before any other thread has it: no request of this one came yet. */
	__atomic_store_n(&place->heard, false, __ATOMIC_RELAXED);
	/* It is open already if libmicrohttpd gave up without a word. */
	if (fh_status_get(&place->use) == FREE)
		add(&http->open, 1);
	fh_status_set(&place->use, OPEN);
	add(&http->accepted, 1);
	if (MHD_add_connection(http->daemon, fd, from, length) == MHD_NO) {
		fh_status_set(&place->use, FREE);
		add(&http->open, -1);
	}
}

/* None left: refuse with what is in reserve, or rest a little. */
static int run_out(struct http *http)
{
	if (http_refuse_one(http) == 0)
		return 0;
	http->rested = fh_deadline_in(REST);
	listen_for(http, 0);
	return -EAGAIN;
}

/* Accept one; -EAGAIN: there is none, or it must wait. */
static int accept_one(struct http *http)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	int fd = accept4(http->listener.fd, (struct sockaddr *)&from, &length,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE ||
		       errno == ENOBUFS || errno == ENOMEM))
		return run_out(http);
	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR ? 0 : -EAGAIN;
	if ((size_t)fd >= http->place_count ||
	    load(&http->open) >= http->options.connections)
		http_refuse(http, fd);
	else
		admit(http, fd, (struct sockaddr *)&from, length);
	return 0;
}

static void accept_some(struct http *http, struct http_watched *watched)
{
	(void)watched;
	for (int i = 0; i < AT_ONCE; i++)
		if (accept_one(http) < 0)
			return;
}

static void shut_the_door(struct http *http)
{
	if (http->listener.fd < 0)
		return;
	close(http->listener.fd);
	http->listener.fd = -1;
}

/* ---- connections that take too long ---- */

/* libmicrohttpd is about to close it. */
void http_closed(struct http *http, struct http_place *place)
{
	struct fh_status_snapshot seen = fh_status_read(&place->use);

	do {
		while (seen.state == ENDING)
			fh_status_wait(&place->use, FH_STATE(OPEN), FH_FOREVER,
				       &seen);
	} while (fh_status_compare_exchange(&place->use, &seen, FREE) < 0);
	add(&http->open, -1);
	if (fh_status_get(&http->phase) != SERVING)
		http_kick(http);
}

static const char too_late[] =
	"HTTP/1.1 408 Request Timeout\r\n"
	"Connection: close\r\n"
	"Content-Length: 0\r\n"
	"\r\n";

static void drop(struct http *http, struct http_place *place, int64_t now)
{
	struct fh_status_snapshot seen = fh_status_read(&place->use);
	int fd = (int)(place - http->places);

	if (seen.state != OPEN ||
	    fh_status_compare_exchange(&place->use, &seen, ENDING) < 0)
		return;
	if (http_deadline(place) <= now) {
		/* Nothing was said yet, so this cannot cut into an answer. */
		if (!__atomic_load_n(&place->heard, __ATOMIC_RELAXED))
			send(fd, too_late, sizeof(too_late) - 1,
			     MSG_NOSIGNAL | MSG_DONTWAIT);
		shutdown(fd, SHUT_RDWR);
		http_set_deadline(place, FH_FOREVER);
		add(&http->dropped, 1);
	}
	fh_status_set(&place->use, OPEN);
}

static int64_t sweep(struct http *http, int64_t now)
{
	uint64_t left = load(&http->open);

	if (!left)
		return FH_FOREVER;
	if (now < http->swept + HTTP_SWEEP)
		return http->swept + HTTP_SWEEP;
	http->swept = now;
	for (size_t i = 0; i < http->place_count && left; i++) {
		struct http_place *place = &http->places[i];

		if (fh_status_get(&place->use) == FREE)
			continue;
		left--;
		if (http_deadline(place) <= now)
			drop(http, place, now);
	}
	return now + HTTP_SWEEP;
}

/* ---- the thread ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t tell_time(struct http *http)
{
	int64_t now = fh_now();

	__atomic_store_n(&http->time, now, __ATOMIC_RELAXED);
	return now;
}

/* A request is counted in and out on one thread, so no stripe lies below 0. */
static void fall_quiet(struct http *http)
{
	struct fh_status_snapshot phase = fh_status_read(&http->phase);

	if (phase.state != CLOSING)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with: begin */
	if (fh_counter_read(&http->busy) == 0)
		fh_status_compare_exchange(&http->phase, &phase, QUIET);
}

/* All that is due; when something will be due again. */
static int64_t round_off(struct http *http)
{
	int64_t now = tell_time(http), next;

	if (fh_status_get(&http->phase) >= CLOSING) {
		shut_the_door(http);
		http_parked_close(http);
		fall_quiet(http);
	}
	http_parked_arrive(http);
	http_parked_look(http);
	http_parked_expire(http, now);
	next = http_parked_next(http);
	next = earlier(next, http_refused_sweep(http, now));
	next = earlier(next, sweep(http, now));
	if (http->rested && http->rested <= now) {
		http->rested = 0;
		if (http->listener.fd >= 0)
			listen_for(http, EPOLLIN);
	}
	return http->rested ? earlier(next, http->rested) : next;
}

/* Milliseconds for epoll_wait, rounded up. */
static int until(int64_t deadline)
{
	int64_t left;

	if (deadline == FH_FOREVER)
		return -1;
	left = deadline - fh_now();
	return left <= 0 ? 0 : (int)earlier(left / HTTP_MS + 1, 60000);
}

void *http_keep(void *arg)
{
	struct epoll_event events[AT_ONCE];
	struct http *http = arg;
	int64_t next = 0;

	while (fh_status_get(&http->phase) != ENDED) {
		int count = epoll_wait(http->epoll, events, AT_ONCE,
				       until(next));

		tell_time(http);
		for (int i = 0; i < count; i++) {
			struct http_watched *watched = events[i].data.ptr;

			watched->act(http, watched);
		}
		next = round_off(http);
	}
	return NULL;
}

static int watch(struct http *http, struct http_watched *watched)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watched };

	if (epoll_ctl(http->epoll, EPOLL_CTL_ADD, watched->fd, &event) < 0)
		return -errno;
	return 0;
}

int http_keeper_prepare(struct http *http)
{
	int rc = http_refuse_prepare(http);

	if (rc < 0)
		return rc;
	http->listener.act = accept_some;
	http->event.act = kicked;
	http->event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	http->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (http->event.fd < 0 || http->epoll < 0)
		return -errno;
	rc = watch(http, &http->event);
	return rc < 0 ? rc : watch(http, &http->listener);
}

void http_keeper_release(struct http *http)
{
	http_refuse_release(http);
	shut_the_door(http);
	if (http->event.fd >= 0)
		close(http->event.fd);
	if (http->epoll >= 0)
		close(http->epoll);
}
