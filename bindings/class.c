/*
** class.c - what a layer is to Lua besides the core's: fields, those of its class, and
** copies that have them too.
*/
#include "class.h"

#include <string.h>

#define check_self(L, who) lmgrad_check_layer(L, 1, who, "self")

/* ---- fields of classes ---- */

int lmgrad_layer_index(lua_State *L) {
  lua_settop(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    if (!lua_isnil(L, 3)) return 1;
    lua_settop(L, 2);
  }
  check_self(L, "index");
  lmgrad_getuser(L, 1);
  lua_pushvalue(L, 2);
  lua_rawget(L, 3);
  if (!lua_isnil(L, -1)) return 1;
  lmgrad_rawgetp(L, 3, &lmgrad_class);
  if (!lua_isnil(L, -1)) {
    lua_pushvalue(L, 2);
    lua_gettable(L, -2);
  }
  return 1;
}

/* Takes a part out again where its field gets another value. */
static void remove_part(lua_State *L, lmgrad_state *S, mgrad_layer *l, const char *name) {
  for (int k = 0; k < mgrad_layer_part_count(l); k++) {
    if (strcmp(mgrad_layer_part(l, k).name, name) != 0) continue;
    LMGRAD_TRY(L, S, mgrad_layer_remove(l, name));
    return;
  }
}

int lmgrad_layer_newindex(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  mgrad_layer *l = check_self(L, "assignment");
  lmgrad_getuser(L, 1); /* 4 */
  lmgrad_rawgetp(L, 4, &lmgrad_class);
  lmgrad_push_text(L, mgrad_layer_kind(l)); /* 6: for error sentences */
  const char *kind = lua_tostring(L, 6);
  if (lua_isnil(L, 5) || lua_type(L, 2) != LUA_TSTRING) {
    return lmgrad_error(L, "%s: cannot set \"%s\"; only classes made by module have fields",
                      kind,
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
  }
  const char *name = lua_tostring(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (!lua_isnil(L, -1)) {
    return lmgrad_error(L, "%s: \"%s\" is a method of all layers", kind, name);
  }
  l = check_self(L, "assignment");
  mgrad_layer *child = lmgrad_test(L, 3, LMGRAD_LAYER);
  mgrad_tensor *t = lmgrad_test(L, 3, LMGRAD_TENSOR);
  if (child != NULL) LMGRAD_TRY(L, S, mgrad_layer_add(l, name, child));
  else if (t != NULL) LMGRAD_TRY(L, S, mgrad_layer_add_tensor(l, name, t));
  else remove_part(L, S, l, name);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, 4);
  return 0;
}

/* ---- copying ---- */

/* A part of the layer whose table is above it at index 'own'. */
static mgrad_part part_of(lua_State *L, int own, int k) {
  return mgrad_layer_part(lmgrad_check_layer(L, own - 1, "clone", "a layer"), k);
}

/* Gives the layers of a copied tree what the originals have in Lua; leaves the
** copy's box at the top. */
static void mirror(lua_State *L, lmgrad_state *S, mgrad_layer *from, mgrad_layer *to) {
  luaL_checkstack(L, 16, "clone");
  lmgrad_push_layer(L, S, from); /* first: a finalizer may take it out of its container */
  lmgrad_push_layer(L, S, to);
  lmgrad_getuser(L, -2);
  lua_insert(L, -2);  /* from, its table, to */
  int source = lua_gettop(L) - 1;
  lmgrad_getuser(L, -1);
  int target = lua_gettop(L);
  lua_pushnil(L);
  if (lua_next(L, target) != 0) { /* shared, and done already */
    lua_settop(L, target - 1);
    lua_insert(L, source - 1);
    lua_settop(L, source - 1);
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, source) != 0) { /* functions, class and plain fields */
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, target);
  }
  int container = mgrad_layer_definition(lmgrad_check_layer(L, target - 1, "clone", "copy"))
                  != NULL;
  for (int k = 0; part_of(L, target, k).name != NULL; k++) {
    mgrad_tensor **out = lmgrad_box_tensor(L);
    mgrad_part old = part_of(L, source, k), copy = part_of(L, target, k);
    if (copy.tensor != NULL) *out = mgrad_tensor_retain(copy.tensor);
    else if (old.layer != NULL) mirror(L, S, old.layer, copy.layer);
    if (container) lua_rawseti(L, target, k + 1);
    else lua_setfield(L, target, part_of(L, target, k).name);
    lua_settop(L, target);
  }
  lua_settop(L, target - 1);
  lua_insert(L, source - 1);
  lua_settop(L, source - 1);
}

int lmgrad_layer_clone(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 1);
  mgrad_layer **out = lmgrad_box_layer(L);
  mgrad_layer *l = check_self(L, "clone");
  LMGRAD_TRY(L, S, mgrad_layer_clone(l, out));
  lmgrad_adopt(L, *out);
  mirror(L, S, check_self(L, "clone"), *out);
  return 1;
}
