/*
** init.c - initialisers: what a parameter holds before training.
**
** One table, a line each: a way of drawing numbers and how far they spread,
** which is a plain value or sqrt(value / fan). A call that draws uses up one
** random stream of the context, a call that does not leaves it alone.
*/
#include "tensor.h"
#include "random.h"
#include <math.h>

typedef enum fan { FAN_NONE, FAN_IN, FAN_BOTH } fan;

/* Fills 'to', row-major in the shape of 'a', from the context's next stream. */
typedef mgrad_status (*draw_fn)(mgrad_context *ctx, const mgrad_array *a, double spread,
                                mgrad_real *to);

typedef struct initialiser {
  const char *name, *doc;
  draw_fn draw;  /* NULL: the value itself, everywhere */
  double value;
  fan fan;
} initialiser;

/* Uniform between -spread and spread. */
static mgrad_status draw_uniform(mgrad_context *ctx, const mgrad_array *a, double spread,
                                 mgrad_real *to) {
  int64_t n = mgrad_shape_numel(a);
  mgrad_random_uniform(ctx->seed, ctx->stream, n, to);
  for (int64_t i = 0; i < n; i++) to[i] = (mgrad_real)((2 * (double)to[i] - 1) * spread);
  return MGRAD_OK;
}

/* Normal, mean 0 and standard deviation 'spread'. */
static mgrad_status draw_normal(mgrad_context *ctx, const mgrad_array *a, double spread,
                                mgrad_real *to) {
  int64_t n = mgrad_shape_numel(a);
  mgrad_random_normal(ctx->seed, ctx->stream, n, to);
  for (int64_t i = 0; i < n; i++) to[i] = (mgrad_real)((double)to[i] * spread);
  return MGRAD_OK;
}

/* Scratch for n numbers, or NULL with the error set. */
static void *scratch_new(mgrad_context *ctx, int64_t n, size_t size) {
  if ((uint64_t)n <= SIZE_MAX / size) return mgrad_new(ctx, (size_t)n * size);
  (void)mgrad_fail_memory(ctx);
  return NULL;
}

enum { LANES = 8 };

/* In lanes, so that it is quick and in one order on every machine. */
static double dot(int64_t n, const double *a, const double *b) {
  double lane[LANES] = { 0 };
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l];
  for (; i < n; i++) lane[0] += a[i] * b[i];
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  return lane[0];
}

/* Makes m vectors of n >= m numbers orthonormal (modified Gram-Schmidt). */
static void orthonormalise(int64_t m, int64_t n, double *v) {
  for (int64_t i = 0; i < m; i++) {
    double *vi = v + i * n, length = sqrt(dot(n, vi, vi));
    if (length == 0) vi[i] = length = 1; /* drew zeros: rare, but must not divide */
    for (int64_t k = 0; k < n; k++) vi[k] /= length;
    for (int64_t j = i + 1; j < m; j++) {
      double *vj = v + j * n, along = dot(n, vi, vj);
      for (int64_t k = 0; k < n; k++) vj[k] -= along * vi[k];
    }
  }
}

/* {out, in, ...} as a matrix of 'out' rows: its rows or columns, whichever are
** fewer, become orthonormal. Random normal ones give a uniform choice of these
** (Saxe et al., "Exact solutions to the nonlinear dynamics of learning", 2014). */
static mgrad_status draw_orthogonal(mgrad_context *ctx, const mgrad_array *a,
                                    double spread, mgrad_real *to) {
  int64_t n = mgrad_shape_numel(a), rows = a->ndim ? a->size[0] : 1, cols = n / rows;
  bool wide = rows <= cols;
  int64_t m = wide ? rows : cols, length = n / m;
  double *v = scratch_new(ctx, n, sizeof *v);
  if (!v) return MGRAD_NOMEM;
  mgrad_random_normal(ctx->seed, ctx->stream, n, to);
  for (int64_t i = 0; i < n; i++) v[i] = (double)to[i];
  orthonormalise(m, length, v);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols; c++)
      to[r * cols + c] =
        (mgrad_real)(spread * v[wide ? r * length + c : c * length + r]);
  mgrad_free(ctx, v);
  return MGRAD_OK;
}

static const initialiser initialisers[] = {
  { "zeros", "0 everywhere", NULL, 0, FAN_NONE },
  { "ones", "1 everywhere", NULL, 1, FAN_NONE },
  { "constant", "0.1 everywhere, a bias that keeps relu units awake",
    NULL, 0.1, FAN_NONE },
  { "uniform", "uniform from -0.05 to 0.05", draw_uniform, 0.05, FAN_NONE },
  { "normal", "normal with deviation 0.05", draw_normal, 0.05, FAN_NONE },
  { "standard_normal", "normal with deviation 1", draw_normal, 1, FAN_NONE },
  { "xavier_uniform", "uniform up to sqrt(6 / (fan in + fan out)); Glorot, Bengio 2010",
    draw_uniform, 6, FAN_BOTH },
  { "xavier_normal", "normal with deviation sqrt(2 / (fan in + fan out))",
    draw_normal, 2, FAN_BOTH },
  { "he_uniform", "uniform up to sqrt(6 / fan in); He et al. 2015",
    draw_uniform, 6, FAN_IN },
  { "he_normal", "normal with deviation sqrt(2 / fan in)", draw_normal, 2, FAN_IN },
  { "lecun_normal", "normal with deviation sqrt(1 / fan in); LeCun et al. 1998",
    draw_normal, 1, FAN_IN },
  { "orthogonal", "rows at right angles and of length 1, or columns where fewer",
    draw_orthogonal, 1, FAN_NONE },
};

enum { COUNT = sizeof initialisers / sizeof *initialisers };

int mgrad_init_count(void) { return COUNT; }

const char *mgrad_init_name(int index) {
  return index >= 0 && index < COUNT ? initialisers[index].name : NULL;
}

const char *mgrad_init_doc(int index) {
  return index >= 0 && index < COUNT ? initialisers[index].doc : NULL;
}

int mgrad_init_find(const char *name) {
  for (int i = 0; i < COUNT; i++)
    if (strcmp(initialisers[i].name, name) == 0) return i;
  return -1;
}

/* {out, in, k..}: in or out, times the k; both are the size of a 1-dim tensor. */
static double spread_of(const initialiser *init, const mgrad_array *a) {
  if (init->fan == FAN_NONE) return init->value;
  double n = (double)mgrad_shape_numel(a);
  double in = a->ndim > 1 ? n / (double)a->size[0] : n;
  double out = a->ndim > 1 ? n / (double)a->size[1] : n;
  return sqrt(init->value / (init->fan == FAN_IN ? in : in + out));
}

mgrad_status mgrad_init_fill(int index, mgrad_tensor *t) {
  mgrad_context *ctx = t->ctx;
  if (index < 0 || index >= COUNT)
    return mgrad_fail(ctx, MGRAD_INVALID, "initialiser is %d, expected 0 to %d",
                      (int64_t)index, (int64_t)COUNT - 1);
  const initialiser *init = &initialisers[index];
  if (!init->draw) return mgrad_tensor_fill(t, init->value);
  MGRAD_TRY(mgrad_tensor_writable(t, init->name));
  int64_t n = mgrad_shape_numel(&t->a);
  mgrad_real *values = scratch_new(ctx, n, sizeof *values);
  if (!values) return MGRAD_NOMEM;
  mgrad_status status = init->draw(ctx, &t->a, spread_of(init, &t->a), values);
  if (status == MGRAD_OK) status = mgrad_tensor_write(t, values);
  if (status == MGRAD_OK) ctx->stream++;
  mgrad_free(ctx, values);
  return status;
}
