/*
** state.c - what belongs to one lua_State: the core's context, the table from
** objects to their boxes, and calling Lua from inside the core.
**
** The table that belongs to the state's userdata holds the callbacks and, under
** BOXES, a table with weak values. The registry holds the state and nothing
** else, so cycles through Lua functions are collected like any others. A module
** that is loaded again finds its state there: old objects go on working.
*/
#include "box.h"

static const char BOXES;
static const char callback_keys[LMGRAD_CALLBACKS];

/* ---- interruption ---- */

/* A host stops a script by setting a hook, from a signal handler as a rule. It runs as
** soon as Lua does; so long calls of the core end when there is a new one. */
static int hooked(void *ud) {
  const lmgrad_state *S = ud;
  return lua_gethook(S->caller) != S->hook ||
         (S->main != NULL && lua_gethook(S->main) != S->main_hook);
}

/* Is that a hook that stops the main thread as soon as it runs, as Ctrl-C of the interpreter
** sets it? A coroutine does not run it, so it may have been set before this call. */
static int waits(const lmgrad_state *S) {
  return S->main != S->caller && S->main_hook != S->hook && lua_gethookcount(S->main) == 1 &&
         (lua_gethookmask(S->main) & LUA_MASKCOUNT) != 0;
}

/* From now on L is the caller, and the hooks there are do not interrupt it. */
static void watch(lmgrad_state *S, lua_State *L) {
  S->caller = L;
  S->hook = lua_gethook(L);
  if (S->main == NULL) return;
  S->main_hook = lua_gethook(S->main);
  if (waits(S)) S->main_hook = NULL; /* this one does */
}

/* Before 5.2 the main thread is known only when it loads the module. */
static lua_State *main_thread(lua_State *L) {
#ifdef LUA_RIDX_MAINTHREAD
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
#else
  lua_State *main = lua_pushthread(L) ? L : NULL;
#endif
  lua_pop(L, 1);
  return main;
}

/* ---- the state ---- */

static int state_gc(lua_State *L) {
  lmgrad_state *S = lua_touserdata(L, 1);
  if (S == NULL || lua_rawlen(L, 1) != sizeof *S || S->magic != &BOXES) return 0;
  if (S->L != NULL) return 0; /* called by hand */
  mgrad_context_close(S->ctx); /* what finalizers have missed goes too */
  S->ctx = NULL;
  S->magic = NULL;
  return 0;
}

static int kept_state(lua_State *L) {
  lmgrad_rawgetp(L, LUA_REGISTRYINDEX, &BOXES);
  if (lua_type(L, -1) == LUA_TUSERDATA) return 1;
  lua_pop(L, 1);
  return 0;
}

void lmgrad_keep_state(lua_State *L, int state) {
  lua_pushvalue(L, state);
  lmgrad_rawsetp(L, LUA_REGISTRYINDEX, &BOXES);
}

void lmgrad_open_state(lua_State *L) {
  if (kept_state(L)) return;
  lmgrad_state *S = lua_newuserdata(L, sizeof *S);
  *S = (lmgrad_state){ .magic = &BOXES, .main = main_thread(L) };
  lua_newtable(L);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_newtable(L); /* of the state */
  lua_newtable(L); /* boxes */
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lmgrad_rawsetp(L, -2, &BOXES);
  lmgrad_setuser(L, -2);
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  S->ctx = mgrad_context_new(alloc, ud);
  if (S->ctx == NULL) {
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
  }
  mgrad_interrupt(S->ctx, hooked, S);
}

lmgrad_state *lmgrad_state_here(lua_State *L) {
  lmgrad_state *S = lua_touserdata(L, lua_upvalueindex(1));
  if (S->ctx == NULL) lmgrad_error(L, "moongrad: the Lua state is being closed");
  watch(S, L);
  return S;
}

/* ---- objects and their boxes ---- */

static void push_boxes(lua_State *L) {
  lmgrad_getuser(L, lua_upvalueindex(1));
  lmgrad_rawgetp(L, -1, &BOXES);
  lua_remove(L, -2);
}

void lmgrad_remember(lua_State *L, const void *object) {
  push_boxes(L);
  lua_pushvalue(L, -2);
  lmgrad_rawsetp(L, -2, object);
  lua_pop(L, 1);
}

