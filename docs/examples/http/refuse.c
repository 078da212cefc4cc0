/* SPDX-License-Identifier: MIT */
/*
 * To say no at the door: 503, and why.
 *
 * Saying it takes a descriptor, which may be just what is missing.  So a few
 * are held in reserve: one is closed, which makes room to accept with, and
 * opened again when the client is gone.
 *
 * A socket that is closed while bytes of the client's lie unread in it is
 * reset, and the reset overtakes the answer.  So the writing half is closed
 * first, and what the client still sends is read and thrown away until it
 * hangs up too, for a second at most.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE (1000 * HTTP_MS)

static const char refusal[] =
	"HTTP/1.1 503 Service Unavailable\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n"
	"Retry-After: 1\r\n"
	"Connection: close\r\n"
	"Content-Length: 40\r\n"
	"\r\n"
	"too many connections; please come again\n";

static int reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int http_refuse_prepare(struct http *http)
{
	for (int i = 0; i < LINGERING; i++) {
		http->refused[i].watched.fd = -1;
		http->refused[i].reserve = -1;
	}
	for (int i = 0; i < LINGERING; i++) {
		http->refused[i].reserve = reserve();
		if (http->refused[i].reserve < 0)
			return -errno;
	}
	return 0;
}

static void end(struct refused *refused)
{
	close(refused->watched.fd);
	refused->watched.fd = -1;
	if (refused->reserve < 0)
		refused->reserve = reserve();
}

void http_refuse_release(struct http *http)
{
	for (int i = 0; i < LINGERING; i++) {
		if (http->refused[i].watched.fd >= 0)
			end(&http->refused[i]);
		if (http->refused[i].reserve >= 0)
			close(http->refused[i].reserve);
	}
}

/* The client sends, or has hung up. */
static void act(struct http *http, struct http_watched *watched)
{
	char waste[4096];
	ssize_t got;

	(void)http;
	do
		got = recv(watched->fd, waste, sizeof(waste), MSG_DONTWAIT);
	while (got > 0);
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
		end((struct refused *)watched);
}

static void tell(struct http *http, struct refused *refused, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.ptr = &refused->watched,
	};

	add(&http->turned_away, 1);
	refused->watched.fd = fd;
	refused->watched.act = act;
	refused->until = fh_deadline_in(PATIENCE);
	send(fd, refusal, sizeof(refusal) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	if (epoll_ctl(http->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		end(refused);
}

/* Refuse a connection that was accepted. */
void http_refuse(struct http *http, int fd)
{
	for (int i = 0; i < LINGERING; i++)
		if (http->refused[i].watched.fd < 0) {
			tell(http, &http->refused[i], fd);
			return;
		}
	add(&http->turned_away, 1);
	send(fd, refusal, sizeof(refusal) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* Accept and refuse, with a reserved descriptor; -EAGAIN: none is left. */
int http_refuse_one(struct http *http)
{
	struct refused *refused = http->refused;
	int fd;

	while (refused < http->refused + LINGERING &&
	       (refused->watched.fd >= 0 || refused->reserve < 0))
		refused++;
	if (refused == http->refused + LINGERING)
		return -EAGAIN;
	close(refused->reserve);
	refused->reserve = -1;
	fd = accept4(http->listener.fd, NULL, NULL,
		     SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		refused->reserve = reserve();
		return -EAGAIN;
	}
	tell(http, refused, fd);
	return 0;
}

/* End what lingers too long, get reserves back; when to come again. */
int64_t http_refused_sweep(struct http *http, int64_t now)
{
	int64_t next = FH_FOREVER;

	for (int i = 0; i < LINGERING; i++) {
		struct refused *refused = &http->refused[i];

		if (refused->watched.fd >= 0 && refused->until <= now)
			end(refused);
		if (refused->watched.fd < 0 && refused->reserve < 0)
			refused->reserve = reserve();
		if (refused->watched.fd >= 0 && refused->until < next)
			next = refused->until;
		if (refused->reserve < 0 && refused->watched.fd < 0 &&
		    now + PATIENCE < next)
			next = now + PATIENCE;
	}
	return next;
}
