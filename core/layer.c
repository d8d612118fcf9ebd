/*
** layer.c - the tree of layers: making them, their parts, their settings.
*/
#include "layer.h"

/* ---- the table ---- */

#define X(name) &mgrad_layer_def_##name,
static const mgrad_layer_def *const defs[] = {
#include "layers.def"
};
#undef X

int mgrad_layer_def_count(void) { return (int)(sizeof defs / sizeof *defs); }

const mgrad_layer_def *mgrad_layer_def_at(int index) {
  return index >= 0 && index < mgrad_layer_def_count() ? defs[index] : NULL;
}

const mgrad_layer_def *mgrad_layer_def_find(const char *name) {
  for (int i = 0; i < mgrad_layer_def_count(); i++) {
    if (strcmp(defs[i]->name, name) == 0) return defs[i];
  }
  return NULL;
}

void mgrad_layer_describe(const mgrad_layer_def *def, mgrad_layer_info *out) {
  *out = (mgrad_layer_info){ def->name, def->doc, mgrad_attrs_listed(def->attrs), def->container,
                             def->inputs, def->outputs };
}

/* ---- making and releasing ---- */

static mgrad_status copy_name(mgrad_context *ctx, char to[MGRAD_NAME_SIZE],
                              const char *name) {
  size_t n = strlen(name);
  if (n == 0 || n >= MGRAD_NAME_SIZE) {
    return mgrad_fail(ctx, MGRAD_INVALID, "layer: name has %d characters, expected 1 to %d",
                      (int64_t)n, (int64_t)MGRAD_NAME_SIZE - 1);
  }
  memcpy(to, name, n + 1);
  return MGRAD_OK;
}

