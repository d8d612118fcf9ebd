/*
** recurrent.c - a recurrent cell over whole sequences: plain, GRU, LSTM; one op for
** one layer and direction, gates and names as in PyTorch's nn.RNN, nn.GRU, nn.LSTM.
**
** Inside, numbers lie step by step: {time, batch, ..}. For each step the gates of all
** rows are two products, x weight_ih' and h weight_hh' on top of it, and then loops
** over what has just been written. Rows of the batch do not see each other, so threads
** take some rows each through all steps. Weights are packed once for all steps. The
** gradients of the weights are one product each over all steps at the end. Where x is
** nearly all zeros, as characters written out as vectors of 0 and 1 are, its products
** leave out the zeros, which changes no bit.
**
** A row whose sequence has ended (see 'lengths') keeps its state, and gives zeros; in
** the reverse direction, where the steps behind the end come first, that state is still
** the initial one.
*/
#include "../op.h"
#include "../kernels/kernels.h"
#include "../kernels/maths.h"

enum { X, WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, H, C, LENGTHS };
enum { CELL, REVERSE, GIVES };
enum { TANH_CELL, RELU_CELL, GRU, LSTM };
enum { SEQUENCE, LAST, ALL };
/* Rows of one part: a few fill the tiles of a product; more leave the cache. */
enum { FEWEST_ROWS = 16, MOST_ROWS = 64, WEIGHT_ROWS = 16, MOST_WEIGHT_ROWS = 192 };

/* Rows of weight_hh whose product goes to 'column' of the gates. */
typedef struct block { int64_t row, rows, column; } block;

typedef struct sequence {
  const mgrad_call *call;
  int cell, gives;
  int64_t batch, time, in, n;    /* n: numbers of a state */
  int64_t gates;                 /* rows of the weights */
  int64_t width;                 /* of z: the gates, for a GRU also W_hn h + b_hn */
  int64_t rows;                  /* of one part */
  int64_t out_rows;              /* of y for one row of the batch */
  int nblocks;
  block blocks[2];
  void (*forward)(const struct sequence *q, int64_t at);
  void (*backward)(const struct sequence *q, int64_t at, int64_t row);
  mgrad_real *z;                 /* {time, batch, width}: gates, after activation */
  mgrad_real *h, *c;             /* {time + 1, batch, n}: states before each step */
  mgrad_real *squashed;          /* {time, batch, n}: tanh(c) after each step */
  bool sparse;                   /* few numbers of x are not 0 */
  mgrad_real *across;            /* {in, gates}: weight_ih' or its gradient, if sparse */
  mgrad_real *bias;              /* {width} */
  mgrad_real *packed_ih, *packed_hh;
  mgrad_real *dz;                /* as z, before activation */
  mgrad_real *dh, *dc;           /* {batch, n} */
  mgrad_real *x;                 /* {time, batch, in}, zeros behind the end */
  mgrad_real *dbias;             /* {width} */
  mgrad_real *rest;              /* scratch of the products, for each thread */
  int64_t nrest;
} sequence;

static const double none[MGRAD_MAX_ATTRS]; /* the options of sigmoid, tanh, relu */

static const mgrad_map *map_of(const sequence *q, int op) {
  return &q->call->ctx->code->ops[op]->map;
}

static const mgrad_real *operand(const sequence *q, int i) {
  return q->call->x[i] != NULL ? q->call->x[i]->data : NULL;
}

/* The place in time of a step. */
static int64_t place(const sequence *q, int64_t step) {
  return q->call->attrs->value[REVERSE] != 0 ? q->time - 1 - step : step;
}

static bool live(const sequence *q, int64_t step, int64_t row) {
  const mgrad_real *lengths = operand(q, LENGTHS);
  return lengths == NULL || place(q, step) < (int64_t)lengths[row];
}

/* Where the states are in y: as row 'time', or alone. */
static int64_t last_row(const sequence *q) { return q->gives == LAST ? 0 : q->time; }

/* ---- the cells: one row, one step; 'at' counts rows of all steps ---- */

static void plain_forward(const sequence *q, int64_t at) {
  const mgrad_map *act = map_of(q, q->cell == TANH_CELL ? MGRAD_ID_tanh : MGRAD_ID_relu);
  act->forward(q->n, q->z + at * q->n, q->h + (at + q->batch) * q->n, none);
}

