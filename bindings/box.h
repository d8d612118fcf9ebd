/*
** box.h - userdata that hold one object of the core each.
**
** A box is made before its object, empty and with its metatable, so that an
** error on the way leaks nothing. Every use checks the size, a magic word and
** that the object is there: foreign userdata, closed boxes and finalizers
** called by hand are errors, never crashes.
**
** Lua code may run, and close anything, wherever a metamethod or a finalizer
** can: in most calls that allocate. So pointers are taken out of boxes last,
** when all that a core call needs has been made. While the core itself runs,
** callbacks included, a closed box keeps its object until it is collected.
*/
#ifndef LMGRAD_BOX_H
#define LMGRAD_BOX_H

#include "compat.h"
#include "../core/moongrad.h"

/* What belongs to one lua_State; upvalue 1 of every function. */
typedef struct lmgrad_state {
  const void *magic;
  mgrad_context *ctx;
  lua_State *L;   /* whose call of the core is under way, or NULL */
  int depth;      /* callbacks under way */
  lua_State *caller, *main;  /* who called moongrad last; the main thread, or NULL */
  lua_Hook hook, main_hook;  /* theirs at that time */
  size_t told;    /* bytes in use when the collector last heard of them */
  size_t kept;    /* bytes that the last full collection has left */
  char own[256];  /* how the names of moongrad's own Lua files begin */
} lmgrad_state;

typedef enum lmgrad_kind {
  LMGRAD_TENSOR, LMGRAD_LAYER, LMGRAD_OPTIMIZER, LMGRAD_BYTES, LMGRAD_DATASET,
  LMGRAD_TRAINER, LMGRAD_KINDS
} lmgrad_kind;

#define LMGRAD_STATE(L) lmgrad_state_here(L)
/* Upvalue 1; an error when lua_close has finalized it. */
lmgrad_state *lmgrad_state_here(lua_State *L);

/* Pushes a new empty box and returns where its object goes; first the collector may
** have its turn. */
void **lmgrad_box(lua_State *L, lmgrad_kind kind);
/* Typed versions of it. */
#define lmgrad_box_tensor(L) ((mgrad_tensor **)lmgrad_box(L, LMGRAD_TENSOR))
#define lmgrad_box_layer(L) ((mgrad_layer **)lmgrad_box(L, LMGRAD_LAYER))
/* Pushes memory that no contents of it can make a box. */
void *lmgrad_room(lua_State *L, size_t size);
/* Puts an object into the empty box at index i. */
void lmgrad_fill(lua_State *L, int i, void *object);
/* The object at index i if it is a box of that kind (closed ones: NULL). */
void *lmgrad_test(lua_State *L, int i, lmgrad_kind kind);
/* The same, or an error 'who: what is .., expected a tensor'. */
void *lmgrad_check(lua_State *L, int i, lmgrad_kind kind, const char *who, const char *what);
/* "tensor", "layer" .. for any of our boxes, else NULL. */
const char *lmgrad_kind_name(lua_State *L, int i);
/* The k-th element of a list, which is at the top of the stack. */
void *lmgrad_check_element(lua_State *L, lmgrad_kind kind, const char *who, int k);
/* Pushes a text of the core's: a name or an error. Some Luas collect before they copy a string,
** and a finalizer may free it or have the next error. */
void lmgrad_push_text(lua_State *L, const char *text);
/* Puts a copy of the list at i in its place, which nobody else can change, and
** returns its length. */
int lmgrad_own_list(lua_State *L, int i, const char *who, const char *what);
#define lmgrad_check_tensor(L, i, who, what) \
  ((mgrad_tensor *)lmgrad_check(L, i, LMGRAD_TENSOR, who, what))
#define lmgrad_check_layer(L, i, who, what) \
  ((mgrad_layer *)lmgrad_check(L, i, LMGRAD_LAYER, who, what))
/* Pushes the box of a layer (it has one at most at a time; a second reference
** is taken for a new one). */
void lmgrad_push_layer(lua_State *L, lmgrad_state *S, mgrad_layer *l);
/* Remembers the box at the top as the one of 'object'. */
void lmgrad_remember(lua_State *L, const void *object);

/* ---- calling Lua from inside the core ---- */

/* A Lua value that the core knows by address. It lives as long as the table it
** is anchored in. */
typedef struct lmgrad_ref { lmgrad_state *S; } lmgrad_ref;
/* Anchors the value at index 'value' in the table at index 'table'. */
lmgrad_ref *lmgrad_anchor(lua_State *L, lmgrad_state *S, int table, int value);
void lmgrad_push_ref(lua_State *L, const lmgrad_ref *ref);

