/*
** optimizer.c - which weights an optimizer updates, clipping, its state.
*/
#include "optimizer.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdatomic.h>

enum { LR = 0 };                           /* of every rule's attributes */
#define AT_LEAST_0(name, text) { name, MGRAD_ATTR_REAL, 0, 0, 1e30, .doc = text }
static const mgrad_attr_spec common_attrs[] = {
  AT_LEAST_0("clip_norm", "a longer gradient is scaled down to this length"),
  AT_LEAST_0("clip_value", "each number of the gradient is kept within this of 0"),
  AT_LEAST_0("l1", "so many times sign(w) is added to the gradient of w"),
  AT_LEAST_0("l2", "so many times w is added to the gradient of w"),
  { "ema", MGRAD_ATTR_REAL, 0, 0, 1,
    .doc = "an average of the weights is kept: so much of it, the rest of the new ones" },
  { .type = MGRAD_ATTR_NONE }
};

/* ---- the table ---- */

extern const mgrad_code mgrad_code_table; /* the baseline's descriptors stand for all */

int mgrad_optimizer_def_count(void) { return MGRAD_RULE_COUNT; }

const mgrad_optimizer_def *mgrad_optimizer_def_at(int index) {
  return index >= 0 && index < mgrad_optimizer_def_count()
             ? mgrad_code_table.optimizers[index] : NULL;
}

const mgrad_optimizer_def *mgrad_optimizer_def_find(const char *name) {
  for (int i = 0; i < mgrad_optimizer_def_count(); i++) {
    const mgrad_optimizer_def *def = mgrad_optimizer_def_at(i);
    if (strcmp(def->name, name) == 0) return def;
  }
  return NULL;
}

void mgrad_optimizer_describe(const mgrad_optimizer_def *def, mgrad_optimizer_info *out) {
  *out = (mgrad_optimizer_info){ def->name, def->doc, def->attrs };
}

const mgrad_attr_spec *mgrad_optimizer_common(void) { return common_attrs; }

/* ---- making and releasing ---- */

/* Options that are left out are the defaults; checked. */
static mgrad_status take_options(mgrad_context *ctx, const mgrad_optimizer_def *def,
                                 const mgrad_attrs *attrs, const mgrad_attrs *common,
                                 mgrad_param_group *out) {
  *out = (mgrad_param_group){ .share = 1 };
  if (attrs != NULL) out->attrs = *attrs;
  else mgrad_attrs_default(def->attrs, &out->attrs);
  if (common != NULL) out->common = *common;
  else mgrad_attrs_default(common_attrs, &out->common);
  MGRAD_TRY(mgrad_attrs_check(ctx, def->name, def->attrs, &out->attrs));
  const char *wrong = def->check != NULL ? def->check(out->attrs.value) : NULL;
  if (wrong != NULL) return mgrad_fail(ctx, MGRAD_INVALID, "%s: %s", def->name, wrong);
  return mgrad_attrs_check(ctx, def->name, common_attrs, &out->common);
}

static int count_states(const mgrad_optimizer_def *def, const mgrad_param_group *own) {
  int rule = def->states_for != NULL ? def->states_for(own->attrs.value) : def->states;
  return rule + (own->common.value[MGRAD_EMA] != 0);
}

mgrad_status mgrad_optimizer_new(mgrad_context *ctx, const mgrad_optimizer_def *def,
                                 const mgrad_attrs *attrs, const mgrad_attrs *common,
                                 mgrad_optimizer **out) {
  mgrad_param_group own;
  MGRAD_TRY(take_options(ctx, def, attrs, common, &own));
  mgrad_optimizer *o = mgrad_new(ctx, sizeof *o);
  if (o == NULL) return MGRAD_NOMEM;
  *o = (mgrad_optimizer){ .ctx = ctx, .refs = 1, .def = def, .ngroups = 1,
                          .nstates = count_states(def, &own) };
  o->groups = mgrad_new(ctx, sizeof own);
  if (o->groups == NULL) {
    mgrad_free(ctx, o);
    return MGRAD_NOMEM;
  }
  o->groups[0] = own;
  mgrad_object_born(ctx);
  *out = o;
  return MGRAD_OK;
}

mgrad_status mgrad_optimizer_fail_busy(const mgrad_optimizer *o) {
  return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: is in use; a function called meanwhile cannot"
                    " train with it or change what it trains", o->def->name);
}

