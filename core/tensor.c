/*
** tensor.c - storage, views, and what may be done to a tensor in place.
*/
#include "tensor.h"
#include "random.h"
#include "kernels/kernels.h"

/* ---- storage ---- */

mgrad_status mgrad_storage_new(mgrad_context *ctx, int64_t numel, mgrad_storage **out) {
  size_t bytes = sizeof(mgrad_storage) + MGRAD_ALIGN + (size_t)numel * sizeof(mgrad_real);
  mgrad_storage *s = mgrad_new(ctx, bytes);
  if (s == NULL) return MGRAD_NOMEM;
  uintptr_t data = ((uintptr_t)(s + 1) + MGRAD_ALIGN - 1) & ~(uintptr_t)(MGRAD_ALIGN - 1);
  *s = (mgrad_storage){ .ctx = ctx, .refs = 1, .bytes = bytes, .data = (mgrad_real *)data };
  mgrad_object_born(ctx);
  *out = s;
  return MGRAD_OK;
}

void mgrad_storage_release(mgrad_storage *s) {
  if (s == NULL || --s->refs > 0) return;
  mgrad_context *ctx = s->ctx;
  mgrad_free(ctx, s);
  mgrad_object_gone(ctx);
}

/* ---- making and releasing ---- */

mgrad_status mgrad_tensor_view(mgrad_storage *s, const mgrad_array *a, mgrad_tensor **out) {
  if (mgrad_limit_reached(s->ctx, MGRAD_LIMIT_TENSORS, s->ctx->tensors)) {
    return mgrad_fail(s->ctx, MGRAD_LIMITED, "there are %d tensors, as many as this host allows",
                      (int64_t)s->ctx->tensors);
  }
  mgrad_tensor *t = mgrad_new(s->ctx, sizeof *t);
  if (t == NULL) return MGRAD_NOMEM;
  *t = (mgrad_tensor){ .ctx = s->ctx, .refs = 1, .a = *a, .storage = s };
  s->refs++;
  t->ctx->tensors++;
  mgrad_object_born(t->ctx);
  *out = t;
  return MGRAD_OK;
}

mgrad_status mgrad_tensor_like(mgrad_context *ctx, const mgrad_array *shape,
                               mgrad_tensor **out) {
  mgrad_storage *s;
  MGRAD_TRY(mgrad_storage_new(ctx, mgrad_shape_numel(shape), &s));
  mgrad_array a = *shape;
  mgrad_shape_pack(&a);
  a.data = s->data;
  mgrad_status status = mgrad_tensor_view(s, &a, out);
  mgrad_storage_release(s);
  return status;
}

mgrad_status mgrad_tensor_new(mgrad_context *ctx, int ndim, const int64_t *size,
                              mgrad_tensor **out) {
  mgrad_array a;
  MGRAD_TRY(mgrad_shape_make(ctx, ndim, size, &a));
  return mgrad_tensor_like(ctx, &a, out);
}

mgrad_status mgrad_tensor_full(mgrad_context *ctx, int ndim, const int64_t *size,
                               double value, mgrad_tensor **out) {
  MGRAD_TRY(mgrad_tensor_new(ctx, ndim, size, out));
  mgrad_array_fill(&(*out)->a, (mgrad_real)value);
  return MGRAD_OK;
}

static mgrad_status random_permutation(mgrad_tensor *t, uint64_t stream) {
  int64_t n = t->a.size[0];
  if (t->a.ndim != 1) {
    return mgrad_fail(t->ctx, MGRAD_INVALID,
                      "permutation: shape is %a, expected one dimension", &t->a);
  }
  int64_t *order = mgrad_new(t->ctx, (size_t)n * sizeof *order);
  if (order == NULL) return MGRAD_NOMEM;
  mgrad_random_permutation(t->ctx->seed, stream, n, order);
  for (int64_t i = 0; i < n; i++) t->a.data[i] = (mgrad_real)(order[i] + 1);
  mgrad_free(t->ctx, order);
  return MGRAD_OK;
}

mgrad_status mgrad_tensor_random(mgrad_context *ctx, mgrad_random kind, int ndim,
                                 const int64_t *size, mgrad_tensor **out) {
  mgrad_tensor *t;
  MGRAD_TRY(mgrad_tensor_new(ctx, ndim, size, &t));
  ctx->observed = true; /* a replay would have the same numbers again */
  mgrad_status status = MGRAD_OK;
  int64_t n = mgrad_tensor_numel(t);
  switch (kind) {
    case MGRAD_UNIFORM: mgrad_random_uniform(ctx->seed, ctx->stream, n, t->a.data); break;
    case MGRAD_NORMAL: mgrad_random_normal(ctx->seed, ctx->stream, n, t->a.data); break;
    case MGRAD_PERMUTATION: status = random_permutation(t, ctx->stream); break;
    default: status = mgrad_fail(ctx, MGRAD_INVALID, "random: unknown kind"); break;
  }
  if (status != MGRAD_OK) {
    mgrad_tensor_release(t);
    return status;
  }
  ctx->stream++;
  *out = t;
  return MGRAD_OK;
}

