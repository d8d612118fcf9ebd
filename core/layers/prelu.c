/*
** prelu.c - relu with a slope below 0 that is learnt.
*/
#include "../layer.h"

enum { N, START };

static mgrad_status expect(const mgrad_layer *l, const mgrad_array *x) {
  int64_t n = (int64_t)mgrad_layer_value(l, N);
  if (n == 1 || (x->ndim > 1 && x->size[1] == n)) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, %d, ..}", x, n);
}

static mgrad_status prelu_build(mgrad_layer *l, const mgrad_array *x) {
  int64_t n = (int64_t)mgrad_layer_value(l, N);
  MGRAD_TRY(expect(l, x));
  bool given = mgrad_layer_tensor(l, "weight") != NULL;
  MGRAD_TRY(mgrad_layer_param(l, "weight", 1, &n, mgrad_init_find("zeros")));
  if (given) return MGRAD_OK;
  return mgrad_tensor_fill(mgrad_layer_tensor(l, "weight"), mgrad_layer_value(l, START));
}

static mgrad_status prelu_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *operands[] = { x, mgrad_layer_tensor(l, "weight") };
  MGRAD_TRY(expect(l, &x->a));
  return mgrad_apply(&mgrad_op_prelu, l->ctx, operands, 2, NULL, y);
}

const mgrad_layer_def mgrad_layer_def_prelu = {
  .name = "prelu",
  .doc = "x, or weight * x below 0, the weight learnt: one, or n for as many channels"
         " (dimension 2); it starts at 'start'",
  MGRAD_ATTRS({ "n", MGRAD_ATTR_INT, 1, 1, 1e9,
                .doc = "how many slopes: 1 for all, or one a channel" },
              { "start", MGRAD_ATTR_REAL, 0.25, .doc = "what they are at first" }),
  .build = prelu_build, .forward = prelu_forward,
  MGRAD_LAYER_EXAMPLES({ .input = { 3, 4 } },
                       { .input = { 2, 3, 4 }, .attrs = { { "n", 3 } } }),
};
