/*
** convert.c - tensors made of nested tables and of raw bytes, and made into them.
*/
#include "args.h"
#include "crc.h"

#include <math.h>
#include <string.h>

/* ---- of nested tables ---- */

typedef struct nested {
  const char *who, *what;
  int ndim;
  int64_t size[MGRAD_MAX_DIMS];
  int64_t at[MGRAD_MAX_DIMS]; /* the path to the table under way, from 1 */
} nested;

/* Error naming the row: 'tensor: value, row [2][1] is 3 elements, expected 4 elements'. */
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
  return lmgrad_error(L, "%s: %s, row %s is %s, expected %s", t->who, t->what,
                    depth > 0 ? lua_tostring(L, depth < t->ndim ? -2 : -1) : "1", came,
                    expected);
}

/* Sizes along the first element of each level of the table at the top. */
static void measure(lua_State *L, nested *t) {
  int top = lua_gettop(L);
  luaL_checkstack(L, MGRAD_MAX_DIMS + 8, "nested tables");
  while (lua_type(L, -1) == LUA_TTABLE) {
    if (t->ndim == MGRAD_MAX_DIMS) {
      lmgrad_error(L, "%s: %s nests deeper than %d dimensions", t->who, t->what,
                   MGRAD_MAX_DIMS);
    }
    t->size[t->ndim] = (int64_t)lua_rawlen(L, -1);
    if (t->size[t->ndim++] == 0) {
      lmgrad_error(L, "%s: %s has an empty table, expected numbers", t->who, t->what);
    }
    lua_rawgeti(L, -1, 1);
  }
  lua_settop(L, top);
}

static mgrad_real *read_nested(lua_State *L, nested *t, int depth, mgrad_real *to) {
  if (depth == t->ndim) {
    if (lua_type(L, -1) != LUA_TNUMBER) nested_error(L, t, depth, lmgrad_kind_text(L, -1));
    *to = (mgrad_real)lua_tonumber(L, -1);
    return to + 1;
  }
  if (lua_type(L, -1) != LUA_TTABLE) nested_error(L, t, depth, lmgrad_kind_text(L, -1));
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
  nested t = { .who = who, .what = what };
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
  int type = lua_type(L, 1);
  if (type != LUA_TNUMBER && type != LUA_TTABLE && type != LUA_TUSERDATA) {
    return lmgrad_type_error(L, 1, "tensor", "value", "a number, a table or a tensor");
  }
  mgrad_tensor *t = lmgrad_to_tensor(L, S, 1, "tensor", "value");
  if (!lua_isnil(L, 2)) {
    lmgrad_known_option(L, 2, "tensor", "requires_grad");
    lua_getfield(L, 2, "requires_grad");
    if (!lua_isnil(L, -1)) lmgrad_set_requires_grad(L, S, t, -1, "tensor");
    lua_pop(L, 1);
  }
  lua_settop(L, 1);
  return 1;
}

/* to_tensor(v, who, what): v, or the tensor that a table or a number stands for */
static int tensor_to_tensor(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  for (int i = 2; i <= 3; i++) {
    if (lua_type(L, i) != LUA_TSTRING) lmgrad_type_error(L, i, "to_tensor", "text", "a string");
  }
  lmgrad_to_tensor(L, S, 1, lua_tostring(L, 2), lua_tostring(L, 3));
  lua_settop(L, 1);
  return 1;
}

/* ---- into nested tables ---- */

/* Memory that Lua owns; pushes one value. */
static void *scratch(lua_State *L, int64_t n, size_t size) {
  if (n > INT32_MAX / 8) { /* an expanded tensor, say; LuaJIT would speak of userdata */
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
  }
  return lmgrad_room(L, (size_t)n * size);
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

/* f and b (bfloat16) are floating point, u and i integers, ? is 0 or not. */
static const struct raw_type { const char *name; char kind; size_t size; } raw_types[] = {
  { "f32", 'f', 4 }, { "f64", 'f', 8 }, { "f16", 'f', 2 }, { "bf16", 'b', 2 },
  { "u8", 'u', 1 }, { "i8", 'i', 1 }, { "u16", 'u', 2 }, { "i16", 'i', 2 },
  { "u32", 'u', 4 }, { "i32", 'i', 4 }, { "u64", 'u', 8 }, { "i64", 'i', 8 },
  { "bool", '?', 1 },
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
               " i32, u64, i64 or bool", who, name);
  return NULL;
}

static double word_to_float(uint32_t word) {
  float v;
  memcpy(&v, &word, sizeof v);
  return (double)v;
}

static uint32_t float_to_word(float v) {
  uint32_t word;
  memcpy(&word, &v, sizeof word);
  return word;
}

