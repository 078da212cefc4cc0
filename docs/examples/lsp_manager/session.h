/* SPDX-License-Identifier: MIT */
/*
 * session: a registry, the options for what is started in it, and the
 * commands that a line can give.
 */
#ifndef LSP_SESSION_H
#define LSP_SESSION_H

#include "frame.h"

#include <freehold/server.h>

#include <stdio.h>

/* What the command line says; times are nanoseconds. */
struct settings {
	char *const *command;	/* for servers that are started without one */
	size_t words;
	char *root;		/* or NULL */
	struct frame_limits frames;
	struct fh_server_limits limits;
	struct fh_server_policy policy;
	int64_t patience;	/* for whatever waits */
	int events;		/* print transitions */
};

struct session {
	struct fh_servers *servers;
	struct settings settings;
};

#define LINE_LIMIT 8192u	/* bytes in a command line */
#define WORDS_LIMIT 64		/* words in it */

/*
 * run_line - carry out one command, and print the reply with one write
 *
 * A line is [@TAG] COMMAND [WORD...]; words are separated by blanks, or stand
 * in double quotes, where \" and \\ are a quote and a backslash.  A reply is
 * any number of lines that are indented, and one that begins with "ok" or
 * "error"; with a tag, that stands before each.  An empty line has no reply.
 */
void run_line(struct session *session, char *line);

/* For the registry; the argument is a session. */
void print_event(const struct fh_server_event *event, void *session);

/* What the commands are, for --help. */
void print_commands(FILE *to);

#endif
