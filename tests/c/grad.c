/*
** grad.c - the gradient table: every example of every op and layer, central
** differences against backward, in the double build. A loop over the tables of
** the core: a new op or layer is tested without an edit here.
**
** Each op is also checked to read only what it says it reads ('reads' in its
** descriptor), and to keep all results with every operand that is a strided
** view in place of a packed tensor.
*/
#include "check.h"
#include "../../core/layer.h"

#include <stdlib.h>

enum { MOST = 8 };
static const double STEP = 1e-5, TOLERANCE = 1e-6;

static mgrad_context *ctx;
static uint64_t draws;
static double worst;

static double draw(void) {
  draws = draws * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (double)(draws >> 11) * 0x1p-53;
}

/* ---- operands ---- */

static void fill_one(mgrad_real *p, int64_t n, int64_t row, const mgrad_example *e,
                     mgrad_fill how) {
  double low = e->low, high = e->high;
  if (low == 0 && high == 0) low = -1, high = 1;
  for (int64_t i = 0; i < n; i++) {
    switch (how) {
      case MGRAD_FILL_RANGE: p[i] = (mgrad_real)(low + (high - low) * draw()); break;
      case MGRAD_FILL_LABELS: p[i] = (mgrad_real)(1 + (int)(draw() * e->labels)); break;
      case MGRAD_FILL_BITS: p[i] = draw() < 0.5; break;
      case MGRAD_FILL_SIGNS: p[i] = draw() < 0.5 ? -1 : 1; break;
      default: p[i] = (mgrad_real)(0.1 + 0.8 * draw()); break;
    }
  }
  for (int64_t i = 0; how == MGRAD_FILL_CHANCES && row > 1 && i < n; i += row) {
    double sum = 0;
    for (int64_t j = 0; j < row; j++) sum += p[i + j];
    for (int64_t j = 0; j < row; j++) p[i + j] = (mgrad_real)(p[i + j] / sum);
  }
}

static mgrad_tensor *make(const mgrad_example *e, int i) {
  const int64_t *shape = e->shapes[i];
  int ndim = 0;
  if (shape[0] == -1) return NULL;
  while (ndim < MGRAD_EXAMPLE_DIMS && shape[ndim] > 0) ndim++;
  mgrad_tensor *t;
  if (mgrad_tensor_new(ctx, ndim, shape, &t) != MGRAD_OK) abort();
  fill_one(t->a.data, mgrad_tensor_numel(t), ndim > 0 ? shape[ndim - 1] : 1, e, e->fill[i]);
  return t;
}

static int words(const char *operands) {
  int n = 1;
  for (; *operands != '\0'; operands++) n += *operands == ' ';
  return n;
}

static void set_attr(const mgrad_attr_spec *specs, mgrad_attrs *attrs, const char *name,
                     double value) {
  for (int k = 0; specs[k].type != MGRAD_ATTR_NONE; k++) {
    if (strcmp(specs[k].name, name) == 0) attrs->value[k] = value;
  }
}

static mgrad_attrs example_attrs(const mgrad_op *op, const mgrad_example *e) {
  mgrad_attrs attrs;
  mgrad_attrs_default(op->attrs, &attrs);
  for (int k = 0; k < 4 && e->attrs[k].name != NULL; k++) {
    set_attr(op->attrs, &attrs, e->attrs[k].name, e->attrs[k].value);
  }
  attrs.nlist = e->nlist;
  memcpy(attrs.list, e->list, sizeof e->list);
  return attrs;
}

/* ---- one function of tensors and its gradient ---- */

typedef struct function {
  const mgrad_op *op;
  mgrad_attrs attrs;
  mgrad_layer *layer; /* instead of an op: of x[0] */
  mgrad_tensor *x[MOST];
  int n;
  uint64_t stream;    /* the same random numbers in every evaluation */
  mgrad_tensor *weight; /* makes one number of the result: sum(weight * y) */
} function;

static mgrad_status apply(function *f, mgrad_tensor **y) {
  ctx->stream = f->stream;
  if (f->layer != NULL) return mgrad_layer_forward(f->layer, f->x[0], y);
  return mgrad_apply(f->op, ctx, f->x, f->n, &f->attrs, y);
}

