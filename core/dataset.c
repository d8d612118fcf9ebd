/*
** dataset.c - columns of examples, ranges and orders of them, batches.
**
** A dataset never copies its examples: ranges and shuffles share the sources
** and differ in the order, scaling is a factor and an offset applied when a
** batch is made.
*/
#include "dataset.h"
#include "random.h"
#include "kernels/kernels.h"

#include <math.h>

/* ---- bytes ---- */

struct mgrad_bytes {
  mgrad_context *ctx;
  int64_t refs;
  size_t size;
};

mgrad_status mgrad_bytes_new(mgrad_context *ctx, size_t size, mgrad_bytes **out) {
  if (size > PTRDIFF_MAX - sizeof(mgrad_bytes)) return mgrad_fail_memory(ctx);
  mgrad_bytes *b = mgrad_new(ctx, sizeof *b + size);
  if (b == NULL) return MGRAD_NOMEM;
  *b = (mgrad_bytes){ ctx, 1, size };
  mgrad_object_born(ctx);
  *out = b;
  return MGRAD_OK;
}

mgrad_bytes *mgrad_bytes_retain(mgrad_bytes *b) {
  b->refs++;
  return b;
}

void mgrad_bytes_release(mgrad_bytes *b) {
  if (b == NULL || --b->refs > 0) return;
  mgrad_context *ctx = b->ctx;
  mgrad_free(ctx, b);
  mgrad_object_gone(ctx);
}

unsigned char *mgrad_bytes_data(mgrad_bytes *b) { return (unsigned char *)(b + 1); }
size_t mgrad_bytes_size(const mgrad_bytes *b) { return b->size; }

/* ---- sources ---- */

typedef struct source {
  mgrad_tensor *tensor; /* one of these two */
  mgrad_bytes *bytes;
  size_t first;
  double scale, offset; /* of a byte */
  mgrad_array shape;    /* {n, ..} */
  int64_t width;        /* numbers in one example */
  bool packed;          /* examples of the tensor lie one behind the other */
} source;

struct mgrad_dataset {
  mgrad_context *ctx;
  int64_t refs;
  int64_t first, count;  /* a range of 'order', or of the sources without one */
  mgrad_bytes *order;    /* int64_t positions in the sources, or NULL */
  mgrad_bytes *affine;   /* scale[n] and offset[n] of x as doubles, or NULL */
  mgrad_augment augment; /* all zeros: none */
  source x, y;
};

static mgrad_status open_source(mgrad_context *ctx, const char *name,
                                const mgrad_source *from, source *to) {
  memset(to, 0, sizeof *to);
  if (from->tensor != NULL) {
    to->tensor = from->tensor;
    to->shape = from->tensor->a;
    if (mgrad_tensor_repeats(from->tensor)) {
      return mgrad_fail(ctx, MGRAD_INVALID, "dataset: %s is an expanded view, expected its"
                        " contiguous()", name);
    }
  } else {
    to->bytes = from->bytes;
    to->first = from->first;
    to->scale = from->scale;
    to->offset = from->offset;
    MGRAD_TRY(mgrad_shape_make(ctx, from->ndim, from->size, &to->shape));
  }
  if (to->shape.ndim == 0) {
    return mgrad_fail(ctx, MGRAD_INVALID, "dataset: %s is a single number, expected {n, ..}",
                      name);
  }
  int64_t numel = mgrad_shape_numel(&to->shape);
  to->width = numel / to->shape.size[0];
  to->packed = to->tensor != NULL && mgrad_shape_packed(&to->shape);
  if (to->bytes != NULL && (to->first > to->bytes->size ||
                            (uint64_t)numel > to->bytes->size - to->first)) {
    return mgrad_fail(ctx, MGRAD_INVALID, "dataset: %s needs %d bytes, there are %d", name,
                      numel, (int64_t)(to->bytes->size - to->first));
  }
  return MGRAD_OK;
}

static void hold(mgrad_dataset *d) {
  if (d->x.tensor != NULL) mgrad_tensor_retain(d->x.tensor);
  if (d->y.tensor != NULL) mgrad_tensor_retain(d->y.tensor);
  if (d->x.bytes != NULL) mgrad_bytes_retain(d->x.bytes);
  if (d->y.bytes != NULL) mgrad_bytes_retain(d->y.bytes);
  if (d->order != NULL) mgrad_bytes_retain(d->order);
  if (d->affine != NULL) mgrad_bytes_retain(d->affine);
}

