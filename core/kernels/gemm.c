/*
** gemm.c - matrix product: a register tile over packed panels of B.
**
** A tile of C stays in registers while k runs; a panel of B, as wide as the
** tile and KC long, is packed on the stack and serves a block of rows of A.
** The rows of A are read where they lie, one number at a time: packing them
** as well was measured and gained nothing.
**
** Every element of C is one chain c = c + a * b over k from first to last. The
** chain leaves the registers between blocks of k, but is never cut into parts
** that are added up; tile shape, edges and the paths for small sizes therefore
** cannot change the bits. On machines with fused multiply-add each link is one
** fma, written out, so compiler flags do not decide; elsewhere it is two
** roundings, in a file that must not be compiled with -ffast-math.
*/
#include "kernels.h"

#if defined(__AVX512F__)
enum { VEC_BYTES = 64, TILE_ROWS = 12 };
#elif defined(__AVX__)
enum { VEC_BYTES = 32, TILE_ROWS = 6 };
#else
enum { VEC_BYTES = 16, TILE_ROWS = 6 };
#endif

enum {
  LANES = VEC_BYTES / (int)sizeof(mgrad_real),
  TILE_COLS = 2 * LANES,
  KC = 256,      /* k of one panel; the panel stays in L1 */
  ROWS = 256,    /* of A to one packing of a panel; KC x ROWS stays in L2 */
  SMALL = 64     /* m * n * k that packing does not pay for */
};

#if defined(__has_builtin)
#define HAS_SHUFFLE __has_builtin(__builtin_shufflevector)
#else
#define HAS_SHUFFLE 0
#endif

typedef mgrad_real vec __attribute__((vector_size(VEC_BYTES)));

#define INLINE static inline __attribute__((always_inline))

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMAF)
#ifdef MGRAD_REAL_DOUBLE
#define MUL_ADD __builtin_fma
#else
#define MUL_ADD __builtin_fmaf
#endif
#else
#define MUL_ADD(a, b, c) ((a) * (b) + (c))
#endif

/* Lane by lane, which compilers turn into one instruction. */
INLINE vec vec_mul_add(mgrad_real a, vec b, vec c) {
  for (int l = 0; l < LANES; l++) c[l] = MUL_ADD(a, b[l], c[l]);
  return c;
}

