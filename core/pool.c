/*
** pool.c - the pool over POSIX threads; the one file to replace elsewhere.
*/
#define _POSIX_C_SOURCE 200809L
#include "pool.h"
#include "context.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
  STACK_BYTES = 512 * 1024,
  SPINS = 300,            /* about eight microseconds: then sleep */
  WHOLE = 1024,           /* numbers: stretches are multiples of it */
  MOST = 64 * WHOLE,      /* and at most as long */
  FINE = 64               /* parts, where they may be left for later */
};

typedef struct job {
  mgrad_part_fn f; /* NULL: closed */
  void *ud;
  int64_t parts;
  mgrad_pool *pool;
  const mgrad_bookmark *half; /* where it goes on; NULL: it begins */
} job;

typedef struct worker {
  mgrad_crew *crew;
  int index; /* from 1; 0 is the caller */
  pthread_t id;
} worker;

struct mgrad_crew {
  int threads;
  int started;           /* workers there are */
  pid_t pid;             /* of the process that they are in */
  pthread_mutex_t lock;  /* guards what follows, but for the atomics */
  pthread_cond_t work, rest;
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
  for (int k; j.half != NULL && mgrad_pool_goes_on(j.pool, index, MGRAD_POOL_ASK);) {
    if ((k = atomic_fetch_add(&p->taken, 1)) >= j.half->nleft) break;
    do_shared_part(p, j, j.half->of[k].part, &j.half->of[k].at, index);
  }
  for (int k = 0; k < p->threads; k++) {
    int i = (index + k) % p->threads;
    int64_t part, end = share_start(p, j.parts, i + 1);
    while (mgrad_pool_goes_on(j.pool, index, MGRAD_POOL_ASK)) {
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
static void *work(void *ud) {
  worker *w = ud;
  mgrad_crew *p = w->crew;
  unsigned seen = 0;
  pthread_mutex_lock(&p->lock);
  while (!p->stop) {
    if (atomic_load(&p->jobs) == seen) {
      p->sleeping++;
      pthread_cond_wait(&p->work, &p->lock);
      p->sleeping--;
      continue;
    }
    seen = atomic_load(&p->jobs);
    job j = p->job;
    if (j.f == NULL) continue;
    atomic_fetch_add(&p->active, 1);
    pthread_mutex_unlock(&p->lock);
    take_parts(p, j, w->index);
    pthread_mutex_lock(&p->lock);
    if (atomic_fetch_sub(&p->active, 1) == 1) pthread_cond_signal(&p->rest);
    pthread_mutex_unlock(&p->lock);
    linger(p, seen);
    pthread_mutex_lock(&p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* Begins the workers where this process has none yet. Where the system gives fewer,
** fewer they are. They take no signals: those are the host's. */
static void start(mgrad_crew *p) {
  if (p->pid == getpid()) return;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->rest, NULL);
  p->pid = getpid();
  p->started = p->sleeping = 0;
  p->job.f = NULL;
  atomic_store(&p->active, 0);
  atomic_store(&p->jobs, 0);
  sigset_t all, before;
  pthread_attr_t attr;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  for (int i = 0; i < p->threads - 1; i++) {
    worker *w = &p->workers[i];
    w->crew = p;
    w->index = i + 1;
    if (pthread_create(&w->id, &attr, work, w) != 0) break;
    p->started++;
  }
  pthread_attr_destroy(&attr);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- making and releasing ---- */

static void dismiss(mgrad_context *ctx, mgrad_crew *p) {
  if (p == NULL) return;
  if (p->pid == getpid()) {
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->started; i++) pthread_join(p->workers[i].id, NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->rest);
    pthread_mutex_destroy(&p->lock);
  }
  mgrad_free(ctx, p, sizeof *p);
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
  pthread_mutex_lock(&p->lock);
  p->job = j;
  for (int i = 0; i < p->threads; i++) {
    int64_t next = j.half != NULL ? j.half->of[i].next : share_start(p, j.parts, i);
    atomic_store(&p->shares[i].next, next);
  }
  atomic_store(&p->taken, 0);
  atomic_store(&p->nleft, 0);
  atomic_fetch_add(&p->jobs, 1);
  for (int i = 0; i < p->sleeping && i < j.parts - 1; i++) pthread_cond_signal(&p->work);
  pthread_mutex_unlock(&p->lock);
}

/* No one joins any more; waits for those who have. */
static void close_job(mgrad_crew *p) {
  pthread_mutex_lock(&p->lock);
  p->job.f = NULL;
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < SPINS && atomic_load(&p->active) > 0; i++) pause_briefly();
  pthread_mutex_lock(&p->lock);
  while (atomic_load(&p->active) > 0) pthread_cond_wait(&p->rest, &p->lock);
  pthread_mutex_unlock(&p->lock);
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

/* Small work is not worth a question for each part. */
static bool run_alone(job j, int64_t work, mgrad_bookmark *m) {
  int64_t first = j.half != NULL ? m->of[0].next : 0, part = first;
  const mgrad_cursor *at = j.half != NULL ? &m->of[0].at : NULL;
  for (; part < j.parts; part++, at = NULL) {
    if (part > first && !mgrad_pool_goes_on(j.pool, 0, work)) break;
    if (!do_part(j, part, at, 0)) break;
  }
  if (m == NULL) return true;
  mgrad_cursor *c = cursor_of(j.pool, 0);
  m->of[0].next = part;
  m->of[0].at = c->refused ? *c : (mgrad_cursor){ 0 };
  return part == j.parts;
}

void mgrad_pool_run(mgrad_pool *pool, bool share, int64_t parts, mgrad_part_fn f, void *ud) {
  mgrad_bookmark *m = pool->mark;
  job j = { f, ud, parts, pool, NULL };
  if (m != NULL) {
    if (m->call.seen++ < m->call.done) return;
    m->call.refused = m->call.refused || pool->paused;
    if (m->call.refused) return;
    if (m->inside) j.half = m;
    pool->in_job = true;
  }
  bool whole = share && pool->crew != NULL && parts > 1
             ? run_shared(j, m)
             : run_alone(j, share ? MGRAD_POOL_ASK : MGRAD_POOL_ASK / 64, m);
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

/* Stretches that are multiples of 'whole', of at most 'most'. */
static void run_stretches(mgrad_pool *p, int64_t n, int64_t whole, int64_t most,
                          mgrad_stretch_fn f, void *ud) {
  int64_t parts = 2 * (int64_t)mgrad_pool_threads(p); /* to balance what others slow down */
  if (p->mark != NULL) parts = FINE;
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
