/*
** metric.h - what is counted besides the loss, by name.
**
** A metric keeps sums over all examples it has seen and turns them into its value at
** the end, so that what is no mean over batches (f1, r2) is right over a whole set.
*/
#ifndef MGRAD_METRIC_H
#define MGRAD_METRIC_H

#include "op.h"

/* One packed batch as a metric sees it: rows that have a class each, or numbers. */
typedef struct mgrad_scores {
  const mgrad_real *p, *t; /* predictions, targets */
  int64_t rows, columns;   /* of numbers: examples, numbers in each */
  int64_t classes;         /* 0: each number is a row, and says yes or no */
  int64_t inner;           /* numbers of a row lie so far apart */
  bool labels;             /* t holds a label from 1 for each row */
  double ignore;           /* the label of rows that do not count */
  double yes, truth;       /* a prediction, a target above it is a yes */
} mgrad_scores;

typedef struct mgrad_metric {
  const char *name;
  enum { MGRAD_ANSWERS, MGRAD_CLASSES, MGRAD_NUMBERS } of; /* answers: classes or yes and no */
  int64_t (*size)(const mgrad_scores *s);                  /* how many sums it keeps */
  void (*add)(const mgrad_scores *s, int64_t k, double *sums);
  double (*value)(const double *sums, int64_t size);
  bool table; /* its sums are a table {classes, classes} */
  const char *doc; /* one line, no full stop */
} mgrad_metric;

const mgrad_metric *mgrad_metric_at(int index); /* NULL beyond the last */
/* As mgrad_metric_find; *k is the number in a name such as "top_5". */
int mgrad_metric_parse(const char *name, int64_t *k);
/* How 'm' sees a batch; 'loss' (or NULL) tells what predictions are. */
mgrad_status mgrad_metric_look(mgrad_context *ctx, const mgrad_metric *m, const mgrad_op *loss,
                               const mgrad_array *p, const mgrad_array *t, mgrad_scores *s);

#endif
