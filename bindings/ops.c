/*
** ops.c - every op of the core as a function and as a method of tensors, made
** in loops over its table; the operators of Lua; documentation as data.
*/
#include "args.h"

#include <string.h>

/* ---- calling an op ---- */

/* upvalues of an op's function: the state, its signature */
static const lmgrad_signature *signature(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(2));
}

/* The result goes into the box at index 'to', and to the top. */
static int apply(lua_State *L, lmgrad_state *S, const mgrad_op *op, mgrad_tensor **x, int n,
                 const mgrad_attrs *attrs, int to) {
  mgrad_tensor *y = NULL;
  LMGRAD_TRY(L, S, mgrad_apply(op, S->ctx, x, n, attrs, &y));
  lmgrad_fill(L, to, y);
  lua_settop(L, to);
  return 1;
}

/* Arguments from index 'first' on; a new box goes in front of them. */
static int call(lua_State *L, int first) {
  lmgrad_state *S = LMGRAD_STATE(L);
  const lmgrad_signature *s = signature(L);
  mgrad_tensor *x[LMGRAD_MAX_SLOTS];
  mgrad_attrs attrs;
  if (lua_type(L, first) == LUA_TNUMBER && lmgrad_test(L, first + 1, LMGRAD_TENSOR) == NULL) {
    return lmgrad_type_error(L, first, s->name, s->slots[0].name, "a tensor");
  }
  lmgrad_box_tensor(L);
  lua_insert(L, first);
  lmgrad_arguments(L, S, s, first + 1, x, &attrs, NULL, NULL);
  return apply(L, S, s->def, x, s->operands, &attrs, first);
}

static int op_call(lua_State *L) { return call(L, 1); }

/* An op of a list of tensors: f({a, b, ..}, attributes ..). */
static int op_call_list(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  const lmgrad_signature *s = signature(L);
  lua_settop(L, lua_gettop(L) > 0 ? lua_gettop(L) : 1);
  int n = lmgrad_own_list(L, 1, s->name, "list");
  lmgrad_box_tensor(L);
  mgrad_tensor **x = lmgrad_room(L, (size_t)(n + 1) * sizeof *x);
  lua_insert(L, 1); /* x, box, list, attributes */
  lua_insert(L, 2);
  lmgrad_signature attributes = *s; /* the list is taken here */
  attributes.operands = 0;
  attributes.nslots--;
  memmove(attributes.slots, attributes.slots + 1,
          (size_t)attributes.nslots * sizeof *attributes.slots);
  mgrad_attrs attrs;
  lmgrad_arguments(L, S, &attributes, 4, NULL, &attrs, NULL, NULL);
  for (int k = 0; k < n; k++) { /* all that is made first: making may close others */
    lua_rawgeti(L, 3, k + 1);
    int type = lua_type(L, -1);
    if (type == LUA_TNUMBER || type == LUA_TTABLE) {
      lmgrad_to_tensor(L, S, lua_gettop(L), s->name, "an element");
    }
    lua_rawseti(L, 3, k + 1);
  }
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, 3, k + 1);
    x[k] = lmgrad_check_element(L, LMGRAD_TENSOR, s->name, k + 1);
    lua_pop(L, 1);
  }
  return apply(L, S, s->def, x, n, &attrs, 2);
}

/* t:name_(..): the op's result is written over t. */
static int op_call_in_place(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  if (lua_gettop(L) == 0) lua_pushnil(L);
  lua_pushvalue(L, 1);
  lua_insert(L, 1);
  call(L, 2);
  mgrad_tensor *t = lmgrad_check_tensor(L, 1, signature(L)->name, "self");
  mgrad_tensor *y = lmgrad_check_tensor(L, 2, signature(L)->name, "result");
  LMGRAD_CHANGE(L, S, mgrad_tensor_copy(t, y));
  lua_settop(L, 1);
  return 1;
}

/* ---- documentation as data ---- */

