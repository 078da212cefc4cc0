/* SPDX-License-Identifier: MIT */
/*
 * script: see script.h.
 *
 * Everything in Lua can raise an error, a lack of memory first of all.  So
 * all of it runs below one protected call, down to the conversion of the
 * outputs; above it is only what cannot fail.
 *
 * To stop a script is to raise an error from a hook that runs every so many
 * instructions.  A script may catch errors; so from the first one on the hook
 * runs at each instruction and raises it again, until the outermost call is
 * left.  Coroutines inherit the hook.  The one place where Lua runs no hook is
 * a finalizer, and scripts cannot make any: see script_library.c.  What a
 * function of the library does on its own, such as matching a hopeless
 * pattern, is not interrupted.
 */
#include "script_run.h"
#include "convert.h"
#include "memory.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* How many instructions a script runs between two looks at the clock. */
#define INSTRUCTIONS 10000

static void look(lua_State *lua, lua_Debug *activation);

int script_stop(lua_State *lua, enum script_how why)
{
	script_of(lua)->stopped = why;
	lua_sethook(lua, look, LUA_MASKCOUNT, 1);
	return luaL_error(lua, why == SCRIPT_EXITED ? "thread exit" :
			  "the task was stopped");
}

static void look(lua_State *lua, lua_Debug *activation)
{
	struct script_run *run = script_of(lua);

	(void)activation;
	if (run->stopped != SCRIPT_DONE)
		script_stop(lua, run->stopped);
	else if (job_is_overdue(run->job))
		script_stop(lua, SCRIPT_OVERDUE);
}

/* Lua's way to all of its memory; a block's size is counted, not its cost. */
static void *allocate(void *arg, void *block, size_t old_size, size_t size)
{
	struct script_run *run = arg;
	size_t limit = job_worker(run->job)->options.max_memory;

	if (!block)
		old_size = 0;
	if (!size) {
		free(block);
		run->used -= old_size;
		return NULL;
	}
	if (size > old_size && size - old_size > limit - run->used)
		return NULL;
	block = realloc(block, size);
	if (block)
		run->used += size - old_size;
	return block;
}

/* ------------------------------------------------------------ the script */

/* What is left to be loaded: a beginning of ours, and the script. */
struct pieces {
	const char *text[2];
	size_t length[2];
	int next;
};

static const char *next_piece(lua_State *lua, void *arg, size_t *length)
{
	struct pieces *pieces = arg;

	(void)lua;
	while (pieces->next < 2) {
		int piece = pieces->next++;

		*length = pieces->length[piece];
		if (*length)
			return pieces->text[piece];
	}
	return NULL;
}

static int load(lua_State *lua, const char *before)
{
	const struct request *request = job_request(script_of(lua)->job);
	struct pieces pieces = {
		.text = { before, request->script },
		.length = { strlen(before), request->length },
	};

	return lua_load(lua, next_piece, &pieces, "=script", "t");
}

/* As an expression first; what is said of one that is neither is the chunk's
 * error. */
static void load_script(lua_State *lua)
{
	if (load(lua, "return ") == LUA_OK)
		return;
	lua_pop(lua, 1);
	if (load(lua, "") != LUA_OK)
		lua_error(lua);
}

/* Make the members of an object global variables; null is none. */
static void bind(lua_State *lua, json_t *object)
{
	void *at = object ? json_object_iter(object) : NULL;

	lua_pushglobaltable(lua);
	for (; at; at = json_object_iter_next(object, at)) {
		const json_t *value = json_object_iter_value(at);

		lua_pushlstring(lua, json_object_iter_key(at),
				json_object_iter_key_len(at));
		if (json_is_null(value))
			lua_pushnil(lua);
		else
			convert_push(lua, value);
		lua_rawset(lua, -3);
	}
	lua_pop(lua, 1);
}

/* Where an error came from; what it is may be any value. */
static int trace(lua_State *lua)
{
	if (lua_isstring(lua, 1) || luaL_getmetafield(lua, 1, "__tostring"))
		luaL_tolstring(lua, 1, NULL);
	else
		lua_pushfstring(lua, "the error is a %s value",
				luaL_typename(lua, 1));
	luaL_traceback(lua, lua, lua_tostring(lua, -1), 1);
	return 1;
}

