/*
** loss_class.c - losses over classes: nll and cross_entropy.
*/
#include "loss.h"

enum { BLOCK = 256 }; /* numbers that are worked on together */

#define NO_LABEL (-1e30) /* default of "ignore": no number passes for it, 0 included */

/* Predictions {n, classes, d..} as rows: numbers of one row lie 'inner' apart. */
typedef struct rows {
  int64_t count, classes, inner;
  const mgrad_real *x, *target, *weight;
  bool chances;                /* targets are probabilities, else labels */
  double smoothing, ignore;
} rows;

static rows rows_of(const mgrad_call *c, double smoothing, double ignore) {
  mgrad_split s = mgrad_shape_split(c->x[0], 1);
  return (rows){ s.outer * s.inner, s.n, s.inner, c->x[0]->data, c->x[1]->data,
                 third_of(c), c->x[1]->ndim == c->x[0]->ndim, smoothing, ignore };
}

/* Where row i starts in predictions, and in targets that are probabilities. */
static inline int64_t row_start(const rows *r, int64_t i) {
  return i / r->inner * r->classes * r->inner + i % r->inner;
}

/* The class of row i from 0; -1 where it is ignored. Not for probabilities. */
static inline int64_t row_label(const rows *r, int64_t i) {
  return r->target[i] == REAL(r->ignore) ? -1 : (int64_t)r->target[i] - 1;
}

static inline bool row_ignored(const rows *r, int64_t i) {
  return !r->chances && row_label(r, i) < 0;
}

static inline double class_weight(const rows *r, int64_t j) {
  return r->weight ? (double)r->weight[j] : 1;
}

/* The classes from *first to before *last are those that row i is about. */
static void row_classes(const rows *r, int64_t i, int64_t *first, int64_t *last) {
  bool one = !r->chances && r->smoothing == 0;
  *first = one ? row_label(r, i) : 0;
  *last = one ? *first + 1 : r->classes;
}

/* What class j counts in row i: its smoothed target times its weight. The loss
** of a row is minus the sum over j of share times log-probability. */
static inline double share(const rows *r, int64_t i, int64_t j) {
  double target = r->chances ? (double)r->target[row_start(r, i) + j * r->inner]
                             : j == row_label(r, i);
  return class_weight(r, j) * ((1 - r->smoothing) * target +
                               r->smoothing / (double)r->classes);
}

/* What a mean divides by: the weights of the labels, or the number of rows. */
static double row_total(const rows *r) {
  if (r->chances) return (double)r->count;
  double sum = 0;
  for (int64_t i = 0; i < r->count; i++)
    if (!row_ignored(r, i)) sum += class_weight(r, row_label(r, i));
  return sum;
}

/* Shapes of both; 'chances' allows probabilities as targets. */
static mgrad_status infer_rows(mgrad_call *c, bool chances) {
  const mgrad_array *x = c->x[0], *target = c->x[1];
  const mgrad_array *weight = c->n > 2 ? c->x[2] : NULL;
  if (x->ndim < 2)
    return mgrad_op_fail(c, "prediction is %a, expected {n, classes}", x);
  mgrad_array labels = { .ndim = x->ndim - 1 };
  for (int d = 0; d < labels.ndim; d++) labels.size[d] = x->size[d ? d + 1 : 0];
  bool fits = mgrad_shape_equal(target, &labels) ||
              (chances && mgrad_shape_equal(target, x));
  if (!fits && chances)
    return mgrad_op_fail(c, "target is %a, expected labels %a or probabilities %a",
                         target, &labels, x);
  if (!fits)
    return mgrad_op_fail(c, "target is %a, expected labels %a", target, &labels);
  if (weight && (weight->ndim != 1 || weight->size[0] != x->size[1]))
    return mgrad_op_fail(c, "weight is %a, expected {%d}", weight, x->size[1]);
  infer_reduced(c, &labels);
  return MGRAD_OK;
}

static mgrad_status nll_infer(mgrad_call *c) { return infer_rows(c, false); }

static mgrad_status nll_check(const mgrad_call *c) {
  return mgrad_check_ids(c, 1, "a class", c->x[0]->size[1], c->attrs->value[1]);
}

