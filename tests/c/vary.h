/*
** vary.h - an example as a pattern, and random variants of it for grad.c.
**
** All sizes of one example that are equal are one letter: those of its operands, its
** list, its labels, and integer options that it sets. A variant gives each letter a new
** size; what infer or check refuses is drawn again. So examples should use distinct
** sizes for distinct meanings. Options with a range in 'vary' are drawn from that; kinds
** that are not sizes (booleans, choices, dimensions, activations) now and then too.
*/
#ifndef VARY_H
#define VARY_H

#include "../../core/layer.h"

enum { LETTERS = 32, SMALL = 6 };

/* One case without its values: an op's operands, or a layer's input. */
typedef struct outline {
  int n;
  int64_t shapes[MGRAD_EXAMPLE_OPERANDS][MGRAD_EXAMPLE_DIMS];
  int labels;
  mgrad_attrs attrs;
  bool set[MGRAD_MAX_ATTRS]; /* the example gives this option */
} outline;

/* ---- random numbers of our own: the library's are under test ---- */

static uint64_t draws;

static double draw(void) {
  draws = draws * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (double)(draws >> 11) * 0x1p-53;
}

/* An integer from low to high. */
static int64_t draw_from(int64_t low, int64_t high) {
  return low + (int64_t)(draw() * (double)(high - low + 1));
}

/* Random numbers of the library's own to begin with. */
static uint64_t draw_stream(void) { return (uint64_t)draw_from(0, 1 << 30); }

static bool one_in(int n) { return draw() * n < 1; }

/* ---- from example to form ---- */

static int words(const char *operands) {
  int n = 1;
  for (; *operands != '\0'; operands++) n += *operands == ' ';
  return n;
}

/* The position of an option, or -1. */
static int attr_find(const mgrad_attr_spec *specs, const char *name) {
  for (int k = 0; specs != NULL && specs[k].type != MGRAD_ATTR_NONE; k++) {
    if (strcmp(specs[k].name, name) == 0) return k;
  }
  return -1;
}

static void form_set(outline *f, const mgrad_attr_spec *specs, const char *name,
                     double value) {
  int k = attr_find(specs, name);
  if (k < 0) {
    printf("    an example sets %s\n", name);
    CHECK(!"the options of an example exist");
    return;
  }
  f->attrs.value[k] = value;
  f->set[k] = true;
}

static outline op_form(const mgrad_op *op, const mgrad_example *e) {
  outline f = { .n = e->operands, .labels = e->labels };
  if (f.n == 0) f.n = words(op->operands);
  memcpy(f.shapes, e->shapes, sizeof f.shapes);
  mgrad_attrs_default(op->attrs, &f.attrs);
  for (int k = 0; k < 4 && e->attrs[k].name != NULL; k++) {
    form_set(&f, op->attrs, e->attrs[k].name, e->attrs[k].value);
  }
  f.attrs.nlist = e->nlist;
  memcpy(f.attrs.list, e->list, sizeof e->list);
  return f;
}

static outline layer_form(const mgrad_layer_def *def, const mgrad_layer_example *e) {
  outline f = { .n = 1, .labels = e->labels };
  memcpy(f.shapes[0], e->input, sizeof f.shapes[0]);
  mgrad_attrs_default(def->attrs, &f.attrs);
  for (int k = 0; k < 4 && e->attrs[k].name != NULL; k++) {
    form_set(&f, def->attrs, e->attrs[k].name, e->attrs[k].value);
  }
  for (int a = 0; e->act != NULL && a < mgrad_op_count(); a++) {
    if (strcmp(mgrad_op_at(a)->name, e->act) == 0) form_set(&f, def->attrs, "act", a);
  }
  f.attrs.nlist = e->nlist;
  memcpy(f.attrs.list, e->list, sizeof e->list);
  return f;
}

/* ---- from form to variant ---- */

