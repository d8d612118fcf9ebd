/*
** attention.c - multi-head attention over {batch, time, features}, and the block of a
** transformer. Parameters are named and laid out as in PyTorch's MultiheadAttention and
** TransformerEncoderLayer.
*/
#include "../layer.h"

enum { IN_MASK, IN_CONTEXT }; /* further inputs */

/* ---- attention ---- */

enum { HEADS, CAUSAL, DROPOUT, BIAS };

static mgrad_status expect(const mgrad_layer *l, const char *what, const mgrad_array *x,
                           int64_t features) {
  if (x->ndim == 3 && (features == 0 || x->size[2] == features)) return MGRAD_OK;
  if (features == 0) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "%s is %a, expected {batch, time, features}",
                      what, x);
  }
  return mgrad_fail(l->ctx, MGRAD_INVALID, "%s is %a, expected {batch, time, %d}", what,
                    x, features);
}

static mgrad_status attention_build(mgrad_layer *l, const mgrad_array *x) {
  MGRAD_TRY(expect(l, "input", x, 0));
  int64_t e = x->size[2], heads = (int64_t)mgrad_layer_value(l, HEADS);
  if (e % heads != 0) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, its %d features do not fall into"
                      " %d heads", x, e, heads);
  }
  int64_t in[] = { 3 * e, e }, out[] = { e, e };
  int weight = mgrad_init_find("xavier_uniform"), zeros = mgrad_init_find("zeros");
  bool bias = mgrad_layer_value(l, BIAS) != 0;
  MGRAD_TRY(mgrad_layer_param(l, "in_proj_weight", 2, in, weight));
  if (bias) MGRAD_TRY(mgrad_layer_param(l, "in_proj_bias", 1, in, zeros));
  MGRAD_TRY(mgrad_layer_param(l, "out_proj.weight", 2, out, weight));
  return bias ? mgrad_layer_param(l, "out_proj.bias", 1, out, zeros) : MGRAD_OK;
}

/* 'count' of the rows of in_proj_weight and in_proj_bias from 'first' on, by x. */
static mgrad_status project(mgrad_layer *l, mgrad_tensor *x, int64_t first, int64_t count,
                            mgrad_tensor **y) {
  mgrad_tensor *whole[] = { mgrad_layer_tensor(l, "in_proj_weight"),
                            mgrad_layer_tensor(l, "in_proj_bias") };
  mgrad_tensor *operands[] = { x, NULL, NULL };
  mgrad_attrs rows = { .value = { 1, (double)first, (double)count } };
  mgrad_status status = MGRAD_OK;
  for (int i = 0; i < 2 && status == MGRAD_OK; i++) {
    if (whole[i] == NULL) continue;
    if (whole[i]->a.size[0] == count) operands[i + 1] = mgrad_tensor_retain(whole[i]);
    else status = mgrad_apply(&mgrad_op_narrow, l->ctx, &whole[i], 1, &rows, &operands[i + 1]);
  }
  if (status == MGRAD_OK) {
    status = mgrad_apply(&mgrad_op_linear, l->ctx, operands, 3, NULL, y);
  }
  mgrad_tensor_release(operands[1]);
  mgrad_tensor_release(operands[2]);
  return status;
}

/* Queries, keys and values: all in the first of in[], or keys and values of another
** sequence in the second. */
static mgrad_status project_all(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor *in[2]) {
  mgrad_tensor *context = mgrad_layer_input(l, IN_CONTEXT);
  int64_t e = x->a.size[2];
  if (context == NULL) return project(l, x, 1, 3 * e, &in[0]);
  MGRAD_TRY(expect(l, "context", &context->a, e));
  MGRAD_TRY(project(l, x, 1, e, &in[0]));
  return project(l, context, e + 1, 2 * e, &in[1]);
}

static mgrad_status attend(mgrad_layer *l, mgrad_tensor *const in[2], mgrad_tensor **y) {
  mgrad_tensor *operands[] = { in[0], in[1], NULL, mgrad_layer_input(l, IN_MASK) };
  mgrad_attrs attrs = { .value = { mgrad_layer_value(l, HEADS), mgrad_layer_value(l, CAUSAL),
                                   mgrad_layer_value(l, DROPOUT) } };
  bool drops = attrs.value[2] > 0 && mgrad_layer_active(l);
  return mgrad_apply(drops ? &mgrad_op_dot_attention_dropout : &mgrad_op_dot_attention, l->ctx,
                     operands, 4, &attrs, y);
}

