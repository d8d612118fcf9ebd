/*
** view.c - other windows on the same storage, and the copies that end sharing.
**
** A view is all infer: it says where the window lies. Its gradient (op.c) runs
** infer again on the gradient of x, and adds dy into the window that comes out.
*/
#include "../kernels/kernels.h"
#include "../op.h"

#define VIEW(word)                                                                \
  MGRAD_NAMED(word), .operands = "x", .infer = word##_infer,                          \
  .backward = mgrad_view_backward
#define ANY_STRIDE (MGRAD_OP_VIEW | MGRAD_OP_STRIDED)
#define DIM(name, text) { name, MGRAD_ATTR_DIM, MGRAD_REQUIRED, .doc = text }
#define SIZES(name, text) { name, MGRAD_ATTR_SIZES, .doc = text }
/* infer knows the range */
#define INT(name, text) { name, MGRAD_ATTR_INT, MGRAD_REQUIRED, .doc = text }

/* The position from 0 in x of the dimension given as 'dim'. */
static mgrad_status position(const mgrad_call *c, double dim, int *out) {
  return mgrad_shape_dim(c->ctx, c->op->name, c->x[0], dim, out);
}

/* The SIZES attribute as a shape, for error sentences. */
static mgrad_array listed(const mgrad_call *c) {
  mgrad_array a = { .ndim = c->attrs->nlist };
  memcpy(a.size, c->attrs->list, sizeof a.size);
  return a;
}

/* ---- packed in, packed out ---- */

static mgrad_status reshape_fail(const mgrad_call *c) {
  mgrad_array sizes = listed(c);
  return mgrad_op_fail(c, "sizes are %a, expected a shape for the %d numbers of x, %a",
                       &sizes, mgrad_call_numel(c, 0), c->x[0]);
}

static mgrad_status reshape_infer(mgrad_call *c) {
  int64_t numel = mgrad_call_numel(c, 0), known = 1;
  int open = -1; /* position of the -1 */
  c->y->data = c->x[0]->data;
  c->y->ndim = c->attrs->nlist;
  for (int d = 0; d < c->attrs->nlist; d++) {
    int64_t size = c->attrs->list[d];
    if (size == -1 && open < 0) {
      open = d;
      size = 1;
    }
    if (size < 1 || mgrad_mul_overflows(known, size, &known)) return reshape_fail(c);
    c->y->size[d] = size;
  }
  if (open < 0 ? known != numel : numel % known != 0) return reshape_fail(c);
  if (open >= 0) c->y->size[open] = numel / known;
  mgrad_shape_pack(c->y);
  return MGRAD_OK;
}

MGRAD_OP(reshape) = { VIEW(reshape), .flags = MGRAD_OP_VIEW,
  MGRAD_ATTRS(SIZES("sizes", "the new shape")),
  .doc = "the same numbers in another shape; one size may be -1 and is worked out",
  MGRAD_EXAMPLES({ .shapes = { { 2, 6 } }, .nlist = 3, .list = { 3, 2, 2 } },
                 { .shapes = { { 2, 3, 2 } }, .nlist = 2, .list = { -1, 4 } },
                 { .shapes = { { 1, 1 } }, .nlist = 0 }) };

static mgrad_status flatten_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int from = 0;
  *c->y = *x;
  c->y->size[0] = 1; /* what a single number becomes */
  if (x->ndim > 0) {
    MGRAD_TRY(position(c, c->attrs->value[0], &from));
    c->y->size[0] = x->size[0];
    mgrad_split s = mgrad_shape_split(x, from);
    c->y->size[from] = s.n * s.inner;
  }
  c->y->ndim = from + 1;
  mgrad_shape_pack(c->y);
  return MGRAD_OK;
}

MGRAD_OP(flatten) = { VIEW(flatten), .flags = MGRAD_OP_VIEW,
  MGRAD_ATTRS({ "from", MGRAD_ATTR_DIM, 1, .doc = "the first that is joined" }),
  .doc = "dimensions 'from' to the last as one",
  MGRAD_EXAMPLES({ .shapes = { { 2, 3, 2 } } },
                 { .shapes = { { 2, 3, 2 } }, .attrs = { { "from", 2 } } },
                 { .shapes = { { 2, 3, 2, 2 } }, .attrs = { { "from", -2 } } },
                 { .operands = 1, .shapes = { { 0 } } }) };

/* ---- any stride ---- */

static mgrad_status transpose_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int a, b;
  MGRAD_TRY(position(c, c->attrs->value[0], &a));
  MGRAD_TRY(position(c, c->attrs->value[1], &b));
  *c->y = *x;
  c->y->size[a] = x->size[b], c->y->stride[a] = x->stride[b];
  c->y->size[b] = x->size[a], c->y->stride[b] = x->stride[a];
  return MGRAD_OK;
}

