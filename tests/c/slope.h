/*
** slope.h - a function of tensors, an op or a layer, and whether it depends on them as
** its gradients say: central differences.
*/
#ifndef SLOPE_H
#define SLOPE_H

#include "vary.h"

#include <stdlib.h>

enum { MOST = 8 };
static const double TOLERANCE = 1e-6;
/* Differences are taken with the first step; the others are for where that is too long
** for a function that bends, or too short for one that is large. */
static const double STEPS[] = { 1e-4, 1e-5, 1e-3, 3e-5, 3e-4 };

static mgrad_context *ctx;
static double worst;

/* ---- operands ---- */

static void fill_one(mgrad_real *p, int64_t n, int64_t row, const mgrad_example *e,
                     mgrad_fill how, int labels) {
  double low = e->low, high = e->high;
  if (low == 0 && high == 0) low = -1, high = 1;
  for (int64_t i = 0; i < n; i++) {
    switch (how) {
      case MGRAD_FILL_RANGE: p[i] = (mgrad_real)(low + (high - low) * draw()); break;
      case MGRAD_FILL_LABELS: p[i] = (mgrad_real)draw_from(1, labels); break;
      case MGRAD_FILL_BITS: p[i] = one_in(2); break;
      case MGRAD_FILL_SIGNS: p[i] = one_in(2) ? -1 : 1; break;
      default: p[i] = (mgrad_real)(0.1 + 0.8 * draw()); break;
    }
  }
  for (int64_t i = 0; how == MGRAD_FILL_CHANCES && row > 1 && i < n; i += row) {
    double sum = 0;
    for (int64_t j = 0; j < row; j++) sum += p[i + j];
    for (int64_t j = 0; j < row; j++) p[i + j] = (mgrad_real)(p[i + j] / sum);
  }
}

static mgrad_tensor *make(const outline *form, const mgrad_example *e, int i) {
  const int64_t *shape = form->shapes[i];
  int ndim = shape_dims(shape);
  if (shape[0] == -1) return NULL;
  mgrad_tensor *t;
  if (mgrad_tensor_new(ctx, ndim, shape, &t) != MGRAD_OK) abort();
  fill_one(t->a.data, mgrad_tensor_numel(t), ndim > 0 ? shape[ndim - 1] : 1, e,
           e->fill[i], form->labels);
  return t;
}

/* ---- one function of tensors and its gradient ---- */

typedef struct function {
  const mgrad_op *op;
  mgrad_attrs attrs;
  mgrad_layer *layer; /* instead of an op: of x[0] */
  mgrad_tensor *x[MOST];
  int n;
  uint64_t stream;    /* the same random numbers in every evaluation */
  mgrad_tensor *weight; /* makes one number of the result: sum(weight * y) */
} function;

static mgrad_status apply(function *f, mgrad_tensor **y) {
  ctx->stream = f->stream;
  if (f->layer != NULL) return mgrad_layer_forward(f->layer, f->x[0], y);
  return mgrad_apply(f->op, ctx, f->x, f->n, &f->attrs, y);
}

static mgrad_tensor *weigh(function *f, mgrad_tensor *y) {
  mgrad_tensor *product, *sum;
  if (f->weight == NULL) {
    mgrad_tensor_like(ctx, &y->a, &f->weight);
    for (int64_t i = 0; i < mgrad_tensor_numel(y); i++) {
      f->weight->a.data[i] = (mgrad_real)(0.5 + draw());
    }
  }
  mgrad_tensor *both[] = { y, f->weight };
  mgrad_apply(&mgrad_op_mul, ctx, both, 2, NULL, &product);
  mgrad_apply(&mgrad_op_sum, ctx, &product, 1, NULL, &sum);
  mgrad_tensor_release(product);
  return sum;
}

/* NULL where the function refuses its operands. */
static mgrad_tensor *loss(function *f) {
  mgrad_tensor *y;
  if (apply(f, &y) != MGRAD_OK) return NULL;
  mgrad_tensor *sum = weigh(f, y);
  mgrad_tensor_release(y);
  return sum;
}

static double value(function *f) {
  int before = mgrad_grad_enable(ctx, 0);
  mgrad_tensor *l = loss(f);
  mgrad_grad_enable(ctx, before);
  if (l == NULL) {
    printf("    %s: %s\n", check_name, mgrad_error(ctx));
    CHECK(!"the function runs beside the example");
    return NAN;
  }
  double v = (double)l->a.data[0];
  mgrad_tensor_release(l);
  return v;
}

/* ---- differences ---- */

static double value_at(function *f, mgrad_real *p, double shift) {
  mgrad_real x = *p;
  *p = (mgrad_real)(x + shift);
  double v = value(f);
  *p = x;
  return v;
}

/* Four points, so that the step may be large enough for rounding not to matter. */
static double slope(function *f, mgrad_real *p, double step) {
  double v[4];
  const double at[] = { -2, -1, 1, 2 };
  for (int k = 0; k < 4; k++) v[k] = value_at(f, p, at[k] * step);
  return (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * step);
}

/* Is there a kink, or a jump, close enough to be the cause of 'difference' between the
** slopes? Five points have three second differences. Of a smooth function these are
** nearly equal; a kink within makes them differ by half a step times the change of the
** slope, or more. */
static bool kinked(function *f, mgrad_real *p, double difference) {
  double step = STEPS[1], v[5], low = INFINITY, high = -INFINITY;
  for (int k = 0; k < 5; k++) v[k] = value_at(f, p, (k - 2) * step);
  for (int k = 1; k < 4; k++) {
    double bend = v[k - 1] - 2 * v[k] + v[k + 1];
    low = fmin(low, bend);
    high = fmax(high, bend);
  }
  return (high - low) / step >= difference / 2;
}

/* Does the function depend on t[i] as its gradient says? */
typedef enum verdict { AGREES, DIFFERS, KINK } verdict;

static verdict compare_one(function *f, mgrad_tensor *t, int64_t i, double scale,
                           const char *what) {
  mgrad_real *p = &t->a.data[i];
  double ours = (double)mgrad_tensor_grad(t)->a.data[i], error = INFINITY, numeric = 0;
  for (int k = 0; k < (int)(sizeof STEPS / sizeof *STEPS) && !(error <= TOLERANCE); k++) {
    double s = slope(f, p, STEPS[k]);
    double e = fabs(s - ours) / fmax(fmax(fabs(s), fabs(ours)), scale);
    if (k == 0 || e < error) error = e, numeric = s;
  }
  if (error <= TOLERANCE) {
    worst = fmax(worst, error);
    return AGREES;
  }
  if (kinked(f, p, fabs(numeric - ours))) return KINK;
  printf("    %s: element %d of %s: backward %.9g, differences %.9g\n", check_name,
         (int)i, what, ours, numeric);
  CHECK(!"gradients agree");
  return DIFFERS;
}

static verdict compare(function *f, mgrad_tensor *t, const char *what) {
  mgrad_tensor *grad = mgrad_tensor_grad(t);
  CHECK(grad != NULL);
  if (grad == NULL) return DIFFERS;
  int64_t n = mgrad_tensor_numel(t);
  double scale = 1e-3;
  for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)grad->a.data[i]));
  for (int64_t i = 0; i < n; i++) {
    verdict v = compare_one(f, t, i, scale, what);
    if (v != AGREES) return v;
  }
  return AGREES;
}

#endif
