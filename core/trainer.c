/*
** trainer.c - batches, shuffling, one step, evaluation, where a run stands.
**
** A step either happens whole or leaves the weights as they were, and every
** run stops between two steps: so a break, an error or a time limit never
** finds a model that is half updated.
**
** The first step of each batch shape runs op by op and is recorded; where the
** recording can be frozen, the following ones replay its plan.
*/
#include "backup.h"
#include "layer.h"
#include "optimizer.h"
#include "dataset.h"
#include "metric.h"
#include "plan.h"
#include "random.h"
#include "kernels/kernels.h"

enum { PLANS = 4 }; /* of different batch shapes; a whole and a last batch, usually */

struct mgrad_trainer {
  mgrad_context *ctx;
  mgrad_trainer_options options;
  mgrad_attrs loss_attrs;
  bool loss_is_sum;
  /* where the run stands */
  mgrad_dataset *data;
  int64_t batch, epochs, epoch, at; /* 'at' examples of 'epoch' are done */
  int64_t count;                    /* of the data */
  int64_t *order;                   /* of the epoch under way */
  bool shuffle;
  mgrad_report report;              /* sums, of the epoch under way */
  mgrad_plan *plans[PLANS];         /* the latest first */
  mgrad_plan *usual;                /* that of the last batch from the data, or NULL */
  int64_t usual_n;                  /* its examples */
  bool busy;                        /* a step is under way */
  mgrad_backup backup;              /* of the net's buffers, for a step that fails */
};

/* ---- making and releasing ---- */

/* Position of the attribute "reduction" in a loss's attributes, or -1. */
static int reduction_attr(const mgrad_op *loss) {
  for (int i = 0; loss->attrs[i].type != MGRAD_ATTR_NONE; i++) {
    if (strcmp(loss->attrs[i].name, "reduction") == 0) return i;
  }
  return -1;
}

static mgrad_status take_loss(mgrad_trainer *t) {
  const mgrad_op *loss = t->options.loss;
  if (loss == NULL) {
    if (t->options.loss_fn != NULL) return MGRAD_OK;
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: loss is missing");
  }
  if (!(loss->flags & MGRAD_OP_LOSS)) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: %s is not a loss", loss->name);
  }
  if (t->options.loss_attrs != NULL) t->loss_attrs = *t->options.loss_attrs;
  else mgrad_attrs_default(loss->attrs, &t->loss_attrs);
  MGRAD_TRY(mgrad_attrs_check(t->ctx, loss->name, loss->attrs, &t->loss_attrs));
  int reduction = reduction_attr(loss); /* mean, sum, none */
  double how = reduction >= 0 ? t->loss_attrs.value[reduction] : 0;
  if (how == 2) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: %s has reduction \"none\", expected"
                      " \"mean\" or \"sum\"", loss->name);
  }
  t->loss_is_sum = how == 1;
  return MGRAD_OK;
}

static mgrad_status take_metrics(mgrad_trainer *t) {
  mgrad_trainer_options *o = &t->options;
  if (o->nmetrics < 0 || o->nmetrics > MGRAD_MAX_METRICS) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: %d metrics, expected at most %d",
                      (int64_t)o->nmetrics, (int64_t)MGRAD_MAX_METRICS);
  }
  for (int i = 0; i < o->nmetrics; i++) {
    if (o->metrics[i].fn != NULL) continue;
    int k = mgrad_metric_find(o->metrics[i].name);
    if (k < 0) {
      return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: unknown metric \"%s\"",
                        o->metrics[i].name);
    }
    o->metrics[i].name = mgrad_metric_name(k); /* the caller's string may go */
  }
  return MGRAD_OK;
}

