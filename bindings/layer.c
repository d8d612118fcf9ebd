/*
** layer.c - layers: built-in ones by descriptor, functions and classes of Lua.
**
** The table that belongs to a layer's userdata keeps what the core does not
** hold: the boxes of its children (by position or name), a class's own fields,
** and under the addresses below the function that runs and the class.
*/
#include "class.h"

#include <string.h>

const char lmgrad_class, lmgrad_made_by, lmgrad_forward;

enum { PATH_SIZE = 256 };

#define check_self(L, who) lmgrad_check_layer(L, 1, who, "self")

/* ---- calling Lua from a layer ---- */

typedef struct callback {
  mgrad_layer *layer;
  mgrad_tensor *x, *y;
} callback;

/* In protected mode: (callback) -> nothing; its y holds a new reference. */
static int call_function(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  callback *c = lua_touserdata(L, 1);
  const char *kind = mgrad_layer_kind(c->layer);
  lmgrad_push_layer(L, S, c->layer); /* 2 */
  lmgrad_getuser(L, 2);              /* 3 */
  lmgrad_rawgetp(L, 3, &lmgrad_forward); /* 4 */
  if (lua_isnil(L, 4)) return lmgrad_error(L, "%s: its function is gone", kind);
  lmgrad_rawgetp(L, 3, &lmgrad_class);
  int is_class = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (is_class) lua_pushvalue(L, 2); /* forward(self, x) */
  lmgrad_push_tensor(L, c->x);
  lua_call(L, 1 + is_class, 1);
  mgrad_tensor *y = lmgrad_test(L, -1, LMGRAD_TENSOR);
  if (y == NULL) return lmgrad_type_error(L, -1, kind, "the result of its function", "a tensor");
  c->y = mgrad_tensor_retain(y);
  return 0;
}

static mgrad_status forward(void *ud, mgrad_layer *layer, mgrad_tensor *x, mgrad_tensor **y) {
  callback c = { layer, x, NULL };
  mgrad_status status = lmgrad_call(ud, LMGRAD_CALL_LAYER, &c);
  if (status == MGRAD_OK) *y = c.y;
  return status;
}

/* ---- making ---- */

void lmgrad_adopt(lua_State *L, mgrad_layer *l) {
  lua_newtable(L);
  lmgrad_setuser(L, -2);
  lmgrad_remember(L, l);
}

typedef struct layer_options {
  char name[MGRAD_NAME_SIZE + 1]; /* cut to what the core refuses as too long */
} layer_options;

static int other_option(lua_State *L, void *ud, const char *key) {
  if (lmgrad_test(L, -1, LMGRAD_TENSOR) != NULL) return 1; /* give_params takes it */
  if (strcmp(key, "name") != 0) return 0;
  if (lua_type(L, -1) != LUA_TSTRING) lmgrad_type_error(L, -1, "layer", "name", "a string");
  layer_options *options = ud;
  strncpy(options->name, lua_tostring(L, -1), sizeof options->name - 1);
  return 1;
}

/* Tensors among the options in the table at 'options' are parameters of the layer at the
** top. */
static void give_params(lua_State *L, lmgrad_state *S, int options) {
  int layer = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, options) != 0) {
    mgrad_tensor *t = lmgrad_test(L, -1, LMGRAD_TENSOR);
    mgrad_layer *l = lmgrad_check_layer(L, layer, "layer", "self");
    if (t != NULL && lua_type(L, -2) == LUA_TSTRING) {
      LMGRAD_TRY(L, S, mgrad_layer_set_param(l, lua_tostring(L, -2), t));
    }
    lua_pop(L, 1);
  }
}

