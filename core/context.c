/*
** context.c - the allocator and its cap, the error sentence, lifetime.
*/
#include "context.h"

#include <stdlib.h>

/* ---- lifetime ---- */

static void *heap(void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud, (void)osize;
  if (nsize != 0) return realloc(ptr, nsize);
  free(ptr);
  return NULL;
}

mgrad_context *mgrad_context_new(mgrad_alloc alloc, void *ud) {
  if (alloc == NULL) alloc = heap;
  mgrad_context *ctx = alloc(ud, NULL, 0, sizeof *ctx);
  if (ctx == NULL) return NULL;
  *ctx = (mgrad_context){ .alloc = alloc, .ud = ud, .code = mgrad_code_best() };
  return ctx;
}

static void leave(mgrad_context *ctx) {
  if (ctx->released && ctx->objects == 0) ctx->alloc(ctx->ud, ctx, sizeof *ctx, 0);
}

void mgrad_context_release(mgrad_context *ctx) {
  if (ctx == NULL) return;
  mgrad_pool_set(ctx, ctx->pool, 1);
  ctx->released = true;
  leave(ctx);
}

/* In front of each piece of memory: its neighbours in the list of all there are. Four
** words, so that the piece is aligned as the allocator has aligned the whole. */
typedef struct mgrad_block {
  struct mgrad_block *next, *before; /* before the first is NULL */
  size_t size, unused;         /* with this */
} block;

static void free_block(mgrad_context *ctx, block *b) {
  *(b->before != NULL ? &b->before->next : &ctx->blocks) = b->next;
  if (b->next != NULL) b->next->before = b->before;
  ctx->used -= b->size;
  ctx->alloc(ctx->ud, b, b->size, 0);
}

void mgrad_context_close(mgrad_context *ctx) {
  if (ctx == NULL) return;
  mgrad_pool_set(ctx, ctx->pool, 1);
  while (ctx->blocks != NULL) free_block(ctx, ctx->blocks);
  ctx->alloc(ctx->ud, ctx, sizeof *ctx, 0);
}

void mgrad_object_born(mgrad_context *ctx) { ctx->objects++; }

void mgrad_object_gone(mgrad_context *ctx) {
  ctx->objects--;
  leave(ctx);
}

/* ---- memory ---- */

void *mgrad_new(mgrad_context *ctx, size_t size) {
  uint64_t most = ctx->limits[MGRAD_LIMIT_MEMORY];
  uint64_t limit = most != 0 ? most : SIZE_MAX;
  block *b = NULL;
  size_t left = ctx->used < limit ? limit - ctx->used : 0;
  if (left > sizeof *b && size <= left - sizeof *b) {
    size += sizeof *b;
    b = ctx->alloc(ctx->ud, NULL, 0, size);
  }
  if (b == NULL) {
    mgrad_fail_memory(ctx);
    return NULL;
  }
  *b = (block){ .next = ctx->blocks, .size = size };
  if (b->next != NULL) b->next->before = b;
  ctx->blocks = b;
  ctx->allocations++;
  ctx->used += size;
  if (ctx->used > ctx->peak) ctx->peak = ctx->used;
  return b + 1;
}

void *mgrad_new_zeroed(mgrad_context *ctx, size_t size) {
  void *p = mgrad_new(ctx, size);
  if (p != NULL) memset(p, 0, size);
  return p;
}

void mgrad_free(mgrad_context *ctx, void *p) {
  if (p != NULL) free_block(ctx, (block *)p - 1);
}

size_t mgrad_memory_used(const mgrad_context *ctx) { return ctx->used; }
size_t mgrad_memory_peak(const mgrad_context *ctx) { return ctx->peak; }
uint64_t mgrad_memory_count(const mgrad_context *ctx) { return ctx->allocations; }

/* ---- limits ---- */

void mgrad_limit_set(mgrad_context *ctx, mgrad_limit which, uint64_t most) {
  ctx->limits[which] = most;
}

uint64_t mgrad_limit_get(const mgrad_context *ctx, mgrad_limit which) {
  return ctx->limits[which];
}

const char *mgrad_limit_name(mgrad_limit which) {
  static const char *const names[] = { "memory", "elements", "tensors", "graph", "threads" };
  return names[which];
}

mgrad_status mgrad_limit_lower(mgrad_context *ctx, mgrad_limit which, uint64_t most) {
  uint64_t before = ctx->limits[which];
  if (most == 0 || (before != 0 && most > before)) {
    return mgrad_fail(ctx, MGRAD_INVALID, "limit: %s is %d, more than the limit of %d there is",
                      mgrad_limit_name(which), (int64_t)most, (int64_t)before);
  }
  ctx->limits[which] = most;
  return MGRAD_OK;
}

/* ---- settings ---- */

void mgrad_seed(mgrad_context *ctx, uint64_t seed) {
  ctx->seed = seed;
  ctx->stream = 0;
}

int mgrad_grad_enable(mgrad_context *ctx, int on) {
  int before = !ctx->no_grad;
  ctx->no_grad = !on;
  return before;
}

