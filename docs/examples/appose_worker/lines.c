/* SPDX-License-Identifier: MIT */
/*
 * lines: see lines.h.
 *
 *     buffer:  [ done | the present line, so far   | free ]
 *              0      start             scanned  end      size
 *
 * While a line is being skipped, end is drawn back to LINES_KEPT after
 * every look at what was read, and the rest is counted.
 */
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The buffer of a reader that has seen no long line. */
#define SMALL ((size_t)64 * 1024)

int lines_begin(struct lines *lines, lines_source source, void *arg,
		size_t limit)
{
	memset(lines, 0, sizeof(*lines));
	lines->source = source;
	lines->arg = arg;
	lines->limit = limit < LINES_KEPT ? LINES_KEPT : limit;
	lines->size = SMALL;
	lines->buffer = malloc(lines->size);
	return lines->buffer ? 0 : -ENOMEM;
}

void lines_end(struct lines *lines)
{
	free(lines->buffer);
	lines->buffer = NULL;
}

static void to_front(struct lines *lines)
{
	if (!lines->start)
		return;
	memmove(lines->buffer, lines->buffer + lines->start,
		lines->end - lines->start);
	lines->scanned -= lines->start;
	lines->end -= lines->start;
	lines->start = 0;
}

/* After a long line, what follows it seldom needs as much. */
static void shrink(struct lines *lines)
{
	char *smaller;

	if (lines->size <= SMALL || lines->end - lines->start > SMALL / 2)
		return;
	to_front(lines);
	smaller = realloc(lines->buffer, SMALL);
	if (!smaller)
		return;
	lines->buffer = smaller;
	lines->size = SMALL;
}

static int make_room(struct lines *lines)
{
	size_t size = 2 * lines->size;
	char *larger;

	if (lines->end < lines->size)
		return 0;
	to_front(lines);
	if (lines->end < lines->size)
		return 0;
	if (size > lines->limit + SMALL)
		size = lines->limit + SMALL;
	larger = realloc(lines->buffer, size);
	if (!larger)
		return -ENOMEM;
	lines->buffer = larger;
	lines->size = size;
	return 0;
}

/* Forget all of the present line but its beginning: this makes room too. */
static uint64_t skip(struct lines *lines)
{
	uint64_t skipped;

	to_front(lines);
	if (lines->end <= LINES_KEPT)
		return 0;
	skipped = lines->end - LINES_KEPT;
	lines->end = lines->scanned = LINES_KEPT;
	return skipped;
}

/* The present line ends before @at, and the next one begins at @next. */
static int take(struct lines *lines, struct line *line, size_t at,
		size_t next, uint64_t skipped, int rc)
{
	line->text = lines->buffer + lines->start;
	line->length = at - lines->start;
	line->whole = line->length + skipped;
	if (!rc && line->length > lines->limit)
		rc = -EMSGSIZE;
	if (rc && line->length > LINES_KEPT)
		line->length = LINES_KEPT;
	lines->start = lines->scanned = next;
	return rc ? rc : 1;
}

/* Read more: 1, 0 at the end, or a negative errno value. */
static int more(struct lines *lines)
{
	ssize_t count = lines->source(lines->arg, lines->buffer + lines->end,
				      lines->size - lines->end);

	if (count <= 0) {
		lines->ended = count == 0;
		return (int)count;
	}
	lines->end += (size_t)count;
	return 1;
}

static char *newline(const struct lines *lines)
{
	if (lines->scanned == lines->end)
		return NULL;
	return memchr(lines->buffer + lines->scanned, '\n',
		      lines->end - lines->scanned);
}

int lines_next(struct lines *lines, struct line *line)
{
	uint64_t skipped = 0;
	int rc = 0, got;
	char *at;

	shrink(lines);
	while (!(at = newline(lines))) {
		lines->scanned = lines->end;
		if (!rc && lines->end - lines->start > lines->limit)
			rc = -EMSGSIZE;
		if (!rc && !lines->ended)
			rc = make_room(lines);
		if (rc)
			skipped += skip(lines);
		got = lines->ended ? 0 : more(lines);
		if (got > 0)
			continue;
		if (got < 0)
			return got;
		if (lines->end == lines->start)
			return 0;
		return take(lines, line, lines->end, lines->end, skipped, rc);
	}
	return take(lines, line, (size_t)(at - lines->buffer),
		    (size_t)(at - lines->buffer) + 1, skipped, rc);
}
