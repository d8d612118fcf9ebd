/*
** embedding.c - ids as vectors, and places in time as waves.
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

/* ---- embedding: row id of weight {n, dim} for each id ---- */

enum { IDS, WEIGHT };

static mgrad_status embedding_infer(mgrad_call *c) {
  const mgrad_array *ids = c->x[IDS], *w = c->x[WEIGHT];
  if (w->ndim != 2) return mgrad_op_fail(c, "weight is %a, expected {n, dim}", w);
  if (ids->ndim == MGRAD_MAX_DIMS)
    return mgrad_op_fail(c, "ids is %a, expected at most %d dimensions", ids,
                         (int64_t)MGRAD_MAX_DIMS - 1);
  mgrad_infer_same(c);
  c->y->size[c->y->ndim++] = w->size[1];
  return MGRAD_OK;
}

static mgrad_status embedding_check(const mgrad_call *c) {
  return mgrad_check_ids(c, IDS, "an id", c->x[WEIGHT]->size[0], NAN); /* none ignored */
}

static void embedding_forward(mgrad_call *c) {
  const mgrad_real *ids = c->x[IDS]->data, *w = c->x[WEIGHT]->data;
  int64_t n = mgrad_call_numel(c, IDS), dim = c->x[WEIGHT]->size[1];
  for (int64_t i = 0; i < n && mgrad_call_continues(c, dim); i++) {
    const mgrad_real *row = w + ((int64_t)ids[i] - 1) * dim;
    memcpy(c->y->data + i * dim, row, (size_t)dim * sizeof *row);
  }
}

/* The gradient: threads share rows, and each row is summed in the order of ids. */
typedef struct shares {
  const mgrad_call *c;
  int64_t rows, each, dim; /* of the weight, of one share; numbers of a row */
} shares;

static bool piece(const shares *s, int worker) {
  return mgrad_pool_piece(s->c->ctx->pool, worker, MGRAD_POOL_ASK);
}

static void clear_rows(const shares *s, int64_t first, int64_t end) {
  mgrad_real *dw = s->c->dx[WEIGHT] + first * s->dim;
  memset(dw, 0, (size_t)((end - first) * s->dim) * sizeof *dw);
}

/* Adds what ids from i to last - 1 give to rows first to end - 1. */
static void add_ids(const shares *s, int64_t i, int64_t last, int64_t first, int64_t end) {
  const mgrad_call *c = s->c;
  for (; i < last; i++) {
    int64_t row = (int64_t)c->x[IDS]->data[i] - 1;
    if (row < first || row >= end || row + 1 == mgrad_call_int(c, 0)) continue;
    mgrad_real *to = c->dx[WEIGHT] + row * s->dim;
    const mgrad_real *dy = c->dy + i * s->dim;
    MGRAD_EACH(k, s->dim) to[k] += dy[k];
  }
}

static void share_rows(void *ud, int64_t part, int worker) {
  const shares *s = ud;
  int64_t first = part * s->each, end = mgrad_min_size(first + s->each, s->rows);
  int64_t n = mgrad_call_numel(s->c, IDS), some = (MGRAD_POOL_PART + s->dim - 1) / s->dim;
  for (int64_t i = first; i < end && !s->c->add[WEIGHT]; i += some)
    if (piece(s, worker)) clear_rows(s, i, mgrad_min_size(i + some, end));
  for (int64_t i = 0; i < n; i += some)
    if (piece(s, worker)) add_ids(s, i, mgrad_min_size(i + some, n), first, end);
}

static void embedding_backward(mgrad_call *c) {
  int64_t rows = c->x[WEIGHT]->size[0], dim = c->x[WEIGHT]->size[1];
  double work = MGRAD_POOL_NUMBER * (double)((mgrad_call_numel(c, IDS) + rows) * dim);
  int64_t parts = work < MGRAD_POOL_WAKING ? 1 : 2 * mgrad_pool_threads(c->ctx->pool);
  shares s = { c, rows, (rows + parts - 1) / parts, dim };
  if (c->dx[WEIGHT] == NULL) return;
  mgrad_pool_run(c->ctx->pool, work, (rows + s.each - 1) / s.each, share_rows, &s);
}

