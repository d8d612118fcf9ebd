/*
** container.c - layers made of layers: one after the other, around a shortcut,
** side by side.
*/
#include "../layer.h"

/* x through all children in turn. */
static mgrad_status chain(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *now = mgrad_tensor_retain(x);
  for (int i = 0; i < l->nparts; i++) {
    mgrad_tensor *next = NULL;
    mgrad_status status = mgrad_layer_call(l->parts[i].layer, i + 1, now, &next);
    mgrad_tensor_release(now);
    if (status != MGRAD_OK) return status;
    now = next;
  }
  *y = now;
  return MGRAD_OK;
}

const mgrad_layer_def mgrad_layer_def_sequential = {
  .name = "sequential", .doc = "each layer's result is the next one's input",
  .container = true, .forward = chain,
};

static mgrad_status residual_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *f;
  MGRAD_TRY(chain(l, x, &f));
  mgrad_status status;
  if (mgrad_shape_equal(&f->a, &x->a)) {
    mgrad_tensor *both[] = { x, f };
    status = mgrad_apply(&mgrad_op_add, l->ctx, both, 2, NULL, y);
  } else {
    status = mgrad_fail(l->ctx, MGRAD_INVALID, "its layers give %a, expected %a as the input",
                        &f->a, &x->a);
  }
  mgrad_tensor_release(f);
  return status;
}

const mgrad_layer_def mgrad_layer_def_residual = {
  .name = "residual", .doc = "x + f(x), f being its layers in turn",
  .container = true, .forward = residual_forward,
};

/* Do two results differ only in dimension 2? */
static bool beside(const mgrad_array *a, const mgrad_array *b) {
  if (a->ndim != b->ndim || a->ndim < 2) return false;
  for (int i = 0; i < a->ndim; i++) {
    if (i != 1 && a->size[i] != b->size[i]) return false;
  }
  return true;
}

static mgrad_status join(mgrad_layer *l, mgrad_tensor **results, int n, mgrad_tensor **y) {
  for (int i = 0; i < n; i++) {
    if (beside(&results[0]->a, &results[i]->a)) continue;
    return mgrad_fail(l->ctx, MGRAD_INVALID,
                      "layer %d gives %a, which does not fit beside %a of layer 1",
                      (int64_t)i + 1, &results[i]->a, &results[0]->a);
  }
  mgrad_attrs dim = { .value = { 2 } };
  return mgrad_apply(&mgrad_op_cat, l->ctx, results, n, &dim, y);
}

static mgrad_status parallel_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  if (l->nparts == 0) return mgrad_fail(l->ctx, MGRAD_INVALID, "it has no layers");
  mgrad_tensor **results = mgrad_new_zeroed(l->ctx, (size_t)l->nparts * sizeof *results);
  if (results == NULL) return MGRAD_NOMEM;
  mgrad_status status = MGRAD_OK;
  for (int i = 0; i < l->nparts && status == MGRAD_OK; i++) {
    status = mgrad_layer_call(l->parts[i].layer, i + 1, x, &results[i]);
  }
  if (status == MGRAD_OK) status = join(l, results, l->nparts, y);
  for (int i = 0; i < l->nparts; i++) mgrad_tensor_release(results[i]);
  mgrad_free(l->ctx, results);
  return status;
}

const mgrad_layer_def mgrad_layer_def_parallel = {
  .name = "parallel",
  .doc = "each layer gets the same input; results are joined along dimension 2",
  .container = true, .forward = parallel_forward,
};
