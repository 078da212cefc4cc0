/* SPDX-License-Identifier: MIT */
#include "get_status.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HOST 256
#define HEADERS ((size_t)16 << 10)
#define MOST ((size_t)256 << 20)
#define MS INT64_C(1000000)
#define GRACE (500 * MS)

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- to get there ---- */

static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd poll_for = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline == INT64_MAX ? -1 : deadline - now();
		int rc;

		if (deadline != INT64_MAX && left <= 0)
			return -ETIMEDOUT;
		left = left < 0 ? -1 : left / MS + 1;
		rc = poll(&poll_for, 1, left > 60000 ? 60000 : (int)left);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
	}
}

/* Host and port of an address, apart. */
static int divide(const char *address, char *host, char *port)
{
	const char *end, *colon;

	if (!strncasecmp(address, "http://", 7))
		address += 7;
	if (*address == '[') {
		end = strchr(++address, ']');
		colon = end ? end + 1 : NULL;
	} else {
		end = colon = address + strcspn(address, ":/");
	}
	if (!end || end == address || end - address >= HOST)
		return -EINVAL;
	memcpy(host, address, (size_t)(end - address));
	host[end - address] = '\0';
	strcpy(port, "80");
	if (*colon == ':') {
		size_t digits = strspn(++colon, "0123456789");

		if (!digits || digits > 5)
			return -EINVAL;
		memcpy(port, colon, digits);
		port[digits] = '\0';
		colon += digits;
	}
	return !*colon || !strcmp(colon, "/") ? 0 : -EINVAL;
}

static int connect_to(const struct addrinfo *at, int64_t deadline)
{
	socklen_t size = sizeof(int);
	int fd, rc = 0;

	fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	if (fd < 0)
		return -errno;
	if (connect(fd, at->ai_addr, at->ai_addrlen) < 0)
		rc = -errno;
	if (rc == -EINPROGRESS || rc == -EINTR) {
		rc = wait_for(fd, POLLOUT, deadline);
		if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc,
					  &size) == 0)
			rc = -rc;
	}
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int reach(const char *host, const char *port, int64_t deadline)
{
	struct addrinfo *found, hints = { .ai_socktype = SOCK_STREAM,
					  .ai_flags = AI_NUMERICSERV };
	int rc = getaddrinfo(host, port, &hints, &found);

	if (rc)
		return rc == EAI_MEMORY ? -ENOMEM : -EHOSTUNREACH;
	rc = -EHOSTUNREACH;
	for (struct addrinfo *at = found; at && rc < 0; at = at->ai_next)
		rc = connect_to(at, deadline);
	freeaddrinfo(found);
	return rc;
}

/* ---- to ask, and to understand ---- */