/* A new dataset like 'd', holding all that it points to. */
static mgrad_status derive(const mgrad_dataset *d, mgrad_dataset **out) {
  mgrad_dataset *copy = mgrad_new(d->ctx, sizeof *copy);
  if (copy == NULL) return MGRAD_NOMEM;
  *copy = *d;
  copy->refs = 1;
  hold(copy);
  mgrad_object_born(d->ctx);
  *out = copy;
  return MGRAD_OK;
}

mgrad_status mgrad_dataset_new(mgrad_context *ctx, const mgrad_source *x,
                               const mgrad_source *y, mgrad_dataset **out) {
  mgrad_dataset d = { .ctx = ctx };
  MGRAD_TRY(open_source(ctx, "x", x, &d.x));
  MGRAD_TRY(open_source(ctx, "y", y, &d.y));
  d.count = d.x.shape.size[0];
  if (d.y.shape.size[0] != d.count) {
    return mgrad_fail(ctx, MGRAD_INVALID, "dataset: x is %a and y is %a, expected as many"
                      " examples in both", &d.x.shape, &d.y.shape);
  }
  return derive(&d, out);
}

mgrad_dataset *mgrad_dataset_retain(mgrad_dataset *d) {
  d->refs++;
  return d;
}

void mgrad_dataset_release(mgrad_dataset *d) {
  if (d == NULL || --d->refs > 0) return;
  mgrad_context *ctx = d->ctx;
  mgrad_tensor_release(d->x.tensor);
  mgrad_tensor_release(d->y.tensor);
  mgrad_bytes_release(d->x.bytes);
  mgrad_bytes_release(d->y.bytes);
  mgrad_bytes_release(d->order);
  mgrad_bytes_release(d->affine);
  mgrad_free(ctx, d);
  mgrad_object_gone(ctx);
}

int64_t mgrad_dataset_count(const mgrad_dataset *d) { return d->count; }
int64_t mgrad_dataset_features(const mgrad_dataset *d) { return d->x.width; }

/* ---- ranges, orders, scaling ---- */

static int64_t position(const mgrad_dataset *d, int64_t i) {
  if (d->order == NULL) return d->first + i;
  return ((const int64_t *)(const void *)(d->order + 1))[d->first + i];
}

static mgrad_status check_range(const mgrad_dataset *d, int64_t first, int64_t count) {
  if (first >= 1 && count >= 1 && first <= d->count && count <= d->count - first + 1) {
    return MGRAD_OK;
  }
  return mgrad_fail(d->ctx, MGRAD_INVALID,
                    "dataset: %d examples from %d, expected a part of 1 to %d", count, first,
                    d->count);
}

mgrad_status mgrad_dataset_range(mgrad_dataset *d, int64_t first, int64_t count,
                                 mgrad_dataset **out) {
  MGRAD_TRY(check_range(d, first, count));
  MGRAD_TRY(derive(d, out));
  (*out)->first = d->first + first - 1;
  (*out)->count = count;
  return MGRAD_OK;
}

mgrad_status mgrad_dataset_shuffle(mgrad_dataset *d, mgrad_dataset **out) {
  mgrad_context *ctx = d->ctx;
  mgrad_bytes *order = NULL;
  MGRAD_TRY(mgrad_bytes_new(ctx, (size_t)d->count * sizeof(int64_t), &order));
  mgrad_status status = derive(d, out);
  if (status != MGRAD_OK) {
    mgrad_bytes_release(order);
    return status;
  }
  int64_t *at = (int64_t *)(void *)mgrad_bytes_data(order);
  mgrad_random_permutation(ctx->seed, ctx->stream++, d->count, at);
  for (int64_t i = 0; i < d->count; i++) at[i] = position(d, at[i]);
  mgrad_bytes_release((*out)->order);
  (*out)->order = order;
  (*out)->first = 0;
  return MGRAD_OK;
}

