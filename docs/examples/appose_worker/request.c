/* SPDX-License-Identifier: MIT */
/*
 * request: see request.h.
 *
 * A line that is no JSON, or was cut off, often still begins with the id of
 * its task.  The scanner below reads members of the outermost object until
 * something is wrong, and needs no memory for it.
 */
#include "request.h"
#include "memory.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------ salvaging */

/* What is left of a text. */
struct rest {
	const char *at;
	const char *end;
};

static char peek(const struct rest *rest)
{
	return rest->at < rest->end ? *rest->at : '\0';
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static void skip_space(struct rest *rest)
{
	while (is_one_of(peek(rest), " \t\r\n"))
		rest->at++;
}

/* Without the blanks around it, which may be more than JSON's. */
static struct rest trimmed(const char *text, size_t length)
{
	static const char blanks[] = " \t\r\n\v\f";
	struct rest rest = { text, text + length };

	while (rest.at < rest.end && is_one_of(*rest.at, blanks))
		rest.at++;
	while (rest.at < rest.end && is_one_of(rest.end[-1], blanks))
		rest.end--;
	return rest;
}

static bool skip_char(struct rest *rest, char wanted)
{
	skip_space(rest);
	if (peek(rest) != wanted)
		return false;
	rest->at++;
	return true;
}

/* A string; the text with its quotation marks goes to @token. */
static bool skip_string(struct rest *rest, struct rest *token)
{
	skip_space(rest);
	token->at = rest->at;
	if (!skip_char(rest, '"'))
		return false;
	for (; rest->at < rest->end; rest->at++) {
		if (*rest->at == '"') {
			token->end = ++rest->at;
			return true;
		}
		if (*rest->at == '\\' && ++rest->at == rest->end)
			return false;
	}
	return false;
}

/* Any value, more or less: brackets have to match in number, not in kind. */
static bool skip_value(struct rest *rest)
{
	struct rest token;
	int depth = 0;

	for (skip_space(rest); rest->at < rest->end; rest->at++) {
		if (*rest->at == '"') {
			if (!skip_string(rest, &token))
				return false;
			rest->at--;
		} else if (is_one_of(*rest->at, "[{")) {
			depth++;
		} else if (depth == 0 && is_one_of(*rest->at, ",}")) {
			return true;
		} else if (is_one_of(*rest->at, "]}")) {
			depth--;
		}
	}
	return false;
}

static bool token_is(const struct rest *token, const char *text)
{
	size_t length = strlen(text);

	return (size_t)(token->end - token->at) == length + 2 &&
	       !memcmp(token->at + 1, text, length);
}

/* Does the text stand for itself in JSON? */
static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == '\\')
			return false;
	return text_is_utf8(text, length);
}

static bool copy(const char *text, size_t length, char *into, size_t size)
{
	if (length >= size)
		return false;
	memcpy(into, text, length);
	into[length] = '\0';
	return true;
}

/* The text of a token, terminated, if it is a fit id or type. */
static bool decode(const struct rest *token, char *into, size_t size)
{
	size_t length = (size_t)(token->end - token->at) - 2;
	json_t *string;
	bool fits;

	/* Without escapes it needs no memory, which may be what is short. */
	if (is_plain(token->at + 1, length))
		return copy(token->at + 1, length, into, size);
	string = memory_parse(token->at, (size_t)(token->end - token->at),
			      JSON_DECODE_ANY, NULL);
	fits = string && json_is_string(string) &&
	       json_string_length(string) < size;
	if (fits)
		strcpy(into, json_string_value(string));
	json_decref(string);
	return fits;
}

/* Look through the members for these two, until something is wrong. */
static void scan(struct rest rest, char *task, char *type, size_t size)
{
	struct rest name, value;

	task[0] = type[0] = '\0';
	if (!skip_char(&rest, '{'))
		return;
	do {
		if (!skip_string(&rest, &name) || !skip_char(&rest, ':'))
			return;
		skip_space(&rest);
		value = rest;
		if (peek(&rest) == '"') {
			if (!skip_string(&rest, &value))
				return;
			if (token_is(&name, "task"))
				decode(&value, task, size);
			if (token_is(&name, "requestType"))
				decode(&value, type, size);
		} else if (!skip_value(&rest)) {
			return;
		}
	} while (skip_char(&rest, ','));
}

