/*
** trainer.c - batches, shuffling, one step, where a run stands.
**
** A step either happens whole or leaves the weights as they were: so a break, an
** error or a time limit never finds a model that is half updated. A run that is
** short of time may leave a batch in its middle; what others can see is then as
** before it, and what the batch has come to is exchanged for that again when the
** next run goes on with it.
**
** The first step of each batch shape runs op by op and is recorded; where the
** recording can be frozen, the following ones replay its plan. Where a run may pause, the
** recording is one without numbers, and the first step is replayed as well.
*/
#include "trainer.h"
#include "random.h"
#include "kernels/kernels.h"

/* ---- making and releasing ---- */

static mgrad_status attach(mgrad_optimizer *o, mgrad_layer *net) {
  return mgrad_optimizer_attached(o) ? MGRAD_OK : mgrad_optimizer_attach(o, net);
}

mgrad_status mgrad_trainer_new(mgrad_context *ctx, const mgrad_trainer_options *options,
                               mgrad_trainer **out) {
  mgrad_trainer fresh = { .ctx = ctx, .net = options->net, .optimizer = options->optimizer,
                          .no_plan = options->no_plan != 0, .anomaly = options->anomaly != 0,
                          .accumulate = 1 };
  if (fresh.net == NULL || fresh.optimizer == NULL) {
    return mgrad_fail(ctx, MGRAD_INVALID, "trainer: %s is missing",
                      fresh.net == NULL ? "net" : "optimizer");
  }
  MGRAD_TRY(mgrad_judge_open(ctx, options, &fresh.judge));
  mgrad_trainer *t = mgrad_new(ctx, sizeof *t);
  mgrad_status status = t != NULL ? attach(fresh.optimizer, fresh.net) : MGRAD_NOMEM;
  if (status != MGRAD_OK) {
    mgrad_judge_close(&fresh.judge);
    mgrad_free(ctx, t);
    return status;
  }
  *t = fresh;
  mgrad_layer_retain(t->net);
  mgrad_optimizer_retain(t->optimizer);
  mgrad_object_born(ctx);
  *out = t;
  return MGRAD_OK;
}

void mgrad_trainer_drop_begun(mgrad_trainer *t) {
  if (t->begun.plan == NULL) return;
  mgrad_plan_rewind(t->begun.plan);
  t->begun.plan = NULL;
  t->late = true;
}

void mgrad_trainer_end_run(mgrad_trainer *t) {
  mgrad_trainer_drop_begun(t);
  t->late = false;
  mgrad_free(t->ctx, t->order);
  mgrad_dataset_release(t->data);
  t->order = NULL;
  t->data = NULL;
  t->waiting = false;
}

void mgrad_trainer_release(mgrad_trainer *t) {
  if (t == NULL) return;
  mgrad_context *ctx = t->ctx;
  mgrad_trainer_end_run(t);
  for (int i = 0; i < MGRAD_TRAINER_PLANS; i++) mgrad_plan_release(t->plans[i]);
  mgrad_backup_free(&t->backup);
  mgrad_tally_free(ctx, &t->tally);
  mgrad_tally_free(ctx, &t->exam);
  mgrad_judge_close(&t->judge);
  mgrad_layer_release(t->net);
  mgrad_optimizer_release(t->optimizer);
  mgrad_free(ctx, t);
  mgrad_object_gone(ctx);
}

/* ---- a step, op by op ---- */

