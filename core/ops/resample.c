/*
** resample.c - sequences {n, c, l} and pictures {n, c, h, w} made longer or larger:
** padded, or scaled up. Along each axis a result is one number of x, or lies between
** two, or is 0; what holds for an axis is worked out once (a 'spot' for each result).
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

enum { BEFORE, AFTER, PAD_MODE, FACTOR = 0, SCALE_MODE = 1 };
enum { ZERO, REFLECT, REPLICATE };
enum { NEAREST, BILINEAR, LINEAR }; /* two names for one: of pictures, of sequences */

/* (1 - weight) x[from] + weight x[to]; 0 where from is -1. */
typedef struct spot {
  int64_t from, to;
  double weight;
} spot;

typedef struct axis {
  int64_t large, small; /* results, and numbers of x */
  int64_t before;       /* padded in front */
  int mode;
} axis;

/* Result i of an axis that is padded. */
static spot padded(const axis *a, int64_t i) {
  int64_t k = i - a->before, last = a->small - 1;
  if (a->mode == ZERO && (k < 0 || k > last)) return (spot){ -1, -1, 0 };
  if (a->mode == REFLECT) k = k < 0 ? -k : k > last ? 2 * last - k : k;
  else k = k < 0 ? 0 : k > last ? last : k;
  return (spot){ k, k, 0 };
}

/* Result i of an axis that is scaled up; pixels are squares whose outer edges meet, as
** PyTorch's align_corners = false. */
static spot scaled(const axis *a, int64_t i) {
  int64_t factor = a->large / a->small;
  if (a->mode == NEAREST) return (spot){ i / factor, i / factor, 0 };
  double place = ((double)i + 0.5) / (double)factor - 0.5;
  if (place < 0) place = 0;
  int64_t from = (int64_t)place, to = mgrad_min_size(from + 1, a->small - 1);
  return (spot){ from, to, place - (double)from };
}

/* ---- shapes: an axis for h and one for w, and the spots of both ---- */

typedef struct resampling {
  const mgrad_call *call;
  axis h, w;
  bool scale;
} resampling;

static axis take_axis(const mgrad_call *c, int d, bool scale) {
  const mgrad_array *x = c->x[0];
  const double *v = c->attrs->value;
  axis a = { .large = 1, .small = 1, .mode = (int)v[scale ? SCALE_MODE : PAD_MODE] };
  if (x->ndim - d < 2) return a;
  a.small = x->size[x->ndim - d];
  if (scale) {
    a.large = a.small * MGRAD_PAIR_AT(v[FACTOR], d);
  } else {
    a.before = MGRAD_PAIR_AT(v[BEFORE], d);
    a.large = a.small + a.before + MGRAD_PAIR_AT(v[AFTER] < 0 ? v[BEFORE] : v[AFTER], d);
  }
  return a;
}

static resampling describe(const mgrad_call *c, bool scale) {
  return (resampling){ c, take_axis(c, 2, scale), take_axis(c, 1, scale), scale };
}

static mgrad_status check_reflection(const mgrad_call *c, const axis *a) {
  int64_t after = a->large - a->small - a->before, most = a->before > after ? a->before : after;
  if (a->mode != REFLECT || most < a->small) return MGRAD_OK;
  return mgrad_op_fail(c, "x is %a, too small to reflect %d numbers", c->x[0], most);
}

static mgrad_status infer_any(mgrad_call *c, bool scale) {
  const mgrad_array *x = c->x[0];
  if (x->ndim < 3 || x->ndim > 4) {
    return mgrad_op_fail(c, "x is %a, expected {n, c, l} or {n, c, h, w}", x);
  }
  resampling r = describe(c, scale);
  if (!scale) {
    MGRAD_TRY(check_reflection(c, &r.h));
    MGRAD_TRY(check_reflection(c, &r.w));
  }
  mgrad_infer_same(c);
  if (x->ndim == 4) c->y->size[2] = r.h.large;
  c->y->size[x->ndim - 1] = r.w.large;
  int64_t each = (int64_t)(sizeof(spot) / sizeof *x->data);
  c->nwork = c->nwork_backward = (r.h.large + r.w.large) * each;
  return MGRAD_OK;
}

static mgrad_status pad_infer(mgrad_call *c) { return infer_any(c, false); }
static mgrad_status upsample_infer(mgrad_call *c) { return infer_any(c, true); }

/* The spots of h, and behind them those of w. */
static spot *find_spots(const resampling *r) {
  spot *all = (spot *)(void *)r->call->work, *w = all + r->h.large;
  for (int64_t i = 0; i < r->h.large; i++) all[i] = (r->scale ? scaled : padded)(&r->h, i);
  for (int64_t j = 0; j < r->w.large; j++) w[j] = (r->scale ? scaled : padded)(&r->w, j);
  return all;
}

/* ---- planes ---- */

static mgrad_real between(mgrad_real a, mgrad_real b, double weight) {
  return weight == 0 ? a : REAL((1 - weight) * (double)a + weight * (double)b);
}

static void run_plane(const resampling *r, const spot *h, const mgrad_real *x, mgrad_real *y) {
  const spot *w = h + r->h.large;
  for (int64_t i = 0; i < r->h.large; i++, h++)
    for (int64_t j = 0; j < r->w.large; j++, y++) {
      if (h->from < 0 || w[j].from < 0) {
        *y = 0;
        continue;
      }
      const mgrad_real *top = x + h->from * r->w.small, *low = x + h->to * r->w.small;
      *y = between(between(top[w[j].from], top[w[j].to], w[j].weight),
                   between(low[w[j].from], low[w[j].to], w[j].weight), h->weight);
    }
}

