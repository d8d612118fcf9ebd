/*
** pool.c - the mean or the greatest of each window of a sequence {n, c, l} or of
** pictures {n, c, h, w}. Windows are of one size, or ('adaptive') share the input
** out among a given number of results.
**
** Results are made row by row: each tap of the window is one strided loop over them.
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

enum { KERNEL, STRIDE, PADDING, SIZE = 0 };

/* One axis: 'large' numbers, 'small' windows. */
typedef struct axis {
  int64_t large, small, kernel, stride, pad;
  bool adaptive;
} axis;

typedef struct pooling {
  const mgrad_call *call;
  axis h, w;
} pooling;

/* Where window i begins and ends; beyond the input where there is padding. */
static int64_t begin(const axis *a, int64_t i) {
  return a->adaptive ? i * a->large / a->small : i * a->stride - a->pad;
}

static int64_t end(const axis *a, int64_t i) {
  if (a->adaptive) return ((i + 1) * a->large + a->small - 1) / a->small;
  return i * a->stride - a->pad + a->kernel;
}

static int64_t inside(const axis *a, int64_t i) {
  return i < 0 ? 0 : mgrad_min_size(i, a->large);
}

/* ---- shapes ---- */

static axis take_axis(const mgrad_call *c, int d, bool adaptive) {
  const double *v = c->attrs->value;
  const mgrad_array *x = c->x[0];
  axis a = { .large = 1, .small = 1, .kernel = 1, .stride = 1, .adaptive = adaptive };
  if (x->ndim - d < 2) return a;
  a.large = x->size[x->ndim - d];
  if (adaptive) {
    a.small = MGRAD_PAIR_AT(v[SIZE], d);
    return a;
  }
  a.kernel = MGRAD_PAIR_AT(v[KERNEL], d);
  a.stride = MGRAD_PAIR_AT(v[STRIDE], d);
  if (a.stride == 0) a.stride = a.kernel;
  a.pad = MGRAD_PAIR_AT(v[PADDING], d);
  int64_t free = a.large + 2 * a.pad - a.kernel;
  a.small = free < 0 ? 0 : free / a.stride + 1;
  return a;
}

static pooling describe(const mgrad_call *c, bool adaptive) {
  return (pooling){ c, take_axis(c, 2, adaptive), take_axis(c, 1, adaptive) };
}

static mgrad_status infer_any(mgrad_call *c, bool adaptive) {
  const mgrad_array *x = c->x[0];
  if (x->ndim < 3 || x->ndim > 4) {
    return mgrad_op_fail(c, "x is %a, expected {n, c, l} or {n, c, h, w}", x);
  }
  pooling p = describe(c, adaptive);
  for (int d = 1; d <= x->ndim - 2; d++) {
    const axis *a = d == 1 ? &p.w : &p.h;
    if (2 * a->pad > a->kernel) {
      return mgrad_op_fail(c, "padding is %d, expected at most half of kernel, %d", a->pad,
                           a->kernel);
    }
    if (a->small < 1) {
      return mgrad_op_fail(c, "x is %a, too small for a window of %d", x, a->kernel);
    }
  }
  mgrad_infer_same(c);
  if (x->ndim == 4) c->y->size[2] = p.h.small;
  c->y->size[x->ndim - 1] = p.w.small;
  return MGRAD_OK;
}

static mgrad_status pool_infer(mgrad_call *c) { return infer_any(c, false); }
static mgrad_status adaptive_infer(mgrad_call *c) { return infer_any(c, true); }

/* ---- planes, shared among threads ---- */

/* f works on one plane {large} and its results {small}. */
typedef void (*plane_fn)(const pooling *p, const mgrad_real *x, mgrad_real *y, int64_t plane);
typedef struct planes {
  const pooling *p;
  plane_fn f;
} planes;

static void run_planes(void *ud, int64_t first, int64_t last) {
  const planes *all = ud;
  const pooling *p = all->p;
  int64_t large = p->h.large * p->w.large, small = p->h.small * p->w.small;
  for (int64_t i = first; i < last; i++)
    all->f(p, p->call->x[0]->data + i * large, p->call->y->data + i * small, i);
}

static void each_plane(const pooling *p, plane_fn f) {
  const mgrad_call *c = p->call;
  planes all = { p, f };
  int64_t n = c->x[0]->size[0] * c->x[0]->size[1];
  mgrad_pool_items(c->ctx->pool, n, p->h.large * p->w.large, run_planes, &all);
}

/* ---- rows of results ---- */

