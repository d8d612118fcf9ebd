/*
** attention.c - for each query the mean of values, weighted by how well their keys fit:
** softmax(q k' / sqrt(d)) v, of several heads side by side (Vaswani et al., "Attention is
** all you need", 2017).
**
** The work falls into parts, one head of one example each, which threads share; a part
** goes by blocks of ROWS queries, so that memory grows with the length of a sequence and
** not with its square. Of each query the greatest score and 1 / sum are saved: with them
** backward makes the same weights again.
**
** Sums over keys are taken in order or in lanes that do not depend on their number, so
** that hidden keys at the end change no bit. A query that sees no key gives zeros.
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

enum { Q, K, V, MASK };           /* operands */
enum { HEADS, CAUSAL, P };        /* attributes */
enum { ROWS = 64, UNIT = 16 };    /* UNIT: numbers in a cache line */

/* Rows of a sequence, a head's window of them: row i is data + i * row. */
typedef struct window {
  mgrad_real *data;
  int64_t row;
} window;

typedef struct job {
  mgrad_call *c;
  int64_t batch, time, keys, heads, d, e;
  mgrad_real scale;
  bool causal, drops;
  int64_t scores;                 /* numbers of a block of scores */
  int64_t each;                   /* scratch of a worker */
} job;

/* ---- shapes ---- */

/* Which operand holds keys (1) or values (2), and which piece of its rows it is: where k
** is left out q holds all three, where v is, k holds both. */
static int holder(const mgrad_call *c, int i, int *piece) {
  bool k = c->n > K && c->x[K] != NULL, v = c->n > V && c->x[V] != NULL;
  *piece = !k ? i : i == V && !v ? 1 : 0;
  return !k ? Q : i == V && !v ? K : i;
}

/* How many pieces lie side by side in the rows of an operand. */
static int pieces(const mgrad_call *c, int operand) {
  int n = 0;
  for (int i = Q; i <= V; i++) {
    int piece;
    n += holder(c, i, &piece) == operand;
  }
  return n;
}

static mgrad_status check_sequence(const mgrad_call *c, int i, const char *name, int64_t e) {
  const mgrad_array *q = c->x[Q], *a = i < c->n ? c->x[i] : NULL;
  if (a == NULL) return MGRAD_OK;
  if (a->ndim == 3 && a->size[0] == q->size[0] && a->size[2] == e * pieces(c, i) &&
      (i != V || c->x[K] == NULL || a->size[1] == c->x[K]->size[1])) return MGRAD_OK;
  return mgrad_op_fail(c, "%s is %a, expected {%d, keys, %d} for q %a", name, a, q->size[0],
                       e * pieces(c, i), q);
}

/* The mask as {batch, time, keys}: strides 0 where it says the same for all. */
static bool see_mask(const mgrad_call *c, mgrad_array *out) {
  const mgrad_array *m = c->n > MASK ? c->x[MASK] : NULL;
  int piece, holds = holder(c, K, &piece);
  int64_t b = c->x[Q]->size[0], t = c->x[Q]->size[1], s = c->x[holds]->size[1];
  mgrad_array as = { .ndim = 3, .size = { b, t, s } }, seen;
  if (m == NULL) return true;
  seen = *m;
  if (m->ndim == 2 && m->size[0] == b && m->size[0] != t) {
    seen.ndim = 3;
    seen.size[1] = 1, seen.size[2] = m->size[1];
  }
  if (seen.ndim < 2 || seen.ndim > 3) return false;
  for (int d = 0; d < seen.ndim; d++) {
    int64_t full = as.size[3 - seen.ndim + d];
    if (seen.size[d] != full && (seen.size[d] != 1 || d == seen.ndim - 1)) return false;
  }
  mgrad_shape_pack(&seen);
  mgrad_shape_expand(&seen, &as, out);
  return true;
}

static mgrad_status check_mask(const mgrad_call *c) {
  const mgrad_array *m = c->n > MASK ? c->x[MASK] : NULL, *q = c->x[Q];
  mgrad_array seen;
  int piece;
  int64_t s = c->x[holder(c, K, &piece)]->size[1], b = q->size[0], t = q->size[1];
  if (m == NULL) return MGRAD_OK;
  if (m->ndim == 2 && b == t && b > 1 && m->size[0] == b && m->size[1] == s)
    return mgrad_op_fail(c, "mask is %a, which may be {batch, keys} or {time, keys} here; give"
                         " it as {%d, 1, %d} or {1, %d, %d}", m, b, s, t, s);
  if (see_mask(c, &seen)) return MGRAD_OK;
  return mgrad_op_fail(c, "mask is %a, expected {%d, %d} (batch, keys), {%d, %d} (time, keys)"
                       " or {%d, %d, %d}", m, b, s, t, s, b, t, s);
}