/* How many pairs of scale and offset there are: 0, 1 or one an element. */
static int64_t affine_count(const mgrad_dataset *d) {
  return d->affine == NULL ? 0 : (int64_t)(d->affine->size / (2 * sizeof(double)));
}

static const double *affine_values(const mgrad_dataset *d) {
  return d->affine == NULL ? NULL : (const double *)(const void *)(d->affine + 1);
}

mgrad_status mgrad_dataset_affine(mgrad_dataset *d, int64_t n, const double *scale,
                                  const double *offset, mgrad_dataset **out) {
  if (n != 1 && n != d->x.width) {
    return mgrad_fail(d->ctx, MGRAD_INVALID,
                      "dataset: %d factors, expected 1, or %d, one for each element of x", n,
                      d->x.width);
  }
  int64_t before = affine_count(d), all = n > before ? n : before;
  const double *old = affine_values(d);
  mgrad_bytes *affine = NULL;
  MGRAD_TRY(mgrad_bytes_new(d->ctx, (size_t)all * 2 * sizeof(double), &affine));
  mgrad_status status = derive(d, out);
  if (status != MGRAD_OK) {
    mgrad_bytes_release(affine);
    return status;
  }
  double *to = (double *)(void *)mgrad_bytes_data(affine);
  for (int64_t i = 0; i < all; i++) {
    int64_t j = n == 1 ? 0 : i, k = before == 1 ? 0 : i;
    to[i] = scale[j] * (old != NULL ? old[k] : 1);
    to[all + i] = scale[j] * (old != NULL ? old[before + k] : 0) + offset[j];
  }
  mgrad_bytes_release((*out)->affine);
  (*out)->affine = affine;
  return MGRAD_OK;
}

/* ---- augmentation ---- */

static mgrad_status check_augment(const mgrad_dataset *d, const mgrad_augment *a) {
  const mgrad_array *x = &d->x.shape;
  if (mgrad_augment_moves(a) && x->ndim != 3 && x->ndim != 4) {
    return mgrad_fail(d->ctx, MGRAD_INVALID, "augment: x is %a, expected pictures"
                      " {n, c, h, w}", x);
  }
  const struct { const char *name; double value, high; } options[] = {
    { "shift", (double)a->shift, 1e6 }, { "rotate", a->rotate, 180 },
    { "scale", a->scale, 0.99 }, { "noise", a->noise, 1e6 } };
  for (int i = 0; i < 4; i++) {
    if (options[i].value >= 0 && options[i].value <= options[i].high) continue;
    return mgrad_fail(d->ctx, MGRAD_INVALID, "augment: %s is %g, expected 0 to %g",
                      options[i].name, options[i].value, options[i].high);
  }
  return MGRAD_OK;
}

mgrad_status mgrad_dataset_augment(mgrad_dataset *d, const mgrad_augment *a,
                                   mgrad_dataset **out) {
  MGRAD_TRY(check_augment(d, a));
  MGRAD_TRY(derive(d, out));
  (*out)->augment = *a;
  return MGRAD_OK;
}

bool mgrad_dataset_draws(const mgrad_dataset *d) {
  return mgrad_augment_moves(&d->augment) || d->augment.noise > 0;
}

/* Example 'at' of a source as a picture. */
static mgrad_picture picture_at(const source *s, int64_t at) {
  mgrad_picture p = { .scale = s->scale, .offset = s->offset, .size = { 1 } };
  mgrad_array a = s->shape;
  if (s->tensor == NULL) mgrad_shape_pack(&a);
  int missing = 4 - a.ndim; /* the channel, perhaps */
  for (int i = missing; i < 3; i++) {
    p.size[i] = a.size[i + 1 - missing];
    p.stride[i] = a.stride[i + 1 - missing];
  }
  if (s->tensor != NULL) p.data = a.data + at * a.stride[0];
  else p.bytes = mgrad_bytes_data(s->bytes) + s->first + at * s->width;
  return p;
}

/* ---- batches ---- */

