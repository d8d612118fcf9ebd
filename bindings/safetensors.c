/*
** safetensors.c - what Lua sees of the header of a safetensors file.
*/
#include "args.h"
#include "header.h"

/* Pushes a text without its escapes, written over 'room'. */
static void push_text(lua_State *L, lmgrad_text t, char *room) {
  size_t n = lmgrad_unescape(t, room);
  lua_pushlstring(L, room, n);
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

/* read_header(text) -> list of {name=, type=, shape=, first=, last=} and {key = text} of the
** metadata, or nil and what is wrong */
static int read_header(lua_State *L) {
  enum { TEXT = 1, ROOM, TENSORS, PAIRS, NAMES };
  size_t length;
  lua_settop(L, TEXT);
  if (lua_type(L, TEXT) != LUA_TSTRING) {
    return lmgrad_type_error(L, TEXT, "read_header", "text", "a string");
  }
  const char *text = lua_tolstring(L, TEXT, &length);
  char *room = lua_newuserdata(L, length + 1);
  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);
  lmgrad_header h;
  lmgrad_entry e;
  int more, n = 0;
  for (lmgrad_header_open(&h, text, length); (more = lmgrad_header_next(&h, &e)) == 1;) {
    push_text(L, e.name, room);
    size_t bytes = lua_rawlen(L, -1);
    if (bytes == 0 || bytes > LMGRAD_NAME_BYTES) {
      return refuse(L, "has a name that has not 1 to 255 bytes");
    }
    lua_pushvalue(L, -1);
    lua_rawget(L, e.pair ? PAIRS : NAMES);
    if (!lua_isnil(L, -1)) return refuse(L, "has a name twice");
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    if (e.pair) push_text(L, e.value, room);
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