/* Results j from .. to - 1 whose window has column b of the kernel inside. */
static void columns_inside(const axis *a, int64_t b, int64_t *from, int64_t *to) {
  int64_t first = b - a->pad;
  *from = first >= 0 ? 0 : mgrad_min_size((a->stride - 1 - first) / a->stride, a->small);
  *to = first >= a->large ? 0
      : mgrad_min_size((a->large - 1 - first) / a->stride + 1, a->small);
}

/* A power of 2 that the sum of a window is times, so that it fits where its mean does. */
static mgrad_real part_of(const pooling *p) {
  const axis *h = &p->h, *w = &p->w;
  int64_t most = (h->adaptive ? h->large : h->kernel) * (w->adaptive ? w->large : w->kernel);
  mgrad_real part = 1;
  for (; most > 1; most = (most + 1) / 2) part /= 2;
  return part;
}

INLINE void add_row(int64_t n, const mgrad_real *x, const int64_t step, mgrad_real part,
                    mgrad_real *y) {
  MGRAD_EACH(j, n) y[j] = MGRAD_FMA(x[j * step], part, y[j]);
}

/* NaN wins. */
INLINE void raise_row(int64_t n, const mgrad_real *x, const int64_t step, mgrad_real part,
                      mgrad_real *y) {
  (void)part;
  MGRAD_EACH(j, n) y[j] = x[j * step] > y[j] || x[j * step] != x[j * step] ? x[j * step] : y[j];
}

/* Steps of 1 and 2 are loops of their own, for the compiler to make vectors of. */
#define BY_STEP(f, n, x, step, part, y)                                           \
  do {                                                                            \
    if ((step) == 1) f(n, x, 1, part, y);                                         \
    else if ((step) == 2) f(n, x, 2, part, y);                                    \
    else f(n, x, step, part, y);                                                  \
  } while (0)

/* One row of x into the results of one row: the part of it to sums; part 0: the greatest. */
static void take_row(const axis *w, const mgrad_real *x, mgrad_real *y, mgrad_real part) {
  for (int64_t b = 0; b < w->kernel; b++) {
    int64_t from, to;
    columns_inside(w, b, &from, &to);
    const mgrad_real *first = x + from * w->stride + b - w->pad;
    if (part == 0) BY_STEP(raise_row, to - from, first, w->stride, part, y + from);
    else BY_STEP(add_row, to - from, first, w->stride, part, y + from);
  }
}

static void take_row_adaptive(const axis *w, const mgrad_real *x, mgrad_real *y,
                              mgrad_real part) {
  for (int64_t j = 0; j < w->small; j++)
    for (int64_t k = begin(w, j); k < end(w, j); k++) {
      if (part != 0) y[j] = MGRAD_FMA(x[k], part, y[j]);
      else if (x[k] > y[j] || x[k] != x[k]) y[j] = x[k];
    }
}

/* Windows of 2 by 2 without a gap, as most are. */
static bool squares(const pooling *p) {
  const axis *h = &p->h, *w = &p->w;
  return !h->adaptive && h->kernel == 2 && h->stride == 2 && h->pad == 0 &&
         w->kernel == 2 && w->stride == 2 && w->pad == 0;
}

/* The same sums in one loop. */
static void mean_of_squares(const pooling *p, const mgrad_real *x, mgrad_real *y) {
  int64_t n = p->w.small, width = p->w.large;
  for (int64_t i = 0; i < p->h.small; i++, x += 2 * width, y += n)
    MGRAD_EACH(j, n) {
      mgrad_real upper = MGRAD_FMA(x[2 * j + 1], REAL(0.25), x[2 * j] / 4);
      mgrad_real lower = MGRAD_FMA(x[width + 2 * j], REAL(0.25), upper);
      y[j] = MGRAD_FMA(x[width + 2 * j + 1], REAL(0.25), lower);
    }
}

/* Their slopes: each share goes to two places of two rows. */
static void slopes_of_squares(const pooling *p, const mgrad_real *dy, mgrad_real *dx,
                              bool add) {
  int64_t n = p->w.small, width = p->w.large;
  for (int64_t i = 0; i < p->h.small; i++, dx += 2 * width, dy += n) {
    if (add) {
      MGRAD_EACH(j, n) {
        mgrad_real share = dy[j] / 4;
        dx[2 * j] += share, dx[2 * j + 1] += share;
        dx[width + 2 * j] += share, dx[width + 2 * j + 1] += share;
      }
    } else {
      MGRAD_EACH(j, n) dx[2 * j] = dx[2 * j + 1] = dy[j] / 4;
      memcpy(dx + width, dx, (size_t)(2 * n) * sizeof *dx);
    }
  }
}

