/* SPDX-License-Identifier: MIT */
/*
 * child: see child.h.
 *
 * A process id is a name for as long as nobody has reaped it: until then the
 * kernel gives neither it nor the group's to anybody else.  So each signal is
 * sent before the reaping, by the one thread that also reaps.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN, OUT, ERR, PIPES };

/* Our end of each pipe, and the child's. */
struct pipes {
	int ours[PIPES];
	int theirs[PIPES];
};

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static void close_pipes(struct pipes *pipes)
{
	close_all(pipes->ours, PIPES);
	close_all(pipes->theirs, PIPES);
}

/* Ours must not block; theirs must, as any program expects. */
static int open_pipes(struct pipes *pipes)
{
	int i, both[2], rc = 0;

	for (i = 0; i < PIPES; i++)
		pipes->ours[i] = pipes->theirs[i] = -1;
	for (i = 0; i < PIPES && !rc; i++) {
		if (pipe2(both, O_CLOEXEC)) {
			rc = -errno;
			break;
		}
		pipes->ours[i] = both[i == IN];
		pipes->theirs[i] = both[i != IN];
		if (fcntl(pipes->ours[i], F_SETFL, O_NONBLOCK))
			rc = -errno;
	}
	if (rc)
		close_pipes(pipes);
	return rc;
}

static bool same_name(const char *one, const char *other)
{
	size_t length = strcspn(one, "=");

	return strncmp(one, other, length + 1) == 0;
}

/* Our environment with the marks; the strings are shared. */
static char **marked_environment(const char *const mark[])
{
	size_t ours = 0, marks = 0, count = 0, i, j;
	char **all;

	while (environ[ours])
		ours++;
	while (mark[marks])
		marks++;
	all = calloc(ours + marks + 1, sizeof(*all));
	if (!all)
		return NULL;
	for (i = 0; i < ours; i++) {
		for (j = 0; j < marks && !same_name(mark[j], environ[i]); j++)
			;
		if (j == marks)
			all[count++] = environ[i];
	}
	for (j = 0; j < marks; j++)
		all[count++] = (char *)mark[j];
	return all;
}

static int set_actions(posix_spawn_file_actions_t *actions,
		       const struct pipes *pipes)
{
	int i, error = 0;

	for (i = 0; i < PIPES && !error; i++)
		error = posix_spawn_file_actions_adddup2(
			actions, pipes->theirs[i], i);
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	return error;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
					 POSIX_SPAWN_SETSIGMASK |
					 POSIX_SPAWN_SETSIGDEF);
	if (!error)
		error = posix_spawnattr_setsigmask(attributes, &none);
	if (!error)
		error = posix_spawnattr_setsigdefault(attributes, &all);
	return error;
}

static int spawn(pid_t *pid, const struct pipes *pipes, char *const argv[],
		 char *const environment[])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return -error;
	error = posix_spawnattr_init(&attributes);
	if (!error) {
		error = set_actions(&actions, pipes);
		if (!error)
			error = set_attributes(&attributes);
		if (!error)
			error = posix_spawnp(pid, argv[0], &actions,
					     &attributes, argv, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* A process that we cannot watch is ended before anybody hears of it. */
static int watch(struct child *child)
{
	int error;

	child->pidfd = pidfd_open(child->pid, 0);
	if (child->pidfd >= 0)
		return 0;
	error = errno;
	kill(-child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -error;
}

int child_spawn(struct child *child, char *const argv[],
		const char *const mark[])
{
	char **environment = marked_environment(mark);
	struct pipes pipes;
	int rc;

	if (!environment)
		return -ENOMEM;
	memset(child, 0, sizeof(*child));
	child->pidfd = -1;
	rc = open_pipes(&pipes);
	if (!rc) {
		rc = spawn(&child->pid, &pipes, argv, environment);
		close_all(pipes.theirs, PIPES);
		if (!rc)
			rc = watch(child);
		if (rc)
			close_pipes(&pipes);
	}
	free(environment);
	child->in = pipes.ours[IN];
	child->out = pipes.ours[OUT];
	child->err = pipes.ours[ERR];
	return rc;
}

void child_signal(const struct child *child, int signal)
{
	if (!child->reaped && kill(-child->pid, signal))
		pidfd_send_signal(child->pidfd, signal, NULL, 0);
}

void child_close_input(struct child *child)
{
	close_all(&child->in, 1);
}

int child_reap(struct child *child)
{
	siginfo_t seen = { 0 };
	pid_t pid;

	if (child->reaped)
		return 0;
	if (waitid(P_PID, (id_t)child->pid, &seen,
		   WEXITED | WNOHANG | WNOWAIT) == 0 && !seen.si_pid)
		return -EAGAIN;
	kill(-child->pid, SIGKILL);
	do
		pid = waitpid(child->pid, &child->how, 0);
	while (pid < 0 && errno == EINTR);
	child->reaped = true;
	return 0;
}

void child_close(struct child *child)
{
	close_all(&child->in, 1);
	close_all(&child->out, 1);
	close_all(&child->err, 1);
	close_all(&child->pidfd, 1);
}

const char *child_how(int how, char text[CHILD_HOW])
{
	if (WIFSIGNALED(how))
		snprintf(text, CHILD_HOW, "was killed by SIG%s",
			 sigabbrev_np(WTERMSIG(how)) ?: "RT");
	else
		snprintf(text, CHILD_HOW, "exited with status %d",
			 WEXITSTATUS(how));
	return text;
}
