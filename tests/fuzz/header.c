/*
** header.c - a target without Lua: the header of a model file, entry by entry; and the
** state of a trainer in it, taken into a trainer by the core.
**
** What an entry says must hold: its bytes, its names. A state is taken whole or not at all,
** what it was taken into still trains, and no byte is left.
*/
#include "../../bindings/header.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS = 64, NUMBERS = 64, TEXT = 1 << 16, NUMEL = 4096 };

#define MUST(fact) ((fact) ? (void)0 : abort())

/* ---- an allocator that counts ---- */

static size_t used;

static void *count(void *ud, void *p, size_t before, size_t after) {
  (void)ud;
  if (p == NULL) before = 0;
  if (after > FUZZ_MEMORY || used - before + after > FUZZ_MEMORY) return NULL;
  used += after - before;
  if (after > 0) return realloc(p, after);
  free(p);
  return NULL;
}

/* ---- a trainer, and a state for it ---- */

typedef struct kept {
  int n, m;
  mgrad_item items[ITEMS];
  char names[ITEMS][LMGRAD_NAME_BYTES + 1];
  double numbers[NUMBERS];
} kept;

typedef struct scene {
  mgrad_context *ctx;
  mgrad_layer *net;
  mgrad_optimizer *optimizer;
  mgrad_trainer *trainer;
  kept state;
} scene;

static void add(scene *s, const char *kind, double out) {
  const mgrad_layer_def *def = mgrad_layer_def_find(kind);
  mgrad_layer_info info;
  mgrad_attrs attrs;
  mgrad_layer *l = NULL;
  mgrad_layer_describe(def, &info);
  mgrad_attrs_default(info.attrs, &attrs);
  if (out > 0) attrs.value[0] = out;
  MUST(mgrad_layer_new(s->ctx, def, &attrs, &l) == MGRAD_OK);
  MUST(mgrad_layer_add(s->net, NULL, l) == MGRAD_OK);
  mgrad_layer_release(l);
}

/* The net of loading.lua, not built. */
static scene open_scene(void) {
  scene s = { .ctx = mgrad_context_new(count, NULL) };
  MUST(mgrad_layer_new(s.ctx, mgrad_layer_def_find("sequential"), NULL, &s.net) == MGRAD_OK);
  add(&s, "dense", 3);
  add(&s, "batchnorm", 0);
  add(&s, "dense", 2);
  MUST(mgrad_optimizer_new(s.ctx, mgrad_optimizer_def_find("adam"), NULL, NULL,
                           &s.optimizer) == MGRAD_OK);
  mgrad_trainer_options o = { .net = s.net, .optimizer = s.optimizer, .nmetrics = 1,
                              .loss = mgrad_op_find("mse"), .metrics = { { .name = "r2" } } };
  MUST(mgrad_trainer_new(s.ctx, &o, &s.trainer) == MGRAD_OK);
  return s;
}

static void close_scene(scene *s) {
  for (int i = 0; i < s->state.n; i++) mgrad_tensor_release(s->state.items[i].tensor);
  mgrad_trainer_release(s->trainer);
  mgrad_optimizer_release(s->optimizer);
  mgrad_layer_release(s->net);
  mgrad_context_release(s->ctx);
}

static mgrad_item *keep(kept *k, const char *name, size_t n) {
  if (k->n == ITEMS || n > LMGRAD_NAME_BYTES) return NULL;
  memcpy(k->names[k->n], name, n);
  k->names[k->n][n] = '\0';
  k->items[k->n] = (mgrad_item){ .name = k->names[k->n] };
  return &k->items[k->n++];
}

static void keep_tensor(scene *s, const lmgrad_entry *e, const char *name, size_t n) {
  int64_t numel = 1;
  for (int d = 0; d < e->ndim && numel <= NUMEL; d++) {
    numel *= e->size[d] <= NUMEL ? e->size[d] : NUMEL + 1;
  }
  mgrad_item *item = numel <= NUMEL ? keep(&s->state, name, n) : NULL;
  if (item != NULL) mgrad_tensor_full(s->ctx, e->ndim, e->size, 0.5, &item->tensor);
}

