/*
** trainer.c - one batch, bounded runs of many, evaluation. What calls the
** user's code between batches is written in Lua (train.lua).
*/
#include "args.h"

static mgrad_trainer *check_self(lua_State *L, const char *who) {
  return lmgrad_check(L, 1, LMGRAD_TRAINER, who, "self");
}

/* ---- losses and metrics written in Lua ---- */

typedef struct judge_call {
  lmgrad_ref *ref;
  mgrad_tensor *prediction, *target, *loss;
  double value;
} judge_call;

/* Calls the function with prediction and target; its result is at the top. */
static void call_judge(lua_State *L, const judge_call *c) {
  lmgrad_push_ref(L, c->ref);
  lmgrad_push_tensor(L, c->prediction);
  lmgrad_push_tensor(L, c->target);
  lua_call(L, 2, 1);
}

static int call_loss(lua_State *L) {
  judge_call *c = lua_touserdata(L, 1);
  call_judge(L, c);
  mgrad_tensor *loss = lmgrad_test(L, -1, LMGRAD_TENSOR);
  if (loss == NULL) {
    return lmgrad_type_error(L, -1, "trainer", "the result of the loss", "a 0-dim tensor");
  }
  c->loss = mgrad_tensor_retain(loss);
  return 0;
}

static mgrad_status host_loss(void *ud, mgrad_tensor *prediction, mgrad_tensor *target,
                            mgrad_tensor **loss) {
  judge_call c = { .ref = ud, .prediction = prediction, .target = target };
  mgrad_status status = lmgrad_call(c.ref->S, LMGRAD_CALL_LOSS, &c);
  if (status == MGRAD_OK) *loss = c.loss;
  return status;
}

static int call_metric(lua_State *L) {
  judge_call *c = lua_touserdata(L, 1);
  call_judge(L, c);
  mgrad_tensor *t = lmgrad_test(L, -1, LMGRAD_TENSOR);
  if (t != NULL && mgrad_tensor_numel(t) == 1) {
    mgrad_real v;
    mgrad_tensor_read(t, &v);
    c->value = (double)v;
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    c->value = (double)lua_tonumber(L, -1);
  } else {
    return lmgrad_type_error(L, -1, "trainer", "the result of a metric", "a number");
  }
  return 0;
}

static mgrad_status metric_fn(void *ud, mgrad_tensor *prediction, mgrad_tensor *target,
                              double *value) {
  judge_call c = { .ref = ud, .prediction = prediction, .target = target };
  mgrad_status status = lmgrad_call(c.ref->S, LMGRAD_CALL_METRIC, &c);
  *value = c.value;
  return status;
}

/* ---- making ---- */

static void read_loss(lua_State *L, lmgrad_state *S, int own, mgrad_trainer_options *o) {
  lua_getfield(L, own, "loss");
  if (lua_type(L, -1) == LUA_TFUNCTION) {
    o->loss_fn = host_loss;
    o->loss_ud = lmgrad_anchor(L, S, own, lua_gettop(L));
    lua_getfield(L, 1, "loss_pure");
    o->loss_pure = lua_toboolean(L, -1);
    lua_pop(L, 1);
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    mgrad_op_info info = { .loss = 0 };
    o->loss = mgrad_op_find(lua_tostring(L, -1));
    if (o->loss != NULL) mgrad_op_describe(o->loss, &info);
    if (!info.loss) lmgrad_error(L, "trainer: there is no loss \"%s\"", lua_tostring(L, -1));
  } else {
    lmgrad_type_error(L, -1, "trainer", "loss", "a name or a function");
  }
  lua_pop(L, 1);
}

