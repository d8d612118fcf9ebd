/*
** conv.c - convolution over one or two dimensions, and its transpose.
**
** Both move numbers between a large picture {c, h, w} and a small one {o, oh, ow} that
** has one number for each window: 'shrink' sums over windows, 'grow' spreads over
** them. Convolution shrinks and its gradient grows; the transpose is the other way
** round. The gradient of the weight {o, c, kh, kw} is the same for both. All sizes
** here are those of one group.
*/
#include "../op.h"
#include "../kernels/maths.h"
#include "../kernels/windows.h"

enum { STRIDE, PADDING, DILATION, GROUPS, OUTPUT_PADDING };
enum {
  MOST_BLOCKS = 8,      /* of pictures that share in the gradient of the weight */
  TOGETHER = 1 << 14,   /* numbers of pictures whose gradients are summed in registers */
  WAKING = 1 << 20      /* multiplications that pay for waking a thread */
};

/* One axis: 'large' numbers, 'small' windows of 'kernel' numbers. */
typedef struct axis {
  int64_t large, small, kernel, stride, dilation, pad;
  int64_t reach; /* of a window, in strides */
} axis;

typedef struct conv {
  int64_t n, groups, c, o;
  axis h, w;
} conv;

/* ---- what the operands and options say ---- */

static int64_t span(const axis *a) { return (a->kernel - 1) * a->dilation + 1; }

/* Windows within 'large' numbers; with padding "same" as many as strides. */
static void count_windows(axis *a, bool same) {
  int64_t free = a->large + 2 * a->pad - span(a);
  if (same) {
    a->small = (a->large + a->stride - 1) / a->stride;
    int64_t missing = (a->small - 1) * a->stride + span(a) - a->large;
    a->pad = missing > 0 ? missing / 2 : 0;
  } else {
    a->small = free < 0 ? 0 : free / a->stride + 1;
  }
}

static void finish_axis(axis *a) {
  int64_t all = a->large + 2 * a->pad + 1; /* a longer stride is no different */
  if (a->stride > all) a->stride = all;
  a->reach = (a->kernel - 1) * a->dilation / a->stride;
}

/* Axis 'd' from the end: 1 is w, 2 is h, which may not be there. */
static axis take_axis(const mgrad_call *call, int d) {
  const mgrad_array *weight = call->x[1];
  const double *v = call->attrs->value;
  if (weight->ndim - d < 2) return (axis){ .kernel = 1, .stride = 1, .dilation = 1 };
  bool same = v[PADDING] < 0;
  return (axis){ .kernel = weight->size[weight->ndim - d],
                 .stride = MGRAD_PAIR_AT(v[STRIDE], d),
                 .dilation = MGRAD_PAIR_AT(v[DILATION], d),
                 .pad = same ? 0 : MGRAD_PAIR_AT(v[PADDING], d) };
}

static int64_t size_from_end(const mgrad_array *x, int d, int ndim) {
  return ndim - d < 2 ? 1 : x->size[ndim - d];
}

static conv describe(const mgrad_call *call) {
  const mgrad_array *x = call->x[0], *weight = call->x[1];
  conv c = { .n = x->size[0], .groups = (int64_t)call->attrs->value[GROUPS],
             .c = weight->size[1], .h = take_axis(call, 2), .w = take_axis(call, 1) };
  c.o = weight->size[0] / c.groups;
  return c;
}

static conv describe_conv(const mgrad_call *call) {
  conv c = describe(call);
  bool same = call->attrs->value[PADDING] < 0;
  for (int d = 1; d <= 2; d++) {
    axis *a = d == 1 ? &c.w : &c.h;
    a->large = size_from_end(call->x[0], d, call->x[0]->ndim);
    count_windows(a, same);
    finish_axis(a);
  }
  return c;
}

