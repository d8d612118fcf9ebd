/*
** layer.c - the tree of layers: making, building, calling, naming.
*/
#include "layer.h"
#include "kernels/kernels.h"

enum { MAX_DEPTH = 100 };

/* ---- the table ---- */

#define X(name) &mgrad_layer_def_##name,
static const mgrad_layer_def *const defs[] = {
#include "layers.def"
};
#undef X

int mgrad_layer_def_count(void) { return (int)(sizeof defs / sizeof *defs); }

const mgrad_layer_def *mgrad_layer_def_at(int index) {
  return index >= 0 && index < mgrad_layer_def_count() ? defs[index] : NULL;
}

const mgrad_layer_def *mgrad_layer_def_find(const char *name) {
  for (int i = 0; i < mgrad_layer_def_count(); i++) {
    if (strcmp(defs[i]->name, name) == 0) return defs[i];
  }
  return NULL;
}

void mgrad_layer_describe(const mgrad_layer_def *def, mgrad_layer_info *out) {
  *out = (mgrad_layer_info){ def->name, def->doc, mgrad_attrs_listed(def->attrs), def->container,
                             def->inputs, def->outputs };
}

/* ---- making and releasing ---- */

static mgrad_status copy_name(mgrad_context *ctx, char to[MGRAD_NAME_SIZE],
                              const char *name) {
  size_t n = strlen(name);
  if (n == 0 || n >= MGRAD_NAME_SIZE) {
    return mgrad_fail(ctx, MGRAD_INVALID, "name: %d characters, expected 1 to %d",
                      (int64_t)n, (int64_t)MGRAD_NAME_SIZE - 1);
  }
  memcpy(to, name, n + 1);
  return MGRAD_OK;
}

