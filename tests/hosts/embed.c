/*
** embed.c - a host that runs scripts it does not trust: its own lua_State, an allocator
** with a cap, files in memory, a clock, time limits, Ctrl-C, limits that only it can raise,
** and a state for each thread. All of moongrad is linked in: lmoongrad.c and moongrad.c.
** bindings/guides/embedding.md explains it piece by piece.
**
**   cc -O2 -DLMGRAD_NO_SYSTEM embed.c lmoongrad.c moongrad.c -llua5.4 -lm -lpthread
*/
#define _XOPEN_SOURCE 700
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int luaopen_moongrad(lua_State *L);

/* ---- memory: Lua and moongrad share one cap ---- */

typedef struct heap { size_t used, cap; } heap;

static void *allocate(void *ud, void *p, size_t before, size_t size) {
  heap *h = ud;
  if (p == NULL) before = 0;
  if (size > before && size - before > h->cap - h->used) return NULL;
  void *new = NULL;
  if (size == 0) free(p);
  else if ((new = realloc(p, size)) == NULL) return NULL;
  h->used = h->used - before + size;
  return new;
}

/* ---- files: what scripts save and load is in a table, name to bytes ---- */

static const char FILES[] =
  "local store, mg = {}, ...\n"
  "mg.set_files {\n"
  "  open = function(path, mode)\n"
  "    if mode == 'r' and not store[path] then return nil, path .. ': no such file', 2 end\n"
  "    return { path = path, at = 1, bytes = mode == 'r' and store[path] or '' }\n"
  "  end,\n"
  "  size = function(f) return #f.bytes end,\n"
  "  read = function(f, n)\n"
  "    f.at = f.at + n\n"
  "    return f.bytes:sub(f.at - n, f.at - 1)\n"
  "  end,\n"
  "  write = function(f, s) f.bytes = f.bytes .. s; store[f.path] = f.bytes; return true end,\n"
  "  close = function() return true end,\n"
  "  rename = function(from, to) store[to], store[from] = store[from], nil; return true end,\n"
  "  remove = function(path) store[path] = nil; return true end,\n"
  "}\n";

/* ---- the clock that trainer:run { ms = } looks at ---- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const struct { double (*now)(void); } wall = { now };

static void set_clock(lua_State *L) {
  lua_pushlightuserdata(L, (void *)&wall);
  lua_setfield(L, LUA_REGISTRYINDEX, "moongrad.clock");
}

/* ---- time and Ctrl-C: a signal sets a hook, which ends Lua code and long calls ---- */

static lua_State *running;
static const char *volatile reason;

static void stop(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "%s", reason);
}

static void on_signal(int signal) {
  reason = signal == SIGINT ? "interrupted" : "out of time";
  lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static void set_timer(int ms) {
  struct itimerval t = { { 0, 0 }, { ms / 1000, ms % 1000 * 1000 } };
  setitimer(ITIMER_REAL, &t, NULL);
}

/* ---- the state ---- */

/* Globals for scripts: nothing that reaches outside, and no way to load bytecode. */
static const char *const removed[] = { "dofile", "loadfile", "load", "loadstring", "require",
                                       "package", "collectgarbage", "print", NULL };

static void open_libraries(lua_State *L) {
  static const luaL_Reg libraries[] = {
    { "_G", luaopen_base }, { "package", luaopen_package }, { "string", luaopen_string },
    { "table", luaopen_table }, { "math", luaopen_math }, { "coroutine", luaopen_coroutine },
    { NULL, NULL } };
  for (const luaL_Reg *l = libraries; l->name != NULL; l++) {
    luaL_requiref(L, l->name, l->func, 1);
    lua_pop(L, 1);
  }
}

/* A limit that scripts cannot raise; 0 for none. */
static void limit(lua_State *L, const char *name, lua_Integer most) {
  lua_getfield(L, LUA_REGISTRYINDEX, "moongrad.limit");
  lua_pushstring(L, name);
  lua_pushinteger(L, most);
  lua_call(L, 2, 0);
}

static int open_state(lua_State *L) {
  open_libraries(L);
  luaL_requiref(L, "moongrad", luaopen_moongrad, 1);
  lua_setglobal(L, "mg");
  if (luaL_loadbufferx(L, FILES, sizeof FILES - 1, "=files", "t") != LUA_OK) return lua_error(L);
  lua_getglobal(L, "mg");
  lua_call(L, 1, 0);
  for (int i = 0; removed[i] != NULL; i++) {
    lua_pushnil(L);
    lua_setglobal(L, removed[i]);
  }
  lua_getglobal(L, "string");
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  set_clock(L);
  limit(L, "elements", 1000000);
  limit(L, "tensors", 2000);
  limit(L, "graph", 10000);
  limit(L, "threads", 1);
  return 0;
}

static lua_State *new_state(heap *h) {
#if LUA_VERSION_NUM >= 505
  lua_State *L = lua_newstate(allocate, h, luaL_makeseed(NULL));
#else
  lua_State *L = lua_newstate(allocate, h);
#endif
  if (L == NULL) exit(1);
  lua_pushcfunction(L, open_state);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    fprintf(stderr, "embed: %s\n", lua_tostring(L, -1));
    exit(1);
  }
  return L;
}

