/*
** lbfgs.c - minimising over many evaluations: L-BFGS with a line search.
**
** Nocedal and Wright, "Numerical optimization", 2006: algorithms 7.4 and 7.5 (two loops
** over the remembered pairs), 3.5 and 3.6 (line search for the strong Wolfe conditions).
** Bounds and tolerances are those of PyTorch's LBFGS, line_search_fn="strong_wolfe". All
** vectors are flat; sums are in double, in a fixed order.
*/
#include "optimizer.h"

#include <math.h>

enum { LR, MAX_ITER, MAX_EVAL, TOLERANCE_GRAD, TOLERANCE_CHANGE, HISTORY };
enum { TRIES = 25 }; /* of one line search */

static double smaller(double a, double b) { return a < b ? a : b; }
static double larger(double a, double b) { return a > b ? a : b; }

/* ---- vectors ---- */

static double dot(int64_t n, const mgrad_real *a, const mgrad_real *b) {
  enum { LANES = 8 };
  double lane[LANES] = { 0 }, sum = 0;
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    for (int k = 0; k < LANES; k++) lane[k] += (double)a[i + k] * (double)b[i + k];
  }
  for (int k = 0; k < LANES; k++) sum += lane[k];
  for (; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* y = x + scale * d; y may be x */
static void add(int64_t n, const mgrad_real *x, double scale, const mgrad_real *d,
                mgrad_real *y) {
  for (int64_t i = 0; i < n; i++) y[i] = (mgrad_real)((double)x[i] + scale * (double)d[i]);
}

static void scale_to(int64_t n, double scale, const mgrad_real *x, mgrad_real *y) {
  for (int64_t i = 0; i < n; i++) y[i] = (mgrad_real)(scale * (double)x[i]);
}

static void copy(int64_t n, const mgrad_real *x, mgrad_real *y) {
  memcpy(y, x, (size_t)n * sizeof *y);
}

static double largest(int64_t n, const mgrad_real *x) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = larger(fabs((double)x[i]), most);
  return most;
}

static double total(int64_t n, const mgrad_real *x) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += fabs((double)x[i]);
  return sum;
}

/* ---- the line search ---- */

/* A place on the line: w = start + t * d. */
typedef struct place {
  double t, loss, slope;
  mgrad_real *g;
} place;

typedef struct line {
  mgrad_problem *p;
  const mgrad_real *start, *d;
  double loss, slope;    /* where it begins */
  int tries;
} line;

/* Evaluates the place at t; what is not finite is too far away. */
static mgrad_status look(line *l, double t, place *at) {
  mgrad_problem *p = l->p;
  add(p->n, l->start, t, l->d, p->w);
  MGRAD_TRY(p->evaluate(p, at->g));
  at->t = t;
  at->loss = p->loss - p->loss == 0 ? p->loss : INFINITY;
  at->slope = dot(p->n, at->g, l->d);
  return MGRAD_OK;
}

/* Where the cubic through two places, with their slopes, is least, from 'low' to 'high'. */
static double lowest(const place *a, const place *b, double low, double high) {
  if (a->t > b->t) {
    const place *c = a;
    a = b;
    b = c;
  }
  double m = a->slope + b->slope - 3 * (a->loss - b->loss) / (a->t - b->t);
  double square = m * m - a->slope * b->slope, root = sqrt(square);
  double t = b->t - (b->t - a->t) * (b->slope + root - m) / (b->slope - a->slope + 2 * root);
  if (!(square >= 0) || t != t) return (low + high) / 2;
  return t < low ? low : t > high ? high : t;
}

static bool too_high(const line *l, const place *at) {
  return at->loss > l->loss + 1e-4 * at->t * l->slope;
}

static bool flat_enough(const line *l, const place *at) {
  return fabs(at->slope) <= -0.9 * l->slope;
}

