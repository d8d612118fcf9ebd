/*
** norm.c - layers that bring numbers to mean 0 and deviation 1, then scale and shift
** them by weight and bias.
*/
#include "../layer.h"

static mgrad_status ones_and_zeros(mgrad_layer *l, int ndim, const int64_t *size,
                                   bool bias) {
  MGRAD_TRY(mgrad_layer_param(l, "weight", ndim, size, mgrad_init_find("ones")));
  if (!bias) return MGRAD_OK;
  return mgrad_layer_param(l, "bias", ndim, size, mgrad_init_find("zeros"));
}

/* An op of x and those parts of the layer, with two attributes. */
static mgrad_status apply(const mgrad_op *op, mgrad_layer *l, mgrad_tensor *x,
                          const char *const *parts, int n, double first, double second,
                          mgrad_tensor **y) {
  mgrad_tensor *operands[6] = { x };
  mgrad_attrs attrs = { .value = { first, second } };
  for (int i = 0; i < n; i++) operands[i + 1] = mgrad_layer_tensor(l, parts[i]);
  return mgrad_apply(op, l->ctx, operands, n + 1, &attrs, y);
}

/* In the order of the ops' operands. */
static const char *const parts[] = { "weight", "bias", "running_mean", "running_var",
                                     "num_batches_tracked" };

/* ---- by channels ---- */

/* Does the input have the channels that the layer was built for? 0 = not yet. */
static mgrad_status expect(const mgrad_layer *l, const mgrad_array *x, int64_t channels) {
  if (x->ndim >= 2 && (channels == 0 || x->size[1] == channels)) return MGRAD_OK;
  if (channels == 0) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, channels, ..}", x);
  }
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, %d, ..}", x, channels);
}

enum { EPS, MOMENTUM, AFFINE };

static mgrad_status batchnorm_build(mgrad_layer *l, const mgrad_array *x) {
  MGRAD_TRY(expect(l, x, 0));
  const int64_t *channels = &x->size[1];
  if (mgrad_layer_value(l, AFFINE) != 0) MGRAD_TRY(ones_and_zeros(l, 1, channels, true));
  MGRAD_TRY(mgrad_layer_buffer(l, "running_mean", 1, channels, 0));
  MGRAD_TRY(mgrad_layer_buffer(l, "running_var", 1, channels, 1));
  return mgrad_layer_buffer(l, "num_batches_tracked", 0, NULL, 0);
}

static mgrad_status batchnorm_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  MGRAD_TRY(expect(l, &x->a, mgrad_layer_tensor(l, "running_mean")->a.size[0]));
  bool active = mgrad_layer_active(l);
  return apply(active ? &mgrad_op_batch_norm : &mgrad_op_standardize, l, x, parts,
               active ? 5 : 4, mgrad_layer_value(l, EPS), mgrad_layer_value(l, MOMENTUM), y);
}

const mgrad_layer_def mgrad_layer_def_batchnorm = {
  .name = "batchnorm",
  .doc = "each channel (dimension 2) less its mean, over its deviation: in training those of"
         " the batch, in eval mode running_mean and running_var, which follow them;"
         " times weight {c}, plus bias {c}, which start at 1 and 0",
  MGRAD_ATTRS({ "eps", MGRAD_ATTR_REAL, 1e-5, 0, 1e30,
                .doc = "added before the root is taken" },
              { "momentum", MGRAD_ATTR_REAL, 0.1, 0, 1,
                .doc = "the share of a batch in what eval mode uses" },
              { "affine", MGRAD_ATTR_BOOL, 1,
                .doc = "whether weight and bias are learned" }),
  .build = batchnorm_build, .forward = batchnorm_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 4, 3 } },
    { .input = { 3, 2, 5 } },
    { .input = { 2, 3, 4, 5 }, .attrs = { { "affine", 0 } } },
    { .input = { 5, 1 }, .attrs = { { "eps", 0.01 } } }),
};

enum { GROUPS, GROUP_EPS, GROUP_AFFINE };

static mgrad_status groupnorm_build(mgrad_layer *l, const mgrad_array *x) {
  MGRAD_TRY(expect(l, x, 0));
  if (mgrad_layer_value(l, GROUP_AFFINE) == 0) return MGRAD_OK;
  return ones_and_zeros(l, 1, &x->size[1], true);
}

static mgrad_status groupnorm_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  const mgrad_tensor *weight = mgrad_layer_tensor(l, "weight");
  MGRAD_TRY(expect(l, &x->a, weight != NULL ? weight->a.size[0] : 0));
  return apply(&mgrad_op_group_norm, l, x, parts, 2, mgrad_layer_value(l, GROUP_EPS),
               mgrad_layer_value(l, GROUPS), y);
}

