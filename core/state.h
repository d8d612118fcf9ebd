/*
** state.h - what an object consists of, by name. One list of places in memory, walked to
** write a state out, to compare it with one that is to be taken, and to take that.
*/
#ifndef MGRAD_STATE_H
#define MGRAD_STATE_H

#include "context.h"

/* A place: exactly one of these is set. */
typedef struct mgrad_place {
  const char *name;
  mgrad_tensor *tensor; /* of a net */
  mgrad_array array;    /* packed numbers of the engine, where data is set */
  double *numbers;      /* 'count' of them */
  int64_t count;
  uint64_t *whole;
  const char *text;     /* what it must be */
} mgrad_place;

typedef mgrad_status (*mgrad_place_fn)(void *ud, const mgrad_place *p);

/* The items of a state that is to be taken. */
typedef struct mgrad_items {
  mgrad_context *ctx;
  mgrad_item **sorted; /* by name */
  int n;
} mgrad_items;

/* None of them is known yet. Fails where a name is there twice: what is compared must be
** what is taken. After success 'close' is needed. */
mgrad_status mgrad_items_open(mgrad_context *ctx, mgrad_item *list, int n, mgrad_items *out);
void mgrad_items_close(mgrad_items *items);
/* The item of this name, or NULL. */
mgrad_item *mgrad_items_find(const mgrad_items *items, const char *name);
/* For walks; 'ud' are the items. Is there an item for the place, of its shape? It is known
** from now on. */
mgrad_status mgrad_items_check(void *ud, const mgrad_place *p);
/* Copies that item to its place. It cannot fail. */
mgrad_status mgrad_items_take(void *ud, const mgrad_place *p);
/* Fails where there is an item that is not known. */
mgrad_status mgrad_items_all_known(const mgrad_items *items);

/* Hands places to a host as items. */
typedef struct mgrad_giving {
  mgrad_item_fn fn;
  void *ud;
} mgrad_giving;
mgrad_status mgrad_place_give(void *ud, const mgrad_place *p);

#endif
