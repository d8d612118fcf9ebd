/*
** gemm.c - matrix product: tiles of C in registers, over B as it lies or packed.
**
** Every element of C is one chain c = c + a * b over k from first to last. The
** chain leaves the registers between blocks of k, but is never cut into parts
** that are added up; tile shape, edges and the paths for small sizes therefore
** cannot change the bits. On machines with fused multiply-add each link is one
** fma, written out, so compiler flags do not decide; elsewhere it is two
** roundings, in a file that must not be compiled with -ffast-math.
**
** A tile is some rows by some vectors of columns. B is read where it lies if its
** rows are contiguous and it is read few times; else it is packed: panels of one
** vector's width, each running through k. What packs a block of B into L2 is the
** caller's scratch; without it, a few panels at a time go through the stack. Where
** columns are few or B would have to be transposed, C' = B' A' is computed instead.
*/
#include "gemm.h"

/* Vectors of C in registers: 24 of 32, 12 of 16. */
#if VEC_BYTES == 64 || defined(__aarch64__)
#define SUMS 24
#else
#define SUMS 12
#endif

#if defined(__has_builtin)
#define HAS_SHUFFLE __has_builtin(__builtin_shufflevector)
#else
#define HAS_SHUFFLE 0
#endif

enum {
  TILE_ROWS = SUMS / 2,
  MOST_VECS = 8,       /* of one tile: a row by 8 vectors */
  KC = 256,            /* k of one block */
  NC = 512,            /* columns of one block; KC x NC stays in L2 */
  STACK = 48 * 1024 / (int)sizeof(mgrad_real), /* numbers packed without scratch */
  FEW_ROWS = 96,       /* of A that do not pay for packing B */
  IN_L1 = 16384,       /* numbers of B that are near enough as they lie */
  FINISHING = 16       /* multiplications that a number takes as long as */
};

/* ---- tiles ---- */

/* C{rows, columns} = from + A{rows, k} B{k, columns}. Vector v of B or C begins at
** v * b_vec, or v * LANES, but the last one at its own place: it may overlap the one
** before when the columns do not come out even. from NULL: zeros. Rows of A are
** found from every fourth, a[..], so that addresses fit into the registers. 'next'
** is the C of the tile to come, if it is worth fetching. */
typedef struct task {
  int64_t k;
  const mgrad_real *a[(TILE_ROWS + 3) / 4], *b, *from, *next;
  mgrad_real *c;
  int64_t a_row, a_col, b_row, b_vec, b_last, c_row, c_last, from_row;
} task;

#define UNROLL_ROWS _Pragma("GCC unroll 12")
#define UNROLL_VECS _Pragma("GCC unroll 8")