/* Goes on along the line until there is a place that will do, or two with one between
** them: that one in end[0], or both in end[0] and end[1]. */
static mgrad_status bracket(line *l, double t, place *from, mgrad_real *a, mgrad_real *b,
                            place end[2], bool *found) {
  place before = *from, now = { .g = a };
  MGRAD_TRY(look(l, t, &now));
  for (; l->tries < TRIES; l->tries++) {
    bool rising = l->tries > 1 && now.loss >= before.loss;
    *found = !too_high(l, &now) && !rising && flat_enough(l, &now);
    if (*found || too_high(l, &now) || rising || now.slope >= 0) {
      end[0] = *found ? now : before;
      end[1] = now;
      return MGRAD_OK;
    }
    double next = lowest(&before, &now, now.t + 0.01 * (now.t - before.t), 10 * now.t);
    before = now;
    now.g = now.g == a ? b : a;
    MGRAD_TRY(look(l, next, &now));
  }
  end[0] = *from;
  end[1] = now;
  return MGRAD_OK;
}

/* A place between both ends that is not too close to either of them twice in a row. */
static double divide(const place end[2], bool *close) {
  double low = smaller(end[0].t, end[1].t), high = larger(end[0].t, end[1].t);
  double t = lowest(&end[0], &end[1], low, high), rim = 0.1 * (high - low);
  bool was_close = *close;
  *close = smaller(high - t, t - low) < rim;
  if (!*close || !(was_close || t >= high || t <= low)) return t;
  *close = false;
  return fabs(t - high) < fabs(t - low) ? high - rim : low + rim;
}

/* Narrows the ends down; the better of them comes first at the end. 'spare' is room for
** a gradient. */
static mgrad_status zoom(line *l, place end[2], mgrad_real *spare) {
  double length = largest(l->p->n, l->d), shortest = l->p->h[TOLERANCE_CHANGE];
  bool close = false;
  int low = end[0].loss <= end[1].loss ? 0 : 1;
  for (bool found = false; !found && l->tries < TRIES; l->tries++) {
    if (fabs(end[1].t - end[0].t) * length < shortest) break;
    place at = { .g = spare };
    MGRAD_TRY(look(l, divide(end, &close), &at));
    place *better = &end[low], *other = &end[!low];
    if (too_high(l, &at) || at.loss >= better->loss) {
      spare = other->g;
      *other = at;
      low = end[0].loss <= end[1].loss ? 0 : 1;
      continue;
    }
    found = flat_enough(l, &at);
    bool turn = !found && at.slope * (other->t - better->t) >= 0;
    spare = turn ? other->g : better->g;
    if (turn) *other = *better;
    *better = at;
  }
  end[0] = end[low];
  return MGRAD_OK;
}

/* ---- the method ---- */

/* The pairs of moves and changes of the gradient that are remembered, oldest first: those of
** the steps before lie in 'state', those of this one in 'fresh', in turn. */
typedef struct memory {
  const mgrad_real *move[MGRAD_LBFGS_MOST], *change[MGRAD_LBFGS_MOST];
  double inverse[MGRAD_LBFGS_MOST]; /* 1 / (move . change) */
  int most, count, fresh;
} memory;

/* Place k for moves, or for changes, among the vectors of 'state' or 'fresh'. */
static mgrad_real *moves(const mgrad_problem *p, mgrad_real *in, int k) {
  return in + (2 + k) * p->n;
}
static mgrad_real *changes(const mgrad_problem *p, mgrad_real *in, int k) {
  return moves(p, in, (int)p->h[HISTORY] + k);
}

static memory recall(const mgrad_problem *p) {
  memory m = { .most = (int)p->h[HISTORY] };
  for (int k = 0; k < m.most; m.count = ++k) {
    m.move[k] = moves(p, p->state, k);
    m.change[k] = changes(p, p->state, k);
    double product = dot(p->n, m.move[k], m.change[k]);
    if (product == 0) break;
    m.inverse[k] = 1 / product;
  }
  copy(2 * p->n, p->state, p->fresh); /* the last move, and the gradient before it */
  return m;
}

static void forget_oldest(memory *m) {
  size_t rest = (size_t)--m->count;
  memmove(m->move, m->move + 1, rest * sizeof *m->move);
  memmove(m->change, m->change + 1, rest * sizeof *m->change);
  memmove(m->inverse, m->inverse + 1, rest * sizeof *m->inverse);
}

/* Remembers a pair where it says something; 'change' is overwritten. */
static void remember(const mgrad_problem *p, memory *m, const mgrad_real *move,
                     const mgrad_real *before, mgrad_real *change) {
  int64_t n = p->n;
  add(n, p->g, -1, before, change);
  double product = dot(n, change, move);
  if (!(product > 1e-10)) return;
  if (m->count == m->most) forget_oldest(m);
  int slot = m->fresh++ % m->most, k = m->count++;
  mgrad_real *kept_move = moves(p, p->fresh, slot), *kept_change = changes(p, p->fresh, slot);
  copy(n, move, kept_move);
  copy(n, change, kept_change);
  m->move[k] = kept_move;
  m->change[k] = kept_change;
  m->inverse[k] = 1 / product;
}

