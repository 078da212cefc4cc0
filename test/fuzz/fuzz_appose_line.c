/* SPDX-License-Identifier: MIT */
/*
 * What the Appose worker does with bytes before any script runs: bytes into
 * lines, a line into a request or a complaint, JSON into Lua and back, and a
 * complaint into a response.
 *
 * For libFuzzer, for AFL++ in its persistent mode, and for replay.c, which
 * feeds the corpus.  Not to crash is the least.  It must also hold that
 *
 *  - lines come out as the plainest splitting says, however the bytes come in;
 *  - a bad line says what is wrong with it, and a good one has what it needs;
 *  - the id of a task that a good line names is also found in it by the
 *    scanner for lines that are not good;
 *  - what goes to Lua and back is what it was;
 *  - a response is one line of JSON.
 */
#include "convert.h"
#include "lines.h"
#include "memory.h"
#include "must.h"
#include "request.h"
#include "response.h"

#include <errno.h>
#include <lua5.4/lauxlib.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Little, so that small inputs come up against it. */
#define LIMIT ((size_t)LINES_KEPT + 200)

/* What a request may take: mostly enough; it depends on the input's size. */
static size_t memory;

/* ----------------------------------------------------------------- lines */

/* What is fed, and how much of it at most at once. */
struct feed {
	const char *text;
	size_t left;
	size_t most;
};

static ssize_t feed_some(void *arg, void *into, size_t size)
{
	struct feed *feed = arg;

	if (size > feed->most)
		size = feed->most;
	if (size > feed->left)
		size = feed->left;
	memcpy(into, feed->text, size);
	feed->text += size;
	feed->left -= size;
	return (ssize_t)size;
}

/* The plainest splitting: how long the line at the beginning of @text is. */
static size_t line_length(const char *text, size_t size)
{
	const char *newline = memchr(text, '\n', size);

	return newline ? (size_t)(newline - text) : size;
}

/* ---------------------------------------------------------- there and back */

struct trip {
	const json_t *there;
	json_t *back;
};

static int make_trip(lua_State *lua)
{
	struct trip *trip = lua_touserdata(lua, 1);
	struct convert_error error;

	convert_open(lua);
	convert_push(lua, trip->there);
	memory_allow(memory);
	trip->back = convert_take(lua, -1, json_is_object(trip->there),
				  &error);
	must(trip->back || memory_answer() == MEMORY_REFUSED);
	memory_allow(SIZE_MAX);
	return 0;
}

static void there_and_back(const json_t *value)
{
	struct trip trip = { .there = value };
	lua_State *lua = luaL_newstate();
	const char *error;

	must(lua);
	lua_pushcfunction(lua, make_trip);
	lua_pushlightuserdata(lua, &trip);
	if (lua_pcall(lua, 1, 0, 0) != LUA_OK) {
		error = lua_tostring(lua, -1);
		must(strstr(error, "nested"));
	} else if (trip.back) {
		must(json_equal(value, trip.back));
	}
	json_decref(trip.back);
	lua_close(lua);
}

/* -------------------------------------------------------------- requests */

static void check_response(const char *task, const char *error)
{
	struct response *response = response_failure(task, error);
	json_t *parsed;

	must(response);
	must(memchr(response->text, '\n', response->length) ==
	     response->text + response->length - 1);
	parsed = json_loadb(response->text, response->length, 0, NULL);
	must(parsed);
	must(!strcmp(json_string_value(json_object_get(parsed, "task")),
		     task));
	must(json_string_length(json_object_get(parsed, "error")));
	json_decref(parsed);
	free(response);
}

static void check_salvage(const char *text, size_t length, const char *task)
{
	struct request request;

	request_salvage(&request, text, length, "as it happens");
	must(request.kind == REQUEST_BAD);
	must(!strcmp(request.wrong, "as it happens"));
	if (task)
		must(!strcmp(request.task, task));
}

static void check_request(const char *text, size_t length)
{
	struct request request;
	bool escapes = memchr(text, '\\', length);

	request_parse(&request, text, length, memory);
	switch (request.kind) {
	case REQUEST_BAD:
		must(request.wrong[0]);
		check_response(request.task, request.wrong);
		break;
	case REQUEST_EXECUTE:
		must(request.task[0] && request.script);
		/* A name may be written with escapes; the scanner's may not. */
		check_salvage(text, length, escapes ? NULL : request.task);
		if (request.inputs)
			there_and_back(request.inputs);
		break;
	case REQUEST_CANCEL:
		must(request.task[0]);
		break;
	case REQUEST_END:
		must(!request.root);
	}
	check_salvage(text, length / 2, NULL);
	request_release(&request);
}

/* ------------------------------------------------------------------- all */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *rest = (const char *)data, *end = rest + size;
	struct feed feed = { rest, size, 1 + size % 61 };
	struct lines lines;
	struct line line;
	int rc;

	memory_setup();
	memory = size % 3 ? (size_t)1 << 18 : size * 37 % 8192;
	must(lines_begin(&lines, feed_some, &feed, LIMIT) == 0);
	while ((rc = lines_next(&lines, &line)) != 0) {
		size_t length = line_length(rest, (size_t)(end - rest));

		must(line.whole == length);
		must(rc == (length > LIMIT ? -EMSGSIZE : 1));
		must(line.length == (rc == 1 ? length : LINES_KEPT));
		must(!memcmp(line.text, rest, line.length));
		check_request(line.text, line.length);
		rest += length;
		rest += rest < end;
	}
	must(rest == end);
	lines_end(&lines);
	return 0;
}
