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
  for (int64_t i = 0; i < n && mgrad_call_continues(c, d); i++) {
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
    for (int64_t i = 0; i < n && mgrad_call_continues(c, d); i++) {
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
  MGRAD_ATTRS(REDUCTION, { "margin", MGRAD_ATTR_REAL, 0, -1, 1,
                           .doc = "a cosine that is low enough" }),
  .infer = cosine_embedding_infer, .check = check_signs,
  .forward = cosine_embedding_forward, .backward = cosine_embedding_backward,
  .doc = "of each row, 1 - cos(a, b) where target is 1, max(0, cos(a, b) - margin) "
         "where -1",
  MGRAD_EXAMPLES(EMBEDDING(6, 3, .low = -1, .high = 1),
                 EMBEDDING(5, 4, .low = 0.1, .high = 1,
                           .attrs = { { "reduction", SUM } }),
                 EMBEDDING(5, 2,
                           .attrs = { { "reduction", NONE }, { "margin", -0.5 } })) };

/* ---- triplet ---- */

enum { MARGIN = 1, POWER, SWAP, EPS };

static mgrad_status triplet_infer(mgrad_call *c) {
  static const char *const names[] = { "anchor", "positive", "negative" };
  const mgrad_array *anchor = c->x[0];
  if (anchor->ndim != 2)
    return mgrad_op_fail(c, "anchor is %a, expected {n, features}", anchor);
  for (int i = 1; i < 3; i++)
    if (!mgrad_shape_equal(c->x[i], anchor))
      return mgrad_op_fail(c, "%s is %a, expected %a as anchor", names[i], c->x[i], anchor);
  infer_reduced(c, &(mgrad_array){ .ndim = 1, .size = { anchor->size[0] } });
  return MGRAD_OK;
}

/* Operands 'from' and 'to' of one row, and the length of what lies between. */
typedef struct way {
  int from, to;
  const mgrad_real *a, *b;
  double length;
} way;

/* Of one number of a way, what its size counts: |d| to the power p. */
static double size_of(double d, double p) {
  d = fabs(d);
  if (p == 1) return d;
  return p == 2 ? d * d : (double)mgrad_power(REAL(d), REAL(p));
}

/* As PyTorch, eps is added to each difference. */
static double between(const mgrad_call *c, const way *w, int64_t j) {
  return (double)w->a[j] - (double)w->b[j] + c->attrs->value[EPS];
}

static way way_of(const mgrad_call *c, int64_t row, int from, int to) {
  int64_t d = c->x[0]->size[1];
  double p = c->attrs->value[POWER], sum = 0;
  way w = { from, to, c->x[from]->data + row * d, c->x[to]->data + row * d, 0 };
  for (int64_t j = 0; j < d; j++) sum += size_of(between(c, &w, j), p);
  w.length = p == 1 ? sum : p == 2 ? sqrt(sum) : (double)mgrad_power(REAL(sum), REAL(1 / p));
  return w;
}

/* One row: from the anchor to the positive; from there to the negative, or, with
** 'swap', from the positive where that is shorter: it counts 'swapped', a half where
** both are equal. */
typedef struct triple {
  way near, far, other;
  double swapped, shortfall;
} triple;

static triple triple_of(const mgrad_call *c, int64_t row) {
  triple t = { .near = way_of(c, row, 0, 1), .far = way_of(c, row, 0, 2) };
  double far = t.far.length;
  if (c->attrs->value[SWAP] != 0) {
    t.other = way_of(c, row, 1, 2);
    t.swapped = t.other.length < far ? 1 : t.other.length == far ? 0.5 : 0;
    if (t.swapped != 0) far = t.other.length;
  }
  t.shortfall = c->attrs->value[MARGIN] + t.near.length - far;
  return t;
}

static void triplet_forward(mgrad_call *c) {
  int64_t n = c->x[0]->size[0];
  mgrad_real *values = values_of(c);
  for (int64_t i = 0; i < n && mgrad_call_continues(c, c->x[0]->size[1]); i++)
    values[i] = positive(REAL(triple_of(c, i).shortfall));
  reduce(c, n, (double)n);
}

/* Adds g times the slope of a way's length, sign(d) (|d| / length)^(p - 1), to the row
** dx of operand 'which', where that is one of its ends. */
static void add_way(const mgrad_call *c, const way *w, int which, double g, mgrad_real *dx) {
  if ((which != w->from && which != w->to) || g == 0 || w->length == 0) return;
  double p = c->attrs->value[POWER], sign = which == w->from ? g : -g;
  for (int64_t j = 0; j < c->x[0]->size[1]; j++) {
    double d = between(c, w, j) / w->length;
    double slope = d == 0 ? 0 : size_of(d, p) / fabs(d);
    dx[j] += REAL(d < 0 ? -sign * slope : sign * slope);
  }
}

static void triplet_backward(mgrad_call *c) {
  int64_t n = c->x[0]->size[0], d = c->x[0]->size[1];
  upstream u = upstream_of(c, (double)n);
  for (int which = 0; which < 3; which++) {
    if (!c->dx[which]) continue;
    mgrad_call_clear(c, which);
    for (int64_t i = 0; i < n && mgrad_call_continues(c, d); i++) {
      triple t = triple_of(c, i);
      if (t.shortfall < 0) continue;
      double g = (double)up(&u, i);
      mgrad_real *dx = c->dx[which] + i * d;
      add_way(c, &t.near, which, g, dx);
      add_way(c, &t.far, which, -g * (1 - t.swapped), dx);
      add_way(c, &t.other, which, -g * t.swapped, dx);
    }
  }
}

#define TRIPLET(n, d, ...) { .shapes = { { n, d }, { n, d }, { n, d } }, __VA_ARGS__ }
MGRAD_OP(triplet) = { MGRAD_NAMED(triplet),
  .operands = "anchor positive negative", .flags = MGRAD_OP_LOSS, .reads = 7,
  MGRAD_ATTRS(REDUCTION,
              { "margin", MGRAD_ATTR_REAL, 1, .doc = "how much farther is far enough" },
              { "p", MGRAD_ATTR_REAL, 2, 1, 100, .doc = "of the norm" },
              { "swap", MGRAD_ATTR_BOOL, 0, .doc = "the nearer of both counts" },
              { "eps", MGRAD_ATTR_REAL, 1e-6, 0, 1, .doc = "added to each difference" }),
  .infer = triplet_infer, .forward = triplet_forward, .backward = triplet_backward,
  .doc = "of each row, max(0, margin + distance(anchor, positive) - distance(anchor, "
         "negative)), distances by the p-norm; 'swap' takes the negative's distance from "
         "the positive where that is less",
  MGRAD_EXAMPLES(TRIPLET(6, 3, .low = 0),
                 TRIPLET(5, 1, .attrs = { { "reduction", SUM }, { "p", 1 } }),
                 TRIPLET(5, 4, .attrs = { { "reduction", NONE }, { "swap", 1 } }),
                 TRIPLET(1, 2, .attrs = { { "p", 3 }, { "margin", 2 }, { "swap", 1 } })) };
