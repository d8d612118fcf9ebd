-- The nets of workloads w1 to w6 and what trains them, for the clocked programs and
-- for count.lua. Each starts from the same seed.
local mg = require "moongrad"
local models = {}

local function trainer(layers, loss, optimizer, metrics)
  mg.seed(1)
  local net = mg.sequential(layers)
  return mg.trainer { net = net, loss = loss, optimizer = optimizer, metrics = metrics }, net
end

--- XOR: trainer, x, y.
function models.w1()
  return trainer({ 2, mg.dense(8, "tanh"), mg.dense(1, "sigmoid") }, "mse",
    mg.sgd { lr = 0.5 }),
    mg.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
    mg.tensor { { 0 }, { 1 }, { 1 }, { 0 } }
end

--- An agent: net.
function models.w2()
  mg.seed(1)
  return mg.sequential { 16, mg.dense(64, "tanh"), mg.dense(64, "tanh"), mg.dense(4) }
end

--- For Fashion-MNIST: trainer.
function models.w3()
  return trainer({ { 1, 28, 28 }, mg.flatten(), mg.dense(128, "relu"), mg.dense(10) },
    "cross_entropy", mg.sgd { lr = 0.1, momentum = 0.9 }, { "accuracy" })
end

--- The same, larger: trainer.
function models.w4()
  return trainer({ { 1, 28, 28 }, mg.flatten(), mg.dense(1024, "relu"),
    mg.dense(1024, "relu"), mg.dense(10) }, "cross_entropy", mg.adam {})
end

--- LeNet-5: trainer, net.
function models.w5()
  return trainer({ { 1, 28, 28 },
    mg.conv2d(6, 5, { padding = 2 }), "relu", mg.avgpool2d(2),
    mg.conv2d(16, 5), "relu", mg.avgpool2d(2), mg.flatten(),
    mg.dense(120, "relu"), mg.dense(84, "relu"), mg.dense(10) },
    "cross_entropy", mg.sgd { lr = 0.05, momentum = 0.9 })
end

--- An LSTM that reads 50 of 64 characters, as vectors of 0 and 1, and says what comes
-- next after each: trainer.
function models.w6()
  local one_hot = mg.pure(function(ids) return ids:one_hot(64) end)
  local loss = mg.pure(function(logits, ids)
    return mg.cross_entropy(logits:reshape(-1, 64), ids:reshape(-1))
  end)
  return trainer({ one_hot, mg.lstm(128), mg.dense(64) }, loss,
    mg.sgd { lr = 0.1 })
end

return models
