/*
** core.c - facts about the core that Lua does not show: memory, lifetime, long
** graphs, blocks, failed allocations.
*/
#include "check.h"
#include "dense.h"
#include "../../core/layer.h"
#include "../../core/optimizer.h"
#include "../../core/random.h"
#include "../../core/kernels/kernels.h"

#include <fenv.h>
#include <stdlib.h>
#include <time.h>

/* An allocator that counts, and fails on request; its memory is aligned to 8 bytes and
** no more, as LuaJIT's is. */
typedef struct counter {
  size_t used;
  uint64_t calls, fail_at;
  bool persistent;
} counter;

static void *counted(void *ud, void *p, size_t osize, size_t nsize) {
  counter *c = ud;
  if (nsize == 0) {
    if (p == NULL) return NULL;
    c->used -= osize;
    free((char *)p - 8);
    return NULL;
  }
  c->calls++;
  if (c->fail_at != 0 && (c->calls == c->fail_at || (c->persistent && c->calls > c->fail_at))) {
    return NULL;
  }
  c->used += nsize;
  char *block = malloc(nsize + 16);
  return block != NULL ? block + 8 : NULL;
}

static mgrad_tensor *tensor(mgrad_context *ctx, int ndim, int64_t a, int64_t b, double v) {
  mgrad_tensor *t = NULL;
  mgrad_tensor_full(ctx, ndim, (int64_t[]){ a, b }, v, &t);
  return t;
}

static mgrad_tensor *apply1(mgrad_context *ctx, const char *op, mgrad_tensor *x) {
  mgrad_tensor *y = NULL;
  mgrad_apply(mgrad_op_find(op), ctx, &x, 1, NULL, &y);
  return y;
}

static mgrad_tensor *apply2(mgrad_context *ctx, const char *op, mgrad_tensor *a,
                            mgrad_tensor *b) {
  mgrad_tensor *y = NULL, *x[] = { a, b };
  mgrad_apply(mgrad_op_find(op), ctx, x, 2, NULL, &y);
  return y;
}

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* ---- memory and lifetime ---- */

static void test_memory(void) {
  test("a context outlives its release until its last object goes");
  counter c = { 0 };
  mgrad_context *ctx = mgrad_context_new(counted, &c);
  mgrad_tensor *t = tensor(ctx, 2, 3, 4, 1);
  mgrad_context_release(ctx);
  CHECK(c.used > 0);
  CHECK(mgrad_tensor_numel(t) == 12);
  mgrad_tensor_release(t);
  CHECK(c.used == 0);

  test("a host's memory needs no alignment beyond 8 bytes, for threads either");
  ctx = mgrad_context_new(counted, &c);
  OK(mgrad_threads_set(ctx, 3));
  t = tensor(ctx, 2, 300, 300, 1);
  mgrad_tensor *product = apply2(ctx, "matmul", t, t);
  CHECK(product != NULL);
  CHECK(product != NULL && mgrad_tensor_array(product)->data[5] == 300);
  mgrad_tensor_release(product);
  mgrad_tensor_release(t);
  mgrad_context_release(ctx);
  CHECK(c.used == 0);

  test("the memory limit refuses and leaves everything usable");
  ctx = mgrad_context_new(NULL, NULL);
  mgrad_limit_set(ctx, MGRAD_LIMIT_MEMORY, 10000);
  mgrad_tensor *big = NULL;
  CHECK(mgrad_tensor_new(ctx, 1, (int64_t[]){ 10000 }, &big) == MGRAD_NOMEM);
  CHECK(big == NULL);
  SAYS(ctx, "not enough memory");
  OK(mgrad_tensor_new(ctx, 1, (int64_t[]){ 100 }, &big));
  mgrad_tensor_release(big);
  CHECK(mgrad_memory_used(ctx) == 0);
  mgrad_context_release(ctx);
}

