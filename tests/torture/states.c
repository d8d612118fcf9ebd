/*
** states.c - a host of many Lua states, threads and processes.
**
**   states threads           8 states on 8 threads create, train, save and load (F1)
**   states forks [N]         fork in the middle of training and after it, train in the
**                            child, N times (F2)
**   states cycles [N [KB]]   open a state, train with 4 threads, close it (C7)
**   states unload [N]        dlclose while threads of the module wait, load it again
**   states soak [FRAMES [KB]]  a game of so many frames, in one state, and in many with
**                            faults in between (G1)
**   states work              every op, layer and file once, for sanitizers (C3)
**   states leak              leaves something behind, which a sanitizer must find
**   states host              what the process was like before, it is afterwards (F3)
**
** KB is how far memory may grow: sanitizers and valgrind keep what has been freed.
*/
#define _GNU_SOURCE
#include "../c/newstate.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { STATES = 8, SECONDS = 60 };

static int passed, failed;

static int check(int ok, const char *what) {
  if (ok) return passed++, 1;
  printf("not ok - %s\n", what);
  return failed++, 0;
}

/* ---- a state that trains ---- */

/* With 'threads' and 'path' (or nil): the hash of a net that was trained, saved and
** loaded. 'halfway' is called in the middle of a step. */
static const char *const training =
  "local threads, path, halfway = ...\n"
  "local mg = require 'moongrad'\n"
  "mg.set_threads(threads) mg.seed(5)\n"
  "local calls = 0\n"
  "local function look(x)\n"
  "  calls = calls + 1\n"
  "  if calls == 3 and halfway then halfway() end\n"
  "  return x\n"
  "end\n"
  "local net = mg.sequential { 64, mg.dense(256, 'relu'), mg.dense(10) }\n"
  "if halfway then net = mg.sequential { net, look } end\n"
  "local labels = {}\n"
  "for i = 1, 256 do labels[i] = i % 10 + 1 end\n"
  "local x, y = mg.randn(256, 64), mg.tensor(labels)\n"
  "local t = mg.trainer { net = net, loss = 'cross_entropy', optimizer = mg.adam {} }\n"
  "for _ = 1, 4 do t:step(x, y) end\n"
  "if path then\n"
  "  assert(net:save(path))\n"
  "  local copy = assert(mg.load(path))\n"
  "  os.remove(path)\n"
  "  net = copy:hash() == net:hash() and copy\n"
  "end\n"
  "return net:hash()\n";

/* Trains in L; the hash, or the error, is in 'to'. */
static int train(lua_State *L, int threads, const char *path, lua_CFunction halfway,
                 char to[64]) {
  lua_settop(L, 0);
  int wrong = luaL_loadstring(L, training);
  lua_pushinteger(L, threads);
  if (path != NULL) lua_pushstring(L, path);
  else lua_pushnil(L);
  if (halfway != NULL) lua_pushcfunction(L, halfway);
  else lua_pushnil(L);
  wrong = wrong || lua_pcall(L, 3, 1, 0);
  snprintf(to, 64, "%s", lua_tostring(L, -1) != NULL ? lua_tostring(L, -1) : "?");
  if (wrong) fprintf(stderr, "states: %s\n", lua_tostring(L, -1));
  return !wrong;
}

static lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  return L;
}

/* ---- F1 ---- */

typedef struct host_thread {
  int index, ok;
  char hash[64];
} host_thread;

static void *run_state(void *ud) {
  host_thread *t = ud;
  char path[64];
  snprintf(path, sizeof path, "/tmp/moongrad-states-%d-%d", (int)getpid(), t->index);
  t->ok = 1;
  for (int round = 0; round < 3 && t->ok; round++) {
    lua_State *L = open_state();
    t->ok = train(L, 1 + (t->index + round) % 3, path, NULL, t->hash);
    lua_close(L);
  }
  return NULL;
}

static void threads(void) {
  pthread_t id[STATES];
  host_thread t[STATES];
  int same = 1;
  for (int i = 0; i < STATES; i++) {
    t[i] = (host_thread){ .index = i };
    if (pthread_create(&id[i], NULL, run_state, &t[i]) != 0) exit(2);
  }
  for (int i = 0; i < STATES; i++) pthread_join(id[i], NULL);
  for (int i = 0; i < STATES; i++) {
    same = same && t[i].ok && strcmp(t[i].hash, t[0].hash) == 0;
  }
  check(same, "states on threads of their own give the same");
}