static conv describe_transpose(const mgrad_call *call) {
  conv c = describe(call);
  double more = call->attrs->value[OUTPUT_PADDING];
  int ndim = call->x[0]->ndim;
  for (int d = 1; d <= 2; d++) {
    axis *a = d == 1 ? &c.w : &c.h;
    a->small = size_from_end(call->x[0], d, ndim);
    a->large = (a->small - 1) * a->stride - 2 * a->pad + span(a) +
               (ndim - d < 2 ? 0 : MGRAD_PAIR_AT(more, d));
    finish_axis(a);
  }
  return c;
}

/* ---- sizes ---- */

static int64_t large_size(const conv *c) { return c->c * c->h.large * c->w.large; }
static int64_t small_size(const conv *c) { return c->o * c->h.small * c->w.small; }
static int64_t kernel_size(const conv *c) { return c->h.kernel * c->w.kernel; }
static int64_t taps(const conv *c) { return c->c * kernel_size(c); }
static int64_t weights(const conv *c) { return c->o * taps(c); }
static int64_t round_16(int64_t n) { return (n + 15) / 16 * 16; }

/* The large picture, parted so that windows are plain. */
static mgrad_planes large_planes(const conv *c) {
  return (mgrad_planes){ c->c, c->h.large, c->w.large, c->h.stride, c->w.stride, c->h.pad,
                         c->w.pad, c->h.small + c->h.reach, c->w.small + c->w.reach };
}

/* The small picture with the room around it that windows reach into. */
static mgrad_planes small_planes(const conv *c) {
  return (mgrad_planes){ c->o, c->h.small, c->w.small, 1, 1, c->h.reach, c->w.reach,
                         c->h.small + 2 * c->h.reach, c->w.small + 2 * c->w.reach };
}

static int64_t plane_count(const conv *c) { return c->h.stride * c->w.stride; }

/* Numbers that hold n integers. */
static int64_t integers(int64_t n) {
  return round_16(n * (int64_t)(sizeof(int64_t) / sizeof(mgrad_real)));
}

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

/* Pictures whose share in the gradient is summed in registers: by size alone. */
static int64_t together(const conv *c, int64_t block) {
  mgrad_planes p = large_planes(c);
  int64_t each = mgrad_planes_size(&p) + spread_numbers(c);
  return each >= TOGETHER ? 1 : mgrad_min_size(TOGETHER / each, block);
}

static int64_t blocks(const conv *c) { return mgrad_min_size(c->n, MOST_BLOCKS); }
static int64_t block_pictures(const conv *c) {
  return (c->n + blocks(c) - 1) / blocks(c);
}

/* Numbers of one block: the gradients of the weight and of the bias. */
static int64_t block_sums(const conv *c) {
  return c->groups * (sum_numbers(c) + (c->o > c->c ? c->o : c->c));
}

/* Scratch: what all threads read, then as much again for each of them. */
typedef struct room { int64_t shared, own; } room;

static room room_to_shrink(const conv *c) {
  mgrad_planes p = large_planes(c);
  return (room){ 2 * integers(taps(c)) + c->groups * mgrad_windows_packed(c->o, taps(c)),
                 round_16(mgrad_planes_size(&p)) +
                 mgrad_windows_work(c->h.small, c->w.small, p.width) };
}

static room room_to_grow(const conv *c) {
  mgrad_planes large = large_planes(c), small = small_planes(c);
  int64_t k = c->o * kernel_size(c);
  return (room){ 2 * integers(k) + integers(plane_count(c) + 1) +
                 c->groups * mgrad_windows_packed(c->c, k + plane_count(c)),
                 round_16(mgrad_planes_size(&small)) +
                 mgrad_windows_work(large.rows, large.width, small.width) };
}

static room room_for_weight(const conv *c) {
  mgrad_planes p = large_planes(c);
  return (room){ integers(taps(c)) + round_16(blocks(c) * block_sums(c)),
                 together(c, block_pictures(c)) *
                 (round_16(mgrad_planes_size(&p)) + spread_numbers(c)) };
}

static int64_t numbers(const mgrad_call *call, room r) {
  return r.shared + mgrad_threads(call->ctx) * r.own;
}

