/*
** loss.c - how far predictions are from targets.
**
** Formulas and defaults are those of PyTorch's functional losses. The first
** attribute of every loss is "reduction": the values of the single examples,
** or their mean or sum. LOSS(name, value, slope_p, slope_t) makes the loops of
** an elementwise one from expressions in p (prediction), t (target) and w (the
** third operand, 1 where there is none), which is laid out a block at a time, as
** is the gradient from above: each expression needs one loop. Shapes must be equal:
** a target {4} broadcast against {4, 1} would be {4, 4}, an old and silent mistake.
*/
#include "../op.h"
#include "../kernels/kernels.h"
#include "../kernels/maths.h"

/* ---- reduction ---- */

enum { MEAN, SUM, NONE };
#define REDUCTION { "reduction", MGRAD_ATTR_CHOICE, MEAN, 0, 0, "mean|sum|none" }
#define OPTION REAL(c->attrs->value[1]) /* the attribute after it */

/* y and scratch for one value at every place of 'shape'. */
static void infer_reduced(mgrad_call *c, const mgrad_array *shape) {
  bool whole = mgrad_call_int(c, 0) == NONE;
  c->y->ndim = whole ? shape->ndim : 0;
  memcpy(c->y->size, shape->size, sizeof shape->size);
  c->nwork = whole ? 0 : mgrad_shape_numel(shape);
}

/* Where forward puts the values before it reduces them. */
static mgrad_real *values_of(const mgrad_call *c) {
  return mgrad_call_int(c, 0) == NONE ? c->y->data : c->work;
}

/* Reduces n values; a mean divides by 'count', and is 0 where that is. */
static void reduce(const mgrad_call *c, int64_t n, double count) {
  if (mgrad_call_int(c, 0) == NONE) return;
  double sum = mgrad_sum(n, c->work, 1);
  if (mgrad_call_int(c, 0) == MEAN) sum = count != 0 ? sum / count : 0;
  c->y->data[0] = REAL(sum);
}

/* The gradient of value i is dy[i * step] * scale. */
typedef struct upstream {
  const mgrad_real *dy;
  int64_t step;
  mgrad_real scale;
} upstream;

