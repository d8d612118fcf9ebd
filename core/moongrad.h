/*
** moongrad.h - the public C API: tensors, ops, layers, optimizers, training.
**
** Conventions, everywhere:
**   - A fallible function returns mgrad_status. On failure it changes nothing
**     it was given, and leaves one sentence in mgrad_error(context).
**   - Objects are counted: _new hands over one reference, _retain adds one,
**     _release (NULL allowed) drops one.
**   - Dimensions, indices and class labels count from 1, negative dimensions
**     from the end, 0 where a dimension may be left out. Sizes are at least 1.
**   - One context and all that was made from it belong to one thread at a time.
**   - The core prints nothing, reads no file, clock or environment, and never
**     exits, aborts or jumps out.
*/
#ifndef MOONGRAD_H
#define MOONGRAD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MGRAD_VERSION "0.1.0"

#ifndef MGRAD_API
#define MGRAD_API
#endif

/* The numbers of tensors. A program and the library it links agree on MGRAD_REAL_DOUBLE. */
#ifdef MGRAD_REAL_DOUBLE
typedef double mgrad_real;
#else
typedef float mgrad_real;
#endif

enum {
  MGRAD_MAX_DIMS = 8, MGRAD_MAX_ATTRS = 12, MGRAD_MAX_FURTHER = 4,
  MGRAD_NAME_SIZE = 64, MGRAD_ERROR_SIZE = 512 /* bytes of a text, its end counted */
};

/* What a call came to. */
typedef enum mgrad_status {
  MGRAD_OK = 0,
  MGRAD_NOMEM,     /* the allocator refused, or the memory limit was reached */
  MGRAD_INVALID,   /* an argument, a shape or a value does not fit */
  MGRAD_NONFINITE, /* NaN or infinity where training needs a number */
  MGRAD_CALLBACK,  /* a callback failed; what it said is with the caller */
  MGRAD_LIMITED,   /* more tensors or recorded ops than the host allows: mgrad_limit_set */
  MGRAD_INTERRUPTED /* the host has stopped the call: mgrad_interrupt */
} mgrad_status;

/* What is shared: memory, the error sentence, random numbers, threads. */
typedef struct mgrad_context mgrad_context;
/* Numbers in a shape, and how they were computed. */
typedef struct mgrad_tensor mgrad_tensor;
/* A function of tensors: a constant, in a table. */
typedef struct mgrad_op mgrad_op;
/* A kind of layer: a constant, in a table. */
typedef struct mgrad_layer_def mgrad_layer_def;
/* A layer: its parameters, buffers and children. */
typedef struct mgrad_layer mgrad_layer;
/* An update rule: a constant, in a table. */
typedef struct mgrad_optimizer_def mgrad_optimizer_def;
/* An update rule with its options and state, over parameters. */
typedef struct mgrad_optimizer mgrad_optimizer;
/* A block of raw bytes, such as pictures. */
typedef struct mgrad_bytes mgrad_bytes;
/* Examples, inputs and targets, in some order. */
typedef struct mgrad_dataset mgrad_dataset;
/* A net, a loss and an optimizer, and how far they have come. */
typedef struct mgrad_trainer mgrad_trainer;

/* ---- Context: memory, errors, random numbers ---------------------------- */

/* realloc and free in one, as lua_Alloc: nsize 0 frees; NULL means failure. */
typedef void *(*mgrad_alloc)(void *ud, void *ptr, size_t osize, size_t nsize);

/* A context over 'alloc', or over the C library's heap when NULL. Returns NULL
** when memory fails. */
MGRAD_API mgrad_context *mgrad_context_new(mgrad_alloc alloc, void *ud);
/* Drops the caller's hold. Memory goes when the last object made from the
** context is released, so the order of releases does not matter. */
MGRAD_API void mgrad_context_release(mgrad_context *ctx);
/* Frees the context and all that was made from it, whoever still holds it: for hosts that
** cannot be sure to have released everything, such as a Lua state that is closed and had
** no memory to run finalizers. Nothing made from it may be used or released any more. */
MGRAD_API void mgrad_context_close(mgrad_context *ctx);
/* The sentence of the last failure, "" before one. Borrowed: the next failure changes it. */
MGRAD_API const char *mgrad_error(const mgrad_context *ctx);
/* Records 'message' as the error sentence, for callbacks; returns 'status'. */
MGRAD_API mgrad_status mgrad_error_set(mgrad_context *ctx, mgrad_status status,
                                       const char *message);
