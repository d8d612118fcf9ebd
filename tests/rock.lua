-- What "luarocks test" runs, by the Lua that the rock is for: the specs of the Lua API, or
-- those that it is given.
--
--   luarocks --lua-version 5.3 test moongrad-scm-1.rockspec -- tests/spec/tensor_spec.lua

local lua = rawget(_G, "jit") and "jit" or _VERSION:match "%d+%.%d+"
local specs = #arg > 0 and table.concat(arg, " ") or "tests/spec"
local done = os.execute(("make --no-print-directory spec LUA=%s S='%s'"):format(lua, specs))
os.exit((done == true or done == 0) and 0 or 1)
