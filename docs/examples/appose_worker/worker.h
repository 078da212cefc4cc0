/* SPDX-License-Identifier: MIT */
/* worker: what all jobs share. */
#ifndef WORKER_H
#define WORKER_H

#include "exports.h"
#include "outlet.h"

#include <freehold/status.h>
#include <freehold/task.h>

/* What the command line can change. */
struct options {
	size_t max_line;	/* bytes */
	size_t max_tasks;
	size_t threads;		/* 0: one for each task */
	size_t max_memory;	/* bytes, of a parsed request, and of a state */
	size_t max_waiting;	/* bytes, of responses that nobody reads */
	int64_t grace;		/* nanoseconds from CANCEL to the end */
	const char *hello;	/* a version of Appose, or NULL */
};

/* Whether anybody is left to read the responses. */
enum worker_life {
	WORKER_SERVES,
	WORKER_IS_ABANDONED
};

struct worker {
	struct options options;
	struct fh_tasks *tasks;
	struct outlet *responses;
	struct outlet *log;
	struct exports exports;
	struct fh_status life;
	struct fh_status drained; /* 1: all tasks have ended, and none comes */
	int input;	/* requests */
	int wake;	/* readable: the reader's thread is to look up */
};

/* A line for people, on standard error; dropped if nobody reads there. */
__attribute__((format(printf, 2, 3)))
void worker_log(struct worker *worker, const char *format, ...);

#endif
