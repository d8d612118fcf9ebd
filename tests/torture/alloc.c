/*
** alloc.c - a host whose memory runs out: Lua and moongrad share one allocator that fails
** at its N-th call, once, for good, or even while the state is closed, for the N of each
** piece of work in alloc.lua (or in another file: alloc FILE).
**
** Expected each time: the work ends, well or with "not enough memory"; done once more on
** the same objects, with memory there again, it gives what it gives where nothing fails;
** and closing the state leaves nothing behind. Each attempt is a forked process, so the
** module is loaded once; the first piece, loading it, begins with no state at all.
**
**   alloc [--points N] [--persistent | --closing] [--only NAME] [FILE]
*/
#define _POSIX_C_SOURCE 200809L
#include "../c/newstate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum mode { ONCE, PERSISTENT, CLOSING } mode;

typedef struct memory {
  size_t used;
  unsigned long calls, fail_at; /* 0: never */
  mode mode;
} memory;

enum { SECONDS = 60, REPORT = 1024, MOST_WORK = 4096 };

static void *alloc(void *ud, void *p, size_t osize, size_t nsize) {
  memory *m = ud;
  size_t before = p != NULL ? osize : 0;
  if (nsize == 0) {
    m->used -= before;
    free(p);
    return NULL;
  }
  if (nsize > before) { /* Lua counts on shrinking */
    m->calls++;
    if (m->fail_at != 0 &&
        (m->calls == m->fail_at || (m->mode != ONCE && m->calls > m->fail_at))) {
      return NULL;
    }
  }
  void *q = realloc(p, nsize);
  if (q != NULL) m->used += nsize - before;
  return q;
}

static const char *text(lua_State *L) {
  const char *s = lua_tostring(L, -1);
  return s != NULL ? s : "(no text)";
}

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif

/* ---- what is done ---- */

/* What loading is followed by: a net that is trained, its hash. */
static const char *const probe =
  "local mg = require 'moongrad' mg.seed(7)\n"
  "local net = mg.sequential { 2, mg.dense(4), 'tanh', function(x) return x * 2 end,\n"
  "                            mg.dense(1), 'sigmoid' }\n"
  "local t = mg.trainer { net = net, loss = 'bce', optimizer = mg.adam { lr = 0.1 } }\n"
  "for e in t:epochs(3, { x = { {0,0}, {0,1}, {1,0}, {1,1} }, y = {0,1,1,0}, batch = 3,\n"
  "                       shuffle = true }) do last = e end\n"
  "return net:hash()\n";

static int load_and_probe(lua_State *L) {
  luaL_openlibs(L);
  if (luaL_loadstring(L, probe) != 0) return lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}

/* The pieces of work that the file returns, {name, make} each, stay at index 1. */
static int load_list(lua_State *L, const char *file) {
  luaL_openlibs(L);
  return luaL_loadfile(L, file) != 0 || lua_pcall(L, 0, 1, 0) != 0;
}

static const char *name_of(lua_State *L, int k) {
  if (k == 0) return "loading";
  lua_rawgeti(L, 1, k);
  lua_rawgeti(L, -1, 1);
  const char *name = text(L); /* the list keeps it */
  lua_pop(L, 2);
  return name;
}

/* Leaves the function that does piece k, or the error of making it, above the list. */
static int push_work(lua_State *L, int k) {
  lua_settop(L, 1);
  if (k == 0) return 1; /* each attempt has its own */
  lua_rawgeti(L, 1, k);
  lua_rawgeti(L, -1, 2);
  lua_replace(L, 2);
  lua_settop(L, 2);
  return lua_pcall(L, 0, 1, 0) == 0;
}

/* ---- one attempt, in a process of its own ---- */

