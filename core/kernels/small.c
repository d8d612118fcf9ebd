/*
** small.c - products too small to pay for packing and choosing tiles.
**
** The same chains over k as in gemm.c, hence the same bits. Where B or A' has
** contiguous rows, vectors run along them; else B is copied so that it has, or,
** where that costs more than it saves, four numbers of C are summed at a time.
*/
#include "gemm.h"

/* Some rows of C{rows, n} by one vector of columns; all rows contiguous. */
#define STRIP(type)                                                                 \
  INLINE void type##_strip(const int rows, const product *x, int64_t i, int64_t j) { \
    type sum[4];                                                                    \
    const mgrad_real *start = x->start.data;                                        \
    for (int r = 0; r < rows; r++)                                                  \
      sum[r] = start == NULL ? (type){ 0 }                                          \
                             : type##_load(start + (i + r) * x->start.row + j);     \
    const mgrad_real *a = x->a.data + i * x->a.row, *b = x->b.data + j;             \
    for (int64_t p = x->k; p > 0; p--, a += x->a.col, b += x->b.row) {              \
      type bv = type##_load(b);                                                     \
      for (int r = 0; r < rows; r++)                                                \
        sum[r] = type##_mul_add(a[r * x->a.row], bv, sum[r]);                       \
    }                                                                               \
    for (int r = 0; r < rows; r++) type##_store(x->c + (i + r) * x->c_row + j, sum[r]); \
  }                                                                                 \
  INLINE void type##_column(const product *x, int64_t j) {                          \
    int64_t i = 0;                                                                  \
    for (; i + 4 <= x->m; i += 4) type##_strip(4, x, i, j);                         \
    for (; i < x->m; i++) type##_strip(1, x, i, j);                                 \
  }

STRIP(one)
STRIP(quad)
#if LANES > 8
STRIP(half)
#endif
#if LANES > 4
STRIP(vec)
#endif

static void multiply_rows(const product *x) {
  int64_t j = 0;
#if LANES > 4
  for (; j + LANES <= x->n; j += LANES) vec_column(x, j);
#endif
#if LANES > 8
  if (j + LANES / 2 <= x->n) half_column(x, j), j += LANES / 2;
#endif
  for (; j + 4 <= x->n; j += 4) quad_column(x, j);
  for (; j < x->n; j++) one_column(x, j);
}

/* to{rows, n} = from, packed. */
INLINE void copy(int64_t rows, int64_t n, mgrad_matrix from, mgrad_real *to) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < n; j++) *to++ = from.data[i * from.row + j * from.col];
}

/* By way of a packed C. */
static void multiply_aside(product x) {
  mgrad_real room[MGRAD_SMALL], *c = x.c;
  int64_t c_row = x.c_row, c_col = x.c_col;
  if (x.start.data != NULL) {
    copy(x.m, x.n, x.start, room);
    x.start = (mgrad_matrix){ room, x.n, 1 };
  }
  x.c = room;
  x.c_row = x.n;
  multiply_rows(&x);
  for (int64_t j = 0; j < x.n; j++)
    for (int64_t i = 0; i < x.m; i++) c[i * c_row + j * c_col] = room[i * x.n + j];
}

/* With a copy of B. */
static void multiply_copied(product x) {
  mgrad_real room[MGRAD_SMALL];
  copy(x.k, x.n, x.b, room);
  x.b = (mgrad_matrix){ room, x.n, 1 };
  multiply_rows(&x);
}

/* Numbers of C in one column from row i on, at most four. */
INLINE void chains(const int rows, const product *x, int64_t i, int64_t j) {
  mgrad_real sum[4] = { 0 };
  if (x->start.data != NULL) {
    const mgrad_real *start = x->start.data + i * x->start.row + j * x->start.col;
    for (int r = 0; r < rows; r++) sum[r] = start[r * x->start.row];
  }
  const mgrad_real *a = x->a.data + i * x->a.row, *b = x->b.data + j * x->b.col;
  for (int64_t p = x->k; p > 0; p--, a += x->a.col, b += x->b.row)
    for (int r = 0; r < rows; r++) sum[r] = MUL_ADD(a[r * x->a.row], *b, sum[r]);
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

void mgrad_gemm_small(const product *x) {
  bool rows = has_rows(x);
  if (rows && x->b.col == 1 && (x->n >= 4 || x->m == 1)) {
    multiply_rows(x);
  } else if (x->a.row == 1 && x->m >= 4) {
    multiply_aside(swapped(*x));
  } else if (rows && x->n >= 4 && x->m >= 3) {
    multiply_copied(*x);
  } else if (x->m < 4 && x->n >= 4) {
    product s = swapped(*x);
    multiply_chains(&s);
  } else {
    multiply_chains(x);
  }
}
