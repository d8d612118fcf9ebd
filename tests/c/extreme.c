/*
** extreme.c - elementwise ops, softmax, losses and norms at the borders of float: the
** largest numbers, denormals, infinities, all equal. What is finite in long double and
** fits a float must be right within 4e-7; finite operands never give NaN.
**
** A loop over the op table: an op that is elementwise and has no formula here fails.
*/
#include "check.h"
#include "../../core/op.h"

#include <float.h>
#include <stdlib.h>

#define WORST 4e-7 /* relative; where numbers cancel, of the largest that took part */

typedef long double wide;

static mgrad_context *ctx;
static double worst;

/* ---- formulas ---- */

static wide sigmoid(wide x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
static wide softplus(wide x) { return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }

#define UNARY(X) \
  X(exp, expl(x)) X(log, logl(x)) X(sqrt, sqrtl(x)) X(square, x * x) X(abs, fabsl(x)) \
  X(sign, (x > 0) - (x < 0)) X(sin, sinl(x)) X(cos, cosl(x)) X(neg, -x) X(clamp, x) \
  X(sigmoid, sigmoid(x)) X(tanh, tanhl(x)) X(relu, x > 0 ? x : 0) \
  X(leaky_relu, x > 0 ? x : 0.01L * x) X(elu, x > 0 ? x : expm1l(x)) \
  X(selu, 1.0507009873554804934193349852946L * \
    (x > 0 ? x : 1.6732632423543772848170429916717L * expm1l(x))) \
  X(gelu, x / 2 * erfcl(-x / sqrtl(2))) X(silu, x * sigmoid(x)) X(softplus, softplus(x)) \
  X(softsign, x / (1 + fabsl(x))) X(hardtanh, x < -1 ? -1 : x > 1 ? 1 : x) X(step, x > 0)

#define BINARY(X) \
  X(add, a + b) X(sub, a - b) X(mul, a * b) X(div, a / b) X(pow, powl(a, b)) \
  X(minimum, a < b ? a : b) X(maximum, a > b ? a : b) X(eq, a == b) X(ne, a != b) \
  X(lt, a < b) X(le, a <= b) X(gt, a > b) X(ge, a >= b)

#define DEFINE_UNARY(name, formula) static wide unary_##name(wide x) { return formula; }
#define DEFINE_BINARY(name, formula) \
  static wide binary_##name(wide a, wide b) { return formula; }
#define LIST_UNARY(name, formula) { #name, unary_##name, NULL },
#define LIST_BINARY(name, formula) { #name, NULL, binary_##name },
UNARY(DEFINE_UNARY)
BINARY(DEFINE_BINARY)

static const struct formula {
  const char *name;
  wide (*unary)(wide x);
  wide (*binary)(wide a, wide b);
} formulas[] = { UNARY(LIST_UNARY) BINARY(LIST_BINARY) };

/* ---- numbers ---- */

static const float numbers[] = {
  0, -0.0f, FLT_MAX, -FLT_MAX, FLT_MIN, -FLT_MIN, 1e-45f, -1e-45f, 1e-40f, -1e-40f,
  FLT_EPSILON, 1, -1, 1.0000001f, 0.9999999f, 88.7f, -88.7f, 88.8f, -87.4f, -103.9f, 104, 17,
  -17, 9, -9, 1e-20f, -1e-20f, 1e20f, -1e20f, 3.1415927f, 1e5f, 16777216, 0.5f, -0.5f, 5.5f,
  -5.5f, -13.2f, 1e10f, -1e10f, 2, -2, 3, INFINITY, -INFINITY
};
enum { COUNT = sizeof numbers / sizeof *numbers, FINITE = COUNT - 2 };

/* Is y what the exact number rounds to, near enough? */
static bool right(float y, wide exact, wide scale) {
  if (isnan(exact)) return true;
  if (fabsl(exact) > FLT_MAX) {
    return isinf(y) ? (y > 0) == (exact > 0) : fabsl(exact) < FLT_MAX * (1 + (wide)WORST);
  }
  if (!isfinite(y)) return fabsl(exact) > FLT_MAX * (1 - (wide)WORST);
  wide size = fabsl(exact) > scale ? fabsl(exact) : scale;
  wide error = fabsl(y - exact);
  if (error <= FLT_MIN * (wide)FLT_EPSILON) return true; /* the least denormal */
  if (error / size > worst) worst = (double)(error / size);
  return error <= WORST * size;
}

static void wrong(const char *name, float a, float b, float y, wide exact) {
  printf("    %s at %.9g, %.9g: %.9g, expected %.9Lg\n", name, (double)a, (double)b, (double)y,
         exact);
  check_bad = 1;
}

static mgrad_tensor *of(int ndim, int64_t rows, int64_t n, const float *x) {
  mgrad_tensor *t = NULL;
  int64_t size[] = { rows, n };
  if (mgrad_tensor_new(ctx, ndim, size + (ndim == 1), &t) != MGRAD_OK) exit(1);
  for (int64_t i = 0; i < rows * n; i++) mgrad_tensor_array(t)->data[i] = x[i];
  return t;
}

static mgrad_tensor *apply(const char *op, mgrad_tensor *a, mgrad_tensor *b) {
  mgrad_tensor *x[] = { a, b }, *y = NULL;
  OK(mgrad_apply(mgrad_op_find(op), ctx, x, b != NULL ? 2 : 1, NULL, &y));
  mgrad_tensor_release(a);
  mgrad_tensor_release(b);
  return y;
}

/* ---- elementwise ---- */

/* What an error is measured by beside the result: gelu is x / 2 * (1 + erf(..)), which
** cancels below -3; silu is x times a number that may be denormal. */
static wide scale_of(const char *name, float x) {
  if (isinf(x)) return 0;
  if (strcmp(name, "gelu") == 0) return fabsl((wide)x);
  return strcmp(name, "silu") == 0 ? fabsl((wide)x) * FLT_MIN : 0;
}

static void check_unary(const struct formula *f) {
  mgrad_tensor *y = apply(f->name, of(1, 1, COUNT, numbers), NULL);
  if (y == NULL) return;
  for (int i = 0; i < COUNT; i++) {
    float v = mgrad_tensor_array(y)->data[i];
    wide exact = f->unary(numbers[i]);
    bool good = right(v, exact, scale_of(f->name, numbers[i]));
    if (!good || (isnan(v) && !isnan(exact))) wrong(f->name, numbers[i], 0, v, exact);
  }
  mgrad_tensor_release(y);
}

static void check_binary(const struct formula *f) {
  float a[COUNT * COUNT], b[COUNT * COUNT];
  for (int i = 0; i < COUNT * COUNT; i++) {
    a[i] = numbers[i / COUNT];
    b[i] = numbers[i % COUNT];
  }
  mgrad_tensor *y = apply(f->name, of(1, 1, COUNT * COUNT, a), of(1, 1, COUNT * COUNT, b));
  if (y == NULL) return;
  for (int i = 0; i < COUNT * COUNT; i++) {
    float v = mgrad_tensor_array(y)->data[i];
    wide exact = f->binary(a[i], b[i]);
    bool good = right(v, exact, 0);
    if (!good || (isnan(v) && !isnan(exact))) wrong(f->name, a[i], b[i], v, exact);
  }
  mgrad_tensor_release(y);
}

static void test_elementwise(void) {
  static char names[64][64];
  int named = 0;
  for (int k = 0; k < mgrad_op_count(); k++) {
    mgrad_op_info info;
    mgrad_op_describe(mgrad_op_at(k), &info);
    const struct formula *f = formulas, *end = f + sizeof formulas / sizeof *formulas;
    while (f < end && strcmp(f->name, info.name) != 0) f++;
    if (f == end && !info.elementwise) continue;
    snprintf(names[named], sizeof names[named], "%s is right at the borders", info.name);
    test(names[named++]);
    CHECK(f < end); /* a new elementwise op: give it a formula above */
    if (f < end && f->unary != NULL) check_unary(f);
    else if (f < end) check_binary(f);
  }
}

/* ---- rows ---- */

enum { WIDTH = 5 };
static const float rows[][WIDTH] = {
  { FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX },
  { -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX },
  { FLT_MAX, -FLT_MAX, 0, 1, -1 }, { 1e-45f, -1e-45f, 1e-40f, FLT_MIN, 0 }, { 0, 0, 0, 0, 0 },
  { 7, 7, 7, 7, 7 }, { 88.8f, -88.8f, 100, 1000, -1000 }, { 1e20f, 1e20f, 1, 2, 3 },
  { 1e18f, -1e18f, 2e18f, 0, 1 }, /* the largest whose squares fit, about */
  { 1e-20f, 2e-20f, -1e-20f, 0, 1e-20f }, { 1, 2, 3, 4, 5 },
  { 16777216, 1, 1, 1, 1 }, { -INFINITY, 0, 1, -INFINITY, 2 },
};
enum { ROWS = sizeof rows / sizeof *rows };

static void check_softmax(const char *name, bool logs) {
  mgrad_tensor *y = apply(name, of(2, ROWS, WIDTH, rows[0]), NULL);
  for (int r = 0; y != NULL && r < ROWS; r++) {
    wide most = -INFINITY, sum = 0;
    for (int i = 0; i < WIDTH; i++) most = rows[r][i] > most ? rows[r][i] : most;
    for (int i = 0; i < WIDTH; i++) sum += expl(rows[r][i] - most);
    for (int i = 0; i < WIDTH; i++) {
      wide exact = rows[r][i] - most - logl(sum);
      float v = mgrad_tensor_array(y)->data[r * WIDTH + i];
      if (!logs) exact = expl(exact);
      if (!right(v, exact, logs ? fminl(fabsl(rows[r][i]), 16777216) : 0) || isnan(v)) {
        wrong(name, rows[r][i], 0, v, exact);
      }
    }
  }
  mgrad_tensor_release(y);
}

/* Each loss of a row against zeros or its first class: finite unless the true one is not. */
static wide loss_of(const char *name, const float *x) {
  wide sum = 0, most = x[0];
  for (int i = 0; i < WIDTH; i++) {
    wide v = x[i];
    if (v > most) most = v;
    if (strcmp(name, "mse") == 0) sum += v * v / WIDTH;
    else if (strcmp(name, "mae") == 0) sum += fabsl(v) / WIDTH;
    else if (strcmp(name, "huber") == 0)
      sum += (fabsl(v) < 1 ? v * v / 2 : fabsl(v) - 0.5L) / WIDTH;
    else if (strcmp(name, "bce_with_logits") == 0) sum += softplus(v) / WIDTH;
  }
  if (strcmp(name, "cross_entropy") != 0) return sum;
  for (int i = 0; i < WIDTH; i++) sum += expl(x[i] - most);
  return logl(sum) - (x[0] - most);
}

static void check_loss(const char *name) {
  bool classes = strcmp(name, "cross_entropy") == 0;
  for (int r = 0; r < ROWS - 1; r++) { /* of finite numbers */
    float target[WIDTH] = { 0 }, first = 1;
    mgrad_tensor *y = apply(name, of(2, 1, WIDTH, rows[r]),
                            classes ? of(1, 1, 1, &first) : of(2, 1, WIDTH, target));
    if (y == NULL) continue;
    float v = mgrad_tensor_array(y)->data[0];
    wide exact = loss_of(name, rows[r]);
    if (isnan(v) || !right(v, exact, 0)) wrong(name, rows[r][0], rows[r][1], v, exact);
    mgrad_tensor_release(y);
  }
}

static void check_norm(const char *name, wide eps, bool centred) {
  mgrad_tensor *y = apply(name, of(2, ROWS - 1, WIDTH, rows[0]), NULL);
  for (int r = 0; y != NULL && r < ROWS - 1; r++) {
    wide mean = 0, square = 0;
    for (int i = 0; i < WIDTH; i++) mean += centred ? (wide)rows[r][i] / WIDTH : 0;
    for (int i = 0; i < WIDTH; i++) square += (rows[r][i] - mean) * (rows[r][i] - mean) / WIDTH;
    for (int i = 0; i < WIDTH; i++) {
      wide exact = (rows[r][i] - mean) / sqrtl(square + eps);
      float v = mgrad_tensor_array(y)->data[r * WIDTH + i];
      if (isnan(v) || !right(v, exact, 1)) wrong(name, rows[r][i], (float)r, v, exact);
    }
  }
  mgrad_tensor_release(y);
}

int main(void) {
  ctx = mgrad_context_new(NULL, NULL);
  test_elementwise();
  test("softmax is right for any row");
  check_softmax("softmax", false);
  test("log_softmax is right for any row");
  check_softmax("log_softmax", true);
  static const char *const losses[] = { "mse", "mae", "huber", "bce_with_logits",
                                        "cross_entropy" };
  test("losses are right for any finite row");
  for (int k = 0; k < 5; k++) check_loss(losses[k]);
  test("layer_norm is right for any finite row");
  check_norm("layer_norm", 1e-5L, true);
  test("rms_norm is right for any finite row");
  check_norm("rms_norm", FLT_EPSILON, false);
  mgrad_context_release(ctx);
  printf("extreme: largest relative error %.2g\n", worst);
  return check_report("extreme");
}
