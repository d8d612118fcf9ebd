/*
** optimizers.c - the update rules. Formulas and defaults are PyTorch's.
*/
#include "optimizer.h"
#include "kernels/finite.h"
#include "kernels/maths.h"

/* Is what an update is to look at finite? In line: a small net has few instructions to
** spare in a step. */
INLINE bool good(const mgrad_update *u) {
  if (!MGRAD_LOOKS || !u->look) return true;
  bool few = u->n >= 2 * LANES && u->n <= 8 * LANES;
  return (few && few_finite(u->n, u->g)) || mgrad_all_finite(u->n, u->g);
}

/* A rule is written once, for one weight after the other. It is compiled twice: with
** the options of every optimizer and, for speed, without them. By value, so that
** nothing of it is read again after a weight has been written. */
#define RULE(name)                                                              \
  static bool name##_update(const mgrad_update *u) {                            \
    if (!good(u)) return false;                                                 \
    if (u->plain) name(*u, true);                                               \
    else name(*u, false);                                                       \
    return true;                                                                \
  }
/* One loop for both: of rules that are not worth the room. */
#define SMALL_RULE(name)                                                        \
  static bool name##_update(const mgrad_update *u) {                            \
    if (!good(u)) return false;                                                 \
    name(*u, false);                                                            \
    return true;                                                                \
  }
#define EACH(i) MGRAD_EACH(i, u.n)
#define REAL_ATTR(name, initial, low, high, text)                               \
  { name, MGRAD_ATTR_REAL, initial, low, high, .doc = text }
#define RATE(initial) REAL_ATTR("lr", initial, 0, 1e30, "the learning rate")
#define DECAY(initial)                                                          \
  REAL_ATTR("weight_decay", initial, 0, 1e30, "how much weights are drawn to 0")
#define MOMENTUM REAL_ATTR("momentum", 0, 0, 1, "how much of the last move is kept")

/* ---- sgd ---- */

INLINE void sgd(const mgrad_update u, const bool plain) {
  mgrad_real lr = REAL(u.h[0]), momentum = REAL(u.h[1]), decay = REAL(u.h[3]);
  mgrad_real fresh = u.step == 1 ? 1 : REAL(1 - u.h[4]);
  bool nesterov = u.h[2] != 0;
  mgrad_real *v = u.state[0];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    v[i] = momentum * v[i] + fresh * g;
    u.w[i] -= lr * (nesterov ? g + momentum * v[i] : v[i]);
  }
}

/* As PyTorch; a look ahead of no momentum would be none. */
static const char *sgd_check(const double *h) {
  if (h[2] == 0 || (h[1] > 0 && h[4] == 0)) return NULL;
  return "nesterov needs momentum above 0 and dampening 0";
}

RULE(sgd)
MGRAD_OPTIMIZER(sgd) = {
  MGRAD_RULE(sgd), .doc = "gradient descent: v = momentum * v + g; w = w - lr * v",
  MGRAD_ATTRS(RATE(1e-3), MOMENTUM,
              { "nesterov", MGRAD_ATTR_BOOL, 0, .doc = "looks one move ahead" },
              DECAY(0),
              REAL_ATTR("dampening", 0, 0, 1, "what of a gradient the momentum leaves out")),
  .keeps = "momentum", .states = 1, .check = sgd_check, .update = sgd_update,
};

/* ---- adam, adamw ---- */

/* b to the power n. The C library's pow gives other bits in another library. */
static double power(double b, int64_t n) {
  double y = 1;
  for (; n > 0; n /= 2, b *= b) {
    if (n % 2 == 1) y *= b;
  }
  return y;
}

enum { AMSGRAD = 5 };

/* Kingma and Ba, "Adam", 2015; weight decay is added to the gradient, or with
** 'decoupled' shrinks the weight (Loshchilov and Hutter, 2019). With 'amsgrad' no
** step is longer than the largest v so far allows (Reddi et al., 2018). */
INLINE void adams(const mgrad_update u, const bool plain, const bool decoupled,
                  const bool amsgrad) {
  double b1 = u.h[1], b2 = u.h[2];
  mgrad_real beta1 = REAL(b1), beta2 = REAL(b2), eps = REAL(u.h[3]);
  mgrad_real lr = REAL(u.h[0] / (1 - power(b1, u.step)));
  mgrad_real correction = REAL(1 / sqrt(1 - power(b2, u.step)));
  mgrad_real decay = decoupled ? 0 : REAL(u.h[4]);
  mgrad_real kept = decoupled ? REAL(1 - u.h[0] * u.h[4]) : 1;
  mgrad_real *m = u.state[0], *v = u.state[1], *most = u.state[2];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    mgrad_real square = v[i];
    if (amsgrad) square = most[i] = most[i] > square ? most[i] : square;
    u.w[i] = kept * u.w[i] - lr * m[i] / (SQRT(square) * correction + eps);
  }
}

