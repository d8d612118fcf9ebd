/*
** judge.c - the loss of a batch, class weights, sums of loss and metrics.
*/
#include "judge.h"

#include <math.h>

/* ---- taking the options ---- */

/* The position of an attribute of a loss, or -1. */
static int find_attr(const mgrad_op *loss, const char *name) {
  for (int i = 0; loss->attrs[i].type != MGRAD_ATTR_NONE; i++) {
    if (strcmp(loss->attrs[i].name, name) == 0) return i;
  }
  return -1;
}

static mgrad_status take_loss(mgrad_judge *j, const mgrad_trainer_options *o) {
  const mgrad_op *loss = o->loss;
  if (loss == NULL) {
    if (o->loss_fn != NULL) return MGRAD_OK;
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: loss is missing");
  }
  if (!(loss->flags & MGRAD_OP_LOSS)) {
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: %s is not a loss", loss->name);
  }
  if (o->loss_attrs != NULL) j->loss_attrs = *o->loss_attrs;
  else mgrad_attrs_default(loss->attrs, &j->loss_attrs);
  MGRAD_TRY(mgrad_attrs_check(j->ctx, loss->name, loss->attrs, &j->loss_attrs));
  int reduction = find_attr(loss, "reduction"), ignore = find_attr(loss, "ignore");
  double how = reduction >= 0 ? j->loss_attrs.value[reduction] : 0; /* mean, sum, none */
  if (how == 2) {
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: %s has reduction \"none\", expected"
                      " \"mean\" or \"sum\"", loss->name);
  }
  j->loss_is_sum = how == 1;
  if (ignore >= 0) j->ignore = j->loss_attrs.value[ignore];
  return MGRAD_OK;
}

static mgrad_status take_metrics(mgrad_judge *j, const mgrad_trainer_options *o) {
  if (o->nmetrics < 0 || o->nmetrics > MGRAD_MAX_METRICS) {
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: %d metrics, expected at most %d",
                      (int64_t)o->nmetrics, (int64_t)MGRAD_MAX_METRICS);
  }
  for (int i = 0; i < o->nmetrics; i++) {
    mgrad_gauge *g = &j->metrics[j->nmetrics++];
    *g = (mgrad_gauge){ .fn = o->metrics[i].fn, .ud = o->metrics[i].ud };
    const char *name = o->metrics[i].name;
    mgrad_format(g->name, sizeof g->name, "%s", name != NULL ? name : "");
    if (g->fn != NULL) continue;
    g->metric = mgrad_metric_at(mgrad_metric_parse(o->metrics[i].name, &g->k));
    if (g->metric != NULL) continue;
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: unknown metric \"%s\"",
                      o->metrics[i].name);
  }
  return MGRAD_OK;
}

static bool two_sided(const mgrad_op *loss) {
  return loss == &mgrad_op_bce || loss == &mgrad_op_bce_with_logits;
}

static mgrad_status take_weights(mgrad_judge *j, mgrad_tensor *weights) {
  if (weights == NULL) return MGRAD_OK;
  const mgrad_array *a = &weights->a;
  bool sides = two_sided(j->loss);
  if (!sides && j->loss != &mgrad_op_cross_entropy && j->loss != &mgrad_op_nll) {
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: class_weight needs the loss"
                      " cross_entropy, nll, bce or bce_with_logits");
  }
  if (a->ndim != 1 || (sides && a->size[0] != 2)) {
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: class_weight is %a, expected %s", a,
                      sides ? "{2}: of no and of yes" : "{classes}");
  }
  if (!sides) {
    j->weight = mgrad_tensor_retain(weights);
    return MGRAD_OK;
  }
  double no = (double)a->data[0], yes = (double)a->data[a->stride[0]];
  MGRAD_TRY(mgrad_tensor_full(j->ctx, 0, NULL, no, &j->weight));
  return mgrad_tensor_full(j->ctx, 0, NULL, yes - no, &j->rise);
}

