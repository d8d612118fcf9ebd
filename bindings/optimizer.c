/*
** optimizer.c - optimizers by descriptor, used alone or by a trainer.
*/
#include "args.h"

#include <string.h>

static mgrad_optimizer *check_self(lua_State *L, const char *who) {
  return lmgrad_check(L, 1, LMGRAD_OPTIMIZER, who, "self");
}

/* ---- making ---- */

static const char *kind_of(const mgrad_optimizer *o) {
  mgrad_optimizer_info info;
  mgrad_optimizer_describe(mgrad_optimizer_definition(o), &info);
  return info.name;
}

typedef struct options {
  const char *name;
  mgrad_attrs common;
} options;

static int common_option(lua_State *L, void *ud, const char *key) {
  options *o = ud;
  const mgrad_attr_spec *specs = mgrad_optimizer_common();
  for (int k = 0; specs[k].type != MGRAD_ATTR_NONE; k++) {
    if (strcmp(specs[k].name, key) != 0) continue;
    lmgrad_attribute(L, lua_gettop(L), o->name, &specs[k], &o->common, k);
    return 1;
  }
  return 0;
}

/* upvalues: the state, the signature */
static int optimizer_new(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  const lmgrad_signature *s = lua_touserdata(L, lua_upvalueindex(2));
  mgrad_attrs attrs;
  options o = { .name = s->name };
  mgrad_attrs_default(mgrad_optimizer_common(), &o.common);
  lmgrad_arguments(L, S, s, 1, NULL, &attrs, common_option, &o);
  mgrad_optimizer **out = (mgrad_optimizer **)lmgrad_box(L, LMGRAD_OPTIMIZER);
  lua_newtable(L);
  int own = lua_gettop(L);
  lmgrad_anchor(L, S, own, own);
  lmgrad_setuser(L, -2);
  LMGRAD_TRY(L, S, mgrad_optimizer_new(S->ctx, s->def, &attrs, &o.common, out));
  return 1;
}

/* ---- functions ---- */

/* The reference that an optimizer's functions are called by leads to the table of its box
** and is as old as the box. A function is exchanged by one assignment, wherever finalizers
** come in between or memory ends. */
static lmgrad_ref *keep_function(lua_State *L, const char *key) {
  lua_settop(L, 2);
  lmgrad_getuser(L, 1);
  lua_pushvalue(L, 2);
  lua_setfield(L, 3, key);
  lua_rawgeti(L, 3, 1);
  lmgrad_ref *ref = lua_touserdata(L, 4);
  lua_settop(L, 1);
  return ref;
}

static void push_function(lua_State *L, const lmgrad_ref *ref, const char *key) {
  lmgrad_push_ref(L, ref);
  lua_getfield(L, -1, key);
}

/* ---- the learning rate ---- */

typedef struct lr_call {
  lmgrad_ref *ref;
  int64_t step;
  double lr;
} lr_call;

static int call_lr(lua_State *L) {
  lr_call *c = lua_touserdata(L, 1);
  push_function(L, c->ref, "schedule");
  lua_pushinteger(L, (lua_Integer)c->step);
  lua_call(L, 1, 1);
  if (lua_type(L, -1) != LUA_TNUMBER) {
    return lmgrad_type_error(L, -1, "lr", "the result of the schedule", "a number");
  }
  c->lr = (double)lua_tonumber(L, -1);
  return 0;
}

static mgrad_status schedule(void *ud, int64_t step, double *lr) {
  lr_call c = { ud, step, 0 };
  mgrad_status status = lmgrad_call(c.ref->S, LMGRAD_CALL_LR, &c);
  *lr = c.lr;
  return status;
}

/* schedule(f): the learning rate of each step is f(step); f may be a table that is called */
static int optimizer_schedule(lua_State *L) {
  check_self(L, "schedule");
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TFUNCTION &&
      !(lua_type(L, 2) == LUA_TTABLE && luaL_getmetafield(L, 2, "__call"))) {
    return lmgrad_type_error(L, 2, "schedule", "lr", "a function of the step");
  }
  lmgrad_ref *ref = keep_function(L, "schedule");
  mgrad_optimizer_schedule(check_self(L, "schedule"), schedule, ref);
  return 1;
}

/* ---- groups ---- */

/* group(options): the next group, whose options are those of the constructor;
** upvalue 2: a table of the signatures by kind */
static int optimizer_group(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 2);
  lua_getfield(L, lua_upvalueindex(2), kind_of(check_self(L, "group")));
  const lmgrad_signature *s = lua_touserdata(L, 3);
  lua_pushvalue(L, 2);
  mgrad_attrs attrs;
  options o = { .name = s->name };
  mgrad_attrs_default(mgrad_optimizer_common(), &o.common);
  lmgrad_arguments(L, S, s, 4, NULL, &attrs, common_option, &o);
  mgrad_optimizer *self = check_self(L, "group");
  LMGRAD_TRY(L, S, mgrad_optimizer_group(self, &attrs, &o.common));
  return 0;
}

