/*
** optimizers.c - the update rules. Formulas and defaults are PyTorch's.
*/
#include "optimizer.h"
#include "kernels/maths.h"

/* A rule is written once, for one weight after the other. It is compiled twice: with
** the options of every optimizer and, for speed, without them. By value, so that
** nothing of it is read again after a weight has been written. */
#define RULE(name)                                                              \
  static void name##_update(const mgrad_update *u) {                            \
    if (u->plain) name(*u, true);                                               \
    else name(*u, false);                                                       \
  }
#define EACH(i) MGRAD_EACH(i, u.n)
#define LR { "lr", MGRAD_ATTR_REAL, 1e-3, 0, 1e30 }
#define REAL_ATTR(name, initial, low, high) { name, MGRAD_ATTR_REAL, initial, low, high }
#define DECAY(initial) REAL_ATTR("weight_decay", initial, 0, 1e30)

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

RULE(sgd)
MGRAD_OPTIMIZER(sgd) = {
  MGRAD_RULE(sgd), .doc = "gradient descent: v = momentum * v + g; w = w - lr * v",
  .attrs = { LR, REAL_ATTR("momentum", 0, 0, 1), { "nesterov", MGRAD_ATTR_BOOL, 0 }, DECAY(0),
             REAL_ATTR("dampening", 0, 0, 1) },
  .states = 1, .update = sgd_update,
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

/* Kingma and Ba, "Adam", 2015; weight decay is added to the gradient, or with
** 'decoupled' shrinks the weight (Loshchilov and Hutter, 2019). */
INLINE void adams(const mgrad_update u, const bool plain, const bool decoupled) {
  double b1 = u.h[1], b2 = u.h[2];
  mgrad_real beta1 = REAL(b1), beta2 = REAL(b2), eps = REAL(u.h[3]);
  mgrad_real lr = REAL(u.h[0] / (1 - power(b1, u.step)));
  mgrad_real correction = REAL(1 / sqrt(1 - power(b2, u.step)));
  mgrad_real decay = decoupled ? 0 : REAL(u.h[4]);
  mgrad_real kept = decoupled ? REAL(1 - u.h[0] * u.h[4]) : 1;
  mgrad_real *m = u.state[0], *v = u.state[1];
  EACH(i) {
    mgrad_real g = mgrad_update_gradient(&u, i, plain) + decay * u.w[i];
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    u.w[i] = kept * u.w[i] - lr * m[i] / (SQRT(v[i]) * correction + eps);
  }
}

INLINE void adam(const mgrad_update u, const bool plain) { adams(u, plain, false); }
INLINE void adamw(const mgrad_update u, const bool plain) { adams(u, plain, true); }
RULE(adam)
RULE(adamw)

#define ADAM_ATTRS(decay)                                                       \
  { LR, REAL_ATTR("beta1", 0.9, 0, 0.9999999), REAL_ATTR("beta2", 0.999, 0, 0.9999999), \
    REAL_ATTR("eps", 1e-8, 0, 1), DECAY(decay) }

MGRAD_OPTIMIZER(adam) = {
  MGRAD_RULE(adam), .doc = "steps scaled by running means of the gradient and its square",
  .attrs = ADAM_ATTRS(0), .states = 2, .update = adam_update,
};

MGRAD_OPTIMIZER(adamw) = {
  MGRAD_RULE(adamw), .doc = "adam whose weight decay does not pass through the gradient",
  .attrs = ADAM_ATTRS(0.01), .states = 2, .update = adamw_update,
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
  .attrs = { REAL_ATTR("lr", 0.01, 0, 1e30), REAL_ATTR("alpha", 0.99, 0, 1),
             REAL_ATTR("eps", 1e-8, 0, 1), REAL_ATTR("momentum", 0, 0, 1),
             { "centered", MGRAD_ATTR_BOOL, 0 }, DECAY(0) },
  .states = 3, .update = rmsprop_update,
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
  .attrs = { REAL_ATTR("lr", 0.01, 0, 1e30), REAL_ATTR("lr_decay", 0, 0, 1e30),
             REAL_ATTR("eps", 1e-10, 0, 1), DECAY(0),
             REAL_ATTR("initial_accumulator", 0, 0, 1e30) },
  .states = 1, .update = adagrad_update,
};
