/*
** reduce.c - sums and other folds of many numbers into one, in a fixed order.
**
** FOLD makes one fold of three expressions: where it starts, how a number x goes
** into the accumulator a, how two accumulators a and b join. c is the center of
** the column, p the parameter. Everything accumulates in double.
*/
#include "kernels.h"
#include "finite.h"
#include "maths.h"

enum {
  FOLDS = 16,
  NARROW = 8  /* columns below it would wait for each sum */
};

/* GCC would unroll the loop over lanes first, and then fail to vectorize it. */
#if defined(__GNUC__) && !defined(__clang__)
#define KEEP_LOOP _Pragma("GCC unroll 1")
#else
#define KEEP_LOOP
#endif

#define PUT(accumulator, number, next)                                            \
  do {                                                                            \
    double a = (accumulator), x = (double)(number);                               \
    (accumulator) = (next);                                                       \
  } while (0)

#define JOIN(lane, join)                                                          \
  for (int half = FOLDS / 2; half > 0; half /= 2)                                 \
    for (int j = 0; j < half; j++) {                                              \
      double a = lane[j], b = lane[j + half];                                     \
      lane[j] = (join);                                                           \
    }

#define FOLD(name, start, next, join)                                             \
  static double name##_lanes(int64_t n, const mgrad_real *xs, int64_t step,       \
                             double c, double p) {                                \
    double lane[FOLDS];                                                           \
    int64_t i = 0;                                                                \
    (void)c, (void)p;                                                             \
    lane[0] = (start);                                                            \
    if (n < FOLDS) {                                                              \
      for (; i < n; i++) PUT(lane[0], xs[i * step], next);                        \
      return lane[0];                                                             \
    }                                                                             \
    for (int j = 1; j < FOLDS; j++) lane[j] = (start);                            \
    if (step == 1)                                                                \
      for (; i + FOLDS <= n; i += FOLDS)                                          \
        KEEP_LOOP                                                                 \
        for (int j = 0; j < FOLDS; j++) PUT(lane[j], xs[i + j], next);            \
    for (; i < n; i++) PUT(lane[i % FOLDS], xs[i * step], next);                  \
    JOIN(lane, join)                                                              \
    return lane[0];                                                               \
  }                                                                               \
  void mgrad_fold_##name(int64_t n, const mgrad_real *xs, int64_t stride,         \
                         int64_t m, const double *center, double p, double *out) { \
    if (m < NARROW) {                                                             \
      for (int64_t j = 0; j < m; j++)                                             \
        out[j] = name##_lanes(n, xs + j, stride, center ? center[j] : 0, p);      \
      return;                                                                     \
    }                                                                             \
    for (int64_t j = 0; j < m; j++) out[j] = (start);                             \
    for (int64_t i = 0; i < n; i++)                                               \
      for (int64_t j = 0; j < m; j++) {                                           \
        double c = center ? center[j] : 0;                                        \
        (void)c;                                                                  \
        PUT(out[j], xs[i * stride + j], next);                                    \
      }                                                                           \
  }

__attribute__((noinline)) mgrad_real mgrad_power(mgrad_real a, mgrad_real b) {
  return POW(a, b);
}

FOLD(sum, 0, a + x, a + b)
FOLD(squares, 0, a + (x - c) * (x - c), a + b)
FOLD(abs, 0, a + fabs(x), a + b)
FOLD(powers, 0, a + (double)mgrad_power(REAL(fabs(x) / c), REAL(p)), a + b)
FOLD(max, -HUGE_VAL, x > a || x != x ? x : a, b > a || b != b ? b : a)
FOLD(min, HUGE_VAL, x < a || x != x ? x : a, b < a || b != b ? b : a)

double mgrad_sum(int64_t n, const mgrad_real *x, int64_t step) {
  return sum_lanes(n, x, step, 0, 0);
}

double mgrad_sum_squares(int64_t n, const mgrad_real *x, int64_t step) {
  return squares_lanes(n, x, step, 0, 0);
}

mgrad_real mgrad_largest(int64_t n, const mgrad_real *x, int64_t step) {
  enum { SIDE = 16 };
  mgrad_real most[SIDE];
  int64_t i = 0;
  for (int l = 0; l < SIDE; l++) most[l] = REAL(-HUGE_VAL);
  for (; step == 1 && i + SIDE <= n; i += SIDE)
    for (int l = 0; l < SIDE; l++) most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
  for (; i < n; i++) most[0] = x[i * step] > most[0] ? x[i * step] : most[0];
  for (int l = 1; l < SIDE; l++) most[0] = most[l] > most[0] ? most[l] : most[0];
  return most[0];
}

static bool each_finite(int64_t n, const mgrad_real *x) {
  int64_t i = 0;
  while (i < n && x[i] - x[i] == 0) i++;
  return i == n;
}

bool mgrad_all_finite(int64_t n, const mgrad_real *x) {
  if (n < 2 * LANES) return each_finite(n, x);
  if (n <= 8 * LANES) return few_finite(n, x) || each_finite(n, x);
  const mgrad_real *at = x, *last = x + n - 2 * LANES;
  vec a = { 0 }, b = a, c = a, d = a;
  for (; at <= last - 2 * LANES; at += 4 * LANES) {
    LOOK_AT_2(at);
    LOOK(c, at + 2 * LANES);
    LOOK(d, at + 3 * LANES);
  }
  if (at < last) LOOK_AT_2(at);
  LOOK_AT_2(last);
  return no_bit(a + b + (c + d)) || each_finite(n, x);
}