/* upvalues: the state, the signature */
static int layer_new(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  const lmgrad_signature *s = lua_touserdata(L, lua_upvalueindex(2));
  mgrad_attrs attrs;
  layer_options options = { "" };
  int table = lua_gettop(L);
  if (table > 0 && lua_type(L, table) != LUA_TTABLE) table = 0;
  lmgrad_arguments(L, S, s, 1, NULL, &attrs, other_option, &options);
  mgrad_layer **out = lmgrad_box_layer(L);
  LMGRAD_TRY(L, S, mgrad_layer_new(S->ctx, s->def, &attrs, out));
  lmgrad_adopt(L, *out);
  if (options.name[0] != '\0') LMGRAD_TRY(L, S, mgrad_layer_set_name(*out, options.name));
  if (table != 0) give_params(L, S, table);
  return 1;
}

/* custom(kind, function, class or nil, pure [, made by]) -> layer */
static int layer_custom(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 5);
  if (lua_type(L, 1) != LUA_TSTRING) lmgrad_type_error(L, 1, "custom", "kind", "a string");
  const char *kind = lua_tostring(L, 1);
  if (lua_type(L, 2) != LUA_TFUNCTION) {
    return lmgrad_type_error(L, 2, kind, "its forward", "a function");
  }
  mgrad_layer **out = lmgrad_box_layer(L);
  LMGRAD_TRY(L, S, mgrad_layer_custom(S->ctx, kind, forward, S, out));
  mgrad_layer_set_pure(*out, lua_toboolean(L, 4));
  lmgrad_adopt(L, *out);
  lmgrad_getuser(L, -1);
  lua_pushvalue(L, 2);
  lmgrad_rawsetp(L, -2, &lmgrad_forward);
  if (!lua_isnil(L, 3)) {
    lua_pushvalue(L, 3);
    lmgrad_rawsetp(L, -2, &lmgrad_class);
  }
  lua_pushvalue(L, 5);
  lmgrad_rawsetp(L, -2, &lmgrad_made_by);
  lua_pop(L, 1);
  return 1;
}

/* The position of a part by its name, from 1. */
static int part_position(const mgrad_layer *l, const char *name) {
  int k = 0, n = mgrad_layer_part_count(l);
  while (k < n && strcmp(mgrad_layer_part(l, k).name, name) != 0) k++;
  return k + 1;
}

/* l:add(child [, name]): a layer at the end of a container, or in the place of
** the one of that name */
static int layer_add(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3) && lua_type(L, 3) != LUA_TSTRING) {
    return lmgrad_type_error(L, 3, "add", "name", "a string");
  }
  const char *name = lua_tostring(L, 3);
  mgrad_layer *l = check_self(L, "add"), *child = lmgrad_check_layer(L, 2, "add", "layer");
  lmgrad_getuser(L, 1);
  LMGRAD_TRY(L, S, mgrad_layer_add(l, name, child));
  int k = name != NULL ? part_position(l, name) : mgrad_layer_part_count(l);
  lua_pushvalue(L, 2);
  lua_rawseti(L, 4, k);
  lua_settop(L, 1);
  return 1;
}

static mgrad_status build(lua_State *L, lmgrad_state *S, mgrad_layer *l, int n,
                          const int64_t *size) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = n < 0 ? mgrad_layer_join(l) : mgrad_layer_build(l, n, size);
  lmgrad_leave(S, before);
  return status;
}

/* l:build(n, ..): parameters for inputs of this shape, batch first; without
** sizes only moves those there are into one block */
static int layer_build(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_layer *l = check_self(L, "build");
  int64_t size[MGRAD_MAX_DIMS];
  int n = lua_gettop(L) < 2 ? -1 : lmgrad_sizes(L, 2, "build", size);
  LMGRAD_TRY(L, S, build(L, S, l, n, size));
  lua_settop(L, 1);
  return 1;
}

/* ---- calling ---- */

typedef mgrad_status (*pass)(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y);

static mgrad_status run(lua_State *L, lmgrad_state *S, pass f, mgrad_layer *l,
                        mgrad_tensor *x, mgrad_tensor **y) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = f(l, x, y);
  lmgrad_leave(S, before);
  return status;
}