/* Bytes that the context and all made from it hold now. */
MGRAD_API size_t mgrad_memory_used(const mgrad_context *ctx);
/* The most bytes that they ever held. */
MGRAD_API size_t mgrad_memory_peak(const mgrad_context *ctx);
/* What a context may have: 0, as at first, for as much as it likes. For hosts that run
** scripts of others, who may lower these but not raise them. A lower limit than what there
** is refuses only what is new. */
typedef enum mgrad_limit {
  MGRAD_LIMIT_MEMORY,   /* bytes at one time */
  MGRAD_LIMIT_ELEMENTS, /* of one tensor */
  MGRAD_LIMIT_TENSORS,  /* at one time, views included */
  MGRAD_LIMIT_GRAPH,    /* ops recorded for gradients at one time */
  MGRAD_LIMIT_THREADS,
  MGRAD_LIMITS
} mgrad_limit;
/* Sets, raises or, with 0, lifts a limit. For the host. */
MGRAD_API void mgrad_limit_set(mgrad_context *ctx, mgrad_limit which, uint64_t most);
/* Sets it where that lowers it; else MGRAD_INVALID: what scripts get. */
MGRAD_API mgrad_status mgrad_limit_lower(mgrad_context *ctx, mgrad_limit which, uint64_t most);
/* The limit; 0 where there is none. */
MGRAD_API uint64_t mgrad_limit_get(const mgrad_context *ctx, mgrad_limit which);
/* "memory", "elements" .. */
MGRAD_API const char *mgrad_limit_name(mgrad_limit which);
/* Allocations made since the context was new. */
MGRAD_API uint64_t mgrad_memory_count(const mgrad_context *ctx);
/* Starts the generator again. Equal seeds give equal numbers everywhere. */
MGRAD_API void mgrad_seed(mgrad_context *ctx, uint64_t seed);
/* The instruction set in use ("base", "avx2", "avx512", on AArch64 "neon"); the best
** the machine has unless another one is set. For tests. */
MGRAD_API const char *mgrad_isa(const mgrad_context *ctx);
/* Another set; MGRAD_INVALID where the build or the machine has none of that name. */
MGRAD_API mgrad_status mgrad_isa_set(mgrad_context *ctx, const char *name);
/* How many threads large ops use, the caller's included: 1 at first, at most 64. The
** results are the same bits for any number. The others begin with the first op that
** is large enough, sleep between ops, take no signals, and end when the number is set
** anew or the context is released. */
MGRAD_API mgrad_status mgrad_threads_set(mgrad_context *ctx, int threads);
/* How many there are, the caller's included. */
MGRAD_API int mgrad_threads(const mgrad_context *ctx);
/* Asks 'fn' every now and then while ops are computed, on the thread that made the call,
** at least each millisecond or so: once it returns non-zero, the call under way gives up
** and fails with MGRAD_INTERRUPTED. What it was to make is dropped, a net that it trains
** stays as it was after the last whole step, and a backward pass leaves no gradients. 'fn'
** must not use the context. NULL ends it. For a host's own stop button or time limit. */
typedef int (*mgrad_interrupt_fn)(void *ud);
MGRAD_API void mgrad_interrupt(mgrad_context *ctx, mgrad_interrupt_fn fn, void *ud);
/* Ops are recorded for gradients only while on (the default). Returns what
** was set before. */
MGRAD_API int mgrad_grad_enable(mgrad_context *ctx, int on);

/* ---- Tensors ------------------------------------------------------------ */

/* A strided window on real numbers: element (i, j, ..), counted from 0 here,
** is data[i * stride[0] + j * stride[1] + ..]. */
typedef struct mgrad_array {
  mgrad_real *data;
  int ndim;
  int64_t size[MGRAD_MAX_DIMS];
  int64_t stride[MGRAD_MAX_DIMS];
} mgrad_array;

/* A new tensor, its contents undefined. 'ndim' 0 is a single number. */
MGRAD_API mgrad_status mgrad_tensor_new(mgrad_context *ctx, int ndim,
                                        const int64_t *size, mgrad_tensor **out);
/* A new tensor holding 'value' everywhere. */
MGRAD_API mgrad_status mgrad_tensor_full(mgrad_context *ctx, int ndim,
                                         const int64_t *size, double value,
                                         mgrad_tensor **out);
/* Uniform in [0, 1), standard normal, or a permutation of 1..size[0]. */
typedef enum mgrad_random { MGRAD_UNIFORM, MGRAD_NORMAL, MGRAD_PERMUTATION } mgrad_random;
MGRAD_API mgrad_status mgrad_tensor_random(mgrad_context *ctx, mgrad_random kind,
                                           int ndim, const int64_t *size,
                                           mgrad_tensor **out);
/* One more reference to t, which is returned. */
MGRAD_API mgrad_tensor *mgrad_tensor_retain(mgrad_tensor *t);
/* Drops a reference. With the last one go the tensor, and the graph that only it held. */
MGRAD_API void mgrad_tensor_release(mgrad_tensor *t);
/* Shape and numbers, for reading. Numbers of a tensor that is in use are changed by
** mgrad_tensor_write, _fill, _copy and _update: gradients that wait and weights that were
** packed for predictions would not notice a change through this pointer. */
MGRAD_API const mgrad_array *mgrad_tensor_array(const mgrad_tensor *t);
/* Elements: the product of the sizes, 1 for a single number. */
MGRAD_API int64_t mgrad_tensor_numel(const mgrad_tensor *t);
/* Bytes that would be freed with the tensor: 0 when others share its storage. */
MGRAD_API size_t mgrad_tensor_owned(const mgrad_tensor *t);
/* A handle to the same storage without the history of the first. */
MGRAD_API mgrad_status mgrad_tensor_detach(mgrad_tensor *t, mgrad_tensor **out);
/* Copies all elements in row-major order to or from plain memory. */
MGRAD_API void mgrad_tensor_read(const mgrad_tensor *t, mgrad_real *to);
/* The other way, in place; 'from' has as many numbers as t. As mgrad_tensor_fill. */
MGRAD_API mgrad_status mgrad_tensor_write(mgrad_tensor *t, const mgrad_real *from);
/* t = value, in place. Refused (MGRAD_INVALID) while a pending gradient needs the old
** values. */
MGRAD_API mgrad_status mgrad_tensor_fill(mgrad_tensor *t, double value);
/* t = src, which is broadcast; as mgrad_tensor_fill. */
MGRAD_API mgrad_status mgrad_tensor_copy(mgrad_tensor *t, mgrad_tensor *src);
/* t = t OP src, OP one of + - * /; as mgrad_tensor_fill. */
MGRAD_API mgrad_status mgrad_tensor_update(mgrad_tensor *t, char operation,
                                           mgrad_tensor *src);
