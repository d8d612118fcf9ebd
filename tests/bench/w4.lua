-- w4: MLP 784-1024-1024-10, batch 256, Adam; samples a second.
local bench = require "tests.bench.bench"
local mg = bench.mg
mg.seed(1)

local train, message = mg.data.fashion_mnist()
if not train then return print("w4: " .. message) end
local net = mg.sequential { { 1, 28, 28 }, mg.flatten(), mg.dense(1024, "relu"),
                            mg.dense(1024, "relu"), mg.dense(10) }
local trainer = mg.trainer { net = net, loss = "cross_entropy", optimizer = mg.adam {} }
local steps = 5
bench.out("w4", "samples_s", 256 * steps * bench.rate(function()
  trainer:run(train, { steps = steps, epochs = 1e6, batch = 256 })
end, 3))