mgrad_status mgrad_optimizer_group(mgrad_optimizer *o, const mgrad_attrs *attrs,
                                   const mgrad_attrs *common) {
  mgrad_param_group fresh;
  size_t size = (size_t)o->ngroups * sizeof *o->groups;
  if (o->busy) return mgrad_optimizer_fail_busy(o);
  MGRAD_TRY(take_options(o->ctx, o->def, attrs, common, &fresh));
  double rate = o->groups->attrs.value[LR];
  fresh.share = rate > 0 ? fresh.attrs.value[LR] / rate : -1;
  if (o->def->solve != NULL) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: has no groups: it moves all parameters"
                      " together", o->def->name);
  }
  if (mgrad_optimizer_attached(o)) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: groups are made before it is attached",
                      o->def->name);
  }
  if (count_states(o->def, &fresh) != o->nstates) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: a group has to remember as much as the"
                      " others do", o->def->name);
  }
  mgrad_param_group *groups = mgrad_new(o->ctx, size + sizeof *groups);
  if (groups == NULL) return MGRAD_NOMEM;
  memcpy(groups, o->groups, size);
  mgrad_free(o->ctx, o->groups);
  groups[o->ngroups++] = fresh;
  o->groups = groups;
  return MGRAD_OK;
}

void mgrad_optimizer_grouping(mgrad_optimizer *o, mgrad_group_fn fn, void *ud) {
  o->grouping = fn;
  o->grouping_ud = ud;
}

mgrad_optimizer *mgrad_optimizer_retain(mgrad_optimizer *o) {
  o->refs++;
  return o;
}

/* A method of many evaluations has room to work in, and for states that are not valid yet. */
static size_t states_bytes(const mgrad_optimizer *o) {
  int more = o->def->solve != NULL ? o->def->work + o->nstates : 0;
  size_t numbers = (size_t)(o->nstates + more) * (size_t)o->numel;
  return (numbers > 0 ? numbers : 1) * sizeof(mgrad_real);
}

static void detach(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) mgrad_tensor_release(o->params[i].t);
  mgrad_free(o->ctx, o->params);
  mgrad_free(o->ctx, o->states);
  mgrad_free(o->ctx, o->gathered);
  mgrad_layer_release(o->layer);
  o->params = NULL;
  o->states = o->gathered = NULL;
  o->weight = 0;
  o->layer = NULL;
  o->nparams = o->room = 0;
  o->numel = o->steps = 0;
}

void mgrad_optimizer_release(mgrad_optimizer *o) {
  if (o == NULL || --o->refs > 0) return;
  mgrad_context *ctx = o->ctx;
  detach(o);
  mgrad_free(ctx, o->groups);
  mgrad_free(ctx, o);
  mgrad_object_gone(ctx);
}

/* ---- what it updates ---- */

/* Copies what 'from' remembers of the parameters that 'to' has as well. */
static void keep_states(const mgrad_optimizer *from, mgrad_optimizer *to) {
  for (int i = 0; i < to->nparams; i++) {
    const mgrad_param *own = &to->params[i];
    int j = 0;
    mgrad_optimizer_begin_average(to, own);
    while (j < from->nparams && from->params[j].t != own->t) j++;
    for (int k = 0; j < from->nparams && k < to->nstates; k++) {
      memcpy(to->states + k * to->numel + own->offset,
             from->states + k * from->numel + from->params[j].offset,
             (size_t)own->n * sizeof(mgrad_real));
    }
  }
}

typedef struct listing {
  const mgrad_optimizer *o;
  mgrad_tensor **t; /* NULL while counting */
  int n;
  bool same;        /* as those that o has */
} listing;

static mgrad_status list_param(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  listing *list = ud;
  if (buffer) return MGRAD_OK; /* frozen parameters keep their place */
  if (!mgrad_shape_packed(&t->a)) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "optimizer: parameter \"%s\" is not contiguous"
                      " yet; call the layer first", name);
  }
  if (list->t != NULL) list->t[list->n] = t;
  list->same = list->same && list->n < list->o->nparams && list->o->params[list->n].t == t;
  list->n++;
  return MGRAD_OK;
}

/* The name under which l has t: ud is that of the layer that is asked. */
typedef struct finding {
  const mgrad_tensor *t;
  char *name;
  size_t size;
} finding;

