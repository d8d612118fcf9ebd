/*
** system.c - luaopen_moongrad_system: what a sandbox may want to leave out. A
** monotonic clock, whether a stream is a terminal and how wide it is, files.
*/
#include "posix.h"

#include <sys/ioctl.h>
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

/* columns(descriptor): how wide that terminal is; nil where it is none */
static int system_columns(lua_State *L) {
  struct winsize size = { .ws_col = 0 };
  int known = ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  if (known) lua_pushinteger(L, size.ws_col);
  return known;
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
  lua_pushcfunction(L, system_columns);
  lua_setfield(L, -2, "columns");
  lmgrad_push_files(L);
  lua_setfield(L, -2, "files");
  return 1;
}
