/*
** linear.c - products of matrices: matmul, and linear with bias and activation.
*/
#include "../op.h"
#include "../kernels/kernels.h"

/* ---- matmul: 1-dim, 2-dim and batched, PyTorch's rules ---- */

/* How one call of matmul falls apart into products of matrices. A 1-dim
** operand counts as a row (left) or a column (right). */
typedef struct product {
  mgrad_pool *pool;
  int64_t m, n, k;
  mgrad_array a, b, y; /* all with batch dimensions of y, then two */
} product;

/* x as {batch.., rows, columns} with the batch of 'as' in front. */
static mgrad_array as_matrices(const mgrad_array *x, bool left, const mgrad_array *batch) {
  mgrad_array m = *x, out;
  if (x->ndim == 1) {
    int kept = left ? 1 : 0;
    m.ndim = 2;
    m.size[kept] = x->size[0];
    m.stride[kept] = x->stride[0];
    m.size[1 - kept] = 1;
    m.stride[1 - kept] = 0;
  }
  mgrad_array front = m, wide;
  front.ndim = m.ndim - 2;
  mgrad_shape_expand(&front, batch, &wide);
  out = wide;
  for (int i = 0; i < 2; i++) {
    out.size[out.ndim] = m.size[m.ndim - 2 + i];
    out.stride[out.ndim] = m.stride[m.ndim - 2 + i];
    out.ndim++;
  }
  return out;
}

/* The batch dimensions of both operands, broadcast; false if they clash. */
static bool joint_batch(const mgrad_array *a, const mgrad_array *b, mgrad_array *out) {
  mgrad_array fa = *a, fb = *b;
  fa.ndim = a->ndim > 2 ? a->ndim - 2 : 0;
  fb.ndim = b->ndim > 2 ? b->ndim - 2 : 0;
  return mgrad_shape_broadcast(&fa, &fb, out);
}

static mgrad_status matmul_infer(mgrad_call *c) {
  const mgrad_array *a = c->x[0], *b = c->x[1];
  if (a->ndim == 0 || b->ndim == 0) {
    return mgrad_op_fail(c, "a is %a and b is %a, expected one dimension or more", a, b);
  }
  int64_t ka = a->size[a->ndim - 1], kb = b->size[b->ndim > 1 ? b->ndim - 2 : 0];
  if (ka != kb) {
    return mgrad_op_fail(c, "a is %a and b is %a, expected as many columns in a (%d) as"
                         " rows in b (%d)", a, b, ka, kb);
  }
  mgrad_array *y = c->y;
  if (!joint_batch(a, b, y)) {
    return mgrad_op_fail(c, "a is %a and b is %a, their batches do not fit", a, b);
  }
  int64_t batch = 1;
  for (int i = 0; i < y->ndim; i++) {
    if (mgrad_mul_overflows(batch, y->size[i], &batch)) {
      return mgrad_op_fail(c, "the result is too large");
    }
  }
  if (a->ndim > 1) y->size[y->ndim++] = a->size[a->ndim - 2];
  if (b->ndim > 1) y->size[y->ndim++] = b->size[b->ndim - 1];
  return MGRAD_OK;
}

static product matmul_product(const mgrad_call *c, mgrad_real *y) {
  product p = { .pool = c->ctx->pool };
  mgrad_array batch;
  joint_batch(c->x[0], c->x[1], &batch);
  p.a = as_matrices(c->x[0], true, &batch);
  p.b = as_matrices(c->x[1], false, &batch);
  p.m = p.a.size[batch.ndim];
  p.k = p.a.size[batch.ndim + 1];
  p.n = p.b.size[batch.ndim + 1];
  p.y = batch;
  p.y.size[p.y.ndim++] = p.m;
  p.y.size[p.y.ndim++] = p.n;
  mgrad_shape_pack(&p.y);
  p.y.data = y;
  return p;
}

