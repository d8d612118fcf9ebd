/*
** metric.h - what is counted besides the loss, by name.
*/
#ifndef MGRAD_METRIC_H
#define MGRAD_METRIC_H

#include "op.h"

typedef struct mgrad_metric {
  const char *name;
  /* The mean over one packed batch; 'loss' (or NULL) tells what predictions are. */
  mgrad_status (*mean)(mgrad_context *ctx, const mgrad_op *loss, const mgrad_array *p,
                       const mgrad_array *t, double *value);
} mgrad_metric;

const mgrad_metric *mgrad_metric_at(int index); /* NULL beyond the last */

#endif
