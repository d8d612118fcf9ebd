/*
** grad.c - the gradient table: every example of every op and layer, and random shapes
** made of them (vary.h), central differences against backward, in the double build. A
** loop over the tables of the core: a new op or layer is tested without an edit here.
**
** Each op is also checked to read only what it says it reads ('reads' in its
** descriptor), to add where it is told to, to give the same bits with strided operands, and
** to ask the host while it takes long; each layer to predict what it computes in eval mode.
**
** grad [--seed N] [--shapes N] [name ..]: other random numbers, more shapes, only these.
*/
#include "check.h"
#include "long.h"

enum { TRIES = 4000, REDRAWS = 20, NUMBERS = 120, MOST_SHAPES = 1000 };

static uint64_t seed = 1;
static int shapes = 20;

/* ---- one case of an op ---- */

/* Labels have no slope, even where the same operand may hold probabilities. */
static bool has_gradient(const mgrad_op *op, const mgrad_example *e, int i) {
  return !(op->constant >> i & 1) && e->fill[i] != MGRAD_FILL_LABELS;
}

/* Numbers of its own for each example: a new op does not change the others'. */
static void begin_draws(const char *name, int example, const char *act) {
  draws = seed * 1000003 + (uint64_t)example;
  for (; *name != '\0'; name++) draws = draws * 31 + (unsigned char)*name;
  for (; *act != '\0'; act++) draws = draws * 31 + (unsigned char)*act;
  for (int i = 0; i < 8; i++) draw(); /* until the bits are mixed */
}

static verdict check_gradients(function *f) {
  mgrad_tensor *l = loss(f);
  OK(mgrad_backward(l, 0));
  mgrad_tensor_release(l);
  for (int i = 0; i < f->n; i++) {
    if (f->x[i] == NULL || !f->x[i]->requires_grad) continue;
    verdict v = compare(f, f->x[i], "an operand");
    if (v != AGREES) return v;
  }
  check_reads(f);
  if (!check_bad) check_adds(f);
  return AGREES;
}

/* One tensor as two operands gets the sum of both gradients. */
static void check_twins(function *f, const mgrad_example *e) {
  for (int i = 1; i < f->n; i++) {
    mgrad_tensor *a = f->x[i - 1], *b = f->x[i];
    if (a == NULL || b == NULL || !a->requires_grad || !b->requires_grad) continue;
    if (!mgrad_shape_equal(&a->a, &b->a) || e->fill[i - 1] != e->fill[i]) continue;
    function twins = *f;
    twins.x[i] = a;
    mgrad_tensor *y;
    if (apply(&twins, &y) != MGRAD_OK) continue;
    mgrad_tensor_release(y);
    mgrad_tensor_release(there_and_back(&twins));
    compare(&twins, a, "an operand used twice");
  }
}

/* Some losses are infinite where nothing fits, and have no slope there. */
static bool infinite(mgrad_tensor *y) {
  mgrad_real *numbers = copy_of(y);
  bool any = false;
  for (int64_t i = 0; i < mgrad_tensor_numel(y); i++) any = any || isinf(numbers[i]);
  free(numbers);
  return any;
}

/* Once with the values at hand; false where the op refuses them. */
static bool check_values(function *f, const mgrad_example *e, verdict *v) {
  mgrad_tensor *y;
  *v = AGREES;
  if (apply(f, &y) != MGRAD_OK) return false;
  bool fits = !infinite(y);
  mgrad_tensor_release(y);
  if (!fits) return false;
  if (f->op->backward != NULL) *v = check_gradients(f);
  if (!check_bad && *v == AGREES) check_strides(f);
  if (!check_bad && *v == AGREES) check_plan(f);
  if (!check_bad && *v == AGREES) check_twins(f, e);
  return true;
}

/* A form of an op, its values drawn again where they meet a kink. False where the op
** refuses it. */
static bool check_form(const mgrad_op *op, const outline *form, const mgrad_example *e) {
  verdict v = KINK;
  for (int k = 0; k < REDRAWS && v == KINK; k++) {
    function f = { .op = op, .attrs = form->attrs, .n = form->n,
                   .stream = draw_stream() };
    for (int i = 0; i < f.n; i++) {
      f.x[i] = make(form, e, i);
      if (f.x[i] != NULL && has_gradient(op, e, i)) mgrad_tensor_require_grad(f.x[i], 1);
    }
    bool runs = check_values(&f, e, &v);
    mgrad_tensor_release(f.weight);
    for (int i = 0; i < f.n; i++) mgrad_tensor_release(f.x[i]);
    if (!runs) return false;
  }
  CHECK(v != KINK); /* there are values away from all kinks */
  if (check_bad) form_print(form, op->attrs);
  return true;
}