const mgrad_layer_def mgrad_layer_def_groupnorm = {
  .name = "groupnorm",
  .doc = "groups of channels (dimension 2) of each example less their mean, over their"
         " deviation; times weight {c}, plus bias {c}, which start at 1 and 0",
  MGRAD_ATTRS({ "groups", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e9,
                .doc = "how many the channels fall into" },
              { "eps", MGRAD_ATTR_REAL, 1e-5, 0, 1e30,
                .doc = "added before the root is taken" },
              { "affine", MGRAD_ATTR_BOOL, 1,
                .doc = "whether weight and bias are learned" }),
  .build = groupnorm_build, .forward = groupnorm_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 3, 6 }, .attrs = { { "groups", 2 } } },
    { .input = { 2, 4, 5 }, .attrs = { { "groups", 4 } } },
    { .input = { 2, 6, 3, 5 }, .attrs = { { "groups", 3 }, { "affine", 0 } } }),
};

/* ---- by the last dimensions ---- */

enum { DIMS = 1, LAST_AFFINE, LAST_BIAS }; /* after EPS */

static mgrad_status last_build(mgrad_layer *l, const mgrad_array *x, bool bias) {
  int dims = (int)mgrad_layer_value(l, DIMS);
  if (x->ndim < dims) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected %d dimensions or more", x,
                      (int64_t)dims);
  }
  if (mgrad_layer_value(l, LAST_AFFINE) == 0) return MGRAD_OK;
  return ones_and_zeros(l, dims, x->size + x->ndim - dims, bias);
}

static mgrad_status last_forward(const mgrad_op *op, mgrad_layer *l, mgrad_tensor *x, int n,
                                 mgrad_tensor **y) {
  int dims = (int)mgrad_layer_value(l, DIMS);
  const mgrad_tensor *weight = mgrad_layer_tensor(l, "weight");
  mgrad_array last = { .ndim = dims };
  for (int d = 0; d < dims && dims <= x->a.ndim; d++) {
    last.size[d] = x->a.size[x->a.ndim - dims + d];
  }
  if (weight != NULL && !mgrad_shape_equal(&weight->a, &last)) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected %a as its last dimensions",
                      &x->a, &weight->a);
  }
  return apply(op, l, x, parts, n, mgrad_layer_value(l, EPS), dims, y);
}

static mgrad_status layernorm_build(mgrad_layer *l, const mgrad_array *x) {
  return last_build(l, x, mgrad_layer_value(l, LAST_BIAS) != 0);
}

static mgrad_status layernorm_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  return last_forward(&mgrad_op_layer_norm, l, x, 2, y);
}

static mgrad_status rmsnorm_build(mgrad_layer *l, const mgrad_array *x) {
  return last_build(l, x, false);
}

static mgrad_status rmsnorm_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  return last_forward(&mgrad_op_rms_norm, l, x, 1, y);
}

const mgrad_layer_def mgrad_layer_def_layernorm = {
  .name = "layernorm",
  .doc = "the last 'dims' dimensions of each example less their mean, over their deviation;"
         " times weight, plus bias, of their shape, which start at 1 and 0",
  MGRAD_ATTRS({ "eps", MGRAD_ATTR_REAL, 1e-5, 0, 1e30,
                .doc = "added before the root is taken" },
              { "dims", MGRAD_ATTR_INT, 1, 1, MGRAD_MAX_DIMS,
                .doc = "how many of the last dimensions" },
              { "affine", MGRAD_ATTR_BOOL, 1, .doc = "whether a weight is learned" },
              { "bias", MGRAD_ATTR_BOOL, 1, .doc = "whether a bias is, beside it" }),
  .build = layernorm_build, .forward = layernorm_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 4 } },
    { .input = { 2, 3, 5 }, .attrs = { { "dims", 2 } } },
    { .input = { 3, 2, 6 }, .attrs = { { "bias", 0 } } },
    { .input = { 2, 5 }, .attrs = { { "affine", 0 } } }),
};

const mgrad_layer_def mgrad_layer_def_rmsnorm = {
  .name = "rmsnorm",
  .doc = "the last 'dims' dimensions of each example over the root of their mean square,"
         " times weight of their shape, which starts at 1",
  MGRAD_ATTRS({ "eps", MGRAD_ATTR_REAL, 0x1p-23, 0, 1e30,
                .doc = "added before the root is taken" },
              { "dims", MGRAD_ATTR_INT, 1, 1, MGRAD_MAX_DIMS,
                .doc = "how many of the last dimensions" },
              { "affine", MGRAD_ATTR_BOOL, 1, .doc = "whether a weight is learned" }),
  .build = rmsnorm_build, .forward = rmsnorm_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 4 } },
    { .input = { 2, 3, 5 }, .attrs = { { "dims", 2 } } },
    { .input = { 3, 6 }, .attrs = { { "affine", 0 } } }),
};
