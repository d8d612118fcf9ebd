/*
** alloc.c - a host whose memory runs out: Lua and moongrad share one allocator that fails
** at its N-th call: once, then for good, then even while the state is closed, for the N
** of each piece of work in alloc.lua (or in another file: alloc FILE).
**
** Expected each time: the work ends, well or with "not enough memory"; done once more on
** the same objects, with memory there again, it gives what it gives where nothing fails;
** and closing the state leaves nothing behind. Each attempt is a forked process, so the
** module is loaded once; the first piece, loading it, begins with no state at all. What a
** piece reads when it is first done, other files of moongrad say, is there for the next.
**
** A loop allocates at one place many times. A place is the lines of Lua under way and
** the size and kind of what is asked for; of each, the 1st, 4th, 16th .. time in a piece
** is let fail, or every N-th of all these. Each ten seconds a line says how far it is;
** stopped by SIGINT or SIGTERM it says what it has seen.
**
**   alloc [--every N] [--only NAME] [FILE]
*/
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "../c/newstate.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ONCE, PERSISTENT, CLOSING, MODES };

typedef struct memory {
  size_t used;
  unsigned long calls, fail_at; /* 0: never */
  int mode;
  lua_State *L; /* where places are listed */
} memory;

enum {
  SECONDS = 300, PROGRESS = 10, REPORT = 1024,
  MOST_POINTS = 1 << 16, TABLE = 2 * MOST_POINTS
};

/* What a child tells its parent, in memory that both have. */
typedef struct message {
  char text[REPORT];
  unsigned long calls, count, points[MOST_POINTS]; /* to let fail, from nothing failing */
} message;

static message *told;

/* ---- memory ---- */

static uint64_t mix(uint64_t h, uint64_t v) { return (h ^ v) * 1099511628211u; }

/* A number for where the allocation of so many bytes is made. */
static uint64_t place_of(lua_State *L, size_t kind, size_t bytes) {
  uint64_t h = mix(mix(14695981039346656037u, kind), bytes);
  lua_Debug d;
  for (int level = 0; lua_getstack(L, level, &d); level++) {
    lua_getinfo(L, "Sl", &d);
    h = mix(mix(h, (uintptr_t)d.source), (uint64_t)d.currentline);
  }
  return h ^ h >> 32;
}

/* Lists the allocation the 1st, 4th, 16th .. time that its place comes up. */
static void list_point(const memory *m, size_t kind, size_t bytes) {
  static struct { uint64_t place; unsigned long times; } table[TABLE];
  if (told->count == MOST_POINTS) return;
  uint64_t place = place_of(m->L, kind, bytes);
  unsigned at = place % TABLE;
  while (table[at].times > 0 && table[at].place != place) at = (at + 1) % TABLE;
  table[at].place = place;
  unsigned long times = ++table[at].times;
  while (times % 4 == 0) times /= 4;
  if (times == 1) told->points[told->count++] = m->calls;
}

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
    if (m->L != NULL) list_point(m, osize, nsize);
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

