/*
** record.c - notes every op of a step, for plans.
*/
#include "plan.h"

void mgrad_note_free(mgrad_recorder *r, mgrad_note *old) {
  for (int i = 0; i < old->n; i++) mgrad_tensor_release(old->x[i]);
  mgrad_tensor_release(old->y);
  mgrad_free(r->ctx, old->x);
}

void mgrad_record_free(mgrad_recorder *r) {
  for (int i = 0; i < r->count; i++) mgrad_note_free(r, &r->notes[i]);
  mgrad_free(r->ctx, r->notes);
  r->notes = NULL;
  r->count = r->room = 0;
}

static bool make_room(mgrad_recorder *r) {
  if (r->count < r->room) return true;
  int room = r->room > 0 ? 2 * r->room : 16;
  mgrad_note *notes = mgrad_new(r->ctx, (size_t)room * sizeof *notes);
  if (notes == NULL) return false;
  if (r->count > 0) memcpy(notes, r->notes, (size_t)r->count * sizeof *notes);
  mgrad_free(r->ctx, r->notes);
  r->notes = notes;
  r->room = room;
  return true;
}

static void note_call(mgrad_recorder *r, const mgrad_call *c, mgrad_tensor *const *x,
                 mgrad_tensor *y) {
  mgrad_tensor **held = NULL;
  if (!r->spoiled && make_room(r)) {
    held = mgrad_new(r->ctx, (size_t)c->n * sizeof *held);
  }
  if (held == NULL) {
    r->spoiled = true;
    return;
  }
  mgrad_note *new = &r->notes[r->count++];
  *new = (mgrad_note){ .op = c->op, .attrs = *c->attrs, .n = c->n, .x = held,
                       .y = mgrad_tensor_retain(y), .nsaved = c->nsaved,
                       .nwork = c->nwork, .nwork_backward = c->nwork_backward,
                       .npacked = c->npacked, .quiet = r->ctx->no_grad };
  for (int i = 0; i < c->n; i++) held[i] = x[i] != NULL ? mgrad_tensor_retain(x[i]) : NULL;
}

void mgrad_record_begin(mgrad_recorder *r, mgrad_context *ctx) {
  *r = (mgrad_recorder){ .ctx = ctx };
  ctx->recorder = r;
  ctx->note = note_call;
  ctx->observed = false;
}

void mgrad_record_end(mgrad_recorder *r) {
  r->ctx->recorder = NULL;
  r->spoiled = r->spoiled || r->ctx->observed;
}
