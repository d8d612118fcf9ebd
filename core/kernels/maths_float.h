/*
** maths_float.h - exp, log, tanh, sin, erf, pow.. of one float; part of maths.h.
**
** Each is within 2 ulp of the exact value for every float, denormal results
** included: sin, cos and pow within 0.51, exp, log and log1p 0.91, expm1 and erf 1.26,
** tanh 1.41, sigmoid and softplus 1.65; without fused multiply-add log and log1p are
** within 0.97, exp 1.2, erf 1.5, softplus 1.8, sigmoid 1.96 (tests/c/maths.c measures
** it). log, log1p and tanh never fall where the function rises.
**
** There are no branches, calls or tables, only arithmetic and selects of one
** condition each, so that compilers turn a loop over any of them into vector code.
** (gcc 12 gives up on conditions joined by && or &, and on calls in a select, such
** as truncation. It also pulls a limit put on x at the start through all that
** follows; so values out of range are computed and replaced at the end.)
**
** Each operation is written out, fused ones as mgrad_fma: with -ffp-contract=off the
** results depend on nothing else, but for the sign and payload of a NaN. Without
** fused multiply-add the bits are others.
**
** The pattern is always: reduce x to a small r, a polynomial in r, undo the
** reduction, select the special cases. The polynomials are minimax by Remez'
** exchange, coefficients rounded from the lowest on and the others fitted again; the
** error named with each is that of the polynomial alone, relative to the function.
*/
#ifndef MGRAD_MATHS_FLOAT_H
#define MGRAD_MATHS_FLOAT_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD == 2
#error "numbers must be rounded at each step: on 32-bit x86, -msse2 -mfpmath=sse"
#endif
#ifdef __FAST_MATH__
#error "-ffast-math breaks these functions"
#endif

/* ---- bits ---- */

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

/* Adding it to a number below 2^22 (2^51) rounds that to an integer, in the lowest
** bits of the sum. */
#define MGRAD_ROUNDER 0x1.8p23f
#define MGRAD_ROUNDER_WIDE 0x1.8p52

/* The integer nearest to x for |x| < 2^22; any number beyond and for NaN. */
static inline int32_t mgrad_nearest(float x, float *rounded) {
  float shifted = x + MGRAD_ROUNDER;
  *rounded = shifted - MGRAD_ROUNDER;
  return (int32_t)(mgrad_bits(shifted) - mgrad_bits(MGRAD_ROUNDER));
}

/* ---- exponentials ---- */

/* x = n log 2 + r with |r| <= 0.3467, for |x| < 150. log 2 is rounded to 9 bits and a
** rest, so that its product with n is exact. */
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

/* e^x for x in -104..89 or NaN; two steps of 2^(n/2) give infinity and denormals. */
static inline float mgrad_exp_inside(float x) {
  int32_t n;
  float p = mgrad_exp_poly(mgrad_exp_reduce(x, &n));
  int32_t half = n >> 1;
  return p * mgrad_power_of_2(half) * mgrad_power_of_2(n - half);
}

static inline float mgrad_exp(float x) {
  float y = mgrad_exp_inside(x);
  y = x < -104.0f ? 0.0f : y;
  return x > 89.0f ? INFINITY : y;
}

/* e^-|x| */
static inline float mgrad_exp_falling(float x) {
  float a = fabsf(x), y = mgrad_exp_inside(-a);
  return a > 104.0f ? 0.0f : y;
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
  float r = mgrad_exp_reduce(x, &n);
  float twice = n > 127 ? 2.0f : 1.0f;
  float scale = mgrad_power_of_2(n > 127 ? 127 : n);
  float tail = r * r * mgrad_expm1_poly(r);
  float y = mgrad_fma(scale, tail, mgrad_fma(scale, r, scale - 1.0f)) * twice;
  y = x < -20.0f ? -1.0f : y;
  y = x > 89.0f ? INFINITY : y;
  return x == 0 ? x : y; /* -0 */
}

/* ---- logarithms ---- */

/* The exponent e of a normal x = m 2^e with m in 3/4..3/2. (Here and elsewhere >> of
** a negative number is taken to keep its sign, as it does in all compilers.) */
static inline int32_t mgrad_exponent(float x) {
  return (int32_t)(mgrad_bits(x) - mgrad_bits(0.75f)) >> 23;
}

/* x 2^-n where that is normal */
static inline float mgrad_unscale(float x, int32_t n) {
  return mgrad_from_bits(mgrad_bits(x) - ((uint32_t)n << 23));
}

/* m and (in *e) e of x = m 2^e, x > 0 and finite. A denormal x is first made normal. */
static inline float mgrad_mantissa(float x, int32_t *e) {
  int tiny = x < 0x1p-126f;
  float normal = tiny ? x * 0x1p23f : x;
  int32_t n = mgrad_exponent(normal);
  *e = tiny ? n - 23 : n;
  return mgrad_unscale(normal, n);
}

