/*
** norm.c - numbers less their mean, divided by their deviation: batch_norm,
** layer_norm, group_norm, rms_norm; standardize is told both.
**
** x is seen as {outer, channels, inner}; weight and bias belong to channels. The
** numbers that share a mean are a set. Sets lie across rows (batch_norm, standardize:
** one channel of all rows), or each within one row (the others: 'width' channels side
** by side). With d = (x - mean) / deviation and g = dy weight the gradients are
**
**   dx = (g - mean(g) - d mean(g d)) / deviation, means over the set
**   dweight = sum(dy d), dbias = sum(dy) over the channel.
**
** Work is split over sets or blocks of channels, never over a sum. Statistics and sums
** are in double, in the order of kernels/reduce.c.
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

enum { INPUT, WEIGHT, BIAS, MEAN, VAR, BATCHES }; /* operands */
enum { EPS, OWN };                                /* attributes */
enum { COLUMNS = 64, PART = 4096 }; /* channels, numbers of one part of the work */

typedef struct view {
  bool within;                 /* sets lie within rows */
  int64_t outer, channels, inner;
  int64_t width, groups;       /* channels in a set; sets in a row */
  int64_t sets, count;         /* count: numbers in a set */
} view;

static bool is(const mgrad_call *c, int id) { return c->op->id == id; }

static view view_of(const mgrad_call *c) {
  const mgrad_array *x = c->x[INPUT];
  bool layer = is(c, MGRAD_ID_layer_norm) || is(c, MGRAD_ID_rms_norm);
  bool group = is(c, MGRAD_ID_group_norm);
  view v = { layer || group, 1, 1, 1, .groups = group ? mgrad_call_int(c, OWN) : 1 };
  int dims = layer ? (int)mgrad_call_int(c, OWN) : x->ndim - 1;
  for (int d = 0; d < x->ndim; d++) {
    bool front = d < x->ndim - dims, weighted = layer || d == 1;
    *(front ? &v.outer : weighted ? &v.channels : &v.inner) *= x->size[d];
  }
  v.width = v.within ? v.channels / v.groups : 1;
  v.sets = v.within ? v.outer * v.groups : v.channels;
  v.count = v.within ? v.width * v.inner : v.outer * v.inner;
  return v;
}

/* ---- shapes ---- */

/* Has an operand the sizes that x has in 'dims' dimensions from 'first' on? */
static mgrad_status check_operand(const mgrad_call *c, int i, const char *name, int first,
                                  int dims) {
  const mgrad_array *x = c->x[INPUT], *a = i < c->n ? c->x[i] : NULL;
  mgrad_array expected = { .ndim = dims };
  if (a == NULL) return MGRAD_OK;
  memcpy(expected.size, x->size + first, (size_t)dims * sizeof *x->size);
  if (mgrad_shape_equal(a, &expected)) return MGRAD_OK;
  return mgrad_op_fail(c, "%s is %a, expected %a for x %a", name, a, &expected, x);
}

static void save_statistics(mgrad_call *c) {
  view v = view_of(c);
  c->nsaved = 2 * v.sets;
  c->nwork = (c->x[WEIGHT] == NULL ? v.channels : 0) +
             (c->n <= BIAS || c->x[BIAS] == NULL ? v.channels : 0);
  c->nwork_backward = c->x[WEIGHT] == NULL ? v.channels : 0;
}

/* For ops whose other operands have a number for each channel, named in their order. */
static mgrad_status channels_infer(mgrad_call *c, const char *const *names) {
  const mgrad_array *x = c->x[INPUT];
  if (x->ndim < 2) return mgrad_op_fail(c, "x is %a, expected {n, channels, ..}", x);
  for (int i = WEIGHT; i < c->n && i < BATCHES; i++)
    MGRAD_TRY(check_operand(c, i, names[i], 1, 1));
  return mgrad_infer_same(c);
}

