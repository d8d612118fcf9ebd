local mg = require "moongrad"
local helper = require "tests.spec.helper"
local torch = require "tests.torch.common"

torch.compare("training", function(case)
  local net = mg.sequential { 4, mg.dense(5), "tanh", mg.dense(case.outputs) }
  helper.set(net, case.start)
  for _, i in ipairs(case.frozen) do net[i + 1]:freeze() end
  local weight = type(case.class_weight) == "table" and case.class_weight or nil -- or null
  local trainer = mg.trainer {
    net = net, loss = case.outputs == 1 and "bce_with_logits" or "cross_entropy",
    optimizer = mg.adamw { lr = 0.05, weight_decay = 0.1 }, class_weight = weight,
  }
  trainer:fit(3, { x = case.x, y = case.y, batch = case.batch, accumulate = case.accumulate })
  for name, tensor in pairs(net:named()) do helper.near(case.weights[name], tensor, 1e-4) end
end)