static void plain_backward(const sequence *q, int64_t at, int64_t row) {
  const mgrad_map *act = map_of(q, q->cell == TANH_CELL ? MGRAD_ID_tanh : MGRAD_ID_relu);
  const mgrad_real *h = q->h + (at + q->batch) * q->n;
  mgrad_real *dh = q->dh + row * q->n;
  act->backward(q->n, h, h, dh, q->dz + at * q->n, none);
  memset(dh, 0, (size_t)q->n * sizeof *dh);
}

/* Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, with
** the reset gate behind the product, as in cuDNN: z holds r, u, m, and what r scales */
static void gru_forward(const sequence *q, int64_t at) {
  int64_t n = q->n;
  mgrad_real *r = q->z + at * q->width, *u = r + n, *m = u + n, *scaled = m + n;
  const mgrad_real *before = q->h + at * n;
  mgrad_real *h = q->h + (at + q->batch) * n;
  map_of(q, MGRAD_ID_sigmoid)->forward(2 * n, r, r, none);
  MGRAD_EACH(j, n) m[j] += r[j] * scaled[j];
  map_of(q, MGRAD_ID_tanh)->forward(n, m, m, none);
  MGRAD_EACH(j, n) h[j] = m[j] + u[j] * (before[j] - m[j]);
}

static void gru_backward(const sequence *q, int64_t at, int64_t row) {
  int64_t n = q->n;
  const mgrad_real *z = q->z + at * q->width, *before = q->h + at * n;
  mgrad_real *dz = q->dz + at * q->width, *dh = q->dh + row * n;
  MGRAD_EACH(j, n) {
    mgrad_real r = z[j], u = z[n + j], m = z[2 * n + j], scaled = z[3 * n + j];
    mgrad_real dm = dh[j] * (1 - u) * (1 - m * m);
    dz[j] = dm * scaled * r * (1 - r);
    dz[n + j] = dh[j] * (before[j] - m) * u * (1 - u);
    dz[2 * n + j] = dm;
    dz[3 * n + j] = dm * r;
    dh[j] *= u;
  }
}

/* Hochreiter, Schmidhuber, "Long short-term memory", 1997; Gers et al., "Learning to
** forget", 2000: z holds i, f, g, o */
static void lstm_forward(const sequence *q, int64_t at) {
  int64_t n = q->n;
  mgrad_real *i = q->z + at * q->width, *f = i + n, *g = f + n, *o = g + n;
  const mgrad_real *before = q->c + at * n;
  mgrad_real *c = q->c + (at + q->batch) * n, *h = q->h + (at + q->batch) * n;
  mgrad_real *squashed = q->squashed + at * n;
  map_of(q, MGRAD_ID_sigmoid)->forward(2 * n, i, i, none);
  map_of(q, MGRAD_ID_tanh)->forward(n, g, g, none);
  map_of(q, MGRAD_ID_sigmoid)->forward(n, o, o, none);
  MGRAD_EACH(j, n) c[j] = f[j] * before[j] + i[j] * g[j];
  map_of(q, MGRAD_ID_tanh)->forward(n, c, squashed, none);
  MGRAD_EACH(j, n) h[j] = o[j] * squashed[j];
}

static void lstm_backward(const sequence *q, int64_t at, int64_t row) {
  int64_t n = q->n;
  const mgrad_real *z = q->z + at * q->width, *before = q->c + at * n;
  const mgrad_real *squashed = q->squashed + at * n;
  mgrad_real *dz = q->dz + at * q->width, *dh = q->dh + row * n, *dc = q->dc + row * n;
  MGRAD_EACH(j, n) {
    mgrad_real i = z[j], f = z[n + j], g = z[2 * n + j], o = z[3 * n + j], t = squashed[j];
    mgrad_real d = dc[j] + dh[j] * o * (1 - t * t);
    dz[j] = d * g * i * (1 - i);
    dz[n + j] = d * before[j] * f * (1 - f);
    dz[2 * n + j] = d * i * (1 - g * g);
    dz[3 * n + j] = dh[j] * t * o * (1 - o);
    dc[j] = d * f;
    dh[j] = 0;
  }
}

/* ---- what a call consists of ---- */

