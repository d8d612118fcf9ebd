/*
** loss_distance.c - losses of pairs of vectors, the rows {features} of {n, features}.
*/
#include "loss.h"

/* ---- cosine_embedding ---- */

static mgrad_status cosine_embedding_infer(mgrad_call *c) {
  const mgrad_array *a = c->x[0], *b = c->x[1], *target = c->x[2];
  if (a->ndim != 2) return mgrad_op_fail(c, "a is %a, expected {n, features}", a);
  if (!mgrad_shape_equal(a, b))
    return mgrad_op_fail(c, "b is %a, expected %a as a", b, a);
  if (target->ndim != 1 || target->size[0] != a->size[0])
    return mgrad_op_fail(c, "target is %a, expected {%d}", target, a->size[0]);
  infer_reduced(c, target);
  return MGRAD_OK;
}

/* The cosine of the angle between two rows, and the squares of their lengths,
** with the 1e-12 that PyTorch keeps them from 0 by. */
typedef struct cosine { double value, aa, bb; } cosine;

static cosine cosine_of(int64_t n, const mgrad_real *a, const mgrad_real *b) {
  cosine r = { 0, 0, 0 };
  for (int64_t j = 0; j < n; j++) {
    r.value += (double)a[j] * (double)b[j];
    r.aa += (double)a[j] * (double)a[j];
    r.bb += (double)b[j] * (double)b[j];
  }
  r.aa += 1e-12;
  r.bb += 1e-12;
  r.value /= sqrt(r.aa) * sqrt(r.bb);
  return r;
}

static void cosine_embedding_forward(mgrad_call *c) {
  int64_t n = c->x[0]->size[0], d = c->x[0]->size[1];
  mgrad_real *values = values_of(c);
  for (int64_t i = 0; i < n; i++) {
    cosine r = cosine_of(d, c->x[0]->data + i * d, c->x[1]->data + i * d);
    values[i] = c->x[2]->data[i] > 0 ? REAL(1 - r.value)
                                     : positive(REAL(r.value) - OPTION);
  }
  reduce(c, n, (double)n);
}

static void cosine_embedding_backward(mgrad_call *c) {
  int64_t n = c->x[0]->size[0], d = c->x[0]->size[1];
  upstream u = upstream_of(c, (double)n);
  for (int which = 0; which < 2; which++) {
    if (!c->dx[which]) continue;
    for (int64_t i = 0; i < n; i++) {
      const mgrad_real *self = c->x[which]->data + i * d;
      const mgrad_real *other = c->x[!which]->data + i * d;
      mgrad_real *dx = c->dx[which] + i * d;
      cosine r = cosine_of(d, self, other);
      double slope = c->x[2]->data[i] > 0 ? -1 : REAL(r.value) - OPTION < 0 ? 0 : 1;
      double g = (double)up(&u, i) * slope, length = sqrt(r.aa) * sqrt(r.bb);
      for (int64_t j = 0; j < d; j++)
        put(dx + j, c->add[which],
            REAL(g * ((double)other[j] / length - r.value * (double)self[j] / r.aa)));
    }
  }
}

#define EMBEDDING(n, d, ...)                                                      \
  { .shapes = { { n, d }, { n, d }, { n } },                                      \
    .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_RANGE, MGRAD_FILL_SIGNS }, __VA_ARGS__ }
MGRAD_OP(cosine_embedding) = { MGRAD_NAMED(cosine_embedding),
  .operands = "a b target", .flags = MGRAD_OP_LOSS, .reads = 7, .constant = 4,
  MGRAD_ATTRS(REDUCTION, { "margin", MGRAD_ATTR_REAL, 0, -1, 1 }),
  .infer = cosine_embedding_infer, .check = check_signs,
  .forward = cosine_embedding_forward, .backward = cosine_embedding_backward,
  .doc = "of each row, 1 - cos(a, b) where target is 1, max(0, cos(a, b) - margin) "
         "where -1",
  MGRAD_EXAMPLES(EMBEDDING(6, 3, .low = -1, .high = 1),
                 EMBEDDING(5, 4, .low = 0.1, .high = 1,
                           .attrs = { { "reduction", SUM } }),
                 EMBEDDING(5, 2,
                           .attrs = { { "reduction", NONE }, { "margin", -0.5 } })) };