static void test_shapes(mgrad_context *ctx) {
  mgrad_tensor *t = NULL;
  test("sizes below 1 are refused");
  CHECK(mgrad_tensor_new(ctx, 2, (int64_t[]){ 3, 0 }, &t) == MGRAD_INVALID);
  CHECK(mgrad_tensor_new(ctx, 1, (int64_t[]){ -1 }, &t) == MGRAD_INVALID);
  test("sizes whose product overflows are refused");
  CHECK(mgrad_tensor_new(ctx, 2, (int64_t[]){ INT64_MAX, 2 }, &t) == MGRAD_INVALID);
  CHECK(mgrad_tensor_new(ctx, 3, (int64_t[]){ 1 << 30, 1 << 30, 1 << 30 }, &t) ==
        MGRAD_INVALID);
  test("more than 8 dimensions are refused");
  CHECK(mgrad_tensor_new(ctx, 9, (int64_t[]){ 1, 1, 1, 1, 1, 1, 1, 1, 1 }, &t) ==
        MGRAD_INVALID);
  CHECK(t == NULL);
  test("storage is aligned for vectors");
  t = tensor(ctx, 1, 5, 0, 0);
  CHECK((uintptr_t)mgrad_tensor_array(t)->data % MGRAD_ALIGN == 0);
  mgrad_tensor_release(t);
}

/* Every place of every length up to 300, in code for this machine and for any. */
static void test_finite(void) {
  extern const mgrad_code mgrad_code_table;
  const mgrad_code *codes[] = { &mgrad_code_table, mgrad_code_best() };
  const mgrad_real bad[] = { NAN, INFINITY, -INFINITY };
  const int rounding[] = { FE_TONEAREST, FE_DOWNWARD };
  mgrad_real x[300];
  int wrong = 0;
  test("a number that is not finite is seen anywhere, others never, however it is rounded");
  for (int i = 0; i < 300; i++) x[i] = (mgrad_real)(i % 3 - 1) * 1000;
  for (int k = 0; k < 4; k++) {
    bool (*all_finite)(int64_t, const mgrad_real *) = codes[k % 2]->all_finite;
    fesetround(rounding[k / 2]);
    for (int n = 0; n <= 300; n++) {
      wrong += !all_finite(n, x);
      for (int i = 0; i < n; i++) {
        mgrad_real good = x[i];
        x[i] = bad[(i + n) % 3];
        wrong += all_finite(n, x);
        x[i] = good;
      }
    }
    fesetround(FE_TONEAREST);
  }
  CHECK(wrong == 0);
}

static void test_random(void) {
  test("Philox4x32-10 gives its published numbers");
  uint32_t w[4];
  mgrad_philox(0, 0, 0, w);
  CHECK(w[0] == 0x6627e8d5 && w[1] == 0xe169c58d && w[2] == 0xbc57ac4c && w[3] == 0x9b00dbd8);
  mgrad_philox(UINT64_MAX, UINT64_MAX, UINT64_MAX, w);
  CHECK(w[0] == 0x408f276d && w[1] == 0x41c83b0e && w[2] == 0xa20bc7c6 && w[3] == 0x6d5451fd);
  test("many words at once are the same, from anywhere on");
  uint32_t many[300];
  uint64_t first = UINT64_C(0x3fffffff5); /* where the block's number passes 2^32 */
  mgrad_words(7, UINT64_C(0x123456789), first, 300, many);
  int same = 0;
  for (uint64_t i = 0; i < 300; i++) {
    mgrad_philox(7, UINT64_C(0x123456789), (first + i) / 4, w);
    same += many[i] == w[(first + i) % 4];
  }
  CHECK(same == 300);
}

/* ---- graphs ---- */

/* Seconds for building, backward through and release of a chain. */
static double chain(mgrad_context *ctx, int64_t length, double *gradient) {
  double start = seconds();
  mgrad_tensor *x = tensor(ctx, 0, 0, 0, 1), *now = mgrad_tensor_retain(x);
  mgrad_tensor_require_grad(x, 1);
  for (int64_t i = 0; i < length; i++) {
    mgrad_tensor *next = apply1(ctx, "neg", now);
    mgrad_tensor_release(now);
    now = next;
  }
  OK(mgrad_backward(now, 0));
  *gradient = mgrad_tensor_grad(x) != NULL ? (double)mgrad_tensor_grad(x)->a.data[0] : NAN;
  mgrad_tensor_release(now);
  mgrad_tensor_release(x);
  return seconds() - start;
}