/* amsgrad is rare: one loop for all options of it. */
#define ADAM(name, decoupled)                                                   \
  static bool name##_update(const mgrad_update *u) {                            \
    if (!good(u)) return false;                                                 \
    if (u->h[AMSGRAD] != 0) adams(*u, false, decoupled, true);                  \
    else if (u->plain) adams(*u, true, decoupled, false);                       \
    else adams(*u, false, decoupled, false);                                    \
    return true;                                                                \
  }
ADAM(adam, false)
ADAM(adamw, true)

static int adam_states(const double *h) { return h[AMSGRAD] != 0 ? 3 : 2; }

#define BETAS(b1, b2)                                                           \
  REAL_ATTR("beta1", b1, 0, 0.9999999, "how much of the mean of gradients is kept"), \
    REAL_ATTR("beta2", b2, 0, 0.9999999, "the same of the mean that divides, or is kept")
#define EPS(initial) REAL_ATTR("eps", initial, 0, 1, "keeps what divides from 0")
#define ADAM_ATTRS(decay)                                                       \
  MGRAD_ATTRS(RATE(1e-3), BETAS(0.9, 0.999), EPS(1e-8), DECAY(decay),           \
              { "amsgrad", MGRAD_ATTR_BOOL, 0, .doc = "the largest mean so far divides" })

MGRAD_OPTIMIZER(adam) = {
  MGRAD_RULE(adam), .doc = "steps scaled by running means of the gradient and its square",
  ADAM_ATTRS(0), .keeps = "mean square most", .states_for = adam_states, .update = adam_update,
};

MGRAD_OPTIMIZER(adamw) = {
  MGRAD_RULE(adamw), .doc = "adam whose weight decay does not pass through the gradient",
  ADAM_ATTRS(0.01), .keeps = "mean square most", .states_for = adam_states,
  .update = adamw_update,
};

/* ---- nadam, adamax ---- */

/* The momentum of a step, which grows from half of beta1 to all of it. */
static double nadam_momentum(const double *h, int64_t step) {
  mgrad_real rest = mgrad_power(REAL(0.96), REAL((double)step * h[5]));
  return h[1] * (1 - 0.5 * (double)rest);
}

/* The product of all so far: below 1e-18 it makes no difference to 1. */
static double nadam_product(const double *h, int64_t steps) {
  double product = 1;
  for (int64_t i = 1; i <= steps && product > 1e-18; i++) {
    double momentum = nadam_momentum(h, i);
    if (momentum == h[1]) return product * power(momentum, steps - i + 1);
    product *= momentum;
  }
  return product;
}

/* Dozat, "Incorporating Nesterov momentum into Adam", 2016. */
INLINE void nadam(const mgrad_update u, const bool plain) {
  double product = nadam_product(u.h, u.step);
  double now = nadam_momentum(u.h, u.step), next = nadam_momentum(u.h, u.step + 1);
  mgrad_real fresh = REAL(u.h[0] * (1 - now) / (1 - product));
  mgrad_real lr = REAL(u.h[0] * next / (1 - product * next));
  mgrad_real beta1 = REAL(u.h[1]), beta2 = REAL(u.h[2]), eps = REAL(u.h[3]);
  mgrad_real correction = REAL(1 / sqrt(1 - power(u.h[2], u.step))), decay = REAL(u.h[4]);
  mgrad_real *m = u.state[0], *v = u.state[1];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    u.w[i] -= (fresh * g + lr * m[i]) / (SQRT(v[i]) * correction + eps);
  }
}

SMALL_RULE(nadam)
MGRAD_OPTIMIZER(nadam) = {
  MGRAD_RULE(nadam), .doc = "adam that looks one step of its momentum ahead",
  MGRAD_ATTRS(RATE(2e-3), BETAS(0.9, 0.999), EPS(1e-8), DECAY(0),
              REAL_ATTR("momentum_decay", 4e-3, 0, 1e30, "how fast the momentum grows")),
  .keeps = "mean square", .states = 2, .update = nadam_update,
};