/* A leaf collects its gradient when 'on'; refused on results of ops. */
MGRAD_API mgrad_status mgrad_tensor_require_grad(mgrad_tensor *t, int on);
/* Does it? Also 1 for results of ops on such tensors. */
MGRAD_API int mgrad_tensor_requires_grad(const mgrad_tensor *t);
/* The collected gradient, borrowed, or NULL. */
MGRAD_API mgrad_tensor *mgrad_tensor_grad(const mgrad_tensor *t);
/* NULL clears; else the gradient becomes a copy of 'grad' (same shape). */
MGRAD_API mgrad_status mgrad_tensor_set_grad(mgrad_tensor *t, mgrad_tensor *grad);
/* Sets the gradient, where there is one, to zeros. */
MGRAD_API void mgrad_tensor_zero_grad(mgrad_tensor *t);

/* ---- Attributes: the named options of ops, layers and optimizers --------- */

/* What an option may be. */
typedef enum mgrad_attr_type {
  MGRAD_ATTR_NONE = 0, /* ends a list */
  MGRAD_ATTR_REAL,     /* a number from low to high */
  MGRAD_ATTR_INT,      /* an integer from low to high */
  MGRAD_ATTR_BOOL,     /* 0 or 1 */
  MGRAD_ATTR_DIM,      /* a dimension from 1, negative from the end; 0 = left out */
  MGRAD_ATTR_CHOICE,   /* position from 0 in 'choices', separated by "|" */
  MGRAD_ATTR_ACT,      /* an activation: its op's index, -1 = none */
  MGRAD_ATTR_INIT,     /* an initialiser's index, -1 = the layer's default */
  MGRAD_ATTR_SIZES,    /* a list of integers, kept in mgrad_attrs.list */
  MGRAD_ATTR_PAIR      /* two integers, of h and w, as MGRAD_PAIR; each from low to high.
                       ** -1 and so on = the words of 'choices', where there are any */
} mgrad_attr_type;

/* The value of a PAIR; its part along dimension d from the end, 1 for w, 2 for h. */
#define MGRAD_MOST_PAIR 16777215
#define MGRAD_PAIR(h, w) ((double)(h) * (MGRAD_MOST_PAIR + 1) + (double)(w))
#define MGRAD_PAIR_AT(pair, d)                                                     \
  ((d) == 1 ? (int64_t)(pair) % (MGRAD_MOST_PAIR + 1)                              \
            : (int64_t)(pair) / (MGRAD_MOST_PAIR + 1))

/* One option of an op, a layer or an optimizer. */
typedef struct mgrad_attr_spec {
  const char *name;
  mgrad_attr_type type;
  double initial;      /* the default; MGRAD_REQUIRED where there is none */
  double low, high;    /* for REAL, INT and PAIR, both included; equal = no bounds */
  const char *choices;
  const char *doc;     /* one line, no full stop; or NULL */
} mgrad_attr_spec;

#define MGRAD_REQUIRED (-1e308)
/* Bounds that are read as "above 0" and "below 1". */
#define MGRAD_ABOVE_0 1e-30
#define MGRAD_BELOW_1 (1 - 1.1102230246251565e-16)

/* The values of all options of one. */
typedef struct mgrad_attrs {
  double value[MGRAD_MAX_ATTRS]; /* by position in the specs */
  int nlist;
  int64_t list[MGRAD_MAX_DIMS];  /* the SIZES attribute, where there is one */
} mgrad_attrs;

/* Fills 'out' with the defaults; specs may be NULL. */
MGRAD_API void mgrad_attrs_default(const mgrad_attr_spec *specs, mgrad_attrs *out);
/* Checks presence, integrality and ranges; 'who' opens the error sentence. */
MGRAD_API mgrad_status mgrad_attrs_check(mgrad_context *ctx, const char *who,
                                         const mgrad_attr_spec *specs,
                                         const mgrad_attrs *attrs);

/* ---- Ops ----------------------------------------------------------------- */

/* How many ops there are. */
MGRAD_API int mgrad_op_count(void);
/* The op of an index from 0 to mgrad_op_count() - 1: what MGRAD_ATTR_ACT takes. */
MGRAD_API const mgrad_op *mgrad_op_at(int index);
/* The op of that name, or NULL. */
MGRAD_API const mgrad_op *mgrad_op_find(const char *name);

/* What there is to know of an op. */
typedef struct mgrad_op_info {
  const char *name;
  const char *doc;      /* one line */
  const char *operands; /* "x weight bias?": '?' optional, "x.." a list */
  const char *order;    /* operands and attributes as arguments, in order */
  const mgrad_attr_spec *attrs;
  int activation;       /* usable by name as a layer */
  int loss;             /* prediction and target in, reduced number out */
  int differentiable;
  int elementwise;      /* a number of the result from one of each operand */
} mgrad_op_info;
/* What there is to know of an op. The texts are constants. */
MGRAD_API void mgrad_op_describe(const mgrad_op *op, mgrad_op_info *out);

/* Checks, allocates, runs and records one op. 'x' holds 'n' operands, NULL
** where an optional one is left out; 'attrs' NULL means the defaults. */
MGRAD_API mgrad_status mgrad_apply(const mgrad_op *op, mgrad_context *ctx,
                                   mgrad_tensor *const *x, int n,
                                   const mgrad_attrs *attrs, mgrad_tensor **out);

/* ---- Gradients ----------------------------------------------------------- */

