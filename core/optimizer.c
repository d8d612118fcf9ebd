/*
** optimizer.c - which weights an optimizer updates, clipping, its state.
*/
#include "optimizer.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdatomic.h>

enum { LR = 0 };                           /* of every rule's attributes */
enum { CLIP_NORM, CLIP_VALUE, L1, L2 };

#define AT_LEAST_0(name, text) { name, MGRAD_ATTR_REAL, 0, 0, 1e30, .doc = text }
static const mgrad_attr_spec common_attrs[] = {
  AT_LEAST_0("clip_norm", "a longer gradient is scaled down to this length"),
  AT_LEAST_0("clip_value", "each number of the gradient is kept within this of 0"),
  AT_LEAST_0("l1", "so many times sign(w) is added to the gradient of w"),
  AT_LEAST_0("l2", "so many times w is added to the gradient of w"),
  { .type = MGRAD_ATTR_NONE }
};

typedef struct param {
  mgrad_tensor *t;
  int64_t n, offset;     /* numbers; and how many come before it */
  bool gathered;         /* has had a gradient since they are gathered */
} param;

/* Parameters that lie side by side in memory and have gradients that do: one
** stretch for loops. Joined layers are one run. */
typedef struct run {
  int first, end; /* parameters */
  int64_t n;      /* numbers */
  mgrad_real *w;
  const mgrad_real *g;
} run;

struct mgrad_optimizer {
  mgrad_context *ctx;
  int64_t refs;
  const mgrad_optimizer_def *def;
  mgrad_attrs attrs, common;
  mgrad_lr_fn schedule;
  void *schedule_ud;
  mgrad_layer *layer;    /* what was attached, or NULL for a list of tensors */
  param *params;
  run *runs;             /* behind the parameters, in the same block */
  int nparams, nruns, room;
  uint64_t runs_seen;    /* 1 + ctx->changes when all parameters were in them */
  int64_t numel;         /* of all parameters */
  mgrad_real *states;    /* def->states vectors of numel */
  mgrad_real *gathered;  /* gradients of several batches, numel; or NULL */
  double weight;         /* of those in it */
  int64_t steps;
  uint64_t seen;         /* ctx->changes when the parameters were listed */
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

mgrad_status mgrad_optimizer_new(mgrad_context *ctx, const mgrad_optimizer_def *def,
                                 const mgrad_attrs *attrs, const mgrad_attrs *common,
                                 mgrad_optimizer **out) {
  mgrad_optimizer fresh = { .ctx = ctx, .refs = 1, .def = def };
  if (attrs != NULL) fresh.attrs = *attrs;
  else mgrad_attrs_default(def->attrs, &fresh.attrs);
  if (common != NULL) fresh.common = *common;
  else mgrad_attrs_default(common_attrs, &fresh.common);
  MGRAD_TRY(mgrad_attrs_check(ctx, def->name, def->attrs, &fresh.attrs));
  MGRAD_TRY(mgrad_attrs_check(ctx, def->name, common_attrs, &fresh.common));
  mgrad_optimizer *o = mgrad_new(ctx, sizeof *o);
  if (o == NULL) return MGRAD_NOMEM;
  *o = fresh;
  mgrad_object_born(ctx);
  *out = o;
  return MGRAD_OK;
}

mgrad_optimizer *mgrad_optimizer_retain(mgrad_optimizer *o) {
  o->refs++;
  return o;
}

static size_t states_bytes(const mgrad_optimizer *o) {
  size_t numbers = (size_t)o->def->states * (size_t)o->numel;
  return (numbers > 0 ? numbers : 1) * sizeof(mgrad_real);
}

static void detach(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) mgrad_tensor_release(o->params[i].t);
  mgrad_free(o->ctx, o->params, (size_t)o->room * (sizeof *o->params + sizeof *o->runs));
  mgrad_free(o->ctx, o->states, states_bytes(o));
  mgrad_free(o->ctx, o->gathered, (size_t)o->numel * sizeof(mgrad_real));
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
  mgrad_free(ctx, o, sizeof *o);
  mgrad_object_gone(ctx);
}

/* ---- what it updates ---- */

/* Copies what 'from' remembers of the parameters that 'to' has as well. */
static void keep_states(const mgrad_optimizer *from, mgrad_optimizer *to) {
  for (int i = 0; i < to->nparams; i++) {
    const param *own = &to->params[i];
    int j = 0;
    while (j < from->nparams && from->params[j].t != own->t) j++;
    for (int k = 0; j < from->nparams && k < to->def->states; k++) {
      memcpy(to->states + k * to->numel + own->offset,
             from->states + k * from->numel + from->params[j].offset,
             (size_t)own->n * sizeof(mgrad_real));
    }
  }
}

