/*
** maths_float.h - exp, log, tanh, sin, erf, pow.. of one float; see maths.h.
**
** Every function is within 2 ulp of the exact value for every float, denormal
** results included (tests/c/maths.c says by how much). There are no branches, calls
** or tables, only arithmetic and selects, so that compilers turn a loop over any of
** them into vector code. Each operation is written out, fused ones as mgrad_fma:
** compile with -ffp-contract=off, and the results (but for the sign and payload of a
** NaN) depend on nothing else. Without fused multiply-add they are as exact, but
** other bits.
**
** The pattern is always: reduce x to a small r, a polynomial in r, undo the
** reduction, then select the special cases. The polynomials are minimax (Remez
** exchange with float coefficients, fitted one after the other from the lowest);
** the error named with each is that of the polynomial alone.
*/
#ifndef MGRAD_MATHS_FLOAT_H
#define MGRAD_MATHS_FLOAT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- operations ---- */

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define MGRAD_FUSED 1
#else
#define MGRAD_FUSED 0
#endif

/* a * b + c, rounded once where the machine can. */
static inline float mgrad_fma(float a, float b, float c) {
#if MGRAD_FUSED
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

static inline double mgrad_fma_wide(double a, double b, double c) {
#if MGRAD_FUSED
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

static inline uint32_t mgrad_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float mgrad_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* 2^n for n in -126..127; any number beyond */
static inline float mgrad_power_of_2(int32_t n) {
  return mgrad_from_bits((uint32_t)(n + 127) << 23);
}

/* x with the sign of 'sign'; x is not negative */
static inline float mgrad_with_sign(float x, float sign) {
  return mgrad_from_bits(mgrad_bits(x) | (mgrad_bits(sign) & 0x80000000u));
}

/* Keeps x within lo..hi; NaN stays. */
static inline float mgrad_limit(float x, float lo, float hi) {
  x = x < lo ? lo : x;
  return x > hi ? hi : x;
}

/* Adding it to a number below 2^22 rounds that to an integer, in the lowest bits. */
#define MGRAD_ROUNDER 12582912.0f /* 1.5 * 2^23 */
#define MGRAD_ROUNDER_WIDE 6755399441055744.0 /* 1.5 * 2^52 */

/* The integer nearest to x, |x| < 2^22; any number for NaN. */
static inline int32_t mgrad_nearest(float x, float *rounded) {
  float shifted = x + MGRAD_ROUNDER;
  *rounded = shifted - MGRAD_ROUNDER;
  return (int32_t)(mgrad_bits(shifted) - mgrad_bits(MGRAD_ROUNDER));
}

/* ---- exponentials ---- */

/* x = n log 2 + r with |r| <= 0.3467, for |x| < 150. log 2 is cut after 9 bits, so
** that its product with n is exact. */
static inline float mgrad_exp_reduce(float x, int32_t *n) {
  float k;
  *n = mgrad_nearest(x * 1.44269502f, &k);
  return mgrad_fma(k, 2.12194442e-4f, mgrad_fma(k, -0.693359375f, x));
}

/* e^r for |r| <= 0.3467; degree 6, error 2^-27.9 */
static inline float mgrad_exp_poly(float r) {
  float p = 1.3828322e-3f;
  p = mgrad_fma(p, r, 8.369216e-3f);
  p = mgrad_fma(p, r, 4.1668117e-2f);
  p = mgrad_fma(p, r, 1.6666515e-1f);
  p = mgrad_fma(p, r, 4.9999994e-1f);
  p = mgrad_fma(p, r, 1.0f);
  return mgrad_fma(p, r, 1.0f);
}

/* e^x. The limits give 0 and infinity; two steps of 2^(n/2) give denormals. */
static inline float mgrad_exp(float x) {
  int32_t n;
  float p = mgrad_exp_poly(mgrad_exp_reduce(mgrad_limit(x, -104.0f, 89.0f), &n));
  int32_t half = n >> 1;
  return p * mgrad_power_of_2(half) * mgrad_power_of_2(n - half);
}

/* (e^r - 1 - r) / r^2 for |r| <= 0.3467; degree 5, error in e^r - 1 2^-31 */
static inline float mgrad_expm1_poly(float r) {
  float p = 1.9667069e-4f;
  p = mgrad_fma(p, r, 1.3935084e-3f);
  p = mgrad_fma(p, r, 8.33364e-3f);
  p = mgrad_fma(p, r, 4.1666467e-2f);
  p = mgrad_fma(p, r, 1.6666666e-1f);
  return mgrad_fma(p, r, 0.5f);
}

/* e^x - 1 = 2^n (e^r - 1) + (2^n - 1). 2^128 is no float, so there n is one less. */
static inline float mgrad_expm1(float x) {
  int32_t n;
  float r = mgrad_exp_reduce(mgrad_limit(x, -20.0f, 89.0f), &n);
  float twice = n > 127 ? 2.0f : 1.0f;
  float scale = mgrad_power_of_2(n > 127 ? 127 : n);
  float tail = r * r * mgrad_expm1_poly(r);
  float y = mgrad_fma(scale, tail, mgrad_fma(scale, r, scale - 1.0f)) * twice;
  return x == 0 ? x : y; /* -0 */
}

/* ---- logarithms ---- */

/* The exponent e of bits = m 2^e with m in 2/3..4/3 */
static inline int32_t mgrad_exponent(uint32_t bits) {
  return (int32_t)(bits - 0x3f2aaaabu) >> 23;
}

/* log((1 + f) 2^e), |f| <= 1/3: f - f^2 / 2 + f^3 P(f); P of degree 8, error
** 2^-30. log 2 is cut after 15 bits, so that its product with e is exact. */
static inline float mgrad_log_poly(float f, int32_t e) {
  float k = (float)e, square = f * f;
  float p = 1.1720252e-1f;
  p = mgrad_fma(p, f, -1.2885183e-1f);
  p = mgrad_fma(p, f, 1.0823048e-1f);
  p = mgrad_fma(p, f, -1.21875465e-1f);
  p = mgrad_fma(p, f, 1.4298925e-1f);
  p = mgrad_fma(p, f, -1.6680095e-1f);
  p = mgrad_fma(p, f, 1.9999765e-1f);
  p = mgrad_fma(p, f, -2.4999811e-1f);
  p = mgrad_fma(p, f, 3.3333334e-1f);
  p = mgrad_fma(square, mgrad_fma(p, f, -0.5f), k * 1.42860677e-6f);
  return mgrad_fma(k, 0.693145752f, f + p);
}

/* y, but what a logarithm is at 0, infinity, NaN and below 0 */
static inline float mgrad_log_special(float x, float y) {
  y = x < INFINITY ? y : x;
  return x > 0 ? y : x == 0 ? -INFINITY : NAN;
}

/* log x. A denormal x is first made normal. */
static inline float mgrad_log(float x) {
  int tiny = x < 1.17549435e-38f;
  uint32_t bits = mgrad_bits(tiny ? x * 8388608.0f : x); /* 2^23 */
  int32_t e = mgrad_exponent(bits);
  float m = mgrad_from_bits(bits - ((uint32_t)e << 23));
  return mgrad_log_special(x, mgrad_log_poly(m - 1.0f, tiny ? e - 23 : e));
}

/* log(1 + x). Only e comes from the rounded sum; f = (1 + x) 2^-e - 1 is then one
** rounding from exact, and x itself where e = 0. */
static inline float mgrad_log1p(float x) {
  uint32_t bits = mgrad_bits(1.0f + x);
  int32_t e = mgrad_exponent(bits);
  float m = mgrad_from_bits(bits - ((uint32_t)e << 23));
  float scale = mgrad_power_of_2(-e < -126 ? -126 : -e);
  float f = e > 30 ? m - 1.0f : mgrad_fma(x, scale, scale - 1.0f);
  float y = mgrad_log_special(1.0f + x, mgrad_log_poly(f, e));
  return x == 0 ? x : y; /* -0 */
}

/* ---- tanh, erf ---- */

/* tanh x for 0 <= x <= 0.6: x + x^3 P(x^2), P of degree 4, error 2^-28.4 */
static inline float mgrad_tanh_small(float x) {
  float z = x * x;
  float p = -5.8979667e-3f;
  p = mgrad_fma(p, z, 2.0798625e-2f);
  p = mgrad_fma(p, z, -5.3784717e-2f);
  p = mgrad_fma(p, z, 1.3331936e-1f);
  p = mgrad_fma(p, z, -3.33333e-1f);
  return mgrad_fma(p * z, x, x);
}

/* tanh x; away from 0 it is 1 - 2 / (e^2x + 1), which is 1 from 9.02 on. */
static inline float mgrad_tanh(float x) {
  float a = fabsf(x);
  int32_t n;
  float p = mgrad_exp_poly(mgrad_exp_reduce(2.0f * mgrad_limit(a, 0.0f, 10.0f), &n));
  float large = 1.0f - 2.0f / mgrad_fma(p, mgrad_power_of_2(n), 1.0f);
  return mgrad_with_sign(a < 0.6f ? mgrad_tanh_small(a) : large, x);
}

/* erf x for 0 <= x <= 0.92: x + x P(x^2), P of degree 6, error 2^-30 */
static inline float mgrad_erf_small(float x) {
  float z = x * x;
  float p = 7.988852e-5f;
  p = mgrad_fma(p, z, -8.0484693e-4f);
  p = mgrad_fma(p, z, 5.1923366e-3f);
  p = mgrad_fma(p, z, -2.685572e-2f);
  p = mgrad_fma(p, z, 1.1283626e-1f);
  p = mgrad_fma(p, z, -3.761263e-1f);
  p = mgrad_fma(p, z, 1.2837917e-1f);
  return mgrad_fma(p, x, x);
}

/* log2(1 - erf a) for a in 0.92..3.95; degree 7, error in erf 2^-34 */
static inline float mgrad_erfc_log2(float a) {
  float p = -3.0529467e-5f;
  p = mgrad_fma(p, a, 6.278694e-4f);
  p = mgrad_fma(p, a, -6.0226265e-3f);
  p = mgrad_fma(p, a, 3.6252663e-2f);
  p = mgrad_fma(p, a, -1.5623479e-1f);
  p = mgrad_fma(p, a, -9.13709e-1f);
  p = mgrad_fma(p, a, -1.629554f);
  return mgrad_fma(p, a, 2.5373144e-4f);
}

/* 2^r for |r| <= 0.5; degree 6, error 2^-27.5 */
static inline float mgrad_exp2_poly(float r) {
  float p = 1.5824771e-4f;
  p = mgrad_fma(p, r, 1.3417713e-3f);
  p = mgrad_fma(p, r, 9.617065e-3f);
  p = mgrad_fma(p, r, 5.5502728e-2f);
  p = mgrad_fma(p, r, 2.4022655e-1f);
  p = mgrad_fma(p, r, 6.9314724e-1f);
  return mgrad_fma(p, r, 1.0f);
}

/* erf x; away from 0 it is 1 - 2^log2(1 - erf |x|), which is 1 from 3.92 on. */
static inline float mgrad_erf(float x) {
  float a = fabsf(x), k;
  float q = mgrad_erfc_log2(mgrad_limit(a, 0.9f, 3.95f));
  int32_t n = mgrad_nearest(q, &k);
  float large = mgrad_fma(mgrad_exp2_poly(q - k), -mgrad_power_of_2(n), 1.0f);
  return mgrad_with_sign(a < 0.92f ? mgrad_erf_small(a) : large, x);
}

/* ---- sin, cos ---- */

/* 2 / pi for numbers of one size: three parts, the first two so short that their
** product with a float is exact, less all bits that only add full turns. */
typedef struct { double hi, mid, lo; } mgrad_two_over_pi;

static inline mgrad_two_over_pi mgrad_two_over_pi_for(float a) {
  int b = a >= 0x1p50f, c = a >= 0x1p76f, d = a >= 0x1p102f;
  mgrad_two_over_pi p;
  p.hi = d ? -0x1.505c158p-81 : c ? -0x1.5ac07b2p-53 : b ? -0x1.1b1bbecp-28
       : 0x1.45f306ep-1;
  p.mid = d ? -0x1.6447e48p-109 : c ? 0x1.5f47d4ep-82 : b ? 0x1.29fc276p-56
        : -0x1.b1bbeb0p-32;
  p.lo = d ? -0x1.3ad4cd8778df8p-137 : c ? -0x1.911f924eb5336p-111
       : b ? -0x1.05c1596447e49p-85 : 0x1.4fe13abe8fa9ap-59;
  return p;
}

/* t less a multiple of 4: within -2..2, exact for |t| < 2^51 */
static inline double mgrad_mod_4(double t) {
  return t - ((t + 4 * MGRAD_ROUNDER_WIDE) - 4 * MGRAD_ROUNDER_WIDE);
}

/* a = (4 j + quadrant) pi / 2 + r with |r| <= pi / 4, for every a >= 0 (NaN from
** infinity). The error of r is 2^-60 pi / 2 and its own rounding. */
static inline float mgrad_quadrant(float a, uint32_t *quadrant) {
  mgrad_two_over_pi p = mgrad_two_over_pi_for(a);
  double x = (double)a;
  double hi = mgrad_mod_4(x * p.hi), mid = mgrad_mod_4(x * p.mid);
  double k = ((hi + mid) + MGRAD_ROUNDER_WIDE) - MGRAD_ROUNDER_WIDE;
  double turn = mgrad_fma_wide(x, p.lo, (hi - k) + mid);
  *quadrant = mgrad_bits((float)k + MGRAD_ROUNDER);
  return (float)(turn * 1.5707963267948966);
}

/* sin r for |r| <= pi / 4: r + r^3 P(r^2), P of degree 2, error 2^-27.9 */
static inline float mgrad_sin_poly(float r) {
  float z = r * r;
  float p = -1.9518276e-4f;
  p = mgrad_fma(p, z, 8.332189e-3f);
  p = mgrad_fma(p, z, -1.6666655e-1f);
  return mgrad_fma(p * z, r, r);
}

/* cos r for |r| <= pi / 4: 1 - r^2 / 2 + r^4 P(r^2), P of degree 2, error 2^-33 */
static inline float mgrad_cos_poly(float r) {
  float z = r * r;
  float p = 2.4432364e-5f;
  p = mgrad_fma(p, z, -1.388731e-3f);
  p = mgrad_fma(p, z, 4.1666646e-2f);
  p = mgrad_fma(p, z, -0.5f);
  return mgrad_fma(p, z, 1.0f);
}

/* sin(r + quadrant pi / 2), its sign changed by the sign bit of 'flip' */
static inline float mgrad_sin_in(float r, uint32_t quadrant, uint32_t flip) {
  float y = quadrant & 1 ? mgrad_cos_poly(r) : mgrad_sin_poly(r);
  uint32_t sign = (quadrant << 30) ^ flip;
  return mgrad_from_bits(mgrad_bits(y) ^ (sign & 0x80000000u));
}

static inline float mgrad_sin(float x) {
  uint32_t quadrant;
  float r = mgrad_quadrant(fabsf(x), &quadrant);
  return mgrad_sin_in(r, quadrant, mgrad_bits(x));
}

static inline float mgrad_cos(float x) {
  uint32_t quadrant;
  float r = mgrad_quadrant(fabsf(x), &quadrant);
  return mgrad_sin_in(r, quadrant + 1, 0);
}

/* ---- pow: in double, so that only the last rounding counts ---- */

/* log2 a for finite a > 0: e + log2 m, m in 2/3..4/3 ... */
static inline double mgrad_log2_wide(float a) {
  int tiny = a < 1.17549435e-38f;
  uint32_t bits = mgrad_bits(tiny ? a * 8388608.0f : a);
  int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23;
  double m = (double)mgrad_from_bits(bits - ((uint32_t)e << 23));
  double s = (m - 1) / (m + 1), z = s * s;
  double p = 0.28291389103094738;
  p = mgrad_fma_wide(p, z, 0.31990472202813142);
  p = mgrad_fma_wide(p, z, 0.4122092765807252);
  p = mgrad_fma_wide(p, z, 0.57707794211977648);
  p = mgrad_fma_wide(p, z, 0.96179669411421076);
  p = mgrad_fma_wide(p, z, 2.8853900817778495);
  return mgrad_fma_wide(p, s, (double)(tiny ? e - 23 : e));
}

/* 2^t as a float, rounded once; 0 and infinity beyond its range, NaN from NaN */
static inline float mgrad_exp2_wide(double t) {
  t = t < -200 ? -200 : t;
  t = t > 200 ? 200 : t;
  double shifted = t + MGRAD_ROUNDER_WIDE, r = t - (shifted - MGRAD_ROUNDER_WIDE), scale;
  double p = 1.4389627552697944e-05;
  p = mgrad_fma_wide(p, r, 0.00015469565309330133);
  p = mgrad_fma_wide(p, r, 0.0013337448743545727);
  p = mgrad_fma_wide(p, r, 0.0096180264171418766);
  p = mgrad_fma_wide(p, r, 0.055504059969206959);
  p = mgrad_fma_wide(p, r, 0.24022651203249734);
  p = mgrad_fma_wide(p, r, 0.69314718206433545);
  p = mgrad_fma_wide(p, r, 0.9999999999616217);
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52; /* the lowest bits of 'shifted' are the exponent */
  memcpy(&scale, &bits, sizeof scale);
  return (float)(p * scale);
}

/* a to the power y for a >= 0, but for y = 0. An infinite y counts as the greatest
** float, so that 1 to its power is 1. */
static inline float mgrad_pow_positive(float a, float y) {
  double l = mgrad_log2_wide(a);
  l = a < INFINITY ? l : (double)a;
  l = a == 0 ? -(double)INFINITY : l;
  return mgrad_exp2_wide((double)mgrad_limit(y, -0x1.fffffep127f, 0x1.fffffep127f) * l);
}

/* x to the power y; all special cases are those of C's pow (Annex F). */
static inline float mgrad_pow(float x, float y) {
  float z = mgrad_pow_positive(fabsf(x), y), b = fabsf(y);
  b = b < 0x1p24f ? b : 0x1p24f; /* as even as all floats beyond */
  int32_t whole = (int32_t)b, even = whole % 2 == 0, broken = (float)whole != b;
  z = ((x < 0) & (x > -INFINITY) & broken) ? NAN : z;
  z = ((x == 1.0f) | (y == 0)) ? 1.0f : z;
  return (even | broken) ? z : mgrad_from_bits(mgrad_bits(z) ^ (mgrad_bits(x) & 0x80000000u));
}

#endif
