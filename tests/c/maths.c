/*
** maths.c - how far the core's exp, log, tanh.. are from the exact values, in units
** of the last place (ulp) of a float, and what they are at the borders.
**
**   maths                  every 4099th float, under two seconds
**   maths --all [name..]   every float: a quarter of an hour, or one or two minutes
**                          for each function named
**
** The exact values are the C library's in double: their own error is 2^-29 ulp.
*/
#include "check.h"
#include "../../core/kernels/maths.h"

#include <stdint.h>

#define BLOCK 2048
#define FLOATS ((uint64_t)1 << 32)
#define STRIDE 4099    /* prime: every exponent, ever other mantissas */
#define POW_SAMPLES ((uint64_t)1 << 20)
#define POW_SAMPLES_ALL ((uint64_t)1 << 30)
#define WORST 2.0      /* ulp; what maths_float.h promises */

#ifdef MGRAD_REAL_DOUBLE
#define FIXED_BITS 0
#else
#define FIXED_BITS MGRAD_FUSED
#endif

static bool all; /* --all was given */

/* ---- the functions, as loops that a compiler makes vector code of ---- */

#define LOOP(name, call)                                                        \
  static void name##_loop(int64_t n, const mgrad_real *x, mgrad_real *y) {      \
    for (int64_t i = 0; i < n; i++) y[i] = call(x[i]);                          \
  }

LOOP(exp, EXP)
LOOP(expm1, EXPM1)
LOOP(log, LOG)
LOOP(log1p, LOG1P)
LOOP(tanh, TANH)
LOOP(erf, ERF)
LOOP(sin, SIN)
LOOP(cos, COS)
LOOP(sigmoid, mgrad_sigmoid)
LOOP(softplus, mgrad_softplus)

static void pow_loop(int64_t n, const mgrad_real *x, const mgrad_real *y,
                     mgrad_real *z) {
  for (int64_t i = 0; i < n; i++) z[i] = POW(x[i], y[i]);
}

static double sigmoid(double x) {
  return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x) {
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

typedef struct {
  const char *name;
  void (*loop)(int64_t n, const mgrad_real *x, mgrad_real *y);
  double (*exact)(double x);
  uint32_t bits; /* hash of the results at every 4099th float, with fused multiply-add */
} function;

static const function functions[] = {
  { "exp", exp_loop, exp, 0x6dbf352d },
  { "expm1", expm1_loop, expm1, 0x9543ea83 },
  { "log", log_loop, log, 0x345a483b },
  { "log1p", log1p_loop, log1p, 0x8f5dae9e },
  { "tanh", tanh_loop, tanh, 0xbc4cf741 },
  { "erf", erf_loop, erf, 0xf2600f33 },
  { "sin", sin_loop, sin, 0x124f1358 },
  { "cos", cos_loop, cos, 0xf7be7e51 },
  { "sigmoid", sigmoid_loop, sigmoid, 0xb20347da },
  { "softplus", softplus_loop, softplus, 0x6095a685 },
};
#define POW_BITS 0x24c42232

/* ---- measuring ---- */

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t to_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return x != x ? 0x7fc00000u : bits; /* which NaN it is, is not promised */
}

/* The distance of neighbouring floats at x: that of denormals below 2^-126. */
static double ulp(double x) {
  uint64_t bits;
  x = fabs(x);
  if (x < 0x1p-126) return 0x1p-149;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits & 0x7ff0000000000000u) - ((uint64_t)23 << 52);
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Takes infinity for 2^128, the float that would come next. */
static double finite(double x) {
  return x > 0x1p128 ? 0x1p128 : x < -0x1p128 ? -0x1p128 : x;
}

/* The error of 'got' in ulp; infinite where one is NaN, or 0 has the wrong sign. */
static double error_of(float got, double exact) {
  if (got != got && exact != exact) return 0;
  if (got != got || exact != exact) return HUGE_VAL;
  if (exact == 0 && (got != 0 || !signbit(got) != !signbit(exact))) return HUGE_VAL;
  exact = finite(exact);
  return fabs(finite(got) - exact) / ulp(fabs(exact) < 0x1p128 ? exact : 0x1p127);
}