mgrad_status mgrad_trainer_new(mgrad_context *ctx, const mgrad_trainer_options *options,
                               mgrad_trainer **out) {
  mgrad_trainer fresh = { .ctx = ctx, .options = *options };
  if (options->net == NULL || options->optimizer == NULL) {
    return mgrad_fail(ctx, MGRAD_INVALID, "trainer: %s is missing",
                      options->net == NULL ? "net" : "optimizer");
  }
  MGRAD_TRY(take_loss(&fresh));
  MGRAD_TRY(take_metrics(&fresh));
  mgrad_trainer *t = mgrad_new(ctx, sizeof *t);
  if (t == NULL) return MGRAD_NOMEM;
  if (!mgrad_optimizer_attached(options->optimizer)) {
    mgrad_status status = mgrad_optimizer_attach(options->optimizer, options->net);
    if (status != MGRAD_OK) {
      mgrad_free(ctx, t, sizeof *t);
      return status;
    }
  }
  *t = fresh;
  mgrad_layer_retain(options->net);
  mgrad_optimizer_retain(options->optimizer);
  mgrad_object_born(ctx);
  *out = t;
  return MGRAD_OK;
}

static void end_run(mgrad_trainer *t) {
  mgrad_free(t->ctx, t->order, (size_t)t->count * sizeof *t->order);
  mgrad_dataset_release(t->data);
  t->order = NULL;
  t->data = NULL;
}

void mgrad_trainer_release(mgrad_trainer *t) {
  if (t == NULL) return;
  mgrad_context *ctx = t->ctx;
  end_run(t);
  for (int i = 0; i < PLANS; i++) mgrad_plan_release(t->plans[i]);
  mgrad_backup_free(&t->backup);
  mgrad_layer_release(t->options.net);
  mgrad_optimizer_release(t->options.optimizer);
  mgrad_free(ctx, t, sizeof *t);
  mgrad_object_gone(ctx);
}

/* ---- loss and metrics of one batch ---- */

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

static mgrad_status check_loss(const mgrad_tensor *loss) {
  if (mgrad_tensor_numel(loss) == 1) return MGRAD_OK;
  return mgrad_fail(loss->ctx, MGRAD_INVALID,
                    "trainer: the loss is %a, expected a single number", &loss->a);
}

static mgrad_status apply_loss(mgrad_trainer *t, mgrad_tensor *prediction, mgrad_tensor *y,
                               mgrad_tensor **loss) {
  const mgrad_trainer_options *o = &t->options;
  mgrad_tensor *both[] = { prediction, y };
  if (o->loss != NULL) {
    MGRAD_TRY(mgrad_apply(o->loss, t->ctx, both, 2, &t->loss_attrs, loss));
  } else {
    if (!o->loss_pure) t->ctx->observed = true; /* a host's function cannot be replayed */
    MGRAD_TRY(o->loss_fn(o->loss_ud, prediction, y, loss));
  }
  mgrad_status status = check_loss(*loss);
  if (status != MGRAD_OK) mgrad_tensor_release(*loss);
  return status;
}

static mgrad_status add_own_metric(const mgrad_trainer *t, int i, mgrad_tensor *prediction,
                                   mgrad_tensor *y, double *value) {
  t->ctx->observed = true;
  return t->options.metrics[i].fn(t->options.metrics[i].ud, prediction, y, value);
}

/* Metrics known by name need the numbers only; those of the host get tensors,
** which are NULL where a plan runs, as it does only without such metrics. */
static mgrad_status add_metrics(mgrad_trainer *t, const mgrad_array *p, const mgrad_array *y,
                                mgrad_tensor *prediction, mgrad_tensor *target,
                                double examples, mgrad_report *report) {
  const mgrad_trainer_options *o = &t->options;
  for (int i = 0; i < o->nmetrics; i++) {
    double value = 0;
    if (o->metrics[i].fn != NULL) {
      MGRAD_TRY(add_own_metric(t, i, prediction, target, &value));
    } else {
      const mgrad_metric *m = mgrad_metric_at(mgrad_metric_find(o->metrics[i].name));
      MGRAD_TRY(m->mean(t->ctx, o->loss, p, y, &value));
    }
    report->metric[i] += value * examples;
  }
  return MGRAD_OK;
}

