/*
** random.h - Philox4x32-10, a counter-based generator (Salmon et al., "Parallel
** random numbers: as easy as 1, 2, 3", 2011). A number depends only on (seed,
** stream, index), so any part of a stream can be drawn in any order.
*/
#ifndef MGRAD_RANDOM_H
#define MGRAD_RANDOM_H

#include "base.h"

/* The four words of block 'block' of a stream. */
void mgrad_philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]);
/* Cosine and sine of the angle turn / 2^32 of a full turn. */
void mgrad_circle(uint32_t turn, double *cosine, double *sine);
/* Four standard normal numbers of four words. */
void mgrad_normal(const uint32_t words[4], mgrad_real numbers[4]);
/* n numbers of a stream, uniform in [0, 1) with 24 bits. */
void mgrad_random_uniform(uint64_t seed, uint64_t stream, int64_t n, mgrad_real *out);
/* n numbers of a stream, standard normal. */
void mgrad_random_normal(uint64_t seed, uint64_t stream, int64_t n, mgrad_real *out);
/* A permutation of 0..n-1 by Fisher and Yates' method. */
void mgrad_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out);

#endif
