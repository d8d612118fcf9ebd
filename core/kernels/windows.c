/*
** windows.c - sums over windows of pictures, tile by tile in registers.
**
** Every result is one chain of multiply-adds over k from the bias on, whatever the
** tile. Vectors hold neighbouring positions, and then rows of positions run into each
** other across 'width' so that few vectors are left half empty; or, where results are
** many and rows short, they hold the results of one position.
*/
#include "windows.h"
#include "vec.h"

#if VEC_BYTES == 64 || defined(__aarch64__)
#define SUMS 24
#else
#define SUMS 12
#endif

enum { ACROSS_ROWS = SUMS / 2, ALONG_ROWS = 12, MOST_VECS = 8 };

/* ---- planes ---- */

/* Plane (a, b) of one channel. */
static void fill_plane(const mgrad_planes *p, const mgrad_real *x, int64_t a, int64_t b,
                       mgrad_real *plane) {
  int64_t top = a - p->pad_h, left = b - p->pad_w;
  int64_t i = mgrad_first_inside(p->rows, p->stride_h, top);
  int64_t j = mgrad_first_inside(p->width, p->stride_w, left);
  int64_t rows = mgrad_first_beyond(p->rows, p->stride_h, top, p->h) - i;
  int64_t cols = mgrad_first_beyond(p->width, p->stride_w, left, p->w) - j;
  if (rows < p->rows || cols < p->width)
    memset(plane, 0, (size_t)(p->rows * p->width) * sizeof *plane);
  if (rows <= 0 || cols <= 0) return;
  mgrad_matrix from = { x + (i * p->stride_h + top) * p->w + j * p->stride_w + left,
                        p->stride_h * p->w, p->stride_w };
  mgrad_pack(rows, cols, from, plane + i * p->width + j, p->width);
}

static void planes_fill(const mgrad_planes *p, const mgrad_real *x, mgrad_real *planes) {
  for (int64_t c = 0; c < p->channels; c++, x += p->h * p->w)
    for (int64_t a = 0; a < p->stride_h; a++)
      for (int64_t b = 0; b < p->stride_w; b++, planes += p->rows * p->width)
        fill_plane(p, x, a, b, planes);
  memset(planes, 0, MGRAD_WINDOWS_SLACK * sizeof *planes);
}

/* ---- tiles ---- */

/* 'rows' results at 'vecs' vectors of positions, 'step' apart in the planes and 'c_step'
** in C; or by channel, a vector of results at 'rows' positions. The taps are 'runs' times
** k, with 'skip' between that meet zeros only. */
typedef struct task {
  int64_t k, runs, skip, step, c_step, c_row;
  const int64_t *at;
  const mgrad_real *planes, *weight, *bias;
  mgrad_real *c;
} task;

#define UNROLL _Pragma("GCC unroll 12")

/* x in a register: compilers would load it anew for each use. */
INLINE vec kept(vec x) {
#if defined(__x86_64__)
  __asm__("" : "+v"(x));
#endif
  return x;
}

INLINE vec vec_fma(vec a, vec b, vec c) {
  for (int l = 0; l < LANES; l++) c[l] = MGRAD_FMA(a[l], b[l], c[l]);
  return c;
}

INLINE vec vec_of(mgrad_real x) { return x - (vec){ 0 }; } /* x - 0 keeps -0 */

INLINE void tile(const int rows, const int vecs, const bool by_channel, const task *t) {
  vec sum[ALONG_ROWS][MOST_VECS];
  UNROLL for (int i = 0; i < rows; i++)
    UNROLL for (int v = 0; v < vecs; v++)
      sum[i][v] = by_channel ? vec_load(t->bias + v * LANES) : vec_of(t->bias[i]);
  const mgrad_real *planes = t->planes, *weight = t->weight;
  const int64_t *at = t->at, step = t->step, panel = by_channel ? LANES : rows;
  for (int64_t run = t->runs; run > 0; run--, at += t->skip, weight += t->skip * panel)
    for (int64_t p = t->k; p > 0; p--, at++, weight += panel) {
      const mgrad_real *x = planes + *at;
      const mgrad_real *across = by_channel ? weight : x, *along = by_channel ? x : weight;
      vec b[MOST_VECS];
      UNROLL for (int v = 0; v < vecs; v++) b[v] = vec_load(across + v * step);
      UNROLL for (int i = 0; i < rows; i++) {
        mgrad_real a = along[i];
        UNROLL for (int v = 0; v < vecs; v++) sum[i][v] = vec_mul_add(a, b[v], sum[i][v]);
      }
    }
  mgrad_real *c = t->c;
  int64_t c_row = t->c_row, c_step = t->c_step;
  UNROLL for (int i = 0; i < rows; i++, c += c_row)
    UNROLL for (int v = 0; v < vecs; v++) /* + 0: -0 is 0, whatever was skipped */
      vec_store(c + v * c_step, sum[i][v] + (vec){ 0 });
}