static void add_share(mgrad_real *dx, double share) { *dx += REAL(share); }

static void run_slopes(const resampling *r, const spot *h, const mgrad_real *dy,
                       mgrad_real *dx) {
  const spot *w = h + r->h.large;
  for (int64_t i = 0; i < r->h.large; i++, h++)
    for (int64_t j = 0; j < r->w.large; j++, dy++) {
      if (h->from < 0 || w[j].from < 0) continue;
      mgrad_real *top = dx + h->from * r->w.small, *low = dx + h->to * r->w.small;
      double a = (1 - h->weight) * (double)*dy, b = h->weight * (double)*dy;
      add_share(top + w[j].from, a * (1 - w[j].weight));
      if (w[j].weight != 0) add_share(top + w[j].to, a * w[j].weight);
      if (h->weight != 0) add_share(low + w[j].from, b * (1 - w[j].weight));
      if (h->weight != 0 && w[j].weight != 0) add_share(low + w[j].to, b * w[j].weight);
    }
}

/* Planes first to end - 1, forward or back. */
typedef struct planes {
  const resampling *r;
  const spot *spots;
} planes;

static void run_planes(void *ud, int64_t first, int64_t end) {
  const planes *p = ud;
  const mgrad_call *c = p->r->call;
  int64_t small = p->r->h.small * p->r->w.small, large = p->r->h.large * p->r->w.large;
  for (int64_t k = first; k < end; k++) {
    if (c->dy == NULL) {
      run_plane(p->r, p->spots, c->x[0]->data + k * small, c->y->data + k * large);
    } else {
      run_slopes(p->r, p->spots, c->dy + k * large, c->dx[0] + k * small);
    }
  }
}

static void each_plane(const resampling *r) {
  const mgrad_call *c = r->call;
  planes p = { r, find_spots(r) };
  int64_t n = c->x[0]->size[0] * c->x[0]->size[1];
  mgrad_pool_items(c->ctx->pool, n, r->h.large * r->w.large, run_planes, &p);
}

static void run_forward(mgrad_call *c, bool scale) {
  resampling r = describe(c, scale);
  each_plane(&r);
}

static void run_backward(mgrad_call *c, bool scale) {
  if (c->dx[0] == NULL) return;
  if (mgrad_pool_piece(c->ctx->pool, 0, mgrad_call_numel(c, 0))) mgrad_call_clear(c, 0);
  run_forward(c, scale);
}

static void pad_forward(mgrad_call *c) { run_forward(c, false); }
static void pad_backward(mgrad_call *c) { run_backward(c, false); }
static void upsample_forward(mgrad_call *c) { run_forward(c, true); }
static void upsample_backward(mgrad_call *c) { run_backward(c, true); }

/* ---- the ops ---- */

MGRAD_OP(pad) = {
  MGRAD_NAMED(pad), .operands = "x",
  .doc = "numbers around x: zeros, x reflected at its edge, or its edge again",
  MGRAD_ATTRS({ .name = "before", .type = MGRAD_ATTR_PAIR, .initial = MGRAD_REQUIRED,
                .high = MGRAD_MOST_PAIR, .doc = "how much goes in front" },
              { .name = "after", .type = MGRAD_ATTR_PAIR, .initial = -1,
                .high = MGRAD_MOST_PAIR, .choices = "same", .doc = "how much goes behind" },
              { .name = "mode", .type = MGRAD_ATTR_CHOICE,
                .choices = "zero|reflect|replicate", .doc = "which numbers" }),
  .infer = pad_infer, .forward = pad_forward, .backward = pad_backward,
  MGRAD_EXAMPLES(
    { .shapes = { { 2, 3, 4, 5 } }, .attrs = { { "before", MGRAD_PAIR(1, 2) },
      { "after", MGRAD_PAIR(0, 3) } } },
    { .shapes = { { 2, 1, 4, 5 } }, .attrs = { { "before", MGRAD_PAIR(1, 3) }, { "mode", 1 },
      { "after", MGRAD_PAIR(2, 0) } } },
    { .shapes = { { 1, 3, 2, 4 } }, .attrs = { { "before", MGRAD_PAIR(3, 1) },
      { "mode", 2 } } },
    { .shapes = { { 2, 3, 4 } }, .attrs = { { "before", MGRAD_PAIR(2, 2) }, { "mode", 1 } } }) };

MGRAD_OP(upsample) = {
  MGRAD_NAMED(upsample), .operands = "x",
  .doc = "x scaled up by a whole factor; linear in between where it is bilinear",
  MGRAD_ATTRS({ .name = "factor", .type = MGRAD_ATTR_PAIR, .initial = MGRAD_REQUIRED,
                .low = 1, .high = MGRAD_MOST_PAIR, .doc = "how many times as large" },
              { .name = "mode", .type = MGRAD_ATTR_CHOICE, .choices = "nearest|bilinear|linear",
                .doc = "whether a number is repeated, or others lie between" }),
  .infer = upsample_infer, .forward = upsample_forward, .backward = upsample_backward,
  MGRAD_EXAMPLES(
    { .shapes = { { 2, 3, 4, 5 } }, .attrs = { { "factor", MGRAD_PAIR(2, 3) } } },
    { .shapes = { { 2, 3, 4, 5 } }, .attrs = { { "factor", MGRAD_PAIR(3, 2) },
      { "mode", 1 } } },
    { .shapes = { { 2, 3, 4 } }, .attrs = { { "factor", MGRAD_PAIR(3, 3) }, { "mode", 1 } } }) };