/* Says where a loss that is no number came from. 'stream' is the generator's
** place before the step, so that the same numbers are dropped again. */
static mgrad_status explain(mgrad_trainer *t, mgrad_tensor *x, double loss, uint64_t stream) {
  uint64_t now = t->ctx->stream;
  t->ctx->stream = stream;
  mgrad_status status = mgrad_layer_hunt(t->net, x);
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

/* ---- the same batch again ---- */

/* Where a batch comes from: two tensors, or positions in the data. */
typedef struct step_input {
  mgrad_tensor *x, *y;
  const int64_t *at;
  int64_t n;
  bool last; /* of an epoch */
  mgrad_until *until; /* when it is to be left in its middle, or NULL */
} step_input;

/* What pictures of this step are changed by, or NULL. */
static const mgrad_draw *draw_of(const mgrad_trainer *t) { return t->draws ? &t->draw : NULL; }

/* Copies a batch to where the plan reads it. */
INLINE void fill_places(mgrad_trainer *t, mgrad_plan *p, const step_input *b) {
  const mgrad_array *x = mgrad_plan_x(p), *y = mgrad_plan_y(p);
  if (b->at != NULL) {
    mgrad_dataset_read(t->data, draw_of(t), b->at, b->n, x->data, y->data);
  } else {
    mgrad_array_copy(x, &b->x->a);
    mgrad_array_copy(y, &b->y->a);
  }
}

/* A batch that lbfgs evaluates many times. */
typedef struct again {
  mgrad_trainer *t;
  mgrad_plan *plan; /* or NULL: op by op, from the tensors of 'input' */
  const step_input *input;
  uint64_t stream;  /* where its random numbers begin, the same each time */
} again;

static mgrad_status evaluate_ops(const again *b, double *loss) {
  mgrad_trainer *t = b->t;
  mgrad_tally unused = { .loss_only = true };
  mgrad_tensor *prediction, *result;
  MGRAD_TRY(mgrad_layer_forward(t->net, b->input->x, &prediction));
  mgrad_status status = mgrad_judge_tensors(&t->judge, prediction, b->input->y, &unused,
                                            &result);
  mgrad_tensor_release(prediction);
  MGRAD_TRY(status);
  *loss = (double)result->a.data[0];
  mgrad_optimizer_clear(t->optimizer);
  status = mgrad_backward(result, 0);
  mgrad_tensor_release(result);
  return status;
}

static mgrad_status evaluate_again(void *ud, double *loss) {
  const again *b = ud;
  b->t->ctx->stream = b->stream;
  if (b->plan == NULL) return evaluate_ops(b, loss);
  fill_places(b->t, b->plan, b->input);
  MGRAD_TRY(mgrad_plan_forward(b->plan, NULL));
  *loss = (double)mgrad_plan_loss(b->plan);
  mgrad_optimizer_clear(b->t->optimizer);
  return mgrad_plan_backward(b->plan, NULL);
}

/* ---- an update ---- */

static mgrad_status minimise(again *b, double loss) {
  mgrad_trainer *t = b->t;
  if (t->accumulate > 1) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: accumulate is %d, but the optimizer"
                      " needs all of its data in one batch", t->accumulate);
  }
  return mgrad_optimizer_minimise(t->optimizer, loss, evaluate_again, b);
}

/* What follows backward: an update, or, where several batches share one, most times the
** gathering of gradients alone. The end of an epoch does not wait for more. */
static mgrad_status update(again *b, const mgrad_array *y, double loss) {
  mgrad_trainer *t = b->t;
  mgrad_optimizer *o = t->optimizer;
  if (o->def->solve != NULL) return minimise(b, loss);
  if (t->accumulate > 1) {
    double n = y->ndim > 0 ? (double)y->size[0] : 1;
    MGRAD_TRY(mgrad_optimizer_gather(o, n, t->judge.loss_is_sum));
    if (++t->gathered < t->accumulate && !t->last) return MGRAD_OK;
    mgrad_optimizer_spread(o);
    t->gathered = 0;
  }
  return mgrad_optimizer_step(o);
}

void mgrad_trainer_drop_gathered(mgrad_trainer *t) {
  if (t->gathered > 0) mgrad_optimizer_drop(t->optimizer);
  t->gathered = 0;
}

static mgrad_status backward_and_update(again *b, mgrad_tensor *loss) {
  double value = (double)loss->a.data[0];
  if (value - value != 0) return explain(b->t, b->input->x, value, b->stream);
  mgrad_optimizer_clear(b->t->optimizer);
  MGRAD_TRY(mgrad_backward(loss, 0));
  return update(b, &b->input->y->a, value);
}

/* Keeps a plan of what was recorded, in place of the oldest. Without one, for
** whatever reason, the following steps go op by op as well. */
static void keep_plan(mgrad_trainer *t, mgrad_recorder *r, const mgrad_plan_ends *e) {
  mgrad_plan *plan;
  if (e->x->storage == e->y->storage || !mgrad_shape_packed(&e->x->a) ||
      !mgrad_shape_packed(&e->y->a) || mgrad_plan_new(r, e, &plan) != MGRAD_OK) {
    return;
  }
  mgrad_plan_release(t->plans[MGRAD_TRAINER_PLANS - 1]);
  t->usual = NULL;
  memmove(t->plans + 1, t->plans, (MGRAD_TRAINER_PLANS - 1) * sizeof *t->plans);
  t->plans[0] = plan;
}