static void add_loss(const mgrad_trainer *t, double loss, int64_t n, mgrad_report *report) {
  report->examples += n;
  report->loss += loss * (t->loss_is_sum ? 1 : (double)n);
}

static int64_t examples(const mgrad_array *y) { return y->ndim > 0 ? y->size[0] : 1; }

/* The same tensor, or a packed copy of it. */
static mgrad_status packed(mgrad_tensor *t, mgrad_tensor **out) {
  if (!mgrad_shape_packed(&t->a)) {
    return mgrad_apply(&mgrad_op_contiguous, t->ctx, &t, 1, NULL, out);
  }
  *out = mgrad_tensor_retain(t);
  return MGRAD_OK;
}

static mgrad_status measure(mgrad_trainer *t, mgrad_tensor *prediction, mgrad_tensor *target,
                            mgrad_report *report) {
  if (t->options.nmetrics == 0) return MGRAD_OK;
  mgrad_tensor *p, *y;
  int recording = mgrad_grad_enable(t->ctx, 0);
  mgrad_status status = packed(prediction, &p);
  if (status == MGRAD_OK) {
    status = packed(target, &y);
    if (status == MGRAD_OK) {
      status = add_metrics(t, &p->a, &y->a, prediction, target,
                           (double)examples(&target->a), report);
      mgrad_tensor_release(y);
    }
    mgrad_tensor_release(p);
  }
  mgrad_grad_enable(t->ctx, recording);
  return status;
}

/* Loss of a prediction, as a tensor; sums of loss and metrics into 'report'. */
static mgrad_status judge(mgrad_trainer *t, mgrad_tensor *prediction, mgrad_tensor *y,
                          mgrad_report *report, mgrad_tensor **loss) {
  mgrad_tensor *target;
  MGRAD_TRY(fit_target(prediction, y, &target));
  mgrad_status status = apply_loss(t, prediction, target, loss);
  if (status == MGRAD_OK) {
    add_loss(t, (double)(*loss)->a.data[0], examples(&y->a), report);
    status = measure(t, prediction, target, report);
    if (status != MGRAD_OK) mgrad_tensor_release(*loss);
  }
  mgrad_tensor_release(target);
  return status;
}

/* ---- a step, op by op ---- */

/* Says where a loss that is no number came from. 'stream' is the generator's
** place before the step, so that the same numbers are dropped again. */
static mgrad_status explain(mgrad_trainer *t, mgrad_tensor *x, double loss, uint64_t stream) {
  uint64_t now = t->ctx->stream;
  t->ctx->stream = stream;
  mgrad_status status = mgrad_layer_hunt(t->options.net, x);
  t->ctx->stream = now;
  if (status == MGRAD_OK) {
    return mgrad_fail(t->ctx, MGRAD_NONFINITE,
                      "trainer: the loss is %g although all layers give finite numbers; no"
                      " weight was changed", loss);
  }
  if (status != MGRAD_NONFINITE) return status;
  return mgrad_fail(t->ctx, status, "trainer: the loss is %g; %s; no weight was changed",
                    loss, mgrad_error(t->ctx));
}

static mgrad_status backward_and_update(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *loss,
                                        uint64_t stream) {
  double value = (double)loss->a.data[0];
  if (value - value != 0) return explain(t, x, value, stream);
  mgrad_optimizer_clear(t->options.optimizer);
  MGRAD_TRY(mgrad_backward(loss, 0));
  return mgrad_optimizer_step(t->options.optimizer);
}

