/*
** convert.c - tensors made of nested tables and of raw bytes, and made into them.
*/
#include "args.h"

#include <math.h>
#include <string.h>

/* ---- of nested tables ---- */

typedef struct nested {
  const char *who;
  int ndim;
  int64_t size[MGRAD_MAX_DIMS];
  int64_t at[MGRAD_MAX_DIMS]; /* the path to the table under way, from 1 */
} nested;

/* Error naming the row: 'tensor: row [2][1] has 3 numbers, expected 4'. */
static int nested_error(lua_State *L, const nested *t, int depth, const char *came) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int k = 0; k < depth; k++) {
    lua_pushfstring(L, "[%d]", (int)t->at[k]);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  const char *expected = "a number";
  if (depth < t->ndim) expected = lua_pushfstring(L, "%d elements", (int)t->size[depth]);
  return lmgrad_error(L, "%s: row %s is %s, expected %s", t->who,
                    depth > 0 ? lua_tostring(L, depth < t->ndim ? -2 : -1) : "1", came,
                    expected);
}

/* Sizes along the first element of each level of the table at the top. */
static void measure(lua_State *L, nested *t) {
  int top = lua_gettop(L);
  luaL_checkstack(L, MGRAD_MAX_DIMS + 8, "nested tables");
  while (lua_type(L, -1) == LUA_TTABLE) {
    if (t->ndim == MGRAD_MAX_DIMS) {
      lmgrad_error(L, "%s: tables nest deeper than %d dimensions", t->who, MGRAD_MAX_DIMS);
    }
    t->size[t->ndim] = (int64_t)lua_rawlen(L, -1);
    if (t->size[t->ndim++] == 0) lmgrad_error(L, "%s: a table is empty", t->who);
    lua_rawgeti(L, -1, 1);
  }
  lua_settop(L, top);
}

static mgrad_real *read_nested(lua_State *L, nested *t, int depth, mgrad_real *to) {
  if (depth == t->ndim) {
    if (lua_type(L, -1) != LUA_TNUMBER) nested_error(L, t, depth, luaL_typename(L, -1));
    *to = (mgrad_real)lua_tonumber(L, -1);
    return to + 1;
  }
  if (lua_type(L, -1) != LUA_TTABLE) nested_error(L, t, depth, luaL_typename(L, -1));
  int64_t n = (int64_t)lua_rawlen(L, -1);
  if (n != t->size[depth]) {
    nested_error(L, t, depth, lua_pushfstring(L, "%d elements", (int)n));
  }
  for (int64_t i = 0; i < n; i++) {
    t->at[depth] = i + 1;
    lua_rawgeti(L, -1, (int)(i + 1));
    to = read_nested(L, t, depth + 1, to);
    lua_pop(L, 1);
  }
  return to;
}

mgrad_tensor *lmgrad_to_tensor(lua_State *L, lmgrad_state *S, int i, const char *who,
                               const char *what) {
  int type = lua_type(L, i);
  if (type != LUA_TNUMBER && type != LUA_TTABLE) return lmgrad_check_tensor(L, i, who, what);
  nested t = { .who = who };
  lua_pushvalue(L, i);
  measure(L, &t);
  mgrad_tensor **out = lmgrad_box_tensor(L);
  LMGRAD_TRY_AS(L, S, who, mgrad_tensor_new(S->ctx, t.ndim, t.size, out));
  lua_pushvalue(L, -2);
  read_nested(L, &t, 0, mgrad_tensor_array(*out)->data);
  lua_pop(L, 1);
  lua_replace(L, i);
  lua_pop(L, 1);
  return *out;
}

void lmgrad_set_requires_grad(lua_State *L, lmgrad_state *S, mgrad_tensor *t, int i,
                              const char *who) {
  if (lua_type(L, i) != LUA_TBOOLEAN) {
    lmgrad_type_error(L, i, who, "requires_grad", "true or false");
  }
  LMGRAD_TRY(L, S, mgrad_tensor_require_grad(t, lua_toboolean(L, i)));
}

static int tensor_tensor(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 2);
  if (lmgrad_test(L, 1, LMGRAD_TENSOR) != NULL) { /* of a tensor: a copy */
    mgrad_tensor **out = lmgrad_box_tensor(L);
    mgrad_tensor *from = lmgrad_check_tensor(L, 1, "tensor", "value");
    const mgrad_array *a = mgrad_tensor_array(from);
    LMGRAD_TRY(L, S, mgrad_tensor_new(S->ctx, a->ndim, a->size, out));
    mgrad_tensor_read(from, mgrad_tensor_array(*out)->data);
    lua_replace(L, 1);
  }
  mgrad_tensor *t = lmgrad_to_tensor(L, S, 1, "tensor", "value");
  if (!lua_isnil(L, 2)) {
    if (lua_type(L, 2) != LUA_TTABLE) lmgrad_type_error(L, 2, "tensor", "options", "a table");
    lua_getfield(L, 2, "requires_grad");
    if (!lua_isnil(L, -1)) lmgrad_set_requires_grad(L, S, t, -1, "tensor");
    lua_pop(L, 1);
  }
  lua_settop(L, 1);
  lmgrad_account(L, S, t);
  return 1;
}