/* log((1 + f) 2^e) for f in -1/4..1/2: f - f^2 / 2 + f^3 P(f); P of degree 8, error
** 2^-29.8. log 2 is cut after 15 bits, so that its product with e is exact. */
static inline float mgrad_log_poly(float f, int32_t e) {
  float k = (float)e, square = f * f;
  float p = 3.74691e-2f;
  p = mgrad_fma(p, f, -9.0923235e-2f);
  p = mgrad_fma(p, f, 1.1696646e-1f);
  p = mgrad_fma(p, f, -1.2731586e-1f);
  p = mgrad_fma(p, f, 1.427733e-1f);
  p = mgrad_fma(p, f, -1.665514e-1f);
  p = mgrad_fma(p, f, 1.9999555e-1f);
  p = mgrad_fma(p, f, -2.5000167e-1f);
  p = mgrad_fma(p, f, 3.333334e-1f);
  p = mgrad_fma(square, mgrad_fma(p, f, -0.5f), k * 1.42860677e-6f);
  return mgrad_fma(k, 0.693145752f, f + p);
}

/* y, but what a logarithm is at 0, infinity, NaN and below 0 */
static inline float mgrad_log_special(float x, float y) {
  y = x < INFINITY ? y : x;
  return x > 0 ? y : x == 0 ? -INFINITY : NAN;
}

static inline float mgrad_log(float x) {
  int32_t e;
  float m = mgrad_mantissa(x, &e);
  return mgrad_log_special(x, mgrad_log_poly(m - 1.0f, e));
}

/* log(1 + x) for finite x > -1. Only e comes from the rounded sum 1 + x = m 2^e; then
** f = (1 + x) 2^-e - 1 is one rounding from exact, and x itself where e = 0. From
** 2^30 on 1 + x is x, and 2^-e may be no float. */
static inline float mgrad_log1p_inside(float x) {
  float sum = 1.0f + x;
  int32_t e = mgrad_exponent(sum);
  float m = mgrad_unscale(sum, e), scale = mgrad_power_of_2(-e);
  float f = x > 0x1p30f ? m - 1.0f : mgrad_fma(x, scale, scale - 1.0f);
  return mgrad_log_poly(f, e);
}

static inline float mgrad_log1p(float x) {
  float y = mgrad_log_special(1.0f + x, mgrad_log1p_inside(x));
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
  float p = mgrad_exp_poly(mgrad_exp_reduce(2.0f * a, &n));
  float large = 1.0f - 2.0f / mgrad_fma(p, mgrad_power_of_2(n), 1.0f);
  large = a > 10.0f ? 1.0f : large;
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
  float q = mgrad_erfc_log2(a);
  int32_t n = mgrad_nearest(q, &k);
  float large = mgrad_fma(mgrad_exp2_poly(q - k), -mgrad_power_of_2(n), 1.0f);
  large = a > 3.95f ? 1.0f : large;
  return mgrad_with_sign(a < 0.92f ? mgrad_erf_small(a) : large, x);
}

/* ---- sigmoid, softplus: from e = exp(-|x|), which is never infinite ---- */

/* 1 / (1 + e) or e / (1 + e), written as 1 or e less its own e / (1 + e): that
** rounds better. */
static inline float mgrad_sigmoid(float x) {
  float e = mgrad_exp_falling(x), whole = x >= 0 ? 1.0f : e;
  return mgrad_fma(-whole, e / (1.0f + e), whole);
}

/* log(1 + e^x) = max(x, 0) + log(1 + e) */
static inline float mgrad_softplus(float x) {
  return (x > 0 ? x : 0.0f) + mgrad_log1p_inside(mgrad_exp_falling(x));
}

/* ---- sin, cos: in double, so that only the last rounding counts ---- */

/* 1 / pi for numbers of one size: three parts, the first two so short that their
** product with a float is exact, less all bits that only add full turns. */
typedef struct { double hi, mid, lo; } mgrad_one_over_pi;

static inline mgrad_one_over_pi mgrad_one_over_pi_for(float a) {
  int b = a >= 0x1p50f, c = a >= 0x1p76f, d = a >= 0x1p102f;
  mgrad_one_over_pi p;
  p.hi = d ? -0x1.505c158p-82 : c ? -0x1.5ac07b2p-54 : b ? -0x1.1b1bbecp-29
       : 0x1.45f306ep-2;
  p.mid = d ? -0x1.6447e48p-110 : c ? 0x1.5f47d4ep-83 : b ? 0x1.29fc276p-57
        : -0x1.b1bbeb0p-33;
  p.lo = d ? -0x1.3ad4cd8778df8p-138 : c ? -0x1.911f924eb5336p-112
       : b ? -0x1.05c1596447e49p-86 : 0x1.4fe13abe8fa9ap-60;
  return p;
}

