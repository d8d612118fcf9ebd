-- One source for Lua 5.1 to 5.5 and LuaJIT.
std = "max"
max_line_length = 100
files["tests/spec"] = { std = "max+busted" }
files["tests/scripts"] = { std = "max+busted" }