static mgrad_status make(mgrad_context *ctx, const char *kind, mgrad_layer **out) {
  mgrad_layer *l = mgrad_new_zeroed(ctx, sizeof *l);
  if (l == NULL) return MGRAD_NOMEM;
  l->ctx = ctx;
  l->refs = 1;
  l->training = true;
  mgrad_format(l->kind, sizeof l->kind, "%s", kind);
  mgrad_object_born(ctx);
  *out = l;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_new(mgrad_context *ctx, const mgrad_layer_def *def,
                             const mgrad_attrs *attrs, mgrad_layer **out) {
  mgrad_attrs defaults;
  if (attrs == NULL) {
    mgrad_attrs_default(def->attrs, &defaults);
    attrs = &defaults;
  }
  MGRAD_TRY(mgrad_attrs_check(ctx, def->name, mgrad_attrs_listed(def->attrs), attrs));
  /* an activation goes by its own name */
  const mgrad_op *act = def == &mgrad_layer_def_activation ? mgrad_op_at((int)attrs->value[0])
                                                           : NULL;
  MGRAD_TRY(make(ctx, act != NULL ? act->name : def->name, out));
  (*out)->def = def;
  (*out)->attrs = *attrs;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_custom(mgrad_context *ctx, const char *kind, mgrad_layer_fn forward,
                                void *ud, mgrad_layer **out) {
  MGRAD_TRY(make(ctx, kind, out));
  (*out)->fn = forward;
  (*out)->ud = ud;
  (*out)->built = true;
  return MGRAD_OK;
}

mgrad_layer *mgrad_layer_retain(mgrad_layer *l) {
  l->refs++;
  return l;
}

static void part_release(mgrad_slot *part) {
  mgrad_layer_release(part->layer);
  mgrad_tensor_release(part->tensor);
}

static void drop_plans(mgrad_layer *l) {
  for (int i = 0; i < MGRAD_LAYER_PLANS; i++) {
    mgrad_plan_release(l->plans[i]);
    l->plans[i] = NULL;
  }
}

/* Recursive, but add keeps the tree under MAX_DEPTH and free of cycles. */
void mgrad_layer_release(mgrad_layer *l) {
  if (l == NULL || --l->refs > 0) return;
  mgrad_context *ctx = l->ctx;
  drop_plans(l);
  for (int i = 0; i < l->nparts; i++) part_release(&l->parts[i]);
  mgrad_free(ctx, l->parts, (size_t)l->room * sizeof *l->parts);
  mgrad_free(ctx, l, sizeof *l);
  mgrad_object_gone(ctx);
}

/* ---- parts ---- */

static mgrad_slot *find_part(const mgrad_layer *l, const char *name) {
  for (int i = 0; i < l->nparts; i++) {
    if (strcmp(l->parts[i].name, name) == 0) return &l->parts[i];
  }
  return NULL;
}

static mgrad_status make_room(mgrad_layer *l) {
  if (l->nparts < l->room) return MGRAD_OK;
  int room = l->room > 0 ? 2 * l->room : 4;
  mgrad_slot *parts = mgrad_new(l->ctx, (size_t)room * sizeof *parts);
  if (parts == NULL) return MGRAD_NOMEM;
  if (l->nparts > 0) memcpy(parts, l->parts, (size_t)l->nparts * sizeof *parts);
  mgrad_free(l->ctx, l->parts, (size_t)l->room * sizeof *parts);
  l->parts = parts;
  l->room = room;
  return MGRAD_OK;
}

/* Takes over one reference of 'layer' or 'tensor' when it goes well. */
static mgrad_status set_part(mgrad_layer *l, const char *name, mgrad_layer *layer,
                             mgrad_tensor *tensor, bool buffer) {
  mgrad_slot part = { .layer = layer, .tensor = tensor, .buffer = buffer };
  MGRAD_TRY(copy_name(l->ctx, part.name, name));
  mgrad_slot *old = find_part(l, name);
  if (old == NULL) {
    MGRAD_TRY(make_room(l));
    l->parts[l->nparts++] = part;
  } else {
    mgrad_slot gone = *old;
    *old = part;
    part_release(&gone);
  }
  l->complete = false;
  l->ctx->changes++;
  return MGRAD_OK;
}

/* Levels of layers in and below l, more than MAX_DEPTH when 'other' is among
** them. Layers may be shared, so each is gone into once and marked with its
** levels. */
static int depth(mgrad_layer *l, const mgrad_layer *other) {
  if (l == other) return MAX_DEPTH + 1;
  if (l->mark > 0) return l->mark;
  int deepest = 0;
  for (int i = 0; i < l->nparts; i++) {
    int d = l->parts[i].layer != NULL ? depth(l->parts[i].layer, other) : 0;
    if (d > deepest) deepest = d;
  }
  return l->mark = deepest + 1;
}

void mgrad_layer_unmark(mgrad_layer *l) {
  l->mark = 0;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_slot *p = &l->parts[i];
    if (p->tensor != NULL) p->tensor->visited = false;
    else if (p->layer->mark != 0) mgrad_layer_unmark(p->layer);
  }
}

/* Moves l and what is below it down to 'level'. */
static void sink(mgrad_layer *l, int level) {
  if (l->level >= level) return;
  l->level = level;
  for (int i = 0; i < l->nparts; i++) {
    if (l->parts[i].layer != NULL) sink(l->parts[i].layer, level + 1);
  }
}

/* A container that runs goes through its parts: they must stay. */
static mgrad_status idle(const mgrad_layer *l) {
  const mgrad_frame *f = l->def != NULL ? l->ctx->frame : NULL;
  while (f != NULL && f->layer != l) f = f->up;
  if (f == NULL) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: is in use; its layers cannot change while it"
                    " runs", l->kind);
}

/* Containers take layers, custom layers take tensors too. */
static mgrad_status takes_parts(const mgrad_layer *l, bool tensor) {
  MGRAD_TRY(idle(l));
  if (l->def == NULL || (l->def->container && !tensor)) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: takes no %s", l->kind,
                    tensor ? "tensors" : "layers");
}

mgrad_status mgrad_layer_add(mgrad_layer *l, const char *name, mgrad_layer *child) {
  MGRAD_TRY(takes_parts(l, false));
  return mgrad_layer_put(l, name, child);
}

mgrad_status mgrad_layer_put(mgrad_layer *l, const char *name, mgrad_layer *child) {
  char position[MGRAD_NAME_SIZE];
  if (name == NULL) {
    mgrad_format(position, sizeof position, "%d", (int64_t)l->nparts);
    name = position;
  }
  int levels = depth(child, l);
  mgrad_layer_unmark(child);
  if (l->level + levels >= MAX_DEPTH) {
    return mgrad_fail(l->ctx, MGRAD_INVALID,
                      "%s: part \"%s\" would contain itself, or nest deeper than %d layers",
                      l->kind, name, (int64_t)MAX_DEPTH);
  }
  MGRAD_TRY(set_part(l, name, child, NULL, false));
  mgrad_layer_retain(child);
  sink(child, l->level + 1);
  return MGRAD_OK;
}

mgrad_status mgrad_layer_add_tensor(mgrad_layer *l, const char *name, mgrad_tensor *t) {
  MGRAD_TRY(takes_parts(l, true));
  return mgrad_layer_put_tensor(l, name, t);
}