MGRAD_OP(embedding) = {
  MGRAD_NAMED(embedding), .operands = "ids weight", .reads = 1 << IDS, .constant = 1 << IDS,
  MGRAD_ATTRS({ "padding", MGRAD_ATTR_INT, 0, 0, 1e15,
                .doc = "an id that gets no gradient, 0 for none" }),
  .doc = "for each id, from 1, that row of weight {n, dim}; no gradient goes to the row of"
         " the id 'padding' (0: none)",
  .infer = embedding_infer, .check = embedding_check, .forward = embedding_forward,
  .backward = embedding_backward,
  MGRAD_EXAMPLES({ .shapes = { { 5 }, { 4, 3 } }, .fill = { MGRAD_FILL_LABELS },
                   .labels = 4 },
                 { .shapes = { { 2, 3 }, { 5, 1 } }, .fill = { MGRAD_FILL_LABELS },
                   .labels = 5 },
                 { .shapes = { { 0 }, { 2, 3 } }, .fill = { MGRAD_FILL_LABELS },
                   .labels = 2 }) };

/* ---- positional_encoding: x {.., time, features} plus waves ---- */

static mgrad_status encoding_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  if (x->ndim < 2) return mgrad_op_fail(c, "x is %a, expected {.., time, features}", x);
  c->nwork = (x->size[x->ndim - 1] + 1) / 2 * 3;
  return mgrad_infer_same(c);
}

/* The place t, from 0: sin(t f) and cos(t f) in turn, f falling from 1 to almost 1/10000
** (Vaswani et al., "Attention is all you need", 2017). Turns are taken off in double. */
static void waves(int64_t n, int64_t t, const mgrad_real *f, mgrad_real *sine,
                  mgrad_real *cosine) {
  const double turn = 6.283185307179586;
  MGRAD_EACH(k, n) {
    double angle = (double)t * (double)f[k];
    mgrad_real rest = REAL(angle - turn * (double)(int64_t)(angle / turn));
    sine[k] = SIN(rest);
    cosine[k] = COS(rest);
  }
}

static void encoding_forward(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int64_t features = x->size[x->ndim - 1], time = x->size[x->ndim - 2];
  int64_t all = mgrad_call_numel(c, 0), half = (features + 1) / 2;
  mgrad_real *f = c->work, *sine = f + half, *cosine = sine + half;
  for (int64_t k = 0; k < half; k++)
    f[k] = mgrad_power(10000, REAL(-2 * (double)k / (double)features));
  for (int64_t t = 0; t < time; t++) {
    waves(half, t, f, sine, cosine);
    for (int64_t at = t * features; at < all; at += time * features) {
      if (!mgrad_call_continues(c, features)) return;
      const mgrad_real *from = x->data + at;
      mgrad_real *to = c->y->data + at;
      for (int64_t k = 0; k < features; k++)
        to[k] = from[k] + (k % 2 == 0 ? sine : cosine)[k / 2];
    }
  }
}

static void encoding_backward(mgrad_call *c) {
  if (c->dx[0] == NULL) return;
  mgrad_reduce_to(c->ctx->pool, c->x[0], c->dx[0], c->y, c->dy, c->add[0]);
}

MGRAD_OP(positional_encoding) = {
  MGRAD_NAMED(positional_encoding), .operands = "x",
  .doc = "x {.., time, features} plus sines and cosines that tell the places in time",
  .infer = encoding_infer, .forward = encoding_forward, .backward = encoding_backward,
  MGRAD_EXAMPLES({ .shapes = { { 4, 3 } } }, { .shapes = { { 2, 5, 6 } } },
                 { .shapes = { { 1, 1 } } }) };