/* Keeps a plan of what was recorded, in place of the oldest. Without one, for
** whatever reason, the following steps go op by op as well. */
static void keep_plan(mgrad_trainer *t, const mgrad_recorder *r, const mgrad_plan_ends *e) {
  mgrad_plan *plan;
  if (e->x->storage == e->y->storage || !mgrad_shape_packed(&e->x->a) ||
      !mgrad_shape_packed(&e->y->a) || mgrad_plan_new(r, e, &plan) != MGRAD_OK) {
    return;
  }
  mgrad_plan_release(t->plans[PLANS - 1]);
  t->usual = NULL;
  memmove(t->plans + 1, t->plans, (PLANS - 1) * sizeof *t->plans);
  t->plans[0] = plan;
}

static mgrad_status step(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                         mgrad_report *report) {
  mgrad_tensor *prediction, *loss;
  mgrad_recorder r;
  MGRAD_TRY(mgrad_layer_complete(t->options.net, x, NULL));
  uint64_t stream = t->ctx->stream;
  MGRAD_TRY(mgrad_backup_begin(&t->backup, t->options.net));
  bool recording = !t->options.no_plan && t->ctx->recorder == NULL && t->options.net->complete;
  if (recording) mgrad_record_begin(&r, t->ctx);
  mgrad_status status = mgrad_layer_forward(t->options.net, x, &prediction);
  if (status == MGRAD_OK) {
    status = judge(t, prediction, y, report, &loss);
    if (recording) mgrad_record_end(&r);
    if (status == MGRAD_OK) {
      mgrad_plan_ends ends = { x, y, prediction, loss };
      if (recording) keep_plan(t, &r, &ends);
      status = backward_and_update(t, x, loss, stream);
      mgrad_tensor_release(loss);
    }
    mgrad_tensor_release(prediction);
  } else if (recording) {
    mgrad_record_end(&r);
  }
  if (recording) mgrad_record_free(&r);
  return status;
}

/* ---- a step, replayed ---- */

/* The plan for inputs of these shapes. Plans that no longer fit are dropped. */
static mgrad_plan *find_plan(mgrad_trainer *t, const mgrad_array *x, const mgrad_array *y) {
  mgrad_plan *found = NULL;
  for (int i = 0; i < PLANS && t->plans[i] != NULL; i++) {
    mgrad_plan *p = t->plans[i];
    if (!mgrad_plan_fresh(p)) {
      t->usual = NULL;
      for (; i < PLANS; i++) {
        mgrad_plan_release(t->plans[i]);
        t->plans[i] = NULL;
      }
      return found;
    }
    if (mgrad_shape_equal(mgrad_plan_x(p), x) && mgrad_shape_equal(mgrad_plan_y(p), y)) {
      found = p;
    }
  }
  return found;
}

/* The inputs are in their places already. */
static mgrad_status replay(mgrad_trainer *t, mgrad_plan *p, mgrad_report *report) {
  uint64_t stream = t->ctx->stream;
  MGRAD_TRY(mgrad_backup_begin(&t->backup, t->options.net));
  MGRAD_TRY(mgrad_plan_forward(p));
  double loss = (double)mgrad_plan_loss(p);
  if (loss - loss != 0) {
    mgrad_tensor *x;
    MGRAD_TRY(mgrad_tensor_like(t->ctx, mgrad_plan_x(p), &x));
    mgrad_array_copy(&x->a, mgrad_plan_x(p));
    mgrad_status status = explain(t, x, loss, stream);
    mgrad_tensor_release(x);
    return status;
  }
  int64_t n = examples(mgrad_plan_y(p));
  add_loss(t, loss, n, report);
  MGRAD_TRY(add_metrics(t, mgrad_plan_prediction(p), mgrad_plan_y(p), NULL, NULL, (double)n,
                        report));
  mgrad_optimizer_clear(t->options.optimizer);
  mgrad_plan_backward(p);
  return mgrad_optimizer_step(t->options.optimizer);
}

/* ---- one batch ---- */

/* Where a batch comes from: two tensors, or positions in the data. */
typedef struct step_input {
  mgrad_tensor *x, *y;
  const int64_t *at;
  int64_t n;
} step_input;

