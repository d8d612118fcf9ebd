/*
** preload.c - luaopen_moongrad: the whole module without a file. What require would look
** for is put into package.preload. Only in lmoongrad.c, which has the Lua files above.
*/

static int load_text(lua_State *L) {
  const text *t = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 1); /* the name that was required */
  if (luaL_loadbuffer(L, t->text, t->size, t->chunk) != 0) return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* preload[name] = the function at the top, unless there is one. Pops it. */
static void offer(lua_State *L, int preload, const char *name) {
  lua_getfield(L, preload, name);
  if (!lua_isnil(L, -1)) {
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  lua_setfield(L, preload, name);
}

static void push_loader(lua_State *L, const text *t) {
  lua_pushlightuserdata(L, (void *)t);
  lua_pushcclosure(L, load_text, 1);
}

LMGRAD_EXPORT int luaopen_moongrad(lua_State *L);

int luaopen_moongrad(lua_State *L) {
#if LUA_VERSION_NUM >= 502
  luaL_checkversion(L);
#endif
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED"); /* 1 */
  lua_getfield(L, 1, "package");
  if (lua_istable(L, 2)) lua_getfield(L, 2, "preload"); /* 3 */
  if (!lua_istable(L, -1)) return luaL_error(L, "moongrad: this Lua state has no package.preload");
  lua_pushcfunction(L, luaopen_moongrad_core);
  offer(L, 3, "moongrad.core");
  lua_pushcfunction(L, luaopen_moongrad_png);
  offer(L, 3, "moongrad.png");
#ifndef LMGRAD_NO_SYSTEM
  lua_pushcfunction(L, luaopen_moongrad_system);
  offer(L, 3, "moongrad.system");
#endif
  for (int i = 0; texts[i].name != NULL; i++) {
    push_loader(L, &texts[i]);
    offer(L, 3, texts[i].name);
  }
  push_loader(L, &texts[0]);
  lua_pushliteral(L, "moongrad");
  lua_call(L, 1, 1);
  return 1;
}
