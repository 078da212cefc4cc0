/* SPDX-License-Identifier: MIT */
/*
 * pump: one thread, one server.
 *
 *     callers ---- letters ----> +------+ -- stdin ---> +--------+
 *       ^                        | pump | <-- stdout -- | server |
 *       +------ status cells --- +------+ <-- stderr -- +--------+
 *                                    ^------ pidfd --------+
 *
 * Letters are pointers in a pipe: the kernel's queue, which any number of
 * threads fill and poll(2) watches.  The pump never blocks but in poll, so
 * the queue is always emptied; what the server does not read is kept, up to a
 * bound past which the server counts as broken.
 *
 * A server that breaks a rule is broken for good: the first cause is kept,
 * whoever waits gets it, and the process is killed.  It ends, like any other,
 * through the pidfd, and is reaped by the pump, once.
 */
#include "pump.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUEUE_LIMIT ((size_t)64 * 1024 * 1024)
#define LETTERS 64u		/* taken from the pipe at once */

/* Between the end of its output and the end of a process, nanoseconds. */
#define LAST_WORDS INT64_C(1000000000)

enum { POST, IN, OUT, ERR, END, WATCHED };

/* ----------------------------------------------------------- to the server */

int pump_send(struct lsp *lsp, json_t *message)
{
	char header[FRAME_HEADER], *body = json_dumps(message, JSON_COMPACT);
	size_t length = body ? strlen(body) : 0;
	size_t start = frame_header(header, length);
	struct parcel *parcel;

	json_decref(message);
	parcel = body ? malloc(sizeof(*parcel) + start + length) : NULL;
	if (parcel) {
		*parcel = (struct parcel){ .size = start + length };
		memcpy(parcel->bytes, header, start);
		memcpy(parcel->bytes + start, body, length);
		*lsp->last_parcel = parcel;
		lsp->last_parcel = &parcel->next;
		lsp->queued += parcel->size;
	}
	free(body);
	return parcel ? 0 : -ENOMEM;
}

static void drop_first(struct lsp *lsp)
{
	struct parcel *parcel = lsp->parcels;

	lsp->parcels = parcel->next;
	if (!lsp->parcels)
		lsp->last_parcel = &lsp->parcels;
	lsp->queued -= parcel->size;
	free(parcel);
}

/*
 * A server that has closed its input can do nothing more for us; how it ends
 * is a better cause than that we noticed.
 */
static void write_some(struct lsp *lsp)
{
	struct parcel *parcel;
	ssize_t count;

	while (lsp->child.in >= 0 && (parcel = lsp->parcels)) {
		count = write(lsp->child.in, parcel->bytes + parcel->sent,
			      parcel->size - parcel->sent);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			break;
		if (count < 0) {
			child_close_input(&lsp->child);
			continue;
		}
		parcel->sent += (size_t)count;
		if (parcel->sent == parcel->size)
			drop_first(lsp);
	}
	while (lsp->child.in < 0 && lsp->parcels)
		drop_first(lsp);
	if (lsp->queued > QUEUE_LIMIT)
		pump_break(lsp, -ENOBUFS, NULL);
}

/* --------------------------------------------------------- from the server */

/* The first cause counts; whoever waits gets it. */
static void set_cause(struct lsp *lsp, int cause, const char *why)
{
	int tail = (int)lsp->tail_length;

	if (fh_status_get(&lsp->life) != LIFE_RUNS)
		return;
	lsp->cause = cause;
	snprintf(lsp->why, sizeof(lsp->why), "%.*s%s%s%.*s",
		 LSP_WHY - (int)TAIL - 16, why ? why : "",
		 why && tail ? "; " : "", tail ? "it said: " : "", tail,
		 lsp->tail);
	make_plain(lsp->why);
	fh_status_set(&lsp->life, LIFE_BROKEN);
	mail_fail_all(lsp);
}

void pump_break(struct lsp *lsp, int cause, const char *why)
{
	set_cause(lsp, cause, why);
	child_signal(&lsp->child, SIGKILL);
}

/* Most often it ends in the next moment, and how says more than this does. */
static void output_ended(struct lsp *lsp, int how)
{
	close(lsp->child.out);
	lsp->child.out = -1;
	lsp->output_end = how;
	lsp->last_words = fh_deadline_in(LAST_WORDS);
}

/* Read once, and hear all that is there whole; -EAGAIN: there is no more. */
static int read_output(struct lsp *lsp)
{
	int rc = frame_fill(&lsp->reader, lsp->child.out);
	const char *body;
	size_t length;

	if (rc == -EAGAIN)
		return rc;
	if (rc == -EPIPE || rc == -ECONNRESET) {
		output_ended(lsp, rc);
		return -EAGAIN;
	}
	while (!rc && fh_status_get(&lsp->life) == LIFE_RUNS) {
		rc = frame_next(&lsp->reader, &body, &length);
		if (!rc)
			rc = talk_hear(lsp, body, length);
	}
	if (rc && rc != -EAGAIN)
		pump_break(lsp, rc, NULL);
	return 0;
}

