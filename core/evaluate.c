/*
** evaluate.c - how good a trainer's net is on data that it does not learn from.
*/
#include "trainer.h"

static mgrad_status evaluate_batch(mgrad_trainer *t, mgrad_tensor *x, mgrad_tensor *y,
                                   mgrad_tally *tally) {
  mgrad_tensor *prediction, *loss;
  MGRAD_TRY(mgrad_layer_predict(t->net, x, &prediction));
  int recording = mgrad_grad_enable(t->ctx, 0);
  mgrad_status status = mgrad_judge_tensors(&t->judge, prediction, y, tally, &loss);
  mgrad_grad_enable(t->ctx, recording);
  if (status == MGRAD_OK) mgrad_tensor_release(loss);
  mgrad_tensor_release(prediction);
  return status;
}

mgrad_status mgrad_trainer_evaluate(mgrad_trainer *t, mgrad_dataset *d, int64_t batch,
                                    mgrad_report *report) {
  MGRAD_TRY(mgrad_trainer_check_batch(t->ctx, batch));
  mgrad_tally tally = { 0 }; /* not the trainer's: what is called may evaluate as well */
  mgrad_status status = MGRAD_OK;
  int64_t count = mgrad_dataset_count(d);
  mgrad_dataset_retain(d); /* a callback may release it */
  for (int64_t at = 0; at < count && status == MGRAD_OK; at += mgrad_min_size(batch, count - at)) {
    mgrad_tensor *x, *y;
    status = mgrad_dataset_batch(d, at + 1, mgrad_min_size(batch, count - at), &x, &y);
    if (status != MGRAD_OK) break;
    status = evaluate_batch(t, x, y, &tally);
    mgrad_tensor_release(x);
    mgrad_tensor_release(y);
  }
  mgrad_dataset_release(d);
  if (status != MGRAD_OK) {
    mgrad_tally_free(t->ctx, &tally);
    return status;
  }
  mgrad_tally_report(&t->judge, &tally, report);
  mgrad_tally_free(t->ctx, &t->exam);
  t->exam = tally;
  return MGRAD_OK;
}

mgrad_status mgrad_trainer_table(const mgrad_trainer *t, int metric, int evaluated,
                                 mgrad_tensor **out) {
  return mgrad_tally_table(&t->judge, evaluated ? &t->exam : &t->tally, metric, out);
}
