/*
** resume.c - the whole state of a trainer by name: written out, taken in.
**
** It is taken in two walks over one list: the first compares, and fails where anything
** does not fit or memory is short; the second cannot fail.
*/
#include "trainer.h"
#include "recall.h"

/* ---- the list ---- */

typedef struct net_walk {
  mgrad_place_fn fn;
  void *ud;
} net_walk;

static mgrad_status walk_tensor(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)buffer;
  const net_walk *w = ud;
  mgrad_place place = { .name = name, .tensor = t };
  return w->fn(w->ud, &place);
}

static mgrad_status walk_net(mgrad_trainer *t, mgrad_place_fn fn, void *ud) {
  net_walk w = { fn, ud };
  return mgrad_layer_visit(t->net, walk_tensor, &w);
}

static mgrad_status walk_places(const mgrad_place *places, int n, mgrad_place_fn fn, void *ud) {
  for (int i = 0; i < n; i++) MGRAD_TRY(fn(ud, &places[i]));
  return MGRAD_OK;
}

#define WHOLE(n, value) { .name = n, .whole = (uint64_t *)&(value) }
#define WALK(places, fn, ud) \
  walk_places(places, (int)(sizeof(places) / sizeof *(places)), fn, ud)

/* The generator, and what batches may wait for an update. */
static mgrad_status walk_rest(mgrad_trainer *t, mgrad_place_fn fn, void *ud) {
  mgrad_place places[] = { WHOLE("generator/seed", t->ctx->seed),
                           WHOLE("generator/stream", t->ctx->stream),
                           WHOLE("accumulate", t->accumulate), WHOLE("gathered", t->gathered) };
  return WALK(places, fn, ud);
}

/* Where a run stands, but for the sums of metrics. */
static mgrad_status walk_run(mgrad_trainer *t, mgrad_place_fn fn, void *ud) {
  uint64_t shuffle = t->shuffle;
  mgrad_place places[] = {
    WHOLE("run/epoch", t->epoch), WHOLE("run/epochs", t->epochs), WHOLE("run/at", t->at),
    WHOLE("run/count", t->count), WHOLE("run/batch", t->batch), WHOLE("run/shuffle", shuffle),
    WHOLE("run/draw/seed", t->draw.seed), WHOLE("run/draw/stream", t->draw.stream),
    WHOLE("run/examples", t->tally.examples),
    { .name = "run/loss", .numbers = &t->tally.loss, .count = 1 },
  };
  MGRAD_TRY(WALK(places, fn, ud));
  t->shuffle = shuffle != 0;
  return MGRAD_OK;
}

static void name_metric(const mgrad_trainer *t, int i, char *to, size_t size) {
  mgrad_format(to, size, "run/metric/%s", t->judge.metrics[i].name);
}

static mgrad_status walk_metrics(mgrad_trainer *t, mgrad_place_fn fn, void *ud) {
  mgrad_tally *tally = &t->tally;
  for (int i = 0; i < t->judge.nmetrics && tally->sums != NULL; i++) {
    char name[2 * MGRAD_NAME_SIZE];
    name_metric(t, i, name, sizeof name);
    mgrad_place place = { .name = name, .numbers = tally->sums + tally->at[i],
                          .count = tally->at[i + 1] - tally->at[i] };
    MGRAD_TRY(fn(ud, &place));
  }
  return MGRAD_OK;
}

/* ---- out ---- */

/* Neither this trainer nor a net of the context may be in the middle of anything. */
static mgrad_status check_idle(const mgrad_trainer *t) {
  MGRAD_TRY(mgrad_trainer_idle(t));
  if (t->ctx->frame == NULL && t->ctx->recorder == NULL) return MGRAD_OK;
  return mgrad_fail(t->ctx, MGRAD_INVALID, "trainer: a layer is under way; save and load"
                    " between two steps");
}

static mgrad_status give_input(const mgrad_trainer *t, const mgrad_giving *giving) {
  double sizes[MGRAD_MAX_DIMS];
  mgrad_item item = { .name = "input", .numbers = sizes, .count = t->input.ndim };
  if (t->input.ndim == 0) return MGRAD_OK;
  for (int d = 0; d < t->input.ndim; d++) sizes[d] = (double)t->input.size[d];
  return giving->fn(giving->ud, &item);
}