typedef void (*tile_fn)(const task *t);

/* Vectors of positions in a tile of so many results. */
#define VECS(rows) ((rows) == 1 ? MOST_VECS : (rows) <= 3 ? 4 : 2)
#define TILE_ACROSS(r) static void across_##r(const task *t) { tile(r, VECS(r), false, t); }
#define TILE_ALONG(r) static void along_##r(const task *t) { tile(r, 1, true, t); }
#define ACROSS(r) across_##r,
#define ALONG(r) along_##r,
#define SIX(f) f(1) f(2) f(3) f(4) f(5) f(6)
#define TWELVE(f) SIX(f) f(7) f(8) f(9) f(10) f(11) f(12)
#if SUMS == 24
TWELVE(TILE_ACROSS)
static const tile_fn across[] = { TWELVE(ACROSS) };
#else
SIX(TILE_ACROSS)
static const tile_fn across[] = { SIX(ACROSS) };
#endif
TWELVE(TILE_ALONG)
static const tile_fn along[] = { TWELVE(ALONG) };

/* The next strip of so many rows, at most 'most': the last two are alike. */
static int64_t strip(int64_t rows, int64_t most) {
  if (rows > 2 * most) return most;
  return rows > most ? (rows + 1) / 2 : rows;
}

/* Results, filled up with zeros, that one panel of weights holds. */
static int64_t panel(const mgrad_windows *w, int64_t left) {
  return w->vectors == MGRAD_BY_CHANNEL ? LANES : strip(left, ACROSS_ROWS);
}

static int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* Positions as they lie in a row of planes, gaps between their rows included. */
static int64_t stretch(const mgrad_windows *w) {
  return (w->rows - 1) * w->width + w->cols;
}

/* ---- packing ---- */

/* Multiplications with vectors for one k. */
static int64_t cost(const mgrad_windows *w, bool by_rows) {
  int64_t sum = 0;
  for (int64_t o = 0, r; o < w->m; o += r) {
    r = strip(w->m - o, ACROSS_ROWS);
    if (!by_rows) sum += r * round_up(stretch(w), VECS(r) * LANES);
    else if (w->rows < VECS(r)) return INT64_MAX;
    else sum += r * round_up(w->rows, VECS(r)) * round_up(w->cols, LANES);
  }
  return sum;
}

static void windows_choose(mgrad_windows *w, bool plain) {
  int64_t all = cost(w, false), rows = cost(w, true);
  w->vectors = rows <= all ? MGRAD_ALONG_ROWS : MGRAD_ALONG_ALL;
  if (rows < all) all = rows;
  if (plain && w->rows * w->cols * round_up(w->m, LANES) < all) w->vectors = MGRAD_BY_CHANNEL;
}

static void windows_pack(const mgrad_windows *w, const mgrad_real *weight,
                         const int64_t *from, int64_t step, const mgrad_real *bias,
                         mgrad_real *packed) {
  for (int64_t o = 0, n; o < w->m; o += n) {
    n = panel(w, w->m - o);
    int64_t there = mgrad_min_size(n, w->m - o);
    for (int64_t i = 0; i < n; i++) packed[i] = bias != NULL && i < there ? bias[o + i] : 0;
    packed += n;
    for (int64_t p = 0; p < w->k; p++, packed += n) {
      const mgrad_real *column = weight + from[p] + o * step;
      for (int64_t i = 0; i < there; i++) packed[i] = column[i * step];
      for (int64_t i = there; i < n; i++) packed[i] = 0;
    }
  }
}

