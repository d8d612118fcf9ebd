rockspec_format = "3.0"
package = "moongrad"
version = "scm-1"
source = {
   url = "git+file://.", -- a clone; "luarocks make" in it needs no more
}
description = {
   summary = "Neural networks for everything that runs Lua",
   detailed = [[
      A small neural network engine: tensors, layers, backpropagation and
      training in a dependency-free C core, with a Lua face. It needs no other
      rock, but lua-cjson where nets are kept in files or logs written, and
      argparse for its command line.
   ]],
   license = "MIT",
   labels = { "machine-learning", "neural-network", "math" },
}
dependencies = { "lua >= 5.1, < 5.6" }
build = {
   type = "make",
   -- The core is the same for every Lua, the rest has a folder for each.
   variables = {
      CC = "$(CC)",
      LUA_INCDIR = "$(LUA_INCDIR)",
      BIND_DIR = "build/rock$(LUA_INCDIR)/bind",
      LUA_OUT = "build/rock$(LUA_INCDIR)",
   },
   build_target = "all",
   install_target = "install-module",
   install_variables = {
      LUA_LIBDIR = "$(LIBDIR)",
      LUA_SHAREDIR = "$(LUADIR)",
   },
   install = { bin = { moongrad = "bindings/command" } },
}
test = {
   type = "command",
   script = "tests/rock.lua",
}
