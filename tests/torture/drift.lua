-- Ten million tensors and a million models, made and dropped: what is left of them in the
-- process, once those that came first have shown how much memory that takes.
--
--   lua5.4 tests/torture/drift.lua [--scale 1]

local mg = require "moongrad"

local LIMIT = 512 -- kilobytes
local scale = arg[1] == "--scale" and tonumber(arg[2]) or 1

local function resident()
  collectgarbage()
  collectgarbage()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmRSS:%s*(%d+)")
    if kb then return tonumber(kb) end
  end
end

local x, y = mg.ones(1, 2), mg.ones(1, 1)
local works = {
  { "tensors", 1e7, function() mg.zeros(4, 4) end },
  { "models", 1e6, function()
    local net = mg.sequential { 2, mg.dense(3, "tanh"), mg.dense(1) }
    mg.trainer { net = net, loss = "mse", optimizer = mg.adam {} }:step(x, y)
  end },
}

local most, failed = 0, 0
for _, work in ipairs(works) do
  local name, count, f = work[1], math.floor(work[2] * scale), work[3]
  for _ = 1, count / 10 do f() end
  local before = resident()
  for _ = 1, count do f() end
  local drift = resident() - before
  most = math.max(most, drift)
  if drift > LIMIT then
    failed = failed + 1
    print(("not ok - %d %s: %d KB are left"):format(count, name, drift))
  end
end
print(("drift: %d passed, %d failed"):format(#works - failed, failed))
print(("figure C4 drift_kb %d"):format(most))
os.exit(failed == 0 and 0 or 1)
