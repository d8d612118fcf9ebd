/*
** png.c - luaopen_moongrad_png: a picture as the bytes of a PNG file (RFC 2083, RFC 1950,
** RFC 1951). No file is touched, and all memory is Lua's.
*/
#include "compat.h"
#include "crc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 16384, WINDOW = 32768, HASHES = 1 << 14, TRIES = 32,
       SHORTEST = 3, LONGEST = 258 };

/* ---- bytes and bits of the result ---- */

typedef struct {
  unsigned char *p; /* room for all that can come */
  size_t n;
  uint32_t bits, count; /* of the byte under way */
} output;

static void put(output *o, const void *bytes, size_t n) {
  memcpy(o->p + o->n, bytes, n);
  o->n += n;
}

static void put_u32(output *o, uint32_t v) {
  unsigned char b[4] = { (unsigned char)(v >> 24), (unsigned char)(v >> 16),
                         (unsigned char)(v >> 8), (unsigned char)v };
  put(o, b, 4);
}

static void put_bits(output *o, uint32_t value, uint32_t count) {
  o->bits |= value << o->count;
  for (o->count += count; o->count >= 8; o->count -= 8, o->bits >>= 8) {
    o->p[o->n++] = (unsigned char)o->bits;
  }
}

/* Huffman codes go in with their highest bit first. */
static void put_code(output *o, uint32_t code, uint32_t count) {
  uint32_t turned = 0;
  for (uint32_t i = 0; i < count; i++) turned |= (code >> i & 1) << (count - 1 - i);
  put_bits(o, turned, count);
}

/* ---- deflate, by the fixed codes of RFC 1951, 3.2.6 ---- */

static void put_symbol(output *o, uint32_t s) {
  if (s < 144) put_code(o, 0x30 + s, 8);
  else if (s < 256) put_code(o, 0x190 + s - 144, 9);
  else if (s < 280) put_code(o, s - 256, 7);
  else put_code(o, 0xc0 + s - 280, 8);
}

static void put_match(output *o, uint32_t length, uint32_t distance) {
  static const uint16_t lengths[] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27,
    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258, 259 };
  uint32_t i = 0, d = 0, from = 1;
  while (lengths[i + 1] <= length) i++;
  put_symbol(o, 257 + i);
  put_bits(o, length - lengths[i], i < 8 || i == 28 ? 0 : i / 4 - 1);
  while (from + (1u << (d < 2 ? 0 : d / 2 - 1)) <= distance) {
    from += 1u << (d < 2 ? 0 : d / 2 - 1);
    d++;
  }
  put_code(o, d, 5);
  put_bits(o, distance - from, d < 2 ? 0 : d / 2 - 1);
}

static uint32_t hash(const unsigned char *p) {
  return ((p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16) * 2654435761u) >> 18;
}

/* The places seen last of each hash, and before each place, from 1; 0 for none. */
typedef struct {
  uint32_t head[HASHES], before[WINDOW];
} chains;

static void remember(chains *c, const unsigned char *p, size_t at) {
  uint32_t h = hash(p + at);
  c->before[at % WINDOW] = c->head[h];
  c->head[h] = (uint32_t)at + 1;
}

/* The longest run of bytes at 'at' that stands before it too. */
static uint32_t find(const chains *c, const unsigned char *p, size_t at, size_t n,
                     uint32_t *distance) {
  uint32_t best = 0, most = n - at < LONGEST ? (uint32_t)(n - at) : LONGEST;
  uint32_t next = c->head[hash(p + at)];
  for (int i = 0; i < TRIES && next > 0 && at - (next - 1) < WINDOW; i++) {
    const unsigned char *old = p + next - 1;
    uint32_t length = 0;
    while (length < most && old[length] == p[at + length]) length++;
    if (length > best) {
      best = length;
      *distance = (uint32_t)(at - (next - 1));
    }
    next = c->before[(next - 1) % WINDOW];
  }
  return best;
}

static void deflate(output *o, chains *c, const unsigned char *p, size_t n) {
  put_bits(o, 3, 3); /* the last block, fixed codes */
  for (size_t at = 0; at < n;) {
    uint32_t distance = 0, length = at + SHORTEST <= n ? find(c, p, at, n, &distance) : 0;
    if (length >= SHORTEST) put_match(o, length, distance);
    else put_symbol(o, p[at]);
    for (size_t end = at + (length >= SHORTEST ? length : 1); at < end; at++) {
      if (at + SHORTEST <= n) remember(c, p, at);
    }
  }
  put_symbol(o, 256);
  put_bits(o, 0, 7); /* the rest of the last byte */
}

