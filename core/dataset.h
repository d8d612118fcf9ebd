/*
** dataset.h - examples kept as tensors or as raw bytes, seen in some order.
*/
#ifndef MGRAD_DATASET_H
#define MGRAD_DATASET_H

#include "augment.h"
#include "tensor.h"

/* The shapes of a batch of n, packed, data NULL. */
void mgrad_dataset_shapes(const mgrad_dataset *d, int64_t n, mgrad_array *x, mgrad_array *y);
/* Writes the examples at n positions (from 0) of d, row-major: as they are, or with
** 'draw' changed by what d's augmentation draws. */
void mgrad_dataset_read(const mgrad_dataset *d, const mgrad_draw *draw, const int64_t *at,
                        int64_t n, mgrad_real *x, mgrad_real *y);
/* New tensors with them. */
mgrad_status mgrad_dataset_gather(mgrad_dataset *d, const mgrad_draw *draw, const int64_t *at,
                                  int64_t n, mgrad_tensor **x, mgrad_tensor **y);
/* Does it change examples at random? */
bool mgrad_dataset_draws(const mgrad_dataset *d);

#endif
