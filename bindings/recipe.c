/*
** recipe.c - how a layer was made, in words, and layers made so again: for nets that are
** kept in files.
*/
#include "class.h"

#include <string.h>

/* ---- attributes as what a constructor takes ---- */

static void push_word(lua_State *L, const char *choices, int k) {
  for (; k > 0; k--) choices += strcspn(choices, "|") + 1;
  lua_pushlstring(L, choices, strcspn(choices, "|"));
}

static void push_integers(lua_State *L, const int64_t *v, int n) {
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    lua_pushinteger(L, (lua_Integer)v[k]);
    lua_rawseti(L, -2, k + 1);
  }
}

static void push_pair(lua_State *L, const mgrad_attr_spec *spec, double v) {
  if (v < 0) push_word(L, spec->choices, (int)(-1 - v));
  else push_integers(L, (int64_t[]){ MGRAD_PAIR_AT(v, 2), MGRAD_PAIR_AT(v, 1) }, 2);
}

/* nil where an activation or initialiser is left out. */
static void push_attribute(lua_State *L, const mgrad_attr_spec *spec, const mgrad_attrs *attrs,
                           double v) {
  mgrad_op_info op;
  switch (spec->type) {
    case MGRAD_ATTR_REAL: lua_pushnumber(L, (lua_Number)v); break;
    case MGRAD_ATTR_BOOL: lua_pushboolean(L, v != 0); break;
    case MGRAD_ATTR_CHOICE: push_word(L, spec->choices, (int)v); break;
    case MGRAD_ATTR_PAIR: push_pair(L, spec, v); break;
    case MGRAD_ATTR_SIZES: push_integers(L, attrs->list, attrs->nlist); break;
    case MGRAD_ATTR_INIT: lua_pushstring(L, v < 0 ? NULL : mgrad_init_name((int)v)); break;
    case MGRAD_ATTR_ACT:
      if (v >= 0) mgrad_op_describe(mgrad_op_at((int)v), &op);
      lua_pushstring(L, v >= 0 ? op.name : NULL);
      break;
    default: lua_pushinteger(L, (lua_Integer)v); break;
  }
}

static void push_options(lua_State *L, const mgrad_layer_info *info, const mgrad_attrs *attrs) {
  lua_newtable(L);
  for (int k = 0; info->attrs[k].type != MGRAD_ATTR_NONE; k++) {
    push_attribute(L, &info->attrs[k], attrs, attrs->value[k]);
    lua_setfield(L, -2, info->attrs[k].name);
  }
}

/* ---- layers ---- */

static void set_flag(lua_State *L, const char *name, int on) {
  lua_pushboolean(L, on);
  lua_setfield(L, -2, name);
}

/* recipe(layer) -> {layer= and options=, where it is one of the core's, container=, name=,
** input=, what it was built for, training=, frozen=}, and the recipe and the function that
** custom was given */
static int layer_recipe(lua_State *L) {
  lua_settop(L, 1);
  lmgrad_check_layer(L, 1, "recipe", "layer");
  lua_createtable(L, 0, 8);
  mgrad_layer *l = lmgrad_check_layer(L, 1, "recipe", "layer");
  const mgrad_layer_def *def = mgrad_layer_definition(l);
  mgrad_attrs attrs;
  int64_t size[MGRAD_MAX_DIMS];
  int n = mgrad_layer_built(l, size), frozen = mgrad_layer_frozen(l);
  int training = mgrad_layer_training(l);
  char name[MGRAD_NAME_SIZE];
  memcpy(name, mgrad_layer_name(l), sizeof name);
  if (def != NULL) attrs = *mgrad_layer_attrs(l);
  /* from here on a finalizer may take l away */
  set_flag(L, "training", training);
  set_flag(L, "frozen", frozen);
  if (name[0] != '\0') lua_pushstring(L, name), lua_setfield(L, -2, "name");
  if (n >= 0) push_integers(L, size, n), lua_setfield(L, -2, "input");
  if (def != NULL) {
    mgrad_layer_info info;
    mgrad_layer_describe(def, &info);
    set_flag(L, "container", info.container);
    lua_pushstring(L, info.name);
    lua_setfield(L, -2, "layer");
    push_options(L, &info, &attrs);
    lua_setfield(L, -2, "options");
  }
  lmgrad_getuser(L, 1);
  lmgrad_rawgetp(L, -1, &lmgrad_made_by);
  lmgrad_rawgetp(L, -2, &lmgrad_forward);
  lua_remove(L, -3);
  return 3;
}

/* Gives the tensors in the table at 3 to the layer at 1, by their names. */
static void give(lua_State *L, lmgrad_state *S) {
  lua_pushnil(L);
  while (lua_next(L, 3) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lmgrad_type_error(L, -2, "restore", "the name of a tensor", "a string");
    }
    mgrad_tensor *t = lmgrad_check_tensor(L, -1, "restore", "a tensor");
    mgrad_layer *l = lmgrad_check_layer(L, 1, "restore", "layer");
    LMGRAD_TRY(L, S, mgrad_layer_set_param(l, lua_tostring(L, -2), t));
    lua_pop(L, 1);
  }
}

/* restore(layer, sizes, tensors): as it was built for an input of these sizes, of tensors
** by name, all of them */
static int layer_restore(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  if (lua_type(L, 2) != LUA_TTABLE) lmgrad_type_error(L, 2, "restore", "sizes", "a table");
  if (lua_type(L, 3) != LUA_TTABLE) lmgrad_type_error(L, 3, "restore", "tensors", "a table");
  give(L, S);
  int64_t size[MGRAD_MAX_DIMS];
  lua_pushvalue(L, 2);
  int n = lmgrad_sizes(L, lua_gettop(L), "restore", size);
  mgrad_layer *l = lmgrad_check_layer(L, 1, "restore", "layer");
  LMGRAD_TRY_AS(L, S, mgrad_layer_kind(l), mgrad_layer_restore(l, n, size));
  lua_settop(L, 1);
  return 1;
}

/* identity(tensor): the same light userdata for the same tensor, while it lives */
static int identity(lua_State *L) {
  lua_pushlightuserdata(L, lmgrad_check_tensor(L, 1, "identity", "tensor"));
  return 1;
}

static const lmgrad_function functions[] = {
  { "recipe", layer_recipe }, { "restore", layer_restore }, { "identity", identity },
  { NULL, NULL }
};

void lmgrad_open_recipe(lua_State *L, int state) { lmgrad_register(L, state, functions); }
