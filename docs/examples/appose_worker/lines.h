/* SPDX-License-Identifier: MIT */
/*
 * lines: bytes into lines, with a bound on what is kept of each.
 *
 * A line beyond the bound is read to its end and dropped; its first bytes
 * stay, so that somebody can tell what it was.  The buffer grows up to the
 * bound for a long line and shrinks after it.
 */
#ifndef LINES_H
#define LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How many bytes of a line beyond the bound stay; the least bound. */
#define LINES_KEPT 1024

/* Like read: bytes, 0 at the end, or a negative errno value. */
typedef ssize_t (*lines_source)(void *arg, void *into, size_t size);

struct lines {
	lines_source source;
	void *arg;
	size_t limit;
	char *buffer;
	size_t size;	/* of the buffer */
	size_t start;	/* where the present line begins in it */
	size_t scanned;	/* up to here there is no newline */
	size_t end;	/* of what was read */
	bool ended;	/* the source is */
};

/*
 * @text:   without the newline; valid until the next call
 * @length: of the text
 * @whole:  how long the line was; more than length if it was too long
 */
struct line {
	const char *text;
	size_t length;
	uint64_t whole;
};

/* -ENOMEM: there is no memory for the buffer. */
int lines_begin(struct lines *lines, lines_source source, void *arg,
		size_t limit);
void lines_end(struct lines *lines);

/*
 * The next line: 1; 0 at the end of the source; -EMSGSIZE: the line is longer
 * than the bound, -ENOMEM: than there is memory for, and either way it is
 * skipped and @line holds its beginning; else what the source said.  What
 * stands behind the last newline is a line too, if it is not empty.
 */
int lines_next(struct lines *lines, struct line *line);

#endif
