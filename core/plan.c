/*
** plan.c - making, replaying, pausing.
*/
#include "layout.h"
#include "kernels/kernels.h"

/* ---- what a plan is ---- */

/* One call of an op's forward or backward. */
typedef struct step {
  mgrad_call call;
  void (*run)(mgrad_call *c);
  mgrad_status (*check)(const mgrad_call *c);
  struct step *back; /* of a forward step that draws random numbers */
  const mgrad_storage *source; /* of what call.packed is made from, or NULL */
  uint64_t version;            /* of the source when it was */
  int64_t work;                /* about how many multiplications take as long */
} step;

struct mgrad_plan {
  mgrad_context *ctx;
  uint64_t changes;       /* of the context, when the plan was made */
  step *forward, *backward;
  int nforward, nbackward, nrandom;
  mgrad_tensor **outside; /* held: parameters and constants */
  mgrad_tensor **leaves;  /* those of them that get a gradient, once each */
  mgrad_tensor **updated; /* those that forward changes in place */
  int noutside, nleaves, nupdated;
  mgrad_array x, y, prediction;
  const mgrad_real *loss;
  mgrad_real *loss_gradient;
  uint64_t seed, stream;  /* of the next random numbers of this run */
  /* a pause */
  mgrad_bookmark *mark;   /* in the step to go on with */
  step *next;             /* that step, or NULL: there is no pause */
  bool half;              /* it is begun */
  uint64_t versions;      /* of what the rest depends on */
};

/* ---- filling the block ---- */

/* Takes 'bytes' from the block at *at, aligned for anything but vectors. */
static void *take(char **at, size_t bytes) {
  void *p = *at;
  *at += (bytes + 15) & ~(size_t)15;
  return p;
}

typedef struct filling {
  const mgrad_layout *l;
  mgrad_plan *p;
  mgrad_real *data;
  char *at; /* for arrays and lists */
} filling;

static mgrad_real *buffer_data(const filling *f, int b) {
  return b >= 0 ? f->data + f->l->buffers[b].offset : NULL;
}

/* The array of t with its numbers in the block, or where they are outside it. */
static mgrad_array located(const filling *f, const mgrad_tensor *t) {
  mgrad_array a = t->a;
  int b = mgrad_span_of(t->storage);
  if (b >= 0) a.data = buffer_data(f, b) + (t->a.data - f->l->buffers[b].start);
  return a;
}

/* A number takes as long as some multiplications. */
static int64_t work_of(const mgrad_call *c) {
  enum { EACH_NUMBER = 32 };
  int64_t most = mgrad_shape_numel(c->y);
  for (int i = 0; i < c->n; i++) {
    int64_t n = c->x[i] != NULL ? mgrad_call_numel(c, i) : 0;
    if (n > most) most = n;
  }
  return EACH_NUMBER * most;
}

static void prepare_ahead(filling *f, step *s) {
  s->work = work_of(&s->call);
  if (s->call.op->prepare == NULL) return;
  s->call.prepared = take(&f->at, s->call.op->bytes);
  s->call.op->prepare(&s->call);
}

static void fill_forward(filling *f, int k) {
  const mgrad_note *note = &f->l->r->notes[k];
  const mgrad_detail *d = &f->l->details[k];
  size_t n = (size_t)note->n;
  step *s = &f->p->forward[k];
  mgrad_array *arrays = take(&f->at, (n + 1) * sizeof *arrays);
  const mgrad_array **x = take(&f->at, n * sizeof *x);
  mgrad_attrs *attrs = take(&f->at, sizeof *attrs);
  for (int i = 0; i < note->n; i++) {
    x[i] = NULL;
    if (note->x[i] == NULL) continue;
    arrays[i] = located(f, note->x[i]);
    x[i] = &arrays[i];
  }
  arrays[n] = located(f, note->y);
  *attrs = note->attrs;
  s->call = (mgrad_call){ .ctx = f->p->ctx, .op = note->op, .attrs = attrs, .n = note->n,
                          .x = x, .y = &arrays[n], .saved = buffer_data(f, d->saved),
                          .work = buffer_data(f, d->work), .nsaved = note->nsaved,
                          .nwork = note->nwork, .nwork_backward = note->nwork_backward };
  s->run = note->op->forward;
  s->check = note->op->check;
  if (note->op->flags & MGRAD_OP_RANDOM) f->p->nrandom++;
  if (d->packed >= 0) {
    s->call.packed = buffer_data(f, d->packed);
    s->source = note->x[1]->storage;
    s->version = s->source->version;
  }
  prepare_ahead(f, s);
}