static int call(lua_State *L, const char *who, pass f) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 2);
  mgrad_layer *l = check_self(L, who);
  mgrad_tensor *x = lmgrad_test(L, 2, LMGRAD_TENSOR);
  if (x == NULL) {
    lmgrad_push_text(L, mgrad_layer_kind(l));
    lmgrad_to_tensor(L, S, 2, lua_tostring(L, 3), "input");
    lua_settop(L, 2);
  }
  mgrad_tensor **out = lmgrad_box_tensor(L), *y = NULL;
  l = check_self(L, who);
  x = lmgrad_check_tensor(L, 2, who, "input");
  LMGRAD_TRY(L, S, run(L, S, f, l, x, &y));
  *out = y;
  lua_settop(L, 3); /* callbacks may have left nothing, but be sure */
  return 1;
}

/* ---- further inputs and results ---- */

typedef mgrad_status (*pass_with)(mgrad_layer *l, mgrad_tensor *x, const mgrad_named *in,
                                  int n, mgrad_tensor **y, mgrad_tensor **out);

/* The table of further inputs at 3 as names and tensors in turn at the top; returns how
** many. 'kind' is what errors call the layer at 1. */
static int push_further(lua_State *L, lmgrad_state *S, const char *kind) {
  int n = 0;
  if (lua_isnil(L, 3)) return 0;
  if (lua_type(L, 3) != LUA_TTABLE) {
    lmgrad_type_error(L, 3, kind, "what follows its input", "a table of tensors by name");
  }
  lua_pushnil(L);
  for (; lua_next(L, 3) != 0; n++) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lmgrad_type_error(L, -2, kind, "the name of a further input", "a string");
    }
    const char *name = lua_tostring(L, -2);
    LMGRAD_TRY(L, S, mgrad_layer_takes(check_self(L, kind), name));
    if (n == MGRAD_MAX_FURTHER) lmgrad_error(L, "%s: its table has changed meanwhile", kind);
    lmgrad_to_tensor(L, S, lua_gettop(L), kind, name);
    lua_pushvalue(L, -2);
  }
  return n;
}

static mgrad_status run_with(lua_State *L, lmgrad_state *S, pass_with f, mgrad_layer *l,
                             mgrad_tensor *x, const mgrad_named *in, int n,
                             mgrad_tensor **results) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = f(l, x, in, n, &results[0], &results[1]);
  lmgrad_leave(S, before);
  return status;
}

/* l(x [, further]) -> y and the further results, nil for one that it has not given */
static int call_with(lua_State *L, const char *who, pass_with f) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  lmgrad_push_text(L, mgrad_layer_kind(check_self(L, who)));
  const char *kind = lua_tostring(L, 4);
  lmgrad_to_tensor(L, S, 2, kind, "input");
  int n = push_further(L, S, kind), results = 1 + mgrad_layer_outputs(check_self(L, who));
  mgrad_tensor **box[1 + MGRAD_MAX_FURTHER], *result[1 + MGRAD_MAX_FURTHER] = { NULL };
  mgrad_named in[MGRAD_MAX_FURTHER];
  int at = lua_gettop(L) + 1;
  luaL_checkstack(L, 1 + MGRAD_MAX_FURTHER, who);
  for (int k = 0; k < results; k++) box[k] = lmgrad_box_tensor(L);
  for (int k = 0; k < n; k++) {
    in[k].name = lua_tostring(L, 5 + 2 * k);
    in[k].tensor = lmgrad_check_tensor(L, 6 + 2 * k, kind, in[k].name);
  }
  mgrad_layer *l = check_self(L, who);
  mgrad_tensor *x = lmgrad_check_tensor(L, 2, who, "input");
  LMGRAD_TRY(L, S, run_with(L, S, f, l, x, in, n, result));
  for (int k = 0; k < results; k++) *box[k] = result[k]; /* before anything may raise */
  lua_settop(L, at + results - 1);
  for (int k = 0; k < results; k++) {
    if (result[k] == NULL) lua_pushnil(L), lua_replace(L, at + k);
  }
  return results;
}

/* ---- the methods that call ---- */

