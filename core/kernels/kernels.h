/*
** kernels.h - the loops that ops are made of. Plain numbers and strides; no
** tensors, no errors, no memory of their own.
*/
#ifndef MGRAD_KERNELS_H
#define MGRAD_KERNELS_H

#include "../code.h"
#include "../pool.h"

/* Each instruction set has its own copy of every loop. */
#ifdef MGRAD_ISA
#define mgrad_all_finite MGRAD_CODE(mgrad_all_finite)
#define mgrad_array_copy MGRAD_CODE(mgrad_array_copy)
#define mgrad_array_fill MGRAD_CODE(mgrad_array_fill)
#define mgrad_array_put MGRAD_CODE(mgrad_array_put)
#define mgrad_blend MGRAD_CODE(mgrad_blend)
#define mgrad_bytes_to_numbers MGRAD_CODE(mgrad_bytes_to_numbers)
#define mgrad_fold MGRAD_CODE(mgrad_fold)
#define mgrad_fold_abs MGRAD_CODE(mgrad_fold_abs)
#define mgrad_fold_max MGRAD_CODE(mgrad_fold_max)
#define mgrad_fold_min MGRAD_CODE(mgrad_fold_min)
#define mgrad_fold_powers MGRAD_CODE(mgrad_fold_powers)
#define mgrad_fold_squares MGRAD_CODE(mgrad_fold_squares)
#define mgrad_fold_sum MGRAD_CODE(mgrad_fold_sum)
#define mgrad_gemm MGRAD_CODE(mgrad_gemm)
#define mgrad_gemm_nwork MGRAD_CODE(mgrad_gemm_nwork)
#define mgrad_gemm_sparse MGRAD_CODE(mgrad_gemm_sparse)
#define mgrad_is_sparse MGRAD_CODE(mgrad_is_sparse)
#define mgrad_pack MGRAD_CODE(mgrad_pack)
#define mgrad_pack_b MGRAD_CODE(mgrad_pack_b)
#define mgrad_pack_b_size MGRAD_CODE(mgrad_pack_b_size)
#define mgrad_power MGRAD_CODE(mgrad_power)
#define mgrad_reduce_to MGRAD_CODE(mgrad_reduce_to)
#define mgrad_sum MGRAD_CODE(mgrad_sum)
#define mgrad_sum_squares MGRAD_CODE(mgrad_sum_squares)
#define mgrad_largest MGRAD_CODE(mgrad_largest)
#define mgrad_walk MGRAD_CODE(mgrad_walk)
#define mgrad_walk_run MGRAD_CODE(mgrad_walk_run)
#define mgrad_words MGRAD_CODE(mgrad_words)
#endif

/* ---- walk.c: strided loops ---- */

/* Calls f for runs of the innermost dimension of up to three arrays of one shape (NULL
** allowed at the end); p[i] points into array i, step[i] is its stride. Runs come in
** row-major order. With a pool they come in parts, and end when the host wants it. */
typedef void (*mgrad_run_fn)(void *ud, int64_t n, mgrad_real *const p[3],
                             const int64_t step[3]);
void mgrad_walk(mgrad_pool *pool, const mgrad_array *a, const mgrad_array *b,
                const mgrad_array *c, mgrad_run_fn f, void *ud);
/* The same for a single run; false where it was ended. */
bool mgrad_walk_run(mgrad_pool *pool, int64_t n, mgrad_real *const p[3], const int64_t step[3],
                    mgrad_run_fn f, void *ud);
/* to = from; equal shapes, any strides. */
void mgrad_array_copy(const mgrad_array *to, const mgrad_array *from);
/* The same, or to += from, as mgrad_walk does it. An element of 'to' that repeats (stride 0)
** is added to in row-major order. */
void mgrad_array_put(mgrad_pool *pool, const mgrad_array *to, const mgrad_array *from,
                     bool add);
void mgrad_array_fill(const mgrad_array *to, mgrad_real value);
/* y = x * scale + offset, in double before it is rounded */
void mgrad_bytes_to_numbers(int64_t n, const unsigned char *x, double scale, double offset,
                            mgrad_real *y);
/* y = keep * y + (1 - keep) * x */
void mgrad_blend(int64_t n, mgrad_real keep, const mgrad_real *x, mgrad_real *y);
/* Sums packed numbers in the shape of 'from' down to the broadcast shape of
** 'to' (packed): to = sum, or to += sum when 'add'. Trailing-aligned as in
** NumPy's rule. The pool is as in mgrad_walk. */
void mgrad_reduce_to(mgrad_pool *pool, const mgrad_array *to, mgrad_real *out,
                     const mgrad_array *from, const mgrad_real *x, bool add);

