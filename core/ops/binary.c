/*
** binary.c - functions of two numbers, broadcast as in NumPy; where.
**
** Each op is three expressions and a descriptor. FUNCTION2(name, value, slope of
** a, slope of b) makes its loops: 'value' is written in A and B, slopes in A, B
** and Y = f(A, B). These stand for places in memory and are looked at only where
** an expression names them, so 'reads' in the descriptor says just what it uses.
** Loops see packed numbers: an operand of a smaller shape, or of odd strides, is
** laid out a block at a time, so that each function needs one loop.
*/
#include "../op.h"
#include "../kernels/kernels.h"
#include "../kernels/maths.h"

enum { BLOCK = 256 };

/* What the expressions make of n numbers; 'out' overlaps nothing else. */
typedef void (*loop)(int64_t n, const mgrad_real *a, const mgrad_real *b,
                     const mgrad_real *y, const mgrad_real *dy, mgrad_real *out);

#define A a[i]
#define B b[i]
#define Y y[i]
#define DY dy[i]

#define LOOP(name, expression)                                                    \
  static void name(int64_t n, const mgrad_real *restrict a,                       \
                   const mgrad_real *restrict b, const mgrad_real *restrict y,    \
                   const mgrad_real *restrict dy, mgrad_real *restrict out) {     \
    (void)a, (void)b, (void)y, (void)dy;                                          \
    for (int64_t i = 0; i < n; i++) out[i] = (expression);                        \
  }

#define SLOPE(name, slope) LOOP(name, DY * (slope))