static mgrad_status batch_infer(mgrad_call *c) {
  static const char *const names[] = { "x", "weight", "bias", "running_mean", "running_var" };
  MGRAD_TRY(channels_infer(c, names));
  if (c->x[BATCHES] != NULL && mgrad_call_numel(c, BATCHES) != 1)
    return mgrad_op_fail(c, "batches is %a, expected a single number", c->x[BATCHES]);
  if (view_of(c).count < 2)
    return mgrad_op_fail(c, "x is %a, expected more than one number for each channel",
                         c->x[INPUT]);
  save_statistics(c);
  return MGRAD_OK;
}

static const char *const plain_names[] = { "x", "weight", "bias", "mean", "var" };

static mgrad_status standardize_infer(mgrad_call *c) {
  MGRAD_TRY(channels_infer(c, plain_names));
  save_statistics(c);
  return MGRAD_OK;
}

static mgrad_status group_infer(mgrad_call *c) {
  MGRAD_TRY(channels_infer(c, plain_names));
  int64_t groups = mgrad_call_int(c, OWN);
  if (c->x[INPUT]->size[1] % groups != 0)
    return mgrad_op_fail(c, "x is %a, its %d channels do not fall into %d groups",
                         c->x[INPUT], c->x[INPUT]->size[1], groups);
  save_statistics(c);
  return MGRAD_OK;
}

static mgrad_status layer_infer(mgrad_call *c) {
  int dims = (int)mgrad_call_int(c, OWN), first = c->x[INPUT]->ndim - dims;
  if (first < 0)
    return mgrad_op_fail(c, "x is %a, expected %d dimensions or more", c->x[INPUT],
                         (int64_t)dims);
  MGRAD_TRY(check_operand(c, WEIGHT, "weight", first, dims));
  MGRAD_TRY(check_operand(c, BIAS, "bias", first, dims));
  mgrad_infer_same(c);
  save_statistics(c);
  return MGRAD_OK;
}

/* ---- what forward and backward share ---- */

typedef struct job {
  mgrad_call *c;
  view v;
  const mgrad_real *x, *weight, *bias;
  mgrad_real *mean, *scale; /* of each set; scale is 1 / deviation */
} job;

/* The numbers of an operand; where it is left out, scratch full of 'value'. */
static const mgrad_real *or_full(const mgrad_call *c, int i, mgrad_real **work, int64_t n,
                                 mgrad_real value) {
  mgrad_real *full = *work;
  if (i < c->n && c->x[i] != NULL) return c->x[i]->data;
  for (int64_t j = 0; j < n; j++) full[j] = value;
  *work += n;
  return full;
}

static job job_of(mgrad_call *c) {
  mgrad_real *work = c->work;
  job j = { c, view_of(c), .x = c->x[INPUT]->data, .mean = c->saved };
  j.scale = j.mean + j.v.sets;
  j.weight = or_full(c, WEIGHT, &work, j.v.channels, 1);
  if (c->dy == NULL) j.bias = or_full(c, BIAS, &work, j.v.channels, 0);
  return j;
}

static void share(job *j, int64_t parts, mgrad_part_fn f) {
  double work = MGRAD_POOL_NUMBER * (double)mgrad_call_numel(j->c, INPUT);
  mgrad_pool_run(j->c->ctx->pool, work, parts, f, j);
}

/* A part of the work on channels: some side by side, all with the same mean or each
** with its own; but one at a time where it has runs of numbers. */
typedef struct block { int64_t first, m; } block;

static int64_t block_limit(const view *v) {
  return v->inner > 1 ? 1 : v->within ? v->width : v->channels;
}

static int64_t blocks(const view *v) {
  int64_t limit = block_limit(v), each = (limit + COLUMNS - 1) / COLUMNS;
  return v->channels / limit * each;
}

static block block_at(const view *v, int64_t part) {
  int64_t limit = block_limit(v), each = (limit + COLUMNS - 1) / COLUMNS;
  int64_t at = part % each * COLUMNS;
  return (block){ part / each * limit + at, mgrad_min_size(COLUMNS, limit - at) };
}

/* Is there reason to go on with its next row? */
static bool continues(const job *j, block b, int worker) {
  return mgrad_pool_continues(j->c->ctx->pool, worker, b.m * j->v.inner);
}

