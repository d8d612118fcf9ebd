/*
** system.c - luaopen_moongrad_system: what a sandbox may want to leave out. A
** monotonic clock, whether a stream is a terminal, files.
*/
#include "posix.h"

#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const lmgrad_clock monotonic = { now };

/* clock() -> seconds, never running backwards */
static int system_clock(lua_State *L) {
  lua_pushnumber(L, (lua_Number)now());
  return 1;
}

/* isatty(descriptor): 1 is standard output, 2 standard error */
static int system_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

LMGRAD_EXPORT int luaopen_moongrad_system(lua_State *L);

int luaopen_moongrad_system(lua_State *L) {
#if LUA_VERSION_NUM >= 502
  luaL_checkversion(L);
#endif
  lua_pushlightuserdata(L, (void *)&monotonic);
  lua_setfield(L, LUA_REGISTRYINDEX, LMGRAD_CLOCK);
  lua_newtable(L);
  lua_pushcfunction(L, system_clock);
  lua_setfield(L, -2, "clock");
  lua_pushcfunction(L, system_isatty);
  lua_setfield(L, -2, "isatty");
  lmgrad_push_files(L);
  lua_setfield(L, -2, "files");
  return 1;
}