static mgrad_tensor *loss(function *f) {
  mgrad_tensor *y, *product, *sum;
  if (apply(f, &y) != MGRAD_OK) return NULL;
  if (f->weight == NULL) {
    mgrad_tensor_like(ctx, &y->a, &f->weight);
    for (int64_t i = 0; i < mgrad_tensor_numel(y); i++) {
      f->weight->a.data[i] = (mgrad_real)(0.5 + draw());
    }
  }
  mgrad_tensor *both[] = { y, f->weight };
  mgrad_apply(&mgrad_op_mul, ctx, both, 2, NULL, &product);
  mgrad_apply(&mgrad_op_sum, ctx, &product, 1, NULL, &sum);
  mgrad_tensor_release(y);
  mgrad_tensor_release(product);
  return sum;
}

static double value(function *f) {
  int before = mgrad_grad_enable(ctx, 0);
  mgrad_tensor *l = loss(f);
  mgrad_grad_enable(ctx, before);
  if (l == NULL) {
    printf("    %s: %s\n", check_name, mgrad_error(ctx));
    CHECK(!"the function runs beside the example");
    return NAN;
  }
  double v = (double)l->a.data[0];
  mgrad_tensor_release(l);
  return v;
}

/* Four points, so that the step may be large enough for rounding not to matter. */
static double slope(function *f, mgrad_real *p) {
  mgrad_real x = *p;
  double v[4];
  const double at[] = { -2, -1, 1, 2 };
  for (int k = 0; k < 4; k++) {
    *p = (mgrad_real)(x + at[k] * STEP * 10);
    v[k] = value(f);
  }
  *p = x;
  return (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * STEP * 10);
}

static void compare(function *f, mgrad_tensor *t, const char *what) {
  mgrad_tensor *grad = mgrad_tensor_grad(t);
  CHECK(grad != NULL);
  if (grad == NULL) return;
  int64_t n = mgrad_tensor_numel(t);
  double scale = 1e-3;
  for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)grad->a.data[i]));
  for (int64_t i = 0; i < n; i++) {
    double numeric = slope(f, &t->a.data[i]), ours = (double)grad->a.data[i];
    double error = fabs(numeric - ours) / fmax(fmax(fabs(numeric), fabs(ours)), scale);
    worst = fmax(worst, error);
    if (error <= TOLERANCE) continue;
    printf("    %s: element %d of %s: backward %.9g, differences %.9g\n", check_name, (int)i,
           what, ours, numeric);
    CHECK(!"gradients agree");
    return;
  }
}

/* Backward must not look at values that the descriptor does not list: after
** forward they are spoiled, and the gradients must stay the same. */
static void spoil_unread(function *f, mgrad_tensor *l) {
  mgrad_tensor *y = l->node->x[0]->node->x[0];
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] == NULL || (f->op->reads >> i & 1)) continue;
    for (int64_t k = 0; k < mgrad_tensor_numel(f->x[i]); k++) f->x[i]->a.data[k] = NAN;
  }
  if (y->node == NULL || (f->op->reads & MGRAD_READS_Y) || (f->op->flags & MGRAD_OP_VIEW)) return;
  for (int64_t k = 0; k < mgrad_tensor_numel(y); k++) y->a.data[k] = NAN;
}

static void check_reads(function *f) {
  mgrad_real *kept[MOST] = { NULL }, *before[MOST] = { NULL };
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] == NULL) continue;
    size_t bytes = (size_t)mgrad_tensor_numel(f->x[i]) * sizeof(mgrad_real);
    kept[i] = malloc(bytes);
    mgrad_tensor_read(f->x[i], kept[i]);
    if (mgrad_tensor_grad(f->x[i]) == NULL) continue;
    before[i] = malloc(bytes);
    memcpy(before[i], f->x[i]->grad->a.data, bytes);
    mgrad_tensor_zero_grad(f->x[i]);
  }
  mgrad_tensor *l = loss(f);
  spoil_unread(f, l);
  OK(mgrad_backward(l, 0));
  mgrad_tensor_release(l);
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] == NULL) continue;
    size_t bytes = (size_t)mgrad_tensor_numel(f->x[i]) * sizeof(mgrad_real);
    if (before[i] != NULL) CHECK(memcmp(before[i], f->x[i]->grad->a.data, bytes) == 0);
    memcpy(f->x[i]->a.data, kept[i], bytes);
    free(kept[i]);
    free(before[i]);
  }
}

