/*
** header.h - the header of a safetensors file: one object in JSON, of which only what
** the format has is read. Allocates nothing and trusts nothing.
*/
#ifndef LMGRAD_HEADER_H
#define LMGRAD_HEADER_H

#include "../core/moongrad.h"

enum { LMGRAD_NAME_BYTES = 255 };

typedef struct lmgrad_text { const char *at; size_t n; } lmgrad_text; /* escapes and all */

/* A tensor, or a pair of "__metadata__". */
typedef struct lmgrad_entry {
  int pair;
  lmgrad_text name, value; /* value: of a pair */
  const char *type;        /* "f32" and so on */
  int ndim;
  int64_t size[MGRAD_MAX_DIMS];
  int64_t first, last;     /* bytes of the data, from 0, the last not included */
} lmgrad_entry;

typedef struct lmgrad_header {
  const char *at, *end;
  int inside;              /* within "__metadata__" */
  int metadata, started;   /* it was there; something was */
  const char *wrong;       /* what is, after a failure */
} lmgrad_header;

void lmgrad_header_open(lmgrad_header *h, const char *text, size_t n);
/* The next entry: 1; 0 at the end; -1 with 'wrong' set. Names may come twice, bytes of
** tensors overlap: what only several entries show is not looked for. */
int lmgrad_header_next(lmgrad_header *h, lmgrad_entry *out);
/* Writes what a text means, unless 'to' is NULL, and returns the number of its bytes, which
** are not more than the text has. */
size_t lmgrad_unescape(lmgrad_text t, char *to);

#endif
