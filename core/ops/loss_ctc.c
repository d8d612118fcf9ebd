/*
** loss_ctc.c - connectionist temporal classification: Graves et al., "Labelling
** unsegmented sequence data with recurrent neural networks", 2006.
**
** Targets are spread over more time steps than they have labels: each label for one
** step or more, blanks before, between and after them. The loss is minus the log of
** the chance of all such spreadings together. A spreading is a way through 2 n + 1
** states, the labels (odd, from 0) with a blank on either side of each (even).
**
** Everything is a logarithm. The chances of one time step's states, forwards (alpha)
** and backwards (beta), are kept relative to the likeliest of them, so that long
** sequences lose no precision; what is taken off is added up in double.
*/
#include "loss.h"

#define NEVER (-REAL(INFINITY)) /* the logarithm of no chance */
enum { BLANK = 1, ZERO_INFINITY };
enum { LABELS = 1, TIMES, COUNTS }; /* operands */

/* One example, and room for two rows: log-probabilities of the states at one time step;
** and 0 where a way may go from state s - 2 to s, else minus infinity. */
typedef struct path {
  const mgrad_real *x;       /* log-probabilities {time, classes} */
  const mgrad_real *target;
  int64_t time, classes, blank, labels, states;
  mgrad_real *shown, *skips;
} path;

/* Row i of an operand of lengths, or the whole length where it is left out. */
static int64_t length_of(const mgrad_call *c, int operand, int64_t i, int64_t whole) {
  const mgrad_array *x = operand < c->n ? c->x[operand] : NULL;
  return x != NULL ? (int64_t)x->data[i] : whole;
}

static int64_t most_states(const mgrad_call *c) { return 2 * c->x[LABELS]->size[1] + 1; }

static path path_of(const mgrad_call *c, int64_t i, mgrad_real *rows) {
  int64_t time = c->x[0]->size[1], classes = c->x[0]->size[2], most = c->x[LABELS]->size[1];
  path p = { c->x[0]->data + i * time * classes, c->x[LABELS]->data + i * most,
             length_of(c, TIMES, i, time), classes, mgrad_call_int(c, BLANK) - 1,
             length_of(c, COUNTS, i, most), 0, rows, NULL };
  p.states = 2 * p.labels + 1;
  if (rows != NULL) p.skips = rows + most_states(c);
  return p;
}

/* ---- shapes and values ---- */

static mgrad_status ctc_infer(mgrad_call *c) {
  const mgrad_array *x = c->x[0], *target = c->x[LABELS];
  static const char *const names[] = { "", "", "input_lengths", "target_lengths" };
  if (x->ndim != 3)
    return mgrad_op_fail(c, "prediction is %a, expected {batch, time, classes}", x);
  if (target->ndim != 2 || target->size[0] != x->size[0])
    return mgrad_op_fail(c, "target is %a, expected {%d, most labels}", target, x->size[0]);
  for (int i = TIMES; i < c->n; i++)
    if (c->x[i] && (c->x[i]->ndim != 1 || c->x[i]->size[0] != x->size[0]))
      return mgrad_op_fail(c, "%s is %a, expected {%d}", names[i], c->x[i], x->size[0]);
  mgrad_array alphas;
  int64_t rows = x->size[0] * x->size[1];
  MGRAD_TRY(mgrad_shape_make(c->ctx, 2, (int64_t[]){ rows, most_states(c) }, &alphas));
  infer_reduced(c, &(mgrad_array){ .ndim = 1, .size = { x->size[0] } });
  c->nsaved = mgrad_shape_numel(&alphas);
  c->nwork += 2 * most_states(c);
  c->nwork_backward = 4 * most_states(c);
  return MGRAD_OK;
}

static mgrad_status check_lengths(const mgrad_call *c, int i, const char *name,
                                  int64_t low, int64_t high) {
  if (i >= c->n || c->x[i] == NULL) return MGRAD_OK;
  for (int64_t k = 0; k < c->x[i]->size[0]; k++) {
    double n = (double)c->x[i]->data[k];
    if (!(n >= (double)low && n <= (double)high) || n != (double)(int64_t)n)
      return mgrad_op_fail(c, "%s[%d] is %g, expected an integer from %d to %d", name,
                           k + 1, n, low, high);
  }
  return MGRAD_OK;
}

/* Labels beyond an example's own may be anything. */
static mgrad_status check_labels(const mgrad_call *c, int64_t i) {
  path p = path_of(c, i, NULL);
  for (int64_t k = 0; k < p.labels; k++) {
    double label = (double)p.target[k];
    if (!(label >= 1 && label <= (double)p.classes) || label != (double)(int64_t)label)
      return mgrad_op_fail(c, "target[%d][%d] is %g, expected a class from 1 to %d", i + 1,
                           k + 1, label, p.classes);
    if ((int64_t)label - 1 == p.blank)
      return mgrad_op_fail(c, "target[%d][%d] is %g, which is the blank", i + 1, k + 1,
                           label);
  }
  return MGRAD_OK;
}

