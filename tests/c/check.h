/*
** check.h - what the C tests share: one fact a test, named as a sentence.
*/
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <string.h>
#include <math.h>

#include "../../core/moongrad.h"

/* MinGW's are the processor's, which go wrong for large numbers; those of Windows do not. */
#ifdef _WIN32
extern double (*__imp_sin)(double), (*__imp_cos)(double);
static inline double windows_sin(double x) { return __imp_sin(x); }
static inline double windows_cos(double x) { return __imp_cos(x); }
#define sin windows_sin
#define cos windows_cos
#define sinl(x) sin((double)(x))
#define cosl(x) cos((double)(x))
#endif

static int check_passed, check_failed, check_bad;
static const char *check_name;

/* Begins a test; the one before it is counted. */
static void check_end(void) {
  if (check_name == NULL) return;
  if (check_bad) check_failed++;
  else check_passed++;
  check_name = NULL;
}

static void test(const char *name) {
  check_end();
  check_name = name;
  check_bad = 0;
}

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      printf("not ok - %s\n    %s:%d: %s\n", check_name, __FILE__, __LINE__,    \
             #condition);                                                       \
      check_bad = 1;                                                            \
    }                                                                           \
  } while (0)

#define OK(call) CHECK((call) == MGRAD_OK)
#define NEAR(a, b, tolerance) CHECK(fabs((double)(a) - (double)(b)) <= (tolerance))

/* The error sentence contains 'text'. */
#define SAYS(ctx, text)                                                         \
  do {                                                                          \
    if (strstr(mgrad_error(ctx), text) == NULL) {                               \
      printf("    error is: %s\n", mgrad_error(ctx));                           \
      CHECK(!"error contains " text);                                           \
    }                                                                           \
  } while (0)

static int check_report(const char *program) {
  check_end();
  printf("%s: %d passed, %d failed\n", program, check_passed, check_failed);
  return check_failed != 0;
}

#endif