/* --------------------------------------------------------------- outputs */

/* The table's members, as JSON; NULL: the error is at the top of the stack. */
static json_t *take(lua_State *lua, int index, bool object, const char *what)
{
	struct convert_error error;
	json_t *json;

	memory_allow(job_worker(script_of(lua)->job)->options.max_memory);
	json = convert_take(lua, index, object, &error);
	memory_allow(SIZE_MAX);
	if (!json)
		lua_pushfstring(lua, "cannot send %s: %s", what, error.text);
	return json;
}

/*
 * The result, at the top of the stack, and the table of outputs below it: put
 * the result into the table.
 */
static void merge_result(lua_State *lua)
{
	int result = lua_gettop(lua), outputs = result - 1;

	if (!convert_is_object(lua, result)) {
		lua_pushliteral(lua, "result");
		lua_pushvalue(lua, result);
		lua_rawset(lua, outputs);
		return;
	}
	lua_pushnil(lua);
	while (lua_next(lua, result)) {
		lua_pushvalue(lua, -2);
		lua_insert(lua, -2);
		lua_rawset(lua, outputs);
	}
}

/* The task's outputs, and the script's value at the top of the stack. */
static void collect(lua_State *lua, int task)
{
	struct script_run *run = script_of(lua);

	lua_pushliteral(lua, "outputs");
	lua_rawget(lua, task);
	if (!lua_istable(lua, -1))
		luaL_error(lua, "task.outputs is not a table");
	lua_insert(lua, -2);
	if (!lua_isnil(lua, -1))
		merge_result(lua);
	lua_settop(lua, task + 1);
	run->result->outputs = take(lua, task + 1, true, "the outputs");
	if (!run->result->outputs)
		lua_error(lua);
	run->result->how = SCRIPT_DONE;
}

/* ----------------------------------------------------------- all of it */

/* Below the protected call; its argument is the run. */
static int protected(lua_State *lua)
{
	struct script_run *run = lua_touserdata(lua, 1);
	int task;

	lua_settop(lua, 0);
	script_open_library(lua);
	convert_open(lua);
	script_push_task(lua);
	task = lua_gettop(lua);
	lua_pushvalue(lua, task);
	lua_setglobal(lua, "task");
	bind(lua, exported_values(run->exports));
	bind(lua, job_request(run->job)->inputs);
	lua_pushcfunction(lua, trace);
	lua_sethook(lua, look, LUA_MASKCOUNT, INSTRUCTIONS);
	load_script(lua);
	if (lua_pcall(lua, 0, 1, task + 1) != LUA_OK)
		return lua_error(lua);
	lua_remove(lua, task + 1);
	if (run->stopped == SCRIPT_DONE)
		collect(lua, task);
	return 0;
}

/* The error at the top of the stack, which is text unless it is memory. */
static char *error_text(lua_State *lua)
{
	size_t length = 0;
	const char *text = NULL;

	if (lua_type(lua, -1) == LUA_TSTRING)
		text = lua_tolstring(lua, -1, &length);
	return text ? text_clean(text, length) : NULL;
}

static void run_in(lua_State *lua, struct script_run *run)
{
	int rc;

	*(struct script_run **)lua_getextraspace(lua) = run;
	lua_pushcfunction(lua, protected);
	lua_pushlightuserdata(lua, run);
	rc = lua_pcall(lua, 1, 0, 0);
	if (rc != LUA_OK && run->stopped == SCRIPT_DONE)
		run->result->error = error_text(lua);
	lua_sethook(lua, NULL, 0, 0);
	lua_close(lua);
}

void script_run(struct job *job, struct script_result *result)
{
	struct script_run run = { .job = job, .result = result };
	lua_State *lua;

	result->how = SCRIPT_FAILED;
	result->outputs = NULL;
	result->error = NULL;
	run.exports = exports_get(&job_worker(job)->exports);
	lua = lua_newstate(allocate, &run);
	if (lua)
		run_in(lua, &run);
	exported_release(run.exports);
	if (run.stopped == SCRIPT_DONE)
		return;
	json_decref(result->outputs);
	result->outputs = NULL;
	result->how = run.stopped;
}
