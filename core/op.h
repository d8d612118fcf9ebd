/*
** op.h - the op descriptor: everything the engine knows of one op, in one
** place, and the call that carries operands to its functions. ops.def lists
** the ops; checks, methods, tests and reference are loops over that list.
*/
#ifndef MGRAD_OP_H
#define MGRAD_OP_H

#include "tensor.h"

/*
** One application of an op. infer() reads x and attrs, writes y's ndim and
** size (a view writes stride and data too) and the scratch sizes. forward()
** fills y. backward() fills dx[i] where it is not NULL: row-major in the shape
** of x[i], overwriting unless add[i]. The same buffer may serve two operands
** (x * x), so each dx[i] is finished before dx[i + 1] is begun.
*/
typedef struct mgrad_call {
  mgrad_context *ctx;
  const mgrad_op *op;
  const mgrad_attrs *attrs;
  int n;                         /* operands, those left out included */
  const mgrad_array *const *x;   /* NULL where left out */
  mgrad_array *y;
  mgrad_real *const *dx;
  const bool *add;
  const mgrad_real *dy;          /* row-major in the shape of y */
  mgrad_real *saved;             /* nsaved numbers, kept from forward to backward */
  mgrad_real *work;              /* nwork in forward, nwork_backward in backward */
  int64_t nsaved, nwork, nwork_backward;
  void *prepared;                /* what the op has prepared in a plan, or NULL */
  mgrad_real *packed;            /* npacked numbers in a plan that never runs back */
  int64_t npacked;
  uint64_t seed, stream;         /* of random numbers, for MGRAD_OP_RANDOM */
} mgrad_call;

/* An elementwise function of one operand, on n packed numbers; 'p' are the
** attribute values. backward: dx = dy * f'(x). */
typedef struct mgrad_map {
  void (*forward)(int64_t n, const mgrad_real *x, mgrad_real *y, const double *p);
  void (*backward)(int64_t n, const mgrad_real *x, const mgrad_real *y,
                   const mgrad_real *dy, mgrad_real *dx, const double *p);
} mgrad_map;

/* How the tests fill an operand of an example. */
typedef enum mgrad_fill {
  MGRAD_FILL_RANGE,    /* uniform from low to high */
  MGRAD_FILL_LABELS,   /* integers from 1 to labels */
  MGRAD_FILL_BITS,     /* 0 or 1 */
  MGRAD_FILL_SIGNS,    /* -1 or 1 */
  MGRAD_FILL_CHANCES   /* uniform in (0.1, 0.9), each row of the last dim sums to 1 */
} mgrad_fill;

enum {
  MGRAD_EXAMPLE_OPERANDS = 8, MGRAD_EXAMPLE_DIMS = 5, MGRAD_EXAMPLE_VARY = 6,
  MGRAD_OP_EXAMPLES = 8
};

/* An integer option that random variants of an example draw from low to high; of a pair
** each side. */
typedef struct mgrad_vary {
  const char *name;
  int low, high;
} mgrad_vary;

/* A case for the gradient test, and a pattern for random ones: sizes that are equal
** change together, so distinct meanings want distinct sizes (tests/README.md). */
typedef struct mgrad_example {
  /* One shape an operand, ended by 0; {-1} leaves an optional operand out,
  ** {0} is a single number. The list ends at the first all-zero entry after
  ** the first that is beyond 'operands'. */
  int operands;                  /* 0 = as many as the op names */
  int64_t shapes[MGRAD_EXAMPLE_OPERANDS][MGRAD_EXAMPLE_DIMS];
  double low, high;              /* of RANGE; both 0 = -1 to 1 */
  mgrad_fill fill[MGRAD_EXAMPLE_OPERANDS];
  int labels;
  struct { const char *name; double value; } attrs[4]; /* the others by default */
  int nlist;                     /* the SIZES attribute */
  int64_t list[MGRAD_EXAMPLE_DIMS];
  mgrad_vary vary[MGRAD_EXAMPLE_VARY];
} mgrad_example;

