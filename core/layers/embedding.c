/*
** embedding.c - ids as vectors; places in time, as waves or as vectors of their own.
*/
#include "../layer.h"

/* ---- embedding ---- */

enum { N, DIM, PADDING, INIT };

static mgrad_status embedding_build(mgrad_layer *l, const mgrad_array *x) {
  int64_t size[] = { (int64_t)mgrad_layer_value(l, N), (int64_t)mgrad_layer_value(l, DIM) };
  int64_t padding = (int64_t)mgrad_layer_value(l, PADDING);
  (void)x;
  if (padding > size[0]) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "padding is %d, expected an id from 1 to %d",
                      padding, size[0]);
  }
  int init = (int)mgrad_layer_value(l, INIT);
  bool given = mgrad_layer_tensor(l, "weight") != NULL;
  if (init < 0) init = mgrad_init_find("standard_normal");
  MGRAD_TRY(mgrad_layer_param(l, "weight", 2, size, init));
  if (given || padding == 0) return MGRAD_OK;
  mgrad_real *row = mgrad_layer_tensor(l, "weight")->a.data + (padding - 1) * size[1];
  memset(row, 0, (size_t)size[1] * sizeof *row);
  return MGRAD_OK;
}

/* What a trial pass needs of the result. It may be one over zeros, which are no ids. */
static mgrad_status shape_alone(const mgrad_layer *l, const mgrad_array *x,
                                mgrad_tensor **y) {
  int64_t size[MGRAD_MAX_DIMS + 1];
  memcpy(size, x->size, sizeof x->size);
  size[x->ndim] = (int64_t)mgrad_layer_value(l, DIM);
  return mgrad_tensor_full(l->ctx, x->ndim + 1, size, 0, y);
}

static mgrad_status embedding_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  if (l->ctx->built != NULL) return shape_alone(l, &x->a, y);
  mgrad_tensor *operands[] = { x, mgrad_layer_tensor(l, "weight") };
  mgrad_attrs padding = { .value = { mgrad_layer_value(l, PADDING) } };
  return mgrad_apply(&mgrad_op_embedding, l->ctx, operands, 2, &padding, y);
}

const mgrad_layer_def mgrad_layer_def_embedding = {
  .name = "embedding",
  .doc = "ids from 1, in any shape {..}, as vectors {.., dim}: the rows of weight {n, dim},"
         " which start by standard_normal; that of 'padding' stays 0 (0: there is none)",
  MGRAD_ATTRS({ "n", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1 << 24, /* exact as float */
                .doc = "how many ids there are" },
              { "dim", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e9,
                .doc = "how many numbers an id becomes" },
              { "padding", MGRAD_ATTR_INT, 0, 0, 1 << 24,
                .doc = "an id that does not learn, 0 for none" },
              { "init", MGRAD_ATTR_INIT, -1, .doc = "how weight starts" }),
  .build = embedding_build, .forward = embedding_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 5 }, .labels = 4, .attrs = { { "n", 4 }, { "dim", 3 } } },
    { .input = { 2, 3 }, .labels = 6, .attrs = { { "n", 6 }, { "dim", 1 } } }),
};

/* ---- places in time ---- */

static mgrad_status expect(const mgrad_layer *l, const mgrad_array *x) {
  if (x->ndim >= 2) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {batch, time, features}", x);
}

static mgrad_status encoding_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  MGRAD_TRY(expect(l, &x->a));
  return mgrad_apply(&mgrad_op_positional_encoding, l->ctx, &x, 1, NULL, y);
}

const mgrad_layer_def mgrad_layer_def_positional_encoding = {
  .name = "positional_encoding",
  .doc = "{.., time, features} plus sines and cosines that tell the places in time",
  .forward = encoding_forward,
  MGRAD_LAYER_EXAMPLES({ .input = { 2, 5, 3 } }, { .input = { 4, 6 } }),
};

static mgrad_status places_build(mgrad_layer *l, const mgrad_array *x) {
  MGRAD_TRY(expect(l, x));
  int64_t size[] = { (int64_t)mgrad_layer_value(l, N), x->size[x->ndim - 1] };
  return mgrad_layer_param(l, "weight", 2, size, mgrad_init_find("normal"));
}

static mgrad_status places_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *weight = mgrad_layer_tensor(l, "weight");
  const int64_t *last = x->a.size + x->a.ndim - 2, *size = weight->a.size;
  MGRAD_TRY(expect(l, &x->a));
  if (last[0] > size[0] || last[1] != size[1]) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "input is %a, expected {.., time, %d} with at"
                      " most %d places in time", &x->a, size[1], size[0]);
  }
  mgrad_attrs front = { .value = { 1, 1, (double)last[0] } };
  mgrad_tensor *operands[] = { x, NULL };
  MGRAD_TRY(mgrad_apply(&mgrad_op_narrow, l->ctx, &weight, 1, &front, &operands[1]));
  mgrad_status status = mgrad_apply(&mgrad_op_add, l->ctx, operands, 2, NULL, y);
  mgrad_tensor_release(operands[1]);
  return status;
}

const mgrad_layer_def mgrad_layer_def_positional_embedding = {
  .name = "positional_embedding",
  .doc = "{.., time, features} plus a vector that is learnt for each of at most n places in"
         " time: weight {n, features}, which starts by normal",
  MGRAD_ATTRS({ "n", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e9,
                .doc = "how many steps there are at most" }),
  .build = places_build, .forward = places_forward,
  MGRAD_LAYER_EXAMPLES(
    { .input = { 2, 4, 3 }, .attrs = { { "n", 6 } } },
    { .input = { 5, 2 }, .attrs = { { "n", 5 } } }),
};
