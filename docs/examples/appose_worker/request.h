/* SPDX-License-Identifier: MIT */
/*
 * request: what one line from the service asks for.
 *
 * A line that makes no sense says what is wrong with it, in words for people,
 * and which task it speaks of if that can be told: a service waits for the
 * task, and somebody has to tell it that nothing will come.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "lines.h"

#include <jansson.h>

/* The longest id of a task, in bytes.  The protocol's are UUIDs. */
#define REQUEST_ID 255

enum request_kind {
	REQUEST_BAD,
	REQUEST_END,		/* an empty line */
	REQUEST_EXECUTE,
	REQUEST_CANCEL
};

/*
 * @task:   its id; empty if @kind is REQUEST_BAD and it cannot be told, or
 *          if nobody waits for it
 * @root:   the whole request; holds the fields below
 * @script: not terminated, may contain any byte
 * @inputs: an object, or NULL
 * @main:   to be run on the main thread
 * @wrong:  what is, if @kind is REQUEST_BAD
 */
struct request {
	enum request_kind kind;
	char task[REQUEST_ID + 1];
	json_t *root;
	const char *script;
	size_t length;
	json_t *inputs;
	bool main;
	char wrong[512];
};

/* @memory: how many bytes the parsed request may take. */
void request_parse(struct request *request, const char *text, size_t length,
		   size_t memory);

/*
 * The request that a line would have been whose first @length bytes are
 * @text: a bad one, with its task's id if that is among them.  @format: what
 * is wrong with it.
 */
__attribute__((format(printf, 4, 5)))
void request_salvage(struct request *request, const char *text, size_t length,
		     const char *format, ...);

void request_release(struct request *request);

#endif
