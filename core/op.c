/*
** op.c - the table of ops; apply = check, allocate, run, record.
*/
#include "op.h"
#include "kernels/kernels.h"

/* ---- the table ---- */

extern const mgrad_code mgrad_code_table; /* the baseline's descriptors stand for all */

int mgrad_op_count(void) { return MGRAD_OP_COUNT; }

const mgrad_op *mgrad_op_at(int index) {
  return index >= 0 && index < mgrad_op_count() ? mgrad_code_table.ops[index] : NULL;
}

const mgrad_op *mgrad_op_find(const char *name) {
  for (int i = 0; i < mgrad_op_count(); i++) {
    if (strcmp(mgrad_op_at(i)->name, name) == 0) return mgrad_op_at(i);
  }
  return NULL;
}

void mgrad_op_describe(const mgrad_op *op, mgrad_op_info *out) {
  *out = (mgrad_op_info){
    .name = op->name, .doc = op->doc, .operands = op->operands, .order = op->order,
    .attrs = mgrad_attrs_listed(op->attrs),
    .activation = (op->flags & MGRAD_OP_ACTIVATION) != 0,
    .loss = (op->flags & MGRAD_OP_LOSS) != 0, .differentiable = op->backward != NULL,
    .elementwise = op->map.forward != NULL || (op->flags & MGRAD_OP_BROADCAST) != 0,
  };
}

/* ---- what op functions call ---- */

mgrad_status mgrad_infer_same(mgrad_call *c) {
  c->y->ndim = c->x[0]->ndim;
  memcpy(c->y->size, c->x[0]->size, sizeof c->y->size);
  return MGRAD_OK;
}

static void map_stretch(void *ud, int64_t first, int64_t end) {
  const mgrad_call *c = ud;
  c->op->map.forward(end - first, c->x[0]->data + first, c->y->data + first, c->attrs->value);
}

void mgrad_map_forward(mgrad_call *c) {
  int64_t n = mgrad_call_numel(c, 0);
  mgrad_pool_stretches(c->ctx->pool, n, map_stretch, c);
}

/* What is added to comes out a block at a time, which stays in the cache. */
static void add_stretch(void *ud, int64_t first, int64_t end) {
  enum { BLOCK = 256 };
  const mgrad_slope *s = ud;
  mgrad_real d[BLOCK];
  for (int64_t i = first; i < end; i += BLOCK) {
    int64_t m = mgrad_min_size(BLOCK, end - i);
    s->op->map.backward(m, s->x + i, s->y + i, s->dy + i, d, s->p);
    for (int64_t j = 0; j < m; j++) s->dx[i + j] += d[j];
  }
}

static void slope_stretch(void *ud, int64_t first, int64_t end) {
  const mgrad_slope *s = ud;
  s->op->map.backward(end - first, s->x + first, s->y + first, s->dy + first, s->dx + first,
                      s->p);
}

void mgrad_map_slope(mgrad_context *ctx, int64_t n, mgrad_slope *s) {
  mgrad_stretch_fn f = s->add ? add_stretch : slope_stretch;
  mgrad_pool_stretches(ctx->pool, n, f, s);
}

void mgrad_map_backward(mgrad_call *c) {
  if (c->dx[0] == NULL) return;
  mgrad_slope s = { c->op, c->x[0]->data, c->y->data, c->dy, c->dx[0], c->add[0],
                    c->attrs->value };
  mgrad_map_slope(c->ctx, mgrad_call_numel(c, 0), &s);
}

int mgrad_op_act(const mgrad_op *op) {
  const mgrad_attr_spec *specs = mgrad_attrs_listed(mgrad_op_attrs(op));
  for (int i = 0; specs[i].type != MGRAD_ATTR_NONE; i++)
    if (specs[i].type == MGRAD_ATTR_ACT) return i;
  return -1;
}

