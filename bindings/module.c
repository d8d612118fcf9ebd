/*
** module.c - luaopen_moongrad_core: one state, the parts of every file.
*/
#include "args.h"

#include <string.h>

/* ---- the state's own functions ---- */

static int module_seed(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_seed(S->ctx, (uint64_t)lmgrad_integer(L, 1, "seed", "n", -LMGRAD_EXACT, LMGRAD_EXACT));
  return 0;
}

/* recording(on) -> whether it was on before */
static int module_recording(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_pushboolean(L, mgrad_grad_enable(S->ctx, lua_toboolean(L, 1)));
  return 1;
}

/* anomaly(on) -> whether it was on before */
static int module_anomaly(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_pushboolean(L, mgrad_anomaly(S->ctx, lua_toboolean(L, 1)));
  return 1;
}

/* isa([name]) -> the instruction set in use, after setting it */
static int module_isa(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  if (!lua_isnoneornil(L, 1)) {
    if (lua_type(L, 1) != LUA_TSTRING) lmgrad_type_error(L, 1, "isa", "name", "a string");
    LMGRAD_TRY_AS(L, S, "isa", mgrad_isa_set(S->ctx, lua_tostring(L, 1)));
  }
  lua_pushstring(L, mgrad_isa(S->ctx));
  return 1;
}

/* threads([n]) -> how many there are, after setting them */
static int module_threads(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  if (!lua_isnoneornil(L, 1)) {
    int n = (int)lmgrad_integer(L, 1, "set_threads", "n", -(1 << 30), 1 << 30);
    LMGRAD_TRY_AS(L, S, "set_threads", mgrad_threads_set(S->ctx, n));
  }
  lua_pushinteger(L, mgrad_threads(S->ctx));
  return 1;
}

static mgrad_limit limit_named(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TSTRING) lmgrad_type_error(L, i, "limit", "name", "a string");
  const char *name = lua_tostring(L, i);
  for (int which = 0; which < MGRAD_LIMITS; which++) {
    if (strcmp(name, mgrad_limit_name((mgrad_limit)which)) == 0) return (mgrad_limit)which;
  }
  lmgrad_error(L, "limit: name is \"%s\", which no limit has", name);
  return MGRAD_LIMITS;
}

/* limit(name, most): scripts can lower it only */
static int module_limit(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_limit which = limit_named(L, 1);
  int64_t most = lmgrad_integer(L, 2, "limit", mgrad_limit_name(which), 1, LMGRAD_EXACT);
  LMGRAD_TRY(L, S, mgrad_limit_lower(S->ctx, which, (uint64_t)most));
  return 0;
}

/* The same for the host, which finds it in the registry as "moongrad.limit": any number,
** 0 for none. */
static int module_host_limit(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_limit which = limit_named(L, 1);
  int64_t most = lmgrad_integer(L, 2, "limit", mgrad_limit_name(which), 0, LMGRAD_EXACT);
  mgrad_limit_set(S->ctx, which, (uint64_t)most);
  return 0;
}

/* memory() -> used, peak, limit in bytes, allocations */
static int module_memory(lua_State *L) {
  const mgrad_context *ctx = LMGRAD_STATE(L)->ctx;
  lua_pushinteger(L, (lua_Integer)mgrad_memory_used(ctx));
  lua_pushinteger(L, (lua_Integer)mgrad_memory_peak(ctx));
  lua_pushinteger(L, (lua_Integer)mgrad_limit_get(ctx, MGRAD_LIMIT_MEMORY));
  lua_pushinteger(L, (lua_Integer)mgrad_memory_count(ctx));
  return 4;
}

/* type(v) -> "tensor", "layer" .. for what moongrad made, else nil */
static int module_type(lua_State *L) {
  const char *name = lmgrad_kind_name(L, 1);
  if (name != NULL) lua_pushstring(L, name);
  else lua_pushnil(L);
  return 1;
}

/* open(v): is it one of ours and not closed? */
static int module_open(lua_State *L) {
  int open = 0;
  for (int kind = 0; kind < LMGRAD_KINDS; kind++) {
    open |= lmgrad_test(L, 1, (lmgrad_kind)kind) != NULL;
  }
  lua_pushboolean(L, open);
  return 1;
}

/* set_tostring(kind, f): how objects of a kind are shown */
static int module_set_tostring(lua_State *L) {
  const char *kind = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : "?";
  luaL_getmetatable(L, lua_pushfstring(L, "moongrad.%s", kind));
  if (lua_type(L, -1) != LUA_TTABLE) lmgrad_error(L, "set_tostring: there is no kind \"%s\"", kind);
  if (lua_type(L, 2) != LUA_TFUNCTION) {
    lmgrad_type_error(L, 2, "set_tostring", "f", "a function");
  }
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "__tostring");
  return 0;
}

