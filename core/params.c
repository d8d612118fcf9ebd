/*
** params.c - the tensors of a whole net: visiting each once under its full
** name, keeping them in one block, copying, hashing.
*/
#include "layer.h"
#include "kernels/kernels.h"

enum { PATH_SIZE = (MGRAD_MAX_DEPTH + 1) * MGRAD_NAME_SIZE };

/* ---- visiting ---- */

typedef struct walk {
  mgrad_visit visit;
  void *ud;
  char path[PATH_SIZE];
} walk;

/* Layers and tensors may be shared: each is gone into once. */
static mgrad_status walk_layer(walk *w, mgrad_layer *l, size_t length) {
  l->mark = 1;
  for (int i = 0; i < l->nparts; i++) {
    const mgrad_slot *p = &l->parts[i];
    mgrad_format(w->path + length, PATH_SIZE - length, length > 0 ? ".%s" : "%s", p->name);
    if (p->layer != NULL) {
      if (p->layer->mark == 0) MGRAD_TRY(walk_layer(w, p->layer, strlen(w->path)));
    } else if (!p->tensor->visited) {
      p->tensor->visited = true;
      MGRAD_TRY(w->visit(w->ud, w->path, p->tensor, p->buffer));
    }
  }
  return MGRAD_OK;
}

mgrad_status mgrad_layer_visit(mgrad_layer *l, mgrad_visit visit, void *ud) {
  walk w = { .visit = visit, .ud = ud };
  mgrad_status status = walk_layer(&w, l, 0);
  mgrad_layer_unmark(l);
  return status;
}

/* ---- one block ---- */

typedef struct join {
  mgrad_storage *weights, *grads; /* where the parameters are to lie */
  int64_t numel;                  /* so far */
  bool joined;                    /* they lie side by side already, and so do gradients */
  const mgrad_real *weight, *grad; /* of the first */
} join;

static mgrad_status measure(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name;
  join *j = ud;
  if (buffer) return MGRAD_OK;
  if (j->weight == NULL) {
    j->weight = t->a.data;
    j->grad = t->grad != NULL ? t->grad->a.data : NULL;
  }
  j->joined = j->joined && mgrad_shape_packed(&t->a) && t->a.data == j->weight + j->numel &&
              t->grad != NULL && t->grad->a.data == j->grad + j->numel;
  j->numel += mgrad_tensor_numel(t);
  return MGRAD_OK;
}

/* A place for a gradient where there is none yet: all that can fail. */
static mgrad_status place(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name, (void)ud;
  return buffer ? MGRAD_OK : mgrad_tensor_place_grad(t);
}

static mgrad_status move(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name;
  join *j = ud;
  if (buffer) return MGRAD_OK;
  mgrad_real *weight = j->weights->data + j->numel, *grad = j->grads->data + j->numel;
  mgrad_tensor_read(t, weight);
  mgrad_tensor_read(t->grad, grad);
  mgrad_tensor_move(t, j->weights, weight);
  mgrad_tensor_move(t->grad, j->grads, grad);
  t->zeroed = 0;
  j->numel += mgrad_tensor_numel(t);
  return MGRAD_OK;
}

mgrad_status mgrad_layer_join(mgrad_layer *l) {
  join j = { .joined = true };
  MGRAD_TRY(mgrad_layer_visit(l, measure, &j));
  if (j.joined) return MGRAD_OK;
  MGRAD_TRY(mgrad_layer_visit(l, place, NULL));
  MGRAD_TRY(mgrad_storage_new(l->ctx, j.numel, &j.weights));
  mgrad_status status = mgrad_storage_new(l->ctx, j.numel, &j.grads);
  if (status == MGRAD_OK) {
    memset(j.grads->data, 0, (size_t)j.numel * sizeof(mgrad_real));
    j.numel = 0;
    status = mgrad_layer_visit(l, move, &j);
  }
  mgrad_storage_release(j.weights);
  mgrad_storage_release(j.grads);
  return status;
}

/* ---- copying ---- */

