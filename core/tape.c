/*
** tape.c - ordering a graph, and backward through it. No recursion: a graph
** may be a chain of a million ops.
*/
#include "tape.h"
#include "kernels/kernels.h"

/* Memory for the gradient of one result. */
struct mgrad_buffer {
  mgrad_buffer *all;  /* every buffer of the tape */
  mgrad_buffer *next; /* among the idle ones */
  int64_t numel;
};

static mgrad_real *buffer_data(mgrad_buffer *b) {
  uintptr_t p = (uintptr_t)(b + 1);
  return (mgrad_real *)((p + MGRAD_ALIGN - 1) & ~(uintptr_t)(MGRAD_ALIGN - 1));
}

/* An idle buffer of fitting size, or a new one. */
static mgrad_buffer *buffer_take(mgrad_tape *tape, int64_t numel) {
  for (mgrad_buffer **p = &tape->idle; *p != NULL; p = &(*p)->next) {
    mgrad_buffer *b = *p;
    if (b->numel < numel || b->numel / 2 > numel) continue;
    *p = b->next;
    return b;
  }
  size_t bytes = sizeof(mgrad_buffer) + MGRAD_ALIGN + (size_t)numel * sizeof(mgrad_real);
  mgrad_buffer *b = mgrad_new(tape->ctx, bytes);
  if (b == NULL) return NULL;
  *b = (mgrad_buffer){ .all = tape->buffers, .numel = numel };
  tape->buffers = b;
  return b;
}

static void buffer_give(mgrad_tape *tape, mgrad_buffer *b) {
  b->next = tape->idle;
  tape->idle = b;
}

/* ---- which operands a gradient flows to ---- */

static bool collects(const mgrad_tape *tape, const mgrad_tensor *leaf) {
  return tape->selective ? leaf->wanted : leaf->requires_grad;
}

static bool flows(const mgrad_tape *tape, const mgrad_node *node, int i) {
  const mgrad_tensor *x = node->x[i];
  if (x == NULL || (i < 32 && (node->op->constant >> i & 1) != 0)) return false;
  return x->node != NULL || collects(tape, x);
}

/* ---- order ---- */

static mgrad_status fresh(const mgrad_tape *tape, const mgrad_node *node) {
  for (int i = 0; i <= node->n; i++) {
    const mgrad_storage *s = node->kept[i].storage;
    if (s == NULL || s->version == node->kept[i].version) continue;
    return mgrad_fail(tape->ctx, MGRAD_INVALID,
                      "backward: %s needs a tensor that was changed in place since (by an"
                      " optimizer step, perhaps)", node->op->name);
  }
  for (int i = 0; i < node->n; i++) {
    if (node->x[i] == NULL || !node->x[i]->consumed) continue;
    return mgrad_fail(tape->ctx, MGRAD_INVALID,
                      "backward: was called before on a part of this graph; use"
                      " {retain=true} there, or detach()");
  }
  return MGRAD_OK;
}

/* Lists every node below the loss. The list is complete, and its marks can be
** taken back, even when this fails. */
static mgrad_status discover(mgrad_tape *tape) {
  mgrad_status status = MGRAD_OK;
  mgrad_tensor *last = tape->loss;
  last->node->seen = true;
  last->next = NULL;
  for (mgrad_tensor *t = tape->loss; t != NULL && status == MGRAD_OK; t = t->next) {
    mgrad_node *node = t->node;
    status = fresh(tape, node);
    for (int i = 0; i < node->n; i++) {
      if (!flows(tape, node, i) || node->x[i]->node == NULL) continue;
      mgrad_tensor *x = node->x[i];
      if (x->node->seen) continue;
      x->node->seen = true;
      x->next = NULL;
      last = last->next = x;
    }
  }
  return status;
}