static mgrad_status ctc_check(const mgrad_call *c) {
  const mgrad_array *x = c->x[0];
  int64_t blank = mgrad_call_int(c, BLANK);
  if (blank > x->size[2])
    return mgrad_op_fail(c, "blank is %d, expected a class from 1 to %d", blank, x->size[2]);
  MGRAD_TRY(check_lengths(c, TIMES, "input_lengths", 1, x->size[1]));
  MGRAD_TRY(check_lengths(c, COUNTS, "target_lengths", 0, c->x[LABELS]->size[1]));
  for (int64_t i = 0; i < x->size[0]; i++) MGRAD_TRY(check_labels(c, i));
  return MGRAD_OK;
}

/* ---- one time step ---- */

/* The class that state s shows. */
static int64_t class_of(const path *p, int64_t s) {
  return s % 2 == 0 ? p->blank : (int64_t)p->target[s / 2] - 1;
}

/* Between two equal labels there is a blank. */
static void fill_skips(const path *p) {
  for (int64_t s = 0; s < p->states; s++) {
    bool label = s % 2 == 1 && s >= 3;
    p->skips[s] = label && p->target[s / 2] != p->target[s / 2 - 1] ? 0 : NEVER;
  }
}

static void fill_shown(const path *p, int64_t t) {
  const mgrad_real *x = p->x + t * p->classes;
  for (int64_t s = 0; s < p->states; s++) p->shown[s] = x[class_of(p, s)];
}

/* log(exp(a) + exp(b) + exp(c)), without a branch */
INLINE mgrad_real log_sum(mgrad_real a, mgrad_real b, mgrad_real c) {
  mgrad_real max = a > b ? a : b;
  max = max > c ? max : c;
  max = max > NEVER ? max : 0;
  return max + LOG(EXP(a - max) + EXP(b - max) + EXP(c - max));
}

/* Takes the largest off a row, and returns it. */
static mgrad_real normalise(int64_t n, mgrad_real *row) {
  mgrad_real max = row[0];
  for (int64_t s = 1; s < n; s++) max = row[s] > max ? row[s] : max;
  if (max - max != 0) return max;
  for (int64_t s = 0; s < n; s++) row[s] -= max;
  return max;
}

/* to = log(exp(a) + exp(b) + exp(c + skips)) + shown, for n states */
static void mix(int64_t n, const mgrad_real *a, const mgrad_real *b, const mgrad_real *c,
                const mgrad_real *skips, const mgrad_real *shown, mgrad_real *to) {
  MGRAD_EACH(s, n) to[s] = log_sum(a[s], b[s], c[s] + skips[s]) + shown[s];
}

/* The states' chances at time t: what comes from the step before, forwards, or after it,
** backwards, times the probabilities there, which 'shown' then holds. 'from' NULL is the
** beginning: the first two states, or the last two. */
static mgrad_real advance(const path *p, int64_t t, bool forwards, const mgrad_real *from,
                          mgrad_real *to) {
  int64_t n = p->states, edge = forwards ? 0 : n - 1, next = forwards ? 1 : n - 2;
  const mgrad_real *x = p->shown;
  fill_shown(p, t);
  if (from == NULL) {
    for (int64_t s = 0; s < n; s++) to[s] = s == edge || s == next ? x[s] : NEVER;
  } else {
    to[edge] = from[edge] + x[edge];
    if (n > 1) mix(1, from + next, from + edge, from + edge, p->skips, x + next, to + next);
    if (n > 2 && forwards) mix(n - 2, from + 2, from + 1, from, p->skips + 2, x + 2, to + 2);
    if (n > 2 && !forwards) mix(n - 2, from, from + 1, from + 2, p->skips + 2, x, to);
  }
  return normalise(n, to);
}

/* ---- loss and gradient ---- */

/* A mean is over examples, each divided by the number of its labels. */
static double share_of(const mgrad_call *c, const path *p) {
  return mgrad_call_int(c, 0) == MEAN && p->labels > 1 ? (double)p->labels : 1;
}

static double ctc_value(const path *p, mgrad_real *alpha, int64_t stride) {
  const mgrad_real *from = NULL;
  double log_chance = 0;
  for (int64_t t = 0; t < p->time; t++, from = alpha, alpha += stride) {
    log_chance += (double)advance(p, t, true, from, alpha);
  }
  const mgrad_real *last = from + p->states - 1;
  mgrad_real rest = last[0], none = 0; /* nothing skips to state 0 */
  if (p->states > 1) mix(1, last, last - 1, last, p->skips, &none, &rest);
  return -(log_chance + (double)rest);
}