static void fill_backward(filling *f, int k) {
  const mgrad_note *note = &f->l->r->notes[k];
  mgrad_detail *d = &f->l->details[k];
  if (d->dy < 0) return;
  step *s = &f->p->backward[d->back - f->l->r->count];
  size_t n = (size_t)note->n;
  mgrad_real **dx = take(&f->at, n * sizeof *dx);
  bool *add = take(&f->at, n * sizeof *add);
  for (int i = 0; i < note->n; i++) {
    dx[i] = NULL;
    if (!mgrad_flows(f->l, note, k, i)) continue;
    mgrad_tensor *x = note->x[i];
    int made = mgrad_maker(x, k);
    bool *begun = made >= 0 ? &f->l->details[made].begun : &x->visited;
    dx[i] = made >= 0 ? buffer_data(f, f->l->details[made].dy) : x->grad->a.data;
    add[i] = *begun;
    if (made < 0 && !*begun) f->p->leaves[f->p->nleaves++] = x;
    *begun = true;
  }
  s->call = f->p->forward[k].call;
  s->call.dx = dx;
  s->call.add = add;
  s->call.dy = buffer_data(f, d->dy);
  s->call.work = buffer_data(f, d->work_back);
  s->run = note->op->backward;
  prepare_ahead(f, s);
  if (note->op->flags & MGRAD_OP_RANDOM) f->p->forward[k].back = s;
}

/* ---- making ---- */

enum { MOST_NOTES = 8192 }; /* placing takes time that grows with the square: 0.2 s */

static size_t padded(size_t bytes) { return (bytes + 15) & ~(size_t)15; }

static size_t mark_bytes(const mgrad_context *ctx) {
  const mgrad_bookmark *m = NULL;
  return sizeof *m + (size_t)mgrad_threads(ctx) * sizeof m->of[0];
}

/* Bytes of the plan's lists and arrays, without its numbers. */
static size_t lists_size(const mgrad_layout *l) {
  size_t bytes = padded(sizeof(mgrad_plan)) + MGRAD_ALIGN;
  bytes += padded((size_t)l->r->count * sizeof(step));
  bytes += padded((size_t)l->nbackward * sizeof(step));
  for (int k = 0; k < l->r->count; k++) {
    size_t n = (size_t)l->r->notes[k].n;
    bytes += padded((n + 1) * sizeof(mgrad_array)) + 2 * padded(n * sizeof(void *)) +
             padded(sizeof(mgrad_attrs)) + padded(n * sizeof(bool)) +
             2 * padded(l->r->notes[k].op->bytes);
  }
  bytes += padded(mark_bytes(l->r->ctx));
  return bytes + 3 * padded(l->noperands * sizeof(mgrad_tensor *));
}

/* Gives every leaf a place for its gradient. */
static mgrad_status place_leaves(const mgrad_layout *l) {
  for (int k = 0; k < l->r->count; k++) {
    const mgrad_note *note = &l->r->notes[k];
    for (int i = 0; i < note->n && l->details[k].dy >= 0; i++) {
      if (mgrad_flows(l, note, k, i) && mgrad_maker(note->x[i], k) < 0) {
        MGRAD_TRY(mgrad_tensor_place_grad(note->x[i]));
      }
    }
  }
  return MGRAD_OK;
}

static void hold_outside(filling *f) {
  const mgrad_recorder *r = f->l->r;
  for (int k = 0; k < r->count; k++) {
    for (int i = 0; i < r->notes[k].n; i++) {
      mgrad_tensor *x = r->notes[k].x[i];
      if (x == NULL || mgrad_span_of(x->storage) >= 0) continue;
      f->p->outside[f->p->noutside++] = mgrad_tensor_retain(x);
      if (mgrad_op_updates(r->notes[k].op, i)) f->p->updated[f->p->nupdated++] = x;
    }
  }
}

static void locate_ends(const filling *f, const mgrad_plan_ends *e) {
  mgrad_plan *p = f->p;
  p->x = located(f, e->x);
  if (e->y != NULL) p->y = located(f, e->y);
  p->prediction = located(f, e->prediction);
  if (e->loss == NULL) return;
  p->loss = located(f, e->loss).data;
  p->loss_gradient = buffer_data(f, f->l->details[mgrad_maker(e->loss, f->l->r->count)].dy);
}

