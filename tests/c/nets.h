/*
** nets.h - models of all kinds and how they are trained, for tests that compare bits.
*/
#ifndef NETS_H
#define NETS_H

#include "../../core/moongrad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

static mgrad_context *ctx;
static int pure; /* layers of our own may be replayed */

static void must(mgrad_status status) {
  if (status == MGRAD_OK) return;
  printf("not ok - %s\n", mgrad_error(ctx));
  exit(1);
}

/* ---- the models ---- */

typedef struct option { const char *name; double value; } option;

/* A layer: a kind, its first attribute, its activation, its second attribute, its list of
** sizes. "residual" holds a dense. */
typedef struct part {
  const char *kind;
  double value;
  const char *act;
  double second;
  int64_t sizes[3];
} part;

typedef struct model {
  const char *name, *loss, *optimizer;
  option options[3];
  int rows, in, classes; /* classes 0: the target is numbers, 1: bits */
  int seeds;             /* trained for every so many of them, as it takes its time */
  part net[MOST];
} model;

static const model models[] = {
  { "xor", "bce", "adam", { { "lr", 0.05 } }, 4, 2, 1, 1,
    { { "dense", 8 }, { "activation", 0, "tanh" }, { "dense", 1, "sigmoid" } } },
  { "mlp", "cross_entropy", "sgd", { { "lr", 0.1 }, { "momentum", 0.9 } }, 150, 30, 5, 1,
    { { "dense", 40, "relu" }, { "dense", 5 } } },
  { "deep with dropout", "cross_entropy", "adamw", { { "lr", 0.01 } }, 90, 19, 4, 1,
    { { "dense", 33, "tanh" }, { "dropout", 0.3 }, { "dense", 31, "gelu" },
      { "residual", 31, "silu" }, { "dropout", 0.1 }, { "dense", 17, "softplus" },
      { "dense", 4 } } },
  { "normalised", "cross_entropy", "rmsprop", { { "lr", 0.01 } }, 64, 12, 3, 1,
    { { "dense", 20 }, { "normalise" }, { "activation", 0, "elu" }, { "dense", 9, "leaky_relu" },
      { "dense", 3 } } },
  /* statistics of batches and of rows, small and shared by threads */
  { "batch statistics", "cross_entropy", "sgd", { { "lr", 0.1 } }, 40, 9, 3, 1,
    { { "dense", 20 }, { "batchnorm", 1e-5 }, { "activation", 0, "relu" }, { "dense", 12 },
      { "groupnorm", 3 }, { "layernorm", 1e-5 }, { "rmsnorm", 1e-5 }, { "dense", 3 } } },
  { "statistics by threads", "cross_entropy", "adam", { { "lr", 0.01 } }, 600, 21, 4, 10,
    { { "dense", 130 }, { "batchnorm", 1e-5 }, { "activation", 0, "tanh" },
      { "layernorm", 1e-5 }, { "dense", 4 } } },
  { "pictures", "cross_entropy", "adam", { { "lr", 0.01 } }, 40, 180, 3, 5,
    { { "reshape", .sizes = { 2, 10, 9 } }, { "conv2d", 18, .second = MGRAD_PAIR(3, 3) },
      { "activation", 0, "elu" }, { "avgpool2d", MGRAD_PAIR(2, 2) },
      { "conv_transpose2d", 5, .second = MGRAD_PAIR(2, 2) }, { "maxpool2d", MGRAD_PAIR(3, 2) },
      { "flatten" }, { "dense", 3 } } },
  { "sequences", "cross_entropy", "adam", { { "lr", 0.01 } }, 40, 28, 3, 5,
    { { "reshape", .sizes = { 7, 4 } }, { "gru", 18 }, { "lstm", 9 }, { "flatten" },
      { "dense", 3 } } },
  { "attention", "cross_entropy", "adam", { { "lr", 0.01 } }, 48, 11, 4, 1,
    { { "dense", 240 }, { "attend", 20 }, { "layernorm", 1e-5 }, { "dense", 4 } } },
  { "attention by threads", "cross_entropy", "adam", { { "lr", 0.01 } }, 400, 11, 4, 10,
    { { "dense", 240 }, { "attend", 20 }, { "dense", 4 } } },
  { "recurrent by threads", "cross_entropy", "adam", { { "lr", 0.01 } }, 150, 11, 4, 10,
    { { "dense", 240 }, { "reshape", .sizes = { 20, 12 } }, { "lstm", 40 }, { "gru", 40 },
      { "flatten" }, { "dense", 4 } } },
  { "regression", "huber", "adagrad", { { "lr", 0.05 }, { "clip_norm", 1 } }, 100, 7, 0, 1,
    { { "dense", 25, "selu" }, { "dense", 1 } } },
  { "powers", "focal", "nadam", { { "lr", 0.02 }, { "ema", 0.9 } }, 60, 8, 1, 1,
    { { "dense", 17, "tanh" }, { "dense", 1 } } },
  { "all at once", "mse", "lbfgs", { { "lr", 1 }, { "l2", 0.01 } }, 70, 6, 0, 5,
    { { "dense", 19, "tanh" }, { "dense", 1 } } },
  /* longer than one block of k, in weight gradients too, and work for threads */
  { "wide", "cross_entropy", "sgd", { { "lr", 0.01 } }, 600, 300, 10, 10,
    { { "dense", 70, "relu" }, { "dense", 10 } } },
};
enum { MODELS = sizeof models / sizeof *models };