/* The plan for n examples of the data. */
static mgrad_plan *find_plan_for(mgrad_trainer *t, int64_t n) {
  if (t->usual == NULL || t->usual_n != n || !mgrad_plan_fresh(t->usual)) {
    mgrad_array x, y;
    mgrad_dataset_shapes(t->data, n, &x, &y);
    t->usual = find_plan(t, &x, &y);
    t->usual_n = n;
  }
  return t->usual;
}

static mgrad_status step_tensors(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                                 mgrad_report *report) {
  mgrad_plan *plan = find_plan(t, &x->a, &y->a);
  if (plan == NULL) return step(t, x, y, report);
  mgrad_array_copy(mgrad_plan_x(plan), &x->a);
  mgrad_array_copy(mgrad_plan_y(plan), &y->a);
  return replay(t, plan, report);
}

static mgrad_status step_batch(mgrad_trainer *t, const step_input *b, mgrad_report *report) {
  if (b->at == NULL) return step_tensors(t, b->x, b->y, report);
  mgrad_plan *plan = find_plan_for(t, b->n);
  if (plan != NULL) {
    mgrad_dataset_read(t->data, b->at, b->n, mgrad_plan_x(plan)->data,
                       mgrad_plan_y(plan)->data);
    return replay(t, plan, report);
  }
  mgrad_tensor *x, *y;
  MGRAD_TRY(mgrad_dataset_gather(t->data, b->at, b->n, &x, &y));
  mgrad_status status = step(t, x, y, report);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  return status;
}

/* Its net and its loss may call Lua, which may call this trainer. */
static mgrad_status idle(const mgrad_trainer *t) {
  if (!t->busy) return MGRAD_OK;
  return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: is in use; what it calls in a step cannot"
                    " train with it");
}

/* A step in training mode, recording whatever the caller has switched off. */
static mgrad_status train(mgrad_trainer *t, const step_input *b, mgrad_report *report) {
  MGRAD_TRY(idle(t));
  mgrad_layer *net = t->options.net;
  int training = mgrad_layer_training(net);
  int recording = mgrad_grad_enable(t->ctx, 1);
  if (!training) mgrad_layer_train(net, 1);
  mgrad_report sums = *report;
  t->busy = true;
  mgrad_status status = step_batch(t, b, &sums);
  mgrad_backup_end(&t->backup, status == MGRAD_OK);
  t->busy = false;
  if (!training) mgrad_layer_train(net, 0);
  mgrad_grad_enable(t->ctx, recording);
  if (status == MGRAD_OK) *report = sums;
  return status;
}

mgrad_status mgrad_trainer_step(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                                double *loss) {
  mgrad_report report = { 0 };
  step_input b = { .x = x, .y = y };
  MGRAD_TRY(train(t, &b, &report));
  *loss = report.loss / (double)report.examples;
  return MGRAD_OK;
}

/* ---- runs ---- */

static mgrad_status check_batch(mgrad_context *ctx, int64_t batch) {
  if (batch >= 1) return MGRAD_OK;
  return mgrad_fail(ctx, MGRAD_INVALID, "trainer: batch is %d, expected 1 or more", batch);
}

mgrad_status mgrad_trainer_begin(mgrad_trainer *t, mgrad_dataset *d, int64_t batch,
                                 int64_t epochs, int shuffle) {
  MGRAD_TRY(idle(t));
  MGRAD_TRY(check_batch(t->ctx, batch));
  if (epochs < 1) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: epochs is %d, expected 1 or more",
                      epochs);
  }
  int64_t count = mgrad_dataset_count(d);
  int64_t *order = mgrad_new(t->ctx, (size_t)count * sizeof *order);
  if (order == NULL) return MGRAD_NOMEM;
  for (int64_t i = 0; i < count; i++) order[i] = i;
  mgrad_dataset_retain(d);
  end_run(t);
  t->data = d;
  t->usual = NULL;
  t->batch = batch;
  t->epochs = epochs;
  t->epoch = t->at = 0;
  t->count = count;
  t->order = order;
  t->shuffle = shuffle != 0;
  t->report = (mgrad_report){ 0 };
  return MGRAD_OK;
}

