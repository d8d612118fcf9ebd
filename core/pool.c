/*
** pool.c - the pool: workers that sleep until there is a job.
*/
#include "threads.h"
#include "pool.h"
#include "context.h"

#include <stdatomic.h>

enum {
  STACK_BYTES = 512 * 1024,
  SPINS = 1000,           /* some 25 microseconds, a wake-up in a virtual machine: then sleep */
  WHOLE = 1024,           /* numbers: stretches are multiples of it */
  MOST = 64 * WHOLE       /* and at most as long */
};

typedef struct job {
  mgrad_part_fn f; /* NULL: closed */
  void *ud;
  int64_t parts;
  mgrad_pool *pool;
} job;

typedef struct worker {
  mgrad_crew *crew;
  int index; /* from 1; 0 is the caller */
  mgrad_thread id;
} worker;

struct mgrad_crew {
  int threads;
  int started;           /* workers there are */
  int process;           /* that they are in */
  mgrad_lock lock;       /* guards what follows, but for the atomics */
  mgrad_bell work, rest;
  job job;               /* under way */
  int sleeping;
  bool stop;
  atomic_int active;     /* workers that are at the job */
  atomic_uint jobs;      /* so far */
  struct { /* of the job: what nobody has begun of each, in cache lines of their own; memory
            of the host's is aligned to 8 bytes, so this must not ask for more */
    atomic_llong next;
    char apart[64 - sizeof(atomic_llong)];
  } shares[MGRAD_MAX_THREADS];
  worker workers[MGRAD_MAX_THREADS - 1];
};

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- workers ---- */

/* The parts from share_start(i) to share_start(i + 1) are thread i's. */
static int64_t share_start(const mgrad_crew *p, int64_t parts, int i) {
  return parts * i / p->threads;
}

/* A thread does its own share first, which lies in its caches if the last job was
** over the same numbers, then what is left of the others'. */
static void take_parts(mgrad_crew *p, job j, int index) {
  for (int k = 0; k < p->threads; k++) {
    int i = (index + k) % p->threads;
    int64_t part, end = share_start(p, j.parts, i + 1);
    while ((part = atomic_fetch_add(&p->shares[i].next, 1)) < end) {
      if (!mgrad_pool_goes_on(j.pool, index, MGRAD_POOL_ASK)) return;
      j.f(j.ud, part, index);
    }
  }
}

/* Looks out for a new job for a moment. */
static void linger(mgrad_crew *p, unsigned seen) {
  for (int i = 0; i < SPINS && atomic_load(&p->jobs) == seen; i++) pause_briefly();
}

/* Joins jobs that are open when it comes; one that comes late is not waited for. */
static MGRAD_THREAD work(void *ud) {
  worker *w = ud;
  mgrad_crew *p = w->crew;
  unsigned seen = 0;
  mgrad_lock_take(&p->lock);
  while (!p->stop) {
    if (atomic_load(&p->jobs) == seen) {
      p->sleeping++;
      mgrad_bell_wait(&p->work, &p->lock);
      p->sleeping--;
      continue;
    }
    seen = atomic_load(&p->jobs);
    job j = p->job;
    if (j.f == NULL) continue;
    atomic_fetch_add(&p->active, 1);
    mgrad_lock_leave(&p->lock);
    take_parts(p, j, w->index);
    mgrad_lock_take(&p->lock);
    if (atomic_fetch_sub(&p->active, 1) == 1) mgrad_bell_ring(&p->rest);
    mgrad_lock_leave(&p->lock);
    linger(p, seen);
    mgrad_lock_take(&p->lock);
  }
  mgrad_lock_leave(&p->lock);
  return 0;
}

/* Begins the workers where this process has none yet. Where the system gives fewer,
** fewer they are. */
static void start(mgrad_crew *p) {
  if (p->process == mgrad_process()) return;
  mgrad_lock_begin(&p->lock);
  mgrad_bell_begin(&p->work);
  mgrad_bell_begin(&p->rest);
  p->process = mgrad_process();
  p->started = p->sleeping = 0;
  p->job.f = NULL;
  atomic_store(&p->active, 0);
  atomic_store(&p->jobs, 0);
  for (int i = 0; i < p->threads - 1; i++) {
    worker *w = &p->workers[i];
    w->crew = p;
    w->index = i + 1;
    if (!mgrad_thread_begin(&w->id, STACK_BYTES, work, w)) break;
    p->started++;
  }
}

/* ---- making and releasing ---- */