/* IEEE 754's half precision: 5 bits of exponent, 10 of fraction. */
static double half_to_float(uint64_t half) {
  int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
  double v = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) v = fraction == 0 ? (double)INFINITY : (double)NAN;
  return half & 0x8000 ? -v : v;
}

/* The nearest one, of two the even one. */
static uint64_t float_to_half(double v) {
  uint64_t sign = signbit(v) ? 0x8000 : 0;
  double size = fabs(v);
  int exponent;
  if (v != v) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  frexp(size, &exponent);
  if (size == 0 || exponent < -13) exponent = -13; /* below 2^-14 numbers are as far apart as there */
  uint64_t steps = (uint64_t)nearbyint(ldexp(size, 11 - exponent));
  return sign | (((uint64_t)(exponent + 13) << 10) + steps);
}

/* The upper half of a float, rounded to the nearest. */
static uint64_t float_to_bfloat(float v) {
  uint32_t word = float_to_word(v);
  if (v != v) return word >> 16 | 64;
  return (word + 0x7fff + (word >> 16 & 1)) >> 16;
}

static double decode(const struct raw_type *type, const unsigned char *p) {
  uint64_t bits = 0, sign = UINT64_C(1) << (8 * type->size - 1);
  double v;
  for (size_t k = type->size; k > 0; k--) bits = bits << 8 | p[k - 1];
  switch (type->kind) {
    case 'f':
      if (type->size == 4) return word_to_float((uint32_t)bits);
      if (type->size == 2) return half_to_float(bits);
      memcpy(&v, &bits, sizeof v);
      return v;
    case 'b': return word_to_float((uint32_t)bits << 16);
    case 'u': return (double)bits;
    case '?': return bits != 0;
    default: return (double)(int64_t)((bits ^ sign) - sign);
  }
}

/* The nearest integer that the type holds; NaN becomes 0. */
static uint64_t to_integer(const struct raw_type *type, double v) {
  int bits = (int)(8 * type->size), is_signed = type->kind == 'i';
  double low = is_signed ? -ldexp(1, bits - 1) : 0;
  double high = ldexp(1, is_signed ? bits - 1 : bits);
  high -= bits < 64 ? 1 : is_signed ? 1024 : 2048; /* the double before it */
  if (v != v) return 0;
  v = v < low ? low : v > high ? high : nearbyint(v);
  return is_signed ? (uint64_t)(int64_t)v : (uint64_t)v;
}

static uint64_t encode(const struct raw_type *type, double v) {
  uint64_t bits;
  switch (type->kind) {
    case 'f':
      if (type->size == 4) return float_to_word((float)v);
      if (type->size == 2) return float_to_half(v);
      memcpy(&bits, &v, sizeof bits);
      return bits;
    case 'b': return float_to_bfloat((float)v);
    case '?': return v != 0;
    default: return to_integer(type, v);
  }
}

/* Are the type's bytes those of a real number in memory here? */
static int as_they_are(const struct raw_type *type) {
  const uint16_t one = 1;
  return type->kind == 'f' && type->size == sizeof(mgrad_real) && *(const char *)&one == 1;
}

/* ---- tensors of raw bytes ---- */

/* A tensor that is filled by pieces of bytes, which may end within a number. */
typedef struct filling {
  const struct raw_type *type;
  mgrad_real *to;
  uint64_t left;          /* bytes */
  unsigned char part[8];  /* of the number that the last piece ended in */
  size_t held;
} filling;

/* Takes the next n bytes; no more than are left. */
static void fill(filling *f, const unsigned char *p, size_t n) {
  size_t size = f->type->size;
  f->left -= n;
  for (; n > 0 && (f->held > 0 || n < size); n--) {
    f->part[f->held++] = *p++;
    if (f->held < size) continue;
    *f->to++ = (mgrad_real)decode(f->type, f->part);
    f->held = 0;
  }
  size_t count = n / size;
  if (as_they_are(f->type)) memcpy(f->to, p, count * size);
  else {
    for (size_t k = 0; k < count; k++) f->to[k] = (mgrad_real)decode(f->type, p + k * size);
  }
  f->to += count;
  f->held = n - count * size;
  memcpy(f->part, p + count * size, f->held);
}

/* What the function at 1 returns, again and again, until that is enough. */
static void fill_from(lua_State *L, filling *f) {
  while (f->left > 0) {
    size_t length;
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      lmgrad_type_error(L, -1, "from_string", "what its function returns", "a string");
    }
    const char *bytes = lua_tolstring(L, -1, &length);
    if (length == 0 || length > f->left) {
      lmgrad_error(L, "from_string: its function returns %s bytes where %s are left",
                   lmgrad_number_text(L, (lua_Number)length),
                   lmgrad_number_text(L, (lua_Number)f->left));
    }
    fill(f, (const unsigned char *)bytes, length);
    lua_pop(L, 1);
  }
}