static uint32_t adler32(const unsigned char *p, size_t n) {
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < n; i++) {
    a = (a + p[i]) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

/* ---- PNG ---- */

/* The colours of a picture, if they are 256 at most. */
typedef struct {
  uint32_t color[512]; /* by a hash; red, green, blue, and 1 in the highest byte */
  unsigned char place[512], bytes[3 * 256];
  int count;
} palette;

/* The place of a colour among those seen so far, or -1 when there are too many. */
static int place_of(palette *p, const unsigned char *rgb) {
  uint32_t c = rgb[0] | (uint32_t)rgb[1] << 8 | (uint32_t)rgb[2] << 16 | 1u << 24;
  uint32_t h = (c * 2654435761u) >> 23;
  while (p->color[h] != 0 && p->color[h] != c) h = (h + 1) % 512;
  if (p->color[h] == 0) {
    if (p->count == 256) return -1;
    p->color[h] = c;
    p->place[h] = (unsigned char)p->count;
    memcpy(p->bytes + 3 * p->count++, rgb, 3);
  }
  return p->place[h];
}

/* Rows of places in the palette, unfiltered; false where there are too many colours. */
static int index_rows(palette *p, unsigned char *to, const unsigned char *from,
                      size_t width, size_t height) {
  for (size_t y = 0; y < height; y++) {
    *to++ = 0;
    for (size_t x = 0; x < width; x++, from += 3) {
      int place = place_of(p, from);
      if (place < 0) return 0;
      *to++ = (unsigned char)place;
    }
  }
  return 1;
}

/* A row of colours by the filter that leaves the smaller numbers: what stands to the left
** is taken off (1), or what stands above (2). */
static void filter(unsigned char *to, const unsigned char *row,
                   const unsigned char *above, size_t n) {
  long sum[3] = { 0, 0, 0 };
  for (int f = 2; f >= 0; f--) {
    int by = f > 0 ? f : sum[2] <= sum[1] ? 2 : 1; /* both are tried */
    to[0] = (unsigned char)by;
    for (size_t i = 0; i < n; i++) {
      unsigned char old = by == 1 ? (i < 3 ? 0 : row[i - 3]) : above ? above[i] : 0;
      to[1 + i] = (unsigned char)(row[i] - old);
      sum[f] += abs((signed char)to[1 + i]);
    }
  }
}

/* Length, name and checksum of a chunk around what is written between. */
static size_t begin_chunk(output *o, const char *name) {
  put_u32(o, 0);
  put(o, name, 4);
  return o->n;
}

static void end_chunk(output *o, size_t from) {
  size_t n = o->n;
  o->n = from - 8;
  put_u32(o, (uint32_t)(n - from));
  o->n = n;
  put_u32(o, lmgrad_crc32(0, o->p + from - 4, n - from + 4));
}

/* The file of 'n' bytes of rows; p is NULL where they hold colours. */
static void write_png(output *o, chains *c, const unsigned char *rows, size_t n,
                      const palette *p, uint32_t width, uint32_t height) {
  put(o, "\x89PNG\r\n\x1a\n", 8);
  size_t at = begin_chunk(o, "IHDR");
  put_u32(o, width);
  put_u32(o, height);
  put(o, p ? "\x08\x03\0\0" : "\x08\x02\0\0", 5); /* 8 bits; a palette, or colours */
  end_chunk(o, at);
  if (p) {
    at = begin_chunk(o, "PLTE");
    put(o, p->bytes, 3 * (size_t)p->count);
    end_chunk(o, at);
  }
  at = begin_chunk(o, "IDAT");
  put(o, "\x78\x01", 2);
  deflate(o, c, rows, n);
  put_u32(o, adler32(rows, n));
  end_chunk(o, at);
  end_chunk(o, begin_chunk(o, "IEND"));
}

static size_t side(lua_State *L, int i, const char *name) {
  lua_Number v = luaL_checknumber(L, i);
  if (!(v >= 1 && v <= MAX_SIDE) || (lua_Number)(int)v != v) {
    luaL_error(L, "png: %s is %f, expected an integer from 1 to %d", name, v, MAX_SIDE);
  }
  return (size_t)v;
}

/* encode(width, height, bytes) -> a PNG file; bytes are red, green, blue of each point,
** row by row from the top */
static int png_encode(lua_State *L) {
  size_t width = side(L, 1, "width"), height = side(L, 2, "height"), length;
  const unsigned char *bytes = (const unsigned char *)luaL_checklstring(L, 3, &length);
  size_t row = 3 * width, n = height * (row + 1);
  if (length != height * row) return luaL_error(L, "png: bytes are not 3 for each point");
  unsigned char *rows = lua_newuserdata(L, n);
  chains *c = lua_newuserdata(L, sizeof *c);
  palette *p = lua_newuserdata(L, sizeof *p);
  output o = { .p = lua_newuserdata(L, n + n / 8 + 1024) }; /* 9 bits a byte at most */
  memset(c, 0, sizeof *c);
  memset(p, 0, sizeof *p);
  int few = index_rows(p, rows, bytes, width, height);
  if (few) n = height * (width + 1);
  for (size_t i = 0; i < height && !few; i++) {
    const unsigned char *from = bytes + i * row;
    filter(rows + i * (row + 1), from, i > 0 ? from - row : NULL, row);
  }
  write_png(&o, c, rows, n, few ? p : NULL, (uint32_t)width, (uint32_t)height);
  lua_pushlstring(L, (const char *)o.p, o.n);
  return 1;
}

LMGRAD_EXPORT int luaopen_moongrad_png(lua_State *L);

int luaopen_moongrad_png(lua_State *L) {
#if LUA_VERSION_NUM >= 502
  luaL_checkversion(L);
#endif
  lua_newtable(L);
  lua_pushcfunction(L, png_encode);
  lua_setfield(L, -2, "encode");
  return 1;
}
