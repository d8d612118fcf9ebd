/*
** reduce.c - many numbers into one: along a dimension, or all of them.
**
** The numbers are seen as {outer, n, inner} and worked on in blocks: m columns
** of n numbers, each giving one result. FOLDING(name, fold, result) makes a
** forward: 'result' is written in F, what the fold made of a column, n, and p, the
** op's own attribute. GRADIENT(name, fold, scale, slopes) makes a backward: the
** fold gives F again, 'scale' is worked out once a column as S, and SLOPES(slopes,
** slope) has made the loops of an expression for each number. X, Y, DY stand for
** places in memory and are looked at only where an expression names them; K is the
** position in the column, from 0.
*/
#include "../op.h"
#include "../kernels/kernels.h"
#include "../kernels/maths.h"

enum { DIM, KEEPDIM, OWN }; /* attributes */
enum { COLUMNS = 256 };

/* Ids are numbers too: the largest with all integers below it exact. */
#define MAX_ID ((int64_t)1 << (sizeof(mgrad_real) == sizeof(double) ? 53 : 24))

/* ---- blocks ---- */

typedef struct block {
  int64_t n, stride, m; /* m columns of n rows, 'stride' apart */
  int64_t in, out;      /* where the first column starts in x, in y */
} block;

static mgrad_split split(const mgrad_call *c) {
  int position = 0;
  if (c->attrs->value[DIM] == 0) return (mgrad_split){ 1, mgrad_call_numel(c, 0), 1 };
  (void)mgrad_shape_dim(c->ctx, c->op->name, c->x[0], c->attrs->value[DIM], &position);
  return mgrad_shape_split(c->x[0], position);
}

static void each_block(mgrad_call *c, void (*f)(mgrad_call *c, const block *b)) {
  mgrad_split s = split(c);
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < s.inner; i += COLUMNS) {
      block b = { s.n, s.inner, mgrad_min_size(COLUMNS, s.inner - i),
                  o * s.n * s.inner + i, o * s.inner + i };
      if (!mgrad_call_continues(c, b.n * b.m)) return;
      f(c, &b);
    }
}

/* A loop over all numbers; a single column is a plain loop the compiler knows. */
#define EACH_NUMBER(statement)                                                    \
  for (int64_t first = 0, end; first < b->n; first = end) {                       \
    end = mgrad_min_size(first + (MGRAD_POOL_PART + b->m - 1) / b->m, b->n);      \
    if (!mgrad_call_continues(c, (end - first) * b->m)) return;                   \
    if (b->stride == 1) {                                                         \
      enum { stride = 1, j = 0 };                                                 \
      for (int64_t k = first; k < end; k++) { statement }                         \
    } else {                                                                      \
      int64_t stride = b->stride;                                                 \
      for (int64_t k = first; k < end; k++)                                       \
        for (int64_t j = 0; j < b->m; j++) { statement }                          \
    }                                                                             \
  }

#define F folded[j]
#define S scales[j]
#define X ((double)xs[k * stride + j])
#define Y ((double)ys[j])
#define DY ((double)dys[j])
#define K ((double)k)

#define FOLDING(name, fold, result)                                             \
  static void name##_block(mgrad_call *c, const block *b) {                       \
    double folded[COLUMNS], n = (double)b->n, p = c->attrs->value[OWN];           \
    mgrad_real *ys = c->y->data + b->out;                                         \
    fold(b->n, c->x[0]->data + b->in, b->stride, b->m, NULL, p, folded);          \
    (void)n;                                                                      \
    for (int64_t j = 0; j < b->m; j++) ys[j] = REAL(result);                      \
  }                                                                               \
  static void name##_forward(mgrad_call *c) { each_block(c, name##_block); }

#define SLOPES(name, slope)                                                       \
  static void name(mgrad_call *c, const block *b, const double *folded,           \
                   const double *scales) {                                        \
    double p = c->attrs->value[OWN];                                              \
    const mgrad_real *xs = NULL, *ys = NULL;                                      \
    mgrad_real *dxs = c->dx[0] + b->in;                                           \
    bool add = c->add[0];                                                         \
    (void)folded, (void)p;                                                        \
    if (c->op->reads & READS_X) xs = c->x[0]->data + b->in;                       \
    if (c->op->reads & MGRAD_READS_Y) ys = c->y->data + b->out;                   \
    (void)xs, (void)ys;                                                           \
    EACH_NUMBER(mgrad_real *dx = &dxs[k * stride + j]; mgrad_real d = REAL(slope); \
                *dx = add ? *dx + d : d;)                                         \
  }

