/*
** extreme.c - ops at the borders of float: the largest numbers, denormals, infinities, all
** equal. Each result must be the exact one, in long double, within 4e-7; infinite where
** that fits no float, NaN where that is.
**
** A loop over the op table: an op fails that has no formula here and is not in the list of
** those whose numbers are sums of products, copies, or drawn.
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

typedef struct formula {
  const char *name;
  wide (*unary)(wide x);
  wide (*binary)(wide a, wide b);
} formula;

static const formula formulas[] = { UNARY(LIST_UNARY) BINARY(LIST_BINARY) };

/* ---- numbers ---- */

static const float numbers[] = {
  0, -0.0f, FLT_MAX, -FLT_MAX, FLT_MIN, -FLT_MIN, 1e-45f, -1e-45f, 1e-40f, -1e-40f,
  FLT_EPSILON, 1, -1, 1.0000001f, 0.9999999f, 88.7f, -88.7f, 88.8f, -87.4f, -103.9f, 104, 17,
  -17, 9, -9, 1e-20f, -1e-20f, 1e20f, -1e20f, 3.1415927f, 1e5f, 16777216, 0.5f, -0.5f, 5.5f,
  -5.5f, -13.2f, 1e10f, -1e10f, 2, -2, 3, INFINITY, -INFINITY
};
enum { COUNT = sizeof numbers / sizeof *numbers };

/* Is y what the exact number rounds to, near enough? */
static bool right(float y, wide exact, wide scale) {
  if (isnan(exact)) return isnan(y);
  if (isnan(y)) return false;
  if (fabsl(exact) > FLT_MAX) {
    return isinf(y) ? (y > 0) == (exact > 0) : fabsl(exact) < FLT_MAX * (1 + (wide)WORST);
  }
  if (!isfinite(y)) return fabsl(exact) > FLT_MAX * (1 - (wide)WORST);
  wide size = fmaxl(fabsl(exact), scale), error = fabsl(y - exact);
  if (error <= FLT_MIN * (wide)FLT_EPSILON) return true; /* the least denormal */
  if (error / size > worst) worst = (double)(error / size);
  return error <= WORST * size;
}

static mgrad_tensor *of(int ndim, const int64_t *size, const float *x) {
  mgrad_tensor *t = NULL;
  if (mgrad_tensor_new(ctx, ndim, size, &t) != MGRAD_OK) exit(1);
  for (int64_t i = 0; i < mgrad_tensor_numel(t); i++) mgrad_tensor_array(t)->data[i] = x[i];
  return t;
}

/* Applies an op, an attribute of it set where 'attr' is not NULL, to operands, which it
** releases, and compares its n results, the k-th with exact[k], an error being measured by
** scale[k] too where scale is not NULL. x and z are to be named. */
static void compare(const char *name, const char *attr, double value, int operands,
                    mgrad_tensor *const *operand, int n, const wide *exact, const wide *scale,
                    const float *x, const float *z) {
  const mgrad_op *op = mgrad_op_find(name);
  mgrad_attrs attrs;
  mgrad_op_info info;
  mgrad_tensor *y = NULL;
  mgrad_op_describe(op, &info);
  mgrad_attrs_default(info.attrs, &attrs);
  for (int i = 0; attr != NULL && info.attrs[i].name != NULL; i++) {
    if (strcmp(info.attrs[i].name, attr) == 0) attrs.value[i] = value;
  }
  OK(mgrad_apply(op, ctx, operand, operands, &attrs, &y));
  for (int i = 0; i < operands; i++) mgrad_tensor_release(operand[i]);
  CHECK(y != NULL && mgrad_tensor_numel(y) == n);
  for (int k = 0; y != NULL && k < n; k++) {
    float got = mgrad_tensor_array(y)->data[k];
    if (right(got, exact[k], scale != NULL ? scale[k] : 0)) continue;
    printf("    %s at %.9g, %.9g: %.9g, expected %.9Lg\n", name, (double)x[k], (double)z[k],
           (double)got, exact[k]);
    check_bad = 1;
  }
  mgrad_tensor_release(y);
}

