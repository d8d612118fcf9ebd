/*
** random.c - ops that draw random numbers.
**
** Which numbers dropout keeps follows from (seed, stream, element) alone, so
** backward draws the same choice again and nothing is stored in between.
*/
#include "../kernels/kernels.h"
#include "../kernels/maths.h"
#include "../op.h"

/* to = from / (1 - p) where kept, else 0; or to += that. One choice is made for 'run'
** numbers in a row. */
static void drop(const mgrad_call *c, int64_t run, const mgrad_real *from, mgrad_real *to,
                 bool add) {
  enum { BLOCK = 256 };
  double p = c->attrs->value[0];
  mgrad_real scale = REAL(1 / (1 - p));
  uint32_t limit = mgrad_words_limit(p), words[BLOCK];
  int64_t n = mgrad_call_numel(c, 0) / run;
  int64_t most = mgrad_min_size((MGRAD_POOL_PART + run - 1) / run, BLOCK);
  for (int64_t block = 0; block < n; block += most) {
    int64_t m = mgrad_min_size(most, n - block);
    if (!mgrad_call_continues(c, m * run)) return;
    mgrad_words(c->seed, c->stream, (uint64_t)block, m, words);
    for (int64_t j = 0; j < run; j++) {
      const mgrad_real *x = from + block * run + j;
      mgrad_real *y = to + block * run + j;
      MGRAD_EACH(i, m) {
        mgrad_real v = words[i] >> 8 >= limit ? x[i * run] * scale : 0;
        y[i * run] = add ? y[i * run] + v : v;
      }
    }
  }
}

static void dropout_forward(mgrad_call *c) { drop(c, 1, c->x[0]->data, c->y->data, false); }

static void dropout_backward(mgrad_call *c) {
  if (c->dx[0] != NULL) drop(c, 1, c->dy, c->dx[0], c->add[0]);
}

#define SHARE(text) { "p", MGRAD_ATTR_REAL, 0.5, 0, MGRAD_BELOW_1, .doc = text }

MGRAD_OP(dropout) = {
  MGRAD_NAMED(dropout), .operands = "x", .flags = MGRAD_OP_RANDOM,
  MGRAD_ATTRS(SHARE("the share of numbers that is set to 0")),
  .doc = "each number set to 0 with probability p, else divided by 1 - p",
  .infer = mgrad_infer_same, .forward = dropout_forward, .backward = dropout_backward,
  MGRAD_EXAMPLES({ .shapes = { { 3, 5 } } },
                 { .shapes = { { 2, 3, 2 } }, .attrs = { { "p", 0.2 } } },
                 { .shapes = { { 7 } }, .attrs = { { "p", 0 } } }) };

static mgrad_status spatial_infer(mgrad_call *c) {
  if (c->x[0]->ndim < 2) {
    return mgrad_op_fail(c, "x is %a, expected {n, channels, ..}", c->x[0]);
  }
  return mgrad_infer_same(c);
}

/* Numbers in one channel of one example. */
static int64_t channel_numbers(const mgrad_call *c) {
  return mgrad_call_numel(c, 0) / (c->x[0]->size[0] * c->x[0]->size[1]);
}

static void spatial_forward(mgrad_call *c) {
  drop(c, channel_numbers(c), c->x[0]->data, c->y->data, false);
}

static void spatial_backward(mgrad_call *c) {
  if (c->dx[0] != NULL) drop(c, channel_numbers(c), c->dy, c->dx[0], c->add[0]);
}

/* Tompson et al., "Efficient object localization using convolutional networks", 2015 */
MGRAD_OP(spatial_dropout) = {
  MGRAD_NAMED(spatial_dropout), .operands = "x", .flags = MGRAD_OP_RANDOM,
  MGRAD_ATTRS(SHARE("the share of channels that is set to 0")),
  .doc = "each channel (dimension 2) of each example set to 0 with probability p, else"
         " divided by 1 - p",
  .infer = spatial_infer, .forward = spatial_forward, .backward = spatial_backward,
  MGRAD_EXAMPLES({ .shapes = { { 3, 5 } } },
                 { .shapes = { { 2, 4, 3 } }, .attrs = { { "p", 0.2 } } },
                 { .shapes = { { 1, 6, 2, 5 } }, .attrs = { { "p", 0 } } }) };