mgrad_tensor *mgrad_tensor_retain(mgrad_tensor *t) {
  t->refs++;
  return t;
}

static void node_free(mgrad_context *ctx, mgrad_node *node) {
  for (int i = 0; i <= node->n; i++) {
    mgrad_storage *s = node->kept[i].storage;
    if (s == NULL) continue;
    s->pins--;
    mgrad_storage_release(s);
  }
  mgrad_free(ctx, node);
  ctx->nodes--;
}

/* Takes one reference; a tensor without any joins the list of the dead. */
static mgrad_tensor *drop(mgrad_tensor *t, mgrad_tensor *dead) {
  if (t == NULL || --t->refs > 0) return dead;
  t->next = dead;
  return t;
}

/* A graph may be a chain of a million ops, so what dies with a tensor is put
** on a list instead of being released by recursion. */
void mgrad_tensor_release(mgrad_tensor *t) {
  mgrad_tensor *dead = drop(t, NULL);
  while ((t = dead) != NULL) {
    mgrad_context *ctx = t->ctx;
    dead = t->next;
    dead = drop(t->grad, dead);
    mgrad_node *node = t->node;
    if (node != NULL) {
      for (int i = 0; i < node->n; i++) dead = drop(node->x[i], dead);
      node_free(ctx, node);
    }
    mgrad_storage_release(t->storage);
    mgrad_free(ctx, t);
    ctx->tensors--;
    mgrad_object_gone(ctx);
  }
}

void mgrad_tensor_forget(mgrad_tensor *t) {
  mgrad_node *node = t->node;
  if (node == NULL) return;
  t->node = NULL;
  t->consumed = true;
  for (int i = 0; i < node->n; i++) mgrad_tensor_release(node->x[i]);
  node_free(t->ctx, node);
}

mgrad_status mgrad_tensor_detach(mgrad_tensor *t, mgrad_tensor **out) {
  return mgrad_tensor_view(t->storage, &t->a, out);
}

/* ---- looking ---- */

const mgrad_array *mgrad_tensor_array(const mgrad_tensor *t) { return &t->a; }
int64_t mgrad_tensor_numel(const mgrad_tensor *t) { return mgrad_shape_numel(&t->a); }
int mgrad_tensor_requires_grad(const mgrad_tensor *t) { return mgrad_tensor_tracked(t); }

size_t mgrad_tensor_owned(const mgrad_tensor *t) {
  return sizeof *t + (t->storage->refs == 1 ? t->storage->bytes : 0);
}

/* A packed array over plain memory, in the shape of t. */
static mgrad_array plain(const mgrad_tensor *t, mgrad_real *data) {
  mgrad_array a = t->a;
  mgrad_shape_pack(&a);
  a.data = data;
  return a;
}

void mgrad_tensor_read(const mgrad_tensor *t, mgrad_real *to) {
  t->ctx->observed = true;
  mgrad_array a = plain(t, to);
  mgrad_array_copy(&a, &t->a);
}

/* ---- changing in place ---- */

bool mgrad_tensor_repeats(const mgrad_tensor *t) {
  for (int d = 0; d < t->a.ndim; d++) {
    if (t->a.size[d] > 1 && t->a.stride[d] == 0) return true;
  }
  return false;
}

mgrad_status mgrad_tensor_writable(mgrad_tensor *t, const char *who) {
  t->ctx->observed = true;
  if (mgrad_tensor_repeats(t)) {
    return mgrad_fail(t->ctx, MGRAD_INVALID,
                      "%s: several elements of the expanded tensor are one number; change"
                      " its clone()", who);
  }
  if (t->node != NULL || t->consumed) {
    return mgrad_fail(t->ctx, MGRAD_INVALID,
                      "%s: the tensor is the result of a recorded op, as a view of one that"
                      " records is; change t:detach(), or compute a new one", who);
  }
  if (t->storage->pins > 0) {
    return mgrad_fail(t->ctx, MGRAD_INVALID,
                      "%s: a pending gradient needs this tensor; call backward first,"
                      " or change a clone", who);
  }
  return MGRAD_OK;
}

mgrad_status mgrad_tensor_write(mgrad_tensor *t, const mgrad_real *from) {
  MGRAD_TRY(mgrad_tensor_writable(t, "copy"));
  mgrad_array a = plain(t, (mgrad_real *)from); /* only read */
  mgrad_array_copy(&t->a, &a);
  t->storage->version++;
  return MGRAD_OK;
}

mgrad_status mgrad_tensor_fill(mgrad_tensor *t, double value) {
  MGRAD_TRY(mgrad_tensor_writable(t, "fill"));
  mgrad_array_fill(&t->a, (mgrad_real)value);
  t->storage->version++;
  return MGRAD_OK;
}