/* A call of limit that cannot end the host: 0 where it failed. */
static int call_limit(lua_State *L) {
  limit(L, lua_touserdata(L, 1), lua_tointeger(L, 2));
  return 0;
}

static int set_limit(lua_State *L, const char *name, lua_Integer most) {
  lua_pushcfunction(L, call_limit);
  lua_pushlightuserdata(L, (void *)name);
  lua_pushinteger(L, most);
  return lua_pcall(L, 2, 0, 0) == LUA_OK;
}

/* Runs a script. NULL, or what went wrong, until the next call. */
static const char *run(lua_State *L, const char *script) {
  lua_settop(L, 0);
  int failed = luaL_loadbufferx(L, script, strlen(script), "=script", "t") != LUA_OK ||
               lua_pcall(L, 0, 0, 0) != LUA_OK;
  return failed ? lua_tostring(L, -1) : NULL;
}

/* The same, for at most so long. */
static const char *run_for(lua_State *L, const char *script, int ms) {
  running = L;
  set_timer(ms);
  const char *error = run(L, script);
  set_timer(0);
  lua_sethook(L, NULL, 0, 0);
  return error;
}

/* ---- threads: a state for each, and nothing that they share ---- */

typedef struct worker {
  pthread_t thread;
  const char *script; /* leaves a text in the global 'answer' */
  char answer[128];
} worker;

static void *work(void *ud) {
  worker *w = ud;
  heap h = { 0, 64 << 20 };
  lua_State *L = new_state(&h);
  const char *error = run(L, w->script);
  if (error == NULL) {
    lua_getglobal(L, "answer");
    error = lua_tostring(L, -1);
  }
  snprintf(w->answer, sizeof w->answer, "%s", error != NULL ? error : "no answer");
  lua_close(L);
  return NULL;
}

/* ---- what scripts may and may not ---- */

static const char LEARN[] =
  "mg.seed(7)\n"
  "net = mg.sequential { 2, mg.dense(8), 'tanh', mg.dense(1), 'sigmoid' }\n"
  "xor = { x = { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }, y = { { 0 }, { 1 }, { 1 }, { 0 } } }\n"
  "trainer = mg.trainer { net = net, loss = 'bce', optimizer = mg.adam { lr = 0.05 } }\n"
  "repeat local state = trainer:run(xor, { epochs = 500, ms = 4 }) until state == 'done'\n"
  "assert(trainer:evaluate(xor).loss < 0.1)\n"
  "answer = net:hash()";

typedef struct test {
  const char *name, *script;
  int ms;
  const char *error; /* part of it, or NULL */
  const char *limit; /* that the host sets before, or NULL */
  lua_Integer most;
} test;