/* With constant rows, vecs and halved, so that the sums live in registers. 'halved':
** the last of the vectors is half as wide. */
INLINE void tile(const int rows, const int vecs, const bool halved, const task *t) {
  vec sum[TILE_ROWS][MOST_VECS];
  half_vec tail[TILE_ROWS];
  const int full = halved ? vecs - 1 : vecs;
  const mgrad_real *from = t->from;
  int64_t from_row = t->from_row, c_last = t->c_last;
  UNROLL_ROWS for (int i = 0; i < rows; i++) {
    UNROLL_VECS for (int v = 0; v < full; v++)
      sum[i][v] = from == NULL ? (vec){ 0 }
                : vec_load(from + i * from_row + (v < vecs - 1 ? v * LANES : c_last));
    if (halved)
      tail[i] = from == NULL ? (half_vec){ 0 } : half_vec_load(from + i * from_row + c_last);
  }
  if (t->next != NULL) {
    UNROLL_ROWS for (int i = 0; i < rows; i++)
      UNROLL_VECS for (int v = 0; v < vecs; v++)
        __builtin_prefetch(t->next + i * t->c_row + v * LANES, 1);
  }
  const mgrad_real *a[] = { t->a[0], t->a[rows > 4 ? 1 : 0], t->a[rows > 8 ? 2 : 0] };
  const mgrad_real *b = t->b, *last = t->b + t->b_last;
  int64_t a_row = t->a_row, a_col = t->a_col, b_row = t->b_row, b_vec = t->b_vec;
  for (int64_t p = t->k; p > 0; p--) {
    vec bv[MOST_VECS];
    half_vec bt = halved ? half_vec_load(last) : (half_vec){ 0 };
    UNROLL_VECS for (int v = 0; v < full; v++)
      bv[v] = vec_load(v < vecs - 1 ? b + v * b_vec : last);
    UNROLL_ROWS for (int i = 0; i < rows; i++) {
      mgrad_real x = a[i / 4][i % 4 * a_row];
      UNROLL_VECS for (int v = 0; v < full; v++)
        sum[i][v] = vec_mul_add(x, bv[v], sum[i][v]);
      if (halved) tail[i] = half_vec_mul_add(x, bt, tail[i]);
    }
    for (int g = 0; g < (rows + 3) / 4; g++) a[g] += a_col;
    b += b_row;
    last += b_row;
  }
  mgrad_real *c = t->c;
  int64_t c_row = t->c_row;
  UNROLL_ROWS for (int i = 0; i < rows; i++) {
    UNROLL_VECS for (int v = 0; v < full; v++)
      vec_store(c + i * c_row + (v < vecs - 1 ? v * LANES : c_last), sum[i][v]);
    if (halved) memcpy(c + i * c_row + c_last, &tail[i], sizeof tail[i]);
  }
}

/* A half costs half where a vector passes the multipliers in two parts. */
#define HALVES (VEC_BYTES == 64)
#define TILE(r, v) static void tile_##r##x##v(const task *t) { tile(r, v, false, t); }
#define TILE_HALVED(r, v) \
  static void tile_halved_##r##x##v(const task *t) { tile(r, v, true, t); }
#define TWO(f, r) f(r, 1) f(r, 2)
#define FOUR(f, r) TWO(f, r) f(r, 3) f(r, 4)
#define EIGHT(f, r) FOUR(f, r) f(r, 5) f(r, 6) f(r, 7) f(r, 8)
#if SUMS == 24
#define EACH_TILE(g, f) g(EIGHT, f, 1) g(FOUR, f, 2) g(FOUR, f, 3) g(FOUR, f, 4) \
  g(FOUR, f, 5) g(FOUR, f, 6) g(TWO, f, 7) g(TWO, f, 8) g(TWO, f, 9) g(TWO, f, 10) \
  g(TWO, f, 11) g(TWO, f, 12)
#else
#define EACH_TILE(g, f) g(EIGHT, f, 1) g(FOUR, f, 2) g(FOUR, f, 3) g(TWO, f, 4) \
  g(TWO, f, 5) g(TWO, f, 6)
#endif
#define BODIES(h, f, r) h(f, r)
#define ENTRY(r, v) tile_##r##x##v,
#define ENTRY_HALVED(r, v) tile_halved_##r##x##v,
#define ENTRIES(h, f, r) { h(f, r) },
EACH_TILE(BODIES, TILE)
#if HALVES
EACH_TILE(BODIES, TILE_HALVED)
#endif
typedef void (*tile_fn)(const task *t);
static const tile_fn tiles[1 + HALVES][TILE_ROWS][MOST_VECS] = {
  { EACH_TILE(ENTRIES, ENTRY) },
#if HALVES
  { EACH_TILE(ENTRIES, ENTRY_HALVED) }
#endif
};

/* Vectors that n columns fall into, and how wide the last one is. */
INLINE int64_t vecs_of(int64_t n) { return (n + LANES - 1) / LANES; }

INLINE int64_t last_width(int64_t n) {
  return HALVES && (n - 1) % LANES < LANES / 2 ? LANES / 2 : LANES;
}