static int64_t backward_numbers(const mgrad_call *call, const conv *c, room data) {
  int64_t a = numbers(call, data), b = numbers(call, room_for_weight(c));
  return a > b ? a : b;
}

/* ---- shrink: from the large pictures to the small ones ---- */

/* Where the taps begin in the planes of the large picture. */
static void locate_taps(const conv *c, int64_t *at) {
  mgrad_planes p = large_planes(c);
  for (int64_t k = 0; k < taps(c); k++) {
    int64_t i = k / c->w.kernel % c->h.kernel * c->h.dilation;
    int64_t j = k % c->w.kernel * c->w.dilation;
    int64_t plane = (k / kernel_size(c) * c->h.stride + i % c->h.stride) * c->w.stride +
                    j % c->w.stride;
    at[k] = (plane * p.rows + i / c->h.stride) * p.width + j / c->w.stride;
  }
}

/* What is known of windows over planes; where strides part them, not which are zeros. */
static mgrad_windows windows_over(mgrad_planes p) {
  bool whole = p.stride_h * p.stride_w == 1;
  return (mgrad_windows){ .width = p.width, .channels = p.channels,
                          .from = whole ? p.pad_h * p.width : 0,
                          .to = whole ? (p.pad_h + p.h) * p.width : INT64_MAX };
}

/* What is moved from picture to picture. */
typedef struct moving {
  const conv *c;
  const mgrad_real *from, *bias, *packed;
  mgrad_real *to, *own;
  int64_t own_size, packed_size; /* of a thread, of a group */
  bool add;
  mgrad_windows windows;
  const int64_t *at, *starts;
} moving;

static void shrink_picture(void *ud, int64_t part, int worker) {
  const moving *v = ud;
  const conv *c = v->c;
  mgrad_planes planes = large_planes(c);
  mgrad_real *own = v->own + worker * v->own_size;
  for (int64_t g = 0; g < c->groups; g++) {
    int64_t i = part * c->groups + g;
    mgrad_target to = { .data = v->to + i * small_size(c), .channel = c->h.small * c->w.small,
                        .row = c->w.small, .col = 1, .row_to = c->h.small,
                        .col_to = c->w.small, .add = v->add };
    mgrad_planes_fill(&planes, v->from + i * large_size(c), own);
    mgrad_windows_run(&v->windows, own, v->packed + g * v->packed_size,
                      own + round_16(mgrad_planes_size(&planes)), &to);
  }
}

/* Calls f for each part, by the other threads too where it pays to wake them. */
static void share(const mgrad_call *call, const conv *c, int64_t parts, mgrad_part_fn f,
                  void *ud) {
  double work = (double)c->n * (double)c->groups * (double)weights(c) *
                (double)c->h.small * (double)c->w.small;
  mgrad_pool_run(call->ctx->pool, work >= WAKING, parts, f, ud);
}

static void shrink(const mgrad_call *call, const conv *c, const mgrad_real *large,
                   const mgrad_real *weight, const mgrad_real *bias, mgrad_real *small,
                   bool add) {
  room r = room_to_shrink(c);
  int64_t k = taps(c), *at = (int64_t *)(void *)call->work;
  int64_t *from = (int64_t *)(void *)(call->work + integers(k));
  mgrad_real *packed = call->work + 2 * integers(k);
  moving v = { .c = c, .from = large, .to = small, .add = add, .packed = packed,
               .packed_size = mgrad_windows_packed(c->o, k), .own = call->work + r.shared,
               .own_size = r.own };
  v.windows = windows_over(large_planes(c));
  v.windows.m = c->o, v.windows.k = k, v.windows.at = at;
  v.windows.rows = c->h.small, v.windows.cols = c->w.small;
  locate_taps(c, at);
  for (int64_t i = 0; i < k; i++) from[i] = i;
  mgrad_windows_choose(&v.windows, !add);
  for (int64_t g = 0; g < c->groups; g++)
    mgrad_windows_pack(&v.windows, weight + g * weights(c), from, k,
                       bias != NULL ? bias + g * c->o : NULL, packed + g * v.packed_size);
  share(call, c, c->n, shrink_picture, &v);
}

