/*
** recall.c - what an optimizer remembers, by name: written out and taken in.
*/
#include "recall.h"

enum { NAME_SIZE = (MGRAD_MAX_DEPTH + 3) * MGRAD_NAME_SIZE, LR = 0 };

/* How the part of the state under way is called: in 'name', from 'length' on. */
typedef struct walk {
  mgrad_optimizer *o;
  mgrad_place_fn fn;
  void *ud;
  bool gathered; /* walks over what is gathered, where there is any; found some */
  int at;        /* the parameter, from 0 */
  char name[NAME_SIZE];
} walk;

/* Writes the name of vector k of those that the rule keeps: the k-th word, or one of what
** those with a '*' share evenly, counted from 1. */
static void state_name(const mgrad_optimizer *o, int k, char *to, size_t size) {
  const char *s = o->def->keeps;
  int rest = o->nstates - (mgrad_optimizer_average(o) != NULL), stars = 0;
  if (k == rest) {
    mgrad_format(to, size, "average");
    return;
  }
  for (const char *c = s; *c != '\0'; c++) {
    stars += *c == '*';
    rest -= (c[1] == ' ' || c[1] == '\0') && *c != '*';
  }
  for (;; s += *s == ' ') {
    size_t length = strcspn(s, " *");
    bool star = s[length] == '*';
    int here = star ? rest / stars : 1;
    if (k < here) {
      char word[MGRAD_NAME_SIZE] = "";
      memcpy(word, s, length);
      mgrad_format(to, size, star ? "%s%d" : "%s", word, (int64_t)k + 1);
      return;
    }
    k -= here;
    s += length + star;
  }
}

/* The array of one parameter in a vector over all. */
static mgrad_array part_of(mgrad_real *vector, const mgrad_param *p) {
  mgrad_array a = p->t->a;
  a.data = vector + p->offset;
  mgrad_shape_pack(&a);
  return a;
}

static mgrad_status walk_vector(walk *w, const char *vector, const char *param,
                                mgrad_real *data) {
  mgrad_place place = { .name = w->name, .array = part_of(data, &w->o->params[w->at]) };
  mgrad_format(w->name, sizeof w->name, "optimizer/%s/%s", vector, param);
  return w->fn(w->ud, &place);
}

static mgrad_status walk_param(void *ud, const char *param, mgrad_tensor *t, int buffer) {
  (void)t;
  walk *w = ud;
  mgrad_optimizer *o = w->o;
  mgrad_status status = MGRAD_OK;
  if (buffer) return MGRAD_OK;
  if (w->gathered) {
    if (o->params[w->at].gathered) status = walk_vector(w, "gathered", param, o->gathered);
  } else {
    for (int k = 0; k < o->nstates && status == MGRAD_OK; k++) {
      char vector[MGRAD_NAME_SIZE];
      state_name(o, k, vector, sizeof vector);
      status = walk_vector(w, vector, param, o->states + k * o->numel);
    }
  }
  w->at++;
  return status;
}

/* All parameters, under their names in the layer or as numbers. */
static mgrad_status walk_params(walk *w, mgrad_visit visit) {
  w->at = 0;
  if (w->o->layer != NULL) return mgrad_layer_visit(w->o->layer, visit, w);
  for (int i = 0; i < w->o->nparams; i++) {
    char number[24];
    mgrad_format(number, sizeof number, "%d", (int64_t)i + 1);
    MGRAD_TRY(visit(w, number, w->o->params[i].t, 0));
  }
  return MGRAD_OK;
}

static mgrad_status walk_rates(walk *w) {
  for (int i = 0; i < w->o->ngroups; i++) {
    mgrad_place place = { .name = w->name, .count = 1,
                          .numbers = &w->o->groups[i].attrs.value[LR] };
    mgrad_format(w->name, sizeof w->name, i == 0 ? "optimizer/lr" : "optimizer/lr/%d",
                 (int64_t)i + 1);
    MGRAD_TRY(w->fn(w->ud, &place));
  }
  return MGRAD_OK;
}

/* All but what is gathered. Nobody asks a schedule that was ended by setting a rate. */
static mgrad_status walk_own(walk *w) {
  mgrad_optimizer *o = w->o;
  mgrad_place places[] = { { .name = "optimizer", .text = o->def->name },
                           { .name = "optimizer/steps", .whole = (uint64_t *)&o->steps },
                           { .name = "optimizer/weight", .numbers = &o->weight, .count = 1 } };
  for (int i = 0; i < 3; i++) MGRAD_TRY(w->fn(w->ud, &places[i]));
  MGRAD_TRY(walk_rates(w));
  w->gathered = false;
  return walk_params(w, walk_param);
}

/* ---- out ---- */

mgrad_status mgrad_optimizer_whole(mgrad_optimizer *o) {
  if (o->swapped) return mgrad_optimizer_fail_swapped(o);
  if (!o->busy) return mgrad_optimizer_refresh(o);
  return mgrad_fail(o->ctx, MGRAD_INVALID, "%s: is in use; its state is half done",
                    o->def->name);
}