/* ---- ops ---- */

typedef struct seen {
  uint64_t key[MOST_SHAPES];
  int n;
} seen;

static bool is_new(const seen *s, uint64_t key) {
  for (int i = 0; i < s->n; i++) {
    if (s->key[i] == key) return false;
  }
  return true;
}

static void check_count(const seen *s) {
  int least = shapes < 20 ? shapes : 20; /* there may be no more than that */
  if (s->n >= least) return;
  printf("    %d random shapes were accepted, expected %d\n", s->n, least);
  CHECK(!"an example has enough variants that fit");
}

static void check_example(const mgrad_op *op, const mgrad_example *e, int act) {
  begin_draws(op->name, (int)(e - op->examples), act >= 0 ? mgrad_op_at(act)->name : "");
  outline form = op_form(op, e);
  if (act >= 0) form.attrs.value[mgrad_op_act(op)] = act;
  if (check_form(op, &form, e)) return;
  printf("    %s\n", mgrad_error(ctx));
  CHECK(!"the example runs");
  form_print(&form, op->attrs);
}

static void check_variants(const mgrad_op *op, const mgrad_example *const *examples,
                           int n) {
  seen s = { .n = 0 };
  begin_draws(op->name, n, "variants");
  for (int k = 0; k < TRIES && s.n < shapes && !check_bad; k++) {
    const mgrad_example *e = examples[k % n];
    outline example = op_form(op, e), variant = vary(&example, op->attrs, e->vary);
    int64_t own = form_numel(&example), most = own > NUMBERS ? own : NUMBERS;
    uint64_t key = form_key(&variant, op->attrs);
    if (form_numel(&variant) > most || !is_new(&s, key)) continue;
    if (check_form(op, &variant, e)) s.key[s.n++] = key;
  }
  if (!check_bad) check_count(&s);
}

/* An example whose sizes are so many times as large; as check_asks. */
static int64_t check_grown(const mgrad_op *op, const mgrad_example *e, int factor) {
  outline example = op_form(op, e), form = grown(&example, op->attrs, factor);
  function f = { .op = op, .attrs = form.attrs, .n = form.n, .stream = draw_stream() };
  for (int i = 0; i < f.n; i++) {
    f.x[i] = make(&form, e, i);
    if (f.x[i] != NULL && has_gradient(op, e, i)) mgrad_tensor_require_grad(f.x[i], 1);
  }
  int64_t numbers = check_asks(&f);
  if (check_bad) form_print(&form, op->attrs);
  mgrad_tensor_release(f.weight);
  for (int i = 0; i < f.n; i++) mgrad_tensor_release(f.x[i]);
  return numbers;
}

/* Does the op ask the host often enough, the longer it takes? Does it get as long as that? */
static bool check_long(const mgrad_op *op, const mgrad_example *e) {
  int64_t numbers = 1;
  for (int factor = 2; numbers > 0 && numbers < LONG && factor < LONG && !check_bad; factor *= 2)
    numbers = check_grown(op, e, factor);
  return numbers >= LONG;
}

static void check_op(const mgrad_op *op) {
  static char name[96];
  const mgrad_example *examples[MGRAD_OP_EXAMPLES];
  int n = 0;
  bool grows = false;
  snprintf(name, sizeof name, "op %s", op->name);
  test(name);
  for (int k = 0; k < MGRAD_OP_EXAMPLES; k++) {
    const mgrad_example *e = &op->examples[k];
    if (e->shapes[0][0] == 0 && e->shapes[1][0] == 0 && e->operands == 0) continue;
    examples[n++] = e;
    check_example(op, e, -1);
    grows = check_long(op, e) || grows;
    for (int a = 0; mgrad_op_act(op) >= 0 && a < mgrad_op_count(); a++) {
      const mgrad_op *act = mgrad_op_at(a);
      bool usable = (act->flags & MGRAD_OP_ACTIVATION) && mgrad_op_fusible(act);
      if (usable) check_example(op, e, a);
    }
  }
  CHECK(n > 0); /* an op without an example is not tested */
  CHECK(grows || op->forward == NULL);
  if (n > 0) check_variants(op, examples, n);
}

/* ---- layers ---- */

typedef struct parameters {
  mgrad_tensor *t[PARAMETERS];
  int n;
  int64_t numel;
} parameters;

static mgrad_status list(void *ud, const char *name, mgrad_tensor *t, int buffer) {
  (void)name;
  parameters *p = ud;
  if (buffer) return MGRAD_OK;
  CHECK(p->n < PARAMETERS);
  if (p->n < PARAMETERS) p->t[p->n++] = t;
  p->numel += mgrad_tensor_numel(t);
  return MGRAD_OK;
}