/* A part of the work on sets within rows. */
static int64_t sets_in_part(const view *v) { return (PART + v->count - 1) / v->count; }

static void share_sets(job *j, mgrad_part_fn f) {
  int64_t each = sets_in_part(&j->v);
  share(j, (j->v.sets + each - 1) / each, f);
}

/* ---- forward ---- */

/* (x - mean) scale, of half the mean and twice the scale: the difference of the largest
** numbers fits a float when it is halved. */
INLINE mgrad_real standard(mgrad_real x, mgrad_real half, mgrad_real twice) {
  return MGRAD_FMA(x, REAL(0.5), -half) * twice;
}

/* y = (x - mean) scale w + b; a step is 1 for numbers of their own, 0 for one. */
INLINE void put(int64_t n, const mgrad_real *x, mgrad_real mean, mgrad_real scale,
                const mgrad_real *w, const mgrad_real *b, int step, mgrad_real *y) {
  mgrad_real half = mean / 2, twice = scale * 2;
  MGRAD_EACH(i, n) y[i] = standard(x[i], half, twice) * w[i * step] + b[i * step];
}

static double deviation_scale(const job *j, double var) {
  return 1 / sqrt(var + j->c->attrs->value[EPS]);
}

static void set_forward(job *j, int64_t set) {
  const view *v = &j->v;
  const mgrad_real *x = j->x + set * v->count;
  mgrad_real *y = j->c->y->data + set * v->count;
  int64_t channel = set % v->groups * v->width;
  double mean = 0, squares, n = (double)v->count;
  if (!is(j->c, MGRAD_ID_rms_norm)) mgrad_fold_sum(v->count, x, 1, 1, NULL, 0, &mean);
  mean /= n;
  mgrad_fold_squares(v->count, x, 1, 1, &mean, 0, &squares);
  mgrad_real m = j->mean[set] = REAL(mean);
  mgrad_real s = j->scale[set] = REAL(deviation_scale(j, squares / n));
  const mgrad_real *w = j->weight + channel, *b = j->bias + channel;
  if (v->inner == 1) put(v->count, x, m, s, w, b, 1, y);
  else
    for (int64_t k = 0; k < v->width; k++)
      put(v->inner, x + k * v->inner, m, s, w + k, b + k, 0, y + k * v->inner);
}

static void sets_forward(void *ud, int64_t part, int worker) {
  job *j = ud;
  int64_t each = sets_in_part(&j->v), first = part * each;
  int64_t end = mgrad_min_size(first + each, j->v.sets);
  (void)worker;
  for (int64_t set = first; set < end; set++) set_forward(j, set);
}

/* Sum over the rows of a fold of one channel's runs. */
static double fold_runs(const view *v, mgrad_fold *f, const mgrad_real *x,
                        const double *center) {
  double total = 0, part;
  for (int64_t o = 0; o < v->outer; o++, x += v->channels * v->inner) {
    f(v->inner, x, 1, 1, center, 0, &part);
    total += part;
  }
  return total;
}

/* Means and sums of squared deviations of a block of channels. */
static void channel_statistics(const job *j, block b, double *mean, double *squares) {
  const view *v = &j->v;
  const mgrad_real *x = j->x + b.first * v->inner;
  if (v->inner == 1) mgrad_fold_sum(v->outer, x, v->channels, b.m, NULL, 0, mean);
  else *mean = fold_runs(v, mgrad_fold_sum, x, NULL);
  for (int64_t k = 0; k < b.m; k++) mean[k] /= (double)v->count;
  if (v->inner == 1) mgrad_fold_squares(v->outer, x, v->channels, b.m, mean, 0, squares);
  else *squares = fold_runs(v, mgrad_fold_squares, x, mean);
}

/* running = (1 - momentum) running + momentum value */
static void track(const mgrad_call *c, int operand, int64_t at, double value) {
  double momentum = c->attrs->value[OWN];
  if (operand >= c->n || c->x[operand] == NULL) return;
  mgrad_real *running = c->x[operand]->data + at;
  *running = REAL((1 - momentum) * (double)*running + momentum * value);
}