/* l(x [, further]) */
static int layer_call(lua_State *L) {
  int plain = lua_isnoneornil(L, 3) && mgrad_layer_outputs(check_self(L, "call")) == 0;
  return plain ? call(L, "call", mgrad_layer_forward)
               : call_with(L, "call", mgrad_layer_forward_with);
}

static mgrad_status predict_into(lua_State *L, lmgrad_state *S, mgrad_layer *l,
                                 mgrad_tensor *x, mgrad_tensor *out) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = mgrad_layer_predict_into(l, x, out);
  lmgrad_leave(S, before);
  return status;
}

/* l:predict(x [, out]) -> the result, a new tensor or out; l:predict(x, further) -> the
** result and the further ones */
static int layer_predict(lua_State *L) {
  if (lua_isnoneornil(L, 3)) return call(L, "predict", mgrad_layer_predict);
  if (lua_type(L, 3) == LUA_TTABLE) return call_with(L, "predict", mgrad_layer_predict_with);
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  lmgrad_to_tensor(L, S, 2, "predict", "input");
  mgrad_tensor *out = lmgrad_check_tensor(L, 3, "predict", "out");
  mgrad_tensor *x = lmgrad_check_tensor(L, 2, "predict", "input");
  mgrad_layer *l = check_self(L, "predict");
  LMGRAD_CHANGE(L, S, predict_into(L, S, l, x, out));
  return 1;
}

/* ---- tensors ---- */

typedef struct entry {
  mgrad_tensor **box;
  int buffer;
  char name[PATH_SIZE];
} entry;

typedef struct entries {
  entry *list; /* NULL while counting */
  int n, room;
} entries;

static mgrad_status list_entry(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  entries *e = ud;
  if (e->list != NULL) {
    if (e->n == e->room) return MGRAD_OK; /* a finalizer has added it meanwhile */
    entry *to = &e->list[e->n];
    *to->box = mgrad_tensor_retain(t);
    to->buffer = buffer;
    size_t n = strlen(name);
    if (n >= PATH_SIZE) n = PATH_SIZE - 1;
    memcpy(to->name, name, n);
    to->name[n] = '\0';
  }
  e->n++;
  return MGRAD_OK;
}

/* All tensors below the layer at 1: a table of their boxes is left at the top,
** their names in memory of Lua below it. Nothing that could raise runs while the
** core visits. */
static entries list_tensors(lua_State *L, const char *who) {
  entries e = { NULL, 0, 0 };
  mgrad_layer_visit(check_self(L, who), list_entry, &e); /* counting cannot fail */
  e.room = e.n;
  e.list = lmgrad_room(L, (size_t)(e.room + 1) * sizeof *e.list);
  lua_createtable(L, e.room, 0);
  for (int k = 0; k < e.room; k++) {
    e.list[k].box = lmgrad_box_tensor(L);
    lua_rawseti(L, -2, k + 1);
  }
  e.n = 0;
  mgrad_layer_visit(check_self(L, who), list_entry, &e);
  return e;
}

/* tensors(buffers): list of {name=, tensor=, buffer=}; parameters, or all */
static int layer_parameters(lua_State *L) {
  int all = lua_toboolean(L, 2), k = 0;
  entries e = list_tensors(L, "parameters");
  int boxes = lua_gettop(L);
  lua_newtable(L);
  for (int i = 0; i < e.n; i++) {
    if (e.list[i].buffer && !all) continue;
    lua_createtable(L, 0, 2);
    lua_pushstring(L, e.list[i].name);
    lua_setfield(L, -2, "name");
    lua_rawgeti(L, boxes, i + 1);
    lua_setfield(L, -2, "tensor");
    if (e.list[i].buffer) {
      lua_pushboolean(L, 1);
      lua_setfield(L, -2, "buffer");
    }
    lua_rawseti(L, -2, ++k);
  }
  return 1;
}

static int layer_named(lua_State *L) {
  entries e = list_tensors(L, "named");
  int boxes = lua_gettop(L);
  lua_newtable(L);
  for (int i = 0; i < e.n; i++) {
    lua_rawgeti(L, boxes, i + 1);
    lua_setfield(L, -2, e.list[i].name);
  }
  return 1;
}