/* from_string(bytes, shape [, type]): bytes, or a function that returns them in pieces */
static int tensor_from_string(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  size_t length = 0;
  lua_settop(L, 3);
  int pieces = lua_type(L, 1) == LUA_TFUNCTION;
  if (!pieces && lua_type(L, 1) != LUA_TSTRING) {
    return lmgrad_type_error(L, 1, "from_string", "bytes", "a string");
  }
  const struct raw_type *type = check_raw(L, 3, "from_string");
  lua_settop(L, 2);
  int64_t size[MGRAD_MAX_DIMS];
  int n = lmgrad_sizes(L, 2, "from_string", size);
  mgrad_tensor **out = lmgrad_box_tensor(L);
  LMGRAD_TRY_AS(L, S, "from_string", mgrad_tensor_new(S->ctx, n, size, out));
  int64_t numel = mgrad_tensor_numel(*out);
  filling f = { .type = type, .to = mgrad_tensor_array(*out)->data,
                .left = (uint64_t)numel * type->size };
  if (pieces) {
    fill_from(L, &f);
  } else {
    const char *bytes = lua_tolstring(L, 1, &length);
    if (f.left != length) {
      return lmgrad_error(L, "from_string: %s bytes, expected %s for %s numbers of type %s",
                          lmgrad_number_text(L, (lua_Number)length),
                          lmgrad_number_text(L, (lua_Number)f.left),
                          lmgrad_number_text(L, (lua_Number)numel), type->name);
    }
    fill(&f, (const unsigned char *)bytes, length);
  }
  return 1;
}

static int packed(const mgrad_array *a) {
  int64_t stride = 1;
  for (int d = a->ndim - 1; d >= 0; d--) {
    if (a->size[d] > 1 && a->stride[d] != stride) return 0;
    stride *= a->size[d];
  }
  return 1;
}

/* t:to_string([type [, first, count]]): all numbers, or 'count' from the first-th on */
static int tensor_to_string(lua_State *L) {
  mgrad_array shape;
  lua_settop(L, 4);
  const struct raw_type *type = check_raw(L, 2, "to_string");
  shape = *mgrad_tensor_array(lmgrad_check_tensor(L, 1, "to_string", "self"));
  int64_t n = mgrad_tensor_numel(lmgrad_check_tensor(L, 1, "to_string", "self"));
  int64_t first = lua_isnil(L, 3) ? 1 : lmgrad_integer(L, 3, "to_string", "first", 1, n);
  int64_t most = n - first + 1;
  int64_t count = lua_isnil(L, 4) ? most : lmgrad_integer(L, 4, "to_string", "count", 1, most);
  const mgrad_real *from = packed(&shape) ? NULL : read_all(L, "to_string", &shape);
  unsigned char *bytes = scratch(L, count, type->size);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "to_string", "self");
  from = (from != NULL ? from : mgrad_tensor_array(t)->data) + first - 1;
  size_t size = type->size, total = (size_t)count * size;
  if (as_they_are(type)) memcpy(bytes, from, total);
  else for (int64_t i = 0; i < count; i++) {
    unsigned char *to = bytes + (size_t)i * size;
    uint64_t bits = encode(type, (double)from[i]);
    for (size_t k = 0; k < size; k++) to[k] = (unsigned char)(bits >> 8 * k);
  }
  lua_pushlstring(L, (const char *)bytes, total);
  return 1;
}

/* crc32(crc, bytes [, first [, last]]): of what the number was of, followed by these bytes,
** from 1 */
static int crc(lua_State *L) {
  uint32_t before = (uint32_t)lmgrad_integer(L, 1, "crc32", "crc", 0, UINT32_MAX);
  if (lua_type(L, 2) != LUA_TSTRING) lmgrad_type_error(L, 2, "crc32", "bytes", "a string");
  size_t length;
  const char *bytes = lua_tolstring(L, 2, &length);
  int64_t first = 1, last = (int64_t)length;
  if (!lua_isnoneornil(L, 4)) last = lmgrad_integer(L, 4, "crc32", "last", 0, last);
  if (!lua_isnoneornil(L, 3)) first = lmgrad_integer(L, 3, "crc32", "first", 1, last + 1);
  lua_pushnumber(L, (lua_Number)lmgrad_crc32(before, (const unsigned char *)bytes + first - 1,
                                             (size_t)(last + 1 - first)));
  return 1;
}

/* ---- the module ---- */

static const lmgrad_function functions[] = {
  { "tensor", tensor_tensor }, { "to_tensor", tensor_to_tensor }, { "from_string", tensor_from_string },
  { "crc32", crc }, { NULL, NULL }
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
