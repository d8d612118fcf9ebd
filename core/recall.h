/*
** recall.h - the state of an optimizer, as a part of a trainer's.
*/
#ifndef MGRAD_RECALL_H
#define MGRAD_RECALL_H

#include "optimizer.h"
#include "state.h"

/* Fails where its state is half done, or the average is in the net. */
mgrad_status mgrad_optimizer_whole(mgrad_optimizer *o);
/* Would mgrad_optimizer_take go well? It cannot fail after this, until anything else is
** done with the optimizer. Items that are of it are known then. */
mgrad_status mgrad_optimizer_check(mgrad_optimizer *o, mgrad_items *items);
void mgrad_optimizer_take(mgrad_optimizer *o, mgrad_items *items);

#endif
