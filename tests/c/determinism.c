/*
** determinism.c - the same seed gives the same bits: ops, products of many shapes, and
** small models trained from each of many seeds, under every instruction set with fused
** multiply-add that this machine has, at several numbers of threads. The last line is a
** hash over everything; tests/determinism compares it between compilers and processors.
**
**   build/tests-float/determinism [seeds [all]]
**
** 'all' prints each hash, so that the outputs of two programs can be compared.
*/
#include "nets.h"

enum { ROWS_TOO = 5 }; /* seeds for which a batch is compared with its rows */

static int passed, failed, verbose;

/* Does a batch give what its rows give one by one? */
static int same_rows(mgrad_layer *net, mgrad_tensor *x) {
  mgrad_tensor *all, *one, *y;
  int64_t rows = mgrad_tensor_array(x)->size[0], in = mgrad_tensor_array(x)->size[1];
  must(mgrad_layer_predict(net, x, &all));
  must(mgrad_tensor_new(ctx, 2, (int64_t[]){ 1, in }, &one));
  size_t out = (size_t)(mgrad_tensor_numel(all) / rows);
  int same = 1;
  for (int64_t i = 0; i < rows; i++) {
    must(mgrad_tensor_write(one, mgrad_tensor_array(x)->data + i * in));
    must(mgrad_layer_predict(net, one, &y));
    same &= memcmp(mgrad_tensor_array(y)->data,
                   mgrad_tensor_array(all)->data + (size_t)i * out,
                   out * sizeof(mgrad_real)) == 0;
    mgrad_tensor_release(y);
  }
  mgrad_tensor_release(all);
  mgrad_tensor_release(one);
  return same;
}

static void check(int ok, const char *name, int seed, const char *way, const char *what) {
  if (ok) passed++;
  else failed++;
  if (!ok) printf("not ok - %s, seed %d, %s: %s\n", name, seed, way, what);
}

static uint64_t trained(const void *of, int seed, const char *way) {
  const model *m = of;
  mgrad_seed(ctx, (uint64_t)seed);
  mgrad_layer *net = net_of(m);
  mgrad_tensor *x = numbers(MGRAD_NORMAL, 2, m->rows, m->in), *y = target_of(m);
  train(m, net, x, y, &(mgrad_run){ 0 });
  uint64_t hash = mgrad_layer_hash(net);
  if (seed <= ROWS_TOO && strcmp(m->name, "normalised") != 0)
    check(same_rows(net, x), m->name, seed, way, "a batch differs from its rows");
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_layer_release(net);
  return hash;
}

/* ---- ops and products ---- */

static uint64_t mix(uint64_t hash, uint64_t v) {
  return (hash ^ v) * UINT64_C(0x9E3779B97F4A7C15);
}

/* All numbers of t; processors make different NaN, so these count as one. */
static uint64_t mix_tensor(uint64_t hash, mgrad_tensor *t) {
  int64_t n = mgrad_tensor_numel(t);
  mgrad_real *v = malloc((size_t)n * sizeof *v);
  if (v == NULL) exit(1);
  mgrad_tensor_read(t, v);
  for (int64_t i = 0; i < n; i++) {
    uint64_t bits = 0;
    if (v[i] == v[i]) memcpy(&bits, &v[i], sizeof v[i]);
    else bits = UINT64_MAX;
    hash = mix(hash, bits);
  }
  free(v);
  return hash;
}

/* Result and gradients of an op applied to x[n]; 0 where it refuses them. */
static uint64_t applied(const mgrad_op *op, mgrad_tensor **x, int n) {
  mgrad_op_info info;
  mgrad_tensor *y;
  mgrad_op_describe(op, &info);
  for (int i = 0; i < n; i++) must(mgrad_tensor_require_grad(x[i], 1));
  if (mgrad_apply(op, ctx, x, n, NULL, &y) != MGRAD_OK) return 0;
  uint64_t hash = mix_tensor(1, y);
  if (info.differentiable) {
    mgrad_tensor *squares = apply("square", y, NULL, NULL);
    mgrad_tensor *sum = apply("sum", squares, NULL, NULL);
    must(mgrad_backward(sum, 0));
    mgrad_tensor_release(squares);
    mgrad_tensor_release(sum);
  }
  for (int i = 0; i < n; i++)
    if (mgrad_tensor_grad(x[i]) != NULL) hash = mix_tensor(hash, mgrad_tensor_grad(x[i]));
  mgrad_tensor_release(y);
  return hash;
}