static void describe(const mgrad_call *call, sequence *q) {
  static const int gates[] = { 1, 1, 3, 4 };
  const mgrad_array *x = call->x[X], *w = call->x[WEIGHT_HH];
  int64_t n = w->size[1];
  *q = (sequence){ .call = call, .cell = (int)call->attrs->value[CELL],
                   .gives = (int)call->attrs->value[GIVES], .batch = x->size[0],
                   .time = x->size[1], .in = x->size[2], .n = n, .nblocks = 1 };
  q->gates = gates[q->cell] * n;
  q->width = q->gates;
  q->blocks[0] = (block){ 0, q->gates, 0 };
  q->forward = q->cell == LSTM ? lstm_forward : plain_forward;
  q->backward = q->cell == LSTM ? lstm_backward : plain_backward;
  if (q->cell == GRU) {
    q->width = 4 * n;
    q->nblocks = 2;
    q->blocks[0].rows = 2 * n;
    q->blocks[1] = (block){ 2 * n, n, 3 * n };
    q->forward = gru_forward;
    q->backward = gru_backward;
  }
  q->out_rows = q->gives == LAST ? 1 : q->time;
  if (q->gives == ALL) q->out_rows += q->cell == LSTM ? 2 : 1;
}

/* The next n numbers of a stretch, made up to whole cache lines; NULL where only its
** length is wanted. */
static mgrad_real *take(mgrad_real *from, int64_t *at, int64_t n) {
  mgrad_real *p = from != NULL ? from + *at : NULL;
  *at += (n + 15) / 16 * 16;
  return p;
}

static int64_t take_saved(sequence *q, mgrad_real *from) {
  int64_t at = 0, steps = q->time * q->batch;
  q->z = take(from, &at, steps * q->width);
  q->h = take(from, &at, (steps + q->batch) * q->n);
  if (q->cell != LSTM) return at;
  q->c = take(from, &at, (steps + q->batch) * q->n);
  q->squashed = take(from, &at, steps * q->n);
  return at;
}

/* A single step reads weights where they lie. */
static int64_t take_work(sequence *q, mgrad_real *from) {
  int64_t at = 0;
  q->bias = take(from, &at, q->width);
  if (q->time == 1) return at;
  q->packed_ih = take(from, &at, mgrad_pack_b_size(q->gates, q->in));
  q->across = q->packed_ih; /* only one of them is used */
  int64_t n = 0;
  for (int i = 0; i < q->nblocks; i++) n += mgrad_pack_b_size(q->blocks[i].rows, q->n);
  q->packed_hh = take(from, &at, n);
  return at;
}

static int64_t take_work_backward(sequence *q, mgrad_real *from) {
  int64_t at = 0, steps = q->time * q->batch;
  int threads = mgrad_threads(q->call->ctx);
  q->dz = take(from, &at, steps * q->width);
  q->x = take(from, &at, steps * q->in);
  q->dh = take(from, &at, q->batch * q->n);
  q->dc = take(from, &at, q->batch * q->n);
  q->dbias = take(from, &at, q->width);
  if (q->time > 1) {
    q->across = take(from, &at, q->in * q->gates);
    q->packed_ih = take(from, &at, mgrad_pack_b_size(q->in, q->gates));
    q->packed_hh = take(from, &at, mgrad_pack_b_size(q->n, q->gates));
  }
  int64_t ih = mgrad_gemm_nwork(q->gates, q->in, steps, 1);
  int64_t hh = mgrad_gemm_nwork(q->gates, q->n, steps, 1);
  q->nrest = ih > hh ? ih : hh;
  q->rest = take(from, &at, q->nrest * threads);
  return at;
}

static mgrad_status expect(const mgrad_call *c, int i, const char *name, int ndim, int64_t a,
                           int64_t b) {
  mgrad_array shape = { .ndim = ndim, .size = { a, b } };
  if (c->x[i] == NULL || mgrad_shape_equal(c->x[i], &shape)) return MGRAD_OK;
  return mgrad_op_fail(c, "%s is %a, expected %a", name, c->x[i], &shape);
}

