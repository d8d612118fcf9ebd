/*
** conv.c - convolution layers, pooling, padding and scaling, over one dimension
** {n, c, l} and over two {n, c, h, w}: each applies the op that serves both.
*/
#include "../layer.h"

/* ---- convolution ---- */

enum { OUT, KERNEL, STRIDE, PADDING, DILATION, GROUPS, BIAS, INIT, OUTPUT_PADDING };
enum { OP_ATTRS = GROUPS - STRIDE + 1 };
enum { VALID = -2 }; /* padding: the second word */

static mgrad_status expect(const mgrad_layer *l, const mgrad_array *x, int dims,
                           int64_t channels) {
  bool fits = x->ndim == dims + 2 && (channels == 0 || x->size[1] == channels);
  if (fits) return MGRAD_OK;
  const char *form = dims == 1 ? "l" : "h, w";
  if (channels > 0) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, %d, %s}", x, channels,
                      form);
  }
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {n, c, %s}", x, form);
}

static int64_t groups_of(const mgrad_layer *l) { return (int64_t)mgrad_layer_value(l, GROUPS); }

static mgrad_status check_groups(const mgrad_layer *l, const mgrad_array *x) {
  int64_t groups = groups_of(l), out = (int64_t)mgrad_layer_value(l, OUT);
  if (x->size[1] % groups == 0 && out % groups == 0) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a and out is %d, expected channels that"
                    " groups = %d divides", x, out, groups);
}

static mgrad_status build_any(mgrad_layer *l, const mgrad_array *x, int dims, bool transpose) {
  MGRAD_TRY(expect(l, x, dims, 0));
  MGRAD_TRY(check_groups(l, x));
  int64_t out = (int64_t)mgrad_layer_value(l, OUT), in = x->size[1];
  double kernel = mgrad_layer_value(l, KERNEL);
  int64_t size[] = { transpose ? in : out, (transpose ? out : in) / groups_of(l),
                     MGRAD_PAIR_AT(kernel, dims), MGRAD_PAIR_AT(kernel, 1) };
  int init = (int)mgrad_layer_value(l, INIT);
  if (init < 0) init = mgrad_init_find("xavier_uniform");
  MGRAD_TRY(mgrad_layer_param(l, "weight", dims + 2, size, init));
  if (mgrad_layer_value(l, BIAS) == 0) return MGRAD_OK;
  return mgrad_layer_param(l, "bias", 1, &out, mgrad_init_find("zeros"));
}

static mgrad_status forward_any(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y, int dims,
                            const mgrad_op *op) {
  mgrad_tensor *weight = mgrad_layer_tensor(l, "weight");
  bool transpose = op == &mgrad_op_conv_transpose;
  MGRAD_TRY(expect(l, &x->a, dims, transpose ? weight->a.size[0]
                                             : weight->a.size[1] * groups_of(l)));
  mgrad_tensor *operands[] = { x, weight, mgrad_layer_tensor(l, "bias") };
  mgrad_attrs attrs;
  mgrad_attrs_default(op->attrs, &attrs);
  memcpy(attrs.value, l->attrs.value + STRIDE, OP_ATTRS * sizeof *attrs.value);
  if (attrs.value[PADDING - STRIDE] == VALID) attrs.value[PADDING - STRIDE] = 0;
  if (transpose) attrs.value[OP_ATTRS] = mgrad_layer_value(l, OUTPUT_PADDING);
  return mgrad_apply(op, l->ctx, operands, 3, &attrs, y);
}

#define PAIR(word, first, least, text) \
  { .name = word, .type = MGRAD_ATTR_PAIR, .initial = first, .low = least, \
    .high = MGRAD_MOST_PAIR, .doc = text }
#define WINDOW_SIZE "the size of a window"
#define WINDOW_STEP "how far a window is from the next"
#define CONV_ATTRS(padding_words)                                                 \
  { .name = "out", .type = MGRAD_ATTR_INT, .initial = MGRAD_REQUIRED, .low = 1, .high = 1e9, \
    .doc = "how many channels the result has" },                                  \
  PAIR("kernel", MGRAD_REQUIRED, 1, WINDOW_SIZE),                                 \
  PAIR("stride", MGRAD_PAIR(1, 1), 1, WINDOW_STEP),                               \
  { .name = "padding", .type = MGRAD_ATTR_PAIR, .initial = 0, .high = MGRAD_MOST_PAIR, \
    .choices = padding_words, .doc = "zeros around the input, so many on each side" }, \
  PAIR("dilation", MGRAD_PAIR(1, 1), 1, "how far the numbers of a window are apart"), \
  { .name = "groups", .type = MGRAD_ATTR_INT, .initial = 1, .low = 1, .high = 1e9, \
    .doc = "channels fall into so many parts that do not see each other" },       \
  { .name = "bias", .type = MGRAD_ATTR_BOOL, .initial = 1,                        \
    .doc = "whether one is added to each channel" },                              \
  { .name = "init", .type = MGRAD_ATTR_INIT, .initial = -1, .doc = "how weight starts" }