mgrad_status mgrad_judge_open(mgrad_context *ctx, const mgrad_trainer_options *o,
                              mgrad_judge *j) {
  *j = (mgrad_judge){ .ctx = ctx, .loss = o->loss, .ignore = NAN, .loss_fn = o->loss_fn,
                      .loss_ud = o->loss_ud, .loss_pure = o->loss_pure != 0 };
  MGRAD_TRY(take_loss(j, o));
  MGRAD_TRY(take_metrics(j, o));
  mgrad_status status = take_weights(j, o->class_weight);
  if (status != MGRAD_OK) mgrad_judge_close(j);
  return status;
}

void mgrad_judge_close(mgrad_judge *j) {
  mgrad_tensor_release(j->weight);
  mgrad_tensor_release(j->rise);
}

bool mgrad_judge_alone(const mgrad_judge *j) {
  for (int i = 0; i < j->nmetrics; i++) {
    if (j->metrics[i].fn != NULL) return false;
  }
  return true;
}

/* ---- the loss ---- */

/* Targets {n} for predictions {n, 1} are seen as {n, 1}. */
static mgrad_status fit_target(mgrad_tensor *prediction, mgrad_tensor *y,
                               mgrad_tensor **out) {
  const mgrad_array *p = &prediction->a;
  if (y->a.ndim != 1 || p->ndim != 2 || p->size[1] != 1 || p->size[0] != y->a.size[0]) {
    *out = mgrad_tensor_retain(y);
    return MGRAD_OK;
  }
  mgrad_attrs column = { .value = { 2 } };
  return mgrad_apply(&mgrad_op_unsqueeze, y->ctx, &y, 1, &column, out);
}

/* The weight of each number: that of no, and for a yes the rise from there. */
static mgrad_status weigh_sides(const mgrad_judge *j, mgrad_tensor *y, mgrad_tensor **out) {
  mgrad_tensor *risen;
  MGRAD_TRY(mgrad_apply(&mgrad_op_mul, j->ctx, (mgrad_tensor *[]){ y, j->rise }, 2, NULL,
                        &risen));
  mgrad_status status = mgrad_apply(&mgrad_op_add, j->ctx,
                                    (mgrad_tensor *[]){ risen, j->weight }, 2, NULL, out);
  mgrad_tensor_release(risen);
  return status;
}

static mgrad_status apply_op(const mgrad_judge *j, mgrad_tensor *prediction, mgrad_tensor *y,
                             mgrad_tensor **loss) {
  mgrad_tensor *x[] = { prediction, y, j->weight };
  if (j->rise != NULL) MGRAD_TRY(weigh_sides(j, y, &x[2]));
  mgrad_status status = mgrad_apply(j->loss, j->ctx, x, x[2] != NULL ? 3 : 2, &j->loss_attrs,
                                    loss);
  if (j->rise != NULL) mgrad_tensor_release(x[2]);
  return status;
}

static mgrad_status apply_loss(const mgrad_judge *j, mgrad_tensor *prediction,
                               mgrad_tensor *y, mgrad_tensor **loss) {
  if (j->loss != NULL) {
    MGRAD_TRY(apply_op(j, prediction, y, loss));
  } else {
    if (!j->loss_pure) j->ctx->observed = true; /* a host's function cannot be replayed */
    MGRAD_TRY(j->loss_fn(j->loss_ud, prediction, y, loss));
  }
  if (mgrad_tensor_numel(*loss) == 1) return MGRAD_OK;
  mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: the loss is %a, expected a single number",
             &(*loss)->a);
  mgrad_tensor_release(*loss);
  return MGRAD_INVALID;
}

/* ---- metrics ---- */

static int64_t count_examples(const mgrad_array *y) { return y->ndim > 0 ? y->size[0] : 1; }

mgrad_status mgrad_tally_make(mgrad_context *ctx, const int64_t at[MGRAD_MAX_METRICS + 1],
                              int64_t n, mgrad_tally *t) {
  double *sums = mgrad_new_zeroed(ctx, (size_t)n * 2 * sizeof *sums);
  if (sums == NULL) return MGRAD_NOMEM;
  mgrad_tally_free(ctx, t);
  memcpy(t->at, at, sizeof t->at);
  t->sums = sums;
  t->spare = sums + n;
  return MGRAD_OK;
}

