/*
** layer.h - a layer = parameters + a builder made of ops. The descriptor is
** everything the engine knows of one kind of layer; layers.def lists them.
**
** A layer is built at the first input it sees: build() makes its parameters.
** A whole net is built by a trial pass in eval mode without recording, after
** which all parameters lie in one block and all gradients in another.
*/
#ifndef MGRAD_LAYER_H
#define MGRAD_LAYER_H

#include "plan.h"

/* A case for the generic layer test, and a pattern for random ones, as mgrad_example. */
typedef struct mgrad_layer_example {
  int64_t input[MGRAD_EXAMPLE_DIMS];
  struct { const char *name; double value; } attrs[4]; /* the others by default */
  const char *act;                                     /* the ACT attribute, by name */
  int nlist;
  int64_t list[MGRAD_EXAMPLE_DIMS];
  int labels;                                          /* the input is ids from 1 to this */
  mgrad_vary vary[MGRAD_EXAMPLE_VARY];
} mgrad_layer_example;

struct mgrad_layer_def {
  const char *name;
  const char *doc;
  const mgrad_attr_spec *attrs; /* by MGRAD_ATTRS; NULL = none */
  bool container;
  /* Names of what a call may take besides x and give besides y, "h c lengths", at most
  ** MGRAD_MAX_FURTHER each; NULL for none. Inputs may all be left out. */
  const char *inputs, *outputs;
  /* Makes parameters with mgrad_layer_param; NULL where there are none. */
  mgrad_status (*build)(mgrad_layer *l, const mgrad_array *x);
  mgrad_status (*forward)(mgrad_layer *l, mgrad_tensor *x, mgrad_tensor **y);
  const mgrad_layer_example *examples; /* by MGRAD_LAYER_EXAMPLES */
};

/* The examples of a descriptor, at most MGRAD_LAYER_MOST_EXAMPLES; in double only, as
** those of ops. */
enum { MGRAD_LAYER_MOST_EXAMPLES = 4 };
#ifdef MGRAD_REAL_DOUBLE
#define MGRAD_LAYER_EXAMPLES(...)                                                 \
  .examples = (const mgrad_layer_example[MGRAD_LAYER_MOST_EXAMPLES]){ __VA_ARGS__ }
#else
#define MGRAD_LAYER_EXAMPLES(...) .examples = NULL
#endif

#define X(name) extern const mgrad_layer_def mgrad_layer_def_##name;
#include "layers.def"
#undef X

typedef struct mgrad_slot {
  char name[MGRAD_NAME_SIZE];
  mgrad_layer *layer;   /* exactly one of these two */
  mgrad_tensor *tensor;
  bool buffer;
  bool given, taken;    /* by mgrad_layer_set_param; by the layer's build */
} mgrad_slot;

enum { MGRAD_LAYER_PLANS = 2, MGRAD_MAX_DEPTH = 100 /* of layers in layers */ };

struct mgrad_layer {
  mgrad_context *ctx;
  int64_t refs;
  const mgrad_layer_def *def; /* NULL: custom */
  mgrad_attrs attrs;
  mgrad_layer_fn fn;          /* of a custom layer */
  void *ud;
  bool pure;                  /* all that fn does is in the ops that it applies */
  mgrad_slot *parts;
  int nparts, room;
  mgrad_plan *plans[MGRAD_LAYER_PLANS]; /* of predict, the latest first */
  mgrad_layer *next_built;    /* list of a trial pass */
  mgrad_layer *copy;          /* while it is cloned: its copy */
  int level;                  /* most layers there ever were above it */
  int mark;                   /* of a walk over a tree: been here */
  bool training;
  bool frozen;                /* parameters that it builds get no gradient */
  bool built;                 /* has its own parameters */
  bool restoring;             /* .. and may make none: all are given */
  bool complete;              /* all layers below were built and joined .. */
  uint64_t seen;              /* .. and none was changed up to this count of ctx->changes */
  int input_ndim;             /* of the input it was built for */
  int64_t input[MGRAD_MAX_DIMS];
  int output_ndim;
  int64_t output[MGRAD_MAX_DIMS];
  char kind[MGRAD_NAME_SIZE], name[MGRAD_NAME_SIZE];
};

