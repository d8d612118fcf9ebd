/*
** tape.h - what was applied, in order, and the way back through it.
**
** Recording is done by apply: each result holds the node that made it, each
** node its operands. A tape is that graph below one loss, put in order. It is
** set up completely, every buffer included, before the first gradient is
** written: backward does all of its work or none.
*/
#ifndef MGRAD_TAPE_H
#define MGRAD_TAPE_H

#include "op.h"

typedef struct mgrad_buffer mgrad_buffer;

typedef struct mgrad_tape {
  mgrad_context *ctx;
  mgrad_tensor *loss;
  bool selective;         /* only leaves marked 'wanted' collect */
  mgrad_tensor *first;    /* results, each before what it was made of */
  mgrad_buffer *buffers;  /* all gradients of results, reused as they are done with */
  mgrad_buffer *idle;
  int operands;           /* most of any node */
  int64_t nwork;          /* largest scratch of any node */
  void *memory;           /* scratch and the lists of one call */
} mgrad_tape;

/* Puts the graph below 'loss' in order and makes room. On failure nothing has
** changed and nothing is left to free. */
mgrad_status mgrad_tape_open(mgrad_tape *tape, mgrad_tensor *loss, bool selective);
/* Writes all gradients. Cannot fail, but while anomalies are looked for: it stops at the
** first; and where the host interrupts: there are none then. */
mgrad_status mgrad_tape_run(mgrad_tape *tape);
/* Frees the buffers and, unless 'retain', the graph. */
void mgrad_tape_close(mgrad_tape *tape, bool retain);

#endif