/* Calls f for each matrix of the batch, with the data of all three. */
typedef void (*matrix_fn)(const product *p, mgrad_real *a, mgrad_real *b, mgrad_real *y,
                          bool first_a, bool first_b, void *ud);

static void each_matrix(const product *p, matrix_fn f, void *ud) {
  int64_t at[MGRAD_MAX_DIMS] = { 0 };
  int batch = p->y.ndim - 2;
  for (;;) {
    mgrad_real *a = p->a.data, *b = p->b.data, *y = p->y.data;
    bool first_a = true, first_b = true; /* no repeat along broadcast dimensions */
    for (int d = 0; d < batch; d++) {
      a += at[d] * p->a.stride[d];
      b += at[d] * p->b.stride[d];
      y += at[d] * p->y.stride[d];
      first_a = first_a && (p->a.stride[d] != 0 || at[d] == 0);
      first_b = first_b && (p->b.stride[d] != 0 || at[d] == 0);
    }
    f(p, a, b, y, first_a, first_b, ud);
    int d = batch - 1;
    for (; d >= 0 && ++at[d] == p->y.size[d]; d--) at[d] = 0;
    if (d < 0) return;
  }
}

static mgrad_matrix matrix(const mgrad_array *x, const mgrad_real *data) {
  return (mgrad_matrix){ data, x->stride[x->ndim - 2], x->stride[x->ndim - 1] };
}

static mgrad_matrix transposed(mgrad_matrix m) {
  return (mgrad_matrix){ m.data, m.col, m.row };
}

/* c{m, n} = a b, or c += a b when 'add' */
static void gemm(mgrad_pool *pool, int64_t m, int64_t n, int64_t k, mgrad_matrix a,
                 mgrad_matrix b, mgrad_real *c, bool add) {
  mgrad_product x = { .m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .c_row = n, .c_col = 1,
                      .start = { add ? c : NULL, n, 1 }, .pool = pool };
  mgrad_gemm(&x);
}

static void multiply(const product *p, mgrad_real *a, mgrad_real *b, mgrad_real *y,
                     bool first_a, bool first_b, void *ud) {
  (void)first_a, (void)first_b, (void)ud;
  gemm(p->pool, p->m, p->n, p->k, matrix(&p->a, a), matrix(&p->b, b), y, false);
}

static void matmul_forward(mgrad_call *c) {
  product p = matmul_product(c, c->y->data);
  each_matrix(&p, multiply, NULL);
}

/* da = dy b', summed over the batches that a was repeated for; 'ud' says whether
** to add from the start. In backward the packed gradient takes the place of the
** operand's data while the batch is walked. */
static void gradient_a(const product *p, mgrad_real *da, mgrad_real *b, mgrad_real *dy,
                       bool first_a, bool first_b, void *ud) {
  (void)first_b;
  gemm(p->pool, p->m, p->k, p->n, matrix(&p->y, dy), transposed(matrix(&p->b, b)), da,
       *(const bool *)ud || !first_a);
}

static void gradient_b(const product *p, mgrad_real *a, mgrad_real *db, mgrad_real *dy,
                       bool first_a, bool first_b, void *ud) {
  (void)first_a;
  gemm(p->pool, p->k, p->n, p->m, transposed(matrix(&p->a, a)), matrix(&p->y, dy), db,
       *(const bool *)ud || !first_b);
}

static void matmul_backward(mgrad_call *c) {
  for (int i = 0; i < 2; i++) {
    if (c->dx[i] == NULL) continue;
    mgrad_array packed = *c->x[i];
    mgrad_shape_pack(&packed);
    packed.data = c->dx[i];
    const mgrad_array *x[] = { c->x[0], c->x[1] };
    x[i] = &packed;
    mgrad_call with_gradient = *c;
    with_gradient.x = x;
    product p = matmul_product(&with_gradient, (mgrad_real *)c->dy); /* only read */
    bool add = c->add[i];
    each_matrix(&p, i == 0 ? gradient_a : gradient_b, &add);
  }
}