/* ---- F2 ---- */

static pid_t child = -1;

static int halfway(lua_State *L) {
  (void)L;
  child = fork();
  if (child == 0) alarm(SECONDS);
  return 0;
}

static int go_on(lua_State *L) {
  (void)L;
  return 0;
}

/* Did the child end well? */
static int ended(pid_t pid) {
  int status = -1;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static atomic_int busy;

/* Trains while the other thread forks. */
static void *keep_busy(void *ud) {
  lua_State *L = open_state();
  char hash[64];
  (void)ud;
  while (busy) train(L, 2, NULL, NULL, hash);
  lua_close(L);
  return NULL;
}

static void forks(int rounds) {
  char expected[64], hash[64];
  pthread_t other;
  lua_State *L = open_state();
  if (!train(L, 3, NULL, go_on, expected)) exit(2);
  for (int i = 0; i < rounds; i++) { /* in the middle of a step */
    int ok = train(L, 3, NULL, halfway, hash) && strcmp(hash, expected) == 0;
    if (child == 0) {
      _exit(!(ok && train(L, 2, NULL, go_on, hash) && strcmp(hash, expected) == 0));
    }
    check(ok && ended(child), "a child that is forked in the middle of a step ends it");
  }
  if (!train(L, 3, NULL, NULL, expected)) exit(2);
  busy = 1;
  if (pthread_create(&other, NULL, keep_busy, NULL) != 0) exit(2);
  for (int i = 0; i < rounds; i++) { /* after training, while another thread trains */
    pid_t pid = fork();
    if (pid == 0) {
      alarm(SECONDS);
      int ok = train(L, 3, NULL, NULL, hash) && strcmp(hash, expected) == 0;
      lua_close(L);
      _exit(!ok);
    }
    check(ended(pid), "a child that is forked after training trains");
  }
  busy = 0;
  pthread_join(other, NULL);
  lua_close(L);
}

/* ---- C7 ---- */

/* A number of this process from the system: "VmRSS", "Threads". */
static long status_of(const char *name) {
  char line[256];
  long v = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    size_t n = strlen(name);
    if (strncmp(line, name, n) == 0) v = strtol(line + n + 1, NULL, 10);
  }
  if (f != NULL) fclose(f);
  return v;
}

static long cycles(int count, long limit) {
  char hash[64], first[64] = "";
  int same = 0;
  long before = 0;
  for (int i = -count / 10 - 10; i < count; i++) { /* those before 0 warm up */
    if (i == 0) before = status_of("VmRSS");
    lua_State *L = open_state();
    int ok = train(L, 4, NULL, NULL, hash);
    lua_close(L);
    if (first[0] == '\0') strcpy(first, hash);
    if (i >= 0) same += ok && strcmp(hash, first) == 0;
  }
  long drift = status_of("VmRSS") - before;
  check(same == count, "each cycle trains to the same net");
  check(drift <= limit, "cycles leave no memory behind");
  return drift;
}

/* ---- G1 ---- */

typedef struct faults {
  unsigned long calls, fail_at; /* 0: none */
} faults;

static void *faulty(void *ud, void *p, size_t osize, size_t nsize) {
  faults *f = ud;
  if (nsize == 0) return free(p), NULL;
  if ((p == NULL || nsize > osize) && ++f->calls == f->fail_at) return NULL;
  return realloc(p, nsize);
}

static int fail_at(lua_State *L) {
  faults *f = lua_touserdata(L, lua_upvalueindex(1));
  *f = (faults){ .fail_at = (unsigned long)luaL_checkinteger(L, 1) };
  return 0;
}