#define CONV(word, dims, op)                                                      \
  static mgrad_status word##_build(mgrad_layer *l, const mgrad_array *x) {        \
    return build_any(l, x, dims, &op == &mgrad_op_conv_transpose);                    \
  }                                                                               \
  static mgrad_status word##_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) { \
    return forward_any(l, x, y, dims, &op);                                           \
  }
CONV(conv1d, 1, mgrad_op_conv)
CONV(conv2d, 2, mgrad_op_conv)
CONV(conv_transpose1d, 1, mgrad_op_conv_transpose)
CONV(conv_transpose2d, 2, mgrad_op_conv_transpose)

#define LARGER_BY "so much is added at the end of the result"
#define STARTS "; weight starts by xavier_uniform, bias {out} at 0"

const mgrad_layer_def mgrad_layer_def_conv1d = {
  .name = "conv1d", .doc = "convolution, {n, c, l} to {n, out, ..}: weight"
                           " {out, c / groups, kernel}" STARTS,
  MGRAD_ATTRS(CONV_ATTRS("same|valid")), .build = conv1d_build, .forward = conv1d_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 3, 7 }, .attrs = { { "out", 4 }, { "kernel", MGRAD_PAIR(2, 2) } } },
    { .input = { 1, 4, 6 }, .attrs = { { "out", 2 }, { "kernel", MGRAD_PAIR(3, 3) },
        { "groups", 2 }, { "padding", -1 } } }),
};

const mgrad_layer_def mgrad_layer_def_conv2d = {
  .name = "conv2d", .doc = "convolution, {n, c, h, w} to {n, out, ..}: weight"
                           " {out, c / groups, kernel..}" STARTS,
  MGRAD_ATTRS(CONV_ATTRS("same|valid")), .build = conv2d_build, .forward = conv2d_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 3, 5, 6 }, .attrs = { { "out", 4 },
        { "kernel", MGRAD_PAIR(3, 2) }, { "stride", MGRAD_PAIR(2, 1) } } },
    { .input = { 1, 4, 3, 3 }, .attrs = { { "out", 4 },
        { "kernel", MGRAD_PAIR(2, 2) }, { "groups", 4 }, { "bias", 0 } } }),
};

const mgrad_layer_def mgrad_layer_def_conv_transpose1d = {
  .name = "conv_transpose1d", .doc = "transposed convolution, {n, c, l} to {n, out, ..}:"
                                     " weight {c, out / groups, kernel}" STARTS,
  MGRAD_ATTRS(CONV_ATTRS(NULL), PAIR("output_padding", 0, 0, LARGER_BY)),
  .build = conv_transpose1d_build, .forward = conv_transpose1d_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 3, 4 }, .attrs = { { "out", 2 },
        { "kernel", MGRAD_PAIR(3, 3) }, { "stride", MGRAD_PAIR(2, 2) } } }),
};

const mgrad_layer_def mgrad_layer_def_conv_transpose2d = {
  .name = "conv_transpose2d", .doc = "transposed convolution, {n, c, h, w} to {n, out, ..}:"
                                     " weight {c, out / groups, kernel..}" STARTS,
  MGRAD_ATTRS(CONV_ATTRS(NULL), PAIR("output_padding", 0, 0, LARGER_BY)),
  .build = conv_transpose2d_build, .forward = conv_transpose2d_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 3, 4, 2 }, .attrs = { { "out", 4 },
        { "kernel", MGRAD_PAIR(3, 2) }, { "stride", MGRAD_PAIR(2, 3) },
        { "output_padding", MGRAD_PAIR(1, 0) } } }),
};

/* ---- pooling, padding, scaling ---- */

/* The op's attributes are the layer's. */
static mgrad_status same(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y, int dims,
                         const mgrad_op *op) {
  MGRAD_TRY(expect(l, &x->a, dims, 0));
  return mgrad_apply(op, l->ctx, &x, 1, &l->attrs, y);
}

