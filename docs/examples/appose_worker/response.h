/* SPDX-License-Identifier: MIT */
/*
 * response: one line to the service, text and newline in one piece.
 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include <jansson.h>
#include <stddef.h>

/* @next: whose it is at the moment. */
struct response {
	struct response *next;
	size_t length;
	char text[];
};

/*
 * @task:   NULL for a message that belongs to no task
 * @fields: an object of what there is besides, or NULL; is released
 *
 * NULL: no memory.
 */
struct response *response_new(const char *task, const char *type,
			      json_t *fields);

/* A failure, with its error. */
struct response *response_failure(const char *task, const char *error);

/* A line of plain text; its newline is added. */
struct response *response_text(const char *text, size_t length);

#endif