/* The frames from 'first' to 'last' in a state of their own. */
static int play(int first, int last, const char *path, int with_faults, char hash[64]) {
  faults f = { 0, 0 };
  lua_State *L = lua_newstate(faulty, &f);
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  int wrong = luaL_loadfile(L, "tests/torture/soak.lua");
  lua_pushinteger(L, first);
  lua_pushinteger(L, last);
  lua_pushstring(L, path);
  lua_pushlightuserdata(L, &f);
  lua_pushcclosure(L, fail_at, 1);
  if (!with_faults) lua_pop(L, 1);
  wrong = wrong || lua_pcall(L, with_faults ? 4 : 3, 1, 0);
  snprintf(hash, 64, "%s", lua_tostring(L, -1) != NULL ? lua_tostring(L, -1) : "?");
  if (wrong) fprintf(stderr, "states: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return !wrong;
}

static void soak(int frames, long limit) {
  enum { REOPENED = 48 };
  char path[64], expected[64], hash[64];
  long before = 0, drift = 0;
  snprintf(path, sizeof path, "/tmp/moongrad-soak-%d", (int)getpid());
  int ok = play(1, frames, path, 0, expected);
  for (int i = 0; i < REOPENED && ok; i++) {
    if (i == REOPENED / 4) before = status_of("VmRSS");
    ok = play(frames / REOPENED * i + 1,
              i + 1 < REOPENED ? frames / REOPENED * (i + 1) : frames, path, 1, hash);
  }
  drift = status_of("VmRSS") - before;
  unlink(path);
  check(ok && strcmp(hash, expected) == 0, "the net is that of an uninterrupted game");
  check(drift <= limit, "memory is flat");
  printf("soak: %d frames, hash %s, drift %ld KB\n", frames, hash, drift);
  printf("figure G1 frames %d\n", failed == 0 ? frames : 0);
}

/* ---- C3 ---- */

static void work(void) {
  lua_State *L = open_state();
  int ok = luaL_loadstring(L, "for _, work in ipairs(dofile 'tests/torture/alloc.lua') do"
                              " work[2]()() end") == 0 && lua_pcall(L, 0, 0, 0) == 0;
  if (!ok) fprintf(stderr, "states: %s\n", lua_tostring(L, -1));
  lua_close(L);
  check(ok, "all there is works");
}

static void leak(void) {
  char *volatile p = malloc(100);
  p = NULL;
  check(p == NULL, "a hundred bytes are lost");
}

/* ---- dlclose ---- */

/* A state that has the module by dlopen, not by require. */
static lua_State *open_module(const char *path, void **handle) {
  lua_State *L = open_state();
  *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  lua_CFunction f = NULL;
  if (*handle != NULL) *(void **)&f = dlsym(*handle, "luaopen_moongrad_core");
  if (f == NULL) return fprintf(stderr, "states: %s\n", dlerror()), exit(2), NULL;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, "moongrad.core");
  return L;
}

static void unload(const char *path, int rounds) {
  char first[64] = "", hash[64];
  int same = 1;
  for (int i = 0; i < rounds; i++) {
    void *handle;
    lua_State *L = open_module(path, &handle);
    same = train(L, 4, NULL, NULL, hash) && same;
    if (i % 2 == 0) lua_close(L);
    dlclose(handle); /* every other time with its threads and objects alive */
    if (i % 2 != 0) same = train(L, 4, NULL, NULL, hash) && same;
    if (i % 2 != 0) lua_close(L);
    if (first[0] == '\0') strcpy(first, hash);
    same = same && strcmp(hash, first) == 0;
  }
  check(same, "the module may be closed while it is in use, and loaded again");
}

/* ---- F3 ---- */

typedef struct host {
  char locale[256], cwd[4096], environment[65536], descriptors[4096], signals[65 * 24];
  int rounding;
  unsigned mxcsr;
  long threads;
  sigset_t mask;
} host;

static void list_descriptors(char *to, size_t size) {
  DIR *d = opendir("/proc/self/fd");
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
    if (atoi(e->d_name) == dirfd(d)) continue;
    size_t n = strlen(to);
    snprintf(to + n, size - n, "%s ", e->d_name);
  }
  if (d != NULL) closedir(d);
}

