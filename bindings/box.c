/*
** box.c - making, checking, closing boxes; errors; the collector.
*/
#include "box.h"

#include <stdarg.h>
#include <string.h>

typedef struct box {
  const void *magic;
  void *object;
  int closed; /* what is left of the object goes with the box */
  int used;   /* calls of the core that it is an argument of */
} box;

/* ---- the kinds ---- */

static void release_tensor(void *p) { mgrad_tensor_release(p); }
static void release_layer(void *p) { mgrad_layer_release(p); }
static void release_optimizer(void *p) { mgrad_optimizer_release(p); }
static void release_bytes(void *p) { mgrad_bytes_release(p); }
static void release_dataset(void *p) { mgrad_dataset_release(p); }
static void release_trainer(void *p) { mgrad_trainer_release(p); }

/* The address of an entry is the magic word of its boxes. */
static const struct kind {
  const char *metatable, *article;
  void (*release)(void *object);
} kinds[LMGRAD_KINDS] = {
  { "moongrad.tensor", "a tensor", release_tensor },
  { "moongrad.layer", "a layer", release_layer },
  { "moongrad.optimizer", "an optimizer", release_optimizer },
  { "moongrad.bytes", "bytes", release_bytes },
  { "moongrad.dataset", "a dataset", release_dataset },
  { "moongrad.trainer", "a trainer", release_trainer },
};

/* ---- making and checking ---- */

static void tell_collector(lua_State *L, lmgrad_state *S);

void **lmgrad_box(lua_State *L, lmgrad_kind kind) {
  tell_collector(L, lua_touserdata(L, lua_upvalueindex(1)));
  box *b = lua_newuserdata(L, sizeof *b);
  *b = (box){ .magic = &kinds[kind] };
  lmgrad_rawgetp(L, LUA_REGISTRYINDEX, &kinds[kind]);
  lua_setmetatable(L, -2);
  return &b->object;
}

void lmgrad_fill(lua_State *L, int i, void *object) {
  ((box *)lua_touserdata(L, i))->object = object;
}

/* The box at i if it is one of ours, of any kind. */
static box *to_box(lua_State *L, int i) {
  box *b = lua_touserdata(L, i);
  if (b == NULL || lua_rawlen(L, i) != sizeof *b) return NULL; /* light ones have 0 */
  const struct kind *k = b->magic;
  for (int j = 0; j < LMGRAD_KINDS; j++) {
    if (k == &kinds[j]) return b;
  }
  return NULL;
}

void *lmgrad_room(lua_State *L, size_t size) {
  return lua_newuserdata(L, size == sizeof(box) ? size + 1 : size);
}

/* Does the state still have its objects? After its own finalizer, the last of all, boxes
** are closed. */
static int alive(lua_State *L) {
  const lmgrad_state *S = lua_touserdata(L, lua_upvalueindex(1));
  return S->ctx != NULL;
}

static box *to_kind(lua_State *L, int i, lmgrad_kind kind) {
  if (lua_type(L, i) != LUA_TUSERDATA || lua_rawlen(L, i) != sizeof(box)) return NULL;
  box *b = lua_touserdata(L, i);
  return b->magic == &kinds[kind] ? b : NULL;
}

const char *lmgrad_kind_name(lua_State *L, int i) {
  box *b = to_box(L, i);
  return b != NULL ? strchr(((const struct kind *)b->magic)->metatable, '.') + 1 : NULL;
}

void *lmgrad_test(lua_State *L, int i, lmgrad_kind kind) {
  box *b = to_kind(L, i, kind);
  return b != NULL && !b->closed && alive(L) ? b->object : NULL;
}

void *lmgrad_check(lua_State *L, int i, lmgrad_kind kind, const char *who, const char *what) {
  box *b = to_kind(L, i, kind);
  if (b == NULL) lmgrad_type_error(L, i, who, what, kinds[kind].article);
  else if (b->object == NULL || b->closed || !alive(L)) {
    lmgrad_error(L, "%s: %s is closed", who, what);
  }
  return b != NULL ? b->object : NULL;
}

void *lmgrad_check_element(lua_State *L, lmgrad_kind kind, const char *who, int k) {
  void *object = lmgrad_test(L, -1, kind);
  if (object != NULL) return object;
  lua_pushfstring(L, "element %d", k);
  return lmgrad_check(L, -2, kind, who, lua_tostring(L, -1));
}

int lmgrad_own_list(lua_State *L, int i, const char *who, const char *what) {
  enum { MOST = 1 << 20 }; /* the length of a table with holes may be anything */
  if (lua_type(L, i) != LUA_TTABLE) lmgrad_type_error(L, i, who, what, "a table");
  size_t n = lua_rawlen(L, i);
  if (n > MOST) {
    lmgrad_error(L, "%s: %s has %s elements, expected at most %d", who, what,
                 lua_pushfstring(L, "%d", (int)n), (int)MOST);
  }
  lua_createtable(L, (int)n, 0);
  for (int k = 1; k <= (int)n; k++) {
    lua_rawgeti(L, i, k);
    lua_rawseti(L, -2, k);
  }
  lua_replace(L, i);
  return (int)n;
}

static int release(box *b) {
  void *object = b->object;
  b->object = NULL;
  if (object != NULL) ((const struct kind *)b->magic)->release(object);
  return 0;
}