static void test_chain(mgrad_context *ctx) {
  test("a chain of a million ops goes backward and is released in linear time");
  double gradient, tenth = chain(ctx, 100000, &gradient);
  CHECK(gradient == 1);
  double whole = chain(ctx, 1000001, &gradient);
  CHECK(gradient == -1);
  CHECK(whole < 40 * tenth + 1); /* ten times the work; quadratic would be a hundred */

  test("a million recorded ops are released without a backward");
  mgrad_tensor *x = tensor(ctx, 0, 0, 0, 1), *now = mgrad_tensor_retain(x);
  mgrad_tensor_require_grad(x, 1);
  for (int i = 0; i < 1000000; i++) {
    mgrad_tensor *next = apply2(ctx, "add", now, now);
    mgrad_tensor_release(now);
    now = next;
  }
  mgrad_tensor_release(x);
  mgrad_tensor_release(now);
  CHECK(mgrad_memory_used(ctx) == 0);
}

static void test_graph(mgrad_context *ctx) {
  test("a gradient refuses numbers that changed since");
  mgrad_tensor *w = tensor(ctx, 1, 2, 0, 3);
  mgrad_tensor_require_grad(w, 1);
  mgrad_tensor *y = apply1(ctx, "square", w), *loss = apply1(ctx, "sum", y);
  w->storage->version++; /* as an optimizer does */
  CHECK(mgrad_backward(loss, 0) == MGRAD_INVALID);
  SAYS(ctx, "changed in place");
  w->storage->version--;
  OK(mgrad_backward(loss, 0));
  NEAR(mgrad_tensor_grad(w)->a.data[0], 6, 1e-6);

  test("a backward that fails for memory has changed no gradient");
  mgrad_tensor_release(y);
  mgrad_tensor_release(loss);
  y = apply1(ctx, "square", w);
  loss = apply1(ctx, "sum", y);
  mgrad_limit_set(ctx, MGRAD_LIMIT_MEMORY, mgrad_memory_used(ctx) + 8);
  CHECK(mgrad_backward(loss, 0) == MGRAD_NOMEM);
  NEAR(mgrad_tensor_grad(w)->a.data[0], 6, 1e-6);
  mgrad_limit_set(ctx, MGRAD_LIMIT_MEMORY, 0);
  OK(mgrad_backward(loss, 0));
  NEAR(mgrad_tensor_grad(w)->a.data[0], 12, 1e-6);
  mgrad_tensor_release(y);
  mgrad_tensor_release(loss);
  mgrad_tensor_release(w);
}

/* ---- layers ---- */

static mgrad_layer *net(mgrad_context *ctx, double hidden, double out) {
  mgrad_layer *l = NULL, *a = dense(ctx, hidden), *b = dense(ctx, out);
  mgrad_layer_new(ctx, mgrad_layer_def_find("sequential"), NULL, &l);
  if (l != NULL && a != NULL && b != NULL) {
    if (mgrad_layer_add(l, NULL, a) != MGRAD_OK || mgrad_layer_add(l, NULL, b) != MGRAD_OK) {
      mgrad_layer_release(l);
      l = NULL;
    }
  } else {
    mgrad_layer_release(l);
    l = NULL;
  }
  mgrad_layer_release(a);
  mgrad_layer_release(b);
  return l;
}

/* y = x * factor, or 2 x; gives y + y */
static mgrad_status scaled_forward(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *factor = mgrad_layer_input(l, 1), *both[] = { x, factor != NULL ? factor : x };
  MGRAD_TRY(mgrad_apply(factor != NULL ? &mgrad_op_mul : &mgrad_op_add, l->ctx, both, 2, NULL,
                        y));
  if (!mgrad_layer_asked(l)) return MGRAD_OK;
  mgrad_tensor *sum, *twice[] = { *y, *y };
  MGRAD_TRY(mgrad_apply(&mgrad_op_add, l->ctx, twice, 2, NULL, &sum));
  mgrad_layer_give(l, 0, sum);
  return MGRAD_OK;
}