/* Prediction, recorded and replayed, is forward in eval mode. */
static void check_predict(mgrad_layer *l, mgrad_tensor *x) {
  mgrad_tensor *y;
  mgrad_layer_train(l, 0);
  OK(mgrad_layer_forward(l, x, &y));
  mgrad_real *expected = copy_of(y);
  for (int k = 0; k < 3; k++) {
    mgrad_tensor *again;
    OK(mgrad_layer_predict(l, x, &again));
    CHECK(same_numbers(again, expected));
    mgrad_tensor_release(again);
  }
  free(expected);
  mgrad_tensor_release(y);
  mgrad_layer_train(l, 1);
}

/* Weights that all begin at 0 or at 1 hide mistakes, and kinks are often there. */
static void shake(mgrad_tensor *t) {
  mgrad_real *p = t->a.data;
  for (int64_t i = 0; i < mgrad_tensor_numel(t); i++) p[i] += (mgrad_real)(draw() - 0.5);
}

/* x and all parameters of a layer that is built. */
static verdict check_layer(mgrad_layer *l, mgrad_tensor *x) {
  function f = { .layer = l, .x = { x }, .n = 1, .stream = draw_stream() };
  parameters p = { .n = 0 };
  mgrad_layer_visit(l, list, &p);
  for (int i = 0; i < p.n; i++) shake(p.t[i]);
  mgrad_tensor *sum = loss(&f);
  for (int i = 0; i < p.n; i++) mgrad_tensor_set_grad(p.t[i], NULL);
  OK(mgrad_backward(sum, 0));
  verdict v = x->requires_grad ? compare(&f, x, "the input") : AGREES;
  for (int i = 0; i < p.n && v == AGREES; i++) v = compare(&f, p.t[i], "a parameter");
  mgrad_tensor_release(sum);
  if (v == AGREES) check_plan(&f);
  if (v == AGREES) check_predict(l, x);
  mgrad_tensor_release(f.weight);
  return v;
}

/* Ids where the form has labels, else numbers that want a gradient. */
static mgrad_tensor *input(const outline *form) {
  mgrad_example e = { .operands = 1 };
  if (form->labels > 0) e.fill[0] = MGRAD_FILL_LABELS;
  mgrad_tensor *x = make(form, &e, 0);
  mgrad_tensor_require_grad(x, form->labels == 0);
  return x;
}

/* Builds the layer that a form describes, or gives NULL where it does not fit. */
typedef mgrad_layer *(*builder)(const void *what, const outline *form);

static mgrad_layer *build_layer(const void *what, const outline *form) {
  mgrad_layer *l;
  return mgrad_layer_new(ctx, what, &form->attrs, &l) == MGRAD_OK ? l : NULL;
}

/* Numbers in input and parameters once x has gone through; 0 where it is refused. */
static int64_t try_layer(mgrad_layer *l, mgrad_tensor *x) {
  mgrad_tensor *y;
  parameters p = { .n = 0 };
  int before = mgrad_grad_enable(ctx, 0);
  mgrad_status status = mgrad_layer_forward(l, x, &y);
  mgrad_grad_enable(ctx, before);
  if (status != MGRAD_OK) return 0;
  mgrad_tensor_release(y);
  mgrad_layer_visit(l, list, &p);
  return p.numel + mgrad_tensor_numel(x);
}

/* False where the layer refuses the form, or has more than 'most' numbers. */
static bool check_layer_form(builder build, const void *what, const outline *form,
                             const mgrad_attr_spec *specs, int64_t most) {
  verdict v = KINK;
  for (int k = 0; k < REDRAWS && v == KINK; k++) {
    mgrad_layer *l = build(what, form);
    if (l == NULL) return false;
    mgrad_tensor *x = input(form);
    int64_t numel = try_layer(l, x);
    bool fits = numel > 0 && numel <= most;
    if (fits) v = check_layer(l, x);
    mgrad_tensor_release(x);
    mgrad_layer_release(l);
    if (!fits) return false;
  }
  CHECK(v != KINK); /* there are values away from all kinks */
  if (check_bad) form_print(form, specs);
  return true;
}

/* An example of a layer and its random variants. */
typedef struct pattern {
  outline form;
  const mgrad_vary *ranges;
} pattern;

