/*
** bits.h - what else is asked of a function (slope.h): that backward reads only what its
** op says, adds where it is told to, and that strided operands and plans change nothing.
*/
#ifndef BITS_H
#define BITS_H

#include "slope.h"
#include "../../core/kernels/kernels.h"

enum { PARAMETERS = 64 };

static mgrad_real *copy_of(mgrad_tensor *t) {
  mgrad_real *copy = malloc((size_t)mgrad_tensor_numel(t) * sizeof *copy);
  mgrad_tensor_read(t, copy);
  return copy;
}

/* The same bits, but for the sign of 0: adding to a cleared window takes it away. */
static bool same_numbers(mgrad_tensor *t, const mgrad_real *as) {
  mgrad_real *own = copy_of(t);
  bool same = true;
  for (int64_t i = 0; i < mgrad_tensor_numel(t); i++) same = same && own[i] == as[i];
  free(own);
  return same;
}

static bool has_grad(const function *f, int i) {
  return f->x[i] != NULL && mgrad_tensor_grad(f->x[i]) != NULL;
}

/* Backward must not look at values that the descriptor does not list: after
** forward they are spoiled, and the gradients must stay the same. */
static void spoil_unread(function *f, mgrad_tensor *l) {
  mgrad_tensor *y = l->node->x[0]->node->x[0];
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] == NULL || (f->op->reads >> i & 1)) continue;
    for (int64_t k = 0; k < mgrad_tensor_numel(f->x[i]); k++) f->x[i]->a.data[k] = NAN;
  }
  bool shared = (f->op->flags & MGRAD_OP_VIEW) != 0;
  if (y->node == NULL || (f->op->reads & MGRAD_READS_Y) || shared) return;
  for (int64_t k = 0; k < mgrad_tensor_numel(y); k++) y->a.data[k] = NAN;
}

static void check_reads(function *f) {
  mgrad_real *kept[MOST] = { NULL }, *before[MOST] = { NULL };
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] != NULL) kept[i] = copy_of(f->x[i]);
    if (!has_grad(f, i)) continue;
    before[i] = copy_of(mgrad_tensor_grad(f->x[i]));
    mgrad_tensor_zero_grad(f->x[i]);
  }
  mgrad_tensor *l = loss(f);
  spoil_unread(f, l);
  OK(mgrad_backward(l, 0));
  mgrad_tensor_release(l);
  for (int i = 0; i < f->n; i++) {
    if (before[i] != NULL) CHECK(same_numbers(mgrad_tensor_grad(f->x[i]), before[i]));
    for (int64_t k = 0; kept[i] != NULL && k < mgrad_tensor_numel(f->x[i]); k++) {
      f->x[i]->a.data[k] = kept[i][k];
    }
    free(kept[i]);
    free(before[i]);
  }
}

/* A second backward adds to what is there. */
static void check_adds(function *f) {
  for (int i = 0; i < f->n; i++) {
    mgrad_tensor *t = f->x[i];
    if (!has_grad(f, i)) continue;
    for (int64_t k = 0; k < mgrad_tensor_numel(t); k++) t->grad->a.data[k] = 100;
    t->zeroed = 0;
  }
  mgrad_tensor *l = loss(f);
  OK(mgrad_backward(l, 0));
  mgrad_tensor_release(l);
  for (int i = 0; i < f->n; i++) {
    mgrad_tensor *t = f->x[i];
    if (!has_grad(f, i)) continue;
    for (int64_t k = 0; k < mgrad_tensor_numel(t); k++) t->grad->a.data[k] -= 100;
    compare(f, t, "a sum");
  }
}

/* x's numbers in a leaf with its dimensions in reverse, every other number of it, and
** the window on that which has the shape of x. */
static mgrad_tensor *strided(const mgrad_tensor *x, mgrad_tensor **leaf) {
  mgrad_attrs order = { .nlist = x->a.ndim }, last = { .value = { -1, 2 } };
  int64_t size[MGRAD_MAX_DIMS];
  mgrad_tensor *half, *window;
  for (int d = 0; d < x->a.ndim; d++) {
    size[x->a.ndim - 1 - d] = x->a.size[d];
    order.list[d] = x->a.ndim - d;
  }
  size[x->a.ndim] = 2;
  OK(mgrad_tensor_full(ctx, x->a.ndim + 1, size, NAN, leaf));
  OK(mgrad_tensor_require_grad(*leaf, x->requires_grad));
  OK(mgrad_apply(&mgrad_op_select, ctx, leaf, 1, &last, &half));
  OK(mgrad_apply(&mgrad_op_permute, ctx, &half, 1, &order, &window));
  mgrad_array_copy(&window->a, &x->a);
  mgrad_tensor_release(half);
  return window;
}

