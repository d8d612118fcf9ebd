/*
** pool.c - facts about worker threads: each part is done once, results keep their
** bits, forked processes and many contexts get along, nothing is left behind.
*/
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "../../core/context.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#ifndef _WIN32
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#endif

enum { SIDE = 160, PARTS = 1000, STATES = 4, ROUNDS = 20 };

static mgrad_context *context(int threads) {
  mgrad_context *ctx = mgrad_context_new(NULL, NULL);
  if (ctx == NULL || mgrad_threads_set(ctx, threads) != MGRAD_OK) exit(1);
  return ctx;
}

/* A number made of all bits of the product of two random matrices and its gradients. */
static uint64_t product(mgrad_context *ctx) {
  mgrad_tensor *x[2], *y, *sum;
  uint64_t hash = 0;
  mgrad_seed(ctx, 1);
  for (int i = 0; i < 2; i++) {
    if (mgrad_tensor_random(ctx, MGRAD_NORMAL, 2, (int64_t[]){ SIDE, SIDE }, &x[i]) != 0) exit(1);
    mgrad_tensor_require_grad(x[i], 1);
  }
  if (mgrad_apply(mgrad_op_find("matmul"), ctx, x, 2, NULL, &y) != MGRAD_OK ||
      mgrad_apply(mgrad_op_find("sum"), ctx, &y, 1, NULL, &sum) != MGRAD_OK ||
      mgrad_backward(sum, 0) != MGRAD_OK) exit(1);
  mgrad_tensor *const all[] = { y, mgrad_tensor_grad(x[0]), mgrad_tensor_grad(x[1]) };
  for (int t = 0; t < 3; t++) {
    const unsigned char *p = (const unsigned char *)mgrad_tensor_array(all[t])->data;
    for (size_t i = 0; i < SIDE * SIDE * sizeof(mgrad_real); i++) hash = hash * 31 + p[i];
  }
  mgrad_tensor_release(x[0]);
  mgrad_tensor_release(x[1]);
  mgrad_tensor_release(y);
  mgrad_tensor_release(sum);
  return hash;
}

typedef struct counts {
  atomic_int parts[PARTS];
  atomic_int at_work[MGRAD_MAX_THREADS];
  atomic_int shared; /* two of one number at the same time */
} counts;

static void count(void *ud, int64_t part, int worker) {
  counts *c = ud;
  if (atomic_fetch_add(&c->at_work[worker], 1) != 0) atomic_fetch_add(&c->shared, 1);
  atomic_fetch_add(&c->parts[part], 1);
  atomic_fetch_sub(&c->at_work[worker], 1);
}

static void test_parts(void) {
  test("each part of a job is done once, by workers with numbers of their own");
  static counts c;
  mgrad_context *ctx = context(8);
  for (int n = 1; n <= PARTS; n++) mgrad_pool_run(ctx->pool, MGRAD_POOL_WAKING, n, count, &c);
  int right = 0;
  for (int i = 0; i < PARTS; i++) right += c.parts[i] == PARTS - i;
  CHECK(right == PARTS);
  CHECK(c.shared == 0);
  mgrad_context_release(ctx);
}

/* ---- pauses ---- */

enum { MOST_PIECES = 8, JOBS = 3, LARGE_PARTS = 120 };

typedef struct pieces {
  mgrad_pool *pool;
  int job;
  atomic_int done[JOBS][LARGE_PARTS][MOST_PIECES];
} pieces;

/* A part of 0 to 7 pieces, of which each wants the one before it; the last ones are in
** sections of three. */
static void do_pieces(void *ud, int64_t part, int worker) {
  pieces *p = ud;
  int n = (int)(part % MOST_PIECES);
  for (int i = 0; i < n; i++) {
    bool in = i >= 2, begins = in && (i - 2) % 3 == 0;
    if (begins && !mgrad_pool_enters(p->pool, worker, MGRAD_POOL_ASK)) {
      i += 2;
      continue;
    }
    bool wanted = mgrad_pool_piece(p->pool, worker, MGRAD_POOL_ASK / 4);
    if (wanted && (i == 0 || p->done[p->job][part][i - 1] == 1))
      atomic_fetch_add(&p->done[p->job][part][i], 1);
    if (in && (i == n - 1 || (i - 2) % 3 == 2)) mgrad_pool_leaves(p->pool, worker);
  }
}