static mgrad_status find_name(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)buffer;
  finding *f = ud;
  if (t == f->t) mgrad_format(f->name, f->size, "%s", name);
  return MGRAD_OK;
}

/* The name of a parameter in the attached layer; its number where it has none. */
static void name_of(const mgrad_optimizer *o, const mgrad_tensor *t, int i, char *name,
                    size_t size) {
  finding f = { t, name, size };
  mgrad_format(name, size, "%d", (int64_t)i + 1);
  if (o->layer != NULL) mgrad_layer_visit(o->layer, find_name, &f);
}

/* Asks for the group of each of the parameters that 'fresh' has. */
static mgrad_status take_groups(const mgrad_optimizer *o, mgrad_optimizer *fresh) {
  char name[512];
  for (int i = 0; o->grouping != NULL && i < fresh->nparams; i++) {
    mgrad_param *p = &fresh->params[i];
    name_of(o, p->t, i, name, sizeof name);
    MGRAD_TRY(o->grouping(o->grouping_ud, name, p->t, &p->group));
    if (p->group < 0 || p->group >= o->ngroups) {
      return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: \"%s\" is in group %d, expected 0 to %d",
                        o->def->name, name, (int64_t)p->group, (int64_t)(o->ngroups - 1));
    }
  }
  return MGRAD_OK;
}

/* What was asked for groups may have changed the layers. */
static mgrad_status check_same(const mgrad_optimizer *o, const mgrad_optimizer *fresh) {
  listing list = { .o = fresh, .same = true };
  MGRAD_TRY(mgrad_layer_visit(o->layer, list_param, &list));
  if (list.same && list.n == fresh->nparams) return MGRAD_OK;
  return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: its layers have changed while their groups"
                    " were asked for", o->def->name);
}

/* Takes n parameters, of its layer or not, and makes their state, which starts at zeros but
** for parameters that it had before and the same layer still has. */
static mgrad_status take(mgrad_optimizer *o, mgrad_tensor *const *t, int n, bool layered,
                         bool keep) {
  mgrad_optimizer fresh = { .ctx = o->ctx, .def = o->def, .room = n, .nstates = o->nstates,
                            .groups = o->groups };
  for (int i = 0; i < n; i++) fresh.numel += mgrad_tensor_numel(t[i]);
  if (n == 0) return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: there are no parameters",
                                o->def->name);
  fresh.params = mgrad_new(o->ctx, (size_t)n * (sizeof *fresh.params + sizeof *fresh.runs));
  if (fresh.params == NULL) return MGRAD_NOMEM;
  fresh.states = mgrad_new_zeroed(o->ctx, states_bytes(&fresh));
  if (fresh.states == NULL) {
    detach(&fresh);
    return MGRAD_NOMEM;
  }
  for (int64_t offset = 0; fresh.nparams < n; fresh.nparams++) {
    mgrad_tensor *own = mgrad_tensor_retain(t[fresh.nparams]);
    fresh.params[fresh.nparams] = (mgrad_param){ own, mgrad_tensor_numel(own), offset };
    offset += mgrad_tensor_numel(own);
  }
  bool busy = o->busy;
  o->busy = true;
  mgrad_status status = take_groups(o, &fresh);
  if (status == MGRAD_OK && layered) status = check_same(o, &fresh);
  o->busy = busy;
  if (status != MGRAD_OK) {
    detach(&fresh);
    return status;
  }
  mgrad_layer *layer = o->layer;
  int64_t steps = keep ? o->steps : 0;
  if (keep) keep_states(o, &fresh);
  o->layer = NULL;
  detach(o);
  o->steps = steps;
  o->seen = o->ctx->changes;
  o->params = fresh.params;
  o->runs = (mgrad_param_run *)(void *)(o->params + n);
  o->runs_seen = 0;
  o->nparams = o->room = n;
  o->numel = fresh.numel;
  o->states = fresh.states;
  o->layer = layer;
  return MGRAD_OK;
}

