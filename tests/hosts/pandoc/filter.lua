-- Each paragraph of two numbers becomes what a net says of them.
local mg = require "moongrad"
local host = dofile(os.getenv "HOST")
host.report(mg, os.getenv "WORK", "facts")
local net = assert(mg.load(os.getenv "WORK" .. "net.safetensors"))

function Para(p)
  local x, y = pandoc.utils.stringify(p):match "(%S+) (%S+)"
  local answer = net:predict({ { tonumber(x), tonumber(y) } }):item()
  return pandoc.Para { pandoc.Str(answer > 0.5 and "inside" or "outside") }
end
