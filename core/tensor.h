/*
** tensor.h - counted storage, strided views on it, and how a tensor was made.
*/
#ifndef MGRAD_TENSOR_H
#define MGRAD_TENSOR_H

#include "shape.h"

typedef struct mgrad_storage {
  mgrad_context *ctx;
  int64_t refs;
  int64_t pins;     /* recorded ops whose gradient reads these numbers */
  int mark;         /* of who looks through a recording; else 0 */
  uint64_t version; /* counts changes in place */
  size_t bytes;     /* of the whole block, this header included */
  mgrad_real *data; /* aligned to MGRAD_ALIGN */
} mgrad_storage;

/*
** How a tensor was computed, kept while a gradient may be asked for. Operands
** are held; the result holds the node. One block, sized by its op.
*/
typedef struct mgrad_node {
  const mgrad_op *op;
  const mgrad_attrs *attrs;      /* in the block, or NULL for the defaults */
  mgrad_tensor **x;              /* n operands, NULL where left out */
  struct { mgrad_storage *storage; uint64_t version; } *kept; /* n + 1: the
                                    values backward reads, the last is y's */
  mgrad_real *saved;
  const char *where;             /* its layer, while anomalies are looked for; or NULL */
  uint64_t seed, stream;
  uint64_t order;                /* counts on: operands come before results */
  int n;
  int64_t nwork;                 /* scratch of its backward */
  /* while backward runs: */
  mgrad_real *dy;
  struct mgrad_buffer *buffer;   /* where dy lies */
  bool seen;
} mgrad_node;

struct mgrad_tensor {
  mgrad_context *ctx;
  int64_t refs;
  mgrad_array a;
  mgrad_storage *storage;
  mgrad_node *node;        /* NULL for a leaf */
  mgrad_tensor *grad;      /* of a leaf, or NULL */
  mgrad_tensor *next;      /* link in release and backward lists; its copy, in a clone */
  bool requires_grad;
  bool consumed;           /* its node went with a backward */
  bool wanted;             /* mgrad_gradients asks for it */
  bool visited;            /* mark of mgrad_layer_visit */
  int note;                /* 1 + its place in a recording that is laid out; else 0 */
  bool has_grad;           /* grad holds numbers; else it only keeps the place */
  uint64_t zeroed;         /* 1 + version of grad's storage when it was zeroed */
};

mgrad_status mgrad_storage_new(mgrad_context *ctx, int64_t numel, mgrad_storage **out);
void mgrad_storage_release(mgrad_storage *s);

/* A packed tensor of the checked shape 'a', its contents undefined. */
mgrad_status mgrad_tensor_like(mgrad_context *ctx, const mgrad_array *a,
                               mgrad_tensor **out);
/* A view of 's' described by 'a', whose data pointer lies in it. */
mgrad_status mgrad_tensor_view(mgrad_storage *s, const mgrad_array *a,
                               mgrad_tensor **out);
/* Does a gradient flow through t? */
static inline bool mgrad_tensor_tracked(const mgrad_tensor *t) {
  return t->requires_grad || t->node != NULL || t->consumed;
}
/* Do several of its elements lie in one place, as after expand? */
bool mgrad_tensor_repeats(const mgrad_tensor *t);
/* Lets go of how t was computed, once a backward has used it. */
void mgrad_tensor_forget(mgrad_tensor *t);
/* Is the gradient known to be all zeros, so that it may be overwritten? */
static inline bool mgrad_tensor_grad_zero(const mgrad_tensor *t) {
  return t->has_grad && t->zeroed == t->grad->storage->version + 1;
}
/* Gives a leaf a place for its gradient that no pending graph reads: a new one where it
** must, with what it has collected so far. */
mgrad_status mgrad_tensor_place_grad(mgrad_tensor *t);
/* May the numbers of t be overwritten? 'who' opens the error sentence. */
mgrad_status mgrad_tensor_writable(mgrad_tensor *t, const char *who);
/* Points a leaf at another place, same shape, contents copied by the caller. */
void mgrad_tensor_move(mgrad_tensor *t, mgrad_storage *s, mgrad_real *data);

#endif
