/*
** elementwise.c - functions of one number: maths and activations.
**
** Each op is two expressions and a descriptor. FUNCTION(name, value, slope)
** makes its loops: 'value' is written in x, 'slope' in x and y = f(x). A slope
** that needs y only (or nothing) lets the op be fused into linear; 'reads' in
** the descriptor says which of them backward uses. p0 and p1 are attributes.
*/
#include "../op.h"
#include "../kernels/maths.h"

/* Numbers of one turn, whatever the instruction set. What is left over at the end is
** made up to so many: a vector of a function costs little more than a single one. */
enum { TURN = 64 / sizeof(mgrad_real) };

#define FUNCTION(name, value, slope)                                              \
  INLINE void name##_values(int64_t n, const mgrad_real *xs, mgrad_real *ys,      \
                            const double *p) {                                    \
    const mgrad_real p0 = REAL(p[0]), p1 = REAL(p[1]);                            \
    (void)p0, (void)p1;                                                           \
    MGRAD_EACH(i, n) {                                                            \
      mgrad_real x = xs[i];                                                       \
      ys[i] = (value);                                                            \
    }                                                                             \
  }                                                                               \
  static void name##_forward(int64_t n, const mgrad_real *xs, mgrad_real *ys,     \
                             const double *p) {                                   \
    int64_t whole = n / TURN * TURN;                                              \
    mgrad_real rest[TURN] = { 0 };                                                \
    name##_values(whole, xs, ys, p);                                              \
    if (whole == n) return;                                                       \
    memcpy(rest, xs + whole, (size_t)(n - whole) * sizeof *rest);                 \
    name##_values(TURN, rest, rest, p);                                           \
    memcpy(ys + whole, rest, (size_t)(n - whole) * sizeof *rest);                 \
  }                                                                               \
  static void name##_backward(int64_t n, const mgrad_real *xs, const mgrad_real *ys, \
                              const mgrad_real *dys, mgrad_real *dxs,             \
                              const double *p) {                                  \
    const mgrad_real p0 = REAL(p[0]), p1 = REAL(p[1]);                            \
    (void)p0, (void)p1;                                                           \
    MGRAD_EACH(i, n) {                                                            \
      mgrad_real x = xs[i], y = ys[i];                                            \
      (void)x, (void)y;                                                           \
      dxs[i] = dys[i] * (slope);                                                  \
    }                                                                             \
  }

/* The part of a descriptor that every function of one number shares. */
#define MAP(word)                                                                 \
  MGRAD_NAMED(word), .operands = "x", .infer = mgrad_infer_same,                      \
  .forward = mgrad_map_forward, .backward = mgrad_map_backward,                   \
  .map = { word##_forward, word##_backward }

#define READS_X 1u
#define ONE_EXAMPLE MGRAD_EXAMPLES({ .shapes = { { 3, 4 } }, .low = -3, .high = 3 })
#define POSITIVE_EXAMPLE MGRAD_EXAMPLES({ .shapes = { { 3, 4 } }, .low = 0.2, .high = 3 })

/* Klambauer et al., "Self-normalizing neural networks", 2017 */
#define SELU_SCALE REAL(1.0507009873554804934193349852946)
#define SELU_ALPHA REAL(1.6732632423543772848170429916717)
#define SQRT_HALF REAL(0.70710678118654752440)
#define SQRT_HALF_PI REAL(0.39894228040143267794) /* 1 / sqrt(2 pi) */

static mgrad_real gelu_slope(mgrad_real x) {
  return REAL(0.5) * (1 + ERF(x * SQRT_HALF)) + x * SQRT_HALF_PI * EXP(REAL(-0.5) * x * x);
}

static mgrad_real silu_slope(mgrad_real x) {
  mgrad_real s = mgrad_sigmoid(x);
  return s * (1 + x * (1 - s));
}

/* ---- maths ---- */

FUNCTION(exp, EXP(x), y)
MGRAD_OP(exp) = { MAP(exp), .reads = MGRAD_READS_Y,
  .doc = "e to the power x", ONE_EXAMPLE };

FUNCTION(log, LOG(x), 1 / x)
MGRAD_OP(log) = { MAP(log), .reads = READS_X,
  .doc = "natural logarithm of x", POSITIVE_EXAMPLE };

FUNCTION(sqrt, SQRT(x), REAL(0.5) / y)
MGRAD_OP(sqrt) = { MAP(sqrt), .reads = MGRAD_READS_Y,
  .doc = "square root of x", POSITIVE_EXAMPLE };

FUNCTION(square, x * x, 2 * x)
MGRAD_OP(square) = { MAP(square), .reads = READS_X,
  .doc = "x times x", ONE_EXAMPLE };

FUNCTION(abs, ABS(x), (mgrad_real)((x > 0) - (x < 0)))
MGRAD_OP(abs) = { MAP(abs), .reads = READS_X,
  .doc = "x without its sign; slope 0 at 0", ONE_EXAMPLE };

FUNCTION(sign, (mgrad_real)((x > 0) - (x < 0)), 0)
MGRAD_OP(sign) = { MAP(sign),
  .doc = "-1, 0 or 1; its slope is 0 everywhere", ONE_EXAMPLE };

FUNCTION(sin, SIN(x), COS(x))
MGRAD_OP(sin) = { MAP(sin), .reads = READS_X,
  .doc = "sine of x in radians", ONE_EXAMPLE };

FUNCTION(cos, COS(x), -SIN(x))
MGRAD_OP(cos) = { MAP(cos), .reads = READS_X,
  .doc = "cosine of x in radians", ONE_EXAMPLE };

FUNCTION(neg, -x, -1)
MGRAD_OP(neg) = { MAP(neg),
  .doc = "-x", ONE_EXAMPLE };

FUNCTION(clamp, x > p1 || p0 > p1 ? p1 : x < p0 ? p0 : x, x >= p0 && x <= p1)
MGRAD_OP(clamp) = { MAP(clamp), .reads = READS_X,
  MGRAD_ATTRS({ "lo", MGRAD_ATTR_REAL, -INFINITY, .doc = "the least result" },
              { "hi", MGRAD_ATTR_REAL, INFINITY, .doc = "the largest result" }),
  .doc = "x, but at least lo and at most hi",
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 } }, .low = -3, .high = 3,
                   .attrs = { { "lo", -1 }, { "hi", 0.5 } } }) };