/* Room for the sums, made at the first batch: their number depends on its shape. */
static mgrad_status make_room(const mgrad_judge *j, const mgrad_scores *s, mgrad_tally *t) {
  int64_t at[MGRAD_MAX_METRICS + 1] = { 0 };
  for (int i = 0; i < j->nmetrics; i++) {
    const mgrad_metric *m = j->metrics[i].metric;
    at[i + 1] = at[i] + (m != NULL ? m->size(&s[i]) : 1);
  }
  int64_t n = at[j->nmetrics];
  if (n == 0 || (t->sums != NULL && memcmp(at, t->at, sizeof at) == 0)) return MGRAD_OK;
  if (t->examples > 0) {
    return mgrad_fail(j->ctx, MGRAD_INVALID, "trainer: the predictions have another number of"
                      " classes or columns than in the batch before, which metrics cannot join");
  }
  return mgrad_tally_make(j->ctx, at, n, t);
}

/* The host's metrics get tensors, and come first: they may fail. */
static mgrad_status call_own(const mgrad_judge *j, mgrad_tensor *prediction,
                             mgrad_tensor *target, double value[MGRAD_MAX_METRICS]) {
  for (int i = 0; i < j->nmetrics; i++) {
    const mgrad_gauge *g = &j->metrics[i];
    value[i] = 0;
    if (g->fn == NULL) continue;
    j->ctx->observed = true;
    MGRAD_TRY(g->fn(g->ud, prediction, target, &value[i]));
  }
  return MGRAD_OK;
}

/* Metrics known by name need the numbers only; 'own' are the values of the others. */
static mgrad_status add_metrics(const mgrad_judge *j, const mgrad_array *p,
                                const mgrad_array *y, const double *own, mgrad_tally *t) {
  mgrad_scores s[MGRAD_MAX_METRICS];
  for (int i = 0; i < j->nmetrics; i++) {
    const mgrad_metric *m = j->metrics[i].metric;
    if (m == NULL) continue;
    MGRAD_TRY(mgrad_metric_look(j->ctx, m, j->loss, p, y, &s[i]));
    s[i].ignore = j->ignore;
  }
  MGRAD_TRY(make_room(j, s, t));
  for (int i = 0; i < j->nmetrics; i++) {
    const mgrad_gauge *g = &j->metrics[i];
    if (g->metric != NULL) g->metric->add(&s[i], g->k, t->sums + t->at[i]);
    else t->sums[t->at[i]] += own[i] * (double)count_examples(y);
  }
  return MGRAD_OK;
}

/* The same tensor, or a packed copy of it. */
static mgrad_status packed(mgrad_tensor *t, mgrad_tensor **out) {
  if (!mgrad_shape_packed(&t->a)) {
    return mgrad_apply(&mgrad_op_contiguous, t->ctx, &t, 1, NULL, out);
  }
  *out = mgrad_tensor_retain(t);
  return MGRAD_OK;
}

static mgrad_status measure(const mgrad_judge *j, mgrad_tensor *prediction,
                            mgrad_tensor *target, mgrad_tally *t) {
  double own[MGRAD_MAX_METRICS];
  mgrad_tensor *p, *y;
  MGRAD_TRY(call_own(j, prediction, target, own));
  MGRAD_TRY(packed(prediction, &p));
  mgrad_status status = packed(target, &y);
  if (status == MGRAD_OK) {
    status = add_metrics(j, &p->a, &y->a, own, t);
    mgrad_tensor_release(y);
  }
  mgrad_tensor_release(p);
  return status;
}

static mgrad_status measure_quietly(const mgrad_judge *j, mgrad_tensor *prediction,
                                    mgrad_tensor *target, mgrad_tally *t) {
  if (j->nmetrics == 0 || t->loss_only) return MGRAD_OK;
  int recording = mgrad_grad_enable(j->ctx, 0);
  mgrad_status status = measure(j, prediction, target, t);
  mgrad_grad_enable(j->ctx, recording);
  return status;
}

/* ---- both ---- */

static void add_loss(const mgrad_judge *j, double loss, int64_t n, mgrad_tally *t) {
  t->examples += n;
  t->loss += loss * (j->loss_is_sum ? 1 : (double)n);
}