#define FUNCTION2(name, value, slope_a, slope_b)                                  \
  LOOP(name##_value, value)                                                       \
  SLOPE(name##_slope_a, slope_a)                                                  \
  SLOPE(name##_slope_b, slope_b)                                                  \
  static void name##_forward(mgrad_call *c) { run_forward(c, name##_value); }         \
  static void name##_backward(mgrad_call *c) {                                    \
    run_backward(c, 0, name##_slope_a);                                               \
    run_backward(c, 1, name##_slope_b);                                               \
  }

#define COMPARISON(name, value)                                                   \
  LOOP(name##_value, (mgrad_real)(value))                                         \
  static void name##_forward(mgrad_call *c) { run_forward(c, name##_value); }

/* ---- passes ---- */

/* One pass over all pairs of numbers. out, y and dy are packed; 'first' is where
** the run at hand begins in them. */
typedef struct pass {
  loop f;
  mgrad_real *out;
  const mgrad_real *y, *dy;
  int64_t first;
  bool add;
} pass;

/* m numbers of x, 'step' apart, from i on, as packed ones: laid out in 'room'
** where they are not. A number that repeats stays there from block to block. */
static const mgrad_real *packed(mgrad_real *room, int64_t i, int64_t m,
                                const mgrad_real *x, int64_t step) {
  if (step == 1) return x + i;
  if (step != 0)
    for (int64_t j = 0; j < m; j++) room[j] = x[(i + j) * step];
  else if (i == 0)
    for (int64_t j = 0; j < m; j++) room[j] = *x;
  return room;
}

static void run_pass(void *ud, int64_t n, mgrad_real *const p[3],
                     const int64_t step[3]) {
  pass *t = ud;
  mgrad_real a[BLOCK], b[BLOCK], d[BLOCK];
  bool direct = step[0] == 1 && step[1] == 1 && !t->add;
  for (int64_t i = 0, m; i < n; i += m) {
    m = direct ? n : mgrad_min_size(BLOCK, n - i);
    int64_t at = t->first + i;
    mgrad_real *out = t->out + at;
    t->f(m, packed(a, i, m, p[0], step[0]), packed(b, i, m, p[1], step[1]), t->y + at,
         t->dy + at, t->add ? d : out);
    if (t->add)
      for (int64_t j = 0; j < m; j++) out[j] += d[j];
  }
  t->first += n;
}

/* The step that takes one run through all of x in the shape of y: 0 for a single
** number, 1 for packed ones, -1 where there is none. */
static int64_t whole_step(const mgrad_array *x, const mgrad_array *y) {
  if (mgrad_shape_numel(x) == 1) return 0;
  return mgrad_shape_equal(x, y) && mgrad_shape_packed(x) ? 1 : -1;
}

static void run_pairs(const mgrad_call *c, pass *t, const mgrad_array *a, const mgrad_array *b) {
  const mgrad_array *y = c->y;
  int64_t step_a = whole_step(a, y), step_b = whole_step(b, y);
  if (step_a >= 0 && step_b >= 0) {
    mgrad_walk_run(c->ctx->pool, mgrad_shape_numel(y),
                   (mgrad_real *const[3]){ a->data, b->data },
                   (const int64_t[3]){ step_a, step_b }, run_pass, t);
    return;
  }
  mgrad_array wide_a, wide_b;
  mgrad_shape_expand(a, y, &wide_a);
  mgrad_shape_expand(b, y, &wide_b);
  mgrad_walk(c->ctx->pool, &wide_a, &wide_b, NULL, run_pass, t);
}

static void run_forward(mgrad_call *c, loop value) {
  pass t = { .f = value, .out = c->y->data, .y = c->y->data, .dy = c->y->data };
  run_pairs(c, &t, c->x[0], c->x[1]);
}

/* Operand i as backward may look at it: where its numbers are not read they may
** be gone, and dy stands in for them. */
static mgrad_array seen(const mgrad_call *c, int i) {
  mgrad_array x = *c->x[i];
  if (c->op->reads >> i & 1) return x;
  return (mgrad_array){ .data = (mgrad_real *)c->dy };
}

/* The gradient of operand i, whose slope is a function of x[0] and 'b'. */
static void slope_pass(mgrad_call *c, int i, loop slope, const mgrad_array *a,
                       const mgrad_array *b) {
  bool direct = mgrad_shape_equal(c->x[i], c->y);
  pass t = { .f = slope, .out = direct ? c->dx[i] : c->work, .dy = c->dy,
             .y = c->op->reads & MGRAD_READS_Y ? c->y->data : c->dy,
             .add = direct && c->add[i] };
  run_pairs(c, &t, a, b);
  if (!direct) mgrad_reduce_to(c->ctx->pool, c->x[i], c->dx[i], c->y, c->work, c->add[i]);
}

static void run_backward(mgrad_call *c, int i, loop slope) {
  if (c->dx[i] == NULL) return;
  mgrad_array a = seen(c, 0), b = seen(c, 1);
  slope_pass(c, i, slope, &a, &b);
}

/* Sums and differences hand dy down as it is, so nothing is worked out first. */
static void pass_down(mgrad_call *c, int i) {
  if (c->dx[i] == NULL) return;
  mgrad_reduce_to(c->ctx->pool, c->x[i], c->dx[i], c->y, c->dy, c->add[i]);
}

/* ---- shapes ---- */

static mgrad_status pair_infer(mgrad_call *c) {
  if (mgrad_shape_broadcast(c->x[0], c->x[1], c->y)) return MGRAD_OK;
  return mgrad_op_fail(c, "a is %a and b is %a, expected shapes that broadcast", c->x[0],
                       c->x[1]);
}

/* Room for the gradient of a repeated operand before it is summed. */
static void infer_work(mgrad_call *c, int first) {
  for (int i = first; i < c->n; i++)
    if (!mgrad_shape_equal(c->x[i], c->y)) c->nwork_backward = mgrad_shape_numel(c->y);
}

static mgrad_status work_infer(mgrad_call *c) {
  MGRAD_TRY(pair_infer(c));
  infer_work(c, 0);
  return MGRAD_OK;
}

static mgrad_status where_infer(mgrad_call *c) {
  if (!mgrad_shape_broadcast(c->x[1], c->x[2], c->y))
    return mgrad_op_fail(c, "a is %a and b is %a, expected shapes that broadcast",
                         c->x[1], c->x[2]);
  mgrad_array values = *c->y;
  if (!mgrad_shape_broadcast(c->x[0], &values, c->y))
    return mgrad_op_fail(c, "condition is %a, expected a shape that broadcasts with %a",
                         c->x[0], &values);
  infer_work(c, 1);
  return MGRAD_OK;
}

/* The part of a descriptor that every function of two numbers shares. */
#define PAIR(word, shapes)                                                        \
  MGRAD_NAMED(word), .operands = "a b",                                           \
  .flags = MGRAD_OP_STRIDED | MGRAD_OP_BROADCAST,                                 \
  .infer = shapes, .forward = word##_forward, .backward = word##_backward
#define COMPARE(word)                                                             \
  MGRAD_NAMED(word), .operands = "a b", .constant = 3,                            \
  .flags = MGRAD_OP_STRIDED | MGRAD_OP_BROADCAST,                                 \
  .infer = pair_infer, .forward = word##_forward

#define READS_A 1u
#define READS_B 2u
#define RANGE(from, to) .low = from, .high = to
#define EXAMPLES(from, to)                                                        \
  MGRAD_EXAMPLES({ .shapes = { { 2, 3 }, { 2, 3 } }, RANGE(from, to) },           \
                 { .shapes = { { 2, 3 }, { 3 } }, RANGE(from, to) },              \
                 { .shapes = { { 2, 1 }, { 3 } }, RANGE(from, to) },              \
                 { .shapes = { { 0 }, { 4 } }, RANGE(from, to) },                 \
                 { .shapes = { { 3, 2 }, { 0 } }, RANGE(from, to) },              \
                 { .shapes = { { 2, 1, 3 }, { 4, 1 } }, RANGE(from, to) })

/* ---- arithmetic ---- */

LOOP(add_value, A + B)
static void add_forward(mgrad_call *c) { run_forward(c, add_value); }
static void add_backward(mgrad_call *c) {
  pass_down(c, 0);
  pass_down(c, 1);
}
MGRAD_OP(add) = { PAIR(add, pair_infer),
  .doc = "a + b", EXAMPLES(-2, 2) };

LOOP(sub_value, A - B)
SLOPE(sub_slope_b, -1)
static void sub_forward(mgrad_call *c) { run_forward(c, sub_value); }
static void sub_backward(mgrad_call *c) {
  pass_down(c, 0);
  run_backward(c, 1, sub_slope_b);
}
MGRAD_OP(sub) = { PAIR(sub, work_infer),
  .doc = "a - b", EXAMPLES(-2, 2) };

FUNCTION2(mul, A * B, B, A)
MGRAD_OP(mul) = { PAIR(mul, work_infer), .reads = READS_A | READS_B,
  .doc = "a * b, element by element", EXAMPLES(-2, 2) };

FUNCTION2(div, A / B, 1 / B, -Y / B)
MGRAD_OP(div) = { PAIR(div, work_infer), .reads = READS_B | MGRAD_READS_Y,
  .doc = "a / b", EXAMPLES(0.4, 3) };

/* The two commonest exponents without the logarithm; both are exact in C's pow. */
static inline mgrad_real power(mgrad_real a, mgrad_real b) {
  return b == 2 ? a * a : b == 1 ? a : POW(a, b);
}

LOOP(pow_value, power(A, B))
LOOP(square_value, A * A)
SLOPE(pow_slope_a, B == 0 ? 0 : B * power(A, B - 1))
SLOPE(square_slope, 2 * A)
SLOPE(pow_slope_b, A == 0 && B >= 0 ? 0 : Y * LOG(A))

/* x^2, the same without a look at each exponent */
static bool is_square(const mgrad_call *c) {
  return mgrad_call_numel(c, 1) == 1 && c->x[1]->data[0] == 2;
}

static void pow_forward(mgrad_call *c) {
  run_forward(c, is_square(c) ? square_value : pow_value);
}

static void pow_backward(mgrad_call *c) {
  run_backward(c, 0, is_square(c) ? square_slope : pow_slope_a);
  run_backward(c, 1, pow_slope_b);
}

MGRAD_OP(pow) = { PAIR(pow, work_infer),
  .reads = READS_A | READS_B | MGRAD_READS_Y,
  .doc = "a to the power b", EXAMPLES(0.3, 2.5) };

/* Half a slope each where both are equal. */
FUNCTION2(minimum, A < B || A != A ? A : B, REAL(0.5) * (mgrad_real)((A < B) + (A <= B)),
          REAL(0.5) * (mgrad_real)((B < A) + (B <= A)))
MGRAD_OP(minimum) = { PAIR(minimum, work_infer),
  .reads = READS_A | READS_B,
  .doc = "the smaller of a and b, NaN if one is", EXAMPLES(-2, 2) };

FUNCTION2(maximum, A > B || A != A ? A : B, REAL(0.5) * (mgrad_real)((A > B) + (A >= B)),
          REAL(0.5) * (mgrad_real)((B > A) + (B >= A)))
MGRAD_OP(maximum) = { PAIR(maximum, work_infer),
  .reads = READS_A | READS_B,
  .doc = "the larger of a and b, NaN if one is", EXAMPLES(-2, 2) };

/* ---- comparisons ---- */

COMPARISON(eq, A == B)
MGRAD_OP(eq) = { COMPARE(eq),
  .doc = "1 where a equals b, else 0", EXAMPLES(-2, 2) };

COMPARISON(ne, A != B)
MGRAD_OP(ne) = { COMPARE(ne),
  .doc = "1 where a differs from b, else 0", EXAMPLES(-2, 2) };

COMPARISON(lt, A < B)
MGRAD_OP(lt) = { COMPARE(lt),
  .doc = "1 where a is less than b, else 0", EXAMPLES(-2, 2) };

COMPARISON(le, A <= B)
MGRAD_OP(le) = { COMPARE(le),
  .doc = "1 where a is at most b, else 0", EXAMPLES(-2, 2) };

COMPARISON(gt, A > B)
MGRAD_OP(gt) = { COMPARE(gt),
  .doc = "1 where a is greater than b, else 0", EXAMPLES(-2, 2) };

COMPARISON(ge, A >= B)
MGRAD_OP(ge) = { COMPARE(ge),
  .doc = "1 where a is at least b, else 0", EXAMPLES(-2, 2) };

/* ---- where ---- */

static void choose(void *ud, int64_t n, mgrad_real *const p[3], const int64_t step[3]) {
  pass *t = ud;
  mgrad_real *out = t->out + t->first;
  for (int64_t i = 0; i < n; i++)
    out[i] = p[0][i * step[0]] != 0 ? p[1][i * step[1]] : p[2][i * step[2]];
  t->first += n;
}

static void where_forward(mgrad_call *c) {
  pass t = { .out = c->y->data };
  mgrad_array wide[3];
  for (int i = 0; i < 3; i++) mgrad_shape_expand(c->x[i], c->y, &wide[i]);
  mgrad_walk(c->ctx->pool, &wide[0], &wide[1], &wide[2], choose, &t);
}

/* A is the condition; a choice, not a product, so that what was not chosen gets
** 0 even from an infinite dy. */
LOOP(where_slope_a, A != 0 ? DY : 0)
LOOP(where_slope_b, A != 0 ? 0 : DY)

static void where_backward(mgrad_call *c) {
  const loop slopes[] = { where_slope_a, where_slope_b };
  for (int i = 1; i <= 2; i++)
    if (c->dx[i] != NULL) slope_pass(c, i, slopes[i - 1], c->x[0], c->x[0]);
}

#define BITS_FIRST .fill = { MGRAD_FILL_BITS }
MGRAD_OP(where) = {
  MGRAD_NAMED(where), .operands = "condition a b", .flags = MGRAD_OP_STRIDED,
  .reads = READS_A, .constant = 1,
  .doc = "a where the condition is not 0, else b",
  .infer = where_infer, .forward = where_forward, .backward = where_backward,
  MGRAD_EXAMPLES({ .shapes = { { 2, 3 }, { 2, 3 }, { 2, 3 } }, BITS_FIRST },
                 { .shapes = { { 3 }, { 2, 3 }, { 0 } }, BITS_FIRST },
                 { .shapes = { { 2, 1, 3 }, { 4, 1 }, { 3 } }, BITS_FIRST },
                 { .shapes = { { 4, 3 }, { 3 }, { 4, 1 } }, BITS_FIRST }) };
