/* SPDX-License-Identifier: MIT */
/*
 * convert: JSON to Lua and back.
 *
 *     JSON      Lua
 *     null      the null value, of convert_push_null; nil in Lua is no value
 *     integer   integer
 *     real      float, also if it has no fraction
 *     string    string; only if it is UTF-8 can it go back
 *     array     a table with the keys 1 to n
 *     object    any other table whose keys are strings or integers; the
 *               integers become strings
 *
 * An empty table is an object unless it came from an array or was marked as
 * one.  What contains itself, or has no equal in JSON, cannot go back.
 */
#ifndef CONVERT_H
#define CONVERT_H

#include <jansson.h>
#include <lua5.4/lua.h>
#include <stdbool.h>

/* How deep values may be nested, either way. */
#define CONVERT_DEPTH 200

/* What was wrong with a value, for people. */
struct convert_error {
	char text[160];
};

/* Once for each Lua state, before anything else; may raise an error. */
void convert_open(lua_State *lua);

/* Push the value; may raise an error. */
void convert_push(lua_State *lua, const json_t *value);
void convert_push_null(lua_State *lua);

/* Mark the table at the top of the stack as an array even if it is empty. */
void convert_mark_array(lua_State *lua);

/* Would the value at @index become an object? */
bool convert_is_object(lua_State *lua, int index);

/*
 * The value at @index, of which nothing is left in Lua; NULL: @error says
 * why.  Raises no error, so that the caller may hold what Lua knows not of.
 * A table becomes an object if @object says so, whatever it looks like.
 */
json_t *convert_take(lua_State *lua, int index, bool object,
		     struct convert_error *error);

#endif
