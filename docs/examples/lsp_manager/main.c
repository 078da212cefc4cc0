/* SPDX-License-Identifier: MIT */
/*
 * lsp_manager: keeps language servers running, and asks them.
 *
 * Lines come in, replies go out; see README.md.  The main thread only reads
 * lines and signals, and hands each line to a thread.  A line without a tag
 * is carried out before the next one is read; lines with a tag run beside
 * others, up to a bound.
 */
#include "errors.h"
#include "session.h"

#include <freehold/status.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "options.h"

#define WORKERS 64

/* A thread that carries out one line. */
enum { FREE, BUSY, DONE };

struct worker {
	struct fh_status state;
	pthread_t thread;
	struct manager *manager;
	char line[LINE_LIMIT + 1];
};

struct manager {
	struct session session;
	int signals;		/* a signalfd */
	int done;		/* an eventfd: some worker is */
	struct worker *alone;	/* carries out a line without a tag, or NULL */
	size_t have;		/* bytes in input */
	int skipping;		/* a line that is too long */
	char input[LINE_LIMIT + 1];
	struct worker workers[WORKERS];
};

/* ----------------------------------------------------------------- workers */

static void *carry_out(void *arg)
{
	struct worker *worker = arg;

	run_line(&worker->manager->session, worker->line);
	fh_status_set(&worker->state, DONE);
	eventfd_write(worker->manager->done, 1);
	return NULL;
}

/* Join those that are done; @all: wait for the others, too. */
static void collect(struct manager *manager, int all)
{
	struct worker *worker = manager->workers;
	eventfd_t count;

	eventfd_read(manager->done, &count);
	for (; worker < manager->workers + WORKERS; worker++) {
		if (fh_status_get(&worker->state) == FREE)
			continue;
		if (!all && fh_status_get(&worker->state) == BUSY)
			continue;
		pthread_join(worker->thread, NULL);
		fh_status_set(&worker->state, FREE);
		if (manager->alone == worker)
			manager->alone = NULL;
	}
}

static void refuse(const char *line, const char *why)
{
	int tag = *line == '@' ? (int)strcspn(line, " \t") : 0;

	printf("%.*s%serror %s\n", tag, line, tag ? " " : "", why);
	fflush(stdout);
}

static void hand_out(struct manager *manager, const char *line)
{
	struct worker *worker = manager->workers;

	while (worker < manager->workers + WORKERS &&
	       fh_status_get(&worker->state) != FREE)
		worker++;
	if (worker == manager->workers + WORKERS) {
		refuse(line, "EBUSY: too many commands run; ask again");
		return;
	}
	strcpy(worker->line, line);
	worker->manager = manager;
	fh_status_set(&worker->state, BUSY);
	if (pthread_create(&worker->thread, NULL, carry_out, worker)) {
		fh_status_set(&worker->state, FREE);
		refuse(line, "EAGAIN: there is no thread for it");
	} else if (*line != '@') {
		manager->alone = worker;
	}
}

/* ------------------------------------------------------------------- lines */

/* Hand out the first whole line; 0: there is none. */
static int take_line(struct manager *manager)
{
	char *end = memchr(manager->input, '\n', manager->have);
	size_t length;

	if (!end && manager->have == LINE_LIMIT) {
		if (!manager->skipping)
			refuse("", "ENAMETOOLONG: the line is too long");
		manager->skipping = 1;
		manager->have = 0;
	}
	if (!end)
		return 0;
	*end = 0;
	length = (size_t)(end - manager->input) + 1;
	if (!manager->skipping && strlen(manager->input) + 1 < length)
		refuse("", "EINVAL: there is a zero byte in the line");
	else if (!manager->skipping)
		hand_out(manager, manager->input);
	manager->skipping = 0;
	manager->have -= length;
	memmove(manager->input, end + 1, manager->have);
	return 1;
}

/* A last line without an end is one all the same; 0: there will be no more. */
static int read_lines(struct manager *manager)
{
	ssize_t count = read(STDIN_FILENO, manager->input + manager->have,
			     LINE_LIMIT - manager->have);

	if (count < 0)
		return errno == EINTR || errno == EAGAIN;
	if (count == 0 && manager->have)
		manager->input[manager->have++] = '\n';
	else
		manager->have += (size_t)count;
	return count > 0;
}

/* Returns when there are no more lines, or a signal came: then not 0. */
static int serve(struct manager *manager)
{
	struct pollfd fds[] = { { manager->signals, POLLIN, 0 },
				{ manager->done, POLLIN, 0 },
				{ STDIN_FILENO, POLLIN, 0 } };
	int open = 1;

	for (;;) {
		while (!manager->alone && take_line(manager))
			;
		if (!open && !manager->alone &&
		    !memchr(manager->input, '\n', manager->have))
			return 0;
		fds[2].fd = open && !manager->alone ? STDIN_FILENO : -1;
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			return 1;
		if (fds[1].revents)
			collect(manager, 0);
		if (fds[2].revents)
			open = read_lines(manager);
	}
}

/* ----------------------------------------------------------- begin and end */

/* Servers must find 0, 1 and 2 taken, and their own ends be reported. */
static int prepare(struct manager *manager)
{
	sigset_t signals;
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO &&
	       fcntl(fd, F_SETFD, 0) == 0);
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	json_object_seed(0);
	manager->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	manager->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return manager->signals < 0 || manager->done < 0 ? -errno : 0;
}

static int stop_all(struct manager *manager)
{
	int64_t deadline = fh_deadline_in(manager->session.settings.patience);
	int rc = fh_servers_stop_all_wait(manager->session.servers, deadline);

	if (rc)
		fprintf(stderr, "lsp_manager: not all were stopped: %s\n",
			error_text(rc));
	return rc;
}

/* After a signal the commands that run end with their servers. */
static int finish(struct manager *manager, int signalled)
{
	int rc;

	if (signalled)
		stop_all(manager);
	collect(manager, 1);
	rc = stop_all(manager);
	fh_servers_destroy(manager->session.servers);
	close(manager->signals);
	close(manager->done);
	return rc;
}

int main(int argc, char **argv)
{
	static struct manager manager;
	struct fh_servers_options options = {
		.event = print_event, .event_arg = &manager.session,
	};
	int rc = read_options(&manager.session.settings, argc, argv);

	if (rc)
		return rc > 0 ? 0 : 2;
	rc = prepare(&manager);
	if (!rc)
		rc = fh_servers_create(&manager.session.servers, &options);
	if (rc) {
		fprintf(stderr, "lsp_manager: %s\n", error_text(rc));
		return 1;
	}
	rc = finish(&manager, serve(&manager));
	free(manager.session.settings.root);
	return rc ? 1 : 0;
}
