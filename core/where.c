/*
** where.c - where in a net something happened, in words.
*/
#include "layer.h"

#include <string.h>

enum { PATH_SIZE = 256 };

/* The layer's own name, or the one its parent gave it unless that is only its
** number. */
static const char *shown_name(const mgrad_frame *f) {
  if (f->layer->name[0] != '\0') return f->layer->name;
  for (int i = 0; f->up != NULL && i < f->up->layer->nparts; i++) {
    const mgrad_slot *p = &f->up->layer->parts[i];
    if (p->layer == f->layer && !(p->name[0] >= '0' && p->name[0] <= '9')) return p->name;
  }
  return NULL;
}

/* Writes 'dense "fc1" (layer 3 of sequential)'. */
static void name_frame(const mgrad_frame *f, char where[PATH_SIZE]) {
  const char *name = shown_name(f);
  char more[PATH_SIZE];
  bool inside = f->up != NULL;
  if (name != NULL) mgrad_format(where, PATH_SIZE, "%s \"%s\"", f->layer->kind, name);
  else mgrad_format(where, PATH_SIZE, "%s", f->layer->kind);
  const char *link = " (";
  for (; f->up != NULL; f = f->up) {
    const char *outer = f->up->layer->kind;
    mgrad_format(more, sizeof more, "%s", where);
    if (f->position > 0) {
      mgrad_format(where, PATH_SIZE, "%s%slayer %d of %s", more, link, (int64_t)f->position,
                   outer);
    } else {
      mgrad_format(where, PATH_SIZE, "%s%sin %s", more, link, outer);
    }
    link = ", ";
  }
  mgrad_format(more, sizeof more, "%s", where);
  mgrad_format(where, PATH_SIZE, "%s%s", more, inside ? ")" : "");
}

void mgrad_layer_locate(mgrad_context *ctx, mgrad_status status) {
  char where[PATH_SIZE];
  const char *text = ctx->error, *kind = ctx->frame->layer->kind;
  size_t n = strlen(kind);
  if (strncmp(text, kind, n) == 0 && strncmp(text + n, ": ", 2) == 0) text += n + 2;
  name_frame(ctx->frame, where);
  mgrad_fail(ctx, status, "%s: %s", where, text); /* an op may be called as its layer is */
  ctx->located = true;
}

/* ---- the layer of a parameter ---- */

typedef struct search {
  const mgrad_tensor *t;
  char *to;
  size_t size;
} search;

static bool search_in(const search *s, mgrad_layer *l, int position, const mgrad_frame *up) {
  mgrad_frame f = { .layer = l, .position = position, .up = up };
  bool found = false;
  l->mark = 1;
  for (int i = 0; i < l->nparts && !found; i++) {
    mgrad_layer *child = l->parts[i].layer;
    if (child != NULL && child->mark == 0) {
      found = search_in(s, child, l->def != NULL ? i + 1 : 0, &f);
    } else if (l->parts[i].tensor == s->t) {
      char where[PATH_SIZE];
      name_frame(&f, where);
      mgrad_format(s->to, s->size, "%s", where);
      found = true;
    }
  }
  return found;
}

bool mgrad_layer_of(mgrad_layer *l, const mgrad_tensor *t, char *to, size_t size) {
  search s = { t, to, size };
  bool found = search_in(&s, l, 0, NULL);
  mgrad_layer_unmark(l);
  return found;
}

/* ---- anomalies ---- */

/* What ctx->anomaly is while they are looked for. */
static void name_here(const mgrad_context *ctx, char *to, size_t size) {
  char where[PATH_SIZE] = "";
  if (ctx->frame != NULL) name_frame(ctx->frame, where);
  mgrad_format(to, size, "%s", where);
}

int mgrad_anomaly(mgrad_context *ctx, int on) {
  int before = ctx->anomaly != NULL;
  ctx->anomaly = on ? name_here : NULL;
  return before;
}