mgrad_status mgrad_trainer_state(mgrad_trainer *t, mgrad_item_fn fn, void *ud) {
  mgrad_giving giving = { fn, ud };
  MGRAD_TRY(check_idle(t));
  MGRAD_TRY(mgrad_optimizer_state(t->optimizer, fn, ud)); /* looks at parameters first */
  MGRAD_TRY(walk_net(t, mgrad_place_give, &giving));
  MGRAD_TRY(walk_rest(t, mgrad_place_give, &giving));
  MGRAD_TRY(give_input(t, &giving));
  if (t->data == NULL && !t->waiting) return MGRAD_OK;
  MGRAD_TRY(walk_run(t, mgrad_place_give, &giving));
  return walk_metrics(t, mgrad_place_give, &giving);
}

/* ---- in ---- */

/* Builds the net in memory that fits the tensors of the state: weights of twice the size,
** their gradients, and 16 MB for one example. A shape alone may claim anything. */
static mgrad_status build_within(mgrad_trainer *t, const mgrad_items *items, int ndim,
                                 const int64_t *size) {
  uint64_t limit = mgrad_limit_get(t->ctx, MGRAD_LIMIT_MEMORY);
  size_t most = mgrad_memory_used(t->ctx) + ((size_t)16 << 20);
  for (int i = 0; i < items->n; i++) {
    const mgrad_tensor *tensor = items->sorted[i]->tensor;
    if (tensor != NULL) most += 4 * (size_t)mgrad_tensor_numel(tensor) * sizeof(mgrad_real);
  }
  if (limit != 0 && limit <= most) return mgrad_layer_build(t->net, ndim, size);
  mgrad_limit_set(t->ctx, MGRAD_LIMIT_MEMORY, most);
  mgrad_status status = mgrad_layer_build(t->net, ndim, size);
  mgrad_limit_set(t->ctx, MGRAD_LIMIT_MEMORY, limit);
  if (status != MGRAD_NOMEM) return status;
  return mgrad_fail(t->ctx, MGRAD_INVALID, "load: a net for its \"input\" is much larger than"
                    " its weights");
}

/* A net whose sizes follow from its input is built, as it was for that one. */
static mgrad_status build(mgrad_trainer *t, mgrad_items *items, mgrad_trainer *fresh) {
  mgrad_item *input = mgrad_items_find(items, "input");
  if (input == NULL) return MGRAD_OK;
  int64_t size[MGRAD_MAX_DIMS];
  bool fits = input->numbers != NULL && input->count <= MGRAD_MAX_DIMS;
  for (int64_t d = 0; fits && d < input->count; d++) {
    fits = input->numbers[d] >= 1 && input->numbers[d] < 9e15;
    if (fits) size[d] = (int64_t)input->numbers[d];
  }
  if (!fits) return mgrad_fail(t->ctx, MGRAD_INVALID, "load: \"input\" is no shape");
  input->known = 1;
  MGRAD_TRY(mgrad_shape_make(t->ctx, (int)input->count, size, &fresh->input));
  if (t->net->complete) return MGRAD_OK;
  size[0] = 1; /* example */
  return build_within(t, items, (int)input->count, size);
}

/* Is there a shape of predictions for which a metric keeps so many sums? */
static bool fits(const mgrad_gauge *g, int64_t count) {
  bool found = g->metric == NULL && count == 1;
  for (int64_t c = 0; c <= count && !found && g->metric != NULL; c++) {
    mgrad_scores s = { .classes = c, .columns = c > 0 ? c : 1 };
    int64_t size = g->metric->size(&s);
    found = size == count;
    if (c > 1 && size > count) break;
  }
  return found;
}

/* Room for the sums of metrics, as many as there are in the items. */
static mgrad_status make_sums(mgrad_trainer *fresh, mgrad_items *items) {
  int64_t at[MGRAD_MAX_METRICS + 1] = { 0 };
  int n = fresh->judge.nmetrics, found = 0;
  for (int i = 0; i < n; i++) {
    char name[2 * MGRAD_NAME_SIZE];
    name_metric(fresh, i, name, sizeof name);
    const mgrad_item *item = mgrad_items_find(items, name);
    bool sound = item != NULL && item->numbers != NULL &&
                 fits(&fresh->judge.metrics[i], item->count);
    found += sound;
    at[i + 1] = at[i] + (sound ? item->count : 0);
  }
  if (found == 0 && fresh->tally.examples == 0) return MGRAD_OK; /* nothing was summed */
  if (found < n) {
    return mgrad_fail(fresh->ctx, MGRAD_INVALID, "load: its metrics are not those of this"
                      " trainer");
  }
  if (n > 0) MGRAD_TRY(mgrad_tally_make(fresh->ctx, at, at[n], &fresh->tally));
  walk_metrics(fresh, mgrad_items_check, items);
  return walk_metrics(fresh, mgrad_items_take, items);
}

