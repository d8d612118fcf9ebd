/*
** pool.h - worker threads of one context, for loops over parts of a result; and whether
** the host wants these to be given up.
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
  MGRAD_POOL_FEW = 32 * 1024 /* numbers that one thread does before others are awake */
};

typedef struct mgrad_crew mgrad_crew; /* the other threads */

/* Every context has one. */
typedef struct mgrad_pool {
  int threads;                  /* the caller's included; 0 stands for 1 */
  mgrad_crew *crew;             /* NULL: the caller is alone */
  mgrad_interrupt_fn interrupt; /* or NULL */
  void *ud;
  int64_t left;                 /* work until it is asked again */
  bool watched;                 /* what runs now may be given up */
  atomic_bool stopped;          /* it has been: what it would have made is not whole */
} mgrad_pool;

/* Threads, the caller's included. Ends those there are, and, when memory fails, begins
** none. */
mgrad_status mgrad_pool_set(mgrad_context *ctx, mgrad_pool *pool, int threads);
static inline int mgrad_pool_threads(const mgrad_pool *pool) {
  return pool->threads > 0 ? pool->threads : 1;
}

/* Calls f for each part from 0 on and returns when all are done, or when the host has
** interrupted. 'worker', below the number of threads, tells those apart that run at the
** same time; without 'share' the caller does it all. */
typedef void (*mgrad_part_fn)(void *ud, int64_t part, int worker);
void mgrad_pool_run(mgrad_pool *pool, bool share, int64_t parts, mgrad_part_fn f, void *ud);

/* Is there nobody to share n numbers with, or are they too few to pay for waking? */
static inline bool mgrad_pool_few(const mgrad_pool *pool, int64_t n) {
  return pool->crew == NULL || n < MGRAD_POOL_FEW;
}
/* The same for n numbers: calls f for stretches first to end - 1 that cover them. */
typedef void (*mgrad_stretch_fn)(void *ud, int64_t first, int64_t end);
void mgrad_pool_stretches(mgrad_pool *pool, int64_t n, mgrad_stretch_fn f, void *ud);
/* The same for n larger things, such as rows or pictures. */
void mgrad_pool_items(mgrad_pool *pool, int64_t n, mgrad_stretch_fn f, void *ud);

/* ---- interruption ---- */

/* Multiplications and additions, or what takes as long, between two questions to the
** host: some 20 microseconds with vectors, a millisecond without. */
enum { MGRAD_POOL_ASK = 1 << 20 };

/* From here on what runs may be given up; all else is done to its end. */
static inline void mgrad_pool_watch(mgrad_pool *pool) {
  pool->watched = pool->interrupt != NULL;
}
/* The end of that: false where it was given up. */
bool mgrad_pool_finish(mgrad_pool *pool);
/* For long loops: is there reason to go on after so much work? False, once said, is said
** until mgrad_pool_finish. NULL has no reason to stop. */
bool mgrad_pool_asks(mgrad_pool *pool, int worker);
static inline bool mgrad_pool_goes_on(mgrad_pool *pool, int worker, int64_t work) {
  if (pool == NULL || !pool->watched) return true;
  if (worker == 0 && (pool->left -= work) > 0) return !pool->stopped;
  return mgrad_pool_asks(pool, worker);
}

#endif
