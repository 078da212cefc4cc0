/* SPDX-License-Identifier: MIT */
/* script_run: what the files of the script share. */
#ifndef SCRIPT_RUN_H
#define SCRIPT_RUN_H

#include "script.h"

#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>

/*
 * A script while it runs; each of the state's coroutines points to it.
 *
 * @exports: as they were when it began, or NULL
 * @used:    bytes of the state
 * @stopped: it must not run on, and no pcall of its own holds that up;
 *           SCRIPT_DONE while it may
 */
struct script_run {
	struct job *job;
	struct script_result *result;
	struct exported *exports;
	size_t used;
	enum script_how stopped;
};

static inline struct script_run *script_of(lua_State *lua)
{
	return *(struct script_run **)lua_getextraspace(lua);
}

/* Raise an error that the script cannot catch. */
int script_stop(lua_State *lua, enum script_how why);

/* The library, without what would break a promise; may raise an error. */
void script_open_library(lua_State *lua);

/* Leave the table `task` on the stack; may raise an error. */
void script_push_task(lua_State *lua);

#endif