/* Mean and scale of the channels of a block; running statistics follow. */
static void settle(job *j, block b) {
  double mean[COLUMNS], squares[COLUMNS], n = (double)j->v.count;
  bool told = is(j->c, MGRAD_ID_standardize);
  if (!told) channel_statistics(j, b, mean, squares);
  for (int64_t k = 0; k < b.m; k++) {
    int64_t at = b.first + k;
    double m = told ? (double)j->c->x[MEAN]->data[at] : mean[k];
    double var = told ? (double)j->c->x[VAR]->data[at] : squares[k] / n;
    j->mean[at] = REAL(m);
    j->scale[at] = REAL(deviation_scale(j, var));
    if (told) continue;
    track(j->c, MEAN, at, m);
    track(j->c, VAR, at, squares[k] / (n - 1));
  }
}

static void block_forward(void *ud, int64_t part, int worker) {
  job *j = ud;
  const view *v = &j->v;
  block b = block_at(v, part);
  settle(j, b);
  const mgrad_real *mean = j->mean + b.first, *scale = j->scale + b.first;
  const mgrad_real *w = j->weight + b.first, *bias = j->bias + b.first;
  mgrad_real half[COLUMNS], twice[COLUMNS];
  for (int64_t k = 0; k < b.m; k++) half[k] = mean[k] / 2, twice[k] = scale[k] * 2;
  for (int64_t o = 0; o < v->outer && continues(j, b, worker); o++) {
    int64_t at = (o * v->channels + b.first) * v->inner;
    const mgrad_real *x = j->x + at;
    mgrad_real *y = j->c->y->data + at;
    if (v->inner > 1) put(v->inner, x, *mean, *scale, w, bias, 0, y);
    else MGRAD_EACH(k, b.m) y[k] = standard(x[k], half[k], twice[k]) * w[k] + bias[k];
  }
}

static void norm_forward(mgrad_call *c) {
  job j = job_of(c);
  if (j.v.within) share_sets(&j, sets_forward);
  else share(&j, blocks(&j.v), block_forward);
  bool counts = is(c, MGRAD_ID_batch_norm) && c->x[BATCHES] != NULL;
  if (counts && mgrad_pool_piece(c->ctx->pool, 0, 1)) c->x[BATCHES]->data[0] += 1;
}

/* ---- backward ---- */

/* sum[0] += the sum of g, sum[1] += that of g (x - mean): 16 lanes, a fixed tree */
static void add_sums(int64_t n, const mgrad_real *g, const mgrad_real *x, mgrad_real mean,
                     double *sum) {
  enum { FOLDS = 16 };
  double a[FOLDS] = { 0 }, b[FOLDS] = { 0 };
  int64_t i = 0;
  for (; i + FOLDS <= n; i += FOLDS)
    for (int l = 0; l < FOLDS; l++) {
      double d = (double)g[i + l];
      a[l] += d;
      b[l] += d * (double)(x[i + l] - mean);
    }
  for (int l = 0; i < n; i++, l++) {
    a[l] += (double)g[i];
    b[l] += (double)g[i] * (double)(x[i] - mean);
  }
  for (int half = FOLDS / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++) {
      a[l] += a[l + half];
      b[l] += b[l + half];
    }
  sum[0] += a[0];
  sum[1] += b[0];
}

/* dx = scale (dy w - k0 - (x - mean) k1) */
INLINE void slope(int64_t n, const mgrad_real *dy, const mgrad_real *w, int step,
                  const mgrad_real *x, mgrad_real mean, const mgrad_real *k, mgrad_real scale,
                  mgrad_real *dx, bool add) {
  MGRAD_EACH(i, n) {
    mgrad_real d = scale * (dy[i] * w[i * step] - k[0] - (x[i] - mean) * k[1]);
    dx[i] = add ? dx[i] + d : d;
  }
}