MGRAD_OP(transpose) = { VIEW(transpose), .flags = ANY_STRIDE,
  MGRAD_ATTRS(DIM("a", "one dimension"), DIM("b", "the other")),
  .doc = "dimensions a and b exchanged",
  MGRAD_EXAMPLES({ .shapes = { { 2, 3 } }, .attrs = { { "a", 1 }, { "b", 2 } } },
                 { .shapes = { { 2, 3, 4 } }, .attrs = { { "a", -1 }, { "b", 1 } } },
                 { .shapes = { { 2, 3 } }, .attrs = { { "a", 2 }, { "b", 2 } } }) };

static mgrad_status permute_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  bool used[MGRAD_MAX_DIMS] = { false }, fits = c->attrs->nlist == x->ndim;
  *c->y = *x;
  for (int d = 0; d < x->ndim && fits; d++) {
    int from;
    MGRAD_TRY(position(c, (double)c->attrs->list[d], &from));
    fits = !used[from];
    used[from] = true;
    c->y->size[d] = x->size[from];
    c->y->stride[d] = x->stride[from];
  }
  if (fits) return MGRAD_OK;
  mgrad_array dims = listed(c);
  return mgrad_op_fail(c, "dims are %a, expected each dimension of x, %a, once", &dims,
                       x);
}

MGRAD_OP(permute) = { VIEW(permute), .flags = ANY_STRIDE,
  MGRAD_ATTRS(SIZES("dims", "the dimensions of x, each once")),
  .doc = "the dimensions in another order",
  MGRAD_EXAMPLES({ .shapes = { { 2, 3, 4 } }, .nlist = 3, .list = { 3, 1, 2 } },
                 { .shapes = { { 2, 3, 1 } }, .nlist = 3, .list = { 1, -1, 2 } }) };

static mgrad_status narrow_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int64_t first = mgrad_call_int(c, 1), count = mgrad_call_int(c, 2);
  int d;
  MGRAD_TRY(position(c, c->attrs->value[0], &d));
  if (first < 1 || count < 1 || first > x->size[d] || count > x->size[d] - first + 1)
    return mgrad_op_fail(c, "first is %d and count is %d, expected to stay within "
                         "dimension %d of x, %a", first, count, (int64_t)d + 1, x);
  *c->y = *x;
  c->y->data += (first - 1) * x->stride[d];
  c->y->size[d] = count;
  return MGRAD_OK;
}

MGRAD_OP(narrow) = { VIEW(narrow), .flags = ANY_STRIDE,
  MGRAD_ATTRS(DIM("dim", "the dimension that is cut"),
              INT("first", "its first place that is kept"),
              INT("count", "how many places are")),
  .doc = "'count' places of one dimension from place 'first'",
  MGRAD_EXAMPLES({ .shapes = { { 4, 3 } },
                   .attrs = { { "dim", 1 }, { "first", 2 }, { "count", 2 } },
                   .vary = { { "first", 1, 4 }, { "count", 1, 4 } } },
                 { .shapes = { { 2, 5, 2 } },
                   .attrs = { { "dim", -2 }, { "first", 3 }, { "count", 3 } },
                   .vary = { { "first", 1, 4 }, { "count", 1, 4 } } }) };

static mgrad_status select_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int64_t index = mgrad_call_int(c, 1);
  int d;
  MGRAD_TRY(position(c, c->attrs->value[0], &d));
  int64_t from_0 = index < 0 ? x->size[d] + index : index - 1;
  if (index == 0 || from_0 < 0 || from_0 >= x->size[d])
    return mgrad_op_fail(c, "index is %d, expected 1 to %d or -%d to -1 in dimension %d "
                         "of x, %a", index, x->size[d], x->size[d], (int64_t)d + 1, x);
  *c->y = *x;
  c->y->ndim = x->ndim - 1;
  c->y->data += from_0 * x->stride[d];
  for (; d < c->y->ndim; d++) {
    c->y->size[d] = x->size[d + 1];
    c->y->stride[d] = x->stride[d + 1];
  }
  return MGRAD_OK;
}

MGRAD_OP(select) = { VIEW(select), .flags = ANY_STRIDE,
  MGRAD_ATTRS(DIM("dim", "the dimension that goes"), INT("index", "the place in it")),
  .doc = "one place of one dimension, which goes; a negative index is from the end",
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 } }, .attrs = { { "dim", 1 }, { "index", 2 } } },
                 { .shapes = { { 2, 3 } }, .attrs = { { "dim", 2 }, { "index", -1 } },
                   .vary = { { "index", -4, 4 } } },
                 { .shapes = { { 4 } }, .attrs = { { "dim", -1 }, { "index", 3 } } }) };

static mgrad_status squeeze_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int only = -1;
  if (c->attrs->value[0] != 0) MGRAD_TRY(position(c, c->attrs->value[0], &only));
  *c->y = *x;
  c->y->ndim = 0;
  for (int d = 0; d < x->ndim; d++) {
    if (x->size[d] == 1 && (only < 0 || d == only)) continue;
    c->y->size[c->y->ndim] = x->size[d];
    c->y->stride[c->y->ndim++] = x->stride[d];
  }
  return MGRAD_OK;
}