/* ---- into nested tables ---- */

/* Memory that Lua owns; pushes one value. */
static void *scratch(lua_State *L, int64_t n, size_t size) {
  if (n > INT32_MAX / 8) { /* an expanded tensor, say; LuaJIT would speak of userdata */
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
  }
  return lua_newuserdata(L, (size_t)n * size);
}

/* All numbers of the tensor at 1, in order; pushes one value. */
static const mgrad_real *read_all(lua_State *L, const char *who, mgrad_array *shape) {
  int64_t n = mgrad_tensor_numel(lmgrad_check_tensor(L, 1, who, "self"));
  mgrad_real *to = scratch(L, n, sizeof *to);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, who, "self");
  *shape = *mgrad_tensor_array(t);
  mgrad_tensor_read(t, to);
  return to;
}

static const mgrad_real *push_table(lua_State *L, const mgrad_array *a, int depth,
                                    const mgrad_real *from) {
  if (depth == a->ndim) {
    lua_pushnumber(L, (lua_Number)*from);
    return from + 1;
  }
  lua_createtable(L, (int)a->size[depth], 0);
  for (int64_t i = 0; i < a->size[depth]; i++) {
    from = push_table(L, a, depth + 1, from);
    lua_rawseti(L, -2, (int)(i + 1));
  }
  return from;
}

static int tensor_totable(lua_State *L) {
  mgrad_array shape;
  luaL_checkstack(L, MGRAD_MAX_DIMS + 4, "totable");
  const mgrad_real *from = read_all(L, "totable", &shape);
  push_table(L, &shape, 0, from);
  return 1;
}

/* ---- raw bytes ---- */

static const struct raw_type { const char *name; size_t size; } raw_types[] = {
  { "f32", 4 }, { "f64", 8 }, { "u8", 1 }, { "i8", 1 }, { "u16", 2 }, { "i16", 2 },
  { "u32", 4 }, { "i32", 4 }, { "u64", 8 }, { "i64", 8 }, { "f16", 2 }, { "bf16", 2 },
};

static const struct raw_type *check_raw(lua_State *L, int i, const char *who) {
  const char *name = "f32";
  if (!lua_isnoneornil(L, i)) {
    if (lua_type(L, i) != LUA_TSTRING) lmgrad_type_error(L, i, who, "type", "a string");
    name = lua_tostring(L, i);
  }
  for (size_t k = 0; k < sizeof raw_types / sizeof *raw_types; k++) {
    if (strcmp(raw_types[k].name, name) == 0) return &raw_types[k];
  }
  lmgrad_error(L, "%s: type is \"%s\", expected f32, f64, f16, bf16, u8, i8, u16, i16, u32,"
             " i32, u64 or i64", who, name);
  return NULL;
}

static double from_word(uint32_t word) {
  float v;
  memcpy(&v, &word, sizeof v);
  return (double)v;
}

static uint32_t to_word(double v) {
  float narrow = (float)v;
  uint32_t word;
  memcpy(&word, &narrow, sizeof word);
  return word;
}

/* IEEE 754 binary16: a sign, 5 bits of exponent, 10 of fraction. */
static double from_half(uint64_t bits) {
  int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
  double v = exponent == 0    ? ldexp(fraction, -24)
             : exponent < 31  ? ldexp(1024 + fraction, exponent - 25)
             : fraction == 0  ? HUGE_VAL : (double)NAN;
  return bits >> 15 ? -v : v;
}

static uint64_t to_half(double v) {
  uint64_t sign = signbit(v) ? 0x8000 : 0;
  double size = fabs(v);
  int exponent;
  if (v != v) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00; /* halfway from the largest one */
  if (size < ldexp(1, -14)) return sign | (uint64_t)nearbyint(ldexp(size, 24));
  frexp(size, &exponent);
  uint64_t fraction = (uint64_t)nearbyint(ldexp(size, 11 - exponent)) - 1024;
  return sign | (((uint64_t)(exponent + 14) << 10) + fraction); /* it may carry */
}