MGRAD_OP(matmul) = {
  MGRAD_NAMED(matmul), .operands = "a b", .flags = MGRAD_OP_STRIDED, .reads = 3,
  .doc = "product of matrices: {m, k} by {k, n}, batches in front broadcast, 1-dim"
         " operands as a row or a column",
  .infer = matmul_infer, .forward = matmul_forward, .backward = matmul_backward,
  MGRAD_EXAMPLES({ .shapes = { { 2, 3 }, { 3, 4 } } },
                 { .shapes = { { 3 }, { 3 } } },
                 { .shapes = { { 3 }, { 3, 2 } } },
                 { .shapes = { { 2, 3 }, { 3 } } },
                 { .shapes = { { 2, 1, 3, 4 }, { 5, 4, 2 } } },
                 { .shapes = { { 5, 2, 3 }, { 3 } } }) };

/* ---- linear: y = act(x W' + b) ---- */

enum { ACT = 0 };

static const mgrad_op *activation(const mgrad_call *c) {
  int act = (int)c->attrs->value[ACT];
  return act >= 0 ? c->ctx->code->ops[act] : NULL;
}

/* {m, k} by {k, n}: all dimensions of x but the last are rows. */
typedef struct sizes { int64_t m, n, k; } sizes;

static sizes linear_sizes(const mgrad_call *c) {
  const mgrad_array *w = c->x[1];
  sizes s = { 1, w->size[0], w->size[1] };
  for (int d = 0; d < c->x[0]->ndim - 1; d++) s.m *= c->x[0]->size[d];
  return s;
}

/* In front of the scratch of backward: the gradient before the activation, made up
** to whole cache lines. */
static int64_t gradient_numbers(const mgrad_op *act, int64_t count) {
  return act == NULL ? 0 : (count + 15) / 16 * 16;
}

static mgrad_status linear_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0], *w = c->x[1], *b = c->x[2];
  if (w->ndim != 2) return mgrad_op_fail(c, "weight is %a, expected {out, in}", w);
  if (x->ndim == 0 || x->size[x->ndim - 1] != w->size[1]) {
    return mgrad_op_fail(c, "x is %a, expected {.., %d} for weight %a", x, w->size[1], w);
  }
  if (b != NULL && (b->ndim != 1 || b->size[0] != w->size[0])) {
    return mgrad_op_fail(c, "bias is %a, expected {%d} for weight %a", b, w->size[0], w);
  }
  const mgrad_op *act = activation(c);
  if (act != NULL && !mgrad_op_fusible(act)) {
    return mgrad_op_fail(c, "%s cannot be fused: its slope needs its input", act->name);
  }
  mgrad_infer_same(c);
  c->y->size[x->ndim - 1] = w->size[0];
  sizes s = linear_sizes(c);
  int threads = mgrad_threads(c->ctx);
  int64_t for_x = mgrad_gemm_nwork(s.m, s.k, s.n, threads);
  int64_t for_w = mgrad_gemm_nwork(s.n, s.k, s.m, threads);
  c->nwork = mgrad_gemm_nwork(s.m, s.n, s.k, threads);
  c->npacked = mgrad_pack_b_size(s.n, s.k);
  c->nwork_backward = gradient_numbers(act, s.m * s.n) + (for_x > for_w ? for_x : for_w);
  return MGRAD_OK;
}

/* The products of one call, and the attributes of its activation. */
typedef struct products {
  int n;
  mgrad_product of[3];
  const mgrad_op *act;
  double p[MGRAD_MAX_ATTRS];
  mgrad_slope slope; /* through the activation, of 'count' numbers */
  int64_t count;
} products;