/* Kingma and Ba, 2015, section 7.1. */
INLINE void adamax(const mgrad_update u, const bool plain) {
  mgrad_real beta1 = REAL(u.h[1]), beta2 = REAL(u.h[2]), eps = REAL(u.h[3]);
  mgrad_real lr = REAL(u.h[0] / (1 - power(u.h[1], u.step))), decay = REAL(u.h[4]);
  mgrad_real *m = u.state[0], *most = u.state[1];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    mgrad_real size = ABS(g) + eps, kept = beta2 * most[i];
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    most[i] = kept > size ? kept : size;
    u.w[i] -= lr * m[i] / most[i];
  }
}

SMALL_RULE(adamax)
MGRAD_OPTIMIZER(adamax) = {
  MGRAD_RULE(adamax), .doc = "adam with the largest gradient of late in place of the root",
  MGRAD_ATTRS(RATE(2e-3), BETAS(0.9, 0.999),
              REAL_ATTR("eps", 1e-8, MGRAD_ABOVE_0, 1, "keeps what divides from 0"),
              DECAY(0)),
  .keeps = "mean most", .states = 2, .update = adamax_update,
};

/* ---- lion ---- */

/* Chen et al., "Symbolic discovery of optimization algorithms", 2023. */
INLINE void lion(const mgrad_update u, const bool plain) {
  mgrad_real lr = REAL(u.h[0]), beta1 = REAL(u.h[1]), beta2 = REAL(u.h[2]);
  mgrad_real kept = REAL(1 - u.h[0] * u.h[3]);
  mgrad_real *m = u.state[0];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain);
    mgrad_real c = beta1 * m[i] + (1 - beta1) * g;
    u.w[i] = kept * u.w[i] - lr * (mgrad_real)((c > 0) - (c < 0));
    m[i] = beta2 * m[i] + (1 - beta2) * g;
  }
}

SMALL_RULE(lion)
MGRAD_OPTIMIZER(lion) = {
  MGRAD_RULE(lion), .doc = "steps of one size, by the sign of a running mean of the gradient",
  MGRAD_ATTRS(RATE(1e-4), BETAS(0.9, 0.99), DECAY(0)),
  .keeps = "mean", .states = 1, .update = lion_update,
};

/* ---- rmsprop ---- */

/* Tieleman and Hinton, lecture 6.5, 2012; 'centered' after Graves, 2013. */
INLINE void rmsprop(const mgrad_update u, const bool plain) {
  mgrad_real lr = REAL(u.h[0]), alpha = REAL(u.h[1]), eps = REAL(u.h[2]);
  mgrad_real momentum = REAL(u.h[3]), decay = REAL(u.h[5]);
  bool centered = u.h[4] != 0;
  mgrad_real *square = u.state[0], *mean = u.state[1], *v = u.state[2];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    square[i] = alpha * square[i] + (1 - alpha) * g * g;
    mgrad_real variance = square[i];
    if (centered) {
      mean[i] = alpha * mean[i] + (1 - alpha) * g;
      variance -= mean[i] * mean[i];
    }
    v[i] = momentum * v[i] + g / (SQRT(variance > 0 ? variance : 0) + eps);
    u.w[i] -= lr * v[i];
  }
}

RULE(rmsprop)
MGRAD_OPTIMIZER(rmsprop) = {
  MGRAD_RULE(rmsprop), .doc = "steps divided by the root of a running mean of g * g",
  MGRAD_ATTRS(RATE(0.01), REAL_ATTR("alpha", 0.99, 0, 1, "how much of the mean is kept"),
              EPS(1e-8), MOMENTUM,
              { "centered", MGRAD_ATTR_BOOL, 0, .doc = "the variance divides" },
              DECAY(0)),
  .keeps = "square mean momentum", .states = 3, .update = rmsprop_update,
};

/* ---- adagrad ---- */

/* Duchi, Hazan and Singer, 2011. */
INLINE void adagrad(const mgrad_update u, const bool plain) {
  mgrad_real lr = REAL(u.h[0] / (1 + (double)(u.step - 1) * u.h[1]));
  mgrad_real eps = REAL(u.h[2]), decay = REAL(u.h[3]), initial = REAL(u.h[4]);
  mgrad_real *sum = u.state[0];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    sum[i] = (u.step == 1 ? initial : sum[i]) + g * g;
    u.w[i] -= lr * g / (SQRT(sum[i]) + eps);
  }
}

RULE(adagrad)
MGRAD_OPTIMIZER(adagrad) = {
  MGRAD_RULE(adagrad), .doc = "steps divided by the root of the sum of all g * g so far",
  MGRAD_ATTRS(RATE(0.01),
              REAL_ATTR("lr_decay", 0, 0, 1e30, "the rate is lr / (1 + steps * this)"),
              EPS(1e-10), DECAY(0),
              REAL_ATTR("initial_accumulator", 0, 0, 1e30, "where the sums begin")),
  .keeps = "sum", .states = 1, .update = adagrad_update,
};