void lmgrad_push_layer(lua_State *L, lmgrad_state *S, mgrad_layer *l) {
  (void)S;
  push_boxes(L);
  lmgrad_rawgetp(L, -1, l);
  lua_remove(L, -2);
  if (lmgrad_test(L, -1, LMGRAD_LAYER) == l) return;
  lua_pop(L, 1);
  mgrad_layer_retain(l); /* a finalizer could take it away now */
  mgrad_layer **out = lmgrad_box_layer(L);
  *out = l;
  lua_newtable(L);
  lmgrad_setuser(L, -2);
  lmgrad_remember(L, l);
}

void lmgrad_push_tensor(lua_State *L, mgrad_tensor *t) {
  mgrad_tensor **out = lmgrad_box_tensor(L);
  *out = mgrad_tensor_retain(t);
}

/* ---- references ---- */

lmgrad_ref *lmgrad_anchor(lua_State *L, lmgrad_state *S, int table, int value) {
  lmgrad_ref *ref = lua_newuserdata(L, sizeof *ref);
  ref->S = S;
  lua_rawseti(L, table, (int)lua_rawlen(L, table) + 1); /* the reference itself */
  lua_pushvalue(L, value);
  lmgrad_rawsetp(L, table, ref);
  lua_pushvalue(L, value);
  lmgrad_remember(L, ref);
  lua_pop(L, 1);
  return ref;
}

void lmgrad_push_ref(lua_State *L, const lmgrad_ref *ref) {
  push_boxes(L);
  lmgrad_rawgetp(L, -1, ref);
  lua_remove(L, -2);
  if (lua_isnil(L, -1)) lmgrad_error(L, "a function is gone, its owner is being collected");
}

/* ---- callbacks ---- */

void lmgrad_callback_set(lua_State *L, int state, lmgrad_callback which, lua_CFunction f) {
  lmgrad_getuser(L, state);
  lua_pushvalue(L, state);
  lua_pushcclosure(L, f, 1);
  lmgrad_rawsetp(L, -2, &callback_keys[which]);
  lua_pop(L, 1);
}

lmgrad_entered lmgrad_enter(lmgrad_state *S, lua_State *L) {
  luaL_checkstack(L, 16, "callbacks"); /* lmgrad_call must not raise */
  lmgrad_entered before = { S->L, lua_gettop(L) };
  lmgrad_hold(L, before.top, 1);
  S->L = L;
  return before;
}

void lmgrad_leave(lmgrad_state *S, lmgrad_entered before) {
  lmgrad_hold(S->L, before.top, -1);
  S->L = before.L;
}

mgrad_status lmgrad_call(lmgrad_state *S, lmgrad_callback which, void *argument) {
  enum { MAX_DEPTH = 100 };
  lua_State *L = S->L;
  if (S->depth >= MAX_DEPTH) {
    return mgrad_error_set(S->ctx, MGRAD_INVALID,
                           "functions that the library calls nest more than 100 deep");
  }
  int recording = mgrad_grad_enable(S->ctx, 1);
  mgrad_grad_enable(S->ctx, recording);
  lmgrad_getuser(L, lua_upvalueindex(1)); /* of the function that entered */
  lmgrad_rawgetp(L, -1, &callback_keys[which]);
  lua_remove(L, -2);
  lua_pushlightuserdata(L, argument);
  S->depth++;
  int failed = lua_pcall(L, 1, 0, 0) != 0;
  S->depth--;
  S->L = L;
  watch(S, L);
  mgrad_grad_enable(S->ctx, recording); /* whatever the function left behind */
  return failed ? MGRAD_CALLBACK : MGRAD_OK;
}

static int collect(lua_State *L) {
  lmgrad_gc_full(L);
  return 0;
}

void lmgrad_collect(lua_State *L, lmgrad_state *S) {
  lmgrad_entered before = lmgrad_enter(S, L);
  if (lmgrad_call(S, LMGRAD_CALL_COLLECT, NULL) == MGRAD_CALLBACK) lua_pop(L, 1);
  lmgrad_leave(S, before);
}

void lmgrad_open_callbacks(lua_State *L, int state) {
  lmgrad_callback_set(L, state, LMGRAD_CALL_COLLECT, collect);
}