/* ---- results to their places ---- */

/* c{results, positions}, rows 'width' apart, of which those within the limits are taken. */
static void put_across(int64_t results, const mgrad_real *c, int64_t c_row, int64_t width,
                       const mgrad_target *t, mgrad_real *data) {
  int64_t rows = t->row_to - t->row_from, cols = t->col_to - t->col_from;
  c += t->row_from * width + t->col_from;
  data += t->row_from * t->row + t->col_from * t->col;
  for (int64_t o = 0; o < results; o++, c += c_row, data += t->channel) {
    if (t->col == 1 && !t->add) {
      mgrad_pack(rows, cols, (mgrad_matrix){ c, width, 1 }, data, t->row);
      continue;
    }
    for (int64_t i = 0; i < rows; i++) {
      const mgrad_real *from = c + i * width;
      mgrad_real *to = data + i * t->row;
      MGRAD_EACH(j, cols) to[j * t->col] = t->add ? to[j * t->col] + from[j] : from[j];
    }
  }
}

/* c{positions, LANES}: transposed. */
static void put_by_channel(const mgrad_windows *w, int64_t results, const mgrad_real *c,
                           const mgrad_target *t, mgrad_real *data) {
  for (int64_t i = t->row_from; i < t->row_to; i++) {
    mgrad_matrix from = { c + (i * w->cols + t->col_from) * LANES, 1, LANES };
    mgrad_pack(results, t->col_to - t->col_from, from, data + i * t->row + t->col_from,
               t->channel);
  }
}

/* ---- runs over all positions, for the results of one panel ---- */

static void along_all(const mgrad_windows *w, task *t, int64_t results,
                      const mgrad_target *to, mgrad_real *data) {
  int64_t rows = panel(w, results), vecs = VECS(rows) * LANES;
  const mgrad_real *planes = t->planes;
  mgrad_real *c = t->c;
  t->c_row = round_up(stretch(w), vecs);
  for (int64_t p = 0; p < t->c_row; p += vecs) {
    t->planes = planes + p;
    t->c = c + p;
    across[rows - 1](t);
  }
  put_across(results, c, t->c_row, w->width, to, data);
}

/* Leaves out the taps that meet zeros only, from row i on, 'rows' of them: the first and
** last rows of the kernel. */
static void skip_zeros(const mgrad_windows *w, int64_t i, int64_t rows, task *t) {
  int64_t all = w->k / w->channels, first = 0, end = all;
  int64_t from = w->from - (i + rows - 1) * w->width, to = w->to - i * w->width;
  while (first < end && (w->at[first] < from || w->at[first] >= to)) first++;
  while (first < end && (w->at[end - 1] < from || w->at[end - 1] >= to)) end--;
  t->k = end - first;
  t->skip = all - t->k;
  t->at = w->at + first;
}

/* Where results may lie as they are put there, no copy is made. */
static void along_rows(const mgrad_windows *w, task *t, int64_t results,
                       const mgrad_target *to, mgrad_real *data) {
  int64_t rows = panel(w, results), vecs = VECS(rows), width = w->cols;
  const mgrad_real *planes = t->planes, *weight = t->weight;
  mgrad_real *c = t->c;
  bool direct = to->col == 1 && !to->add && w->cols >= LANES && to->col_from == 0 &&
                to->row_from == 0 && to->row_to == w->rows && to->col_to == w->cols;
  if (direct) {
    c = data;
    width = to->row;
    t->c_row = to->channel;
  } else {
    if (width < LANES) width = LANES;
    t->c_row = w->rows * width;
  }
  t->step = w->width;
  t->c_step = width;
  t->runs = w->channels;
  for (int64_t i = 0, n; i < w->rows; i += n) {
    n = mgrad_min_size(vecs, w->rows - i);
    int64_t first = i + n - vecs; /* the last ones overlap those before */
    skip_zeros(w, first, vecs, t);
    t->weight = weight + (t->at - w->at) * rows;
    for (int64_t j = 0; j < w->cols; j += LANES) {
      int64_t left = w->cols > LANES ? mgrad_min_size(j, w->cols - LANES) : 0;
      t->planes = planes + first * w->width + left;
      t->c = c + first * width + left;
      across[rows - 1](t);
    }
  }
  if (!direct) put_across(results, c, t->c_row, width, to, data);
}