/* "name": "text" and "name": ["number", ..], wherever they are in a text: all that the
** state of a trainer has. */
static void keep_values(kept *k, char *text) {
  mgrad_item *item = NULL;
  for (char *p = text; (p = strchr(p, '"')) != NULL; p++) {
    char *end = strchr(++p, '"');
    if (end == NULL) return;
    *end = '\0';
    if (end[1] == ':') {
      item = keep(k, p, (size_t)(end - p));
      if (item != NULL && end[2] == '[') item->numbers = k->numbers + k->m;
      else if (item != NULL) item->text = "";
    } else if (item != NULL && item->numbers == NULL) {
      item->text = p;
    } else if (item != NULL && k->m < NUMBERS) {
      item->count++;
      k->numbers[k->m++] = strtod(p, NULL);
    }
    p = end;
  }
}

static mgrad_status ignore(void *ud, const mgrad_item *item) {
  (void)item;
  ++*(int *)ud;
  return MGRAD_OK;
}

/* Taken in, it is all there; with one item gone it is refused, and nothing has changed. */
static void restore(scene *s) {
  kept *k = &s->state;
  int items = 0;
  if (mgrad_trainer_restore(s->trainer, k->items, k->n) != MGRAD_OK) {
    MUST(*mgrad_error(s->ctx) != '\0');
    return;
  }
  MUST(mgrad_trainer_state(s->trainer, ignore, &items) == MGRAD_OK && items == k->n);
  uint64_t hash = mgrad_layer_hash(s->net);
  k->items[(size_t)hash % (size_t)k->n].name = "other";
  MUST(mgrad_trainer_restore(s->trainer, k->items, k->n) == MGRAD_INVALID);
  MUST(mgrad_layer_hash(s->net) == hash);
}

/* ---- the target ---- */

/* Calls f for all entries of a header; 1 where it is sound. */
static int each_entry(const char *text, size_t n, void (*f)(void *, const lmgrad_entry *),
                      void *ud) {
  lmgrad_header h;
  lmgrad_entry e;
  int more;
  for (lmgrad_header_open(&h, text, n); (more = lmgrad_header_next(&h, &e)) == 1;) {
    MUST(e.name.at >= text && e.name.at + e.name.n <= text + n);
    MUST(e.pair || (e.first <= e.last && e.last <= (int64_t)1 << 53 && e.ndim <= 8));
    f(ud, &e);
  }
  MUST(more == 0 || h.wrong != NULL);
  return more == 0;
}

static char *unescaped(lmgrad_text t, size_t *n) {
  static char room[TEXT + 1];
  *n = t.n <= TEXT ? lmgrad_unescape(t, room) : 0;
  MUST(*n <= t.n);
  room[*n] = '\0';
  return room;
}

/* Is there the state of a trainer? */
static void look(void *found, const lmgrad_entry *e) {
  size_t n;
  if (e->pair) unescaped(e->value, &n);
  *(int *)found |= e->pair && strcmp(unescaped(e->name, &n), "trainer") == 0;
}

static void collect(void *ud, const lmgrad_entry *e) {
  scene *s = ud;
  size_t n;
  char *name = unescaped(e->name, &n);
  if (!e->pair) keep_tensor(s, e, name, n);
  else if (strcmp(name, "trainer") == 0) keep_values(&s->state, unescaped(e->value, &n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t n = fuzz_header(data, size);
  const char *text = (const char *)data + 8;
  int state = 0;
  if (n == 0 || !each_entry(text, n, look, &state) || !state) return 0;
  scene s = open_scene();
  each_entry(text, n, collect, &s);
  restore(&s);
  close_scene(&s);
  MUST(used == 0);
  return 0;
}
