rockspec_format = "3.0"
package = "moongrad"
version = "0.1.0-1"
source = {
   url = "file://moongrad-0.1.0.tar.gz", -- made by "make dist"
}
description = {
   summary = "Neural networks for everything that runs Lua",
   detailed = [[
      A small neural network engine: tensors, layers, backpropagation and
      training in a dependency-free C core, with a Lua face. It needs no other
      rock, but lua-cjson where nets are kept in files or logs written.
   ]],
   license = "MIT",
   labels = { "machine-learning", "neural-network", "math" },
}
dependencies = { "lua >= 5.1, < 5.6" }
build = {
   type = "make",
   -- a build folder of its own for each Lua
   variables = {
      CC = "$(CC)",
      LUA_INCDIR = "$(LUA_INCDIR)",
      BUILD = "build/rock$(LUA_INCDIR)",
   },
   build_target = "all",
   install_variables = {
      LUA_LIBDIR = "$(LIBDIR)",
      LUA_SHAREDIR = "$(LUADIR)",
   },
}
test = {
   type = "command",
   command = "make test-lua",
}