mgrad_status mgrad_optimizer_state(mgrad_optimizer *o, mgrad_item_fn fn, void *ud) {
  mgrad_giving giving = { fn, ud };
  walk w = { .o = o, .fn = mgrad_place_give, .ud = &giving };
  uint64_t scheduled = o->schedule != NULL;
  mgrad_place place = { .name = "optimizer/scheduled", .whole = &scheduled };
  MGRAD_TRY(mgrad_optimizer_whole(o));
  MGRAD_TRY(walk_own(&w));
  MGRAD_TRY(mgrad_place_give(&giving, &place));
  w.gathered = true;
  return walk_params(&w, walk_param);
}

/* ---- in ---- */

static mgrad_status check_gathered(void *ud, const char *param, mgrad_tensor *t, int buffer) {
  walk *w = ud;
  if (buffer) return MGRAD_OK;
  mgrad_format(w->name, sizeof w->name, "optimizer/gathered/%s", param);
  if (mgrad_items_find(w->ud, w->name) == NULL) return MGRAD_OK;
  mgrad_place place = { .name = w->name, .array = t->a };
  w->gathered = true;
  return mgrad_items_check(w->ud, &place);
}

static mgrad_status take_gathered(void *ud, const char *param, mgrad_tensor *t, int buffer) {
  (void)t;
  walk *w = ud;
  if (buffer) return MGRAD_OK;
  mgrad_param *p = &w->o->params[w->at];
  mgrad_format(w->name, sizeof w->name, "optimizer/gathered/%s", param);
  p->gathered = mgrad_items_find(w->ud, w->name) != NULL;
  mgrad_status status = MGRAD_OK;
  if (p->gathered) status = walk_vector(w, "gathered", param, w->o->gathered);
  w->at++;
  return status;
}

/* Rates, counts and what is known of a schedule must make sense. */
static mgrad_status check_values(mgrad_optimizer *o, mgrad_items *items) {
  mgrad_optimizer fresh = *o; /* its own values, to look at */
  uint64_t scheduled = 0;
  double weight = 0;
  mgrad_place places[] = { { .name = "optimizer/steps", .whole = (uint64_t *)&fresh.steps },
                           { .name = "optimizer/weight", .numbers = &weight, .count = 1 },
                           { .name = "optimizer/scheduled", .whole = &scheduled } };
  MGRAD_TRY(mgrad_items_check(items, &places[2]));
  for (int i = 0; i < 3; i++) mgrad_items_take(items, &places[i]);
  if (fresh.steps < 0 || !(weight >= 0) || weight - weight != 0) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "load: %d steps and a weight of %g make no"
                      " sense", fresh.steps, weight);
  }
  if (scheduled && o->schedule == NULL) {
    return mgrad_fail(o->ctx, MGRAD_INVALID, "load: its learning rate follows a schedule;"
                      " make %s with it", o->def->name);
  }
  for (int i = 0; i < o->ngroups; i++) {
    char name[MGRAD_NAME_SIZE];
    mgrad_attrs attrs = o->groups[i].attrs;
    mgrad_place rate = { .name = name, .numbers = &attrs.value[LR], .count = 1 };
    mgrad_format(name, sizeof name, i == 0 ? "optimizer/lr" : "optimizer/lr/%d",
                 (int64_t)i + 1);
    mgrad_items_take(items, &rate);
    MGRAD_TRY(mgrad_attrs_check(o->ctx, "load", o->def->attrs, &attrs));
  }
  return MGRAD_OK;
}

mgrad_status mgrad_optimizer_check(mgrad_optimizer *o, mgrad_items *items) {
  walk w = { .o = o, .fn = mgrad_items_check, .ud = items };
  MGRAD_TRY(mgrad_optimizer_whole(o));
  MGRAD_TRY(walk_own(&w));
  MGRAD_TRY(check_values(o, items));
  MGRAD_TRY(walk_params(&w, check_gathered));
  if (!w.gathered || o->gathered != NULL) return MGRAD_OK;
  o->gathered = mgrad_new(o->ctx, (size_t)o->numel * sizeof *o->gathered);
  return o->gathered != NULL ? MGRAD_OK : MGRAD_NOMEM;
}

void mgrad_optimizer_take(mgrad_optimizer *o, mgrad_items *items) {
  walk w = { .o = o, .fn = mgrad_items_take, .ud = items };
  uint64_t scheduled = 0;
  mgrad_place place = { .name = "optimizer/scheduled", .whole = &scheduled };
  walk_own(&w);
  walk_params(&w, take_gathered);
  mgrad_items_take(items, &place);
  if (!scheduled) mgrad_optimizer_schedule(o, NULL, NULL); /* a rate was set since */
}

static mgrad_status restore(mgrad_optimizer *o, mgrad_items *items) {
  MGRAD_TRY(mgrad_optimizer_check(o, items));
  MGRAD_TRY(mgrad_items_all_known(items));
  mgrad_optimizer_take(o, items);
  return MGRAD_OK;
}

mgrad_status mgrad_optimizer_restore(mgrad_optimizer *o, mgrad_item *list, int n) {
  mgrad_items items;
  MGRAD_TRY(mgrad_items_open(o->ctx, list, n, &items));
  mgrad_status status = restore(o, &items);
  mgrad_items_close(&items);
  return status;
}