/* Adds d loss / d leaf to the gradient of every leaf that requires one. 'loss'
** is a single number. Its graph is freed unless 'retain'. */
MGRAD_API mgrad_status mgrad_backward(mgrad_tensor *loss, int retain);
/* Gradients of 'loss' for n tensors, into out[], leaving leaves' own alone. */
MGRAD_API mgrad_status mgrad_gradients(mgrad_tensor *loss, mgrad_tensor *const *of,
                                       int n, int retain, mgrad_tensor **out);

/* While on, which is slow, the first op that makes NaN or infinities of finite numbers,
** forward or backward, fails with MGRAD_NONFINITE and a sentence that names it and its
** layer. Gradients found before it stay. Returns what was set before. */
MGRAD_API int mgrad_anomaly(mgrad_context *ctx, int on);

/* ---- Initialisers --------------------------------------------------------- */

/* How many initialisers there are; indices are from 0. */
MGRAD_API int mgrad_init_count(void);
/* The name of an initialiser. */
MGRAD_API const char *mgrad_init_name(int index);
MGRAD_API const char *mgrad_init_doc(int index); /* one line */
MGRAD_API int mgrad_init_find(const char *name); /* -1 when unknown */
/* Fills t in place. Fans: for {out, in, ...}, in and out times the rest. */
MGRAD_API mgrad_status mgrad_init_fill(int index, mgrad_tensor *t);

/* ---- Layers ---------------------------------------------------------------- */

/* How many kinds of layers there are. */
MGRAD_API int mgrad_layer_def_count(void);
/* The kind of an index from 0 to mgrad_layer_def_count() - 1. */
MGRAD_API const mgrad_layer_def *mgrad_layer_def_at(int index);
/* The kind of that name ("dense"), or NULL. */
MGRAD_API const mgrad_layer_def *mgrad_layer_def_find(const char *name);

/* What there is to know of a kind of layers. */
typedef struct mgrad_layer_info {
  const char *name;
  const char *doc;
  const mgrad_attr_spec *attrs;
  int container; /* takes children */
  const char *inputs, *outputs; /* further ones, "h c lengths"; NULL for none */
} mgrad_layer_info;
/* What there is to know of a kind. The texts are constants. */
MGRAD_API void mgrad_layer_describe(const mgrad_layer_def *def, mgrad_layer_info *out);

/* A layer of a kind; 'attrs' NULL means the defaults. Its parameters come with the first
** input, or by mgrad_layer_build. */
MGRAD_API mgrad_status mgrad_layer_new(mgrad_context *ctx, const mgrad_layer_def *def,
                                       const mgrad_attrs *attrs, mgrad_layer **out);
/* A layer whose work is done by 'forward', which hands over a new reference in
** *y. 'kind' is what error sentences call it. */
typedef mgrad_status (*mgrad_layer_fn)(void *ud, mgrad_layer *layer, mgrad_tensor *x,
                                       mgrad_tensor **y);
MGRAD_API mgrad_status mgrad_layer_custom(mgrad_context *ctx, const char *kind,
                                          mgrad_layer_fn forward, void *ud,
                                          mgrad_layer **out);
/* Says that 'forward' of a custom layer only applies ops to x, to parts of the layer
** and to constants: the same ones each time, whatever the numbers, and nothing else.
** Training and prediction then call it once for each shape of x and replay its ops. */
MGRAD_API void mgrad_layer_set_pure(mgrad_layer *l, int on);
/* One more reference to l, which is returned. */
MGRAD_API mgrad_layer *mgrad_layer_retain(mgrad_layer *l);
/* Drops a reference; the last one releases children and tensors too. */
MGRAD_API void mgrad_layer_release(mgrad_layer *l);

/* Adds a child to a container or custom layer. 'name' NULL means its position
** from 0, as in PyTorch's nn.Sequential, or the next number that is free. A name used
** before is replaced; none has a '.' in it. */
MGRAD_API mgrad_status mgrad_layer_add(mgrad_layer *l, const char *name,
                                       mgrad_layer *child);
/* Adds a tensor: a parameter when it requires a gradient, else a buffer. */
MGRAD_API mgrad_status mgrad_layer_add_tensor(mgrad_layer *l, const char *name,
                                              mgrad_tensor *t);
/* Gives a layer that is not built yet one of its parameters, which it would make itself
** otherwise: the same tensor in two layers is one parameter, one that requires no gradient
** stays as it is. Refused when the layer is built, where it does not fit. */
MGRAD_API mgrad_status mgrad_layer_set_param(mgrad_layer *l, const char *name,
                                             mgrad_tensor *t);
/* What a host that keeps nets in files needs. The size of the input that l was built for,
** -1 where it is not built or makes nothing; and l as it was built for such an input: of
** parameters and buffers that it was given by mgrad_layer_set_param, all of them, of
** the right shapes. It makes none but may make layers, whose own come next. */
MGRAD_API int mgrad_layer_built(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]);
/* Builds l as it was built for an input of this size; see mgrad_layer_built. */
MGRAD_API mgrad_status mgrad_layer_restore(mgrad_layer *l, int ndim, const int64_t *size);
/* Takes a child or tensor of that name away; MGRAD_INVALID where there is none. */
MGRAD_API mgrad_status mgrad_layer_remove(mgrad_layer *l, const char *name);
/* Creates all parameters by one pass over zeros of this shape (batch first),
** and moves them into one block. */
MGRAD_API mgrad_status mgrad_layer_build(mgrad_layer *l, int ndim, const int64_t *size);
/* Moves all parameters, and their gradients, into one block each. */
MGRAD_API mgrad_status mgrad_layer_join(mgrad_layer *l);
/* y = layer(x), built at the first call where sizes were left open. */
MGRAD_API mgrad_status mgrad_layer_forward(mgrad_layer *l, mgrad_tensor *x,
                                           mgrad_tensor **y);
