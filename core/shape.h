/*
** shape.h - the only place that multiplies sizes, and the arithmetic of
** row-major strides, broadcasting and dimension numbers.
*/
#ifndef MGRAD_SHAPE_H
#define MGRAD_SHAPE_H

#include "context.h"

/* Checks sizes (1 or more each, at most MGRAD_MAX_DIMS of them, total bytes
** addressable) and makes 'out' row-major with data NULL. */
mgrad_status mgrad_shape_make(mgrad_context *ctx, int ndim, const int64_t *size,
                              mgrad_array *out);
/* Gives 'a' row-major strides for its sizes. */
void mgrad_shape_pack(mgrad_array *a);
/* Elements; the sizes have been checked. Unsigned, so that a result too large (infer
** may ask before the caller has refused it) wraps and is no undefined behaviour. */
static inline int64_t mgrad_shape_numel(const mgrad_array *a) {
  uint64_t n = 1;
  for (int d = 0; d < a->ndim; d++) n *= (uint64_t)a->size[d];
  return (int64_t)n;
}
bool mgrad_shape_equal(const mgrad_array *a, const mgrad_array *b);
bool mgrad_shape_packed(const mgrad_array *a);
/* NumPy's rule for two shapes, into out's ndim and size. False if they clash. */
bool mgrad_shape_broadcast(const mgrad_array *a, const mgrad_array *b, mgrad_array *out);
/* 'a' seen with the larger shape of 'as': stride 0 where it repeats. */
void mgrad_shape_expand(const mgrad_array *a, const mgrad_array *as, mgrad_array *out);
/* Turns a DIM attribute into a position from 0: 1..ndim, -1..-ndim. */
mgrad_status mgrad_shape_dim(mgrad_context *ctx, const char *who, const mgrad_array *a,
                             double dim, int *position);
/* A packed array seen as {outer, size[dim], inner} around one dimension. */
typedef struct mgrad_split { int64_t outer, n, inner; } mgrad_split;
mgrad_split mgrad_shape_split(const mgrad_array *a, int position);

#endif