enum {                      /* flags */
  MGRAD_OP_VIEW = 1,        /* y shares x[0]'s storage; infer says how */
  MGRAD_OP_STRIDED = 2,     /* takes operands of any stride; else they are packed first */
  MGRAD_OP_RANDOM = 4,      /* draws from call->stream */
  MGRAD_OP_ACTIVATION = 8,  /* usable by name as a layer */
  MGRAD_OP_LOSS = 16,       /* of a prediction and a target */
  MGRAD_OP_LIST = 32,       /* takes a list of operands */
  MGRAD_OP_BROADCAST = 64   /* a number of the result from one of each operand */
};
#define MGRAD_READS_Y 0x80000000u /* in 'reads' */

struct mgrad_op {
  const char *name;
  int id;                   /* its place in ops.def; never stored outside the process */
  const char *doc;          /* one line, no full stop */
  const char *operands;     /* "x weight bias?"; "x.." for a list */
  const char *order;        /* order of arguments; NULL = operands, then attrs */
  const mgrad_attr_spec *attrs; /* by MGRAD_ATTRS; NULL = none, or not the baseline's */
  unsigned flags;
  unsigned reads;           /* bit i: backward reads x[i]; MGRAD_READS_Y: y */
  unsigned constant;        /* bit i: no gradient flows to x[i] */
  unsigned updates;         /* bit i: forward changes x[i] in place; constant, not read */
  mgrad_status (*infer)(mgrad_call *c);
  mgrad_status (*check)(const mgrad_call *c); /* of values, before forward; or NULL */
  void (*forward)(mgrad_call *c);             /* NULL for a view */
  void (*backward)(mgrad_call *c);            /* NULL: not differentiable */
  /* In a plan, where nothing moves any more: works out ahead what does not depend
  ** on values, into 'bytes' at c->prepared, once for forward and once for backward
  ** (c->dy set); and what depends on x[1] alone, into c->packed, whenever that has
  ** changed. NULL where there is nothing to prepare. */
  void (*prepare)(mgrad_call *c);
  size_t bytes;
  mgrad_map map;            /* set for functions of one operand */
  const mgrad_example *examples; /* by MGRAD_EXAMPLES */
};

/* The examples of a descriptor. The gradient test runs in double, so only there are
** they compiled in: they outweigh all else that is known of an op. */
#ifdef MGRAD_REAL_DOUBLE
#define MGRAD_EXAMPLES(...)                                                       \
  .examples = (const mgrad_example[MGRAD_OP_EXAMPLES]){ __VA_ARGS__ }
#else
#define MGRAD_EXAMPLES(...) .examples = NULL
#endif

/* How a descriptor is opened: MGRAD_OP(exp) = { MGRAD_NAMED(exp), .. }; */
#define MGRAD_OP(word) const mgrad_op MGRAD_CODE(mgrad_op_##word)
#define MGRAD_NAMED(word) .name = #word, .id = MGRAD_ID_##word

#define X(name) extern const mgrad_op mgrad_op_##name;
#include "ops.def"
#undef X

#define X(name) MGRAD_ID_##name,
enum {
#include "ops.def"
  MGRAD_OP_COUNT
};
#undef X

/* The same op in the code of the context's instruction set. */
static inline const mgrad_op *mgrad_op_code(const mgrad_context *ctx, const mgrad_op *op) {
  return ctx->code->ops[op->id];
}

/* Its options, whichever set it is of; NULL = none. */
static inline const mgrad_attr_spec *mgrad_op_attrs(const mgrad_op *op) {
  return mgrad_op_at(op->id)->attrs;
}

