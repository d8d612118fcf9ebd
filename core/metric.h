/*
** metric.h - what is counted besides the loss, by name.
*/
#ifndef MGRAD_METRIC_H
#define MGRAD_METRIC_H

#include "op.h"

typedef struct mgrad_metric {
  const char *name;
  /* The mean over one batch; 'loss' (or NULL) tells what predictions are. */
  mgrad_status (*mean)(const mgrad_op *loss, const mgrad_tensor *prediction,
                       const mgrad_tensor *target, double *value);
} mgrad_metric;

const mgrad_metric *mgrad_metric_at(int index); /* NULL beyond the last */

#endif
