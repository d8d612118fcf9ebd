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

void mgrad_planes_fill(const mgrad_planes *p, const mgrad_real *x, mgrad_real *planes) {
  for (int64_t c = 0; c < p->channels; c++, x += p->h * p->w)
    for (int64_t a = 0; a < p->stride_h; a++)
      for (int64_t b = 0; b < p->stride_w; b++, planes += p->rows * p->width)
        fill_plane(p, x, a, b, planes);
  memset(planes, 0, MGRAD_WINDOWS_SLACK * sizeof *planes);
}

/* ---- tiles ---- */

/* 'rows' results at 'vecs' vectors of positions; or by channel, a vector of results at
** 'rows' positions. */
typedef struct task {
  int64_t k, c_row;
  const int64_t *at;
  const mgrad_real *planes, *weight, *bias;
  mgrad_real *c;
} task;

#define UNROLL _Pragma("GCC unroll 12")

INLINE vec vec_of(mgrad_real x) { return x - (vec){ 0 }; } /* x - 0 keeps -0 */

INLINE void tile(const int rows, const int vecs, const bool by_channel, const task *t) {
  vec sum[ALONG_ROWS][MOST_VECS];
  UNROLL for (int i = 0; i < rows; i++)
    UNROLL for (int v = 0; v < vecs; v++)
      sum[i][v] = by_channel ? vec_load(t->bias + v * LANES) : vec_of(t->bias[i]);
  const mgrad_real *planes = t->planes, *weight = t->weight;
  const int64_t *at = t->at;
  for (int64_t p = 0; p < t->k; p++, weight += by_channel ? LANES : rows) {
    const mgrad_real *x = planes + at[p];
    const mgrad_real *across = by_channel ? weight : x, *along = by_channel ? x : weight;
    vec b[MOST_VECS];
    UNROLL for (int v = 0; v < vecs; v++) b[v] = vec_load(across + v * LANES);
    UNROLL for (int i = 0; i < rows; i++) {
      mgrad_real a = along[i];
      UNROLL for (int v = 0; v < vecs; v++) sum[i][v] = vec_mul_add(a, b[v], sum[i][v]);
    }
  }
  UNROLL for (int i = 0; i < rows; i++)
    UNROLL for (int v = 0; v < vecs; v++)
      vec_store(t->c + i * t->c_row + v * LANES, sum[i][v]);
}

typedef void (*tile_fn)(const task *t);

/* Vectors of positions in a tile of so many results. */
#define VECS(rows) ((rows) == 1 ? MOST_VECS : (rows) <= SUMS / 4 ? 4 : 2)
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
  return w->by_channel ? LANES : strip(left, ACROSS_ROWS);
}

static int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* Positions as they lie in a row of planes, gaps between their rows included. */
static int64_t stretch(const mgrad_windows *w) {
  return (w->rows - 1) * w->width + w->cols;
}

/* ---- packing ---- */

/* Multiplications with vectors for one k. */
static int64_t cost_across(const mgrad_windows *w) {
  int64_t sum = 0;
  for (int64_t o = 0, r; o < w->m; o += r) {
    r = strip(w->m - o, ACROSS_ROWS);
    sum += r * round_up(stretch(w), VECS(r) * LANES);
  }
  return sum;
}

void mgrad_windows_choose(mgrad_windows *w, bool allowed) {
  w->by_channel = allowed &&
                  w->rows * w->cols * round_up(w->m, LANES) < cost_across(w);
}

void mgrad_windows_pack(const mgrad_windows *w, const mgrad_real *weight,
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

/* c{results, stretch}: rows of positions, of which those within the limits are taken. */
static void put_across(const mgrad_windows *w, int64_t results, const mgrad_real *c,
                       int64_t c_row, const mgrad_target *t, mgrad_real *data) {
  int64_t rows = t->row_to - t->row_from, cols = t->col_to - t->col_from;
  c += t->row_from * w->width + t->col_from;
  data += t->row_from * t->row + t->col_from * t->col;
  for (int64_t o = 0; o < results; o++, c += c_row, data += t->channel) {
    if (t->col == 1 && !t->add) {
      mgrad_pack(rows, cols, (mgrad_matrix){ c, w->width, 1 }, data, t->row);
      continue;
    }
    for (int64_t i = 0; i < rows; i++) {
      const mgrad_real *from = c + i * w->width;
      mgrad_real *to = data + i * t->row;
      MGRAD_EACH(j, cols) to[j * t->col] = t->add ? to[j * t->col] + from[j] : from[j];
    }
  }
}

/* c{positions, LANES}: transposed. */
static void put_along(const mgrad_windows *w, int64_t results, const mgrad_real *c,
                      const mgrad_target *t, mgrad_real *data) {
  for (int64_t i = t->row_from; i < t->row_to; i++) {
    mgrad_matrix from = { c + (i * w->cols + t->col_from) * LANES, 1, LANES };
    mgrad_pack(results, t->col_to - t->col_from, from, data + i * t->row + t->col_from,
               t->channel);
  }
}

static void run_across(const mgrad_windows *w, task *t, int64_t rows) {
  int64_t vecs = VECS(rows) * LANES;
  const mgrad_real *planes = t->planes;
  mgrad_real *c = t->c;
  t->c_row = round_up(stretch(w), vecs);
  for (int64_t p = 0; p < t->c_row; p += vecs) {
    t->planes = planes + p;
    t->c = c + p;
    across[rows - 1](t);
  }
}

static void run_along(const mgrad_windows *w, task *t) {
  const mgrad_real *planes = t->planes;
  t->c_row = LANES;
  for (int64_t i = 0; i < w->rows; i++)
    for (int64_t j = 0, rows; j < w->cols; j += rows, t->c += rows * LANES) {
      rows = strip(w->cols - j, ALONG_ROWS);
      t->planes = planes + i * w->width + j;
      along[rows - 1](t);
    }
}

void mgrad_windows_run(const mgrad_windows *w, const mgrad_real *planes,
                       const mgrad_real *packed, mgrad_real *work, const mgrad_target *to) {
  for (int64_t o = 0, n; o < w->m; o += n, packed += n * (w->k + 1)) {
    n = panel(w, w->m - o);
    int64_t results = mgrad_min_size(n, w->m - o);
    mgrad_real *data = to->data + o * to->channel;
    task t = { .k = w->k, .at = w->at, .planes = planes, .weight = packed + n,
               .bias = packed, .c = work };
    if (w->by_channel) {
      run_along(w, &t);
      put_along(w, results, work, to, data);
    } else {
      run_across(w, &t, n);
      put_across(w, results, work, t.c_row, to, data);
    }
  }
}

/* ---- the gradient of weights ---- */

enum { PER_16 = 16 / LANES };  /* vectors that are 16 lanes */
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
        vec a[4];
        UNROLL for (int i = 0; i < rows; i++)
          a[i] = vec_load(d + i * s->size + p + h * LANES);
        UNROLL for (int j = 0; j < DOT_COLS; j++) {
          vec b = vec_load(x[j] + p + h * LANES);
          UNROLL for (int i = 0; i < rows; i++)
            for (int l = 0; l < LANES; l++)
              sum[i][j][h][l] = MGRAD_FMA(a[i][l], b[l], sum[i][j][h][l]);
        }
      }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) out[(o + i) * s->k + t + j] += tree(sum[i][j]);
}

void mgrad_windows_gradient(const mgrad_window_sums *s, mgrad_real *sum) {
  for (int64_t o = 0, rows; o < s->m; o += rows) {
    rows = strip(s->m - o, DOT_ROWS);
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