/* ---- grow: from the small pictures to the large ones, plane by plane ---- */

/* The taps that reach plane (a, b): where they begin in the small picture and in the
** weight; returns how many there are. */
static int64_t taps_of_plane(const conv *c, int64_t a, int64_t b, int64_t *at,
                             int64_t *from) {
  mgrad_planes p = small_planes(c);
  int64_t n = 0;
  for (int64_t o = 0; o < c->o; o++)
    for (int64_t k = 0; k < kernel_size(c); k++) {
      int64_t i = k / c->w.kernel * c->h.dilation, j = k % c->w.kernel * c->w.dilation;
      if (i % c->h.stride != a || j % c->w.stride != b) continue;
      at[n] = (o * p.rows + p.pad_h - i / c->h.stride) * p.width + p.pad_w - j / c->w.stride;
      from[n++] = o * taps(c) + k;
    }
  return n;
}

/* What no window reaches. */
static void fill_rest(const moving *v, mgrad_real *to, const mgrad_real *bias) {
  const conv *c = v->c;
  mgrad_planes p = large_planes(c);
  bool all = p.rows * p.stride_h - p.pad_h >= p.h && p.width * p.stride_w - p.pad_w >= p.w;
  if (all || v->add) return;
  for (int64_t i = 0; i < c->c; i++, to += p.h * p.w)
    for (int64_t j = 0; j < p.h * p.w; j++) to[j] = bias != NULL ? bias[i] : 0;
}

/* Plane (a, b) of the large picture. */
static mgrad_target target_of_plane(const moving *v, mgrad_real *to, int64_t a, int64_t b) {
  mgrad_planes p = large_planes(v->c);
  int64_t top = a - p.pad_h, left = b - p.pad_w;
  return (mgrad_target){ .data = to + top * p.w + left, .channel = p.h * p.w,
                         .row = p.stride_h * p.w, .col = p.stride_w, .add = v->add,
                         .row_from = mgrad_first_inside(p.rows, p.stride_h, top),
                         .row_to = mgrad_first_beyond(p.rows, p.stride_h, top, p.h),
                         .col_from = mgrad_first_inside(p.width, p.stride_w, left),
                         .col_to = mgrad_first_beyond(p.width, p.stride_w, left, p.w) };
}

static void grow_picture(void *ud, int64_t part, int worker) {
  const moving *v = ud;
  const conv *c = v->c;
  mgrad_planes planes = small_planes(c);
  mgrad_real *own = v->own + worker * v->own_size;
  for (int64_t g = 0; g < c->groups; g++) {
    int64_t i = part * c->groups + g;
    mgrad_real *to = v->to + i * large_size(c);
    fill_rest(v, to, v->bias != NULL ? v->bias + g * c->c : NULL);
    mgrad_planes_fill(&planes, v->from + i * small_size(c), own);
    for (int64_t q = 0; q < plane_count(c); q++) {
      mgrad_windows w = v->windows;
      w.k = v->starts[q + 1] - v->starts[q];
      w.at = v->at + v->starts[q];
      mgrad_target t = target_of_plane(v, to, q / c->w.stride, q % c->w.stride);
      mgrad_windows_run(&w, own, v->packed + g * v->packed_size +
                        mgrad_windows_packed(c->c, v->starts[q] + q - 1),
                        own + round_16(mgrad_planes_size(&planes)), &t);
    }
  }
}