mgrad_status mgrad_optimizer_attach_tensors(mgrad_optimizer *o, mgrad_tensor *const *t,
                                            int n) {
  if (o->busy) return mgrad_optimizer_fail_busy(o);
  if (o->swapped) return mgrad_optimizer_fail_swapped(o);
  for (int i = 0; i < n; i++) {
    if (t[i]->requires_grad && mgrad_shape_packed(&t[i]->a)) continue;
    return mgrad_fail(o->ctx, MGRAD_INVALID,
                      "%s: tensor %d is no contiguous leaf that requires a gradient",
                      o->def->name, (int64_t)i + 1);
  }
  MGRAD_TRY(take(o, t, n, false, false));
  mgrad_layer_release(o->layer);
  o->layer = NULL;
  return MGRAD_OK;
}

/* The parameters of the attached layer, which exist once it is built; looked for
** again when layers have changed. */
static mgrad_status collect(mgrad_optimizer *o, bool keep) {
  listing list = { .o = o, .same = true };
  MGRAD_TRY(mgrad_layer_visit(o->layer, list_param, &list));
  if (keep && list.same && list.n == o->nparams && list.n > 0) {
    o->seen = o->ctx->changes;
    return MGRAD_OK;
  }
  if (list.n > 0) list.t = mgrad_new(o->ctx, (size_t)list.n * sizeof *list.t);
  if (list.n > 0 && list.t == NULL) return MGRAD_NOMEM;
  list.n = 0;
  mgrad_layer_visit(o->layer, list_param, &list);
  mgrad_status status = take(o, list.t, list.n, true, keep);
  mgrad_free(o->ctx, list.t);
  return status;
}

mgrad_status mgrad_optimizer_attach(mgrad_optimizer *o, mgrad_layer *l) {
  if (o->busy) return mgrad_optimizer_fail_busy(o);
  if (o->swapped) return mgrad_optimizer_fail_swapped(o);
  mgrad_layer *before = o->layer;
  o->layer = l;
  if (l->complete) {
    mgrad_status status = collect(o, false);
    if (status != MGRAD_OK) {
      o->layer = before;
      return status;
    }
  } else {
    o->layer = NULL;
    detach(o);
    o->layer = l;
  }
  mgrad_layer_retain(l);
  mgrad_layer_release(before);
  return MGRAD_OK;
}

int mgrad_optimizer_attached(const mgrad_optimizer *o) {
  return o->layer != NULL || o->nparams > 0;
}

/* ---- gradients ---- */

void mgrad_optimizer_zero_grad(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) mgrad_tensor_zero_grad(o->params[i].t);
}

mgrad_status mgrad_optimizer_unpin(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) {
    mgrad_tensor *t = o->params[i].t;
    if (t->grad != NULL && t->grad->storage->pins > 0) MGRAD_TRY(mgrad_tensor_place_grad(t));
  }
  return MGRAD_OK;
}

void mgrad_optimizer_clear(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) o->params[i].t->has_grad = false;
}

static mgrad_status fail_nonfinite(const mgrad_optimizer *o, int i) {
  char name[128], layer[256];
  const char *quote = o->layer != NULL ? "\"" : "";
  const mgrad_tensor *t = o->params[i].t;
  name_of(o, t, i, name, sizeof name);
  bool found = o->layer != NULL && mgrad_layer_of(o->layer, t, layer, sizeof layer);
  return mgrad_fail(o->ctx, MGRAD_NONFINITE, "%s: the gradient of %s%s%s%s%s%s has NaN or"
                    " infinite numbers; no weight was changed", o->def->name,
                    o->layer != NULL ? "" : "parameter ", quote, name, quote,
                    found ? " in " : "", found ? layer : "");
}

/* ---- one step ---- */

static void find_runs(mgrad_optimizer *o) {
  o->nruns = 0;
  for (int i = 0; i < o->nparams; i++) {
    const mgrad_tensor *t = o->params[i].t;
    if (!mgrad_optimizer_moves(t)) continue;
    mgrad_param_run *last = &o->runs[o->nruns - 1];
    if (o->nruns == 0 || last->end != i || last->group != o->params[i].group ||
        t->a.data != last->w + last->n ||
        t->grad->a.data != last->g + last->n) {
      last = &o->runs[o->nruns++];
      *last = (mgrad_param_run){ .first = i, .group = o->params[i].group,
                                   .w = t->a.data, .g = t->grad->a.data };
    }
    last->n += o->params[i].n;
    last->end = i + 1;
  }
}

