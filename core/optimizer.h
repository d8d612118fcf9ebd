/*
** optimizer.h - an optimizer is one update rule over one flat vector.
*/
#ifndef MGRAD_OPTIMIZER_H
#define MGRAD_OPTIMIZER_H

#include "layer.h"

enum { MGRAD_MAX_STATES = 3 };

/* One update of n weights. 'h' are the attribute values, h[0] is the learning
** rate; 'step' counts from 1; states start at 0. */
typedef struct mgrad_update {
  int64_t n;
  mgrad_real *w;
  const mgrad_real *g;
  mgrad_real *state[MGRAD_MAX_STATES];
  const double *h;
  int64_t step;
  /* options of every optimizer; see mgrad_update_gradient */
  mgrad_real scale, bound, l1, l2;
  bool plain;               /* none of those changes anything */
} mgrad_update;

struct mgrad_optimizer_def {
  const char *name;
  int id;                                 /* its place in optimizers.def */
  const char *doc;
  mgrad_attr_spec attrs[MGRAD_MAX_ATTRS]; /* the first is "lr" */
  int states;                             /* vectors it keeps */
  void (*update)(const mgrad_update *u);
};

/* The gradient that a rule sees: scaled by clip_norm, bounded by clip_value,
** then l2 * w and l1 * sign(w) added. 'plain' is a constant: u->plain. */
static inline mgrad_real mgrad_update_gradient(const mgrad_update *u, int64_t i,
                                               const bool plain) {
  if (plain) return u->g[i];
  mgrad_real g = u->g[i] * u->scale, w = u->w[i];
  g = g > u->bound ? u->bound : g < -u->bound ? -u->bound : g;
  return g + u->l2 * w + u->l1 * (mgrad_real)((w > 0) - (w < 0));
}

/* How a descriptor is opened: MGRAD_OPTIMIZER(sgd) = { MGRAD_RULE(sgd), .. }; */
#define MGRAD_OPTIMIZER(word) const mgrad_optimizer_def MGRAD_CODE(mgrad_optimizer_def_##word)
#define MGRAD_RULE(word) .name = #word, .id = MGRAD_RULE_##word

#define X(name) extern const mgrad_optimizer_def MGRAD_CODE(mgrad_optimizer_def_##name);
#include "optimizers.def"
#undef X

#define X(name) MGRAD_RULE_##name,
enum {
#include "optimizers.def"
  MGRAD_RULE_COUNT
};
#undef X

/* The next step's gradients overwrite what there is. */
void mgrad_optimizer_clear(mgrad_optimizer *o);
/* Adds the gradients of a batch to those gathered: to their mean, weighted, or their sum. */
mgrad_status mgrad_optimizer_gather(mgrad_optimizer *o, double weight, bool sum);
/* Puts what was gathered where gradients are looked for, and begins anew. */
void mgrad_optimizer_spread(mgrad_optimizer *o);
/* Forgets what was gathered. */
void mgrad_optimizer_drop(mgrad_optimizer *o);

#endif