/* The gradient of such a leaf, seen through the same window. */
static bool same_gradient(mgrad_tensor *leaf, mgrad_tensor *x) {
  mgrad_tensor *grad = mgrad_tensor_grad(leaf);
  if (grad == NULL || mgrad_tensor_grad(x) == NULL) return grad == mgrad_tensor_grad(x);
  mgrad_attrs order = { .nlist = x->a.ndim }, last = { .value = { -1, 2 } };
  for (int d = 0; d < x->a.ndim; d++) order.list[d] = x->a.ndim - d;
  mgrad_tensor *half, *window;
  OK(mgrad_apply(&mgrad_op_select, ctx, &grad, 1, &last, &half));
  OK(mgrad_apply(&mgrad_op_permute, ctx, &half, 1, &order, &window));
  mgrad_real *expected = copy_of(mgrad_tensor_grad(x));
  bool same = same_numbers(window, expected);
  free(expected);
  mgrad_tensor_release(half);
  mgrad_tensor_release(window);
  return same;
}

static mgrad_status forget(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)ud, (void)name;
  return buffer ? MGRAD_OK : mgrad_tensor_set_grad(t, NULL);
}

/* The function's value; its gradients take the place of those before. */
static mgrad_tensor *there_and_back(function *f) {
  mgrad_tensor *y = NULL;
  OK(apply(f, &y));
  if (y == NULL) return NULL;
  mgrad_tensor *sum = weigh(f, y);
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] != NULL) mgrad_tensor_set_grad(f->x[i], NULL);
  }
  if (f->layer != NULL) mgrad_layer_visit(f->layer, forget, NULL);
  if (f->layer != NULL || f->op->backward != NULL) OK(mgrad_backward(sum, 0));
  mgrad_tensor_release(sum);
  return y;
}

/* Operands that are windows give the same bits, there and back. */
static void check_strides(function *f) {
  mgrad_tensor *leaves[MOST] = { NULL }, *y = there_and_back(f);
  function windows = *f;
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] != NULL) windows.x[i] = strided(f->x[i], &leaves[i]);
  }
  mgrad_tensor *same = there_and_back(&windows);
  if (y != NULL && same != NULL) {
    mgrad_real *expected = copy_of(y);
    CHECK(mgrad_shape_equal(&same->a, &y->a) && same_numbers(same, expected));
    free(expected);
  }
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] == NULL) continue;
    if (!check_bad) CHECK(same_gradient(leaves[i], f->x[i]));
    mgrad_tensor_release(windows.x[i]);
    mgrad_tensor_release(leaves[i]);
  }
  mgrad_tensor_release(same);
  mgrad_tensor_release(y);
}

/* ---- plans ---- */

/* Gradients of a function's operands and a layer's parameters as they are now. */
typedef struct gradients {
  mgrad_tensor *t[MOST + PARAMETERS];
  mgrad_real *kept[MOST + PARAMETERS];
  int n;
} gradients;

static mgrad_status add_gradient(void *ud, const char *name, mgrad_tensor *t,
                                 int buffer) {
  (void)name;
  gradients *g = ud;
  if (buffer || t == NULL || mgrad_tensor_grad(t) == NULL) return MGRAD_OK;
  CHECK(g->n < MOST + PARAMETERS);
  if (check_bad) return MGRAD_OK;
  g->t[g->n] = t;
  g->kept[g->n++] = copy_of(mgrad_tensor_grad(t));
  return MGRAD_OK;
}

static gradients all_gradients(function *f) {
  gradients g = { .n = 0 };
  for (int i = 0; i < f->n; i++) add_gradient(&g, "", f->x[i], 0);
  if (f->layer != NULL) mgrad_layer_visit(f->layer, add_gradient, &g);
  return g;
}

/* A plan of sum(weight * y), or of y alone, and y and the sum as they were. */
static mgrad_status freeze(function *f, bool back, mgrad_plan **plan, mgrad_tensor **y) {
  mgrad_recorder r;
  mgrad_tensor *dummy, *sum = NULL;
  OK(mgrad_tensor_full(ctx, 0, NULL, 0, &dummy)); /* all operands stay outside */
  mgrad_record_begin(&r, ctx);
  OK(apply(f, y));
  if (back) sum = weigh(f, *y);
  mgrad_record_end(&r);
  mgrad_plan_ends ends = { .x = dummy, .prediction = *y, .loss = sum };
  mgrad_status status = mgrad_plan_new(&r, &ends, plan);
  mgrad_record_free(&r);
  mgrad_tensor_release(sum);
  mgrad_tensor_release(dummy);
  return status;
}

