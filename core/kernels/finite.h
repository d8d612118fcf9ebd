/*
** finite.h - are a few numbers finite?
*/
#ifndef MGRAD_FINITE_H
#define MGRAD_FINITE_H

#include "kernels.h"
#include "vec.h"

/* x * 0 is 0, or NaN where x is none or infinite. What does not fill the vectors at the
** end is looked at twice. */
#define LOOK(sum, x) sum = vec_mul_add(0, vec_load(x), sum)
#define LOOK_AT_2(x) (LOOK(a, x), LOOK(b, (x) + LANES))

/* Is no bit of a sum set? A NaN has some, and so has -0, which it is where the host
** rounds downwards. */
INLINE bool no_bit(vec sum) {
  half_vec half[2];
  uint64_t bits[sizeof *half / sizeof(uint64_t)], all = 0;
  memcpy(half, &sum, sizeof half);
  half[0] += half[1];
  memcpy(bits, half, sizeof bits);
  for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) all |= bits[i];
  return all == 0;
}

/* Are 2 to 8 vectors of numbers finite for sure? */
INLINE bool few_finite(int64_t n, const mgrad_real *x) {
  const mgrad_real *last = x + n - 2 * LANES;
  vec a = { 0 }, b = a;
  LOOK_AT_2(x);
  if (n > 4 * LANES) LOOK_AT_2(x + 2 * LANES), LOOK_AT_2(last - 2 * LANES);
  LOOK_AT_2(last);
  return no_bit(a + b);
}

#endif