static upstream upstream_of(const mgrad_call *c, double count) {
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

/* ---- elementwise losses ---- */

static const mgrad_real *third_of(const mgrad_call *c) {
  return c->n > 2 && c->x[2] ? c->x[2]->data : NULL;
}

enum { BLOCK = 256 };

/* What an expression makes of n numbers, times the gradient 'us' from above where
** it is a slope; 'out' overlaps nothing else. */
typedef void (*loop)(const mgrad_call *c, int64_t n, const mgrad_real *ps,
                     const mgrad_real *ts, const mgrad_real *ws, const mgrad_real *us,
                     mgrad_real *out);

#define LOOP(name, expression)                                                    \
  static void name(const mgrad_call *c, int64_t n, const mgrad_real *restrict ps, \
                   const mgrad_real *restrict ts, const mgrad_real *restrict ws,  \
                   const mgrad_real *restrict us, mgrad_real *restrict out) {     \
    (void)c, (void)us;                                                            \
    for (int64_t i = 0; i < n; i++) {                                             \
      mgrad_real p = ps[i], t = ts[i], w = ws[i];                                 \
      (void)p, (void)t, (void)w;                                                  \
      out[i] = (expression);                                                      \
    }                                                                             \
  }

#define LOSS(name, value, slope_p, slope_t)                                       \
  LOOP(name##_value, value)                                                       \
  LOOP(name##_slope_p, us[i] * (slope_p))                                         \
  LOOP(name##_slope_t, us[i] * (slope_t))                                         \
  static void name##_forward(mgrad_call *c) { forward(c, name##_value); }         \
  static void name##_backward(mgrad_call *c) {                                    \
    backward(c, 0, name##_slope_p);                                               \
    backward(c, 1, name##_slope_t);                                               \
  }

/* What is not there as packed numbers, weights of 1 and a single gradient for all, is
** laid out for one block and serves every block. */
static void fill(mgrad_real *x, int64_t n, mgrad_real value) {
  n = mgrad_min_size(n, BLOCK);
  for (int64_t j = 0; j < n; j++) x[j] = value;
}

/* Runs f over n numbers; u is NULL where it is no slope. */
static void run(const mgrad_call *c, loop f, int64_t n, const upstream *u, mgrad_real *out,
                bool add) {
  const mgrad_real *ps = c->x[0]->data, *ts = c->x[1]->data;
  const mgrad_real *ws = c->n > 2 ? third_of(c) : ps; /* where there is no w: any */
  const mgrad_real *us = u != NULL && u->step != 0 ? u->dy : NULL; /* their scale is 1 */
  bool weights = ws != NULL, ups = u == NULL || us != NULL;
  if (weights && ups && !add) {
    f(c, n, ps, ts, ws, us, out);
    return;
  }
  mgrad_real ones[BLOCK], single[BLOCK], d[BLOCK];
  if (!weights) fill(ones, n, 1);
  if (!ups) fill(single, n, up(u, 0));
  for (int64_t i = 0, m; i < n; i += m) {
    m = mgrad_min_size(BLOCK, n - i);
    f(c, m, ps + i, ts + i, ws != NULL ? ws + i : ones, us != NULL ? us + i : single,
      add ? d : out + i);
    for (int64_t j = 0; j < m && add; j++) out[i + j] += d[j];
  }
}

static void forward(mgrad_call *c, loop value) {
  int64_t n = mgrad_call_numel(c, 0);
  run(c, value, n, NULL, values_of(c), false);
  reduce(c, n, (double)n);
}

static void backward(mgrad_call *c, int i, loop slope) {
  if (c->dx[i] == NULL) return;
  int64_t n = mgrad_call_numel(c, 0);
  upstream u = upstream_of(c, (double)n);
  run(c, slope, n, &u, c->dx[i], c->add[i]);
}

/* Checks that the operands have one shape; 'names' are those of the three. */
static mgrad_status infer_equal(mgrad_call *c, const char *const names[3]) {
  for (int i = 1; i < c->n; i++)
    if (c->x[i] && !mgrad_shape_equal(c->x[i], c->x[0]))
      return mgrad_op_fail(c, "%s is %a, expected %a as %s", names[i], c->x[i], c->x[0],
                           names[0]);
  infer_reduced(c, c->x[0]);
  return MGRAD_OK;
}

static mgrad_status infer_pair(mgrad_call *c) {
  return infer_equal(c, (const char *const[]){ "the prediction", "target", "weight" });
}

static mgrad_status infer_ranking(mgrad_call *c) {
  return infer_equal(c, (const char *const[]){ "a", "b", "target" });
}

static mgrad_status check_chances(const mgrad_call *c) {
  int64_t n = mgrad_call_numel(c, 0);
  for (int64_t i = 0; i < n; i++) {
    mgrad_real p = c->x[0]->data[i];
    if (p < 0 || p > 1) /* NaN goes on: training reports it where it arose */
      return mgrad_op_fail(c, "prediction[%d] is %g, expected a number from 0 to 1 "
                           "(bce_with_logits takes any)", i + 1, (double)p);
  }
  return MGRAD_OK;
}

/* The last operand holds signs. */
static mgrad_status check_signs(const mgrad_call *c) {
  int64_t n = mgrad_call_numel(c, c->n - 1);
  for (int64_t i = 0; i < n; i++) {
    mgrad_real t = c->x[c->n - 1]->data[i];
    if (t != 1 && t != -1)
      return mgrad_op_fail(c, "target[%d] is %g, expected 1 or -1", i + 1, (double)t);
  }
  return MGRAD_OK;
}

/* The part of a descriptor that the losses of a prediction and a target share. */
#define PAIR(word)                                                                \
  COMMON(word), .operands = "prediction target", .reads = 3
#define WEIGHTED_PAIR(word)                                                       \
  COMMON(word), .operands = "prediction target weight?", .reads = 7, .constant = 4
#define COMMON(word)                                                              \
  MGRAD_NAMED(word), .flags = MGRAD_OP_LOSS, .infer = infer_pair,                     \
  .forward = word##_forward, .backward = word##_backward

/* One example for each reduction. */
#define EXAMPLES(...)                                                             \
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 }, { 3, 4 } }, __VA_ARGS__ },               \
                 { .shapes = { { 7 }, { 7 } }, __VA_ARGS__,                       \
                   .attrs = { { "reduction", SUM } } },                           \
                 { .shapes = { { 2, 3, 2 }, { 2, 3, 2 } }, __VA_ARGS__,           \
                   .attrs = { { "reduction", NONE } } })

#define WEIGHTED_EXAMPLES(...)                                                    \
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 }, { 3, 4 }, { -1 } }, __VA_ARGS__ },       \
                 { .shapes = { { 3, 4 }, { 3, 4 }, { 3, 4 } }, __VA_ARGS__ },     \
                 { .shapes = { { 7 }, { 7 }, { -1 } }, __VA_ARGS__,               \
                   .attrs = { { "reduction", SUM } } },                           \
                 { .shapes = { { 7 }, { 7 }, { 7 } }, __VA_ARGS__,                \
                   .attrs = { { "reduction", NONE } } })