/* The block: plan, numbers, lists. Numbers are left as they come. */
static mgrad_status fill(mgrad_layout *l, const mgrad_plan_ends *e, mgrad_plan **out) {
  mgrad_context *ctx = l->r->ctx;
  size_t bytes = lists_size(l) + (size_t)l->numel * sizeof(mgrad_real);
  char *at = mgrad_new(ctx, bytes), *end;
  if (at == NULL) return MGRAD_NOMEM;
  end = at + bytes;
  mgrad_plan *p = take(&at, sizeof *p);
  *p = (mgrad_plan){ .ctx = ctx, .changes = ctx->changes, .nforward = l->r->count,
                     .nbackward = l->nbackward };
  uintptr_t data = ((uintptr_t)at + MGRAD_ALIGN - 1) & ~(uintptr_t)(MGRAD_ALIGN - 1);
  filling f = { .l = l, .p = p, .data = (mgrad_real *)data,
                .at = (char *)data + (size_t)l->numel * sizeof(mgrad_real) };
  memset(f.at, 0, (size_t)(end - f.at));
  p->forward = take(&f.at, (size_t)p->nforward * sizeof(step));
  p->backward = take(&f.at, (size_t)p->nbackward * sizeof(step));
  p->mark = take(&f.at, mark_bytes(ctx));
  p->outside = take(&f.at, l->noperands * sizeof *p->outside);
  p->leaves = take(&f.at, l->noperands * sizeof *p->leaves);
  p->updated = take(&f.at, l->noperands * sizeof *p->updated);
  for (int k = 0; k < p->nforward; k++) fill_forward(&f, k);
  for (int k = p->nforward - 1; k >= 0; k--) fill_backward(&f, k);
  for (int i = 0; i < p->nleaves; i++) p->leaves[i]->visited = false;
  hold_outside(&f);
  locate_ends(&f, e);
  mgrad_object_born(ctx);
  *out = p;
  return MGRAD_OK;
}

mgrad_status mgrad_plan_new(mgrad_recorder *r, const mgrad_plan_ends *e, mgrad_plan **out) {
  mgrad_layout l;
  if (r->spoiled || r->count == 0 || r->count > MOST_NOTES) return MGRAD_INVALID;
  mgrad_fuse(r, e);
  MGRAD_TRY(mgrad_layout_begin(&l, r, e));
  mgrad_status status = place_leaves(&l);
  if (status == MGRAD_OK) status = fill(&l, e, out);
  mgrad_layout_end(&l);
  return status;
}

void mgrad_plan_release(mgrad_plan *p) {
  if (p == NULL) return;
  mgrad_context *ctx = p->ctx;
  for (int i = 0; i < p->noutside; i++) mgrad_tensor_release(p->outside[i]);
  mgrad_free(ctx, p);
  mgrad_object_gone(ctx);
}

/* ---- replaying ---- */

bool mgrad_plan_fresh(const mgrad_plan *p) { return p->changes == p->ctx->changes; }
const mgrad_array *mgrad_plan_x(const mgrad_plan *p) { return &p->x; }
const mgrad_array *mgrad_plan_y(const mgrad_plan *p) { return &p->y; }
const mgrad_array *mgrad_plan_prediction(const mgrad_plan *p) { return &p->prediction; }
mgrad_real mgrad_plan_loss(const mgrad_plan *p) { return *p->loss; }

/* What comes before an op in each run. */
INLINE mgrad_status make_ready(mgrad_plan *p, step *s) {
  if (s->check != NULL) MGRAD_TRY(s->check(&s->call));
  if (s->source != NULL && s->version != s->source->version) {
    s->call.op->prepare(&s->call);
    s->version = s->source->version;
  }
  if (s->call.op->flags & MGRAD_OP_RANDOM) {
    s->call.seed = p->seed;
    s->call.stream = p->stream++;
    if (s->back != NULL) {
      s->back->call.seed = s->call.seed;
      s->back->call.stream = s->call.stream;
    }
  }
  return MGRAD_OK;
}

/* About as long as a small op takes: many small ops are a long loop as well. */
enum { SMALL_OP = MGRAD_POOL_ASK / 64 };