/* ---- adadelta ---- */

/* Zeiler, "ADADELTA: an adaptive learning rate method", 2012. */
INLINE void adadelta(const mgrad_update u, const bool plain) {
  mgrad_real lr = REAL(u.h[0]), rho = REAL(u.h[1]), eps = REAL(u.h[2]), decay = REAL(u.h[3]);
  mgrad_real *square = u.state[0], *moved = u.state[1];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    square[i] = rho * square[i] + (1 - rho) * g * g;
    mgrad_real d = SQRT(moved[i] + eps) / SQRT(square[i] + eps) * g;
    moved[i] = rho * moved[i] + (1 - rho) * d * d;
    u.w[i] -= lr * d;
  }
}

SMALL_RULE(adadelta)
MGRAD_OPTIMIZER(adadelta) = {
  MGRAD_RULE(adadelta), .doc = "steps as long as those of late, divided by the root of a "
  "running mean of g * g",
  MGRAD_ATTRS(RATE(1), REAL_ATTR("rho", 0.9, 0, 1, "how much of the means is kept"),
              REAL_ATTR("eps", 1e-6, MGRAD_ABOVE_0, 1, "what the length of steps begins from"),
              DECAY(0)),
  .keeps = "square move", .states = 2, .update = adadelta_update,
};

/* ---- rprop ---- */

/* Riedmiller and Braun, 1993; after a turn a weight waits for one step, as PyTorch has
** it. A size of 0 has not begun: step_min is above it. */
INLINE void rprop(const mgrad_update u, const bool plain) {
  mgrad_real lr = REAL(u.h[0]), shorter = REAL(u.h[1]), longer = REAL(u.h[2]);
  mgrad_real least = REAL(u.h[3]), most = REAL(u.h[4]);
  mgrad_real *before = u.state[0], *size = u.state[1];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain), turn = g * before[i];
    mgrad_real s = size[i] == 0 ? lr : size[i];
    s *= turn > 0 ? longer : turn < 0 ? shorter : 1;
    s = s < least ? least : s > most ? most : s;
    g = turn < 0 ? 0 : g;
    u.w[i] -= s * (mgrad_real)((g > 0) - (g < 0));
    size[i] = s;
    before[i] = g;
  }
}

SMALL_RULE(rprop)
MGRAD_OPTIMIZER(rprop) = {
  MGRAD_RULE(rprop), .doc = "steps by the gradient's sign alone, longer while it stays, "
  "shorter when it turns; for whole data, not for batches",
  MGRAD_ATTRS(RATE(0.01),
              REAL_ATTR("eta_minus", 0.5, MGRAD_ABOVE_0, 1,
                        "a step is so much as long after a turn"),
              REAL_ATTR("eta_plus", 1.2, 1, 1e30, "the same where there was none"),
              REAL_ATTR("step_min", 1e-6, MGRAD_ABOVE_0, 1e30, "the shortest step"),
              REAL_ATTR("step_max", 50, MGRAD_ABOVE_0, 1e30, "the longest step")),
  .keeps = "gradient size", .states = 2, .update = rprop_update,
};

/* ---- lbfgs ---- */

/* The last move, the gradient before it, the pairs; see lbfgs.c. */
static int lbfgs_states(const double *h) { return 2 + 2 * (int)h[5]; }

#define COUNT_ATTR(name, initial, low, high, text)                              \
  { name, MGRAD_ATTR_INT, initial, low, high, .doc = text }
MGRAD_OPTIMIZER(lbfgs) = {
  MGRAD_RULE(lbfgs), .doc = "a step is up to max_iter moves, each along a line and by what "
  "the last ones told of the curvature; on the same data, with a function for the loss",
  MGRAD_ATTRS(RATE(1), COUNT_ATTR("max_iter", 20, 1, 1e6, "moves in one step, at most"),
              COUNT_ATTR("max_eval", 0, 0, 1e6,
                         "no move begins after so many evaluations; 0: 5/4 max_iter"),
              REAL_ATTR("tolerance_grad", 1e-7, 0, 1e30, "no slope above this: done"),
              REAL_ATTR("tolerance_change", 1e-9, 0, 1e30, "no change above this: done"),
              COUNT_ATTR("history", 10, 1, MGRAD_LBFGS_MOST, "moves remembered")),
  .keeps = "move gradient moves* changes*", .states_for = lbfgs_states,
  .solve = mgrad_lbfgs, .work = 7,
};
