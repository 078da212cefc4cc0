/* SPDX-License-Identifier: MIT */
/*
 * frame: see frame.h.
 *
 *     bytes:   ...read...|Content-Length: 5\r\n\r\n{"a":|...free...
 *                        ^at                            ^have       ^size
 *
 * Header lines are consumed one by one as they come, so that each limit is
 * enforced at the first byte beyond it.  The buffer doubles when a message that
 * is within the limits does not fit, and so never passes twice their sum.
 */
#include "frame.h"

#include <freehold/base.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CHUNK 16384u		/* room that is made for a read, at least */
#define KEEP (256u * 1024)	/* an empty buffer larger than this is freed */

const struct frame_limits frame_default_limits = {
	.body = 10u * 1024 * 1024,
	.lines = 32,
	.line = 1024,
	.patience = INT64_C(30000000000),
};

/* What was read goes; what is left moves to the front. */
static void compact(struct frame_reader *reader)
{
	reader->have -= reader->at;
	if (reader->have == 0 && reader->size > KEEP) {
		free(reader->bytes);
		reader->bytes = NULL;
		reader->size = 0;
	} else if (reader->at) {
		memmove(reader->bytes, reader->bytes + reader->at,
			reader->have);
	}
	reader->at = 0;
}

/* Doubles, so that memory follows what came; see the bound at the top. */
static int make_room(struct frame_reader *reader)
{
	size_t size = reader->size ? 2 * reader->size : CHUNK;
	char *bytes;

	compact(reader);
	if (reader->size - reader->have >= CHUNK / 2)
		return 0;
	bytes = realloc(reader->bytes, size);
	if (!bytes)
		return -ENOMEM;
	reader->bytes = bytes;
	reader->size = size;
	return 0;
}

bool frame_between(const struct frame_reader *reader)
{
	return reader->have == reader->at && !reader->in_body &&
	       reader->lines == 0;
}

int frame_fill(struct frame_reader *reader, int fd)
{
	int rc = make_room(reader);
	ssize_t count;

	if (rc)
		return rc;
	do
		count = read(fd, reader->bytes + reader->have,
			     reader->size - reader->have);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (count == 0)
		return frame_between(reader) ? -EPIPE : -ECONNRESET;
	if (!reader->deadline)
		reader->deadline = fh_deadline_in(reader->limits.patience);
	reader->have += (size_t)count;
	return 0;
}

/* Digits and nothing else; a number of any size is told from a bad one. */
static int take_length(struct frame_reader *reader, const char *value)
{
	size_t digits = strspn(value, "0123456789"), length = 0, i;

	if (reader->told)
		return -ENOTUNIQ;
	if (value[0] == '-' && isdigit((unsigned char)value[1]))
		return -ERANGE;
	if (digits == 0 || value[digits])
		return -EDOM;
	for (i = 0; i < digits; i++) {
		length = 10 * length + (size_t)(value[i] - '0');
		if (length > reader->limits.body)
			return -EMSGSIZE;
	}
	reader->told = 1;
	reader->length = (ssize_t)length;
	return 0;
}

/* The protocol knows UTF-8 alone, and an old misspelling of it. */
static int check_type(const char *value)
{
	const char *charset = strcasestr(value, "charset=");

	if (!charset)
		return 0;
	charset += strlen("charset=");
	charset += *charset == '"';
	if (strncasecmp(charset, "utf-8", 5) == 0 ||
	    strncasecmp(charset, "utf8", 4) == 0)
		return 0;
	return -EPROTONOSUPPORT;
}

/* One field, terminated; those that nobody knows are legal. */
static int take_field(struct frame_reader *reader, char *line)
{
	char *value = strchr(line, ':'), *end;

	if (!value || value == line)
		return -EBADMSG;
	*value++ = 0;
	if (line[strcspn(line, " \t")])
		return -EBADMSG;
	value += strspn(value, " \t");
	for (end = value + strlen(value);
	     end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	*end = 0;
	if (strcasecmp(line, "Content-Length") == 0)
		return take_length(reader, value);
	if (strcasecmp(line, "Content-Type") == 0)
		return check_type(value);
	return 0;
}

/* One line of the header, if it is there to its end. */
static int take_line(struct frame_reader *reader)
{
	char *line = reader->bytes + reader->at;
	size_t there = reader->have - reader->at, length;
	char *end = there ? memchr(line, '\n', there) : NULL;

	length = end ? (size_t)(end - line) : there;
	if (length > reader->limits.line + 1)
		return -ENAMETOOLONG;
	if (!end)
		return -EAGAIN;
	if (length == 0 || line[length - 1] != '\r' ||
	    memchr(line, 0, length))
		return -EBADMSG;
	line[length - 1] = 0;
	reader->at += length + 1;
	if (length == 1) {
		reader->in_body = 1;
		return reader->told ? 0 : -ENOMSG;
	}
	if (++reader->lines > reader->limits.lines)
		return -E2BIG;
	return take_field(reader, line);
}

static int more(const struct frame_reader *reader)
{
	return reader->deadline && fh_now() >= reader->deadline ? -ETIME :
								   -EAGAIN;
}

int frame_next(struct frame_reader *reader, const char **body, size_t *length)
{
	int rc;

	while (!reader->in_body) {
		rc = take_line(reader);
		if (rc)
			return rc == -EAGAIN ? more(reader) : rc;
	}
	if (reader->have - reader->at < (size_t)reader->length)
		return more(reader);
	*body = reader->bytes + reader->at;
	*length = (size_t)reader->length;
	reader->at += *length;
	reader->in_body = reader->told = 0;
	reader->lines = 0;
	reader->deadline = 0;
	if (reader->have > reader->at)
		reader->deadline = fh_deadline_in(reader->limits.patience);
	return 0;
}

void frame_reset(struct frame_reader *reader)
{
	free(reader->bytes);
	*reader = (struct frame_reader){ .limits = reader->limits };
}

size_t frame_header(char header[FRAME_HEADER], size_t length)
{
	return (size_t)snprintf(header, FRAME_HEADER,
				"Content-Length: %zu\r\n\r\n", length);
}
