/*
** shape.c - the only place that multiplies sizes, and the arithmetic of
** row-major strides, broadcasting and dimension numbers.
*/
#include "shape.h"

/* Room for a storage's header and alignment is left below what can be addressed. */
#define MAX_NUMEL ((int64_t)((PTRDIFF_MAX - 4096) / sizeof(mgrad_real)))

/* Size of dimension 'd' of 'ndim', for an array aligned to the last of them. */
static int64_t aligned_size(const mgrad_array *a, int d, int ndim) {
  int own = d - (ndim - a->ndim);
  return own < 0 ? 1 : a->size[own];
}

mgrad_status mgrad_shape_make(mgrad_context *ctx, int ndim, const int64_t *size,
                              mgrad_array *out) {
  if (ndim < 0 || ndim > MGRAD_MAX_DIMS)
    return mgrad_fail(ctx, MGRAD_INVALID, "shape has %d dimensions, expected 0 to %d",
                      (int64_t)ndim, (int64_t)MGRAD_MAX_DIMS);
  mgrad_array a = { .ndim = ndim };
  for (int d = 0; d < ndim; d++) a.size[d] = size[d];
  int64_t numel = 1;
  for (int d = 0; d < ndim; d++) {
    if (size[d] < 1)
      return mgrad_fail(ctx, MGRAD_INVALID, "shape is %a, expected sizes of 1 or more",
                        &a);
    if (mgrad_mul_overflows(numel, size[d], &numel) || numel > MAX_NUMEL)
      return mgrad_fail(ctx, MGRAD_INVALID, "shape is %a, which no memory can hold", &a);
  }
  if (numel > 1 && mgrad_limit_reached(ctx, MGRAD_LIMIT_ELEMENTS, (uint64_t)numel - 1)) {
    return mgrad_fail(ctx, MGRAD_INVALID, "shape is %a, this host allows %d elements", &a,
                      (int64_t)ctx->limits[MGRAD_LIMIT_ELEMENTS]);
  }
  mgrad_shape_pack(&a);
  *out = a;
  return MGRAD_OK;
}

void mgrad_shape_pack(mgrad_array *a) {
  int64_t stride = 1;
  for (int d = a->ndim - 1; d >= 0; d--) {
    a->stride[d] = stride;
    stride *= a->size[d];
  }
}

bool mgrad_shape_equal(const mgrad_array *a, const mgrad_array *b) {
  if (a->ndim != b->ndim) return false;
  for (int d = 0; d < a->ndim; d++)
    if (a->size[d] != b->size[d]) return false;
  return true;
}

bool mgrad_shape_packed(const mgrad_array *a) {
  int64_t stride = 1;
  for (int d = a->ndim - 1; d >= 0; d--) {
    if (a->size[d] == 1) continue; /* its stride is never used */
    if (a->stride[d] != stride) return false;
    stride *= a->size[d];
  }
  return true;
}

bool mgrad_shape_broadcast(const mgrad_array *a, const mgrad_array *b,
                           mgrad_array *out) {
  int ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
  int64_t size[MGRAD_MAX_DIMS];
  for (int d = 0; d < ndim; d++) {
    int64_t m = aligned_size(a, d, ndim), n = aligned_size(b, d, ndim);
    if (m != n && m != 1 && n != 1) return false;
    size[d] = m == 1 ? n : m;
  }
  out->ndim = ndim;
  for (int d = 0; d < ndim; d++) out->size[d] = size[d];
  return true;
}

void mgrad_shape_expand(const mgrad_array *a, const mgrad_array *as, mgrad_array *out) {
  mgrad_array wide = { .data = a->data, .ndim = as->ndim };
  for (int d = 0; d < as->ndim; d++) {
    bool repeats = aligned_size(a, d, as->ndim) != as->size[d];
    int own = d - (as->ndim - a->ndim);
    wide.size[d] = as->size[d];
    wide.stride[d] = repeats || own < 0 ? 0 : a->stride[own];
  }
  *out = wide;
}

mgrad_status mgrad_shape_dim(mgrad_context *ctx, const char *who, const mgrad_array *a,
                             double dim, int *position) {
  int n = a->ndim;
  if (dim >= 1 && dim <= n) {
    *position = (int)dim - 1;
  } else if (dim <= -1 && dim >= -n) {
    *position = (int)dim + n;
  } else if (n == 0) {
    return mgrad_fail(ctx, MGRAD_INVALID, "%s: dim is %g, but a single number has none",
                      who, dim);
  } else {
    return mgrad_fail(ctx, MGRAD_INVALID,
                      "%s: dim is %g, expected 1 to %d or -%d to -1 for shape %a", who,
                      dim, (int64_t)n, (int64_t)n, a);
  }
  return MGRAD_OK;
}

mgrad_split mgrad_shape_split(const mgrad_array *a, int position) {
  mgrad_split s = { 1, a->size[position], 1 };
  for (int d = 0; d < position; d++) s.outer *= a->size[d];
  for (int d = position + 1; d < a->ndim; d++) s.inner *= a->size[d];
  return s;
}
