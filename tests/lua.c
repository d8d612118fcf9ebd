/*
** lua.c - a small interpreter: of a Lua without packages ("make LUA=5.5 LUA_SRC=folder"), and
** for sanitizers ("make leaks fuzz-asan"), which are to be in the program itself and to see
** all of its memory: it is malloc's, that of LuaJIT too, which else has its own.
**
**   lua [-e CODE].. [FILE [ARGUMENT]..]
*/
#include "c/newstate.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lua_State *volatile running;

/* Ctrl-C is an error in what runs, as in other interpreters. */
static void stop(lua_State *L, lua_Debug *where) {
  (void)where;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

static void on_signal(int number) {
  signal(number, SIG_DFL);
  lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

/* Adds to the text of an error where it came from. */
static int trace(lua_State *L) {
  lua_getglobal(L, "debug");
  lua_getfield(L, -1, "traceback");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* Calls what is at 'first' with all above it; 0 or the exit status. */
static int call(lua_State *L, int first) {
  lua_pushcfunction(L, trace);
  lua_insert(L, first);
  running = L;
  signal(SIGINT, on_signal);
  if (lua_pcall(L, lua_gettop(L) - first - 1, 0, first) == 0) return 0;
  fprintf(stderr, "lua: %s\n", lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1));
  return 1;
}

/* The global 'arg': argv[script] is 0, the interpreter below it. */
static void set_arg(lua_State *L, int argc, char **argv, int script) {
  lua_createtable(L, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static int run(lua_State *L, int argc, char **argv) {
  int i = 1, wrong = 0;
  set_arg(L, argc, argv, argc);
  for (; i + 1 < argc && strcmp(argv[i], "-e") == 0 && !wrong; i += 2) {
    lua_settop(L, 0);
    wrong = luaL_loadstring(L, argv[i + 1]) != 0;
    wrong = call(L, 1) || wrong;
  }
  if (wrong || i == argc) return wrong;
  lua_settop(L, 0);
  set_arg(L, argc, argv, i);
  wrong = luaL_loadfile(L, argv[i]) != 0;
  luaL_checkstack(L, argc, NULL);
  for (i++; i < argc; i++) lua_pushstring(L, argv[i]);
  return call(L, 1) || wrong;
}

static void *allocate(void *ud, void *p, size_t before, size_t bytes) {
  (void)ud;
  (void)before;
  if (bytes > 0) return realloc(p, bytes);
  free(p);
  return NULL;
}

int main(int argc, char **argv) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL) return 1;
  luaL_openlibs(L);
  int status = run(L, argc, argv);
  lua_close(L);
  return status;
}
