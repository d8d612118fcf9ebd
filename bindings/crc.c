/*
** crc.c - CRC-32 as in ISO 3309, four bytes at a time.
*/
#include "crc.h"

enum { SIDE = 4 };

/* table[k][b] is what byte b adds that k more bytes follow. */
static void fill(uint32_t table[SIDE][256]) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t v = b;
    for (int bit = 0; bit < 8; bit++) v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
    table[0][b] = v;
  }
  for (uint32_t b = 0; b < 256; b++) {
    for (int k = 1; k < SIDE; k++) {
      uint32_t v = table[k - 1][b];
      table[k][b] = v >> 8 ^ table[0][v & 255];
    }
  }
}

uint32_t lmgrad_crc32(uint32_t crc, const unsigned char *p, size_t n) {
  uint32_t table[SIDE][256]; /* made each time: nothing outlives a call */
  fill(table);
  crc = ~crc;
  for (; n >= SIDE; n -= SIDE, p += SIDE) {
    crc ^= p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    crc = table[3][crc & 255] ^ table[2][crc >> 8 & 255] ^ table[1][crc >> 16 & 255] ^
          table[0][crc >> 24];
  }
  for (; n > 0; n--, p++) crc = table[0][(crc ^ *p) & 255] ^ crc >> 8;
  return ~crc;
}