/* Takes n parameters and makes their state, which starts at zeros but for
** parameters that it had before and the same layer still has. */
static mgrad_status take(mgrad_optimizer *o, mgrad_tensor *const *t, int n, bool keep) {
  mgrad_optimizer fresh = { .ctx = o->ctx, .def = o->def, .room = n };
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
    fresh.params[fresh.nparams] = (param){ own, mgrad_tensor_numel(own), offset, false };
    offset += mgrad_tensor_numel(own);
  }
  mgrad_layer *layer = o->layer;
  int64_t steps = keep ? o->steps : 0;
  if (keep) keep_states(o, &fresh);
  o->layer = NULL;
  detach(o);
  o->steps = steps;
  o->seen = o->ctx->changes;
  o->params = fresh.params;
  o->runs = (run *)(void *)(o->params + n);
  o->runs_seen = 0;
  o->nparams = o->room = n;
  o->numel = fresh.numel;
  o->states = fresh.states;
  o->layer = layer;
  return MGRAD_OK;
}

mgrad_status mgrad_optimizer_attach_tensors(mgrad_optimizer *o, mgrad_tensor *const *t,
                                            int n) {
  for (int i = 0; i < n; i++) {
    if (t[i]->requires_grad && mgrad_shape_packed(&t[i]->a)) continue;
    return mgrad_fail(o->ctx, MGRAD_INVALID,
                      "%s: tensor %d is no contiguous leaf that requires a gradient",
                      o->def->name, (int64_t)(i + 1));
  }
  MGRAD_TRY(take(o, t, n, false));
  mgrad_layer_release(o->layer);
  o->layer = NULL;
  return MGRAD_OK;
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

/* The parameters of the attached layer, which exist once it is built; looked for
** again when layers have changed. */
static mgrad_status collect(mgrad_optimizer *o, bool keep) {
  listing list = { .o = o, .same = true };
  MGRAD_TRY(mgrad_layer_visit(o->layer, list_param, &list));
  if (keep && list.same && list.n == o->nparams && list.n > 0) {
    o->seen = o->ctx->changes;
    return MGRAD_OK;
  }
  size_t bytes = (size_t)list.n * sizeof *list.t;
  if (list.n > 0 && (list.t = mgrad_new(o->ctx, bytes)) == NULL) return MGRAD_NOMEM;
  list.n = 0;
  mgrad_layer_visit(o->layer, list_param, &list);
  mgrad_status status = take(o, list.t, list.n, keep);
  mgrad_free(o->ctx, list.t, bytes);
  return status;
}

mgrad_status mgrad_optimizer_attach(mgrad_optimizer *o, mgrad_layer *l) {
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

void mgrad_optimizer_clear(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) o->params[i].t->has_grad = false;
}

typedef struct finding {
  const mgrad_tensor *t;
  char *name;
  size_t size;
} finding;

static mgrad_status find_name(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)buffer;
  finding *f = ud;
  if (t == f->t) mgrad_format(f->name, f->size, "\"%s\"", name);
  return MGRAD_OK;
}

static mgrad_status fail_nonfinite(const mgrad_optimizer *o, int i) {
  char name[128], layer[256];
  mgrad_format(name, sizeof name, "parameter %d", (int64_t)(i + 1));
  finding f = { o->params[i].t, name, sizeof name };
  if (o->layer != NULL) mgrad_layer_visit(o->layer, find_name, &f);
  bool found = o->layer != NULL && mgrad_layer_of(o->layer, f.t, layer, sizeof layer);
  return mgrad_fail(o->ctx, MGRAD_NONFINITE, "%s: the gradient of %s%s%s has NaN or infinite"
                    " numbers; no weight was changed", o->def->name, name,
                    found ? " in " : "", found ? layer : "");
}

/* Frozen parameters may have an old gradient, but are left alone. */
static bool moves(const mgrad_tensor *t) { return t->has_grad && t->requires_grad; }

/* Lists the parameters where that is still to be done, or layers have changed. */
static mgrad_status refresh(mgrad_optimizer *o) {
  if (!mgrad_optimizer_attached(o)) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: attach it to a layer or tensors first",
                      o->def->name);
  }
  bool stale = o->nparams == 0 || o->seen != o->ctx->changes;
  return o->layer != NULL && stale ? collect(o, true) : MGRAD_OK;
}

/* ---- gradients of several batches ---- */

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
  MGRAD_TRY(refresh(o));
  if (o->gathered == NULL) {
    o->gathered = mgrad_new(o->ctx, (size_t)o->numel * sizeof *o->gathered);
    if (o->gathered == NULL) return MGRAD_NOMEM;
  }
  o->weight += weight;
  double share = sum ? 1 : weight / o->weight, keep = sum ? 1 : 1 - share;
  for (int i = 0; i < o->nparams; i++) {
    param *p = &o->params[i];
    mgrad_real *s = o->gathered + p->offset;
    if (!p->gathered && !moves(p->t)) continue;
    if (!p->gathered) memset(s, 0, (size_t)p->n * sizeof *s);
    p->gathered = true;
    blend(p->n, s, moves(p->t) ? p->t->grad->a.data : NULL, (mgrad_real)keep,
          (mgrad_real)share);
  }
  return MGRAD_OK;
}

void mgrad_optimizer_spread(mgrad_optimizer *o) {
  for (int i = 0; i < o->nparams; i++) {
    const param *p = &o->params[i];
    p->t->has_grad = p->gathered;
    if (!p->gathered) continue;
    memcpy(p->t->grad->a.data, o->gathered + p->offset, (size_t)p->n * sizeof(mgrad_real));
    p->t->zeroed = 0;
  }
  mgrad_optimizer_drop(o);
}

