/*
** call.c - layers at work: built by the first input they see, run one inside the other,
** and predicting from plans.
*/
#include "layer.h"
#include "kernels/kernels.h"

bool mgrad_layer_active(const mgrad_layer *l) { return l->training && !l->ctx->evaluating; }

/* Takes away what build has made. */
static void strip(mgrad_layer *l) {
  bool made = l->def != NULL && !l->def->container; /* its layers too */
  int kept = 0;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_slot part = l->parts[i];
    if (part.given || (part.layer != NULL && !made)) {
      part.taken = false;
      l->parts[kept++] = part;
    } else {
      mgrad_slot_release(&part);
    }
  }
  l->nparts = kept;
  l->complete = false;
  l->ctx->changes++;
}

/* Was every parameter that was given one of the layer's own? */
static mgrad_status all_taken(const mgrad_layer *l) {
  for (int i = 0; i < l->nparts; i++) {
    const mgrad_slot *p = &l->parts[i];
    if (!p->given || p->taken) continue;
    return mgrad_fail(l->ctx, MGRAD_INVALID, "\"%s\" was given, which is none of its"
                      " parameters", p->name);
  }
  return MGRAD_OK;
}

static mgrad_status build_new(mgrad_layer *l, const mgrad_array *x) {
  if (l->built) return MGRAD_OK;
  if (l->def->build != NULL) {
    uint64_t stream = l->ctx->stream;
    bool dry = l->ctx->dry;
    l->ctx->dry = false; /* weights are numbers */
    mgrad_status status = l->def->build(l, x);
    l->ctx->dry = dry;
    if (status == MGRAD_OK) status = all_taken(l);
    if (status != MGRAD_OK) {
      strip(l);
      l->ctx->stream = stream; /* the same again, where it is tried once more */
      return status;
    }
  }
  l->input_ndim = x->ndim;
  memcpy(l->input, x->size, sizeof l->input);
  l->built = true;
  mgrad_layer *list = l->ctx->built; /* it ends with the layer that is tried */
  if (list == NULL || list == l) return MGRAD_OK;
  l->next_built = list;
  l->ctx->built = mgrad_layer_retain(l);
  return MGRAD_OK;
}

mgrad_status mgrad_layer_restore(mgrad_layer *l, int ndim, const int64_t *size) {
  mgrad_array x;
  MGRAD_TRY(mgrad_shape_make(l->ctx, ndim, size, &x));
  if (l->def == NULL || l->built) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "it has its parameters already");
  }
  l->restoring = true;
  mgrad_status status = build_new(l, &x);
  l->restoring = false;
  return status;
}

static mgrad_status run_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_context *ctx = l->ctx;
  int level = 1;
  for (const mgrad_frame *f = ctx->frame->up; f != NULL; f = f->up) level++;
  if (level > MGRAD_MAX_DEPTH) {
    return mgrad_fail(ctx, MGRAD_INVALID, "layers call each other more than %d deep",
                      (int64_t)MGRAD_MAX_DEPTH);
  }
  MGRAD_TRY(build_new(l, &x->a));
  if (l->def != NULL) return l->def->forward(l, x, y);
  if (ctx->dry) return mgrad_fail(ctx, MGRAD_INVALID, "a function of the host needs numbers");
  if (!l->pure) ctx->observed = true; /* what it does otherwise cannot be replayed */
  return l->fn(l->ud, l, x, y);
}

static void count_nonfinite(void *ud, int64_t n, mgrad_real *const p[3],
                            const int64_t step[3]) {
  int64_t *count = ud;
  for (int64_t i = 0; i < n; i++) {
    mgrad_real v = p[0][i * step[0]];
    *count += !(v - v == 0);
  }
}

static int64_t nonfinite(const mgrad_tensor *t) {
  int64_t count = 0;
  mgrad_walk(NULL, &t->a, NULL, NULL, count_nonfinite, &count);
  return count;
}

/* Did this layer turn finite numbers into others? */
static mgrad_status check_finite(const mgrad_layer *l, const mgrad_tensor *x,
                                 const mgrad_tensor *y) {
  int64_t bad = nonfinite(y);
  if (bad == 0) return MGRAD_OK;
  bool given = nonfinite(x) > 0;
  mgrad_fail(l->ctx, MGRAD_NONFINITE, "%d of the %d numbers of its %s are NaN or infinite",
             given ? nonfinite(x) : bad, given ? mgrad_tensor_numel(x) : mgrad_tensor_numel(y),
             given ? "input" : "output");
  return MGRAD_NONFINITE;
}