mgrad_status mgrad_layer_put_tensor(mgrad_layer *l, const char *name, mgrad_tensor *t) {
  if (mgrad_tensor_repeats(t)) {
    return mgrad_fail(l->ctx, MGRAD_INVALID,
                      "%s: tensor \"%s\" is an expanded view, expected its contiguous()",
                      l->kind, name);
  }
  return mgrad_layer_put_part(l, name, t, !t->requires_grad);
}

mgrad_status mgrad_layer_put_part(mgrad_layer *l, const char *name, mgrad_tensor *t,
                                  bool buffer) {
  MGRAD_TRY(set_part(l, name, NULL, t, buffer));
  mgrad_tensor_retain(t);
  return MGRAD_OK;
}

mgrad_status mgrad_layer_child(mgrad_layer *l, const char *name, const mgrad_layer_def *def,
                               const mgrad_attrs *attrs) {
  mgrad_layer *child;
  MGRAD_TRY(mgrad_layer_new(l->ctx, def, attrs, &child));
  child->training = l->training;
  mgrad_status status = mgrad_layer_put(l, name, child);
  mgrad_layer_release(child);
  return status;
}

mgrad_status mgrad_layer_set_param(mgrad_layer *l, const char *name, mgrad_tensor *t) {
  if (l->def == NULL || l->def->build == NULL || l->built) {
    const char *why = l->built ? "it has its parameters already" : "it has no parameters";
    return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: \"%s\" cannot be given to it, %s", l->kind,
                      name, why);
  }
  MGRAD_TRY(mgrad_layer_put_tensor(l, name, t));
  find_part(l, name)->given = true;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_remove(mgrad_layer *l, const char *name) {
  mgrad_slot *part = find_part(l, name);
  if (part == NULL) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: has no part \"%s\"", l->kind, name);
  }
  MGRAD_TRY(idle(l));
  mgrad_slot gone = *part;
  l->nparts--;
  memmove(part, part + 1, (size_t)(l->parts + l->nparts - part) * sizeof *part);
  part_release(&gone);
  l->complete = false;
  l->ctx->changes++;
  return MGRAD_OK;
}

/* A parameter that was given, in the place in order of one that is made. */
static mgrad_status take_given(mgrad_layer *l, mgrad_slot *part, int ndim,
                               const int64_t *size) {
  mgrad_array expected;
  MGRAD_TRY(mgrad_shape_make(l->ctx, ndim, size, &expected));
  if (!mgrad_shape_equal(&part->tensor->a, &expected)) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "its %s is given as %a, expected %a", part->name,
                      &part->tensor->a, &expected);
  }
  mgrad_slot taken = *part;
  taken.taken = true;
  memmove(part, part + 1, (size_t)(l->parts + l->nparts - part - 1) * sizeof *part);
  l->parts[l->nparts - 1] = taken;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_param(mgrad_layer *l, const char *name, int ndim,
                               const int64_t *size, int init) {
  mgrad_tensor *t;
  mgrad_slot *part = find_part(l, name);
  if (part != NULL && part->given) return take_given(l, part, ndim, size);
  MGRAD_TRY(mgrad_tensor_new(l->ctx, ndim, size, &t));
  mgrad_status status = mgrad_init_fill(init, t);
  if (status == MGRAD_OK) status = mgrad_tensor_require_grad(t, !l->frozen);
  if (status == MGRAD_OK) status = set_part(l, name, NULL, t, false);
  if (status != MGRAD_OK) mgrad_tensor_release(t);
  return status;
}

mgrad_status mgrad_layer_buffer(mgrad_layer *l, const char *name, int ndim,
                                const int64_t *size, double value) {
  mgrad_tensor *t;
  MGRAD_TRY(mgrad_tensor_full(l->ctx, ndim, size, value, &t));
  mgrad_status status = set_part(l, name, NULL, t, true);
  if (status != MGRAD_OK) mgrad_tensor_release(t);
  return status;
}

mgrad_tensor *mgrad_layer_tensor(const mgrad_layer *l, const char *name) {
  mgrad_slot *part = find_part(l, name);
  return part != NULL ? part->tensor : NULL;
}

int mgrad_layer_part_count(const mgrad_layer *l) { return l->nparts; }

mgrad_part mgrad_layer_part(const mgrad_layer *l, int index) {
  if (index < 0 || index >= l->nparts) return (mgrad_part){ 0 };
  const mgrad_slot *p = &l->parts[index];
  return (mgrad_part){ p->name, p->layer, p->tensor, p->buffer };
}

/* ---- calling ---- */

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
      part_release(&part);
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