static void grow(const mgrad_call *call, const conv *c, const mgrad_real *small,
                 const mgrad_real *weight, const mgrad_real *bias, mgrad_real *large,
                 bool add) {
  room r = room_to_grow(c);
  int64_t k = c->o * kernel_size(c), n = plane_count(c);
  int64_t *at = (int64_t *)(void *)call->work;
  int64_t *from = (int64_t *)(void *)(call->work + integers(k));
  int64_t *starts = (int64_t *)(void *)(call->work + 2 * integers(k));
  mgrad_real *packed = call->work + 2 * integers(k) + integers(n + 1);
  moving v = { .c = c, .from = small, .to = large, .add = add, .bias = bias,
               .packed = packed, .packed_size = mgrad_windows_packed(c->c, k + n),
               .own = call->work + r.shared, .own_size = r.own, .at = at, .starts = starts };
  mgrad_planes p = large_planes(c);
  v.windows = windows_over(small_planes(c));
  v.windows.m = c->c, v.windows.rows = p.rows, v.windows.cols = p.width;
  mgrad_windows_choose(&v.windows, !add && p.stride_w == 1);
  starts[0] = 0;
  for (int64_t q = 0; q < n; q++) {
    mgrad_windows w = v.windows;
    int64_t first = starts[q];
    w.k = taps_of_plane(c, q / c->w.stride, q % c->w.stride, at + first, from + first);
    starts[q + 1] = first + w.k;
    for (int64_t g = 0; g < c->groups; g++)
      mgrad_windows_pack(&w, weight + g * weights(c), from + first, kernel_size(c),
                         bias != NULL ? bias + g * c->c : NULL,
                         packed + g * v.packed_size +
                         mgrad_windows_packed(c->c, first + q - 1));
  }
  share(call, c, c->n, grow_picture, &v);
}

/* ---- the gradient of the weight ---- */

typedef struct weighing {
  const mgrad_call *call;
  const conv *c;
  const mgrad_real *large, *small;
  mgrad_real *sums, *own;
  int64_t own_size;
  const int64_t *at;
} weighing;

/* A small picture {o, h, w} with its rows as far apart as those of the planes, zeros
** between; or as {h, w, 16} for each 16 results. */
static void spread(const conv *c, const mgrad_real *x, mgrad_real *to) {
  int64_t width = large_planes(c).width, cols = c->w.small, all = c->h.small * cols;
  memset(to, 0, (size_t)spread_numbers(c) * sizeof *to);
  if (by_channel(c)) {
    for (int64_t o = 0; o < c->o; o += 16, to += 16 * all)
      mgrad_pack(all, mgrad_min_size(16, c->o - o), (mgrad_matrix){ x + o * all, 1, all }, to,
                 16);
    return;
  }
  for (int64_t o = 0; o < c->o; o++, to += position_numbers(c), x += all)
    mgrad_pack(c->h.small, cols, (mgrad_matrix){ x, cols, 1 }, to, width);
}

/* Adds the share of 'count' pictures from 'first' on, in one group. */
static void weigh_pictures(const weighing *v, int64_t first, int64_t count, int64_t group,
                           mgrad_real *own, mgrad_real *sum) {
  const conv *c = v->c;
  mgrad_planes planes = large_planes(c);
  int64_t size = round_16(mgrad_planes_size(&planes)), d_size = spread_numbers(c);
  mgrad_real *d = own + count * size;
  for (int64_t i = 0; i < count; i++) {
    int64_t picture = (first + i) * c->groups + group;
    mgrad_planes_fill(&planes, v->large + picture * large_size(c), own + i * size);
    spread(c, v->small + picture * small_size(c), d + i * d_size);
  }
  mgrad_window_sums s = { .m = c->o, .k = taps(c), .rows = c->h.small, .cols = c->w.small,
                          .width = planes.width, .by_channel = by_channel(c), .at = v->at,
                          .size = position_numbers(c), .pictures = count, .planes = own,
                          .d = d, .planes_step = size, .d_step = d_size };
  mgrad_windows_gradient(&s, sum);
}

