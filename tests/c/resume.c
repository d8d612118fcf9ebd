/*
** resume.c - facts about the state of a trainer that Lua does not show: it is taken whole
** or not at all, whatever fails and whatever it holds.
*/
#include "check.h"
#include "dense.h"
#include "../../core/trainer.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 64, LENGTH = 80, NUMBERS = 16 };

/* A state in memory of the test. */
typedef struct kept {
  int n;
  mgrad_item items[MOST];
  char names[MOST][LENGTH], texts[MOST][LENGTH];
  double numbers[MOST][NUMBERS];
} kept;

static void copy_text(char *to, const char *text) {
  strncpy(to, text, LENGTH - 1);
  to[LENGTH - 1] = '\0';
}

static mgrad_status keep(void *ud, const mgrad_item *item) {
  kept *k = ud;
  int i = k->n++;
  mgrad_item *to = &k->items[i];
  copy_text(k->names[i], item->name);
  *to = (mgrad_item){ .name = k->names[i], .count = item->count };
  const mgrad_array *a = item->tensor != NULL ? mgrad_tensor_array(item->tensor) : item->array;
  if (a != NULL) {
    mgrad_tensor *t = NULL;
    mgrad_context *ctx = mgrad_context_new(NULL, NULL); /* memory of its own */
    OK(mgrad_tensor_new(ctx, a->ndim, a->size, &t));
    OK(mgrad_tensor_write(t, a->data));
    mgrad_context_release(ctx);
    to->tensor = t;
  } else if (item->numbers != NULL) {
    memcpy(k->numbers[i], item->numbers, (size_t)item->count * sizeof(double));
    to->numbers = k->numbers[i];
  } else {
    copy_text(k->texts[i], item->text);
    to->text = k->texts[i];
  }
  return MGRAD_OK;
}

static void forget(kept *k) {
  for (int i = 0; i < k->n; i++) mgrad_tensor_release(k->items[i].tensor);
  k->n = 0;
}

static mgrad_item *find(kept *k, const char *name) {
  for (int i = 0; i < k->n; i++) {
    if (strcmp(k->names[i], name) == 0) return &k->items[i];
  }
  CHECK(!"there is such an item");
  return &k->items[0];
}

/* ---- a trainer ---- */

typedef struct scene {
  mgrad_context *ctx;
  mgrad_layer *net;
  mgrad_optimizer *optimizer;
  mgrad_trainer *trainer;
  mgrad_dataset *data;
} scene;

static mgrad_dataset *examples(mgrad_context *ctx) {
  mgrad_source x = { 0 }, y = { 0 };
  mgrad_dataset *d = NULL;
  mgrad_seed(ctx, 5);
  OK(mgrad_tensor_random(ctx, MGRAD_NORMAL, 2, (int64_t[]){ 7, 3 }, &x.tensor));
  OK(mgrad_tensor_random(ctx, MGRAD_NORMAL, 2, (int64_t[]){ 7, 2 }, &y.tensor));
  OK(mgrad_dataset_new(ctx, &x, &y, &d));
  mgrad_tensor_release(x.tensor);
  mgrad_tensor_release(y.tensor);
  return d;
}

static scene open_scene(double out) {
  scene s = { .ctx = mgrad_context_new(NULL, NULL) };
  s.data = examples(s.ctx);
  mgrad_layer_new(s.ctx, mgrad_layer_def_find("sequential"), NULL, &s.net);
  for (int i = 0; i < 2; i++) {
    mgrad_layer *l = dense(s.ctx, i == 0 ? out : 2);
    OK(mgrad_layer_add(s.net, NULL, l));
    mgrad_layer_release(l);
  }
  OK(mgrad_optimizer_new(s.ctx, mgrad_optimizer_def_find("adam"), NULL, NULL, &s.optimizer));
  mgrad_trainer_options o = { .net = s.net, .optimizer = s.optimizer,
                              .loss = mgrad_op_find("mse"), .nmetrics = 1,
                              .metrics = { { .name = "r2" } } };
  OK(mgrad_trainer_new(s.ctx, &o, &s.trainer));
  return s;
}