typedef struct {
  double error; /* the worst so far, in ulp */
  float x, y;   /* where */
  uint32_t hash;
} measure;

static void take(measure *m, float x, float y, float got, double exact) {
  double error = error_of(got, exact);
  if (error > m->error) m->error = error, m->x = x, m->y = y;
  m->hash = (m->hash ^ to_bits(got)) * 16777619u; /* FNV */
}

static measure measure_function(const function *f, uint64_t stride) {
  static mgrad_real x[BLOCK], y[BLOCK];
  measure m = { .error = 0 };
  for (uint64_t at = 0; at < FLOATS; at += stride * BLOCK) {
    for (uint64_t i = 0; i < BLOCK; i++)
      x[i] = REAL(from_bits((uint32_t)(at + i * stride)));
    f->loop(BLOCK, x, y);
    for (uint64_t i = 0; i < BLOCK && at + i * stride < FLOATS; i++)
      take(&m, (float)x[i], 0, (float)y[i], f->exact((double)x[i]));
  }
  return m;
}

/* ---- pow: pairs by chance ---- */

static uint32_t next(uint64_t *state) { /* Steele et al., "SplitMix", 2014 */
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (uint32_t)(z >> 32);
}

/* About log2 of a positive normal float, and the same on every machine. */
static double rough_log2(uint32_t bits) {
  return (double)(bits >> 23) - 127 + (double)(bits & 0x7fffffu) / 0x1p23;
}

/* Half of the pairs have powers across the range of float, a quarter are small
** integers, the rest are any two floats. */
static void draw_pair(uint64_t *state, mgrad_real *x, mgrad_real *y) {
  uint32_t kind = next(state) % 4, a = next(state), b = next(state);
  uint32_t positive = a & 0x7fffffffu;
  double power = ((double)b / 0x1p31 - 1) * 151;
  *x = REAL(from_bits(kind < 2 ? positive : a));
  *y = kind < 2 ? REAL((float)(power / rough_log2(positive)))
     : kind == 2 ? REAL((int32_t)(b % 65) - 32) : REAL(from_bits(b));
}

static measure measure_pow(uint64_t samples) {
  static mgrad_real x[BLOCK], y[BLOCK], z[BLOCK];
  measure m = { .error = 0 };
  uint64_t state = 1;
  for (uint64_t at = 0; at < samples; at += BLOCK) {
    for (int i = 0; i < BLOCK; i++) draw_pair(&state, &x[i], &y[i]);
    pow_loop(BLOCK, x, y, z);
    for (int i = 0; i < BLOCK; i++)
      take(&m, (float)x[i], (float)y[i], (float)z[i], pow((double)x[i], (double)y[i]));
  }
  return m;
}

/* ---- facts ---- */

static void show(const char *name, const measure *m) {
  printf("    %-9s %.3f ulp at %.9g", name, m->error, (double)m->x);
  if (strcmp(name, "pow") == 0) printf(", %.9g", (double)m->y);
  printf(", bits 0x%08x\n", (unsigned)m->hash);
  fflush(stdout);
}

/* The bits are compared for every 4099th float only, and in float. */
static void check_measure(const char *name, measure m, uint32_t bits) {
  bool known = all || !FIXED_BITS || m.hash == bits;
  if (all || m.error > WORST || !known) show(name, &m);
  CHECK(m.error <= WORST);
  CHECK(known);
}

/* A vector loop and a single number go through other instructions. */
static bool alone_as_in_loop(const function *f) {
  mgrad_real x[64], y[64], one;
  for (uint32_t i = 0; i < 64; i++) x[i] = REAL(from_bits(i * 0x04000001u + 0x123456u));
  f->loop(64, x, y);
  for (int i = 0; i < 64; i++) {
    f->loop(1, &x[i], &one);
    if (to_bits((float)one) != to_bits((float)y[i])) return false;
  }
  return true;
}

