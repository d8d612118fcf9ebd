/*
** loss.c - how far predictions are from targets, number by number.
**
** LOSS(name, value, slope_p, slope_t) makes the loops of a loss from expressions in p
** (prediction), t (target) and w (the third operand, 1 where there is none), which is
** laid out a block at a time, as is the gradient from above: each expression needs one
** loop. Shapes must be equal: a target {4} broadcast against {4, 1} would be {4, 4}, an
** old and silent mistake.
*/
#include "loss.h"

enum { BLOCK = 256 }; /* numbers that are worked on together */

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

/* One without a gradient for its target, and one with. */
#define LOSS_OF_PREDICTION(name, value, slope_p)                                  \
  LOOP(name##_value, value)                                                       \
  LOOP(name##_slope_p, us[i] * (slope_p))                                         \
  static void name##_forward(mgrad_call *c) { run_forward(c, name##_value); }         \
  static void name##_backward(mgrad_call *c) { run_backward(c, 0, name##_slope_p); }

#define LOSS(name, value, slope_p, slope_t)                                       \
  LOOP(name##_value, value)                                                       \
  LOOP(name##_slope_p, us[i] * (slope_p))                                         \
  LOOP(name##_slope_t, us[i] * (slope_t))                                         \
  static void name##_forward(mgrad_call *c) { run_forward(c, name##_value); }         \
  static void name##_backward(mgrad_call *c) {                                    \
    run_backward(c, 0, name##_slope_p);                                               \
    run_backward(c, 1, name##_slope_t);                                               \
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
  if (weights && ups && !add && n <= MGRAD_POOL_PART) {
    f(c, n, ps, ts, ws, us, out);
    return;
  }
  mgrad_real ones[BLOCK], single[BLOCK], d[BLOCK];
  if (!weights) fill(ones, n, 1);
  if (!ups) fill(single, n, up(u, 0));
  for (int64_t i = 0, m; i < n; i += m) {
    m = mgrad_min_size(BLOCK, n - i);
    if (!mgrad_call_continues(c, m)) return;
    f(c, m, ps + i, ts + i, ws != NULL ? ws + i : ones, us != NULL ? us + i : single,
      add ? d : out + i);
    for (int64_t j = 0; j < m && add; j++) out[i + j] += d[j];
  }
}

enum { BATCHMEAN = NONE + 1 }; /* the sum, over the number of examples */

static double count_of(const mgrad_call *c) {
  const mgrad_array *p = c->x[0];
  if (mgrad_call_int(c, 0) == BATCHMEAN) return p->ndim > 0 ? (double)p->size[0] : 1;
  return (double)mgrad_shape_numel(p);
}

static void run_forward(mgrad_call *c, loop value) {
  int64_t n = mgrad_call_numel(c, 0);
  run(c, value, n, NULL, values_of(c), false);
  reduce(c, n, count_of(c));
}

static void run_backward(mgrad_call *c, int i, loop slope) {
  if (c->dx[i] == NULL) return;
  int64_t n = mgrad_call_numel(c, 0);
  upstream u = upstream_of(c, count_of(c));
  run(c, slope, n, &u, c->dx[i], c->add[i]);
}

/* Checks that the operands have one shape; 'names' are those of the three. */
static mgrad_status infer_equal(mgrad_call *c, const char *const names[3]) {
  for (int i = 1; i < c->n && i < 3; i++)
    if (c->x[i] && !mgrad_shape_equal(c->x[i], c->x[0]))
      return mgrad_op_fail(c, "%s is %a, expected %a as %s", names[i], c->x[i], c->x[0],
                           names[0]);
  infer_reduced(c, c->x[0]);
  return MGRAD_OK;
}

static mgrad_status infer_pair(mgrad_call *c) {
  return infer_equal(c, (const char *const[]){ "the prediction", "target", "weight" });
}

/* pos_weight is a number, or has the last sizes of the prediction. */
static mgrad_status infer_logits(mgrad_call *c) {
  const mgrad_array *p = c->x[0], *w = c->n > 3 ? c->x[3] : NULL;
  for (int d = 1; w != NULL && d <= w->ndim; d++)
    if (d > p->ndim || w->size[w->ndim - d] != p->size[p->ndim - d])
      return mgrad_op_fail(c, "pos_weight is %a, expected a number or the last sizes of the"
                           " prediction, %a", w, p);
  return infer_pair(c);
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

/* Targets that are chances. */
static mgrad_status check_parts(const mgrad_call *c) {
  int64_t n = mgrad_call_numel(c, 1);
  for (int64_t i = 0; i < n; i++) {
    mgrad_real t = c->x[1]->data[i];
    if (!(t >= 0 && t <= 1))
      return mgrad_op_fail(c, "target[%d] is %g, expected a number from 0 to 1", i + 1,
                           (double)t);
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

#define WEIGHTED(...)                                                             \
  { .shapes = { { 3, 4 }, { 3, 4 }, { -1 }, { -1 } }, __VA_ARGS__ },              \
  { .shapes = { { 3, 4 }, { 3, 4 }, { 3, 4 }, { -1 } }, __VA_ARGS__ },            \
  { .shapes = { { 7 }, { 7 }, { -1 }, { -1 } }, __VA_ARGS__,                      \
    .attrs = { { "reduction", SUM } } },                                          \
  { .shapes = { { 7 }, { 7 }, { 7 }, { -1 } }, __VA_ARGS__,                       \
    .attrs = { { "reduction", NONE } } }

#define BITS .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_BITS }

LOSS(mse, (p - t) * (p - t), 2 * (p - t), 2 * (t - p))
MGRAD_OP(mse) = { PAIR(mse), MGRAD_ATTRS(REDUCTION),
  .doc = "mean squared error: (prediction - target)^2",
  EXAMPLES(.low = -2, .high = 2) };

static inline mgrad_real sign(mgrad_real x) { return (mgrad_real)((x > 0) - (x < 0)); }

LOSS(mae, ABS(p - t), sign(p - t), sign(t - p))
MGRAD_OP(mae) = { PAIR(mae), MGRAD_ATTRS(REDUCTION),
  .doc = "mean absolute error: |prediction - target|",
  EXAMPLES(.low = -2, .high = 2) };

static inline mgrad_real huber_of(mgrad_real d, mgrad_real delta) {
  mgrad_real size = ABS(d);
  return size > delta ? delta * (size - REAL(0.5) * delta) : REAL(0.5) * d * d;
}

static inline mgrad_real clip(mgrad_real d, mgrad_real delta) {
  return d > delta ? delta : d < -delta ? -delta : d;
}

LOSS(huber, huber_of(p - t, OPTION), clip(p - t, OPTION), clip(t - p, OPTION))
MGRAD_OP(huber) = { PAIR(huber),
  MGRAD_ATTRS(REDUCTION, { "delta", MGRAD_ATTR_REAL, 1, MGRAD_ABOVE_0, 1e30,
                           .doc = "where the line begins" }),
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
  MGRAD_EXAMPLES(WEIGHTED(.low = 0.1, .high = 0.9)) };

/* log(1 + exp(x)) - t x, with no difference of infinities in it */
INLINE mgrad_real logits_value(mgrad_real x, mgrad_real t) {
  mgrad_real rest = x > 0 ? 1 - t : t;
  return LOG1P(EXP(-ABS(x))) + (rest == 0 ? 0 : rest * ABS(x));
}

/* What a yes counts where the prediction is at 'p'. */
static inline mgrad_real yes_weight(const mgrad_call *c, const mgrad_real *p) {
  const mgrad_array *w = c->x[3];
  return w->data[(p - c->x[0]->data) % mgrad_shape_numel(w)];
}

/* log(1 + exp(x)) */
static mgrad_real softplus(mgrad_real x) { return logits_value(x, 0); }

#define YES yes_weight(c, ps + i)
LOSS(even, w * logits_value(p, t), w * (mgrad_sigmoid(p) - t), -w * p)
LOSS(sided, w * (YES * t * softplus(-p) + (1 - t) * softplus(p)),
     w * ((1 - t) * mgrad_sigmoid(p) - YES * t * mgrad_sigmoid(-p)),
     w * (YES * softplus(-p) - softplus(p)))

static bool is_sided(const mgrad_call *c) { return c->n > 3 && c->x[3] != NULL; }

static void bce_with_logits_forward(mgrad_call *c) {
  (is_sided(c) ? sided_forward : even_forward)(c);
}

static void bce_with_logits_backward(mgrad_call *c) {
  (is_sided(c) ? sided_backward : even_backward)(c);
}

MGRAD_OP(bce_with_logits) = { MGRAD_NAMED(bce_with_logits), .flags = MGRAD_OP_LOSS,
  .operands = "prediction target weight? pos_weight?", .reads = 15, .constant = 12,
  .infer = infer_logits, .forward = bce_with_logits_forward,
  .backward = bce_with_logits_backward, MGRAD_ATTRS(REDUCTION),
  .doc = "binary cross entropy of sigmoid(prediction), exact for any size of it; a yes, a"
         " target of 1, counts pos_weight times, a number or one for each class {classes}",
  MGRAD_EXAMPLES(WEIGHTED(.low = -3, .high = 3),
                 { .shapes = { { 3, 4 }, { 3, 4 }, { -1 }, { 4 } }, .low = 0.1, .high = 2 },
                 { .shapes = { { 7 }, { 7 }, { 7 }, { 0 } }, .low = 0.1, .high = 2,
                   .attrs = { { "reduction", SUM } } }) };

/* Lin et al., "Focal loss for dense object detection", 2017: bce_with_logits times
** 'balance', alpha where the target is 1 and 1 - alpha where it is 0, and times the
** chance 'wrong' given to what did not happen, to the power gamma. */
typedef struct focus { mgrad_real chance, against, wrong, balance; } focus;

static inline focus focus_of(const mgrad_call *c, mgrad_real x, mgrad_real t) {
  mgrad_real chance = mgrad_sigmoid(x), against = mgrad_sigmoid(-x);
  mgrad_real alpha = REAL(c->attrs->value[2]);
  return (focus){ chance, against, chance * (1 - t) + against * t,
                  alpha < 0 ? 1 : alpha * t + (1 - alpha) * (1 - t) };
}

static inline mgrad_real focal_of(const mgrad_call *c, mgrad_real x, mgrad_real t) {
  focus f = focus_of(c, x, t);
  return f.balance * mgrad_power(f.wrong, OPTION) * logits_value(x, t);
}

/* d wrong / d x = (1 - 2 t) chance against */
static inline mgrad_real focal_slope(const mgrad_call *c, mgrad_real x, mgrad_real t) {
  focus f = focus_of(c, x, t);
  mgrad_real power = mgrad_power(f.wrong, OPTION);
  mgrad_real turn = f.wrong > 0 ? OPTION * power / f.wrong * f.chance * f.against : 0;
  return f.balance * (power * (f.chance - t) + (1 - 2 * t) * turn * logits_value(x, t));
}

LOSS_OF_PREDICTION(focal, focal_of(c, p, t), focal_slope(c, p, t))
MGRAD_OP(focal) = { PAIR(focal), .constant = 2, .check = check_parts,
  MGRAD_ATTRS(REDUCTION, { "gamma", MGRAD_ATTR_REAL, 2, 0, 1e30,
                           .doc = "how little what is nearly right counts" },
              { "alpha", MGRAD_ATTR_REAL, 0.25, -1, 1, .doc = "what targets of 1 count" }),
  .doc = "bce_with_logits that counts what is nearly right less, by the power 'gamma', "
         "and targets of 1 by 'alpha', others by 1 - alpha; alpha below 0: all alike",
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 }, { 3, 4 } }, .low = -3, .high = 3, BITS },
                 { .shapes = { { 7 }, { 7 } }, .low = -3, .high = 3, BITS,
                   .attrs = { { "reduction", SUM }, { "gamma", 0.5 }, { "alpha", -1 } } },
                 { .shapes = { { 2, 1, 3 }, { 2, 1, 3 } }, .low = 0.1, .high = 0.9,
                   .attrs = { { "reduction", NONE }, { "gamma", 0 } } }) };

/* t * (log t - p), and its slope in t, by their limits at t = 0 */
LOSS(kl_div, t == 0 ? 0 : t * (LOG(t) - p), -t, t == 0 ? 0 : LOG(t) + 1 - p)
MGRAD_OP(kl_div) = { PAIR(kl_div),
  MGRAD_ATTRS({ "reduction", MGRAD_ATTR_CHOICE, MEAN, 0, 0, "mean|sum|none|batchmean",
                .doc = "what is made of the values" }),
  .doc = "Kullback-Leibler divergence of log-probabilities from target probabilities; "
         "the mean is over all numbers, batchmean over the examples",
  EXAMPLES(.low = -3, .high = -0.1,
                       .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_CHANCES }) };

LOSS_OF_PREDICTION(hinge, positive(1 - t * p), 1 - t * p < 0 ? 0 : -t)
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
  MGRAD_ATTRS(REDUCTION, { "margin", MGRAD_ATTR_REAL, 0,
                           .doc = "how far apart is far enough" }),
  .infer = infer_ranking, .check = check_signs,
  .forward = margin_ranking_forward, .backward = margin_ranking_backward,
  .doc = "max(0, margin - target * (a - b)): a above b where target is 1, else below",
  MGRAD_EXAMPLES(RANKING(SHAPE(7), .attrs = { { "margin", 0.3 } }),
                 RANKING(SHAPE(3, 4), .attrs = { { "reduction", SUM } }),
                 RANKING(SHAPE(7),
                         .attrs = { { "reduction", NONE }, { "margin", 1 } })) };
