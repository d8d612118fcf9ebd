-- w3: Fashion-MNIST, MLP 784-128-10, ReLU, SGD with momentum, batch 64; seconds an
-- epoch of 60,000, shuffled, the data kept as bytes. w8: peak memory of it.
local bench = require "tests.bench.bench"
local mg = bench.mg
mg.seed(1)

local train, test = mg.data.fashion_mnist()
if not train then return print("w3: " .. test) end
local net = mg.sequential { { 1, 28, 28 }, mg.flatten(), mg.dense(128, "relu"), mg.dense(10) }
local trainer = mg.trainer { net = net, loss = "cross_entropy",
                             optimizer = mg.sgd { lr = 0.1, momentum = 0.9 },
                             metrics = { "accuracy" } }
for e in trainer:epochs(5, train, { batch = 64, shuffle = true }) do
  bench.out("w3", "epoch_s", e.seconds)
end
bench.out("w3", "acc5", trainer:evaluate(test).accuracy)
bench.out("w8", "peak_rss_mb", bench.peak_mb())