mgrad_status mgrad_threads_set(mgrad_context *ctx, int threads) {
  if (threads < 1 || threads > MGRAD_MAX_THREADS) {
    return mgrad_fail(ctx, MGRAD_INVALID, "threads is %d, expected 1 to %d",
                      (int64_t)threads, (int64_t)MGRAD_MAX_THREADS);
  }
  if (mgrad_limit_reached(ctx, MGRAD_LIMIT_THREADS, (uint64_t)threads - 1)) {
    return mgrad_fail(ctx, MGRAD_INVALID, "threads is %d, this host allows %d",
                      (int64_t)threads, (int64_t)ctx->limits[MGRAD_LIMIT_THREADS]);
  }
  if (threads == mgrad_threads(ctx)) return MGRAD_OK;
  ctx->changes++; /* plans have scratch for so many */
  return mgrad_pool_set(ctx, ctx->pool, threads);
}

int mgrad_threads(const mgrad_context *ctx) { return mgrad_pool_threads(ctx->pool); }

void mgrad_interrupt(mgrad_context *ctx, mgrad_interrupt_fn fn, void *ud) {
  ctx->pool->interrupt = fn;
  ctx->pool->ud = ud;
}

mgrad_status mgrad_fail_interrupted(mgrad_context *ctx) {
  return mgrad_fail(ctx, MGRAD_INTERRUPTED, "interrupted");
}

/* ---- the error sentence ---- */

typedef struct writer {
  char *to;
  size_t room; /* for characters before the final 0 */
} writer;

static void put(writer *w, const char *s) {
  while (*s != '\0' && w->room > 0) {
    *w->to++ = *s++;
    w->room--;
  }
}

static void put_int(writer *w, int64_t v) {
  char digits[24], *p = digits + sizeof digits - 1;
  uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  *p = '\0';
  do *--p = (char)('0' + u % 10); while ((u /= 10) != 0);
  if (v < 0) *--p = '-';
  put(w, p);
}

/* Six significant digits, as "%g" would; for error texts only. */
static void put_real(writer *w, double v) {
  if (v != v) { put(w, "nan"); return; }
  if (v < 0) { put(w, "-"); v = -v; }
  if (v > 1.7976931348623157e308) { put(w, "inf"); return; }
  if (v < 1e15 && v == (double)(int64_t)v) { put_int(w, (int64_t)v); return; }
  int exponent = 0;
  while (v >= 10) { v /= 10; exponent++; }
  while (v < 1) { v *= 10; exponent--; }
  int64_t digits = (int64_t)(v * 1e5 + 0.5); /* d.ddddd as an integer */
  if (digits >= 1000000) { digits /= 10; exponent++; }
  int count = 6;
  while (count > 1 && digits % 10 == 0) { digits /= 10; count--; }
  bool plain = exponent >= -5 && exponent < 6;
  char text[16];
  for (int i = count - 1; i >= 0; i--) { text[i] = (char)('0' + digits % 10); digits /= 10; }
  int point = plain ? exponent + 1 : 1; /* digits before the point */
  if (point <= 0) put(w, "0.");
  for (int i = point; i < 0; i++) put(w, "0");
  for (int i = 0; i < count; i++) {
    if (i == point && i > 0) put(w, ".");
    put(w, (char[]){ text[i], '\0' });
  }
  for (int i = count; i < point; i++) put(w, "0");
  if (!plain) { put(w, "e"); put_int(w, exponent); }
}

static void put_shape(writer *w, const mgrad_array *a) {
  put(w, "{");
  for (int i = 0; i < a->ndim; i++) {
    if (i > 0) put(w, ", ");
    put_int(w, a->size[i]);
  }
  put(w, "}");
}

void mgrad_format_list(char *to, size_t size, const char *format, va_list args) {
  writer w = { to, size - 1 };
  for (; *format != '\0'; format++) {
    if (*format != '%') { put(&w, (char[]){ *format, '\0' }); continue; }
    switch (*++format) {
      case 's': put(&w, va_arg(args, const char *)); break;
      case 'd': put_int(&w, va_arg(args, int64_t)); break;
      case 'g': put_real(&w, va_arg(args, double)); break;
      case 'a': put_shape(&w, va_arg(args, const mgrad_array *)); break;
      default: put(&w, "%"); break;
    }
  }
  *w.to = '\0';
}

void mgrad_format(char *to, size_t size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  mgrad_format_list(to, size, format, args);
  va_end(args);
}

mgrad_status mgrad_fail(mgrad_context *ctx, mgrad_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char text[MGRAD_ERROR_SIZE]; /* the old sentence may be among the arguments */
  mgrad_format_list(text, sizeof text, format, args);
  va_end(args);
  memcpy(ctx->error, text, sizeof text);
  ctx->located = false;
  return status;
}

mgrad_status mgrad_fail_memory(mgrad_context *ctx) {
  return mgrad_fail(ctx, MGRAD_NOMEM, "not enough memory");
}

const char *mgrad_error(const mgrad_context *ctx) { return ctx->error; }

mgrad_status mgrad_error_set(mgrad_context *ctx, mgrad_status status, const char *message) {
  return mgrad_fail(ctx, status, "%s", message);
}
