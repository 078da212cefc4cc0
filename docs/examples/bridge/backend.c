/* SPDX-License-Identifier: MIT */
/*
 * A process belongs to the thread that asks: it starts it, feeds it, and
 * reaps it.  Another thread may kill it meanwhile, and must not kill whoever
 * has got its number since; so a process is killed only in the state ALIVE,
 * which the asker leaves before it reaps, and cannot leave while it is being
 * killed.
 *
 *     NONE --start--> ALIVE --about to reap--> NONE
 *                      |  ^
 *                      v  |
 *                    KILLING
 */
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { NONE, ALIVE, KILLING };

static int64_t between(int64_t least, int64_t most)
{
	static uint64_t state;
	uint64_t x = __atomic_add_fetch(&state, UINT64_C(0x9e3779b97f4a7c15),
					__ATOMIC_RELAXED);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return least + (int64_t)((x ^ x >> 31) % (uint64_t)(most - least + 1));
}

static int delay(const struct backend *backend, struct backend_call *call,
		 const char *message)
{
	int64_t end = fh_deadline_in(between(backend->least, backend->most));
	struct timespec until = { end / 1000000000, end % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) ==
	       EINTR)
		;
	call->length = (size_t)snprintf(call->reply, sizeof(call->reply),
					"You said: %s", message);
	return call->length < sizeof(call->reply) ? 0 : -EMSGSIZE;
}

/* ---- a process ---- */

static void close_both(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static int spawn(const char *command, int in, int out, pid_t *pid)
{
	char *const words[] = { "sh", "-c", (char *)(uintptr_t)command, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t how;
	sigset_t signals;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawnattr_init(&how);
	sigfillset(&signals);
	posix_spawnattr_setsigdefault(&how, &signals);
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&how, &signals);
	posix_spawnattr_setpgroup(&how, 0);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF |
				 POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid, "/bin/sh", &actions, &how, words, environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&actions);
	return rc ? -EAGAIN : 0;
}

/* Start it; to and from are our ends of its pipes. */
static int start(const struct backend *backend, struct backend_call *call,
		 int *to, int *from)
{
	int in[2], out[2], rc;

	if (pipe2(in, O_CLOEXEC) < 0)
		return -EMFILE;
	if (pipe2(out, O_CLOEXEC) < 0) {
		close_both(in);
		return -EMFILE;
	}
	rc = spawn(backend->command, in[0], out[1], &call->pid);
	if (rc < 0) {
		close_both(in);
		close_both(out);
		return rc;
	}
	close(in[0]);
	close(out[1]);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	*to = in[1];
	*from = out[0];
	fh_status_set(&call->process, ALIVE);
	return 0;
}

/* Write some; closes the pipe when all is written, or nobody reads. */
static void feed(int *to, const char **line, size_t *left)
{
	ssize_t sent = write(*to, *line, *left);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent > 0) {
		*line += sent;
		*left -= (size_t)sent;
	}
	if (sent < 0 || !*left) {
		close(*to);
		*to = -1;
	}
}

/* Read some: 1: there may be more, 0: the end. */
static int fetch(int from, struct backend_call *call)
{
	size_t room = sizeof(call->reply) - call->length;
	ssize_t got = read(from, call->reply + call->length, room);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -EPIPE;
	call->length += (size_t)got;
	if (call->length > BACKEND_REPLY)
		return -EMSGSIZE;
	return got > 0;
}

/* Say the line, hear the reply, until the deadline. */
static int converse(struct backend_call *call, int *to, int from,
		    const char *line, int64_t deadline)
{
	size_t left = strlen(line);
	int rc = 1;

	while (rc == 1) {
		struct pollfd fds[2] = {
			{ .fd = from, .events = POLLIN },
			{ .fd = *to, .events = POLLOUT },
		};
		int64_t now = fh_now();

		if (now >= deadline)
			return -ETIMEDOUT;
		poll(fds, 2, (int)((deadline - now) / 1000000 % 60000 + 1));
		if (fds[1].revents && *to >= 0)
			feed(to, &line, &left);
		if (fds[0].revents)
			rc = fetch(from, call);
	}
	return rc;
}

static void end_process(struct backend_call *call)
{
	struct fh_status_snapshot seen = fh_status_read(&call->process);

	do {
		while (seen.state == KILLING)
			fh_status_wait(&call->process, FH_STATE(ALIVE),
				       FH_FOREVER, &seen);
	} while (fh_status_compare_exchange(&call->process, &seen, NONE) < 0);
}

/* It has said all; it should end by itself. */
static int await_exit(struct backend_call *call, int64_t deadline)
{
	struct pollfd process = { .events = POLLIN };
	int64_t now = fh_now();
	int rc = 0;

	process.fd = pidfd_open(call->pid, 0);
	while (process.fd >= 0 && rc == 0 && now < deadline) {
		rc = poll(&process, 1,
			  (int)((deadline - now) / 1000000 % 60000 + 1));
		rc = rc < 0 && errno == EINTR ? 0 : rc;
		now = fh_now();
	}
	if (process.fd < 0)
		return -EMFILE;
	close(process.fd);
	return rc > 0 ? 0 : -ETIMEDOUT;
}

/* It is over, or will be: wait for that, and reap. */
static int reap(struct backend_call *call, int rc)
{
	siginfo_t info;
	int status;

	if (rc < 0)
		kill(-call->pid, SIGKILL);
	while (waitid(P_PID, (id_t)call->pid, &info, WEXITED | WNOWAIT) < 0 &&
	       errno == EINTR)
		;
	end_process(call);
	while (waitpid(call->pid, &status, 0) < 0 && errno == EINTR)
		;
	return rc < 0 ? rc : status ? -EPIPE : 0;
}

static int run(const struct backend *backend, struct backend_call *call,
	       const char *line)
{
	int64_t deadline = fh_deadline_in(backend->timeout);
	int to, from, rc = start(backend, call, &to, &from);

	if (rc < 0)
		return rc;
	rc = converse(call, &to, from, line, deadline);
	if (to >= 0)
		close(to);
	close(from);
	if (rc == 0)
		rc = await_exit(call, deadline);
	rc = reap(call, rc);
	if (rc < 0)
		return rc;
	while (call->length && call->reply[call->length - 1] == '\n')
		call->length--;
	call->reply[call->length] = '\0';
	return 0;
}

int backend_ask(const struct backend *backend, struct backend_call *call,
		const char *message, const char *line)
{
	return backend->command ? run(backend, call, line) :
		delay(backend, call, message);
}

void backend_kill(struct backend_call *call)
{
	struct fh_status_snapshot seen = fh_status_read(&call->process);

	if (seen.state != ALIVE ||
	    fh_status_compare_exchange(&call->process, &seen, KILLING) < 0)
		return;
	kill(-call->pid, SIGKILL);
	fh_status_set(&call->process, ALIVE);
}
