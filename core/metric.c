/*
** metric.c - the metrics. Their meanings are scikit-learn's.
*/
#include "metric.h"

/* ---- how a batch is seen ---- */

static bool is_one_of(const mgrad_op *loss, const mgrad_op *a, const mgrad_op *b) {
  return loss != NULL && (loss == a || loss == b);
}

/* Has each row of predictions {n, classes, ..} a class? Targets are labels {n, ..}, or a
** number a class. */
static bool has_classes(const mgrad_op *loss, const mgrad_array *p, const mgrad_array *t) {
  bool sure = is_one_of(loss, &mgrad_op_cross_entropy, &mgrad_op_nll);
  if (is_one_of(loss, &mgrad_op_bce, &mgrad_op_bce_with_logits)) return false;
  if (loss == &mgrad_op_focal) return false;
  if (p->ndim < 2 || (p->size[1] == 1 && !sure)) return false;
  if (mgrad_shape_equal(p, t)) return sure || p->ndim == 2;
  if (t->ndim != p->ndim - 1 || t->size[0] != p->size[0]) return false;
  return memcmp(t->size + 1, p->size + 2, (size_t)(t->ndim - 1) * sizeof *t->size) == 0;
}

static void see_classes(const mgrad_array *p, const mgrad_array *t, mgrad_scores *s) {
  mgrad_split split = mgrad_shape_split(p, 1);
  s->rows = split.outer * split.inner;
  s->classes = split.n;
  s->inner = split.inner;
  s->labels = t->ndim < p->ndim;
}

mgrad_status mgrad_metric_look(mgrad_context *ctx, const mgrad_metric *m, const mgrad_op *loss,
                               const mgrad_array *p, const mgrad_array *t, mgrad_scores *s) {
  int64_t n = mgrad_shape_numel(t);
  bool hinge = is_one_of(loss, &mgrad_op_hinge, NULL);
  bool logits = is_one_of(loss, &mgrad_op_bce_with_logits, &mgrad_op_focal);
  *s = (mgrad_scores){ .p = p->data, .t = t->data, .inner = 1,
                       .yes = hinge || logits ? 0 : 0.5,
                       .truth = hinge ? 0 : 0.5 };
  if (m->of != MGRAD_NUMBERS && has_classes(loss, p, t)) {
    see_classes(p, t, s);
  } else if (m->of != MGRAD_CLASSES && mgrad_shape_numel(p) == n) {
    s->rows = m->of == MGRAD_NUMBERS && t->ndim > 0 ? t->size[0] : n;
    s->columns = n / s->rows;
  } else {
    static const char *const expected[] = { "{n, classes} and labels {n}, or equal shapes",
                                            "{n, classes} and labels {n}", "equal shapes" };
    return mgrad_fail(ctx, MGRAD_INVALID, "%s: prediction is %a and target %a, expected %s",
                      m->name, p, t, expected[m->of]);
  }
  return MGRAD_OK;
}

/* ---- rows of classes ---- */

static int64_t largest(const mgrad_real *row, int64_t n, int64_t step) {
  int64_t best = 0;
  for (int64_t j = 1; j < n; j++) {
    if (row[j * step] > row[best * step]) best = j;
  }
  return best;
}

/* What a row is and what it is taken for: classes from 0, or 0 for no and 1 for yes. A
** label that is no class is -1. */
typedef struct answer {
  int64_t truth, guess;
  bool counts;
} answer;

static const mgrad_real *row_of(const mgrad_scores *s, const mgrad_real *data, int64_t i) {
  return data + i / s->inner * s->classes * s->inner + i % s->inner;
}

static answer answer_at(const mgrad_scores *s, int64_t i) {
  if (s->classes == 0) {
    return (answer){ (double)s->t[i] > s->truth, (double)s->p[i] > s->yes, true };
  }
  answer a = { -1, largest(row_of(s, s->p, i), s->classes, s->inner), true };
  if (!s->labels) {
    a.truth = largest(row_of(s, s->t, i), s->classes, s->inner);
  } else { /* compared as numbers: a label may be NaN, or beyond any integer */
    double label = (double)s->t[i];
    bool fits = label >= 1 && label <= (double)s->classes && label == (double)(int64_t)label;
    if (fits) a.truth = (int64_t)label - 1;
    a.counts = s->t[i] != (mgrad_real)s->ignore;
  }
  return a;
}

/* ---- accuracy, top_k: the share of rows that are right ---- */