/* ---- elementwise ---- */

/* gelu is x / 2 times 1 + erf(..), which cancels below -3; silu is x times a number that
** may be denormal. Both count in this where x is large. */
static wide unary_scale(const char *name, wide x) {
  if (strcmp(name, "gelu") == 0) return fabsl(x);
  return strcmp(name, "silu") == 0 ? fabsl(x) * FLT_MIN : 0;
}

static void check_unary(const formula *f) {
  wide exact[COUNT], scale[COUNT];
  for (int i = 0; i < COUNT; i++) {
    exact[i] = f->unary(numbers[i]);
    scale[i] = unary_scale(f->name, numbers[i]);
  }
  mgrad_tensor *x = of(1, (int64_t[]){ COUNT }, numbers);
  compare(f->name, NULL, 0, 1, &x, COUNT, exact, scale, numbers, numbers);
}

static void check_binary(const formula *f) {
  static float a[COUNT * COUNT], b[COUNT * COUNT];
  static wide exact[COUNT * COUNT];
  for (int i = 0; i < COUNT * COUNT; i++) {
    a[i] = numbers[i / COUNT];
    b[i] = numbers[i % COUNT];
    exact[i] = f->binary(a[i], b[i]);
  }
  int64_t size[] = { COUNT * COUNT };
  mgrad_tensor *x[] = { of(1, size, a), of(1, size, b) };
  compare(f->name, NULL, 0, 2, x, COUNT * COUNT, exact, NULL, a, b);
}

/* ---- rows ---- */

enum { WIDTH = 5 };
static const float rows[][WIDTH] = {
  { FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX },
  { -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX },
  { FLT_MAX, -FLT_MAX, 0, 1, -1 }, { FLT_MAX, FLT_MAX, -FLT_MAX, FLT_MAX, FLT_MAX },
  { 1e-45f, -1e-45f, 1e-40f, FLT_MIN, 0 }, { 0, 0, 0, 0, 0 }, { 7, 7, 7, 7, 7 },
  { 88.8f, -88.8f, 100, 1000, -1000 }, { 1e20f, 1e20f, 1, 2, 3 },
  { 1e18f, -1e18f, 2e18f, 0, 1 }, { 2e19f, 1, 0, -2e19f, 3 },
  { 1e-20f, 2e-20f, -1e-20f, 0, 1e-20f }, { 1, 2, 3, 4, 5 }, { 0, -17, -18, -40, -90 },
  { 16777216, 1, 1, 1, 1 }, { -INFINITY, 0, 1, -INFINITY, 2 },
};
enum { ROWS = sizeof rows / sizeof *rows, FINITE_ROWS = ROWS - 1 };

static wide sum(const float *x) {
  wide total = 0;
  for (int i = 0; i < WIDTH; i++) total += x[i];
  return total;
}

/* Sum of |x - center| to the power p. */
static wide powers(const float *x, wide center, wide p) {
  wide total = 0;
  for (int i = 0; i < WIDTH; i++) total += powl(fabsl(x[i] - center), p);
  return total;
}

static wide variance(const float *x, int n) { return powers(x, sum(x) / WIDTH, 2) / n; }

/* Where the first of the greatest of sign * x is. */
static int place(const float *x, int sign) {
  int at = 0;
  for (int i = 1; i < WIDTH; i++) {
    if ((float)sign * x[i] > (float)sign * x[at]) at = i;
  }
  return at;
}

static wide largest(const float *x) {
  return fmaxl(fabsl(x[place(x, 1)]), fabsl(x[place(x, -1)]));
}

static wide log_chance(const float *x, int i) {
  int at = place(x, 1);
  wide others = 0;
  for (int j = 0; j < WIDTH; j++) others += j != at ? expl((wide)x[j] - x[at]) : 0;
  return (wide)x[i] - x[at] - log1pl(others);
}