INLINE vec vec_load(const mgrad_real *p) {
  vec v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void vec_store(mgrad_real *p, vec v) { memcpy(p, &v, sizeof v); }

/* C{rows, vecs * LANES} (+)= A{rows, k} panel{k, TILE_COLS}, with constant rows
** and vecs, so that the sums live in registers. */
INLINE void tile(int rows, int vecs, int64_t k, mgrad_matrix a, const mgrad_real *panel,
                 mgrad_real *c, int64_t row, bool add) {
  vec sum[TILE_ROWS][2];
#pragma GCC unroll 12
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vecs; v++)
      sum[i][v] = add ? vec_load(c + i * row + v * LANES) : (vec){ 0 };
  for (int64_t p = 0; p < k; p++) {
    vec b[2];
    for (int v = 0; v < vecs; v++) b[v] = vec_load(panel + p * TILE_COLS + v * LANES);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
      mgrad_real x = a.data[i * a.row + p * a.col];
      for (int v = 0; v < vecs; v++) sum[i][v] = vec_mul_add(x, b[v], sum[i][v]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vecs; v++) vec_store(c + i * row + v * LANES, sum[i][v]);
}

/* One strip of at most TILE_ROWS rows; returns how many it did. */
static int strip(int64_t rows, int vecs, int64_t k, mgrad_matrix a,
                 const mgrad_real *panel, mgrad_real *c, int64_t row, bool add) {
#define STRIP(r)                                            \
  do {                                                      \
    if (vecs == 1) tile(r, 1, k, a, panel, c, row, add);    \
    else tile(r, 2, k, a, panel, c, row, add);              \
    return r;                                               \
  } while (0)
  if (rows >= TILE_ROWS) STRIP(TILE_ROWS);
  if (rows >= 4) STRIP(4);
  if (rows >= 2) STRIP(2);
  STRIP(1);
#undef STRIP
}

/* All rows of a block against one panel. The last columns of C, narrower than
** a vector, are worked on in a copy. */
static void block(int64_t m, int64_t n, int64_t k, mgrad_matrix a,
                  const mgrad_real *panel, mgrad_real *c, int64_t row, bool add) {
  int vecs = n > LANES ? 2 : 1;
  bool whole = n == vecs * LANES;
  mgrad_real edge[TILE_ROWS * TILE_COLS] = { 0 };
  for (int64_t i = 0; i < m;) {
    mgrad_matrix rest = { a.data + i * a.row, a.row, a.col };
    if (whole) {
      i += strip(m - i, vecs, k, rest, panel, c + i * row, row, add);
      continue;
    }
    int64_t high = mgrad_min_size(m - i, TILE_ROWS);
    for (int64_t r = 0; add && r < high; r++)
      for (int64_t j = 0; j < n; j++) edge[r * TILE_COLS + j] = c[(i + r) * row + j];
    high = strip(high, vecs, k, rest, panel, edge, TILE_COLS, add);
    for (int64_t r = 0; r < high; r++)
      for (int64_t j = 0; j < n; j++) c[(i + r) * row + j] = edge[r * TILE_COLS + j];
    i += high;
  }
}

/* Four columns of the panel from four runs of k lying apart, by 4 x 4 transposes;
** returns how many k were done. */
static int64_t pack_transposed(int64_t k, const mgrad_real *b, int64_t col,
                               mgrad_real *panel) {
  int64_t p = 0;
#if HAS_SHUFFLE
#define SHUFFLE __builtin_shufflevector
  typedef mgrad_real quad __attribute__((vector_size(4 * sizeof(mgrad_real))));
  for (; p + 4 <= k; p += 4) {
    quad in[4], out[4];
    for (int j = 0; j < 4; j++) memcpy(&in[j], b + p + j * col, sizeof in[j]);
    quad low01 = SHUFFLE(in[0], in[1], 0, 4, 1, 5);
    quad low23 = SHUFFLE(in[2], in[3], 0, 4, 1, 5);
    quad high01 = SHUFFLE(in[0], in[1], 2, 6, 3, 7);
    quad high23 = SHUFFLE(in[2], in[3], 2, 6, 3, 7);
    out[0] = SHUFFLE(low01, low23, 0, 1, 4, 5);
    out[1] = SHUFFLE(low01, low23, 2, 3, 6, 7);
    out[2] = SHUFFLE(high01, high23, 0, 1, 4, 5);
    out[3] = SHUFFLE(high01, high23, 2, 3, 6, 7);
    for (int q = 0; q < 4; q++)
      memcpy(panel + (p + q) * TILE_COLS, &out[q], sizeof out[q]);
  }
#undef SHUFFLE
#else
  (void)k, (void)b, (void)col, (void)panel;
#endif
  return p;
}

/* memcpy whose fixed sizes compile to moves; runs here are short. */
INLINE void copy_run(int64_t n, const mgrad_real *from, mgrad_real *to) {
  if (n == TILE_COLS) {
    memcpy(to, from, TILE_COLS * sizeof *to);
    return;
  }
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) memcpy(to + j, from + j, 4 * sizeof *to);
  for (; j < n; j++) to[j] = from[j];
}

/* panel{k, TILE_COLS} = B{k, n}, n at most TILE_COLS, the rest zeros. */
static void pack_panel(int64_t k, int64_t n, mgrad_matrix b, mgrad_real *panel) {
  if (n < TILE_COLS) memset(panel, 0, (size_t)k * TILE_COLS * sizeof *panel);
  if (b.col == 1) {
    for (int64_t p = 0; p < k; p++)
      copy_run(n, b.data + p * b.row, panel + p * TILE_COLS);
    return;
  }
  for (int64_t j = 0, width; j < n; j += width) {
    width = b.row == 1 && n - j >= 4 ? 4 : 1;
    const mgrad_real *from = b.data + j * b.col;
    int64_t p = width == 4 ? pack_transposed(k, from, b.col, panel + j) : 0;
    for (; p < k; p++)
      for (int64_t l = 0; l < width; l++)
        panel[p * TILE_COLS + j + l] = from[p * b.row + l * b.col];
  }
}

