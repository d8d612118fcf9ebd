/*
** walk.c - loops over strided arrays. Dimensions that lie in memory as one are
** joined first, so packed arrays are a single run whatever their shape.
*/
#include "kernels.h"
#include "../shape.h"

enum { ARRAYS = 3, COLUMNS = 256 };

typedef struct axis {
  int64_t size, stride[ARRAYS];
} axis;

/* A loop nest, outermost first, and where it stands. */
typedef struct nest {
  int n;
  axis axes[MGRAD_MAX_DIMS];
  int64_t index[MGRAD_MAX_DIMS];
  int64_t at[ARRAYS]; /* offsets into the arrays */
} nest;

static void clear(nest *l) {
  l->n = 0;
  for (int i = 0; i < ARRAYS; i++) l->at[i] = 0;
}

static void push(nest *l, const axis *x) {
  l->axes[l->n] = *x;
  l->index[l->n++] = 0;
}

/* Can 'outer' and 'inner' be walked as one? */
static bool joins(const axis *outer, const axis *inner) {
  for (int i = 0; i < ARRAYS; i++)
    if (outer->stride[i] != inner->stride[i] * inner->size) return false;
  return true;
}

/* The fewest axes that walk arrays of one shape in row-major order. */
static void collapse(const mgrad_array *const a[ARRAYS], nest *l) {
  clear(l);
  for (int d = 0; d < a[0]->ndim; d++) {
    axis x = { .size = a[0]->size[d] };
    if (x.size == 1) continue;
    for (int i = 0; i < ARRAYS; i++) x.stride[i] = a[i] ? a[i]->stride[d] : 0;
    if (l->n > 0 && joins(&l->axes[l->n - 1], &x)) {
      x.size *= l->axes[l->n - 1].size;
      l->n--;
    }
    push(l, &x);
  }
}

/* One position on in row-major order. False, and back at the start, after the
** last one. */
static bool advance(nest *l) {
  for (int d = l->n - 1; d >= 0; d--) {
    const axis *x = &l->axes[d];
    bool wraps = ++l->index[d] == x->size;
    int64_t steps = wraps ? 1 - x->size : 1;
    for (int i = 0; i < ARRAYS; i++) l->at[i] += steps * x->stride[i];
    if (!wraps) return true;
    l->index[d] = 0;
  }
  return false;
}

/* Takes the innermost axis off; a nest without one has one position. */
static axis pop(nest *l) {
  static const axis once = { 1, { 1, 1, 1 } };
  return l->n > 0 ? l->axes[--l->n] : once;
}

bool mgrad_walk_run(mgrad_pool *pool, int64_t n, mgrad_real *const p[ARRAYS],
                    const int64_t step[ARRAYS], mgrad_run_fn f, void *ud) {
  int64_t each = pool != NULL ? MGRAD_POOL_PART : n;
  for (int64_t first = 0; first < n; first += each) {
    int64_t m = mgrad_min_size(each, n - first);
    mgrad_real *at[ARRAYS];
    if (!mgrad_pool_continues(pool, 0, m)) return false;
    for (int i = 0; i < ARRAYS; i++) at[i] = p[i] != NULL ? p[i] + first * step[i] : NULL;
    f(ud, m, at, step);
  }
  return true;
}

void mgrad_walk(mgrad_pool *pool, const mgrad_array *a, const mgrad_array *b,
                const mgrad_array *c, mgrad_run_fn f, void *ud) {
  const mgrad_array *const arrays[ARRAYS] = { a, b, c };
  nest outer;
  collapse(arrays, &outer);
  axis run = pop(&outer);
  mgrad_real *p[ARRAYS];
  do {
    for (int i = 0; i < ARRAYS; i++)
      p[i] = arrays[i] ? arrays[i]->data + outer.at[i] : NULL;
  } while (mgrad_walk_run(pool, run.size, p, run.stride, f, ud) && advance(&outer));
}

static void copy_run(void *ud, int64_t n, mgrad_real *const p[3],
                     const int64_t step[3]) {
  (void)ud;
  if (step[0] == 1 && step[1] == 1)
    memmove(p[0], p[1], (size_t)n * sizeof(mgrad_real));
  else
    for (int64_t i = 0; i < n; i++) p[0][i * step[0]] = p[1][i * step[1]];
}

