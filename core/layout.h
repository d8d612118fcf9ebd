/*
** layout.h - which numbers of a recording live from when to when, and where.
*/
#ifndef MGRAD_LAYOUT_H
#define MGRAD_LAYOUT_H

#include "plan.h"

/* A stretch of numbers that lives from one step to another; steps count on
** from forward into backward. */
typedef struct mgrad_span {
  mgrad_storage *storage;       /* of a tensor of the recording, or NULL */
  const mgrad_real *start;      /* what its first number is a copy of */
  int64_t numel, offset;
  int first, last;
} mgrad_span;

/* What is known of one noted op while the plan is made. */
typedef struct mgrad_detail {
  int y;          /* buffer of its result (of the viewed one, for a view) */
  int dy;         /* buffer of its gradient, -1 = no gradient flows */
  int saved, work, work_back, packed; /* -1 = none */
  int back;       /* time of its backward */
  int first;      /* time of the first that writes to dy; 0 = none */
  bool begun;     /* something has been written to dy */
} mgrad_detail;

typedef struct mgrad_layout {
  const mgrad_recorder *r;
  mgrad_detail *details;
  mgrad_span *buffers;
  int nbuffers;
  int *placed;       /* those that have a place */
  int nplaced;
  int64_t numel;     /* of the block */
  int nbackward;
  size_t noperands;
} mgrad_layout;

/* Gives each number that the notes make or need a place in one block. MGRAD_INVALID, with no
** sentence of its own, where they cannot be a plan. Ended also where it fails. */
mgrad_status mgrad_layout_begin(mgrad_layout *l, const mgrad_recorder *r,
                                const mgrad_plan_ends *e);
void mgrad_layout_end(mgrad_layout *l);

/* Does a gradient flow from note 'at' to its operand i? */
bool mgrad_flows(const mgrad_layout *l, const mgrad_note *note, int at, int i);

/* The buffer of a storage that is the result of a note or an input; else -1. */
static inline int mgrad_span_of(const mgrad_storage *s) { return s->mark - 1; }

/* The note that made t, or -1 for what comes from outside. */
static inline int mgrad_maker(const mgrad_tensor *t, int before) {
  return t->note <= before ? t->note - 1 : -1;
}

#endif