static mgrad_status make(mgrad_context *ctx, const char *kind, mgrad_layer **out) {
  mgrad_layer *l = mgrad_new_zeroed(ctx, sizeof *l);
  if (l == NULL) return MGRAD_NOMEM;
  l->ctx = ctx;
  l->refs = 1;
  l->training = true;
  mgrad_format(l->kind, sizeof l->kind, "%s", kind);
  mgrad_object_born(ctx);
  *out = l;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_new(mgrad_context *ctx, const mgrad_layer_def *def,
                             const mgrad_attrs *attrs, mgrad_layer **out) {
  mgrad_attrs defaults;
  if (attrs == NULL) {
    mgrad_attrs_default(def->attrs, &defaults);
    attrs = &defaults;
  }
  MGRAD_TRY(mgrad_attrs_check(ctx, def->name, mgrad_attrs_listed(def->attrs), attrs));
  /* an activation goes by its own name */
  const mgrad_op *act = def == &mgrad_layer_def_activation ? mgrad_op_at((int)attrs->value[0])
                                                           : NULL;
  MGRAD_TRY(make(ctx, act != NULL ? act->name : def->name, out));
  (*out)->def = def;
  (*out)->attrs = *attrs;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_custom(mgrad_context *ctx, const char *kind, mgrad_layer_fn forward,
                                void *ud, mgrad_layer **out) {
  MGRAD_TRY(make(ctx, kind, out));
  (*out)->fn = forward;
  (*out)->ud = ud;
  (*out)->built = true;
  return MGRAD_OK;
}

mgrad_layer *mgrad_layer_retain(mgrad_layer *l) {
  l->refs++;
  return l;
}

void mgrad_slot_release(mgrad_slot *part) {
  mgrad_layer_release(part->layer);
  mgrad_tensor_release(part->tensor);
}

/* Recursive, but add keeps the tree under MGRAD_MAX_DEPTH and free of cycles. */
void mgrad_layer_release(mgrad_layer *l) {
  if (l == NULL || --l->refs > 0) return;
  mgrad_context *ctx = l->ctx;
  mgrad_layer_drop_plans(l);
  for (int i = 0; i < l->nparts; i++) mgrad_slot_release(&l->parts[i]);
  mgrad_free(ctx, l->parts);
  mgrad_free(ctx, l);
  mgrad_object_gone(ctx);
}

/* ---- parts ---- */

static mgrad_slot *find_part(const mgrad_layer *l, const char *name) {
  for (int i = 0; i < l->nparts; i++) {
    if (strcmp(l->parts[i].name, name) == 0) return &l->parts[i];
  }
  return NULL;
}

static mgrad_status make_room(mgrad_layer *l) {
  if (l->nparts < l->room) return MGRAD_OK;
  int room = l->room > 0 ? 2 * l->room : 4;
  mgrad_slot *parts = mgrad_new(l->ctx, (size_t)room * sizeof *parts);
  if (parts == NULL) return MGRAD_NOMEM;
  if (l->nparts > 0) memcpy(parts, l->parts, (size_t)l->nparts * sizeof *parts);
  mgrad_free(l->ctx, l->parts);
  l->parts = parts;
  l->room = room;
  return MGRAD_OK;
}

/* Holds one of 'layer' and 'tensor', in place of what had the name before: which may be
** the same, held by nobody else. */
static mgrad_status set_part(mgrad_layer *l, const char *name, mgrad_layer *layer,
                             mgrad_tensor *tensor, bool buffer) {
  mgrad_slot part = { .layer = layer, .tensor = tensor, .buffer = buffer };
  MGRAD_TRY(copy_name(l->ctx, part.name, name));
  mgrad_slot *old = find_part(l, name);
  if (old == NULL) MGRAD_TRY(make_room(l));
  if (layer != NULL) mgrad_layer_retain(layer);
  else mgrad_tensor_retain(tensor);
  if (old == NULL) {
    l->parts[l->nparts++] = part;
  } else {
    mgrad_slot gone = *old;
    *old = part;
    mgrad_slot_release(&gone);
  }
  l->complete = false;
  l->ctx->changes++;
  return MGRAD_OK;
}

/* Levels of layers in and below l, more than MGRAD_MAX_DEPTH when 'other' is among
** them. Layers may be shared, so each is gone into once and marked with its
** levels. */
static int depth(mgrad_layer *l, const mgrad_layer *other) {
  if (l == other) return MGRAD_MAX_DEPTH + 1;
  if (l->mark > 0) return l->mark;
  int deepest = 0;
  for (int i = 0; i < l->nparts; i++) {
    int d = l->parts[i].layer != NULL ? depth(l->parts[i].layer, other) : 0;
    if (d > deepest) deepest = d;
  }
  return l->mark = deepest + 1;
}

void mgrad_layer_unmark(mgrad_layer *l) {
  l->mark = 0;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_slot *p = &l->parts[i];
    if (p->tensor != NULL) p->tensor->visited = false;
    else if (p->layer->mark != 0) mgrad_layer_unmark(p->layer);
  }
}

/* Moves l and what is below it down to 'level'. */
static void sink(mgrad_layer *l, int level) {
  if (l->level >= level) return;
  l->level = level;
  for (int i = 0; i < l->nparts; i++) {
    if (l->parts[i].layer != NULL) sink(l->parts[i].layer, level + 1);
  }
}

/* A container that runs goes through its parts: they must stay. */
static mgrad_status idle(const mgrad_layer *l) {
  const mgrad_frame *f = l->def != NULL ? l->ctx->frame : NULL;
  while (f != NULL && f->layer != l) f = f->up;
  if (f == NULL) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: is in use; its layers cannot change while it"
                    " runs", l->kind);
}

/* Containers take layers, custom layers take tensors too. The name must not read as that
** of a part's part. */
static mgrad_status takes_part(const mgrad_layer *l, const char *name, bool tensor) {
  MGRAD_TRY(idle(l));
  if (name != NULL && strchr(name, '.') != NULL) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: part \"%s\" has a \".\" in its name",
                      l->kind, name);
  }
  if (l->def == NULL || (l->def->container && !tensor)) return MGRAD_OK;
  return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: takes no %s", l->kind,
                    tensor ? "tensors" : "layers");
}

mgrad_status mgrad_layer_add(mgrad_layer *l, const char *name, mgrad_layer *child) {
  MGRAD_TRY(takes_part(l, name, false));
  return mgrad_layer_put(l, name, child);
}

