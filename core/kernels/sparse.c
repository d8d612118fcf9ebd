/*
** sparse.c - products with a matrix of nearly all zeros, such as one-hot rows. What a
** zero would add is left out; the rest is summed in the same order as in gemm.c, hence
** to the same bits.
*/
#include "kernels.h"
#include "maths.h"

enum { AHEAD = 8 }; /* rows of B that are fetched before their turn, from another core too */

static int32_t count(int64_t n, const mgrad_real *x) {
  int32_t found = 0;
  for (int64_t i = 0; i < n; i++) found += x[i] != 0;
  return found;
}

bool mgrad_is_sparse(int64_t m, int64_t k, const mgrad_real *a) {
  if (k < 8 || k > INT32_MAX) return false;
  for (int64_t i = 0; i < m; i++, a += k) {
    if (count(k, a) > k / 8) return false;
  }
  return true;
}

/* The first number from i on that is not 0, or n. */
static int64_t skip_zeros(int64_t i, int64_t n, const mgrad_real *x) {
  enum { TOGETHER = 16 };
  while (i + TOGETHER <= n && count(TOGETHER, x + i) == 0) i += TOGETHER;
  while (i < n && x[i] == 0) i++;
  return i;
}

/* c = start + a b */
static void add_scaled(int64_t n, mgrad_real a, const mgrad_real *b, const mgrad_real *start,
                       mgrad_real *c) {
  MGRAD_EACH(j, n) c[j] = MGRAD_FMA(a, b[j], start[j]);
}

/* c = start, or zeros where that is NULL */
static void begin(int64_t n, const mgrad_real *start, mgrad_real *c) {
  if (start == NULL) memset(c, 0, (size_t)n * sizeof *c);
  else if (start != c) memcpy(c, start, (size_t)n * sizeof *c);
}

static const mgrad_real *start_of(const mgrad_product *x, int64_t i) {
  return x->start.data != NULL ? x->start.data + i * x->start.row : NULL;
}

/* A is read the way it lies, its rows contiguous: a row of C after the other. */
static void by_rows(const mgrad_product *x) {
  for (int64_t i = 0; i < x->m; i++) {
    const mgrad_real *a = x->a.data + i * x->a.row, *start = start_of(x, i);
    mgrad_real *c = x->c + i * x->c_row;
    if (start == NULL) begin(x->n, start, c), start = c;
    for (int64_t p = skip_zeros(0, x->k, a); p < x->k; p = skip_zeros(p + 1, x->k, a)) {
      add_scaled(x->n, a[p], x->b.data + p * x->b.row, start, c);
      start = c;
    }
    begin(x->n, start, c);
  }
}

static void fetch(int64_t n, const mgrad_real *x) {
  for (int64_t i = 0; i < n; i += 64 / (int64_t)sizeof *x) __builtin_prefetch(x + i);
}

/* The same where its columns are contiguous. */
static void by_columns(const mgrad_product *x) {
  for (int64_t i = 0; i < x->m; i++) begin(x->n, start_of(x, i), x->c + i * x->c_row);
  for (int64_t p = 0; p < x->k; p++) {
    const mgrad_real *a = x->a.data + p * x->a.col, *b = x->b.data + p * x->b.row;
    if (p + AHEAD < x->k) fetch(x->n, b + AHEAD * x->b.row);
    for (int64_t i = skip_zeros(0, x->m, a); i < x->m; i = skip_zeros(i + 1, x->m, a)) {
      mgrad_real *c = x->c + i * x->c_row;
      add_scaled(x->n, a[i], b, c, c);
    }
  }
}

void mgrad_gemm_sparse(const mgrad_product *x) {
  if (x->a.col == 1) by_rows(x);
  else by_columns(x);
}