MGRAD_OP(squeeze) = { VIEW(squeeze), .flags = ANY_STRIDE,
  MGRAD_ATTRS({ "dim", MGRAD_ATTR_DIM, 0, .doc = "the only one that goes" }),
  .doc = "without its dimensions of size 1, or without 'dim' if that is of size 1",
  MGRAD_EXAMPLES({ .shapes = { { 1, 3, 1 } } },
                 { .shapes = { { 2, 1, 3, 1 } }, .attrs = { { "dim", 2 } } },
                 { .shapes = { { 2, 3 } }, .attrs = { { "dim", -1 } } },
                 { .shapes = { { 1, 1 } } }) };

static mgrad_status unsqueeze_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int at;
  if (x->ndim == MGRAD_MAX_DIMS)
    return mgrad_op_fail(c, "x is %a, there can be at most %d dimensions", x,
                         (int64_t)MGRAD_MAX_DIMS);
  *c->y = *x;
  c->y->ndim = x->ndim + 1;
  c->y->size[x->ndim] = 1; /* 'dim' counts the dimensions of the result */
  MGRAD_TRY(mgrad_shape_dim(c->ctx, c->op->name, c->y, c->attrs->value[0], &at));
  for (int d = x->ndim; d > at; d--) {
    c->y->size[d] = x->size[d - 1];
    c->y->stride[d] = x->stride[d - 1];
  }
  c->y->size[at] = 1;
  c->y->stride[at] = at < x->ndim ? x->size[at] * x->stride[at] : 1; /* as if packed */
  return MGRAD_OK;
}

MGRAD_OP(unsqueeze) = { VIEW(unsqueeze), .flags = ANY_STRIDE,
  MGRAD_ATTRS(DIM("dim", "where it goes, as the result counts")),
  .doc = "with a new dimension of size 1 at 'dim'",
  MGRAD_EXAMPLES({ .shapes = { { 2, 3 } }, .attrs = { { "dim", 1 } } },
                 { .shapes = { { 2, 3 } }, .attrs = { { "dim", 3 } } },
                 { .shapes = { { 2, 3, 2 } }, .attrs = { { "dim", -2 } } },
                 { .operands = 1, .shapes = { { 0 } }, .attrs = { { "dim", 1 } } }) };

static mgrad_status expand_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int lead = c->attrs->nlist - x->ndim; /* new dimensions in front */
  bool fits = lead >= 0;
  c->y->data = x->data;
  c->y->ndim = c->attrs->nlist;
  for (int d = 0; d < c->y->ndim && fits; d++) {
    bool old = d >= lead;
    int64_t own = old ? x->size[d - lead] : 1, size = c->attrs->list[d];
    if (size == -1 && old) size = own;
    fits = size >= 1 && (own == 1 || own == size);
    c->y->size[d] = size;
    c->y->stride[d] = old && own == size ? x->stride[d - lead] : 0;
  }
  if (fits) return MGRAD_OK;
  mgrad_array sizes = listed(c);
  return mgrad_op_fail(c, "sizes are %a, expected a shape that x, %a, can repeat into",
                       &sizes, x);
}

MGRAD_OP(expand) = { VIEW(expand), .flags = ANY_STRIDE,
  MGRAD_ATTRS(SIZES("sizes", "the new shape")),
  .doc = "repeated along dimensions of size 1 and new ones in front; -1 keeps a size",
  MGRAD_EXAMPLES({ .shapes = { { 3, 1 } }, .nlist = 2, .list = { 3, 4 } },
                 { .shapes = { { 1, 3 } }, .nlist = 3, .list = { 2, 2, -1 } },
                 { .shapes = { { 2, 1, 3 } }, .nlist = 3, .list = { -1, 2, -1 } },
                 { .operands = 1, .shapes = { { 0 } }, .nlist = 2, .list = { 2, 3 } }) };

/* ---- copies ---- */

static void copy_forward(mgrad_call *c) {
  mgrad_array_put(c->ctx->pool, c->y, c->x[0], false);
}

static void copy_backward(mgrad_call *c) {
  if (c->dx[0] == NULL) return;
  mgrad_reduce_to(c->ctx->pool, c->x[0], c->dx[0], c->y, c->dy, c->add[0]);
}

#define COPY(word)                                                                \
  MGRAD_NAMED(word), .operands = "x", .flags = MGRAD_OP_STRIDED,                      \
  .infer = mgrad_infer_same, .forward = copy_forward, .backward = copy_backward,  \
  MGRAD_EXAMPLES({ .shapes = { { 2, 3 } } }, { .operands = 1, .shapes = { { 0 } } })

MGRAD_OP(contiguous) = { COPY(contiguous),
  .doc = "x itself when its numbers lie in row-major order, else such a copy" };

MGRAD_OP(clone) = { COPY(clone),
  .doc = "a copy with storage of its own" };