/* Vectors of columns that a tile of so many rows can hold. */
INLINE int64_t most_vecs(int64_t rows) {
  return rows == 1 ? MOST_VECS : rows <= SUMS / 4 ? 4 : 2;
}

/* How many of n columns left to take at once, at most 'vecs' vectors. Never leaves
** less than a vector: what overlaps must be in one tile. */
INLINE int64_t take(int64_t n, int64_t vecs) {
  if (n <= vecs * LANES) return n;
  return (n <= (vecs + 1) * LANES ? vecs - 1 : vecs) * LANES;
}

/* ---- packing ---- */

#if HAS_SHUFFLE
/* Lane e of two rows that are d apart after they have traded places. */
#define LOW(d, n, e) ((e) & (d) ? (n) + (e) - (d) : (e))
#define HIGH(d, n, e) ((e) & (d) ? (n) + (e) : (e) + (d))
#define LANES_4(f, d, n) f(d, n, 0), f(d, n, 1), f(d, n, 2), f(d, n, 3)
#define LANES_8(f, d, n) LANES_4(f, d, n), f(d, n, 4), f(d, n, 5), f(d, n, 6), f(d, n, 7)
#define TRADE(type, n, d)                                                         \
  UNROLL_VECS for (int i = 0; i < n; i++) {                                       \
    if (i & d) continue;                                                          \
    type low = row[i], high = row[i + d];                                         \
    row[i] = __builtin_shufflevector(low, high, LANES_##n(LOW, d, n));            \
    row[i + d] = __builtin_shufflevector(low, high, LANES_##n(HIGH, d, n));       \
  }

/* to[p * step + j] = from[p + j * col] for n j, square by square in registers;
** returns how many p were done. Eight rows are what L1 can hold when rows are a
** multiple of 4096 bytes apart. */
#define TRANSPOSE(name, type, n, ...)                                             \
  static int64_t name(int64_t k, const mgrad_real *from, int64_t col,             \
                      mgrad_real *to, int64_t step) {                             \
    int64_t p = 0;                                                                \
    for (; p + n <= k; p += n) {                                                  \
      type row[n];                                                                \
      UNROLL_VECS for (int j = 0; j < n; j++) row[j] = type##_load(from + p + j * col); \
      __VA_ARGS__                                                                 \
      UNROLL_VECS for (int j = 0; j < n; j++) type##_store(to + (p + j) * step, row[j]); \
    }                                                                             \
    return p;                                                                     \
  }
TRANSPOSE(transpose_4, quad, 4, TRADE(quad, 4, 1) TRADE(quad, 4, 2))
TRANSPOSE(transpose_8, oct, 8, TRADE(oct, 8, 1) TRADE(oct, 8, 2) TRADE(oct, 8, 4))
#else
#define transpose_4(...) 0
#define transpose_8(...) 0
#endif

/* to[p * step + j] = B(p, j), k by n, where columns of B are contiguous. */
static void pack_columns(int64_t k, int64_t n, mgrad_matrix b, mgrad_real *to,
                         int64_t step) {
  for (int64_t j = 0, width; j < n; j += width) {
    const mgrad_real *from = b.data + j * b.col;
    int64_t p = 0;
    width = n - j >= 8 ? 8 : n - j >= 4 ? 4 : 1;
    if (width == 8) p = transpose_8(k, from, b.col, to + j, step);
    if (width == 4) p = transpose_4(k, from, b.col, to + j, step);
    for (; p < k; p++)
      for (int64_t l = 0; l < width; l++) to[p * step + j + l] = from[p + l * b.col];
  }
}

/* Rows of n numbers, at least a vector of this type: the last one may overlap. */
#define COPY_ROWS(type)                                                           \
  static void copy_rows_##type(int64_t k, int64_t n, mgrad_matrix b, mgrad_real *to, \
                               int64_t step) {                                    \
    const int64_t width = sizeof(type) / sizeof *to;                              \
    for (int64_t p = 0; p < k; p++, to += step) {                                 \
      const mgrad_real *row = b.data + p * b.row;                                 \
      for (int64_t j = 0; j < n - width; j += width)                              \
        type##_store(to + j, type##_load(row + j));                               \
      type##_store(to + n - width, type##_load(row + n - width));                 \
    }                                                                             \
  }
COPY_ROWS(lone)
COPY_ROWS(quad)
COPY_ROWS(oct)
COPY_ROWS(vec)

void mgrad_pack(int64_t k, int64_t n, mgrad_matrix b, mgrad_real *to, int64_t step) {
  if (b.col == 1) {
    if (n >= LANES) copy_rows_vec(k, n, b, to, step);
    else if (n >= 8) copy_rows_oct(k, n, b, to, step);
    else if (n >= 4) copy_rows_quad(k, n, b, to, step);
    else copy_rows_lone(k, n, b, to, step);
  } else if (b.row == 1) {
    pack_columns(k, n, b, to, step);
  } else {
    for (int64_t p = 0; p < k; p++)
      for (int64_t j = 0; j < n; j++) to[p * step + j] = b.data[p * b.row + j * b.col];
  }
}

/* Panels of LANES columns, 'size' numbers each; the last one ends with column n, or
** is filled up with zeros where n is too little for it. */
static void pack_panels(int64_t k, int64_t n, mgrad_matrix b, mgrad_real *to,
                        int64_t size) {
  int64_t vecs = vecs_of(n), last = last_width(n), whole = (vecs - 1) * LANES;
  if (b.col != 1 || n < last) {
    for (int64_t j = 0; j < whole; j += LANES, to += size)
      mgrad_pack(k, LANES, (mgrad_matrix){ b.data + j * b.col, b.row, b.col }, to, LANES);
    int64_t at = n > last ? n - last : 0;
    if (n < last) memset(to, 0, (size_t)(k * LANES) * sizeof *to);
    mgrad_pack(k, n - at, (mgrad_matrix){ b.data + at * b.col, b.row, b.col }, to, LANES);
    return;
  }
  for (int64_t j = 0; j < whole; j += 4 * LANES) {
    int64_t most = mgrad_min_size(whole - j, 4 * LANES);
    for (int64_t p = 0; p < k; p++) {
      const mgrad_real *row = b.data + p * b.row + j;
      mgrad_real *out = to + j / LANES * size + p * LANES;
      for (int64_t l = 0; l < most; l += LANES, out += size) {
        if (p + 8 < k) __builtin_prefetch(row + 8 * b.row + l);
        vec_store(out, vec_load(row + l));
      }
    }
  }
  mgrad_pack(k, last, (mgrad_matrix){ b.data + n - last, b.row, 1 }, to + (vecs - 1) * size,
       LANES);
}

/* ---- blocks ---- */

/* A block of B where the tiles read it. */
typedef struct source {
  const mgrad_real *data;
  int64_t row, vec;
  bool packed;
} source;

INLINE void run_tile(int64_t rows, int64_t n, const task *t) {
  tiles[HALVES && last_width(n) != LANES][rows - 1][vecs_of(n) - 1](t);
}

/* The tile of C from (i, j) on by way of a copy: C cannot be read and written by
** vectors. */
static __attribute__((noinline)) void tile_copied(const gemm *x, int64_t i, int64_t j, int64_t rows, int64_t n,
                        task *t) {
  mgrad_real copy[SUMS * LANES] __attribute__((aligned(64)));
  int64_t width = vecs_of(n) * LANES;
  t->c = copy;
  t->from = NULL;
  if (x->start.data != NULL) {
    mgrad_matrix start = x->start;
    start.data += i * start.row + j * start.col;
    mgrad_pack(rows, n, start, copy, width);
    t->from = copy;
  }
  t->c_row = t->from_row = width;
  run_tile(rows, n, t);
  mgrad_real *c = x->c + i * x->c_row + j * x->c_col;
  if (x->c_col == 1) mgrad_pack(rows, n, (mgrad_matrix){ copy, width, 1 }, c, x->c_row);
  else mgrad_pack(n, rows, (mgrad_matrix){ copy, 1, width }, c, x->c_col);
}

/* The next strip of so many rows: the last two are alike. */
INLINE int64_t strip_rows(int64_t rows) {
  if (rows > 2 * TILE_ROWS) return TILE_ROWS;
  return rows > TILE_ROWS ? (rows + 1) / 2 : rows;
}

/* Does what comes after so much ask before it is done? */
INLINE bool asks(const gemm *x, int64_t before) {
  return before > 0 || mgrad_pool_counts(x->pool);
}

/* A block is a section of strips. */
static bool enters(const gemm *x) {
  return mgrad_pool_enters(x->pool, x->worker, strip_rows(x->m) * x->n * x->k);
}

/* All rows of A against a block of B, strip by strip, each a piece of the call. A strip read often is packed
** into 'room' (NULL: never). */
INLINE void block(const gemm *x, const source *b, mgrad_real *room) {
  const mgrad_real *start = x->start.data;
  bool vectors = x->c_col == 1 && x->n >= last_width(x->n) &&
                 (start == NULL || x->start.col == 1);
  bool far = start == x->c && x->k >= 64;
  task t = { .k = x->k, .a_row = x->a.row, .a_col = x->a.col, .b_row = b->row,
             .b_vec = b->vec, .c_row = x->c_row, .from_row = x->start.row };
  if (room != NULL) t.a_row = 1, t.a_col = TILE_ROWS;
  for (int64_t i = 0, rows; i < x->m; i += rows) {
    rows = strip_rows(x->m - i);
    if (asks(x, i) && !mgrad_pool_piece(x->pool, x->worker, rows * x->n * x->k)) continue;
    const mgrad_real *a = x->a.data + i * x->a.row;
    if (room != NULL) {
      mgrad_pack(x->k, rows, (mgrad_matrix){ a, x->a.col, x->a.row }, room, TILE_ROWS);
      a = room;
    }
    for (int g = 0; 4 * g < rows; g++) t.a[g] = a + 4 * g * t.a_row;
    int64_t most = most_vecs(rows);
    for (int64_t j = 0, n; j < x->n; j += n) {
      n = take(x->n - j, most);
      int64_t last = n - last_width(n);
      t.b = b->data + j / LANES * b->vec;
      t.c_last = last > 0 ? last : 0;
      t.b_last = b->packed ? (vecs_of(n) - 1) * b->vec : t.c_last;
      if (vectors) {
        t.c = x->c + i * x->c_row + j;
        t.from = start == NULL ? NULL : start + i * x->start.row + j;
        t.next = far && j + n < x->n ? t.c + n : NULL;
        run_tile(rows, n, &t);
      } else {
        tile_copied(x, i, j, rows, n, &t);
      }
    }
  }
}

/* The block of k from p on: what it starts from is C, but for the first one. */
static gemm block_of_k(const gemm *x, int64_t p, int64_t k) {
  gemm part = *x;
  part.k = k;
  part.a.data += p * x->a.col;
  part.b.data += p * x->b.row;
  if (p > 0) part.start = (mgrad_matrix){ x->c, x->c_row, x->c_col };
  return part;
}

/* Blocks of k of nearly equal length. */
static int64_t length_of_k(int64_t k) {
  int64_t blocks = (k + KC - 1) / KC;
  return blocks <= 1 ? (k > 0 ? k : 1) : (k + blocks - 1) / blocks;
}

/* Is a strip of A to be packed when read for n columns? Where it lies so that its
** lines displace each other in L1. */
static bool packs_strips(const gemm *x, int64_t n) {
  int64_t step = x->a.col == 1 ? x->a.row : 2 * x->a.col;
  return n >= 16 * LANES && step * (int64_t)sizeof(mgrad_real) % 4096 == 0;
}

static void multiply_packing(const gemm *x) {
  mgrad_real room[STACK] __attribute__((aligned(64)));
  int64_t kc = length_of_k(x->k), p = 0;
  bool scratch = x->nwork >= 4 * kc * LANES && x->work != NULL;
  mgrad_real *to = scratch ? x->work : room;
  int64_t vecs = mgrad_min_size((scratch ? x->nwork : STACK) / (kc * LANES), NC / LANES);
  if (!scratch) vecs = vecs / 2 * 2;
  do {
    gemm row = block_of_k(x, p, mgrad_min_size(kc, x->k - p));
    for (int64_t j = 0, n; j < x->n; j += n) {
      n = take(x->n - j, vecs);
      gemm part = row;
      part.n = n;
      if (asks(x, p + j) && !enters(&part)) continue;
      part.b.data += j * x->b.col;
      part.c += j * x->c_col;
      if (part.start.data != NULL) part.start.data += j * row.start.col;
      pack_panels(part.k, n, part.b, to, part.k * LANES);
      block(&part, &(source){ to, LANES, part.k * LANES, true },
            scratch && packs_strips(x, n) ? room : NULL);
      mgrad_pool_leaves(x->pool, x->worker);
    }
    p += kc;
  } while (p < x->k);
}

static __attribute__((noinline)) void block_read(const gemm *x, const source *b) {
  block(x, b, NULL);
}

/* With B where it lies, or packed ahead: nothing is copied where k is one block. */
static void multiply_reading(const gemm *x, source b) {
  int64_t kc = length_of_k(x->k);
  if (x->k <= kc) {
    block_read(x, &b);
    return;
  }
  for (int64_t p = 0; p < x->k; p += kc, b.data += kc * b.row) {
    gemm part = block_of_k(x, p, mgrad_min_size(kc, x->k - p));
    if (asks(x, p) && !enters(&part)) continue;
    block_read(&part, &b);
    mgrad_pool_leaves(x->pool, x->worker);
  }
}

static void multiply_direct(const gemm *x) {
  multiply_reading(x, (source){ x->b.data, x->b.row, LANES, false });
}

static void multiply_packed(const gemm *x) {
  multiply_reading(x, (source){ x->packed, LANES, x->k * LANES, true });
}

/* ---- choosing ---- */

/* Is C' = B' A' cheaper? Where columns are few, and where B would have to be
** transposed for few rows of A: then C is the less to transpose. */
static bool better_swapped(const gemm *x) {
  if (x->n < LANES) return x->m > x->n && (x->m >= LANES || x->n == 1);
  return x->b.col != 1 && x->m >= LANES && x->m <= FEW_ROWS && x->n >= 2 * x->m &&
         x->k >= 2 * x->m;
}

static bool reads_directly(const gemm *x) {
  if (x->b.col != 1 || x->n < last_width(x->n)) return false;
  return x->m <= FEW_ROWS || x->k * x->n <= IN_L1;
}

/* Rows or columns of C, whichever are contiguous; all of it where it is in one piece. */
static __attribute__((noinline)) void finish(const gemm *x) {
  bool rows = x->c_col == 1;
  int64_t n = rows ? x->n : x->m, step = rows ? x->c_row : x->c_col;
  int64_t count = rows ? x->m : x->n;
  if (step == n) n *= count, count = 1;
  for (int64_t i = 0; i < count; i++) x->finish(n, x->c + i * step, x->c + i * step, x->p);
}

static bool is_small(const gemm *x) {
  return (x->m | x->n | x->k) <= MGRAD_SMALL && x->m * x->n * x->k <= MGRAD_SMALL;
}

/* A small product is a single piece. */
static __attribute__((noinline)) void multiply_counting(const gemm *x) {
  bool whole = x->packed == NULL && is_small(x);
  if (!whole || mgrad_pool_takes(x->pool, x->worker, MGRAD_SMALL)) x->run(x);
  if (x->finish == NULL) return;
  if (mgrad_pool_takes(x->pool, x->worker, FINISHING * x->m * x->n)) finish(x);
}

INLINE void multiply_alone(const gemm *x) {
  if (mgrad_pool_counts(x->pool)) {
    multiply_counting(x);
    return;
  }
  x->run(x);
  if (x->finish != NULL) finish(x);
}

/* ---- threads: each part is some rows of C, or some columns where there are more of
** them: then less of B is packed by all ---- */

typedef struct parts {
  const gemm *x;
  bool columns;
  int64_t size; /* columns or rows of one part */
} parts;

static void multiply_part(void *ud, int64_t part, int worker) {
  const parts *p = ud;
  gemm x = *p->x;
  x.worker = worker;
  int64_t first = part * p->size;
  if (p->columns) {
    x.n = mgrad_min_size(p->size, x.n - first);
    x.b.data += first * x.b.col;
    if (x.packed != NULL) x.packed += first * x.k;
    x.c += first * x.c_col;
    if (x.start.data != NULL) x.start.data += first * x.start.col;
  } else {
    x.m = mgrad_min_size(p->size, x.m - first);
    x.a.data += first * x.a.row;
    x.c += first * x.c_row;
    if (x.start.data != NULL) x.start.data += first * x.start.row;
  }
  x.nwork /= mgrad_pool_threads(x.pool);
  if (x.work != NULL) x.work += worker * x.nwork;
  multiply_alone(&x);
}

static double work_of(const gemm *x) { return (double)x->m * (double)x->n * (double)x->k; }

static int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

static void multiply_in_parts(const gemm *x) {
  int64_t threads = mgrad_pool_threads(x->pool), most = 2 * threads;
  parts p = { .x = x, .columns = x->n >= x->m };
  int64_t n = p.columns ? x->n : x->m, unit = p.columns ? 2 * LANES : TILE_ROWS;
  p.size = round_up((n + most - 1) / most, unit);
  mgrad_pool_run(x->pool, work_of(x), (n + p.size - 1) / p.size, multiply_part, &p);
}

/* Settles how x is computed; C' = B' A' may take its place. */
static __attribute__((noinline)) void choose(gemm *x) {
  if (x->packed != NULL && x->n >= LANES / 2) {
    x->run = multiply_packed;
  } else if (is_small(x)) {
    mgrad_gemm_choose_small(x);
  } else {
    if (better_swapped(x)) *x = swapped(*x);
    x->run = reads_directly(x) ? multiply_direct : multiply_packing;
  }
}

void mgrad_gemm(gemm *x) {
  if (x->run == NULL) choose(x);
  bool others = x->pool != NULL && x->pool->crew != NULL && !x->alone;
  if (others && work_of(x) >= MGRAD_POOL_WAKING) {
    multiply_in_parts(x);
  } else {
    multiply_alone(x);
  }
}

/* Sizes are the same for all instruction sets. */
static int64_t whole_vecs(int64_t n) { return round_up(n, 16); }

int64_t mgrad_gemm_nwork(int64_t m, int64_t n, int64_t k, int threads) {
  if (m <= FEW_ROWS || n <= FEW_ROWS) return 0; /* the stack does */
  return threads * length_of_k(k) * whole_vecs(mgrad_min_size(n, NC));
}

int64_t mgrad_pack_b_size(int64_t n, int64_t k) { return whole_vecs(n) * k; }

void mgrad_pack_b(int64_t n, int64_t k, mgrad_matrix b, mgrad_real *packed) {
  pack_panels(k, n, b, packed, k * LANES);
}
