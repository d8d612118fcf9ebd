/*
** metric.c - the metrics.
*/
#include "metric.h"

/* ---- accuracy ---- */

/* Where a prediction counts as yes: a probability of a half, or no logit. */
static double threshold(const mgrad_op *loss) {
  bool logits = loss == &mgrad_op_bce_with_logits || loss == &mgrad_op_hinge ||
                loss == &mgrad_op_focal;
  return logits ? 0 : 0.5;
}

static int64_t largest(const mgrad_real *row, int64_t n) {
  int64_t best = 0;
  for (int64_t j = 1; j < n; j++) {
    if (row[j] > row[best]) best = j;
  }
  return best;
}

/* Share of rows of {n, classes} whose largest number is at the label. */
static double classes_right(const mgrad_array *p, const mgrad_array *t, int64_t n) {
  int64_t classes = p->size[1], right = 0;
  bool labels = t->ndim == 1;
  for (int64_t i = 0; i < n; i++) {
    int64_t guess = largest(p->data + i * classes, classes);
    /* as numbers: a label may be NaN, or beyond any integer */
    right += labels ? (mgrad_real)(guess + 1) == t->data[i]
                    : guess == largest(t->data + i * classes, classes);
  }
  return (double)right / (double)n;
}

/* Share of numbers on the right side. */
static double sides_right(const mgrad_op *loss, const mgrad_array *p, const mgrad_array *t,
                          int64_t n) {
  double yes = threshold(loss), truth = loss == &mgrad_op_hinge ? 0 : 0.5;
  int64_t right = 0;
  for (int64_t i = 0; i < n; i++) {
    right += ((double)p->data[i] > yes) == ((double)t->data[i] > truth);
  }
  return (double)right / (double)n;
}

static mgrad_status accuracy(mgrad_context *ctx, const mgrad_op *loss, const mgrad_array *p,
                             const mgrad_array *t, double *value) {
  int64_t n = mgrad_shape_numel(t);
  bool two_sided = loss == &mgrad_op_bce || loss == &mgrad_op_bce_with_logits ||
                   loss == &mgrad_op_focal;
  if (p->ndim == 2 && p->size[1] > 1 && t->size[0] == p->size[0] && !two_sided &&
      (t->ndim == 1 || mgrad_shape_equal(p, t))) {
    *value = classes_right(p, t, p->size[0]);
  } else if (mgrad_shape_numel(p) == n) {
    *value = sides_right(loss, p, t, n);
  } else {
    return mgrad_fail(ctx, MGRAD_INVALID,
                      "accuracy: prediction is %a and target %a, expected {n, classes} and"
                      " labels {n}, or equal shapes", p, t);
  }
  return MGRAD_OK;
}

/* ---- the table ---- */

static const mgrad_metric metrics[] = {
  { "accuracy", accuracy },
};

const mgrad_metric *mgrad_metric_at(int index) {
  int count = (int)(sizeof metrics / sizeof *metrics);
  return index >= 0 && index < count ? &metrics[index] : NULL;
}

const char *mgrad_metric_name(int index) {
  const mgrad_metric *m = mgrad_metric_at(index);
  return m != NULL ? m->name : NULL;
}

int mgrad_metric_find(const char *name) {
  for (int i = 0; mgrad_metric_at(i) != NULL; i++) {
    if (strcmp(mgrad_metric_at(i)->name, name) == 0) return i;
  }
  return -1;
}
