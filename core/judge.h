/*
** judge.h - what predictions are worth: the loss of a batch, and sums of loss and
** metrics over many.
*/
#ifndef MGRAD_JUDGE_H
#define MGRAD_JUDGE_H

#include "metric.h"

/* A metric by name, or one in the host's own code. */
typedef struct mgrad_gauge {
  char name[MGRAD_NAME_SIZE];
  const mgrad_metric *metric;
  int64_t k; /* of "top_k" */
  mgrad_metric_fn fn;
  void *ud;
} mgrad_gauge;

typedef struct mgrad_judge {
  mgrad_context *ctx;
  const mgrad_op *loss;
  mgrad_attrs loss_attrs;
  bool loss_is_sum;
  double ignore; /* the label that does not count */
  mgrad_loss_fn loss_fn;
  void *loss_ud;
  bool loss_pure;
  mgrad_tensor *weight, *rise; /* class weights; of yes and no: that of no, and what yes adds */
  int nmetrics;
  mgrad_gauge metrics[MGRAD_MAX_METRICS];
} mgrad_judge;

/* Sums over the examples seen. */
typedef struct mgrad_tally {
  int64_t examples;
  double loss;
  double *sums, *spare;              /* of the metrics; and what they were at a hold */
  int64_t at[MGRAD_MAX_METRICS + 1]; /* where each one's begin */
  bool loss_only;                    /* nobody looks at the metrics */
} mgrad_tally;

/* Makes room for sums, of metric i from at[i] on, of none yet. */
mgrad_status mgrad_tally_make(mgrad_context *ctx, const int64_t at[MGRAD_MAX_METRICS + 1],
                              int64_t n, mgrad_tally *t);

/* What a tally was. */
typedef struct mgrad_held {
  int64_t examples;
  double loss;
  const double *sums;
} mgrad_held;

/* Takes loss, class weights and metrics from the options of a trainer. */
mgrad_status mgrad_judge_open(mgrad_context *ctx, const mgrad_trainer_options *o,
                              mgrad_judge *j);
void mgrad_judge_close(mgrad_judge *j);
/* Is every metric one that a plan can do without calling the host? */
bool mgrad_judge_alone(const mgrad_judge *j);
/* The loss of a prediction, as a tensor; loss and metrics are added to the tally. */
mgrad_status mgrad_judge_tensors(const mgrad_judge *j, mgrad_tensor *prediction,
                                 mgrad_tensor *y, mgrad_tally *tally, mgrad_tensor **loss);
/* Adds loss and metrics that a plan has found, where mgrad_judge_alone. */
mgrad_status mgrad_judge_arrays(const mgrad_judge *j, const mgrad_array *prediction,
                                const mgrad_array *y, double loss, mgrad_tally *tally);

/* Zeros, keeping the memory. */
void mgrad_tally_clear(mgrad_tally *t);
void mgrad_tally_free(mgrad_context *ctx, mgrad_tally *t);
/* Between these, what was added can be taken back; the sums' memory stays. */
mgrad_held mgrad_tally_hold(mgrad_tally *t);
void mgrad_tally_take_back(mgrad_tally *t, const mgrad_held *held);
/* Exchanges what it is and what it was; and back. */
void mgrad_tally_exchange(mgrad_tally *t, mgrad_held *held);
void mgrad_tally_report(const mgrad_judge *j, const mgrad_tally *t, mgrad_report *out);
/* The table of metric i as a new tensor, or NULL. */
mgrad_status mgrad_tally_table(const mgrad_judge *j, const mgrad_tally *t, int i,
                               mgrad_tensor **out);

#endif
