/* SPDX-License-Identifier: MIT */
/*
 * child: a process with three pipes, of which nothing is left behind.
 *
 * It inherits its three standard descriptors and no other, no blocked or
 * ignored signal, and leads a process group of its own, so that what it
 * starts itself can be ended with it.  Its end is seen through a pidfd.
 */
#ifndef LSP_CHILD_H
#define LSP_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* All descriptors are closed on exec; in, out and err do not block. */
struct child {
	pid_t pid;
	int pidfd;		/* readable once the process has ended */
	int in, out, err;	/* our ends: in is written, the others read */
	int how;		/* once reaped: as waitpid(2) tells it */
	bool reaped;
};

/*
 * child_spawn - run argv[0], looked for in PATH
 * @mark: NAME=VALUE, NULL-terminated: added to its environment, where they
 *        take the place of what has the same names
 *
 * -ENOENT, -EACCES, ...: why it cannot run; -EMFILE, -ENFILE, -ENOMEM,
 * -EAGAIN: what was lacking.  Nothing is left behind.
 */
int child_spawn(struct child *child, char *const argv[],
		const char *const mark[]);

/* Send a signal to its group, as long as it was not reaped. */
void child_signal(const struct child *child, int signal);

/* Close our end of its standard input. */
void child_close_input(struct child *child);

/*
 * child_reap - if it has ended, end what is left of its group, and reap it
 *
 * 0: done, once and for all; -EAGAIN: it runs.
 */
int child_reap(struct child *child);

/* Close all descriptors; after child_reap. */
void child_close(struct child *child);

/* "exited with status 1", "was killed by SIGKILL". */
#define CHILD_HOW 40
const char *child_how(int how, char text[CHILD_HOW]);

#endif
