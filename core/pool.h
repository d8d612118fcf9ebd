/*
** pool.h - worker threads of one context, for loops over parts of a result.
**
** Parts are outputs, never pieces of a sum, so that the number of threads and who
** does which part cannot change a bit. Workers sleep between jobs. They are begun
** by the first job, and once more in a process that was forked.
*/
#ifndef MGRAD_POOL_H
#define MGRAD_POOL_H

#include "base.h"

enum {
  MGRAD_MAX_THREADS = 64,
  MGRAD_POOL_FEW = 32 * 1024 /* numbers that one thread does before others are awake */
};

typedef struct mgrad_pool mgrad_pool;

/* Threads, the caller's included; NULL where memory fails. */
mgrad_pool *mgrad_pool_new(mgrad_context *ctx, int threads);
/* Ends the workers. */
void mgrad_pool_free(mgrad_context *ctx, mgrad_pool *pool);
/* 1 for NULL, which stands for no pool everywhere here. */
int mgrad_pool_threads(const mgrad_pool *pool);

/* Calls f for each part from 0 on and returns when all are done. 'worker', below the
** number of threads, tells those apart that run at the same time. */
typedef void (*mgrad_part_fn)(void *ud, int64_t part, int worker);
void mgrad_pool_run(mgrad_pool *pool, int64_t parts, mgrad_part_fn f, void *ud);

/* Are n numbers too few to pay for waking anyone? */
static inline bool mgrad_pool_few(const mgrad_pool *pool, int64_t n) {
  return pool == NULL || n < MGRAD_POOL_FEW;
}
/* The same for n numbers: calls f for stretches first to end - 1 that cover them. */
typedef void (*mgrad_stretch_fn)(void *ud, int64_t first, int64_t end);
void mgrad_pool_stretches(mgrad_pool *pool, int64_t n, mgrad_stretch_fn f, void *ud);
/* The same for n larger things, such as rows or pictures. */
void mgrad_pool_items(mgrad_pool *pool, int64_t n, mgrad_stretch_fn f, void *ud);

#endif