/* Sums of g and g (x - mean) over a set whose channels are numbers. */
static void weighted_sums(int64_t n, const mgrad_real *dy, const mgrad_real *w,
                          const mgrad_real *x, mgrad_real mean, double *sum) {
  enum { BLOCK = 256 };
  mgrad_real g[BLOCK];
  for (int64_t i = 0; i < n; i += BLOCK) {
    int64_t m = mgrad_min_size(BLOCK, n - i);
    MGRAD_EACH(k, m) g[k] = dy[i + k] * w[i + k];
    add_sums(m, g, x + i, mean, sum);
  }
}

static void set_backward(job *j, int64_t set) {
  const view *v = &j->v;
  int64_t at = set * v->count;
  const mgrad_real *x = j->x + at, *dy = j->c->dy + at;
  const mgrad_real *w = j->weight + set % v->groups * v->width;
  mgrad_real mean = j->mean[set], scale = j->scale[set], *dx = j->c->dx[INPUT] + at;
  bool add = j->c->add[INPUT];
  double sum[2] = { 0, 0 }, n = (double)v->count, wide = (double)scale;
  if (v->inner == 1) weighted_sums(v->count, dy, w, x, mean, sum);
  else
    for (int64_t k = 0; k < v->width; k++) {
      double part[2] = { 0, 0 };
      add_sums(v->inner, dy + k * v->inner, x + k * v->inner, mean, part);
      sum[0] += (double)w[k] * part[0];
      sum[1] += (double)w[k] * part[1];
    }
  if (is(j->c, MGRAD_ID_rms_norm)) sum[0] = 0; /* it takes no mean off */
  mgrad_real off[] = { REAL(sum[0] / n), REAL(sum[1] * wide * wide / n) };
  if (v->inner == 1) slope(v->count, dy, w, 1, x, mean, off, scale, dx, add);
  else
    for (int64_t k = 0; k < v->width; k++)
      slope(v->inner, dy + k * v->inner, w + k, 0, x + k * v->inner, mean, off, scale,
            dx + k * v->inner, add);
}

static void sets_backward(void *ud, int64_t part, int worker) {
  job *j = ud;
  int64_t each = sets_in_part(&j->v), first = part * each;
  int64_t end = mgrad_min_size(first + each, j->v.sets);
  (void)worker;
  for (int64_t set = first; set < end; set++) set_backward(j, set);
}

/* sum += dy, by += dy (x - mean) scale; a step is 0 where all share a mean */
INLINE void add_row(int64_t m, const mgrad_real *dy, const mgrad_real *x,
                    const mgrad_real *mean, const mgrad_real *scale, int step, double *sum,
                    double *by) {
  MGRAD_EACH(k, m) {
    sum[k] += (double)dy[k];
    by[k] += (double)dy[k] * (double)((x[k] - mean[k * step]) * scale[k * step]);
  }
}

/* Sums of dy and of dy (x - mean) / deviation over each channel of a block. */
static void channel_sums(const job *j, block b, int worker, double *sum, double *by) {
  const view *v = &j->v;
  for (int64_t k = 0; k < b.m; k++) sum[k] = by[k] = 0;
  for (int64_t o = 0; o < v->outer && continues(j, b, worker); o++) {
    int64_t at = (o * v->channels + b.first) * v->inner;
    int64_t set = v->within ? o * v->groups + b.first / v->width : b.first;
    const mgrad_real *dy = j->c->dy + at, *x = j->x + at;
    const mgrad_real *mean = j->mean + set, *scale = j->scale + set;
    if (v->inner > 1) {
      double part[2] = { 0, 0 };
      add_sums(v->inner, dy, x, *mean, part);
      *sum += part[0];
      *by += part[1] * (double)*scale;
    } else if (v->within) {
      add_row(b.m, dy, x, mean, scale, 0, sum, by);
    } else {
      add_row(b.m, dy, x, mean, scale, 1, sum, by);
    }
  }
}