/* The pieces of work that the file returns, {name, make} each, stay at index 1. Lua 5.4 can
** never again make a long string where memory has run out while it made the metatable of
** its buffers; so that is there before. */
static int load_list(lua_State *L, const char *file) {
  luaL_openlibs(L);
  int wrong = luaL_loadstring(L, "return (' '):rep(1e5)") != 0 || lua_pcall(L, 0, 0, 0) != 0;
  return wrong || luaL_loadfile(L, file) != 0 || lua_pcall(L, 0, 1, 0) != 0;
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

/* The answer of a child; "-" begins what is wrong, "+" what the work gives. */
static void say(char sign, const char *format, const char *what, const char *expected) {
  told->text[0] = sign;
  snprintf(told->text + 1, REPORT - 1, format, what, expected);
}

/* Does what is at the top of the stack; of no state, loading. The n-th allocation fails,
** or for n = 0 none, and points are listed. */
static void attempt(memory *m, lua_State *L, unsigned long n, int how,
                    const char *expected) {
  memory fresh = { .used = L != NULL ? m->used : 0, .fail_at = n, .mode = how };
  *m = fresh;
  if (L == NULL) {
    L = lua_newstate(alloc, m);
    if (L == NULL) return say(m->used == 0 ? '+' : '-', "lua_newstate leaks", "", "");
    m->fail_at = 0;
    lua_pushcfunction(L, load_and_probe);
    m->fail_at = n;
  }
  lua_pushvalue(L, -1); /* to do it twice */
  if (n == 0) {
    told->count = 0;
    for (unsigned long i = 1; i <= m->calls; i++) told->points[told->count++] = i;
    m->L = L;
  }
  int failed = lua_pcall(L, 0, 1, 0);
  m->L = NULL;
  told->calls = m->calls;
  if (how != CLOSING) m->fail_at = 0;
  if (failed && strstr(text(L), "not enough memory") == NULL) {
    return say('-', "says: %s", text(L), "");
  }
  if (how != CLOSING) {
    if (!failed && n != 0 && strcmp(text(L), expected) != 0) {
      return say('-', "gives %.400s, expected %.400s", text(L), expected);
    }
    lua_pop(L, 1);
    if (lua_pcall(L, 0, 1, 0) != 0 || (n != 0 && strcmp(text(L), expected) != 0)) {
      return say('-', "afterwards: %.400s, expected %.400s", text(L), expected);
    }
  }
  say('+', "%s", how != CLOSING ? text(L) : "", "");
  lua_close(L);
  if (m->used != 0) say('-', "memory is left", "", "");
}

static void in_child(memory *m, lua_State *L, unsigned long n, int how,
                     const char *expected) {
  int status = -1;
  told->text[0] = '\0';
  pid_t child = fork();
  if (child == 0) {
    alarm(SECONDS);
    attempt(m, L, n, how, expected);
    _exit(0);
  }
  if (child > 0) waitpid(child, &status, 0);
  if (status == 0) return;
  snprintf(told->text, REPORT, "-ended with status %x", (unsigned)status);
}

/* ---- all of them ---- */

static unsigned long passed, failures, every = 1, places, calls;
static volatile sig_atomic_t stopped;

static void stop(int signal) { stopped = signal; }

static void count(const char *name, unsigned long n, int how) {
  static const char *const words[] = { "", " and all after it", " to the very end" };
  if (told->text[0] == '+') {
    passed++;
    return;
  }
  failures++;
  printf("not ok - %s, allocation %lu%s: %s\n", name, n, words[how], told->text + 1);
}

static void show_progress(const char *name) {
  static time_t began, shown;
  time_t now = time(NULL);
  if (began == 0) began = shown = now;
  if (now - shown < PROGRESS) return;
  shown = now;
  printf("torture: after %ld s %lu points, %lu of them failed, at: %s\n",
         (long)(now - began), passed + failures, failures, name);
  fflush(stdout);
}

static int going(void) { return !stopped && failures < 20; }

/* Piece k: its points, from a child in which nothing fails, each in all three modes. Then
** it is done here. */
static void try_piece(memory *m, lua_State *L, int k) {
  const char *name = name_of(L, k);
  char expected[REPORT];
  if (push_work(L, k)) in_child(m, k != 0 ? L : NULL, 0, ONCE, "");
  else say('-', "cannot begin: %s", text(L), "");
  if (told->count == MOST_POINTS) say('-', "has too many places", "", "");
  if (told->text[0] != '+') return count(name, 0, ONCE);
  strcpy(expected, told->text + 1);
  calls += told->calls;
  for (unsigned long i = 0; i < told->count && going(); i++) {
    if (places++ % every != every / 2) continue;
    for (int how = ONCE; how < MODES; how++) {
      in_child(m, k != 0 ? L : NULL, told->points[i], how, expected);
      count(name, told->points[i], how);
    }
    show_progress(name);
  }
  if (k == 0 || !going()) return;
  int wrong = lua_pcall(L, 0, 1, 0) != 0 || strcmp(text(L), expected) != 0;
  if (wrong) say('-', "in the end gives %.400s, expected %.400s", text(L), expected);
  if (wrong) count(name, 0, ONCE);
}

int main(int argc, char **argv) {
  const char *file = "tests/torture/alloc.lua", *only = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    else if (strcmp(argv[i], "--every") == 0 && i + 1 < argc) {
      every = strtoul(argv[++i], NULL, 10);
    }
    else file = argv[i];
  }
  if (every == 0) every = 1;
  struct sigaction end = { .sa_handler = stop, .sa_flags = SA_RESTART };
  sigaction(SIGINT, &end, NULL);
  sigaction(SIGTERM, &end, NULL);
  told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
              0);
  memory m = { 0 };
  lua_State *L = told != MAP_FAILED ? lua_newstate(alloc, &m) : NULL;
  if (L == NULL || load_list(L, file)) {
    return fprintf(stderr, "alloc: %s\n", L != NULL ? text(L) : "no memory"), 1;
  }
  int pieces = (int)lua_rawlen(L, 1);
  for (int k = 0; k <= pieces && going(); k++) {
    if (only == NULL || strcmp(only, name_of(L, k)) == 0) try_piece(&m, L, k);
  }
  lua_close(L);
  if (stopped) printf("torture: stopped\n");
  printf("torture: %lu passed, %lu failed\n", passed, failures);
  printf("figure C1 points %lu, at %lu places, of %lu allocations\n", passed, places,
         calls);
  return failures != 0 || stopped || passed == 0;
}