/* Sets the attribute of that name; false when there is none. */
static int set(const mgrad_attr_spec *specs, mgrad_attrs *attrs, const char *name,
               double value) {
  for (int i = 0; specs[i].type != MGRAD_ATTR_NONE; i++) {
    if (strcmp(specs[i].name, name) != 0) continue;
    attrs->value[i] = value;
    return 1;
  }
  return 0;
}

static int op_index(const char *name) {
  int i = 0;
  while (mgrad_op_at(i) != mgrad_op_find(name)) i++;
  return i;
}

/* ---- a layer of our own: each column less its mean, over its deviation ---- */

static mgrad_tensor *apply(const char *name, mgrad_tensor *a, mgrad_tensor *b,
                           const option *options) {
  mgrad_op_info info;
  mgrad_attrs attrs;
  mgrad_tensor *x[] = { a, b }, *y;
  mgrad_op_describe(mgrad_op_find(name), &info);
  mgrad_attrs_default(info.attrs, &attrs);
  for (; options != NULL && options->name != NULL; options++)
    set(info.attrs, &attrs, options->name, options->value);
  must(mgrad_apply(mgrad_op_find(name), ctx, x, b != NULL ? 2 : 1, &attrs, &y));
  return y;
}

static mgrad_status normalise(void *ud, mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  static const option rows[] = { { "dim", 1 }, { "keepdim", 1 }, { "correction", 0 }, { 0 } };
  mgrad_tensor *t[6];
  (void)ud, (void)l;
  must(mgrad_tensor_full(ctx, 0, NULL, 1e-5, &t[0]));
  t[1] = apply("mean", x, NULL, rows);
  t[2] = apply("var", x, NULL, rows);
  t[3] = apply("add", t[2], t[0], NULL);
  t[4] = apply("sqrt", t[3], NULL, NULL);
  t[5] = apply("sub", x, t[1], NULL);
  *y = apply("div", t[5], t[4], NULL);
  for (int i = 0; i < 6; i++) mgrad_tensor_release(t[i]);
  return MGRAD_OK;
}

static mgrad_tensor *reshaped(mgrad_tensor *x, mgrad_attrs sizes) {
  mgrad_tensor *y;
  must(mgrad_apply(mgrad_op_find("reshape"), ctx, &x, 1, &sizes, &y));
  mgrad_tensor_release(x);
  return y;
}

/* A row seen as 20 places in time, each a query, a key and a value of 4 numbers. */
static mgrad_status attend(void *ud, mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  static const option heads[] = { { "heads", 2 }, { "causal", 1 }, { 0 } };
  (void)ud, (void)l;
  x = reshaped(mgrad_tensor_retain(x), (mgrad_attrs){ .nlist = 3, .list = { -1, 20, 12 } });
  *y = reshaped(apply("dot_attention", x, NULL, heads),
                (mgrad_attrs){ .nlist = 2, .list = { -1, 80 } });
  mgrad_tensor_release(x);
  return MGRAD_OK;
}

/* ---- nets ---- */

static void add(mgrad_layer *to, mgrad_layer *child) {
  must(mgrad_layer_add(to, NULL, child));
  mgrad_layer_release(child);
}