/* Takes the marks of discover back. */
static void unmark(mgrad_tensor *list) {
  for (mgrad_tensor *t = list; t != NULL; t = t->next) {
    t->node->seen = false;
    t->node->dy = NULL;
  }
}

/* Cuts the first run that is in order (the latest op first) off a list. */
static mgrad_tensor *cut_run(mgrad_tensor *list) {
  while (list->next != NULL && list->node->order > list->next->node->order) list = list->next;
  mgrad_tensor *rest = list->next;
  list->next = NULL;
  return rest;
}

static mgrad_tensor *merge(mgrad_tensor *a, mgrad_tensor *b) {
  mgrad_tensor *first = NULL, **end = &first;
  while (a != NULL && b != NULL) {
    mgrad_tensor **later = a->node->order > b->node->order ? &a : &b;
    *end = *later;
    end = &(*end)->next;
    *later = *end;
  }
  *end = a != NULL ? a : b;
  return first;
}

/* Sorts the list of discover by the reverse of the order in which the ops were
** applied, and holds on to all of it. Runs that are in order already, as in a
** chain, are merged as they are. */
static void sort(mgrad_tape *tape) {
  mgrad_tensor *piles[64] = { NULL }; /* pile k holds 2^k runs, or none */
  for (mgrad_tensor *rest = tape->loss; rest != NULL;) {
    mgrad_tensor *run = rest;
    rest = cut_run(run);
    int k = 0;
    for (; piles[k] != NULL; k++) {
      run = merge(piles[k], run);
      piles[k] = NULL;
    }
    piles[k] = run;
  }
  for (int k = 0; k < 64; k++) tape->first = merge(tape->first, piles[k]);
  for (mgrad_tensor *t = tape->first; t != NULL; t = t->next) {
    t->node->seen = false; /* from here on: its gradient has been begun */
    mgrad_tensor_retain(t);
  }
}

/* ---- room ---- */

static mgrad_status place(mgrad_tape *tape, mgrad_node *node) {
  for (int i = 0; i < node->n; i++) {
    if (!flows(tape, node, i)) continue;
    mgrad_tensor *x = node->x[i];
    if (x->node == NULL) {
      MGRAD_TRY(mgrad_tensor_place_grad(x));
    } else if (x->node->dy == NULL) {
      x->node->buffer = buffer_take(tape, mgrad_tensor_numel(x));
      if (x->node->buffer == NULL) return MGRAD_NOMEM;
      x->node->dy = buffer_data(x->node->buffer);
    }
  }
  if (node->n > tape->operands) tape->operands = node->n;
  if (node->nwork > tape->nwork) tape->nwork = node->nwork;
  buffer_give(tape, node->buffer);
  return MGRAD_OK;
}

static mgrad_status make_room(mgrad_tape *tape) {
  mgrad_node *last = tape->loss->node;
  if ((last->buffer = buffer_take(tape, 1)) == NULL) return MGRAD_NOMEM;
  last->dy = buffer_data(last->buffer);
  for (mgrad_tensor *t = tape->first; t != NULL; t = t->next) {
    MGRAD_TRY(place(tape, t->node));
  }
  size_t n = (size_t)tape->operands;
  size_t bytes = (size_t)tape->nwork * sizeof(mgrad_real) +
                 n * (sizeof(mgrad_array *) + sizeof(mgrad_real *) + sizeof(bool)) +
                 sizeof(double); /* so that the lists can be aligned behind the scratch */
  tape->memory = mgrad_new(tape->ctx, bytes);
  return tape->memory != NULL ? MGRAD_OK : MGRAD_NOMEM;
}

mgrad_status mgrad_tape_open(mgrad_tape *tape, mgrad_tensor *loss, bool selective) {
  *tape = (mgrad_tape){ .ctx = loss->ctx, .loss = loss, .selective = selective };
  mgrad_status status = discover(tape);
  if (status != MGRAD_OK) {
    unmark(loss);
    return status;
  }
  sort(tape);
  status = make_room(tape);
  if (status != MGRAD_OK) mgrad_tape_close(tape, true);
  return status;
}