static mgrad_status call(mgrad_layer *l, int position, mgrad_tensor *x,
                         mgrad_further *further, mgrad_tensor **y) {
  mgrad_context *ctx = l->ctx;
  mgrad_frame frame = { l, position, further, ctx->frame };
  mgrad_tensor *result = NULL;
  ctx->frame = &frame;
  mgrad_layer_retain(l); /* a callback may take it out of its container */
  mgrad_status status = run_forward(l, x, &result);
  if (status == MGRAD_OK && ctx->hunting) status = check_finite(l, x, result);
  if ((status == MGRAD_INVALID || status == MGRAD_NONFINITE) && !ctx->located) {
    mgrad_layer_locate(ctx, status);
  }
  ctx->frame = frame.up;
  if (status == MGRAD_OK) {
    l->output_ndim = result->a.ndim;
    memcpy(l->output, result->a.size, sizeof l->output);
    *y = result;
  } else {
    mgrad_tensor_release(result);
    mgrad_further_drop(further);
  }
  mgrad_layer_release(l);
  return status;
}

mgrad_status mgrad_layer_call(mgrad_layer *l, int position, mgrad_tensor *x,
                              mgrad_tensor **y) {
  return call(l, position, x, NULL, y);
}

static void unbuild(mgrad_layer *l) {
  l->built = false;
  strip(l);
}

/* Empties the list of what a trial pass of 'last' has built, which is undone
** where the pass has failed. */
static void end_trial(mgrad_context *ctx, const mgrad_layer *last, bool failed) {
  while (ctx->built != last) {
    mgrad_layer *l = ctx->built;
    ctx->built = l->next_built;
    if (failed) unbuild(l);
    mgrad_layer_release(l);
  }
}

typedef mgrad_status (*pass_fn)(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further,
                                mgrad_tensor **y);

/* A pass in eval mode that records nothing. */
static mgrad_status quietly(pass_fn pass, mgrad_layer *l, mgrad_tensor *x,
                            mgrad_further *further, mgrad_tensor **y) {
  mgrad_context *ctx = l->ctx;
  bool evaluating = ctx->evaluating;
  int recording = mgrad_grad_enable(ctx, 0);
  ctx->evaluating = true;
  mgrad_status status = pass(l, x, further, y);
  ctx->evaluating = evaluating;
  mgrad_grad_enable(ctx, recording);
  return status;
}

static mgrad_status call_top(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further,
                             mgrad_tensor **y) {
  return call(l, 0, x, further, y);
}

/* ---- complete or not ---- */

/* Nothing below l needs to be looked at again until something changes there. */
static void settle(mgrad_layer *l) {
  l->complete = true;
  l->mark = 1;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_layer *child = l->parts[i].layer;
    if (child != NULL && child->mark == 0) settle(child);
  }
}

/* Has nothing below l been changed since? A layer does not know what it is part of. */
static bool settled(mgrad_layer *l) {
  bool all = l->complete;
  l->mark = 1;
  for (int i = 0; i < l->nparts && all; i++) {
    mgrad_layer *child = l->parts[i].layer;
    if (child != NULL && child->mark == 0) all = settled(child);
  }
  return all;
}

static bool is_complete(mgrad_layer *l) {
  if (!l->complete || !l->built) return false;
  if (l->seen == l->ctx->changes) return true;
  l->complete = settled(l);
  mgrad_layer_unmark(l);
  l->seen = l->ctx->changes;
  return l->complete;
}

/* One pass that only builds; its results are thrown away. */
static mgrad_status trial(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further) {
  mgrad_context *ctx = l->ctx;
  mgrad_layer *outer = ctx->built;
  uint64_t stream = ctx->stream;
  bool built = l->built;
  mgrad_tensor *y = NULL;
  ctx->built = l;
  mgrad_status status = quietly(call_top, l, x, further, &y);
  mgrad_tensor_release(y);
  mgrad_further_drop(further);
  if (status == MGRAD_OK) status = mgrad_layer_join(l);
  end_trial(ctx, l, status != MGRAD_OK);
  if (status != MGRAD_OK) {
    if (!built) unbuild(l);
    ctx->stream = stream;
  }
  ctx->built = outer;
  if (status != MGRAD_OK) return status;
  settle(l);
  mgrad_layer_unmark(l);
  l->seen = ctx->changes;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_complete(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further) {
  return l->ctx->frame == NULL && !is_complete(l) ? trial(l, x, further) : MGRAD_OK;
}

mgrad_status mgrad_layer_pass(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further,
                              mgrad_tensor **y) {
  MGRAD_TRY(mgrad_layer_complete(l, x, further));
  return call_top(l, x, further, y);
}

mgrad_status mgrad_layer_pass_quietly(mgrad_layer *l, mgrad_tensor *x,
                                      mgrad_further *further, mgrad_tensor **y) {
  return quietly(mgrad_layer_pass, l, x, further, y);
}

mgrad_status mgrad_layer_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  return mgrad_layer_pass(l, x, NULL, y);
}

/* ---- predictions from plans ---- */

enum { MOST_INPUTS = 1 << 20 }; /* numbers: a plan keeps its block for good */

void mgrad_layer_drop_plans(mgrad_layer *l) {
  for (int i = 0; i < MGRAD_LAYER_PLANS; i++) {
    mgrad_plan_release(l->plans[i]);
    l->plans[i] = NULL;
  }
}