static void test_further(mgrad_context *ctx) {
  static const mgrad_layer_def scaled = { .name = "scaled", .inputs = "unused factor",
                                          .outputs = "sum", .forward = scaled_forward };
  mgrad_layer *l;
  OK(mgrad_layer_new(ctx, &scaled, NULL, &l));
  mgrad_tensor *x = tensor(ctx, 2, 1, 2, 3), *factor = tensor(ctx, 1, 2, 0, 5), *y, *sum;

  test("a layer takes further inputs by name and gives further results");
  CHECK(mgrad_layer_outputs(l) == 1);
  mgrad_tensor_require_grad(factor, 1);
  mgrad_named in[] = { { "factor", factor }, { "unused", NULL } };
  OK(mgrad_layer_forward_with(l, x, in, 2, &y, &sum));
  CHECK(y->a.data[1] == 15 && sum->a.data[1] == 30);
  mgrad_tensor *loss = apply1(ctx, "sum", sum);
  OK(mgrad_backward(loss, 0));
  CHECK(factor->grad->a.data[0] == 6);
  mgrad_tensor_release(loss);
  mgrad_tensor_release(sum);
  mgrad_tensor_release(y);

  test("further inputs may be left out, in predictions too");
  OK(mgrad_layer_predict_with(l, x, NULL, 0, &y, &sum));
  CHECK(y->a.data[0] == 6 && sum->a.data[0] == 12 && sum->node == NULL);
  mgrad_tensor_release(sum);
  mgrad_tensor_release(y);

  test("an unknown further input is refused with the names of those there are");
  in[1].name = "fact";
  CHECK(mgrad_layer_forward_with(l, x, in, 2, &y, &sum) == MGRAD_INVALID);
  SAYS(ctx, "scaled: there is no input \"fact\", expected one of unused, factor");

  test("a plain call makes no further results");
  uint64_t before = mgrad_memory_count(ctx);
  OK(mgrad_layer_forward(l, x, &y));
  uint64_t plain = mgrad_memory_count(ctx) - before;
  mgrad_tensor_release(y);
  OK(mgrad_layer_forward_with(l, x, NULL, 0, &y, &sum));
  CHECK(mgrad_memory_count(ctx) - before > 2 * plain);
  mgrad_tensor_release(y);
  mgrad_tensor_release(sum);

  test("a call that fails gives nothing");
  mgrad_tensor *wrong = tensor(ctx, 1, 3, 0, 1);
  in[0].tensor = wrong;
  CHECK(mgrad_layer_forward_with(l, x, in, 1, &y, &sum) == MGRAD_INVALID);
  SAYS(ctx, "scaled: mul:");
  mgrad_tensor_release(wrong);
  mgrad_tensor_release(factor);
  mgrad_tensor_release(x);
  mgrad_layer_release(l);
  CHECK(mgrad_memory_used(ctx) == 0);
}

static void test_layers(mgrad_context *ctx) {
  test("a built net has its parameters in one block, its gradients in another");
  mgrad_layer *l = net(ctx, 4, 2);
  OK(mgrad_layer_build(l, 2, (int64_t[]){ 1, 3 }));
  mgrad_tensor *w0 = mgrad_layer_tensor(l->parts[0].layer, "weight");
  mgrad_tensor *b0 = mgrad_layer_tensor(l->parts[0].layer, "bias");
  mgrad_tensor *w1 = mgrad_layer_tensor(l->parts[1].layer, "weight");
  CHECK(w0->storage == w1->storage);
  CHECK(b0->a.data == w0->a.data + 12 && w1->a.data == b0->a.data + 4);
  CHECK(w1->grad->a.data == w0->grad->a.data + 16);

  test("joining a bigger net moves the block, handles stay valid");
  mgrad_layer *outer = NULL, *last = dense(ctx, 1);
  OK(mgrad_layer_new(ctx, mgrad_layer_def_find("sequential"), NULL, &outer));
  mgrad_real before = w1->a.data[3];
  OK(mgrad_layer_add(outer, NULL, l));
  OK(mgrad_layer_add(outer, NULL, last));
  OK(mgrad_layer_build(outer, 2, (int64_t[]){ 1, 3 }));
  CHECK(w1->a.data[3] == before);
  CHECK(mgrad_layer_tensor(last, "weight")->storage == w0->storage);

  test("a failed build leaves no layer half built");
  mgrad_layer *fresh = net(ctx, 4, 2), *flat = NULL;
  mgrad_attrs sizes = { .nlist = 1, .list = { 7 } };
  OK(mgrad_layer_new(ctx, mgrad_layer_def_find("reshape"), &sizes, &flat));
  OK(mgrad_layer_add(fresh, NULL, flat));
  CHECK(mgrad_layer_build(fresh, 2, (int64_t[]){ 1, 3 }) == MGRAD_INVALID);
  SAYS(ctx, "reshape (layer 3 of sequential)");
  CHECK(fresh->parts[0].layer->nparts == 0 && !fresh->parts[0].layer->built);
  mgrad_layer_release(fresh);
  mgrad_layer_release(flat);

  test("a layer cannot contain itself");
  CHECK(mgrad_layer_add(l, NULL, outer) == MGRAD_INVALID);
  SAYS(ctx, "contain itself");
  mgrad_layer_release(outer);
  mgrad_layer_release(last);
  mgrad_layer_release(l);
}