static void by_channel(const mgrad_windows *w, task *t, int64_t results,
                       const mgrad_target *to, mgrad_real *data) {
  const mgrad_real *planes = t->planes;
  mgrad_real *c = t->c;
  t->c_row = LANES;
  for (int64_t i = 0; i < w->rows; i++)
    for (int64_t j = 0, rows; j < w->cols; j += rows, t->c += rows * LANES) {
      rows = strip(w->cols - j, ALONG_ROWS);
      t->planes = planes + i * w->width + j;
      along[rows - 1](t);
    }
  put_by_channel(w, results, c, to, data);
}

static void windows_run(const mgrad_windows *w, const mgrad_real *planes,
                        const mgrad_real *packed, mgrad_real *work, const mgrad_target *to) {
  static void (*const run[])(const mgrad_windows *, task *, int64_t, const mgrad_target *,
                             mgrad_real *) = { along_all, along_rows, by_channel };
  for (int64_t o = 0, n; o < w->m; o += n, packed += n * (w->k + 1)) {
    n = panel(w, w->m - o);
    if (!mgrad_pool_piece(w->pool, w->worker, n * w->k * w->rows * w->cols)) continue;
    task t = { .k = w->k, .runs = 1, .step = LANES, .c_step = LANES, .at = w->at,
               .planes = planes, .weight = packed + n, .bias = packed, .c = work };
    run[w->vectors](w, &t, mgrad_min_size(n, w->m - o), to, to->data + o * to->channel);
  }
}

/* ---- the gradient of weights ---- */

enum {
  PER_16 = 16 / LANES,    /* vectors that are 16 lanes */
  DOT_TAPS = PER_16 < 10 ? 10 / PER_16 : 1
};
#define DOT_ROWS (SUMS / PER_16 >= 24 ? 4 : SUMS / PER_16 >= 6 ? 2 : 1)
#define DOT_COLS (SUMS / PER_16 >= 24 ? 5 : SUMS / PER_16 >= 3 ? 3 : 1)

static mgrad_real tree(const vec *lanes) {
  mgrad_real v[16];
  memcpy(v, lanes, sizeof v);
  oct_store(v, oct_load(v) + oct_load(v + 8));
  quad_store(v, quad_load(v) + quad_load(v + 4));
  return (v[0] + v[2]) + (v[1] + v[3]);
}

/* 'rows' by DOT_COLS sums, those from column 'cols' on idle. */
INLINE void dots(const int rows, int64_t cols, const mgrad_window_sums *s, int64_t o,
                 int64_t t, mgrad_real *out) {
  vec sum[4][5][PER_16];
  const mgrad_real *x[DOT_COLS];
  memset(sum, 0, sizeof sum);
  for (int64_t g = 0; g < s->pictures; g++) {
    const mgrad_real *d = s->d + g * s->d_step + o * s->size;
    UNROLL for (int j = 0; j < DOT_COLS; j++)
      x[j] = s->planes + g * s->planes_step + s->at[t + (j < cols ? j : 0)];
    for (int64_t p = 0; p < s->size; p += 16)
      UNROLL for (int h = 0; h < PER_16; h++) {
        vec a[4], b[DOT_COLS];
        UNROLL for (int i = 0; i < rows; i++)
          a[i] = vec_load(d + i * s->size + p + h * LANES);
        UNROLL for (int j = 0; j < DOT_COLS; j++) b[j] = kept(vec_load(x[j] + p + h * LANES));
        UNROLL for (int j = 0; j < DOT_COLS; j++)
          UNROLL for (int i = 0; i < rows; i++)
            sum[i][j][h] = vec_fma(a[i], b[j], sum[i][j][h]);
      }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) out[(o + i) * s->k + t + j] += tree(sum[i][j]);
}

