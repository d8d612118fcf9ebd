/*
** recurrent.c - rnn, gru, lstm over {batch, time, features}. Each layer and direction
** is one op over the whole sequence; its states go in and come out as further tensors.
*/
#include "../layer.h"

enum { HIDDEN, LAYERS, BIDIRECTIONAL, RETURN_SEQUENCE, DROPOUT, BIAS, NONLINEARITY };
enum { IN_H, IN_C };                      /* of an lstm; rnn and gru have no c */
enum { TANH_CELL, RELU_CELL, GRU, LSTM }; /* as the op counts them */
enum { SEQUENCE, LAST, ALL };
enum { MOST_LAYERS = 32, MOST = 2 * MOST_LAYERS };

/* What one call goes through. Steps are numbered layer by layer, direction by
** direction. */
typedef struct pass {
  mgrad_layer *l;
  int cell, layers, directions;
  mgrad_tensor *lengths;        /* borrowed, or NULL */
  mgrad_tensor *state[2][MOST]; /* h and c after the last step, where asked for */
} pass;

static int cell_of(const mgrad_layer *l) {
  if (l->def == &mgrad_layer_def_lstm) return LSTM;
  if (l->def == &mgrad_layer_def_gru) return GRU;
  return (int)mgrad_layer_value(l, NONLINEARITY);
}

static pass begin(mgrad_layer *l) {
  pass p = { .l = l, .cell = cell_of(l), .layers = (int)mgrad_layer_value(l, LAYERS),
             .directions = mgrad_layer_value(l, BIDIRECTIONAL) != 0 ? 2 : 1 };
  p.lengths = mgrad_layer_input(l, p.cell == LSTM ? 2 : 1);
  return p;
}

/* ---- parameters ---- */

static const char *const words[] = { "weight_ih", "weight_hh", "bias_ih", "bias_hh" };

static void parameter_name(const pass *p, int word, int step, char name[MGRAD_NAME_SIZE]) {
  mgrad_format(name, MGRAD_NAME_SIZE, "%s_l%d%s", words[word],
               (int64_t)(step / p->directions),
               step % p->directions == 1 ? "_reverse" : "");
}

static mgrad_tensor *parameter(const pass *p, int word, int step) {
  char name[MGRAD_NAME_SIZE];
  parameter_name(p, word, step, name);
  return mgrad_layer_tensor(p->l, name);
}

static mgrad_status expect(const mgrad_layer *l, const mgrad_array *x, int64_t in) {
  if (x->ndim == 3 && (in == 0 || x->size[2] == in)) return MGRAD_OK;
  if (in > 0) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {batch, time, %d}", x, in);
  }
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {batch, time, features}", x);
}

static mgrad_status recurrent_build(mgrad_layer *l, const mgrad_array *x) {
  static const int gates[] = { 1, 1, 3, 4 };
  pass p = begin(l);
  MGRAD_TRY(expect(l, x, 0));
  int64_t hidden = (int64_t)mgrad_layer_value(l, HIDDEN), rows = gates[p.cell] * hidden;
  int weight = mgrad_init_find("xavier_uniform"), bias = mgrad_init_find("zeros");
  for (int step = 0; step < p.layers * p.directions; step++) {
    int64_t in = step < p.directions ? x->size[2] : p.directions * hidden;
    int64_t size[][2] = { { rows, in }, { rows, hidden }, { rows }, { rows } };
    for (int w = 0; w < (mgrad_layer_value(l, BIAS) != 0 ? 4 : 2); w++) {
      char name[MGRAD_NAME_SIZE];
      parameter_name(&p, w, step, name);
      MGRAD_TRY(mgrad_layer_param(l, name, w < 2 ? 2 : 1, size[w], w < 2 ? weight : bias));
    }
  }
  return MGRAD_OK;
}

/* ---- one layer in one direction ---- */

/* The initial state of a step out of {layers * directions, batch, hidden}, or NULL. */
static mgrad_status initial(const pass *p, int which, int step, mgrad_tensor **out) {
  *out = NULL;
  if (which == IN_C && p->cell != LSTM) return MGRAD_OK;
  mgrad_tensor *all = mgrad_layer_input(p->l, which);
  if (all == NULL) return MGRAD_OK;
  int64_t steps = p->layers * p->directions;
  if (all->a.ndim != 3 || all->a.size[0] != steps) {
    return mgrad_fail(p->l->ctx, MGRAD_INVALID, "%s is %a, expected {%d, batch, %d}",
                      which == IN_H ? "h" : "c", &all->a, steps,
                      (int64_t)mgrad_layer_value(p->l, HIDDEN));
  }
  mgrad_attrs at = { .value = { 1, step + 1 } };
  return mgrad_apply(&mgrad_op_select, p->l->ctx, &all, 1, &at, out);
}