/* ---- the way back ---- */

/* Where the gradient of x goes, and whether something is there already. */
static mgrad_real *target(mgrad_tensor *x, bool *add) {
  if (x->node != NULL) {
    *add = x->node->seen;
    x->node->seen = true;
    return x->node->dy;
  }
  *add = x->has_grad && !mgrad_tensor_grad_zero(x);
  x->has_grad = true;
  x->zeroed = 0;
  return x->grad->a.data;
}

static mgrad_status step(mgrad_tape *tape, mgrad_tensor *t) {
  static const mgrad_attrs none;
  mgrad_node *node = t->node;
  size_t n = (size_t)tape->operands;
  size_t scratch = ((size_t)tape->nwork * sizeof(mgrad_real) + sizeof(double) - 1) /
                   sizeof(double) * sizeof(double);
  const mgrad_array **x = (const mgrad_array **)((char *)tape->memory + scratch);
  mgrad_real **dx = (mgrad_real **)(x + n);
  bool *add = (bool *)(dx + n);
  for (int i = 0; i < node->n; i++) {
    x[i] = node->x[i] != NULL ? &node->x[i]->a : NULL;
    dx[i] = flows(tape, node, i) ? target(node->x[i], &add[i]) : NULL;
  }
  mgrad_call call = { .ctx = tape->ctx, .op = node->op,
                      .attrs = node->attrs != NULL ? node->attrs : &none, .n = node->n,
                      .x = x, .y = &t->a, .dx = dx, .add = add, .dy = node->dy,
                      .saved = node->saved, .work = tape->memory,
                      .nwork_backward = node->nwork, .seed = node->seed,
                      .stream = node->stream };
  MGRAD_TRY(mgrad_op_run(node->op->backward, &call));
  if (tape->ctx->anomaly == NULL) return MGRAD_OK;
  return mgrad_anomaly_backward(&call, node->where != NULL ? node->where : "");
}

/* A result that was asked for keeps a copy of its gradient. */
static void collect(const mgrad_tape *tape, mgrad_tensor *t) {
  if (!tape->selective || !t->wanted) return;
  memcpy(t->grad->a.data, t->node->dy, (size_t)mgrad_tensor_numel(t) * sizeof(mgrad_real));
  t->has_grad = true;
}

/* Gradients that are not whole are none. */
static void drop_gradients(const mgrad_tape *tape) {
  for (const mgrad_tensor *t = tape->first; t != NULL; t = t->next) {
    for (int i = 0; i < t->node->n; i++) {
      mgrad_tensor *x = t->node->x[i];
      if (flows(tape, t->node, i) && x->node == NULL) x->has_grad = false;
    }
  }
}

mgrad_status mgrad_tape_run(mgrad_tape *tape) {
  mgrad_status status = MGRAD_OK;
  tape->loss->node->dy[0] = 1;
  for (mgrad_tensor *t = tape->first; t != NULL && status == MGRAD_OK; t = t->next) {
    collect(tape, t);
    status = step(tape, t);
  }
  if (status == MGRAD_INTERRUPTED) drop_gradients(tape);
  return status;
}

void mgrad_tape_close(mgrad_tape *tape, bool retain) {
  unmark(tape->first);
  for (mgrad_tensor *t = tape->first, *next; t != NULL; t = next) {
    next = t->next;
    if (!retain) mgrad_tensor_forget(t);
    mgrad_tensor_release(t);
  }
  for (mgrad_buffer *b = tape->buffers, *all; b != NULL; b = all) {
    all = b->all;
    mgrad_free(tape->ctx, b);
  }
  mgrad_free(tape->ctx, tape->memory);
}

/* ---- public ---- */

