/* SPDX-License-Identifier: MIT */
/*
 * outlet: see outlet.h.
 *
 *     put ----> [ newest ] -> [ ... ] -> [ oldest ]        a stack
 *     put --^        |
 *                    | all of it at once, turned over
 *                    v
 *     the writer: write(fd, oldest), ..., write(fd, newest)
 *
 * Law 1.  A line is pushed by one compare-exchange, and taken with all the
 *   others by one exchange; turned over, they are in the order of the pushes.
 *   So the lines of one thread stay in order, and no line is taken twice.
 * Law 2.  A push comes before the change of `fed` that announces it, and the
 *   writer looks at `fed` before it looks at the stack: if it finds nothing
 *   and sleeps, `fed` has changed since, and it does not.
 * Law 3.  `waiting` counts the bytes that were pushed and not written.  A put
 *   looks at `drained`, then at the count, and sleeps if there is too much;
 *   the writer lowers the count, then changes `drained`.
 *
 * Progress: pushing is lock-free.  A put waits for the reader of the
 * descriptor, and only beyond the bound: memory is bounded by the bound and
 * one line for each thread.
 */
#include "outlet.h"

#include <freehold/status.h>

#include "atomic.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct outlet {
	_Atomic(struct response *) newest;
	atomic_u64 waiting;
	atomic_u64 dropped;
	atomic_u64 closing;
	atomic_u64 is_broken;
	struct fh_status fed;
	struct fh_status drained;
	int fd;
	size_t bound;
	void (*broken)(int error, void *arg);
	void *arg;
	pthread_t thread;
};

/* ------------------------------------------------------------ the writer */

static int wait_writable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	if (poll(&poll_fd, 1, -1) >= 0 || errno == EINTR)
		return 0;
	return -errno;
}

static int write_whole(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t count = write(fd, text, length);
		int rc = 0;

		if (count >= 0) {
			text += count;
			length -= (size_t)count;
			continue;
		}
		if (errno == EAGAIN)
			rc = wait_writable(fd);
		else if (errno != EINTR)
			rc = -errno;
		if (rc)
			return rc;
	}
	return 0;
}

static struct response *turned_over(struct response *newest)
{
	struct response *oldest = NULL, *next;

	for (; newest; newest = next) {
		next = newest->next;
		newest->next = oldest;
		oldest = newest;
	}
	return oldest;
}

/* Write a line, or drop it if nobody can read it any more. */
static void write_line(struct outlet *outlet, struct response *line)
{
	int rc;

	if (!load_relaxed(&outlet->is_broken)) {
		rc = write_whole(outlet->fd, line->text, line->length);
		if (rc) {
			store_relaxed(&outlet->is_broken, 1);
			outlet->broken(rc, outlet->arg);
		}
	}
	sub_acq_rel(&outlet->waiting, line->length);
	fh_status_set(&outlet->drained, 0);
	free(line);
}

static void *writer(void *arg)
{
	struct outlet *outlet = arg;
	struct fh_status_snapshot fed;
	struct response *line, *next;
	bool closing;

	for (;;) {
		fed = fh_status_read(&outlet->fed);
		/* Before the look at the stack: the last put came before. */
		closing = load_acquire(&outlet->closing);
		line = turned_over(swap_acquire(&outlet->newest, NULL));
		if (!line && closing)
			return NULL;
		if (!line)
			fh_status_wait_change(&outlet->fed, fed.epoch,
					      FH_FOREVER, NULL);
		for (; line; line = next) {
			next = line->next;
			write_line(outlet, line);
		}
	}
}

/* --------------------------------------------------------- for everybody */

int outlet_open(struct outlet **made, int fd, size_t bound,
		void (*broken)(int error, void *arg), void *arg)
{
	struct outlet *outlet = calloc(1, sizeof(*outlet));
	int rc;

	if (!outlet)
		return -ENOMEM;
	outlet->fd = fd;
	outlet->bound = bound;
	outlet->broken = broken;
	outlet->arg = arg;
	rc = -pthread_create(&outlet->thread, NULL, writer, outlet);
	if (rc)
		free(outlet);
	else
		*made = outlet;
	return rc;
}

/* Is there room for one more line, now or after a while? */
static bool has_room(struct outlet *outlet, enum outlet_put how)
{
	struct fh_status_snapshot drained;

	for (;;) {
		drained = fh_status_read(&outlet->drained);
		if (load_acquire(&outlet->waiting) < outlet->bound)
			return true;
		if (how == OUTLET_DROP)
			return false;
		fh_status_wait_change(&outlet->drained, drained.epoch,
				      FH_FOREVER, NULL);
	}
}

void outlet_put(struct outlet *outlet, struct response *line,
		enum outlet_put how)
{
	struct response *newest;

	if (!line)
		return;
	if (load_relaxed(&outlet->is_broken) || !has_room(outlet, how)) {
		add_relaxed(&outlet->dropped, 1);
		free(line);
		return;
	}
	add_acq_rel(&outlet->waiting, line->length);
	newest = load_relaxed(&outlet->newest);
	do
		line->next = newest;
	while (!cas_release_relaxed(&outlet->newest, &newest, line));
	fh_status_set(&outlet->fed, 0);
}

uint64_t outlet_dropped(struct outlet *outlet)
{
	return swap_acquire(&outlet->dropped, 0);
}

void outlet_close(struct outlet *outlet)
{
	store_release(&outlet->closing, 1);
	fh_status_set(&outlet->fed, 0);
	pthread_join(outlet->thread, NULL);
	free(outlet);
}