static int seldom(void *ud) {
  unsigned *state = ud;
  *state = *state * 1103515245u + 12345;
  return (int)(*state >> 16 & 1);
}

/* A call of three jobs, one after the other, of which the second is done alone. */
static void call_of_jobs(pieces *p) {
  for (p->job = 0; p->job < JOBS; p->job++)
    mgrad_pool_run(p->pool, p->job != 1 ? MGRAD_POOL_WAKING : 0, LARGE_PARTS, do_pieces, p);
}

static void test_pauses(int threads) {
  test("a call that is left in its middle again and again does each piece once, in order");
  static pieces p;
  mgrad_context *ctx = context(threads);
  unsigned state = (unsigned)threads;
  memset(&p, 0, sizeof p);
  p.pool = ctx->pool;
  mgrad_bookmark *mark = calloc(1, sizeof *mark + (size_t)threads * sizeof mark->of[0]);
  if (mark == NULL) exit(1);
  int pauses = 0;
  do {
    mgrad_until until = { seldom, &state, false };
    mark->call.seen = 0;
    mark->call.refused = false;
    p.pool->until = &until;
    p.pool->mark = mark;
    mgrad_pool_watch(p.pool);
    call_of_jobs(&p);
    mgrad_pool_finish(p.pool);
  } while (mark->call.refused && ++pauses < 100000);
  int right = 0, expected = 0;
  for (int i = 0; i < LARGE_PARTS; i++) {
    expected += JOBS * (i % MOST_PIECES);
    for (int k = 0; k < JOBS * MOST_PIECES; k++)
      right += p.done[k / MOST_PIECES][i][k % MOST_PIECES] == 1;
  }
  CHECK(pauses > 50 && right == expected);
  free(mark);
  mgrad_context_release(ctx);
}

static void test_numbers(void) {
  test("any number of threads from 1 to 64 gives the same bits; others are refused");
  mgrad_context *ctx = context(1);
  uint64_t first = product(ctx);
  int same = 0;
  for (int n = 1; n <= MGRAD_MAX_THREADS; n++) {
    CHECK(mgrad_threads_set(ctx, n) == MGRAD_OK && mgrad_threads(ctx) == n);
    same += product(ctx) == first;
  }
  CHECK(same == MGRAD_MAX_THREADS);
  CHECK(mgrad_threads_set(ctx, 0) == MGRAD_INVALID);
  CHECK(mgrad_threads_set(ctx, MGRAD_MAX_THREADS + 1) == MGRAD_INVALID);
  CHECK(mgrad_threads(ctx) == MGRAD_MAX_THREADS);
  mgrad_context_release(ctx);
}

/* ---- interruption ---- */

typedef struct stop { int left, asked; } stop;

/* Interrupts at the question after 'left' of them, and goes on doing so. */
static int stops(void *ud) {
  stop *s = ud;
  s->asked++;
  return s->left-- <= 0;
}

/* A product of matrices and its gradients; where that is interrupted there are none. */
static mgrad_status long_work(mgrad_context *ctx) {
  mgrad_tensor *x, *y = NULL, *sum = NULL;
  if (mgrad_tensor_full(ctx, 2, (int64_t[]){ 512, 512 }, 0.5, &x) != MGRAD_OK) exit(1);
  mgrad_tensor_require_grad(x, 1);
  mgrad_status status = mgrad_apply(mgrad_op_find("matmul"), ctx, (mgrad_tensor *[]){ x, x }, 2,
                                    NULL, &y);
  if (status == MGRAD_OK) status = mgrad_apply(mgrad_op_find("sum"), ctx, &y, 1, NULL, &sum);
  if (status == MGRAD_OK) status = mgrad_backward(sum, 0);
  CHECK((mgrad_tensor_grad(x) != NULL) == (status == MGRAD_OK));
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_tensor_release(sum);
  return status;
}