mgrad_status mgrad_judge_tensors(const mgrad_judge *j, mgrad_tensor *prediction,
                                 mgrad_tensor *y, mgrad_tally *t, mgrad_tensor **loss) {
  mgrad_tensor *target;
  MGRAD_TRY(fit_target(prediction, y, &target));
  mgrad_status status = apply_loss(j, prediction, target, loss);
  if (status == MGRAD_OK) {
    status = measure_quietly(j, prediction, target, t);
    if (status == MGRAD_OK) add_loss(j, (double)(*loss)->a.data[0], count_examples(&y->a), t);
    else mgrad_tensor_release(*loss);
  }
  mgrad_tensor_release(target);
  return status;
}

mgrad_status mgrad_judge_arrays(const mgrad_judge *j, const mgrad_array *prediction,
                                const mgrad_array *y, double loss, mgrad_tally *t) {
  if (j->nmetrics > 0 && !t->loss_only) {
    MGRAD_TRY(add_metrics(j, prediction, y, NULL, t));
  }
  add_loss(j, loss, count_examples(y), t);
  return MGRAD_OK;
}

/* ---- tallies ---- */

static size_t sums_bytes(const mgrad_tally *t) {
  return (size_t)(t->spare - t->sums) * sizeof *t->sums;
}

void mgrad_tally_clear(mgrad_tally *t) {
  mgrad_tally empty = { .sums = t->sums, .spare = t->spare };
  memcpy(empty.at, t->at, sizeof t->at);
  if (t->sums != NULL) memset(t->sums, 0, sums_bytes(t));
  *t = empty;
}

void mgrad_tally_free(mgrad_context *ctx, mgrad_tally *t) {
  if (t->sums != NULL) mgrad_free(ctx, t->sums);
  *t = (mgrad_tally){ 0 };
}

mgrad_held mgrad_tally_hold(mgrad_tally *t) {
  if (t->sums != NULL) memcpy(t->spare, t->sums, sums_bytes(t));
  return (mgrad_held){ t->examples, t->loss, t->sums };
}

void mgrad_tally_take_back(mgrad_tally *t, const mgrad_held *held) {
  t->examples = held->examples;
  t->loss = held->loss;
  if (t->sums == NULL) return;
  if (held->sums == t->sums) memcpy(t->sums, t->spare, sums_bytes(t));
  else memset(t->sums, 0, sums_bytes(t));
}

void mgrad_tally_exchange(mgrad_tally *t, mgrad_held *held) {
  mgrad_held now = { t->examples, t->loss, t->sums };
  for (int64_t i = 0; t->sums != NULL && i < t->spare - t->sums; i++) {
    double sum = t->sums[i];
    t->sums[i] = t->spare[i]; /* zeros, if the batch has made them */
    t->spare[i] = sum;
  }
  t->examples = held->examples;
  t->loss = held->loss;
  *held = now;
}

void mgrad_tally_report(const mgrad_judge *j, const mgrad_tally *t, mgrad_report *out) {
  *out = (mgrad_report){ .examples = t->examples };
  if (t->examples == 0) return;
  double n = (double)t->examples;
  out->loss = t->loss / n;
  for (int i = 0; i < j->nmetrics; i++) {
    const mgrad_metric *m = j->metrics[i].metric;
    const double *sums = t->sums + t->at[i];
    out->metric[i] = m != NULL ? m->value(sums, t->at[i + 1] - t->at[i]) : *sums / n;
  }
}

mgrad_status mgrad_tally_table(const mgrad_judge *j, const mgrad_tally *t, int i,
                               mgrad_tensor **out) {
  *out = NULL;
  if (i < 0 || i >= j->nmetrics || t->sums == NULL || j->metrics[i].metric == NULL ||
      !j->metrics[i].metric->table) {
    return MGRAD_OK;
  }
  int64_t numbers = t->at[i + 1] - t->at[i], n = 1;
  while (n * n < numbers) n++;
  MGRAD_TRY(mgrad_tensor_new(j->ctx, 2, (int64_t[]){ n, n }, out));
  for (int64_t k = 0; k < numbers; k++) (*out)->a.data[k] = (mgrad_real)t->sums[t->at[i] + k];
  return MGRAD_OK;
}