static void describe_forward(const mgrad_call *c, products *all) {
  const mgrad_array *b = c->x[2];
  sizes s = linear_sizes(c);
  all->n = 1;
  all->of[0] = (mgrad_product){
    .m = s.m, .n = s.n, .k = s.k, .a = { c->x[0]->data, s.k, 1 },
    .b = { c->x[1]->data, 1, s.k }, .packed = c->packed,
    .start = { b != NULL ? b->data : NULL, 0, 1 }, .c = c->y->data, .c_row = s.n,
    .c_col = 1, .work = c->work, .nwork = c->nwork, .pool = c->ctx->pool,
    .finish = all->act != NULL ? all->act->map.forward : NULL, .p = all->p };
}

/* dx = dz W, dW = dz' x, and db as a row of ones by dz; those that are wanted. */
static void describe_backward(const mgrad_call *c, products *all) {
  static const mgrad_real one = 1;
  sizes s = linear_sizes(c);
  all->count = s.m * s.n;
  int64_t used = gradient_numbers(all->act, all->count);
  const mgrad_real *dz = all->act == NULL ? c->dy : c->work;
  /* x is not read by maps that may be fused: y stands in for it */
  all->slope = (mgrad_slope){ all->act, c->y->data, c->y->data, c->dy, c->work, false, all->p };
  const mgrad_product each[] = {
    { .m = s.m, .n = s.k, .k = s.n, .a = { dz, s.n, 1 }, .b = { c->x[1]->data, s.k, 1 } },
    { .m = s.n, .n = s.k, .k = s.m, .a = { dz, 1, s.n }, .b = { c->x[0]->data, s.k, 1 } },
    { .m = 1, .n = s.n, .k = s.m, .a = { &one, 0, 0 }, .b = { dz, s.n, 1 } } };
  for (int i = 0; i < c->n; i++) {
    if (c->dx[i] == NULL) continue;
    mgrad_product *y = &all->of[all->n++];
    *y = each[i];
    y->c = c->dx[i];
    y->c_row = y->n;
    y->c_col = 1;
    y->start = (mgrad_matrix){ c->add[i] ? y->c : NULL, y->n, 1 };
    y->work = c->work + used;
    y->nwork = c->nwork_backward - used;
    y->pool = c->ctx->pool;
  }
}

static void describe(const mgrad_call *c, products *all) {
  *all = (products){ .act = activation(c) };
  if (all->act != NULL) mgrad_attrs_initial(mgrad_op_attrs(all->act), all->p);
  if (c->dy != NULL) describe_backward(c, all);
  else describe_forward(c, all);
}

static void linear_prepare(mgrad_call *c) {
  products *all = c->prepared;
  describe(c, all);
  if (c->packed != NULL) mgrad_pack_b(all->of[0].n, all->of[0].k, all->of[0].b, c->packed);
}

static void linear_forward(mgrad_call *c) {
  products own, *all = c->prepared;
  if (all == NULL) describe(c, all = &own);
  mgrad_gemm(&all->of[0]);
}

static void linear_backward(mgrad_call *c) {
  products own, *all = c->prepared;
  if (all == NULL) describe(c, all = &own);
  if (all->act != NULL) {
    mgrad_map_slope(c->ctx, all->count, &all->slope);
  }
  for (int i = 0; i < all->n; i++) mgrad_gemm(&all->of[i]);
}

MGRAD_OP(linear) = {
  MGRAD_NAMED(linear), .operands = "x weight bias?", .reads = 3 | MGRAD_READS_Y,
  MGRAD_ATTRS({ "act", MGRAD_ATTR_ACT, -1, .doc = "what the sum goes through" }),
  .doc = "act(x weight' + bias), x {.., in}, weight {out, in}, bias {out}",
  .infer = linear_infer, .forward = linear_forward, .backward = linear_backward,
  .prepare = linear_prepare, .bytes = sizeof(products),
  MGRAD_EXAMPLES({ .shapes = { { 2, 3 }, { 4, 3 }, { 4 } } },
                 { .shapes = { { 5, 3 }, { 1, 3 }, { -1 } } },
                 { .shapes = { { 2, 2, 3 }, { 4, 3 }, { 4 } } }) };