/* The runs of this step: those of the last one, most times. */
INLINE void take_runs(mgrad_optimizer *o) {
  bool all = true;
  for (int i = 0; i < o->nparams; i++) all = all && mgrad_optimizer_moves(o->params[i].t);
  if (all && o->runs_seen == o->ctx->changes + 1) return;
  find_runs(o);
  o->runs_seen = all ? o->ctx->changes + 1 : 0;
}

double mgrad_optimizer_clipping(const mgrad_optimizer *o) {
  double sum = 0, most = o->groups->common.value[MGRAD_CLIP_NORM];
  if (most == 0) return 1;
  for (int i = 0; i < o->nparams; i++) {
    const mgrad_param *p = &o->params[i];
    if (mgrad_optimizer_moves(p->t)) sum += mgrad_sum_squares(p->n, p->t->grad->a.data, 1);
  }
  double length = sqrt(sum);
  return length > most ? most / length : 1;
}

typedef struct looking {
  const mgrad_code *code;
  const mgrad_real *g;
  atomic_bool found; /* a number that is not finite */
} looking;

static void look_at_stretch(void *ud, int64_t first, int64_t end) {
  looking *l = ud;
  if (!l->code->all_finite(end - first, l->g + first)) atomic_store(&l->found, true);
}

static bool run_finite(const mgrad_optimizer *o, const mgrad_param_run *r) {
  looking all = { .code = o->ctx->code, .g = r->g };
  mgrad_pool_stretches(o->ctx->pool, r->n, look_at_stretch, &all);
  return !all.found;
}

static mgrad_status fail_in_run(const mgrad_optimizer *o, const mgrad_param_run *r) {
  int i = r->first;
  while (o->ctx->code->all_finite(o->params[i].n, o->params[i].t->grad->a.data)) i++;
  return fail_nonfinite(o, i);
}

static mgrad_status check_finite(const mgrad_optimizer *o) {
  for (int i = 0; i < o->nruns; i++) {
    if (!run_finite(o, &o->runs[i])) return fail_in_run(o, &o->runs[i]);
  }
  return MGRAD_OK;
}

typedef struct updating {
  const mgrad_optimizer_def *def;
  const mgrad_update *u;
  mgrad_real *average, keep;
  void (*blend)(int64_t n, mgrad_real keep, const mgrad_real *x, mgrad_real *y);
} updating;

static void update_stretch(void *ud, int64_t first, int64_t end) {
  const updating *all = ud;
  mgrad_update u = *all->u;
  u.n = end - first;
  u.w += first;
  u.g += first;
  for (int k = 0; k < MGRAD_MAX_STATES; k++) {
    if (u.state[k] != NULL) u.state[k] += first;
  }
  all->def->update(&u);
  if (all->average != NULL) all->blend(u.n, all->keep, u.w, all->average + first);
}

INLINE mgrad_update options_of(const mgrad_optimizer *o, const mgrad_param_group *g,
                               double scale) {
  const double *common = g->common.value, bound = common[MGRAD_CLIP_VALUE];
  return (mgrad_update){
    .h = g->attrs.value, .step = o->steps + 1, .scale = (mgrad_real)scale,
    .bound = (mgrad_real)(bound > 0 ? bound : INFINITY),
    .l1 = (mgrad_real)common[MGRAD_L1], .l2 = (mgrad_real)common[MGRAD_L2],
    .plain = scale == 1 && bound == 0 && common[MGRAD_L1] == 0 && common[MGRAD_L2] == 0,
  };
}

mgrad_update mgrad_optimizer_options(const mgrad_optimizer *o, const mgrad_param_group *g,
                                     double scale) {
  return options_of(o, g, scale);
}

/* With threads, or an average that follows. */
static mgrad_status update_shared(const mgrad_optimizer *o, const mgrad_param_run *r,
                                  mgrad_update *u, mgrad_real *average) {
  const mgrad_code *code = o->ctx->code;
  if (u->look && !run_finite(o, r)) return fail_in_run(o, r);
  u->look = false;
  updating all = { code->optimizers[o->def->id], u, average,
                   (mgrad_real)o->groups->common.value[MGRAD_EMA], code->blend };
  mgrad_pool_stretches(o->ctx->pool, r->n, update_stretch, &all);
  return MGRAD_OK;
}

