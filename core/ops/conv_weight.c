/*
** conv_weight.c - the gradients of the weight and of the bias of a convolution: sums over
** all windows of all pictures.
*/
#include "conv.h"
#include "../kernels/maths.h"

enum {
  MOST_BLOCKS = 8,    /* of pictures */
  TOGETHER = 1 << 14  /* numbers of pictures whose gradients are summed in registers */
};

/* ---- sizes ---- */

/* A row of positions, made up to 16, where the gradient of the weight has vectors of them;
** or does it have vectors of results? */
static int64_t position_numbers(const conv *c) {
  return round_16((c->h.small - 1) * large_planes(c).width + c->w.small);
}
static bool by_channel(const conv *c) {
  return round_16(c->o) * c->h.small * c->w.small < c->o * position_numbers(c);
}

/* A small picture as that gradient reads it, and the gradient in one group. */
static int64_t spread_numbers(const conv *c) {
  return by_channel(c) ? round_16(c->o) * c->h.small * c->w.small : c->o * position_numbers(c);
}
static int64_t sum_numbers(const conv *c) {
  return (by_channel(c) ? round_16(c->o) : c->o) * taps(c);
}

static int64_t planes_numbers(const conv *c) {
  mgrad_planes p = large_planes(c);
  return round_16(mgrad_planes_size(&p));
}

int64_t mgrad_conv_blocks(const conv *c) { return mgrad_min_size(c->n, MOST_BLOCKS); }

int64_t mgrad_conv_together(const conv *c) {
  int64_t each = planes_numbers(c) + spread_numbers(c), blocks = mgrad_conv_blocks(c);
  return each >= TOGETHER ? 1 : mgrad_min_size(TOGETHER / each, (c->n + blocks - 1) / blocks);
}

/* Numbers of one block: the gradient of the weight, then that of the bias. */
static int64_t block_numbers(const conv *c) {
  return c->groups * (sum_numbers(c) + (c->o > c->c ? c->o : c->c));
}

mgrad_room mgrad_conv_room(const conv *c) {
  return (mgrad_room){ integers(taps(c)) + round_16(mgrad_conv_blocks(c) * block_numbers(c)),
                 mgrad_conv_together(c) * (planes_numbers(c) + spread_numbers(c)) };
}

static const int64_t *taps_at(const mgrad_weighing *v) {
  return (const int64_t *)(const void *)v->shared;
}
static mgrad_real *block_sums(const mgrad_weighing *v, int64_t b) {
  return v->shared + integers(taps(v->c)) + b * block_numbers(v->c);
}

void mgrad_conv_weigh_begin(const mgrad_weighing *v) {
  locate_taps(v->c, (int64_t *)(void *)v->shared);
  int64_t n = mgrad_conv_blocks(v->c) * block_numbers(v->c);
  memset(block_sums(v, 0), 0, (size_t)n * sizeof(mgrad_real));
}

/* ---- one block ---- */

static void weigh_group(const mgrad_weighing *v, int64_t group, int64_t count,
                        const mgrad_real *large, const mgrad_real *small, mgrad_real *own,
                        mgrad_real *sum, int worker) {
  const conv *c = v->c;
  const mgrad_window_code *code = code_of(v->call);
  mgrad_planes planes = large_planes(c);
  int64_t size = planes_numbers(c);
  mgrad_real *d = own + count * size;
  mgrad_window_sums s = { .m = c->o, .k = taps(c), .rows = c->h.small, .cols = c->w.small,
                          .width = planes.width, .by_channel = by_channel(c),
                          .at = taps_at(v), .size = position_numbers(c), .pictures = count,
                          .planes = own, .d = d, .planes_step = size,
                          .d_step = spread_numbers(c), .pool = v->call->ctx->pool,
                          .worker = worker };
  for (int64_t i = 0; i < count; i++) {
    int64_t picture = i * c->groups + group;
    code->fill(&planes, large + picture * large_size(c), own + i * size);
    code->spread(&s, small + picture * small_size(c), d + i * s.d_step);
  }
  code->gradient(&s, sum);
}

static bool wants_bias(const mgrad_call *call) { return call->n > 2 && call->dx[2] != NULL; }

/* Adds the sums of all channels of dy. */
static void weigh_bias(const mgrad_call *call, int64_t count, const mgrad_real *dy,
                       mgrad_real *sum) {
  int64_t channels = call->y->size[1];
  int64_t size = mgrad_shape_numel(call->y) / (call->y->size[0] * channels);
  for (int64_t i = 0; i < count; i++)
    for (int64_t o = 0; o < channels; o++, dy += size)
      sum[o] += REAL(code_of(call)->sum(size, dy, 1));
}

void mgrad_conv_weigh(const mgrad_weighing *v, int64_t b, int64_t count,
                      const mgrad_real *large, const mgrad_real *small, bool transposed,
                      mgrad_real *own, int worker) {
  const conv *c = v->c;
  mgrad_real *sum = block_sums(v, b);
  for (int64_t g = 0; g < c->groups; g++, sum += sum_numbers(c))
    if (v->call->dx[1] != NULL) weigh_group(v, g, count, large, small, own, sum, worker);
  if (!wants_bias(v->call)) return;
  if (mgrad_pool_piece(v->call->ctx->pool, worker, count * small_size(c)))
    weigh_bias(v->call, count, transposed ? large : small, sum);
}

/* ---- all blocks ---- */

/* Adds what a block has found. */
static void add_block(const mgrad_call *call, const conv *c, const mgrad_real *sum) {
  int64_t k = taps(c), step = by_channel(c) ? 16 : 1;
  mgrad_real *dw = call->dx[1];
  for (int64_t o = 0; dw != NULL && o < c->groups * c->o; o++) {
    int64_t i = o % c->o;
    const mgrad_real *from = sum + o / c->o * sum_numbers(c) + (i - i % step) * k + i % step;
    for (int64_t t = 0; t < k; t++) *dw++ += from[t * step];
  }
  for (int64_t o = 0; wants_bias(call) && o < call->y->size[1]; o++)
    call->dx[2][o] += sum[c->groups * sum_numbers(c) + o];
}

void mgrad_conv_weigh_end(const mgrad_weighing *v) {
  for (int i = 1; i < v->call->n; i++) mgrad_call_clear(v->call, i);
  for (int64_t b = 0; b < mgrad_conv_blocks(v->c); b++)
    add_block(v->call, v->c, block_sums(v, b));
}