/* No names mean all. */
static bool named(const char *name, int n, char **names) {
  for (int i = 0; i < n; i++)
    if (strcmp(names[i], name) == 0) return true;
  return n == 0;
}

static void test_functions(int n, char **names) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    const function *f = &functions[i];
    if (!named(f->name, n, names)) continue;
    test("a function is within 2 ulp of the exact value, with known bits");
    check_measure(f->name, measure_function(f, all ? 1 : STRIDE), f->bits);
    test("a function of one number is the same bits alone and in a loop");
    CHECK(alone_as_in_loop(f));
  }
}

static void test_pow(int n, char **names) {
  if (!named("pow", n, names)) return;
  test("pow is within 2 ulp of the exact value, with known bits");
  check_measure("pow", measure_pow(all ? POW_SAMPLES_ALL : POW_SAMPLES), POW_BITS);
}

/* Every pair of these through every branch of C's Annex F. */
static void test_pow_borders(void) {
  static const float at[] = {
    0.0f, 0x1p-149f, 0x1p-126f, 0.5f, 0.99999994f, 1.0f, 1.00000012f, 1.5f, 2.0f, 3.0f,
    4.0f, 127.0f, 128.0f, 149.0f, 150.0f, 8388607.0f, 8388607.5f, 8388608.0f, 8388609.0f,
    16777215.0f, 16777216.0f, 16777218.0f, 0x1.fffffep127f, INFINITY, NAN };
  enum { COUNT = sizeof at / sizeof *at };
  test("pow is right at zeros, ones, infinities, NaN, odd and even integers");
  for (int i = 0; i < 4 * COUNT * COUNT; i++) {
    float x = at[i / 4 % COUNT], y = at[i / 4 / COUNT];
    if (i & 1) x = -x;
    if (i & 2) y = -y;
    double error = error_of((float)POW(REAL(x), REAL(y)), pow((double)x, (double)y));
    if (error > WORST) printf("    pow(%.9g, %.9g)\n", (double)x, (double)y);
    CHECK(error <= WORST);
  }
}

/* The stride misses single floats: both zeros, infinity, the last finite numbers. */
static void test_borders(void) {
  static const float at[] = {
    0.0f, 0x1p-149f, 0x1.fffffcp-127f, 0x1p-126f, 0x1p-24f, 0.5f, 0.99999994f, 1.0f,
    1.00000012f, 16.635532f, 17.328680f, 87.3365479f, 88.7228317f, 88.7228394f,
    103.278923f, 103.972076f, 103.972084f, 0x1.921fb6p+0f, 0x1.921fb6p+1f,
    0x1.9a84dap+9f, 0x1p50f, 0x1p76f, 0x1p102f, 0x1.f15ea4p+124f, 0x1.fffffep127f,
    INFINITY, NAN };
  test("functions are right at zeros, infinities, NaN and the ends of their ranges");
  for (size_t i = 0; i < 2 * sizeof at / sizeof *at; i++) {
    mgrad_real x = REAL(i & 1 ? -at[i / 2] : at[i / 2]), y;
    for (size_t j = 0; j < sizeof functions / sizeof *functions; j++) {
      functions[j].loop(1, &x, &y);
      double error = error_of((float)y, functions[j].exact((double)x));
      if (error > WORST) printf("    %s(%.9g)\n", functions[j].name, (double)x);
      CHECK(error <= WORST);
    }
  }
}

int main(int count, char **arguments) {
  all = count > 1 && strcmp(arguments[1], "--all") == 0;
  int names = all ? count - 2 : 0;
  test_borders();
  test_pow_borders();
  test_functions(names, arguments + 2);
  test_pow(names, arguments + 2);
  return check_report("maths");
}
