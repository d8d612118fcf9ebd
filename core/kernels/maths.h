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

#else

#include "maths_float.h"

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

#endif

/* 1 / (1 + exp(-x)), never from an infinite exp */
static inline mgrad_real mgrad_sigmoid(mgrad_real x) {
  mgrad_real e = EXP(-ABS(x));
  return (x >= 0 ? REAL(1) : e) / (1 + e);
}

/* log(1 + exp(x)), never from an infinite exp */
static inline mgrad_real mgrad_softplus(mgrad_real x) {
  return (x > 0 ? x : 0) + LOG1P(EXP(-ABS(x)));
}

#endif
