/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait without a thread.
 *
 *     serve()  --push-->  arrivals  --keeper-->  heap, by deadline
 *                                                lots, by what they wait for
 *
 * All but the push is the keeper's alone, so nothing here needs more care
 * than this one thing, that no wake-up is lost:
 *
 *     the keeper                        who changes something
 *     counts the request in the lot     makes the change
 *     asks whether it is ready          looks at the count
 *
 * All four are in one order (sequentially consistent, and the change itself
 * is at least a release): either the keeper sees the change, or the other
 * sees the count and tells the keeper.
 *
 * A parked connection is in nobody's epoll but the keeper's, which so learns
 * that the client hangs up.
 *
 * At the end nothing may be parked behind the back of http_stop, since nobody
 * would wake it.  `parking` counts those who are about to push, and has a bit
 * that http_stop sets: whoever finds it set does not begin, and http_stop
 * waits for who has begun before it looks at the arrivals for the last time.
 */
#include "internal.h"

#include <sched.h>
#include <sys/socket.h>

#define SHUT (UINT64_C(1) << 63)

/* ---- a heap: the parent's deadline is never later than the child's ---- */

static void put(struct http *http, struct http_request *request, size_t at)
{
	http->heap[at] = request;
	request->place = at;
}

static void rise(struct http *http, struct http_request *request, size_t at)
{
	while (at > 0) {
		struct http_request *parent = http->heap[(at - 1) / 2];

		if (parent->deadline <= request->deadline)
			break;
		put(http, parent, at);
		at = (at - 1) / 2;
	}
	put(http, request, at);
}

static void sink(struct http *http, struct http_request *request, size_t at)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < http->parked &&
		    http->heap[child + 1]->deadline <
		    http->heap[child]->deadline)
			child++;
		if (child >= http->parked ||
		    http->heap[child]->deadline >= request->deadline)
			break;
		put(http, http->heap[child], at);
		at = child;
	}
	put(http, request, at);
}

static void heap_add(struct http *http, struct http_request *request)
{
	rise(http, request, http->parked);
	add(&http->parked, 1);
}

static void heap_remove(struct http *http, struct http_request *request)
{
	struct http_request *last = http->heap[http->parked - 1];
	size_t at = request->place;

	add(&http->parked, -1);
	if (last == request)
		return;
	if (last->deadline < request->deadline)
		rise(http, last, at);
	else
		sink(http, last, at);
}

/* ---- lots ---- */

static void enter(struct http *http, struct http_request *request)
{
	struct http_lot *lot = request->lot;

	if (!lot->first) {
		lot->next = http->lots;
		lot->link = &http->lots;
		if (lot->next)
			lot->next->link = &lot->next;
		http->lots = lot;
	}
	request->next = lot->first;
	request->link = &lot->first;
	if (request->next)
		request->next->link = &request->next;
	lot->first = request;
	add(&lot->parked, 1);
}

static void leave(struct http_request *request)
{
	struct http_lot *lot = request->lot;

	add(&lot->parked, -1);
	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	if (lot->first)
		return;
	*lot->link = lot->next;
	if (lot->next)
		lot->next->link = lot->link;
}

static int socket_of(struct http_request *request)
{
	return MHD_get_connection_info(request->connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD)
		->connect_fd;
}

/* From here on the request is its loop's again, and may end. */
static void unpark(struct http *http, struct http_request *request,
		   enum http_woken woken)
{
	epoll_ctl(http->epoll, EPOLL_CTL_DEL, socket_of(request), NULL);
	heap_remove(http, request);
	leave(request);
	http_resume(request, woken);
}

static void hung_up(struct http *http, struct http_watched *watched)
{
	unpark(http, (struct http_request *)((char *)watched -
	       offsetof(struct http_request, watched)), HTTP_GONE);
}

static void watch(struct http *http, struct http_request *request)
{
	struct epoll_event event = {
		.events = EPOLLRDHUP,
		.data.ptr = &request->watched,
	};

	request->watched.fd = socket_of(request);
	request->watched.act = hung_up;
	/* Should that fail, the deadline still ends it. */
	epoll_ctl(http->epoll, EPOLL_CTL_ADD, request->watched.fd, &event);
}

/* ---- what the keeper does with them ---- */

/* Those who came since, in no order; each looks once, now that it counts. */
void http_parked_arrive(struct http *http)
{
	struct http_request *request = swap(&http->arrivals, NULL), *next;
	bool closing = fh_status_get(&http->phase) != SERVING;

	for (; request; request = next) {
		next = request->arrived;
		heap_add(http, request);
		enter(http, request);
		watch(http, request);
		if (closing)
			unpark(http, request, HTTP_CLOSING);
		else if (request->ready(request))
			unpark(http, request, HTTP_READY);
	}
}

static void look(struct http *http, struct http_lot *lot)
{
	struct http_request *request, *next;
	size_t left = load(&lot->parked);

	/* The lot may be gone with the last of its requests. */
	for (request = lot->first; left--; request = next) {
		next = request->next;
		if (request->ready(request))
			unpark(http, request, HTTP_READY);
	}
}

void http_parked_look(struct http *http)
{
	struct http_lot *lot = http->lots, *next;

	for (; lot; lot = next) {
		next = lot->next;
		if (swap(&lot->dirty, 0))
			look(http, lot);
	}
}

void http_parked_expire(struct http *http, int64_t now)
{
	while (http->parked && http->heap[0]->deadline <= now)
		unpark(http, http->heap[0], HTTP_LATE);
}

void http_parked_close(struct http *http)
{
	while (http->parked)
		unpark(http, http->heap[0], HTTP_CLOSING);
}

int64_t http_parked_next(struct http *http)
{
	return http->parked ? http->heap[0]->deadline : FH_FOREVER;
}

/* ---- what others do ---- */

static bool begin_parking(struct http *http)
{
	uint64_t word = load(&http->parking);

	do
		if (word & SHUT)
			return false;
	while (!__atomic_compare_exchange_n(&http->parking, &word, word + 1,
					    true, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST));
	return true;
}

/* Those who have begun do a few steps and never wait. */
void http_parked_shut(struct http *http)
{
	__atomic_fetch_or(&http->parking, SHUT, __ATOMIC_SEQ_CST);
	while (load(&http->parking) != SHUT)
		sched_yield();
	http_parked_arrive(http);
	http_parked_close(http);
}

void http_park(struct http_request *request, struct http_lot *lot,
	       bool (*ready)(struct http_request *request), int64_t deadline)
{
	struct http *http = request->http;
	struct http_request *first = load(&http->arrivals);

	if (!begin_parking(http))
		return;
	request->lot = lot;
	request->ready = ready;
	request->deadline = deadline;
	http_suspend(request);
	do
		request->arrived = first;
	while (!__atomic_compare_exchange_n(&http->arrivals, &first, request,
					    true, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST));
	http_kick(http);
	add(&http->parking, -1);
}

void http_notify(struct http *http, struct http_lot *lot)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!load(&lot->parked))
		return;
	store(&lot->dirty, 1);
	http_kick(http);
}