bool mgrad_op_reads_y(const mgrad_op *op, const mgrad_attrs *attrs) {
  if (!(op->reads & MGRAD_READS_Y)) return false;
  int act = mgrad_op_act(op);
  return act < 0 || attrs->value[act] >= 0;
}

void mgrad_call_clear(const mgrad_call *c, int i) {
  if (c->dx[i] == NULL || c->add[i]) return;
  for (int64_t at = 0, n = mgrad_call_numel(c, i), some; at < n; at += some) {
    some = mgrad_min_size(MGRAD_POOL_PART, n - at);
    if (!mgrad_call_continues(c, some)) return;
    memset(c->dx[i] + at, 0, (size_t)some * sizeof(mgrad_real));
  }
}

void mgrad_view_backward(mgrad_call *c) {
  if (c->dx[0] == NULL) return;
  bool all = !c->add[0] && mgrad_shape_numel(c->y) == mgrad_call_numel(c, 0);
  if (!all) mgrad_call_clear(c, 0);
  mgrad_array whole = *c->x[0], window, dy = *c->y;
  mgrad_shape_pack(&whole);
  whole.data = c->dx[0];
  const mgrad_array *x[] = { &whole };
  mgrad_call view = { .ctx = c->ctx, .op = c->op, .attrs = c->attrs, .n = 1, .x = x,
                      .y = &window };
  if (c->op->infer(&view) != MGRAD_OK) return; /* it went well in forward */
  mgrad_shape_pack(&dy);
  dy.data = (mgrad_real *)c->dy; /* only read */
  mgrad_array_put(c->ctx->pool, &window, &dy, !all);
}

mgrad_status mgrad_op_fail(const mgrad_call *c, const char *format, ...) {
  char text[MGRAD_ERROR_SIZE];
  va_list args;
  va_start(args, format);
  mgrad_format_list(text, sizeof text, format, args);
  va_end(args);
  return mgrad_fail(c->ctx, MGRAD_INVALID, "%s: %s", c->op->name, text);
}

void mgrad_operand_name(const mgrad_op *op, int i, char *to, size_t size) {
  const char *p = op->operands;
  for (; i > 0 && *p != '\0'; p++) i -= *p == ' ';
  size_t n = strcspn(p, " ?.");
  if (n >= size) n = size - 1;
  memcpy(to, p, n);
  to[n] = '\0';
}

mgrad_status mgrad_check_ids(const mgrad_call *c, int i, const char *what, int64_t high,
                             double ignore) {
  const mgrad_real *ids = c->x[i]->data;
  int64_t n = mgrad_call_numel(c, i);
  for (int64_t k = 0; k < n; k++) {
    double id = (double)ids[k];
    bool fits = id >= 1 && id <= (double)high && id == (double)(int64_t)id;
    if (fits || id == ignore) continue;
    char name[MGRAD_NAME_SIZE];
    mgrad_operand_name(c->op, i, name, sizeof name);
    return mgrad_op_fail(c, "%s[%d] is %g, expected %s from 1 to %d", name, k + 1, id,
                         what, high);
  }
  return MGRAD_OK;
}

/* ---- apply ---- */

/* Everything about one application while it is being set up. */
typedef struct applying {
  mgrad_call call;
  mgrad_tensor **x;            /* packed where the op wants that */
  const mgrad_array **arrays;
  bool *packed;                /* x[i] is a copy made here */
  mgrad_array y;
  mgrad_attrs defaults;
  mgrad_tensor *out;
  mgrad_node *node;
  void *memory;                /* of the three lists, when they are long */
  struct { mgrad_tensor *x[4]; const mgrad_array *arrays[4]; bool packed[4]; } few;
} applying;

