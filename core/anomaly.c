/*
** anomaly.c - which op made the first number that is NaN or infinite.
*/
#include "op.h"
#include "kernels/kernels.h"

/* Numbers that are NaN, and those that are infinite. */
typedef struct bad {
  int64_t nan, infinite;
} bad;

static void count_run(void *ud, int64_t n, mgrad_real *const p[3], const int64_t step[3]) {
  bad *b = ud;
  for (int64_t i = 0; i < n; i++) {
    mgrad_real v = p[0][i * step[0]];
    b->nan += v != v;
    b->infinite += v == v && v - v != 0;
  }
}

static bad count(const mgrad_array *a) {
  bad b = { 0, 0 };
  mgrad_walk(NULL, a, NULL, NULL, count_run, &b);
  return b;
}

static bad count_packed(const mgrad_array *shape, const mgrad_real *data) {
  mgrad_array a = *shape;
  mgrad_shape_pack(&a);
  a.data = (mgrad_real *)data; /* only read */
  return count(&a);
}

/* Is there something in the result that was not in what it was made from? Infinities
** may be meant (a mask), a NaN made of them is not. */
static int64_t made(bad result, bad from) {
  if (from.nan > 0) return 0;
  return from.infinite > 0 ? result.nan : result.nan + result.infinite;
}

mgrad_status mgrad_anomaly_forward(const mgrad_call *c) {
  bool view = c->op->forward == NULL;
  if (view || c->ctx->code->all_finite(mgrad_shape_numel(c->y), c->y->data)) return MGRAD_OK;
  bad from = { 0, 0 }, result = count(c->y);
  for (int i = 0; i < c->n; i++) {
    if (c->x[i] == NULL) continue;
    bad b = count(c->x[i]);
    from.nan += b.nan;
    from.infinite += b.infinite;
  }
  int64_t n = made(result, from);
  if (n == 0) return MGRAD_OK;
  char where[MGRAD_WHERE_SIZE];
  c->ctx->anomaly(c->ctx, where, sizeof where);
  mgrad_fail(c->ctx, MGRAD_NONFINITE, "%s%s%s made %d of the %d numbers of its result NaN%s",
             where, where[0] != '\0' ? ": " : "", c->op->name, n, mgrad_shape_numel(c->y),
             from.infinite > 0 ? "" : " or infinite");
  c->ctx->located = where[0] != '\0';
  return MGRAD_NONFINITE;
}

mgrad_status mgrad_anomaly_backward(const mgrad_call *c, const char *where) {
  for (int i = 0; i < c->n; i++) {
    int64_t numel = c->dx[i] != NULL ? mgrad_call_numel(c, i) : 0;
    if (c->ctx->code->all_finite(numel, c->dx[i])) continue;
    int64_t n = made(count_packed(c->x[i], c->dx[i]), count_packed(c->y, c->dy));
    if (n == 0) continue;
    char name[MGRAD_NAME_SIZE];
    mgrad_operand_name(c->op, i, name, sizeof name);
    return mgrad_fail(c->ctx, MGRAD_NONFINITE, "%s%sbackward of %s made %d of the %d numbers"
                      " of the gradient of its %s NaN or infinite", where,
                      where[0] != '\0' ? ": " : "", c->op->name, n, numel, name);
  }
  return MGRAD_OK;
}
