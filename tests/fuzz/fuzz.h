/*
** fuzz.h - what a target for fuzzing, the changes of files and what drives both agree on:
** the functions of libFuzzer, or of replay.c where there is no clang.
*/
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_MEMORY = 64 << 20 }; /* bytes that a target may have */

/* A target: reads the bytes of a file. It ends the process where something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Changes a file in its place, which has room for 'most' bytes; returns its new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
/* The same, blindly; of the driver. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* The length of the header that a file of this size claims to have, 0 where it cannot. */
static inline size_t fuzz_header(const uint8_t *data, size_t size) {
  uint64_t n = 0;
  if (size < 8) return 0;
  for (int k = 7; k >= 0; k--) n = n << 8 | data[k];
  return n <= size - 8 ? (size_t)n : 0;
}

#endif