static mgrad_status update_run(const mgrad_optimizer *o, const mgrad_param_run *r,
                               mgrad_update *u) {
  int64_t offset = o->params[r->first].offset;
  mgrad_real *average = o->steps > 0 ? mgrad_optimizer_average(o) : NULL;
  u->n = r->n;
  u->w = r->w;
  u->g = r->g;
  for (int k = 0; k < o->nstates && k < MGRAD_MAX_STATES; k++) {
    u->state[k] = o->states + k * o->numel + offset;
  }
  if (average == NULL && mgrad_pool_alone(o->ctx->pool, r->n)) {
    if (!o->ctx->code->optimizers[o->def->id]->update(u)) return fail_in_run(o, r);
  } else {
    MGRAD_TRY(update_shared(o, r, u, average != NULL ? average + offset : NULL));
  }
  for (int i = r->first; i < r->end; i++) o->params[i].t->storage->version++;
  return MGRAD_OK;
}

static mgrad_status follow_schedule(mgrad_optimizer *o) {
  double lr = 0;
  o->busy = true;
  mgrad_status status = o->schedule(o->schedule_ud, o->steps + 1, &lr);
  o->busy = false;
  MGRAD_TRY(status);
  return mgrad_optimizer_set_lr(o, lr);
}

/* Lists the parameters where that is still to be done, or layers have changed. */
INLINE mgrad_status refresh(mgrad_optimizer *o) {
  if (!mgrad_optimizer_attached(o)) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: attach it to a layer or tensors first",
                      o->def->name);
  }
  bool stale = o->nparams == 0 || o->seen != o->ctx->changes;
  if (o->layer == NULL || !stale) return MGRAD_OK;
  return o->busy ? mgrad_optimizer_fail_busy(o) : collect(o, true);
}

mgrad_status mgrad_optimizer_refresh(mgrad_optimizer *o) { return refresh(o); }

INLINE mgrad_status ready(mgrad_optimizer *o) {
  if (o->busy) return mgrad_optimizer_fail_busy(o);
  if (o->swapped) return mgrad_optimizer_fail_swapped(o);
  MGRAD_TRY(refresh(o));
  if (o->schedule != NULL) MGRAD_TRY(follow_schedule(o));
  take_runs(o);
  return MGRAD_OK;
}

mgrad_status mgrad_optimizer_ready(mgrad_optimizer *o) {
  MGRAD_TRY(ready(o));
  return check_finite(o);
}

mgrad_status mgrad_optimizer_step(mgrad_optimizer *o) {
  if (o->def->solve != NULL) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: step takes a function that computes the loss,"
                      " since it does so many times", o->def->name);
  }
  MGRAD_TRY(ready(o));
  bool one = o->nruns == 1; /* which its update looks at, in fewer instructions */
  if (MGRAD_LOOKS && !one) MGRAD_TRY(check_finite(o));
  bool clips = o->groups->common.value[MGRAD_CLIP_NORM] > 0;
  double scale = clips ? mgrad_optimizer_clipping(o) : 1;
  for (int i = 0; i < o->nruns; i++) {
    mgrad_update u = options_of(o, &o->groups[o->runs[i].group], scale);
    u.look = MGRAD_LOOKS && one;
    MGRAD_TRY(update_run(o, &o->runs[i], &u));
  }
  if (o->steps == 0) mgrad_optimizer_begin_averages(o);
  o->steps++;
  return MGRAD_OK;
}

double mgrad_optimizer_lr(const mgrad_optimizer *o) { return o->groups->attrs.value[LR]; }

mgrad_status mgrad_optimizer_set_lr(mgrad_optimizer *o, double lr) {
  mgrad_attrs attrs = o->groups->attrs;
  attrs.value[LR] = lr;
  MGRAD_TRY(mgrad_attrs_check(o->ctx, o->def->name, o->def->attrs, &attrs));
  for (int i = 0; i < o->ngroups; i++) {
    mgrad_param_group *g = &o->groups[i];
    if (g->share >= 0) g->attrs.value[LR] = g->share * lr;
  }
  return MGRAD_OK;
}

void mgrad_optimizer_schedule(mgrad_optimizer *o, mgrad_lr_fn fn, void *ud) {
  o->schedule = fn;
  o->schedule_ud = ud;
}

int64_t mgrad_optimizer_steps(const mgrad_optimizer *o) { return o->steps; }

const mgrad_optimizer_def *mgrad_optimizer_definition(const mgrad_optimizer *o) {
  return o->def;
}
