/* SPDX-License-Identifier: MIT */
/*
 * script_task: the table `task` that a script finds.
 *
 *     task.id, task.inputs       of the request
 *     task.outputs               to be filled, or replaced
 *     task.update{message=, current=, maximum=, info=}
 *     task.update(message, current, maximum, info)
 *     task.cancel_requested()    also task.cancelRequested, no call
 *     task.cancel()              reports that the task was cancelled
 *     task.fail(error)           reports that it failed
 *     task.export{name = value}  for later tasks
 *     task.sleep(seconds)        gives true at once if the task is asked to end
 *     task.null, task.array(t)   what JSON tells apart and Lua does not
 *
 * Functions can be called with a colon as well.  An argument that makes no
 * sense is an error of the script.
 */
#include "script_run.h"
#include "convert.h"
#include "memory.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Its address is the registry's key for the table. */
static const char task_mark;

static struct job *job_of(lua_State *lua)
{
	return script_of(lua)->job;
}

/* Called as task:name(...): the table is no argument. */
static void drop_self(lua_State *lua)
{
	if (!lua_istable(lua, 1))
		return;
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &task_mark);
	if (lua_rawequal(lua, 1, -1))
		lua_remove(lua, 1);
	lua_pop(lua, 1);
}

/* The value at @index as JSON, or an error of the script. */
static json_t *take(lua_State *lua, int index, bool object, const char *what)
{
	struct convert_error error;
	json_t *json;

	memory_allow(job_worker(job_of(lua))->options.max_memory);
	json = convert_take(lua, index, object, &error);
	memory_allow(SIZE_MAX);
	if (!json)
		luaL_error(lua, "cannot %s: %s", what, error.text);
	return json;
}

/* ---------------------------------------------------------------- update */

/* The four arguments as four values, however they were given. */
static void spread(lua_State *lua)
{
	static const char *const names[] = {
		"message", "current", "maximum", "info"
	};

	drop_self(lua);
	if (lua_istable(lua, 1)) {
		lua_settop(lua, 1);
		for (int i = 0; i < 4; i++)
			lua_getfield(lua, 1, names[i]);
		lua_remove(lua, 1);
	}
	lua_settop(lua, 4);
	if (!lua_isnil(lua, 1))
		luaL_tolstring(lua, 1, NULL);
	else
		lua_pushnil(lua);
	lua_replace(lua, 1);
	for (int i = 2; i <= 3; i++)
		if (!lua_isnil(lua, i))
			luaL_checknumber(lua, i);
}

/* A number, as an integer if it is one; infinities are left out. */
static json_t *number(lua_State *lua, int index)
{
	int is_integer;
	lua_Integer integer = lua_tointegerx(lua, index, &is_integer);
	lua_Number real = lua_tonumber(lua, index);

	return is_integer ? json_integer(integer) : json_real(real);
}

/* Raises nothing: what it holds, Lua knows not of. */
static json_t *progress(lua_State *lua, json_t *info)
{
	json_t *fields = json_object();
	char *message = NULL;

	if (!lua_isnil(lua, 1)) {
		message = text_clean(lua_tostring(lua, 1), lua_rawlen(lua, 1));
		json_object_set_new(fields, "message", json_string(message));
	}
	free(message);
	if (!lua_isnil(lua, 2))
		json_object_set_new(fields, "current", number(lua, 2));
	if (!lua_isnil(lua, 3))
		json_object_set_new(fields, "maximum", number(lua, 3));
	if (info)
		json_object_set_new(fields, "info", info);
	return fields;
}

static int update(lua_State *lua)
{
	json_t *info = NULL;

	spread(lua);
	if (!lua_isnil(lua, 4))
		info = take(lua, 4, false, "send the info");
	job_update(job_of(lua), progress(lua, info));
	return 0;
}

/* ------------------------------------------------------- ends and waits */

static int cancel_requested(lua_State *lua)
{
	lua_pushboolean(lua, job_is_asked(job_of(lua)));
	return 1;
}

static int end(lua_State *lua, enum fh_task_state state, const char *cause)
{
	if (job_end(job_of(lua), state, cause))
		return luaL_error(lua, "not enough memory");
	return 0;
}

static int cancel(lua_State *lua)
{
	return end(lua, FH_TASK_CANCELLED, NULL);
}

static int fail(lua_State *lua)
{
	const char *error;
	size_t length;
	char *cause;
	int rc;

	drop_self(lua);
	if (lua_isnoneornil(lua, 1))
		return end(lua, FH_TASK_FAILED, "the task failed");
	error = luaL_tolstring(lua, 1, &length);
	cause = text_clean(error, length);
	rc = cause ? job_end(job_of(lua), FH_TASK_FAILED, cause) : -ENOMEM;
	free(cause);
	return rc ? luaL_error(lua, "not enough memory") : 0;
}

static int sleep_for(lua_State *lua)
{
	lua_Number seconds;

	drop_self(lua);
	seconds = luaL_checknumber(lua, 1);
	luaL_argcheck(lua, !isnan(seconds), 1, "not a number");
	job_sleep(job_of(lua), seconds < 1e9 ?
		  fh_deadline_in((int64_t)(seconds * 1e9)) : FH_FOREVER);
	if (job_is_overdue(job_of(lua)))
		return script_stop(lua, SCRIPT_OVERDUE);
	return cancel_requested(lua);
}

/* --------------------------------------------------------- other things */

static int export(lua_State *lua)
{
	json_t *values;
	int rc;

	drop_self(lua);
	luaL_checktype(lua, 1, LUA_TTABLE);
	values = take(lua, 1, true, "export");
	rc = exports_add(&job_worker(job_of(lua))->exports, values);
	json_decref(values);
	if (rc)
		return luaL_error(lua, "cannot export: %s", strerror(-rc));
	return 0;
}

static int array(lua_State *lua)
{
	drop_self(lua);
	if (lua_isnoneornil(lua, 1)) {
		lua_settop(lua, 0);
		lua_newtable(lua);
	}
	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_settop(lua, 1);
	convert_mark_array(lua);
	return 1;
}

/* What is asked for by name and changes: task.cancelRequested. */
static int index_task(lua_State *lua)
{
	if (lua_type(lua, 2) == LUA_TSTRING &&
	    !strcmp(lua_tostring(lua, 2), "cancelRequested"))
		return cancel_requested(lua);
	return 0;
}

static const luaL_Reg functions[] = {
	{ "update", update },
	{ "cancel_requested", cancel_requested },
	{ "cancel", cancel },
	{ "fail", fail },
	{ "export", export },
	{ "sleep", sleep_for },
	{ "array", array },
	{ NULL, NULL },
};

static void push_inputs(lua_State *lua, const json_t *inputs)
{
	if (inputs)
		convert_push(lua, inputs);
	else
		lua_newtable(lua);
}

void script_push_task(lua_State *lua)
{
	luaL_newlib(lua, functions);
	lua_pushvalue(lua, -1);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &task_mark);

	lua_pushstring(lua, job_id(job_of(lua)));
	lua_setfield(lua, -2, "id");
	push_inputs(lua, job_request(job_of(lua))->inputs);
	lua_setfield(lua, -2, "inputs");
	lua_newtable(lua);
	lua_setfield(lua, -2, "outputs");
	convert_push_null(lua);
	lua_setfield(lua, -2, "null");

	lua_createtable(lua, 0, 2);
	lua_pushcfunction(lua, index_task);
	lua_setfield(lua, -2, "__index");
	lua_pushliteral(lua, "task");
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
}