/* An op whose operands may all be {6, 83}, enough for every vector and a rest: of
** numbers from 0 to 1, then of normal ones. */
static uint64_t op_result(const void *of, int seed, const char *way) {
  mgrad_op_info info;
  mgrad_tensor *x[MOST];
  int n = 1;
  (void)way;
  mgrad_op_describe(of, &info);
  for (const char *p = info.operands; (p = strchr(p, ' ')) != NULL; p++) n++;
  mgrad_seed(ctx, 1);
  for (int i = 0; i < n; i++)
    x[i] = numbers(seed == 1 ? MGRAD_UNIFORM : MGRAD_NORMAL, 2, 6, 83);
  uint64_t hash = applied(of, x, n);
  for (int i = 0; i < n; i++) mgrad_tensor_release(x[i]);
  return hash;
}

/* {m, k} times {k, n}; backward multiplies by the transposed of both. */
typedef struct product { int64_t m, n, k; } product;
static const product products[] = {
  { 1, 1, 1 }, { 1, 64, 64 }, { 4, 8, 2 }, { 3, 5, 7 }, { 16, 16, 16 }, { 7, 1, 300 },
  { 17, 33, 65 }, { 64, 10, 128 }, { 5, 200, 3 }, { 100, 100, 300 }, { 31, 530, 270 },
};
enum { PRODUCTS = sizeof products / sizeof *products };

static uint64_t product_result(const void *of, int seed, const char *way) {
  const product *p = of;
  (void)way;
  mgrad_seed(ctx, (uint64_t)seed);
  mgrad_tensor *x[] = { numbers(MGRAD_NORMAL, 2, p->m, p->k),
                        numbers(MGRAD_NORMAL, 2, p->k, p->n) };
  uint64_t hash = applied(mgrad_op_find("matmul"), x, 2);
  mgrad_tensor_release(x[0]);
  mgrad_tensor_release(x[1]);
  return hash;
}

/* ---- comparing ---- */

/* What runs the arithmetic; only with fused multiply-add are the bits the same. */
static const char *const sets[] = { "avx2", "avx512", "neon" };
static const int threads[] = { 1, 2, 3, 4, 8 };
enum { SETS = sizeof sets / sizeof *sets, COUNTS = sizeof threads / sizeof *threads };

/* Chooses one of the ways to compute: false where this machine has no such way. */
static int choose(int set, int count, char *name, size_t size) {
  if (mgrad_isa_set(ctx, sets[set]) != MGRAD_OK) return 0;
  if (mgrad_threads_set(ctx, threads[count]) != MGRAD_OK) return 0;
  snprintf(name, size, "%s, threads %d", sets[set], threads[count]);
  return 1;
}

/* Computes a hash in every way there is; the one that all must agree on. */
static uint64_t compare(const char *name, uint64_t (*hash)(const void *, int, const char *),
                        const void *of, int seed) {
  uint64_t first = 0;
  int ways = 0;
  for (int i = 0; i < SETS * COUNTS; i++) {
    char way[32];
    if (!choose(i / COUNTS, i % COUNTS, way, sizeof way)) continue;
    uint64_t one = hash(of, seed, way);
    if (ways++ == 0) first = one;
    else check(one == first, name, seed, way, "other bits than before");
  }
  if (verbose) printf("%s, seed %d: %016llx\n", name, seed, (unsigned long long)first);
  return first;
}

static uint64_t compare_ops(uint64_t all) {
  for (int i = 0; i < mgrad_op_count(); i++) {
    const mgrad_op *op = mgrad_op_at(i);
    mgrad_op_info info;
    mgrad_op_describe(op, &info);
    for (int seed = 1; seed <= 2; seed++)
      all = mix(all, compare(info.name, op_result, op, seed));
  }
  for (int i = 0; i < PRODUCTS; i++)
    all = mix(all, compare("matmul", product_result, &products[i], 1));
  return all;
}

static uint64_t compare_models(uint64_t all, int seeds) {
  for (int i = 0; i < MODELS; i++)
    for (int seed = 1; seed <= seeds; seed += models[i].seeds)
      all = mix(all, compare(models[i].name, trained, &models[i], seed));
  return all;
}

int main(int argc, char **argv) {
  int seeds = argc > 1 ? atoi(argv[1]) : 100;
  verbose = argc > 2;
  ctx = mgrad_context_new(NULL, NULL);
  if (ctx == NULL || seeds < 1) return 1;
  uint64_t all = compare_models(compare_ops(0), seeds);
  mgrad_context_release(ctx);
  printf("determinism: %d passed, %d failed\n", passed, failed);
  if (passed + failed == 0) puts("hash of all: none");
  else printf("hash of all: %016llx\n", (unsigned long long)all);
  return failed != 0;
}