static mgrad_layer *layer(const part *p) {
  mgrad_layer *l;
  int own = strcmp(p->kind, "normalise") == 0;
  if (own || strcmp(p->kind, "attend") == 0) {
    must(mgrad_layer_custom(ctx, p->kind, own ? normalise : attend, NULL, &l));
    mgrad_layer_set_pure(l, pure);
    return l;
  }
  const mgrad_layer_def *def = mgrad_layer_def_find(p->kind);
  mgrad_layer_info info;
  mgrad_attrs attrs;
  mgrad_layer_describe(def, &info);
  mgrad_attrs_default(info.attrs, &attrs);
  if (!info.container) {
    if (p->value != 0) attrs.value[0] = p->value;
    if (p->second != 0) attrs.value[1] = p->second;
    for (; attrs.nlist < 3 && p->sizes[attrs.nlist] > 0; attrs.nlist++)
      attrs.list[attrs.nlist] = p->sizes[attrs.nlist];
    if (p->act != NULL) set(info.attrs, &attrs, "act", op_index(p->act));
  }
  must(mgrad_layer_new(ctx, def, &attrs, &l));
  if (info.container && p->value > 0) add(l, layer(&(part){ "dense", p->value, p->act }));
  return l;
}

static mgrad_layer *net_of(const model *m) {
  mgrad_layer *net = layer(&(part){ "sequential" });
  for (int i = 0; i < MOST && m->net[i].kind != NULL; i++) add(net, layer(&m->net[i]));
  must(mgrad_layer_build(net, 2, (int64_t[]){ m->rows, m->in }));
  return net;
}

static mgrad_optimizer *optimizer_of(const model *m) {
  const mgrad_optimizer_def *def = mgrad_optimizer_def_find(m->optimizer);
  mgrad_optimizer_info info;
  mgrad_attrs attrs, common;
  mgrad_optimizer *o;
  mgrad_optimizer_describe(def, &info);
  mgrad_attrs_default(info.attrs, &attrs);
  mgrad_attrs_default(mgrad_optimizer_common(), &common);
  for (const option *p = m->options; p->name != NULL; p++) {
    if (set(info.attrs, &attrs, p->name, p->value)) continue;
    set(mgrad_optimizer_common(), &common, p->name, p->value);
  }
  must(mgrad_optimizer_new(ctx, def, &attrs, &common, &o));
  return o;
}

/* ---- training ---- */

static mgrad_tensor *numbers(mgrad_random kind, int ndim, int64_t rows, int64_t columns) {
  mgrad_tensor *t;
  must(mgrad_tensor_random(ctx, kind, ndim, (int64_t[]){ rows, columns }, &t));
  return t;
}

static mgrad_tensor *target_of(const model *m) {
  int labels = m->classes > 1;
  mgrad_tensor *y = numbers(m->classes > 0 ? MGRAD_UNIFORM : MGRAD_NORMAL, labels ? 1 : 2,
                            m->rows, 1);
  mgrad_real *p = mgrad_tensor_array(y)->data;
  for (int i = 0; m->classes > 0 && i < m->rows; i++)
    p[i] = labels ? (mgrad_real)(1 + (int)(p[i] * (mgrad_real)m->classes))
                  : (mgrad_real)(p[i] * 2 >= 1);
  return y;
}

/* Three epochs, in runs of one kind. */
static void train(const model *m, mgrad_layer *net, mgrad_tensor *x, mgrad_tensor *y,
                  const mgrad_run *run) {
  mgrad_optimizer *o = optimizer_of(m);
  mgrad_trainer_options options = { .net = net, .optimizer = o,
                                    .loss = mgrad_op_find(m->loss) };
  mgrad_trainer *t;
  mgrad_dataset *d;
  mgrad_report report;
  int done = 0;
  must(mgrad_trainer_new(ctx, &options, &t));
  must(mgrad_dataset_new(ctx, &(mgrad_source){ .tensor = x }, &(mgrad_source){ .tensor = y },
                         &d));
  must(mgrad_trainer_begin(t, d, m->rows < 300 ? 16 : 300, 3, 1));
  while (!done) must(mgrad_trainer_run(t, run, &report, &done));
  mgrad_trainer_release(t);
  mgrad_dataset_release(d);
  mgrad_optimizer_release(o);
}

#endif