/* n examples of a source from position 'at' on, as they are. */
static void read_examples(const mgrad_dataset *d, const source *s, int64_t at, int64_t n,
                          mgrad_real *to) {
  if (s->packed) {
    memcpy(to, s->tensor->a.data + at * s->width, (size_t)(n * s->width) * sizeof *to);
  } else if (s->tensor == NULL) {
    d->ctx->code->bytes_to_numbers(n * s->width,
                                   mgrad_bytes_data(s->bytes) + s->first + at * s->width,
                                   s->scale, s->offset, to);
  } else {
    mgrad_array some = s->tensor->a, out;
    some.data += at * some.stride[0];
    some.size[0] = n;
    out = some;
    mgrad_shape_pack(&out);
    out.data = to;
    mgrad_array_copy(&out, &some);
  }
}

static void scale_examples(const mgrad_dataset *d, int64_t count, mgrad_real *x) {
  int64_t n = affine_count(d);
  const double *scale = affine_values(d), *offset = scale + n;
  for (int64_t end = n > 0 ? count : 0; end > 0; end--, x += d->x.width) {
    for (int64_t i = 0; i < d->x.width; i++) {
      int64_t j = n == 1 ? 0 : i;
      x[i] = (mgrad_real)((double)x[i] * scale[j] + offset[j]);
    }
  }
}

static mgrad_array batch_shape(const source *s, int64_t n) {
  mgrad_array a = s->shape;
  a.size[0] = n;
  mgrad_shape_pack(&a);
  a.data = NULL;
  return a;
}

void mgrad_dataset_shapes(const mgrad_dataset *d, int64_t n, mgrad_array *x, mgrad_array *y) {
  *x = batch_shape(&d->x, n);
  *y = batch_shape(&d->y, n);
}

typedef struct reading {
  const mgrad_dataset *d;
  const mgrad_draw *draw; /* or NULL */
  const int64_t *at;
  mgrad_real *x, *y;
  int64_t n, each; /* examples: all, and of one part */
} reading;

/* Asks for the bytes of an example some time before they are read: a shuffled one is
** seldom in a cache. */
static void fetch(const mgrad_dataset *d, int64_t at) {
  enum { LINE = 64 };
  if (d->x.bytes == NULL) return;
  const unsigned char *from = mgrad_bytes_data(d->x.bytes) + d->x.first + at * d->x.width;
  for (int64_t i = 0; i < d->x.width; i += LINE) __builtin_prefetch(from + i);
}

static void read_changed(const mgrad_dataset *d, mgrad_draw draw, int64_t at, mgrad_real *x) {
  if (mgrad_augment_moves(&d->augment)) {
    mgrad_picture p = picture_at(&d->x, at);
    mgrad_augment_picture(&d->augment, &p, draw, at, x);
  } else {
    read_examples(d, &d->x, at, 1, x);
  }
  scale_examples(d, 1, x);
  mgrad_augment_noise(&d->augment, draw, at, d->x.width, x);
}

/* Neighbours are read in one go. */
static void read_part(void *ud, int64_t part, int worker) {
  enum { AHEAD = 3 };
  (void)worker;
  const reading *r = ud;
  const mgrad_dataset *d = r->d;
  int64_t end = mgrad_min_size((part + 1) * r->each, r->n), some;
  for (int64_t i = part * r->each; i < end; i += some) {
    int64_t first = position(d, r->at[i]);
    if (i + AHEAD < end) fetch(d, position(d, r->at[i + AHEAD]));
    for (some = 1; i + some < end && position(d, r->at[i + some]) == first + some;) some++;
    mgrad_real *x = r->x + i * d->x.width;
    if (r->draw == NULL) {
      read_examples(d, &d->x, first, some, x);
      scale_examples(d, some, x);
    }
    for (int64_t k = 0; r->draw != NULL && k < some; k++) {
      read_changed(d, *r->draw, first + k, x + k * d->x.width);
    }
    read_examples(d, &d->y, first, some, r->y + i * d->y.width);
  }
}

void mgrad_dataset_read(const mgrad_dataset *d, const mgrad_draw *draw, const int64_t *at,
                        int64_t n, mgrad_real *x, mgrad_real *y) {
  reading r = { d, draw, at, x, y, n, n };
  if (mgrad_pool_alone(d->ctx->pool, n * d->x.width)) {
    read_part(&r, 0, 0);
    return;
  }
  int64_t parts = 2 * (int64_t)mgrad_pool_threads(d->ctx->pool);
  r.each = (n + parts - 1) / parts;
  double work = MGRAD_POOL_NUMBER * (double)(n * d->x.width);
  mgrad_pool_run(d->ctx->pool, work, (n + r.each - 1) / r.each, read_part, &r);
}

