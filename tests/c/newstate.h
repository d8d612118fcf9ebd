/*
** newstate.h - Lua's headers, for hosts in C: 5.5 wants a seed with a new state.
*/
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#if LUA_VERSION_NUM >= 505
#define lua_newstate(f, ud) lua_newstate(f, ud, 0)
#endif
