/*
** pool.h - worker threads of one context, for loops over parts of a result; and whether
** the host wants these to be given up, or left in their middle for a later call.
**
** Parts are outputs, never pieces of a sum, so that the number of threads and who
** does which part cannot change a bit. Workers sleep between jobs. They are begun
** by the first job, and once more in a process that was forked.
*/
#ifndef MGRAD_POOL_H
#define MGRAD_POOL_H

#include "base.h"

#include <stdatomic.h>

enum {
  MGRAD_MAX_THREADS = 64,
  /* Work is counted in multiplications and additions, or what takes as long. */
  MGRAD_POOL_NUMBER = 32,     /* that of a number which is read, or made, on its own */
  MGRAD_POOL_WAKING = 1 << 20 /* what one thread does before others are awake */
};

typedef struct mgrad_crew mgrad_crew; /* the other threads */

/* When work is to be left in its middle, by the host's clock. */
typedef struct mgrad_until {
  mgrad_expired_fn expired;
  void *ud;
  bool moved; /* something has been done, so that it may be asked */
} mgrad_until;

/* How far one thread is in a call of an op, or in a part of a job. */
typedef struct mgrad_cursor {
  int64_t seen, done; /* pieces that it has come by, and those of them that are done */
  int64_t seen_in, done_in; /* the same, of the section under way */
  bool in;            /* a section is under way */
  bool refused;       /* it was to leave the rest for later */
} mgrad_cursor;

/* Where a call of an op was left. */
typedef struct mgrad_bookmark {
  mgrad_cursor call;  /* its own pieces, of which a job is one */
  bool inside;        /* of the job that comes next some is done: */
  int nleft;          /* parts left in their middle */
  struct {
    int64_t next;     /* of a thread's share, what nobody has begun */
    int64_t part;     /* one of those parts */
    mgrad_cursor at;  /* in it */
  } of[];             /* as many as there are threads */
} mgrad_bookmark;

/* Every context has one. */
typedef struct mgrad_pool {
  int threads;                  /* the caller's included; 0 stands for 1 */
  mgrad_crew *crew;             /* NULL: the caller is alone */
  mgrad_interrupt_fn interrupt; /* or NULL */
  void *ud;
  int64_t left;                 /* work until it is asked again */
  bool watched;                 /* what runs now may be given up */
  atomic_bool stopped;          /* it has been: what it would have made is not whole */
  mgrad_until *until;           /* what runs now may be left for later; or NULL */
  mgrad_bookmark *mark;         /* where it was, and will be; set together with 'until' */
  bool in_job;
  mgrad_cursor own;             /* of the caller in a job, where it is alone */
  atomic_bool paused;           /* it is being left */
} mgrad_pool;

/* Threads, the caller's included. Ends those there are, and, when memory fails, begins
** none. */
mgrad_status mgrad_pool_set(mgrad_context *ctx, mgrad_pool *pool, int threads);
static inline int mgrad_pool_threads(const mgrad_pool *pool) {
  return pool->threads > 0 ? pool->threads : 1;
}

/* Calls f for each part from 0 on and returns when all are done, or when the host has
** interrupted. 'worker', below the number of threads, tells those apart that run at the
** same time; where 'work', that of all parts, does not pay for waking, the caller does
** it all. */
typedef void (*mgrad_part_fn)(void *ud, int64_t part, int worker);
void mgrad_pool_run(mgrad_pool *pool, double work, int64_t parts, mgrad_part_fn f, void *ud);

/* The same for n numbers: calls f for stretches first to end - 1 that cover them. */
typedef void (*mgrad_stretch_fn)(void *ud, int64_t first, int64_t end);
void mgrad_pool_stretches(mgrad_pool *pool, int64_t n, mgrad_stretch_fn f, void *ud);
/* The same for n larger things, such as rows or pictures, of 'width' numbers each. */
void mgrad_pool_items(mgrad_pool *pool, int64_t n, int64_t width, mgrad_stretch_fn f,
                      void *ud);
/* Is the work on n numbers worth no parts? */
static inline bool mgrad_pool_few(int64_t n) {
  return n < MGRAD_POOL_WAKING / MGRAD_POOL_NUMBER;
}
/* The same, or is there nobody to share it with? */
static inline bool mgrad_pool_alone(const mgrad_pool *pool, int64_t n) {
  return pool->crew == NULL || mgrad_pool_few(n);
}

/* ---- giving up, and leaving for later ---- */

/* Work between two questions to the host: some 20 microseconds with vectors, a millisecond
** without. */
enum {
  MGRAD_POOL_ASK = 1 << 20,
  MGRAD_POOL_PART = MGRAD_POOL_ASK / MGRAD_POOL_NUMBER /* the same in numbers */
};

/* From here on what runs may be given up; all else is done to its end. */
static inline void mgrad_pool_watch(mgrad_pool *pool) {
  pool->watched = pool->interrupt != NULL || pool->until != NULL;
}
/* The end of that: false where it was given up. */
bool mgrad_pool_finish(mgrad_pool *pool);
/* Is there reason to go on after so much work? False, once said, is said until
** mgrad_pool_finish. */
bool mgrad_pool_asks(mgrad_pool *pool, int worker);
static inline bool mgrad_pool_goes_on(mgrad_pool *pool, int worker, int64_t work) {
  if (!pool->watched) return true;
  if (worker == 0 && (pool->left -= work) <= 0) return mgrad_pool_asks(pool, worker);
  return !pool->stopped && !pool->paused;
}

/*
** Long calls of ops fall into pieces, always the same in the same order, of which none is
** in another. Is the next one, of so much work, to be done now? Not where the call goes on
** from its middle and the piece was done before; nor any more once the host wants the call
** given up, or left for later. All that a call does outside of pieces is done again when it
** goes on, and must bear it. NULL, no pool, does them all.
*/
bool mgrad_pool_takes(mgrad_pool *pool, int worker, int64_t work);
static inline bool mgrad_pool_piece(mgrad_pool *pool, int worker, int64_t work) {
  if (pool == NULL || !pool->watched) return true;
  if (pool->mark == NULL) return mgrad_pool_goes_on(pool, worker, work);
  return mgrad_pool_takes(pool, worker, work);
}
/* Is there reason to go on with n more numbers, for long loops that are no pieces? Where
** pieces are counted there is. What is given up need not be whole. */
static inline bool mgrad_pool_continues(mgrad_pool *pool, int worker, int64_t n) {
  if (pool == NULL || !pool->watched || pool->mark != NULL) return true;
  return mgrad_pool_goes_on(pool, worker, n * MGRAD_POOL_NUMBER);
}
/* Where pieces are not counted, only long work needs to ask. */
static inline bool mgrad_pool_counts(const mgrad_pool *pool) {
  return pool != NULL && pool->mark != NULL;
}
/* Some pieces and what only they need may be a section: a piece of its own that is passed
** over as a whole, once it is done. 'work' is that until the second question. */
bool mgrad_pool_enters(mgrad_pool *pool, int worker, int64_t work);
void mgrad_pool_leaves(mgrad_pool *pool, int worker);

#endif