/* ---- training while allocations fail ---- */

/* Epochs of batches that share updates, and an evaluation, metrics and all. */
static mgrad_status train_more(mgrad_context *ctx, mgrad_trainer *t, mgrad_tensor *x,
                               mgrad_tensor *y) {
  mgrad_source xs = { .tensor = x }, ys = { .tensor = y };
  mgrad_augment noise = { .noise = 0.1 };
  mgrad_dataset *plain, *d;
  mgrad_run all = { 0 };
  mgrad_report report;
  mgrad_tensor *table = NULL;
  int done = 0;
  mgrad_status status = mgrad_dataset_new(ctx, &xs, &ys, &plain);
  if (status != MGRAD_OK) return status;
  status = mgrad_dataset_augment(plain, &noise, &d);
  mgrad_dataset_release(plain);
  if (status != MGRAD_OK) return status;
  status = mgrad_trainer_accumulate(t, 2);
  if (status == MGRAD_OK) status = mgrad_trainer_begin(t, d, 1, 2, 1);
  if (status == MGRAD_OK) status = mgrad_trainer_run(t, &all, &report, &done);
  if (status == MGRAD_OK) status = mgrad_trainer_evaluate(t, d, 3, &report);
  if (status == MGRAD_OK) status = mgrad_trainer_table(t, 1, 1, &table);
  CHECK(status != MGRAD_OK || (done && table != NULL));
  mgrad_tensor_release(table);
  mgrad_dataset_release(d);
  return status;
}

/* A whole little training; NULL hash where memory failed on the way. */
static mgrad_status train(mgrad_context *ctx, uint64_t *hash) {
  mgrad_layer *l = net(ctx, 4, 1);
  mgrad_optimizer *adam = NULL;
  mgrad_tensor *x = NULL, *y = NULL, *weight = NULL;
  mgrad_trainer *t = NULL;
  mgrad_status status = l == NULL ? MGRAD_NOMEM : MGRAD_OK;
  if (status == MGRAD_OK) {
    status = mgrad_optimizer_new(ctx, mgrad_optimizer_def_find("adam"), NULL, NULL, &adam);
  }
  if (status == MGRAD_OK) {
    status = mgrad_tensor_random(ctx, MGRAD_NORMAL, 2, (int64_t[]){ 4, 3 }, &x);
  }
  if (status == MGRAD_OK) status = mgrad_tensor_full(ctx, 2, (int64_t[]){ 4, 1 }, 1, &y);
  if (status == MGRAD_OK) status = mgrad_tensor_full(ctx, 1, (int64_t[]){ 2 }, 2, &weight);
  if (status == MGRAD_OK) {
    mgrad_trainer_options o = { .net = l, .optimizer = adam, .class_weight = weight,
                                .loss = mgrad_op_find("bce_with_logits"),
                                .nmetrics = 2, .metrics = { { "r2" }, { "confusion" } } };
    status = mgrad_trainer_new(ctx, &o, &t);
  }
  double loss;
  for (int i = 0; i < 3 && status == MGRAD_OK; i++) status = mgrad_trainer_step(t, x, y, &loss);
  if (status == MGRAD_OK) status = train_more(ctx, t, x, y);
  if (status == MGRAD_OK) *hash = mgrad_layer_hash(l);
  mgrad_trainer_release(t);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_tensor_release(weight);
  mgrad_optimizer_release(adam);
  mgrad_layer_release(l);
  return status;
}

