/*
** bilinear.c - a layer of two inputs, linear in each: y_k = x' W_k other + b_k.
*/
#include "../layer.h"

enum { OUT, BIAS };
enum { OTHER }; /* the further input */

/* Without another input, x itself. */
static const mgrad_array *other_of(const mgrad_layer *l, const mgrad_array *x) {
  const mgrad_tensor *other = mgrad_layer_input(l, OTHER);
  return other != NULL ? &other->a : x;
}

/* Both {.., features}, alike but for the last size. */
static mgrad_status expect(const mgrad_layer *l, const mgrad_array *x) {
  const mgrad_array *o = other_of(l, x);
  bool fits = x->ndim > 0 && o->ndim == x->ndim;
  for (int d = 0; fits && d < x->ndim - 1; d++) fits = o->size[d] == x->size[d];
  if (fits) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a and other %a, expected {.., features}"
                    " alike but for their last sizes", x, o);
}

static mgrad_status bilinear_build(mgrad_layer *l, const mgrad_array *x) {
  MGRAD_TRY(expect(l, x));
  const mgrad_array *o = other_of(l, x);
  const mgrad_tensor *w = mgrad_layer_tensor(l, "weight");
  if (l->restoring && w != NULL && w->a.ndim == 3) o = &w->a; /* which other had its size */
  int64_t size[] = { (int64_t)mgrad_layer_value(l, OUT), x->size[x->ndim - 1],
                     o->size[o->ndim - 1] };
  MGRAD_TRY(mgrad_layer_param(l, "weight", 3, size, mgrad_init_find("xavier_uniform")));
  if (mgrad_layer_value(l, BIAS) == 0) return MGRAD_OK;
  return mgrad_layer_param(l, "bias", 1, size, mgrad_init_find("zeros"));
}

/* *t, which it owns, in another shape. */
static mgrad_status reshape(mgrad_context *ctx, mgrad_tensor **t, int ndim,
                            const int64_t *size) {
  mgrad_attrs sizes = { .nlist = ndim };
  mgrad_tensor *y;
  memcpy(sizes.list, size, (size_t)ndim * sizeof *size);
  MGRAD_TRY(mgrad_apply(&mgrad_op_reshape, ctx, t, 1, &sizes, &y));
  mgrad_tensor_release(*t);
  *t = y;
  return MGRAD_OK;
}

/* *a and *b, which it owns, multiplied; the result takes the place of *a. */
static mgrad_status combine(const mgrad_op *op, mgrad_tensor **a, mgrad_tensor *b) {
  mgrad_tensor *both[] = { *a, b }, *y;
  MGRAD_TRY(mgrad_apply(op, (*a)->ctx, both, 2, NULL, &y));
  mgrad_tensor_release(*a);
  *a = y;
  return MGRAD_OK;
}

/* For all rows at once: other by W seen as {out * in, in2}, that as {out, in} by x. */
static mgrad_status multiply(mgrad_layer *l, mgrad_tensor **w, mgrad_tensor **x,
                             mgrad_tensor *other, mgrad_tensor **y) {
  mgrad_context *ctx = l->ctx;
  int64_t out = (*w)->a.size[0], in = (*w)->a.size[1], in2 = (*w)->a.size[2];
  int64_t flat[] = { -1, in2 }, rows[] = { -1, out, in }, column[] = { -1, in, 1 };
  MGRAD_TRY(reshape(ctx, w, 2, flat));
  mgrad_tensor *operands[] = { other, *w };
  MGRAD_TRY(mgrad_apply(&mgrad_op_linear, ctx, operands, 2, NULL, y));
  MGRAD_TRY(reshape(ctx, y, 3, rows));
  MGRAD_TRY(reshape(ctx, x, 3, column));
  MGRAD_TRY(combine(&mgrad_op_matmul, y, *x));
  int64_t size[MGRAD_MAX_DIMS];
  memcpy(size, other->a.size, sizeof size);
  size[other->a.ndim - 1] = out;
  MGRAD_TRY(reshape(ctx, y, other->a.ndim, size));
  mgrad_tensor *bias = mgrad_layer_tensor(l, "bias");
  return bias != NULL ? combine(&mgrad_op_add, y, bias) : MGRAD_OK;
}

static mgrad_status bilinear_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *w = mgrad_layer_tensor(l, "weight"), *other = mgrad_layer_input(l, OTHER);
  MGRAD_TRY(expect(l, &x->a));
  if (other == NULL) other = x;
  const mgrad_array *a = &x->a, *b = &other->a;
  if (a->size[a->ndim - 1] != w->a.size[1] || b->size[b->ndim - 1] != w->a.size[2]) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a and other %a, expected {.., %d} and"
                      " {.., %d}", a, b, w->a.size[1], w->a.size[2]);
  }
  mgrad_tensor *result = NULL, *left = mgrad_tensor_retain(x);
  mgrad_tensor_retain(w);
  mgrad_status status = multiply(l, &w, &left, other, &result);
  mgrad_tensor_release(w);
  mgrad_tensor_release(left);
  if (status == MGRAD_OK) *y = result;
  else mgrad_tensor_release(result);
  return status;
}

const mgrad_layer_def mgrad_layer_def_bilinear = {
  .name = "bilinear", .inputs = "other",
  .doc = "x' W_k other + b_k for k up to out: {.., in1} and {.., in2} to {.., out}; weight"
         " {out, in1, in2} starts by xavier_uniform, bias {out} at 0; other is x where it is"
         " left out",
  MGRAD_ATTRS({ "out", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e9,
                .doc = "how many numbers an example becomes" },
              { "bias", MGRAD_ATTR_BOOL, 1, .doc = "whether one is added" }),
  .build = bilinear_build, .forward = bilinear_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 4, 3 }, .attrs = { { "out", 2 } } },
    { .input = { 2, 3, 4 }, .attrs = { { "out", 5 }, { "bias", 0 } } },
    { .input = { 3 }, .attrs = { { "out", 2 } } }),
};