/* metrics = { "accuracy", name = function, .. } as a list of {name, function or
** nil}, made by train.lua */
static void read_metrics(lua_State *L, lmgrad_state *S, int own, mgrad_trainer_options *o) {
  lua_getfield(L, own, "metrics");
  int n = lmgrad_own_list(L, lua_gettop(L), "trainer", "metrics");
  if (n > MGRAD_MAX_METRICS) {
    lmgrad_error(L, "trainer: %d metrics, expected at most %d", n, MGRAD_MAX_METRICS);
  }
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, -1, k + 1);
    lmgrad_own_list(L, lua_gettop(L), "trainer", "a metric");
    lua_rawgeti(L, -1, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      lmgrad_type_error(L, -1, "trainer", "the name of a metric", "a string");
    }
    o->metrics[k].name = lua_tostring(L, -1);
    lua_rawseti(L, own, (int)lua_rawlen(L, own) + 1); /* until the core has it */
    lua_rawgeti(L, -1, 2);
    if (lua_type(L, -1) == LUA_TFUNCTION) {
      o->metrics[k].fn = metric_fn;
      o->metrics[k].ud = lmgrad_anchor(L, S, own, lua_gettop(L));
    }
    lua_pop(L, 2);
  }
  o->nmetrics = n;
  lua_pop(L, 1);
}

static mgrad_status begin_new(lua_State *L, lmgrad_state *S, const mgrad_trainer_options *o,
                              mgrad_trainer **out) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = mgrad_trainer_new(S->ctx, o, out);
  lmgrad_leave(S, before);
  return status;
}

/* trainer{net=, loss=, optimizer=, metrics=, class_weight=} */
static int trainer_new(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TTABLE) {
    return lmgrad_type_error(L, 1, "trainer", "options", "a table");
  }
  mgrad_trainer_options o = { .nmetrics = 0 };
  mgrad_trainer **out = (mgrad_trainer **)lmgrad_box(L, LMGRAD_TRAINER); /* 2 */
  lua_newtable(L);                                                        /* 3 */
  lua_pushvalue(L, 3);
  lmgrad_setuser(L, 2);
  static const char *const fields[] = { "net", "optimizer", "loss", "metrics", "accumulate" };
  for (int k = 0; k < 5; k++) {
    lua_getfield(L, 1, fields[k]);
    lua_setfield(L, 3, fields[k]);
  }
  lua_getfield(L, 1, "plan");
  o.no_plan = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
  lua_getfield(L, 1, "anomaly");
  o.anomaly = lua_toboolean(L, -1);
  lua_pop(L, 2);
  read_loss(L, S, 3, &o);
  read_metrics(L, S, 3, &o);
  lua_getfield(L, 3, "net"); /* 4 */
  lua_getfield(L, 3, "optimizer");
  lua_getfield(L, 1, "class_weight");
  o.net = lmgrad_check_layer(L, 4, "trainer", "net");
  o.optimizer = lmgrad_check(L, 5, LMGRAD_OPTIMIZER, "trainer", "optimizer");
  if (!lua_isnil(L, 6)) o.class_weight = lmgrad_check_tensor(L, 6, "trainer", "class_weight");
  LMGRAD_TRY(L, S, begin_new(L, S, &o, out));
  lua_settop(L, 2);
  return 1;
}

/* ---- training ---- */

static mgrad_status step(lua_State *L, lmgrad_state *S, mgrad_trainer *t, mgrad_tensor *x,
                         mgrad_tensor *y, double *loss) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = mgrad_trainer_step(t, x, y, loss);
  lmgrad_leave(S, before);
  return status;
}

static int trainer_step(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  lmgrad_to_tensor(L, S, 2, "step", "x");
  mgrad_tensor *y = lmgrad_to_tensor(L, S, 3, "step", "y");
  mgrad_tensor *x = lmgrad_check_tensor(L, 2, "step", "x");
  mgrad_trainer *t = check_self(L, "step");
  double loss = 0;
  LMGRAD_TRY(L, S, step(L, S, t, x, y, &loss));
  lua_pushnumber(L, loss);
  return 1;
}

