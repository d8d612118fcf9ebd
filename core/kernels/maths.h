/*
** maths.h - the functions of one number that ops use, in the core's precision.
**
** In float they are our own (maths_float.h): the same bits on every machine with
** fused multiply-add, in every vector width. In double, which is for gradient
** checks, they are the C library's.
*/
#ifndef MGRAD_MATHS_H
#define MGRAD_MATHS_H

#include <math.h>
#include "../base.h"

#define REAL(v) ((mgrad_real)(v))

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__) || \
    defined(__FP_FAST_FMAF) || defined(MGRAD_VEC_BYTES)
#define MGRAD_FUSED 1
#else
#define MGRAD_FUSED 0
#endif

/* a * b + c, rounded once where the machine can, else twice. */
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

#ifdef MGRAD_REAL_DOUBLE

#define EXP exp
#define EXPM1 expm1
#define LOG log
#define LOG1P log1p
#define TANH tanh
#define SIN sin
#define COS cos
#define SQRT sqrt
#define POW pow
#define ERF erf
#define ABS fabs
#define MGRAD_FMA mgrad_fma_wide

/* 1 / (1 + exp(-x)), never from an infinite exp */
static inline double mgrad_sigmoid(double x) {
  double e = exp(-fabs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}

/* log(1 + exp(x)), never from an infinite exp */
static inline double mgrad_softplus(double x) {
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

#else

#include "maths_float.h" /* with mgrad_sigmoid and mgrad_softplus */

#define EXP mgrad_exp
#define EXPM1 mgrad_expm1
#define LOG mgrad_log
#define LOG1P mgrad_log1p
#define TANH mgrad_tanh
#define SIN mgrad_sin
#define COS mgrad_cos
#define SQRT sqrtf
#define POW mgrad_pow
#define ERF mgrad_erf
#define ABS fabsf
#define MGRAD_FMA mgrad_fma

#endif

#endif
