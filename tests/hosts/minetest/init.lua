-- A mod. C modules need the environment that a server gives to the mods named in its
-- secure.trusted_mods. Keep it local: other mods must not get at it.
local trusted = assert(minetest.request_insecure_environment(), "not in secure.trusted_mods")
local package, root = trusted.package, trusted.os.getenv "MOONGRAD_ROOT"
package.path = root .. "bindings/?.lua;" .. root .. "bindings/?/init.lua;" .. package.path
package.cpath = root .. "build/luajit/?.so;" .. package.cpath

-- Lua files that require finds would run in the environment of mods, where there is no
-- require. Those of moongrad get the trusted one.
table.insert(package.loaders, 2, function(name)
  local path = name:find "^moongrad" and package.searchpath(name, package.path)
  return path and trusted.setfenv(assert(trusted.loadfile(path)), trusted) or nil
end)
local mg = trusted.require "moongrad"

-- The test.
local host = trusted.setfenv(trusted.loadfile(root .. "tests/hosts/host.lua"), trusted)()
local work = trusted.os.getenv "WORK"
local net = assert(mg.load(work .. "net.safetensors"))
local out = mg.zeros(1, 1)
local steps, inside = 0, 0
minetest.register_globalstep(function()
  steps = steps + 1
  if net:predict({ { 0.1, 0.2 } }, out):item() > 0.5 then inside = inside + 1 end
  if steps < 10 then return end
  host.report(mg, work, "facts")
  local f = trusted.io.open(work .. "facts", "a")
  f:write(host.line(inside == steps, "asks a net in each step of the server"), "\n")
  f:close()
  minetest.request_shutdown()
end)
