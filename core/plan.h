/*
** plan.h - a frozen recording: every op of a step laid out once, replayed
** without allocation.
**
** A recorder notes each op that is applied, in order. mgrad_plan_new turns the
** notes into two lists of calls, forward and back, whose operands, results,
** gradients and scratch have fixed places in one block. Buffers share a place
** when their lives do not overlap. Values from outside (parameters, constants)
** are read where they are. A plan gives the same bits as the ops it was made
** from.
*/
#ifndef MGRAD_PLAN_H
#define MGRAD_PLAN_H

#include "op.h"

typedef struct mgrad_note {
  const mgrad_op *op;    /* baseline descriptor */
  mgrad_attrs attrs;
  int n;
  mgrad_tensor **x, *y;  /* held */
  int64_t nsaved, nwork, nwork_backward, npacked;
  bool quiet;            /* applied where gradients were not recorded */
} mgrad_note;

typedef struct mgrad_recorder {
  mgrad_context *ctx;
  mgrad_note *notes;
  int count, room;
  bool spoiled; /* memory failed, or the step depends on more than its operands */
} mgrad_recorder;

/* Between these two, which do not nest, every op applied in the context is noted. */
void mgrad_record_begin(mgrad_recorder *r, mgrad_context *ctx);
void mgrad_record_end(mgrad_recorder *r);
/* Drops one note, or all. */
void mgrad_note_free(mgrad_recorder *r, mgrad_note *note);
void mgrad_record_free(mgrad_recorder *r);

typedef struct mgrad_plan mgrad_plan;

/* What goes in and what is wanted. 'x' and 'y' (or NULL) are packed: the plan has
** places of its own for them. With a 'loss' (or NULL) it also runs back. */
typedef struct mgrad_plan_ends {
  const mgrad_tensor *x, *y, *prediction, *loss;
} mgrad_plan_ends;

/* Makes one note of an op and an activation behind it that nothing else comes in between
** of: the same bits by one way through the numbers less. */
enum { MGRAD_FUSE_OPERANDS = 4 };
void mgrad_fuse(mgrad_recorder *r, const mgrad_plan_ends *ends);
/*
** Freezes what 'r' has noted, fused; the plan's only allocation. MGRAD_INVALID, with no
** sentence of its own, where the notes cannot be frozen.
*/
mgrad_status mgrad_plan_new(mgrad_recorder *r, const mgrad_plan_ends *ends, mgrad_plan **out);
void mgrad_plan_release(mgrad_plan *p);

/* Does the plan still fit its parameters, layers and instruction set? */
bool mgrad_plan_fresh(const mgrad_plan *p);
/* Where inputs go and results are. */
const mgrad_array *mgrad_plan_x(const mgrad_plan *p);
const mgrad_array *mgrad_plan_y(const mgrad_plan *p);
const mgrad_array *mgrad_plan_prediction(const mgrad_plan *p);
mgrad_real mgrad_plan_loss(const mgrad_plan *p);

/*
** Fails only where an op's check of values (labels) does, or the host interrupts; nothing
** has happened to parameters then. With 'until' (or NULL) it may come to MGRAD_PAUSED: the
** same call then goes on where it was, also where 'until' has no clock any more.
*/
#define MGRAD_PAUSED ((mgrad_status)(MGRAD_INTERRUPTED + 1)) /* never leaves the core */
mgrad_status mgrad_plan_forward(mgrad_plan *p, mgrad_until *until);
/* Fills the gradients of all parameters that take part, overwriting them. Fails only where
** the host interrupts: they are no gradients then, nor while it is paused. */
mgrad_status mgrad_plan_backward(mgrad_plan *p, mgrad_until *until);
/* After a pause: remembers what the rest depends on, once all is as the host will find it. */
void mgrad_plan_seal(mgrad_plan *p);
/* Is all of that as it was: parameters, gradients, layers, settings? */
bool mgrad_plan_sealed(const mgrad_plan *p);
/* Forgets that it is paused. */
void mgrad_plan_rewind(mgrad_plan *p);

#endif