typedef struct letters {
  int64_t from[LETTERS], to[LETTERS];
  int n;
} letters;

/* 1 is often a size of its own kind (broadcast, squeezed away) and mostly stays; other
** sizes become 1 often, as that is where mistakes are. */
static int64_t draw_size(int64_t from) {
  if (from == 1) return one_in(4) ? draw_from(2, SMALL) : 1;
  if (one_in(5)) return 1;
  return draw_from(2, from + 1 > SMALL ? from + 1 : SMALL);
}

static int64_t letter(letters *l, int64_t size) {
  if (size < 1) return size; /* -1 and 0 are no sizes */
  for (int i = 0; i < l->n; i++) {
    if (l->from[i] == size) return l->to[i];
  }
  if (l->n == LETTERS) return size;
  l->from[l->n] = size;
  return l->to[l->n++] = draw_size(size);
}

static int shape_dims(const int64_t *shape) {
  int n = 0;
  while (n < MGRAD_EXAMPLE_DIMS && shape[n] > 0) n++;
  return n;
}

static int choice_count(const char *choices) {
  int n = 1;
  for (; *choices != '\0'; choices++) n += *choices == '|';
  return n;
}

/* Both sides of a pair; -1 stands for a word. */
static double vary_pair(letters *l, double v) {
  if (v < 0) return v;
  return MGRAD_PAIR(letter(l, MGRAD_PAIR_AT(v, 2)), letter(l, MGRAD_PAIR_AT(v, 1)));
}

static void vary_attr(outline *f, letters *l, const mgrad_attr_spec *spec, int k) {
  double *v = &f->attrs.value[k];
  int dims = shape_dims(f->shapes[0]) + 1; /* one more: of a result */
  bool other = one_in(4);
  switch (spec->type) {
    case MGRAD_ATTR_INT: if (f->set[k]) *v = (double)letter(l, (int64_t)*v); break;
    case MGRAD_ATTR_PAIR: if (f->set[k]) *v = vary_pair(l, *v); break;
    case MGRAD_ATTR_BOOL: if (other) *v = one_in(2); break;
    case MGRAD_ATTR_CHOICE:
      if (other) *v = (double)draw_from(0, choice_count(spec->choices) - 1);
      break;
    case MGRAD_ATTR_DIM:
      if (other) *v = (double)(one_in(2) ? draw_from(-dims, -1) : draw_from(1, dims));
      break;
    case MGRAD_ATTR_ACT:
      if (other) *v = (double)draw_from(0, mgrad_op_count() - 1);
      break;
    default: break;
  }
}

/* Puts a dimension in front of a shape, or takes the first one off. */
static void lead(int64_t *shape, int64_t size) {
  int n = shape_dims(shape);
  if (shape[0] < 0 || (size > 0 ? n == MGRAD_EXAMPLE_DIMS : n == 0)) return;
  if (size > 0) {
    memmove(shape + 1, shape, (size_t)n * sizeof *shape);
    shape[0] = size;
  } else {
    memmove(shape, shape + 1, (size_t)(n - 1) * sizeof *shape);
    shape[n - 1] = 0;
  }
}

/* One dimension more or less, of the first operand or of all. */
static void vary_dims(outline *f) {
  int64_t size = one_in(2) ? draw_from(1, 4) : 0;
  int n = one_in(2) ? 1 : f->n;
  for (int i = 0; i < n; i++) lead(f->shapes[i], size);
}