static void nll_forward(mgrad_call *c) {
  rows r = rows_of(c, 0, c->attrs->value[1]);
  mgrad_real *values = values_of(c);
  for (int64_t i = 0; i < r.count && mgrad_call_continues(c, 1); i++) {
    int64_t label = row_label(&r, i);
    double weight = label < 0 ? 0 : class_weight(&r, label);
    values[i] = weight == 0 ? 0
              : REAL(-weight * (double)r.x[row_start(&r, i) + label * r.inner]);
  }
  reduce(c, r.count, row_total(&r));
}

static void nll_backward(mgrad_call *c) {
  if (!c->dx[0]) return;
  rows r = rows_of(c, 0, c->attrs->value[1]);
  upstream u = upstream_of(c, row_total(&r));
  mgrad_call_clear(c, 0);
  for (int64_t i = 0; i < r.count && mgrad_call_continues(c, 1); i++) {
    int64_t label = row_label(&r, i);
    if (label < 0) continue;
    mgrad_real *dx = c->dx[0] + row_start(&r, i) + label * r.inner;
    *dx -= up(&u, i) * REAL(class_weight(&r, label));
  }
}

#define LABELS(count) .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_LABELS }, .labels = count
#define CHANCES .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_CHANCES }
#define CLASSES_OF(word)                                                          \
  MGRAD_NAMED(word), .operands = "prediction target weight?", .flags = MGRAD_OP_LOSS,  \
  .infer = word##_infer, .check = word##_check, .forward = word##_forward,        \
  .backward = word##_backward

MGRAD_OP(nll) = { CLASSES_OF(nll), .reads = 6, .constant = 6,
  MGRAD_ATTRS(REDUCTION, { "ignore", MGRAD_ATTR_REAL, NO_LABEL,
                           .doc = "a label that counts nothing" }),
  .doc = "minus the log-probability {n, classes, ...} of each label from 1, times its "
         "class's weight; rows labelled 'ignore' count nothing, and a mean of none is 0",
  MGRAD_EXAMPLES(
    { .shapes = { { 4, 5 }, { 4 }, { -1 } }, .low = -3, .high = -0.1, LABELS(5) },
    { .shapes = { { 6, 3 }, { 6 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3) },
    { .shapes = { { 6, 3 }, { 6 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "ignore", 2 } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { -1 } }, .low = -3, .high = -0.1, LABELS(3),
      .attrs = { { "reduction", SUM } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "reduction", NONE } } }) };

enum { SMOOTHING_AT = 1, IGNORE_AT = 2 };

static rows entropy_rows(const mgrad_call *c) {
  return rows_of(c, c->attrs->value[SMOOTHING_AT], c->attrs->value[IGNORE_AT]);
}

/* Rows whose exps are taken together: a loop over a few classes would not fill a
** vector. */
static int64_t rows_at_once(int64_t classes) { return classes < BLOCK ? BLOCK / classes : 1; }
static int64_t at_once(int64_t classes) { return rows_at_once(classes) * classes; }

/* Saves the largest number of a row and the log of the sum of exps below it; each thread
** works in some rows of numbers, after the values in forward. */
static mgrad_status cross_entropy_infer(mgrad_call *c) {
  MGRAD_TRY(infer_rows(c, true));
  mgrad_split s = mgrad_shape_split(c->x[0], 1);
  c->nsaved = 2 * s.outer * s.inner;
  c->nwork_backward = mgrad_threads(c->ctx) * at_once(s.n);
  c->nwork += c->nwork_backward;
  return MGRAD_OK;
}

static mgrad_status cross_entropy_check(const mgrad_call *c) {
  if (c->x[1]->ndim == c->x[0]->ndim) return MGRAD_OK;
  return mgrad_check_ids(c, 1, "a class", c->x[0]->size[1], c->attrs->value[IGNORE_AT]);
}

/* x - max, which is 0 at the largest even when that is infinite */
static inline mgrad_real below(mgrad_real x, mgrad_real max) {
  return x == max ? 0 : x - max;
}

static inline mgrad_real log_chance(mgrad_real x, const mgrad_real norm[2]) {
  return below(x, norm[0]) - norm[1];
}