/* All is well: what is remembered moves to its places for the next step. */
static void keep(const mgrad_problem *p, const memory *m) {
  for (int k = 0; k < m->count; k++) {
    if (m->move[k] == moves(p, p->state, k)) continue;
    copy(p->n, m->move[k], moves(p, p->state, k));
    copy(p->n, m->change[k], changes(p, p->state, k));
  }
  copy(2 * p->n, p->fresh, p->state);
}

/* d = -(the inverse Hessian as far as it is remembered) g */
static mgrad_status descend(mgrad_problem *p, const memory *m, mgrad_real *d) {
  int64_t n = p->n;
  double part[MGRAD_LBFGS_MOST], size = 1;
  scale_to(n, -1, p->g, d);
  for (int i = m->count - 1; i >= 0; i--) {
    MGRAD_TRY(p->ask(p, 2 * n));
    part[i] = dot(n, m->move[i], d) * m->inverse[i];
    add(n, d, -part[i], m->change[i], d);
  }
  if (m->count > 0) {
    const mgrad_real *last = m->change[m->count - 1];
    size = 1 / (m->inverse[m->count - 1] * dot(n, last, last));
  }
  scale_to(n, size, d, d);
  for (int i = 0; i < m->count; i++) {
    MGRAD_TRY(p->ask(p, 2 * n));
    double rest = part[i] - dot(n, m->change[i], d) * m->inverse[i];
    add(n, d, rest, m->move[i], d);
  }
  return MGRAD_OK;
}

/* From p->w, where loss and gradient are known, to a better place in direction d; adds
** to *evaluations. */
static mgrad_status search(mgrad_problem *p, double t, double slope, int *evaluations) {
  int64_t n = p->n;
  mgrad_real *d = p->work, *start = d + n, *a = start + n, *b = a + n;
  copy(n, p->w, start);
  place from = { 0, p->loss, slope, p->g }, end[2] = { { 0 } };
  line l = { p, start, d, p->loss, slope, 0 };
  bool found = false;
  MGRAD_TRY(bracket(&l, t, &from, a, b, end, &found));
  mgrad_real *spare = a;
  if (end[0].g == spare || end[1].g == spare) spare = b;
  if (end[0].g == spare || end[1].g == spare) spare = p->g;
  if (!found) MGRAD_TRY(zoom(&l, end, spare));
  *evaluations += l.tries + 1;
  p->loss = end[0].loss;
  if (end[0].g != p->g) copy(n, end[0].g, p->g);
  add(n, start, end[0].t, d, p->w);
  scale_to(n, end[0].t, d, p->fresh); /* the move */
  return MGRAD_OK;
}

mgrad_status mgrad_lbfgs(mgrad_problem *p) {
  const double *h = p->h;
  int64_t n = p->n;
  mgrad_real *move = p->fresh, *before = move + n, *d = p->work, *spare = d + n;
  double most = h[MAX_EVAL] > 0 ? h[MAX_EVAL] : floor(h[MAX_ITER] * 5 / 4);
  int evaluations = 1;
  memory m = recall(p);
  for (int i = 0; i < (int)h[MAX_ITER] && largest(n, p->g) > h[TOLERANCE_GRAD]; i++) {
    double loss = p->loss, t = h[LR];
    if (largest(n, move) > 0) remember(p, &m, move, before, spare);
    else t *= smaller(1, 1 / total(n, p->g)); /* nothing is known of a good length */
    MGRAD_TRY(descend(p, &m, d));
    copy(n, p->g, before);
    double slope = dot(n, p->g, d);
    if (!(slope <= -h[TOLERANCE_CHANGE])) break;
    MGRAD_TRY(search(p, t, slope, &evaluations));
    if (evaluations >= most || largest(n, move) <= h[TOLERANCE_CHANGE] ||
        fabs(p->loss - loss) < h[TOLERANCE_CHANGE]) break;
  }
  keep(p, &m);
  return MGRAD_OK;
}