static const test tests[] = {
  { "trains, a few milliseconds at a time", LEARN, 60000, NULL },
  { "saves weights to the host's files and loads them",
    "assert(mg.save('xor.safetensors', net:named()))\n"
    "copy = net:clone():load_weights 'xor.safetensors'\n"
    "assert(copy:hash() == answer)", 60000, NULL },
  { "gets an error for a file that is not there",
    "local found, message = mg.load 'other'\n"
    "assert(found == nil and message:find 'no such file')", 60000, NULL },
  { "has nothing that reaches outside",
    "for _, name in ipairs { 'io', 'os', 'debug', 'package', 'ffi', 'require', 'load',\n"
    "                        'dofile', 'loadfile', 'print' } do\n"
    "  assert(_G[name] == nil, name)\n"
    "end\n"
    "assert(not string.dump)", 60000, NULL },
  { "is ended in a loop of its own", "while true do end", 50, "out of time" },
  { "is ended in the middle of a product of large matrices",
    "local a = mg.ones(900, 1000)\n"
    "while true do a:transpose(1, 2):matmul(a) end", 50, "out of time" },
  { "meets the limit of elements", "mg.zeros(1000, 1001)", 60000, "allows 1000000 elements" },
  { "meets the limit of tensors",
    "local t = {} for i = 1, 1e9 do t[i] = mg.zeros(1) end", 60000, "as many as this host" },
  { "meets the limit of graphs",
    "local t = mg.tensor(1, { requires_grad = true })\n"
    "local all = {} for i = 1, 1e9 do t = t + 1; all[1] = t end", 60000, "as many as this host" },
  { "meets the limit of threads", "mg.set_threads(2)", 60000, "this host allows 1" },
  { "cannot raise a limit", "mg.limit { elements = 2000000 }", 60000, "limit: elements" },
  { "may use what the host has raised", "assert(#mg.zeros(1000, 1001) == 1000)", 60000, NULL,
    "elements", 2000000 },
  { "meets what it has raised", "mg.zeros(2000, 1001)", 60000, "allows 2000000 elements" },
  { "meets no limit that the host has lifted", "assert(#mg.zeros(2000, 1001) == 2000)", 60000,
    NULL, "elements", 0 },
  { "lowers it again", "mg.limit { elements = 10 } mg.zeros(11)", 60000, "allows 10 elements" },
  { "meets what the host has set last", "mg.zeros(1000, 1001)", 60000,
    "allows 1000000 elements", "elements", 1000000 },
  { "meets the cap of memory",
    "local t = {} for i = 1, 1000 do t[i] = mg.zeros(1000, 1000) end", 60000,
    "not enough memory" },
  { "is well after all that",
    "assert(net:load_weights 'xor.safetensors':hash() == answer)\n"
    "trainer:fit(1, xor)", 60000, NULL },
};

/* Presses Ctrl-C while a script trains. */
static void *press(void *ud) {
  (void)ud;
  nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
  kill(getpid(), SIGINT);
  return NULL;
}

static int interrupted(lua_State *L) {
  pthread_t keyboard;
  if (pthread_create(&keyboard, NULL, press, NULL) != 0) return 0;
  const char *error = run_for(L, "trainer:fit(1000000, xor)", 60000);
  pthread_join(keyboard, NULL);
  return error != NULL && strstr(error, "interrupted") != NULL;
}

/* Do four threads learn what one did, to the last bit? */
static int agree(void) {
  enum { WORKERS = 4 };
  worker w[WORKERS];
  int same = 1;
  for (int i = 0; i < WORKERS; i++) {
    w[i].script = LEARN;
    if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0) exit(1);
  }
  for (int i = 0; i < WORKERS; i++) {
    pthread_join(w[i].thread, NULL);
    same = same && strlen(w[i].answer) > 8 && strcmp(w[i].answer, w[0].answer) == 0;
  }
  return same;
}

static int passed, failed;

static void fact(int holds, const char *name, const char *error) {
  if (holds) passed++;
  else failed++, printf("not ok - a script %s: %s\n", name, error != NULL ? error : "no error");
}

int main(void) {
  heap h = { 0, 64 << 20 };
  lua_State *L = new_state(&h);
  sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
  sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
  for (int i = 0; i < (int)(sizeof tests / sizeof *tests); i++) {
    const test *t = &tests[i];
    if (t->limit != NULL) fact(set_limit(L, t->limit, t->most), "has limits", t->limit);
    const char *error = run_for(L, t->script, t->ms);
    fact(t->error == NULL ? error == NULL : error != NULL && strstr(error, t->error) != NULL,
         t->name, error);
  }
  fact(interrupted(L), "ends at Ctrl-C", NULL);
  fact(run(L, "trainer:fit(1, xor)") == NULL, "goes on after Ctrl-C", NULL);
  lua_close(L);
  fact(agree(), "learns the same on four threads", NULL);
  printf("embed: %d passed, %d failed, %lu bytes left\n", passed, failed, (unsigned long)h.used);
  return failed > 0 || h.used != 0;
}