/* So has a tensor, which is marked then: t->next, borrowed. */
static mgrad_status clone_tensor(mgrad_tensor *t, mgrad_tensor **out) {
  if (t->visited) {
    *out = mgrad_tensor_retain(t->next);
    return MGRAD_OK;
  }
  MGRAD_TRY(mgrad_tensor_like(t->ctx, &t->a, out));
  mgrad_tensor_read(t, (*out)->a.data);
  (*out)->requires_grad = t->requires_grad;
  t->visited = true;
  t->next = *out;
  return MGRAD_OK;
}

static mgrad_status clone(mgrad_layer *l, mgrad_layer **out);

static mgrad_status clone_part(mgrad_layer *to, const mgrad_slot *p) {
  mgrad_status status;
  if (p->layer != NULL) {
    mgrad_layer *child;
    MGRAD_TRY(clone(p->layer, &child));
    status = mgrad_layer_put(to, p->name, child);
    mgrad_layer_release(child);
  } else {
    mgrad_tensor *t;
    MGRAD_TRY(clone_tensor(p->tensor, &t));
    status = mgrad_layer_put_part(to, p->name, t, p->buffer);
    mgrad_tensor_release(t);
    if (status == MGRAD_OK) to->parts[to->nparts - 1].given = p->given;
  }
  return status;
}

/* A layer that is shared has one copy, shared alike: l->copy, borrowed. */
static mgrad_status clone(mgrad_layer *l, mgrad_layer **out) {
  mgrad_layer *copy;
  if (l->copy != NULL) {
    *out = mgrad_layer_retain(l->copy);
    return MGRAD_OK;
  }
  if (l->def != NULL) MGRAD_TRY(mgrad_layer_new(l->ctx, l->def, &l->attrs, &copy));
  else MGRAD_TRY(mgrad_layer_custom(l->ctx, l->kind, l->fn, l->ud, &copy));
  memcpy(copy->name, l->name, sizeof copy->name);
  copy->training = l->training;
  copy->frozen = l->frozen;
  copy->built = l->built;
  copy->input_ndim = l->input_ndim;
  memcpy(copy->input, l->input, sizeof copy->input);
  mgrad_status status = MGRAD_OK;
  for (int i = 0; i < l->nparts && status == MGRAD_OK; i++) {
    status = clone_part(copy, &l->parts[i]);
  }
  if (status != MGRAD_OK) {
    mgrad_layer_release(copy);
    return status;
  }
  *out = l->copy = copy;
  return MGRAD_OK;
}

static void forget_copies(mgrad_layer *l) {
  l->copy = NULL;
  l->mark = 1;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_layer *child = l->parts[i].layer;
    if (child != NULL && child->mark == 0) forget_copies(child);
  }
}

mgrad_status mgrad_layer_clone(mgrad_layer *l, mgrad_layer **out) {
  mgrad_layer *copy = NULL;
  mgrad_status status = clone(l, &copy);
  forget_copies(l);
  mgrad_layer_unmark(l);
  if (status == MGRAD_OK) status = mgrad_layer_join(copy);
  if (status == MGRAD_OK) *out = copy;
  else mgrad_layer_release(copy);
  return status;
}

/* ---- hashing: FNV-1a, 64 bits ---- */

static void hash_bytes(uint64_t *h, const void *p, size_t n) {
  const unsigned char *bytes = p;
  for (size_t i = 0; i < n; i++) *h = (*h ^ bytes[i]) * UINT64_C(0x100000001b3);
}

static void hash_run(void *ud, int64_t n, mgrad_real *const p[3], const int64_t step[3]) {
  for (int64_t i = 0; i < n; i++) hash_bytes(ud, p[0] + i * step[0], sizeof(mgrad_real));
}

static mgrad_status hash_tensor(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)buffer;
  hash_bytes(ud, name, strlen(name) + 1);
  hash_bytes(ud, t->a.size, (size_t)t->a.ndim * sizeof *t->a.size);
  mgrad_walk(NULL, &t->a, NULL, NULL, hash_run, ud);
  return MGRAD_OK;
}

uint64_t mgrad_layer_hash(mgrad_layer *l) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  mgrad_layer_visit(l, hash_tensor, &h);
  return h;
}