LOSS(mse, (p - t) * (p - t), 2 * (p - t), 2 * (t - p))
MGRAD_OP(mse) = { PAIR(mse), MGRAD_ATTRS(REDUCTION),
  .doc = "mean squared error: (prediction - target)^2",
  EXAMPLES(.low = -2, .high = 2) };

static inline mgrad_real sign(mgrad_real x) { return (mgrad_real)((x > 0) - (x < 0)); }

LOSS(mae, ABS(p - t), sign(p - t), sign(t - p))
MGRAD_OP(mae) = { PAIR(mae), MGRAD_ATTRS(REDUCTION),
  .doc = "mean absolute error: |prediction - target|",
  EXAMPLES(.low = -2, .high = 2) };

static inline mgrad_real huber(mgrad_real d, mgrad_real delta) {
  mgrad_real size = ABS(d);
  return size > delta ? delta * (size - REAL(0.5) * delta) : REAL(0.5) * d * d;
}

static inline mgrad_real clip(mgrad_real d, mgrad_real delta) {
  return d > delta ? delta : d < -delta ? -delta : d;
}

LOSS(huber, huber(p - t, OPTION), clip(p - t, OPTION), clip(t - p, OPTION))
MGRAD_OP(huber) = { PAIR(huber),
  MGRAD_ATTRS(REDUCTION, { "delta", MGRAD_ATTR_REAL, 1, 1e-30, 1e30 }),
  .doc = "squared error, halved, up to delta, and from there a straight line",
  EXAMPLES(.low = -2, .high = 2) };

/* As PyTorch: no log below -100, so that one wrong certainty is not infinite. */
static inline mgrad_real clamped(mgrad_real v) { return v < -100 ? -100 : v; }

static inline mgrad_real bce_slope(mgrad_real p, mgrad_real t) {
  mgrad_real spread = p * (1 - p);
  return (p - t) / (spread < REAL(1e-12) ? REAL(1e-12) : spread);
}

LOSS(bce, -w * (t * clamped(LOG(p)) + (1 - t) * clamped(LOG1P(-p))),
     w * bce_slope(p, t), w * (clamped(LOG1P(-p)) - clamped(LOG(p))))
MGRAD_OP(bce) = { WEIGHTED_PAIR(bce), MGRAD_ATTRS(REDUCTION),
  .check = check_chances,
  .doc = "binary cross entropy of probabilities and targets from 0 to 1",
  WEIGHTED_EXAMPLES(.low = 0.1, .high = 0.9) };

/* log(1 + exp(x)) - t x, with no difference of infinities in it */
static inline mgrad_real logits_value(mgrad_real x, mgrad_real t) {
  mgrad_real rest = x > 0 ? 1 - t : t;
  return LOG1P(EXP(-ABS(x))) + (rest == 0 ? 0 : rest * ABS(x));
}

LOSS(bce_with_logits, w * logits_value(p, t), w * (mgrad_sigmoid(p) - t), -w * p)
MGRAD_OP(bce_with_logits) = { WEIGHTED_PAIR(bce_with_logits),
  MGRAD_ATTRS(REDUCTION),
  .doc = "binary cross entropy of sigmoid(prediction), exact for any size of it",
  WEIGHTED_EXAMPLES(.low = -3, .high = 3) };

