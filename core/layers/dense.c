/*
** dense.c - the fully connected layer, y = act(x W' + b).
*/
#include "../layer.h"

enum { OUT, ACT, BIAS, INIT, INPUTS };

static mgrad_status expect(const mgrad_layer *l, const mgrad_array *x, int64_t in) {
  if (x->ndim > 0 && (in == 0 || x->size[x->ndim - 1] == in)) return MGRAD_OK;
  if (in == 0) return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, in}", x);
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, %d}", x, in);
}

static mgrad_status dense_build(mgrad_layer *l, const mgrad_array *x) {
  MGRAD_TRY(expect(l, x, (int64_t)mgrad_layer_value(l, INPUTS)));
  int64_t size[] = { (int64_t)mgrad_layer_value(l, OUT), x->size[x->ndim - 1] };
  int init = (int)mgrad_layer_value(l, INIT);
  if (init < 0) init = mgrad_init_find("xavier_uniform");
  MGRAD_TRY(mgrad_layer_param(l, "weight", 2, size, init));
  if (mgrad_layer_value(l, BIAS) == 0) return MGRAD_OK;
  return mgrad_layer_param(l, "bias", 1, size, mgrad_init_find("zeros"));
}

/* linear, fused with the activation where that is possible. */
static mgrad_status linear(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *operands[] = { x, mgrad_layer_tensor(l, "weight"),
                               mgrad_layer_tensor(l, "bias") };
  const mgrad_op *act = mgrad_op_at((int)mgrad_layer_value(l, ACT));
  mgrad_attrs attrs;
  mgrad_attrs_default(mgrad_op_linear.attrs, &attrs);
  bool fused = act != NULL && mgrad_op_fusible(act);
  if (fused) attrs.value[0] = mgrad_layer_value(l, ACT);
  mgrad_tensor *z;
  MGRAD_TRY(mgrad_apply(&mgrad_op_linear, l->ctx, operands, 3, &attrs, &z));
  if (act == NULL || fused) {
    *y = z;
    return MGRAD_OK;
  }
  mgrad_status status = mgrad_apply(act, l->ctx, &z, 1, NULL, y);
  mgrad_tensor_release(z);
  return status;
}

static mgrad_status dense_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  MGRAD_TRY(expect(l, &x->a, mgrad_layer_tensor(l, "weight")->a.size[1]));
  if (x->a.ndim > 1) return linear(l, x, y);
  mgrad_attrs first = { .value = { 1 } }; /* one example is a batch of one */
  mgrad_tensor *batch;
  MGRAD_TRY(mgrad_apply(&mgrad_op_unsqueeze, l->ctx, &x, 1, &first, &batch));
  mgrad_status status = linear(l, batch, y);
  mgrad_tensor_release(batch);
  return status;
}

const mgrad_layer_def mgrad_layer_def_dense = {
  .name = "dense",
  .doc = "act(x weight' + bias): {n, in} to {n, out}; weight {out, in} starts by"
         " xavier_uniform, bias {out} at 0",
  MGRAD_ATTRS({ "out", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e9,
                .doc = "how many numbers an example becomes" },
              { "act", MGRAD_ATTR_ACT, -1, .doc = "what the sums go through" },
              { "bias", MGRAD_ATTR_BOOL, 1, .doc = "whether one is added" },
              { "init", MGRAD_ATTR_INIT, -1, .doc = "how weight starts" },
              { "inputs", MGRAD_ATTR_INT, 0, 0, 1e9,
                .doc = "how many numbers an example has; 0 takes it from the first one" }),
  .build = dense_build, .forward = dense_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 5, 3 }, .attrs = { { "out", 4 } } },
    { .input = { 2, 3 }, .attrs = { { "out", 2 }, { "bias", 0 } }, .act = "tanh" },
    { .input = { 2, 2, 3 }, .attrs = { { "out", 1 } }, .act = "gelu" },
    { .input = { 3 }, .attrs = { { "out", 2 } } }),
};
