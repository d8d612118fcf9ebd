/*
** base.h - what every file of the core starts from: the public types, limits,
** checked arithmetic.
*/
#ifndef MGRAD_BASE_H
#define MGRAD_BASE_H

#include "moongrad.h"

#include <stdbool.h>
#include <string.h>

#define MGRAD_ALIGN 64          /* bytes; one cache line, one AVX-512 vector */
#define MGRAD_MAX_OPERANDS 1024 /* of one op; only cat and stack come near */

#define INLINE static inline __attribute__((always_inline))

/* Evaluates 'call' and returns its status from this function unless it is OK. */
#define MGRAD_TRY(call)                          \
  do {                                           \
    mgrad_status status_ = (call);               \
    if (status_ != MGRAD_OK) return status_;     \
  } while (0)

/* A loop whose turns do not depend on each other: results may lie where operands
** do, but number by number. */
#if defined(__clang__)
#define MGRAD_EACH(i, n) \
  _Pragma("clang loop vectorize(assume_safety)") for (int64_t i = 0; i < (n); i++)
#else
#define MGRAD_EACH(i, n) _Pragma("GCC ivdep") for (int64_t i = 0; i < (n); i++)
#endif

static inline bool mgrad_mul_overflows(int64_t a, int64_t b, int64_t *product) {
  if (a != 0 && b > INT64_MAX / a) return true; /* both are sizes, never negative */
  *product = a * b;
  return false;
}

static inline int64_t mgrad_min_size(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