/* Does what is at the top of the stack; of no state, loading. Writes "+calls result", or
** "-what is wrong", into 'to'. */
static void attempt(memory *m, lua_State *L, unsigned long n, mode how,
                    const char *expected, char *to) {
  memory fresh = { L != NULL ? m->used : 0, 0, n, how };
  *m = fresh;
  if (L == NULL) {
    L = lua_newstate(alloc, m);
    if (L == NULL) {
      snprintf(to, REPORT, m->used == 0 ? "+0 " : "-lua_newstate leaks");
      return;
    }
    m->fail_at = 0;
    lua_pushcfunction(L, load_and_probe);
    m->fail_at = n;
  }
  lua_pushvalue(L, -1); /* to do it twice */
  int failed = lua_pcall(L, 0, 1, 0);
  unsigned long calls = m->calls;
  if (how != CLOSING) m->fail_at = 0;
  if (failed && strstr(text(L), "not enough memory") == NULL) {
    snprintf(to, REPORT, "-says: %s", text(L));
    return;
  }
  if (how != CLOSING) {
    if (!failed && n != 0 && strcmp(text(L), expected) != 0) {
      snprintf(to, REPORT, "-gives %s, expected %s", text(L), expected);
      return;
    }
    lua_pop(L, 1);
    if (lua_pcall(L, 0, 1, 0) != 0 || (n != 0 && strcmp(text(L), expected) != 0)) {
      snprintf(to, REPORT, "-afterwards: %s, expected %s", text(L), expected);
      return;
    }
    snprintf(to, REPORT, "+%lu %s", calls, text(L));
  } else {
    snprintf(to, REPORT, "+%lu ", calls);
  }
  lua_close(L);
  if (m->used != 0) snprintf(to, REPORT, "-%lu bytes are left", (unsigned long)m->used);
}

static void in_child(memory *m, lua_State *L, int k, unsigned long n, mode how,
                     const char *expected, char *report) {
  int ends[2], status = 0;
  if (pipe(ends) != 0) exit(2);
  pid_t child = fork();
  if (child == 0) {
    alarm(SECONDS);
    memset(report, 0, REPORT);
    attempt(m, k != 0 ? L : NULL, n, how, expected, report);
    ssize_t unused = write(ends[1], report, REPORT);
    (void)unused;
    _exit(0);
  }
  close(ends[1]);
  size_t got = 0;
  ssize_t more = 1;
  while (more > 0 && got < REPORT) {
    more = read(ends[0], report + got, REPORT - got);
    if (more > 0) got += (size_t)more;
  }
  close(ends[0]);
  waitpid(child, &status, 0);
  if (got != REPORT || status != 0) {
    snprintf(report, REPORT, "-ended with status %x", (unsigned)status);
  }
}

/* ---- all of them ---- */

static unsigned long passed, failures;

static void report_failure(const char *name, unsigned long n, mode how,
                           const char *what) {
  static const char *const words[] = { "", " and all after it", " to the very end" };
  failures++;
  printf("not ok - %s, allocation %lu%s: %s\n", name, n, words[how], what);
}

int main(int argc, char **argv) {
  const char *file = "tests/torture/alloc.lua", *only = NULL;
  unsigned long points = 1000, total = 0, at = 0;
  mode how = ONCE;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--persistent") == 0) how = PERSISTENT;
    else if (strcmp(argv[i], "--closing") == 0) how = CLOSING;
    else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    else if (strcmp(argv[i], "--points") == 0 && i + 1 < argc) {
      points = strtoul(argv[++i], NULL, 10);
    }
    else file = argv[i];
  }
  memory m = { 0 };
  lua_State *L = lua_newstate(alloc, &m);
  if (L == NULL || load_list(L, file)) {
    return fprintf(stderr, "alloc: %s\n", L != NULL ? text(L) : "no state"), 1;
  }
  static char expected[MOST_WORK][REPORT], report[REPORT];
  static unsigned long calls[MOST_WORK];
  int pieces = (int)lua_rawlen(L, 1);
  /* without failures, to compare with */
  for (int k = 0; k <= pieces && k < MOST_WORK; k++) {
    if (only != NULL && strcmp(only, name_of(L, k)) != 0) continue;
    if (push_work(L, k)) in_child(&m, L, k, 0, ONCE, "", report);
    else snprintf(report, REPORT, "-cannot begin: %s", text(L));
    if (report[0] != '+') {
      report_failure(name_of(L, k), 0, ONCE, report + 1);
      continue;
    }
    char *rest;
    calls[k] = strtoul(report + 1, &rest, 10);
    snprintf(expected[k], REPORT, "%s", rest + 1);
    total += calls[k];
  }
  unsigned long every = points > 0 && total > points ? total / points : 1;
  unsigned long next = every / 2 + 1;
  for (int k = 0; k <= pieces && k < MOST_WORK && failures < 20; at += calls[k++]) {
    if (calls[k] > 0 && !push_work(L, k)) report_failure(name_of(L, k), 0, ONCE, text(L));
    for (; next <= at + calls[k] && failures < 20; next += every) {
      in_child(&m, L, k, next - at, how, expected[k], report);
      if (report[0] == '+') passed++;
      else report_failure(name_of(L, k), next - at, how, report + 1);
    }
  }
  lua_close(L);
  printf("torture: %lu passed, %lu failed\n", passed, failures);
  printf("figure C1 points %lu of %lu allocations\n", passed, total);
  return failures != 0;
}