/* The plan for inputs of this shape. Plans that no longer fit are dropped. */
static mgrad_plan *find_plan(mgrad_layer *l, const mgrad_array *x) {
  for (int i = 0; i < MGRAD_LAYER_PLANS && l->plans[i] != NULL; i++) {
    if (!mgrad_plan_fresh(l->plans[i])) {
      mgrad_layer_drop_plans(l);
      return NULL;
    }
    if (mgrad_shape_equal(mgrad_plan_x(l->plans[i]), x)) return l->plans[i];
  }
  return NULL;
}

/* A tensor for the result, or the caller's, which has to fit. */
static mgrad_status place(mgrad_context *ctx, const mgrad_array *result, mgrad_tensor **y) {
  if (*y == NULL) return mgrad_tensor_like(ctx, result, y);
  if (mgrad_shape_equal(&(*y)->a, result)) return mgrad_tensor_writable(*y, "predict");
  return mgrad_fail(ctx, MGRAD_INVALID, "predict: out is %a, expected %a", &(*y)->a, result);
}

/* The plan's own place for the result is written again next time. */
static mgrad_status take_result(mgrad_context *ctx, const mgrad_plan *p, mgrad_tensor **y) {
  const mgrad_array *result = mgrad_plan_prediction(p);
  MGRAD_TRY(place(ctx, result, y));
  mgrad_array_copy(&(*y)->a, result);
  (*y)->storage->version++;
  return MGRAD_OK;
}

static void keep_plan(mgrad_layer *l, mgrad_recorder *r, const mgrad_plan_ends *e) {
  mgrad_plan *plan;
  if (mgrad_plan_new(r, e, &plan) != MGRAD_OK) return;
  mgrad_plan_release(l->plans[MGRAD_LAYER_PLANS - 1]);
  memmove(l->plans + 1, l->plans, (MGRAD_LAYER_PLANS - 1) * sizeof *l->plans);
  l->plans[0] = plan;
}

static mgrad_status predict_anew(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y,
                                 bool plannable) {
  if (!plannable) return mgrad_layer_pass_quietly(l, x, NULL, y);
  mgrad_recorder r;
  mgrad_record_begin(&r, l->ctx);
  mgrad_status status = mgrad_layer_pass_quietly(l, x, NULL, y);
  mgrad_record_end(&r);
  mgrad_plan_ends ends = { .x = x, .prediction = *y };
  if (status == MGRAD_OK) keep_plan(l, &r, &ends);
  mgrad_record_free(&r);
  return status;
}

/* Into *y, or into a new tensor where that is NULL. */
static mgrad_status predict(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_context *ctx = l->ctx;
  bool plannable = ctx->frame == NULL && ctx->recorder == NULL && is_complete(l) &&
                   ctx->anomaly == NULL && mgrad_shape_packed(&x->a) &&
                   mgrad_tensor_numel(x) <= MOST_INPUTS;
  mgrad_plan *plan = plannable ? find_plan(l, &x->a) : NULL;
  if (plan != NULL) {
    mgrad_array_copy(mgrad_plan_x(plan), &x->a);
    mgrad_status status = mgrad_plan_forward(plan, NULL);
    if (status == MGRAD_OK) return take_result(ctx, plan, y);
    if (status == MGRAD_INTERRUPTED) return status;
    plannable = false; /* what was refused comes up again, with the name of its layer */
  }
  mgrad_tensor *fresh = NULL;
  MGRAD_TRY(predict_anew(l, x, &fresh, plannable));
  if (*y == NULL) {
    *y = fresh;
    return MGRAD_OK;
  }
  mgrad_status status = place(ctx, &fresh->a, y);
  if (status == MGRAD_OK) status = mgrad_tensor_copy(*y, fresh);
  mgrad_tensor_release(fresh);
  return status;
}

mgrad_status mgrad_layer_predict(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  *y = NULL;
  return predict(l, x, y);
}

mgrad_status mgrad_layer_predict_into(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor *out) {
  return predict(l, x, &out);
}

mgrad_status mgrad_layer_hunt(mgrad_layer *l, mgrad_tensor *x) {
  mgrad_context *ctx = l->ctx;
  mgrad_tensor *y = NULL;
  int recording = mgrad_grad_enable(ctx, 0);
  ctx->hunting = true;
  mgrad_status status = call_top(l, x, NULL, &y);
  ctx->hunting = false;
  mgrad_grad_enable(ctx, recording);
  if (status == MGRAD_OK) mgrad_tensor_release(y);
  return status;
}

mgrad_status mgrad_layer_build(mgrad_layer *l, int ndim, const int64_t *size) {
  mgrad_tensor *x;
  mgrad_status made = mgrad_tensor_full(l->ctx, ndim, size, 0, &x);
  if (made == MGRAD_INVALID) {
    return mgrad_fail(l->ctx, made, "%s: its input's %s", l->kind, mgrad_error(l->ctx));
  }
  if (made != MGRAD_OK) return made;
  mgrad_status status = trial(l, x, NULL);
  mgrad_tensor_release(x);
  return status;
}