static mgrad_status check_loss(const mgrad_tensor *loss) {
  if (mgrad_tensor_numel(loss) != 1) {
    return mgrad_fail(loss->ctx, MGRAD_INVALID,
                      "backward: the loss is %a, expected a single number", &loss->a);
  }
  if (loss->consumed) {
    return mgrad_fail(loss->ctx, MGRAD_INVALID,
                      "backward: was called before on this graph; use {retain=true} the"
                      " first time");
  }
  if (!mgrad_tensor_tracked(loss)) {
    return mgrad_fail(loss->ctx, MGRAD_INVALID,
                      "backward: the loss does not depend on a tensor that requires a"
                      " gradient");
  }
  return MGRAD_OK;
}

/* d loss / d loss, for a loss that is itself the leaf. */
static mgrad_status backward_leaf(mgrad_tensor *loss) {
  MGRAD_TRY(mgrad_tensor_place_grad(loss));
  bool add;
  mgrad_real *dy = target(loss, &add);
  *dy = add ? *dy + 1 : 1;
  return MGRAD_OK;
}

mgrad_status mgrad_backward(mgrad_tensor *loss, int retain) {
  MGRAD_TRY(check_loss(loss));
  if (loss->node == NULL) return backward_leaf(loss);
  mgrad_tape tape;
  MGRAD_TRY(mgrad_tape_open(&tape, loss, false));
  mgrad_status status = mgrad_tape_run(&tape);
  mgrad_tape_close(&tape, retain || status != MGRAD_OK);
  return status;
}

/* Exchanges what a tensor has collected with another place and state. */
typedef struct place_of_grad {
  mgrad_tensor *grad;
  uint64_t zeroed;
  bool has_grad, wanted;
} place_of_grad;

static void exchange(mgrad_tensor *t, place_of_grad *p) {
  place_of_grad now = { t->grad, t->zeroed, t->has_grad, t->wanted };
  t->grad = p->grad;
  t->zeroed = p->zeroed;
  t->has_grad = p->has_grad;
  t->wanted = p->wanted;
  *p = now;
}

static mgrad_status gradients(mgrad_tensor *loss, mgrad_tensor *const *of, int n, bool retain,
                              place_of_grad *places, mgrad_tensor **out) {
  mgrad_tape tape;
  mgrad_status status = MGRAD_OK;
  for (int i = 0; i < n; i++) {
    mgrad_array_fill(&out[i]->a, 0); /* what does not take part has gradient 0 */
    places[i] = (place_of_grad){ .grad = out[i], .wanted = true };
    exchange(of[i], &places[i]);
  }
  if (loss->node == NULL) {
    if (loss->wanted) status = backward_leaf(loss);
  } else if ((status = mgrad_tape_open(&tape, loss, true)) == MGRAD_OK) {
    status = mgrad_tape_run(&tape);
    mgrad_tape_close(&tape, retain || status != MGRAD_OK);
  }
  for (int i = n - 1; i >= 0; i--) exchange(of[i], &places[i]);
  return status;
}

mgrad_status mgrad_gradients(mgrad_tensor *loss, mgrad_tensor *const *of, int n, int retain,
                             mgrad_tensor **out) {
  MGRAD_TRY(check_loss(loss));
  mgrad_context *ctx = loss->ctx;
  place_of_grad *places = mgrad_new(ctx, (size_t)(n > 0 ? n : 1) * sizeof *places);
  if (places == NULL) return MGRAD_NOMEM;
  mgrad_status status = MGRAD_OK;
  int made = 0;
  for (; made < n && status == MGRAD_OK; made += status == MGRAD_OK) {
    status = mgrad_tensor_like(ctx, &of[made]->a, &out[made]);
  }
  if (status == MGRAD_OK) status = gradients(loss, of, n, retain != 0, places, out);
  if (status != MGRAD_OK) {
    for (int i = 0; i < made; i++) mgrad_tensor_release(out[i]);
  }
  mgrad_free(ctx, places);
  return status;
}