static mgrad_status check_shapes(const mgrad_call *c, const sequence *q) {
  MGRAD_TRY(expect(c, WEIGHT_IH, "weight_ih", 2, q->gates, q->in));
  MGRAD_TRY(expect(c, WEIGHT_HH, "weight_hh", 2, q->gates, q->n));
  MGRAD_TRY(expect(c, BIAS_IH, "bias_ih", 1, q->gates, 0));
  MGRAD_TRY(expect(c, BIAS_HH, "bias_hh", 1, q->gates, 0));
  MGRAD_TRY(expect(c, H, "h", 2, q->batch, q->n));
  MGRAD_TRY(expect(c, C, "c", 2, q->batch, q->n));
  if (c->x[C] != NULL && q->cell != LSTM) return mgrad_op_fail(c, "only an lstm takes c");
  return expect(c, LENGTHS, "lengths", 1, q->batch, 0);
}

static mgrad_status recurrent_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[X], *w = c->x[WEIGHT_HH];
  if (x->ndim != 3) return mgrad_op_fail(c, "x is %a, expected {batch, time, features}", x);
  if (w->ndim != 2) return mgrad_op_fail(c, "weight_hh is %a, expected {gates, hidden}", w);
  if (w->size[1] > INT64_MAX / 4) return mgrad_op_fail(c, "the result is too large");
  sequence q;
  describe(c, &q);
  MGRAD_TRY(check_shapes(c, &q));
  double steps = ((double)q.time + 2) * (double)q.batch;
  if (steps * (2.0 * (double)q.width + 3.0 * (double)q.n + (double)q.in) > 1e15) {
    return mgrad_op_fail(c, "the result is too large");
  }
  *c->y = (mgrad_array){ .ndim = 3, .size = { q.batch, q.out_rows, q.n } };
  if (q.gives == LAST) *c->y = (mgrad_array){ .ndim = 2, .size = { q.batch, q.n } };
  c->nsaved = take_saved(&q, NULL);
  c->nwork = take_work(&q, NULL);
  c->nwork_backward = take_work_backward(&q, NULL);
  return MGRAD_OK;
}

static mgrad_status recurrent_check(const mgrad_call *c) {
  if (c->x[LENGTHS] == NULL) return MGRAD_OK;
  return mgrad_check_ids(c, LENGTHS, "a length", c->x[X]->size[1], NAN);
}

/* Calls f for parts of n rows, of the batch or of the weights: as many as suit the
** threads, of so many rows. */
static void in_parts(sequence *q, int64_t n, int64_t fewest, int64_t most, mgrad_part_fn f) {
  mgrad_pool *pool = q->call->ctx->pool;
  double work = (double)(q->time * q->batch) * (double)q->gates * (double)(q->n + q->in);
  q->rows = mgrad_min_size(n, most);
  if (work >= MGRAD_POOL_WAKING && pool->crew != NULL) {
    int64_t parts = 2 * mgrad_pool_threads(pool), rows = (n + parts - 1) / parts;
    q->rows = mgrad_min_size(q->rows, (rows + fewest - 1) / fewest * fewest);
  }
  mgrad_pool_run(pool, work, (n + q->rows - 1) / q->rows, f, q);
}

/* ---- forward ---- */

static void sum_biases(const sequence *q) {
  const mgrad_real *ih = operand(q, BIAS_IH), *hh = operand(q, BIAS_HH);
  memset(q->bias, 0, (size_t)q->width * sizeof *q->bias);
  if (ih != NULL) memcpy(q->bias, ih, (size_t)q->gates * sizeof *ih);
  for (int i = 0; hh != NULL && i < q->nblocks; i++) {
    const block *b = &q->blocks[i];
    MGRAD_EACH(j, b->rows) q->bias[b->column + j] += hh[b->row + j];
  }
}

/* to{n, m} = from{m, n}' */
static void transpose(int64_t m, int64_t n, const mgrad_real *from, int64_t from_row,
                      mgrad_real *to, int64_t to_row) {
  enum { STRIP = 16 }; /* rows that stay in the cache */
  for (int64_t first = 0; first < m; first += STRIP) {
    int64_t end = mgrad_min_size(first + STRIP, m);
    for (int64_t j = 0; j < n; j++)
      for (int64_t i = first; i < end; i++) to[j * to_row + i] = from[i * from_row + j];
  }
}

