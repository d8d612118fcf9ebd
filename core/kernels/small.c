/*
** small.c - products too small to pay for packing and choosing tiles.
**
** The same chains over k as in gemm.c, hence the same bits. Where B or A' has
** contiguous rows, vectors run along them; else B is copied so that it has, or,
** where that costs more than it saves, four numbers of C are summed at a time.
*/
#include "gemm.h"

enum { ROWS = 1, COPIED, CHAINS };

/* C is written, and what it starts from read, by vectors where their rows are
** contiguous. */
INLINE void gather(int n, const mgrad_real *from, int64_t step, mgrad_real *to) {
  for (int i = 0; i < n; i++) to[i] = from[i * step];
}

INLINE void scatter(int n, const mgrad_real *from, mgrad_real *to, int64_t step) {
  for (int i = 0; i < n; i++) to[i * step] = from[i];
}

/* Some rows of C{rows, n} by one vector of columns. */
#define STRIP(type)                                                                 \
  INLINE type type##_start(const product *x, int64_t i, int64_t j) {                \
    mgrad_real v[sizeof(type) / sizeof(mgrad_real)];                                \
    if (x->start.data == NULL) return (type){ 0 };                                  \
    const mgrad_real *from = x->start.data + i * x->start.row + j * x->start.col;   \
    if (x->start.col == 1) return type##_load(from);                                \
    gather(sizeof(type) / sizeof *v, from, x->start.col, v);                        \
    return type##_load(v);                                                          \
  }                                                                                 \
  INLINE void type##_put(const product *x, int64_t i, int64_t j, type sum) {        \
    mgrad_real v[sizeof(type) / sizeof(mgrad_real)];                                \
    mgrad_real *to = x->c + i * x->c_row + j * x->c_col;                            \
    if (x->c_col == 1) {                                                            \
      type##_store(to, sum);                                                        \
    } else {                                                                        \
      type##_store(v, sum);                                                         \
      scatter(sizeof(type) / sizeof *v, v, to, x->c_col);                           \
    }                                                                               \
  }                                                                                 \
  INLINE void type##_strip(const int rows, const product *x, const mgrad_real *b,   \
                           int64_t b_row, int64_t i, int64_t j) {                   \
    type sum[4];                                                                    \
    for (int r = 0; r < rows; r++) sum[r] = type##_start(x, i + r, j);              \
    const mgrad_real *a = x->a.data + i * x->a.row;                                 \
    int64_t a_row = x->a.row, a_col = x->a.col;                                     \
    b += j;                                                                         \
    for (int64_t p = x->k; p > 0; p--, a += a_col, b += b_row) {                    \
      type bv = type##_load(b);                                                     \
      for (int r = 0; r < rows; r++) sum[r] = type##_mul_add(a[r * a_row], bv, sum[r]); \
    }                                                                               \
    for (int r = 0; r < rows; r++) type##_put(x, i + r, j, sum[r]);                 \
  }                                                                                 \
  INLINE void type##_column(const product *x, const mgrad_real *b, int64_t b_row,   \
                            int64_t j) {                                            \
    int64_t i = 0;                                                                  \
    for (; i + 4 <= x->m; i += 4) type##_strip(4, x, b, b_row, i, j);               \
    for (; i < x->m; i++) type##_strip(1, x, b, b_row, i, j);                       \
  }

STRIP(one)
STRIP(quad)
#if LANES > 8
STRIP(half)
#endif
#if LANES > 4
STRIP(vec)
#endif

static void multiply_rows(const product *x, const mgrad_real *b, int64_t b_row) {
  int64_t j = 0;
#if LANES > 4
  for (; j + LANES <= x->n; j += LANES) vec_column(x, b, b_row, j);
#endif
#if LANES > 8
  if (j + LANES / 2 <= x->n) half_column(x, b, b_row, j), j += LANES / 2;
#endif
  for (; j + 4 <= x->n; j += 4) quad_column(x, b, b_row, j);
  for (; j < x->n; j++) one_column(x, b, b_row, j);
}

/* With a copy of B whose rows are contiguous. */
static void multiply_copied(const product *x) {
  mgrad_real copy[MGRAD_SMALL], *to = copy;
  const mgrad_real *row = x->b.data;
  for (int64_t p = x->k; p > 0; p--, row += x->b.row)
    for (int64_t j = 0; j < x->n; j++) *to++ = row[j * x->b.col];
  multiply_rows(x, copy, x->n);
}

/* Numbers of C in one column from row i on, at most four. */
INLINE void chains(const int rows, const product *x, int64_t i, int64_t j) {
  mgrad_real sum[4] = { 0 };
  if (x->start.data != NULL) {
    const mgrad_real *start = x->start.data + i * x->start.row + j * x->start.col;
    for (int r = 0; r < rows; r++) sum[r] = start[r * x->start.row];
  }
  const mgrad_real *a = x->a.data + i * x->a.row, *b = x->b.data + j * x->b.col;
  int64_t a_row = x->a.row, a_col = x->a.col, b_row = x->b.row;
  for (int64_t p = x->k; p > 0; p--, a += a_col, b += b_row)
    for (int r = 0; r < rows; r++) sum[r] = MUL_ADD(a[r * a_row], *b, sum[r]);
  mgrad_real *c = x->c + i * x->c_row + j * x->c_col;
  for (int r = 0; r < rows; r++) c[r * x->c_row] = sum[r];
}

static void multiply_chains(const product *x) {
  for (int64_t j = 0; j < x->n; j++) {
    int64_t i = 0;
    for (; i + 4 <= x->m; i += 4) chains(4, x, i, j);
    for (; i < x->m; i++) chains(1, x, i, j);
  }
}

void mgrad_gemm_choose_small(product *x) {
  if (x->b.col == 1 && (x->n >= 4 || x->m == 1)) {
    x->path = ROWS;
  } else if (x->a.row == 1 && x->m >= 4) {
    *x = swapped(*x);
    x->path = ROWS;
  } else if (x->n >= 4 && x->m >= 3) {
    x->path = COPIED;
  } else {
    if (x->m < x->n) *x = swapped(*x);
    x->path = CHAINS;
  }
}

void mgrad_gemm_small(const product *x) {
  if (x->path == ROWS) multiply_rows(x, x->b.data, x->b.row);
  else if (x->path == COPIED) multiply_copied(x);
  else multiply_chains(x);
}