static void ctc_forward(mgrad_call *c) {
  int64_t n = c->x[0]->size[0], states = most_states(c), stride = c->x[0]->size[1] * states;
  mgrad_real *values = values_of(c), *rows = c->work + (values == c->work ? n : 0);
  for (int64_t i = 0; i < n && mgrad_call_continues(c, stride); i++) {
    path p = path_of(c, i, rows);
    fill_skips(&p);
    double value = ctc_value(&p, c->saved + i * stride, states);
    bool zero = value == (double)INFINITY && c->attrs->value[ZERO_INFINITY] != 0;
    values[i] = zero ? 0 : REAL(value / share_of(c, &p));
  }
  reduce(c, n, (double)n);
}

/* Adds the slope at time t: minus the chance that a way is in a state, given the
** labels, to the class of that state. alpha and beta both hold the probability 'shown',
** which is overwritten. */
static void add_slope(const path *p, const mgrad_real *alpha, const mgrad_real *beta,
                      mgrad_real g, mgrad_real *dx) {
  mgrad_real *way = p->shown;
  MGRAD_EACH(s, p->states) way[s] = way[s] > NEVER ? alpha[s] + beta[s] - way[s] : way[s];
  if (normalise(p->states, way) == NEVER) return; /* no way leads here */
  MGRAD_EACH(s, p->states) way[s] = EXP(way[s]);
  mgrad_real share = g / REAL(mgrad_sum(p->states, way, 1));
  for (int64_t s = 0; s < p->states; s++) dx[class_of(p, s)] -= share * way[s];
}

static void ctc_backward(mgrad_call *c) {
  if (!c->dx[0]) return;
  int64_t n = c->x[0]->size[0], time = c->x[0]->size[1], states = most_states(c);
  upstream u = upstream_of(c, (double)n);
  mgrad_call_clear(c, 0);
  for (int64_t i = 0; i < n && mgrad_call_continues(c, time * states); i++) {
    path p = path_of(c, i, c->work + 2 * states);
    mgrad_real *beta = c->work, *after = NULL, *dx = c->dx[0] + i * time * p.classes;
    fill_skips(&p);
    mgrad_real g = up(&u, i) / REAL(share_of(c, &p));
    for (int64_t t = p.time - 1; t >= 0; t--) {
      advance(&p, t, false, after, beta);
      add_slope(&p, c->saved + (i * time + t) * states, beta, g, dx + t * p.classes);
      after = beta;
      beta = beta == c->work ? c->work + states : c->work;
    }
  }
}

#define FEASIBLE { "zero_infinity", 1 } /* differences of infinities tell nothing */
#define CTC(t, k, most, ...)                                                      \
  { .shapes = { { 4, t, k }, { 4, most }, { -1 }, { -1 } }, .low = -3, .high = 0.5, \
    .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_LABELS }, .labels = k - 1,             \
    .attrs = { { "blank", k }, FEASIBLE, __VA_ARGS__ } }
MGRAD_OP(ctc) = { MGRAD_NAMED(ctc),
  .operands = "prediction target input_lengths? target_lengths?", .flags = MGRAD_OP_LOSS,
  .reads = 15, .constant = 14,
  MGRAD_ATTRS(REDUCTION,
              { "blank", MGRAD_ATTR_INT, 1, 1, 1e9, .doc = "the class of no label" },
              { "zero_infinity", MGRAD_ATTR_BOOL, 0, .doc = "what cannot be costs nothing" }),
  .infer = ctc_infer, .check = ctc_check, .forward = ctc_forward, .backward = ctc_backward,
  .doc = "connectionist temporal classification of log-probabilities {batch, time, "
         "classes} and labels {batch, most}, of which the first target_lengths count, in "
         "the first input_lengths steps; class 'blank' (from 1) stands between labels; "
         "labels that do not fit into the time cost infinity, or 0 with zero_infinity",
  MGRAD_EXAMPLES(
    CTC(7, 5, 3, { "reduction", MEAN }),
    CTC(3, 6, 1, { "reduction", SUM }),
    CTC(10, 3, 2, { "reduction", NONE }),
    { .shapes = { { 3, 8, 4 }, { 3, 2 }, { 3 }, { 3 } }, .low = -3, .high = 0.5,
      .fill = { MGRAD_FILL_RANGE, MGRAD_FILL_LABELS, MGRAD_FILL_LABELS,
                MGRAD_FILL_LABELS }, .labels = 2,
      .attrs = { { "blank", 3 }, FEASIBLE } }) };
