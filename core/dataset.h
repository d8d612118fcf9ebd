/*
** dataset.h - examples kept as tensors or as raw bytes, seen in some order.
*/
#ifndef MGRAD_DATASET_H
#define MGRAD_DATASET_H

#include "tensor.h"

/* Fills packed x and y with the examples at n positions (from 0) of d. */
mgrad_status mgrad_dataset_gather(mgrad_dataset *d, const int64_t *at, int64_t n,
                                  mgrad_tensor **x, mgrad_tensor **y);

#endif