static void put_sums(const mgrad_call *c, int i, block b, const double *sum) {
  mgrad_real *dx = i < c->n ? c->dx[i] : NULL;
  for (int64_t k = 0; dx != NULL && k < b.m; k++) {
    mgrad_real *to = &dx[b.first + k];
    *to = c->add[i] ? *to + REAL(sum[k]) : REAL(sum[k]);
  }
}

/* dx of the channels of a block, whose sums are known. */
static void block_slope(job *j, block b, int worker, const double *sum, const double *by) {
  const view *v = &j->v;
  const mgrad_real *mean = j->mean + b.first;
  mgrad_real off[2][COLUMNS], scale[COLUMNS];
  double n = (double)v->count;
  bool fixed = is(j->c, MGRAD_ID_standardize), add = j->c->add[INPUT];
  for (int64_t k = 0; k < b.m; k++) {
    mgrad_real s = j->scale[b.first + k];
    scale[k] = s * j->weight[b.first + k];
    off[0][k] = fixed ? 0 : REAL(sum[k] / n);
    off[1][k] = fixed ? 0 : REAL(by[k] * (double)s / n);
  }
  for (int64_t o = 0; o < v->outer && continues(j, b, worker); o++) {
    static const mgrad_real one = 1;
    int64_t at = (o * v->channels + b.first) * v->inner;
    const mgrad_real *dy = j->c->dy + at, *x = j->x + at;
    mgrad_real *dx = j->c->dx[INPUT] + at;
    if (v->inner > 1) {
      slope(v->inner, dy, &one, 0, x, *mean, (mgrad_real[]){ *off[0], *off[1] }, *scale, dx,
            add);
      continue;
    }
    MGRAD_EACH(k, b.m) {
      mgrad_real d = scale[k] * (dy[k] - off[0][k] - (x[k] - mean[k]) * off[1][k]);
      dx[k] = add ? dx[k] + d : d;
    }
  }
}

static void block_backward(void *ud, int64_t part, int worker) {
  job *j = ud;
  double sum[COLUMNS], by[COLUMNS];
  block b = block_at(&j->v, part);
  channel_sums(j, b, worker, sum, by);
  if (!j->v.within && j->c->dx[INPUT] != NULL) block_slope(j, b, worker, sum, by);
  put_sums(j->c, WEIGHT, b, by);
  put_sums(j->c, BIAS, b, sum);
}

static void norm_backward(mgrad_call *c) {
  job j = job_of(c);
  bool weighted = c->dx[WEIGHT] != NULL || (c->n > BIAS && c->dx[BIAS] != NULL);
  if (j.v.within && c->dx[INPUT] != NULL) share_sets(&j, sets_backward);
  if (!j.v.within || weighted) share(&j, blocks(&j.v), block_backward);
}

/* ---- the ops ---- */

#define NORM(word, shapes)                                                        \
  MGRAD_NAMED(word), .reads = 1 << INPUT | 1 << WEIGHT, .infer = shapes,          \
  .forward = norm_forward, .backward = norm_backward
#define EPS_ATTR(initial) \
  { "eps", MGRAD_ATTR_REAL, initial, 0, 1e30, .doc = "added before the root is taken" }
#define DIMS_ATTR \
  { "dims", MGRAD_ATTR_INT, 1, 1, MGRAD_MAX_DIMS, .doc = "how many of the last dimensions" }

/* Ioffe and Szegedy, "Batch normalization", 2015 */
MGRAD_OP(batch_norm) = { NORM(batch_norm, batch_infer),
  .operands = "x weight? bias? running_mean? running_var? batches?",
  .constant = 7 << MEAN, .updates = 7 << MEAN,
  MGRAD_ATTRS(EPS_ATTR(1e-5), { "momentum", MGRAD_ATTR_REAL, 0.1, 0, 1,
                                .doc = "the share of a batch in what runs on" }),
  .doc = "(x - mean) / sqrt(var + eps) * weight + bias, of each channel (dimension 2) of a"
         " batch; moves running_mean and running_var (unbiased) by momentum, counts batches",
  MGRAD_EXAMPLES({ .operands = 4, .shapes = { { 5, 3 }, { 3 }, { 3 }, { 3 } } },
                 { .operands = 3, .shapes = { { 4, 2, 3 }, { 2 }, { 2 } } },
                 { .operands = 1, .shapes = { { 3, 70 } }, .attrs = { { "eps", 0.1 } } },
                 { .operands = 2, .shapes = { { 2, 1, 3, 6 }, { 1 } } },
                 { .operands = 3, .shapes = { { 1, 2, 17 }, { -1 }, { 2 } } }) };

