/* SPDX-License-Identifier: MIT */
/*
 * What is behind the bridge, and slow: either a delay, or a command that is
 * run anew for each message, gets it as a line of JSON on its standard input,
 * and says its reply on its standard output.
 */
#ifndef BACKEND_H
#define BACKEND_H

#include <freehold/status.h>

#include <stddef.h>

/** The longest reply, in bytes; more is an error. */
#define BACKEND_REPLY ((size_t)16 << 10)

struct backend {
	const char *command;	/* NULL: a delay */
	int64_t least, most;	/* nanoseconds of delay */
	int64_t timeout;	/* nanoseconds that a command may take */
};

/**
 * struct backend_call - one call, which another thread may kill
 *
 * All-zero bytes are one that has not begun.
 */
struct backend_call {
	struct fh_status process;	/* is there one? */
	int pid;
	char reply[BACKEND_REPLY + 1];
	size_t length;
};

/**
 * backend_ask - ask, and wait for the reply
 * @message: as it is; @line: the same as a line of JSON
 *
 * Errors: -ETIMEDOUT: it took too long, and was killed; -EMFILE: descriptors
 * are short; -EAGAIN: no process can be had; -EMSGSIZE: the reply is too
 * long; -EPIPE: it failed.
 */
int backend_ask(const struct backend *backend, struct backend_call *call,
		const char *message, const char *line);

/** backend_kill - if a process runs for this call, kill it */
void backend_kill(struct backend_call *call);

#endif