static int64_t size_of_mean(const mgrad_scores *s) {
  (void)s;
  return 2;
}

static double mean(const double *sums, int64_t size) {
  (void)size;
  return sums[1] > 0 ? sums[0] / sums[1] : 0;
}

static void add_accuracy(const mgrad_scores *s, int64_t k, double *sums) {
  (void)k;
  for (int64_t i = 0; i < s->rows; i++) {
    answer a = answer_at(s, i);
    sums[0] += a.counts && a.truth == a.guess;
    sums[1] += a.counts;
  }
}

/* How many classes come before class c in row i; of equals the first does. */
static int64_t place(const mgrad_scores *s, int64_t i, int64_t c) {
  const mgrad_real *row = row_of(s, s->p, i);
  mgrad_real own = row[c * s->inner];
  int64_t before = 0;
  for (int64_t j = 0; j < s->classes; j++) {
    mgrad_real v = row[j * s->inner];
    before += j < c ? !(v < own) : j > c && !(v <= own);
  }
  return before;
}

static void add_top_k(const mgrad_scores *s, int64_t k, double *sums) {
  for (int64_t i = 0; i < s->rows; i++) {
    answer a = answer_at(s, i);
    sums[0] += a.counts && a.truth >= 0 && place(s, i, a.truth) < k;
    sums[1] += a.counts;
  }
}

/* ---- precision, recall, f1: macro means over the classes, or of yes alone ---- */

/* Of each class: rows rightly taken for it, rows taken for it, rows that are it. */
static int64_t size_of_counts(const mgrad_scores *s) {
  return 3 * (s->classes > 0 ? s->classes : 1);
}

static void add_counts(const mgrad_scores *s, int64_t k, double *sums) {
  (void)k;
  int64_t n = size_of_counts(s) / 3, first = s->classes > 0 ? 0 : 1;
  for (int64_t i = 0; i < s->rows; i++) {
    answer a = answer_at(s, i);
    if (!a.counts) continue;
    if (a.guess == a.truth && a.guess >= first) sums[a.guess - first]++;
    if (a.guess >= first) sums[n + a.guess - first]++;
    if (a.truth >= first) sums[2 * n + a.truth - first]++;
  }
}

/* The mean over classes that are there or were guessed; 0 / 0 counts as 0. */
static double macro(const double *sums, int64_t size, double guessed, double there) {
  int64_t n = size / 3, present = 0;
  double sum = 0;
  for (int64_t j = 0; j < n; j++) {
    double hits = sums[j], g = sums[n + j], t = sums[2 * n + j];
    double all = guessed * g + there * t;
    present += g + t > 0;
    sum += all > 0 ? hits / all : 0;
  }
  return present > 0 ? sum / (double)present : 0;
}

static double precision(const double *sums, int64_t size) { return macro(sums, size, 1, 0); }
static double recall(const double *sums, int64_t size) { return macro(sums, size, 0, 1); }
static double f1(const double *sums, int64_t size) { return macro(sums, size, 0.5, 0.5); }

/* ---- confusion ---- */

static int64_t size_of_confusion(const mgrad_scores *s) {
  return s->classes > 0 ? s->classes * s->classes : 4;
}

static void add_confusion(const mgrad_scores *s, int64_t k, double *sums) {
  (void)k;
  int64_t n = s->classes > 0 ? s->classes : 2;
  for (int64_t i = 0; i < s->rows; i++) {
    answer a = answer_at(s, i);
    if (a.counts && a.truth >= 0) sums[a.truth * n + a.guess]++;
  }
}

/* As a single number: the share on the diagonal. */
static double diagonal(const double *sums, int64_t size) {
  double right = 0, all = 0;
  int64_t n = 1;
  while (n * n < size) n++;
  for (int64_t i = 0; i < size; i++) all += sums[i];
  for (int64_t j = 0; j < n; j++) right += sums[j * n + j];
  return all > 0 ? right / all : 0;
}

/* ---- mae, mse, r2: of numbers ---- */

static void add_mae(const mgrad_scores *s, int64_t k, double *sums) {
  (void)k;
  int64_t n = s->rows * s->columns;
  for (int64_t i = 0; i < n; i++) {
    double d = (double)s->p[i] - (double)s->t[i];
    sums[0] += d < 0 ? -d : d;
  }
  sums[1] += (double)n;
}

