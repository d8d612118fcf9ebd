/*
** conv.h - what the files of convolution share: its sizes, and the gradient of the weight.
*/
#ifndef MGRAD_CONV_H
#define MGRAD_CONV_H

#include "../kernels/windows.h"
#include "../op.h"

/* One axis: 'large' numbers, 'small' windows of 'kernel' numbers. */
typedef struct axis {
  int64_t large, small, kernel, stride, dilation, pad;
  int64_t reach; /* of a window, in strides */
} axis;

typedef struct conv {
  int64_t n, groups, c, o;
  axis h, w;
} conv;

static inline int64_t large_size(const conv *c) { return c->c * c->h.large * c->w.large; }
static inline int64_t small_size(const conv *c) { return c->o * c->h.small * c->w.small; }
static inline int64_t kernel_size(const conv *c) { return c->h.kernel * c->w.kernel; }
static inline int64_t taps(const conv *c) { return c->c * kernel_size(c); }
static inline int64_t weights(const conv *c) { return c->o * taps(c); }
static inline int64_t round_16(int64_t n) { return (n + 15) / 16 * 16; }

/* The large picture, parted so that windows are plain. */
static inline mgrad_planes large_planes(const conv *c) {
  return (mgrad_planes){ c->c, c->h.large, c->w.large, c->h.stride, c->w.stride, c->h.pad,
                         c->w.pad, c->h.small + c->h.reach, c->w.small + c->w.reach };
}

/* The small picture with the room around it that windows reach into. */
static inline mgrad_planes small_planes(const conv *c) {
  return (mgrad_planes){ c->o, c->h.small, c->w.small, 1, 1, c->h.reach, c->w.reach,
                         c->h.small + 2 * c->h.reach, c->w.small + 2 * c->w.reach };
}

static inline int64_t plane_count(const conv *c) { return c->h.stride * c->w.stride; }

/* Numbers that hold n integers. */
static inline int64_t integers(int64_t n) {
  return round_16(n * (int64_t)(sizeof(int64_t) / sizeof(mgrad_real)));
}

static inline const mgrad_window_code *code_of(const mgrad_call *call) {
  return call->ctx->code->windows;
}

/* Scratch: what all threads read, then as much again for each of them. */
typedef struct mgrad_room { int64_t shared, own; } mgrad_room;

/* The taps of windows, (c, kh, kw) in order: where each begins in the planes of the large
** picture. */
static inline void locate_taps(const conv *c, int64_t *at) {
  mgrad_planes p = large_planes(c);
  for (int64_t k = 0; k < taps(c); k++) {
    int64_t i = k / c->w.kernel % c->h.kernel * c->h.dilation;
    int64_t j = k % c->w.kernel * c->w.dilation;
    int64_t plane = (k / kernel_size(c) * c->h.stride + i % c->h.stride) * c->w.stride +
                    j % c->w.stride;
    at[k] = (plane * p.rows + i / c->h.stride) * p.width + j / c->w.stride;
  }
}

/* ---- conv_weight.c ---- */

/* The gradients of weight and bias are sums over blocks of pictures, which are found by
** themselves and added in order. */
typedef struct mgrad_weighing {
  const mgrad_call *call;
  const conv *c;
  mgrad_real *shared; /* scratch */
} mgrad_weighing;

/* How many blocks there are, and pictures that are best given at once: by size alone. */
int64_t mgrad_conv_blocks(const conv *c);
int64_t mgrad_conv_together(const conv *c);
mgrad_room mgrad_conv_room(const conv *c);
/* Readies the scratch. */
void mgrad_conv_weigh_begin(const mgrad_weighing *v);
/* Adds the share of 'count' pictures to what block 'b' has found; 'own' is scratch. dy is the
** small ones, or, 'transposed', the large ones. */
void mgrad_conv_weigh(const mgrad_weighing *v, int64_t b, int64_t count,
                      const mgrad_real *large, const mgrad_real *small, bool transposed,
                      mgrad_real *own, int worker);
/* Hands over what all blocks have found. */
void mgrad_conv_weigh_end(const mgrad_weighing *v);

#endif
