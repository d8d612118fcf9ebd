/*
** tree.c - facts about layers in layers, and about plans, that Lua does not show.
*/
#include "check.h"
#include "dense.h"
#include "../../core/layer.h"

#include <stdlib.h>
#include <time.h>

/* What is freed is spoiled, so that a look at it does not go unnoticed. */
static void *spoiling(void *ud, void *p, size_t osize, size_t nsize) {
  (void)ud;
  if (nsize != 0) return malloc(nsize);
  if (p != NULL) memset(p, 0xDD, osize);
  free(p);
  return NULL;
}

static mgrad_tensor *full(mgrad_context *ctx, int64_t n, double v, int leaf) {
  mgrad_tensor *t = NULL;
  mgrad_tensor_full(ctx, 1, &n, v, &t);
  mgrad_tensor_require_grad(t, leaf);
  return t;
}

/* Adds a layer and hands it over. */
static void give(mgrad_layer *l, const char *name, mgrad_layer *child) {
  OK(mgrad_layer_add(l, name, child));
  mgrad_layer_release(child);
}

static mgrad_layer *sequential(mgrad_context *ctx, int n) {
  mgrad_layer *l = NULL;
  mgrad_layer_new(ctx, mgrad_layer_def_find("sequential"), NULL, &l);
  for (int i = 0; i < n; i++) give(l, NULL, dense(ctx, 3 + i));
  return l;
}

static mgrad_status same(void *ud, mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  (void)ud, (void)l;
  *y = mgrad_tensor_retain(x);
  return MGRAD_OK;
}

static mgrad_layer *custom(mgrad_context *ctx, mgrad_layer_fn fn, void *ud) {
  mgrad_layer *l = NULL;
  mgrad_layer_custom(ctx, "custom", fn, ud, &l);
  return l;
}

/* ---- parts ---- */

static void test_parts(mgrad_context *ctx) {
  test("a part may take its own place");
  mgrad_layer *l = sequential(ctx, 1), *holder = custom(ctx, same, NULL);
  OK(mgrad_layer_add(l, "0", mgrad_layer_part(l, 0).layer));
  CHECK(strcmp(mgrad_layer_kind(mgrad_layer_part(l, 0).layer), "dense") == 0);
  mgrad_tensor *t = full(ctx, 2, 1, 1);
  OK(mgrad_layer_add_tensor(holder, "w", t));
  mgrad_tensor_release(t);
  OK(mgrad_layer_add_tensor(holder, "w", mgrad_layer_part(holder, 0).tensor));
  CHECK(mgrad_tensor_numel(mgrad_layer_part(holder, 0).tensor) == 2);
  mgrad_layer_release(holder);
  mgrad_layer_release(l);

  test("a layer without a name takes no other one's place");
  l = sequential(ctx, 3);
  OK(mgrad_layer_remove(l, "0"));
  give(l, NULL, dense(ctx, 9));
  CHECK(mgrad_layer_part_count(l) == 3);
  CHECK(strcmp(mgrad_layer_part(l, 1).name, "2") == 0);
  mgrad_layer_release(l);

  test("a name that would read as that of a part's part is refused");
  holder = custom(ctx, same, NULL);
  l = dense(ctx, 2);
  t = full(ctx, 2, 1, 1);
  CHECK(mgrad_layer_add(holder, "a.b", l) == MGRAD_INVALID);
  SAYS(ctx, "custom: part \"a.b\" has a \".\" in its name");
  CHECK(mgrad_layer_add_tensor(holder, "a.b", t) == MGRAD_INVALID);
  CHECK(mgrad_layer_part_count(holder) == 0);
  mgrad_tensor_release(t);
  mgrad_layer_release(l);
  mgrad_layer_release(holder);
}

static mgrad_status measure_name(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)t, (void)buffer;
  *(size_t *)ud = strlen(name);
  return MGRAD_OK;
}

static mgrad_status count_tensor(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name, (void)t, (void)buffer;
  ++*(int *)ud;
  return MGRAD_OK;
}

