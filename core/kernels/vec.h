/*
** vec.h - vectors of numbers as wide as the instruction set's registers, half as
** wide, and of four and eight; a multiply-add whose rounding no compiler flag decides.
*/
#ifndef MGRAD_VEC_H
#define MGRAD_VEC_H

#include "maths.h"

#if defined(MGRAD_VEC_BYTES) /* by the amalgamation, for the set it has switched to */
#define VEC_BYTES MGRAD_VEC_BYTES
#elif defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif

#ifdef MGRAD_REAL_DOUBLE
#define LANES (VEC_BYTES / 8)
#else
#define LANES (VEC_BYTES / 4)
#endif

typedef mgrad_real vec __attribute__((vector_size(VEC_BYTES)));
typedef mgrad_real half_vec __attribute__((vector_size(VEC_BYTES / 2)));
typedef mgrad_real quad __attribute__((vector_size(4 * sizeof(mgrad_real))));
typedef mgrad_real oct __attribute__((vector_size(8 * sizeof(mgrad_real))));

/* Loads, stores and y + a * x of a type of vector; y + a * x lane by lane is what
** compilers turn into one instruction. */
#define LOAD(type)                                                                  \
  INLINE type type##_load(const mgrad_real *p) {                                    \
    type v;                                                                         \
    memcpy(&v, p, sizeof v);                                                        \
    return v;                                                                       \
  }
#define VECTOR(type)                                                                \
  INLINE void type##_store(mgrad_real *p, type v) { memcpy(p, &v, sizeof v); }      \
  INLINE type type##_mul_add(mgrad_real a, type x, type y) {                        \
    for (int i = 0; i < (int)(sizeof y / sizeof a); i++) y[i] = MGRAD_FMA(a, x[i], y[i]); \
    return y;                                                                       \
  }

typedef mgrad_real lone;
INLINE lone lone_load(const mgrad_real *p) { return *p; }
INLINE void lone_store(mgrad_real *p, lone v) { *p = v; }
INLINE lone lone_mul_add(mgrad_real a, lone x, lone y) { return MGRAD_FMA(a, x, y); }
LOAD(vec) VECTOR(vec)
LOAD(half_vec) VECTOR(half_vec)
LOAD(quad) VECTOR(quad)
LOAD(oct)
/* Wider than some registers: compilers talk about such an argument. */
#define oct_store(p, v) memcpy(p, (oct[]){ v }, sizeof(oct))

#endif