static void close_scene(scene *s) {
  mgrad_trainer_release(s->trainer);
  mgrad_optimizer_release(s->optimizer);
  mgrad_layer_release(s->net);
  mgrad_dataset_release(s->data);
  CHECK(mgrad_memory_used(s->ctx) == 0);
  mgrad_context_release(s->ctx);
}

static void run(scene *s, int64_t steps) {
  mgrad_run r = { .steps = steps };
  mgrad_report report;
  int done;
  OK(mgrad_trainer_run(s->trainer, &r, &report, &done));
}

/* A trainer in the middle of an epoch, two batches into an update of three. */
static void begin(scene *s) {
  OK(mgrad_trainer_accumulate(s->trainer, 3));
  OK(mgrad_trainer_begin(s->trainer, s->data, 2, 3, 1));
  run(s, 6);
}

/* ---- facts ---- */

static void test_memory(void) {
  test("a state is taken whole or not at all, wherever memory fails");
  scene from = open_scene(4);
  kept k = { 0 };
  begin(&from);
  OK(mgrad_trainer_state(from.trainer, keep, &k));
  run(&from, 5);
  for (int built = 0; built < 2; built++) {
    scene to = open_scene(4);
    if (built) OK(mgrad_layer_build(to.net, 2, (int64_t[]){ 1, 3 }));
    int failures = 0;
    for (size_t room = 0;; room += 8) {
      uint64_t hash = mgrad_layer_hash(to.net), stream = to.ctx->stream;
      bool was_built = to.net->complete;
      mgrad_limit_set(to.ctx, MGRAD_LIMIT_MEMORY, mgrad_memory_used(to.ctx) + room + 1);
      mgrad_status status = mgrad_trainer_restore(to.trainer, k.items, k.n);
      mgrad_limit_set(to.ctx, MGRAD_LIMIT_MEMORY, 0);
      if (status == MGRAD_OK) break;
      failures++;
      CHECK(status == MGRAD_NOMEM);
      CHECK(!to.trainer->waiting && to.trainer->accumulate == 1);
      CHECK(mgrad_optimizer_steps(to.optimizer) == 0);
      if (was_built) CHECK(mgrad_layer_hash(to.net) == hash && to.ctx->stream == stream);
      if (room > 1 << 20) break;
    }
    CHECK(failures > 3);
    OK(mgrad_trainer_resume(to.trainer, to.data, 3));
    run(&to, 5);
    CHECK(mgrad_layer_hash(to.net) == mgrad_layer_hash(from.net));
    CHECK(to.ctx->stream == from.ctx->stream && to.ctx->seed == from.ctx->seed);
    close_scene(&to);
  }
  forget(&k);
  close_scene(&from);
}

static void refused(scene *s, kept *k, const char *says) {
  uint64_t hash = mgrad_layer_hash(s->net);
  CHECK(mgrad_trainer_restore(s->trainer, k->items, k->n) == MGRAD_INVALID);
  if (strstr(mgrad_error(s->ctx), says) == NULL) {
    printf("    error is: %s\n", mgrad_error(s->ctx));
    CHECK(!"the error says what is wrong");
  }
  CHECK(mgrad_layer_hash(s->net) == hash && mgrad_optimizer_steps(s->optimizer) == 2);
}

static void test_claim(void) {
  test("an input that is only claimed costs no memory");
  scene from = open_scene(4), to = open_scene(4);
  kept k = { 0 };
  begin(&from);
  OK(mgrad_trainer_state(from.trainer, keep, &k));
  mgrad_limit_set(to.ctx, MGRAD_LIMIT_MEMORY, (size_t)1 << 40);
  find(&k, "input")->numbers = (double[]){ 1, 1e8 };
  CHECK(mgrad_trainer_restore(to.trainer, k.items, k.n) == MGRAD_INVALID);
  SAYS(to.ctx, "much larger than its weights");
  CHECK(mgrad_memory_peak(to.ctx) < 32 << 20);
  CHECK(mgrad_limit_get(to.ctx, MGRAD_LIMIT_MEMORY) == (uint64_t)1 << 40);
  forget(&k);
  close_scene(&from);
  close_scene(&to);
}

