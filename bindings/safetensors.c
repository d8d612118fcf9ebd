/*
** safetensors.c - what Lua sees of the header of a safetensors file.
*/
#include "args.h"
#include "header.h"

#include <math.h>
#include <string.h>

/* Pushes a text without its escapes; writes those that have any into memory of just that
** size first. */
static void push_text(lua_State *L, lmgrad_text t) {
  size_t n = lmgrad_unescape(t, NULL);
  if (n == t.n) {
    lua_pushlstring(L, t.at, n);
    return;
  }
  char *room = lmgrad_room(L, n + 1);
  lmgrad_unescape(t, room);
  lua_pushlstring(L, room, n);
  lua_remove(L, -2);
}

/* The entry's name is at the top: the tensor as a table. */
static void push_tensor(lua_State *L, const lmgrad_entry *e) {
  lua_createtable(L, 0, 5);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, e->type);
  lua_setfield(L, -2, "type");
  lua_createtable(L, e->ndim, 0);
  for (int d = 0; d < e->ndim; d++) {
    lua_pushinteger(L, (lua_Integer)e->size[d]);
    lua_rawseti(L, -2, d + 1);
  }
  lua_setfield(L, -2, "shape");
  lua_pushnumber(L, (lua_Number)e->first);
  lua_setfield(L, -2, "first");
  lua_pushnumber(L, (lua_Number)e->last);
  lua_setfield(L, -2, "last");
}

static int refuse(lua_State *L, const char *what) {
  lua_pushnil(L);
  lua_pushfstring(L, "its header %s", what);
  return 2;
}

/* Bytes that an entry takes when it is loaded, as a rule and at most, its numbers aside:
** tables, boxes and objects. */
static double bytes_of(const lmgrad_entry *e) {
  enum { TENSOR = 1200, PAIR = 200 };
  return e->pair ? PAIR + (double)e->value.n : TENSOR;
}

/* The same of layers that a text of JSON describes. */
static double layer_bytes(lmgrad_text t) {
  enum { VALUE = 450 };
  double values = 0;
  for (size_t i = 0; i < t.n; i++) values += t.at[i] == ',' || t.at[i] == '[' || t.at[i] == '{';
  return values * VALUE;
}

/* read_header(text [, most]) -> list of {name=, type=, shape=, first=, last=} and {key = text}
** of the metadata, or nil and what is wrong; so it is where more than 'most' bytes of memory
** would be taken, or 16 MB more where there is a net */
static int read_header(lua_State *L) {
  enum { TEXT = 1, MOST, TENSORS, PAIRS, NAMES, NET = 1 << 24 };
  size_t length;
  lua_settop(L, MOST);
  if (lua_type(L, TEXT) != LUA_TSTRING) {
    return lmgrad_type_error(L, TEXT, "read_header", "text", "a string");
  }
  double most = lua_isnil(L, MOST) ? HUGE_VAL : lmgrad_number(L, MOST, "read_header", "most");
  const char *text = lua_tolstring(L, TEXT, &length);
  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);
  lmgrad_header h;
  lmgrad_entry e;
  int more, n = 0;
  for (lmgrad_header_open(&h, text, length); (more = lmgrad_header_next(&h, &e)) == 1;) {
    push_text(L, e.name);
    most -= bytes_of(&e);
    if (e.pair && strcmp(lua_tostring(L, -1), "moongrad") == 0)
      most += NET - layer_bytes(e.value);
    if (most < 0) return refuse(L, "has too much in it: tensors, layers or texts, for the size of the file");
    size_t bytes = lua_rawlen(L, -1);
    if (bytes == 0 || bytes > LMGRAD_NAME_BYTES) {
      return refuse(L, "has a name that has not 1 to 255 bytes");
    }
    lua_pushvalue(L, -1);
    lua_rawget(L, e.pair ? PAIRS : NAMES);
    if (!lua_isnil(L, -1)) return refuse(L, "has a name twice");
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    if (e.pair) push_text(L, e.value);
    else lua_pushboolean(L, 1);
    lua_rawset(L, e.pair ? PAIRS : NAMES);
    if (!e.pair) {
      push_tensor(L, &e);
      lua_rawseti(L, TENSORS, ++n);
    }
    lua_settop(L, NAMES);
  }
  if (more < 0) return refuse(L, h.wrong);
  lua_settop(L, PAIRS);
  return 2;
}

static const lmgrad_function functions[] = {
  { "read_header", read_header }, { NULL, NULL }
};

void lmgrad_open_safetensors(lua_State *L, int state) {
  lmgrad_register(L, state, functions);
}