/* The same with further inputs by name, any of those that mgrad_layer_info lists;
** tensors that are NULL count as left out. The further results go to out[] in their
** order, mgrad_layer_outputs of them, each a new reference or NULL. */
typedef struct mgrad_named {
  const char *name;
  mgrad_tensor *tensor;
} mgrad_named;
MGRAD_API mgrad_status mgrad_layer_forward_with(mgrad_layer *l, mgrad_tensor *x,
                                                const mgrad_named *in, int n,
                                                mgrad_tensor **y, mgrad_tensor **out);
/* How many further results it has, at most MGRAD_MAX_FURTHER. */
MGRAD_API int mgrad_layer_outputs(const mgrad_layer *l);
/* Does it take a further input of this name? Else the sentence names those it takes. */
MGRAD_API mgrad_status mgrad_layer_takes(const mgrad_layer *l, const char *name);
/* As forward_with, in eval mode and without recording. */
MGRAD_API mgrad_status mgrad_layer_predict_with(mgrad_layer *l, mgrad_tensor *x,
                                                const mgrad_named *in, int n,
                                                mgrad_tensor **y, mgrad_tensor **out);
/* As forward, in eval mode and without recording. */
MGRAD_API mgrad_status mgrad_layer_predict(mgrad_layer *l, mgrad_tensor *x,
                                           mgrad_tensor **y);
/* The same into a tensor of the result's shape; allocates nothing for inputs of a
** shape that was seen before. */
MGRAD_API mgrad_status mgrad_layer_predict_into(mgrad_layer *l, mgrad_tensor *x,
                                                mgrad_tensor *out);
/* Training mode for the layer and all below, or eval mode with 0. */
MGRAD_API void mgrad_layer_train(mgrad_layer *l, int on);
/* Is it in training mode? */
MGRAD_API int mgrad_layer_training(const mgrad_layer *l);
/* Parameters of the layer and all below get no gradient, and optimizers leave them alone;
** off again with 0. Those that are yet to be built are included. */
MGRAD_API void mgrad_layer_freeze(mgrad_layer *l, int on);
/* Has it been frozen? */
MGRAD_API int mgrad_layer_frozen(const mgrad_layer *l);
/* The name of its kind, "dense"; borrowed. */
MGRAD_API const char *mgrad_layer_kind(const mgrad_layer *l);
/* Its kind; NULL for a custom layer. */
MGRAD_API const mgrad_layer_def *mgrad_layer_definition(const mgrad_layer *l);
/* The options that it was made with; borrowed. */
MGRAD_API const mgrad_attrs *mgrad_layer_attrs(const mgrad_layer *l);
/* The name that errors call it by; "" where it has none. Borrowed. */
MGRAD_API const char *mgrad_layer_name(const mgrad_layer *l);
/* Names it, in at most MGRAD_NAME_SIZE - 1 bytes; "" takes the name away. */
MGRAD_API mgrad_status mgrad_layer_set_name(mgrad_layer *l, const char *name);
/* The size of the first forward's input, and of the last one's result, for summaries;
** 0-dim before one. */
MGRAD_API int mgrad_layer_input_size(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]);
/* The size of the last result; as mgrad_layer_input_size. */
MGRAD_API int mgrad_layer_output(const mgrad_layer *l, int64_t size[MGRAD_MAX_DIMS]);
/* The layer's own parts, in order: exactly one of layer and tensor is set. */
typedef struct mgrad_part {
  const char *name;
  mgrad_layer *layer;
  mgrad_tensor *tensor;
  int buffer;
} mgrad_part;
/* How many parts of its own it has. */
MGRAD_API int mgrad_layer_part_count(const mgrad_layer *l);
/* The part of an index from 0; borrowed. */
MGRAD_API mgrad_part mgrad_layer_part(const mgrad_layer *l, int index);
/* Calls 'visit' for every tensor below 'l', once each, with its full name
** ("0.weight"). Stops at the first status that is not MGRAD_OK. 'visit' must not change
** or walk through layers itself. */
typedef mgrad_status (*mgrad_visit)(void *ud, const char *name, mgrad_tensor *t,
                                    int buffer);
MGRAD_API mgrad_status mgrad_layer_visit(mgrad_layer *l, mgrad_visit visit, void *ud);
/* A copy of l and all below it: the same structure, tensors of its own. */
MGRAD_API mgrad_status mgrad_layer_clone(mgrad_layer *l, mgrad_layer **out);
/* 64 bits over names, shapes and values of all parameters and buffers. */
MGRAD_API uint64_t mgrad_layer_hash(mgrad_layer *l);

/* ---- Optimizers ------------------------------------------------------------ */

/* How many update rules there are. */
MGRAD_API int mgrad_optimizer_def_count(void);
/* The rule of an index from 0 to mgrad_optimizer_def_count() - 1. */
MGRAD_API const mgrad_optimizer_def *mgrad_optimizer_def_at(int index);
/* The rule of that name ("adam"), or NULL. */
MGRAD_API const mgrad_optimizer_def *mgrad_optimizer_def_find(const char *name);

/* What there is to know of an update rule. */
typedef struct mgrad_optimizer_info {
  const char *name;
  const char *doc;
  const mgrad_attr_spec *attrs;
} mgrad_optimizer_info;
/* What there is to know of a rule. The texts are constants. */
MGRAD_API void mgrad_optimizer_describe(const mgrad_optimizer_def *def,
                                        mgrad_optimizer_info *out);