/* May steps be replayed? */
static bool plannable(const mgrad_trainer *t) {
  return !t->no_plan && t->ctx->anomaly == NULL && mgrad_judge_alone(&t->judge);
}

/* Prediction and loss. What these call must leave the weights alone. */
static mgrad_status forward(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                            mgrad_tally *tally, mgrad_tensor **prediction,
                            mgrad_tensor **loss) {
  bool busy = t->optimizer->busy;
  t->optimizer->busy = true;
  mgrad_status status = mgrad_layer_forward(t->net, x, prediction);
  if (status == MGRAD_OK) {
    status = mgrad_judge_tensors(&t->judge, *prediction, y, tally, loss);
    if (status != MGRAD_OK) mgrad_tensor_release(*prediction);
  }
  t->optimizer->busy = busy;
  return status;
}

/* The same, and a plan of it where one can be made. */
static mgrad_status forward_recorded(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                                     mgrad_tally *tally, mgrad_tensor **prediction,
                                     mgrad_tensor **loss) {
  mgrad_recorder r;
  bool recording = plannable(t) && t->ctx->recorder == NULL && t->net->complete;
  if (!recording) return forward(t, x, y, tally, prediction, loss);
  mgrad_record_begin(&r, t->ctx);
  mgrad_status status = forward(t, x, y, tally, prediction, loss);
  mgrad_record_end(&r);
  if (status == MGRAD_OK) keep_plan(t, &r, &(mgrad_plan_ends){ x, y, *prediction, *loss });
  mgrad_record_free(&r);
  return status;
}

static mgrad_status step(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                         mgrad_tally *tally) {
  mgrad_tensor *prediction, *loss;
  MGRAD_TRY(mgrad_layer_complete(t->net, x, NULL));
  t->input = x->a;
  step_input input = { .x = x, .y = y };
  again b = { t, NULL, &input, t->ctx->stream };
  MGRAD_TRY(mgrad_backup_begin(&t->backup, t->net));
  MGRAD_TRY(forward_recorded(t, x, y, tally, &prediction, &loss));
  mgrad_status status = backward_and_update(&b, loss);
  mgrad_tensor_release(loss);
  mgrad_tensor_release(prediction);
  return status;
}

/* ---- a step, replayed ---- */

