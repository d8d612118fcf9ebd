/*
** args.h - Lua arguments turned into what the core takes. Every number from
** Lua passes through here: integral, in range, never NaN.
*/
#ifndef LMGRAD_ARGS_H
#define LMGRAD_ARGS_H

#include "box.h"

enum { LMGRAD_MAX_SLOTS = 16 };
#define LMGRAD_EXACT ((int64_t)1 << 53) /* integers up to here are exact doubles */

/* One argument of an op, layer or optimizer, in the order of the call. */
typedef struct lmgrad_slot {
  char name[MGRAD_NAME_SIZE];
  int operand;  /* its position among the operands, -1 for an attribute */
  int attr;     /* its position among the attributes */
} lmgrad_slot;

/* How something made from a descriptor is called. */
typedef struct lmgrad_signature {
  const char *name;
  const void *def;               /* mgrad_op, mgrad_layer_def .. */
  const mgrad_attr_spec *attrs;
  int operands;                  /* most that it takes */
  int list;                      /* its operand is a table of tensors */
  int nslots;
  lmgrad_slot slots[LMGRAD_MAX_SLOTS];
} lmgrad_signature;

/* Fills a signature from 'operands' ("x weight bias?", may be empty), 'order'
** (may be NULL) and the attributes. */
void lmgrad_signature_make(lmgrad_signature *s, const char *name, const void *def,
                           const char *operands, const char *order,
                           const mgrad_attr_spec *attrs);

/* Reads arguments from index 'first' on: in order, then at most one table of
** options by name. Operands go to x (room for s->operands), numbers among them
** become tensors on the stack; after that nothing is allocated. An option it does not know is handed to
** 'other' (key at -2, value at -1), which returns 0 to refuse it. */
typedef int (*lmgrad_other)(lua_State *L, void *ud, const char *key);
void lmgrad_arguments(lua_State *L, lmgrad_state *S, const lmgrad_signature *s, int first,
                      mgrad_tensor **x, mgrad_attrs *attrs, lmgrad_other other, void *ud);

/* How unlike two names are; up to LMGRAD_NEAR they may have been mistaken. In module.c. */
enum { LMGRAD_NEAR = 2 };
int lmgrad_distance(const char *a, const char *b);

/* The value at i must be a table, and 'name' its only key. */
void lmgrad_known_option(lua_State *L, int i, const char *who, const char *name);

/* An attribute from the value at index i. */
void lmgrad_attribute(lua_State *L, int i, const char *who, const mgrad_attr_spec *spec,
                      mgrad_attrs *attrs, int position);

/* A number as Lua 5.1 writes it, 3 and not 3.0, for error texts; stays on the stack. */
const char *lmgrad_number_text(lua_State *L, lua_Number v);
/* An integer from low to high. */
int64_t lmgrad_integer(lua_State *L, int i, const char *who, const char *what, int64_t low,
                       int64_t high);
double lmgrad_number(lua_State *L, int i, const char *who, const char *what);
/* Integers from index i on, or in a table there; returns how many. */
int lmgrad_sizes(lua_State *L, int i, const char *who, int64_t size[MGRAD_MAX_DIMS]);
/* The tensor at i; a number or a nested table becomes one in a box put at i. */
mgrad_tensor *lmgrad_to_tensor(lua_State *L, lmgrad_state *S, int i, const char *who,
                               const char *what);
/* The tensor's requires_grad becomes the boolean at i. */
void lmgrad_set_requires_grad(lua_State *L, lmgrad_state *S, mgrad_tensor *t, int i,
                              const char *who);

#endif
