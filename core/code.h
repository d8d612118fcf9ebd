/*
** code.h - one source, compiled once per instruction set, chosen at run time.
**
** ops/, kernels/ and the update rules of optimizers are compiled for several
** instruction sets (the Makefile names them, MGRAD_ISA tells them apart). Their
** symbols carry the set's name; the plain ones are the baseline, which every
** machine runs. An op is known by its baseline descriptor everywhere; apply
** turns that into the descriptor of the context's set.
*/
#ifndef MGRAD_CODE_H
#define MGRAD_CODE_H

#include "base.h"
#include "isa.h"

/* All code for one instruction set; in table.c. */
typedef struct mgrad_code {
  const mgrad_op *const *ops;                   /* by MGRAD_ID_name */
  const mgrad_optimizer_def *const *optimizers; /* in the order of optimizers.def */
  bool (*all_finite)(int64_t n, const mgrad_real *x); /* these three: kernels.h */
  void (*bytes_to_numbers)(int64_t n, const unsigned char *x, double scale, double offset,
                           mgrad_real *y);
  const struct mgrad_window_code *windows; /* kernels/windows.h */
  void (*blend)(int64_t n, mgrad_real keep, const mgrad_real *x, mgrad_real *y);
} mgrad_code;

/* The code that suits this machine best. */
const mgrad_code *mgrad_code_best(void);

#endif
