-- w3: Fashion-MNIST, MLP 784-128-10, ReLU, SGD with momentum, batch 64; seconds an
-- epoch of 60,000, shuffled, the data kept as bytes. w8: peak memory of it.
local bench = require "tests.bench.bench"
local models = require "tests.bench.models"

local train, test = bench.mg.data.fashion_mnist()
if not train then return print("w3: " .. test) end
bench.each_threads(function(threads)
  local trainer = models.w3()
  for e in trainer:epochs(5, train, { batch = 64, shuffle = true }) do
    bench.out("w3", "epoch_s", e.seconds)
  end
  if threads > 1 then return end
  bench.out("w3", "acc5", trainer:evaluate(test).accuracy)
  bench.out("w8", "peak_rss_mb", bench.peak_mb())
end)
