/*
** long.h - how often an op on many numbers asks the host whether to go on: an example
** (vary.h) whose sizes are doubled together until there are enough numbers, there and back.
*/
#ifndef LONG_H
#define LONG_H

#include "bits.h"

enum {
  LONG = 1 << 20,     /* numbers of the largest operand or the result, at least */
  UNASKED = 1 << 18,  /* numbers that may go by without a question */
  ENOUGH = LONG / UNASKED * 16 /* questions */
};

/* Sizes that are options or lists grow as well, the others stay. */
static outline grown(const outline *example, const mgrad_attr_spec *specs, int factor) {
  outline f = *example;
  for (int i = 0; i < f.n; i++)
    for (int d = 0; d < MGRAD_EXAMPLE_DIMS; d++)
      if (f.shapes[i][d] > 1) f.shapes[i][d] *= factor;
  if (f.labels > 1) f.labels *= factor;
  for (int i = 0; i < f.attrs.nlist; i++)
    if (f.attrs.list[i] > 1) f.attrs.list[i] *= factor;
  for (int k = 0; specs != NULL && specs[k].type != MGRAD_ATTR_NONE; k++)
    if (specs[k].type == MGRAD_ATTR_INT && f.set[k] && f.attrs.value[k] > 1)
      f.attrs.value[k] *= factor;
  return f;
}

/* An op that has asked so often may take an hour. */
static int count_question(void *ud) { return ++*(int *)ud >= ENOUGH; }

static int64_t largest_of(const function *f, const mgrad_tensor *y) {
  int64_t most = mgrad_tensor_numel(y);
  for (int i = 0; i < f->n; i++) {
    int64_t n = f->x[i] != NULL ? mgrad_tensor_numel(f->x[i]) : 0;
    most = n > most ? n : most;
  }
  return most;
}

static bool among(const char *const *names, int n, const char *name) {
  while (n > 0 && strcmp(names[n - 1], name) != 0) n--;
  return n > 0;
}

/* How often the op should ask; a product does after so many multiplications. One row, which
** may be folded into one number, is done in one go, as fast as it is read. */
static int64_t expected(const function *f, const mgrad_tensor *y) {
  static const char *const products[] = { "matmul", "linear", "conv", "conv_transpose" };
  bool product = among(products, 4, f->op->name);
  int64_t numbers = largest_of(f, y), most = product ? MGRAD_POOL_ASK : UNASKED, row = 1;
  for (int i = 0; i < f->n; i++)
    for (int d = 0; f->x[i] != NULL && d < f->x[i]->a.ndim; d++)
      if (f->x[i]->a.size[d] > row) row = f->x[i]->a.size[d];
  return numbers / (row > most ? row : most) - 2; /* the first part, and what is left over */
}

/* How often the host is asked by backward from y; or by what is above it alone. */
static int questions_back(function *f, mgrad_tensor *y) {
  int n = 0;
  mgrad_tensor *sum = weigh(f, y);
  ctx->pool->left = MGRAD_POOL_ASK;
  mgrad_interrupt(ctx, count_question, &n);
  mgrad_backward(sum, 0);
  mgrad_interrupt(ctx, NULL, NULL);
  mgrad_tensor_release(sum);
  return n;
}

static void expect_questions(const char *way, int n, const function *f, const mgrad_tensor *y) {
  if (n >= ENOUGH || n >= expected(f, y)) return;
  printf("    %s: asks %d times in %lld numbers\n", way, n, (long long)largest_of(f, y));
  CHECK(!"the host is asked often enough");
}

static void check_back(function *f, mgrad_tensor *y) {
  mgrad_tensor *leaf = NULL;
  mgrad_tensor_like(ctx, &y->a, &leaf);
  mgrad_tensor_fill(leaf, 0);
  mgrad_tensor_require_grad(leaf, 1);
  int above = questions_back(f, leaf), n = questions_back(f, y);
  expect_questions("back", n >= ENOUGH ? n : n - above, f, y);
  mgrad_tensor_release(leaf);
}

/* What changes an operand is done to its end; all numbers are folded into one like a row;
** some ops look at few numbers of many. */
static bool asks_there(const mgrad_op *op, const mgrad_tensor *y) {
  static const char *const picks[] = { "gather", "index_select", "embedding", "nll", "ctc" };
  bool folds = words(op->operands) == 1 && mgrad_tensor_numel(y) == 1;
  return op->forward != NULL && op->updates == 0 && !folds && !among(picks, 5, op->name);
}

/* The numbers there are; 0 where the op refuses them, LONG where it asked so often. */
static int64_t check_asks(function *f) {
  int n = 0;
  mgrad_tensor *y = NULL;
  ctx->pool->left = MGRAD_POOL_ASK;
  mgrad_interrupt(ctx, count_question, &n);
  mgrad_status status = apply(f, &y);
  mgrad_interrupt(ctx, NULL, NULL);
  if (status != MGRAD_OK) return status == MGRAD_INTERRUPTED ? LONG : 0;
  if (asks_there(f->op, y)) expect_questions("there", n, f, y);
  if (f->op->backward != NULL && y->node != NULL) check_back(f, y);
  int64_t numbers = largest_of(f, y);
  mgrad_tensor_release(y);
  return numbers;
}

#endif
