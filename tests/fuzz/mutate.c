/*
** mutate.c - changes model files and leaves them files: numbers, words and values of the
** header become others; its length, the places of tensors and the checksum are mostly put
** right again, so that a change gets past them.
*/
#include "../../bindings/crc.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 16, DIGITS = 8, LENGTH = 8 };

/* The header under change, always with a zero byte behind it. */
typedef struct text { char at[MOST + 1]; size_t n; } text;

static const char *const numbers[] = {
  "0", "1", "2", "3", "8", "-1", "1e9", "255", "4294967296", "9007199254740992",
  "9007199254740993", "9223372036854775808", "18446744073709551616", "1.5", "5*2^-3", "inf",
  "null", "true", "[]", "{}", "\"x\"", "[[[[[[[["
};
static const char *const words[] = {
  "__metadata__", "crc32", "moongrad", "trainer", "dtype", "shape", "data_offsets", "F32", "F64",
  "F16", "BF16", "U8", "I8", "I64", "BOOL", "F99", "dense", "conv2d", "sequential", "residual",
  "batchnorm", "lstm", "attention", "transformer_block", "embedding", "fuzz.Class", "class",
  "layer", "options", "arguments", "input", "parts", "tensors", "shared", "buffers", "fixed",
  "same", "part", "frozen", "eval", "fields", "number", "version", "weight", "bias",
  "running_mean", "0.weight", "1.bias", "state", "loop", "plateau", "optimizer", "best",
  "optimizer/mean/0.weight", "optimizer/lr", "optimizer/steps", "generator/seed", "accumulate",
  "gathered", "run/epoch", "run/at", "run/metric/r2", "", "\\u0041", "\\ud83c\\udf19", "\\ud800",
  "\\", "\200", "\1"
};
static const char marks[] = "{}[],:\" \n";

#define ANY(list) (list)[below(sizeof(list) / sizeof *(list))]

static uint32_t state;

static size_t below(size_t n) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return n > 0 ? state % n : 0;
}