/* The plan for inputs of these shapes. Plans that no longer fit are dropped. */
static mgrad_plan *find_plan(mgrad_trainer *t, const mgrad_array *x, const mgrad_array *y) {
  mgrad_plan *found = NULL;
  for (int i = 0; i < MGRAD_TRAINER_PLANS && t->plans[i] != NULL; i++) {
    mgrad_plan *p = t->plans[i];
    if (!mgrad_plan_fresh(p)) {
      t->usual = NULL;
      for (; i < MGRAD_TRAINER_PLANS; i++) {
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

static mgrad_status explain_plan(const again *b, double loss) {
  mgrad_tensor *x;
  MGRAD_TRY(mgrad_tensor_like(b->t->ctx, mgrad_plan_x(b->plan), &x));
  mgrad_array_copy(&x->a, mgrad_plan_x(b->plan));
  mgrad_status status = explain(b->t, x, loss, b->stream);
  mgrad_tensor_release(x);
  return status;
}

/* Forward, loss and metrics. */
static mgrad_status replay_forward(again *b, mgrad_until *until, mgrad_tally *tally) {
  mgrad_trainer *t = b->t;
  MGRAD_TRY(mgrad_plan_forward(b->plan, until));
  double loss = t->begun.loss = (double)mgrad_plan_loss(b->plan);
  if (loss - loss != 0) return explain_plan(b, loss);
  MGRAD_TRY(mgrad_judge_arrays(&t->judge, mgrad_plan_prediction(b->plan),
                               mgrad_plan_y(b->plan), loss, tally));
  mgrad_optimizer_clear(t->optimizer);
  t->begun.judged = true;
  return MGRAD_OK;
}

/* Begins, or goes on with the batch that is begun. */
static mgrad_status replay(mgrad_trainer *t, mgrad_plan *p, const step_input *input,
                           mgrad_tally *tally) {
  again b = { t, p, input, t->begun.stream };
  mgrad_until *until = input->until;
  if (t->begun.plan == NULL) {
    fill_places(t, p, input);
    MGRAD_TRY(mgrad_backup_begin(&t->backup, t->net));
    bool pauses = until != NULL && until->expired != NULL && t->backup.packed &&
                  t->optimizer->def->solve == NULL;
    if (!pauses) until = NULL;
    t->begun.plan = p;
    t->begun.judged = false;
  }
  if (!t->begun.judged) MGRAD_TRY(replay_forward(&b, until, tally));
  MGRAD_TRY(mgrad_plan_backward(p, until));
  return update(&b, mgrad_plan_y(p), t->begun.loss);
}

/* ---- a batch that is left in its middle ---- */

/* What others find is from here on as before the batch, and back. */
static void exchange(mgrad_trainer *t) {
  mgrad_tally_exchange(&t->tally, &t->begun.held);
  mgrad_backup_exchange(&t->backup);
}

/* Goes on with a batch that is begun, unless another one is to be done or what it depends on
** has changed: then it is given up. */
static bool take_up(mgrad_trainer *t, const step_input *b) {
  mgrad_context *ctx = t->ctx;
  bool drew = ctx->seed != t->begun.seed || ctx->stream != t->begun.stream;
  bool fits = b->at != NULL && plannable(t) && mgrad_layer_training(t->net) &&
              !(drew && t->begun.drawn > 0) &&
              mgrad_optimizer_unpin(t->optimizer) == MGRAD_OK &&
              mgrad_plan_sealed(t->begun.plan);
  if (!fits) {
    mgrad_trainer_drop_begun(t);
    return false;
  }
  exchange(t);
  t->begun.stream = ctx->stream;
  ctx->stream += t->begun.drawn;
  return true;
}

/* ---- one batch ---- */

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

/* A step of n examples without numbers, to have a plan before the first of them: it can then
** be left in its middle as well. Where something goes wrong, the step itself will say so. */
static mgrad_status rehearse(mgrad_trainer *t, int64_t n) {
  mgrad_context *ctx = t->ctx;
  mgrad_tally unused = { .loss_only = true };
  mgrad_tensor *x, *y = NULL, *prediction, *loss;
  mgrad_array shape_x, shape_y;
  mgrad_dataset_shapes(t->data, n, &shape_x, &shape_y);
  MGRAD_TRY(mgrad_tensor_like(ctx, &shape_x, &x));
  mgrad_status status = mgrad_tensor_like(ctx, &shape_y, &y);
  ctx->dry = true;
  if (status == MGRAD_OK) status = mgrad_layer_complete(t->net, x, NULL);
  t->begun.stream = ctx->stream; /* weights that are made have drawn from it */
  if (status == MGRAD_OK) status = forward_recorded(t, x, y, &unused, &prediction, &loss);
  ctx->dry = false;
  ctx->stream = t->begun.stream;
  if (status == MGRAD_OK) {
    t->input = x->a;
    mgrad_tensor_release(loss);
    mgrad_tensor_release(prediction);
  }
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  return status;
}

/* The plan for the next batch of a run that may pause, made if need be. */
static mgrad_plan *find_pausing_plan(mgrad_trainer *t, int64_t n) {
  mgrad_plan *plan = find_plan_for(t, n);
  bool host = t->judge.loss_fn != NULL;
  if (plan != NULL || host || t->unrehearsed == t->ctx->changes + 1) return plan;
  if (rehearse(t, n) == MGRAD_OK) plan = find_plan_for(t, n);
  if (plan == NULL) t->unrehearsed = t->ctx->changes + 1;
  return plan;
}

/* Does a gradient go on from the inputs, which a plan has no way to? */
static bool has_history(const step_input *b) {
  return b->at == NULL && (mgrad_tensor_tracked(b->x) || mgrad_tensor_tracked(b->y));
}

static mgrad_status step_batch(mgrad_trainer *t, const step_input *b, mgrad_tally *tally) {
  mgrad_plan *plan = t->begun.plan;
  if (plan != NULL) return replay(t, plan, b, tally);
  MGRAD_TRY(mgrad_optimizer_unpin(t->optimizer));
  if (plannable(t) && !has_history(b)) {
    bool pauses = b->until != NULL && b->until->expired != NULL;
    plan = pauses ? find_pausing_plan(t, b->n)
         : b->at != NULL ? find_plan_for(t, b->n) : find_plan(t, &b->x->a, &b->y->a);
  }
  if (plan != NULL) return replay(t, plan, b, tally);
  if (b->at == NULL) return step(t, b->x, b->y, tally);
  mgrad_tensor *x, *y;
  MGRAD_TRY(mgrad_dataset_gather(t->data, draw_of(t), b->at, b->n, &x, &y));
  mgrad_status status = step(t, x, y, tally);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  return status;
}

/* Its net and its loss may call Lua, which may call this trainer. */
mgrad_status mgrad_trainer_idle(const mgrad_trainer *t) {
  if (!t->busy) return MGRAD_OK;
  return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: is in use; what it calls in a step cannot"
                    " train with it");
}

/* The end of a step, or of a part of it. */
static mgrad_status settle(mgrad_trainer *t, mgrad_status status, mgrad_tally *tally) {
  if (status == MGRAD_PAUSED) {
    exchange(t);
    t->begun.drawn = t->ctx->stream - t->begun.stream;
    t->ctx->stream = t->begun.stream;
    mgrad_plan_seal(t->begun.plan);
    return status;
  }
  mgrad_backup_end(&t->backup, status == MGRAD_OK);
  if (status != MGRAD_OK) {
    mgrad_tally_take_back(tally, &t->begun.held);
    t->ctx->stream = t->begun.stream; /* the same again, later */
    if (status != MGRAD_INTERRUPTED) mgrad_trainer_drop_gathered(t);
  }
  t->begun.plan = NULL;
  return status;
}

/* A step in training mode, recording whatever the caller has switched off. */
static mgrad_status train(mgrad_trainer *t, const step_input *b, mgrad_tally *tally) {
  MGRAD_TRY(mgrad_trainer_idle(t));
  mgrad_layer *net = t->net;
  int training = mgrad_layer_training(net);
  int recording = mgrad_grad_enable(t->ctx, 1);
  if (t->begun.plan == NULL || !take_up(t, b)) {
    t->begun.seed = t->ctx->seed;
    t->begun.stream = t->ctx->stream;
    t->begun.held = mgrad_tally_hold(tally);
  }
  if (!training) mgrad_layer_train(net, 1);
  int anomaly = t->anomaly ? mgrad_anomaly(t->ctx, 1) : 0;
  t->busy = true;
  t->last = b->last;
  mgrad_status status = step_batch(t, b, tally);
  t->busy = false;
  if (t->anomaly) mgrad_anomaly(t->ctx, anomaly);
  if (!training) mgrad_layer_train(net, 0);
  mgrad_grad_enable(t->ctx, recording);
  return settle(t, status, tally);
}

mgrad_status mgrad_trainer_step(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                                double *loss) {
  mgrad_tally tally = { .loss_only = true };
  step_input b = { .x = x, .y = y };
  MGRAD_TRY(train(t, &b, &tally));
  *loss = tally.loss / (double)tally.examples;
  return MGRAD_OK;
}

/* ---- runs ---- */

mgrad_status mgrad_trainer_check_batch(mgrad_context *ctx, int64_t batch) {
  if (batch >= 1) return MGRAD_OK;
  return mgrad_fail(ctx, MGRAD_INVALID, "trainer: batch is %d, expected 1 or more", batch);
}

mgrad_status mgrad_trainer_accumulate(mgrad_trainer *t, int64_t batches) {
  MGRAD_TRY(mgrad_trainer_idle(t));
  if (batches < 1) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: accumulate is %d, expected 1 or more",
                      batches);
  }
  mgrad_trainer_drop_gathered(t);
  t->accumulate = batches;
  return MGRAD_OK;
}

/* The examples of a run, in their own order. */
static mgrad_status take_data(mgrad_trainer *t, mgrad_dataset *d) {
  int64_t count = mgrad_dataset_count(d);
  int64_t *order = mgrad_new(t->ctx, (size_t)count * sizeof *order);
  if (order == NULL) return MGRAD_NOMEM;
  for (int64_t i = 0; i < count; i++) order[i] = i;
  mgrad_dataset_retain(d);
  mgrad_trainer_end_run(t);
  t->data = d;
  t->usual = NULL;
  t->count = count;
  t->order = order;
  t->draws = mgrad_dataset_draws(d);
  return MGRAD_OK;
}

mgrad_status mgrad_trainer_begin(mgrad_trainer *t, mgrad_dataset *d, int64_t batch,
                                 int64_t epochs, int shuffle) {
  MGRAD_TRY(mgrad_trainer_idle(t));
  MGRAD_TRY(mgrad_trainer_check_batch(t->ctx, batch));
  if (epochs < 1) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: epochs is %d, expected 1 or more",
                      epochs);
  }
  MGRAD_TRY(take_data(t, d));
  mgrad_trainer_drop_gathered(t);
  t->batch = batch;
  t->epochs = epochs;
  t->epoch = t->at = 0;
  t->shuffle = shuffle != 0;
  mgrad_tally_clear(&t->tally);
  return MGRAD_OK;
}

