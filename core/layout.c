/*
** layout.c - when each buffer of a plan lives, and which place it shares with others.
*/
#include "layout.h"

static int add_buffer(mgrad_layout *l, mgrad_storage *s, int64_t numel, int first, int last) {
  if (numel == 0) return -1;
  l->buffers[l->nbuffers++] = (mgrad_span){ .storage = s, .start = s != NULL ? s->data : NULL,
    .numel = numel, .offset = -1, .first = first, .last = last };
  if (s != NULL) s->mark = l->nbuffers;
  return l->nbuffers - 1;
}

static void live_until(mgrad_layout *l, int b, int time) {
  if (b >= 0 && l->buffers[b].last < time) l->buffers[b].last = time;
}

static bool is_constant(const mgrad_note *note, int i) {
  return i < 32 && (note->op->constant >> i & 1) != 0;
}

static bool backward_reads(const mgrad_note *note, int i) {
  return i >= 31 || (note->op->reads >> i & 1) != 0;
}

bool mgrad_flows(const mgrad_layout *l, const mgrad_note *note, int at, int i) {
  const mgrad_tensor *x = note->x[i];
  if (x == NULL || is_constant(note, i) || note->op->backward == NULL) return false;
  if (note->quiet) return false;
  int made = mgrad_maker(x, at);
  return made >= 0 ? l->details[made].dy >= 0 : x->requires_grad;
}

/* Which results a gradient can flow through; dy is 0 there for now, else -1. */
static void find_tracked(mgrad_layout *l) {
  for (int k = 0; k < l->r->count; k++) {
    const mgrad_note *note = &l->r->notes[k];
    mgrad_detail *d = &l->details[k];
    d->dy = -1;
    for (int i = 0; i < note->n; i++) {
      if (mgrad_flows(l, note, k, i)) d->dy = 0;
    }
  }
}

/* Keeps of those only what the loss depends on, and numbers the way back. The last to read
** a result is the first to write to its gradient. */
static void find_needed(mgrad_layout *l, int loss) {
  const mgrad_recorder *r = l->r;
  for (int k = r->count - 1; k >= 0; k--) {
    const mgrad_note *note = &r->notes[k];
    mgrad_detail *d = &l->details[k];
    if (k != loss && d->first == 0) d->dy = -1;
    if (d->dy < 0) continue;
    d->back = r->count + l->nbackward++;
    if (d->first == 0) d->first = d->back;
    for (int i = 0; i < note->n; i++) {
      int made = note->x[i] != NULL && !is_constant(note, i) ? mgrad_maker(note->x[i], k) : -1;
      if (made >= 0 && l->details[made].first == 0) l->details[made].first = d->back;
    }
  }
}

/* Results, and how long each is looked at. */
static void place_results(mgrad_layout *l) {
  for (int k = 0; k < l->r->count; k++) {
    const mgrad_note *note = &l->r->notes[k];
    mgrad_detail *d = &l->details[k];
    bool view = (note->op->flags & MGRAD_OP_VIEW) != 0;
    d->y = mgrad_span_of(note->y->storage);
    if (d->y < 0 && !view) {
      d->y = add_buffer(l, note->y->storage, mgrad_tensor_numel(note->y), k, k);
    }
    for (int i = 0; i < note->n; i++) {
      if (note->x[i] == NULL) continue;
      int b = mgrad_span_of(note->x[i]->storage);
      live_until(l, b, d->dy >= 0 && backward_reads(note, i) ? d->back : k);
    }
    if (d->dy >= 0 && mgrad_op_reads_y(note->op, &note->attrs)) live_until(l, d->y, d->back);
    int end = d->dy >= 0 ? d->back : k;
    bool packs = l->nbackward == 0 && note->npacked > 0 &&
                 mgrad_span_of(note->x[1]->storage) < 0; /* comes from outside */
    d->packed = packs ? add_buffer(l, NULL, note->npacked, 0, l->r->count) : -1;
    d->saved = add_buffer(l, NULL, note->nsaved, k, end);
    d->work = add_buffer(l, NULL, note->nwork, k, k);
    d->work_back = d->dy >= 0 ? add_buffer(l, NULL, note->nwork_backward, end, end) : -1;
  }
}

/* Gradients of results: from the first use that writes to it, to its mgrad_maker. */
static void place_gradients(mgrad_layout *l) {
  for (int k = 0; k < l->r->count; k++) {
    mgrad_detail *d = &l->details[k];
    if (d->dy < 0) continue;
    d->dy = add_buffer(l, NULL, mgrad_tensor_numel(l->r->notes[k].y), d->first, d->back);
  }
}

static int64_t rounded(int64_t numel) {
  int64_t unit = MGRAD_ALIGN / (int64_t)sizeof(mgrad_real);
  return (numel + unit - 1) / unit * unit;
}

/* Puts buffer b at the lowest place that no buffer placed before it and alive at
** the same time takes up. Those are kept in the order of their places. */
static void place_buffer(mgrad_layout *l, int b) {
  mgrad_span *own = &l->buffers[b];
  int64_t at = 0;
  for (int i = 0; i < l->nplaced; i++) {
    const mgrad_span *o = &l->buffers[l->placed[i]];
    if (o->last < own->first || own->last < o->first) continue;
    if (at + own->numel <= o->offset) break;
    int64_t end = o->offset + rounded(o->numel);
    if (end > at) at = end;
  }
  int k = l->nplaced++;
  for (; k > 0 && l->buffers[l->placed[k - 1]].offset > at; k--) {
    l->placed[k] = l->placed[k - 1];
  }
  l->placed[k] = b;
  own->offset = at;
  if (at + rounded(own->numel) > l->numel) l->numel = at + rounded(own->numel);
}

