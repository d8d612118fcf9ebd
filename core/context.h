/*
** context.h - what all objects of one host share: the allocator and its cap,
** the error sentence, the random generator. There is no other state.
*/
#ifndef MGRAD_CONTEXT_H
#define MGRAD_CONTEXT_H

#include "code.h"
#include "pool.h"

#include <stdarg.h>

struct mgrad_call;
struct mgrad_recorder;

/* One layer under way; a chain of these, innermost first, names where an
** error happened. Lives on the C stack. */
typedef struct mgrad_frame {
  const struct mgrad_layer *layer;
  int position;                  /* from 1 in its container, 0 at the top */
  struct mgrad_further *further; /* of its call, or NULL; layer.h */
  const struct mgrad_frame *up;
} mgrad_frame;

struct mgrad_context {
  mgrad_alloc alloc;
  void *ud;
  size_t used, peak;
  uint64_t limits[MGRAD_LIMITS]; /* 0 = none */
  uint64_t tensors, nodes;       /* alive */
  uint64_t allocations;
  struct mgrad_block *blocks;          /* all memory, but that of the context itself */
  size_t objects;                /* alive; the last one takes the context along */
  bool released;
  bool no_grad;
  bool evaluating;               /* layers behave as in eval mode */
  bool hunting;                  /* layers check their results for NaN */
  bool located;                  /* the error sentence names its layer */
  /* Set while ops look for NaN in their results and gradients; names the layer under
  ** way, "" where there is none. */
  void (*anomaly)(const mgrad_context *ctx, char *to, size_t size);
  uint64_t seed, stream;         /* next unused random stream */
  const mgrad_code *code;        /* of the instruction set in use */
  mgrad_pool pool[1];
  const mgrad_frame *frame;      /* the layer under way */
  struct mgrad_recorder *recorder; /* notes what is applied, or NULL; plan.h */
  void (*note)(struct mgrad_recorder *r, const struct mgrad_call *c,
               mgrad_tensor *const *x, mgrad_tensor *y);
  bool observed;                 /* the host has read or changed numbers, or run code
                                    of its own, so that a recording would not do */
  bool dry;                      /* ops make results of the right shape and no numbers */
  uint64_t applied;              /* ops recorded so far */
  uint64_t changes;              /* of layers, places of parameters, settings */
  struct mgrad_layer *built;     /* what the trial pass under way has built */
  char error[MGRAD_ERROR_SIZE];
};

/* Memory; 'size' is what was asked for. NULL, with the error set, on failure. */
void *mgrad_new(mgrad_context *ctx, size_t size);
void *mgrad_new_zeroed(mgrad_context *ctx, size_t size);
void mgrad_free(mgrad_context *ctx, void *p);

/* Every counted object calls these once in its life. */
void mgrad_object_born(mgrad_context *ctx);
void mgrad_object_gone(mgrad_context *ctx);

/* Is there a limit, and has 'count' reached it? */
static inline bool mgrad_limit_reached(const mgrad_context *ctx, mgrad_limit which,
                                       uint64_t count) {
  return ctx->limits[which] != 0 && count >= ctx->limits[which];
}

/* Writes the error sentence and returns 'status'. Directives: %s string, %d
** int64_t, %g double, %a shape of a const mgrad_array *, %% percent. */
mgrad_status mgrad_fail(mgrad_context *ctx, mgrad_status status, const char *format, ...);
/* "not enough memory", the words Lua uses. */
mgrad_status mgrad_fail_memory(mgrad_context *ctx);
mgrad_status mgrad_fail_interrupted(mgrad_context *ctx); /* "interrupted" */
/* Formats into a buffer, always terminated, cut when too long. */
void mgrad_format(char *to, size_t size, const char *format, ...);
void mgrad_format_list(char *to, size_t size, const char *format, va_list args);

#endif