static mgrad_real entropy_value(const rows *r, int64_t i, const mgrad_real norm[2]) {
  int64_t first, last;
  double sum = 0;
  row_classes(r, i, &first, &last);
  for (int64_t j = first; j < last; j++) {
    double s = share(r, i, j); /* 0 also silences an infinite log */
    mgrad_real x = r->x[row_start(r, i) + j * r->inner];
    if (s != 0) sum -= s * (double)log_chance(x, norm);
  }
  return REAL(sum);
}

static void exp_all(int64_t n, mgrad_real *x) { MGRAD_EACH(k, n) x[k] = EXP(x[k]); }

/* Fills norm = { max, log(sum of exp(x - max)) } of rows first to end - 1; one of the
** exps of each is 1. */
static void normalise(const rows *r, int64_t first, int64_t end, mgrad_real *work,
                      mgrad_real *norm) {
  mgrad_real *w = work;
  for (int64_t i = first; i < end; i++, w += r->classes) {
    const mgrad_real *x = r->x + row_start(r, i);
    mgrad_real max = mgrad_largest(r->classes, x, r->inner);
    for (int64_t j = 0; j < r->classes; j++) w[j] = below(x[j * r->inner], max);
    norm[2 * i] = max;
  }
  exp_all((end - first) * r->classes, work);
  for (int64_t i = first; i < end; i++, work += r->classes)
    norm[2 * i + 1] = LOG1P(REAL(mgrad_sum(r->classes, work, 1) - 1));
}

typedef struct entropy {
  const mgrad_call *c;
  rows r;
  upstream up;             /* in backward */
  mgrad_real *work;        /* of all threads */
  int64_t each;            /* rows of one part */
  void (*some)(const struct entropy *e, int64_t first, int64_t end, mgrad_real *work);
} entropy;

static void entropy_part(void *ud, int64_t part, int worker) {
  const entropy *e = ud;
  int64_t most = rows_at_once(e->r.classes), first = part * e->each;
  int64_t last = mgrad_min_size(first + e->each, e->r.count);
  for (; first < last; first += most) {
    int64_t end = mgrad_min_size(first + most, last);
    e->some(e, first, end, e->work + worker * at_once(e->r.classes));
  }
}

/* Calls e->some for all rows, as many at once as share their exps. */
static void entropy_all(entropy *e) {
  mgrad_pool *pool = e->c->ctx->pool;
  double work = MGRAD_POOL_NUMBER * (double)(e->r.count * e->r.classes);
  int64_t parts = 2 * mgrad_pool_threads(pool);
  if (work < MGRAD_POOL_WAKING) parts = 1;
  else if (work / MGRAD_POOL_ASK > (double)parts) parts = (int64_t)(work / MGRAD_POOL_ASK);
  e->each = (e->r.count + parts - 1) / parts;
  mgrad_pool_run(pool, work, (e->r.count + e->each - 1) / e->each, entropy_part, e);
}

static void some_values(const entropy *e, int64_t first, int64_t end, mgrad_real *work) {
  mgrad_real *norm = e->c->saved, *values = values_of(e->c);
  normalise(&e->r, first, end, work, norm);
  for (int64_t i = first; i < end; i++)
    values[i] = row_ignored(&e->r, i) ? 0 : entropy_value(&e->r, i, norm + 2 * i);
}

static void cross_entropy_forward(mgrad_call *c) {
  entropy e = { .c = c, .r = entropy_rows(c), .work = c->work, .some = some_values };
  if (values_of(c) == c->work) e.work += e.r.count;
  entropy_all(&e);
  reduce(c, e.r.count, row_total(&e.r));
}

/* dx = scale * x, or added to it; of numbers 'step' apart in dx */
static inline void put_scaled(int64_t n, mgrad_real scale, const mgrad_real *x, bool add,
                       mgrad_real *dx, int64_t step) {
  if (add) MGRAD_EACH(j, n) dx[j * step] += scale * x[j];
  else MGRAD_EACH(j, n) dx[j * step] = scale * x[j];
}