static mgrad_status count_numbers(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name;
  if (!buffer) *(int64_t *)ud += mgrad_tensor_numel(t);
  return MGRAD_OK;
}

static int layer_num_parameters(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  int64_t n = 0;
  LMGRAD_TRY(L, S, mgrad_layer_visit(check_self(L, "num_parameters"), count_numbers, &n));
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static mgrad_status zero_grad(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)ud, (void)name, (void)buffer;
  mgrad_tensor_zero_grad(t);
  return MGRAD_OK;
}

static int layer_zero_grad(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  LMGRAD_TRY(L, S, mgrad_layer_visit(check_self(L, "zero_grad"), zero_grad, NULL));
  lua_settop(L, 1);
  return 1;
}

/* 16 hexadecimal digits: no Lua before 5.3 holds 64 bits in a number */
static int layer_hash(lua_State *L) {
  uint64_t h = mgrad_layer_hash(check_self(L, "hash"));
  char digits[16];
  for (int k = 15; k >= 0; k--, h >>= 4) digits[k] = "0123456789abcdef"[h & 15];
  lua_pushlstring(L, digits, sizeof digits);
  return 1;
}

/* ---- settings and what a layer is ---- */

/* The boolean that may follow the layer: true where it is left out. */
static int switch_of(lua_State *L, const char *who) {
  if (lua_isnoneornil(L, 2)) return 1;
  if (lua_type(L, 2) != LUA_TBOOLEAN) lmgrad_type_error(L, 2, who, "on", "true or false");
  return lua_toboolean(L, 2);
}

/* train([on]), eval(), freeze([on]), unfreeze() return the layer */
static int set_training(lua_State *L, const char *who, int on) {
  mgrad_layer_train(check_self(L, who), on);
  lua_settop(L, 1);
  return 1;
}

static int layer_train(lua_State *L) { return set_training(L, "train", switch_of(L, "train")); }
static int layer_eval(lua_State *L) { return set_training(L, "eval", 0); }

static int set_frozen(lua_State *L, const char *who, int on) {
  mgrad_layer_freeze(check_self(L, who), on);
  lua_settop(L, 1);
  return 1;
}

static int layer_freeze(lua_State *L) { return set_frozen(L, "freeze", switch_of(L, "freeze")); }
static int layer_unfreeze(lua_State *L) { return set_frozen(L, "unfreeze", 0); }

typedef int (*size_of)(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]);

static void set_size(lua_State *L, const char *key, size_of f) {
  int64_t size[MGRAD_MAX_DIMS];
  int n = f(check_self(L, "describe"), size);
  if (n <= 0) return;
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    lua_pushinteger(L, (lua_Integer)size[k]);
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, key);
}

/* describe() -> {kind=, name=, training=, input={..}, what it was first called with, and
** output={..}, of the last call; or nil before,
** parts={{name=, layer= or tensor=, buffer=}, ..}} */
static int layer_describe(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 1);
  lua_createtable(L, 0, 6);
  lmgrad_push_text(L, mgrad_layer_kind(check_self(L, "describe")));
  lua_setfield(L, -2, "kind");
  if (mgrad_layer_name(check_self(L, "describe"))[0] != '\0') {
    lmgrad_push_text(L, mgrad_layer_name(check_self(L, "describe")));
    lua_setfield(L, -2, "name");
  }
  lua_pushboolean(L, mgrad_layer_training(check_self(L, "describe")));
  lua_setfield(L, -2, "training");
  set_size(L, "input", mgrad_layer_input_size);
  set_size(L, "output", mgrad_layer_output);
  lua_newtable(L);
  for (int k = 0; k < mgrad_layer_part_count(check_self(L, "describe")); k++) {
    lua_createtable(L, 0, 2);
    mgrad_tensor **out = lmgrad_box_tensor(L);
    mgrad_part part = mgrad_layer_part(check_self(L, "describe"), k);
    if (part.name == NULL) break; /* a finalizer has taken it out */
    if (part.tensor != NULL) *out = mgrad_tensor_retain(part.tensor);
    else lmgrad_push_layer(L, S, part.layer);
    lua_setfield(L, 4, part.layer != NULL ? "layer" : "tensor");
    lua_settop(L, 4);
    part = mgrad_layer_part(check_self(L, "describe"), k);
    lua_pushboolean(L, part.buffer);
    lua_setfield(L, 4, "buffer");
    lmgrad_push_text(L, part.name != NULL ? part.name : "");
    lua_setfield(L, 4, "name");
    lua_rawseti(L, 3, k + 1);
  }
  lua_settop(L, 3);
  lua_setfield(L, -2, "parts");
  return 1;
}