#define GRADIENT(name, fold, scale, slopes)                                       \
  static void name##_slopes(mgrad_call *c, const block *b) {                      \
    double folded[COLUMNS], scales[COLUMNS];                                      \
    double n = (double)b->n, p = c->attrs->value[OWN];                            \
    const mgrad_real *xs = NULL, *ys = NULL, *dys = c->dy + b->out;               \
    (void)n;                                                                      \
    if (c->op->reads & READS_X) xs = c->x[0]->data + b->in;                       \
    if (c->op->reads & MGRAD_READS_Y) ys = c->y->data + b->out;                   \
    (void)ys;                                                                     \
    fold(b->n, xs, b->stride, b->m, NULL, p, folded);                             \
    for (int64_t j = 0; j < b->m; j++) S = (scale);                               \
    slopes(c, b, folded, scales);                                                 \
  }                                                                               \
  static void name##_backward(mgrad_call *c) {                                    \
    if (c->dx[0] != NULL) each_block(c, name##_slopes);                           \
  }

/* ---- folds of more than one pass ---- */

#define FOLD(name)                                                                \
  static void name(int64_t n, const mgrad_real *x, int64_t stride, int64_t m,     \
                   const double *center, double p, double *out)

FOLD(nothing) {
  (void)n, (void)x, (void)stride, (void)center, (void)p;
  for (int64_t j = 0; j < m; j++) out[j] = 0;
}

FOLD(means) {
  mgrad_fold_sum(n, x, stride, m, center, p, out);
  for (int64_t j = 0; j < m; j++) out[j] /= (double)n;
}

/* Sums of squared deviations from the mean. */
FOLD(deviations) {
  double mean[COLUMNS];
  means(n, x, stride, m, center, p, mean);
  mgrad_fold_squares(n, x, stride, m, mean, p, out);
}

/* Turns extremes into the position of the first number that is one. */
static void locate(int64_t n, const mgrad_real *x, int64_t stride, int64_t m,
                   double *out) {
  for (int64_t j = 0; j < m; j++) {
    const mgrad_real *column = x + j;
    mgrad_real extreme = REAL(out[j]);
    int64_t k = 0, last = (n - 1) * stride;
    if (extreme == extreme)
      while (k < last && column[k] != extreme) k += stride;
    else /* NaN: equal to nothing, itself included */
      while (k < last && column[k] == column[k]) k += stride;
    int64_t found = k / stride;
    out[j] = (double)found;
  }
}

FOLD(first_max) {
  mgrad_fold_max(n, x, stride, m, center, p, out);
  locate(n, x, stride, m, out);
}

FOLD(first_min) {
  mgrad_fold_min(n, x, stride, m, center, p, out);
  locate(n, x, stride, m, out);
}

/* |x| is divided by its largest first, so that no power overflows. The power 0 counts what
** is not 0, which a very small one does. */
static void power_norms(int64_t n, const mgrad_real *x, int64_t stride, int64_t m,
                        double p, double *out) {
  double high[COLUMNS];
  mgrad_fold_max(n, x, stride, m, NULL, p, high);
  mgrad_fold_min(n, x, stride, m, NULL, p, out);
  for (int64_t j = 0; j < m; j++)
    if (-out[j] > high[j]) high[j] = -out[j];
  if (p < HUGE_VAL) mgrad_fold_powers(n, x, stride, m, high, p > 0 ? p : 1e-30, out);
  for (int64_t j = 0; j < m; j++) {
    bool plain = high[j] > 0 && high[j] < HUGE_VAL; /* not 0, infinite or NaN */
    if (!plain || p == HUGE_VAL) out[j] = high[j];
    else if (p > 0) out[j] = high[j] * (double)mgrad_power(REAL(out[j]), REAL(1 / p));
  }
}

FOLD(norms) {
  if (p == 1) {
    mgrad_fold_abs(n, x, stride, m, center, p, out);
  } else if (p == 2) {
    mgrad_fold_squares(n, x, stride, m, center, p, out);
    for (int64_t j = 0; j < m; j++) out[j] = sqrt(out[j]);
  } else {
    power_norms(n, x, stride, m, p, out);
  }
}