static void pool_rows(const pooling *p, const mgrad_real *x, mgrad_real *y, bool greatest) {
  const axis *h = &p->h, *w = &p->w;
  mgrad_real part = greatest ? 0 : part_of(p);
  if (!greatest && squares(p)) {
    mean_of_squares(p, x, y);
    return;
  }
  for (int64_t i = 0; i < h->small; i++, y += w->small) {
    for (int64_t j = 0; j < w->small; j++) y[j] = greatest ? -INFINITY : 0;
    for (int64_t k = inside(h, begin(h, i)); k < inside(h, end(h, i)); k++) {
      if (w->adaptive) take_row_adaptive(w, x + k * w->large, y, part);
      else take_row(w, x + k * w->large, y, part);
    }
    if (greatest) continue;
    mgrad_real rows = REAL(end(h, i) - begin(h, i)) * part;
    MGRAD_EACH(j, w->small) y[j] /= rows * REAL(end(w, j) - begin(w, j));
  }
}

static void mean_plane(const pooling *p, const mgrad_real *x, mgrad_real *y, int64_t plane) {
  (void)plane;
  pool_rows(p, x, y, false);
}

static void max_plane(const pooling *p, const mgrad_real *x, mgrad_real *y, int64_t plane) {
  (void)plane;
  pool_rows(p, x, y, true);
}

/* ---- backward ---- */

/* This plane's gradient, cleared unless it is to be added to, or is all overwritten. */
static mgrad_real *gradient_plane(const pooling *p, int64_t plane, bool all) {
  int64_t n = p->h.large * p->w.large;
  mgrad_real *dx = p->call->dx[0] + plane * n;
  if (!p->call->add[0] && !all) memset(dx, 0, (size_t)n * sizeof *dx);
  return dx;
}

static void mean_slopes(const pooling *p, const mgrad_real *x, mgrad_real *y, int64_t plane) {
  (void)x, (void)y;
  const axis *h = &p->h, *w = &p->w;
  const mgrad_real *dy = p->call->dy + plane * h->small * w->small;
  bool even = 2 * h->small == h->large && 2 * w->small == w->large;
  mgrad_real *dx = gradient_plane(p, plane, squares(p) && even);
  if (squares(p)) {
    slopes_of_squares(p, dy, dx, p->call->add[0]);
    return;
  }
  for (int64_t i = 0; i < h->small; i++, dy += w->small)
    for (int64_t k = inside(h, begin(h, i)); k < inside(h, end(h, i)); k++) {
      mgrad_real *row = dx + k * w->large, rows = REAL(end(h, i) - begin(h, i));
      for (int64_t j = 0; j < w->small; j++) {
        mgrad_real share = dy[j] / (rows * REAL(end(w, j) - begin(w, j)));
        for (int64_t l = inside(w, begin(w, j)); l < inside(w, end(w, j)); l++) row[l] += share;
      }
    }
}

/* The first place of window (i, j) that holds its result. */
static int64_t place_of(const pooling *p, const mgrad_real *x, int64_t i, int64_t j,
                        mgrad_real result) {
  const axis *h = &p->h, *w = &p->w;
  int64_t from = inside(w, begin(w, j)), to = inside(w, end(w, j));
  for (int64_t k = inside(h, begin(h, i)); k < inside(h, end(h, i)); k++)
    for (int64_t l = from; l < to; l++) {
      mgrad_real v = x[k * w->large + l];
      if (v == result || v != v) return k * w->large + l;
    }
  return inside(h, begin(h, i)) * w->large + from;
}

static void max_slopes(const pooling *p, const mgrad_real *x, mgrad_real *y, int64_t plane) {
  const axis *h = &p->h, *w = &p->w;
  const mgrad_real *dy = p->call->dy + plane * h->small * w->small;
  mgrad_real *dx = gradient_plane(p, plane, false);
  for (int64_t i = 0; i < h->small; i++)
    for (int64_t j = 0; j < w->small; j++, y++, dy++) dx[place_of(p, x, i, j, *y)] += *dy;
}

/* ---- the ops ---- */

#define POOL(word, adaptive, plane, slopes)                                       \
  static void word##_forward(mgrad_call *c) {                                     \
    pooling p = describe(c, adaptive);                                            \
    each_plane(&p, plane);                                                        \
  }                                                                               \
  static void word##_backward(mgrad_call *c) {                                    \
    if (c->dx[0] == NULL) return;                                                 \
    pooling p = describe(c, adaptive);                                            \
    each_plane(&p, slopes);                                                       \
  }