mgrad_status mgrad_layer_put(mgrad_layer *l, const char *name, mgrad_layer *child) {
  char position[MGRAD_NAME_SIZE];
  for (int64_t i = l->nparts; name == NULL; i++) { /* parts before it may be gone */
    mgrad_format(position, sizeof position, "%d", i);
    if (find_part(l, position) == NULL) name = position;
  }
  int levels = depth(child, l);
  mgrad_layer_unmark(child);
  if (l->level + levels >= MGRAD_MAX_DEPTH) {
    return mgrad_fail(l->ctx, MGRAD_INVALID,
                      "%s: part \"%s\" would contain itself, or nest deeper than %d layers",
                      l->kind, name, (int64_t)MGRAD_MAX_DEPTH);
  }
  MGRAD_TRY(set_part(l, name, child, NULL, false));
  sink(child, l->level + 1);
  return MGRAD_OK;
}

mgrad_status mgrad_layer_add_tensor(mgrad_layer *l, const char *name, mgrad_tensor *t) {
  MGRAD_TRY(takes_part(l, name, true));
  return mgrad_layer_put_tensor(l, name, t);
}

mgrad_status mgrad_layer_put_tensor(mgrad_layer *l, const char *name, mgrad_tensor *t) {
  if (mgrad_tensor_repeats(t)) {
    return mgrad_fail(l->ctx, MGRAD_INVALID,
                      "%s: tensor \"%s\" is an expanded view, expected its contiguous()",
                      l->kind, name);
  }
  return mgrad_layer_put_part(l, name, t, !t->requires_grad);
}

mgrad_status mgrad_layer_put_part(mgrad_layer *l, const char *name, mgrad_tensor *t,
                                  bool buffer) {
  return set_part(l, name, NULL, t, buffer);
}

mgrad_status mgrad_layer_child(mgrad_layer *l, const char *name, const mgrad_layer_def *def,
                               const mgrad_attrs *attrs) {
  mgrad_layer *child;
  MGRAD_TRY(mgrad_layer_new(l->ctx, def, attrs, &child));
  child->training = l->training;
  child->frozen = l->frozen;
  mgrad_status status = mgrad_layer_put(l, name, child);
  mgrad_layer_release(child);
  return status;
}

mgrad_status mgrad_layer_set_param(mgrad_layer *l, const char *name, mgrad_tensor *t) {
  if (l->def == NULL || l->def->build == NULL || l->built) {
    const char *why = l->built ? "it has its parameters already" : "it has no parameters";
    return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: \"%s\" cannot be given to it, %s", l->kind,
                      name, why);
  }
  MGRAD_TRY(mgrad_layer_put_tensor(l, name, t));
  find_part(l, name)->given = true;
  return MGRAD_OK;
}

mgrad_status mgrad_layer_remove(mgrad_layer *l, const char *name) {
  mgrad_slot *part = find_part(l, name);
  if (part == NULL) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: has no part \"%s\"", l->kind, name);
  }
  MGRAD_TRY(idle(l));
  mgrad_slot gone = *part;
  l->nparts--;
  memmove(part, part + 1, (size_t)(l->parts + l->nparts - part) * sizeof *part);
  mgrad_slot_release(&gone);
  l->complete = false;
  l->ctx->changes++;
  return MGRAD_OK;
}

/* A parameter that was given, in the place in order of one that is made. */
static mgrad_status take_given(mgrad_layer *l, mgrad_slot *part, int ndim,
                               const int64_t *size) {
  mgrad_array expected;
  MGRAD_TRY(mgrad_shape_make(l->ctx, ndim, size, &expected));
  if (!mgrad_shape_equal(&part->tensor->a, &expected)) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "its %s is given as %a, expected %a", part->name,
                      &part->tensor->a, &expected);
  }
  mgrad_slot taken = *part;
  taken.taken = true;
  memmove(part, part + 1, (size_t)(l->parts + l->nparts - part - 1) * sizeof *part);
  l->parts[l->nparts - 1] = taken;
  return MGRAD_OK;
}

static mgrad_status missing(const mgrad_layer *l, const char *name) {
  return mgrad_fail(l->ctx, MGRAD_INVALID, "its %s is missing", name);
}