static void test_failing(bool persistent) {
  test(persistent ? "memory that runs out at any allocation for good leaks nothing"
                  : "any single failed allocation leaks nothing, and a retry succeeds");
  uint64_t wanted = 0, hash = 0, total;
  counter c = { 0 };
  mgrad_context *ctx = mgrad_context_new(counted, &c);
  OK(train(ctx, &wanted));
  total = c.calls;
  mgrad_context_release(ctx);
  CHECK(total > 50);
  uint64_t refused = 0;
  for (uint64_t k = 2; k <= total && !check_bad; k++) {
    counter failing = { .fail_at = k, .persistent = persistent };
    ctx = mgrad_context_new(counted, &failing);
    mgrad_status status = train(ctx, &hash);
    /* without memory for a plan the steps go on op by op, to the same end */
    CHECK(status == MGRAD_NOMEM || (status == MGRAD_OK && hash == wanted));
    refused += status == MGRAD_NOMEM;
    SAYS(ctx, "not enough memory");
    CHECK(mgrad_memory_used(ctx) == 0);
    failing.fail_at = 0;
    mgrad_seed(ctx, 0);
    OK(train(ctx, &hash));
    CHECK(hash == wanted);
    mgrad_context_release(ctx);
    CHECK(failing.used == 0);
  }
  CHECK(refused > total / 2);
}

/* Calls its part, and once more where there was no memory. */
static mgrad_status stubborn(void *ud, mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  (void)l;
  mgrad_status status = mgrad_layer_forward(ud, x, y);
  return status == MGRAD_NOMEM ? mgrad_layer_forward(ud, x, y) : status;
}

static void test_stubborn(void) {
  test("what is built once more, for want of memory, has the same numbers");
  uint64_t hash = 0;
  for (uint64_t k = 0; k < 40; k++) { /* of the 0th none fails */
    counter c = { 0 };
    mgrad_context *ctx = mgrad_context_new(counted, &c);
    mgrad_layer *outer = NULL, *part = dense(ctx, 4);
    mgrad_tensor *x = tensor(ctx, 2, 1, 3, 1), *y = NULL;
    OK(mgrad_layer_custom(ctx, "stubborn", stubborn, part, &outer));
    OK(mgrad_layer_add(outer, "part", part));
    if (k > 0) c.fail_at = c.calls + k;
    if (mgrad_layer_forward(outer, x, &y) == MGRAD_OK) {
      if (k == 0) hash = mgrad_layer_hash(part);
      CHECK(mgrad_layer_hash(part) == hash);
    }
    mgrad_tensor_release(y);
    mgrad_tensor_release(x);
    mgrad_layer_release(outer);
    mgrad_layer_release(part);
    mgrad_context_release(ctx);
  }
}

static void test_steps(mgrad_context *ctx) {
  test("a loss that is no number names the layer and touches no weight");
  mgrad_layer *l = net(ctx, 4, 1);
  mgrad_optimizer *sgd;
  mgrad_trainer *t;
  OK(mgrad_optimizer_new(ctx, mgrad_optimizer_def_find("sgd"), NULL, NULL, &sgd));
  mgrad_trainer_options o = { .net = l, .optimizer = sgd, .loss = mgrad_op_find("mse") };
  OK(mgrad_trainer_new(ctx, &o, &t));
  mgrad_tensor *x = tensor(ctx, 2, 2, 3, 1), *y = tensor(ctx, 2, 2, 1, 0);
  double loss;
  OK(mgrad_trainer_step(t, x, y, &loss));
  uint64_t before = mgrad_layer_hash(l);
  mgrad_tensor_fill(x, sizeof(mgrad_real) == 4 ? 1e38 : 1e308);
  CHECK(mgrad_trainer_step(t, x, y, &loss) == MGRAD_NONFINITE);
  SAYS(ctx, "no weight was changed");
  CHECK(mgrad_layer_hash(l) == before);
  mgrad_tensor_fill(x, NAN);
  CHECK(mgrad_trainer_step(t, x, y, &loss) == MGRAD_NONFINITE);
  SAYS(ctx, "dense (layer 1 of sequential)");
  CHECK(mgrad_layer_hash(l) == before);
  mgrad_trainer_release(t);
  mgrad_optimizer_release(sgd);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_layer_release(l);
}

