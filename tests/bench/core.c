/*
** core.c - w1 and w2 of the benchmarks through the C interface: what a host that
** embeds the core without Lua gets. Prints lines as the other programs do.
*/
#define _POSIX_C_SOURCE 200809L
#include "../../core/moongrad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static mgrad_context *ctx;

static void must(mgrad_status status) {
  if (status == MGRAD_OK) return;
  fprintf(stderr, "%s\n", mgrad_error(ctx));
  exit(1);
}

static int activation(const char *name) {
  int i = 0;
  while (mgrad_op_at(i) != mgrad_op_find(name)) i++;
  return i;
}

/* A dense layer for each number of 'out', which ends with 0; acts NULL: none. */
static mgrad_layer *net(int64_t in, const int *out, const char *const *acts) {
  mgrad_layer *all, *l;
  must(mgrad_layer_new(ctx, mgrad_layer_def_find("sequential"), NULL, &all));
  for (; *out != 0; out++, acts++) {
    mgrad_layer_info info;
    mgrad_attrs attrs;
    mgrad_layer_describe(mgrad_layer_def_find("dense"), &info);
    mgrad_attrs_default(info.attrs, &attrs);
    attrs.value[0] = *out;
    for (int i = 0; *acts != NULL && info.attrs[i].type != MGRAD_ATTR_NONE; i++)
      if (strcmp(info.attrs[i].name, "act") == 0) attrs.value[i] = activation(*acts);
    must(mgrad_layer_new(ctx, mgrad_layer_def_find("dense"), &attrs, &l));
    must(mgrad_layer_add(all, NULL, l));
    mgrad_layer_release(l);
  }
  must(mgrad_layer_build(all, 2, (int64_t[]){ 1, in }));
  return all;
}

static mgrad_tensor *tensor(int64_t rows, int64_t columns, const mgrad_real *from) {
  mgrad_tensor *t;
  must(mgrad_tensor_full(ctx, 2, (int64_t[]){ rows, columns }, 0.5, &t));
  if (from != NULL) must(mgrad_tensor_write(t, from));
  return t;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void w1(void) {
  static const mgrad_real in[] = { 0, 0, 0, 1, 1, 0, 1, 1 }, out[] = { 0, 1, 1, 0 };
  enum { STEPS = 1000000 };
  mgrad_layer *l = net(2, (int[]){ 8, 1, 0 }, (const char *[]){ "tanh", "sigmoid" });
  mgrad_optimizer *sgd;
  mgrad_trainer *t;
  mgrad_tensor *x = tensor(4, 2, in), *y = tensor(4, 1, out);
  double loss, start;
  must(mgrad_optimizer_new(ctx, mgrad_optimizer_def_find("sgd"), NULL, NULL, &sgd));
  must(mgrad_trainer_new(ctx, &(mgrad_trainer_options){
    .net = l, .optimizer = sgd, .loss = mgrad_op_find("mse") }, &t));
  for (int i = 0; i < STEPS / 10; i++) must(mgrad_trainer_step(t, x, y, &loss));
  start = now();
  for (int i = 0; i < STEPS; i++) must(mgrad_trainer_step(t, x, y, &loss));
  printf("R\tmoongrad\tw1\t1\tsteps_s_core\t%.6g\n", STEPS / (now() - start));
  mgrad_trainer_release(t);
  mgrad_optimizer_release(sgd);
  mgrad_layer_release(l);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
}

static void w2(void) {
  enum { CALLS = 1000000 };
  mgrad_layer *l = net(16, (int[]){ 64, 64, 4, 0 }, (const char *[]){ "tanh", "tanh", NULL });
  mgrad_tensor *x = tensor(1, 16, NULL), *y = tensor(1, 4, NULL);
  double start;
  for (int i = 0; i < CALLS / 10; i++) must(mgrad_layer_predict_into(l, x, y));
  start = now();
  for (int i = 0; i < CALLS; i++) must(mgrad_layer_predict_into(l, x, y));
  printf("R\tmoongrad\tw2\t1\tlat_core_us\t%.6g\n", 1e6 * (now() - start) / CALLS);
  mgrad_layer_release(l);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
}

int main(void) {
  ctx = mgrad_context_new(NULL, NULL);
  if (ctx == NULL) return 1;
  w1();
  w2();
  mgrad_context_release(ctx);
  return 0;
}