static mgrad_status attention_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *out[] = { NULL, mgrad_layer_tensor(l, "out_proj.weight"),
                          mgrad_layer_tensor(l, "out_proj.bias") };
  mgrad_tensor *in[] = { NULL, NULL };
  MGRAD_TRY(expect(l, "input", &x->a, out[1]->a.size[0]));
  mgrad_status status = project_all(l, x, in);
  if (status == MGRAD_OK) status = attend(l, in, &out[0]);
  if (status == MGRAD_OK) status = mgrad_apply(&mgrad_op_linear, l->ctx, out, 3, NULL, y);
  mgrad_tensor_release(in[0]);
  mgrad_tensor_release(in[1]);
  mgrad_tensor_release(out[0]);
  return status;
}

#define MASK_DOC                                                                  \
  "; mask is 1 where a key is seen and 0 where not: {batch, keys} for padding, {time, keys}" \
  " for who sees whom, {batch, time, keys} for both; who sees no key gets zeros"

const mgrad_layer_def mgrad_layer_def_attention = {
  .name = "attention", .inputs = "mask context",
  .doc = "{batch, time, features}: each place takes what it needs from all places, or with"
         " 'causal' from those up to itself, or from the places of context {batch, keys,"
         " features}, by several heads; weights start by xavier_uniform, biases at 0" MASK_DOC,
  MGRAD_ATTRS({ "heads", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e6,
                .doc = "how many parts the features fall into" },
              { "causal", MGRAD_ATTR_BOOL, 0, .doc = "a step sees none after it" },
              { "dropout", MGRAD_ATTR_REAL, 0, 0, MGRAD_BELOW_1,
                .doc = "the share of attention that is set to 0 in training" },
              { "bias", MGRAD_ATTR_BOOL, 1, .doc = "whether there are any" }),
  .build = attention_build, .forward = attention_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 5, 6 }, .attrs = { { "heads", 3 } } },
    { .input = { 2, 4, 6 }, .attrs = { { "heads", 2 }, { "causal", 1 },
                                       { "bias", 0 } } },
    { .input = { 1, 3, 4 }, .attrs = { { "heads", 1 } } }),
};

/* ---- transformer_block ---- */

enum { B_HEADS, B_HIDDEN, B_CAUSAL, B_ACT, B_NORM_FIRST, B_DROPOUT };

static mgrad_status dense(mgrad_layer *l, const char *name, int64_t out, double act) {
  mgrad_attrs attrs;
  mgrad_attrs_default(mgrad_layer_def_dense.attrs, &attrs);
  attrs.value[0] = (double)out;
  attrs.value[1] = act;
  return mgrad_layer_child(l, name, &mgrad_layer_def_dense, &attrs);
}

static mgrad_status block_build(mgrad_layer *l, const mgrad_array *x) {
  MGRAD_TRY(expect(l, "input", x, 0));
  int64_t e = x->size[2], hidden = (int64_t)mgrad_layer_value(l, B_HIDDEN);
  mgrad_attrs attention = { .value = { mgrad_layer_value(l, B_HEADS),
                                       mgrad_layer_value(l, B_CAUSAL),
                                       mgrad_layer_value(l, B_DROPOUT), 1 } };
  double act = mgrad_layer_value(l, B_ACT);
  if (act < 0) act = mgrad_op_relu.id;
  MGRAD_TRY(mgrad_layer_child(l, "self_attn", &mgrad_layer_def_attention, &attention));
  MGRAD_TRY(dense(l, "linear1", hidden > 0 ? hidden : 4 * e, act));
  MGRAD_TRY(dense(l, "linear2", e, -1));
  MGRAD_TRY(mgrad_layer_child(l, "norm1", &mgrad_layer_def_layernorm, NULL));
  return mgrad_layer_child(l, "norm2", &mgrad_layer_def_layernorm, NULL);
}