/* Weights as the products of all steps read them: a weight, or its transpose. */
static void pack(const sequence *q, bool transposed) {
  if (q->packed_ih == NULL) return;
  mgrad_real *to = q->packed_hh;
  for (int i = 0; i < q->nblocks; i++) {
    int64_t rows = q->blocks[i].rows, n = transposed ? rows : q->n;
    mgrad_matrix hh = { operand(q, WEIGHT_HH) + q->blocks[i].row * q->n, q->n, 1 };
    if (transposed) hh.row = 1, hh.col = q->n;
    mgrad_pack_b(n, rows + q->n - n, hh, to);
    to += mgrad_pack_b_size(n, rows + q->n - n);
  }
  mgrad_matrix ih = { operand(q, WEIGHT_IH), q->in, 1 };
  if (!transposed && q->call->dx[X] != NULL) mgrad_pack_b(q->in, q->gates, ih, q->packed_ih);
  if (!transposed) return;
  ih.row = 1, ih.col = q->in;
  if (q->sparse) transpose(q->gates, q->in, ih.data, q->in, q->across, q->gates);
  else mgrad_pack_b(q->gates, q->in, ih, q->packed_ih);
}

/* z of m rows from 'first' on: bias + x weight_ih' + h weight_hh' */
static void gates_of(const sequence *q, int64_t step, int64_t first, int64_t m) {
  mgrad_real *z = q->z + (step * q->batch + first) * q->width;
  const mgrad_real *x = operand(q, X) + (first * q->time + place(q, step)) * q->in;
  const mgrad_real *packed = q->packed_hh;
  mgrad_product ih = { .m = m, .n = q->gates, .k = q->in, .a = { x, q->time * q->in, 1 },
                       .b = { operand(q, WEIGHT_IH), 1, q->in }, .packed = q->packed_ih,
                       .start = { q->bias, 0, 1 }, .c = z, .c_row = q->width, .c_col = 1 };
  if (q->sparse) {
    ih.b = (mgrad_matrix){ q->across, q->gates, 1 };
    mgrad_gemm_sparse(&ih);
  } else {
    mgrad_gemm(&ih);
  }
  for (int i = 0; i < q->nblocks; i++) {
    const block *b = &q->blocks[i];
    bool begun = b->column < q->gates; /* by the first product */
    mgrad_product hh = {
      .m = m, .n = b->rows, .k = q->n, .packed = packed,
      .a = { q->h + (step * q->batch + first) * q->n, q->n, 1 },
      .b = { operand(q, WEIGHT_HH) + b->row * q->n, 1, q->n },
      .start = { begun ? z + b->column : q->bias + b->column, begun ? q->width : 0, 1 },
      .c = z + b->column, .c_row = q->width, .c_col = 1 };
    mgrad_gemm(&hh);
    if (packed != NULL) packed += mgrad_pack_b_size(b->rows, q->n);
  }
}

/* to = from, or zeros where that is NULL */
static void copy_row(mgrad_real *to, const mgrad_real *from, int64_t n) {
  if (from != NULL) memcpy(to, from, (size_t)n * sizeof *to);
  else memset(to, 0, (size_t)n * sizeof *to);
}

static void step_forward(const sequence *q, int64_t step, int64_t row) {
  int64_t at = step * q->batch + row, n = q->n;
  mgrad_real *h = q->h + (at + q->batch) * n;
  bool alive = live(q, step, row);
  if (alive) {
    q->forward(q, at);
  } else {
    copy_row(h, q->h + at * n, n);
    if (q->cell == LSTM) copy_row(q->c + (at + q->batch) * n, q->c + at * n, n);
  }
  if (q->gives == LAST) return;
  mgrad_real *y = q->call->y->data + (row * q->out_rows + place(q, step)) * n;
  copy_row(y, alive ? h : NULL, n);
}

/* Is the next step, or what takes as long, to be done, for so many rows? */
static bool piece(const sequence *q, int64_t rows, int worker) {
  int64_t work = rows * q->gates * (q->n + q->in);
  return mgrad_pool_piece(q->call->ctx->pool, worker, work);
}