/* t * (log t - p), and its slope in t, by their limits at t = 0 */
LOSS(kl_div, t == 0 ? 0 : t * (LOG(t) - p), -t, t == 0 ? 0 : LOG(t) + 1 - p)
MGRAD_OP(kl_div) = { PAIR(kl_div), MGRAD_ATTRS(REDUCTION),
  .doc = "Kullback-Leibler divergence of log-probabilities from target probabilities; "
         "the mean is over all numbers",
  EXAMPLES(.low = -3, .high = -0.1,
                       .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_CHANCES }) };

/* A margin just met still pulls, as in PyTorch: equal numbers get ranked. */
static inline mgrad_real positive(mgrad_real x) { return x < 0 ? 0 : x; }

LOSS(hinge, positive(1 - t * p), 1 - t * p < 0 ? 0 : -t, 1 - t * p < 0 ? 0 : -p)
MGRAD_OP(hinge) = { PAIR(hinge), MGRAD_ATTRS(REDUCTION), .constant = 2,
  .check = check_signs, .doc = "max(0, 1 - target * prediction), targets -1 or 1",
  EXAMPLES(.low = -2, .high = 2,
                       .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_SIGNS }) };

#define SHORTFALL (OPTION - w * (p - t))
LOSS(margin_ranking, positive(SHORTFALL), SHORTFALL < 0 ? 0 : -w, SHORTFALL < 0 ? 0 : w)
#define RANKING(a_, ...)                                                          \
  { .shapes = { a_, a_, a_ }, .low = -2, .high = 2,                               \
    .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_RANGE, MGRAD_FILL_SIGNS }, __VA_ARGS__ }
#define SHAPE(...) { __VA_ARGS__ }
MGRAD_OP(margin_ranking) = { MGRAD_NAMED(margin_ranking),
  .operands = "a b target", .flags = MGRAD_OP_LOSS, .reads = 7, .constant = 4,
  MGRAD_ATTRS(REDUCTION, { "margin", MGRAD_ATTR_REAL, 0 }),
  .infer = infer_ranking, .check = check_signs,
  .forward = margin_ranking_forward, .backward = margin_ranking_backward,
  .doc = "max(0, margin - target * (a - b)): a above b where target is 1, else below",
  MGRAD_EXAMPLES(RANKING(SHAPE(7), .attrs = { { "margin", 0.3 } }),
                 RANKING(SHAPE(3, 4), .attrs = { { "reduction", SUM } }),
                 RANKING(SHAPE(7),
                         .attrs = { { "reduction", NONE }, { "margin", 1 } })) };

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

/* ---- classes: nll, cross_entropy ---- */

#define NO_LABEL (-1e30) /* default of "ignore": no number passes for it, 0 included */

/* Predictions {n, classes, d..} as rows: numbers of one row lie 'inner' apart. */
typedef struct rows {
  int64_t count, classes, inner;
  const mgrad_real *x, *target, *weight;
  bool chances;                /* targets are probabilities, else labels */
  double smoothing, ignore;
} rows;

static rows rows_of(const mgrad_call *c, double smoothing, double ignore) {
  mgrad_split s = mgrad_shape_split(c->x[0], 1);
  return (rows){ s.outer * s.inner, s.n, s.inner, c->x[0]->data, c->x[1]->data,
                 third_of(c), c->x[1]->ndim == c->x[0]->ndim, smoothing, ignore };
}

/* Where row i starts in predictions, and in targets that are probabilities. */
static inline int64_t row_start(const rows *r, int64_t i) {
  return i / r->inner * r->classes * r->inner + i % r->inner;
}

/* The class of row i from 0; -1 where it is ignored. Not for probabilities. */
static inline int64_t row_label(const rows *r, int64_t i) {
  return r->target[i] == REAL(r->ignore) ? -1 : (int64_t)r->target[i] - 1;
}

static inline bool row_ignored(const rows *r, int64_t i) {
  return !r->chances && row_label(r, i) < 0;
}

static inline double class_weight(const rows *r, int64_t j) {
  return r->weight ? (double)r->weight[j] : 1;
}

