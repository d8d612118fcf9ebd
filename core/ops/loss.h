/*
** loss.h - what the losses share: how the values of single examples become the
** result, and its gradient theirs.
**
** Formulas and defaults are those of PyTorch's functional losses. The first
** attribute of every loss is "reduction": the values of the single examples,
** or their mean or sum.
*/
#ifndef MGRAD_LOSS_H
#define MGRAD_LOSS_H

#include "../op.h"
#include "../kernels/kernels.h"
#include "../kernels/maths.h"

enum { MEAN, SUM, NONE };
#define REDUCTION                                                                 \
  { "reduction", MGRAD_ATTR_CHOICE, MEAN, 0, 0, "mean|sum|none",          \
    .doc = "what is made of the values" }
#define OPTION REAL(c->attrs->value[1]) /* the attribute after it */

/* y and scratch for one value at every place of 'shape'. */
static inline void infer_reduced(mgrad_call *c, const mgrad_array *shape) {
  bool whole = mgrad_call_int(c, 0) == NONE;
  c->y->ndim = whole ? shape->ndim : 0;
  memcpy(c->y->size, shape->size, sizeof shape->size);
  c->nwork = whole ? 0 : mgrad_shape_numel(shape);
}

/* Where forward puts the values before it reduces them. */
static inline mgrad_real *values_of(const mgrad_call *c) {
  return mgrad_call_int(c, 0) == NONE ? c->y->data : c->work;
}

/* Reduces n values; a mean divides by 'count', and is 0 where that is. */
static inline void reduce(const mgrad_call *c, int64_t n, double count) {
  if (mgrad_call_int(c, 0) == NONE) return;
  double sum = mgrad_sum(n, c->work, 1);
  if (mgrad_call_int(c, 0) != SUM) sum = count != 0 ? sum / count : 0;
  c->y->data[0] = REAL(sum);
}

/* The gradient of value i is dy[i * step] * scale. */
typedef struct upstream {
  const mgrad_real *dy;
  int64_t step;
  mgrad_real scale;
} upstream;

static inline upstream upstream_of(const mgrad_call *c, double count) {
  switch (mgrad_call_int(c, 0)) {
    case NONE: return (upstream){ c->dy, 1, 1 };
    case SUM: return (upstream){ c->dy, 0, 1 };
    default: return (upstream){ c->dy, 0, REAL(count != 0 ? 1 / count : 0) };
  }
}

static inline mgrad_real up(const upstream *u, int64_t i) {
  return u->dy[i * u->step] * u->scale;
}

static inline void put(mgrad_real *dx, bool add, mgrad_real d) {
  *dx = add ? *dx + d : d;
}

/* A margin just met still pulls, as in PyTorch: equal numbers get ranked. */
static inline mgrad_real positive(mgrad_real x) { return x < 0 ? 0 : x; }

/* The third operand's numbers; NULL where it is left out. */
static inline const mgrad_real *third_of(const mgrad_call *c) {
  return c->n > 2 && c->x[2] ? c->x[2]->data : NULL;
}

/* The last operand holds signs. */
static inline mgrad_status check_signs(const mgrad_call *c) {
  int64_t n = mgrad_call_numel(c, c->n - 1);
  for (int64_t i = 0; i < n; i++) {
    mgrad_real t = c->x[c->n - 1]->data[i];
    if (t != 1 && t != -1)
      return mgrad_op_fail(c, "target[%d] is %g, expected 1 or -1", i + 1, (double)t);
  }
  return MGRAD_OK;
}

#endif
