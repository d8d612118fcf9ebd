/*
** prelu.c - relu with a slope below 0 that is learnt: one, or one for each channel
** (He et al., "Delving deep into rectifiers", 2015).
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

static mgrad_status prelu_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0], *w = c->x[1];
  int64_t channels = x->ndim > 1 ? x->size[1] : 1;
  if (w->ndim != 1 || (w->size[0] != 1 && w->size[0] != channels))
    return mgrad_op_fail(c, "weight is %a, expected {1} or {%d} for x %a", w, channels, x);
  c->nwork_backward = mgrad_call_numel(c, 0);
  return mgrad_infer_same(c);
}

/* weight as an array that broadcasts to x */
static mgrad_array spread(const mgrad_call *c) {
  const mgrad_array *x = c->x[0], *w = c->x[1];
  mgrad_array a = { .data = w->data, .ndim = w->size[0] == 1 ? 0 : x->ndim - 1 };
  for (int d = 0; d < a.ndim; d++) a.size[d] = d == 0 ? w->size[0] : 1;
  mgrad_shape_pack(&a);
  return a;
}

typedef struct run { const mgrad_call *c; const mgrad_real *start; } run;

/* Of x, y or dx, and weight. */
static void forward_run(void *ud, int64_t n, mgrad_real *const p[3], const int64_t step[3]) {
  const mgrad_real *x = p[1], *w = p[2];
  (void)ud;
  MGRAD_EACH(i, n) {
    mgrad_real v = x[i], slope = w[i * step[2]];
    p[0][i] = v > 0 ? v : slope * v;
  }
}

static void prelu_forward(mgrad_call *c) {
  mgrad_array w = spread(c), wide;
  mgrad_shape_expand(&w, c->x[0], &wide);
  mgrad_walk(c->ctx->pool, c->y, c->x[0], &wide, forward_run, NULL);
}

static void backward_run(void *ud, int64_t n, mgrad_real *const p[3], const int64_t step[3]) {
  const run *r = ud;
  const mgrad_real *x = p[1], *w = p[2], *dy = r->c->dy + (x - r->start);
  bool add = r->c->add[0];
  MGRAD_EACH(i, n) {
    mgrad_real d = x[i] > 0 ? dy[i] : w[i * step[2]] * dy[i];
    p[0][i] = add ? p[0][i] + d : d;
  }
}

/* What each number tells of its slope; of scratch and x. */
static void weight_run(void *ud, int64_t n, mgrad_real *const p[3], const int64_t step[3]) {
  const run *r = ud;
  const mgrad_real *x = p[1], *dy = r->c->dy + (x - r->start);
  (void)step;
  MGRAD_EACH(i, n) p[0][i] = x[i] > 0 ? 0 : x[i] * dy[i];
}

static void prelu_backward(mgrad_call *c) {
  const mgrad_real *x = c->x[0]->data;
  mgrad_array w = spread(c), wide, dx = *c->x[0];
  mgrad_shape_expand(&w, c->x[0], &wide);
  if (c->dx[0] != NULL) {
    dx.data = c->dx[0];
    mgrad_walk(c->ctx->pool, &dx, c->x[0], &wide, backward_run, &(run){ c, x });
  }
  if (c->dx[1] == NULL) return;
  mgrad_array work = *c->x[0];
  work.data = c->work;
  mgrad_walk(c->ctx->pool, &work, c->x[0], NULL, weight_run, &(run){ c, x });
  mgrad_reduce_to(c->ctx->pool, &w, c->dx[1], c->x[0], c->work, c->add[1]);
}

MGRAD_OP(prelu) = {
  MGRAD_NAMED(prelu), .operands = "x weight", .reads = 3,
  .doc = "x, or weight * x where x is below 0; weight {1}, or {c} for channels (dimension 2)",
  .infer = prelu_infer, .forward = prelu_forward, .backward = prelu_backward,
  MGRAD_EXAMPLES({ .shapes = { { 4, 3 }, { 1 } } }, { .shapes = { { 5, 3 }, { 3 } } },
                 { .shapes = { { 2, 3, 4 }, { 3 } } }, { .shapes = { { 6 }, { 1 } } },
                 { .shapes = { { 2, 1, 5, 3 }, { 1 } } }) };
