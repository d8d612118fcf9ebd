/*
** loader.c - a target with Lua: mg.undump, trainer:load and net:load_weights as they are, by
** loading.lua beside this file.
*/
#include "fuzz.h"

#include "../c/newstate.h"

#include <stdio.h>
#include <stdlib.h>

int luaopen_moongrad_core(lua_State *L);

static lua_State *L;
static size_t used, most;

static void *count(void *ud, void *p, size_t before, size_t after) {
  (void)ud;
  if (p == NULL) before = 0;
  if (after > FUZZ_MEMORY || used - before + after > FUZZ_MEMORY) return NULL;
  used += after - before;
  if (used > most) most = used;
  if (after > 0) return realloc(p, after);
  free(p);
  return NULL;
}

/* peak() -> the most bytes in use since the last call, and those in use now */
static int peak(lua_State *S) {
  lua_pushnumber(S, (lua_Number)most);
  lua_pushnumber(S, (lua_Number)used);
  most = used;
  return 2;
}

static void must(int fine) {
  if (fine) return;
  const char *text = lua_tostring(L, -1);
  fprintf(stderr, "loader: %s\n", text != NULL ? text : "an error that is no text");
  abort();
}

/* The state lives as long as the process: to open one takes longer than to load a file. */
static void open_state(void) {
  L = lua_newstate(count, NULL);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_moongrad_core);
  lua_setfield(L, -2, "moongrad.core");
  lua_settop(L, 0);
  must(luaL_dofile(L, "tests/fuzz/loading.lua") == 0);
  lua_getfield(L, 1, "try");
  lua_replace(L, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (L == NULL) open_state();
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  lua_pushcfunction(L, peak);
  must(lua_pcall(L, 2, 0, 0) == 0);
  lua_gc(L, LUA_GCSTEP, 100);
  return 0;
}