static int send_all(int fd, const char *text, size_t left, int64_t deadline)
{
	while (left) {
		ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
		int rc;

		if (sent >= 0) {
			text += sent;
			left -= (size_t)sent;
			continue;
		}
		rc = errno == EAGAIN ? wait_for(fd, POLLOUT, deadline) :
			errno == EINTR ? 0 : -errno;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Up to @size bytes; 0: the end. */
static ssize_t receive(int fd, char *to, size_t size, int64_t deadline)
{
	for (;;) {
		ssize_t got = recv(fd, to, size, 0);
		int rc;

		if (got >= 0)
			return got;
		rc = errno == EAGAIN ? wait_for(fd, POLLIN, deadline) :
			errno == EINTR ? 0 : -errno;
		if (rc < 0)
			return rc;
	}
}

struct answer {
	unsigned code;
	bool has_length;
	uint64_t length, epoch;
	size_t body;		/* where it begins */
};

static bool number_behind(const char *line, const char *name, uint64_t *value)
{
	size_t length = strlen(name);
	char *end;

	if (strncasecmp(line, name, length))
		return false;
	line += length;
	line += strspn(line, " \t");
	if (*line < '0' || *line > '9')
		return false;
	errno = 0;
	*value = strtoull(line, &end, 10);
	return !errno && end[strspn(end, " \t\r")] == '\n';
}

/* The head of an answer, ended by an empty line and a NUL. */
static int understand(char *head, struct answer *answer)
{
	char *line;

	if (sscanf(head, "HTTP/1.%*1[01] %3u", &answer->code) != 1)
		return -EPROTO;
	for (line = head; (line = strchr(line, '\n')); ) {
		line++;
		if (number_behind(line, "Content-Length:", &answer->length))
			answer->has_length = true;
		number_behind(line, "X-Status-Epoch:", &answer->epoch);
	}
	return 0;
}

/* Read the head; what came behind it stands there too: its end is *@held. */
static int receive_head(int fd, char *head, size_t *held,
			struct answer *answer, int64_t deadline)
{
	char *end, kept;
	int rc;

	for (*held = 0;;) {
		ssize_t got = receive(fd, head + *held, HEADERS - *held,
				      deadline);

		if (got < 0)
			return (int)got;
		*held += (size_t)got;
		head[*held] = '\0';
		end = strstr(head, "\r\n\r\n");
		if (end)
			break;
		if (!got || *held == HEADERS)
			return -EPROTO;
	}
	answer->body = (size_t)(end - head) + 4;
	kept = head[answer->body];
	head[answer->body] = '\0';
	rc = understand(head, answer);
	head[answer->body] = kept;
	return rc;
}

static int receive_body(int fd, const char *head, size_t held,
			const struct answer *answer, int64_t deadline,
			struct status_text *status)
{
	size_t length = (size_t)answer->length, have = held - answer->body;
	char *text;

	if (!answer->has_length || !answer->epoch || have > length)
		return -EPROTO;
	if (answer->length > MOST)
		return -EMSGSIZE;
	text = malloc(length + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, head + answer->body, have);
	while (have < length) {
		ssize_t got = receive(fd, text + have, length - have, deadline);

		if (got <= 0) {
			free(text);
			return got < 0 ? (int)got : -EPROTO;
		}
		have += (size_t)got;
	}
	text[length] = '\0';
	*status = (struct status_text){ text, length, answer->epoch };
	return 0;
}

static int ask(int fd, const char *host, const char *path, int64_t deadline,
	       struct status_text *status)
{
	struct answer answer = { 0 };
	char request[HOST + 160], *head;
	size_t held;
	int rc;

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n"
		 "Connection: close\r\n\r\n", path, host);
	head = malloc(HEADERS + 1);
	if (!head)
		return -ENOMEM;
	rc = send_all(fd, request, strlen(request), deadline);
	if (rc == 0)
		rc = receive_head(fd, head, &held, &answer, deadline);
	if (rc == 0 && answer.code == 200)
		rc = receive_body(fd, head, held, &answer, deadline, status);
	else if (rc == 0)
		rc = answer.code == 204 ? -ETIMEDOUT :
			answer.code == 503 ? -EBUSY : -EPROTO;
	free(head);
	return rc;
}

static int get(const char *address, const char *path, int64_t deadline,
	       struct status_text *status)
{
	char host[HOST], port[8];
	int rc = divide(address, host, port), fd;

	if (rc < 0)
		return rc;
	fd = reach(host, port, deadline);
	if (fd < 0)
		return fd;
	rc = ask(fd, host, path, deadline, status);
	close(fd);
	return rc;
}

int get_status(const char *address, int64_t deadline,
	       struct status_text *status)
{
	return get(address, "/", deadline, status);
}

int wait_status(const char *address, uint64_t seen, int64_t deadline,
		struct status_text *status)
{
	char path[80];
	int rc;

	do {
		int64_t left = deadline == INT64_MAX ? INT64_MAX :
			deadline - now();

		if (left <= 0)
			return -ETIMEDOUT;
		left = left / MS > 60000 ? 60000 : left / MS + 1;
		snprintf(path, sizeof(path),
			 "/wait?epoch=%" PRIu64 "&timeout=%" PRId64, seen,
			 left);
		/* A little later, so that the server's "no" still comes. */
		rc = get(address, path, deadline == INT64_MAX ? deadline :
			 deadline + GRACE, status);
	} while (rc == -ETIMEDOUT);
	return rc;
}
