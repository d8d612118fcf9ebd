/*
** minimise.c - an update by an optimizer that evaluates the loss many times: parameters
** and gradients as one point, and back.
*/
#include "optimizer.h"
#include "kernels/kernels.h"

typedef struct minimising {
  mgrad_problem problem; /* first: what solve() hands back is this */
  mgrad_optimizer *o;
  mgrad_again_fn again;
  void *ud;
} minimising;

static void gather_weights(const mgrad_optimizer *o, mgrad_real *w) {
  for (int i = 0; i < o->nparams; i++) {
    mgrad_tensor_read(o->params[i].t, w + o->params[i].offset);
  }
}

static void spread_weights(const mgrad_optimizer *o, const mgrad_real *w) {
  for (int i = 0; i < o->nparams; i++) {
    const mgrad_param *p = &o->params[i];
    memcpy(p->t->a.data, w + p->offset, (size_t)p->n * sizeof *w);
    p->t->storage->version++;
  }
}

/* The gradients, zeros where there are none, by the options of every optimizer; the loss
** with what l1 and l2 add to it. */
static void gather_gradients(const mgrad_optimizer *o, double *loss, mgrad_real *g) {
  mgrad_update u = mgrad_optimizer_options(o, o->groups, mgrad_optimizer_clipping(o));
  const double *common = o->groups->common.value;
  for (int i = 0; i < o->nparams; i++) {
    const mgrad_param *p = &o->params[i];
    mgrad_real *to = g + p->offset;
    u.w = p->t->a.data;
    u.g = to;
    if (mgrad_optimizer_moves(p->t)) mgrad_tensor_read(p->t->grad, to);
    else memset(to, 0, (size_t)p->n * sizeof *to);
    if (!p->t->requires_grad) continue; /* frozen */
    for (int64_t k = 0; k < p->n && !u.plain; k++) {
      to[k] = mgrad_update_gradient(&u, k, false);
    }
    for (int64_t k = 0; k < p->n && common[MGRAD_L1] > 0; k++) {
      *loss += common[MGRAD_L1] * (double)(u.w[k] < 0 ? -u.w[k] : u.w[k]);
    }
    if (common[MGRAD_L2] > 0) {
      *loss += common[MGRAD_L2] / 2 * mgrad_sum_squares(p->n, u.w, 1);
    }
  }
}

static mgrad_status evaluate_again(mgrad_problem *p, mgrad_real *g) {
  minimising *m = (minimising *)p;
  spread_weights(m->o, p->w);
  MGRAD_TRY(m->again(m->ud, &p->loss));
  gather_gradients(m->o, &p->loss, g);
  return MGRAD_OK;
}

static mgrad_status ask(mgrad_problem *p, int64_t numbers) {
  mgrad_context *ctx = ((minimising *)p)->o->ctx;
  mgrad_pool_watch(ctx->pool);
  (void)mgrad_pool_continues(ctx->pool, 0, numbers);
  return mgrad_pool_finish(ctx->pool) ? MGRAD_OK : mgrad_fail_interrupted(ctx);
}

/* Runs the method; a failure leaves parameters as they were. */
static mgrad_status run_solver(mgrad_optimizer *o, minimising *m) {
  mgrad_problem *p = &m->problem;
  size_t bytes = (size_t)o->numel * sizeof(mgrad_real);
  mgrad_real *begin = o->states + o->nstates * o->numel;
  p->w = begin + o->numel;
  p->g = p->w + o->numel;
  p->work = p->g + o->numel;
  p->fresh = begin + o->def->work * o->numel;
  gather_weights(o, begin);
  memcpy(p->w, begin, bytes);
  gather_gradients(o, &p->loss, p->g);
  o->busy = true;
  mgrad_status status = o->def->solve(p);
  o->busy = false;
  spread_weights(o, status == MGRAD_OK ? p->w : begin);
  return status;
}

mgrad_status mgrad_optimizer_minimise(mgrad_optimizer *o, double loss, mgrad_again_fn again,
                                      void *ud) {
  if (o->def->solve == NULL) return mgrad_optimizer_step(o);
  MGRAD_TRY(mgrad_optimizer_ready(o));
  minimising m = { { .n = o->numel, .h = o->groups->attrs.value, .loss = loss,
                     .state = o->states, .evaluate = evaluate_again, .ask = ask },
                   o, again, ud };
  MGRAD_TRY(run_solver(o, &m));
  mgrad_real *average = mgrad_optimizer_average(o);
  if (average != NULL && o->steps > 0) {
    mgrad_real keep = (mgrad_real)o->groups->common.value[MGRAD_EMA];
    mgrad_blend(o->numel, keep, m.problem.w, average);
  }
  if (o->steps == 0) mgrad_optimizer_begin_averages(o);
  o->steps++;
  return MGRAD_OK;
}