/* t less a multiple of 2: within -1..1, exact for |t| < 2^50 */
static inline double mgrad_mod_2(double t) {
  return t - ((t + 2 * MGRAD_ROUNDER_WIDE) - 2 * MGRAD_ROUNDER_WIDE);
}

/* sin(pi f) for |f| <= 1/2: f P(f^2), P of degree 5, error 2^-35.4 */
static inline double mgrad_sin_poly(double f) {
  double z = f * f;
  double p = -0.0070220262408487947;
  p = mgrad_fma_wide(p, z, 0.082046399731912883);
  p = mgrad_fma_wide(p, z, -0.59925131425760247);
  p = mgrad_fma_wide(p, z, 2.5501632390306033);
  p = mgrad_fma_wide(p, z, -5.1677127620794883);
  p = mgrad_fma_wide(p, z, 3.1415926535231824);
  return p * f;
}

/* sin(a + ahead pi), its sign changed by the sign bit of 'flip', for every a >= 0
** (NaN from infinity): a / pi + ahead = 2 j + k + f, exact to 2^-60. */
static inline float mgrad_sin_of(float a, double ahead, uint32_t flip) {
  mgrad_one_over_pi p = mgrad_one_over_pi_for(a);
  double x = (double)a, hi = mgrad_mod_2(x * p.hi) + ahead, mid = mgrad_mod_2(x * p.mid);
  double k = ((hi + mid) + MGRAD_ROUNDER_WIDE) - MGRAD_ROUNDER_WIDE;
  double f = mgrad_fma_wide(x, p.lo, (hi - k) + mid);
  uint32_t odd = mgrad_bits((float)k + MGRAD_ROUNDER) << 31;
  float y = (float)mgrad_sin_poly(f);
  return mgrad_from_bits(mgrad_bits(y) ^ odd ^ (flip & 0x80000000u));
}

static inline float mgrad_sin(float x) {
  return mgrad_sin_of(fabsf(x), 0, mgrad_bits(x));
}

static inline float mgrad_cos(float x) {
  return mgrad_sin_of(fabsf(x), 0.5, 0);
}

/* ---- pow: in double, so that only the last rounding counts ---- */

/* log2 a for finite a > 0: a = m 2^e, s = (m - 1) / (m + 1), e + s P(s^2); P of
** degree 5, error 2^-42 */
static inline double mgrad_log2_wide(float a) {
  int32_t e;
  double m = (double)mgrad_mantissa(a, &e);
  double s = (m - 1) / (m + 1), z = s * s;
  double p = 0.29082262833233918;
  p = mgrad_fma_wide(p, z, 0.31928566553836346);
  p = mgrad_fma_wide(p, z, 0.41222615975314786);
  p = mgrad_fma_wide(p, z, 0.57707775567059194);
  p = mgrad_fma_wide(p, z, 0.96179669482562702);
  p = mgrad_fma_wide(p, z, 2.8853900817774241);
  return mgrad_fma_wide(p, s, (double)e);
}

/* 2^t as a float, rounded once: 2^n 2^r, n the integer nearest to t, 2^r of degree 7,
** error 2^-33 */
static inline float mgrad_exp2_wide(double t) {
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
  float y = (float)(p * scale);
  y = t < -200 ? 0.0f : y;
  return t > 200 ? INFINITY : y;
}

/* a to the power y for a >= 0, but for y = 0 and a = 1 */
static inline float mgrad_pow_positive(float a, float y) {
  double l = mgrad_log2_wide(a);
  l = a < INFINITY ? l : (double)a;
  l = a == 0 ? -(double)INFINITY : l;
  return mgrad_exp2_wide((double)y * l);
}

/* What a >= 0 is away from an integer; 0 from 2^23 on, and for NaN. */
static inline float mgrad_fraction(float a) {
  a = a < 0x1p23f ? a : 0x1p23f;
  return a - ((a + 0x1p23f) - 0x1p23f);
}

/* x to the power y; all special cases are those of C's pow (Annex F). */
static inline float mgrad_pow(float x, float y) {
  float a = fabsf(x), b = fabsf(y), z = mgrad_pow_positive(a, y);
  float fraction = mgrad_fraction(b), odd = fraction == 0 ? mgrad_fraction(b / 2) : 0;
  float root = x < 0 ? fraction : 0; /* of a negative number */
  z = odd == 0 ? z : mgrad_from_bits(mgrad_bits(z) ^ (mgrad_bits(x) & 0x80000000u));
  root = a < INFINITY ? root : 0;
  z = root == 0 ? z : NAN;
  b = a == 1 ? b : 0; /* 1 and -1 to an infinite power */
  z = b == INFINITY ? 1.0f : z;
  z = x == 1 ? 1.0f : z;
  return y == 0 ? 1.0f : z;
}

#endif