/* __gc. Of a box in use it is called by hand. */
static int box_gc(lua_State *L) {
  box *b = to_box(L, 1);
  if (b == NULL || !alive(L)) return 0;
  b->closed = 1;
  return b->used == 0 ? release(b) : 0;
}

void lmgrad_hold(lua_State *L, int top, int by) {
  for (int i = 1; i <= top; i++) {
    box *b = to_box(L, i);
    if (b != NULL) b->used += by;
  }
}

/* close(), __close. What the core is using lies in a box that is on a stack, so
** it stays until that box is collected. */
static int box_close(lua_State *L) {
  const lmgrad_state *S = lua_touserdata(L, lua_upvalueindex(1));
  box *b = to_box(L, 1);
  if (b == NULL) return 0;
  b->closed = 1;
  return S->ctx != NULL && S->L == NULL ? release(b) : 0;
}

/* ---- the collector ---- */

/* It sees the few bytes of a box, not the megabytes behind it: so it is told how far
** the memory of all objects has grown, whichever of them holds it. */
static void tell_collector(lua_State *L, lmgrad_state *S) {
  enum { BATCH = 64 * 1024, MOST = 1 << 20, SPARE = 8192 };
  size_t used = mgrad_memory_used(S->ctx);
  if (used < S->told) S->told = used;
  if (used - S->told < BATCH) return;
  size_t kb = (used - S->told) / 1024;
  S->told = used;
  lmgrad_gc_work(L, kb < MOST ? (int)kb : MOST);
  used = mgrad_memory_used(S->ctx);
  if (used / 1024 > 2 * (S->kept / 1024 + (size_t)lua_gc(L, LUA_GCCOUNT, 0)) + SPARE) {
    lmgrad_gc_all(L);
    S->kept = used = mgrad_memory_used(S->ctx);
  }
  if (used < S->kept) S->kept = used;
  S->told = used;
}

/* ---- errors ---- */

void lmgrad_push_text(lua_State *L, const char *text) {
  char copy[MGRAD_ERROR_SIZE];
  size_t n = 0;
  for (; n < sizeof copy && text[n] != '\0'; n++) copy[n] = text[n];
  lua_pushlstring(L, copy, n);
}

/* Is there a function of moongrad's own Lua files at that level? */
static int is_own(lua_State *L, const lmgrad_state *S, int level, lua_Debug *ar) {
  size_t n = strlen(S->own);
  if (!lua_getstack(L, level, ar) || !lua_getinfo(L, "Sl", ar)) return 0;
  return n > 0 && strncmp(ar->source, S->own, n) == 0;
}

void lmgrad_position(lua_State *L) {
  const lmgrad_state *S = lua_touserdata(L, lua_upvalueindex(1));
  lua_Debug ar, next;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    if (is_own(L, S, level, &ar) || *ar.what == 't') continue; /* 5.1: a tail call */
    int inside = S->depth > 0 || is_own(L, S, level + 1, &next); /* a callback, or its pcall */
    if (ar.currentline <= 0 && inside) continue;
    if (ar.currentline <= 0) break;
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

int lmgrad_error(lua_State *L, const char *format, ...) {
  va_list args;
  lmgrad_position(L);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* Calls something, so that the hook that has interrupted runs and raises its own error;
** where it is that of another coroutine, or raises none, this is the error. */
static int raise_interrupted(lua_State *L) {
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
  return lmgrad_error(L, "interrupted");
}

int lmgrad_raise_as(lua_State *L, lmgrad_state *S, mgrad_status status, const char *who) {
  if (status == MGRAD_CALLBACK) return lua_error(L); /* its value is at the top */
  if (status == MGRAD_INTERRUPTED) return raise_interrupted(L);
  if (status == MGRAD_NOMEM) {
    lua_pushliteral(L, "not enough memory");
    return lua_error(L);
  }
  lmgrad_push_text(L, mgrad_error(S->ctx));
  const char *what = lua_tostring(L, -1);
  return who != NULL ? lmgrad_error(L, "%s: %s", who, what) : lmgrad_error(L, "%s", what);
}

const char *lmgrad_kind_text(lua_State *L, int i) {
  box *b = to_box(L, i);
  if (b == NULL) return luaL_typename(L, i);
  if (b->closed || b->object == NULL) return "closed";
  return ((const struct kind *)b->magic)->article;
}

int lmgrad_type_error(lua_State *L, int i, const char *who, const char *what,
                      const char *expected) {
  return lmgrad_error(L, "%s: %s is %s, expected %s", who, what, lmgrad_kind_text(L, i),
                      expected);
}

/* ---- registering ---- */

void lmgrad_register(lua_State *L, int state, const lmgrad_function *list) {
  for (; list->name != NULL; list++) {
    lua_pushvalue(L, state);
    lua_pushcclosure(L, list->f, 1);
    lua_setfield(L, -2, list->name);
  }
}

void lmgrad_metatable(lua_State *L, int state, lmgrad_kind kind) {
  static const lmgrad_function finalizers[] = {
    { "__gc", box_gc }, { "__close", box_close }, { NULL, NULL }
  };
  static const lmgrad_function close[] = { { "close", box_close }, { NULL, NULL } };
  luaL_newmetatable(L, kinds[kind].metatable);
  lua_pushvalue(L, -1);
  lmgrad_rawsetp(L, LUA_REGISTRYINDEX, &kinds[kind]);
  lmgrad_register(L, state, finalizers);
  lua_pushstring(L, kinds[kind].metatable);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  lmgrad_register(L, state, close);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
}