static void forward_part(void *ud, int64_t part, int worker) {
  const sequence *q = ud;
  int64_t first = part * q->rows, end = mgrad_min_size(first + q->rows, q->batch), n = q->n;
  const mgrad_real *h = operand(q, H), *c = operand(q, C);
  for (int64_t r = first; r < end; r++) {
    copy_row(q->h + r * n, h != NULL ? h + r * n : NULL, n);
    if (q->cell == LSTM) copy_row(q->c + r * n, c != NULL ? c + r * n : NULL, n);
  }
  for (int64_t step = 0; step < q->time; step++) {
    if (!piece(q, end - first, worker)) continue;
    gates_of(q, step, first, end - first);
    for (int64_t r = first; r < end; r++) step_forward(q, step, r);
  }
  for (int64_t r = first; r < end && q->gives != SEQUENCE; r++) {
    int64_t at = q->time * q->batch + r;
    mgrad_real *y = q->call->y->data + (r * q->out_rows + last_row(q)) * n;
    copy_row(y, q->h + at * n, n);
    if (q->gives == ALL && q->cell == LSTM) copy_row(y + n, q->c + at * n, n);
  }
}

static void recurrent_forward(mgrad_call *c) {
  sequence q;
  describe(c, &q);
  take_saved(&q, c->saved);
  take_work(&q, c->work);
  q.sparse = q.time > 1 && mgrad_is_sparse(q.batch * q.time, q.in, operand(&q, X));
  if (piece(&q, 1, 0)) {
    sum_biases(&q);
    pack(&q, true);
  }
  in_parts(&q, q.batch, FEWEST_ROWS, MOST_ROWS, forward_part);
}

/* ---- backward ---- */

/* dh += dz weight_hh, for m rows from 'first' on */
static void back_to_h(const sequence *q, int64_t step, int64_t first, int64_t m) {
  const mgrad_real *dz = q->dz + (step * q->batch + first) * q->width;
  const mgrad_real *packed = q->packed_hh;
  mgrad_real *dh = q->dh + first * q->n;
  for (int i = 0; i < q->nblocks; i++) {
    const block *b = &q->blocks[i];
    mgrad_product p = { .m = m, .n = q->n, .k = b->rows, .packed = packed,
                        .a = { dz + b->column, q->width, 1 },
                        .b = { operand(q, WEIGHT_HH) + b->row * q->n, q->n, 1 },
                        .start = { dh, q->n, 1 }, .c = dh, .c_row = q->n, .c_col = 1 };
    mgrad_gemm(&p);
    if (packed != NULL) packed += mgrad_pack_b_size(q->n, b->rows);
  }
}

/* dx = dz weight_ih */
static void back_to_x(const sequence *q, int64_t step, int64_t first, int64_t m) {
  int64_t row = q->time * q->in;
  mgrad_real *dx = q->call->dx[X] + (first * q->time + place(q, step)) * q->in;
  mgrad_product p = { .m = m, .n = q->in, .k = q->gates, .packed = q->packed_ih,
                      .a = { q->dz + (step * q->batch + first) * q->width, q->width, 1 },
                      .b = { operand(q, WEIGHT_IH), q->in, 1 },
                      .start = { q->call->add[X] ? dx : NULL, row, 1 },
                      .c = dx, .c_row = row, .c_col = 1 };
  mgrad_gemm(&p);
}

static void step_backward(const sequence *q, int64_t step, int64_t row) {
  int64_t at = step * q->batch + row, t = place(q, step);
  bool alive = live(q, step, row);
  const mgrad_real *x = operand(q, X) + (row * q->time + t) * q->in;
  if (q->call->dx[WEIGHT_IH] != NULL) copy_row(q->x + at * q->in, alive ? x : NULL, q->in);
  if (!alive) {
    copy_row(q->dz + at * q->width, NULL, q->width);
    return;
  }
  const mgrad_real *dy = q->call->dy + (row * q->out_rows + t) * q->n;
  mgrad_real *dh = q->dh + row * q->n;
  if (q->gives != LAST) MGRAD_EACH(j, q->n) dh[j] += dy[j];
  q->backward(q, at, row);
}