/* Adds the sums of all channels of dy over 'count' pictures from 'first' on. */
static void weigh_bias(const mgrad_call *call, int64_t first, int64_t count, mgrad_real *sum) {
  int64_t channels = call->y->size[1];
  int64_t size = mgrad_shape_numel(call->y) / (call->y->size[0] * channels);
  const mgrad_real *dy = call->dy + first * channels * size;
  for (int64_t i = 0; i < count; i++)
    for (int64_t o = 0; o < channels; o++, dy += size) sum[o] += REAL(mgrad_sum(size, dy, 1));
}

static bool wants_bias(const mgrad_call *call) { return call->n > 2 && call->dx[2] != NULL; }

static void weigh_block(void *ud, int64_t part, int worker) {
  const weighing *v = ud;
  const conv *c = v->c;
  int64_t all = block_sums(c), each = block_pictures(c), most = together(c, each);
  int64_t end = mgrad_min_size((part + 1) * each, c->n);
  mgrad_real *sum = v->sums + part * all, *own = v->own + worker * v->own_size;
  memset(sum, 0, (size_t)all * sizeof *sum);
  for (int64_t i = part * each, n; i < end; i += n) {
    n = mgrad_min_size(most, end - i);
    for (int64_t g = 0; g < c->groups && v->call->dx[1] != NULL; g++)
      weigh_pictures(v, i, n, g, own, sum + g * sum_numbers(c));
    if (wants_bias(v->call)) weigh_bias(v->call, i, n, sum + c->groups * sum_numbers(c));
  }
}

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

/* The gradients of weight and bias: those that are wanted. */
static void weigh(const mgrad_call *call, const conv *c, const mgrad_real *large,
                  const mgrad_real *small) {
  room r = room_for_weight(c);
  int64_t *at = (int64_t *)(void *)call->work;
  weighing v = { .call = call, .c = c, .large = large, .small = small, .at = at,
                 .sums = call->work + integers(taps(c)), .own = call->work + r.shared,
                 .own_size = r.own };
  locate_taps(c, at);
  share(call, c, blocks(c), weigh_block, &v);
  for (int i = 1; i < call->n; i++) mgrad_call_clear(call, i);
  for (int64_t b = 0; b < blocks(c); b++) add_block(call, c, v.sums + b * block_sums(c));
}

/* ---- the ops ---- */

/* Do the operands fit together? */
static mgrad_status check_shapes(const mgrad_call *call, bool transpose) {
  const mgrad_array *x = call->x[0], *w = call->x[1], *b = call->x[2];
  int64_t groups = (int64_t)call->attrs->value[GROUPS];
  const char *expected = transpose ? "{in, out / groups, ..}" : "{out, in / groups, ..}";
  if (w->ndim < 3 || w->ndim > 4 || w->size[0] % groups != 0) {
    return mgrad_op_fail(call, "weight is %a with groups = %d, expected %s with one or two"
                         " kernel sizes", w, groups, expected);
  }
  int64_t in = transpose ? w->size[0] : w->size[1] * groups;
  int64_t out = transpose ? w->size[1] * groups : w->size[0];
  if (x->ndim != w->ndim || x->size[1] != in) {
    return mgrad_op_fail(call, w->ndim == 3 ? "x is %a, expected {n, %d, l} for weight %a"
                         : "x is %a, expected {n, %d, h, w} for weight %a", x, in, w);
  }
  if (b != NULL && (b->ndim != 1 || b->size[0] != out)) {
    return mgrad_op_fail(call, "bias is %a, expected {%d} for weight %a", b, out, w);
  }
  return MGRAD_OK;
}

/* Are sizes of scratch far from the limits of integers? */
static bool fits(const conv *c) {
  double planes = (double)(c->c + c->o) * (double)plane_count(c);
  double rows = (double)(c->h.small + 2 * c->h.reach);
  double width = (double)(c->w.small + 2 * c->w.reach);
  return planes * rows * width < 1e13 && (double)c->groups * (double)weights(c) < 1e13;
}

