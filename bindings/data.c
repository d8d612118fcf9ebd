/*
** data.c - raw bytes, unpacking gzip, datasets.
*/
#include "args.h"
#include "gunzip.h"

#include <string.h>

/* ---- bytes ---- */

static mgrad_bytes *check_bytes(lua_State *L, int i, const char *who) {
  return lmgrad_check(L, i, LMGRAD_BYTES, who, "bytes");
}

static const char *check_string(lua_State *L, int i, const char *who, size_t *length) {
  if (lua_type(L, i) != LUA_TSTRING) lmgrad_type_error(L, i, who, "data", "a string");
  return lua_tolstring(L, i, length);
}

/* bytes(string) */
static int bytes_new(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  size_t length;
  const char *data = check_string(L, 1, "bytes", &length);
  mgrad_bytes **out = (mgrad_bytes **)lmgrad_box(L, LMGRAD_BYTES);
  LMGRAD_TRY(L, S, mgrad_bytes_new(S->ctx, length, out));
  memcpy(mgrad_bytes_data(*out), data, length);
  return 1;
}

/* gunzip(string) -> bytes, or nil and what is wrong */
static int gunzip(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  size_t length, size;
  const unsigned char *data = (const unsigned char *)check_string(L, 1, "gunzip", &length);
  const char *wrong = lmgrad_gunzip_size(data, length, &size);
  if (wrong == NULL) {
    mgrad_bytes **out = (mgrad_bytes **)lmgrad_box(L, LMGRAD_BYTES);
    LMGRAD_TRY(L, S, mgrad_bytes_new(S->ctx, size, out));
    wrong = lmgrad_gunzip(data, length, mgrad_bytes_data(*out), size);
    if (wrong == NULL) return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, wrong);
  return 2;
}

/* inflate(string, size) -> the string of that size that it unpacks to, or nil */
static int inflate(lua_State *L) {
  size_t length;
  lua_settop(L, 2);
  const unsigned char *data = (const unsigned char *)check_string(L, 1, "inflate", &length);
  size_t size = (size_t)lmgrad_integer(L, 2, "inflate", "size", 0, INT32_MAX);
  unsigned char *to = lmgrad_room(L, size + 1); /* + 1: LuaJIT makes none of 0 bytes */
  if (lmgrad_inflate(data, length, to, size)) lua_pushlstring(L, (const char *)to, size);
  else lua_pushnil(L);
  return 1;
}

static int bytes_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)mgrad_bytes_size(check_bytes(L, 1, "bytes")));
  return 1;
}

/* b:integer(first, count): 'count' bytes from position 'first' (from 1) as a
** big-endian number */
static int bytes_integer(lua_State *L) {
  mgrad_bytes *b = check_bytes(L, 1, "integer");
  int64_t size = (int64_t)mgrad_bytes_size(b);
  int64_t count = lmgrad_integer(L, 3, "integer", "count", 1, 6);
  int64_t first = lmgrad_integer(L, 2, "integer", "first", 1, LMGRAD_EXACT);
  if (first > size - count + 1) {
    return lmgrad_error(L, "integer: byte %s is beyond the end",
                      lmgrad_number_text(L, (lua_Number)(first + count - 1)));
  }
  uint64_t v = 0;
  for (int64_t k = 0; k < count; k++) v = v << 8 | mgrad_bytes_data(b)[first - 1 + k];
  lua_pushnumber(L, (lua_Number)v);
  return 1;
}

/* ---- datasets ---- */

static mgrad_dataset *check_self(lua_State *L, const char *who) {
  return lmgrad_check(L, 1, LMGRAD_DATASET, who, "self");
}

static double optional_number(lua_State *L, int table, const char *key, double otherwise) {
  lua_getfield(L, table, key);
  double v = lua_isnil(L, -1) ? otherwise : lmgrad_number(L, -1, "dataset", key);
  lua_pop(L, 1);
  return v;
}

