/*
** softmax.c - softmax and its logarithm along one dimension.
**
** Work goes line by line: the n numbers along the dimension, 'step' apart. The
** largest of a line is taken off first, so exp never overflows and -inf counts
** as probability 0.
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

typedef struct line { int64_t n, step; } line;
#define EACH(at) for (int64_t at = 0; at < l.n * l.step; at += l.step)

static mgrad_status softmax_infer(mgrad_call *c) {
  int dim;
  MGRAD_TRY(mgrad_shape_dim(c->ctx, c->op->name, c->x[0], c->attrs->value[0], &dim));
  return mgrad_infer_same(c);
}

static mgrad_split split(const mgrad_call *c) {
  int dim = 0;
  (void)mgrad_shape_dim(c->ctx, c->op->name, c->x[0], c->attrs->value[0], &dim);
  return mgrad_shape_split(c->x[0], dim);
}

/* Calls f for every line of x and y. */
static void each_forward(mgrad_call *c,
                         void (*f)(line l, const mgrad_real *x, mgrad_real *y)) {
  mgrad_split s = split(c);
  line l = { s.n, s.inner };
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < s.inner; i++) {
      int64_t at = o * s.n * s.inner + i;
      if (!mgrad_call_continues(c, l.n)) return;
      f(l, c->x[0]->data + at, c->y->data + at);
    }
}

/* Calls f for every line of y, dy and dx. */
static void each_backward(mgrad_call *c, void (*f)(line l, const mgrad_real *y,
                                                   const mgrad_real *dy, mgrad_real *dx,
                                                   bool add)) {
  mgrad_split s = split(c);
  line l = { s.n, s.inner };
  if (c->dx[0] == NULL) return;
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < s.inner; i++) {
      int64_t at = o * s.n * s.inner + i;
      if (!mgrad_call_continues(c, l.n)) return;
      f(l, c->y->data + at, c->dy + at, c->dx[0] + at, c->add[0]);
    }
}

/* y = exp(x - max); returns the sum of y, and max. */
static double exponentials(line l, const mgrad_real *x, mgrad_real *y,
                               mgrad_real *max) {
  mgrad_real largest = mgrad_largest(l.n, x, l.step);
  EACH(at) y[at] = EXP(x[at] - largest);
  *max = largest;
  return mgrad_sum(l.n, y, l.step);
}

static void softmax_line(line l, const mgrad_real *x, mgrad_real *y) {
  mgrad_real max, scale = 1 / REAL(exponentials(l, x, y, &max));
  EACH(at) y[at] *= scale;
}

/* dx = y (dy - sum(y dy)) */
static void softmax_slope(line l, const mgrad_real *y, const mgrad_real *dy,
                          mgrad_real *dx, bool add) {
  double dot = 0;
  EACH(at) dot += (double)y[at] * (double)dy[at];
  EACH(at) {
    mgrad_real d = y[at] * (dy[at] - REAL(dot));
    dx[at] = add ? dx[at] + d : d;
  }
}

/* One of the exponentials is 1; the others may be far smaller than that. */
static void log_softmax_line(line l, const mgrad_real *x, mgrad_real *y) {
  mgrad_real max, rest = REAL(exponentials(l, x, y, &max) - 1), log_sum = LOG1P(rest);
  EACH(at) y[at] = x[at] - max - log_sum;
}

/* dx = dy - exp(y) sum(dy) */
static void log_softmax_slope(line l, const mgrad_real *y, const mgrad_real *dy,
                              mgrad_real *dx, bool add) {
  mgrad_real sum = REAL(mgrad_sum(l.n, dy, l.step));
  EACH(at) {
    mgrad_real d = dy[at] - EXP(y[at]) * sum;
    dx[at] = add ? dx[at] + d : d;
  }
}

static void softmax_forward(mgrad_call *c) { each_forward(c, softmax_line); }
static void softmax_backward(mgrad_call *c) { each_backward(c, softmax_slope); }
static void log_softmax_forward(mgrad_call *c) { each_forward(c, log_softmax_line); }
static void log_softmax_backward(mgrad_call *c) { each_backward(c, log_softmax_slope); }

#define DIM                                                                       \
  { "dim", MGRAD_ATTR_DIM, -1, .doc = "along it the probabilities sum to 1" }
#define SOFTMAX(word)                                                             \
  MGRAD_NAMED(word), .operands = "x", .flags = MGRAD_OP_ACTIVATION,                   \
  .reads = MGRAD_READS_Y, MGRAD_ATTRS(DIM),                                        \
  .infer = softmax_infer, .forward = word##_forward, .backward = word##_backward, \
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 } }, .low = -3, .high = 3 },                \
                 { .shapes = { { 2, 3, 2 } }, .attrs = { { "dim", 2 } } },        \
                 { .shapes = { { 5 } }, .attrs = { { "dim", 1 } } },              \
                 { .shapes = { { 20, 2 } }, .attrs = { { "dim", 1 } } })

MGRAD_OP(softmax) = { SOFTMAX(softmax),
  .doc = "exp(x) / sum(exp(x)) along 'dim': numbers as probabilities" };

MGRAD_OP(log_softmax) = { SOFTMAX(log_softmax),
  .doc = "logarithm of softmax along 'dim', without its rounding to 0" };
