/*
** maths.h - the functions of one number that ops use, in the core's precision.
*/
#ifndef MGRAD_MATHS_H
#define MGRAD_MATHS_H

#include <math.h>
#include "../base.h"

#ifdef MGRAD_REAL_DOUBLE
#define MGRAD_MATHS(name) name
#else
#define MGRAD_MATHS(name) name##f
#endif

#define EXP MGRAD_MATHS(exp)
#define EXPM1 MGRAD_MATHS(expm1)
#define LOG MGRAD_MATHS(log)
#define LOG1P MGRAD_MATHS(log1p)
#define TANH MGRAD_MATHS(tanh)
#define SIN MGRAD_MATHS(sin)
#define COS MGRAD_MATHS(cos)
#define SQRT MGRAD_MATHS(sqrt)
#define POW MGRAD_MATHS(pow)
#define ERF MGRAD_MATHS(erf)
#define ABS MGRAD_MATHS(fabs)
#define FMA MGRAD_MATHS(fma)

#define REAL(v) ((mgrad_real)(v))

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
