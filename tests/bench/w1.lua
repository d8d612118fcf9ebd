-- w1: XOR, MLP 2-8-1, tanh, sigmoid, MSE, SGD, batch of 4; full steps a second.
local bench = require "tests.bench.bench"
local mg = bench.mg
mg.seed(1)

local net = mg.sequential { 2, mg.dense(8, "tanh"), mg.dense(1, "sigmoid") }
local trainer = mg.trainer { net = net, loss = "mse", optimizer = mg.sgd { lr = 0.5 } }
local x = mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } }
local y = mg.tensor { { 0 }, { 1 }, { 1 }, { 0 } }

local steps = 1000
local data = { x = x, y = y, batch = 4 }
local runs = bench.rate(function() trainer:run(data, { steps = steps, epochs = 1e9 }) end)
bench.out("w1", "steps_s_run", runs * steps)
bench.out("w1", "steps_s_call", 100 * bench.rate(function()
  for _ = 1, 100 do trainer:step(x, y) end
end))
