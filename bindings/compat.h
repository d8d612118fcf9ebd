/*
** compat.h - one source for Lua 5.1 to 5.5 and LuaJIT: the few calls that
** differ, under one name each.
*/
#ifndef LMGRAD_COMPAT_H
#define LMGRAD_COMPAT_H

#include <lua.h>
#include <lauxlib.h>

/* What a module shows: its luaopen_ functions, nothing else. */
#if defined _WIN32
#define LMGRAD_EXPORT __declspec(dllexport)
#elif defined __GNUC__
#define LMGRAD_EXPORT __attribute__((visibility("default")))
#else
#define LMGRAD_EXPORT
#endif

/* The registry's field of that name is light userdata: a clock in seconds that never goes
** back, for time limits. */
#define LMGRAD_CLOCK "moongrad.clock"
typedef struct lmgrad_clock { double (*now)(void); } lmgrad_clock;

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
/* A table that belongs to a userdata. Before 5.2 that is its environment. */
#define lmgrad_setuser(L, i) lua_setfenv(L, i)
#define lmgrad_getuser(L, i) lua_getfenv(L, i)
#else
#define lmgrad_setuser(L, i) lua_setuservalue(L, i)
#define lmgrad_getuser(L, i) lua_getuservalue(L, i)
#endif

/* Lets the collector work as after 'kb' kilobytes of new values, unless the host has
** stopped it. */
#ifdef LUA_GCISRUNNING
#if LUA_VERSION_NUM >= 505
#define lmgrad_gc_step(L, kb) lua_gc(L, LUA_GCSTEP, (size_t)(kb) * 1024)
#else
#define lmgrad_gc_step(L, kb) lua_gc(L, LUA_GCSTEP, kb)
#endif
static inline void lmgrad_gc_work(lua_State *L, int kb) {
  if (lua_gc(L, LUA_GCISRUNNING, 0)) lmgrad_gc_step(L, kb);
}
#if LUA_VERSION_NUM == 503
static inline void lmgrad_gc_unhook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
}
static inline int lmgrad_gc_nothing(lua_State *L) { (void)L; return 0; }
/* Is this a finalizer, where Lua calls no hook? lua_close of 5.3 may call it in the middle
** of a sweep, and a full collection within it would not end. */
static inline int lmgrad_gc_finalizes(lua_State *L) {
  lua_Hook hook = lua_gethook(L);
  int mask = lua_gethookmask(L), count = lua_gethookcount(L);
  lua_sethook(L, lmgrad_gc_unhook, LUA_MASKCALL, 0);
  lua_pushcfunction(L, lmgrad_gc_nothing);
  if (lua_pcall(L, 0, 0, 0) != 0) lua_pop(L, 1);
  int finalizes = lua_gethook(L) == lmgrad_gc_unhook;
  lua_sethook(L, hook, mask, count);
  return finalizes;
}
#else
#define lmgrad_gc_finalizes(L) 0
#endif
/* A full collection, after which LuaJIT's collector would run where it was stopped. */
static inline void lmgrad_gc_full(lua_State *L) {
  int runs = lua_gc(L, LUA_GCISRUNNING, 0);
  if (!runs && lmgrad_gc_finalizes(L)) return;
  lua_gc(L, LUA_GCCOLLECT, 0);
  if (!runs) lua_gc(L, LUA_GCSTOP, 0);
}
/* In generational mode a step looks at what is young: now and then all must be seen. */
static inline void lmgrad_gc_all(lua_State *L) {
#ifdef LUA_GCGEN
  if (lua_gc(L, LUA_GCISRUNNING, 0)) lua_gc(L, LUA_GCCOLLECT, 0);
#else
  (void)L;
#endif
}
#else
static inline void lmgrad_gc_all(lua_State *L) { (void)L; }
static inline void lmgrad_gc_full(lua_State *L) { lua_gc(L, LUA_GCCOLLECT, 0); }
/* 5.1 cannot tell whether the host has stopped it, and LUA_GCSTEP would start it again.
** So it gets garbage that it sees, half as much, and after it the occasions to work that
** so many values would have been: an empty string takes no memory, but counts. */
static inline int lmgrad_gc_garbage(lua_State *L) {
  int half = *(const int *)lua_touserdata(L, 1) / 2;
  lua_newuserdata(L, (size_t)half * 1024);
  for (int k = 0; k < half; k++) lua_pushliteral(L, ""), lua_pop(L, 1);
  return 0;
}
static inline void lmgrad_gc_work(lua_State *L, int kb) {
  int status = lua_cpcall(L, lmgrad_gc_garbage, &kb);
  if (status == LUA_ERRMEM) lua_pop(L, 1); /* then without */
  else if (status != 0) lua_error(L);      /* of a finalizer */
}
#endif

/* table at the top: t[p] = value popped, and push t[p] of the table at i */
static inline void lmgrad_rawsetp(lua_State *L, int i, const void *p) {
  i = i < 0 && i > LUA_REGISTRYINDEX ? i - 1 : i;
  lua_pushlightuserdata(L, (void *)p);
  lua_insert(L, -2);
  lua_rawset(L, i);
}

static inline void lmgrad_rawgetp(lua_State *L, int i, const void *p) {
  i = i < 0 && i > LUA_REGISTRYINDEX ? i - 1 : i;
  lua_pushlightuserdata(L, (void *)p);
  lua_rawget(L, i);
}

#endif
