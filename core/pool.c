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
  MOST = 64 * WHOLE,      /* and at most as long */
  FINE = 64               /* parts, where they may be left for later */
};

typedef struct job {
  mgrad_part_fn f; /* NULL: closed */
  void *ud;
  int64_t parts, work;        /* work of one part, at most MGRAD_POOL_ASK */
  mgrad_pool *pool;
  const mgrad_bookmark *half; /* where it goes on; NULL: it begins */
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
  atomic_int taken;      /* of the parts that the job was left in the middle of */
  atomic_int nleft;      /* such parts now */
  struct { int64_t part; mgrad_cursor at; } left[MGRAD_MAX_THREADS];
  struct { /* of the job: what nobody has begun of each, in cache lines of their own; memory
            of the host's is aligned to 8 bytes, so this must not ask for more */
    atomic_llong next;
    mgrad_cursor at;
    char apart[64 - sizeof(atomic_llong) - sizeof(mgrad_cursor)];
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

static mgrad_cursor *cursor_of(mgrad_pool *pool, int index) {
  if (!pool->in_job) return &pool->mark->call;
  return pool->crew != NULL ? &pool->crew->shares[index].at : &pool->own;
}

/* Does a part, from its beginning or from where it was left. False where it is left again. */
static bool do_part(job j, int64_t part, const mgrad_cursor *at, int index) {
  if (j.pool->mark == NULL) {
    j.f(j.ud, part, index);
    return true;
  }
  mgrad_cursor *c = cursor_of(j.pool, index);
  *c = (mgrad_cursor){ 0 };
  if (at != NULL) c->done = at->done, c->done_in = at->done_in;
  j.f(j.ud, part, index);
  if (index == 0 && !c->refused) j.pool->until->moved = true;
  return !c->refused;
}

static void do_shared_part(mgrad_crew *p, job j, int64_t part, const mgrad_cursor *at,
                           int index) {
  if (do_part(j, part, at, index)) return;
  int k = atomic_fetch_add(&p->nleft, 1); /* it begins no other: there are enough places */
  p->left[k].part = part;
  p->left[k].at = p->shares[index].at;
}

/* A thread does what was left in the middle first, then its own share, which lies in its
** caches if the last job was over the same numbers, then what is left of the others'. */
static void take_parts(mgrad_crew *p, job j, int index) {
  for (int k; j.half != NULL && mgrad_pool_goes_on(j.pool, index, j.work);) {
    if ((k = atomic_fetch_add(&p->taken, 1)) >= j.half->nleft) break;
    do_shared_part(p, j, j.half->of[k].part, &j.half->of[k].at, index);
  }
  for (int k = 0; k < p->threads; k++) {
    int i = (index + k) % p->threads;
    int64_t part, end = share_start(p, j.parts, i + 1);
    while (mgrad_pool_goes_on(j.pool, index, j.work)) {
      if ((part = atomic_fetch_add(&p->shares[i].next, 1)) >= end) break;
      do_shared_part(p, j, part, NULL, index);
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
    int64_t next = j.half != NULL ? j.half->of[i].next : share_start(p, j.parts, i);
    atomic_store(&p->shares[i].next, next);
  }
  atomic_store(&p->taken, 0);
  atomic_store(&p->nleft, 0);
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

/* Is all of a job that is closed done? If not, notes where it was left. */
static bool shared_whole(mgrad_crew *p, job j, mgrad_bookmark *m) {
  int taken = j.half != NULL ? (int)mgrad_min_size(p->taken, m->nleft) : 0;
  int kept = j.half != NULL ? m->nleft - taken : 0, n = kept + p->nleft;
  bool whole = n == 0;
  for (int k = 0; k < n; k++) {
    m->of[k].part = k < kept ? m->of[taken + k].part : p->left[k - kept].part;
    m->of[k].at = k < kept ? m->of[taken + k].at : p->left[k - kept].at;
  }
  m->nleft = n;
  for (int i = 0; i < p->threads; i++) {
    int64_t end = share_start(p, j.parts, i + 1);
    m->of[i].next = mgrad_min_size(p->shares[i].next, end);
    whole = whole && m->of[i].next == end;
  }
  return whole;
}

static bool run_shared(job j, mgrad_bookmark *m) {
  mgrad_crew *p = j.pool->crew;
  start(p);
  open_job(p, j);
  take_parts(p, j, 0);
  close_job(p);
  return m == NULL || shared_whole(p, j, m);
}

static bool run_alone(job j, mgrad_bookmark *m) {
  int64_t first = j.half != NULL ? m->of[0].next : 0, part = first;
  const mgrad_cursor *at = j.half != NULL ? &m->of[0].at : NULL;
  for (; part < j.parts; part++, at = NULL) {
    if (part > first && !mgrad_pool_goes_on(j.pool, 0, j.work)) break;
    if (!do_part(j, part, at, 0)) break;
  }
  if (m == NULL) return true;
  mgrad_cursor *c = cursor_of(j.pool, 0);
  m->of[0].next = part;
  m->of[0].at = c->refused ? *c : (mgrad_cursor){ 0 };
  return part == j.parts;
}

void mgrad_pool_run(mgrad_pool *pool, double work, int64_t parts, mgrad_part_fn f, void *ud) {
  mgrad_bookmark *m = pool->mark;
  double each = work / (double)parts;
  job j = { f, ud, parts, each < MGRAD_POOL_ASK ? (int64_t)each : MGRAD_POOL_ASK, pool, NULL };
  if (m != NULL) {
    if (m->call.seen++ < m->call.done) return;
    m->call.refused = m->call.refused || pool->paused;
    if (m->call.refused) return;
    if (m->inside) j.half = m;
    pool->in_job = true;
  }
  bool share = pool->crew != NULL && parts > 1 && work >= MGRAD_POOL_WAKING;
  bool whole = share ? run_shared(j, m) : run_alone(j, m);
  if (m == NULL) return;
  pool->in_job = false;
  m->inside = m->call.refused = !whole;
  m->call.done += whole;
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

/* n things of 'width' numbers each, in stretches of at most MOST numbers that are multiples
** of 'whole' things. */
static void run_stretches(mgrad_pool *p, int64_t n, int64_t width, int64_t whole,
                          mgrad_stretch_fn f, void *ud) {
  if (mgrad_pool_few(n * width)) {
    f(ud, 0, n);
    return;
  }
  int64_t parts = 2 * (int64_t)mgrad_pool_threads(p); /* to balance what others slow down */
  if (p->mark != NULL) parts = FINE;
  int64_t each = ((n + parts - 1) / parts + whole - 1) / whole * whole;
  stretches s = { f, ud, n, mgrad_min_size(each, (MOST + width - 1) / width) };
  double work = (double)MGRAD_POOL_NUMBER * (double)n * (double)width;
  mgrad_pool_run(p, work, (n + s.each - 1) / s.each, run_stretch, &s);
}

void mgrad_pool_stretches(mgrad_pool *p, int64_t n, mgrad_stretch_fn f, void *ud) {
  run_stretches(p, n, 1, WHOLE, f, ud);
}

void mgrad_pool_items(mgrad_pool *p, int64_t n, int64_t width, mgrad_stretch_fn f, void *ud) {
  run_stretches(p, n, width, 1, f, ud);
}

/* ---- giving up, and leaving for later ---- */

bool mgrad_pool_asks(mgrad_pool *pool, int index) {
  if (index == 0 && !pool->stopped && !pool->paused) {
    mgrad_until *until = pool->until;
    bool timed = until != NULL && until->expired != NULL;
    pool->left = timed && !until->moved ? 0 : MGRAD_POOL_ASK;
    if (pool->interrupt != NULL && pool->interrupt(pool->ud)) pool->stopped = true;
    else if (timed && until->moved && until->expired(until->ud)) pool->paused = true;
  }
  return !pool->stopped && !pool->paused;
}

/* Is what comes next to be done? Counts that it was come by. */
static bool is_next(mgrad_pool *pool, mgrad_cursor *c, int index, int64_t work) {
  if (c->in ? c->seen_in++ < c->done_in : c->seen++ < c->done) return false;
  c->refused = c->refused || !mgrad_pool_goes_on(pool, index, work);
  return !c->refused;
}

bool mgrad_pool_takes(mgrad_pool *pool, int index, int64_t work) {
  mgrad_cursor *c = cursor_of(pool, index);
  if (!is_next(pool, c, index, work)) return false;
  if (c->in) c->done_in++;
  else c->done++;
  if (index == 0) pool->until->moved = true;
  return true;
}

bool mgrad_pool_enters(mgrad_pool *pool, int index, int64_t work) {
  if (!mgrad_pool_counts(pool)) return pool == NULL || mgrad_pool_goes_on(pool, index, work);
  mgrad_cursor *c = cursor_of(pool, index);
  c->in = is_next(pool, c, index, 0);
  c->seen_in = 0;
  return c->in;
}

void mgrad_pool_leaves(mgrad_pool *pool, int index) {
  if (!mgrad_pool_counts(pool)) return;
  mgrad_cursor *c = cursor_of(pool, index);
  c->in = false;
  if (c->refused) return;
  c->done++;
  c->done_in = 0;
}

bool mgrad_pool_finish(mgrad_pool *pool) {
  bool stopped = pool->stopped;
  pool->watched = false;
  if (stopped) pool->stopped = false;
  if (pool->until == NULL) return !stopped;
  pool->until = NULL;
  pool->mark = NULL;
  pool->paused = false;
  return !stopped;
}