MGRAD_OP(standardize) = { NORM(standardize, standardize_infer),
  .operands = "x weight? bias? mean var", .order = "x mean var weight bias",
  .constant = 3 << MEAN, MGRAD_ATTRS(EPS_ATTR(1e-5)),
  .doc = "(x - mean) / sqrt(var + eps) * weight + bias, with a mean and a var given for"
         " each channel (dimension 2)",
  MGRAD_EXAMPLES({ .operands = 5, .shapes = { { 5, 3 }, { 3 }, { 3 }, { 3 }, { 3 } },
                   .low = 0.2, .high = 2 },
                 { .operands = 5, .shapes = { { 2, 3, 4 }, { 3 }, { -1 }, { 3 }, { 3 } },
                   .low = 0.2, .high = 2 },
                 { .operands = 5, .shapes = { { 1, 2, 3 }, { -1 }, { -1 }, { 2 }, { 2 } },
                   .low = 0.2, .high = 2 }) };

/* Ba, Kiros and Hinton, "Layer normalization", 2016 */
MGRAD_OP(layer_norm) = { NORM(layer_norm, layer_infer), .operands = "x weight? bias?",
  MGRAD_ATTRS(EPS_ATTR(1e-5), DIMS_ATTR),
  .doc = "(x - mean) / sqrt(var + eps) * weight + bias, over the last 'dims' dimensions",
  MGRAD_EXAMPLES({ .shapes = { { 4, 3 }, { 3 }, { 3 } } },
                 { .shapes = { { 2, 3, 70 }, { 70 }, { -1 } } },
                 { .shapes = { { 2, 3, 5 }, { 3, 5 }, { 3, 5 } }, .attrs = { { "dims", 2 } } },
                 { .shapes = { { 6 }, { -1 }, { 6 } } },
                 { .shapes = { { 2, 300 }, { -1 }, { -1 } } }) };

/* Wu and He, "Group normalization", 2018 */
MGRAD_OP(group_norm) = { NORM(group_norm, group_infer), .operands = "x weight? bias?",
  .order = "x groups weight bias",
  MGRAD_ATTRS(EPS_ATTR(1e-5), { "groups", MGRAD_ATTR_INT, MGRAD_REQUIRED, 1, 1e9,
                                .doc = "how many the channels fall into" }),
  .doc = "(x - mean) / sqrt(var + eps) * weight + bias, over groups of channels (dimension"
         " 2) of each example",
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 }, { 4 }, { 4 } }, .attrs = { { "groups", 2 } } },
                 { .shapes = { { 2, 6, 5 }, { 6 }, { 6 } }, .attrs = { { "groups", 3 } } },
                 { .shapes = { { 2, 4, 3, 2 }, { 4 }, { -1 } }, .attrs = { { "groups", 4 } } },
                 { .shapes = { { 2, 3, 20 }, { -1 }, { 3 } }, .attrs = { { "groups", 1 } } }) };

/* Zhang and Sennrich, "Root mean square layer normalization", 2019 */
MGRAD_OP(rms_norm) = { NORM(rms_norm, layer_infer), .operands = "x weight?",
  MGRAD_ATTRS(EPS_ATTR(0x1p-23), DIMS_ATTR),
  .doc = "x / sqrt(mean(x^2) + eps) * weight, over the last 'dims' dimensions",
  MGRAD_EXAMPLES({ .shapes = { { 4, 3 }, { 3 } } },
                 { .shapes = { { 2, 3, 5 }, { 3, 5 } }, .attrs = { { "dims", 2 } } },
                 { .shapes = { { 3, 70 }, { -1 } } }) };