static void set_shape(const mgrad_call *call, int64_t channels, int64_t h, int64_t w) {
  mgrad_array *y = call->y;
  *y = *call->x[0];
  y->size[1] = channels;
  if (y->ndim == 4) y->size[2] = h;
  y->size[y->ndim - 1] = w;
}

static mgrad_status conv_infer(mgrad_call *call) {
  MGRAD_TRY(check_shapes(call, false));
  conv c = describe_conv(call);
  if (c.h.small < 1 || c.w.small < 1) {
    return mgrad_op_fail(call, "x is %a, too small for a window of weight %a", call->x[0],
                         call->x[1]);
  }
  if (!fits(&c)) return mgrad_op_fail(call, "the result is too large");
  set_shape(call, c.groups * c.o, c.h.small, c.w.small);
  call->nwork = numbers(call, room_to_shrink(&c));
  call->nwork_backward = backward_numbers(call, &c, room_to_grow(&c));
  return MGRAD_OK;
}

static const mgrad_real *bias_of(const mgrad_call *call) {
  return call->x[2] != NULL ? call->x[2]->data : NULL;
}

static void conv_forward(mgrad_call *call) {
  conv c = describe_conv(call);
  shrink(call, &c, call->x[0]->data, call->x[1]->data, bias_of(call), call->y->data, false);
}

static void conv_backward(mgrad_call *call) {
  conv c = describe_conv(call);
  if (call->dx[0] != NULL)
    grow(call, &c, call->dy, call->x[1]->data, NULL, call->dx[0], call->add[0]);
  weigh(call, &c, call->x[0]->data, call->dy);
}

static mgrad_status conv_transpose_infer(mgrad_call *call) {
  MGRAD_TRY(check_shapes(call, true));
  conv c = describe_transpose(call);
  const double *v = call->attrs->value;
  for (int d = 1; d <= call->x[0]->ndim - 2; d++) {
    int64_t stride = MGRAD_PAIR_AT(v[STRIDE], d), dilation = MGRAD_PAIR_AT(v[DILATION], d);
    if (MGRAD_PAIR_AT(v[OUTPUT_PADDING], d) >= (stride > dilation ? stride : dilation)) {
      return mgrad_op_fail(call, "output_padding is %d, expected less than stride or"
                           " dilation", (int64_t)MGRAD_PAIR_AT(v[OUTPUT_PADDING], d));
    }
  }
  if (c.h.large < 1 || c.w.large < 1) {
    return mgrad_op_fail(call, "x is %a, too small for weight %a and the padding",
                         call->x[0], call->x[1]);
  }
  if (!fits(&c)) return mgrad_op_fail(call, "the result is too large");
  set_shape(call, c.groups * c.c, c.h.large, c.w.large);
  call->nwork = numbers(call, room_to_grow(&c));
  call->nwork_backward = backward_numbers(call, &c, room_to_shrink(&c));
  return MGRAD_OK;
}

static void conv_transpose_forward(mgrad_call *call) {
  conv c = describe_transpose(call);
  grow(call, &c, call->x[0]->data, call->x[1]->data, bias_of(call), call->y->data, false);
}

static void conv_transpose_backward(mgrad_call *call) {
  conv c = describe_transpose(call);
  if (call->dx[0] != NULL)
    shrink(call, &c, call->dy, call->x[1]->data, NULL, call->dx[0], call->add[0]);
  weigh(call, &c, call->dy, call->x[0]->data);
}

#define SHARED_ATTRS(padding_words)                                                       \
  { .name = "stride", .type = MGRAD_ATTR_PAIR, .initial = MGRAD_PAIR(1, 1), .low = 1,     \
    .high = MGRAD_MOST_PAIR, .doc = "how far a window is from the next" },                \
  { .name = "padding", .type = MGRAD_ATTR_PAIR, .initial = MGRAD_PAIR(0, 0),              \
    .high = MGRAD_MOST_PAIR, .choices = padding_words,                                    \
    .doc = "zeros around x, so many on each side" },                                      \
  { .name = "dilation", .type = MGRAD_ATTR_PAIR, .initial = MGRAD_PAIR(1, 1), .low = 1,   \
    .high = MGRAD_MOST_PAIR, .doc = "how far the numbers of a window are apart" },        \
  { .name = "groups", .type = MGRAD_ATTR_INT, .initial = 1, .low = 1, .high = 1e9,        \
    .doc = "channels fall into so many parts that do not see each other" }

