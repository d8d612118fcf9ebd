/*
** fuse.c - takes activations in a recording into the ops in front of them.
*/
#include "plan.h"

/* Counts in the marks how often the notes, and whoever runs the plan, look at each
** storage; or takes all marks away. */
static void mark(const mgrad_recorder *r, const mgrad_plan_ends *e, bool count) {
#define MARK(t) if ((t) != NULL) (t)->storage->mark = count ? (t)->storage->mark + 1 : 0
  MARK(e->prediction);
  MARK(e->loss);
  for (int k = 0; k < r->count; k++)
    for (int i = 0; i < r->notes[k].n; i++) MARK(r->notes[k].x[i]);
}

/* Is the note an activation that any op can put on top of its result? */
static bool is_plain_activation(const mgrad_note *note) {
  double p[MGRAD_MAX_ATTRS];
  if (!(note->op->flags & MGRAD_OP_ACTIVATION) || !mgrad_op_fusible(note->op)) return false;
  const mgrad_attr_spec *specs = mgrad_attrs_listed(mgrad_op_attrs(note->op));
  mgrad_attrs_initial(specs, p);
  for (int i = 0; specs[i].type != MGRAD_ATTR_NONE; i++)
    if (note->attrs.value[i] != p[i]) return false;
  return true;
}

/* Takes 'next' into the note, where they fit; its result is then that of 'next'. */
static bool take_in(mgrad_context *ctx, mgrad_note *note, mgrad_note *next) {
  int act = mgrad_op_act(note->op);
  const mgrad_array *x[MGRAD_FUSE_OPERANDS];
  if (act < 0 || note->attrs.value[act] >= 0 || note->n > MGRAD_FUSE_OPERANDS) return false;
  for (int i = 0; i < note->n; i++) x[i] = note->x[i] != NULL ? &note->x[i]->a : NULL;
  mgrad_attrs attrs = note->attrs;
  mgrad_array y = { 0 };
  mgrad_call call = { .ctx = ctx, .op = mgrad_op_code(ctx, note->op), .attrs = &attrs,
                      .n = note->n, .x = x, .y = &y };
  attrs.value[act] = next->op->id;
  if (call.op->infer(&call) != MGRAD_OK) return false;
  note->attrs = attrs;
  note->nsaved = call.nsaved, note->npacked = call.npacked;
  note->nwork = call.nwork, note->nwork_backward = call.nwork_backward;
  mgrad_tensor *between = note->y;
  note->y = next->y;
  next->y = between;
  return true;
}

void mgrad_fuse(mgrad_recorder *r, const mgrad_plan_ends *e) {
  int kept = 0;
  mark(r, e, true);
  for (int k = 0; k < r->count; k++) {
    mgrad_note *note = &r->notes[k], *last = kept > 0 ? &r->notes[kept - 1] : NULL;
    if (last != NULL && note->n == 1 && note->x[0] == last->y && note->quiet == last->quiet &&
        last->y->storage->mark == 1 && is_plain_activation(note) && take_in(r->ctx, last, note)) {
      note->x[0]->storage->mark = 0;
      mgrad_note_free(r, note);
      *note = (mgrad_note){ .n = 0 };
    } else {
      if (kept < k) r->notes[kept] = *note, *note = (mgrad_note){ .n = 0 };
      kept++;
    }
  }
  r->count = kept;
  mark(r, e, false);
}