void request_salvage(struct request *request, const char *text, size_t length,
		     const char *format, ...)
{
	char type[REQUEST_ID + 1];
	va_list args;

	memset(request, 0, sizeof(*request));
	va_start(args, format);
	vsnprintf(request->wrong, sizeof(request->wrong), format, args);
	va_end(args);
	memory_allow(SIZE_MAX);
	scan(trimmed(text, length), request->task, type, sizeof(type));
	/* Nobody waits for the answer to a cancellation. */
	if (!strcmp(type, "CANCEL"))
		request->task[0] = '\0';
}

/* -------------------------------------------------------------- parsing */

/* The text was not parsed.  Without memory the library blames the text. */
static void not_parsed(struct request *request, const struct rest *rest,
		       size_t memory, const json_error_t *error)
{
	const char *text = rest->at;
	size_t length = (size_t)(rest->end - rest->at);

	if (memory_answer() == MEMORY_REFUSED)
		request_salvage(request, text, length, "it takes more than %zu"
				" bytes of memory", memory);
	else if (memory_answer() == MEMORY_SHORT)
		request_salvage(request, text, length, "not enough memory");
	else
		request_salvage(request, text, length, "column %d: %s",
				error->column, error->text);
}

__attribute__((format(printf, 2, 3)))
static void wrong(struct request *request, const char *format, ...)
{
	va_list args;

	request->kind = REQUEST_BAD;
	va_start(args, format);
	vsnprintf(request->wrong, sizeof(request->wrong), format, args);
	va_end(args);
}

/* A field, or NULL if it is absent or null. */
static json_t *field(const struct request *request, const char *name)
{
	json_t *value = json_object_get(request->root, name);

	return json_is_null(value) ? NULL : value;
}

static bool take_task(struct request *request)
{
	const json_t *task = field(request, "task");
	size_t length = json_string_length(task);

	if (!task)
		wrong(request, "the field \"task\" is missing");
	else if (!json_is_string(task))
		wrong(request, "the field \"task\" is not a string");
	else if (!length || length > REQUEST_ID)
		wrong(request, "the field \"task\" has %zu bytes; it may have 1"
		      " to %d", length, REQUEST_ID);
	else if (strlen(json_string_value(task)) != length)
		wrong(request, "the field \"task\" contains a NUL");
	else
		return strcpy(request->task, json_string_value(task));
	return false;
}

static bool take_queue(struct request *request)
{
	const json_t *queue = field(request, "queue");

	if (!queue)
		return true;
	if (!json_is_string(queue))
		wrong(request, "the field \"queue\" is not a string");
	else if (strcmp(json_string_value(queue), "main"))
		wrong(request, "there is no queue \"%.100s\"",
		      json_string_value(queue));
	else
		return request->main = true;
	return false;
}

static void take_execute(struct request *request)
{
	const json_t *script = field(request, "script");

	request->inputs = field(request, "inputs");
	if (!script)
		wrong(request, "the field \"script\" is missing");
	else if (!json_is_string(script))
		wrong(request, "the field \"script\" is not a string");
	else if (request->inputs && !json_is_object(request->inputs))
		wrong(request, "the field \"inputs\" is not an object");
	else if (take_queue(request))
		request->kind = REQUEST_EXECUTE;
	request->script = json_string_value(script);
	request->length = json_string_length(script);
}

static void take_fields(struct request *request)
{
	const json_t *type = field(request, "requestType");
	const char *name = json_string_value(type);

	if (!json_is_object(request->root))
		wrong(request, "it is no object");
	else if (!take_task(request))
		return;
	else if (!type)
		wrong(request, "the field \"requestType\" is missing");
	else if (!name)
		wrong(request, "the field \"requestType\" is not a string");
	else if (!strcmp(name, "EXECUTE"))
		take_execute(request);
	else if (!strcmp(name, "CANCEL"))
		request->kind = REQUEST_CANCEL;
	else
		wrong(request, "there is no requestType \"%.100s\"", name);
}

void request_parse(struct request *request, const char *text, size_t length,
		   size_t memory)
{
	struct rest rest = trimmed(text, length);
	json_error_t error = { .text = "" };

	memset(request, 0, sizeof(*request));
	request->kind = REQUEST_END;
	if (rest.at == rest.end)
		return;
	memory_allow(memory);
	request->root = memory_parse(rest.at, (size_t)(rest.end - rest.at),
				     JSON_ALLOW_NUL, &error);
	if (request->root)
		take_fields(request);
	else
		not_parsed(request, &rest, memory, &error);
	memory_allow(SIZE_MAX);
}

void request_release(struct request *request)
{
	json_decref(request->root);
	request->root = NULL;
}