/* Numbers that no run of ours has. */
static mgrad_status check_run(const mgrad_trainer *t) {
  bool sound = t->epoch >= 0 && t->epoch <= t->epochs && t->epochs >= 1 && t->at >= 0 &&
               t->at <= t->count && t->count >= 1 && t->batch >= 1 && t->tally.examples >= 0 &&
               (t->epoch > 0 || t->at == 0);
  if (sound) return MGRAD_OK;
  return mgrad_fail(t->ctx, MGRAD_INVALID, "load: batch %d, example %d of %d in epoch %d of %d"
                    " is no place in a run", t->batch, t->at, t->count, t->epoch, t->epochs);
}

static mgrad_status check_rest(mgrad_trainer *t, mgrad_items *items, mgrad_trainer *fresh) {
  mgrad_place counts[] = { WHOLE("accumulate", fresh->accumulate),
                           WHOLE("gathered", fresh->gathered) };
  MGRAD_TRY(walk_rest(t, mgrad_items_check, items));
  WALK(counts, mgrad_items_take, items);
  if (fresh->accumulate < 1 || fresh->gathered < 0 || fresh->gathered >= fresh->accumulate) {
    return mgrad_fail(t->ctx, MGRAD_INVALID, "load: %d of %d batches make no sense",
                      fresh->gathered, fresh->accumulate);
  }
  fresh->waiting = mgrad_items_find(items, "run/epoch") != NULL;
  if (!fresh->waiting) return MGRAD_OK;
  MGRAD_TRY(walk_run(fresh, mgrad_items_check, items));
  walk_run(fresh, mgrad_items_take, items);
  MGRAD_TRY(check_run(fresh));
  return make_sums(fresh, items);
}

/* Compares all of it; what is no part of net or optimizer goes to 'fresh'. */
static mgrad_status check(mgrad_trainer *t, mgrad_items *items, mgrad_trainer *fresh) {
  MGRAD_TRY(check_idle(t));
  mgrad_place kind = { .name = "optimizer", .text = t->optimizer->def->name };
  MGRAD_TRY(mgrad_items_check(items, &kind)); /* before a net is built */
  MGRAD_TRY(build(t, items, fresh));
  MGRAD_TRY(walk_net(t, mgrad_items_check, items));
  MGRAD_TRY(mgrad_optimizer_check(t->optimizer, items));
  MGRAD_TRY(check_rest(t, items, fresh));
  return mgrad_items_all_known(items);
}

/* Takes all that was compared. It cannot fail. */
static void take(mgrad_trainer *t, mgrad_items *items, const mgrad_trainer *fresh) {
  walk_net(t, mgrad_items_take, items);
  mgrad_optimizer_take(t->optimizer, items);
  walk_rest(t, mgrad_items_take, items);
  mgrad_trainer_end_run(t);
  mgrad_tally_free(t->ctx, &t->tally);
  t->tally = fresh->tally;
  t->input = fresh->input;
  t->epoch = t->at = t->epochs = t->count = 0;
  if (fresh->waiting) walk_run(t, mgrad_items_take, items);
  t->waiting = fresh->waiting;
}

mgrad_status mgrad_trainer_restore(mgrad_trainer *t, mgrad_item *list, int n) {
  mgrad_items items;
  mgrad_trainer fresh = *t;
  fresh.tally = (mgrad_tally){ 0 };
  MGRAD_TRY(mgrad_items_open(t->ctx, list, n, &items));
  mgrad_status status = check(t, &items, &fresh);
  if (status == MGRAD_OK) take(t, &items, &fresh);
  else mgrad_tally_free(t->ctx, &fresh.tally);
  mgrad_items_close(&items);
  return status;
}