/* A second backward adds to what is there. */
static void check_adds(function *f) {
  for (int i = 0; i < f->n; i++) {
    mgrad_tensor *t = f->x[i];
    if (t == NULL || mgrad_tensor_grad(t) == NULL) continue;
    for (int64_t k = 0; k < mgrad_tensor_numel(t); k++) t->grad->a.data[k] = 100;
    t->zeroed = 0;
  }
  mgrad_tensor *l = loss(f);
  OK(mgrad_backward(l, 0));
  mgrad_tensor_release(l);
  for (int i = 0; i < f->n; i++) {
    mgrad_tensor *t = f->x[i];
    if (t == NULL || mgrad_tensor_grad(t) == NULL) continue;
    for (int64_t k = 0; k < mgrad_tensor_numel(t); k++) t->grad->a.data[k] -= 100;
    compare(f, t, "a sum");
  }
}

/* Labels have no slope, even where the same operand may hold probabilities. */
static bool has_gradient(const mgrad_op *op, const mgrad_example *e, int i) {
  return !(op->constant >> i & 1) && e->fill[i] != MGRAD_FILL_LABELS;
}

/* Numbers of its own for each example: a new op does not change the others'. */
static void begin_draws(const char *name, int example, const char *act) {
  draws = (uint64_t)example;
  for (; *name != '\0'; name++) draws = draws * 31 + (unsigned char)*name;
  for (; *act != '\0'; act++) draws = draws * 31 + (unsigned char)*act;
  for (int i = 0; i < 8; i++) draw(); /* until the bits are mixed */
}

static void check_example(const mgrad_op *op, const mgrad_example *e, int act) {
  begin_draws(op->name, (int)(e - op->examples), act >= 0 ? mgrad_op_at(act)->name : "");
  function f = { .op = op, .attrs = example_attrs(op, e) };
  f.n = e->operands > 0 ? e->operands : words(op->operands);
  if (act >= 0) f.attrs.value[0] = act;
  for (int i = 0; i < f.n; i++) {
    f.x[i] = make(e, i);
    if (f.x[i] != NULL && has_gradient(op, e, i)) mgrad_tensor_require_grad(f.x[i], 1);
  }
  mgrad_tensor *l = loss(&f);
  if (l == NULL) {
    printf("    %s\n", mgrad_error(ctx));
    CHECK(!"the example runs");
  } else if (op->backward != NULL) {
    OK(mgrad_backward(l, 0));
    for (int i = 0; i < f.n; i++) {
      if (f.x[i] != NULL && has_gradient(op, e, i)) compare(&f, f.x[i], "an operand");
    }
    if (!check_bad) check_reads(&f);
    if (!check_bad) check_adds(&f);
  }
  mgrad_tensor_release(l);
  mgrad_tensor_release(f.weight);
  for (int i = 0; i < f.n; i++) mgrad_tensor_release(f.x[i]);
}

/* ---- ops ---- */

static void check_op(const mgrad_op *op) {
  static char name[96];
  int act_attr = op->attrs != NULL && op->attrs[0].type == MGRAD_ATTR_ACT, checked = 0;
  snprintf(name, sizeof name, "op %s", op->name);
  test(name);
  for (int k = 0; k < MGRAD_OP_EXAMPLES; k++) {
    const mgrad_example *e = &op->examples[k];
    if (e->shapes[0][0] == 0 && e->shapes[1][0] == 0 && e->operands == 0) continue;
    checked++;
    check_example(op, e, -1);
    for (int a = 0; act_attr && a < mgrad_op_count(); a++) {
      const mgrad_op *act = mgrad_op_at(a);
      if ((act->flags & MGRAD_OP_ACTIVATION) && mgrad_op_fusible(act)) check_example(op, e, a);
    }
  }
  CHECK(checked > 0); /* an op without an example is not tested */
}

/* ---- layers ---- */

typedef struct parameters {
  mgrad_tensor *t[64];
  int n;
} parameters;

static mgrad_status list(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name;
  parameters *p = ud;
  if (!buffer && p->n < 64) p->t[p->n++] = t;
  return MGRAD_OK;
}