static job job_of(mgrad_call *c) {
  const mgrad_array *q = c->x[Q];
  int piece;
  job j = { c, .batch = q->size[0], .time = q->size[1] };
  j.keys = c->x[holder(c, K, &piece)]->size[1];
  j.heads = mgrad_call_int(c, HEADS);
  j.e = q->size[2] / pieces(c, Q);
  j.d = j.e / j.heads;
  j.scale = REAL(1 / sqrt((double)j.d));
  j.causal = c->attrs->value[CAUSAL] != 0;
  j.drops = c->op->id == MGRAD_ID_dot_attention_dropout && c->attrs->value[P] > 0;
  j.scores = (mgrad_min_size(j.time, ROWS) * j.keys + UNIT - 1) / UNIT * UNIT;
  return j;
}

/* Scratch of one worker: 'blocks' of scores, and what its products want. */
static int64_t worker_numbers(const job *j, int blocks) {
  int64_t m = mgrad_min_size(j->time, ROWS), most = 0;
  const int64_t sizes[][3] = { { m, j->keys, j->d }, { m, j->d, j->keys },
                               { j->keys, j->d, m } };
  for (int i = 0; i < 3; i++) {
    int64_t n = mgrad_gemm_nwork(sizes[i][0], sizes[i][1], sizes[i][2], 1);
    if (n > most) most = n;
  }
  return blocks * j->scores + (most + UNIT - 1) / UNIT * UNIT;
}

static mgrad_status attention_infer(mgrad_call *c) {
  const mgrad_array *q = c->x[Q];
  int64_t heads = mgrad_call_int(c, HEADS), threads = mgrad_threads(c->ctx);
  int n = pieces(c, Q);
  if (c->op->id == MGRAD_ID_dot_attention_dropout && c->attrs->value[P] >= 1)
    return mgrad_op_fail(c, "p is 1, expected less than 1");
  if (q->ndim != 3 || q->size[2] % n != 0 || q->size[2] / n % heads != 0)
    return mgrad_op_fail(c, "q is %a, expected {batch, time, features}, %d times a multiple"
                         " of %d heads", q, (int64_t)n, heads);
  if (c->n > V && c->x[V] != NULL && c->x[K] == NULL)
    return mgrad_op_fail(c, "v is given without k");
  MGRAD_TRY(check_sequence(c, K, "k", q->size[2] / n));
  MGRAD_TRY(check_sequence(c, V, "v", q->size[2] / n));
  MGRAD_TRY(check_mask(c));
  mgrad_infer_same(c);
  c->y->size[2] = q->size[2] / n;
  job j = job_of(c);
  int64_t parts = j.batch * j.heads, forward, backward;
  if (threads > parts) threads = parts;
  if (mgrad_mul_overflows(threads, worker_numbers(&j, 1), &forward) ||
      mgrad_mul_overflows(threads, worker_numbers(&j, 2), &backward))
    return mgrad_op_fail(c, "the sequences are too long");
  c->nsaved = 2 * parts * j.time;
  c->nwork = forward;
  c->nwork_backward = backward;
  return MGRAD_OK;
}

static mgrad_status attention_check(const mgrad_call *c) {
  const mgrad_array *m = c->n > MASK ? c->x[MASK] : NULL;
  int64_t n = m != NULL ? mgrad_shape_numel(m) : 0;
  for (int64_t i = 0; i < n; i++)
    if (m->data[i] != 0 && m->data[i] != 1)
      return mgrad_op_fail(c, "mask[%d] is %g, expected 0 (hidden) or 1 (seen)", i + 1,
                           (double)m->data[i]);
  return MGRAD_OK;
}

/* ---- what forward and backward share ---- */

/* The window of a head of an example in what holds piece i, or in its gradient; no data
** where that is not wanted. */
static window window_of(const job *j, int i, int64_t part, bool gradient, bool *add) {
  const mgrad_call *c = j->c;
  int piece, operand = holder(c, i, &piece);
  int64_t row = j->e * pieces(c, operand), rows = i == Q ? j->time : j->keys;
  mgrad_real *data = gradient ? c->dx[operand] : c->x[operand]->data;
  if (add != NULL) *add = c->add[operand];
  if (data == NULL) return (window){ NULL, row };
  data += part / j->heads * rows * row + piece * j->e + part % j->heads * j->d;
  return (window){ data, row };
}