static void backward_part(void *ud, int64_t part, int worker) {
  const sequence *q = ud;
  int64_t first = part * q->rows, end = mgrad_min_size(first + q->rows, q->batch), n = q->n;
  bool begins = piece(q, 1, worker);
  for (int64_t r = first; r < end && begins; r++) {
    const mgrad_real *dy = q->call->dy + (r * q->out_rows + last_row(q)) * n;
    copy_row(q->dh + r * n, q->gives != SEQUENCE ? dy : NULL, n);
    copy_row(q->dc + r * n, q->gives == ALL && q->cell == LSTM ? dy + n : NULL, n);
  }
  for (int64_t step = q->time - 1; step >= 0; step--) {
    if (!piece(q, end - first, worker)) continue;
    for (int64_t r = first; r < end; r++) step_backward(q, step, r);
    if (step > 0 || q->call->dx[H] != NULL) back_to_h(q, step, first, end - first);
    if (q->call->dx[X] != NULL) back_to_x(q, step, first, end - first);
  }
}

/* to = from, or to += from */
static void give(const sequence *q, int operand, int64_t at, const mgrad_real *from,
                 int64_t n) {
  mgrad_real *to = q->call->dx[operand];
  if (to == NULL) return;
  to += at;
  if (!q->call->add[operand]) copy_row(to, from, n);
  else MGRAD_EACH(j, n) to[j] += from[j];
}

/* dw = dz' a over all steps, for the rows of a block; as many at once as the cache holds */
static void weight_gradient(const sequence *q, int operand, block b, const mgrad_real *a,
                            int64_t n, int worker) {
  mgrad_real *dw = q->call->dx[operand];
  for (int64_t i = 0, m; i < b.rows && dw != NULL; i += m) {
    mgrad_real *to = dw + (b.row + i) * n;
    m = mgrad_min_size(MOST_WEIGHT_ROWS, b.rows - i);
    mgrad_product p = { .m = m, .n = n, .k = q->time * q->batch,
                        .a = { q->dz + b.column + i, 1, q->width }, .b = { a, n, 1 },
                        .start = { q->call->add[operand] ? to : NULL, n, 1 }, .c = to,
                        .c_row = n, .c_col = 1, .nwork = q->nrest,
                        .work = q->rest + worker * q->nrest, .worker = worker,
                        .pool = q->call->ctx->pool, .alone = true };
    mgrad_gemm(&p);
  }
}

/* The same for weight_ih where x is sparse. */
static void sparse_gradient(const sequence *q, int64_t row, int64_t m, int worker) {
  mgrad_real *dw = q->call->dx[WEIGHT_IH], *sum = q->across + row;
  if (dw == NULL || !piece(q, m, worker)) return;
  dw += row * q->in;
  bool add = q->call->add[WEIGHT_IH];
  mgrad_product p = { .m = q->in, .n = m, .k = q->time * q->batch, .a = { q->x, 1, q->in },
                      .b = { q->dz + row, q->width, 1 }, .c = sum, .c_row = q->gates,
                      .start = { add ? sum : NULL, q->gates, 1 }, .c_col = 1 };
  if (add) transpose(m, q->in, dw, q->in, sum, q->gates);
  mgrad_gemm_sparse(&p);
  transpose(q->in, m, sum, q->gates, dw, q->in);
}

/* Sums of dz over all steps, at the columns of a block, into the gradient of a bias. */
static void bias_gradient(const sequence *q, int operand, block b, bool summed, int worker) {
  static const mgrad_real one = 1;
  if (q->call->dx[operand] == NULL || !piece(q, 1, worker)) return;
  mgrad_real *to = q->dbias + b.column;
  mgrad_product sum = { .m = 1, .n = b.rows, .k = q->time * q->batch, .a = { &one, 0, 0 },
                        .b = { q->dz + b.column, q->width, 1 }, .c = to, .c_row = b.rows,
                        .c_col = 1 };
  if (!summed) mgrad_gemm(&sum);
  give(q, operand, b.row, to, b.rows);
}

/* All that belongs to some rows of the weights: those of one part. */
static void weights_part(void *ud, int64_t part, int worker) {
  const sequence *q = ud;
  int64_t first = part * q->rows, end = mgrad_min_size(first + q->rows, q->gates);
  block ih = { first, end - first, first };
  if (q->sparse) sparse_gradient(q, first, end - first, worker);
  else weight_gradient(q, WEIGHT_IH, ih, q->x, q->in, worker);
  bias_gradient(q, BIAS_IH, ih, false, worker);
  for (int i = 0; i < q->nblocks; i++) {
    block b = q->blocks[i];
    int64_t from = first > b.row ? first : b.row;
    int64_t rows = mgrad_min_size(end, b.row + b.rows) - from;
    if (rows <= 0) continue;
    block hh = { from, rows, b.column + from - b.row };
    bool summed = q->call->dx[BIAS_IH] != NULL && hh.column < q->gates;
    weight_gradient(q, WEIGHT_HH, hh, q->h, q->n, worker);
    bias_gradient(q, BIAS_HH, hh, summed, worker);
  }
}

