/*
** header.c - reading the header of a safetensors file, an entry at a time:
**
**   {"__metadata__": {"key": "text", ..},
**    "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..}
*/
#include "header.h"

#include <string.h>

static const struct dtype { const char *name, *type; int size; } dtypes[] = {
  { "F32", "f32", 4 }, { "F64", "f64", 8 }, { "F16", "f16", 2 }, { "BF16", "bf16", 2 },
  { "U8", "u8", 1 }, { "I8", "i8", 1 }, { "U16", "u16", 2 }, { "I16", "i16", 2 },
  { "U32", "u32", 4 }, { "I32", "i32", 4 }, { "U64", "u64", 8 }, { "I64", "i64", 8 },
  { "BOOL", "bool", 1 },
};

static int refuse(lmgrad_header *h, const char *what) {
  h->wrong = what;
  return 0;
}

/* ---- characters ---- */

static void skip_space(lmgrad_header *h) {
  static const char spaces[] = { ' ', '\n', '\t', '\r' };
  while (h->at < h->end && memchr(spaces, *h->at, sizeof spaces) != NULL) h->at++;
}

/* Is c next, after space? Then it is taken. */
static int accept(lmgrad_header *h, char c) {
  skip_space(h);
  if (h->at == h->end || *h->at != c) return 0;
  h->at++;
  return 1;
}

static int expect(lmgrad_header *h, char c) {
  return accept(h, c) ? 1 : refuse(h, "is no JSON of the kind that safetensors has");
}