/* A random variant; nobody has said yet that it fits. */
static outline vary(const outline *example, const mgrad_attr_spec *specs,
                 const mgrad_vary ranges[MGRAD_EXAMPLE_VARY]) {
  outline f = *example;
  letters l = { .n = 0 };
  for (int i = 0; i < f.n; i++) {
    int64_t *shape = f.shapes[i];
    for (int d = 0; d < MGRAD_EXAMPLE_DIMS; d++) shape[d] = letter(&l, shape[d]);
  }
  f.labels = (int)letter(&l, f.labels);
  bool listed = one_in(2); /* of sizes; or of dimensions, which stay */
  for (int i = 0; listed && i < f.attrs.nlist; i++) {
    f.attrs.list[i] = letter(&l, f.attrs.list[i]);
  }
  for (int k = 0; specs != NULL && specs[k].type != MGRAD_ATTR_NONE; k++) {
    vary_attr(&f, &l, &specs[k], k);
  }
  for (int i = 0; i < MGRAD_EXAMPLE_VARY && ranges[i].name != NULL; i++) {
    const mgrad_vary *r = &ranges[i];
    int k = attr_find(specs, r->name);
    double value = (double)draw_from(r->low, r->high);
    bool pair = k >= 0 && specs[k].type == MGRAD_ATTR_PAIR;
    if (pair) value = MGRAD_PAIR(value, draw_from(r->low, r->high));
    form_set(&f, specs, r->name, value);
  }
  while (one_in(5)) vary_dims(&f);
  return f;
}

/* Numbers in all operands. */
static int64_t form_numel(const outline *f) {
  int64_t sum = 0;
  for (int i = 0; i < f->n; i++) {
    int64_t numel = f->shapes[i][0] >= 0;
    for (int d = 0; d < MGRAD_EXAMPLE_DIMS && f->shapes[i][d] > 0; d++) {
      numel *= f->shapes[i][d];
    }
    sum += numel;
  }
  return sum;
}

static uint64_t mix(uint64_t h, uint64_t v) { return (h ^ v) * UINT64_C(0x100000001b3); }

/* A number for all that is a size, a dimension or a list. */
static uint64_t form_key(const outline *f, const mgrad_attr_spec *specs) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (int i = 0; i < f->n; i++) {
    for (int d = 0; d < MGRAD_EXAMPLE_DIMS; d++) h = mix(h, (uint64_t)f->shapes[i][d]);
  }
  for (int i = 0; i < f->attrs.nlist; i++) h = mix(h, (uint64_t)f->attrs.list[i]);
  for (int k = 0; specs != NULL && specs[k].type != MGRAD_ATTR_NONE; k++) {
    bool size = specs[k].type == MGRAD_ATTR_INT || specs[k].type == MGRAD_ATTR_DIM ||
                specs[k].type == MGRAD_ATTR_PAIR;
    if (size) h = mix(h, (uint64_t)(int64_t)f->attrs.value[k]);
  }
  return h;
}

static void print_sizes(const char *before, int n, const int64_t *size) {
  printf("%s{", before);
  for (int i = 0; i < n; i++) printf("%s%d", i > 0 ? ", " : "", (int)size[i]);
  printf("}");
}

/* Says which case it is that failed. */
static void form_print(const outline *f, const mgrad_attr_spec *specs) {
  printf("    with");
  for (int i = 0; i < f->n; i++) {
    if (f->shapes[i][0] < 0) printf(" none");
    else print_sizes(" ", shape_dims(f->shapes[i]), f->shapes[i]);
  }
  if (f->labels > 0) printf(", labels to %d", f->labels);
  for (int k = 0; specs != NULL && specs[k].type != MGRAD_ATTR_NONE; k++) {
    if (specs[k].type == MGRAD_ATTR_SIZES) {
      printf(", %s = ", specs[k].name);
      print_sizes("", f->attrs.nlist, f->attrs.list);
    } else if (specs[k].type == MGRAD_ATTR_PAIR && f->attrs.value[k] >= 0) {
      double v = f->attrs.value[k];
      printf(", %s = ", specs[k].name);
      print_sizes("", 2, (int64_t[]){ MGRAD_PAIR_AT(v, 2), MGRAD_PAIR_AT(v, 1) });
    } else {
      printf(", %s = %g", specs[k].name, f->attrs.value[k]);
    }
  }
  printf("\n");
}

#endif