static void test_names(mgrad_context *ctx) {
  test("the longest full name is whole");
  char name[MGRAD_NAME_SIZE];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  mgrad_layer *l = custom(ctx, same, NULL);
  mgrad_tensor *t = full(ctx, 1, 0, 1);
  OK(mgrad_layer_add_tensor(l, name, t));
  mgrad_tensor_release(t);
  size_t levels = 1, length = 0;
  for (; levels < 90; levels++) {
    mgrad_layer *outer = custom(ctx, same, NULL);
    give(outer, name, l);
    l = outer;
  }
  OK(mgrad_layer_visit(l, measure_name, &length));
  CHECK(length == levels * sizeof name - 1);
  mgrad_layer_release(l);
}

/* ---- blocks ---- */

static bool side_by_side(mgrad_layer *l, int n) {
  const mgrad_real *next = NULL;
  bool joined = true;
  for (int i = 0; i < n; i++) {
    mgrad_layer *child = mgrad_layer_part(l, i).layer;
    mgrad_tensor *both[] = { mgrad_layer_tensor(child, "weight"),
                             mgrad_layer_tensor(child, "bias") };
    for (int k = 0; k < 2; k++) {
      joined = joined && both[k] != NULL && (next == NULL || both[k]->a.data == next);
      if (joined) next = both[k]->a.data + mgrad_tensor_numel(both[k]);
    }
  }
  return joined;
}

static void forward(mgrad_layer *l, mgrad_tensor *x) {
  mgrad_tensor *y = NULL;
  OK(mgrad_layer_forward(l, x, &y));
  mgrad_tensor_release(y);
}

static void test_blocks(mgrad_context *ctx) {
  test("a layer that is called alone stays in its net's block");
  mgrad_layer *l = sequential(ctx, 3);
  mgrad_tensor *x;
  OK(mgrad_tensor_full(ctx, 2, (int64_t[]){ 2, 4 }, 1, &x));
  OK(mgrad_layer_build(l, 2, (int64_t[]){ 2, 3 }));
  CHECK(side_by_side(l, 3));
  uint64_t changes = ctx->changes;
  mgrad_layer *second = mgrad_layer_part(l, 2).layer; /* takes {n, 4} */
  forward(second, x);
  CHECK(side_by_side(l, 3));
  CHECK(ctx->changes == changes); /* plans of the net go on */
  mgrad_layer_release(l);

  test("what is added inside joins the block of the whole");
  l = sequential(ctx, 1);
  mgrad_layer *outer = NULL;
  mgrad_layer_new(ctx, mgrad_layer_def_find("sequential"), NULL, &outer);
  OK(mgrad_layer_add(outer, NULL, l));
  forward(outer, x);
  give(l, NULL, dense(ctx, 5));
  forward(outer, x);
  CHECK(side_by_side(l, 2));
  mgrad_layer_release(outer);
  mgrad_layer_release(l);
  mgrad_tensor_release(x);
}

static void test_clone(mgrad_context *ctx) {
  test("tensors that layers share are shared by their copies");
  mgrad_layer *l = custom(ctx, same, NULL), *a = custom(ctx, same, NULL), *copy = NULL;
  mgrad_tensor *t = full(ctx, 3, 2, 1);
  OK(mgrad_layer_add_tensor(l, "w", t));
  OK(mgrad_layer_add_tensor(a, "tied", t));
  give(l, "a", a);
  mgrad_tensor_release(t);
  OK(mgrad_layer_clone(l, &copy));
  int tensors = 0;
  OK(mgrad_layer_visit(copy, count_tensor, &tensors));
  CHECK(tensors == 1);
  mgrad_tensor *w = mgrad_layer_part(copy, 0).tensor;
  CHECK(w == mgrad_layer_part(mgrad_layer_part(copy, 1).layer, 0).tensor);
  CHECK(w != mgrad_layer_part(l, 0).tensor && w->a.data[2] == 2);
  CHECK(mgrad_layer_hash(copy) == mgrad_layer_hash(l));
  mgrad_layer_release(copy);
  mgrad_layer_release(l);
}

static mgrad_status count_free(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name;
  *(int *)ud += !buffer && mgrad_tensor_requires_grad(t);
  return MGRAD_OK;
}