static void put_in_order(mgrad_trainer *t) {
  if (t->shuffle) mgrad_random_permutation(t->draw.seed, t->draw.stream, t->count, t->order);
}

mgrad_status mgrad_trainer_resume(mgrad_trainer *t, mgrad_dataset *d, int64_t epochs) {
  MGRAD_TRY(mgrad_trainer_idle(t));
  if (!t->waiting) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: there is no run to go on with; begin"
                      " one");
  }
  if (mgrad_dataset_count(d) != t->count) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: the data have %d examples, those of the"
                      " run that was loaded had %d", mgrad_dataset_count(d), t->count);
  }
  if (epochs < t->epoch) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: epochs is %d, but the run that was"
                      " loaded is in epoch %d", epochs, t->epoch);
  }
  MGRAD_TRY(take_data(t, d));
  t->epochs = epochs;
  if (t->epoch > 0) put_in_order(t);
  return MGRAD_OK;
}

static void next_epoch(mgrad_trainer *t) {
  t->epoch++;
  t->at = 0;
  mgrad_tally_clear(&t->tally);
  if (!t->shuffle && !t->draws) return;
  t->draw = (mgrad_draw){ t->ctx->seed, t->ctx->stream++ };
  put_in_order(t);
}

static mgrad_status next_batch(mgrad_trainer *t, mgrad_until *until) {
  step_input b = { .at = t->order + t->at, .n = mgrad_min_size(t->batch, t->count - t->at),
                   .until = t->late ? NULL : until };
  b.last = t->at + b.n == t->count;
  MGRAD_TRY(train(t, &b, &t->tally));
  t->at += b.n;
  t->late = false;
  return MGRAD_OK;
}