/* Are the operands that must be there, there? *count is how many the op sees,
** those left out included. */
static mgrad_status check_operands(const mgrad_op *op, mgrad_context *ctx,
                                   mgrad_tensor *const *x, int n, int *count) {
  bool list = (op->flags & MGRAD_OP_LIST) != 0;
  int words = 0;
  for (const char *p = op->operands; *p != '\0'; words++) {
    size_t length = strcspn(p, " ");
    bool optional = p[length - 1] == '?';
    if (!optional && (words >= n || x[words] == NULL)) {
      char name[MGRAD_NAME_SIZE];
      mgrad_operand_name(op, words, name, sizeof name);
      return mgrad_fail(ctx, MGRAD_INVALID, "%s: %s is missing", op->name, name);
    }
    p += length + (p[length] == ' ');
  }
  int most = list ? MGRAD_MAX_OPERANDS : words;
  if (n > most) {
    return mgrad_fail(ctx, MGRAD_INVALID, "%s: %d operands, expected at most %d", op->name,
                      (int64_t)n, (int64_t)most);
  }
  *count = list ? n : words;
  for (int i = 0; list && i < n; i++) {
    if (x[i] == NULL) {
      return mgrad_fail(ctx, MGRAD_INVALID, "%s: element %d is missing", op->name,
                        (int64_t)i + 1);
    }
  }
  return MGRAD_OK;
}

static mgrad_status make_lists(applying *a, mgrad_context *ctx, int n) {
  if (n <= 4) {
    a->x = a->few.x;
    a->arrays = a->few.arrays;
    a->packed = a->few.packed;
    return MGRAD_OK;
  }
  a->memory = mgrad_new_zeroed(ctx, (size_t)n * (sizeof *a->x + sizeof *a->arrays +
                                                 sizeof *a->packed));
  if (a->memory == NULL) return MGRAD_NOMEM;
  a->x = a->memory;
  a->arrays = (const mgrad_array **)(a->x + n);
  a->packed = (bool *)(a->arrays + n);
  return MGRAD_OK;
}

/* Operands as the op wants them: packed, unless it takes any stride. An expanded
** operand of a product is packed as well, so that memory bounds the sums. */
static mgrad_status take_operands(applying *a, mgrad_tensor *const *x, int n) {
  mgrad_context *ctx = a->call.ctx;
  for (int i = 0; i < n; i++) {
    a->x[i] = x[i];
    if (x[i] == NULL) continue; /* the lists start out as zeros */
    bool any = (a->call.op->flags & MGRAD_OP_STRIDED) != 0;
    if (a->call.op->id == MGRAD_ID_matmul) any = !mgrad_tensor_repeats(x[i]);
    if (!any && !mgrad_shape_packed(&x[i]->a)) {
      MGRAD_TRY(mgrad_apply(&mgrad_op_contiguous, ctx, &x[i], 1, NULL, &a->x[i]));
      a->packed[i] = true;
    }
    a->arrays[i] = &a->x[i]->a;
  }
  return MGRAD_OK;
}

/* Must the op be remembered for a gradient? */
static bool recorded(const applying *a) {
  const mgrad_op *op = a->call.op;
  if (a->call.ctx->no_grad || op->backward == NULL) return false;
  for (int i = 0; i < a->call.n; i++) {
    bool constant = i < 32 && (op->constant >> i & 1) != 0;
    if (a->x[i] != NULL && !constant && mgrad_tensor_tracked(a->x[i])) return true;
  }
  return false;
}

/* May the operands that the op changes be changed? 'x' are those that were given. */
static mgrad_status check_updates(const applying *a, mgrad_tensor *const *x, int n) {
  const mgrad_op *op = a->call.op;
  bool observed = a->call.ctx->observed;
  for (int i = 0; i < n; i++) {
    if (x[i] == NULL || !mgrad_op_updates(op, i)) continue;
    MGRAD_TRY(mgrad_tensor_writable(x[i], op->name));
    for (int j = 0; j < n; j++) {
      if (mgrad_op_updates(op, j) || x[j] == NULL || x[j]->storage != x[i]->storage) continue;
      char name[MGRAD_NAME_SIZE], other[MGRAD_NAME_SIZE];
      mgrad_operand_name(op, i, name, sizeof name);
      mgrad_operand_name(op, j, other, sizeof other);
      return mgrad_op_fail(&a->call, "%s, which is changed in place, shares its numbers with"
                           " %s", name, other);
    }
  }
  a->call.ctx->observed = observed; /* a replay changes them as well */
  return MGRAD_OK;
}