/* begin(dataset, batch, epochs, shuffle) */
static int trainer_begin(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_trainer *t = check_self(L, "begin");
  mgrad_dataset *d = lmgrad_check(L, 2, LMGRAD_DATASET, "trainer", "data");
  int64_t batch = lmgrad_integer(L, 3, "trainer", "batch", 1, LMGRAD_EXACT);
  int64_t epochs = lmgrad_integer(L, 4, "trainer", "epochs", 1, LMGRAD_EXACT);
  LMGRAD_TRY(L, S, mgrad_trainer_begin(t, d, batch, epochs, lua_toboolean(L, 5)));
  return 0;
}

/* resume(dataset, epochs): goes on with the run that was loaded */
static int trainer_resume(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_trainer *t = check_self(L, "resume");
  mgrad_dataset *d = lmgrad_check(L, 2, LMGRAD_DATASET, "trainer", "data");
  int64_t epochs = lmgrad_integer(L, 3, "trainer", "epochs", 1, LMGRAD_EXACT);
  LMGRAD_TRY(L, S, mgrad_trainer_resume(t, d, epochs));
  return 0;
}

typedef struct deadline {
  double (*now)(void);
  double end;
} deadline;

static int is_over(void *ud) {
  const deadline *d = ud;
  return d->now() >= d->end;
}

/* This module has no clock: moongrad.system, or the host, leaves one in the registry. A
** slice of an epoch is a single batch where there is none. */
static void set_deadline(lua_State *L, double ms, mgrad_run *r, deadline *d) {
  lua_getfield(L, LUA_REGISTRYINDEX, LMGRAD_CLOCK);
  const lmgrad_clock *clock = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (clock != NULL) {
    *d = (deadline){ clock->now, clock->now() + ms / 1000 };
    r->expired = is_over;
    r->ud = d;
  } else if (r->one_epoch) {
    r->steps = 1;
  } else {
    lmgrad_error(L, "run: ms needs a clock, and this host has none; give steps");
  }
}

static mgrad_status run(lua_State *L, lmgrad_state *S, mgrad_trainer *t, const mgrad_run *r,
                        mgrad_report *report, int *done) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = mgrad_trainer_run(t, r, report, done);
  lmgrad_leave(S, before);
  return status;
}

/* Pushes examples, loss and the table of metrics in order. */
static int push_report(lua_State *L, const mgrad_report *r) {
  lua_pushinteger(L, (lua_Integer)r->examples);
  lua_pushnumber(L, r->loss);
  lua_createtable(L, MGRAD_MAX_METRICS, 0);
  for (int k = 0; k < MGRAD_MAX_METRICS; k++) {
    lua_pushnumber(L, r->metric[k]);
    lua_rawseti(L, -2, k + 1);
  }
  return 3;
}

/* advance(steps or nil, ms or nil, one_epoch) -> done, examples, loss; no table: it is
** called for each frame of a game */
static int trainer_advance(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_trainer *t = check_self(L, "run");
  mgrad_run r = { .one_epoch = lua_toboolean(L, 4) };
  r.pauses = !r.one_epoch; /* the loops of train.lua call the user's code after a batch */
  deadline end;
  if (!lua_isnoneornil(L, 2)) r.steps = lmgrad_integer(L, 2, "run", "steps", 1, LMGRAD_EXACT);
  if (!lua_isnoneornil(L, 3)) {
    double ms = lmgrad_number(L, 3, "run", "ms");
    if (!(ms >= 0)) {
      return lmgrad_error(L, "run: ms is %s, expected 0 or more", lmgrad_number_text(L, ms));
    }
    set_deadline(L, ms, &r, &end);
  }
  mgrad_report report;
  int done = 0;
  LMGRAD_TRY(L, S, run(L, S, t, &r, &report, &done));
  lua_pushboolean(L, done);
  lua_pushinteger(L, (lua_Integer)report.examples);
  lua_pushnumber(L, report.loss);
  return 3;
}