static void gemm_blocked(int64_t m, int64_t n, int64_t k, mgrad_matrix a, mgrad_matrix b,
                         mgrad_real *c, int64_t row, bool add) {
  mgrad_real panel[KC * TILE_COLS] __attribute__((aligned(64)));
  for (int64_t p = 0; p < k; p += KC) {
    int64_t kc = mgrad_min_size(k - p, KC);
    for (int64_t i = 0; i < m; i += ROWS) {
      int64_t mc = mgrad_min_size(m - i, ROWS);
      mgrad_matrix left = { a.data + i * a.row + p * a.col, a.row, a.col };
      for (int64_t j = 0; j < n; j += TILE_COLS) {
        int64_t nc = mgrad_min_size(n - j, TILE_COLS);
        mgrad_matrix right = { b.data + p * b.row + j * b.col, b.row, b.col };
        pack_panel(kc, nc, right, panel);
        block(mc, nc, kc, left, panel, c + i * row + j, row, add || p > 0);
      }
    }
  }
}

/* c{n} (+)= x{k} B{k, n}, elements of x and c their step apart, 'width' columns
** at a time: as many chains as hide the latency of an addition. */
INLINE int64_t gemv_columns(int width, int64_t j, int64_t n, int64_t k,
                            const mgrad_real *x, int64_t xstep, mgrad_matrix b,
                            mgrad_real *c, int64_t cstep, bool add) {
  for (; j + width <= n; j += width) {
    mgrad_real sum[8 * LANES];
    for (int l = 0; l < width; l++) sum[l] = add ? c[(j + l) * cstep] : 0;
    for (int64_t p = 0; p < k; p++) {
      const mgrad_real *bp = b.data + p * b.row + j * b.col;
      for (int l = 0; l < width; l++)
        sum[l] = MUL_ADD(x[p * xstep], bp[l * b.col], sum[l]);
    }
    for (int l = 0; l < width; l++) c[(j + l) * cstep] = sum[l];
  }
  return j;
}

static void gemv(int64_t n, int64_t k, const mgrad_real *x, int64_t xstep,
                 mgrad_matrix b, mgrad_real *c, int64_t cstep, bool add) {
  int64_t j = 0;
  if (b.col == 1 && cstep == 1) {
    mgrad_matrix lying = { b.data, b.row, 1 };
    j = gemv_columns(8 * LANES, j, n, k, x, xstep, lying, c, 1, add);
    j = gemv_columns(LANES, j, n, k, x, xstep, lying, c, 1, add);
  }
  j = gemv_columns(8, j, n, k, x, xstep, b, c, cstep, add);
  gemv_columns(1, j, n, k, x, xstep, b, c, cstep, add);
}

static void gemm_small(int64_t m, int64_t n, int64_t k, mgrad_matrix a, mgrad_matrix b,
                       mgrad_real *c, int64_t row, bool add) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      mgrad_real sum = add ? c[i * row + j] : 0;
      for (int64_t p = 0; p < k; p++)
        sum = MUL_ADD(a.data[i * a.row + p * a.col], b.data[p * b.row + j * b.col], sum);
      c[i * row + j] = sum;
    }
}

void mgrad_gemm(int64_t m, int64_t n, int64_t k, mgrad_matrix a, mgrad_matrix b,
                mgrad_real *c, int64_t row, bool add) {
  if ((double)m * (double)n * (double)k <= SMALL)
    gemm_small(m, n, k, a, b, c, row, add);
  else if (m == 1)
    gemv(n, k, a.data, a.col, b, c, 1, add);
  else if (n == 1)
    gemv(m, k, b.data, b.row, (mgrad_matrix){ a.data, a.col, a.row }, c, row, add);
  else
    gemm_blocked(m, n, k, a, b, c, row, add);
}
