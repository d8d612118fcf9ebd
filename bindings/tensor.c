/*
** tensor.c - tensors: making, reading, writing, properties.
*/
#include "args.h"

#include <math.h>
#include <string.h>

/* ---- making ---- */

static int full(lua_State *L, const char *who, int last, double value) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int64_t size[MGRAD_MAX_DIMS];
  lua_settop(L, last);
  int n = lmgrad_sizes(L, 1, who, size);
  mgrad_tensor **out = lmgrad_box_tensor(L);
  LMGRAD_TRY_AS(L, S, who, mgrad_tensor_full(S->ctx, n, size, value, out));
  return 1;
}

static int tensor_zeros(lua_State *L) { return full(L, "zeros", lua_gettop(L), 0); }
static int tensor_ones(lua_State *L) { return full(L, "ones", lua_gettop(L), 1); }

/* full(sizes.., value) or full({sizes}, value) */
static int tensor_full(lua_State *L) {
  int last = lua_gettop(L) > 2 ? lua_gettop(L) : 2;
  return full(L, "full", last - 1, lmgrad_number(L, last, "full", "value"));
}

static int tensor_random(lua_State *L, const char *who, mgrad_random kind) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int64_t size[MGRAD_MAX_DIMS];
  int n = lmgrad_sizes(L, 1, who, size);
  mgrad_tensor **out = lmgrad_box_tensor(L);
  LMGRAD_TRY_AS(L, S, who, mgrad_tensor_random(S->ctx, kind, n, size, out));
  return 1;
}

static int tensor_rand(lua_State *L) { return tensor_random(L, "rand", MGRAD_UNIFORM); }
static int tensor_randn(lua_State *L) { return tensor_random(L, "randn", MGRAD_NORMAL); }

static int tensor_randperm(lua_State *L) {
  lmgrad_integer(L, 1, "randperm", "n", 1, LMGRAD_EXACT);
  return tensor_random(L, "randperm", MGRAD_PERMUTATION);
}

/* The numbers of a fresh packed tensor. */
static mgrad_real *data_of(mgrad_tensor *t) { return mgrad_tensor_array(t)->data; }

static int tensor_eye(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int64_t n = lmgrad_integer(L, 1, "eye", "n", 1, LMGRAD_EXACT), size[] = { n, n };
  mgrad_tensor **out = lmgrad_box_tensor(L);
  LMGRAD_TRY_AS(L, S, "eye", mgrad_tensor_full(S->ctx, 2, size, 0, out));
  for (int64_t i = 0; i < n; i++) data_of(*out)[i * n + i] = 1;
  return 1;
}

/* n numbers: first + i * step, the last exactly 'last' when it is given. */
static int range(lua_State *L, int64_t n, double first, double step, const double *last) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_tensor **out = lmgrad_box_tensor(L);
  LMGRAD_TRY(L, S, mgrad_tensor_new(S->ctx, 1, &n, out));
  for (int64_t i = 0; i < n; i++) data_of(*out)[i] = (mgrad_real)(first + (double)i * step);
  if (last != NULL) data_of(*out)[n - 1] = (mgrad_real)*last;
  return 1;
}

static int tensor_arange(lua_State *L) {
  double first = lmgrad_number(L, 1, "arange", "first");
  double last = lmgrad_number(L, 2, "arange", "last");
  double step = lua_isnoneornil(L, 3) ? 1 : lmgrad_number(L, 3, "arange", "step");
  double steps = floor((last - first) / step * (1 + 1e-12)); /* 0.1 .. 0.3 has three */
  if (!(steps >= 0 && steps < (double)LMGRAD_EXACT)) {
    return lmgrad_error(L, "arange: from %s to %s by %s, expected one number or more",
                      lmgrad_number_text(L, first), lmgrad_number_text(L, last),
                      lmgrad_number_text(L, step));
  }
  return range(L, (int64_t)steps + 1, first, step, NULL);
}

static int tensor_linspace(lua_State *L) {
  double first = lmgrad_number(L, 1, "linspace", "first");
  double last = lmgrad_number(L, 2, "linspace", "last");
  int64_t n = lmgrad_integer(L, 3, "linspace", "n", 1, LMGRAD_EXACT);
  return range(L, n, first, n > 1 ? (last - first) / (double)(n - 1) : 0,
               n > 1 ? &last : NULL);
}

/* ---- reading ---- */

/* Integers are pushed as integers where Lua knows them. */
static void push_integer(lua_State *L, int64_t v) { lua_pushinteger(L, (lua_Integer)v); }

