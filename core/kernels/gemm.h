/*
** gemm.h - what the parts of the matrix product share.
*/
#ifndef MGRAD_GEMM_H
#define MGRAD_GEMM_H

#include "kernels.h"
#include "vec.h"

/* A product of matrices on its way: C and what it starts from with both strides,
** so that C' = B' A' is one as well. start.data NULL: zeros. */
typedef struct product {
  int64_t m, n, k;
  mgrad_matrix a, b, start;
  mgrad_real *c;
  int64_t c_row, c_col;
} product;

INLINE product swapped(const product *x) {
  product s = *x;
  s.m = x->n, s.n = x->m;
  s.a = (mgrad_matrix){ x->b.data, x->b.col, x->b.row };
  s.b = (mgrad_matrix){ x->a.data, x->a.col, x->a.row };
  s.start = (mgrad_matrix){ x->start.data, x->start.col, x->start.row };
  s.c_row = x->c_col, s.c_col = x->c_row;
  return s;
}

/* small.c: for products of at most MGRAD_SMALL multiplications */
#define MGRAD_SMALL 512
#define mgrad_gemm_small MGRAD_CODE(mgrad_gemm_small)
void mgrad_gemm_small(const product *x);

#endif
