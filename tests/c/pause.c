/*
** pause.c - facts about runs that leave a batch in its middle: wherever that is, the bits
** are those of a run that never does, and until the batch is whole all is as before it.
*/
#include "../../core/trainer.h"
#include "check.h"
#include "nets.h"

/* A clock that is asked before each piece of work. */
typedef struct asking {
  int64_t n, at; /* questions so far; the one that it says yes to, 0 = all of them */
} asking;

static int over(void *ud) {
  asking *a = ud;
  ctx->pool->left = 0;
  return ++a->n == a->at || a->at == 0;
}

/* ---- all kinds of models ---- */

static uint64_t trained(const model *m, const mgrad_run *run) {
  mgrad_seed(ctx, 3);
  mgrad_layer *net = net_of(m);
  mgrad_tensor *x = numbers(MGRAD_NORMAL, 2, m->rows, m->in), *y = target_of(m);
  train(m, net, x, y, run);
  uint64_t hash = mgrad_layer_hash(net);
  mgrad_tensor_release(x);
  mgrad_tensor_release(y);
  mgrad_layer_release(net);
  return hash;
}

static void test_models(void) {
  pure = 1;
  for (int i = 0; i < MODELS; i++) {
    const model *m = &models[i];
    test(m->name);
    uint64_t whole = trained(m, &(mgrad_run){ 0 });
    for (int threads = 1; threads <= 3; threads++) {
      asking a = { 0 };
      OK(mgrad_threads_set(ctx, threads));
      CHECK(trained(m, &(mgrad_run){ .expired = over, .ud = &a, .pauses = 1 }) == whole);
      CHECK(a.n > 20 || strcmp(m->optimizer, "lbfgs") == 0);
    }
    OK(mgrad_threads_set(ctx, 1));
  }
}

/* ---- what is seen meanwhile ---- */

enum { ROWS = 24, IN = 9, BATCH = 8, EPOCHS = 3, BATCHES = ROWS / BATCH * EPOCHS };

#define SMALL                                                                    \
  { { "dense", 12, "relu" }, { "batchnorm", 1e-5 }, { "dropout", 0.3 }, { "dense", 3 } }
static const model small = { "small", "cross_entropy", "adam", { { "lr", 0.01 } }, ROWS, IN, 3,
                             1, SMALL };
static const model solved = { "solved", "cross_entropy", "lbfgs",
                              { { "max_iter", 3 }, { "history", 4 } }, ROWS, IN, 3,
                              1, SMALL };

typedef struct scene {
  mgrad_layer *net;
  mgrad_optimizer *optimizer;
  mgrad_trainer *trainer;
  mgrad_dataset *data;
} scene;

static scene open_scene(const model *m) {
  mgrad_seed(ctx, 3);
  scene s = { .net = net_of(m), .optimizer = optimizer_of(m) };
  mgrad_source x = { .tensor = numbers(MGRAD_NORMAL, 2, ROWS, IN) };
  mgrad_source y = { .tensor = target_of(m) };
  mgrad_trainer_options o = { .net = s.net, .optimizer = s.optimizer,
                              .loss = mgrad_op_find("cross_entropy"), .nmetrics = 2,
                              .metrics = { { .name = "accuracy" }, { .name = "confusion" } } };
  OK(mgrad_trainer_new(ctx, &o, &s.trainer));
  OK(mgrad_dataset_new(ctx, &x, &y, &s.data));
  OK(mgrad_trainer_begin(s.trainer, s.data, BATCH, EPOCHS, 1));
  mgrad_tensor_release(x.tensor);
  mgrad_tensor_release(y.tensor);
  return s;
}

static void close_scene(scene *s) {
  mgrad_trainer_release(s->trainer);
  mgrad_optimizer_release(s->optimizer);
  mgrad_layer_release(s->net);
  mgrad_dataset_release(s->data);
  CHECK(mgrad_memory_used(ctx) == 0);
}

/* What a host can see of a run. */
typedef struct sight {
  uint64_t hash; /* of weights and buffers */
  int64_t batches, steps, examples;
  double loss, accuracy, counts;
} sight;

static sight look(scene *s) {
  mgrad_report r;
  mgrad_tensor *table = NULL;
  int64_t epoch, at;
  mgrad_trainer_position(s->trainer, &epoch, &at);
  mgrad_trainer_progress(s->trainer, &r);
  OK(mgrad_trainer_table(s->trainer, 1, 0, &table));
  sight seen = { mgrad_layer_hash(s->net), (epoch - 1) * ROWS / BATCH + at / BATCH,
                 mgrad_optimizer_steps(s->optimizer), r.examples, r.loss, r.metric[0], 0 };
  for (int i = 0; table != NULL && i < 9; i++)
    seen.counts += (i + 1) * (double)mgrad_tensor_array(table)->data[i];
  mgrad_tensor_release(table);
  return seen;
}

static bool alike(sight a, sight b) {
  bool begins = a.examples == 0 || b.examples == 0; /* of an epoch, the sums are its own */
  return a.hash == b.hash && a.batches == b.batches && a.steps == b.steps &&
         (begins || (a.examples == b.examples && a.loss == b.loss &&
                     a.accuracy == b.accuracy && a.counts == b.counts));
}