/* How many numbers share the slope: with p infinite those as far from 0 as any. */
FOLD(sharers) {
  nothing(n, x, stride, m, center, p, out);
  if (p < HUGE_VAL) return;
  double norm[COLUMNS];
  power_norms(n, x, stride, m, p, norm);
  for (int64_t k = 0; k < n; k++)
    for (int64_t j = 0; j < m; j++) out[j] += fabs((double)x[k * stride + j]) == norm[j];
}

/* d norm / d x = sign(x) (|x| / norm)^(p - 1), p != 2 */
static inline double norm_slope(double x, double norm, double p) {
  if (norm == 0 || x == 0 || p == 0) return 0;
  if (p == 1) return x > 0 ? 1 : -1;
  if (p == HUGE_VAL) return fabs(x) < norm ? 0 : x > 0 ? 1 : -1;
  return copysign((double)mgrad_power(REAL(fabs(x) / norm), REAL(p - 1)), x);
}

/* ---- shapes ---- */

static mgrad_status reduce_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  bool all = c->attrs->value[DIM] == 0, keep = c->attrs->value[KEEPDIM] != 0;
  int position = 0;
  if (!all)
    MGRAD_TRY(mgrad_shape_dim(c->ctx, c->op->name, x, c->attrs->value[DIM], &position));
  c->y->ndim = 0;
  for (int d = 0; d < x->ndim; d++) {
    bool reduced = all || d == position;
    if (!reduced || keep) c->y->size[c->y->ndim++] = reduced ? 1 : x->size[d];
  }
  return MGRAD_OK;
}

static mgrad_status spread_infer(mgrad_call *c) {
  MGRAD_TRY(reduce_infer(c));
  int64_t n = split(c).n, correction = mgrad_call_int(c, OWN);
  if (n > correction) return MGRAD_OK;
  return mgrad_op_fail(c, "x is %a, so n is %d, expected %d or more with correction %d",
                       c->x[0], n, correction + 1, correction);
}

static mgrad_status arg_infer(mgrad_call *c) {
  MGRAD_TRY(reduce_infer(c));
  int64_t n = split(c).n;
  if (n <= MAX_ID) return MGRAD_OK;
  return mgrad_op_fail(c, "x is %a, so ids go to %d, but are exact only up to %d",
                       c->x[0], n, MAX_ID);
}

/* ---- the ops ---- */

#define READS_X 1u
#define ATTRS                                                                     \
  { "dim", MGRAD_ATTR_DIM, 0, .doc = "the dimension that is taken together" },    \
  { "keepdim", MGRAD_ATTR_BOOL, 0, .doc = "that dimension stays, of size 1" }
#define CORRECTION                                                                \
  { "correction", MGRAD_ATTR_INT, 1, 0, 1e15,                                     \
    .doc = "1 where the n numbers are a sample of more, 0 where they are all" }
#define REDUCE(word, shapes)                                                      \
  MGRAD_NAMED(word), .operands = "x", .order = "x dim keepdim", .infer = shapes,  \
  .forward = word##_forward

/* One of all, in one column, in few columns, in many. */
#define EXAMPLES                                                                  \
  MGRAD_EXAMPLES(                                                                 \
    { .shapes = { { 3, 4 } } },                                                   \
    { .shapes = { { 2, 3, 4 } }, .attrs = { { "dim", 2 } } },                     \
    { .shapes = { { 2, 40 } }, .attrs = { { "dim", -1 }, { "keepdim", 1 } } },    \
    { .shapes = { { 2, 3, 9 } }, .attrs = { { "dim", 2 }, { "keepdim", 1 } } },   \
    { .shapes = { { 2, 2, 2 } }, .attrs = { { "keepdim", 1 } } })

FOLDING(sum, mgrad_fold_sum, F)
SLOPES(spread, S)
GRADIENT(sum, nothing, DY, spread)
MGRAD_OP(sum) = { REDUCE(sum, reduce_infer),
  .backward = sum_backward, MGRAD_ATTRS(ATTRS),
  .doc = "the sum along dim, or of all", EXAMPLES };

FOLDING(mean, mgrad_fold_sum, F / n)
GRADIENT(mean, nothing, DY / n, spread)
MGRAD_OP(mean) = { REDUCE(mean, reduce_infer),
  .backward = mean_backward, MGRAD_ATTRS(ATTRS),
  .doc = "the mean along dim, or of all", EXAMPLES };

FOLDING(max, mgrad_fold_max, F)
SLOPES(to_position, K == F ? S : 0)
GRADIENT(max, first_max, DY, to_position)
MGRAD_OP(max) = { REDUCE(max, reduce_infer),
  .backward = max_backward, MGRAD_ATTRS(ATTRS), .reads = READS_X,
  .doc = "the largest along dim, or of all; its gradient goes to the first",
  EXAMPLES };

