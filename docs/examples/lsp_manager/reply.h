/* SPDX-License-Identifier: MIT */
/*
 * reply: what is printed for a command.
 */
#ifndef LSP_REPLY_H
#define LSP_REPLY_H

#include "session.h"

/* A command that is being carried out. */
struct call {
	struct session *session;
	FILE *to;		/* a buffer, printed as one piece */
	int count;		/* words after the command */
	char **word;
	int64_t deadline;	/* for whatever it waits for */
};

/* The last line: "ok ...", or for a negative @rc "error NAME: ...". */
__attribute__((format(printf, 3, 4))) void
reply(const struct call *call, int rc, const char *format, ...);

/* The same for what has changed a server, or looked at it: call->word[0]. */
void reply_info(const struct call *call, int rc,
		const struct fh_server_info *info);

/* NAME state=... and so on. */
void put_info(FILE *to, const char *name, const struct fh_server_info *info);

/* commands.c: carry out the command of this name. */
void run_command(struct call *call, const char *name);

#endif