static void check_replay(function *f, bool back, const gradients *g) {
  mgrad_plan *plan = NULL;
  mgrad_tensor *y;
  mgrad_status status = freeze(f, back, &plan, &y);
  /* a view of what comes from outside, or nothing at all, has no place in a plan */
  for (int k = 0; status == MGRAD_OK && k < 2; k++) {
    ctx->stream = f->stream;
    OK(mgrad_plan_forward(plan, NULL));
    mgrad_tensor *again;
    OK(mgrad_tensor_like(ctx, &y->a, &again));
    mgrad_array_copy(&again->a, mgrad_plan_prediction(plan));
    mgrad_real *expected = copy_of(y);
    CHECK(same_numbers(again, expected));
    free(expected);
    mgrad_tensor_release(again);
    if (back) mgrad_plan_backward(plan, NULL);
    for (int i = 0; back && i < g->n; i++) {
      CHECK(same_numbers(mgrad_tensor_grad(g->t[i]), g->kept[i]));
    }
  }
  mgrad_plan_release(plan);
  mgrad_tensor_release(y);
}

static int always(void *ud) {
  (void)ud;
  ctx->pool->left = 0; /* asked before each piece */
  return 1;
}

/* Half of a plan, with a pause behind every piece of work. */
static void in_pieces(mgrad_plan *p, mgrad_status (*half)(mgrad_plan *p, mgrad_until *u)) {
  mgrad_status status;
  do {
    mgrad_until until = { .expired = always };
    ctx->pool->left = 0;
    status = half(p, &until);
  } while (status == MGRAD_PAUSED);
  OK(status);
}

/* The function twice, so that gradients are added, run whole and in pieces. */
static void check_pieces(function *f) {
  mgrad_plan *plan = NULL;
  mgrad_tensor *y[2], *half[2], *sum = NULL;
  mgrad_recorder r;
  mgrad_record_begin(&r, ctx);
  for (int i = 0; i < 2; i++) {
    OK(apply(f, &y[i]));
    half[i] = weigh(f, y[i]);
  }
  OK(mgrad_apply(&mgrad_op_add, ctx, half, 2, NULL, &sum));
  mgrad_record_end(&r);
  mgrad_tensor *dummy;
  OK(mgrad_tensor_full(ctx, 0, NULL, 0, &dummy));
  mgrad_plan_ends ends = { .x = dummy, .prediction = y[1], .loss = sum };
  if (mgrad_plan_new(&r, &ends, &plan) == MGRAD_OK) {
    ctx->stream = f->stream;
    OK(mgrad_plan_forward(plan, NULL));
    mgrad_array_copy(&y[1]->a, mgrad_plan_prediction(plan));
    mgrad_real *expected = copy_of(y[1]);
    OK(mgrad_plan_backward(plan, NULL));
    gradients whole = all_gradients(f);
    ctx->stream = f->stream;
    in_pieces(plan, mgrad_plan_forward);
    mgrad_array_copy(&y[1]->a, mgrad_plan_prediction(plan));
    CHECK(same_numbers(y[1], expected));
    in_pieces(plan, mgrad_plan_backward);
    for (int i = 0; i < whole.n; i++) {
      CHECK(same_numbers(mgrad_tensor_grad(whole.t[i]), whole.kept[i]));
      free(whole.kept[i]);
    }
    free(expected);
  }
  mgrad_plan_release(plan);
  mgrad_record_free(&r);
  for (int i = 0; i < 2; i++) {
    mgrad_tensor_release(y[i]);
    mgrad_tensor_release(half[i]);
  }
  mgrad_tensor_release(sum);
  mgrad_tensor_release(dummy);
}

/* A frozen step gives the same numbers as the ops did, each time that it is run. */
static void check_plan(function *f) {
  mgrad_tensor_release(there_and_back(f));
  gradients g = all_gradients(f);
  if (g.n > 0) check_replay(f, true, &g);
  if (g.n > 0) check_pieces(f);
  int before = mgrad_grad_enable(ctx, 0);
  check_replay(f, false, &g);
  mgrad_grad_enable(ctx, before);
  for (int i = 0; i < g.n; i++) free(g.kept[i]);
}

#endif
