/*
** index.c - joining tensors, and picking parts of one by ids. Ids are numbers
** in a tensor, whole and from 1; check() has seen to that before forward.
*/
#include "../op.h"

#include <math.h>

/* A DIM attribute of packed 'a', which infer has found to be in range. */
static int position(const mgrad_call *c, const mgrad_array *a) {
  int d = 0;
  (void)mgrad_shape_dim(c->ctx, c->op->name, a, c->attrs->value[0], &d);
  return d;
}

/* y gets the sizes of 'a'. */
static void shape_as(mgrad_call *c, const mgrad_array *a) {
  c->y->ndim = a->ndim;
  memcpy(c->y->size, a->size, sizeof a->size);
}

/* y gets the sizes of x[0] with 'size' put in at 'dim', a DIM of y. */
static mgrad_status shape_insert(mgrad_call *c, double dim, int64_t size) {
  const mgrad_array *x = c->x[0];
  int at;
  if (x->ndim == MGRAD_MAX_DIMS)
    return mgrad_op_fail(c, "the operand is %a, expected at most %d dimensions", x,
                         (int64_t)MGRAD_MAX_DIMS - 1);
  shape_as(c, x);
  c->y->size[c->y->ndim++] = size;
  MGRAD_TRY(mgrad_shape_dim(c->ctx, c->op->name, c->y, dim, &at));
  for (int d = x->ndim; d > at; d--) c->y->size[d] = x->size[d - 1];
  c->y->size[at] = size;
  return MGRAD_OK;
}

static mgrad_status check_indices(const mgrad_call *c, int i, int64_t high) {
  return mgrad_check_ids(c, i, "an index", high, NAN); /* NAN: none is ignored */
}

static int64_t id_at(const mgrad_array *ids, int64_t i) {
  return (int64_t)ids->data[i] - 1;
}

/* to = from, or to += from; the host is asked in between. */
static void move(const mgrad_call *c, bool add, int64_t n, const mgrad_real *from,
                 mgrad_real *to) {
  for (int64_t first = 0, end; first < n; first = end) {
    end = mgrad_min_size(first + MGRAD_POOL_PART, n);
    if (!mgrad_call_continues(c, end - first)) return;
    if (!add) memcpy(to + first, from + first, (size_t)(end - first) * sizeof *to);
    for (int64_t i = first; i < end && add; i++) to[i] += from[i];
  }
}

/* ---- cat, stack: y seen as {outer, row}, a piece of each row from each x ---- */

static void join_forward(mgrad_call *c) {
  mgrad_split s = mgrad_shape_split(c->y, position(c, c->y));
  int64_t row = s.n * s.inner;
  mgrad_real *to = c->y->data;
  for (int i = 0; i < c->n; i++) {
    int64_t piece = mgrad_call_numel(c, i) / s.outer;
    for (int64_t o = 0; o < s.outer; o++)
      move(c, false, piece, c->x[i]->data + o * piece, to + o * row);
    to += piece;
  }
}

static void join_backward(mgrad_call *c) {
  mgrad_split s = mgrad_shape_split(c->y, position(c, c->y));
  int64_t row = s.n * s.inner;
  const mgrad_real *from = c->dy;
  for (int i = 0; i < c->n; i++) {
    int64_t piece = mgrad_call_numel(c, i) / s.outer;
    for (int64_t o = 0; o < s.outer && c->dx[i] != NULL; o++)
      move(c, c->add[i], piece, from + o * row, c->dx[i] + o * piece);
    from += piece;
  }
}

static mgrad_status list_fail(const mgrad_call *c) {
  return mgrad_op_fail(c, "the list is empty, expected one tensor or more");
}

/* Does x[i] have the shape of x[0] in all dimensions but 'dim'? */
static bool cat_fits(const mgrad_call *c, int i, int dim) {
  const mgrad_array *a = c->x[0], *b = c->x[i];
  bool fits = a->ndim == b->ndim;
  for (int d = 0; d < a->ndim && fits; d++) fits = d == dim || a->size[d] == b->size[d];
  return fits;
}

static mgrad_status cat_infer(mgrad_call *c) {
  int dim;
  if (c->n < 1) return list_fail(c);
  shape_as(c, c->x[0]);
  MGRAD_TRY(mgrad_shape_dim(c->ctx, "cat", c->y, c->attrs->value[0], &dim));
  int64_t *total = &c->y->size[dim];
  for (int i = 1; i < c->n; i++) {
    if (!cat_fits(c, i, dim))
      return mgrad_op_fail(c, "x[%d] is %a, expected %a as x[1] but for dimension %d",
                           (int64_t)i + 1, c->x[i], c->x[0], (int64_t)dim + 1);
    if (c->x[i]->size[dim] > INT64_MAX - *total)
      return mgrad_op_fail(c, "the result is too large");
    *total += c->x[i]->size[dim];
  }
  return MGRAD_OK;
}