/* Takes y and the states out of a result that holds all. */
static mgrad_status take_apart(pass *p, int step, bool sequence, mgrad_tensor *all,
                               mgrad_tensor **y) {
  mgrad_context *ctx = p->l->ctx;
  int states = p->cell == LSTM ? 2 : 1;
  int64_t time = all->a.size[1] - states;
  for (int k = 0; k < states; k++) {
    mgrad_attrs at = { .value = { 2, (double)(time + 1 + k) } };
    MGRAD_TRY(mgrad_apply(&mgrad_op_select, ctx, &all, 1, &at, &p->state[k][step]));
  }
  if (!sequence) {
    *y = mgrad_tensor_retain(p->state[0][step]);
    return MGRAD_OK;
  }
  mgrad_attrs front = { .value = { 2, 1, (double)time } };
  return mgrad_apply(&mgrad_op_narrow, ctx, &all, 1, &front, y);
}

static mgrad_status apply(pass *p, int step, bool sequence, mgrad_tensor *x,
                          mgrad_tensor *const state[2], mgrad_tensor **y) {
  bool all = mgrad_layer_asked(p->l);
  mgrad_tensor *operands[] = { x, parameter(p, 0, step), parameter(p, 1, step),
                               parameter(p, 2, step), parameter(p, 3, step), state[0],
                               state[1], p->lengths };
  mgrad_attrs attrs = { .value = { p->cell, step % p->directions,
                                   all ? ALL : sequence ? SEQUENCE : LAST } };
  mgrad_tensor *result;
  MGRAD_TRY(mgrad_apply(&mgrad_op_recurrent, p->l->ctx, operands, 8, &attrs, &result));
  if (!all) {
    *y = result;
    return MGRAD_OK;
  }
  mgrad_status status = take_apart(p, step, sequence, result, y);
  mgrad_tensor_release(result);
  return status;
}

static mgrad_status run_step(pass *p, int step, bool sequence, mgrad_tensor *x,
                             mgrad_tensor **y) {
  mgrad_tensor *state[2] = { NULL, NULL };
  mgrad_status status = initial(p, IN_H, step, &state[0]);
  if (status == MGRAD_OK) status = initial(p, IN_C, step, &state[1]);
  if (status == MGRAD_OK) status = apply(p, step, sequence, x, state, y);
  mgrad_tensor_release(state[0]);
  mgrad_tensor_release(state[1]);
  return status;
}

/* ---- all of them ---- */

/* One layer: its directions side by side. */
static mgrad_status run_layer(pass *p, int layer, bool sequence, mgrad_tensor *x,
                              mgrad_tensor **y) {
  mgrad_tensor *sides[2] = { NULL, NULL };
  mgrad_status status = MGRAD_OK;
  for (int d = 0; d < p->directions && status == MGRAD_OK; d++) {
    status = run_step(p, layer * p->directions + d, sequence, x, &sides[d]);
  }
  mgrad_attrs last = { .value = { -1 } };
  if (status == MGRAD_OK && p->directions == 1) *y = mgrad_tensor_retain(sides[0]);
  else if (status == MGRAD_OK) {
    status = mgrad_apply(&mgrad_op_cat, p->l->ctx, sides, 2, &last, y);
  }
  mgrad_tensor_release(sides[0]);
  mgrad_tensor_release(sides[1]);
  return status;
}

/* Replaces *x, which it owns, by what dropout leaves of it. */
static mgrad_status drop(const mgrad_layer *l, mgrad_tensor **x) {
  mgrad_attrs p = { .value = { mgrad_layer_value(l, DROPOUT) } };
  if (p.value[0] == 0 || !mgrad_layer_active(l)) return MGRAD_OK;
  mgrad_tensor *y;
  MGRAD_TRY(mgrad_apply(&mgrad_op_dropout, l->ctx, x, 1, &p, &y));
  mgrad_tensor_release(*x);
  *x = y;
  return MGRAD_OK;
}

