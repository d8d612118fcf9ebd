/*
** gemm.h - what the parts of the matrix product share.
*/
#ifndef MGRAD_GEMM_H
#define MGRAD_GEMM_H

#include "kernels.h"
#include "vec.h"

typedef mgrad_product gemm;

/* C' = B' A' */
INLINE gemm swapped(gemm x) {
  gemm s = x;
  s.m = x.n, s.n = x.m;
  s.a = (mgrad_matrix){ x.b.data, x.b.col, x.b.row };
  s.b = (mgrad_matrix){ x.a.data, x.a.col, x.a.row };
  s.start = (mgrad_matrix){ x.start.data, x.start.col, x.start.row };
  s.c_row = x.c_col, s.c_col = x.c_row;
  return s;
}

/* small.c: settles how a product of at most MGRAD_SMALL multiplications is computed. */
enum { MGRAD_SMALL = 512 };
#define mgrad_gemm_choose_small MGRAD_CODE(mgrad_gemm_choose_small)
void mgrad_gemm_choose_small(gemm *x);

#endif