MGRAD_OP(cat) = {
  MGRAD_NAMED(cat), .operands = "x..", .flags = MGRAD_OP_LIST,
  MGRAD_ATTRS({ "dim", MGRAD_ATTR_DIM, 1,
                .doc = "the dimension along which they are joined" }),
  .doc = "tensors joined end to end along a dimension they have",
  .infer = cat_infer, .forward = join_forward, .backward = join_backward,
  MGRAD_EXAMPLES({ .operands = 2, .shapes = { { 2, 3 }, { 1, 3 } } },
                 { .operands = 3, .shapes = { { 2, 1, 2 }, { 2, 3, 2 }, { 2, 2, 2 } },
                   .attrs = { { "dim", 2 } } },
                 { .operands = 2, .shapes = { { 2, 3 }, { 2, 1 } },
                   .attrs = { { "dim", -1 } } },
                 { .operands = 1, .shapes = { { 4 } } }) };

static mgrad_status stack_infer(mgrad_call *c) {
  if (c->n < 1) return list_fail(c);
  for (int i = 1; i < c->n; i++)
    if (!mgrad_shape_equal(c->x[i], c->x[0]))
      return mgrad_op_fail(c, "x[%d] is %a, expected %a as x[1]", (int64_t)i + 1,
                           c->x[i], c->x[0]);
  return shape_insert(c, c->attrs->value[0], c->n);
}

MGRAD_OP(stack) = {
  MGRAD_NAMED(stack), .operands = "x..", .flags = MGRAD_OP_LIST,
  MGRAD_ATTRS({ "dim", MGRAD_ATTR_DIM, 1, .doc = "where the new dimension goes" }),
  .doc = "tensors of one shape side by side along a new dimension",
  .infer = stack_infer, .forward = join_forward, .backward = join_backward,
  MGRAD_EXAMPLES({ .operands = 2, .shapes = { { 2, 3 }, { 2, 3 } } },
                 { .operands = 3, .shapes = { { 2, 3 }, { 2, 3 }, { 2, 3 } },
                   .attrs = { { "dim", 2 } } },
                 { .operands = 2, .shapes = { { 2, 2 }, { 2, 2 } },
                   .attrs = { { "dim", 3 } } },
                 { .operands = 2, .shapes = { { 3 }, { 3 } },
                   .attrs = { { "dim", -1 } } }) };

#define PLACES "the dimension whose places ids count"

/* ---- index_select: x seen as {outer, n, inner}, slices of 'inner' picked ---- */

static mgrad_status index_select_infer(mgrad_call *c) {
  int dim;
  shape_as(c, c->x[0]);
  MGRAD_TRY(mgrad_shape_dim(c->ctx, "index_select", c->y, c->attrs->value[0], &dim));
  if (c->x[1]->ndim != 1)
    return mgrad_op_fail(c, "ids is %a, expected one dimension", c->x[1]);
  c->y->size[dim] = c->x[1]->size[0];
  return MGRAD_OK;
}

/* For index_select and gather: ids count places of one dimension of x. */
static mgrad_status picked_check(const mgrad_call *c) {
  return check_indices(c, 1, c->x[0]->size[position(c, c->x[0])]);
}

static void index_select_forward(mgrad_call *c) {
  mgrad_split s = mgrad_shape_split(c->x[0], position(c, c->x[0]));
  int64_t nids = c->x[1]->size[0];
  mgrad_real *y = c->y->data;
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < nids; i++, y += s.inner)
      move(c, false, s.inner, c->x[0]->data + (o * s.n + id_at(c->x[1], i)) * s.inner, y);
}

static void index_select_backward(mgrad_call *c) {
  mgrad_split s = mgrad_shape_split(c->x[0], position(c, c->x[0]));
  int64_t nids = c->x[1]->size[0];
  const mgrad_real *dy = c->dy;
  if (c->dx[0] == NULL) return;
  mgrad_call_clear(c, 0);
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < nids; i++, dy += s.inner)
      move(c, true, s.inner, dy, c->dx[0] + (o * s.n + id_at(c->x[1], i)) * s.inner);
}

MGRAD_OP(index_select) = {
  MGRAD_NAMED(index_select), .operands = "x ids", .order = "x dim ids",
  MGRAD_ATTRS({ "dim", MGRAD_ATTR_DIM, MGRAD_REQUIRED, .doc = PLACES }),
  .doc = "the places of one dimension that ids names, in that order",
  .reads = 2, .constant = 2, .infer = index_select_infer, .check = picked_check,
  .forward = index_select_forward, .backward = index_select_backward,
  MGRAD_EXAMPLES({ .shapes = { { 3, 2 }, { 5 } }, .fill = { 0, MGRAD_FILL_LABELS },
                   .labels = 3, .attrs = { { "dim", 1 } } },
                 { .shapes = { { 2, 4, 2 }, { 3 } }, .fill = { 0, MGRAD_FILL_LABELS },
                   .labels = 4, .attrs = { { "dim", 2 } } },
                 { .shapes = { { 2, 3 }, { 2 } }, .fill = { 0, MGRAD_FILL_LABELS },
                   .labels = 3, .attrs = { { "dim", -1 } } }) };