POOL(avg_pool, false, mean_plane, mean_slopes)
POOL(max_pool, false, max_plane, max_slopes)
POOL(adaptive_avg_pool, true, mean_plane, mean_slopes)
POOL(adaptive_max_pool, true, max_plane, max_slopes)

#define WINDOW_ATTRS                                                              \
  MGRAD_ATTRS({ .name = "kernel", .type = MGRAD_ATTR_PAIR, .initial = MGRAD_REQUIRED, \
                .low = 1, .high = MGRAD_MOST_PAIR, .doc = "the size of a window" }, \
              { .name = "stride", .type = MGRAD_ATTR_PAIR, .initial = 0,          \
                .high = MGRAD_MOST_PAIR,                                          \
                .doc = "how far a window is from the next, 0 as kernel" },        \
              { .name = "padding", .type = MGRAD_ATTR_PAIR, .initial = 0,         \
                .high = MGRAD_MOST_PAIR,                                          \
                .doc = "how much is around x, on each side" })
#define SIZE_ATTR                                                                 \
  MGRAD_ATTRS({ .name = "size", .type = MGRAD_ATTR_PAIR, .initial = MGRAD_REQUIRED, \
                .low = 1, .high = MGRAD_MOST_PAIR, .doc = "that of the result" })
#define WINDOW_EXAMPLES                                                           \
  MGRAD_EXAMPLES(                                                                 \
    { .shapes = { { 2, 3, 6, 4 } }, .attrs = { { "kernel", MGRAD_PAIR(2, 2) } } }, \
    { .shapes = { { 2, 1, 7, 5 } }, .attrs = { { "kernel", MGRAD_PAIR(3, 2) },    \
      { "stride", MGRAD_PAIR(2, 1) }, { "padding", MGRAD_PAIR(1, 1) } } },        \
    { .shapes = { { 1, 2, 5, 7 } }, .attrs = { { "kernel", MGRAD_PAIR(1, 2) },    \
      { "stride", MGRAD_PAIR(3, 4) } } },                                         \
    { .shapes = { { 2, 3, 8 } }, .attrs = { { "kernel", MGRAD_PAIR(3, 3) } } },   \
    { .shapes = { { 2, 3, 6, 7 } }, .vary = { { "kernel", 1, 4 },                 \
      { "stride", 0, 5 }, { "padding", 0, 2 } },                                  \
      .attrs = { { "kernel", MGRAD_PAIR(4, 4) } } })
#define SIZE_EXAMPLES                                                             \
  MGRAD_EXAMPLES(                                                                 \
    { .shapes = { { 2, 3, 7, 5 } }, .attrs = { { "size", MGRAD_PAIR(3, 2) } } },  \
    { .shapes = { { 2, 3, 4, 6 } }, .attrs = { { "size", MGRAD_PAIR(1, 1) } } },  \
    { .shapes = { { 1, 2, 3 } }, .attrs = { { "size", MGRAD_PAIR(5, 5) } } })

MGRAD_OP(avg_pool) = {
  MGRAD_NAMED(avg_pool), .operands = "x",
  .doc = "the mean of each window, zeros around x included",
  WINDOW_ATTRS, .infer = pool_infer, .forward = avg_pool_forward,
  .backward = avg_pool_backward, WINDOW_EXAMPLES };

MGRAD_OP(max_pool) = {
  MGRAD_NAMED(max_pool), .operands = "x", .reads = 1 | MGRAD_READS_Y,
  .doc = "the greatest number of each window; the first of equal ones gets the gradient",
  WINDOW_ATTRS, .infer = pool_infer, .forward = max_pool_forward,
  .backward = max_pool_backward, WINDOW_EXAMPLES };

MGRAD_OP(adaptive_avg_pool) = {
  MGRAD_NAMED(adaptive_avg_pool), .operands = "x",
  .doc = "means of windows that share x out among 'size' results",
  SIZE_ATTR, .infer = adaptive_infer, .forward = adaptive_avg_pool_forward,
  .backward = adaptive_avg_pool_backward, SIZE_EXAMPLES };

MGRAD_OP(adaptive_max_pool) = {
  MGRAD_NAMED(adaptive_max_pool), .operands = "x", .reads = 1 | MGRAD_READS_Y,
  .doc = "greatest numbers of windows that share x out among 'size' results",
  SIZE_ATTR, .infer = adaptive_infer, .forward = adaptive_max_pool_forward,
  .backward = adaptive_max_pool_backward, SIZE_EXAMPLES };