static int tensor_size(lua_State *L) {
  const mgrad_array *a = mgrad_tensor_array(lmgrad_check_tensor(L, 1, "size", "self"));
  int64_t d = lmgrad_integer(L, 2, "size", "dimension", -MGRAD_MAX_DIMS, MGRAD_MAX_DIMS);
  int64_t k = d < 0 ? d + a->ndim : d - 1;
  if (k < 0 || k >= a->ndim) {
    return lmgrad_error(L, "size: dimension is %d, the tensor has %d", (int)d, a->ndim);
  }
  push_integer(L, a->size[k]);
  return 1;
}

static int tensor_len(lua_State *L) {
  const mgrad_array *a = mgrad_tensor_array(lmgrad_check_tensor(L, 1, "#", "tensor"));
  push_integer(L, a->ndim > 0 ? a->size[0] : 0);
  return 1;
}

static int tensor_dim(lua_State *L) {
  push_integer(L, mgrad_tensor_array(lmgrad_check_tensor(L, 1, "dim", "self"))->ndim);
  return 1;
}

static int tensor_numel(lua_State *L) {
  push_integer(L, mgrad_tensor_numel(lmgrad_check_tensor(L, 1, "numel", "self")));
  return 1;
}

static void push_shape(lua_State *L, const mgrad_tensor *t) {
  const mgrad_array a = *mgrad_tensor_array(t);
  lua_createtable(L, a.ndim, 0);
  for (int k = 0; k < a.ndim; k++) {
    push_integer(L, a.size[k]);
    lua_rawseti(L, -2, k + 1);
  }
}

static int tensor_item(lua_State *L) {
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "item", "self");
  if (mgrad_tensor_numel(t) != 1) {
    return lmgrad_error(L, "item: the tensor has %s numbers, expected 1",
                      lmgrad_number_text(L, (lua_Number)mgrad_tensor_numel(t)));
  }
  mgrad_real v;
  mgrad_tensor_read(t, &v);
  lua_pushnumber(L, (lua_Number)v);
  return 1;
}

/* ---- elements ---- */

/* A view of the tensor at 'i' with the first 'n' dimensions fixed at the indices
** in args 'first'..; the box is left at the top. */
static mgrad_tensor *select(lua_State *L, lmgrad_state *S, int i, int first, int n,
                            const char *who) {
  const mgrad_op *op = mgrad_op_find("select");
  for (int k = 0; k < n; k++) {
    mgrad_tensor **out = lmgrad_box_tensor(L);
    mgrad_tensor *t = lmgrad_check_tensor(L, i, who, "tensor");
    const mgrad_array *a = mgrad_tensor_array(t);
    if (a->ndim == 0) lmgrad_error(L, "%s: more indices than dimensions", who);
    mgrad_attrs at = { .value = { 1 } };
    at.value[1] = (double)lmgrad_integer(L, first + k, who, "index", -a->size[0], a->size[0]);
    if (at.value[1] == 0) {
      const char *last = lmgrad_number_text(L, (lua_Number)a->size[0]);
      lmgrad_error(L, "%s: index is 0, expected an integer from 1 to %s or -%s to -1", who, last,
                   last);
    }
    LMGRAD_TRY_AS(L, S, who, mgrad_apply(op, S->ctx, &t, 1, &at, out));
    i = lua_gettop(L);
  }
  return lmgrad_check_tensor(L, i, who, "tensor");
}

static int tensor_get(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "get", "self");
  int n = lua_gettop(L) - 1;
  luaL_checkstack(L, n + 4, "get");
  int ndim = mgrad_tensor_array(t)->ndim;
  if (n != ndim) return lmgrad_error(L, "get: %d indices, expected %d", n, ndim);
  mgrad_real v;
  mgrad_tensor_read(select(L, S, 1, 2, n, "get"), &v);
  lua_pushnumber(L, (lua_Number)v);
  return 1;
}

/* As select of the tensor at 1, by indices from 2 on, but of a handle that has no
** history: for changing numbers. */
static mgrad_tensor *select_plain(lua_State *L, lmgrad_state *S, int n, const char *who) {
  if (mgrad_tensor_requires_grad(lmgrad_check_tensor(L, 1, who, "tensor"))) {
    mgrad_tensor *part = select(L, S, 1, 2, n, who);
    if (!mgrad_tensor_requires_grad(part)) return part;
    lmgrad_error(L, "%s: the tensor records what is done with it for gradients; set its numbers"
                 " inside mg.no_grad, or those of t:detach()", who);
  }
  mgrad_tensor **out = lmgrad_box_tensor(L);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, who, "tensor");
  LMGRAD_TRY(L, S, mgrad_tensor_detach(t, out));
  return select(L, S, lua_gettop(L), 2, n, who);
}

