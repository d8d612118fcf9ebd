/*
** average.c - an average of the weights that follows them (option ema), and how it takes
** their place for a while.
*/
#include "optimizer.h"

mgrad_status mgrad_optimizer_fail_swapped(const mgrad_optimizer *o) {
  return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: the averaged weights are in the net; swap them"
                    " back first", o->def->name);
}

/* Averages begin as what is averaged. */
void mgrad_optimizer_begin_average(const mgrad_optimizer *o, const mgrad_param *p) {
  mgrad_real *average = mgrad_optimizer_average(o);
  if (average != NULL) mgrad_tensor_read(p->t, average + p->offset);
}

void mgrad_optimizer_begin_averages(const mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) mgrad_optimizer_begin_average(o, &o->params[i]);
}

mgrad_status mgrad_optimizer_swap(mgrad_optimizer *o) {
  mgrad_real *average = mgrad_optimizer_average(o);
  if (o->busy) return mgrad_optimizer_fail_busy(o);
  if (average == NULL || o->steps == 0) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: there is no average %s", o->def->name,
                      average == NULL ? "of the weights; make it with ema = 0.999"
                                      : "before the first step");
  }
  for (int i = 0; i < o->nparams; i++) {
    MGRAD_TRY(mgrad_tensor_writable(o->params[i].t, o->def->name));
  }
  for (int i = 0; i < o->nparams; i++) {
    const mgrad_param *p = &o->params[i];
    mgrad_real *w = p->t->a.data, *a = average + p->offset;
    for (int64_t k = 0; k < p->n; k++) {
      mgrad_real weight = w[k];
      w[k] = a[k];
      a[k] = weight;
    }
    p->t->storage->version++;
  }
  o->swapped = !o->swapped;
  return MGRAD_OK;
}

int mgrad_optimizer_swapped(const mgrad_optimizer *o) { return o->swapped; }
