/*
** alloc.c - a host whose memory runs out: Lua and moongrad share one allocator
** that fails at its N-th call, for every N in turn, over scripts/train_xor.lua.
**
** Expected each time: the script ends, well or with "not enough memory"; then,
** with memory there again, the same state trains the same net to the same
** weights as one that never failed; and closing it leaves nothing behind.
**
**   alloc [--from N] [--every K] [--persistent]
*/
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory {
  size_t used;
  unsigned long calls, fail_at;
  int persistent;
} memory;

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
        (m->calls == m->fail_at || (m->persistent && m->calls > m->fail_at))) {
      return NULL;
    }
  }
  void *q = realloc(p, nsize);
  if (q != NULL) m->used += nsize - before;
  return q;
}

/* What is trained after each failure: a net, its hash. */
static const char *const probe =
  "local mg = require 'moongrad' mg.seed(7)\n"
  "local net = mg.sequential { 2, mg.dense(4), 'tanh', function(x) return x * 2 end,\n"
  "                            mg.dense(1), 'sigmoid' }\n"
  "local t = mg.trainer { net = net, loss = 'bce', optimizer = mg.adam { lr = 0.1 } }\n"
  "for e in t:epochs(3, { x = { {0,0}, {0,1}, {1,0}, {1,1} }, y = {0,1,1,0}, batch = 3,\n"
  "                       shuffle = true }) do last = e end\n"
  "return net:hash()\n";

/* train_xor with few epochs and a silent print; its claim does not matter here */
static const char *const script =
  "print = function() end io.write = print os.exit = function() error('exit') end\n"
  "arg = { [0] = 'scripts/train_xor.lua', '--epochs', '2' }\n"
  "dofile(arg[0])\n";

static int run_protected(lua_State *L) {
  const char *chunk = lua_touserdata(L, 1);
  luaL_openlibs(L);
  if (luaL_loadstring(L, chunk) != 0) return lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}

/* Runs a chunk; its result or error is left at the top. */
static int run(lua_State *L, const char *chunk) {
  lua_settop(L, 0);
  lua_pushcfunction(L, run_protected);
  lua_pushlightuserdata(L, (void *)chunk);
  return lua_pcall(L, 1, 1, 0);
}

static const char *text(lua_State *L) {
  const char *s = lua_tostring(L, -1);
  return s != NULL ? s : "(no text)";
}

/* One run that fails at allocation n. Returns what is wrong, or NULL. *calls is
** how many allocations the script makes when none fails (n = 0). */
static const char *attempt(unsigned long n, int persistent, char hash[32],
                           unsigned long *calls) {
  static char wrong[512];
  memory m = { 0, 0, n, persistent };
  lua_State *L = lua_newstate(alloc, &m);
  if (L == NULL) return m.used == 0 ? NULL : "lua_newstate leaks";
  int failed = run(L, script);
  *calls = m.calls;
  wrong[0] = '\0';
  if (failed && strstr(text(L), "not enough memory") == NULL &&
      strstr(text(L), "exit") == NULL) {
    snprintf(wrong, sizeof wrong, "the script says: %s", text(L));
  }
  m.fail_at = 0;
  /* a module whose loading failed may be loaded again */
  if (wrong[0] == '\0' && run(L, probe) != 0) {
    snprintf(wrong, sizeof wrong, "afterwards: %s", text(L));
  } else if (wrong[0] == '\0' && hash[0] == '\0') {
    snprintf(hash, 32, "%s", text(L));
  } else if (wrong[0] == '\0' && strcmp(hash, text(L)) != 0) {
    snprintf(wrong, sizeof wrong, "afterwards the net has hash %s, expected %s", text(L), hash);
  }
  lua_close(L);
  if (wrong[0] == '\0' && m.used != 0) {
    snprintf(wrong, sizeof wrong, "%lu bytes are left", (unsigned long)m.used);
  }
  return wrong[0] != '\0' ? wrong : NULL;
}

int main(int argc, char **argv) {
  unsigned long first = 1, every = 97, calls = 0, passed = 0, failed = 0;
  int persistent = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--persistent") == 0) persistent = 1;
    else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc) first = strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--every") == 0 && i + 1 < argc) every = strtoul(argv[++i], NULL, 10);
    else return fprintf(stderr, "alloc: unknown option %s\n", argv[i]), 2;
  }
  char hash[32] = "";
  const char *wrong = attempt(0, 0, hash, &calls);
  if (wrong != NULL || every == 0) return fprintf(stderr, "alloc: %s\n", wrong), 1;
  unsigned long total = calls;
  for (unsigned long n = first; n <= total && failed < 10; n += every) {
    wrong = attempt(n, persistent, hash, &calls);
    if (wrong == NULL) {
      passed++;
      continue;
    }
    failed++;
    printf("not ok - allocation %lu of %lu%s: %s\n", n, total,
           persistent ? " and all after it" : "", wrong);
  }
  printf("torture: %lu passed, %lu failed\n", passed, failed);
  return failed != 0;
}