typedef struct group_call {
  lmgrad_ref *ref;
  const char *name;
  int dims, group;
} group_call;

static int call_group(lua_State *L) {
  group_call *c = lua_touserdata(L, 1);
  push_function(L, c->ref, "grouping");
  lua_pushstring(L, c->name);
  lua_pushinteger(L, c->dims);
  lua_call(L, 2, 1);
  c->group = (int)lmgrad_integer(L, -1, "grouping", "the group", 0, 1 << 20);
  return 0;
}

static mgrad_status grouping(void *ud, const char *name, const mgrad_tensor *t, int *group) {
  group_call c = { ud, name, mgrad_tensor_array(t)->ndim, 0 };
  mgrad_status status = lmgrad_call(c.ref->S, LMGRAD_CALL_GROUP, &c);
  *group = c.group;
  return status;
}

/* grouping(f): a parameter is in the group f(name, dimensions), 0 = in none */
static int optimizer_grouping(lua_State *L) {
  check_self(L, "grouping");
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TFUNCTION) {
    return lmgrad_type_error(L, 2, "grouping", "f", "a function of a name");
  }
  lmgrad_ref *ref = keep_function(L, "grouping");
  mgrad_optimizer_grouping(check_self(L, "grouping"), grouping, ref);
  return 1;
}

/* ---- methods ---- */

static mgrad_status attach(lua_State *L, lmgrad_state *S, mgrad_optimizer *o, mgrad_layer *l,
                           mgrad_tensor **t, int n) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = l != NULL ? mgrad_optimizer_attach(o, l)
                                  : mgrad_optimizer_attach_tensors(o, t, n);
  lmgrad_leave(S, before);
  return status;
}

/* Puts a list of the tensors to attach to at 2, of what is there: a tensor, a table of
** them, or what layer:parameters() returns; returns how many. */
static int own_targets(lua_State *L) {
  if (lmgrad_test(L, 2, LMGRAD_TENSOR) != NULL) {
    lua_createtable(L, 1, 0);
    lua_insert(L, 2);
    lua_rawseti(L, 2, 1);
  } else if (lua_type(L, 2) != LUA_TTABLE) {
    lmgrad_type_error(L, 2, "attach", "its target", "a layer or a table of tensors");
  }
  int n = lmgrad_own_list(L, 2, "attach", "its target");
  for (int k = 1; k <= n; k++) {
    lua_rawgeti(L, 2, k);
    if (lua_type(L, -1) == LUA_TTABLE) {
      lua_pushliteral(L, "tensor");
      lua_rawget(L, -2);
      if (lmgrad_test(L, -1, LMGRAD_TENSOR) != NULL) lua_rawseti(L, 2, k);
    }
    lua_settop(L, 2);
  }
  return n;
}

/* attach(layer) or attach{tensors}; returns the optimizer */
static int optimizer_attach(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  check_self(L, "attach");
  lua_settop(L, 2);
  mgrad_layer *l = lmgrad_test(L, 2, LMGRAD_LAYER);
  if (l != NULL) {
    mgrad_optimizer *o = check_self(L, "attach");
    LMGRAD_TRY(L, S, attach(L, S, o, l, NULL, 0));
  } else {
    int n = own_targets(L);
    mgrad_tensor **t = lmgrad_room(L, (size_t)(n + 1) * sizeof *t);
    for (int k = 0; k < n; k++) {
      lua_rawgeti(L, 2, k + 1);
      t[k] = lmgrad_check_element(L, LMGRAD_TENSOR, "attach", k + 1);
      lua_pop(L, 1);
    }
    mgrad_optimizer *o = check_self(L, "attach");
    LMGRAD_TRY(L, S, attach(L, S, o, NULL, t, n));
  }
  lmgrad_getuser(L, 1); /* the layer's box keeps its functions alive */
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "attached");
  lua_settop(L, 1);
  return 1;
}

typedef struct again_call {
  lmgrad_ref *ref;
  double loss;
} again_call;

/* Calls the function of the loss at the top: its result is there, the number returned. */
static double loss_at_top(lua_State *L) {
  lua_call(L, 0, 1);
  mgrad_tensor *t = lmgrad_test(L, -1, LMGRAD_TENSOR);
  if (t == NULL || mgrad_tensor_numel(t) != 1) {
    lmgrad_type_error(L, -1, "step", "the result of the function", "a loss, a single number");
  }
  mgrad_real loss;
  mgrad_tensor_read(t, &loss);
  return (double)loss;
}

static int call_again(lua_State *L) {
  again_call *c = lua_touserdata(L, 1);
  lmgrad_push_ref(L, c->ref);
  c->loss = loss_at_top(L);
  return 0;
}

static mgrad_status again(void *ud, double *loss) {
  again_call *c = ud;
  mgrad_status status = lmgrad_call(c->ref->S, LMGRAD_CALL_AGAIN, c);
  *loss = c->loss;
  return status;
}