/* After forward: what was changed in a packed copy is changed where it came from. */
static void note_updates(const applying *a, mgrad_tensor *const *x, int n) {
  for (int i = 0; i < n; i++) {
    if (x[i] == NULL || !mgrad_op_updates(a->call.op, i)) continue;
    a->call.ctx->observed |= a->packed[i]; /* a replay would change the copy alone */
    if (a->call.ctx->dry) continue;
    x[i]->storage->version++;
    if (a->packed[i]) mgrad_array_copy(&x[i]->a, a->arrays[i]);
  }
}

static bool attrs_used(const mgrad_op *op) { return mgrad_op_attrs(op) != NULL; }

/* The node, without operands yet. Its block: node, kept, x, attrs, saved, where. */
static mgrad_status make_node(applying *a) {
  mgrad_call *c = &a->call;
  if (mgrad_limit_reached(c->ctx, MGRAD_LIMIT_GRAPH, c->ctx->nodes)) {
    return mgrad_fail(c->ctx, MGRAD_LIMITED,
                      "%s: there are %d recorded ops, as many as this host allows", c->op->name,
                      (int64_t)c->ctx->nodes);
  }
  size_t n = (size_t)c->n, where = c->ctx->anomaly != NULL ? MGRAD_WHERE_SIZE : 0;
  size_t attrs = attrs_used(c->op) ? sizeof(mgrad_attrs) : 0;
  size_t bytes = sizeof(mgrad_node) + (n + 1) * sizeof *a->node->kept +
                 n * sizeof(mgrad_tensor *) + attrs +
                 (size_t)c->nsaved * sizeof(mgrad_real) + where;
  mgrad_node *node = mgrad_new(c->ctx, bytes);
  if (node == NULL) return MGRAD_NOMEM;
  memset(node, 0, bytes - (size_t)c->nsaved * sizeof(mgrad_real) - where);
  node->op = c->op;
  node->n = c->n;
  node->nwork = c->nwork_backward;
  node->kept = (void *)(node + 1);
  node->x = (mgrad_tensor **)(node->kept + n + 1);
  node->saved = (mgrad_real *)(node->x + n);
  if (attrs != 0) {
    mgrad_attrs *copy = (mgrad_attrs *)(node->x + n);
    *copy = *c->attrs;
    node->attrs = copy;
    node->saved = (mgrad_real *)(copy + 1);
  }
  if (where > 0) {
    char *to = (char *)(node->saved + c->nsaved);
    c->ctx->anomaly(c->ctx, to, where);
    node->where = to;
  }
  node->seed = c->seed;
  node->stream = c->stream;
  a->node = node;
  return MGRAD_OK;
}

static void keep(mgrad_node *node, int slot, mgrad_storage *s) {
  s->refs++;
  s->pins++;
  node->kept[slot].storage = s;
  node->kept[slot].version = s->version;
}

/* Ties the node to operands and result; nothing can fail any more. */
static void record(applying *a) {
  mgrad_node *node = a->node;
  for (int i = 0; i < node->n; i++) {
    mgrad_tensor *x = a->x[i];
    if (x == NULL) continue;
    node->x[i] = mgrad_tensor_retain(x);
    if (i < 31 && (node->op->reads >> i & 1) != 0) keep(node, i, x->storage);
  }
  if (mgrad_op_reads_y(node->op, a->call.attrs)) keep(node, node->n, a->out->storage);
  node->order = a->call.ctx->applied++;
  a->call.ctx->nodes++;
  a->out->node = node;
  a->node = NULL;
}

