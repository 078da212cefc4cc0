/* SPDX-License-Identifier: MIT */
/*
 * frame: messages as the Language Server Protocol frames them.
 *
 *     Content-Length: 38\r\n
 *     \r\n
 *     {"jsonrpc":"2.0","id":1,"result":null}
 *
 * The reader is fed from a descriptor that never blocks, and trusts nothing:
 * what a header claims is checked before any memory is taken, and memory
 * follows the bytes that came, not those that were promised.
 */
#ifndef LSP_FRAME_H
#define LSP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct frame_limits - what a peer may ask of us
 * @body:     bytes in the body of a message
 * @lines:    lines in its header
 * @line:     bytes in one of them, without its end
 * @patience: nanoseconds from a message's first byte to its last
 */
struct frame_limits {
	size_t body;
	size_t lines;
	size_t line;
	int64_t patience;
};

/* 10 MiB, 32 lines of 1 KiB, 30 seconds. */
extern const struct frame_limits frame_default_limits;

/* To be zeroed but for its limits; frame_reset frees what it holds. */
struct frame_reader {
	struct frame_limits limits;
	char *bytes;
	size_t size, have;	/* room, and how much of it is filled */
	size_t at;		/* where the unread part begins */
	size_t lines;		/* of the present header, read so far */
	ssize_t length;		/* of the present body; meaningful if told */
	int told;		/* the header has said the length */
	int in_body;		/* the header is over */
	int64_t deadline;	/* for the message that has begun, or 0 */
};

/*
 * frame_fill - read once from @fd
 *
 * 0: something came.  -EAGAIN: nothing is there.  -EPIPE: the peer closed
 * its end between two messages; -ECONNRESET: in the middle of one.  -ENOMEM,
 * or what read(2) says.
 */
int frame_fill(struct frame_reader *reader, int fd);

/*
 * frame_next - the next message that is there whole
 * @body: valid until the next frame_fill or frame_reset; not terminated
 *
 * 0: @body and @length are set.  -EAGAIN: more is needed.  -ETIME: more is
 * needed, and the peer's time for this message is over.  Anything else is
 * the peer's fault, and there is no way to go on: -EMSGSIZE, -ERANGE, -EDOM,
 * -ENOMSG, -ENOTUNIQ, -E2BIG, -ENAMETOOLONG, -EBADMSG, -EPROTONOSUPPORT; see
 * error_text.
 */
int frame_next(struct frame_reader *reader, const char **body, size_t *length);

/* Nothing of a message was read that is not whole. */
bool frame_between(const struct frame_reader *reader);

void frame_reset(struct frame_reader *reader);

/* The header for a body of @length bytes; returns its own length. */
#define FRAME_HEADER 64
size_t frame_header(char header[FRAME_HEADER], size_t length);

#endif