/* One number of each channel: {n, c}. */
static mgrad_status pool_all(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y, int dims,
                             const mgrad_op *op) {
  MGRAD_TRY(expect(l, &x->a, dims, 0));
  mgrad_attrs one = { .value = { MGRAD_PAIR(1, 1) } }, from = { .value = { 2 } };
  mgrad_tensor *small;
  MGRAD_TRY(mgrad_apply(op, l->ctx, &x, 1, &one, &small));
  mgrad_status status = mgrad_apply(&mgrad_op_flatten, l->ctx, &small, 1, &from, y);
  mgrad_tensor_release(small);
  return status;
}

#define SIMPLE(word, run, dims, op, text, example, ...)                             \
  static mgrad_status word##_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) { \
    return run(l, x, y, dims, &op);                                               \
  }                                                                               \
  const mgrad_layer_def mgrad_layer_def_##word = {                                \
    .name = #word, .doc = text, __VA_ARGS__ .forward = word##_forward,            \
    MGRAD_LAYER_EXAMPLES(example) };
/* A layer for sequences and one for pictures. */
#define BOTH(word, run, op, text, example, ...)                                   \
  SIMPLE(word##1d, run, 1, op, text, IN1(example), __VA_ARGS__)                   \
  SIMPLE(word##2d, run, 2, op, text, IN2(example), __VA_ARGS__)
#define WINDOW                                                                    \
  PAIR("kernel", MGRAD_REQUIRED, 1, WINDOW_SIZE),                                 \
  PAIR("stride", 0, 0, WINDOW_STEP ", 0 as kernel"),                              \
  PAIR("padding", 0, 0, "how much is around the input, on each side")
#define SIZE PAIR("size", MGRAD_REQUIRED, 1, "that of the result")
#define IN1(...) { .input = { 2, 3, 6 }, .attrs = { __VA_ARGS__ } }
#define IN2(...) { .input = { 2, 3, 6, 4 }, .attrs = { __VA_ARGS__ } }
#define BY_2 { "kernel", MGRAD_PAIR(2, 2) }
#define TO_2 { "size", MGRAD_PAIR(2, 2) }
#define MEANS "the mean of each window; stride is as kernel unless given"
#define GREATEST "the greatest number of each window; stride is as kernel unless given"
#define SHARED "windows that share the input out among 'size' results: "

BOTH(avgpool, same, mgrad_op_avg_pool, MEANS, BY_2, MGRAD_ATTRS(WINDOW),)
BOTH(maxpool, same, mgrad_op_max_pool, GREATEST, BY_2, MGRAD_ATTRS(WINDOW),)
BOTH(adaptive_avgpool, same, mgrad_op_adaptive_avg_pool, SHARED "means", TO_2,
     MGRAD_ATTRS(SIZE),)
BOTH(adaptive_maxpool, same, mgrad_op_adaptive_max_pool, SHARED "greatest numbers", TO_2,
     MGRAD_ATTRS(SIZE),)
BOTH(global_avgpool, pool_all, mgrad_op_adaptive_avg_pool,
     "the mean of each channel: {n, c, ..} to {n, c}", ,)
BOTH(global_maxpool, pool_all, mgrad_op_adaptive_max_pool,
     "the greatest number of each channel: {n, c, ..} to {n, c}", ,)

#define AROUND                                                                    \
  PAIR("before", MGRAD_REQUIRED, 0, "how much goes in front"),                    \
  { .name = "after", .type = MGRAD_ATTR_PAIR, .initial = -1, .high = MGRAD_MOST_PAIR, \
    .choices = "same", .doc = "how much goes behind" },                           \
  { .name = "mode", .type = MGRAD_ATTR_CHOICE, .choices = "zero|reflect|replicate", \
    .doc = "which numbers" }
#define LARGER                                                                    \
  PAIR("factor", MGRAD_REQUIRED, 1, "how many times as large"),                   \
  { .name = "mode", .type = MGRAD_ATTR_CHOICE, .choices = "nearest|bilinear|linear", \
    .doc = "whether a number is repeated, or others lie between" }
#define BEFORE_1 { "before", MGRAD_PAIR(1, 1) }
#define FACTOR_2 { "factor", MGRAD_PAIR(2, 2) }
#define PADS "numbers around the input, 'before' and 'after' (the same unless given)"
#define SCALES "the input scaled up by a whole factor"

BOTH(pad, same, mgrad_op_pad, PADS, BEFORE_1, MGRAD_ATTRS(AROUND),)
BOTH(upsample, same, mgrad_op_upsample, SCALES, FACTOR_2, MGRAD_ATTRS(LARGER),)
