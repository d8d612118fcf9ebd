/*
** sparse.c - products with a matrix of nearly all zeros, such as one-hot rows. What a
** zero would add is left out; the rest is summed in the same order as in gemm.c, hence
** to the same bits.
*/
#include "kernels.h"
#include "maths.h"

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

void mgrad_gemm_sparse(const mgrad_product *x) {
  const mgrad_real *from = x->start.data;
  for (int64_t i = 0; i < x->m; i++) {
    begin(x->n, from != NULL ? from + i * x->start.row : NULL, x->c + i * x->c_row);
  }
  bool rows = x->a.col == 1; /* A is read the way it lies */
  int64_t outer = rows ? x->m : x->k, inner = rows ? x->k : x->m;
  int64_t step = rows ? x->a.row : x->a.col;
  for (int64_t o = 0; o < outer; o++) {
    const mgrad_real *a = x->a.data + o * step;
    for (int64_t i = 0; i < inner; i++) {
      if (a[i] == 0) continue;
      mgrad_real *c = x->c + (rows ? o : i) * x->c_row;
      add_scaled(x->n, a[i], x->b.data + (rows ? i : o) * x->b.row, c, c);
    }
  }
}