static void test_interrupt(int threads) {
  test("the host interrupts at any of its questions: no gradient stays, nor memory");
  mgrad_context *ctx = context(threads);
  uint64_t first = product(ctx);
  size_t used = mgrad_memory_used(ctx);
  stop s = { .left = 1 << 30 };
  mgrad_interrupt(ctx, stops, &s);
  CHECK(long_work(ctx) == MGRAD_OK);
  int questions = s.asked;
  CHECK(questions > 20);
  for (int k = questions; k >= 0; k -= 3) { /* where others do more there are fewer */
    s.left = k;
    CHECK(long_work(ctx) == (s.left < 0 ? MGRAD_INTERRUPTED : MGRAD_OK));
    CHECK(mgrad_memory_used(ctx) == used);
  }
  SAYS(ctx, "interrupted");
  mgrad_interrupt(ctx, NULL, NULL);
  CHECK(long_work(ctx) == MGRAD_OK);
  CHECK(product(ctx) == first);
  mgrad_context_release(ctx);
}

/* ---- what POSIX shows ---- */

#ifndef _WIN32

/* The thread sanitizer knows no threads begun after a fork. */
#if !defined(__SANITIZE_THREAD__)
static void test_fork(void) {
  test("a forked process begins workers of its own; its parent keeps the old ones");
  mgrad_context *ctx = context(3);
  uint64_t first = product(ctx);
  for (int i = 0; i < ROUNDS; i++) {
    pid_t child = fork();
    if (child == 0) {
      int same = product(ctx) == first;
      mgrad_context_release(ctx);
      _exit(same ? 0 : 1);
    }
    int status = -1;
    CHECK(product(ctx) == first);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  }
  mgrad_context_release(ctx);
}

#else
static void test_fork(void) {}
#endif

static int at_first; /* threads of this process */

static int threads_here(void) {
  char line[256];
  int n = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) sscanf(line, "Threads: %d", &n);
  if (f != NULL) fclose(f);
  return n;
}

/* Is this process down to n threads? The kernel may count one for a moment after it
** has been joined. */
static int settles_at(int n) {
  for (int i = 0; i < 1000 && threads_here() != n; i++) {
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
  }
  return threads_here() == n;
}

static void *nothing(void *ud) { return ud; }

/* The first thread makes the thread sanitizer begin one of its own. */
static void count_threads(void) {
  pthread_t id;
  if (pthread_create(&id, NULL, nothing, NULL) != 0) exit(1);
  pthread_join(id, NULL);
  nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
  at_first = threads_here();
}

static void test_release(void) {
  test("a released context leaves no thread behind");
  int before = at_first;
  for (int i = 0; i < ROUNDS; i++) {
    mgrad_context *ctx = context(5);
    CHECK(settles_at(before)); /* none before there is work */
    product(ctx);
    CHECK(before < 0 || threads_here() > before);
    mgrad_context_release(ctx);
    CHECK(settles_at(before));
  }
}

static void *host_thread(void *ud) {
  for (int i = 0; i < ROUNDS; i++) {
    mgrad_context *ctx = context(1 + i % 3);
    *(uint64_t *)ud = product(ctx);
    mgrad_context_release(ctx);
  }
  return NULL;
}

static void test_hosts(void) {
  test("contexts on several threads of the host do not know of each other");
  pthread_t id[STATES];
  uint64_t hash[STATES];
  for (int i = 0; i < STATES; i++)
    if (pthread_create(&id[i], NULL, host_thread, &hash[i]) != 0) exit(1);
  for (int i = 0; i < STATES; i++) pthread_join(id[i], NULL);
  for (int i = 1; i < STATES; i++) CHECK(hash[i] == hash[0]);
}

#else
static void count_threads(void) {}
static void test_fork(void) {}
static void test_release(void) {}
static void test_hosts(void) {}
#endif

int main(void) {
  count_threads();
  test_parts();
  for (int threads = 1; threads <= 5; threads++) test_pauses(threads);
  test_numbers();
  test_interrupt(1);
  test_interrupt(3);
  test_fork();
  test_release();
  test_hosts();
  return check_report("pool");
}