static mgrad_status run(pass *p, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_status status = MGRAD_OK;
  mgrad_tensor *now = mgrad_tensor_retain(x);
  for (int layer = 0; layer < p->layers && status == MGRAD_OK; layer++) {
    bool last = layer == p->layers - 1;
    bool sequence = !last || mgrad_layer_value(p->l, RETURN_SEQUENCE) != 0;
    mgrad_tensor *next = NULL;
    status = run_layer(p, layer, sequence, now, &next);
    if (status == MGRAD_OK && !last) status = drop(p->l, &next);
    mgrad_tensor_release(now);
    now = next;
  }
  if (status == MGRAD_OK) *y = now;
  else mgrad_tensor_release(now);
  return status;
}

/* The final states, as {layers * directions, batch, hidden}. */
static mgrad_status give_states(pass *p) {
  mgrad_attrs first = { .value = { 1 } };
  for (int k = 0; k < (p->cell == LSTM ? 2 : 1); k++) {
    mgrad_tensor *all;
    MGRAD_TRY(mgrad_apply(&mgrad_op_stack, p->l->ctx, p->state[k], p->layers * p->directions,
                          &first, &all));
    mgrad_layer_give(p->l, k, all);
  }
  return MGRAD_OK;
}

static mgrad_status recurrent_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  pass p = begin(l);
  MGRAD_TRY(expect(l, &x->a, parameter(&p, 0, 0)->a.size[1]));
  mgrad_tensor *result = NULL;
  mgrad_status status = run(&p, x, &result);
  if (status == MGRAD_OK && mgrad_layer_asked(l)) status = give_states(&p);
  for (int k = 0; k < MOST; k++) {
    mgrad_tensor_release(p.state[0][k]);
    mgrad_tensor_release(p.state[1][k]);
  }
  if (status == MGRAD_OK) *y = result;
  else mgrad_tensor_release(result);
  return status;
}

#define ATTRS(...)                                                              \
  MGRAD_ATTRS({ "hidden", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e8,               \
                .doc = "how many numbers a state has" },                        \
              { "layers", MGRAD_ATTR_INT, 1, 1, MOST_LAYERS,                    \
                .doc = "each reads the states of the one before" },             \
              { "bidirectional", MGRAD_ATTR_BOOL, 0,                            \
                .doc = "a second pass from the end, its states beside the others" }, \
              { "return_sequence", MGRAD_ATTR_BOOL, 1,                          \
                .doc = "all states, or the last alone" },                       \
              { "dropout", MGRAD_ATTR_REAL, 0, 0, MGRAD_BELOW_1,                \
                .doc = "the share that is set to 0 between layers, in training" }, \
              { "bias", MGRAD_ATTR_BOOL, 1,                                     \
                .doc = "whether there are any" } __VA_ARGS__),                  \
  .build = recurrent_build, .forward = recurrent_forward

#define SHAPES "{batch, time, features} to {batch, time, hidden}, or without" \
  " return_sequence the last step, {batch, hidden}; weights start by xavier_uniform," \
  " biases at 0"

const mgrad_layer_def mgrad_layer_def_rnn = {
  .name = "rnn", .inputs = "h lengths", .outputs = "h",
  .doc = "each step's result goes into the next one: " SHAPES,
  ATTRS(, { "nonlinearity", MGRAD_ATTR_CHOICE, TANH_CELL, .choices = "tanh|relu",
          .doc = "what a state goes through" }),
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 4, 3 }, .attrs = { { "hidden", 5 } } },
    { .input = { 2, 4, 3 }, .attrs = { { "hidden", 5 }, { "bidirectional", 1 },
                                       { "layers", 2 } } }),
};

const mgrad_layer_def mgrad_layer_def_gru = {
  .name = "gru", .inputs = "h lengths", .outputs = "h",
  .doc = "an rnn whose gates say what to keep: " SHAPES,
  ATTRS(),
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 4, 3 }, .attrs = { { "hidden", 5 } } },
    { .input = { 2, 4, 3 }, .attrs = { { "hidden", 5 }, { "return_sequence", 0 },
                                       { "bias", 0 } } }),
};

const mgrad_layer_def mgrad_layer_def_lstm = {
  .name = "lstm", .inputs = "h c lengths", .outputs = "h c",
  .doc = "an rnn with a memory c that gates write, keep and read: " SHAPES,
  ATTRS(),
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 4, 3 }, .attrs = { { "hidden", 5 } } },
    { .input = { 2, 4, 3 }, .attrs = { { "hidden", 5 }, { "bidirectional", 1 },
                                       { "return_sequence", 0 } } },
    { .input = { 1, 2, 1 }, .attrs = { { "hidden", 1 }, { "layers", 3 } } }),
};