static mgrad_status evaluate(lua_State *L, lmgrad_state *S, mgrad_trainer *t,
                             mgrad_dataset *d, int64_t batch, mgrad_report *report) {
  lmgrad_entered before = lmgrad_enter(S, L);
  mgrad_status status = mgrad_trainer_evaluate(t, d, batch, report);
  lmgrad_leave(S, before);
  return status;
}

/* assess(dataset, batch) -> examples, loss, metrics */
static int trainer_assess(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_trainer *t = check_self(L, "evaluate");
  mgrad_dataset *d = lmgrad_check(L, 2, LMGRAD_DATASET, "evaluate", "data");
  int64_t batch = lmgrad_integer(L, 3, "evaluate", "batch", 1, LMGRAD_EXACT);
  mgrad_report report;
  LMGRAD_TRY(L, S, evaluate(L, S, t, d, batch, &report));
  return push_report(L, &report);
}

/* progress() -> examples, loss, metrics of the epoch under way */
static int trainer_progress(lua_State *L) {
  mgrad_report report;
  mgrad_trainer_progress(check_self(L, "progress"), &report);
  return push_report(L, &report);
}

/* table(metric, evaluated) -> its table of counts, or nil */
static int trainer_table(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  lua_settop(L, 3);
  int metric = (int)lmgrad_integer(L, 2, "table", "metric", 1, MGRAD_MAX_METRICS) - 1;
  mgrad_tensor **out = lmgrad_box_tensor(L);
  mgrad_trainer *t = check_self(L, "table");
  LMGRAD_TRY(L, S, mgrad_trainer_table(t, metric, lua_toboolean(L, 3), out));
  if (*out == NULL) return 0;
  return 1;
}

/* position() -> epoch, examples of it that are done */
static int trainer_position(lua_State *L) {
  int64_t epoch, examples;
  mgrad_trainer_position(check_self(L, "position"), &epoch, &examples);
  lua_pushinteger(L, (lua_Integer)epoch);
  lua_pushinteger(L, (lua_Integer)examples);
  return 2;
}

/* accumulate(n): that many batches share an update from now on */
static int trainer_accumulate(lua_State *L) {
  lmgrad_state *S = LMGRAD_STATE(L);
  mgrad_trainer *t = check_self(L, "accumulate");
  int64_t n = lmgrad_integer(L, 2, "trainer", "accumulate", 1, LMGRAD_EXACT);
  LMGRAD_TRY(L, S, mgrad_trainer_accumulate(t, n));
  return 0;
}

/* parts() -> {net=, optimizer=, metrics=, accumulate=}, a copy: the trainer's own table keeps
** what the core points to */
static int trainer_parts(lua_State *L) {
  static const char *const fields[] = { "net", "optimizer", "metrics", "accumulate" };
  check_self(L, "parts");
  lmgrad_getuser(L, 1);
  lua_createtable(L, 0, 4);
  for (int k = 0; k < 4; k++) {
    lua_getfield(L, -2, fields[k]);
    lua_setfield(L, -2, fields[k]);
  }
  return 1;
}

static const lmgrad_function functions[] = { { "trainer", trainer_new }, { NULL, NULL } };

static const lmgrad_function methods[] = {
  { "step", trainer_step }, { "begin", trainer_begin }, { "advance", trainer_advance },
  { "assess", trainer_assess }, { "table", trainer_table }, { "position", trainer_position },
  { "resume", trainer_resume }, { "progress", trainer_progress },
  { "accumulate", trainer_accumulate }, { "parts", trainer_parts }, { NULL, NULL }
};

void lmgrad_open_trainer(lua_State *L, int state) {
  lmgrad_callback_set(L, state, LMGRAD_CALL_LOSS, call_loss);
  lmgrad_callback_set(L, state, LMGRAD_CALL_METRIC, call_metric);
  lmgrad_register(L, state, functions);
  lmgrad_metatable(L, state, LMGRAD_TRAINER); /* metatable, methods */
  lmgrad_register(L, state, methods);
  lua_setfield(L, -3, "trainer_methods");
  lua_pop(L, 1);
}