static window result_of(const job *j, mgrad_real *y, int64_t part) {
  return (window){ y + part / j->heads * j->time * j->e + part % j->heads * j->d, j->e };
}

typedef struct scratch {
  mgrad_real *block[2], *work;
  int64_t nwork;
} scratch;

static scratch scratch_of(const job *j, int worker, int blocks) {
  mgrad_real *at = j->c->work + worker * j->each;
  return (scratch){ { at, at + j->scores }, at + blocks * j->scores,
                    j->each - blocks * j->scores };
}

/* c{m, n} = a b, or c += a b */
static void multiply(const scratch *s, int64_t m, int64_t n, int64_t k, mgrad_matrix a,
                     mgrad_matrix b, window c, bool add) {
  mgrad_product x = { .m = m, .n = n, .k = k, .a = a, .b = b, .c = c.data, .c_row = c.row,
                      .c_col = 1, .start = { add ? c.data : NULL, c.row, 1 },
                      .work = s->work, .nwork = s->nwork };
  mgrad_gemm(&x);
}

/* Rows from i on, as a matrix, and the same turned. */
static mgrad_matrix rows(window w, int64_t i) {
  return (mgrad_matrix){ w.data + i * w.row, w.row, 1 };
}

static mgrad_matrix turned(mgrad_matrix m) {
  return (mgrad_matrix){ m.data, m.col, m.row };
}