static void dismiss(mgrad_context *ctx, mgrad_crew *p) {
  if (p == NULL) return;
  if (p->process == mgrad_process()) {
    mgrad_lock_take(&p->lock);
    p->stop = true;
    mgrad_bell_ring_all(&p->work);
    mgrad_lock_leave(&p->lock);
    for (int i = 0; i < p->started; i++) mgrad_thread_join(p->workers[i].id);
    mgrad_bell_end(&p->work);
    mgrad_bell_end(&p->rest);
    mgrad_lock_end(&p->lock);
  }
  mgrad_free(ctx, p);
}

mgrad_status mgrad_pool_set(mgrad_context *ctx, mgrad_pool *pool, int threads) {
  mgrad_crew *crew = NULL;
  if (threads > 1 && (crew = mgrad_new_zeroed(ctx, sizeof *crew)) == NULL) return MGRAD_NOMEM;
  if (crew != NULL) crew->threads = threads;
  dismiss(ctx, pool->crew);
  pool->crew = crew;
  pool->threads = threads;
  return MGRAD_OK;
}

/* ---- jobs ---- */

static void open_job(mgrad_crew *p, job j) {
  mgrad_lock_take(&p->lock);
  p->job = j;
  for (int i = 0; i < p->threads; i++) {
    atomic_store(&p->shares[i].next, share_start(p, j.parts, i));
  }
  atomic_fetch_add(&p->jobs, 1);
  for (int i = 0; i < p->sleeping && i < j.parts - 1; i++) mgrad_bell_ring(&p->work);
  mgrad_lock_leave(&p->lock);
}

/* No one joins any more; waits for those who have. */
static void close_job(mgrad_crew *p) {
  mgrad_lock_take(&p->lock);
  p->job.f = NULL;
  mgrad_lock_leave(&p->lock);
  for (int i = 0; i < SPINS && atomic_load(&p->active) > 0; i++) pause_briefly();
  mgrad_lock_take(&p->lock);
  while (atomic_load(&p->active) > 0) mgrad_bell_wait(&p->rest, &p->lock);
  mgrad_lock_leave(&p->lock);
}

/* Small work is not worth a question for each part. */
static void run_alone(mgrad_pool *pool, int64_t work, int64_t parts, mgrad_part_fn f, void *ud) {
  for (int64_t i = 0; i < parts; i++) {
    if (i > 0 && !mgrad_pool_goes_on(pool, 0, work)) return;
    f(ud, i, 0);
  }
}

void mgrad_pool_run(mgrad_pool *pool, bool share, int64_t parts, mgrad_part_fn f, void *ud) {
  mgrad_crew *p = pool->crew;
  if (!share || p == NULL || parts <= 1) {
    run_alone(pool, share ? MGRAD_POOL_ASK : MGRAD_POOL_ASK / 64, parts, f, ud);
    return;
  }
  job j = { f, ud, parts, pool };
  start(p);
  open_job(p, j);
  take_parts(p, j, 0);
  close_job(p);
}

typedef struct stretches {
  mgrad_stretch_fn f;
  void *ud;
  int64_t n, each;
} stretches;

static void run_stretch(void *ud, int64_t part, int index) {
  (void)index;
  const stretches *s = ud;
  s->f(s->ud, part * s->each, mgrad_min_size((part + 1) * s->each, s->n));
}

/* Stretches that are multiples of 'whole', of at most 'most'. */
static void run_stretches(mgrad_pool *p, int64_t n, int64_t whole, int64_t most,
                          mgrad_stretch_fn f, void *ud) {
  int64_t parts = 2 * (int64_t)mgrad_pool_threads(p); /* to balance what others slow down */
  int64_t each = ((n + parts - 1) / parts + whole - 1) / whole * whole;
  stretches s = { f, ud, n, mgrad_min_size(each, most) };
  mgrad_pool_run(p, true, (n + s.each - 1) / s.each, run_stretch, &s);
}

void mgrad_pool_stretches(mgrad_pool *p, int64_t n, mgrad_stretch_fn f, void *ud) {
  if (n < MGRAD_POOL_FEW) f(ud, 0, n);
  else run_stretches(p, n, WHOLE, MOST, f, ud);
}

void mgrad_pool_items(mgrad_pool *p, int64_t n, mgrad_stretch_fn f, void *ud) {
  run_stretches(p, n, 1, n, f, ud);
}

/* ---- interruption ---- */

bool mgrad_pool_asks(mgrad_pool *pool, int index) {
  if (index == 0 && !pool->stopped) {
    pool->left = MGRAD_POOL_ASK;
    if (pool->interrupt(pool->ud)) pool->stopped = true;
  }
  return !pool->stopped;
}

bool mgrad_pool_finish(mgrad_pool *pool) {
  bool stopped = pool->stopped;
  pool->watched = false;
  if (stopped) pool->stopped = false;
  return !stopped;
}
