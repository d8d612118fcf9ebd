-- One source for Lua 5.1 to 5.5 and LuaJIT.
std = "max"
max_line_length = 100
files["tests/spec"] = { std = "max+busted" }
files["tests/scripts"] = { std = "max+busted" }
-- what real programs give their scripts, and what wrk calls
local wrk = { "wrk", "setup", "init", "request", "response", "done", "number", "answers",
              "mistakes", "paths" }
files["tests/hosts/love"] = { std = "max+love" }
files["scripts/love"] = { std = "max+love" }
files["tests/hosts/haproxy"] = { globals = wrk, read_globals = { "core" } }
files["tests/hosts/wrk"] = { globals = wrk }
files["tests/hosts/lighttpd"] = { globals = { "lighty" } }
files["tests/hosts/minetest"] = { read_globals = { "minetest" } }
files["tests/hosts/neovim"] = { read_globals = { "vim" } }
files["tests/hosts/pandoc"] = { globals = { "Para" }, read_globals = { "pandoc" } }
exclude_files = { "bindings/reference/types.lua", "build" } -- made, for editors
