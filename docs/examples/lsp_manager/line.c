/* SPDX-License-Identifier: MIT */
/*
 * line: from a line of text to a command, and from its reply to lines.
 */
#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Unquotes in place; NULL: a quote is not closed. */
static char *take_word(char **at)
{
	char *from = *at, *word = from, *to = from;
	int quoted = 0;

	while (*from && (quoted || (*from != ' ' && *from != '\t'))) {
		if (*from == '"') {
			quoted = !quoted;
			from++;
			continue;
		}
		if (quoted && *from == '\\' &&
		    (from[1] == '"' || from[1] == '\\'))
			from++;
		*to++ = *from++;
	}
	*at = from + (*from != 0);
	*to = 0;
	return quoted ? NULL : word;
}

/* The words of a line; negative: a quote is not closed, or too many. */
static int split(char *line, char *words[WORDS_LIMIT])
{
	int count = 0;

	for (;;) {
		line += strspn(line, " \t");
		if (!*line)
			return count;
		if (count == WORDS_LIMIT)
			return -E2BIG;
		words[count] = take_word(&line);
		if (!words[count++])
			return -EINVAL;
	}
}

static void run_words(struct session *session, char *line, FILE *to)
{
	char *words[WORDS_LIMIT];
	struct call call = { .session = session, .to = to };

	call.deadline = fh_deadline_in(session->settings.patience);
	call.count = split(line, words) - 1;
	call.word = words + 1;
	if (call.count >= 0)
		run_command(&call, words[0]);
	else if (call.count < -1)
		reply(&call, -EINVAL, "a quote is open, or too many words");
}

/* Each line with the tag before it, in one piece. */
static void print_tagged(const char *tag, const char *text)
{
	flockfile(stdout);
	while (*text) {
		size_t length = strcspn(text, "\n") + 1;

		if (*tag)
			fprintf(stdout, "%s ", tag);
		fwrite(text, 1, length, stdout);
		text += length;
	}
	fflush(stdout);
	funlockfile(stdout);
}

void run_line(struct session *session, char *line)
{
	char *tag = "", *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (*line == '@') {
		tag = line;
		line += strcspn(line, " \t");
		if (*line)
			*line++ = 0;
	}
	if (!to) {
		print_tagged(tag, "error ENOMEM: no memory\n");
		return;
	}
	run_words(session, line, to);
	fclose(to);
	if (text)
		print_tagged(tag, text);
	free(text);
}