static void update_run(void *ud, int64_t n, mgrad_real *const p[3], const int64_t step[3]) {
  mgrad_real *t = p[0];
  const mgrad_real *s = p[1];
#define EACH(statement)                                                          \
  for (int64_t i = 0; i < n; i++, t += step[0], s += step[1]) { statement; }      \
  break
  switch (*(const char *)ud) {
    case '+': EACH(*t += *s);
    case '-': EACH(*t -= *s);
    case '*': EACH(*t *= *s);
    case '/': EACH(*t /= *s);
    default: EACH(*t = *s);
  }
#undef EACH
}

/* Do the arrays share memory in a way that an update could read what it has
** already written? The very same window is harmless. */
static bool tangled(const mgrad_tensor *t, const mgrad_tensor *src) {
  return t->storage == src->storage &&
         !(t->a.data == src->a.data && mgrad_shape_equal(&t->a, &src->a) &&
           memcmp(t->a.stride, src->a.stride, (size_t)t->a.ndim * sizeof *t->a.stride) == 0);
}

mgrad_status mgrad_tensor_update(mgrad_tensor *t, char operation, mgrad_tensor *src) {
  static const char *const names[] = { "add_", "sub_", "mul_", "div_", "copy" };
  const char *at = strchr("+-*/=", operation);
  if (operation == '\0' || at == NULL) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "update: unknown operation");
  }
  const char *who = names[at - "+-*/="];
  mgrad_array joint, s;
  if (!mgrad_shape_broadcast(&t->a, &src->a, &joint) || !mgrad_shape_equal(&joint, &t->a)) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "%s: operand is %a, it does not fit into %a",
                      who, &src->a, &t->a);
  }
  MGRAD_TRY(mgrad_tensor_writable(t, who));
  if (mgrad_tensor_tracked(src) && !t->ctx->no_grad) {
    return mgrad_fail(t->ctx, MGRAD_INVALID,
                      "%s: the operand requires a gradient, which an in-place op would lose;"
                      " use no_grad or its detach()", who);
  }
  mgrad_tensor *copy = NULL;
  if (tangled(t, src)) {
    MGRAD_TRY(mgrad_tensor_like(t->ctx, &src->a, &copy));
    mgrad_array_copy(&copy->a, &src->a);
    src = copy;
  }
  mgrad_shape_expand(&src->a, &t->a, &s);
  mgrad_walk(NULL, &t->a, &s, NULL, update_run, &operation);
  t->storage->version++;
  mgrad_tensor_release(copy);
  return MGRAD_OK;
}

mgrad_status mgrad_tensor_copy(mgrad_tensor *t, mgrad_tensor *src) {
  return mgrad_tensor_update(t, '=', src);
}

/* ---- gradients of leaves ---- */

mgrad_status mgrad_tensor_require_grad(mgrad_tensor *t, int on) {
  if (t->node != NULL || t->consumed) {
    return mgrad_fail(t->ctx, MGRAD_INVALID,
                      "requires_grad: the tensor is the result of a recorded op; only a"
                      " leaf collects a gradient");
  }
  t->requires_grad = on != 0;
  t->ctx->changes++;
  return MGRAD_OK;
}

mgrad_tensor *mgrad_tensor_grad(const mgrad_tensor *t) {
  return t->has_grad ? t->grad : NULL;
}

mgrad_status mgrad_tensor_place_grad(mgrad_tensor *t) {
  if (t->grad != NULL && t->grad->storage->pins == 0) return MGRAD_OK;
  mgrad_tensor *place, *old = t->grad;
  MGRAD_TRY(mgrad_tensor_like(t->ctx, &t->a, &place));
  if (old != NULL && t->has_grad) mgrad_array_copy(&place->a, &old->a);
  if (old != NULL) t->ctx->changes++; /* for plans */
  t->grad = place;
  t->zeroed = 0;
  mgrad_tensor_release(old);
  return MGRAD_OK;
}

mgrad_status mgrad_tensor_set_grad(mgrad_tensor *t, mgrad_tensor *grad) {
  if (grad != NULL) {
    if (!mgrad_shape_equal(&t->a, &grad->a)) {
      return mgrad_fail(t->ctx, MGRAD_INVALID, "grad: shape is %a, expected %a", &grad->a,
                        &t->a);
    }
    MGRAD_TRY(mgrad_tensor_place_grad(t));
    if (grad != t->grad) mgrad_array_copy(&t->grad->a, &grad->a);
  }
  t->has_grad = grad != NULL;
  t->zeroed = 0;
  return MGRAD_OK;
}

void mgrad_tensor_zero_grad(mgrad_tensor *t) {
  if (!t->has_grad || mgrad_tensor_grad_zero(t)) return;
  if (t->grad->storage->pins > 0) { /* a graph reads it: the next one gets a new place */
    t->has_grad = false;
    return;
  }
  mgrad_array_fill(&t->grad->a, 0);
  t->zeroed = t->grad->storage->version + 1;
}

void mgrad_tensor_move(mgrad_tensor *t, mgrad_storage *s, mgrad_real *data) {
  s->refs++;
  mgrad_storage_release(t->storage);
  t->storage = s;
  t->ctx->changes++;
  t->a.data = data;
  mgrad_shape_pack(&t->a);
}