/* The classes from *first to before *last are those that row i is about. */
static void row_classes(const rows *r, int64_t i, int64_t *first, int64_t *last) {
  bool one = !r->chances && r->smoothing == 0;
  *first = one ? row_label(r, i) : 0;
  *last = one ? *first + 1 : r->classes;
}

/* What class j counts in row i: its smoothed target times its weight. The loss
** of a row is minus the sum over j of share times log-probability. */
static inline double share(const rows *r, int64_t i, int64_t j) {
  double target = r->chances ? (double)r->target[row_start(r, i) + j * r->inner]
                             : j == row_label(r, i);
  return class_weight(r, j) * ((1 - r->smoothing) * target +
                               r->smoothing / (double)r->classes);
}

/* What a mean divides by: the weights of the labels, or the number of rows. */
static double row_total(const rows *r) {
  if (r->chances) return (double)r->count;
  double sum = 0;
  for (int64_t i = 0; i < r->count; i++)
    if (!row_ignored(r, i)) sum += class_weight(r, row_label(r, i));
  return sum;
}

/* Shapes of both; 'chances' allows probabilities as targets. */
static mgrad_status infer_rows(mgrad_call *c, bool chances) {
  const mgrad_array *x = c->x[0], *target = c->x[1];
  const mgrad_array *weight = c->n > 2 ? c->x[2] : NULL;
  if (x->ndim < 2)
    return mgrad_op_fail(c, "prediction is %a, expected {n, classes}", x);
  mgrad_array labels = { .ndim = x->ndim - 1 };
  for (int d = 0; d < labels.ndim; d++) labels.size[d] = x->size[d ? d + 1 : 0];
  bool fits = mgrad_shape_equal(target, &labels) ||
              (chances && mgrad_shape_equal(target, x));
  if (!fits && chances)
    return mgrad_op_fail(c, "target is %a, expected labels %a or probabilities %a",
                         target, &labels, x);
  if (!fits)
    return mgrad_op_fail(c, "target is %a, expected labels %a", target, &labels);
  if (weight && (weight->ndim != 1 || weight->size[0] != x->size[1]))
    return mgrad_op_fail(c, "weight is %a, expected {%d}", weight, x->size[1]);
  infer_reduced(c, &labels);
  return MGRAD_OK;
}

static mgrad_status nll_infer(mgrad_call *c) { return infer_rows(c, false); }

static mgrad_status nll_check(const mgrad_call *c) {
  return mgrad_check_ids(c, 1, "a class", c->x[0]->size[1], c->attrs->value[1]);
}

static void nll_forward(mgrad_call *c) {
  rows r = rows_of(c, 0, c->attrs->value[1]);
  mgrad_real *values = values_of(c);
  for (int64_t i = 0; i < r.count; i++) {
    int64_t label = row_label(&r, i);
    double weight = label < 0 ? 0 : class_weight(&r, label);
    values[i] = weight == 0 ? 0
              : REAL(-weight * (double)r.x[row_start(&r, i) + label * r.inner]);
  }
  reduce(c, r.count, row_total(&r));
}

static void nll_backward(mgrad_call *c) {
  if (!c->dx[0]) return;
  rows r = rows_of(c, 0, c->attrs->value[1]);
  upstream u = upstream_of(c, row_total(&r));
  mgrad_call_clear(c, 0);
  for (int64_t i = 0; i < r.count; i++) {
    int64_t label = row_label(&r, i);
    if (label < 0) continue;
    mgrad_real *dx = c->dx[0] + row_start(&r, i) + label * r.inner;
    *dx -= up(&u, i) * REAL(class_weight(&r, label));
  }
}

#define LABELS(count) .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_LABELS }, .labels = count
#define CHANCES .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_CHANCES }
#define CLASSES_OF(word)                                                          \
  MGRAD_NAMED(word), .operands = "prediction target weight?", .flags = MGRAD_OP_LOSS,  \
  .infer = word##_infer, .check = word##_check, .forward = word##_forward,        \
  .backward = word##_backward