static mgrad_status run_steps(mgrad_plan *p, step *s, step *end, bool forward) {
  mgrad_pool *pool = p->ctx->pool;
  bool going = mgrad_pool_goes_on(pool, 0, (end - s) * SMALL_OP);
  for (; s < end && going; s++) {
    if (forward) MGRAD_TRY(make_ready(p, s));
    if (s->run != NULL) s->run(&s->call); /* NULL: a view */
    going = !pool->stopped;
  }
  return MGRAD_OK;
}

/* The same, where it may pause or goes on. */
static mgrad_status run_until(mgrad_plan *p, step *s, step *end, bool forward) {
  mgrad_pool *pool = p->ctx->pool;
  mgrad_bookmark *m = pool->mark = p->mark;
  if (p->next != NULL) s = p->next;
  for (; s < end; s++) {
    if (!p->half) {
      if (!mgrad_pool_goes_on(pool, 0, s->work)) break;
      if (forward) MGRAD_TRY(make_ready(p, s));
      m->call.done = m->call.done_in = 0;
      m->inside = false;
    }
    m->call.seen = 0;
    m->call.in = m->call.refused = false;
    if (s->run != NULL) s->run(&s->call);
    p->half = m->call.refused;
    if (p->half) break;
    pool->until->moved = true;
  }
  p->next = s < end ? s : NULL;
  return MGRAD_OK;
}

static mgrad_status run(mgrad_plan *p, mgrad_until *until, bool forward) {
  mgrad_pool *pool = p->ctx->pool;
  step *s = forward ? p->forward : p->backward, *end = s + (forward ? p->nforward : p->nbackward);
  pool->until = until;
  mgrad_pool_watch(pool);
  mgrad_status status = until == NULL ? run_steps(p, s, end, forward)
                                      : run_until(p, s, end, forward);
  if (!mgrad_pool_finish(pool) && status == MGRAD_OK) status = mgrad_fail_interrupted(p->ctx);
  if (status != MGRAD_OK) mgrad_plan_rewind(p);
  return p->next != NULL ? MGRAD_PAUSED : status;
}

mgrad_status mgrad_plan_forward(mgrad_plan *p, mgrad_until *until) {
  if (p->next == NULL) {
    for (int i = 0; i < p->nupdated; i++) p->updated[i]->storage->version++;
    p->seed = p->ctx->seed;
    p->stream = p->ctx->stream;
    p->ctx->stream += (uint64_t)p->nrandom;
  }
  return run(p, until, true);
}

mgrad_status mgrad_plan_backward(mgrad_plan *p, mgrad_until *until) {
  if (p->next == NULL) *p->loss_gradient = 1;
  MGRAD_TRY(run(p, until, false));
  for (int i = 0; i < p->nleaves; i++) {
    p->leaves[i]->has_grad = true;
    p->leaves[i]->zeroed = 0;
  }
  return MGRAD_OK;
}

/* ---- pausing ---- */

static bool going_back(const mgrad_plan *p) {
  return p->next >= p->backward && p->next < p->backward + p->nbackward;
}

/* Of all that is read or written outside the plan. They only grow, and so their sum tells
** whether one did. */
static uint64_t versions(const mgrad_plan *p) {
  uint64_t sum = 0;
  for (int i = 0; i < p->noutside; i++) sum += p->outside[i]->storage->version;
  for (int i = 0; i < p->nleaves; i++) sum += p->leaves[i]->grad->storage->version;
  return sum;
}

/* Whoever writes a gradient sets its 'zeroed': as long as that is ours, nobody did. */
static uint64_t own_sign(const mgrad_plan *p) { return (uint64_t)(uintptr_t)p; }

void mgrad_plan_seal(mgrad_plan *p) {
  p->versions = versions(p);
  for (int i = 0; i < p->nleaves && going_back(p); i++) {
    p->leaves[i]->has_grad = false;
    p->leaves[i]->zeroed = own_sign(p);
  }
}

bool mgrad_plan_sealed(const mgrad_plan *p) {
  if (p->next == NULL || !mgrad_plan_fresh(p) || p->versions != versions(p)) return false;
  for (int i = 0; i < p->nleaves && going_back(p); i++) {
    if (p->leaves[i]->has_grad || p->leaves[i]->zeroed != own_sign(p)) return false;
  }
  return true;
}

void mgrad_plan_rewind(mgrad_plan *p) {
  p->next = NULL;
  p->half = false;
}