/* x and all parameters of a layer that is built. */
static void check_layer(mgrad_layer *l, mgrad_tensor *x) {
  function f = { .layer = l, .x = { x }, .n = 1 };
  mgrad_tensor *sum = loss(&f);
  if (sum == NULL) {
    printf("    %s\n", mgrad_error(ctx));
    CHECK(!"the layer runs");
    return;
  }
  parameters p = { .n = 0 };
  mgrad_layer_visit(l, list, &p);
  for (int i = 0; i < p.n; i++) mgrad_tensor_set_grad(p.t[i], NULL);
  OK(mgrad_backward(sum, 0));
  if (x->requires_grad) compare(&f, x, "the input");
  for (int i = 0; i < p.n; i++) compare(&f, p.t[i], "a parameter");
  mgrad_tensor_release(sum);
  mgrad_tensor_release(f.weight);
}

/* Ids from 1 to 'labels' where that is set, else numbers that want a gradient. */
static mgrad_tensor *input(const int64_t *size, int labels) {
  mgrad_example e = { .operands = 1, .labels = labels };
  if (labels > 0) e.fill[0] = MGRAD_FILL_LABELS;
  memcpy(e.shapes[0], size, sizeof e.shapes[0]);
  mgrad_tensor *x = make(&e, 0);
  mgrad_tensor_require_grad(x, labels == 0);
  return x;
}

static void check_layer_def(const mgrad_layer_def *def) {
  static char name[96];
  snprintf(name, sizeof name, "layer %s", def->name);
  test(name);
  int checked = 0;
  for (int k = 0; k < 4 && def->examples[k].input[0] != 0; k++, checked++) {
    const mgrad_layer_example *e = &def->examples[k];
    mgrad_attrs attrs;
    mgrad_attrs_default(def->attrs, &attrs);
    for (int j = 0; j < 4 && e->attrs[j].name != NULL; j++) {
      set_attr(def->attrs, &attrs, e->attrs[j].name, e->attrs[j].value);
    }
    for (int a = 0; e->act != NULL && a < mgrad_op_count(); a++) {
      if (strcmp(mgrad_op_at(a)->name, e->act) == 0) set_attr(def->attrs, &attrs, "act", a);
    }
    attrs.nlist = e->nlist;
    memcpy(attrs.list, e->list, sizeof e->list);
    mgrad_layer *l;
    OK(mgrad_layer_new(ctx, def, &attrs, &l));
    mgrad_tensor *x = input(e->input, e->labels);
    check_layer(l, x);
    mgrad_tensor_release(x);
    mgrad_layer_release(l);
  }
  CHECK(checked > 0 || def->container);
}

static mgrad_layer *dense(int out, const char *act) {
  mgrad_attrs attrs;
  mgrad_attrs_default(mgrad_layer_def_dense.attrs, &attrs);
  attrs.value[0] = out;
  for (int a = 0; a < mgrad_op_count(); a++) {
    if (strcmp(mgrad_op_at(a)->name, act) == 0) attrs.value[1] = a;
  }
  mgrad_layer *l;
  if (mgrad_layer_new(ctx, &mgrad_layer_def_dense, &attrs, &l) != MGRAD_OK) abort();
  return l;
}

/* Two dense layers in each kind of container. */
static void check_container(const mgrad_layer_def *def) {
  static char name[96];
  snprintf(name, sizeof name, "container %s", def->name);
  test(name);
  mgrad_layer *l, *a = dense(3, "tanh"), *b = dense(3, "gelu");
  OK(mgrad_layer_new(ctx, def, NULL, &l));
  OK(mgrad_layer_add(l, NULL, a));
  OK(mgrad_layer_add(l, NULL, b));
  mgrad_tensor *x = input((int64_t[MGRAD_EXAMPLE_DIMS]){ 4, 3 }, 0);
  check_layer(l, x);
  mgrad_tensor_release(x);
  mgrad_layer_release(l);
  mgrad_layer_release(a);
  mgrad_layer_release(b);
}

int main(void) {
  ctx = mgrad_context_new(NULL, NULL);
  for (int i = 0; i < mgrad_op_count(); i++) check_op(mgrad_op_at(i));
  for (int i = 0; i < mgrad_layer_def_count(); i++) {
    const mgrad_layer_def *def = mgrad_layer_def_at(i);
    check_layer_def(def);
    if (def->container) check_container(def);
  }
  test("nothing is left allocated");
  CHECK(mgrad_memory_used(ctx) == 0);
  mgrad_context_release(ctx);
  printf("worst relative error: %.2g\n", worst);
  return check_report("gradients");
}