/* (x - center) / sqrt(mean of its square + eps) */
static wide normal(const float *x, int i, wide center, wide eps) {
  return (x[i] - center) / sqrtl(powers(x, center, 2) / WIDTH + eps);
}
static wide standard(const float *x, int i) { return normal(x, i, sum(x) / WIDTH, 1e-5L); }

/* Op, an attribute and its value, shape and results of a row, result i of x. */
#define ROW_FORMULAS(X) \
  X(sum, NULL, 0, LINE, 1, sum(x)) X(mean, NULL, 0, LINE, 1, sum(x) / WIDTH) \
  X(max, NULL, 0, LINE, 1, x[place(x, 1)]) X(min, NULL, 0, LINE, 1, x[place(x, -1)]) \
  X(argmax, NULL, 0, LINE, 1, place(x, 1) + 1) X(argmin, NULL, 0, LINE, 1, place(x, -1) + 1) \
  X(var, NULL, 0, LINE, 1, variance(x, WIDTH - 1)) \
  X(std, NULL, 0, LINE, 1, sqrtl(variance(x, WIDTH - 1))) \
  X(norm, NULL, 0, LINE, 1, sqrtl(powers(x, 0, 2))) \
  X(softmax, NULL, 0, LINE, WIDTH, expl(log_chance(x, i))) \
  X(log_softmax, NULL, 0, LINE, WIDTH, log_chance(x, i)) \
  X(layer_norm, NULL, 0, LINE, WIDTH, standard(x, i)) \
  X(group_norm, "groups", 1, BATCH, WIDTH, standard(x, i)) \
  X(batch_norm, NULL, 0, COLUMN, WIDTH, standard(x, i)) \
  X(rms_norm, NULL, 0, LINE, WIDTH, normal(x, i, 0, FLT_EPSILON)) \
  X(avg_pool, "kernel", MGRAD_PAIR(1, WIDTH), SEQUENCE, 1, sum(x) / WIDTH) \
  X(max_pool, "kernel", MGRAD_PAIR(1, WIDTH), SEQUENCE, 1, x[place(x, 1)]) \
  X(adaptive_avg_pool, "size", MGRAD_PAIR(1, 1), SEQUENCE, 1, sum(x) / WIDTH) \
  X(adaptive_max_pool, "size", MGRAD_PAIR(1, 1), SEQUENCE, 1, x[place(x, 1)])
#define LINE { 1, { WIDTH } }
#define BATCH { 2, { 1, WIDTH } }
#define COLUMN { 2, { WIDTH, 1 } }
#define SEQUENCE { 3, { 1, 1, WIDTH } }

typedef struct row_formula {
  const char *name, *attr;
  double value;
  struct { int ndim; int64_t size[3]; } shape;
  int results;
  wide (*exact)(const float *x, int i);
} row_formula;

#define DEFINE_ROW(op, attr, value, shape, results, formula) \
  static wide row_##op(const float *x, int i) { return (void)i, formula; }