/* ---- one step ---- */

static void find_runs(mgrad_optimizer *o) {
  o->nruns = 0;
  for (int i = 0; i < o->nparams; i++) {
    const mgrad_tensor *t = o->params[i].t;
    if (!moves(t)) continue;
    run *last = &o->runs[o->nruns - 1];
    if (o->nruns == 0 || last->end != i || t->a.data != last->w + last->n ||
        t->grad->a.data != last->g + last->n) {
      last = &o->runs[o->nruns++];
      *last = (run){ .first = i, .w = t->a.data, .g = t->grad->a.data };
    }
    last->n += o->params[i].n;
    last->end = i + 1;
  }
}

/* The runs of this step: those of the last one, most times. */
static void take_runs(mgrad_optimizer *o) {
  bool all = true;
  for (int i = 0; i < o->nparams; i++) all = all && moves(o->params[i].t);
  if (all && o->runs_seen == o->ctx->changes + 1) return;
  find_runs(o);
  o->runs_seen = all ? o->ctx->changes + 1 : 0;
}

static double norm(const mgrad_optimizer *o) {
  double sum = 0;
  for (int i = 0; i < o->nparams; i++) {
    const param *p = &o->params[i];
    if (moves(p->t)) sum += mgrad_sum_squares(p->n, p->t->grad->a.data, 1);
  }
  return sqrt(sum);
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

static mgrad_status check_finite(const mgrad_optimizer *o, const run *r) {
  const mgrad_code *code = o->ctx->code;
  looking all = { .code = code, .g = r->g };
  if (mgrad_pool_few(o->ctx->pool, r->n)) look_at_stretch(&all, 0, r->n);
  else mgrad_pool_stretches(o->ctx->pool, r->n, look_at_stretch, &all);
  if (!all.found) return MGRAD_OK;
  int i = r->first;
  while (code->all_finite(o->params[i].n, o->params[i].t->grad->a.data)) i++;
  return fail_nonfinite(o, i);
}

typedef struct updating {
  const mgrad_optimizer_def *def;
  const mgrad_update *u;
} updating;

static void update_stretch(void *ud, int64_t first, int64_t end) {
  const updating *all = ud;
  mgrad_update u = *all->u;
  u.n = end - first;
  u.w += first;
  u.g += first;
  for (int k = 0; k < all->def->states; k++) u.state[k] += first;
  all->def->update(&u);
}

static void update(mgrad_optimizer *o, const run *r, mgrad_update *u) {
  u->w = r->w;
  u->g = r->g;
  for (int k = 0; k < o->def->states; k++) {
    u->state[k] = o->states + k * o->numel + o->params[r->first].offset;
  }
  updating all = { o->ctx->code->optimizers[o->def->id], u };
  u->n = r->n;
  if (mgrad_pool_few(o->ctx->pool, r->n)) all.def->update(u);
  else mgrad_pool_stretches(o->ctx->pool, r->n, update_stretch, &all);
  for (int i = r->first; i < r->end; i++) o->params[i].t->storage->version++;
}

static mgrad_status follow_schedule(mgrad_optimizer *o) {
  double lr = 0;
  MGRAD_TRY(o->schedule(o->schedule_ud, o->steps + 1, &lr));
  return mgrad_optimizer_set_lr(o, lr);
}

mgrad_status mgrad_optimizer_step(mgrad_optimizer *o) {
  MGRAD_TRY(refresh(o));
  if (o->schedule != NULL) MGRAD_TRY(follow_schedule(o));
  take_runs(o);
  for (int i = 0; i < o->nruns; i++) MGRAD_TRY(check_finite(o, &o->runs[i]));
  const double *common = o->common.value;
  double scale = 1, length = common[CLIP_NORM] > 0 ? norm(o) : 0;
  if (length > common[CLIP_NORM]) scale = common[CLIP_NORM] / length;
  mgrad_update u = {
    .h = o->attrs.value, .step = o->steps + 1, .scale = (mgrad_real)scale,
    .bound = (mgrad_real)(common[CLIP_VALUE] > 0 ? common[CLIP_VALUE] : INFINITY),
    .l1 = (mgrad_real)common[L1], .l2 = (mgrad_real)common[L2],
    .plain = scale == 1 && common[CLIP_VALUE] == 0 && common[L1] == 0 && common[L2] == 0,
  };
  for (int i = 0; i < o->nruns; i++) update(o, &o->runs[i], &u);
  o->steps++;
  return MGRAD_OK;
}

double mgrad_optimizer_lr(const mgrad_optimizer *o) { return o->attrs.value[LR]; }

mgrad_status mgrad_optimizer_set_lr(mgrad_optimizer *o, double lr) {
  mgrad_attrs attrs = o->attrs;
  attrs.value[LR] = lr;
  MGRAD_TRY(mgrad_attrs_check(o->ctx, o->def->name, o->def->attrs, &attrs));
  o->attrs = attrs;
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
