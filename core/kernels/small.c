/*
** small.c - products too small to pay for packing and choosing tiles.
**
** The same chains over k as in gemm.c, hence the same bits. Where B or A' has
** contiguous rows, vectors run along them; else B is copied so that it has, or,
** where that costs more than it saves, four numbers of C are summed at a time.
*/
#include "gemm.h"

/* A vector of what C starts from, and of C: 'packed', a constant, says that the rows
** of both are contiguous. */
#define ENDS(type)                                                                  \
  INLINE type type##_start(const bool packed, const gemm *x, int64_t i, int64_t j) { \
    mgrad_real v[sizeof(type) / sizeof(mgrad_real)];                                \
    const mgrad_real *from = x->start.data;                                         \
    if (from == NULL) return (type){ 0 };                                           \
    from += i * x->start.row + (packed ? j : j * x->start.col);                     \
    if (packed) return type##_load(from);                                           \
    for (size_t l = 0; l < sizeof v / sizeof *v; l++) v[l] = from[(int64_t)l * x->start.col]; \
    return type##_load(v);                                                          \
  }                                                                                 \
  INLINE void type##_end(const bool packed, const gemm *x, int64_t i, int64_t j, \
                         type sum) {                                                \
    mgrad_real v[sizeof(type) / sizeof(mgrad_real)];                                \
    mgrad_real *to = x->c + i * x->c_row + (packed ? j : j * x->c_col);             \
    type##_store(packed ? to : v, sum);                                             \
    for (size_t l = 0; !packed && l < sizeof v / sizeof *v; l++)                    \
      to[(int64_t)l * x->c_col] = v[l];                                             \
  }

/* Columns of C, as many as a vector is wide, some rows at a time. */
#define COLUMNS(type)                                                               \
  INLINE void type##_strip(const int rows, const bool packed, const gemm *x,     \
                           const mgrad_real *b, int64_t b_row, int64_t i, int64_t j) { \
    type sum[4];                                                                    \
    for (int r = 0; r < rows; r++) sum[r] = type##_start(packed, x, i + r, j);      \
    const mgrad_real *a = x->a.data + i * x->a.row;                                 \
    int64_t a_row = x->a.row, a_col = x->a.col;                                     \
    for (int64_t p = x->k; p > 0; p--, a += a_col, b += b_row) {                    \
      type bv = type##_load(b);                                                     \
      for (int r = 0; r < rows; r++) sum[r] = type##_mul_add(a[r * a_row], bv, sum[r]); \
    }                                                                               \
    for (int r = 0; r < rows; r++) type##_end(packed, x, i + r, j, sum[r]);         \
  }                                                                                 \
  INLINE void type##_columns(const bool packed, const gemm *x, const mgrad_real *b, \
                             int64_t b_row, int64_t j) {                            \
    int64_t i = 0;                                                                  \
    for (; i + 4 <= x->m; i += 4) type##_strip(4, packed, x, b + j, b_row, i, j);   \
    for (; i < x->m; i++) type##_strip(1, packed, x, b + j, b_row, i, j);           \
  }

ENDS(lone) COLUMNS(lone)
ENDS(quad) COLUMNS(quad)
#if LANES > 8
ENDS(half_vec) COLUMNS(half_vec)
#endif
#if LANES > 4
ENDS(vec) COLUMNS(vec)
#endif

INLINE void multiply_rows(const bool packed, const gemm *x, const mgrad_real *b,
                          int64_t b_row) {
  int64_t j = 0;
#if LANES > 4
  for (; j + LANES <= x->n; j += LANES) vec_columns(packed, x, b, b_row, j);
#endif
#if LANES > 8
  if (j + LANES / 2 <= x->n) half_vec_columns(packed, x, b, b_row, j), j += LANES / 2;
#endif
  for (; j + 4 <= x->n; j += 4) quad_columns(packed, x, b, b_row, j);
  for (; j < x->n; j++) lone_columns(packed, x, b, b_row, j);
}

/* Not a copy for each of its callers. */
static __attribute__((noinline)) void multiply_onto(const gemm *x, const mgrad_real *b,
                                                    int64_t b_row) {
  multiply_rows(true, x, b, b_row);
}

static void multiply_packed(const gemm *x) { multiply_onto(x, x->b.data, x->b.row); }

static void multiply_spread(const gemm *x) {
  multiply_rows(false, x, x->b.data, x->b.row);
}

/* With a copy of B whose rows are contiguous. */
static void multiply_copied(const gemm *x) {
  mgrad_real copy[MGRAD_SMALL], *to = copy;
  const mgrad_real *row = x->b.data;
  for (int64_t p = x->k; p > 0; p--, row += x->b.row)
    for (int64_t j = 0; j < x->n; j++) *to++ = row[j * x->b.col];
  multiply_onto(x, copy, x->n);
}

/* Numbers of C in one column from row i on, at most four. */
INLINE void chains(const int rows, const gemm *x, int64_t i, int64_t j) {
  mgrad_real sum[4] = { 0 };
  if (x->start.data != NULL) {
    const mgrad_real *start = x->start.data + i * x->start.row + j * x->start.col;
    for (int r = 0; r < rows; r++) sum[r] = start[r * x->start.row];
  }
  const mgrad_real *a = x->a.data + i * x->a.row, *b = x->b.data + j * x->b.col;
  int64_t a_row = x->a.row, a_col = x->a.col, b_row = x->b.row;
  for (int64_t p = x->k; p > 0; p--, a += a_col, b += b_row)
    for (int r = 0; r < rows; r++) sum[r] = MGRAD_FMA(a[r * a_row], *b, sum[r]);
  mgrad_real *c = x->c + i * x->c_row + j * x->c_col;
  for (int r = 0; r < rows; r++) c[r * x->c_row] = sum[r];
}

static void multiply_chains(const gemm *x) {
  for (int64_t j = 0; j < x->n; j++) {
    int64_t i = 0;
    for (; i + 4 <= x->m; i += 4) chains(4, x, i, j);
    for (; i < x->m; i++) chains(1, x, i, j);
  }
}

/* Are rows of C and of what it starts from contiguous? */
static bool has_rows(const gemm *x) {
  return x->c_col == 1 && (x->start.data == NULL || x->start.col == 1);
}

void mgrad_gemm_choose_small(gemm *x) {
  if (x->b.col == 1 && (x->n >= 4 || x->m == 1)) {
    x->run = has_rows(x) ? multiply_packed : multiply_spread;
  } else if (x->a.row == 1 && x->m >= 4) {
    *x = swapped(*x);
    x->run = has_rows(x) ? multiply_packed : multiply_spread;
  } else if (x->n >= 4 && x->m >= 3 && has_rows(x)) {
    x->run = multiply_copied;
  } else {
    if (x->m < x->n) *x = swapped(*x);
    x->run = multiply_chains;
  }
}