#define LIST_ROW(op, attr, value, shape, results, formula) \
  { #op, attr, value, shape, results, row_##op },
ROW_FORMULAS(DEFINE_ROW)
static wide row_norm_1(const float *x, int i) { return (void)i, powers(x, 0, 1); }
static wide row_norm_3(const float *x, int i) { return (void)i, cbrtl(powers(x, 0, 3)); }
static wide row_norm_most(const float *x, int i) { return (void)i, largest(x); }

static const row_formula row_formulas[] = {
  ROW_FORMULAS(LIST_ROW) { "norm", "p", 1, LINE, 1, row_norm_1 },
  { "norm", "p", 3, LINE, 1, row_norm_3 }, { "norm", "p", HUGE_VAL, LINE, 1, row_norm_most }
};

/* What sums of numbers that cancel, and numbers less their mean, are measured by. */
static wide row_scale(const row_formula *f, const float *x, const wide *exact) {
  bool total = f->exact == row_sum || f->exact == row_mean || strstr(f->name, "avg") != NULL;
  wide scale = total ? largest(x) : 0;
  for (int i = 0; i < f->results && strstr(f->name, "_norm") != NULL; i++) {
    scale = fmaxl(scale, fabsl(exact[i]));
  }
  return scale;
}

static void check_row(const row_formula *f) {
  int n = strstr(f->name, "softmax") != NULL ? ROWS : FINITE_ROWS;
  for (int r = 0; r < n; r++) {
    wide exact[WIDTH], scale[WIDTH];
    for (int i = 0; i < f->results; i++) exact[i] = f->exact(rows[r], i);
    for (int i = 0; i < f->results; i++) scale[i] = row_scale(f, rows[r], exact);
    mgrad_tensor *x = of(f->shape.ndim, f->shape.size, rows[r]);
    compare(f->name, f->attr, f->value, 1, &x, f->results, exact, scale, rows[r], rows[r]);
  }
}

/* ---- losses, number by number ---- */

static const float chances[][WIDTH] = {
  { 0, 0, 0, 0, 0 }, { 1, 1, 1, 1, 1 }, { 1, 0, 1, 0, 0.5f },
  { 1e-45f, FLT_MIN, 1e-20f, 0.99999994f, 1e-7f }, { 0.25f, 0.75f, 1, 0, 1e-40f },
};
static const float signs[][WIDTH] = { { 1, -1, 1, -1, 1 }, { -1, 1, 1, 1, -1 } };

typedef struct numbers_of { const float (*row)[WIDTH]; int count; } numbers_of;
#define ANY { rows, FINITE_ROWS }
#define CHANCES { chances, sizeof chances / sizeof *chances }
#define SIGNS { signs, sizeof signs / sizeof *signs }

static wide logits(wide p, wide t) {
  return (p > 0 ? 1 - t : t) * fabsl(p) + log1pl(expl(-fabsl(p)));
}

static wide focal(wide p, wide t) {
  wide wrong = (1 - t) * sigmoid(p) + t * sigmoid(-p);
  return (t / 4 + (1 - t) * 3 / 4) * wrong * wrong * logits(p, t);
}

/* Op, what its predictions and targets are, the value of one pair. */
#define PAIR_FORMULAS(X) \
  X(mse, ANY, ANY, (p - t) * (p - t)) X(mae, ANY, ANY, fabsl(p - t)) \
  X(huber, ANY, ANY, fabsl(p - t) < 1 ? (p - t) * (p - t) / 2 : fabsl(p - t) - 0.5L) \
  X(bce, CHANCES, CHANCES, -t * fmaxl(logl(p), -100) - (1 - t) * fmaxl(log1pl(-p), -100)) \
  X(bce_with_logits, ANY, CHANCES, logits(p, t)) X(focal, ANY, CHANCES, focal(p, t)) \
  X(kl_div, ANY, CHANCES, t == 0 ? 0 : t * (logl(t) - p)) \
  X(hinge, ANY, SIGNS, fmaxl(0, 1 - t * p))

typedef struct pair_formula {
  const char *name;
  numbers_of predictions, targets;
  wide (*exact)(wide p, wide t);
} pair_formula;

#define DEFINE_PAIR(op, predictions, targets, formula) \
  static wide pair_##op(wide p, wide t) { return formula; }
#define LIST_PAIR(op, predictions, targets, formula) \
  { #op, predictions, targets, pair_##op },
PAIR_FORMULAS(DEFINE_PAIR)
static const pair_formula pair_formulas[] = { PAIR_FORMULAS(LIST_PAIR) };

static const int64_t line[] = { WIDTH }, row[] = { 1, WIDTH };
enum { MEAN, SUM, NONE };

/* The values, and the mean of what they are in float. */
static void check_values(const char *name, int operands, const float *const *x,
                         const wide *exact, const wide *scale) {
  mgrad_tensor *operand[3];
  wide mean = 0, most = 0;
  for (int i = 0; i < operands; i++) operand[i] = of(1, line, x[i]);
  compare(name, "reduction", NONE, operands, operand, WIDTH, exact, scale, x[0], x[1]);
  for (int i = 0; i < WIDTH; i++) mean += (wide)(float)exact[i] / WIDTH;
  for (int i = 0; i < WIDTH; i++) most = fmaxl(most, fmaxl(fabsl(exact[i]), scale[i]));
  for (int i = 0; i < operands; i++) operand[i] = of(1, line, x[i]);
  compare(name, "reduction", MEAN, operands, operand, 1, &mean, &most, x[0], x[1]);
}

/* kl_div takes one logarithm from another; a factor of focal may be denormal. */
static wide pair_scale(const char *name, wide p, wide t) {
  if (strcmp(name, "kl_div") == 0) return fabsl(p * t);
  return strcmp(name, "focal") == 0 ? fabsl(p) * FLT_MIN : 0;
}

static void check_pair(const pair_formula *f) {
  for (int i = 0; i < f->predictions.count; i++) {
    for (int j = 0; j < f->targets.count; j++) {
      const float *x[] = { f->predictions.row[i], f->targets.row[j] };
      wide exact[WIDTH], scale[WIDTH];
      for (int k = 0; k < WIDTH; k++) {
        exact[k] = f->exact(x[0][k], x[1][k]);
        scale[k] = pair_scale(f->name, x[0][k], x[1][k]);
      }
      check_values(f->name, 2, x, exact, scale);
    }
  }
}

/* ---- losses of rows ---- */

static void check_ranking(const char *name) {
  for (int i = 0; i < FINITE_ROWS * FINITE_ROWS; i++) {
    const float *x[] = { rows[i % FINITE_ROWS], rows[i / FINITE_ROWS], signs[i % 2] };
    wide exact[WIDTH], none[WIDTH] = { 0 };
    for (int k = 0; k < WIDTH; k++) {
      exact[k] = fmaxl(0, -(wide)x[2][k] * ((wide)x[0][k] - x[1][k]));
    }
    check_values(name, 3, x, exact, none);
  }
}

static void check_class(const char *name) {
  bool logs = strcmp(name, "nll") == 0;
  for (int i = 0; i < FINITE_ROWS * WIDTH; i++) {
    const float *x = rows[i / WIDTH], label = (float)(i % WIDTH + 1);
    wide exact = logs ? -x[i % WIDTH] : -log_chance(x, i % WIDTH);
    mgrad_tensor *operand[] = { of(2, row, x), of(1, row, &label) };
    compare(name, NULL, 0, 2, operand, 1, &exact, NULL, x, &label);
  }
}

static wide cosine(const float *a, const float *b) {
  wide dot = 0;
  for (int k = 0; k < WIDTH; k++) dot += (wide)a[k] * b[k];
  return dot / sqrtl((powers(a, 0, 2) + 1e-12L) * (powers(b, 0, 2) + 1e-12L));
}

static wide distance(const float *a, const float *b) {
  wide total = 0;
  for (int k = 0; k < WIDTH; k++) {
    wide d = (wide)a[k] - b[k] + 1e-6L;
    total += d * d;
  }
  return sqrtl(total);
}

static void check_cosine(const char *name) {
  for (int i = 0; i < FINITE_ROWS * FINITE_ROWS * 2; i++) {
    const float *a = rows[i / 2 % FINITE_ROWS], *b = rows[i / 2 / FINITE_ROWS];
    float sign = i % 2 == 0 ? 1 : -1;
    wide one = 1, exact = sign > 0 ? 1 - cosine(a, b) : fmaxl(0, cosine(a, b));
    mgrad_tensor *operand[] = { of(2, row, a), of(2, row, b), of(1, row, &sign) };
    compare(name, NULL, 0, 3, operand, 1, &exact, &one, a, b);
  }
}

static void check_triplet(const char *name) {
  for (int i = 0; i < FINITE_ROWS * FINITE_ROWS; i++) {
    const float *a = rows[i % FINITE_ROWS], *b = rows[i / FINITE_ROWS];
    const float *c = rows[(i + 1) % FINITE_ROWS];
    wide scale = distance(a, b), exact = fmaxl(0, 1 + scale - distance(a, c));
    mgrad_tensor *operand[] = { of(2, row, a), of(2, row, b), of(2, row, c) };
    compare(name, NULL, 0, 3, operand, 1, &exact, &scale, a, b);
  }
}

/* Ops of more than one operand. */
static void check_prelu(const char *name) {
  const float slope = 0.25f;
  wide exact[COUNT];
  for (int i = 0; i < COUNT; i++) exact[i] = (numbers[i] > 0 ? 1 : 0.25L) * numbers[i];
  mgrad_tensor *x[] = { of(1, (int64_t[]){ COUNT }, numbers), of(1, (int64_t[]){ 1 }, &slope) };
  compare(name, NULL, 0, 2, x, COUNT, exact, NULL, numbers, numbers);
}

static void check_standardize(const char *name) {
  for (int i = 0; i < FINITE_ROWS * FINITE_ROWS; i++) {
    const float *x = rows[i % FINITE_ROWS], *center = rows[i / FINITE_ROWS];
    float var[WIDTH];
    wide exact[WIDTH];
    for (int k = 0; k < WIDTH; k++) {
      var[k] = fabsf(rows[(i + 3) % FINITE_ROWS][k]);
      exact[k] = ((wide)x[k] - center[k]) / sqrtl(var[k] + 1e-5L);
    }
    mgrad_tensor *operand[] = { of(2, row, x), NULL, NULL, of(1, line, center),
                                of(1, line, var) };
    compare(name, NULL, 0, 5, operand, WIDTH, exact, NULL, x, center);
  }
}

static const struct { const char *name; void (*check)(const char *name); } others[] = {
  { "margin_ranking", check_ranking }, { "nll", check_class }, { "cross_entropy", check_class },
  { "cosine_embedding", check_cosine }, { "triplet", check_triplet }, { "prelu", check_prelu },
  { "standardize", check_standardize },
};

/* ---- all ops ---- */

/* Those whose results are sums of products, copies of their operands, or drawn. */
static const char *const elsewhere =
  " matmul linear conv conv_transpose recurrent dot_attention dot_attention_dropout ctc upsample"
  " where reshape flatten transpose permute narrow select squeeze unsqueeze expand contiguous"
  " clone cat stack index_select gather one_hot embedding positional_encoding pad dropout"
  " spatial_dropout ";

static bool is_elsewhere(const char *name) {
  char word[64];
  snprintf(word, sizeof word, " %s ", name);
  return strstr(elsewhere, word) != NULL;
}

#define FOR_EACH(list, name) \
  for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++) \
    if (strcmp((list)[i].name, name) == 0 && ++found)

/* Compares all formulas of an op; whether there is one. */
static bool check_op(const char *name) {
  int found = 0;
  FOR_EACH(formulas, name) (formulas[i].unary != NULL ? check_unary : check_binary)(&formulas[i]);
  FOR_EACH(row_formulas, name) check_row(&row_formulas[i]);
  FOR_EACH(pair_formulas, name) check_pair(&pair_formulas[i]);
  FOR_EACH(others, name) others[i].check(name);
  return found > 0;
}

int main(void) {
  static char facts[128][64];
  ctx = mgrad_context_new(NULL, NULL);
  for (int k = 0; k < mgrad_op_count(); k++) {
    mgrad_op_info info;
    mgrad_op_describe(mgrad_op_at(k), &info);
    snprintf(facts[k], sizeof facts[k], "%s is right at the borders", info.name);
    if (is_elsewhere(info.name)) continue;
    test(facts[k]);
    CHECK(check_op(info.name)); /* a new op: give it a formula */
  }
  mgrad_context_release(ctx);
  printf("extreme: largest relative error %.2g\n", worst);
  return check_report("extreme");
}
