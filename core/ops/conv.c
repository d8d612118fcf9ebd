/*
** conv.c - convolution over one or two dimensions, and its transpose.
**
** Both move numbers between a large picture {c, h, w} and a small one {o, oh, ow} that
** has one number for each window: 'shrink' sums over windows, 'grow' spreads over
** them. Convolution shrinks and its gradient grows; the transpose is the other way
** round. The gradient of the weight {o, c, kh, kw} is the same for both. All sizes
** here are those of one group.
*/
#include "conv.h"

enum { STRIDE, PADDING, DILATION, GROUPS, ACT, OUTPUT_PADDING = ACT };

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

/* What conv puts on top, or NULL. */
static const mgrad_op *activation(const mgrad_call *call) {
  if (call->op->id != MGRAD_ID_conv) return NULL;
  int act = (int)call->attrs->value[ACT];
  return act >= 0 ? call->ctx->code->ops[act] : NULL;
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

/* ---- scratch ---- */

static mgrad_room room_to_shrink(const conv *c) {
  mgrad_planes p = large_planes(c);
  return (mgrad_room){ 2 * integers(taps(c)) + c->groups * mgrad_windows_packed(c->o, taps(c)),
                 round_16(mgrad_planes_size(&p)) +
                 mgrad_windows_work(c->h.small, c->w.small, p.width) };
}

static mgrad_room room_to_grow(const conv *c) {
  mgrad_planes large = large_planes(c), small = small_planes(c);
  int64_t k = c->o * kernel_size(c);
  return (mgrad_room){ 2 * integers(k) + integers(plane_count(c) + 1) +
                 c->groups * mgrad_windows_packed(c->c, k + plane_count(c)),
                 round_16(mgrad_planes_size(&small)) +
                 mgrad_windows_work(large.rows, large.width, small.width) };
}

static int64_t numbers(const mgrad_call *call, mgrad_room r) {
  return r.shared + mgrad_threads(call->ctx) * r.own;
}

/* The gradient before the activation, of the pictures that are gone back from at once. */
static int64_t slope_numbers(const mgrad_call *call, const conv *c) {
  int64_t each = mgrad_shape_numel(call->y) / c->n;
  return activation(call) != NULL ? round_16(mgrad_conv_together(c) * each) : 0;
}

static mgrad_room room_to_go_back(const mgrad_call *call, const conv *c, mgrad_room data) {
  mgrad_room weight = mgrad_conv_room(c);
  return (mgrad_room){ data.shared + weight.shared,
                 slope_numbers(call, c) + (data.own > weight.own ? data.own : weight.own) };
}

/* ---- what is moved from picture to picture ---- */

/* What is known of windows over planes; where strides part them, not which are zeros. */
static mgrad_windows windows_over(mgrad_pool *pool, mgrad_planes p) {
  bool whole = p.stride_h * p.stride_w == 1;
  return (mgrad_windows){ .pool = pool, .width = p.width, .channels = p.channels,
                          .from = whole ? p.pad_h * p.width : 0,
                          .to = whole ? (p.pad_h + p.h) * p.width : INT64_MAX };
}

typedef struct moving {
  const mgrad_call *call;
  const conv *c;
  void (*one)(const struct moving *v, int64_t i, const mgrad_real *from, mgrad_real *own,
              int worker);
  const mgrad_real *bias, *packed;
  mgrad_real *to;
  int64_t packed_size; /* of a group */
  bool add;
  mgrad_room room;
  mgrad_windows windows;
  const int64_t *at, *starts;
} moving;

/* Are the weights to be packed, or have they been? */
static bool packs(const moving *v) {
  return mgrad_pool_piece(v->windows.pool, 0, 8 * v->c->groups * weights(v->c));
}

/* ---- shrink: from the large pictures to the small ones ---- */

static void shrink(const moving *v, int64_t i, const mgrad_real *from, mgrad_real *own,
                   int worker) {
  const conv *c = v->c;
  mgrad_planes planes = large_planes(c);
  mgrad_windows w = v->windows;
  w.worker = worker;
  for (int64_t g = 0; g < c->groups; g++) {
    mgrad_target to = { .data = v->to + (i * c->groups + g) * small_size(c),
                        .channel = c->h.small * c->w.small, .row = c->w.small, .col = 1,
                        .row_to = c->h.small, .col_to = c->w.small, .add = v->add };
    code_of(v->call)->fill(&planes, from + g * large_size(c), own);
    code_of(v->call)->run(&w, own, v->packed + g * v->packed_size,
                      own + round_16(mgrad_planes_size(&planes)), &to);
  }
}

static void prepare_to_shrink(moving *v, mgrad_real *work) {
  const conv *c = v->c;
  int64_t k = taps(c), *at = (int64_t *)(void *)work;
  int64_t *from = (int64_t *)(void *)(work + integers(k));
  mgrad_real *packed = work + 2 * integers(k);
  v->one = shrink;
  v->room = room_to_shrink(c);
  v->packed = packed;
  v->packed_size = mgrad_windows_packed(c->o, k);
  v->windows = windows_over(v->call->ctx->pool, large_planes(c));
  v->windows.m = c->o, v->windows.k = k, v->windows.at = at;
  v->windows.rows = c->h.small, v->windows.cols = c->w.small;
  locate_taps(c, at);
  for (int64_t i = 0; i < k; i++) from[i] = i;
  code_of(v->call)->choose(&v->windows, !v->add);
  for (int64_t g = 0, end = packs(v) ? c->groups : 0; g < end; g++)
    code_of(v->call)->pack(&v->windows, v->call->x[1]->data + g * weights(c), from, k,
                           v->bias != NULL ? v->bias + g * c->o : NULL,
                           packed + g * v->packed_size);
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

static void grow(const moving *v, int64_t i, const mgrad_real *from, mgrad_real *own,
                 int worker) {
  const conv *c = v->c;
  mgrad_planes planes = small_planes(c);
  for (int64_t g = 0; g < c->groups; g++) {
    mgrad_real *to = v->to + (i * c->groups + g) * large_size(c);
    if (mgrad_pool_piece(v->windows.pool, worker, large_size(c)))
      fill_rest(v, to, v->bias != NULL ? v->bias + g * c->c : NULL);
    code_of(v->call)->fill(&planes, from + g * small_size(c), own);
    for (int64_t q = 0; q < plane_count(c); q++) {
      mgrad_windows w = v->windows;
      w.k = v->starts[q + 1] - v->starts[q];
      w.at = v->at + v->starts[q];
      w.worker = worker;
      mgrad_target t = target_of_plane(v, to, q / c->w.stride, q % c->w.stride);
      code_of(v->call)->run(&w, own, v->packed + g * v->packed_size +
                        mgrad_windows_packed(c->c, v->starts[q] + q - 1),
                        own + round_16(mgrad_planes_size(&planes)), &t);
    }
  }
}

static void prepare_to_grow(moving *v, mgrad_real *work) {
  const conv *c = v->c;
  int64_t k = c->o * kernel_size(c), n = plane_count(c);
  int64_t *at = (int64_t *)(void *)work;
  int64_t *from = (int64_t *)(void *)(work + integers(k));
  int64_t *starts = (int64_t *)(void *)(work + 2 * integers(k));
  mgrad_real *packed = work + 2 * integers(k) + integers(n + 1);
  mgrad_planes p = large_planes(c);
  v->one = grow;
  v->room = room_to_grow(c);
  v->packed = packed;
  v->packed_size = mgrad_windows_packed(c->c, k + n);
  v->at = at, v->starts = starts;
  v->windows = windows_over(v->call->ctx->pool, small_planes(c));
  v->windows.m = c->c, v->windows.rows = p.rows, v->windows.cols = p.width;
  code_of(v->call)->choose(&v->windows, !v->add && p.stride_w == 1);
  starts[0] = 0;
  bool anew = packs(v);
  for (int64_t q = 0; q < n; q++) {
    mgrad_windows w = v->windows;
    int64_t first = starts[q];
    w.k = taps_of_plane(c, q / c->w.stride, q % c->w.stride, at + first, from + first);
    starts[q + 1] = first + w.k;
    for (int64_t g = 0; g < c->groups && anew; g++)
      code_of(v->call)->pack(&w, v->call->x[1]->data + g * weights(c), from + first,
                             kernel_size(c), v->bias != NULL ? v->bias + g * c->c : NULL,
                             packed + g * v->packed_size +
                             mgrad_windows_packed(c->c, first + q - 1));
  }
}

/* ---- there and back ---- */

typedef void (*prepare_fn)(moving *v, mgrad_real *work);

/* Multiplications for one picture. */
static double work_of(const conv *c) {
  return (double)c->groups * (double)weights(c) * (double)c->h.small * (double)c->w.small;
}

/* Calls f for each part, by the other threads too where it pays to wake them. */
static void share(const mgrad_call *call, const conv *c, int64_t parts, mgrad_part_fn f,
                  void *ud) {
  mgrad_pool_run(call->ctx->pool, (double)c->n * work_of(c), parts, f, ud);
}

/* Numbers of one picture of x or y. */
static int64_t picture_size(const mgrad_array *x) { return mgrad_shape_numel(x) / x->size[0]; }

static void forward_picture(void *ud, int64_t part, int worker) {
  const moving *v = ud;
  const mgrad_call *call = v->call;
  int64_t n = picture_size(call->y);
  mgrad_real *y = call->y->data + part * n;
  v->one(v, part, call->x[0]->data + part * picture_size(call->x[0]),
         call->work + v->room.shared + worker * v->room.own, worker);
  const mgrad_op *act = activation(call);
  if (act == NULL || !mgrad_pool_piece(call->ctx->pool, worker, 16 * n)) return;
  double p[MGRAD_MAX_ATTRS];
  mgrad_attrs_initial(mgrad_op_attrs(act), p);
  act->map.forward(n, y, y, p);
}

static void forward(const mgrad_call *call, const conv *c, prepare_fn prepare) {
  moving v = { .call = call, .c = c, .to = call->y->data,
               .bias = call->x[2] != NULL ? call->x[2]->data : NULL };
  prepare(&v, call->work);
  share(call, c, c->n, forward_picture, &v);
}

typedef struct backing {
  moving move;
  mgrad_weighing weigh;
  mgrad_room room;
  bool transposed;
} backing;

/* dy of 'count' pictures before the activation. */
static const mgrad_real *slope(const mgrad_call *call, int64_t first, int64_t count,
                               mgrad_real *to) {
  const mgrad_op *act = activation(call);
  int64_t n = picture_size(call->y);
  const mgrad_real *dy = call->dy + first * n, *y = call->y->data + first * n;
  if (act == NULL) return dy;
  double p[MGRAD_MAX_ATTRS];
  mgrad_attrs_initial(mgrad_op_attrs(act), p);
  act->map.backward(count * n, y, y, dy, to, p);
  return to;
}

/* All that belongs to one block of pictures: a few of them at once, near in the cache. */
static void backward_block(void *ud, int64_t part, int worker) {
  const backing *b = ud;
  const mgrad_call *call = b->move.call;
  const conv *c = b->move.c;
  int64_t blocks = mgrad_conv_blocks(c), each = (c->n + blocks - 1) / blocks;
  int64_t end = mgrad_min_size((part + 1) * each, c->n), most = mgrad_conv_together(c);
  mgrad_real *own = call->work + b->room.shared + worker * b->room.own;
  mgrad_real *rest = own + slope_numbers(call, c);
  int64_t work = (int64_t)(2 * work_of(c) * (double)most);
  for (int64_t i = part * each, n; i < end; i += n) {
    n = mgrad_min_size(most, end - i);
    if (!mgrad_pool_enters(call->ctx->pool, worker, work)) continue;
    const mgrad_real *dz = slope(call, i, n, own);
    const mgrad_real *x = call->x[0]->data + i * picture_size(call->x[0]);
    for (int64_t j = 0; j < n && call->dx[0] != NULL; j++)
      b->move.one(&b->move, i + j, dz + j * picture_size(call->y), rest, worker);
    mgrad_conv_weigh(&b->weigh, part, n, b->transposed ? dz : x, b->transposed ? x : dz,
                     b->transposed, rest, worker);
    mgrad_pool_leaves(call->ctx->pool, worker);
  }
}

static void backward(const mgrad_call *call, const conv *c, prepare_fn prepare,
                     mgrad_room data) {
  bool transposed = prepare == prepare_to_shrink;
  backing b = { .move = { .call = call, .c = c, .to = call->dx[0], .add = call->add[0] },
                .weigh = { call, c, call->work + data.shared },
                .room = room_to_go_back(call, c, data), .transposed = transposed };
  if (call->dx[0] != NULL) prepare(&b.move, call->work);
  mgrad_pool *pool = call->ctx->pool;
  if (mgrad_pool_piece(pool, 0, weights(c))) mgrad_conv_weigh_begin(&b.weigh);
  share(call, c, mgrad_conv_blocks(c), backward_block, &b);
  if (mgrad_pool_piece(pool, 0, weights(c))) mgrad_conv_weigh_end(&b.weigh);
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
  const mgrad_op *act = activation(call);
  if (act != NULL && !mgrad_op_fusible(act))
    return mgrad_op_fail(call, "%s cannot be fused: its slope needs its input", act->name);
  call->nwork = numbers(call, room_to_shrink(&c));
  call->nwork_backward = numbers(call, room_to_go_back(call, &c, room_to_grow(&c)));
  return MGRAD_OK;
}

static void conv_forward(mgrad_call *call) {
  conv c = describe_conv(call);
  forward(call, &c, prepare_to_shrink);
}

static void conv_backward(mgrad_call *call) {
  conv c = describe_conv(call);
  backward(call, &c, prepare_to_grow, room_to_grow(&c));
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
  call->nwork_backward = numbers(call, room_to_go_back(call, &c, room_to_shrink(&c)));
  return MGRAD_OK;
}

static void conv_transpose_forward(mgrad_call *call) {
  conv c = describe_transpose(call);
  forward(call, &c, prepare_to_grow);
}

static void conv_transpose_backward(mgrad_call *call) {
  conv c = describe_transpose(call);
  backward(call, &c, prepare_to_shrink, room_to_shrink(&c));
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
  MGRAD_NAMED(conv), .operands = "x weight bias?", .reads = 3 | MGRAD_READS_Y,
  .doc = "convolution of {n, in, l} or {n, in, h, w} by weight {out, in / groups, ..}",
  MGRAD_ATTRS(SHARED_ATTRS("same"), { .name = "act", .type = MGRAD_ATTR_ACT, .initial = -1,
                                      .doc = "what the sum goes through" }),
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