/* Options of every optimizer: clip_norm, clip_value, l1, l2, ema (0 = off). */
MGRAD_API const mgrad_attr_spec *mgrad_optimizer_common(void);
/* An optimizer that updates nothing yet; 'attrs' and 'common' NULL mean the defaults. */
MGRAD_API mgrad_status mgrad_optimizer_new(mgrad_context *ctx,
                                           const mgrad_optimizer_def *def,
                                           const mgrad_attrs *attrs,
                                           const mgrad_attrs *common,
                                           mgrad_optimizer **out);
/* One more reference to o, which is returned. */
MGRAD_API mgrad_optimizer *mgrad_optimizer_retain(mgrad_optimizer *o);
/* Drops a reference. */
MGRAD_API void mgrad_optimizer_release(mgrad_optimizer *o);
/* Another group of parameters, with options of its own; the first one is 1. Its learning
** rate stays in proportion when that of the optimizer is changed. clip_norm and ema are
** the optimizer's. Groups are made before it is attached. */
MGRAD_API mgrad_status mgrad_optimizer_group(mgrad_optimizer *o, const mgrad_attrs *attrs,
                                             const mgrad_attrs *common);
/* Asks 'fn' for the group of each parameter, 0 = none, when parameters are listed. Its
** name is that in the layer ("0.weight"); tensors attached by themselves have numbers. */
typedef mgrad_status (*mgrad_group_fn)(void *ud, const char *name, const mgrad_tensor *t,
                                       int *group);
MGRAD_API void mgrad_optimizer_grouping(mgrad_optimizer *o, mgrad_group_fn fn, void *ud);
/* Parameters to update: all of a layer's, or a list. Starts its state anew. */
MGRAD_API mgrad_status mgrad_optimizer_attach(mgrad_optimizer *o, mgrad_layer *l);
/* The same for n leaves, which it retains. */
MGRAD_API mgrad_status mgrad_optimizer_attach_tensors(mgrad_optimizer *o,
                                                      mgrad_tensor *const *t, int n);
/* Is it attached to anything? */
MGRAD_API int mgrad_optimizer_attached(const mgrad_optimizer *o);
/* One update from the collected gradients; parameters without one are left
** alone. MGRAD_NONFINITE, with nothing touched, names the parameter. */
MGRAD_API mgrad_status mgrad_optimizer_step(mgrad_optimizer *o);
/* Sets the gradients of its parameters to zeros. */
MGRAD_API void mgrad_optimizer_zero_grad(mgrad_optimizer *o);
/* One update that may evaluate the loss again and again (lbfgs); with other optimizers it
** is a step. 'loss' belongs to the gradients that are there. 'again' computes loss and
** gradients of the same data anew. When it fails the parameters are as they were. */
typedef mgrad_status (*mgrad_again_fn)(void *ud, double *loss);
MGRAD_API mgrad_status mgrad_optimizer_minimise(mgrad_optimizer *o, double loss,
                                                mgrad_again_fn again, void *ud);
/* Exchanges the parameters and their average (option ema: average = ema * average +
** (1 - ema) * parameters, from the first step on). No step is taken until they have been
** exchanged back. */
MGRAD_API mgrad_status mgrad_optimizer_swap(mgrad_optimizer *o);
/* Are they exchanged? */
MGRAD_API int mgrad_optimizer_swapped(const mgrad_optimizer *o);
/* The learning rate now; where there is a schedule, that of the last step. */
MGRAD_API double mgrad_optimizer_lr(const mgrad_optimizer *o);
/* Another learning rate for the steps to come, one that the option lr allows. */
MGRAD_API mgrad_status mgrad_optimizer_set_lr(mgrad_optimizer *o, double lr);
/* Asks 'fn' for the learning rate of each step, 'step' from 1; NULL ends it. */
typedef mgrad_status (*mgrad_lr_fn)(void *ud, int64_t step, double *lr);
MGRAD_API void mgrad_optimizer_schedule(mgrad_optimizer *o, mgrad_lr_fn fn, void *ud);
/* Updates made since it was attached. */
MGRAD_API int64_t mgrad_optimizer_steps(const mgrad_optimizer *o);
/* Its rule. */
MGRAD_API const mgrad_optimizer_def *mgrad_optimizer_definition(const mgrad_optimizer *o);

/* ---- State: what training needs to go on as if it had never stopped ------------ */

/* One part of a state, by name: exactly one of these is set. Whole numbers are texts,
** "-12". 'known' is for the calls that take items. */
typedef struct mgrad_item {
  const char *name;
  mgrad_tensor *tensor;     /* borrowed */
  const mgrad_array *array; /* packed; valid during the call */
  const double *numbers;    /* 'count' of them, at least 1 */
  int64_t count;
  const char *text;
  int known;
} mgrad_item;
/* Takes one item; what it returns but MGRAD_OK ends the walk. */
typedef mgrad_status (*mgrad_item_fn)(void *ud, const mgrad_item *item);
/* Calls 'fn' for all that an optimizer remembers ("optimizer/mean/0.weight"), but its
** options. 'fn' must not train, or change or walk through layers. */
MGRAD_API mgrad_status mgrad_optimizer_state(mgrad_optimizer *o, mgrad_item_fn fn, void *ud);
/* Takes the state of an optimizer of the same kind, for parameters of the same names and
** shapes: all of it, or nothing where it fails. Tensors come as tensors. */
MGRAD_API mgrad_status mgrad_optimizer_restore(mgrad_optimizer *o, mgrad_item *items, int n);