mgrad_status mgrad_dataset_gather(mgrad_dataset *d, const mgrad_draw *draw, const int64_t *at,
                                  int64_t n, mgrad_tensor **x, mgrad_tensor **y) {
  mgrad_array shape_x, shape_y;
  mgrad_tensor *xs, *ys;
  mgrad_dataset_shapes(d, n, &shape_x, &shape_y);
  MGRAD_TRY(mgrad_tensor_like(d->ctx, &shape_x, &xs));
  mgrad_status status = mgrad_tensor_like(d->ctx, &shape_y, &ys);
  if (status != MGRAD_OK) {
    mgrad_tensor_release(xs);
    return status;
  }
  mgrad_dataset_read(d, draw, at, n, xs->a.data, ys->a.data);
  *x = xs;
  *y = ys;
  return MGRAD_OK;
}

static mgrad_status batch_of(mgrad_dataset *d, const mgrad_draw *draw, int64_t first,
                             int64_t count, mgrad_tensor **x, mgrad_tensor **y) {
  MGRAD_TRY(check_range(d, first, count));
  int64_t *at = mgrad_new(d->ctx, (size_t)count * sizeof *at);
  if (at == NULL) return MGRAD_NOMEM;
  for (int64_t i = 0; i < count; i++) at[i] = first - 1 + i;
  mgrad_status status = mgrad_dataset_gather(d, draw, at, count, x, y);
  mgrad_free(d->ctx, at);
  return status;
}

mgrad_status mgrad_dataset_batch(mgrad_dataset *d, int64_t first, int64_t count,
                                 mgrad_tensor **x, mgrad_tensor **y) {
  return batch_of(d, NULL, first, count, x, y);
}

mgrad_status mgrad_dataset_sample(mgrad_dataset *d, int64_t first, int64_t count,
                                  uint64_t draw, mgrad_tensor **x, mgrad_tensor **y) {
  mgrad_draw drawn = { d->ctx->seed, draw };
  return batch_of(d, &drawn, first, count, x, y);
}

/* ---- statistics ---- */

typedef struct moments {
  bool each;
  const double *mean; /* NULL in the first pass, which sums the numbers */
  double *sum;        /* else their squared distances from the mean */
} moments;

static void add_example(const moments *m, const mgrad_real *x, int64_t width) {
  for (int64_t i = 0; i < width; i++) {
    int64_t j = m->each ? i : 0;
    double v = (double)x[i];
    if (m->mean != NULL) v = (v - m->mean[j]) * (v - m->mean[j]);
    m->sum[j] += v;
  }
}

static void sum_examples(mgrad_dataset *d, const moments *m, mgrad_real *x) {
  for (int64_t j = 0; j < (m->each ? d->x.width : 1); j++) m->sum[j] = 0;
  for (int64_t i = 0; i < d->count; i++) {
    read_examples(d, &d->x, position(d, i), 1, x);
    scale_examples(d, 1, x);
    add_example(m, x, d->x.width);
  }
}

mgrad_status mgrad_dataset_stats(mgrad_dataset *d, int each, double *mean,
                                 double *deviation) {
  mgrad_real *x = mgrad_new(d->ctx, (size_t)d->x.width * sizeof *x);
  if (x == NULL) return MGRAD_NOMEM;
  moments first = { each != 0, NULL, mean }, second = { each != 0, mean, deviation };
  int64_t n = each ? d->x.width : 1;
  double numbers = (double)d->count * (double)(each ? 1 : d->x.width);
  sum_examples(d, &first, x);
  for (int64_t j = 0; j < n; j++) mean[j] /= numbers;
  sum_examples(d, &second, x);
  for (int64_t j = 0; j < n; j++) {
    deviation[j] = numbers > 1 ? sqrt(deviation[j] / (numbers - 1)) : 0;
  }
  mgrad_free(d->ctx, x);
  return MGRAD_OK;
}
