/*
** replay.c - drives a target where there is no libFuzzer: every file of a folder, and so
** many changes of each.
**
**   fuzz-header FOLDER [CHANGES [SEED]]
*/
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 24 };

static uint8_t original[MOST], data[MOST];

/* A byte becomes another one, comes in between or goes. */
size_t LLVMFuzzerMutate(uint8_t *to, size_t size, size_t most) {
  size_t at = size > 0 ? (size_t)rand() % size : 0;
  int kind = rand() % 3, grow = kind == 1 && size < most, cut = kind == 2 && size > 1;
  memmove(to + at + grow, to + at + cut, size - at - (size_t)cut);
  if (!cut && most > 0) to[at] = (uint8_t)rand();
  return size + (size_t)grow - (size_t)cut;
}

static size_t read_file(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "rb");
  size_t n = f != NULL ? fread(original, 1, MOST, f) : 0;
  if (f != NULL) fclose(f);
  return n;
}

int main(int argc, char **argv) {
  struct dirent **list;
  long changes = argc > 2 ? atol(argv[2]) : 0, inputs = 0;
  int n = argc > 1 ? scandir(argv[1], &list, NULL, alphasort) : -1, files = 0;
  srand(argc > 3 ? (unsigned)atoi(argv[3]) : 1);
  for (int i = 0; i < n; i++) {
    size_t size = read_file(argv[1], list[i]->d_name);
    free(list[i]);
    if (size == 0) continue;
    files++;
    LLVMFuzzerTestOneInput(original, size);
    for (long k = 0; k < changes; k++, inputs++) {
      size_t now = size;
      memcpy(data, original, size);
      for (int more = 1 + rand() % 3; more > 0; more--) {
        now = LLVMFuzzerCustomMutator(data, now, MOST, (unsigned)rand());
      }
      LLVMFuzzerTestOneInput(data, now);
    }
  }
  if (n >= 0) free(list);
  printf("%ld changes of %d files\nfuzz: %d passed, %d failed\n", inputs, files, files, files == 0);
  return files == 0;
}
