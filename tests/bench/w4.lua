-- w4: MLP 784-1024-1024-10, batch 256, Adam; samples a second.
local bench = require "tests.bench.bench"
local models = require "tests.bench.models"

local train, message = bench.mg.data.fashion_mnist()
if not train then return print("w4: " .. message) end
bench.each_threads(function()
  local trainer, steps = models.w4(), 5
  bench.out("w4", "samples_s", 256 * steps * bench.rate(function()
    trainer:run(train, { steps = steps, epochs = 1e6, batch = 256 })
  end, 3))
end)