static void check_patterns(builder build, const void *what, const mgrad_attr_spec *specs,
                           const char *name, const pattern *patterns, int n) {
  seen s = { .n = 0 };
  for (int k = 0; k < n; k++) {
    begin_draws(name, k, "layer");
    if (check_layer_form(build, what, &patterns[k].form, specs, INT64_MAX)) continue;
    printf("    %s\n", mgrad_error(ctx));
    CHECK(!"the example runs");
    form_print(&patterns[k].form, specs);
  }
  begin_draws(name, n, "layer variants");
  for (int k = 0; k < TRIES && s.n < shapes && !check_bad; k++) {
    const pattern *p = &patterns[k % n];
    outline variant = vary(&p->form, specs, p->ranges);
    uint64_t key = form_key(&variant, specs);
    if (form_numel(&variant) > NUMBERS || !is_new(&s, key)) continue;
    if (check_layer_form(build, what, &variant, specs, 2 * NUMBERS)) s.key[s.n++] = key;
  }
  if (!check_bad) check_count(&s);
}

static void check_layer_def(const mgrad_layer_def *def) {
  static char name[96];
  pattern patterns[MGRAD_LAYER_MOST_EXAMPLES];
  int n = 0;
  snprintf(name, sizeof name, "layer %s", def->name);
  test(name);
  int most = def->examples != NULL ? MGRAD_LAYER_MOST_EXAMPLES : 0;
  for (; n < most && def->examples[n].input[0] != 0; n++) {
    patterns[n] = (pattern){ layer_form(def, &def->examples[n]), def->examples[n].vary };
  }
  CHECK(n > 0 || def->container);
  if (n > 0) check_patterns(build_layer, def, mgrad_attrs_listed(def->attrs), def->name, patterns, n);
}

static mgrad_layer *dense(int64_t out, const char *act) {
  mgrad_attrs attrs;
  mgrad_attrs_default(mgrad_layer_def_dense.attrs, &attrs);
  attrs.value[0] = (double)out;
  for (int a = 0; a < mgrad_op_count(); a++) {
    if (strcmp(mgrad_op_at(a)->name, act) == 0) attrs.value[1] = a;
  }
  mgrad_layer *l;
  if (mgrad_layer_new(ctx, &mgrad_layer_def_dense, &attrs, &l) != MGRAD_OK) abort();
  return l;
}

/* Two dense layers in a container, both as wide as its input. */
static mgrad_layer *build_container(const void *what, const outline *form) {
  int dims = shape_dims(form->shapes[0]);
  if (dims == 0) return NULL;
  int64_t width = form->shapes[0][dims - 1];
  mgrad_layer *l, *a = dense(width, "tanh"), *b = dense(width, "gelu");
  OK(mgrad_layer_new(ctx, what, NULL, &l));
  OK(mgrad_layer_add(l, NULL, a));
  OK(mgrad_layer_add(l, NULL, b));
  mgrad_layer_release(a);
  mgrad_layer_release(b);
  return l;
}

static void check_container(const mgrad_layer_def *def) {
  static const mgrad_vary none[MGRAD_EXAMPLE_VARY];
  static char name[96];
  snprintf(name, sizeof name, "container %s", def->name);
  test(name);
  pattern p = { { .n = 1, .shapes = { { 4, 3 } } }, none };
  check_patterns(build_container, def, NULL, def->name, &p, 1);
}

/* ---- the command line ---- */

static bool read_options(int argc, char **argv, int *first_name) {
  int i = 1;
  for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
    if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--shapes") == 0) shapes = atoi(argv[i + 1]);
    else return false;
  }
  *first_name = i;
  return shapes >= 0 && shapes <= MOST_SHAPES && (i == argc || argv[i][0] != '-');
}

/* Is the op or layer among those asked for? */
static bool wanted(const char *name, int argc, char **argv, int first) {
  bool found = first == argc;
  for (int i = first; i < argc; i++) found = found || strcmp(argv[i], name) == 0;
  return found;
}

int main(int argc, char **argv) {
  int first;
  if (!read_options(argc, argv, &first)) {
    printf("usage: grad [--seed N] [--shapes N] [name ..]\n");
    return 2;
  }
  printf("seed %llu, %d random shapes each\n", (unsigned long long)seed, shapes);
  ctx = mgrad_context_new(NULL, NULL);
  mgrad_seed(ctx, seed);
  for (int i = 0; i < mgrad_op_count(); i++) {
    if (wanted(mgrad_op_at(i)->name, argc, argv, first)) check_op(mgrad_op_at(i));
  }
  for (int i = 0; i < mgrad_layer_def_count(); i++) {
    const mgrad_layer_def *def = mgrad_layer_def_at(i);
    if (!wanted(def->name, argc, argv, first)) continue;
    check_layer_def(def);
    if (def->container) check_container(def);
  }
  test("nothing is left allocated");
  CHECK(mgrad_memory_used(ctx) == 0);
  mgrad_context_release(ctx);
  printf("worst relative error: %.2g\n", worst);
  return check_report("gradients");
}
