-- Megabytes that are dropped in a loop, without one call of collectgarbage: how far does
-- the process grow? Each kind runs in a process of its own; 5.4 also in generational mode.
--
--   lua5.4 tests/torture/dropped.lua [--count 4000]

local LIMIT = 32 -- megabytes
local SIDE = 512 -- a square of so many float32 is a megabyte

local kinds = { "tensors", "views", "graphs", "gradients", "nets", "functions", "datasets",
                "trainers", "strings" }

local function work(mg)
  local x = mg.ones(1, SIDE)
  local square = mg.tensor(mg.full({ SIDE, SIDE }, 0.5):totable(), { requires_grad = true })
  local bytes = ("\1"):rep(SIDE * SIDE)
  local make = {}
  function make.tensors() return mg.zeros(SIDE, SIDE) end
  function make.views() return mg.zeros(SIDE, SIDE)[1] end
  function make.graphs() return square:tanh():sum() end
  function make.gradients()
    square.grad = nil
    square:sum():backward()
  end
  function make.nets() return mg.sequential { SIDE, mg.dense(SIDE) } end
  function make.functions() -- a cycle: the net's function knows the net
    local net
    net = mg.sequential { SIDE, mg.dense(SIDE), function(y) return net and y or y end }
    return net(x)
  end
  function make.datasets()
    return mg.data.dataset { x = mg.zeros(SIDE, SIDE), y = mg.zeros(SIDE, 1) }
  end
  function make.trainers()
    local net = mg.sequential { SIDE, mg.dense(SIDE / 4), mg.dense(1) }
    mg.trainer { net = net, loss = "mse", optimizer = mg.adam {} }:step(x, mg.ones(1, 1))
  end
  function make.strings() return mg.from_string(bytes, { SIDE, SIDE }, "u8") end
  return make
end

--- A figure of this process in megabytes.
local function status(name)
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^" .. name .. ":%s*(%d+)")
    if kb then return kb / 1024 end
  end
end

local function measure(kind, count)
  local mg = require "moongrad"
  local make = work(mg)[kind]
  make()
  local before = status("VmRSS")
  for _ = 1, count do make() end
  io.write(status("VmHWM") - before, "\n")
end

local count, kind, mode = 4000, nil, ""
for i = 1, #arg do
  if arg[i] == "--count" then count = tonumber(arg[i + 1]) end
  if arg[i] == "--kind" then kind = arg[i + 1] end
  if arg[i] == "--mode" then mode = arg[i + 1] end
end
if mode ~= "" then collectgarbage(mode) end -- lua5.4 itself begins with generational
if kind then return measure(kind, count) end

local lua, worst, runs, failed = arg[-1] or "lua", 0, 0, 0
for _, name in ipairs(_VERSION == "Lua 5.4" and { "incremental", "generational" } or { "" }) do
  for _, one in ipairs(kinds) do
    local run = io.popen(("%s %s --count %d --kind %s --mode '%s'"):format(lua, arg[0], count,
      one, name))
    local peak = tonumber(run:read("*l")) or 1 / 0
    run:close()
    worst, runs = math.max(worst, peak), runs + 1
    if peak > LIMIT then
      failed = failed + 1
      print(("not ok - %s %s: %.1f MB"):format(one, name, peak))
    elseif os.getenv("VERBOSE") then
      print(("%-12s %-12s %6.1f MB"):format(one, name, peak))
    end
  end
end
print(("dropped: %d passed, %d failed"):format(runs - failed, failed))
print(("figure C5 peak_mb %.1f"):format(worst))
os.exit(failed == 0 and 0 or 1)