/* The further inputs and results of one call, in the order of the descriptor. */
typedef struct mgrad_further {
  mgrad_tensor *in[MGRAD_MAX_FURTHER];  /* borrowed; NULL where left out */
  mgrad_tensor *out[MGRAD_MAX_FURTHER]; /* new references; NULL where not given */
} mgrad_further;

/* In a layer's build and forward: further input i from 0, or NULL. */
mgrad_tensor *mgrad_layer_input(const mgrad_layer *l, int i);
/* In forward: does the caller want the further results? */
bool mgrad_layer_asked(const mgrad_layer *l);
/* Hands over one reference of t, or NULL, as further result i. */
void mgrad_layer_give(const mgrad_layer *l, int i, mgrad_tensor *t);
/* Releases the results again; 'f' may be NULL. */
void mgrad_further_drop(mgrad_further *f);
/* mgrad_layer_forward with these; and in eval mode, without recording. */
mgrad_status mgrad_layer_pass(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further,
                              mgrad_tensor **y);
mgrad_status mgrad_layer_pass_quietly(mgrad_layer *l, mgrad_tensor *x,
                                      mgrad_further *further, mgrad_tensor **y);

/* An attribute by its position in the descriptor. */
static inline double mgrad_layer_value(const mgrad_layer *l, int i) {
  return l->attrs.value[i];
}
/* Adds a parameter, filled by an initialiser unless it was given. */
mgrad_status mgrad_layer_param(mgrad_layer *l, const char *name, int ndim,
                               const int64_t *size, int init);
/* Adds a buffer, filled with a value. */
mgrad_status mgrad_layer_buffer(mgrad_layer *l, const char *name, int ndim,
                                const int64_t *size, double value);
/* Builds all of l that is not yet, by a trial pass of x, unless a layer is under way. */
mgrad_status mgrad_layer_complete(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further);
/* Lets go of what a part holds. */
void mgrad_slot_release(mgrad_slot *part);
/* Lets go of the plans of predictions. */
void mgrad_layer_drop_plans(mgrad_layer *l);
/* Takes the marks of a walk back, those of tensors too. */
void mgrad_layer_unmark(mgrad_layer *l);
/* As mgrad_layer_add and _add_tensor, on any kind of layer. */
mgrad_status mgrad_layer_put(mgrad_layer *l, const char *name, mgrad_layer *child);
mgrad_status mgrad_layer_put_tensor(mgrad_layer *l, const char *name, mgrad_tensor *t);
/* The same, of a kind that is known: a frozen parameter is no buffer. */
mgrad_status mgrad_layer_put_part(mgrad_layer *l, const char *name, mgrad_tensor *t,
                                  bool buffer);
/* In build: adds a layer of that kind, with these attributes or the default ones. */
mgrad_status mgrad_layer_child(mgrad_layer *l, const char *name, const mgrad_layer_def *def,
                               const mgrad_attrs *attrs);
/* A part's tensor; NULL where there is none. */
mgrad_tensor *mgrad_layer_tensor(const mgrad_layer *l, const char *name);
/* Runs a child inside its container's forward; 'position' counts from 1. */
mgrad_status mgrad_layer_call(mgrad_layer *l, int position, mgrad_tensor *x,
                              mgrad_tensor **y);
/* Runs l without recording and fails, naming the layer, where the first NaN or
** infinity comes up. */
mgrad_status mgrad_layer_hunt(mgrad_layer *l, mgrad_tensor *x);
/* Puts the layer under way before the error sentence: 'dense (layer 1 of sequential): '. */
void mgrad_layer_locate(mgrad_context *ctx, mgrad_status status);
/* Writes the same words for the layer in or below l that has the tensor t. */
bool mgrad_layer_of(mgrad_layer *l, const mgrad_tensor *t, char *to, size_t size);
/* Is it to behave as in training now? */
bool mgrad_layer_active(const mgrad_layer *l);

#endif