static void add_run(void *ud, int64_t n, mgrad_real *const p[3],
                    const int64_t step[3]) {
  mgrad_real *to = p[0];
  const mgrad_real *from = p[1];
  (void)ud;
  if (step[0] == 1 && step[1] == 1)
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
  else
    for (int64_t i = 0; i < n; i++) to[i * step[0]] += from[i * step[1]];
}

static void fill_run(void *ud, int64_t n, mgrad_real *const p[3],
                     const int64_t step[3]) {
  mgrad_real value = *(const mgrad_real *)ud;
  for (int64_t i = 0; i < n; i++) p[0][i * step[0]] = value;
}

void mgrad_array_put(mgrad_pool *pool, const mgrad_array *to, const mgrad_array *from,
                     bool add) {
  static const int64_t step[ARRAYS] = { 1, 1 };
  mgrad_run_fn f = add ? add_run : copy_run;
  if (mgrad_shape_packed(to) && mgrad_shape_packed(from)) {
    mgrad_real *const p[ARRAYS] = { to->data, from->data };
    mgrad_walk_run(pool, mgrad_shape_numel(to), p, step, f, NULL);
  } else {
    mgrad_walk(pool, to, from, NULL, f, NULL);
  }
}

/* Each step of a small net makes some of these. */
void mgrad_array_copy(const mgrad_array *to, const mgrad_array *from) {
  if (mgrad_shape_packed(to) && mgrad_shape_packed(from))
    memmove(to->data, from->data, (size_t)mgrad_shape_numel(to) * sizeof *to->data);
  else
    mgrad_walk(NULL, to, from, NULL, copy_run, NULL);
}

void mgrad_array_fill(const mgrad_array *to, mgrad_real value) {
  mgrad_walk(NULL, to, NULL, NULL, fill_run, &value);
}

void mgrad_bytes_to_numbers(int64_t n, const unsigned char *x, double scale, double offset,
                            mgrad_real *y) {
  MGRAD_EACH(i, n) y[i] = (mgrad_real)((double)x[i] * scale + offset);
}

void mgrad_blend(int64_t n, mgrad_real keep, const mgrad_real *x, mgrad_real *y) {
  MGRAD_EACH(i, n) y[i] = keep * y[i] + (1 - keep) * x[i];
}

/* Sums m neighbouring columns of x over 'run' and all positions of 'outer'. */
static void sum_columns(nest *outer, const axis *run, const mgrad_real *x, int64_t m,
                        double *total) {
  double part[COLUMNS];
  for (int64_t j = 0; j < m; j++) total[j] = 0;
  do {
    mgrad_fold_sum(run->size, x + outer->at[1], run->stride[1], m, NULL, 0, part);
    for (int64_t j = 0; j < m; j++) total[j] += part[j];
  } while (advance(outer));
}

/* The axes are parted into those of the result and those that are summed away;
** of each, the innermost one becomes a tight loop. */
void mgrad_reduce_to(mgrad_pool *pool, const mgrad_array *to, mgrad_real *out,
                     const mgrad_array *from, const mgrad_real *x, bool add) {
  mgrad_array y = *to, wide = *from;
  int64_t n = mgrad_shape_numel(from), own = mgrad_shape_numel(to);
  y.data = out, wide.data = (mgrad_real *)x;
  mgrad_shape_pack(&y), mgrad_shape_pack(&wide);
  if (own == n) {
    y = wide, y.data = out;
    mgrad_array_put(pool, &y, &wide, add);
    return;
  }
  mgrad_shape_expand(&y, &wide, &y);
  nest all, kept, summed;
  clear(&kept), clear(&summed);
  collapse((const mgrad_array *const[ARRAYS]){ &y, &wide }, &all);
  for (int d = 0; d < all.n; d++)
    push(all.axes[d].stride[0] == 0 ? &summed : &kept, &all.axes[d]);
  axis run = pop(&summed), columns = { .size = 1 };
  if (all.axes[all.n - 1].stride[0] != 0) columns = pop(&kept);
  double total[COLUMNS];
  do {
    for (int64_t first = 0; first < columns.size; first += COLUMNS) {
      int64_t m = mgrad_min_size(COLUMNS, columns.size - first);
      mgrad_real *sum = out + kept.at[0] + first;
      if (!mgrad_pool_continues(pool, 0, m * (n / own))) return;
      sum_columns(&summed, &run, x + kept.at[1] + first, m, total);
      for (int64_t j = 0; j < m; j++)
        sum[j] = (mgrad_real)(add ? (double)sum[j] + total[j] : total[j]);
    }
  } while (advance(&kept));
}
