/*
** gather.c - the gradients of several batches, for one update.
*/
#include "optimizer.h"

void mgrad_optimizer_drop(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) o->params[i].gathered = false;
  o->weight = 0;
}

/* s = keep * s + share * g; g NULL stands for zeros. */
static void blend(int64_t n, mgrad_real *s, const mgrad_real *g, mgrad_real keep,
                  mgrad_real share) {
  for (int64_t i = 0; i < n; i++) s[i] = keep * s[i] + (g != NULL ? share * g[i] : 0);
}

mgrad_status mgrad_optimizer_gather(mgrad_optimizer *o, double weight, bool sum) {
  MGRAD_TRY(mgrad_optimizer_refresh(o));
  if (o->gathered == NULL) {
    o->gathered = mgrad_new(o->ctx, (size_t)o->numel * sizeof *o->gathered);
    if (o->gathered == NULL) return MGRAD_NOMEM;
  }
  o->weight += weight;
  double share = sum ? 1 : weight / o->weight, keep = sum ? 1 : 1 - share;
  for (int i = 0; i < o->nparams; i++) {
    mgrad_param *p = &o->params[i];
    mgrad_real *s = o->gathered + p->offset;
    if (!p->gathered && !mgrad_optimizer_moves(p->t)) continue;
    if (!p->gathered) memset(s, 0, (size_t)p->n * sizeof *s);
    p->gathered = true;
    blend(p->n, s, mgrad_optimizer_moves(p->t) ? p->t->grad->a.data : NULL, (mgrad_real)keep,
          (mgrad_real)share);
  }
  return MGRAD_OK;
}

void mgrad_optimizer_spread(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) {
    const mgrad_param *p = &o->params[i];
    p->t->has_grad = p->gathered;
    if (!p->gathered) continue;
    memcpy(p->t->grad->a.data, o->gathered + p->offset, (size_t)p->n * sizeof(mgrad_real));
    p->t->zeroed = 0;
  }
  mgrad_optimizer_drop(o);
}