static void test_ignored(mgrad_context *ctx) {
  test("metrics leave out the rows that the loss ignores");
  mgrad_layer *l = net(ctx, 4, 3);
  mgrad_optimizer *sgd;
  mgrad_trainer *t;
  mgrad_dataset *d;
  mgrad_report r;
  const mgrad_op *loss = mgrad_op_find("cross_entropy");
  mgrad_op_info info;
  mgrad_attrs attrs;
  mgrad_op_describe(loss, &info);
  mgrad_attrs_default(info.attrs, &attrs);
  for (int i = 0; info.attrs[i].name != NULL; i++) {
    if (strcmp(info.attrs[i].name, "ignore") == 0) attrs.value[i] = 2;
  }
  OK(mgrad_optimizer_new(ctx, mgrad_optimizer_def_find("sgd"), NULL, NULL, &sgd));
  mgrad_trainer_options o = { .net = l, .optimizer = sgd, .loss = loss, .loss_attrs = &attrs,
                              .nmetrics = 2, .metrics = { { "accuracy" }, { "confusion" } } };
  OK(mgrad_trainer_new(ctx, &o, &t));
  mgrad_tensor *x = tensor(ctx, 2, 4, 3, 1), *y = tensor(ctx, 1, 4, 0, 0), *table;
  mgrad_tensor_write(y, (mgrad_real[]){ 2, 2, 3, 2 });
  mgrad_source xs = { .tensor = x }, ys = { .tensor = y };
  OK(mgrad_dataset_new(ctx, &xs, &ys, &d));
  OK(mgrad_trainer_evaluate(t, d, 3, &r));
  CHECK(r.metric[0] == 0 || r.metric[0] == 1); /* of one row */
  OK(mgrad_trainer_table(t, 1, 1, &table));
  mgrad_real counts[9], sum = 0;
  mgrad_tensor_read(table, counts);
  for (int i = 0; i < 9; i++) sum += counts[i];
  CHECK(sum == 1);
  mgrad_tensor_release(table);
  mgrad_dataset_release(d);
  mgrad_trainer_release(t);
  mgrad_optimizer_release(sgd);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_layer_release(l);
}

/* The first weight of a net after one update by the sum over 'n' batches of 4 / n. */
static double summed(mgrad_context *ctx, int n) {
  mgrad_attrs attrs = { .value = { 1 } }; /* reduction: sum */
  mgrad_layer *l = net(ctx, 4, 1);
  mgrad_optimizer *sgd;
  mgrad_trainer *t;
  double loss;
  OK(mgrad_optimizer_new(ctx, mgrad_optimizer_def_find("sgd"), NULL, NULL, &sgd));
  mgrad_trainer_options o = { .net = l, .optimizer = sgd, .loss = mgrad_op_find("mse"),
                              .loss_attrs = &attrs };
  OK(mgrad_trainer_new(ctx, &o, &t));
  OK(mgrad_trainer_accumulate(t, n));
  mgrad_tensor *x = tensor(ctx, 2, 4 / n, 3, 1), *y = tensor(ctx, 2, 4 / n, 1, 0);
  OK(mgrad_layer_build(l, 2, (int64_t[]){ 1, 3 }));
  OK(mgrad_init_fill(mgrad_init_find("ones"), mgrad_layer_part(mgrad_layer_part(l, 0).layer,
                                                               0).tensor));
  OK(mgrad_init_fill(mgrad_init_find("ones"), mgrad_layer_part(mgrad_layer_part(l, 1).layer,
                                                               0).tensor));
  for (int i = 0; i < n; i++) OK(mgrad_trainer_step(t, x, y, &loss));
  double w = (double)mgrad_tensor_array(mgrad_layer_part(mgrad_layer_part(l, 0).layer,
                                                         0).tensor)->data[0];
  mgrad_trainer_release(t);
  mgrad_optimizer_release(sgd);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_layer_release(l);
  return w;
}

static void test_accumulate(mgrad_context *ctx) {
  test("batches that share an update are summed where the loss is a sum");
  double whole = summed(ctx, 1);
  NEAR(whole, 1 - 1e-3 * 4 * 2 * 12, 1e-6); /* 4 examples, each 12 off the target */
  NEAR(summed(ctx, 2), whole, 1e-6);
  NEAR(summed(ctx, 4), whole, 1e-6);
}

int main(void) {
  mgrad_context *ctx = mgrad_context_new(NULL, NULL);
  test_memory();
  test_shapes(ctx);
  test_random();
  test_finite();
  test_graph(ctx);
  test_layers(ctx);
  test_further(ctx);
  test_steps(ctx);
  test_ignored(ctx);
  test_accumulate(ctx);
  test_failing(false);
  test_failing(true);
  test_stubborn();
  test_chain(ctx);
  test("nothing is left allocated");
  CHECK(mgrad_memory_used(ctx) == 0);
  mgrad_context_release(ctx);
  return check_report("core");
}