/* Puts n bytes in place of 'cut' bytes, if there is room. */
static void splice(text *t, size_t at, size_t cut, const char *with, size_t n) {
  if (t->n - cut + n > MOST) return;
  memmove(t->at + at + n, t->at + at + cut, t->n - at - cut + 1);
  memcpy(t->at + at, with, n);
  t->n += n - cut;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int is_word(char c) {
  return is_digit(c) || c == '_' || c == '.' || c == '/' || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* A run of such characters somewhere, at *at and of the length returned; 0 where none is. */
static size_t find_run(const text *t, int (*is)(char), size_t *at) {
  size_t first = below(t->n), n = 0;
  while (first < t->n && !is(t->at[first])) first++;
  while (first > 0 && is(t->at[first - 1])) first--;
  while (first + n < t->n && is(t->at[first + n])) n++;
  *at = first;
  return n;
}

/* The length of the value that begins at a bracket, to where the last one is closed. */
static size_t value_length(const text *t, size_t at) {
  int depth = 0;
  for (size_t k = at; k < t->n; k++) {
    char c = t->at[k];
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (depth == 0) return k + 1 - at;
  }
  return t->n - at;
}

static int is_open(char c) { return c == '{' || c == '['; }

/* ---- changes ---- */

/* A run of characters of a kind becomes a known one, or one from elsewhere in the text. */
static void change_run(text *t, int (*is)(char), const char *known) {
  size_t at, from, n = find_run(t, is, &at), m = find_run(t, is, &from);
  char copy[64];
  if (n == 0) return;
  if (m > sizeof copy) m = sizeof copy;
  memcpy(copy, t->at + from, m);
  if (below(3) == 0) splice(t, at, n, copy, m);
  else splice(t, at, n, known, strlen(known));
}

static void count_on(text *t) {
  size_t at, n = find_run(t, is_digit, &at);
  if (n == 0) return;
  char *last = &t->at[at + n - 1];
  *last = (char)('0' + (*last - '0' + (below(2) ? 1 : 9)) % 10);
}

/* A value goes, comes twice, or takes the place of another one. */
static void move_value(text *t) {
  static char copy[MOST];
  size_t from, at;
  if (find_run(t, is_open, &from) == 0 || find_run(t, is_open, &at) == 0) return;
  size_t n = value_length(t, from);
  memcpy(copy, t->at + from, n);
  switch (below(3)) {
    case 0: splice(t, from, n, "", 0); break;
    case 1:
      splice(t, from, 0, ",", 1);
      splice(t, from, 0, copy, n);
      break;
    default: splice(t, at, value_length(t, at), copy, n); break;
  }
}

/* What lies between two marks goes or comes twice. */
static void move_span(text *t) {
  static char copy[MOST];
  size_t first = below(t->n), n = strcspn(t->at + first, marks) + 1;
  n += strcspn(t->at + first + n - 1 + (first + n - 1 < t->n), marks);
  if (first + n > t->n) n = t->n - first;
  memcpy(copy, t->at + first, n);
  splice(t, first, below(2) ? n : 0, copy, below(2) ? n : 0);
}

static void change(text *t) {
  switch (below(8)) {
    case 0: case 1: change_run(t, is_digit, ANY(numbers)); break;
    case 2: case 3: change_run(t, is_word, ANY(words)); break;
    case 4: count_on(t); break;
    case 5: move_value(t); break;
    case 6: move_span(t); break;
    default:
      if (below(2)) splice(t, below(t->n + 1), 0, &ANY(marks), 1);
      else t->n = LLVMFuzzerMutate((uint8_t *)t->at, t->n, MOST);
      t->at[t->n] = '\0';
  }
}

/* ---- putting right ---- */

/* The bytes that one number of a type takes: what its name ends with. */
static size_t bytes_of(const char *type) {
  while (*type != '\0' && !is_digit(*type) && *type != '"') type++;
  return is_digit(*type) ? strtoul(type, NULL, 10) / 8 : 1;
}

/* Lets tensors whose entries have our order lie side by side; returns their bytes. */
static size_t place(text *t) {
  static const char dtype[] = "\"dtype\":\"", shape[] = "\"shape\":[", offsets[] = "offsets\":[";
  size_t at = 0;
  for (char *p = t->at; (p = strstr(p, dtype)) != NULL;) {
    size_t n = bytes_of(p += sizeof dtype - 1);
    char *s = strstr(p, shape), *o = strstr(p, offsets), numbers_[64];
    if (s == NULL || o == NULL || s > o) break;
    for (s += sizeof shape - 1; s < o && *s != ']'; s += *s == ',') {
      char *end;
      n *= strtoul(s, &end, 10);
      if (end == s || n > MOST) return at;
      s = end;
    }
    o += sizeof offsets - 1;
    int length = snprintf(numbers_, sizeof numbers_, "%zu,%zu", at, at + n);
    splice(t, (size_t)(o - t->at), strcspn(o, "]"), numbers_, (size_t)length);
    at += n;
    p = o;
  }
  return at;
}

static void put_length(uint8_t *to, size_t n) {
  for (int k = 0; k < LENGTH; k++) to[k] = (uint8_t)(k < 4 ? n >> 8 * k & 255 : 0);
}

/* The checksum that a file says it has, over its own digits as zeros. */
static void sum(uint8_t *data, size_t header, size_t size) {
  static const char key[] = "\"crc32\":\"";
  char digits[DIGITS + 1];
  for (size_t k = LENGTH; k + sizeof key - 1 + DIGITS <= LENGTH + header; k++) {
    if (memcmp(data + k, key, sizeof key - 1) != 0) continue;
    memset(data + k + sizeof key - 1, '0', DIGITS);
    snprintf(digits, sizeof digits, "%08x", (unsigned)lmgrad_crc32(0, data, size));
    memcpy(data + k + sizeof key - 1, digits, DIGITS);
    return;
  }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  static text t;
  static uint8_t tail[MOST];
  state = seed * 2654435761u | 1;
  size_t header = fuzz_header(data, size);
  if (header == 0 || header > MOST || size - LENGTH - header > MOST || below(16) == 0) {
    return LLVMFuzzerMutate(data, size, most);
  }
  size_t left = size - LENGTH - header;
  memcpy(t.at, data + LENGTH, t.n = header);
  t.at[t.n] = '\0';
  memcpy(tail, data + LENGTH + header, left);
  if (below(8) == 0) left = LLVMFuzzerMutate(tail, left, MOST);
  else for (size_t n = 1 + below(3); n > 0; n--) change(&t);
  size_t bytes = below(4) != 0 ? place(&t) : left;
  if (bytes > left && bytes <= MOST) memset(tail + left, 63, bytes - left);
  if (bytes <= MOST) left = bytes;
  if (LENGTH + t.n + left > most) return LLVMFuzzerMutate(data, size, most);
  put_length(data, below(32) == 0 ? below(2 * t.n) : t.n);
  memcpy(data + LENGTH, t.at, t.n);
  memcpy(data + LENGTH + t.n, tail, left);
  size = LENGTH + t.n + left;
  if (below(32) != 0) sum(data, t.n, size);
  return size;
}
