/*
** philox.c - the words of mgrad_philox, many at a time: the numbers of the same round of
** several blocks side by side, which compilers turn into vectors.
*/
#include "kernels.h"

enum { BLOCKS = 32 };
typedef uint64_t words_of[BLOCKS]; /* below 2^32: so wide that products need no widening */

static void round_of(words_of a, words_of b, words_of c, words_of d, uint32_t k0,
                     uint32_t k1) {
  MGRAD_EACH(i, BLOCKS) {
    uint64_t p = UINT64_C(0xD2511F53) * a[i], q = UINT64_C(0xCD9E8D57) * c[i];
    a[i] = (q >> 32) ^ b[i] ^ k0;
    c[i] = (p >> 32) ^ d[i] ^ k1;
    b[i] = q & UINT32_MAX;
    d[i] = p & UINT32_MAX;
  }
}

static void blocks_from(uint64_t seed, uint64_t stream, uint64_t first,
                        uint32_t out[4 * BLOCKS]) {
  words_of a, b, c, d;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int i = 0; i < BLOCKS; i++) {
    a[i] = (first + (uint64_t)i) & UINT32_MAX, b[i] = (first + (uint64_t)i) >> 32;
    c[i] = stream & UINT32_MAX, d[i] = stream >> 32;
  }
  for (int round = 0; round < 10; round++) {
    round_of(a, b, c, d, k0, k1);
    k0 += UINT32_C(0x9E3779B9);
    k1 += UINT32_C(0xBB67AE85);
  }
  for (int i = 0; i < BLOCKS; i++) {
    uint32_t *to = out + 4 * i;
    to[0] = (uint32_t)a[i], to[1] = (uint32_t)b[i];
    to[2] = (uint32_t)c[i], to[3] = (uint32_t)d[i];
  }
}

void mgrad_words(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, uint32_t *out) {
  uint32_t words[4 * BLOCKS];
  while (n > 0) {
    uint64_t skip = first % 4;
    int64_t m = mgrad_min_size(n, 4 * BLOCKS - (int64_t)skip);
    blocks_from(seed, stream, first / 4, words);
    memcpy(out, words + skip, (size_t)m * sizeof *out);
    first += (uint64_t)m;
    out += m;
    n -= m;
  }
}