static void look_at(host *h) {
  extern char **environ;
  memset(h, 0, sizeof *h);
  snprintf(h->locale, sizeof h->locale, "%s", setlocale(LC_ALL, NULL));
  if (getcwd(h->cwd, sizeof h->cwd) == NULL) exit(2);
  for (char **e = environ; *e != NULL; e++) {
    size_t n = strlen(h->environment);
    snprintf(h->environment + n, sizeof h->environment - n, "%s\n", *e);
  }
  for (int s = 1; s <= 64; s++) {
    struct sigaction a;
    size_t n = strlen(h->signals);
    if (sigaction(s, NULL, &a) == 0) {
      snprintf(h->signals + n, sizeof h->signals - n, "%p ", *(void **)&a.sa_handler);
    }
  }
  list_descriptors(h->descriptors, sizeof h->descriptors);
  h->rounding = fegetround();
#if defined(__x86_64__)
  h->mxcsr = _mm_getcsr() & ~0x3fu; /* without the flags of what has happened */
#endif
  h->threads = status_of("Threads");
  pthread_sigmask(SIG_SETMASK, NULL, &h->mask);
}

static void same_host(const host *a, const host *b, const char *when) {
  char what[64];
#define SAME(part, ok)                                            \
  snprintf(what, sizeof what, "%s is unchanged %s", part, when), \
  check(ok, what)
  SAME("the locale", strcmp(a->locale, b->locale) == 0);
  SAME("the folder", strcmp(a->cwd, b->cwd) == 0);
  SAME("the environment", strcmp(a->environment, b->environment) == 0);
  SAME("the list of descriptors", strcmp(a->descriptors, b->descriptors) == 0);
  SAME("what signals do", strcmp(a->signals, b->signals) == 0);
  SAME("the signal mask", memcmp(&a->mask, &b->mask, sizeof a->mask) == 0);
  SAME("the rounding", a->rounding == b->rounding);
  SAME("MXCSR", a->mxcsr == b->mxcsr);
  SAME("the number of threads", a->threads == b->threads);
}

static void unchanged(void) {
  static host before, after;
  char hash[64];
  setlocale(LC_ALL, "C.UTF-8");
  fesetround(FE_UPWARD); /* a host with a taste of its own */
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040); /* denormals are zeros, as in many a game */
#endif
  signal(SIGUSR1, SIG_IGN);
  look_at(&before);
  lua_State *L = open_state();
  int loads = luaL_loadstring(L, "require 'moongrad'") == 0 && lua_pcall(L, 0, 0, 0) == 0;
  check(loads, "it loads");
  look_at(&after);
  same_host(&before, &after, "by loading");
  check(train(L, 3, "/tmp/moongrad-states-host", NULL, hash), "it trains");
  lua_close(L);
  for (int i = 0; i < 1000 && status_of("Threads") != before.threads; i++) {
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); /* they leave */
  }
  look_at(&after);
  same_host(&before, &after, "after training");
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  int n = argc > 2 ? atoi(argv[2]) : 0;
  long limit = argc > 3 ? atol(argv[3]) : 0;
  if (strcmp(what, "threads") == 0) threads();
  else if (strcmp(what, "forks") == 0) forks(n > 0 ? n : 100);
  else if (strcmp(what, "unload") == 0 && argc > 3) unload(argv[3], n > 0 ? n : 100);
  else if (strcmp(what, "work") == 0) work();
  else if (strcmp(what, "leak") == 0) leak();
  else if (strcmp(what, "soak") == 0) soak(n > 0 ? n : 518400, limit > 0 ? limit : 512);
  else if (strcmp(what, "host") == 0) unchanged();
  else if (strcmp(what, "cycles") != 0) return fprintf(stderr, "states: do what?\n"), 2;
  long drift = 0;
  if (strcmp(what, "cycles") == 0) drift = cycles(n > 0 ? n : 10000, limit > 0 ? limit : 1024);
  int total = passed + failed;
  printf("states %s: %d passed, %d failed\n", what, passed, failed);
  if (strcmp(what, "threads") == 0) printf("figure F1 states %d\n", failed == 0 ? STATES : 0);
  if (strcmp(what, "forks") == 0) printf("figure F2 children %d of %d\n", passed, total);
  if (strcmp(what, "host") == 0) printf("figure F3 changed %d\n", failed);
  if (strcmp(what, "cycles") == 0) printf("figure C7 drift_kb %ld\n", drift);
  return failed != 0;
}