static mgrad_status build(mgrad_layer *l, const mgrad_array *x) {
  if (l->built) return MGRAD_OK;
  if (l->def->build != NULL) {
    mgrad_status status = l->def->build(l, x);
    if (status == MGRAD_OK) status = all_taken(l);
    if (status != MGRAD_OK) {
      strip(l);
      return status;
    }
  }
  l->built = true;
  mgrad_layer *list = l->ctx->built; /* it ends with the layer that is tried */
  if (list == NULL || list == l) return MGRAD_OK;
  l->next_built = list;
  l->ctx->built = mgrad_layer_retain(l);
  return MGRAD_OK;
}

static mgrad_status forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_context *ctx = l->ctx;
  int level = 1;
  for (const mgrad_frame *f = ctx->frame->up; f != NULL; f = f->up) level++;
  if (level > MAX_DEPTH) {
    return mgrad_fail(ctx, MGRAD_INVALID, "layers call each other more than %d deep",
                      (int64_t)MAX_DEPTH);
  }
  MGRAD_TRY(build(l, &x->a));
  if (l->def != NULL) return l->def->forward(l, x, y);
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
  mgrad_walk(&t->a, NULL, NULL, count_nonfinite, &count);
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
  mgrad_status status = forward(l, x, &result);
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
  l->complete = status == MGRAD_OK;
  return status;
}

mgrad_status mgrad_layer_complete(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further) {
  return l->ctx->frame == NULL && !l->complete ? trial(l, x, further) : MGRAD_OK;
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

/* The plan for inputs of this shape. Plans that no longer fit are dropped. */
static mgrad_plan *find_plan(mgrad_layer *l, const mgrad_array *x) {
  for (int i = 0; i < MGRAD_LAYER_PLANS && l->plans[i] != NULL; i++) {
    if (!mgrad_plan_fresh(l->plans[i])) {
      drop_plans(l);
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
static mgrad_status replay(mgrad_plan *p, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_array_copy(mgrad_plan_x(p), &x->a);
  MGRAD_TRY(mgrad_plan_forward(p));
  const mgrad_array *result = mgrad_plan_prediction(p);
  MGRAD_TRY(place(x->ctx, result, y));
  mgrad_array_copy(&(*y)->a, result);
  (*y)->storage->version++;
  return MGRAD_OK;
}

static void keep_plan(mgrad_layer *l, const mgrad_recorder *r, const mgrad_plan_ends *e) {
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
  bool plannable = ctx->frame == NULL && ctx->recorder == NULL && l->complete &&
                   ctx->anomaly == NULL && mgrad_shape_packed(&x->a) &&
                   mgrad_tensor_numel(x) <= MOST_INPUTS;
  mgrad_plan *plan = plannable ? find_plan(l, &x->a) : NULL;
  if (plan != NULL) return replay(plan, x, y);
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

/* ---- settings ---- */

static void set_training(mgrad_layer *l, bool on) {
  l->training = on;
  l->mark = 1;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_layer *child = l->parts[i].layer;
    if (child != NULL && child->mark == 0) set_training(child, on);
  }
}

void mgrad_layer_train(mgrad_layer *l, int on) {
  l->ctx->changes++;
  set_training(l, on != 0);
  mgrad_layer_unmark(l);
}

/* Parameters that are there, and those that will be built. */
static void set_frozen(mgrad_layer *l, bool on) {
  l->frozen = on;
  l->mark = 1;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_slot *p = &l->parts[i];
    if (p->layer != NULL && p->layer->mark == 0) set_frozen(p->layer, on);
    if (p->tensor != NULL && !p->buffer) p->tensor->requires_grad = !on;
  }
}

void mgrad_layer_freeze(mgrad_layer *l, int on) {
  l->ctx->changes++;
  set_frozen(l, on != 0);
  mgrad_layer_unmark(l);
}

int mgrad_layer_training(const mgrad_layer *l) { return l->training; }
const char *mgrad_layer_kind(const mgrad_layer *l) { return l->kind; }
const mgrad_layer_def *mgrad_layer_definition(const mgrad_layer *l) { return l->def; }
const mgrad_attrs *mgrad_layer_attrs(const mgrad_layer *l) { return &l->attrs; }
const char *mgrad_layer_name(const mgrad_layer *l) { return l->name; }

void mgrad_layer_set_pure(mgrad_layer *l, int on) {
  l->ctx->changes++;
  l->pure = on != 0;
}

mgrad_status mgrad_layer_set_name(mgrad_layer *l, const char *name) {
  return copy_name(l->ctx, l->name, name);
}

int mgrad_layer_output(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]) {
  memcpy(size, l->output, sizeof l->output);
  return l->output_ndim;
}