/* own_files(): tells, called from init.lua, where moongrad's own Lua files are; once */
static int module_own_files(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_Debug ar;
  if (S->own[0] != '\0') return 0;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar)) return 0;
  const char *end = strrchr(ar.source, '/');
  size_t n = end != NULL ? (size_t)(end + 1 - ar.source) : 0;
  if (n >= sizeof S->own) n = 0;
  memcpy(S->own, ar.source, n);
  S->own[n] = '\0';
  return 0;
}

/* fail(text): an error at the line that called into moongrad */
static int module_fail(lua_State *L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TSTRING) lmgrad_type_error(L, 1, "fail", "text", "a string");
  lmgrad_position(L);
  lua_insert(L, 1); /* not through a format: there may be zero bytes in it */
  lua_concat(L, 2);
  return lua_error(L);
}

/* pcall(f, ..): as Lua's, but nothing in it can yield: for what must be put back */
static int module_pcall(lua_State *L) {
  if (lua_gettop(L) == 0) lmgrad_type_error(L, 1, "pcall", "f", "a function");
  lua_pushboolean(L, lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) == 0);
  lua_insert(L, 1);
  return lua_gettop(L);
}

/* The least of letters put in, left out, changed or swapped that makes b of a; MOST where
** one of them is longer than a name. */
enum { MOST = 32 };
int lmgrad_distance(const char *a, const char *b) {
  int row[3][MOST + 1], n = (int)strlen(a), m = (int)strlen(b);
  if (n >= MOST || m >= MOST) return MOST;
  for (int i = 0; i <= n; i++)
    for (int j = 0; j <= m; j++) {
      int *to = &row[i % 3][j], *above = &row[(i + 2) % 3][j];
      *to = i == 0 ? j : *above + 1;
      if (j > 0 && to[-1] + 1 < *to) *to = to[-1] + 1;
      if (i == 0 || j == 0) continue;
      int other = above[-1] + (a[i - 1] != b[j - 1]);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
          row[(i + 1) % 3][j - 2] + 1 < other) other = row[(i + 1) % 3][j - 2] + 1;
      if (other < *to) *to = other;
    }
  return row[n % 3][m];
}

/* distance(name, name) -> how unlike they are */
static int module_distance(lua_State *L) {
  for (int i = 1; i <= 2; i++) {
    if (lua_type(L, i) != LUA_TSTRING) lmgrad_type_error(L, i, "distance", "name", "a string");
  }
  lua_pushinteger(L, lmgrad_distance(lua_tostring(L, 1), lua_tostring(L, 2)));
  return 1;
}

static const lmgrad_function functions[] = {
  { "own_files", module_own_files },
  { "type", module_type }, { "open", module_open }, { "set_tostring", module_set_tostring },
  { "seed", module_seed }, { "isa", module_isa }, { "threads", module_threads },
  { "recording", module_recording }, { "anomaly", module_anomaly }, { "limit", module_limit },
  { "memory", module_memory }, { "fail", module_fail }, { "pcall", module_pcall },
  { "distance", module_distance }, { NULL, NULL }
};

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

LMGRAD_EXPORT int luaopen_moongrad_core(lua_State *L);

int luaopen_moongrad_core(lua_State *L) {
#if LUA_VERSION_NUM >= 502
  luaL_checkversion(L); /* a host of another version would misread numbers */
#endif
  lua_settop(L, 0);
  lmgrad_open_state(L); /* 1 */
  lua_newtable(L);
  lmgrad_register(L, 1, functions);
  lmgrad_open_callbacks(L, 1);
  lmgrad_open_tensor(L, 1);
  lmgrad_open_convert(L, 1);
  lmgrad_open_ops(L, 1);
  lmgrad_open_layer(L, 1);
  lmgrad_open_optimizer(L, 1);
  lmgrad_open_recipe(L, 1);
  lmgrad_open_safetensors(L, 1);
  lmgrad_open_data(L, 1);
  lmgrad_open_trainer(L, 1);
  lmgrad_open_resume(L, 1);
  set_string(L, "version", MGRAD_VERSION);
  set_string(L, "real", sizeof(mgrad_real) == 4 ? "float32" : "float64");
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, module_host_limit, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "moongrad.limit");
  lmgrad_keep_state(L, 1);
  return 1;
}