static void set_string(lua_State *L, const char *key, const char *value) {
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void push_attrs(lua_State *L, const mgrad_attr_spec *specs) {
  static const char *const types[] = { "", "number", "integer", "boolean", "dimension",
                                       "choice", "activation", "initialiser", "sizes", "pair" };
  lua_newtable(L);
  for (int k = 0; specs[k].type != MGRAD_ATTR_NONE; k++) {
    lua_newtable(L);
    set_string(L, "name", specs[k].name);
    set_string(L, "type", types[specs[k].type]);
    set_string(L, "choices", specs[k].choices);
    set_string(L, "doc", specs[k].doc);
    if (specs[k].initial != MGRAD_REQUIRED) {
      lua_pushnumber(L, specs[k].type == MGRAD_ATTR_PAIR && specs[k].initial > 0
                        ? (lua_Number)MGRAD_PAIR_AT(specs[k].initial, 1) : specs[k].initial);
      lua_setfield(L, -2, "default");
    }
    if (specs[k].low != specs[k].high) {
      lua_pushnumber(L, specs[k].low);
      lua_setfield(L, -2, "low");
      lua_pushnumber(L, specs[k].high);
      lua_setfield(L, -2, "high");
    }
    lua_rawseti(L, -2, k + 1);
  }
}

static void set_attrs(lua_State *L, const char *key, const mgrad_attr_spec *specs) {
  push_attrs(L, specs);
  lua_setfield(L, -2, key);
}

static void push_op(lua_State *L, const mgrad_op_info *info) {
  lua_newtable(L);
  set_string(L, "name", info->name);
  set_string(L, "doc", info->doc);
  set_string(L, "operands", info->operands);
  set_string(L, "order", info->order);
  set_attrs(L, "attrs", info->attrs);
  const struct { const char *key; int value; } flags[] = {
    { "activation", info->activation }, { "loss", info->loss },
    { "differentiable", info->differentiable } };
  for (int k = 0; k < 3; k++) {
    lua_pushboolean(L, flags[k].value);
    lua_setfield(L, -2, flags[k].key);
  }
}

/* A list of {name=, doc=}, up to the first index without a name. */
static void set_words(lua_State *L, const char *key, const char *(*name)(int),
                      const char *(*doc)(int)) {
  lua_newtable(L);
  for (int k = 0; name(k) != NULL; k++) {
    lua_newtable(L);
    set_string(L, "name", name(k));
    set_string(L, "doc", doc(k));
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, key);
}

/* describe() -> { ops = {..}, layers = {..}, optimizers = {..}, inits = {..},
** metrics = {..} }: what the tables of the core say of themselves */
static int describe(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  for (int k = 0; k < mgrad_op_count(); k++) {
    mgrad_op_info info;
    mgrad_op_describe(mgrad_op_at(k), &info);
    push_op(L, &info);
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, "ops");
  lua_newtable(L);
  for (int k = 0; k < mgrad_layer_def_count(); k++) {
    mgrad_layer_info info;
    mgrad_layer_describe(mgrad_layer_def_at(k), &info);
    lua_newtable(L);
    set_string(L, "name", info.name);
    set_string(L, "doc", info.doc);
    set_attrs(L, "attrs", info.attrs);
    lua_pushboolean(L, info.container);
    lua_setfield(L, -2, "container");
    lua_pushstring(L, info.inputs);
    lua_setfield(L, -2, "inputs");
    lua_pushstring(L, info.outputs);
    lua_setfield(L, -2, "outputs");
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, "layers");
  lua_newtable(L);
  for (int k = 0; k < mgrad_optimizer_def_count(); k++) {
    mgrad_optimizer_info info;
    mgrad_optimizer_describe(mgrad_optimizer_def_at(k), &info);
    lua_newtable(L);
    set_string(L, "name", info.name);
    set_string(L, "doc", info.doc);
    set_attrs(L, "attrs", info.attrs);
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, "optimizers");
  set_attrs(L, "optimizer_common", mgrad_optimizer_common());
  set_words(L, "inits", mgrad_init_name, mgrad_init_doc);
  set_words(L, "metrics", mgrad_metric_name, mgrad_metric_doc);
  return 1;
}

/* ---- the module ---- */

/* Pushes f with the state and the signature at the top as upvalues. */
static void push_function(lua_State *L, int state, lua_CFunction f) {
  lua_pushvalue(L, state);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, f, 2);
}

/* Gives the table at index 'methods' a method, the function at the top, which is
** popped, unless it has one of that name (add_ and its like). */
static void add_method(lua_State *L, int methods, const char *name) {
  lua_getfield(L, methods, name);
  int there = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (there) lua_pop(L, 1);
  else lua_setfield(L, methods, name);
}

/* The op as a function and, but for lists, as a method; in place where its
** result has the shape of its operand. The signature is at the top. */
static void add_op(lua_State *L, int state, int module, int methods,
                   const lmgrad_signature *s, const mgrad_op_info *info) {
  int signature_at = lua_gettop(L);
  push_function(L, state, s->list ? op_call_list : op_call);
  lua_getfield(L, module, "ops");
  lua_insert(L, -2);
  lua_setfield(L, -2, info->name);
  lua_settop(L, signature_at);
  if (s->list) return;
  push_function(L, state, op_call);
  add_method(L, methods, info->name);
  if (!info->elementwise) return;
  char in_place[MGRAD_NAME_SIZE];
  size_t n = strlen(info->name);
  memcpy(in_place, info->name, n);
  memcpy(in_place + n, "_", 2);
  push_function(L, state, op_call_in_place);
  add_method(L, methods, in_place);
}

static const struct { const char *event, *op; } operators[] = {
  { "__add", "add" }, { "__sub", "sub" }, { "__mul", "mul" }, { "__div", "div" },
  { "__pow", "pow" }, { NULL, NULL }
};

/* Lua hands the operand of a unary operator over twice. */
static int op_negate(lua_State *L) {
  lua_settop(L, 1);
  return op_call(L);
}

void lmgrad_open_ops(lua_State *L, int state) {
  static const lmgrad_function functions[] = { { "describe", describe }, { NULL, NULL } };
  int module = lua_gettop(L), methods = module + 1, metatable = module + 2;
  lmgrad_register(L, state, functions);
  lua_newtable(L);
  lua_setfield(L, module, "ops");
  lua_getfield(L, module, "tensor_methods");
  luaL_getmetatable(L, "moongrad.tensor");
  for (int k = 0; k < mgrad_op_count(); k++) {
    mgrad_op_info info;
    mgrad_op_describe(mgrad_op_at(k), &info);
    lmgrad_signature *s = lua_newuserdata(L, sizeof *s);
    lmgrad_signature_make(s, info.name, mgrad_op_at(k), info.operands, info.order, info.attrs);
    add_op(L, state, module, methods, s, &info);
    for (int j = 0; operators[j].event != NULL; j++) {
      if (strcmp(operators[j].op, info.name) != 0) continue;
      push_function(L, state, op_call);
      lua_setfield(L, metatable, operators[j].event);
    }
    if (strcmp(info.name, "neg") == 0) {
      push_function(L, state, op_negate);
      lua_setfield(L, metatable, "__unm");
    }
    lua_settop(L, metatable);
  }
  lua_settop(L, module);
}
