/*
** gunzip.c - gzip around the inflate of stb_image.
*/
#include "gunzip.h"
#include "crc.h"

#include <limits.h>
#include <stdint.h>

/* of stb_image only its inflate */
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_THREAD_LOCALS
#define STBI_NO_FAILURE_STRINGS
#define STBI_ONLY_PNG
#define STBI_NO_SIMD
#define STBI_ASSERT(x) ((void)(x)) /* nothing ends a host */
#if defined __GNUC__ /* most of the file is left out, its declarations are not */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include "vendor/stb_image.h"
#if defined __GNUC__
#pragma GCC diagnostic pop
#endif

enum { TEXT = 1, HEADER_CRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16 };

/* Where the deflated data start, or 0. */
static size_t header_length(const unsigned char *p, size_t n) {
  if (n < 18 || p[0] != 0x1f || p[1] != 0x8b || p[2] != 8) return 0;
  int flags = p[3];
  size_t at = 10;
  if (flags & EXTRA) at += 2 + (size_t)p[10] + ((size_t)p[11] << 8);
  for (int part = NAME; part <= COMMENT; part *= 2) {
    if (!(flags & part)) continue;
    while (at < n && p[at] != 0) at++;
    at++;
  }
  if (flags & HEADER_CRC) at += 2;
  return at + 8 < n ? at : 0;
}

static uint32_t little_endian(const unsigned char *p) {
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int lmgrad_inflate(const unsigned char *data, size_t length, unsigned char *to, size_t size) {
  if (length > INT_MAX || size > INT_MAX) return 0;
  int got = stbi_zlib_decode_noheader_buffer((char *)to, (int)size, (const char *)data,
                                             (int)length);
  return got >= 0 && (size_t)got == size;
}

const char *lmgrad_gunzip_size(const unsigned char *data, size_t length, size_t *size) {
  if (header_length(data, length) == 0) return "not a gzip file, or one cut short";
  *size = little_endian(data + length - 4);
  /* deflate packs at most about 1032 to 1: more is a lie, and memory asked for it */
  if (*size / 1040 > length || *size > INT_MAX || length > INT_MAX) {
    return "gzip file is damaged";
  }
  return NULL;
}

const char *lmgrad_gunzip(const unsigned char *data, size_t length, unsigned char *to,
                          size_t size) {
  size_t start = header_length(data, length); /* it looks ahead into the trailer, whose
                                                 sums decide */
  if (!lmgrad_inflate(data + start, length - start, to, size) ||
      lmgrad_crc32(0, to, size) != little_endian(data + length - 8)) {
    return "gzip file is damaged";
  }
  return NULL;
}