MGRAD_OP(conv) = {
  MGRAD_NAMED(conv), .operands = "x weight bias?", .reads = 3,
  .doc = "convolution of {n, in, l} or {n, in, h, w} by weight {out, in / groups, ..}",
  MGRAD_ATTRS(SHARED_ATTRS("same")),
  .infer = conv_infer, .forward = conv_forward, .backward = conv_backward,
  MGRAD_EXAMPLES(
    { .shapes = { { 2, 3, 6, 5 }, { 4, 3, 3, 2 }, { 4 } },
      .vary = { { "stride", 1, 4 }, { "padding", 0, 3 }, { "dilation", 1, 3 } } },
    { .shapes = { { 2, 3, 7, 5 }, { 4, 3, 3, 2 }, { 4 } },
      .attrs = { { "stride", MGRAD_PAIR(2, 3) }, { "padding", MGRAD_PAIR(1, 2) } } },
    { .shapes = { { 1, 4, 7, 6 }, { 6, 2, 2, 3 }, { -1 } },
      .attrs = { { "dilation", MGRAD_PAIR(3, 2) }, { "padding", -1 }, { "groups", 2 } } },
    { .shapes = { { 2, 3, 5, 6 }, { 3, 1, 2, 2 }, { 3 } },
      .attrs = { { "groups", 3 }, { "stride", MGRAD_PAIR(3, 3) } },
      .vary = { { "stride", 1, 4 }, { "padding", 0, 2 }, { "dilation", 1, 3 } } },
    { .shapes = { { 2, 3, 7 }, { 5, 3, 4 }, { 5 } },
      .attrs = { { "padding", MGRAD_PAIR(2, 2) }, { "stride", MGRAD_PAIR(2, 2) } } },
    { .shapes = { { 9, 1, 1, 1 }, { 13, 1, 1, 1 }, { 13 } } }) };

MGRAD_OP(conv_transpose) = {
  MGRAD_NAMED(conv_transpose), .operands = "x weight bias?", .reads = 3,
  .doc = "transposed convolution of {n, in, l} or {n, in, h, w} by weight"
         " {in, out / groups, ..}",
  MGRAD_ATTRS(SHARED_ATTRS(NULL),
              { .name = "output_padding", .type = MGRAD_ATTR_PAIR,
                .initial = MGRAD_PAIR(0, 0), .high = MGRAD_MOST_PAIR,
                .doc = "so much is added at the end of the result" }),
  .infer = conv_transpose_infer, .forward = conv_transpose_forward,
  .backward = conv_transpose_backward,
  MGRAD_EXAMPLES(
    { .shapes = { { 2, 3, 4, 5 }, { 3, 4, 3, 2 }, { 4 } },
      .vary = { { "stride", 1, 4 }, { "padding", 0, 2 }, { "dilation", 1, 3 },
                { "output_padding", 0, 2 } } },
    { .shapes = { { 2, 3, 4, 3 }, { 3, 2, 3, 4 }, { 2 } },
      .attrs = { { "stride", MGRAD_PAIR(2, 3) }, { "padding", MGRAD_PAIR(1, 2) },
                 { "output_padding", MGRAD_PAIR(1, 0) } } },
    { .shapes = { { 1, 4, 3, 2 }, { 4, 3, 2, 3 }, { -1 } },
      .attrs = { { "dilation", MGRAD_PAIR(3, 2) }, { "groups", 2 } } },
    { .shapes = { { 2, 3, 4 }, { 3, 2, 2 }, { 2 } },
      .attrs = { { "stride", MGRAD_PAIR(3, 3) } } }) };