/* Values that no trainer writes, one at a time. */
static void test_values(void) {
  test("values that make no sense are refused, each with a sentence");
  static const struct { const char *name, *text, *says; } wrong[] = {
    { "run/at", "8", "no place in a run" }, { "run/at", "-1", "no place in a run" },
    { "run/count", "0", "no place in a run" }, { "run/epoch", "4", "no place in a run" },
    { "run/batch", "0", "no place in a run" }, { "run/epochs", "x", "no whole number" },
    { "run/epoch", "9223372036854775808", "no whole number" }, { "run/epoch", "", "no whole" },
    { "gathered", "3", "make no sense" }, { "accumulate", "0", "make no sense" },
    { "optimizer/steps", "-2", "make no sense" }, { "optimizer", "sgd", "is \"sgd\"" },
    { "optimizer/scheduled", "1", "follows a schedule" }, { "run/shuffle", "-", "no whole" },
    { "gathered", "-1", "make no sense" }, { "run/epoch", " 1", "no whole number" },
    { "run/examples", "-1", "no place in a run" }, { "run/epoch", "-1", "no place in a run" },
  };
  scene s = open_scene(4);
  kept k = { 0 };
  begin(&s);
  OK(mgrad_trainer_state(s.trainer, keep, &k));
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    mgrad_item *item = find(&k, wrong[i].name), right = *item;
    item->text = wrong[i].text;
    refused(&s, &k, wrong[i].says);
    *item = right;
  }
  static const char *const lists[] = { "run/metric/r2", "optimizer/lr", "optimizer/weight",
                                       "run/loss", "input" };
  for (int i = 0; i < 5; i++) {
    mgrad_item *item = find(&k, lists[i]), right = *item;
    item->count = 9; /* there are so many, but none of it can have them */
    refused(&s, &k, i == 0 ? "metrics" : i == 4 ? "no shape" : "numbers");
    *item = right;
    item->numbers = (double[]){ -1, -1, -1, -1, -1, -1, -1 };
    if (i == 1 || i == 2 || i == 4) refused(&s, &k, "");
    item->numbers = (double[]){ INFINITY, 1e16, 1, 1, 1, 1, 1 };
    if (i == 1 || i == 2 || i == 4) refused(&s, &k, "");
    item->numbers = NULL;
    refused(&s, &k, "");
    *item = right;
  }
  mgrad_item *input = find(&k, "input"), before = *input;
  input->count = 8; /* more numbers than there are */
  input->numbers = (double[]){ 1e15, 1e15, 1e15, 1e15, 1e15, 1e15, 1e15, 1e15 };
  refused(&s, &k, "");
  *input = before;
  OK(mgrad_trainer_restore(s.trainer, k.items, k.n));
  forget(&k);
  close_scene(&s);
}

static void test_entries(void) {
  test("entries of another kind, missing ones and those that are there twice are refused");
  scene s = open_scene(4);
  kept k = { 0 };
  begin(&s);
  OK(mgrad_trainer_state(s.trainer, keep, &k));
  static const char *const kinds[] = { "0.weight", "accumulate", "optimizer/gathered/0.weight" };
  for (int i = 0; i < 3; i++) { /* of another kind, or another shape */
    mgrad_item *item = find(&k, kinds[i]), right = *item;
    *item = (mgrad_item){ .name = right.name, .text = i == 0 ? "1" : NULL,
                          .tensor = i == 0 ? NULL : find(&k, "1.bias")->tensor };
    refused(&s, &k, i == 0 ? "no tensor" : i == 1 ? "no text" : "is {2}");
    *item = right;
  }
  for (int i = 0; i < k.n; i++) { /* nothing may be left out, but what was gathered */
    mgrad_item *item = &k.items[i], right = *item;
    bool optional = strstr(item->name, "gathered/") != NULL || strcmp(item->name, "input") == 0;
    item->name = "other";
    refused(&s, &k, optional ? "\"other\", which is nothing" : "");
    *item = right;
  }
  OK(mgrad_trainer_restore(s.trainer, k.items, k.n));
  for (int i = 0; i < k.n; i++) { /* nor be there twice, of whatever kind */
    for (int text = 0; text < 2; text++) {
      k.items[k.n] = (mgrad_item){ .name = k.items[i].name, .text = text ? "1" : NULL,
                                   .tensor = text ? NULL : k.items[0].tensor };
      k.n++;
      refused(&s, &k, "twice");
      k.n--;
    }
  }
  forget(&k);
  close_scene(&s);
}

