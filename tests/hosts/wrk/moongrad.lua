-- A script for wrk, whose threads each have a Lua state: a net says which path to ask for.
local mg = require "moongrad"
local work = os.getenv "WORK"
local net = assert(mg.load(work .. "net.safetensors"))
local x, out = mg.zeros(1, 2), mg.zeros(1, 1)
local thread

function setup(t)
  thread = t
  dofile(os.getenv "HOST").report(mg, work, "facts")
end

-- Points within the circle that the net has learned.
function request()
  x:set(1, 1, math.random() / 3)
  x:set(1, 2, math.random() / 3)
  return wrk.format("GET", net:predict(x, out):item() > 0.5 and "/inside" or "/outside")
end

local seen = {}
function response(_, _, body)
  seen[body] = true
  local list = {}
  for path in pairs(seen) do list[#list + 1] = path end
  paths = table.concat(list, " ")
end

function done() print("only " .. tostring(thread:get "paths")) end
