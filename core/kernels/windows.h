/*
** windows.h - sums over windows of pictures: what convolutions are made of.
**
** A picture is copied once, padded and parted so that the numbers which one tap of
** a window meets, from position to position, lie side by side whatever stride and
** dilation are (mgrad_planes). A convolution is then a product of matrices whose one
** operand is never made: its row k is where tap k begins.
*/
#ifndef MGRAD_WINDOWS_H
#define MGRAD_WINDOWS_H

#include "kernels.h"

/* Channels of h by w numbers, each parted into stride_h * stride_w planes of 'rows'
** by 'width': number (i, j) of plane (p, q) is number (i * stride_h + p - pad_h,
** j * stride_w + q - pad_w) of the channel, or 0 outside. */
typedef struct mgrad_planes {
  int64_t channels, h, w;
  int64_t stride_h, stride_w, pad_h, pad_w;
  int64_t rows, width;
} mgrad_planes;

enum { MGRAD_WINDOWS_SLACK = 128 }; /* zeros behind the planes, which may be read */

static inline int64_t mgrad_planes_size(const mgrad_planes *p) {
  return p->channels * p->stride_h * p->stride_w * p->rows * p->width + MGRAD_WINDOWS_SLACK;
}
/* The first of n numbers, 'stride' apart from place 'first' on, that is not before
** place 0, and the first that is not before place 'size'; n at most. */
static inline int64_t mgrad_first_inside(int64_t n, int64_t stride, int64_t first) {
  return first >= 0 ? 0 : mgrad_min_size((stride - 1 - first) / stride, n);
}
static inline int64_t mgrad_first_beyond(int64_t n, int64_t stride, int64_t first,
                                         int64_t size) {
  return first >= size ? 0 : mgrad_min_size((size - 1 - first) / stride + 1, n);
}

/* What vectors hold: positions, rows running into each other; positions of one row; or
** the results of one position. The same bits, where weights are finite. */
typedef enum mgrad_across { MGRAD_ALONG_ALL, MGRAD_ALONG_ROWS, MGRAD_BY_CHANNEL } mgrad_across;

/* m results at each of rows * cols positions: result o at (i, j) is bias[o] plus the
** sum over k, in order, of weight(o, k) times planes[at[k] + i * width + j]. */
typedef struct mgrad_windows {
  int64_t m, k, rows, cols, width;
  const int64_t *at;
  int64_t channels; /* k consists of as many taps for each */
  int64_t from, to; /* numbers of a channel's planes outside of which there are zeros */
  mgrad_across vectors;
  mgrad_pool *pool; /* some results are a piece of the call */
  int worker;
} mgrad_windows;

/* Where results go: o at (i, j) to data[o * channel + i * row + j * col], or is added
** there, if i and j are within the limits. */
typedef struct mgrad_target {
  mgrad_real *data;
  int64_t channel, row, col;
  int64_t row_from, row_to, col_from, col_to;
  bool add;
} mgrad_target;

/* Numbers that packed weights take, and the scratch of one run. */
static inline int64_t mgrad_windows_packed(int64_t m, int64_t k) {
  return (m + 15) / 16 * 16 * (k + 1);
}
static inline int64_t mgrad_windows_work(int64_t rows, int64_t cols, int64_t width) {
  int64_t numbers = rows * (width > 16 ? width : 16);
  int64_t across = 12 * ((numbers + 127) / 128 * 128), along = 16 * rows * cols;
  return across > along ? across : along;
}
/* The gradient of weights: adds the sums over positions of d of result o times
** planes[at[t] + i * width + j]. Where results fill vectors of 16, d is {positions, 16} for
** each 16 results, and so is sum {k, 16}: one after the other. Else d holds 'size' numbers,
** a multiple of 16, for each result, laid out as positions are, with zeros between; sum is
** {m, k}, and each is made up of 16 lanes, then a fixed tree. */
typedef struct mgrad_window_sums {
  int64_t m, k, rows, cols, width;
  const int64_t *at;
  bool by_channel; /* as it suits the sizes, the same for all instruction sets */
  int64_t size, pictures;
  const mgrad_real *planes, *d;
  int64_t planes_step, d_step; /* from picture to picture */
  mgrad_pool *pool; /* the sums of some results are a piece of the call */
  int worker;
} mgrad_window_sums;

/* The loops, as each instruction set has them. */
typedef struct mgrad_window_code {
  void (*fill)(const mgrad_planes *p, const mgrad_real *x, mgrad_real *planes);
  /* Settles 'vectors'; 'plain' where the target has col = 1 and nothing is added. */
  void (*choose)(mgrad_windows *w, bool plain);
  /* weight(o, k) = weight[from[k] + o * step]; bias may be NULL. */
  void (*pack)(const mgrad_windows *w, const mgrad_real *weight, const int64_t *from,
               int64_t step, const mgrad_real *bias, mgrad_real *packed);
  void (*run)(const mgrad_windows *w, const mgrad_real *planes, const mgrad_real *packed,
              mgrad_real *work, const mgrad_target *to);
  /* Lays out one picture {m, rows, cols} as the gradient reads it: d_step numbers. */
  void (*spread)(const mgrad_window_sums *s, const mgrad_real *x, mgrad_real *d);
  void (*gradient)(const mgrad_window_sums *s, mgrad_real *sum);
  double (*sum)(int64_t n, const mgrad_real *x, int64_t step); /* mgrad_sum */
} mgrad_window_code;

#endif