static mgrad_status make_result(applying *a) {
  mgrad_call *c = &a->call;
  mgrad_array checked;
  MGRAD_TRY(mgrad_shape_make(c->ctx, c->y->ndim, c->y->size, &checked));
  if (c->op->flags & MGRAD_OP_VIEW) return mgrad_tensor_view(a->x[0]->storage, c->y, &a->out);
  return mgrad_tensor_like(c->ctx, &checked, &a->out);
}

mgrad_status mgrad_op_run(void (*f)(mgrad_call *c), mgrad_call *c) {
  mgrad_pool *pool = c->ctx->pool;
  if (c->op->updates == 0 || f == c->op->backward) mgrad_pool_watch(pool);
  f(c);
  return mgrad_pool_finish(pool) ? MGRAD_OK : mgrad_fail_interrupted(c->ctx);
}

static mgrad_status run(applying *a) {
  mgrad_call *c = &a->call;
  mgrad_context *ctx = c->ctx;
  MGRAD_TRY(c->op->infer(c));
  if (c->op->check != NULL && !ctx->dry) MGRAD_TRY(c->op->check(c));
  MGRAD_TRY(make_result(a));
  *c->y = a->out->a;
  bool record_it = recorded(a);
  if (record_it) MGRAD_TRY(make_node(a));
  /* scratch; numbers saved for a backward that will not come go there too */
  int64_t spare = c->nwork + (record_it ? 0 : c->nsaved);
  if (spare > 0) c->work = mgrad_new(ctx, (size_t)spare * sizeof *c->work);
  if (spare > 0 && c->work == NULL) return MGRAD_NOMEM;
  c->saved = record_it ? a->node->saved : c->work != NULL ? c->work + c->nwork : NULL;
  bool computes = c->op->forward != NULL && !ctx->dry;
  mgrad_status status = computes ? mgrad_op_run(c->op->forward, c) : MGRAD_OK;
  if (spare > 0) mgrad_free(ctx, c->work);
  MGRAD_TRY(status);
  if (ctx->anomaly != NULL && !ctx->dry) MGRAD_TRY(mgrad_anomaly_forward(c));
  if (c->op->flags & MGRAD_OP_RANDOM) ctx->stream++;
  if (record_it) record(a);
  return MGRAD_OK;
}

mgrad_status mgrad_apply(const mgrad_op *op, mgrad_context *ctx, mgrad_tensor *const *x,
                         int n, const mgrad_attrs *attrs, mgrad_tensor **out) {
  applying a;
  memset(&a, 0, sizeof a);
  int count = 0;
  MGRAD_TRY(check_operands(op, ctx, x, n, &count));
  if (attrs == NULL) {
    mgrad_attrs_default(op->attrs, &a.defaults);
    attrs = &a.defaults;
  }
  if (attrs_used(op)) MGRAD_TRY(mgrad_attrs_check(ctx, op->name, op->attrs, attrs));
  MGRAD_TRY(make_lists(&a, ctx, count));
  a.call = (mgrad_call){ .ctx = ctx, .op = mgrad_op_code(ctx, op), .attrs = attrs, .n = count,
                         .x = a.arrays, .y = &a.y, .seed = ctx->seed, .stream = ctx->stream };
  mgrad_status status = take_operands(&a, x, n);
  if (status == MGRAD_OK && op->updates != 0) status = check_updates(&a, x, n);
  if (status == MGRAD_OK) status = run(&a);
  if (status != MGRAD_OK) {
    if (a.node != NULL) mgrad_free(ctx, a.node);
    mgrad_tensor_release(a.out);
  } else {
    if (op->updates != 0) note_updates(&a, x, n);
    if (ctx->recorder != NULL) ctx->note(ctx->recorder, &a.call, a.x, a.out);
    *out = a.out;
  }
  for (int i = 0; i < n; i++) {
    if (a.packed[i]) mgrad_tensor_release(a.x[i]);
  }
  mgrad_free(ctx, a.memory);
  return status;
}
