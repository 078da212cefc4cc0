/* SPDX-License-Identifier: MIT */
/*
 * Random streams of frames, some of them damaged (TAP).
 *
 * How a pipe cuts a stream into pieces must not matter: each stream is read
 * twice, as it is and in random pieces, and both must give the same bodies
 * and end with the same error.  A stream that is not damaged must give the
 * bodies that were put into it.  What would be seen if the reader were wrong
 * about a piece that ends within a header, or trusted a length: a
 * difference, an access out of bounds under the address sanitizer, or a
 * buffer larger than the limits allow.
 */
#include "../docs/examples/lsp_manager/frame.h"

#include "tap.h"
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LIMIT 3000u
#define STREAM 16384u

static const struct frame_limits limits = {
	.body = LIMIT, .lines = 4, .line = 60,
	.patience = INT64_C(60000000000),
};

/* What a stream gave: a hash of all bodies, their number, the error. */
struct outcome {
	uint64_t hash, bodies;
	int error;
	size_t room;
};

struct stream {
	char bytes[STREAM];
	size_t length;
};

static void put(struct stream *stream, const char *bytes, size_t length)
{
	memcpy(stream->bytes + stream->length, bytes, length);
	stream->length += length;
}

static void hash_body(struct outcome *outcome, const char *body, size_t length)
{
	outcome->hash = outcome->hash * 31 + length;
	while (length--)
		outcome->hash = outcome->hash * 31 + (unsigned char)*body++;
	outcome->bodies++;
}

/* One message, now and then with more header than it needs. */
static void put_message(struct stream *stream, uint64_t *random,
			struct outcome *wanted)
{
	static const char *const extra[] = {
		"", "", "Content-Type: a/b; charset=utf-8\r\n", "X: y\r\n",
		"x-Long: ...............................................\r\n",
	};
	char body[LIMIT], header[160];
	size_t length = random_below(random, 8) ? random_below(random, 100) :
			random_below(random, LIMIT + 1), i;
	int size = snprintf(header, sizeof(header), "%s%s%zu%s\r\n\r\n",
			    extra[random_below(random, 5)],
			    random_below(random, 2) ? "Content-Length: " :
			    "CONTENT-length:", length,
			    random_below(random, 4) ? "" : " \t");

	for (i = 0; i < length; i++)
		body[i] = "\r\n:{}x"[random_below(random, 6)];
	put(stream, header, (size_t)size);
	put(stream, body, length);
	hash_body(wanted, body, length);
}

/* A header that no server should send, somewhere in the middle. */
static void insert_header(struct stream *stream, size_t at, uint64_t *random)
{
	static const char *const headers[] = {
		"Content-Length: 3001\r\n\r\n",
		"Content-Length: 184467440737095516160\r\n\r\n",
		"Content-Length: -1\r\n\r\n", "Content-Length: x\r\n\r\n",
		"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"a:\r\na:\r\na:\r\na:\r\na:\r\n",
		"Content-Type: charset=latin1\r\n",
		"a: ..........................................................",
	};
	const char *header = headers[random_below(random, 8)];
	size_t length = strlen(header);

	if (stream->length + length > STREAM)
		return;
	memmove(stream->bytes + at + length, stream->bytes + at,
		stream->length - at);
	memcpy(stream->bytes + at, header, length);
	stream->length += length;
}

/* A byte becomes another, or goes, or the rest is cut off, or worse. */
static void damage(struct stream *stream, uint64_t *random)
{
	static const char likely[] = "\r\n:- 0129\0C";
	size_t at = random_below(random, stream->length);

	switch (random_below(random, 4)) {
	case 0:
		stream->bytes[at] = likely[random_below(random, 10)];
		break;
	case 1:
		memmove(stream->bytes + at, stream->bytes + at + 1,
			stream->length - at - 1);
		stream->length--;
		break;
	case 2:
		stream->length = at;
		break;
	default:
		insert_header(stream, random_below(random, 2) ? 0 : at, random);
	}
}

/* All messages that are there; 0: more is needed. */
static int take_all(struct frame_reader *reader, struct outcome *outcome)
{
	const char *body;
	size_t length;
	int rc;

	while (!(rc = frame_next(reader, &body, &length)))
		hash_body(outcome, body, length);
	return rc == -EAGAIN ? 0 : rc;
}

static void write_piece(int fd, const struct stream *stream, size_t *at,
			size_t length)
{
	if (length > stream->length - *at)
		length = stream->length - *at;
	if (write(fd, stream->bytes + *at, length) != (ssize_t)length)
		bail_out("cannot write to a pipe");
	*at += length;
}

/* Through a pipe, in pieces of at most @most bytes. */
static void read_stream(const struct stream *stream, size_t most,
			uint64_t *random, struct outcome *outcome)
{
	struct frame_reader reader = { .limits = limits };
	size_t at = 0;
	int ends[2];

	memset(outcome, 0, sizeof(*outcome));
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
		bail_out("no pipe");
	while (!outcome->error) {
		if (at < stream->length)
			write_piece(ends[1], stream, &at,
				    random_below(random, most) + 1);
		else if (ends[1] >= 0) {
			close(ends[1]);
			ends[1] = -1;
		}
		outcome->error = frame_fill(&reader, ends[0]);
		if (reader.size > outcome->room)
			outcome->room = reader.size;
		if (!outcome->error)
			outcome->error = take_all(&reader, outcome);
	}
	frame_reset(&reader);
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
}

static int same(const struct outcome *one, const struct outcome *two)
{
	return one->hash == two->hash && one->bodies == two->bodies &&
	       one->error == two->error;
}

static struct {
	uint64_t damaged, differ, wrong, bodies, room, errors[200];
} seen;

static void try(uint64_t *random)
{
	struct outcome wanted = { 0 }, whole, pieces;
	struct stream stream = { .length = 0 };
	uint64_t messages = random_below(random, 4) + 1;
	int damaged = random_below(random, 3) != 0;

	while (messages--)
		put_message(&stream, random, &wanted);
	if (damaged)
		damage(&stream, random);
	read_stream(&stream, STREAM, random, &whole);
	read_stream(&stream, random_below(random, 40) + 1, random, &pieces);
	wanted.error = -EPIPE;
	seen.damaged += damaged;
	seen.differ += !same(&whole, &pieces);
	seen.wrong += !damaged && !same(&whole, &wanted);
	seen.bodies += whole.bodies;
	seen.errors[-whole.error % 200]++;
	if (pieces.room > seen.room)
		seen.room = pieces.room;
}

int main(void)
{
	static const int wanted[] = { EPIPE, ECONNRESET, EMSGSIZE, ERANGE,
				      EDOM, ENOMSG, ENAMETOOLONG, EBADMSG,
				      ENOTUNIQ, E2BIG, EPROTONOSUPPORT };
	size_t streams = scaled(4000, 800), i;
	uint64_t random = random_seed(1);

	watchdog(120);
	for (i = 0; i < streams; i++)
		try(&random);
	diag("%zu streams, %lu of them damaged, %lu bodies, at most %lu bytes "
	     "of buffer", streams, seen.damaged, seen.bodies, seen.room);
	is(seen.differ, 0, "pieces make no difference");
	is(seen.wrong, 0, "what was put in comes out");
	ok(seen.bodies > streams / 2, "%lu bodies were read", seen.bodies);
	ok(seen.room <= 2 * 16384, "memory stays within the limits");
	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		ok(seen.errors[wanted[i]], "%s was met %lu times",
		   strerrorname_np(wanted[i]), seen.errors[wanted[i]]);
	return done_testing();
}