/* ---- the module ---- */

static int layer_eq(lua_State *L) {
  mgrad_layer *a = lmgrad_test(L, 1, LMGRAD_LAYER), *b = lmgrad_test(L, 2, LMGRAD_LAYER);
  lua_pushboolean(L, a == b);
  return 1;
}

/* init(name, tensor): fills it in place */
static int init_fill(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  const mgrad_attr_spec spec = { .name = "name", .type = MGRAD_ATTR_INIT };
  mgrad_attrs attrs;
  lmgrad_attribute(L, 1, "init", &spec, &attrs, 0);
  mgrad_tensor *t = lmgrad_check_tensor(L, 2, "init", "tensor");
  LMGRAD_TRY(L, S, mgrad_init_fill((int)attrs.value[0], t));
  lua_settop(L, 2);
  return 1;
}

static const lmgrad_function functions[] = {
  { "custom", layer_custom }, { "init", init_fill }, { NULL, NULL }
};

static const lmgrad_function methods[] = {
  { "add", layer_add }, { "build", layer_build }, { "predict", layer_predict },
  { "parameters", layer_parameters }, { "named", layer_named },
  { "num_parameters", layer_num_parameters }, { "zero_grad", layer_zero_grad },
  { "hash", layer_hash }, { "train", layer_train }, { "eval", layer_eval },
  { "freeze", layer_freeze }, { "unfreeze", layer_unfreeze }, { "describe", layer_describe },
  { "clone", lmgrad_layer_clone }, { NULL, NULL }
};

static const lmgrad_function metamethods[] = {
  { "__call", layer_call }, { "__eq", layer_eq }, { NULL, NULL }
};

/* Adds f, with the state and the value at the top but one, to the table there. */
static void set_with_methods(lua_State *L, int state, const char *event, lua_CFunction f,
                             int methods_index) {
  lua_pushvalue(L, state);
  lua_pushvalue(L, methods_index);
  lua_pushcclosure(L, f, 2);
  lua_setfield(L, -2, event);
}

void lmgrad_open_layer(lua_State *L, int state) {
  lmgrad_callback_set(L, state, LMGRAD_CALL_LAYER, call_function);
  lmgrad_register(L, state, functions);
  lua_newtable(L); /* constructors by name */
  for (int k = 0; k < mgrad_layer_def_count(); k++) {
    mgrad_layer_info info;
    mgrad_layer_describe(mgrad_layer_def_at(k), &info);
    lua_pushvalue(L, state);
    lmgrad_signature *s = lua_newuserdata(L, sizeof *s);
    lmgrad_signature_make(s, info.name, mgrad_layer_def_at(k), "", NULL, info.attrs);
    lua_pushcclosure(L, layer_new, 2);
    lua_setfield(L, -2, info.name);
  }
  lua_setfield(L, -2, "layers");
  lmgrad_metatable(L, state, LMGRAD_LAYER); /* metatable, methods */
  lmgrad_register(L, state, methods);
  int at = lua_gettop(L);
  lua_pushvalue(L, -2);
  lmgrad_register(L, state, metamethods);
  set_with_methods(L, state, "__index", lmgrad_layer_index, at);
  set_with_methods(L, state, "__newindex", lmgrad_layer_newindex, at);
  lua_pop(L, 1);
  lua_setfield(L, -3, "layer_methods");
  lua_pop(L, 1);
}