mgrad_status mgrad_layer_param(mgrad_layer *l, const char *name, int ndim,
                               const int64_t *size, int init) {
  mgrad_tensor *t;
  mgrad_slot *part = find_part(l, name);
  if (part != NULL && part->given) {
    MGRAD_TRY(take_given(l, part, ndim, size));
    if (l->restoring) find_part(l, name)->buffer = false;
    return MGRAD_OK;
  }
  if (l->restoring) return missing(l, name);
  MGRAD_TRY(mgrad_tensor_new(l->ctx, ndim, size, &t));
  mgrad_status status = mgrad_init_fill(init, t);
  if (status == MGRAD_OK) status = mgrad_tensor_require_grad(t, !l->frozen);
  if (status == MGRAD_OK) status = set_part(l, name, NULL, t, false);
  mgrad_tensor_release(t);
  return status;
}

mgrad_status mgrad_layer_buffer(mgrad_layer *l, const char *name, int ndim,
                                const int64_t *size, double value) {
  mgrad_tensor *t;
  mgrad_slot *part = find_part(l, name);
  if (l->restoring && (part == NULL || !part->given)) return missing(l, name);
  if (l->restoring) {
    MGRAD_TRY(take_given(l, part, ndim, size));
    find_part(l, name)->buffer = true;
    return MGRAD_OK;
  }
  MGRAD_TRY(mgrad_tensor_full(l->ctx, ndim, size, value, &t));
  mgrad_status status = set_part(l, name, NULL, t, true);
  mgrad_tensor_release(t);
  return status;
}

mgrad_tensor *mgrad_layer_tensor(const mgrad_layer *l, const char *name) {
  mgrad_slot *part = find_part(l, name);
  return part != NULL ? part->tensor : NULL;
}

int mgrad_layer_part_count(const mgrad_layer *l) { return l->nparts; }

mgrad_part mgrad_layer_part(const mgrad_layer *l, int index) {
  if (index < 0 || index >= l->nparts) return (mgrad_part){ 0 };
  const mgrad_slot *p = &l->parts[index];
  return (mgrad_part){ p->name, p->layer, p->tensor, p->buffer };
}

/* ---- settings ---- */

static void set_training(mgrad_layer *l, bool on) {
  l->training = on;
  l->mark = 1;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_layer *child = l->parts[i].layer;
    if (child != NULL && child->mark == 0) set_training(child, on);
  }
}

void mgrad_layer_train(mgrad_layer *l, int on) {
  l->ctx->changes++;
  set_training(l, on != 0);
  mgrad_layer_unmark(l);
}

/* Parameters that are there, and those that will be built. */
static void set_frozen(mgrad_layer *l, bool on) {
  l->frozen = on;
  l->mark = 1;
  for (int i = 0; i < l->nparts; i++) {
    mgrad_slot *p = &l->parts[i];
    if (p->layer != NULL && p->layer->mark == 0) set_frozen(p->layer, on);
    if (p->tensor != NULL && !p->buffer) p->tensor->requires_grad = !on;
  }
}

void mgrad_layer_freeze(mgrad_layer *l, int on) {
  l->ctx->changes++;
  set_frozen(l, on != 0);
  mgrad_layer_unmark(l);
}

int mgrad_layer_training(const mgrad_layer *l) { return l->training; }
int mgrad_layer_frozen(const mgrad_layer *l) { return l->frozen; }
const char *mgrad_layer_kind(const mgrad_layer *l) { return l->kind; }
const mgrad_layer_def *mgrad_layer_definition(const mgrad_layer *l) { return l->def; }
const mgrad_attrs *mgrad_layer_attrs(const mgrad_layer *l) { return &l->attrs; }
const char *mgrad_layer_name(const mgrad_layer *l) { return l->name; }

void mgrad_layer_set_pure(mgrad_layer *l, int on) {
  l->ctx->changes++;
  l->pure = on != 0;
}

mgrad_status mgrad_layer_set_name(mgrad_layer *l, const char *name) {
  return copy_name(l->ctx, l->name, name);
}

int mgrad_layer_built(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]) {
  if (!l->built || l->def == NULL || l->def->build == NULL) return -1;
  memcpy(size, l->input, sizeof l->input);
  return l->input_ndim;
}

int mgrad_layer_input_size(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]) {
  memcpy(size, l->input, sizeof l->input);
  return l->input_ndim;
}

int mgrad_layer_output(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]) {
  memcpy(size, l->output, sizeof l->output);
  return l->output_ndim;
}