/* ---- philox.c ---- */

/* The words 'first' to first + n - 1 of a stream: word i is mgrad_philox's i % 4 of block
** i / 4. */
void mgrad_words(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, uint32_t *out);
/* A word >> 8 is below this with probability p, up to 1 in 2^24. */
static inline uint32_t mgrad_words_limit(double p) {
  uint32_t parts = (uint32_t)(p * 0x1p24);
  return parts + (parts < p * 0x1p24);
}

/* ---- reduce.c: sums in a fixed order ---- */

/* Sum of n numbers, step apart: 16 lanes in double, then a fixed tree; fewer than
** 16 numbers one after the other. */
double mgrad_sum(int64_t n, const mgrad_real *x, int64_t step);
double mgrad_sum_squares(int64_t n, const mgrad_real *x, int64_t step);
/* The largest number, -infinity where all are NaN. */
mgrad_real mgrad_largest(int64_t n, const mgrad_real *x, int64_t step);
/* Folds m columns of n numbers, rows 'stride' apart, into m doubles: a sum of x,
** of (x - center)^2, of |x| or of (|x| / center)^p; the greatest or the least, NaN
** if there is one. 'center' holds m numbers; NULL means zeros. The order of a fold
** depends on n and m alone: few columns go by 16 lanes each, many go row by row. */
typedef void mgrad_fold(int64_t n, const mgrad_real *x, int64_t stride, int64_t m,
                        const double *center, double p, double *out);
mgrad_fold mgrad_fold_sum, mgrad_fold_squares, mgrad_fold_abs, mgrad_fold_powers,
           mgrad_fold_max, mgrad_fold_min;
/* a to the power b by a call: POW is long, and norms other than 1 and 2 are rare. */
mgrad_real mgrad_power(mgrad_real a, mgrad_real b);
/* Is every number finite? */
bool mgrad_all_finite(int64_t n, const mgrad_real *x);

/* ---- gemm.c ---- */

/* A matrix operand: element (i, j) is data[i * row + j * col]. */
typedef struct mgrad_matrix {
  const mgrad_real *data;
  int64_t row, col;
} mgrad_matrix;

/* to[i * step + j] = x(i, j), m by n. */
void mgrad_pack(int64_t m, int64_t n, mgrad_matrix x, mgrad_real *to, int64_t step);

/* C{m, n} = start{m, n} + A{m, k} B{k, n}, then 'finish' over it if that is set.
** Each element is summed over k strictly in order, from its number of 'start' on. */
typedef struct mgrad_product {
  int64_t m, n, k;
  mgrad_matrix a, b;
  mgrad_matrix start;          /* data NULL: zeros; C itself; a bias: its row is 0 */
  mgrad_real *c;               /* element (i, j) is c[i * c_row + j * c_col] */
  int64_t c_row, c_col;
  const mgrad_real *packed;    /* B, by mgrad_pack_b; or NULL */
  mgrad_real *work;            /* scratch of nwork numbers, or NULL */
  int64_t nwork;               /* at best mgrad_gemm_nwork; less is slower */
  void (*finish)(int64_t n, const mgrad_real *x, mgrad_real *y, const double *p);
  const double *p;
  mgrad_pool *pool;            /* whose threads share in large ones, or NULL */
  int worker;                  /* of the pool, whose share this is */
  bool alone;                  /* it is no share for others */
  /* NULL; the first call settles how x is best computed: */
  void (*run)(const struct mgrad_product *x);
} mgrad_product;

void mgrad_gemm(mgrad_product *x);
int64_t mgrad_gemm_nwork(int64_t m, int64_t n, int64_t k, int threads);

/* B packed ahead into mgrad_pack_b_size numbers, for products with many A; the
** same bits again. The layout belongs to the instruction set that packed it. */
int64_t mgrad_pack_b_size(int64_t n, int64_t k);
void mgrad_pack_b(int64_t n, int64_t k, mgrad_matrix b, mgrad_real *packed);

/* ---- sparse.c ---- */

/* Are at most an eighth of the numbers of each row of A{m, k} not 0? */
bool mgrad_is_sparse(int64_t m, int64_t k, const mgrad_real *a);
/* The same bits as mgrad_gemm where B is finite, but quick for zeros in A. Rows of B, C
** and what it starts from are contiguous, and rows or columns of A; 'finish', scratch
** and threads are not looked at. */
void mgrad_gemm_sparse(const mgrad_product *x);

#endif