/* The sum of a b, or of a: 16 lanes and a fixed tree for any n, so that zeros at the end
** change nothing. */
static double add_up(int64_t n, const mgrad_real *a, const mgrad_real *b) {
  enum { LANES_ = 16 };
  double lane[LANES_] = { 0 };
  int64_t i = 0;
  for (; i + LANES_ <= n; i += LANES_)
    for (int l = 0; l < LANES_; l++)
      lane[l] += (double)a[i + l] * (b != NULL ? (double)b[i + l] : 1);
  for (int l = 0; i < n; i++, l++) lane[l] += (double)a[i] * (b != NULL ? (double)b[i] : 1);
  for (int half = LANES_ / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  return lane[0];
}

/* Scores of query i to keys, scaled; minus infinity for those that it does not see. */
static void hide(const job *j, int64_t part, int64_t i, mgrad_real *s) {
  mgrad_array mask;
  mgrad_real hidden = REAL(-HUGE_VAL);
  int64_t n = j->causal ? mgrad_min_size(i + 1, j->keys) : j->keys;
  MGRAD_EACH(k, n) s[k] *= j->scale;
  for (int64_t k = n; k < j->keys; k++) s[k] = hidden;
  if (j->c->n <= MASK || j->c->x[MASK] == NULL || !see_mask(j->c, &mask)) return;
  const mgrad_real *m = mask.data + part / j->heads * mask.stride[0] + i * mask.stride[1];
  MGRAD_EACH(k, n) s[k] = m[k] != 0 ? s[k] : hidden;
}

/* The weights of one query out of its scores, which hide() has seen. 'saved' is the
** greatest and 1 / sum, worked out unless they are known. */
static void weigh(int64_t n, mgrad_real *s, mgrad_real *saved, bool known) {
  mgrad_real largest = known ? saved[0] : mgrad_largest(n, s, 1);
  if (!known && largest == REAL(-HUGE_VAL)) largest = 0; /* it sees none, or only NaN */
  MGRAD_EACH(k, n) s[k] = EXP(s[k] - largest);
  double sum = known ? 0 : add_up(n, s, NULL);
  if (!known) saved[1] = sum == 0 ? 0 : REAL(1 / sum);
  saved[0] = largest;
  mgrad_real by = saved[1];
  MGRAD_EACH(k, n) s[k] *= by;
}

/* The weights of m queries from 'first' on, before any are dropped. */
static void weights(const job *j, int64_t part, int64_t first, int64_t m, const scratch *s,
                    bool known) {
  window q = window_of(j, Q, part, false, NULL), k = window_of(j, K, part, false, NULL);
  window scores = { s->block[0], j->keys };
  mgrad_real *saved = j->c->saved + 2 * (part * j->time + first);
  multiply(s, m, j->keys, j->d, rows(q, first), turned(rows(k, 0)), scores, false);
  for (int64_t i = 0; i < m; i++) {
    hide(j, part, first + i, scores.data + i * j->keys);
    weigh(j->keys, scores.data + i * j->keys, saved + 2 * i, known);
  }
}

/* Of the weights of m queries, or of their gradients: those that stay are scaled. */
static void drop(const job *j, int64_t part, int64_t first, int64_t m, mgrad_real *s) {
  enum { BLOCK = 256 };
  double p = j->c->attrs->value[P];
  mgrad_real scale = REAL(1 / (1 - p));
  uint64_t at = (uint64_t)((part * j->time + first) * j->keys);
  uint32_t limit = mgrad_words_limit(p), words[BLOCK];
  for (int64_t i = 0; j->drops && i < m * j->keys; i += BLOCK) {
    int64_t n = mgrad_min_size(BLOCK, m * j->keys - i);
    mgrad_words(j->c->seed, j->c->stream, at + (uint64_t)i, n, words);
    MGRAD_EACH(k, n) s[i + k] = words[k] >> 8 >= limit ? s[i + k] * scale : 0;
  }
}

/* Threads share parts, as many as there is scratch for. */
static void share(job *j, int64_t nwork, int blocks, mgrad_part_fn f) {
  mgrad_pool *pool = j->c->ctx->pool;
  int64_t parts = j->batch * j->heads;
  j->each = worker_numbers(j, blocks);
  double work = MGRAD_POOL_NUMBER * (double)(parts * j->time * j->keys);
  bool room = mgrad_pool_threads(pool) <= nwork / j->each;
  mgrad_pool_run(pool, room ? work : 0, parts, f, j);
}

/* Are the next queries to be looked at? */
static bool piece(const job *j, int worker) {
  return mgrad_pool_piece(j->c->ctx->pool, worker, 2 * ROWS * j->keys * j->d);
}

/* ---- forward ---- */

static void part_forward(void *ud, int64_t part, int worker) {
  job *j = ud;
  scratch s = scratch_of(j, worker, 1);
  window v = window_of(j, V, part, false, NULL), y = result_of(j, j->c->y->data, part);
  for (int64_t first = 0; first < j->time; first += ROWS) {
    if (!piece(j, worker)) continue;
    int64_t m = mgrad_min_size(ROWS, j->time - first);
    window to = { y.data + first * y.row, y.row };
    weights(j, part, first, m, &s, false);
    drop(j, part, first, m, s.block[0]);
    multiply(&s, m, j->d, j->keys, (mgrad_matrix){ s.block[0], j->keys, 1 }, rows(v, 0), to,
             false);
  }
}

static void attention_forward(mgrad_call *c) {
  job j = job_of(c);
  share(&j, c->nwork, 1, part_forward);
}

/* ---- backward ---- */

static void clear(window w, int64_t n, int64_t d) {
  for (int64_t i = 0; w.data != NULL && i < n; i++)
    memset(w.data + i * w.row, 0, (size_t)d * sizeof *w.data);
}

/* The gradients of scores out of weights a and their gradients g, in the place of g:
** a (g - sum(a g)) scale, and 0 where a weight is 0. */
static void score_gradients(const job *j, const mgrad_real *a, mgrad_real *g) {
  mgrad_real scale = j->scale;
  MGRAD_EACH(k, j->keys) g[k] = a[k] == 0 ? 0 : g[k]; /* of hidden keys it may be anything */
  mgrad_real sum = REAL(add_up(j->keys, a, g));
  MGRAD_EACH(k, j->keys) g[k] = a[k] == 0 ? 0 : a[k] * (g[k] - sum) * scale;
}

/* Adds the gradients that m queries from 'first' on give rise to. */
static void block_backward(const job *j, int64_t part, int64_t first, int64_t m,
                           const window g[3], const scratch *s) {
  window q = window_of(j, Q, part, false, NULL), k = window_of(j, K, part, false, NULL);
  window v = window_of(j, V, part, false, NULL);
  window dy = result_of(j, (mgrad_real *)j->c->dy, part); /* only read */
  window da = { s->block[1], j->keys };
  mgrad_matrix a = { s->block[0], j->keys, 1 }, ds = rows(da, 0);
  weights(j, part, first, m, s, true);
  multiply(s, m, j->keys, j->d, rows(dy, first), turned(rows(v, 0)), da, false);
  drop(j, part, first, m, da.data);
  for (int64_t i = 0; i < m; i++)
    score_gradients(j, s->block[0] + i * j->keys, da.data + i * j->keys);
  window dq = { g[Q].data != NULL ? g[Q].data + first * g[Q].row : NULL, g[Q].row };
  if (dq.data != NULL) multiply(s, m, j->d, j->keys, ds, rows(k, 0), dq, true);
  if (g[K].data != NULL) multiply(s, j->keys, j->d, m, turned(ds), rows(q, first), g[K], true);
  if (g[V].data == NULL) return;
  drop(j, part, first, m, s->block[0]);
  multiply(s, j->keys, j->d, m, turned(a), rows(dy, first), g[V], true);
}

/* All three may lie in one buffer, so each is cleared first and then added to. */
static void part_backward(void *ud, int64_t part, int worker) {
  job *j = ud;
  scratch s = scratch_of(j, worker, 2);
  window g[3];
  bool begins = piece(j, worker);
  for (int i = Q; i <= V; i++) {
    bool add;
    g[i] = window_of(j, i, part, true, &add);
    if (begins && !add) clear(g[i], i == Q ? j->time : j->keys, j->d);
  }
  for (int64_t first = 0; first < j->time; first += ROWS)
    if (piece(j, worker))
      block_backward(j, part, first, mgrad_min_size(ROWS, j->time - first), g, &s);
}

static void attention_backward(mgrad_call *c) {
  job j = job_of(c);
  share(&j, c->nwork_backward, 2, part_backward);
}

/* ---- the ops ---- */

#define ATTENTION(word)                                                           \
  MGRAD_NAMED(word), .operands = "q k? v? mask?", .order = "q k v heads mask",    \
  .reads = 15, .constant = 1 << MASK, .infer = attention_infer,                   \
  .check = attention_check, .forward = attention_forward,                         \
  .backward = attention_backward
#define ATTRS                                                                     \
  { "heads", MGRAD_ATTR_INT, 1, 1, 1e9,                                           \
    .doc = "how many parts the features fall into" },                             \
  { "causal", MGRAD_ATTR_BOOL, 0, .doc = "a step sees none after it" }
#define DOC                                                                       \
  "softmax(q k' / sqrt(d)) v for each head, of q {batch, time, e}, k and v {batch, keys, e};" \
  " or k {batch, keys, 2 e} with v in it, or q {batch, time, 3 e} with both; mask: 1 where a" \
  " key is seen, else 0, {batch, keys}, {time, keys} or {batch, time, keys}"

MGRAD_OP(dot_attention) = { ATTENTION(dot_attention), MGRAD_ATTRS(ATTRS), .doc = DOC,
  MGRAD_EXAMPLES(
    { .operands = 3, .shapes = { { 2, 4, 6 }, { 2, 5, 6 }, { 2, 5, 6 } },
      .attrs = { { "heads", 3 } } },
    { .operands = 1, .shapes = { { 2, 5, 12 } },
      .attrs = { { "heads", 2 }, { "causal", 1 } } },
    { .shapes = { { 3, 2, 4 }, { 3, 7, 8 }, { -1 }, { 2, 7 } },
      .fill = { 0, 0, 0, MGRAD_FILL_BITS } },
    { .shapes = { { 1, 70, 2 }, { 1, 3, 2 }, { 1, 3, 2 }, { 1, 70, 3 } },
      .fill = { 0, 0, 0, MGRAD_FILL_BITS } },
    { .shapes = { { 4, 5, 9 }, { -1 }, { -1 }, { 4, 5 } }, .attrs = { { "heads", 1 } },
      .fill = { 0, 0, 0, MGRAD_FILL_BITS } }) };

MGRAD_OP(dot_attention_dropout) = { ATTENTION(dot_attention_dropout),
  MGRAD_ATTRS(ATTRS, { "p", MGRAD_ATTR_REAL, 0.1, 0, MGRAD_BELOW_1,
                       .doc = "the share of weights that is set to 0" }),
  .flags = MGRAD_OP_RANDOM,
  .doc = "dot_attention whose weights are set to 0 with probability p (below 1), else divided"
         " by 1 - p",
  MGRAD_EXAMPLES(
    { .operands = 3, .shapes = { { 2, 4, 6 }, { 2, 5, 6 }, { 2, 5, 6 } },
      .attrs = { { "heads", 3 }, { "p", 0.4 } } },
    { .operands = 1, .shapes = { { 1, 67, 3 } }, .attrs = { { "causal", 1 } } }) };