static void next_epoch(mgrad_trainer *t) {
  t->epoch++;
  t->at = 0;
  t->report = (mgrad_report){ 0 };
  if (!t->shuffle) return;
  mgrad_random_permutation(t->ctx->seed, t->ctx->stream++, t->count, t->order);
}

static mgrad_status next_batch(mgrad_trainer *t) {
  step_input b = { .at = t->order + t->at, .n = mgrad_min_size(t->batch, t->count - t->at) };
  MGRAD_TRY(train(t, &b, &t->report));
  t->at += b.n;
  return MGRAD_OK;
}

static void average(const mgrad_report *sums, mgrad_report *out) {
  *out = *sums;
  if (sums->examples == 0) return;
  double n = (double)sums->examples;
  out->loss /= n;
  for (int i = 0; i < MGRAD_MAX_METRICS; i++) out->metric[i] /= n;
}

mgrad_status mgrad_trainer_run(mgrad_trainer *t, const mgrad_run *run, mgrad_report *report,
                               int *done) {
  if (t->data == NULL) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: there is no data; begin first");
  }
  MGRAD_TRY(idle(t)); /* before an epoch is begun */
  if (t->epoch == t->epochs && t->at == t->count) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: all epochs are over; begin again");
  }
  bool over = false;
  for (int64_t steps = 0; !over;) {
    bool epoch_over = t->epoch == 0 || t->at == t->count;
    if (epoch_over && t->epoch == t->epochs) break;
    if (epoch_over) next_epoch(t);
    MGRAD_TRY(next_batch(t));
    over = ++steps == run->steps || (run->one_epoch && t->at == t->count) ||
           (run->expired != NULL && run->expired(run->ud));
  }
  *done = t->epoch == t->epochs && t->at == t->count;
  average(&t->report, report);
  return MGRAD_OK;
}

void mgrad_trainer_position(const mgrad_trainer *t, int64_t *epoch, int64_t *examples) {
  *epoch = t->epoch;
  *examples = t->at;
}

/* ---- evaluation ---- */

static mgrad_status evaluate_batch(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                                   mgrad_report *sums) {
  mgrad_tensor *prediction, *loss;
  MGRAD_TRY(mgrad_layer_predict(t->options.net, x, &prediction));
  int recording = mgrad_grad_enable(t->ctx, 0);
  mgrad_status status = judge(t, prediction, y, sums, &loss);
  mgrad_grad_enable(t->ctx, recording);
  if (status == MGRAD_OK) mgrad_tensor_release(loss);
  mgrad_tensor_release(prediction);
  return status;
}

mgrad_status mgrad_trainer_evaluate(mgrad_trainer *t, mgrad_dataset *d, int64_t batch,
                                    mgrad_report *report) {
  MGRAD_TRY(check_batch(t->ctx, batch));
  mgrad_report sums = { 0 };
  mgrad_status status = MGRAD_OK;
  int64_t count = mgrad_dataset_count(d);
  mgrad_dataset_retain(d); /* a callback may release it */
  for (int64_t at = 0; at < count && status == MGRAD_OK; at += mgrad_min_size(batch, count - at)) {
    mgrad_tensor *x, *y;
    status = mgrad_dataset_batch(d, at + 1, mgrad_min_size(batch, count - at), &x, &y);
    if (status != MGRAD_OK) break;
    status = evaluate_batch(t, x, y, &sums);
    mgrad_tensor_release(x);
    mgrad_tensor_release(y);
  }
  mgrad_dataset_release(d);
  if (status == MGRAD_OK) average(&sums, report);
  return status;
}
