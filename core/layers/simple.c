/*
** simple.c - layers without parameters: each applies one op.
*/
#include "../layer.h"

static mgrad_status keep(mgrad_tensor *x, mgrad_tensor **y) {
  *y = mgrad_tensor_retain(x);
  return MGRAD_OK;
}

/* ---- activation ---- */

static mgrad_status activation_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  const mgrad_op *act = mgrad_op_at((int)mgrad_layer_value(l, 0));
  return act != NULL ? mgrad_apply(act, l->ctx, &x, 1, NULL, y) : keep(x, y);
}

const mgrad_layer_def mgrad_layer_def_activation = {
  .name = "activation", .doc = "an activation by its name, any shape",
  MGRAD_ATTRS({ "act", MGRAD_ATTR_ACT, MGRAD_REQUIRED, .doc = "which one" }),
  .forward = activation_forward,
  MGRAD_LAYER_EXAMPLES({ .input = { 2, 3 }, .act = "sigmoid" }, { .input = { 2, 2 }, .act = "gelu" }),
};

/* ---- dropout ---- */

static mgrad_status dropout_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  if (!mgrad_layer_active(l)) return keep(x, y);
  mgrad_attrs p = { .value = { mgrad_layer_value(l, 0) } };
  return mgrad_apply(&mgrad_op_dropout, l->ctx, &x, 1, &p, y);
}

const mgrad_layer_def mgrad_layer_def_dropout = {
  .name = "dropout",
  .doc = "in training sets a share p of the numbers to 0 and scales the others by"
         " 1 / (1 - p); identity in eval mode",
  MGRAD_ATTRS({ "p", MGRAD_ATTR_REAL, 0.5, 0, MGRAD_BELOW_1, .doc = "the share" }),
  .forward = dropout_forward,
  MGRAD_LAYER_EXAMPLES({ .input = { 3, 4 } }),
};

static mgrad_status spatial_dropout_forward(mgrad_layer *l, mgrad_tensor *x,
                                            mgrad_tensor **y) {
  if (!mgrad_layer_active(l)) return keep(x, y);
  mgrad_attrs p = { .value = { mgrad_layer_value(l, 0) } };
  return mgrad_apply(&mgrad_op_spatial_dropout, l->ctx, &x, 1, &p, y);
}

const mgrad_layer_def mgrad_layer_def_spatial_dropout = {
  .name = "spatial_dropout",
  .doc = "in training sets a share p of the channels (dimension 2) to 0 and scales the"
         " others by 1 / (1 - p); identity in eval mode",
  MGRAD_ATTRS({ "p", MGRAD_ATTR_REAL, 0.5, 0, MGRAD_BELOW_1,
                .doc = "the share of channels" }),
  .forward = spatial_dropout_forward,
  MGRAD_LAYER_EXAMPLES({ .input = { 3, 4, 2 } }),
};

/* ---- flatten ---- */

static mgrad_status flatten_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  if (x->a.ndim <= 2) return keep(x, y);
  mgrad_attrs from = { .value = { 2 } };
  return mgrad_apply(&mgrad_op_flatten, l->ctx, &x, 1, &from, y);
}

const mgrad_layer_def mgrad_layer_def_flatten = {
  .name = "flatten", .doc = "{n, a, b, ..} to {n, a * b * ..}",
  .forward = flatten_forward,
  MGRAD_LAYER_EXAMPLES({ .input = { 2, 3, 2 } }, { .input = { 2, 3 } }),
};

/* ---- reshape ---- */

static mgrad_status reshape_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  if (x->a.ndim == 0 || l->attrs.nlist >= MGRAD_MAX_DIMS) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, ..}", &x->a);
  }
  mgrad_attrs sizes = { .nlist = l->attrs.nlist + 1, .list = { x->a.size[0] } };
  memcpy(sizes.list + 1, l->attrs.list, (size_t)l->attrs.nlist * sizeof *sizes.list);
  return mgrad_apply(&mgrad_op_reshape, l->ctx, &x, 1, &sizes, y);
}

const mgrad_layer_def mgrad_layer_def_reshape = {
  .name = "reshape", .doc = "{n, ..} to {n, sizes..}; one size may be -1",
  MGRAD_ATTRS({ "sizes", MGRAD_ATTR_SIZES, .doc = "the shape of one example" }),
  .forward = reshape_forward,
  MGRAD_LAYER_EXAMPLES({ .input = { 2, 6 }, .nlist = 2, .list = { 3, -1 } }),
};