/* A column at index i: a tensor, or {bytes=, first=, shape=, scale=, offset=},
** which leaves its bytes at i. */
static mgrad_source read_source(lua_State *L, int i, const char *name) {
  mgrad_source s = { .tensor = NULL };
  if (lmgrad_test(L, i, LMGRAD_TENSOR) != NULL) return s;
  if (lua_type(L, i) != LUA_TTABLE) {
    lmgrad_type_error(L, i, "dataset", name, "a tensor or a table with bytes");
  }
  lua_getfield(L, i, "shape");
  s.ndim = lmgrad_sizes(L, lua_gettop(L), "dataset", s.size);
  lua_getfield(L, i, "first");
  s.first = (size_t)lmgrad_integer(L, -1, "dataset", "first", 1, LMGRAD_EXACT) - 1;
  s.scale = optional_number(L, i, "scale", 1);
  s.offset = optional_number(L, i, "offset", 0);
  lua_getfield(L, i, "bytes");
  lua_replace(L, i);
  lua_pop(L, 2);
  return s;
}

static void take_source(lua_State *L, int i, mgrad_source *s) {
  s->tensor = lmgrad_test(L, i, LMGRAD_TENSOR);
  if (s->tensor == NULL) s->bytes = check_bytes(L, i, "dataset");
}

static mgrad_dataset **box_dataset(lua_State *L) {
  return (mgrad_dataset **)lmgrad_box(L, LMGRAD_DATASET);
}

/* dataset(x, y) */
static int dataset_new(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 2);
  mgrad_source x = read_source(L, 1, "x"), y = read_source(L, 2, "y");
  mgrad_dataset **out = box_dataset(L);
  take_source(L, 1, &x);
  take_source(L, 2, &y);
  LMGRAD_TRY(L, S, mgrad_dataset_new(S->ctx, &x, &y, out));
  return 1;
}

static int dataset_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)mgrad_dataset_count(check_self(L, "dataset")));
  return 1;
}

static int dataset_features(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)mgrad_dataset_features(check_self(L, "features")));
  return 1;
}

static void range_arguments(lua_State *L, const char *who, int64_t *first, int64_t *count) {
  *first = lmgrad_integer(L, 2, who, "first", 1, LMGRAD_EXACT);
  *count = lmgrad_integer(L, 3, who, "count", 1, LMGRAD_EXACT);
}

/* d:range(first, count) */
static int dataset_range(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int64_t first, count;
  lua_settop(L, 3);
  mgrad_dataset **out = box_dataset(L);
  mgrad_dataset *d = check_self(L, "range");
  range_arguments(L, "range", &first, &count);
  LMGRAD_TRY(L, S, mgrad_dataset_range(d, first, count, out));
  return 1;
}

static int dataset_shuffle(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 1);
  mgrad_dataset **out = box_dataset(L);
  mgrad_dataset *d = check_self(L, "shuffle");
  LMGRAD_TRY(L, S, mgrad_dataset_shuffle(d, out));
  return 1;
}

/* The numbers in the table at i, in memory of Lua. */
static double *read_numbers(lua_State *L, int i, const char *what, int64_t n) {
  if (lua_type(L, i) != LUA_TTABLE) lmgrad_type_error(L, i, "dataset", what, "a table");
  if ((int64_t)lua_rawlen(L, i) != n) {
    lmgrad_error(L, "dataset: %s has %s numbers, expected %s", what,
               lmgrad_number_text(L, (lua_Number)lua_rawlen(L, i)), lmgrad_number_text(L, (lua_Number)n));
  }
  double *to = lmgrad_room(L, (size_t)n * sizeof *to);
  for (int64_t k = 0; k < n; k++) {
    lua_rawgeti(L, i, (int)(k + 1));
    to[k] = lmgrad_number(L, -1, "dataset", what);
    lua_pop(L, 1);
  }
  return to;
}

/* d:affine(scales, offsets): tables of 1 number, or one an element of x */
static int dataset_affine(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  check_self(L, "affine");
  lua_settop(L, 3);
  int64_t n = lua_type(L, 2) == LUA_TTABLE ? (int64_t)lua_rawlen(L, 2) : 0;
  double *scale = read_numbers(L, 2, "scale", n), *offset = read_numbers(L, 3, "offset", n);
  mgrad_dataset *d = check_self(L, "affine"), *scaled;
  LMGRAD_TRY(L, S, mgrad_dataset_affine(d, n, scale, offset, &scaled));
  lmgrad_fill(L, 1, scaled); /* d itself changes; what was derived from it does not */
  mgrad_dataset_release(d);
  lua_settop(L, 1);
  return 1;
}