/* Is buffer a placed before b? Large ones first: the small ones then fit into the gaps. */
static bool goes_before(const mgrad_layout *l, int a, int b) {
  int64_t left = l->buffers[a].numel, right = l->buffers[b].numel;
  return left != right ? left > right : a < b;
}

/* Shell's sort, then each in its turn. */
static void place_all(mgrad_layout *l, int *order) {
  int n = l->nbuffers, gap = 1;
  for (int i = 0; i < n; i++) order[i] = i;
  while (gap < n / 3) gap = 3 * gap + 1;
  for (; gap > 0; gap /= 3)
    for (int i = gap; i < n; i++) {
      int b = order[i], k = i;
      for (; k >= gap && goes_before(l, b, order[k - gap]); k -= gap) order[k] = order[k - gap];
      order[k] = b;
    }
  for (int i = 0; i < n; i++) place_buffer(l, order[i]);
}

/* Is there an operand from outside that lies in an input's storage? It would be
** looked for in the input's place. Nor can an input be a parameter, or be changed. */
static bool tangled(const mgrad_layout *l, const mgrad_tensor *input) {
  if (input != NULL && input->requires_grad) return true;
  for (int k = 0; input != NULL && k < l->r->count; k++) {
    const mgrad_note *note = &l->r->notes[k];
    for (int i = 0; i < note->n; i++) {
      const mgrad_tensor *x = note->x[i];
      if (x == NULL || x->storage != input->storage) continue;
      if (mgrad_op_updates(note->op, i)) return true;
      if (x != input && mgrad_maker(x, k) < 0) return true;
    }
  }
  return false;
}

/* Does a gradient flow into a graph from outside, which a backward would go on into? */
static bool leads_out(const mgrad_layout *l) {
  for (int k = 0; k < l->r->count; k++) {
    const mgrad_note *note = &l->r->notes[k];
    for (int i = 0; i < note->n && !note->quiet && note->op->backward != NULL; i++) {
      const mgrad_tensor *x = note->x[i];
      if (x == NULL || is_constant(note, i) || x->requires_grad) continue;
      if (mgrad_tensor_tracked(x) && mgrad_maker(x, k) < 0) return true;
    }
  }
  return false;
}

/* A place for an input, which may be a part of something larger. */
static void place_input(mgrad_layout *l, const mgrad_tensor *t, int end) {
  l->buffers[add_buffer(l, t->storage, mgrad_tensor_numel(t), 0, end)].start = t->a.data;
}

static mgrad_status lay_out(mgrad_layout *l, const mgrad_plan_ends *e) {
  const mgrad_recorder *r = l->r;
  if (tangled(l, e->x) || tangled(l, e->y)) return MGRAD_INVALID;
  if (e->loss != NULL && leads_out(l)) return MGRAD_INVALID;
  int end = r->count, loss = e->loss != NULL ? mgrad_maker(e->loss, r->count) : -1;
  place_input(l, e->x, end);
  if (e->y != NULL) place_input(l, e->y, end);
  find_tracked(l);
  find_needed(l, loss);
  if (e->loss != NULL && (loss < 0 || l->details[loss].dy < 0)) return MGRAD_INVALID;
  place_results(l);
  /* what the caller looks at between the way there and the way back */
  live_until(l, mgrad_span_of(e->prediction->storage), end);
  if (e->loss != NULL) live_until(l, mgrad_span_of(e->loss->storage), end);
  place_gradients(l);
  place_all(l, l->placed + l->nbuffers);
  return MGRAD_OK;
}

mgrad_status mgrad_layout_begin(mgrad_layout *l, const mgrad_recorder *r,
                                const mgrad_plan_ends *e) {
  size_t n = (size_t)r->count, most = 6 * n + 2; /* buffers: result, packed, saved, 2 work, dy */
  size_t bytes = n * sizeof(mgrad_detail) + most * (sizeof(mgrad_span) + 2 * sizeof(int));
  *l = (mgrad_layout){ .r = r };
  l->buffers = mgrad_new_zeroed(r->ctx, bytes);
  if (l->buffers == NULL) return MGRAD_NOMEM;
  l->details = (mgrad_detail *)(void *)(l->buffers + most);
  l->placed = (int *)(l->details + n);
  for (size_t k = 0; k < n; k++) {
    l->noperands += (size_t)r->notes[k].n;
    r->notes[k].y->note = (int)k + 1;
  }
  mgrad_status status = lay_out(l, e);
  if (status != MGRAD_OK) mgrad_layout_end(l);
  return status;
}

void mgrad_layout_end(mgrad_layout *l) {
  for (int k = 0; k < l->r->count; k++) l->r->notes[k].y->note = 0;
  for (int i = 0; i < l->nbuffers; i++) {
    if (l->buffers[i].storage != NULL) l->buffers[i].storage->mark = 0;
  }
  mgrad_free(l->r->ctx, l->buffers);
}