/* What is so before the first batch of a run. */
static void test_start(void) {
  test("a run that has not begun is taken in as such");
  scene s = open_scene(4), to = open_scene(4);
  kept k = { 0 };
  OK(mgrad_layer_build(s.net, 2, (int64_t[]){ 1, 3 }));
  OK(mgrad_trainer_begin(s.trainer, s.data, 2, 3, 1));
  OK(mgrad_trainer_state(s.trainer, keep, &k));
  OK(mgrad_layer_build(to.net, 2, (int64_t[]){ 1, 3 }));
  static const char *const wrong[] = { "run/epochs", "run/at", "run/count", "run/examples" };
  for (int i = 0; i < 4; i++) {
    mgrad_item *item = find(&k, wrong[i]), right = *item;
    item->text = i % 2 == 0 ? "0" : "3";
    CHECK(mgrad_trainer_restore(to.trainer, k.items, k.n) == MGRAD_INVALID);
    CHECK(strstr(mgrad_error(to.ctx), i < 3 ? "no place in a run" : "metrics") != NULL);
    *item = right;
  }
  mgrad_limit_set(to.ctx, MGRAD_LIMIT_MEMORY, (size_t)1 << 30);
  OK(mgrad_trainer_restore(to.trainer, k.items, k.n));
  forget(&k);
  close_scene(&s);
  close_scene(&to);
}

static mgrad_status own_metric(void *ud, mgrad_tensor *p, mgrad_tensor *y, double *value) {
  (void)ud, (void)p, (void)y;
  *value = 1;
  return MGRAD_OK;
}

/* Sums of a metric are as many as it may keep. */
static void test_metrics(void) {
  test("a metric of the host keeps one sum, one of a fixed number no other");
  scene s = open_scene(4), to = open_scene(4);
  kept k = { 0 };
  mgrad_trainer *trainers[2] = { NULL };
  for (int i = 0; i < 2; i++) {
    scene *own = i == 0 ? &s : &to;
    mgrad_trainer_options o = { .net = own->net, .optimizer = own->optimizer, .nmetrics = 2,
                                .loss = mgrad_op_find("mse"),
                                .metrics = { { "own", own_metric, NULL }, { .name = "mae" } } };
    OK(mgrad_layer_build(own->net, 2, (int64_t[]){ 1, 3 }));
    OK(mgrad_trainer_new(own->ctx, &o, &trainers[i]));
    mgrad_trainer_release(own->trainer);
    own->trainer = trainers[i];
  }
  begin(&s);
  OK(mgrad_trainer_state(s.trainer, keep, &k));
  for (int i = 0; i < 2; i++) {
    mgrad_item *item = find(&k, i == 0 ? "run/metric/own" : "run/metric/mae"), right = *item;
    item->count = 9;
    CHECK(mgrad_trainer_restore(to.trainer, k.items, k.n) == MGRAD_INVALID);
    SAYS(to.ctx, "metrics");
    *item = right;
  }
  OK(mgrad_trainer_restore(to.trainer, k.items, k.n));
  forget(&k);
  close_scene(&s);
  close_scene(&to);
}

static mgrad_status refuse_at(void *ud, const mgrad_item *item) {
  (void)item;
  return --*(int *)ud == 0 ? MGRAD_CALLBACK : MGRAD_OK;
}

