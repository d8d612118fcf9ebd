/*
** random.c - Philox4x32-10 and what is drawn from it.
**
** Element i of a stream comes from word i % 4 of block i / 4. Normal numbers
** are computed in double by the functions below, never by libm (but sqrt,
** which IEEE 754 fixes), so that they are the same bits on every platform.
*/
#include "random.h"

#include <math.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* GCC has it off under -std=c11 */
#endif

/* ---- Philox ---- */

static uint32_t high(uint64_t v) { return (uint32_t)(v >> 32); }
static uint32_t low(uint64_t v) { return (uint32_t)v; }

void mgrad_philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]) {
  uint32_t a = low(block), b = high(block), c = low(stream), d = high(stream);
  uint32_t k0 = low(seed), k1 = high(seed);
  for (int round = 0; round < 10; round++) {
    uint64_t p = UINT64_C(0xD2511F53) * a, q = UINT64_C(0xCD9E8D57) * c;
    a = high(q) ^ b ^ k0;
    b = low(q);
    c = high(p) ^ d ^ k1;
    d = low(p);
    k0 += UINT32_C(0x9E3779B9); /* golden ratio */
    k1 += UINT32_C(0xBB67AE85); /* sqrt(3) - 1 */
  }
  out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

/* Fills out[] block by block; 'convert' makes four numbers of four words. */
static void draw(uint64_t seed, uint64_t stream, int64_t n, mgrad_real *out,
                 void (*convert)(const uint32_t words[4], mgrad_real numbers[4])) {
  for (int64_t i = 0; i < n; i += 4) {
    uint32_t words[4];
    mgrad_real numbers[4];
    mgrad_philox(seed, stream, (uint64_t)i / 4, words);
    convert(words, numbers);
    memcpy(out + i, numbers, (size_t)mgrad_min_size(4, n - i) * sizeof *out);
  }
}

/* ---- uniform ---- */

static void uniform(const uint32_t words[4], mgrad_real numbers[4]) {
  for (int i = 0; i < 4; i++)
    numbers[i] = (mgrad_real)(words[i] >> 8) * (mgrad_real)0x1p-24;
}

void mgrad_random_uniform(uint64_t seed, uint64_t stream, int64_t n, mgrad_real *out) {
  draw(seed, stream, n, out, uniform);
}

/* ---- normal ---- */

/* c[0] + c[1] x + .. + c[n - 1] x^(n - 1) */
static double polynomial(double x, const double *c, int n) {
  double y = c[n - 1];
  for (int i = n - 2; i >= 0; i--) y = y * x + c[i];
  return y;
}

/* log(x) for x in (0, 1): 2 atanh((m - 1) / (m + 1)) of the part m of x that
** lies in (sqrt(1/2), sqrt(2)), and log(2) for each doubling. */
static double logarithm(double x) {
  static const double atanh_series[] = {
    1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11,
    1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21 };
  int doublings = 0;
  for (; x < 0.70710678118654752; x *= 2) doublings++;
  double s = (x - 1) / (x + 1);
  return 2 * s * polynomial(s * s, atanh_series, 11) - doublings * 0.69314718055994531;
}

void mgrad_circle(uint32_t turn, double *cosine, double *sine) {
  static const double cos_series[] = {
    1, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800,
    1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000 };
  static const double sin_series[] = {
    1, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800,
    1.0 / 6227020800, -1.0 / 1307674368000 };
  uint32_t eighth = UINT32_C(1) << 29;
  uint32_t quarter = (turn + eighth) >> 30;              /* the nearest, modulo 4 */
  double from = (double)((turn + eighth) & (2 * eighth - 1)) - (double)eighth;
  double x = from * (1.57079632679489662 * 0x1p-30);     /* in [-pi/4, pi/4) */
  double c = polynomial(x * x, cos_series, 9);
  double s = x * polynomial(x * x, sin_series, 8);
  bool odd = quarter & 1;
  double along = odd ? s : c, across = odd ? c : s;
  *cosine = quarter == 1 || quarter == 2 ? -along : along;
  *sine = quarter >= 2 ? -across : across;
}

/* Box and Muller, 1958: two words make two independent normal numbers. */
void mgrad_normal(const uint32_t words[4], mgrad_real numbers[4]) {
  for (int i = 0; i < 4; i += 2) {
    double radius = sqrt(-2 * logarithm((words[i] + 0.5) * 0x1p-32));
    double cosine, sine;
    mgrad_circle(words[i + 1], &cosine, &sine);
    numbers[i] = (mgrad_real)(radius * cosine);
    numbers[i + 1] = (mgrad_real)(radius * sine);
  }
}

void mgrad_random_normal(uint64_t seed, uint64_t stream, int64_t n, mgrad_real *out) {
  draw(seed, stream, n, out, mgrad_normal);
}

/* ---- permutation ---- */

/* The upper 64 bits of a * b: of a random a, an integer below b. The bias is
** below b / 2^64. */
static uint64_t multiply_high(uint64_t a, uint64_t b) {
  uint64_t a0 = low(a), a1 = high(a), b0 = low(b), b1 = high(b);
  uint64_t middle = a1 * b0 + high(a0 * b0);
  uint64_t carry = low(middle) + a0 * b1;
  return a1 * b1 + high(middle) + high(carry);
}

void mgrad_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out) {
  uint32_t words[4] = { 0 };
  for (int64_t i = 0; i < n; i++) out[i] = i;
  for (int64_t i = n - 1, draws = 0; i > 0; i--, draws++) {
    if (draws % 2 == 0) mgrad_philox(seed, stream, (uint64_t)draws / 2, words);
    const uint32_t *w = words + draws % 2 * 2;
    int64_t j = (int64_t)multiply_high((uint64_t)w[1] << 32 | w[0], (uint64_t)i + 1);
    int64_t kept = out[i];
    out[i] = out[j];
    out[j] = kept;
  }
}
