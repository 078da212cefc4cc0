/* SPDX-License-Identifier: MIT */
/*
 * script_library: what scripts find, as far as it is not Lua's own.
 *
 * Lua's libraries are there, but for what reaches beyond the script:
 *
 *     os.exit          ends the script's thread, not the process
 *     os.setlocale     would change how other threads write numbers: it tells
 *                      the locale and does not change it
 *     print            one write for a line, on standard error
 *     load, loadfile,
 *     dofile           take text alone; compiled code can do anything
 *     setmetatable     takes no finalizer, which nothing could interrupt
 *     debug            traceback and getinfo; the rest could take our hook out
 *
 * io.write and whatever a C library prints go to standard error too: main.c
 * has turned the descriptors.
 */
#include "script_run.h"

static int exit_thread(lua_State *lua)
{
	return script_stop(lua, SCRIPT_EXITED);
}

static int tell_locale(lua_State *lua)
{
	lua_pushliteral(lua, "C");
	return 1;
}

static int print(lua_State *lua)
{
	struct worker *worker = job_worker(script_of(lua)->job);
	int count = lua_gettop(lua);
	luaL_Buffer line;

	luaL_buffinit(lua, &line);
	for (int i = 1; i <= count; i++) {
		if (i > 1)
			luaL_addchar(&line, '\t');
		luaL_tolstring(lua, i, NULL);
		luaL_addvalue(&line);
	}
	luaL_pushresult(&line);
	outlet_put(worker->log, response_text(lua_tostring(lua, -1),
					      lua_rawlen(lua, -1)),
		   OUTLET_WAIT);
	return 0;
}

/* Call what is wrapped, whose parameter @mode is to be "t". */
static int call_for_text(lua_State *lua, int mode)
{
	int count = lua_gettop(lua);

	if (count < mode)
		lua_settop(lua, mode);
	lua_pushliteral(lua, "t");
	lua_replace(lua, mode);
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
	return lua_gettop(lua);
}

static int load(lua_State *lua)
{
	return call_for_text(lua, 3);
}

static int load_file(lua_State *lua)
{
	return call_for_text(lua, 2);
}

static int do_file(lua_State *lua)
{
	const char *name = luaL_checkstring(lua, 1);

	lua_settop(lua, 1);
	if (luaL_loadfilex(lua, name, "t") != LUA_OK)
		return lua_error(lua);
	lua_call(lua, 0, LUA_MULTRET);
	return lua_gettop(lua) - 1;
}

static int set_metatable(lua_State *lua)
{
	if (lua_istable(lua, 2)) {
		lua_pushliteral(lua, "__gc");
		if (lua_rawget(lua, 2) != LUA_TNIL)
			return luaL_error(lua, "finalizers are not for tasks");
		lua_pop(lua, 1);
	}
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, lua_gettop(lua) - 1, 1);
	return 1;
}

/* ------------------------------------------------------------- opening */

static const luaL_Reg libraries[] = {
	{ LUA_GNAME, luaopen_base },
	{ LUA_LOADLIBNAME, luaopen_package },
	{ LUA_COLIBNAME, luaopen_coroutine },
	{ LUA_TABLIBNAME, luaopen_table },
	{ LUA_IOLIBNAME, luaopen_io },
	{ LUA_OSLIBNAME, luaopen_os },
	{ LUA_STRLIBNAME, luaopen_string },
	{ LUA_MATHLIBNAME, luaopen_math },
	{ LUA_UTF8LIBNAME, luaopen_utf8 },
	{ LUA_DBLIBNAME, luaopen_debug },
};

/* In the table at the top: the function @name becomes one that wraps it. */
static void wrap(lua_State *lua, const char *name, lua_CFunction function)
{
	lua_getfield(lua, -1, name);
	lua_pushcclosure(lua, function, 1);
	lua_setfield(lua, -2, name);
}

/* Of the table at the top, leave these two. */
static void leave_two(lua_State *lua, const char *one, const char *other)
{
	lua_createtable(lua, 0, 2);
	lua_getfield(lua, -2, one);
	lua_setfield(lua, -2, one);
	lua_getfield(lua, -2, other);
	lua_setfield(lua, -2, other);
	lua_remove(lua, -2);
}

static void open_debug(lua_State *lua)
{
	lua_getglobal(lua, LUA_DBLIBNAME);
	leave_two(lua, "traceback", "getinfo");
	luaL_getsubtable(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(lua, -2);
	lua_setfield(lua, -2, LUA_DBLIBNAME);
	lua_pop(lua, 1);
	lua_setglobal(lua, LUA_DBLIBNAME);
}

void script_open_library(lua_State *lua)
{
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		luaL_requiref(lua, libraries[i].name, libraries[i].func, 1);
		lua_pop(lua, 1);
	}
	open_debug(lua);

	lua_pushglobaltable(lua);
	wrap(lua, "load", load);
	wrap(lua, "loadfile", load_file);
	wrap(lua, "dofile", do_file);
	wrap(lua, "setmetatable", set_metatable);
	wrap(lua, "print", print);
	lua_getfield(lua, -1, LUA_OSLIBNAME);
	wrap(lua, "exit", exit_thread);
	wrap(lua, "setlocale", tell_locale);
	lua_pop(lua, 2);

	/* Files have a finalizer, in a table that scripts could reach. */
	luaL_getmetatable(lua, LUA_FILEHANDLE);
	lua_pushliteral(lua, "file");
	lua_setfield(lua, -2, "__metatable");
	lua_pop(lua, 1);
}