static void test_out(void) {
  test("a host that refuses an item gets no further ones");
  scene s = open_scene(4);
  int n = 0, left;
  begin(&s);
  do left = ++n; while (mgrad_trainer_state(s.trainer, refuse_at, &left) == MGRAD_CALLBACK);
  CHECK(n > 20 && left == 1);
  for (n = 1; left = n, mgrad_optimizer_state(s.optimizer, refuse_at, &left) != MGRAD_OK;) n++;
  CHECK(n > 10);
  test("nothing is written or taken in while a layer is under way");
  for (int i = 0; i < 2; i++) {
    if (i == 0) s.ctx->frame = (void *)&s;
    else s.ctx->recorder = (void *)&s;
    CHECK(mgrad_trainer_state(s.trainer, refuse_at, &left) == MGRAD_INVALID);
    SAYS(s.ctx, "a layer is under way");
    CHECK(mgrad_trainer_restore(s.trainer, NULL, 0) == MGRAD_INVALID);
    s.ctx->frame = NULL;
    s.ctx->recorder = NULL;
  }
  close_scene(&s);
}

static void test_optimizer(void) {
  test("an optimizer alone is taken in, by the names of its parameters");
  scene a = open_scene(4), b = open_scene(4);
  kept k = { 0 };
  begin(&a);
  OK(mgrad_layer_build(b.net, 2, (int64_t[]){ 1, 3 }));
  OK(mgrad_optimizer_state(a.optimizer, keep, &k));
  CHECK(find(&k, "optimizer/square/1.bias")->tensor != NULL);
  k.items[k.n] = (mgrad_item){ .name = "other", .text = "" };
  CHECK(mgrad_optimizer_restore(b.optimizer, k.items, k.n + 1) == MGRAD_INVALID);
  SAYS(b.ctx, "which is nothing here");
  mgrad_limit_set(b.ctx, MGRAD_LIMIT_MEMORY, 1);
  CHECK(mgrad_optimizer_restore(b.optimizer, k.items, k.n) == MGRAD_NOMEM);
  mgrad_limit_set(b.ctx, MGRAD_LIMIT_MEMORY, 0);
  OK(mgrad_optimizer_restore(b.optimizer, k.items, k.n));
  CHECK(mgrad_optimizer_steps(b.optimizer) == 2);
  size_t bytes = (size_t)(a.optimizer->nstates * a.optimizer->numel) * sizeof(mgrad_real);
  CHECK(memcmp(a.optimizer->states, b.optimizer->states, bytes) == 0);
  forget(&k);
  close_scene(&a);
  close_scene(&b);
}

static void test_resume(void) {
  test("only a run that was taken in goes on, and with as many examples");
  scene s = open_scene(4);
  kept k = { 0 };
  begin(&s);
  CHECK(mgrad_trainer_resume(s.trainer, s.data, 3) == MGRAD_INVALID);
  SAYS(s.ctx, "there is no run to go on with");
  OK(mgrad_trainer_state(s.trainer, keep, &k));
  OK(mgrad_trainer_restore(s.trainer, k.items, k.n));
  mgrad_dataset *few = NULL;
  OK(mgrad_dataset_range(s.data, 1, 4, &few));
  CHECK(mgrad_trainer_resume(s.trainer, few, 3) == MGRAD_INVALID);
  SAYS(s.ctx, "have 4 examples");
  CHECK(mgrad_trainer_resume(s.trainer, s.data, 1) == MGRAD_INVALID);
  SAYS(s.ctx, "in epoch 2");
  mgrad_run r = { .steps = 1 };
  mgrad_report report;
  int done;
  CHECK(mgrad_trainer_run(s.trainer, &r, &report, &done) == MGRAD_INVALID);
  SAYS(s.ctx, "resume the run first");
  OK(mgrad_trainer_resume(s.trainer, s.data, 3));
  mgrad_dataset_release(few);
  forget(&k);
  close_scene(&s);
}

int main(void) {
  test_memory();
  test_claim();
  test_values();
  test_entries();
  test_start();
  test_metrics();
  test_out();
  test_optimizer();
  test_resume();
  return check_report("resume");
}