/* 'c' NULL: the gradients are there. */
static mgrad_status step(lua_State *L, lmgrad_state *S, mgrad_optimizer *o, again_call *c) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = c == NULL ? mgrad_optimizer_step(o)
                                  : mgrad_optimizer_minimise(o, c->loss, again, c);
  lmgrad_leave(S, before);
  return status;
}

/* step(), or step(f): f computes the loss anew, with its gradients, and returns it; the
** first one is the result */
static int optimizer_step(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_optimizer *o = check_self(L, "step");
  if (lua_isnoneornil(L, 2)) {
    LMGRAD_TRY(L, S, step(L, S, o, NULL));
    return 0;
  }
  if (lua_type(L, 2) != LUA_TFUNCTION) {
    return lmgrad_type_error(L, 2, "step", "f", "a function that computes the loss");
  }
  lua_settop(L, 2);
  again_call c = { .ref = lua_newuserdata(L, sizeof *c.ref) };
  c.ref->S = S;
  lua_pushvalue(L, 2);
  lmgrad_remember(L, c.ref); /* both are on the stack until this returns */
  c.loss = loss_at_top(L);
  o = check_self(L, "step");
  mgrad_status status = step(L, S, o, &c);
  if (status != MGRAD_OK) return lmgrad_raise_as(L, S, status, NULL);
  return 1;
}

static int optimizer_zero_grad(lua_State *L) {
  mgrad_optimizer_zero_grad(check_self(L, "zero_grad"));
  return 0;
}

/* swap(): parameters and their average change places */
static int optimizer_swap(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_optimizer *o = check_self(L, "swap");
  LMGRAD_CHANGE(L, S, mgrad_optimizer_swap(o));
  return 0;
}

/* Properties lr (also to set), steps, kind; upvalue 2: the methods */
static int optimizer_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (!lua_isnil(L, -1)) return 1;
  mgrad_optimizer *o = check_self(L, "index");
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "lr") == 0) lua_pushnumber(L, mgrad_optimizer_lr(o));
  else if (strcmp(key, "steps") == 0) lua_pushinteger(L, (lua_Integer)mgrad_optimizer_steps(o));
  else if (strcmp(key, "kind") == 0) lua_pushstring(L, kind_of(o));
  else lua_pushnil(L);
  return 1;
}

static int optimizer_newindex(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_optimizer *o = check_self(L, "assignment");
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  if (strcmp(key, "lr") != 0) {
    return lmgrad_error(L, "%s: cannot set \"%s\", expected lr", kind_of(o), key);
  }
  double lr = lmgrad_number(L, 3, kind_of(o), "lr");
  LMGRAD_TRY(L, S, mgrad_optimizer_set_lr(o, lr));
  mgrad_optimizer_schedule(o, NULL, NULL);
  return 0;
}

static const lmgrad_function methods[] = {
  { "attach", optimizer_attach }, { "step", optimizer_step },
  { "zero_grad", optimizer_zero_grad }, { "schedule", optimizer_schedule },
  { "grouping", optimizer_grouping }, { "swap", optimizer_swap }, { NULL, NULL }
};

static const lmgrad_function metamethods[] = {
  { "__newindex", optimizer_newindex }, { NULL, NULL }
};

void lmgrad_open_optimizer(lua_State *L, int state) {
  lmgrad_callback_set(L, state, LMGRAD_CALL_LR, call_lr);
  lmgrad_callback_set(L, state, LMGRAD_CALL_GROUP, call_group);
  lmgrad_callback_set(L, state, LMGRAD_CALL_AGAIN, call_again);
  lua_newtable(L); /* signatures by name */
  lua_newtable(L); /* constructors by name */
  for (int k = 0; k < mgrad_optimizer_def_count(); k++) {
    mgrad_optimizer_info info;
    mgrad_optimizer_describe(mgrad_optimizer_def_at(k), &info);
    lua_pushvalue(L, state);
    lmgrad_signature *s = lua_newuserdata(L, sizeof *s);
    lmgrad_signature_make(s, info.name, mgrad_optimizer_def_at(k), "", NULL, info.attrs);
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, info.name);
    lua_pushcclosure(L, optimizer_new, 2);
    lua_setfield(L, -2, info.name);
  }
  lua_setfield(L, -3, "optimizers");
  lmgrad_metatable(L, state, LMGRAD_OPTIMIZER); /* signatures, metatable, methods */
  lmgrad_register(L, state, methods);
  lua_pushvalue(L, state);
  lua_pushvalue(L, -4);
  lua_pushcclosure(L, optimizer_group, 2);
  lua_setfield(L, -2, "group");
  lua_pushvalue(L, -2);
  lmgrad_register(L, state, metamethods);
  lua_pushvalue(L, state);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, optimizer_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_setfield(L, -4, "optimizer_methods");
  lua_pop(L, 2);
}