/* d:change{flip=, shift=, rotate=, scale=, noise=, edge=}: all are numbers, 0 where left
** out */
static int dataset_change(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TTABLE) lmgrad_type_error(L, 2, "augment", "options", "a table");
  mgrad_augment a = { .flip = optional_number(L, 2, "flip", 0) != 0,
                      .rotate = optional_number(L, 2, "rotate", 0),
                      .scale = optional_number(L, 2, "scale", 0),
                      .noise = optional_number(L, 2, "noise", 0),
                      .edge = optional_number(L, 2, "edge", 0) != 0 };
  lua_getfield(L, 2, "shift");
  if (!lua_isnil(L, -1)) a.shift = lmgrad_integer(L, -1, "augment", "shift", 0, LMGRAD_EXACT);
  mgrad_dataset *d = check_self(L, "augment"), *changed;
  LMGRAD_TRY(L, S, mgrad_dataset_augment(d, &a, &changed));
  lmgrad_fill(L, 1, changed); /* as affine does */
  mgrad_dataset_release(d);
  lua_settop(L, 1);
  return 1;
}

static void push_numbers(lua_State *L, const double *v, int64_t n) {
  lua_newtable(L);
  for (int64_t k = 0; k < n; k++) {
    lua_pushnumber(L, v[k]);
    lua_rawseti(L, -2, (int)(k + 1));
  }
}

/* d:stats(each) -> means, deviations: tables of 1 number, or one an element */
static int dataset_stats(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int each = lua_toboolean(L, 2);
  int64_t n = each ? mgrad_dataset_features(check_self(L, "stats")) : 1;
  double *mean = lmgrad_room(L, (size_t)n * 2 * sizeof *mean);
  mgrad_dataset *d = check_self(L, "stats");
  LMGRAD_TRY(L, S, mgrad_dataset_stats(d, each, mean, mean + n));
  push_numbers(L, mean, n);
  push_numbers(L, mean + n, n);
  return 2;
}

/* d:batch(first, count [, draw]) -> x, y, changed at random with a draw */
static int dataset_batch(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int64_t first, count;
  lua_settop(L, 4);
  int plain = lua_isnil(L, 4);
  uint64_t draw = plain ? 0 : (uint64_t)lmgrad_integer(L, 4, "batch", "draw", 0, LMGRAD_EXACT);
  mgrad_tensor **x = lmgrad_box_tensor(L), **y = lmgrad_box_tensor(L);
  range_arguments(L, "batch", &first, &count);
  mgrad_dataset *d = check_self(L, "batch");
  LMGRAD_TRY(L, S, plain ? mgrad_dataset_batch(d, first, count, x, y)
                         : mgrad_dataset_sample(d, first, count, draw, x, y));
  return 2;
}

/* ---- the module ---- */

static const lmgrad_function functions[] = {
  { "bytes", bytes_new }, { "gunzip", gunzip }, { "inflate", inflate },
  { "dataset", dataset_new }, { NULL, NULL }
};

static const lmgrad_function bytes_methods[] = {
  { "integer", bytes_integer }, { NULL, NULL }
};

static const lmgrad_function dataset_methods[] = {
  { "features", dataset_features }, { "range", dataset_range },
  { "shuffle", dataset_shuffle }, { "affine", dataset_affine }, { "stats", dataset_stats },
  { "batch", dataset_batch }, { "change", dataset_change }, { NULL, NULL }
};

static const lmgrad_function bytes_meta[] = { { "__len", bytes_len }, { NULL, NULL } };
static const lmgrad_function dataset_meta[] = { { "__len", dataset_len }, { NULL, NULL } };

void lmgrad_open_data(lua_State *L, int state) {
  lmgrad_register(L, state, functions);
  lmgrad_metatable(L, state, LMGRAD_BYTES); /* metatable, methods */
  lmgrad_register(L, state, bytes_methods);
  lua_pop(L, 1);
  lmgrad_register(L, state, bytes_meta);
  lua_pop(L, 1);
  lmgrad_metatable(L, state, LMGRAD_DATASET);
  lmgrad_register(L, state, dataset_methods);
  lua_insert(L, -2);
  lmgrad_register(L, state, dataset_meta);
  lua_pop(L, 1);
  lua_setfield(L, -2, "dataset_methods");
}
