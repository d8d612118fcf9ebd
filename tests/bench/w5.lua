-- w5: LeNet-5 on Fashion-MNIST, batch 64 training, batch 256 inference; samples a second.
local bench = require "tests.bench.bench"
local models = require "tests.bench.models"

local train, message = bench.mg.data.fashion_mnist()
if not train then return print("w5: " .. message) end
local x = bench.mg.rand(256, 1, 28, 28)
bench.each_threads(function()
  local steps, trainer, net = 20, models.w5()
  bench.out("w5", "train_samples_s", 64 * steps * bench.rate(function()
    trainer:run(train, { steps = steps, epochs = 1e6, batch = 64 })
  end, 3))
  bench.out("w5", "infer_samples_s", 256 * bench.rate(function() net:predict(x) end, 2))
end)