/* The first half of a float32; to the nearest, of two to the even one. */
static uint64_t to_brief(double v) {
  uint32_t word = to_word(v);
  if (v != v) return 0x7fc0;
  return (word + 0x7fff + (word >> 16 & 1)) >> 16;
}

static double decode(const struct raw_type *type, const unsigned char *p) {
  uint64_t bits = 0;
  for (size_t k = type->size; k > 0; k--) bits = bits << 8 | p[k - 1];
  if (type->name[0] == 'f' && type->size == 4) return from_word((uint32_t)bits);
  if (type->name[0] == 'f' && type->size == 2) return from_half(bits);
  if (type->name[0] == 'b') return from_word((uint32_t)bits << 16);
  if (type->name[0] == 'f') {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
  }
  if (type->name[0] == 'u') return (double)bits;
  uint64_t sign = UINT64_C(1) << (8 * type->size - 1);
  return (double)(int64_t)((bits ^ sign) - sign);
}

/* The nearest integer that the type holds; NaN becomes 0. */
static uint64_t to_integer(const struct raw_type *type, double v) {
  int bits = (int)(8 * type->size), is_signed = type->name[0] == 'i';
  double low = is_signed ? -ldexp(1, bits - 1) : 0;
  double high = ldexp(1, is_signed ? bits - 1 : bits) - (bits < 64 ? 1 : is_signed ? 1024 : 2048);
  if (v != v) return 0;
  v = v < low ? low : v > high ? high : nearbyint(v);
  return v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v;
}

static void encode(const struct raw_type *type, double v, unsigned char *p) {
  uint64_t bits;
  if (type->name[0] == 'f' && type->size == 4) {
    bits = to_word(v);
  } else if (type->name[0] == 'f' && type->size == 2) {
    bits = to_half(v);
  } else if (type->name[0] == 'b') {
    bits = to_brief(v);
  } else if (type->name[0] == 'f') {
    memcpy(&bits, &v, sizeof bits);
  } else {
    bits = to_integer(type, v);
  }
  for (size_t k = 0; k < type->size; k++) p[k] = (unsigned char)(bits >> 8 * k);
}

static int tensor_from_string(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  size_t length;
  lua_settop(L, 3);
  if (lua_type(L, 1) != LUA_TSTRING) {
    return lmgrad_type_error(L, 1, "from_string", "bytes", "a string");
  }
  const unsigned char *bytes = (const unsigned char *)lua_tolstring(L, 1, &length);
  const struct raw_type *type = check_raw(L, 3, "from_string");
  lua_settop(L, 2);
  int64_t size[MGRAD_MAX_DIMS];
  int n = lmgrad_sizes(L, 2, "from_string", size);
  mgrad_tensor **out = lmgrad_box_tensor(L);
  LMGRAD_TRY_AS(L, S, "from_string", mgrad_tensor_new(S->ctx, n, size, out));
  int64_t numel = mgrad_tensor_numel(*out);
  if ((uint64_t)numel * type->size != length) {
    return lmgrad_error(L, "from_string: %f bytes, expected %f for %f numbers of type %s",
                      (lua_Number)length, (lua_Number)((uint64_t)numel * type->size),
                      (lua_Number)numel, type->name);
  }
  mgrad_real *to = mgrad_tensor_array(*out)->data;
  for (int64_t i = 0; i < numel; i++) {
    to[i] = (mgrad_real)decode(type, bytes + (size_t)i * type->size);
  }
  lmgrad_account(L, S, *out);
  return 1;
}

static int tensor_to_string(lua_State *L) {
  mgrad_array shape;
  const struct raw_type *type = check_raw(L, 2, "to_string");
  const mgrad_real *from = read_all(L, "to_string", &shape);
  int64_t n = (int64_t)(lua_rawlen(L, -1) / sizeof *from);
  unsigned char *bytes = scratch(L, n, type->size);
  for (int64_t i = 0; i < n; i++) encode(type, (double)from[i], bytes + (size_t)i * type->size);
  lua_pushlstring(L, (const char *)bytes, (size_t)n * type->size);
  return 1;
}

/* ---- the module ---- */

static const lmgrad_function functions[] = {
  { "tensor", tensor_tensor }, { "from_string", tensor_from_string }, { NULL, NULL }
};

static const lmgrad_function methods[] = {
  { "to_string", tensor_to_string }, { "totable", tensor_totable }, { NULL, NULL }
};

void lmgrad_open_convert(lua_State *L, int state) {
  lmgrad_register(L, state, functions);
  lua_getfield(L, -1, "tensor_methods");
  lmgrad_register(L, state, methods);
  lua_pop(L, 1);
}