/* d loss / d logit j = probability j * sum of all shares - share j; 'chance' holds the
** probabilities of row i, and then that */
static void row_slope(const entropy *e, int64_t i, mgrad_real *chance) {
  const rows *r = &e->r;
  int64_t n = r->classes, step = r->inner, first, last;
  mgrad_real *dx = e->c->dx[0] + row_start(r, i);
  if (row_ignored(r, i)) {
    for (int64_t j = 0; j < n; j++) put(dx + j * step, e->c->add[0], 0);
    return;
  }
  double total = 0;
  row_classes(r, i, &first, &last);
  for (int64_t j = first; j < last; j++) total += share(r, i, j);
  for (int64_t j = 0; total != 1 && j < n; j++) {
    if (j < first || j >= last) chance[j] = REAL(total * (double)chance[j]);
  }
  for (int64_t j = first; j < last; j++) {
    chance[j] = REAL(total * (double)chance[j] - share(r, i, j));
  }
  if (step == 1) put_scaled(n, up(&e->up, i), chance, e->c->add[0], dx, 1);
  else put_scaled(n, up(&e->up, i), chance, e->c->add[0], dx, step);
}

static void some_slopes(const entropy *e, int64_t first, int64_t end, mgrad_real *work) {
  const rows *r = &e->r;
  mgrad_real *w = work;
  for (int64_t i = first; i < end; i++)
    for (int64_t j = 0; j < r->classes; j++)
      *w++ = log_chance(r->x[row_start(r, i) + j * r->inner], e->c->saved + 2 * i);
  exp_all(w - work, work);
  for (int64_t i = first; i < end; i++, work += r->classes)
    row_slope(e, i, work);
}

/* d loss / d target probability j = minus its weight * log-probability */
static void entropy_target_slope(const mgrad_call *c, const rows *r, const upstream *u) {
  for (int64_t i = 0; i < r->count && mgrad_call_continues(c, r->classes); i++)
    for (int64_t j = 0; j < r->classes; j++) {
      int64_t at = row_start(r, i) + j * r->inner;
      double s = class_weight(r, j) * (1 - r->smoothing);
      double l = s != 0 ? s * (double)log_chance(r->x[at], c->saved + 2 * i) : 0;
      put(c->dx[1] + at, c->add[1], -up(u, i) * REAL(l));
    }
}

static void cross_entropy_backward(mgrad_call *c) {
  entropy e = { .c = c, .r = entropy_rows(c), .work = c->work, .some = some_slopes };
  e.up = upstream_of(c, row_total(&e.r));
  if (c->dx[0]) entropy_all(&e);
  double work = MGRAD_POOL_NUMBER * (double)(e.r.count * e.r.classes);
  bool wanted = c->dx[1] && mgrad_pool_piece(c->ctx->pool, 0, (int64_t)work);
  if (wanted && e.r.chances) entropy_target_slope(c, &e.r, &e.up);
  if (wanted && !e.r.chances) mgrad_call_clear(c, 1);
}

MGRAD_OP(cross_entropy) = { CLASSES_OF(cross_entropy), .reads = 7,
  .constant = 4,
  MGRAD_ATTRS(REDUCTION, { "label_smoothing", MGRAD_ATTR_REAL, 0, 0, 1,
                .doc = "how much of a label all classes share" },
              { "ignore", MGRAD_ATTR_REAL, NO_LABEL, .doc = "a label that counts nothing" }),
  .doc = "nll of log_softmax of logits {n, classes, ...}; the target is labels from 1, "
         "or probabilities in the shape of the logits",
  MGRAD_EXAMPLES(
    { .shapes = { { 4, 5 }, { 4 }, { -1 } }, .low = -3, .high = 3, LABELS(5) },
    { .shapes = { { 6, 3 }, { 6 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "label_smoothing", 0.2 }, { "ignore", 2 } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { 3 } }, .low = 0.1, .high = 2, LABELS(3),
      .attrs = { { "reduction", NONE } } },
    { .shapes = { { 2, 3, 2 }, { 2, 2 }, { -1 } }, .low = -2, .high = 2, LABELS(3),
      .attrs = { { "reduction", SUM }, { "label_smoothing", 0.1 } } },
    { .shapes = { { 4, 3 }, { 4, 3 }, { -1 } }, .low = -2, .high = 2, CHANCES },
    { .shapes = { { 2, 3, 2 }, { 2, 3, 2 }, { 3 } }, .low = 0.1, .high = 2, CHANCES,
      .attrs = { { "label_smoothing", 0.3 } } }) };
