/*
** gemm.c - speed of the matrix product, shape by shape: ours and, where one is
** linked, a peer's beside it, in GFLOP/s of one thread. Never decides a test.
**
**   cc -O3 -DMGRAD_ISA=avx512 tests/bench/gemm.c build/core-float/libmoongrad.a -lm
**   or avx2, or none for the baseline; with -DPEER_CBLAS .. -lopenblas, with
**   -DPEER_DNNL .. -ldnnl (of oneDNN 2), or both
**   (run with OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1)
**   ./a.out [m n k]   one shape, or the whole table
*/
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "../../core/kernels/kernels.h"
#ifdef PEER_CBLAS
#include <cblas.h>
#endif
#ifdef PEER_DNNL
#include <dnnl.h>
#endif

enum { NN, NT, TN, FORMS, ROUNDS = 30 };
static const char *const form_name[] = { "NN", "NT", "TN" };

typedef struct job {
  int64_t m, n, k, nwork;
  int form;
  mgrad_real *a, *b, *c, *packed, *work;
#ifdef PEER_DNNL
  dnnl_stream_t stream;
  dnnl_primitive_t primitive;
  dnnl_exec_arg_t args[3];
#endif
} job;

/* In place: a copy of what has just been written costs more than a small product. */
static void describe(const job *t, mgrad_product *x) {
  *x = (mgrad_product){ .m = t->m, .n = t->n, .k = t->k, .a = { t->a, t->k, 1 },
                        .b = { t->b, t->n, 1 }, .c = t->c, .c_row = t->n, .c_col = 1 };
  if (t->form == NT) x->b.row = 1, x->b.col = t->k;
  if (t->form == TN) x->a.row = 1, x->a.col = t->m;
}

static void run_ours(job *t) {
  mgrad_product x;
  describe(t, &x);
  x.work = t->work;
  x.nwork = t->nwork;
  mgrad_gemm(&x);
}

static void run_bare(job *t) {
  mgrad_product x;
  describe(t, &x);
  mgrad_gemm(&x);
}

static void run_packed(job *t) {
  mgrad_product x;
  describe(t, &x);
  x.packed = t->packed;
  mgrad_gemm(&x);
}

#ifdef PEER_CBLAS
static void run_cblas(job *t) {
  int m = (int)t->m, n = (int)t->n, k = (int)t->k;
  cblas_sgemm(CblasRowMajor, t->form == TN ? CblasTrans : CblasNoTrans,
              t->form == NT ? CblasTrans : CblasNoTrans, m, n, k, 1, t->a,
              t->form == TN ? m : k, t->b, t->form == NT ? k : n, 0, t->c, n);
}
#endif

#ifdef PEER_DNNL
static void run_dnnl(job *t) {
  dnnl_sgemm(t->form == TN ? 'T' : 'N', t->form == NT ? 'T' : 'N', t->m, t->n, t->k, 1,
             t->a, t->form == TN ? t->m : t->k, t->b, t->form == NT ? t->k : t->n, 0,
             t->c, t->n);
}

static void run_dnnl_primitive(job *t) {
  dnnl_primitive_execute(t->primitive, t->stream, 3, t->args);
  dnnl_stream_wait(t->stream);
}

static void dnnl_prepare(job *t) {
  static dnnl_engine_t engine;
  if (engine == NULL) dnnl_engine_create(&engine, dnnl_cpu, 0);
  dnnl_stream_create(&t->stream, engine, dnnl_stream_default_flags);
  dnnl_memory_desc_t a, b, c;
  dnnl_dims_t am = { t->m, t->k }, bm = { t->k, t->n }, cm = { t->m, t->n };
  dnnl_memory_desc_init_by_tag(&a, 2, am, dnnl_f32, t->form == TN ? dnnl_ba : dnnl_ab);
  dnnl_memory_desc_init_by_tag(&b, 2, bm, dnnl_f32, t->form == NT ? dnnl_ba : dnnl_ab);
  dnnl_memory_desc_init_by_tag(&c, 2, cm, dnnl_f32, dnnl_ab);
  dnnl_matmul_desc_t desc;
  dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c);
  dnnl_primitive_desc_t made;
  dnnl_primitive_desc_create(&made, &desc, NULL, engine, NULL);
  dnnl_primitive_create(&t->primitive, made);
  int what[] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST };
  dnnl_memory_desc_t *of[] = { &a, &b, &c };
  mgrad_real *at[] = { t->a, t->b, t->c };
  for (int i = 0; i < 3; i++) {
    t->args[i].arg = what[i];
    dnnl_memory_create(&t->args[i].memory, of[i], engine, at[i]);
  }
}
#endif

