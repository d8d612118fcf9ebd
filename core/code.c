/*
** code.c - which instruction sets were compiled in, and which this machine has.
*/
#include "context.h"

extern const mgrad_code mgrad_code_table, mgrad_code_table_avx2, mgrad_code_table_avx512;

static bool always(void) { return true; }

#ifdef MGRAD_X86_SETS
static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

#ifdef __aarch64__
#define BASE "neon"
#else
#define BASE "base"
#endif

/* The best last. */
static const struct set {
  const char *name;
  bool (*present)(void);
  const mgrad_code *code;
} sets[] = {
  { BASE, always, &mgrad_code_table },
#ifdef MGRAD_X86_SETS
  { "avx2", has_avx2, &mgrad_code_table_avx2 },
  { "avx512", has_avx512, &mgrad_code_table_avx512 },
#endif
};

enum { SETS = sizeof sets / sizeof *sets };

const mgrad_code *mgrad_code_best(void) {
  int best = SETS - 1;
  while (!sets[best].present()) best--;
  return sets[best].code;
}

const char *mgrad_isa(const mgrad_context *ctx) {
  int i = 0;
  while (sets[i].code != ctx->code) i++;
  return sets[i].name;
}

mgrad_status mgrad_isa_set(mgrad_context *ctx, const char *name) {
  for (int i = 0; i < SETS; i++) {
    if (strcmp(sets[i].name, name) != 0) continue;
    if (!sets[i].present()) {
      return mgrad_fail(ctx, MGRAD_INVALID, "instruction set: this machine has no %s", name);
    }
    ctx->code = sets[i].code;
    ctx->changes++;
    return MGRAD_OK;
  }
  return mgrad_fail(ctx, MGRAD_INVALID, "instruction set: there is no \"%s\" in this build",
                    name);
}