/* ---- Data ------------------------------------------------------------------- */

/* A counted block of raw bytes. */
MGRAD_API mgrad_status mgrad_bytes_new(mgrad_context *ctx, size_t size, mgrad_bytes **out);
/* One more reference to b, which is returned. */
MGRAD_API mgrad_bytes *mgrad_bytes_retain(mgrad_bytes *b);
/* Drops a reference. */
MGRAD_API void mgrad_bytes_release(mgrad_bytes *b);
/* Where they are; for writing until a dataset reads them. */
MGRAD_API unsigned char *mgrad_bytes_data(mgrad_bytes *b);
/* How many there are. */
MGRAD_API size_t mgrad_bytes_size(const mgrad_bytes *b);

/* One column of examples: real numbers in a tensor {n, ...}, or bytes kept as
** they are and converted to byte * scale + offset a batch at a time. */
typedef struct mgrad_source {
  mgrad_tensor *tensor;
  mgrad_bytes *bytes;
  size_t first; /* where the first example starts in bytes */
  int ndim;     /* with bytes: {n, ...} */
  int64_t size[MGRAD_MAX_DIMS];
  double scale, offset; /* a byte b becomes b * scale + offset */
} mgrad_source;

/* Examples x and targets y, of equal n. The sources' objects are retained. */
MGRAD_API mgrad_status mgrad_dataset_new(mgrad_context *ctx, const mgrad_source *x,
                                         const mgrad_source *y, mgrad_dataset **out);
/* One more reference to d, which is returned. */
MGRAD_API mgrad_dataset *mgrad_dataset_retain(mgrad_dataset *d);
/* Drops a reference. */
MGRAD_API void mgrad_dataset_release(mgrad_dataset *d);
/* Examples in d. */
MGRAD_API int64_t mgrad_dataset_count(const mgrad_dataset *d);
/* The view of 'count' examples from 'first' (from 1); in d's own order. */
MGRAD_API mgrad_status mgrad_dataset_range(mgrad_dataset *d, int64_t first,
                                           int64_t count, mgrad_dataset **out);
/* The same examples in an order drawn from the context's generator. */
MGRAD_API mgrad_status mgrad_dataset_shuffle(mgrad_dataset *d, mgrad_dataset **out);
/* x becomes x * scale[i] + offset[i]: n is 1, or the elements of one example. */
MGRAD_API mgrad_status mgrad_dataset_affine(mgrad_dataset *d, int64_t n,
                                            const double *scale, const double *offset,
                                            mgrad_dataset **out);
/* Mean and standard deviation (n - 1) of x: over all, or per element when
** 'each'; mean and deviation hold 1 or the elements of one example. */
MGRAD_API mgrad_status mgrad_dataset_stats(mgrad_dataset *d, int each, double *mean,
                                           double *deviation);
/* Random changes of pictures {n, c, h, w} or {n, h, w}, made while examples are read for
** training, drawn for each example anew in each epoch. All zeros: none. */
typedef struct mgrad_augment {
  int flip;      /* left to right, every other time */
  int64_t shift; /* by whole pixels: up to so many in each direction */
  double rotate; /* by degrees: up to so many, either way; at most 180 */
  double scale;  /* larger or smaller by up to this part; below 1 */
  double noise;  /* standard deviation of normal numbers added to x, of any shape */
  int edge;      /* what comes in from outside: the nearest pixel; else 0 */
} mgrad_augment;
/* The same examples, changed so. */
MGRAD_API mgrad_status mgrad_dataset_augment(mgrad_dataset *d, const mgrad_augment *a,
                                             mgrad_dataset **out);
/* Elements in one example of x. */
MGRAD_API int64_t mgrad_dataset_features(const mgrad_dataset *d);
/* New tensors with 'count' examples from 'first' (from 1), as they are. */
MGRAD_API mgrad_status mgrad_dataset_batch(mgrad_dataset *d, int64_t first,
                                           int64_t count, mgrad_tensor **x,
                                           mgrad_tensor **y);
/* The same, changed at random; equal seeds and 'draw' give equal changes. */
MGRAD_API mgrad_status mgrad_dataset_sample(mgrad_dataset *d, int64_t first, int64_t count,
                                            uint64_t draw, mgrad_tensor **x,
                                            mgrad_tensor **y);

/* ---- Training ---------------------------------------------------------------- */

/* A loss in the host's own code: hands over a single number in *loss. */
typedef mgrad_status (*mgrad_loss_fn)(void *ud, mgrad_tensor *prediction,
                                      mgrad_tensor *target, mgrad_tensor **loss);
/* A metric in the host's own code: the mean over one batch. */
typedef mgrad_status (*mgrad_metric_fn)(void *ud, mgrad_tensor *prediction,
                                        mgrad_tensor *target, double *value);

enum { MGRAD_MAX_METRICS = 8 };

/* What a trainer is made of; all zeros are defaults but for net, optimizer and a loss. */
typedef struct mgrad_trainer_options {
  mgrad_layer *net;
  mgrad_optimizer *optimizer; /* attached to net where it is not yet */
  const mgrad_op *loss;       /* a loss op, or NULL with loss_fn */
  const mgrad_attrs *loss_attrs;
  mgrad_loss_fn loss_fn;
  void *loss_ud;
  int loss_pure;              /* loss_fn is as mgrad_layer_set_pure says */
  mgrad_tensor *class_weight; /* or NULL: of the classes {classes} for cross_entropy and
                              ** nll, of no and yes {2} for bce and bce_with_logits */
  int anomaly;                /* its steps run with mgrad_anomaly on */
  int no_plan;                /* every step op by op; the same numbers, slower */
  int nmetrics;
  struct { const char *name; mgrad_metric_fn fn; void *ud; } metrics[MGRAD_MAX_METRICS];
} mgrad_trainer_options;