typedef struct runner { const char *name; void (*run)(job *); } runner;
static const runner runners[] = {
  { "ours", run_ours }, { "no work", run_bare }, { "packed", run_packed },
#ifdef PEER_CBLAS
  { "CBLAS", run_cblas },
#endif
#ifdef PEER_DNNL
  { "oneDNN", run_dnnl }, { "matmul", run_dnnl_primitive },
#endif
};
enum { RUNNERS = sizeof runners / sizeof *runners, FIRST_PEER = 3 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(const runner *r, job *t, int64_t calls) {
  double start = now();
  for (int64_t i = 0; i < calls; i++) r->run(t);
  return (now() - start) / (double)calls;
}

/* The best of interleaved rounds, so that what else the machine does hits all alike. */
static void measure(job *t) {
  double flops = 2.0 * (double)t->m * (double)t->n * (double)t->k;
  int64_t calls = (int64_t)(5e-4 * 5e10 / (flops + 2000)) + 1;
  double time[RUNNERS], best = 0;
  int rounds = flops > 2e8 ? 8 : ROUNDS;
  for (int r = 0; r < rounds; r++)
    for (int i = 0; i < RUNNERS; i++) {
      runners[i].run(t);
      double s = seconds(&runners[i], t, calls);
      if (r == 0 || s < time[i]) time[i] = s;
    }
  char shape[64];
  sprintf(shape, "%dx%dx%d", (int)t->m, (int)t->n, (int)t->k);
  printf("%-15s %s", shape, form_name[t->form]);
  for (int i = 0; i < RUNNERS; i++) {
    double rate = 1e-9 * flops / time[i];
    if (i >= FIRST_PEER && rate > best) best = rate;
    printf(" %8.1f", rate);
  }
  printf(" %8.0f ns", 1e9 * time[0]);
  if (best > 0) printf(" %7.2f", 1e-9 * flops / time[0] / best);
  printf("\n");
  fflush(stdout);
}

static mgrad_real *numbers(int64_t count) {
  mgrad_real *x = aligned_alloc(64, ((size_t)count * sizeof *x + 127) / 64 * 64);
  if (x == NULL) exit(1);
  for (int64_t i = 0; i < count; i++) x[i] = (mgrad_real)(i % 17) / 16 - (mgrad_real)0.4;
  return x;
}

static void bench(int64_t m, int64_t n, int64_t k) {
  for (int form = 0; form < FORMS; form++) {
    job t = { .m = m, .n = n, .k = k, .form = form };
    t.a = numbers(m * k), t.b = numbers(k * n), t.c = numbers(m * n);
    t.packed = numbers(mgrad_pack_b_size(n, k));
    t.nwork = mgrad_gemm_nwork(m, n, k, 1);
    t.work = numbers(t.nwork);
    mgrad_matrix b = { t.b, n, 1 };
    if (form == NT) b = (mgrad_matrix){ t.b, 1, k };
    mgrad_pack_b(n, k, b, t.packed);
#ifdef PEER_DNNL
    dnnl_prepare(&t);
#endif
    measure(&t);
    free(t.a), free(t.b), free(t.c), free(t.packed), free(t.work);
  }
}

static const int shapes[][3] = {
  { 4, 8, 2 }, { 4, 1, 8 }, { 8, 2, 4 }, { 4, 4, 4 }, { 8, 8, 8 },
  { 16, 16, 16 }, { 24, 24, 24 }, { 32, 32, 32 }, { 48, 48, 48 }, { 64, 64, 64 },
  { 96, 96, 96 }, { 100, 100, 100 }, { 128, 128, 128 }, { 200, 200, 200 },
  { 256, 256, 256 }, { 384, 384, 384 }, { 512, 512, 512 }, { 1000, 1000, 1000 },
  { 1024, 1024, 1024 }, { 2048, 2048, 2048 },
  { 1, 64, 64 }, { 64, 128, 784 }, { 784, 128, 64 }, { 256, 1024, 1024 },
  { 256, 1024, 784 }, { 256, 10, 1024 }, { 32, 512, 128 }, { 6, 784, 25 },
  { 16, 100, 150 }, { 64, 10, 128 } };

int main(int argc, char **argv) {
  printf("shape           form");
  for (int i = 0; i < RUNNERS; i++) printf(" %8s", runners[i].name);
  printf("  %s\n", RUNNERS > FIRST_PEER ? "ours, ours / best peer" : "ours");
  if (argc == 4) {
    bench(atoi(argv[1]), atoi(argv[2]), atoi(argv[3]));
    return 0;
  }
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    bench(shapes[i][0], shapes[i][1], shapes[i][2]);
  return 0;
}