mgrad_status mgrad_trainer_run(mgrad_trainer *t, const mgrad_run *run, mgrad_report *report,
                               int *done) {
  if (t->data == NULL) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: there is no data; %s first",
                      t->waiting ? "resume the run" : "begin");
  }
  MGRAD_TRY(mgrad_trainer_idle(t)); /* before an epoch is begun */
  if (t->epoch == t->epochs && t->at == t->count) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: all epochs are over; begin again");
  }
  mgrad_until until = { run->pauses ? run->expired : NULL, run->ud, false };
  bool over = false;
  for (int64_t steps = 0; !over;) {
    bool epoch_over = t->epoch == 0 || t->at == t->count;
    if (epoch_over && t->epoch == t->epochs) break;
    if (epoch_over) next_epoch(t);
    mgrad_status status = next_batch(t, &until);
    if (status == MGRAD_PAUSED) break;
    MGRAD_TRY(status);
    over = ++steps == run->steps || (run->one_epoch && t->at == t->count) ||
           (run->expired != NULL && run->expired(run->ud));
  }
  *done = t->epoch == t->epochs && t->at == t->count;
  mgrad_tally_report(&t->judge, &t->tally, report);
  return MGRAD_OK;
}

void mgrad_trainer_progress(const mgrad_trainer *t, mgrad_report *report) {
  mgrad_tally_report(&t->judge, &t->tally, report);
}

void mgrad_trainer_position(const mgrad_trainer *t, int64_t *epoch, int64_t *examples) {
  *epoch = t->epoch;
  *examples = t->at;
}