static bool any_gradient(const scene *s) {
  bool any = false;
  for (int i = 0; i < s->optimizer->nparams; i++)
    any = any || mgrad_tensor_grad(s->optimizer->params[i].t) != NULL;
  return any;
}

static int run_on(scene *s, const mgrad_run *run) {
  mgrad_report report;
  int done = 0;
  OK(mgrad_trainer_run(s->trainer, run, &report, &done));
  return done;
}

/* What is seen before and after each batch of a run without pauses. */
static void look_at_all(const model *m, sight seen[BATCHES + 1]) {
  scene s = open_scene(m);
  seen[0] = (sight){ .hash = mgrad_layer_hash(s.net) };
  for (int i = 1; i <= BATCHES; i++) {
    run_on(&s, &(mgrad_run){ .steps = 1 });
    seen[i] = look(&s);
  }
  close_scene(&s);
}

static void test_sight(void) {
  test("a run may stop at any of its questions: all is as after the batch before");
  sight seen[BATCHES + 1];
  look_at_all(&small, seen);
  int64_t pauses = 0;
  for (asking a = { 1, 1 }; a.n >= a.at - 1; a.at++) { /* until it is not asked so often */
    scene s = open_scene(&small);
    a.n = 0;
    ctx->pool->left = 0;
    int done = run_on(&s, &(mgrad_run){ .expired = over, .ud = &a, .pauses = 1 });
    sight now = look(&s);
    CHECK(alike(now, seen[now.batches]));
    if (s.trainer->begun.plan != NULL) {
      pauses++;
      CHECK(any_gradient(&s) == (now.batches > 0 && !s.trainer->begun.judged));
    }
    if (!done) run_on(&s, &(mgrad_run){ 0 });
    CHECK(look(&s).hash == seen[BATCHES].hash);
    close_scene(&s);
  }
  CHECK(pauses > 100);
}

/* ---- what comes in between ---- */

static int at_once(void *ud) { return *(int *)ud; }

static void test_interrupt(void) {
  test("a batch that is interrupted after a pause is done again, with the same numbers");
  sight seen[BATCHES + 1];
  look_at_all(&small, seen);
  for (int pauses = 1; pauses < 40; pauses += 3) {
    scene s = open_scene(&small);
    asking a = { 0 };
    int stop = 1, done;
    mgrad_report report;
    run_on(&s, &(mgrad_run){ .steps = 2 });
    for (int i = 0; i < pauses; i++) {
      ctx->pool->left = 0;
      run_on(&s, &(mgrad_run){ .expired = over, .ud = &a, .pauses = 1 });
    }
    sight before = look(&s);
    ctx->pool->left = 0;
    mgrad_interrupt(ctx, at_once, &stop);
    CHECK(mgrad_trainer_run(s.trainer, &(mgrad_run){ 0 }, &report, &done) == MGRAD_INTERRUPTED);
    mgrad_interrupt(ctx, NULL, NULL);
    CHECK(alike(before, look(&s)));
    run_on(&s, &(mgrad_run){ 0 });
    CHECK(look(&s).hash == seen[BATCHES].hash);
    close_scene(&s);
  }
}

/* Interrupts at the question after 'left' of them, and has each piece of work ask. */
static int stops(void *ud) {
  ctx->pool->left = 0;
  return (*(int *)ud)-- <= 0;
}

static void test_solver(void) {
  test("a step of many evaluations that is interrupted is done again, with all it remembers");
  sight seen[BATCHES + 1];
  int questions = 0;
  look_at_all(&solved, seen);
  for (int stopped = 1; stopped; questions++) {
    scene s = open_scene(&solved);
    int left = questions, done;
    mgrad_report report;
    run_on(&s, &(mgrad_run){ .steps = 5 });
    ctx->pool->left = 0;
    mgrad_interrupt(ctx, stops, &left);
    mgrad_run run = { .steps = 1 };
    mgrad_status status = mgrad_trainer_run(s.trainer, &run, &report, &done);
    mgrad_interrupt(ctx, NULL, NULL);
    stopped = status == MGRAD_INTERRUPTED;
    CHECK(alike(look(&s), seen[stopped ? 5 : 6]));
    run_on(&s, &(mgrad_run){ 0 });
    CHECK(look(&s).hash == seen[BATCHES].hash);
    close_scene(&s);
  }
  CHECK(questions > 5);
}

static void test_steady(void) {
  test("pauses allocate nothing");
  scene s = open_scene(&small);
  run_on(&s, &(mgrad_run){ .steps = 3 });
  uint64_t count = mgrad_memory_count(ctx);
  asking a = { 0 };
  while (!run_on(&s, &(mgrad_run){ .expired = over, .ud = &a, .pauses = 1 })) continue;
  CHECK(mgrad_memory_count(ctx) == count && a.n > 60);
  close_scene(&s);
}

int main(void) {
  ctx = mgrad_context_new(NULL, NULL);
  if (ctx == NULL) return 1;
  test_models();
  test_sight();
  test_interrupt();
  test_solver();
  test_steady();
  mgrad_context_release(ctx);
  return check_report("pauses");
}