/* By name; the metric "top_k" has names with a number, "top_5", as well. -1 when unknown. */
MGRAD_API int mgrad_metric_find(const char *name);
MGRAD_API const char *mgrad_metric_name(int index); /* NULL after the last */
MGRAD_API const char *mgrad_metric_doc(int index);  /* one line */

/* Over the examples seen: the mean loss; metrics as over one batch of them all, those of
** the host as means. */
typedef struct mgrad_report {
  int64_t examples;
  double loss;
  double metric[MGRAD_MAX_METRICS];
} mgrad_report;

/* A trainer. It retains net, optimizer and class_weight; 'options' is copied. */
MGRAD_API mgrad_status mgrad_trainer_new(mgrad_context *ctx,
                                         const mgrad_trainer_options *options,
                                         mgrad_trainer **out);
/* Drops it: trainers are not counted. */
MGRAD_API void mgrad_trainer_release(mgrad_trainer *t);
/* One batch: forward, loss, backward, update. On failure the weights are as
** they were. */
MGRAD_API mgrad_status mgrad_trainer_step(mgrad_trainer *t, mgrad_tensor *x,
                                          mgrad_tensor *y, double *loss);
/* From now on that many batches share an update, as one batch of all their examples would
** do it, those left at the end of an epoch too; 1 at first. What a batch that fails was to
** share with is dropped. */
MGRAD_API mgrad_status mgrad_trainer_accumulate(mgrad_trainer *t, int64_t batches);
/* Starts 'epochs' passes over 'd' in batches (the last may be smaller),
** shuffled anew each epoch when asked to. */
MGRAD_API mgrad_status mgrad_trainer_begin(mgrad_trainer *t, mgrad_dataset *d,
                                           int64_t batch, int64_t epochs, int shuffle);
/*
** Trains on from where the last run stopped: until 'steps' batches (0 = no
** bound), the end of the epoch when 'one_epoch', or 'expired' (may be NULL)
** says so. *done tells that all epochs are over; after that a run fails with
** MGRAD_INVALID, "trainer: all epochs are over; begin again". 'report' covers
** the current epoch so far.
**
** 'expired' is asked after each batch. With 'pauses' also about every 20 microseconds
** (a millisecond without vectors) within one: a batch is then left in its middle, and the
** next run goes on with it, to the same bits. Until then weights, buffers, optimizer,
** generator and report are as after the batch before; but parameters have no gradients
** while it is on the way back. Where anything that it depends on has changed meanwhile
** (parameters, buffers, gradients, layers, modes, settings; for a net that draws random
** numbers, the generator) or the trainer has taken another step, the batch is as if never
** begun, and the next run does it in one go. In one go in any case: batches that no plan
** replays because a function of the host takes part (the first of each shape also where that
** is pure), the making of weights, the update, and an optimizer that evaluates the loss many
** times.
*/
typedef int (*mgrad_expired_fn)(void *ud);
/* How far one call of mgrad_trainer_run goes. */
typedef struct mgrad_run {
  int64_t steps;
  int one_epoch;
  mgrad_expired_fn expired;
  void *ud;
  int pauses;
} mgrad_run;
MGRAD_API mgrad_status mgrad_trainer_run(mgrad_trainer *t, const mgrad_run *run,
                                         mgrad_report *report, int *done);
/* As mgrad_optimizer_state, for all that a trainer goes on from: parameters and buffers of
** its net under their own names, the optimizer, the context's generator, and where the run
** stands. The net is the tensors' own: not a copy. */
MGRAD_API mgrad_status mgrad_trainer_state(mgrad_trainer *t, mgrad_item_fn fn, void *ud);
/* Takes the state of a trainer of the same net, optimizer and metrics: all or nothing. A
** run in it waits for mgrad_trainer_resume; one that was under way here is over. */
MGRAD_API mgrad_status mgrad_trainer_restore(mgrad_trainer *t, mgrad_item *items, int n);
/* Goes on with a run that was restored, over the same examples as then, to the end of
** that many epochs in all. */
MGRAD_API mgrad_status mgrad_trainer_resume(mgrad_trainer *t, mgrad_dataset *d,
                                            int64_t epochs);
/* What a run would report of the epoch under way. */
MGRAD_API void mgrad_trainer_progress(const mgrad_trainer *t, mgrad_report *report);
/* Epoch under way or last finished (from 1, 0 before the first), and the
** examples of it that are done. */
MGRAD_API void mgrad_trainer_position(const mgrad_trainer *t, int64_t *epoch,
                                      int64_t *examples);
/* Loss and metrics over 'd' in eval mode, without recording. */
MGRAD_API mgrad_status mgrad_trainer_evaluate(mgrad_trainer *t, mgrad_dataset *d,
                                              int64_t batch, mgrad_report *report);
/* The table of a metric (position from 0) that has one: of "confusion", how many examples
** of the class of a row were taken for that of the column. Of the last evaluation, or of
** the epoch under way; NULL where there is none. */
MGRAD_API mgrad_status mgrad_trainer_table(const mgrad_trainer *t, int metric, int evaluated,
                                           mgrad_tensor **out);

#ifdef __cplusplus
}
#endif
#endif