/* Bytes of one character in UTF-8 from p on, 0 where it is none or has no place in JSON. */
static size_t character(const char *p, const char *end) {
  static const uint32_t least[] = { 0, 0x20, 0x80, 0x800, 0x10000 };
  unsigned char c = (unsigned char)*p;
  size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
  if (n == 0 || n > (size_t)(end - p) || c >= 0xf8) return 0;
  uint32_t code = n == 1 ? c : c & (0x7fu >> n);
  for (size_t k = 1; k < n; k++) {
    if (((unsigned char)p[k] & 0xc0) != 0x80) return 0;
    code = code << 6 | ((unsigned char)p[k] & 0x3fu);
  }
  return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

/* Four hexadecimal digits at p, or -1. */
static int32_t hexadecimal(const char *p, const char *end) {
  int32_t code = 0;
  if (end - p < 4) return -1;
  for (int k = 0; k < 4; k++) {
    char c = p[k], low = (char)(c | 0x20);
    if (c >= '0' && c <= '9') code = code * 16 + (c - '0');
    else if (low >= 'a' && low <= 'f') code = code * 16 + (low - 'a') + 10;
    else return -1;
  }
  return code;
}

/* The character that \u at p stands for, with a second half where it needs one; *n are
** the bytes it takes here. 0 where that is none. */
static uint32_t escaped(const char *p, const char *end, size_t *n) {
  int32_t high = hexadecimal(p + 2, end);
  *n = 6;
  if (high <= 0 || (high >= 0xdc00 && high < 0xe000)) return 0;
  if (high < 0xd800 || high >= 0xe000) return (uint32_t)high;
  if (end - p < 12 || p[6] != '\\' || p[7] != 'u') return 0;
  int32_t low = hexadecimal(p + 8, end);
  *n = 12;
  if (low < 0xdc00 || low >= 0xe000) return 0;
  return 0x10000u + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

static const char ESCAPES[] = "\"\\/bfnrt", MEANINGS[] = "\"\\/\b\f\n\r\t";

static int string(lmgrad_header *h, lmgrad_text *out) {
  if (!expect(h, '"')) return 0;
  out->at = h->at;
  while (h->at < h->end && *h->at != '"') {
    size_t n = character(h->at, h->end);
    if (n > 0 && *h->at == '\\') {
      n = 0;
      if (h->end - h->at > 2) {
        if (h->at[1] == 'u') n = escaped(h->at, h->end, &n) != 0 ? n : 0;
        else if (h->at[1] != '\0' && strchr(ESCAPES, h->at[1]) != NULL) n = 2;
      }
    }
    if (n == 0) return refuse(h, "has a text that is not in UTF-8, or a wrong escape");
    h->at += n;
  }
  out->n = (size_t)(h->at - out->at);
  return expect(h, '"');
}

static size_t put(uint32_t code, char *to) {
  if (code < 0x80) return *to = (char)code, 1;
  int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const unsigned char marks[] = { 0, 0xc0, 0xe0, 0xf0 };
  to[0] = (char)(marks[more] | code >> 6 * more);
  for (int k = 1; k <= more; k++) to[k] = (char)(0x80 | (code >> 6 * (more - k) & 0x3f));
  return (size_t)more + 1;
}

size_t lmgrad_unescape(lmgrad_text t, char *to) {
  const char *p = t.at, *end = t.at + t.n;
  size_t all = 0;
  while (p < end) {
    char c[4] = { *p };
    size_t n = 1, bytes = 1;
    if (*p == '\\') {
      n = 2;
      if (p[1] == 'u') bytes = put(escaped(p, end, &n), c);
      else c[0] = MEANINGS[strchr(ESCAPES, p[1]) - ESCAPES];
    }
    if (to != NULL) memcpy(to + all, c, bytes);
    all += bytes;
    p += n;
  }
  return all;
}

static int same(lmgrad_text t, const char *word) {
  return t.n == strlen(word) && memcmp(t.at, word, t.n) == 0;
}

/* ---- values ---- */

/* An integer from 0 on that a double holds. */
static int integer(lmgrad_header *h, int64_t *out) {
  const int64_t most = (int64_t)1 << 53;
  skip_space(h);
  const char *start = h->at;
  for (*out = 0; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++) {
    *out = *out * 10 + (*h->at - '0');
    if (*out > most) return refuse(h, "has a size or an offset beyond 2^53");
  }
  if (h->at == start || (*start == '0' && h->at - start > 1)) {
    return refuse(h, "has a size or an offset that is no integer from 0 on");
  }
  return 1;
}

/* [1, 2, ..], at most 'most' of them; returns how many, -1 where it is wrong. */
static int integers(lmgrad_header *h, int64_t *out, int most) {
  int n = 0;
  if (!expect(h, '[')) return -1;
  if (accept(h, ']')) return 0;
  do {
    if (n == most) return refuse(h, "has a tensor of more than 8 dimensions"), -1;
    if (!integer(h, &out[n++])) return -1;
  } while (accept(h, ','));
  return expect(h, ']') ? n : -1;
}

static int dtype(lmgrad_header *h, const struct dtype **out) {
  lmgrad_text name;
  if (!string(h, &name)) return 0;
  for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
    *out = &dtypes[k];
    if (same(name, dtypes[k].name)) return 1;
  }
  return refuse(h, "has a tensor of a type that is none of F32, F64, F16, BF16, I8 to I64, U8"
                  " to U64 and BOOL");
}

/* Do size and type make as many bytes as there are? */
static int check(lmgrad_header *h, const lmgrad_entry *e, int size) {
  int64_t bytes = size;
  if (e->last < e->first) return refuse(h, "has a tensor that ends before it begins");
  for (int d = 0; d < e->ndim; d++) {
    if (e->size[d] == 0) return refuse(h, "has a tensor with a size of 0");
    if (bytes > (e->last - e->first) / e->size[d]) bytes = INT64_MAX; /* too many */
    else bytes *= e->size[d];
    if (bytes == INT64_MAX) break;
  }
  if (bytes == e->last - e->first) return 1;
  return refuse(h, "has a tensor whose shape is not that of its bytes");
}

static int tensor(lmgrad_header *h, lmgrad_entry *out) {
  const struct dtype *type = NULL;
  int64_t offsets[2];
  int shape = 0, bytes = 0;
  if (!expect(h, '{')) return 0;
  do {
    lmgrad_text key;
    if (!string(h, &key) || !expect(h, ':')) return 0;
    if (same(key, "dtype") && type == NULL) {
      if (!dtype(h, &type)) return 0;
    } else if (same(key, "shape") && !shape) {
      out->ndim = integers(h, out->size, MGRAD_MAX_DIMS);
      if (out->ndim < 0) return 0;
      shape = 1;
    } else if (same(key, "data_offsets") && !bytes) {
      if (integers(h, offsets, 2) != 2) return refuse(h, "has a tensor without two offsets");
      bytes = 1;
    } else {
      return refuse(h, "has a tensor with more than dtype, shape and data_offsets");
    }
  } while (accept(h, ','));
  if (!expect(h, '}')) return 0;
  if (type == NULL || !shape || !bytes) {
    return refuse(h, "has a tensor without dtype, shape or data_offsets");
  }
  out->type = type->type;
  out->first = offsets[0];
  out->last = offsets[1];
  return check(h, out, type->size);
}

/* ---- entries ---- */

void lmgrad_header_open(lmgrad_header *h, const char *text, size_t n) {
  *h = (lmgrad_header){ .at = text, .end = text + n };
}

/* Nothing but space may follow. */
static int finish(lmgrad_header *h) {
  skip_space(h);
  return h->at == h->end ? 0 : (refuse(h, "is followed by something else"), -1);
}

/* "key": "text" of the metadata, whose '{' is taken. */
static int pair(lmgrad_header *h, lmgrad_entry *out) {
  out->pair = 1;
  return string(h, &out->name) && expect(h, ':') && string(h, &out->value);
}

/* What goes on after an entry: 1 for another one, 0 for the end, -1 when wrong. */
static int follow(lmgrad_header *h) {
  if (h->inside) {
    if (accept(h, ',')) return 1;
    if (!expect(h, '}')) return -1;
    h->inside = 0;
  }
  if (accept(h, ',')) return 1;
  return expect(h, '}') ? finish(h) : -1;
}

/* The first thing of all, or what comes after an entry. */
static int advance(lmgrad_header *h) {
  if (h->started) return follow(h);
  h->started = 1;
  if (!expect(h, '{')) return -1;
  return accept(h, '}') ? finish(h) : 1;
}

int lmgrad_header_next(lmgrad_header *h, lmgrad_entry *out) {
  *out = (lmgrad_entry){ 0 };
  int more = advance(h);
  while (more == 1) {
    if (h->inside) return pair(h, out) ? 1 : -1;
    if (!string(h, &out->name) || !expect(h, ':')) return -1;
    if (!same(out->name, "__metadata__")) return tensor(h, out) ? 1 : -1;
    if (h->metadata++) return refuse(h, "has two \"__metadata__\""), -1;
    if (!expect(h, '{')) return -1;
    h->inside = 1;
    if (!accept(h, '}')) continue;
    h->inside = 0;
    more = follow(h);
  }
  return more;
}