MGRAD_OP(nll) = { CLASSES_OF(nll), .reads = 6, .constant = 6,
  MGRAD_ATTRS(REDUCTION, { "ignore", MGRAD_ATTR_REAL, NO_LABEL }),
  .doc = "minus the log-probability {n, classes, ...} of each label from 1, times its "
         "class's weight; rows labelled 'ignore' count nothing, and a mean of none is 0",
  MGRAD_EXAMPLES(
    { .shapes = { { 4, 5 }, { 4 }, { -1 } }, .low = -3, .high = -0.1, LABELS(5) },
    { .shapes = { { 6, 3 }, { 6 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3) },
    { .shapes = { { 6, 3 }, { 6 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "ignore", 2 } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { -1 } }, .low = -3, .high = -0.1, LABELS(3),
      .attrs = { { "reduction", SUM } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "reduction", NONE } } }) };

enum { SMOOTHING_AT = 1, IGNORE_AT = 2 };

static rows entropy_rows(const mgrad_call *c) {
  return rows_of(c, c->attrs->value[SMOOTHING_AT], c->attrs->value[IGNORE_AT]);
}

/* Rows whose exps are taken together: a loop over a few classes would not fill a
** vector. */
static int64_t rows_at_once(int64_t classes) { return classes < BLOCK ? BLOCK / classes : 1; }

/* Saves the largest number of a row and the log of the sum of exps below it; works
** in some rows of numbers, after the values in forward. */
static mgrad_status cross_entropy_infer(mgrad_call *c) {
  MGRAD_TRY(infer_rows(c, true));
  mgrad_split s = mgrad_shape_split(c->x[0], 1);
  c->nsaved = 2 * s.outer * s.inner;
  c->nwork_backward = rows_at_once(s.n) * s.n;
  c->nwork += c->nwork_backward;
  return MGRAD_OK;
}

static mgrad_status cross_entropy_check(const mgrad_call *c) {
  if (c->x[1]->ndim == c->x[0]->ndim) return MGRAD_OK;
  return mgrad_check_ids(c, 1, "a class", c->x[0]->size[1], c->attrs->value[IGNORE_AT]);
}

/* x - max, which is 0 at the largest even when that is infinite */
static inline mgrad_real below(mgrad_real x, mgrad_real max) {
  return x == max ? 0 : x - max;
}

static inline mgrad_real log_chance(mgrad_real x, const mgrad_real norm[2]) {
  return below(x, norm[0]) - norm[1];
}

static mgrad_real entropy_value(const rows *r, int64_t i, const mgrad_real norm[2]) {
  int64_t first, last;
  double sum = 0;
  row_classes(r, i, &first, &last);
  for (int64_t j = first; j < last; j++) {
    double s = share(r, i, j); /* 0 also silences an infinite log */
    mgrad_real x = r->x[row_start(r, i) + j * r->inner];
    if (s != 0) sum -= s * (double)log_chance(x, norm);
  }
  return REAL(sum);
}

static void exp_all(int64_t n, mgrad_real *x) { MGRAD_EACH(k, n) x[k] = EXP(x[k]); }

/* Fills norm = { max, log(sum of exp(x - max)) } of rows first to end - 1; one of the
** exps of each is 1. */
static void normalise(const rows *r, int64_t first, int64_t end, mgrad_real *work,
                      mgrad_real *norm) {
  mgrad_real *w = work;
  for (int64_t i = first; i < end; i++, w += r->classes) {
    const mgrad_real *x = r->x + row_start(r, i);
    mgrad_real max = x[0];
    for (int64_t j = 1; j < r->classes; j++)
      if (x[j * r->inner] > max) max = x[j * r->inner];
    for (int64_t j = 0; j < r->classes; j++) w[j] = below(x[j * r->inner], max);
    norm[2 * i] = max;
  }
  exp_all((end - first) * r->classes, work);
  for (int64_t i = first; i < end; i++, work += r->classes)
    norm[2 * i + 1] = LOG1P(REAL(mgrad_sum(r->classes, work, 1) - 1));
}