/* *x, which it owns, through the child of that name. */
static mgrad_status through(mgrad_layer *l, const char *name, mgrad_further *further,
                            mgrad_tensor **x) {
  mgrad_layer *child = NULL;
  mgrad_tensor *y;
  for (int i = 0; i < l->nparts; i++) {
    if (strcmp(l->parts[i].name, name) == 0) child = l->parts[i].layer;
  }
  MGRAD_TRY(mgrad_layer_pass(child, *x, further, &y));
  mgrad_tensor_release(*x);
  *x = y;
  return MGRAD_OK;
}

static mgrad_status drop(mgrad_layer *l, mgrad_tensor **x) {
  mgrad_attrs p = { .value = { mgrad_layer_value(l, B_DROPOUT) } };
  mgrad_tensor *y;
  if (p.value[0] == 0 || !mgrad_layer_active(l)) return MGRAD_OK;
  MGRAD_TRY(mgrad_apply(&mgrad_op_dropout, l->ctx, x, 1, &p, &y));
  mgrad_tensor_release(*x);
  *x = y;
  return MGRAD_OK;
}

static mgrad_status attend_within(mgrad_layer *l, mgrad_tensor **x) {
  mgrad_further further = { .in = { mgrad_layer_input(l, IN_MASK) } };
  return through(l, "self_attn", &further, x);
}

static mgrad_status feed(mgrad_layer *l, mgrad_tensor **x) {
  MGRAD_TRY(through(l, "linear1", NULL, x));
  MGRAD_TRY(drop(l, x));
  return through(l, "linear2", NULL, x);
}

/* *x, which it owns, plus f of it; the norm comes before f or after the sum. */
static mgrad_status around(mgrad_layer *l, const char *norm,
                           mgrad_status (*f)(mgrad_layer *l, mgrad_tensor **x),
                           mgrad_tensor **x) {
  bool first = mgrad_layer_value(l, B_NORM_FIRST) != 0;
  mgrad_tensor *both[] = { *x, mgrad_tensor_retain(*x) }, *sum = NULL;
  mgrad_status status = first ? through(l, norm, NULL, &both[1]) : MGRAD_OK;
  if (status == MGRAD_OK) status = f(l, &both[1]);
  if (status == MGRAD_OK) status = drop(l, &both[1]);
  if (status == MGRAD_OK) status = mgrad_apply(&mgrad_op_add, l->ctx, both, 2, NULL, &sum);
  mgrad_tensor_release(both[1]);
  if (status != MGRAD_OK) return status;
  mgrad_tensor_release(*x);
  *x = sum;
  return first ? MGRAD_OK : through(l, norm, NULL, x);
}

static mgrad_status block_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *now = mgrad_tensor_retain(x);
  mgrad_status status = around(l, "norm1", attend_within, &now);
  if (status == MGRAD_OK) status = around(l, "norm2", feed, &now);
  if (status == MGRAD_OK) *y = now;
  else mgrad_tensor_release(now);
  return status;
}

const mgrad_layer_def mgrad_layer_def_transformer_block = {
  .name = "transformer_block", .inputs = "mask",
  .doc = "{batch, time, features}: x + self_attn(norm1(x)), then x + linear2(act(linear1("
         "norm2(x)))); without norm_first the norms are of the sums. linear1 has 'hidden'"
         " results, 0 for 4 times the features; act is relu unless it is named" MASK_DOC,
  MGRAD_ATTRS({ "heads", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e6,
                .doc = "how many parts the features fall into" },
              { "hidden", MGRAD_ATTR_INT, 0, 0, 1e9,
                .doc = "numbers between the dense layers, 0 for 4 times the features" },
              { "causal", MGRAD_ATTR_BOOL, 0, .doc = "a step sees none after it" },
              { "act", MGRAD_ATTR_ACT, -1,
                .doc = "what they go through; relu unless given" },
              { "norm_first", MGRAD_ATTR_BOOL, 1,
                .doc = "normalises what goes into each part, not what comes out" },
              { "dropout", MGRAD_ATTR_REAL, 0, 0, MGRAD_BELOW_1,
                .doc = "the share of each part's result that is set to 0 in training" }),
  .build = block_build, .forward = block_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 3, 4 }, .attrs = { { "heads", 2 }, { "hidden", 5 } },
      .act = "gelu" },
    { .input = { 2, 3, 6 }, .attrs = { { "heads", 3 }, { "norm_first", 0 },
                                       { "causal", 1 }, { "hidden", 4 } },
      .act = "tanh" }),
};
