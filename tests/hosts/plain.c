/*
** plain.c - a host without Lua: trains XOR through moongrad.h alone, and infers.
**
**   cc -O2 plain.c moongrad.c -lm -lpthread
*/
#include "moongrad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mgrad_context *ctx;

/* Every call that can fail returns a status; the context has the sentence. */
static void must(mgrad_status status) {
  if (status == MGRAD_OK) return;
  fprintf(stderr, "plain: %s\n", mgrad_error(ctx));
  exit(1);
}

/* Sets one option by its name; an activation is the index of its op. */
static void set(const mgrad_attr_spec *specs, mgrad_attrs *attrs, const char *name, double v) {
  for (int i = 0; specs[i].type != MGRAD_ATTR_NONE; i++) {
    if (strcmp(specs[i].name, name) == 0) attrs->value[i] = v;
  }
}

static int activation(const char *name) {
  int i = 0;
  while (mgrad_op_at(i) != mgrad_op_find(name)) i++;
  return i;
}

/* Adds a dense layer to a container, which then holds it. */
static void add_dense(mgrad_layer *net, int out, const char *act) {
  const mgrad_layer_def *dense = mgrad_layer_def_find("dense");
  mgrad_layer_info info;
  mgrad_attrs attrs;
  mgrad_layer *l;
  mgrad_layer_describe(dense, &info);
  mgrad_attrs_default(info.attrs, &attrs);
  set(info.attrs, &attrs, info.attrs[0].name, out);
  set(info.attrs, &attrs, "act", activation(act));
  must(mgrad_layer_new(ctx, dense, &attrs, &l));
  must(mgrad_layer_add(net, NULL, l));
  mgrad_layer_release(l);
}

static mgrad_tensor *tensor(int64_t rows, int64_t columns, const mgrad_real *numbers) {
  mgrad_tensor *t;
  must(mgrad_tensor_new(ctx, 2, (int64_t[]){ rows, columns }, &t));
  must(mgrad_tensor_write(t, numbers));
  return t;
}

static mgrad_optimizer *adam(double lr) {
  const mgrad_optimizer_def *def = mgrad_optimizer_def_find("adam");
  mgrad_optimizer_info info;
  mgrad_attrs attrs;
  mgrad_optimizer *o;
  mgrad_optimizer_describe(def, &info);
  mgrad_attrs_default(info.attrs, &attrs);
  set(info.attrs, &attrs, "lr", lr);
  must(mgrad_optimizer_new(ctx, def, &attrs, NULL, &o));
  return o;
}

int main(void) {
  static const mgrad_real in[] = { 0, 0, 0, 1, 1, 0, 1, 1 }, out[] = { 0, 1, 1, 0 };
  mgrad_layer *net;
  mgrad_trainer *trainer;
  mgrad_real answer[4];
  double loss = 1;
  int wrong = 0;
  ctx = mgrad_context_new(NULL, NULL);
  if (ctx == NULL) return 1;
  mgrad_seed(ctx, 7);
  must(mgrad_layer_new(ctx, mgrad_layer_def_find("sequential"), NULL, &net));
  add_dense(net, 8, "tanh");
  add_dense(net, 1, "sigmoid");
  mgrad_tensor *x = tensor(4, 2, in), *y = tensor(4, 1, out), *p;
  mgrad_optimizer *optimizer = adam(0.05);
  must(mgrad_trainer_new(ctx, &(mgrad_trainer_options){
    .net = net, .optimizer = optimizer, .loss = mgrad_op_find("bce") }, &trainer));
  for (int i = 0; i < 500; i++) must(mgrad_trainer_step(trainer, x, y, &loss));
  must(mgrad_layer_predict(net, x, &p));
  mgrad_tensor_read(p, answer);
  for (int i = 0; i < 4; i++) wrong += (answer[i] > 0.5f) != (out[i] > 0.5f);
  printf("plain: XOR learned to a loss of %.4f, %d of 4 answers wrong\n", loss, wrong);
  mgrad_tensor_release(p);
  mgrad_trainer_release(trainer);
  mgrad_optimizer_release(optimizer);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_layer_release(net);
  size_t left = mgrad_memory_used(ctx);
  mgrad_context_release(ctx);
  if (left != 0) fprintf(stderr, "plain: %lu bytes are left\n", (unsigned long)left);
  return wrong != 0 || left != 0;
}