FOLDING(min, mgrad_fold_min, F)
GRADIENT(min, first_min, DY, to_position)
MGRAD_OP(min) = { REDUCE(min, reduce_infer),
  .backward = min_backward, MGRAD_ATTRS(ATTRS), .reads = READS_X,
  .doc = "the smallest along dim, or of all; its gradient goes to the first",
  EXAMPLES };

FOLDING(argmax, first_max, F + 1)
MGRAD_OP(argmax) = { REDUCE(argmax, arg_infer), .constant = 1,
  MGRAD_ATTRS(ATTRS),
  .doc = "where the largest along dim is, from 1; the first of equals",
  EXAMPLES };

FOLDING(argmin, first_min, F + 1)
MGRAD_OP(argmin) = { REDUCE(argmin, arg_infer), .constant = 1,
  MGRAD_ATTRS(ATTRS),
  .doc = "where the smallest along dim is, from 1; the first of equals",
  EXAMPLES };

#define SPREAD_EXAMPLES                                                           \
  MGRAD_EXAMPLES(                                                                 \
    { .shapes = { { 3, 4 } } },                                                   \
    { .shapes = { { 2, 3, 4 } }, .attrs = { { "dim", 2 }, { "correction", 0 } } },\
    { .shapes = { { 2, 40 } }, .attrs = { { "dim", -1 }, { "keepdim", 1 } } },    \
    { .shapes = { { 2, 3, 9 } }, .attrs = { { "dim", 2 } } })

FOLDING(var, deviations, F / (n - p))
SLOPES(deviation, S * (X - F))
GRADIENT(var, means, 2 * DY / (n - p), deviation)
MGRAD_OP(var) = { REDUCE(var, spread_infer),
  .backward = var_backward, MGRAD_ATTRS(ATTRS, CORRECTION), .reads = READS_X,
  .doc = "the variance along dim, or of all: squared deviations / (n - correction)",
  SPREAD_EXAMPLES };

FOLDING(std, deviations, sqrt(F / (n - p)))
GRADIENT(std, means, Y == 0 ? 0 : DY / ((n - p) * Y), deviation)
MGRAD_OP(std) = { REDUCE(std, spread_infer),
  .backward = std_backward, MGRAD_ATTRS(ATTRS, CORRECTION),
  .reads = READS_X | MGRAD_READS_Y,
  .doc = "the standard deviation along dim, or of all: the square root of var",
  SPREAD_EXAMPLES };

FOLDING(norm, norms, F)
SLOPES(along_length, S * (Y == 0 ? 0 : X / Y))
SLOPES(along_power, S * norm_slope(X, Y, p))
static void along_norm(mgrad_call *c, const block *b, const double *f, const double *s) {
  (c->attrs->value[OWN] == 2 ? along_length : along_power)(c, b, f, s);
}
GRADIENT(norm, sharers, p < HUGE_VAL || F == 0 ? DY : DY / F, along_norm)
MGRAD_OP(norm) = { REDUCE(norm, reduce_infer),
  .backward = norm_backward, .reads = READS_X | MGRAD_READS_Y,
  MGRAD_ATTRS(ATTRS, { "p", MGRAD_ATTR_REAL, 2, 0, HUGE_VAL,
                       .doc = "2 for the length, 1 for the sum of absolute values, math.huge"
                              " for the greatest, 0 for how many are not 0" }),
  .doc = "(the sum of |x|^p)^(1/p) along dim, or of all; slope 0 at a zero vector",
  MGRAD_EXAMPLES(
    { .shapes = { { 3, 4 } } },
    { .shapes = { { 2, 3, 4 } }, .attrs = { { "dim", 2 }, { "p", 3 } } },
    { .shapes = { { 2, 40 } }, .low = 0.2, .high = 2,
      .attrs = { { "dim", -1 }, { "keepdim", 1 }, { "p", 1 } } },
    { .shapes = { { 2, 3, 9 } }, .attrs = { { "dim", 2 }, { "p", 2.5 } } },
    { .shapes = { { 5 } }, .low = -9, .high = 9, .attrs = { { "p", 4 } } },
    { .shapes = { { 3, 4 } }, .attrs = { { "p", HUGE_VAL } } },
    { .shapes = { { 7 } }, .low = 0.2, .high = 2, .attrs = { { "p", 0.5 } } }) };
