/*
** optimizer.h - an optimizer is one update rule over one flat vector.
*/
#ifndef MGRAD_OPTIMIZER_H
#define MGRAD_OPTIMIZER_H

#include "layer.h"

enum { MGRAD_MAX_STATES = 3 };

#ifdef MGRAD_UNCHECKED /* to measure what it costs */
enum { MGRAD_LOOKS = 0 };
#else
enum { MGRAD_LOOKS = 1 }; /* for NaN and infinity in gradients */
#endif

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
  bool look;                /* at g first: see update */
} mgrad_update;

/* What minimises a loss by evaluating it many times sees: one point of n numbers. */
typedef struct mgrad_problem {
  int64_t n;
  const double *h;          /* the attribute values */
  mgrad_real *w, *g;        /* the point, and the gradient at it */
  double loss;              /* at it */
  mgrad_real *state, *work; /* vectors of n: of the descriptor, and its 'work' but w, g */
  mgrad_real *fresh;        /* as many as 'state', which stays as it is until all went well */
  /* The loss at w, into loss, and its gradient. */
  mgrad_status (*evaluate)(struct mgrad_problem *p, mgrad_real *g);
  /* Goes on after work on so many numbers, unless the host wants the step given up. */
  mgrad_status (*ask)(struct mgrad_problem *p, int64_t numbers);
} mgrad_problem;

struct mgrad_optimizer_def {
  const char *name;
  int id;                                 /* its place in optimizers.def */
  const char *doc;
  const mgrad_attr_spec *attrs; /* by MGRAD_ATTRS; the first is "lr" */
  int states;                             /* vectors it keeps */
  const char *keeps;                      /* their names; "moves*": as many as there are */
  int (*states_for)(const double *h);     /* or: how many, by the attributes; or NULL */
  const char *(*check)(const double *h);  /* what is wrong with attributes together, or NULL */
  /* False, and nothing has changed: u->look, and g has NaN or infinity. */
  bool (*update)(const mgrad_update *u);
  mgrad_status (*solve)(mgrad_problem *p); /* instead: moves w to a better point */
  int work;                               /* vectors it needs while it does */
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

#define X(name) extern const mgrad_optimizer_def mgrad_optimizer_def_##name;
#include "optimizers.def"
#undef X

#define X(name) MGRAD_RULE_##name,
enum {
#include "optimizers.def"
  MGRAD_RULE_COUNT
};
#undef X

/* ---- an optimizer ---- */

enum { MGRAD_CLIP_NORM, MGRAD_CLIP_VALUE, MGRAD_L1, MGRAD_L2, MGRAD_EMA }; /* common options */

/* Options, and which share of the optimizer's learning rate a group has: below 0 one of
** its own, that does not follow. */
typedef struct mgrad_param_group {
  mgrad_attrs attrs, common;
  double share;
} mgrad_param_group;

typedef struct mgrad_param {
  mgrad_tensor *t;
  int64_t n, offset;     /* numbers; and how many come before it */
  int group;             /* 0: none, the optimizer's own options */
  bool gathered;         /* has had a gradient since they are gathered */
} mgrad_param;

/* Parameters that lie side by side in memory and have gradients that do: one
** stretch for loops. Joined layers are one run, or one for each change of group. */
typedef struct mgrad_param_run {
  int first, end; /* parameters */
  int group;
  int64_t n;      /* numbers */
  mgrad_real *w;
  const mgrad_real *g;
} mgrad_param_run;

struct mgrad_optimizer {
  mgrad_context *ctx;
  int64_t refs;
  const mgrad_optimizer_def *def;
  mgrad_param_group *groups; /* the first holds the optimizer's own options */
  int ngroups;
  mgrad_group_fn grouping;
  void *grouping_ud;
  mgrad_lr_fn schedule;
  void *schedule_ud;
  mgrad_layer *layer;    /* what was attached, or NULL for a list of tensors */
  mgrad_param *params;
  mgrad_param_run *runs; /* behind the parameters, in the same block */
  int nparams, nruns, room;
  uint64_t runs_seen;    /* 1 + ctx->changes when all parameters were in them */
  int64_t numel;         /* of all parameters */
  mgrad_real *states;    /* nstates vectors of numel; the last is the average, if any */
  int nstates;
  bool swapped;          /* the average is in the parameters, they are in its place */
  bool busy;             /* it calls a function of the host: loss, rate, groups */
  mgrad_real *gathered;  /* gradients of several batches, numel; or NULL */
  double weight;         /* of those in it */
  int64_t steps;
  uint64_t seen;         /* ctx->changes when the parameters were listed */
};

/* L-BFGS, in lbfgs.c; it remembers at most so many pairs. */
enum { MGRAD_LBFGS_MOST = 100 };
mgrad_status mgrad_lbfgs(mgrad_problem *p);

/* Frozen parameters may have an old gradient, but are left alone. */
static inline bool mgrad_optimizer_moves(const mgrad_tensor *t) {
  return t->has_grad && t->requires_grad;
}
/* Lists the parameters where that is still to be done, or layers have changed. */
mgrad_status mgrad_optimizer_refresh(mgrad_optimizer *o);
/* Before an update: lists parameters anew where they may have changed, asks the schedule,
** finds runs, refuses gradients that are not finite. */
mgrad_status mgrad_optimizer_ready(mgrad_optimizer *o);
/* What clip_norm multiplies gradients by. */
double mgrad_optimizer_clipping(const mgrad_optimizer *o);
/* The options of a group for an update; 'scale' is that of clip_norm. */
mgrad_update mgrad_optimizer_options(const mgrad_optimizer *o, const mgrad_param_group *g,
                                     double scale);
/* The vector of averages, or NULL. */
static inline mgrad_real *mgrad_optimizer_average(const mgrad_optimizer *o) {
  bool any = o->groups->common.value[MGRAD_EMA] != 0;
  return any ? o->states + (o->nstates - 1) * o->numel : NULL;
}
/* Averages begin as what is averaged: those of one parameter, of all. */
void mgrad_optimizer_begin_average(const mgrad_optimizer *o, const mgrad_param *p);
void mgrad_optimizer_begin_averages(const mgrad_optimizer *o);
mgrad_status mgrad_optimizer_fail_swapped(const mgrad_optimizer *o);
mgrad_status mgrad_optimizer_fail_busy(const mgrad_optimizer *o);
/* The next step's gradients overwrite what there is. */
void mgrad_optimizer_clear(mgrad_optimizer *o);
/* New places for gradients that a pending graph reads. */
mgrad_status mgrad_optimizer_unpin(mgrad_optimizer *o);
/* Adds the gradients of a batch to those gathered: to their mean, weighted, or their sum. */
mgrad_status mgrad_optimizer_gather(mgrad_optimizer *o, double weight, bool sum);
/* Puts what was gathered where gradients are looked for, and begins anew. */
void mgrad_optimizer_spread(mgrad_optimizer *o);
/* Forgets what was gathered. */
void mgrad_optimizer_drop(mgrad_optimizer *o);

#endif
