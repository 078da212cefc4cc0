/* SPDX-License-Identifier: MIT */
/* response: see response.h. */
#include "response.h"
#include "memory.h"
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Characters beyond ASCII are escaped, so that it does not matter in which
 * encoding the service believes its pipe to be.
 */
#define HOW (JSON_COMPACT | JSON_ENSURE_ASCII)

/* A response that grows, with room for a newline. */
struct growing {
	struct response *response;
	size_t size;
};

static int append(const char *text, size_t length, void *arg)
{
	struct growing *growing = arg;
	struct response *larger = growing->response;
	size_t size = growing->size;

	while (size - larger->length < length)
		size *= 2;
	if (size > growing->size) {
		larger = realloc(larger, sizeof(*larger) + size);
		if (!larger)
			return -1;
		growing->response = larger;
		growing->size = size;
	}
	memcpy(larger->text + larger->length, text, length);
	larger->length += length;
	return 0;
}

static struct response *dump(const json_t *object)
{
	struct growing growing = { .size = 256 };

	growing.response = malloc(sizeof(*growing.response) + growing.size);
	if (!growing.response)
		return NULL;
	growing.response->next = NULL;
	growing.response->length = 0;
	if (json_dump_callback(object, append, &growing, HOW) == 0 &&
	    append("\n", 1, &growing) == 0)
		return growing.response;
	free(growing.response);
	return NULL;
}

/*
 * Who the response is about goes first, for people who read along.  Members
 * that cannot be added for lack of memory are left out in silence, so ask.
 */
struct response *response_new(const char *task, const char *type,
			      json_t *fields)
{
	struct response *response = NULL;
	json_t *object;

	memory_allow(SIZE_MAX);
	object = json_object();
	if (object && (!task || json_object_set_new(object, "task",
						    json_string(task)) == 0) &&
	    json_object_set_new(object, "responseType",
				json_string(type)) == 0 &&
	    (!fields || json_object_update_missing(object, fields) == 0) &&
	    memory_answer() == MEMORY_GRANTED)
		response = dump(object);
	json_decref(object);
	json_decref(fields);
	return response;
}

struct response *response_failure(const char *task, const char *error)
{
	char *clean = text_clean(error, strlen(error));
	json_t *fields = json_object();
	int rc = -1;

	if (clean && fields)
		rc = json_object_set_new(fields, "error", json_string(clean));
	free(clean);
	if (rc == 0)
		return response_new(task, "FAILURE", fields);
	json_decref(fields);
	return NULL;
}

struct response *response_text(const char *text, size_t length)
{
	struct response *response = malloc(sizeof(*response) + length + 1);

	if (!response)
		return NULL;
	response->next = NULL;
	response->length = length + 1;
	memcpy(response->text, text, length);
	response->text[length] = '\n';
	return response;
}