/* Keeps the last line, or what fits of it. */
static void keep_tail(struct lsp *lsp, const char *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (lsp->tail_length == TAIL || (lsp->tail_length &&
		    lsp->tail[lsp->tail_length - 1] == '\n'))
			lsp->tail_length = 0;
		lsp->tail[lsp->tail_length++] = bytes[i];
	}
}

static void read_errors(struct lsp *lsp)
{
	char bytes[4096];
	ssize_t count = read(lsp->child.err, bytes, sizeof(bytes));

	if (count > 0) {
		keep_tail(lsp, bytes, (size_t)count);
	} else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(lsp->child.err);
		lsp->child.err = -1;
	}
}

/* ----------------------------------------------------------------- its end */

/* What it wrote before it ended is still in the pipe; others may write on. */
static void drain(struct lsp *lsp)
{
	int rounds;

	for (rounds = 0; rounds < 64 && lsp->child.out >= 0 &&
	     fh_status_get(&lsp->life) == LIFE_RUNS; rounds++)
		if (read_output(lsp))
			break;
	if (lsp->child.err >= 0)
		read_errors(lsp);
}

static void look_for_end(struct lsp *lsp)
{
	char how[CHILD_HOW];
	int status;

	if (child_reap(&lsp->child))
		return;
	drain(lsp);
	status = lsp->child.how;
	child_how(status, how);
	if (lsp->leaving && status == 0)
		set_cause(lsp, -ESHUTDOWN, NULL);
	else if (!frame_between(&lsp->reader) && WIFEXITED(status))
		set_cause(lsp, -ECONNRESET, how);
	else
		set_cause(lsp, -ECHILD, how);
	fh_status_set(&lsp->life, LIFE_ENDED);
	eventfd_write(lsp->ended, 1);
}

static void look_at_time(struct lsp *lsp)
{
	int64_t now = fh_now();

	if (fh_status_get(&lsp->life) != LIFE_RUNS)
		return;
	if (lsp->last_words && now >= lsp->last_words)
		pump_break(lsp, lsp->output_end, NULL);
	else if (lsp->reader.deadline && now >= lsp->reader.deadline)
		pump_break(lsp, -ETIME, NULL);
}

/* ---------------------------------------------------------------- the loop */

static int64_t sooner(int64_t one, int64_t other)
{
	return !one || (other && other < one) ? other : one;
}

/* Milliseconds until something is due, rounded up; -1: nothing is. */
static int patience(const struct lsp *lsp)
{
	int64_t due = sooner(lsp->last_words, lsp->reader.deadline), left;

	if (!due || fh_status_get(&lsp->life) != LIFE_RUNS)
		return -1;
	left = due - fh_now();
	return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

static void watch(const struct lsp *lsp, struct pollfd fds[WATCHED])
{
	bool runs = fh_status_get(&lsp->life) == LIFE_RUNS;
	bool ended = lsp->child.reaped;

	fds[POST] = (struct pollfd){ lsp->post[0], POLLIN, 0 };
	fds[IN] = (struct pollfd){ -1, POLLOUT, 0 };
	if (runs && lsp->parcels)
		fds[IN].fd = lsp->child.in;
	fds[OUT] = (struct pollfd){ runs ? lsp->child.out : -1, POLLIN, 0 };
	fds[ERR] = (struct pollfd){ ended ? -1 : lsp->child.err, POLLIN, 0 };
	fds[END] = (struct pollfd){ ended ? -1 : lsp->child.pidfd, POLLIN, 0 };
}

/* 0: go on; else nobody will send a letter any more. */
static int take_letters(struct lsp *lsp)
{
	struct letter *letters[LETTERS];
	ssize_t count = read(lsp->post[0], letters, sizeof(letters));
	size_t i;

	if (count < 0)
		return 0;
	for (i = 0; i < (size_t)count / sizeof(*letters); i++)
		mail_deliver(lsp, letters[i]);
	return count == 0;
}

static void clean_up(struct lsp *lsp)
{
	while (lsp->parcels)
		drop_first(lsp);
	mail_forget_documents(lsp);
	frame_reset(&lsp->reader);
}

void *pump_main(void *arg)
{
	struct lsp *lsp = arg;
	struct pollfd fds[WATCHED];
	int over = 0;

	while (!over) {
		watch(lsp, fds);
		if (poll(fds, WATCHED, patience(lsp)) < 0)
			continue;
		if (fds[OUT].revents)
			read_output(lsp);
		if (fds[ERR].revents)
			read_errors(lsp);
		if (fds[POST].revents)
			over = take_letters(lsp);
		write_some(lsp);
		if (fds[END].revents)
			look_for_end(lsp);
		look_at_time(lsp);
	}
	clean_up(lsp);
	return NULL;
}