static void recurrent_backward(mgrad_call *c) {
  sequence q;
  describe(c, &q);
  take_saved(&q, c->saved);
  take_work_backward(&q, c->work);
  q.sparse = q.time > 1 && mgrad_is_sparse(q.batch * q.time, q.in, operand(&q, X));
  if (piece(&q, 1, 0)) pack(&q, false);
  in_parts(&q, q.batch, FEWEST_ROWS, MOST_ROWS, backward_part);
  in_parts(&q, q.gates, WEIGHT_ROWS, INT64_MAX, weights_part);
  if (!piece(&q, 1, 0)) return;
  give(&q, H, 0, q.dh, q.batch * q.n);
  give(&q, C, 0, q.dc, q.batch * q.n);
}

MGRAD_OP(recurrent) = {
  MGRAD_NAMED(recurrent), .reads = 1 << X | 1 << WEIGHT_IH | 1 << WEIGHT_HH | 1 << LENGTHS,
  .operands = "x weight_ih weight_hh bias_ih? bias_hh? h? c? lengths?",
  .constant = 1 << LENGTHS,
  MGRAD_ATTRS({ "cell", MGRAD_ATTR_CHOICE, TANH_CELL, .choices = "tanh|relu|gru|lstm",
                .doc = "what makes a state of the one before" },
              { "reverse", MGRAD_ATTR_BOOL, 0, .doc = "from the last step to the first" },
              { "gives", MGRAD_ATTR_CHOICE, SEQUENCE, .choices = "sequence|last|all",
                .doc = "which states" }),
  .doc = "one layer of rnn, gru or lstm over x {batch, time, features}: its states {batch,"
         " time, hidden}; the last one {batch, hidden}; or all, with the final h (and c)"
         " as further steps",
  .infer = recurrent_infer, .check = recurrent_check, .forward = recurrent_forward,
  .backward = recurrent_backward,
  MGRAD_EXAMPLES(
    { .operands = 8,
      .shapes = { { 4, 5, 2 }, { 12, 2 }, { 12, 3 }, { 12 }, { 12 }, { 4, 3 }, { 4, 3 }, { 4 } },
      .fill = { [LENGTHS] = MGRAD_FILL_LABELS }, .labels = 5,
      .attrs = { { "cell", LSTM }, { "gives", ALL } } },
    { .operands = 8,
      .shapes = { { 4, 5, 2 }, { 9, 2 }, { 9, 3 }, { 9 }, { 9 }, { 4, 3 }, { -1 }, { 4 } },
      .fill = { [LENGTHS] = MGRAD_FILL_LABELS }, .labels = 5,
      .attrs = { { "cell", GRU }, { "gives", ALL }, { "reverse", 1 } } },
    { .operands = 8,
      .shapes = { { 4, 5, 2 }, { 3, 2 }, { 3, 3 }, { 3 }, { 3 }, { 4, 3 }, { -1 }, { 4 } },
      .fill = { [LENGTHS] = MGRAD_FILL_LABELS }, .labels = 5,
      .attrs = { { "cell", TANH_CELL }, { "gives", LAST } } },
    { .operands = 8,
      .shapes = { { 2, 1, 3 }, { 4, 3 }, { 4, 1 }, { -1 }, { 4 }, { -1 }, { 2, 1 }, { -1 } },
      .attrs = { { "cell", LSTM }, { "reverse", 1 } } },
    { .operands = 3, .shapes = { { 1, 3, 2 }, { 12, 2 }, { 12, 4 } },
      .attrs = { { "cell", GRU } } },
    { .operands = 5, .shapes = { { 3, 4, 2 }, { 5, 2 }, { 5, 5 }, { 5 }, { -1 } },
      .low = 0.1, .high = 0.9, .attrs = { { "cell", RELU_CELL } } }) };
