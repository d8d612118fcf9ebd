/*
** interrupt.c - Ctrl-C in the standalone interpreter, at random moments of interrupt.lua:
** how long until the script has its error, and whether the net is whole then.
**
**   interrupt lua5.4 40
**
** What counts is the time of the processor, which other programs on the machine cannot
** lengthen; the time on the clock is printed beside it.
*/
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USUAL 20.0 /* milliseconds, 99 times of 100 */
#define WORST 100.0
enum { MOST = 100000, LATEST = 120 /* milliseconds after "ready" */ };

static const char *const kinds[] = { "run", "matmul", "budget", "fit", "epochs", "conv",
  "recurrent", "gathered", "lua", "lbfgs", "coroutine", "evaluate", "predict", "backward" };
enum { KINDS = sizeof kinds / sizeof *kinds };

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Begins the interpreter, with its output in *out. */
static pid_t begin(const char *lua, const char *kind, const char *threads, FILE **out) {
  int ends[2];
  if (pipe(ends) != 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 1);
    close(ends[0]);
    close(ends[1]);
    signal(SIGINT, SIG_DFL);
    alarm(60);
    execlp(lua, lua, "tests/torture/interrupt.lua", kind, threads, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  *out = fdopen(ends[0], "r");
  return child;
}

/* Does the next line of the interpreter say this? */
static int says(FILE *out, char line[256], const char *word) {
  if (fgets(line, 256, out) == NULL) strcpy(line, "(no answer)");
  line[strcspn(line, "\n")] = '\0';
  return strcmp(line, word) == 0;
}

/* One interruption: milliseconds of the processor and on the clock. */
static int interrupt(const char *lua, const char *kind, const char *threads, double *busy,
                     double *passed) {
  FILE *out;
  char line[256];
  clockid_t clock;
  pid_t child = begin(lua, kind, threads, &out);
  int fine = says(out, line, "ready");
  usleep((useconds_t)(rand() % (LATEST * 1000)));
  clock_getcpuclockid(child, &clock);
  *busy = -now(clock);
  *passed = -now(CLOCK_MONOTONIC);
  kill(child, SIGINT);
  fine = fine && says(out, line, "stopped");
  *passed += now(CLOCK_MONOTONIC);
  *busy += now(clock);
  fine = fine && says(out, line, "whole");
  if (!fine) printf("    %s, %s thread(s): %s\n", kind, threads, line);
  if (*busy > USUAL) printf("    %s, %s thread(s): %.1f ms\n", kind, threads, *busy);
  fclose(out);
  waitpid(child, NULL, 0);
  return fine;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int number;
static int fact(int holds, const char *sentence) {
  printf("%sok %d - %s\n", holds ? "" : "not ", ++number, sentence);
  return holds;
}

int main(int argc, char **argv) {
  static double busy[MOST], passed[MOST];
  int n = argc > 2 ? atoi(argv[2]) : 0, whole = 0;
  if (n < 1 || n > MOST) return 2;
  srand(1);
  for (int i = 0; i < n; i++) {
    const char *threads = i / KINDS % 3 == 2 ? "2" : "1";
    whole += interrupt(argv[1], kinds[i % KINDS], threads, &busy[i], &passed[i]);
  }
  qsort(busy, (size_t)n, sizeof *busy, ascending);
  qsort(passed, (size_t)n, sizeof *passed, ascending);
  int at = (n - 1) * 99 / 100;
  printf("# %s, %d interruptions: 99 of 100 within %.1f ms of work (%.1f on the clock), all"
         " within %.1f (%.1f)\n", argv[1], n, busy[at], passed[at], busy[n - 1], passed[n - 1]);
  int fine = fact(whole == n, "Ctrl-C leaves the net as after the last whole step");
  fine &= fact(busy[at] <= USUAL && busy[n - 1] <= WORST, "Ctrl-C stops whatever is computed");
  return fine ? 0 : 1;
}
