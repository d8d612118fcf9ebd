-- w1: XOR, MLP 2-8-1, tanh, sigmoid, MSE, SGD, batch of 4; full steps a second, the
-- loop in C, and with one Lua call a step.
local bench = require "tests.bench.bench"
local trainer, x, y = require("tests.bench.models").w1()

local steps = 1000
local data = { x = x, y = y, batch = 4 }
bench.out("w1", "steps_s_run", steps * bench.rate(function()
  trainer:run(data, { steps = steps, epochs = 1e9 })
end))
bench.out("w1", "steps_s_call", 100 * bench.rate(function()
  for _ = 1, 100 do trainer:step(x, y) end
end))