/* Part of the tensor at 1, fixed at n indices from 2 on = value at index 'i': a
** number fills, a tensor or table is copied. */
static void assign(lua_State *L, lmgrad_state *S, int n, int i, const char *who) {
  if (lua_type(L, i) == LUA_TNUMBER) {
    mgrad_tensor *part = select_plain(L, S, n, who);
    LMGRAD_CHANGE(L, S, mgrad_tensor_fill(part, (double)lua_tonumber(L, i)));
  } else {
    lmgrad_to_tensor(L, S, i, who, "value");
    mgrad_tensor *part = select_plain(L, S, n, who);
    mgrad_tensor *src = lmgrad_check_tensor(L, i, who, "value");
    LMGRAD_CHANGE(L, S, mgrad_tensor_copy(part, src));
  }
}

static int tensor_set(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "set", "self");
  int value = lua_gettop(L), n = value - 2;
  if (n < (mgrad_tensor_array(t)->ndim > 0)) return lmgrad_error(L, "set: expected indices and a value");
  luaL_checkstack(L, n + 8, "set");
  assign(L, S, n, value, "set");
  lua_settop(L, 1);
  return 1;
}

static int tensor_fill(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "fill", "self");
  double v = lmgrad_number(L, 2, "fill", "value");
  LMGRAD_CHANGE(L, S, mgrad_tensor_fill(t, v));
  lua_settop(L, 1);
  return 1;
}

static int tensor_copy(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 2);
  mgrad_tensor *src = lmgrad_to_tensor(L, S, 2, "copy", "src");
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "copy", "self");
  LMGRAD_CHANGE(L, S, mgrad_tensor_copy(t, src));
  lua_settop(L, 1);
  return 1;
}

static int update(lua_State *L, const char *who, char operation) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 2);
  mgrad_tensor *src = lmgrad_to_tensor(L, S, 2, who, "operand");
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, who, "self");
  LMGRAD_CHANGE(L, S, mgrad_tensor_update(t, operation, src));
  lua_settop(L, 1);
  return 1;
}

static int tensor_add_(lua_State *L) { return update(L, "add_", '+'); }
static int tensor_sub_(lua_State *L) { return update(L, "sub_", '-'); }
static int tensor_mul_(lua_State *L) { return update(L, "mul_", '*'); }
static int tensor_div_(lua_State *L) { return update(L, "div_", '/'); }

static int tensor_detach(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 1);
  mgrad_tensor **out = lmgrad_box_tensor(L);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "detach", "self");
  LMGRAD_TRY(L, S, mgrad_tensor_detach(t, out));
  return 1;
}

/* ---- properties ---- */

static void push_grad(lua_State *L) {
  mgrad_tensor **out = lmgrad_box_tensor(L);
  mgrad_tensor *grad = mgrad_tensor_grad(lmgrad_check_tensor(L, 1, "index", "tensor"));
  if (grad != NULL) *out = mgrad_tensor_retain(grad);
  else lua_pushnil(L);
}

static int index_number(lua_State *L) {
  mgrad_tensor *part = select(L, LMGRAD_STATE(L), 1, 2, 1, "index");
  if (mgrad_tensor_array(part)->ndim > 0) return 1;
  mgrad_real v;
  mgrad_tensor_read(part, &v);
  lua_pushnumber(L, (lua_Number)v);
  return 1;
}

/* upvalue 2: the methods */
static int tensor_index(lua_State *L) {
  lua_settop(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    if (!lua_isnil(L, -1)) return 1;
    lua_pop(L, 1);
  }
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "index", "tensor");
  if (lua_type(L, 2) == LUA_TNUMBER) return index_number(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "shape") == 0) push_shape(L, t);
  else if (strcmp(key, "grad") == 0) push_grad(L);
  else if (strcmp(key, "requires_grad") == 0) lua_pushboolean(L, mgrad_tensor_requires_grad(t));
  else lua_pushnil(L);
  return 1;
}