/* infer: y has the shape of x[0] */
mgrad_status mgrad_infer_same(mgrad_call *c);
/* forward and backward of an op that sets .map */
void mgrad_map_forward(mgrad_call *c);
void mgrad_map_backward(mgrad_call *c);
/* What op's map.backward wants, and whether dx is added to. */
typedef struct mgrad_slope {
  const mgrad_op *op;
  const mgrad_real *x, *y, *dy;
  mgrad_real *dx;
  bool add;
  const double *p;
} mgrad_slope;
void mgrad_map_slope(mgrad_context *ctx, int64_t n, mgrad_slope *s);
/* Runs forward or backward of a call; MGRAD_INTERRUPTED where the host wants it. What
** changes an operand is done to its end. */
mgrad_status mgrad_op_run(void (*f)(mgrad_call *c), mgrad_call *c);
/* Fails with "name of the op: " and the sentence; directives as in mgrad_fail. */
mgrad_status mgrad_op_fail(const mgrad_call *c, const char *format, ...);
/* Overwrites dx[i] with zeros unless it is to be added to; for scattering. */
void mgrad_call_clear(const mgrad_call *c, int i);
/* mgrad_pool_continues, for the loops of an op. */
static inline bool mgrad_call_continues(const mgrad_call *c, int64_t n) {
  return mgrad_pool_continues(c->ctx->pool, 0, n);
}
/* Numbers in operand i. */
static inline int64_t mgrad_call_numel(const mgrad_call *c, int i) {
  return mgrad_shape_numel(c->x[i]);
}
/* An attribute as an integer. */
static inline int64_t mgrad_call_int(const mgrad_call *c, int i) {
  return (int64_t)c->attrs->value[i];
}
/* A list that may be read, where specs may be NULL. */
static inline const mgrad_attr_spec *mgrad_attrs_listed(const mgrad_attr_spec *specs) {
  static const mgrad_attr_spec none = { .type = MGRAD_ATTR_NONE };
  return specs != NULL ? specs : &none;
}
/* The values of attributes that are left out; specs may be NULL. */
static inline void mgrad_attrs_initial(const mgrad_attr_spec *specs, double *value) {
  if (specs == NULL) return;
  for (; specs->type != MGRAD_ATTR_NONE; specs++) *value++ = specs->initial;
}
/* Checks that every number of x[i] is an integer from 1 to 'high'; 'what' names
** the numbers: "a class", "an id". Numbers equal to 'ignore' pass. */
mgrad_status mgrad_check_ids(const mgrad_call *c, int i, const char *what, int64_t high,
                             double ignore);
/* Does forward change operand i in place? */
static inline bool mgrad_op_updates(const mgrad_op *op, int i) {
  return i < 32 && (op->updates >> i & 1) != 0;
}
/* Can an activation be applied to another op's result in place, and its slope be
** found from that alone? */
static inline bool mgrad_op_fusible(const mgrad_op *op) {
  return op->map.forward != NULL && (op->reads & ~MGRAD_READS_Y) == 0;
}
/* The place among its options of an activation that the op puts on top; -1 = none. */
int mgrad_op_act(const mgrad_op *op);
/* Does backward read y? Not where such an activation is left out. */
bool mgrad_op_reads_y(const mgrad_op *op, const mgrad_attrs *attrs);
/* Copies the i-th word of a list such as "x weight bias?", without its mark. */
void mgrad_operand_name(const mgrad_op *op, int i, char *to, size_t size);
enum { MGRAD_WHERE_SIZE = 160 }; /* for the name of a layer */
/* While ctx->anomaly is set: MGRAD_NONFINITE, with a sentence, where forward or backward
** has made NaN or infinite numbers of finite ones. 'where' is the layer, or "". */
mgrad_status mgrad_anomaly_forward(const mgrad_call *c);
mgrad_status mgrad_anomaly_backward(const mgrad_call *c, const char *where);
/* Runs a view's gradient: dy added into the window of dx[0] that y shows. */
void mgrad_view_backward(mgrad_call *c);

#endif