static void add_mse(const mgrad_scores *s, int64_t k, double *sums) {
  (void)k;
  int64_t n = s->rows * s->columns;
  for (int64_t i = 0; i < n; i++) {
    double d = (double)s->p[i] - (double)s->t[i];
    sums[0] += d * d;
  }
  sums[1] += (double)n;
}

/* Examples; then of each column the mean of its targets, the sum of their squared
** distances from it, kept up by Welford's method (1962), and the sum of squared errors. */
static int64_t size_of_r2(const mgrad_scores *s) { return 1 + 3 * s->columns; }

static void add_r2(const mgrad_scores *s, int64_t k, double *sums) {
  (void)k;
  int64_t m = s->columns;
  double *average = sums + 1, *spread = average + m, *error = spread + m;
  for (int64_t i = 0; i < s->rows; i++) {
    sums[0]++;
    for (int64_t j = 0; j < m; j++) {
      double t = (double)s->t[i * m + j], miss = (double)s->p[i * m + j] - t;
      double away = t - average[j];
      average[j] += away / sums[0];
      spread[j] += away * (t - average[j]);
      error[j] += miss * miss;
    }
  }
}

/* The mean over columns of 1 - error / spread. Targets that are all equal give 1 where
** they were met and 0 where not. */
static double r2(const double *sums, int64_t size) {
  int64_t m = (size - 1) / 3;
  const double *spread = sums + 1 + m, *error = spread + m;
  double sum = 0;
  for (int64_t j = 0; j < m; j++) {
    sum += spread[j] > 0 ? 1 - error[j] / spread[j] : error[j] == 0;
  }
  return sum / (double)m;
}

/* ---- the table ---- */

static const mgrad_metric metrics[] = {
  { "accuracy", MGRAD_ANSWERS, size_of_mean, add_accuracy, mean, false,
    "the share of examples whose class, or yes and no, is right" },
  { "top_k", MGRAD_CLASSES, size_of_mean, add_top_k, mean, false,
    "the share of examples whose class is among the k thought likeliest: top_3; 5 as top_k" },
  { "mae", MGRAD_NUMBERS, size_of_mean, add_mae, mean, false,
    "the mean absolute error, whatever the loss" },
  { "mse", MGRAD_NUMBERS, size_of_mean, add_mse, mean, false,
    "the mean squared error, whatever the loss" },
  { "r2", MGRAD_NUMBERS, size_of_r2, add_r2, r2, false,
    "the share of the variance of the targets that predictions explain" },
  { "precision", MGRAD_ANSWERS, size_of_counts, add_counts, precision, false,
    "of what was taken for a class, the share that is one; mean over classes" },
  { "recall", MGRAD_ANSWERS, size_of_counts, add_counts, recall, false,
    "of what is a class, the share that was taken for it; mean over classes" },
  { "f1", MGRAD_ANSWERS, size_of_counts, add_counts, f1, false,
    "the harmonic mean of precision and recall, of each class; mean over classes" },
  { "confusion", MGRAD_ANSWERS, size_of_confusion, add_confusion, diagonal, true,
    "how many of each class were taken for each; its number is the share that is right" },
};

const mgrad_metric *mgrad_metric_at(int index) {
  int count = (int)(sizeof metrics / sizeof *metrics);
  return index >= 0 && index < count ? &metrics[index] : NULL;
}

const char *mgrad_metric_name(int index) {
  const mgrad_metric *m = mgrad_metric_at(index);
  return m != NULL ? m->name : NULL;
}

const char *mgrad_metric_doc(int index) {
  const mgrad_metric *m = mgrad_metric_at(index);
  return m != NULL ? m->doc : NULL;
}

/* The number at the end of "top_5"; 0 where there is none, or one beyond any use. */
static int64_t number_in(const char *name) {
  int64_t k = 0;
  if (strncmp(name, "top_", 4) != 0) return 0;
  for (name += 4; *name >= '0' && *name <= '9' && k < 1000000; name++) k = 10 * k + (*name - '0');
  return *name == '\0' ? k : 0;
}

int mgrad_metric_parse(const char *name, int64_t *k) {
  *k = number_in(name);
  if (*k > 0) name = "top_k";
  else *k = 5; /* of "top_k" itself */
  for (int i = 0; mgrad_metric_at(i) != NULL; i++) {
    if (strcmp(mgrad_metric_at(i)->name, name) == 0) return i;
  }
  return -1;
}

int mgrad_metric_find(const char *name) {
  int64_t k;
  return mgrad_metric_parse(name, &k);
}