/* ---- activations ---- */

FUNCTION(sigmoid, mgrad_sigmoid(x), y * (1 - y))
MGRAD_OP(sigmoid) = { MAP(sigmoid), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  .doc = "1 / (1 + exp(-x)): any number squashed into (0, 1)", ONE_EXAMPLE };

FUNCTION(tanh, TANH(x), 1 - y * y)
MGRAD_OP(tanh) = { MAP(tanh), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  .doc = "hyperbolic tangent: any number squashed into (-1, 1)", ONE_EXAMPLE };

FUNCTION(relu, x > 0 || x != x ? x : 0, y > 0)
MGRAD_OP(relu) = { MAP(relu), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  .doc = "x where positive, else 0", ONE_EXAMPLE };

FUNCTION(leaky_relu, x > 0 ? x : p0 * x, y > 0 ? 1 : p0)
MGRAD_OP(leaky_relu) = { MAP(leaky_relu), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  MGRAD_ATTRS({ "a", MGRAD_ATTR_REAL, 0.01, 0, 1e30,
                .doc = "the slope where x is not positive" }),
  .doc = "x where positive, else a times x",
  MGRAD_EXAMPLES({ .shapes = { { 3, 4 } }, .low = -3, .high = 3 },
                 { .shapes = { { 5 } }, .attrs = { { "a", 0.3 } } }) };

FUNCTION(elu, x > 0 ? x : p0 * EXPM1(x), y > 0 ? 1 : y + p0)
MGRAD_OP(elu) = { MAP(elu), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  MGRAD_ATTRS({ "a", MGRAD_ATTR_REAL, 1, 0, 1e30,
                .doc = "how far below 0 the result can get" }),
  .doc = "x where positive, else a * (exp(x) - 1)", ONE_EXAMPLE };

FUNCTION(selu, SELU_SCALE * (x > 0 ? x : SELU_ALPHA * EXPM1(x)),
         y > 0 ? SELU_SCALE : y + SELU_SCALE * SELU_ALPHA)
MGRAD_OP(selu) = { MAP(selu), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  .doc = "elu scaled so that mean 0 and variance 1 keep themselves", ONE_EXAMPLE };

FUNCTION(gelu, REAL(0.5) * x * (1 + ERF(x * SQRT_HALF)), gelu_slope(x))
MGRAD_OP(gelu) = { MAP(gelu), .flags = MGRAD_OP_ACTIVATION, .reads = READS_X,
  .doc = "x times the normal distribution function of x", ONE_EXAMPLE };

FUNCTION(silu, x * mgrad_sigmoid(x), silu_slope(x))
MGRAD_OP(silu) = { MAP(silu), .flags = MGRAD_OP_ACTIVATION, .reads = READS_X,
  .doc = "x * sigmoid(x), also called swish", ONE_EXAMPLE };

FUNCTION(softplus, mgrad_softplus(x), -EXPM1(-y))
MGRAD_OP(softplus) = { MAP(softplus), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  .doc = "log(1 + exp(x)): relu with a rounded corner", ONE_EXAMPLE };

FUNCTION(softsign, x / (1 + ABS(x)), (1 - ABS(y)) * (1 - ABS(y)))
MGRAD_OP(softsign) = { MAP(softsign), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  .doc = "x / (1 + |x|)", ONE_EXAMPLE };

FUNCTION(hardtanh, x < -1 ? -1 : x > 1 ? 1 : x, y > -1 && y < 1)
MGRAD_OP(hardtanh) = { MAP(hardtanh), .flags = MGRAD_OP_ACTIVATION,
  .reads = MGRAD_READS_Y,
  .doc = "x, but at least -1 and at most 1", ONE_EXAMPLE };

FUNCTION(step, x > 0, 0)
MGRAD_OP(step) = { MAP(step), .flags = MGRAD_OP_ACTIVATION,
  .doc = "1 where x is positive, else 0; its slope is 0 everywhere", ONE_EXAMPLE };