static void cross_entropy_forward(mgrad_call *c) {
  rows r = entropy_rows(c);
  mgrad_real *values = values_of(c);
  mgrad_real *work = c->work + (values == c->work ? r.count : 0);
  int64_t most = rows_at_once(r.classes);
  for (int64_t first = 0; first < r.count; first += most) {
    int64_t end = mgrad_min_size(first + most, r.count);
    normalise(&r, first, end, work, c->saved);
    for (int64_t i = first; i < end; i++)
      values[i] = row_ignored(&r, i) ? 0 : entropy_value(&r, i, c->saved + 2 * i);
  }
  reduce(c, r.count, row_total(&r));
}

/* d loss / d logit j = probability j * sum of all shares - share j; 'chance' holds the
** probabilities of row i */
static void row_slope(const mgrad_call *c, const rows *r, const upstream *u, int64_t i,
                      const mgrad_real *chance) {
  int64_t start = row_start(r, i), first, last;
  bool ignored = row_ignored(r, i);
  double total = 0;
  row_classes(r, i, &first, &last);
  for (int64_t j = first; !ignored && j < last; j++) total += share(r, i, j);
  for (int64_t j = 0; j < r->classes; j++) {
    double d = ignored ? 0 : total * (double)chance[j];
    if (!ignored && j >= first && j < last) d -= share(r, i, j);
    put(c->dx[0] + start + j * r->inner, c->add[0], ignored ? 0 : up(u, i) * REAL(d));
  }
}

static void entropy_slope(const mgrad_call *c, const rows *r, const upstream *u) {
  int64_t most = rows_at_once(r->classes);
  for (int64_t first = 0; first < r->count; first += most) {
    int64_t end = mgrad_min_size(first + most, r->count);
    mgrad_real *w = c->work;
    for (int64_t i = first; i < end; i++)
      for (int64_t j = 0; j < r->classes; j++)
        *w++ = log_chance(r->x[row_start(r, i) + j * r->inner], c->saved + 2 * i);
    exp_all(w - c->work, c->work);
    w = c->work;
    for (int64_t i = first; i < end; i++, w += r->classes) row_slope(c, r, u, i, w);
  }
}

/* d loss / d target probability j = minus its weight * log-probability */
static void entropy_target_slope(const mgrad_call *c, const rows *r, const upstream *u) {
  for (int64_t i = 0; i < r->count; i++)
    for (int64_t j = 0; j < r->classes; j++) {
      int64_t at = row_start(r, i) + j * r->inner;
      double s = class_weight(r, j) * (1 - r->smoothing);
      double l = s != 0 ? s * (double)log_chance(r->x[at], c->saved + 2 * i) : 0;
      put(c->dx[1] + at, c->add[1], -up(u, i) * REAL(l));
    }
}

static void cross_entropy_backward(mgrad_call *c) {
  rows r = entropy_rows(c);
  upstream u = upstream_of(c, row_total(&r));
  if (c->dx[0]) entropy_slope(c, &r, &u);
  if (c->dx[1] && r.chances) entropy_target_slope(c, &r, &u);
  if (c->dx[1] && !r.chances) mgrad_call_clear(c, 1);
}

MGRAD_OP(cross_entropy) = { CLASSES_OF(cross_entropy), .reads = 7,
  .constant = 4,
  MGRAD_ATTRS(REDUCTION, { "label_smoothing", MGRAD_ATTR_REAL, 0, 0, 1 },
              { "ignore", MGRAD_ATTR_REAL, NO_LABEL }),
  .doc = "nll of log_softmax of logits {n, classes, ...}; the target is labels from 1, "
         "or probabilities in the shape of the logits",
  MGRAD_EXAMPLES(
    { .shapes = { { 4, 5 }, { 4 }, { -1 } }, .low = -3, .high = 3, LABELS(5) },
    { .shapes = { { 6, 3 }, { 6 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "label_smoothing", 0.2 }, { "ignore", 2 } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "reduction", NONE } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { -1 } }, .low = -2, .high = 2, LABELS(3),
      .attrs = { { "reduction", SUM }, { "label_smoothing", 0.1 } } },
    { .shapes = { { 4, 3 }, { 4, 3 }, { -1 } }, .low = -2, .high = 2, CHANCES },
    { .shapes = { { 2, 3, 2 }, { 2, 3, 2 }, { 3 } }, .low = 0.1, .high = 2, CHANCES,
      .attrs = { { "label_smoothing", 0.3 } } }) };