static void test_frozen(mgrad_context *ctx) {
  test("what a frozen layer builds inside itself is frozen");
  mgrad_attrs attrs;
  const mgrad_layer_def *def = mgrad_layer_def_find("transformer_block");
  mgrad_attrs_default(def->attrs, &attrs);
  attrs.value[0] = 2;
  mgrad_layer *l = NULL;
  OK(mgrad_layer_new(ctx, def, &attrs, &l));
  mgrad_layer_freeze(l, 1);
  OK(mgrad_layer_build(l, 3, (int64_t[]){ 1, 3, 4 }));
  int tensors = 0, open = 0;
  OK(mgrad_layer_visit(l, count_tensor, &tensors));
  OK(mgrad_layer_visit(l, count_free, &open));
  CHECK(tensors > 2 && open == 0);
  mgrad_layer_release(l);
}

/* ---- plans ---- */

/* Picks rows of x by the ids in it, which must be whole. */
static mgrad_status pick(void *ud, mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  (void)ud;
  mgrad_attrs n = { .value = { 4 } };
  return mgrad_apply(&mgrad_op_one_hot, l->ctx, &x, 1, &n, y);
}

static void test_errors(mgrad_context *ctx) {
  test("a prediction that is replayed names the layer that refuses");
  mgrad_layer *l = sequential(ctx, 0), *child = custom(ctx, pick, NULL);
  mgrad_layer_set_pure(child, 1);
  give(l, NULL, child);
  mgrad_tensor *x = full(ctx, 3, 2, 0), *y = NULL;
  for (int i = 0; i < 3; i++) {
    OK(mgrad_layer_predict(l, x, &y));
    mgrad_tensor_release(y);
  }
  OK(mgrad_tensor_fill(x, 9));
  CHECK(mgrad_layer_predict(l, x, &y) == MGRAD_INVALID);
  SAYS(ctx, "custom (layer 1 of sequential): one_hot: ids[1] is 9");
  mgrad_tensor_release(x);
  mgrad_layer_release(l);
}

/* Many ops one after the other whose results grow, as attention to all that was read. */
static mgrad_status chain(void *ud, mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y) {
  mgrad_tensor *now = mgrad_tensor_retain(x), *w = mgrad_layer_tensor(l, "w");
  for (int i = 0; i < *(int *)ud; i++) {
    mgrad_tensor *next, *both[] = { now, w };
    mgrad_status status = mgrad_apply(i % 2 ? &mgrad_op_tanh : &mgrad_op_cat, l->ctx, both,
                                      i % 2 ? 1 : 2, NULL, &next);
    mgrad_tensor_release(now);
    if (status != MGRAD_OK) return status;
    now = next;
  }
  *y = now;
  return MGRAD_OK;
}

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void test_long(mgrad_context *ctx) {
  test("a step of thousands of ops is laid out in seconds");
  int ops = 4000;
  mgrad_layer *l = custom(ctx, chain, &ops);
  mgrad_tensor *w = full(ctx, 1, 0.9, 1), *x = full(ctx, 5, 1, 0);
  OK(mgrad_layer_add_tensor(l, "w", w));
  forward(l, x);
  mgrad_recorder r;
  mgrad_tensor *y, *loss;
  mgrad_record_begin(&r, ctx);
  OK(mgrad_layer_forward(l, x, &y));
  OK(mgrad_apply(&mgrad_op_sum, ctx, &y, 1, NULL, &loss));
  mgrad_record_end(&r);
  r.spoiled = false; /* the chain does nothing but ops */
  mgrad_plan *plan = NULL;
  mgrad_plan_ends ends = { .x = x, .prediction = y, .loss = loss };
  double before = seconds();
  OK(mgrad_plan_new(&r, &ends, &plan));
  double took = seconds() - before;
  if (took > 5) printf("    it took %.2f s\n", took);
  CHECK(took < 5);
  mgrad_plan_release(plan);
  mgrad_record_free(&r);
  mgrad_tensor_release(loss);
  mgrad_tensor_release(y);
  mgrad_tensor_release(x);
  mgrad_tensor_release(w);
  mgrad_layer_release(l);
}

int main(void) {
  mgrad_context *ctx = mgrad_context_new(spoiling, NULL);
  test_parts(ctx);
  test_names(ctx);
  test_blocks(ctx);
  test_clone(ctx);
  test_frozen(ctx);
  test_errors(ctx);
  test_long(ctx);
  test("nothing is left allocated");
  CHECK(mgrad_memory_used(ctx) == 0);
  mgrad_context_release(ctx);
  return check_report("tree");
}
