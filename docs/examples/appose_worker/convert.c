/* SPDX-License-Identifier: MIT */
/*
 * convert: see convert.h.
 *
 * Lua reports errors by a long jump, which leaks what its caller holds.  So
 * the way to Lua, which needs Lua's memory, owns nothing; and the way back,
 * which owns a half-built value, calls only what can neither allocate in Lua
 * nor run a script's code: raw accesses, no metamethod, no number turned into
 * a string in place.
 *
 * A table that is reached twice is written twice, and sixty levels of that
 * would fill any memory: the caller's bound on the JSON library's memory ends
 * it.
 */
#include "convert.h"
#include "memory.h"
#include "text.h"

#include <lua5.4/lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Its address is the registry's key for the arrays' metatable. */
static const char array_mark;

void convert_open(lua_State *lua)
{
	lua_createtable(lua, 0, 1);
	lua_pushliteral(lua, "array");
	lua_setfield(lua, -2, "__name");
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &array_mark);
}

void convert_push_null(lua_State *lua)
{
	lua_pushlightuserdata(lua, NULL);
}

void convert_mark_array(lua_State *lua)
{
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &array_mark);
	lua_setmetatable(lua, -2);
}

/* -------------------------------------------------------------- to Lua */

static void push(lua_State *lua, const json_t *value, int depth);

static int size_hint(size_t size)
{
	return size < 1 << 20 ? (int)size : 1 << 20;
}

static void push_array(lua_State *lua, const json_t *array, int depth)
{
	size_t size = json_array_size(array);

	lua_createtable(lua, size_hint(size), 0);
	convert_mark_array(lua);
	for (size_t i = 0; i < size; i++) {
		push(lua, json_array_get(array, i), depth);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
}

static void push_object(lua_State *lua, const json_t *object, int depth)
{
	json_t *shared = (json_t *)(uintptr_t)object;	/* only read */
	void *at = json_object_iter(shared);

	lua_createtable(lua, 0, size_hint(json_object_size(object)));
	for (; at; at = json_object_iter_next(shared, at)) {
		lua_pushlstring(lua, json_object_iter_key(at),
				json_object_iter_key_len(at));
		push(lua, json_object_iter_value(at), depth);
		lua_rawset(lua, -3);
	}
}

static void push(lua_State *lua, const json_t *value, int depth)
{
	luaL_checkstack(lua, 4, "the value is nested too deep");
	if (depth > CONVERT_DEPTH)
		luaL_error(lua, "the value is nested more than %d deep",
			   CONVERT_DEPTH);
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		push_object(lua, value, depth + 1);
		break;
	case JSON_ARRAY:
		push_array(lua, value, depth + 1);
		break;
	case JSON_STRING:
		lua_pushlstring(lua, json_string_value(value),
				json_string_length(value));
		break;
	case JSON_INTEGER:
		lua_pushinteger(lua, json_integer_value(value));
		break;
	case JSON_REAL:
		lua_pushnumber(lua, json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(lua, json_is_true(value));
		break;
	default:
		convert_push_null(lua);
	}
}

void convert_push(lua_State *lua, const json_t *value)
{
	push(lua, value, 0);
}

/* ------------------------------------------------------------- from Lua */

/* The tables around a value, from the inside out. */
struct around {
	const struct around *outer;
	const void *table;
};

struct taking {
	lua_State *lua;
	struct convert_error *error;
};

static json_t *take(const struct taking *taking, int index, bool object,
		    const struct around *outer, int depth);

__attribute__((format(printf, 2, 3)))
static json_t *refuse(const struct taking *taking, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(taking->error->text, sizeof(taking->error->text), format,
		  args);
	va_end(args);
	return NULL;
}

static json_t *no_memory(const struct taking *taking)
{
	return refuse(taking, memory_answer() == MEMORY_REFUSED ?
		      "the value takes too much memory" : "not enough memory");
}

static bool is_marked(lua_State *lua, int index)
{
	bool marked;

	if (!lua_getmetatable(lua, index))
		return false;
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &array_mark);
	marked = lua_rawequal(lua, -1, -2);
	lua_pop(lua, 2);
	return marked;
}

/* The table's keys are 1 to n; an empty one's mark decides. */
static bool is_array(lua_State *lua, int index)
{
	lua_Integer size = (lua_Integer)lua_rawlen(lua, index), count = 0;

	lua_pushnil(lua);
	while (lua_next(lua, index)) {
		lua_pop(lua, 1);
		if (!lua_isinteger(lua, -1) || lua_tointeger(lua, -1) < 1 ||
		    lua_tointeger(lua, -1) > size) {
			lua_pop(lua, 1);
			return false;
		}
		count++;
	}
	return count ? count == size : is_marked(lua, index);
}

bool convert_is_object(lua_State *lua, int index)
{
	return lua_istable(lua, index) && lua_checkstack(lua, 4) &&
	       !is_array(lua, lua_absindex(lua, index));
}