/* Functions that run in protected mode when the core calls back; each gets one
** light userdata. Their closures exist from the start: making one could fail. */
typedef enum lmgrad_callback {
  LMGRAD_CALL_LAYER, LMGRAD_CALL_LOSS, LMGRAD_CALL_METRIC, LMGRAD_CALL_LR,
  LMGRAD_CALL_GROUP, LMGRAD_CALL_AGAIN,   LMGRAD_CALL_COLLECT, LMGRAD_CALLBACKS
} lmgrad_callback;
void lmgrad_callback_set(lua_State *L, int state, lmgrad_callback which, lua_CFunction f);
/* Calls it on the state whose call is under way. On failure Lua's error value is
** left at the top of its stack, and the status is MGRAD_CALLBACK. */
mgrad_status lmgrad_call(lmgrad_state *S, lmgrad_callback which, void *argument);
/* Around calls of the core that may call back. */
typedef struct lmgrad_entered {
  lua_State *L; /* whose call was under way before */
  int top;      /* the boxes up to here are in use */
} lmgrad_entered;
lmgrad_entered lmgrad_enter(lmgrad_state *S, lua_State *L);
void lmgrad_leave(lmgrad_state *S, lmgrad_entered before);
/* One use more, or less, of the boxes at 1 to 'top'. */
void lmgrad_hold(lua_State *L, int top, int by);
/* Pushes a new box with one more reference to t. */
void lmgrad_push_tensor(lua_State *L, mgrad_tensor *t);

/* Raises the error of a failed call: never returns. With 'who: ' in front where
** the core's sentence does not name what was called; else 'who' is NULL. */
int lmgrad_raise_as(lua_State *L, lmgrad_state *S, mgrad_status status, const char *who);
/* Pushes "file:line: " of the function that called into moongrad, or "". */
void lmgrad_position(lua_State *L);
/* As luaL_error, but the position is that of the first caller outside of
** moongrad's own Lua files. */
int lmgrad_error(lua_State *L, const char *format, ...);
/* Error 'who: what is <type of value i>, expected <expected>'. */
/* What the value at i is, in words: a type of Lua, "a tensor", "closed" .. */
const char *lmgrad_kind_text(lua_State *L, int i);
int lmgrad_type_error(lua_State *L, int i, const char *who, const char *what,
                      const char *expected);

/* A full collection. Its finalizers may fail or close what the caller uses. */
void lmgrad_collect(lua_State *L, lmgrad_state *S);
/* Did memory run out, or was a limit of the host met? Garbage may be in the way. */
static inline int lmgrad_is_full(mgrad_status status) {
  return status == MGRAD_NOMEM || status == MGRAD_LIMITED;
}
/* Calls the core, once more after a full collection where it was full. */
#define LMGRAD_TRY_AS(L, S, who, call)                                          \
  do {                                                                          \
    mgrad_status status_ = (call);                                              \
    if (lmgrad_is_full(status_)) {                                              \
      lmgrad_collect(L, S);                                                     \
      status_ = (call);                                                         \
    }                                                                           \
    if (status_ != MGRAD_OK) lmgrad_raise_as(L, S, status_, who);               \
  } while (0)
#define LMGRAD_TRY(L, S, call) LMGRAD_TRY_AS(L, S, NULL, call)

/* Calls the core for a change in place. A graph that is garbage may hold on to
** the tensor, so a refusal is believed only after a full collection. */
#define LMGRAD_CHANGE(L, S, call)                                               \
  do {                                                                          \
    mgrad_status refused_ = (call);                                             \
    if (refused_ == MGRAD_INTERRUPTED) lmgrad_raise_as(L, S, refused_, NULL);   \
    if (refused_ != MGRAD_OK) {                                                 \
      lmgrad_collect(L, S);                                                     \
      LMGRAD_TRY(L, S, call);                                                   \
    }                                                                           \
  } while (0)

/* Adds functions to the table at the top, each with the state, which is at that
** index, as its upvalue. */
typedef struct lmgrad_function { const char *name; lua_CFunction f; } lmgrad_function;
void lmgrad_register(lua_State *L, int state, const lmgrad_function *list);
/* Creates the metatable of a kind, with 'methods' in the table it pushes. */
void lmgrad_metatable(lua_State *L, int state, lmgrad_kind kind);

/* Pushes the userdata of the state: the one there is, or a new one. */
void lmgrad_open_state(lua_State *L);
/* Puts it where the next load of the module finds it. */
void lmgrad_keep_state(lua_State *L, int state);

/* ---- each file's part of the module: adds to the table at the top ---- */
void lmgrad_open_callbacks(lua_State *L, int state);
void lmgrad_open_tensor(lua_State *L, int state);
void lmgrad_open_convert(lua_State *L, int state);
void lmgrad_open_ops(lua_State *L, int state);
void lmgrad_open_layer(lua_State *L, int state);
void lmgrad_open_optimizer(lua_State *L, int state);
void lmgrad_open_recipe(lua_State *L, int state);
void lmgrad_open_safetensors(lua_State *L, int state);
void lmgrad_open_data(lua_State *L, int state);
void lmgrad_open_trainer(lua_State *L, int state);
void lmgrad_open_resume(lua_State *L, int state);

#endif