/* ---- gather ---- */

static mgrad_status gather_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0], *ids = c->x[1];
  bool fits = ids->ndim == x->ndim;
  int dim;
  MGRAD_TRY(mgrad_shape_dim(c->ctx, "gather", x, c->attrs->value[0], &dim));
  for (int d = 0; d < x->ndim && fits; d++)
    fits = d == dim || ids->size[d] <= x->size[d];
  if (!fits)
    return mgrad_op_fail(c, "ids is %a, expected at most %a as x but for dimension %d",
                         ids, x, (int64_t)dim + 1);
  shape_as(c, ids);
  return MGRAD_OK;
}

/* Where in packed x the number for ids[i] lies: its own place in ids, but in
** 'dim' the place that it names. */
static int64_t gather_place(const mgrad_call *c, int dim, int64_t i) {
  const mgrad_array *x = c->x[0], *ids = c->x[1];
  int64_t id = id_at(ids, i), place = 0, step = 1;
  for (int d = x->ndim - 1; d >= 0; d--) {
    place += (d == dim ? id : i % ids->size[d]) * step;
    step *= x->size[d];
    i /= ids->size[d];
  }
  return place;
}

static void gather_forward(mgrad_call *c) {
  int dim = position(c, c->x[0]);
  int64_t n = mgrad_call_numel(c, 1);
  for (int64_t i = 0; i < n && mgrad_call_continues(c, 1); i++)
    c->y->data[i] = c->x[0]->data[gather_place(c, dim, i)];
}

static void gather_backward(mgrad_call *c) {
  int dim = position(c, c->x[0]);
  int64_t n = mgrad_call_numel(c, 1);
  if (c->dx[0] == NULL) return;
  mgrad_call_clear(c, 0);
  for (int64_t i = 0; i < n && mgrad_call_continues(c, 1); i++)
    c->dx[0][gather_place(c, dim, i)] += c->dy[i];
}

MGRAD_OP(gather) = {
  MGRAD_NAMED(gather), .operands = "x ids", .order = "x dim ids",
  MGRAD_ATTRS({ "dim", MGRAD_ATTR_DIM, MGRAD_REQUIRED, .doc = PLACES }),
  .doc = "one number for each id: of its own place in x, but in 'dim' of place id",
  .reads = 2, .constant = 2, .infer = gather_infer, .check = picked_check,
  .forward = gather_forward, .backward = gather_backward,
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 }, { 3, 1 } }, .fill = { 0, MGRAD_FILL_LABELS },
                   .labels = 4, .attrs = { { "dim", 2 } } },
                 { .shapes = { { 3, 4 }, { 5, 2 } }, .fill = { 0, MGRAD_FILL_LABELS },
                   .labels = 3, .attrs = { { "dim", 1 } } },
                 { .shapes = { { 2, 3, 2 }, { 2, 4, 1 } }, .attrs = { { "dim", -2 } },
                   .fill = { 0, MGRAD_FILL_LABELS }, .labels = 3 }) };

/* ---- one_hot ---- */

static mgrad_status one_hot_infer(mgrad_call *c) {
  return shape_insert(c, -1, mgrad_call_int(c, 0));
}

static mgrad_status one_hot_check(const mgrad_call *c) {
  return check_indices(c, 0, mgrad_call_int(c, 0));
}

static void one_hot_forward(mgrad_call *c) {
  int64_t n = mgrad_call_int(c, 0), count = mgrad_call_numel(c, 0);
  mgrad_real *y = c->y->data;
  for (int64_t i = 0; i < count && mgrad_call_continues(c, n); i++, y += n) {
    memset(y, 0, (size_t)n * sizeof *y);
    y[id_at(c->x[0], i)] = 1;
  }
}

MGRAD_OP(one_hot) = {
  MGRAD_NAMED(one_hot), .operands = "ids", .constant = 1,
  MGRAD_ATTRS({ "n", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 9e15,
                .doc = "how many numbers an id becomes: the largest id, or more" }),
  .doc = "each id as n numbers, 1 at place id and 0 elsewhere",
  .infer = one_hot_infer, .check = one_hot_check, .forward = one_hot_forward,
  MGRAD_EXAMPLES({ .shapes = { { 4 } }, .fill = { MGRAD_FILL_LABELS }, .labels = 3,
                   .attrs = { { "n", 3 } } },
                 { .shapes = { { 2, 3 } }, .fill = { MGRAD_FILL_LABELS }, .labels = 3,
                   .attrs = { { "n", 5 } } }) };