static json_t *take_array(const struct taking *taking, int index,
			  const struct around *around, int depth)
{
	size_t size = lua_rawlen(taking->lua, index);
	json_t *array = json_array(), *value;

	if (!array)
		return no_memory(taking);
	for (size_t i = 1; i <= size; i++) {
		lua_rawgeti(taking->lua, index, (lua_Integer)i);
		value = take(taking, lua_gettop(taking->lua), false, around,
			     depth);
		lua_pop(taking->lua, 1);
		if (value && json_array_append_new(array, value) == 0)
			continue;
		json_decref(array);
		return value ? no_memory(taking) : NULL;
	}
	return array;
}

/* The key under the value at the top of the stack, as text: its length. */
static size_t key_text(lua_State *lua, char *scratch, size_t size,
		       const char **text)
{
	size_t length = 0;

	if (lua_type(lua, -2) == LUA_TSTRING) {
		*text = lua_tolstring(lua, -2, &length);
		return length;
	}
	*text = scratch;
	return (size_t)snprintf(scratch, size, LUA_INTEGER_FMT,
				lua_tointeger(lua, -2));
}

/* Add what lua_next has pushed, key and value. */
static bool take_member(const struct taking *taking, json_t *object,
			const struct around *around, int depth)
{
	lua_State *lua = taking->lua;
	char scratch[32];
	const char *key;
	json_t *value;
	size_t length;

	if (lua_type(lua, -2) != LUA_TSTRING && !lua_isinteger(lua, -2))
		return refuse(taking, "a %s cannot be the key of an object",
			      luaL_typename(lua, -2));
	length = key_text(lua, scratch, sizeof(scratch), &key);
	if (!text_is_utf8(key, length))
		return refuse(taking, "a key is not UTF-8");
	if (json_object_getn(object, key, length))
		return refuse(taking, "two keys are \"%.80s\"", key);
	value = take(taking, lua_gettop(lua), false, around, depth);
	if (!value)
		return false;
	if (json_object_setn_new_nocheck(object, key, length, value) == 0)
		return true;
	return no_memory(taking);
}

static json_t *take_object(const struct taking *taking, int index,
			   const struct around *around, int depth)
{
	json_t *object = json_object();

	if (!object)
		return no_memory(taking);
	lua_pushnil(taking->lua);
	while (lua_next(taking->lua, index)) {
		if (!take_member(taking, object, around, depth)) {
			lua_pop(taking->lua, 2);
			json_decref(object);
			return NULL;
		}
		lua_pop(taking->lua, 1);
	}
	return object;
}

static json_t *take_table(const struct taking *taking, int index, bool object,
			  const struct around *outer, int depth)
{
	struct around around = { outer, lua_topointer(taking->lua, index) };

	for (; outer; outer = outer->outer)
		if (outer->table == around.table)
			return refuse(taking, "a table contains itself");
	if (depth > CONVERT_DEPTH || !lua_checkstack(taking->lua, 8))
		return refuse(taking, "the value is nested more than %d deep",
			      CONVERT_DEPTH);
	if (!object && is_array(taking->lua, index))
		return take_array(taking, index, &around, depth + 1);
	return take_object(taking, index, &around, depth + 1);
}

static json_t *take_string(const struct taking *taking, int index)
{
	size_t length;
	const char *text = lua_tolstring(taking->lua, index, &length);
	json_t *string;

	if (!text_is_utf8(text, length))
		return refuse(taking, "a string is not UTF-8");
	string = json_stringn_nocheck(text, length);
	return string ? string : no_memory(taking);
}

static json_t *take_number(const struct taking *taking, int index)
{
	lua_Number number = lua_tonumber(taking->lua, index);
	json_t *value;

	if (lua_isinteger(taking->lua, index))
		value = json_integer(lua_tointeger(taking->lua, index));
	else if (!isfinite(number))
		return refuse(taking, "JSON has no %s",
			      isnan(number) ? "NaN" : "infinity");
	else
		value = json_real(number);
	return value ? value : no_memory(taking);
}

static json_t *take(const struct taking *taking, int index, bool object,
		    const struct around *outer, int depth)
{
	lua_State *lua = taking->lua;

	switch (lua_type(lua, index)) {
	case LUA_TTABLE:
		return take_table(taking, index, object, outer, depth);
	case LUA_TSTRING:
		return take_string(taking, index);
	case LUA_TNUMBER:
		return take_number(taking, index);
	case LUA_TBOOLEAN:
		return json_boolean(lua_toboolean(lua, index));
	case LUA_TLIGHTUSERDATA:
		if (!lua_touserdata(lua, index))
			return json_null();
	}
	return refuse(taking, "a %s cannot be sent", luaL_typename(lua, index));
}

json_t *convert_take(lua_State *lua, int index, bool object,
		     struct convert_error *error)
{
	const struct taking taking = { lua, error };

	return take(&taking, lua_absindex(lua, index), object, NULL, 0);
}
