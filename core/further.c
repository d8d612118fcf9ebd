/*
** further.c - what a call of a layer takes besides x and gives besides y: tensors
** by name, which the layer finds in the frame of its call.
*/
#include "layer.h"

/* ---- in a layer's own functions ---- */

static mgrad_further *under_way(const mgrad_layer *l) {
  const mgrad_frame *f = l->ctx->frame;
  return f != NULL && f->layer == l ? f->further : NULL;
}

mgrad_tensor *mgrad_layer_input(const mgrad_layer *l, int i) {
  const mgrad_further *f = under_way(l);
  return f != NULL ? f->in[i] : NULL;
}

bool mgrad_layer_asked(const mgrad_layer *l) { return under_way(l) != NULL; }

void mgrad_layer_give(const mgrad_layer *l, int i, mgrad_tensor *t) {
  mgrad_further *f = under_way(l);
  mgrad_tensor_release(f != NULL ? f->out[i] : t);
  if (f != NULL) f->out[i] = t;
}

void mgrad_further_drop(mgrad_further *f) {
  for (int i = 0; f != NULL && i < MGRAD_MAX_FURTHER; i++) {
    mgrad_tensor_release(f->out[i]);
    f->out[i] = NULL;
  }
}

/* ---- lists of names ---- */

/* The next word of "h c lengths", its length in *n; NULL at the end. */
static const char *next_word(const char **words, size_t *n) {
  const char *word = *words;
  if (word == NULL || *word == '\0') return NULL;
  *n = strcspn(word, " ");
  *words = word + *n + (word[*n] == ' ');
  return word;
}

static const char *inputs_of(const mgrad_layer *l) {
  return l->def != NULL ? l->def->inputs : NULL;
}

int mgrad_layer_outputs(const mgrad_layer *l) {
  const char *words = l->def != NULL ? l->def->outputs : NULL;
  size_t length;
  int n = 0;
  while (next_word(&words, &length) != NULL) n++;
  return n;
}

/* The position of an input, or -1. */
static int find(const mgrad_layer *l, const char *name) {
  const char *words = inputs_of(l), *word;
  size_t n;
  for (int i = 0; (word = next_word(&words, &n)) != NULL; i++) {
    if (strlen(name) == n && memcmp(word, name, n) == 0) return i;
  }
  return -1;
}

mgrad_status mgrad_layer_takes(const mgrad_layer *l, const char *name) {
  if (find(l, name) >= 0) return MGRAD_OK;
  const char *words = inputs_of(l), *word;
  char known[MGRAD_ERROR_SIZE] = "";
  size_t n, at = 0;
  while ((word = next_word(&words, &n)) != NULL) {
    mgrad_format(known + at, sizeof known - at, at > 0 ? ", %s" : "%s", word);
    at += n + (at > 0 ? 2 : 0);
    known[at] = '\0';
  }
  if (at == 0) {
    return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: there is no input \"%s\"; it takes x alone",
                      l->kind, name);
  }
  return mgrad_fail(l->ctx, MGRAD_INVALID, "%s: there is no input \"%s\", expected one of %s",
                    l->kind, name, known);
}

/* ---- calling ---- */

typedef mgrad_status (*pass_fn)(mgrad_layer *l, mgrad_tensor *x, mgrad_further *further,
                                mgrad_tensor **y);

static mgrad_status pass_with(pass_fn pass, mgrad_layer *l, mgrad_tensor *x,
                              const mgrad_named *in, int n, mgrad_tensor **y,
                              mgrad_tensor **out) {
  mgrad_further further = { { NULL }, { NULL } };
  for (int i = 0; i < n; i++) {
    MGRAD_TRY(mgrad_layer_takes(l, in[i].name));
    further.in[find(l, in[i].name)] = in[i].tensor;
  }
  int results = mgrad_layer_outputs(l);
  MGRAD_TRY(pass(l, x, &further, y));
  if (results > 0) memcpy(out, further.out, (size_t)results * sizeof *out);
  return MGRAD_OK;
}

mgrad_status mgrad_layer_forward_with(mgrad_layer *l, mgrad_tensor *x, const mgrad_named *in,
                                      int n, mgrad_tensor **y, mgrad_tensor **out) {
  return pass_with(mgrad_layer_pass, l, x, in, n, y, out);
}

mgrad_status mgrad_layer_predict_with(mgrad_layer *l, mgrad_tensor *x, const mgrad_named *in,
                                      int n, mgrad_tensor **y, mgrad_tensor **out) {
  return pass_with(mgrad_layer_pass_quietly, l, x, in, n, y, out);
}
