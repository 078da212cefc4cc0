/* SPDX-License-Identifier: MIT */
/* From an address in words to a socket that listens. */
#include "internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

static int listen_at(const struct addrinfo *at)
{
	int one = 1, zero = 0, rc;
	int fd = socket(at->ai_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (at->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage at;
	socklen_t size = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return 0;
	if (at.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&at)->sin6_port);
	return ntohs(((struct sockaddr_in *)&at)->sin_port);
}

int http_listen(struct http *http, char *why, size_t size)
{
	const char *address = http->options.address;
	const char *port = http->options.port;
	struct addrinfo *found, hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	int fd = -EADDRNOTAVAIL, rc;

	address = address ? address : "127.0.0.1";
	port = port ? port : "0";
	rc = getaddrinfo(address, port, &hints, &found);
	if (rc) {
		snprintf(why, size, "cannot listen on %s, port %s: %s",
			 address, port, rc == EAI_SYSTEM ? strerror(errno) :
			 gai_strerror(rc));
		return -EINVAL;
	}
	for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
		fd = listen_at(at);
	freeaddrinfo(found);
	if (fd < 0) {
		snprintf(why, size, "cannot listen on %s, port %s: %s",
			 address, port, strerror(-fd));
		return fd;
	}
	http->listener.fd = fd;
	http->port = port_of(fd);
	return 0;
}