static int tensor_newindex(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, "assignment", "tensor");
  if (lua_type(L, 2) == LUA_TNUMBER) {
    assign(L, S, 1, 3, "assignment");
    return 0;
  }
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  if (strcmp(key, "grad") == 0) {
    mgrad_tensor *grad = lua_isnil(L, 3) ? NULL : lmgrad_check_tensor(L, 3, "grad", "value");
    LMGRAD_TRY(L, S, mgrad_tensor_set_grad(t, grad));
  } else if (strcmp(key, "requires_grad") == 0) {
    lmgrad_set_requires_grad(L, S, t, 3, "requires_grad");
  } else {
    return lmgrad_error(L, "tensor: cannot set \"%s\", expected grad, requires_grad or an index",
                      key);
  }
  return 0;
}

static int tensor_eq(lua_State *L) {
  mgrad_tensor *a = lmgrad_test(L, 1, LMGRAD_TENSOR), *b = lmgrad_test(L, 2, LMGRAD_TENSOR);
  lua_pushboolean(L, a == b);
  return 1;
}

/* ---- gradients ---- */

static int retain_option(lua_State *L, int i, const char *who) {
  if (lua_isnoneornil(L, i)) return 0;
  lmgrad_known_option(L, i, who, "retain");
  lua_getfield(L, i, "retain");
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TBOOLEAN) {
    lmgrad_type_error(L, -1, who, "retain", "true or false");
  }
  int retain = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return retain;
}

static int tensor_backward(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int retain = retain_option(L, 2, "backward");
  mgrad_tensor *loss = lmgrad_check_tensor(L, 1, "backward", "loss");
  LMGRAD_TRY(L, S, mgrad_backward(loss, retain));
  return 0;
}

/* grad(loss, {tensors} [, {retain=true}]) -> table with a gradient for each */
static int tensor_gradients(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  lmgrad_check_tensor(L, 1, "grad", "loss");
  int retain = retain_option(L, 3, "grad");
  if (lmgrad_test(L, 2, LMGRAD_TENSOR) != NULL) { /* a single one */
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
    lua_replace(L, 2);
  }
  int n = lmgrad_own_list(L, 2, "grad", "the list of tensors");
  mgrad_tensor **of = lmgrad_room(L, (size_t)(2 * n + 1) * sizeof *of), **out = of + n;
  lua_createtable(L, n, 0);
  for (int k = 1; k <= n; k++) {
    lmgrad_box_tensor(L);
    lua_rawseti(L, -2, k);
  }
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, 2, k + 1);
    of[k] = lmgrad_check_element(L, LMGRAD_TENSOR, "grad", k + 1);
    lua_pop(L, 1);
  }
  mgrad_tensor *loss = lmgrad_check_tensor(L, 1, "grad", "loss");
  LMGRAD_TRY(L, S, mgrad_gradients(loss, of, n, retain, out));
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, -1, k + 1);
    lmgrad_fill(L, -1, out[k]);
    lua_pop(L, 1);
  }
  return 1;
}

/* ---- the module ---- */

static const lmgrad_function functions[] = {
  { "zeros", tensor_zeros }, { "ones", tensor_ones },
  { "full", tensor_full }, { "eye", tensor_eye }, { "arange", tensor_arange },
  { "linspace", tensor_linspace }, { "rand", tensor_rand }, { "randn", tensor_randn },
  { "randperm", tensor_randperm }, { "grad", tensor_gradients }, { NULL, NULL }
};

static const lmgrad_function methods[] = {
  { "size", tensor_size }, { "dim", tensor_dim },
  { "numel", tensor_numel }, { "item", tensor_item },
  { "get", tensor_get }, { "set", tensor_set }, { "fill", tensor_fill },
  { "copy", tensor_copy }, { "add_", tensor_add_ }, { "sub_", tensor_sub_ },
  { "mul_", tensor_mul_ }, { "div_", tensor_div_ }, { "detach", tensor_detach },
  { "backward", tensor_backward }, { NULL, NULL }
};

static const lmgrad_function metamethods[] = {
  { "__len", tensor_len }, { "__newindex", tensor_newindex }, { "__eq", tensor_eq },
  { NULL, NULL }
};

void lmgrad_open_tensor(lua_State *L, int state) {
  lmgrad_register(L, state, functions);
  lmgrad_metatable(L, state, LMGRAD_TENSOR); /* metatable, methods */
  lmgrad_register(L, state, methods);
  lua_insert(L, -2);
  lmgrad_register(L, state, metamethods);
  lua_pushvalue(L, state);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, tensor_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_setfield(L, -2, "tensor_methods");
}