/* 16 results at DOT_TAPS taps, those from 'taps' on idle, over one picture. */
static void channel_dots(const mgrad_window_sums *s, const int64_t *at, int64_t taps,
                         const mgrad_real *planes, const mgrad_real *d, mgrad_real *out) {
  vec sum[DOT_TAPS][PER_16];
  const mgrad_real *x[DOT_TAPS];
  UNROLL for (int i = 0; i < DOT_TAPS; i++) {
    int64_t t = i < taps ? i : 0;
    x[i] = planes + at[t];
    UNROLL for (int h = 0; h < PER_16; h++) sum[i][h] = vec_load(out + t * 16 + h * LANES);
  }
  for (int64_t row = 0; row < s->rows; row++) {
    for (int64_t j = 0; j < s->cols; j++, d += 16) {
      vec b[PER_16];
      UNROLL for (int h = 0; h < PER_16; h++) b[h] = vec_load(d + h * LANES);
      UNROLL for (int i = 0; i < DOT_TAPS; i++)
        UNROLL for (int h = 0; h < PER_16; h++)
          sum[i][h] = vec_mul_add(x[i][j], b[h], sum[i][h]);
    }
    UNROLL for (int i = 0; i < DOT_TAPS; i++) x[i] += s->width;
  }
  UNROLL for (int i = 0; i < DOT_TAPS; i++)
    UNROLL for (int h = 0; h < PER_16; h++)
      if (i < taps) vec_store(out + i * 16 + h * LANES, sum[i][h]);
}

/* Are the sums of so many results to be found now? */
static bool piece(const mgrad_window_sums *s, int64_t results) {
  int64_t work = results * s->k * s->rows * s->cols * s->pictures;
  return mgrad_pool_piece(s->pool, s->worker, work);
}

static void gradient_by_channel(const mgrad_window_sums *s, mgrad_real *sum) {
  for (int64_t o = 0; o < s->m; o += 16)
    for (int64_t g = 0, end = piece(s, 16) ? s->pictures : 0; g < end; g++)
      for (int64_t t = 0; t < s->k; t += DOT_TAPS)
        channel_dots(s, s->at + t, mgrad_min_size(DOT_TAPS, s->k - t),
                     s->planes + g * s->planes_step,
                     s->d + g * s->d_step + o * s->rows * s->cols, sum + o * s->k + t * 16);
}

/* With rows as far apart as those of the planes, zeros between; or {rows, cols, 16} for
** each 16 results. */
static void windows_spread(const mgrad_window_sums *s, const mgrad_real *x, mgrad_real *d) {
  int64_t all = s->rows * s->cols;
  memset(d, 0, (size_t)s->d_step * sizeof *d);
  if (s->by_channel) {
    for (int64_t o = 0; o < s->m; o += 16, d += 16 * all)
      mgrad_pack(all, mgrad_min_size(16, s->m - o), (mgrad_matrix){ x + o * all, 1, all }, d,
                 16);
    return;
  }
  for (int64_t o = 0; o < s->m; o++, d += s->size, x += all)
    mgrad_pack(s->rows, s->cols, (mgrad_matrix){ x, s->cols, 1 }, d, s->width);
}

static void windows_gradient(const mgrad_window_sums *s, mgrad_real *sum) {
  if (s->by_channel) {
    gradient_by_channel(s, sum);
    return;
  }
  for (int64_t o = 0, rows; o < s->m; o += rows) {
    rows = strip(s->m - o, DOT_ROWS);
    if (!piece(s, rows)) continue;
    for (int64_t t = 0; t < s->k; t += DOT_COLS) {
      int64_t cols = mgrad_min_size(DOT_COLS, s->k - t);
      switch (rows) {
        case 1: dots(1, cols, s, o, t, sum); break;
        case 2: dots(2, cols, s, o, t, sum); break;
        case 3: dots(3, cols, s, o, t, sum); break;
        default: dots(4, cols, s, o, t, sum); break;
      }
    }
  }
}

extern const mgrad_window_code MGRAD_CODE(mgrad_window_table);
const mgrad_window_code MGRAD_CODE(mgrad_window_table) = {
  planes_fill, windows_choose, windows_pack, windows_run, windows_spread, windows_gradient,
  mgrad_sum
};
